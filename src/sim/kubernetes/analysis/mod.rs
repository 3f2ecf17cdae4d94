//! Analyses: measuring a metric again and again, and judging it.
//!
//! The provider is always the world's metric source; the address in the spec
//! is not called. What is measured, when, and what follows from it is as in
//! Argo Rollouts: limits on failed, inconclusive and erroneous measurements,
//! ten measurements kept, ten seconds between an error and the next try.

pub(crate) mod templates;
mod verdict;

use std::time::Duration;

use serde_json::{Value, json};

use crate::sim::kubernetes::duration;
use crate::sim::kubernetes::expression::{Outcome, holds};
use crate::sim::kubernetes::resource::Key;
use crate::sim::kubernetes::time::{after, until};
use crate::sim::kubernetes::value::{Fields, merge_diff};
use crate::sim::kubernetes::world::{Again, Grade, World};

const MANAGER: &str = "rollouts-controller";
const ERROR_RETRY: Duration = Duration::from_secs(10);
const MEASUREMENTS_KEPT: usize = 10;

/// The name under which the exact time of the last measurement is remembered.
const MEASURED: &str = "measured";
/// The name under which the exact time of the start is remembered.
const STARTED: &str = "started";

/// Takes the measurements that are due and judges the run.
pub(crate) fn reconcile(world: &mut World<'_>, run: &Value) -> Again {
    let Some(key) = Key::of(run) else {
        return Ok(None);
    };
    if is_completed(run.text("/status/phase")) {
        return Ok(None);
    }
    let was = run.at("/status").clone();
    let mut status = was.clone();
    let metrics: Vec<Value> = run
        .items("/spec/metrics")
        .iter()
        .map(|metric| resolved(metric, run))
        .collect();
    let mut round = Round {
        world,
        run,
        status: &mut status,
        wait: None,
    };
    if metrics.is_empty() {
        round.status.put("/phase", json!("Error"));
        let message = "Analysis spec invalid: no metrics specified";
        round.status.put("/message", json!(message));
    } else {
        round.begin();
        for metric in &metrics {
            round.measure(metric);
        }
        round.assess(&metrics);
    }
    let wait = round.wait;
    if let Some(patch) = merge_diff(&was, &status) {
        world.patch_status(&key, &patch, MANAGER)?;
    }
    let phase = status.text("/phase");
    if is_completed(phase) {
        let message = format!("Analysis Completed. Result: {phase}");
        world.record(run, grade(phase), &format!("AnalysisRun{phase}"), &message);
        return Ok(None);
    }
    Ok(wait)
}

fn is_completed(phase: &str) -> bool {
    matches!(phase, "Successful" | "Failed" | "Error" | "Inconclusive")
}

fn grade(phase: &str) -> Grade {
    if matches!(phase, "Failed" | "Error") {
        Grade::warning(MANAGER)
    } else {
        Grade::normal(MANAGER)
    }
}

/// A metric with the run's arguments put in.
fn resolved(metric: &Value, run: &Value) -> Value {
    let arguments = run.items("/spec/args");
    let put_in = |text: &str| {
        let mut text = text.to_owned();
        for argument in arguments {
            let name = argument.text("/name");
            let value = match argument.at("/value") {
                Value::String(value) => value.clone(),
                other => other.to_string(),
            };
            for form in [
                format!("{{{{args.{name}}}}}"),
                format!("{{{{ args.{name} }}}}"),
            ] {
                text = text.replace(&form, &value);
            }
        }
        text
    };
    map_texts(metric, &put_in)
}

fn map_texts(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => json!(change(text)),
        Value::Array(list) => list.iter().map(|item| map_texts(item, change)).collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), map_texts(value, change)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// How many measurements make a metric complete; `None` for no end.
fn count(metric: &Value) -> Option<i64> {
    metric
        .number("/count")
        .filter(|count| *count > 0)
        .or_else(|| (!metric.has("/interval")).then_some(1))
}

struct Round<'a, 'w> {
    world: &'a mut World<'w>,
    run: &'a Value,
    status: &'a mut Value,
    wait: Option<Duration>,
}

impl Round<'_, '_> {
    fn begin(&mut self) {
        if !self.status.has("/metricResults") {
            self.status.put("/metricResults", json!([]));
        }
        if !self.status.has("/startedAt") {
            let uid = self.run.text("/metadata/uid");
            let started = self.world.stamps.set(uid, STARTED, self.world.now);
            self.status.put("/startedAt", json!(started));
        }
    }

    fn look_again(&mut self, wait: Duration) {
        self.wait = Some(self.wait.map_or(wait, |known| known.min(wait)));
    }

    fn memory(&self, metric: &str) -> String {
        format!("{}/{metric}", self.run.text("/metadata/uid"))
    }

    fn is_dry(&self, metric: &str) -> bool {
        let dry = self.run.items("/spec/dryRun");
        dry.iter().any(|entry| {
            matches!(entry.text("/metricName"), "*" | ".*") || entry.text("/metricName") == metric
        })
    }

    fn is_terminating(&self) -> bool {
        self.run.flag("/spec/terminate")
            || self.status.items("/metricResults").iter().any(|result| {
                let bad = matches!(result.text("/phase"), "Failed" | "Error" | "Inconclusive");
                bad && !result.flag("/dryRun")
            })
    }

    fn result(&self, metric: &str) -> Value {
        let results = self.status.items("/metricResults");
        results
            .iter()
            .find(|result| result.text("/name") == metric)
            .cloned()
            .unwrap_or_default()
    }

    fn set_result(&mut self, result: Value) {
        let mut results = self.status.items("/metricResults").to_vec();
        match results
            .iter_mut()
            .find(|known| known.text("/name") == result.text("/name"))
        {
            Some(known) => *known = result,
            None => results.push(result),
        }
        self.status.put("/metricResults", Value::Array(results));
    }

    /// Measures a metric if it is due, and says when it is due next.
    fn measure(&mut self, metric: &Value) {
        let name = metric.text("/name");
        let mut result = self.result(name);
        if is_completed(result.text("/phase")) || self.is_terminating() {
            return;
        }
        if let Some(due) = self.due(metric, &result)
            && due > self.world.now
        {
            self.look_again(until(due, self.world.now));
            return;
        }
        if count(metric).is_some_and(|count| result.count("/count") >= count) {
            return;
        }
        if result.is_null() {
            result = json!({"name": name, "phase": "Running"});
            if self.is_dry(name) {
                result.put("/dryRun", json!(true));
            }
            let query = metric.text("/provider/prometheus/query");
            if !query.is_empty() {
                result.put("/metadata/ResolvedPrometheusQuery", json!(query));
            }
        }
        let memory = self.memory(name);
        let now = self.world.stamps.set(&memory, MEASURED, self.world.now);
        let measurement = measurement(self.world, metric, &now);
        tally(&mut result, measurement);
        let interval = self.interval(metric, &result);
        self.look_again(interval);
        self.set_result(result);
    }

    /// When the next measurement is due; `None` for at once.
    fn due(&self, metric: &Value, result: &Value) -> Option<chrono::DateTime<chrono::Utc>> {
        let uid = self.run.text("/metadata/uid");
        let last = result.items("/measurements").last();
        if let Some(last) = last {
            let memory = self.memory(metric.text("/name"));
            let measured = self
                .world
                .stamps
                .exact(&memory, MEASURED, last.text("/finishedAt"))?;
            return Some(after(measured, self.interval(metric, result)));
        }
        let delay = duration::read(metric.at("/initialDelay"))?;
        let started = self
            .world
            .stamps
            .exact(uid, STARTED, self.status.text("/startedAt"))?;
        Some(after(started, delay))
    }

    fn interval(&self, metric: &Value, result: &Value) -> Duration {
        let last = result.items("/measurements").last();
        if last.is_some_and(|last| last.text("/phase") == "Error") {
            return self.world.scaled(ERROR_RETRY);
        }
        duration::read(metric.at("/interval")).unwrap_or_else(|| self.world.scaled(ERROR_RETRY))
    }
}

fn measurement(world: &World<'_>, metric: &Value, now: &str) -> Value {
    let mut measurement = json!({"startedAt": now, "finishedAt": now});
    match measured(world, metric) {
        Ok((value, phase)) => {
            measurement.put("/phase", json!(phase));
            measurement.put("/value", json!(value));
        }
        Err(message) => {
            measurement.put("/phase", json!("Error"));
            measurement.put("/message", json!(message));
        }
    }
    measurement
}

fn measured(world: &World<'_>, metric: &Value) -> Result<(String, &'static str), String> {
    let prometheus = metric.at("/provider/prometheus");
    let (outcome, written) = if prometheus.is_object() {
        let vector = (world.metrics)(prometheus.text("/query"))?;
        let texts: Vec<String> = vector.iter().map(|value| written(*value)).collect();
        (Outcome::Vector(vector), format!("[{}]", texts.join(",")))
    } else if metric.has("/provider/web") {
        let vector = (world.metrics)(metric.text("/provider/web/url"))?;
        let first = vector.first().copied().ok_or("the answer holds no value")?;
        (Outcome::Number(first), written(first))
    } else {
        return Err("no valid provider in metric".to_owned());
    };
    let condition = |field: &str| {
        let text = metric.text(field);
        if text.is_empty() {
            Ok(None)
        } else {
            holds(text, &outcome).map(Some)
        }
    };
    let phase = match (
        condition("/successCondition")?,
        condition("/failureCondition")?,
    ) {
        (None | Some(true), None | Some(false)) => "Successful",
        (Some(false), None) | (_, Some(true)) => "Failed",
        (Some(false), Some(false)) => "Inconclusive",
    };
    Ok((written, phase))
}

fn written(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

/// Counts a measurement and keeps it.
fn tally(result: &mut Value, measurement: Value) {
    let phase = measurement.text("/phase").to_owned();
    let mut add = |field: &str| {
        let pointer = format!("/{field}");
        let more = result.count(&pointer) + 1;
        result.put(&pointer, json!(more));
    };
    match phase.as_str() {
        "Error" => {
            add("error");
            add("consecutiveError");
            result.drop_field("/consecutiveSuccess");
        }
        other => {
            add("count");
            match other {
                "Successful" => {
                    add("successful");
                    add("consecutiveSuccess");
                }
                "Failed" => add("failed"),
                _ => add("inconclusive"),
            }
            if other != "Successful" {
                result.drop_field("/consecutiveSuccess");
            }
            result.drop_field("/consecutiveError");
        }
    }
    let mut kept = result.items("/measurements").to_vec();
    kept.push(measurement);
    let surplus = kept.len().saturating_sub(MEASUREMENTS_KEPT);
    kept.drain(..surplus);
    result.put("/measurements", Value::Array(kept));
}
