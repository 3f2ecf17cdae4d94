//! Sizing the replica sets of a rollout.

use std::time::Duration;

use serde_json::json;

use crate::sim::kubernetes::managed::stamp;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::Resource;
use crate::sim::kubernetes::rollout::sets::{DEADLINE, DESIRED, Set};
use crate::sim::kubernetes::rollout::weights::{Basic, basic, portion, routed};
use crate::sim::kubernetes::rollout::{NORMAL, Pass};
use crate::sim::kubernetes::time::{after, until};
use crate::sim::kubernetes::value::{Fields, annotate};

/// What a size comes out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) canary: i64,
    pub(super) stable: i64,
}

impl Pass<'_, '_> {
    /// Pods above the count that an update may make.
    pub(super) fn max_surge(&self) -> i64 {
        let written = self.rollout.at("/spec/strategy/canary/maxSurge");
        let written = if written.is_null() {
            &json!("25%")
        } else {
            written
        };
        portion(written, self.replicas(), true).unwrap_or(0)
    }

    /// Pods below the count that an update may leave; never none both ways.
    pub(super) fn max_unavailable(&self) -> i64 {
        let written = self.rollout.at("/spec/strategy/canary/maxUnavailable");
        let written = if written.is_null() {
            &json!("25%")
        } else {
            written
        };
        let count = portion(written, self.replicas(), false).unwrap_or(0);
        if count == 0 && self.max_surge() == 0 {
            1
        } else {
            count
        }
    }

    /// The weight the steps ask for at this point.
    pub(super) fn set_weight(&self) -> i64 {
        if self.was.flag("/abort") {
            return 0;
        }
        if self.current_step().is_none() {
            return self.max_weight();
        }
        self.last_step("setWeight")
            .and_then(|step| step.number("/setWeight"))
            .unwrap_or(0)
    }

    /// The nearest step with this key, at or before the current one.
    pub(super) fn last_step(&self, key: &str) -> Option<&serde_json::Value> {
        let done = usize::try_from(self.step_index()?).ok()?.saturating_add(1);
        let steps = self.steps();
        steps
            .iter()
            .take(done)
            .rev()
            .find(|step| step.get(key).is_some())
    }

    fn takes_all(&self) -> bool {
        let stable = self.was.text("/stableRS");
        self.was.flag("/promoteFull")
            || stable.is_empty()
            || stable == self.was.text("/currentPodHash")
    }

    /// The sizes to go to next.
    pub(super) fn sizes(&self) -> Sizes {
        if self.is_routed() {
            self.routed_sizes()
        } else {
            self.basic_sizes()
        }
    }

    fn basic_sizes(&self) -> Sizes {
        let weight = if self.takes_all() {
            self.max_weight()
        } else {
            self.set_weight()
        };
        let stable = self.stable_set().filter(|set| set.hash != self.hash);
        let plan = Basic {
            replicas: self.replicas(),
            weight,
            max_weight: self.max_weight(),
            surge: self.max_surge(),
            unavailable: self.max_unavailable(),
            canary: self.new_set().map(Set::size).unwrap_or_default(),
            stable: stable.map(Set::size),
            others: self.other_sets().map(|set| set.replicas).sum(),
        };
        let (canary, stable) = basic(&plan);
        Sizes { canary, stable }
    }

    fn routed_sizes(&self) -> Sizes {
        let (replicas, most) = (self.replicas(), self.max_weight());
        let mut weight = if self.takes_all() {
            most
        } else {
            self.set_weight()
        };
        let mut explicit = None;
        if !self.takes_all() && !self.was.flag("/abort") && self.current_step().is_some() {
            let scale = self
                .last_step("setCanaryScale")
                .map(|step| step.at("/setCanaryScale"));
            if let Some(scale) = scale.filter(|scale| !scale.flag("/matchTrafficWeight")) {
                explicit = scale.number("/replicas");
                weight = scale.number("/weight").unwrap_or(weight);
            }
        }
        let least = self
            .rollout
            .count("/spec/strategy/canary/minPodsPerReplicaSet");
        let at_least = |count: i64| if count == 0 { 0 } else { count.max(least) };
        let canary = explicit.unwrap_or_else(|| at_least(routed(replicas, weight, most)));
        let stable = if self
            .rollout
            .flag("/spec/strategy/canary/dynamicStableScale")
        {
            let actual = self.was.number("/canary/weights/stable/weight");
            let wanted = routed(replicas, most - weight, most);
            at_least(actual.map_or(wanted, |actual| wanted.max(routed(replicas, actual, most))))
        } else {
            replicas
        };
        Sizes { canary, stable }
    }

    /// Why nothing may be scaled or switched, if so.
    pub(super) fn is_halted(&self) -> bool {
        self.rollout.flag("/spec/paused") || self.has_pause("InconclusiveAnalysisRun")
    }

    /// Sizes the sets of a canary; true when something was scaled, in which
    /// case the rest waits for the next pass.
    pub(super) fn size_canary_sets(&mut self) -> Result<bool, Problem> {
        if self.is_halted() {
            return Ok(false);
        }
        self.drop_deadlines()?;
        let sizes = self.sizes();
        let stable = self
            .stable_set()
            .filter(|set| set.hash != self.hash)
            .cloned();
        if let Some(stable) = stable
            && self.scale(&stable, sizes.stable)?
        {
            return Ok(true);
        }
        if self.size_new_set(sizes.canary)? {
            return Ok(true);
        }
        self.shrink_other_sets()
    }

    /// Sizes the set that is to run, putting off its end after an abort.
    pub(super) fn size_new_set(&mut self, count: i64) -> Result<bool, Problem> {
        let Some(new) = self.new_set().cloned() else {
            return Ok(false);
        };
        let Some(delay) = self.abort_delay() else {
            if self.was_retiring && new.replicas != count {
                // The set has just lost its deadline: the controller writes to
                // it by the version before that, and starts over.
                let resource = Resource::by_kind("ReplicaSet").expect("sets are in the table");
                return Err(Problem::stale(resource, &new.key.name));
            }
            return self.scale(&new, count);
        };
        match new.deadline {
            Some(deadline) if deadline > self.world.now => {
                self.look_again(until(deadline, self.world.now));
                Ok(false)
            }
            Some(_) => self.scale(&new, 0),
            None => {
                let enough = self
                    .stable_set()
                    .is_some_and(|set| set.available == self.replicas());
                if enough && new.is_active() {
                    self.put_off(&new, delay)?;
                }
                Ok(false)
            }
        }
    }

    /// How long an aborted canary or preview stays up, where that applies.
    fn abort_delay(&self) -> Option<Duration> {
        let blue_green = self.rollout.has("/spec/strategy/blueGreen");
        if !self.is_aborted() || self.stable_set().is_none() || !(self.is_routed() || blue_green) {
            return None;
        }
        let strategy = if blue_green { "blueGreen" } else { "canary" };
        let field = format!("/spec/strategy/{strategy}/abortScaleDownDelaySeconds");
        let written = self.rollout.number(&field);
        if self
            .rollout
            .flag("/spec/strategy/canary/dynamicStableScale")
            && written.is_none()
        {
            return None;
        }
        let seconds = written.unwrap_or(30);
        (seconds > 0).then(|| Duration::from_secs(seconds.unsigned_abs()))
    }

    /// Writes on a set when it may be scaled down.
    pub(super) fn put_off(&mut self, set: &Set, delay: Duration) -> Result<(), Problem> {
        let deadline = stamp(after(self.world.now, delay));
        self.change_set(&set.key, |set| annotate(set, DEADLINE, &deadline))?;
        self.look_again(delay);
        Ok(())
    }

    /// The sets that run are not to be scaled down any more.
    pub(super) fn drop_deadlines(&mut self) -> Result<(), Problem> {
        let keep_new = self.abort_delay().is_some();
        let stable = self.was.text("/stableRS").to_owned();
        let wanted: Vec<Set> = self
            .sets
            .iter()
            .filter(|set| set.deadline.is_some())
            .filter(|set| (set.hash == self.hash && !keep_new) || set.hash == stable)
            .cloned()
            .collect();
        for set in wanted {
            self.change_set(&set.key, |set| {
                set.drop_field(&format!("/metadata/annotations/{DEADLINE}"));
            })?;
        }
        Ok(())
    }

    /// Asks a set for `count` pods; true when that is a change.
    pub(super) fn scale(&mut self, set: &Set, count: i64) -> Result<bool, Problem> {
        let desired = self.replicas();
        if set.replicas == count && set.desired == Some(desired) {
            return Ok(false);
        }
        let ends = count == 0 && self.abort_delay().is_none();
        self.change_set(&set.key, |set| {
            set.put("/spec/replicas", json!(count));
            annotate(set, DESIRED, &desired.to_string());
            if ends {
                set.drop_field(&format!("/metadata/annotations/{DEADLINE}"));
            }
        })?;
        if set.replicas == count {
            return Ok(false);
        }
        let way = if count > set.replicas { "up" } else { "down" };
        let message = format!(
            "Scaled {way} ReplicaSet {} (revision {}) from {} to {count}",
            set.key.name, set.revision, set.replicas
        );
        self.event(NORMAL, "ScalingReplicaSet", &message);
        Ok(true)
    }

    /// Takes the sets that are neither new nor stable out of service.
    fn shrink_other_sets(&mut self) -> Result<bool, Problem> {
        let mut others: Vec<Set> = self
            .other_sets()
            .filter(|set| set.is_active())
            .cloned()
            .collect();
        others.sort_by_key(|set| std::cmp::Reverse(set.revision));
        let mut scaled = false;
        for set in &mut others {
            // Pods that never came up are no loss.
            if set.available < set.replicas && !self.is_routed() {
                scaled |= self.scale(set, set.available)?;
                set.replicas = set.available;
            }
        }
        let available: i64 = self.sets.iter().map(|set| set.available).sum();
        let mut spare = available - (self.replicas() - self.max_unavailable());
        for set in others.iter().filter(|set| set.is_active()) {
            if spare <= 0 {
                break;
            }
            let keep = if self.is_routed() {
                self.kept_after_switch(set)?
            } else {
                (set.replicas - spare).max(0)
            };
            if keep != set.replicas {
                scaled |= self.scale(set, keep)?;
                spare -= set.replicas - keep;
            }
        }
        Ok(scaled)
    }

    /// Behind a router an old set gets no traffic and may linger for a while,
    /// so that connections can end and a roll back is quick.
    fn kept_after_switch(&mut self, set: &Set) -> Result<i64, Problem> {
        let dynamic = self
            .rollout
            .flag("/spec/strategy/canary/dynamicStableScale");
        let finished = self.is_fully_promoted() || set.deadline.is_some();
        if !finished || dynamic {
            return Ok(0);
        }
        let written = self
            .rollout
            .number("/spec/strategy/canary/scaleDownDelaySeconds");
        self.kept_until_deadline(set, written.unwrap_or(30))
    }

    /// The pods a set keeps until its put-off end.
    pub(super) fn kept_until_deadline(&mut self, set: &Set, delay: i64) -> Result<i64, Problem> {
        match set.deadline {
            None if delay > 0 => {
                self.put_off(set, Duration::from_secs(delay.unsigned_abs()))?;
                Ok(set.replicas)
            }
            Some(deadline) if deadline > self.world.now => {
                self.look_again(until(deadline, self.world.now));
                Ok(set.replicas)
            }
            _ => Ok(0),
        }
    }

    /// Whether the sets have the sizes the current weight asks for.
    pub(super) fn is_at_desired_sizes(&self) -> bool {
        let sizes = self.sizes();
        let Some(new) = self.new_set() else {
            return false;
        };
        if new.replicas != sizes.canary || new.available != sizes.canary {
            return false;
        }
        let dynamic = self
            .rollout
            .flag("/spec/strategy/canary/dynamicStableScale");
        if !(self.is_routed() && dynamic) {
            let stable = self.stable_set().filter(|set| set.hash != self.hash);
            if let Some(stable) = stable
                && (stable.replicas != sizes.stable || stable.existing != sizes.stable)
            {
                return false;
            }
        }
        self.is_routed() || self.other_sets().map(|set| set.available).sum::<i64>() == 0
    }
}
