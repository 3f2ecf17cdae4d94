//! What an adapter reports when it has no answer.

use std::time::Duration;

pub use crate::domain::backend::ErrorKind;
use crate::{backend::secret::redactor, domain::text::Clean};

/// Why there is no answer. Its text is clean and free of our credentials, so it
/// may be shown, logged and written to the ledger as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct BackendError {
    /// What the program branches on.
    pub kind: ErrorKind,
    /// What a person reads: the thing, the place, the backend's words.
    pub message: Clean,
    /// How long the backend asked us to stay away.
    pub retry_after: Option<Duration>,
}

impl BackendError {
    /// An error of this kind with these words, from which every credential
    /// resolved so far is taken out.
    pub fn new(kind: ErrorKind, message: impl Into<Clean>) -> Self {
        Self {
            kind,
            message: redactor::redact_clean(message.into()),
            retry_after: None,
        }
    }

    /// The same with the time the backend asked for.
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}
