//! AnalysisRuns: a controller's own judgement, as its object tells it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    backend::kubernetes::{
        rollouts::REVISION,
        steps,
        wire::{self, int_or_string},
    },
    domain::{
        rollout::{
            Analysis, AnalysisMeasurement, AnalysisMetric, AnalysisPhase, AnalysisStage,
            MeasurementCounts,
        },
        text::Clean,
    },
};

/// How many of the last measurements are kept.
const KEPT: usize = 10;

/// The analysis behind an AnalysisRun.
pub(super) fn analysis(run: &wire::AnalysisRun) -> Analysis {
    let labels = &run.metadata.labels;
    let results = &run.status.metric_results;
    let mut metrics: Vec<AnalysisMetric> = run
        .spec
        .metrics
        .iter()
        .map(|spec| {
            let result = results.iter().find(|result| result.name == spec.name);
            metric(spec, result, &run.spec.dry_run)
        })
        .collect();
    // A result without a specification is odd, but it was measured.
    for result in results {
        if run.spec.metrics.iter().all(|spec| spec.name != result.name) {
            let spec = wire::MetricSpec {
                name: result.name.clone(),
                ..wire::MetricSpec::default()
            };
            metrics.push(metric(&spec, Some(result), &[]));
        }
    }
    Analysis {
        name: Clean::name(&run.metadata.name),
        hash: labels
            .get("rollouts-pod-template-hash")
            .map(|hash| Clean::name(hash)),
        revision: run
            .metadata
            .annotations
            .get(REVISION)
            .and_then(|number| number.parse().ok()),
        stage: stage(labels),
        phase: phase(&run.status.phase),
        message: Clean::line(&run.status.message),
        started_at: wire::time(run.status.started_at.as_ref())
            .or_else(|| wire::time(run.metadata.creation_timestamp.as_ref())),
        metrics,
    }
}

/// What a run is for, by the labels its controller gave it.
fn stage(labels: &BTreeMap<String, String>) -> AnalysisStage {
    let step = labels.get("step-index").and_then(|it| it.parse().ok());
    match (labels.get("rollout-type").map(String::as_str), step) {
        (Some("Step") | None, Some(step)) => AnalysisStage::Step(step),
        (Some("Background"), _) => AnalysisStage::Background,
        (Some("PrePromotion"), _) => AnalysisStage::BeforeSwitch,
        (Some("PostPromotion"), _) => AnalysisStage::AfterSwitch,
        (word, _) => AnalysisStage::Unknown(Clean::name(word.unwrap_or_default())),
    }
}

pub(super) fn phase(word: &str) -> AnalysisPhase {
    match word {
        "" | "Pending" => AnalysisPhase::Pending,
        "Running" => AnalysisPhase::Running,
        "Successful" => AnalysisPhase::Successful,
        "Failed" => AnalysisPhase::Failed,
        "Error" => AnalysisPhase::Error,
        "Inconclusive" => AnalysisPhase::Inconclusive,
        _ => AnalysisPhase::Unknown(Clean::name(word)),
    }
}

fn metric(
    spec: &wire::MetricSpec,
    result: Option<&wire::MetricResult>,
    dry_run: &[wire::DryRun],
) -> AnalysisMetric {
    let line = |text: &Option<String>| {
        text.as_deref()
            .filter(|text| !text.is_empty())
            .map(Clean::line)
    };
    let interval = spec.interval.as_deref().and_then(steps::go_duration);
    let listed = dry_run.iter().any(|entry| {
        entry.metric_name == spec.name || matches!(entry.metric_name.as_str(), "*" | ".*")
    });
    AnalysisMetric {
        name: Clean::name(&spec.name),
        phase: phase(
            result
                .map(|result| result.phase.as_str())
                .unwrap_or_default(),
        ),
        message: Clean::line(
            result
                .map(|result| result.message.as_str())
                .unwrap_or_default(),
        ),
        success_condition: line(&spec.success_condition),
        failure_condition: line(&spec.failure_condition),
        counts: result.map(counts).unwrap_or_default(),
        count: match int_or_string(&spec.count).filter(|count| 0 < *count) {
            Some(count) => u32::try_from(count).ok(),
            // Without a count it measures once, with an interval for ever.
            None => interval.is_none().then_some(1),
        },
        good_in_a_row: int_or_string(&spec.consecutive_success_limit)
            .filter(|enough| 0 < *enough)
            .map(|enough| result.and_then(|it| it.consecutive_success) >= Some(enough)),
        failure_limit: limit(&spec.failure_limit),
        interval,
        dry_run: listed || result.and_then(|result| result.dry_run) == Some(true),
        measurements: result.map(measurements).unwrap_or_default(),
    }
}

/// How many bad ones are allowed; -1 switches the limit off.
fn limit(written: &Value) -> u32 {
    match int_or_string(written) {
        Some(limit) if limit < 0 => u32::MAX,
        limit => wire::count(limit),
    }
}

fn counts(result: &wire::MetricResult) -> MeasurementCounts {
    MeasurementCounts {
        successful: wire::count(result.successful),
        failed: wire::count(result.failed),
        inconclusive: wire::count(result.inconclusive),
        error: wire::count(result.error),
    }
}

fn measurements(result: &wire::MetricResult) -> Vec<AnalysisMeasurement> {
    let all = &result.measurements;
    all.iter()
        .skip(all.len().saturating_sub(KEPT))
        .map(|measurement| AnalysisMeasurement {
            phase: phase(&measurement.phase),
            value: Clean::line(if measurement.value.is_empty() {
                &measurement.message
            } else {
                &measurement.value
            }),
            at: wire::time(measurement.finished_at.as_ref())
                .or_else(|| wire::time(measurement.started_at.as_ref())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn read(object: Value) -> Analysis {
        analysis(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_run_tells_its_limits_and_its_measurements() {
        let analysis = read(json!({
            "metadata": {
                "name": "ranker-7d9f-3-2",
                "labels": {"rollouts-pod-template-hash": "7d9f", "step-index": "2", "rollout-type": "Step"},
                "annotations": {"rollout.argoproj.io/revision": "3"},
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"metrics": [
                {"name": "errors", "interval": "30s", "count": 5, "failureLimit": "1",
                 "successCondition": "result[0] < 0.05", "provider": {"prometheus": {}}},
                {"name": "shadow", "failureLimit": -1, "provider": {"web": {}}},
            ], "dryRun": [{"metricName": "shadow"}]},
            "status": {"phase": "Failed", "message": "Metric \"errors\" assessed Failed", "metricResults": [
                {"name": "errors", "phase": "Failed", "failed": 2, "successful": 1, "measurements": [
                    {"phase": "Successful", "value": "[0.01]", "finishedAt": "2026-01-01T00:00:30Z"},
                    {"phase": "Error", "message": "no value", "startedAt": "2026-01-01T00:01:00Z"},
                ]},
            ]},
        }));
        assert_eq!(
            (&analysis.stage, analysis.hash.as_deref(), analysis.revision),
            (&AnalysisStage::Step(2), Some("7d9f"), Some(3))
        );
        assert_eq!(analysis.phase, AnalysisPhase::Failed);
        let [errors, shadow] = analysis.metrics.as_slice() else {
            panic!("two metrics: {:?}", analysis.metrics);
        };
        assert_eq!((errors.count, errors.failure_limit), (Some(5), 1));
        assert_eq!(errors.interval, Some(Duration::from_secs(30)));
        assert_eq!(errors.counts.total(), 3);
        assert_eq!(errors.measurements[0].value, "[0.01]");
        assert_eq!(errors.measurements[1].value, "no value");
        assert!(errors.measurements[1].at.is_some());
        assert_eq!((shadow.count, shadow.failure_limit), (Some(1), u32::MAX));
        assert!(shadow.dry_run && !errors.dry_run);
        assert_eq!(shadow.phase, AnalysisPhase::Pending);
    }

    #[test]
    fn how_many_good_ones_in_a_row_are_asked_for_and_came_is_told() {
        let analysis = read(json!({
            "metadata": {"name": "r"},
            "spec": {"metrics": [
                {"name": "there", "count": 10, "consecutiveSuccessLimit": 3},
                {"name": "short", "consecutiveSuccessLimit": "3", "interval": "10s"},
                {"name": "unmeasured", "consecutiveSuccessLimit": 1},
                {"name": "off", "consecutiveSuccessLimit": 0},
                {"name": "silent"},
            ]},
            "status": {"phase": "Successful", "metricResults": [
                {"name": "there", "phase": "Successful", "successful": 4, "consecutiveSuccess": 3},
                {"name": "short", "phase": "Successful", "successful": 4, "consecutiveSuccess": 2},
            ]},
        }));
        let told: Vec<_> = analysis
            .metrics
            .iter()
            .map(|metric| metric.good_in_a_row)
            .collect();
        assert_eq!(told, [Some(true), Some(false), Some(false), None, None]);
    }

    #[test]
    fn what_a_run_is_for_is_told_by_its_labels() {
        for (labels, expected) in [
            (
                json!({"rollout-type": "PrePromotion"}),
                AnalysisStage::BeforeSwitch,
            ),
            (
                json!({"rollout-type": "PostPromotion"}),
                AnalysisStage::AfterSwitch,
            ),
            (
                json!({"rollout-type": "Background"}),
                AnalysisStage::Background,
            ),
            (json!({"step-index": "4"}), AnalysisStage::Step(4)),
            (
                json!({"rollout-type": "Odd"}),
                AnalysisStage::Unknown("Odd".into()),
            ),
            (json!({}), AnalysisStage::Unknown(Clean::default())),
        ] {
            let run = read(json!({"metadata": {"name": "r", "labels": labels}}));
            assert_eq!(run.stage, expected);
        }
    }

    #[test]
    fn only_the_last_measurements_are_kept_and_unknown_words_stay() {
        let many: Vec<Value> = (0..25)
            .map(|n| json!({"phase": "Weird", "value": n.to_string()}))
            .collect();
        let analysis = read(json!({
            "metadata": {"name": "r"},
            "spec": {"metrics": [{"name": "m", "interval": "1m"}]},
            "status": {"phase": "Dreaming", "metricResults": [{"name": "m", "measurements": many}, {"name": "stray"}]},
        }));
        assert_eq!(analysis.phase, AnalysisPhase::Unknown("Dreaming".into()));
        let metric = &analysis.metrics[0];
        assert_eq!(metric.count, None);
        assert_eq!(metric.measurements.len(), 10);
        assert_eq!(metric.measurements[9].value, "24");
        assert_eq!(
            metric.measurements[9].phase,
            AnalysisPhase::Unknown("Weird".into())
        );
        assert_eq!(analysis.metrics[1].name, "stray");
    }
}
