//! How often things are looked at, as multiples of one configured time.
//!
//! The base (6 s as delivered) is the time between two looks at the jobs of the
//! run on screen. With one active run this asks at most twelve times a minute,
//! answers without news included: `gh run watch` asks about (2 + jobs) × 20.

use std::time::Duration;

/// The base as delivered.
pub(super) const BASE: Duration = Duration::from_secs(6);
/// Time between two looks at what hardly changes: who we are, what a
/// repository lets us do.
pub(super) const RARELY: Duration = Duration::from_secs(15 * 60);

/// The periods of one backend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tempo(pub(super) Duration);

/// How close people look at a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closeness {
    /// It is on screen.
    Watched,
    /// It goes on somewhere.
    Aside,
    /// Nobody looks at anything.
    Away,
}

impl Tempo {
    /// The list of runs. Rarer while a run is watched closely, whose jobs tell
    /// more; at once when its last job ended.
    pub(super) fn list(self, watched: bool, finishing: bool, away: bool) -> Duration {
        match (away, finishing, watched) {
            (true, ..) => self.0 * 10,
            (_, true, _) => self.0,
            (_, _, true) => self.0 * 15 / 2,
            _ => self.0 * 5,
        }
    }

    /// The jobs of a run. Rarer while it waits for a person, whose answer shows
    /// in the waiting environments first.
    pub(super) fn jobs(self, closeness: Closeness, waits: bool) -> Duration {
        match (closeness, waits) {
            (Closeness::Watched, false) => self.0,
            (Closeness::Watched, true) => self.0 * 5 / 3,
            (Closeness::Aside, _) => self.0 * 10 / 3,
            (Closeness::Away, _) => self.0 * 10,
        }
    }

    /// The waiting environments of a run.
    pub(super) fn pending(self, closeness: Closeness) -> Duration {
        match closeness {
            Closeness::Watched | Closeness::Aside => self.0 * 5 / 2,
            Closeness::Away => self.0 * 10,
        }
    }

    /// The deployments of the repository, which come with runs.
    pub(super) fn deployments(self, under_way: bool) -> Duration {
        if under_way { self.0 * 25 } else { RARELY }
    }

    /// Least time between two looks, whatever is due.
    pub(super) fn least(self) -> Duration {
        self.0 / 6
    }

    /// The time after which our word is expected anew, from which liveness
    /// follows: the list's period when nothing goes on.
    pub(super) fn usual(self) -> Duration {
        self.0 * 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn per_minute(periods: &[Duration]) -> f64 {
        periods
            .iter()
            .map(|period| 60.0 / period.as_secs_f64())
            .sum()
    }

    #[test]
    fn one_active_run_costs_at_most_twelve_requests_a_minute() {
        let tempo = Tempo(BASE);
        let running = [
            tempo.list(true, false, false),
            tempo.jobs(Closeness::Watched, false),
            tempo.deployments(true),
            RARELY,
            RARELY,
        ];
        assert!(per_minute(&running) <= 12.0, "{}", per_minute(&running));
        let waiting = [
            tempo.list(true, false, false),
            tempo.jobs(Closeness::Watched, true),
            tempo.pending(Closeness::Watched),
            tempo.deployments(true),
            RARELY,
            RARELY,
        ];
        assert!(per_minute(&waiting) <= 12.0, "{}", per_minute(&waiting));
    }

    #[test]
    fn everything_that_is_looked_at_regularly_stays_within_the_limit_for_late() {
        let tempo = Tempo(BASE);
        let limit = tempo.usual() * 3;
        assert!(tempo.list(false, false, true) < limit);
        assert!(tempo.jobs(Closeness::Away, false) < limit);
    }
}
