//! What a Prometheus server writes, as far as it is read here.
//!
//! HTTP API v1, <https://prometheus.io/docs/prometheus/latest/querying/api/>;
//! Thanos, Mimir, Cortex and `VictoriaMetrics` answer the same. Sample values
//! are strings because JSON has no `NaN`.

use serde::Deserialize;
use serde_json::Value;

/// The frame around every answer, good or bad.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    pub(super) status: String,
    #[serde(default)]
    pub(super) data: Value,
    #[serde(default, rename = "errorType")]
    pub(super) error_type: String,
    #[serde(default)]
    pub(super) error: String,
    /// What the server doubts about an answer it gave all the same.
    #[serde(default)]
    pub(super) warnings: Vec<String>,
}

/// `data` of a query.
#[derive(Debug, Deserialize)]
pub(super) struct QueryData {
    #[serde(rename = "resultType")]
    pub(super) result_type: String,
    pub(super) result: Value,
}

/// One series at one instant: `value`, or `histogram` for native histograms.
#[derive(Debug, Deserialize)]
pub(super) struct InstantSeries {
    #[serde(default)]
    pub(super) value: Option<Point>,
}

/// One series over a range; native histograms have no `values`.
#[derive(Debug, Deserialize)]
pub(super) struct RangeSeries {
    #[serde(default)]
    pub(super) values: Vec<Point>,
}

/// Unix seconds and a number as text.
#[derive(Debug, Deserialize)]
pub(super) struct Point(pub(super) f64, pub(super) String);

/// `data` of `status/buildinfo`.
#[derive(Debug, Deserialize)]
pub(super) struct BuildInfo {
    #[serde(default)]
    pub(super) version: String,
}
