//! Tests of the cluster as a whole, in the order an operator would meet it.
//!
//! The controllers run on a clock the test moves from one due thing to the
//! next, so an hour passes in no time and nothing depends on the machine.

mod analysis;
mod bluegreen;
mod canary;
mod deployment;
mod experiment;
mod http;
mod operator;
mod requests;
mod routed;
mod shape;
mod timeline;
mod typed;
mod watching;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::sim::clock::Clock;
use crate::sim::kubernetes::value::Fields;
use crate::sim::kubernetes::{Cluster, locked};

/// A cluster and the time it lives in.
struct Lab {
    cluster: Cluster,
    now: Arc<Mutex<DateTime<Utc>>>,
}

impl Lab {
    fn new() -> Self {
        Self::at_speed(1.0)
    }

    fn at_speed(speed: f64) -> Self {
        let start = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let now = Arc::new(Mutex::new(start));
        let hand = Arc::clone(&now);
        let clock = Clock::new(Arc::new(move || *locked(&hand)), speed);
        Self {
            cluster: Cluster::new(clock),
            now,
        }
    }

    /// Lets time pass, doing everything that comes due on the way.
    fn pass(&self, duration: Duration) {
        let end = *locked(&self.now) + TimeDelta::from_std(duration).unwrap();
        loop {
            let next = locked(&self.cluster.controllers).run();
            match next {
                Some(next) if next <= end => *locked(&self.now) = next,
                _ => break,
            }
        }
        *locked(&self.now) = end;
        locked(&self.cluster.controllers).run();
    }

    fn seconds(&self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// Lets time pass until the rollout is as wanted, at most two minutes.
    #[track_caller]
    fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = *locked(&self.now) + TimeDelta::minutes(2);
        while *locked(&self.now) < end {
            // Running may write; what is due next is asked for after it.
            locked(&self.cluster.controllers).run();
            let rollout = self.rollout();
            if wanted(&rollout) {
                return rollout;
            }
            let next = locked(&self.cluster.controllers).run();
            *locked(&self.now) = next.unwrap_or(end);
        }
        let status = self.rollout().at("/status").clone();
        panic!("it never came to that: {status:#}");
    }

    #[track_caller]
    fn until_phase(&self, phase: &str) -> Value {
        self.until(|rollout| rollout.text("/status/phase") == phase)
    }

    fn rollout(&self) -> Value {
        self.cluster
            .get("Rollout", "default", "demo")
            .unwrap_or_default()
    }

    fn status(&self) -> Value {
        self.rollout().at("/status").clone()
    }

    /// What an operator's merge patch of the status does.
    fn patch_status(&self, status: &Value) {
        self.cluster
            .patch("Rollout", "default", "demo", json!({"status": status}))
            .unwrap();
    }

    fn patch_spec(&self, spec: &Value) {
        self.cluster
            .patch("Rollout", "default", "demo", json!({"spec": spec}))
            .unwrap();
    }

    fn set_image(&self, tag: &str) {
        self.patch_spec(&json!({"template": {"spec": {"containers": [container(tag)]}}}));
    }

    /// A rollout of the reference plane, whole and healthy on `v1`.
    fn with_demo(rollout: Value) -> Self {
        let lab = Self::new();
        lab.cluster.apply(rollout).unwrap();
        lab.until_phase("Healthy");
        lab.seconds(2);
        lab
    }

    fn sets(&self) -> Vec<Value> {
        self.cluster.list("ReplicaSet")
    }

    fn events(&self, reason: &str) -> Vec<String> {
        let mut events: Vec<Value> = self.cluster.list("Event");
        events.retain(|event| event.text("/reason") == reason);
        events.sort_by_key(|event| event.count("/metadata/resourceVersion"));
        events
            .iter()
            .map(|event| event.text("/message").to_owned())
            .collect()
    }
}

fn container(tag: &str) -> Value {
    json!({"name": "app", "image": format!("registry.local/demo:{tag}")})
}

/// The rollout the real control plane was driven with: ten pods, five steps.
fn demo() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "demo", "namespace": "default"},
        "spec": {
            "replicas": 10,
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": "demo"}},
            "template": {
                "metadata": {
                    "labels": {"app": "demo"},
                    "annotations": {"sim.gonogo.dev/ready-after": "100ms"},
                },
                "spec": {"containers": [container("v1")]},
            },
            "strategy": {"canary": {
                "maxSurge": 1,
                "maxUnavailable": 0,
                "steps": [
                    {"setWeight": 10},
                    {"pause": {}},
                    {"setWeight": 30},
                    {"pause": {"duration": "5s"}},
                    {"setWeight": 100},
                ],
            }},
        },
    })
}

/// The demo rollout with other steps.
fn demo_with(steps: Value) -> Value {
    let mut rollout = demo();
    rollout.put("/spec/strategy/canary/steps", steps);
    rollout
}
