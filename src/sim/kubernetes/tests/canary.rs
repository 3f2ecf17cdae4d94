//! A canary from the first deploy on: steps, pauses, abort, retry, full.
//!
//! The letters are the rows of the scenarios that were driven against a real
//! control plane; what was seen there is what is asserted here.

use serde_json::json;

use super::{Lab, demo, demo_with};
use crate::sim::kubernetes::value::Fields;

/// A lab whose canary of `v2` waits at the pause without end.
fn at_the_pause() -> Lab {
    let lab = Lab::with_demo(demo());
    lab.set_image("v2");
    lab.until_phase("Paused");
    lab.seconds(1);
    lab
}

#[test]
fn a_first_deploy_goes_to_all_pods_at_once() {
    let lab = Lab::with_demo(demo());
    let rollout = lab.rollout();
    let status = rollout.at("/status");
    assert_eq!(status.count("/currentStepIndex"), 5);
    assert_eq!(status.count("/availableReplicas"), 10);
    assert_eq!(status.text("/stableRS"), status.text("/currentPodHash"));
    // The controller rewrote the object when it set the revision.
    assert_eq!(rollout.count("/metadata/generation"), 2);
    assert_eq!(status.text("/observedGeneration"), "2");
    assert_eq!(
        rollout.text("/metadata/annotations/rollout.argoproj.io~1revision"),
        "1"
    );
}

#[test]
fn row_a_a_new_image_pauses_with_one_of_ten_updated() {
    let lab = at_the_pause();
    let status = lab.status();
    assert_eq!(status.count("/currentStepIndex"), 1);
    assert_eq!(status.text("/message"), "CanaryPauseStep");
    assert!(status.flag("/controllerPause"));
    assert_eq!(status.count("/updatedReplicas"), 1);
    assert_eq!(status.count("/availableReplicas"), 10);
    assert_eq!(
        lab.events("RolloutPaused"),
        ["Rollout is paused (CanaryPauseStep)"]
    );
    let pods = lab.cluster.list("Pod");
    assert_eq!(pods.len(), 10);
}

#[test]
fn row_b_continue_runs_through_the_timed_pause_to_the_end() {
    let lab = at_the_pause();
    lab.patch_status(&json!({"pauseConditions": null}));
    lab.until(|rollout| {
        rollout.count("/status/currentStepIndex") == 3 && rollout.text("/status/phase") == "Paused"
    });
    assert_eq!(lab.status().count("/updatedReplicas"), 3);
    lab.pass(std::time::Duration::from_millis(4500));
    assert_eq!(lab.status().text("/phase"), "Paused");
    lab.until(|rollout| {
        rollout.text("/status/message") == "waiting for all steps to complete"
            || rollout.text("/status/message") == "more replicas need to be updated"
    });
    let healthy = lab.until_phase("Healthy");
    assert_eq!(healthy.count("/status/updatedReplicas"), 10);
    assert_eq!(healthy.count("/status/currentStepIndex"), 5);
}

#[test]
fn row_d_abort_leaves_the_spec_and_takes_the_canary_away() {
    let lab = at_the_pause();
    let spec = lab.rollout().at("/spec").clone();
    lab.patch_status(&json!({"abort": true}));
    let rollout = lab.until_phase("Degraded");
    let status = rollout.at("/status");
    assert_eq!(
        status.text("/message"),
        "RolloutAborted: Rollout aborted update to revision 2"
    );
    assert_eq!(status.number("/currentStepIndex"), Some(0));
    assert!(status.flag("/abort"));
    assert!(!status.text("/abortedAt").is_empty());
    lab.seconds(3);
    let status = lab.status();
    assert_eq!(status.count("/updatedReplicas"), 0);
    assert_eq!(status.count("/availableReplicas"), 10);
    assert_eq!(lab.rollout().at("/spec"), &spec);
    assert_eq!(
        lab.events("RolloutAborted"),
        ["Rollout aborted update to revision 2"]
    );
}

#[test]
fn row_e_retry_begins_again_and_leaves_an_explicit_false() {
    let lab = at_the_pause();
    lab.patch_status(&json!({"abort": true}));
    lab.until_phase("Degraded");
    lab.seconds(3);
    lab.patch_status(&json!({"abort": false}));
    let rollout = lab.until_phase("Paused");
    assert_eq!(rollout.count("/status/currentStepIndex"), 1);
    assert_eq!(rollout.at("/status/abort"), &json!(false));
}

#[test]
fn row_f_full_promotion_skips_the_rest() {
    let lab = at_the_pause();
    lab.patch_status(&json!({"promoteFull": true}));
    let rollout = lab.until_phase("Healthy");
    assert_eq!(rollout.count("/status/currentStepIndex"), 5);
    assert_eq!(rollout.count("/status/updatedReplicas"), 10);
    assert!(!rollout.has("/status/promoteFull"));
}

/// In the midst of a full promotion, five of ten pods moved.
fn promoting() -> Lab {
    let lab = at_the_pause();
    lab.patch_status(&json!({"promoteFull": true}));
    lab.until(|rollout| rollout.count("/status/updatedReplicas") == 5);
    lab
}

#[test]
fn an_abort_alone_is_cleared_by_a_full_promotion_under_way() {
    let lab = promoting();
    let promoted = lab.status().text("/currentPodHash").to_owned();
    lab.patch_status(&json!({"abort": true}));
    let rollout = lab.until_phase("Healthy");
    assert_eq!(rollout.text("/status/stableRS"), promoted);
    assert!(!rollout.has("/status/abort"));
}

#[test]
fn an_abort_that_takes_the_full_promotion_back_sends_everyone_to_stable() {
    let lab = promoting();
    let stable = lab.status().text("/stableRS").to_owned();
    lab.patch_status(&json!({"abort": true, "promoteFull": false}));
    let rollout = lab.until_phase("Degraded");
    assert_eq!(rollout.count("/status/currentStepIndex"), 0);
    lab.seconds(10);
    let status = lab.status();
    assert_eq!(status.text("/stableRS"), stable);
    assert_eq!(status.count("/updatedReplicas"), 0);
    assert_eq!(status.count("/availableReplicas"), 10);
}

#[test]
fn an_abort_of_a_held_canary_moves_no_pods_until_the_hold_ends() {
    let lab = promoting();
    lab.patch_spec(&json!({"paused": true}));
    lab.until(|rollout| rollout.text("/status/message") == "manually paused");
    lab.patch_status(&json!({"abort": true, "promoteFull": false}));
    lab.until_phase("Degraded");
    lab.seconds(5);
    assert!(lab.status().count("/updatedReplicas") >= 5);
    lab.patch_spec(&json!({"paused": false}));
    lab.seconds(10);
    assert_eq!(lab.status().count("/updatedReplicas"), 0);
    assert_eq!(lab.status().text("/phase"), "Degraded");
}

#[test]
fn row_p_skipping_a_step_goes_on_from_the_next() {
    let lab = at_the_pause();
    lab.patch_status(&json!({"pauseConditions": null, "currentStepIndex": 2}));
    lab.until(|rollout| rollout.count("/status/currentStepIndex") >= 3);
    lab.until_phase("Healthy");
}

#[test]
fn row_k_undo_reuses_the_set_and_moves_its_revision() {
    let lab = Lab::with_demo(demo());
    let first = lab.status().text("/stableRS").to_owned();
    for tag in ["v2", "v3"] {
        lab.set_image(tag);
        lab.until(|rollout| rollout.text("/status/phase") == "Paused");
        lab.patch_status(&json!({"promoteFull": true}));
        lab.until(|rollout| rollout.text("/status/phase") == "Healthy");
        lab.seconds(1);
    }
    let old = lab
        .sets()
        .into_iter()
        .find(|set| set.text("/metadata/name").ends_with(&first));
    let mut template = old.unwrap().at("/spec/template").clone();
    template.drop_field("/metadata/labels/rollouts-pod-template-hash");
    lab.patch_spec(&json!({"template": template}));
    let rollout = lab.until_phase("Paused");
    assert_eq!(rollout.text("/status/currentPodHash"), first);
    assert_eq!(rollout.count("/status/currentStepIndex"), 1);
    assert_eq!(
        rollout.text("/metadata/annotations/rollout.argoproj.io~1revision"),
        "4"
    );
    let set = lab
        .sets()
        .into_iter()
        .find(|set| set.text("/metadata/name").ends_with(&first));
    let set = set.unwrap();
    let annotations = set.at("/metadata/annotations");
    assert_eq!(annotations.text("/rollout.argoproj.io~1revision"), "4");
    assert_eq!(
        annotations.text("/rollout.argoproj.io~1revision-history"),
        "1"
    );
    assert_eq!(lab.sets().len(), 3);
}

#[test]
fn row_l_back_to_the_stable_template_skips_all_steps() {
    let lab = at_the_pause();
    lab.set_image("v1");
    let rollout = lab.until_phase("Healthy");
    assert_eq!(rollout.count("/status/currentStepIndex"), 5);
    assert_eq!(lab.events("SkipSteps"), ["Rollback to stable ReplicaSets"]);
}

#[test]
fn row_l_back_to_the_stable_template_clears_an_abort() {
    let lab = at_the_pause();
    lab.patch_status(&json!({"abort": true}));
    lab.until_phase("Degraded");
    lab.set_image("v1");
    let rollout = lab.until_phase("Healthy");
    assert!(!rollout.has("/status/abort"));
}

#[test]
fn row_n_cluster_trap_4_full_promotion_of_an_aborted_rollout_ships_the_rejected_version() {
    let lab = at_the_pause();
    let rejected = lab.status().text("/currentPodHash").to_owned();
    lab.patch_status(&json!({"abort": true}));
    lab.until_phase("Degraded");
    lab.seconds(1);
    lab.patch_status(&json!({"promoteFull": true}));
    let rollout = lab.until_phase("Healthy");
    assert!(!rollout.has("/status/abort"));
    assert_eq!(rollout.text("/status/stableRS"), rejected);
}

#[test]
fn row_m_cluster_trap_3_full_promotion_right_after_a_template_change_is_wiped() {
    let lab = Lab::with_demo(demo());
    lab.set_image("v2");
    lab.patch_status(&json!({"promoteFull": true}));
    let rollout = lab.until_phase("Paused");
    assert_eq!(rollout.count("/status/currentStepIndex"), 1);
    assert!(!rollout.has("/status/promoteFull"));
}

#[test]
fn cluster_trap_2_abort_of_a_fully_promoted_canary_is_wiped() {
    let lab = Lab::with_demo(demo());
    lab.patch_status(&json!({"abort": true}));
    lab.until(|rollout| !rollout.flag("/status/abort"));
    assert_eq!(lab.status().text("/phase"), "Healthy");
}

#[test]
fn row_s_cluster_trap_1_promote_is_not_resume() {
    let lab = Lab::with_demo(demo_with(json!([
        {"setWeight": 10}, {"pause": {"duration": "1s"}}, {"setWeight": 30}, {"setWeight": 60},
    ])));
    lab.set_image("v2");
    lab.until(|rollout| rollout.count("/status/currentStepIndex") == 2);
    lab.patch_spec(&json!({"paused": true}));
    lab.until(|rollout| rollout.text("/status/message") == "manually paused");
    let at = lab.status().count("/currentStepIndex");
    // What the plugin's default promote sends here: the next index, then the spec.
    lab.patch_status(&json!({"pauseConditions": null, "currentStepIndex": at + 1}));
    lab.pass(std::time::Duration::from_millis(100));
    assert_eq!(lab.status().count("/currentStepIndex"), at + 1);
    assert_eq!(lab.status().text("/phase"), "Paused");
}

#[test]
fn contradiction_3_promote_under_a_manual_pause_restarts_the_pause_step() {
    let lab = at_the_pause();
    lab.patch_spec(&json!({"paused": true}));
    lab.until(|rollout| rollout.text("/status/message") == "manually paused");
    lab.seconds(1);
    lab.patch_status(&json!({"pauseConditions": null}));
    lab.seconds(1);
    lab.patch_spec(&json!({"paused": false}));
    let rollout = lab.until(|rollout| rollout.text("/status/message") == "CanaryPauseStep");
    assert_eq!(rollout.count("/status/currentStepIndex"), 1);
    lab.seconds(20);
    assert_eq!(lab.status().text("/message"), "CanaryPauseStep");
    // The order that works: the spec is free, now the status.
    lab.patch_status(&json!({"pauseConditions": null}));
    lab.until_phase("Healthy");
}

#[test]
fn contradiction_4_a_timed_pause_runs_on_under_a_manual_pause() {
    let lab = at_the_pause();
    lab.patch_status(&json!({"pauseConditions": null}));
    lab.until(|rollout| {
        rollout.count("/status/currentStepIndex") == 3 && rollout.has("/status/pauseConditions")
    });
    lab.patch_spec(&json!({"paused": true}));
    lab.until(|rollout| rollout.text("/status/message") == "manually paused");
    assert!(lab.rollout().has("/status/pauseConditions"));
    lab.seconds(9);
    assert_eq!(lab.status().count("/currentStepIndex"), 3);
    lab.patch_spec(&json!({"paused": false}));
    lab.pass(std::time::Duration::from_millis(300));
    assert!(lab.status().count("/currentStepIndex") > 3);
}

#[test]
fn hold_and_resume_keep_the_step() {
    let lab = at_the_pause();
    lab.patch_spec(&json!({"paused": true}));
    lab.until(|rollout| rollout.text("/status/message") == "manually paused");
    lab.patch_spec(&json!({"paused": false}));
    let rollout = lab.until(|rollout| rollout.text("/status/message") == "CanaryPauseStep");
    assert_eq!(rollout.count("/status/currentStepIndex"), 1);
}

#[test]
fn contradiction_8_a_missed_deadline_aborts_with_its_own_message() {
    let mut rollout = demo();
    rollout.put("/spec/progressDeadlineSeconds", json!(8));
    rollout.put("/spec/progressDeadlineAbort", json!(true));
    let lab = Lab::with_demo(rollout);
    lab.set_image("bad");
    let rollout = lab.until_phase("Degraded");
    let status = rollout.at("/status");
    let hash = status.text("/currentPodHash").to_owned();
    assert_eq!(
        status.text("/message"),
        format!("ProgressDeadlineExceeded: ReplicaSet \"demo-{hash}\" has timed out progressing.")
    );
    assert!(status.flag("/abort"));
    let stuck = lab.cluster.list("Pod").into_iter().find(|pod| {
        pod.text("/status/containerStatuses/0/state/waiting/reason") == "ImagePullBackOff"
    });
    // It was there until the abort took it away again.
    assert!(stuck.is_some() || status.count("/updatedReplicas") == 0);
}

#[test]
fn without_the_abort_flag_a_missed_deadline_is_only_degraded() {
    let mut rollout = demo();
    rollout.put("/spec/progressDeadlineSeconds", json!(8));
    let lab = Lab::with_demo(rollout);
    lab.set_image("bad");
    let rollout = lab.until_phase("Degraded");
    assert!(!rollout.flag("/status/abort"));
    assert_eq!(rollout.count("/status/updatedReplicas"), 1);
    // A good image gets it going again.
    lab.set_image("v3");
    lab.until_phase("Paused");
}

#[test]
fn changed_steps_begin_the_update_again() {
    let lab = at_the_pause();
    lab.patch_spec(&json!({"strategy": {"canary": {"steps": [
        {"setWeight": 20}, {"pause": {}}, {"setWeight": 100},
    ]}}}));
    lab.until(|rollout| rollout.count("/status/currentStepIndex") == 0);
    let rollout = lab.until_phase("Paused");
    assert_eq!(rollout.count("/status/updatedReplicas"), 2);
}

#[test]
fn restart_replaces_every_pod_and_makes_no_revision() {
    let lab = Lab::with_demo(demo());
    let before: Vec<_> = lab
        .cluster
        .list("Pod")
        .iter()
        .map(|pod| pod.text("/metadata/uid").to_owned())
        .collect();
    lab.seconds(5);
    let now = crate::sim::kubernetes::managed::stamp(*super::locked(&lab.now));
    lab.patch_spec(&json!({"restartAt": now}));
    lab.until(|rollout| rollout.text("/status/message") == "rollout is restarting");
    let rollout = lab.until(|rollout| rollout.text("/status/restartedAt") == now);
    assert_eq!(
        rollout.text("/metadata/annotations/rollout.argoproj.io~1revision"),
        "1"
    );
    lab.until_phase("Healthy");
    let pods = lab.cluster.list("Pod");
    assert_eq!(pods.len(), 10);
    assert!(
        pods.iter()
            .all(|pod| !before.contains(&pod.text("/metadata/uid").to_owned()))
    );
}

#[test]
fn history_is_kept_to_its_limit() {
    let mut rollout = demo_with(json!([{"setWeight": 50}]));
    rollout.put("/spec/revisionHistoryLimit", json!(2));
    rollout.put("/spec/replicas", json!(2));
    let lab = Lab::with_demo(rollout);
    for tag in ["v2", "v3", "v4", "v5"] {
        lab.set_image(tag);
        lab.until(|rollout| {
            rollout.text("/status/phase") == "Healthy"
                && rollout
                    .text("/spec/template/spec/containers/0/image")
                    .ends_with(tag)
        });
        lab.seconds(2);
    }
    assert_eq!(lab.sets().len(), 3);
}

#[test]
fn a_spec_that_makes_no_sense_is_said_so_and_can_be_mended() {
    let mut rollout = demo();
    rollout.put("/spec/strategy/canary/steps/0/setWeight", json!(140));
    let lab = Lab::new();
    lab.cluster.apply(rollout).unwrap();
    let rollout = lab.until_phase("Degraded");
    assert!(
        rollout
            .text("/status/message")
            .starts_with("InvalidSpec: The Rollout \"demo\" is invalid: spec.strategy.canary")
    );
    lab.patch_spec(&json!({"strategy": demo().at("/spec/strategy").clone()}));
    lab.until_phase("Healthy");
}

#[test]
fn speed_divides_what_is_written_so_that_clients_can_count() {
    let lab = Lab::at_speed(10.0);
    lab.cluster.apply(demo()).unwrap();
    let pause = lab
        .rollout()
        .at("/spec/strategy/canary/steps/3/pause/duration")
        .clone();
    assert_eq!(pause, json!("500ms"));
    assert_eq!(lab.rollout().count("/spec/progressDeadlineSeconds"), 60);
    lab.until_phase("Healthy");
    lab.set_image("v2");
    lab.until_phase("Paused");
    lab.patch_status(&json!({"pauseConditions": null}));
    lab.until_phase("Healthy");
}

#[test]
fn an_hour_of_history_is_lived_through_before_the_start() {
    let lab = Lab::new();
    let now = *super::locked(&lab.now);
    let hour = chrono::TimeDelta::hours(1);
    lab.cluster.begin_at(now - hour);
    lab.cluster.apply(demo()).unwrap();
    lab.cluster.live_until(now - hour / 2);
    assert_eq!(lab.status().text("/phase"), "Healthy");
    lab.set_image("v2");
    lab.cluster.live_until(now);
    let status = lab.status();
    assert_eq!(status.text("/phase"), "Paused");
    let paused = status.text("/pauseConditions/0/startTime");
    let since = now - crate::sim::kubernetes::managed::read_stamp(paused).unwrap();
    assert!(since > chrono::TimeDelta::minutes(29), "paused {since} ago");
}
