//! From an answer of the query API to one number, or to why there is none.
//!
//! The traps of monitoring gates live here: no series is not zero, a ratio
//! over no traffic is `NaN` and no pass, and several series need a rule that
//! says which of them counts. Nothing is compared with a limit.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    backend::prometheus::wire,
    domain::{Timestamp, catalog::Aggregate, measure::Sample, text::Clean},
};

/// What an instant query came to.
///
/// # Errors
///
/// The answer does not have the shape its `resultType` promises.
pub(super) fn sample(
    data: wire::QueryData,
    aggregate: Option<Aggregate>,
) -> Result<Sample, serde_json::Error> {
    Ok(match data.result_type.as_str() {
        "vector" => fold(&read::<Vec<wire::InstantSeries>>(data.result)?, aggregate),
        "scalar" => number(&read::<wire::Point>(data.result)?.1),
        "string" => Sample::NotNumeric(Clean::line(&format!(
            "a string: {}",
            read::<wire::Point>(data.result)?.1
        ))),
        "matrix" => Sample::NotNumeric("a range of values, not one instant".into()),
        other => Sample::NotNumeric(Clean::line(&format!("a result of type {other}"))),
    })
}

/// The stamps of an instant query's samples, in Unix seconds as written.
pub(super) fn stamps(data: &wire::QueryData) -> Vec<f64> {
    let points: Vec<&Value> = match (data.result_type.as_str(), &data.result) {
        ("vector", Value::Array(series)) => {
            let points = series.iter().filter_map(|one| one.get("value"));
            points.collect()
        }
        ("scalar", point) => vec![point],
        _ => Vec::new(),
    };
    let stamps = points
        .into_iter()
        .filter_map(|point| point.get(0)?.as_f64());
    stamps.collect()
}

/// What a query came to, in words.
pub(super) fn describe(sample: &Sample) -> String {
    match sample {
        // Four decimals are what people read, unless they would hide all of it.
        Sample::Value(value) if value.abs() < 0.001 => format!("{value}"),
        Sample::Value(value) => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Sample::Empty => "no series".to_owned(),
        Sample::NotFinite(text) => format!("{text}, which is no finite number"),
        Sample::Several(count) => format!("{count} series without an aggregate"),
        Sample::NotNumeric(text) => text.to_string(),
    }
}

/// The points of a range query, oldest first; an instant at which any series
/// is not finite is a gap. `None` when there are several series and no rule
/// that says which counts, or when it is no range of numbers.
///
/// # Errors
///
/// As for [`sample`].
pub(super) fn points(
    data: wire::QueryData,
    aggregate: Option<Aggregate>,
) -> Result<Option<Vec<(Timestamp, f64)>>, serde_json::Error> {
    if data.result_type != "matrix" {
        return Ok(None);
    }
    let series = read::<Vec<wire::RangeSeries>>(data.result)?;
    if series.len() > 1 && aggregate.is_none() {
        return Ok(None);
    }
    let mut by_instant = BTreeMap::<Timestamp, Vec<f64>>::new();
    for point in series.iter().flat_map(|series| &series.values) {
        let Some(at) = instant(point.0) else { continue };
        by_instant
            .entry(at)
            .or_default()
            .push(point.1.parse().unwrap_or(f64::NAN));
    }
    Ok(Some(
        by_instant
            .into_iter()
            .map(|(at, values)| (at, combine(&values, aggregate)))
            .filter(|(_, value)| value.is_finite())
            .collect(),
    ))
}

/// The instant a number of Unix seconds names.
pub(super) fn instant(seconds: f64) -> Option<Timestamp> {
    if !seconds.is_finite() || seconds.abs() > 1e12 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded above; stamps are whole milliseconds"
    )]
    let milliseconds = (seconds * 1000.0).round() as i64;
    DateTime::from_timestamp_millis(milliseconds)
}

fn fold(series: &[wire::InstantSeries], aggregate: Option<Aggregate>) -> Sample {
    if series.is_empty() {
        return Sample::Empty;
    }
    if series.len() > 1 && aggregate.is_none() {
        return Sample::Several(series.len());
    }
    let mut values = Vec::with_capacity(series.len());
    for one in series {
        let Some(point) = &one.value else {
            return Sample::NotNumeric("a native histogram; ask for a quantile of it".into());
        };
        match number(&point.1) {
            Sample::Value(value) => values.push(value),
            // One series that is no number makes the whole answer none.
            other => return other,
        }
    }
    finite(combine(&values, aggregate))
}

/// One value out of those of one instant. Without a rule there is only one.
fn combine(values: &[f64], aggregate: Option<Aggregate>) -> f64 {
    if values.iter().any(|value| !value.is_finite()) {
        return f64::NAN;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "nobody has 2^52 series at one instant"
    )]
    let count = values.len() as f64;
    let values = values.iter().copied();
    match aggregate {
        Some(Aggregate::Max) => values.fold(f64::NEG_INFINITY, f64::max),
        Some(Aggregate::Min) => values.fold(f64::INFINITY, f64::min),
        Some(Aggregate::Mean) => values.sum::<f64>() / count,
        Some(Aggregate::Sum) | None => values.sum(),
    }
}

fn number(text: &str) -> Sample {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Sample::Value(value),
        Ok(_) => Sample::NotFinite(Clean::name(text)),
        Err(_) => Sample::NotNumeric(Clean::line(&format!("not a number: {text}"))),
    }
}

fn finite(value: f64) -> Sample {
    if value.is_finite() {
        Sample::Value(value)
    } else {
        Sample::NotFinite("too large to add up".into())
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(name: &str) -> wire::QueryData {
        let path = format!(
            "{}/tests/fixtures/prometheus/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let envelope: wire::Envelope =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(envelope.status, "success");
        serde_json::from_value(envelope.data).unwrap()
    }

    #[track_caller]
    fn check(name: &str, aggregate: Option<Aggregate>, expected: &Sample) {
        assert_eq!(&sample(data(name), aggregate).unwrap(), expected, "{name}");
    }

    #[test]
    fn no_series_is_no_zero_even_when_a_comparison_filtered_it_away() {
        check("query_empty", None, &Sample::Empty);
        check("query_filter_fail", None, &Sample::Empty);
        check("query_empty", Some(Aggregate::Sum), &Sample::Empty);
    }

    #[test]
    fn one_series_is_its_value() {
        check("query_absent", None, &Sample::Value(1.0));
        // 0.004861 for version 7 and 0.070833 for version 8.
        check(
            "query_error_ratio",
            Some(Aggregate::Max),
            &Sample::Value(0.070_833_333_333_333_35),
        );
        // `up`: 1 of the server itself, 0 of a dead target, 1 of the model.
        check("query_post", Some(Aggregate::Sum), &Sample::Value(2.0));
        check("query_stats", Some(Aggregate::Min), &Sample::Value(0.0));
        check("query_vector", None, &Sample::Several(2));
    }

    #[test]
    fn zero_is_a_value() {
        let zero = r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"0"]}]}"#;
        let zero = serde_json::from_str(zero).unwrap();
        assert_eq!(sample(zero, None).unwrap(), Sample::Value(0.0));
    }

    #[test]
    fn registry_trap_2_a_ratio_over_no_traffic_is_no_number() {
        check("query_nan", None, &Sample::NotFinite("NaN".into()));
        check("query_0_div_0", None, &Sample::NotFinite("NaN".into()));
        check("query_div_zero", None, &Sample::NotFinite("+Inf".into()));
    }

    #[test]
    fn several_series_count_only_by_a_rule() {
        check("query_p95", None, &Sample::Several(2));
        check("query_timeout", None, &Sample::Several(3));
        // 0.0952 for version 7 and 0.3726 for version 8.
        check(
            "query_p95",
            Some(Aggregate::Max),
            &Sample::Value(0.372_602_739_726_027_25),
        );
        check(
            "query_p95",
            Some(Aggregate::Min),
            &Sample::Value(0.095_180_722_891_566_26),
        );
        // 0 for version 7 and 1 for version 8.
        check("query_bool", Some(Aggregate::Mean), &Sample::Value(0.5));
        check("query_bool", Some(Aggregate::Sum), &Sample::Value(1.0));
    }

    #[test]
    fn one_series_that_is_no_number_spoils_every_rule() {
        let mixed = r#"{"resultType":"vector","result":[
            {"metric":{"v":"1"},"value":[1,"3"]},{"metric":{"v":"2"},"value":[1,"NaN"]}]}"#;
        for aggregate in [
            Aggregate::Max,
            Aggregate::Min,
            Aggregate::Sum,
            Aggregate::Mean,
        ] {
            assert_eq!(
                sample(serde_json::from_str(mixed).unwrap(), Some(aggregate)).unwrap(),
                Sample::NotFinite("NaN".into())
            );
        }
    }

    #[test]
    fn what_has_no_single_number_says_so() {
        check("query_scalar", None, &Sample::Value(0.971));
        check(
            "query_string",
            None,
            &Sample::NotNumeric("a string: hello".into()),
        );
        assert!(matches!(
            sample(data("query_matrix_range_vector"), None).unwrap(),
            Sample::NotNumeric(_)
        ));
        let histogram = r#"{"resultType":"vector","result":[
            {"metric":{},"histogram":[1,{"count":"3","sum":"4"}]}]}"#;
        assert!(matches!(
            sample(serde_json::from_str(histogram).unwrap(), None).unwrap(),
            Sample::NotNumeric(_)
        ));
        let unheard = r#"{"resultType":"tensor","result":[]}"#;
        assert_eq!(
            sample(serde_json::from_str(unheard).unwrap(), None).unwrap(),
            Sample::NotNumeric("a result of type tensor".into())
        );
    }

    #[test]
    fn a_shape_that_breaks_its_promise_is_an_error() {
        let wrong = r#"{"resultType":"vector","result":{"value":7}}"#;
        assert!(sample(serde_json::from_str(wrong).unwrap(), None).is_err());
    }

    #[test]
    fn a_range_is_folded_instant_by_instant() {
        let sum = points(data("query_range"), Some(Aggregate::Sum))
            .unwrap()
            .unwrap();
        assert_eq!(sum.len(), 7);
        assert_eq!(sum[0].0.timestamp_millis(), 1_795_403_083_124);
        // 100.00000000000001 of version 7 and 25 of version 8.
        assert!((sum[0].1 - 125.0).abs() < 1e-9);
        assert!(sum.is_sorted_by_key(|point| point.0));
        assert_eq!(points(data("query_range"), None).unwrap(), None);
    }

    #[test]
    fn what_is_not_finite_in_a_range_is_a_gap_and_no_zero() {
        let gap = r#"{"resultType":"matrix","result":[{"metric":{},
            "values":[[10,"1"],[20,"NaN"],[30,"+Inf"],[40,"0"]]}]}"#;
        let points = points(serde_json::from_str(gap).unwrap(), None)
            .unwrap()
            .unwrap();
        let seen: Vec<_> = points
            .iter()
            .map(|(at, value)| (at.timestamp(), *value))
            .collect();
        assert_eq!(seen, [(10, 1.0), (40, 0.0)]);
    }

    #[test]
    fn absurd_stamps_are_no_instants() {
        assert!(instant(f64::NAN).is_none());
        assert!(instant(1e300).is_none());
        assert_eq!(
            instant(1_795_403_113.189).unwrap().timestamp_millis(),
            1_795_403_113_189
        );
    }
}
