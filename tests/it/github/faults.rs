//! Every way an answer can be bad: the state is named, nothing leaks, and the
//! next good answer is taken as if nothing had been.

use std::time::Duration;

use gonogo::{
    backend::{ErrorKind, Focus},
    domain::pipeline::{Outcome, Phase},
};
use serde_json::json;

use super::{LIST, RUN, TOKEN, bench, bench_at, run_json, run_path, runs_json, waiting_hub};
use crate::support::script::{Reply, Script};

fn message(status: u16) -> Reply {
    Reply::json(
        status,
        &json!({"message": format!("no, because of {TOKEN}")}),
    )
}

fn page(status: u16) -> Reply {
    let body = format!("<html><title>Sign in {TOKEN}</title></html>");
    Reply::text(status, "text/html; charset=utf-8", &body)
}

#[tokio::test]
async fn a_bad_list_is_named_and_the_next_good_one_is_taken() {
    let spent = message(403)
        .with("x-ratelimit-remaining", "0")
        .with("x-ratelimit-reset", "1773144010");
    let secondary = Reply::json(
        403,
        &json!({"message": "You have exceeded a secondary rate limit"}),
    );
    let cases: Vec<(Reply, ErrorKind, &str)> = vec![
        (message(401), ErrorKind::Unauthenticated, "HTTP 401"),
        (message(403), ErrorKind::Forbidden, "HTTP 403"),
        (spent, ErrorKind::RateLimited, "HTTP 403"),
        (secondary, ErrorKind::RateLimited, "secondary rate limit"),
        (message(404), ErrorKind::NotFound, "HTTP 404"),
        (message(409), ErrorKind::Conflict, "HTTP 409"),
        (message(410), ErrorKind::NotFound, "HTTP 410"),
        (message(422), ErrorKind::Rejected, "HTTP 422"),
        (
            message(429).with("retry-after", "7"),
            ErrorKind::RateLimited,
            "HTTP 429",
        ),
        (message(500), ErrorKind::Server, "HTTP 500"),
        (
            page(200),
            ErrorKind::Malformed,
            "a web page instead of JSON",
        ),
        (
            page(203),
            ErrorKind::Malformed,
            "a web page instead of JSON",
        ),
        (page(502), ErrorKind::Server, "a web page"),
        (
            Reply::text(200, "application/json", "{\"workflow_runs\": [{\"id\": 1,"),
            ErrorKind::Malformed,
            "no usable JSON",
        ),
        (
            Reply::json(200, &json!({"workflow_runs": {"id": 1}})),
            ErrorKind::Malformed,
            "no usable JSON",
        ),
        (
            Reply::json(200, &json!({})),
            ErrorKind::Malformed,
            "workflow_runs",
        ),
        (
            Reply::CutOff {
                promised: 5000,
                body: b"{\"workflow_runs\": [".to_vec(),
            },
            ErrorKind::Malformed,
            "broke off",
        ),
        (
            Reply::Flood(50_000_000),
            ErrorKind::Malformed,
            "larger than",
        ),
        (Reply::Hang, ErrorKind::Timeout, "no answer in time"),
        (Reply::Reset, ErrorKind::Unreachable, "the connection broke"),
        (
            Reply::status(302).with("location", LIST.trim_start_matches("GET ")),
            ErrorKind::Malformed,
            "in a circle",
        ),
    ];
    for (reply, kind, words) in cases {
        let hub = waiting_hub();
        hub.set(LIST, reply);
        let server = hub.serve().await;
        let mut bench = bench(&server);
        let error = bench.look(&Focus::default()).await.err().unwrap();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words), "{error}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains(TOKEN), "{text}");
        hub.set(LIST, runs_json(&[run_json(RUN, "in_progress", None)]));
        let told = bench.look_after(120, &Focus::default()).await.unwrap();
        assert_eq!(told.runs().len(), 1, "it recovers by itself after {kind:?}");
    }
}

#[tokio::test]
async fn a_tls_failure_and_a_closed_port_are_unreachable() {
    let plain = Script::always(Reply::status(200)).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for url in [plain.url().replace("http:", "https:"), closed] {
        let error = bench_at(&url).look(&Focus::default()).await.err().unwrap();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    }
}

#[tokio::test]
async fn hosted_trap_2_neither_redirects_nor_pages_lead_the_token_away() {
    let stranger =
        Script::always(Reply::json(200, &json!({"workflow_runs": [], "jobs": []}))).await;
    let away = format!("{}/x", stranger.url());
    let hub = waiting_hub();
    hub.set(LIST, Reply::status(307).with("location", &away));
    let server = hub.serve().await;
    let error = bench(&server).look(&Focus::default()).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Malformed, "{error}");
    let link = format!("<{away}>; rel=\"next\"");
    hub.set(
        LIST,
        runs_json(&[run_json(RUN, "in_progress", None)]).with("link", &link),
    );
    hub.set(
        &run_path("/jobs"),
        Reply::json(200, &json!({"jobs": []})).with("link", &link),
    );
    let told = bench(&server).look(&Focus::default()).await.unwrap();
    let failures = told.failures();
    assert_eq!(failures.len(), 1);
    assert_eq!(
        failures[0].scope.part.as_str(),
        format!("jobs acme/recsys#{RUN}")
    );
    assert!(failures[0].message.contains("to another host"));
    assert!(stranger.seen().is_empty(), "not even without the token");
}

#[tokio::test]
async fn hosted_trap_3_unknown_words_are_shown_and_are_no_progress() {
    let hub = waiting_hub();
    hub.set(
        LIST,
        runs_json(&[
            run_json(RUN, "defrosting", None),
            run_json(RUN - 1, "completed", Some("exploded")),
        ]),
    );
    let server = hub.serve().await;
    let told = bench(&server).look(&Focus::default()).await.unwrap();
    assert_eq!(
        told.runs()[0].status.phase,
        Phase::Unknown("defrosting".into())
    );
    let ended = &told.runs()[1].status;
    assert_eq!(ended.outcome, Some(Outcome::Unknown("exploded".into())));
    assert!(!ended.has_succeeded());
}

#[tokio::test]
async fn one_unreadable_run_is_named_and_hides_no_other() {
    let hub = waiting_hub();
    let mut broken = run_json(RUN - 1, "completed", Some("success"));
    broken["id"] = json!("not a number");
    hub.set(LIST, runs_json(&[run_json(RUN, "queued", None), broken]));
    let server = hub.serve().await;
    let told = bench(&server).look(&Focus::default()).await.unwrap();
    assert_eq!(told.runs().len(), 1);
    let batch = told.batch("runs acme/recsys ml-cicd.yml").unwrap();
    assert!(!batch.complete, "what could not be read is not gone");
    let failures = told.failures();
    assert_eq!(failures[0].kind, ErrorKind::Malformed);
    assert!(failures[0].message.contains("an item cannot be read"));
}

#[tokio::test]
async fn hosted_trap_9_what_was_just_listed_and_is_not_found_is_hidden_or_deleted() {
    let hub = waiting_hub();
    hub.set(&run_path("/jobs"), message(404));
    let server = hub.serve().await;
    let told = bench(&server).look(&Focus::default()).await.unwrap();
    let failures = told.failures();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].kind, ErrorKind::NotFound);
    assert!(failures[0].message.contains("the token may not see this"));
    assert_eq!(told.runs().len(), 1, "the rest of the look stands");
}

#[tokio::test]
async fn a_part_that_fails_leaves_the_other_parts_standing() {
    for reply in [message(500), page(200), Reply::Hang, Reply::Reset] {
        let hub = waiting_hub();
        hub.set(&run_path("/pending_deployments"), reply);
        let server = hub.serve().await;
        let told = bench(&server).look(&Focus::default()).await.unwrap();
        assert_eq!((told.runs().len(), told.jobs().len()), (1, 2));
        let failures = told.failures();
        assert_eq!(failures.len(), 1);
        assert_eq!(
            failures[0].scope.part.as_str(),
            format!("approvals acme/recsys#{RUN}")
        );
        assert!(!failures[0].message.contains(TOKEN));
    }
}

#[tokio::test]
async fn trouble_with_a_run_nobody_asks_about_any_more_is_over() {
    let hub = waiting_hub();
    hub.set(LIST, runs_json(&[run_json(RUN, "in_progress", None)]));
    hub.set(&run_path("/jobs"), message(500));
    let server = hub.serve().await;
    let mut bench = bench(&server);
    let told = bench.look(&Focus::default()).await.unwrap();
    assert_eq!(told.failures().len(), 1);
    // Newer runs push it out of the list.
    let newer: Vec<_> = (1..=6)
        .map(|number| run_json(RUN + number, "completed", Some("success")))
        .collect();
    let mut ended = newer.clone();
    ended.push(run_json(RUN, "completed", Some("success")));
    hub.set(LIST, runs_json(&ended));
    for number in 1..=6 {
        let path = format!("/actions/runs/{}/jobs", RUN + number);
        hub.set(&super::repo(&path), super::jobs_json(&[]));
        let path = format!("/actions/runs/{}/approvals", RUN + number);
        hub.set(&super::repo(&path), Reply::json(200, &json!([])));
    }
    let told = bench.look_after(60, &Focus::default()).await.unwrap();
    let healed = told.batch(&format!("jobs acme/recsys#{RUN}")).unwrap();
    assert!(healed.facts.is_empty() && !healed.complete);
}

#[tokio::test]
async fn a_rate_limit_stops_every_feed_of_the_token_until_it_is_over() {
    let hub = waiting_hub();
    hub.set(LIST, message(429).with("retry-after", "90"));
    let server = hub.serve().await;
    let mut bench = bench(&server);
    let error = bench.look(&Focus::default()).await.err().unwrap();
    assert_eq!(error.retry_after, Some(Duration::from_secs(90)));
    let asked = server.seen().len();
    let other = bench.feed("account").poll(&Focus::default()).await;
    assert_eq!(other.err().unwrap().kind, ErrorKind::RateLimited);
    assert_eq!(server.seen().len(), asked, "nothing was asked");
    bench.clock.pass(chrono::TimeDelta::seconds(91));
    assert!(bench.feed("account").poll(&Focus::default()).await.is_ok());
}
