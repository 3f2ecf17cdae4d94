//! What a row of the fleet shows: which release, where it stands, whom it waits for.

use gonogo::{
    domain::{
        observation::{Fact, Observation},
        pipeline::{Outcome, Phase, RunStatus},
        rollout::{Revision, Role, Rollout, RolloutPhase},
    },
    engine::{
        lane::{Lane, Place, WaitsFor},
        queue::{Urgency, waiting},
        world::World,
    },
};

use crate::support::build::{
    answer, approval, canary, catalog, lane, latency_gate, live, measure, rollout, run, runs, world,
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
        (Urgency::Hurting, "at 30 %: latency 900 > 250")
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
}
