//! What a run needs next: which jobs can be created, which are held, and when
//! the next thing happens by itself.

use std::time::Duration;

use chrono::TimeDelta;

use crate::sim::{
    cause::Failure,
    github::model::{Deployment, Environment, Ids, Job, JobSpec, Life, Repo, Run, Time, scaled},
};

/// How long GitHub's own first step takes, in seconds.
pub(crate) const SET_UP: u64 = 1;

/// When a run next changes by itself.
pub(crate) fn next_of(repo: &Repo, run: &Run, speed: f64) -> Option<Time> {
    run.latest()
        .jobs
        .iter()
        .filter_map(|job| due(repo, run, job, speed))
        .min()
}

fn due(repo: &Repo, run: &Run, job: &Job, speed: f64) -> Option<Time> {
    match &job.life {
        Life::Planned { ends, .. } => Some(*ends),
        Life::Over { .. } => None,
        Life::Waiting { since, clear } => {
            let environment = environment_of(repo, run, &job.name)?;
            (*clear || !environment.needs_review()).then(|| *since + wait_timer(environment, speed))
        }
    }
}

/// How long an environment's wait timer really is.
pub(crate) fn wait_timer(environment: &Environment, speed: f64) -> TimeDelta {
    scaled(
        Duration::from_secs(u64::from(environment.wait_minutes) * 60),
        speed,
    )
}

/// The environment a job of a run is bound to.
pub(crate) fn environment_of<'a>(repo: &'a Repo, run: &Run, job: &str) -> Option<&'a Environment> {
    let workflow = repo.workflow(run.workflow)?;
    let spec = workflow.jobs.iter().find(|spec| spec.name == job)?;
    repo.environment(spec.environment.as_deref()?)
}

/// Creates the jobs whose needs are met, and frees those whose wait is over.
pub(crate) fn settle(repo: &mut Repo, run: u64, at: Time, ids: &mut Ids, speed: f64) {
    let Some(place) = repo.runs.iter().position(|other| other.id == run) else {
        return;
    };
    free_waiting(repo, place, at, speed);
    while let Some(job) = next_job(repo, place, at, ids, speed) {
        let Some(run) = repo.runs.get_mut(place) else {
            return;
        };
        if let Some(deployment) = job.deployment {
            repo.deployments.push(Deployment {
                id: deployment,
                run: run.id,
                job: job.id,
                sha: run.sha.clone(),
                branch: run.branch.clone(),
                environment: repo
                    .workflows
                    .iter()
                    .find(|workflow| workflow.id == run.workflow)
                    .and_then(|workflow| workflow.jobs.iter().find(|spec| spec.name == job.name))
                    .and_then(|spec| spec.environment.clone())
                    .unwrap_or_default(),
                created_at: at,
            });
        }
        run.latest_mut().jobs.push(job);
    }
}

fn free_waiting(repo: &mut Repo, place: usize, at: Time, speed: f64) {
    let Some(run) = repo.runs.get(place) else {
        return;
    };
    let attempt = run.latest().number;
    let freed: Vec<(u64, Plan)> = run
        .latest()
        .jobs
        .iter()
        .filter(|job| matches!(job.life, Life::Waiting { .. }))
        .filter(|job| due(repo, run, job, speed).is_some_and(|due| due <= at))
        .filter_map(|job| {
            let workflow = repo.workflow(run.workflow)?;
            let spec = workflow.jobs.iter().find(|spec| spec.name == job.name)?;
            Some((
                job.id,
                planned(spec, failure_of(repo, run, spec, attempt), at, speed),
            ))
        })
        .collect();
    let Some(run) = repo.runs.get_mut(place) else {
        return;
    };
    for job in &mut run.latest_mut().jobs {
        if let Some((_, plan)) = freed.iter().find(|(id, _)| *id == job.id) {
            job.life = plan.life.clone();
            job.failing.clone_from(&plan.failing);
        }
    }
}

/// The next job that can be created, if any.
fn next_job(repo: &Repo, place: usize, at: Time, ids: &mut Ids, speed: f64) -> Option<Job> {
    let run = repo.runs.get(place)?;
    let attempt = run.latest();
    let workflow = repo.workflow(run.workflow)?;
    let end_of = |name: &str| {
        attempt
            .jobs
            .iter()
            .find(|job| job.name == name)
            .and_then(Job::conclusion)
    };
    let exists = |spec: &&JobSpec| attempt.jobs.iter().any(|job| job.name == spec.name);
    let ready = |spec: &&JobSpec| spec.needs.iter().all(|need| end_of(need).is_some());
    let spec = workflow
        .jobs
        .iter()
        .find(|spec| !exists(spec) && ready(spec))?;
    let met = spec
        .needs
        .iter()
        .all(|need| end_of(need) == Some("success"));
    let environment = spec
        .environment
        .as_deref()
        .and_then(|name| repo.environment(name));
    let held = environment.is_some_and(|held| held.needs_review() || held.wait_minutes > 0);
    let plan = if !met || attempt.cancelled {
        let conclusion = if met { "cancelled" } else { "skipped" };
        Plan {
            life: Life::Over {
                starts: None,
                ends: at,
                conclusion,
            },
            failing: None,
        }
    } else if held {
        Plan {
            life: Life::Waiting {
                since: at,
                clear: false,
            },
            failing: None,
        }
    } else {
        planned(spec, failure_of(repo, run, spec, attempt.number), at, speed)
    };
    let deploys = spec.environment.is_some() && !matches!(plan.life, Life::Over { .. });
    let id = ids.mint();
    Some(Job {
        id,
        name: spec.name.clone(),
        created_at: at,
        life: plan.life,
        failing: plan.failing,
        runner: id % 40 + 1,
        deployment: deploys.then(|| ids.mint()),
    })
}

/// Which step of a job will fail in this attempt, and what the log then says.
fn failure_of(
    repo: &Repo,
    run: &Run,
    spec: &JobSpec,
    attempt: u32,
) -> Option<(usize, Vec<String>)> {
    let commit = repo
        .commits
        .iter()
        .rev()
        .find(|commit| commit.sha == run.sha)?;
    let applies = |failure: &&Failure| {
        failure.job == spec.name
            && (failure.attempts.is_empty() || failure.attempts.contains(&attempt))
    };
    let failure = commit.failures.iter().find(applies)?;
    let named = failure
        .step
        .as_deref()
        .and_then(|name| spec.steps.iter().position(|step| step.name == name));
    Some((
        named.unwrap_or(spec.steps.len().saturating_sub(1)),
        failure.log.clone(),
    ))
}

struct Plan {
    life: Life,
    failing: Option<(usize, Vec<String>)>,
}

fn planned(spec: &JobSpec, failing: Option<(usize, Vec<String>)>, at: Time, speed: f64) -> Plan {
    let steps = failing
        .as_ref()
        .map_or(spec.steps.len(), |(index, _)| index + 1);
    let set_up = Duration::from_secs(SET_UP);
    let work: Duration = spec.steps.iter().take(steps).map(|step| step.takes).sum();
    let starts = at + scaled(spec.queue, speed);
    let ends = starts + scaled(set_up + work, speed);
    Plan {
        life: Life::Planned {
            queued: at,
            starts,
            ends,
            cancelled: false,
        },
        failing,
    }
}
