//! The columns `kubectl get` shows of each kind.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::sim::kubernetes::resource::Resource;
use crate::sim::kubernetes::table::age as age_of;
use crate::sim::kubernetes::value::{Fields, members};

pub(crate) const TEXT: &str = "string";
const COUNT: &str = "integer";

/// Name, type, and 1 for those only shown with `-o wide`.
pub(crate) type Column = (&'static str, &'static str, u8);

/// The columns of a kind.
pub(crate) fn columns(resource: &Resource) -> &'static [Column] {
    const NAME: Column = ("Name", TEXT, 0);
    const AGE: Column = ("Age", TEXT, 0);
    const CONTAINERS: Column = ("Containers", TEXT, 1);
    const IMAGES: Column = ("Images", TEXT, 1);
    const SELECTOR: Column = ("Selector", TEXT, 1);
    match resource.kind {
        "Rollout" => &[
            NAME,
            ("Desired", COUNT, 0),
            ("Current", COUNT, 0),
            ("Up-to-date", COUNT, 0),
            ("Available", COUNT, 0),
            AGE,
        ],
        "AnalysisRun" | "Experiment" | "Namespace" => &[NAME, ("Status", TEXT, 0), AGE],
        "Deployment" => &[
            NAME,
            ("Ready", TEXT, 0),
            ("Up-to-date", TEXT, 0),
            ("Available", TEXT, 0),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        "ReplicaSet" => &[
            NAME,
            ("Desired", COUNT, 0),
            ("Current", COUNT, 0),
            ("Ready", COUNT, 0),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        "Pod" => &[
            NAME,
            ("Ready", TEXT, 0),
            ("Status", TEXT, 0),
            ("Restarts", TEXT, 0),
            AGE,
            ("IP", TEXT, 1),
            ("Node", TEXT, 1),
            ("Nominated Node", TEXT, 1),
            ("Readiness Gates", TEXT, 1),
        ],
        "Service" => &[
            NAME,
            ("Type", TEXT, 0),
            ("Cluster-IP", TEXT, 0),
            ("External-IP", TEXT, 0),
            ("Port(s)", TEXT, 0),
            AGE,
            SELECTOR,
        ],
        "Event" => &[
            ("Last Seen", TEXT, 0),
            ("Type", TEXT, 0),
            ("Reason", TEXT, 0),
            ("Object", TEXT, 0),
            ("Message", TEXT, 0),
        ],
        "Node" => &[
            NAME,
            ("Status", TEXT, 0),
            ("Roles", TEXT, 0),
            AGE,
            ("Version", TEXT, 0),
        ],
        "ConfigMap" => &[NAME, ("Data", COUNT, 0), AGE],
        _ => &[NAME, AGE],
    }
}

/// The cells of one object, as many as there are columns.
pub(crate) fn cells(resource: &Resource, object: &Value, now: DateTime<Utc>) -> Value {
    let name = object.text("/metadata/name");
    let age = age_of(object.text("/metadata/creationTimestamp"), now);
    let status = |field: &str| object.at("/status").count(field);
    let desired = object.number("/spec/replicas").unwrap_or(1);
    let shown = |pointer: &str| match object.text(pointer) {
        "" => "<none>".to_owned(),
        text => text.to_owned(),
    };
    let containers = |field: &str| {
        let all = object.items("/spec/template/spec/containers").iter();
        all.map(|container| container.text(field))
            .collect::<Vec<_>>()
            .join(",")
    };
    match resource.kind {
        // Columns of a custom kind show the bare field, and nothing if there is none.
        "Rollout" => json!([
            name,
            object.at("/spec/replicas"),
            object.at("/status/replicas"),
            object.at("/status/updatedReplicas"),
            object.at("/status/availableReplicas"),
            age
        ]),
        "AnalysisRun" | "Experiment" | "Namespace" => {
            json!([name, object.at("/status/phase"), age])
        }
        "Deployment" => json!([
            name,
            format!("{}/{desired}", status("/readyReplicas")),
            status("/updatedReplicas"),
            status("/availableReplicas"),
            age,
            containers("/name"),
            containers("/image"),
            labels(object.at("/spec/selector/matchLabels")),
        ]),
        "ReplicaSet" => json!([
            name,
            desired,
            status("/replicas"),
            status("/readyReplicas"),
            age,
            containers("/name"),
            containers("/image"),
            labels(object.at("/spec/selector/matchLabels")),
        ]),
        "Pod" => pod_cells(object, &age),
        "Service" => json!([
            name,
            object.text("/spec/type"),
            shown("/spec/clusterIP"),
            "<none>",
            ports(object),
            age,
            labels(object.at("/spec/selector")),
        ]),
        "Event" => json!([
            age_of(object.text("/lastTimestamp"), now),
            object.text("/type"),
            object.text("/reason"),
            format!(
                "{}/{}",
                object.text("/involvedObject/kind").to_lowercase(),
                object.text("/involvedObject/name")
            ),
            object.text("/message")
        ]),
        "Node" => {
            json!([
                name,
                "Ready",
                "<none>",
                age,
                object.text("/status/nodeInfo/kubeletVersion")
            ])
        }
        "ConfigMap" => json!([name, members(object.at("/data")).count(), age]),
        _ => json!([name, age]),
    }
}

/// Labels as a selector of them is written.
fn labels(map: &Value) -> String {
    let all: Vec<String> = members(map)
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if all.is_empty() {
        "<none>".to_owned()
    } else {
        all.join(",")
    }
}

fn pod_cells(pod: &Value, age: &str) -> Value {
    let containers = pod.items("/status/containerStatuses");
    let ready = containers
        .iter()
        .filter(|status| status.flag("/ready"))
        .count();
    let restarts: i64 = containers
        .iter()
        .map(|status| status.count("/restartCount"))
        .sum();
    let waiting = containers
        .iter()
        .map(|status| status.text("/state/waiting/reason"))
        .find(|reason| !reason.is_empty());
    let status = waiting.unwrap_or_else(|| pod.text("/status/phase"));
    let total = pod.items("/spec/containers").len();
    let shown = |pointer: &str| match pod.text(pointer) {
        "" => "<none>".to_owned(),
        text => text.to_owned(),
    };
    json!([
        pod.text("/metadata/name"),
        format!("{ready}/{total}"),
        status,
        restarts.to_string(),
        age,
        shown("/status/podIP"),
        shown("/spec/nodeName"),
        "<none>",
        "<none>",
    ])
}

fn ports(service: &Value) -> String {
    let ports: Vec<String> = service
        .items("/spec/ports")
        .iter()
        .map(|port| {
            let protocol = if port.has("/protocol") {
                port.text("/protocol")
            } else {
                "TCP"
            };
            format!("{}/{protocol}", port.count("/port"))
        })
        .collect();
    if ports.is_empty() {
        "<none>".to_owned()
    } else {
        ports.join(",")
    }
}
