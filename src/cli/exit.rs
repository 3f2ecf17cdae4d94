//! Exit codes: one number, one meaning, in every command.

use std::process::ExitCode;

use crate::{
    domain::{observation::ActionOutcome, verdict::Word},
    engine::clear::Refusal,
};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// What was asked for is true.
    Ok,
    /// Measured and bad, or a policy that asks nothing.
    NoGo,
    /// Not decided yet; waiting helps.
    Waiting,
    /// Evidence is missing, stale, broken or invalid; waiting alone does not help.
    NotProven,
    /// gonogo said no and sent nothing.
    Refused,
    /// The backend said no or was not reached; it did not happen.
    Failed,
    /// Sent and not seen by the deadline, or a plan stopped part-way.
    Unsettled,
    /// Wrong arguments or configuration.
    Usage,
    /// An error of ours.
    Internal,
    /// A task panicked.
    Panic,
    /// Ended by the signal with this number.
    Signal(u8),
}

/// Every code with its word and meaning, as the manual prints it.
pub const TABLE: &[(Exit, &str)] = &[
    (
        Exit::Ok,
        "what was asked for is true: GO, effect seen, or it already was so",
    ),
    (
        Exit::NoGo,
        "measured and bad (NO-GO), or a policy that asks nothing; nothing was sent",
    ),
    (
        Exit::Waiting,
        "not decided yet (HOLD); waiting helps; nothing was sent",
    ),
    (
        Exit::NotProven,
        "evidence is missing, stale or broken (HOLD); waiting alone does not help; nothing was sent",
    ),
    (
        Exit::Refused,
        "gonogo said no and sent nothing: mode, permission, policy, target moved, no --yes",
    ),
    (
        Exit::Failed,
        "the backend said no or was not reached; it did not happen",
    ),
    (
        Exit::Unsettled,
        "sent, and the effect was not seen by the deadline, or a plan stopped part-way",
    ),
    (Exit::Usage, "wrong arguments or configuration"),
    (Exit::Internal, "an error of gonogo itself"),
    (Exit::Panic, "gonogo crashed"),
];

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::NoGo => 1,
            Self::Waiting => 2,
            Self::NotProven => 3,
            Self::Refused => 4,
            Self::Failed => 5,
            Self::Unsettled => 6,
            Self::Usage => 64,
            Self::Internal => 70,
            Self::Panic => 101,
            Self::Signal(number) => 128_u8.saturating_add(number),
        }
    }

    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoGo => "no-go",
            Self::Waiting => "waiting",
            Self::NotProven => "not proven",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unsettled => "unsettled",
            Self::Usage => "usage",
            Self::Internal => "internal",
            Self::Panic => "panic",
            Self::Signal(_) => "signal",
        }
    }

    /// Of several reasons the one that counts: 1 beats 3 beats 2 beats 0.
    pub fn worse(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Ok => 0,
            Self::Waiting => 1,
            Self::NotProven => 2,
            Self::NoGo => 3,
            Self::Refused => 4,
            Self::Failed => 5,
            Self::Unsettled => 6,
            Self::Usage => 7,
            Self::Internal | Self::Panic | Self::Signal(_) => 8,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }
}

impl From<Word> for Exit {
    fn from(word: Word) -> Self {
        match word {
            Word::Go | Word::GoWithWarnings => Self::Ok,
            Word::HoldWaiting => Self::Waiting,
            Word::HoldNotProven => Self::NotProven,
            Word::NoGo => Self::NoGo,
        }
    }
}

impl From<&Refusal> for Exit {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::AlreadySo(_) => Self::Ok,
            Refusal::Decision { word, .. } => Self::from(*word),
            Refusal::NoTarget(_)
            | Refusal::NeedsTarget { .. }
            | Refusal::NothingToDo(_)
            | Refusal::Mode(_)
            | Refusal::ReadOnlyEnvironment(_)
            | Refusal::Denied(_)
            | Refusal::NotLive { .. }
            | Refusal::Moved(_)
            | Refusal::Busy(_)
            | Refusal::Warnings(_)
            | Refusal::NeedsBend { .. }
            | Refusal::Forbidden(_)
            | Refusal::NotWritten(_) => Self::Refused,
        }
    }
}

impl From<ActionOutcome> for Exit {
    fn from(outcome: ActionOutcome) -> Self {
        match outcome {
            ActionOutcome::Confirmed => Self::Ok,
            ActionOutcome::Refused => Self::Refused,
            ActionOutcome::Failed => Self::Failed,
            ActionOutcome::Unknown | ActionOutcome::Partial => Self::Unsettled,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_one_meaning() {
        let mut codes: Vec<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 64, 70, 101]);
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
        assert_eq!(Exit::Signal(15).code(), 143);
    }

    #[test]
    fn of_several_reasons_one_beats_three_beats_two() {
        let worst = |all: &[Exit]| all.iter().fold(Exit::Ok, |worst, exit| worst.worse(*exit));
        assert_eq!(
            worst(&[Exit::Waiting, Exit::NotProven, Exit::NoGo]),
            Exit::NoGo
        );
        assert_eq!(worst(&[Exit::NotProven, Exit::Waiting]), Exit::NotProven);
        assert_eq!(worst(&[Exit::Ok, Exit::Waiting]), Exit::Waiting);
    }

    #[test]
    fn decisions_refusals_and_outcomes_map_to_the_table() {
        for (word, code) in [
            (Word::Go, 0),
            (Word::GoWithWarnings, 0),
            (Word::NoGo, 1),
            (Word::HoldWaiting, 2),
            (Word::HoldNotProven, 3),
        ] {
            assert_eq!(Exit::from(word).code(), code, "{}", word.text());
            let refusal = Refusal::Decision {
                word,
                reasons: Vec::new(),
                overridable: false,
            };
            assert_eq!(Exit::from(&refusal).code(), code);
        }
        assert_eq!(Exit::from(&Refusal::AlreadySo("held".into())).code(), 0);
        assert_eq!(Exit::from(&Refusal::Moved("x".into())).code(), 4);
        for (outcome, code) in [
            (ActionOutcome::Confirmed, 0),
            (ActionOutcome::Refused, 4),
            (ActionOutcome::Failed, 5),
            (ActionOutcome::Unknown, 6),
            (ActionOutcome::Partial, 6),
        ] {
            assert_eq!(Exit::from(outcome).code(), code, "{}", outcome.word());
        }
    }
}
