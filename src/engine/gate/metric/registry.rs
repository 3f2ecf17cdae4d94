//! Numbers of the training run behind the candidate's model version, and of the
//! one it is compared with.

use crate::{
    domain::{
        id::Version,
        model::{ModelRun, ModelRunStatus},
        observation::Scope,
        policy::{BaselineSource, Binding, GateRule, Versus},
        text::Clean,
    },
    engine::{
        gate::{
            View,
            front::{BaselineEvidence, Evidence, Gathered, Producer, Value, run_producer},
        },
        release::Link,
        standing::Asks,
    },
};

/// The model, the runs behind the versions that are compared, and where no
/// version is linked, who would have named its commit.
pub(super) fn asks_of_registry(rule: &GateRule, view: &View<'_>) -> Asks {
    let Some(spec) = &view.service.model else {
        return Asks::default();
    };
    let mut asks = Asks {
        first: vec![Scope::model(&spec.model)],
        ..Asks::default()
    };
    let Some(version) = view.release.version.value() else {
        asks.more.extend(view.service.run.iter().map(Scope::runs));
        return asks;
    };
    let compared = rule.versus.as_ref().and_then(|versus| {
        let BaselineSource::Alias(alias) = &versus.baseline else {
            return None;
        };
        let model = view.world.models.get(&spec.model)?;
        model.aliases.get(alias).copied()
    });
    let runs = compared.into_iter().chain([*version]);
    asks.more
        .extend(runs.map(|version| Scope::model_run(&spec.model, version)));
    asks
}

pub(super) fn from_registry(rule: &GateRule, metric: &Clean, view: &View<'_>) -> Gathered {
    let Some(spec) = &view.service.model else {
        return Gathered::Broken {
            why: "the service has no model configured".into(),
            backend: None,
        };
    };
    let backend = Some(spec.model.backend.clone());
    let version = match &view.release.version {
        Link::Found { value, .. } => *value,
        Link::Ambiguous { rivals, .. } => {
            let names: Vec<String> = rivals.iter().map(Version::to_string).collect();
            return Gathered::Broken {
                why: Clean::from(format!(
                    "which model version is ambiguous: {}",
                    names.join(", ")
                )),
                backend,
            };
        }
        Link::Unlinked => {
            return Gathered::Nothing {
                why: "no model version is linked to this release".into(),
                producer: run_producer(view),
                backend,
            };
        }
    };
    let champion = view
        .world
        .models
        .get(&spec.model)
        .and_then(|model| model.aliases.get(&spec.champion))
        .copied();
    if champion == Some(version) && rule.versus.is_some() && !rule.fail.is_set() {
        return Gathered::NotAsked("the candidate is the champion".into());
    }
    let Some(run) = view.world.model_runs.get(&(spec.model.clone(), version)) else {
        return Gathered::Nothing {
            why: Clean::from(format!("{version} has no training run")),
            producer: run_producer(view),
            backend,
        };
    };
    match &run.status {
        ModelRunStatus::Finished => {}
        ModelRunStatus::Running => {
            return Gathered::Nothing {
                why: "the training run is at work".into(),
                producer: Producer::AtWork,
                backend,
            };
        }
        ModelRunStatus::Failed => {
            return Gathered::Broken {
                why: "the training run failed".into(),
                backend,
            };
        }
        ModelRunStatus::Killed => {
            return Gathered::Broken {
                why: "the training run was killed".into(),
                backend,
            };
        }
        ModelRunStatus::Unknown(word) => {
            return Gathered::Broken {
                why: Clean::from(format!("the training run is `{word}`")),
                backend,
            };
        }
    }
    let Some(value) = run.metrics.get(metric) else {
        return Gathered::Nothing {
            why: Clean::from(format!("{version} has no metric `{metric}`")),
            producer: run_producer(view),
            backend,
        };
    };
    if !value.is_finite() {
        return Gathered::Broken {
            why: Clean::from(format!("value is {value}")),
            backend,
        };
    }
    let mut about = vec![(Binding::ModelVersion, Clean::from(version.to_string()))];
    let commit = ["git_sha", "git_commit", "mlflow.source.git.commit"]
        .iter()
        .find_map(|tag| run.tags.get(*tag));
    about.extend(commit.map(|commit| (Binding::Commit, commit.clone())));
    let evidence = Evidence {
        value: Value::Number {
            value: *value,
            over: None,
            windows: None,
        },
        baseline: rule
            .versus
            .as_ref()
            .map(|versus| registry_baseline(versus, metric, view, version, champion, run)),
        about,
        made_at: run.metric_times.get(metric).copied().or(run.ended_at),
        fetched_at: run.at,
        default_max_age: None,
        changes_at: None,
        samples: None,
        covered: None,
        producer: Producer::Ended,
        backend: spec.model.backend.clone(),
        url: None,
    };
    Gathered::Found(Box::new(evidence))
}

fn registry_baseline(
    versus: &Versus,
    metric: &Clean,
    view: &View<'_>,
    version: Version,
    champion: Option<Version>,
    run: &ModelRun,
) -> BaselineEvidence {
    let Some(spec) = &view.service.model else {
        return BaselineEvidence::None("no model configured".into());
    };
    let (name, base) = match &versus.baseline {
        BaselineSource::Alias(alias) if *alias == spec.champion => (alias, champion),
        BaselineSource::Alias(alias) => (
            alias,
            view.world
                .models
                .get(&spec.model)
                .and_then(|model| model.aliases.get(alias))
                .copied(),
        ),
        BaselineSource::Stable => {
            return BaselineEvidence::None("a registry metric is compared with an alias".into());
        }
    };
    let Some(base) = base else {
        return BaselineEvidence::None(Clean::from(format!("no version has alias `{name}`")));
    };
    if base == version {
        return BaselineEvidence::Itself("the candidate is the champion".into());
    }
    let Some(base_run) = view.world.model_runs.get(&(spec.model.clone(), base)) else {
        return BaselineEvidence::None(Clean::from(format!("{name} {base} has no training run")));
    };
    let Some(value) = base_run.metrics.get(metric) else {
        return BaselineEvidence::None(Clean::from(format!(
            "{name} {base} has no metric `{metric}`"
        )));
    };
    BaselineEvidence::Value {
        name: Clean::from(format!("{name} {base}")),
        value: *value,
        same_data: same_data(run, base_run),
    }
}

/// Whether two runs were scored on the same data, by the fingerprints of what
/// they were scored on; `None` when one does not say.
fn same_data(a: &ModelRun, b: &ModelRun) -> Option<bool> {
    let scored = |run: &ModelRun| -> Vec<Clean> {
        let mut digests: Vec<Clean> = run
            .datasets
            .iter()
            .filter(|dataset| {
                dataset
                    .context
                    .as_deref()
                    .is_some_and(|context| context != "training")
            })
            .map(|dataset| dataset.digest.clone())
            .collect();
        digests.sort();
        digests
    };
    let (a, b) = (scored(a), scored(b));
    (!a.is_empty() && !b.is_empty()).then(|| a == b)
}
