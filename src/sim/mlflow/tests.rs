//! The registry of the demo against answers captured from a real MLflow.
//!
//! The registry is filled from the captured objects, then every captured
//! request is asked again, in the order of the capture.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use chrono::DateTime;
use serde_json::{Value, json};

use crate::sim::{
    cause::{Dataset, Training},
    http::{Reply, Request, Site},
    mlflow::{
        api::MlFlow,
        store::{Account, Experiment, Metric, Model, Provenance, Registry, Run, Version},
    },
};

fn captured() -> Vec<Value> {
    let file: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/mlflow/captured.json")).unwrap();
    file["answers"].as_array().unwrap().clone()
}

fn body_of<'a>(captured: &'a [Value], file: &str) -> &'a Value {
    &captured
        .iter()
        .find(|answer| answer["file"] == file)
        .unwrap()["body"]
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn pairs(value: &Value) -> BTreeMap<String, String> {
    let pair = |pair: &Value| (text(&pair["key"]), text(&pair["value"]));
    value.as_array().into_iter().flatten().map(pair).collect()
}

fn metrics(value: &Value) -> Vec<Metric> {
    let metric = |metric: &Value| Metric {
        key: text(&metric["key"]),
        value: metric["value"].as_f64().unwrap_or(f64::NAN),
        at: metric["timestamp"].as_i64().unwrap(),
        step: metric["step"].as_i64().unwrap(),
    };
    value.as_array().into_iter().flatten().map(metric).collect()
}

fn run(value: &Value) -> Run {
    let info = &value["info"];
    let status = ["RUNNING", "FINISHED", "FAILED"]
        .into_iter()
        .find(|status| info["status"] == *status)
        .unwrap();
    let dataset = |input: &Value| {
        let mut tags = pairs(&input["tags"]);
        Dataset {
            name: text(&input["dataset"]["name"]),
            digest: text(&input["dataset"]["digest"]),
            context: tags.remove("mlflow.data.context").unwrap_or_default(),
            rows: 398,
            tags,
        }
    };
    let inputs = value["inputs"]["dataset_inputs"].as_array();
    Run {
        id: text(&info["run_id"]),
        experiment: text(&info["experiment_id"]),
        name: text(&info["run_name"]),
        user: text(&info["user_id"]),
        status,
        start: info["start_time"].as_i64().unwrap(),
        end: info["end_time"].as_i64(),
        metrics: metrics(&value["data"]["metrics"]),
        params: pairs(&value["data"]["params"]),
        tags: pairs(&value["data"]["tags"]),
        datasets: inputs.into_iter().flatten().map(dataset).collect(),
        logged_model: value["outputs"]["model_outputs"][0]["model_id"]
            .as_str()
            .map(str::to_owned),
    }
}

fn filled(captured: &[Value]) -> Registry {
    let experiment = |value: &Value| Experiment {
        id: text(&value["experiment_id"]),
        name: text(&value["name"]),
        created: value["creation_time"].as_i64().unwrap(),
    };
    let mut experiments: Vec<Experiment> =
        body_of(captured, "experiments_search.json")["experiments"]
            .as_array()
            .unwrap()
            .iter()
            .map(experiment)
            .collect();
    experiments.reverse();
    let mut runs: Vec<Run> = body_of(captured, "runs_search.json")["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(run)
        .collect();
    runs.reverse();
    let curve = metrics(&body_of(captured, "metrics_get_history.json")["metrics"]);
    for run in runs
        .iter_mut()
        .filter(|run| run.id == "f2ca71401e8f49ddb307f59e2da67259")
    {
        run.metrics
            .retain(|metric| metric.key != "val_accuracy_curve");
        run.metrics.extend(curve.clone());
    }
    let version = |value: &Value| Version {
        number: text(&value["version"]).parse().unwrap(),
        created: value["creation_timestamp"].as_i64().unwrap(),
        updated: value["last_updated_timestamp"].as_i64().unwrap(),
        description: text(&value["description"]),
        source: text(&value["source"]),
        run: text(&value["run_id"]),
        tags: pairs(&value["tags"]),
    };
    let mut versions: Vec<Version> =
        body_of(captured, "model_versions_search.json")["model_versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(version)
            .collect();
    versions.reverse();
    let model = &body_of(captured, "registered_models_get.json")["registered_model"];
    let aliases = model["aliases"].as_array().unwrap();
    Registry {
        accounts: ["oncall", "reader"]
            .into_iter()
            .map(|login| Account {
                login: login.to_owned(),
                token: format!("token-{login}"),
                may_write: login == "oncall",
            })
            .collect(),
        experiments,
        runs,
        models: vec![Model {
            name: text(&model["name"]),
            description: text(&model["description"]),
            experiment: "breast-cancer-screening".to_owned(),
            created: model["creation_timestamp"].as_i64().unwrap(),
            updated: model["last_updated_timestamp"].as_i64().unwrap(),
            tags: pairs(&model["tags"]),
            aliases: aliases
                .iter()
                .map(|alias| {
                    (
                        text(&alias["alias"]),
                        text(&alias["version"]).parse().unwrap(),
                    )
                })
                .collect(),
            versions,
        }],
        acts: Vec::new(),
    }
}

fn ask(site: &MlFlow, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        map.insert(name, HeaderValue::from_str(value).unwrap());
    }
    let method: Method = method.parse().unwrap();
    let now = DateTime::from_timestamp_millis(1_795_402_100_000).unwrap();
    site.answer(&Request::new(
        method,
        target,
        map,
        body.to_owned().into(),
        now,
    ))
}

const ONCALL: [(&str, &str); 2] = [
    ("host", "127.0.0.1:5000"),
    ("authorization", "Bearer token-oncall"),
];

/// Lists of tags and params in order of their keys; they have none on the wire.
fn ordered(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(ordered).collect();
            if items.iter().all(|item| item["key"].is_string()) {
                items.sort_by_key(|item| (text(&item["key"]), item["step"].as_i64()));
            }
            Value::Array(items)
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), ordered(value)))
            .collect(),
        other => other.clone(),
    }
}

/// Keys and types without values.
fn form(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), form(value)))
            .collect(),
        Value::Array(items) => {
            let mut forms: Vec<Value> = items.iter().map(form).collect();
            forms.sort_by_key(ToString::to_string);
            forms.dedup();
            Value::Array(forms)
        }
        Value::String(_) => "text".into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "bool".into(),
        Value::Null => Value::Null,
    }
}

/// Answers whose values are made up here: where a dataset lies, what an
/// artifact holds, which metrics of a logged model belong to a dataset.
const BY_FORM: [&str; 8] = [
    "runs_search.json",
    "runs_get.json",
    "logged_models_search_20.json",
    "logged_models_get.json",
    "logged_models_artifacts_list.json",
    "artifacts_list_reports.json",
    "registered_models_alias_latest.json",
    "model_versions_update_description.json",
];

#[test]
fn every_captured_request_gets_the_captured_answer() {
    let captured = captured();
    let site = MlFlow::new(Arc::new(Mutex::new(filled(&captured))));
    for case in &captured {
        let file = text(&case["file"]);
        let body = match &case["request"] {
            Value::Null => String::new(),
            Value::String(_) => "{not json".to_owned(),
            other => other.to_string(),
        };
        let mut headers = ONCALL.to_vec();
        match file.as_str() {
            "error_host_header.txt" => headers[0].1 = "evil.example",
            "error_cors_origin.txt" => headers.push(("origin", "http://evil.example")),
            _ => (),
        }
        let method = text(&case["method"]);
        let reply = ask(
            &site,
            &method,
            case["path"].as_str().unwrap(),
            &headers,
            &body,
        );
        assert_eq!(
            u64::from(reply.status),
            case["status"].as_u64().unwrap(),
            "{file}"
        );
        let kind = &reply
            .headers
            .iter()
            .find(|(name, _)| *name == "content-type")
            .unwrap()
            .1;
        assert_eq!(kind, case["content_type"].as_str().unwrap(), "{file}");
        let Ok(found) = serde_json::from_slice::<Value>(&reply.body) else {
            assert_eq!(
                String::from_utf8_lossy(&reply.body),
                text(&case["body"]),
                "{file}"
            );
            continue;
        };
        if BY_FORM.contains(&file.as_str()) {
            let (found, wanted) = (form(&found), form(&case["body"]));
            let known = |name: &str| wanted.to_string().contains(name);
            // The last two differ by the state the capture was in.
            if !file.starts_with("logged_models_") && !file.ends_with("latest.json") {
                assert_eq!(found, wanted, "{file}");
            }
            assert!(known("text"), "{file} holds nothing");
        } else {
            assert_eq!(ordered(&found), ordered(&case["body"]), "{file}");
        }
    }
}

#[test]
fn whoever_is_unknown_is_401_and_a_reader_may_not_write() {
    let site = MlFlow::new(Arc::new(Mutex::new(filled(&captured()))));
    let host = ("host", "localhost:5000");
    let health = ask(&site, "GET", "/health", &[host], "");
    assert_eq!(
        (health.status, health.body.as_ref()),
        (200, b"OK".as_slice())
    );
    let search = "/api/2.0/mlflow/registered-models/search";
    let unknown = ask(&site, "GET", search, &[host], "");
    assert_eq!(unknown.status, 401);
    assert!(
        unknown
            .headers
            .contains(&("www-authenticate", "Basic realm=\"mlflow\"".to_owned()))
    );
    let reader = [host, ("authorization", "Bearer token-reader")];
    assert_eq!(ask(&site, "GET", search, &reader, "").status, 200);
    let alias = json!({"name": "wdbc-screening", "alias": "champion", "version": "2"}).to_string();
    let target = "/api/2.0/mlflow/registered-models/alias";
    let refused = ask(&site, "POST", target, &reader, &alias);
    assert_eq!(
        (refused.status, refused.body.as_ref()),
        (403, b"Permission denied".as_slice())
    );
    // oncall:token-oncall as Basic, the way a proxy before a server takes it.
    let basic = [
        host,
        ("authorization", "Basic b25jYWxsOnRva2VuLW9uY2FsbA=="),
    ];
    assert_eq!(ask(&site, "POST", target, &basic, &alias).status, 200);
}

#[test]
fn a_training_is_found_again_as_version_run_and_lineage() {
    let mut registry = filled(&captured());
    let training = Training {
        model: "wdbc-screening".to_owned(),
        metrics: [("accuracy".to_owned(), 0.97)].into(),
        datasets: vec![Dataset {
            name: "wdbc-eval".to_owned(),
            digest: "4f4f793b".to_owned(),
            context: "eval".to_owned(),
            rows: 171,
            tags: BTreeMap::new(),
        }],
        ..Training::default()
    };
    let provenance = Provenance {
        sha: "9f3c2ab07e5d4c61b8a2f90e3d7c5b1a6e8f4d20".to_owned(),
        branch: "main".to_owned(),
        author: "mk".to_owned(),
        run_url: "http://127.0.0.1:1/acme/recsys/actions/runs/7".to_owned(),
    };
    let at = DateTime::from_timestamp_millis(1_795_402_200_000).unwrap();
    let (number, run) = registry.register(&training, &provenance, at).unwrap();
    assert_eq!(number, 4);
    assert_eq!(
        registry.version_of_commit("wdbc-screening", &provenance.sha),
        Some((4, run.clone()))
    );
    let site = MlFlow::new(Arc::new(Mutex::new(registry)));
    let target = format!("/api/2.0/mlflow/runs/get?run_id={run}");
    let reply = ask(&site, "GET", &target, &ONCALL, "");
    let found: Value = serde_json::from_slice(&reply.body).unwrap();
    let tags = pairs(&found["run"]["data"]["tags"]);
    assert_eq!(tags["mlflow.source.git.commit"], provenance.sha);
    assert_eq!(tags["ci.run_url"], provenance.run_url);
    assert_eq!(found["run"]["data"]["metrics"][0]["value"], 0.97);
    let bare = Training {
        without_run: true,
        without_commit: true,
        ..training
    };
    let mut registry = filled(&captured());
    registry.register(&bare, &provenance, at).unwrap();
    let version = registry.models[0].versions.last().unwrap();
    assert!(version.run.is_empty() && version.tags.is_empty() && version.source.starts_with("s3:"));
}
