//! What the demo's GitHub knows: repositories, workflows, runs, jobs.
//!
//! A job's life is worked out when it is queued (when a runner takes it, which
//! step fails, when it ends); what a reader sees at any moment is derived from
//! that and the time. Only people's acts change it afterwards.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use crate::sim::cause::{Effect, Failure, Training};

/// A moment of the demo.
pub(crate) type Time = DateTime<Utc>;

/// Everything on this GitHub.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) people: Vec<Person>,
    pub(crate) repos: Vec<Repo>,
    /// What scripted durations are divided by.
    pub(crate) speed: f64,
    /// What has been acted on through the API, oldest first.
    pub(crate) acts: Vec<Act>,
    pub(crate) ids: Ids,
    /// Where people look at it, for links kept elsewhere.
    pub(crate) web: String,
}

/// Hands out numbers nobody else has.
#[derive(Debug)]
pub(crate) struct Ids(u64);

/// An account.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) name: String,
    pub(crate) email: String,
    /// `None` for people who have no token here.
    pub(crate) token: Option<String>,
    pub(crate) may_write: bool,
}

/// A change made through the API, for those who count what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) at: Time,
    pub(crate) by: String,
    pub(crate) what: String,
}

#[derive(Debug)]
pub(crate) struct Repo {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) default_branch: String,
    pub(crate) created_at: Time,
    /// Newest last.
    pub(crate) commits: Vec<Commit>,
    pub(crate) environments: Vec<Environment>,
    pub(crate) teams: Vec<Team>,
    pub(crate) workflows: Vec<Workflow>,
    /// Newest last.
    pub(crate) runs: Vec<Run>,
    /// Newest last.
    pub(crate) deployments: Vec<Deployment>,
}

#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) branch: String,
    pub(crate) message: String,
    /// Login.
    pub(crate) author: String,
    pub(crate) at: Time,
    /// What training this commit gives.
    pub(crate) training: Vec<Training>,
    pub(crate) failures: Vec<Failure>,
}

#[derive(Debug, Clone)]
pub(crate) struct Team {
    pub(crate) id: u64,
    pub(crate) slug: String,
    pub(crate) members: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Environment {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// Logins.
    pub(crate) reviewers: Vec<String>,
    /// Slugs.
    pub(crate) teams: Vec<String>,
    pub(crate) wait_minutes: u32,
    pub(crate) prevent_self_review: bool,
    pub(crate) created_at: Time,
}

#[derive(Debug, Clone)]
pub(crate) struct Workflow {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// `.github/workflows/<file>`.
    pub(crate) file: String,
    pub(crate) on: Vec<String>,
    pub(crate) jobs: Vec<JobSpec>,
    pub(crate) created_at: Time,
    /// Number of the newest run.
    pub(crate) numbered: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct JobSpec {
    pub(crate) name: String,
    pub(crate) needs: Vec<String>,
    pub(crate) environment: Option<String>,
    pub(crate) labels: Vec<String>,
    /// How long a runner is waited for, before the speed divides it.
    pub(crate) queue: Duration,
    pub(crate) steps: Vec<StepSpec>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) artifacts: Vec<(String, u64)>,
}

#[derive(Debug, Clone)]
pub(crate) struct StepSpec {
    pub(crate) name: String,
    pub(crate) takes: Duration,
    pub(crate) log: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: u64,
    pub(crate) workflow: u64,
    pub(crate) number: u64,
    pub(crate) event: String,
    pub(crate) branch: String,
    pub(crate) sha: String,
    pub(crate) title: String,
    pub(crate) actor: String,
    pub(crate) suite: u64,
    pub(crate) created_at: Time,
    /// Oldest first, never empty.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) reviews: Vec<Review>,
    /// What later jobs may refer to as `${name}`.
    pub(crate) facts: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) actor: String,
    pub(crate) started_at: Time,
    pub(crate) jobs: Vec<Job>,
    pub(crate) cancelled: bool,
    /// How many jobs there will be.
    pub(crate) expected: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) created_at: Time,
    pub(crate) life: Life,
    /// Index and lines of what will fail.
    pub(crate) failing: Option<(usize, Vec<String>)>,
    pub(crate) runner: u64,
    pub(crate) deployment: Option<u64>,
}

/// Where a job is.
#[derive(Debug, Clone)]
pub(crate) enum Life {
    /// A protection rule holds it; `clear` once people have said yes.
    Waiting { since: Time, clear: bool },
    /// A runner will take it at `starts` and end at `ends` unless someone acts.
    Planned {
        queued: Time,
        starts: Time,
        ends: Time,
        cancelled: bool,
    },
    /// Over. `starts` is absent if it never ran.
    Over {
        starts: Option<Time>,
        ends: Time,
        conclusion: &'static str,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Review {
    pub(crate) environment: u64,
    pub(crate) state: &'static str,
    pub(crate) by: String,
    pub(crate) comment: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) id: u64,
    pub(crate) run: u64,
    pub(crate) job: u64,
    pub(crate) sha: String,
    pub(crate) branch: String,
    pub(crate) environment: String,
    pub(crate) created_at: Time,
}

impl Default for Ids {
    fn default() -> Self {
        // Run ids passed 2^33 in 2024; clients that keep them in 32 bits must fail here too.
        Self(17_204_331_007)
    }
}

impl Ids {
    /// The next number.
    pub(crate) fn mint(&mut self) -> u64 {
        self.0 += 1009;
        self.0
    }
}

/// A written duration divided by a speed.
pub(crate) fn scaled(duration: Duration, speed: f64) -> TimeDelta {
    Duration::try_from_secs_f64(duration.as_secs_f64() / speed)
        .ok()
        .and_then(|duration| TimeDelta::from_std(duration).ok())
        .unwrap_or(TimeDelta::MAX)
}
