//! Orders: what is sent, how often, and what its answer means.

use gonogo::{
    backend::{BackendError, ErrorKind},
    domain::{
        action::{ApprovalOrder, ApprovalSeen, Receipt, RunAction, RunOrder, Say},
        id::{ApprovalId, BackendId, PipelineId},
    },
};
use serde_json::{Value, json};

use super::{
    Bench, Hub, RUN, SHA, TOKEN, bench, bench_at, pending_json, run_id, run_json, run_path,
    waiting_hub,
};
use crate::support::script::{Reply, Script};

const PENDING: &str = "/pending_deployments";

pub(super) fn approval(answer: Say) -> ApprovalOrder {
    ApprovalOrder {
        approval: ApprovalId {
            run: run_id(RUN),
            environment: 161_088_068,
        },
        answer,
        comment: "looks good: it's \"fine\"".into(),
        seen: ApprovalSeen {
            attempt: 1,
            head_sha: SHA.into(),
            environment: "production".into(),
        },
    }
}

pub(super) fn on_run(action: RunAction) -> RunOrder {
    let dispatch = matches!(action, RunAction::Dispatch { .. });
    RunOrder {
        pipeline: PipelineId {
            backend: BackendId::new("gh"),
            repo: "acme/recsys".into(),
            workflow: "ml-cicd.yml".into(),
        },
        run: (!dispatch).then(|| run_id(RUN)),
        action,
        seen_attempt: u32::from(!dispatch),
    }
}

pub(super) fn dispatch() -> RunAction {
    RunAction::Dispatch {
        reference: "main".into(),
        inputs: vec![("version".into(), "42".into())],
    }
}

impl Bench {
    pub(super) async fn answer(&self, order: &ApprovalOrder) -> Result<Receipt, BackendError> {
        self.backend
            .controls
            .approval
            .clone()
            .unwrap()
            .send(order)
            .await
    }

    pub(super) async fn act(&self, order: &RunOrder) -> Result<Receipt, BackendError> {
        self.backend.controls.run.clone().unwrap().send(order).await
    }
}

/// A hub where every order finds what it expects; `reply` answers all mutations.
fn ready(action: &RunAction, reply: &Reply) -> Hub {
    let hub = waiting_hub();
    if matches!(action, RunAction::RerunAll | RunAction::RerunFailed) {
        let ended = run_json(RUN, "completed", Some("failure"));
        hub.set(&run_path(""), Reply::json(200, &ended));
    }
    for path in [PENDING, "/rerun", "/rerun-failed-jobs", "/cancel"] {
        hub.set(&run_path(path).replace("GET", "POST"), reply.clone());
    }
    hub.set(
        "POST /repos/acme/recsys/actions/workflows/ml-cicd.yml/dispatches",
        reply.clone(),
    );
    hub
}

/// Gives each kind of order to a server that answers `reply`.
async fn each(reply: Reply) -> Vec<(Result<Receipt, BackendError>, Script)> {
    let mut results = Vec::new();
    for answer in [Say::Yes, Say::No] {
        let server = ready(&RunAction::Cancel, &reply).serve().await;
        let result = bench(&server).answer(&approval(answer)).await;
        results.push((result, server));
    }
    for action in [
        RunAction::RerunAll,
        RunAction::RerunFailed,
        RunAction::Cancel,
        dispatch(),
    ] {
        let server = ready(&action, &reply).serve().await;
        let result = bench(&server).act(&on_run(action)).await;
        results.push((result, server));
    }
    results
}

#[tokio::test]
async fn each_order_is_one_request_to_the_right_place() {
    let results = each(Reply::json(201, &json!({}))).await;
    let run = format!("/repos/acme/recsys/actions/runs/{RUN}");
    let body = |state: &str| {
        json!({"environment_ids": [161_088_068], "state": state,
               "comment": "looks good: it's \"fine\""})
    };
    let expected: [(String, Option<Value>); 6] = [
        (format!("{run}/pending_deployments"), Some(body("approved"))),
        (format!("{run}/pending_deployments"), Some(body("rejected"))),
        (format!("{run}/rerun"), None),
        (format!("{run}/rerun-failed-jobs"), None),
        (format!("{run}/cancel"), None),
        (
            "/repos/acme/recsys/actions/workflows/ml-cicd.yml/dispatches".to_owned(),
            Some(json!({"ref": "main", "inputs": {"version": "42"}, "return_run_details": true})),
        ),
    ];
    for ((result, server), (path, body)) in results.iter().zip(expected) {
        assert_eq!(result.as_ref().unwrap().status, 201);
        let sent = server.mutations();
        assert_eq!(sent.len(), 1);
        assert_eq!(
            (sent[0].method.as_str(), sent[0].target.as_str()),
            ("POST", path.as_str())
        );
        match body {
            Some(body) => assert_eq!(sent[0].json(), body),
            None => assert!(sent[0].body.is_empty()),
        }
    }
}

#[tokio::test]
async fn hosted_trap_11_what_may_have_happened_is_ambiguous_and_never_sent_twice() {
    let page = Reply::text(200, "text/html", "<title>Sign in</title>");
    let cut = Reply::CutOff {
        promised: 99,
        body: b"{".to_vec(),
    };
    for reply in [
        Reply::Hang,
        Reply::Reset,
        Reply::json(500, &json!({"message": "oops"})),
        Reply::status(502),
        Reply::status(504),
        page,
        cut,
        Reply::Flood(50_000_000),
    ] {
        let name = format!("{reply:?}");
        for (result, server) in each(reply).await {
            assert_eq!(result.unwrap_err().kind, ErrorKind::Ambiguous, "{name}");
            assert_eq!(server.mutations().len(), 1, "{name}");
        }
    }
}

#[tokio::test]
async fn what_github_refuses_did_not_happen_and_says_why() {
    for (status, kind) in [
        (401, ErrorKind::Unauthenticated),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (409, ErrorKind::Conflict),
        (422, ErrorKind::Rejected),
        (429, ErrorKind::RateLimited),
    ] {
        let body = json!({"message": format!("cannot, {TOKEN}")});
        for (result, server) in each(Reply::json(status, &body)).await {
            let error = result.unwrap_err();
            assert_eq!(error.kind, kind);
            assert!(error.message.contains("cannot, [secret]"), "{error}");
            assert_eq!(server.mutations().len(), 1);
        }
    }
    let elsewhere = Script::always(Reply::status(200)).await;
    for status in [301, 302, 307, 308] {
        let reply = Reply::status(status).with("location", &elsewhere.url());
        for (result, server) in each(reply).await {
            assert_eq!(result.unwrap_err().kind, ErrorKind::Malformed);
            assert_eq!(server.mutations().len(), 1);
        }
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn without_a_connection_nothing_happened() {
    let bench = bench_at("http://127.0.0.1:9");
    let error = bench.answer(&approval(Say::Yes)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    let error = bench.act(&on_run(dispatch())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

/// Something that happens between the look and the order.
type Change = fn(&Hub);

#[tokio::test]
async fn an_approval_that_moved_is_refused_before_anything_is_sent() {
    let ok = Reply::json(200, &json!([]));
    let changes: [(Change, ErrorKind, &str); 6] = [
        (
            |hub| {
                let mut run = run_json(RUN, "waiting", None);
                run["run_attempt"] = json!(2);
                hub.set(&run_path(""), Reply::json(200, &run));
            },
            ErrorKind::Conflict,
            "at attempt 2 now, you saw 1",
        ),
        (
            |hub| {
                let mut run = run_json(RUN, "waiting", None);
                run["head_sha"] = json!("0".repeat(40));
                hub.set(&run_path(""), Reply::json(200, &run));
            },
            ErrorKind::Conflict,
            "another commit",
        ),
        (
            |hub| hub.set(&run_path(PENDING), Reply::json(200, &json!([]))),
            ErrorKind::Conflict,
            "`production` does not wait",
        ),
        (
            |hub| {
                let renamed = json!([{"environment": {"id": 161_088_068, "name": "staging"}}]);
                hub.set(&run_path(PENDING), Reply::json(200, &renamed));
            },
            ErrorKind::Conflict,
            "`production` does not wait",
        ),
        (
            |hub| hub.set(&run_path(PENDING), pending_json(false)),
            ErrorKind::Forbidden,
            "reviewers: ada, release-managers",
        ),
        (
            |hub| hub.set(&run_path(PENDING), Reply::status(500)),
            ErrorKind::Server,
            "HTTP 500",
        ),
    ];
    for (change, kind, words) in changes {
        for say in [Say::Yes, Say::No] {
            let hub = ready(&RunAction::Cancel, &ok);
            change(&hub);
            let server = hub.serve().await;
            let error = bench(&server).answer(&approval(say)).await.unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.contains(words), "{error}");
            assert!(server.mutations().is_empty(), "{words}");
        }
    }
}

#[tokio::test]
async fn a_rerun_or_cancel_of_a_run_that_moved_is_refused_before_anything_is_sent() {
    let ended = run_json(RUN, "completed", Some("failure"));
    let active = run_json(RUN, "in_progress", None);
    let mut second = ended.clone();
    second["run_attempt"] = json!(2);
    for (action, run, words) in [
        (RunAction::RerunAll, &active, "has not ended"),
        (RunAction::RerunFailed, &second, "at attempt 2 now"),
        (RunAction::Cancel, &ended, "has ended already"),
        (RunAction::Cancel, &second, "at attempt 2 now"),
    ] {
        let hub = ready(&action, &Reply::status(201));
        hub.set(&run_path(""), Reply::json(200, run));
        let server = hub.serve().await;
        let error = bench(&server).act(&on_run(action)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert!(error.message.contains(words), "{error}");
        assert!(server.mutations().is_empty());
    }
}

#[tokio::test]
async fn hosted_trap_10_accepted_is_only_a_receipt() {
    let server = ready(&RunAction::Cancel, &Reply::json(202, &Value::Null))
        .serve()
        .await;
    let receipt = bench(&server)
        .act(&on_run(RunAction::Cancel))
        .await
        .unwrap();
    assert_eq!(
        (receipt.status, receipt.version, receipt.note.as_str()),
        (202, None, "")
    );
}

#[tokio::test]
async fn hosted_trap_13_a_dispatch_fits_what_the_server_can_do() {
    // github.com names the run it made, in the words of its own example.
    let example = include_str!("../../fixtures/github/openapi-dispatch.json");
    let made = Reply::text(200, "application/json", example);
    let server = ready(&dispatch(), &made).serve().await;
    let receipt = bench(&server).act(&on_run(dispatch())).await.unwrap();
    let example: Value = serde_json::from_str(example).unwrap();
    assert_eq!(
        receipt.note,
        format!("run {}", example["workflow_run_id"]).as_str()
    );
    // An Enterprise Server is not sent the field and answers without a body.
    let path = "/api/v3/repos/acme/recsys/actions/workflows/ml-cicd.yml/dispatches";
    let hub = Hub::default();
    hub.set(&format!("POST {path}"), Reply::status(204));
    let server = hub.serve().await;
    let bench = bench_at(&format!("{}/api/v3", server.url()));
    let receipt = bench.act(&on_run(dispatch())).await.unwrap();
    assert_eq!((receipt.status, receipt.note.as_str()), (204, ""));
    let sent = server.mutations();
    assert_eq!(
        sent[0].json(),
        json!({"ref": "main", "inputs": {"version": "42"}})
    );
}

#[test]
fn a_preview_names_the_request_its_check_and_a_command_to_paste() {
    let bench = bench_at("https://api.github.com");
    let approvals = bench.backend.controls.approval.clone().unwrap();
    let preview = approvals.preview(&approval(Say::Yes));
    let path = format!("/repos/acme/recsys/actions/runs/{RUN}/pending_deployments");
    assert_eq!(
        (preview.method, preview.path.as_str()),
        ("POST", path.as_str())
    );
    assert_eq!(
        preview.body,
        r#"{"environment_ids":[161088068],"state":"approved","comment":"looks good: it's \"fine\""}"#
    );
    assert!(preview.check.contains("attempt 1") && preview.check.contains(SHA));
    assert_eq!(
        preview.command,
        format!(
            "printf %s '{}' | gh api --method POST 'repos/acme/recsys/actions/runs/{RUN}/\
             pending_deployments' --input -",
            preview.body.replace('\'', r"'\''")
        )
        .as_str()
    );
    let runs = bench.backend.controls.run.clone().unwrap();
    let preview = runs.preview(&on_run(RunAction::RerunFailed));
    let command =
        format!("gh api --method POST 'repos/acme/recsys/actions/runs/{RUN}/rerun-failed-jobs'");
    assert_eq!(preview.command, command.as_str());
    let server = bench_at("https://ghe.example.com/api/v3");
    let preview = server
        .backend
        .controls
        .run
        .clone()
        .unwrap()
        .preview(&on_run(dispatch()));
    assert_eq!(
        preview.command,
        "printf %s '{\"ref\":\"main\",\"inputs\":{\"version\":\"42\"}}' | \
         gh api --hostname ghe.example.com --method POST \
         'repos/acme/recsys/actions/workflows/ml-cicd.yml/dispatches' --input -"
    );
    assert!(!format!("{preview:?}").contains(TOKEN));
}
