//! What is to be written down, in the words of the domain.

use crate::domain::{
    action::{Order, Preview},
    id::{EnvironmentName, PlanId, ReleaseId, ServiceName},
    observation::ActionOutcome,
    permit::Identity,
    text::Clean,
};

/// One thing to write down. The ledger adds number, time, chain and writer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What happened.
    pub kind: EntryKind,
    /// To which plan it belongs.
    pub plan: Option<PlanId>,
    /// To which step of it, from 0; `None` = to all of it.
    pub step: Option<u32>,
    /// How many steps the plan has.
    pub steps: Option<u32>,
    /// The verb people used (`promote`).
    pub verb: Clean,
    /// Whether the plan only ever makes things safer.
    pub brake: bool,
    /// The order the step sends.
    pub order: Option<Order>,
    /// For which service.
    pub service: Option<ServiceName>,
    /// Where.
    pub environment: Option<EnvironmentName>,
    /// Which release.
    pub release: Option<ReleaseId>,
    /// What that release was made of.
    pub subject_digest: SubjectDigest,
    /// By which policy it was judged.
    pub policy_digest: Option<Clean>,
    /// Which report the decision rests on.
    pub report_digest: Option<Clean>,
    /// Who asked.
    pub actor: Actor,
    /// What is sent.
    pub request: Option<Preview>,
    /// The rule that was gone past, if one was.
    pub overridden: Option<Clean>,
    /// Why, in the actor's words.
    pub reason: Option<Clean>,
    /// How it ended; for [`EntryKind::Outcome`].
    pub outcome: Option<ActionOutcome>,
    /// Anything else a reader should know.
    pub note: Clean,
}

impl Entry {
    /// An entry of this kind by this actor, everything else unsaid.
    pub fn new(kind: EntryKind, verb: impl Into<Clean>, actor: Actor) -> Self {
        Self {
            kind,
            plan: None,
            step: None,
            steps: None,
            verb: verb.into(),
            brake: false,
            order: None,
            service: None,
            environment: None,
            release: None,
            subject_digest: SubjectDigest::default(),
            policy_digest: None,
            report_digest: None,
            actor,
            request: None,
            overridden: None,
            reason: None,
            outcome: None,
            note: Clean::default(),
        }
    }
}

/// What an entry says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// Something is about to be sent. On disk before it is.
    Intent,
    /// How that ended.
    Outcome,
    /// Something was asked for and not done; nothing was sent.
    Refused,
    /// The controller was made to look again.
    Nudge,
    /// Anything else worth keeping.
    Note,
}

impl EntryKind {
    /// The word in the ledger.
    pub fn word(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Refused => "refused",
            Self::Nudge => "nudge",
            Self::Note => "note",
        }
    }
}

/// What a release is made of, as far as is known. What is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectDigest {
    /// The commit.
    pub commit: Option<Clean>,
    /// The data it was trained on.
    pub data: Option<Clean>,
    /// The model and its version.
    pub model: Option<Clean>,
    /// The image's digest, else its tag.
    pub image: Option<Clean>,
    /// The configuration in force.
    pub config: Option<Clean>,
}

/// Who asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The operating system's name for the user.
    pub os_user: Clean,
    /// The name each backend touched gives for our credentials, and how that was
    /// learnt. A backend that does not tell is listed without a name.
    pub backends: Vec<Identity>,
}
