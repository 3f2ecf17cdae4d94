//! Everything that can go wrong between us and a Prometheus server.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use gonogo::{
    backend::{BackendError, ErrorKind},
    domain::observation::Fact,
};

use crate::support::{
    backend::{build, evaluated, feed, fixture_json, look},
    release::{catalog, metric},
    script::{Reply, Script, Seen},
    setup::setup,
};

const TOKEN: &str = "planted-prometheus-token-1";

fn backend(url: &str) -> gonogo::backend::Backend {
    let setup = setup(
        catalog(vec![metric("one"), metric("two")]),
        &[("TOKEN", TOKEN)],
    );
    let section =
        format!("{{ url = '{url}', token = 'env:TOKEN', timeout = '300ms', max_body = '1 MiB' }}");
    build("prometheus", &section, &setup).unwrap()
}

fn well(seen: &Seen) -> Reply {
    let answer = match seen.path() {
        "/api/v1/status/buildinfo" => fixture_json("prometheus/buildinfo.json"),
        "/api/v1/query" => evaluated(fixture_json("prometheus/query_scalar.json"), seen, 0.0),
        _ => fixture_json("prometheus/query_range.json"),
    };
    Reply::json(200, &answer)
}

/// Looks while queries fail this way (and everything else, if so), then again
/// once it is over.
async fn through(bad: Reply, everything: bool) -> BackendError {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = broken.clone();
    let server = Script::start(move |seen| {
        let concerned = everything || seen.path().starts_with("/api/v1/query");
        if concerned && is_broken.load(Ordering::SeqCst) {
            bad.clone()
        } else {
            well(seen)
        }
    })
    .await;
    let mut poll = feed(backend(&server.url()), "metrics");
    let error = look(&mut *poll).await.expect_err("nothing could be read");
    broken.store(false, Ordering::SeqCst);
    let told = look(&mut *poll).await.expect("it answers again");
    assert!(told.failures.is_empty(), "{told:?}");
    for part in ["metric ranker/prod/one", "metric ranker/prod/two"] {
        assert!(matches!(told.batch(part).facts[..], [Fact::Measure(_)]));
    }
    error
}

#[track_caller]
fn is(error: &BackendError, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(words), "{error}");
}

#[tokio::test]
async fn a_credential_that_is_repeated_to_us_is_masked() {
    let told = format!("unknown credentials Bearer {TOKEN}");
    let body = serde_json::json!({"status": "error", "errorType": "execution", "error": told});
    for status in [401, 403, 500, 503] {
        let repeating = Reply::json(status, &body).with("www-authenticate", &told);
        let error = through(repeating, true).await;
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

#[tokio::test]
async fn each_trouble_is_named_and_healed_by_the_next_look() {
    let page = "<html><title>Sign in</title>";
    let cases = [
        (Reply::status(401), ErrorKind::Unauthenticated, "401"),
        (Reply::status(403), ErrorKind::Forbidden, "403"),
        (Reply::status(409), ErrorKind::Conflict, "409"),
        (Reply::status(500), ErrorKind::Server, "500"),
        (
            Reply::text(200, "text/html", page),
            ErrorKind::Malformed,
            "a web page instead of JSON",
        ),
        (
            Reply::text(203, "text/html", page),
            ErrorKind::Malformed,
            "a web page instead of JSON",
        ),
        (
            Reply::CutOff {
                promised: 4_000,
                body: b"{\"status\":\"succ".to_vec(),
            },
            ErrorKind::Malformed,
            "broke off",
        ),
        (
            Reply::text(200, "application/json", "{\"status\":\"succ"),
            ErrorKind::Malformed,
            "no usable JSON",
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
        is(&through(reply.clone(), true).await, kind, words);
        is(&through(reply, false).await, kind, words);
    }
    is(
        &through(Reply::status(404), false).await,
        ErrorKind::NotFound,
        "404",
    );
}

#[tokio::test]
async fn answers_of_other_types_are_no_answers() {
    for odd in [
        r#"{"status":"success"}"#,
        r#"{"status":"success","data":null}"#,
        r#"{"status":"success","data":{"resultType":7,"result":[]}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":"x"}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"value":["a","1"]}]}}"#,
        r#"{"status":"success","data":{"resultType":"scalar","result":[1]}}"#,
        r#"["status"]"#,
    ] {
        let error = through(Reply::text(200, "application/json", odd), false).await;
        is(&error, ErrorKind::Malformed, "no usable JSON");
    }
}

#[tokio::test]
async fn every_captured_refusal_is_told_in_the_servers_words() {
    let cases = [
        ("query_parse_error.json", 400, "unclosed left parenthesis"),
        ("query_bad_time.json", 400, "cannot parse \"yesterday\""),
        ("query_no_query.json", 400, "no expression found"),
        (
            "query_range_too_many_points.json",
            400,
            "exceeded maximum resolution",
        ),
        (
            "query_range_end_before_start.json",
            400,
            "must not be before",
        ),
        ("query_many_to_many.json", 422, "found duplicate series"),
    ];
    for (file, status, words) in cases {
        let refused = fixture_json(&format!("prometheus/{file}"));
        let server = Script::start(move |seen| match seen.path() {
            "/api/v1/status/buildinfo" => well(seen),
            _ => Reply::json(status, &refused),
        })
        .await;
        let mut poll = feed(backend(&server.url()), "metrics");
        let told = look(&mut *poll).await.unwrap();
        let failure = told.failure("metric ranker/prod/one");
        assert_eq!(failure.kind, ErrorKind::Rejected, "{failure:?}");
        assert!(failure.message.contains(words), "{failure:?}");
    }
}

#[tokio::test]
async fn a_refused_query_is_an_answer_and_no_outage() {
    let refused = fixture_json("prometheus/query_parse_error.json");
    let server = Script::start(move |seen| match seen.path() {
        "/api/v1/status/buildinfo" => well(seen),
        _ => Reply::json(400, &refused),
    })
    .await;
    let mut poll = feed(backend(&server.url()), "metrics");
    let told = look(&mut *poll).await.unwrap();
    assert_eq!(told.failures.len(), 2);
    assert!(
        told.failures
            .iter()
            .all(|one| one.kind == ErrorKind::Rejected)
    );
}

#[tokio::test]
async fn a_rate_limit_tells_how_long_and_nothing_is_asked_meanwhile() {
    let server = Script::always(Reply::status(429).with("retry-after", "9")).await;
    let mut poll = feed(backend(&server.url()), "metrics");
    let error = look(&mut *poll).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::RateLimited);
    assert_eq!(error.retry_after.unwrap().as_secs(), 9);
    let asked = server.seen().len();
    look(&mut *poll).await.unwrap_err();
    assert_eq!(server.seen().len(), asked);
}

#[tokio::test]
async fn a_server_that_stops_half_way_is_not_asked_to_the_end() {
    let queries = Arc::new(AtomicUsize::new(0));
    let count = queries.clone();
    let server = Script::start(move |seen| {
        if seen.path() == "/api/v1/query" && count.fetch_add(1, Ordering::SeqCst) >= 2 {
            return Reply::status(503);
        }
        well(seen)
    })
    .await;
    let names = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q",
    ];
    let setup = setup(catalog(names.map(metric).into()), &[]);
    let section = format!("{{ url = '{}' }}", server.url());
    let backend = build("prometheus", &section, &setup).unwrap();
    let mut poll = feed(backend, "metrics");
    let told = look(&mut *poll).await.unwrap();
    assert_eq!(told.failures.len(), 4, "then it gives up");
    assert!(queries.load(Ordering::SeqCst) < names.len());
    look(&mut *poll)
        .await
        .expect_err("the rest is asked first, and nothing answers");
}

#[tokio::test]
async fn the_token_follows_no_redirect_to_another_host() {
    let stranger = Script::always(Reply::status(200)).await;
    let away = format!("{}/stolen", stranger.url());
    let server = Script::always(Reply::status(307).with("location", &away)).await;
    let mut poll = feed(backend(&server.url()), "metrics");
    let error = look(&mut *poll).await.unwrap_err();
    is(&error, ErrorKind::Malformed, "redirected to another host");
    let checks = backend(&server.url()).probe.probe().await;
    assert!(checks[0].seen.contains("redirected to another host"));
    assert!(stranger.seen().is_empty());
    assert!(
        server
            .credentials()
            .iter()
            .all(|shown| shown == &format!("Bearer {TOKEN}"))
    );
}

#[tokio::test]
async fn a_redirect_in_a_circle_ends() {
    let server = Script::always(Reply::status(302).with("location", "/again")).await;
    let mut poll = feed(backend(&server.url()), "server");
    let error = look(&mut *poll).await.unwrap_err();
    is(&error, ErrorKind::Malformed, "in a circle");
}

#[tokio::test]
async fn a_failing_tls_handshake_is_no_connection() {
    let server = Script::always(Reply::status(200)).await;
    let secure = server.url().replace("http://", "https://");
    let mut poll = feed(backend(&secure), "metrics");
    let error = look(&mut *poll).await.unwrap_err();
    is(&error, ErrorKind::Unreachable, "no connection");
}
