//! Expression + samples + moment → result.

use crate::sim::prometheus::{
    aggregate::aggregate,
    ast::{Expr, Selector},
    binary::binary,
    functions::call,
    select::{Chosen, Context, Place, read},
    value::{Labels, Problem, Sample, Series, Value},
};

/// How far back an instant query looks for a sample, in milliseconds.
const LOOKBACK: i64 = 300_000;

/// Evaluates an expression at a moment in milliseconds.
///
/// # Errors
/// A type that does not fit is the query's fault; series that cannot be matched
/// are a failure to execute it.
pub(crate) fn evaluate(context: &Context<'_>, expr: &Expr, at: i64) -> Result<Value, Problem> {
    match expr {
        Expr::Number(number) => Ok(Value::Scalar(*number)),
        Expr::Text(text) => Ok(Value::Text(text.clone())),
        Expr::Selector(selector) => Ok(Value::Vector(instant(context, selector, at))),
        Expr::Range(selector, range) => Ok(Value::Matrix(range_of(context, selector, *range, at))),
        Expr::Negate(of) => match evaluate(context, of, at)? {
            Value::Scalar(number) => Ok(Value::Scalar(-number)),
            Value::Vector(samples) => Ok(Value::Vector(
                samples
                    .into_iter()
                    .map(|sample| Sample {
                        labels: nameless(sample.labels),
                        value: -sample.value,
                        scraped: at,
                    })
                    .collect(),
            )),
            Value::Text(_) | Value::Matrix(_) => Err(Problem::BadData(
                "unary expression only allowed on expressions of type scalar or instant vector"
                    .to_owned(),
            )),
        },
        Expr::Binary(expr) => {
            let left = evaluate(context, &expr.left, at)?;
            let right = evaluate(context, &expr.right, at)?;
            binary(expr, left, right, at)
        }
        Expr::Aggregate(expr) => {
            let Value::Vector(samples) = evaluate(context, &expr.of, at)? else {
                return Err(Problem::BadData(format!(
                    "expected type instant vector in aggregation expression \"{}\"",
                    expr.name
                )));
            };
            let param = match &expr.param {
                Some(param) => Some(evaluate(context, param, at)?),
                None => None,
            };
            aggregate(expr, samples, param.as_ref(), at)
        }
        Expr::Call { name, args } => {
            let values: Result<Vec<Value>, Problem> =
                args.iter().map(|arg| evaluate(context, arg, at)).collect();
            call(name, args, values?, at)
        }
    }
}

/// Labels without the metric's name.
pub(crate) fn nameless(mut labels: Labels) -> Labels {
    labels.remove("__name__");
    labels
}

fn instant(context: &Context<'_>, selector: &Selector, at: i64) -> Vec<Sample> {
    let moment = at - selector.offset;
    let mut samples = Vec::new();
    for Chosen { labels, place } in context.chosen(selector).iter() {
        let found = match place {
            Place::Track(track, field) => {
                let scrapes = context.scrapes_of(*track);
                let after = scrapes.partition_point(|scrape| scrape.at <= moment);
                let last = after.checked_sub(1).and_then(|place| scrapes.get(place));
                last.and_then(|scrape| Some((scrape.at, read(*field, scrape.seen.as_ref()?)?)))
            }
            Place::Up(target) => {
                let scrapes = context.ups_of(*target);
                let after = scrapes.partition_point(|(at, _)| *at <= moment);
                let last = after.checked_sub(1).and_then(|place| scrapes.get(place));
                last.map(|(at, up)| (*at, f64::from(u8::from(*up))))
            }
        };
        if let Some((scraped, value)) = found.filter(|(at, _)| moment - at <= LOOKBACK) {
            samples.push(Sample {
                labels: labels.clone(),
                value,
                scraped,
            });
        }
    }
    samples
}

fn range_of(context: &Context<'_>, selector: &Selector, range: i64, at: i64) -> Vec<Series> {
    let until = at - selector.offset;
    let from = until - range;
    let mut found = Vec::new();
    for Chosen { labels, place } in context.chosen(selector).iter() {
        let points: Vec<(i64, f64)> = match place {
            Place::Track(track, field) => {
                let scrapes = context.scrapes_of(*track);
                let first = scrapes.partition_point(|scrape| scrape.at < from);
                scrapes
                    .range(first..)
                    .take_while(|scrape| scrape.at <= until)
                    .filter_map(|scrape| Some((scrape.at, read(*field, scrape.seen.as_ref()?)?)))
                    .collect()
            }
            Place::Up(target) => context
                .ups_of(*target)
                .iter()
                .filter(|(at, _)| (from..=until).contains(at))
                .map(|(at, up)| (*at, f64::from(u8::from(*up))))
                .collect(),
        };
        if !points.is_empty() {
            found.push(Series {
                labels: labels.clone(),
                points,
            });
        }
    }
    found
}
