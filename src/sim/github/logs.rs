//! Job logs: their text, and the storage they are fetched from.
//!
//! GitHub answers a log request with a redirect to signed storage on another
//! host. That host refuses a request which carries credentials, so a client
//! that forwards its token fails here as it would there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::body::Bytes;
use chrono::TimeDelta;

use crate::sim::{
    digest,
    github::{
        model::{Hub, Job, JobSpec, Time},
        steps::{StepView, steps},
    },
    http::{Reply, Request, Site},
};

/// How long a signed address is good for.
const VALID: TimeDelta = TimeDelta::minutes(1);

/// The storage host.
#[derive(Debug, Clone)]
pub(crate) struct LogStore {
    url: String,
    blobs: Arc<Mutex<BTreeMap<u64, Bytes>>>,
}

impl LogStore {
    /// A store that clients reach at `url`.
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            blobs: Arc::default(),
        }
    }

    /// Keeps a log and gives the address to fetch it from.
    pub(crate) fn sign(&self, job: u64, log: Bytes, now: Time) -> String {
        self.blobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(job, log);
        let until = (now + VALID).timestamp();
        format!(
            "{}/logs/{job}.txt?se={until}&sig={}",
            self.url,
            signature(job, until)
        )
    }
}

fn signature(job: u64, until: i64) -> String {
    digest::short(&format!("demo log {job} {until}"), 32)
}

impl Site for LogStore {
    fn answer(&self, request: &Request) -> Reply {
        let refuse = |status: u16, code: &str| {
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code></Error>"
            );
            Reply::typed(status, "application/xml", body).with("x-ms-error-code", code)
        };
        if request.header("authorization").is_some() {
            return refuse(403, "AuthenticationFailed");
        }
        let job = request
            .segments
            .last()
            .and_then(|name| name.strip_suffix(".txt"))
            .and_then(|number| number.parse::<u64>().ok());
        let until = request
            .param("se")
            .and_then(|text| text.parse::<i64>().ok());
        let (Some(job), Some(until)) = (job, until) else {
            return refuse(404, "BlobNotFound");
        };
        let good = request.param("sig") == Some(signature(job, until).as_str());
        if !good || request.now.timestamp() > until {
            return refuse(403, "AuthenticationFailed");
        }
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.get(&job).map_or_else(
            || refuse(404, "BlobNotFound"),
            |log| Reply::typed(200, "text/plain; charset=utf-8", log.clone()),
        )
    }
}

/// The log of a job that is over, as the runner wrote it.
///
/// Every line carries the moment it was written, with seven fractional digits,
/// and the text begins with a byte order mark.
pub(crate) fn text(hub: &Hub, job: &Job, spec: &JobSpec, now: Time) -> String {
    let mut log = String::from('\u{feff}');
    for view in steps(job, spec, now, hub.speed) {
        let (Some(started), Some(completed)) = (view.started, view.completed) else {
            continue;
        };
        if view.conclusion == Some("skipped") {
            continue;
        }
        let lines = lines_of(job, spec, &view);
        let count = i32::try_from(lines.len()).unwrap_or(i32::MAX).max(1);
        let pace = (completed - started) / count;
        let mut at = started;
        for line in lines {
            let nanos = at.timestamp_subsec_nanos() / 100;
            log.push_str(&format!(
                "{}.{nanos:07}Z {line}\n",
                at.format("%Y-%m-%dT%H:%M:%S")
            ));
            at += pace;
        }
    }
    log
}

fn lines_of(job: &Job, spec: &JobSpec, view: &StepView) -> Vec<String> {
    let Some(index) = view.index else {
        return match view.name.as_str() {
            "Set up job" => vec![
                "Current runner version: '2.329.0'".to_owned(),
                "##[group]Runner Image".to_owned(),
                format!("Runner name: 'GitHub Actions {}'", job.runner),
                format!("Labels: {}", spec.labels.join(", ")),
                "##[endgroup]".to_owned(),
                "Prepare all required actions".to_owned(),
                format!("Complete job name: {}", job.name),
            ],
            _ => vec!["Cleaning up orphan processes".to_owned()],
        };
    };
    let mut lines = vec![
        format!("##[group]Run {}", view.name),
        "##[endgroup]".to_owned(),
    ];
    if let Some(step) = spec.steps.get(index) {
        lines.extend(step.log.iter().cloned());
    }
    match view.conclusion {
        Some("failure") => {
            if let Some((_, failing)) = &job.failing {
                lines.extend(failing.iter().cloned());
            }
            lines.push("##[error]Process completed with exit code 1.".to_owned());
        }
        Some("cancelled") => lines.push("##[error]The operation was canceled.".to_owned()),
        _ => (),
    }
    lines
}
