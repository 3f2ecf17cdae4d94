//! What a key or command would do: the plan, its steps, its words.

use super::*;

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
fn continuing_what_has_no_verdict_promises_a_measurement_and_no_weight() {
    let effect = |rollout: Rollout| {
        let plan = yes(&scene(200.0, rollout), Verb::Continue);
        plan.steps[0].effect.to_string()
    };
    assert!(effect(at_pause()).contains("traffic goes to"));
    let mut unclear = at_pause();
    unclear.pause = Some(Pause {
        reason: PauseReason::InconclusiveAnalysis,
        since: Some(at(80)),
        ends_at: None,
    });
    assert_eq!(
        effect(unclear.clone()),
        "the pause ends and the analysis measures again, beside the steps"
    );
    let index = usize::try_from(unclear.step.unwrap()).unwrap();
    unclear.steps[index] = RolloutStep::Analysis(vec!["smoke".into()]);
    let said = effect(unclear);
    assert!(said.contains("measures again; traffic stays at"), "{said}");
    assert!(!said.contains("goes to"), "{said}");
}

#[test]
fn cluster_trap_2_nothing_is_left_to_abort_once_everything_is_on_it() {
    let refusal = ask(&scene(200.0, live("r/ranker:1111111")), Verb::Abort).unwrap_err();
    assert!(
        matches!(&refusal, Refusal::NothingToDo(why) if why.contains("`rollback`")),
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
    let plan = |of: Rollout| {
        let told = [
            runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
            registry(
                100,
                aliases(&[("champion", 2)]),
                vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
                vec![],
            ),
            rollout(50, live("r/ranker:9f3c2ab")),
            rollout(100, of),
        ];
        kinds(&yes(&world(from_alias.clone(), &told, 100), Verb::RollBack))
    };
    let alias = [ActionKind::SetAlias, ActionKind::SetAlias];
    let through = Rollout {
        revisions: at_pause().revisions,
        current_hash: Some("new".into()),
        stable_hash: Some("new".into()),
        ..live("r/ranker:1111111")
    };
    assert_eq!(plan(through)[..2], alias);
    // An abort takes users to pods that run already: nothing comes before it.
    let canary = plan(at_pause());
    assert_eq!((canary[0], &canary[1..]), (ActionKind::Abort, &alias[..]));
}

/// The version of what users are taken to is not linked: the alias stays where
/// it is rather than going to the one it last named, which may be a bad one too.
#[test]
fn an_alias_never_goes_back_to_a_guess() {
    let told = [
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(
            100,
            aliases(&[("champion", 2), ("previous-champion", 7)]),
            vec![version(2, &[("git_sha", B)]), version(7, &[])],
            vec![],
        ),
        rollout(100, at_pause()),
    ];
    let plan = yes(&world(catalog(gates()), &told, 100), Verb::RollBack);
    assert_eq!(kinds(&plan), [ActionKind::Abort]);
    let said = "the model version of the target is not known: alias `champion` stays at v2";
    assert!(
        plan.warnings.iter().any(|warning| *warning == said),
        "{:?}",
        plan.warnings
    );
}

/// Nothing heard from the registry is not "it points there already".
#[test]
fn a_registry_that_says_nothing_is_said_and_nothing_is_called_done() {
    let through = Rollout {
        revisions: at_pause().revisions,
        current_hash: Some("new".into()),
        stable_hash: Some("new".into()),
        ..live("r/ranker:1111111")
    };
    let of = |rollouts: Rollout, told: Option<Observation>| {
        let seen = [
            runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
            rollout(50, live("r/ranker:9f3c2ab")),
            rollout(100, rollouts),
        ];
        let all: Vec<Observation> = seen.into_iter().chain(told).collect();
        world(catalog(gates()), &all, 100)
    };
    let champion = |number, tags| {
        registry(
            100,
            aliases(&[("champion", number)]),
            vec![version(2, tags)],
            vec![],
        )
    };
    let promoted = |told| ask(&of(through.clone(), told), Verb::Promote).unwrap_err();
    let silent = promoted(None);
    assert!(
        matches!(&silent, Refusal::NothingToDo(why) if why.contains("is not known")),
        "{silent}"
    );
    let unlinked = promoted(Some(champion(2, &[])));
    assert!(
        matches!(&unlinked, Refusal::NothingToDo(why) if why.contains("no model version is linked")),
        "{unlinked}"
    );
    let done = promoted(Some(champion(2, &[("git_sha", B)])));
    assert!(matches!(&done, Refusal::AlreadySo(_)), "{done}");
    let back = yes(&of(at_pause(), None), Verb::RollBack);
    assert!(
        back.warnings
            .iter()
            .any(|warning| warning.contains("`champion` of") && warning.contains("is not known")),
        "{:?}",
        back.warnings
    );
}

#[test]
fn an_abort_of_a_held_canary_ends_the_hold_so_that_its_pods_go() {
    let mut held = at_pause();
    held.held = true;
    for verb in [Verb::Abort, Verb::RollBack] {
        let world = scene(200.0, held.clone());
        let plan = yes(&world, verb);
        // The abort moves the index, and a brake must not fail for that.
        let later = refreshed(&world, &plan.steps[1].order);
        assert!(
            matches!(&later, Order::Rollout(order) if order.seen.step.is_none()),
            "{later:?}"
        );
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
pub(super) fn gone_back(more: Vec<gonogo::domain::rollout::Revision>) -> Rollout {
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
