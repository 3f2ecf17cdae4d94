//! How observations become beliefs, and how beliefs age.

use gonogo::{
    domain::{
        action::{Order, RolloutAction, RolloutOrder, RolloutSeen, Subject},
        backend::ErrorKind,
        id::PlanId,
        measure::{Arm, Sample},
        observation::{
            Basis, Batch, Fact, Failure, Observation, PlanEvent, PlanProgress, PlanStart, Scope,
        },
        pipeline::{Outcome, RunStatus},
    },
    engine::{
        reduce::{reduce, settle},
        world::{Liveness, StepState, World},
    },
};
use proptest::prelude::*;

use crate::support::build::{
    aliases, answer, at, backend, canary, catalog, event, job, lane, latency_gate, live, measure,
    model, registry, rollout, run, runs, target, version, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const RUNS: &str = "runs acme/recsys ml-cicd.yml";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

#[test]
fn an_older_answer_never_overwrites_a_newer_one() {
    let (mut early, mut late) = (run(1, A, 0), run(1, A, 0));
    early.title = "before".into();
    late.title = "after".into();
    let world = world(
        catalog(vec![]),
        &[runs(200, &[&late]), runs(100, &[&early])],
        200,
    );
    assert_eq!(world.runs[&late.id].title, "after");
}

#[test]
fn a_complete_answer_removes_what_it_omits_in_its_own_scope_only() {
    let world = world(
        catalog(vec![]),
        &[
            runs(100, &[&run(1, A, 0), &run(2, B, 0)]),
            rollout(100, live("r/ranker:1")),
            runs(200, &[&run(2, B, 0)]),
        ],
        200,
    );
    let left: Vec<u64> = world.runs.keys().map(|id| id.id).collect();
    assert_eq!(left, [2]);
    assert!(
        world.rollouts.contains_key(&target()),
        "another scope is not touched"
    );
}

#[test]
fn a_part_of_an_answer_removes_nothing() {
    let Observation::Batch(batch) = runs(200, &[&run(2, B, 0)]) else {
        unreachable!()
    };
    let part = Observation::Batch(Batch {
        complete: false,
        ..batch
    });
    let world = world(catalog(vec![]), &[runs(100, &[&run(1, A, 0)]), part], 200);
    assert_eq!(world.runs.len(), 2);
}

#[test]
fn a_calm_rollout_is_not_a_stale_one() {
    let told = [
        rollout(100, live("r/ranker:1")),
        event("prod", "rollouts recsys", 500, vec![]),
    ];
    let world = world(catalog(vec![]), &told, 500);
    let known = &world.rollouts[&target()];
    assert_eq!(
        world.age(known, at(502)).as_secs(),
        2,
        "a heartbeat proves the whole scope"
    );
    assert_eq!(known.changed_at, at(100));
}

#[test]
fn a_late_watch_event_does_not_turn_the_clock_back() {
    let mut newer = canary("r/ranker:2", "r/ranker:1");
    newer.version = Some(205);
    let mut older = live("r/ranker:1");
    older.version = Some(204);
    let fact = |of| vec![Fact::Rollout(Box::new(of))];
    let told = [
        event("prod", "rollouts recsys", 100, fact(newer)),
        event("prod", "rollouts recsys", 101, fact(older)),
    ];
    let world = world(catalog(vec![]), &told, 101);
    assert_eq!(world.rollouts[&target()].version, Some(205));
}

fn failure(of: &str, part: &str, when: i64, kind: ErrorKind) -> Observation {
    Observation::Failure(Failure {
        scope: Scope::new(&backend(of), part.to_owned()),
        at: at(when),
        kind,
        message: "no".into(),
        retry_at: None,
    })
}

#[test]
fn a_backend_goes_from_live_to_late_to_silent_by_age_and_at_once_by_failure() {
    // Cadence 10 s, so the limit is three times that: 30 s.
    let world = world(catalog(vec![]), &[runs(100, &[])], 100);
    let gh = backend("gh");
    for (when, expected) in [
        (100, Liveness::Live),
        (130, Liveness::Live),
        (131, Liveness::Late),
        (191, Liveness::Silent),
    ] {
        assert_eq!(world.liveness(&gh, at(when)), expected, "at {when}");
    }
    assert_eq!(
        world.liveness(&backend("mlflow"), at(100)),
        Liveness::Awaited
    );
    assert_eq!(world.liveness(&backend("nobody"), at(100)), Liveness::Off);
}

#[test]
fn trouble_has_a_beginning_and_is_healed_by_the_next_answer() {
    let mut world = world(
        catalog(vec![]),
        &[
            runs(100, &[]),
            failure("gh", RUNS, 110, ErrorKind::Timeout),
            failure("gh", RUNS, 120, ErrorKind::Timeout),
        ],
        120,
    );
    let trouble = world.backends[&backend("gh")].trouble.clone().unwrap();
    assert_eq!(
        (trouble.since, trouble.last, trouble.kind),
        (at(110), at(120), ErrorKind::Timeout)
    );
    assert_eq!(world.liveness(&backend("gh"), at(121)), Liveness::Silent);
    reduce(&mut world, &runs(130, &[]));
    assert_eq!(world.backends[&backend("gh")].trouble, None);
    assert_eq!(world.liveness(&backend("gh"), at(131)), Liveness::Live);
}

#[test]
fn the_newest_trouble_is_the_backends_whichever_was_heard_of_last() {
    let world = world(
        catalog(vec![]),
        &[
            failure("prom", "metric b", 120, ErrorKind::Timeout),
            failure("prom", "metric a", 110, ErrorKind::Rejected),
        ],
        120,
    );
    let trouble = world.backends[&backend("prom")].trouble.clone().unwrap();
    assert_eq!((trouble.kind, trouble.last), (ErrorKind::Timeout, at(120)));
}

#[test]
fn a_step_that_was_seen_is_not_unsent_by_hearing_of_it_again() {
    let told = |seconds, what| {
        Observation::Plan(PlanEvent {
            plan: PlanId::new("p"),
            at: at(seconds),
            what,
        })
    };
    let started = told(
        100,
        PlanProgress::Started(Box::new(PlanStart {
            verb: "abort".into(),
            service: lane().0,
            environment: Some(lane().1),
            release: None,
            actor: "mk".into(),
            subject: Subject::Rollout(target()),
            brake: true,
            orders: vec![Order::Rollout(RolloutOrder {
                target: target(),
                action: RolloutAction::Abort,
                seen: RolloutSeen {
                    uid: "uid-1".into(),
                    pod_hash: None,
                    step: None,
                    paused_since: None,
                },
            })],
        })),
    );
    let sending = told(101, PlanProgress::Sending { step: 0 });
    let seen = told(102, PlanProgress::Seen { step: 0 });
    let again = [started, sending.clone(), seen, sending];
    let world = world(catalog(vec![]), &again, 103);
    let step = &world.plans[&PlanId::new("p")].steps[0];
    assert_eq!(step.state, StepState::Seen { at: at(102) });
}

#[test]
fn one_failing_scope_does_not_heal_with_another_ones_answer() {
    let world = world(
        catalog(vec![]),
        &[
            failure("prom", "metric a", 110, ErrorKind::Rejected),
            answer("prom", "metric b", 120, vec![]),
        ],
        120,
    );
    assert!(world.backends[&backend("prom")].trouble.is_some());
}

#[test]
fn the_revision_that_last_held_everything_is_remembered() {
    let mut second = live("r/ranker:2");
    second.current_hash = Some("two".into());
    second.stable_hash = Some("two".into());
    let world = world(
        catalog(vec![]),
        &[rollout(100, live("r/ranker:1")), rollout(200, second)],
        200,
    );
    let held: Vec<_> = world.held_full[&target()]
        .iter()
        .map(|full| (full.hash.to_string(), full.until))
        .collect();
    assert_eq!(
        held,
        [("old".to_owned(), at(100)), ("two".to_owned(), at(200))]
    );
}

/// Facts of different scopes, as a shuffled network would bring them.
fn independent() -> Vec<Observation> {
    let first = run(1, A, 0);
    let jobs = answer(
        "gh",
        "jobs 1",
        101,
        vec![Fact::Job(job(
            &first,
            5,
            "train",
            RunStatus::ended(Outcome::Succeeded),
        ))],
    );
    vec![
        runs(100, &[&first, &run(2, B, 50)]),
        jobs,
        registry(
            102,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![],
        ),
        rollout(103, canary("r/ranker:1111111", "r/ranker:9f3c2ab")),
        answer(
            "prom",
            "metric",
            104,
            vec![Fact::Measure(measure(
                Arm::Canary,
                Sample::Value(300.0),
                104,
            ))],
        ),
        failure("mlflow", "users", 105, ErrorKind::Forbidden),
    ]
}

/// What a person would see: everything but the ids given on the way, which are
/// what a release was first known by.
fn seen(world: &World) -> String {
    let releases: Vec<String> = {
        let mut all: Vec<String> = world
            .releases
            .values()
            .map(|release| {
                format!(
                    "{:?} {:?} {:?} {:?} {} {} {} {} {:?}",
                    release.commit,
                    release.run,
                    release.version,
                    release.image,
                    release.label,
                    release.title,
                    release.branch,
                    release.actor,
                    release.created_at
                )
            })
            .collect();
        all.sort();
        all
    };
    let lanes: Vec<String> = world
        .lanes
        .values()
        .map(|lane| format!("{:?} {:?}", lane.place, lane.waits_for))
        .collect();
    let words: Vec<String> = world
        .decisions
        .values()
        .map(|decision| format!("{:?} {:?}", decision.word, decision.findings))
        .collect();
    let tables = format!(
        "{:?} {:?} {:?}",
        world.runs.keys().collect::<Vec<_>>(),
        world.jobs.keys().collect::<Vec<_>>(),
        world.models.get(&model()).map(|model| &model.value)
    );
    format!("{releases:?}\n{lanes:?}\n{words:?}\n{tables}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_independent_answers_does_not_matter(order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let facts = independent();
        let gates = || catalog(vec![latency_gate(250.0)]);
        let straight = world(gates(), &facts, 110);
        let shuffled: Vec<Observation> = order.iter().map(|index| facts[*index].clone()).collect();
        prop_assert_eq!(seen(&straight), seen(&world(gates(), &shuffled, 110)));
    }

    #[test]
    fn hearing_the_same_twice_changes_nothing(twice in proptest::collection::vec(0..6_usize, 0..6)) {
        let facts = independent();
        let gates = || catalog(vec![latency_gate(250.0)]);
        let once = world(gates(), &facts, 110);
        let mut repeated = facts.clone();
        repeated.extend(twice.iter().map(|index| facts[*index].clone()));
        prop_assert_eq!(seen(&once), seen(&world(gates(), &repeated, 110)));
    }
}

#[test]
fn a_recorded_session_played_again_decides_the_same() {
    let session = independent();
    let play = || {
        let mut world = World::default();
        let mut decisions = Vec::new();
        reduce(
            &mut world,
            &Observation::Catalog(std::sync::Arc::new(catalog(vec![latency_gate(250.0)]))),
        );
        for (second, observation) in session.iter().enumerate() {
            reduce(&mut world, observation);
            settle(&mut world, at(100 + i64::try_from(second).unwrap()));
            decisions.push(format!("{:?}", world.decisions));
        }
        decisions
    };
    assert_eq!(play(), play());
}

#[test]
fn a_told_event_is_no_answer_to_a_question() {
    let world = world(
        catalog(vec![]),
        &[event(
            "prod",
            "rollouts recsys",
            100,
            vec![Fact::Rollout(Box::new(live("r/ranker:1")))],
        )],
        100,
    );
    assert_eq!(world.rollouts[&target()].basis, Basis::Told);
}
