//! What may be done, as an observed fact.

use crate::domain::{
    Timestamp,
    action::{ActionKind, Subject},
    id::BackendId,
    text::Clean,
};

/// Whether the holder of our credentials may do one thing to one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// To what.
    pub subject: Subject,
    /// What.
    pub kind: ActionKind,
    /// Yes or no.
    pub allowed: bool,
    /// Why not, or who could.
    pub why: Clean,
    /// When it was answered. A brake is stopped by a fresh no only, so a no needs its age.
    pub seen_at: Timestamp,
    /// How long the answer counts.
    pub until: Timestamp,
}

/// The name a backend gives for our credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who says so.
    pub backend: BackendId,
    /// The name; `None` = it does not tell.
    pub name: Option<Clean>,
    /// How that was learnt (`GET /user`, `SelfSubjectReview`).
    pub learnt_by: Clean,
}
