//! The Rollout controller: canary and blue/green.
//!
//! One reconciliation is a [`Pass`]. It reads the rollout as the controller's
//! cache knows it, does at most a step or two to replica sets, analyses and
//! services, works out the new status whole, and writes the difference. The
//! order of things inside a pass follows Argo Rollouts 1.9, because the odd
//! cases operators meet (a swallowed promote, a pause that starts afresh) come
//! from that order and from nothing else.
//!
//! Left out: step plugins and header routes (such steps pass at once), and every
//! traffic router's own objects.

mod analyses;
mod bluegreen;
mod canary;
mod conditions;
mod ephemeral;
mod experiments;
mod pause;
mod phase;
mod restart;
mod scaling;
mod sets;
mod traffic;
mod validate;
pub(crate) mod weights;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::sim::kubernetes::hash::{template_hash, text_hash};
use crate::sim::kubernetes::managed::Author;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::rollout::analyses::Runs;
use crate::sim::kubernetes::rollout::experiments::Experiments;
use crate::sim::kubernetes::rollout::pause::Pause;
use crate::sim::kubernetes::rollout::sets::Set;
use crate::sim::kubernetes::store::Write;
use crate::sim::kubernetes::value::{Fields, annotate, annotation, members, merge_diff};
use crate::sim::kubernetes::world::{Again, Grade, World};

/// The name under which the controller writes.
const MANAGER: &str = "rollouts-controller";
const NORMAL: Grade = Grade::normal(MANAGER);
const WARNING: Grade = Grade::warning(MANAGER);

const REVISION: &str = "rollout.argoproj.io/revision";
const WORKLOAD_GENERATION: &str = "rollout.argoproj.io/workload-generation";

/// One reconciliation of one rollout.
struct Pass<'a, 'w> {
    world: &'a mut World<'w>,
    key: Key,
    /// Metadata and spec as seen; its status is `was`.
    rollout: Value,
    /// The pod template that is to run, from the spec or the workload it
    /// refers to.
    template: Value,
    /// The status as it was seen, zero values left out.
    was: Value,
    /// The status as it shall be.
    next: Value,
    sets: Vec<Set>,
    /// The hash of the template, and so of the set that is to run.
    hash: String,
    /// Whether the set that is to run was to be scaled down when this pass
    /// began. The controller goes on from that picture for the whole pass.
    was_retiring: bool,
    runs: Runs,
    experiments: Experiments,
    pause: Pause,
    wait: Option<Duration>,
}

/// Moves a rollout on.
pub(crate) fn reconcile(world: &mut World<'_>, seen: &Arc<Value>) -> Again {
    let Some(key) = Key::of(seen) else {
        return Ok(None);
    };
    if !seen.has("/spec/replicas") {
        // A scaler needs the field to be there.
        world.modify(&key, |rollout| rollout.put("/spec/replicas", json!(1)))?;
        return Ok(None);
    }
    let mut pass = Pass::new(world, key, seen);
    pass.resolve_workload();
    if let Some(complaint) = pass.complaint() {
        pass.say_invalid(&complaint)?;
        let again = Duration::from_secs(20);
        return Ok(Some(pass.world.scaled(again)));
    }
    pass.drop_condition("InvalidSpec");
    pass.hash = template_hash(&pass.template);
    pass.sets = sets::of(pass.world, &pass.rollout);
    pass.find_or_make_new_set()?;
    pass.was_retiring = pass.new_set().is_some_and(|set| set.deadline.is_some());
    pass.runs = analyses::of(pass.world, &pass.rollout, &pass.was);
    pass.experiments = experiments::of(pass.world, &pass.rollout, &pass.was);
    if pass.is_fully_promoted() && pass.was.flag("/abort") {
        pass.pause.remove_abort = true;
    }
    pass.note_pausing()?;
    if pass.rollout.has("/spec/strategy/blueGreen") {
        pass.blue_green()?;
    } else {
        pass.canary()?;
    }
    Ok(pass.wait)
}

impl<'a, 'w> Pass<'a, 'w> {
    fn new(world: &'a mut World<'w>, key: Key, seen: &Value) -> Self {
        let was = without_zeros(seen.at("/status"));
        Self {
            world,
            key,
            rollout: seen.clone(),
            template: seen.at("/spec/template").clone(),
            next: json!({}),
            was,
            sets: Vec::new(),
            hash: String::new(),
            was_retiring: false,
            runs: Runs::default(),
            experiments: Experiments::default(),
            pause: Pause::default(),
            wait: None,
        }
    }

    fn uid(&self) -> String {
        self.rollout.text("/metadata/uid").to_owned()
    }

    fn name(&self) -> &str {
        &self.key.name
    }

    fn replicas(&self) -> i64 {
        self.rollout.number("/spec/replicas").unwrap_or(1)
    }

    fn steps(&self) -> &[Value] {
        self.rollout.items("/spec/strategy/canary/steps")
    }

    fn step_count(&self) -> i64 {
        i64::try_from(self.steps().len()).unwrap_or(i64::MAX)
    }

    fn is_routed(&self) -> bool {
        self.rollout.has("/spec/strategy/canary/trafficRouting")
    }

    fn max_weight(&self) -> i64 {
        let routing = self.rollout.at("/spec/strategy/canary/trafficRouting");
        routing
            .number("/maxTrafficWeight")
            .filter(|most| *most > 0)
            .unwrap_or(100)
    }

    /// The step that is being done, unless there is none left.
    fn current_step(&self) -> Option<&Value> {
        let index = usize::try_from(self.was.count("/currentStepIndex")).ok()?;
        self.steps().get(index)
    }

    /// The index of the step being done; `None` where there are no steps.
    fn step_index(&self) -> Option<i64> {
        (self.step_count() > 0).then(|| self.was.count("/currentStepIndex"))
    }

    fn is_fully_promoted(&self) -> bool {
        self.was.text("/stableRS") == self.was.text("/currentPodHash")
    }

    fn revision(&self) -> i64 {
        annotation(&self.rollout, REVISION).parse().unwrap_or(0)
    }

    /// The set that is to run.
    fn new_set(&self) -> Option<&Set> {
        self.set(&self.hash)
    }

    /// The set that last took all traffic.
    fn stable_set(&self) -> Option<&Set> {
        self.set(self.was.text("/stableRS"))
    }

    fn set(&self, hash: &str) -> Option<&Set> {
        self.sets
            .iter()
            .find(|set| !hash.is_empty() && set.hash == hash)
    }

    /// Sets that are neither the one to run nor the stable one.
    fn other_sets(&self) -> impl Iterator<Item = &Set> {
        let stable = self.was.text("/stableRS").to_owned();
        self.sets
            .iter()
            .filter(move |set| set.hash != self.hash && set.hash != stable)
    }

    fn event(&self, grade: Grade, reason: &str, message: &str) {
        self.world.record(&self.rollout, grade, reason, message);
    }

    /// Looks again at the latest after `wait`.
    fn look_again(&mut self, wait: Duration) {
        self.wait = Some(self.wait.map_or(wait, |known| known.min(wait)));
    }

    /// Takes template and selector from the workload the rollout refers to.
    fn resolve_workload(&mut self) {
        let reference = self.rollout.at("/spec/workloadRef");
        let Some(resource) = Resource::by_kind(reference.text("/kind")) else {
            return;
        };
        let key = Key::new(resource, &self.key.namespace, reference.text("/name"));
        let Some(workload) = self.world.store.get(&key) else {
            return;
        };
        self.template = workload.at("/spec/template").clone();
        let selector = workload.at("/spec/selector").clone();
        let generation = workload.count("/metadata/generation").to_string();
        self.next
            .put("/workloadObservedGeneration", json!(generation));
        self.rollout.put("/spec/selector", selector);
        if annotation(&self.rollout, WORKLOAD_GENERATION) != generation {
            annotate(&mut self.rollout, WORKLOAD_GENERATION, &generation);
            let written = self.world.modify(&self.key, |rollout| {
                annotate(rollout, WORKLOAD_GENERATION, &generation);
            });
            // The next pass sees the annotation missing and tries again.
            drop(written);
        }
    }

    /// Writes the revision into the rollout's annotation.
    ///
    /// The real controller writes the whole object through typed structs when
    /// it does this, so explicit zero values vanish and empty ones appear, and
    /// the generation moves without anybody having changed the spec.
    fn set_revision(&mut self, revision: i64) -> Result<(), Problem> {
        if self.revision() == revision && revision > 0 {
            return Ok(());
        }
        let author = Author {
            manager: MANAGER,
            operation: "Update",
            subresource: "",
        };
        let write = Write {
            author: Some(author),
            ..Write::INTERNAL
        };
        let written = self.world.store.update(&self.key, write, |before| {
            let mut after = before.clone();
            annotate(&mut after, REVISION, &revision.to_string());
            if after.at("/spec/paused") == &json!(false) {
                after.drop_field("/spec/paused");
            }
            let containers = after.items("/spec/template/spec/containers").len();
            for at in 0..containers {
                let resources = format!("/spec/template/spec/containers/{at}/resources");
                if !after.has(&resources) {
                    after.put(&resources, json!({}));
                }
            }
            for empty in experiments::empty_structs(&after) {
                after.put(&empty, json!({}));
            }
            Ok(after)
        })?;
        let selector = self.rollout.at("/spec/selector").clone();
        self.rollout = (*written).clone();
        if self.rollout.has("/spec/workloadRef") {
            self.rollout.put("/spec/selector", selector);
        }
        let message = format!("Rollout updated to revision {revision}");
        self.event(NORMAL, "RolloutUpdated", &message);
        Ok(())
    }

    /// The status fields every strategy has.
    fn begin_status(&mut self) {
        let sum = |count: fn(&Set) -> i64| self.sets.iter().map(count).sum::<i64>();
        let (all, ready) = (sum(|set| set.existing), sum(|set| set.ready));
        let updated = self.new_set().map_or(0, |set| set.existing);
        let kept = [
            "conditions",
            "stableRS",
            "collisionCount",
            "abort",
            "abortedAt",
        ];
        for field in kept {
            let pointer = format!("/{field}");
            if self.was.has(&pointer) && !self.next.has(&pointer) {
                let value = self.was.at(&pointer).clone();
                self.next.put(&pointer, value);
            }
        }
        if !self.next.has("/restartedAt") && self.was.has("/restartedAt") {
            self.next
                .put("/restartedAt", self.was.at("/restartedAt").clone());
        }
        self.next.put("/currentPodHash", json!(self.hash));
        self.next.put("/replicas", json!(all));
        self.next.put("/updatedReplicas", json!(updated));
        self.next.put("/readyReplicas", json!(ready));
        self.next.put("/HPAReplicas", json!(all));
        let available: i64 = self.sets.iter().map(|set| set.available).sum();
        self.next.put("/availableReplicas", json!(available));
        self.next.put(
            "/selector",
            json!(selector_text(self.rollout.at("/spec/selector"))),
        );
        // Going back to the stable set moves no users until it is promoted.
        let to_stable = self.hash == self.was.text("/stableRS")
            && !self.rollout.has("/spec/strategy/blueGreen");
        let going_on = self.was.flag("/promoteFull") && !to_stable;
        self.next.put("/promoteFull", json!(going_on));
        if !self.next.has("/canary") {
            self.next.put("/canary", json!({}));
        }
        if self.is_routed() && self.was.has("/canary/weights") && !self.next.has("/canary/weights")
        {
            self.next
                .put("/canary/weights", self.was.at("/canary/weights").clone());
        }
        if !self.next.has("/blueGreen") {
            self.next.put("/blueGreen", json!({}));
        }
    }

    /// Forgets the progress of an update, as at its beginning.
    fn reset_status(&mut self) {
        self.pause.clear = true;
        self.pause.remove_abort = true;
        self.next
            .put("/restartedAt", self.rollout.at("/spec/restartAt").clone());
        self.next.put("/promoteFull", json!(false));
        for run in [
            "currentStepAnalysisRunStatus",
            "currentBackgroundAnalysisRunStatus",
        ] {
            self.next.drop_field(&format!("/canary/{run}"));
        }
        self.next.drop_field("/blueGreen/scaleUpPreviewCheckPoint");
        self.next.drop_field("/currentStepIndex");
        if self.step_count() > 0 {
            self.next.put("/currentStepIndex", json!(0));
        }
    }

    /// Writes what changed in the status.
    ///
    /// The difference is taken against what this pass had seen and merged into
    /// what is stored, so a change it had not seen stays there, unnoticed.
    fn persist(&mut self) -> Result<(), Problem> {
        self.settle_pause();
        let generation = self.rollout.count("/metadata/generation").to_string();
        self.next.put("/observedGeneration", json!(generation));
        let (phase, message) = phase::of(&self.rollout, &self.next);
        self.next.put("/phase", json!(phase));
        self.next.put("/message", json!(message));
        let next = without_zeros(&self.next);
        let paused_before = !self.was.items("/pauseConditions").is_empty();
        let paused_now = !next.items("/pauseConditions").is_empty();
        if let Some(patch) = merge_diff(&self.was, &next) {
            self.world.patch_status(&self.key, &patch, MANAGER)?;
            if paused_now && !paused_before {
                let reason = next.text("/pauseConditions/0/reason");
                self.event(
                    NORMAL,
                    "RolloutPaused",
                    &format!("Rollout is paused ({reason})"),
                );
            } else if paused_before && !paused_now && !next.has("/abortedAt") {
                self.event(NORMAL, "RolloutResumed", "Rollout is resumed");
            }
        }
        self.await_deadline(&next);
        Ok(())
    }

    /// The hash of the steps; any change to them starts the update afresh.
    fn step_hash(&self) -> String {
        text_hash(self.rollout.at("/spec/strategy/canary/steps"))
    }
}

/// Go's zero values are not written, except where zero means something.
fn without_zeros(status: &Value) -> Value {
    let mut kept = json!({});
    for (field, value) in members(status) {
        let zero = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_i64() == Some(0) && field != "currentStepIndex",
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            _ => false,
        };
        if !zero {
            kept.put(&format!("/{field}"), value.clone());
        }
    }
    kept
}

fn selector_text(selector: &Value) -> String {
    members(selector.at("/matchLabels"))
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(",")
}
