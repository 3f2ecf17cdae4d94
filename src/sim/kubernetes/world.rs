//! What a controller may lean on during one reconciliation.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::sim::kubernetes::managed::{Author, read_stamp, stamp};
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::store::{Part, Precondition, Store, Write};
use crate::sim::kubernetes::value::Fields;

/// Evaluates a Prometheus expression to the values of an instant vector.
pub type MetricSource = Arc<dyn Fn(&str) -> Result<Vec<f64>, String> + Send + Sync>;

/// What a reconciliation gives back: when to look again without being told.
pub(crate) type Again = Result<Option<Duration>, Problem>;

/// Most events kept; a real cluster keeps an hour's worth.
const EVENTS_KEPT: usize = 600;

/// The world as one reconciliation sees it.
pub(crate) struct World<'a> {
    pub(crate) store: &'a Store,
    pub(crate) now: DateTime<Utc>,
    pub(crate) stamps: &'a mut Stamps,
    pub(crate) metrics: &'a MetricSource,
}

impl World<'_> {
    pub(crate) fn scaled(&self, duration: Duration) -> Duration {
        self.store.time.clock().scaled(duration)
    }

    /// The objects of a kind that `owner` controls, oldest first.
    pub(crate) fn owned(&self, kind: &'static str, owner: &Value) -> Vec<Arc<Value>> {
        let uid = owner.text("/metadata/uid");
        let (objects, _) = self
            .store
            .list(kind, Some(owner.text("/metadata/namespace")));
        let mut owned: Vec<_> = objects
            .into_iter()
            .filter(|object| controller_uid(object) == uid)
            .collect();
        owned.sort_by(|a, b| {
            a.text("/metadata/creationTimestamp")
                .cmp(b.text("/metadata/creationTimestamp"))
        });
        owned
    }

    /// Merges `patch` into the status of an object.
    pub(crate) fn patch_status(
        &self,
        key: &Key,
        patch: &Value,
        manager: &str,
    ) -> Result<Arc<Value>, Problem> {
        let part = if key.resource().has_status() {
            Part::Status
        } else {
            Part::Everything
        };
        let author = Author {
            manager,
            operation: "Update",
            subresource: "status",
        };
        let write = Write {
            part,
            author: Some(author),
            ..Write::INTERNAL
        };
        self.store.update(key, write, |before| {
            let mut after = before.clone();
            let mut status = after.at("/status").clone();
            super::patch::merge_patch(&mut status, patch);
            after.put("/status", status);
            Ok(after)
        })
    }

    /// Changes an object in place, whatever part of it.
    pub(crate) fn modify(
        &self,
        key: &Key,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, Problem> {
        self.store.update(key, Write::INTERNAL, |before| {
            let mut after = before.clone();
            change(&mut after);
            Ok(after)
        })
    }

    /// Deletes an object; that it is gone already is as good.
    pub(crate) fn delete(&self, key: &Key) {
        drop(self.store.remove(key, &Precondition::default(), false));
    }

    /// Stores a Kubernetes event about `object`.
    pub(crate) fn record(&self, object: &Value, grade: Grade, reason: &str, message: &str) {
        let Some(resource) = Resource::by_kind("Event") else {
            return;
        };
        let name = object.text("/metadata/name");
        let namespace = match object.text("/metadata/namespace") {
            "" => "default",
            namespace => namespace,
        };
        let now = stamp(self.now);
        let unique = self.store.version();
        let event = json!({
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": format!("{name}.{unique:016x}")},
            "involvedObject": {
                "kind": object.at("/kind"),
                "namespace": namespace,
                "name": name,
                "uid": object.at("/metadata/uid"),
                "apiVersion": object.at("/apiVersion"),
                "resourceVersion": object.at("/metadata/resourceVersion"),
            },
            "reason": reason,
            "message": message,
            "source": {"component": grade.component},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": grade.kind,
            "eventTime": null,
            "reportingComponent": grade.component,
            "reportingInstance": "",
        });
        // Events are best effort in a real cluster too.
        drop(
            self.store
                .create(resource, namespace, event, Write::INTERNAL),
        );
        self.forget_old_events();
    }

    fn forget_old_events(&self) {
        let (mut events, _) = self.store.list("Event", None);
        if events.len() <= EVENTS_KEPT {
            return;
        }
        let version = |event: &Arc<Value>| event.count("/metadata/resourceVersion");
        events.sort_by_key(version);
        let surplus = events.len() - EVENTS_KEPT;
        for key in events
            .iter()
            .take(surplus)
            .filter_map(|event| Key::of(event))
        {
            self.delete(&key);
        }
    }
}

/// How loud an event is and who says it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grade {
    kind: &'static str,
    component: &'static str,
}

impl Grade {
    pub(crate) const fn normal(component: &'static str) -> Self {
        Self {
            kind: "Normal",
            component,
        }
    }

    pub(crate) const fn warning(component: &'static str) -> Self {
        Self {
            kind: "Warning",
            component,
        }
    }
}

/// The uid of the controller an object belongs to, or the empty text.
pub(crate) fn controller_uid(object: &Value) -> &str {
    controller(object).map_or("", |owner| owner.text("/uid"))
}

/// The owner reference that controls an object.
pub(crate) fn controller(object: &Value) -> Option<&Value> {
    object
        .items("/metadata/ownerReferences")
        .iter()
        .find(|owner| owner.flag("/controller"))
}

/// The owner reference that makes `owner` the controller of something.
pub(crate) fn owner_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner.at("/apiVersion"),
        "kind": owner.at("/kind"),
        "name": owner.at("/metadata/name"),
        "uid": owner.at("/metadata/uid"),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Exact times behind stamps that are written in whole seconds.
///
/// A pause of half a second could not be measured from its stamp. What is not
/// remembered (scripted history) is taken as the stamp says.
#[derive(Debug, Default)]
pub(crate) struct Stamps(HashMap<(String, &'static str), (String, DateTime<Utc>)>);

impl Stamps {
    /// Remembers the exact time of something and gives its written form.
    pub(crate) fn set(&mut self, uid: &str, what: &'static str, time: DateTime<Utc>) -> String {
        let written = stamp(time);
        self.0
            .insert((uid.to_owned(), what), (written.clone(), time));
        written
    }

    /// The exact time behind a stamp, if it is one at all.
    pub(crate) fn exact(
        &self,
        uid: &str,
        what: &'static str,
        written: &str,
    ) -> Option<DateTime<Utc>> {
        match self.0.get(&(uid.to_owned(), what)) {
            Some((known, exact)) if known == written => Some(*exact),
            _ => read_stamp(written),
        }
    }

    /// Forgets everything about an object that is gone.
    pub(crate) fn forget(&mut self, uid: &str) {
        self.0.retain(|(owner, _), _| !owner.starts_with(uid));
    }
}
