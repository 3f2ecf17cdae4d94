//! Disks that hang, and lines that come to be written twice or late.

use std::{fs::File, path::Path, time::Duration};

use gonogo::{
    domain::action::RolloutAction,
    store::{Ledger, Paths, Place, Writer},
};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{at, brake, dead_writer, intent, ledger, note, outcome, paths};

/// Another process that keeps the lock beside a file and does not give it back.
fn keep(path: &Path) -> File {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::create(path).unwrap();
    file.lock().unwrap();
    file
}

/// A ledger that cannot be written, with the spools of another.
fn blocked(folder: &Path, here: Writer) -> std::sync::Arc<Ledger> {
    std::fs::write(folder.join("blocked"), "").unwrap();
    let ledger = Ledger::new(
        Paths {
            ledger: folder.join("blocked/ledger.jsonl"),
            ..paths(folder)
        },
        here,
    );
    std::sync::Arc::new(ledger)
}

#[test]
fn a_brake_does_not_wait_for_a_ledger_that_hangs_nor_is_it_written_there_later() {
    let folder = TempDir::new().unwrap();
    let ledger = ledger(folder.path());
    let kept = keep(&folder.path().join("state/ledger.jsonl.lock"));
    let began = Instant::now();
    let place = ledger.append_or_spool(&brake("b"), at(2)).unwrap();
    assert!(matches!(place, Place::Spool { .. }), "{place:?}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");

    drop(kept);
    // Whoever still waited for the lock had it before this.
    ledger.append(&note("the disk is back"), at(3)).unwrap();
    assert_eq!(ledger.reader().read_new().unwrap().len(), 1);
    assert_eq!(ledger.absorb_spools(at(4)).unwrap(), 1);
    let records = ledger.reader().read_new().unwrap();
    assert_eq!(records.last().unwrap().plan, brake("b").plan);
}

#[test]
fn a_spool_that_hangs_is_passed_over() {
    let folder = TempDir::new().unwrap();
    let ledger = blocked(folder.path(), Writer::this_process());
    let kept = keep(&folder.path().join("cache/spool.jsonl"));
    let place = ledger.append_or_spool(&brake("b"), at(2)).unwrap();
    let Place::Spool { path, .. } = place else {
        panic!("{place:?}")
    };
    assert_eq!(path, folder.path().join("tmp/spool.jsonl"));
    drop(kept);
}

#[test]
fn a_line_that_stands_in_the_ledger_and_in_a_spool_is_one() {
    let folder = TempDir::new().unwrap();
    let ledger = ledger(folder.path());
    ledger.append(&brake("b"), at(2)).unwrap();
    blocked(folder.path(), Writer::this_process())
        .append_or_spool(&brake("b"), at(2))
        .unwrap();
    assert_eq!(ledger.spooled().unwrap().len(), 1);
    assert_eq!(ledger.absorb_spools(at(3)).unwrap(), 0);
    assert_eq!(ledger.reader().read_new().unwrap().len(), 1);
    assert_eq!(ledger.spooled().unwrap(), []);
}

#[test]
fn an_intent_that_is_taken_over_after_its_outcome_is_not_open_again() {
    let folder = TempDir::new().unwrap();
    let ledger = ledger(folder.path());
    let dead = blocked(folder.path(), dead_writer());
    let whole = gonogo::store::Entry {
        step: None,
        ..intent("long", 0, RolloutAction::Abort)
    };
    for entry in [brake("short"), whole] {
        dead.append_or_spool(&entry, at(2)).unwrap();
    }
    ledger.append(&outcome("short", Some(0)), at(3)).unwrap();
    ledger.append(&outcome("long", None), at(3)).unwrap();
    assert_eq!(ledger.absorb_spools(at(4)).unwrap(), 2);
    assert_eq!(ledger.unsettled(at(5)).unwrap(), []);
}
