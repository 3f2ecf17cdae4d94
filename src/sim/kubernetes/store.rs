//! The object store: every object of the cluster under one growing version.
//!
//! One idea: each accepted write is one numbered event. Watches and controllers
//! are readers of the same log, each with a cursor of its own; what the log has
//! forgotten is answered with "expired". What a write may touch (the status
//! split, generations, stale versions) is decided here and nowhere else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::sim::kubernetes::admit::admit;
use crate::sim::kubernetes::defaults;
use crate::sim::kubernetes::managed::{self, Author};
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::time::Time;
use crate::sim::kubernetes::value::Fields;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One accepted write.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) version: u64,
    pub(crate) change: Change,
    pub(crate) key: Key,
    /// The object after the write; for a deletion, as it was last.
    pub(crate) object: Arc<Value>,
    /// The object before the write.
    pub(crate) before: Option<Arc<Value>>,
    /// Stored, but not to be noticed by the controllers.
    pub(crate) hidden: bool,
}

/// Which part of an object a write may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The object; its status too only where there is no `/status`.
    Main,
    /// The status alone.
    Status,
    /// All of it. For controllers and scripted history.
    Everything,
}

/// The terms of one write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write<'a> {
    pub(crate) part: Part,
    pub(crate) author: Option<Author<'a>>,
    /// Decide and answer, but store nothing.
    pub(crate) dry_run: bool,
    /// A patch sent by a person, which may be swallowed.
    pub(crate) swallowable: bool,
}

impl Write<'static> {
    /// A write of the world's own machinery.
    pub(crate) const INTERNAL: Self = Write {
        part: Part::Everything,
        author: None,
        dry_run: false,
        swallowable: false,
    };
}

/// What must still be true of an object for it to be deleted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Precondition {
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
}

/// A consistent list: the objects, and the version they were read at.
pub(crate) type Listing = (Vec<Arc<Value>>, u64);

/// The store. Cheap to share behind an `Arc`; no lock is held while waiting.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) time: Time,
    state: Mutex<State>,
    latest: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    version: u64,
    /// The newest version the log no longer holds.
    compacted: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    log: VecDeque<Arc<Event>>,
    swallow: usize,
}

/// Events kept for watchers that come back.
const LOG_LENGTH: usize = 8192;

/// The first version handed out; a real cluster never starts at one.
const FIRST_VERSION: u64 = 1000;

impl Store {
    pub(crate) fn new(time: Time) -> Self {
        let state = State {
            version: FIRST_VERSION,
            compacted: 0,
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            swallow: 0,
        };
        Self {
            time,
            state: Mutex::new(state),
            latest: watch::Sender::new(FIRST_VERSION),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves whole objects behind: every
        // change is one insertion.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whenever something was written.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.state().objects.get(key).cloned()
    }

    /// All objects of a kind, in all namespaces or one, ordered by key.
    pub(crate) fn list(&self, kind: &'static str, namespace: Option<&str>) -> Listing {
        let state = self.state();
        let first = Key {
            kind,
            namespace: namespace.unwrap_or_default().to_owned(),
            name: String::new(),
        };
        let found = state
            .objects
            .range(first..)
            .take_while(|(key, _)| {
                key.kind == kind && namespace.is_none_or(|only| key.namespace == only)
            })
            .map(|(_, object)| Arc::clone(object))
            .collect();
        (found, state.version)
    }

    /// The events after `version`, or `Err(oldest)` when some are forgotten.
    pub(crate) fn since(&self, version: u64) -> Result<Vec<Arc<Event>>, u64> {
        let state = self.state();
        if version < state.compacted {
            return Err(state.compacted);
        }
        let start = state.log.partition_point(|event| event.version <= version);
        Ok(state.log.range(start..).cloned().collect())
    }

    pub(crate) fn version(&self) -> u64 {
        self.state().version
    }

    /// Forgets all events so far; who resumes from before them gets a 410.
    pub(crate) fn compact(&self) {
        let mut state = self.state();
        state.compacted = state.version;
        state.log.clear();
    }

    /// The next `count` patches of persons stay unnoticed by the controllers.
    pub(crate) fn swallow(&self, count: usize) {
        self.state().swallow = count;
    }

    /// Stores a new object.
    pub(crate) fn create(
        &self,
        resource: &Resource,
        namespace: &str,
        mut object: Value,
        write: Write<'_>,
    ) -> Result<Arc<Value>, Problem> {
        let mut state = self.state();
        let name = match (
            object.text("/metadata/name"),
            object.text("/metadata/generateName"),
        ) {
            ("", "") => {
                let why = "Required value: name or generateName is required";
                return Err(Problem::invalid(resource, "", "metadata.name", why));
            }
            ("", prefix) => format!("{prefix}{}", suffix(state.version)),
            (name, _) => name.to_owned(),
        };
        let key = Key::new(resource, namespace, &name);
        if state.objects.contains_key(&key) {
            return Err(Problem::exists(resource, &name));
        }
        object.put("/metadata/name", json!(name));
        if resource.namespaced {
            object.put("/metadata/namespace", json!(namespace));
        }
        if write.part != Part::Everything {
            object.drop_field("/metadata/creationTimestamp");
            object.drop_field("/metadata/uid");
            object.drop_field("/metadata/managedFields");
            if resource.has_status() {
                object.drop_field("/status");
            }
        }
        defaults::fill(resource, &mut object);
        let now = self.time.now();
        if object.text("/metadata/uid").is_empty() {
            object.put("/metadata/uid", json!(Uuid::now_v7().to_string()));
        }
        if object.text("/metadata/creationTimestamp").is_empty() {
            object.put("/metadata/creationTimestamp", json!(managed::stamp(now)));
        }
        if (resource.has_status() || resource.custom) && !object.has("/metadata/generation") {
            object.put("/metadata/generation", json!(1));
        }
        if let Some(author) = write.author {
            managed::note(&json!({}), &mut object, author, now);
        }
        if write.dry_run {
            return Ok(Arc::new(object));
        }
        Ok(self.commit(&mut state, Change::Added, key, object, false))
    }

    /// Changes a stored object by `change`, which gets it as it is.
    pub(crate) fn update(
        &self,
        key: &Key,
        write: Write<'_>,
        change: impl FnOnce(&Value) -> Result<Value, Problem>,
    ) -> Result<Arc<Value>, Problem> {
        let resource = key.resource();
        let mut state = self.state();
        let before = state
            .objects
            .get(key)
            .cloned()
            .ok_or_else(|| Problem::not_found(resource, &key.name))?;
        let proposed = change(&before)?;
        let mut after = admit(resource, key, &before, proposed, write.part)?;
        if after == *before {
            // As in the real store: no change, no new version, no event.
            return Ok(before);
        }
        if let Some(author) = write.author {
            managed::note(&before, &mut after, author, self.time.now());
        }
        if write.dry_run {
            return Ok(Arc::new(after));
        }
        let hidden = write.swallowable && state.swallow > 0;
        if hidden {
            state.swallow -= 1;
        }
        Ok(self.commit(&mut state, Change::Modified, key.clone(), after, hidden))
    }

    /// Deletes an object and returns it as it was.
    pub(crate) fn remove(
        &self,
        key: &Key,
        precondition: &Precondition,
        dry_run: bool,
    ) -> Result<Arc<Value>, Problem> {
        let resource = key.resource();
        let mut state = self.state();
        let object = state
            .objects
            .get(key)
            .cloned()
            .ok_or_else(|| Problem::not_found(resource, &key.name))?;
        for (what, wanted, found) in [
            ("UID", &precondition.uid, object.text("/metadata/uid")),
            (
                "ResourceVersion",
                &precondition.version,
                object.text("/metadata/resourceVersion"),
            ),
        ] {
            if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
                let why = format!(
                    "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
                );
                return Err(Problem::conflict(resource, &key.name, &why));
            }
        }
        if !dry_run {
            let last = (*object).clone();
            self.commit(&mut state, Change::Deleted, key.clone(), last, false);
        }
        Ok(object)
    }

    fn commit(
        &self,
        state: &mut State,
        change: Change,
        key: Key,
        mut object: Value,
        hidden: bool,
    ) -> Arc<Value> {
        state.version += 1;
        let version = state.version;
        object.put("/metadata/resourceVersion", json!(version.to_string()));
        let object = Arc::new(object);
        let before = match change {
            Change::Deleted => state.objects.remove(&key),
            Change::Added | Change::Modified => {
                state.objects.insert(key.clone(), Arc::clone(&object))
            }
        };
        let event = Event {
            version,
            change,
            key,
            object: Arc::clone(&object),
            before,
            hidden,
        };
        state.log.push_back(Arc::new(event));
        if state.log.len() > LOG_LENGTH
            && let Some(oldest) = state.log.pop_front()
        {
            state.compacted = oldest.version;
        }
        self.latest.send_replace(version);
        object
    }
}

/// Five letters that differ from call to call, as names are made unique.
pub(crate) fn suffix(seed: u64) -> String {
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (seed >> 7);
    super::hash::safe_text(mixed, 5)
}
