//! The JSON of runs and jobs, of their artifacts and check runs.

use serde_json::{Value, json};

use crate::sim::github::{
    model::{Attempt, Job, JobSpec, Life, Repo, Run, Time},
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
