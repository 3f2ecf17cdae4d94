//! Strategic merge: a merge patch in which some lists are merged by name.
//!
//! kubectl sends it for built-in kinds (`set image`, `rollout pause`,
//! `rollout restart`). Only the lists a workload has are known; every other
//! list is replaced. The real server knows them from its schema.

use serde_json::{Map, Value, json};

/// Lists merged by a member: field name, and the members that name an item.
const MERGED: &[(&str, &[&str])] = &[
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("imagePullSecrets", &["name"]),
    ("ports", &["containerPort", "port"]),
    ("conditions", &["type"]),
    ("ownerReferences", &["uid"]),
];

/// Applies a strategic merge patch to `target` in place.
pub(crate) fn strategic_merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if changes.get("$patch") == Some(&json!("replace")) {
        *target = Value::Object(without_directives(changes));
        return;
    }
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(map) = target else { return };
    for (key, change) in changes {
        if key.starts_with('$') {
            continue;
        }
        match (key_of(key), change) {
            (_, Value::Null) => drop(map.shift_remove(key)),
            (Some(names), Value::Array(items)) => {
                merge_list(map.entry(key.clone()).or_insert(json!([])), names, items);
            }
            _ => strategic_merge(map.entry(key.clone()).or_insert(Value::Null), change),
        }
    }
}

fn without_directives(changes: &Map<String, Value>) -> Map<String, Value> {
    changes
        .iter()
        .filter(|(key, _)| !key.starts_with('$'))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn key_of(field: &str) -> Option<&'static [&'static str]> {
    MERGED
        .iter()
        .find(|(name, _)| *name == field)
        .map(|(_, names)| *names)
}

fn merge_list(target: &mut Value, names: &[&str], changes: &[Value]) {
    let Value::Array(list) = target else {
        *target = Value::Array(changes.to_vec());
        return;
    };
    for change in changes {
        let found = list.iter().position(|item| same_item(item, change, names));
        let deleted = change.get("$patch") == Some(&json!("delete"));
        match (found, deleted) {
            (Some(at), true) => drop(list.remove(at)),
            (Some(at), false) => {
                if let Some(item) = list.get_mut(at) {
                    strategic_merge(item, change);
                }
            }
            (None, true) => (),
            (None, false) => list.push(change.clone()),
        }
    }
}

fn same_item(item: &Value, change: &Value, names: &[&str]) -> bool {
    names
        .iter()
        .any(|name| change.get(name).is_some() && item.get(name) == change.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Value {
        json!({"spec": {"containers": [
            {"name": "app", "image": "app:1", "env": [{"name": "A", "value": "1"}]},
            {"name": "log", "image": "log:1"},
        ]}})
    }

    #[test]
    fn containers_are_merged_by_name() {
        let mut target = pod();
        strategic_merge(
            &mut target,
            &json!({"spec": {
                "$setElementOrder/containers": [{"name": "app"}],
                "containers": [{"name": "app", "image": "app:2"}],
            }}),
        );
        assert_eq!(
            target,
            json!({"spec": {"containers": [
                {"name": "app", "image": "app:2", "env": [{"name": "A", "value": "1"}]},
                {"name": "log", "image": "log:1"},
            ]}})
        );
    }

    #[test]
    fn an_item_can_be_deleted_and_another_list_is_replaced() {
        let mut target = pod();
        strategic_merge(
            &mut target,
            &json!({"spec": {
                "containers": [{"name": "log", "$patch": "delete"}],
                "tolerations": [{"key": "gpu"}],
            }}),
        );
        assert_eq!(target.pointer("/spec/containers/1"), None);
        assert_eq!(
            target.pointer("/spec/tolerations"),
            Some(&json!([{"key": "gpu"}]))
        );
    }

    #[test]
    fn null_removes_and_new_objects_are_made() {
        let mut target = json!({"spec": {"paused": true}});
        strategic_merge(
            &mut target,
            &json!({"spec": {"paused": null, "template": {"a": "b"}}}),
        );
        assert_eq!(target, json!({"spec": {"template": {"a": "b"}}}));
    }
}
