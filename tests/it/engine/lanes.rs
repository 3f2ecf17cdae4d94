//! What a row of the fleet shows: which release, where it stands, whom it waits for.

use gonogo::{
    domain::{
        action::ActionKind,
        approval::{Answer, Review},
        measure::{Arm, Sample},
        observation::{Fact, Observation},
        pipeline::{Outcome, Phase, RunStatus},
        quantity::Weight,
        rollout::{Revision, Role, Rollout, RolloutPhase},
    },
    engine::{
        flow::{FlowState, flow},
        lane::{Lane, Place, WaitsFor},
        plan::{Ask, Verb},
        propose::propose,
        queue::{self, Urgency, waiting},
        world::World,
    },
};

use crate::support::build::{
    aliases, answer, approval, at, canary, catalog, job, lane, latency_gate, live, measure,
    registry, rollout, run, runs, version, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

const METRIC: &str = "metric recsys-ranker/prod-eu/latency_p95";

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
fn a_rollout_the_controller_has_not_looked_at_is_not_live() {
    let fresh = Rollout {
        observed: false,
        current_hash: None,
        stable_hash: None,
        revisions: Vec::new(),
        phase: RolloutPhase::Progressing,
        ..live("r/ranker:9f3c2ab")
    };
    let world = with(&[rollout(100, fresh)]);
    assert_eq!(shown(&world).place.word(), "unknown");
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
    // What it was kept from is left out, and is not still to come.
    let stages: Vec<_> = flow(&world, row, at(100))
        .into_iter()
        .map(|stage| {
            (
                stage.name,
                stage.state,
                stage.detail.to_string(),
                stage.here,
            )
        })
        .filter(|(name, ..)| ["approve", "rollout", "live"].contains(name))
        .collect();
    assert_eq!(
        stages,
        [
            ("approve", FlowState::Failed, "no, mk".to_owned(), true),
            ("rollout", FlowState::Skipped, String::new(), false),
            ("live", FlowState::Skipped, String::new(), false),
        ]
    );
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

/// What `status` says a row waits for, and its line of the queue.
fn asked(world: &World) -> (Option<String>, Vec<String>) {
    let row = shown(world);
    let said = gonogo::report::words::waits_for(&queue::waits_for(world, row), at(200));
    let queue = waiting(world);
    (
        said,
        queue.iter().map(|item| item.reason.to_string()).collect(),
    )
}

#[test]
fn a_canary_that_hurts_waits_for_a_person_whatever_its_timer_says() {
    let timed = |p95: f64| {
        let mut rolling = canary("r/ranker:1111111", "r/ranker:9f3c2ab");
        if let Some(pause) = &mut rolling.pause {
            pause.ends_at = Some(at(800));
        }
        let measured = Fact::Measure(measure(Arm::Canary, Sample::Value(p95), 199));
        with(&[
            runs(199, &[&run(1, A, 0), &run(2, B, 50)]),
            rollout(199, rolling),
            answer("prom", METRIC, 199, vec![measured]),
        ])
    };
    let (said, queue) = asked(&timed(200.0));
    assert_eq!(said.as_deref(), Some("a timer, 10m left"));
    assert!(queue.is_empty(), "{queue:?}");
    let world = timed(410.0);
    let (said, queue) = asked(&world);
    let reason = "at 30 %: latency 410 ms > 250 ms over 1m";
    assert_eq!(queue, [reason]);
    let all = format!("a person: {reason} (roll back, abort, hold)");
    assert_eq!(said, Some(all.clone()));
    let row = shown(&world);
    let sentence = gonogo::report::plain::sentence(&world, row, at(200));
    assert!(sentence.contains(&all), "{sentence}");
    let table = gonogo::report::plain::status(&world, [row], at(200));
    assert!(table[1].ends_with(&all), "{table:?}");
    let json = gonogo::report::json::lane(&world, row, at(200));
    assert_eq!(json["waits_for"]["kind"], "person");
    assert_eq!(
        json["waits_for"]["what"],
        format!("{reason} (roll back, abort, hold)")
    );
}

/// Everything is on v42, tagged with B's commit, while aliases point elsewhere.
fn all_on_v42(at_aliases: &[(&str, u64)]) -> World {
    let tagged = [
        version(41, &[("git_sha", A)]),
        version(42, &[("git_sha", B)]),
    ];
    with(&[
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(100, aliases(at_aliases), tagged.to_vec(), vec![]),
        rollout(100, live("r/ranker:1111111")),
    ])
}

#[test]
fn traffic_without_the_alias_is_half_a_promotion_and_waits_for_a_person() {
    let world = all_on_v42(&[("champion", 41)]);
    assert_eq!(label(&world), "v42");
    let (said, queue) = asked(&world);
    assert_eq!(queue, ["half promoted: champion still v41"]);
    assert_eq!(
        said.as_deref(),
        Some("a person: half promoted: champion still v41 (promote)")
    );
    // The alias is there, was taken back from here, or is ahead of this environment.
    assert_eq!(asked(&all_on_v42(&[("champion", 42)])), (None, vec![]));
    let back = all_on_v42(&[("champion", 41), ("previous-champion", 42)]);
    assert_eq!(
        asked(&back).1,
        ["champion went back to v41, users here are on v42"]
    );
    assert_eq!(asked(&all_on_v42(&[("champion", 43)])), (None, vec![]));
}

/// Rows and sheets count steps alike: the one a skip would leave is the one the row names.
#[test]
fn the_step_a_row_is_at_is_the_step_a_sheet_would_leave() {
    use gonogo::{
        domain::rollout::RolloutStep,
        engine::{
            plan::{Ask, Verb},
            propose::propose,
        },
    };
    let steps = vec![RolloutStep::Pause(None); 6];
    for (index, word) in [(0, "1/6"), (3, "4/6"), (5, "6/6"), (6, "6/6")] {
        let rolling = Rollout {
            steps: steps.clone(),
            step: Some(index),
            ..canary("r/ranker:1111111", "r/ranker:9f3c2ab")
        };
        let world = with(&[
            runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
            rollout(100, rolling),
        ]);
        assert_eq!(shown(&world).place.word(), format!("canary {word}"));
        let skip = propose(&world, &Ask::new(Verb::Skip, lane()), at(200));
        if let Ok(plan) = skip {
            let effect = &plan.steps[0].effect;
            assert!(effect.starts_with(&format!("step {word} ")), "{effect}");
        }
    }
}

#[test]
fn a_newer_run_does_not_hide_that_users_are_on_something_bad() {
    let mut building = run(2, B, 150);
    building.status = RunStatus::at(Phase::Running);
    let measured = measure(Arm::Stable, Sample::Value(400.0), 190);
    let told = [
        runs(190, &[&run(1, A, 0), &building]),
        registry(
            190,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)])],
            vec![],
        ),
        rollout(190, live("r/ranker:9f3c2ab")),
        answer("prom", METRIC, 190, vec![Fact::Measure(measured)]),
    ];
    let world = with(&told);
    assert_eq!(label(&world), "1111111", "the row is about what comes next");
    let waits = waiting(&world);
    let item = waits.first().expect("what users are on is bad");
    assert_eq!((item.urgency, item.what), (Urgency::Hurting, "LIVE"));
    assert_eq!(item.release, "v1");
    assert!(item.reason.contains("400"), "{item:?}");
    assert_eq!(item.verbs, [Verb::RollBack]);
    assert_eq!(waits.len(), 1, "{waits:?}");
    let WaitsFor::Person { what, .. } = queue::waits_for(&world, shown(&world)) else {
        panic!("every surface says so");
    };
    assert!(what.contains("400"), "{what}");
}

/// Half a promotion is finished though the next release is being built.
#[test]
fn a_newer_run_does_not_hide_half_a_promotion() {
    let mut building = run(3, "2222222ccccccccccccccccccccccccccccccccc", 180);
    building.status = RunStatus::at(Phase::Running);
    let told = [
        runs(190, &[&run(1, A, 0), &run(2, B, 50), &building]),
        registry(
            190,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![],
        ),
        rollout(190, live("r/ranker:1111111")),
        answer(
            "prom",
            METRIC,
            190,
            vec![Fact::Measure(measure(
                Arm::Stable,
                Sample::Value(200.0),
                190,
            ))],
        ),
    ];
    let world = with(&told);
    assert_eq!(label(&world), "2222222");
    let waits = waiting(&world);
    let item = waits.first().expect("the alias is behind");
    assert_eq!(
        (&*item.release, &*item.reason),
        ("v2", "half promoted: champion still v1")
    );
    let ask = Ask::new(Verb::Promote, lane());
    let plan = propose(&world, &ask, at(200)).unwrap();
    assert_eq!(plan.release_label, "v2");
    assert!(
        plan.steps
            .iter()
            .all(|step| step.order.kind() == ActionKind::SetAlias),
        "{plan:?}"
    );
}
