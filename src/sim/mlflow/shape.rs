//! The JSON of MLflow's objects.
//!
//! Protobuf's JSON leaves empty fields out: no `tags` without tags, no
//! `end_time` of a run that still runs. Stamps are numbers in milliseconds,
//! version numbers are strings.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::sim::mlflow::store::{Experiment, Metric, Model, Registry, Run, Version};

/// A version; its aliases only where a real server gives them.
pub(crate) fn version(model: &Model, version: &Version, with_aliases: bool) -> Value {
    let mut shape = object(json!({
        "name": model.name,
        "version": version.number.to_string(),
        "creation_timestamp": version.created,
        "last_updated_timestamp": version.updated,
        "current_stage": "None",
        "description": version.description,
        "source": version.source,
        "run_id": version.run,
        "status": "READY",
    }));
    put_pairs(&mut shape, "tags", &version.tags);
    shape.insert("run_link".into(), json!(""));
    let aliases = model.aliases_of(version.number);
    if with_aliases && !aliases.is_empty() {
        shape.insert("aliases".into(), json!(aliases));
    }
    Value::Object(shape)
}

/// A registered model.
pub(crate) fn model(found: &Model) -> Value {
    let mut shape = object(json!({
        "name": found.name,
        "creation_timestamp": found.created,
        "last_updated_timestamp": found.updated,
    }));
    if !found.description.is_empty() {
        shape.insert("description".into(), json!(found.description));
    }
    if let Some(newest) = found.versions.last() {
        shape.insert(
            "latest_versions".into(),
            json!([version(found, newest, false)]),
        );
    }
    put_pairs(&mut shape, "tags", &found.tags);
    if !found.aliases.is_empty() {
        let aliases: Vec<Value> = found
            .aliases
            .iter()
            .map(|(alias, version)| json!({"alias": alias, "version": version.to_string()}))
            .collect();
        shape.insert("aliases".into(), json!(aliases));
    }
    Value::Object(shape)
}

/// An experiment.
pub(crate) fn experiment(found: &Experiment) -> Value {
    json!({
        "experiment_id": found.id,
        "name": found.name,
        "artifact_location": format!("mlflow-artifacts:/{}", found.id),
        "lifecycle_stage": "active",
        "last_update_time": found.created,
        "creation_time": found.created,
        "workspace": "default",
    })
}

/// What identifies a run.
pub(crate) fn run_info(run: &Run) -> Value {
    let mut shape = object(json!({
        "run_uuid": run.id,
        "experiment_id": run.experiment,
        "run_name": run.name,
        "user_id": run.user,
        "status": run.status,
        "start_time": run.start,
    }));
    if let Some(end) = run.end {
        shape.insert("end_time".into(), json!(end));
    }
    let artifacts = format!("mlflow-artifacts:/{}/{}/artifacts", run.experiment, run.id);
    shape.insert("artifact_uri".into(), json!(artifacts));
    shape.insert("lifecycle_stage".into(), json!("active"));
    shape.insert("run_id".into(), json!(run.id));
    Value::Object(shape)
}

/// A run with its data.
pub(crate) fn run(run: &Run) -> Value {
    let mut data = Map::new();
    // Of a curve only the newest point.
    let newest = |(place, logged): &(usize, &Metric)| {
        !run.metrics
            .iter()
            .skip(place + 1)
            .any(|later| later.key == logged.key)
    };
    let metrics: Vec<Value> = run
        .metrics
        .iter()
        .enumerate()
        .filter(newest)
        .map(|(_, logged)| metric(logged))
        .collect();
    if !metrics.is_empty() {
        data.insert("metrics".into(), json!(metrics));
    }
    put_pairs(&mut data, "params", &run.params);
    put_pairs(&mut data, "tags", &run.tags);
    let mut inputs = Map::new();
    if !run.datasets.is_empty() {
        inputs.insert("dataset_inputs".into(), datasets(run));
    }
    let mut outputs = Map::new();
    if let Some(logged) = &run.logged_model {
        outputs.insert(
            "model_outputs".into(),
            json!([{"model_id": logged, "step": 0}]),
        );
    }
    json!({"info": run_info(run), "data": data, "inputs": inputs, "outputs": outputs})
}

fn datasets(run: &Run) -> Value {
    let shape = |dataset: &crate::sim::cause::Dataset| {
        let mut tags = pairs(&dataset.tags);
        tags.push(json!({"key": "mlflow.data.context", "value": dataset.context}));
        json!({
            "tags": tags,
            "dataset": {
                "name": dataset.name,
                "digest": dataset.digest,
                "source_type": "http",
                "source": json!({"url": format!("s3://acme-data/{}", dataset.name)}).to_string(),
                "schema": json!({"mlflow_colspec": []}).to_string(),
                "profile": json!({"num_rows": dataset.rows}).to_string(),
            },
        })
    };
    Value::Array(run.datasets.iter().map(shape).collect())
}

/// One logged value. NaN is a string, infinities are the largest finite numbers.
pub(crate) fn metric(metric: &Metric) -> Value {
    let value = if metric.value.is_nan() {
        json!("NaN")
    } else {
        json!(metric.value.clamp(f64::MIN, f64::MAX))
    };
    json!({"key": metric.key, "value": value, "timestamp": metric.at, "step": metric.step})
}

/// A logged model, as the newer part of the API gives it.
pub(crate) fn logged_model(registry: &Registry, run: &Run) -> Option<Value> {
    let id = run.logged_model.as_ref()?;
    let evaluated = run
        .datasets
        .iter()
        .find(|dataset| dataset.context == "eval");
    let metrics: Vec<Value> = run
        .metrics
        .iter()
        .map(|logged| {
            let mut shape = object(metric(logged));
            if let Some(dataset) = evaluated {
                shape.insert("dataset_name".into(), json!(dataset.name));
                shape.insert("dataset_digest".into(), json!(dataset.digest));
            }
            shape.insert("model_id".into(), json!(id));
            shape.insert("run_id".into(), json!(run.id));
            Value::Object(shape)
        })
        .collect();
    let mut tags: BTreeMap<String, String> = run
        .tags
        .iter()
        .filter(|(key, _)| key.starts_with("mlflow.source.") || *key == "mlflow.user")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some((model, version)) = registry.version_of_logged(id) {
        let registered = json!([{"name": model.name, "version": version.number}]);
        tags.insert("mlflow.modelVersions".to_owned(), registered.to_string());
    }
    let mut data = Map::new();
    put_pairs(&mut data, "params", &run.params);
    if !metrics.is_empty() {
        data.insert("metrics".into(), json!(metrics));
    }
    let uri = format!("mlflow-artifacts:/{}/models/{id}/artifacts", run.experiment);
    Some(json!({
        "info": {
            "model_id": id,
            "experiment_id": run.experiment,
            "name": "model",
            "creation_timestamp_ms": run.end.unwrap_or(run.start),
            "last_updated_timestamp_ms": run.end.unwrap_or(run.start),
            "artifact_uri": uri,
            "status": "LOGGED_MODEL_READY",
            "model_type": "",
            "source_run_id": run.id,
            "tags": pairs(&tags),
        },
        "data": data,
    }))
}

fn pairs(pairs: &BTreeMap<String, String>) -> Vec<Value> {
    pairs
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect()
}

fn put_pairs(shape: &mut Map<String, Value>, name: &str, from: &BTreeMap<String, String>) {
    if !from.is_empty() {
        shape.insert(name.to_owned(), Value::Array(pairs(from)));
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
