//! What an experiment comes to: the worst of its templates and its analyses.

use std::time::Duration;

use serde_json::{Value, json};

use crate::sim::kubernetes::experiment::{AVAILABLE, Trial, entry, is_completed};
use crate::sim::kubernetes::managed::stamp;
use crate::sim::kubernetes::time::until;
use crate::sim::kubernetes::value::Fields;

const TEMPLATES: &[&str] = &["Successful", "Running", "Progressing", "Error", "Failed"];
const ANALYSES: &[&str] = &[
    "Successful",
    "Running",
    "Pending",
    "",
    "Inconclusive",
    "Error",
    "Failed",
];

/// A word for how it stands, and why.
type Standing = (&'static str, String);

/// The worst entry of a list, by an order from good to bad.
fn worst(
    status: &Value,
    list: &str,
    field: &str,
    names: &[&str],
    order: &[&'static str],
) -> Standing {
    let mut standing = ("Successful", String::new());
    for name in names {
        let entry = entry(status, list, name).unwrap_or_default();
        let word = entry.text(field);
        let place = |word: &str| order.iter().position(|known| *known == word).unwrap_or(0);
        if let Some(known) = order.iter().find(|known| **known == word)
            && place(known) > place(standing.0)
        {
            standing = (known, entry.text("/message").to_owned());
        }
    }
    standing
}

impl Trial<'_, '_> {
    fn names(&self, list: &str) -> Vec<&str> {
        let items = self.experiment.items(list).iter();
        items.map(|item| item.text("/name")).collect()
    }

    fn templates_stand(&self) -> Standing {
        let names = self.names("/spec/templates");
        let (word, message) = worst(
            &self.next,
            "/templateStatuses",
            "/status",
            &names,
            TEMPLATES,
        );
        let phase = match word {
            "Progressing" => "Pending",
            other => other,
        };
        (phase, message)
    }

    fn analyses_stand(&self) -> Standing {
        let names = self.names("/spec/analyses");
        let (word, message) = worst(&self.next, "/analysisRuns", "/phase", &names, ANALYSES);
        let bad = matches!(word, "Inconclusive" | "Error" | "Failed");
        if self.has_required_success(&self.next) && !bad {
            return ("Successful", "Required AnalysisRuns completed".to_owned());
        }
        match word {
            "Pending" | "" => ("Running", message),
            other => (other, message),
        }
    }

    /// Works out the phase.
    pub(super) fn conclude(&mut self) {
        match self.next.text("/phase") {
            "" => {
                self.next.put("/phase", json!("Pending"));
                return;
            }
            "Pending" | "Running" => (),
            _ => return,
        }
        let (templates, analyses) = (self.templates_stand(), self.analyses_stand());
        if templates.0 == "Running" && self.next.text("/availableAt").is_empty() {
            let uid = self.experiment.text("/metadata/uid");
            let now = self.world.stamps.set(uid, AVAILABLE, self.world.now);
            self.next.put("/availableAt", json!(now));
        }
        let by_analyses = if is_completed(templates.0) {
            let judged = is_completed(analyses.0) || self.requires_analyses();
            templates.0 == "Successful" && judged
        } else {
            let bad = is_completed(analyses.0) && analyses.0 != "Successful";
            bad || self.has_required_success(&self.next)
        };
        let (phase, message) = if by_analyses { analyses } else { templates };
        self.next.put("/phase", json!(phase));
        if message.is_empty() {
            self.next.drop_field("/message");
        } else {
            self.next.put("/message", json!(message));
        }
    }

    /// Writes the one condition it has.
    pub(super) fn note_progress(&mut self) {
        let name = self.name();
        let running = !self.was.text("/availableAt").is_empty() && !self.has_passed();
        let (status, reason, message, renew) = if self.next.text("/phase") == "Successful" {
            let message = format!("Experiment \"{name}\" has successfully ran and completed.");
            ("False", "ExperimentCompleted", message, false)
        } else if self.is_progressing() {
            let message = format!("Experiment \"{name}\" is progressing.");
            ("True", "ReplicaSetUpdated", message, true)
        } else if running {
            let message = format!("Experiment \"{name}\" is running.");
            ("True", "NewReplicaSetAvailable", message, false)
        } else {
            return;
        };
        let old = self.next.at("/conditions/0").clone();
        let same = old.text("/status") == status;
        if same && old.text("/reason") == reason && !renew {
            return;
        }
        let now = json!(stamp(self.world.now));
        let since = if same {
            old.at("/lastTransitionTime").clone()
        } else {
            now.clone()
        };
        let condition = json!({
            "type": "Progressing", "status": status, "reason": reason, "message": message,
            "lastUpdateTime": now, "lastTransitionTime": since,
        });
        self.next.put("/conditions", json!([condition]));
    }

    fn is_progressing(&self) -> bool {
        let (was, next) = (
            self.was.items("/templateStatuses"),
            self.next.items("/templateStatuses"),
        );
        let counts = [
            "/replicas",
            "/updatedReplicas",
            "/readyReplicas",
            "/availableReplicas",
        ];
        was.len() < next.len()
            || was.iter().zip(next).any(|(was, next)| {
                counts
                    .iter()
                    .any(|count| was.count(count) != next.count(count))
            })
    }

    /// Comes back when its time will be over.
    pub(super) fn await_time(&mut self) {
        if let Some(end) = self.ends_at(&self.next)
            && !is_completed(self.next.text("/phase"))
        {
            let left = until(end, self.world.now);
            self.look_again(left + Duration::from_millis(10));
        }
    }
}
