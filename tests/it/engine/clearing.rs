//! What may be done, over every mix of ages, movement, verdicts, permissions,
//! modes and other people's plans: a throttle never passes on facts that are not
//! fresh, and a brake is never stopped for age, movement, verdict or somebody
//! else's action.
//!
//! What is expected is worked out from the mix alone, by the table of classes in
//! the documentation, and not from what the engine made of it.

use gonogo::{
    domain::{
        action::{ActionKind, Subject},
        backend::ErrorKind,
        id::{EnvironmentName, PlanId, ServiceName},
        measure::{Arm, Sample},
        observation::{Fact, Failure, Observation, PlanEvent, PlanProgress, PlanStart, Scope},
        permit::Permit,
        pipeline::{Phase, RunStatus},
        verdict::Word,
    },
    engine::{
        clear::{Consent, Mode, Refusal, clear},
        plan::{Ask, Class, Plan, Verb},
        propose::propose,
        world::{Liveness, World},
    },
};
use proptest::prelude::*;

use crate::support::build::{
    accuracy_gate, aliases, answer, approval, at, backend, canary, catalog, lane, latency_gate,
    live, measure, model_run, registry, rollout, run, runs, target, version, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// When it is decided, in seconds.
const NOW: i64 = 1_000;
/// Three cadences of ten seconds: a word older than this is late.
const LIMIT: i64 = 30;
/// A denial stops a brake for so long.
const FRESH_NO: i64 = 60;
const BACKENDS: [&str; 4] = ["gh", "mlflow", "prod", "prom"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Moved {
    Not,
    Version,
    Step,
    Revision,
    Remade,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Other {
    Nobody,
    Throttle,
    Brake,
}

/// What the world is like when somebody says yes.
#[derive(Clone, Debug)]
struct Mix {
    verb: Verb,
    /// How old the newest word of each backend is, in the order of [`BACKENDS`].
    ages: [i64; 4],
    /// The latency of the canary; at most 250 is good.
    p95: f64,
    moved: Moved,
    other: Other,
    /// An answer about permission: allowed or not, how old, how long it counts.
    permit: Option<(bool, i64, i64)>,
    mode: Mode,
    /// Name and reason were given, warnings accepted.
    consent: bool,
}

fn mix() -> impl Strategy<Value = Mix> {
    let verbs = vec![
        Verb::Hold,
        Verb::Abort,
        Verb::RollBack,
        Verb::Reject,
        Verb::Continue,
        Verb::Skip,
        Verb::Promote,
        Verb::Approve,
    ];
    // The limit itself is left out: a gate counts it as too old, a backend's word does not.
    let age = || prop_oneof![3 => 0..LIMIT, 1 => LIMIT + 1..LIMIT * 8];
    (
        prop::sample::select(verbs),
        [age(), age(), age(), age()],
        prop_oneof![3 => 100.0..250.0, 1 => 251.0..900.0],
        prop_oneof![
            4 => Just(Moved::Not),
            1 => Just(Moved::Version),
            1 => Just(Moved::Step),
            1 => Just(Moved::Revision),
            1 => Just(Moved::Remade),
        ],
        prop_oneof![4 => Just(Other::Nobody), 1 => Just(Other::Throttle), 1 => Just(Other::Brake)],
        prop::option::weighted(0.3, (any::<bool>(), 0_i64..300, 1_i64..300)),
        prop_oneof![4 => Just(Mode::ReadWrite), 1 => Just(Mode::Brake)],
        any::<bool>(),
    )
        .prop_map(
            |(verb, ages, p95, moved, other, permit, mode, consent)| Mix {
                verb,
                ages,
                p95,
                moved,
                other,
                permit,
                mode,
                consent,
            },
        )
}

/// A canary of B over A at its pause, an approval of B that waits as well.
fn scene(ages: [i64; 4], p95: f64, moved: Moved) -> World {
    let [gh, mlflow, prod, prom] = ages.map(|age| NOW - age);
    let mut waiting = run(2, B, 50);
    waiting.status = RunStatus::at(Phase::Waiting);
    let mut seen = canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    match moved {
        Moved::Not => {}
        Moved::Version => seen.version = Some(150),
        Moved::Step => {
            seen.version = Some(150);
            seen.step = Some(3);
        }
        Moved::Revision => {
            seen.version = Some(150);
            seen.current_hash = Some("newer".into());
        }
        Moved::Remade => seen.uid = "uid-2".into(),
    }
    let told = [
        runs(gh, &[&run(1, A, 0), &waiting]),
        answer(
            "gh",
            "approvals 2",
            gh,
            vec![Fact::Approval(approval(&waiting, "prod-eu"))],
        ),
        registry(
            mlflow,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![
                model_run(1, &[("accuracy", 0.95)]),
                model_run(2, &[("accuracy", 0.96)]),
            ],
        ),
        rollout(prod, seen),
        answer(
            "prom",
            "metric recsys-ranker/prod-eu/latency_p95",
            prom,
            vec![Fact::Measure(measure(
                Arm::Canary,
                Sample::Value(p95),
                prom,
            ))],
        ),
    ];
    world(
        catalog(vec![latency_gate(250.0), accuracy_gate(0.9)]),
        &told,
        NOW,
    )
}

/// Somebody else has begun something on the same subject.
fn begun(plan: &Plan, other: Other) -> Observation {
    let start = PlanStart {
        verb: "other".into(),
        service: ServiceName::new("recsys-ranker"),
        environment: Some(EnvironmentName::new("prod-eu")),
        release: plan.release.clone(),
        actor: "ana".into(),
        subject: plan.subject.clone(),
        brake: other == Other::Brake,
        orders: plan.steps.iter().map(|step| step.order.clone()).collect(),
    };
    Observation::Plan(PlanEvent {
        plan: PlanId::new("other"),
        at: at(NOW - 1),
        what: PlanProgress::Started(Box::new(start)),
    })
}

fn permits(plan: &Plan, (allowed, age, life): (bool, i64, i64)) -> Observation {
    let facts = plan.steps.iter().map(|step| {
        Fact::Permit(Permit {
            subject: step.order.subject(),
            kind: step.order.kind(),
            allowed,
            why: "viewer".into(),
            seen_at: at(NOW - age),
            until: at(NOW - age + life),
        })
    });
    answer("prod", "permits", NOW - age, facts.collect())
}

/// Proposes in a fresh world and clears against the mixed one. `None` when
/// there was nothing to agree to.
fn decide(mix: &Mix) -> Option<(Plan, Result<(), Refusal>)> {
    // What the person saw was fresh, good and unmoved.
    let before = scene([0; 4], 200.0, Moved::Not);
    let plan = propose(&before, &Ask::new(mix.verb, lane()), at(NOW)).ok()?;
    let mut after = scene(mix.ages, mix.p95, mix.moved);
    if mix.other != Other::Nobody {
        gonogo::engine::reduce::reduce(&mut after, &begun(&plan, mix.other));
    }
    if let Some(permit) = mix.permit {
        // It is no answer of the backend that makes it look alive.
        let ages_stay = mix.ages[2] <= permit.1;
        if ages_stay {
            gonogo::engine::reduce::reduce(&mut after, &permits(&plan, permit));
        }
    }
    gonogo::engine::reduce::settle(&mut after, at(NOW));
    let consent = if mix.consent {
        Consent {
            warnings: true,
            bend: Some((plan.release_label.clone(), "on purpose".into())),
        }
    } else {
        Consent::default()
    };
    let cleared = clear(&after, &plan, mix.mode, &consent, at(NOW)).map(drop);
    Some((plan, cleared))
}

/// The answer about permission that still counts, if it says no: how old.
fn denied(mix: &Mix) -> Option<i64> {
    let (allowed, age, life) = mix.permit?;
    (mix.ages[2] <= age && !allowed && age < life).then_some(age)
}

/// Which backends the verb and the two gates of the policy need.
fn needed(verb: Verb) -> Vec<&'static str> {
    match verb {
        Verb::Approve => vec!["gh", "mlflow", "prom"],
        _ => vec!["mlflow", "prod", "prom"],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 768, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_throttle_passes_on_stale_facts_and_no_brake_is_stopped_for_them(mix in mix()) {
        let Some((plan, cleared)) = decide(&mix) else {
            return Err(TestCaseError::fail(format!("nothing to agree to: {mix:?}")));
        };
        let is_rollout = matches!(plan.subject, Subject::Rollout(_));
        let remade = is_rollout && mix.moved == Moved::Remade;
        if plan.class == Class::Brake {
            let stopped = remade || denied(&mix).is_some_and(|age| age < FRESH_NO);
            prop_assert_eq!(cleared.is_err(), stopped, "{:?}: {:?}", mix, cleared);
            return Ok(());
        }
        let stale = BACKENDS
            .iter()
            .zip(mix.ages)
            .any(|(name, age)| LIMIT < age && needed(mix.verb).contains(name));
        let moved = is_rollout && !matches!(mix.moved, Moved::Not | Moved::Version);
        // Another revision's latency says nothing about the release to approve.
        let left = !is_rollout && mix.moved == Moved::Revision;
        let reasons = [
            ("mode", mix.mode != Mode::ReadWrite),
            ("denied", denied(&mix).is_some()),
            ("moved", moved),
            ("busy", mix.other == Other::Throttle),
            ("stale", stale),
            ("decision", 250.0 < mix.p95 && !left),
        ];
        let against: Vec<&str> = reasons.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        if !against.is_empty() {
            prop_assert!(cleared.is_err(), "passed against {:?}: {:?}", against, mix);
        }
        // And it does pass when nothing stands against it.
        let calm = against.is_empty() && mix.other == Other::Nobody && mix.moved == Moved::Not;
        if calm && plan.class == Class::Throttle {
            prop_assert_eq!(cleared, Ok(()), "{:?}", mix);
        }
    }
}

#[test]
fn every_verb_of_the_mix_can_be_agreed_to_and_classes_are_those_of_the_table() {
    let before = scene([0; 4], 200.0, Moved::Not);
    for (verb, class) in [
        (Verb::Hold, Class::Brake),
        (Verb::Abort, Class::Brake),
        (Verb::RollBack, Class::Brake),
        (Verb::Reject, Class::Brake),
        (Verb::Continue, Class::Throttle),
        (Verb::Skip, Class::Throttle),
        (Verb::Promote, Class::Throttle),
        (Verb::Approve, Class::Throttle),
    ] {
        let plan = propose(&before, &Ask::new(verb, lane()), at(NOW)).unwrap();
        assert_eq!(plan.class, class, "{verb:?}");
    }
}

#[test]
fn a_backend_that_cannot_be_reached_is_silent_at_once_and_a_refused_question_is_not() {
    let failing = |kind| {
        let mut world = scene([5; 4], 200.0, Moved::Not);
        let failure = Failure {
            scope: Scope::new(&backend("prod"), "rollouts recsys"),
            at: at(NOW - 1),
            kind,
            message: "no".into(),
            retry_at: None,
        };
        gonogo::engine::reduce::reduce(&mut world, &Observation::Failure(failure));
        world
    };
    let prod = backend("prod");
    let world = failing(ErrorKind::Forbidden);
    assert_eq!(world.liveness(&prod, at(NOW)), Liveness::Live);
    let mut world = failing(ErrorKind::Unreachable);
    assert_eq!(world.liveness(&prod, at(NOW)), Liveness::Silent);
    // Another part of it answers: it was that one question.
    let permit = Fact::Permit(Permit {
        subject: Subject::Rollout(target()),
        kind: ActionKind::Hold,
        allowed: true,
        why: "".into(),
        seen_at: at(NOW),
        until: at(NOW + 60),
    });
    let alive = answer("prod", "permits", NOW, vec![permit]);
    gonogo::engine::reduce::reduce(&mut world, &alive);
    assert_eq!(world.liveness(&prod, at(NOW)), Liveness::Live);
}

/// A canary that was taken back can be tried again while a newer run is what
/// the row shows. Whether it may is asked of today's evidence, not of what it
/// was when the row last showed it.
#[test]
fn what_is_tried_again_is_judged_by_todays_evidence_whatever_else_is_on_its_way() {
    let of_accuracy = |when, accuracy| {
        registry(
            when,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![
                model_run(1, &[("accuracy", 0.95)]),
                model_run(2, &[("accuracy", accuracy)]),
            ],
        )
    };
    let mut taken_back = canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    taken_back.aborted = Some(Some(at(NOW - 20)));
    let told = |accuracy| {
        let newer = run(3, "2222222ccccccccccccccccccccccccccccccccc", 80);
        let told = [
            runs(NOW - 25, &[&run(1, A, 0), &run(2, B, 50)]),
            of_accuracy(NOW - 25, 0.96),
            rollout(NOW - 20, taken_back.clone()),
            runs(NOW - 15, &[&run(1, A, 0), &run(2, B, 50), &newer]),
            of_accuracy(NOW - 10, accuracy),
        ];
        world(catalog(vec![accuracy_gate(0.9)]), &told, NOW)
    };
    let retried = |world: &World| {
        let plan = propose(world, &Ask::new(Verb::Retry, lane()), at(NOW)).unwrap();
        let shown = world.lanes[&lane()].release().cloned();
        assert_ne!(plan.release, shown, "the row shows the newer one");
        clear(world, &plan, Mode::ReadWrite, &Consent::default(), at(NOW)).map(drop)
    };
    assert_eq!(retried(&told(0.96)), Ok(()));
    let refused = retried(&told(0.5)).unwrap_err();
    assert_eq!(refused.decision(), Some(Word::NoGo), "{refused}");
}

#[test]
fn decisions_are_about_what_can_be_acted_on_and_nothing_else() {
    let both = [&run(1, A, 0), &run(2, B, 50)];
    let mut world = world(
        catalog(vec![accuracy_gate(0.9)]),
        &[runs(NOW - 30, &both[..1]), runs(NOW - 20, &both)],
        NOW,
    );
    let judged = |world: &World| -> Vec<String> {
        let of = world.decisions.keys();
        of.map(|(release, _)| release.to_string()).collect()
    };
    assert_eq!(judged(&world), ["recsys-ranker@1111111bbbbb"]);
    // The first one rolls out while the second is still on its way.
    gonogo::engine::reduce::reduce(&mut world, &rollout(NOW - 10, live("r/ranker:9f3c2ab")));
    gonogo::engine::reduce::settle(&mut world, at(NOW));
    assert_eq!(
        judged(&world),
        ["recsys-ranker@1111111bbbbb", "recsys-ranker@9f3c2ab00000"]
    );
}
