//! What the configuration says exists: services, environments, policies.
//!
//! The catalog reaches the engine like any other observation, so that a
//! recorded session says by which rules its decisions were made.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::domain::{
    id::{
        BackendId, Commit, EnvironmentName, MetricName, ModelId, PipelineId, PolicyName,
        ServiceName, TargetId, Version,
    },
    measure::MetricId,
    policy::{GateSource, Policy},
    text::Clean,
};

/// Everything configured that the engine needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// SHA-256 over the configuration's canonical text without secrets, `sha256:…`.
    pub digest: Clean,
    /// Services by name.
    pub services: BTreeMap<ServiceName, ServiceSpec>,
    /// Environments by name.
    pub environments: BTreeMap<EnvironmentName, EnvironmentSpec>,
    /// Policies by name.
    pub policies: BTreeMap<PolicyName, Arc<Policy>>,
    /// Backends by name, with the limit after which their word is late.
    pub backends: BTreeMap<BackendId, BackendSpec>,
}

/// One configured backend as the engine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSpec {
    /// Its kind (`kubernetes`).
    pub kind: &'static str,
    /// Time between two looks when nobody looks closely.
    pub cadence: Duration,
}

impl BackendSpec {
    /// Three cadences, at least fifteen seconds: after this its word is late.
    pub fn limit(&self) -> Duration {
        (self.cadence * 3).max(Duration::from_secs(15))
    }
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentSpec {
    /// The backend its rollouts live on.
    pub backend: BackendId,
    /// Whether a mistake here hurts users: starts in BRAKE, never overridden by default.
    pub critical: bool,
    /// Whether this configuration may act here at all.
    pub read_only: bool,
}

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    /// Its name.
    pub name: ServiceName,
    /// The pipeline whose runs make its releases.
    pub run: Option<PipelineId>,
    /// Only runs of this branch make releases, if set.
    pub branch: Option<Clean>,
    /// Jobs whose name contains the text belong to the stage of that name.
    pub stages: Vec<(Clean, crate::domain::pipeline::Stage)>,
    /// The registered model it serves.
    pub model: Option<ModelSpec>,
    /// Where it is rolled out.
    pub places: Vec<PlaceSpec>,
    /// Its policy.
    pub policy: PolicyName,
    /// Its metric queries, one per environment and metric.
    pub metrics: Vec<MetricSpec>,
    /// Pods load the alias when they start, so the alias moves before the pods.
    pub model_from_alias: bool,
    /// Links stated by people; they win over every rule.
    pub mappings: Vec<Mapping>,
}

/// The registered model of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSpec {
    /// Which.
    pub model: ModelId,
    /// The alias that names the version serving now.
    pub champion: Clean,
}

/// One place a service is rolled out to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceSpec {
    /// The environment.
    pub environment: EnvironmentName,
    /// The object that moves it.
    pub target: TargetId,
    /// The container whose image carries the release; `None` = the first.
    pub container: Option<Clean>,
}

/// One metric of a service in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSpec {
    /// Which.
    pub id: MetricId,
    /// Who answers.
    pub backend: BackendId,
    /// Query for the revision being tried.
    pub canary: Clean,
    /// Query for the revision users are on.
    pub stable: Option<Clean>,
    /// Query for requests to the canary.
    pub traffic: Option<Clean>,
    /// Unit, for people.
    pub unit: Clean,
    /// What to do with several series; without it they are an error.
    pub aggregate: Option<Aggregate>,
    /// How much time the chart shows.
    pub range: Duration,
    /// How wide a window of an N-of-M rule is.
    pub window: Duration,
    /// How far its queries look back; nothing for those that read an instant.
    pub looks_back: Duration,
}

/// What to do with several series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// The largest counts.
    Max,
    /// The smallest counts.
    Min,
    /// Their sum counts.
    Sum,
    /// Their mean counts.
    Mean,
}

/// A link stated by people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The commit.
    pub commit: Commit,
    /// The model version that goes with it.
    pub version: Option<Version>,
    /// The image tag or digest that goes with it.
    pub image: Option<Clean>,
}

impl Catalog {
    /// The service that owns this rollout, and where it is placed.
    pub fn place_of(&self, target: &TargetId) -> Option<(&ServiceSpec, &PlaceSpec)> {
        self.services.values().find_map(|service| {
            let place = service
                .places
                .iter()
                .find(|place| place.target == *target)?;
            Some((service, place))
        })
    }

    /// The policy of a service.
    pub fn policy(&self, service: &ServiceSpec) -> Option<&Arc<Policy>> {
        self.policies.get(&service.policy)
    }

    /// How many windows of a metric its service's policy looks at; 0 = it asks
    /// for none.
    pub fn windows_of(&self, spec: &MetricSpec) -> u32 {
        let service = self.services.get(&spec.id.service);
        let policy = service.and_then(|service| self.policy(service));
        let gates = policy.into_iter().flat_map(|policy| &policy.gates);
        gates
            .filter(|gate| gate.source == GateSource::Metric(spec.id.metric.clone()))
            .filter_map(|gate| gate.breaches)
            .map(|breaches| breaches.of)
            .max()
            .unwrap_or(0)
    }

    /// The metric's specification.
    pub fn metric(
        &self,
        service: &ServiceName,
        environment: &EnvironmentName,
        metric: &MetricName,
    ) -> Option<&MetricSpec> {
        self.services
            .get(service)?
            .metrics
            .iter()
            .find(|spec| spec.id.environment == *environment && spec.id.metric == *metric)
    }
}
