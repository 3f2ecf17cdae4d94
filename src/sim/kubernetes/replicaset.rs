//! Replica sets: as many pods as asked for, and an honest count of them.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::sim::kubernetes::managed::read_stamp;
use crate::sim::kubernetes::pod::{self, BORN};
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::store::{Write, suffix};
use crate::sim::kubernetes::time::{after, until};
use crate::sim::kubernetes::value::Fields;
use crate::sim::kubernetes::world::{Again, World, owner_reference};

/// Makes and deletes pods, then counts.
pub(crate) fn reconcile(world: &mut World<'_>, set: &Value) -> Again {
    let Some(key) = Key::of(set) else {
        return Ok(None);
    };
    let wanted = usize::try_from(set.number("/spec/replicas").unwrap_or(1)).unwrap_or(0);
    let mut pods = world.owned("Pod", set);
    // The least useful last: those not ready, then the youngest.
    pods.sort_by_key(|pod| {
        (
            Reverse(pod::is_ready(pod)),
            pod.count("/metadata/resourceVersion"),
        )
    });
    while pods.len() > wanted {
        if let Some(gone) = pods.pop().and_then(|pod| Key::of(&pod)) {
            world.delete(&gone);
        }
    }
    while pods.len() < wanted {
        pods.push(make_pod(world, set)?);
    }
    let min_ready = Duration::from_secs(set.count("/spec/minReadySeconds").unsigned_abs());
    let mut ready = 0;
    let mut available = 0;
    let mut wait: Option<Duration> = None;
    for since in pods.iter().filter_map(|pod| pod::ready_since(pod)) {
        ready += 1;
        let since = read_stamp(since).unwrap_or(world.now);
        let at = after(since, min_ready);
        if at <= world.now {
            available += 1;
        } else {
            let left = until(at, world.now);
            wait = Some(wait.map_or(left, |known| known.min(left)));
        }
    }
    let status = counted(set, wanted, ready, available);
    if set.at("/status") != &status {
        world.modify(&key, |set| set.put("/status", status))?;
    }
    Ok(wait)
}

fn counted(set: &Value, pods: usize, ready: usize, available: usize) -> Value {
    let mut status = json!({
        "replicas": pods,
        "observedGeneration": set.at("/metadata/generation"),
    });
    for (field, count) in [
        ("fullyLabeledReplicas", pods),
        ("readyReplicas", ready),
        ("availableReplicas", available),
    ] {
        if count > 0 {
            status.put(&format!("/{field}"), json!(count));
        }
    }
    status
}

fn make_pod(world: &mut World<'_>, set: &Value) -> Result<Arc<Value>, Problem> {
    let resource = Resource::by_kind("Pod").expect("pods are in the table");
    let namespace = set.text("/metadata/namespace");
    let unique = suffix(world.store.version());
    let mut spec = set.at("/spec/template/spec").clone();
    if !spec.has("/nodeName") {
        spec.put("/nodeName", json!(node(world)));
    }
    let mut meta = set.at("/spec/template/metadata").clone();
    meta.put(
        "/name",
        json!(format!("{}-{unique}", set.text("/metadata/name"))),
    );
    meta.put(
        "/generateName",
        json!(format!("{}-", set.text("/metadata/name"))),
    );
    meta.put("/ownerReferences", json!([owner_reference(set)]));
    let pod = json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": meta,
        "spec": spec,
        "status": {"phase": "Pending"},
    });
    let made = world
        .store
        .create(resource, namespace, pod, Write::INTERNAL)?;
    world
        .stamps
        .set(made.text("/metadata/uid"), BORN, world.now);
    Ok(made)
}

/// A node to run on, in turn.
fn node(world: &World<'_>) -> String {
    let (nodes, _) = world.store.list("Node", None);
    let count = u64::try_from(nodes.len()).unwrap_or(0).max(1);
    let at = usize::try_from(world.store.version() % count).unwrap_or(0);
    nodes.get(at).map_or_else(
        || "node-1".to_owned(),
        |node| node.text("/metadata/name").to_owned(),
    )
}
