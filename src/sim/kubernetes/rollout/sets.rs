//! The replica sets of a rollout: finding, making and numbering them.
//!
//! A set is found again by the hash of its template, so going back to an old
//! template brings its old set back, under a new revision number.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::sim::kubernetes::hash::ROLLOUT_HASH;
use crate::sim::kubernetes::managed::read_stamp;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::rollout::weights::Size;
use crate::sim::kubernetes::rollout::{NORMAL, Pass, REVISION, ephemeral};
use crate::sim::kubernetes::store::Write;
use crate::sim::kubernetes::value::{Fields, annotate, annotation, label, members};
use crate::sim::kubernetes::world::{World, owner_reference};

pub(super) const REVISION_HISTORY: &str = "rollout.argoproj.io/revision-history";
pub(super) const DESIRED: &str = "rollout.argoproj.io/desired-replicas";
pub(super) const DEADLINE: &str = "scale-down-deadline";

/// Annotations of a rollout that are not copied to its sets.
const NOT_COPIED: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    "notified.notifications.argoproj.io",
];

/// What the controller wants to know of one ReplicaSet.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) key: Key,
    pub(super) hash: String,
    pub(super) revision: i64,
    /// Pods asked for.
    pub(super) replicas: i64,
    /// Pods that exist.
    pub(super) existing: i64,
    pub(super) ready: i64,
    pub(super) available: i64,
    /// Order of birth.
    pub(super) born: String,
    /// When it may be scaled down, if that has been put off.
    pub(super) deadline: Option<DateTime<Utc>>,
    pub(super) desired: Option<i64>,
    pub(super) object: Arc<Value>,
}

impl Set {
    fn read(object: Arc<Value>) -> Option<Self> {
        Some(Self {
            key: Key::of(&object)?,
            hash: label(&object, ROLLOUT_HASH).to_owned(),
            revision: annotation(&object, REVISION).parse().unwrap_or(0),
            replicas: object.number("/spec/replicas").unwrap_or(1),
            existing: object.count("/status/replicas"),
            ready: object.count("/status/readyReplicas"),
            available: object.count("/status/availableReplicas"),
            born: object.text("/metadata/creationTimestamp").to_owned(),
            deadline: read_stamp(annotation(&object, DEADLINE)),
            desired: annotation(&object, DESIRED).parse().ok(),
            object,
        })
    }

    pub(super) fn size(&self) -> Size {
        Size {
            replicas: self.replicas,
            available: self.available,
        }
    }

    /// Whether it has pods, or is to have some.
    pub(super) fn is_active(&self) -> bool {
        self.replicas > 0
    }
}

/// The sets of a rollout, oldest first.
pub(super) fn of(world: &World<'_>, rollout: &Value) -> Vec<Set> {
    world
        .owned("ReplicaSet", rollout)
        .into_iter()
        .filter_map(Set::read)
        .collect()
}

impl Pass<'_, '_> {
    /// Makes sure the set for the template exists and has the newest number.
    pub(super) fn find_or_make_new_set(&mut self) -> Result<(), Problem> {
        let newest_other = self
            .sets
            .iter()
            .filter(|set| set.hash != self.hash)
            .map(|set| set.revision)
            .max()
            .unwrap_or(0);
        let revision = newest_other + 1;
        match self.new_set().cloned() {
            None => self.make_set(revision),
            Some(set) => {
                let number = set.revision.max(revision);
                self.number_set(&set, number)?;
                self.set_revision(number)
            }
        }
    }

    fn make_set(&mut self, revision: i64) -> Result<(), Problem> {
        let resource = Resource::by_kind("ReplicaSet").expect("sets are in the table");
        let name = format!("{}-{}", self.name(), self.hash);
        let mut template = self.template.clone();
        template.put(
            &format!("/metadata/labels/{ROLLOUT_HASH}"),
            json!(self.hash),
        );
        self.keep_apart(&mut template);
        let mut selector = self.rollout.at("/spec/selector").clone();
        selector.put(&format!("/matchLabels/{ROLLOUT_HASH}"), json!(self.hash));
        let mut set = json!({
            "kind": "ReplicaSet",
            "apiVersion": "apps/v1",
            "metadata": {
                "name": name,
                "labels": template.at("/metadata/labels"),
                "annotations": {
                    (DESIRED): self.replicas().to_string(),
                    (REVISION): revision.to_string(),
                },
                "ownerReferences": [owner_reference(&self.rollout)],
            },
            "spec": {
                "replicas": 0,
                "selector": selector,
                "template": template,
            },
            "status": {"replicas": 0},
        });
        if self.rollout.has("/spec/minReadySeconds") {
            let seconds = self.rollout.at("/spec/minReadySeconds").clone();
            set.put("/spec/minReadySeconds", seconds);
        }
        self.copy_annotations(&mut set);
        let metadata = self.role_metadata(&self.hash).cloned();
        ephemeral::inject(&mut set, metadata.as_ref());
        let namespace = self.key.namespace.clone();
        let made = self
            .world
            .store
            .create(resource, &namespace, set, Write::INTERNAL)?;
        self.sets.extend(Set::read(made));
        self.set_revision(revision)?;
        let created = format!("Created ReplicaSet {name} (revision {revision})");
        self.event(NORMAL, "NewReplicaSetCreated", &created);
        let message = format!("Created new replica set \"{name}\"");
        self.set_condition("Progressing", "True", "NewReplicaSetCreated", &message);
        self.write_whole_status()
    }

    /// Having made a set, the real controller writes the whole status through
    /// typed structs, so explicit zero values that a person has put there vanish.
    fn write_whole_status(&mut self) -> Result<(), Problem> {
        let zeros: Vec<String> = members(self.rollout.at("/status"))
            .filter(|(_, value)| value.as_bool() == Some(false))
            .map(|(field, _)| format!("/status/{field}"))
            .collect();
        if zeros.is_empty() {
            return Ok(());
        }
        self.world.modify(&self.key, |rollout| {
            for field in &zeros {
                rollout.drop_field(field);
            }
        })?;
        Ok(())
    }

    fn number_set(&mut self, set: &Set, revision: i64) -> Result<(), Problem> {
        let mut after = (*set.object).clone();
        self.copy_annotations(&mut after);
        if set.revision < revision {
            annotate(&mut after, REVISION, &revision.to_string());
        }
        let changed = after.at("/metadata/annotations") != set.object.at("/metadata/annotations");
        if changed && set.revision > 0 {
            // Any change of annotations counts here, as it does upstream, so
            // the history may name a revision it never left.
            let history = annotation(&after, REVISION_HISTORY);
            let separator = if history.is_empty() { "" } else { "," };
            let longer = format!("{history}{separator}{}", set.revision);
            annotate(&mut after, REVISION_HISTORY, &longer);
        }
        let annotations = after.at("/metadata/annotations").clone();
        if changed {
            self.change_set(&set.key, |set| {
                set.put("/metadata/annotations", annotations);
            })?;
        }
        Ok(())
    }

    fn copy_annotations(&self, set: &mut Value) {
        for (key, value) in members(self.rollout.at("/metadata/annotations")) {
            if let (false, Some(text)) = (NOT_COPIED.contains(&key.as_str()), value.as_str()) {
                annotate(set, key, text);
            }
        }
    }

    /// Changes a stored set and this pass's picture of it.
    pub(super) fn change_set(
        &mut self,
        key: &Key,
        change: impl FnOnce(&mut Value),
    ) -> Result<(), Problem> {
        let changed = self.world.modify(key, change)?;
        if let (Some(set), Some(new)) = (
            self.sets.iter_mut().find(|set| set.key == *key),
            Set::read(changed),
        ) {
            *set = new;
        }
        Ok(())
    }

    /// Deletes sets beyond the history limit that have no pods, oldest first,
    /// with the analyses that judged them.
    pub(super) fn trim_history(&mut self) {
        let limit = self
            .rollout
            .number("/spec/revisionHistoryLimit")
            .unwrap_or(10);
        let others: Vec<Set> = self.other_sets().cloned().collect();
        let surplus = usize::try_from(limit).map_or(0, |limit| others.len().saturating_sub(limit));
        for set in others.iter().take(surplus) {
            if set.replicas > 0 || set.existing > 0 {
                continue;
            }
            self.world.delete(&set.key);
            self.sets.retain(|kept| kept.key != set.key);
            for run in &self.runs.others {
                if label(run, ROLLOUT_HASH) == set.hash
                    && let Some(key) = Key::of(run)
                {
                    self.world.delete(&key);
                }
            }
        }
    }

    /// Whether going to an older set counts as a fast roll back.
    pub(super) fn is_rollback_within_window(&self) -> bool {
        let window = self.rollout.count("/spec/rollbackWindow/revisions");
        let (Some(new), Some(stable)) = (self.new_set(), self.stable_set()) else {
            return false;
        };
        if window <= 0 || new.born >= stable.born {
            return false;
        }
        let between = self
            .sets
            .iter()
            .filter(|set| set.born < stable.born && new.born < set.born)
            .count();
        i64::try_from(between).is_ok_and(|between| between < window)
    }
}
