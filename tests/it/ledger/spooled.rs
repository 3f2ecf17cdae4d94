//! What waits in spools counts as what is in the ledger.

use std::fs;

use gonogo::{
    domain::{
        action::{Order, RolloutAction},
        id::PlanId,
    },
    store::{Admission, Entry, Place},
};
use tempfile::TempDir;

use super::{at, brake, intent, ledger, outcome};

/// A full disk, as far as the ledger's writers can tell; it can be read.
struct Full(std::path::PathBuf);

impl Full {
    fn from_now_on(folder: &TempDir) -> Self {
        let lock = folder.path().join("state/ledger.jsonl.lock");
        fs::remove_file(&lock).unwrap();
        fs::create_dir(&lock).unwrap();
        Self(lock)
    }

    fn ends(self) {
        fs::remove_dir(self.0).unwrap();
    }
}

fn elsewhere(entry: Entry) -> Entry {
    let Some(Order::Rollout(mut order)) = entry.order else {
        panic!("a brake on a rollout")
    };
    order.target.name = "embedder".into();
    Entry {
        order: Some(Order::Rollout(order)),
        ..entry
    }
}

#[test]
fn a_brake_in_a_spool_stops_the_other_plan_and_admits_none() {
    let folder = TempDir::new().unwrap();
    let (one, other) = (ledger(folder.path()), ledger(folder.path()));
    let promote = PlanId::new("promote");
    one.append_unless_busy(&intent("promote", 0, RolloutAction::PromoteFull), at(1))
        .unwrap();
    let full = Full::from_now_on(&folder);
    let place = other
        .append_or_spool(&elsewhere(brake("else")), at(2))
        .unwrap();
    assert!(matches!(place, Place::Spool { .. }), "{place:?}");
    assert_eq!(one.overtaken(&promote, at(3)).unwrap(), None);
    other.append_or_spool(&brake("abort"), at(4)).unwrap();
    let first = one.overtaken(&promote, at(5)).unwrap().unwrap();
    assert_eq!(first.intent.plan, Some(PlanId::new("abort")));
    assert_eq!(
        one.overtaken(&PlanId::new("abort"), at(5)).unwrap(),
        None,
        "nobody is stopped by his own brake"
    );

    full.ends();
    let next = one
        .append_unless_busy(&intent("promote", 1, RolloutAction::Continue), at(6))
        .unwrap();
    assert!(matches!(next, Admission::Overtaken(_)), "{next:?}");
    one.append(&outcome("promote", None), at(7)).unwrap();
    let next = one
        .append_unless_busy(&intent("again", 0, RolloutAction::Continue), at(8))
        .unwrap();
    let Admission::Busy(first) = next else {
        panic!("the brake has not ended: {next:?}")
    };
    assert_eq!(first.intent.plan, Some(PlanId::new("abort")));
}

#[test]
fn an_open_brake_in_a_spool_is_in_the_way_of_a_new_throttle() {
    let folder = TempDir::new().unwrap();
    let (one, other) = (ledger(folder.path()), ledger(folder.path()));
    other.append(&outcome("before", None), at(1)).unwrap();
    let full = Full::from_now_on(&folder);
    other.append_or_spool(&brake("abort"), at(2)).unwrap();
    full.ends();
    let throttle = intent("promote", 0, RolloutAction::PromoteFull);
    let admitted = one.append_unless_busy(&throttle, at(3)).unwrap();
    assert!(matches!(admitted, Admission::Busy(_)), "{admitted:?}");
}

#[test]
fn an_outcome_in_a_spool_frees_the_target_and_its_brake_is_of_the_past() {
    let folder = TempDir::new().unwrap();
    let (one, other) = (ledger(folder.path()), ledger(folder.path()));
    one.append_unless_busy(&intent("promote", 0, RolloutAction::PromoteFull), at(1))
        .unwrap();
    let full = Full::from_now_on(&folder);
    for entry in [
        brake("abort"),
        outcome("abort", Some(0)),
        outcome("promote", Some(0)),
    ] {
        other.append_or_spool(&entry, at(2)).unwrap();
    }
    full.ends();
    for step in 0..2 {
        let next = intent("again", step, RolloutAction::Continue);
        let admitted = one.append_unless_busy(&next, at(3)).unwrap();
        assert!(matches!(admitted, Admission::Written(_)), "{admitted:?}");
    }
    assert_eq!(one.overtaken(&PlanId::new("again"), at(4)).unwrap(), None);
}
