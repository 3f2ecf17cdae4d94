//! The smallest audited instructions, and what the person saw when giving them.
//!
//! Actions come in families (rollout, approval, run, model). A backend
//! implements the families it owns; a new verb touches its family only.

use std::fmt;

use crate::domain::{
    Timestamp,
    id::{ApprovalId, ModelId, PipelineId, RunId, TargetId, Version},
    text::Clean,
};

/// One instruction and what its giver saw: the unit that is cleared, written to
/// the ledger, sent once and verified.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// To a rollout controller.
    Rollout(RolloutOrder),
    /// To a backend's own gate.
    Approval(ApprovalOrder),
    /// To a pipeline.
    Run(RunOrder),
    /// To a model registry.
    Model(ModelOrder),
}

impl Order {
    /// What it acts on.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Rollout(order) => Subject::Rollout(order.target.clone()),
            Self::Approval(order) => Subject::Approval(order.approval.clone()),
            Self::Run(order) => match &order.action {
                RunAction::Dispatch { .. } => Subject::Pipeline(order.pipeline.clone()),
                RunAction::RerunAll | RunAction::RerunFailed | RunAction::Cancel => order
                    .run
                    .clone()
                    .map_or_else(|| Subject::Pipeline(order.pipeline.clone()), Subject::Run),
            },
            Self::Model(order) => Subject::Model(order.model.clone()),
        }
    }

    /// Which kind of instruction it is.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Rollout(order) => order.action.kind(),
            Self::Approval(order) => match order.answer {
                Say::Yes => ActionKind::Approve,
                Say::No => ActionKind::Reject,
            },
            Self::Run(order) => match order.action {
                RunAction::RerunAll => ActionKind::RerunAll,
                RunAction::RerunFailed => ActionKind::RerunFailed,
                RunAction::Cancel => ActionKind::Cancel,
                RunAction::Dispatch { .. } => ActionKind::Dispatch,
            },
            Self::Model(_) => ActionKind::SetAlias,
        }
    }
}

/// What an order acts on; the key of permits and of "one throttle at a time".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A rollout.
    Rollout(TargetId),
    /// A waiting environment of a run.
    Approval(ApprovalId),
    /// A run.
    Run(RunId),
    /// A pipeline.
    Pipeline(PipelineId),
    /// A registered model.
    Model(ModelId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rollout(target) => {
                write!(
                    f,
                    "rollout {}:{}/{}",
                    target.backend, target.namespace, target.name
                )
            }
            Self::Approval(approval) => {
                write!(
                    f,
                    "approval {}/{}#{} environment {}",
                    approval.run.backend, approval.run.repo, approval.run.id, approval.environment
                )
            }
            Self::Run(run) => write!(f, "run {}/{}#{}", run.backend, run.repo, run.id),
            Self::Pipeline(pipeline) => {
                write!(
                    f,
                    "pipeline {}/{}/{}",
                    pipeline.backend, pipeline.repo, pipeline.workflow
                )
            }
            Self::Model(model) => write!(f, "model {}/{}", model.backend, model.name),
        }
    }
}

/// Kinds of instructions, for permits and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the verb of the enum it stands for")]
pub enum ActionKind {
    Hold,
    Resume,
    Continue,
    Switch,
    Skip,
    PromoteFull,
    Abort,
    Retry,
    Undo,
    Restart,
    Nudge,
    Approve,
    Reject,
    RerunAll,
    RerunFailed,
    Cancel,
    Dispatch,
    SetAlias,
}

impl ActionKind {
    /// The word in the ledger and on screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Continue => "continue",
            Self::Switch => "switch",
            Self::Skip => "skip",
            Self::PromoteFull => "promote-full",
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Undo => "undo",
            Self::Restart => "restart",
            Self::Nudge => "nudge",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::RerunAll => "rerun-all",
            Self::RerunFailed => "rerun-failed",
            Self::Cancel => "cancel",
            Self::Dispatch => "dispatch",
            Self::SetAlias => "set-alias",
        }
    }
}

/// An instruction to a rollout controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutOrder {
    /// Which rollout.
    pub target: TargetId,
    /// What to do.
    pub action: RolloutAction,
    /// What the giver saw.
    pub seen: RolloutSeen,
}

/// What a rollout controller can be told. Each names one effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RolloutAction {
    /// Stop at the present weight.
    Hold,
    /// Undo a hold; the step goes on where it was.
    Resume,
    /// End the pause step.
    Continue,
    /// End the pause before a blue/green switch: all users move at once, and
    /// what is judged after that is judged.
    Switch {
        /// A countdown to the switch runs, and ends now.
        early: bool,
    },
    /// Leave the running step; go to this index.
    Skip {
        /// The absolute step index to stand at afterwards.
        to: u32,
    },
    /// Everything to the wanted revision, without further steps.
    PromoteFull,
    /// Traffic to stable; the spec stays.
    Abort,
    /// Start an aborted rollout again from its beginning.
    Retry {
        /// What was judged around a blue/green switch is forgotten; else its
        /// controller goes by it again.
        anew: bool,
    },
    /// Put the revision with this pod-template hash into the spec.
    Undo {
        /// The hash to go back to.
        hash: Clean,
    },
    /// Replace all pods, a few at a time.
    Restart {
        /// The instant written into the spec; pods older than it are replaced.
        at: Timestamp,
    },
    /// Touch an annotation, so that the controller looks again.
    Nudge {
        /// The instant written.
        at: Timestamp,
    },
}

impl RolloutAction {
    /// Its kind.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Hold => ActionKind::Hold,
            Self::Resume => ActionKind::Resume,
            Self::Continue => ActionKind::Continue,
            Self::Switch { .. } => ActionKind::Switch,
            Self::Skip { .. } => ActionKind::Skip,
            Self::PromoteFull => ActionKind::PromoteFull,
            Self::Abort => ActionKind::Abort,
            Self::Retry { .. } => ActionKind::Retry,
            Self::Undo { .. } => ActionKind::Undo,
            Self::Restart { .. } => ActionKind::Restart,
            Self::Nudge { .. } => ActionKind::Nudge,
        }
    }
}

/// What the giver saw of a rollout. Becomes the request's precondition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RolloutSeen {
    /// The object's uid.
    pub uid: Clean,
    /// Hash of the wanted revision.
    pub pod_hash: Option<Clean>,
    /// The step it stood at; not checked for brakes.
    pub step: Option<u32>,
    /// Since when it was paused. No precondition: a later pause for the same
    /// reason shows that the one seen was ended. Not kept in the ledger.
    pub paused_since: Option<Timestamp>,
}

/// An answer to a backend's own gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalOrder {
    /// The run and the environment.
    pub approval: ApprovalId,
    /// Yes or no.
    pub answer: Say,
    /// Why, kept by the backend.
    pub comment: Clean,
    /// What the giver saw.
    pub seen: ApprovalSeen,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Say {
    /// Let it through.
    Yes,
    /// Do not.
    No,
}

/// What the giver saw of a waiting environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApprovalSeen {
    /// The attempt that waited.
    pub attempt: u32,
    /// The commit that would be let through.
    pub head_sha: Clean,
    /// The environment's name.
    pub environment: Clean,
}

/// An instruction to a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOrder {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The run; absent for a dispatch.
    pub run: Option<RunId>,
    /// What to do.
    pub action: RunAction,
    /// The attempt the giver saw; 0 for a dispatch.
    pub seen_attempt: u32,
}

/// What a pipeline can be told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RunAction {
    /// Run all jobs again, as a new attempt.
    RerunAll,
    /// Run the failed jobs again, as a new attempt.
    RerunFailed,
    /// Stop it.
    Cancel,
    /// Start a new run.
    Dispatch {
        /// The branch or tag.
        reference: Clean,
        /// Its inputs.
        inputs: Vec<(Clean, Clean)>,
    },
}

/// Point an alias of a registered model at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelOrder {
    /// The model.
    pub model: ModelId,
    /// The alias.
    pub alias: Clean,
    /// Where it shall point.
    pub to: Version,
    /// Where the giver saw it point; `None` = it did not exist.
    pub expected: Option<Version>,
}

/// What would be sent, for sheets, `--dry-run`, the ledger and the command to
/// paste when nothing else is left. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The HTTP method.
    pub method: &'static str,
    /// Path and query, without host.
    pub path: Clean,
    /// The body's content type.
    pub content_type: &'static str,
    /// The body, or in words what it is made of at send time.
    pub body: Clean,
    /// The strongest check the API offers against acting on a changed target.
    pub check: Clean,
    /// A command that does the same by hand.
    pub command: Clean,
}

/// What a backend answered to a request. Accepted is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The HTTP status.
    pub status: u16,
    /// The object's version counter in the answer, when it is a number.
    pub version: Option<u64>,
    /// What the answer names that matters later (a dispatched run's id).
    pub note: Clean,
}
