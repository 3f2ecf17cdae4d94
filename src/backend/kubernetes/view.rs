//! What is known of one namespace, joined, and what of it is news.
//!
//! Objects are joined by the uid of their owner, never by name. Changes mark
//! facts as news; [`View::news`] tells all of them at once, so that a burst
//! about one rollout is one fact. Pure: no I/O and no clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    backend::{
        BackendError, ErrorKind,
        kubernetes::{
            kind::{Broken, Family, Kind, Object},
            objects::{Objects, target_of},
            reflect::Change,
        },
        secret::redact_line,
    },
    domain::{
        Timestamp,
        id::BackendId,
        observation::{Basis, Batch, Fact, Failure, Key, Observation, Scope},
        text::Clean,
    },
};

/// One namespace.
pub(super) struct View {
    backend: BackendId,
    namespace: Clean,
    /// Deployments that are looked at; others are passed over.
    deployments: BTreeSet<Clean>,
    objects: Objects,
    /// Lists that have answered, or failed to, once.
    answered: BTreeSet<Kind>,
    /// Lists whose last word was a failure.
    failing: BTreeSet<Kind>,
    broken: BTreeSet<(Kind, Clean)>,
    /// Families whose full truth waits to be told: when it was asked and came.
    full: BTreeMap<Family, (Timestamp, Timestamp)>,
    changed: BTreeSet<(Family, String)>,
    gone: BTreeSet<(Family, Key)>,
    /// Told as they are, before the rest.
    ready: Vec<Observation>,
}

impl View {
    /// Nothing known yet.
    pub(super) fn new(backend: BackendId, namespace: Clean, deployments: BTreeSet<Clean>) -> Self {
        Self {
            backend,
            namespace,
            deployments,
            objects: Objects::default(),
            answered: BTreeSet::new(),
            failing: BTreeSet::new(),
            broken: BTreeSet::new(),
            full: BTreeMap::new(),
            changed: BTreeSet::new(),
            gone: BTreeSet::new(),
            ready: Vec::new(),
        }
    }

    /// Families that are looked at here.
    pub(super) fn families(&self) -> Vec<Family> {
        if self.deployments.is_empty() {
            vec![Family::Rollouts]
        } else {
            vec![Family::Rollouts, Family::Deployments]
        }
    }

    /// Whether there is something to tell.
    pub(super) fn has_news(&self) -> bool {
        let told = |family: &Family| self.is_complete(*family);
        !self.ready.is_empty()
            || self.full.keys().any(told)
            || self.changed.iter().any(|(family, _)| told(family))
            || self.gone.iter().any(|(family, _)| told(family))
    }

    /// Takes in a change that arrived at `now`.
    pub(super) fn apply(&mut self, change: Change, now: Timestamp) {
        match change {
            Change::Listed {
                kind,
                asked,
                at,
                objects,
                broken,
            } => self.listed(kind, (asked, at), objects, &broken),
            Change::Put(kind, object) => self.put(kind, object, now),
            Change::Spoilt(kind, broken) => self.spoilt(kind, &broken, now),
            Change::Gone(kind, uid) => self.remove(kind, &uid),
            Change::Alive(kind, at) => {
                let family = kind.family();
                let is_told = self.is_complete(family) && !self.full.contains_key(&family);
                if kind == family.primary() && is_told {
                    let scope = self.scope(kind);
                    self.ready.push(told(scope, false, Basis::Told, at));
                }
            }
            Change::Refused {
                kind,
                at,
                error,
                retry,
            } => {
                self.answered.insert(kind);
                self.failing.insert(kind);
                self.ready.push(self.failure(kind, at, &error, Some(retry)));
            }
            Change::Looked {
                kind,
                name,
                asked,
                at,
                object,
            } => self.looked(kind, &name, (asked, at), object),
            Change::Overlooked {
                kind,
                at,
                error,
                retry,
            } => self.ready.push(self.failure(kind, at, &error, retry)),
        }
    }

    /// Everything there is to tell, once.
    pub(super) fn news(&mut self, at: Timestamp) -> Vec<Observation> {
        let mut news = std::mem::take(&mut self.ready);
        for family in self.families() {
            if self.is_complete(family) {
                news.extend(self.news_of(family, at));
            }
        }
        news
    }

    fn news_of(&mut self, family: Family, at: Timestamp) -> Option<Observation> {
        let kind = family.primary();
        let gone = take(&mut self.gone, family);
        let changed = take(&mut self.changed, family);
        let (complete, basis, at, uids) = match self.full.remove(&family) {
            Some((asked, at)) => {
                // What cannot be read is still there: only a list without such
                // objects removes what it omits.
                let complete = self.broken.iter().all(|(of, _)| *of != kind);
                (complete, Basis::Asked(asked), at, self.objects.uids(kind))
            }
            None if changed.is_empty() && gone.is_empty() => return None,
            None => (false, Basis::Told, at, changed),
        };
        Some(Observation::Batch(Batch {
            scope: self.scope(kind),
            complete,
            basis,
            at,
            facts: uids
                .iter()
                .filter_map(|uid| self.fact(family, uid))
                .collect(),
            gone,
        }))
    }

    /// All lists of a family have answered, or failed to, at least once.
    fn is_complete(&self, family: Family) -> bool {
        family
            .kinds()
            .iter()
            .all(|kind| self.answered.contains(kind))
            && !self.failing.contains(&family.primary())
    }

    fn fact(&self, family: Family, uid: &str) -> Option<Fact> {
        let rollout = self.objects.join(&self.backend, family, uid)?;
        Some(Fact::Rollout(Box::new(rollout)))
    }

    fn scope(&self, kind: Kind) -> Scope {
        Scope::new(&self.backend, kind.part(&self.namespace))
    }

    fn failure(
        &self,
        kind: Kind,
        at: Timestamp,
        error: &BackendError,
        retry: Option<Duration>,
    ) -> Observation {
        Observation::Failure(Failure {
            scope: self.scope(kind),
            at,
            kind: error.kind,
            message: error.message.clone(),
            retry_at: retry
                .and_then(|retry| chrono::TimeDelta::from_std(retry).ok())
                .and_then(|retry| at.checked_add_signed(retry)),
        })
    }

    fn listed(
        &mut self,
        kind: Kind,
        (asked, at): (Timestamp, Timestamp),
        objects: Vec<Object>,
        broken: &[Broken],
    ) {
        let family = kind.family();
        let is_primary = kind == family.primary();
        let was_complete = self.is_complete(family);
        self.answered.insert(kind);
        if self.failing.remove(&kind) && !is_primary {
            let scope = self.scope(kind);
            self.ready.push(told(scope, true, Basis::Asked(asked), at));
        }
        self.forget_repaired(kind, broken, (asked, at));
        for unreadable in broken {
            self.spoilt(kind, unreadable, at);
        }
        // What cannot be read keeps its last readable state.
        let (kept, omitted): (Vec<Object>, Vec<Object>) = self
            .objects
            .clear(kind)
            .into_iter()
            .partition(|old| broken.iter().any(|b| *b.name == *old.meta().name));
        for object in kept.into_iter().chain(objects) {
            self.insert(kind, object);
        }
        if is_primary {
            for object in omitted {
                self.gone_unless_remade(kind, &object);
            }
            self.full.insert(family, (asked, at));
        } else if was_complete {
            let uids = self.objects.uids(family.primary()).into_iter();
            self.changed.extend(uids.map(|uid| (family, uid)));
        }
    }

    /// Takes an object in, unless it belongs to nothing that is looked at.
    fn insert(&mut self, kind: Kind, object: Object) {
        let name = object.meta().name.as_str();
        if kind == Kind::Deployments && !self.deployments.contains(name) {
            return;
        }
        if let Some(fact) = self.objects.insert(kind, object) {
            self.changed.insert((kind.family(), fact));
        }
    }

    fn put(&mut self, kind: Kind, object: Object, now: Timestamp) {
        let meta = object.meta();
        let known = self.objects.get(kind, &meta.uid);
        // A look on its own may have overtaken the watch.
        let is_older = known
            .and_then(|known| known.meta().version())
            .zip(meta.version())
            .is_some_and(|(known, new)| new < known);
        if is_older {
            return;
        }
        let name = Clean::name(&meta.name);
        self.insert(kind, object);
        self.repaired(kind, &name, Basis::Told, now);
    }

    fn remove(&mut self, kind: Kind, uid: &str) {
        let Some((object, fact)) = self.objects.remove(kind, uid) else {
            return;
        };
        let family = kind.family();
        if kind == family.primary() {
            self.changed.remove(&(family, fact));
            self.gone_unless_remade(kind, &object);
        } else {
            self.changed.insert((family, fact));
        }
    }

    /// Made anew under the same name, it has changed and is not gone.
    fn gone_unless_remade(&mut self, kind: Kind, object: &Object) {
        if self.objects.named(kind, &object.meta().name).is_none() {
            let family = kind.family();
            let target = target_of(&self.backend, family, object);
            self.gone.insert((family, Key::Rollout(target)));
        }
    }

    fn looked(
        &mut self,
        kind: Kind,
        name: &Clean,
        (asked, at): (Timestamp, Timestamp),
        object: Option<Object>,
    ) {
        let family = kind.family();
        let Some(object) = object else {
            let known = self.objects.named(kind, name);
            if let Some(uid) = known.map(|object| object.meta().uid.clone()) {
                self.remove(kind, &uid);
            }
            return;
        };
        let uid = object.meta().uid.clone();
        self.put(kind, object, at);
        if !self.is_complete(family) {
            return;
        }
        self.changed.remove(&(family, uid.clone()));
        if let Some(fact) = self.fact(family, &uid) {
            self.ready.push(Observation::Batch(Batch {
                scope: self.scope(kind),
                complete: false,
                basis: Basis::Asked(asked),
                at,
                facts: vec![fact],
                gone: Vec::new(),
            }));
        }
    }

    fn object_scope(&self, kind: Kind, name: &Clean) -> Scope {
        let part = format!("{} {}/{name}", kind.plural(), self.namespace);
        Scope::new(&self.backend, Clean::line(&part))
    }

    fn spoilt(&mut self, kind: Kind, broken: &Broken, at: Timestamp) {
        if !self.broken.insert((kind, broken.name.clone())) {
            return;
        }
        let words = format!(
            "{} `{}` in `{}` cannot be read and keeps its last state: {}",
            kind.plural(),
            broken.name,
            self.namespace,
            broken.why
        );
        self.ready.push(Observation::Failure(Failure {
            scope: self.object_scope(kind, &broken.name),
            at,
            kind: ErrorKind::Malformed,
            // It may quote the object, and that may quote anything.
            message: redact_line(&words),
            retry_at: None,
        }));
    }

    /// An object that could not be read can be now: its trouble is over.
    fn repaired(&mut self, kind: Kind, name: &Clean, basis: Basis, at: Timestamp) {
        if self.broken.remove(&(kind, name.clone())) {
            let scope = self.object_scope(kind, name);
            self.ready.push(told(scope, true, basis, at));
        }
    }

    fn forget_repaired(
        &mut self,
        kind: Kind,
        broken: &[Broken],
        (asked, at): (Timestamp, Timestamp),
    ) {
        let repaired: Vec<Clean> = self
            .broken
            .iter()
            .filter(|(of, name)| *of == kind && broken.iter().all(|b| b.name != *name))
            .map(|(_, name)| name.clone())
            .collect();
        for name in repaired {
            self.repaired(kind, &name, Basis::Asked(asked), at);
        }
    }
}

/// A sign of life without facts.
fn told(scope: Scope, complete: bool, basis: Basis, at: Timestamp) -> Observation {
    Observation::Batch(Batch {
        scope,
        complete,
        basis,
        at,
        facts: Vec::new(),
        gone: Vec::new(),
    })
}

/// Takes a family's part out of a set.
fn take<T: Ord>(set: &mut BTreeSet<(Family, T)>, family: Family) -> Vec<T> {
    let (taken, kept): (BTreeSet<_>, BTreeSet<_>) = std::mem::take(set)
        .into_iter()
        .partition(|(of, _)| *of == family);
    *set = kept;
    taken.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests;
