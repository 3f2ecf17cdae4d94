//! The conditions of a rollout: progress, deadline, availability, health.

use std::time::Duration;

use serde_json::{Value, json};

use crate::sim::kubernetes::managed::stamp;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::rollout::{NORMAL, Pass, WARNING};
use crate::sim::kubernetes::time::{after, until};
use crate::sim::kubernetes::value::Fields;

/// The name under which the exact time of the last progress is remembered.
const PROGRESS: &str = "progress";

/// The condition of this type, or null.
fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let conditions = status.items("/conditions");
    conditions
        .iter()
        .find(|condition| condition.text("/type") == kind)
        .unwrap_or(&Value::Null)
}

fn is_completed(status: &Value) -> bool {
    let stable = status.text("/stableRS");
    !stable.is_empty() && stable == status.text("/currentPodHash")
}

impl Pass<'_, '_> {
    /// Sets a condition of the new status; true when that changes its status
    /// or reason. A mere repetition keeps the old stamps.
    pub(super) fn set_condition(
        &mut self,
        kind: &'static str,
        status: &str,
        reason: &str,
        message: &str,
    ) -> bool {
        self.start_conditions();
        let old = condition(&self.next, kind);
        let same_status = old.text("/status") == status;
        if same_status && old.text("/reason") == reason {
            return false;
        }
        let since = same_status.then(|| old.at("/lastTransitionTime").clone());
        self.put_condition(kind, status, reason, message, since);
        true
    }

    fn put_condition(
        &mut self,
        kind: &'static str,
        status: &str,
        reason: &str,
        message: &str,
        since: Option<Value>,
    ) {
        let now = if kind == "Progressing" {
            let uid = self.uid();
            self.world.stamps.set(&uid, PROGRESS, self.world.now)
        } else {
            stamp(self.world.now)
        };
        let entry = json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastUpdateTime": now,
            "lastTransitionTime": since.unwrap_or_else(|| json!(now)),
        });
        let mut conditions = self.without_condition(kind);
        conditions.push(entry);
        self.next.put("/conditions", Value::Array(conditions));
    }

    fn without_condition(&self, kind: &str) -> Vec<Value> {
        let conditions = self.next.items("/conditions").iter();
        conditions
            .filter(|condition| condition.text("/type") != kind)
            .cloned()
            .collect()
    }

    fn start_conditions(&mut self) {
        if !self.next.has("/conditions") {
            self.next.put(
                "/conditions",
                Value::Array(self.was.items("/conditions").to_vec()),
            );
        }
    }

    pub(super) fn drop_condition(&mut self, kind: &str) {
        self.start_conditions();
        let kept = self.without_condition(kind);
        self.next.put("/conditions", Value::Array(kept));
    }

    /// Notes in the conditions that the rollout was paused or resumed, so that
    /// a long pause does not look like a lack of progress.
    ///
    /// This is a write of its own, and the rest of the pass goes on from what
    /// was before it. That is where the short-lived, half-right states come
    /// from that watchers of a real rollout see.
    pub(super) fn note_pausing(&mut self) -> Result<(), Problem> {
        self.start_conditions();
        let kept = self.next.at("/conditions").clone();
        let was = condition(&self.was, "Progressing");
        let progress = was.text("/reason").to_owned();
        let aborted = progress == "RolloutAborted";
        let paused = self.is_paused();
        let completed = is_completed(&self.was);
        if paused != (progress == "RolloutPaused") && !aborted && !completed {
            let (reason, message) = if paused {
                ("RolloutPaused", "Rollout is paused")
            } else {
                ("RolloutResumed", "Rollout is resumed")
            };
            self.set_condition("Progressing", "Unknown", reason, message);
        }
        if aborted && !self.was.flag("/abort") {
            let message = "Retrying Rollout after abort";
            self.set_condition("Progressing", "Unknown", "RolloutRetry", message);
        }
        let noted = condition(&self.was, "Paused").text("/status") == "True";
        if paused != noted && !aborted {
            let status = if paused { "True" } else { "False" };
            self.set_condition("Paused", status, "RolloutPaused", "Rollout is paused");
        }
        let changed = self.next.at("/conditions").clone();
        if changed != kept {
            let mut status = self.was.clone();
            status.put("/conditions", changed);
            self.write_apart(status)?;
        }
        self.next.put("/conditions", kept);
        Ok(())
    }

    /// Writes a status with changed conditions and the phase they make.
    fn write_apart(&mut self, mut status: Value) -> Result<(), Problem> {
        let generation = self.rollout.count("/metadata/generation").to_string();
        status.put("/observedGeneration", json!(generation));
        let (phase, message) = super::phase::of(&self.rollout, &status);
        status.put("/phase", json!(phase));
        status.put("/message", json!(message));
        let status = super::without_zeros(&status);
        if let Some(patch) = super::merge_diff(&self.was, &status) {
            self.world.patch_status(&self.key, &patch, super::MANAGER)?;
        }
        Ok(())
    }

    fn is_paused(&self) -> bool {
        !self.was.items("/pauseConditions").is_empty() || self.rollout.flag("/spec/paused")
    }

    /// Works out all conditions of the new status.
    pub(super) fn conclude(&mut self) {
        let healthy = self.is_healthy();
        let had_health = !condition(&self.was, "Healthy").is_null();
        let mut fell_ill = false;
        if healthy && !self.is_paused() {
            self.set_condition("Healthy", "True", "RolloutHealthy", "Rollout is healthy");
        } else if had_health {
            let message = "Rollout is not healthy";
            fell_ill = self.set_condition("Healthy", "False", "RolloutHealthy", message);
        }
        if self.is_aborted() {
            self.conclude_abort();
        } else {
            self.conclude_progress(healthy, fell_ill);
        }
        let available: i64 = self.sets.iter().map(|set| set.available).sum();
        let (status, message) = if available >= self.replicas() {
            ("True", "Rollout has minimum availability")
        } else {
            ("False", "Rollout does not have minimum availability")
        };
        self.set_condition("Available", status, "AvailableReason", message);
        let completed = is_completed(&self.next);
        let status = if completed { "True" } else { "False" };
        let kind = "Completed";
        if self.set_condition(kind, status, "RolloutCompleted", "RolloutCompleted") && !completed {
            let message = format!(
                "Rollout not completed, started update to revision {} ({})",
                self.revision(),
                self.hash
            );
            self.event(NORMAL, "RolloutNotCompleted", &message);
        }
    }

    fn conclude_abort(&mut self) {
        let mut message = format!("Rollout aborted update to revision {}", self.revision());
        if let Some(why) = self.pause.abort.as_ref().filter(|why| !why.is_empty()) {
            message = format!("{message}: {why}");
        }
        if self.set_condition("Progressing", "False", "RolloutAborted", &message) {
            self.event(WARNING, "RolloutAborted", &message);
        }
    }

    fn conclude_progress(&mut self, healthy: bool, fell_ill: bool) {
        let set = self
            .new_set()
            .map_or_else(String::new, |set| set.key.name.clone());
        if healthy {
            let message = format!("ReplicaSet \"{set}\" has successfully progressed.");
            self.set_condition("Progressing", "True", "NewReplicaSetAvailable", &message);
        } else if self.is_progressing() || fell_ill {
            let settled = is_completed(&self.next) && fell_ill;
            let (reason, message) = if settled {
                (
                    "ReplicaSetNotAvailable",
                    "Rollout does not have minimum availability".to_owned(),
                )
            } else {
                (
                    "ReplicaSetUpdated",
                    format!("ReplicaSet \"{set}\" is progressing."),
                )
            };
            self.start_conditions();
            let old = condition(&self.next, "Progressing");
            let since =
                (old.text("/status") == "True").then(|| old.at("/lastTransitionTime").clone());
            // Any progress moves the deadline, so the stamp is always renewed.
            self.put_condition("Progressing", "True", reason, &message, since);
        } else if !self.may_take_for_ever() && self.has_timed_out() {
            let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
            let kind = "Progressing";
            self.set_condition(kind, "False", "ProgressDeadlineExceeded", &message);
            if self.rollout.flag("/spec/progressDeadlineAbort") && !self.is_aborted() {
                self.event(WARNING, "RolloutAborted", &message);
                self.pause.abort = Some(message);
            }
        }
    }

    /// All updated, available, in service, and nothing old about.
    fn is_healthy(&self) -> bool {
        let replicas = self.replicas();
        let next = &self.next;
        let strategy = if self.rollout.has("/spec/strategy/blueGreen") {
            let current = next.text("/currentPodHash");
            let preview = self.rollout.has("/spec/strategy/blueGreen/previewService");
            next.text("/blueGreen/activeSelector") == current
                && (!preview || next.text("/blueGreen/previewSelector") == current)
        } else {
            let steps = self.step_count();
            let done = steps == 0
                || next
                    .number("/currentStepIndex")
                    .is_none_or(|at| at == steps);
            done && is_completed(next) && next.count("/replicas") == replicas
        };
        let generation = self.rollout.count("/metadata/generation").to_string();
        strategy
            && next.count("/updatedReplicas") == replicas
            && next.count("/availableReplicas") == replicas
            && self.was.text("/observedGeneration") == generation
    }

    fn is_progressing(&self) -> bool {
        let (was, next) = (&self.was, &self.next);
        let moved = |field: &str| was.at(field) != next.at(field);
        let old_pods =
            |status: &Value| status.count("/replicas") - status.count("/updatedReplicas");
        let strategy = if self.rollout.has("/spec/strategy/blueGreen") {
            moved("/blueGreen/activeSelector") || moved("/blueGreen/previewSelector")
        } else {
            moved("/stableRS") || moved("/currentStepIndex") || moved("/currentStepHash")
        };
        strategy
            || was.count("/updatedReplicas") != next.count("/updatedReplicas")
            || old_pods(next) < old_pods(was)
            || next.count("/readyReplicas") > was.count("/readyReplicas")
            || next.count("/availableReplicas") > was.count("/availableReplicas")
    }

    /// Steps whose length says nothing about progress.
    fn may_take_for_ever(&self) -> bool {
        let waits = ["pause", "analysis", "experiment"];
        let step = self.current_step();
        step.is_some_and(|step| waits.iter().any(|key| step.get(key).is_some()))
            || condition(&self.was, "Paused").text("/status") == "True"
            || self.other_sets().any(|set| set.deadline.is_some())
    }

    fn deadline(&self) -> Duration {
        let seconds = self
            .rollout
            .number("/spec/progressDeadlineSeconds")
            .unwrap_or(600);
        Duration::from_secs(seconds.unsigned_abs())
    }

    fn has_timed_out(&self) -> bool {
        let progress = condition(&self.next, "Progressing");
        match progress.text("/reason") {
            "" | "RolloutAborted" | "RolloutPaused" => false,
            "ProgressDeadlineExceeded" => true,
            _ => self
                .world
                .stamps
                .exact(&self.uid(), PROGRESS, progress.text("/lastUpdateTime"))
                .is_some_and(|last| after(last, self.deadline()) < self.world.now),
        }
    }

    /// Comes back when the deadline will have passed, if it can.
    pub(super) fn await_deadline(&mut self, next: &Value) {
        let progress = condition(next, "Progressing");
        let hopeless = matches!(progress.text("/reason"), "ProgressDeadlineExceeded" | "");
        if hopeless
            || next.text("/phase") == "Healthy"
            || self.is_paused()
            || next.flag("/abort")
            || self.may_take_for_ever()
        {
            return;
        }
        let written = progress.text("/lastUpdateTime").to_owned();
        if let Some(last) = self.world.stamps.exact(&self.uid(), PROGRESS, &written) {
            let left = until(after(last, self.deadline()), self.world.now);
            self.look_again(left + Duration::from_millis(100));
        }
    }

    /// Writes that the spec makes no sense, and nothing else.
    pub(super) fn say_invalid(&mut self, complaint: &str) -> Result<(), Problem> {
        let message = format!("The Rollout \"{}\" is invalid: {complaint}", self.name());
        if condition(&self.was, "InvalidSpec").text("/message") != message {
            self.drop_condition("InvalidSpec");
            self.set_condition("InvalidSpec", "True", "InvalidSpec", &message);
        }
        self.start_conditions();
        let mut status = self.was.clone();
        status.put("/conditions", self.next.at("/conditions").clone());
        self.write_apart(status)
    }
}
