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
