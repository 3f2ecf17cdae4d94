//! When an effect counts as seen.

use super::*;

fn hold_order() -> Order {
    yes(&scene(200.0, at_pause()), Verb::Hold).steps[0]
        .order
        .clone()
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
fn a_continue_is_seen_when_the_analysis_comes_out_unclear_again() {
    let paused = |reason: PauseReason, since: i64, version: u64| {
        let mut rollout = at_pause();
        rollout.pause = rollout.pause.map(|pause| Pause {
            reason,
            since: Some(at(since)),
            ..pause
        });
        rollout.version = Some(version);
        rollout
    };
    let unclear = |since, version| paused(PauseReason::InconclusiveAnalysis, since, version);
    let before = scene(200.0, unclear(90, 100));
    let order = yes(&before, Verb::Continue).steps[0].order.clone();
    let after = |seen| {
        let mut world = before.clone();
        reduce(&mut world, &rollout(106, seen));
        effect(&world, &order, at(105), Some(120))
    };
    assert_eq!(after(unclear(90, 121)), Effect::NotYet);
    assert_eq!(after(unclear(105, 121)), Effect::Seen);
    // A pause step that starts afresh has not been continued.
    assert_eq!(after(paused(PauseReason::Step, 105, 121)), Effect::NotYet);
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
    // Degraded and wanted at 0 %, while 30 % are still there.
    let back = Rollout {
        weight_actual: Weight::ZERO,
        ..acted.clone()
    };
    for (of, expected) in [
        (stored, Effect::NotYet),
        (acted, Effect::UnderWay),
        (back, Effect::Seen),
    ] {
        let mut world = scene(200.0, at_pause());
        reduce(&mut world, &rollout(106, of));
        assert_eq!(effect(&world, &order, at(105), Some(120)), expected);
    }
}

/// What a skip writes into the status is what shows that it happened, so the
/// object as it was just written proves nothing, however late it is looked at.
#[test]
fn a_skip_counts_when_somebody_else_wrote_after_it() {
    let world = scene(200.0, at_pause());
    let order = yes(&world, Verb::Skip).steps[0].order.clone();
    for (version, expected) in [(120, Effect::NotYet), (121, Effect::Seen)] {
        let mut world = world.clone();
        let written = Rollout {
            step: Some(2),
            version: Some(version),
            ..at_pause()
        };
        reduce(&mut world, &rollout(106, written));
        assert_eq!(effect(&world, &order, at(105), Some(120)), expected);
    }
}

/// After a dead process: what the controller may still act on did not fail.
#[test]
fn what_is_stored_and_was_overlooked_is_not_said_to_have_failed() {
    let aborted = Rollout {
        aborted: Some(Some(at(90))),
        phase: RolloutPhase::Degraded,
        weight_actual: Weight::ZERO,
        ..at_pause()
    };
    let mut world = scene(200.0, aborted.clone());
    let order = ask(&world, Verb::Retry).unwrap().steps[0].order.clone();
    assert!(shows_absence(&world, &order));
    // The abort is taken out of the status, and the phase is still the old one.
    let overlooked = Rollout {
        aborted: None,
        version: Some(121),
        ..aborted
    };
    reduce(&mut world, &rollout(106, overlooked));
    assert_ne!(effect(&world, &order, at(105), Some(120)), Effect::Seen);
    assert!(!shows_absence(&world, &order));
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
