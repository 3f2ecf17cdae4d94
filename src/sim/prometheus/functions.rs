//! The functions of the language that are spoken here.

use crate::sim::prometheus::{
    ast::{Expr, MatchKind},
    eval::nameless,
    histogram::quantile as bucket_quantile,
    value::{Labels, Problem, Sample, Series, Value, count, seconds},
};

/// Name, fewest and most arguments.
pub(crate) const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("abs", 1, 1),
    ("absent", 1, 1),
    ("absent_over_time", 1, 1),
    ("avg_over_time", 1, 1),
    ("ceil", 1, 1),
    ("changes", 1, 1),
    ("clamp_max", 2, 2),
    ("clamp_min", 2, 2),
    ("count_over_time", 1, 1),
    ("delta", 1, 1),
    ("exp", 1, 1),
    ("floor", 1, 1),
    ("histogram_quantile", 2, 2),
    ("idelta", 1, 1),
    ("increase", 1, 1),
    ("irate", 1, 1),
    ("last_over_time", 1, 1),
    ("ln", 1, 1),
    ("log10", 1, 1),
    ("log2", 1, 1),
    ("max_over_time", 1, 1),
    ("min_over_time", 1, 1),
    ("quantile_over_time", 2, 2),
    ("rate", 1, 1),
    ("resets", 1, 1),
    ("round", 1, 2),
    ("scalar", 1, 1),
    ("sort", 1, 1),
    ("sort_desc", 1, 1),
    ("sqrt", 1, 1),
    ("stddev_over_time", 1, 1),
    ("sum_over_time", 1, 1),
    ("time", 0, 0),
    ("timestamp", 1, 1),
    ("vector", 1, 1),
];

/// Calls a function that the parser knows.
pub(crate) fn call(
    name: &str,
    args: &[Expr],
    values: Vec<Value>,
    at: i64,
) -> Result<Value, Problem> {
    let mut values = values.into_iter();
    let first = values.next();
    let second = values.next();
    match (name, first) {
        ("time", _) => Ok(Value::Scalar(seconds(at))),
        ("vector", Some(Value::Scalar(value))) => Ok(Value::Vector(vec![Sample {
            labels: Labels::new(),
            value,
            scraped: at,
        }])),
        ("scalar", Some(Value::Vector(samples))) => Ok(Value::Scalar(match samples.as_slice() {
            [only] => only.value,
            _ => f64::NAN,
        })),
        ("absent", Some(Value::Vector(samples))) => Ok(absent(samples.is_empty(), args, at)),
        ("absent_over_time", Some(Value::Matrix(series))) => {
            Ok(absent(series.is_empty(), args, at))
        }
        ("timestamp", Some(Value::Vector(samples))) => {
            Ok(each(samples, at, |sample| seconds(sample.scraped)))
        }
        ("sort", Some(Value::Vector(samples))) => Ok(sorted(samples, false)),
        ("sort_desc", Some(Value::Vector(samples))) => Ok(sorted(samples, true)),
        ("histogram_quantile", Some(Value::Scalar(q))) => match second {
            Some(Value::Vector(samples)) => Ok(histogram_quantile(q, samples, at)),
            _ => Err(wrong_type(name, "instant vector")),
        },
        ("quantile_over_time", Some(Value::Scalar(q))) => match second {
            Some(Value::Matrix(series)) => Ok(over(series, at, |points| {
                Some(plain_quantile(q, values_of(points)))
            })),
            _ => Err(wrong_type(name, "range vector")),
        },
        ("clamp_min" | "clamp_max" | "round", Some(Value::Vector(samples))) => {
            let given = match second {
                Some(Value::Scalar(given)) => given,
                None => 1.0,
                Some(_) => return Err(wrong_type(name, "scalar")),
            };
            Ok(each(samples, at, |sample| match name {
                "clamp_min" => sample.value.max(given),
                "clamp_max" => sample.value.min(given),
                _ => (sample.value / given + 0.5).floor() * given,
            }))
        }
        (_, Some(Value::Vector(samples))) => {
            let Some(function) = pointwise(name) else {
                return Err(wrong_type(name, "range vector"));
            };
            Ok(each(samples, at, |sample| function(sample.value)))
        }
        (_, Some(Value::Matrix(series))) => ranged(name, args, series, at),
        (_, Some(Value::Scalar(_) | Value::Text(_)) | None) => Err(wrong_type(name, "vector")),
    }
}

fn wrong_type(name: &str, wanted: &str) -> Problem {
    Problem::BadData(format!(
        "expected type {wanted} in call to function \"{name}\""
    ))
}

fn pointwise(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "sqrt" => f64::sqrt,
        _ => return None,
    })
}

fn ranged(name: &str, args: &[Expr], series: Vec<Series>, at: i64) -> Result<Value, Problem> {
    let Some(Expr::Range(selector, range)) = args.first() else {
        return Err(wrong_type(name, "range vector"));
    };
    let window = Window {
        from: at - selector.offset - range,
        until: at - selector.offset,
    };
    let name = name.to_owned();
    let known = matches!(
        name.as_str(),
        "rate"
            | "increase"
            | "delta"
            | "irate"
            | "idelta"
            | "changes"
            | "resets"
            | "avg_over_time"
            | "sum_over_time"
            | "min_over_time"
            | "max_over_time"
            | "count_over_time"
            | "last_over_time"
            | "stddev_over_time"
    );
    if !known {
        return Err(wrong_type(&name, "instant vector"));
    }
    Ok(over(series, at, |points| match name.as_str() {
        "rate" => extrapolated(points, &window, true, true),
        "increase" => extrapolated(points, &window, true, false),
        "delta" => extrapolated(points, &window, false, false),
        "irate" => instant_change(points, true),
        "idelta" => instant_change(points, false),
        "changes" => Some(pairs(points, |before, after| {
            before.to_bits() != after.to_bits()
        })),
        "resets" => Some(pairs(points, |before, after| after < before)),
        "count_over_time" => Some(count(points.len())),
        "sum_over_time" => Some(values_of(points).iter().sum()),
        "avg_over_time" => Some(average(&values_of(points))),
        "min_over_time" => values_of(points).into_iter().reduce(f64::min),
        "max_over_time" => values_of(points).into_iter().reduce(f64::max),
        "last_over_time" => points.last().map(|(_, value)| *value),
        _ => Some(deviation(&values_of(points))),
    }))
}

struct Window {
    from: i64,
    until: i64,
}

/// Prometheus' `extrapolatedRate`: the change inside a window, stretched to its edges.
fn extrapolated(points: &[(i64, f64)], window: &Window, counter: bool, rate: bool) -> Option<f64> {
    let [(first_at, first), .., (last_at, last)] = points else {
        return None;
    };
    let mut change = last - first;
    if counter {
        change += points
            .windows(2)
            .filter_map(|pair| match pair {
                [(_, before), (_, after)] if after < before => Some(*before),
                _ => None,
            })
            .sum::<f64>();
    }
    let mut to_start = seconds(first_at - window.from);
    let to_end = seconds(window.until - last_at);
    let sampled = seconds(last_at - first_at);
    let average = sampled / count(points.len() - 1);
    if counter && change > 0.0 && *first >= 0.0 {
        // A counter cannot have been below zero.
        to_start = to_start.min(sampled * (first / change));
    }
    let threshold = average * 1.1;
    let mut reach = sampled;
    reach += if to_start < threshold {
        to_start
    } else {
        average / 2.0
    };
    reach += if to_end < threshold {
        to_end
    } else {
        average / 2.0
    };
    let mut factor = reach / sampled;
    if rate {
        factor /= seconds(window.until - window.from);
    }
    Some(change * factor)
}

fn instant_change(points: &[(i64, f64)], rate: bool) -> Option<f64> {
    let [.., (before_at, before), (at, value)] = points else {
        return None;
    };
    let change = if rate && value < before {
        *value
    } else {
        value - before
    };
    Some(if rate {
        change / seconds(at - before_at)
    } else {
        change
    })
}

fn pairs(points: &[(i64, f64)], counted: impl Fn(f64, f64) -> bool) -> f64 {
    count(
        points
            .windows(2)
            .filter(|pair| matches!(pair, [(_, one), (_, other)] if counted(*one, *other)))
            .count(),
    )
}

fn values_of(points: &[(i64, f64)]) -> Vec<f64> {
    points.iter().map(|(_, value)| *value).collect()
}

/// The mean.
pub(crate) fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len())
}

/// The standard deviation of a whole population.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    let mean = average(values);
    average(
        &values
            .iter()
            .map(|value| (value - mean).powi(2))
            .collect::<Vec<_>>(),
    )
    .sqrt()
}

/// A quantile of plain values, between the two nearest.
pub(crate) fn plain_quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(f64::total_cmp);
    let rank = q * count(values.len() - 1);
    let weight = rank.fract();
    let nth = |wanted: f64| {
        (0_u32..)
            .zip(&values)
            .find(|(place, _)| f64::from(*place) >= wanted)
            .or_else(|| Some((0, values.last()?)))
            .map_or(f64::NAN, |(_, value)| *value)
    };
    nth(rank.floor()) * (1.0 - weight) + nth(rank.ceil()) * weight
}

fn over(series: Vec<Series>, at: i64, function: impl Fn(&[(i64, f64)]) -> Option<f64>) -> Value {
    let samples = series.into_iter().filter_map(|series| {
        let value = function(&series.points)?;
        Some(Sample {
            labels: nameless(series.labels),
            value,
            scraped: at,
        })
    });
    Value::Vector(samples.collect())
}

fn each(samples: Vec<Sample>, at: i64, function: impl Fn(&Sample) -> f64) -> Value {
    let samples = samples.into_iter().map(|sample| {
        let value = function(&sample);
        Sample {
            labels: nameless(sample.labels),
            value,
            scraped: at,
        }
    });
    Value::Vector(samples.collect())
}

fn sorted(mut samples: Vec<Sample>, descending: bool) -> Value {
    samples.sort_by(|one, other| one.value.total_cmp(&other.value));
    if descending {
        samples.reverse();
    }
    Value::Vector(samples)
}

/// One sample with the labels the selector asks for by name, if nothing was found.
fn absent(empty: bool, args: &[Expr], at: i64) -> Value {
    if !empty {
        return Value::Vector(Vec::new());
    }
    let matchers = match args.first() {
        Some(Expr::Selector(selector) | Expr::Range(selector, _)) => selector.matchers.as_slice(),
        _ => &[],
    };
    let labels = matchers
        .iter()
        .filter(|matcher| matcher.kind == MatchKind::Equal && matcher.label != "__name__")
        .map(|matcher| (matcher.label.clone(), matcher.value.clone()))
        .collect();
    Value::Vector(vec![Sample {
        labels,
        value: 1.0,
        scraped: at,
    }])
}

fn histogram_quantile(q: f64, samples: Vec<Sample>, at: i64) -> Value {
    let mut groups: std::collections::BTreeMap<Labels, Vec<(f64, f64)>> =
        std::collections::BTreeMap::new();
    for sample in samples {
        let mut labels = nameless(sample.labels);
        let bound = match labels.remove("le").as_deref() {
            Some("+Inf") => f64::INFINITY,
            Some(text) => match text.parse() {
                Ok(bound) => bound,
                Err(_) => continue,
            },
            None => continue,
        };
        groups
            .entry(labels)
            .or_default()
            .push((bound, sample.value));
    }
    let samples = groups.into_iter().map(|(labels, buckets)| Sample {
        labels,
        value: bucket_quantile(q, buckets),
        scraped: at,
    });
    Value::Vector(samples.collect())
}
