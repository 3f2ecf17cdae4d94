//! Windows for N-of-M rules: on a grid, asked for once each, filled in backwards.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta};
use gonogo::domain::{
    catalog::{Catalog, MetricSpec},
    id::{GateId, PolicyName},
    measure::Windows,
    observation::Fact,
    policy::{Better, Breaches, GateRule, GateSource, Limit, Policy},
};
use serde_json::{Value, json};

use crate::support::{
    backend::{Told, build, feed, look},
    release::{catalog, metric},
    script::{Reply, Script, Seen},
    setup::{setup, start},
};

fn parameters(seen: &Seen) -> BTreeMap<String, String> {
    let query = seen.target.split_once('?').map_or("", |(_, query)| query);
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// A server whose canary comes to the minute of the hour, with nothing in
/// minute 58; stable is always 7, and traffic 500.
fn clockwork(seen: &Seen) -> Reply {
    let asked = parameters(seen);
    let value = |at: f64| -> Option<f64> {
        match asked["query"].as_str() {
            "stable" => Some(7.0),
            "traffic" => Some(500.0),
            _ => {
                let minute = (at / 60.0).rem_euclid(60.0).floor();
                (minute.to_bits() != 58.0_f64.to_bits()).then_some(minute)
            }
        }
    };
    let answer = |kind: &str, result: Value| {
        Reply::json(
            200,
            &json!({"status": "success", "data": {"resultType": kind, "result": result}}),
        )
    };
    let number = |name: &str| asked[name].parse::<f64>().unwrap();
    match seen.path() {
        "/api/v1/query_range" => {
            let (mut at, mut values) = (number("start"), Vec::new());
            while at <= number("end") {
                values.extend(value(at).map(|value| json!([at, value.to_string()])));
                at += number("step");
            }
            answer("matrix", json!([{"metric": {}, "values": values}]))
        }
        "/api/v1/query" => {
            let at = number("time");
            let result =
                value(at).map(|value| json!({"metric": {}, "value": [at, value.to_string()]}));
            answer("vector", json!(result.into_iter().collect::<Vec<_>>()))
        }
        _ => Reply::status(404),
    }
}

/// A service whose policy looks at three windows of this metric.
fn three_windows(spec: MetricSpec) -> Catalog {
    let gate = GateRule {
        id: GateId::new("latency"),
        class: 'L',
        required: true,
        source: GateSource::Metric(spec.id.metric.clone()),
        better: Better::Lower,
        fail: Limit {
            below: None,
            above: Some(250.0),
        },
        warn: Limit::default(),
        versus: None,
        unit: "ms".into(),
        breaches: Some(Breaches { of: 3, at_least: 2 }),
        min_traffic: None,
        max_age: None,
        bind: Vec::new(),
    };
    let policy = Policy {
        name: PolicyName::new("none"),
        digest: "sha256:p".into(),
        override_allowed: false,
        gates: vec![gate],
    };
    let mut catalog = catalog(vec![spec]);
    catalog
        .policies
        .insert(policy.name.clone(), Arc::new(policy));
    catalog
}

fn windows(told: &Told) -> Vec<&Windows> {
    let windows = told.facts().filter_map(|fact| match fact {
        Fact::Windows(windows) => Some(windows),
        _ => None,
    });
    windows.collect()
}

/// Minute of the hour at the end, and what the canary came to, of the last
/// three: as many as the gate looks at.
fn minutes(windows: &Windows) -> Vec<(i64, Option<f64>)> {
    let last = windows.windows.len() - 3;
    windows.windows[last..]
        .iter()
        .map(|window| (window.ends_at.timestamp() / 60 % 60, window.canary))
        .collect()
}

fn spec() -> MetricSpec {
    MetricSpec {
        stable: Some("stable".into()),
        traffic: Some("traffic".into()),
        window: Duration::from_secs(60),
        looks_back: Duration::from_secs(60),
        ..metric("canary")
    }
}

#[tokio::test]
async fn the_windows_before_the_first_look_are_filled_in_at_it() {
    let server = Script::start(clockwork).await;
    // Ten seconds past noon: the last window that is over ended at noon.
    let mut setup = setup(three_windows(spec()), &[]);
    setup.now = Arc::new(|| start() + TimeDelta::seconds(10));
    let section = format!("{{ url = '{}', timeout = '1s' }}", server.url());
    let mut poll = feed(build("prometheus", &section, &setup).unwrap(), "metrics");
    let told = look(&mut *poll).await.unwrap();
    let found = windows(&told)[0];
    assert_eq!(found.width, Duration::from_secs(60));
    assert_eq!(
        minutes(found),
        [(58, None), (59, Some(59.0)), (0, Some(0.0))],
        "a gap is a gap"
    );
    let last = found.windows.last().unwrap();
    assert_eq!((last.stable, last.traffic), (Some(7.0), Some(500.0)));
    assert_eq!(last.ends_at, start());
}

/// What a canary came to before it was taken back is known to whoever looks
/// afterwards: two hours of it.
#[tokio::test]
async fn windows_from_before_those_a_gate_looks_at_are_kept_without_gaps() {
    let server = Script::start(clockwork).await;
    let clock = Arc::new(Mutex::new(start() + TimeDelta::seconds(10)));
    let mut setup = setup(three_windows(spec()), &[]);
    let shown = clock.clone();
    setup.now = Arc::new(move || *shown.lock().unwrap());
    let section = format!(
        "{{ url = '{}', timeout = '1s', poll = '1s' }}",
        server.url()
    );
    let mut poll = feed(build("prometheus", &section, &setup).unwrap(), "metrics");
    for minutes in [0, 1, 5, 600] {
        *clock.lock().unwrap() = start() + TimeDelta::seconds(10 + minutes * 60);
        let told = look(&mut *poll).await.unwrap();
        let ends: Vec<_> = windows(&told)[0]
            .windows
            .iter()
            .map(|window| (window.ends_at - start()).num_minutes())
            .collect();
        let expected: Vec<i64> = (minutes - 119..=minutes).collect();
        assert_eq!(ends, expected);
    }
}

#[tokio::test]
async fn a_window_is_asked_for_once_however_often_one_looks() {
    let server = Script::start(clockwork).await;
    let clock = Arc::new(Mutex::new(start() + TimeDelta::seconds(10)));
    let mut setup = setup(three_windows(spec()), &[]);
    let shown = clock.clone();
    setup.now = Arc::new(move || *shown.lock().unwrap());
    let section = format!(
        "{{ url = '{}', timeout = '1s', poll = '1s' }}",
        server.url()
    );
    let mut poll = feed(build("prometheus", &section, &setup).unwrap(), "metrics");
    let grid_queries = || {
        let seen = server.seen();
        let ranges = seen.iter().filter(|seen| seen.path().ends_with("range"));
        ranges
            .filter(|seen| parameters(seen)["step"] == "60")
            .count()
    };
    let first = look(&mut *poll).await.unwrap();
    assert_eq!(grid_queries(), 3, "canary, stable, traffic");
    let first = windows(&first)[0].clone();
    for _ in 0..49 {
        *clock.lock().unwrap() += TimeDelta::seconds(1);
        let told = look(&mut *poll).await.unwrap();
        assert_eq!(windows(&told), [&first], "the same, told again");
    }
    assert_eq!(grid_queries(), 3);
    // One minute past noon another one is over.
    *clock.lock().unwrap() += TimeDelta::seconds(2);
    let told = look(&mut *poll).await.unwrap();
    assert_eq!(grid_queries(), 6);
    assert_eq!(
        minutes(windows(&told)[0]),
        [(59, Some(59.0)), (0, Some(0.0)), (1, Some(1.0))]
    );
}

/// Two cockpits that look at different moments see the same windows.
#[tokio::test]
async fn the_same_stretch_of_time_is_the_same_window_for_everybody() {
    let server = Script::start(clockwork).await;
    let mut told = Vec::new();
    for seconds in [3, 17, 44, 59] {
        let mut setup = setup(three_windows(spec()), &[]);
        setup.now = Arc::new(move || start() + TimeDelta::seconds(seconds));
        let section = format!("{{ url = '{}', timeout = '1s' }}", server.url());
        let mut poll = feed(build("prometheus", &section, &setup).unwrap(), "metrics");
        let looked = look(&mut *poll).await.unwrap();
        told.push(windows(&looked)[0].clone());
    }
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
    assert_eq!(
        told[0].windows.last().unwrap().ends_at,
        DateTime::parse_from_rfc3339("2026-03-10T12:00:00Z").unwrap()
    );
}

#[tokio::test]
async fn without_a_rule_that_looks_at_windows_none_are_asked_for() {
    let server = Script::start(clockwork).await;
    let setup = setup(catalog(vec![spec()]), &[]);
    let section = format!("{{ url = '{}', timeout = '1s' }}", server.url());
    let mut poll = feed(build("prometheus", &section, &setup).unwrap(), "metrics");
    let told = look(&mut *poll).await.unwrap();
    assert!(windows(&told).is_empty());
}
