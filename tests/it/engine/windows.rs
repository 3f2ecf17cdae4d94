//! N of M: which windows are evidence, and what so many bad ones mean.

use gonogo::{
    domain::{
        measure::{Arm, Sample, Windows},
        observation::{Fact, Observation},
        policy::{BaselineSource, Breaches, Change, GateRule, Limit, OnMissing, Versus},
        quantity::Weight,
        rollout::{Rollout, RolloutPhase},
        verdict::{Finding, Verdict, Word},
    },
    engine::{
        queue::{Urgency, waiting},
        reduce::{reduce, settle},
        world::World,
    },
};
use proptest::prelude::*;

use crate::support::build::{
    answer, at, canary, catalog, lane, latency_gate, live, measure, minutes, revision, rollout,
    run, runs, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const METRIC: &str = "metric recsys-ranker/prod-eu/latency_p95";

/// Bad in two of the last three windows, at most 250 ms.
fn gate() -> GateRule {
    GateRule {
        breaches: Some(Breaches { of: 3, at_least: 2 }),
        ..latency_gate(250.0)
    }
}

/// What Prometheus says now: the values of this moment and the windows.
fn told(when: i64, now: f64, stable: Option<f64>, windows: Windows) -> Observation {
    let mut facts = vec![
        Fact::Measure(measure(Arm::Canary, Sample::Value(now), when)),
        Fact::Measure(measure(Arm::Traffic, Sample::Value(1000.0), when)),
        Fact::Windows(windows),
    ];
    facts.extend(
        stable.map(|value| Fact::Measure(measure(Arm::Stable, Sample::Value(value), when))),
    );
    answer("prom", METRIC, when, facts)
}

fn with(gate: GateRule, rollout_now: Rollout, said: Observation, now: i64) -> World {
    let told = [
        runs(now, &[&run(1, A, 0), &run(2, B, 1)]),
        rollout(now, rollout_now),
        said,
    ];
    world(catalog(vec![gate]), &told, now)
}

fn finding(world: &World) -> &Finding {
    let release = world.lanes[&lane()].release().expect("a release").clone();
    &world
        .decision(&release, &lane().1)
        .expect("a decision")
        .findings[0]
}

/// A canary that began two seconds after the start, and its last minutes.
fn judged(gate: GateRule, now: f64, values: &[Option<f64>]) -> (Verdict, String) {
    let windows: Vec<_> = values.iter().map(|value| (*value, None)).collect();
    let said = told(901, now, None, minutes(900, &windows));
    let world = with(
        gate,
        canary("r/ranker:1111111", "r/ranker:9f3c2ab"),
        said,
        902,
    );
    let found = finding(&world);
    (found.verdict, found.reason.to_string())
}

fn some<const N: usize>(values: [f64; N]) -> [Option<f64>; N] {
    values.map(Some)
}

#[test]
fn so_many_bad_windows_are_bad_in_whatever_order() {
    for (values, now, verdict, reason) in [
        (
            [100.0, 100.0, 100.0],
            100.0,
            Verdict::Pass,
            "100 ms ≤ 250 ms, 0 of 3 windows of 1m outside",
        ),
        (
            [100.0, 100.0, 300.0],
            100.0,
            Verdict::Warn,
            "300 ms > 250 ms, now 100 ms, 1 of 3 windows of 1m outside",
        ),
        (
            [100.0, 100.0, 100.0],
            300.0,
            Verdict::Warn,
            "300 ms > 250 ms now; fails at 2 of 3 windows of 1m, so far 0",
        ),
        (
            [100.0, 300.0, 300.0],
            300.0,
            Verdict::Fail,
            "300 ms > 250 ms, 2 of 3 windows of 1m outside",
        ),
        (
            [300.0, 100.0, 300.0],
            300.0,
            Verdict::Fail,
            "300 ms > 250 ms, 2 of 3 windows of 1m outside",
        ),
        (
            [300.0, 300.0, 100.0],
            100.0,
            Verdict::Fail,
            "300 ms > 250 ms, now 100 ms, 2 of 3 windows of 1m outside",
        ),
    ] {
        assert_eq!(
            judged(gate(), now, &some(values)),
            (verdict, reason.to_owned()),
            "{values:?}"
        );
    }
}

#[test]
fn fewer_windows_than_it_takes_to_decide_is_pending_and_never_a_warning() {
    assert_eq!(
        judged(gate(), 377.0, &[None, None, Some(377.0)]),
        (
            Verdict::Pending,
            "377 ms > 250 ms, 1 of 3 windows of 1m measured".to_owned()
        )
    );
    assert_eq!(
        judged(gate(), 100.0, &[None, None, Some(100.0)]),
        (
            Verdict::Pending,
            "100 ms ≤ 250 ms, 1 of 3 windows of 1m measured".to_owned()
        )
    );
    // Two good ones of three cannot become two bad ones, two bad ones are enough.
    assert_eq!(
        judged(gate(), 100.0, &[None, Some(100.0), Some(100.0)]).0,
        Verdict::Pass
    );
    assert_eq!(
        judged(gate(), 377.0, &[None, Some(377.0), Some(377.0)]).0,
        Verdict::Fail
    );
    assert_eq!(
        judged(gate(), 100.0, &[None, Some(100.0), Some(300.0)]).0,
        Verdict::Pending
    );
    assert_eq!(
        judged(gate(), 100.0, &[None, None, None]),
        (Verdict::Pending, "0 of 3 windows of 1m measured".to_owned())
    );
}

#[test]
fn coverage_is_the_share_of_windows_that_were_measured() {
    let said = told(
        901,
        100.0,
        None,
        minutes(
            900,
            &[(None, None), (Some(100.0), None), (Some(100.0), None)],
        ),
    );
    let world = with(
        gate(),
        canary("r/ranker:1111111", "r/ranker:9f3c2ab"),
        said,
        902,
    );
    let share = finding(&world).coverage.unwrap();
    assert!((share - 2.0 / 3.0).abs() < 1e-9, "{share}");
}

/// The same three windows told once, or at each of a hundred looks.
#[test]
fn asking_more_often_adds_no_evidence() {
    let one_bad = [(None, None), (None, None), (Some(300.0), None)];
    let mut world = with(
        gate(),
        canary("r/ranker:1111111", "r/ranker:9f3c2ab"),
        told(901, 300.0, None, minutes(900, &one_bad)),
        901,
    );
    let first = finding(&world).clone();
    assert_eq!(first.verdict, Verdict::Pending);
    for look in 0..50_i32 {
        let when = 902 + i64::from(look);
        reduce(
            &mut world,
            &told(when, 300.0 + f64::from(look), None, minutes(900, &one_bad)),
        );
        settle(&mut world, at(when));
        assert_eq!(finding(&world).verdict, Verdict::Pending, "look {look}");
    }
    let two_bad = [(None, None), (Some(300.0), None), (Some(300.0), None)];
    reduce(&mut world, &told(961, 300.0, None, minutes(960, &two_bad)));
    settle(&mut world, at(961));
    assert_eq!(finding(&world).verdict, Verdict::Fail);
}

#[test]
fn windows_of_an_earlier_canary_are_none_of_this_one() {
    // It came at 870: of the windows that end at 780, 840 and 900 none is its own.
    let mut second = canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    second.revisions[0].created_at = Some(at(870));
    let bad = [(Some(300.0), None); 3];
    let said = told(901, 100.0, None, minutes(900, &bad));
    let world = with(gate(), second, said, 902);
    assert_eq!(
        (finding(&world).verdict, &*finding(&world).reason),
        (Verdict::Pending, "0 of 3 windows of 1m measured")
    );
}

/// A revision that was tried before, then another, then again: its ReplicaSet
/// is old, what it measured last is the other's.
#[test]
fn a_revision_that_came_back_does_not_answer_for_the_one_between() {
    let mut back = canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    let mut between = revision(3, "between", "r/ranker:between", back.revisions[0].role);
    between.created_at = Some(at(870));
    back.revisions.push(between);
    let bad = [(Some(300.0), None); 3];
    let said = told(901, 100.0, None, minutes(900, &bad));
    assert_eq!(
        finding(&with(gate(), back, said, 902)).verdict,
        Verdict::Pending
    );

    // The change of mind was seen, whatever the ReplicaSets say.
    let bad = told(901, 100.0, None, minutes(900, &[(Some(300.0), None); 3]));
    let mut before = canary("r/ranker:other", "r/ranker:9f3c2ab");
    before.current_hash = Some("other".into());
    let mut world = with(gate(), before, bad, 880);
    let mut now = canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    now.version = Some(101);
    reduce(&mut world, &rollout(890, now));
    settle(&mut world, at(902));
    assert_eq!(&*finding(&world).reason, "0 of 3 windows of 1m measured");
}

#[test]
fn a_window_without_enough_traffic_is_not_measured() {
    let mut windows = minutes(900, &[(Some(300.0), None); 3]);
    windows.windows[0].traffic = Some(12.0);
    windows.windows[1].traffic = None;
    let guarded = GateRule {
        min_traffic: Some(100.0),
        ..gate()
    };
    let world = with(
        guarded,
        canary("r/ranker:1111111", "r/ranker:9f3c2ab"),
        told(901, 300.0, None, windows),
        902,
    );
    assert_eq!(
        (finding(&world).verdict, &*finding(&world).reason),
        (
            Verdict::Pending,
            "300 ms > 250 ms, 1 of 3 windows of 1m measured"
        )
    );
}

#[test]
fn a_comparison_takes_as_many_windows_as_a_limit() {
    let against_stable = || GateRule {
        fail: Limit::default(),
        versus: Some(Versus {
            baseline: BaselineSource::Stable,
            max_regression: Some(Change {
                absolute: None,
                relative: Some(0.2),
            }),
            min_improvement: None,
            same_data: false,
            on_missing_baseline: OnMissing::Warn,
        }),
        ..gate()
    };
    let good = (Some(200.0), Some(200.0));
    let bad = (Some(300.0), Some(200.0));
    for (windows, now, verdict) in [
        ([good, good, good], 200.0, Verdict::Pass),
        ([good, good, good], 300.0, Verdict::Warn),
        ([good, good, bad], 200.0, Verdict::Warn),
        ([bad, good, bad], 300.0, Verdict::Fail),
        ([bad, bad, good], 200.0, Verdict::Fail),
        ([(None, None), (None, None), bad], 300.0, Verdict::Pending),
        // Nothing to compare with in two of them.
        (
            [(Some(300.0), None), (Some(300.0), None), bad],
            300.0,
            Verdict::Pending,
        ),
    ] {
        let said = told(901, now, Some(200.0), minutes(900, &windows));
        let world = with(
            against_stable(),
            canary("r/ranker:1111111", "r/ranker:9f3c2ab"),
            said,
            902,
        );
        let found = finding(&world);
        assert_eq!(found.verdict, verdict, "{windows:?}: {found:?}");
    }
}

#[test]
fn once_live_the_windows_since_then_count() {
    // Where it says when it was through, later changes are no new beginning.
    for (changed, completed) in [(810, None), (890, Some(at(809)))] {
        let mut full = live("r/ranker:9f3c2ab");
        full.changed_at = Some(at(changed));
        full.completed_at = completed;
        live_since_810(full);
    }
}

#[track_caller]
fn live_since_810(full: Rollout) {
    let stable = [(None, Some(300.0)); 3];
    let mut facts = vec![
        Fact::Measure(measure(Arm::Stable, Sample::Value(300.0), 901)),
        Fact::Measure(measure(Arm::Traffic, Sample::Value(1000.0), 901)),
    ];
    facts.push(Fact::Windows(minutes(900, &stable)));
    let told = [
        runs(901, &[&run(1, A, 0)]),
        rollout(901, full),
        answer("prom", METRIC, 901, facts),
    ];
    let world = world(catalog(vec![gate()]), &told, 902);
    // Only the one from 840 to 900 lies after the change at 810.
    assert_eq!(
        (finding(&world).verdict, &*finding(&world).reason),
        (
            Verdict::Pending,
            "300 ms > 250 ms, 1 of 3 windows of 1m measured"
        )
    );
}

/// A guard that cannot be asked is no guard.
#[test]
fn traffic_that_is_not_known_is_an_error() {
    let guarded = GateRule {
        min_traffic: Some(100.0),
        ..latency_gate(250.0)
    };
    for (traffic, reason) in [
        (None, "how many requests are behind it is not known"),
        (
            Some(Sample::Several(2)),
            "traffic: 2 series and no `aggregate` that says which counts",
        ),
        (
            Some(Sample::NotFinite("NaN".into())),
            "traffic: value is NaN",
        ),
    ] {
        let mut facts = vec![Fact::Measure(measure(
            Arm::Canary,
            Sample::Value(100.0),
            901,
        ))];
        facts.extend(
            traffic
                .clone()
                .map(|sample| Fact::Measure(measure(Arm::Traffic, sample, 901))),
        );
        let world = with(
            guarded.clone(),
            canary("r/ranker:1111111", "r/ranker:9f3c2ab"),
            answer("prom", METRIC, 901, facts),
            902,
        );
        assert_eq!(
            (finding(&world).verdict, &*finding(&world).reason),
            (Verdict::Error, reason),
            "{traffic:?}"
        );
    }
}

proptest! {
    /// By hand: bad ones counted, and those that are open.
    #[test]
    fn the_verdict_follows_from_how_many_are_bad_and_how_many_are_open(
        windows in proptest::collection::vec(proptest::option::of(prop::bool::ANY), 5),
        at_least in 1..=5_u32,
    ) {
        let rule = GateRule {
            breaches: Some(Breaches { of: 5, at_least }),
            ..latency_gate(250.0)
        };
        let values: Vec<Option<f64>> = windows
            .iter()
            .map(|bad| bad.map(|bad| if bad { 300.0 } else { 100.0 }))
            .collect();
        let bad = u32::try_from(windows.iter().filter(|bad| **bad == Some(true)).count()).unwrap();
        let open = u32::try_from(windows.iter().filter(|bad| bad.is_none()).count()).unwrap();
        let expected = match (bad, open) {
            (_, 5) => Verdict::Pending,
            (bad, _) if bad >= at_least => Verdict::Fail,
            (bad, open) if bad + open >= at_least => Verdict::Pending,
            (0, _) => Verdict::Pass,
            _ => Verdict::Warn,
        };
        prop_assert_eq!(judged(rule, 100.0, &values).0, expected);
    }
}

#[test]
fn pending_windows_make_one_wait() {
    let said = told(901, 377.0, None, minutes(900, &[(Some(377.0), None)]));
    let world = with(
        gate(),
        canary("r/ranker:1111111", "r/ranker:9f3c2ab"),
        said,
        902,
    );
    let release = world.lanes[&lane()].release().unwrap().clone();
    let decision = world.decision(&release, &lane().1).unwrap();
    assert_eq!(decision.word, Word::HoldWaiting);
}

/// The canary after its abort, with nobody on it.
fn aborted() -> Rollout {
    Rollout {
        version: Some(200),
        aborted: Some(Some(at(500))),
        phase: RolloutPhase::Degraded,
        pause: None,
        weight_wanted: Weight::ZERO,
        weight_actual: Weight::ZERO,
        ..canary("r/ranker:1111111", "r/ranker:9f3c2ab")
    }
}

/// Minutes after the abort in which nobody was on it.
fn then_nothing(mut values: Vec<Option<f64>>, minutes: usize) -> Vec<(Option<f64>, Option<f64>)> {
    values.extend(vec![None; minutes]);
    values.into_iter().map(|value| (value, None)).collect()
}

/// What is said of a canary that was taken back some minutes ago.
fn judged_after_abort(values: &[Option<f64>]) -> (Verdict, String, Word) {
    let windows = minutes(900, &then_nothing(values.to_vec(), 6));
    let mut said = told(901, 0.0, None, windows);
    if let Observation::Batch(batch) = &mut said {
        // Nobody asks it anything: the query comes to nothing.
        batch.facts[0] = Fact::Measure(measure(Arm::Canary, Sample::Empty, 901));
    }
    let world = with(gate(), aborted(), said, 902);
    let found = finding(&world);
    let release = world.lanes[&lane()].release().unwrap().clone();
    let word = world.decision(&release, &lane().1).unwrap().word;
    (found.verdict, found.reason.to_string(), word)
}

#[test]
fn bad_evidence_is_not_gone_with_the_traffic_of_an_aborted_canary() {
    assert_eq!(
        judged_after_abort(&some([300.0, 100.0, 310.0])),
        (
            Verdict::Fail,
            "310 ms > 250 ms, 2 of 3 windows of 1m outside before it was aborted".to_owned(),
            Word::NoGo
        )
    );
    assert_eq!(
        judged_after_abort(&some([300.0, 310.0, 100.0])),
        (
            Verdict::Fail,
            "310 ms > 250 ms, last 100 ms, 2 of 3 windows of 1m outside before it was aborted"
                .to_owned(),
            Word::NoGo
        )
    );
}

#[test]
fn an_aborted_canary_is_not_go_by_questions_nobody_answered() {
    let (verdict, reason, word) = judged_after_abort(&[None, None, None]);
    assert_eq!((verdict, word), (Verdict::Missing, Word::HoldNotProven));
    assert_eq!(
        reason,
        "aborted: no traffic is on it, and no window of its life is known"
    );
    // Too few to tell, and no more will come.
    assert_eq!(
        judged_after_abort(&[None, None, Some(300.0)]),
        (
            Verdict::Missing,
            "300 ms > 250 ms, 1 of 3 windows of 1m measured before it was aborted".to_owned(),
            Word::HoldNotProven
        )
    );
}

#[test]
fn a_new_attempt_is_not_judged_by_the_windows_of_the_one_before() {
    let rollout_at = |when: i64, percent: u8| {
        rollout(
            when,
            Rollout {
                version: Some(when.unsigned_abs()),
                step: Some(0),
                weight_actual: Weight::percent(percent),
                ..canary("r/ranker:1111111", "r/ranker:9f3c2ab")
            },
        )
    };
    let before = minutes(900, &then_nothing(some([300.0, 310.0, 320.0]).to_vec(), 0));
    let mut world = with(gate(), aborted(), told(901, 320.0, None, before), 902);
    assert_eq!(finding(&world).verdict, Verdict::Fail);
    // Started again: with nobody on it there is nothing to judge, for any process.
    reduce(&mut world, &rollout_at(903, 0));
    settle(&mut world, at(904));
    assert_eq!(
        (finding(&world).verdict, finding(&world).reason.as_str()),
        (Verdict::Pending, "no traffic is on it yet")
    );
    // With traffic its own windows count alone.
    reduce(&mut world, &rollout_at(905, 10));
    settle(&mut world, at(906));
    assert_eq!(
        (finding(&world).verdict, finding(&world).reason.as_str()),
        (Verdict::Pending, "0 of 3 windows of 1m measured")
    );
}

#[test]
fn what_hurts_is_as_old_as_its_first_bad_window_and_not_as_the_release() {
    let hurting = |values: &[f64]| {
        let windows: Vec<_> = values.iter().map(|value| (None, Some(*value))).collect();
        let now = values[values.len() - 1];
        let said = told(901, now, Some(now), minutes(900, &windows));
        let world = with(gate(), live("r/ranker:1111111"), said, 902);
        let items = waiting(&world);
        items.first().map(|item| (item.urgency, item.since))
    };
    // The newest window ends at 900 s; the release is live since the start.
    assert_eq!(
        hurting(&[100.0, 100.0, 300.0, 300.0]),
        Some((Urgency::Hurting, Some(at(780))))
    );
    // What was bad once and good since is another story.
    assert_eq!(
        hurting(&[300.0, 100.0, 300.0, 300.0, 300.0]),
        Some((Urgency::Hurting, Some(at(720))))
    );
    assert_eq!(hurting(&[300.0, 100.0, 100.0, 100.0]), None);
}
