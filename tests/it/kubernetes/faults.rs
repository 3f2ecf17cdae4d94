//! A server that refuses, garbles, stalls and breaks, and what reads say of it.

use std::time::Duration;

use gonogo::{
    backend::{BackendError, ErrorKind},
    domain::{
        action::{RolloutAction, RolloutSeen},
        id::TargetKind,
        observation::Observation,
    },
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Bench, TOKEN, bench, bench_with, catalog, order, target};
use crate::support::{
    script::{Reply, Script, Seen},
    setup::setup,
};

pub(super) fn ranker_bench(url: &str) -> Bench {
    bench(url, TOKEN, &[target(TargetKind::Rollout, "ranker")])
}

pub(super) fn status(code: u16, message: &str) -> Reply {
    Reply::json(
        code,
        &json!({"kind": "Status", "status": "Failure", "message": message, "code": code}),
    )
}

/// What the stream of a namespace ends with when every list is answered so.
async fn listed(reply: Reply) -> BackendError {
    let server = Script::always(reply).await;
    let mut running = ranker_bench(&server.url()).run("rollouts");
    let error = running.end().await.unwrap_err();
    let most = if error.kind == ErrorKind::Conflict {
        2
    } else {
        1
    };
    for kind in ["rollouts", "replicasets", "analysisruns"] {
        let asked = server
            .seen()
            .iter()
            .filter(|seen| seen.path().ends_with(kind))
            .count();
        assert!(asked <= most, "{kind} was asked {asked} times: {error}");
    }
    assert!(!error.to_string().contains("planted"), "{error}");
    error
}

#[tokio::test]
async fn every_way_to_fail_a_read_has_its_kind() {
    for (reply, kind) in [
        (status(401, "Unauthorized"), ErrorKind::Unauthenticated),
        (status(409, "no"), ErrorKind::Conflict),
        (status(422, "no"), ErrorKind::Rejected),
        (status(500, "no"), ErrorKind::Server),
        (
            Reply::text(200, "text/html", "<html>planted"),
            ErrorKind::Malformed,
        ),
        (
            Reply::text(203, "text/html", "<html>planted"),
            ErrorKind::Malformed,
        ),
        (
            Reply::text(200, "application/json", "{\"items\": ["),
            ErrorKind::Malformed,
        ),
        (Reply::json(200, &json!({"items": 5})), ErrorKind::Malformed),
        (Reply::json(200, &json!([1, 2])), ErrorKind::Malformed),
        (
            Reply::status(302).with("location", "http://127.0.0.1:9/planted"),
            ErrorKind::Malformed,
        ),
        (
            Reply::CutOff {
                promised: 900,
                body: b"{\"items\"".to_vec(),
            },
            ErrorKind::Malformed,
        ),
        (Reply::Hang, ErrorKind::Timeout),
        (Reply::Reset, ErrorKind::Unreachable),
    ] {
        let said = format!("{reply:?}");
        let error = listed(reply).await;
        assert_eq!(error.kind, kind, "{said}: {error}");
        assert!(error.message.contains("in `recsys`"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let server = Script::always(Reply::Flood(50_000_000)).await;
    // Reading up to the limit may take longer than the other tests' whole time.
    let setup = setup(catalog(&[target(TargetKind::Rollout, "ranker")]), &[]);
    let patient = "timeout = '20s', watch_timeout = '20s'";
    let mut running = bench_with(&server.url(), TOKEN, &setup, patient).run("rollouts");
    let error = running.end().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Malformed, "{error}");
    assert!(error.message.contains("larger than 32 MiB"), "{error}");
}

#[tokio::test]
async fn the_time_the_server_asks_for_is_passed_on() {
    let error = listed(status(429, "slow down").with("retry-after", "7")).await;
    assert_eq!(error.kind, ErrorKind::RateLimited);
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn crates_trap_1_a_read_that_was_answered_503_is_not_repeated() {
    let started = Instant::now();
    let error = listed(status(503, "try later")).await;
    assert_eq!(error.kind, ErrorKind::Server);
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn nobody_there_is_not_reached() {
    let server = Script::always(Reply::Hang).await;
    let url = server.url();
    drop(server);
    let mut running = ranker_bench(&url).run("rollouts");
    assert_eq!(
        running.end().await.unwrap_err().kind,
        ErrorKind::Unreachable
    );
}

#[tokio::test]
async fn crates_trap_4_a_tls_failure_is_an_error_and_no_panic() {
    // Plain HTTP where TLS is expected; whichever client is made first, there
    // is one TLS provider.
    let server = Script::always(Reply::status(200)).await;
    let url = server.url().replace("http://", "https://");
    let bench = ranker_bench(&url);
    let abort = order(
        &target(TargetKind::Rollout, "ranker"),
        RolloutAction::Hold,
        RolloutSeen {
            uid: "u".into(),
            pod_hash: None,
            step: None,
            paused_since: None,
        },
    );
    assert_eq!(
        bench.send(&abort).await.unwrap_err().kind,
        ErrorKind::Unreachable
    );
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn what_we_may_not_list_is_told_and_the_rest_works_on() {
    let server = Script::start(|seen| {
        if seen.path().ends_with("/replicasets") {
            return status(403, "replicasets.apps is forbidden: User \"jane\" cannot list resource");
        }
        if seen.target.contains("watch=1") {
            return Reply::Hang;
        }
        let items = if seen.path().ends_with("/rollouts") {
            json!([{"metadata": {"name": "ranker", "namespace": "recsys", "uid": "u1", "resourceVersion": "5"}}])
        } else {
            json!([])
        };
        Reply::json(200, &json!({"metadata": {"resourceVersion": "5"}, "items": items}))
    })
    .await;
    let mut running = ranker_bench(&server.url()).run("rollouts");
    let (mut failure, mut complete) = (None, None);
    while failure.is_none() || complete.is_none() {
        match running.next().await {
            Observation::Failure(told) => failure = Some(told),
            Observation::Batch(batch) if batch.complete => complete = Some(batch),
            _ => {}
        }
    }
    let failure = failure.unwrap();
    assert_eq!(
        (failure.kind, failure.scope.part.as_str()),
        (ErrorKind::Forbidden, "replicasets recsys")
    );
    assert!(
        failure.message.contains("cannot list resource"),
        "{}",
        failure.message
    );
    assert!(failure.retry_at.is_some());
    assert_eq!(super::rollouts(&complete.unwrap()).len(), 1);
}

/// As after a restore of its store, when its watch cache knows other versions.
#[tokio::test]
async fn a_server_that_forgets_each_list_at_once_is_asked_slowly_and_reported() {
    let said = "too old resource version: 5 (9)";
    let event =
        json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": said}});
    for refusal in [
        status(410, said),
        Reply::text(200, "application/json", &format!("{event}\n")),
    ] {
        let shown = format!("{refusal:?}");
        let server = Script::start(move |seen| {
            if seen.target.contains("watch=1") {
                return refusal.clone();
            }
            Reply::json(
                200,
                &json!({"metadata": {"resourceVersion": "5"}, "items": []}),
            )
        })
        .await;
        let started = Instant::now();
        let error = ranker_bench(&server.url())
            .run("rollouts")
            .end()
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict, "{shown}: {error}");
        assert!(error.message.contains("too old"), "{shown}: {error}");
        let took = started.elapsed();
        assert!(Duration::from_secs(3) <= took, "{shown}: {took:?}");
        for kind in ["rollouts", "replicasets", "analysisruns"] {
            let seen = server.seen();
            let of_kind = seen.iter().filter(|seen| seen.path().ends_with(kind));
            let lists = of_kind.filter(|seen| !seen.target.contains("watch=1"));
            assert!(lists.count() <= 3, "{shown}: {kind}");
        }
    }
}

#[tokio::test]
async fn crates_trap_3_one_malformed_object_does_not_break_the_list() {
    let server = Script::start(|seen| {
        if seen.target.contains("watch=1") {
            return Reply::Hang;
        }
        let items = if seen.path().ends_with("/rollouts") {
            json!([
                {"metadata": {"name": "odd", "namespace": "recsys", "uid": "u1"}, "spec": {"replicas": "three"}},
                {"metadata": {"name": "ranker", "namespace": "recsys", "uid": "u2"}},
            ])
        } else {
            json!([])
        };
        Reply::json(200, &json!({"metadata": {"resourceVersion": "5"}, "items": items}))
    })
    .await;
    let mut running = ranker_bench(&server.url()).run("rollouts");
    let Observation::Failure(failure) = running.next().await else {
        panic!("the malformed one is told first");
    };
    assert_eq!(failure.kind, ErrorKind::Malformed);
    assert_eq!(failure.scope.part, "rollouts recsys/odd");
    let batch = running.next_batch().await;
    let told = super::rollouts(&batch);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].id.name, "ranker");
    assert!(
        !batch.complete,
        "it cannot speak for what it could not read"
    );
}

#[tokio::test]
async fn a_cluster_without_argo_rollouts_has_none() {
    let server = Script::start(|seen| {
        if seen.target.contains("watch=1") {
            return Reply::Hang;
        }
        if seen.path().contains("argoproj.io") {
            return Reply::text(404, "text/plain", "404 page not found\n");
        }
        Reply::json(
            200,
            &json!({"metadata": {"resourceVersion": "1"}, "items": []}),
        )
    })
    .await;
    let mut running = ranker_bench(&server.url()).run("rollouts");
    let batch = running.next_batch().await;
    assert!(batch.complete && batch.facts.is_empty());
    assert_eq!(batch.scope.part, "rollouts recsys");
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_never_from_a_cache() {
    let page = |names: &[&str], next: &str| {
        let items: Vec<Value> = names
            .iter()
            .map(|name| json!({"metadata": {"name": name, "namespace": "recsys", "uid": name}}))
            .collect();
        json!({"metadata": {"resourceVersion": "9", "continue": next}, "items": items})
    };
    let (first, second) = (page(&["a", "b"], "more/=+"), page(&["c"], ""));
    let server = Script::start(move |seen| {
        if seen.target.contains("watch=1") {
            return Reply::Hang;
        }
        if !seen.path().ends_with("/rollouts") {
            return Reply::json(200, &json!({"items": null}));
        }
        Reply::json(
            200,
            if seen.target.contains("continue=more%2F%3D%2B") {
                &second
            } else {
                &first
            },
        )
    })
    .await;
    let mut running = ranker_bench(&server.url()).run("rollouts");
    let batch = running.next_batch().await;
    let names: Vec<String> = super::rollouts(&batch)
        .iter()
        .map(|r| r.id.name.to_string())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    for seen in server.seen() {
        assert!(
            seen.target.contains("watch=1") || !seen.target.contains("resourceVersion"),
            "{}",
            seen.target
        );
        // Not every server has streaming lists, and none needs them here.
        assert!(
            !seen.target.contains("sendInitialEvents"),
            "cluster_trap_13: {}",
            seen.target
        );
        assert!(
            !seen.path().contains("/pods"),
            "cluster_trap_14: {}",
            seen.target
        );
        assert_eq!(
            seen.header("authorization"),
            Some(format!("Bearer {TOKEN}").as_str())
        );
        assert!(seen.header("user-agent").unwrap().starts_with("gonogo/"));
    }
}

#[tokio::test]
async fn cluster_trap_13_lists_do_not_need_streaming_lists() {
    let server = Script::always(Reply::json(200, &json!({"metadata": {}, "items": []}))).await;
    let mut running = ranker_bench(&server.url()).run("rollouts");
    running.next_batch().await;
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| !seen.target.contains("sendInitialEvents"))
    );
}

#[tokio::test]
async fn cluster_trap_14_pods_are_never_listed() {
    let server = Script::always(Reply::json(200, &json!({"metadata": {}, "items": []}))).await;
    let mut running = ranker_bench(&server.url()).run("rollouts");
    running.next_batch().await;
    let sets: Vec<Seen> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.path().ends_with("replicasets"))
        .collect();
    assert!(sets.iter().all(|seen| {
        seen.target
            .contains("labelSelector=rollouts-pod-template-hash")
    }));
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| !seen.path().contains("/pods"))
    );
}
