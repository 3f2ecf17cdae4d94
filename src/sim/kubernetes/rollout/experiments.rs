//! Experiments as steps of a rollout: started, heeded, stopped.
//!
//! A failed experiment aborts the rollout, an inconclusive one pauses it for a
//! person, a successful one lets its step pass.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::sim::kubernetes::hash::ROLLOUT_HASH;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::rollout::pause::{INCONCLUSIVE, INCONCLUSIVE_EXPERIMENT};
use crate::sim::kubernetes::rollout::{NORMAL, Pass, REVISION};
use crate::sim::kubernetes::store::Write;
use crate::sim::kubernetes::value::{Fields, annotation, escape, members};
use crate::sim::kubernetes::world::{World, owner_reference};

/// The experiments of a rollout, by what they are to it now.
#[derive(Debug, Default)]
pub(super) struct Experiments {
    pub(super) current: Option<Arc<Value>>,
    others: Vec<Arc<Value>>,
}

/// Sorts a rollout's experiments by the name in its status.
pub(super) fn of(world: &World<'_>, rollout: &Value, status: &Value) -> Experiments {
    let name = status.text("/canary/currentExperiment");
    let mut experiments = Experiments::default();
    for experiment in world.owned("Experiment", rollout) {
        if !name.is_empty() && experiment.text("/metadata/name") == name {
            experiments.current = Some(experiment);
        } else {
            experiments.others.push(experiment);
        }
    }
    experiments
}

/// Where typed structs leave empty objects in the experiment steps of a rollout.
pub(super) fn empty_structs(rollout: &Value) -> Vec<String> {
    let mut places = Vec::new();
    let steps = rollout.items("/spec/strategy/canary/steps").iter();
    for (at, step) in steps.enumerate() {
        if step.get("experiment").is_none() {
            continue;
        }
        let base = format!("/spec/strategy/canary/steps/{at}/experiment");
        places.push(format!("{base}/analysisRunMetadata"));
        let templates = step.items("/experiment/templates").len();
        places.extend((0..templates).map(|number| format!("{base}/templates/{number}/metadata")));
    }
    places.retain(|place| !rollout.has(place));
    places
}

fn has_finished(experiment: &Value) -> bool {
    matches!(
        experiment.text("/status/phase"),
        "Successful" | "Failed" | "Error" | "Inconclusive"
    )
}

impl Pass<'_, '_> {
    /// Starts the experiment that is due, stops those that are not wanted any
    /// more, and draws the consequences.
    pub(super) fn experiment(&mut self) -> Result<(), Problem> {
        let step = self
            .current_step()
            .and_then(|step| step.get("experiment"))
            .cloned();
        if self.is_aborted() || self.was.flag("/promoteFull") {
            self.cancel_other_experiments(true)?;
            return Ok(());
        }
        if self.has_pause(INCONCLUSIVE) {
            return Ok(());
        }
        let Some(step) = step else {
            return self.cancel_other_experiments(true);
        };
        if self.experiments.current.is_none() {
            if self.stable_set().is_none() {
                return Ok(());
            }
            self.start_experiment(&step)?;
        }
        self.heed_experiment();
        self.cancel_other_experiments(false)
    }

    fn heed_experiment(&mut self) {
        let Some(current) = self.experiments.current.clone() else {
            return;
        };
        match current.text("/status/phase") {
            "Inconclusive" => self.pause.add.push(INCONCLUSIVE_EXPERIMENT),
            "Failed" | "Error" => {
                let message = current.text("/status/message");
                let separator = if message.is_empty() { "" } else { ": " };
                self.pause.abort = Some(format!(
                    "Experiment analysis phase is error/failed{separator}{message}"
                ));
            }
            "Successful" => (),
            _ => {
                let name = current.at("/metadata/name").clone();
                self.next.put("/canary/currentExperiment", name);
            }
        }
    }

    fn cancel_other_experiments(&mut self, and_current: bool) -> Result<(), Problem> {
        let current = self.experiments.current.iter().filter(|_| and_current);
        let unwanted: Vec<Key> = current
            .chain(&self.experiments.others)
            .filter(|one| !one.flag("/spec/terminate") && !has_finished(one))
            .filter_map(|one| Key::of(one))
            .collect();
        for key in unwanted {
            self.world
                .modify(&key, |one| one.put("/spec/terminate", json!(true)))?;
        }
        Ok(())
    }

    fn start_experiment(&mut self, step: &Value) -> Result<(), Problem> {
        let resource = Resource::by_kind("Experiment").expect("experiments are in the table");
        let revision = annotation(&self.rollout, REVISION).to_owned();
        let index = self.step_index().unwrap_or(0);
        let mut labels = json!({});
        for (key, value) in members(self.rollout.at("/metadata/labels")) {
            labels.put(&format!("/{}", escape(key)), value.clone());
        }
        labels.put(&format!("/{ROLLOUT_HASH}"), json!(self.hash));
        let spec = self.experiment_spec(step);
        let base = format!("{}-{}-{revision}-{index}", self.name(), self.hash);
        let mut name = base.clone();
        let mut collision = 0;
        let made = loop {
            let experiment = json!({
                "kind": "Experiment",
                "apiVersion": "argoproj.io/v1alpha1",
                "metadata": {
                    "name": name,
                    "labels": labels,
                    "annotations": {(REVISION): revision},
                    "ownerReferences": [owner_reference(&self.rollout)],
                },
                "spec": spec,
            });
            let namespace = self.key.namespace.as_str();
            let store = self.world.store;
            match store.create(resource, namespace, experiment, Write::INTERNAL) {
                Err(problem) if problem.reason == "AlreadyExists" => {
                    collision += 1;
                    name = format!("{base}-{collision}");
                }
                outcome => break outcome?,
            }
        };
        self.event(
            NORMAL,
            "ExperimentCreated",
            &format!("Created Experiment '{name}'"),
        );
        self.experiments.current = Some(made);
        Ok(())
    }

    fn experiment_spec(&self, step: &Value) -> Value {
        let mut spec = json!({"analysisRunMetadata": {}, "templates": []});
        let taken = [
            (step, "duration"),
            (step, "dryRun"),
            (step, "analysisRunMetadata"),
            (step, "scaleDownDelaySeconds"),
            (self.rollout.at("/spec"), "progressDeadlineSeconds"),
        ];
        for (from, field) in taken {
            if let Some(value) = from.get(field) {
                spec.put(&format!("/{field}"), value.clone());
            }
        }
        let templates = step.items("/templates");
        let templates = templates.iter().filter_map(|one| self.trial_template(one));
        spec.put("/templates", templates.collect());
        let analyses: Vec<Value> = step
            .items("/analyses")
            .iter()
            .map(|analysis| {
                let mut analysis = analysis.clone();
                let arguments = self.arguments(&analysis, &[]);
                if !arguments.is_empty() {
                    analysis.put("/args", Value::Array(arguments));
                }
                analysis
            })
            .collect();
        if !analyses.is_empty() {
            spec.put("/analyses", Value::Array(analyses));
        }
        spec
    }

    /// One template of an experiment: the pods of the canary's or the stable set.
    fn trial_template(&self, written: &Value) -> Option<Value> {
        let set = match written.text("/specRef") {
            "canary" => self.new_set()?,
            _ => self.stable_set()?,
        };
        let spec = set.object.at("/spec");
        let mut template = json!({
            "name": written.at("/name"),
            "selector": written.get("selector").unwrap_or(spec.at("/selector")),
            "template": spec.at("/template"),
        });
        if let Some(replicas) = written.get("replicas") {
            template.put("/replicas", replicas.clone());
        }
        if written.get("weight").is_some() || written.get("service").is_some() {
            let service = written.get("service").cloned();
            template.put("/service", service.unwrap_or_else(|| json!({})));
        }
        if let Some(seconds) = spec.get("minReadySeconds") {
            template.put("/minReadySeconds", seconds.clone());
        }
        for (key, value) in members(written.at("/metadata/labels")) {
            let key = escape(key);
            template.put(&format!("/template/metadata/labels/{key}"), value.clone());
            template.put(&format!("/selector/matchLabels/{key}"), value.clone());
        }
        for (key, value) in members(written.at("/metadata/annotations")) {
            let key = escape(key);
            template.put(
                &format!("/template/metadata/annotations/{key}"),
                value.clone(),
            );
        }
        Some(template)
    }
}
