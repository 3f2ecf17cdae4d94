//! Tables: how `kubectl get` sees a list.
//!
//! The server chooses columns and prints cells; the client only aligns them.
//! Columns are those of the real printers and custom resource definitions.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::sim::kubernetes::columns::{TEXT, cells, columns};
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
                "items": objects.map(|object| item(resource, object)).collect::<Vec<_>>(),
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

/// An object as an item of a list: built-in kinds leave out what the list
/// already says.
fn item(resource: &Resource, object: &Value) -> Value {
    let mut item = object.clone();
    if !resource.custom {
        item.drop_field("/kind");
        item.drop_field("/apiVersion");
    }
    item
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
    let age = if resource.custom { "date" } else { TEXT };
    let columns: Vec<Value> = columns(resource)
        .iter()
        .map(|(name, kind, priority)| {
            let format = if *name == "Name" { "name" } else { "" };
            let kind = if *name == "Age" { age } else { *kind };
            json!({
                "name": name,
                "type": kind,
                "format": format,
                "description": "",
                "priority": priority,
            })
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
