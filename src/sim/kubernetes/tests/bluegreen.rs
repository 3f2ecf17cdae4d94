//! Blue/green as the real controller was seen to do it, its oddities included.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::routed::{selected, service};
use super::timeline::{at_once, check};
use super::{Lab, demo_with, locked};
use crate::sim::kubernetes::value::Fields;

/// Two pods behind two services, whole and healthy on `v1`; delays outlast a test.
fn lab(strategy: &Value) -> Lab {
    with_metrics(strategy).0
}

/// The same, with an error rate that analyses read.
fn with_metrics(strategy: &Value) -> (Lab, Arc<Mutex<f64>>) {
    let lab = Lab::new();
    let rate = Arc::new(Mutex::new(0.01));
    let shared = Arc::clone(&rate);
    lab.cluster
        .set_metric_source(Arc::new(move |_| Ok(vec![*locked(&shared)])));
    for name in ["active", "preview"] {
        lab.cluster.apply(service(name)).unwrap();
    }
    for (name, count) in [("smoke", 1), ("soak", 60)] {
        lab.cluster.apply(template(name, count)).unwrap();
    }
    let mut rollout = demo_with(json!([]));
    rollout.put("/spec/replicas", json!(2));
    let mut blue_green = json!({
        "activeService": "active", "previewService": "preview",
        "scaleDownDelaySeconds": 600, "abortScaleDownDelaySeconds": 600,
    });
    crate::sim::kubernetes::patch::merge_patch(&mut blue_green, strategy);
    rollout.put("/spec/strategy", json!({"blueGreen": blue_green}));
    lab.cluster.apply(at_once(rollout)).unwrap();
    lab.until_phase("Healthy");
    lab.seconds(2);
    (lab, rate)
}

fn template(name: &str, count: u32) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"metrics": [{
            "name": "error-rate", "interval": "2s", "count": count, "failureLimit": 0,
            "successCondition": "result < 0.05",
            "provider": {"web": {"url": "http://metrics/error-rate", "jsonPath": "{$.errorRate}"}},
        }]},
    })
}

fn by_hand() -> Value {
    json!({"autoPromotionEnabled": false})
}

fn judged() -> Value {
    json!({
        "autoPromotionEnabled": false,
        "prePromotionAnalysis": {"templates": [{"templateName": "smoke"}]},
        "postPromotionAnalysis": {"templates": [{"templateName": "soak"}]},
    })
}

/// On its way to `v2`, at the pause before the switch.
fn at_pause(strategy: &Value) -> Lab {
    let lab = lab(strategy);
    lab.set_image("v2");
    lab.until_phase("Paused");
    lab.seconds(3);
    lab
}

fn go_on(lab: &Lab) {
    lab.patch_status(&json!({"pauseConditions": null}));
}

fn retry_anew(lab: &Lab) {
    let nothing = json!({
        "prePromotionAnalysisRunStatus": null, "postPromotionAnalysisRunStatus": null,
    });
    lab.patch_status(&json!({"abort": false, "blueGreen": nothing}));
}

/// What `kubectl argo rollouts undo` puts back.
fn back_to(lab: &Lab, tag: &str) {
    lab.set_image(tag);
}

/// The pods a set has, by its image's tag.
fn pods(lab: &Lab, tag: &str) -> i64 {
    let sets = lab.sets();
    let set = sets.iter().find(|set| {
        let image = set.text("/spec/template/spec/containers/0/image");
        image.ends_with(tag)
    });
    set.unwrap().count("/status/availableReplicas")
}

/// One pod of `tag` stops being ready.
fn fail_a_pod(lab: &Lab, tag: &str) {
    let pods = lab.cluster.list("Pod");
    let pod = pods
        .iter()
        .find(|pod| pod.text("/spec/containers/0/image").ends_with(tag))
        .unwrap();
    let annotations = json!({"sim.gonogo.dev/ready-after": "never"});
    lab.cluster
        .patch(
            "Pod",
            "default",
            pod.text("/metadata/name"),
            json!({
                "metadata": {"annotations": annotations},
                "status": {"conditions": [{"type": "Ready", "status": "False"}]},
            }),
        )
        .unwrap();
    lab.seconds(1);
}

#[test]
fn a_preview_waits_and_is_switched_to_when_continued() {
    let lab = lab(&by_hand());
    check(&lab, "blue-green-to-pause", |lab| lab.set_image("v2"));
    let before = lab.status();
    assert_eq!(
        before.text("/blueGreen/activeSelector"),
        selected(&lab, "active")
    );
    assert_eq!(
        before.text("/currentPodHash"),
        selected(&lab, "preview"),
        "the preview is shown"
    );
    check(&lab, "blue-green-switch", go_on);
    assert_eq!(
        lab.status().text("/currentPodHash"),
        selected(&lab, "active")
    );
    assert_eq!((pods(&lab, "v1"), pods(&lab, "v2")), (2, 2));
}

#[test]
fn within_its_delay_the_revision_before_is_switched_to_at_once() {
    let lab = at_pause(&by_hand());
    go_on(&lab);
    lab.until_phase("Healthy");
    lab.seconds(2);
    check(&lab, "blue-green-back-within-delay", |lab| {
        back_to(lab, "v1");
    });
    assert_eq!(lab.events("RolloutPaused").len(), 1);
}

#[test]
fn after_its_delay_the_revision_before_is_a_preview_like_any_other() {
    let lab = at_pause(&json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 5}));
    go_on(&lab);
    lab.until_phase("Healthy");
    lab.seconds(10);
    assert_eq!(pods(&lab, "v1"), 0);
    back_to(&lab, "v1");
    lab.until_phase("Paused");
}

#[test]
fn an_abort_at_the_pause_leaves_users_where_they_are() {
    let lab = at_pause(&by_hand());
    check(&lab, "blue-green-abort-at-pause", |lab| {
        lab.patch_status(&json!({"abort": true}));
    });
    assert_eq!(lab.status().text("/stableRS"), selected(&lab, "active"));
}

#[test]
fn retried_while_its_pods_are_kept_an_aborted_preview_is_switched_to_at_once() {
    let lab = at_pause(&by_hand());
    lab.patch_status(&json!({"abort": true}));
    lab.until_phase("Degraded");
    lab.seconds(2);
    check(&lab, "blue-green-retry-while-pods-are-kept", |lab| {
        lab.patch_status(&json!({"abort": false}));
    });
}

#[test]
fn a_hold_keeps_a_retry_from_that() {
    let lab = at_pause(&by_hand());
    lab.patch_status(&json!({"abort": true}));
    lab.until_phase("Degraded");
    lab.seconds(2);
    check(&lab, "blue-green-retry-behind-a-hold", |lab| {
        lab.patch_spec(&json!({"paused": true}));
        lab.seconds(2);
        retry_anew(lab);
        lab.seconds(2);
        lab.patch_spec(&json!({"paused": false}));
    });
    assert_eq!(lab.status().text("/stableRS"), selected(&lab, "active"));
    check(&lab, "blue-green-promote-full", |lab| {
        lab.patch_status(&json!({"promoteFull": true}));
    });
}

#[test]
fn a_countdown_without_its_condition_begins_anew_and_ends_by_time_alone() {
    let lab = at_pause(&json!({"autoPromotionSeconds": 300}));
    check(&lab, "blue-green-continue-a-countdown", go_on);
    check(&lab, "blue-green-end-a-countdown", |lab| {
        let begun = json!([{"reason": "BlueGreenPause", "startTime": "1970-01-01T00:00:00Z"}]);
        lab.patch_status(&json!({"pauseConditions": begun}));
    });
    let lab = at_pause(&json!({"autoPromotionSeconds": 30}));
    lab.until_phase("Healthy");
}

#[test]
fn where_a_person_promotes_a_countdown_has_no_effect() {
    let lab = at_pause(&json!({"autoPromotionEnabled": false, "autoPromotionSeconds": 10}));
    lab.seconds(60);
    assert_eq!(lab.status().text("/message"), "BlueGreenPause");
}

#[test]
fn what_is_judged_before_the_switch_comes_before_the_pause() {
    let lab = lab(&judged());
    check(&lab, "blue-green-judged-before", |lab| lab.set_image("v2"));
    check(&lab, "blue-green-switch-and-soak", go_on);
    let status = lab.status();
    let run = status.text("/blueGreen/postPromotionAnalysisRunStatus/name");
    assert!(run.ends_with("-2-post"), "{run}");
    check(&lab, "blue-green-abort-after-switch", |lab| {
        lab.patch_status(&json!({"abort": true}));
    });
    assert_eq!(lab.status().text("/stableRS"), selected(&lab, "active"));
}

#[test]
fn a_judgement_that_fails_after_the_switch_brings_users_back() {
    let (lab, rate) = with_metrics(&judged());
    lab.set_image("v2");
    lab.until_phase("Paused");
    lab.seconds(3);
    go_on(&lab);
    lab.seconds(3);
    check(&lab, "blue-green-fails-after-switch", |_| {
        *locked(&rate) = 0.5;
    });
    assert_eq!(lab.status().text("/stableRS"), selected(&lab, "active"));
}

#[test]
fn one_that_fails_before_it_aborts_and_is_made_anew_by_a_retry_only_if_forgotten() {
    let (lab, rate) = with_metrics(&judged());
    *locked(&rate) = 0.5;
    lab.set_image("v2");
    lab.until_phase("Degraded");
    lab.seconds(2);
    *locked(&rate) = 0.01;
    lab.patch_spec(&json!({"paused": true}));
    lab.seconds(2);
    lab.patch_status(&json!({"abort": false}));
    lab.seconds(2);
    lab.patch_spec(&json!({"paused": false}));
    // The old verdict still counts.
    lab.until_phase("Degraded");
    lab.seconds(2);
    lab.patch_spec(&json!({"paused": true}));
    lab.seconds(2);
    retry_anew(&lab);
    lab.seconds(5);
    lab.patch_spec(&json!({"paused": false}));
    lab.until_phase("Paused");
    lab.until(|rollout| rollout.text("/status/message") == "BlueGreenPause");
}

#[test]
fn an_abort_leaves_users_on_a_revision_that_is_not_all_up() {
    let lab = at_pause(&json!({
        "autoPromotionEnabled": false,
        "postPromotionAnalysis": {"templates": [{"templateName": "soak"}]},
    }));
    go_on(&lab);
    lab.seconds(3);
    check(&lab, "blue-green-abort-with-pods-missing", |lab| {
        fail_a_pod(lab, "v2");
        lab.patch_status(&json!({"abort": true}));
    });
    assert_ne!(lab.status().text("/stableRS"), selected(&lab, "active"));
    check(&lab, "blue-green-back-with-pods-missing", |lab| {
        back_to(lab, "v1");
        lab.seconds(2);
        lab.patch_status(&json!({"promoteFull": true}));
    });
    assert_eq!(lab.status().text("/stableRS"), selected(&lab, "active"));
}

#[test]
fn held_after_the_switch_an_abort_waits_for_the_hold_to_end() {
    let lab = at_pause(&judged());
    go_on(&lab);
    lab.seconds(3);
    lab.patch_spec(&json!({"paused": true}));
    lab.seconds(2);
    lab.patch_status(&json!({"abort": true}));
    lab.seconds(5);
    assert_ne!(lab.status().text("/stableRS"), selected(&lab, "active"));
    lab.patch_spec(&json!({"paused": false}));
    lab.seconds(2);
    assert_eq!(lab.status().text("/stableRS"), selected(&lab, "active"));
}

#[test]
fn a_small_preview_grows_before_the_switch() {
    let mut strategy = by_hand();
    strategy.put("/previewReplicaCount", json!(1));
    let lab = at_pause(&strategy);
    assert_eq!(pods(&lab, "v2"), 1);
    go_on(&lab);
    lab.until_phase("Healthy");
    assert_eq!(pods(&lab, "v2"), 2);
}

#[test]
fn with_auto_promotion_nothing_waits() {
    let lab = lab(&json!({}));
    lab.set_image("v2");
    lab.until(|rollout| rollout.text("/status/phase") != "Healthy");
    let rollout = lab.until_phase("Healthy");
    assert_eq!(
        rollout.at("/status/stableRS"),
        rollout.at("/status/currentPodHash")
    );
    assert!(lab.events("RolloutPaused").is_empty());
}
