//! What comes next in a running plan.

use super::*;

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

/// Pods that load the alias get it first, but users wait for no registry: a step
/// of it that fails, or is not seen in time, is passed over in a brake.
#[test]
fn a_brake_goes_on_without_the_registry_while_users_are_still_to_be_moved() {
    let mut from_alias = catalog(gates());
    let service = from_alias.services.get_mut(&lane().0).unwrap();
    service.model_from_alias = true;
    let through = Rollout {
        revisions: at_pause().revisions,
        current_hash: Some("new".into()),
        stable_hash: Some("new".into()),
        ..live("r/ranker:1111111")
    };
    let told = [
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(
            100,
            aliases(&[("champion", 2), ("previous-champion", 2)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![],
        ),
        rollout(50, live("r/ranker:9f3c2ab")),
        rollout(100, through),
    ];
    let mut world = world(from_alias, &told, 100);
    let plan = yes(&world, Verb::RollBack);
    let [first, second, ..] = kinds(&plan)[..] else {
        panic!("{plan:?}")
    };
    assert_eq!((first, second), (ActionKind::SetAlias, ActionKind::Undo));
    let id = started(&mut world, &plan);
    answered(&mut world, &id, 0, 101);
    assert!(matches!(whats_next(&world, &id, 130_000), Next::Wait(_)));
    let Next::PassOver(0, why) = whats_next(&world, &id, 132_000) else {
        panic!("{:?}", whats_next(&world, &id, 132_000))
    };
    assert!(why.contains("not seen"), "{why}");
    tell(&mut world, &id, 132, PlanProgress::PassedOver { step: 0 });
    assert_eq!(whats_next(&world, &id, 132_000), Next::Send(1));
}

/// The alias after the traffic is no such step: there a plan stops and says so.
#[test]
fn an_alias_that_comes_last_is_not_passed_over() {
    let mut world = scene(200.0, at_pause());
    let plan = yes(&world, Verb::Promote);
    let id = started(&mut world, &plan);
    let last = plan.steps.len() - 1;
    for step in 0..last {
        tell(&mut world, &id, 101, PlanProgress::Seen { step });
    }
    answered(&mut world, &id, last, 102);
    assert!(matches!(
        whats_next(&world, &id, 133_000),
        Next::Stuck(Stuck::NotSeen(_))
    ));
}
