//! How much traffic the canary should have and has, as a share of the largest
//! weight.
//!
//! The upstream client calls everything past the last step 100 %, so a full
//! promotion shows all traffic on pods that are still to come. Here the share
//! is what is there: pods that serve, or the weight the provider was given.

use crate::{
    backend::kubernetes::wire::{self, int_or_string},
    domain::quantity::Weight,
};

/// Wanted and actual share of the wanted revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// What the steps ask for.
    pub(super) wanted: Weight,
    /// What is there.
    pub(super) actual: Weight,
    /// Whether pods were counted, not requests.
    pub(super) is_pod_ratio: bool,
    /// Whether the traffic provider confirmed it.
    pub(super) verified: Option<bool>,
}

/// The weight that stands for all traffic.
pub(super) fn most(canary: &wire::Canary) -> u64 {
    canary
        .traffic_routing
        .as_ref()
        .and_then(|routing| routing.max_traffic_weight)
        .and_then(|most| u64::try_from(most).ok())
        .filter(|most| 0 < *most)
        .unwrap_or(100)
}

/// The index of the step it stands at; `None` without steps or past the last.
pub(super) fn current_index(rollout: &wire::Rollout) -> Option<usize> {
    let steps = &rollout.spec.strategy.canary.as_ref()?.steps;
    let index = usize::try_from(rollout.status.current_step_index?).ok()?;
    (index < steps.len()).then_some(index)
}

/// Pods that serve, counted over the ReplicaSets seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Serving {
    /// Those of the wanted revision.
    pub(super) wanted: u64,
    /// Those of all revisions.
    pub(super) all: u64,
}

impl Serving {
    /// What the object itself tells, where its ReplicaSets are hidden from us.
    fn told(rollout: &wire::Rollout) -> Self {
        let all = u64::from(wire::count(rollout.status.available_replicas));
        let updated = u64::from(wire::count(rollout.status.updated_replicas));
        Self {
            wanted: if is_promoted(rollout) {
                all
            } else {
                updated.min(all)
            },
            all,
        }
    }
}

/// Whether the wanted revision is the one users were given for good.
fn is_promoted(rollout: &wire::Rollout) -> bool {
    let status = &rollout.status;
    status.current_pod_hash.is_some() && status.current_pod_hash == status.stable_rs
}

/// The shares of a Rollout; `serving` is absent where no ReplicaSet is seen.
pub(super) fn shares(rollout: &wire::Rollout, serving: Option<Serving>) -> Shares {
    let Some(canary) = &rollout.spec.strategy.canary else {
        return switched(rollout);
    };
    let serving = serving.unwrap_or_else(|| Serving::told(rollout));
    let most = most(canary);
    let aborted = rollout.status.abort == Some(true);
    let index = current_index(rollout);
    let wanted = match index {
        _ if aborted => 0,
        None => most,
        Some(index) => set_weight(canary, index),
    };
    let weights = rollout.status.canary.weights.as_ref();
    let is_routed = canary.traffic_routing.is_some();
    let actual = if is_promoted(rollout) && (is_routed || serving.all == 0) {
        // There is no other revision that could get any.
        most
    } else if serving.all == 0 {
        0
    } else if is_routed {
        weights
            .and_then(|weights| weights.canary.weight)
            .and_then(|weight| u64::try_from(weight).ok())
            .unwrap_or(wanted)
    } else {
        (serving.wanted * most)
            .checked_div(serving.all)
            .unwrap_or(0)
    };
    Shares {
        wanted: Weight::share(wanted, most),
        actual: Weight::share(actual, most),
        is_pod_ratio: !is_routed,
        verified: weights
            .and_then(|weights| weights.verified)
            .filter(|verified| *verified || is_asked(rollout, canary)),
    }
}

/// Whether the controller asks the provider now. It does not write down that a
/// weight has arrived when nothing else about the weights changes, so a `false`
/// stays behind; that it went on is what tells.
fn is_asked(rollout: &wire::Rollout, canary: &wire::Canary) -> bool {
    let step = current_index(rollout).map(|index| canary.steps.get(index));
    let sets = step.is_none_or(|step| step.is_some_and(|step| step.get("setWeight").is_some()));
    !is_promoted(rollout) && sets
}

/// The nearest `setWeight` at or before a step.
fn set_weight(canary: &wire::Canary, index: usize) -> u64 {
    canary
        .steps
        .iter()
        .take(index + 1)
        .rev()
        .find_map(|step| step.get("setWeight"))
        .and_then(int_or_string)
        .and_then(|weight| u64::try_from(weight).ok())
        .unwrap_or(0)
}

/// Blue-green moves all traffic at once.
fn switched(rollout: &wire::Rollout) -> Shares {
    let status = &rollout.status;
    let wanted_is_active = status.current_pod_hash.is_some()
        && (status.blue_green.active_selector == status.current_pod_hash
            || (rollout.spec.strategy.blue_green.is_none()
                && status.stable_rs == status.current_pod_hash));
    let share = if wanted_is_active {
        Weight::FULL
    } else {
        Weight::ZERO
    };
    Shares {
        wanted: share,
        actual: share,
        is_pod_ratio: false,
        verified: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rollout(status: &Value, routing: &Value) -> wire::Rollout {
        let object = json!({
            "metadata": {"name": "ranker"},
            "spec": {"replicas": 10, "strategy": {"canary": {
                "steps": [{"setWeight": 10}, {"pause": {}}, {"analysis": {}}, {"setWeight": 60}, {"pause": {}}],
                "trafficRouting": routing,
            }}},
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    /// Expected values worked out by hand from the upstream rules.
    #[track_caller]
    fn check(status: &Value, routing: &Value, available: u64, wanted: u8, actual: u8) {
        let serving = Serving {
            wanted: available,
            all: status["availableReplicas"].as_u64().unwrap_or(0),
        };
        let shares = shares(&rollout(status, routing), Some(serving));
        assert_eq!((shares.wanted.get(), shares.actual.get()), (wanted, actual));
        assert_eq!(shares.is_pod_ratio, routing.is_null());
    }

    #[test]
    fn the_wanted_share_is_the_nearest_step_at_or_before() {
        for (index, wanted) in [(0, 10), (1, 10), (2, 10), (3, 60), (4, 60)] {
            let status = json!({"currentStepIndex": index, "availableReplicas": 10});
            check(&status, &Value::Null, 1, wanted, 10);
        }
    }

    #[test]
    fn past_the_last_step_everything_is_wanted_and_what_serves_is_shown() {
        let status = |stable: &str, available: u64| {
            json!({
                "currentStepIndex": 5, "availableReplicas": available,
                "currentPodHash": "b", "stableRS": stable, "promoteFull": stable != "b",
            })
        };
        // A full promotion that has just begun, then one in the midst of it.
        check(&status("a", 10), &Value::Null, 0, 100, 0);
        check(&status("a", 11), &Value::Null, 5, 100, 45);
        check(&status("a", 10), &Value::Null, 10, 100, 100);
        // Promoted; an old pod is still to go.
        check(&status("b", 11), &Value::Null, 10, 100, 90);
        check(&status("b", 10), &Value::Null, 10, 100, 100);
        // Nothing serves, and there is nobody else who could.
        check(&status("b", 0), &Value::Null, 0, 100, 100);
        check(&json!({"availableReplicas": 10}), &Value::Null, 3, 100, 30);
    }

    #[test]
    fn a_routed_promotion_shows_the_weight_the_provider_was_given() {
        let routing = json!({"nginx": {}});
        let status = |stable: &str, weight: u64| {
            json!({
                "currentStepIndex": 5, "availableReplicas": 14,
                "currentPodHash": "b", "stableRS": stable,
                "canary": {"weights": {"canary": {"weight": weight}}},
            })
        };
        check(&status("a", 40), &routing, 4, 100, 40);
        // Promoted: its traffic is called stable now, and the canary has none.
        check(&status("b", 0), &routing, 10, 100, 100);
    }

    #[test]
    fn without_replica_sets_in_sight_the_object_own_counts_have_to_do() {
        let of = |status: &Value| shares(&rollout(status, &Value::Null), None).actual.get();
        let moving = json!({
            "currentStepIndex": 5, "availableReplicas": 10, "updatedReplicas": 3,
            "currentPodHash": "b", "stableRS": "a",
        });
        assert_eq!(of(&moving), 30);
        let live = json!({
            "currentStepIndex": 5, "availableReplicas": 10, "updatedReplicas": 10,
            "currentPodHash": "b", "stableRS": "b",
        });
        assert_eq!(of(&live), 100);
    }

    #[test]
    fn an_abort_wants_nothing_and_shows_what_is_left() {
        let status = json!({"currentStepIndex": 0, "abort": true, "availableReplicas": 8});
        check(&status, &Value::Null, 2, 0, 25);
        let stepless = json!({"abort": true, "availableReplicas": 10});
        check(&stepless, &Value::Null, 0, 0, 0);
    }

    #[test]
    fn pods_are_counted_only_without_traffic_routing() {
        let status = json!({
            "currentStepIndex": 3, "availableReplicas": 7,
            "canary": {"weights": {"canary": {"weight": 40}, "verified": false}},
        });
        check(&status, &Value::Null, 2, 60, 28);
        check(&status, &json!({"nginx": {}}), 2, 60, 40);
        let told = shares(&rollout(&status, &json!({"nginx": {}})), None);
        assert_eq!(told.verified, Some(false));
    }

    /// Seen on controller 1.9.2 with a load balancer that was asked.
    #[test]
    fn a_weight_counts_as_unconfirmed_only_while_the_controller_waits_for_it() {
        let verified = |index: u64, stable: &str, told: bool| {
            let status = json!({
                "currentStepIndex": index, "currentPodHash": "b", "stableRS": stable,
                "canary": {"weights": {"canary": {"weight": 10}, "verified": told}},
            });
            shares(&rollout(&status, &json!({"alb": {}})), None).verified
        };
        assert_eq!(verified(0, "a", false), Some(false));
        assert_eq!(verified(1, "a", false), None, "at the pause after it");
        assert_eq!(verified(3, "a", false), Some(false));
        assert_eq!(
            verified(5, "a", false),
            Some(false),
            "the last of all weights"
        );
        assert_eq!(verified(5, "b", false), None, "promoted");
        assert_eq!(verified(1, "a", true), Some(true));
    }

    #[test]
    fn weights_are_shares_of_the_largest_weight() {
        let status = json!({
            "currentStepIndex": 3, "availableReplicas": 7,
            "canary": {"weights": {"canary": {"weight": 600}}},
        });
        check(&status, &json!({"maxTrafficWeight": 1000}), 2, 6, 60);
    }

    #[test]
    fn nothing_available_is_no_traffic() {
        check(
            &json!({"currentStepIndex": 3}),
            &json!({"smi": {}}),
            0,
            60,
            0,
        );
    }
}
