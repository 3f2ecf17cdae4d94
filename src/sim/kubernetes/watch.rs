//! Watches: the event log as an endless answer, one JSON object per line.
//!
//! A watch is a cursor into the store's log. What it shows depends on its
//! selector: an object that no longer matches leaves as DELETED, one that
//! begins to match comes as ADDED. A cursor the log has outrun gets one ERROR
//! with code 410 and the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::sim::kubernetes::answer;
use crate::sim::kubernetes::faults::Fault;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::request::{Address, Query};
use crate::sim::kubernetes::selector::Selector;
use crate::sim::kubernetes::store::{Change, Event, Store};
use crate::sim::kubernetes::table::Shape;
use crate::sim::kubernetes::value::Fields;

/// How often an idle watch with bookmarks says where it is.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// How long a watch lives that did not say; the real server draws 30–60 min.
const LONGEST: u64 = 2700;

struct Watch {
    store: Arc<Store>,
    address: Address,
    selector: Selector,
    shape: Shape,
    cursor: u64,
    bookmarks: bool,
    deadline: Instant,
    next_bookmark: Instant,
    changes: watch::Receiver<u64>,
    faults: watch::Receiver<Option<Fault>>,
    ready: VecDeque<Bytes>,
    ended: bool,
}

/// Answers a watch request.
///
/// # Errors
/// A 400 for a version that is no number.
pub(crate) fn watch(
    store: &Arc<Store>,
    faults: watch::Receiver<Option<Fault>>,
    address: Address,
    selector: Selector,
    shape: Shape,
    query: &Query,
) -> Result<Response, Problem> {
    let asked = query.text("resourceVersion");
    let initial = query.flag("sendInitialEvents");
    let from_now = matches!(asked, "" | "0") || initial;
    let lifetime = query
        .number("timeoutSeconds")
        .filter(|seconds| *seconds > 0);
    let now = Instant::now();
    let mut watch = Watch {
        store: Arc::clone(store),
        address,
        selector,
        shape,
        cursor: 0,
        bookmarks: query.flag("allowWatchBookmarks"),
        deadline: now + Duration::from_secs(lifetime.unwrap_or(LONGEST)),
        next_bookmark: now + BOOKMARK_EVERY,
        changes: store.changes(),
        faults,
        ready: VecDeque::new(),
        ended: false,
    };
    if from_now {
        watch.cursor = store.version();
        // Plain watches from "any version" also begin with what is there.
        if initial || query.text("sendInitialEvents").is_empty() {
            watch.begin_with_state();
        }
        if initial && watch.bookmarks {
            watch.bookmark(true);
        }
    } else {
        watch.cursor = asked
            .parse()
            .map_err(|_| Problem::bad_request(format!("invalid resource version \"{asked}\"")))?;
    }
    let lines = stream::unfold(watch, |mut watch| async move {
        let line = watch.next().await?;
        Some((line, watch))
    });
    Ok(answer::with_type(
        200,
        "application/json",
        Body::from_stream(lines),
    ))
}

impl Watch {
    fn namespace(&self) -> Option<&str> {
        (!self.address.namespace.is_empty()).then_some(self.address.namespace.as_str())
    }

    fn begin_with_state(&mut self) {
        let (objects, version) = self
            .store
            .list(self.address.resource.kind, self.namespace());
        self.cursor = version;
        for object in &objects {
            if self.is_meant(object) {
                self.say("ADDED", object);
            }
        }
    }

    /// The next line, or the cut that a fault makes; `None` at the end.
    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        loop {
            let fault = *self.faults.borrow_and_update();
            match fault {
                Some(Fault::Hang) => {
                    // A hung server says nothing at all, not even the end.
                    self.faults.changed().await.ok()?;
                    continue;
                }
                Some(Fault::Reset) => return Some(Err(std::io::Error::other("cut"))),
                Some(Fault::Status(_) | Fault::Html) => return None,
                None | Some(Fault::LostAnswer) => (),
            }
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            if self.ended {
                return None;
            }
            self.changes.mark_unchanged();
            self.read_log();
            if !self.ready.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                changed = self.faults.changed() => changed.ok()?,
                () = sleep_until(self.deadline) => {
                    self.ended = true;
                    if self.bookmarks {
                        self.bookmark(false);
                    }
                },
                () = sleep_until(self.next_bookmark), if self.bookmarks => self.bookmark(false),
            }
        }
    }

    fn read_log(&mut self) {
        let events = match self.store.since(self.cursor) {
            Ok(events) => events,
            Err(oldest) => {
                let message = format!("too old resource version: {} ({oldest})", self.cursor);
                self.line("ERROR", &Problem::expired(message).status());
                self.ended = true;
                return;
            }
        };
        for event in events {
            self.cursor = event.version;
            self.tell(&event);
        }
    }

    fn tell(&mut self, event: &Event) {
        let kind = self.address.resource.kind;
        let here = self
            .namespace()
            .is_none_or(|only| event.key.namespace == only);
        if event.key.kind != kind || !here {
            return;
        }
        let was = event
            .before
            .as_deref()
            .is_some_and(|before| self.is_meant(before));
        let is = event.change != Change::Deleted && self.is_meant(&event.object);
        match (was, is) {
            (false, true) => self.say("ADDED", &event.object),
            (true, true) => self.say("MODIFIED", &event.object),
            (true, false) => self.say("DELETED", &event.object),
            (false, false) => (),
        }
    }

    fn is_meant(&self, object: &Value) -> bool {
        let named =
            self.address.name.is_empty() || object.text("/metadata/name") == self.address.name;
        named && self.selector.matches(object)
    }

    fn say(&mut self, what: &str, object: &Value) {
        let now = self.store.time.now();
        let shaped = self.shape.one(self.address.resource, object, now);
        self.line(what, &shaped);
    }

    fn bookmark(&mut self, initial: bool) {
        self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
        let resource = self.address.resource;
        let mut object = json!({
            "kind": resource.kind,
            "apiVersion": resource.api_version(),
            "metadata": {"resourceVersion": self.cursor.to_string()},
        });
        if !resource.custom {
            object.put("/metadata/creationTimestamp", Value::Null);
        }
        if initial {
            object.put(
                "/metadata/annotations/k8s.io~1initial-events-end",
                json!("true"),
            );
        }
        self.line("BOOKMARK", &object);
    }

    fn line(&mut self, what: &str, object: &Value) {
        let line = format!("{}\n", json!({"type": what, "object": object}));
        self.ready.push_back(Bytes::from(line));
    }
}
