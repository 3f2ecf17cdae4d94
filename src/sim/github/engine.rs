//! Moves workflow runs through time.
//!
//! Nothing happens between two ends of jobs, so that is all this steps over: a
//! job ends, its followers are created, and each is skipped, held by its
//! environment or given to a runner. Called with times in the past it plays
//! history; called with the present it plays the present.

use std::collections::BTreeMap;

use crate::sim::{
    cause::{Effect, Push, Training},
    github::{
        model::{Attempt, Commit, Hub, Life, Repo, Run, Time},
        settle::{next_of, settle},
    },
};

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
