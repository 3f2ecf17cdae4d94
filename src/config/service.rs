//! `[service.NAME]` and `[environment.NAME]` as meant.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use toml::Spanned;

use crate::{
    config::{file, problem::Collector, queries},
    domain::{
        catalog::{
            Aggregate, EnvironmentSpec, Mapping, MetricSpec, ModelSpec, PlaceSpec, ServiceSpec,
        },
        id::{
            BackendId, Commit, EnvironmentName, MetricName, ModelId, PipelineId, PolicyName,
            ServiceName, TargetId, TargetKind, Version,
        },
        measure::MetricId,
        pipeline::Stage,
        text::Clean,
    },
};

/// The alias of the version users are on, unless the file names another.
pub(super) const CHAMPION: &str = "champion";
/// How much time a chart shows, unless the file says otherwise.
pub(super) const RANGE: Duration = Duration::from_secs(30 * 60);

/// How wide a window is where the queries look back on nothing.
const WINDOW: Duration = Duration::from_secs(60);

/// What a section may refer to.
pub(super) struct Names<'a> {
    pub(super) backends: &'a BTreeSet<String>,
    pub(super) environments: &'a BTreeMap<EnvironmentName, EnvironmentSpec>,
    /// Also those whose section is wrong.
    pub(super) known_environments: &'a BTreeSet<String>,
    pub(super) policies: &'a BTreeSet<String>,
}

/// The backend a key names; noted when there is none.
pub(super) fn backend(
    written: &Spanned<String>,
    backends: &BTreeSet<String>,
    problems: &mut Collector<'_>,
) -> BackendId {
    let name = written.get_ref();
    if !backends.contains(name) {
        let known = backends.iter().map(String::as_str);
        problems.unknown(&written.span(), "backend", name, known);
    }
    BackendId::new(name)
}

pub(super) fn read_environment(
    written: &file::Environment,
    backends: &BTreeSet<String>,
    problems: &mut Collector<'_>,
) -> EnvironmentSpec {
    let mode = written.mode.as_ref();
    if let Some(mode) = mode
        && !["ro", "rw"].contains(&mode.get_ref().as_str())
    {
        problems.unknown(&mode.span(), "mode", mode.get_ref(), ["ro", "rw"]);
    }
    EnvironmentSpec {
        backend: backend(&written.backend, backends, problems),
        critical: written.critical,
        read_only: mode.is_some_and(|mode| mode.get_ref() == "ro"),
    }
}

pub(super) fn read_service(
    name: &str,
    written: &file::Service,
    names: &Names<'_>,
    problems: &mut Collector<'_>,
) -> ServiceSpec {
    let service = ServiceName::new(name);
    let places = read_places(&written.rollout, names, problems);
    if !names.policies.contains(written.policy.get_ref()) {
        let known = names.policies.iter().map(String::as_str);
        problems.unknown(
            &written.policy.span(),
            "policy",
            written.policy.get_ref(),
            known,
        );
    }
    let model_from_alias = written.model_from.as_ref().is_some_and(|from| {
        if !["alias", "image"].contains(&from.get_ref().as_str()) {
            let known = ["alias", "image"];
            problems.unknown(&from.span(), "value of `model_from`", from.get_ref(), known);
        }
        from.get_ref() == "alias"
    });
    let run = written.run.as_ref().map(|run| PipelineId {
        backend: backend(&run.backend, names.backends, problems),
        repo: Clean::name(&run.repo),
        workflow: Clean::name(&run.workflow),
    });
    let model = written.model.as_ref().map(|model| ModelSpec {
        model: ModelId {
            backend: backend(&model.backend, names.backends, problems),
            name: Clean::name(&model.name),
        },
        champion: Clean::name(model.alias.as_deref().unwrap_or(CHAMPION)),
    });
    let branch = written.run.as_ref().and_then(|run| run.branch.as_deref());
    ServiceSpec {
        run,
        branch: branch.map(Clean::name),
        stages: read_stages(&written.stages, problems),
        model,
        policy: PolicyName::new(written.policy.get_ref()),
        metrics: read_metrics(&service, written, &places, names, problems),
        places,
        model_from_alias,
        mappings: written
            .mapping
            .iter()
            .filter_map(|mapping| read_mapping(mapping, problems))
            .collect(),
        name: service,
    }
}

fn read_places(
    written: &Spanned<Vec<file::Place>>,
    names: &Names<'_>,
    problems: &mut Collector<'_>,
) -> Vec<PlaceSpec> {
    if written.get_ref().is_empty() {
        problems.at(
            &written.span(),
            "a service is rolled out somewhere: name at least one rollout",
        );
    }
    let mut places: Vec<PlaceSpec> = Vec::new();
    for place in written.get_ref() {
        let environment = EnvironmentName::new(place.environment.get_ref());
        let span = place.environment.span();
        let Some(spec) = names.environments.get(&environment) else {
            let written = place.environment.get_ref();
            if !names.known_environments.contains(written) {
                let known = names.known_environments.iter().map(String::as_str);
                problems.unknown(&span, "environment", written, known);
            }
            continue;
        };
        if places.iter().any(|known| known.environment == environment) {
            problems.at(&span, format!("environment `{environment}` is named twice"));
        }
        let kind = match place
            .kind
            .as_ref()
            .map(|kind| (kind, kind.get_ref().as_str()))
        {
            None | Some((_, "rollout")) => TargetKind::Rollout,
            Some((_, "deployment")) => TargetKind::Deployment,
            Some((kind, other)) => {
                problems.unknown(&kind.span(), "kind", other, ["rollout", "deployment"]);
                TargetKind::Rollout
            }
        };
        places.push(PlaceSpec {
            environment,
            target: TargetId {
                backend: spec.backend.clone(),
                kind,
                namespace: Clean::name(&place.namespace),
                name: Clean::name(&place.name),
            },
            container: place.container.as_deref().map(Clean::name),
        });
    }
    places
}

fn read_stages(
    written: &BTreeMap<Spanned<String>, String>,
    problems: &mut Collector<'_>,
) -> Vec<(Clean, Stage)> {
    let mut stages = Vec::new();
    for (name, pattern) in written {
        match Stage::ALL
            .into_iter()
            .find(|stage| stage.name() == name.get_ref())
        {
            Some(stage) => stages.push((Clean::name(pattern), stage)),
            None => {
                let known = Stage::ALL.map(Stage::name);
                problems.unknown(&name.span(), "stage", name.get_ref(), known);
            }
        }
    }
    stages
}

fn read_mapping(written: &file::Mapping, problems: &mut Collector<'_>) -> Option<Mapping> {
    let Some(commit) = Commit::parse(written.commit.get_ref()) else {
        problems.at(
            &written.commit.span(),
            "expected a full commit id of 40 or 64 hex digits",
        );
        return None;
    };
    if written.version.is_none() && written.image.is_none() {
        problems.at(
            &written.commit.span(),
            "a mapping needs `version`, `image` or both",
        );
    }
    Some(Mapping {
        commit,
        version: written.version.map(Version),
        image: written.image.as_deref().map(Clean::name),
    })
}

/// One specification per metric and place.
fn read_metrics(
    service: &ServiceName,
    written: &file::Service,
    places: &[PlaceSpec],
    names: &Names<'_>,
    problems: &mut Collector<'_>,
) -> Vec<MetricSpec> {
    let mut metrics = Vec::new();
    for (name, metric) in &written.metric {
        let queries = [
            Some(&metric.canary),
            metric.stable.as_ref(),
            metric.traffic.as_ref(),
        ];
        for query in queries.into_iter().flatten() {
            queries::check(query.get_ref(), &query.span(), problems);
        }
        let aggregate = metric.aggregate.as_ref().and_then(|written| {
            let choices = [
                ("max", Aggregate::Max),
                ("min", Aggregate::Min),
                ("sum", Aggregate::Sum),
                ("mean", Aggregate::Mean),
            ];
            let found = choices.iter().find(|(word, _)| word == written.get_ref());
            if found.is_none() {
                let known = choices.map(|(word, _)| word);
                problems.unknown(&written.span(), "aggregate", written.get_ref(), known);
            }
            found.map(|(_, aggregate)| *aggregate)
        });
        let (window, looks_back) = read_window(metric, problems);
        let backend = backend(&metric.backend, names.backends, problems);
        metrics.extend(places.iter().map(|place| {
            let fill = |query: &Spanned<String>| queries::fill(query.get_ref(), service, place);
            MetricSpec {
                id: MetricId {
                    service: service.clone(),
                    environment: place.environment.clone(),
                    metric: MetricName::new(name),
                },
                backend: backend.clone(),
                canary: fill(&metric.canary),
                stable: metric.stable.as_ref().map(fill),
                traffic: metric.traffic.as_ref().map(fill),
                unit: Clean::name(&metric.unit),
                aggregate,
                range: metric.range.unwrap_or(RANGE),
                window,
                looks_back,
            }
        }));
    }
    metrics
}

/// How wide the windows of an N-of-M rule are, and how far the queries look
/// back: windows are as wide as that unless the file says more. Narrower ones
/// would hold the same samples twice.
fn read_window(metric: &file::Metric, problems: &mut Collector<'_>) -> (Duration, Duration) {
    let queries = [
        Some(&metric.canary),
        metric.stable.as_ref(),
        metric.traffic.as_ref(),
    ];
    let widest = queries
        .into_iter()
        .flatten()
        .map(|query| (queries::look_back(query.get_ref()), query.span()))
        .max_by_key(|(back, _)| *back);
    let back = widest.as_ref().map(|(back, _)| *back).unwrap_or_default();
    if let (Some(window), Some((_, span))) = (metric.window, widest)
        && window < back
    {
        problems.at(
            &span,
            format!(
                "windows of {} would overlap: this query looks back {}",
                humantime::format_duration(window),
                humantime::format_duration(back)
            ),
        );
    }
    let usual = if back.is_zero() { WINDOW } else { back };
    (metric.window.unwrap_or(usual).max(back), back)
}
