//! What the gates found, in short.

use crate::{
    domain::verdict::{Finding, Verdict},
    ui::{
        line::Line,
        screen::{Scene, facts::limit},
        sign::Sign,
        text,
        theme::Role,
    },
};

/// The value a finding judged, with its unit.
pub fn observed(finding: &Finding) -> String {
    finding
        .observed
        .map_or_else(String::new, |value| text::with_unit(value, &finding.unit))
}

/// What the gate needs, as short as possible: the limit, else the whole rule.
pub fn needs(scene: &Scene<'_>, finding: &Finding) -> String {
    let rule = scene.rule(finding);
    rule.and_then(|rule| limit(rule.fail, &rule.unit))
        .unwrap_or_else(|| finding.rule.to_string())
}

/// What it was compared with.
pub fn baseline(finding: &Finding) -> String {
    finding
        .baseline
        .as_ref()
        .map_or_else(String::new, |baseline| {
            format!(
                "{} {}",
                baseline.name.trim_start_matches("champion "),
                text::with_unit(baseline.value, &finding.unit)
            )
        })
}

/// One line per gate; a reason that does not fit goes on below.
pub fn lines(scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let Some(decision) = scene.decision() else {
        return vec![Line::dim("nothing was judged yet")];
    };
    decision
        .findings
        .iter()
        .flat_map(|finding| line(scene, finding, width))
        .collect()
}

/// Lines a reason may take: the first says which gate, so none is crowded out.
const REASON: usize = 3;

fn line(scene: &Scene<'_>, finding: &Finding, width: usize) -> Vec<Line> {
    let sign = Sign::from(finding.verdict);
    let name = text::left(finding.gate.as_str(), 14.min(width / 3));
    let head = Line::new()
        .sign(sign)
        .text(" ")
        .with(Role::Strong, name)
        .text(" ");
    if finding.verdict < Verdict::Pass {
        let said = format!("{}: {}", finding.verdict.word(), finding.reason);
        let indent = head.width();
        let parts = text::wrap(&said, width.saturating_sub(indent).max(12));
        let mut lines: Vec<Line> = Vec::new();
        let cut = REASON < parts.len();
        for (index, part) in parts.into_iter().take(REASON).enumerate() {
            let start = if lines.is_empty() {
                head.clone()
            } else {
                Line::plain(" ".repeat(indent))
            };
            let more = if cut && index + 1 == REASON {
                " …"
            } else {
                ""
            };
            lines.push(start.with(sign.role(), part + more));
        }
        let rule = format!("  asks {}", finding.rule);
        let judged = finding.verdict == Verdict::Fail && !finding.rule.is_empty();
        let room = lines
            .last()
            .map_or(0, |last| width.saturating_sub(last.width()));
        if judged && text::width(&rule) <= room {
            if let Some(last) = lines.last_mut() {
                *last = std::mem::take(last).with(Role::Dim, rule);
            }
        } else if judged && indent + text::width(&rule) - 2 <= width {
            let start = Line::plain(" ".repeat(indent));
            lines.push(start.with(Role::Dim, rule.trim_start().to_owned()));
        }
        return lines;
    }
    if finding.observed.is_none() {
        return vec![head.with(Role::Dim, finding.rule.to_string())];
    }
    let line = head
        .text(text::right(&observed(finding), 10))
        .with(Role::Dim, format!("  {}", needs(scene, finding)));
    let compared = baseline(finding);
    if compared.is_empty() || width < line.width() + text::width(&compared) + 3 {
        return vec![line];
    }
    vec![line.with(Role::Dim, format!("   {compared}"))]
}

/// What stands in the way or needs a look, worst first.
pub fn open(scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let Some(decision) = scene.decision() else {
        return Vec::new();
    };
    decision
        .reasons()
        .map(|finding| {
            let said = format!(" {} {}", finding.gate, finding.reason);
            Line::new()
                .sign(Sign::from(finding.verdict))
                .text(text::fit(&said, width.saturating_sub(1)))
        })
        .collect()
}
