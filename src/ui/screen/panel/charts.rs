//! Small charts, one per metric: canary against stable with the limit.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::{
    domain::{Timestamp, verdict::Verdict},
    ui::{
        line::Line,
        paint::Painter,
        screen::{
            Scene,
            facts::{MetricFacts, metrics, outdated, sample},
            panel::metrics::{arms, asked, sign},
        },
        sign::Sign,
        theme::Role,
        widget::chart::{self, Chart},
    },
};

/// The least height of a chart with its frame.
const LEAST: u16 = 5;

/// Draws as many charts as fit, two or three beside each other.
pub fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let metrics = ordered(scene);
    if metrics.is_empty() {
        let hint = Line::dim(" no metric is configured for this service and environment");
        painter.line(area.x, area.y, area.width, &hint);
        return;
    }
    let chosen = scene.state.mark_of(crate::ui::screen::SIDEWAYS);
    if scene.state.zoomed {
        let one = metrics
            .iter()
            .find(|facts| Some(facts.spec.id.metric.as_str()) == chosen);
        if let Some(facts) = one.or(metrics.first()) {
            one_chart(painter, area, scene, facts, true);
        }
        return;
    }
    let across = match area.width {
        0..70 => 1,
        70..170 => 2,
        _ => 3,
    }
    .min(metrics.len());
    let down = metrics
        .len()
        .div_ceil(across)
        .min(usize::from(area.height / LEAST).max(1));
    let rows = Layout::vertical(vec![Constraint::Fill(1); down]).split(area);
    // The chosen one is never among those that are cut off.
    let room = across * down;
    let at = metrics
        .iter()
        .position(|facts| Some(facts.spec.id.metric.as_str()) == chosen)
        .unwrap_or(0);
    let first = (at + 1).saturating_sub(room).next_multiple_of(across);
    let mut left = metrics.iter().skip(first);
    for row in rows.iter() {
        let here: Vec<&MetricFacts<'_>> = left.by_ref().take(across).collect();
        let cells = Layout::horizontal(vec![Constraint::Fill(1); here.len().max(1)]).split(*row);
        for (facts, cell) in here.iter().zip(cells.iter()) {
            let marked = Some(facts.spec.id.metric.as_str()) == chosen;
            one_chart(painter, *cell, scene, facts, marked);
        }
    }
}

/// Metrics with the worst verdict first, so that what is cut off is fine; a
/// chosen one that would be cut off comes first.
fn ordered<'a>(scene: &Scene<'a>) -> Vec<MetricFacts<'a>> {
    let mut metrics = metrics(scene);
    metrics.sort_by_key(|facts| {
        facts
            .finding
            .map_or(Verdict::NotApplicable, |found| found.verdict)
    });
    metrics
}

fn one_chart(
    painter: &mut Painter<'_>,
    area: Rect,
    scene: &Scene<'_>,
    facts: &MetricFacts<'_>,
    marked: bool,
) {
    let unit = if facts.spec.unit.is_empty() {
        String::new()
    } else {
        format!(" {}", facts.spec.unit)
    };
    let title = Line::new().with(Role::Strong, format!("{}{unit}", facts.spec.id.metric));
    let border = if marked { Role::Key } else { Role::Border };
    // Too long for the frame, the limit goes: it is drawn in the chart as well.
    let room = usize::from(area.width).saturating_sub(8 + title.width());
    let full = numbers(scene, facts, true);
    let remark = if painter.measure(&full) < room {
        full
    } else {
        numbers(scene, facts, false)
    };
    let inside = painter.frame_as(area, &title, &remark, border);
    let span = span(scene, facts);
    let limits = facts
        .rule
        .map(|rule| {
            [rule.fail.below, rule.fail.above]
                .into_iter()
                .flatten()
                .collect()
        })
        .unwrap_or_default();
    let points =
        |series: Option<&'_ crate::engine::world::Known<crate::domain::measure::Series>>| {
            series
                .map(|series| series.points.clone())
                .unwrap_or_default()
        };
    let (canary, stable) = (points(facts.canary_series), points(facts.stable_series));
    chart::draw(
        painter,
        inside,
        &Chart {
            canary: &canary,
            stable: &stable,
            limits,
            span,
        },
    );
}

/// The numbers beside the title, so that nothing hangs on the drawing.
fn numbers(scene: &Scene<'_>, facts: &MetricFacts<'_>, with_limit: bool) -> Line {
    let mut line = Line::new();
    let (canary, stable) = arms(scene, facts);
    if let Some(canary) = canary {
        line = line.with(Role::Canary, sample(canary));
    }
    if let Some(stable) = stable {
        let gap = if canary.is_some() { " / " } else { "" };
        line = line.with(Role::Dim, gap).with(Role::Stable, sample(stable));
    }
    if with_limit && let Some(asked) = asked(facts) {
        line = line.with(Role::Dim, format!("  {asked}"));
    }
    if let Some(age) = canary.or(stable).and_then(|shown| outdated(scene, shown)) {
        line = line
            .text(" ")
            .sign(Sign::Stale)
            .with(Role::Hold, format!(" {age}"));
    }
    match sign(facts) {
        Some(sign) => line.text(" ").sign(sign),
        None => line,
    }
}

/// The time shown: the window chosen, up to the newest point or now.
fn span(scene: &Scene<'_>, facts: &MetricFacts<'_>) -> (Timestamp, Timestamp) {
    let newest = facts
        .canary_series
        .or(facts.stable_series)
        .map_or(scene.now, |series| series.to);
    (newest - scene.state.window, newest)
}
