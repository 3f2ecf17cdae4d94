//! The canary strategy: steps one after the other, each when it is done.

use serde_json::{Value, json};

use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::rollout::analyses::Slot;
use crate::sim::kubernetes::rollout::{NORMAL, Pass};
use crate::sim::kubernetes::value::Fields;

impl Pass<'_, '_> {
    /// One pass of a canary.
    pub(super) fn canary(&mut self) -> Result<(), Problem> {
        if self.is_new_update() {
            return self.write_canary_status();
        }
        if self.restart_pods() {
            // The counts are of a moment ago; the next pass has true ones.
            return Ok(());
        }
        self.keep_metadata()?;
        self.trim_history();
        self.point_canary_services()?;
        self.weigh_traffic();
        self.experiment()?;
        self.judge()?;
        if !self.pause.add.is_empty() {
            return self.write_canary_status();
        }
        if self.size_canary_sets()? {
            return self.write_canary_status();
        }
        self.hold_at_pause_step();
        self.write_canary_status()
    }

    /// Whether template or steps are others than those of the status.
    fn is_new_update(&self) -> bool {
        let current = self.was.text("/currentPodHash");
        self.was.text("/currentStepHash") != self.step_hash()
            || (!current.is_empty() && current != self.hash)
    }

    fn write_canary_status(&mut self) -> Result<(), Problem> {
        self.begin_status();
        let steps = self.step_count();
        let step_hash = self.step_hash();
        self.next.put("/currentStepHash", json!(step_hash));
        if self.is_new_update() {
            self.reset_status();
            self.skip_steps_when_going_back();
            self.conclude();
            return self.persist();
        }
        let mut index = self.step_index();
        if self.was.flag("/promoteFull") || self.is_rollback_within_window() {
            self.pause.clear = true;
            self.pause.remove_abort = true;
            if steps > 0 {
                index = Some(steps);
            }
        }
        if let Some(reason) = self.reason_to_promote() {
            self.promote(&reason);
            self.conclude();
            return self.persist();
        }
        if self.is_aborted() {
            if steps > 0 {
                let fully = self.next.text("/stableRS") == self.next.text("/currentPodHash");
                self.next
                    .put("/currentStepIndex", json!(if fully { steps } else { 0 }));
            }
            self.conclude();
            return self.persist();
        }
        if let (true, Some(at)) = (self.is_step_done(), index) {
            let done = at + 1;
            let step = self.current_step().map(describe).unwrap_or_default();
            self.next.drop_field("/canary/currentStepAnalysisRunStatus");
            let message = format!("Rollout step {done}/{steps} completed ({step})");
            self.event(NORMAL, "RolloutStepCompleted", &message);
            self.pause.remove.push(super::pause::STEP);
            index = Some(done);
        }
        if let Some(index) = index {
            self.next.put("/currentStepIndex", json!(index));
        }
        self.conclude();
        self.persist()
    }

    /// Back on the stable template, or within the window of revisions: there
    /// is nothing to try out.
    fn skip_steps_when_going_back(&mut self) {
        let steps = self.step_count();
        if steps == 0 {
            return;
        }
        let why = if self.was.text("/stableRS") == self.hash {
            "Rollback to stable ReplicaSets"
        } else if self.is_rollback_within_window()
            && self.new_set().is_some_and(super::sets::Set::is_active)
        {
            "Rollback to active ReplicaSets within RollbackWindow"
        } else {
            return;
        };
        self.event(NORMAL, "SkipSteps", why);
        self.next.put("/currentStepIndex", json!(steps));
    }

    /// Why the new set becomes the stable one now, if it does.
    fn reason_to_promote(&self) -> Option<String> {
        if self.stable_set().is_none() {
            return Some("Initial deploy".to_owned());
        }
        if self.is_aborted() {
            return None;
        }
        let available = self.new_set().map_or(0, |set| set.available);
        if self.new_set().is_none() || available < self.replicas() {
            return None;
        }
        if self.was.flag("/promoteFull") {
            return Some("Full promotion requested".to_owned());
        }
        if self.is_rollback_within_window() {
            return Some("Rollback within window".to_owned());
        }
        let steps = self.step_count();
        let done = steps == 0 || self.step_index() == Some(steps);
        done.then(|| format!("Completed all {steps} canary steps"))
    }

    /// Makes the new set the stable one.
    pub(super) fn promote(&mut self, reason: &str) {
        self.pause.clear = true;
        self.pause.remove_abort = true;
        self.next.put("/promoteFull", json!(false));
        self.next.drop_field("/blueGreen/scaleUpPreviewCheckPoint");
        let steps = self.step_count();
        if steps > 0 {
            self.next.put("/currentStepIndex", json!(steps));
        } else {
            self.next.drop_field("/currentStepIndex");
        }
        if self.next.text("/stableRS") != self.hash {
            let hash = self.hash.clone();
            let message = format!(
                "Rollout completed update to revision {} ({hash}): {reason}",
                self.revision()
            );
            self.next.put("/stableRS", json!(hash));
            self.event(NORMAL, "RolloutCompleted", &message);
        }
    }

    fn is_step_done(&self) -> bool {
        if self.rollout.flag("/spec/paused") {
            return false;
        }
        let Some(step) = self.current_step() else {
            return false;
        };
        if let Some(pause) = step.get("pause") {
            return self.is_pause_over(pause);
        }
        if step.get("setWeight").is_some() || step.get("setCanaryScale").is_some() {
            return self.is_at_desired_sizes();
        }
        if step.get("analysis").is_some() {
            let run = self.runs.get(Slot::Step);
            return run.is_some_and(|run| run.text("/status/phase") == "Successful");
        }
        if step.get("experiment").is_some() {
            let current = self.experiments.current.as_ref();
            return current.is_some_and(|one| one.text("/status/phase") == "Successful");
        }
        // Plugins and routes are not played out here.
        true
    }
}

/// A step in words, as events name it.
fn describe(step: &Value) -> String {
    if let Some(weight) = step.number("/setWeight") {
        return format!("setWeight: {weight}");
    }
    if let Some(pause) = step.get("pause") {
        return match pause.at("/duration") {
            Value::Null => "pause".to_owned(),
            Value::String(text) => format!("pause: {text}"),
            other => format!("pause: {other}s"),
        };
    }
    step.as_object()
        .and_then(|step| step.keys().next().cloned())
        .unwrap_or_default()
}
