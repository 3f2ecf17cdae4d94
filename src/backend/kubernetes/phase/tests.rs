//! Phases and sub-states, case by case.

use std::time::Duration;

use serde_json::json;

use super::*;

fn rollout(generation: i64, spec: &Value, status: &Value) -> wire::Rollout {
    let object = json!({"metadata": {"generation": generation}, "spec": spec, "status": status});
    serde_json::from_value(object).unwrap()
}

fn canary() -> Value {
    json!({"replicas": 4, "strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {"duration": "1m"}}]}}})
}

#[track_caller]
fn check(spec: &Value, status: &Value, expected: &RolloutPhase, words: &str) {
    let (phase, message) = phase(&rollout(2, spec, status));
    assert_eq!((&phase, message.as_str()), (expected, words));
}

#[test]
fn the_controllers_phase_counts_once_the_generation_is_seen() {
    let healthy =
        |seen: Value| json!({"observedGeneration": seen, "phase": "Healthy", "message": ""});
    for seen in [json!("2"), json!("3"), json!("7d9f8c"), json!(2)] {
        check(&canary(), &healthy(seen), &RolloutPhase::Healthy, "");
    }
    for seen in [json!("1"), json!(""), Value::Null] {
        check(
            &canary(),
            &healthy(seen),
            &RolloutPhase::Progressing,
            "waiting for rollout spec update to be observed",
        );
    }
}

#[test]
fn an_unknown_phase_keeps_its_word() {
    check(
        &canary(),
        &json!({"observedGeneration": "2", "phase": "Levitating", "message": "high"}),
        &RolloutPhase::Unknown("Levitating".into()),
        "high",
    );
}

#[test]
fn an_ended_pause_is_progress_before_the_controller_moves() {
    check(
        &canary(),
        &json!({"observedGeneration": "2", "phase": "Paused", "controllerPause": true}),
        &RolloutPhase::Progressing,
        "waiting for rollout to unpause",
    );
}

#[test]
fn a_workload_that_was_not_seen_yet_is_no_health() {
    let mut object = rollout(
        2,
        &canary(),
        &json!({"observedGeneration": "2", "workloadObservedGeneration": "4", "phase": "Healthy"}),
    );
    object
        .metadata
        .annotations
        .insert(WORKLOAD_GENERATION.into(), "5".into());
    assert_eq!(phase(&object).0, RolloutPhase::Progressing);
    assert_eq!(substate(&object, None, None, false), Substate::Unobserved);
}

#[test]
fn without_a_phase_it_is_worked_out_in_upstreams_order() {
    let status = |more: Value| {
        let mut status = json!({
            "observedGeneration": "2", "replicas": 4, "updatedReplicas": 4, "availableReplicas": 4,
            "currentPodHash": "b", "stableRS": "b",
        });
        for (key, value) in more.as_object().unwrap() {
            status[key] = value.clone();
        }
        status
    };
    let degraded = |reason: &str| json!({"conditions": [{"type": "Progressing", "status": "False", "reason": reason, "message": "m"}]});
    let cases = [
        (json!({}), RolloutPhase::Healthy, ""),
        (
            json!({"conditions": [{"type": "InvalidSpec", "status": "True", "reason": "InvalidSpec", "message": "m"}]}),
            RolloutPhase::Degraded,
            "InvalidSpec: m",
        ),
        (
            degraded("RolloutAborted"),
            RolloutPhase::Degraded,
            "RolloutAborted: m",
        ),
        (
            degraded("ProgressDeadlineExceeded"),
            RolloutPhase::Degraded,
            "ProgressDeadlineExceeded: m",
        ),
        (
            json!({"pauseConditions": [{"reason": "CanaryPauseStep"}], "updatedReplicas": 1}),
            RolloutPhase::Paused,
            "CanaryPauseStep",
        ),
        (
            json!({"updatedReplicas": 3}),
            RolloutPhase::Progressing,
            "more replicas need to be updated",
        ),
        (
            json!({"availableReplicas": 3}),
            RolloutPhase::Progressing,
            "updated replicas are still becoming available",
        ),
        (
            json!({"replicas": 5}),
            RolloutPhase::Progressing,
            "old replicas are pending termination",
        ),
        (
            json!({"stableRS": "a"}),
            RolloutPhase::Progressing,
            "waiting for all steps to complete",
        ),
    ];
    for (more, expected, words) in cases {
        check(&canary(), &status(more), &expected, words);
    }
    let held = json!({"replicas": 4, "paused": true, "strategy": {"canary": {}}});
    check(
        &held,
        &status(json!({})),
        &RolloutPhase::Paused,
        "manually paused",
    );
    let blue = json!({"replicas": 4, "strategy": {"blueGreen": {"activeService": "s"}}});
    let active = |hash: &str, stable: &str| json!({"blueGreen": {"activeSelector": hash}, "stableRS": stable});
    check(
        &blue,
        &status(active("a", "a")),
        &RolloutPhase::Progressing,
        "active service cutover pending",
    );
    check(
        &blue,
        &status(active("b", "a")),
        &RolloutPhase::Progressing,
        "waiting for analysis to complete",
    );
    check(&blue, &status(active("b", "b")), &RolloutPhase::Healthy, "");
}

#[track_caller]
fn check_substate(spec: &Value, more: &Value, step: Option<&RolloutStep>, expected: &Substate) {
    let mut status = json!({"observedGeneration": "2", "currentPodHash": "b", "stableRS": "a"});
    for (key, value) in more.as_object().unwrap() {
        status[key] = value.clone();
    }
    let object = rollout(2, spec, &status);
    let pause = pause(&object, step);
    let scaling = more.get("scaling").is_some();
    assert_eq!(&substate(&object, pause.as_ref(), step, scaling), expected);
}

fn held() -> Value {
    json!({"paused": true, "strategy": {"canary": {}}})
}

#[test]
fn a_pause_says_whether_it_ends_by_itself() {
    let paused = |reason: &str| {
        json!({
            "controllerPause": true,
            "pauseConditions": [{"reason": reason, "startTime": "2026-01-01T00:00:00Z"}],
        })
    };
    let minute = RolloutStep::Pause(Some(Duration::from_secs(60)));
    let forever = RolloutStep::Pause(None);
    let ends = wire::time(Some(&"2026-01-01T00:01:00Z".to_owned()));
    let step = paused("CanaryPauseStep");
    check_substate(
        &canary(),
        &step,
        Some(&minute),
        &Substate::PausedAtStep(ends),
    );
    check_substate(
        &canary(),
        &step,
        Some(&forever),
        &Substate::PausedAtStep(None),
    );
    // The timer runs on under a hold, but it is the hold that a person must undo.
    check_substate(&held(), &step, Some(&minute), &Substate::Held);
    for reason in ["InconclusiveAnalysisRun", "InconclusiveExperiment"] {
        check_substate(
            &canary(),
            &paused(reason),
            None,
            &Substate::PausedInconclusive,
        );
    }
    let unheard = paused("SolarEclipse");
    check_substate(
        &canary(),
        &unheard,
        Some(&minute),
        &Substate::PausedAtStep(None),
    );
    let ended = json!({"controllerPause": true});
    check_substate(&canary(), &ended, Some(&minute), &Substate::Unpausing);
}

#[test]
fn a_running_step_is_named() {
    let analysis = RolloutStep::Analysis(vec!["latency".into()]);
    let run = |word: &str| json!({"canary": {"currentStepAnalysisRunStatus": {"name": "r", "status": word}}, "scaling": 1});
    let scaling = json!({"scaling": 1});
    for word in ["", "Pending", "Running"] {
        check_substate(&canary(), &run(word), Some(&analysis), &Substate::Analysing);
    }
    check_substate(
        &canary(),
        &run("Successful"),
        Some(&analysis),
        &Substate::ScalingUp,
    );
    let plugin = RolloutStep::Plugin("p".into());
    check_substate(&canary(), &scaling, Some(&plugin), &Substate::RunningPlugin);
    let experiment = RolloutStep::Experiment;
    check_substate(
        &canary(),
        &scaling,
        Some(&experiment),
        &Substate::Experimenting,
    );
    check_substate(&canary(), &scaling, None, &Substate::ScalingUp);
    check_substate(&canary(), &json!({}), None, &Substate::Moving);
    check_substate(
        &canary(),
        &json!({"stableRS": "b"}),
        None,
        &Substate::FullyPromoted,
    );
    let restarting = json!({"restartAt": "2026-01-01T00:00:00Z", "strategy": {"canary": {}}});
    let before = json!({"stableRS": "b", "restartedAt": "2025-01-01T00:00:00Z"});
    check_substate(&restarting, &before, None, &Substate::Restarting);
    let done = json!({"stableRS": "b", "restartedAt": "2026-01-01T00:00:00Z"});
    check_substate(&restarting, &done, None, &Substate::FullyPromoted);
}

#[test]
fn trouble_is_named_by_the_fields_and_not_by_the_message() {
    let late = json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]);
    check_substate(
        &canary(),
        &json!({"conditions": late}),
        None,
        &Substate::DeadlineExceeded,
    );
    let aborted = json!({"abort": true, "conditions": late});
    check_substate(&canary(), &aborted, None, &Substate::Aborted);
    check_substate(&held(), &json!({"abort": true}), None, &Substate::Aborted);
    let invalid = json!({"conditions": [{"type": "InvalidSpec", "status": "True"}]});
    check_substate(&canary(), &invalid, None, &Substate::InvalidSpec);
}

#[test]
fn a_false_abort_left_by_a_retry_is_no_abort() {
    check_substate(&canary(), &json!({"abort": false}), None, &Substate::Moving);
}

#[test]
fn a_blue_green_pause_ends_by_its_own_timer() {
    let object = rollout(
        2,
        &json!({"strategy": {"blueGreen": {"autoPromotionSeconds": 30}}}),
        &json!({"observedGeneration": "2", "pauseConditions": [{"reason": "BlueGreenPause", "startTime": "2026-01-01T00:00:00Z"}]}),
    );
    let pause = pause(&object, None).unwrap();
    assert_eq!(pause.reason, PauseReason::BlueGreen);
    assert_eq!(
        pause.ends_at,
        wire::time(Some(&"2026-01-01T00:00:30Z".to_owned()))
    );
}
