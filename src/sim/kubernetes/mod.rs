//! The demo's Kubernetes: an API server and the controllers behind it.
//!
//! One store of plain JSON objects is served over HTTP the way a real cluster
//! serves it, and moved on by controllers that imitate the real ones. A
//! scenario writes causes (manifests and timed patches); everything else is
//! consequence. The same manifests can be given to a real cluster.
//!
//! Left out: admission, real authentication, TLS, most of the schema, ownership
//! conflicts of server-side apply, and every kind that discovery does not list.

mod access;
mod admit;
mod analysis;
mod answer;
mod api;
mod columns;
mod controllers;
mod defaults;
mod delete;
mod deployment;
mod discovery;
mod duration;
mod experiment;
mod expression;
mod faults;
mod hash;
mod logs;
mod managed;
mod pace;
mod patch;
mod pod;
mod problem;
mod protobuf;
mod replicaset;
mod request;
mod resource;
mod rollout;
mod selector;
mod store;
mod strategic;
mod strict;
mod table;
#[cfg(test)]
mod tests;
mod time;
mod value;
mod watch;
mod world;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub use crate::sim::kubernetes::access::{Persona, Rule};
pub use crate::sim::kubernetes::faults::{Fault, Recorded};
pub use crate::sim::kubernetes::world::MetricSource;

use crate::sim::clock::Clock;
use crate::sim::kubernetes::api::Asked;
use crate::sim::kubernetes::controllers::Controllers;
use crate::sim::kubernetes::patch::merge_patch;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::store::{Part, Precondition, Store, Write};
use crate::sim::kubernetes::time::{Time, until};
use crate::sim::kubernetes::value::Fields;

/// Most mutating requests remembered.
const RECORDS_KEPT: usize = 10_000;

/// How long the controllers sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// A running cluster. Clones are handles to the same one.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
    controllers: Arc<Mutex<Controllers>>,
}

/// What the HTTP side works on.
struct Shared {
    store: Arc<Store>,
    users: Mutex<Vec<Persona>>,
    anonymous: Mutex<Option<Persona>>,
    records: Mutex<Vec<Recorded>>,
    fault: tokio::sync::watch::Sender<Option<Fault>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// An empty cluster: no users, no objects, controllers not started.
    pub fn new(clock: Clock) -> Self {
        let store = Arc::new(Store::new(Time::new(clock)));
        let shared = Shared {
            store: Arc::clone(&store),
            users: Mutex::default(),
            anonymous: Mutex::default(),
            records: Mutex::default(),
            fault: tokio::sync::watch::Sender::new(None),
        };
        Self {
            shared: Arc::new(shared),
            controllers: Arc::new(Mutex::new(Controllers::new(store))),
        }
    }

    /// Creates an object from a manifest, or replaces its spec and metadata.
    ///
    /// Durations in it (pauses, intervals, deadlines) are divided by the speed
    /// of the clock, so that clients who read them see them come true. A
    /// missing namespace is made. A `status` in the manifest is dropped where
    /// the kind keeps its status apart.
    ///
    /// # Errors
    /// A sentence when the manifest names no known kind or no name.
    pub fn apply(&self, manifest: Value) -> Result<Value, String> {
        let (key, mut object) = self.admit(manifest)?;
        pace::quicken(&mut object, self.clock().speed());
        let write = Write {
            part: Part::Main,
            ..Write::INTERNAL
        };
        let outcome = if self.shared.store.get(&key).is_some() {
            object.drop_field("/metadata/resourceVersion");
            object.drop_field("/metadata/uid");
            self.shared.store.update(&key, write, |_| Ok(object))
        } else {
            self.shared
                .store
                .create(key.resource(), &key.namespace, object, write)
        };
        outcome
            .map(|stored| (*stored).clone())
            .map_err(|problem| problem.message)
    }

    /// Stores an object exactly as it is, status and stamps included, as part
    /// of the history the cluster starts with.
    ///
    /// # Errors
    /// A sentence when the object names no known kind or no name, or exists.
    pub fn seed(&self, object: Value) -> Result<Value, String> {
        let (key, object) = self.admit(object)?;
        self.shared
            .store
            .create(key.resource(), &key.namespace, object, Write::INTERNAL)
            .map(|stored| (*stored).clone())
            .map_err(|problem| problem.message)
    }

    fn admit(&self, object: Value) -> Result<(Key, Value), String> {
        let resource = Resource::of(&object).ok_or_else(|| {
            format!(
                "unknown kind {} {}",
                object.text("/apiVersion"),
                object.text("/kind")
            )
        })?;
        let name = object.text("/metadata/name");
        if name.is_empty() {
            return Err(format!("a {} without a name", resource.kind));
        }
        let namespace = match object.text("/metadata/namespace") {
            "" if resource.namespaced => "default",
            namespace => namespace,
        };
        let key = Key::new(resource, namespace, name);
        if resource.namespaced {
            self.make_namespace(namespace);
        }
        Ok((key, object))
    }

    fn make_namespace(&self, name: &str) {
        let Some(resource) = Resource::by_kind("Namespace") else {
            return;
        };
        let namespace = json!({
            "kind": "Namespace",
            "apiVersion": "v1",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        // That it exists already is the usual case.
        drop(
            self.shared
                .store
                .create(resource, "", namespace, Write::INTERNAL),
        );
    }

    /// Merges a patch (RFC 7386) into an object, its status included.
    ///
    /// Durations in it are divided by the speed of the clock.
    ///
    /// # Errors
    /// A sentence when there is no such object.
    pub fn patch(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        mut merge: Value,
    ) -> Result<Value, String> {
        let key = key(kind, namespace, name)?;
        pace::quicken(&mut merge, self.clock().speed());
        self.shared
            .store
            .update(&key, Write::INTERNAL, |before| {
                let mut after = before.clone();
                merge_patch(&mut after, &merge);
                Ok(after)
            })
            .map(|stored| (*stored).clone())
            .map_err(|problem| problem.message)
    }

    /// An object as it is stored now.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = key(kind, namespace, name).ok()?;
        self.shared.store.get(&key).map(|object| (*object).clone())
    }

    /// All objects of a kind, by namespace and name.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let Some(resource) = Resource::by_kind(kind) else {
            return Vec::new();
        };
        let (objects, _) = self.shared.store.list(resource.kind, None);
        objects.iter().map(|object| (**object).clone()).collect()
    }

    /// Deletes an object; false when there was none.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> bool {
        key(kind, namespace, name).is_ok_and(|key| {
            self.shared
                .store
                .remove(&key, &Precondition::default(), false)
                .is_ok()
        })
    }

    /// Lets a user in.
    pub fn add_user(&self, user: Persona) {
        locked(&self.shared.users).push(user);
    }

    /// Takes requests without credentials for this user's.
    ///
    /// kubectl sends no token over plain HTTP; without this it can only be
    /// told to log in. A wrong token is refused all the same.
    pub fn set_anonymous(&self, user: Option<Persona>) {
        *locked(&self.shared.anonymous) = user;
    }

    /// The HTTP API, for any server to mount.
    pub fn router(&self) -> Router {
        Router::new()
            .fallback(api::handle)
            .with_state(Arc::clone(&self.shared))
    }

    /// Starts the controllers. They run until the handle is aborted.
    pub fn start(&self) -> JoinHandle<()> {
        self.shared.store.time.relive(None);
        let cluster = self.clone();
        tokio::spawn(async move {
            let mut changes = cluster.shared.store.changes();
            loop {
                changes.mark_unchanged();
                let next = locked(&cluster.controllers).run();
                let now = cluster.shared.store.time.now();
                let wait = next.map_or(IDLE, |next| until(next, now));
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(wait) => (),
                }
            }
        })
    }

    /// Lives through a stretch of the past: does all the controllers would
    /// have done until `at`, with stamps of that time.
    ///
    /// What is applied after this call happens at `at`. Only for a cluster
    /// that has not been started.
    pub fn live_until(&self, at: DateTime<Utc>) {
        let time = &self.shared.store.time;
        let mut controllers = locked(&self.controllers);
        loop {
            match controllers.run() {
                Some(next) if next <= at => time.relive(Some(next)),
                _ => break,
            }
        }
        time.relive(Some(at));
    }

    /// Puts the cluster at a time in the past, before anything is applied.
    pub fn begin_at(&self, at: DateTime<Utc>) {
        self.shared.store.time.relive(Some(at));
    }

    /// Sets or lifts a fault; while it is set no request is answered well.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.fault.send_replace(fault);
    }

    /// The next `count` patches sent over HTTP are accepted and stored, but
    /// the controllers do not notice until the object is written again.
    pub fn swallow(&self, count: usize) {
        self.shared.store.swallow(count);
    }

    /// Forgets all past events; watches that resume from before get a 410.
    pub fn compact(&self) {
        self.shared.store.compact();
    }

    /// How analyses measure: an expression to the values of a vector.
    pub fn set_metric_source(&self, source: MetricSource) {
        locked(&self.controllers).set_metrics(source);
    }

    /// The number of the newest change: while it stays, so does everything.
    pub fn version(&self) -> u64 {
        self.shared.store.version()
    }

    /// Every mutating request so far, oldest first.
    pub fn mutations(&self) -> Vec<Recorded> {
        self.shared.recorded()
    }

    /// The hash a pod template gets as label of its ReplicaSet and pods.
    pub fn template_hash(template: &Value) -> String {
        hash::template_hash(template)
    }

    fn clock(&self) -> &Clock {
        self.shared.store.time.clock()
    }
}

fn key(kind: &str, namespace: &str, name: &str) -> Result<Key, String> {
    let resource = Resource::by_kind(kind).ok_or_else(|| format!("unknown kind {kind}"))?;
    Ok(Key::new(resource, namespace, name))
}

impl Shared {
    fn persona(&self, authorization: &str) -> Option<Persona> {
        if authorization.is_empty() {
            return locked(&self.anonymous).clone();
        }
        let token = authorization.strip_prefix("Bearer ")?.trim();
        locked(&self.users)
            .iter()
            .find(|user| user.token == token)
            .cloned()
    }

    fn faults(&self) -> tokio::sync::watch::Receiver<Option<Fault>> {
        self.fault.subscribe()
    }

    fn recorded(&self) -> Vec<Recorded> {
        locked(&self.records).clone()
    }

    /// Notes a request that would change something; gives its place.
    fn record(&self, asked: &Asked, path: &str, user: Option<&Persona>) -> Option<usize> {
        let verb = asked.method.as_str();
        let mutating = matches!(verb, "POST" | "PUT" | "PATCH" | "DELETE");
        if !mutating || path.starts_with("/apis/auth") {
            return None;
        }
        let mut records = locked(&self.records);
        if records.len() >= RECORDS_KEPT {
            return None;
        }
        records.push(Recorded {
            time: self.store.time.now(),
            user: user.map_or_else(String::new, |user| user.name.clone()),
            verb: verb.to_owned(),
            path: path.to_owned(),
            content_type: asked.content_type.clone(),
            body: String::from_utf8_lossy(&asked.body).into_owned(),
            status: None,
        });
        Some(records.len() - 1)
    }

    fn settle(&self, record: usize, status: u16) {
        if let Some(record) = locked(&self.records).get_mut(record) {
            record.status = Some(status);
        }
    }
}
