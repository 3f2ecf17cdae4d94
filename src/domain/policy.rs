//! What a release must answer, as configured.

use std::time::Duration;

use crate::domain::{
    id::{GateId, MetricName, PolicyName},
    text::Clean,
};

/// A set of gates and what may be done despite them.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// SHA-256 over its canonical text, `sha256:…`.
    pub digest: Clean,
    /// Whether a bend past HOLD or NO-GO is possible at all.
    pub override_allowed: bool,
    /// The gates in the order written.
    pub gates: Vec<GateRule>,
}

/// One question a release must answer.
#[derive(Clone, Debug, PartialEq)]
pub struct GateRule {
    /// Its name.
    pub id: GateId,
    /// Its column in the strip: one of `ALFXDQSI`.
    pub class: char,
    /// Whether the decision needs it.
    pub required: bool,
    /// Where the evidence comes from.
    pub source: GateSource,
    /// Which direction is good; never guessed from a name.
    pub better: Better,
    /// Outside this it fails.
    pub fail: Limit,
    /// Outside this it warns.
    pub warn: Limit,
    /// How it must compare.
    pub versus: Option<Versus>,
    /// Unit of the limits, for people.
    pub unit: Clean,
    /// Fails only when at least this many of the last windows are outside.
    pub breaches: Option<Breaches>,
    /// Fewer requests than this in the window are no evidence.
    pub min_traffic: Option<f64>,
    /// Older evidence is stale.
    pub max_age: Option<Duration>,
    /// What the evidence must be about.
    pub bind: Vec<Binding>,
}

/// Where a gate's evidence comes from. One variant per gate kind and source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateSource {
    /// Kind `metric`, from a configured metric query.
    Metric(MetricName),
    /// Kind `metric`, from the candidate version's training run.
    ModelMetric(Clean),
    /// Kind `pipeline`: jobs of the release's run whose name contains the text
    /// (empty = the whole run).
    Pipeline(Clean),
    /// Kind `rollout`: the controller's own analyses and health.
    Rollout(RolloutQuestion),
}

impl GateSource {
    /// The gate kind this belongs to, as written in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Metric(_) | Self::ModelMetric(_) => "metric",
            Self::Pipeline(_) => "pipeline",
            Self::Rollout(_) => "rollout",
        }
    }
}

/// What a rollout gate asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutQuestion {
    /// The controller's analyses of the candidate revision.
    Analysis,
    /// Whether the rollout is neither degraded nor stuck, and its pods are available.
    Health,
}

/// Which direction is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// A range a value must stay in; the limits themselves are inside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limit {
    /// Below this it is outside.
    pub below: Option<f64>,
    /// Above this it is outside.
    pub above: Option<f64>,
}

impl Limit {
    /// Whether anything is asked.
    pub fn is_set(self) -> bool {
        self.below.is_some() || self.above.is_some()
    }
}

/// How a value must compare with a baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Versus {
    /// With what.
    pub baseline: BaselineSource,
    /// The loss that is tolerated.
    pub max_regression: Option<Change>,
    /// The gain that is required.
    pub min_improvement: Option<Change>,
    /// Whether both must have been measured on the same data.
    pub same_data: bool,
    /// What a missing baseline means (a first release has none).
    pub on_missing_baseline: OnMissing,
}

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaselineSource {
    /// The model version this alias points to.
    Alias(Clean),
    /// The revision users are on.
    Stable,
}

/// A change in units of the value or as a share of the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// In units of the value.
    pub absolute: Option<f64>,
    /// As a share of |baseline|.
    pub relative: Option<f64>,
}

/// What a missing baseline means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMissing {
    /// Worth a look.
    Warn,
    /// Not proven.
    Missing,
    /// Fine (named so on purpose).
    Pass,
}

/// The most windows a rule can look at.
pub const WINDOWS: u32 = 64;

/// `at_least` of the last `of` windows, in whatever order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaches {
    /// Windows looked at.
    pub of: u32,
    /// Outside in at least this many.
    pub at_least: u32,
}

/// What evidence must be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// The release's commit.
    Commit,
    /// The release's model version.
    ModelVersion,
    /// The release's image.
    Image,
}
