//! A controller's own judgement of a revision, with its measurements.

use std::time::Duration;

use crate::domain::{Timestamp, text::Clean};

/// A controller's own judgement during a rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The AnalysisRun's name.
    pub name: Clean,
    /// Of which revision hash.
    pub hash: Option<Clean>,
    /// The number that revision had when it was made, if it says. One that is
    /// tried again after another has a higher one by then.
    pub revision: Option<u64>,
    /// What it judges for.
    pub stage: AnalysisStage,
    /// Where it stands.
    pub phase: AnalysisPhase,
    /// Why.
    pub message: Clean,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// Its metrics.
    pub metrics: Vec<AnalysisMetric>,
}

/// What an analysis judges for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AnalysisStage {
    /// The canary step with this index.
    Step(u32),
    /// The whole canary, while its steps go on.
    Background,
    /// A blue/green switch that is to come.
    BeforeSwitch,
    /// A blue/green switch that has happened.
    AfterSwitch,
    /// It does not say, or in a word this version does not know.
    Unknown(Clean),
}

/// Where an analysis stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AnalysisPhase {
    /// Not started.
    Pending,
    /// Measuring.
    Running,
    /// Good.
    Successful,
    /// Measured and bad.
    Failed,
    /// Could not measure.
    Error,
    /// Neither good nor bad: a person decides.
    Inconclusive,
    /// A word this version does not know.
    Unknown(Clean),
}

/// One metric of an analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisMetric {
    /// Its name.
    pub name: Clean,
    /// Where it stands.
    pub phase: AnalysisPhase,
    /// Why.
    pub message: Clean,
    /// The condition for good, as written.
    pub success_condition: Option<Clean>,
    /// The condition for bad, as written.
    pub failure_condition: Option<Clean>,
    /// Good, bad, undecided and broken measurements so far.
    pub counts: MeasurementCounts,
    /// How many it takes in all; `None` = no end.
    pub count: Option<u32>,
    /// Whether it came to as many good ones in a row as it asks for; `None` = it
    /// asks for none, and its count alone ends it.
    pub good_in_a_row: Option<bool>,
    /// How many bad ones are allowed.
    pub failure_limit: u32,
    /// Time between two measurements.
    pub interval: Option<Duration>,
    /// Observed only; never changes the verdict.
    pub dry_run: bool,
    /// The last few measurements, oldest first.
    pub measurements: Vec<AnalysisMeasurement>,
}

impl AnalysisMetric {
    /// Whether it has measured all it was to measure. Stopped early by a person
    /// it may call itself successful all the same.
    pub fn is_complete(&self) -> bool {
        self.good_in_a_row.unwrap_or_else(|| {
            self.count
                .is_none_or(|count| count <= self.counts.measured())
        })
    }
}

/// Measurements by how they came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeasurementCounts {
    /// Good.
    pub successful: u32,
    /// Bad.
    pub failed: u32,
    /// Undecided.
    pub inconclusive: u32,
    /// Broken.
    pub error: u32,
}

impl MeasurementCounts {
    /// All of them.
    pub fn total(self) -> u32 {
        self.measured() + self.error
    }

    /// Those that came to something.
    pub fn measured(self) -> u32 {
        self.successful + self.failed + self.inconclusive
    }
}

/// One measurement of an analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisMeasurement {
    /// How it came out.
    pub phase: AnalysisPhase,
    /// The value as the controller wrote it (`[0.2]`).
    pub value: Clean,
    /// When it ended.
    pub at: Option<Timestamp>,
}
