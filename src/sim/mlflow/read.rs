//! The endpoints that look.

use serde_json::{Value, json};

use crate::sim::{
    http::Reply,
    mlflow::{
        api::Args,
        problem::{invalid, missing, required},
        search::{Answer, experiments, list, logged_models, models, paged, runs, versions},
        shape,
        store::{Model, Registry, Run, Version},
    },
};

/// Answers a call that changes nothing.
pub(crate) fn answer(registry: &Registry, path: &str, args: &Args) -> Answer {
    match path {
        "experiments/search" => experiments(registry, args),
        "experiments/get" => {
            let id = args.needed("experiment_id")?;
            let found = registry
                .experiments
                .iter()
                .find(|experiment| experiment.id == id);
            found
                .map(|found| json!({"experiment": shape::experiment(found)}))
                .ok_or_else(|| missing(format!("No Experiment with id={id} exists")))
        }
        "experiments/get-by-name" => {
            let name = args.needed("experiment_name")?;
            let found = registry
                .experiments
                .iter()
                .find(|experiment| experiment.name == name);
            found
                .map(|found| json!({"experiment": shape::experiment(found)}))
                .ok_or_else(|| missing(format!("Could not find experiment with name '{name}'")))
        }
        "experiments/search-datasets" => Ok(dataset_summaries(registry, args)?),
        "runs/get" => Ok(json!({"run": shape::run(run_of(registry, args)?)})),
        "runs/search" => runs(registry, args),
        "metrics/get-history" => history(registry, args),
        "registered-models/get" => {
            Ok(json!({"registered_model": shape::model(model_of(registry, args)?)}))
        }
        "registered-models/search" => models(registry, args),
        "registered-models/get-latest-versions" => {
            let model = model_of(registry, args)?;
            let newest = model
                .versions
                .last()
                .map(|newest| shape::version(model, newest, false));
            Ok(list("model_versions", newest.into_iter().collect(), None))
        }
        "registered-models/alias" => alias(registry, args),
        "model-versions/get" => {
            let (model, version) = version_of(registry, args)?;
            Ok(json!({"model_version": shape::version(model, version, true)}))
        }
        "model-versions/get-download-uri" => {
            let (_, version) = version_of(registry, args)?;
            Ok(json!({"artifact_uri": artifact_uri(registry, version)}))
        }
        "model-versions/search" => versions(registry, args),
        "logged-models/search" => logged_models(registry, args),
        "artifacts/list" => artifacts(registry, args),
        other => logged_model(registry, other),
    }
}

fn dataset_summaries(registry: &Registry, args: &Args) -> Answer {
    let wanted = args.texts("experiment_ids")?;
    let mut summaries: Vec<Value> = Vec::new();
    for run in registry
        .runs
        .iter()
        .filter(|run| wanted.contains(&run.experiment))
    {
        for dataset in &run.datasets {
            let summary = json!({"experiment_id": run.experiment, "name": dataset.name,
                                 "digest": dataset.digest, "context": dataset.context});
            if !summaries.contains(&summary) {
                summaries.push(summary);
            }
        }
    }
    Ok(list("dataset_summaries", summaries, None))
}

fn run_of<'a>(registry: &'a Registry, args: &Args) -> Result<&'a Run, Reply> {
    let id = match args.text("run_id")? {
        Some(id) => id,
        None => args.text("run_uuid")?.ok_or_else(|| required("run_id"))?,
    };
    registry
        .run(&id)
        .ok_or_else(|| missing(format!("Run with id={id} not found")))
}

fn model_of<'a>(registry: &'a Registry, args: &Args) -> Result<&'a Model, Reply> {
    let name = args.needed("name")?;
    registry
        .model(&name)
        .ok_or_else(|| missing(format!("Registered Model with name={name} not found")))
}

/// The version that `name` and `version` name.
pub(crate) fn version_of<'a>(
    registry: &'a Registry,
    args: &Args,
) -> Result<(&'a Model, &'a Version), Reply> {
    let name = args.needed("name")?;
    let text = args.needed("version")?;
    let number: u32 = text.parse().map_err(|_| {
        invalid(format!(
            "Parameter 'version' must be an integer, got '{text}'."
        ))
    })?;
    let absent = || {
        missing(format!(
            "Model Version (name={name}, version={number}) not found"
        ))
    };
    let model = registry.model(&name).ok_or_else(absent)?;
    model
        .version(number)
        .map(|version| (model, version))
        .ok_or_else(absent)
}

fn alias(registry: &Registry, args: &Args) -> Answer {
    let model = model_of(registry, args)?;
    let alias = args.needed("alias")?;
    // `latest` is not stored: it is whatever is highest.
    if alias == "latest" {
        let newest = model.versions.iter().max_by_key(|version| version.number);
        if let Some(newest) = newest {
            return Ok(json!({"model_version": shape::version(model, newest, true)}));
        }
    }
    model
        .aliases
        .get(&alias)
        .and_then(|number| model.version(*number))
        .map(|version| json!({"model_version": shape::version(model, version, true)}))
        .ok_or_else(|| invalid(format!("Registered model alias {alias} not found.")))
}

fn history(registry: &Registry, args: &Args) -> Answer {
    let run = run_of(registry, args)?;
    let key = args.needed("metric_key")?;
    let shapes: Vec<Value> = run
        .metrics
        .iter()
        .filter(|metric| metric.key == key)
        .map(shape::metric)
        .collect();
    let most = args.count("max_results", 25_000)?;
    paged(
        "metrics",
        shapes,
        args,
        if most == 0 { 25_000 } else { most },
    )
}

fn logged_model(registry: &Registry, path: &str) -> Answer {
    let rest = path.strip_prefix("logged-models/").unwrap_or(path);
    let (id, tail) = rest.split_once('/').unwrap_or((rest, ""));
    let run = registry
        .runs
        .iter()
        .find(|run| run.logged_model.as_deref() == Some(id));
    let Some((run, shape)) = run.and_then(|run| Some((run, shape::logged_model(registry, run)?)))
    else {
        return Err(missing(format!("Logged model with ID '{id}' not found.")));
    };
    if tail.is_empty() {
        return Ok(json!({"model": shape}));
    }
    let root = format!("mlflow-artifacts:/{}/models/{id}/artifacts", run.experiment);
    let file = |path: &str, size: u64| json!({"path": path, "is_dir": false, "file_size": size});
    Ok(json!({
        "root_uri": root,
        "files": [file("MLmodel", 3062), file("conda.yaml", 206), file("model.skops", 1_204_709),
                  file("python_env.yaml", 114), file("requirements.txt", 89)],
    }))
}

fn artifacts(registry: &Registry, args: &Args) -> Answer {
    let run = run_of(registry, args)?;
    let root = format!("mlflow-artifacts:/{}/{}/artifacts", run.experiment, run.id);
    match args.text("path")?.as_deref() {
        None | Some("" | ".") => {
            Ok(json!({"root_uri": root, "files": [{"path": "reports", "is_dir": true}]}))
        }
        Some(path) if path.split('/').any(|part| part == "..") => Err(invalid("Invalid path")),
        Some("reports") => Ok(json!({
            "root_uri": root,
            "files": [{"path": "reports/metrics.json", "is_dir": false, "file_size": 1812},
                      {"path": "reports/model_card.md", "is_dir": false, "file_size": 2944}],
        })),
        Some(_) => Ok(json!({"root_uri": root})),
    }
}

fn artifact_uri(registry: &Registry, version: &Version) -> String {
    let logged = version.source.strip_prefix("models:/");
    let run = registry.run(&version.run);
    logged.zip(run).map_or_else(
        || version.source.clone(),
        |(logged, run)| {
            format!(
                "mlflow-artifacts:/{}/models/{logged}/artifacts",
                run.experiment
            )
        },
    )
}
