//! Which revision each rollout was seen fully on, kept from process to process.
//!
//! One JSON object a line, beside the ledger. It is a memory and no evidence:
//! it orders and explains roll-back targets, and losing it loses nothing else.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{Timestamp, id::TargetId, text::Clean},
    store::{
        LedgerError, file, order, paths,
        patience::in_time,
        wire::{self, SubjectName},
    },
};

/// How long a start waits for what is only a memory.
const MOST: Duration = Duration::from_secs(1);

/// A revision that was seen holding all traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Whose.
    pub target: TargetId,
    /// Its pod-template hash.
    pub hash: Clean,
    /// Its name then, for when the cluster does not keep it any more.
    pub name: Clean,
    /// When it was first seen so.
    pub at: Timestamp,
}

/// The file.
#[derive(Clone, Debug)]
pub struct History(PathBuf);

#[derive(Serialize, Deserialize)]
struct Line {
    v: u32,
    target: SubjectName,
    hash: String,
    /// Older lines have none.
    #[serde(default)]
    name: String,
    at: String,
}

impl History {
    /// The one that belongs to a ledger.
    pub fn of(ledger: &Path) -> Self {
        Self(paths::beside(ledger, "history"))
    }

    /// What was seen, oldest first. Lines that cannot be read are left out:
    /// without them a target is merely less well explained.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be read, or not in time.
    pub fn read(&self) -> Result<Vec<Full>, LedgerError> {
        let text = in_time(MOST, &self.0, |path, _| match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|error| LedgerError::io("read", path, &error)),
        })?;
        Ok(text.split(|byte| *byte == b'\n').filter_map(full).collect())
    }

    /// Adds one, in a single write, so that processes do not mix their lines.
    ///
    /// # Errors
    ///
    /// It could not be written.
    pub fn add(&self, full: &Full) -> Result<(), LedgerError> {
        let line = Line {
            v: 1,
            target: order::target(&full.target),
            hash: full.hash.to_string(),
            name: full.name.to_string(),
            at: wire::stamp(full.at),
        };
        let text = serde_json::to_string(&line)
            .map_err(|error| LedgerError::io("write", &self.0, &error.into()))?
            + "\n";
        file::make_folder(&self.0)?;
        file::private()
            .append(true)
            .create(true)
            .open(&self.0)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| LedgerError::io("write", &self.0, &error))
    }
}

fn full(line: &[u8]) -> Option<Full> {
    let line: Line = serde_json::from_slice(line).ok()?;
    Some(Full {
        target: order::read_target(&line.target)?,
        hash: Clean::name(&line.hash),
        name: Clean::name(if line.name.is_empty() {
            &line.hash
        } else {
            &line.name
        }),
        at: wire::instant(&line.at)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{BackendId, TargetKind};

    fn seen(name: &'static str, hash: &'static str, second: i64) -> Full {
        Full {
            target: TargetId {
                backend: BackendId::new("prod"),
                kind: TargetKind::Rollout,
                namespace: "recsys".into(),
                name: name.into(),
            },
            hash: hash.into(),
            name: "ranker:1".into(),
            at: Timestamp::from_timestamp(second, 0).unwrap(),
        }
    }

    #[test]
    fn what_was_added_is_read_in_order_and_what_cannot_be_read_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("state/ledger.jsonl");
        let history = History::of(&ledger);
        assert_eq!(history.read().unwrap(), []);
        history.add(&seen("ranker", "6be92d0", 1)).unwrap();
        let path = folder.path().join("state/ledger.jsonl.history");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "as private as the ledger");
        }
        let kept = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{kept}{{\"v\":1,\"tar\n")).unwrap();
        history.add(&seen("ranker", "9f3c2ab", 2)).unwrap();
        assert_eq!(
            History::of(&ledger).read().unwrap(),
            [seen("ranker", "6be92d0", 1), seen("ranker", "9f3c2ab", 2)]
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_start_does_not_wait_for_a_file_that_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(&folder.path().join("ledger.jsonl"));
        // A pipe is read for as long as nobody has written to it.
        let made = std::process::Command::new("mkfifo")
            .arg(&history.0)
            .status();
        assert!(made.unwrap().success());
        let pipe = history.0.clone();
        let late = std::thread::spawn(move || {
            std::thread::sleep(MOST * 3);
            drop(fs::OpenOptions::new().write(true).open(pipe));
        });
        let error = history.read().unwrap_err();
        assert!(matches!(error, LedgerError::Slow { .. }), "{error}");
        late.join().unwrap();
    }
}
