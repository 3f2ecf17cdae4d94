//! Rules and reasons of metric gates: every number with its unit, every limit
//! with what it follows from, and the time that was looked at.

use std::time::Duration;

use crate::{
    domain::{
        policy::{BaselineSource, Better, Change, Limit, Versus},
        rollout::short_duration,
    },
    engine::gate::metric::judge::{Bound, Side},
};

/// A value with its unit.
pub(super) fn amount(value: f64, unit: &str) -> String {
    with_unit(number(value), unit)
}

fn with_unit(mut number: String, unit: &str) -> String {
    if !unit.is_empty() {
        number.push(' ');
        number.push_str(unit);
    }
    number
}

/// A share in percent.
pub(super) fn share(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// A value beside its limit: `262 ms > 250 ms`, `0.96 ≥ 0.95`, and what the
/// limit follows from where it is not the rule's own.
pub(super) fn stand(value: f64, bound: &Bound, unit: &str) -> String {
    let holds = bound.holds(value);
    let sign = match (bound.side, holds) {
        (Side::Below, true) => "≤",
        (Side::Below, false) => ">",
        (Side::Above, true) => "≥",
        (Side::Above, false) => "<",
    };
    let (value, limit) = if holds {
        (number(value), number(bound.limit))
    } else {
        apart(value, bound.limit)
    };
    let whence = bound
        .whence
        .as_ref()
        .map_or_else(String::new, |whence| format!(" ({whence})"));
    format!(
        "{} {sign} {}{whence}",
        with_unit(value, unit),
        with_unit(limit, unit)
    )
}

/// What a limit follows from: `20 % above stable's 200 ms`. `size` is the change
/// in words, `by` how far the limit lies from the baseline.
pub(super) fn whence(size: &str, by: f64, name: &str, base: f64, unit: &str) -> String {
    let base = amount(base, unit);
    if by > 0.0 {
        format!("{size} above {name}'s {base}")
    } else if by < 0.0 {
        format!("{size} below {name}'s {base}")
    } else {
        format!("{name}'s {base}")
    }
}

/// How much time a value covers, where it covers some.
pub(super) fn over(time: Option<Duration>) -> String {
    time.map_or_else(String::new, |time| {
        format!(" over {}", short_duration(time))
    })
}

/// How wide windows are.
pub(super) fn width(width: Duration) -> String {
    format!(" of {}", short_duration(width))
}

/// A limit as the rule asks it: `≤ 250 ms`.
pub(super) fn limit_rule(limit: Limit, unit: &str) -> String {
    let text = match (limit.below, limit.above) {
        (Some(low), Some(high)) => format!("{low} … {high}"),
        (Some(low), None) => format!("≥ {low}"),
        (None, Some(high)) => format!("≤ {high}"),
        (None, None) => return String::new(),
    };
    with_unit(text, unit)
}

/// A comparison as the rule asks it: ` · at most 20 % above stable`.
pub(super) fn versus_rule(better: Better, versus: &Versus, unit: &str) -> String {
    let name = match &versus.baseline {
        BaselineSource::Alias(alias) => alias.to_string(),
        BaselineSource::Stable => "stable".to_owned(),
    };
    // Of two sizes the larger one counts: tolerated is either, required are both.
    let size = |change: &Change, joint: &str| {
        let sizes = [
            change.absolute.map(|size| amount(size, unit)),
            change.relative.map(share),
        ];
        let sizes: Vec<String> = sizes.into_iter().flatten().collect();
        sizes.join(joint)
    };
    let (worse, ahead) = match better {
        Better::Higher => ("below", "above"),
        Better::Lower => ("above", "below"),
    };
    let mut text = String::new();
    if let Some(change) = &versus.max_regression {
        text.push_str(&format!(
            " · at most {} {worse} {name}",
            size(change, " or ")
        ));
    }
    if let Some(change) = &versus.min_improvement {
        text.push_str(&format!(
            " · at least {} {ahead} {name}",
            size(change, " and ")
        ));
    }
    text
}

/// Four significant digits at most, no trailing zeros: what people compare by eye.
fn number(value: f64) -> String {
    digits(value, decimals(value))
}

fn decimals(value: f64) -> usize {
    let magnitude = value.abs();
    if magnitude >= 1000.0 {
        0
    } else if magnitude >= 100.0 {
        1
    } else if magnitude >= 10.0 {
        2
    } else if magnitude >= 1.0 {
        3
    } else {
        4
    }
}

fn digits(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Two numbers that differ, with as many digits as it takes to see it.
fn apart(one: f64, other: f64) -> (String, String) {
    let usual = (number(one), number(other));
    if usual.0 != usual.1 {
        return usual;
    }
    (decimals(one)..=15)
        .map(|decimals| (digits(one, decimals), digits(other, decimals)))
        .find(|(one, other)| one != other)
        .unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_differ_are_never_written_alike() {
        let just_past = Bound::fixed(250.0, Side::Below);
        assert_eq!(stand(250.04, &just_past, "ms"), "250.04 ms > 250 ms");
        assert_eq!(stand(250.0, &just_past, "ms"), "250 ms ≤ 250 ms");
    }

    #[test]
    fn a_comparison_says_which_share_of_what_and_in_which_direction() {
        let versus = |loss: Option<Change>, gain: Option<Change>| Versus {
            baseline: BaselineSource::Stable,
            max_regression: loss,
            min_improvement: gain,
            same_data: false,
            on_missing_baseline: crate::domain::policy::OnMissing::Warn,
        };
        let of = |absolute: Option<f64>, relative: Option<f64>| Some(Change { absolute, relative });
        for (better, loss, gain, text) in [
            (
                Better::Lower,
                of(None, Some(0.07)),
                None,
                " · at most 7 % above stable",
            ),
            (
                Better::Higher,
                of(Some(0.01), None),
                None,
                " · at most 0.01 ms below stable",
            ),
            (
                Better::Higher,
                None,
                of(Some(2.0), Some(0.05)),
                " · at least 2 ms and 5 % above stable",
            ),
        ] {
            assert_eq!(versus_rule(better, &versus(loss, gain), "ms"), text);
        }
    }
}
