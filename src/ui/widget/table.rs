//! Tables that lay out only the rows one can see.

use ratatui::layout::Rect;

use crate::ui::{line::Line, paint::Painter, text, theme::Role};

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Its cells.
    pub width: usize,
    /// Numbers go right.
    pub right: bool,
}

/// A column for text.
pub const fn column(title: &'static str, width: usize) -> Column {
    Column {
        title,
        width,
        right: false,
    }
}

/// A column for numbers.
pub const fn number(title: &'static str, width: usize) -> Column {
    Column {
        title,
        width,
        right: true,
    }
}

/// Which rows are visible when `marked` of `count` must be, in `height` rows.
/// The marked row stays near the middle, so rows that come and go elsewhere do
/// not move it.
pub fn window(count: usize, marked: Option<usize>, height: usize) -> std::ops::Range<usize> {
    let last = count.saturating_sub(height);
    let first = marked.map_or(0, |marked| marked.saturating_sub(height / 2).min(last));
    first..(first + height).min(count)
}

/// Draws the heading; the two cells in front are the cursor's.
pub fn heading(painter: &mut Painter<'_>, area: Rect, columns: &[Column]) {
    let mut x = area.x.saturating_add(2);
    for column in columns {
        let title = if column.right {
            text::right(column.title, column.width)
        } else {
            text::left(column.title, column.width)
        };
        painter.text(x, area.y, area.right().saturating_sub(x), &title, Role::Dim);
        x = x.saturating_add(text::cells(column.width) + 1);
    }
}

/// Marks in the cursor's column that there are rows above and below.
pub fn marks(painter: &mut Painter<'_>, area: Rect, rows: &std::ops::Range<usize>, count: usize) {
    if area.height < 2 {
        return;
    }
    if rows.start > 0 {
        painter.text(area.x, area.y + 1, 1, "↑", Role::Key);
    }
    if rows.end < count {
        painter.text(area.x, area.bottom() - 1, 1, "↓", Role::Key);
    }
}

/// Draws one row at `y`; the marked one has `▶` in front and a wash.
pub fn row(
    painter: &mut Painter<'_>,
    area: Rect,
    y: u16,
    columns: &[Column],
    cells: &[Line],
    marked: bool,
) {
    if y < area.top() || area.bottom() <= y {
        return;
    }
    if marked {
        painter.text(area.x, y, area.width.min(1), "▶", Role::Key);
    }
    let mut x = area.x.saturating_add(2);
    for (column, cell) in columns.iter().zip(cells) {
        let room = column
            .width
            .min(usize::from(area.right().saturating_sub(x)));
        let pad = if column.right {
            room.saturating_sub(painter.measure(cell))
        } else {
            0
        };
        painter.line(x + text::cells(pad), y, text::cells(room - pad), cell);
        x = x.saturating_add(text::cells(column.width) + 1);
    }
    if marked {
        let cursor = painter.look.theme.cursor(painter.look.depth);
        painter.wash(Rect::new(area.x, y, area.width, 1), cursor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marked_row_is_always_in_the_window() {
        for count in 0..40 {
            for height in 1..15 {
                for marked in 0..count {
                    let window = window(count, Some(marked), height);
                    assert!(window.contains(&marked), "{count} {height} {marked}");
                    assert!(window.len() <= height);
                }
            }
        }
    }
}
