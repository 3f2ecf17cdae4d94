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

impl Hub {
    /// An empty GitHub.
    pub(crate) fn new(speed: f64, web: String) -> Self {
        Self {
            people: Vec::new(),
            repos: Vec::new(),
            speed,
            acts: Vec::new(),
            ids: Ids::default(),
            web,
        }
    }

    pub(crate) fn person(&self, login: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.login == login)
    }

    pub(crate) fn repo(&self, owner: &str, name: &str) -> Option<&Repo> {
        let same = |repo: &&Repo| {
            repo.owner.eq_ignore_ascii_case(owner) && repo.name.eq_ignore_ascii_case(name)
        };
        self.repos.iter().find(same)
    }

    /// The place of a repository written `owner/name`.
    pub(crate) fn repo_index(&self, full_name: &str) -> Option<usize> {
        self.repos
            .iter()
            .position(|repo| repo.full_name() == full_name)
    }

    /// The newest run of a workflow file.
    pub(crate) fn newest_run(&self, full_name: &str, file: &str) -> Option<u64> {
        let repo = self.repos.get(self.repo_index(full_name)?)?;
        let workflow = repo.workflow_named(file)?.id;
        repo.runs
            .iter()
            .rev()
            .find(|run| run.workflow == workflow)
            .map(|run| run.id)
    }
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

impl Repo {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    pub(crate) fn workflow(&self, id: u64) -> Option<&Workflow> {
        self.workflows.iter().find(|workflow| workflow.id == id)
    }

    /// A workflow by number or file name, as the API allows.
    pub(crate) fn workflow_named(&self, name: &str) -> Option<&Workflow> {
        self.workflows
            .iter()
            .find(|workflow| workflow.file == name || workflow.id.to_string() == name)
    }

    pub(crate) fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments
            .iter()
            .find(|environment| environment.name == name)
    }

    pub(crate) fn run(&self, id: u64) -> Option<&Run> {
        self.runs.iter().find(|run| run.id == id)
    }

    /// The newest commit of a branch.
    pub(crate) fn head(&self, branch: &str) -> Option<&Commit> {
        self.commits
            .iter()
            .rev()
            .find(|commit| commit.branch == branch)
    }

    /// A commit by full or short SHA, or by branch name.
    pub(crate) fn commit(&self, reference: &str) -> Option<&Commit> {
        let reference = reference.strip_prefix("heads/").unwrap_or(reference);
        self.head(reference).or_else(|| {
            let long_enough = reference.len() >= 7;
            self.commits
                .iter()
                .rev()
                .find(|commit| long_enough && commit.sha.starts_with(reference))
        })
    }

    /// Branch names, in order of first appearance.
    pub(crate) fn branches(&self) -> Vec<&str> {
        let mut names: Vec<&str> = vec![&self.default_branch];
        for commit in &self.commits {
            if !names.contains(&commit.branch.as_str()) {
                names.push(&commit.branch);
            }
        }
        names
    }

    /// Whether `login` may review `environment`, for a run `actor` started.
    pub(crate) fn may_review(&self, environment: &Environment, login: &str, actor: &str) -> bool {
        let by_team = |slug: &String| {
            self.teams
                .iter()
                .any(|team| team.slug == *slug && team.members.iter().any(|m| m == login))
        };
        let named = environment
            .reviewers
            .iter()
            .any(|reviewer| reviewer == login)
            || environment.teams.iter().any(by_team);
        named && !(environment.prevent_self_review && login == actor)
    }
}

impl Environment {
    /// Whether a person must say yes.
    pub(crate) fn needs_review(&self) -> bool {
        !self.reviewers.is_empty() || !self.teams.is_empty()
    }
}

impl Run {
    /// The attempt readers see.
    pub(crate) fn latest(&self) -> &Attempt {
        self.attempts
            .last()
            .expect("a run is made with its first attempt")
    }

    pub(crate) fn latest_mut(&mut self) -> &mut Attempt {
        self.attempts
            .last_mut()
            .expect("a run is made with its first attempt")
    }

    pub(crate) fn attempt(&self, number: u32) -> Option<&Attempt> {
        self.attempts
            .iter()
            .find(|attempt| attempt.number == number)
    }
}

impl Job {
    /// `status` and `conclusion` as the API words them.
    pub(crate) fn state(&self, now: Time) -> (&'static str, Option<&'static str>) {
        match &self.life {
            Life::Waiting { .. } => ("waiting", None),
            Life::Planned { starts, .. } if now < *starts => ("queued", None),
            Life::Planned { .. } => ("in_progress", None),
            Life::Over { conclusion, .. } => ("completed", Some(conclusion)),
        }
    }

    pub(crate) fn conclusion(&self) -> Option<&'static str> {
        match &self.life {
            Life::Over { conclusion, .. } => Some(conclusion),
            Life::Waiting { .. } | Life::Planned { .. } => None,
        }
    }
}

impl Attempt {
    /// `status` and `conclusion` of the run while this is its attempt.
    pub(crate) fn state(&self, now: Time) -> (&'static str, Option<&'static str>) {
        let states: Vec<_> = self.jobs.iter().map(|job| job.state(now)).collect();
        let any = |wanted: &str| states.iter().any(|(status, _)| *status == wanted);
        let over =
            self.jobs.len() >= self.expected && states.iter().all(|(s, _)| *s == "completed");
        if over {
            let ended = |wanted: &str| states.iter().any(|(_, end)| *end == Some(wanted));
            let conclusion = if ended("failure") {
                "failure"
            } else if self.cancelled || ended("cancelled") {
                "cancelled"
            } else {
                "success"
            };
            return ("completed", Some(conclusion));
        }
        if any("in_progress") {
            ("in_progress", None)
        } else if any("waiting") {
            ("waiting", None)
        } else if any("completed") {
            ("in_progress", None)
        } else {
            ("queued", None)
        }
    }
}
