//! From a Rollout with its ReplicaSets and AnalysisRuns to one fact.

use std::{cmp::Reverse, collections::BTreeSet};

use crate::{
    backend::kubernetes::{analysis, blue_green, gitops, phase, steps, weights, wire},
    domain::{
        id::{BackendId, TargetId, TargetKind},
        rollout::{Image, PodCounts, Revision, Role, Rollout, RolloutStep, Strategy},
        text::Clean,
    },
};

/// Analyses kept per rollout, newest first.
const ANALYSES: usize = 20;
/// Annotations and labels kept per rollout.
const ANNOTATIONS: usize = 64;

/// The label that ties ReplicaSets, pods and AnalysisRuns to a revision.
pub(super) const HASH: &str = "rollouts-pod-template-hash";
pub(super) const REVISION: &str = "rollout.argoproj.io/revision";
/// On a ReplicaSet: when its pods, which nobody needs any more, go.
const KEPT_UNTIL: &str = "scale-down-deadline";
/// Added to the key of a revision's number: the numbers it had before.
const HISTORY: &str = "-history";

/// The fact about `object`, joined with what it owns.
pub(super) fn rollout(
    backend: &BackendId,
    object: &wire::Rollout,
    sets: &[&wire::ReplicaSet],
    runs: &[&wire::AnalysisRun],
) -> Rollout {
    let (meta, spec, status) = (&object.metadata, &object.spec, &object.status);
    let steps = all_steps(object);
    let index = weights::current_index(object);
    let current_step = index.and_then(|index| steps.get(index));
    let current_hash = hash(status.current_pod_hash.as_ref());
    let stable_hash = hash(status.stable_rs.as_ref());
    let revisions = revisions(
        sets,
        HASH,
        REVISION,
        current_hash.as_ref(),
        stable_hash.as_ref(),
    );
    let current = revisions
        .iter()
        .find(|revision| Some(&revision.hash) == current_hash.as_ref());
    let scaling = match current {
        Some(revision) => revision.pods.available < revision.pods.desired,
        // ReplicaSets may be hidden from us; then the totals have to do.
        None if sets.is_empty() => {
            let pods = spec.replicas.or(Some(1)).max(status.replicas);
            wire::count(status.available_replicas) < wire::count(pods)
        }
        None => current_hash.is_some(),
    };
    let pause = phase::pause(object, current_step);
    let (phase, message) = phase::phase(object);
    let serving = |revision: &Revision| u64::from(revision.pods.available);
    let serving = (!revisions.is_empty()).then(|| weights::Serving {
        wanted: current.map_or(0, serving),
        all: revisions.iter().map(serving).sum(),
    });
    let shares = weights::shares(object, serving);
    let images = match images(&spec.template) {
        // With a workload reference the template is somewhere else.
        none if none.is_empty() => current
            .map(|revision| revision.images.clone())
            .unwrap_or_default(),
        images => images,
    };
    Rollout {
        id: target(backend, TargetKind::Rollout, meta),
        uid: Clean::name(&meta.uid),
        version: meta.version(),
        observed: phase::is_observed(object),
        strategy: strategy(&spec.strategy),
        blue_green: blue_green::blue_green(object),
        phase,
        substate: phase::substate(object, pause.as_ref(), current_step, scaling),
        message,
        held: spec.paused == Some(true),
        pause,
        controller_paused: status.controller_pause == Some(true),
        aborted: (status.abort == Some(true)).then(|| wire::time(status.aborted_at.as_ref())),
        promoting_full: status.promote_full == Some(true),
        step: status
            .current_step_index
            .and_then(|index| u32::try_from(index).ok())
            .filter(|_| !steps.is_empty()),
        steps,
        current_hash,
        stable_hash,
        weight_wanted: shares.wanted,
        weight_actual: shares.actual,
        weight_is_pod_ratio: shares.is_pod_ratio,
        weight_verified: shares.verified,
        pods: PodCounts {
            desired: wire::count(spec.replicas.or(Some(1))),
            ready: wire::count(status.ready_replicas),
            available: wire::count(status.available_replicas),
        },
        images,
        revisions,
        analyses: analyses(runs),
        rollback_window: spec
            .rollback_window
            .as_ref()
            .and_then(|window| u32::try_from(window.revisions?).ok()),
        gitops: gitops::owner(meta),
        annotations: annotations(meta, &spec.template.metadata),
        created_at: wire::time(meta.creation_timestamp.as_ref()),
        changed_at: changed_at(object),
        completed_at: status
            .conditions
            .iter()
            .find(|condition| condition.kind == "Completed" && condition.status == "True")
            .and_then(|completed| wire::time(completed.last_transition_time.as_ref())),
    }
}

/// The name under which everyone speaks of an object.
pub(super) fn target(backend: &BackendId, kind: TargetKind, meta: &wire::Meta) -> TargetId {
    TargetId {
        backend: backend.clone(),
        kind,
        namespace: Clean::name(&meta.namespace),
        name: Clean::name(&meta.name),
    }
}

pub(super) fn hash(written: Option<&String>) -> Option<Clean> {
    written
        .filter(|hash| !hash.is_empty())
        .map(|hash| Clean::name(hash))
}

fn strategy(written: &wire::Strategy) -> Strategy {
    if written.canary.is_some() {
        Strategy::Canary
    } else if written.blue_green.is_some() {
        Strategy::BlueGreen
    } else {
        let word = written.rest.keys().next();
        Strategy::Unknown(word.map_or_else(|| "none".into(), |word| Clean::name(word)))
    }
}

fn all_steps(object: &wire::Rollout) -> Vec<RolloutStep> {
    let canary = object.spec.strategy.canary.as_ref();
    canary.map_or_else(Vec::new, |canary| {
        let most = weights::most(canary);
        canary
            .steps
            .iter()
            .map(|step| steps::step(step, most))
            .collect()
    })
}

/// The images of a pod template.
pub(super) fn images(template: &wire::Template) -> Vec<Image> {
    template
        .spec
        .containers
        .iter()
        .map(|container| Image::parse(&container.name, &container.image))
        .collect()
}

/// Revisions by their ReplicaSets, newest first.
pub(super) fn revisions(
    sets: &[&wire::ReplicaSet],
    hash_label: &str,
    number: &str,
    current: Option<&Clean>,
    stable: Option<&Clean>,
) -> Vec<Revision> {
    let mut revisions: Vec<Revision> = sets
        .iter()
        .filter_map(|set| {
            let meta = &set.metadata;
            let hash = Clean::name(meta.labels.get(hash_label)?);
            let role = if stable == Some(&hash) {
                Role::Stable
            } else if current == Some(&hash) {
                Role::Canary
            } else {
                Role::Old
            };
            let now = meta
                .annotations
                .get(number)
                .and_then(|number| number.parse().ok())
                .unwrap_or(0);
            let history = meta.annotations.get(&format!("{number}{HISTORY}"));
            Some(Revision {
                number: now,
                earlier: earlier(history.map_or("", String::as_str), now),
                name: Clean::name(&meta.name),
                images: images(&set.spec.template),
                role,
                pods: PodCounts {
                    desired: wire::count(set.spec.replicas.or(Some(1))),
                    ready: wire::count(set.status.ready_replicas),
                    available: wire::count(set.status.available_replicas),
                },
                kept_until: wire::time(meta.annotations.get(KEPT_UNTIL)),
                created_at: wire::time(meta.creation_timestamp.as_ref()),
                hash,
            })
        })
        .collect();
    revisions.sort_by(|a, b| (Reverse(a.number), &a.hash).cmp(&(Reverse(b.number), &b.hash)));
    revisions
}

/// The numbers of a history that are below the present one. The controllers
/// append the present number whenever any annotation of a set changes, so it
/// may be in there once or often without having been left.
fn earlier(history: &str, now: u64) -> Vec<u64> {
    let numbers: BTreeSet<u64> = history
        .split(',')
        .filter_map(|number| number.trim().parse().ok())
        .filter(|number| *number < now)
        .collect();
    numbers.into_iter().collect()
}

fn analyses(runs: &[&wire::AnalysisRun]) -> Vec<crate::domain::rollout::Analysis> {
    let mut analyses: Vec<_> = runs.iter().map(|run| analysis::analysis(run)).collect();
    analyses.sort_by(|a, b| (b.started_at, &b.name).cmp(&(a.started_at, &a.name)));
    analyses.truncate(ANALYSES);
    analyses
}

/// What people and correlation look for: the object's annotations and labels,
/// then those of its pods, each key once.
pub(super) fn annotations(meta: &wire::Meta, pods: &wire::TemplateMeta) -> Vec<(Clean, Clean)> {
    let mut kept: Vec<(Clean, Clean)> = Vec::new();
    let all = meta
        .annotations
        .iter()
        .chain(&meta.labels)
        .chain(&pods.annotations)
        .chain(&pods.labels);
    for (key, value) in all {
        let key = Clean::name(key);
        if kept.len() < ANNOTATIONS && kept.iter().all(|(known, _)| *known != key) {
            kept.push((key, Clean::line(value)));
        }
    }
    kept
}

/// The newest instant its status names.
fn changed_at(object: &wire::Rollout) -> Option<crate::domain::Timestamp> {
    let status = &object.status;
    latest(&status.conditions)
        .into_iter()
        .chain(
            status
                .pause_conditions
                .iter()
                .filter_map(|pause| wire::time(pause.start_time.as_ref())),
        )
        .chain(wire::time(status.aborted_at.as_ref()))
        .max()
}

/// The newest instant of these conditions.
pub(super) fn latest(conditions: &[wire::Condition]) -> Option<crate::domain::Timestamp> {
    conditions
        .iter()
        .flat_map(|condition| [&condition.last_update_time, &condition.last_transition_time])
        .filter_map(|written| wire::time(written.as_ref()))
        .max()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::rollout::{RolloutPhase, Substate};

    fn set(hash: &str, revision: &str, pods: i64, available: i64) -> wire::ReplicaSet {
        let object = json!({
            "metadata": {
                "name": format!("ranker-{hash}"), "uid": format!("uid-{hash}"),
                "labels": {"rollouts-pod-template-hash": hash},
                "annotations": {"rollout.argoproj.io/revision": revision},
            },
            "spec": {"replicas": pods, "template": {"spec": {"containers": [
                {"name": "app", "image": format!("registry.local/ranker:{hash}")},
            ]}}},
            "status": {"readyReplicas": available, "availableReplicas": available},
        });
        serde_json::from_value(object).unwrap()
    }

    fn ranker(status: &Value) -> wire::Rollout {
        let object = json!({
            "metadata": {
                "name": "ranker", "namespace": "recsys", "uid": "u-1", "resourceVersion": "812", "generation": 3,
                "annotations": {"rollout.argoproj.io/revision": "3", "team": "recsys"},
                "labels": {"team": "shadowed", "app": "ranker"},
            },
            "spec": {
                "replicas": 10,
                "rollbackWindow": {"revisions": 2},
                "template": {"metadata": {"labels": {"app": "ranker"}}, "spec": {"containers": [
                    {"name": "app", "image": "registry.local/ranker:b"},
                ]}},
                "strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {}}, {"setWeight": 50}]}},
            },
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_paused_canary_is_joined_with_its_revisions() {
        let object = ranker(&json!({
            "observedGeneration": "3", "phase": "Paused", "message": "CanaryPauseStep",
            "currentPodHash": "b", "stableRS": "a", "currentStepIndex": 1, "controllerPause": true,
            "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z"}],
            "replicas": 10, "updatedReplicas": 1, "readyReplicas": 10, "availableReplicas": 10,
        }));
        let (old, stable, canary) = (
            set("z", "1", 0, 0),
            set("a", "2", 9, 9),
            set("b", "3", 1, 1),
        );
        let fact = rollout(
            &BackendId::new("prod"),
            &object,
            &[&old, &canary, &stable],
            &[],
        );
        assert_eq!(fact.id.to_string(), "recsys/ranker");
        assert_eq!((fact.version, fact.observed), (Some(812), true));
        assert_eq!(fact.phase, RolloutPhase::Paused);
        assert_eq!(fact.substate, Substate::PausedAtStep(None));
        assert_eq!(
            (fact.weight_wanted.get(), fact.weight_actual.get()),
            (10, 10)
        );
        assert!(fact.weight_is_pod_ratio);
        let roles: Vec<(u64, Role)> = fact.revisions.iter().map(|r| (r.number, r.role)).collect();
        assert_eq!(
            roles,
            [(3, Role::Canary), (2, Role::Stable), (1, Role::Old)]
        );
        assert_eq!(fact.current().unwrap().images[0].tag.as_deref(), Some("b"));
        assert_eq!(fact.rollback_window, Some(2));
        assert!(fact.annotations.contains(&("team".into(), "recsys".into())));
        assert!(
            !fact
                .annotations
                .contains(&("team".into(), "shadowed".into()))
        );
        assert_eq!(fact.changed_at.unwrap().timestamp(), 1_767_225_600);
    }

    #[test]
    fn a_history_of_numbers_is_read_whatever_it_repeats() {
        for (history, now, expected) in [
            ("", 3, vec![]),
            ("1", 4, vec![1]),
            ("2,5,5", 5, vec![2]),
            ("7,1, 4,1,x,-2,", 9, vec![1, 4, 7]),
        ] {
            assert_eq!(earlier(history, now), expected, "{history}");
        }
    }

    #[test]
    fn a_revision_between_two_numbers_of_the_wanted_one_was_left_for_it() {
        let object = ranker(&json!({
            "observedGeneration": "3", "phase": "Healthy",
            "currentPodHash": "b", "stableRS": "b", "currentStepIndex": 3,
        }));
        let mut back = set("b", "4", 10, 10);
        back.metadata
            .annotations
            .insert("rollout.argoproj.io/revision-history".into(), "2".into());
        let (older, left) = (set("a", "1", 0, 0), set("c", "3", 0, 0));
        let fact = rollout(
            &BackendId::new("prod"),
            &object,
            &[&back, &older, &left],
            &[],
        );
        assert_eq!(fact.current().unwrap().earlier, [2]);
        let were_left: Vec<&str> = fact
            .revisions
            .iter()
            .filter(|revision| fact.was_left(revision))
            .map(|revision| revision.hash.as_str())
            .collect();
        assert_eq!(were_left, ["c"]);
        assert_eq!(fact.left().unwrap().hash, "c");
    }

    #[test]
    fn a_new_revision_without_pods_is_scaling_up() {
        let object = ranker(&json!({
            "observedGeneration": "3", "phase": "Progressing",
            "currentPodHash": "b", "stableRS": "a", "currentStepIndex": 0,
            "replicas": 10, "availableReplicas": 10,
        }));
        let (stable, canary) = (set("a", "2", 10, 10), set("b", "3", 1, 0));
        let fact = rollout(&BackendId::new("prod"), &object, &[&stable, &canary], &[]);
        assert_eq!(fact.substate, Substate::ScalingUp);
        assert_eq!(fact.weight_actual.get(), 0);
    }

    #[test]
    fn a_full_promotion_shows_the_pods_that_serve_beside_what_is_wanted() {
        let object = ranker(&json!({
            "observedGeneration": "3", "phase": "Progressing", "promoteFull": true,
            "currentPodHash": "b", "stableRS": "a", "currentStepIndex": 3,
            // Written before the sets had moved on.
            "replicas": 10, "updatedReplicas": 1, "availableReplicas": 10,
        }));
        let of = |canary: i64, stable: i64| {
            let (stable, canary) = (set("a", "2", stable, stable), set("b", "3", 9, canary));
            let fact = rollout(&BackendId::new("prod"), &object, &[&stable, &canary], &[]);
            (fact.weight_wanted.get(), fact.weight_actual.get())
        };
        assert_eq!(of(0, 10), (100, 0));
        assert_eq!(of(5, 6), (100, 45));
        assert_eq!(of(10, 0), (100, 100));
    }

    #[test]
    fn an_object_of_the_future_is_still_a_rollout() {
        let object: wire::Rollout = serde_json::from_value(json!({
            "metadata": {"name": "odd", "namespace": "x", "uid": "u", "resourceVersion": "opaque", "labels": null},
            "spec": {"strategy": {"rainbow": {"colours": 7}}, "unheard": [1]},
            "status": {"phase": "Dancing", "observedGeneration": "1", "canary": null, "conditions": null},
        }))
        .unwrap();
        let fact = rollout(&BackendId::new("prod"), &object, &[], &[]);
        assert_eq!(fact.strategy, Strategy::Unknown("rainbow".into()));
        assert_eq!(fact.phase, RolloutPhase::Unknown("Dancing".into()));
        assert_eq!((fact.version, fact.step), (None, None));
    }

    #[test]
    fn an_object_without_status_is_not_observed() {
        let fact = rollout(&BackendId::new("prod"), &ranker(&Value::Null), &[], &[]);
        assert!(!fact.observed && !fact.is_fully_promoted());
        assert_eq!(fact.substate, Substate::Unobserved);
    }
}
