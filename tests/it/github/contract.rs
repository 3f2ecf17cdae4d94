//! Every request the adapter makes, held against GitHub's own description.

use std::collections::BTreeSet;

use gonogo::{
    backend::Focus,
    domain::{
        action::{RunAction, Say},
        id::JobId,
    },
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    Bench, Hub, LIST, RUN,
    actions::{approval, dispatch, on_run},
    bench, bench_at, repo, run_id, run_json, run_path, runs_json, waiting_hub, watching,
};
use crate::support::script::{Reply, Script, Seen};

/// The operation in the description that a request is, and what it allows.
fn operation<'a>(operations: &'a Value, seen: &Seen) -> (&'a str, &'a Value) {
    let path: Vec<&str> = seen.path().split('/').collect();
    let fits = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        template.len() == path.len()
            && template
                .iter()
                .zip(&path)
                .all(|(wanted, found)| wanted.starts_with('{') || wanted == found)
    };
    let all = operations.as_object().unwrap().iter();
    let mut found = all.filter(|(name, _)| {
        let (method, template) = name.split_once(' ').unwrap();
        method == seen.method && fits(template)
    });
    let (name, operation) = found
        .next()
        .unwrap_or_else(|| panic!("{} {} is not described", seen.method, seen.target));
    (name.as_str(), operation)
}

#[track_caller]
fn check(operation: &Value, seen: &Seen) {
    let query = seen.target.split_once('?').map_or("", |(_, query)| query);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = json!(pair.split('=').next().unwrap());
        let allowed = operation["query"].as_array().unwrap();
        assert!(allowed.contains(&name), "{}: query {name}", seen.target);
    }
    let body = &operation["body"];
    if seen.body.is_empty() {
        assert_ne!(body["required"], json!(true), "{}: no body", seen.target);
        return;
    }
    let sent = seen.json();
    for (field, value) in sent.as_object().unwrap() {
        let kind = match value {
            Value::Bool(_) => "boolean",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Number(_) | Value::Null => "neither",
        };
        assert_eq!(body["fields"][field], kind, "{}: {field}", seen.target);
    }
    for needed in body["needed"].as_array().unwrap() {
        let needed = needed.as_str().unwrap();
        assert!(sent.get(needed).is_some(), "{}: {needed}", seen.target);
    }
}

async fn do_everything(bench: &mut Bench, hub: &Hub) {
    bench.feed("account").poll(&Focus::default()).await.unwrap();
    bench.look(&watching(RUN)).await.unwrap();
    // A run that is not in the list, by itself.
    bench.look_after(60, &watching(RUN + 1)).await.unwrap();
    bench.backend.probe.probe().await;
    bench.answer(&approval(Say::Yes)).await.unwrap();
    bench.act(&on_run(RunAction::Cancel)).await.unwrap();
    let ended = run_json(RUN, "completed", Some("failure"));
    hub.set(&run_path(""), Reply::json(200, &ended));
    for action in [RunAction::RerunAll, RunAction::RerunFailed, dispatch()] {
        bench.act(&on_run(action)).await.unwrap();
    }
    let (chunks, _unread) = mpsc::channel(1);
    let job = JobId {
        run: run_id(RUN),
        id: 71,
    };
    let logs = bench.backend.logs.clone().unwrap();
    logs.job_log(&job, chunks).await.unwrap_err();
}

fn everything_hub() -> Hub {
    let hub = waiting_hub();
    let mut run = run_json(RUN, "waiting", None);
    run["run_attempt"] = json!(2);
    hub.set(LIST, runs_json(&[run]));
    let done = Reply::json(201, &json!({}));
    for path in [
        "/pending_deployments",
        "/rerun",
        "/rerun-failed-jobs",
        "/cancel",
    ] {
        hub.set(&run_path(path).replace("GET", "POST"), done.clone());
    }
    let workflow = repo("/actions/workflows/ml-cicd.yml/dispatches");
    hub.set(&workflow.replace("GET", "POST"), done);
    hub
}

#[tokio::test]
async fn every_request_is_one_that_github_describes() {
    let described: Value = serde_json::from_str(include_str!(
        "../../fixtures/github/openapi-operations.json"
    ))
    .unwrap();
    for (host, prefix) in [("api.github.com", ""), ("ghes-3.19", "/api/v3")] {
        let operations = &described[host];
        let hub = everything_hub();
        let inner = hub.clone();
        let server = Script::start(move |seen| {
            let mut seen = seen.clone();
            seen.target = seen.target.trim_start_matches("/api/v3").to_owned();
            inner.answer(&seen)
        })
        .await;
        let mut bench = bench_at(&format!("{}{prefix}", server.url()));
        do_everything(&mut bench, &hub).await;
        let mut used = BTreeSet::new();
        for mut seen in server.seen() {
            seen.target = seen.target.strip_prefix(prefix).unwrap().to_owned();
            let (name, operation) = operation(operations, &seen);
            used.insert(name.to_owned());
            check(operation, &seen);
        }
        let all: BTreeSet<String> = operations.as_object().unwrap().keys().cloned().collect();
        assert_eq!(used, all, "the description holds what is used and no more");
    }
}

#[tokio::test]
async fn a_run_we_started_is_found_even_where_the_list_does_not_show_it() {
    let hub = everything_hub();
    hub.set(
        &repo("/actions/workflows/ml-cicd.yml/dispatches").replace("GET", "POST"),
        Reply::json(200, &json!({"workflow_run_id": RUN + 5})),
    );
    let mut started = run_json(RUN + 5, "queued", None);
    started["event"] = json!("workflow_dispatch");
    started["head_branch"] = json!("hotfix");
    hub.set(
        &repo(&format!("/actions/runs/{}", RUN + 5)),
        Reply::json(200, &started),
    );
    hub.set(
        &repo(&format!("/actions/runs/{}/jobs", RUN + 5)),
        super::jobs_json(&[]),
    );
    let server = hub.serve().await;
    let mut bench = bench(&server);
    bench.look(&Focus::default()).await.unwrap();
    bench.act(&on_run(dispatch())).await.unwrap();
    let told = bench.look_after(1, &Focus::default()).await.unwrap();
    let runs = told.runs();
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (runs[0].id.id, runs[0].branch.as_str()),
        (RUN + 5, "hotfix")
    );
}
