//! Going back to an earlier revision: when it is through, and what it takes.

use gonogo::{
    domain::{
        action::{ActionKind, Order, RolloutAction, RolloutOrder, RolloutSeen, Subject},
        id::PlanId,
        observation::{Fact, Observation, PlanEvent, PlanProgress, PlanStart},
        permit::Permit,
        policy::{GateRule, GateSource, RolloutQuestion},
        rollout::{Analysis, AnalysisPhase, AnalysisStage, Role, Rollout, Strategy},
        verdict::Verdict,
    },
    engine::{
        clear::{Consent, Mode, clear},
        plan::{Ask, Next, Verb, next},
        propose::propose,
        reduce::reduce,
        verify::{Effect, effect},
        world::World,
    },
};

use crate::support::build::{
    accuracy_gate, aliases, answer, at, canary, catalog, lane, latency_gate, live, model, registry,
    revision, rollout, run, runs, target, version, world,
};

fn undo() -> Order {
    Order::Rollout(RolloutOrder {
        target: target(),
        action: RolloutAction::Undo { hash: "old".into() },
        seen: RolloutSeen {
            uid: "uid-1".into(),
            pod_hash: Some("new".into()),
            step: None,
            paused_since: None,
        },
    })
}

/// The earlier revision is wanted again; users are on `users`.
fn wanted_again(users: &'static str) -> Rollout {
    Rollout {
        current_hash: Some("old".into()),
        stable_hash: Some(users.into()),
        observed: true,
        ..canary("r/ranker:2.0", "r/ranker:1.0")
    }
}

#[test]
fn an_undo_is_through_when_users_are_on_it_and_not_when_it_is_wanted() {
    for strategy in [Strategy::Canary, Strategy::RollingUpdate] {
        for (users, expected) in [("new", Effect::UnderWay), ("old", Effect::Seen)] {
            let mut world = world(catalog(vec![]), &[rollout(100, live("r/ranker:2.0"))], 100);
            let after = Rollout {
                strategy: strategy.clone(),
                ..wanted_again(users)
            };
            reduce(&mut world, &rollout(110, after));
            assert_eq!(
                effect(&world, &undo(), at(105), None),
                expected,
                "{strategy:?}, users on {users}"
            );
        }
    }
}

/// An undo runs no analysis, so none will ever come: that is neither missing
/// nor a pass. What was found out when the revision was first tried stays.
#[test]
fn a_revision_users_were_taken_back_to_is_not_asked_for_an_analysis() {
    let gate = || GateRule {
        source: GateSource::Rollout(RolloutQuestion::Analysis),
        ..latency_gate(0.0)
    };
    let revisions = |current: Role| {
        let mut back = revision(3, "old", "r/ranker:1.0", current);
        back.earlier = vec![1];
        vec![back, revision(2, "new", "r/ranker:2.0", Role::Old)]
    };
    let found = |of: Rollout| {
        let release = run(1, "9f3c2ab0000000000000000000000000000000aa", 0);
        let told = [runs(100, &[&release]), rollout(100, of)];
        let world = world(catalog(vec![gate()]), &told, 101);
        let finding = &world.decisions.values().next().unwrap().findings[0];
        (finding.verdict, finding.reason.to_string())
    };
    let image = "r/ranker:9f3c2ab";
    let back = || Rollout {
        revisions: revisions(Role::Stable),
        ..live(image)
    };
    let taken_back = (
        Verdict::NotApplicable,
        "users were taken back to it, which runs no analysis".to_owned(),
    );
    assert_eq!(found(back()), taken_back);
    // It was tried with analyses once: those are about this revision.
    let mut known = back();
    known.analyses = vec![Analysis {
        name: "first-time".into(),
        hash: Some("old".into()),
        revision: Some(1),
        stage: AnalysisStage::Background,
        phase: AnalysisPhase::Failed,
        message: "too slow".into(),
        started_at: Some(at(0)),
        metrics: Vec::new(),
    }];
    assert_eq!(
        found(known),
        (Verdict::Fail, "first-time: too slow".to_owned())
    );
    // One that was never left, and one that goes through the steps again, owe it.
    let owed = (
        Verdict::Missing,
        "no analysis of this revision exists".to_owned(),
    );
    assert_eq!(found(live(image)), owed);
    let again = Rollout {
        current_hash: Some("old".into()),
        stable_hash: Some("new".into()),
        revisions: revisions(Role::Canary),
        ..canary(image, "r/ranker:2.0")
    };
    assert_eq!(found(again), owed);
}

/// Three releases in a row; back to the first, with windows of each width.
#[test]
fn outside_the_window_an_undo_is_promoted_and_inside_the_controller_does_it() {
    for (window, expected) in [
        (None, vec![ActionKind::Undo, ActionKind::PromoteFull]),
        (Some(1), vec![ActionKind::Undo, ActionKind::PromoteFull]),
        (Some(2), vec![ActionKind::Undo]),
    ] {
        let third = Rollout {
            current_hash: Some("third".into()),
            stable_hash: Some("third".into()),
            rollback_window: window,
            revisions: vec![
                revision(3, "third", "r/ranker:3.0", Role::Stable),
                revision(2, "second", "r/ranker:2.0", Role::Old),
                revision(1, "first", "r/ranker:1.0", Role::Old),
            ],
            ..live("r/ranker:3.0")
        };
        let mut catalog = catalog(vec![accuracy_gate(0.9)]);
        for service in catalog.services.values_mut() {
            service.model = None;
        }
        let world = world(catalog, &[rollout(100, third)], 100);
        let mut ask = Ask::new(Verb::RollBack, lane());
        ask.to = Some("first".into());
        let plan = propose(&world, &ask, at(100)).unwrap();
        let kinds: Vec<_> = plan.steps.iter().map(|step| step.order.kind()).collect();
        assert_eq!(kinds, expected, "window of {window:?}");
    }
}

/// The second was tried and taken back before anybody looked; the third is bad.
#[test]
fn the_champion_before_is_gone_back_to_rather_than_the_number_before() {
    let third = Rollout {
        current_hash: Some("third".into()),
        stable_hash: Some("third".into()),
        revisions: vec![
            revision(3, "third", "r/ranker:3.0", Role::Stable),
            revision(2, "second", "r/ranker:2.0", Role::Old),
            revision(1, "first", "r/ranker:1.0", Role::Old),
        ],
        ..live("r/ranker:3.0")
    };
    let told = [
        registry(
            100,
            aliases(&[("champion", 3), ("previous-champion", 1)]),
            [1, 2, 3]
                .map(|number| version(number, &[("image", &format!("r/ranker:{number}.0"))]))
                .into(),
            vec![],
        ),
        rollout(100, third),
    ];
    let world = world(catalog(vec![accuracy_gate(0.9)]), &told, 100);
    let plan = propose(&world, &Ask::new(Verb::RollBack, lane()), at(100)).unwrap();
    let to = plan.facts.iter().find(|(label, _)| *label == "to").unwrap();
    assert_eq!(&*to.1, "1.0  revision 1, the champion before");
}

#[test]
fn users_are_brought_back_even_by_somebody_who_may_not_move_the_alias() {
    let second = Rollout {
        current_hash: Some("second".into()),
        stable_hash: Some("second".into()),
        revisions: vec![
            revision(2, "second", "r/ranker:2.0", Role::Stable),
            revision(1, "first", "r/ranker:1.0", Role::Old),
        ],
        ..live("r/ranker:2.0")
    };
    let denied = Permit {
        subject: Subject::Model(model()),
        kind: ActionKind::SetAlias,
        allowed: false,
        why: "the registry is read-only for mk".into(),
        seen_at: at(100),
        until: at(160),
    };
    let told = [
        registry(
            100,
            aliases(&[("champion", 2)]),
            [1, 2]
                .map(|number| version(number, &[("image", &format!("r/ranker:{number}.0"))]))
                .into(),
            vec![],
        ),
        rollout(100, second),
        answer("mlflow", "permits", 100, vec![Fact::Permit(denied)]),
    ];
    let world = world(catalog(vec![accuracy_gate(0.9)]), &told, 100);
    let plan = propose(&world, &Ask::new(Verb::RollBack, lane()), at(100)).unwrap();
    let kinds: Vec<_> = plan.steps.iter().map(|step| step.order.kind()).collect();
    assert!(kinds.contains(&ActionKind::SetAlias), "{kinds:?}");
    let cleared = clear(&world, &plan, Mode::ReadWrite, &Consent::default(), at(101));
    assert_eq!(cleared.err(), None);
}

/// The controller went back by itself before the promotion was to be sent.
#[test]
fn a_promotion_that_has_nothing_left_to_do_is_not_sent() {
    let third = Rollout {
        current_hash: Some("second".into()),
        stable_hash: Some("second".into()),
        revisions: vec![
            revision(2, "second", "r/ranker:2.0", Role::Stable),
            revision(1, "first", "r/ranker:1.0", Role::Old),
        ],
        ..live("r/ranker:2.0")
    };
    let mut catalog = catalog(vec![accuracy_gate(0.9)]);
    for service in catalog.services.values_mut() {
        service.model = None;
    }
    let mut world = world(catalog, &[rollout(100, third.clone())], 100);
    let plan = propose(&world, &Ask::new(Verb::RollBack, lane()), at(100)).unwrap();
    let id = PlanId::new("p");
    let tell = |world: &mut World, when: i64, what: PlanProgress| {
        let event = PlanEvent {
            plan: PlanId::new("p"),
            at: at(when),
            what,
        };
        reduce(world, &Observation::Plan(event));
    };
    let start = PlanStart {
        verb: "roll back".into(),
        service: lane().0,
        environment: Some(lane().1),
        release: None,
        actor: "mk".into(),
        subject: plan.subject.clone(),
        brake: true,
        orders: plan.steps.iter().map(|step| step.order.clone()).collect(),
    };
    tell(&mut world, 100, PlanProgress::Started(Box::new(start)));
    tell(&mut world, 101, PlanProgress::Seen { step: 0 });
    let back = Rollout {
        current_hash: Some("first".into()),
        stable_hash: Some("first".into()),
        version: Some(150),
        ..third
    };
    reduce(&mut world, &rollout(110, back));
    assert_eq!(next(&world.plans[&id], &world, at(110)), Next::Record(1));
}
