//! Pod logs: made-up but steady lines, so that a log pane has something to show.
//!
//! A line depends only on its pod and its second, so asking twice gives the
//! same text, and `follow` goes on where a plain read ended.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream;
use serde_json::Value;
use tokio::time::sleep;

use crate::sim::kubernetes::answer as answers;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::request::{Address, Query};
use crate::sim::kubernetes::resource::Key;
use crate::sim::kubernetes::store::Store;
use crate::sim::kubernetes::value::Fields;

/// Lines kept of a pod's past.
const KEPT: i64 = 2000;

/// Answers `GET …/pods/<name>/log`.
///
/// # Errors
/// A 404 for no such pod, a 400 for a container that has not started.
pub(crate) fn answer(
    store: &Arc<Store>,
    address: &Address,
    query: &Query,
) -> Result<Response, Problem> {
    let key = address.key();
    let pod = store
        .get(&key)
        .ok_or_else(|| Problem::not_found(address.resource, &key.name))?;
    let container = match query.text("container") {
        "" => pod.text("/spec/containers/0/name"),
        named => named,
    };
    let known = pod
        .items("/spec/containers")
        .iter()
        .any(|one| one.text("/name") == container);
    if !known {
        let why = format!("container {container} is not valid for pod {}", key.name);
        return Err(Problem::bad_request(why));
    }
    let Some(started) = started(&pod) else {
        let why = format!(
            "container \"{container}\" in pod \"{}\" is waiting to start: {}",
            key.name,
            reason(&pod)
        );
        return Err(Problem::bad_request(why));
    };
    let now = store.time.now();
    let age = (now - started).num_seconds();
    let wanted = query
        .number("tailLines")
        .and_then(|lines| i64::try_from(lines).ok());
    let first = (age + 1 - wanted.unwrap_or(KEPT).min(KEPT)).max(0);
    let stamps = query.flag("timestamps");
    let past: String = (first..=age)
        .map(|second| line(&pod, started, second, stamps))
        .collect();
    if query.flag("follow") {
        return Ok(follow(store, key, past, started, age, stamps));
    }
    Ok(answers::text(200, past))
}

fn follow(
    store: &Arc<Store>,
    key: Key,
    past: String,
    started: DateTime<Utc>,
    age: i64,
    stamps: bool,
) -> Response {
    let state = (Arc::clone(store), key, Some(past), age);
    let lines = stream::unfold(state, move |(store, key, past, second)| async move {
        if let Some(past) = past {
            return Some((
                Ok::<_, std::io::Error>(Bytes::from(past)),
                (store, key, None, second),
            ));
        }
        sleep(Duration::from_secs(1)).await;
        let pod = store.get(&key)?;
        let next = second + 1;
        let text = line(&pod, started, next, stamps);
        Some((Ok(Bytes::from(text)), (store, key, None, next)))
    });
    answers::with_type(200, "text/plain", Body::from_stream(lines))
}

fn started(pod: &Value) -> Option<DateTime<Utc>> {
    let stamp = pod.text("/status/containerStatuses/0/state/running/startedAt");
    DateTime::parse_from_rfc3339(stamp)
        .ok()
        .map(|time| time.to_utc())
}

fn reason(pod: &Value) -> &str {
    match pod.text("/status/containerStatuses/0/state/waiting/reason") {
        "ImagePullBackOff" => "trying and failing to pull image",
        "" => "ContainerCreating",
        other => other,
    }
}

fn line(pod: &Value, started: DateTime<Utc>, second: i64, stamps: bool) -> String {
    let time = started + TimeDelta::seconds(second);
    let written = time.format("%Y-%m-%dT%H:%M:%S%.3fZ");
    let name = pod.text("/metadata/name");
    let noise = name.bytes().fold(second, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(i64::from(byte))
    });
    let latency = 18 + noise.rem_euclid(37);
    let text = match (second, noise.rem_euclid(11)) {
        (0, _) => format!(
            "loading model from {}",
            pod.text("/spec/containers/0/image")
        ),
        (1, _) => "model loaded, listening on :8080".to_owned(),
        (_, 0) => "GET /healthz 200".to_owned(),
        _ => format!(
            "POST /predict 200 {latency}ms rows={}",
            1 + noise.rem_euclid(64)
        ),
    };
    let prefix = if stamps {
        format!("{written} ")
    } else {
        String::new()
    };
    format!("{prefix}{written} INFO {text}\n")
}
