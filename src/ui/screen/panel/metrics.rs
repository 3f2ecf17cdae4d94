//! Metrics of the canary beside stable, with limits and verdicts.

use crate::{
    domain::{
        Timestamp,
        measure::{Measure, Series},
    },
    engine::world::Known,
    ui::{
        line::Line,
        screen::{
            Scene,
            facts::{MetricFacts, limit, metrics, outdated, sample},
        },
        sign::Sign,
        text,
        theme::Role,
        widget::bar,
    },
};

/// The newest values of a series, evenly spaced, gaps kept.
pub fn recent(series: Option<&Known<Series>>, count: usize) -> Vec<Option<f64>> {
    let Some(series) = series else {
        return Vec::new();
    };
    let (from, to) = (series.from, series.to);
    let total = text::between(from, to).as_secs_f64();
    if total <= 0.0 || count == 0 {
        return Vec::new();
    }
    let slot_of = |at: Timestamp| {
        let share = text::between(from, at).as_secs_f64() / total;
        (0..count)
            .rev()
            .find(|slot| share_of(*slot, count) <= share)
            .unwrap_or(0)
    };
    let mut slots = vec![None; count];
    for (at, value) in &series.points {
        if let Some(slot) = slots.get_mut(slot_of(*at)) {
            *slot = Some(*value);
        }
    }
    slots
}

fn share_of(slot: usize, count: usize) -> f64 {
    let (slot, count) = (
        u32::try_from(slot).unwrap_or(0),
        u32::try_from(count).unwrap_or(1),
    );
    f64::from(slot) / f64::from(count.max(1))
}

/// One arm's newest value.
type Arm<'a> = Option<&'a Known<Measure>>;

/// Canary and stable, as far as they are about something: where everybody is on
/// one revision there is no canary whose value could be told.
pub fn arms<'a>(scene: &Scene<'_>, facts: &MetricFacts<'a>) -> (Arm<'a>, Arm<'a>) {
    if has_canary(scene, facts) {
        (facts.canary, facts.stable)
    } else {
        (None, facts.stable)
    }
}

/// Whether there is a canary to measure; a metric that is not asked for the
/// stable revision has only this arm.
fn has_canary(scene: &Scene<'_>, facts: &MetricFacts<'_>) -> bool {
    let one = scene
        .rollout()
        .is_some_and(|rollout| rollout.is_fully_promoted());
    !one || facts.spec.stable.is_none()
}

/// The values of both arms in words, nothing for one that there is not.
fn values(scene: &Scene<'_>, facts: &MetricFacts<'_>) -> (String, String) {
    let (canary, stable) = arms(scene, facts);
    let said =
        |arm: Arm<'_>, none: &str| arm.map_or_else(|| none.to_owned(), |measure| sample(measure));
    if has_canary(scene, facts) {
        (said(canary, "no answer yet"), said(stable, ""))
    } else {
        (String::new(), said(stable, "no answer yet"))
    }
}

/// The sign of a metric: what its gate says.
pub fn sign(facts: &MetricFacts<'_>) -> Option<Sign> {
    facts.finding.map(|finding| Sign::from(finding.verdict))
}

/// What its gate asks.
pub fn asked(facts: &MetricFacts<'_>) -> Option<String> {
    facts.rule.and_then(|rule| limit(rule.fail, &rule.unit))
}

/// A table: metric, canary, stable, limit, verdict, history.
pub fn lines(scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let metrics = metrics(scene);
    if metrics.is_empty() {
        return Vec::new();
    }
    let history = width.saturating_sub(58).min(24);
    let mut lines = vec![Line::dim(format!(
        "{:<16} {:>13} {:>11}  {:<12}",
        "metric", "canary", "stable", "needs"
    ))];
    for facts in &metrics {
        let (canary, stable) = values(scene, facts);
        let mut line = Line::new()
            .with(Role::Strong, text::left(facts.spec.id.metric.as_str(), 16))
            .with(
                Role::Canary,
                format!(" {}", text::right(&with_unit(&canary, facts), 13)),
            )
            .with(
                Role::Stable,
                format!(" {}", text::right(&with_unit(&stable, facts), 11)),
            )
            .text(format!(
                "  {}",
                text::left(&asked(facts).unwrap_or_default(), 12)
            ))
            .text(" ");
        line = match sign(facts) {
            Some(sign) => line.sign(sign),
            None => line.text(" "),
        };
        if let Some(age) = age(scene, facts) {
            line = line
                .text(" ")
                .sign(Sign::Stale)
                .with(Role::Hold, format!(" {age}"));
        } else if history > 4 {
            line = line.text(" ").join(past(scene, facts, history));
        }
        lines.push(line);
    }
    lines
}

fn with_unit(value: &str, facts: &MetricFacts<'_>) -> String {
    let number = value.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    if facts.spec.unit.is_empty() || !number {
        value.to_owned()
    } else {
        format!("{value} {}", facts.spec.unit)
    }
}

/// How old the value shown first is, when that matters.
fn age(scene: &Scene<'_>, facts: &MetricFacts<'_>) -> Option<String> {
    let (canary, stable) = arms(scene, facts);
    outdated(scene, canary.or(stable)?)
}

/// The past of the value shown first, as blocks.
fn past(scene: &Scene<'_>, facts: &MetricFacts<'_>, cells: usize) -> Line {
    if has_canary(scene, facts) {
        bar::history(&recent(facts.canary_series, cells), Role::Canary)
    } else {
        bar::history(&recent(facts.stable_series, cells), Role::Stable)
    }
}

/// One line per metric for narrow places, under a heading that says which value
/// is whose.
pub fn short(scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let name = if width < 40 { 11 } else { 14 };
    let metrics = metrics(scene);
    let Some(first) = metrics.first() else {
        return Vec::new();
    };
    let heading = Line::dim(" ".repeat(name + 3));
    let mut lines = vec![if has_canary(scene, first) {
        heading
            .with(Role::Canary, "canary")
            .with(Role::Dim, " / ")
            .with(Role::Stable, "stable")
    } else {
        heading.with(Role::Stable, "live")
    }];
    for facts in &metrics {
        let mut line = Line::new()
            .with(
                Role::Strong,
                text::left(facts.spec.id.metric.as_str(), name),
            )
            .text(" ");
        line = match sign(facts) {
            Some(sign) => line.sign(sign),
            None => line.text(" "),
        };
        line = line.text(" ").join(pair(scene, facts));
        if let Some(age) = age(scene, facts) {
            let line = line.text(" ").sign(Sign::Stale);
            lines.push(line.with(Role::Hold, format!(" {age}")));
            continue;
        }
        let begins = (name + 21).max(line.width() + 1);
        let room = width.saturating_sub(begins);
        lines.push(if room < 6 {
            line
        } else {
            line.to(begins).join(past(scene, facts, room.min(20)))
        });
    }
    lines
}

/// `212 / 208 ms`.
fn pair(scene: &Scene<'_>, facts: &MetricFacts<'_>) -> Line {
    let (canary, stable) = values(scene, facts);
    let last = if stable.is_empty() { &canary } else { &stable };
    let unit = with_unit(last, facts)
        .strip_prefix(last.as_str())
        .unwrap_or_default()
        .to_owned();
    let gap = if canary.is_empty() || stable.is_empty() {
        ""
    } else {
        " / "
    };
    Line::new()
        .with(Role::Canary, text::fit(&canary, 8))
        .with(Role::Dim, gap)
        .with(Role::Stable, text::fit(&stable, 8))
        .with(Role::Dim, unit)
}
