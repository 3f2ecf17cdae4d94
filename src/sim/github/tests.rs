//! The GitHub of the demo against GitHub's own description of its answers.

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::sim::{
    cause::{Failure, Push},
    github::{
        api::GitHub,
        logs::LogStore,
        model::{Hub, Time},
    },
    http::{Reply, Request, Site},
    scenario,
};

pub(crate) const SHA: &str = "9f3c2ab07e5d4c61b8a2f90e3d7c5b1a6e8f4d20";
pub(crate) const RUN: &str = "/repos/acme/recsys/actions/runs";

/// A GitHub on which one commit was pushed at second 0.
pub(crate) struct World {
    pub(crate) hub: Arc<Mutex<Hub>>,
    pub(crate) site: GitHub,
    pub(crate) store: LogStore,
    pub(crate) run: u64,
    pub(crate) now: Time,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_failures(Vec::new())
    }

    pub(crate) fn with_failures(failures: Vec<Failure>) -> Self {
        let now: Time = "2026-08-21T12:40:00Z".parse().unwrap();
        let scenario = scenario::load("canary").unwrap();
        let web = "http://127.0.0.1:1".to_owned();
        let mut hub = super::hub(&scenario, 1.0, now, web, |login| format!("token-{login}"));
        let push = Push {
            repo: "acme/recsys".to_owned(),
            branch: "main".to_owned(),
            sha: SHA.to_owned(),
            message: "Add session-length feature\n\nMore.".to_owned(),
            author: "mk".to_owned(),
            training: Vec::new(),
            failures,
        };
        let run = hub.push(&push, now)[0];
        let hub = Arc::new(Mutex::new(hub));
        let store = LogStore::new("http://127.0.0.1:2".to_owned());
        let bell = Arc::new(Notify::new());
        let site = GitHub::new(Arc::clone(&hub), store.clone(), bell);
        Self {
            hub,
            site,
            store,
            run,
            now,
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, seconds: i64) -> &mut Self {
        self.now += TimeDelta::seconds(seconds);
        self.hub.lock().unwrap().advance(self.now);
        self
    }

    pub(crate) fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let mut map = HeaderMap::new();
        let usual = [("host", "127.0.0.1:1"), ("user-agent", "test")];
        for (name, value) in usual.iter().chain(headers) {
            let name: HeaderName = name.parse().unwrap();
            map.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let method: Method = method.parse().unwrap();
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        self.site
            .answer(&Request::new(method, target, map, body.into(), self.now))
    }

    pub(crate) fn raw(&self, target: &str) -> Reply {
        self.ask(
            "GET",
            target,
            &[("authorization", "Bearer token-mk")],
            &Value::Null,
        )
    }

    pub(crate) fn get(&self, target: &str) -> Value {
        let reply = self.raw(target);
        assert_eq!(reply.status, 200, "{target}");
        serde_json::from_slice(&reply.body).unwrap()
    }

    pub(crate) fn post(&self, login: &str, target: &str, body: &Value) -> Reply {
        let token = format!("Bearer token-{login}");
        self.ask("POST", target, &[("authorization", &token)], body)
    }

    pub(crate) fn this_run(&self) -> Value {
        self.get(&format!("{RUN}/{}", self.run))
    }

    pub(crate) fn jobs(&self) -> Vec<Value> {
        let answer = self.get(&format!("{RUN}/{}/jobs?per_page=100", self.run));
        answer["jobs"].as_array().unwrap().clone()
    }

    pub(crate) fn review(&self, login: &str, state: &str) -> Reply {
        let target = format!("{RUN}/{}/pending_deployments", self.run);
        let environment = self.get(&target)[0]["environment"]["id"].clone();
        let body = json!({"environment_ids": [environment], "state": state, "comment": "ok"});
        self.post(login, &target, &body)
    }
}

pub(crate) fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply
        .headers
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("", |(_, value)| value)
}

/// What a value lacks of a schema, as sentences with paths.
fn violations(schema: &Value, value: &Value, all: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        return violations(&all["schemas"][name], value, all, path, found);
    }
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[key].as_array() {
            let fits = choices.iter().any(|choice| {
                let mut faults = Vec::new();
                violations(choice, value, all, path, &mut faults);
                faults.is_empty()
            });
            if !fits {
                found.push(format!("{path}: fits no alternative: {value}"));
            }
        }
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        violations(part, value, all, path, found);
    }
    let right = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    if !right {
        found.push(format!("{path}: not of type {}: {value}", schema["type"]));
    }
    if let Some(known) = schema["enum"].as_array()
        && !known.contains(value)
    {
        found.push(format!("{path}: {value} is none of {known:?}"));
    }
    if let Some(fields) = value.as_object() {
        for needed in schema["required"].as_array().into_iter().flatten() {
            let name = needed.as_str().unwrap();
            if !fields.contains_key(name) {
                found.push(format!("{path}: lacks `{name}`"));
            }
        }
        for (name, inner) in fields {
            if let Some(schema) = schema["properties"].get(name) {
                violations(schema, inner, all, &format!("{path}.{name}"), found);
            }
        }
    }
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        violations(
            &schema["items"],
            item,
            all,
            &format!("{path}[{place}]"),
            found,
        );
    }
}

#[test]
fn every_answer_has_the_shape_of_githubs_own_description() {
    // From npm @octokit/openapi; the file says which version.
    let all: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/github/schemas.json")).unwrap();
    let mut world = World::new();
    world.pass(1000);
    let job = world.jobs()[0]["id"].clone();
    let repo = "/repos/acme/recsys";
    let run = world.run;
    let deployment = world.get(&format!("{repo}/deployments"))[0]["id"].clone();
    let review = world.review("mk", "approved");
    assert_eq!(review.status, 200);
    world.pass(20);
    let dispatched = world.post(
        "mk",
        &format!("{repo}/actions/workflows/ml-cicd.yml/dispatches"),
        &json!({"ref": "main", "return_run_details": true}),
    );
    let checked: Vec<(&str, Value)> = [
        ("GET /user", "/user".to_owned()),
        ("GET /rate_limit", "/rate_limit".to_owned()),
        ("GET /users/{username}", "/users/ana".to_owned()),
        ("GET /repos/{owner}/{repo}", repo.to_owned()),
        (
            "GET …/actions/workflows",
            format!("{repo}/actions/workflows"),
        ),
        (
            "GET …/actions/workflows/{workflow_id}",
            format!("{repo}/actions/workflows/ml-cicd.yml"),
        ),
        (
            "GET …/actions/workflows/{workflow_id}/runs",
            format!("{repo}/actions/workflows/ml-cicd.yml/runs"),
        ),
        (
            "GET …/actions/runs",
            format!("{repo}/actions/runs?status=in_progress"),
        ),
        ("GET …/actions/runs/{run_id}", format!("{RUN}/{run}")),
        (
            "GET …/actions/runs/{run_id}/attempts/{attempt_number}",
            format!("{RUN}/{run}/attempts/1"),
        ),
        (
            "GET …/actions/runs/{run_id}/jobs",
            format!("{RUN}/{run}/jobs"),
        ),
        (
            "GET …/actions/runs/{run_id}/attempts/{attempt_number}/jobs",
            format!("{RUN}/{run}/attempts/1/jobs"),
        ),
        (
            "GET …/actions/jobs/{job_id}",
            format!("{repo}/actions/jobs/{job}"),
        ),
        (
            "GET …/actions/runs/{run_id}/artifacts",
            format!("{RUN}/{run}/artifacts"),
        ),
        (
            "GET …/actions/artifacts",
            format!("{repo}/actions/artifacts"),
        ),
        (
            "GET …/actions/runs/{run_id}/approvals",
            format!("{RUN}/{run}/approvals"),
        ),
        ("GET …/environments", format!("{repo}/environments")),
        (
            "GET …/environments/{environment_name}",
            format!("{repo}/environments/prod-eu"),
        ),
        ("GET …/deployments", format!("{repo}/deployments")),
        (
            "GET …/deployments/{deployment_id}",
            format!("{repo}/deployments/{deployment}"),
        ),
        (
            "GET …/deployments/{deployment_id}/statuses",
            format!("{repo}/deployments/{deployment}/statuses"),
        ),
        ("GET …/commits", format!("{repo}/commits")),
        ("GET …/commits/{ref}", format!("{repo}/commits/main")),
        (
            "GET …/commits/{ref}/check-runs",
            format!("{repo}/commits/{SHA}/check-runs"),
        ),
        (
            "GET …/commits/{ref}/status",
            format!("{repo}/commits/{SHA}/status"),
        ),
        ("GET …/branches", format!("{repo}/branches")),
        ("GET …/branches/{branch}", format!("{repo}/branches/main")),
        (
            "GET …/check-runs/{check_run_id}/annotations",
            format!("{repo}/check-runs/{job}/annotations"),
        ),
    ]
    .into_iter()
    .map(|(endpoint, target)| (endpoint, world.get(&target)))
    .chain([
        (
            "POST …/actions/runs/{run_id}/pending_deployments",
            serde_json::from_slice(&review.body).unwrap(),
        ),
        (
            "POST …/actions/workflows/{workflow_id}/dispatches",
            serde_json::from_slice(&dispatched.body).unwrap(),
        ),
    ])
    .collect();
    let mut found = Vec::new();
    for (endpoint, answer) in checked {
        let name = endpoint.replace('…', "/repos/{owner}/{repo}");
        let schema = &all["endpoints"][&name];
        assert!(schema.is_object(), "no schema for {name}");
        violations(schema, &answer, &all, &name, &mut found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_waits_for_people_has_the_shape_of_githubs_own_description() {
    let all: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/github/schemas.json")).unwrap();
    let mut world = World::new();
    world.pass(1000);
    let answer = world.get(&format!("{RUN}/{}/pending_deployments", world.run));
    let name = "GET /repos/{owner}/{repo}/actions/runs/{run_id}/pending_deployments";
    let mut found = Vec::new();
    violations(&all["endpoints"][name], &answer, &all, name, &mut found);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(answer[0]["environment"]["name"], "prod-eu");
    assert_eq!(answer[0]["reviewers"][1]["reviewer"]["login"], "ana");
}
