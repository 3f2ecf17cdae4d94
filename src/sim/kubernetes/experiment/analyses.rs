//! The analyses beside an experiment: started once it runs, ended with it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::sim::kubernetes::analysis::templates;
use crate::sim::kubernetes::experiment::{Trial, entry, grade, is_completed, put_entry};
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::store::Write;
use crate::sim::kubernetes::value::Fields;
use crate::sim::kubernetes::world::owner_reference;

impl Trial<'_, '_> {
    /// Starts, ends and heeds one analysis.
    pub(super) fn analyse(&mut self, analysis: &Value) -> Result<(), Problem> {
        let name = analysis.text("/name");
        let before = entry(&self.was, "/analysisRuns", name);
        let mut status =
            before.unwrap_or_else(|| json!({"name": name, "analysisRun": "", "phase": ""}));
        let run = status.text("/analysisRun").to_owned();
        let was = status.text("/phase").to_owned();
        if self.was.text("/availableAt").is_empty() {
            if templates::find(self.world.store, self.namespace(), analysis).is_none() {
                let template = analysis.text("/templateName");
                let message = format!(
                    "AnalysisTemplate verification failed for analysis '{name}': \
                     analysistemplate.argoproj.io \"{template}\" not found"
                );
                status.put("/phase", json!("Error"));
                status.put("/message", json!(message));
            }
        } else if run.is_empty() {
            if !self.is_terminating() {
                let made = self.start_run(analysis)?;
                status.put("/phase", json!("Pending"));
                status.put("/analysisRun", made.at("/metadata/name").clone());
            }
        } else if !is_completed(&was) {
            self.heed(&run, &mut status)?;
        }
        let phase = status.text("/phase").to_owned();
        if was != phase && !phase.is_empty() {
            let mut message = format!("AnalysisRun '{name}' transitioned from {was} -> {phase}");
            if !status.text("/message").is_empty() {
                message = format!("{message}: {}", status.text("/message"));
            }
            let reason = format!("AnalysisRun{phase}");
            self.world
                .record(self.experiment, grade(&phase), &reason, &message);
        }
        put_entry(&mut self.next, "/analysisRuns", status);
        Ok(())
    }

    fn heed(&mut self, run: &str, status: &mut Value) -> Result<(), Problem> {
        let resource = Resource::by_kind("AnalysisRun").expect("runs are in the table");
        let key = Key::new(resource, self.namespace(), run);
        let Some(run) = self.world.store.get(&key) else {
            status.put("/phase", json!("Error"));
            let message = format!("analysisrun.argoproj.io \"{run}\" not found");
            status.put("/message", json!(message));
            return Ok(());
        };
        let phase = run.text("/status/phase");
        if self.is_terminating() {
            if !is_completed(phase) && !run.flag("/spec/terminate") {
                self.world
                    .modify(&key, |run| run.put("/spec/terminate", json!(true)))?;
            }
            return Ok(());
        }
        status.put("/phase", json!(phase));
        let message = run.text("/status/message");
        if !message.is_empty() {
            status.put("/message", json!(message));
        }
        Ok(())
    }

    fn start_run(&mut self, analysis: &Value) -> Result<Arc<Value>, Problem> {
        let resource = Resource::by_kind("AnalysisRun").expect("runs are in the table");
        let (store, namespace) = (self.world.store, self.namespace().to_owned());
        let mut spec = templates::gather(store, &namespace, std::slice::from_ref(analysis));
        let given = analysis.items("/args");
        let arguments = spec.items("/args").iter().map(|declared| {
            let name = declared.text("/name");
            let found = given.iter().find(|one| one.text("/name") == name);
            found.unwrap_or(declared).clone()
        });
        let arguments = arguments.collect();
        templates::put_arguments(&mut spec, arguments);
        for field in ["dryRun", "measurementRetention"] {
            if let Some(value) = self.experiment.at("/spec").get(field) {
                spec.put(&format!("/{field}"), value.clone());
            }
        }
        let base = format!("{}-{}", self.name(), analysis.text("/name"));
        let mut name = base.clone();
        let mut collision = 0;
        loop {
            let run = json!({
                "kind": "AnalysisRun",
                "apiVersion": "argoproj.io/v1alpha1",
                "metadata": {
                    "name": name,
                    "ownerReferences": [owner_reference(self.experiment)],
                },
                "spec": spec,
            });
            match store.create(resource, &namespace, run, Write::INTERNAL) {
                Err(problem) if problem.reason == "AlreadyExists" => {
                    collision += 1;
                    name = format!("{base}.{collision}");
                }
                outcome => return outcome,
            }
        }
    }
}
