//! The objects of one namespace, and who owns whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    backend::kubernetes::{
        deployments,
        kind::{Family, Kind, Object},
        rollouts, wire,
    },
    domain::{
        id::{BackendId, TargetId, TargetKind},
        rollout::Rollout,
        text::Clean,
    },
};

/// Objects by kind and uid.
#[derive(Default)]
pub(super) struct Objects {
    by_kind: BTreeMap<Kind, BTreeMap<String, Object>>,
    /// Of ReplicaSets and AnalysisRuns: owner's uid to their own uids.
    owned: BTreeMap<(Kind, String), BTreeSet<String>>,
}

impl Objects {
    /// The uids of a kind.
    pub(super) fn uids(&self, kind: Kind) -> Vec<String> {
        let objects = self.by_kind.get(&kind);
        objects
            .into_iter()
            .flat_map(BTreeMap::keys)
            .cloned()
            .collect()
    }

    /// The object of this uid.
    pub(super) fn get(&self, kind: Kind, uid: &str) -> Option<&Object> {
        self.by_kind.get(&kind)?.get(uid)
    }

    /// An object of this name.
    pub(super) fn named(&self, kind: Kind, name: &str) -> Option<&Object> {
        let mut objects = self.by_kind.get(&kind)?.values();
        objects.find(|object| object.meta().name == name)
    }

    /// Takes an object in; returns the uid of the fact it belongs to, or
    /// nothing when it belongs to none and was not kept.
    pub(super) fn insert(&mut self, kind: Kind, object: Object) -> Option<String> {
        let uid = object.meta().uid.clone();
        let fact = fact_of(kind, &object)?;
        if kind != kind.family().primary() {
            let owned = self.owned.entry((kind, fact.clone())).or_default();
            owned.insert(uid.clone());
        }
        self.by_kind.entry(kind).or_default().insert(uid, object);
        Some(fact)
    }

    /// Takes an object out; returns it with the uid of the fact it belonged to.
    pub(super) fn remove(&mut self, kind: Kind, uid: &str) -> Option<(Object, String)> {
        let object = self.by_kind.get_mut(&kind)?.remove(uid)?;
        let fact = fact_of(kind, &object)?;
        if let Some(owned) = self.owned.get_mut(&(kind, fact.clone())) {
            owned.remove(uid);
        }
        Some((object, fact))
    }

    /// Takes all objects of a kind out.
    pub(super) fn clear(&mut self, kind: Kind) -> Vec<Object> {
        self.owned.retain(|(of, _), _| *of != kind);
        let objects = self.by_kind.remove(&kind).unwrap_or_default();
        objects.into_values().collect()
    }

    /// The fact of this uid, joined with what it owns.
    pub(super) fn join(&self, backend: &BackendId, family: Family, uid: &str) -> Option<Rollout> {
        match self.get(family.primary(), uid)? {
            Object::Rollout(rollout) => {
                let sets = self.sets(Kind::RolloutSets, uid);
                Some(rollouts::rollout(backend, rollout, &sets, &self.runs(uid)))
            }
            Object::Deployment(deployment) => {
                let sets = self.sets(Kind::DeploymentSets, uid);
                Some(deployments::rollout(backend, deployment, &sets))
            }
            Object::Set(_) | Object::Run(_) => None,
        }
    }

    fn sets(&self, kind: Kind, owner: &str) -> Vec<&wire::ReplicaSet> {
        let owned = self.owned_by(kind, owner).into_iter();
        owned
            .filter_map(|object| match object {
                Object::Set(set) => Some(&**set),
                Object::Rollout(_) | Object::Run(_) | Object::Deployment(_) => None,
            })
            .collect()
    }

    fn runs(&self, owner: &str) -> Vec<&wire::AnalysisRun> {
        let owned = self.owned_by(Kind::AnalysisRuns, owner).into_iter();
        owned
            .filter_map(|object| match object {
                Object::Run(run) => Some(&**run),
                Object::Rollout(_) | Object::Set(_) | Object::Deployment(_) => None,
            })
            .collect()
    }

    fn owned_by(&self, kind: Kind, owner: &str) -> Vec<&Object> {
        let uids = self.owned.get(&(kind, owner.to_owned()));
        uids.into_iter()
            .flatten()
            .filter_map(|uid| self.get(kind, uid))
            .collect()
    }
}

/// The uid of the fact an object belongs to.
fn fact_of(kind: Kind, object: &Object) -> Option<String> {
    let meta = object.meta();
    if kind == kind.family().primary() {
        Some(meta.uid.clone())
    } else {
        meta.owner(kind.owner()).map(str::to_owned)
    }
}

/// The name under which an object's fact is known.
pub(super) fn target_of(backend: &BackendId, family: Family, object: &Object) -> TargetId {
    let kind = match family {
        Family::Rollouts => TargetKind::Rollout,
        Family::Deployments => TargetKind::Deployment,
    };
    let meta = object.meta();
    TargetId {
        backend: backend.clone(),
        kind,
        namespace: Clean::name(&meta.namespace),
        name: Clean::name(&meta.name),
    }
}
