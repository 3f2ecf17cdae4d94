//! What is known, as lines of text: no colour, no box, no escape sequence.

use unicode_width::UnicodeWidthStr;

use crate::{
    domain::{
        Timestamp,
        action::Preview,
        rollout::short_duration,
        verdict::{Baseline, Decision, Verdict},
    },
    engine::{lane::Lane, plan::Plan, queue, world::World},
    report::{json, words},
};

/// Columns under a heading, as wide as they need to be. The last is not padded.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let heading: Vec<String> = heading.iter().map(|word| (*word).to_owned()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in std::iter::once(&heading).chain(rows) {
        for (index, cell) in row.iter().enumerate() {
            match widths.get_mut(index) {
                Some(width) => *width = (*width).max(cell.width()),
                None => widths.push(cell.width()),
            }
        }
    }
    std::iter::once(&heading)
        .chain(rows)
        .map(|row| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                let pad = width.saturating_sub(cell.width()) + 2;
                line.extend(std::iter::repeat_n(' ', pad));
            }
            line.trim_end().to_owned()
        })
        .collect()
}

/// The same as sentences, one a row, that are read from left to right: each cell
/// behind the word of its column. Without a heading the first cell is the word.
pub fn sentences(heading: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let said = |cell: &&String| !cell.is_empty() && *cell != "–";
    let named = |row: &Vec<String>| -> String {
        let words = heading.iter().map(|word| word.to_lowercase());
        let cells: Vec<String> = words
            .zip(row)
            .filter(|(_, cell)| said(cell))
            .map(|(word, cell)| format!("{word} {cell}"))
            .collect();
        cells.join(", ")
    };
    let bare = |row: &Vec<String>| -> String {
        let cells: Vec<&str> = row.iter().filter(said).map(String::as_str).collect();
        match cells.as_slice() {
            [first, rest @ ..] if !rest.is_empty() => format!("{first}: {}", rest.join(", ")),
            _ => cells.join(", "),
        }
    };
    rows.iter()
        .map(|row| {
            if heading.is_empty() {
                bare(row)
            } else {
                named(row)
            }
        })
        .collect()
}

/// Lines broken between words at `width` cells; what goes on is indented.
pub fn broken(lines: impl IntoIterator<Item = String>, width: usize) -> Vec<String> {
    let mut broken = Vec::new();
    for whole in lines {
        let kept = whole.len() - whole.trim_start().len();
        let mut line = " ".repeat(kept);
        let mut begun = false;
        for word in whole.split_whitespace() {
            if begun && width < line.width() + 1 + word.width() {
                broken.push(std::mem::replace(&mut line, " ".repeat(kept + 4)));
            } else if begun {
                line.push(' ');
            }
            line.push_str(word);
            begun = true;
        }
        broken.push(line);
    }
    broken
}

/// The rows of `status` as a table.
pub fn status<'a>(
    world: &World,
    lanes: impl IntoIterator<Item = &'a Lane>,
    now: Timestamp,
) -> Vec<String> {
    let rows: Vec<Vec<String>> = lanes
        .into_iter()
        .map(|lane| {
            vec![
                lane.service.to_string(),
                lane.environment.to_string(),
                words::label(world, lane).to_owned(),
                words::standing(world, lane),
                word_of(world, lane).unwrap_or("–").to_owned(),
                lane.since.map_or_else(
                    || "–".to_owned(),
                    |at| short_duration(words::since(at, now)),
                ),
                words::waits_for(&queue::waits_for(world, lane), now)
                    .unwrap_or_else(|| "–".to_owned()),
            ]
        })
        .collect();
    let heading = [
        "SERVICE",
        "ENVIRONMENT",
        "VERSION",
        "STAGE",
        "DECISION",
        "SINCE",
        "WAITS FOR",
    ];
    table(&heading, &rows)
}

fn word_of(world: &World, lane: &Lane) -> Option<&'static str> {
    let decision = world.decision(lane.release()?, &lane.environment)?;
    Some(decision.word.text())
}

/// One row of `status` as a sentence, for `--plain`, logs and screen readers.
pub fn sentence(world: &World, lane: &Lane, now: Timestamp) -> String {
    let mut text = format!(
        "{} in {}: {}, {}",
        lane.service,
        lane.environment,
        words::label(world, lane),
        words::standing(world, lane)
    );
    if let Some(word) = word_of(world, lane) {
        text.push_str(", ");
        text.push_str(word);
        // Where a person is waited for, the gate is named there.
        let refuted = queue::refuted_by(world, lane);
        if let Some(gate) = refuted.filter(|_| queue::item(world, lane).is_none()) {
            text.push_str(&format!(" ({} {})", gate.gate, gate.reason));
        }
    }
    if let Some(waits) = words::waits_for(&queue::waits_for(world, lane), now) {
        text.push_str(", waits for ");
        text.push_str(&waits);
    }
    if let Some(since) = lane.since {
        text.push_str(", since ");
        text.push_str(&short_duration(words::since(since, now)));
    }
    text
}

/// A decision with every finding, worst first.
pub fn decision(decision: &Decision) -> Vec<String> {
    let mut lines = vec![decision.word.text().to_owned()];
    for finding in &decision.findings {
        let sign = sign(finding.verdict);
        let mut line = format!("  {sign} {}", words::finding(finding));
        if !finding.rule.is_empty() && !finding.reason.is_empty() {
            line.push_str(&format!("   [{}]", finding.rule));
        }
        // A reason that rests on the comparison names it already.
        let named = |baseline: &&Baseline| finding.reason.contains(&*baseline.name);
        if let Some(baseline) = finding.baseline.as_ref().filter(|one| !named(one)) {
            let value = words::amount(baseline.value, &finding.unit);
            line.push_str(&format!(" beside {}'s {value}", baseline.name));
        }
        lines.push(line);
    }
    lines
}

/// The sign of a verdict, from the one alphabet.
pub fn sign(verdict: Verdict) -> char {
    match verdict {
        Verdict::Fail => '✗',
        Verdict::Error => 'E',
        Verdict::Missing => '?',
        Verdict::Stale => '~',
        Verdict::Pending => '·',
        Verdict::Warn => '▲',
        Verdict::Pass => '✓',
        Verdict::NotApplicable => '–',
    }
}

/// A plan as it will run: facts, steps, what is sent, how to do it by hand.
pub fn plan(plan: &Plan, previews: &[Preview]) -> Vec<String> {
    let mut lines = vec![format!(
        "{} {} of {} in {} ({})",
        plan.ask.verb.word(),
        plan.release_label,
        plan.ask.lane.0,
        plan.ask.lane.1,
        json::class(plan.class)
    )];
    let width = plan
        .facts
        .iter()
        .map(|(label, _)| label.width())
        .max()
        .unwrap_or(0);
    for (label, text) in &plan.facts {
        let pad = " ".repeat(width.saturating_sub(label.width()));
        lines.push(format!("  {label}{pad}  {text}"));
    }
    if let Some(rule) = &plan.bends {
        lines.push(format!("  goes past: {rule}"));
    }
    for warning in &plan.warnings {
        lines.push(format!("  ▲ {warning}"));
    }
    for (number, (step, preview)) in plan.steps.iter().zip(previews).enumerate() {
        lines.push(format!(
            "  {}. {} on {}",
            number + 1,
            step.effect,
            step.order.subject()
        ));
        lines.push(format!("     {} {}", preview.method, preview.path));
        if !preview.body.is_empty() {
            for part in preview.body.lines() {
                lines.push(format!("     {part}"));
            }
        }
        if !preview.check.is_empty() {
            lines.push(format!("     only if: {}", preview.check));
        }
        lines.push(format!("     by hand: {}", preview.command));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_counted_in_cells() {
        let rows = vec![
            vec!["東京".to_owned(), "x".to_owned()],
            vec!["a".to_owned(), "y".to_owned()],
        ];
        assert_eq!(table(&["N", "V"], &rows), ["N     V", "東京  x", "a     y"]);
    }

    #[test]
    fn a_table_can_be_read_from_left_to_right() {
        let rows = vec![
            vec!["3".to_owned(), "mk".to_owned(), "–".to_owned()],
            vec!["4".to_owned(), String::new(), "confirmed".to_owned()],
        ];
        assert_eq!(
            sentences(&["LINE", "WHO", "OUTCOME"], &rows),
            ["line 3, who mk", "line 4, outcome confirmed"]
        );
        let check = vec![vec![
            "  ✓ version".to_owned(),
            "v1.34".to_owned(),
            String::new(),
        ]];
        assert_eq!(sentences(&[], &check), ["  ✓ version: v1.34"]);
    }

    #[test]
    fn a_line_is_broken_between_words() {
        let line = "  line 3, who mk, outcome confirmed".to_owned();
        assert_eq!(
            broken([line], 18),
            ["  line 3, who mk,", "      outcome", "      confirmed"]
        );
    }
}
