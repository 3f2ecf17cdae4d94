//! Canaries behind a traffic router.

use serde_json::{Value, json};

use super::timeline::{at_once, check};
use super::{Lab, demo_with, locked};
use crate::sim::kubernetes::managed::read_stamp;
use crate::sim::kubernetes::value::Fields;

pub(super) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": "demo"}, "ports": [{"port": 80}]},
    })
}

/// The routed rollout of the captured plane: four pods, no surge needed.
fn routed() -> Lab {
    let lab = Lab::new();
    for name in ["canary", "stable"] {
        lab.cluster.apply(service(name)).unwrap();
    }
    let mut rollout = demo_with(json!([
        {"setWeight": 15}, {"pause": {}}, {"setCanaryScale": {"weight": 50}},
        {"setWeight": 60}, {"pause": {}},
    ]));
    rollout.put("/spec/replicas", json!(4));
    let canary = "/spec/strategy/canary";
    rollout.put(&format!("{canary}/canaryService"), json!("canary"));
    rollout.put(&format!("{canary}/stableService"), json!("stable"));
    rollout.put(
        &format!("{canary}/trafficRouting"),
        json!({"nginx": {"stableIngress": "demo"}}),
    );
    lab.cluster.apply(at_once(rollout)).unwrap();
    lab.until_phase("Healthy");
    lab.seconds(2);
    lab
}

pub(super) fn selected(lab: &Lab, name: &str) -> String {
    let service = lab.cluster.get("Service", "default", name).unwrap();
    service
        .text("/spec/selector/rollouts-pod-template-hash")
        .to_owned()
}

#[test]
fn weights_are_recorded_and_the_stable_set_stays_whole() {
    let lab = routed();
    lab.set_image("v2");
    lab.until_phase("Paused");
    lab.seconds(1);
    let status = lab.status();
    let weights = status.at("/canary/weights");
    assert_eq!(weights.count("/canary/weight"), 15);
    assert_eq!(weights.count("/stable/weight"), 85);
    assert_eq!(weights.text("/canary/serviceName"), "canary");
    assert_eq!(
        weights.at("/canary/podTemplateHash"),
        status.at("/currentPodHash")
    );
    // One pod for 15 % of four, beside all four of the stable set.
    assert_eq!(
        (status.count("/updatedReplicas"), status.count("/replicas")),
        (1, 5)
    );
    assert_eq!(selected(&lab, "canary"), status.text("/currentPodHash"));
    assert_eq!(selected(&lab, "stable"), status.text("/stableRS"));
    assert_eq!(
        lab.events("TrafficWeightUpdated").last().unwrap(),
        "Traffic weight updated from 0 to 15"
    );
}

#[test]
fn a_canary_scale_of_its_own_is_kept_until_the_next() {
    let lab = routed();
    lab.set_image("v2");
    lab.until_phase("Paused");
    lab.seconds(1);
    lab.patch_status(&json!({"pauseConditions": null}));
    lab.until(|rollout| {
        rollout.count("/status/currentStepIndex") == 4 && rollout.has("/status/pauseConditions")
    });
    lab.seconds(1);
    // 50 % of the pods, 60 % of the traffic.
    assert_eq!(lab.status().count("/updatedReplicas"), 2);
    assert_eq!(lab.status().count("/canary/weights/canary/weight"), 60);
}

#[test]
fn an_aborted_canary_loses_its_traffic_at_once_and_its_pods_later() {
    let lab = routed();
    lab.set_image("v2");
    lab.until_phase("Paused");
    lab.seconds(1);
    lab.patch_status(&json!({"abort": true}));
    lab.until_phase("Degraded");
    lab.seconds(1);
    let status = lab.status();
    assert_eq!(status.count("/canary/weights/canary/weight"), 0);
    assert_eq!(status.count("/updatedReplicas"), 1);
    let hash = status.text("/currentPodHash").to_owned();
    let set = |lab: &Lab| {
        lab.sets()
            .into_iter()
            .find(|set| set.text("/metadata/name").ends_with(&hash))
            .unwrap()
    };
    let deadline = read_stamp(set(&lab).text("/metadata/annotations/scale-down-deadline")).unwrap();
    let left = (deadline - *locked(&lab.now)).num_seconds();
    assert!((25..=30).contains(&left), "{left} s left");
    lab.seconds(35);
    assert_eq!(set(&lab).count("/spec/replicas"), 0);
    assert_eq!(selected(&lab, "canary"), lab.status().text("/stableRS"));
}

#[test]
fn after_a_routed_promotion_the_old_set_lingers_and_then_goes() {
    let lab = routed();
    let old = lab.status().text("/stableRS").to_owned();
    lab.set_image("v2");
    lab.until_phase("Paused");
    lab.seconds(1);
    lab.patch_status(&json!({"promoteFull": true}));
    lab.until(|rollout| rollout.at("/status/stableRS") == rollout.at("/status/currentPodHash"));
    lab.seconds(3);
    let set = |lab: &Lab| {
        lab.sets()
            .into_iter()
            .find(|set| set.text("/metadata/name").ends_with(&old))
            .unwrap()
    };
    assert_eq!(set(&lab).count("/spec/replicas"), 4);
    assert!(set(&lab).has("/metadata/annotations/scale-down-deadline"));
    lab.seconds(35);
    assert_eq!(set(&lab).count("/spec/replicas"), 0);
    lab.until_phase("Healthy");
}

#[test]
fn a_service_that_is_missing_makes_the_spec_invalid_until_it_comes() {
    let lab = Lab::new();
    let mut rollout = demo_with(json!([{"setWeight": 50}]));
    rollout.put("/spec/strategy/canary/canaryService", json!("late"));
    lab.cluster.apply(rollout).unwrap();
    let degraded = lab.until_phase("Degraded");
    assert!(
        degraded
            .text("/status/message")
            .ends_with("service \"late\" not found")
    );
    lab.cluster.apply(service("late")).unwrap();
    lab.until_phase("Healthy");
}

#[test]
fn a_routed_canary_goes_and_is_aborted_as_it_was_seen_to() {
    let lab = routed();
    check(&lab, "traffic-routed-to-pause", |lab| lab.set_image("v2"));
    check(&lab, "traffic-routed-abort", |lab| {
        lab.patch_status(&json!({"abort": true}));
    });
}
