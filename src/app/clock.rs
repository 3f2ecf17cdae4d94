//! The only place that reads the clock.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use chrono::TimeDelta;

use crate::{backend::Now, domain::Timestamp};

/// The last reading of this process.
static LAST: Mutex<Option<Reading>> = Mutex::new(None);

/// The wall clock, except that it does not go back: what is newer than what, how
/// old a fact is and when something is due are told by it, and a clock that is
/// set back would make old answers pass for new ones. Time then goes on from
/// where it was, ahead of the machine's.
pub fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    let (wall, steady) = (chrono::Utc::now(), Instant::now());
    // A reading is written whole, so one that a panic left behind is good.
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let reading = Reading::after(*last, wall, steady);
    last.insert(reading).told
}

/// The wall clock, to hand in.
pub fn wall() -> Now {
    Arc::new(now)
}

/// How far [`now`] runs ahead of the machine's clock, which was set back.
pub fn ahead() -> TimeDelta {
    let last = *LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.map_or_else(TimeDelta::zero, |last| last.told - last.wall)
}

#[derive(Clone, Copy)]
struct Reading {
    /// What was told.
    told: Timestamp,
    /// What the machine's clock said.
    wall: Timestamp,
    /// When, by a clock nobody sets.
    steady: Instant,
}

impl Reading {
    fn after(last: Option<Self>, wall: Timestamp, steady: Instant) -> Self {
        let due = last.and_then(|last| {
            let passed = steady.saturating_duration_since(last.steady);
            last.told
                .checked_add_signed(TimeDelta::from_std(passed).ok()?)
        });
        // A clock that was set forward, or a machine that slept, is followed.
        let told = due.map_or(wall, |due| due.max(wall));
        Self { told, wall, steady }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_set_forward_is_followed_and_one_set_back_is_not() {
        let start = tokio::time::Instant::now().into_std();
        let wall = |seconds: i64| chrono::DateTime::from_timestamp(1_000_000 + seconds, 0).unwrap();
        // Seconds that passed, what the machine's clock says then, what is told.
        let told = [
            (0, 0, 0),
            (10, 10, 10),
            // Set back by ten minutes.
            (20, -580, 20),
            (50, -550, 50),
            // Set right again, and then slept for an hour.
            (60, 60, 60),
            (61, 3661, 3661),
        ];
        let mut last = None;
        for (passed, says, expected) in told {
            let steady = start + Duration::from_secs(passed);
            let reading = Reading::after(last, wall(says), steady);
            assert_eq!(reading.told, wall(expected), "after {passed} s");
            last = Some(reading);
        }
    }
}
