//! Where a test may ask the process to die, so that what is left behind can be looked at.

use std::{fmt, str::FromStr};

/// A place between two durable steps of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillPoint {
    /// Before an intent is written.
    BeforeIntent,
    /// After it is on disk.
    AfterIntent,
    /// Before the request goes out.
    BeforeSend,
    /// After it was answered.
    AfterSend,
    /// Before the outcome is written.
    BeforeOutcome,
    /// After it is on disk.
    AfterOutcome,
}

impl KillPoint {
    /// All of them, in the order an action passes them.
    pub const ALL: [Self; 6] = [
        Self::BeforeIntent,
        Self::AfterIntent,
        Self::BeforeSend,
        Self::AfterSend,
        Self::BeforeOutcome,
        Self::AfterOutcome,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeIntent => "before-intent",
            Self::AfterIntent => "after-intent",
            Self::BeforeSend => "before-send",
            Self::AfterSend => "after-send",
            Self::BeforeOutcome => "before-outcome",
            Self::AfterOutcome => "after-outcome",
        }
    }
}

impl fmt::Display for KillPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for KillPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|point| point.name() == text)
            .ok_or_else(|| format!("no kill point `{text}`"))
    }
}
