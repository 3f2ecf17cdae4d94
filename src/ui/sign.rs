//! One alphabet for everything that has a state.
//!
//! A sign is never alone in meaning: it differs from all others in shape, also
//! in ASCII, has a word for detail views, and a [`Role`] that a theme may colour.

use crate::{
    domain::{
        pipeline::{Outcome, Phase, RunStatus},
        rollout::AnalysisPhase,
        verdict::{Verdict, Word},
    },
    engine::world::Liveness,
    ui::theme::Role,
};

/// One sign of the alphabet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sign {
    /// Passed, done, live.
    Good,
    /// Warned, late, near a limit.
    Warn,
    /// Failed, silent.
    Bad,
    /// At work.
    Running,
    /// Waits for a machine, a rule or a timer.
    Waiting,
    /// Waits for a person.
    Person,
    /// Held.
    Held,
    /// Rolled back or aborted.
    Back,
    /// Tried again; stands beside another sign.
    Retried,
    /// Skipped, cancelled, not applicable, off.
    Off,
    /// Not yet, pending.
    NotYet,
    /// Too old.
    Stale,
    /// Missing, or a word this version does not know.
    Missing,
    /// The question could not be asked.
    Error,
    /// Let pass by a person.
    Waived,
}

impl Sign {
    /// The whole alphabet, in the order legends list it.
    pub const ALL: [Self; 15] = [
        Self::Good,
        Self::Warn,
        Self::Bad,
        Self::Running,
        Self::Waiting,
        Self::Person,
        Self::Held,
        Self::Back,
        Self::Retried,
        Self::Off,
        Self::NotYet,
        Self::Stale,
        Self::Missing,
        Self::Error,
        Self::Waived,
    ];

    /// The sign on a terminal that can show it.
    pub fn glyph(self) -> char {
        match self {
            Self::Good => '✓',
            Self::Warn => '▲',
            Self::Bad => '✗',
            Self::Running => '◐',
            Self::Waiting => '○',
            Self::Person => '◆',
            Self::Held => '‖',
            Self::Back => '↺',
            Self::Retried => '↻',
            Self::Off => '–',
            Self::NotYet => '·',
            Self::Stale => '~',
            Self::Missing => '?',
            Self::Error => 'E',
            Self::Waived => 'W',
        }
    }

    /// The sign in ASCII.
    pub fn ascii(self) -> char {
        match self {
            Self::Good => '+',
            Self::Warn => '!',
            Self::Bad => 'x',
            Self::Running => '*',
            Self::Waiting => 'o',
            Self::Person => '@',
            Self::Held => '=',
            Self::Back => '<',
            Self::Retried => 'r',
            Self::Off => '-',
            Self::NotYet => '.',
            Self::Stale => '~',
            Self::Missing => '?',
            Self::Error => 'E',
            Self::Waived => 'W',
        }
    }

    /// What it says, for detail views and legends.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Person => "waits for a person",
            Self::Held => "held",
            Self::Back => "rolled back",
            Self::Retried => "retried",
            Self::Off => "off",
            Self::NotYet => "not yet",
            Self::Stale => "stale",
            Self::Missing => "missing",
            Self::Error => "error",
            Self::Waived => "waived",
        }
    }

    /// The part it plays, for a theme to colour.
    pub fn role(self) -> Role {
        match self {
            Self::Good => Role::Good,
            Self::Warn => Role::Warn,
            Self::Bad | Self::Error | Self::Back => Role::Bad,
            Self::Running => Role::Run,
            Self::Person => Role::Person,
            Self::Held | Self::Missing | Self::Stale => Role::Hold,
            Self::Retried | Self::Waived => Role::Info,
            Self::Waiting | Self::Off | Self::NotYet => Role::Dim,
        }
    }
}

impl From<Verdict> for Sign {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Fail => Self::Bad,
            Verdict::Error => Self::Error,
            Verdict::Missing => Self::Missing,
            Verdict::Stale => Self::Stale,
            Verdict::Pending => Self::NotYet,
            Verdict::Warn => Self::Warn,
            Verdict::Pass => Self::Good,
            Verdict::NotApplicable => Self::Off,
        }
    }
}

impl From<Word> for Sign {
    fn from(word: Word) -> Self {
        match word {
            Word::Go => Self::Good,
            Word::GoWithWarnings => Self::Warn,
            Word::HoldWaiting => Self::NotYet,
            Word::HoldNotProven => Self::Missing,
            Word::NoGo => Self::Bad,
        }
    }
}

impl From<Liveness> for Sign {
    fn from(liveness: Liveness) -> Self {
        match liveness {
            Liveness::Live => Self::Good,
            Liveness::Late => Self::Warn,
            Liveness::Silent => Self::Bad,
            Liveness::Awaited => Self::NotYet,
            Liveness::Off => Self::Off,
        }
    }
}

impl From<&RunStatus> for Sign {
    fn from(status: &RunStatus) -> Self {
        match (&status.phase, &status.outcome) {
            (Phase::Queued, _) => Self::Waiting,
            (Phase::Waiting, _) if status.flags.timed => Self::Waiting,
            (Phase::Waiting, _) => Self::Person,
            (Phase::Running, _) => Self::Running,
            (Phase::Ended, Some(Outcome::Succeeded)) if status.flags.warn => Self::Warn,
            (Phase::Ended, Some(Outcome::Succeeded)) => Self::Good,
            (Phase::Ended, Some(Outcome::Failed)) => Self::Bad,
            (Phase::Ended, Some(Outcome::Cancelled | Outcome::Skipped | Outcome::Neutral)) => {
                Self::Off
            }
            (Phase::Ended, Some(Outcome::Unknown(_)) | None) | (Phase::Unknown(_), _) => {
                Self::Missing
            }
        }
    }
}

impl From<&AnalysisPhase> for Sign {
    fn from(phase: &AnalysisPhase) -> Self {
        match phase {
            AnalysisPhase::Pending => Self::NotYet,
            AnalysisPhase::Running => Self::Running,
            AnalysisPhase::Successful => Self::Good,
            AnalysisPhase::Failed => Self::Bad,
            AnalysisPhase::Error => Self::Error,
            AnalysisPhase::Inconclusive | AnalysisPhase::Unknown(_) => Self::Missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_sign_differs_from_every_other_in_both_alphabets() {
        let glyphs: BTreeSet<char> = Sign::ALL.iter().map(|sign| sign.glyph()).collect();
        let ascii: BTreeSet<char> = Sign::ALL.iter().map(|sign| sign.ascii()).collect();
        assert_eq!(glyphs.len(), Sign::ALL.len());
        assert_eq!(ascii.len(), Sign::ALL.len());
        assert!(ascii.iter().all(char::is_ascii));
    }

    #[test]
    fn every_sign_takes_one_cell() {
        for sign in Sign::ALL {
            assert_eq!(
                unicode_width::UnicodeWidthChar::width(sign.glyph()),
                Some(1),
                "{sign:?}"
            );
        }
    }

    #[test]
    fn an_unknown_outcome_never_looks_good() {
        let status = RunStatus::ended(Outcome::Unknown("exploded".into()));
        assert_eq!(Sign::from(&status), Sign::Missing);
        assert_eq!(
            Sign::from(&RunStatus::at(Phase::Unknown("odd".into()))),
            Sign::Missing
        );
    }
}
