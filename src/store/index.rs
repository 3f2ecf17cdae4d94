//! What the ledger says is unfinished, kept up to date line by line.
//!
//! Every append first reads what other processes have written since, so that
//! the answer to "who was first" is that of the file and not of this process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufRead as _, BufReader, Seek as _, SeekFrom},
};

use crate::{
    domain::{action::Subject, id::PlanId},
    store::{
        chain, file,
        record::{Record, RecordKind},
    },
};

/// What has been read of a ledger so far.
#[derive(Debug)]
pub(super) struct Index {
    identity: Option<(u64, u64)>,
    /// Up to where whole lines were read.
    pub(super) end: u64,
    /// How many lines that were.
    pub(super) lines: u64,
    /// Number of the last line that could be read.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: String,
    /// Whether the last line could be read.
    pub(super) sound: bool,
    /// Intents without outcome, by plan and step.
    open: BTreeMap<(PlanId, Option<u32>), Record>,
    /// Plans and steps with an outcome.
    ended: BTreeSet<(PlanId, Option<u32>)>,
    /// Where each plan began and what it has touched.
    plans: BTreeMap<PlanId, Trace>,
    /// The newest brake on each subject.
    brakes: BTreeMap<Subject, Record>,
    /// Hashes of spooled lines that were taken over.
    absorbed: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Trace {
    first: u64,
    subjects: BTreeSet<Subject>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            identity: None,
            end: 0,
            lines: 0,
            seq: 0,
            hash: chain::GENESIS.to_owned(),
            sound: true,
            open: BTreeMap::new(),
            ended: BTreeSet::new(),
            plans: BTreeMap::new(),
            brakes: BTreeMap::new(),
            absorbed: BTreeSet::new(),
        }
    }
}

impl Index {
    /// Reads what is new. Returns how many bytes after the last whole line are
    /// there. Another or a shortened file is read from its front.
    pub(super) fn catch_up(&mut self, file: &File) -> io::Result<u64> {
        let (length, identity) = file::identity(file)?;
        if length < self.end || (self.end > 0 && identity != self.identity) {
            *self = Self::default();
        }
        self.identity = identity;
        if length == self.end {
            return Ok(0);
        }
        let mut lines = BufReader::new(file);
        lines.seek(SeekFrom::Start(self.end))?;
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let read = lines.read_until(b'\n', &mut buffer)?;
            if buffer.last() != Some(&b'\n') {
                return Ok(read as u64);
            }
            self.take(&buffer);
        }
    }

    /// Takes note of one whole line, its line end included.
    pub(super) fn take(&mut self, text: &[u8]) {
        self.end += text.len() as u64;
        self.lines += 1;
        let Some(record) = Record::read(text).filter(|record| !record.hash.is_empty()) else {
            self.sound = false;
            return;
        };
        self.sound = true;
        self.seq = record.seq;
        self.hash = record.hash.to_string();
        let spooled = record.raw.get("spooled").and_then(|hash| hash.as_str());
        self.absorbed.extend(spooled.map(str::to_owned));
        let is_late = spooled.is_some();
        match record.kind {
            RecordKind::Intent => self.begin(record, is_late),
            RecordKind::Outcome => self.finish(&record),
            RecordKind::Refused
            | RecordKind::Nudge
            | RecordKind::Note
            | RecordKind::Torn
            | RecordKind::Gap
            | RecordKind::Unknown(_) => {}
        }
    }

    /// An intent that comes out of a spool is older than its place.
    fn begin(&mut self, record: Record, is_late: bool) {
        let Some(plan) = record.plan.clone() else {
            return;
        };
        let trace = self.plans.entry(plan.clone()).or_insert_with(|| Trace {
            first: record.seq,
            subjects: BTreeSet::new(),
        });
        trace.subjects.extend(record.subject.clone());
        if record.brake
            && let Some(subject) = record.subject.clone()
        {
            self.brakes.insert(subject, record.clone());
        }
        let has_ended = |step| self.ended.contains(&(plan.clone(), step));
        if is_late && (has_ended(record.step) || has_ended(None)) {
            return;
        }
        self.open.insert((plan, record.step), record);
    }

    /// An outcome of a step ends that step; one of the plan ends all of it.
    fn finish(&mut self, outcome: &Record) {
        let Some(plan) = &outcome.plan else {
            return;
        };
        self.ended.insert((plan.clone(), outcome.step));
        if outcome.step.is_some() {
            self.open.remove(&(plan.clone(), outcome.step));
        } else {
            self.open.retain(|(other, _), _| other != plan);
        }
    }

    /// The unfinished action of another plan on the same subject, the oldest first.
    pub(super) fn first_on(&self, subject: &Subject, plan: Option<&PlanId>) -> Option<&Record> {
        self.open
            .iter()
            .filter(|((other, _), _)| plan != Some(other))
            .map(|(_, record)| record)
            .filter(|record| record.subject.as_ref() == Some(subject))
            .min_by_key(|record| record.seq)
    }

    /// The brake of another plan on something this plan touched, since it began.
    pub(super) fn brake_since(&self, plan: &PlanId) -> Option<&Record> {
        let trace = self.plans.get(plan)?;
        trace
            .subjects
            .iter()
            .filter_map(|subject| self.brakes.get(subject))
            .find(|brake| trace.first < brake.seq && brake.plan.as_ref() != Some(plan))
    }

    /// Whether a brake is another plan's and on something this plan touched.
    pub(super) fn concerns(&self, brake: &Record, plan: &PlanId) -> bool {
        let touched = self.plans.get(plan).map(|trace| &trace.subjects);
        brake.plan.as_ref() != Some(plan)
            && touched
                .zip(brake.subject.as_ref())
                .is_some_and(|(touched, subject)| touched.contains(subject))
    }

    /// Intents without outcome, oldest first.
    pub(super) fn open(&self) -> Vec<&Record> {
        let mut open: Vec<&Record> = self.open.values().collect();
        open.sort_by_key(|record| record.seq);
        open
    }

    /// Whether a spooled line was taken over already.
    pub(super) fn has_absorbed(&self, hash: &str) -> bool {
        self.absorbed.contains(hash)
    }
}
