//! The Deployment controller: rolling updates, pause, undo, conditions.
//!
//! Like the real one it numbers its sets, finds an old one again by its
//! template, and while paused scales but rolls nothing out.

mod rolling;
mod status;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::sim::kubernetes::hash::{DEPLOYMENT_HASH, template_hash};
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::rollout::weights::portion;
use crate::sim::kubernetes::store::Write;
use crate::sim::kubernetes::value::{Fields, annotate, annotation, label, members};
use crate::sim::kubernetes::world::{Again, Grade, World, owner_reference};

const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MOST: &str = "deployment.kubernetes.io/max-replicas";
const GRADE: Grade = Grade::normal("deployment-controller");

/// Moves a deployment on.
pub(crate) fn reconcile(world: &mut World<'_>, seen: &Arc<Value>) -> Again {
    let Some(key) = Key::of(seen) else {
        return Ok(None);
    };
    if members(seen.at("/spec/selector")).next().is_none() {
        return Ok(None);
    }
    let hash = template_hash(seen.at("/spec/template"));
    let mut sets: Vec<Set> = world
        .owned("ReplicaSet", seen)
        .into_iter()
        .map(Set::read)
        .collect();
    sets.retain(|set| !set.hash.is_empty());
    let mut pass = Pass {
        world,
        key,
        deployment: seen,
        hash,
        sets,
        conditions: Vec::new(),
    };
    pass.conditions = seen.items("/status/conditions").to_vec();
    if pass.is_paused() {
        pass.number_new_set()?;
        pass.scale_proportionally()?;
    } else {
        pass.find_or_make_new_set()?;
        if pass.deployment.text("/spec/strategy/type") == "Recreate" {
            pass.recreate()?;
        } else {
            pass.roll()?;
        }
        pass.trim_history();
    }
    pass.write_status()
}

struct Set {
    key: Key,
    hash: String,
    revision: i64,
    replicas: i64,
    existing: i64,
    ready: i64,
    available: i64,
    object: Arc<Value>,
}

impl Set {
    fn read(object: Arc<Value>) -> Self {
        let resource = Resource::by_kind("ReplicaSet").expect("sets are in the table");
        let place = object.text("/metadata/namespace");
        Self {
            key: Key::new(resource, place, object.text("/metadata/name")),
            hash: label(&object, DEPLOYMENT_HASH).to_owned(),
            revision: annotation(&object, REVISION).parse().unwrap_or(0),
            replicas: object.number("/spec/replicas").unwrap_or(1),
            existing: object.count("/status/replicas"),
            ready: object.count("/status/readyReplicas"),
            available: object.count("/status/availableReplicas"),
            object,
        }
    }
}

struct Pass<'a, 'w> {
    world: &'a mut World<'w>,
    key: Key,
    deployment: &'a Value,
    hash: String,
    sets: Vec<Set>,
    conditions: Vec<Value>,
}

impl Pass<'_, '_> {
    fn is_paused(&self) -> bool {
        self.deployment.flag("/spec/paused")
    }

    fn replicas(&self) -> i64 {
        self.deployment.number("/spec/replicas").unwrap_or(1)
    }

    /// Pods above and below the count that are allowed meanwhile.
    fn fences(&self) -> (i64, i64) {
        let rolling = self.deployment.at("/spec/strategy/rollingUpdate");
        let default = json!("25%");
        let read = |field: &str, up: bool| {
            let written = rolling.at(field);
            let written = if written.is_null() { &default } else { written };
            portion(written, self.replicas(), up).unwrap_or(0)
        };
        let (surge, unavailable) = (read("/maxSurge", true), read("/maxUnavailable", false));
        if surge == 0 && unavailable == 0 {
            (0, 1)
        } else {
            (surge, unavailable)
        }
    }

    fn new_set(&self) -> Option<&Set> {
        self.sets.iter().find(|set| set.hash == self.hash)
    }

    fn old_sets(&self) -> impl Iterator<Item = &Set> {
        self.sets.iter().filter(|set| set.hash != self.hash)
    }

    fn next_revision(&self) -> i64 {
        self.old_sets().map(|set| set.revision).max().unwrap_or(0) + 1
    }

    fn find_or_make_new_set(&mut self) -> Result<(), Problem> {
        if self.new_set().is_none() {
            self.make_set()?;
        }
        self.number_new_set()
    }

    fn make_set(&mut self) -> Result<(), Problem> {
        let resource = Resource::by_kind("ReplicaSet").expect("sets are in the table");
        let name = format!("{}-{}", self.key.name, self.hash);
        let mut template = self.deployment.at("/spec/template").clone();
        template.put(
            &format!("/metadata/labels/{DEPLOYMENT_HASH}"),
            json!(self.hash),
        );
        let mut selector = self.deployment.at("/spec/selector").clone();
        selector.put(&format!("/matchLabels/{DEPLOYMENT_HASH}"), json!(self.hash));
        let mut set = json!({
            "kind": "ReplicaSet",
            "apiVersion": "apps/v1",
            "metadata": {
                "name": name,
                "labels": template.at("/metadata/labels"),
                "annotations": {},
                "ownerReferences": [owner_reference(self.deployment)],
            },
            "spec": {
                "replicas": 0,
                "selector": selector,
                "template": template,
            },
            "status": {"replicas": 0},
        });
        if self.deployment.has("/spec/minReadySeconds") {
            let seconds = self.deployment.at("/spec/minReadySeconds").clone();
            set.put("/spec/minReadySeconds", seconds);
        }
        let namespace = self.key.namespace.as_str();
        let made = self
            .world
            .store
            .create(resource, namespace, set, Write::INTERNAL)?;
        self.sets.push(Set::read(made));
        let message = format!("Created new replica set \"{name}\"");
        self.set_condition("Progressing", "True", "NewReplicaSetCreated", &message);
        Ok(())
    }

    /// Gives the new set the highest number and the deployment that number.
    fn number_new_set(&mut self) -> Result<(), Problem> {
        let Some(new) = self.new_set() else {
            return Ok(());
        };
        let revision = new.revision.max(self.next_revision());
        let mut wanted = (*new.object).clone();
        for (key, value) in members(self.deployment.at("/metadata/annotations")) {
            let own = key.starts_with("deployment.kubernetes.io/")
                || key == "kubectl.kubernetes.io/last-applied-configuration";
            if let (false, Some(text)) = (own, value.as_str()) {
                annotate(&mut wanted, key, text);
            }
        }
        if new.revision < revision {
            if new.revision > 0 {
                let history = annotation(&wanted, HISTORY);
                let separator = if history.is_empty() { "" } else { "," };
                let longer = format!("{history}{separator}{}", new.revision);
                annotate(&mut wanted, HISTORY, &longer);
            }
            annotate(&mut wanted, REVISION, &revision.to_string());
        }
        self.note_size(&mut wanted);
        let (key, annotations) = (new.key.clone(), wanted.at("/metadata/annotations").clone());
        self.change_set(&key, |set| set.put("/metadata/annotations", annotations))?;
        if annotation(self.deployment, REVISION) != revision.to_string() {
            self.world.modify(&self.key, |deployment| {
                annotate(deployment, REVISION, &revision.to_string());
            })?;
        }
        Ok(())
    }

    fn note_size(&self, set: &mut Value) {
        let (surge, _) = self.fences();
        annotate(set, DESIRED, &self.replicas().to_string());
        annotate(set, MOST, &(self.replicas() + surge).to_string());
    }

    fn change_set(&mut self, key: &Key, change: impl FnOnce(&mut Value)) -> Result<(), Problem> {
        let changed = self.world.modify(key, change)?;
        if let Some(set) = self.sets.iter_mut().find(|set| set.key == *key) {
            *set = Set::read(changed);
        }
        Ok(())
    }

    fn scale(&mut self, key: &Key, count: i64) -> Result<bool, Problem> {
        let Some(before) = self
            .sets
            .iter()
            .find(|set| set.key == *key)
            .map(|set| set.replicas)
        else {
            return Ok(false);
        };
        if before == count {
            return Ok(false);
        }
        self.change_set(key, |set| set.put("/spec/replicas", json!(count)))?;
        let way = if count > before { "up" } else { "down" };
        let message = format!(
            "Scaled {way} replica set {} from {before} to {count}",
            key.name
        );
        self.world
            .record(self.deployment, GRADE, "ScalingReplicaSet", &message);
        Ok(true)
    }

    fn trim_history(&mut self) {
        let limit = self
            .deployment
            .number("/spec/revisionHistoryLimit")
            .unwrap_or(10);
        let mut old: Vec<(i64, Key)> = self
            .old_sets()
            .filter(|set| set.replicas == 0 && set.existing == 0)
            .map(|set| (set.revision, set.key.clone()))
            .collect();
        old.sort();
        let surplus = usize::try_from(limit).map_or(0, |limit| old.len().saturating_sub(limit));
        for (_, key) in old.iter().take(surplus) {
            self.world.delete(key);
            self.sets.retain(|set| set.key != *key);
        }
    }
}
