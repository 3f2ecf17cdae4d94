//! What a row of the fleet shows: which release, where it stands, whom it waits for.

use gonogo::{
    domain::{
        approval::{Answer, Review},
        observation::{Fact, Observation},
        pipeline::{Outcome, Phase, RunStatus},
        quantity::Weight,
        rollout::{Revision, Role, Rollout, RolloutPhase},
    },
    engine::{
        lane::{Lane, Place, WaitsFor},
        queue::{Urgency, waiting},
        world::World,
    },
};

use crate::support::build::{
    answer, approval, canary, catalog, job, lane, latency_gate, live, measure, rollout, run, runs,
    world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn shown(world: &World) -> &Lane {
    &world.lanes[&lane()]
}

fn label(world: &World) -> String {
    world
        .release(shown(world).release().unwrap())
        .unwrap()
        .label
        .to_string()
}

fn with(observations: &[Observation]) -> World {
    world(catalog(vec![latency_gate(250.0)]), observations, 200)
}

#[test]
fn what_was_rolled_back_is_not_on_its_way_any_more() {
    let back = Rollout {
        revisions: vec![
            Revision {
                role: Role::Stable,
                ..canary("x", "r/ranker:9f3c2ab").revisions[1].clone()
            },
            Revision {
                role: Role::Old,
                ..canary("r/ranker:1111111", "x").revisions[0].clone()
            },
        ],
        ..live("r/ranker:9f3c2ab")
    };
    let world = with(&[
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        rollout(100, back),
    ]);
    assert_eq!(
        (label(&world).as_str(), &shown(&world).place),
        ("9f3c2ab", &Place::Live)
    );
    assert_eq!(shown(&world).candidate, None);
}

/// A was gone back to from B: it had number 1 and has 3 now.
fn gone_back() -> Rollout {
    let of = canary("r/ranker:1111111", "r/ranker:9f3c2ab").revisions;
    Rollout {
        revisions: vec![
            Revision {
                number: 3,
                earlier: vec![1],
                ..of[1].clone()
            },
            Revision {
                role: Role::Old,
                ..of[0].clone()
            },
        ],
        ..live("r/ranker:9f3c2ab")
    }
}

#[test]
fn after_a_roll_back_the_row_names_what_is_live_and_what_was_left() {
    // A run that failed in between never mattered here, and does not now.
    let mut failed = run(3, "2222222ccccccccccccccccccccccccccccccccc", 20);
    failed.status = RunStatus::ended(Outcome::Failed);
    let runs_of = |more: &[&gonogo::domain::pipeline::Run]| {
        let (a, b) = (run(1, A, 0), run(2, B, 50));
        let mut all = vec![&a, &b, &failed];
        all.extend(more);
        runs(100, &all)
    };
    let world = with(&[runs_of(&[]), rollout(100, gone_back())]);
    let row = shown(&world);
    assert_eq!(
        (label(&world).as_str(), &row.place),
        ("9f3c2ab", &Place::Live)
    );
    let back = world.release(row.rolled_back.as_ref().unwrap()).unwrap();
    assert_eq!(back.label, "1111111");
    assert_eq!(row.candidate, None);
    assert_eq!(
        gonogo::report::words::standing(&world, row),
        "live, 1111111 rolled back"
    );
    let newer = run(4, "3333333ddddddddddddddddddddddddddddddddd", 90);
    let world = with(&[runs_of(&[&newer]), rollout(100, gone_back())]);
    assert_eq!(label(&world), "3333333");
}

#[test]
fn a_rejected_release_is_rejected_and_asks_for_nothing() {
    let mut over = run(2, B, 50);
    over.status = RunStatus::ended(Outcome::Failed);
    let review = |answer| {
        Fact::Review(Review {
            id: approval(&over, "prod-eu").id,
            environment: "prod-eu".into(),
            answer,
            user: "mk".into(),
            comment: "".into(),
        })
    };
    let broke = |name: &str| {
        let job = job(&over, 7, name, RunStatus::ended(Outcome::Failed));
        answer("gh", "jobs 2", 100, vec![Fact::Job(job)])
    };
    let of = |answered: Answer, job: Observation| {
        with(&[
            runs(100, &[&run(1, A, 0), &over]),
            answer("gh", "reviews 2", 100, vec![review(answered)]),
            job,
            rollout(100, live("r/ranker:9f3c2ab")),
        ])
    };
    let world = of(Answer::Rejected, broke("deploy prod-eu"));
    let row = shown(&world);
    assert_eq!(
        gonogo::report::words::standing(&world, row),
        "rejected by mk"
    );
    assert_eq!(row.waits_for, WaitsFor::Nothing);
    assert_eq!(waiting(&world), []);
    // A rerun that failed for a reason of its own, and a yes before a failure.
    for other in [
        of(Answer::Rejected, broke("unit tests")),
        of(Answer::Approved, broke("deploy prod-eu")),
    ] {
        assert_eq!(shown(&other).place, Place::RunFailed);
    }
}

#[test]
fn a_newer_run_shows_until_it_is_live() {
    let mut newer = run(2, B, 50);
    newer.status = RunStatus::at(Phase::Running);
    let world = with(&[
        runs(100, &[&run(1, A, 0), &newer]),
        rollout(100, live("r/ranker:9f3c2ab")),
    ]);
    assert_eq!(label(&world), "1111111");
    assert!(matches!(shown(&world).place, Place::Pipeline { .. }));
    newer.status = RunStatus::ended(Outcome::Failed);
    let failed = with(&[
        runs(100, &[&run(1, A, 0), &newer]),
        rollout(100, live("r/ranker:9f3c2ab")),
    ]);
    assert_eq!(shown(&failed).place, Place::RunFailed);
    assert_eq!(waiting(&failed)[0].urgency, Urgency::Blocked);
}

#[test]
fn an_approval_asks_a_person_and_says_whether_it_is_you() {
    let mut held_back = run(2, B, 50);
    held_back.status = RunStatus::at(Phase::Waiting);
    for may in [Some(true), Some(false), None] {
        let mut gate = approval(&held_back, "prod-eu");
        gate.may_approve = may;
        let world = with(&[
            runs(100, &[&held_back]),
            answer("gh", "approvals 2", 100, vec![Fact::Approval(gate)]),
            rollout(100, live("r/ranker:9f3c2ab")),
        ]);
        assert!(
            matches!(&shown(&world).place, Place::Approval { environment } if *environment == "prod-eu")
        );
        assert!(matches!(&shown(&world).waits_for, WaitsFor::Person { you, .. } if *you == may));
    }
}

#[test]
fn the_queue_is_worst_first() {
    let bad = vec![Fact::Measure(measure(
        gonogo::domain::measure::Arm::Canary,
        gonogo::domain::measure::Sample::Value(900.0),
        200,
    ))];
    let hurting = with(&[
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        rollout(100, canary("r/ranker:1111111", "r/ranker:9f3c2ab")),
        answer("prom", "metric", 200, bad),
    ]);
    let first = &waiting(&hurting)[0];
    assert_eq!(
        (first.urgency, &*first.reason),
        (Urgency::Hurting, "at 30 %: latency 900 ms > 250 ms over 1m")
    );
    let calm = with(&[
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        rollout(
            100,
            Rollout {
                held: true,
                ..canary("r/ranker:1111111", "r/ranker:9f3c2ab")
            },
        ),
    ]);
    assert_eq!(waiting(&calm)[0].urgency, Urgency::Held);
}

#[test]
fn an_aborted_canary_shows_as_rolled_back_until_something_newer_comes() {
    let aborted = Rollout {
        aborted: Some(None),
        phase: RolloutPhase::Degraded,
        weight_actual: Weight::percent(0),
        ..canary("r/ranker:1111111", "r/ranker:9f3c2ab")
    };
    let world = with(&[
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        rollout(100, aborted),
    ]);
    assert_eq!(
        (label(&world).as_str(), &shown(&world).place),
        ("1111111", &Place::Aborted)
    );
    assert_eq!(
        gonogo::report::words::standing(&world, shown(&world)),
        "rolled back, 9f3c2ab live"
    );
}
