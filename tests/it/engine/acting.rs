//! What may be done, what would be done, and when it counts as done.

use gonogo::{
    domain::{
        action::{ActionKind, Order, Receipt, RolloutAction, Subject},
        approval::{Answer, Review},
        id::{EnvironmentName, PlanId, ServiceName},
        measure::{Arm, Sample},
        observation::{ActionOutcome, Fact, Observation, PlanEvent, PlanProgress, PlanStart},
        permit::Permit,
        pipeline::{Outcome, Phase, RunStatus},
        policy::GateRule,
        quantity::Weight,
        rollout::{GitOps, Rollout, RolloutPhase, RolloutStep},
        verdict::Word,
    },
    engine::{
        clear::{Consent, Mode, Refusal, clear},
        plan::{Ask, Class, Next, Plan, Stuck, Verb, next},
        propose::propose,
        reduce::reduce,
        verify::{Effect, effect},
        world::World,
    },
};

use crate::support::build::{
    accuracy_gate, aliases, answer, approval, at, canary, catalog, event, lane, latency_gate, live,
    measure, model_run, registry, revision, rollout, run, runs, target, version, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn gates() -> Vec<GateRule> {
    vec![latency_gate(250.0), accuracy_gate(0.9)]
}

/// A canary of commit B (v2) over A (v1, champion); everything answers at 100 s;
/// p95 as given.
fn scene(p95: f64, of: Rollout) -> World {
    scene_with(catalog(gates()), p95, of)
}

fn scene_with(catalog: gonogo::domain::catalog::Catalog, p95: f64, of: Rollout) -> World {
    let told = [
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(
            100,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![
                model_run(1, &[("accuracy", 0.95)]),
                model_run(2, &[("accuracy", 0.96)]),
            ],
        ),
        rollout(100, of),
        answer(
            "prom",
            "metric",
            100,
            vec![Fact::Measure(measure(Arm::Canary, Sample::Value(p95), 100))],
        ),
    ];
    world(catalog, &told, 100)
}

fn at_pause() -> Rollout {
    canary("r/ranker:1111111", "r/ranker:9f3c2ab")
}

fn ask(world: &World, verb: Verb) -> Result<Plan, Refusal> {
    propose(world, &Ask::new(verb, lane()), at(100))
}

fn yes(world: &World, verb: Verb) -> Plan {
    ask(world, verb).unwrap_or_else(|refusal| panic!("{verb:?}: {refusal}"))
}

fn kinds(plan: &Plan) -> Vec<ActionKind> {
    plan.steps.iter().map(|step| step.order.kind()).collect()
}

fn cleared(world: &World, plan: &Plan, mode: Mode) -> Result<(), Refusal> {
    clear(world, plan, mode, &Consent::default(), at(101)).map(drop)
}

// What would be done.

#[test]
fn cluster_trap_1_continue_is_resume_while_held_and_never_skips() {
    let mut held = at_pause();
    held.held = true;
    assert_eq!(
        kinds(&yes(&scene(200.0, held), Verb::Continue)),
        [ActionKind::Resume]
    );
    assert_eq!(
        kinds(&yes(&scene(200.0, at_pause()), Verb::Continue)),
        [ActionKind::Continue]
    );
    let skip = yes(&scene(200.0, at_pause()), Verb::Skip);
    assert!(
        matches!(&skip.steps[0].order, Order::Rollout(order) if order.action == RolloutAction::Skip { to: 2 })
    );
}

#[test]
fn cluster_trap_2_nothing_is_left_to_abort_once_everything_is_on_it() {
    let refusal = ask(&scene(200.0, live("r/ranker:1111111")), Verb::Abort).unwrap_err();
    assert!(
        matches!(&refusal, Refusal::NothingToDo(why) if why.contains('R')),
        "{refusal}"
    );
}

#[test]
fn cluster_trap_3_a_promotion_waits_for_the_controller_to_see_the_spec() {
    let mut unseen = at_pause();
    unseen.observed = false;
    assert!(matches!(
        ask(&scene(200.0, unseen), Verb::Promote),
        Err(Refusal::NothingToDo(_))
    ));
}

#[test]
fn cluster_trap_4_promoting_what_was_aborted_needs_the_name_and_a_reason() {
    let mut aborted = at_pause();
    aborted.aborted = Some(Some(at(90)));
    aborted.phase = RolloutPhase::Degraded;
    let world = scene(200.0, aborted);
    let plan = yes(&world, Verb::Promote);
    assert_eq!(plan.class, Class::Bend);
    assert!(matches!(
        cleared(&world, &plan, Mode::ReadWrite),
        Err(Refusal::NeedsBend { .. } | Refusal::Decision { .. })
    ));
}

#[test]
fn promote_is_rollout_then_alias_with_the_old_champion_remembered() {
    let plan = yes(&scene(200.0, at_pause()), Verb::Promote);
    assert_eq!(
        kinds(&plan),
        [
            ActionKind::PromoteFull,
            ActionKind::SetAlias,
            ActionKind::SetAlias
        ]
    );
    let aliases: Vec<(String, u64)> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.order {
            Order::Model(order) => Some((order.alias.to_string(), order.to.0)),
            _ => None,
        })
        .collect();
    assert_eq!(
        aliases,
        [
            ("previous-champion".to_owned(), 1),
            ("champion".to_owned(), 2)
        ]
    );
}

#[test]
fn a_promotion_that_would_skip_an_analysis_is_a_bend() {
    let mut with = at_pause();
    with.steps
        .push(RolloutStep::Analysis(vec!["error-rate".into()]));
    let plan = yes(&scene(200.0, with), Verb::Promote);
    assert_eq!(plan.class, Class::Bend);
}

#[test]
fn rolling_back_during_an_update_is_an_abort() {
    let plan = yes(&scene(900.0, at_pause()), Verb::RollBack);
    assert_eq!(
        (kinds(&plan), plan.class),
        (vec![ActionKind::Abort], Class::Brake)
    );
}

#[test]
fn cluster_trap_6_rolling_back_a_finished_update_changes_the_spec_and_names_who_would_undo_that() {
    let mut finished = live("r/ranker:1111111");
    finished.revisions = at_pause().revisions;
    finished.current_hash = Some("new".into());
    finished.stable_hash = Some("new".into());
    finished.gitops = Some(GitOps {
        tool: "Argo CD".into(),
        owner: "recsys-prod".into(),
        evidence: "tracking id".into(),
    });
    let mut told = vec![
        rollout(50, live("r/ranker:9f3c2ab")),
        rollout(100, finished),
    ];
    told.insert(0, runs(100, &[&run(1, A, 0), &run(2, B, 50)]));
    told.insert(
        1,
        registry(
            100,
            aliases(&[("champion", 2)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![],
        ),
    );
    let world = world(catalog(gates()), &told, 100);
    let plan = yes(&world, Verb::RollBack);
    assert_eq!(
        kinds(&plan),
        [
            ActionKind::Undo,
            ActionKind::PromoteFull,
            ActionKind::SetAlias,
            ActionKind::SetAlias
        ]
    );
    assert!(
        matches!(&plan.steps[0].order, Order::Rollout(order) if order.action == RolloutAction::Undo { hash: "old".into() })
    );
    assert!(
        plan.warnings
            .iter()
            .any(|warning| warning.contains("recsys-prod")),
        "{:?}",
        plan.warnings
    );
    assert!(
        matches!(&plan.steps[3].order, Order::Model(order) if order.to.0 == 1 && order.alias == "champion")
    );
}

#[test]
fn pods_that_load_the_alias_get_it_first_on_the_way_back() {
    let mut from_alias = catalog(gates());
    from_alias
        .services
        .get_mut(&lane().0)
        .unwrap()
        .model_from_alias = true;
    let mut bad = at_pause();
    bad.aborted = None;
    let told = [
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(
            100,
            aliases(&[("champion", 2)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![],
        ),
        rollout(100, bad),
    ];
    let plan = yes(&world(from_alias, &told, 100), Verb::RollBack);
    assert_eq!(
        kinds(&plan),
        [
            ActionKind::SetAlias,
            ActionKind::SetAlias,
            ActionKind::Abort
        ]
    );
}

#[test]
fn an_abort_of_a_held_canary_ends_the_hold_so_that_its_pods_go() {
    let mut held = at_pause();
    held.held = true;
    for verb in [Verb::Abort, Verb::RollBack] {
        let plan = yes(&scene(200.0, held.clone()), verb);
        assert_eq!(
            kinds(&plan)[..2],
            [ActionKind::Abort, ActionKind::Resume],
            "{verb:?}"
        );
        assert_eq!(
            cleared(&scene(200.0, held.clone()), &plan, Mode::Brake),
            Ok(())
        );
    }
    let denied = Fact::Permit(Permit {
        subject: Subject::Rollout(target()),
        kind: ActionKind::Resume,
        allowed: false,
        why: "may not patch rollouts".into(),
        seen_at: at(100),
        until: at(160),
    });
    let mut world = scene(200.0, held);
    reduce(&mut world, &answer("prod", "permits", 100, vec![denied]));
    let plan = yes(&world, Verb::Abort);
    assert_eq!(kinds(&plan), [ActionKind::Abort]);
    assert!(plan.warnings[0].contains("pods stay"), "{plan:?}");
    assert_eq!(cleared(&world, &plan, Mode::Brake), Ok(()));
}

#[test]
fn an_earlier_revision_of_a_held_rollout_is_wanted_before_the_hold_ends() {
    let mut held = live("r/ranker:1111111");
    held.held = true;
    held.revisions.push(revision(
        0,
        "older",
        "r/ranker:9f3c2ab",
        gonogo::domain::rollout::Role::Old,
    ));
    let plan = yes(&scene(200.0, held), Verb::RollBack);
    assert_eq!(
        kinds(&plan)[..3],
        [
            ActionKind::Undo,
            ActionKind::Resume,
            ActionKind::PromoteFull
        ]
    );
    for step in &plan.steps[1..3] {
        assert!(
            matches!(&step.order, Order::Rollout(order) if order.seen.pod_hash.as_deref() == Some("older"))
        );
    }
}

/// A (number 1) was left for B (2), which was left for A again (3).
fn gone_back(more: Vec<gonogo::domain::rollout::Revision>) -> Rollout {
    use gonogo::domain::rollout::Role;
    let mut back = revision(3, "old", "r/ranker:9f3c2ab", Role::Stable);
    back.earlier = vec![1];
    let left = revision(2, "new", "r/ranker:1111111", Role::Old);
    Rollout {
        revisions: [vec![back, left], more].concat(),
        ..live("r/ranker:9f3c2ab")
    }
}

fn target_of(plan: &Plan) -> String {
    let (_, to) = plan
        .facts
        .iter()
        .find(|(label, _)| *label == "to")
        .unwrap_or_else(|| panic!("{plan:?}"));
    to.to_string()
}

#[test]
fn what_was_left_is_never_where_a_roll_back_leads_by_itself() {
    let world = scene(200.0, gone_back(vec![]));
    let refusal = ask(&world, Verb::RollBack).unwrap_err().to_string();
    assert!(
        refusal.contains("taken from v2 back to v1") && refusal.contains("--to v2"),
        "{refusal}"
    );
    let mut named = Ask::new(Verb::RollBack, lane());
    named.to = Some("v2".into());
    let plan = propose(&world, &named, at(100)).unwrap();
    let to = target_of(&plan);
    assert!(
        to.starts_with("v2 ") && to.ends_with("left for v1 before"),
        "{to}"
    );

    let older = revision(
        0,
        "older",
        "r/ranker:0000000",
        gonogo::domain::rollout::Role::Old,
    );
    let plan = yes(&scene(200.0, gone_back(vec![older])), Verb::RollBack);
    assert!(target_of(&plan).starts_with("0000000 "), "{plan:?}");
    let others: Vec<&str> = plan
        .alternatives
        .iter()
        .map(|(hash, _)| hash.as_str())
        .collect();
    assert!(
        others.contains(&"new") && others.contains(&"older"),
        "{others:?}"
    );
}

#[test]
fn a_roll_back_under_way_does_not_lead_back_and_a_canary_of_an_old_revision_does() {
    use gonogo::domain::rollout::Role;
    let mut moving = gone_back(vec![]);
    moving.revisions[0].role = Role::Canary;
    moving.revisions[1].role = Role::Stable;
    moving.stable_hash = Some("new".into());
    moving.promoting_full = true;
    assert!(ask(&scene(200.0, moving.clone()), Verb::RollBack).is_err());
    // The same template deployed again, step by step: stable is the way back.
    moving.promoting_full = false;
    moving.step = Some(1);
    let plan = yes(&scene(200.0, moving), Verb::RollBack);
    assert_eq!(kinds(&plan)[0], ActionKind::Abort);
}

#[test]
fn a_sheet_says_what_serves_and_what_is_wanted() {
    let mut promoting = at_pause();
    promoting.promoting_full = true;
    promoting.pause = None;
    promoting.weight_wanted = Weight::FULL;
    promoting.weight_actual = Weight::percent(45);
    let plan = yes(&scene(200.0, promoting), Verb::Abort);
    assert!(plan.facts.iter().any(|(label, text)| {
        *label == "from" && text.contains("45 % of traffic by pods (wanted: 100 %)")
    }));
    assert_eq!(
        plan.steps[0].effect,
        "the full promotion is taken back; traffic goes from 45 % to 0: everyone on 9f3c2ab"
    );
}

// What may be done.

#[test]
fn a_throttle_needs_go_and_a_brake_needs_nothing() {
    for (p95, word) in [(200.0, Word::Go), (300.0, Word::NoGo)] {
        let world = scene(p95, at_pause());
        assert_eq!(world.decisions.values().next().unwrap().word, word);
        let plan = yes(&world, Verb::Continue);
        match cleared(&world, &plan, Mode::ReadWrite) {
            Ok(()) => assert!(word.lets_go()),
            Err(Refusal::Decision {
                word: said,
                reasons,
                ..
            }) => {
                assert_eq!(said, word);
                assert_eq!(reasons[0], "latency fail: 300 > 250");
            }
            Err(other) => panic!("{other}"),
        }
        for brake in [Verb::Hold, Verb::Abort, Verb::RollBack] {
            assert_eq!(
                cleared(&world, &yes(&world, brake), Mode::Brake),
                Ok(()),
                "{brake:?} at {p95}"
            );
        }
    }
}

#[test]
fn modes_let_through_what_they_say() {
    let world = scene(200.0, at_pause());
    for (mode, hold, promote) in [
        (Mode::ReadOnly, false, false),
        (Mode::Brake, true, false),
        (Mode::ReadWrite, true, true),
    ] {
        assert_eq!(
            cleared(&world, &yes(&world, Verb::Hold), mode).is_ok(),
            hold,
            "{mode:?}"
        );
        assert_eq!(
            cleared(&world, &yes(&world, Verb::Promote), mode).is_ok(),
            promote,
            "{mode:?}"
        );
    }
}

#[test]
fn stale_backends_stop_the_throttle_and_never_the_brake() {
    let world = scene(200.0, at_pause());
    let late = |verb| {
        clear(
            &world,
            &yes(&world, verb),
            Mode::ReadWrite,
            &Consent::default(),
            at(1000),
        )
        .map(drop)
    };
    assert!(matches!(late(Verb::Promote), Err(Refusal::NotLive { .. })));
    assert_eq!(late(Verb::Abort), Ok(()));
    assert_eq!(late(Verb::RollBack), Ok(()));
}

#[test]
fn what_moved_under_the_sheet_stops_the_throttle_and_not_the_brake() {
    let before = scene(200.0, at_pause());
    let (go_on, abort) = (yes(&before, Verb::Continue), yes(&before, Verb::Abort));
    let mut moved = at_pause();
    moved.step = Some(3);
    moved.version = Some(150);
    let after = scene(200.0, moved);
    assert!(matches!(
        cleared(&after, &go_on, Mode::ReadWrite),
        Err(Refusal::Moved(_))
    ));
    assert_eq!(cleared(&after, &abort, Mode::ReadWrite), Ok(()));
}

#[test]
fn another_object_of_the_same_name_stops_both() {
    let before = scene(200.0, at_pause());
    let (go_on, abort) = (yes(&before, Verb::Continue), yes(&before, Verb::Abort));
    let mut remade = at_pause();
    remade.uid = "uid-2".into();
    let after = scene(200.0, remade);
    for plan in [go_on, abort] {
        assert!(matches!(
            cleared(&after, &plan, Mode::ReadWrite),
            Err(Refusal::Moved(_))
        ));
    }
}

#[test]
fn a_denial_counts_while_it_lasts() {
    let denied = Fact::Permit(Permit {
        subject: Subject::Rollout(target()),
        kind: ActionKind::Abort,
        allowed: false,
        why: "viewer may not patch rollouts/status".into(),
        seen_at: at(100),
        until: at(160),
    });
    let mut world = scene(200.0, at_pause());
    reduce(&mut world, &answer("prod", "permits", 100, vec![denied]));
    let plan = yes(&world, Verb::Abort);
    let refusal = clear(&world, &plan, Mode::ReadWrite, &Consent::default(), at(159)).unwrap_err();
    assert!(
        matches!(&refusal, Refusal::Denied(why) if why.contains("rollouts/status")),
        "{refusal}"
    );
    assert!(clear(&world, &plan, Mode::ReadWrite, &Consent::default(), at(160)).is_ok());
}

#[test]
fn a_no_of_a_minute_ago_stops_the_throttle_and_not_the_brake() {
    // Asked while nobody looked there, so it counts for five minutes.
    let no = |kind| {
        Fact::Permit(Permit {
            subject: Subject::Rollout(target()),
            kind,
            allowed: false,
            why: "viewer".into(),
            seen_at: at(100),
            until: at(400),
        })
    };
    let mut world = scene(200.0, at_pause());
    let all = [ActionKind::Abort, ActionKind::Hold, ActionKind::Skip].map(no);
    reduce(&mut world, &answer("prod", "permits", 100, all.to_vec()));
    let at_second = |verb, when| {
        let plan = yes(&world, verb);
        clear(
            &world,
            &plan,
            Mode::ReadWrite,
            &Consent::default(),
            at(when),
        )
        .map(drop)
    };
    for brake in [Verb::Abort, Verb::Hold] {
        assert!(matches!(at_second(brake, 159), Err(Refusal::Denied(_))));
        assert_eq!(at_second(brake, 160), Ok(()));
    }
    assert!(matches!(
        at_second(Verb::Skip, 399),
        Err(Refusal::Denied(_))
    ));
}

#[test]
fn the_newer_answer_about_a_permission_counts_however_short_its_life() {
    let said = |allowed, seen, until| {
        Fact::Permit(Permit {
            subject: Subject::Rollout(target()),
            kind: ActionKind::Skip,
            allowed,
            why: "viewer".into(),
            seen_at: at(seen),
            until: at(until),
        })
    };
    let mut world = scene(200.0, at_pause());
    reduce(
        &mut world,
        &answer("prod", "permits", 100, vec![said(true, 100, 400)]),
    );
    reduce(
        &mut world,
        &answer("prod", "permits", 101, vec![said(false, 101, 161)]),
    );
    let plan = yes(&world, Verb::Skip);
    assert!(matches!(
        cleared(&world, &plan, Mode::ReadWrite),
        Err(Refusal::Denied(_))
    ));
    // An answer that was overtaken on its way changes nothing.
    reduce(
        &mut world,
        &answer("prod", "permits", 102, vec![said(true, 100, 400)]),
    );
    assert!(cleared(&world, &plan, Mode::ReadWrite).is_err());
}

#[test]
fn warnings_must_be_accepted_and_overrides_allowed_named_and_reasoned() {
    let mut careful = latency_gate(250.0);
    careful.warn.above = Some(150.0);
    let world = scene_with(catalog(vec![careful]), 200.0, at_pause());
    let plan = yes(&world, Verb::Continue);
    assert!(
        matches!(cleared(&world, &plan, Mode::ReadWrite), Err(Refusal::Warnings(list)) if list.len() == 1)
    );
    let accepted = Consent {
        warnings: true,
        bend: None,
    };
    assert!(clear(&world, &plan, Mode::ReadWrite, &accepted, at(101)).is_ok());

    let mut lenient = catalog(gates());
    let policy = lenient.policies.values_mut().next().unwrap();
    std::sync::Arc::make_mut(policy).override_allowed = true;
    let world = scene_with(lenient, 300.0, at_pause());
    let plan = yes(&world, Verb::Continue);
    let bend = |name: &str, reason: &str| Consent {
        warnings: true,
        bend: Some((name.to_owned().into(), reason.to_owned().into())),
    };
    let label = plan.release_label.to_string();
    assert_eq!(label, "v2");
    assert!(
        clear(
            &world,
            &plan,
            Mode::ReadWrite,
            &bend("v3", "known"),
            at(101)
        )
        .is_err()
    );
    assert!(clear(&world, &plan, Mode::ReadWrite, &bend(&label, "  "), at(101)).is_err());
    let passed = clear(
        &world,
        &plan,
        Mode::ReadWrite,
        &bend(&label, "known"),
        at(101),
    )
    .unwrap();
    assert_eq!(passed.overridden().map(|rule| &**rule), Some("NO-GO"));

    let strict = scene(300.0, at_pause());
    assert!(
        clear(
            &strict,
            &yes(&strict, Verb::Continue),
            Mode::ReadWrite,
            &bend(&label, "known"),
            at(101)
        )
        .is_err()
    );
}

#[test]
fn a_deployment_has_no_canary() {
    let mut plain = live("r/ranker:9f3c2ab");
    plain.strategy = gonogo::domain::rollout::Strategy::RollingUpdate;
    plain.current_hash = Some("new".into());
    let world = scene(200.0, plain);
    for verb in [Verb::Abort, Verb::Skip, Verb::Promote, Verb::Retry] {
        let refusal = ask(&world, verb).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "a Deployment has no canary",
            "{verb:?}"
        );
    }
    assert_eq!(kinds(&yes(&world, Verb::Hold)), [ActionKind::Hold]);
}

fn waiting_run() -> World {
    let mut waiting = run(2, B, 50);
    waiting.status = RunStatus::at(Phase::Waiting);
    let told = [
        runs(100, &[&waiting]),
        answer(
            "gh",
            "approvals 2",
            100,
            vec![Fact::Approval(approval(&waiting, "prod-eu"))],
        ),
        registry(
            100,
            aliases(&[]),
            vec![version(2, &[("git_sha", B)])],
            vec![model_run(2, &[("accuracy", 0.96)])],
        ),
        rollout(100, live("r/ranker:9f3c2ab")),
        answer(
            "prom",
            "metric recsys-ranker/prod-eu/latency_p95",
            100,
            vec![],
        ),
    ];
    world(catalog(gates()), &told, 100)
}

#[test]
fn an_approval_names_one_environment_of_one_attempt_of_one_commit() {
    let world = waiting_run();
    let plan = yes(&world, Verb::Approve);
    let Order::Approval(order) = &plan.steps[0].order else {
        panic!("{:?}", plan.steps)
    };
    assert_eq!(
        (
            order.seen.attempt,
            &*order.seen.head_sha,
            &*order.seen.environment
        ),
        (1, B, "prod-eu")
    );
    assert_eq!(cleared(&world, &plan, Mode::ReadWrite), Ok(()));
    assert_eq!(yes(&world, Verb::Reject).class, Class::Brake);
}

#[test]
fn hosted_trap_7_a_rerun_meanwhile_stops_the_approval() {
    let plan = yes(&waiting_run(), Verb::Approve);
    let mut again = run(2, B, 50);
    again.attempt = 2;
    again.status = RunStatus::at(Phase::Waiting);
    let mut after = waiting_run();
    reduce(&mut after, &runs(101, &[&again]));
    reduce(
        &mut after,
        &answer(
            "gh",
            "approvals 2",
            101,
            vec![Fact::Approval(approval(&again, "prod-eu"))],
        ),
    );
    assert!(matches!(
        cleared(&after, &plan, Mode::ReadWrite),
        Err(Refusal::Moved(_))
    ));
}

// When it counts as done.

fn hold_order() -> Order {
    yes(&scene(200.0, at_pause()), Verb::Hold).steps[0]
        .order
        .clone()
}

fn held(version: u64) -> Rollout {
    Rollout {
        held: true,
        version: Some(version),
        ..at_pause()
    }
}

#[test]
fn a_stale_already_held_proves_nothing() {
    // The world showed a hold before the send; only a question asked after it counts.
    let before = scene(200.0, held(100));
    assert_eq!(
        effect(&before, &hold_order(), at(105), Some(120)),
        Effect::NotYet
    );
    let mut asked_too_early = before.clone();
    reduce(&mut asked_too_early, &rollout(105, held(100)));
    assert_eq!(
        effect(&asked_too_early, &hold_order(), at(105), Some(120)),
        Effect::NotYet
    );
    let mut after = before;
    reduce(&mut after, &rollout(106, held(121)));
    assert_eq!(
        effect(&after, &hold_order(), at(105), Some(120)),
        Effect::Seen
    );
}

#[test]
fn a_watch_event_proves_by_its_version_alone() {
    let base = scene(200.0, at_pause());
    let told = |version| {
        event(
            "prod",
            "rollouts recsys",
            106,
            vec![Fact::Rollout(Box::new(held(version)))],
        )
    };
    for (version, expected) in [
        (119, Effect::NotYet),
        (120, Effect::NotYet),
        (121, Effect::Seen),
    ] {
        let mut world = base.clone();
        reduce(&mut world, &told(version));
        assert_eq!(
            effect(&world, &hold_order(), at(105), Some(120)),
            expected,
            "{version}"
        );
    }
}

#[test]
fn stored_is_not_done_an_abort_counts_when_the_controller_acted() {
    let order = yes(&scene(200.0, at_pause()), Verb::Abort).steps[0]
        .order
        .clone();
    let stored = Rollout {
        aborted: Some(None),
        version: Some(121),
        ..at_pause()
    };
    let acted = Rollout {
        phase: RolloutPhase::Degraded,
        step: Some(0),
        ..stored.clone()
    };
    for (of, expected) in [(stored, Effect::NotYet), (acted, Effect::Seen)] {
        let mut world = scene(200.0, at_pause());
        reduce(&mut world, &rollout(106, of));
        assert_eq!(effect(&world, &order, at(105), Some(120)), expected);
    }
}

#[test]
fn a_promotion_that_an_abort_took_back_is_over_and_one_that_clears_an_abort_is_not() {
    let world = scene(200.0, at_pause());
    let order = yes(&world, Verb::Promote).steps[0].order.clone();
    let aborted = Rollout {
        aborted: Some(Some(at(104))),
        phase: RolloutPhase::Degraded,
        version: Some(121),
        ..at_pause()
    };
    let clearing = Rollout {
        promoting_full: true,
        ..aborted.clone()
    };
    for (of, over) in [(aborted, true), (clearing, false)] {
        let mut world = scene(200.0, at_pause());
        reduce(&mut world, &rollout(106, of));
        let seen = effect(&world, &order, at(105), Some(120));
        assert_eq!(matches!(seen, Effect::TakenBack(_)), over, "{seen:?}");
    }
}

#[test]
fn another_object_of_the_same_name_proves_nothing() {
    let mut world = scene(200.0, at_pause());
    reduce(
        &mut world,
        &rollout(
            106,
            Rollout {
                uid: "uid-2".into(),
                ..held(121)
            },
        ),
    );
    assert!(matches!(
        effect(&world, &hold_order(), at(105), Some(120)),
        Effect::Moved(_)
    ));
}

#[test]
fn hosted_trap_10_an_approval_counts_when_the_review_is_listed() {
    let mut world = waiting_run();
    let order = yes(&world, Verb::Approve).steps[0].order.clone();
    let Order::Approval(of) = &order else {
        panic!()
    };
    assert_eq!(effect(&world, &order, at(105), None), Effect::NotYet);
    let review = Review {
        id: of.approval.clone(),
        environment: "prod-eu".into(),
        answer: Answer::Approved,
        user: "mk".into(),
        comment: "".into(),
    };
    reduce(
        &mut world,
        &answer("gh", "reviews 2", 106, vec![Fact::Review(review)]),
    );
    assert_eq!(effect(&world, &order, at(105), None), Effect::Seen);
}

#[test]
fn registry_trap_3_an_alias_somebody_else_moved_is_reported_and_not_fought() {
    let world = scene(200.0, at_pause());
    let order = yes(&world, Verb::Promote).steps[2].order.clone();
    for (points_to, expected) in [(1, "not yet"), (2, "seen"), (7, "moved")] {
        let mut after = world.clone();
        let told = registry(106, aliases(&[("champion", points_to)]), vec![], vec![]);
        reduce(&mut after, &told);
        let said = match effect(&after, &order, at(105), None) {
            Effect::Seen => "seen",
            Effect::UnderWay | Effect::NotYet => "not yet",
            Effect::Moved(_) | Effect::TakenBack(_) => "moved",
        };
        assert_eq!(said, expected, "champion points to v{points_to}");
    }
}

// How a plan goes on.

fn started(world: &mut World, plan: &Plan) -> PlanId {
    let id = PlanId::new("p1");
    let start = PlanStart {
        verb: plan.ask.verb.word().into(),
        service: ServiceName::new("recsys-ranker"),
        environment: Some(EnvironmentName::new("prod-eu")),
        release: plan.release.clone(),
        actor: "mk".into(),
        subject: plan.subject.clone(),
        brake: plan.class == Class::Brake,
        orders: plan.steps.iter().map(|step| step.order.clone()).collect(),
    };
    tell(world, &id, 100, PlanProgress::Started(Box::new(start)));
    id
}

fn tell(world: &mut World, plan: &PlanId, when: i64, what: PlanProgress) {
    reduce(
        world,
        &Observation::Plan(PlanEvent {
            plan: plan.clone(),
            at: at(when),
            what,
        }),
    );
}

fn answered(world: &mut World, plan: &PlanId, step: usize, when: i64) {
    let receipt = Ok(Receipt {
        status: 200,
        version: Some(120),
        note: "".into(),
    });
    tell(
        world,
        plan,
        when,
        PlanProgress::Answered {
            step,
            receipt,
            returned_at: at(when),
        },
    );
}

fn whats_next(world: &World, plan: &PlanId, millis: i64) -> Next {
    next(
        &world.plans[plan],
        world,
        at(0) + chrono::TimeDelta::milliseconds(millis),
    )
}

#[test]
fn a_brake_goes_at_once_and_is_nudged_after_700_ms() {
    let mut world = scene(200.0, at_pause());
    let plan = yes(&world, Verb::Hold);
    let id = started(&mut world, &plan);
    assert_eq!(whats_next(&world, &id, 100_000), Next::Send(0));
    answered(&mut world, &id, 0, 101);
    assert_eq!(
        whats_next(&world, &id, 101_100),
        Next::Wait(at(0) + chrono::TimeDelta::milliseconds(101_700))
    );
    assert_eq!(whats_next(&world, &id, 101_700), Next::Nudge(0));
    tell(&mut world, &id, 102, PlanProgress::Nudged { step: 0 });
    assert!(
        matches!(whats_next(&world, &id, 103_000), Next::Wait(_)),
        "once is enough"
    );
    reduce(&mut world, &rollout(104, held(130)));
    assert_eq!(whats_next(&world, &id, 104_000), Next::Record(0));
    tell(&mut world, &id, 104, PlanProgress::Seen { step: 0 });
    assert_eq!(whats_next(&world, &id, 104_000), Next::Done);
}

#[test]
fn a_throttle_waits_until_the_object_was_left_alone_for_a_second() {
    let mut world = scene(200.0, at_pause());
    let plan = yes(&world, Verb::Continue);
    let id = started(&mut world, &plan);
    assert_eq!(whats_next(&world, &id, 100_400), Next::Wait(at(101)));
    assert_eq!(whats_next(&world, &id, 101_000), Next::Send(0));
    answered(&mut world, &id, 0, 102);
    assert_eq!(whats_next(&world, &id, 104_900), Next::Wait(at(105)));
    assert_eq!(whats_next(&world, &id, 105_000), Next::Nudge(0));
}

#[test]
fn an_effect_that_is_never_seen_ends_unknown_not_failed() {
    let mut world = scene(200.0, at_pause());
    let plan = yes(&world, Verb::Hold);
    let id = started(&mut world, &plan);
    answered(&mut world, &id, 0, 101);
    tell(&mut world, &id, 102, PlanProgress::Nudged { step: 0 });
    assert!(matches!(
        whats_next(&world, &id, 131_000),
        Next::Stuck(Stuck::NotSeen(_))
    ));
}

#[test]
fn the_alias_waits_until_everything_was_seen_on_the_new_revision() {
    let mut world = scene(200.0, at_pause());
    let plan = yes(&world, Verb::Promote);
    let id = started(&mut world, &plan);
    answered(&mut world, &id, 0, 102);
    assert!(matches!(whats_next(&world, &id, 103_000), Next::Wait(_)));
    let mut finished = live("r/ranker:1111111");
    finished.revisions = at_pause().revisions;
    finished.current_hash = Some("new".into());
    finished.stable_hash = Some("new".into());
    finished.version = Some(150);
    reduce(&mut world, &rollout(110, finished));
    assert_eq!(whats_next(&world, &id, 110_000), Next::Record(0));
    tell(&mut world, &id, 110, PlanProgress::Seen { step: 0 });
    assert_eq!(whats_next(&world, &id, 110_000), Next::Send(1));
}

#[test]
fn a_plan_stops_when_the_revision_it_was_agreed_for_is_replaced() {
    let mut held_canary = at_pause();
    held_canary.held = true;
    let mut world = scene(200.0, held_canary);
    let plan = yes(&world, Verb::Promote);
    assert_eq!(
        kinds(&plan)[..2],
        [ActionKind::Resume, ActionKind::PromoteFull]
    );
    let id = started(&mut world, &plan);
    tell(&mut world, &id, 101, PlanProgress::Seen { step: 0 });
    let mut replaced = at_pause();
    replaced.current_hash = Some("newer".into());
    replaced.version = Some(150);
    reduce(&mut world, &rollout(102, replaced));
    assert!(matches!(
        whats_next(&world, &id, 104_000),
        Next::Stuck(Stuck::Moved(_))
    ));
}

#[test]
fn one_throttle_at_a_time_and_a_brake_regardless() {
    let mut world = scene(200.0, at_pause());
    let plan = yes(&world, Verb::Continue);
    let id = started(&mut world, &plan);
    let second = yes(&world, Verb::Promote);
    let refusal = cleared(&world, &second, Mode::ReadWrite).unwrap_err();
    assert!(
        matches!(&refusal, Refusal::Busy(who) if who.contains("mk")),
        "{refusal}"
    );
    assert_eq!(
        cleared(&world, &yes(&world, Verb::Abort), Mode::ReadWrite),
        Ok(())
    );
    tell(
        &mut world,
        &id,
        105,
        PlanProgress::Ended {
            outcome: ActionOutcome::Confirmed,
            note: "".into(),
        },
    );
    assert_eq!(cleared(&world, &second, Mode::ReadWrite), Ok(()));
}

#[test]
fn an_ended_run_is_rerun_and_a_running_one_is_not() {
    let mut failed = run(2, B, 50);
    failed.status = RunStatus::ended(Outcome::Failed);
    let of = |run: &gonogo::domain::pipeline::Run| {
        world(
            catalog(gates()),
            &[runs(100, &[run]), rollout(100, live("r/ranker:9f3c2ab"))],
            100,
        )
    };
    assert_eq!(
        kinds(&yes(&of(&failed), Verb::RerunFailed)),
        [ActionKind::RerunFailed]
    );
    let mut running = run(2, B, 50);
    running.status = RunStatus::at(Phase::Running);
    assert!(matches!(
        ask(&of(&running), Verb::RerunFailed),
        Err(Refusal::NothingToDo(_))
    ));
    assert_eq!(
        kinds(&yes(&of(&running), Verb::Cancel)),
        [ActionKind::Cancel]
    );
}
