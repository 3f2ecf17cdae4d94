//! What the cockpit lets through: RO, BRAKE or RW, by environment and time.

use chrono::TimeDelta;

use crate::{domain::Timestamp, engine::clear::Mode};

/// How long `:rw` opens critical environments.
pub const OPEN_FOR: TimeDelta = TimeDelta::minutes(60);

/// The modes as configured and as chosen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// The configuration says read-only; nothing here changes that.
    pub locked: bool,
    /// What was chosen by `:ro`, `:brake`, `:rw`.
    chosen: Option<Mode>,
    /// Until when critical environments are open.
    open_until: Option<Timestamp>,
}

impl Modes {
    /// Modes as a configuration starts them.
    pub fn new(locked: bool) -> Self {
        Self {
            locked,
            ..Self::default()
        }
    }

    /// Takes a choice.
    ///
    /// # Errors
    ///
    /// The configuration does not allow it, in words.
    pub fn choose(&mut self, mode: Mode, now: Timestamp) -> Result<(), &'static str> {
        if self.locked && mode != Mode::ReadOnly {
            return Err("the configuration says `mode = \"ro\"`");
        }
        self.chosen = Some(mode);
        self.open_until = (mode == Mode::ReadWrite).then(|| now + OPEN_FOR);
        Ok(())
    }

    /// The mode for an environment.
    pub fn of(self, critical: bool, now: Timestamp) -> Mode {
        if self.locked {
            return Mode::ReadOnly;
        }
        let open = self.open_until.is_some_and(|until| now < until);
        match self.chosen {
            Some(Mode::ReadOnly) => Mode::ReadOnly,
            Some(Mode::Brake) => Mode::Brake,
            Some(Mode::ReadWrite) | None if critical && !open => Mode::Brake,
            Some(Mode::ReadWrite) | None => Mode::ReadWrite,
        }
    }

    /// Until when critical environments are open, while they are.
    pub fn open_until(self, now: Timestamp) -> Option<Timestamp> {
        self.open_until.filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        chrono::DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    #[test]
    fn critical_environments_start_with_brakes_only() {
        let modes = Modes::default();
        assert_eq!(modes.of(true, at(0)), Mode::Brake);
        assert_eq!(modes.of(false, at(0)), Mode::ReadWrite);
    }

    #[test]
    fn rw_opens_them_for_an_hour() {
        let mut modes = Modes::default();
        modes.choose(Mode::ReadWrite, at(0)).unwrap();
        assert_eq!(modes.of(true, at(59)), Mode::ReadWrite);
        assert_eq!(modes.of(true, at(60)), Mode::Brake);
        assert_eq!(modes.of(false, at(60)), Mode::ReadWrite);
    }

    #[test]
    fn a_read_only_configuration_cannot_be_talked_out_of_it() {
        let mut modes = Modes::new(true);
        assert!(modes.choose(Mode::ReadWrite, at(0)).is_err());
        assert_eq!(modes.of(false, at(0)), Mode::ReadOnly);
    }
}
