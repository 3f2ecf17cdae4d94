//! What is left of a request budget, shared by all who spend from it.
//!
//! Budgets belong to (host, token), not to a panel or a repository. The numbers
//! come from the headers of ordinary answers: they are free, and a dedicated
//! limits endpoint has been seen to claim a full budget while requests were
//! being refused.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use chrono::{DateTime, TimeDelta};
use http::HeaderMap;
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    backend::secret::Secret,
    domain::{Timestamp, backend::Budget},
};

/// How long to stay away when a backend refuses for rate without saying until when.
pub(super) const LONG_WAIT: Duration = Duration::from_secs(60);

/// Share of a budget we allow ourselves, in percent; the rest is for people
/// and programs that use the same token.
const SHARE: u64 = 70;

/// Counts for one (origin, token).
#[derive(Default)]
pub struct Meter(Mutex<State>);

#[derive(Default)]
struct State {
    budget: Option<Budget>,
    stop_until: Option<Timestamp>,
    targets: BTreeMap<String, u64>,
}

impl Meter {
    /// The meter of this origin and token; the same for everybody in the process.
    pub(super) fn shared(base: &Url, secret: Option<&Secret>) -> Arc<Self> {
        static METERS: Mutex<BTreeMap<Vec<u8>, Weak<Meter>>> = Mutex::new(BTreeMap::new());
        let mut hash = Sha256::new();
        hash.update(base.origin().ascii_serialization());
        hash.update([0]);
        hash.update(secret.map_or("", |secret| secret.expose()));
        let key = hash.finalize().to_vec();
        let mut meters = METERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = meters.get(&key).and_then(Weak::upgrade) {
            return meter;
        }
        meters.retain(|_, meter| meter.strong_count() > 0);
        let meter = Arc::new(Self::default());
        meters.insert(key, Arc::downgrade(&meter));
        meter
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the budget headers of an answer that arrived at `at`.
    pub(super) fn note(&self, headers: &HeaderMap, at: Timestamp) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
        let resource = headers.get("x-ratelimit-resource");
        if resource.is_some_and(|resource| resource != "core") {
            return;
        }
        let (Some(limit), Some(left), Some(reset)) = (
            number("x-ratelimit-limit"),
            number("x-ratelimit-remaining"),
            number("x-ratelimit-reset"),
        ) else {
            return;
        };
        let Some(resets_at) = i64::try_from(reset)
            .ok()
            .and_then(|epoch| DateTime::from_timestamp(epoch, 0))
        else {
            return;
        };
        let mut state = self.state();
        // Answers overtake each other; inside one window the count only falls.
        let left = match &state.budget {
            Some(old) if old.resets_at == resets_at && at < resets_at => old.left.min(left),
            _ => left,
        };
        state.budget = Some(Budget {
            left,
            limit,
            resets_at,
        });
    }

    /// Nobody reads for this long.
    pub(super) fn stop(&self, now: Timestamp, wait: Duration) {
        let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::hours(1));
        self.state().stop_until = Some(now + wait);
    }

    /// How long reads still have to stay away.
    pub fn stopped_for(&self, now: Timestamp) -> Option<Duration> {
        let until = self.state().stop_until?;
        let left = (until - now).to_std().ok()?;
        (!left.is_zero()).then_some(left)
    }

    /// The budget as last told.
    pub fn budget(&self) -> Option<Budget> {
        self.state().budget.clone()
    }

    /// Says how many things `who` looks at regularly with this budget.
    pub fn expect(&self, who: &str, targets: u64) {
        self.state().targets.insert(who.to_owned(), targets);
    }

    /// The time between two looks at one thing: `wish`, or longer if the budget
    /// would not last to the end of its window for all that is looked at.
    pub fn pace(&self, wish: Duration, now: Timestamp) -> Duration {
        let state = self.state();
        let Some(budget) = &state.budget else {
            return wish;
        };
        let Ok(window) = (budget.resets_at - now).to_std() else {
            return wish;
        };
        let targets = state.targets.values().sum::<u64>().max(1);
        let looks = (budget.left.saturating_mul(SHARE) / 100 / targets).max(1);
        let looks = u32::try_from(looks).unwrap_or(u32::MAX);
        wish.max(window / looks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn headers(limit: u64, left: u64, reset: i64) -> HeaderMap {
        [
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", left.to_string()),
            ("x-ratelimit-reset", reset.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect::<HeaderMap>()
    }

    #[test]
    fn a_full_budget_lets_the_wish_stand() {
        let meter = Meter::default();
        meter.note(&headers(5000, 4990, 3600), at(0));
        let wish = Duration::from_secs(6);
        assert_eq!(meter.pace(wish, at(0)), wish);
    }

    #[test]
    fn a_spent_budget_is_spread_over_the_rest_of_its_window() {
        // 100 left, 70 % of them for 2 targets: 35 looks each in 700 s = every 20 s.
        let meter = Meter::default();
        meter.expect("a", 1);
        meter.expect("b", 1);
        meter.note(&headers(5000, 100, 700), at(0));
        let pace = meter.pace(Duration::from_secs(6), at(0));
        assert_eq!(pace, Duration::from_secs(20));
        assert_eq!(
            meter.pace(Duration::from_secs(6), at(701)),
            Duration::from_secs(6)
        );
    }

    #[test]
    fn answers_that_overtake_each_other_do_not_refill_the_budget() {
        let meter = Meter::default();
        meter.note(&headers(5000, 10, 3600), at(0));
        meter.note(&headers(5000, 12, 3600), at(1));
        assert_eq!(meter.budget().unwrap().left, 10);
        meter.note(&headers(5000, 4999, 7200), at(3601));
        assert_eq!(meter.budget().unwrap().left, 4999);
    }

    #[test]
    fn one_token_at_one_origin_has_one_meter() {
        let base = Url::parse("https://one-meter.example/api").unwrap();
        let token = Secret::new("meter-token-91".into());
        let first = Meter::shared(&base, Some(&token));
        let again = Meter::shared(&base.join("/other").unwrap(), Some(&token));
        assert!(Arc::ptr_eq(&first, &again));
        let other = Secret::new("meter-token-92".into());
        assert!(!Arc::ptr_eq(&first, &Meter::shared(&base, Some(&other))));
    }
}
