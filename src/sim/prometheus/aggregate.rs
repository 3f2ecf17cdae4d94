//! `sum`, `avg` and the rest, over groups of series.

use std::collections::BTreeMap;

use crate::sim::prometheus::{
    ast::{Aggregate, Grouping},
    functions::{average, deviation, plain_quantile},
    value::{Labels, Problem, Sample, Value, count},
};

/// Aggregates samples by the expression's labels.
pub(crate) fn aggregate(
    expr: &Aggregate,
    samples: Vec<Sample>,
    param: Option<&Value>,
    at: i64,
) -> Result<Value, Problem> {
    let param = match param {
        None => None,
        Some(Value::Scalar(number)) => Some(*number),
        Some(_) => {
            let why = format!(
                "expected type scalar in aggregation parameter of \"{}\"",
                expr.name
            );
            return Err(Problem::BadData(why));
        }
    };
    let mut groups: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        groups
            .entry(grouped(&sample.labels, &expr.by))
            .or_default()
            .push(sample);
    }
    let mut out = Vec::new();
    for (labels, members) in groups {
        let values: Vec<f64> = members.iter().map(|sample| sample.value).collect();
        let value = match expr.name {
            "sum" => values.iter().sum(),
            "avg" => average(&values),
            "min" => values.into_iter().reduce(f64::min).unwrap_or(f64::NAN),
            "max" => values.into_iter().reduce(f64::max).unwrap_or(f64::NAN),
            "count" => count(values.len()),
            "group" => 1.0,
            "stddev" => deviation(&values),
            "stdvar" => deviation(&values).powi(2),
            "quantile" => plain_quantile(param.unwrap_or(f64::NAN), values),
            _ => {
                out.extend(extremes(members, param.unwrap_or(0.0), expr.name == "topk"));
                continue;
            }
        };
        out.push(Sample {
            labels,
            value,
            scraped: at,
        });
    }
    Ok(Value::Vector(out))
}

/// Labels reduced to those that count.
pub(crate) fn grouped(labels: &Labels, by: &Grouping) -> Labels {
    let kept = |name: &str| match by {
        Grouping::Only(names) => names.iter().any(|wanted| wanted == name),
        Grouping::Without(names) => {
            name != "__name__" && !names.iter().any(|dropped| dropped == name)
        }
    };
    labels
        .iter()
        .filter(|(name, _)| kept(name))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

fn extremes(mut members: Vec<Sample>, wanted: f64, highest: bool) -> Vec<Sample> {
    members.sort_by(|one, other| one.value.total_cmp(&other.value));
    if highest {
        members.reverse();
    }
    (0_u32..)
        .zip(members)
        .take_while(|(place, _)| f64::from(*place) < wanted)
        .map(|(_, sample)| sample)
        .collect()
}
