//! The JSON of environments, what waits for people there, and deployments.

use serde_json::{Value, json};

use crate::sim::github::{
    model::{Deployment, Environment, Life, Repo, Review, Run, Time},
    settle::environment_of,
    shape::{Shaper, node_id, stamp},
    shape_runs::{ended, started},
};

impl Shaper<'_> {
    /// What waits for people in a run, one entry for each environment.
    pub(crate) fn pending(&self, repo: &Repo, run: &Run, login: &str) -> Vec<Value> {
        let waiting = run.latest().jobs.iter().filter_map(|job| match job.life {
            Life::Waiting { since, clear } => {
                Some((environment_of(repo, run, &job.name)?, since, clear))
            }
            Life::Planned { .. } | Life::Over { .. } => None,
        });
        let mut seen: Vec<u64> = Vec::new();
        let mut shapes = Vec::new();
        for (environment, since, clear) in waiting {
            if seen.contains(&environment.id) {
                continue;
            }
            seen.push(environment.id);
            let may = !clear
                && self
                    .hub
                    .person(login)
                    .is_some_and(|person| person.may_write)
                && repo.may_review(environment, login, &run.latest().actor);
            shapes.push(json!({
                "environment": {
                    "id": environment.id,
                    "node_id": node_id("EN", environment.id),
                    "name": environment.name,
                    "url": self.environment_url(repo, environment),
                    "html_url": self.environment_page(repo, environment),
                },
                "wait_timer": environment.wait_minutes,
                "wait_timer_started_at":
                    (environment.wait_minutes > 0).then(|| stamp(since)),
                "current_user_can_approve": may,
                "reviewers": self.reviewers(repo, environment),
            }));
        }
        shapes
    }

    fn reviewers(&self, repo: &Repo, environment: &Environment) -> Vec<Value> {
        let people = environment
            .reviewers
            .iter()
            .map(|login| json!({"type": "User", "reviewer": self.user(login)}));
        let teams = environment
            .teams
            .iter()
            .map(|slug| json!({"type": "Team", "reviewer": self.team(repo, slug)}));
        people.chain(teams).collect()
    }

    fn team(&self, repo: &Repo, slug: &str) -> Value {
        let id = repo
            .teams
            .iter()
            .find(|team| team.slug == slug)
            .map_or(1, |team| team.id);
        let url = format!("{}/organizations/{}/team/{id}", self.api, repo.id);
        json!({
            "id": id,
            "node_id": node_id("T", id),
            "url": url,
            "html_url": format!("{}/orgs/{}/teams/{slug}", self.web, repo.owner),
            "name": slug,
            "slug": slug,
            "description": "",
            "privacy": "closed",
            "notification_setting": "notifications_enabled",
            "permission": "push",
            "type": "organization",
            "organization_id": repo.id,
            "members_url": format!("{url}/members{{/member}}"),
            "repositories_url": format!("{url}/repos"),
            "parent": null,
        })
    }

    /// One answer of the review history.
    pub(crate) fn review(&self, repo: &Repo, review: &Review) -> Value {
        let environments: Vec<Value> = repo
            .environments
            .iter()
            .filter(|environment| environment.id == review.environment)
            .map(|environment| {
                json!({
                    "id": environment.id,
                    "node_id": node_id("EN", environment.id),
                    "name": environment.name,
                    "url": self.environment_url(repo, environment),
                    "html_url": self.environment_page(repo, environment),
                    "created_at": stamp(environment.created_at),
                    "updated_at": stamp(environment.created_at),
                })
            })
            .collect();
        json!({
            "environments": environments,
            "state": review.state,
            "user": self.user(&review.by),
            "comment": review.comment,
        })
    }

    /// An environment with its protection rules.
    pub(crate) fn environment(&self, repo: &Repo, environment: &Environment) -> Value {
        let mut rules = Vec::new();
        if environment.wait_minutes > 0 {
            rules.push(json!({
                "id": environment.id + 1,
                "node_id": node_id("GA", environment.id + 1),
                "type": "wait_timer",
                "wait_timer": environment.wait_minutes,
            }));
        }
        if environment.needs_review() {
            rules.push(json!({
                "id": environment.id + 2,
                "node_id": node_id("GA", environment.id + 2),
                "type": "required_reviewers",
                "prevent_self_review": environment.prevent_self_review,
                "reviewers": self.reviewers(repo, environment),
            }));
        }
        json!({
            "id": environment.id,
            "node_id": node_id("EN", environment.id),
            "name": environment.name,
            "url": self.environment_url(repo, environment),
            "html_url": self.environment_page(repo, environment),
            "created_at": stamp(environment.created_at),
            "updated_at": stamp(environment.created_at),
            "can_admins_bypass": false,
            "protection_rules": rules,
            "deployment_branch_policy": null,
        })
    }

    fn environment_url(&self, repo: &Repo, environment: &Environment) -> String {
        let name = crate::sim::http::percent_encoded(&environment.name);
        format!(
            "{}/repos/{}/environments/{name}",
            self.api,
            repo.full_name()
        )
    }

    fn environment_page(&self, repo: &Repo, environment: &Environment) -> String {
        let name = crate::sim::http::percent_encoded(&environment.name);
        format!(
            "{}/{}/deployments/activity_log?environments_filter={name}",
            self.web,
            repo.full_name()
        )
    }

    /// A deployment record.
    pub(crate) fn deployment(&self, repo: &Repo, deployment: &Deployment) -> Value {
        let url = format!("{}/repos/{}", self.api, repo.full_name());
        let own = format!("{url}/deployments/{}", deployment.id);
        let payload = repo.run(deployment.run).map(payload).unwrap_or_default();
        let states = states(repo, deployment, self.now);
        json!({
            "url": own,
            "id": deployment.id,
            "node_id": node_id("DE", deployment.id),
            "task": "deploy",
            "original_environment": deployment.environment,
            "environment": deployment.environment,
            "description": null,
            "created_at": stamp(deployment.created_at),
            "updated_at": stamp(states.last().map_or(deployment.created_at, |(_, at)| *at)),
            "statuses_url": format!("{own}/statuses"),
            "repository_url": url,
            "creator": self.user("github-actions[bot]"),
            "sha": deployment.sha,
            "ref": deployment.branch,
            "payload": payload,
            "transient_environment": false,
            "production_environment": deployment.environment.starts_with("prod"),
            "performed_via_github_app": null,
        })
    }

    /// What became of a deployment, newest first.
    pub(crate) fn deployment_statuses(&self, repo: &Repo, deployment: &Deployment) -> Vec<Value> {
        let url = format!("{}/repos/{}", self.api, repo.full_name());
        let own = format!("{url}/deployments/{}", deployment.id);
        let log = format!(
            "{}/{}/actions/runs/{}/job/{}",
            self.web,
            repo.full_name(),
            deployment.run,
            deployment.job
        );
        let shape = |(number, (state, at)): (u64, (&'static str, Time))| {
            let id = deployment.id * 10 + number;
            json!({
                "url": format!("{own}/statuses/{id}"),
                "id": id,
                "node_id": node_id("DES", id),
                "state": state,
                "creator": self.user("github-actions[bot]"),
                "description": "",
                "environment": deployment.environment,
                "target_url": log,
                "created_at": stamp(at),
                "updated_at": stamp(at),
                "deployment_url": own,
                "repository_url": url,
                "environment_url": "",
                "log_url": log,
                "performed_via_github_app": null,
            })
        };
        let mut shapes: Vec<Value> = (0..)
            .zip(states(repo, deployment, self.now))
            .map(shape)
            .collect();
        shapes.reverse();
        shapes
    }
}

/// What a deploying job tells the deployment about its model.
fn payload(run: &Run) -> serde_json::Map<String, Value> {
    ["model", "model_version"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), json!(run.facts.get(key)?))))
        .collect()
}

/// The states a deployment went through, oldest first.
fn states(repo: &Repo, deployment: &Deployment, now: Time) -> Vec<(&'static str, Time)> {
    let job = repo.run(deployment.run).and_then(|run| {
        run.attempts
            .iter()
            .flat_map(|attempt| &attempt.jobs)
            .find(|job| job.id == deployment.job)
    });
    let Some(job) = job else { return Vec::new() };
    let mut states = vec![(
        if matches!(job.life, Life::Waiting { .. }) {
            "pending"
        } else {
            "queued"
        },
        deployment.created_at,
    )];
    if let Some(at) = started(job, now) {
        states.push(("in_progress", at));
    }
    if let Some((at, end)) = ended(job).zip(job.conclusion()) {
        states.push((
            if end == "success" {
                "success"
            } else {
                "failure"
            },
            at,
        ));
        let superseded = repo
            .deployments
            .iter()
            .filter(|other| other.environment == deployment.environment && other.id > deployment.id)
            .filter_map(|other| succeeded_at(repo, other))
            .min();
        if let Some(at) = superseded.filter(|_| end == "success") {
            states.push(("inactive", at));
        }
    }
    states
}

fn succeeded_at(repo: &Repo, deployment: &Deployment) -> Option<Time> {
    let run = repo.run(deployment.run)?;
    let job = run
        .attempts
        .iter()
        .flat_map(|attempt| &attempt.jobs)
        .find(|job| job.id == deployment.job)?;
    ended(job).filter(|_| job.conclusion() == Some("success"))
}
