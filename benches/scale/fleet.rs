//! A fleet of any size, told to the engine as backends tell it: one answer per
//! pipeline, run, model and metric, and one per namespace of the cluster.

use std::{collections::BTreeMap, sync::Arc};

use gonogo::{
    domain::{
        catalog::{Catalog, MetricSpec, ModelSpec, PlaceSpec, ServiceSpec},
        id::{ModelId, PipelineId, RunId, ServiceName, TargetId, TargetKind},
        measure::{Arm, Measure, MetricId, Sample},
        observation::{Fact, Observation},
        pipeline::RunStatus,
        quantity::Weight,
        rollout::{Revision, Rollout, RolloutPhase},
        text::Clean,
    },
    engine::world::LaneId,
};

use crate::build;

/// Everything was told at this second.
pub(crate) const TOLD: i64 = 200;
/// Rollouts of one namespace come in one answer.
const NAMESPACE: usize = 100;

/// The catalog and every first answer about `services` services.
pub(crate) fn told(services: usize) -> Vec<Observation> {
    let mut told = vec![Observation::Catalog(Arc::new(catalog(services)))];
    for index in 0..services {
        told.extend(pipeline_answers(index));
        told.push(registry(index));
        told.push(measured(index, 200.0, TOLD));
    }
    for first in (0..services).step_by(NAMESPACE) {
        let rollouts = (first..services.min(first + NAMESPACE))
            .map(|index| Fact::Rollout(Box::new(rollout(index, 30, 100))))
            .collect();
        told.push(build::answer("prod", &watched(first), TOLD, rollouts));
    }
    told
}

/// A watch event: the rollout of a service stands at another weight.
pub(crate) fn moved(index: usize, percent: u8, version: u64) -> Observation {
    let told = vec![Fact::Rollout(Box::new(rollout(index, percent, version)))];
    build::event("prod", &watched(index), TOLD, told)
}

/// An answer of the metrics server about one service.
pub(crate) fn measured(index: usize, value: f64, when: i64) -> Observation {
    let facts = [(Arm::Canary, value), (Arm::Stable, 190.0)].map(|(arm, value)| {
        Fact::Measure(Measure {
            metric: metric(index),
            ..build::measure(arm, Sample::Value(value), when)
        })
    });
    build::answer("prom", &format!("metrics {index}"), when, facts.into())
}

/// The row of a service.
pub(crate) fn lane(index: usize) -> LaneId {
    (service(index), build::lane().1)
}

fn service(index: usize) -> ServiceName {
    ServiceName::new(format!("service-{index:05}"))
}

fn metric(index: usize) -> MetricId {
    MetricId {
        service: service(index),
        ..build::metric()
    }
}

fn pipeline(index: usize) -> PipelineId {
    PipelineId {
        repo: Clean::name(&format!("acme/service-{index:05}")),
        ..build::pipeline()
    }
}

fn model(index: usize) -> ModelId {
    ModelId {
        name: Clean::name(&format!("model-{index:05}")),
        ..build::model()
    }
}

fn target(index: usize) -> TargetId {
    TargetId {
        backend: build::backend("prod"),
        kind: TargetKind::Rollout,
        namespace: Clean::name(&format!("team-{:03}", index / NAMESPACE)),
        name: Clean::name(&format!("service-{index:05}")),
    }
}

fn watched(index: usize) -> String {
    format!("rollouts team-{:03}", index / NAMESPACE)
}

fn commit(index: usize) -> String {
    format!("{index:07x}{index:033x}")
}

fn catalog(services: usize) -> Catalog {
    let gates = vec![build::latency_gate(250.0), build::accuracy_gate(0.8)];
    let one = build::catalog(gates);
    let pattern = one.services[&build::lane().0].clone();
    let spec = |index: usize| ServiceSpec {
        name: service(index),
        run: Some(pipeline(index)),
        model: Some(ModelSpec {
            model: model(index),
            champion: "champion".into(),
        }),
        places: vec![PlaceSpec {
            environment: build::lane().1,
            target: target(index),
            container: None,
        }],
        metrics: pattern
            .metrics
            .iter()
            .map(|spec| MetricSpec {
                id: metric(index),
                ..spec.clone()
            })
            .collect(),
        ..pattern.clone()
    };
    let services: BTreeMap<ServiceName, ServiceSpec> = (0..services)
        .map(|index| (service(index), spec(index)))
        .collect();
    Catalog { services, ..one }
}

/// A pipeline's runs, and the jobs of its run.
fn pipeline_answers(index: usize) -> [Observation; 2] {
    let pattern = build::run(10_000_000 + index as u64, &commit(index), 0);
    let run = gonogo::domain::pipeline::Run {
        id: RunId {
            repo: pipeline(index).repo,
            ..pattern.id.clone()
        },
        pipeline: pipeline(index),
        ..pattern
    };
    let done = || RunStatus::ended(gonogo::domain::pipeline::Outcome::Succeeded);
    let jobs = ["test", "train", "build"]
        .into_iter()
        .zip(1..)
        .map(|(name, number)| Fact::Job(build::job(&run, number, name, done())));
    let jobs = build::answer("gh", &format!("jobs {index}"), TOLD, jobs.collect());
    let runs = vec![Fact::Run(run)];
    [
        build::answer("gh", &format!("runs {index}"), TOLD, runs),
        jobs,
    ]
}

fn registry(index: usize) -> Observation {
    let mut model_facts = vec![Fact::Model(gonogo::domain::model::RegisteredModel {
        id: model(index),
        ..build::aliases(&[("champion", 1)])
    })];
    for (number, accuracy) in [(1, 0.9), (2, 0.92)] {
        let sha = commit(index);
        let tags: &[(&str, &str)] = if number == 2 {
            &[("git_commit", &sha)]
        } else {
            &[]
        };
        let mut version = build::version(number, tags);
        version.model = model(index);
        let mut run = build::model_run(number, &[("accuracy", accuracy)]);
        run.model = model(index);
        model_facts.extend([Fact::Version(version), Fact::ModelRun(run)]);
    }
    build::answer("mlflow", &format!("model {index}"), TOLD, model_facts)
}

/// One service in ten is on its way through a canary, the others are live.
fn rollout(index: usize, percent: u8, version: u64) -> Rollout {
    let image = format!("r/service:{}", commit(index).get(..7).unwrap_or_default());
    let on_its_way = index.is_multiple_of(10);
    let of = if on_its_way {
        build::canary(&image, "r/service:1.0.0")
    } else {
        build::live(&image)
    };
    let phase = if on_its_way {
        RolloutPhase::Progressing
    } else {
        of.phase.clone()
    };
    Rollout {
        id: target(index),
        uid: Clean::name(&format!("uid-{index}")),
        version: Some(version),
        phase,
        weight_actual: if on_its_way {
            Weight::percent(percent)
        } else {
            of.weight_actual
        },
        message: Clean::name(&format!("at {version}")),
        revisions: of
            .revisions
            .iter()
            .map(|revision| Revision {
                name: Clean::name(&format!("service-{index}-{}", revision.hash)),
                ..revision.clone()
            })
            .collect(),
        ..of
    }
}
