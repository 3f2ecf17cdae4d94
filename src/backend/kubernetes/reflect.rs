//! Keeps one list in step with the server: list, follow, list again when told.
//!
//! Lists are consistent reads, never from the server's cache, because an answer
//! must show the truth of an instant after it was asked for. A watch lives at
//! most as long as the settings say, so that a dead link is noticed.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::{self, Instant},
};

use crate::{
    backend::{
        BackendError, ErrorKind,
        kubernetes::{
            client::{Connection, SLOW},
            encode::segment,
            fault::{self, Asked},
            kind::{Broken, Kind, Object},
        },
    },
    domain::{Timestamp, text::Clean},
};

/// Objects per page of a list.
const PAGE: usize = 500;
/// A watch that ended sooner is not opened again at once.
const SHORT: Duration = Duration::from_secs(1);
/// A list that the server had forgotten within that time so many times in a
/// row cannot be followed: a cache that lags behind its store refuses each.
const TRIES: u32 = 3;

/// What became known about one list.
#[derive(Debug)]
pub(super) enum Change {
    /// Everything that is there.
    Listed {
        /// Which list.
        kind: Kind,
        /// When the request began.
        asked: Timestamp,
        /// When the last page had arrived.
        at: Timestamp,
        /// What can be read.
        objects: Vec<Object>,
        /// What cannot.
        broken: Vec<Broken>,
    },
    /// An object is new or changed.
    Put(Kind, Object),
    /// An object changed into something that cannot be read.
    Spoilt(Kind, Broken),
    /// The object with this uid is gone.
    Gone(Kind, String),
    /// Nothing changed and the server still talks.
    Alive(Kind, Timestamp),
    /// We may not look, or cannot now; it is tried again at the time given.
    Refused {
        /// Which list.
        kind: Kind,
        /// When that was learnt.
        at: Timestamp,
        /// Why.
        error: BackendError,
        /// How long until the next try.
        retry: Duration,
    },
    /// One object was looked at on its own.
    Looked {
        /// Of which kind.
        kind: Kind,
        /// Its name.
        name: Clean,
        /// When the request began.
        asked: Timestamp,
        /// When the answer had arrived.
        at: Timestamp,
        /// The object; `None` = there is none of this name.
        object: Option<Object>,
    },
    /// One object could not be looked at on its own.
    Overlooked {
        /// Of which kind.
        kind: Kind,
        /// When that was learnt.
        at: Timestamp,
        /// Why.
        error: BackendError,
        /// How long until the next try, if there is one.
        retry: Option<Duration>,
    },
}

/// One list and who is told about it.
pub(super) struct Reflector {
    pub(super) link: Arc<Connection>,
    pub(super) kind: Kind,
    pub(super) namespace: Clean,
    /// What narrows the list further (`fieldSelector=…`).
    pub(super) narrowed: Option<String>,
    pub(super) outlet: mpsc::Sender<Change>,
    /// Changes when the list is to be read anew.
    pub(super) relist: watch::Receiver<u64>,
}

impl Reflector {
    /// Runs until nobody listens.
    ///
    /// # Errors
    ///
    /// The server cannot be reached or makes no sense; permission and absence
    /// are no errors, they are told and tried again slowly.
    pub(super) async fn run(mut self) -> Result<(), BackendError> {
        let (mut outrun, mut in_vain) = (false, 0);
        while !self.outlet.is_closed() {
            self.relist.mark_unchanged();
            match self.list().await {
                Ok(version) => {
                    outrun = false;
                    let listed = Instant::now();
                    let forgotten = self.follow(version).await?;
                    let Some(error) = forgotten.filter(|_| listed.elapsed() < SHORT) else {
                        in_vain = 0;
                        continue;
                    };
                    in_vain += 1;
                    if in_vain == TRIES {
                        return Err(error);
                    }
                    self.rest(SHORT * in_vain).await;
                }
                // It changed too much between two pages; twice is no accident.
                Err(error) if error.kind == ErrorKind::Conflict && !outrun => outrun = true,
                Err(error) => self.set_aside(error).await?,
            }
        }
        Ok(())
    }

    /// Tells what hinders without breaking the rest, and waits; hands back what
    /// breaks everything.
    async fn set_aside(&mut self, error: BackendError) -> Result<(), BackendError> {
        let at = (self.link.now)();
        match error.kind {
            ErrorKind::NotFound if self.kind.may_be_absent() => {
                self.tell(Change::Listed {
                    kind: self.kind,
                    asked: at,
                    at,
                    objects: Vec::new(),
                    broken: Vec::new(),
                })
                .await;
            }
            ErrorKind::Forbidden => {
                let kind = self.kind;
                self.tell(Change::Refused {
                    kind,
                    at,
                    error,
                    retry: SLOW,
                })
                .await;
            }
            _ => return Err(error),
        }
        self.rest(SLOW).await;
        Ok(())
    }

    /// Waits, until the list is to be read anew at the latest.
    async fn rest(&mut self, most: Duration) {
        if let Ok(Err(_)) = time::timeout(most, self.relist.changed()).await {
            self.outlet = mpsc::channel(1).0;
        }
    }

    async fn tell(&self, change: Change) {
        // Nobody listens any more: the loop in `run` ends.
        drop(self.outlet.send(change).await);
    }

    fn query(&self, more: &str) -> String {
        let mut path = format!("{}?{more}", self.kind.collection(&self.namespace));
        for part in [self.kind.selector(), self.narrowed.clone()]
            .into_iter()
            .flatten()
        {
            path.push('&');
            path.push_str(&part);
        }
        path
    }

    /// Reads the whole list; returns the version from which to follow it.
    async fn list(&self) -> Result<String, BackendError> {
        let doing = format!("list {} in `{}`", self.kind.plural(), self.namespace);
        let mut objects = Vec::new();
        let mut broken = Vec::new();
        let mut continued = String::new();
        let mut begun = None;
        loop {
            let mut path = self.query(&format!("limit={PAGE}"));
            if !continued.is_empty() {
                path.push_str("&continue=");
                path.push_str(&segment(&continued));
            }
            let mut answer = self.link.get(&path, &doing).await?;
            let asked = *begun.get_or_insert(answer.asked);
            let items = answer.body.get_mut("items").map(Value::take);
            let Some(Value::Array(items)) = items
                .filter(|items| !items.is_null())
                .or(Some(Value::Array(Vec::new())))
            else {
                return Err(BackendError::new(
                    ErrorKind::Malformed,
                    Clean::line(&format!("could not {doing}: the answer is no list")),
                ));
            };
            for item in items {
                match Object::read(self.kind, item) {
                    Ok(object) => objects.push(object),
                    Err(unreadable) => broken.push(unreadable),
                }
            }
            let text = |pointer: &str| {
                answer
                    .body
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let (version, next) = (
                text("/metadata/resourceVersion"),
                text("/metadata/continue"),
            );
            if next.is_empty() {
                let (kind, at) = (self.kind, answer.at);
                self.tell(Change::Listed {
                    kind,
                    asked,
                    at,
                    objects,
                    broken,
                })
                .await;
                return Ok(version);
            }
            continued = next;
        }
    }

    /// Follows the list from a version on, until it has to be read anew; says
    /// how, when that is because the server has forgotten what came in between.
    async fn follow(&mut self, mut version: String) -> Result<Option<BackendError>, BackendError> {
        let doing = format!("watch {} in `{}`", self.kind.plural(), self.namespace);
        let settings = &self.link.settings;
        // Its end is a sign of life; two and a half cadences are not yet late.
        let life = settings.watch_timeout.min(settings.cadence * 5 / 2);
        let limit = life + settings.timeout.min(Duration::from_secs(5));
        let seconds = life.as_secs() + u64::from(life.subsec_nanos() != 0);
        while !self.outlet.is_closed() {
            let opened = Instant::now();
            let path = self.query(&format!(
                "watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}",
                segment(&version)
            ));
            let mut lines = match self.link.watch(&path, &doing).await {
                Ok(lines) => lines,
                Err(error) if error.kind == ErrorKind::Conflict => return Ok(Some(error)),
                Err(error) => {
                    self.set_aside(error).await?;
                    return Ok(None);
                }
            };
            self.tell(Change::Alive(self.kind, (self.link.now)())).await;
            loop {
                let next = tokio::select! {
                    changed = self.relist.changed() => {
                        if changed.is_err() {
                            self.outlet = mpsc::channel(1).0;
                        }
                        return Ok(None);
                    }
                    next = time::timeout(limit, lines.next()) => next,
                };
                match next {
                    Err(_) => {
                        let limit = humantime::format_duration(limit);
                        return Err(BackendError::new(
                            ErrorKind::Timeout,
                            Clean::line(&format!("could not {doing}: silent for {limit}")),
                        ));
                    }
                    // An ended or broken watch is taken up where it was.
                    Ok(Err(error)) if error.kind == ErrorKind::Malformed => return Err(error),
                    Ok(Err(_) | Ok(None)) => break,
                    Ok(Ok(Some(line))) => {
                        let forgotten = self.event(&line, &mut version, &doing).await?;
                        if forgotten.is_some() {
                            return Ok(forgotten);
                        }
                    }
                }
            }
            if opened.elapsed() < SHORT {
                time::sleep(SHORT).await;
            }
        }
        Ok(None)
    }

    /// Takes one line in; hands back that the server has forgotten its history.
    async fn event(
        &self,
        line: &[u8],
        version: &mut String,
        doing: &str,
    ) -> Result<Option<BackendError>, BackendError> {
        if let Some(object) = Object::told(self.kind, line) {
            version.clone_from(&object.meta().resource_version);
            self.tell(Change::Put(self.kind, object)).await;
            return Ok(None);
        }
        let event: Option<Value> = serde_json::from_slice(line).ok();
        let Some(mut event) = event.filter(Value::is_object) else {
            return Err(BackendError::new(
                ErrorKind::Malformed,
                Clean::line(&format!("could not {doing}: a line is no JSON object")),
            ));
        };
        let object = event.get_mut("object").map(Value::take).unwrap_or_default();
        if let Some(newer) = object
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
        {
            newer.clone_into(version);
        }
        let kind = self.kind;
        match event
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
        {
            // Most are read already; this one is odd, or nobody can read it.
            "ADDED" | "MODIFIED" => {
                let change = match Object::read(kind, object) {
                    Ok(object) => Change::Put(kind, object),
                    Err(broken) => Change::Spoilt(kind, broken),
                };
                self.tell(change).await;
            }
            "DELETED" => {
                let uid = object.pointer("/metadata/uid").and_then(Value::as_str);
                self.tell(Change::Gone(kind, uid.unwrap_or_default().to_owned()))
                    .await;
            }
            "BOOKMARK" => self.tell(Change::Alive(kind, (self.link.now)())).await,
            "ERROR" => return ended(&object, doing, (self.link.now)()),
            // A kind of event this version does not know says nothing to it.
            _ => {}
        }
        Ok(None)
    }
}

/// The server ends the watch by an error of its own.
fn ended(
    status: &Value,
    doing: &str,
    now: Timestamp,
) -> Result<Option<BackendError>, BackendError> {
    let code = status.get("code").and_then(Value::as_u64).unwrap_or(500);
    let code = u16::try_from(code)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = status.to_string();
    let error = fault::refused(
        code,
        &HeaderMap::new(),
        body.as_bytes(),
        Asked::Read,
        doing,
        now,
    );
    if code == StatusCode::GONE {
        return Ok(Some(error));
    }
    Err(error)
}
