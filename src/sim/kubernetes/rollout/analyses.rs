//! The analyses a rollout starts, heeds and stops.
//!
//! A failed run aborts the rollout, an inconclusive one pauses it for a
//! person, a successful one lets its step pass. A run somebody terminates is
//! successful unless it has measured something bad, so it lets its step pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::sim::kubernetes::analysis::templates;
use crate::sim::kubernetes::hash::ROLLOUT_HASH;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::rollout::pause::{BLUE_GREEN, INCONCLUSIVE, STEP};
use crate::sim::kubernetes::rollout::{NORMAL, Pass, REVISION, WARNING};
use crate::sim::kubernetes::store::Write;
use crate::sim::kubernetes::value::{Fields, annotation, label, members};
use crate::sim::kubernetes::world::{World, owner_reference};

pub(super) const TYPE: &str = "rollout-type";
const STEP_INDEX: &str = "step-index";

/// What a current run is to its rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Step,
    Background,
    /// Before a blue/green switch.
    Before,
    /// After it.
    After,
}

impl Slot {
    const ALL: [Self; 4] = [Self::Step, Self::Background, Self::Before, Self::After];

    /// Where the status speaks of it.
    fn pointer(self) -> &'static str {
        match self {
            Self::Step => "/canary/currentStepAnalysisRunStatus",
            Self::Background => "/canary/currentBackgroundAnalysisRunStatus",
            Self::Before => "/blueGreen/prePromotionAnalysisRunStatus",
            Self::After => "/blueGreen/postPromotionAnalysisRunStatus",
        }
    }

    /// Its name in events.
    fn word(self) -> &'static str {
        match self {
            Self::Step => "Step",
            Self::Background => "Background",
            Self::Before => "PrePromotion",
            Self::After => "PostPromotion",
        }
    }
}

/// The runs of a rollout, by what they are to it now.
#[derive(Debug, Default)]
pub(super) struct Runs {
    current: BTreeMap<Slot, Arc<Value>>,
    pub(super) others: Vec<Arc<Value>>,
}

impl Runs {
    pub(super) fn get(&self, slot: Slot) -> Option<&Arc<Value>> {
        self.current.get(&slot)
    }

    pub(super) fn put(&mut self, slot: Slot, run: Arc<Value>) {
        self.current.insert(slot, run);
    }

    pub(super) fn take(&mut self, slot: Slot) -> Option<Arc<Value>> {
        self.current.remove(&slot)
    }
}

/// Sorts a rollout's runs by the names in its status.
pub(super) fn of(world: &World<'_>, rollout: &Value, status: &Value) -> Runs {
    let mut runs = Runs::default();
    for run in world.owned("AnalysisRun", rollout) {
        let name = run.text("/metadata/name");
        let is_it = |slot: &Slot| status.at(slot.pointer()).text("/name") == name;
        match Slot::ALL.into_iter().find(is_it) {
            Some(slot) => runs.put(slot, run),
            None => runs.others.push(run),
        }
    }
    runs
}

fn is_completed(run: &Value) -> bool {
    matches!(
        run.text("/status/phase"),
        "Successful" | "Failed" | "Error" | "Inconclusive"
    )
}

impl Pass<'_, '_> {
    /// Starts the runs that are due, stops those that are not wanted any more,
    /// and draws the consequences.
    pub(super) fn judge(&mut self) -> Result<(), Problem> {
        let pointless = self.is_aborted()
            || self.was.flag("/promoteFull")
            || self.was.text("/stableRS").is_empty()
            || self.is_rollback_within_window()
            || self.was_retiring;
        if pointless {
            let all: Vec<_> = self.all_runs();
            self.stop(&all)?;
            self.note_runs();
            return Ok(());
        }
        if self.rollout.has("/spec/strategy/blueGreen") {
            self.judge_switch()?;
        } else {
            self.judge_step()?;
            self.judge_background()?;
        }
        let others = self.runs.others.clone();
        self.stop(&others)?;
        self.trim_runs();
        self.report_changes();
        self.note_runs();
        Ok(())
    }

    fn all_runs(&self) -> Vec<Arc<Value>> {
        let current = self.runs.current.values();
        current.chain(&self.runs.others).cloned().collect()
    }

    /// Writes the current runs into the new status.
    fn note_runs(&mut self) {
        for (slot, run) in self.runs.current.clone() {
            let mut entry = json!({
                "name": run.at("/metadata/name"),
                "status": run.text("/status/phase"),
            });
            let message = run.text("/status/message");
            if !message.is_empty() {
                entry.put("/message", json!(message));
            }
            self.next.put(slot.pointer(), entry);
        }
    }

    fn judge_step(&mut self) -> Result<(), Problem> {
        if !self.was.items("/pauseConditions").is_empty() || self.was.flag("/abort") {
            return Ok(());
        }
        let index = self.step_index().unwrap_or(0);
        let analysis = self
            .current_step()
            .and_then(|step| step.get("analysis"))
            .cloned();
        let of_this_step = self
            .runs
            .get(Slot::Step)
            .is_none_or(|run| label(run, STEP_INDEX) == index.to_string());
        let Some(analysis) = analysis.filter(|_| of_this_step) else {
            if let Some(run) = self.runs.take(Slot::Step) {
                self.stop(&[run])?;
            }
            return Ok(());
        };
        if self.needs_new_run(self.runs.get(Slot::Step)) {
            let labels = json!({(TYPE): "Step", (STEP_INDEX): index.to_string()});
            let run = self.start_run(&analysis, &format!("-{index}"), labels)?;
            self.runs.put(Slot::Step, run);
            return Ok(());
        }
        let run = self.runs.get(Slot::Step).cloned();
        self.heed(run.as_deref(), "Step-based analysis phase error/failed");
        Ok(())
    }

    fn judge_background(&mut self) -> Result<(), Problem> {
        let analysis = self.rollout.at("/spec/strategy/canary/analysis").clone();
        if analysis.items("/templates").is_empty() {
            if let Some(run) = self.runs.take(Slot::Background) {
                self.stop(&[run])?;
            }
            return Ok(());
        }
        let first = analysis.count("/startingStep");
        let too_early = self.step_index().is_some_and(|index| index < first);
        if self.is_fully_promoted() || self.was.text("/currentPodHash").is_empty() || too_early {
            if let Some(run) = self.runs.take(Slot::Background) {
                self.stop(&[run])?;
            }
            return Ok(());
        }
        if self.has_pause(INCONCLUSIVE) {
            return Ok(());
        }
        if self.needs_new_run(self.runs.get(Slot::Background)) {
            let run = self.start_run(&analysis, "", json!({(TYPE): "Background"}))?;
            self.runs.put(Slot::Background, run);
            return Ok(());
        }
        let run = self.runs.get(Slot::Background).cloned();
        self.heed(run.as_deref(), "Background analysis phase error/failed");
        Ok(())
    }

    pub(super) fn needs_new_run(&self, run: Option<&Arc<Value>>) -> bool {
        let Some(run) = run else { return true };
        let continued = self.was.flag("/controllerPause")
            && !self.has_pause(STEP)
            && !self.has_pause(BLUE_GREEN);
        if continued {
            // Continued after a pause for this very run: judge anew.
            return run.text("/status/phase") == "Inconclusive";
        }
        self.was.has("/abortedAt")
    }

    pub(super) fn heed(&mut self, run: Option<&Value>, blame: &str) {
        let Some(run) = run else { return };
        match run.text("/status/phase") {
            "Inconclusive" => self.pause.add.push(INCONCLUSIVE),
            "Failed" | "Error" => {
                let message = run.text("/status/message");
                let separator = if message.is_empty() { "" } else { ": " };
                self.pause.abort = Some(format!("{blame}{separator}{message}"));
            }
            _ => (),
        }
    }

    /// Terminates runs that have not ended.
    pub(super) fn stop(&mut self, runs: &[Arc<Value>]) -> Result<(), Problem> {
        for run in runs
            .iter()
            .filter(|run| !is_completed(run) && !run.flag("/spec/terminate"))
        {
            if let Some(key) = Key::of(run) {
                self.world
                    .modify(&key, |run| run.put("/spec/terminate", json!(true)))?;
            }
        }
        Ok(())
    }

    /// Keeps a handful of past runs of each outcome.
    fn trim_runs(&mut self) {
        for (field, good) in [
            ("successfulRunHistoryLimit", true),
            ("unsuccessfulRunHistoryLimit", false),
        ] {
            let limit = self
                .rollout
                .number(&format!("/spec/analysis/{field}"))
                .unwrap_or(5);
            let past: Vec<Key> = self
                .runs
                .others
                .iter()
                .filter(|run| {
                    let successful = run.text("/status/phase") == "Successful";
                    is_completed(run) && successful == good
                })
                .filter_map(|run| Key::of(run))
                .collect();
            let surplus =
                usize::try_from(limit).map_or(0, |limit| past.len().saturating_sub(limit));
            for key in past.iter().take(surplus) {
                self.world.delete(key);
            }
        }
    }

    fn report_changes(&self) {
        for (slot, run) in &self.runs.current {
            let (kind, before) = (slot.word(), self.was.at(slot.pointer()));
            let (name, phase) = (run.text("/metadata/name"), run.text("/status/phase"));
            let same = before.text("/name") == name && before.text("/status") == phase;
            if phase.is_empty() || same {
                continue;
            }
            let previous = match before.text("/status") {
                "" => "NoPreviousStatus",
                status => status,
            };
            let message = format!(
                "{kind} Analysis Run '{name}' Status New: '{phase}' Previous: '{previous}'"
            );
            let grade = if matches!(phase, "Failed" | "Error") {
                WARNING
            } else {
                NORMAL
            };
            self.event(grade, &format!("AnalysisRun{phase}"), &message);
        }
    }

    pub(super) fn start_run(
        &mut self,
        analysis: &Value,
        infix: &str,
        mut labels: Value,
    ) -> Result<Arc<Value>, Problem> {
        let resource = Resource::by_kind("AnalysisRun").expect("runs are in the table");
        let revision = annotation(&self.rollout, REVISION).to_owned();
        for (key, value) in members(self.rollout.at("/spec/selector/matchLabels")) {
            labels.put(
                &format!("/{}", crate::sim::kubernetes::value::escape(key)),
                value.clone(),
            );
        }
        labels.put(&format!("/{ROLLOUT_HASH}"), json!(self.hash));
        let mut spec = templates::gather(
            self.world.store,
            &self.key.namespace,
            analysis.items("/templates"),
        );
        let arguments = self.arguments(analysis, spec.items("/args"));
        templates::put_arguments(&mut spec, arguments);
        for field in ["dryRun", "measurementRetention"] {
            if analysis.get(field).is_some() {
                spec.put(
                    &format!("/{field}"),
                    analysis.at(&format!("/{field}")).clone(),
                );
            }
        }
        let base = format!("{}-{}-{revision}{infix}", self.name(), self.hash);
        let mut name = base.clone();
        let mut collision = 0;
        loop {
            let run = json!({
                "kind": "AnalysisRun",
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
            match self
                .world
                .store
                .create(resource, namespace, run, Write::INTERNAL)
            {
                Err(problem) if problem.reason == "AlreadyExists" => {
                    collision += 1;
                    name = format!("{base}.{collision}");
                }
                outcome => return outcome,
            }
        }
    }

    /// The template a reference names, if it exists.
    pub(super) fn analysis_template(&self, reference: &Value) -> Option<Arc<Value>> {
        templates::find(self.world.store, &self.key.namespace, reference)
    }

    /// Arguments with their values: those given, else the template's own.
    pub(super) fn arguments(&self, analysis: &Value, declared: &[Value]) -> Vec<Value> {
        let given = analysis.items("/args");
        let named = |name: &str| given.iter().find(|argument| argument.text("/name") == name);
        let all = declared
            .iter()
            .map(|argument| named(argument.text("/name")).unwrap_or(argument))
            .chain(given.iter().filter(|argument| {
                let name = argument.text("/name");
                declared.iter().all(|known| known.text("/name") != name)
            }));
        all.map(|argument| {
            let value = if argument.has("/value") {
                argument.at("/value").clone()
            } else {
                match argument.text("/valueFrom/podTemplateHashValue") {
                    "Stable" => self.was.at("/stableRS").clone(),
                    "Latest" => json!(self.hash),
                    _ => {
                        let path = argument.text("/valueFrom/fieldRef/fieldPath");
                        self.field(path)
                    }
                }
            };
            json!({"name": argument.at("/name"), "value": value})
        })
        .collect()
    }

    /// A field of the rollout by its dotted path, as `metadata.labels['x']`.
    fn field(&self, path: &str) -> Value {
        let plain = path.replace("['", ".").replace("']", "");
        self.rollout
            .at(&format!("/{}", plain.replace('.', "/")))
            .clone()
    }
}
