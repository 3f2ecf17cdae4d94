//! How often frames are drawn.
//!
//! The first change after quiet is drawn at once, a burst at most thirty times
//! a second, and what a key does is not made to wait for either. A frame that
//! only moves the clock on holds back nothing. Whether there is anything to draw
//! is not known here.

use std::time::Duration;

use tokio::time::Instant;

/// Frames of a burst are this far apart.
const FRAME: Duration = Duration::from_millis(33);

/// When the last frame that showed a change was drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    drawn_at: Option<Instant>,
}

impl Pace {
    /// Whether a frame may be drawn now.
    pub fn may_draw(self, now: Instant) -> bool {
        self.next(now) <= now
    }

    /// When the next frame may be drawn, from `now` on.
    pub fn next(self, now: Instant) -> Instant {
        self.drawn_at.map_or(now, |at| (at + FRAME).max(now))
    }

    /// A frame has been drawn; `for_clock` when nothing but time had passed.
    pub fn drawn(&mut self, now: Instant, for_clock: bool) {
        if !for_clock {
            self.drawn_at = Some(now);
        }
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
        let burst: Vec<u64> = (0..1_000).step_by(5).collect();
        let drawn = frames(&burst);
        // 1000 ms / 33 ms = 30 frames after the first one.
        assert_eq!(drawn.len(), 32, "{drawn:?}");
        assert_eq!(drawn[0], 0);
        assert!(drawn.windows(2).all(|pair| 33 <= pair[1] - pair[0]));
        // The last change is at 995 ms; the frame after it shows it.
        assert!(995 <= drawn[31], "{drawn:?}");
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
