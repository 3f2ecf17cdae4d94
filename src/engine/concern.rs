//! Which services a fact concerns: the configuration, read from the other side.
//!
//! Made once per catalog, so that a fact finds its services without asking
//! every one of them.

use std::collections::BTreeMap;

use crate::domain::{
    catalog::Catalog,
    id::{BackendId, ModelId, PipelineId, RunId, ServiceName, TargetId},
    observation::Scope,
    text::Clean,
};

/// Services by what they are made of.
#[derive(Clone, Debug, Default)]
pub struct Concerns {
    pipelines: BTreeMap<PipelineId, Vec<ServiceName>>,
    repos: BTreeMap<BackendId, BTreeMap<Clean, Vec<ServiceName>>>,
    models: BTreeMap<ModelId, Vec<ServiceName>>,
    targets: BTreeMap<TargetId, Vec<ServiceName>>,
    namespaces: BTreeMap<BackendId, BTreeMap<Clean, Vec<ServiceName>>>,
    backends: BTreeMap<BackendId, Vec<ServiceName>>,
}

impl Concerns {
    /// Reads a catalog.
    pub fn of(catalog: &Catalog) -> Self {
        let mut all = Self::default();
        for service in catalog.services.values() {
            let name = &service.name;
            if let Some(run) = &service.run {
                note(&mut all.pipelines, run, name);
                let repos = all.repos.entry(run.backend.clone()).or_default();
                note(repos, &run.repo, name);
                note(&mut all.backends, &run.backend, name);
            }
            if let Some(spec) = &service.model {
                note(&mut all.models, &spec.model, name);
                note(&mut all.backends, &spec.model.backend, name);
            }
            for place in &service.places {
                note(&mut all.targets, &place.target, name);
                let backend = place.target.backend.clone();
                let namespaces = all.namespaces.entry(backend).or_default();
                note(namespaces, &place.target.namespace, name);
                note(&mut all.backends, &place.target.backend, name);
            }
            for metric in &service.metrics {
                note(&mut all.backends, &metric.backend, name);
            }
        }
        all
    }

    /// Whose runs this pipeline makes.
    pub fn pipeline(&self, pipeline: &PipelineId) -> &[ServiceName] {
        found(self.pipelines.get(pipeline))
    }

    /// Who may have made a run, as far as its id tells: whoever builds from its
    /// repository.
    pub fn run(&self, run: &RunId) -> &[ServiceName] {
        found(
            self.repos
                .get(&run.backend)
                .and_then(|repos| repos.get(&run.repo)),
        )
    }

    /// Who serves this model.
    pub fn model(&self, model: &ModelId) -> &[ServiceName] {
        found(self.models.get(model))
    }

    /// Who is rolled out by this object.
    pub fn target(&self, target: &TargetId) -> &[ServiceName] {
        found(self.targets.get(target))
    }

    /// Who is rolled out in the namespace a scope is about; see [`Scope::is_around`].
    pub fn around(&self, scope: &Scope) -> &[ServiceName] {
        // Namespaces have no spaces, so it is the last word.
        let namespace = scope.part.rsplit_once(' ').map(|(_, last)| last);
        let of_backend = self.namespaces.get(&scope.backend);
        found(
            of_backend
                .zip(namespace)
                .and_then(|(all, name)| all.get(name)),
        )
    }

    /// Who depends on this backend for anything.
    pub fn backend(&self, backend: &BackendId) -> &[ServiceName] {
        found(self.backends.get(backend))
    }
}

/// Services come in order, so one that was noted already was noted last.
fn note<K: Clone + Ord>(by: &mut BTreeMap<K, Vec<ServiceName>>, key: &K, name: &ServiceName) {
    let services = by.entry(key.clone()).or_default();
    if services.last() != Some(name) {
        services.push(name.clone());
    }
}

fn found(services: Option<&Vec<ServiceName>>) -> &[ServiceName] {
    services.map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{
        catalog::{MetricSpec, ModelSpec, PlaceSpec, ServiceSpec},
        id::{EnvironmentName, MetricName, PolicyName, TargetKind},
        measure::MetricId,
    };

    const BACKENDS: [&str; 2] = ["one", "other"];

    fn backend(index: usize) -> BackendId {
        BackendId::new(BACKENDS[index % 2])
    }

    fn pipeline(index: usize) -> PipelineId {
        PipelineId {
            backend: backend(index),
            repo: format!("acme/{}", index % 3).into(),
            workflow: format!("{}.yml", index % 4).into(),
        }
    }

    fn model(index: usize) -> ModelId {
        ModelId {
            backend: backend(index / 2),
            name: format!("model {}", index % 5).into(),
        }
    }

    fn target(index: usize) -> TargetId {
        TargetId {
            backend: backend(index / 3),
            kind: TargetKind::Rollout,
            namespace: format!("team-{}", index % 3).into(),
            name: format!("target {}", index % 7).into(),
        }
    }

    /// Services that share some things and lack others.
    fn service(index: usize) -> ServiceSpec {
        let name = ServiceName::new(format!("service {index:02}"));
        let id = MetricId {
            service: name.clone(),
            environment: EnvironmentName::new("x"),
            metric: MetricName::new("m"),
        };
        let metric = MetricSpec {
            id,
            backend: backend(index / 4),
            canary: "".into(),
            stable: None,
            traffic: None,
            unit: "".into(),
            aggregate: None,
            range: Duration::ZERO,
            window: Duration::ZERO,
            looks_back: Duration::ZERO,
        };
        let place = |index| PlaceSpec {
            environment: EnvironmentName::new("x"),
            target: target(index),
            container: None,
        };
        ServiceSpec {
            name,
            run: (!index.is_multiple_of(5)).then(|| pipeline(index)),
            branch: None,
            stages: Vec::new(),
            model: (!index.is_multiple_of(3)).then(|| ModelSpec {
                model: model(index),
                champion: "".into(),
            }),
            places: (index..index + index % 3).map(place).collect(),
            policy: PolicyName::new("p"),
            metrics: index
                .is_multiple_of(4)
                .then_some(metric)
                .into_iter()
                .collect(),
            model_from_alias: false,
            mappings: Vec::new(),
        }
    }

    #[test]
    fn what_is_looked_up_is_what_asking_every_service_finds() {
        let services = (0..40).map(|index| (service(index).name, service(index)));
        let catalog = Catalog {
            services: services.collect(),
            ..Catalog::default()
        };
        let all = Concerns::of(&catalog);
        let asked = |concerned: &dyn Fn(&ServiceSpec) -> bool| -> Vec<ServiceName> {
            let services = catalog.services.values();
            services
                .filter(|service| concerned(service))
                .map(|service| service.name.clone())
                .collect()
        };
        for index in 0..42 {
            let (pipeline, model, target) = (pipeline(index), model(index), target(index));
            let run = RunId {
                backend: pipeline.backend.clone(),
                repo: pipeline.repo.clone(),
                id: 7,
            };
            let of = |service: &ServiceSpec| service.run.as_ref() == Some(&pipeline);
            assert_eq!(all.pipeline(&pipeline), asked(&of));
            let of = |service: &ServiceSpec| {
                let from = service.run.as_ref();
                from.is_some_and(|from| from.backend == run.backend && from.repo == run.repo)
            };
            assert_eq!(all.run(&run), asked(&of));
            let of = |service: &ServiceSpec| {
                let serves = service.model.as_ref();
                serves.is_some_and(|spec| spec.model == model)
            };
            assert_eq!(all.model(&model), asked(&of));
            let of = |service: &ServiceSpec| {
                let mut places = service.places.iter();
                places.any(|place| place.target == target)
            };
            assert_eq!(all.target(&target), asked(&of));
            for scope in [Scope::revisions(&target), Scope::rollout(&target)] {
                let of = |service: &ServiceSpec| {
                    let mut places = service.places.iter();
                    places.any(|place| scope.is_around(&place.target))
                };
                assert_eq!(all.around(&scope), asked(&of));
            }
        }
        for backend in BACKENDS.map(BackendId::new) {
            let of = |service: &ServiceSpec| {
                let run = service.run.iter().map(|run| &run.backend);
                let model = service.model.iter().map(|spec| &spec.model.backend);
                let places = service.places.iter().map(|place| &place.target.backend);
                let metrics = service.metrics.iter().map(|metric| &metric.backend);
                let mut all = run.chain(model).chain(places).chain(metrics);
                all.any(|of| *of == backend)
            };
            assert_eq!(all.backend(&backend), asked(&of));
        }
    }
}
