//! Plain deployments: rolling update, hold, undo, deadline.

use serde_json::{Value, json};

use super::Lab;
use crate::sim::kubernetes::value::Fields;

fn web(tag: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 4,
            "progressDeadlineSeconds": 4,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {
                    "labels": {"app": "web"},
                    "annotations": {"sim.gonogo.dev/ready-after": "500ms"},
                },
                "spec": {"containers": [{"name": "app", "image": format!("registry.test/web:{tag}")}]},
            },
        },
    })
}

fn seen(lab: &Lab) -> Value {
    lab.cluster.get("Deployment", "default", "web").unwrap()
}

fn patch(lab: &Lab, spec: &Value) {
    lab.cluster
        .patch("Deployment", "default", "web", json!({"spec": spec}))
        .unwrap();
}

fn image(lab: &Lab, tag: &str) {
    let container = json!({"name": "app", "image": format!("registry.test/web:{tag}")});
    patch(
        lab,
        &json!({"template": {"spec": {"containers": [container]}}}),
    );
}

/// The Progressing condition's reason.
fn reason(lab: &Lab) -> String {
    let seen = seen(lab);
    let conditions = seen.items("/status/conditions").iter();
    let progressing = conditions.filter(|one| one.text("/type") == "Progressing");
    progressing
        .map(|one| one.text("/reason").to_owned())
        .next()
        .unwrap_or_default()
}

/// kubectl's own rule for a finished rollout.
fn is_complete(deployment: &Value) -> bool {
    let status = deployment.at("/status");
    let wanted = deployment.count("/spec/replicas");
    status.at("/observedGeneration") == deployment.at("/metadata/generation")
        && status.count("/updatedReplicas") == wanted
        && status.count("/replicas") == wanted
        && status.count("/availableReplicas") == wanted
}

fn rolled_out(tag: &str) -> Lab {
    let lab = Lab::new();
    lab.cluster.apply(web(tag)).unwrap();
    lab.seconds(6);
    assert!(is_complete(&seen(&lab)));
    lab
}

#[test]
fn a_rolling_update_never_has_too_few_or_too_many_pods() {
    let lab = rolled_out("v1");
    image(&lab, "v2");
    for _ in 0..800 {
        lab.pass(std::time::Duration::from_millis(10));
        let pods = lab.cluster.list("Pod");
        let ready = pods
            .iter()
            .filter(|pod| crate::sim::kubernetes::pod::is_ready(pod))
            .count();
        assert!(pods.len() <= 5, "{} pods", pods.len());
        assert!(ready >= 3, "{ready} ready");
    }
    assert!(is_complete(&seen(&lab)));
    assert_eq!(reason(&lab), "NewReplicaSetAvailable");
    let revision = "/metadata/annotations/deployment.kubernetes.io~1revision";
    assert_eq!(seen(&lab).text(revision), "2");
}

#[test]
fn a_bad_image_misses_its_deadline_with_the_old_pods_in_service() {
    let lab = rolled_out("v1");
    image(&lab, "bad");
    lab.seconds(20);
    assert_eq!(reason(&lab), "ProgressDeadlineExceeded");
    let status = seen(&lab).at("/status").clone();
    // The counts of the captured deployment in this state.
    for (field, count) in [
        ("replicas", 5),
        ("updatedReplicas", 2),
        ("readyReplicas", 3),
        ("availableReplicas", 3),
        ("unavailableReplicas", 2),
    ] {
        assert_eq!(status.count(&format!("/{field}")), count, "{field}");
    }
}

#[test]
fn a_held_deployment_stays_as_it_is_and_goes_on_when_continued() {
    let lab = rolled_out("v1");
    image(&lab, "v2");
    lab.pass(std::time::Duration::from_millis(200));
    patch(&lab, &json!({"paused": true}));
    lab.seconds(3);
    assert_eq!(reason(&lab), "DeploymentPaused");
    let held = seen(&lab).at("/status/updatedReplicas").clone();
    lab.seconds(30);
    assert_eq!(seen(&lab).at("/status/updatedReplicas"), &held);
    assert_eq!(reason(&lab), "DeploymentPaused");
    patch(&lab, &json!({"paused": false}));
    lab.seconds(10);
    assert!(is_complete(&seen(&lab)));
}

#[test]
fn undo_brings_the_old_set_back_under_a_new_number() {
    let lab = rolled_out("v1");
    image(&lab, "v2");
    lab.seconds(10);
    let old = lab
        .sets()
        .into_iter()
        .find(|set| set.text("/metadata/annotations/deployment.kubernetes.io~1revision") == "1");
    let mut template = old.unwrap().at("/spec/template").clone();
    template.drop_field("/metadata/labels/pod-template-hash");
    patch(&lab, &json!({"template": template}));
    lab.seconds(10);
    assert!(is_complete(&seen(&lab)));
    assert_eq!(lab.sets().len(), 2);
    let revision = "/metadata/annotations/deployment.kubernetes.io~1revision";
    assert_eq!(seen(&lab).text(revision), "3");
    let history = lab.sets().iter().any(|set| {
        set.text("/metadata/annotations/deployment.kubernetes.io~1revision-history") == "1"
    });
    assert!(history);
}

#[test]
fn a_restart_annotation_replaces_all_pods() {
    let lab = rolled_out("v1");
    let before: Vec<_> = lab
        .cluster
        .list("Pod")
        .iter()
        .map(|pod| pod.text("/metadata/uid").to_owned())
        .collect();
    let annotation = json!({"kubectl.kubernetes.io/restartedAt": "now"});
    patch(
        &lab,
        &json!({"template": {"metadata": {"annotations": annotation}}}),
    );
    lab.seconds(10);
    assert!(is_complete(&seen(&lab)));
    let pods = lab.cluster.list("Pod");
    assert!(
        pods.iter()
            .all(|pod| !before.contains(&pod.text("/metadata/uid").to_owned()))
    );
}

#[test]
fn recreate_takes_all_old_pods_away_first() {
    let lab = Lab::new();
    let mut deployment = web("v1");
    deployment.put("/spec/strategy", json!({"type": "Recreate"}));
    lab.cluster.apply(deployment).unwrap();
    lab.seconds(5);
    image(&lab, "v2");
    let mut lowest = usize::MAX;
    for _ in 0..500 {
        lab.pass(std::time::Duration::from_millis(10));
        lowest = lowest.min(lab.cluster.list("Pod").len());
    }
    assert_eq!(lowest, 0);
    assert!(is_complete(&seen(&lab)));
}
