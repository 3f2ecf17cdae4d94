//! What lets a plan through and what stops it.

use super::*;

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
                assert_eq!(reasons[0], "latency fail: 300 ms > 250 ms over 1m");
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
