//! From measurements to verdicts: of each metric, and of the run.

use serde_json::{Value, json};

use crate::sim::kubernetes::analysis::{Round, count, grade, is_completed};
use crate::sim::kubernetes::managed::stamp;
use crate::sim::kubernetes::value::Fields;

impl Round<'_, '_> {
    /// Judges every metric, and by them the run.
    pub(super) fn assess(&mut self, metrics: &[Value]) {
        let stopped = self.run.flag("/spec/terminate");
        let terminating = self.is_terminating();
        let mut everything = true;
        let mut worst: Option<&'static str> = None;
        let mut message = if stopped {
            "Run Terminated".to_owned()
        } else {
            String::new()
        };
        let mut summary = Summary::default();
        let mut dry_summary = Summary::default();
        for metric in metrics {
            let name = metric.text("/name");
            let mut result = self.result(name);
            let dry = self.is_dry(name);
            let tally = if dry { &mut dry_summary } else { &mut summary };
            tally.count += 1;
            if result.is_null() {
                everything = false;
                continue;
            }
            let phase = metric_phase(metric, &result, terminating);
            if result.text("/phase") != phase {
                if is_completed(phase) {
                    let message = format!("Metric '{name}' Completed. Result: {phase}");
                    self.world
                        .record(self.run, grade(phase), &format!("Metric{phase}"), &message);
                }
                let last = result
                    .items("/measurements")
                    .last()
                    .map(|last| last.at("/message").clone());
                if let Some(last) = last.filter(|last| !last.is_null()) {
                    result.put("/message", last);
                }
                result.put("/phase", json!(phase));
                self.set_result(result.clone());
            }
            if !is_completed(phase) {
                everything = false;
                continue;
            }
            tally.add(phase);
            if !dry && worst.is_none_or(|worst| rank(phase) > rank(worst)) {
                worst = Some(phase);
                if let Some((_, why)) = limit_broken(metric, &result) {
                    message = format!("Metric \"{name}\" assessed {phase} due to {why}");
                    let said = result.text("/message");
                    if !said.is_empty() {
                        message = format!("{message}: \"Error Message: {said}\"");
                    }
                }
            }
        }
        self.status.put("/runSummary", summary.json());
        self.status.put("/dryRunSummary", dry_summary.json());
        let phase = if everything || terminating {
            worst.unwrap_or("Successful")
        } else {
            "Running"
        };
        self.status.put("/phase", json!(phase));
        if is_completed(phase) {
            if !message.is_empty() {
                self.status.put("/message", json!(message));
            }
            self.status
                .put("/completedAt", json!(stamp(self.world.now)));
        }
    }
}

/// The limit a metric has broken, and how.
fn limit_broken(metric: &Value, result: &Value) -> Option<(&'static str, String)> {
    let failed = result.count("/failed");
    let failure_limit = metric.number("/failureLimit").unwrap_or(0);
    let inconclusive = result.count("/inconclusive");
    let inconclusive_limit = metric.number("/inconclusiveLimit").unwrap_or(0);
    let errors = result.count("/consecutiveError");
    let error_limit = metric.number("/consecutiveErrorLimit").unwrap_or(4);
    if errors > error_limit {
        let why = format!("consecutiveErrors ({errors}) > consecutiveErrorLimit ({error_limit})");
        return Some(("Error", why));
    }
    if inconclusive > inconclusive_limit {
        let why =
            format!("inconclusive ({inconclusive}) > inconclusiveLimit ({inconclusive_limit})");
        return Some(("Inconclusive", why));
    }
    if failure_limit >= 0 && failed > failure_limit {
        let why = format!("failed ({failed}) > failureLimit ({failure_limit})");
        return Some(("Failed", why));
    }
    None
}

fn metric_phase(metric: &Value, result: &Value, terminating: bool) -> &'static str {
    let settled = ["Successful", "Failed", "Error", "Inconclusive"];
    if let Some(phase) = settled
        .into_iter()
        .find(|phase| result.text("/phase") == *phase)
    {
        return phase;
    }
    if let Some((phase, _)) = limit_broken(metric, result) {
        return phase;
    }
    let wanted = metric.count("/consecutiveSuccessLimit");
    if wanted > 0 && result.count("/consecutiveSuccess") >= wanted {
        return "Successful";
    }
    if count(metric).is_some_and(|count| result.count("/count") >= count) {
        let may_fail = metric.number("/failureLimit").unwrap_or(0) >= 0;
        return match (wanted > 0, may_fail) {
            (false, _) => "Successful",
            (true, true) => "Inconclusive",
            (true, false) => "Failed",
        };
    }
    if terminating { "Successful" } else { "Running" }
}

/// Better to worse.
fn rank(phase: &str) -> u8 {
    match phase {
        "Successful" => 0,
        "Running" => 1,
        "Pending" => 2,
        "Inconclusive" => 3,
        "Error" => 4,
        _ => 5,
    }
}

#[derive(Default)]
struct Summary {
    count: u32,
    successful: u32,
    failed: u32,
    inconclusive: u32,
    error: u32,
}

impl Summary {
    fn add(&mut self, phase: &str) {
        *match phase {
            "Failed" => &mut self.failed,
            "Inconclusive" => &mut self.inconclusive,
            "Error" => &mut self.error,
            _ => &mut self.successful,
        } += 1;
    }

    fn json(&self) -> Value {
        let mut summary = json!({});
        for (field, count) in [
            ("count", self.count),
            ("successful", self.successful),
            ("failed", self.failed),
            ("inconclusive", self.inconclusive),
            ("error", self.error),
        ] {
            if count > 0 {
                summary.put(&format!("/{field}"), json!(count));
            }
        }
        summary
    }
}
