//! The engine's only input: what was answered, what failed, what was done.

use std::sync::Arc;

use crate::domain::{
    Timestamp,
    action::{Order, Receipt, Subject},
    approval::{PendingApproval, Review},
    backend::{Budget, ErrorKind, Server},
    catalog::Catalog,
    id::{
        ApprovalId, BackendId, EnvironmentName, JobId, ModelId, PlanId, ReleaseId, RunId,
        ServiceName, TargetId, Version,
    },
    measure::{Arm, Measure, MetricId, Series, Windows},
    model::{ModelRun, ModelVersion, RegisteredModel},
    permit::{Identity, Permit},
    pipeline::{Job, Run},
    rollout::Rollout,
    text::Clean,
};

/// One thing that became known.
#[derive(Clone, Debug)]
pub enum Observation {
    /// The configuration in force.
    Catalog(Arc<Catalog>),
    /// An answer.
    Batch(Batch),
    /// No answer.
    Failure(Failure),
    /// Something happened to a plan of ours.
    Plan(PlanEvent),
    /// Something people should know that has no better place.
    Note {
        /// When.
        at: Timestamp,
        /// What.
        text: Clean,
    },
}

/// What part of a backend an answer speaks for. A complete answer removes what
/// it omits, in its own scope only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// Whose.
    pub backend: BackendId,
    /// Which part (`runs acme/recsys ml-cicd.yml`, `rollouts recsys`).
    pub part: Clean,
}

impl Scope {
    /// A scope of a backend.
    pub fn new(backend: &BackendId, part: impl Into<Clean>) -> Self {
        Self {
            backend: backend.clone(),
            part: part.into(),
        }
    }
}

/// One answer of one backend about one scope.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What it speaks for.
    pub scope: Scope,
    /// Whether it is the full truth in scope.
    pub complete: bool,
    /// How it came.
    pub basis: Basis,
    /// When it had arrived.
    pub at: Timestamp,
    /// What it says.
    pub facts: Vec<Fact>,
    /// What is gone for certain (watches say so one by one).
    pub gone: Vec<Key>,
}

/// How an answer came, which decides what it can prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// To a request that began at this instant: it shows the truth of some
    /// instant after it.
    Asked(Timestamp),
    /// By itself (a watch event): only its version counter tells how new it is.
    Told,
}

/// A request that brought no answer.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was asked about.
    pub scope: Scope,
    /// When it failed.
    pub at: Timestamp,
    /// What kind of trouble.
    pub kind: ErrorKind,
    /// The backend's words, cleaned, without secrets.
    pub message: Clean,
    /// When it will be asked again.
    pub retry_at: Option<Timestamp>,
}

/// One fact.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A run.
    Run(Run),
    /// A job with its steps.
    Job(Job),
    /// A gate that waits for a person.
    Approval(PendingApproval),
    /// An answer a person gave.
    Review(Review),
    /// A registered model with its aliases.
    Model(RegisteredModel),
    /// A version of it.
    Version(ModelVersion),
    /// The run behind a version.
    ModelRun(ModelRun),
    /// A rollout with its revisions and analyses.
    Rollout(Box<Rollout>),
    /// An instant value.
    Measure(Measure),
    /// Values over time.
    Series(Series),
    /// A metric in windows that do not overlap.
    Windows(Windows),
    /// What may be done.
    Permit(Permit),
    /// Who we are there.
    Identity(Identity),
    /// What is left of the budget.
    Budget(Budget),
    /// What the server says about itself.
    Server(Server),
}

/// Names one thing the world holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A run.
    Run(RunId),
    /// A job.
    Job(JobId),
    /// A waiting gate.
    Approval(ApprovalId),
    /// A registered model.
    Model(ModelId),
    /// A version.
    Version(ModelId, Version),
    /// The run behind a version.
    ModelRun(ModelId, Version),
    /// A rollout.
    Rollout(TargetId),
    /// An instant value.
    Measure(MetricId, Arm),
    /// Values over time.
    Series(MetricId, Arm),
    /// A metric in windows.
    Windows(MetricId),
}

/// What happened to a plan of ours (or, from the ledger, of another process).
#[derive(Clone, Debug)]
pub struct PlanEvent {
    /// Which plan.
    pub plan: PlanId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: PlanProgress,
}

/// What happened to a plan.
#[derive(Clone, Debug)]
pub enum PlanProgress {
    /// It was cleared and begins.
    Started(Box<PlanStart>),
    /// Step `step` goes out now; its intent line is on disk.
    Sending {
        /// Index of the step.
        step: usize,
    },
    /// Step `step` was answered; the send began and ended at these instants.
    Answered {
        /// Index of the step.
        step: usize,
        /// What the backend answered, or why it is not known whether it took it.
        receipt: Result<Receipt, Clean>,
        /// When the send returned. Only what is asked after it can prove anything.
        returned_at: Timestamp,
    },
    /// Step `step` was nudged: the controller was made to look again.
    Nudged {
        /// Index of the step.
        step: usize,
    },
    /// Step `step` was seen to have its effect.
    Seen {
        /// Index of the step.
        step: usize,
    },
    /// Step `step` did not come about, and the plan goes on without it.
    PassedOver {
        /// Index of the step.
        step: usize,
    },
    /// The plan is over.
    Ended {
        /// How.
        outcome: ActionOutcome,
        /// Why, in words.
        note: Clean,
    },
}

/// The head of a plan as it is remembered.
#[derive(Clone, Debug)]
pub struct PlanStart {
    /// The verb people used (`promote`).
    pub verb: Clean,
    /// For which service.
    pub service: ServiceName,
    /// Where.
    pub environment: Option<EnvironmentName>,
    /// Which release.
    pub release: Option<ReleaseId>,
    /// Who asked.
    pub actor: Clean,
    /// What the whole plan acts on.
    pub subject: Subject,
    /// Whether it only ever makes things safer.
    pub brake: bool,
    /// The orders, in order.
    pub orders: Vec<Order>,
}

/// How an action ended. There is no "done because accepted".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActionOutcome {
    /// The effect was seen after the send.
    Confirmed,
    /// Nothing was sent: gonogo said no.
    Refused,
    /// It did not happen: the backend said no or was not reached.
    Failed,
    /// It may have happened; it is being looked at.
    Unknown,
    /// The plan stopped part-way.
    Partial,
}

impl ActionOutcome {
    /// The word in the ledger and on screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Partial => "partial",
        }
    }
}
