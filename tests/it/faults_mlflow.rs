//! Everything that can go wrong between us and an MLflow server.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use gonogo::{
    backend::{BackendError, ErrorKind},
    domain::{action::ModelOrder, catalog::Catalog, id::Version},
};

use crate::support::{
    backend::{Told, build, feed, fixture, fixture_json, look},
    release::{catalog, model},
    script::{Reply, Script, Seen},
    setup::setup,
};

const TOKEN: &str = "planted-mlflow-token-1";

fn backend(url: &str) -> gonogo::backend::Backend {
    let setup = setup(catalog(Vec::new()), &[("TOKEN", TOKEN)]);
    let section =
        format!("{{ url = '{url}', token = 'env:TOKEN', timeout = '300ms', max_body = '1 MiB' }}");
    build("mlflow", &section, &setup).unwrap()
}

fn well(seen: &Seen) -> Reply {
    match seen.path() {
        "/version" => Reply::text(200, "text/html; charset=utf-8", "3.17.2"),
        "/api/2.0/mlflow/registered-models/get" => {
            Reply::json(200, &fixture_json("mlflow/registered_models_get.json"))
        }
        "/api/2.0/mlflow/model-versions/search" => {
            Reply::json(200, &fixture_json("mlflow/model_versions_search.json"))
        }
        "/api/2.0/mlflow/model-versions/get" => {
            Reply::json(200, &fixture_json("mlflow/model_versions_get.json"))
        }
        "/api/2.0/mlflow/runs/get" => Reply::json(200, &fixture_json("mlflow/runs_get.json")),
        "/api/2.0/mlflow/registered-models/alias" => Reply::json(200, &serde_json::json!({})),
        _ => Reply::text(
            404,
            "text/html; charset=utf-8",
            &fixture("mlflow/error_unknown_endpoint.txt"),
        ),
    }
}

/// Looks while everything fails this way, then again once it is over.
async fn through(part: &str, bad: Reply) -> (BackendError, Told) {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = broken.clone();
    let server = Script::start(move |seen| {
        if is_broken.load(Ordering::SeqCst) {
            bad.clone()
        } else {
            well(seen)
        }
    })
    .await;
    let mut poll = feed(backend(&server.url()), part);
    let error = look(&mut *poll).await.expect_err("nothing could be read");
    broken.store(false, Ordering::SeqCst);
    let told = look(&mut *poll).await.expect("it answers again");
    (error, told)
}

#[track_caller]
fn is(error: &BackendError, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(words), "{error}");
}

#[tokio::test]
async fn each_trouble_is_named_and_healed_by_the_next_look() {
    let page = "<!doctype html><title>Sign in</title>";
    let captured = |name: &str, status| Reply::text(status, "text/html", &fixture(name));
    let cases = [
        (
            captured("mlflow/auth/unauthenticated.txt", 401),
            ErrorKind::Unauthenticated,
            "not authenticated",
        ),
        (
            captured("mlflow/auth/permission_denied_set_alias.txt", 403),
            ErrorKind::Forbidden,
            "Permission denied",
        ),
        (
            captured("mlflow/error_host_header.txt", 403),
            ErrorKind::Forbidden,
            "Invalid Host header",
        ),
        (Reply::status(409), ErrorKind::Conflict, "409"),
        (
            Reply::json(422, &serde_json::json!({"message": "no"})),
            ErrorKind::Rejected,
            "no",
        ),
        (
            Reply::json(
                500,
                &fixture_json(
                    "mlflow/auth/webhooks_list_after_restart_without_encryption_key.json",
                ),
            ),
            ErrorKind::Server,
            "INTERNAL_ERROR",
        ),
        (
            Reply::text(200, "text/html", page),
            ErrorKind::Malformed,
            "",
        ),
        (
            Reply::text(203, "text/html", page),
            ErrorKind::Malformed,
            "",
        ),
        (
            Reply::CutOff {
                promised: 4_000,
                body: b"{\"registered_model\":".to_vec(),
            },
            ErrorKind::Malformed,
            "broke off",
        ),
        (Reply::Hang, ErrorKind::Timeout, "no answer in time"),
        (Reply::Reset, ErrorKind::Unreachable, "connection broke"),
        (
            Reply::Flood(50 * 1024 * 1024),
            ErrorKind::Malformed,
            "larger than",
        ),
    ];
    for (reply, kind, words) in cases {
        let (error, told) = through("model wdbc-screening", reply.clone()).await;
        is(&error, kind, words);
        assert!(told.batch("model wdbc-screening").complete);
        let (error, told) = through("access", reply).await;
        is(&error, kind, words);
        assert!(told.batch("access").complete);
    }
}

#[tokio::test]
async fn registry_trap_6_an_unknown_route_is_a_web_page_and_says_so() {
    let page = fixture("mlflow/error_unknown_endpoint.txt");
    let (error, _) = through(
        "model wdbc-screening",
        Reply::text(404, "text/html; charset=utf-8", &page),
    )
    .await;
    is(&error, ErrorKind::NotFound, "a web page: 404 Not Found");
    let missing = fixture_json("mlflow/registered_models_get_missing.json");
    let (error, _) = through("model wdbc-screening", Reply::json(404, &missing)).await;
    is(
        &error,
        ErrorKind::NotFound,
        "Registered Model with name=nope not found",
    );
}

/// Captured refusals and what each of them is.
const REFUSALS: &[(&str, ErrorKind, &str)] = &[
    (
        "registered_models_get_missing.json",
        ErrorKind::NotFound,
        "name=nope not found",
    ),
    (
        "registered_models_alias_get_missing.json",
        ErrorKind::Rejected,
        "alias nope not found",
    ),
    (
        "registered_models_alias_get_missing_model.json",
        ErrorKind::NotFound,
        "name=nope not found",
    ),
    (
        "registered_models_alias_get_uppercase.json",
        ErrorKind::Rejected,
        "alias Champion not found",
    ),
    (
        "registered_models_alias_int_version.json",
        ErrorKind::Rejected,
        "Invalid value 2",
    ),
    (
        "registered_models_alias_set_bad_chars.json",
        ErrorKind::Rejected,
        "Invalid alias name",
    ),
    (
        "registered_models_alias_set_missing_version.json",
        ErrorKind::NotFound,
        "version=99",
    ),
    (
        "registered_models_alias_set_reserved_latest.json",
        ErrorKind::Rejected,
        "is reserved",
    ),
    (
        "registered_models_alias_set_reserved_v1.json",
        ErrorKind::Rejected,
        "'v1' is reserved",
    ),
    (
        "model_versions_get_missing.json",
        ErrorKind::NotFound,
        "version=99",
    ),
    (
        "model_versions_get_nonint.json",
        ErrorKind::Rejected,
        "must be an integer",
    ),
    (
        "model_versions_search_bad_filter.json",
        ErrorKind::Rejected,
        "Invalid clause",
    ),
    (
        "runs_get_missing.json",
        ErrorKind::NotFound,
        "Run with id=0000",
    ),
    ("runs_get_no_param.json", ErrorKind::Rejected, "'run_id'"),
    (
        "error_wrong_type.json",
        ErrorKind::Rejected,
        "experiment_ids",
    ),
    (
        "error_unknown_endpoint.txt",
        ErrorKind::NotFound,
        "404 Not Found",
    ),
    (
        "error_wrong_method.txt",
        ErrorKind::Rejected,
        "405 Method Not Allowed",
    ),
    (
        "error_host_header.txt",
        ErrorKind::Forbidden,
        "Invalid Host header",
    ),
    (
        "error_cors_origin.txt",
        ErrorKind::Forbidden,
        "Cross-origin request blocked",
    ),
    ("server_info_2.txt", ErrorKind::NotFound, "404 Not Found"),
    (
        "auth/unauthenticated.txt",
        ErrorKind::Unauthenticated,
        "not authenticated",
    ),
    (
        "auth/bad_password.txt",
        ErrorKind::Unauthenticated,
        "not authenticated",
    ),
    (
        "auth/bearer_rejected.txt",
        ErrorKind::Unauthenticated,
        "not authenticated",
    ),
    (
        "auth/version_no_auth.txt",
        ErrorKind::Unauthenticated,
        "not authenticated",
    ),
    (
        "auth/permission_denied_set_alias.txt",
        ErrorKind::Forbidden,
        "Permission denied",
    ),
    (
        "auth/alias_get_after_version_deleted.json",
        ErrorKind::Rejected,
        "alias champion not found",
    ),
];

#[tokio::test]
async fn every_captured_refusal_is_understood() {
    let told = ["mlflow/INDEX.jsonl", "mlflow/auth/INDEX.jsonl"].map(fixture);
    for (file, kind, words) in REFUSALS {
        let (folder, name) = match file.split_once('/') {
            Some((_, name)) => (1, name),
            None => (0, *file),
        };
        let line = told[folder]
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .find(|line| line["file"] == name)
            .unwrap();
        let status = u16::try_from(line["status"].as_u64().unwrap()).unwrap();
        let reply = Reply::text(
            status,
            line["content_type"].as_str().unwrap(),
            &fixture(&format!("mlflow/{file}")),
        );
        let (error, _) = through("model wdbc-screening", reply).await;
        is(&error, *kind, words);
    }
}

#[tokio::test]
async fn registry_trap_7_answers_of_other_types_are_no_answers() {
    for odd in [
        "{}",
        "null",
        "[]",
        "{\"registered_model\":{\"name\":7}}",
        "{\"registered_model\":{\"name\":\"m\",\"aliases\":{\"champion\":1}}}",
    ] {
        let (error, _) = through(
            "model wdbc-screening",
            Reply::text(200, "application/json", odd),
        )
        .await;
        is(&error, ErrorKind::Malformed, "no usable JSON");
    }
}

#[tokio::test]
async fn a_rate_limit_tells_how_long_and_nothing_is_asked_meanwhile() {
    let server = Script::always(Reply::status(429).with("retry-after", "7")).await;
    let mut poll = feed(backend(&server.url()), "access");
    let error = look(&mut *poll).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::RateLimited);
    assert_eq!(error.retry_after.unwrap().as_secs(), 7);
    let asked = server.seen().len();
    let error = look(&mut *poll).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::RateLimited);
    assert_eq!(server.seen().len(), asked);
}

#[tokio::test]
async fn the_token_follows_no_redirect_to_another_host() {
    let stranger = Script::always(Reply::status(200)).await;
    let away = format!("{}/stolen", stranger.url());
    for status in [301, 302, 307, 308] {
        let server = Script::always(Reply::status(status).with("location", &away)).await;
        let mut poll = feed(backend(&server.url()), "model wdbc-screening");
        let error = look(&mut *poll).await.unwrap_err();
        is(&error, ErrorKind::Malformed, "redirected to another host");
        let controls = backend(&server.url()).controls.model.unwrap();
        controls.send(&order()).await.unwrap_err();
    }
    assert!(stranger.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_in_a_circle_ends() {
    let server = Script::always(Reply::status(302).with("location", "/again")).await;
    let mut poll = feed(backend(&server.url()), "access");
    let error = look(&mut *poll).await.unwrap_err();
    is(&error, ErrorKind::Malformed, "in a circle");
}

fn order() -> ModelOrder {
    ModelOrder {
        model: model(),
        alias: "champion".into(),
        to: Version(2),
        expected: Some(Version(1)),
    }
}

/// Sends an order to a server that reads well and answers the write this way.
async fn sent(reply: Reply) -> (Result<u16, BackendError>, usize) {
    let server = Script::start(move |seen| {
        if seen.method == "POST" {
            reply.clone()
        } else {
            well(seen)
        }
    })
    .await;
    let controls = backend(&server.url()).controls.model.unwrap();
    let receipt = controls.send(&order()).await;
    (
        receipt.map(|receipt| receipt.status),
        server.mutations().len(),
    )
}

#[tokio::test]
async fn a_write_goes_out_once_and_says_whether_it_may_have_happened() {
    let cases = [
        (Reply::status(401), ErrorKind::Unauthenticated),
        (Reply::status(403), ErrorKind::Forbidden),
        (Reply::status(404), ErrorKind::NotFound),
        (Reply::status(409), ErrorKind::Conflict),
        (Reply::status(422), ErrorKind::Rejected),
        (Reply::status(429), ErrorKind::RateLimited),
        (Reply::status(500), ErrorKind::Ambiguous),
        (Reply::status(502), ErrorKind::Ambiguous),
        (
            Reply::text(200, "text/html", "<title>Sign in</title>"),
            ErrorKind::Ambiguous,
        ),
        (Reply::Hang, ErrorKind::Ambiguous),
        (Reply::Reset, ErrorKind::Ambiguous),
        (
            Reply::CutOff {
                promised: 90,
                body: b"{".to_vec(),
            },
            ErrorKind::Ambiguous,
        ),
        (Reply::Flood(50 * 1024 * 1024), ErrorKind::Ambiguous),
    ];
    for (reply, kind) in cases {
        let what = format!("{reply:?}");
        let (result, mutations) = sent(reply).await;
        let error = result.expect_err(&what);
        assert_eq!(error.kind, kind, "{what}: {error}");
        assert_eq!(mutations, 1, "{what}");
    }
}

/// Repeats the credential it was shown, in the body and in a header.
fn repeating(status: u16) -> Reply {
    let told = format!("unknown credentials Bearer {TOKEN}");
    let body = serde_json::json!({"error_code": "PERMISSION_DENIED", "message": told});
    Reply::json(status, &body).with("www-authenticate", &told)
}

#[tokio::test]
async fn a_credential_that_is_repeated_to_us_is_masked() {
    for status in [400, 401, 403, 409, 422, 500, 503] {
        let (error, _) = through("model wdbc-screening", repeating(status)).await;
        let (result, _) = sent(repeating(status)).await;
        for error in [error, result.unwrap_err()] {
            let all = format!("{error} {error:?}");
            assert!(!all.contains(TOKEN), "{status}: {all}");
            assert!(
                error
                    .message
                    .contains("unknown credentials Bearer [secret]"),
                "{status}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn an_accepted_write_stays_accepted_when_reading_back_fails() {
    let written = Arc::new(AtomicBool::new(false));
    let is_written = written.clone();
    let server = Script::start(move |seen| {
        if seen.method == "POST" {
            is_written.store(true, Ordering::SeqCst);
        } else if is_written.load(Ordering::SeqCst) {
            return Reply::status(503);
        }
        well(seen)
    })
    .await;
    let controls = backend(&server.url()).controls.model.unwrap();
    let receipt = controls.send(&order()).await.unwrap();
    assert_eq!(receipt.status, 200);
    assert!(
        receipt
            .note
            .starts_with("accepted, not read back in 900 ms"),
        "{}",
        receipt.note
    );
    assert!(receipt.note.contains("503"), "{}", receipt.note);
    assert_eq!(server.mutations().len(), 1);
}

#[tokio::test]
async fn a_credential_that_cannot_be_fetched_is_named_and_nobody_is_asked() {
    let server = Script::always(Reply::status(200)).await;
    let setup = setup(Catalog::default(), &[]);
    let section = format!("{{ url = '{}', token = 'env:ABSENT' }}", server.url());
    let backend = build("mlflow", &section, &setup).unwrap();
    let error = look(&mut *feed(backend, "access")).await.unwrap_err();
    is(&error, ErrorKind::Unauthenticated, "env:ABSENT");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_failing_tls_handshake_is_no_connection() {
    let server = Script::always(Reply::status(200)).await;
    let secure = server.url().replace("http://", "https://");
    let mut poll = feed(backend(&secure), "access");
    let error = look(&mut *poll).await.unwrap_err();
    is(&error, ErrorKind::Unreachable, "no connection");
}
