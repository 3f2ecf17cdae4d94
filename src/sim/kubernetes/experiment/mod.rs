//! Experiments: a few pods of each template for a while, and analyses beside them.
//!
//! As in Argo Rollouts 1.9: the sets are made empty and then sized; once every
//! template has its pods the experiment is available, its time runs and its
//! analyses begin; the worst of templates and analyses is what it comes to,
//! and then its pods go.
//!
//! Left out: services of templates, hash collisions, invalid specs.

mod analyses;
mod phase;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::sim::kubernetes::duration;
use crate::sim::kubernetes::hash::{ROLLOUT_HASH, text_hash};
use crate::sim::kubernetes::managed::{read_stamp, stamp};
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::store::Write;
use crate::sim::kubernetes::time::{after, until};
use crate::sim::kubernetes::value::{Fields, annotate, annotation, merge_diff};
use crate::sim::kubernetes::world::{Again, Grade, World, owner_reference};

const MANAGER: &str = "rollouts-controller";
const NAME: &str = "experiment.argoproj.io/name";
const TEMPLATE: &str = "experiment.argoproj.io/template-name";
const DEADLINE: &str = "scale-down-deadline";

/// The name under which the exact time of becoming available is remembered.
const AVAILABLE: &str = "available";

/// One reconciliation of one experiment.
struct Trial<'a, 'w> {
    world: &'a mut World<'w>,
    experiment: &'a Value,
    sets: Vec<Arc<Value>>,
    /// The status as it was seen.
    was: Value,
    /// The status as it shall be.
    next: Value,
    wait: Option<Duration>,
}

/// Moves an experiment on.
pub(crate) fn reconcile(world: &mut World<'_>, experiment: &Value) -> Again {
    let Some(key) = Key::of(experiment) else {
        return Ok(None);
    };
    let sets = world.owned("ReplicaSet", experiment);
    let was = experiment.at("/status").clone();
    let mut trial = Trial {
        world,
        experiment,
        sets,
        next: was.clone(),
        was,
        wait: None,
    };
    for template in experiment.items("/spec/templates") {
        trial.size(template)?;
    }
    for analysis in experiment.items("/spec/analyses") {
        trial.analyse(analysis)?;
    }
    trial.conclude();
    trial.note_progress();
    trial.await_time();
    let (next, was, wait) = (trial.next, trial.was, trial.wait);
    if let Some(patch) = merge_diff(&was, &next) {
        world.patch_status(&key, &patch, MANAGER)?;
        let (before, phase) = (was.text("/phase"), next.text("/phase"));
        if before != phase {
            let message = format!("Experiment transitioned from {before} -> {phase}");
            let reason = format!("Experiment{phase}");
            world.record(experiment, grade(phase), &reason, &message);
        }
    }
    Ok(wait)
}

fn is_completed(phase: &str) -> bool {
    matches!(phase, "Successful" | "Failed" | "Error" | "Inconclusive")
}

fn grade(phase: &str) -> Grade {
    if matches!(phase, "Failed" | "Error" | "Inconclusive") {
        Grade::warning(MANAGER)
    } else {
        Grade::normal(MANAGER)
    }
}

/// The entry with this name in a list of a status.
fn entry(status: &Value, list: &str, name: &str) -> Option<Value> {
    let entries = status.items(list).iter();
    entries
        .rev()
        .find(|entry| entry.text("/name") == name)
        .cloned()
}

/// Puts an entry into a list of a status, in the place of the one with its name.
fn put_entry(status: &mut Value, list: &str, new: Value) {
    let mut entries = status.items(list).to_vec();
    let known = entries
        .iter_mut()
        .find(|known| known.text("/name") == new.text("/name"));
    match known {
        Some(known) => *known = new,
        None => entries.push(new),
    }
    status.put(list, Value::Array(entries));
}

impl Trial<'_, '_> {
    fn name(&self) -> &str {
        self.experiment.text("/metadata/name")
    }

    fn namespace(&self) -> &str {
        self.experiment.text("/metadata/namespace")
    }

    fn look_again(&mut self, wait: Duration) {
        self.wait = Some(self.wait.map_or(wait, |known| known.min(wait)));
    }

    /// Whether it is over, or about to be: by hand, or by something bad.
    fn is_terminating(&self) -> bool {
        let bad = |list: &str, field: &str| {
            self.was
                .items(list)
                .iter()
                .any(|entry| matches!(entry.text(field), "Failed" | "Error" | "Inconclusive"))
        };
        self.experiment.flag("/spec/terminate")
            || is_completed(self.was.text("/phase"))
            || bad("/templateStatuses", "/status")
            || bad("/analysisRuns", "/phase")
            || self.has_required_success(&self.was)
    }

    fn requires_analyses(&self) -> bool {
        let analyses = self.experiment.items("/spec/analyses");
        analyses
            .iter()
            .any(|one| one.flag("/requiredForCompletion"))
    }

    /// Whether there are analyses it may end with, and all of them are good.
    fn has_required_success(&self, status: &Value) -> bool {
        let analyses = self.experiment.items("/spec/analyses").iter();
        let required = analyses.filter(|one| one.flag("/requiredForCompletion"));
        let mut good = required.map(|one| {
            entry(status, "/analysisRuns", one.text("/name"))
                .is_some_and(|run| run.text("/phase") == "Successful")
        });
        self.requires_analyses() && good.all(|good| good)
    }

    fn available_at(&self, status: &Value) -> Option<DateTime<Utc>> {
        let uid = self.experiment.text("/metadata/uid");
        let written = status.text("/availableAt");
        (!written.is_empty())
            .then(|| self.world.stamps.exact(uid, AVAILABLE, written))
            .flatten()
    }

    /// When its time is over, once it runs.
    fn ends_at(&self, status: &Value) -> Option<DateTime<Utc>> {
        let length = duration::read(self.experiment.at("/spec/duration"))?;
        Some(after(self.available_at(status)?, length))
    }

    fn has_passed(&self) -> bool {
        self.ends_at(&self.was)
            .is_some_and(|end| end < self.world.now)
    }

    fn deadline(&self) -> Duration {
        let seconds = self.experiment.number("/spec/progressDeadlineSeconds");
        Duration::from_secs(seconds.unwrap_or(600).unsigned_abs())
    }

    /// How many pods a template is to have now.
    fn wanted(&self, template: &Value) -> i64 {
        let status = entry(&self.was, "/templateStatuses", template.text("/name"));
        let done = status.is_some_and(|status| is_completed(status.text("/status")));
        if self.is_terminating() || done {
            0
        } else {
            template.number("/replicas").unwrap_or(1)
        }
    }

    /// Makes and sizes the set of a template, and tells how it is.
    fn size(&mut self, template: &Value) -> Result<(), Problem> {
        let name = template.text("/name");
        let before = entry(&self.was, "/templateStatuses", name);
        let mut status = before.clone().unwrap_or_else(|| json!({"name": name}));
        let wanted = self.wanted(template);
        let now = json!(stamp(self.world.now));
        let set = self
            .sets
            .iter()
            .find(|set| annotation(set, TEMPLATE) == name)
            .cloned();
        let set = match set {
            None => {
                status.put("/lastTransitionTime", now.clone());
                self.make_set(template)?
            }
            Some(set) => {
                if set.count("/spec/replicas") != wanted {
                    status.put("/lastTransitionTime", now.clone());
                    self.scale(&set, template, wanted)?;
                }
                set
            }
        };
        let counts = [
            ("/replicas", "/status/replicas"),
            ("/updatedReplicas", "/status/replicas"),
            ("/readyReplicas", "/status/readyReplicas"),
            ("/availableReplicas", "/status/availableReplicas"),
        ];
        let mut moved = false;
        for (told, counted) in counts {
            let count = set.count(counted);
            moved |= status.count(told) != count;
            status.put(told, json!(count));
        }
        if moved {
            status.put("/lastTransitionTime", now);
        }
        if !is_completed(status.text("/status")) {
            self.assess_template(template, wanted, &mut status);
        }
        let (was, is) = (
            before.map_or_else(String::new, |before| before.text("/status").to_owned()),
            status.text("/status").to_owned(),
        );
        if was != is {
            let mut message = format!("Template '{name}' transitioned from {was} -> {is}");
            if !status.text("/message").is_empty() {
                message = format!("{message}: {}", status.text("/message"));
            }
            let reason = format!("Template{is}");
            self.world
                .record(self.experiment, grade(&is), &reason, &message);
        }
        put_entry(&mut self.next, "/templateStatuses", status);
        Ok(())
    }

    fn assess_template(&mut self, template: &Value, wanted: i64, status: &mut Value) {
        let (terminating, passed) = (self.is_terminating(), self.has_passed());
        let there = wanted == status.count("/availableReplicas");
        let since = read_stamp(status.text("/lastTransitionTime")).unwrap_or(self.world.now);
        let late = after(since, self.deadline()) < self.world.now;
        let word = match (there, late) {
            (true, _) if passed || terminating => "Successful",
            (true, _) => "Running",
            (false, true) => "Failed",
            (false, false) if terminating => "Successful",
            (false, false) => "Progressing",
        };
        status.put("/status", json!(word));
        if word == "Failed" {
            let message = format!(
                "Template '{}' exceeded its progressDeadlineSeconds ({})",
                template.text("/name"),
                self.deadline().as_secs()
            );
            status.put("/message", json!(message));
        }
        if !there {
            let left = until(after(since, self.deadline()), self.world.now);
            self.look_again(left + Duration::from_secs(1));
        }
    }

    fn make_set(&mut self, template: &Value) -> Result<Arc<Value>, Problem> {
        let resource = Resource::by_kind("ReplicaSet").expect("sets are in the table");
        let label = format!("/metadata/labels/{ROLLOUT_HASH}");
        let mut pods = template.at("/template").clone();
        pods.drop_field(&label);
        // Not the hash the same pods have in the rollout: there the server had
        // not filled in its defaults yet.
        let hash = text_hash(&json!({"experiment": pods}));
        pods.put(&label, json!(hash));
        let mut selector = template.at("/selector").clone();
        selector.put(&format!("/matchLabels/{ROLLOUT_HASH}"), json!(hash));
        let name = self.name().to_owned();
        let mut set = json!({
            "kind": "ReplicaSet",
            "apiVersion": "apps/v1",
            "metadata": {
                "name": format!("{name}-{}", template.text("/name")),
                "labels": pods.at("/metadata/labels"),
                "annotations": {(NAME): name, (TEMPLATE): template.at("/name")},
                "ownerReferences": [owner_reference(self.experiment)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": pods},
            "status": {"replicas": 0},
        });
        if let Some(seconds) = template.get("minReadySeconds") {
            set.put("/spec/minReadySeconds", seconds.clone());
        }
        let (store, namespace) = (self.world.store, self.namespace().to_owned());
        store.create(resource, &namespace, set, Write::INTERNAL)
    }

    /// Sizes a set; its end may be put off.
    fn scale(&mut self, set: &Value, template: &Value, wanted: i64) -> Result<(), Problem> {
        let Some(key) = Key::of(set) else {
            return Ok(());
        };
        let mut count = wanted;
        if wanted == 0
            && let Some(left) = self.put_off(&key, set)?
        {
            self.look_again(left);
            count = template.number("/replicas").unwrap_or(1);
        }
        if set.count("/spec/replicas") == count {
            return Ok(());
        }
        let before = set.count("/spec/replicas");
        self.world
            .modify(&key, |set| set.put("/spec/replicas", json!(count)))?;
        let way = if before < count { "up" } else { "down" };
        let message = format!(
            "Scaled {way} ReplicaSet {} from {before} to {count}",
            key.name
        );
        let normal = Grade::normal(MANAGER);
        self.world
            .record(self.experiment, normal, "ScalingReplicaSet", &message);
        Ok(())
    }

    /// How long a set may keep its pods still.
    fn put_off(&mut self, key: &Key, set: &Value) -> Result<Option<Duration>, Problem> {
        let seconds = self.experiment.number("/spec/scaleDownDelaySeconds");
        let delay = Duration::from_secs(seconds.unwrap_or(30).unsigned_abs());
        if delay.is_zero() {
            return Ok(None);
        }
        if let Some(end) = read_stamp(annotation(set, DEADLINE)) {
            let left = until(end, self.world.now);
            return Ok((!left.is_zero()).then_some(left));
        }
        let end = stamp(after(self.world.now, delay));
        self.world
            .modify(key, |set| annotate(set, DEADLINE, &end))?;
        Ok(Some(delay))
    }
}
