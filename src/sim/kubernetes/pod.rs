//! Pods: how a container comes to be ready, or does not.
//!
//! There is no kubelet; a pod becomes ready some time after it was made. The
//! annotation `sim.gonogo.dev/ready-after` says how long (`never` for a pod
//! that runs but fails its probe); an image tagged `bad`, or `…-bad`, cannot be
//! pulled.

use std::time::Duration;

use serde_json::{Value, json};

use crate::sim::kubernetes::duration;
use crate::sim::kubernetes::managed::stamp;
use crate::sim::kubernetes::resource::Key;
use crate::sim::kubernetes::time::{after, until};
use crate::sim::kubernetes::value::{Fields, annotation};
use crate::sim::kubernetes::world::{Again, World};

/// The template annotation that says how long pods take to get ready.
pub(crate) const READY_AFTER: &str = "sim.gonogo.dev/ready-after";

/// The name under which a pod's exact time of birth is remembered.
pub(crate) const BORN: &str = "born";

/// How references of images end that no registry has.
const BAD: [&str; 2] = [":bad", "-bad"];

/// The address of every node.
const HOST: &str = "10.0.0.1";

/// Moves a pod on.
pub(crate) fn reconcile(world: &mut World<'_>, pod: &Value) -> Again {
    let Some(key) = Key::of(pod) else {
        return Ok(None);
    };
    if is_ready(pod) {
        return Ok(None);
    }
    let uid = pod.text("/metadata/uid");
    let written = pod.text("/metadata/creationTimestamp");
    let born = world.stamps.exact(uid, BORN, written).unwrap_or(world.now);
    let stuck = pod
        .items("/spec/containers")
        .iter()
        .any(|one| BAD.iter().any(|bad| one.text("/image").ends_with(bad)));
    let delay = delay(pod).map(|delay| world.scaled(delay));
    let ready_at = delay.map(|delay| after(born, delay));
    let (status, wait) = match ready_at {
        _ if stuck => (
            waiting(pod, "ImagePullBackOff", "Back-off pulling image", born),
            None,
        ),
        Some(at) if at <= world.now => (running(pod, true, &stamp(at), born), None),
        Some(at) => {
            let status = waiting(pod, "ContainerCreating", "", born);
            (status, Some(until(at, world.now)))
        }
        // Runs, but its readiness probe fails for ever.
        None => (running(pod, false, &stamp(born), born), None),
    };
    if pod.at("/status") != &status {
        world.modify(&key, |pod| pod.put("/status", status))?;
    }
    Ok(wait)
}

/// How long the pod takes, undivided; `None` for never.
fn delay(pod: &Value) -> Option<Duration> {
    match annotation(pod, READY_AFTER) {
        "never" => None,
        written => duration::read(&json!(written)).or_else(|| {
            // A little apart, as real pods are: 1.0 to 1.9 seconds.
            let name = pod.text("/metadata/name");
            let spread = name
                .bytes()
                .fold(0_u64, |sum, byte| sum * 31 % 997 + u64::from(byte));
            Some(Duration::from_millis(1000 + spread % 10 * 100))
        }),
    }
}

/// Whether the pod's Ready condition is true.
pub(crate) fn is_ready(pod: &Value) -> bool {
    ready_since(pod).is_some()
}

/// The stamp since when the pod has been ready.
pub(crate) fn ready_since(pod: &Value) -> Option<&str> {
    pod.items("/status/conditions")
        .iter()
        .find(|condition| condition.text("/type") == "Ready" && condition.text("/status") == "True")
        .map(|condition| condition.text("/lastTransitionTime"))
}

fn waiting(pod: &Value, reason: &str, message: &str, born: chrono::DateTime<chrono::Utc>) -> Value {
    let mut state = json!({"waiting": {"reason": reason}});
    if !message.is_empty() {
        state.put("/waiting/message", json!(message));
    }
    status(pod, "Pending", false, &state, &stamp(born))
}

fn running(pod: &Value, ready: bool, since: &str, born: chrono::DateTime<chrono::Utc>) -> Value {
    let state = json!({"running": {"startedAt": stamp(born)}});
    status(pod, "Running", ready, &state, since)
}

fn status(pod: &Value, phase: &str, ready: bool, state: &Value, since: &str) -> Value {
    let containers: Vec<Value> = pod
        .items("/spec/containers")
        .iter()
        .map(|container| {
            json!({
                "name": container.at("/name"),
                "image": container.at("/image"),
                "imageID": "",
                "ready": ready,
                "started": phase == "Running",
                "restartCount": 0,
                "state": state,
                "lastState": {},
            })
        })
        .collect();
    let truth = |yes: bool| if yes { "True" } else { "False" };
    let condition = |kind: &str, yes: bool, reason: &str| {
        let mut condition = json!({
            "type": kind,
            "status": truth(yes),
            "lastProbeTime": null,
            "lastTransitionTime": since,
        });
        if !yes {
            condition.put("/reason", json!(reason));
        }
        condition
    };
    json!({
        "phase": phase,
        "conditions": [
            condition("PodScheduled", true, ""),
            condition("Initialized", true, ""),
            condition("ContainersReady", ready, "ContainersNotReady"),
            condition("Ready", ready, "ContainersNotReady"),
        ],
        "containerStatuses": containers,
        "hostIP": HOST,
        "hostIPs": [{"ip": HOST}],
        "podIP": address(pod),
        "podIPs": [{"ip": address(pod)}],
        "startTime": pod.at("/metadata/creationTimestamp"),
        "qosClass": "BestEffort",
    })
}

fn address(pod: &Value) -> String {
    let uid = pod.text("/metadata/uid");
    let sum = uid.bytes().fold(7_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    format!("10.1.{}.{}", sum / 254 % 254, 1 + sum % 254)
}
