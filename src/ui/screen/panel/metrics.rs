//! Metrics of the canary beside stable, with limits and verdicts.

use crate::{
    domain::{Timestamp, measure::Series},
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

/// The value of both arms, and how old it is when that matters.
fn values(facts: &MetricFacts<'_>) -> (String, String) {
    let canary = facts
        .canary
        .map_or_else(|| "no answer yet".to_owned(), |measure| sample(measure));
    let stable = facts
        .stable
        .map_or_else(String::new, |measure| sample(measure));
    (canary, stable)
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
        let (canary, stable) = values(facts);
        let mut line = Line::new()
            .with(Role::Strong, text::left(facts.spec.id.metric.as_str(), 16))
            .with(
                Role::Canary,
                format!(" {}", text::right(&with_unit(&canary, facts), 13)),
            )
            .with(Role::Stable, format!(" {}", text::right(&stable, 11)))
            .text(format!(
                "  {}",
                text::left(&asked(facts).unwrap_or_default(), 12)
            ))
            .text(" ");
        line = match sign(facts) {
            Some(sign) => line.sign(sign),
            None => line.text(" "),
        };
        if let Some(age) = facts.canary.and_then(|canary| outdated(scene, canary)) {
            line = line
                .text(" ")
                .sign(Sign::Stale)
                .with(Role::Hold, format!(" {age}"));
        } else if history > 4 {
            let blocks = bar::history(&recent(facts.canary_series, history), Role::Canary);
            line = line.text(" ").join(blocks);
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

/// One line per metric for narrow places.
pub fn short(scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let name = if width < 40 { 11 } else { 14 };
    metrics(scene)
        .iter()
        .map(|facts| {
            let (canary, stable) = values(facts);
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
            line = line.with(Role::Canary, format!(" {}", text::fit(&canary, 8)));
            if !stable.is_empty() {
                line = line
                    .with(Role::Dim, " / ")
                    .with(Role::Stable, text::fit(&stable, 8));
            }
            if let Some(age) = facts.canary.and_then(|canary| outdated(scene, canary)) {
                return line
                    .text(" ")
                    .sign(Sign::Stale)
                    .with(Role::Hold, format!(" {age}"));
            }
            line = line.to(name + 17);
            let room = width.saturating_sub(line.width());
            if room < 6 {
                return line;
            }
            let history = recent(facts.canary_series, room.min(20));
            line.join(bar::history(&history, Role::Canary))
        })
        .collect()
}
