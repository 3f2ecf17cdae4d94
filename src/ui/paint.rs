//! Puts lines and frames into cells.
//!
//! The only place that writes symbols into the buffer. In ASCII every
//! character goes through [`text::ascii`], so nothing else has to know.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::ui::{
    line::{Line, Piece},
    sign::Sign,
    text::{self, Charset},
    theme::{Depth, Role, Theme},
};

/// How things look on this terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub theme: Theme,
    /// How many of them.
    pub depth: Depth,
    /// Characters.
    pub charset: Charset,
}

impl Look {
    /// How a part looks.
    pub fn style(self, role: Role) -> Style {
        self.theme.style(role, self.depth)
    }

    /// A sign in this terminal's alphabet.
    pub fn sign(self, sign: Sign) -> char {
        match self.charset {
            Charset::Unicode => sign.glyph(),
            Charset::Ascii => sign.ascii(),
        }
    }

    /// A text in this terminal's characters.
    pub fn text(self, text: &str) -> std::borrow::Cow<'_, str> {
        match self.charset {
            Charset::Unicode => text.into(),
            Charset::Ascii => text::ascii(text).into(),
        }
    }
}

/// A buffer and how to draw into it.
#[derive(Debug)]
pub struct Painter<'a> {
    buffer: &'a mut Buffer,
    /// How things look.
    pub look: Look,
}

impl<'a> Painter<'a> {
    /// A painter for a buffer.
    pub fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        Self { buffer, look }
    }

    /// Everything there is to paint on.
    pub fn area(&self) -> Rect {
        self.buffer.area
    }

    /// Writes a text at (x, y) into at most `room` cells; returns the next free column.
    pub fn text(&mut self, x: u16, y: u16, room: u16, text: &str, role: Role) -> u16 {
        let style = self.look.style(role);
        self.styled(x, y, room, text, style)
    }

    fn styled(&mut self, x: u16, y: u16, room: u16, text: &str, style: Style) -> u16 {
        if !self.buffer.area.contains((x, y).into()) {
            return x;
        }
        let room = room.min(self.buffer.area.right().saturating_sub(x));
        let shown = self.look.text(text);
        let fitted = self.cut(&shown, usize::from(room));
        self.buffer
            .set_stringn(x, y, &fitted, usize::from(room), style)
            .0
    }

    /// Cuts to `room` cells with this alphabet's own mark.
    fn cut(&self, shown: &str, room: usize) -> String {
        if text::width(shown) <= room {
            return shown.to_owned();
        }
        match self.look.charset {
            Charset::Unicode => text::fit(shown, room),
            Charset::Ascii => {
                let kept = room.saturating_sub(2);
                let mut cut: String = shown.chars().take(kept).collect();
                cut.push_str(if room < 2 { "." } else { ".." });
                cut
            }
        }
    }

    /// Writes a line at (x, y) into at most `room` cells; returns the next free column.
    pub fn line(&mut self, x: u16, y: u16, room: u16, line: &Line) -> u16 {
        let end = x.saturating_add(room).min(self.buffer.area.right());
        let mut at = x;
        for piece in &line.0 {
            let left = end.saturating_sub(at);
            if left == 0 {
                break;
            }
            at = match piece {
                Piece::Text(text, role) => self.text(at, y, left, text, *role),
                Piece::Sign(sign) => {
                    let mut glyph = [0; 4];
                    let drawn = self.look.sign(*sign).encode_utf8(&mut glyph);
                    let style = self.look.style(sign.role());
                    self.raw(at, y, drawn, style)
                }
            };
        }
        at
    }

    /// Writes one symbol that is already in this terminal's alphabet.
    pub fn raw(&mut self, x: u16, y: u16, symbol: &str, style: Style) -> u16 {
        if !self.buffer.area.contains((x, y).into()) {
            return x;
        }
        self.buffer.set_stringn(x, y, symbol, 1, style).0
    }

    /// Writes a line so that it ends at the area's right edge.
    pub fn line_right(&mut self, area: Rect, y: u16, line: &Line) {
        let taken = text::cells(self.measure(line)).min(area.width);
        self.line(area.right().saturating_sub(taken), y, taken, line);
    }

    /// How many cells a line takes on this terminal.
    pub fn measure(&self, line: &Line) -> usize {
        line.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text, _) => text::width(&self.look.text(text)),
                Piece::Sign(_) => 1,
            })
            .sum()
    }

    /// Writes lines from the top of an area; those that do not fit are left out.
    pub fn lines(&mut self, area: Rect, lines: &[Line]) {
        for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
            self.line(area.x, y, area.width, line);
        }
    }

    /// Lays a style over whole cells.
    pub fn wash(&mut self, area: Rect, style: Style) {
        self.buffer
            .set_style(area.intersection(self.buffer.area), style);
    }

    /// Blanks an area.
    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// Draws a frame with a title left and a remark right; returns the inside.
    pub fn frame(&mut self, area: Rect, title: &Line, remark: &Line) -> Rect {
        self.frame_as(area, title, remark, Role::Border)
    }

    /// As [`Painter::frame`], with the border in a part's look.
    pub fn frame_as(&mut self, area: Rect, title: &Line, remark: &Line, border: Role) -> Rect {
        let area = area.intersection(self.buffer.area);
        if area.width < 2 || area.height < 2 {
            return Rect::new(area.x, area.y, 0, 0);
        }
        let inner_width = usize::from(area.width - 2);
        let bar = "─".repeat(inner_width);
        self.text(area.x, area.y, area.width, &format!("┌{bar}┐"), border);
        let bottom = area.bottom() - 1;
        self.text(area.x, bottom, area.width, &format!("└{bar}┘"), border);
        for y in area.y + 1..bottom {
            self.text(area.x, y, 1, "│", border);
            self.text(area.right() - 1, y, 1, "│", border);
        }
        let title_room = area.width.saturating_sub(4);
        let mut used = 0;
        if !title.0.is_empty() && title_room > 2 {
            let spaced = Line::plain(" ").join(title.clone()).text(" ");
            let end = self.line(area.x + 2, area.y, title_room, &spaced);
            used = end - area.x - 2;
        }
        let remark_width = text::cells(self.measure(remark)) + 2;
        if !remark.0.is_empty() && used + remark_width < title_room {
            let spaced = Line::plain(" ").join(remark.clone()).text(" ");
            self.line(
                area.right() - 2 - remark_width,
                area.y,
                remark_width,
                &spaced,
            );
        }
        Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2)
    }
}
