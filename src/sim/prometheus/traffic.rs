//! Who gets how much traffic, and how they answer: from the cluster's state and
//! the scenario's shapes to what each exposing process shows.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::sim::{
    cause::Shape,
    prometheus::{
        database::{Behaviour, Observed},
        value::Labels,
    },
    scenario::Traffic,
};

/// The sources of traffic, and what the script has done to them.
#[derive(Debug, Default)]
pub(crate) struct Generator {
    pub(crate) traffic: Vec<Traffic>,
    shapes: Vec<Shape>,
    silent: BTreeSet<String>,
}

/// One version of a target that gets traffic.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arm {
    pub(crate) role: &'static str,
    /// Image tag.
    pub(crate) tag: String,
    /// Part of the target's traffic, 0 to 1.
    pub(crate) share: f64,
}

impl Generator {
    /// Generates for these sources.
    pub(crate) fn new(traffic: Vec<Traffic>) -> Self {
        Self {
            traffic,
            shapes: Vec::new(),
            silent: BTreeSet::new(),
        }
    }

    /// A version behaves differently from now on.
    pub(crate) fn shape(&mut self, shape: Shape) {
        self.shapes.push(shape);
    }

    /// Measurements of a target stop, or come back.
    pub(crate) fn silence(&mut self, traffic: &str, on: bool) {
        if on {
            self.silent.insert(traffic.to_owned());
        } else {
            self.silent.remove(traffic);
        }
    }

    /// What every target shows, given the arms of each in the order of `traffic`.
    pub(crate) fn observe(&self, arms: &[Vec<Arm>]) -> Vec<Observed> {
        self.traffic
            .iter()
            .zip(arms)
            .map(|(traffic, arms)| Observed {
                target: traffic.name.clone(),
                arms: arms
                    .iter()
                    .map(|arm| (labels(traffic, arm), self.behaviour(traffic, arm)))
                    .collect(),
                exposed: !self.silent.contains(&traffic.name),
            })
            .collect()
    }

    fn behaviour(&self, traffic: &Traffic, arm: &Arm) -> Behaviour {
        let (mut load, mut slower, mut errors) = (1.0, 1.0, traffic.error_ratio);
        let mut gauges: Vec<(String, Labels, f64, f64)> = traffic
            .gauge
            .iter()
            .map(|gauge| {
                (
                    gauge.name.clone(),
                    gauge.labels.clone(),
                    gauge.value,
                    gauge.wobble,
                )
            })
            .collect();
        let mut overlay = |overlaid: &std::collections::BTreeMap<String, f64>| {
            for (name, _, value, _) in &mut gauges {
                *value = overlaid.get(name).copied().unwrap_or(*value);
            }
        };
        let weight = arm.share * 100.0;
        for version in &traffic.version {
            if arm.tag.starts_with(&version.tag) && weight >= version.from_weight {
                slower = version.latency_factor.unwrap_or(slower);
                errors = version.error_ratio.unwrap_or(errors);
                overlay(&version.gauges);
            }
        }
        for shape in self
            .shapes
            .iter()
            .filter(|shape| shape.traffic == traffic.name)
        {
            if shape
                .tag
                .as_ref()
                .is_none_or(|tag| arm.tag.starts_with(tag))
            {
                load = shape.load.unwrap_or(load);
                slower = shape.latency_factor.unwrap_or(slower);
                errors = shape.error_ratio.unwrap_or(errors);
                overlay(&shape.gauges);
            }
        }
        Behaviour {
            requests_per_second: traffic.requests_per_second * load * arm.share,
            latency_p95: traffic.latency_p95_ms * slower / 1000.0,
            error_ratio: errors,
            gauges,
        }
    }
}

fn labels(traffic: &Traffic, arm: &Arm) -> Labels {
    let mut labels = traffic.labels.clone();
    labels
        .entry("service".to_owned())
        .or_insert_with(|| traffic.name.clone());
    labels
        .entry("namespace".to_owned())
        .or_insert_with(|| traffic.namespace.clone());
    labels.insert("role".to_owned(), arm.role.to_owned());
    labels.insert("version".to_owned(), arm.tag.clone());
    labels
}

/// Which versions of a Rollout or Deployment get traffic, read as a mesh would.
///
/// `replica_sets` may hold those of other owners too.
pub(crate) fn arms_of(target: &Value, replica_sets: &[Value]) -> Vec<Arm> {
    let uid = target.pointer("/metadata/uid").and_then(Value::as_str);
    let owned: Vec<&Value> = replica_sets
        .iter()
        .filter(|set| {
            let owners = set
                .pointer("/metadata/ownerReferences")
                .and_then(Value::as_array);
            owners
                .into_iter()
                .flatten()
                .any(|owner| owner.get("uid").and_then(Value::as_str) == uid && uid.is_some())
        })
        .collect();
    if target.get("kind").and_then(Value::as_str) == Some("Rollout") {
        rollout_arms(target, &owned)
    } else {
        let all: f64 = owned.iter().map(|set| available(set)).sum();
        owned
            .iter()
            .filter(|set| available(set) > 0.0)
            .map(|set| Arm {
                role: "stable",
                tag: tag(set),
                share: available(set) / all,
            })
            .collect()
    }
}

fn rollout_arms(rollout: &Value, owned: &[&Value]) -> Vec<Arm> {
    let text = |path: &str| rollout.pointer(path).and_then(Value::as_str);
    let (stable, current) = (text("/status/stableRS"), text("/status/currentPodHash"));
    let by_hash = |hash: Option<&str>| {
        owned.iter().copied().find(|set| {
            set.pointer("/metadata/labels/rollouts-pod-template-hash")
                .and_then(Value::as_str)
                == hash
        })
    };
    let Some(stable_set) = stable.and_then(|_| by_hash(stable)) else {
        return Vec::new();
    };
    let canary_set = by_hash(current).filter(|_| current != stable);
    let routed = rollout
        .pointer("/status/canary/weights/canary/weight")
        .and_then(Value::as_f64)
        .filter(|_| {
            rollout
                .pointer("/spec/strategy/canary/trafficRouting")
                .is_some()
        });
    if rollout.pointer("/spec/strategy/blueGreen").is_some() {
        let active = by_hash(text("/status/blueGreen/activeSelector"));
        let active = active.unwrap_or(stable_set);
        let tried = canary_set.is_some_and(|canary| std::ptr::eq(canary, active));
        let mut arms = vec![Arm {
            role: if tried { "canary" } else { "stable" },
            tag: tag(active),
            share: 1.0,
        }];
        // A preview serves nobody, and shows what it measures of itself.
        let preview = canary_set.filter(|canary| !tried && available(canary) > 0.0);
        arms.extend(preview.map(|preview| Arm {
            role: "preview",
            tag: tag(preview),
            share: 0.0,
        }));
        return arms;
    }
    let share = canary_set.map_or(0.0, |canary| {
        let pods = available(canary);
        let all = pods + available(stable_set);
        let by_pods = if all > 0.0 { pods / all } else { 0.0 };
        routed.map_or(by_pods, |weight| weight / 100.0)
    });
    let mut arms = vec![Arm {
        role: "stable",
        tag: tag(stable_set),
        share: 1.0 - share,
    }];
    if let Some(canary) = canary_set.filter(|_| share > 0.0) {
        arms.push(Arm {
            role: "canary",
            tag: tag(canary),
            share,
        });
    }
    arms.retain(|arm| arm.share > 0.0);
    arms
}

fn available(set: &Value) -> f64 {
    set.pointer("/status/availableReplicas")
        .and_then(Value::as_f64)
        .unwrap_or(0.0)
}

/// The tag of the first container's image, or its digest.
fn tag(set: &Value) -> String {
    let image = set
        .pointer("/spec/template/spec/containers/0/image")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if let Some((_, digest)) = image.split_once('@') {
        return digest.to_owned();
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':')
        .map_or_else(|| "latest".to_owned(), |(_, tag)| tag.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Arm, arms_of};

    fn set(hash: &str, tag: &str, available: u32) -> serde_json::Value {
        json!({
            "metadata": {"labels": {"rollouts-pod-template-hash": hash},
                         "ownerReferences": [{"uid": "u1"}]},
            "spec": {"template": {"spec": {"containers": [
                {"image": format!("registry.example:5000/team/ranker:{tag}")}]}}},
            "status": {"availableReplicas": available},
        })
    }

    fn rollout(stable: &str, current: &str) -> serde_json::Value {
        json!({"kind": "Rollout", "metadata": {"uid": "u1"},
               "status": {"stableRS": stable, "currentPodHash": current}})
    }

    #[test]
    fn traffic_follows_available_pods_without_a_mesh() {
        let arms = arms_of(&rollout("a", "b"), &[set("a", "v1", 7), set("b", "v2", 3)]);
        assert_eq!(
            arms,
            [
                Arm {
                    role: "stable",
                    tag: "v1".into(),
                    share: 0.7
                },
                Arm {
                    role: "canary",
                    tag: "v2".into(),
                    share: 0.3
                },
            ]
        );
    }

    #[test]
    fn a_mesh_routes_by_weight_whatever_pods_there_are() {
        let mut rollout = rollout("a", "b");
        rollout["spec"] = json!({"strategy": {"canary": {"trafficRouting": {"nginx": {}}}}});
        rollout["status"]["canary"] = json!({"weights": {"canary": {"weight": 25}}});
        let arms = arms_of(&rollout, &[set("a", "v1", 10), set("b", "v2", 1)]);
        assert_eq!(arms.len(), 2);
        assert!((arms[1].share - 0.25).abs() < 1e-9);
    }

    #[test]
    fn behind_a_blue_green_switch_is_everybody_or_nobody() {
        let sets = [set("a", "v1", 4), set("b", "v2", 4)];
        for (active, shown) in [
            ("a", vec![("stable", "v1", true), ("preview", "v2", false)]),
            ("b", vec![("canary", "v2", true)]),
        ] {
            let mut rollout = rollout("a", "b");
            rollout["spec"] = json!({"strategy": {"blueGreen": {}}});
            rollout["status"]["blueGreen"] = json!({"activeSelector": active});
            let arms = arms_of(&rollout, &sets);
            let arms: Vec<(&str, &str, bool)> = arms
                .iter()
                .map(|arm| (arm.role, arm.tag.as_str(), arm.share > 0.99))
                .collect();
            assert_eq!(arms, shown);
        }
    }

    #[test]
    fn a_fully_promoted_rollout_is_all_stable() {
        let arms = arms_of(&rollout("b", "b"), &[set("a", "v1", 0), set("b", "v2", 10)]);
        assert_eq!(
            arms,
            [Arm {
                role: "stable",
                tag: "v2".into(),
                share: 1.0
            }]
        );
    }
}
