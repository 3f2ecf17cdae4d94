//! The append-only file of everything the cockpit was asked to do.
//!
//! Each append takes the lock, reads what others have written, mends a torn
//! tail, writes one line, waits until it is on disk and gives the lock back, so
//! a second cockpit can always be opened. When an append returns, the line is
//! there; when it fails, nothing may be sent on its strength.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    domain::{Timestamp, id::PlanId, text::Clean},
    store::{
        LedgerError, Paths, Reader, Record,
        checkpoint::{self, Checkpoint, Kept},
        entry::{Entry, EntryKind},
        error::shown,
        file::{self, Lock},
        index::Index,
        patience::Turn,
        spool,
        wire::{Line, Lost},
        writer::Writer,
    },
};

/// A ledger and this process's place in it.
#[derive(Debug)]
pub struct Ledger {
    pub(super) paths: Paths,
    pub(super) here: Writer,
    index: Mutex<Index>,
}

/// A line that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: Clean,
    /// Why the checkpoint beside the ledger does not tell of it, if it does not.
    pub unmarked: Option<LedgerError>,
}

/// Whether an intent may go ahead.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// Its line is on disk.
    Written(Written),
    /// Another plan acts on the same subject and has not ended. Nothing was written.
    Busy(First),
    /// A brake was pulled on something this plan touches since it began. Nothing was written.
    Overtaken(First),
}

/// Who was first.
#[derive(Clone, Debug, PartialEq)]
pub struct First {
    /// Their intent.
    pub intent: Record,
    /// Whether the process that wrote it still lives. If not, it has to be
    /// settled by looking before anything else is done.
    pub alive: bool,
}

impl fmt::Display for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record {
            actor,
            verb,
            at,
            writer,
            ..
        } = &self.intent;
        if self.intent.brake {
            write!(f, "{actor} pulled a brake meanwhile: `{verb}`")?;
        } else {
            write!(f, "{actor} was first: `{verb}`")?;
        }
        if let Some(subject) = &self.intent.subject {
            write!(f, " on {subject}")?;
        }
        if let Some(at) = at {
            write!(f, " since {}", at.format("%H:%M:%SZ"))?;
        }
        write!(f, " (process {} on {}", writer.pid, writer.host)?;
        f.write_str(if self.alive || self.intent.brake {
            ")"
        } else {
            ", which has ended; it is settled by looking)"
        })
    }
}

impl Ledger {
    /// The ledger at these paths, written to by `here`. Touches nothing yet.
    pub fn new(paths: Paths, here: Writer) -> Self {
        Self {
            paths,
            here,
            index: Mutex::default(),
        }
    }

    /// Where its file is.
    pub fn path(&self) -> &Path {
        &self.paths.ledger
    }

    /// Reads its lines.
    pub fn reader(&self) -> Reader {
        Reader::new(self.paths.ledger.clone())
    }

    /// Appends one entry; when it returns, the line is on disk. For outcomes,
    /// nudges, refusals and notes, and for the intents of brakes, which nobody's
    /// unfinished action may stop.
    ///
    /// # Errors
    ///
    /// Nothing was written, or not all of it; nothing may be sent.
    pub fn append(&self, entry: &Entry, now: Timestamp) -> Result<Written, LedgerError> {
        self.append_if_awaited(entry, now, &Turn::default())
    }

    /// The same, unless nobody waits for it any more once it is its turn.
    pub(super) fn append_if_awaited(
        &self,
        entry: &Entry,
        now: Timestamp,
        turn: &Turn,
    ) -> Result<Written, LedgerError> {
        let mut held = self.hold(now)?;
        turn.is_awaited(&self.paths.ledger)?;
        held.write(Line::of(entry, &self.here, now))
    }

    /// Appends an intent unless another plan is at work on the same subject, or
    /// a brake was pulled meanwhile on what this plan touches. The look and the
    /// write happen under one lock, so of two such intents exactly one is
    /// written, over all processes. What waits in spools is taken over before,
    /// because a brake may be among it.
    ///
    /// # Errors
    ///
    /// As [`Ledger::append`] and [`Ledger::absorb_spools`].
    pub fn append_unless_busy(
        &self,
        entry: &Entry,
        now: Timestamp,
    ) -> Result<Admission, LedgerError> {
        self.absorb_spools(now)?;
        let mut held = self.hold(now)?;
        if let Some(brake) = entry
            .plan
            .as_ref()
            .and_then(|plan| held.index.brake_since(plan))
        {
            return Ok(Admission::Overtaken(self.first(brake, now)));
        }
        let subject = entry
            .order
            .as_ref()
            .map(crate::domain::action::Order::subject);
        let other = subject.and_then(|subject| held.index.first_on(&subject, entry.plan.as_ref()));
        if let Some(other) = other {
            return Ok(Admission::Busy(self.first(other, now)));
        }
        held.write(Line::of(entry, &self.here, now))
            .map(Admission::Written)
    }

    /// Takes over what is in the spools, and says how many lines that were.
    /// Taking over twice is harmless: each line is known by its hash, also one
    /// that came to be here when its writer had turned to the spool already.
    ///
    /// # Errors
    ///
    /// The ledger or a spool could not be read or written; what was not taken
    /// over stays where it is.
    pub fn absorb_spools(&self, now: Timestamp) -> Result<usize, LedgerError> {
        let mut taken = 0;
        for path in &self.paths.spools {
            let Some(spool) = spool::Opened::open(path)? else {
                continue;
            };
            let mut held = self.hold(now)?;
            let here = spool::also_here(&self.paths.ledger)?;
            for line in spool.lines() {
                match line {
                    Ok((_, hash)) if held.index.has_absorbed(&hash) || here.contains(&hash) => {
                        continue;
                    }
                    Ok((line, hash)) => held.write(Line {
                        spooled: Some(hash),
                        ..line
                    })?,
                    Err(torn) => {
                        let mut line = Line::bare(EntryKind::Note.word(), &self.here, now);
                        line.note = format!(
                            "a line of the spool `{}` could not be read: {}",
                            shown(path),
                            Clean::bytes(torn)
                        );
                        held.write(line)?
                    }
                };
                taken += 1;
            }
            spool.empty(path)?;
        }
        Ok(taken)
    }

    /// Intents without outcome whose writer has died, oldest first. They have to
    /// be settled by looking; those of living writers are theirs.
    ///
    /// # Errors
    ///
    /// The ledger could not be read.
    pub fn unsettled(&self, now: Timestamp) -> Result<Vec<Record>, LedgerError> {
        let spooled = spool::ended(&self.paths.spools)?;
        let index = self.look()?;
        Ok(index
            .open()
            .into_iter()
            .filter(|intent| !intent.writer.is_alive(&self.here, intent.at, now))
            .filter(|intent| !spooled.contains(&(intent.plan.clone(), intent.step)))
            .cloned()
            .collect())
    }

    /// How many lines wait in which spool to be taken over.
    ///
    /// # Errors
    ///
    /// A spool could not be read.
    pub fn spooled(&self) -> Result<Vec<(PathBuf, usize)>, LedgerError> {
        let mut waiting = Vec::new();
        for path in &self.paths.spools {
            if let Some(spool) = spool::Opened::open(path)? {
                waiting.push((path.clone(), spool.lines().count()));
            }
        }
        Ok(waiting)
    }

    /// The brake that was pulled on something `plan` touches since it began,
    /// if one was: the plan must stop before its next step. One that waits in a
    /// spool counts: the spools had been taken over when the plan was admitted.
    ///
    /// # Errors
    ///
    /// The ledger or a spool could not be read.
    pub fn overtaken(&self, plan: &PlanId, now: Timestamp) -> Result<Option<First>, LedgerError> {
        // First the spools: what is taken over meanwhile is in the ledger then.
        let spooled = spool::brakes(&self.paths.spools)?;
        let index = self.look()?;
        let brake = index.brake_since(plan).or_else(|| {
            let mut spooled = spooled.iter();
            spooled.find(|brake| index.concerns(brake, plan))
        });
        Ok(brake.map(|brake| self.first(brake, now)))
    }

    fn first(&self, intent: &Record, now: Timestamp) -> First {
        First {
            intent: intent.clone(),
            alive: intent.writer.is_alive(&self.here, intent.at, now),
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index
            .lock()
            .unwrap_or_else(|poisoned: PoisonError<_>| {
                // Whoever panicked may have left half an update: read all of it again.
                let mut index = poisoned.into_inner();
                *index = Index::default();
                index
            })
    }

    /// The index brought up to date without the lock: a line that is being
    /// written at this moment is not seen.
    fn look(&self) -> Result<MutexGuard<'_, Index>, LedgerError> {
        let mut index = self.index();
        let trouble = |error| LedgerError::io("read", &self.paths.ledger, &error);
        match File::open(&self.paths.ledger) {
            Ok(file) => {
                index.catch_up(&file).map_err(trouble)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => *index = Index::default(),
            Err(error) => return Err(trouble(error)),
        }
        Ok(index)
    }

    /// Takes the lock and leaves the file ready for the next line.
    fn hold(&self, now: Timestamp) -> Result<Held<'_>, LedgerError> {
        let path = &self.paths.ledger;
        file::make_folder(path)?;
        let mut index = self.index();
        let lock = Lock::take(path)?;
        let file = file::open(path)?;
        let fresh = index.end == 0;
        let torn = index
            .catch_up(&file)
            .map_err(|error| LedgerError::io("read", path, &error))?;
        let mut held = Held {
            path,
            index,
            file,
            checkpoint: checkpoint::path_of(path),
            _lock: lock,
        };
        held.mend(torn, fresh, &self.here, now)?;
        Ok(held)
    }
}

/// The ledger while its lock is held.
struct Held<'a> {
    path: &'a Path,
    index: MutexGuard<'a, Index>,
    file: File,
    checkpoint: PathBuf,
    _lock: Lock,
}

impl Held<'_> {
    /// Writes the next line.
    fn write(&mut self, line: Line) -> Result<Written, LedgerError> {
        self.write_as(self.index.seq + 1, line)
    }

    fn write_as(&mut self, seq: u64, line: Line) -> Result<Written, LedgerError> {
        if !self.index.sound {
            return Err(LedgerError::Broken {
                path: shown(self.path),
                line: self.index.lines,
            });
        }
        let (text, hash) = line.chained(seq, &self.index.hash);
        file::append(&mut self.file, self.path, self.index.end, &text)?;
        self.index.take(text.as_bytes());
        // The line is there whatever becomes of the checkpoint.
        let unmarked = checkpoint::write(
            &self.checkpoint,
            &Checkpoint {
                seq,
                hash: hash.clone(),
            },
        )
        .err();
        Ok(Written {
            seq,
            hash: Clean::name(&hash),
            unmarked,
        })
    }

    /// Sets a torn tail aside and names what is missing, each by a line.
    fn mend(
        &mut self,
        torn: u64,
        fresh: bool,
        here: &Writer,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let kept = match checkpoint::read(&self.checkpoint) {
            Kept::Here(kept) => Some(kept),
            Kept::Nothing | Kept::Unreadable => None,
        };
        let newest = kept.as_ref().map_or(0, |kept| kept.seq).max(self.index.seq);
        let lost = if torn > 0 {
            Some(file::set_aside(
                &mut self.file,
                self.path,
                self.index.end,
                newest + 1,
            )?)
        } else if fresh {
            file::set_aside_before(self.path, newest + 1)
        } else {
            None
        };
        if let Some(kept) = kept.filter(|kept| self.index.seq < kept.seq) {
            let missing = Lost {
                from: Some(self.index.seq + 1),
                to: Some(kept.seq),
                hash: kept.hash,
                ..Lost::default()
            };
            let mut line = Line::bare("gap", here, now);
            "the lines named were here and are missing".clone_into(&mut line.note);
            line.lost = Some(missing);
            self.write_as(kept.seq + 1, line)?;
        }
        if let Some(lost) = lost {
            let mut line = Line::bare("torn", here, now);
            "a write had been cut short; its bytes were set aside".clone_into(&mut line.note);
            line.lost = Some(lost);
            self.write(line)?;
        }
        Ok(())
    }
}
