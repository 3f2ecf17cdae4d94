//! The JSON of repositories, people and commits, as GitHub spells it.
//!
//! Every field a real answer must have is here, because official clients
//! refuse objects without them; a test holds each endpoint against GitHub's own
//! description. Runs and jobs are in [`super::shape_runs`].

use serde_json::{Map, Value, json};

use crate::sim::github::model::{Commit, Hub, Repo, Time, Workflow};

/// What shapes need besides the object itself.
#[derive(Clone, Copy)]
pub(crate) struct Shaper<'a> {
    pub(crate) hub: &'a Hub,
    /// `http://127.0.0.1:port`, or with a path before the API.
    pub(crate) api: &'a str,
    /// Where people look at it.
    pub(crate) web: &'a str,
    pub(crate) now: Time,
}

/// A stamp as GitHub writes it: whole seconds, `Z`.
pub(crate) fn stamp(at: Time) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An opaque global id, in the style of GitHub's.
pub(crate) fn node_id(kind: &str, id: u64) -> String {
    format!(
        "{kind}_{}",
        crate::sim::http::base64_encoded(id.to_string().as_bytes())
    )
}

impl Shaper<'_> {
    /// A person, known or not.
    pub(crate) fn user(&self, login: &str) -> Value {
        let id = self
            .hub
            .person(login)
            .map_or_else(|| fallback_id(login), |person| person.id);
        let (api, web) = (self.api, self.web);
        let bot = login.ends_with("[bot]");
        let mut user = Map::new();
        user.insert("login".into(), json!(login));
        user.insert("id".into(), json!(id));
        user.insert("node_id".into(), json!(node_id("U", id)));
        user.insert("avatar_url".into(), json!(format!("{web}/avatars/{id}")));
        user.insert("gravatar_id".into(), json!(""));
        user.insert("url".into(), json!(format!("{api}/users/{login}")));
        user.insert("html_url".into(), json!(format!("{web}/{login}")));
        for (key, tail) in [
            ("followers_url", "followers"),
            ("following_url", "following{/other_user}"),
            ("gists_url", "gists{/gist_id}"),
            ("starred_url", "starred{/owner}{/repo}"),
            ("subscriptions_url", "subscriptions"),
            ("organizations_url", "orgs"),
            ("repos_url", "repos"),
            ("events_url", "events{/privacy}"),
            ("received_events_url", "received_events"),
        ] {
            user.insert(key.into(), json!(format!("{api}/users/{login}/{tail}")));
        }
        user.insert("type".into(), json!(if bot { "Bot" } else { "User" }));
        user.insert("user_view_type".into(), json!("public"));
        user.insert("site_admin".into(), json!(false));
        Value::Object(user)
    }

    /// The account behind a token, with what only it may see.
    pub(crate) fn me(&self, login: &str, at: Time) -> Value {
        let person = self.hub.person(login);
        let extra = json!({
            "name": person.map(|person| person.name.clone()),
            "company": null, "blog": "", "location": null,
            "email": person.map(|person| person.email.clone()),
            "notification_email": null, "hireable": null, "bio": null, "twitter_username": null,
            "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
            "created_at": stamp(at), "updated_at": stamp(at),
            "private_gists": 0, "total_private_repos": self.hub.repos.len(),
            "owned_private_repos": 0, "disk_usage": 0, "collaborators": 0,
            "two_factor_authentication": true,
        });
        merged(self.user(login), extra)
    }

    /// A repository as it is embedded in other objects.
    pub(crate) fn repo_minimal(&self, repo: &Repo) -> Value {
        let (full, web) = (repo.full_name(), self.web);
        let url = format!("{}/repos/{full}", self.api);
        let mut shape = Map::new();
        shape.insert("id".into(), json!(repo.id));
        shape.insert("node_id".into(), json!(node_id("R", repo.id)));
        shape.insert("name".into(), json!(repo.name));
        shape.insert("full_name".into(), json!(full));
        shape.insert("private".into(), json!(true));
        shape.insert("owner".into(), self.owner(repo));
        shape.insert("html_url".into(), json!(format!("{web}/{full}")));
        shape.insert("description".into(), json!(repo.description));
        shape.insert("fork".into(), json!(false));
        shape.insert("url".into(), json!(url));
        for (key, tail) in REPO_LINKS {
            shape.insert((*key).into(), json!(format!("{url}/{tail}")));
        }
        Value::Object(shape)
    }

    fn owner(&self, repo: &Repo) -> Value {
        merged(self.user(&repo.owner), json!({"type": "Organization"}))
    }

    /// A repository on its own.
    pub(crate) fn repo_full(&self, repo: &Repo, login: &str) -> Value {
        let full = repo.full_name();
        let may_write = self
            .hub
            .person(login)
            .is_some_and(|person| person.may_write);
        let pushed = repo
            .commits
            .last()
            .map_or(repo.created_at, |commit| commit.at);
        let extra = json!({
            "git_url": format!("git://github.example/{full}.git"),
            "ssh_url": format!("git@github.example:{full}.git"),
            "clone_url": format!("{}/{full}.git", self.web),
            "svn_url": format!("{}/{full}", self.web),
            "mirror_url": null, "homepage": null, "language": "Python",
            "forks_count": 0, "stargazers_count": 0, "watchers_count": 0, "size": 4182,
            "default_branch": repo.default_branch, "open_issues_count": 0,
            "is_template": false, "topics": ["machine-learning"],
            "has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false,
            "has_downloads": true, "has_discussions": false,
            "archived": false, "disabled": false, "visibility": "private",
            "pushed_at": stamp(pushed), "created_at": stamp(repo.created_at),
            "updated_at": stamp(pushed),
            "permissions": {"admin": false, "maintain": false, "push": may_write,
                            "triage": may_write, "pull": true},
            "license": null, "forks": 0, "open_issues": 0, "watchers": 0,
            "network_count": 0, "subscribers_count": 4, "allow_forking": false,
            "web_commit_signoff_required": false,
        });
        merged(self.repo_minimal(repo), extra)
    }

    /// A workflow file.
    pub(crate) fn workflow(&self, repo: &Repo, workflow: &Workflow) -> Value {
        let full = repo.full_name();
        let path = format!(".github/workflows/{}", workflow.file);
        json!({
            "id": workflow.id,
            "node_id": node_id("W", workflow.id),
            "name": workflow.name,
            "path": path,
            "state": "active",
            "created_at": stamp(workflow.created_at),
            "updated_at": stamp(workflow.created_at),
            "url": format!("{}/repos/{full}/actions/workflows/{}", self.api, workflow.id),
            "html_url": format!("{}/{full}/blob/{}/{path}", self.web, repo.default_branch),
            "badge_url": format!("{}/{full}/workflows/{}/badge.svg", self.web, workflow.id),
        })
    }

    /// A commit with its author and parents.
    pub(crate) fn commit(&self, repo: &Repo, commit: &Commit) -> Value {
        let full = repo.full_name();
        let url = format!("{}/repos/{full}/commits/{}", self.api, commit.sha);
        let tree = reversed(&commit.sha);
        let parents: Vec<Value> = parent_of(repo, commit)
            .map(|parent| {
                json!({
                    "sha": parent.sha,
                    "url": format!("{}/repos/{full}/commits/{}", self.api, parent.sha),
                    "html_url": format!("{}/{full}/commit/{}", self.web, parent.sha),
                })
            })
            .into_iter()
            .collect();
        json!({
            "sha": commit.sha,
            "node_id": format!("C_{}", commit.sha),
            "commit": {
                "author": self.signature(commit),
                "committer": self.signature(commit),
                "message": commit.message,
                "tree": {"sha": tree, "url": format!("{}/repos/{full}/git/trees/{tree}", self.api)},
                "url": format!("{}/repos/{full}/git/commits/{}", self.api, commit.sha),
                "comment_count": 0,
                "verification": {"verified": false, "reason": "unsigned", "signature": null,
                                 "payload": null, "verified_at": null},
            },
            "url": url,
            "html_url": format!("{}/{full}/commit/{}", self.web, commit.sha),
            "comments_url": format!("{url}/comments"),
            "author": self.user(&commit.author),
            "committer": self.user(&commit.author),
            "parents": parents,
        })
    }

    /// A commit as it is embedded in a run.
    pub(crate) fn commit_simple(&self, commit: &Commit) -> Value {
        let mut author = self.signature(commit);
        if let Some(author) = author.as_object_mut() {
            author.remove("date");
        }
        json!({
            "id": commit.sha,
            "tree_id": reversed(&commit.sha),
            "message": commit.message,
            "timestamp": stamp(commit.at),
            "author": author,
            "committer": author,
        })
    }

    fn signature(&self, commit: &Commit) -> Value {
        let person = self.hub.person(&commit.author);
        json!({
            "name": person.map_or(commit.author.as_str(), |person| person.name.as_str()),
            "email": person.map_or_else(
                || format!("{}@users.noreply.github.example", commit.author),
                |person| person.email.clone(),
            ),
            "date": stamp(commit.at),
        })
    }

    /// A branch with its newest commit.
    pub(crate) fn branch(&self, repo: &Repo, name: &str, whole: bool) -> Option<Value> {
        let commit = repo.head(name)?;
        let full = repo.full_name();
        let url = format!("{}/repos/{full}/branches/{name}", self.api);
        let protection = json!({
            "enabled": name == repo.default_branch,
            "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
        });
        let head = if whole {
            self.commit(repo, commit)
        } else {
            json!({"sha": commit.sha,
                   "url": format!("{}/repos/{full}/commits/{}", self.api, commit.sha)})
        };
        Some(json!({
            "name": name,
            "commit": head,
            "_links": {"self": url, "html": format!("{}/{full}/tree/{name}", self.web)},
            "protected": name == repo.default_branch,
            "protection": protection,
            "protection_url": format!("{url}/protection"),
        }))
    }
}

/// The commit before this one on its branch, or before it at all.
fn parent_of<'a>(repo: &'a Repo, commit: &Commit) -> Option<&'a Commit> {
    let place = repo
        .commits
        .iter()
        .position(|other| other.sha == commit.sha)?;
    repo.commits
        .get(..place)?
        .iter()
        .rev()
        .find(|other| other.sha != commit.sha)
}

/// A tree id that belongs to a commit and is not the commit's.
fn reversed(sha: &str) -> String {
    sha.chars().rev().collect()
}

/// A stable number for an account nobody registered.
fn fallback_id(login: &str) -> u64 {
    login.bytes().fold(9_000_000, |id, byte| {
        (id * 31 + u64::from(byte)) % 90_000_000 + 9_000_000
    })
}

/// `base` with the fields of `extra` put over it.
pub(crate) fn merged(base: Value, extra: Value) -> Value {
    match (base, extra) {
        (Value::Object(mut base), Value::Object(extra)) => {
            base.extend(extra);
            Value::Object(base)
        }
        (base, _) => base,
    }
}

/// Link fields of a repository and what follows its URL in each.
const REPO_LINKS: &[(&str, &str)] = &[
    ("archive_url", "{archive_format}{/ref}"),
    ("assignees_url", "assignees{/user}"),
    ("blobs_url", "git/blobs{/sha}"),
    ("branches_url", "branches{/branch}"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("comments_url", "comments{/number}"),
    ("commits_url", "commits{/sha}"),
    ("compare_url", "compare/{base}...{head}"),
    ("contents_url", "contents/{+path}"),
    ("contributors_url", "contributors"),
    ("deployments_url", "deployments"),
    ("downloads_url", "downloads"),
    ("events_url", "events"),
    ("forks_url", "forks"),
    ("git_commits_url", "git/commits{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("hooks_url", "hooks"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("issue_events_url", "issues/events{/number}"),
    ("issues_url", "issues{/number}"),
    ("keys_url", "keys{/key_id}"),
    ("labels_url", "labels{/name}"),
    ("languages_url", "languages"),
    ("merges_url", "merges"),
    ("milestones_url", "milestones{/number}"),
    (
        "notifications_url",
        "notifications{?since,all,participating}",
    ),
    ("pulls_url", "pulls{/number}"),
    ("releases_url", "releases{/id}"),
    ("stargazers_url", "stargazers"),
    ("statuses_url", "statuses/{sha}"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("tags_url", "tags"),
    ("teams_url", "teams"),
    ("trees_url", "git/trees{/sha}"),
];
