//! Blue/green: two services, and one instant at which all users move.
//!
//! A service selects the pods of one revision. Users are behind the *active*
//! one; the *preview* one shows a new revision to whoever is to look at it
//! first. There are no shares in between: the switch moves everybody.

use std::time::Duration;

use crate::domain::{rollout::AnalysisPhase, text::Clean};

/// What a blue/green rollout has that a canary has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlueGreen {
    /// The service users are behind.
    pub active_service: Clean,
    /// Hash of the revision it selects, as the controller last wrote it down.
    pub active: Option<Clean>,
    /// The service for a first look, if there is one.
    pub preview_service: Option<Clean>,
    /// Hash of the revision it selects.
    pub preview: Option<Clean>,
    /// What the switch waits for.
    pub promotion: Promotion,
    /// Pods of a preview that waits, where they are not as many as users need.
    pub preview_pods: Option<u32>,
    /// What is judged before the switch.
    pub before: Option<SwitchAnalysis>,
    /// What is judged after it, while the revision before still runs.
    pub after: Option<SwitchAnalysis>,
    /// How long the revision before keeps its pods once the new one is stable.
    pub keeps_old: Duration,
    /// How long a preview keeps its pods after an abort; `None` = for good.
    pub keeps_aborted: Option<Duration>,
}

/// What a switch waits for once the preview is ready and judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promotion {
    /// A person.
    ByHand,
    /// Nothing.
    AtOnce,
    /// This long, from when the preview was ready.
    After(Duration),
}

/// An analysis that belongs to a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchAnalysis {
    /// The templates it is made from.
    pub templates: Vec<Clean>,
    /// Where its run stands; `None` before there is one.
    pub phase: Option<AnalysisPhase>,
    /// Why.
    pub message: Clean,
}

impl SwitchAnalysis {
    /// What it is called: its templates.
    pub fn label(&self) -> String {
        let names: Vec<&str> = self.templates.iter().map(Clean::as_str).collect();
        names.join(", ")
    }

    /// Whether it has said that all is well.
    pub fn is_passed(&self) -> bool {
        self.phase == Some(AnalysisPhase::Successful)
    }
}

/// How far a blue/green update is, as users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cutover {
    /// Users are on the revision before; the wanted one is at most a preview.
    Preview,
    /// Users are on the wanted revision, and it is not stable yet.
    Switched,
}
