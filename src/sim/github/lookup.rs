//! Finding things in the state, and reading off what they are at a moment.

use crate::sim::github::model::{
    Attempt, Commit, Environment, Hub, Ids, Job, Life, Person, Repo, Run, Time, Workflow,
};

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
