//! Runs, jobs and steps, and the two axes every status has.

use crate::domain::{
    Timestamp,
    id::{JobId, PipelineId, RunId, Version},
    text::Clean,
};

/// How far something has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Accepted, not started; no person can hurry it.
    Queued,
    /// Held until a person or a rule lets it go.
    Waiting,
    /// At work.
    Running,
    /// Over; [`RunStatus::outcome`] says how.
    Ended,
    /// A word this version does not know. Never counted as progress.
    Unknown(Clean),
}

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did what it was for.
    Succeeded,
    /// It did not.
    Failed,
    /// A person or a newer run stopped it.
    Cancelled,
    /// It was not needed.
    Skipped,
    /// It ended without saying yes or no.
    Neutral,
    /// A word this version does not know. Never counted as success.
    Unknown(Clean),
}

/// What a status adds to its phase and outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent remarks, each a bit of its own"
)]
pub struct StatusFlags {
    /// Succeeded with issues.
    pub warn: bool,
    /// A timer's doing: it waits for one and not for a person, or one ended it.
    pub timed: bool,
    /// A cancel is under way.
    pub stopping: bool,
    /// The machine's fault, not the work's.
    pub infra: bool,
    /// The definition is broken.
    pub config: bool,
}

/// Phase and outcome, with what the backend said about them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunStatus {
    /// How far it has come.
    pub phase: Phase,
    /// How it ended; `Some` exactly when the phase is [`Phase::Ended`].
    pub outcome: Option<Outcome>,
    /// Remarks.
    pub flags: StatusFlags,
    /// The backend's own word or reason, when it says more.
    pub reason: Option<Clean>,
}

impl RunStatus {
    /// A status that has not ended.
    pub fn at(phase: Phase) -> Self {
        Self {
            phase,
            outcome: None,
            flags: StatusFlags::default(),
            reason: None,
        }
    }

    /// A status that has ended.
    pub fn ended(outcome: Outcome) -> Self {
        Self {
            phase: Phase::Ended,
            outcome: Some(outcome),
            flags: StatusFlags::default(),
            reason: None,
        }
    }

    /// The same with the backend's word.
    pub fn because(mut self, reason: impl Into<Clean>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Whether it failed before it could say anything about the work: its time
    /// was up, its machine went away, its definition is broken.
    pub fn broke_down(&self) -> bool {
        let StatusFlags {
            timed,
            infra,
            config,
            warn: _,
            stopping: _,
        } = self.flags;
        self.outcome == Some(Outcome::Failed) && (timed || infra || config)
    }

    /// Whether it is over and did what it was for.
    pub fn has_succeeded(&self) -> bool {
        self.outcome == Some(Outcome::Succeeded)
    }

    /// The status in one word for people; an unknown word is shown as it came.
    pub fn word(&self) -> &str {
        match (&self.phase, &self.outcome) {
            (Phase::Queued, _) => "queued",
            (Phase::Waiting, _) => "waiting",
            (Phase::Running, _) => "running",
            (Phase::Unknown(text), _) | (Phase::Ended, Some(Outcome::Unknown(text))) => text,
            (Phase::Ended, Some(Outcome::Succeeded)) => "succeeded",
            (Phase::Ended, Some(Outcome::Failed)) => "failed",
            (Phase::Ended, Some(Outcome::Cancelled)) => "cancelled",
            (Phase::Ended, Some(Outcome::Skipped)) => "skipped",
            (Phase::Ended, Some(Outcome::Neutral)) => "neutral",
            (Phase::Ended, None) => "ended",
        }
    }
}

/// A named phase of a release's run. Jobs are sorted into these by their names
/// or by the service's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// What started it.
    Trigger,
    /// Checking out, installing, preparing.
    Setup,
    /// Code and data tests.
    Validate,
    /// Training.
    Train,
    /// Evaluation against the champion.
    Evaluate,
    /// Building the image.
    Package,
    /// Staging and production.
    Deploy,
    /// Watching it live.
    Monitor,
}

impl Stage {
    /// All stages in the order a release passes them.
    pub const ALL: [Self; 8] = [
        Self::Trigger,
        Self::Setup,
        Self::Validate,
        Self::Train,
        Self::Evaluate,
        Self::Package,
        Self::Deploy,
        Self::Monitor,
    ];

    /// Its name in configuration and on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Setup => "setup",
            Self::Validate => "validate",
            Self::Train => "train",
            Self::Evaluate => "evaluate",
            Self::Package => "package",
            Self::Deploy => "deploy",
            Self::Monitor => "monitor",
        }
    }

    /// The stage a job most likely belongs to, by the words in its name;
    /// [`Stage::Validate`] when nothing is said, since an unnamed job checks something.
    pub fn guess(job_name: &str) -> Self {
        const WORDS: &[(&str, Stage)] = &[
            ("monitor", Stage::Monitor),
            ("observe", Stage::Monitor),
            ("deploy", Stage::Deploy),
            ("staging", Stage::Deploy),
            ("smoke", Stage::Deploy),
            ("canary", Stage::Deploy),
            ("rollout", Stage::Deploy),
            ("approve", Stage::Deploy),
            ("prod", Stage::Deploy),
            ("build", Stage::Package),
            ("package", Stage::Package),
            ("image", Stage::Package),
            ("docker", Stage::Package),
            ("scan", Stage::Package),
            ("eval", Stage::Evaluate),
            ("fairness", Stage::Evaluate),
            ("explain", Stage::Evaluate),
            ("train", Stage::Train),
            ("fit", Stage::Train),
            ("test", Stage::Validate),
            ("lint", Stage::Validate),
            ("data", Stage::Validate),
            ("valid", Stage::Validate),
            ("setup", Stage::Setup),
            ("prepare", Stage::Setup),
            ("checkout", Stage::Setup),
            ("install", Stage::Setup),
        ];
        let name = job_name.to_ascii_lowercase();
        WORDS
            .iter()
            .find(|(word, _)| name.contains(word))
            .map_or(Self::Validate, |(_, stage)| *stage)
    }
}

/// One execution of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// Of which definition.
    pub pipeline: PipelineId,
    /// The number people use for it.
    pub number: u64,
    /// The current attempt, from 1.
    pub attempt: u32,
    /// What it is about, in the pusher's words.
    pub title: Clean,
    /// The branch or tag it runs on.
    pub branch: Clean,
    /// The full commit id as the backend gives it.
    pub head_sha: Clean,
    /// What started it (`push`, `workflow_dispatch`).
    pub event: Clean,
    /// Who started it.
    pub actor: Clean,
    /// Where it stands.
    pub status: RunStatus,
    /// Where people see it.
    pub url: Clean,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When the current attempt started.
    pub started_at: Option<Timestamp>,
    /// When it last changed; for an ended run the best known end.
    pub updated_at: Option<Timestamp>,
    /// The registered models the deployments of its commit say they bring.
    pub models: Vec<(Clean, Version)>,
}

/// One unit of work on one runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Which.
    pub id: JobId,
    /// Which attempt of the run it belongs to.
    pub attempt: u32,
    /// Its name.
    pub name: Clean,
    /// The phase of the release it belongs to.
    pub stage: Stage,
    /// Where it stands.
    pub status: RunStatus,
    /// Where it runs, once known.
    pub runner: Option<Clean>,
    /// When it started; absent while queued.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Where people see it.
    pub url: Clean,
    /// Its steps in order.
    pub steps: Vec<Step>,
}

/// The smallest thing inside a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its place, from 1.
    pub number: u32,
    /// Its name.
    pub name: Clean,
    /// Where it stands.
    pub status: RunStatus,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_names_find_their_stage() {
        for (name, stage) in [
            ("train / ranker", Stage::Train),
            ("Unit tests", Stage::Validate),
            ("evaluate-vs-champion", Stage::Evaluate),
            ("build-image", Stage::Package),
            ("deploy-staging", Stage::Deploy),
            ("setup", Stage::Setup),
            ("mystery", Stage::Validate),
        ] {
            assert_eq!(Stage::guess(name), stage, "{name}");
        }
    }

    #[test]
    fn an_unknown_word_is_shown_and_is_no_success() {
        let status = RunStatus::ended(Outcome::Unknown("exploded".into()));
        assert_eq!(status.word(), "exploded");
        assert!(!status.has_succeeded());
    }
}
