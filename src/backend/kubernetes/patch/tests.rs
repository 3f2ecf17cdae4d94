//! The exact request behind every order.

use super::*;
use crate::{
    backend::kubernetes::{command, settings::Settings},
    domain::{action::RolloutSeen, id::BackendId},
};

fn order(kind: TargetKind, action: RolloutAction) -> RolloutOrder {
    RolloutOrder {
        target: TargetId {
            backend: BackendId::new("prod"),
            kind,
            namespace: "recsys".into(),
            name: "ranker".into(),
        },
        action,
        seen: RolloutSeen {
            uid: "u-1".into(),
            pod_hash: Some("7d9f".into()),
            step: Some(3),
            paused_since: None,
        },
    }
}

fn at() -> Timestamp {
    chrono::DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

/// `operations` after the tests for uid, hash and, for throttles, the step.
#[track_caller]
fn check(action: RolloutAction, part: &str, throttle: bool, operations: &Value) {
    let order = order(TargetKind::Rollout, action);
    let patch = match draft(&order, true) {
        Draft::Ready(patch) => patch,
        Draft::AfterReading(_) => promote_full(&order),
        Draft::Impossible(words) => panic!("{words}"),
    };
    let mut expected = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": "u-1"}),
        json!({"op": "test", "path": "/status/currentPodHash", "value": "7d9f"}),
    ];
    if throttle {
        expected.push(json!({"op": "test", "path": "/status/currentStepIndex", "value": 3}));
    }
    expected.extend(operations.as_array().unwrap().iter().cloned());
    assert_eq!(patch.body, Value::Array(expected));
    assert_eq!(patch.content_type, "application/json-patch+json");
    assert_eq!(
        patch.path,
        format!(
            "/apis/argoproj.io/v1alpha1/namespaces/recsys/rollouts/ranker{part}?fieldManager=gonogo"
        )
    );
}

#[test]
fn brakes_test_the_object_and_the_revision_but_never_the_step() {
    check(
        RolloutAction::Hold,
        "",
        false,
        &json!([{"op": "add", "path": "/spec/paused", "value": true}]),
    );
    check(
        RolloutAction::Abort,
        "/status",
        false,
        &json!([
            {"op": "add", "path": "/status/abort", "value": true},
            {"op": "add", "path": "/status/promoteFull", "value": false},
        ]),
    );
}

#[test]
fn throttles_test_the_step_as_well() {
    check(
        RolloutAction::Retry { anew: false },
        "/status",
        true,
        &json!([{"op": "add", "path": "/status/abort", "value": false}]),
    );
    check(
        RolloutAction::PromoteFull,
        "/status",
        true,
        &json!([{"op": "add", "path": "/status/promoteFull", "value": true}]),
    );
}

#[test]
fn cluster_trap_1_resume_continue_and_skip_are_three_requests() {
    check(
        RolloutAction::Resume,
        "",
        true,
        &json!([{"op": "add", "path": "/spec/paused", "value": false}]),
    );
    check(
        RolloutAction::Continue,
        "/status",
        true,
        &json!([{"op": "remove", "path": "/status/pauseConditions"}]),
    );
    check(
        RolloutAction::Skip { to: 4 },
        "/status",
        true,
        &json!([
            {"op": "add", "path": "/status/currentStepIndex", "value": 4},
            {"op": "add", "path": "/status/pauseConditions", "value": []},
            {"op": "add", "path": "/status/controllerPause", "value": false},
        ]),
    );
}

#[test]
fn a_switch_ends_the_pause_and_a_countdown_is_let_run_out() {
    check(
        RolloutAction::Switch { early: false },
        "/status",
        true,
        &json!([{"op": "remove", "path": "/status/pauseConditions"}]),
    );
    check(
        RolloutAction::Switch { early: true },
        "/status",
        true,
        &json!([
            {"op": "test", "path": "/status/pauseConditions/0/reason", "value": "BlueGreenPause"},
            {"op": "replace", "path": "/status/pauseConditions/0/startTime", "value": "1970-01-01T00:00:00Z"},
        ]),
    );
}

#[test]
fn a_preview_that_is_tried_again_is_judged_anew() {
    check(
        RolloutAction::Retry { anew: true },
        "/status",
        true,
        &json!([
            {"op": "add", "path": "/status/abort", "value": false},
            {"op": "add", "path": "/status/blueGreen/prePromotionAnalysisRunStatus", "value": null},
            {"op": "add", "path": "/status/blueGreen/postPromotionAnalysisRunStatus", "value": null},
        ]),
    );
}

#[test]
fn cluster_trap_7_status_goes_to_status_and_spec_to_the_object() {
    let status = [
        RolloutAction::Continue,
        RolloutAction::Skip { to: 4 },
        RolloutAction::Abort,
        RolloutAction::Retry { anew: false },
        RolloutAction::Retry { anew: true },
        RolloutAction::Switch { early: false },
        RolloutAction::Switch { early: true },
    ];
    for action in status {
        let Draft::Ready(patch) = draft(&order(TargetKind::Rollout, action), true) else {
            panic!("it needs no reading");
        };
        assert!(patch.path.contains("/status?"), "{}", patch.path);
        assert!(!patch.body.to_string().contains("/spec/"), "{}", patch.body);
    }
    for action in [
        RolloutAction::Hold,
        RolloutAction::Resume,
        RolloutAction::Restart { at: at() },
    ] {
        let Draft::Ready(patch) = draft(&order(TargetKind::Rollout, action), true) else {
            panic!("it needs no reading");
        };
        assert!(patch.path.contains("/ranker?"), "{}", patch.path);
    }
}

#[test]
fn without_a_status_part_the_object_is_merged_into() {
    for (action, status) in [
        (
            RolloutAction::Abort,
            json!({"abort": true, "promoteFull": false}),
        ),
        (
            RolloutAction::Retry { anew: false },
            json!({"abort": false}),
        ),
        (
            RolloutAction::Retry { anew: true },
            json!({"abort": false, "blueGreen": {
                "prePromotionAnalysisRunStatus": null, "postPromotionAnalysisRunStatus": null,
            }}),
        ),
        (
            RolloutAction::Switch { early: true },
            json!({"pauseConditions": [
                {"reason": "BlueGreenPause", "startTime": "1970-01-01T00:00:00Z"},
            ]}),
        ),
        (RolloutAction::PromoteFull, json!({"promoteFull": true})),
        (RolloutAction::Continue, json!({"pauseConditions": null})),
        (
            RolloutAction::Skip { to: 4 },
            json!({"currentStepIndex": 4, "pauseConditions": null, "controllerPause": false}),
        ),
    ] {
        let Draft::Ready(patch) = draft(&order(TargetKind::Rollout, action), false) else {
            panic!("it needs no reading");
        };
        assert_eq!(patch.content_type, "application/merge-patch+json");
        assert_eq!(
            patch.body,
            json!({"status": status, "metadata": {"uid": "u-1"}})
        );
        assert!(patch.path.contains("/ranker?"), "{}", patch.path);
    }
}

#[test]
fn a_nudge_touches_nothing_but_an_annotation() {
    for kind in [TargetKind::Rollout, TargetKind::Deployment] {
        let Draft::Ready(patch) = draft(&order(kind, RolloutAction::Nudge { at: at() }), true)
        else {
            panic!("it needs no reading");
        };
        assert_eq!(
            patch.body,
            json!({"metadata": {"annotations": {"gonogo.dev/nudge": "2026-01-01T00:00:00Z"}, "uid": "u-1"}})
        );
    }
}

#[test]
fn restarts_write_the_instant() {
    check(
        RolloutAction::Restart { at: at() },
        "",
        false,
        &json!([{"op": "add", "path": "/spec/restartAt", "value": "2026-01-01T00:00:00Z"}]),
    );
    let order = order(TargetKind::Deployment, RolloutAction::Restart { at: at() });
    let Draft::Ready(patch) = draft(&order, true) else {
        panic!("it needs no reading");
    };
    let annotations = json!({"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"});
    assert_eq!(
        patch.body,
        json!({"spec": {"template": {"metadata": {"annotations": annotations}}}, "metadata": {"uid": "u-1"}})
    );
    assert_eq!(
        patch.path,
        "/apis/apps/v1/namespaces/recsys/deployments/ranker?fieldManager=gonogo"
    );
}

#[test]
fn a_deployment_is_held_and_knows_no_canary() {
    let Draft::Ready(patch) = draft(&order(TargetKind::Deployment, RolloutAction::Hold), true)
    else {
        panic!("it needs no reading");
    };
    assert_eq!(
        patch.body,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "u-1"},
            {"op": "add", "path": "/spec/paused", "value": true},
        ])
    );
    for action in [
        RolloutAction::Continue,
        RolloutAction::Skip { to: 1 },
        RolloutAction::PromoteFull,
        RolloutAction::Abort,
        RolloutAction::Retry { anew: false },
    ] {
        assert_eq!(
            draft(&order(TargetKind::Deployment, action), true),
            Draft::Impossible("a Deployment has no canary")
        );
    }
}

#[track_caller]
fn check_command(kind: TargetKind, action: RolloutAction, expected: &str) {
    let order = order(kind, action);
    let patch = match draft(&order, true) {
        Draft::Ready(patch) => patch,
        Draft::AfterReading(_) | Draft::Impossible(_) => tested(&order, Part::Main, Vec::new()),
    };
    let settings = Settings {
        kubeconfig: Some("/home/me/my config".into()),
        context: Some("prod-eu".into()),
        ..Settings::default()
    };
    assert_eq!(
        command::by_hand(&settings, &order, &patch),
        expected.replace(
            "KUBECTL",
            "kubectl --kubeconfig '/home/me/my config' --context prod-eu -n recsys"
        )
    );
}

#[test]
fn the_command_to_paste_does_the_same() {
    check_command(
        TargetKind::Rollout,
        RolloutAction::Abort,
        "KUBECTL patch rollouts.argoproj.io ranker --subresource=status --type=json -p \
         '[{\"op\":\"test\",\"path\":\"/metadata/uid\",\"value\":\"u-1\"},\
         {\"op\":\"test\",\"path\":\"/status/currentPodHash\",\"value\":\"7d9f\"},\
         {\"op\":\"add\",\"path\":\"/status/abort\",\"value\":true},\
         {\"op\":\"add\",\"path\":\"/status/promoteFull\",\"value\":false}]'",
    );
    check_command(
        TargetKind::Deployment,
        RolloutAction::Undo {
            hash: "5c6b".into(),
        },
        "KUBECTL get replicasets -l pod-template-hash=5c6b -o json | jq -c \
         '[{op:\"replace\",path:\"/spec/template\",value:(.items[0].spec.template|\
         del(.metadata.labels[\"pod-template-hash\"]))}]' | KUBECTL patch deployments ranker \
         --type=json --patch-file=/dev/stdin",
    );
}

#[test]
fn the_check_is_said_in_words() {
    let words = |kind, action, has_status| check_words(kind, action, has_status);
    assert_eq!(
        words(TargetKind::Rollout, RolloutAction::Abort, true),
        "same object (uid) and revision (pod hash), else 422"
    );
    assert_eq!(
        words(TargetKind::Rollout, RolloutAction::Continue, true),
        "same object (uid), revision (pod hash) and step, else 422"
    );
    assert_eq!(
        words(TargetKind::Rollout, RolloutAction::Abort, false),
        "same object (uid), else 409 or 422"
    );
}

fn check_words(kind: TargetKind, action: RolloutAction, has_status: bool) -> String {
    super::check(&order(kind, action), has_status).to_string()
}
