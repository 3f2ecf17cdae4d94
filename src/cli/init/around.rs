//! Looking around: the repository, its workflows, the cluster, the registry, `gh`.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::{
    backend::{
        Setup,
        kubernetes::discover::{self, Around},
    },
    cli::session,
    config::env,
    domain::{catalog::Catalog, text::Clean},
};

/// How long a program may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found.
pub(super) struct Found {
    /// Host and `owner/name` of the repository around.
    pub(super) repository: Option<(Clean, Clean)>,
    /// Workflow files of it, the likeliest first.
    pub(super) workflows: Vec<Clean>,
    /// Whether `gh` is signed in at that host.
    pub(super) gh: bool,
    /// Whether `GITHUB_TOKEN` is set.
    pub(super) token: bool,
    /// What the kubeconfig leads to, or why not.
    pub(super) cluster: Result<Around, Clean>,
    /// The model registry.
    pub(super) mlflow: Option<Clean>,
    /// Whether `MLFLOW_TRACKING_TOKEN` is set.
    pub(super) mlflow_token: bool,
}

/// Looks at everything, all at once.
pub(super) async fn look() -> Found {
    let repository = remote().await;
    let host = repository
        .as_ref()
        .map_or("github.com", |(host, _)| host.as_str())
        .to_owned();
    let surroundings = session::surroundings();
    let setup = Setup {
        catalog: Arc::new(Catalog::default()),
        now: surroundings.now,
        base: Path::new(".").to_owned(),
        env: surroundings.env,
    };
    let (gh, cluster) = tokio::join!(signed_in(&host), discover::look_around(&setup));
    Found {
        repository,
        workflows: workflows(Path::new(".github/workflows")),
        gh,
        token: env::var("GITHUB_TOKEN").is_some(),
        cluster: cluster.map_err(|error| error.message),
        mlflow: env::var("MLFLOW_TRACKING_URI").map(|uri| Clean::name(&uri)),
        mlflow_token: env::var("MLFLOW_TRACKING_TOKEN").is_some(),
    }
}

impl Found {
    /// What was found, for the person.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.push(match &self.repository {
            Some((host, repo)) => format!("git         {repo} on {host}"),
            None => "git         no remote on a GitHub here".to_owned(),
        });
        lines.push(if self.workflows.is_empty() {
            "workflows   none in .github/workflows".to_owned()
        } else {
            let names: Vec<&str> = self.workflows.iter().map(Clean::as_str).collect();
            format!("workflows   {}", names.join(", "))
        });
        lines.push(match (self.gh, self.token) {
            (true, _) => "token       gh is signed in".to_owned(),
            (false, true) => "token       GITHUB_TOKEN is set".to_owned(),
            (false, false) => {
                "token       none: sign in by `gh auth login`, or set GITHUB_TOKEN".to_owned()
            }
        });
        lines.extend(self.cluster_lines());
        lines.push(match &self.mlflow {
            Some(uri) => format!("mlflow      {}", config_shown(uri)),
            None => "mlflow      MLFLOW_TRACKING_URI is not set".to_owned(),
        });
        lines
    }

    /// Namespace and name of the Rollouts that were found.
    pub(super) fn rollouts(&self) -> &[(Clean, Clean)] {
        let around = self.cluster.as_ref().ok();
        around
            .and_then(|around| around.rollouts.as_deref().ok())
            .unwrap_or_default()
    }

    fn cluster_lines(&self) -> Vec<String> {
        let around = match &self.cluster {
            Ok(around) => around,
            Err(why) => return vec![format!("cluster     {why}")],
        };
        let names: Vec<&str> = around.contexts.iter().map(Clean::as_str).collect();
        let current = around.current.as_deref().unwrap_or("none");
        let mut lines = vec![format!(
            "cluster     contexts {}; current {current}",
            names.join(", ")
        )];
        lines.push(match &around.rollouts {
            Ok(rollouts) if rollouts.is_empty() => {
                "rollouts    none in the current context".to_owned()
            }
            Ok(rollouts) => {
                let names: Vec<String> = rollouts
                    .iter()
                    .map(|(namespace, name)| format!("{namespace}/{name}"))
                    .collect();
                format!("rollouts    {}", names.join(", "))
            }
            Err(error) => format!("rollouts    {error}"),
        });
        lines
    }
}

fn config_shown(uri: &str) -> String {
    crate::config::explain::without_user(uri)
}

/// Runs a program that only looks; `None` when it is not there, fails or hangs.
async fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let run = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, run).await.ok()?.ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

async fn remote() -> Option<(Clean, Clean)> {
    parse_remote(&output("git", &["config", "--get", "remote.origin.url"]).await?)
}

/// Whether `gh` has a token for the host. The token itself is not looked at.
async fn signed_in(host: &str) -> bool {
    output("gh", &["auth", "token", "--hostname", host])
        .await
        .is_some()
}

/// Host and `owner/name` of a remote: `https://host/owner/name.git`,
/// `git@host:owner/name.git` or `ssh://git@host:port/owner/name`.
fn parse_remote(remote: &str) -> Option<(Clean, Clean)> {
    let (authority, path) = match remote.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => remote.split_once(':')?,
    };
    let host = authority.rsplit('@').next()?.split(':').next()?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let whole = !host.is_empty() && path.split('/').filter(|part| !part.is_empty()).count() == 2;
    whole.then(|| (Clean::name(host), Clean::name(path)))
}

/// The workflow files, those that sound like a release first.
fn workflows(folder: &Path) -> Vec<Clean> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            let extension = Path::new(name)
                .extension()
                .and_then(|extension| extension.to_str());
            matches!(extension, Some("yml" | "yaml"))
        })
        .collect();
    let rank = |name: &str| {
        let words = [
            "release", "deploy", "cicd", "ci-cd", "cd", "ml", "train", "main",
        ];
        words
            .iter()
            .position(|word| name.contains(word))
            .unwrap_or(words.len())
    };
    names.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
    names.iter().map(|name| Clean::name(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_of_every_spelling_name_host_and_repository() {
        for remote in [
            "https://github.com/acme/recsys.git",
            "https://user:secret@github.com/acme/recsys",
            "git@github.com:acme/recsys.git",
            "ssh://git@github.com:22/acme/recsys.git/",
        ] {
            let (host, repo) = parse_remote(remote).unwrap();
            assert_eq!(
                (host.as_str(), repo.as_str()),
                ("github.com", "acme/recsys"),
                "{remote}"
            );
        }
        assert!(parse_remote("/srv/git/recsys").is_none());
        assert!(parse_remote("https://gitlab.com/group/sub/project.git").is_none());
    }
}
