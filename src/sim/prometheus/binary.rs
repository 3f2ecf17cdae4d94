//! Operators between numbers and vectors.

use std::collections::BTreeMap;

use crate::sim::prometheus::{
    aggregate::grouped,
    ast::{Binary, Grouping, Many, Op},
    eval::nameless,
    value::{Labels, Problem, Sample, Value},
};

/// Joins the values of both sides.
pub(crate) fn binary(expr: &Binary, left: Value, right: Value, at: i64) -> Result<Value, Problem> {
    match (left, right) {
        (Value::Scalar(one), Value::Scalar(other)) if !expr.op.is_set() => {
            Ok(Value::Scalar(joined(expr.op, one, other)))
        }
        (Value::Vector(samples), Value::Scalar(number)) if !expr.op.is_set() => {
            Ok(with_number(expr, samples, at, |value| (value, number)))
        }
        (Value::Scalar(number), Value::Vector(samples)) if !expr.op.is_set() => {
            Ok(with_number(expr, samples, at, |value| (number, value)))
        }
        (Value::Vector(one), Value::Vector(other)) if expr.op.is_set() => {
            Ok(Value::Vector(set(expr, one, other)))
        }
        (Value::Vector(one), Value::Vector(other)) => vectors(expr, one, other, at),
        _ => Err(Problem::BadData(
            "binary expression must contain only scalar and instant vector types".to_owned(),
        )),
    }
}

/// The number an operator gives; comparisons give 0 or 1.
fn joined(op: Op, one: f64, other: f64) -> f64 {
    let truth = |holds: bool| f64::from(u8::from(holds));
    match op {
        Op::Add => one + other,
        Op::Subtract => one - other,
        Op::Multiply => one * other,
        Op::Divide => one / other,
        Op::Modulo => one % other,
        Op::Power => one.powf(other),
        Op::Equal => truth(
            one.partial_cmp(&other)
                .is_some_and(std::cmp::Ordering::is_eq),
        ),
        Op::Differs => truth(
            !one.partial_cmp(&other)
                .is_some_and(std::cmp::Ordering::is_eq),
        ),
        Op::Above => truth(one > other),
        Op::Below => truth(one < other),
        Op::AtLeast => truth(one >= other),
        Op::AtMost => truth(one <= other),
        Op::And | Op::Or | Op::Unless => f64::NAN,
    }
}

fn with_number(
    expr: &Binary,
    samples: Vec<Sample>,
    at: i64,
    sides: impl Fn(f64) -> (f64, f64),
) -> Value {
    let filters = expr.op.is_comparison() && !expr.as_bool;
    let kept = samples.into_iter().filter_map(|sample| {
        let (one, other) = sides(sample.value);
        let result = joined(expr.op, one, other);
        if filters {
            return (result > 0.0).then_some(sample);
        }
        Some(Sample {
            labels: nameless(sample.labels),
            value: result,
            scraped: at,
        })
    });
    Value::Vector(kept.collect())
}

/// The labels that decide what belongs together.
fn signature(labels: &Labels, by: &Grouping) -> Labels {
    grouped(labels, by)
}

fn set(expr: &Binary, left: Vec<Sample>, right: Vec<Sample>) -> Vec<Sample> {
    let by = &expr.matching.by;
    let on = |samples: &[Sample]| -> Vec<Labels> {
        samples
            .iter()
            .map(|sample| signature(&sample.labels, by))
            .collect()
    };
    let (lefts, rights) = (on(&left), on(&right));
    match expr.op {
        Op::Or => {
            let more = right
                .into_iter()
                .filter(|sample| !lefts.contains(&signature(&sample.labels, by)));
            left.into_iter().chain(more).collect()
        }
        _ => {
            let wanted = expr.op == Op::And;
            left.into_iter()
                .filter(|sample| rights.contains(&signature(&sample.labels, by)) == wanted)
                .collect()
        }
    }
}

fn vectors(
    expr: &Binary,
    left: Vec<Sample>,
    right: Vec<Sample>,
    at: i64,
) -> Result<Value, Problem> {
    let by = &expr.matching.by;
    let swapped = expr.matching.many == Many::Right;
    let (many, one) = if swapped {
        (right, left)
    } else {
        (left, right)
    };
    let mut ones: BTreeMap<Labels, Sample> = BTreeMap::new();
    for sample in one {
        let key = signature(&sample.labels, by);
        if let Some(other) = ones.get(&key) {
            return Err(duplicate(&key, &sample.labels, &other.labels));
        }
        ones.insert(key, sample);
    }
    let mut out: Vec<Sample> = Vec::new();
    let mut used: Vec<Labels> = Vec::new();
    for sample in many {
        let key = signature(&sample.labels, by);
        let Some(partner) = ones.get(&key) else {
            continue;
        };
        if expr.matching.many == Many::Neither {
            if used.contains(&key) {
                let why = "multiple matches for labels: many-to-one matching must be explicit \
                           (group_left/group_right)";
                return Err(Problem::Execution(why.to_owned()));
            }
            used.push(key.clone());
        }
        let (first, second) = if swapped {
            (partner.value, sample.value)
        } else {
            (sample.value, partner.value)
        };
        let result = joined(expr.op, first, second);
        if expr.op.is_comparison() && !expr.as_bool {
            if result > 0.0 {
                out.push(Sample {
                    value: first,
                    ..sample
                });
            }
            continue;
        }
        let mut labels = match expr.matching.many {
            Many::Neither => key,
            Many::Left | Many::Right => nameless(sample.labels),
        };
        for name in &expr.matching.include {
            if let Some(value) = partner.labels.get(name) {
                labels.insert(name.clone(), value.clone());
            }
        }
        out.push(Sample {
            labels,
            value: result,
            scraped: at,
        });
    }
    Ok(Value::Vector(out))
}

fn duplicate(key: &Labels, one: &Labels, other: &Labels) -> Problem {
    Problem::Execution(format!(
        "found duplicate series for the match group {} on the right hand-side of the operation: \
         [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
        shown(key),
        shown(one),
        shown(other)
    ))
}

/// Labels as error texts show them.
fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
