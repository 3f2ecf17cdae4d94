//! The Prometheus adapter against captured answers of the real server.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gonogo::{
    backend::{Backend, BackendError, CheckResult, ErrorKind, Focus, Setup},
    domain::{
        catalog::{Aggregate, MetricSpec},
        measure::{Arm, Measure, Sample, Series},
        observation::Fact,
    },
};
use serde_json::{Value, json};

use crate::support::{
    backend::{Told, build, evaluated, example, feed, fixture, fixture_json, look, look_with},
    release::{catalog, metric, target},
    script::{Reply, Script, Seen},
    setup::{setup, start},
};

/// Answers the query `NAME` with what was captured as `query_NAME`.
fn captured(seen: &Seen) -> Reply {
    let query = seen.parameters().remove("query").unwrap_or_default();
    match seen.path() {
        "/-/ready" => Reply::text(200, "text/plain", &fixture("prometheus/ready.txt")),
        "/api/v1/status/buildinfo" => Reply::json(200, &fixture_json("prometheus/buildinfo.json")),
        "/api/v1/query_range" => Reply::json(200, &fixture_json("prometheus/query_range.json")),
        "/api/v1/query" => {
            let status = match query.as_str() {
                "parse_error" => 400,
                "many_to_many" => 422,
                "unavailable" => return Reply::status(503),
                "warned" => {
                    let mut answer = fixture_json("prometheus/query_scalar.json");
                    answer["warnings"] = json!(["store b\u{1b}[31m is gone", "and c"]);
                    return Reply::json(200, &evaluated(answer, seen, 0.0));
                }
                _ => 200,
            };
            let answer = fixture_json(&format!("prometheus/query_{query}.json"));
            Reply::json(status, &evaluated(answer, seen, 0.0))
        }
        _ => Reply::text(
            404,
            "text/plain; charset=utf-8",
            &fixture("prometheus/not_found.txt"),
        ),
    }
}

fn backend(url: &str, setup: &Setup, more: &str) -> Backend {
    let section = format!("{{ url = '{url}', timeout = '1s'{more} }}");
    build("prometheus", &section, setup).unwrap()
}

async fn told(metrics: Vec<MetricSpec>) -> Told {
    let server = Script::start(captured).await;
    let setup = setup(catalog(metrics), &[]);
    let mut poll = feed(backend(&server.url(), &setup, ""), "metrics");
    look(&mut *poll).await.unwrap()
}

fn measures(told: &Told) -> Vec<&Measure> {
    let measures = told.facts().filter_map(|fact| match fact {
        Fact::Measure(measure) => Some(measure),
        _ => None,
    });
    measures.collect()
}

fn series(told: &Told) -> Vec<&Series> {
    let series = told.facts().filter_map(|fact| match fact {
        Fact::Series(series) => Some(series),
        _ => None,
    });
    series.collect()
}

#[tokio::test]
async fn empty_zero_and_no_number_are_told_apart() {
    let told = told(vec![
        metric("empty"),
        metric("nan"),
        metric("div_zero"),
        metric("scalar"),
        metric("p95"),
        MetricSpec {
            aggregate: Some(Aggregate::Min),
            ..metric("bool")
        },
    ])
    .await;
    let seen: Vec<_> = measures(&told)
        .into_iter()
        .map(|measure| (measure.metric.metric.to_string(), measure.sample.clone()))
        .collect();
    let expected = [
        ("empty", Sample::Empty),
        ("nan", Sample::NotFinite("NaN".into())),
        ("div_zero", Sample::NotFinite("+Inf".into())),
        ("scalar", Sample::Value(0.971)),
        ("p95", Sample::Several(2)),
        ("bool", Sample::Value(0.0)),
    ]
    .map(|(name, sample)| (name.to_owned(), sample));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn both_arms_and_the_traffic_are_asked_at_the_same_instant() {
    let server = Script::start(captured).await;
    let spec = MetricSpec {
        stable: Some("absent".into()),
        traffic: Some("vector".into()),
        aggregate: Some(Aggregate::Sum),
        ..metric("scalar")
    };
    let setup = setup(catalog(vec![spec]), &[]);
    let mut poll = feed(backend(&server.url(), &setup, ""), "metrics");
    let told = look(&mut *poll).await.unwrap();

    let batch = told.batch("metric ranker/prod/scalar");
    assert!(batch.complete);
    assert!(
        told.batch("metrics").facts.is_empty(),
        "heals the feed itself"
    );
    let arms: Vec<_> = measures(&told)
        .iter()
        .map(|measure| {
            (
                measure.arm,
                measure.sample.clone(),
                measure.query.to_string(),
            )
        })
        .collect();
    assert_eq!(
        arms[0],
        (Arm::Canary, Sample::Value(0.971), "scalar".into())
    );
    assert_eq!(arms[1], (Arm::Stable, Sample::Value(1.0), "absent".into()));
    // 99.3103448275862 of version 7 and 24.827586206896548 of version 8.
    let Sample::Value(traffic) = arms[2].1 else {
        panic!("{arms:?}");
    };
    assert!((traffic - 124.137_931_034_482_75).abs() < 1e-9);

    let times: Vec<String> = server
        .seen()
        .iter()
        .filter(|seen| seen.path() == "/api/v1/query")
        .map(|seen| seen.parameters()["time"].clone())
        .collect();
    assert_eq!(times.len(), 3);
    assert!(times.iter().all(|time| *time == times[0]), "{times:?}");
    let described: Vec<_> = measures(&told).iter().map(|measure| measure.at).collect();
    assert!(described.iter().all(|at| *at == described[0]));
}

#[tokio::test]
async fn a_query_that_fails_takes_nothing_with_it_but_its_metric() {
    let told = told(vec![
        metric("parse_error"),
        metric("many_to_many"),
        metric("unavailable"),
        metric("warned"),
        metric("scalar"),
    ])
    .await;
    let parse = told.failure("metric ranker/prod/parse_error");
    assert_eq!(parse.kind, ErrorKind::Rejected);
    assert!(
        parse.message.contains("unclosed left parenthesis"),
        "{parse:?}"
    );
    let many = told.failure("metric ranker/prod/many_to_many");
    assert_eq!(many.kind, ErrorKind::Rejected);
    assert!(many.message.contains("duplicate series"), "{many:?}");
    let down = told.failure("metric ranker/prod/unavailable");
    assert_eq!(down.kind, ErrorKind::Server);
    let partial = told.failure("metric ranker/prod/warned");
    assert!(
        partial
            .message
            .contains("answered in part, 2 warnings, the first: store b is gone"),
        "{partial:?}"
    );
    assert_eq!(measures(&told).len(), 1);
    assert_eq!(measures(&told)[0].sample, Sample::Value(0.971));
}

#[tokio::test]
async fn a_chart_has_its_own_scope_and_a_point_for_every_step() {
    let server = Script::start(captured).await;
    let spec = MetricSpec {
        aggregate: Some(Aggregate::Sum),
        ..metric("scalar")
    };
    let setup = setup(catalog(vec![spec]), &[]);
    let mut poll = feed(backend(&server.url(), &setup, ""), "metrics");
    let told = look(&mut *poll).await.unwrap();
    assert_eq!(told.batch("metric ranker/prod/scalar").facts.len(), 1);
    assert_eq!(told.batch("chart ranker/prod/scalar").facts.len(), 1);
    let chart = series(&told)[0];
    assert_eq!(chart.arm, Arm::Canary);
    assert_eq!(chart.points.len(), 7);
    assert!((chart.points[0].1 - 125.0).abs() < 1e-9);

    let asked = server.seen();
    let range = asked.iter().find(|seen| seen.path().ends_with("range"));
    let range = range.unwrap().parameters();
    assert_eq!(range["step"], "8", "half an hour in at most 240 points");
    // 12:00:00 on 10 March 2026 is 1773144000, a multiple of 8.
    assert_eq!(range["end"], "1773144000.000");
    assert_eq!(range["start"], "1773142200.000");
    assert_eq!(chart.to, start());
}

#[tokio::test]
async fn numbers_keep_their_pace_and_charts_follow_the_eyes() {
    // Numbers are evidence: looking closer must not multiply it.
    let server = Script::start(captured).await;
    let spec = MetricSpec {
        range: Duration::from_secs(60),
        aggregate: Some(Aggregate::Sum),
        ..metric("scalar")
    };
    let clock = Arc::new(Mutex::new(start()));
    let mut setup = setup(catalog(vec![spec]), &[]);
    let shown = clock.clone();
    setup.now = Arc::new(move || *shown.lock().unwrap());
    let later = || *clock.lock().unwrap() += chrono::TimeDelta::seconds(5);
    let mut poll = feed(backend(&server.url(), &setup, ", poll = '15s'"), "metrics");
    let close = Focus {
        target: Some(target()),
        ..Focus::default()
    };
    look_with(&mut *poll, &close).await.unwrap();
    let (mut numbers, mut charts) = (0, 0);
    for _ in 0..12 {
        later();
        let told = look_with(&mut *poll, &close).await.unwrap();
        numbers += measures(&told).len();
        charts += series(&told).len();
    }
    assert_eq!((numbers, charts), (4, 12), "one minute in view");

    let (mut numbers, mut charts) = (0, 0);
    for _ in 0..12 {
        later();
        let told = look(&mut *poll).await.unwrap();
        numbers += measures(&told).len();
        charts += series(&told).len();
    }
    assert_eq!((numbers, charts), (4, 1), "one minute out of sight");
    assert!(poll.cadence(&Focus::default()) <= Duration::from_secs(15));
}

#[tokio::test]
async fn a_look_that_asks_nothing_is_no_sign_of_life_and_a_clock_set_back_postpones_none() {
    let server = Script::start(captured).await;
    let clock = Arc::new(Mutex::new(start()));
    let spec = MetricSpec {
        aggregate: Some(Aggregate::Sum),
        ..metric("scalar")
    };
    let mut setup = setup(catalog(vec![spec]), &[]);
    let shown = clock.clone();
    setup.now = Arc::new(move || *shown.lock().unwrap());
    let mut poll = feed(backend(&server.url(), &setup, ", poll = '15s'"), "metrics");
    let first = look(&mut *poll).await.unwrap();
    assert!(first.batch("metrics").complete);
    let asked = server.seen().len();
    let second = look(&mut *poll).await.unwrap();
    assert_eq!(server.seen().len(), asked, "nothing was due");
    assert!(second.batches.is_empty(), "{second:?}");

    *clock.lock().unwrap() -= chrono::TimeDelta::hours(1);
    assert!(poll.cadence(&Focus::default()) < Duration::from_secs(3));
    let third = look(&mut *poll).await.unwrap();
    assert_eq!(measures(&third).len(), 1, "{third:?}");
    assert_eq!(series(&third).len(), 1, "{third:?}");
    assert!(third.batch("metrics").complete);
}

#[tokio::test]
async fn a_long_query_goes_out_as_a_form() {
    let server = Script::start(|seen| match seen.path() {
        "/api/v1/status/buildinfo" => Reply::json(200, &fixture_json("prometheus/buildinfo.json")),
        "/api/v1/query" => {
            let answer = fixture_json("prometheus/query_scalar.json");
            Reply::json(200, &evaluated(answer, seen, 0.0))
        }
        _ => Reply::json(200, &fixture_json("prometheus/query_range.json")),
    })
    .await;
    let long = format!("sum(up{{job=~\"{}\"}})", "ranker|".repeat(500));
    let spec = MetricSpec {
        canary: long.clone().into(),
        ..metric("long")
    };
    let setup = setup(catalog(vec![spec]), &[]);
    let mut poll = feed(backend(&server.url(), &setup, ""), "metrics");
    look(&mut *poll).await.unwrap();
    let posts = server.mutations();
    assert_eq!(posts.len(), 2);
    assert!(posts.iter().all(|seen| seen.parameters()["query"] == long));
    assert_eq!(
        posts[0].header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
}

#[tokio::test]
async fn a_server_whose_clock_is_wrong_is_asked_by_its_own_clock() {
    let server = Script::start(|seen| {
        // Ten minutes before the tests begin.
        captured(seen).with("date", "Tue, 10 Mar 2026 11:50:00 GMT")
    })
    .await;
    let setup = setup(catalog(vec![metric("scalar")]), &[]);
    let mut poll = feed(backend(&server.url(), &setup, ""), "metrics");
    let told = look(&mut *poll).await.unwrap();
    let asked = server.seen();
    let query = asked.iter().find(|seen| seen.path() == "/api/v1/query");
    let time: f64 = query.unwrap().parameters()["time"].parse().unwrap();
    // 12:00:00 is 1773144000.
    assert!((time - 1_773_143_400.0).abs() < 2.0, "{time}");
    let at = measures(&told)[0].at;
    assert!((at - start()).num_seconds().abs() < 2, "{at}");

    let checks = backend(&server.url(), &setup, "").probe.probe().await;
    let clock = checks.iter().find(|check| check.what == "clock").unwrap();
    assert_eq!(clock.result, CheckResult::Remark);
    assert_eq!(clock.seen, "600 s behind ours");
}

#[tokio::test]
async fn values_are_as_old_as_the_newest_sample_where_that_can_be_learnt() {
    let stamp = Arc::new(Mutex::new(json!([1_773_143_999.0, "1773143940.5"])));
    let newest = stamp.clone();
    let server = Script::start(move |seen| {
        if seen.parameters().get("query").map(String::as_str) == Some("max(timestamp(up))") {
            let data: Value = newest.lock().unwrap().clone();
            return Reply::json(
                200,
                &json!({"status": "success", "data": {"resultType": "scalar", "result": data}}),
            );
        }
        captured(seen)
    })
    .await;
    let setup = setup(catalog(vec![metric("scalar"), metric("empty")]), &[]);
    let fresh = ", fresh = { ranker = 'max(timestamp(up))' }";
    let mut poll = feed(backend(&server.url(), &setup, fresh), "metrics");
    let told = look(&mut *poll).await.unwrap();
    let at = measures(&told)[0].at;
    assert_eq!(at.timestamp_millis(), 1_773_143_940_500, "one minute ago");

    *stamp.lock().unwrap() = json!([1_773_143_999.0, "1773151200"]);
    let refresh = Focus {
        refresh: 2,
        ..Focus::default()
    };
    let error = look_with(&mut *poll, &refresh)
        .await
        .expect_err("two hours ahead");
    assert!(
        error.message.contains("the newest sample is stamped"),
        "{error}"
    );

    *stamp.lock().unwrap() = json!([1_773_143_999.0, "NaN"]);
    let refresh = Focus {
        refresh: 1,
        ..Focus::default()
    };
    let told = look_with(&mut *poll, &refresh).await;
    let error = told.expect_err("no age is known of anything");
    assert!(error.message.contains("came to NaN"), "{error}");

    let Err(unknown) = build(
        "prometheus",
        "{ url = 'http://x', fresh = { rankr = 'up' } }",
        &setup,
    ) else {
        panic!("a service that does not exist");
    };
    assert!(unknown.message().contains("expected a service: ranker"));
}

/// One metric of a server whose samples are stamped `offset` seconds after the
/// time asked for.
async fn stamped(name: &'static str, offset: f64) -> Result<Told, BackendError> {
    let server = Script::start(move |seen| match seen.path() {
        "/api/v1/query" => {
            let answer = fixture_json(&format!("prometheus/query_{name}.json"));
            Reply::json(200, &evaluated(answer, seen, offset))
        }
        _ => captured(seen),
    })
    .await;
    let setup = setup(catalog(vec![metric(name)]), &[]);
    let mut poll = feed(backend(&server.url(), &setup, ""), "metrics");
    look(&mut *poll).await
}

#[tokio::test]
async fn a_value_is_as_old_as_its_own_stamp() {
    // What a cache in front of the server kept for two hours; one series, a
    // scalar, and two series of which there is no single value.
    for name in ["absent", "scalar", "p95"] {
        let told = stamped(name, -7_200.0).await.unwrap();
        let age = start() - measures(&told)[0].at;
        assert!(
            (7_198..=7_200).contains(&age.num_seconds()),
            "{name}: {age}"
        );
    }
}

#[tokio::test]
async fn a_value_with_a_stamp_of_the_future_is_no_value() {
    for name in ["absent", "scalar"] {
        let error = stamped(name, 7_200.5).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Malformed);
        assert!(
            error.message.contains("a sample is stamped 7200 s ahead"),
            "{error}"
        );
        // A clock that goes a little fast is none of our business.
        let told = stamped(name, 5.0).await.unwrap();
        assert!((measures(&told)[0].at - start()).num_seconds() < 2);
    }
    let absurd = stamped("scalar", 1e300).await.unwrap_err();
    assert!(absurd.message.contains("which is no time"), "{absurd}");
}

#[tokio::test]
async fn doctor_tries_every_query_once_and_says_what_it_came_to() {
    let server = Script::start(captured).await;
    let metrics = vec![
        MetricSpec {
            stable: Some("empty".into()),
            traffic: Some("nan".into()),
            ..metric("scalar")
        },
        metric("p95"),
        metric("parse_error"),
    ];
    let setup = setup(catalog(metrics), &[]);
    let checks = backend(&server.url(), &setup, "").probe.probe().await;
    let said: Vec<_> = checks
        .iter()
        .skip(2)
        .map(|check| (check.what.as_str(), check.result, check.seen.as_str()))
        .collect();
    assert_eq!(checks[0].what, "reach");
    assert_eq!(checks[1].seen, "2.42.0+ds");
    assert_eq!(
        said[..4],
        [
            (
                "query ranker/prod/scalar canary",
                CheckResult::Good,
                "0.971"
            ),
            (
                "query ranker/prod/scalar stable",
                CheckResult::Remark,
                "no series"
            ),
            (
                "query ranker/prod/scalar traffic",
                CheckResult::Remark,
                "NaN, which is no finite number"
            ),
            (
                "query ranker/prod/p95 canary",
                CheckResult::Remark,
                "2 series without an aggregate"
            ),
        ]
    );
    assert_eq!(said[4].1, CheckResult::Out);
    assert!(said[4].2.contains("unclosed left parenthesis"));
}

#[test]
fn the_example_is_a_section_that_builds() {
    let backend = example("prometheus", &setup(catalog(Vec::new()), &[]));
    assert_eq!(backend.kind, "prometheus");
    assert_eq!(backend.cadence.as_secs(), 15);
}
