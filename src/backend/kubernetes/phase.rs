//! Phase and sub-state of a Rollout, worked out as the upstream client does.
//!
//! The status alone misleads for a moment after every change: it still shows
//! the old truth until the controller has seen the new spec. Those moments are
//! told apart here, in the order upstream asks.

use serde_json::Value;

use crate::{
    backend::kubernetes::{blue_green, wire},
    domain::{
        Timestamp,
        rollout::{Pause, PauseReason, Promotion, RolloutPhase, RolloutStep, Substate},
        text::Clean,
    },
};

const WORKLOAD_GENERATION: &str = "rollout.argoproj.io/workload-generation";

/// Whether the controller has seen the newest spec.
///
/// The field is a string. Very old controllers wrote a hash: one that is no
/// number, or a number above the generation, counts as seen.
pub(super) fn is_observed(rollout: &wire::Rollout) -> bool {
    let generation = rollout.metadata.generation.unwrap_or(0);
    let spec_seen = match &rollout.status.observed_generation {
        Value::String(text) if text.is_empty() => false,
        Value::String(text) => text.parse::<i64>().map_or(true, |seen| generation <= seen),
        Value::Number(number) => number.as_i64().is_none_or(|seen| generation <= seen),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    };
    spec_seen && is_workload_observed(rollout)
}

/// The same for the workload a Rollout refers to. Upstream's own check compares
/// a field that is never sent, so it never fires in a client.
fn is_workload_observed(rollout: &wire::Rollout) -> bool {
    let wanted = rollout.metadata.annotations.get(WORKLOAD_GENERATION);
    match (wanted, &rollout.status.workload_observed_generation) {
        (Some(wanted), Value::String(seen)) if !seen.is_empty() => wanted == seen,
        _ => true,
    }
}

/// Phase and the words for it.
pub(super) fn phase(rollout: &wire::Rollout) -> (RolloutPhase, Clean) {
    let status = &rollout.status;
    if !is_observed(rollout) {
        return (
            RolloutPhase::Progressing,
            "waiting for rollout spec update to be observed".into(),
        );
    }
    if is_unpausing(rollout) {
        return (
            RolloutPhase::Progressing,
            "waiting for rollout to unpause".into(),
        );
    }
    if let Some(word) = status.phase.as_deref().filter(|word| !word.is_empty()) {
        let phase = match word {
            "Healthy" => RolloutPhase::Healthy,
            "Progressing" => RolloutPhase::Progressing,
            "Paused" => RolloutPhase::Paused,
            "Degraded" => RolloutPhase::Degraded,
            _ => RolloutPhase::Unknown(Clean::name(word)),
        };
        return (
            phase,
            Clean::line(status.message.as_deref().unwrap_or_default()),
        );
    }
    computed(rollout)
}

/// Someone ended a pause and the controller has not moved yet.
fn is_unpausing(rollout: &wire::Rollout) -> bool {
    rollout.status.controller_pause == Some(true) && rollout.status.pause_conditions.is_empty()
}

/// For controllers that do not write a phase.
fn computed(rollout: &wire::Rollout) -> (RolloutPhase, Clean) {
    let (spec, status) = (&rollout.spec, &rollout.status);
    let degraded = status.conditions.iter().find(|condition| {
        (condition.kind == "InvalidSpec" && condition.status == "True")
            || matches!(
                condition.reason.as_str(),
                "RolloutAborted" | "ProgressDeadlineExceeded"
            )
    });
    if let Some(condition) = degraded {
        let words = format!("{}: {}", condition.reason, condition.message);
        return (RolloutPhase::Degraded, Clean::line(&words));
    }
    if spec.paused == Some(true) {
        return (RolloutPhase::Paused, "manually paused".into());
    }
    if let Some(pause) = status.pause_conditions.first() {
        return (RolloutPhase::Paused, Clean::name(&pause.reason));
    }
    match unfinished(rollout) {
        Some(words) => (RolloutPhase::Progressing, words.into()),
        None => (RolloutPhase::Healthy, Clean::default()),
    }
}

/// What an update still waits for, if anything.
fn unfinished(rollout: &wire::Rollout) -> Option<&'static str> {
    let (spec, status) = (&rollout.spec, &rollout.status);
    if is_restarting(rollout) {
        return Some("rollout is restarting");
    }
    let desired = spec.replicas.unwrap_or(1);
    let updated = status.updated_replicas.unwrap_or(0);
    if updated < desired {
        return Some("more replicas need to be updated");
    }
    if status.available_replicas.unwrap_or(0) < updated {
        return Some("updated replicas are still becoming available");
    }
    let current = status.current_pod_hash.as_deref().unwrap_or_default();
    let stable = status.stable_rs.as_deref().unwrap_or_default();
    if spec.strategy.blue_green.is_some() {
        if status
            .blue_green
            .active_selector
            .as_deref()
            .unwrap_or_default()
            != current
        {
            return Some("active service cutover pending");
        }
        return (stable != current).then_some("waiting for analysis to complete");
    }
    let routed = spec
        .strategy
        .canary
        .as_ref()
        .is_some_and(|canary| canary.traffic_routing.is_some());
    if !routed && updated < status.replicas.unwrap_or(0) {
        return Some("old replicas are pending termination");
    }
    (stable != current).then_some("waiting for all steps to complete")
}

fn is_restarting(rollout: &wire::Rollout) -> bool {
    let wanted = wire::time(rollout.spec.restart_at.as_ref());
    wanted.is_some() && wanted != wire::time(rollout.status.restarted_at.as_ref())
}

/// What exactly is going on. `current` is the step it stands at, `scaling`
/// whether the wanted revision still lacks pods.
pub(super) fn substate(
    rollout: &wire::Rollout,
    pause: Option<&Pause>,
    current: Option<&RolloutStep>,
    scaling: bool,
) -> Substate {
    let (spec, status) = (&rollout.spec, &rollout.status);
    let condition = |kind: &str| status.conditions.iter().find(|found| found.kind == kind);
    if !is_observed(rollout) {
        return Substate::Unobserved;
    }
    if condition("InvalidSpec").is_some_and(|found| found.status == "True") {
        return Substate::InvalidSpec;
    }
    // The field tells, not the message: an abort by deadline has the deadline's words.
    if status.abort == Some(true) {
        return Substate::Aborted;
    }
    if condition("Progressing").is_some_and(|found| found.reason == "ProgressDeadlineExceeded") {
        return Substate::DeadlineExceeded;
    }
    if spec.paused == Some(true) {
        return Substate::Held;
    }
    if let Some(pause) = pause {
        return match pause.reason {
            PauseReason::InconclusiveAnalysis | PauseReason::InconclusiveExperiment => {
                Substate::PausedInconclusive
            }
            PauseReason::Step | PauseReason::BlueGreen | PauseReason::Unknown(_) => {
                Substate::PausedAtStep(pause.ends_at)
            }
        };
    }
    if is_unpausing(rollout) {
        return Substate::Unpausing;
    }
    if is_restarting(rollout) {
        return Substate::Restarting;
    }
    let running = match current {
        Some(RolloutStep::Analysis(_)) if is_analysing(status) => Some(Substate::Analysing),
        None if blue_green::is_analysing(rollout) => Some(Substate::Analysing),
        Some(RolloutStep::Experiment) => Some(Substate::Experimenting),
        Some(RolloutStep::Plugin(_)) => Some(Substate::RunningPlugin),
        _ => None,
    };
    if let Some(running) = running {
        return running;
    }
    if scaling {
        return Substate::ScalingUp;
    }
    let promoted = status.current_pod_hash.is_some() && status.current_pod_hash == status.stable_rs;
    if promoted {
        Substate::FullyPromoted
    } else {
        Substate::Moving
    }
}

/// A run whose end is not written yet still runs.
fn is_analysing(status: &wire::RolloutStatus) -> bool {
    status
        .canary
        .current_step_analysis_run_status
        .as_ref()
        .is_none_or(|run| matches!(run.status.as_str(), "" | "Pending" | "Running"))
}

/// Why the controller stands still, and until when. `current` is the step.
pub(super) fn pause(rollout: &wire::Rollout, current: Option<&RolloutStep>) -> Option<Pause> {
    let condition = rollout.status.pause_conditions.first()?;
    let reason = match condition.reason.as_str() {
        "CanaryPauseStep" => PauseReason::Step,
        "BlueGreenPause" => PauseReason::BlueGreen,
        "InconclusiveAnalysisRun" => PauseReason::InconclusiveAnalysis,
        "InconclusiveExperiment" => PauseReason::InconclusiveExperiment,
        other => PauseReason::Unknown(Clean::name(other)),
    };
    let since = wire::time(condition.start_time.as_ref());
    let length = match (&reason, current) {
        (PauseReason::Step, Some(RolloutStep::Pause(length))) => *length,
        (PauseReason::BlueGreen, _) => auto_promotion(rollout),
        _ => None,
    };
    let ends_at = since
        .zip(length)
        .and_then(|(since, length)| end(since, length));
    Some(Pause {
        reason,
        since,
        ends_at,
    })
}

fn auto_promotion(rollout: &wire::Rollout) -> Option<std::time::Duration> {
    match blue_green::promotion(rollout.spec.strategy.blue_green.as_ref()?) {
        Promotion::After(delay) => Some(delay),
        Promotion::ByHand | Promotion::AtOnce => None,
    }
}

fn end(since: Timestamp, length: std::time::Duration) -> Option<Timestamp> {
    since.checked_add_signed(chrono::TimeDelta::from_std(length).ok()?)
}

#[cfg(test)]
mod tests;
