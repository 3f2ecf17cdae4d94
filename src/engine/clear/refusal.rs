//! Why something is not done, in words that say what to do about it.

use std::fmt;

use crate::{
    domain::{
        id::{BackendId, EnvironmentName},
        quantity::counted,
        text::Clean,
        verdict::Word,
    },
    engine::{clear::Mode, world::Liveness},
};

/// Why something is not done. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such service, environment, rollout or run.
    NoTarget(Clean),
    /// None of several targets goes without saying.
    NeedsTarget {
        /// Why not, and what to name.
        why: Clean,
        /// What can be named, the likeliest first.
        choices: Vec<Clean>,
    },
    /// What is asked for is so already. For a command that is success.
    AlreadySo(Clean),
    /// There is nothing to do: the verb does not apply here and now.
    NothingToDo(Clean),
    /// The mode does not let it through.
    Mode(Mode),
    /// The environment is configured read-only.
    ReadOnlyEnvironment(EnvironmentName),
    /// The backend has said, lately, that we may not.
    Denied(Clean),
    /// A backend it depends on is not live.
    NotLive {
        /// Which.
        backend: BackendId,
        /// How it is.
        liveness: Liveness,
    },
    /// The target is not what the person saw.
    Moved(Clean),
    /// Another throttle is under way on the same target.
    Busy(Clean),
    /// The decision stands against it.
    Decision {
        /// The decision.
        word: Word,
        /// Its reasons, worst first.
        reasons: Vec<Clean>,
        /// Whether the policy lets a person go past it.
        overridable: bool,
    },
    /// There are warnings and they were not accepted.
    Warnings(Vec<Clean>),
    /// It goes past a rule and needs the release's name and a reason.
    NeedsBend {
        /// Which rule.
        rule: Clean,
        /// The name to type.
        name: Clean,
    },
    /// The policy does not allow going past it at all.
    Forbidden(Clean),
    /// It could not be written down first, so it is not sent.
    NotWritten(Clean),
}

impl Refusal {
    /// The decision it follows from, if it does: exit codes 1, 2 and 3 instead of 4.
    pub fn decision(&self) -> Option<Word> {
        match self {
            Self::Decision { word, .. } => Some(*word),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTarget(what)
            | Self::NeedsTarget { why: what, .. }
            | Self::AlreadySo(what)
            | Self::NothingToDo(what)
            | Self::Denied(what)
            | Self::Moved(what)
            | Self::Busy(what)
            | Self::Forbidden(what)
            | Self::NotWritten(what) => f.write_str(what),
            Self::Mode(Mode::ReadOnly) => f.write_str("read-only: nothing acts here"),
            Self::Mode(Mode::Brake) => f.write_str(
                "BRAKE: only hold, abort, roll back and reject act; `:rw` opens the rest",
            ),
            Self::Mode(Mode::ReadWrite) => f.write_str("refused"),
            Self::ReadOnlyEnvironment(environment) => {
                write!(
                    f,
                    "environment `{environment}` is read-only in the configuration"
                )
            }
            Self::NotLive { backend, liveness } => {
                write!(
                    f,
                    "backend `{backend}` is {}: what it said last may no longer be true",
                    liveness.word()
                )
            }
            Self::Decision {
                word,
                reasons,
                overridable,
            } => {
                write!(f, "{}", word.text())?;
                for (index, reason) in reasons.iter().enumerate() {
                    write!(f, "{}{reason}", if index == 0 { ": " } else { "; " })?;
                }
                f.write_str(if *overridable {
                    " (the policy allows an override: name and reason)"
                } else {
                    " (the policy allows no override)"
                })
            }
            Self::Warnings(warnings) => {
                let count = counted(warnings.len(), "warning", "warnings");
                write!(f, "{count} not accepted")?;
                for warning in warnings {
                    write!(f, "; {warning}")?;
                }
                Ok(())
            }
            Self::NeedsBend { rule, name } => {
                write!(
                    f,
                    "{rule}: type the release's name `{name}` and give a reason"
                )
            }
        }
    }
}
