//! The JSON of runs, jobs, environments and deployments.

use serde_json::{Value, json};

use crate::sim::github::{
    engine::environment_of,
    model::{Attempt, Deployment, Environment, Job, JobSpec, Life, Repo, Review, Run, Time},
    shape::{Shaper, node_id, stamp},
    steps::{StepView, steps},
};

impl Shaper<'_> {
    /// A run, as its given attempt shows it.
    pub(crate) fn run(&self, repo: &Repo, run: &Run, attempt: &Attempt) -> Value {
        let full = repo.full_name();
        let url = format!("{}/repos/{full}/actions/runs/{}", self.api, run.id);
        let web = format!("{}/{full}/actions/runs/{}", self.web, run.id);
        let (status, conclusion) = attempt.state(self.now);
        let workflow = repo.workflow(run.workflow);
        let earlier = attempt.number.checked_sub(1).filter(|number| *number > 0);
        let suite = format!("{}/repos/{full}/check-suites/{}", self.api, run.suite);
        json!({
            "id": run.id,
            "name": workflow.map(|workflow| workflow.name.as_str()),
            "node_id": node_id("WFR", run.id),
            "head_branch": run.branch,
            "head_sha": run.sha,
            "path": workflow.map(|workflow| format!(".github/workflows/{}", workflow.file)),
            "display_title": run.title,
            "run_number": run.number,
            "event": run.event,
            "status": status,
            "conclusion": conclusion,
            "workflow_id": run.workflow,
            "check_suite_id": run.suite,
            "check_suite_node_id": node_id("CS", run.suite),
            "url": url,
            "html_url": web,
            "pull_requests": [],
            "created_at": stamp(run.created_at),
            "updated_at": stamp(changed_at(attempt, self.now)),
            "actor": self.user(&run.actor),
            "run_attempt": attempt.number,
            "referenced_workflows": [],
            "run_started_at": stamp(attempt.started_at),
            "triggering_actor": self.user(&attempt.actor),
            "jobs_url": format!("{url}/jobs"),
            "logs_url": format!("{url}/logs"),
            "check_suite_url": suite,
            "artifacts_url": format!("{url}/artifacts"),
            "cancel_url": format!("{url}/cancel"),
            "rerun_url": format!("{url}/rerun"),
            "previous_attempt_url": earlier.map(|number| format!("{url}/attempts/{number}")),
            "workflow_url":
                format!("{}/repos/{full}/actions/workflows/{}", self.api, run.workflow),
            "head_commit": repo.commit(&run.sha).map(|commit| self.commit_simple(commit)),
            "repository": self.repo_minimal(repo),
            "head_repository": self.repo_minimal(repo),
        })
    }

    /// A job with its steps.
    pub(crate) fn job(&self, repo: &Repo, run: &Run, attempt: u32, job: &Job) -> Value {
        let full = repo.full_name();
        let (status, conclusion) = job.state(self.now);
        let url = format!("{}/repos/{full}/actions/jobs/{}", self.api, job.id);
        let spec = spec_of(repo, run, &job.name);
        let views = spec.map(|spec| steps(job, spec, self.now, self.hub.speed));
        let ran = started(job, self.now).is_some();
        let runner = ran.then(|| format!("GitHub Actions {}", job.runner));
        json!({
            "id": job.id,
            "run_id": run.id,
            "workflow_name": repo.workflow(run.workflow).map(|workflow| workflow.name.as_str()),
            "head_branch": run.branch,
            "run_url": format!("{}/repos/{full}/actions/runs/{}", self.api, run.id),
            "run_attempt": attempt,
            "node_id": node_id("CR", job.id),
            "head_sha": run.sha,
            "url": url,
            "html_url": format!("{}/{full}/actions/runs/{}/job/{}", self.web, run.id, job.id),
            "status": status,
            "conclusion": conclusion,
            "created_at": stamp(job.created_at),
            // GitHub never leaves this empty: a job that has not begun says when it was made.
            "started_at": stamp(started(job, self.now).unwrap_or(job.created_at)),
            "completed_at": ended(job).map(stamp),
            "name": job.name,
            "steps": views.unwrap_or_default().iter().map(step).collect::<Vec<_>>(),
            "check_run_url": format!("{}/repos/{full}/check-runs/{}", self.api, job.id),
            "labels": spec.map(|spec| spec.labels.clone()).unwrap_or_default(),
            "runner_id": ran.then_some(job.runner),
            "runner_name": runner,
            "runner_group_id": ran.then_some(0),
            "runner_group_name": ran.then_some("GitHub Actions"),
        })
    }

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

    /// An artifact of a finished job.
    pub(crate) fn artifacts(&self, repo: &Repo, run: &Run) -> Vec<Value> {
        let url = format!("{}/repos/{}", self.api, repo.full_name());
        let over = |job: &&Job| job.conclusion() == Some("success");
        let mut shapes = Vec::new();
        for job in run.latest().jobs.iter().filter(over) {
            let Some(spec) = spec_of(repo, run, &job.name) else {
                continue;
            };
            let Some(at) = ended(job) else { continue };
            for (number, (name, size)) in (1..).zip(&spec.artifacts) {
                let id = job.id * 8 + number;
                let own = format!("{url}/actions/artifacts/{id}");
                let digest = crate::sim::digest::hex(&format!("{id}/{name}/{}", run.sha));
                shapes.push(json!({
                    "id": id,
                    "node_id": node_id("MDg6QXJ0aWZhY3Q", id),
                    "name": name,
                    "size_in_bytes": size,
                    "url": own,
                    "archive_download_url": format!("{own}/zip"),
                    "expired": false,
                    "digest": format!("sha256:{digest}"),
                    "created_at": stamp(at),
                    "updated_at": stamp(at),
                    "expires_at": stamp(at + chrono::TimeDelta::days(90)),
                    "workflow_run": {
                        "id": run.id, "repository_id": repo.id, "head_repository_id": repo.id,
                        "head_branch": run.branch, "head_sha": run.sha,
                    },
                }));
            }
        }
        shapes
    }

    /// A job as a check run; both have the same number.
    pub(crate) fn check_run(&self, repo: &Repo, run: &Run, job: &Job) -> Value {
        let (status, conclusion) = job.state(self.now);
        let url = format!(
            "{}/repos/{}/check-runs/{}",
            self.api,
            repo.full_name(),
            job.id
        );
        let page = format!(
            "{}/{}/actions/runs/{}/job/{}",
            self.web,
            repo.full_name(),
            run.id,
            job.id
        );
        json!({
            "id": job.id,
            "name": job.name,
            "node_id": node_id("CR", job.id),
            "head_sha": run.sha,
            "external_id": uuid_like(job.id),
            "url": url,
            "html_url": page,
            "details_url": page,
            "status": status,
            "conclusion": conclusion,
            "started_at": stamp(started(job, self.now).unwrap_or(job.created_at)),
            "completed_at": ended(job).map(stamp),
            "output": {"title": null, "summary": null, "text": null, "annotations_count": 0,
                       "annotations_url": format!("{url}/annotations")},
            "check_suite": {"id": run.suite},
            "app": {
                "id": 15368, "slug": "github-actions", "client_id": "Iv1.0000000000000000",
                "node_id": "A_kwHOAJlkO80", "name": "GitHub Actions",
                "owner": self.user("github"),
                "description": "Automate your workflow from idea to production",
                "external_url": "https://help.github.com/en/actions",
                "html_url": format!("{}/apps/github-actions", self.web),
                "created_at": "2018-07-30T09:30:17Z", "updated_at": "2024-04-10T20:33:16Z",
                "permissions": {"actions": "write", "checks": "write"}, "events": [],
            },
            "pull_requests": [],
        })
    }
}

fn step(view: &StepView) -> Value {
    json!({
        "name": view.name,
        "status": view.status,
        "conclusion": view.conclusion,
        "number": view.number,
        "started_at": view.started.map(stamp),
        "completed_at": view.completed.map(stamp),
    })
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

/// The definition behind a job of a run.
pub(crate) fn spec_of<'a>(repo: &'a Repo, run: &Run, job: &str) -> Option<&'a JobSpec> {
    repo.workflow(run.workflow)?
        .jobs
        .iter()
        .find(|spec| spec.name == job)
}

/// When a runner took the job, if it has by now.
pub(crate) fn started(job: &Job, now: Time) -> Option<Time> {
    match job.life {
        Life::Planned { starts, .. } => (starts <= now).then_some(starts),
        Life::Over { starts, .. } => starts,
        Life::Waiting { .. } => None,
    }
}

/// When the job ended.
pub(crate) fn ended(job: &Job) -> Option<Time> {
    match job.life {
        Life::Over { ends, .. } => Some(ends),
        Life::Waiting { .. } | Life::Planned { .. } => None,
    }
}

/// When anything about an attempt last changed.
fn changed_at(attempt: &Attempt, now: Time) -> Time {
    attempt
        .jobs
        .iter()
        .flat_map(|job| [Some(job.created_at), started(job, now), ended(job)])
        .flatten()
        .max()
        .unwrap_or(attempt.started_at)
        .max(attempt.started_at)
}

/// A stable identifier in the form of a UUID.
fn uuid_like(id: u64) -> String {
    format!("{:08x}-0000-5000-8000-{:012x}", id % 0xffff_ffff, id)
}
