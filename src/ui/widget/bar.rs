//! Shares as bars, and short histories as blocks.

use crate::ui::{line::Line, theme::Role};

/// A share of 100 as a bar of `cells` cells.
pub fn share(percent: u8, cells: usize, role: Role) -> Line {
    let rounded = (usize::from(percent.min(100)) * cells + 50) / 100;
    // Something is never drawn as nothing, and not all never as all.
    let filled = match percent {
        0 => 0,
        100.. => cells,
        _ => rounded.max(1).min(cells.saturating_sub(1)),
    };
    Line::new()
        .with(role, "█".repeat(filled))
        .with(Role::Dim, "░".repeat(cells.saturating_sub(filled)))
}

/// The last values of a series as blocks of eight heights; a gap is a space.
pub fn history(values: &[Option<f64>], role: Role) -> Line {
    const BLOCKS: [(f64, char); 8] = [
        (0.0, '▁'),
        (0.125, '▂'),
        (0.25, '▃'),
        (0.375, '▄'),
        (0.5, '▅'),
        (0.625, '▆'),
        (0.75, '▇'),
        (0.875, '█'),
    ];
    let known = || {
        values
            .iter()
            .flatten()
            .copied()
            .filter(|value| value.is_finite())
    };
    let low = known().fold(f64::INFINITY, f64::min);
    let high = known().fold(f64::NEG_INFINITY, f64::max);
    let block = |value: f64| {
        let share = if low < high {
            (value - low) / (high - low)
        } else {
            0.4
        };
        let fitting = BLOCKS.iter().rev().find(|(from, _)| *from <= share);
        fitting.map_or(' ', |(_, block)| *block)
    };
    let drawn: String = values
        .iter()
        .map(|value| value.filter(|value| value.is_finite()).map_or(' ', block))
        .collect();
    Line::new().with(role, drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_is_not_nothing_and_almost_all_is_not_all() {
        assert_eq!(share(0, 10, Role::Plain).flat(), "░░░░░░░░░░");
        assert_eq!(share(1, 10, Role::Plain).flat(), "█░░░░░░░░░");
        assert_eq!(share(30, 10, Role::Plain).flat(), "███░░░░░░░");
        assert_eq!(share(99, 10, Role::Plain).flat(), "█████████░");
        assert_eq!(share(100, 10, Role::Plain).flat(), "██████████");
    }

    #[test]
    fn a_history_shows_gaps_as_gaps() {
        let drawn = history(&[Some(0.0), None, Some(8.0), Some(4.0)], Role::Plain).flat();
        assert_eq!(drawn, "▁ █▅");
    }
}
