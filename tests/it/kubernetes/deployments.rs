//! Orders to plain Deployments, against a cluster whose controllers carry them out.

use gonogo::{
    backend::{BackendError, ErrorKind},
    domain::{
        action::{Receipt, RolloutAction, RolloutSeen},
        id::TargetKind,
        text::Clean,
    },
};
use serde_json::{Value, json};

use super::{Plane, eventually, order, target};

/// A deployment whose second revision is complete.
async fn deployed() -> (Plane, RolloutSeen, Clean) {
    let plane = Plane::start(&[target(TargetKind::Deployment, "gateway")]).await;
    let container =
        |tag: &str| json!([{"name": "app", "image": format!("registry.local/gateway:{tag}")}]);
    plane.cluster.apply(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gateway", "namespace": "recsys"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "gateway"}},
            "template": {
                "metadata": {"labels": {"app": "gateway"}, "annotations": {"sim.gonogo.dev/ready-after": "10ms"}},
                "spec": {"containers": container("v1")},
            },
        },
    })).unwrap();
    complete(&plane, "v1").await;
    let patch = json!({"spec": {"template": {"spec": {"containers": container("v2")}}}});
    plane
        .cluster
        .patch("Deployment", "recsys", "gateway", patch)
        .unwrap();
    complete(&plane, "v2").await;
    let hash = |tag: &str| {
        let image = format!("registry.local/gateway:{tag}");
        let sets = plane.cluster.list("ReplicaSet");
        let set = sets.iter().find(|set| {
            set["spec"]["template"]["spec"]["containers"][0]["image"] == image.as_str()
        });
        Clean::name(
            set.unwrap()["metadata"]["labels"]["pod-template-hash"]
                .as_str()
                .unwrap(),
        )
    };
    let uid = gateway(&plane)["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    let seen = RolloutSeen {
        uid: Clean::name(&uid),
        pod_hash: Some(hash("v2")),
        step: None,
        paused_since: None,
    };
    let first = hash("v1");
    (plane, seen, first)
}

fn gateway(plane: &Plane) -> Value {
    plane
        .cluster
        .get("Deployment", "recsys", "gateway")
        .unwrap()
}

async fn complete(plane: &Plane, tag: &str) {
    let image = format!("registry.local/gateway:{tag}");
    eventually(|| {
        let object = gateway(plane);
        let status = &object["status"];
        object["spec"]["template"]["spec"]["containers"][0]["image"] == image.as_str()
            && status["observedGeneration"] == object["metadata"]["generation"]
            && status["replicas"] == 2
            && status["updatedReplicas"] == 2
            && status["availableReplicas"] == 2
    })
    .await;
}

async fn to_gateway(
    plane: &Plane,
    action: RolloutAction,
    seen: &RolloutSeen,
) -> Result<Receipt, BackendError> {
    let given = order(
        &target(TargetKind::Deployment, "gateway"),
        action,
        seen.clone(),
    );
    plane.bench().send(&given).await
}

#[tokio::test]
async fn a_deployment_is_held_continued_and_rolled_back() {
    let (plane, seen, first) = deployed().await;
    to_gateway(&plane, RolloutAction::Hold, &seen)
        .await
        .unwrap();
    assert_eq!(gateway(&plane)["spec"]["paused"], true);
    let held = to_gateway(
        &plane,
        RolloutAction::Undo {
            hash: first.clone(),
        },
        &seen,
    )
    .await
    .unwrap_err();
    assert_eq!(held.kind, ErrorKind::Conflict);
    assert!(held.message.contains("continue it first"), "{held}");
    to_gateway(&plane, RolloutAction::Resume, &seen)
        .await
        .unwrap();
    assert_ne!(gateway(&plane)["spec"]["paused"], true);
    to_gateway(
        &plane,
        RolloutAction::Undo {
            hash: first.clone(),
        },
        &seen,
    )
    .await
    .unwrap();
    complete(&plane, "v1").await;
    // The revision that was shown is no longer the one wanted.
    let stale = to_gateway(&plane, RolloutAction::Undo { hash: first }, &seen)
        .await
        .unwrap_err();
    assert_eq!(stale.kind, ErrorKind::Conflict, "{stale}");
}

#[tokio::test]
async fn a_deployment_that_changed_under_a_hold_is_not_continued_unseen() {
    let (plane, seen, _) = deployed().await;
    to_gateway(&plane, RolloutAction::Hold, &seen)
        .await
        .unwrap();
    let patch = json!({"spec": {"template": {"metadata": {"annotations": {"slipped": "in"}}}}});
    plane
        .cluster
        .patch("Deployment", "recsys", "gateway", patch)
        .unwrap();
    let error = to_gateway(&plane, RolloutAction::Resume, &seen)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(gateway(&plane)["spec"]["paused"], true);
}

#[tokio::test]
async fn a_deployment_is_restarted_and_has_no_canary() {
    let (plane, seen, _) = deployed().await;
    let at = (plane.setup.now)();
    to_gateway(&plane, RolloutAction::Restart { at }, &seen)
        .await
        .unwrap();
    let annotations = &gateway(&plane)["spec"]["template"]["metadata"]["annotations"];
    assert!(annotations["kubectl.kubernetes.io/restartedAt"].is_string());
    let error = to_gateway(&plane, RolloutAction::Abort, &seen)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected);
    assert_eq!(error.message, "a Deployment has no canary");
}
