//! What is looked up instead of searched for is what a search would find.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use gonogo::{
    domain::{
        backend::ErrorKind,
        catalog::{Catalog, PlaceSpec, ServiceSpec},
        id::{RunId, ServiceName, TargetId, Version},
        measure::{Arm, Measure, MetricId, Sample, Series},
        model::{ModelRun, ModelVersion, RegisteredModel},
        observation::{Batch, Fact, Failure, Key, Observation, Scope},
        pipeline::{Outcome, Run, RunStatus},
        policy::GateRule,
        rollout::Rollout,
        text::Clean,
    },
    engine::{
        reduce::{reduce, settle},
        world::World,
    },
};
use proptest::prelude::*;

use crate::support::build::{
    accuracy_gate, aliases, answer, approval, at, backend, canary, catalog, job, latency_gate,
    live, measure, metric, model_run, pipeline, run, target, version,
};

/// The second name begins like the first, up to what follows a service in an id.
const SERVICES: [&str; 3] = ["a", "a@b", "c"];
const BACKENDS: [&str; 4] = ["gh", "mlflow", "prod", "prom"];
const COMMITS: [&str; 3] = [
    "9f3c2ab0000000000000000000000000000000aa",
    "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "2222222ccccccccccccccccccccccccccccccccc",
];

/// Three services; the first two build from one repository and serve one model.
fn three_services() -> Catalog {
    let latency = GateRule {
        max_age: Some(Duration::from_secs(20)),
        ..latency_gate(250.0)
    };
    let one = catalog(vec![latency, accuracy_gate(0.8)]);
    let pattern = one.services.values().next().unwrap().clone();
    let service = |index: usize| {
        let mut of = ServiceSpec {
            name: ServiceName::new(SERVICES[index]),
            places: vec![PlaceSpec {
                target: target_of(index),
                ..pattern.places[0].clone()
            }],
            ..pattern.clone()
        };
        of.metrics[0].id = metric_of(index);
        if index == 2 {
            of.run.as_mut().unwrap().repo = "acme/other".into();
            of.model = None;
        }
        of
    };
    Catalog {
        services: (0..3)
            .map(|index| (ServiceName::new(SERVICES[index]), service(index)))
            .collect(),
        ..one
    }
}

fn target_of(index: usize) -> TargetId {
    TargetId {
        name: Clean::name(SERVICES[index]),
        ..target()
    }
}

fn metric_of(index: usize) -> MetricId {
    MetricId {
        service: ServiceName::new(SERVICES[index]),
        ..metric()
    }
}

fn run_of(index: usize, number: usize) -> Run {
    let pattern = run(number as u64, COMMITS[number], seconds(number));
    let repo: Clean = if index == 2 {
        "acme/other"
    } else {
        "acme/recsys"
    }
    .into();
    Run {
        id: RunId {
            repo: repo.clone(),
            ..pattern.id.clone()
        },
        pipeline: gonogo::domain::id::PipelineId { repo, ..pipeline() },
        ..pattern
    }
}

fn seconds(number: usize) -> i64 {
    i64::try_from(number).unwrap()
}

/// A fact of one of nine kinds, and its name; which of two values it has.
fn fact(kind: usize, index: usize, number: usize, turn: bool) -> (Fact, Key) {
    let run = run_of(index, number);
    let tagged = [("git_commit", COMMITS[number])];
    match kind {
        0 => {
            let key = Key::Run(run.id.clone());
            let title = if turn { "one" } else { "other" }.into();
            (Fact::Run(Run { title, ..run }), key)
        }
        1 => {
            let outcome = if turn {
                Outcome::Failed
            } else {
                Outcome::Succeeded
            };
            let job = job(&run, 1, "test", RunStatus::ended(outcome));
            let key = Key::Job(job.id.clone());
            (Fact::Job(job), key)
        }
        2 => {
            let approval = approval(&run, "prod-eu");
            let key = Key::Approval(approval.id.clone());
            (Fact::Approval(approval), key)
        }
        3 => {
            let model: RegisteredModel = aliases(&[("champion", u64::from(turn))]);
            let key = Key::Model(model.id.clone());
            (Fact::Model(model), key)
        }
        4 => {
            let tags: &[(&str, &str)] = if turn { &tagged } else { &[] };
            let version: ModelVersion = version(number as u64, tags);
            let key = Key::Version(version.model.clone(), version.version);
            (Fact::Version(version), key)
        }
        5 => {
            let accuracy = if turn { 0.9 } else { 0.7 };
            let run: ModelRun = model_run(number as u64, &[("accuracy", accuracy)]);
            let key = Key::ModelRun(run.model.clone(), Version(number as u64));
            (Fact::ModelRun(run), key)
        }
        6 => {
            let image = format!("r/ranker:{}", COMMITS[number].get(..7).unwrap());
            let pattern = if turn {
                canary(&image, "r/ranker:1.0")
            } else {
                live(&image)
            };
            let rollout = Rollout {
                id: target_of(index),
                version: None,
                ..pattern
            };
            (
                Fact::Rollout(Box::new(rollout)),
                Key::Rollout(target_of(index)),
            )
        }
        7 => {
            let value = if turn { 300.0 } else { 200.0 };
            let measure = Measure {
                metric: metric_of(index),
                ..measure(Arm::Canary, Sample::Value(value), 100 + seconds(number) * 9)
            };
            (
                Fact::Measure(measure),
                Key::Measure(metric_of(index), Arm::Canary),
            )
        }
        _ => {
            let series = Series {
                metric: metric_of(index),
                arm: Arm::Stable,
                points: Vec::new(),
                from: at(0),
                to: at(seconds(number)),
            };
            (
                Fact::Series(series),
                Key::Series(metric_of(index), Arm::Stable),
            )
        }
    }
}

fn observation() -> impl Strategy<Value = Observation> {
    let one = || (0..9usize, 0..3usize, 0..3usize, any::<bool>());
    let facts = prop::collection::vec(one(), 0..6);
    let gone = prop::collection::vec(one(), 0..3);
    let place = || (prop::sample::select(&BACKENDS[..]), 0..2usize, 100..150i64);
    let told = (place(), any::<bool>(), facts, gone).prop_map(
        |((backend, part, when), complete, facts, gone)| {
            let all = facts.into_iter();
            let facts = all.map(|(k, i, n, turn)| fact(k, i, n, turn).0).collect();
            let Observation::Batch(batch) = answer(backend, &format!("part {part}"), when, facts)
            else {
                unreachable!("an answer is a batch")
            };
            let all = gone.into_iter();
            Observation::Batch(Batch {
                complete,
                gone: all.map(|(k, i, n, turn)| fact(k, i, n, turn).1).collect(),
                ..batch
            })
        },
    );
    let failed = (place(), any::<bool>()).prop_map(|((of, part, when), refused)| {
        Observation::Failure(Failure {
            scope: Scope::new(&backend(of), format!("part {part}")),
            at: at(when),
            kind: if refused {
                ErrorKind::Forbidden
            } else {
                ErrorKind::Timeout
            },
            message: "no".into(),
            retry_at: None,
        })
    });
    prop_oneof![4 => told, 1 => failed]
}

/// Every belief with the scope that told it, table by table.
fn told(world: &World) -> BTreeSet<(Scope, Key)> {
    let mut all = BTreeSet::new();
    all.extend(
        world
            .runs
            .iter()
            .map(|(id, known)| (known.scope.clone(), Key::Run(id.clone()))),
    );
    all.extend(
        world
            .jobs
            .iter()
            .map(|(id, known)| (known.scope.clone(), Key::Job(id.clone()))),
    );
    all.extend(
        world
            .approvals
            .iter()
            .map(|(id, known)| (known.scope.clone(), Key::Approval(id.clone()))),
    );
    all.extend(
        world
            .models
            .iter()
            .map(|(id, known)| (known.scope.clone(), Key::Model(id.clone()))),
    );
    all.extend(world.versions.iter().map(|((model, version), known)| {
        (known.scope.clone(), Key::Version(model.clone(), *version))
    }));
    all.extend(world.model_runs.iter().map(|((model, version), known)| {
        (known.scope.clone(), Key::ModelRun(model.clone(), *version))
    }));
    all.extend(
        world
            .rollouts
            .iter()
            .map(|(id, known)| (known.scope.clone(), Key::Rollout(id.clone()))),
    );
    all.extend(
        world.measures.iter().map(|((metric, arm), known)| {
            (known.scope.clone(), Key::Measure(metric.clone(), *arm))
        }),
    );
    all.extend(
        world
            .series
            .iter()
            .map(|((metric, arm), known)| (known.scope.clone(), Key::Series(metric.clone(), *arm))),
    );
    all.extend(
        world
            .windows
            .iter()
            .map(|(metric, known)| (known.scope.clone(), Key::Windows(metric.clone()))),
    );
    all
}

fn check(world: &World, next: Option<gonogo::domain::Timestamp>, now: i64) {
    assert!(world.told.keys().cloned().eq(told(world)));

    let troubled = world
        .scopes
        .iter()
        .filter(|(_, state)| state.trouble.is_some());
    assert!(world.troubled.keys().eq(troubled.map(|(scope, _)| scope)));

    let changes = world
        .decisions
        .values()
        .flat_map(|decision| &decision.findings);
    let soonest = changes
        .filter_map(|finding| finding.changes_at)
        .filter(|when| at(now) < *when);
    assert_eq!(next, soonest.min());

    for (name, service) in &world.catalog.services {
        let releases = world
            .releases
            .values()
            .filter(|release| release.service == *name);
        assert!(world.releases_of(name).eq(releases));
        let pipeline = service.run.as_ref().unwrap();
        let ids = |run: &gonogo::engine::world::Known<Run>| run.id.clone();
        let runs = world.runs.values().filter(|run| run.pipeline == *pipeline);
        assert!(world.runs_of(pipeline).map(ids).eq(runs.map(ids)));
    }

    let ids: BTreeSet<_> = world.minted.values().chain(world.merged.keys()).collect();
    let ranks: BTreeSet<u64> = ids.iter().map(|id| world.ranks[*id]).collect();
    assert_eq!(ranks.len(), ids.len(), "no rank is given twice");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_index_agrees_with_a_plain_search(session in prop::collection::vec(observation(), 1..24)) {
        let first = Observation::Catalog(Arc::new(three_services()));
        let (mut world, mut thorough) = (World::default(), World::default());
        reduce(&mut world, &first);
        reduce(&mut thorough, &first);
        for (observation, now) in session.iter().zip((100..).step_by(3)) {
            reduce(&mut world, observation);
            let next = settle(&mut world, at(now));
            check(&world, next, now);
            // Concluding about every service again brings nothing that
            // concluding about those a fact concerns has missed.
            reduce(&mut thorough, observation);
            thorough.dirty.extend(thorough.catalog.services.keys().cloned());
            settle(&mut thorough, at(now));
            prop_assert_eq!(&world.releases, &thorough.releases);
            prop_assert_eq!(&world.lanes, &thorough.lanes);
        }
    }
}
