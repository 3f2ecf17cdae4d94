//! Runs, rollouts and releases as JSON, field by field, for people who want to
//! see everything that is known about one thing.

use serde_json::{Value, json};

use crate::{
    domain::{
        pipeline::{Job, Run, Step},
        rollout::{
            Analysis, AnalysisMetric, AnalysisPhase, AnalysisStage, BlueGreen, Cutover, Pause,
            PauseReason, PodCounts, Promotion, Revision, Role, Rollout, RolloutPhase, RolloutStep,
            Strategy, SwitchAnalysis,
        },
        text::Clean,
    },
    engine::{release::Release, world::Known},
    report::json::{parts, stamp},
};

/// A release with the rule that tied each part to it.
pub fn release(release: &Release) -> Value {
    json!({
        "release": release.id.as_str(),
        "service": release.service.as_str(),
        "label": release.label.as_str(),
        "title": release.title.as_str(),
        "branch": release.branch.as_str(),
        "actor": release.actor.as_str(),
        "created_at": release.created_at.map(stamp),
        "parts": parts(release),
    })
}

/// A run with its jobs and their steps.
pub fn run(run: &Run, jobs: &[&Known<Job>]) -> Value {
    json!({
        "id": run.id.id.to_string(),
        "backend": run.id.backend.as_str(),
        "repo": run.id.repo.as_str(),
        "workflow": run.pipeline.workflow.as_str(),
        "number": run.number,
        "attempt": run.attempt,
        "title": run.title.as_str(),
        "branch": run.branch.as_str(),
        "head_sha": run.head_sha.as_str(),
        "event": run.event.as_str(),
        "actor": run.actor.as_str(),
        "status": run.status.word(),
        "reason": run.status.reason.as_deref(),
        "created_at": run.created_at.map(stamp),
        "started_at": run.started_at.map(stamp),
        "updated_at": run.updated_at.map(stamp),
        "url": run.url.as_str(),
        "jobs": jobs.iter().map(|known| job(known)).collect::<Vec<_>>(),
    })
}

fn job(job: &Job) -> Value {
    json!({
        "id": job.id.id.to_string(),
        "name": job.name.as_str(),
        "attempt": job.attempt,
        "stage": job.stage.name(),
        "status": job.status.word(),
        "reason": job.status.reason.as_deref(),
        "runner": job.runner.as_deref(),
        "started_at": job.started_at.map(stamp),
        "ended_at": job.ended_at.map(stamp),
        "url": job.url.as_str(),
        "steps": job.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(step: &Step) -> Value {
    json!({
        "number": step.number,
        "name": step.name.as_str(),
        "status": step.status.word(),
        "started_at": step.started_at.map(stamp),
        "ended_at": step.ended_at.map(stamp),
    })
}

/// A rollout with its revisions and analyses.
pub fn rollout(rollout: &Rollout) -> Value {
    let texts = |pairs: &[(Clean, Clean)]| -> Value {
        pairs
            .iter()
            .map(|(key, value)| (key.to_string(), json!(value.as_str())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "target": rollout.id.to_string(),
        "uid": rollout.uid.as_str(),
        "version": rollout.version.map(|version| version.to_string()),
        "observed": rollout.observed,
        "strategy": strategy(&rollout.strategy),
        "blue_green": rollout.blue_green.as_ref().map(|facts| blue_green(rollout, facts)),
        "phase": phase(&rollout.phase),
        "message": rollout.message.as_str(),
        "held": rollout.held,
        "pause": rollout.pause.as_ref().map(pause),
        "aborted": rollout.aborted.is_some(),
        "aborted_at": rollout.aborted.flatten().map(stamp),
        "promoting_full": rollout.promoting_full,
        "step": rollout.step,
        "steps": rollout.steps.iter().map(RolloutStep::label).collect::<Vec<_>>(),
        "current_hash": rollout.current_hash.as_deref(),
        "stable_hash": rollout.stable_hash.as_deref(),
        "weight": {
            "wanted": rollout.weight_wanted.get(),
            "actual": rollout.weight_actual.get(),
            "by_pods": rollout.weight_is_pod_ratio,
            "verified": rollout.weight_verified,
        },
        "pods": pods(rollout.pods),
        "revisions": rollout.revisions.iter().map(revision).collect::<Vec<_>>(),
        "analyses": rollout.analyses.iter().map(analysis).collect::<Vec<_>>(),
        "rollback_window": rollout.rollback_window,
        "gitops": rollout.gitops.as_ref().map(|gitops| json!({
            "tool": gitops.tool.as_str(),
            "owner": gitops.owner.as_str(),
            "evidence": gitops.evidence.as_str(),
        })),
        "annotations": texts(&rollout.annotations),
        "created_at": rollout.created_at.map(stamp),
        "changed_at": rollout.changed_at.map(stamp),
        "completed_at": rollout.completed_at.map(stamp),
    })
}

fn strategy(strategy: &Strategy) -> &str {
    match strategy {
        Strategy::Canary => "canary",
        Strategy::BlueGreen => "blue-green",
        Strategy::RollingUpdate => "rolling update",
        Strategy::Recreate => "recreate",
        Strategy::Unknown(word) => word,
    }
}

/// `stage`: how far the switch is, while one is under way.
fn blue_green(rollout: &Rollout, facts: &BlueGreen) -> Value {
    let analysis = |analysis: &SwitchAnalysis| {
        json!({
            "templates": analysis.templates.iter().map(Clean::as_str).collect::<Vec<_>>(),
            "phase": analysis.phase.as_ref().map(analysis_phase),
            "message": analysis.message.as_str(),
        })
    };
    let (promotion, delay) = match facts.promotion {
        Promotion::ByHand => ("by hand", None),
        Promotion::AtOnce => ("at once", None),
        Promotion::After(delay) => ("after a delay", Some(delay.as_secs())),
    };
    json!({
        "stage": rollout.cutover().map(|cutover| match cutover {
            Cutover::Preview => "preview",
            Cutover::Switched => "switched",
        }),
        "active": { "service": facts.active_service.as_str(), "hash": facts.active.as_deref() },
        "preview": facts.preview_service.as_ref().map(|service| {
            json!({ "service": service.as_str(), "hash": facts.preview.as_deref() })
        }),
        "promotion": promotion,
        "promotion_delay_s": delay,
        "analysis_before": facts.before.as_ref().map(analysis),
        "analysis_after": facts.after.as_ref().map(analysis),
        "keeps_old_s": facts.keeps_old.as_secs(),
        "keeps_aborted_s": facts.keeps_aborted.map(|delay| delay.as_secs()),
    })
}

fn phase(phase: &RolloutPhase) -> &str {
    match phase {
        RolloutPhase::Healthy => "healthy",
        RolloutPhase::Progressing => "progressing",
        RolloutPhase::Paused => "paused",
        RolloutPhase::Degraded => "degraded",
        RolloutPhase::Unknown(word) => word,
    }
}

fn pause(pause: &Pause) -> Value {
    let reason = match &pause.reason {
        PauseReason::Step => "step",
        PauseReason::BlueGreen => "blue-green",
        PauseReason::InconclusiveAnalysis => "inconclusive analysis",
        PauseReason::InconclusiveExperiment => "inconclusive experiment",
        PauseReason::Unknown(word) => word,
    };
    json!({
        "reason": reason,
        "since": pause.since.map(stamp),
        "ends_at": pause.ends_at.map(stamp),
    })
}

fn pods(pods: PodCounts) -> Value {
    json!({ "desired": pods.desired, "ready": pods.ready, "available": pods.available })
}

fn revision(revision: &Revision) -> Value {
    let role = match revision.role {
        Role::Stable => "stable",
        Role::Canary => "canary",
        Role::Old => "old",
    };
    json!({
        "number": revision.number,
        "hash": revision.hash.as_str(),
        "name": revision.name.as_str(),
        "images": revision.images.iter().map(|image| image.label().to_string()).collect::<Vec<_>>(),
        "role": role,
        "pods": pods(revision.pods),
        "kept_until": revision.kept_until.map(stamp),
        "created_at": revision.created_at.map(stamp),
    })
}

fn analysis(analysis: &Analysis) -> Value {
    json!({
        "name": analysis.name.as_str(),
        "hash": analysis.hash.as_deref(),
        "stage": stage(&analysis.stage),
        "step": match analysis.stage {
            AnalysisStage::Step(step) => Some(step),
            _ => None,
        },
        "phase": analysis_phase(&analysis.phase),
        "message": analysis.message.as_str(),
        "started_at": analysis.started_at.map(stamp),
        "metrics": analysis.metrics.iter().map(analysis_metric).collect::<Vec<_>>(),
    })
}

fn stage(stage: &AnalysisStage) -> &str {
    match stage {
        AnalysisStage::Step(_) => "step",
        AnalysisStage::Background => "background",
        AnalysisStage::BeforeSwitch => "before switch",
        AnalysisStage::AfterSwitch => "after switch",
        AnalysisStage::Unknown(word) => word,
    }
}

fn analysis_phase(phase: &AnalysisPhase) -> &str {
    match phase {
        AnalysisPhase::Pending => "pending",
        AnalysisPhase::Running => "running",
        AnalysisPhase::Successful => "successful",
        AnalysisPhase::Failed => "failed",
        AnalysisPhase::Error => "error",
        AnalysisPhase::Inconclusive => "inconclusive",
        AnalysisPhase::Unknown(word) => word,
    }
}

fn analysis_metric(metric: &AnalysisMetric) -> Value {
    let measurements: Vec<Value> = metric
        .measurements
        .iter()
        .map(|measurement| {
            json!({
                "phase": analysis_phase(&measurement.phase),
                "value": measurement.value.as_str(),
                "at": measurement.at.map(stamp),
            })
        })
        .collect();
    json!({
        "name": metric.name.as_str(),
        "phase": analysis_phase(&metric.phase),
        "message": metric.message.as_str(),
        "success_condition": metric.success_condition.as_deref(),
        "failure_condition": metric.failure_condition.as_deref(),
        "successful": metric.counts.successful,
        "failed": metric.counts.failed,
        "inconclusive": metric.counts.inconclusive,
        "error": metric.counts.error,
        "count": metric.count,
        "failure_limit": metric.failure_limit,
        "dry_run": metric.dry_run,
        "measurements": measurements,
    })
}
