//! The counts and conditions of a deployment.

use std::time::Duration;

use serde_json::{Value, json};

use crate::sim::kubernetes::deployment::{Pass, Set};
use crate::sim::kubernetes::managed::stamp;
use crate::sim::kubernetes::time::{after, until};
use crate::sim::kubernetes::value::Fields;
use crate::sim::kubernetes::world::Again;

/// The name under which the exact time of the last progress is remembered.
const PROGRESS: &str = "deployment-progress";

impl Pass<'_, '_> {
    pub(super) fn write_status(&mut self) -> Again {
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

    pub(super) fn set_condition(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
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
