//! The blue/green strategy, as far as it must be read: preview, pause, switch.
//!
//! Analyses before and after promotion are left out.

use std::time::Duration;

use serde_json::json;

use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::rollout::pause::BLUE_GREEN;
use crate::sim::kubernetes::rollout::sets::Set;
use crate::sim::kubernetes::rollout::{Pass, selector_text};
use crate::sim::kubernetes::time::{after, until};
use crate::sim::kubernetes::value::Fields;

impl Pass<'_, '_> {
    /// One pass of a blue/green rollout.
    pub(super) fn blue_green(&mut self) -> Result<(), Problem> {
        let active = self
            .rollout
            .text("/spec/strategy/blueGreen/activeService")
            .to_owned();
        let preview = self
            .rollout
            .text("/spec/strategy/blueGreen/previewService")
            .to_owned();
        if !self.is_halted() {
            let hash = self.hash.clone();
            self.point_service(&preview, &hash)?;
        }
        let current = self.was.text("/currentPodHash");
        let changed = !current.is_empty() && current != self.hash;
        if !changed && !self.restart_pods() {
            self.size_blue_green_sets()?;
            self.keep_metadata()?;
            self.trim_history();
            self.hold_before_switch(&active);
            self.switch(&active)?;
        }
        self.write_blue_green_status(&active, &preview, changed)
    }

    fn size_blue_green_sets(&mut self) -> Result<(), Problem> {
        self.drop_deadlines()?;
        let replicas = self.replicas();
        if let Some(stable) = self.stable_set().cloned() {
            self.scale(&stable, replicas)?;
        }
        let wanted = self.wanted_preview();
        self.size_new_set(wanted)?;
        let active = self.was.text("/blueGreen/activeSelector").to_owned();
        let others: Vec<Set> = self
            .other_sets()
            .filter(|set| set.is_active() && set.hash != active)
            .cloned()
            .collect();
        let delay = self
            .rollout
            .number("/spec/strategy/blueGreen/scaleDownDelaySeconds");
        for set in others {
            let keep = self.kept_until_deadline(&set, delay.unwrap_or(30))?;
            if keep != set.replicas {
                self.scale(&set, keep)?;
            }
        }
        Ok(())
    }

    fn wanted_preview(&self) -> i64 {
        let few = self
            .rollout
            .number("/spec/strategy/blueGreen/previewReplicaCount");
        let active = self.was.text("/blueGreen/activeSelector");
        let settled = active.is_empty() || active == self.hash || self.was.flag("/promoteFull");
        match few {
            Some(few) if !settled => {
                let waiting = !self.was.items("/pauseConditions").is_empty();
                let passed = self.was.flag("/blueGreen/scaleUpPreviewCheckPoint");
                if passed && !waiting {
                    self.replicas()
                } else {
                    few
                }
            }
            _ => self.replicas(),
        }
    }

    fn is_preview_ready(&self) -> bool {
        let wanted = self.wanted_preview();
        self.new_set()
            .is_some_and(|set| set.replicas == wanted && set.available == wanted)
    }

    /// Whether there is nothing to wait for before the switch.
    fn is_fast_tracked(&self, active: &str) -> bool {
        let selected = self.service_hash(active);
        self.was.flag("/promoteFull")
            || selected.is_empty()
            || selected == self.hash
            || self.new_set().is_some_and(|set| set.deadline.is_some())
    }

    fn auto_promotion(&self) -> (bool, Duration) {
        let strategy = self.rollout.at("/spec/strategy/blueGreen");
        let enabled = strategy
            .at("/autoPromotionEnabled")
            .as_bool()
            .unwrap_or(true);
        let seconds = strategy.count("/autoPromotionSeconds");
        (enabled, Duration::from_secs(seconds.unsigned_abs()))
    }

    fn hold_before_switch(&mut self, active: &str) {
        if self.was.flag("/abort") || !self.is_preview_ready() || self.is_halted() {
            return;
        }
        let (enabled, delay) = self.auto_promotion();
        let passed = self.was.flag("/blueGreen/scaleUpPreviewCheckPoint");
        if self.is_fast_tracked(active) || passed || (enabled && delay.is_zero()) {
            self.pause.remove.push(BLUE_GREEN);
        } else if let Some(since) = self.paused_since(BLUE_GREEN) {
            if self.is_switch_due() {
                self.pause.remove.push(BLUE_GREEN);
            } else if !delay.is_zero() {
                let left = until(after(since, delay), self.world.now);
                self.look_again(left);
            }
        } else if !self.was.flag("/controllerPause") {
            self.pause.add.push(BLUE_GREEN);
            if !delay.is_zero() {
                self.look_again(delay);
            }
        }
    }

    /// Whether the pause before the switch is over, by hand or by time.
    fn is_switch_due(&self) -> bool {
        let (enabled, delay) = self.auto_promotion();
        if !self.pause.add.is_empty() {
            return false;
        }
        if enabled && delay.is_zero() {
            return true;
        }
        match self.paused_since(BLUE_GREEN) {
            Some(since) => !delay.is_zero() && self.world.now >= after(since, delay),
            None => self.was.flag("/controllerPause"),
        }
    }

    fn switch(&mut self, active: &str) -> Result<(), Problem> {
        if self.was.flag("/abort") {
            let stable = self.was.text("/stableRS").to_owned();
            return self.point_service(active, &stable);
        }
        let full = self
            .new_set()
            .is_some_and(|set| set.available >= self.replicas());
        if self.is_halted() || !full || !self.is_preview_ready() {
            return Ok(());
        }
        let hash = self.hash.clone();
        if self.is_fast_tracked(active) || self.is_switch_due() {
            self.point_service(active, &hash)?;
        }
        Ok(())
    }

    fn write_blue_green_status(
        &mut self,
        active: &str,
        preview: &str,
        changed: bool,
    ) -> Result<(), Problem> {
        self.begin_status();
        if changed {
            self.reset_status();
        }
        if self.was.flag("/promoteFull") || self.is_rollback_within_window() {
            self.pause.clear = true;
            self.pause.remove_abort = true;
        }
        let (active, preview) = (self.service_hash(active), self.service_hash(preview));
        if let Some(set) = self.set(&active) {
            let (ready, available, existing) = (set.ready, set.available, set.existing);
            let selector = selector_text(set.object.at("/spec/selector"));
            self.next.put("/selector", json!(selector));
            self.next.put("/readyReplicas", json!(ready));
            self.next.put("/availableReplicas", json!(available));
            self.next.put("/HPAReplicas", json!(existing));
        }
        self.next.put("/blueGreen/activeSelector", json!(active));
        if !preview.is_empty() {
            self.next.put("/blueGreen/previewSelector", json!(preview));
        }
        let first = self.stable_set().is_none() || active.is_empty();
        if first {
            self.promote("Initial deploy");
        } else if active == self.hash && (!self.is_aborted() || self.was.flag("/promoteFull")) {
            self.promote("Completed blue-green update");
        } else {
            self.pass_checkpoint();
        }
        self.conclude();
        self.persist()
    }

    /// With few preview pods, the pause's end is remembered so that the set
    /// can grow before the switch.
    fn pass_checkpoint(&mut self) {
        let few = self
            .rollout
            .number("/spec/strategy/blueGreen/previewReplicaCount");
        let passed = self.was.flag("/blueGreen/scaleUpPreviewCheckPoint");
        let enough = self.new_set().is_some_and(|set| few == Some(set.available));
        if few.is_some() && (passed || (enough && self.is_switch_due())) {
            self.next
                .put("/blueGreen/scaleUpPreviewCheckPoint", json!(true));
        }
    }
}
