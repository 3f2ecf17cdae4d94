//! How a backend is doing, in words that screens and `doctor` share.

use std::fmt;

use crate::domain::{Timestamp, text::Clean};

/// What went wrong, as far as it decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No connection, no name, reset, TLS failure.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// Our credentials were refused (401), or could not be obtained.
    Unauthenticated,
    /// We are known and may not (403).
    Forbidden,
    /// No such thing, or it is hidden from us (404).
    NotFound,
    /// The target is not what it was (409, 412, failed precondition).
    Conflict,
    /// The request makes no sense to the backend (400, 422).
    Rejected,
    /// Too many requests (429, or 403 with an exhausted budget).
    RateLimited,
    /// The backend's own fault (5xx).
    Server,
    /// An answer that cannot be read: not JSON, cut off, wrong types, too large.
    Malformed,
    /// It may have happened all the same; only looking can tell.
    Ambiguous,
    /// The configuration makes it impossible.
    Configuration,
}

impl ErrorKind {
    /// Short words for the backend's line on screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "not reached",
            Self::Timeout => "no answer in time",
            Self::Unauthenticated => "credentials refused",
            Self::Forbidden => "not permitted",
            Self::NotFound => "not found",
            Self::Conflict => "changed meanwhile",
            Self::Rejected => "request refused",
            Self::RateLimited => "rate limit reached",
            Self::Server => "server error",
            Self::Malformed => "unreadable answer",
            Self::Ambiguous => "outcome unknown",
            Self::Configuration => "configuration",
        }
    }

    /// What a person can do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Unreachable => "check the address, the network and the proxy",
            Self::Timeout => "the backend is slow or gone; it is asked again by itself",
            Self::Unauthenticated => "renew the credentials or sign in again",
            Self::Forbidden => "ask for the permission it names",
            Self::NotFound => "check the name; a missing permission can look like this too",
            Self::Conflict => "look again, then repeat",
            Self::Rejected => "read the backend's message; the request will not succeed as it is",
            Self::RateLimited => "wait for the reset time; the cadence slows by itself",
            Self::Server => "the backend is in trouble; it is asked again by itself",
            Self::Malformed => "something between us and the backend answers instead of it",
            Self::Ambiguous => "wait: it is settled by looking",
            Self::Configuration => "run `gonogo config check`",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What is left of a request budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Requests left in the window.
    pub left: u64,
    /// Requests allowed in the window.
    pub limit: u64,
    /// When the window starts anew.
    pub resets_at: Timestamp,
}

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its version, as it spells it.
    pub version: Clean,
    /// Its clock minus ours, in milliseconds, as far as one answer can tell.
    pub skew_ms: Option<i64>,
}
