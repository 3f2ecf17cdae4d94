//! The calls of Prometheus' HTTP API that are made, one function each.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use chrono::TimeDelta;
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    backend::{
        BackendError, ErrorKind,
        http::{Answer, Body, Http},
        prometheus::wire,
    },
    domain::{Timestamp, text::Clean},
};

/// Queries longer than this go out as a form, because addresses have limits.
const LONG_QUERY: usize = 2_000;
/// A clock that differs by no more than this is taken to be the same.
const SAME_CLOCK_MS: i64 = 2_000;

/// One Prometheus server.
pub(super) struct Api {
    http: Http,
    /// The server's clock minus ours.
    skew_ms: AtomicI64,
}

/// A window of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) step: Duration,
}

impl Api {
    /// Looks whether the file of the credential can be read.
    pub(super) async fn check_files(&self) -> Result<(), BackendError> {
        self.http.check_files().await
    }

    pub(super) fn new(http: Http) -> Self {
        Self {
            http,
            skew_ms: AtomicI64::new(0),
        }
    }

    /// The configured address, with its base path if it has one.
    pub(super) fn base(&self) -> &Url {
        self.http.base()
    }

    /// The server's version; `None` where it does not tell (hosted servers).
    /// Whatever it answers tells its clock as well.
    pub(super) async fn version(&self) -> Result<(Option<Clean>, Answer), BackendError> {
        let url = self.endpoint(&["status", "buildinfo"]);
        let answer = self.http.get_any(&url).await?;
        if let Some(skew) = answer.skew_ms() {
            self.skew_ms.store(skew, Ordering::Relaxed);
        }
        match answer.error() {
            Some(error) if error.kind == ErrorKind::NotFound => return Ok((None, answer)),
            Some(error) => return Err(error),
            None => {}
        }
        let info: wire::BuildInfo = unwrap(&answer)?.0;
        let version = (!info.version.is_empty()).then(|| Clean::name(&info.version));
        Ok((version, answer))
    }

    /// Whether the server says it is ready.
    pub(super) async fn ready(&self) -> Result<Answer, BackendError> {
        self.http.get(&self.http.url(["-", "ready"])).await
    }

    /// What the server's clock shows at an instant of ours.
    pub(super) fn server_time(&self, ours: Timestamp) -> Timestamp {
        let skew = self.skew_ms.load(Ordering::Relaxed);
        if skew.abs() <= SAME_CLOCK_MS {
            return ours;
        }
        ours + TimeDelta::milliseconds(skew)
    }

    /// An instant of the server's clock in ours.
    pub(super) fn our_time(&self, theirs: Timestamp) -> Timestamp {
        theirs - (self.server_time(theirs) - theirs)
    }

    /// Asks one query at one instant (of the server's clock).
    pub(super) async fn query(
        &self,
        query: &str,
        at: Timestamp,
    ) -> Result<(wire::QueryData, Vec<Clean>), BackendError> {
        self.ask("query", query, &[("time", seconds(at))]).await
    }

    /// Asks one query over a window (of the server's clock).
    pub(super) async fn query_range(
        &self,
        query: &str,
        window: Window,
    ) -> Result<(wire::QueryData, Vec<Clean>), BackendError> {
        let bounds = [
            ("start", seconds(window.from)),
            ("end", seconds(window.to)),
            ("step", window.step.as_secs_f64().to_string()),
        ];
        self.ask("query_range", query, &bounds).await
    }

    async fn ask(
        &self,
        endpoint: &str,
        query: &str,
        rest: &[(&str, String)],
    ) -> Result<(wire::QueryData, Vec<Clean>), BackendError> {
        let mut url = self.endpoint(&[endpoint]);
        let answer = if query.len() > LONG_QUERY {
            let mut form = vec![("query".to_owned(), query.to_owned())];
            form.extend(
                rest.iter()
                    .map(|(name, value)| ((*name).to_owned(), value.clone())),
            );
            self.http.ask_any(&url, &Body::Form(form)).await?
        } else {
            url.query_pairs_mut()
                .append_pair("query", query)
                .extend_pairs(rest);
            self.http.get_any(&url).await?
        };
        unwrap(&answer.ok()?)
    }

    fn endpoint(&self, path: &[&str]) -> Url {
        self.http.url(["api", "v1"].iter().chain(path))
    }
}

/// Takes the frame off an answer: its data and what the server doubts.
fn unwrap<T: DeserializeOwned>(answer: &Answer) -> Result<(T, Vec<Clean>), BackendError> {
    let envelope: wire::Envelope = answer.json()?;
    let said = match envelope.status.as_str() {
        "success" => None,
        "error" => Some((
            ErrorKind::Rejected,
            format!("{}: {}", envelope.error_type, envelope.error),
        )),
        other => Some((
            ErrorKind::Malformed,
            format!("no usable JSON: status `{other}`"),
        )),
    };
    if let Some((kind, words)) = said {
        let message = Clean::line(&format!("`{}`: {words}", answer.endpoint));
        return Err(BackendError::new(kind, message));
    }
    let warnings = envelope
        .warnings
        .iter()
        .map(|warning| Clean::line(warning))
        .collect();
    match serde_json::from_value(envelope.data) {
        Ok(data) => Ok((data, warnings)),
        Err(error) => Err(unreadable(&answer.endpoint, &error)),
    }
}

/// An answer of another shape than its type promises.
pub(super) fn unreadable(endpoint: &str, error: &serde_json::Error) -> BackendError {
    BackendError::new(
        ErrorKind::Malformed,
        Clean::line(&format!("`{endpoint}`: no usable JSON: {error}")),
    )
}

/// Unix seconds with milliseconds.
fn seconds(at: Timestamp) -> String {
    let (seconds, milliseconds) = (at.timestamp(), at.timestamp_subsec_millis());
    format!("{seconds}.{milliseconds:03}")
}
