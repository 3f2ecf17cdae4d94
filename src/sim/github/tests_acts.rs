//! What runs do by themselves, what people do to them, and what a client pays.

use axum::http::{HeaderMap, HeaderValue, Method};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::sim::{
    cause::Failure,
    github::{
        model::Time,
        tests::{RUN, SHA, World, header},
    },
    http::{Request, Site},
};

#[test]
fn jobs_appear_when_their_needs_are_met_and_steps_move_with_time() {
    let mut world = World::new();
    assert_eq!(world.this_run()["status"], "queued");
    assert_eq!(
        world.jobs().len(),
        1,
        "GitHub does not list jobs whose needs are open"
    );
    // 2 s for a runner, 1 s to set up, then 3 s of checking out.
    world.pass(4);
    let tests = world.jobs()[0].clone();
    assert_eq!(tests["status"], "in_progress");
    let statuses: Vec<_> = tests["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["status"].clone())
        .collect();
    assert_eq!(
        statuses,
        [
            "completed",
            "in_progress",
            "queued",
            "queued",
            "queued",
            "queued"
        ]
    );
    world.pass(140);
    let jobs = world.jobs();
    assert_eq!(jobs.len(), 2);
    assert_eq!(
        (jobs[0]["conclusion"].clone(), jobs[1]["name"].clone()),
        (json!("success"), json!("train"))
    );
    assert_eq!(world.this_run()["status"], "in_progress");
}

#[test]
fn a_failed_job_skips_its_followers_and_a_rerun_keeps_the_run_and_renames_the_jobs() {
    let failure = Failure {
        job: "train".to_owned(),
        step: Some("Pull training data".to_owned()),
        attempts: vec![1],
        log: vec!["ERROR: unexpected error - 503".to_owned()],
    };
    let mut world = World::with_failures(vec![failure]);
    world.pass(1000);
    let run = world.this_run();
    assert_eq!(
        (&run["status"], &run["conclusion"]),
        (&json!("completed"), &json!("failure"))
    );
    let before = world.jobs();
    let ends: Vec<_> = before
        .iter()
        .map(|job| job["conclusion"].as_str().unwrap())
        .collect();
    assert_eq!(
        ends,
        [
            "success", "failure", "skipped", "skipped", "skipped", "skipped", "skipped"
        ]
    );
    let steps: Vec<_> = before[1]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["conclusion"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        ["success", "success", "failure", "skipped", "success"]
    );

    let again = world.post(
        "mk",
        &format!("{RUN}/{}/rerun-failed-jobs", world.run),
        &Value::Null,
    );
    assert_eq!((again.status, again.body.as_ref()), (201, b"{}".as_slice()));
    let run = world.this_run();
    assert_eq!(
        (&run["run_attempt"], &run["id"]),
        (&json!(2), &json!(world.run))
    );
    let after = world.jobs();
    assert_eq!(after[0]["conclusion"], "success", "what went well is kept");
    assert_ne!(after[0]["id"], before[0]["id"]);
    world.pass(1000);
    assert_eq!(world.this_run()["status"], "waiting");
    let all = world.get(&format!("{RUN}/{}/jobs?filter=all&per_page=100", world.run));
    assert_eq!(all["total_count"], 13);
}

#[test]
fn an_approval_runs_the_job_and_a_second_one_is_refused() {
    let mut world = World::new();
    world.pass(1000);
    assert_eq!(world.this_run()["status"], "waiting");
    assert_eq!(
        world.review("dr-okafor", "approved").status,
        401,
        "has no token"
    );
    assert_eq!(
        world.review("vera", "approved").status,
        403,
        "may only read"
    );
    let target = format!("{RUN}/{}/pending_deployments", world.run);
    let environment = world.get(&target)[0]["environment"]["id"].clone();
    assert_eq!(world.review("mk", "approved").status, 200);
    let body = json!({"environment_ids": [environment], "state": "approved", "comment": ""});
    assert_eq!(world.post("ana", &target, &body).status, 422);
    world.pass(12);
    assert_eq!(
        world.this_run()["status"],
        "waiting",
        "the next region asks too"
    );
    assert_eq!(world.review("ana", "approved").status, 200);
    world.pass(12);
    assert_eq!(world.this_run()["conclusion"], "success");
    let history = world.get(&format!("{RUN}/{}/approvals", world.run));
    assert_eq!(
        (&history[0]["state"], &history[0]["user"]["login"]),
        (&json!("approved"), &json!("mk"))
    );
}

#[test]
fn a_rejection_fails_the_run() {
    let mut world = World::new();
    world.pass(1000);
    assert_eq!(world.review("ana", "rejected").status, 200);
    assert_eq!(world.this_run()["conclusion"], "failure");
    assert_eq!(
        world.get(&format!("{RUN}/{}/pending_deployments", world.run)),
        json!([])
    );
}

#[test]
fn a_cancelled_run_ends_soon_and_cannot_be_cancelled_twice() {
    let mut world = World::new();
    world.pass(60);
    let target = format!("{RUN}/{}/cancel", world.run);
    assert_eq!(world.post("mk", &target, &Value::Null).status, 202);
    assert_eq!(
        world.this_run()["status"],
        "in_progress",
        "accepted is not done"
    );
    world.pass(3);
    assert_eq!(world.this_run()["conclusion"], "cancelled");
    assert_eq!(world.post("mk", &target, &Value::Null).status, 409);
}

#[test]
fn a_dispatch_tells_the_run_only_when_asked_to() {
    let world = World::new();
    let target = "/repos/acme/recsys/actions/workflows/ml-cicd.yml/dispatches";
    assert_eq!(
        world.post("mk", target, &json!({"ref": "main"})).status,
        204
    );
    assert_eq!(
        world.post("mk", target, &json!({"ref": "nope"})).status,
        422
    );
    let told = world.post(
        "mk",
        target,
        &json!({"ref": "main", "return_run_details": true}),
    );
    let body: Value = serde_json::from_slice(&told.body).unwrap();
    let run = world.get(&format!("{RUN}/{}", body["workflow_run_id"]));
    assert_eq!(
        (&run["event"], &run["head_sha"]),
        (&json!("workflow_dispatch"), &json!(SHA))
    );
}

#[test]
fn an_unchanged_answer_is_304_and_free() {
    let mut world = World::new();
    world.pass(1000);
    let target = format!("{RUN}/{}", world.run);
    let first = world.raw(&target);
    let left: u64 = header(&first, "x-ratelimit-remaining").parse().unwrap();
    let asked = [
        ("authorization", "Bearer token-mk"),
        ("if-none-match", header(&first, "etag")),
    ];
    let again = world.ask("GET", &target, &asked, &Value::Null);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(header(&again, "x-ratelimit-remaining"), left.to_string());
    let fresh = world.raw(&target);
    assert_eq!(
        header(&fresh, "x-ratelimit-remaining"),
        (left - 1).to_string()
    );
}

#[test]
fn the_budget_runs_out_and_comes_back_with_the_hour() {
    let mut world = World::new();
    for _ in 0..5000 {
        assert_eq!(world.raw("/versions").status, 200);
    }
    let over = world.raw("/versions");
    assert_eq!(
        (over.status, header(&over, "x-ratelimit-remaining")),
        (403, "0")
    );
    assert_eq!(
        world.raw("/rate_limit").status,
        200,
        "asking for the budget is free"
    );
    world.pass(3601);
    assert_eq!(world.raw("/versions").status, 200);
}

#[test]
fn lists_come_in_pages_with_links_to_this_host() {
    let mut world = World::new();
    world.pass(1000);
    let target = format!("{RUN}/{}/jobs?per_page=5", world.run);
    let first = world.raw(&target);
    let link = header(&first, "link");
    assert!(
        link.contains("rel=\"next\"") && link.contains("rel=\"last\""),
        "{link}"
    );
    assert!(
        link.split(", ")
            .all(|link| link.starts_with("<http://127.0.0.1:1/")),
        "{link}"
    );
    let last = world.get(&format!("{RUN}/{}/jobs?per_page=5&page=2", world.run));
    assert_eq!(last["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(last["total_count"], 6);
}

#[test]
fn a_log_lies_on_another_host_that_refuses_the_token() {
    let mut world = World::new();
    world.pass(20);
    let job = world.jobs()[0]["id"].clone();
    let target = format!("/repos/acme/recsys/actions/jobs/{job}/logs");
    let early = world.raw(&target);
    assert_eq!(early.status, 404);
    assert!(
        String::from_utf8_lossy(&early.body).contains("BlobNotFound"),
        "there is no live log"
    );
    world.pass(200);
    let moved = world.raw(&target);
    assert_eq!(moved.status, 302);
    let place = header(&moved, "location");
    let blob = place
        .strip_prefix("http://127.0.0.1:2")
        .expect("another host");
    let fetch = |headers: HeaderMap, now: Time| {
        world.store.answer(&Request::new(
            Method::GET,
            blob,
            headers,
            Vec::new().into(),
            now,
        ))
    };
    let mut credentials = HeaderMap::new();
    credentials.insert("authorization", HeaderValue::from_static("Bearer token-mk"));
    assert_eq!(fetch(credentials, world.now).status, 403);
    assert_eq!(
        fetch(HeaderMap::new(), world.now + TimeDelta::seconds(90)).status,
        403,
        "expired"
    );
    let log = fetch(HeaderMap::new(), world.now);
    let text = String::from_utf8_lossy(&log.body).into_owned();
    assert!(text.starts_with("\u{feff}2026-08-21T12:40:02."), "{text}");
    assert!(text.contains("Z 142 passed in 58.31s\n"), "{text}");
}

#[test]
fn strangers_and_unknown_versions_are_turned_away() {
    let world = World::new();
    let none = world.ask("GET", "/user", &[], &Value::Null);
    let bad = world.ask(
        "GET",
        "/user",
        &[("authorization", "Bearer nope")],
        &Value::Null,
    );
    assert_eq!((none.status, bad.status), (401, 401));
    let old = [
        ("authorization", "Bearer token-mk"),
        ("x-github-api-version", "2020-01-01"),
    ];
    assert_eq!(world.ask("GET", "/user", &old, &Value::Null).status, 410);
    assert_eq!(world.raw("/repos/acme/secret").status, 404);
    assert_eq!(
        world.raw("/api/v3/user").status,
        200,
        "an Enterprise Server has a path before it"
    );
    // Ids of runs have not fitted into 32 bits for years.
    assert!(world.run > u64::from(u32::MAX));
}
