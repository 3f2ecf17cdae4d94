//! Is the ledger what was written? Names every line that is not.
//!
//! Three things are checked: each line against its own hash, each line against
//! the one before it, and the end against a checkpoint kept elsewhere. A cut
//! end cannot be noticed without a checkpoint, so without one the answer is
//! "cannot tell", not "intact".

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use serde_json::Value;

use crate::{
    domain::{quantity::counted, text::Clean},
    store::{
        LedgerError, chain,
        checkpoint::{self, Checkpoint, Kept},
        wire::{Line, Lost},
    },
};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many whole lines there are.
    pub lines: u64,
    /// The newest line's number and hash: keep it elsewhere to notice a cut.
    pub last: Option<Checkpoint>,
    /// What is wrong, in the order of the file.
    pub problems: Vec<Clean>,
    /// What a reader should know, without anything being wrong with it.
    pub remarks: Vec<Clean>,
    /// Why the answer cannot be given, if it cannot.
    pub doubts: Vec<Clean>,
}

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Every line is as it was written, and none is missing.
    Intact,
    /// Something is not.
    Broken,
    /// What is there is in order; whether something is missing cannot be told.
    CannotTell,
}

impl Report {
    /// The answer in one word.
    pub fn seal(&self) -> Seal {
        if !self.problems.is_empty() {
            Seal::Broken
        } else if !self.doubts.is_empty() {
            Seal::CannotTell
        } else {
            Seal::Intact
        }
    }
}

/// One line as far as checking needs it.
struct Seen {
    /// Its place in the file, from 1.
    place: u64,
    seq: u64,
    prev: String,
    /// The hash it claims.
    claimed: String,
    /// The hash it has.
    computed: String,
    kind: String,
    lost: Option<Lost>,
}

/// Checks the ledger at `path` against the checkpoint beside it and, if given,
/// one that was `kept` elsewhere.
///
/// # Errors
///
/// The ledger is there and cannot be read.
pub fn verify(path: &Path, kept: Option<&Checkpoint>) -> Result<Report, LedgerError> {
    let mut report = Report {
        lines: 0,
        last: None,
        problems: Vec::new(),
        remarks: Vec::new(),
        doubts: Vec::new(),
    };
    let seen = match File::open(path) {
        Ok(file) => {
            read(file, &mut report).map_err(|error| LedgerError::io("read", path, &error))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(LedgerError::io("read", path, &error)),
    };
    check_order(&seen, &mut report);
    report.last = seen
        .iter()
        .max_by_key(|line| line.seq)
        .map(|line| Checkpoint {
            seq: line.seq,
            hash: line.computed.clone(),
        });
    match checkpoint::read(&checkpoint::path_of(path)) {
        Kept::Here(beside) => check_end(&seen, &beside, "the checkpoint beside the ledger", &mut report),
        Kept::Nothing if kept.is_some() => {}
        Kept::Nothing if !path.exists() => report.doubts.push("there is no ledger yet".into()),
        Kept::Nothing => report.doubts.push(
            "there is no checkpoint beside the ledger: whether its end was cut off cannot be told".into(),
        ),
        Kept::Unreadable => report.doubts.push(
            "the checkpoint beside the ledger cannot be read: whether the end was cut off cannot be told".into(),
        ),
    }
    if let Some(kept) = kept {
        check_end(&seen, kept, "the checkpoint given", &mut report);
    }
    Ok(report)
}

/// Reads every line and checks it against itself.
fn read(file: File, report: &mut Report) -> std::io::Result<Vec<Seen>> {
    let mut lines = BufReader::new(file);
    let mut seen = Vec::new();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if lines.read_until(b'\n', &mut buffer)? == 0 {
            return Ok(seen);
        }
        if buffer.pop_if(|last| *last == b'\n').is_none() {
            report.remarks.push(Clean::from(format!(
                "torn tail: {} after line {} are no whole line; the next append sets them aside",
                counted(buffer.len(), "byte", "bytes"),
                report.lines
            )));
            return Ok(seen);
        }
        report.lines += 1;
        let place = report.lines;
        let Some(line) = take(place, &buffer) else {
            report.problems.push(Clean::from(format!(
                "line {place} was changed: it is no line of a ledger"
            )));
            continue;
        };
        if line.claimed != line.computed {
            report.problems.push(Clean::from(format!(
                "line {place} (number {}) was changed: its content has another hash than it says",
                line.seq
            )));
        }
        if line.kind == "torn" {
            remark_on_torn(&line, report);
        }
        seen.push(line);
    }
}

fn remark_on_torn(line: &Seen, report: &mut Report) {
    let file = line.lost.as_ref().and_then(|lost| lost.file.as_deref());
    report.remarks.push(Clean::from(format!(
        "line {} (number {}): a torn tail was set aside here as `{}`",
        line.place,
        line.seq,
        Clean::line(file.unwrap_or("?"))
    )));
}

fn take(place: u64, text: &[u8]) -> Option<Seen> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let line: Line = serde_json::from_value(value.clone()).ok()?;
    let mut computed = chain::hash_of(&value).ok()?;
    // Bytes that vanish in the canonical form (white space, a member named
    // twice) were not written by us either.
    if chain::canonical(&value).ok()?.as_bytes() != text {
        computed = chain::sha256(text);
    }
    Some(Seen {
        place,
        seq: line.seq,
        prev: line.prev,
        claimed: line.hash,
        computed,
        kind: line.kind,
        lost: line.lost,
    })
}

/// Checks every line against the one before it.
fn check_order(seen: &[Seen], report: &mut Report) {
    let numbers: BTreeSet<u64> = seen.iter().map(|line| line.seq).collect();
    let mut highest = 0;
    let mut placed: BTreeMap<u64, u64> = BTreeMap::new();
    for line in seen {
        if let Some(before) = placed.insert(line.seq, line.place) {
            report.problems.push(Clean::from(format!(
                "line {} repeats number {} of line {before}",
                line.place, line.seq
            )));
            continue;
        }
        if line.seq < highest {
            report.problems.push(Clean::from(format!(
                "line {} is out of order: number {} stands after number {highest}",
                line.place, line.seq
            )));
            continue;
        }
        name_missing(line, highest, &numbers, report);
        highest = line.seq;
    }
    check_links(seen, report);
}

/// Names the numbers between the one before and this line that stand nowhere.
fn name_missing(line: &Seen, highest: u64, numbers: &BTreeSet<u64>, report: &mut Report) {
    let missing: Vec<u64> = (highest + 1..line.seq)
        .filter(|number| !numbers.contains(number))
        .take(1000)
        .collect();
    let (Some(first), Some(last)) = (missing.first(), missing.last()) else {
        return;
    };
    let which = if first == last {
        format!("number {first} is missing")
    } else {
        format!("numbers {first} to {last} are missing")
    };
    let admitted = if line.kind == "gap" {
        "; the next writer noticed and said so"
    } else {
        ""
    };
    report.problems.push(Clean::from(format!(
        "before line {}: {which}{admitted}",
        line.place
    )));
}

/// Checks, in the order of their numbers, that each line names the one before.
fn check_links(seen: &[Seen], report: &mut Report) {
    let by_number: BTreeMap<u64, &Seen> = seen.iter().map(|line| (line.seq, line)).collect();
    for line in by_number.values() {
        let Some(before) = line.seq.checked_sub(1) else {
            continue;
        };
        let follows = match by_number.get(&before) {
            // The one before may have been changed; then it has been named already.
            Some(before) => line.prev == before.claimed || line.prev == before.computed,
            None if before == 0 => line.prev == chain::GENESIS,
            None => true,
        };
        if !follows {
            report.problems.push(Clean::from(format!(
                "line {} (number {}) does not follow the line before it: that one was replaced",
                line.place, line.seq
            )));
        }
    }
}

/// Checks that what the checkpoint names is still there.
fn check_end(seen: &[Seen], checkpoint: &Checkpoint, name: &str, report: &mut Report) {
    match seen.iter().find(|line| line.seq == checkpoint.seq) {
        Some(line) if line.computed == checkpoint.hash || line.claimed == checkpoint.hash => {}
        Some(line) => report.problems.push(Clean::from(format!(
            "line {} (number {}) is not the one {name} knows: the ledger was rewritten",
            line.place, line.seq
        ))),
        None => {
            let highest = seen.iter().map(|line| line.seq).max().unwrap_or(0);
            if highest < checkpoint.seq {
                report.problems.push(Clean::from(format!(
                    "the end was cut off: the last line is number {highest}, {name} knows number {}",
                    checkpoint.seq
                )));
            }
        }
    }
}
