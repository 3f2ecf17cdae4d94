//! What an operator must reckon with: swallowed patches and moved ground.

use serde_json::json;

use super::http::{DEMO, JSON, MERGE, serve};
use super::{Lab, demo};
use crate::sim::kubernetes::value::Fields;

#[tokio::test]
async fn a_swallowed_patch_is_stored_and_nothing_happens_until_a_nudge() {
    let lab = Lab::with_demo(demo());
    let api = serve(&lab.cluster).await;
    lab.set_image("v2");
    lab.until_phase("Paused");
    lab.seconds(2);
    lab.cluster.swallow(1);
    let abort = json!([{"op": "add", "path": "/status/abort", "value": true}]);
    let (code, body) = api.patch(&format!("{DEMO}/status"), JSON, abort).await;
    assert_eq!(code, 200);
    assert!(body.flag("/status/abort"));
    lab.seconds(600);
    assert!(lab.status().flag("/abort"));
    assert_eq!(lab.status().text("/phase"), "Paused");
    let nudge = json!({"metadata": {"annotations": {"gonogo.dev/nudge": "now"}}});
    let (code, _) = api.patch(DEMO, MERGE, nudge).await;
    assert_eq!(code, 200);
    lab.pass(std::time::Duration::from_millis(450));
    assert_eq!(lab.status().text("/phase"), "Degraded");
}

#[tokio::test]
async fn sending_a_swallowed_patch_again_changes_nothing_and_so_does_nothing() {
    let lab = Lab::with_demo(demo());
    let api = serve(&lab.cluster).await;
    lab.set_image("v2");
    lab.until_phase("Paused");
    lab.seconds(2);
    lab.cluster.swallow(1);
    let merge = json!({"status": {"promoteFull": true}});
    for _ in 0..3 {
        assert_eq!(
            api.patch(&format!("{DEMO}/status"), MERGE, merge.clone())
                .await
                .0,
            200
        );
        lab.seconds(30);
    }
    assert_eq!(lab.status().text("/phase"), "Paused");
}

#[tokio::test]
async fn a_test_of_what_the_operator_saw_fails_when_the_ground_has_moved() {
    let lab = Lab::with_demo(demo());
    let api = serve(&lab.cluster).await;
    lab.set_image("v2");
    let seen = lab.until_phase("Paused");
    let body = json!([
        {"op": "test", "path": "/metadata/uid", "value": seen.at("/metadata/uid")},
        {"op": "test", "path": "/status/currentPodHash", "value": seen.at("/status/currentPodHash")},
        {"op": "add", "path": "/status/promoteFull", "value": true},
    ]);
    lab.set_image("v3");
    lab.until(|now| now.at("/status/currentPodHash") != seen.at("/status/currentPodHash"));
    let (code, answer) = api.patch(&format!("{DEMO}/status"), JSON, body).await;
    assert_eq!((code, answer.text("/reason")), (422, "Invalid"));
    assert!(!lab.rollout().has("/status/promoteFull"));
}

#[test]
fn cluster_trap_5_undo_with_ephemeral_metadata_loses_the_fast_way_back() {
    let mut rollout = demo();
    let canary = "/spec/strategy/canary";
    rollout.put(
        &format!("{canary}/canaryMetadata"),
        json!({"labels": {"role": "canary"}}),
    );
    rollout.put(
        &format!("{canary}/stableMetadata"),
        json!({"labels": {"role": "stable"}}),
    );
    let lab = Lab::with_demo(rollout);
    let first = lab.status().text("/stableRS").to_owned();
    let set = |lab: &Lab| {
        let sets = lab.sets();
        sets.into_iter()
            .find(|set| set.text("/metadata/name").ends_with(&first))
            .unwrap()
    };
    lab.set_image("v2");
    lab.until_phase("Paused");
    let old = set(&lab);
    assert_eq!(old.text("/spec/template/metadata/labels/role"), "stable");
    let dressed = lab
        .cluster
        .list("Pod")
        .iter()
        .any(|pod| pod.text("/metadata/labels/role") == "canary");
    assert!(dressed);
    // As it is, the template is one that never was.
    let mut template = old.at("/spec/template").clone();
    template.drop_field("/metadata/labels/rollouts-pod-template-hash");
    lab.patch_spec(&json!({"template": template}));
    lab.until(|rollout| rollout.count("/status/currentStepIndex") < 5);
    assert_ne!(
        lab.until_phase("Paused").text("/status/currentPodHash"),
        first
    );
    // Stripped, it is the stable one, and the steps are skipped.
    lab.patch_spec(&json!({"template": {"metadata": {"labels": {"role": null}}}}));
    let rollout = lab.until_phase("Healthy");
    assert_eq!(rollout.text("/status/currentPodHash"), first);
    assert!(!lab.events("SkipSteps").is_empty());
}

#[test]
fn anti_affinity_is_injected_into_the_set_and_not_into_the_rollout() {
    let mut rollout = demo();
    let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {}});
    rollout.put("/spec/strategy/canary/antiAffinity", required);
    let lab = Lab::with_demo(rollout);
    let stable = lab.status().text("/stableRS").to_owned();
    lab.set_image("v2");
    lab.until_phase("Paused");
    let canary = lab.status().text("/currentPodHash").to_owned();
    let sets = lab.sets();
    let set = sets
        .iter()
        .find(|set| set.text("/metadata/name").ends_with(&canary))
        .unwrap();
    let term = "/spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/0";
    let expression = set.at(&format!("{term}/labelSelector/matchExpressions/0"));
    assert_eq!(expression.text("/key"), "rollouts-pod-template-hash");
    assert_eq!(expression.at("/values"), &json!([stable]));
    assert!(!lab.rollout().has("/spec/template/spec/affinity"));
}

#[test]
fn a_rollout_can_take_its_template_from_a_deployment() {
    let lab = Lab::new();
    let mut rollout = demo();
    let template = rollout.at("/spec/template").clone();
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shared"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "demo"}}, "template": template},
    });
    let reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shared"});
    rollout.drop_field("/spec/template");
    rollout.drop_field("/spec/selector");
    rollout.put("/spec/workloadRef", reference);
    lab.cluster.apply(deployment).unwrap();
    lab.cluster.apply(rollout).unwrap();
    let rollout = lab.until_phase("Healthy");
    assert_eq!(rollout.text("/status/workloadObservedGeneration"), "1");
    let generation = "/metadata/annotations/rollout.argoproj.io~1workload-generation";
    assert_eq!(rollout.text(generation), "1");
    assert_eq!(rollout.count("/metadata/generation"), 1);
}
