//! How often frames are drawn.
//!
//! The first change after quiet is drawn at once, a burst at most thirty times
//! a second, one that goes on ten times a second, which still looks immediate.
//! What a key does is not made to wait for any of it. A frame that only moves the
//! clock on holds back nothing. Whether there is anything to draw is not known here.

use std::time::Duration;

use tokio::time::Instant;

/// Frames of a burst are this far apart.
const FRAME: Duration = Duration::from_millis(33);
/// Frames of a burst that goes on are.
const CALM: Duration = Duration::from_millis(100);
/// After this many frames, each as soon as it might be, a burst goes on: half a
/// second.
const GOES_ON: u32 = 15;
/// A frame this much later than it might have been drawn was not waited for.
const SLACK: Duration = Duration::from_millis(5);

/// When the last frame that showed a change was drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    drawn_at: Option<Instant>,
    /// How many frames in a row were drawn as soon as they might be.
    in_a_row: u32,
}

impl Pace {
    /// Whether a frame may be drawn now.
    pub fn may_draw(self, now: Instant) -> bool {
        self.next(now) <= now
    }

    /// When the next frame may be drawn, from `now` on.
    pub fn next(self, now: Instant) -> Instant {
        self.drawn_at.map_or(now, |at| (at + self.gap()).max(now))
    }

    fn gap(self) -> Duration {
        if self.in_a_row < GOES_ON { FRAME } else { CALM }
    }

    /// A frame has been drawn; `for_clock` when nothing but time had passed.
    pub fn drawn(&mut self, now: Instant, for_clock: bool) {
        if for_clock {
            return;
        }
        if let Some(at) = self.drawn_at {
            let waited = now < at + self.gap() + SLACK;
            self.in_a_row = if waited { self.in_a_row + 1 } else { 0 };
        }
        self.drawn_at = Some(now);
    }

    /// The next frame is wanted at once.
    pub fn hurry(&mut self) {
        self.drawn_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Draws as the loop does while something changes at these times; when
    /// frames were drawn, in milliseconds.
    fn frames(changes: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut drawn = Vec::new();
        let mut dirty = false;
        let mut wake = None;
        for at in 0..10_000 {
            let now = start + millis(at);
            let changed = changes.contains(&at);
            dirty |= changed;
            if !changed && wake.is_none_or(|wake| now < wake) {
                continue;
            }
            if dirty && pace.may_draw(now) {
                pace.drawn(now, false);
                drawn.push(at);
                dirty = false;
            }
            wake = dirty.then(|| pace.next(now));
        }
        drawn
    }

    #[test]
    fn the_first_change_after_quiet_is_drawn_at_once() {
        // However little was quiet: longer than the time between two frames.
        assert_eq!(frames(&[0, 40, 100, 5_000]), [0, 40, 100, 5_000]);
    }

    #[test]
    fn a_burst_is_drawn_thirty_times_a_second_and_its_end_is_not_lost() {
        let burst: Vec<u64> = (0..450).step_by(5).collect();
        let drawn = frames(&burst);
        // 450 ms / 33 ms = 13 frames after the first one.
        assert_eq!(drawn.len(), 15, "{drawn:?}");
        assert_eq!(drawn[0], 0);
        assert!(drawn.windows(2).all(|pair| 33 <= pair[1] - pair[0]));
        // The last change is at 445 ms; the frame after it shows it.
        assert!(445 <= drawn[14], "{drawn:?}");
    }

    #[test]
    fn a_burst_that_goes_on_is_drawn_ten_times_a_second_until_it_is_over() {
        let mut changes: Vec<u64> = (0..5_000).step_by(16).collect();
        changes.extend([5_500, 5_540]);
        let drawn = frames(&changes);
        let of_second = |second: u64| drawn.iter().filter(|at| **at / 1_000 == second).count();
        assert_eq!(of_second(2), 10, "{drawn:?}");
        assert_eq!(of_second(4), 10, "{drawn:?}");
        // Its last change was at 4992 ms, and after the quiet it is as before.
        let end: Vec<u64> = drawn.iter().copied().filter(|at| 4_992 <= *at).collect();
        assert!(end[0] <= 5_092, "{drawn:?}");
        assert_eq!(end[1..], [5_500, 5_540], "{drawn:?}");
    }

    #[test]
    fn two_changes_in_one_breath_are_two_frames_and_the_second_one_waits() {
        assert_eq!(frames(&[0, 1]), [0, 33]);
    }

    #[test]
    fn what_a_key_does_is_not_made_to_wait() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.drawn(now, false);
        assert!(!pace.may_draw(now + millis(1)));
        pace.hurry();
        assert!(pace.may_draw(now + millis(1)));
    }

    #[test]
    fn a_frame_for_the_clock_neither_holds_back_nor_lets_more_through() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.drawn(now, true);
        assert!(pace.may_draw(now + millis(1)));
        pace.drawn(now + millis(1), false);
        pace.drawn(now + millis(2), true);
        assert!(!pace.may_draw(now + millis(3)));
        assert!(pace.may_draw(now + millis(34)));
    }
}
