//! The blue/green strategy: a preview, a pause, a switch, and judgements before
//! and after it.
//!
//! As everywhere here the order inside a pass is the controller's, and what is
//! odd about it is kept: the end of a pause is forgotten when the preview is
//! not all up; a set that was to be scaled down is switched to without pause or
//! judgement, be it an old one gone back to or an aborted preview tried again;
//! and an abort looks whether the new set is all up before it takes users back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::rollout::analyses::{Slot, TYPE};
use crate::sim::kubernetes::rollout::pause::{BLUE_GREEN, INCONCLUSIVE};
use crate::sim::kubernetes::rollout::sets::Set;
use crate::sim::kubernetes::rollout::{Pass, selector_text};
use crate::sim::kubernetes::time::{after, until};
use crate::sim::kubernetes::value::Fields;

const BEFORE: &str = "/spec/strategy/blueGreen/prePromotionAnalysis";
const AFTER: &str = "/spec/strategy/blueGreen/postPromotionAnalysis";

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
            self.hold_before_switch(&active);
            self.switch(&active)?;
            self.judge()?;
            self.keep_metadata()?;
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
        if !self.must_keep_old_sets() {
            self.retire_old_sets()?;
        }
        self.trim_history();
        Ok(())
    }

    /// Old sets stay while a person has to decide, and without a delay of their
    /// own until the judgement after the switch is good.
    fn must_keep_old_sets(&self) -> bool {
        if self.has_pause(INCONCLUSIVE) {
            return true;
        }
        let run = self.runs.get(Slot::After);
        self.rollout.has(AFTER)
            && !self
                .rollout
                .has("/spec/strategy/blueGreen/scaleDownDelaySeconds")
            && !self.skips_after(run)
            && !is_good(run)
    }

    fn retire_old_sets(&mut self) -> Result<(), Problem> {
        let selected = [
            self.was.text("/blueGreen/activeSelector").to_owned(),
            self.was.text("/blueGreen/previewSelector").to_owned(),
            self.was.text("/currentPodHash").to_owned(),
        ];
        let mut others: Vec<Set> = self
            .other_sets()
            .filter(|set| set.is_active() && !selected.contains(&set.hash))
            .cloned()
            .collect();
        others.sort_by_key(|set| std::cmp::Reverse(set.revision));
        let strategy = self.rollout.at("/spec/strategy/blueGreen");
        let delay = strategy.number("/scaleDownDelaySeconds").unwrap_or(30);
        let limit = strategy
            .number("/scaleDownDelayRevisionLimit")
            .and_then(|limit| usize::try_from(limit).ok());
        for (place, set) in others.iter().enumerate() {
            let keep = if limit.is_some_and(|limit| limit <= place) {
                0
            } else {
                self.kept_until_deadline(set, delay)?
            };
            if keep != set.replicas {
                self.scale(set, keep)?;
            }
        }
        Ok(())
    }

    fn wanted_preview(&self) -> i64 {
        let few = self
            .rollout
            .number("/spec/strategy/blueGreen/previewReplicaCount");
        let active = self.was.text("/blueGreen/activeSelector");
        let settled = self.set(active).is_none_or(|set| set.hash == self.hash);
        match few {
            Some(few) if !settled && !self.was.flag("/promoteFull") => {
                let paused = !self.was.items("/pauseConditions").is_empty()
                    || self.rollout.flag("/spec/paused");
                let passed = self.was.flag("/blueGreen/scaleUpPreviewCheckPoint");
                let new_update = self.was.text("/currentPodHash") != self.hash;
                if passed && !paused && !new_update {
                    self.replicas()
                } else {
                    few
                }
            }
            _ => self.replicas(),
        }
    }

    /// Whether the new set has what it is to have now.
    fn is_preview_ready(&self) -> bool {
        let wanted = self.wanted_preview();
        self.new_set()
            .is_some_and(|set| set.replicas == wanted && set.available == wanted)
    }

    /// Whether the new set could take all users.
    fn is_saturated(&self) -> bool {
        let replicas = self.replicas();
        self.new_set().is_some_and(|set| {
            set.replicas == replicas && set.desired == Some(replicas) && set.available == replicas
        })
    }

    /// Whether there is nothing to wait for before the switch.
    fn is_fast_tracked(&self, active: &str) -> bool {
        let selected = self.service_hash(active);
        self.was_retiring
            || self.was.flag("/promoteFull")
            || selected.is_empty()
            || selected == self.hash
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
            return;
        }
        if !self.is_judged_before() {
            return;
        }
        if let Some(since) = self.paused_since(BLUE_GREEN) {
            if self.is_pause_before_switch_over() {
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

    /// Whether the pause before the switch is over. A countdown is over by time
    /// alone: with its condition gone it counts as never begun.
    fn is_pause_before_switch_over(&self) -> bool {
        if !self.pause.add.is_empty() {
            return false;
        }
        if self.was.flag("/blueGreen/scaleUpPreviewCheckPoint") {
            return true;
        }
        let (enabled, delay) = self.auto_promotion();
        let since = self.paused_since(BLUE_GREEN);
        if enabled {
            delay.is_zero() || since.is_some_and(|since| self.world.now >= after(since, delay))
        } else {
            since.is_none() && self.was.flag("/controllerPause")
        }
    }

    /// Moves users; also back, after an abort.
    fn switch(&mut self, active: &str) -> Result<(), Problem> {
        if self.is_halted() || !self.is_preview_ready() || !self.is_saturated() {
            return Ok(());
        }
        let due = self.is_pause_before_switch_over() && self.is_judged_before();
        let hash = if self.was.flag("/abort") {
            self.was.text("/stableRS").to_owned()
        } else if due || self.is_fast_tracked(active) {
            self.hash.clone()
        } else {
            return Ok(());
        };
        self.point_service(active, &hash)
    }

    /// Whether nothing has to be judged before the switch, or it was, and well.
    fn is_judged_before(&self) -> bool {
        !self.rollout.has(BEFORE) || is_good(self.runs.get(Slot::Before))
    }

    /// Starts and heeds the runs around the switch.
    pub(super) fn judge_switch(&mut self) -> Result<(), Problem> {
        let run = self.runs.get(Slot::Before).cloned();
        let skips = self.skips_before(run.as_ref());
        self.judge_around(Slot::Before, skips)?;
        let run = self.runs.get(Slot::After).cloned();
        let skips = self.skips_after(run.as_ref());
        self.judge_around(Slot::After, skips)
    }

    fn judge_around(&mut self, slot: Slot, skips: bool) -> Result<(), Problem> {
        let (path, kind, infix, blame) = match slot {
            Slot::Before => (
                BEFORE,
                "PrePromotion",
                "-pre",
                "Blue/green pre-promotion analysis phase error/failed",
            ),
            _ => (
                AFTER,
                "PostPromotion",
                "-post",
                "Blue/green post-promotion analysis phase error/failed",
            ),
        };
        let analysis = self.rollout.at(path).clone();
        if analysis.items("/templates").is_empty() {
            if let Some(run) = self.runs.take(slot) {
                self.stop(&[run])?;
            }
            return Ok(());
        }
        if skips {
            if let Some(run) = self.runs.get(slot).cloned() {
                self.stop(&[run])?;
            }
        } else if !self.has_pause(INCONCLUSIVE) && self.needs_new_run(self.runs.get(slot)) {
            let run = self.start_run(&analysis, infix, json!({(TYPE): kind}))?;
            self.runs.put(slot, run);
        }
        let run = self.runs.get(slot).cloned();
        self.heed(run.as_deref(), blame);
        Ok(())
    }

    /// Whether there is no point in judging before the switch (any more, yet).
    fn skips_before(&self, run: Option<&Arc<Value>>) -> bool {
        let active = self.was.text("/blueGreen/activeSelector");
        if self.was.text("/stableRS") == self.hash || active.is_empty() || active == self.hash {
            return true;
        }
        let few = self
            .rollout
            .number("/spec/strategy/blueGreen/previewReplicaCount");
        let up = match few {
            Some(few) => self
                .new_set()
                .is_some_and(|set| set.replicas == few && set.available == few),
            None => self.is_saturated(),
        };
        run.is_none() && !up
    }

    /// The same for the judgement after it.
    fn skips_after(&self, run: Option<&Arc<Value>>) -> bool {
        let active = self.was.text("/blueGreen/activeSelector");
        self.was.text("/stableRS") == self.hash
            || active != self.hash
            || (run.is_none() && !self.is_saturated())
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
        if let Some(reason) = self.reason_to_settle(&active) {
            self.promote(&reason);
        } else {
            self.pass_checkpoint();
        }
        self.conclude();
        self.persist()
    }

    /// Why the new set is the stable one from now on, if it is.
    fn reason_to_settle(&self, active: &str) -> Option<String> {
        if self.stable_set().is_none() || active.is_empty() {
            return Some("Initial deploy".to_owned());
        }
        if active != self.hash {
            return None;
        }
        if self.was.flag("/promoteFull") {
            return Some("Full promotion requested".to_owned());
        }
        if self.is_rollback_within_window() {
            return Some("Rollback within window".to_owned());
        }
        if self.is_aborted() {
            return None;
        }
        if self.rollout.has(AFTER) {
            if self.was_retiring {
                let name = self.new_set().map_or("", |set| &set.key.name);
                return Some(format!("Rollback to '{name}' within scaleDownDelay"));
            }
            if !is_good(self.runs.get(Slot::After)) {
                return None;
            }
        }
        Some("Completed blue-green update".to_owned())
    }

    /// With few preview pods, the pause's end is remembered so that the set
    /// can grow before the switch.
    fn pass_checkpoint(&mut self) {
        let few = self
            .rollout
            .number("/spec/strategy/blueGreen/previewReplicaCount");
        let passed = self.was.flag("/blueGreen/scaleUpPreviewCheckPoint");
        let enough = self.new_set().is_some_and(|set| few == Some(set.available));
        let over = self.is_judged_before() && self.is_pause_before_switch_over();
        if few.is_some() && (passed || (enough && over)) {
            self.next
                .put("/blueGreen/scaleUpPreviewCheckPoint", json!(true));
        }
    }
}

fn is_good(run: Option<&Arc<Value>>) -> bool {
    run.is_some_and(|run| run.text("/status/phase") == "Successful")
}
