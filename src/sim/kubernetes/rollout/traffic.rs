//! Services and the recorded traffic weights of a canary.
//!
//! There is no router behind this: the weights in the status are the truth of
//! the demo's traffic.

use serde_json::json;

use crate::sim::kubernetes::hash::ROLLOUT_HASH;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::rollout::{NORMAL, Pass};
use crate::sim::kubernetes::value::Fields;

const MANAGED_BY: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";

impl Pass<'_, '_> {
    /// Points the canary and stable services at their sets.
    pub(super) fn point_canary_services(&mut self) -> Result<(), Problem> {
        let canary = self
            .rollout
            .text("/spec/strategy/canary/canaryService")
            .to_owned();
        let stable = self
            .rollout
            .text("/spec/strategy/canary/stableService")
            .to_owned();
        let stable_hash = self.stable_set().map(|set| set.hash.clone());
        if let Some(hash) = stable_hash.as_deref() {
            self.point_service(&stable, hash)?;
        }
        let canary_hash = if self.is_aborted() { stable_hash } else { None };
        let canary_hash = canary_hash.unwrap_or_else(|| self.hash.clone());
        let usable = self.set(&canary_hash).is_some_and(|set| set.available > 0);
        if usable {
            self.point_service(&canary, &canary_hash)
        } else {
            Ok(())
        }
    }

    /// The hash a service selects, or the empty text.
    pub(super) fn service_hash(&self, name: &str) -> String {
        let service = self
            .service_key(name)
            .and_then(|key| self.world.store.get(&key));
        let selector = format!("/spec/selector/{ROLLOUT_HASH}");
        service.map_or_else(String::new, |service| service.text(&selector).to_owned())
    }

    fn service_key(&self, name: &str) -> Option<Key> {
        let resource = Resource::by_kind("Service").filter(|_| !name.is_empty())?;
        Some(Key::new(resource, &self.key.namespace, name))
    }

    /// Lets a service select a set.
    pub(super) fn point_service(&mut self, name: &str, hash: &str) -> Result<(), Problem> {
        if name.is_empty() || self.service_hash(name) == hash {
            return Ok(());
        }
        let Some(key) = self
            .service_key(name)
            .filter(|key| self.world.store.get(key).is_some())
        else {
            return Ok(());
        };
        let owner = self.name().to_owned();
        self.world.modify(&key, |service| {
            service.put(&format!("/spec/selector/{ROLLOUT_HASH}"), json!(hash));
            crate::sim::kubernetes::value::annotate(service, MANAGED_BY, &owner);
        })?;
        let message = format!("Switched selector for service '{name}' to value '{hash}'");
        self.event(NORMAL, "SwitchService", &message);
        Ok(())
    }

    /// Works out the weights a router would be told.
    pub(super) fn weigh_traffic(&mut self) {
        if !self.is_routed() {
            return;
        }
        let most = self.max_weight();
        let weight = self.traffic_weight();
        let old = self.was.at("/canary/weights").clone();
        let replicas = self.replicas();
        let able = self.stable_set().map_or(0, |set| set.available);
        if able < (most - weight) * replicas / most && !old.is_null() {
            // The stable set could not carry what it would get.
            self.next.put("/canary/weights", old);
            return;
        }
        let service = |field: &str| {
            self.rollout
                .at(&format!("/spec/strategy/canary/{field}"))
                .clone()
        };
        let mut weights = json!({
            "canary": {"weight": weight, "podTemplateHash": self.hash},
            "stable": {"weight": most - weight, "podTemplateHash": self.was.text("/stableRS")},
        });
        for (side, field) in [("canary", "canaryService"), ("stable", "stableService")] {
            let name = service(field);
            if !name.is_null() {
                weights.put(&format!("/{side}/serviceName"), name);
            }
        }
        if weights != old {
            let from = old.number("/canary/weight");
            let message = match from {
                None => format!("Traffic weight updated to {weight}"),
                Some(from) => format!("Traffic weight updated from {from} to {weight}"),
            };
            if from != Some(weight) {
                self.event(NORMAL, "TrafficWeightUpdated", &message);
            }
        }
        self.next.put("/canary/weights", weights);
    }

    fn traffic_weight(&self) -> i64 {
        let new = self.new_set();
        if self.is_fully_promoted() || self.is_aborted() || new.is_none_or(|set| set.available == 0)
        {
            return 0;
        }
        if self.was.flag("/promoteFull") {
            return self.was.count("/canary/weights/canary/weight");
        }
        let Some(index) = self.step_index() else {
            return self.max_weight();
        };
        if self.is_at_desired_sizes() {
            return if index == self.step_count() {
                self.max_weight()
            } else {
                self.set_weight()
            };
        }
        // Not enough canaries for this weight yet: stay at the one before.
        let done = usize::try_from(index).unwrap_or(0);
        let steps = self.steps();
        steps
            .iter()
            .take(done)
            .rev()
            .find_map(|step| step.number("/setWeight"))
            .unwrap_or(0)
    }
}
