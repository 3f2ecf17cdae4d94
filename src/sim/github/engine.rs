//! Moves workflow runs through time.
//!
//! Nothing happens between two ends of jobs, so that is all this steps over: a
//! job ends, its followers are created, and each is skipped, held by its
//! environment or given to a runner. Called with times in the past it plays
//! history; called with the present it plays the present.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::sim::{
    cause::{Effect, Failure, Push, Training},
    github::model::{
        Attempt, Commit, Deployment, Environment, Hub, Ids, Job, JobSpec, Life, Repo, Review, Run,
        Time, Workflow, scaled,
    },
};

/// How long GitHub's own first step takes, in seconds.
pub(crate) const SET_UP: u64 = 1;
/// How long a running job takes to notice that it was cancelled.
const CANCEL_GRACE: u64 = 2;

/// A job that ended well, and what hangs on it.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) run: u64,
    pub(crate) at: Time,
    pub(crate) sha: String,
    pub(crate) branch: String,
    pub(crate) author: String,
    pub(crate) run_url: String,
    pub(crate) training: Vec<Training>,
    pub(crate) effects: Vec<Effect>,
}

impl Hub {
    /// A commit arrives: every workflow that listens to pushes starts.
    ///
    /// Returns the runs; none if the repository is unknown.
    pub(crate) fn push(&mut self, push: &Push, at: Time) -> Vec<u64> {
        let Some(index) = self.repo_index(&push.repo) else {
            return Vec::new();
        };
        let Some(repo) = self.repos.get_mut(index) else {
            return Vec::new();
        };
        repo.commits.push(Commit {
            sha: push.sha.clone(),
            branch: push.branch.clone(),
            message: push.message.clone(),
            author: push.author.clone(),
            at,
            training: push.training.clone(),
            failures: push.failures.clone(),
        });
        let title = push.message.lines().next().unwrap_or_default().to_owned();
        let started: Vec<u64> = repo
            .workflows
            .iter()
            .filter(|workflow| workflow.on.iter().any(|event| event == "push"))
            .map(|workflow| workflow.id)
            .collect();
        started
            .into_iter()
            .filter_map(|workflow| {
                let start = Start {
                    workflow,
                    event: "push",
                    branch: &push.branch,
                    sha: &push.sha,
                };
                self.start(index, &start, &title, &push.author, at)
            })
            .collect()
    }

    /// Starts a workflow on the head of a branch.
    ///
    /// `None` if the repository, workflow or branch is unknown.
    pub(crate) fn dispatch(
        &mut self,
        full_name: &str,
        workflow: u64,
        reference: &str,
        actor: &str,
        at: Time,
    ) -> Option<u64> {
        let index = self.repo_index(full_name)?;
        let repo = self.repos.get(index)?;
        let reference = reference.strip_prefix("refs/heads/").unwrap_or(reference);
        let commit = repo.head(reference)?;
        let (sha, branch) = (commit.sha.clone(), commit.branch.clone());
        let title = repo.workflow(workflow)?.name.clone();
        let start = Start {
            workflow,
            event: "workflow_dispatch",
            branch: &branch,
            sha: &sha,
        };
        self.start(index, &start, &title, actor, at)
    }

    fn start(
        &mut self,
        index: usize,
        start: &Start<'_>,
        title: &str,
        actor: &str,
        at: Time,
    ) -> Option<u64> {
        let Self {
            repos, ids, speed, ..
        } = self;
        let repo = repos.get_mut(index)?;
        let workflow = repo
            .workflows
            .iter_mut()
            .find(|other| other.id == start.workflow)?;
        workflow.numbered += 1;
        let (number, expected) = (workflow.numbered, workflow.jobs.len());
        let (id, suite) = (ids.mint(), ids.mint());
        let facts = [
            ("sha", start.sha.to_owned()),
            ("sha7", start.sha.chars().take(7).collect()),
            ("branch", start.branch.to_owned()),
            ("run_id", id.to_string()),
        ];
        repo.runs.push(Run {
            id,
            workflow: start.workflow,
            number,
            event: start.event.to_owned(),
            branch: start.branch.to_owned(),
            sha: start.sha.to_owned(),
            title: title.to_owned(),
            actor: actor.to_owned(),
            suite,
            created_at: at,
            attempts: vec![Attempt {
                number: 1,
                actor: actor.to_owned(),
                started_at: at,
                jobs: Vec::new(),
                cancelled: false,
                expected,
            }],
            reviews: Vec::new(),
            facts: facts
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        });
        settle(repo, id, at, ids, *speed);
        Some(id)
    }

    /// When something next happens by itself.
    pub(crate) fn next_event(&self) -> Option<Time> {
        self.repos
            .iter()
            .flat_map(|repo| repo.runs.iter().map(move |run| (repo, run)))
            .filter_map(|(repo, run)| next_of(repo, run, self.speed))
            .min()
    }

    /// Plays everything up to `now`; returns the jobs that ended well with effects.
    pub(crate) fn advance(&mut self, now: Time) -> Vec<Finished> {
        let mut finished = Vec::new();
        while let Some(at) = self.next_event().filter(|at| *at <= now) {
            let Self {
                repos,
                ids,
                speed,
                web,
                ..
            } = self;
            for repo in repos.iter_mut() {
                let due: Vec<u64> = repo
                    .runs
                    .iter()
                    .filter(|run| next_of(repo, run, *speed).is_some_and(|next| next <= at))
                    .map(|run| run.id)
                    .collect();
                for run in due {
                    end_jobs(repo, run, at, web, &mut finished);
                    settle(repo, run, at, ids, *speed);
                }
            }
        }
        finished
    }

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

    /// Remembers something later jobs of a run may refer to.
    pub(crate) fn learn(&mut self, run: u64, key: &str, value: String) {
        let found = self
            .repos
            .iter_mut()
            .flat_map(|repo| &mut repo.runs)
            .find(|r| r.id == run);
        if let Some(run) = found {
            run.facts.insert(key.to_owned(), value);
        }
    }

    /// What the jobs of a run may refer to.
    pub(crate) fn facts(&self, run: u64) -> BTreeMap<String, String> {
        self.repos
            .iter()
            .find_map(|repo| repo.run(run))
            .map(|run| run.facts.clone())
            .unwrap_or_default()
    }
}

struct Start<'a> {
    workflow: u64,
    event: &'static str,
    branch: &'a str,
    sha: &'a str,
}

/// When a run next changes by itself.
fn next_of(repo: &Repo, run: &Run, speed: f64) -> Option<Time> {
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
        std::time::Duration::from_secs(u64::from(environment.wait_minutes) * 60),
        speed,
    )
}

/// The environment a job of a run is bound to.
pub(crate) fn environment_of<'a>(repo: &'a Repo, run: &Run, job: &str) -> Option<&'a Environment> {
    let workflow = repo.workflow(run.workflow)?;
    let spec = workflow.jobs.iter().find(|spec| spec.name == job)?;
    repo.environment(spec.environment.as_deref()?)
}

/// Ends the jobs of a run that are due.
fn end_jobs(repo: &mut Repo, run: u64, at: Time, web: &str, finished: &mut Vec<Finished>) {
    let full_name = repo.full_name();
    let Repo {
        runs,
        workflows,
        commits,
        ..
    } = repo;
    let Some(run) = runs.iter_mut().find(|other| other.id == run) else {
        return;
    };
    let Some(workflow) = workflows.iter().find(|other| other.id == run.workflow) else {
        return;
    };
    let commit = commits.iter().rev().find(|commit| commit.sha == run.sha);
    let template = Finished {
        run_url: format!("{web}/{full_name}/actions/runs/{}", run.id),
        run: run.id,
        at,
        sha: run.sha.clone(),
        branch: run.branch.clone(),
        author: run.actor.clone(),
        training: commit
            .map(|commit| commit.training.clone())
            .unwrap_or_default(),
        effects: Vec::new(),
    };
    for job in &mut run.latest_mut().jobs {
        let Life::Planned {
            starts,
            ends,
            cancelled,
            ..
        } = job.life
        else {
            continue;
        };
        if ends > at {
            continue;
        }
        let conclusion = match (cancelled, &job.failing) {
            (true, _) => "cancelled",
            (false, Some(_)) => "failure",
            (false, None) => "success",
        };
        // A job that is cancelled before a runner took it never ran.
        let starts = (starts <= ends).then_some(starts);
        job.life = Life::Over {
            starts,
            ends,
            conclusion,
        };
        let spec = workflow.jobs.iter().find(|spec| spec.name == job.name);
        let effects = spec.map(|spec| spec.effects.clone()).unwrap_or_default();
        if conclusion == "success" && !effects.is_empty() {
            finished.push(Finished {
                at: ends,
                effects,
                ..template.clone()
            });
        }
    }
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
    let set_up = std::time::Duration::from_secs(SET_UP);
    let work: std::time::Duration = spec.steps.iter().take(steps).map(|step| step.takes).sum();
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

/// Cancels what is left of a run's attempt.
pub(crate) fn cancel(repo: &mut Repo, run: u64, at: Time, ids: &mut Ids, speed: f64, force: bool) {
    let Some(found) = repo.runs.iter_mut().find(|other| other.id == run) else {
        return;
    };
    let attempt = found.latest_mut();
    attempt.cancelled = true;
    let grace = scaled(
        std::time::Duration::from_secs(if force { 0 } else { CANCEL_GRACE }),
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
