//! A backend's own gate that waits for a person.

use crate::domain::{Timestamp, id::ApprovalId, text::Clean};

/// One environment of one run attempt that waits for a yes or no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingApproval {
    /// The run and the environment.
    pub id: ApprovalId,
    /// The attempt that waits; a rerun asks anew.
    pub attempt: u32,
    /// The commit that would be let through.
    pub head_sha: Clean,
    /// The environment's name.
    pub environment: Clean,
    /// Whether the holder of our credentials may answer; `None` = not said.
    pub may_approve: Option<bool>,
    /// Who may answer.
    pub reviewers: Vec<Clean>,
    /// When a wait timer, if any, lets it go on its own.
    pub timer_ends_at: Option<Timestamp>,
    /// Where people answer in a browser.
    pub url: Clean,
}

/// An answer somebody has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// The run and the environment.
    pub id: ApprovalId,
    /// The environment's name.
    pub environment: Clean,
    /// The answer.
    pub answer: Answer,
    /// Who gave it.
    pub user: Clean,
    /// What they said.
    pub comment: Clean,
}

/// Yes, no, or a word this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Yes.
    Approved,
    /// No.
    Rejected,
    /// Neither; shown as it came.
    Unknown(Clean),
}
