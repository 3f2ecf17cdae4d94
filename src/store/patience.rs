//! Waiting for a disk that may never answer.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use crate::store::{LedgerError, error::shown};

/// Whether somebody still waits for a piece of work.
#[derive(Debug, Default)]
pub(super) struct Turn(AtomicBool);

impl Turn {
    /// Asked right before something is written: what was given up is not to be
    /// written later, when everybody has gone on without it.
    pub(super) fn is_awaited(&self, path: &Path) -> Result<(), LedgerError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(LedgerError::Slow { path: shown(path) });
        }
        Ok(())
    }
}

/// Does something with a file, and waits for it no longer than this. Nothing
/// ends a call that the disk does not answer, so it is left on a thread of its own.
pub(super) fn in_time<T: Send + 'static>(
    most: Duration,
    path: &Path,
    work: impl FnOnce(&Path, &Turn) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let turn = Arc::new(Turn::default());
    let (done, end) = mpsc::sync_channel(1);
    let theirs = Arc::clone(&turn);
    let file = PathBuf::from(path);
    let started = thread::Builder::new().spawn(move || {
        // Nobody waits any more: that is what the turn is for.
        drop(done.send(work(&file, &theirs)));
    });
    started.map_err(|error| LedgerError::io("start a thread for", path, &error))?;
    match end.recv_timeout(most) {
        Ok(end) => end,
        Err(RecvTimeoutError::Timeout) => {
            turn.0.store(true, Ordering::SeqCst);
            Err(LedgerError::Slow { path: shown(path) })
        }
        Err(RecvTimeoutError::Disconnected) => {
            let stopped = std::io::Error::other("its thread stopped");
            Err(LedgerError::io("work on", path, &stopped))
        }
    }
}
