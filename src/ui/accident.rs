//! Tells a person's decision from an accident.
//!
//! Keys that act are refused while there is reason to think that nobody meant
//! them: text typed or pasted into the wrong window, a key held down, Caps Lock,
//! a terminal that has just got the focus back. Looking is never refused.

use std::time::Duration;

use crossterm::event::KeyCode;

use crate::{
    domain::Timestamp,
    ui::{keymap::Key, text::between},
};

/// Two printable keys closer than this were not both decided on.
pub const BURST_GAP: Duration = Duration::from_millis(60);
/// This many in a row are typing.
const BURST_LENGTH: u32 = 3;
/// How long keys do not act after typing was noticed.
const AFTER_BURST: Duration = Duration::from_millis(500);
/// How long keys do not act after a paste or after the focus came back.
const AFTER_PASTE: Duration = Duration::from_millis(300);
/// The same acting key again sooner than this is a key held down.
const SAME_KEY: Duration = Duration::from_millis(500);
/// Three capitals that do nothing within this time look like Caps Lock.
const CAPITALS: Duration = Duration::from_secs(2);

/// What a key looks like in the light of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Meant.
    Deliberate,
    /// The same key again, too soon.
    HeldDown,
    /// One of a row of keys no hand presses on purpose.
    Typing,
}

/// The recent past of the keyboard.
#[derive(Clone, Debug, Default)]
pub struct Accidents {
    last: Option<(Key, Timestamp)>,
    row: u32,
    capitals: Vec<Timestamp>,
    off: Option<(Timestamp, &'static str)>,
}

impl Accidents {
    /// Takes note of a key; says what it looks like.
    pub fn key(&mut self, key: Key, now: Timestamp) -> Looks {
        let (same, gap) = match self.last {
            Some((last, at)) => (last == key, between(at, now)),
            None => (false, Duration::MAX),
        };
        self.last = Some((key, now));
        if BURST_GAP <= gap || !key.is_printable() {
            self.row = u32::from(key.is_printable());
        } else if !same {
            // A key held down comes as fast as a paste; only different keys are typing.
            self.row += 1;
        }
        if BURST_LENGTH <= self.row {
            self.off = Some((now + AFTER_BURST, "typing detected"));
            return Looks::Typing;
        }
        if same && gap < SAME_KEY {
            Looks::HeldDown
        } else {
            Looks::Deliberate
        }
    }

    /// Takes note of a key that went into a text field, where typing is meant.
    pub fn in_field(&mut self, key: Key, now: Timestamp) {
        self.last = Some((key, now));
        self.row = 0;
    }

    /// Takes note of a capital that is bound to nothing that acts.
    pub fn idle_capital(&mut self, now: Timestamp) -> bool {
        self.capitals.retain(|at| between(*at, now) < CAPITALS);
        self.capitals.push(now);
        let locked = 3 <= self.capitals.len();
        if locked {
            self.off = Some((now + CAPITALS, "is Caps Lock on?"));
            self.capitals.clear();
        }
        locked
    }

    /// Takes note of a paste.
    pub fn paste(&mut self, now: Timestamp) {
        self.row = 0;
        self.off = Some((now + AFTER_PASTE, "something was pasted"));
    }

    /// Takes note of the focus coming back.
    pub fn focus(&mut self, now: Timestamp) {
        self.off = Some((now + AFTER_PASTE, "the window has just got the focus"));
    }

    /// Why keys do not act now, if they do not.
    pub fn acting_off(&self, now: Timestamp) -> Option<&'static str> {
        self.off
            .filter(|(until, _)| now < *until)
            .map(|(_, why)| why)
    }
}

impl Key {
    /// Whether it would write a character into a text field.
    pub fn is_printable(self) -> bool {
        matches!(self.code, KeyCode::Char(_)) && !self.control
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn at(millis: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    #[test]
    fn three_different_keys_in_a_row_are_typing_and_switch_acting_off() {
        let mut accidents = Accidents::default();
        assert_eq!(accidents.key(Key::char('R'), at(1000)), Looks::Deliberate);
        assert_eq!(accidents.key(Key::char('E'), at(1010)), Looks::Deliberate);
        assert_eq!(accidents.key(Key::char('L'), at(1020)), Looks::Typing);
        assert!(accidents.acting_off(at(1500)).is_some());
        assert!(accidents.acting_off(at(1520)).is_none());
    }

    #[test]
    fn a_key_held_down_to_move_is_not_typing() {
        let mut accidents = Accidents::default();
        for step in 0..40 {
            accidents.key(Key::char('j'), at(1000 + step * 33));
        }
        assert!(accidents.acting_off(at(1000 + 40 * 33)).is_none());
    }

    #[test]
    fn the_same_key_again_within_half_a_second_is_held_down() {
        let mut accidents = Accidents::default();
        accidents.key(Key::char('H'), at(0));
        assert_eq!(accidents.key(Key::char('H'), at(499)), Looks::HeldDown);
        assert_eq!(accidents.key(Key::char('H'), at(1100)), Looks::Deliberate);
    }

    #[test]
    fn three_idle_capitals_within_two_seconds_look_like_caps_lock() {
        let mut accidents = Accidents::default();
        assert!(!accidents.idle_capital(at(0)));
        assert!(!accidents.idle_capital(at(700)));
        assert!(accidents.idle_capital(at(1400)));
        assert!(accidents.acting_off(at(2000)).is_some());
    }
}
