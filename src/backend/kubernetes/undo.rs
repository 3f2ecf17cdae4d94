//! Going back: the template of an earlier revision, as it was written.
//!
//! A ReplicaSet's template is not what people wrote: the controller adds the
//! hash label, may add labels and annotations that mark canary or stable pods,
//! and may add an anti-affinity. Copied back as they are, they would make a new
//! hash, and the fast way back to the old ReplicaSet would be lost. Pure.

use serde_json::{Map, Value};

use crate::backend::kubernetes::{deployments, rollouts};

/// Where a ReplicaSet names the metadata its controller added.
const EPHEMERAL: &str = "rollout.argoproj.io/ephemeral-metadata";

/// The template to put back into a Rollout (or the workload it refers to).
/// `None` when the ReplicaSet has none.
pub(super) fn rollout_template(set: &Value) -> Option<Value> {
    let mut template = written_template(set)?;
    drop_keys(&mut template, "labels", [rollouts::HASH]);
    let added = set
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(EPHEMERAL))
        .and_then(Value::as_str)
        .and_then(|written| serde_json::from_str::<Value>(written).ok())
        .unwrap_or_default();
    for part in ["labels", "annotations"] {
        let keys = added.get(part).and_then(Value::as_object);
        drop_keys(
            &mut template,
            part,
            keys.into_iter().flat_map(Map::keys).map(String::as_str),
        );
    }
    drop_injected_affinity(&mut template);
    Some(template)
}

/// The template to put back into a Deployment.
pub(super) fn deployment_template(set: &Value) -> Option<Value> {
    let mut template = written_template(set)?;
    drop_keys(&mut template, "labels", [deployments::HASH]);
    Some(template)
}

fn written_template(set: &Value) -> Option<Value> {
    let mut template = set.pointer("/spec/template")?.clone();
    // The API prints this member of every template; nobody wrote it.
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut)
        && metadata
            .get("creationTimestamp")
            .is_some_and(Value::is_null)
    {
        metadata.remove("creationTimestamp");
    }
    Some(template)
}

/// The annotations a Deployment has after going back, as kubectl leaves them:
/// its own bookkeeping stays, the rest comes from the ReplicaSet.
pub(super) fn deployment_annotations(deployment: &Value, set: &Value) -> Value {
    const OWN: [&str; 5] = [
        "kubectl.kubernetes.io/last-applied-configuration",
        "deployment.kubernetes.io/revision",
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
    ];
    let of = |object: &Value| {
        object
            .pointer("/metadata/annotations")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let mut annotations: Map<String, Value> = of(set)
        .into_iter()
        .filter(|(key, _)| !OWN.contains(&key.as_str()))
        .collect();
    annotations.extend(
        of(deployment)
            .into_iter()
            .filter(|(key, _)| OWN.contains(&key.as_str())),
    );
    Value::Object(annotations)
}

/// Whether two templates are the same but for the hash labels.
pub(super) fn same_template(one: &Value, other: &Value) -> bool {
    let bare = |template: &Value| {
        let mut template = template.clone();
        drop_keys(&mut template, "labels", [rollouts::HASH, deployments::HASH]);
        if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|_, value| !is_empty(value));
        }
        template
    };
    bare(one) == bare(other)
}

fn drop_keys<'a>(template: &mut Value, part: &str, keys: impl IntoIterator<Item = &'a str>) {
    let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(map) = metadata.get_mut(part).and_then(Value::as_object_mut) else {
        return;
    };
    let before = map.len();
    for key in keys {
        map.remove(key);
    }
    if map.is_empty() && 0 < before {
        metadata.remove(part);
    }
}

/// Removes the anti-affinity terms that select by the pod-template hash, and
/// what became empty by that.
fn drop_injected_affinity(template: &mut Value) {
    let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(affinity) = spec.get_mut("affinity").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(anti) = affinity
        .get_mut("podAntiAffinity")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let mut dropped = false;
    for (list, term) in [
        ("requiredDuringSchedulingIgnoredDuringExecution", ""),
        (
            "preferredDuringSchedulingIgnoredDuringExecution",
            "/podAffinityTerm",
        ),
    ] {
        let Some(terms) = anti.get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        let before = terms.len();
        terms.retain(|entry| !entry.pointer(term).is_some_and(selects_by_hash));
        dropped |= terms.len() < before;
        if terms.is_empty() && 0 < before {
            anti.remove(list);
        }
    }
    if !dropped {
        return;
    }
    if anti.is_empty() {
        affinity.remove("podAntiAffinity");
    }
    if affinity.is_empty() {
        spec.remove("affinity");
    }
}

fn selects_by_hash(term: &Value) -> bool {
    let by_expression = term
        .pointer("/labelSelector/matchExpressions")
        .and_then(Value::as_array)
        .is_some_and(|expressions| {
            expressions.iter().any(|expression| {
                expression.get("key").and_then(Value::as_str) == Some(rollouts::HASH)
            })
        });
    let by_label = term
        .pointer("/labelSelector/matchLabels")
        .is_some_and(|labels| labels.get(rollouts::HASH).is_some());
    by_expression || by_label
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cluster_trap_5_undo_strips_what_the_controller_added() {
        let hash_term = json!({
            "labelSelector": {"matchExpressions": [
                {"key": "rollouts-pod-template-hash", "operator": "In", "values": ["a"]},
            ]},
            "topologyKey": "kubernetes.io/hostname",
        });
        let own_term =
            json!({"labelSelector": {"matchLabels": {"app": "other"}}, "topologyKey": "zone"});
        let set = json!({
            "metadata": {"annotations": {
                "rollout.argoproj.io/ephemeral-metadata": "{\"labels\":{\"role\":\"stable\"},\"annotations\":{\"note\":\"x\"}}",
            }},
            "spec": {"template": {
                "metadata": {
                    "creationTimestamp": null,
                    "labels": {"app": "ranker", "role": "stable", "rollouts-pod-template-hash": "a"},
                    "annotations": {"note": "x"},
                },
                "spec": {
                    "containers": [{"name": "app", "image": "r:1"}],
                    "affinity": {"podAntiAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [hash_term, own_term],
                        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": hash_term}],
                    }},
                },
            }},
        });
        assert_eq!(
            rollout_template(&set).unwrap(),
            json!({
                "metadata": {"labels": {"app": "ranker"}},
                "spec": {
                    "containers": [{"name": "app", "image": "r:1"}],
                    "affinity": {"podAntiAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [own_term],
                    }},
                },
            })
        );
    }

    #[test]
    fn an_affinity_that_was_only_injected_vanishes_whole() {
        let set = json!({"spec": {"template": {"metadata": {"labels": {"rollouts-pod-template-hash": "a"}}, "spec": {
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchExpressions": [{"key": "rollouts-pod-template-hash"}]}},
            ]}},
        }}}});
        assert_eq!(
            rollout_template(&set).unwrap(),
            json!({"metadata": {}, "spec": {}})
        );
        let own = json!({"spec": {"template": {"spec": {"affinity": {"podAntiAffinity": {}}}}}});
        assert_eq!(
            rollout_template(&own).unwrap(),
            json!({"spec": {"affinity": {"podAntiAffinity": {}}}})
        );
    }

    #[test]
    fn a_template_is_the_same_but_for_hash_labels() {
        let written = json!({"metadata": {"labels": {"app": "r"}}, "spec": {"x": 1}});
        let kept = json!({
            "metadata": {"creationTimestamp": null, "labels": {"app": "r", "rollouts-pod-template-hash": "a"}},
            "spec": {"x": 1},
        });
        assert!(same_template(&written, &kept));
        assert!(!same_template(
            &written,
            &json!({"metadata": {"labels": {"app": "r"}}, "spec": {"x": 2}})
        ));
    }

    #[test]
    fn a_deployment_keeps_its_own_bookkeeping() {
        let deployment = json!({"metadata": {"annotations": {
            "deployment.kubernetes.io/revision": "7", "kubernetes.io/change-cause": "new", "mine": "gone",
        }}});
        let set = json!({"metadata": {"annotations": {
            "deployment.kubernetes.io/revision": "3", "kubernetes.io/change-cause": "old",
        }}});
        assert_eq!(
            deployment_annotations(&deployment, &set),
            json!({"kubernetes.io/change-cause": "old", "deployment.kubernetes.io/revision": "7"})
        );
        let set = json!({"spec": {"template": {"metadata": {"labels": {"app": "r", "pod-template-hash": "a"}}}}});
        assert_eq!(
            deployment_template(&set).unwrap(),
            json!({"metadata": {"labels": {"app": "r"}}})
        );
    }
}
