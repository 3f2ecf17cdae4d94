//! A line as it is read: typed where this version understands it, whole where not.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    path::PathBuf,
};

use serde_json::Value;

use crate::{
    domain::{
        Timestamp,
        action::{Order, Subject},
        id::{EnvironmentName, PlanId, ReleaseId, ServiceName},
        observation::ActionOutcome,
        quantity::counted,
        text::Clean,
    },
    store::{
        LedgerError, order,
        wire::{self, Line},
        writer::Writer,
    },
};

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was written; `None` = the stamp cannot be read.
    pub at: Option<Timestamp>,
    /// Its hash.
    pub hash: Clean,
    /// What it says happened.
    pub kind: RecordKind,
    /// The plan it belongs to.
    pub plan: Option<PlanId>,
    /// The step of it, from 0; `None` = all of it.
    pub step: Option<u32>,
    /// How many steps the plan has.
    pub steps: Option<u32>,
    /// The verb people used.
    pub verb: Clean,
    /// Whether the plan only ever makes things safer.
    pub brake: bool,
    /// What was ordered, in one word.
    pub action: Option<Clean>,
    /// The whole order, if this version understands it.
    pub order: Option<Order>,
    /// What it acts on.
    pub subject: Option<Subject>,
    /// For which service.
    pub service: Option<ServiceName>,
    /// Where.
    pub environment: Option<EnvironmentName>,
    /// Which release.
    pub release: Option<ReleaseId>,
    /// The operating system's name for who asked.
    pub actor: Clean,
    /// Why, in their words.
    pub reason: Option<Clean>,
    /// The rule that was gone past.
    pub overridden: Option<Clean>,
    /// How it ended.
    pub outcome: Option<ActionOutcome>,
    /// Anything else.
    pub note: Clean,
    /// Which process wrote it.
    pub writer: Writer,
    /// All of it, as it was written.
    pub raw: Value,
}

/// What a line says happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// Something is about to be sent.
    Intent,
    /// How that ended.
    Outcome,
    /// Asked for and not done.
    Refused,
    /// A controller was made to look again.
    Nudge,
    /// A remark.
    Note,
    /// A torn tail was set aside here.
    Torn,
    /// Lines that had been here were missing when this one was written.
    Gap,
    /// A word this version does not know.
    Unknown(Clean),
}

impl RecordKind {
    fn read(word: &str) -> Self {
        match word {
            "intent" => Self::Intent,
            "outcome" => Self::Outcome,
            "refused" => Self::Refused,
            "nudge" => Self::Nudge,
            "note" => Self::Note,
            "torn" => Self::Torn,
            "gap" => Self::Gap,
            other => Self::Unknown(Clean::name(other)),
        }
    }

    /// The word in the ledger.
    pub fn word(&self) -> &str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Refused => "refused",
            Self::Nudge => "nudge",
            Self::Note => "note",
            Self::Torn => "torn",
            Self::Gap => "gap",
            Self::Unknown(word) => word,
        }
    }
}

impl Record {
    /// Reads one line; `None` when it is no line of a ledger.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let raw: Value = serde_json::from_slice(text).ok()?;
        let line: Line = serde_json::from_value(raw.clone()).ok()?;
        Some(Self::of(&line, raw))
    }

    fn of(line: &Line, raw: Value) -> Self {
        let name = |text: &Option<String>| text.as_deref().map(Clean::name);
        let block = |text: &Option<String>| text.as_deref().map(Clean::block);
        Self {
            seq: line.seq,
            at: wire::instant(&line.time),
            hash: Clean::name(&line.hash),
            kind: RecordKind::read(&line.kind),
            plan: line.plan.as_ref().map(PlanId::new),
            step: line.step,
            steps: line.steps,
            verb: Clean::name(&line.verb),
            brake: line.brake,
            action: name(&line.action),
            order: order::read(line),
            subject: order::read_subject(line),
            service: line.service.as_ref().map(ServiceName::new),
            environment: line.environment.as_ref().map(EnvironmentName::new),
            release: line.release.as_ref().map(ReleaseId::new),
            actor: line
                .actor
                .as_ref()
                .map(|actor| Clean::name(&actor.os_user))
                .unwrap_or_default(),
            reason: block(&line.reason),
            overridden: block(&line.overridden),
            outcome: line.outcome.as_deref().and_then(outcome),
            note: Clean::block(&line.note),
            writer: Writer {
                pid: line.writer.pid,
                start: name(&line.writer.start),
                host: Clean::name(&line.writer.host),
            },
            raw,
        }
    }
}

fn outcome(word: &str) -> Option<ActionOutcome> {
    [
        ActionOutcome::Confirmed,
        ActionOutcome::Refused,
        ActionOutcome::Failed,
        ActionOutcome::Unknown,
        ActionOutcome::Partial,
    ]
    .into_iter()
    .find(|outcome| outcome.word() == word)
}

/// Reads the ledger from the front, again and again, each time what is new.
/// Takes no lock: a line that is still being written is left for the next time.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    offset: u64,
    /// How many whole lines stand before `offset`.
    lines: u64,
    unreadable: Vec<u64>,
    tail: u64,
}

impl Reader {
    /// A reader that stands before the first line.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            offset: 0,
            lines: 0,
            unreadable: Vec::new(),
            tail: 0,
        }
    }

    /// The lines, counted from 1, that were passed over because they are no
    /// lines of a ledger.
    pub fn unreadable(&self) -> &[u64] {
        &self.unreadable
    }

    /// What of the ledger cannot be read and what to do about it; `None` when
    /// all of it can.
    pub fn damage(&self) -> Option<Clean> {
        let mut parts = Vec::new();
        if let Some(first) = self.unreadable.first() {
            parts.push(match self.unreadable.len() {
                1 => format!("line {first} cannot be read"),
                count => format!("{count} lines cannot be read, the first is line {first}"),
            });
        }
        if 0 < self.tail {
            parts.push(format!(
                "{} at the end are no whole line",
                counted(self.tail, "byte", "bytes")
            ));
        }
        (!parts.is_empty()).then(|| {
            Clean::line(&format!(
                "{}: {}; `gonogo audit verify` says what is wrong",
                self.path.display(),
                parts.join("; ")
            ))
        })
    }

    /// The lines written since the last call. A ledger that became shorter is
    /// read from its front again. Lines that cannot be read are left out and
    /// counted in [`Reader::unreadable`]; saying what is wrong with them is the
    /// business of [`fn@crate::store::verify`].
    ///
    /// # Errors
    ///
    /// The file is there and cannot be read. One that is not there is empty.
    pub fn read_new(&mut self) -> Result<Vec<Record>, LedgerError> {
        let trouble = |error| LedgerError::io("read", &self.path, &error);
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(trouble(error)),
        };
        if file.metadata().map_err(trouble)?.len() < self.offset {
            self.offset = 0;
            self.lines = 0;
            self.unreadable.clear();
        }
        file.seek(SeekFrom::Start(self.offset)).map_err(trouble)?;
        let mut lines = BufReader::new(file);
        let mut records = Vec::new();
        let mut buffer = Vec::new();
        let (mut offset, mut place) = (self.offset, self.lines);
        let mut unreadable = Vec::new();
        let tail = loop {
            buffer.clear();
            let read = lines.read_until(b'\n', &mut buffer).map_err(trouble)? as u64;
            if buffer.last() != Some(&b'\n') {
                break read;
            }
            offset += read;
            place += 1;
            match Record::read(&buffer) {
                Some(record) => records.push(record),
                None => unreadable.push(place),
            }
        };
        self.offset = offset;
        self.lines = place;
        self.unreadable.extend(unreadable);
        self.tail = tail;
        Ok(records)
    }
}
