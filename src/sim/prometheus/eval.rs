//! Expression + samples + moment → result.

use crate::sim::prometheus::{
    aggregate::aggregate,
    ast::{Expr, MatchKind, Matcher, Selector},
    binary::binary,
    database::{Counters, Database, Track},
    functions::call,
    histogram::BOUNDS,
    value::{Labels, Problem, Sample, Series, Value, number},
};

/// How far back an instant query looks for a sample, in milliseconds.
const LOOKBACK: i64 = 300_000;

/// Samples, and where the server says they were scraped.
pub(crate) struct Context<'a> {
    pub(crate) database: &'a Database,
    /// Value of the `instance` label.
    pub(crate) instance: &'a str,
}

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

/// Whether a label's value meets a matcher; an absent label is the empty text.
pub(crate) fn matches(matcher: &Matcher, value: Option<&str>) -> bool {
    let value = value.unwrap_or_default();
    match matcher.kind {
        MatchKind::Equal => value == matcher.value,
        MatchKind::Differs => value != matcher.value,
        MatchKind::Like => pattern(&matcher.value, value),
        MatchKind::Unlike => !pattern(&matcher.value, value),
    }
}

/// Anchored patterns with `|`, `.`, `.*`, `.+`, `?` and `[…]`: what label matchers use.
fn pattern(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    alternatives(pattern)
        .iter()
        .any(|branch| here(&branch.chars().collect::<Vec<_>>(), &text))
}

/// Splits at `|` outside parentheses, and opens a group that is the whole pattern.
fn alternatives(pattern: &str) -> Vec<String> {
    let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
    let mut branches = vec![String::new()];
    let mut depth = 0_u32;
    for character in pattern.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => (),
        }
        if character == '|' && depth == 0 {
            branches.push(String::new());
        } else if let Some(branch) = branches.last_mut() {
            branch.push(character);
        }
    }
    branches
        .into_iter()
        .flat_map(|branch| match (branch.find('('), branch.find(')')) {
            (Some(open), Some(close)) if open < close => {
                let part = |range: std::ops::Range<usize>| branch.get(range).unwrap_or_default();
                let (head, tail) = (part(0..open), part(close + 1..branch.len()));
                let inner = part(open + 1..close).trim_start_matches("?:");
                inner
                    .split('|')
                    .map(|choice| format!("{head}{choice}{tail}"))
                    .collect()
            }
            _ => vec![branch],
        })
        .collect()
}

fn here(pattern: &[char], text: &[char]) -> bool {
    let Some((first, mut rest)) = pattern.split_first() else {
        return text.is_empty();
    };
    let mut set: Vec<char> = Vec::new();
    let mut any = false;
    match first {
        '.' => any = true,
        '\\' => {
            if let Some((escaped, behind)) = rest.split_first() {
                set.extend(if *escaped == 'd' {
                    "0123456789".chars().collect()
                } else {
                    vec![*escaped]
                });
                rest = behind;
            }
        }
        '[' => {
            let close = rest.iter().position(|c| *c == ']').unwrap_or(rest.len());
            set = ranges(rest.get(..close).unwrap_or_default());
            rest = rest.get(close + 1..).unwrap_or_default();
        }
        plain => set.push(*plain),
    }
    let fits = |c: &char| any || set.contains(c);
    let (least, most) = match rest.first() {
        Some('*') => (0, usize::MAX),
        Some('+') => (1, usize::MAX),
        Some('?') => (0, 1),
        _ => (1, 1),
    };
    let behind = if (least, most) == (1, 1) {
        rest
    } else {
        rest.get(1..).unwrap_or_default()
    };
    let run = text.iter().take_while(|c| fits(c)).count().min(most);
    (least..=run)
        .rev()
        .any(|taken| here(behind, text.get(taken..).unwrap_or_default()))
}

fn ranges(inside: &[char]) -> Vec<char> {
    let mut set = Vec::new();
    let mut place = 0;
    while let Some(first) = inside.get(place) {
        match (inside.get(place + 1), inside.get(place + 2)) {
            (Some('-'), Some(last)) => {
                set.extend(*first..=*last);
                place += 3;
            }
            _ => {
                set.push(*first);
                place += 1;
            }
        }
    }
    set
}

/// One number of a track.
#[derive(Debug, Clone, Copy)]
enum Field {
    Good,
    Bad,
    Bucket(usize),
    Count,
    Sum,
    Gauge(usize),
}

/// Every series with its labels, for label queries.
pub(crate) fn all_series(context: &Context<'_>, selectors: &[Selector], since: i64) -> Vec<Labels> {
    let mut found: Vec<Labels> = Vec::new();
    for track in &context.database.tracks {
        if track.scrapes.back().is_none_or(|scrape| scrape.at < since) {
            continue;
        }
        found.extend(fields(context, track).into_iter().map(|(labels, _)| labels));
    }
    found.extend(ups(context).map(|(labels, _)| labels));
    found.retain(|labels| selectors.is_empty() || selectors.iter().any(|s| meets(s, labels)));
    found.sort();
    found.dedup();
    found
}

fn meets(selector: &Selector, labels: &Labels) -> bool {
    selector
        .matchers
        .iter()
        .all(|matcher| matches(matcher, labels.get(&matcher.label).map(String::as_str)))
}

/// The series of a track, with full labels.
fn fields(context: &Context<'_>, track: &Track) -> Vec<(Labels, Field)> {
    let mut common = track.labels.clone();
    common.insert("job".to_owned(), "models".to_owned());
    common.insert("instance".to_owned(), context.instance.to_owned());
    let labelled = |name: &str, extra: &[(&str, &str)]| {
        let mut labels = common.clone();
        labels.insert("__name__".to_owned(), name.to_owned());
        labels.extend(
            extra
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        );
        labels
    };
    let mut series = vec![
        (
            labelled("http_requests_total", &[("code", "200")]),
            Field::Good,
        ),
        (
            labelled("http_requests_total", &[("code", "500")]),
            Field::Bad,
        ),
        (labelled("predict_latency_seconds_sum", &[]), Field::Sum),
        (labelled("predict_latency_seconds_count", &[]), Field::Count),
        (
            labelled("predict_latency_seconds_bucket", &[("le", "+Inf")]),
            Field::Count,
        ),
    ];
    for (index, bound) in BOUNDS.iter().enumerate() {
        let le = number(*bound);
        series.push((
            labelled("predict_latency_seconds_bucket", &[("le", &le)]),
            Field::Bucket(index),
        ));
    }
    if let Some(behaviour) = &track.shown {
        for (index, (name, extra, _, _)) in behaviour.gauges.iter().enumerate() {
            let mut labels = labelled(name, &[]);
            labels.extend(
                extra
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone())),
            );
            series.push((labels, Field::Gauge(index)));
        }
    }
    series
}

/// `up` of every target, with its scrapes.
fn ups<'a>(
    context: &'a Context<'_>,
) -> impl Iterator<Item = (Labels, &'a std::collections::VecDeque<(i64, bool)>)> {
    context.database.scrapes.iter().map(|scrapes| {
        let labels = [
            ("__name__", "up"),
            ("instance", context.instance),
            ("job", "models"),
            ("target", scrapes.target.as_str()),
        ];
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        (labels, &scrapes.up)
    })
}

/// What a field shows in a scrape. Counters of requests are whole numbers.
fn read(field: Field, (counters, gauges): &(Counters, Vec<f64>)) -> Option<f64> {
    match field {
        Field::Good => Some(counters.good.floor()),
        Field::Bad => Some(counters.bad.floor()),
        Field::Count => Some((counters.good + counters.bad).floor()),
        Field::Sum => Some(counters.sum),
        Field::Bucket(index) => counters.buckets.get(index).map(|count| count.floor()),
        Field::Gauge(index) => gauges.get(index).copied(),
    }
}

fn instant(context: &Context<'_>, selector: &Selector, at: i64) -> Vec<Sample> {
    let moment = at - selector.offset;
    let mut samples = Vec::new();
    for track in &context.database.tracks {
        let after = track.scrapes.partition_point(|scrape| scrape.at <= moment);
        let Some(scrape) = after
            .checked_sub(1)
            .and_then(|place| track.scrapes.get(place))
        else {
            continue;
        };
        let Some(seen) = scrape
            .seen
            .as_ref()
            .filter(|_| moment - scrape.at <= LOOKBACK)
        else {
            continue;
        };
        for (labels, field) in fields(context, track) {
            if let Some(value) = read(field, seen).filter(|_| meets(selector, &labels)) {
                samples.push(Sample {
                    labels,
                    value,
                    scraped: scrape.at,
                });
            }
        }
    }
    for (labels, scrapes) in ups(context).filter(|(labels, _)| meets(selector, labels)) {
        let after = scrapes.partition_point(|(at, _)| *at <= moment);
        let last = after.checked_sub(1).and_then(|place| scrapes.get(place));
        if let Some((at, up)) = last.filter(|(at, _)| moment - at <= LOOKBACK) {
            samples.push(Sample {
                labels,
                value: f64::from(u8::from(*up)),
                scraped: *at,
            });
        }
    }
    samples.sort_by(|one, other| one.labels.cmp(&other.labels));
    samples
}

fn range_of(context: &Context<'_>, selector: &Selector, range: i64, at: i64) -> Vec<Series> {
    let until = at - selector.offset;
    let inside = |at: i64| at >= until - range && at <= until;
    let mut found = Vec::new();
    for track in &context.database.tracks {
        let first = track
            .scrapes
            .partition_point(|scrape| scrape.at < until - range);
        for (labels, field) in fields(context, track) {
            if !meets(selector, &labels) {
                continue;
            }
            let points: Vec<(i64, f64)> = track
                .scrapes
                .iter()
                .skip(first)
                .take_while(|scrape| inside(scrape.at))
                .filter_map(|scrape| Some((scrape.at, read(field, scrape.seen.as_ref()?)?)))
                .collect();
            if !points.is_empty() {
                found.push(Series { labels, points });
            }
        }
    }
    for (labels, scrapes) in ups(context).filter(|(labels, _)| meets(selector, labels)) {
        let points: Vec<(i64, f64)> = scrapes
            .iter()
            .filter(|(at, _)| inside(*at))
            .map(|(at, up)| (*at, f64::from(u8::from(*up))))
            .collect();
        if !points.is_empty() {
            found.push(Series { labels, points });
        }
    }
    found.sort_by(|one, other| one.labels.cmp(&other.labels));
    found
}
