//! The newest line's number and hash, kept beside the ledger.
//!
//! A hash chain cannot notice that its end was cut off; this can. It is a
//! lower bound: written after the line is safe on disk and not forced to disk
//! itself, so after a power cut it may lag behind, never run ahead.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::store::{LedgerError, paths};

/// Bytes of the file; always the same, so that it is replaced in one write.
const WIDTH: usize = 128;

/// A line that was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

/// What was found where a checkpoint is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A checkpoint.
    Here(Checkpoint),
    /// Nothing.
    Nothing,
    /// Something that is no checkpoint.
    Unreadable,
}

/// Where the checkpoint of a ledger is kept.
pub fn path_of(ledger: &Path) -> PathBuf {
    paths::beside(ledger, "checkpoint")
}

/// Reads the checkpoint at `path`.
pub fn read(path: &Path) -> Kept {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(text.trim()).map_or(Kept::Unreadable, Kept::Here),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::Nothing,
        Err(_) => Kept::Unreadable,
    }
}

/// Replaces the checkpoint at `path`.
pub(super) fn write(path: &Path, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
    let text = serde_json::to_string(checkpoint).expect("a number and a string have a JSON form");
    let padded = format!("{text:<width$}\n", width = WIDTH - 1);
    let keep = |error| LedgerError::io("write", path, &error);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(keep)?;
    file.write_all(padded.as_bytes()).map_err(keep)?;
    if file.metadata().map_err(keep)?.len() != padded.len() as u64 {
        file.set_len(padded.len() as u64).map_err(keep)?;
    }
    Ok(())
}
