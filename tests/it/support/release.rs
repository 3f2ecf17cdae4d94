//! A catalog with one service: model `wdbc-screening`, rollout `ranker` in
//! `prod`, metrics on `prometheus`.

use std::collections::BTreeMap;

use gonogo::domain::{
    catalog::{Catalog, EnvironmentSpec, MetricSpec, ModelSpec, PlaceSpec, ServiceSpec},
    id::{BackendId, EnvironmentName, ModelId, PolicyName, ServiceName, TargetId, TargetKind},
};

/// The model.
pub(crate) fn model() -> ModelId {
    ModelId {
        backend: BackendId::new("mlflow"),
        name: "wdbc-screening".into(),
    }
}

/// The rollout.
fn target() -> TargetId {
    TargetId {
        backend: BackendId::new("cluster"),
        kind: TargetKind::Rollout,
        namespace: "recsys".into(),
        name: "ranker".into(),
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
