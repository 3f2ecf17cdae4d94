//! The blue/green part of a Rollout: services, switch, analyses around it.

use std::time::Duration;

use crate::{
    backend::kubernetes::{analysis, rollouts, wire},
    domain::{
        rollout::{AnalysisPhase, BlueGreen, Promotion, SwitchAnalysis},
        text::Clean,
    },
};

/// Seconds the controller keeps pods nobody needs, where the spec is silent.
const KEPT: i64 = 30;

/// What a blue/green rollout has that others have not; `None` for others.
pub(super) fn blue_green(object: &wire::Rollout) -> Option<BlueGreen> {
    let spec = object.spec.strategy.blue_green.as_ref()?;
    let status = &object.status.blue_green;
    let full = object.spec.replicas.unwrap_or(1);
    Some(BlueGreen {
        active_service: Clean::name(&spec.active_service),
        active: rollouts::hash(status.active_selector.as_ref()),
        preview_service: spec
            .preview_service
            .as_deref()
            .filter(|name| !name.is_empty())
            .map(Clean::name),
        preview: rollouts::hash(status.preview_selector.as_ref()),
        promotion: promotion(spec),
        preview_pods: spec
            .preview_replica_count
            .filter(|few| *few != full)
            .map(|few| wire::count(Some(few))),
        before: judged(
            spec.pre_promotion_analysis.as_ref(),
            status.pre_promotion_analysis_run_status.as_ref(),
        ),
        after: judged(
            spec.post_promotion_analysis.as_ref(),
            status.post_promotion_analysis_run_status.as_ref(),
        ),
        keeps_old: seconds(spec.scale_down_delay_seconds.unwrap_or(KEPT)),
        // Zero is written by those who want an aborted preview to stay.
        keeps_aborted: match spec.abort_scale_down_delay_seconds.unwrap_or(KEPT) {
            0 => None,
            delay => Some(seconds(delay)),
        },
    })
}

/// What the switch waits for. Where it is to be done by hand, a delay written
/// beside that has no effect (`CompletedBlueGreenPause`, argo-rollouts).
pub(super) fn promotion(spec: &wire::BlueGreen) -> Promotion {
    let delay = spec.auto_promotion_seconds.filter(|seconds| 0 < *seconds);
    match (spec.auto_promotion_enabled, delay) {
        (Some(false), _) => Promotion::ByHand,
        (_, Some(delay)) => Promotion::After(seconds(delay)),
        (_, None) => Promotion::AtOnce,
    }
}

/// Whether an analysis is running that decides about the switch, or about
/// whether it stays.
pub(super) fn is_analysing(object: &wire::Rollout) -> bool {
    let Some(facts) = blue_green(object) else {
        return false;
    };
    let status = &object.status;
    let current = rollouts::hash(status.current_pod_hash.as_ref());
    let stable = rollouts::hash(status.stable_rs.as_ref());
    let due = if facts.active == current {
        facts.after
    } else {
        facts.before
    };
    let runs = |it: SwitchAnalysis| {
        matches!(
            it.phase,
            Some(AnalysisPhase::Pending | AnalysisPhase::Running)
        )
    };
    current.is_some() && current != stable && due.is_some_and(runs)
}

fn judged(
    written: Option<&wire::RolloutAnalysis>,
    run: Option<&wire::AnalysisRunRef>,
) -> Option<SwitchAnalysis> {
    let templates: Vec<Clean> = written?
        .templates
        .iter()
        .map(|template| Clean::name(&template.template_name))
        .collect();
    // One without templates is never run.
    (!templates.is_empty()).then(|| SwitchAnalysis {
        templates,
        phase: run.map(|run| analysis::phase(&run.status)),
        message: Clean::line(run.map(|run| run.message.as_str()).unwrap_or_default()),
    })
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(strategy: &Value, status: &Value) -> wire::Rollout {
        let object = json!({
            "metadata": {"name": "ranker"},
            "spec": {"replicas": 4, "strategy": {"blueGreen": strategy}},
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn services_revisions_and_analyses_are_told() {
        let facts = blue_green(&read(
            &json!({
                "activeService": "ranker", "previewService": "ranker-preview",
                "autoPromotionEnabled": false, "previewReplicaCount": 1,
                "prePromotionAnalysis": {"templates": [{"templateName": "smoke"}, {"templateName": "bias"}]},
                "postPromotionAnalysis": {"templates": []},
                "scaleDownDelaySeconds": 600, "abortScaleDownDelaySeconds": 0,
            }),
            &json!({"blueGreen": {
                "activeSelector": "a", "previewSelector": "b",
                "prePromotionAnalysisRunStatus": {"name": "ranker-b-2-pre", "status": "Failed", "message": "bias 0.3"},
            }}),
        ))
        .unwrap();
        assert_eq!(facts.active_service, "ranker");
        assert_eq!(facts.preview_service.as_deref(), Some("ranker-preview"));
        assert_eq!(
            (facts.active.as_deref(), facts.preview.as_deref()),
            (Some("a"), Some("b"))
        );
        let before = facts.before.unwrap();
        assert_eq!(before.label(), "smoke, bias");
        assert_eq!(before.phase, Some(AnalysisPhase::Failed));
        assert_eq!(before.message, "bias 0.3");
        assert_eq!(facts.after, None);
        assert_eq!(facts.preview_pods, Some(1));
        assert_eq!(facts.keeps_old, Duration::from_secs(600));
        assert_eq!(facts.keeps_aborted, None);
    }

    #[test]
    fn what_is_not_written_is_as_the_controller_takes_it() {
        let facts = blue_green(&read(&json!({"activeService": "ranker"}), &json!({}))).unwrap();
        assert_eq!((facts.active, facts.preview_service), (None, None));
        assert_eq!(facts.promotion, Promotion::AtOnce);
        assert_eq!(facts.keeps_old, Duration::from_secs(30));
        assert_eq!(facts.keeps_aborted, Some(Duration::from_secs(30)));
        // As many as without it.
        let same = json!({"activeService": "ranker", "previewReplicaCount": 4});
        assert_eq!(
            blue_green(&read(&same, &json!({}))).unwrap().preview_pods,
            None
        );
    }

    #[test]
    fn a_delay_counts_only_where_nobody_has_to_promote() {
        let delay = Promotion::After(Duration::from_secs(90));
        for (strategy, expected) in [
            (json!({}), Promotion::AtOnce),
            (json!({"autoPromotionSeconds": 90}), delay),
            (
                json!({"autoPromotionEnabled": true, "autoPromotionSeconds": 90}),
                delay,
            ),
            (
                json!({"autoPromotionEnabled": true, "autoPromotionSeconds": 0}),
                Promotion::AtOnce,
            ),
            (json!({"autoPromotionEnabled": false}), Promotion::ByHand),
            (
                json!({"autoPromotionEnabled": false, "autoPromotionSeconds": 90}),
                Promotion::ByHand,
            ),
        ] {
            let spec: wire::BlueGreen = serde_json::from_value(strategy).unwrap();
            assert_eq!(promotion(&spec), expected);
        }
    }

    #[test]
    fn only_the_analysis_that_decides_now_is_running() {
        let strategy = json!({
            "activeService": "ranker",
            "prePromotionAnalysis": {"templates": [{"templateName": "smoke"}]},
            "postPromotionAnalysis": {"templates": [{"templateName": "soak"}]},
        });
        let at = |active: &str, stable: &str, pre: &str, post: Value| {
            is_analysing(&read(
                &strategy,
                &json!({"currentPodHash": "b", "stableRS": stable, "blueGreen": {
                    "activeSelector": active,
                    "prePromotionAnalysisRunStatus": {"status": pre},
                    "postPromotionAnalysisRunStatus": post,
                }}),
            ))
        };
        assert!(at("a", "a", "Running", Value::Null));
        assert!(!at("a", "a", "Successful", Value::Null));
        assert!(at("b", "a", "Successful", json!({"status": "Running"})));
        assert!(!at("b", "a", "Running", json!({"status": "Successful"})));
        assert!(!at("b", "b", "Successful", json!({"status": "Running"})));
    }
}
