//! From sections as written to what they mean: names looked up, backends built.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
    sync::Arc,
};

use toml::{Spanned, de::ValueDeserializer};

use crate::{
    backend::{Backend, Setup},
    config::{
        Surroundings, Theme, Ui, env,
        explain::mode_name,
        policy::{self, Drafted},
        problem::Collector,
        read::Digests,
        service::{self, Names},
        written::{Section, Waiting, Written},
    },
    domain::{
        catalog::{Catalog, EnvironmentSpec, MetricSpec, ServiceSpec},
        id::{BackendId, EnvironmentName, PolicyName, ServiceName},
        measure::MetricId,
        policy::{BaselineSource, GateRule, GateSource},
        text::Clean,
    },
    engine::clear::Mode,
};

/// What is let through at most.
pub(super) fn mode(written: &Written, problems: &mut Collector<'_>) -> Mode {
    let Some(written) = &written.mode else {
        return Mode::ReadWrite;
    };
    // BRAKE is no setting: critical environments start with it.
    let modes = [Mode::ReadOnly, Mode::ReadWrite];
    let found = modes
        .into_iter()
        .find(|mode| mode_name(*mode) == written.get_ref());
    found.unwrap_or_else(|| {
        problems.unknown(
            &written.span(),
            "mode",
            written.get_ref(),
            modes.map(mode_name),
        );
        Mode::ReadOnly
    })
}

/// Keys that an environment variable decided, with its name.
pub(super) type ByVariable = Vec<(&'static str, &'static str)>;

/// How the cockpit looks. What the file says wins over the environment, as
/// <https://no-color.org> asks.
pub(super) fn looks(
    written: &Written,
    surroundings: &Surroundings,
    problems: &mut Collector<'_>,
) -> (Ui, ByVariable) {
    let mut ui = Ui::default();
    let mut by_variable = Vec::new();
    if let Some(written) = &written.ui.theme {
        match Theme::ALL
            .into_iter()
            .find(|theme| theme.name() == written.get_ref())
        {
            Some(theme) => ui.theme = theme,
            None => {
                let known = Theme::ALL.map(Theme::name);
                problems.unknown(&written.span(), "theme", written.get_ref(), known);
            }
        }
    } else if env::no_color(&surroundings.env) {
        ui.theme = Theme::Mono;
        by_variable.push(("ui.theme", "NO_COLOR"));
    }
    if let Some(ascii) = written.ui.ascii {
        ui.ascii = ascii;
    } else if !env::is_utf8(&surroundings.env) {
        ui.ascii = true;
        by_variable.push(("ui.ascii", "LANG"));
    }
    (ui, by_variable)
}

/// Environments, services and policies, their names looked up.
pub(super) fn catalog(
    written: &Written,
    digests: &Digests,
    problems: &mut Collector<'_>,
) -> Catalog {
    let environments: BTreeMap<EnvironmentName, EnvironmentSpec> = written
        .environments
        .iter()
        .map(|section| {
            let spec =
                service::read_environment(&section.content, &written.known_backends, problems);
            (EnvironmentName::new(&section.name), spec)
        })
        .collect();
    let names = Names {
        backends: &written.known_backends,
        environments: &environments,
        known_environments: &written.known_environments,
        policies: &written.known_policies,
    };
    let services: BTreeMap<ServiceName, ServiceSpec> = written
        .services
        .iter()
        .map(|section| {
            let spec = service::read_service(&section.name, &section.content, &names, problems);
            (spec.name.clone(), spec)
        })
        .collect();
    check_shared_targets(written, &services, problems);
    let policies = written
        .policies
        .iter()
        .map(|section| {
            let digest = digests
                .policies
                .get(&section.name)
                .cloned()
                .unwrap_or_default();
            let mut drafted = policy::draft(&section.name, &section.content, digest, problems);
            let users = users(&services, &drafted.policy.name);
            adopt_units(&mut drafted, &users);
            for service in &users {
                check_gates(&drafted, service, problems);
            }
            let critical = users
                .iter()
                .flat_map(|service| &service.places)
                .filter_map(|place| environments.get(&place.environment))
                .any(|environment| environment.critical);
            (
                PolicyName::new(&section.name),
                policy::settle(drafted, critical),
            )
        })
        .collect();
    Catalog {
        digest: digests.all.clone(),
        services,
        environments,
        policies,
        backends: BTreeMap::new(),
    }
}

fn users<'a>(
    services: &'a BTreeMap<ServiceName, ServiceSpec>,
    policy: &PolicyName,
) -> Vec<&'a ServiceSpec> {
    services
        .values()
        .filter(|service| service.policy == *policy)
        .collect()
}

/// One rollout has one owner.
fn check_shared_targets(
    written: &Written,
    services: &BTreeMap<ServiceName, ServiceSpec>,
    problems: &mut Collector<'_>,
) {
    let mut owners = BTreeMap::new();
    for section in &written.services {
        let name = ServiceName::new(&section.name);
        let places = services
            .get(&name)
            .map_or(&[][..], |service| &service.places);
        for place in places {
            if let Some(owner) = owners.insert(&place.target, name.clone()) {
                let target = &place.target;
                let message =
                    format!("rollout {target} belongs to service `{owner}` and to `{name}`");
                problems.at(&section.span, message);
            }
        }
    }
}

/// What a gate reads has to exist on every service that uses its policy.
fn check_gates(drafted: &Drafted, service: &ServiceSpec, problems: &mut Collector<'_>) {
    for (metric, span) in &drafted.metrics {
        let known: BTreeSet<&str> = service
            .metrics
            .iter()
            .map(|spec| spec.id.metric.as_str())
            .collect();
        if !known.contains(metric.as_str()) {
            let what = format!("metric of service `{}`", service.name);
            problems.unknown(span, &what, metric.as_str(), known);
        }
    }
    for gate in &drafted.policy.gates {
        let Some(span) = drafted.spans.get(&gate.id) else {
            continue;
        };
        if let GateSource::Metric(metric) = &gate.source {
            let specs = &service.metrics;
            if let Some(spec) = specs.iter().find(|spec| spec.id.metric == *metric) {
                check_numbers(gate, spec, span, problems);
            }
        }
        if needs_model(gate) && service.model.is_none() {
            lacks(gate, "model", service, span, problems);
        }
        if matches!(gate.source, GateSource::Pipeline(_)) && service.run.is_none() {
            lacks(gate, "run", service, span, problems);
        }
    }
}

/// A gate that names no unit is in that of its metric.
fn adopt_units(drafted: &mut Drafted, users: &[&ServiceSpec]) {
    for gate in &mut drafted.policy.gates {
        let GateSource::Metric(metric) = &gate.source else {
            continue;
        };
        let mut specs = users.iter().flat_map(|service| &service.metrics);
        if gate.unit.is_empty()
            && let Some(spec) = specs.find(|spec| spec.id.metric == *metric)
        {
            gate.unit = spec.unit.clone();
        }
    }
}

/// Limits and values are in one unit, a latency has one, and what guards a
/// number can be asked for.
fn check_numbers(
    gate: &GateRule,
    spec: &MetricSpec,
    span: &Range<usize>,
    problems: &mut Collector<'_>,
) {
    let MetricId {
        service, metric, ..
    } = &spec.id;
    let unit = |unit: &Clean| match unit.as_str() {
        "" => "no unit".to_owned(),
        named => format!("`{named}`"),
    };
    if gate.unit != spec.unit {
        let message = format!(
            "gate `{}` is in {}, and metric `{metric}` of service `{service}` in {}",
            gate.id,
            unit(&gate.unit),
            unit(&spec.unit)
        );
        problems.at_with(span, message, "write the limits in the metric's own unit");
    } else if gate.class == LATENCY && spec.unit.is_empty() {
        let message = format!(
            "gate `{}` is about latency, and metric `{metric}` of service `{service}` has no unit",
            gate.id
        );
        problems.at_with(span, message, "write `unit = \"ms\"` beside its queries");
    }
    if gate.min_traffic.is_some() && spec.traffic.is_none() {
        let message = format!(
            "gate `{}` asks for traffic, and metric `{metric}` of service `{service}` has no \
             `traffic` query",
            gate.id
        );
        problems.at_with(span, message, "write the query that counts its requests");
    }
}

fn needs_model(gate: &GateRule) -> bool {
    let compares = gate
        .versus
        .as_ref()
        .is_some_and(|versus| matches!(versus.baseline, BaselineSource::Alias(_)));
    compares || matches!(gate.source, GateSource::ModelMetric(_))
}

fn lacks(
    gate: &GateRule,
    what: &str,
    service: &ServiceSpec,
    span: &Range<usize>,
    problems: &mut Collector<'_>,
) {
    let message = format!(
        "gate `{}` needs a {what}, and service `{}` has none",
        gate.id, service.name
    );
    problems.at(span, message);
}

/// The class of gates about latency: never without a unit.
const LATENCY: char = 'L';

/// Builds every backend from the rest of its section.
pub(super) fn backends(
    waiting: Vec<Section<Waiting<'_>>>,
    catalog: &Catalog,
    base: &Path,
    surroundings: &Surroundings,
    problems: &mut Collector<'_>,
) -> Vec<Backend> {
    let setup = Setup {
        catalog: Arc::new(catalog.clone()),
        now: surroundings.now.clone(),
        base: base.to_owned(),
        env: surroundings.env.clone(),
    };
    let mut built = Vec::new();
    for section in waiting {
        let id = BackendId::new(&section.name);
        let Waiting {
            factory,
            section: rest,
        } = section.content;
        match factory.build(id, ValueDeserializer::from(rest), &setup) {
            Ok(backend) => built.push(backend),
            Err(error) => problems.toml(&error, &section.span),
        }
    }
    built
}

/// A run belongs to a backend that runs pipelines, and so on.
pub(super) fn check_families(
    written: &Written,
    backends: &[Backend],
    problems: &mut Collector<'_>,
) {
    let mut check = |named: &Spanned<String>, has: fn(&Backend) -> bool, what: &str| {
        let backend = backends
            .iter()
            .find(|backend| backend.id.as_str() == named.get_ref());
        if let Some(backend) = backend.filter(|backend| !has(backend)) {
            let message = format!("backend `{}` ({}) has no {what}", backend.id, backend.kind);
            problems.at(&named.span(), message);
        }
    };
    for section in &written.environments {
        check(
            &section.content.backend,
            |it| it.controls.rollout.is_some(),
            "rollouts",
        );
    }
    for section in &written.services {
        if let Some(run) = &section.content.run {
            check(&run.backend, |it| it.controls.run.is_some(), "pipelines");
        }
        if let Some(model) = &section.content.model {
            check(
                &model.backend,
                |it| it.controls.model.is_some(),
                "registered models",
            );
        }
    }
}
