//! Analyses as gates of a rollout, and on their own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::timeline::{at_once, check};
use super::{Lab, demo_with, locked};
use crate::sim::kubernetes::value::Fields;

/// The templates the real control plane was driven with.
fn templates() -> [Value; 2] {
    let template = |name: &str, metric: Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"args": [{"name": "url"}], "metrics": [metric]},
        })
    };
    [
        template(
            "error-rate",
            json!({
                "name": "error-rate", "interval": "2s", "count": 3, "failureLimit": 0,
                "successCondition": "result < 0.05",
                "provider": {"web": {"url": "{{args.url}}/error-rate", "jsonPath": "{$.errorRate}"}},
            }),
        ),
        template(
            "prom-latency",
            json!({
                "name": "p99-latency", "interval": "2s", "count": 3, "failureLimit": 1,
                "successCondition": "result[0] < 0.5",
                "provider": {"prometheus": {"address": "{{args.url}}", "query": "latency"}},
            }),
        ),
    ]
}

/// What the two metrics give: an error rate, and latencies.
type Source = Arc<Mutex<(f64, Vec<f64>)>>;

fn gated() -> (Lab, Source) {
    let lab = Lab::new();
    let source: Source = Arc::new(Mutex::new((0.01, vec![0.2])));
    let shared = Arc::clone(&source);
    lab.cluster.set_metric_source(Arc::new(move |query| {
        let (errors, latency) = locked(&shared).clone();
        match query {
            "http://metrics/error-rate" => Ok(vec![errors]),
            "latency" => Ok(latency),
            other => Err(format!("who is {other}?")),
        }
    }));
    for template in templates() {
        lab.cluster.apply(template).unwrap();
    }
    let gate = |name: &str| {
        json!({"analysis": {
            "templates": [{"templateName": name}],
            "args": [{"name": "url", "value": "http://metrics"}],
        }})
    };
    let mut rollout = demo_with(json!([
        {"setWeight": 25}, gate("error-rate"), {"setWeight": 50}, gate("prom-latency"),
    ]));
    rollout.put("/spec/replicas", json!(4));
    lab.cluster.apply(at_once(rollout)).unwrap();
    lab.until_phase("Healthy");
    lab.seconds(2);
    (lab, source)
}

fn run(lab: &Lab, step: &str) -> Value {
    let runs = lab.cluster.list("AnalysisRun");
    runs.into_iter()
        .find(|run| run.text("/metadata/labels/step-index") == step)
        .unwrap()
}

#[test]
fn row_v_good_values_let_both_gates_pass() {
    let (lab, _source) = gated();
    lab.set_image("v2");
    lab.until(|rollout| rollout.text("/status/phase") != "Healthy");
    lab.until_phase("Healthy");
    for (step, value) in [("1", "0.01"), ("3", "[0.2]")] {
        let run = run(&lab, step);
        assert_eq!(run.text("/status/phase"), "Successful");
        let result = run.at("/status/metricResults/0");
        let values: Vec<_> = result
            .items("/measurements")
            .iter()
            .map(|one| one.text("/value"))
            .collect();
        assert_eq!(values, [value, value, value]);
        assert_eq!(
            (result.count("/count"), result.count("/successful")),
            (3, 3)
        );
        assert_eq!(
            run.at("/status/runSummary"),
            &json!({"count": 1, "successful": 1})
        );
    }
    let first = run(&lab, "1");
    let hash = lab.status().text("/stableRS").to_owned();
    assert_eq!(first.text("/metadata/name"), format!("demo-{hash}-2-1"));
    assert_eq!(first.text("/metadata/labels/rollout-type"), "Step");
}

#[test]
fn row_w_a_failed_gate_aborts_the_rollout() {
    let (lab, source) = gated();
    locked(&source).0 = 0.5;
    lab.set_image("v2");
    let rollout = lab.until_phase("Degraded");
    let why = "Metric \"error-rate\" assessed Failed due to failed (1) > failureLimit (0)";
    assert_eq!(
        rollout.text("/status/message"),
        format!(
            "RolloutAborted: Rollout aborted update to revision 2: \
             Step-based analysis phase error/failed: {why}"
        )
    );
    lab.seconds(3);
    let kept = lab
        .status()
        .at("/canary/currentStepAnalysisRunStatus")
        .clone();
    assert_eq!(
        (kept.text("/status"), kept.text("/message")),
        ("Failed", why)
    );
    assert_eq!(
        run(&lab, "1").at("/status/metricResults/0/failed"),
        &json!(1)
    );
}

#[test]
fn row_x_two_bad_values_of_a_limit_of_one_fail() {
    let (lab, source) = gated();
    locked(&source).1 = vec![0.9];
    lab.set_image("v2");
    lab.until_phase("Degraded");
    let run = run(&lab, "3");
    assert_eq!(
        run.text("/status/message"),
        "Metric \"p99-latency\" assessed Failed due to failed (2) > failureLimit (1)"
    );
    let values: Vec<_> = run
        .items("/status/metricResults/0/measurements")
        .iter()
        .map(|one| one.text("/value"))
        .collect();
    assert_eq!(values, ["[0.9]", "[0.9]"]);
}

#[test]
fn row_y_an_empty_vector_is_an_error_tried_again_every_ten_seconds() {
    let (lab, source) = gated();
    locked(&source).1 = Vec::new();
    lab.set_image("v2");
    lab.until(|rollout| rollout.count("/status/currentStepIndex") == 3);
    lab.seconds(35);
    let run = run(&lab, "3");
    assert_eq!(run.text("/status/phase"), "Running");
    let result = run.at("/status/metricResults/0");
    assert_eq!(result.items("/measurements").len(), 4);
    assert_eq!(
        result.text("/measurements/0/message"),
        "reflect: slice index out of range"
    );
    // The fifth error in a row is one too many.
    let rollout = lab.until_phase("Degraded");
    assert!(
        rollout
            .text("/status/message")
            .contains("consecutiveErrors (5) > consecutiveErrorLimit (4)")
    );
}

#[test]
fn row_z_a_terminated_run_counts_as_passed() {
    let (lab, source) = gated();
    locked(&source).1 = Vec::new();
    lab.set_image("v2");
    lab.until(|rollout| rollout.count("/status/currentStepIndex") == 3);
    lab.seconds(5);
    let name = run(&lab, "3").text("/metadata/name").to_owned();
    lab.cluster
        .patch(
            "AnalysisRun",
            "default",
            &name,
            json!({"spec": {"terminate": true}}),
        )
        .unwrap();
    lab.until_phase("Healthy");
    let run = run(&lab, "3");
    assert_eq!(run.text("/status/phase"), "Successful");
    assert_eq!(run.text("/status/message"), "Run Terminated");
}

#[test]
fn an_inconclusive_gate_pauses_for_a_person_who_may_go_on() {
    let (lab, source) = gated();
    let mut unsure = templates()[0].clone();
    unsure.put("/spec/metrics/0/failureCondition", json!("result > 0.5"));
    unsure.put("/spec/metrics/0/count", json!(1));
    lab.cluster.apply(unsure).unwrap();
    locked(&source).0 = 0.2;
    lab.set_image("v2");
    let rollout = lab.until_phase("Paused");
    assert_eq!(rollout.text("/status/message"), "InconclusiveAnalysisRun");
    assert!(rollout.flag("/status/controllerPause"));
    lab.seconds(60);
    assert_eq!(lab.status().count("/currentStepIndex"), 1);
    // What the plugin's promote sends in this case.
    lab.patch_status(&json!({
        "pauseConditions": null, "controllerPause": false, "currentStepIndex": 2,
    }));
    lab.until_phase("Healthy");
}

#[test]
fn a_retried_gate_gets_a_new_run_with_a_counted_name() {
    let (lab, source) = gated();
    locked(&source).0 = 0.5;
    lab.set_image("v2");
    lab.until_phase("Degraded");
    lab.seconds(3);
    locked(&source).0 = 0.01;
    lab.patch_status(&json!({"abort": false}));
    lab.until_phase("Healthy");
    let hash = lab.status().text("/stableRS").to_owned();
    let names: Vec<String> = lab
        .cluster
        .list("AnalysisRun")
        .iter()
        .map(|run| run.text("/metadata/name").to_owned())
        .collect();
    assert!(names.contains(&format!("demo-{hash}-2-1.1")), "{names:?}");
}

#[test]
fn a_background_analysis_begins_at_its_step_and_ends_with_the_update() {
    let (lab, source) = gated();
    lab.patch_spec(&json!({"strategy": {"canary": {
        "analysis": {
            "startingStep": 1,
            "templates": [{"templateName": "prom-latency"}],
            "args": [{"name": "url", "value": "http://metrics"}],
        },
        "steps": [{"setWeight": 50}, {"pause": {}}],
    }}}));
    lab.seconds(5);
    lab.set_image("v2");
    let rollout =
        lab.until(|rollout| rollout.has("/status/canary/currentBackgroundAnalysisRunStatus"));
    assert_eq!(rollout.count("/status/currentStepIndex"), 1);
    locked(&source).1 = vec![0.9];
    let rollout = lab.until_phase("Degraded");
    let message = rollout.text("/status/message");
    assert!(message.contains("Background analysis phase error/failed: Metric \"p99-latency\""));
}

#[test]
fn a_run_of_its_own_measures_keeps_ten_and_can_be_stopped() {
    let lab = Lab::new();
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    lab.cluster.set_metric_source(Arc::new(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(vec![1.0])
    }));
    let run = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": "long"},
        "spec": {"metrics": [{
            "name": "steady", "interval": "1s", "initialDelay": "5s",
            "successCondition": "result[0] == 1",
            "provider": {"prometheus": {"address": "http://p", "query": "up"}},
        }]},
    });
    lab.cluster.apply(run).unwrap();
    lab.pass(Duration::from_millis(4500));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    lab.seconds(15);
    let taken = asked.load(Ordering::Relaxed);
    assert!((14..=16).contains(&taken), "{taken} measurements");
    let seen = lab.cluster.get("AnalysisRun", "default", "long").unwrap();
    let result = seen.at("/status/metricResults/0");
    assert_eq!(result.items("/measurements").len(), 10);
    assert_eq!(result.text("/metadata/ResolvedPrometheusQuery"), "up");
    assert_eq!(seen.text("/status/phase"), "Running");
    let stop = json!({"spec": {"terminate": true}});
    lab.cluster
        .patch("AnalysisRun", "default", "long", stop)
        .unwrap();
    lab.seconds(1);
    let seen = lab.cluster.get("AnalysisRun", "default", "long").unwrap();
    assert_eq!(seen.text("/status/phase"), "Successful");
}

#[test]
fn a_dry_run_metric_never_decides() {
    let (lab, source) = gated();
    locked(&source).0 = 0.5;
    let steps = "/spec/strategy/canary/steps";
    let mut rollout = lab.rollout();
    rollout.put(
        &format!("{steps}/1/analysis/dryRun"),
        json!([{"metricName": "error-rate"}]),
    );
    let spec = json!({"strategy": rollout.at("/spec/strategy")});
    lab.patch_spec(&spec);
    lab.seconds(10);
    lab.set_image("v2");
    lab.until(|rollout| rollout.text("/status/phase") != "Healthy");
    lab.until_phase("Healthy");
    let run = run(&lab, "1");
    assert!(run.flag("/status/metricResults/0/dryRun"));
    assert_eq!(run.text("/status/phase"), "Successful");
}

#[test]
fn gates_pass_and_fail_as_they_were_seen_to() {
    let (lab, source) = gated();
    check(&lab, "v-analysis-passes", |lab| lab.set_image("v2"));
    locked(&source).0 = 0.5;
    check(&lab, "w-analysis-fails-and-aborts", |lab| {
        lab.set_image("v3");
    });
    *locked(&source) = (0.01, Vec::new());
    lab.patch_status(&json!({"abort": false}));
    lab.until(|rollout| rollout.count("/status/currentStepIndex") == 3);
    lab.seconds(5);
    check(&lab, "z-terminated-run-passes", |lab| {
        let name = run(lab, "3").text("/metadata/name").to_owned();
        let stop = json!({"spec": {"terminate": true}});
        lab.cluster
            .patch("AnalysisRun", "default", &name, stop)
            .unwrap();
    });
}

#[test]
fn an_inconclusive_gate_pauses_as_it_was_seen_to() {
    let (lab, source) = gated();
    let mut unsure = templates()[0].clone();
    unsure.put("/spec/metrics/0/failureCondition", json!("result > 0.5"));
    unsure.put("/spec/metrics/0/count", json!(1));
    lab.cluster.apply(unsure).unwrap();
    let mut steps = lab.rollout().items("/spec/strategy/canary/steps").to_vec();
    steps.truncate(2);
    steps[0] = json!({"setWeight": 50});
    steps.push(json!({"setWeight": 100}));
    lab.patch_spec(&json!({"strategy": {"canary": {"steps": steps}}}));
    lab.seconds(5);
    locked(&source).0 = 0.2;
    check(&lab, "analysis-inconclusive", |lab| lab.set_image("v2"));
}
