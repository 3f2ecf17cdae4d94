//! What a real Kubernetes with Argo Rollouts answered, read by this adapter.
//!
//! The answers are in `tests/fixtures/kubernetes`, whose README says where and
//! when they were taken. Expected phases are those the real controller wrote;
//! expected weights are reckoned by hand from its steps and pods.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{
    backend::{
        ErrorKind,
        kubernetes::{
            analysis, deployments,
            fault::{self, Asked},
            kind::{Kind, Object},
            phase, rollouts, undo, wire,
        },
    },
    domain::{
        id::BackendId,
        rollout::{
            AnalysisPhase, Cutover, Promotion, Role, Rollout, RolloutPhase, RolloutStep, Substate,
        },
    },
};

fn path(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kubernetes");
    PathBuf::from(folder).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn names(prefix: &str, suffix: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(prefix) && name.ends_with(suffix))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{prefix}*{suffix}");
    names
}

fn sets(name: &str) -> Vec<wire::ReplicaSet> {
    let items = json(name)["items"].take();
    serde_json::from_value(items).unwrap()
}

/// A captured rollout joined with a captured list of ReplicaSets, if named.
fn joined(rollout: &str, sets_file: Option<&str>) -> Rollout {
    let object: wire::Rollout = serde_json::from_value(json(rollout)).unwrap();
    let sets = sets_file.map(sets).unwrap_or_default();
    let owned: Vec<&wire::ReplicaSet> = sets
        .iter()
        .filter(|set| set.metadata.owner("Rollout") == Some(object.metadata.uid.as_str()))
        .collect();
    rollouts::rollout(&BackendId::new("plane"), &object, &owned, &[])
}

#[test]
fn every_captured_rollout_has_the_phase_its_controller_wrote() {
    for name in names("rollout-", ".json") {
        let written = json(&name);
        let fact = joined(&name, None);
        let word = match &fact.phase {
            RolloutPhase::Healthy => "Healthy",
            RolloutPhase::Progressing => "Progressing",
            RolloutPhase::Paused => "Paused",
            RolloutPhase::Degraded => "Degraded",
            RolloutPhase::Unknown(word) => word.as_str(),
        };
        assert!(fact.observed, "{name}");
        assert_eq!(word, written["status"]["phase"], "{name}");
        let unknown = |step: &RolloutStep| matches!(step, RolloutStep::Unknown(_));
        assert!(!fact.steps.iter().any(unknown), "{name}: {:?}", fact.steps);
    }
}

#[test]
fn the_phase_is_worked_out_as_the_controller_does_when_it_writes_none() {
    for name in names("rollout-", ".json") {
        let mut written = json(&name);
        let expected = written["status"]["phase"].take();
        let object: wire::Rollout = serde_json::from_value(written).unwrap();
        let (worked_out, message) = phase::phase(&object);
        assert_eq!(format!("{worked_out:?}"), expected, "{name}: {message}");
    }
}

#[test]
fn every_captured_rollout_has_its_sub_state() {
    use Substate as S;
    for (name, expected) in [
        ("rollout-first-healthy", S::FullyPromoted),
        ("rollout-paused-at-step", S::PausedAtStep(None)),
        ("rollout-held-at-pause", S::Held),
        ("rollout-resumed-at-pause", S::PausedAtStep(None)),
        ("rollout-aborted", S::Aborted),
        ("rollout-retried", S::PausedAtStep(None)),
        ("rollout-promoted-full", S::FullyPromoted),
        ("rollout-deadline-aborted", S::Aborted),
        ("rollout-deadline-not-aborted", S::DeadlineExceeded),
        ("rollout-invalid-spec", S::InvalidSpec),
        ("rollout-analysis-running", S::Analysing),
        ("rollout-analysis-inconclusive", S::PausedInconclusive),
        ("rollout-analysis-failed", S::Aborted),
        ("rollout-background-analysis", S::PausedAtStep(None)),
        ("rollout-workload-ref", S::FullyPromoted),
        ("rollout-no-steps", S::FullyPromoted),
        ("rollout-bluegreen-paused", S::PausedAtStep(None)),
    ] {
        let fact = joined(&format!("{name}.json"), None);
        assert_eq!(fact.substate, expected, "{name}");
    }
    let stuck = joined("rollout-waiting-for-pods.json", None);
    assert_eq!(stuck.substate, S::ScalingUp);
    let timed = joined("rollout-timed-pause.json", None);
    let pause = timed.pause.unwrap();
    let since = pause.since.unwrap();
    assert_eq!((pause.ends_at.unwrap() - since).num_seconds(), 5);
}

#[test]
fn captured_switches_tell_who_has_the_users() {
    let tag = |revision: Option<&crate::domain::rollout::Revision>| {
        revision.unwrap().images[0].label().to_string()
    };
    let waiting = joined(
        "rollout-bluegreen-paused.json",
        Some("replicasets-blue-green-preview.json"),
    );
    let facts = waiting.blue_green.as_ref().unwrap();
    assert_eq!(facts.active_service, "green-active");
    assert_eq!(facts.preview, waiting.current_hash);
    assert_eq!(facts.promotion, Promotion::ByHand);
    assert_eq!(waiting.cutover(), Some(Cutover::Preview));
    assert_eq!(
        (tag(waiting.users()), tag(waiting.current())),
        ("v1".to_owned(), "v2".to_owned())
    );
    assert!(waiting.revisions.iter().all(|one| one.kept_until.is_none()));
    let switched = joined(
        "rollout-blue-green-switched.json",
        Some("replicasets-blue-green-switched.json"),
    );
    assert!(switched.is_fully_promoted());
    let before = switched.revisions.iter().find(|one| one.role == Role::Old);
    assert!(before.unwrap().kept_until.is_some() && before.unwrap().is_up());
    let aborted = joined(
        "rollout-blue-green-aborted.json",
        Some("replicasets-blue-green-aborted.json"),
    );
    assert!(aborted.leaves_users_on_stable());
    assert!(aborted.current().unwrap().kept_until.is_some());
    let soaking = joined("rollout-blue-green-soaking.json", None);
    assert_eq!(soaking.cutover(), Some(Cutover::Switched));
    assert_eq!(soaking.substate, Substate::Analysing);
    let after = soaking.blue_green.unwrap().after.unwrap();
    assert_eq!(
        (after.label().as_str(), after.phase),
        ("soak", Some(AnalysisPhase::Running))
    );
    let left = joined("rollout-blue-green-aborted-users-left.json", None);
    assert!(left.aborted.is_some() && !left.leaves_users_on_stable());
    let counting = joined("rollout-blue-green-counting.json", None);
    let pause = counting.pause.unwrap();
    assert_eq!(
        (pause.ends_at.unwrap() - pause.since.unwrap()).num_seconds(),
        300
    );
}

#[test]
fn captured_weights_agree_with_the_pods() {
    for (rollout, sets, wanted, actual) in [
        (
            "rollout-paused-at-step.json",
            Some("replicasets-paused-at-step.json"),
            10,
            10,
        ),
        (
            "rollout-aborted.json",
            Some("replicasets-aborted.json"),
            0,
            0,
        ),
        ("rollout-promoted-full.json", None, 100, 100),
        ("rollout-traffic-routed.json", None, 15, 15),
        (
            "rollout-traffic-routed-aborted.json",
            Some("replicasets-traffic-routed-aborted.json"),
            0,
            0,
        ),
    ] {
        let fact = joined(rollout, sets);
        assert_eq!(
            (fact.weight_wanted.get(), fact.weight_actual.get()),
            (wanted, actual),
            "{rollout}"
        );
    }
    let routed = joined("rollout-traffic-routed.json", None);
    assert!(!routed.weight_is_pod_ratio);
}

#[test]
fn captured_revisions_have_their_roles() {
    let fact = joined(
        "rollout-paused-at-step.json",
        Some("replicasets-paused-at-step.json"),
    );
    let roles: Vec<(u64, Role, u32)> = fact
        .revisions
        .iter()
        .map(|revision| (revision.number, revision.role, revision.pods.available))
        .collect();
    assert_eq!(roles, [(2, Role::Canary, 1), (1, Role::Stable, 9)]);
    assert_eq!(fact.current().unwrap().images[0].tag.as_deref(), Some("v2"));
    assert_eq!(fact.stable().unwrap().images[0].tag.as_deref(), Some("v1"));
}

#[test]
fn every_captured_analysis_has_its_phase() {
    for name in names("analysisrun-", ".json") {
        let run: wire::AnalysisRun = serde_json::from_value(json(&name)).unwrap();
        let analysis = analysis::analysis(&run);
        let expected = match name.as_str() {
            "analysisrun-failed-prometheus.json" | "analysisrun-failed-web.json" => {
                AnalysisPhase::Failed
            }
            "analysisrun-inconclusive.json" => AnalysisPhase::Inconclusive,
            "analysisrun-measurement-error.json" | "analysisrun-running.json" => {
                AnalysisPhase::Running
            }
            _ => AnalysisPhase::Successful,
        };
        assert_eq!(analysis.phase, expected, "{name}");
        let metric = &analysis.metrics[0];
        let measured = usize::try_from(metric.counts.total()).unwrap();
        assert_eq!(metric.measurements.len(), measured.min(10), "{name}");
        assert!(metric.success_condition.is_some(), "{name}");
    }
}

#[test]
fn every_captured_deployment_has_kubectls_status() {
    use Substate as S;
    for (name, phase, substate, held) in [
        (
            "deployment-complete",
            RolloutPhase::Healthy,
            S::FullyPromoted,
            false,
        ),
        (
            "deployment-rolled-back",
            RolloutPhase::Healthy,
            S::FullyPromoted,
            false,
        ),
        (
            "deployment-progressing",
            RolloutPhase::Progressing,
            S::Unobserved,
            false,
        ),
        ("deployment-held", RolloutPhase::Paused, S::Held, true),
        (
            "deployment-deadline",
            RolloutPhase::Degraded,
            S::DeadlineExceeded,
            false,
        ),
        (
            "deployment-held-past-deadline",
            RolloutPhase::Degraded,
            S::DeadlineExceeded,
            true,
        ),
    ] {
        let object: wire::Deployment =
            serde_json::from_value(json(&format!("{name}.json"))).unwrap();
        let fact = deployments::rollout(&BackendId::new("plane"), &object, &[]);
        assert_eq!(
            (fact.phase, fact.substate, fact.held),
            (phase, substate, held),
            "{name}"
        );
    }
    let object: wire::Deployment =
        serde_json::from_value(json("deployment-rolled-back.json")).unwrap();
    let sets = sets("replicasets-deployment-rolled-back.json");
    let owned: Vec<&wire::ReplicaSet> = sets
        .iter()
        .filter(|set| set.metadata.owner("Deployment") == Some(object.metadata.uid.as_str()))
        .collect();
    let fact = deployments::rollout(&BackendId::new("plane"), &object, &owned);
    assert!(fact.is_fully_promoted());
    let current = fact.current().unwrap();
    assert_eq!(current.pods.available, 4);
    assert_eq!(current.number, fact.revisions[0].number);
}

/// The stamps are those of the conditions in the captured objects.
#[test]
fn what_is_through_says_since_when_and_what_is_not_says_nothing() {
    let rollout = |name: &str| joined(&format!("{name}.json"), None).completed_at;
    let deployment = |name: &str| {
        let object: wire::Deployment =
            serde_json::from_value(json(&format!("{name}.json"))).unwrap();
        deployments::rollout(&BackendId::new("plane"), &object, &[]).completed_at
    };
    for (completed, at) in [
        (rollout("rollout-healthy"), Some("2026-11-24T23:22:43Z")),
        (
            rollout("rollout-promoted-full"),
            Some("2026-11-24T23:22:53Z"),
        ),
        (rollout("rollout-undone-at-pause"), None),
        (
            deployment("deployment-rolled-back"),
            Some("2026-11-24T23:24:36Z"),
        ),
        (deployment("deployment-held"), None),
    ] {
        let written = completed.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        assert_eq!(written.as_deref(), at);
    }
}

#[test]
fn every_captured_refusal_has_its_kind() {
    for line in text("INDEX.jsonl").lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        // Watches have no status of their own here.
        let code = u16::try_from(entry["status"].as_u64().unwrap_or(200)).unwrap();
        if code < 400 {
            continue;
        }
        let name = entry["file"].as_str().unwrap();
        let json_patch = entry["request_content_type"] == "application/json-patch+json";
        let asked = if json_patch {
            Asked::TestedPatch
        } else {
            Asked::Patch
        };
        let error = fault::refused(
            http::StatusCode::from_u16(code).unwrap(),
            &http::HeaderMap::new(),
            text(name).as_bytes(),
            asked,
            "do it",
            chrono::DateTime::UNIX_EPOCH,
        );
        let expected = match (code, json_patch) {
            (401, _) => ErrorKind::Unauthenticated,
            (403, _) => ErrorKind::Forbidden,
            (404, _) => ErrorKind::NotFound,
            (409 | 410, _) | (422, true) => ErrorKind::Conflict,
            _ => ErrorKind::Rejected,
        };
        assert_eq!(error.kind, expected, "{name}: {error}");
        assert!(error.message.chars().count() < 700, "{name}");
    }
    let denied = text("error-403-viewer-patches-status.json");
    assert!(denied.contains("cannot patch resource"));
}

#[test]
fn every_captured_event_and_list_can_be_read() {
    for name in names("watch-", ".jsonl") {
        for line in text(&name).lines() {
            let mut event: Value = serde_json::from_str(line).unwrap();
            let object = event["object"].take();
            let told = Object::told(Kind::Rollouts, line.as_bytes());
            if matches!(event["type"].as_str().unwrap(), "ADDED" | "MODIFIED") {
                let read = Object::read(Kind::Rollouts, object).unwrap();
                assert_eq!(format!("{:?}", told.unwrap()), format!("{read:?}"));
            } else {
                assert!(told.is_none(), "{line}");
            }
        }
    }
    for (prefix, kind) in [
        ("replicasets-", Kind::RolloutSets),
        ("list-page", Kind::Rollouts),
        ("list-empty", Kind::Rollouts),
    ] {
        for name in names(prefix, ".json") {
            let Value::Array(items) = json(&name)["items"].take() else {
                panic!("{name} is no list");
            };
            for item in items {
                let line = serde_json::json!({"type": "ADDED", "object": item}).to_string();
                let told = Object::told(kind, line.as_bytes()).unwrap();
                let read = Object::read(kind, item).unwrap();
                assert_eq!(format!("{told:?}"), format!("{read:?}"));
            }
        }
    }
}

#[test]
fn the_template_to_go_back_to_is_the_one_that_was_written() {
    // The ReplicaSet of the first revision, and the spec as it was before.
    let before = json("rollout-first-healthy.json");
    let Value::Array(items) = json("replicasets-paused-at-step.json")["items"].take() else {
        panic!("it is no list");
    };
    let stable = before["status"]["stableRS"].as_str().unwrap();
    let set = items
        .iter()
        .find(|set| set["metadata"]["labels"]["rollouts-pod-template-hash"] == stable)
        .unwrap();
    let template = undo::rollout_template(set).unwrap();
    assert_eq!(template["metadata"], before["spec"]["template"]["metadata"]);
    let image = |template: &Value| template["spec"]["containers"][0]["image"].clone();
    assert_eq!(image(&template), image(&before["spec"]["template"]));
}
