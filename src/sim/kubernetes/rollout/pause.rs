//! Pausing, resuming and aborting: what a pass wants, and what comes of it.
//!
//! `controllerPause` is the controller's memory that it has paused. With it
//! set and no pause condition left, somebody has continued the rollout; with
//! it gone too, nobody remembers the pause and it starts afresh.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::sim::kubernetes::duration;
use crate::sim::kubernetes::managed::stamp;
use crate::sim::kubernetes::rollout::Pass;
use crate::sim::kubernetes::time::{after, until};
use crate::sim::kubernetes::value::Fields;

/// What one pass wants of the pause conditions and the abort.
#[derive(Debug, Default)]
pub(super) struct Pause {
    pub(super) add: Vec<&'static str>,
    pub(super) remove: Vec<&'static str>,
    pub(super) clear: bool,
    /// The reason of an abort this pass decides on.
    pub(super) abort: Option<String>,
    pub(super) remove_abort: bool,
}

pub(super) const STEP: &str = "CanaryPauseStep";
pub(super) const INCONCLUSIVE: &str = "InconclusiveAnalysisRun";
pub(super) const INCONCLUSIVE_EXPERIMENT: &str = "InconclusiveExperiment";
pub(super) const BLUE_GREEN: &str = "BlueGreenPause";

impl Pass<'_, '_> {
    pub(super) fn is_aborted(&self) -> bool {
        !self.pause.remove_abort && (self.pause.abort.is_some() || self.was.flag("/abort"))
    }

    /// Whether the rollout is paused for this reason.
    pub(super) fn has_pause(&self, reason: &str) -> bool {
        self.pause_condition(reason).is_some()
    }

    pub(super) fn pause_condition(&self, reason: &str) -> Option<&Value> {
        let conditions = self.was.items("/pauseConditions");
        conditions
            .iter()
            .find(|condition| condition.text("/reason") == reason)
    }

    /// When the rollout was paused for this reason, to the millisecond.
    pub(super) fn paused_since(&self, reason: &'static str) -> Option<DateTime<Utc>> {
        let written = self.pause_condition(reason)?.text("/startTime");
        self.world.stamps.exact(&self.uid(), reason, written)
    }

    /// Pauses at a pause step; true while the step holds the rollout.
    pub(super) fn hold_at_pause_step(&mut self) -> bool {
        if self.rollout.flag("/spec/paused") || self.was.flag("/promoteFull") {
            return false;
        }
        let Some(pause) = self
            .current_step()
            .and_then(|step| step.get("pause"))
            .cloned()
        else {
            return false;
        };
        let Some(since) = self.paused_since(STEP) else {
            if !self.was.flag("/controllerPause") {
                self.pause.add.push(STEP);
                if let Some(length) = duration::read(pause.at("/duration")) {
                    self.look_again(length);
                }
            }
            return true;
        };
        if let Some(length) = duration::read(pause.at("/duration")) {
            let end = after(since, length);
            if end > self.world.now {
                self.look_again(until(end, self.world.now));
            }
        }
        true
    }

    /// Whether the current pause step is over: by hand, or by time.
    pub(super) fn is_pause_over(&self, pause: &Value) -> bool {
        match self.paused_since(STEP) {
            None => self.was.flag("/controllerPause"),
            Some(since) => duration::read(pause.at("/duration"))
                .is_some_and(|length| self.world.now >= after(since, length)),
        }
    }

    /// Turns the wishes of the pass into status.
    pub(super) fn settle_pause(&mut self) {
        for field in ["abort", "abortedAt", "pauseConditions", "controllerPause"] {
            self.next.drop_field(&format!("/{field}"));
        }
        if self.is_aborted() {
            let now = json!(stamp(self.world.now));
            let since = self.was.at("/abortedAt");
            let since = if since.is_null() { now } else { since.clone() };
            self.next.put("/abort", json!(true));
            self.next.put("/abortedAt", since);
            return;
        }
        if self.pause.clear {
            return;
        }
        let mut conditions: Vec<Value> = self
            .was
            .items("/pauseConditions")
            .iter()
            .filter(|condition| !self.pause.remove.contains(&condition.text("/reason")))
            .cloned()
            .collect();
        let mut paused = self.was.flag("/controllerPause");
        for reason in self.pause.add.clone() {
            if !self.has_pause(reason) {
                let uid = self.uid();
                let since = self.world.stamps.set(&uid, reason, self.world.now);
                conditions.push(json!({"reason": reason, "startTime": since}));
                paused = true;
            }
        }
        if !conditions.is_empty() {
            self.next.put("/controllerPause", json!(paused));
            self.next.put("/pauseConditions", Value::Array(conditions));
        }
    }
}
