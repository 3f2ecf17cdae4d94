//! Orders to a server that refuses, garbles, stalls and breaks: whether they may
//! have happened, and that they are sent once.

use std::time::Duration;

use gonogo::{
    backend::{BackendError, ErrorKind},
    domain::{
        action::{RolloutAction, RolloutSeen},
        id::TargetKind,
    },
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    TOKEN,
    faults::{ranker_bench, status},
    order, target,
};
use crate::support::script::{Reply, Script, Seen};

fn has_status(seen: &Seen) -> Option<Reply> {
    (seen.path() == "/apis/argoproj.io/v1alpha1").then(|| {
        Reply::json(200, &json!({"kind": "APIResourceList", "resources": [
            {"name": "rollouts", "kind": "Rollout"}, {"name": "rollouts/status", "kind": "Rollout"},
        ]}))
    })
}

/// What sending an abort ends with when the patch is answered so. Exactly one
/// patch is ever sent.
async fn aborted(reply: Reply) -> Result<u16, BackendError> {
    let server = Script::start(move |seen| has_status(seen).unwrap_or_else(|| reply.clone())).await;
    let bench = ranker_bench(&server.url());
    let abort = order(
        &target(TargetKind::Rollout, "ranker"),
        RolloutAction::Abort,
        RolloutSeen {
            uid: "u".into(),
            pod_hash: Some("h".into()),
            step: Some(1),
            paused_since: None,
        },
    );
    let result = bench.send(&abort).await;
    let sent = server.mutations();
    assert_eq!(sent.len(), 1, "{result:?}");
    assert_eq!(sent[0].method, "PATCH");
    assert_eq!(
        sent[0].header("content-type"),
        Some("application/json-patch+json")
    );
    if let Err(error) = &result {
        assert!(!error.to_string().contains("planted"), "{error}");
    }
    result.map(|receipt| receipt.status)
}

#[tokio::test]
async fn every_way_to_fail_an_order_says_whether_it_may_have_happened() {
    let moved = json!({"kind": "Status", "reason": "Invalid", "details": {}, "code": 422,
        "message": "the server rejected our request due to an error in our request"});
    let schema = json!({"kind": "Status", "reason": "Invalid", "code": 422, "message": "status.abort: Invalid value",
        "details": {"causes": [{"reason": "FieldValueInvalid", "field": "status.abort"}]}});
    for (reply, kind) in [
        (status(400, "no"), ErrorKind::Rejected),
        (status(401, "Unauthorized"), ErrorKind::Unauthenticated),
        (
            status(403, "rollouts.argoproj.io \"ranker\" is forbidden"),
            ErrorKind::Forbidden,
        ),
        (status(404, "not found"), ErrorKind::NotFound),
        (status(409, "conflict"), ErrorKind::Conflict),
        (Reply::json(422, &moved), ErrorKind::Conflict),
        (Reply::json(422, &schema), ErrorKind::Rejected),
        (status(429, "slow down"), ErrorKind::RateLimited),
        (status(408, "late"), ErrorKind::Ambiguous),
        (status(500, "no"), ErrorKind::Ambiguous),
        (status(504, "no"), ErrorKind::Ambiguous),
        (
            Reply::status(307).with("location", "http://127.0.0.1:9/planted"),
            ErrorKind::Malformed,
        ),
        (
            Reply::text(200, "text/html", "<html>planted"),
            ErrorKind::Ambiguous,
        ),
        (
            Reply::text(200, "application/json", "{\"metadata\""),
            ErrorKind::Ambiguous,
        ),
        (
            Reply::CutOff {
                promised: 900,
                body: b"{".to_vec(),
            },
            ErrorKind::Ambiguous,
        ),
        (Reply::Hang, ErrorKind::Ambiguous),
        (Reply::Reset, ErrorKind::Ambiguous),
    ] {
        let said = format!("{reply:?}");
        let error = aborted(reply).await.unwrap_err();
        assert_eq!(error.kind, kind, "{said}: {error}");
        assert!(
            error
                .message
                .contains("patch rollouts/status `ranker` in `recsys`"),
            "{error}"
        );
    }
    let accepted = Reply::json(200, &json!({"metadata": {"resourceVersion": "77"}}));
    assert_eq!(aborted(accepted).await.unwrap(), 200);
}

#[tokio::test]
async fn cluster_trap_11_an_order_answered_503_is_sent_once() {
    let started = Instant::now();
    let error = aborted(status(503, "try later").with("retry-after", "1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Ambiguous);
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_credential_that_is_echoed_is_not_shown() {
    let echo = status(403, &format!("token {TOKEN} is not allowed"));
    let error = aborted(echo).await.unwrap_err();
    assert!(error.message.contains("[secret]"), "{error}");
}

#[tokio::test]
async fn an_order_that_cannot_reach_the_server_did_not_happen() {
    let server = Script::always(Reply::Hang).await;
    let url = server.url();
    drop(server);
    let hold = order(
        &target(TargetKind::Rollout, "ranker"),
        RolloutAction::Hold,
        RolloutSeen {
            uid: "u".into(),
            pod_hash: None,
            step: None,
            paused_since: None,
        },
    );
    let error = ranker_bench(&url).send(&hold).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn cluster_trap_8_discovery_says_where_the_status_is_patched() {
    for (resources, path, content_type) in [
        (
            json!([{"name": "rollouts"}, {"name": "rollouts/status"}]),
            "/status",
            "application/json-patch+json",
        ),
        (
            json!([{"name": "rollouts"}]),
            "/ranker",
            "application/merge-patch+json",
        ),
    ] {
        let server = Script::start(move |seen| {
            if seen.path() == "/apis/argoproj.io/v1alpha1" {
                return Reply::json(200, &json!({"resources": resources}));
            }
            // The object is gone: no reason to try the other way.
            status(404, "rollouts.argoproj.io \"ranker\" not found")
        })
        .await;
        let bench = ranker_bench(&server.url());
        let abort = order(
            &target(TargetKind::Rollout, "ranker"),
            RolloutAction::Abort,
            RolloutSeen {
                uid: "u".into(),
                pod_hash: None,
                step: None,
                paused_since: None,
            },
        );
        let error = bench.send(&abort).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        let sent = server.mutations();
        assert_eq!(sent.len(), 1);
        assert!(sent[0].path().ends_with(path), "{}", sent[0].target);
        assert_eq!(sent[0].header("content-type"), Some(content_type));
        let preview = bench
            .backend
            .controls
            .rollout
            .as_ref()
            .unwrap()
            .preview(&abort);
        assert_eq!(preview.content_type, content_type);
        assert_eq!(preview.path, sent[0].target.as_str());
        assert_eq!(
            preview.body,
            String::from_utf8(sent[0].body.clone()).unwrap().as_str()
        );
    }
}
