//! What the cockpit writes down: the ledger of everything it was asked to do.
//!
//! One JSON object a line, append-only, each line naming the hash of the one
//! before it. The lines have their own types (`wire`), not the domain's,
//! because a ledger outlives every version of the program that wrote it. All of
//! it is synchronous; whoever calls from a task does so on a blocking thread.

pub mod brake;
pub mod chain;
pub mod checkpoint;
pub mod entry;
pub mod error;
mod file;
pub mod history;
mod index;
pub mod ledger;
mod order;
pub mod paths;
mod patience;
pub mod record;
pub mod spool;
pub mod verify;
mod wire;
pub mod writer;

pub use crate::store::{
    brake::{Place, Stranded},
    entry::{Actor, Entry, EntryKind, SubjectDigest},
    error::LedgerError,
    history::{Full, History},
    ledger::{Admission, First, Ledger, Written},
    paths::Paths,
    record::{Reader, Record, RecordKind},
    verify::{Report, Seal, verify},
    writer::Writer,
};
