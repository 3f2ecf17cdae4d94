//! Going back from a bad release, and what an abort in the midst of it leaves.

use gonogo::{
    domain::{
        action::{ActionKind, Order, RolloutAction},
        measure::{Arm, Sample},
        observation::{Fact, Observation},
        quantity::Weight,
        rollout::{Role, Rollout, RolloutPhase},
        verdict::Word,
    },
    engine::{
        clear::Refusal,
        lane::WaitsFor,
        plan::{Ask, Plan, Verb},
        propose::propose,
        queue::{Urgency, waiting},
        reduce::{reduce, settle},
        world::World,
    },
    report::{plain::sentence, words},
};

use crate::support::build::{
    aliases, answer, at, catalog, lane, latency_gate, live, measure, registry, revision, rollout,
    run, runs, version, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// B (v2, number 2) is live and the champion; A (v1, number 1) was before it.
fn on_b() -> Rollout {
    Rollout {
        current_hash: Some("b".into()),
        stable_hash: Some("b".into()),
        revisions: vec![
            revision(2, "b", "r/ranker:1111111", Role::Stable),
            revision(1, "a", "r/ranker:9f3c2ab", Role::Old),
        ],
        ..live("r/ranker:1111111")
    }
}

/// A is wanted again (number 3), in one go, and has `done` of the traffic.
fn going_back(done: u8) -> Rollout {
    let mut to = revision(3, "a", "r/ranker:9f3c2ab", Role::Canary);
    to.earlier = vec![1];
    Rollout {
        phase: RolloutPhase::Progressing,
        promoting_full: true,
        current_hash: Some("a".into()),
        stable_hash: Some("b".into()),
        weight_actual: Weight::percent(done),
        revisions: vec![to, revision(2, "b", "r/ranker:1111111", Role::Stable)],
        ..live("r/ranker:9f3c2ab")
    }
}

/// The same after an abort: users are on B, the spec has A.
fn aborted() -> Rollout {
    Rollout {
        phase: RolloutPhase::Degraded,
        message: "RolloutAborted: Rollout aborted update to revision 3".into(),
        aborted: Some(Some(at(110))),
        promoting_full: false,
        step: Some(0),
        weight_wanted: Weight::percent(0),
        ..going_back(0)
    }
}

fn p95(ms: f64, when: i64) -> Observation {
    let number = |arm| Fact::Measure(measure(arm, Sample::Value(ms), when));
    answer(
        "prom",
        "metric",
        when,
        vec![number(Arm::Canary), number(Arm::Stable)],
    )
}

/// B is live with this p95 (limit 250 ms), then the rollout is as given.
fn scene(ms: f64, then: Rollout) -> World {
    let mut told = vec![
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(
            100,
            aliases(&[("champion", 2)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![],
        ),
        rollout(100, on_b()),
        p95(ms, 100),
    ];
    let mut world = world(catalog(vec![latency_gate(250.0)]), &told, 100);
    told = vec![rollout(110, then), p95(ms, 110)];
    then_told(&mut world, &told, 110);
    world
}

fn then_told(world: &mut World, told: &[Observation], now: i64) {
    for observation in told {
        reduce(world, observation);
        settle(world, at(now));
    }
}

fn ask(world: &World, verb: Verb, to: Option<&'static str>) -> Result<Plan, Refusal> {
    let mut ask = Ask::new(verb, lane());
    ask.to = to.map(Into::into);
    propose(world, &ask, at(110))
}

fn kinds(plan: &Plan) -> Vec<ActionKind> {
    plan.steps.iter().map(|step| step.order.kind()).collect()
}

#[test]
fn the_sheet_of_an_abort_names_what_users_return_to_and_how_it_is() {
    let plan = ask(&scene(900.0, going_back(40)), Verb::Abort, None).unwrap();
    let said = plan.warnings.join("\n");
    for part in [
        "undoes the roll back to v1",
        "returns to v2 (1111111)",
        "NO-GO",
        "latency 900",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(plan.undo, Some(Verb::RollBack));
    // A canary's abort is nothing of the kind.
    let canary = crate::support::build::canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    let plan = ask(&scene(900.0, canary), Verb::Abort, None).unwrap();
    assert_eq!((plan.warnings.len(), plan.undo), (0, Some(Verb::Retry)));
}

#[test]
fn after_an_abort_a_roll_back_goes_on_to_where_it_was_going() {
    let world = scene(900.0, aborted());
    for to in [None, Some("v1"), Some("a"), Some("9f3c2ab")] {
        let plan = ask(&world, Verb::RollBack, to).unwrap();
        // The spec has it already; a full promotion clears the abort by itself.
        assert_eq!(
            kinds(&plan),
            [
                ActionKind::PromoteFull,
                ActionKind::SetAlias,
                ActionKind::SetAlias
            ]
        );
        let Order::Rollout(order) = &plan.steps[0].order else {
            panic!("{plan:?}");
        };
        assert_eq!(order.action, RolloutAction::PromoteFull);
        // A brake heeds the revision and no step.
        assert_eq!(
            (order.seen.pod_hash.as_deref(), order.seen.step),
            (Some("a"), None)
        );
        let Order::Model(order) = &plan.steps[2].order else {
            panic!("{plan:?}");
        };
        assert_eq!((order.alias.as_str(), order.to.0), ("champion", 1));
        assert_eq!(plan.release_label, "v2");
    }
}

#[test]
fn a_hold_is_undone_first_so_that_users_can_move() {
    for (of, kinds_wanted) in [
        (aborted(), vec![ActionKind::Resume, ActionKind::PromoteFull]),
        (going_back(40), vec![ActionKind::Resume]),
    ] {
        let held = Rollout { held: true, ..of };
        let plan = ask(&scene(900.0, held), Verb::RollBack, None).unwrap();
        assert_eq!(kinds(&plan)[..kinds_wanted.len()], kinds_wanted);
    }
}

#[test]
fn nothing_to_do_is_not_already_so_while_users_are_elsewhere() {
    let refusal = ask(&scene(900.0, going_back(40)), Verb::RollBack, None).unwrap_err();
    assert!(
        matches!(&refusal, Refusal::NothingToDo(why) if why.contains("60 % still on v2")),
        "{refusal:?}"
    );
    // An abort of a canary that is not through.
    let canary = crate::support::build::canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    let leaving = Rollout {
        aborted: Some(None),
        phase: RolloutPhase::Degraded,
        pause: None,
        step: Some(0),
        ..canary
    };
    // The champion alias never moved to it.
    let scene = |of| {
        let mut world = scene(900.0, of);
        let versions = vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])];
        let told = [registry(110, aliases(&[("champion", 1)]), versions, vec![])];
        then_told(&mut world, &told, 110);
        world
    };
    let refusal = ask(&scene(leaving.clone()), Verb::RollBack, None).unwrap_err();
    assert!(
        matches!(&refusal, Refusal::NothingToDo(why) if why.contains("30 % still on v2")),
        "{refusal:?}"
    );
    let gone = Rollout {
        weight_actual: Weight::percent(0),
        ..leaving
    };
    let refusal = ask(&scene(gone), Verb::RollBack, None).unwrap_err();
    assert!(matches!(refusal, Refusal::AlreadySo(_)), "{refusal:?}");
}

#[test]
fn what_was_aborted_is_not_begun_again_by_itself_while_users_are_well() {
    let world = scene(100.0, aborted());
    let refusal = ask(&world, Verb::RollBack, None).unwrap_err().to_string();
    assert!(refusal.contains("--to v1"), "{refusal}");
    let plan = ask(&world, Verb::RollBack, Some("v1")).unwrap();
    assert_eq!(kinds(&plan)[0], ActionKind::PromoteFull);
}

#[test]
fn where_users_are_is_judged_while_a_newer_run_is_what_the_row_shows() {
    let mut world = scene(200.0, aborted());
    let newer = run(3, "2222222ccccccccccccccccccccccccccccccccc", 90);
    let all = runs(112, &[&run(1, A, 0), &run(2, B, 50), &newer]);
    then_told(&mut world, &[all, p95(200.0, 112)], 112);
    let row = &world.lanes[&lane()];
    assert_ne!(
        row.release(),
        row.live.as_ref(),
        "the row shows the newer one"
    );
    ask(&world, Verb::RollBack, None).unwrap_err();
    then_told(&mut world, &[p95(300.0, 120)], 120);
    let plan = ask(&world, Verb::RollBack, None).unwrap();
    assert!(!plan.steps.is_empty(), "users are on something bad by now");
}

#[test]
fn a_way_back_step_by_step_is_made_short_when_users_are_on_something_bad() {
    let stepwise = Rollout {
        promoting_full: false,
        step: Some(1),
        ..going_back(30)
    };
    let plan = ask(&scene(900.0, stepwise.clone()), Verb::RollBack, None).unwrap();
    assert_eq!(kinds(&plan)[0], ActionKind::PromoteFull);
    // Else it is a canary like any other, and stable is the good one.
    let plan = ask(&scene(100.0, stepwise), Verb::RollBack, None).unwrap();
    assert_eq!(kinds(&plan)[0], ActionKind::Abort);
}

fn shown(world: &World) -> (String, String) {
    let row = &world.lanes[&lane()];
    let label = world
        .release(row.release().unwrap())
        .unwrap()
        .label
        .to_string();
    (label, words::standing(world, row))
}

/// The one line of the queue: how urgent, which release, why, and what helps.
fn queued(world: &World) -> (Urgency, String, String, Vec<Verb>) {
    let mut all = waiting(world);
    assert_eq!(all.len(), 1, "{all:?}");
    let one = all.remove(0);
    (
        one.urgency,
        one.release.to_string(),
        one.reason.to_string(),
        one.verbs,
    )
}

#[test]
fn until_users_are_off_it_the_row_is_about_what_they_are_taken_from() {
    for done in [0, 40, 99] {
        let world = scene(900.0, going_back(done));
        assert_eq!(
            shown(&world),
            ("v2".to_owned(), format!("rolling back to v1, {done} %"))
        );
        let (urgency, release, reason, verbs) = queued(&world);
        assert_eq!(
            (urgency, release.as_str(), verbs),
            (Urgency::Hurting, "v2", vec![])
        );
        let start = format!("rolling back v2 → v1, {done} %: latency 900 ms > 250 ms");
        assert!(reason.starts_with(&start), "{reason}");
        let said = sentence(&world, &world.lanes[&lane()], at(110));
        assert!(
            said.contains("v2, rolling back to v1") && said.contains("NO-GO"),
            "{said}"
        );
    }
    // What the judgement says does not matter: they are not off it.
    let (urgency, ..) = queued(&scene(100.0, going_back(40)));
    assert_eq!(urgency, Urgency::Hurting);
}

#[test]
fn a_spec_nobody_has_seen_yet_moves_no_user() {
    let unseen = Rollout {
        observed: false,
        ..on_b()
    };
    let world = scene(900.0, unseen);
    assert_eq!(shown(&world), ("v2".to_owned(), "live".to_owned()));
    assert_eq!(queued(&world).3, [Verb::RollBack]);
}

#[test]
fn a_held_way_back_waits_for_a_person() {
    let held = Rollout {
        held: true,
        ..going_back(40)
    };
    let world = scene(900.0, held);
    assert_eq!(shown(&world).1, "rolling back to v1, 40 %, held");
    assert_eq!(queued(&world).3, [Verb::RollBack, Verb::Continue]);
    assert!(matches!(
        world.lanes[&lane()].waits_for,
        WaitsFor::Person { .. }
    ));
}

#[test]
fn after_an_abort_of_it_the_bad_release_is_in_the_queue_with_its_way_back() {
    let world = scene(900.0, aborted());
    assert_eq!(
        shown(&world),
        (
            "v2".to_owned(),
            "live, the roll back to v1 was aborted".to_owned()
        )
    );
    let (urgency, release, reason, verbs) = queued(&world);
    assert_eq!(
        (urgency, release.as_str(), verbs),
        (Urgency::Hurting, "v2", vec![Verb::RollBack])
    );
    assert!(
        reason.contains("latency 900") && reason.contains("aborted"),
        "{reason}"
    );
    assert!(matches!(
        world.lanes[&lane()].waits_for,
        WaitsFor::Person { .. }
    ));
    // It is half done even where users are well.
    assert_eq!(queued(&scene(100.0, aborted())).0, Urgency::Asked);
}

#[test]
fn what_users_feel_is_read_where_they_are() {
    // The earlier one has nothing wrong with it: that says nothing of the other.
    let mut world = scene(900.0, going_back(40));
    let told = [answer(
        "prom",
        "metric",
        120,
        vec![
            Fact::Measure(measure(Arm::Canary, Sample::Value(80.0), 120)),
            Fact::Measure(measure(Arm::Stable, Sample::Value(900.0), 120)),
        ],
    )];
    then_told(&mut world, &told, 120);
    let row = &world.lanes[&lane()];
    let decision = world
        .decision(row.release().unwrap(), &row.environment)
        .unwrap();
    assert_eq!(decision.word, Word::NoGo, "{decision:?}");
}

#[test]
fn an_aborted_canary_is_rolled_back_when_nobody_is_on_it_any_more() {
    let leaving = |weight| Rollout {
        aborted: Some(None),
        phase: RolloutPhase::Degraded,
        pause: None,
        step: Some(0),
        weight_actual: Weight::percent(weight),
        ..crate::support::build::canary("r/ranker:1111111", "r/ranker:9f3c2ab")
    };
    let world = scene(900.0, leaving(30));
    assert_eq!(
        shown(&world),
        ("v2".to_owned(), "going back, 30 % still on v2".to_owned())
    );
    let (urgency, _, reason, _) = queued(&world);
    assert_eq!(urgency, Urgency::Hurting);
    assert!(
        reason.starts_with("going back, 30 % still on v2"),
        "{reason}"
    );
    let world = scene(900.0, leaving(0));
    assert_eq!(shown(&world).1, "rolled back, v1 live");
    assert_eq!(waiting(&world), []);
}

#[test]
fn a_held_canary_says_so_also_when_it_is_bad() {
    let mut held = crate::support::build::canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    held.held = true;
    let (urgency, _, reason, verbs) = queued(&scene(900.0, held));
    assert_eq!(
        (urgency, verbs),
        (Urgency::Hurting, vec![Verb::RollBack, Verb::Abort])
    );
    assert!(reason.starts_with("held at 30 %: latency 900"), "{reason}");
}
