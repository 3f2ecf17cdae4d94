//! Measured values and series.

use std::time::Duration;

use crate::domain::{
    Timestamp,
    id::{BackendId, EnvironmentName, MetricName, ServiceName},
    text::Clean,
};

/// One configured metric of a service in one environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricId {
    /// The service.
    pub service: ServiceName,
    /// The environment its queries are bound to.
    pub environment: EnvironmentName,
    /// The metric.
    pub metric: MetricName,
}

/// Which side of a rollout a value describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arm {
    /// The revision being tried.
    Canary,
    /// The revision users are on.
    Stable,
    /// Requests to the canary, for the minimum-traffic guard.
    Traffic,
}

impl Arm {
    /// Its name in configuration and on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Stable => "stable",
            Self::Traffic => "traffic",
        }
    }
}

/// What one instant query came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// A finite number.
    Value(f64),
    /// No series matched: nothing was measured, which is not zero.
    Empty,
    /// `NaN` or an infinity, as written: a ratio over no traffic, for example.
    NotFinite(Clean),
    /// Several series and no aggregate in the configuration that says which counts.
    Several(usize),
    /// A kind of answer that has no single number (a string, a native histogram).
    NotNumeric(Clean),
}

/// One instant value.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Of which metric.
    pub metric: MetricId,
    /// Which side.
    pub arm: Arm,
    /// What it came to.
    pub sample: Sample,
    /// The instant it describes: the newest sample's own stamp where the
    /// backend gives one, else the evaluation time.
    pub at: Timestamp,
    /// The query that was asked.
    pub query: Clean,
    /// Who answered.
    pub backend: BackendId,
}

/// Values over time for a chart. Gaps are absent points, never zeros.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Of which metric.
    pub metric: MetricId,
    /// Which side.
    pub arm: Arm,
    /// Points, oldest first; non-finite ones left out.
    pub points: Vec<(Timestamp, f64)>,
    /// The range asked for.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

/// One metric in windows that do not overlap. They stand on a grid of their
/// own width, so that the same stretch of time is the same window whoever asks
/// and however often.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// Of which metric.
    pub metric: MetricId,
    /// How wide each is: at least as far as its queries look back.
    pub width: Duration,
    /// The last ones that are over, oldest first, without gaps.
    pub windows: Vec<Window>,
}

/// What one window came to. `None` = nothing was measured in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Its end.
    pub ends_at: Timestamp,
    /// The revision being tried.
    pub canary: Option<f64>,
    /// The revision users are on.
    pub stable: Option<f64>,
    /// Requests to the canary.
    pub traffic: Option<f64>,
}

impl Window {
    /// What was measured on one side.
    pub fn value(&self, arm: Arm) -> Option<f64> {
        match arm {
            Arm::Canary => self.canary,
            Arm::Stable => self.stable,
            Arm::Traffic => self.traffic,
        }
    }
}
