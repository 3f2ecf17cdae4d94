//! A catalog with one service: model `wdbc-screening`, rollout `ranker` in
//! `prod`, metrics on `prometheus`.

use std::{collections::BTreeMap, time::Duration};

use gonogo::domain::{
    catalog::{Catalog, EnvironmentSpec, MetricSpec, ModelSpec, PlaceSpec, ServiceSpec},
    id::{
        BackendId, EnvironmentName, MetricName, ModelId, PolicyName, ServiceName, TargetId,
        TargetKind,
    },
    measure::MetricId,
};

/// The model.
pub(crate) fn model() -> ModelId {
    ModelId {
        backend: BackendId::new("mlflow"),
        name: "wdbc-screening".into(),
    }
}

/// The rollout.
pub(crate) fn target() -> TargetId {
    TargetId {
        backend: BackendId::new("cluster"),
        kind: TargetKind::Rollout,
        namespace: "recsys".into(),
        name: "ranker".into(),
    }
}

/// A metric of the service: its canary query is its name.
pub(crate) fn metric(name: &'static str) -> MetricSpec {
    MetricSpec {
        id: MetricId {
            service: ServiceName::new("ranker"),
            environment: EnvironmentName::new("prod"),
            metric: MetricName::new(name),
        },
        backend: BackendId::new("prometheus"),
        canary: name.into(),
        stable: None,
        traffic: None,
        unit: "".into(),
        aggregate: None,
        range: Duration::from_secs(1800),
        window: Duration::from_secs(60),
        looks_back: Duration::from_secs(60),
    }
}

/// The catalog with these metrics.
pub(crate) fn catalog(metrics: Vec<MetricSpec>) -> Catalog {
    let service = ServiceSpec {
        name: ServiceName::new("ranker"),
        run: None,
        branch: None,
        stages: Vec::new(),
        model: Some(ModelSpec {
            model: model(),
            champion: "champion".into(),
        }),
        places: vec![PlaceSpec {
            environment: EnvironmentName::new("prod"),
            target: target(),
            container: None,
        }],
        policy: PolicyName::new("none"),
        metrics,
        model_from_alias: false,
        mappings: Vec::new(),
    };
    let prod = EnvironmentSpec {
        backend: BackendId::new("cluster"),
        critical: false,
        read_only: false,
    };
    Catalog {
        services: BTreeMap::from([(service.name.clone(), service)]),
        environments: BTreeMap::from([(EnvironmentName::new("prod"), prod)]),
        ..Catalog::default()
    }
}
