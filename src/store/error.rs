//! Why the ledger could not be read or written.

use std::{io, path::Path};

use crate::domain::text::Clean;

/// Why the ledger could not be read or written. Whoever gets it must not send
/// a throttle; a brake goes through the spool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The file system said no.
    #[error("could not {doing} `{path}`: {why}")]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// With which file.
        path: Clean,
        /// The system's words.
        why: Clean,
    },
    /// Another process has held the lock for too long.
    #[error("another process has kept the ledger's lock `{path}` for more than {seconds} s")]
    Locked {
        /// The lock file.
        path: Clean,
        /// How long was waited.
        seconds: u64,
    },
    /// The disk answers neither yes nor no.
    #[error("`{path}` takes too long: its disk hangs, or another process holds it")]
    Slow {
        /// The file.
        path: Clean,
    },
    /// The last line cannot be read, so nothing can be tied to it.
    #[error(
        "line {line} of the ledger `{path}` cannot be read, so nothing can follow it: run `gonogo audit verify`, \
         then move the file aside to start a new one"
    )]
    Broken {
        /// The ledger.
        path: Clean,
        /// The number of its last line.
        line: u64,
    },
}

impl LedgerError {
    pub(super) fn io(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io {
            doing,
            path: shown(path),
            why: Clean::line(&error.to_string()),
        }
    }
}

/// A path as it may be shown.
pub(super) fn shown(path: &Path) -> Clean {
    Clean::line(&path.to_string_lossy())
}
