//! `spec.restartAt`: replacing pods older than that, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::sim::kubernetes::managed::read_stamp;
use crate::sim::kubernetes::pod::is_ready;
use crate::sim::kubernetes::resource::Key;
use crate::sim::kubernetes::rollout::Pass;
use crate::sim::kubernetes::time::until;
use crate::sim::kubernetes::value::Fields;

impl Pass<'_, '_> {
    /// Deletes old pods as far as availability allows; true when it did.
    pub(super) fn restart_pods(&mut self) -> bool {
        let wanted = self.rollout.at("/spec/restartAt").clone();
        let Some(restart_at) = wanted.as_str().and_then(read_stamp) else {
            return false;
        };
        if &wanted == self.was.at("/restartedAt") {
            return false;
        }
        if restart_at > self.world.now {
            self.look_again(until(restart_at, self.world.now));
            return false;
        }
        let pods = self.pods_by_priority();
        let replicas: i64 = self.sets.iter().map(|set| set.replicas).sum();
        let concurrent = self.max_unavailable().max(1);
        let least = self.replicas().max(replicas) - concurrent;
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        let mut allowed = i64::try_from(ready).unwrap_or(0) - least;
        let born = |pod: &Value| read_stamp(pod.text("/metadata/creationTimestamp"));
        let old: Vec<_> = pods
            .iter()
            .filter(|pod| born(pod).is_some_and(|born| born < restart_at))
            .collect();
        let mut restarted = 0;
        for pod in &old {
            if allowed <= 0 {
                break;
            }
            if let Some(key) = Key::of(pod) {
                self.world.delete(&key);
                allowed -= 1;
                restarted += 1;
            }
        }
        if restarted == old.len() {
            self.next_restarted_at(&wanted);
            if restarted == 0 {
                return false;
            }
        }
        // Sets report their pods soon; this is only for when they do not.
        let again = self.world.scaled(Duration::from_secs(5));
        self.look_again(again);
        restarted > 0
    }

    fn next_restarted_at(&mut self, at: &Value) {
        self.next.put("/restartedAt", at.clone());
    }

    /// Pods of the stable set first, then of the new one, then the others'.
    fn pods_by_priority(&self) -> Vec<Arc<Value>> {
        let stable = self.was.text("/stableRS");
        let mut sets: Vec<_> = self.sets.iter().collect();
        sets.sort_by_key(|set| (set.hash != stable, set.hash != self.hash));
        sets.into_iter()
            .flat_map(|set| self.world.owned("Pod", &set.object))
            .collect()
    }
}
