//! Moving pods from the old replica sets of a deployment to its new one.

use std::cmp::Reverse;

use crate::sim::kubernetes::deployment::Pass;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::Key;

impl Pass<'_, '_> {
    /// One step of a rolling update: first up, and if that is done, down.
    pub(super) fn roll(&mut self) -> Result<(), Problem> {
        let (surge, unavailable) = self.fences();
        let replicas = self.replicas();
        let Some(new) = self.new_set() else {
            return Ok(());
        };
        let key = new.key.clone();
        let total: i64 = self.sets.iter().map(|set| set.replicas).sum();
        let grown = if new.replicas > replicas {
            replicas
        } else {
            (new.replicas + (replicas + surge - total).max(0)).min(replicas)
        };
        if self.scale(&key, grown)? {
            return Ok(());
        }
        let missing = self.new_set().map_or(0, |new| new.replicas - new.available);
        let least = replicas - unavailable;
        let mut old: Vec<(Key, i64, i64)> = self
            .old_sets()
            .filter(|set| set.replicas > 0)
            .map(|set| (set.key.clone(), set.replicas, set.available))
            .collect();
        let mut spare = total - least - missing;
        if spare <= 0 {
            return Ok(());
        }
        for (key, replicas, available) in &mut old {
            // Pods that never came up are no loss.
            let gone = (*replicas - *available).min(spare).max(0);
            if gone > 0 {
                *replicas -= gone;
                spare -= gone;
                self.scale(&key.clone(), *replicas)?;
            }
        }
        let standing: i64 = self.sets.iter().map(|set| set.available).sum();
        let mut spare = standing - least;
        for (key, replicas, _) in old {
            let gone = replicas.min(spare).max(0);
            if gone > 0 {
                spare -= gone;
                self.scale(&key, replicas - gone)?;
            }
        }
        Ok(())
    }

    pub(super) fn recreate(&mut self) -> Result<(), Problem> {
        let old: Vec<Key> = self.old_sets().map(|set| set.key.clone()).collect();
        for key in old {
            self.scale(&key, 0)?;
        }
        if self.old_sets().all(|set| set.existing == 0)
            && let Some(key) = self.new_set().map(|set| set.key.clone())
        {
            self.scale(&key, self.replicas())?;
        }
        Ok(())
    }

    /// While paused a changed count is spread over the sets that run.
    pub(super) fn scale_proportionally(&mut self) -> Result<(), Problem> {
        let mut active: Vec<(Key, i64)> = self
            .sets
            .iter()
            .filter(|set| set.replicas > 0)
            .map(|set| (set.key.clone(), set.replicas))
            .collect();
        let total: i64 = active.iter().map(|(_, replicas)| replicas).sum();
        let (surge, _) = self.fences();
        let replicas = self.replicas();
        let allowed = if active.len() > 1 {
            replicas + surge
        } else {
            replicas
        };
        let mut change = match total {
            0 => 0,
            total if total > allowed => allowed - total,
            total if total < replicas => replicas - total,
            _ => 0,
        };
        active.sort_by_key(|(_, replicas)| Reverse(*replicas));
        for (key, replicas) in active {
            let next = (replicas + change).max(0);
            change -= next - replicas;
            self.scale(&key, next)?;
        }
        Ok(())
    }
}
