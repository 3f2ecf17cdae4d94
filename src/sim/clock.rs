//! The demo's time: an honest wall clock, and a divisor for durations.
//!
//! Stamps are never bent. A demo that runs ten times as fast waits a tenth as
//! long between two things and still writes the true time of both, so that any
//! client that subtracts two stamps is right.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// The time the demo world lives in.
///
/// The caller hands in the clock, because only one place in the program may
/// read the real one; tests hand in a clock they move themselves.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    speed: f64,
}

impl Clock {
    /// A clock that reads `now` and divides durations by `speed`.
    ///
    /// A speed that is not a positive, finite number counts as 1.
    pub fn new(now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>, speed: f64) -> Self {
        let usable = speed.is_finite() && speed > 0.0;
        Self {
            now,
            speed: if usable { speed } else { 1.0 },
        }
    }

    /// The wall clock, undivided.
    pub fn now(&self) -> DateTime<Utc> {
        (self.now)()
    }

    /// How many times as fast as written things happen.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// How long a scripted duration really takes at this speed.
    pub fn scaled(&self, duration: Duration) -> Duration {
        // A tiny speed would overflow; such a wait never ends anyway.
        Duration::try_from_secs_f64(duration.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("speed", &self.speed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_speed(speed: f64) -> Clock {
        Clock::new(Arc::new(|| DateTime::UNIX_EPOCH), speed)
    }

    #[test]
    fn speed_divides_durations_and_leaves_stamps_alone() {
        let clock = at_speed(4.0);
        assert_eq!(
            clock.scaled(Duration::from_secs(10)),
            Duration::from_millis(2500)
        );
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH);
    }

    #[test]
    fn a_senseless_speed_counts_as_one() {
        for speed in [0.0, -3.0, f64::NAN, f64::INFINITY] {
            assert_eq!(
                at_speed(speed).scaled(Duration::from_secs(7)),
                Duration::from_secs(7)
            );
        }
    }
}
