//! Lines as data: what a screen says, with the part each piece plays.
//!
//! Screens return these; only [`crate::ui::paint`] turns them into cells. So
//! what is said can be tested without a terminal.

use crate::ui::{sign::Sign, text, theme::Role};

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text.
    Text(String, Role),
    /// A sign, drawn in the terminal's own alphabet.
    Sign(Sign),
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(pub Vec<Piece>);

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// A line of ordinary text.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new().text(text)
    }

    /// A line of less important text.
    pub fn dim(text: impl Into<String>) -> Self {
        Self::new().with(Role::Dim, text)
    }

    /// Adds ordinary text.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.with(Role::Plain, text)
    }

    /// Adds text that plays a part.
    pub fn with(mut self, role: Role, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.0.push(Piece::Text(text, role));
        }
        self
    }

    /// Adds a sign.
    pub fn sign(mut self, sign: Sign) -> Self {
        self.0.push(Piece::Sign(sign));
        self
    }

    /// Adds another line's pieces.
    pub fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Fills with spaces up to `column`, at least one space if it is passed.
    pub fn to(self, column: usize) -> Self {
        let gap = column.saturating_sub(self.width()).max(1);
        self.text(" ".repeat(gap))
    }

    /// How many cells it takes in Unicode.
    pub fn width(&self) -> usize {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text, _) => text::width(text),
                Piece::Sign(_) => 1,
            })
            .sum()
    }

    /// Its text without parts, for copying and tests.
    pub fn flat(&self) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text, _) => out.push_str(text),
                Piece::Sign(sign) => out.push(sign.glyph()),
            }
        }
        out
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::plain(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::plain(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_knows_its_width_and_text() {
        let line = Line::new()
            .sign(Sign::Held)
            .text(" recsys")
            .to(12)
            .with(Role::Dim, "30 %");
        assert_eq!(line.flat(), "‖ recsys    30 %");
        assert_eq!(line.width(), 16);
    }
}
