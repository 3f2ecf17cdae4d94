//! A plain Deployment in the words of a rollout, by kubectl's status algorithm.
//!
//! It has no steps, no weights and nothing to abort; its wanted revision is the
//! newest ReplicaSet, its stable one the newest that was complete.

use crate::{
    backend::kubernetes::{
        gitops,
        rollouts::{annotations, images, latest, revisions, target},
        wire,
    },
    domain::{
        id::{BackendId, TargetKind},
        quantity::Weight,
        rollout::{PodCounts, Revision, Role, Rollout, RolloutPhase, Strategy, Substate},
        text::Clean,
    },
};

/// The label that ties a Deployment's ReplicaSets to a revision.
pub(super) const HASH: &str = "pod-template-hash";
/// The annotation that numbers revisions, on the Deployment as well.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";

/// The fact about a Deployment, joined with the ReplicaSets it owns.
pub(super) fn rollout(
    backend: &BackendId,
    object: &wire::Deployment,
    sets: &[&wire::ReplicaSet],
) -> Rollout {
    let (meta, spec, status) = (&object.metadata, &object.spec, &object.status);
    let (phase, substate, message) = state(object);
    let wanted_images = images(&spec.template);
    let mut revisions = revisions(sets, HASH, REVISION, None, None);
    // While held, a changed template has no ReplicaSet yet: the newest one is
    // then not what is wanted.
    let current = revisions
        .iter()
        .find(|revision| revision.images == wanted_images)
        .or(revisions.first())
        .map(|revision| revision.hash.clone());
    let complete = progress(object).is_none();
    let stable = if complete {
        current.clone()
    } else {
        stable(&revisions, current.as_ref())
    };
    for revision in &mut revisions {
        revision.role = if Some(&revision.hash) == stable.as_ref() {
            Role::Stable
        } else if Some(&revision.hash) == current.as_ref() {
            Role::Canary
        } else {
            Role::Old
        };
    }
    let available = wire::count(status.available_replicas);
    let on_current = revisions
        .iter()
        .find(|revision| Some(&revision.hash) == current.as_ref())
        .map_or(0, |revision| revision.pods.available);
    Rollout {
        id: target(backend, TargetKind::Deployment, meta),
        uid: Clean::name(&meta.uid),
        version: meta.version(),
        observed: is_observed(object),
        strategy: match spec.strategy.kind.as_str() {
            "" | "RollingUpdate" => Strategy::RollingUpdate,
            "Recreate" => Strategy::Recreate,
            other => Strategy::Unknown(Clean::name(other)),
        },
        blue_green: None,
        phase,
        substate,
        message,
        held: spec.paused == Some(true),
        pause: None,
        controller_paused: false,
        aborted: None,
        promoting_full: false,
        step: None,
        steps: Vec::new(),
        current_hash: current,
        stable_hash: stable,
        weight_wanted: Weight::FULL,
        weight_actual: Weight::share(u64::from(on_current), u64::from(available)),
        weight_is_pod_ratio: true,
        weight_verified: None,
        pods: PodCounts {
            desired: wire::count(spec.replicas.or(Some(1))),
            ready: wire::count(status.ready_replicas),
            available,
        },
        images: wanted_images,
        revisions,
        analyses: Vec::new(),
        rollback_window: None,
        gitops: gitops::owner(meta),
        annotations: annotations(meta, &spec.template.metadata),
        created_at: wire::time(meta.creation_timestamp.as_ref()),
        changed_at: latest(&status.conditions),
        completed_at: status
            .conditions
            .iter()
            .find(|condition| condition.reason == "NewReplicaSetAvailable")
            .and_then(|completed| wire::time(completed.last_update_time.as_ref())),
    }
}

/// The newest other revision that still serves users.
fn stable(revisions: &[Revision], current: Option<&Clean>) -> Option<Clean> {
    let mut others = revisions
        .iter()
        .filter(|revision| Some(&revision.hash) != current);
    others
        .find(|revision| 0 < revision.pods.desired || 0 < revision.pods.available)
        .map(|revision| revision.hash.clone())
}

fn is_observed(object: &wire::Deployment) -> bool {
    object.metadata.generation.unwrap_or(0) <= object.status.observed_generation.unwrap_or(-1)
}

fn state(object: &wire::Deployment) -> (RolloutPhase, Substate, Clean) {
    let status = &object.status;
    let condition = |kind: &str| status.conditions.iter().find(|found| found.kind == kind);
    let failure = condition("ReplicaFailure").filter(|found| found.status == "True");
    let with_failure = |words: String| match failure {
        Some(failure) => Clean::line(&format!("{words}; {}", failure.message)),
        None => Clean::from(words),
    };
    if !is_observed(object) {
        return (
            RolloutPhase::Progressing,
            Substate::Unobserved,
            "waiting for the spec update to be observed".into(),
        );
    }
    if let Some(late) =
        condition("Progressing").filter(|found| found.reason == "ProgressDeadlineExceeded")
    {
        let words = with_failure(format!("ProgressDeadlineExceeded: {}", late.message));
        return (RolloutPhase::Degraded, Substate::DeadlineExceeded, words);
    }
    if object.spec.paused == Some(true) {
        return (RolloutPhase::Paused, Substate::Held, "held".into());
    }
    match progress(object) {
        Some(words) => (
            RolloutPhase::Progressing,
            Substate::ScalingUp,
            with_failure(words),
        ),
        None => (
            RolloutPhase::Healthy,
            Substate::FullyPromoted,
            Clean::default(),
        ),
    }
}

/// What an update still waits for, in kubectl's order.
fn progress(object: &wire::Deployment) -> Option<String> {
    let status = &object.status;
    let desired = wire::count(object.spec.replicas.or(Some(1)));
    let total = wire::count(status.replicas);
    let updated = wire::count(status.updated_replicas);
    let available = wire::count(status.available_replicas);
    if updated < desired {
        return Some(format!("{updated} of {desired} pods updated"));
    }
    if updated < total {
        return Some(format!("{} old pods pending termination", total - updated));
    }
    (available < updated).then(|| format!("{available} of {updated} updated pods available"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(spec: &Value, status: &Value, sets: &[(&str, &str, i64, i64)]) -> Rollout {
        let object = json!({
            "metadata": {"name": "ranker", "namespace": "recsys", "uid": "u", "resourceVersion": "9", "generation": 4},
            "spec": spec, "status": status,
        });
        let object: wire::Deployment = serde_json::from_value(object).unwrap();
        let sets: Vec<wire::ReplicaSet> = sets
            .iter()
            .map(|(hash, revision, pods, available)| {
                serde_json::from_value(json!({
                    "metadata": {"name": format!("ranker-{hash}"), "labels": {"pod-template-hash": hash},
                        "annotations": {"deployment.kubernetes.io/revision": revision}},
                    "spec": {"replicas": pods, "template": {"spec": {"containers": [{"name": "app", "image": format!("r:{hash}")}]}}},
                    "status": {"availableReplicas": available},
                }))
                .unwrap()
            })
            .collect();
        let borrowed: Vec<&wire::ReplicaSet> = sets.iter().collect();
        rollout(&BackendId::new("prod"), &object, &borrowed)
    }

    fn spec(image: &str, paused: bool) -> Value {
        json!({"replicas": 4, "paused": paused, "template": {"spec": {"containers": [{"name": "app", "image": image}]}}})
    }

    #[track_caller]
    fn check(status: &Value, phase: &RolloutPhase, substate: &Substate, words: &str) {
        let fact = read(&spec("r:b", false), status, &[]);
        assert_eq!((&fact.phase, &fact.substate), (phase, substate));
        assert_eq!(fact.message, words);
    }

    #[test]
    fn the_status_follows_kubectl() {
        let moving = |substate| (RolloutPhase::Progressing, substate);
        let (progressing, scaling) = moving(Substate::ScalingUp);
        check(
            &json!({"observedGeneration": 3, "replicas": 4, "updatedReplicas": 4, "availableReplicas": 4}),
            &progressing,
            &Substate::Unobserved,
            "waiting for the spec update to be observed",
        );
        check(
            &json!({"observedGeneration": 4, "replicas": 4, "updatedReplicas": 1, "availableReplicas": 4}),
            &progressing,
            &scaling,
            "1 of 4 pods updated",
        );
        check(
            &json!({"observedGeneration": 4, "replicas": 6, "updatedReplicas": 4, "availableReplicas": 4}),
            &progressing,
            &scaling,
            "2 old pods pending termination",
        );
        check(
            &json!({"observedGeneration": 4, "replicas": 4, "updatedReplicas": 4, "availableReplicas": 3}),
            &progressing,
            &scaling,
            "3 of 4 updated pods available",
        );
        check(
            &json!({"observedGeneration": 4, "replicas": 4, "updatedReplicas": 4, "availableReplicas": 4}),
            &RolloutPhase::Healthy,
            &Substate::FullyPromoted,
            "",
        );
        check(
            &json!({"observedGeneration": 4, "updatedReplicas": 1, "conditions": [
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"},
                {"type": "ReplicaFailure", "status": "True", "message": "quota"},
            ]}),
            &RolloutPhase::Degraded,
            &Substate::DeadlineExceeded,
            "ProgressDeadlineExceeded: too slow; quota",
        );
        check(
            &Value::Null,
            &progressing,
            &Substate::Unobserved,
            "waiting for the spec update to be observed",
        );
    }

    #[test]
    fn in_mid_update_users_are_on_the_older_revision() {
        let status = json!({"observedGeneration": 4, "replicas": 5, "updatedReplicas": 2, "availableReplicas": 4});
        let fact = read(
            &spec("r:c", false),
            &status,
            &[("a", "1", 0, 0), ("b", "2", 3, 3), ("c", "3", 2, 1)],
        );
        assert_eq!(fact.current_hash.as_deref(), Some("c"));
        assert_eq!(fact.stable_hash.as_deref(), Some("b"));
        assert_eq!(fact.weight_actual.get(), 25);
        assert!(!fact.has_canary() && !fact.is_fully_promoted());
        let roles: Vec<Role> = fact
            .revisions
            .iter()
            .map(|revision| revision.role)
            .collect();
        assert_eq!(roles, [Role::Canary, Role::Stable, Role::Old]);
    }

    #[test]
    fn a_complete_deployment_is_fully_on_its_newest_revision() {
        let status = json!({"observedGeneration": 4, "replicas": 4, "updatedReplicas": 4, "availableReplicas": 4});
        let fact = read(
            &spec("r:c", false),
            &status,
            &[("b", "2", 0, 0), ("c", "3", 4, 4)],
        );
        assert!(fact.is_fully_promoted());
        assert_eq!(fact.weight_actual, Weight::FULL);
    }

    #[test]
    fn a_held_deployment_is_held_however_far_it_got() {
        let status = json!({"observedGeneration": 4, "replicas": 4, "updatedReplicas": 4, "availableReplicas": 4});
        let fact = read(&spec("r:c", true), &status, &[("c", "3", 4, 4)]);
        assert!(fact.held);
        assert_eq!(
            (fact.phase, fact.substate),
            (RolloutPhase::Paused, Substate::Held)
        );
    }
}
