//! Experiments as steps of a rollout.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Lab, demo_with, locked};
use crate::sim::kubernetes::value::Fields;

/// A healthy rollout whose first step is an experiment with an analysis, and
/// the error rate that is measured.
fn lab() -> (Lab, Arc<Mutex<f64>>) {
    let lab = Lab::new();
    let errors = Arc::new(Mutex::new(0.01));
    let shared = Arc::clone(&errors);
    lab.cluster
        .set_metric_source(Arc::new(move |_| Ok(vec![*locked(&shared)])));
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "errors", "namespace": "default"},
        "spec": {"metrics": [{
            "name": "errors", "interval": "1s", "count": 2,
            "successCondition": "result[0] < 0.05",
            "provider": {"prometheus": {"address": "x", "query": "errors"}},
        }]},
    });
    lab.cluster.apply(template).unwrap();
    let steps = json!([
        {"experiment": {
            "duration": "3s",
            "scaleDownDelaySeconds": 0,
            "templates": [
                {"name": "old", "specRef": "stable"},
                {"name": "new", "specRef": "canary", "replicas": 2},
            ],
            "analyses": [{"name": "errors", "templateName": "errors"}],
        }},
        {"setWeight": 50},
        {"pause": {}},
    ]);
    lab.cluster.apply(demo_with(steps)).unwrap();
    lab.until_phase("Healthy");
    lab.seconds(2);
    (lab, errors)
}

fn only(lab: &Lab) -> Value {
    let mut all = lab.cluster.list("Experiment");
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

fn pods_of(lab: &Lab, template: &str) -> i64 {
    let name = format!("{}-{template}", only(lab).text("/metadata/name"));
    let set = lab.cluster.get("ReplicaSet", "default", &name).unwrap();
    set.count("/spec/replicas")
}

#[test]
fn a_good_experiment_lets_its_step_pass_and_takes_its_pods_away() {
    let (lab, _) = lab();
    lab.set_image("v2");
    lab.until(|rollout| rollout.has("/status/canary/currentExperiment"));
    lab.seconds(1);
    assert_eq!((pods_of(&lab, "old"), pods_of(&lab, "new")), (1, 2));
    let rollout = lab.until_phase("Paused");
    lab.seconds(2);
    assert_eq!(rollout.count("/status/currentStepIndex"), 2);
    let experiment = only(&lab);
    assert_eq!(experiment.text("/status/phase"), "Successful");
    assert_eq!(
        experiment.text("/status/conditions/0/reason"),
        "ExperimentCompleted"
    );
    assert_eq!((pods_of(&lab, "old"), pods_of(&lab, "new")), (0, 0));
    let run = experiment.text("/status/analysisRuns/0/analysisRun");
    assert_eq!(run, format!("{}-errors", experiment.text("/metadata/name")));
}

#[test]
fn a_bad_experiment_aborts_the_rollout_in_the_words_of_its_analysis() {
    let (lab, errors) = lab();
    *locked(&errors) = 0.5;
    lab.set_image("v2");
    let rollout = lab.until_phase("Degraded");
    assert_eq!(
        rollout.text("/status/message"),
        "RolloutAborted: Rollout aborted update to revision 2: Experiment analysis phase is \
         error/failed: Metric \"errors\" assessed Failed due to failed (1) > failureLimit (0)"
    );
    lab.seconds(2);
    assert_eq!(only(&lab).text("/status/phase"), "Failed");
    assert_eq!((pods_of(&lab, "old"), pods_of(&lab, "new")), (0, 0));
}

#[test]
fn an_experiment_that_is_not_wanted_any_more_is_ended() {
    let (lab, _) = lab();
    lab.set_image("v2");
    lab.until(|rollout| rollout.has("/status/canary/currentExperiment"));
    lab.seconds(1);
    lab.patch_status(&json!({"promoteFull": true}));
    lab.until_phase("Healthy");
    lab.seconds(2);
    assert!(only(&lab).flag("/spec/terminate"));
    assert_eq!((pods_of(&lab, "old"), pods_of(&lab, "new")), (0, 0));
}
