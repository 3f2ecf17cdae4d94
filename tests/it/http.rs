//! The shared HTTP transport against a server that misbehaves in every way.

use std::time::Duration;

use gonogo::{
    backend::{
        BackendError, ErrorKind,
        http::{Auth, Body, Http, Limits},
    },
    domain::catalog::Catalog,
};
use http::{HeaderMap, Method};
use serde_json::json;

use crate::support::{
    script::{Reply, Script},
    setup::setup,
};

const TOKEN: &str = "planted-http-token-1";

fn limits() -> Limits {
    Limits {
        body: 100_000,
        ..Limits::default().within(Duration::from_millis(300))
    }
}

fn client(base: &str) -> Http {
    let setup = setup(Catalog::default(), &[("TOKEN", TOKEN)]);
    let auth = Auth::Bearer("env:TOKEN".parse().unwrap());
    Http::new(base, auth, HeaderMap::new(), limits(), &setup).unwrap()
}

async fn read(reply: Reply) -> Result<serde_json::Value, BackendError> {
    let server = Script::always(reply).await;
    let http = client(&server.url());
    let answer = http.get(&http.url(["thing"])).await;
    let result = answer.and_then(|answer| answer.json());
    assert_eq!(
        server.seen().len(),
        1,
        "a read is not repeated by the transport"
    );
    result
}

async fn send(reply: Reply) -> Result<u16, BackendError> {
    let server = Script::always(reply).await;
    let http = client(&server.url());
    let body = Body::Json(json!({"a": 1}));
    let answer = http
        .send_once(Method::POST, &http.url(["act"]), &body)
        .await;
    let sent = server.mutations();
    assert_eq!(sent.len(), 1, "a mutation is sent exactly once");
    assert_eq!(sent[0].json(), json!({"a": 1}));
    answer.map(|answer| answer.status.as_u16())
}

#[tokio::test]
async fn each_status_has_its_kind_and_names_the_request() {
    let message = json!({"message": "because of 7"});
    for (status, kind) in [
        (400, ErrorKind::Rejected),
        (401, ErrorKind::Unauthenticated),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (408, ErrorKind::Timeout),
        (409, ErrorKind::Conflict),
        (410, ErrorKind::NotFound),
        (412, ErrorKind::Conflict),
        (422, ErrorKind::Rejected),
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::Server),
        (503, ErrorKind::Server),
    ] {
        let error = read(Reply::json(status, &message)).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        let text = error.message.as_str();
        assert!(
            text.starts_with(&format!("`GET /thing`: HTTP {status}")),
            "{text}"
        );
        assert!(text.ends_with(": because of 7"), "{text}");
    }
}

#[tokio::test]
async fn a_mutation_says_whether_it_may_have_happened() {
    for (status, kind) in [
        (302, ErrorKind::Malformed),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (409, ErrorKind::Conflict),
        (422, ErrorKind::Rejected),
        (429, ErrorKind::RateLimited),
        (408, ErrorKind::Ambiguous),
        (500, ErrorKind::Ambiguous),
        (502, ErrorKind::Ambiguous),
        (504, ErrorKind::Ambiguous),
    ] {
        assert_eq!(
            send(Reply::status(status)).await.unwrap_err().kind,
            kind,
            "{status}"
        );
    }
    let page = Reply::text(200, "text/html", "<title>Sign in</title>");
    let cut = Reply::CutOff {
        promised: 50,
        body: b"{".to_vec(),
    };
    for reply in [Reply::Hang, Reply::Reset, page, cut, Reply::Flood(200_000)] {
        let name = format!("{reply:?}");
        assert_eq!(
            send(reply).await.unwrap_err().kind,
            ErrorKind::Ambiguous,
            "{name}"
        );
    }
    assert_eq!(send(Reply::status(202)).await.unwrap(), 202);
    assert_eq!(send(Reply::status(204)).await.unwrap(), 204);
}

#[tokio::test]
async fn a_mutation_without_a_connection_did_not_happen() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let plain = Script::always(Reply::status(200)).await;
    let tls = plain.url().replace("http:", "https:");
    for base in [
        format!("http://{closed}"),
        "http://no-such-host.invalid".to_owned(),
        tls,
    ] {
        let http = client(&base);
        let error = http
            .send_once(Method::POST, &http.url(["act"]), &Body::Empty)
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    }
}

#[tokio::test]
async fn broken_reads_have_their_kind() {
    let page = |status| Reply::text(status, "text/html", "<title>Sign in, please</title>");
    let cases = [
        (
            page(200),
            ErrorKind::Malformed,
            "a web page instead of JSON (HTTP 200 OK): Sign in",
        ),
        (
            page(203),
            ErrorKind::Malformed,
            "a web page instead of JSON (HTTP 203",
        ),
        (
            page(502),
            ErrorKind::Server,
            "HTTP 502 Bad Gateway, a web page: Sign in",
        ),
        (
            Reply::text(200, "application/json", "{\"a\": [1, 2"),
            ErrorKind::Malformed,
            "no usable JSON: EOF",
        ),
        (
            Reply::CutOff {
                promised: 900,
                body: b"{\"a\":".to_vec(),
            },
            ErrorKind::Malformed,
            "the answer broke off",
        ),
        (
            Reply::Flood(50_000_000),
            ErrorKind::Malformed,
            "larger than 100000 bytes",
        ),
        (Reply::Hang, ErrorKind::Timeout, "no answer in time"),
        (Reply::Reset, ErrorKind::Unreachable, "the connection broke"),
        (
            Reply::status(304),
            ErrorKind::Malformed,
            "without having been asked",
        ),
        (Reply::status(200), ErrorKind::Malformed, "no usable JSON"),
    ];
    for (reply, kind, words) in cases {
        let error = read(reply).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test]
async fn waiting_times_are_read_in_seconds_and_as_dates() {
    let error = read(Reply::status(429).with("retry-after", "17"))
        .await
        .unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(17)));
    // Held against the server's clock, which may be wrong in the same way.
    let reply = Reply::status(503)
        .with("date", "Wed, 21 Oct 2015 07:28:00 GMT")
        .with("retry-after", "Wed, 21 Oct 2015 07:29:30 GMT");
    let error = read(reply).await.unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(90)));
    // A spent budget: until the reset, which the server's clock says is in 60 s.
    let reply = Reply::json(403, &json!({"message": "API rate limit exceeded"}))
        .with("date", "Tue, 10 Mar 2026 12:00:00 GMT")
        .with("x-ratelimit-remaining", "0")
        .with("x-ratelimit-reset", "1773144060");
    let error = read(reply).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::RateLimited);
    assert_eq!(error.retry_after, Some(Duration::from_secs(61)));
    let absurd = read(Reply::status(429).with("retry-after", "99999999"))
        .await
        .unwrap_err();
    assert_eq!(absurd.retry_after, Some(Duration::from_secs(6 * 3600)));
}

#[tokio::test]
async fn after_a_rate_limit_nothing_is_asked_until_it_is_over() {
    let server = Script::always(Reply::status(429).with("retry-after", "30")).await;
    let http = client(&server.url());
    let url = http.url(["thing"]);
    assert_eq!(
        http.get(&url).await.unwrap_err().kind,
        ErrorKind::RateLimited
    );
    let held = http.get(&http.url(["other"])).await.unwrap_err();
    assert_eq!(held.kind, ErrorKind::RateLimited);
    assert!(held.retry_after.unwrap() <= Duration::from_secs(30));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn hosted_trap_1_the_token_travels_in_the_authorization_header() {
    let server = Script::always(Reply::json(200, &json!({}))).await;
    let http = client(&server.url());
    http.get(&http.url(["thing"])).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(
        seen.header("authorization"),
        Some("Bearer planted-http-token-1")
    );
    let others = seen
        .headers
        .iter()
        .filter(|(name, _)| name != "authorization");
    assert!(others.clone().all(|(_, value)| !value.contains(TOKEN)));
    assert!(!seen.target.contains(TOKEN));
}

#[tokio::test]
async fn hosted_trap_2_the_token_never_goes_to_another_host() {
    let stranger = Script::always(Reply::json(200, &json!({}))).await;
    let elsewhere = format!("{}/collect?x=1", stranger.url());
    for status in [301, 302, 307, 308] {
        let to = elsewhere.clone();
        let server = Script::always(Reply::status(status).with("location", &to)).await;
        let http = client(&server.url());
        let error = http.get(&http.url(["thing"])).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Malformed);
        assert!(error.message.contains("to another host"), "{error}");
        let error = http
            .send_once(Method::POST, &http.url(["act"]), &Body::Empty)
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Malformed, "{error}");
    }
    // A next page elsewhere is not asked for at all.
    let link = format!("<{elsewhere}>; rel=\"next\"");
    let server = Script::always(Reply::json(200, &json!([])).with("link", &link)).await;
    let http = client(&server.url());
    let answer = http.get(&http.url(["thing"])).await.unwrap();
    let next = answer.next_page().unwrap();
    assert_eq!(next.as_str(), elsewhere);
    assert!(http.get(&next).await.is_err());
    assert!(stranger.seen().is_empty());
}

#[tokio::test]
async fn a_download_follows_one_redirect_and_leaves_the_token_behind() {
    let store = Script::always(Reply::text(200, "text/plain", "the log\n")).await;
    let signed = format!("{}/blob?sig=abc", store.url());
    let server = Script::always(Reply::status(302).with("location", &signed)).await;
    let http = client(&server.url());
    let mut download = http.open(&http.url(["logs"])).await.unwrap();
    let mut text = Vec::new();
    while let Some(chunk) = download.chunk().await.unwrap() {
        text.extend(chunk);
    }
    assert_eq!(text, b"the log\n");
    assert_eq!(server.credentials().len(), 1);
    assert!(store.credentials().is_empty());
    assert_eq!(store.seen()[0].target, "/blob?sig=abc");
}

#[tokio::test]
async fn a_download_larger_than_the_size_limit_comes_through_in_pieces() {
    let server = Script::always(Reply::Flood(3_000_000)).await;
    let http = client(&server.url());
    let mut download = http.open(&http.url(["logs"])).await.unwrap();
    let mut length = 0;
    while let Some(chunk) = download.chunk().await.unwrap() {
        length += chunk.len();
    }
    assert_eq!(length, 3_000_000);
}

#[tokio::test]
async fn redirects_inside_the_own_origin_are_followed_but_not_in_circles() {
    let server = Script::start(|seen| match seen.path() {
        "/old" => Reply::status(301).with("location", "/new"),
        "/new" => Reply::json(200, &json!({"here": true})),
        _ => Reply::status(302).with("location", "/loop"),
    })
    .await;
    let http = client(&server.url());
    let moved = http.get(&http.url(["old"])).await.unwrap();
    assert_eq!(
        moved.json::<serde_json::Value>().unwrap(),
        json!({"here": true})
    );
    let error = http.get(&http.url(["loop"])).await.unwrap_err();
    assert!(error.message.contains("in a circle"), "{error}");
    assert!(server.seen().len() <= 6);
}

#[tokio::test]
async fn an_unchanged_answer_is_asked_for_by_its_tag_and_taken_from_memory() {
    let server = Script::start(|seen| match seen.header("if-none-match") {
        Some("\"v1\"") => Reply::status(304),
        _ => Reply::json(200, &json!({"n": 1}))
            .with("etag", "\"v1\"")
            .with("link", "</thing?page=2>; rel=\"next\""),
    })
    .await;
    let http = client(&server.url());
    let url = http.url(["thing"]);
    let first = http.get(&url).await.unwrap();
    let again = http.get(&url).await.unwrap();
    assert!(!first.unchanged && again.unchanged);
    assert_eq!(again.json::<serde_json::Value>().unwrap(), json!({"n": 1}));
    assert_eq!(again.next_page(), first.next_page());
    assert!(again.asked >= first.at);
}

#[tokio::test]
async fn the_servers_clock_is_compared_with_ours() {
    // Our clock starts at 12:00:00; the server's is five minutes ahead.
    let reply = Reply::json(200, &json!({})).with("date", "Tue, 10 Mar 2026 12:05:00 GMT");
    let server = Script::always(reply).await;
    let http = client(&server.url());
    let skew = http.get(&http.url(["x"])).await.unwrap().skew_ms().unwrap();
    assert!((299_000..=301_000).contains(&skew), "{skew}");
}

#[tokio::test]
async fn crates_trap_11_errors_hold_no_address_and_no_secret() {
    let message = format!("bad token {TOKEN} in ?token={TOKEN}");
    let replies = [
        Reply::json(403, &json!({ "message": message })),
        Reply::text(500, "text/plain", &message),
        Reply::text(200, "text/html", &format!("<title>{TOKEN}</title>")),
        Reply::json(200, &json!(TOKEN)),
        Reply::status(302).with("location", &format!("http://x.invalid/?t={TOKEN}")),
        Reply::Hang,
        Reply::Reset,
    ];
    for reply in replies {
        let server = Script::always(reply).await;
        let http = client(&server.url());
        let mut url = http.url(["thing", TOKEN]);
        url.set_query(Some(&format!("key={TOKEN}&q=query-value")));
        let read = http.get(&url).await.and_then(|answer| answer.json::<u64>());
        let sent = http.send_once(Method::POST, &url, &Body::Empty).await;
        for error in [read.err(), sent.err()].into_iter().flatten() {
            let text = format!("{error} {error:?}");
            assert!(!text.contains(TOKEN), "{text}");
            assert!(!text.contains("query-value"), "{text}");
            assert!(!text.contains("127.0.0.1"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let server = Script::start(|seen| match seen.header("authorization") {
        Some("Bearer renewed-token-2") => Reply::json(200, &json!({})),
        _ => Reply::status(401),
    })
    .await;
    let mut setup = setup(Catalog::default(), &[]);
    let asked = AtomicUsize::new(0);
    setup.env = std::sync::Arc::new(move |_| {
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        Some(
            if first {
                "expired-token-2"
            } else {
                "renewed-token-2"
            }
            .to_owned(),
        )
    });
    let auth = Auth::Bearer("env:TOKEN".parse().unwrap());
    let http = Http::new(&server.url(), auth, HeaderMap::new(), limits(), &setup).unwrap();
    let url = http.url(["thing"]);
    assert_eq!(
        http.get(&url).await.unwrap_err().kind,
        ErrorKind::Unauthenticated
    );
    http.get(&url).await.unwrap();
}

#[tokio::test]
async fn crates_trap_4_a_client_can_be_built_before_anything_else() {
    // Fails by panic where no TLS provider was installed.
    client("https://example.invalid");
}

#[test]
fn an_address_with_credentials_is_refused_without_repeating_it() {
    let setup = setup_outside();
    for base in [
        "https://me:planted3@host/",
        "ftp://planted3/",
        "planted3",
        "https://host/?token=planted3",
    ] {
        let error = Http::new(base, Auth::None, HeaderMap::new(), limits(), &setup)
            .err()
            .unwrap();
        assert_eq!(error.kind, ErrorKind::Configuration);
        assert!(!error.message.contains("planted3"), "{error}");
    }
}

fn setup_outside() -> gonogo::backend::Setup {
    setup(Catalog::default(), &[])
}

#[tokio::test]
async fn names_with_slashes_stay_one_segment() {
    let http = client("https://host.invalid/api/v3/");
    let url = http.url(["repos", "a/b", "x y"]);
    assert_eq!(
        url.as_str(),
        "https://host.invalid/api/v3/repos/a%2Fb/x%20y"
    );
}
