//! The controllers' work queue: who must be looked at, and when.
//!
//! One idea: the queue knows nothing of tasks or sleeping. [`Controllers::run`]
//! does what is due and says when it wants to be called again, so the demo
//! drives it by the wall clock, history by a clock in the past, and tests by a
//! clock they move themselves.
//!
//! Controllers see rollouts, deployments and analyses through a cache of their
//! own. A pass works on what the cache held when its cause arrived, not on what
//! has arrived meanwhile; two patches in quick succession are seen one after
//! the other. A swallowed patch is one that never reached the cache: it is
//! stored, and nothing happens until the object is written again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::store::{Change, Event, Precondition, Store};
use crate::sim::kubernetes::time::after;
use crate::sim::kubernetes::value::Fields;
use crate::sim::kubernetes::world::{Again, Grade, MetricSource, Stamps, World, controller};
use crate::sim::kubernetes::{analysis, deployment, experiment, pod, replicaset, rollout};

/// How long after a change a controller reacts; real ones take 50–150 ms.
const REACTION: Duration = Duration::from_millis(60);

/// How old the picture is that a pass works on: nearly as old as its cause.
const LAG: Duration = Duration::from_millis(58);

/// How long after a failed reconciliation it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Kinds that are seen through the cache.
const CACHED: &[&str] = &["Rollout", "Deployment", "AnalysisRun", "Experiment"];

/// Kinds that have a controller.
const RECONCILED: &[&str] = &[
    "Rollout",
    "Deployment",
    "ReplicaSet",
    "Pod",
    "AnalysisRun",
    "Experiment",
];

/// Pictures of one object with the times they arrived, oldest first.
type Views = VecDeque<(DateTime<Utc>, Arc<Value>)>;

/// All controllers of the cluster.
pub(crate) struct Controllers {
    store: Arc<Store>,
    metrics: MetricSource,
    cursor: u64,
    cache: BTreeMap<Key, Views>,
    due: BTreeMap<Key, DateTime<Utc>>,
    stamps: Stamps,
    /// Whose pass it is, while what it wrote is read back.
    writing: Option<Key>,
}

impl Controllers {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            metrics: Arc::new(|_| Err("no metric source is connected".to_owned())),
            cursor: 0,
            cache: BTreeMap::new(),
            due: BTreeMap::new(),
            stamps: Stamps::default(),
            writing: None,
        }
    }

    pub(crate) fn set_metrics(&mut self, source: MetricSource) {
        self.metrics = source;
    }

    /// Does all that is due now; says when the next thing is.
    pub(crate) fn run(&mut self) -> Option<DateTime<Utc>> {
        let now = self.store.time.now();
        self.read_log(now);
        loop {
            let ready: Vec<Key> = self
                .due
                .iter()
                .filter(|(_, at)| **at <= now)
                .map(|(key, _)| key.clone())
                .collect();
            if ready.is_empty() {
                return self.due.values().min().copied();
            }
            for key in ready {
                self.due.remove(&key);
                self.reconcile(&key, now);
                self.writing = Some(key);
                self.read_log(now);
                self.writing = None;
            }
        }
    }

    fn read_log(&mut self, now: DateTime<Utc>) {
        match self.store.since(self.cursor) {
            Ok(events) => {
                for event in events {
                    self.cursor = event.version;
                    self.notice(&event, now);
                }
            }
            Err(_) => self.relist(now),
        }
    }

    /// Starts over from what is stored, when the log has moved on without us.
    fn relist(&mut self, now: DateTime<Utc>) {
        self.cursor = self.store.version();
        self.cache.clear();
        for kind in RECONCILED {
            for object in self.store.list(kind, None).0 {
                if let Some(key) = Key::of(&object) {
                    self.remember(&key, &object, now);
                    self.enqueue(key, after(now, REACTION));
                }
            }
        }
    }

    fn remember(&mut self, key: &Key, object: &Arc<Value>, now: DateTime<Utc>) {
        if CACHED.contains(&key.kind) {
            let views = self.cache.entry(key.clone()).or_default();
            let own = self.writing.as_ref() == Some(key);
            if own {
                // What a controller has written itself it knows at once, and
                // with it all that was stored before.
                views.clear();
            }
            let arrived = if own { DateTime::UNIX_EPOCH } else { now };
            views.push_back((arrived, Arc::clone(object)));
        }
    }

    /// The object as a pass at `now` sees it. If it has changed since, another
    /// pass is due for that.
    fn view(&mut self, key: &Key, now: DateTime<Utc>) -> Option<Arc<Value>> {
        if !CACHED.contains(&key.kind) {
            return self.store.get(key);
        }
        let views = self.cache.get_mut(key)?;
        while views
            .get(1)
            .is_some_and(|(arrived, _)| after(*arrived, LAG) <= now)
        {
            views.pop_front();
        }
        let newer = views.get(1).map(|(arrived, _)| after(*arrived, REACTION));
        let (_, seen) = views.front()?;
        let seen = Arc::clone(seen);
        if let Some(due) = newer {
            self.enqueue(key.clone(), due);
        }
        Some(seen)
    }

    fn enqueue(&mut self, key: Key, at: DateTime<Utc>) {
        let due = self.due.entry(key).or_insert(at);
        *due = at.min(*due);
    }

    fn notice(&mut self, event: &Event, now: DateTime<Utc>) {
        if event.hidden {
            return;
        }
        let soon = after(now, REACTION);
        if let Some(owner) = owner_key(&event.object) {
            self.enqueue(owner, soon);
        }
        if event.change == Change::Deleted {
            self.cache.remove(&event.key);
            self.due.remove(&event.key);
            self.collect_garbage(event);
            return;
        }
        self.remember(&event.key, &event.object, now);
        if RECONCILED.contains(&event.key.kind) {
            self.enqueue(event.key.clone(), soon);
        }
        // A rollout may have waited for its service or template to appear.
        let awaited = ["Service", "AnalysisTemplate", "ClusterAnalysisTemplate"];
        if event.change == Change::Added && awaited.contains(&event.key.kind) {
            let waiting: Vec<Key> = self
                .cache
                .keys()
                .filter(|key| key.kind == "Rollout")
                .cloned()
                .collect();
            for key in waiting {
                self.enqueue(key, soon);
            }
        }
    }

    /// Deletes what belonged to a deleted object.
    fn collect_garbage(&mut self, event: &Event) {
        let uid = event.object.text("/metadata/uid");
        self.stamps.forget(uid);
        let namespace = match event.key.kind {
            "Namespace" => event.key.name.as_str(),
            _ => event.key.namespace.as_str(),
        };
        for kind in [
            "Rollout",
            "Deployment",
            "ReplicaSet",
            "Pod",
            "AnalysisRun",
            "Experiment",
        ] {
            for object in self.store.list(kind, Some(namespace)).0 {
                let owners = object.items("/metadata/ownerReferences");
                let orphaned = owners.iter().any(|owner| owner.text("/uid") == uid);
                if orphaned || event.key.kind == "Namespace" {
                    let gone = Key::of(&object);
                    if let Some(gone) = gone {
                        drop(self.store.remove(&gone, &Precondition::default(), false));
                    }
                }
            }
        }
    }

    fn reconcile(&mut self, key: &Key, now: DateTime<Utc>) {
        let Some(object) = self.view(key, now) else {
            return;
        };
        let mut world = World {
            store: &self.store,
            now,
            stamps: &mut self.stamps,
            metrics: &self.metrics,
        };
        let outcome: Again = match key.kind {
            "Rollout" => rollout::reconcile(&mut world, &object),
            "Deployment" => deployment::reconcile(&mut world, &object),
            "ReplicaSet" => replicaset::reconcile(&mut world, &object),
            "Pod" => pod::reconcile(&mut world, &object),
            "AnalysisRun" => analysis::reconcile(&mut world, &object),
            "Experiment" => experiment::reconcile(&mut world, &object),
            _ => Ok(None),
        };
        match outcome {
            Ok(None) => (),
            Ok(Some(wait)) => self.enqueue(key.clone(), after(now, wait.max(REACTION))),
            Err(problem) => {
                // The object may be gone meanwhile; then there is no one to tell.
                if self.store.get(key).is_some() {
                    let message = format!("Reconciliation failed with error: {}", problem.message);
                    let grade = Grade::warning("controller");
                    world.record(&object, grade, "ReconciliationError", &message);
                    self.enqueue(key.clone(), after(now, RETRY));
                }
            }
        }
    }
}

fn owner_key(object: &Value) -> Option<Key> {
    let owner = controller(object)?;
    let resource = Resource::by_kind(owner.text("/kind"))?;
    Some(Key::new(
        resource,
        object.text("/metadata/namespace"),
        owner.text("/name"),
    ))
}
