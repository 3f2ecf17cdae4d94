//! Orders against a cluster whose controllers carry them out.

use std::time::Duration;

use gonogo::{
    backend::ErrorKind,
    domain::{
        action::{RolloutAction, RolloutOrder, RolloutSeen},
        id::TargetKind,
        text::Clean,
    },
    sim::kubernetes::Fault,
};
use serde_json::{Value, json};

use super::{Plane, order, target};

fn give(action: RolloutAction, seen: RolloutSeen) -> RolloutOrder {
    order(&target(TargetKind::Rollout, "ranker"), action, seen)
}

#[tokio::test]
async fn a_hold_stops_the_rollout_and_resume_undoes_it() {
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    let receipt = bench
        .send(&give(RolloutAction::Hold, seen.clone()))
        .await
        .unwrap();
    assert_eq!(receipt.status, 200);
    assert!(receipt.version.is_some());
    plane
        .reach(|object| {
            object["spec"]["paused"] == true && object["status"]["message"] == "manually paused"
        })
        .await;
    bench
        .send(&give(RolloutAction::Resume, seen))
        .await
        .unwrap();
    plane
        .reach(|object| {
            object["spec"]["paused"] != true && object["status"]["message"] == "CanaryPauseStep"
        })
        .await;
    assert_eq!(plane.status("currentStepIndex"), 1);
}

#[tokio::test]
async fn cluster_trap_1_continue_ends_a_pause_and_resume_does_not() {
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    bench
        .send(&give(RolloutAction::Continue, seen))
        .await
        .unwrap();
    plane
        .reach(|object| {
            object["status"]["currentStepIndex"] == 3 && object["status"]["phase"] == "Paused"
        })
        .await;
    // Nothing is paused by that name any more: the order no longer fits.
    let stale = RolloutSeen {
        step: Some(1),
        ..plane.seen()
    };
    let error = bench
        .send(&give(RolloutAction::Continue, stale))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn continue_where_nothing_is_paused_is_refused_by_the_server() {
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    bench.send(&give(RolloutAction::Abort, seen)).await.unwrap();
    plane.until("Degraded").await;
    let error = bench
        .send(&give(RolloutAction::Continue, plane.seen()))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn skip_goes_to_the_step_it_names() {
    let (plane, seen) = Plane::paused().await;
    plane
        .bench()
        .send(&give(RolloutAction::Skip { to: 3 }, seen))
        .await
        .unwrap();
    plane
        .reach(|object| {
            object["status"]["currentStepIndex"] == 3 && object["status"]["phase"] == "Paused"
        })
        .await;
}

#[tokio::test]
async fn an_abort_sends_traffic_back_and_a_retry_begins_again() {
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    // A brake does not care which step it was.
    let elsewhere = RolloutSeen {
        step: Some(7),
        ..seen
    };
    bench
        .send(&give(RolloutAction::Abort, elsewhere))
        .await
        .unwrap();
    plane.until("Degraded").await;
    assert_eq!(plane.status("abort"), true);
    bench
        .send(&give(RolloutAction::Retry { anew: false }, plane.seen()))
        .await
        .unwrap();
    plane.until("Paused").await;
    assert_eq!(plane.status("currentStepIndex"), 1);
}

#[tokio::test]
async fn an_abort_stops_a_full_promotion_in_the_midst_of_it() {
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    let stable = plane.status("stableRS");
    bench
        .send(&give(RolloutAction::PromoteFull, seen))
        .await
        .unwrap();
    plane
        .reach(|object| {
            object["status"]["promoteFull"] == true && object["status"]["updatedReplicas"] == 2
        })
        .await;
    bench
        .send(&give(RolloutAction::Abort, plane.seen()))
        .await
        .unwrap();
    plane.until("Degraded").await;
    plane
        .reach(|object| object["status"]["updatedReplicas"].as_u64().unwrap_or(0) == 0)
        .await;
    assert_eq!(plane.status("stableRS"), stable);
    assert_ne!(plane.status("currentPodHash"), stable);
}

#[tokio::test]
async fn promoting_to_full_skips_the_rest() {
    let (plane, seen) = Plane::paused().await;
    plane
        .bench()
        .send(&give(RolloutAction::PromoteFull, seen))
        .await
        .unwrap();
    plane.until("Healthy").await;
    assert_eq!(plane.status("currentPodHash"), plane.status("stableRS"));
}

#[tokio::test]
async fn cluster_trap_3_promoting_before_the_controller_has_looked_is_not_sent() {
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    bench
        .send(&give(RolloutAction::PromoteFull, seen))
        .await
        .unwrap();
    plane.until("Healthy").await;
    let sent = plane.cluster.mutations().len();
    // Fully promoted: the hashes are equal, so there is nothing to promote.
    let error = bench
        .send(&give(RolloutAction::PromoteFull, plane.seen()))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("fully promoted already"), "{error}");
    // A change the controller has not seen yet: the old hash is still there.
    plane
        .cluster
        .patch(
            "Rollout",
            "recsys",
            "ranker",
            json!({"status": {"observedGeneration": "1"}, "metadata": {"generation": 99}}),
        )
        .unwrap();
    let error = bench
        .send(&give(RolloutAction::PromoteFull, plane.seen()))
        .await;
    if let Err(error) = error {
        assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    }
    assert_eq!(plane.cluster.mutations().len(), sent);
}

#[tokio::test]
async fn what_was_not_seen_is_not_acted_on() {
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    for stale in [
        RolloutSeen {
            uid: "another".into(),
            ..seen.clone()
        },
        RolloutSeen {
            pod_hash: Some("another".into()),
            ..seen.clone()
        },
    ] {
        for action in [
            RolloutAction::Abort,
            RolloutAction::Hold,
            RolloutAction::Continue,
            RolloutAction::PromoteFull,
        ] {
            let error = bench
                .send(&give(action.clone(), stale.clone()))
                .await
                .unwrap_err();
            assert_eq!(error.kind, ErrorKind::Conflict, "{action:?}: {error}");
        }
    }
    let stale = RolloutSeen {
        uid: "another".into(),
        ..seen
    };
    let nudge = RolloutAction::Nudge {
        at: (plane.setup.now)(),
    };
    let error = bench.send(&give(nudge, stale)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    assert_eq!(plane.status("abort"), Value::Null);
    assert_eq!(plane.status("currentStepIndex"), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_the_outcome_open_and_is_not_sent_again() {
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    // The first request learns what the server serves.
    bench
        .send(&give(
            RolloutAction::Nudge {
                at: (plane.setup.now)(),
            },
            seen.clone(),
        ))
        .await
        .unwrap();
    let before = plane.cluster.mutations().len();
    plane.cluster.set_fault(Some(Fault::LostAnswer));
    let error = bench
        .send(&give(RolloutAction::Hold, seen))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Ambiguous, "{error}");
    plane.cluster.set_fault(None);
    plane.reach(|object| object["spec"]["paused"] == true).await;
    assert_eq!(plane.cluster.mutations().len(), before + 1);
}

#[tokio::test]
async fn a_swallowed_order_is_accepted_and_does_nothing_until_it_is_nudged() {
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    plane.cluster.swallow(1);
    let receipt = bench
        .send(&give(RolloutAction::Abort, seen.clone()))
        .await
        .unwrap();
    assert_eq!(receipt.status, 200);
    assert_eq!(plane.status("phase"), "Paused");
    bench
        .send(&give(
            RolloutAction::Nudge {
                at: (plane.setup.now)(),
            },
            seen,
        ))
        .await
        .unwrap();
    plane.until("Degraded").await;
    let nudged = plane.ranker()["metadata"]["annotations"]["gonogo.dev/nudge"].clone();
    assert!(
        nudged.as_str().unwrap().starts_with("2026-03-10T12:0"),
        "{nudged}"
    );
}

#[tokio::test]
async fn undo_puts_the_earlier_revision_back_and_finds_its_old_replica_set() {
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    let first: Clean = Clean::name(plane.status("stableRS").as_str().unwrap());
    bench
        .send(&give(RolloutAction::PromoteFull, seen))
        .await
        .unwrap();
    plane.until("Healthy").await;
    let sets = plane.cluster.list("ReplicaSet").len();
    bench
        .send(&give(
            RolloutAction::Undo {
                hash: first.clone(),
            },
            plane.seen(),
        ))
        .await
        .unwrap();
    plane
        .reach(|object| object["status"]["currentPodHash"] == first.as_str())
        .await;
    assert_eq!(plane.cluster.list("ReplicaSet").len(), sets);
    plane.until("Paused").await;
    // Already there: nothing is sent.
    let sent = plane.cluster.mutations().len();
    let again = bench
        .send(&give(RolloutAction::Undo { hash: first }, plane.seen()))
        .await;
    let error = again.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(
        error.message.contains("holds this revision already"),
        "{error}"
    );
    let unknown = bench
        .send(&give(
            RolloutAction::Undo {
                hash: "nothere".into(),
            },
            plane.seen(),
        ))
        .await;
    assert_eq!(unknown.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(plane.cluster.mutations().len(), sent);
}

#[tokio::test]
async fn a_restart_replaces_every_pod() {
    let (plane, seen) = Plane::paused().await;
    let at = (plane.setup.now)() + chrono::TimeDelta::seconds(1);
    plane
        .bench()
        .send(&give(RolloutAction::Restart { at }, seen))
        .await
        .unwrap();
    plane
        .reach(|object| {
            object["status"]["restartedAt"].is_string()
                && object["status"]["restartedAt"] == object["spec"]["restartAt"]
        })
        .await;
}

#[tokio::test]
async fn cluster_trap_7_a_status_sent_to_the_object_would_be_dropped() {
    // What the adapter avoids: the demo's cluster, as the real one, drops it.
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    let preview = bench
        .backend
        .controls
        .rollout
        .as_ref()
        .unwrap()
        .preview(&give(RolloutAction::Abort, seen.clone()));
    assert!(
        preview.path.contains("/rollouts/ranker/status?"),
        "{}",
        preview.path
    );
    bench.send(&give(RolloutAction::Abort, seen)).await.unwrap();
    let sent = plane.cluster.mutations();
    assert!(
        sent.last()
            .unwrap()
            .path
            .contains("/rollouts/ranker/status")
    );
    assert!(plane.ranker()["spec"]["paused"] != true);
}

#[tokio::test]
async fn a_rollout_with_a_workload_reference_is_undone_there() {
    let plane = Plane::start(&[target(TargetKind::Rollout, "ranker")]).await;
    plane.cluster.apply(super::ranker()).unwrap();
    plane.until("Healthy").await;
    plane.set_image("v2");
    plane.until("Paused").await;
    let hash = Clean::name(plane.status("stableRS").as_str().unwrap());
    // Only the reference matters here; the controller of the demo ignores it.
    let template = plane.ranker()["spec"]["template"].clone();
    plane.cluster.seed(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "carrier", "namespace": "recsys", "generation": 1},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "ranker"}}, "template": template},
    })).unwrap();
    let reference = json!({"spec": {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "carrier"}}});
    plane
        .cluster
        .patch("Rollout", "recsys", "ranker", reference)
        .unwrap();
    let undo = give(RolloutAction::Undo { hash }, plane.seen());
    let sent = plane.bench().send(&undo).await;
    match sent {
        Ok(_) => {
            let carrier = plane
                .cluster
                .get("Deployment", "recsys", "carrier")
                .unwrap();
            assert_eq!(
                carrier["spec"]["template"]["spec"]["containers"][0]["image"],
                "registry.local/ranker:v1"
            );
        }
        // The demo's release manager may not change deployments; it was tried there.
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Forbidden, "{error}");
            assert!(error.message.contains("deployments `carrier`"), "{error}");
        }
    }
    let odd = json!({"spec": {"workloadRef": {"kind": "StatefulSet", "name": "x"}}});
    plane
        .cluster
        .patch("Rollout", "recsys", "ranker", odd)
        .unwrap();
    // The controller may still be at work on the first undo: what moves under the
    // order is refused as that, and asked again as a person would.
    let mut error = None;
    for _ in 0..100 {
        let hash = Clean::name(plane.status("stableRS").as_str().unwrap());
        let undo = give(RolloutAction::Undo { hash }, plane.seen());
        let said = plane.bench().send(&undo).await.unwrap_err();
        let moved = said.kind == ErrorKind::Conflict;
        error = Some(said);
        if !moved {
            break;
        }
    }
    let error = error.unwrap();
    assert_eq!(error.kind, ErrorKind::Rejected);
    assert!(error.message.contains("StatefulSet `x`"), "{error}");
}

#[tokio::test]
async fn an_order_reaches_the_wire_without_delay() {
    let (plane, seen) = Plane::paused().await;
    let bench = plane.bench();
    bench
        .send(&give(
            RolloutAction::Nudge {
                at: (plane.setup.now)(),
            },
            seen.clone(),
        ))
        .await
        .unwrap();
    let started = tokio::time::Instant::now();
    bench.send(&give(RolloutAction::Hold, seen)).await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
}
