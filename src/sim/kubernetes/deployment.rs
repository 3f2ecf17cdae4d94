//! The Deployment controller: rolling updates, pause, undo, conditions.
//!
//! Like the real one it numbers its sets, finds an old one again by its
//! template, and while paused scales but rolls nothing out.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::sim::kubernetes::hash::{DEPLOYMENT_HASH, template_hash};
use crate::sim::kubernetes::managed::stamp;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::rollout::weights::portion;
use crate::sim::kubernetes::store::Write;
use crate::sim::kubernetes::time::{after, until};
use crate::sim::kubernetes::value::{Fields, annotate, annotation, label, members};
use crate::sim::kubernetes::world::{Again, Grade, World, owner_reference};

const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MOST: &str = "deployment.kubernetes.io/max-replicas";
const GRADE: Grade = Grade::normal("deployment-controller");
const PROGRESS: &str = "deployment-progress";

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
        let set = json!({
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
                "minReadySeconds": self.deployment.count("/spec/minReadySeconds"),
                "selector": selector,
                "template": template,
            },
            "status": {"replicas": 0},
        });
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

    /// One step of a rolling update: first up, and if that is done, down.
    fn roll(&mut self) -> Result<(), Problem> {
        let (surge, unavailable) = self.fences();
        let replicas = self.replicas();
        let Some(new) = self.new_set() else {
            return Ok(());
        };
        let key = new.key.clone();
        let total: i64 = self.sets.iter().map(|set| set.replicas).sum();
        let grown = if new.replicas > replicas {
            replicas
        } else {
            (new.replicas + (replicas + surge - total).max(0)).min(replicas)
        };
        if self.scale(&key, grown)? {
            return Ok(());
        }
        let missing = self.new_set().map_or(0, |new| new.replicas - new.available);
        let least = replicas - unavailable;
        let mut old: Vec<(Key, i64, i64)> = self
            .old_sets()
            .filter(|set| set.replicas > 0)
            .map(|set| (set.key.clone(), set.replicas, set.available))
            .collect();
        let mut spare = total - least - missing;
        for (key, replicas, available) in &mut old {
            // Pods that never came up are no loss.
            let gone = (*replicas - *available).min(spare).max(0);
            if gone > 0 {
                *replicas -= gone;
                spare -= gone;
                self.scale(&key.clone(), *replicas)?;
            }
        }
        let standing: i64 = self.sets.iter().map(|set| set.available).sum();
        let mut spare = standing - least;
        for (key, replicas, _) in old {
            let gone = replicas.min(spare).max(0);
            if gone > 0 {
                spare -= gone;
                self.scale(&key, replicas - gone)?;
            }
        }
        Ok(())
    }

    fn recreate(&mut self) -> Result<(), Problem> {
        let old: Vec<Key> = self.old_sets().map(|set| set.key.clone()).collect();
        for key in old {
            self.scale(&key, 0)?;
        }
        if self.old_sets().all(|set| set.existing == 0)
            && let Some(key) = self.new_set().map(|set| set.key.clone())
        {
            self.scale(&key, self.replicas())?;
        }
        Ok(())
    }

    /// While paused a changed count is spread over the sets that run.
    fn scale_proportionally(&mut self) -> Result<(), Problem> {
        let mut active: Vec<(Key, i64)> = self
            .sets
            .iter()
            .filter(|set| set.replicas > 0)
            .map(|set| (set.key.clone(), set.replicas))
            .collect();
        let total: i64 = active.iter().map(|(_, replicas)| replicas).sum();
        let (surge, _) = self.fences();
        let replicas = self.replicas();
        let allowed = if active.len() > 1 {
            replicas + surge
        } else {
            replicas
        };
        let mut change = match total {
            0 => 0,
            total if total > allowed => allowed - total,
            total if total < replicas => replicas - total,
            _ => 0,
        };
        active.sort_by_key(|(_, replicas)| Reverse(*replicas));
        for (key, replicas) in active {
            let next = (replicas + change).max(0);
            change -= next - replicas;
            self.scale(&key, next)?;
        }
        Ok(())
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

    fn write_status(&mut self) -> Again {
        let sum = |count: fn(&Set) -> i64| self.sets.iter().map(count).sum::<i64>();
        let (existing, ready) = (sum(|set| set.existing), sum(|set| set.ready));
        let available = sum(|set| set.available);
        let updated = self.new_set().map_or(0, |set| set.existing);
        let replicas = self.replicas();
        let was = self.deployment.at("/status").clone();
        let moved = updated != was.count("/updatedReplicas")
            || existing - updated < was.count("/replicas") - was.count("/updatedReplicas")
            || ready > was.count("/readyReplicas")
            || available > was.count("/availableReplicas");
        let complete = updated == replicas && existing == replicas && available == replicas;
        let wait = self.conclude(complete, moved);
        let (_, unavailable) = self.fences();
        let (truth, reason, message) = if available >= replicas - unavailable {
            (
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.",
            )
        } else {
            (
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        };
        self.set_condition("Available", truth, reason, message);
        let mut status = json!({"observedGeneration": self.deployment.at("/metadata/generation")});
        let wanted: i64 = self.sets.iter().map(|set| set.replicas).sum();
        for (field, count) in [
            ("replicas", existing),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", available),
            ("unavailableReplicas", (wanted - available).max(0)),
        ] {
            if count > 0 {
                status.put(&format!("/{field}"), json!(count));
            }
        }
        status.put("/conditions", Value::Array(self.conditions.clone()));
        if status != was {
            self.world
                .modify(&self.key, |deployment| deployment.put("/status", status))?;
        }
        Ok(wait)
    }

    /// The Progressing condition; when to look at the deadline again.
    fn conclude(&mut self, complete: bool, moved: bool) -> Option<Duration> {
        let set = self
            .new_set()
            .map_or_else(String::new, |set| set.key.name.clone());
        let (kind, was) = ("Progressing", self.reason("Progressing"));
        if self.is_paused() {
            if was != "DeploymentPaused" && was != "NewReplicaSetAvailable" {
                self.set_condition(kind, "Unknown", "DeploymentPaused", "Deployment is paused");
            }
            return None;
        }
        if was == "DeploymentPaused" {
            self.set_condition(
                kind,
                "Unknown",
                "DeploymentResumed",
                "Deployment is resumed",
            );
        }
        if complete {
            let message = format!("ReplicaSet \"{set}\" has successfully progressed.");
            self.set_condition(kind, "True", "NewReplicaSetAvailable", &message);
            return None;
        }
        if moved || was == "NewReplicaSetAvailable" || was.is_empty() {
            let message = format!("ReplicaSet \"{set}\" is progressing.");
            self.renew_condition(kind, "True", "ReplicaSetUpdated", &message);
        }
        let deadline = self
            .deployment
            .number("/spec/progressDeadlineSeconds")
            .unwrap_or(600);
        let deadline = Duration::from_secs(deadline.unsigned_abs());
        let written = self
            .condition(kind)
            .map_or("", |known| known.text("/lastUpdateTime"));
        let uid = self.deployment.text("/metadata/uid");
        let last = self.world.stamps.exact(uid, PROGRESS, written)?;
        let end = after(last, deadline);
        if end > self.world.now {
            return Some(until(end, self.world.now) + Duration::from_millis(100));
        }
        let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
        self.set_condition(kind, "False", "ProgressDeadlineExceeded", &message);
        None
    }

    fn condition(&self, kind: &str) -> Option<&Value> {
        self.conditions
            .iter()
            .find(|condition| condition.text("/type") == kind)
    }

    fn reason(&self, kind: &str) -> String {
        self.condition(kind)
            .map_or("", |condition| condition.text("/reason"))
            .to_owned()
    }

    fn set_condition(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let same = self.condition(kind).is_some_and(|condition| {
            condition.text("/status") == status && condition.text("/reason") == reason
        });
        if !same {
            self.renew_condition(kind, status, reason, message);
        }
    }

    fn renew_condition(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let now = if kind == "Progressing" {
            let uid = self.deployment.text("/metadata/uid");
            self.world.stamps.set(uid, PROGRESS, self.world.now)
        } else {
            stamp(self.world.now)
        };
        let since = self
            .condition(kind)
            .filter(|known| known.text("/status") == status)
            .map_or_else(
                || json!(now),
                |known| known.at("/lastTransitionTime").clone(),
            );
        self.conditions
            .retain(|condition| condition.text("/type") != kind);
        self.conditions.push(json!({
            "type": kind,
            "status": status,
            "lastUpdateTime": now,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }));
    }
}
