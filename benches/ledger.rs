//! What a ledger line costs beside the least it could: the same bytes written
//! and waited for until they are on disk.
//!
//! ```text
//! cargo bench --bench ledger
//! ```
//!
//! The two take turns on one file system. Nothing here passes or fails.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints, and a panic is how it says that it is broken"
)]

use std::{
    fs::{self, File},
    io::Write as _,
    time::Duration,
};

use gonogo::{
    domain::Timestamp,
    store::{Actor, Entry, EntryKind, Ledger, Paths, Writer},
};
use tokio::time::Instant;

const TIMES: usize = 300;

fn timed(what: impl FnOnce()) -> Duration {
    let began = Instant::now();
    what();
    began.elapsed()
}

fn report(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let median = times[TIMES / 2];
    println!(
        "{what:<34} median {median:>9.2?}  p99 {:>9.2?}  ({:.2?} … {:.2?}, n {TIMES})",
        times[TIMES * 99 / 100],
        times[0],
        times[TIMES - 1]
    );
    median
}

fn main() {
    // In the tree, not in a folder that may be memory.
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path().join("ledger.jsonl");
    let ledger = Ledger::new(Paths::with_ledger(path.clone()), Writer::this_process());
    let actor = Actor {
        os_user: "mk".into(),
        backends: Vec::new(),
    };
    let entry = Entry {
        note: "x".repeat(600).into(),
        ..Entry::new(EntryKind::Note, "hold", actor)
    };
    let now = Timestamp::UNIX_EPOCH;
    ledger.append(&entry, now).unwrap();
    let line = fs::read(&path).unwrap();
    let mut bare = File::create(folder.path().join("bare")).unwrap();
    let (mut bares, mut appends) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        bares.push(timed(|| {
            bare.write_all(&line).unwrap();
            bare.sync_data().unwrap();
        }));
        appends.push(timed(|| {
            ledger.append(&entry, now).unwrap();
        }));
    }
    let bare = report("bare write and fdatasync", bares);
    let append = report("line appended to the ledger", appends);
    println!("ratio {:.2}", append.as_secs_f64() / bare.as_secs_f64());
}
