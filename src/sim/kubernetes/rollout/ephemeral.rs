//! Metadata a set wears only while it plays a role, and anti-affinity.
//!
//! Both end up in the ReplicaSet's template without being part of the
//! rollout's, which is why a roll back that copies a set's template as it is
//! asks for a template that never was.

use serde_json::{Value, json};

use crate::sim::kubernetes::hash::ROLLOUT_HASH;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::Key;
use crate::sim::kubernetes::rollout::Pass;
use crate::sim::kubernetes::value::{Fields, annotate, annotation, escape, members};

const EPHEMERAL: &str = "rollout.argoproj.io/ephemeral-metadata";

/// Puts `wanted` on a set's template and takes off what was put there before.
/// The members it changes are given back, to be put on the pods as well.
pub(super) fn inject(set: &mut Value, wanted: Option<&Value>) -> Vec<(String, Option<Value>)> {
    let before: Value = serde_json::from_str(annotation(set, EPHEMERAL)).unwrap_or_default();
    let mut changes = Vec::new();
    for kind in ["labels", "annotations"] {
        let pointer = |key: &str| format!("/metadata/{kind}/{}", escape(key));
        let after = wanted.map_or(&Value::Null, |wanted| wanted.at(&format!("/{kind}")));
        for (key, value) in members(after) {
            if set.at(&format!("/spec/template{}", pointer(key))) != value {
                changes.push((pointer(key), Some(value.clone())));
            }
        }
        for (key, _) in members(before.at(&format!("/{kind}"))) {
            if after.get(key).is_none() {
                changes.push((pointer(key), None));
            }
        }
    }
    if changes.is_empty() {
        return changes;
    }
    for (pointer, value) in &changes {
        apply(set, &format!("/spec/template{pointer}"), value.as_ref());
    }
    match wanted {
        Some(wanted) => annotate(set, EPHEMERAL, &wanted.to_string()),
        None => set.drop_field(&format!("/metadata/annotations/{}", escape(EPHEMERAL))),
    }
    changes
}

fn apply(object: &mut Value, pointer: &str, value: Option<&Value>) {
    match value {
        Some(value) => object.put(pointer, value.clone()),
        None => object.drop_field(pointer),
    }
}

impl Pass<'_, '_> {
    /// The metadata the set with this hash is to wear.
    pub(super) fn role_metadata(&self, hash: &str) -> Option<&Value> {
        let stable = self.was.text("/stableRS");
        let blue_green = self.rollout.has("/spec/strategy/blueGreen");
        let (new, settled) = if blue_green {
            ("blueGreen/previewMetadata", "blueGreen/activeMetadata")
        } else {
            ("canary/canaryMetadata", "canary/stableMetadata")
        };
        let field = if stable.is_empty() || stable == hash {
            settled
        } else if hash == self.hash {
            new
        } else {
            return None;
        };
        self.rollout.pointer(&format!("/spec/strategy/{field}"))
    }

    /// Dresses every set, and its pods, for its role.
    pub(super) fn keep_metadata(&mut self) -> Result<(), Problem> {
        for set in self.sets.clone() {
            let wanted = self.role_metadata(&set.hash).cloned();
            let mut dressed = (*set.object).clone();
            let changes = inject(&mut dressed, wanted.as_ref());
            if changes.is_empty() {
                continue;
            }
            for pod in self.world.owned("Pod", &set.object) {
                let Some(key) = Key::of(&pod) else { continue };
                self.world.modify(&key, |pod| {
                    for (pointer, value) in &changes {
                        apply(pod, pointer, value.as_ref());
                    }
                })?;
            }
            self.change_set(&set.key, |set| {
                set.put("/spec/template", dressed.at("/spec/template").clone());
                set.put(
                    "/metadata/annotations",
                    dressed.at("/metadata/annotations").clone(),
                );
            })?;
        }
        Ok(())
    }

    /// Adds the anti-affinity that keeps canary and stable pods on different
    /// nodes, where the rollout asks for it.
    pub(super) fn keep_apart(&self, template: &mut Value) {
        let other = self.was.text("/stableRS");
        let asked = ["canary", "blueGreen"]
            .iter()
            .map(|strategy| {
                self.rollout
                    .at(&format!("/spec/strategy/{strategy}/antiAffinity"))
            })
            .find(|asked| asked.is_object());
        let Some(asked) = asked.filter(|_| !other.is_empty() && other != self.hash) else {
            return;
        };
        let expression = json!({"key": ROLLOUT_HASH, "operator": "In", "values": [other]});
        let term = json!({
            "labelSelector": {"matchExpressions": [expression]},
            "topologyKey": "kubernetes.io/hostname",
        });
        let (field, entry) = if asked.has("/requiredDuringSchedulingIgnoredDuringExecution") {
            ("requiredDuringSchedulingIgnoredDuringExecution", term)
        } else {
            let preferred = asked.at("/preferredDuringSchedulingIgnoredDuringExecution");
            let weight = preferred.number("/weight").unwrap_or(1);
            (
                "preferredDuringSchedulingIgnoredDuringExecution",
                json!({"weight": weight, "podAffinityTerm": term}),
            )
        };
        let pointer = format!("/spec/affinity/podAntiAffinity/{field}");
        let mut terms = template.items(&pointer).to_vec();
        terms.push(entry);
        template.put(&pointer, Value::Array(terms));
    }
}
