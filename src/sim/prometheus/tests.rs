//! The Prometheus of the demo against answers captured from a real one.

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderValue, Method};
use chrono::DateTime;
use serde_json::Value;

use crate::sim::{
    http::{Reply, Request, Site, percent_encoded},
    prometheus::{
        api::Prometheus,
        database::{Behaviour, Database, Observed},
        value::Labels,
    },
};

const START: i64 = 1_795_400_000_000;
const MINUTE: i64 = 60_000;

fn labels(role: &str, version: &str) -> Labels {
    [
        ("role", role),
        ("service", "ml-service"),
        ("version", version),
    ]
    .iter()
    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
    .collect()
}

fn behaviour(rps: f64, p95: f64, errors: f64) -> Behaviour {
    Behaviour {
        requests_per_second: rps,
        latency_p95: p95,
        error_ratio: errors,
        gauges: vec![("model_accuracy".to_owned(), Labels::new(), 0.971, 0.0)],
    }
}

/// Ten minutes at 100 and 25 requests a second, scraped every five seconds.
fn played() -> (Prometheus, Arc<Mutex<Database>>) {
    let mut database = Database::new(5000, START - 5000);
    for scrape in 0..=120 {
        let observed = Observed {
            target: "ml-service".to_owned(),
            arms: vec![
                (labels("stable", "7"), behaviour(100.0, 0.1, 0.005)),
                (labels("canary", "8"), behaviour(25.0, 0.37, 0.07)),
            ],
            exposed: true,
        };
        database.scrape(START + scrape * 5000, &[observed]);
    }
    let database = Arc::new(Mutex::new(database));
    let site = Prometheus::new(
        Arc::clone(&database),
        "127.0.0.1:9".to_owned(),
        vec!["t".to_owned()],
        START,
    );
    (site, database)
}

fn ask(site: &Prometheus, target: &str, at: i64) -> Reply {
    let now = DateTime::from_timestamp_millis(at).unwrap();
    site.answer(&Request::new(
        Method::GET,
        target,
        HeaderMap::new(),
        Vec::new().into(),
        now,
    ))
}

fn query(site: &Prometheus, query: &str, at: i64) -> Value {
    let reply = ask(
        site,
        &format!("/api/v1/query?query={}", percent_encoded(query)),
        at,
    );
    serde_json::from_slice(&reply.body).unwrap()
}

/// The one number a query gives.
#[track_caller]
fn number(site: &Prometheus, text: &str, at: i64) -> f64 {
    let answer = query(site, text, at);
    let result = &answer["data"]["result"];
    assert_eq!(result.as_array().map(Vec::len), Some(1), "{text}: {answer}");
    result[0]["value"][1].as_str().unwrap().parse().unwrap()
}

#[track_caller]
fn near(found: f64, wanted: f64, share: f64) {
    assert!(
        (found / wanted - 1.0).abs() <= share,
        "{found} is not near {wanted}"
    );
}

#[test]
fn rates_quantiles_and_ratios_are_what_was_put_in() {
    let (site, _) = played();
    let end = START + 10 * MINUTE;
    near(
        number(
            &site,
            "sum(rate(http_requests_total{role=\"stable\"}[1m]))",
            end,
        ),
        100.0,
        0.05,
    );
    near(
        number(
            &site,
            "sum(rate(http_requests_total{version=~\"8|9\"}[1m]))",
            end,
        ),
        25.0,
        0.05,
    );
    let p95 = "histogram_quantile(0.95, sum by (le) (rate(predict_latency_seconds_bucket{role=\"canary\"}[1m])))";
    near(number(&site, p95, end), 0.37, 0.06);
    let ratio = "sum(rate(http_requests_total{role=\"canary\",code=~\"5..\"}[2m])) \
                 / sum(rate(http_requests_total{role=\"canary\"}[2m]))";
    near(number(&site, ratio, end), 0.07, 0.2);
    near(
        number(&site, "sum(increase(http_requests_total[5m]))", end),
        125.0 * 300.0,
        0.05,
    );
    near(
        number(&site, "count(model_accuracy == 0.971)", end),
        2.0,
        0.0,
    );
    near(number(&site, "vector(2 ^ 3 ^ 0 * 10 - -1)", end), 21.0, 0.0);
    near(number(&site, "count_over_time(up[1m])", end), 13.0, 0.0);
    near(
        number(&site, "min(timestamp(model_accuracy))", end + 3000),
        1_795_400_600.0,
        0.0,
    );
}

#[test]
fn counters_only_grow_and_scrapes_from_outside_see_the_same() {
    let (site, database) = played();
    let end = START + 10 * MINUTE;
    let answer = query(
        &site,
        "http_requests_total{code=\"200\",role=\"stable\"}[10m]",
        end,
    );
    let values: Vec<f64> = answer["data"]["result"][0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point[1].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(values.len() > 100 && values.windows(2).all(|pair| pair[0] < pair[1]));
    let exposed = ask(&site, "/metrics", end);
    let text = String::from_utf8_lossy(&exposed.body).into_owned();
    let line = format!(
        "http_requests_total{{code=\"200\",role=\"stable\",service=\"ml-service\",version=\"7\"}} {}\n",
        values.last().unwrap()
    );
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("# TYPE predict_latency_seconds histogram\n"));
    // Between two scrapes the counters go on.
    let later = ask(&site, "/metrics", end + 4000);
    assert_ne!(exposed.body, later.body);
    // The same time always gives the same numbers.
    assert_eq!(later.body, ask(&site, "/metrics", end + 4000).body);
    drop(database);
}

#[test]
fn what_a_scraper_saw_between_two_scrapes_is_never_taken_back() {
    let (_, database) = played();
    let mut database = database.lock().unwrap();
    let mut highest = 0.0;
    for step in 0..200 {
        let now = START + 10 * MINUTE + step * 700;
        while database.next_scrape() <= now {
            let at = database.next_scrape();
            let observed = Observed {
                target: "ml-service".to_owned(),
                arms: vec![(labels("stable", "7"), behaviour(100.0, 0.1, 0.005))],
                exposed: true,
            };
            database.scrape(at, &[observed]);
        }
        let exposed = database.exposed(now);
        let (_, counters, _) = exposed.first().unwrap();
        assert!(highest <= counters.sum, "{highest} then {}", counters.sum);
        highest = counters.sum;
    }
}

#[test]
fn a_version_without_traffic_is_gone_at_once_and_its_counter_goes_on_later() {
    let (site, database) = played();
    let only_stable = Observed {
        target: "ml-service".to_owned(),
        arms: vec![(labels("stable", "7"), behaviour(125.0, 0.1, 0.005))],
        exposed: true,
    };
    let after = START + 10 * MINUTE + 5000;
    database.lock().unwrap().scrape(after, &[only_stable]);
    let answer = query(&site, "model_accuracy{role=\"canary\"}", after);
    assert_eq!(answer["data"]["result"], serde_json::json!([]));
    let silent = Observed {
        target: "ml-service".to_owned(),
        arms: Vec::new(),
        exposed: false,
    };
    database.lock().unwrap().scrape(after + 5000, &[silent]);
    near(
        number(&site, "absent(model_accuracy)", after + 5000),
        1.0,
        0.0,
    );
    assert!(number(&site, "up", after + 5000).abs() < f64::EPSILON);
}

/// Keys and types, not values; of a list every distinct form of its items.
fn form(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let metric = |name: &str| name == "metric" || name == "labels";
            fields
                .iter()
                .map(|(key, value)| {
                    let form = if metric(key) {
                        Value::Null
                    } else {
                        form(value)
                    };
                    (key.clone(), form)
                })
                .collect()
        }
        Value::Array(items) => {
            let mut forms: Vec<Value> = items.iter().map(form).collect();
            forms.dedup();
            Value::Array(forms)
        }
        Value::String(_) => "text".into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "bool".into(),
        Value::Null => Value::Null,
    }
}

#[test]
fn envelopes_are_those_of_a_real_server() {
    // Captured from Prometheus 2.42 over a service with the same metrics, 2026-11-23.
    let captured: Value = serde_json::from_str(include_str!(
        "../../../tests/fixtures/prometheus/captured.json"
    ))
    .unwrap();
    let (site, _) = played();
    let end = START + 10 * MINUTE;
    for case in captured["answers"].as_array().unwrap() {
        let target = case["path"].as_str().unwrap();
        let reply = ask(&site, target, end);
        assert_eq!(
            u64::from(reply.status),
            case["status"].as_u64().unwrap(),
            "{target}"
        );
        let kind = &reply
            .headers
            .iter()
            .find(|(name, _)| *name == "content-type")
            .unwrap()
            .1;
        assert_eq!(kind, case["content_type"].as_str().unwrap(), "{target}");
        let wanted = &case["body"];
        let Ok(found) = serde_json::from_slice::<Value>(&reply.body) else {
            assert_eq!(
                String::from_utf8_lossy(&reply.body),
                wanted.as_str().unwrap(),
                "{target}"
            );
            continue;
        };
        if wanted["status"] == "error" && case["exact"] != false {
            assert_eq!(&found, wanted, "{target}");
        } else {
            assert_eq!(form(&found), form(wanted), "{target}: {found}");
        }
    }
}

#[test]
fn what_is_not_spoken_is_bad_data() {
    let (site, _) = played();
    for text in [
        "predict_linear(up[5m], 60)",
        "rate(up[5m:1m])",
        "rate(up)",
        "sum(",
        "{}",
        "up[",
        "1 == 1",
        "label_replace(up, \"a\", \"b\", \"c\", \"d\")",
        "\u{1f600}",
    ] {
        let reply = ask(
            &site,
            &format!("/api/v1/query?query={}", percent_encoded(text)),
            START,
        );
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            (reply.status, body["errorType"].as_str()),
            (400, Some("bad_data")),
            "{text}"
        );
    }
}

#[test]
fn a_form_body_is_read_and_a_wrong_token_refused() {
    let (site, _) = played();
    let now = DateTime::from_timestamp_millis(START + MINUTE).unwrap();
    let post = Request::new(
        Method::POST,
        "/api/v1/query",
        HeaderMap::new(),
        "query=up".into(),
        now,
    );
    assert_eq!(site.answer(&post).status, 200);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer wrong"));
    let wrong = Request::new(
        Method::GET,
        "/api/v1/query?query=up",
        headers,
        Vec::new().into(),
        now,
    );
    assert_eq!(site.answer(&wrong).status, 401);
}

#[test]
fn an_analysis_in_a_fast_world_looks_back_a_shorter_time() {
    let (site, _) = played();
    let end = START + 10 * MINUTE;
    let counted = site.values("count_over_time(up[100s])", 10.0, end).unwrap();
    // Ten seconds hold three scrapes, both ends included.
    assert_eq!(counted, [3.0]);
    assert!(
        site.values("rate(", 1.0, end)
            .unwrap_err()
            .contains("parse error")
    );
}
