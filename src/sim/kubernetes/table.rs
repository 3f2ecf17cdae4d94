//! Tables: how `kubectl get` sees a list.
//!
//! The server chooses columns and prints cells; the client only aligns them.
//! Columns are those of the real printers and custom resource definitions.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::sim::kubernetes::resource::Resource;
use crate::sim::kubernetes::value::Fields;

/// How the answer is to be shaped, from the `Accept` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The objects as they are.
    Plain,
    /// Rows of cells.
    Table(Include),
    /// Only type and metadata.
    Metadata,
}

/// What a row carries beside its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

impl Shape {
    pub(crate) fn of(accept: &str, include: &str) -> Self {
        for offer in accept.split(',') {
            if !offer.contains("application/json") && !offer.contains("*/*") {
                continue;
            }
            if offer.contains("as=Table") {
                return Self::Table(match include {
                    "None" => Include::None,
                    "Object" => Include::Object,
                    _ => Include::Metadata,
                });
            }
            if offer.contains("as=PartialObjectMetadata") {
                return Self::Metadata;
            }
            return Self::Plain;
        }
        Self::Plain
    }

    /// One object in this shape.
    pub(crate) fn one(self, resource: &Resource, object: &Value, now: DateTime<Utc>) -> Value {
        match self {
            Self::Plain => object.clone(),
            Self::Metadata => metadata_only(object),
            Self::Table(include) => {
                let version = object.at("/metadata/resourceVersion");
                let meta = json!({"resourceVersion": version});
                table(resource, std::iter::once(object), include, &meta, now)
            }
        }
    }

    /// A list in this shape; `meta` is the list's metadata.
    pub(crate) fn many<'a>(
        self,
        resource: &Resource,
        objects: impl Iterator<Item = &'a Value>,
        meta: &Value,
        now: DateTime<Utc>,
    ) -> Value {
        match self {
            Self::Plain => json!({
                "kind": format!("{}List", resource.kind),
                "apiVersion": resource.api_version(),
                "metadata": meta,
                "items": objects.cloned().collect::<Vec<_>>(),
            }),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": meta,
                "items": objects.map(metadata_only).collect::<Vec<_>>(),
            }),
            Self::Table(include) => table(resource, objects, include, meta, now),
        }
    }
}

fn metadata_only(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.at("/metadata"),
    })
}

fn table<'a>(
    resource: &Resource,
    objects: impl Iterator<Item = &'a Value>,
    include: Include,
    meta: &Value,
    now: DateTime<Utc>,
) -> Value {
    let columns: Vec<Value> = columns(resource)
        .iter()
        .map(|(name, kind)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({"name": name, "type": kind, "format": format, "description": "", "priority": 0})
        })
        .collect();
    let rows: Vec<Value> = objects
        .map(|object| {
            let carried = match include {
                Include::None => Value::Null,
                Include::Metadata => metadata_only(object),
                Include::Object => object.clone(),
            };
            json!({"cells": cells(resource, object, now), "object": carried})
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": columns,
        "rows": rows,
    })
}

fn columns(resource: &Resource) -> &'static [(&'static str, &'static str)] {
    const TEXT: &str = "string";
    const COUNT: &str = "integer";
    match resource.kind {
        "Rollout" => &[
            ("Name", TEXT),
            ("Desired", COUNT),
            ("Current", COUNT),
            ("Up-to-date", COUNT),
            ("Available", COUNT),
            ("Age", TEXT),
        ],
        "AnalysisRun" | "Experiment" | "Namespace" => {
            &[("Name", TEXT), ("Status", TEXT), ("Age", TEXT)]
        }
        "Deployment" => &[
            ("Name", TEXT),
            ("Ready", TEXT),
            ("Up-to-date", COUNT),
            ("Available", COUNT),
            ("Age", TEXT),
        ],
        "ReplicaSet" => &[
            ("Name", TEXT),
            ("Desired", COUNT),
            ("Current", COUNT),
            ("Ready", COUNT),
            ("Age", TEXT),
        ],
        "Pod" => &[
            ("Name", TEXT),
            ("Ready", TEXT),
            ("Status", TEXT),
            ("Restarts", TEXT),
            ("Age", TEXT),
        ],
        "Service" => &[
            ("Name", TEXT),
            ("Type", TEXT),
            ("Cluster-IP", TEXT),
            ("External-IP", TEXT),
            ("Port(s)", TEXT),
            ("Age", TEXT),
        ],
        "Event" => &[
            ("Last Seen", TEXT),
            ("Type", TEXT),
            ("Reason", TEXT),
            ("Object", TEXT),
            ("Message", TEXT),
        ],
        "Node" => &[
            ("Name", TEXT),
            ("Status", TEXT),
            ("Roles", TEXT),
            ("Age", TEXT),
            ("Version", TEXT),
        ],
        "ConfigMap" => &[("Name", TEXT), ("Data", COUNT), ("Age", TEXT)],
        _ => &[("Name", TEXT), ("Age", TEXT)],
    }
}

fn cells(resource: &Resource, object: &Value, now: DateTime<Utc>) -> Value {
    let name = object.text("/metadata/name");
    let age = age(object.text("/metadata/creationTimestamp"), now);
    let status = |field: &str| object.at("/status").count(field);
    let desired = object.number("/spec/replicas").unwrap_or(1);
    match resource.kind {
        "Rollout" => json!([
            name,
            desired,
            status("/replicas"),
            status("/updatedReplicas"),
            status("/availableReplicas"),
            age
        ]),
        "AnalysisRun" | "Experiment" | "Namespace" => {
            json!([name, object.text("/status/phase"), age])
        }
        "Deployment" => json!([
            name,
            format!("{}/{desired}", status("/readyReplicas")),
            status("/updatedReplicas"),
            status("/availableReplicas"),
            age
        ]),
        "ReplicaSet" => {
            json!([
                name,
                desired,
                status("/replicas"),
                status("/readyReplicas"),
                age
            ])
        }
        "Pod" => pod_cells(object, &age),
        "Service" => json!([
            name,
            if object.has("/spec/type") {
                object.text("/spec/type")
            } else {
                "ClusterIP"
            },
            if object.has("/spec/clusterIP") {
                object.text("/spec/clusterIP")
            } else {
                "<none>"
            },
            "<none>",
            ports(object),
            age
        ]),
        "Event" => json!([
            self::age(object.text("/lastTimestamp"), now),
            object.text("/type"),
            object.text("/reason"),
            format!(
                "{}/{}",
                object.text("/involvedObject/kind").to_lowercase(),
                object.text("/involvedObject/name")
            ),
            object.text("/message")
        ]),
        "Node" => json!([
            name,
            "Ready",
            "<none>",
            age,
            object.text("/status/nodeInfo/kubeletVersion")
        ]),
        "ConfigMap" => {
            json!([
                name,
                object
                    .at("/data")
                    .as_object()
                    .map_or(0, serde_json::Map::len),
                age
            ])
        }
        _ => json!([name, age]),
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
    json!([
        pod.text("/metadata/name"),
        format!("{ready}/{total}"),
        status,
        restarts.to_string(),
        age
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

/// The age of a stamp as kubectl writes it.
pub(crate) fn age(stamp: &str, now: DateTime<Utc>) -> String {
    let Ok(then) = DateTime::parse_from_rfc3339(stamp) else {
        return "<unknown>".to_owned();
    };
    let seconds = (now - then.to_utc()).num_seconds().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let with_rest = |whole: i64, unit: &str, rest: i64, small: &str| {
        if rest == 0 {
            format!("{whole}{unit}")
        } else {
            format!("{whole}{unit}{rest}{small}")
        }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => with_rest(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => with_rest(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => with_rest(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(100);
        for (seconds, expected) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (335, "5m35s"),
            (3600, "60m"),
            (11_400, "3h10m"),
            (90_000, "25h"),
            (3 * 86_400 + 7200, "3d2h"),
            (9 * 86_400, "9d"),
        ] {
            let then = (now - TimeDelta::seconds(seconds)).to_rfc3339();
            assert_eq!(age(&then, now), expected);
        }
    }

    #[test]
    fn the_accept_header_of_kubectl_asks_for_a_table() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        assert_eq!(Shape::of(kubectl, ""), Shape::Table(Include::Metadata));
        assert_eq!(Shape::of("application/json", ""), Shape::Plain);
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(Shape::of(metadata, ""), Shape::Metadata);
        assert_eq!(Shape::of("*/*", ""), Shape::Plain);
    }

    #[test]
    fn a_rollout_row_has_the_columns_of_its_definition() {
        let resource = Resource::by_kind("Rollout").unwrap();
        let rollout = json!({
            "metadata": {"name": "demo", "creationTimestamp": "1970-01-01T00:00:00Z"},
            "spec": {"replicas": 10},
            "status": {"replicas": 10, "updatedReplicas": 1, "availableReplicas": 9},
        });
        let shape = Shape::Table(Include::None);
        let table = shape.one(resource, &rollout, DateTime::UNIX_EPOCH);
        let names: Vec<_> = table
            .items("/columnDefinitions")
            .iter()
            .map(|column| column.text("/name"))
            .collect();
        assert_eq!(
            names,
            [
                "Name",
                "Desired",
                "Current",
                "Up-to-date",
                "Available",
                "Age"
            ]
        );
        assert_eq!(
            table.at("/rows/0/cells"),
            &json!(["demo", 10, 10, 1, 9, "0s"])
        );
    }
}
