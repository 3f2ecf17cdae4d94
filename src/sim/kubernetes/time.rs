//! The cluster's own time: the handed-in clock, unless it relives its history.
//!
//! Before it starts, a cluster may run its controllers through an hour that
//! lies in the past, so that what a client finds has grown by the same rules
//! as what it will see.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::sim::clock::Clock;

/// The time every part of one cluster agrees on.
#[derive(Debug)]
pub(crate) struct Time {
    clock: Clock,
    past: Mutex<Option<DateTime<Utc>>>,
}

impl Time {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            past: Mutex::new(None),
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        let past = *self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.unwrap_or_else(|| self.clock.now())
    }

    /// Puts the cluster at a time in the past, or back into the present.
    pub(crate) fn relive(&self, at: Option<DateTime<Utc>>) {
        *self.past.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// `time` plus `duration`, at the end of all time if that does not fit.
pub(crate) fn after(time: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(duration)
        .ok()
        .and_then(|delta| time.checked_add_signed(delta))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// How long from `now` until `time`; nothing when it has passed.
pub(crate) fn until(time: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (time - now).to_std().unwrap_or(Duration::ZERO)
}
