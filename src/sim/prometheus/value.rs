//! What evaluating a query gives, and how numbers are written.

use std::collections::BTreeMap;

/// Label names and values, in order of name.
pub(crate) type Labels = BTreeMap<String, String>;

/// A result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Scalar(f64),
    Text(String),
    Vector(Vec<Sample>),
    Matrix(Vec<Series>),
}

/// One series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) labels: Labels,
    pub(crate) value: f64,
    /// When it was scraped, in milliseconds; the moment of evaluation once computed with.
    pub(crate) scraped: i64,
}

/// One series over a range.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) points: Vec<(i64, f64)>,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The query is wrong, or not spoken here: 400.
    BadData(String),
    /// The query is right and cannot be carried out: 422.
    Execution(String),
}

/// A number as Go's `strconv.FormatFloat(f, 'f', -1, 64)` writes it.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

/// Milliseconds as seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "stamps are far below 2^53 milliseconds"
)]
pub(crate) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// Seconds as whole milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "float to int casts saturate, which is meant"
)]
pub(crate) fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// Milliseconds divided by a speed.
pub(crate) fn divided(span: i64, speed: f64) -> i64 {
    millis(seconds(span) / speed)
}

/// A count as a number.
#[expect(
    clippy::cast_precision_loss,
    reason = "nothing here is counted up to 2^53"
)]
pub(crate) fn count(items: usize) -> f64 {
    items as f64
}
