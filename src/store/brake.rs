//! What a brake is written with: the ledger if it answers in time, else a spool.
//!
//! A disk that hangs says neither yes nor no. Nothing waits for it for long:
//! the line goes to a spool, and when no spool answers either, the person gets
//! the command to do it by hand. A line that has begun to be written when it is
//! given up may stand in the ledger and in a spool then; both are one line of
//! one plan and stamp, and taking over the spool leaves it out.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    domain::Timestamp,
    store::{Ledger, LedgerError, Written, entry::Entry, patience::in_time, spool},
};

/// How long a line of a brake waits for the ledger.
const LEDGER_MOST: Duration = Duration::from_secs(1);

/// Where a brake was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the ledger, as it should be.
    Ledger(Written),
    /// In a spool, because the ledger could not be written.
    Spool {
        /// Which.
        path: PathBuf,
        /// Why not in the ledger.
        why: LedgerError,
    },
}

/// A brake could be written down nowhere. It is not sent; the person gets the
/// command to do it by hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ledger}; and no spool could be written{}", list(.spools))]
pub struct Stranded {
    /// Why not in the ledger.
    pub ledger: LedgerError,
    /// Why not in each spool.
    pub spools: Vec<LedgerError>,
}

fn list(troubles: &[LedgerError]) -> String {
    let mut text = String::new();
    for trouble in troubles {
        text.push_str("; ");
        text.push_str(&trouble.to_string());
    }
    text
}

impl Ledger {
    /// Appends an entry of a brake; when the ledger cannot be written within a
    /// second, to a spool in another folder.
    ///
    /// # Errors
    ///
    /// It could be written nowhere in time.
    pub fn append_or_spool(
        self: &Arc<Self>,
        entry: &Entry,
        now: Timestamp,
    ) -> Result<Place, Stranded> {
        let (ledger, line) = (Arc::clone(self), entry.clone());
        let written = in_time(LEDGER_MOST, self.path(), move |_, turn| {
            ledger.append_if_awaited(&line, now, turn)
        });
        let why = match written {
            Ok(written) => return Ok(Place::Ledger(written)),
            Err(why) => why,
        };
        match spool::write(&self.paths.spools, entry, &self.here, now) {
            Ok(path) => Ok(Place::Spool { path, why }),
            Err(spools) => Err(Stranded {
                ledger: why,
                spools,
            }),
        }
    }
}
