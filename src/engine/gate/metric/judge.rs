//! A number against its limits and against its baseline.

use std::time::Duration;

use crate::{
    domain::{
        policy::{Better, Breaches, Change, GateRule, Limit, OnMissing, Versus},
        text::Clean,
        verdict::{Baseline, Verdict},
    },
    engine::gate::{
        Judgement,
        front::BaselineEvidence,
        metric::words,
        windows::{Count, Measured, Windowed, count},
    },
};

/// What was measured, and over which time.
pub(super) struct Measurement<'a> {
    /// The newest value.
    pub(super) value: f64,
    /// How much time it covers, where it covers some.
    pub(super) over: Option<Duration>,
    /// An N-of-M rule with the windows that count.
    pub(super) windows: Option<(Breaches, &'a Windowed)>,
}

/// What one value must keep to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bound {
    /// The limit, which itself is inside.
    pub(super) limit: f64,
    /// On which side of it a value is inside.
    pub(super) side: Side,
    /// What the limit follows from, where it is not the rule's own.
    pub(super) whence: Option<String>,
    /// How far past it still counts as on it.
    slack: f64,
}

/// On which side of a limit a value is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// At or below it.
    Below,
    /// At or above it.
    Above,
}

impl Bound {
    /// A limit of the rule itself.
    pub(super) fn fixed(limit: f64, side: Side) -> Self {
        Self {
            limit,
            side,
            whence: None,
            slack: 0.0,
        }
    }

    /// Distance to the limit, positive inside.
    pub(super) fn margin(&self, value: f64) -> f64 {
        match self.side {
            Side::Below => self.limit - value,
            Side::Above => value - self.limit,
        }
    }

    /// Whether a value keeps to it.
    pub(super) fn holds(&self, value: f64) -> bool {
        -self.slack <= self.margin(value)
    }
}

/// The limits of the rule: `fail`, over windows where it says so, then `warn`.
pub(super) fn against_limits(rule: &GateRule, measured: &Measurement<'_>) -> Judgement {
    let bound = nearest(rule.fail, measured.value);
    let judged = against(rule, measured, bound.as_ref(), |window| {
        nearest(rule.fail, window.value)
    });
    let warning = nearest(rule.warn, measured.value).filter(|warn| !warn.holds(measured.value));
    match warning.filter(|_| judged.verdict == Verdict::Pass) {
        Some(warn) => Judgement {
            verdict: Verdict::Warn,
            reason: Clean::from(format!(
                "{} (warning limit){}",
                words::stand(measured.value, &warn, &rule.unit),
                words::over(measured.over)
            )),
            limit: Some(warn.limit),
            margin: Some(warn.margin(measured.value)),
            ..judged
        },
        None => judged,
    }
}

/// What is tolerated against a baseline, over windows where the rule says so.
pub(super) fn against_baseline(
    rule: &GateRule,
    versus: &Versus,
    measured: &Measurement<'_>,
    baseline: Option<&BaselineEvidence>,
) -> Judgement {
    let (name, base, same_data) = match baseline {
        Some(BaselineEvidence::Value {
            name,
            value,
            same_data,
        }) => (name, *value, *same_data),
        Some(BaselineEvidence::Itself(why)) => {
            return Judgement::plain(Verdict::NotApplicable, why.clone());
        }
        Some(BaselineEvidence::Broken(why)) => {
            return Judgement::plain(Verdict::Error, why.clone());
        }
        Some(BaselineEvidence::None(why)) => return missing_baseline(versus, why),
        None => return missing_baseline(versus, &"no baseline".into()),
    };
    let tolerated = |base: f64| tolerated(rule, versus, name, base);
    let judged = if !base.is_finite() {
        no_limit(measured.value, format!("{name} is {base}"))
    } else if let Some(bound) = tolerated(base) {
        // A window in which a share of the baseline says nothing is not measured.
        against(rule, measured, Some(&bound), |window| {
            tolerated(window.stable?)
        })
    } else {
        let zero = words::amount(base, &rule.unit);
        let why = format!("{name} is {zero}: a relative rule needs an absolute one beside it");
        no_limit(measured.value, why)
    };
    let other_data = versus.same_data && same_data != Some(true);
    let judged = if judged.verdict == Verdict::Pass && other_data {
        Judgement {
            verdict: Verdict::Warn,
            reason: Clean::from(format!("measured on other data than {name}")),
            ..judged
        }
    } else {
        judged
    };
    Judgement {
        baseline: Some(Baseline {
            name: name.clone(),
            value: base,
        }),
        ..judged
    }
}

fn no_limit(value: f64, why: String) -> Judgement {
    Judgement {
        observed: Some(value),
        ..Judgement::plain(Verdict::Error, why)
    }
}

/// The newest value against what it must keep to, or so many of the windows,
/// each against its own.
fn against(
    rule: &GateRule,
    measured: &Measurement<'_>,
    bound: Option<&Bound>,
    of_window: impl Fn(&Measured) -> Option<Bound>,
) -> Judgement {
    let value = measured.value;
    let make = |verdict, reason: String, bound: Option<&Bound>| Judgement {
        verdict,
        reason: Clean::from(reason),
        observed: Some(value),
        limit: bound.map(|bound| bound.limit),
        baseline: None,
        margin: bound.map(|bound| bound.margin(value)),
    };
    let over = words::over(measured.over);
    let Some(bound) = bound else {
        let said = words::amount(value, &rule.unit);
        return make(Verdict::Pass, format!("{said}{over}"), None);
    };
    let said = words::stand(value, bound, &rule.unit);
    let Some((breaches, windowed)) = measured.windows else {
        let verdict = if bound.holds(value) {
            Verdict::Pass
        } else {
            Verdict::Fail
        };
        return make(verdict, format!("{said}{over}"), Some(bound));
    };
    let compared: Vec<(Measured, Bound)> = windowed
        .windows
        .iter()
        .filter_map(|window| Some((*window, of_window(window)?)))
        .collect();
    let is_bad = |(window, bound): &(Measured, Bound)| !bound.holds(window.value);
    // What is over by now is told by the newest window that was outside.
    let was_bad = compared
        .iter()
        .rev()
        .find(|one| is_bad(one))
        .filter(|_| bound.holds(value));
    let (said, bound) = match was_bad {
        Some((window, then)) => {
            let latest = words::amount(value, &rule.unit);
            let said = words::stand(window.value, then, &rule.unit);
            let at = if windowed.is_past { "last" } else { "now" };
            (format!("{said}, {at} {latest}"), then)
        }
        None => (said, bound),
    };
    let (of, width) = (breaches.of, words::width(windowed.width));
    let when = if windowed.is_past {
        " before it was aborted"
    } else {
        ""
    };
    let windows = |count: usize, what: &str| {
        let windows = format!("{count} of {of} windows{width} {what}");
        format!("{said}, {windows}{when}")
    };
    match count(breaches, &compared, is_bad) {
        Count::Bad(bad) => make(Verdict::Fail, windows(bad, "outside"), Some(bound)),
        Count::Open => {
            // What was taken back is measured no more.
            let verdict = if windowed.is_past {
                Verdict::Missing
            } else {
                Verdict::Pending
            };
            make(verdict, windows(compared.len(), "measured"), Some(bound))
        }
        // What is outside at this moment is no window yet: say what counts.
        Count::Good(bad) if was_bad.is_none() && !bound.holds(value) && !windowed.is_past => {
            let least = breaches.at_least;
            let fails = format!("fails at {least} of {of} windows{width}, so far {bad}");
            make(Verdict::Warn, format!("{said} now; {fails}"), Some(bound))
        }
        Count::Good(bad) => {
            let remark = 0 < bad || !bound.holds(value);
            let verdict = if remark { Verdict::Warn } else { Verdict::Pass };
            make(verdict, windows(bad, "outside"), Some(bound))
        }
    }
}

/// The limit nearest to a value: the one it breaks, if it breaks one.
fn nearest(limit: Limit, value: f64) -> Option<Bound> {
    let low = limit.below.map(|low| Bound::fixed(low, Side::Above));
    let high = limit.above.map(|high| Bound::fixed(high, Side::Below));
    match (low, high) {
        (Some(low), Some(high)) if low.margin(value) < high.margin(value) => Some(low),
        (low, high) => high.or(low),
    }
}

/// What a value must keep to against a baseline; `None` where a share of
/// nothing is asked for.
fn tolerated(rule: &GateRule, versus: &Versus, name: &str, base: f64) -> Option<Bound> {
    let loss = versus.max_regression.as_ref().map(|change| (change, -1.0));
    let gain = versus.min_improvement.as_ref().map(|change| (change, 1.0));
    let mut asked: Option<(f64, String)> = None;
    for (change, sign) in loss.into_iter().chain(gain) {
        let (size, words) = size_of(change, base, &rule.unit)?;
        let better = sign * size;
        if asked.as_ref().is_none_or(|(least, _)| *least < better) {
            asked = Some((better, words));
        }
    }
    let (least_gain, size) = asked?;
    let (limit, side) = match rule.better {
        Better::Higher => (base + least_gain, Side::Above),
        Better::Lower => (base - least_gain, Side::Below),
    };
    Some(Bound {
        limit,
        side,
        whence: Some(words::whence(&size, limit - base, name, base, &rule.unit)),
        // Rounding of decimal inputs must not fail a value that stands exactly on the rule.
        slack: 1e-12 * base.abs().max(1.0),
    })
}

/// How large a change is against a baseline, and in which words; of two the
/// larger one counts.
fn size_of(change: &Change, base: f64, unit: &str) -> Option<(f64, String)> {
    let share = change
        .relative
        .map(|share| (share * base.abs(), words::share(share)));
    let fixed = change
        .absolute
        .map(|size| (size, words::amount(size, unit)));
    match (fixed, share) {
        (Some(fixed), Some(share)) if fixed.0 < share.0 => Some(share),
        (Some(fixed), _) => Some(fixed),
        (None, Some(share)) => (base != 0.0).then_some(share),
        (None, None) => None,
    }
}

fn missing_baseline(versus: &Versus, why: &Clean) -> Judgement {
    let verdict = match versus.on_missing_baseline {
        OnMissing::Warn => Verdict::Warn,
        OnMissing::Missing => Verdict::Missing,
        OnMissing::Pass => Verdict::Pass,
    };
    Judgement::plain(verdict, why.clone())
}
