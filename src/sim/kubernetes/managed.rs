//! `metadata.managedFields`: who last wrote which field.
//!
//! Kept because operators read it to learn who touched an object. Ownership is
//! recorded and moves with the last writer; conflicts between owners are not
//! modelled, so server-side apply never refuses here.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::sim::kubernetes::value::Fields;

/// How a write reached the server, as far as field ownership goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Author<'a> {
    pub(crate) manager: &'a str,
    /// `Update` or `Apply`.
    pub(crate) operation: &'a str,
    /// `status`, `scale` or empty.
    pub(crate) subresource: &'a str,
}

/// Notes in `after` what `author` changed since `before`.
pub(crate) fn note(before: &Value, after: &mut Value, author: Author<'_>, now: DateTime<Utc>) {
    let mut changed = changed_fields(before, after);
    for own in [
        "resourceVersion",
        "generation",
        "uid",
        "creationTimestamp",
        "managedFields",
        "name",
        "namespace",
    ] {
        changed.drop_field(&format!("/f:metadata/f:{own}"));
    }
    for top in ["apiVersion", "kind"] {
        changed.drop_field(&format!("/f:{top}"));
    }
    if changed
        .at("/f:metadata")
        .as_object()
        .is_some_and(Map::is_empty)
    {
        changed.drop_field("/f:metadata");
    }
    if changed.as_object().is_none_or(Map::is_empty) {
        return;
    }
    let api_version = after.at("/apiVersion").clone();
    let mut entries = after.items("/metadata/managedFields").to_vec();
    let mine = entries.iter().position(|entry| {
        entry.text("/manager") == author.manager
            && entry.text("/operation") == author.operation
            && entry.text("/subresource") == author.subresource
    });
    let mut fields = mine.map_or(json!({}), |at| entries.remove(at).at("/fieldsV1").clone());
    unite(&mut fields, &changed);
    let mut entry = json!({
        "manager": author.manager,
        "operation": author.operation,
        "apiVersion": api_version,
        "time": stamp(now),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    });
    if !author.subresource.is_empty() {
        entry.put("/subresource", json!(author.subresource));
    }
    entries.push(entry);
    after.put("/metadata/managedFields", Value::Array(entries));
}

/// A time as Kubernetes writes it: RFC 3339, whole seconds, UTC.
pub(crate) fn stamp(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The time a stamp says, if it is one.
pub(crate) fn read_stamp(written: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(written)
        .ok()
        .map(|time| time.to_utc())
}

fn changed_fields(before: &Value, after: &Value) -> Value {
    let mut fields = Map::new();
    if let Value::Object(new) = after {
        for (key, value) in new {
            let was = before.get(key).unwrap_or(&Value::Null);
            if was != value {
                fields.insert(format!("f:{key}"), changed_fields(was, value));
            }
        }
    }
    Value::Object(fields)
}

fn unite(fields: &mut Value, more: &Value) {
    if let (Value::Object(map), Value::Object(new)) = (fields, more) {
        for (key, value) in new {
            unite(map.entry(key.clone()).or_insert(json!({})), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_noted_with_the_fields_it_changed() {
        let before = json!({"apiVersion": "v1", "spec": {"paused": false, "replicas": 2}});
        let mut after = json!({"apiVersion": "v1", "spec": {"paused": true, "replicas": 2}});
        let author = Author {
            manager: "gonogo",
            operation: "Update",
            subresource: "",
        };
        note(&before, &mut after, author, DateTime::UNIX_EPOCH);
        let entry = after.at("/metadata/managedFields/0");
        assert_eq!(entry.text("/manager"), "gonogo");
        assert_eq!(entry.text("/time"), "1970-01-01T00:00:00Z");
        assert_eq!(entry.at("/fieldsV1"), &json!({"f:spec": {"f:paused": {}}}));
    }

    #[test]
    fn a_second_write_of_the_same_writer_joins_the_first() {
        let author = Author {
            manager: "m",
            operation: "Update",
            subresource: "status",
        };
        let mut first = json!({"status": {"abort": true}});
        note(&json!({}), &mut first, author, DateTime::UNIX_EPOCH);
        let mut second = first.clone();
        second.put("/status/promoteFull", json!(true));
        note(&first, &mut second, author, DateTime::UNIX_EPOCH);
        assert_eq!(second.items("/metadata/managedFields").len(), 1);
        assert_eq!(
            second.at("/metadata/managedFields/0/fieldsV1"),
            &json!({"f:status": {"f:abort": {}, "f:promoteFull": {}}})
        );
    }
}
