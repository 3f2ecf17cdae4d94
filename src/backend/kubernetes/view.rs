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
            deployments,
            kind::{Broken, Family, Kind, Object},
            reflect::Change,
            rollouts,
        },
    },
    domain::{
        Timestamp,
        id::{BackendId, TargetKind},
        observation::{Basis, Batch, Fact, Failure, Key, Observation, Scope},
        rollout::Rollout,
        text::Clean,
    },
};

/// One namespace.
pub(super) struct View {
    backend: BackendId,
    namespace: Clean,
    /// Deployments that are looked at; others are passed over.
    deployments: BTreeSet<Clean>,
    objects: BTreeMap<Kind, BTreeMap<String, Object>>,
    /// Of ReplicaSets and AnalysisRuns: owner's uid to their own uids.
    owned: BTreeMap<(Kind, String), BTreeSet<String>>,
    /// Lists that have answered, or failed to, once.
    answered: BTreeSet<Kind>,
    /// Lists whose last word was a failure.
    failing: BTreeSet<Kind>,
    broken: BTreeSet<(Kind, Clean)>,
    /// Families whose full truth waits to be told, by when it was asked.
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
            objects: BTreeMap::new(),
            owned: BTreeMap::new(),
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
            } => {
                self.listed(kind, (asked, at), objects, &broken);
            }
            Change::Put(kind, object) => self.put(kind, object, now),
            Change::Spoilt(kind, broken) => self.spoilt(kind, &broken, now),
            Change::Gone(kind, uid) => self.remove(kind, &uid),
            Change::Alive(kind, at) => {
                if kind == kind.family().primary() {
                    self.ready.push(self.batch(kind, false, Basis::Told, at));
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
            Change::Overlooked {
                kind,
                at,
                error,
                retry,
            } => {
                self.ready.push(self.failure(kind, at, &error, retry));
            }
            Change::Looked {
                kind,
                name,
                asked,
                at,
                object,
            } => {
                self.looked(kind, &name, (asked, at), object);
            }
        }
    }

    /// Everything there is to tell, once.
    pub(super) fn news(&mut self, at: Timestamp) -> Vec<Observation> {
        let mut news = std::mem::take(&mut self.ready);
        for family in self.families() {
            if !self.is_complete(family) {
                continue;
            }
            let kind = family.primary();
            let gone: Vec<Key> = take(&mut self.gone, family);
            let changed: Vec<String> = take(&mut self.changed, family);
            let told = if let Some((asked, at)) = self.full.remove(&family) {
                let uids: Vec<String> = self.uids(kind).cloned().collect();
                // What cannot be read is still there: only a list without such
                // objects removes what it omits.
                let complete = self.broken.iter().all(|(of, _)| *of != kind);
                let facts = uids.iter().filter_map(|uid| self.fact(family, uid));
                Some((complete, Basis::Asked(asked), at, facts.collect()))
            } else if changed.is_empty() && gone.is_empty() {
                None
            } else {
                let facts = changed.iter().filter_map(|uid| self.fact(family, uid));
                Some((false, Basis::Told, at, facts.collect()))
            };
            if let Some((complete, basis, at, facts)) = told {
                news.push(Observation::Batch(Batch {
                    scope: self.scope(kind),
                    complete,
                    basis,
                    at,
                    facts,
                    gone,
                }));
            }
        }
        news
    }

    /// All lists of a family have answered, or failed to, at least once.
    fn is_complete(&self, family: Family) -> bool {
        family
            .kinds()
            .iter()
            .all(|kind| self.answered.contains(kind))
            && !self.failing.contains(&family.primary())
    }

    fn uids(&self, kind: Kind) -> impl Iterator<Item = &String> {
        self.objects.get(&kind).into_iter().flat_map(BTreeMap::keys)
    }

    fn scope(&self, kind: Kind) -> Scope {
        Scope::new(&self.backend, kind.part(&self.namespace))
    }

    fn batch(&self, kind: Kind, complete: bool, basis: Basis, at: Timestamp) -> Observation {
        Observation::Batch(Batch {
            scope: self.scope(kind),
            complete,
            basis,
            at,
            facts: Vec::new(),
            gone: Vec::new(),
        })
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
            self.ready
                .push(self.batch(kind, true, Basis::Asked(asked), at));
        }
        self.forget_repaired(kind, broken, (asked, at));
        for unreadable in broken {
            self.spoilt(kind, unreadable, at);
        }
        let known = self.objects.remove(&kind).unwrap_or_default();
        self.owned.retain(|(of, _), _| *of != kind);
        // What cannot be read keeps its last readable state.
        let (kept, omitted): (Vec<Object>, Vec<Object>) = known
            .into_values()
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
            let uids: Vec<String> = self.uids(family.primary()).cloned().collect();
            self.changed
                .extend(uids.into_iter().map(|uid| (family, uid)));
        }
    }

    /// Takes an object in, unless it belongs to nothing that is looked at.
    fn insert(&mut self, kind: Kind, object: Object) {
        let meta = object.meta();
        if kind == Kind::Deployments && !self.deployments.contains(meta.name.as_str()) {
            return;
        }
        let uid = meta.uid.clone();
        let family = kind.family();
        let fact = if kind == family.primary() {
            Some(uid.clone())
        } else {
            meta.owner(kind.owner()).map(str::to_owned)
        };
        let Some(fact) = fact else { return };
        if kind != family.primary() {
            self.owned
                .entry((kind, fact.clone()))
                .or_default()
                .insert(uid.clone());
        }
        self.objects.entry(kind).or_default().insert(uid, object);
        self.changed.insert((family, fact));
    }

    fn put(&mut self, kind: Kind, object: Object, now: Timestamp) {
        let meta = object.meta();
        let known = self
            .objects
            .get(&kind)
            .and_then(|objects| objects.get(&meta.uid));
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
        let Some(object) = self
            .objects
            .get_mut(&kind)
            .and_then(|objects| objects.remove(uid))
        else {
            return;
        };
        let family = kind.family();
        if kind != family.primary() {
            if let Some(owner) = object.meta().owner(kind.owner()) {
                let slot = (kind, owner.to_owned());
                if let Some(owned) = self.owned.get_mut(&slot) {
                    owned.remove(uid);
                }
                self.changed.insert((family, slot.1));
            }
            return;
        }
        self.changed.remove(&(family, uid.to_owned()));
        self.gone_unless_remade(kind, &object);
    }

    /// Made anew under the same name, it has changed and is not gone.
    fn gone_unless_remade(&mut self, kind: Kind, object: &Object) {
        let family = kind.family();
        let lives = self.objects.get(&kind).is_some_and(|objects| {
            objects
                .values()
                .any(|o| o.meta().name == object.meta().name)
        });
        if !lives {
            self.gone.insert((family, self.key(family, object)));
        }
    }

    fn key(&self, family: Family, object: &Object) -> Key {
        let kind = match family {
            Family::Rollouts => TargetKind::Rollout,
            Family::Deployments => TargetKind::Deployment,
        };
        Key::Rollout(rollouts::target(&self.backend, kind, object.meta()))
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
            let uid = self.objects.get(&kind).and_then(|objects| {
                let found = objects
                    .iter()
                    .find(|(_, o)| *name == *o.meta().name.as_str());
                found.map(|(uid, _)| uid.clone())
            });
            if let Some(uid) = uid {
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

    fn fact(&self, family: Family, uid: &str) -> Option<Fact> {
        let rollout = self.join(family, uid)?;
        Some(Fact::Rollout(Box::new(rollout)))
    }

    fn join(&self, family: Family, uid: &str) -> Option<Rollout> {
        match self.objects.get(&family.primary())?.get(uid)? {
            Object::Rollout(rollout) => {
                let sets = self.owned_by(Kind::RolloutSets, uid);
                let sets: Vec<_> = sets.filter_map(as_set).collect();
                let runs = self.owned_by(Kind::AnalysisRuns, uid);
                let runs: Vec<_> = runs.filter_map(as_run).collect();
                Some(rollouts::rollout(&self.backend, rollout, &sets, &runs))
            }
            Object::Deployment(deployment) => {
                let sets = self.owned_by(Kind::DeploymentSets, uid);
                let sets: Vec<_> = sets.filter_map(as_set).collect();
                Some(deployments::rollout(&self.backend, deployment, &sets))
            }
            Object::Set(_) | Object::Run(_) => None,
        }
    }

    fn owned_by(&self, kind: Kind, owner: &str) -> impl Iterator<Item = &Object> {
        let objects = self.objects.get(&kind);
        self.owned
            .get(&(kind, owner.to_owned()))
            .into_iter()
            .flatten()
            .filter_map(move |uid| objects?.get(uid))
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
            message: Clean::line(&words),
            retry_at: None,
        }));
    }

    /// An object that could not be read can be now: its trouble is over.
    fn repaired(&mut self, kind: Kind, name: &Clean, basis: Basis, at: Timestamp) {
        if !self.broken.remove(&(kind, name.clone())) {
            return;
        }
        self.ready.push(Observation::Batch(Batch {
            scope: self.object_scope(kind, name),
            complete: true,
            basis,
            at,
            facts: Vec::new(),
            gone: Vec::new(),
        }));
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

/// Takes a family's part out of a set.
fn take<T: Ord>(set: &mut BTreeSet<(Family, T)>, family: Family) -> Vec<T> {
    let (taken, kept) = std::mem::take(set)
        .into_iter()
        .partition(|(of, _)| *of == family);
    *set = kept;
    let taken: BTreeSet<(Family, T)> = taken;
    taken.into_iter().map(|(_, item)| item).collect()
}

fn as_set(object: &Object) -> Option<&crate::backend::kubernetes::wire::ReplicaSet> {
    match object {
        Object::Set(set) => Some(set),
        Object::Rollout(_) | Object::Run(_) | Object::Deployment(_) => None,
    }
}

fn as_run(object: &Object) -> Option<&crate::backend::kubernetes::wire::AnalysisRun> {
    match object {
        Object::Run(run) => Some(run),
        Object::Rollout(_) | Object::Set(_) | Object::Deployment(_) => None,
    }
}
