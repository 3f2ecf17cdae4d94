//! What people do to runs: answer a waiting environment, run again, cancel.
//!
//! The same for someone who uses the API and for someone the script plays.

use std::time::Duration;

use crate::sim::github::{
    model::{Attempt, Environment, Hub, Ids, Job, Life, Repo, Review, Run, Time, Workflow, scaled},
    settle::{environment_of, settle},
};

/// How long a running job takes to notice that it was cancelled, in seconds.
const CANCEL_GRACE: u64 = 2;

impl Hub {
    /// Someone answers a waiting environment in the newest run that waits for it.
    pub(crate) fn review_newest(
        &mut self,
        full_name: &str,
        environment: &str,
        by: &str,
        state: &'static str,
        comment: &str,
        at: Time,
    ) {
        let Some(index) = self.repo_index(full_name) else {
            return;
        };
        let Self {
            repos, ids, speed, ..
        } = self;
        let Some(repo) = repos.get_mut(index) else {
            return;
        };
        let Some(environment) = repo.environment(environment).cloned() else {
            return;
        };
        let waits = |run: &&Run| {
            run.latest().jobs.iter().any(|job| {
                matches!(job.life, Life::Waiting { clear: false, .. })
                    && environment_of(repo, run, &job.name).map(|held| held.id)
                        == Some(environment.id)
            })
        };
        let Some(run) = repo.runs.iter().rev().find(waits).map(|run| run.id) else {
            return;
        };
        let verdict = Review {
            environment: environment.id,
            state,
            by: by.to_owned(),
            comment: comment.to_owned(),
        };
        review(repo, run, &environment, &verdict, at, ids, *speed);
    }

    /// Someone runs the failed jobs of the newest finished run again.
    pub(crate) fn rerun_newest(&mut self, full_name: &str, by: &str, at: Time) {
        let Some(index) = self.repo_index(full_name) else {
            return;
        };
        let Self {
            repos, ids, speed, ..
        } = self;
        let Some(repo) = repos.get_mut(index) else {
            return;
        };
        let failed = |run: &&Run| run.latest().state(at).1 == Some("failure");
        let Some(run) = repo.runs.iter().rev().find(failed).map(|run| run.id) else {
            return;
        };
        rerun(repo, run, Again::Failed, by, at, ids, *speed);
    }
}

/// Cancels what is left of a run's attempt.
pub(crate) fn cancel(repo: &mut Repo, run: u64, at: Time, ids: &mut Ids, speed: f64, force: bool) {
    let Some(found) = repo.runs.iter_mut().find(|other| other.id == run) else {
        return;
    };
    let attempt = found.latest_mut();
    attempt.cancelled = true;
    let grace = scaled(
        Duration::from_secs(if force { 0 } else { CANCEL_GRACE }),
        speed,
    );
    for job in &mut attempt.jobs {
        job.life = match job.life.clone() {
            Life::Planned {
                queued,
                starts,
                ends,
                ..
            } if starts <= at => Life::Planned {
                queued,
                starts,
                ends: ends.min(at + grace),
                cancelled: true,
            },
            Life::Planned { .. } | Life::Waiting { .. } => Life::Over {
                starts: None,
                ends: at,
                conclusion: "cancelled",
            },
            over @ Life::Over { .. } => over,
        };
    }
    settle(repo, run, at, ids, speed);
}

/// Which jobs a rerun repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    All,
    Failed,
}

/// Starts the next attempt of a run that is over.
pub(crate) fn rerun(
    repo: &mut Repo,
    run: u64,
    again: Again,
    actor: &str,
    at: Time,
    ids: &mut Ids,
    speed: f64,
) {
    let Some(found) = repo.runs.iter_mut().find(|other| other.id == run) else {
        return;
    };
    let last = found.latest();
    let kept = |job: &&Job| again == Again::Failed && job.conclusion() == Some("success");
    let jobs: Vec<Job> = last
        .jobs
        .iter()
        .filter(kept)
        .map(|job| Job {
            id: ids.mint(),
            ..job.clone()
        })
        .collect();
    let next = Attempt {
        number: last.number + 1,
        actor: actor.to_owned(),
        started_at: at,
        jobs,
        cancelled: false,
        expected: last.expected,
    };
    found.attempts.push(next);
    settle(repo, run, at, ids, speed);
}

/// Records a review of a waiting environment and acts on it.
///
/// Returns the deployments it concerns; empty if nothing waits there.
pub(crate) fn review(
    repo: &mut Repo,
    run: u64,
    environment: &Environment,
    verdict: &Review,
    at: Time,
    ids: &mut Ids,
    speed: f64,
) -> Vec<u64> {
    let Repo {
        runs, workflows, ..
    } = repo;
    let Some(found) = runs.iter_mut().find(|other| other.id == run) else {
        return Vec::new();
    };
    let workflow = workflows.iter().find(|other| other.id == found.workflow);
    let mut concerned = Vec::new();
    for job in &mut found.latest_mut().jobs {
        let Life::Waiting {
            since,
            clear: false,
        } = job.life
        else {
            continue;
        };
        if bound_to(workflow, &job.name) != Some(environment.name.as_str()) {
            continue;
        }
        concerned.extend(job.deployment);
        job.life = if verdict.state == "approved" {
            Life::Waiting { since, clear: true }
        } else {
            Life::Over {
                starts: None,
                ends: at,
                conclusion: "failure",
            }
        };
    }
    if !concerned.is_empty() {
        found.reviews.push(verdict.clone());
        settle(repo, run, at, ids, speed);
    }
    concerned
}

fn bound_to<'a>(workflow: Option<&'a Workflow>, job: &str) -> Option<&'a str> {
    workflow?
        .jobs
        .iter()
        .find(|spec| spec.name == job)?
        .environment
        .as_deref()
}
