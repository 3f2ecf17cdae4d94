//! Where brakes are written down when the ledger cannot be.
//!
//! A brake must not wait for a full disk. Its lines go to the first spool that
//! takes them and are taken over into the ledger once it can be written again.
//! Spooled lines are sealed by their own hash but stand in no chain.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::{
    domain::{Timestamp, id::PlanId},
    store::{
        LedgerError, chain,
        entry::Entry,
        file,
        patience::{Turn, in_time},
        record::{Record, RecordKind},
        wire::Line,
        writer::Writer,
    },
};

/// How long a line waits for one spool. Folders may share a disk that hangs, so
/// each has its own time.
const SPOOL_MOST: Duration = Duration::from_millis(500);

/// Writes an entry to the first spool that takes it, and says which that was.
/// When none does, says why for each.
pub(super) fn write(
    spools: &[PathBuf],
    entry: &Entry,
    writer: &Writer,
    now: Timestamp,
) -> Result<PathBuf, Vec<LedgerError>> {
    let (text, _) = Line::of(entry, writer, now).sealed();
    let mut troubles = Vec::new();
    for spool in spools {
        let line = text.clone();
        match in_time(SPOOL_MOST, spool, move |spool, turn| {
            write_to(spool, &line, turn)
        }) {
            Ok(()) => return Ok(spool.clone()),
            Err(trouble) => troubles.push(trouble),
        }
    }
    Err(troubles)
}

fn write_to(spool: &Path, text: &str, turn: &Turn) -> Result<(), LedgerError> {
    file::make_folder(spool)?;
    owned_by_us(spool)?;
    let trouble = |error| LedgerError::io("write", spool, &error);
    let mut file = file::private()
        .append(true)
        .create(true)
        .open(spool)
        .map_err(trouble)?;
    file.lock().map_err(trouble)?;
    turn.is_awaited(spool)?;
    file.write_all(text.as_bytes()).map_err(trouble)?;
    file.sync_all().map_err(trouble)
}

/// A folder that others may write to could hold anything.
fn owned_by_us(spool: &Path) -> Result<(), LedgerError> {
    #[cfg(unix)]
    if let Some(folder) = spool.parent() {
        use std::os::unix::fs::PermissionsExt as _;
        let trouble = |error| LedgerError::io("trust", folder, &error);
        let mode = fs::metadata(folder).map_err(trouble)?.permissions().mode();
        if mode & 0o022 != 0 {
            return Err(trouble(std::io::Error::other("others may write to it")));
        }
    }
    Ok(())
}

/// The lines of a ledger by the hash each would have in a spool: without its
/// place in the chain.
pub(super) fn also_here(ledger: &Path) -> Result<BTreeSet<String>, LedgerError> {
    let bytes = fs::read(ledger).map_err(|error| LedgerError::io("read", ledger, &error))?;
    let bare = |line: &[u8]| {
        let mut value: Value = serde_json::from_slice(line).ok()?;
        let members = value.as_object_mut()?;
        members.shift_remove("seq");
        members.shift_remove("prev");
        chain::hash_of(&value).ok()
    };
    Ok(bytes
        .split(|byte| *byte == b'\n')
        .filter_map(bare)
        .collect())
}

/// A step of a plan; `None` = all of it.
pub(super) type Step = (Option<PlanId>, Option<u32>);

/// The plans and steps whose outcome is in a spool and not in the ledger yet.
pub(super) fn ended(spools: &[PathBuf]) -> Result<BTreeSet<Step>, LedgerError> {
    let mut ended = BTreeSet::new();
    for path in spools {
        let Some(spool) = Opened::open(path)? else {
            continue;
        };
        ended.extend(
            spool
                .lines()
                .flatten()
                .filter(|(line, _)| line.outcome.is_some())
                .map(|(line, _)| (line.plan.as_ref().map(PlanId::new), line.step)),
        );
    }
    Ok(ended)
}

/// The brakes whose intents wait in a spool.
pub(super) fn brakes(spools: &[PathBuf]) -> Result<Vec<Record>, LedgerError> {
    let mut brakes = Vec::new();
    for path in spools {
        let Some(spool) = Opened::open(path)? else {
            continue;
        };
        let whole = spool
            .lines()
            .zip(&spool.lines)
            .filter(|(line, _)| line.is_ok());
        let records = whole.filter_map(|(_, text)| Record::read(text));
        brakes.extend(records.filter(|line| line.brake && line.kind == RecordKind::Intent));
    }
    Ok(brakes)
}

/// A spool that is being taken over; locked until dropped.
pub(super) struct Opened {
    file: File,
    lines: Vec<Vec<u8>>,
}

impl Opened {
    /// Opens and locks a spool; `None` when there is nothing in it.
    pub(super) fn open(spool: &Path) -> Result<Option<Self>, LedgerError> {
        let trouble = |error| LedgerError::io("read", spool, &error);
        match fs::metadata(spool) {
            Ok(about) if about.len() > 0 => {}
            Ok(_) => return Ok(None),
            // A folder that is none or not ours to look into holds nothing of ours.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(trouble(error)),
        }
        owned_by_us(spool)?;
        let file = File::options()
            .read(true)
            .write(true)
            .open(spool)
            .map_err(trouble)?;
        file.lock().map_err(trouble)?;
        let bytes = fs::read(spool).map_err(trouble)?;
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        Ok(Some(Self { file, lines }))
    }

    /// Its lines, each with its hash, or as it is when it is not whole.
    pub(super) fn lines(&self) -> impl Iterator<Item = Result<(Line, String), &[u8]>> {
        self.lines.iter().map(|text| {
            let whole = || {
                let value: Value = serde_json::from_slice(text).ok()?;
                let line: Line = serde_json::from_value(value.clone()).ok()?;
                let sound = chain::hash_of(&value).ok()? == line.hash;
                sound.then(|| (line.clone(), line.hash))
            };
            whole().ok_or(text.as_slice())
        })
    }

    /// Empties it, once everything has been taken over.
    pub(super) fn empty(self, spool: &Path) -> Result<(), LedgerError> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.sync_all())
            .map_err(|error| LedgerError::io("empty", spool, &error))
    }
}
