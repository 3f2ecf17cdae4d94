//! What was measured of another revision, or of an earlier attempt at the same
//! one, is neither for nor against the one that is tried now.

use std::time::Duration;

use gonogo::{
    domain::{
        measure::{Arm, Sample},
        observation::{Fact, Observation},
        policy::GateRule,
        quantity::Weight,
        rollout::{Role, Rollout, RolloutPhase},
        verdict::{Verdict, Word},
    },
    engine::{
        reduce::{reduce, settle},
        world::World,
    },
};

use crate::support::build::{
    answer, at, canary, catalog, lane, latency_gate, measure, revision, rollout, run, runs, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const METRIC: &str = "metric recsys-ranker/prod-eu/latency_p95";

/// What is said of the release in the rollout, and the decision about it.
fn said(world: &World) -> (Verdict, String, Word) {
    let release = world.lanes[&lane()].release().expect("a release").clone();
    let decision = world.decision(&release, &lane().1).expect("a decision");
    let found = &decision.findings[0];
    (found.verdict, found.reason.to_string(), decision.word)
}

/// The 95th percentile and the requests behind it, as the queries come to.
fn measured(when: i64, p95: f64) -> Observation {
    let facts = [(Arm::Canary, p95), (Arm::Traffic, 1000.0)];
    let facts = facts.map(|(arm, value)| Fact::Measure(measure(arm, Sample::Value(value), when)));
    answer("prom", METRIC, when, facts.to_vec())
}

fn guarded() -> GateRule {
    GateRule {
        min_traffic: Some(200.0),
        ..latency_gate(250.0)
    }
}

/// A canary was tried and taken back; the next one came at 870 s, and a number
/// measured at `measured_at` is what there is when a process begins.
fn after_another(looks_back: u64, measured_at: i64, p95: f64) -> (Verdict, String, Word) {
    let mut next = canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    next.revisions[0] = revision(3, "new", "r/ranker:1111111", Role::Canary);
    next.revisions[0].created_at = Some(at(870));
    let mut before = revision(2, "before", "r/ranker:before", Role::Old);
    before.created_at = Some(at(300));
    next.revisions.insert(1, before);
    let told = [
        runs(measured_at, &[&run(1, A, 0), &run(2, B, 1)]),
        rollout(measured_at, next),
        measured(measured_at, p95),
    ];
    let mut catalog = catalog(vec![guarded()]);
    for metric in catalog.services.values_mut().flat_map(|of| &mut of.metrics) {
        metric.looks_back = Duration::from_secs(looks_back);
    }
    said(&world(catalog, &told, measured_at))
}

/// Half a minute after the change, what a query over five minutes comes to is
/// mostly about the canary before, and so are the requests it counts.
#[test]
fn a_canary_is_not_judged_by_what_users_felt_of_the_one_before() {
    for p95 in [100.0, 300.0] {
        assert_eq!(
            after_another(300, 900, p95),
            (
                Verdict::Pending,
                "the 5m looked back on are not all its own yet".to_owned(),
                Word::HoldWaiting
            ),
            "{p95} ms"
        );
    }
    // 870 s and five minutes: from then on every sample is its own.
    assert_eq!(after_another(300, 1169, 300.0).0, Verdict::Pending);
    assert_eq!(after_another(300, 1170, 300.0).0, Verdict::Fail);
    assert_eq!(after_another(300, 1170, 100.0).0, Verdict::Pass);
    // One that reads an instant needs no wait.
    assert_eq!(
        after_another(0, 869, 100.0).1,
        "what was measured is from before"
    );
    assert_eq!(after_another(0, 871, 100.0).0, Verdict::Pass);
}

/// The same canary, taken back or tried again, as told at `when`.
fn tried(when: i64, aborted: Option<i64>) -> Observation {
    let weight = Weight::percent(if aborted.is_some() { 0 } else { 30 });
    let phase = if aborted.is_some() {
        RolloutPhase::Degraded
    } else {
        RolloutPhase::Progressing
    };
    let of = Rollout {
        version: Some(when.unsigned_abs()),
        aborted: aborted.map(|when| Some(at(when))),
        phase,
        pause: None,
        step: Some(0),
        weight_wanted: weight,
        weight_actual: weight,
        ..canary("r/ranker:1111111", "r/ranker:9f3c2ab")
    };
    rollout(when, of)
}

#[test]
fn a_new_attempt_is_not_judged_by_the_samples_of_the_one_before() {
    let told = [
        runs(800, &[&run(1, A, 0), &run(2, B, 1)]),
        tried(800, Some(790)),
    ];
    let mut world = world(catalog(vec![guarded()]), &told, 800);
    let mut after = |when: i64| {
        reduce(&mut world, &tried(when, None));
        reduce(&mut world, &measured(when, 100.0));
        settle(&mut world, at(when));
        said(&world)
    };
    // Tried again at 810; the queries look back a minute.
    assert_eq!(
        (after(810).0, after(830).1.as_str()),
        (
            Verdict::Pending,
            "the 1m looked back on are not all its own yet"
        )
    );
    // It was taken back in the second that began at 790: nobody was on it from
    // the next one on.
    assert_eq!(after(850).0, Verdict::Pending);
    assert_eq!(after(851).0, Verdict::Pass);
}
