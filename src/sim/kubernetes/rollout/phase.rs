//! The phase and message a controller writes into the status.

use serde_json::Value;

use crate::sim::kubernetes::value::Fields;

/// The phase of a rollout with this spec and status, and its message.
pub(super) fn of(rollout: &Value, status: &Value) -> (&'static str, String) {
    const PROGRESSING: &str = "Progressing";
    for condition in status.items("/conditions") {
        let (kind, reason) = (condition.text("/type"), condition.text("/reason"));
        let message = condition.text("/message");
        if kind == "InvalidSpec" {
            return ("Degraded", format!("InvalidSpec: {message}"));
        }
        if matches!(reason, "RolloutAborted" | "ProgressDeadlineExceeded") {
            return ("Degraded", format!("{reason}: {message}"));
        }
    }
    if rollout.flag("/spec/paused") {
        return ("Paused", "manually paused".to_owned());
    }
    if let Some(pause) = status.items("/pauseConditions").first() {
        return ("Paused", pause.text("/reason").to_owned());
    }
    let because = |message: &str| (PROGRESSING, message.to_owned());
    let wanted = rollout.at("/spec/restartAt");
    if !wanted.is_null() && wanted != status.at("/restartedAt") {
        return because("rollout is restarting");
    }
    let replicas = rollout.number("/spec/replicas").unwrap_or(1);
    let updated = status.count("/updatedReplicas");
    if updated < replicas {
        return because("more replicas need to be updated");
    }
    if status.count("/availableReplicas") < updated {
        return because("updated replicas are still becoming available");
    }
    let current = status.text("/currentPodHash");
    let stable = status.text("/stableRS");
    let promoted = !stable.is_empty() && stable == current;
    if rollout.has("/spec/strategy/blueGreen") {
        let active = status.text("/blueGreen/activeSelector");
        if active.is_empty() || active != current {
            return because("active service cutover pending");
        }
        if !promoted {
            let run = status.text("/blueGreen/postPromotionAnalysisRunStatus/status");
            let ended = matches!(run, "Successful" | "Failed" | "Error" | "Inconclusive");
            let judged = rollout.has("/spec/strategy/blueGreen/postPromotionAnalysis");
            return because(if judged && !ended {
                "waiting for analysis to complete"
            } else {
                "waiting for post-promotion verification to complete"
            });
        }
    } else {
        let routed = rollout.has("/spec/strategy/canary/trafficRouting");
        if !routed && status.count("/replicas") > updated {
            return because("old replicas are pending termination");
        }
        if !promoted {
            return because("waiting for all steps to complete");
        }
    }
    ("Healthy", String::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(spec: &Value, status: &Value, phase: &str, message: &str) {
        let mut rollout = json!({"spec": {"replicas": 2, "strategy": {"canary": {}}}});
        crate::sim::kubernetes::patch::merge_patch(&mut rollout, &json!({"spec": spec}));
        assert_eq!(of(&rollout, status), (phase, message.to_owned()));
    }

    fn whole() -> Value {
        json!({
            "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2,
            "currentPodHash": "a", "stableRS": "a",
        })
    }

    fn with(changes: &Value) -> Value {
        let mut status = whole();
        crate::sim::kubernetes::patch::merge_patch(&mut status, changes);
        status
    }

    #[test]
    fn phases_and_messages_are_those_of_the_controller() {
        check(&json!({}), &whole(), "Healthy", "");
        check(
            &json!({"paused": true}),
            &whole(),
            "Paused",
            "manually paused",
        );
        let pause = json!({"pauseConditions": [{"reason": "CanaryPauseStep"}]});
        check(&json!({}), &with(&pause), "Paused", "CanaryPauseStep");
        let few = json!({"updatedReplicas": 1});
        check(
            &json!({}),
            &with(&few),
            "Progressing",
            "more replicas need to be updated",
        );
        let slow = json!({"availableReplicas": 1});
        check(
            &json!({}),
            &with(&slow),
            "Progressing",
            "updated replicas are still becoming available",
        );
        let old = json!({"replicas": 3});
        check(
            &json!({}),
            &with(&old),
            "Progressing",
            "old replicas are pending termination",
        );
        let middle = json!({"stableRS": "b"});
        check(
            &json!({}),
            &with(&middle),
            "Progressing",
            "waiting for all steps to complete",
        );
        let restart = json!({"restartAt": "2026-01-01T00:00:00Z"});
        check(&restart, &whole(), "Progressing", "rollout is restarting");
    }

    #[test]
    fn an_abort_wins_over_a_pause() {
        let aborted = json!({"conditions": [{
            "type": "Progressing", "reason": "RolloutAborted",
            "message": "Rollout aborted update to revision 3",
        }]});
        check(
            &json!({"paused": true}),
            &with(&aborted),
            "Degraded",
            "RolloutAborted: Rollout aborted update to revision 3",
        );
    }
}
