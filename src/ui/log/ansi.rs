//! One line of a log, made safe: colours become parts, all else is dropped.

use std::borrow::Cow;

use vte::{Params, Parser, Perform};

use crate::{
    domain::text::Clean,
    ui::{line::Line, theme::Role},
};

/// A readable line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readable {
    /// The time in front of it, if it has one.
    pub stamp: Option<String>,
    /// What it says.
    pub line: Line,
    /// Sequences that were dropped.
    pub stripped: usize,
}

/// Makes a line readable.
pub fn read(raw: &[u8]) -> Readable {
    // Log files come with a byte order mark in front of their first line.
    let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    let (stamp, body) = split_stamp(raw);
    let mut reader = Reader::default();
    Parser::new().advance(&mut reader, &seven_bit(body));
    reader.end_piece();
    Readable {
        stamp,
        line: reader.line,
        stripped: reader.stripped,
    }
}

/// Spells control characters above ASCII (`U+009B`) as the escape sequences they
/// stand for (`ESC [`), because the parser knows only those.
fn seven_bit(body: &[u8]) -> Cow<'_, [u8]> {
    let introduces = |pair: &[u8]| matches!(pair, [0xc2, 0x80..=0x9f]);
    if !body.windows(2).any(introduces) {
        return Cow::Borrowed(body);
    }
    let mut spelt = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((byte, after)) = rest.split_first() {
        match (byte, after.split_first()) {
            (0xc2, Some((control @ 0x80..=0x9f, after))) => {
                spelt.extend([0x1b, control - 0x40]);
                rest = after;
            }
            _ => {
                spelt.push(*byte);
                rest = after;
            }
        }
    }
    Cow::Owned(spelt)
}

/// Takes `2026-08-21T14:01:12.0180000Z ` off the front, keeping the time of day
/// in milliseconds.
fn split_stamp(raw: &[u8]) -> (Option<String>, &[u8]) {
    let shape = |index: usize, byte: u8| raw.get(index) == Some(&byte);
    let looks_so =
        shape(4, b'-') && shape(7, b'-') && shape(10, b'T') && shape(13, b':') && shape(16, b':');
    let end = raw.iter().take(40).position(|byte| *byte == b'Z');
    let (true, Some(end)) = (looks_so, end) else {
        return (None, raw);
    };
    let Some(time) = raw
        .get(11..end)
        .and_then(|time| std::str::from_utf8(time).ok())
    else {
        return (None, raw);
    };
    if !time
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b':' || byte == b'.')
    {
        return (None, raw);
    }
    let after = if raw.get(end + 1) == Some(&b' ') {
        end + 2
    } else {
        end + 1
    };
    (
        Some(time.chars().take(12).collect()),
        raw.get(after..).unwrap_or_default(),
    )
}

#[derive(Default)]
struct Reader {
    line: Line,
    piece: String,
    column: usize,
    bold: bool,
    faint: bool,
    colour: Option<Role>,
    stripped: usize,
    /// A carriage return came: the next character begins the line anew.
    rewind: bool,
}

impl Reader {
    fn role(&self) -> Role {
        match self.colour {
            Some(role) => role,
            None if self.bold => Role::Strong,
            None if self.faint => Role::Dim,
            None => Role::Plain,
        }
    }

    fn end_piece(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        // Once more through the general cleaning: what a parser of sequences
        // lets through may still hide or turn round text.
        let clean = Clean::line(&piece);
        let line = std::mem::take(&mut self.line);
        self.line = line.with(self.role(), clean.as_str());
    }

    fn rendition(&mut self, params: &Params) {
        let mut codes = params.iter();
        if params.is_empty() {
            self.reset();
        }
        while let Some(code) = codes.next() {
            match code.first().copied().unwrap_or(0) {
                0 => self.reset(),
                1 => self.bold = true,
                2 => self.faint = true,
                22 => (self.bold, self.faint) = (false, false),
                30 | 90 => self.colour = Some(Role::Dim),
                31 | 91 => self.colour = Some(Role::Bad),
                32 | 92 => self.colour = Some(Role::Good),
                33 | 93 => self.colour = Some(Role::Warn),
                34 | 94 => self.colour = Some(Role::Info),
                35 | 95 => self.colour = Some(Role::Person),
                36 | 96 => self.colour = Some(Role::Run),
                39 => self.colour = None,
                // 38;5;n and 38;2;r;g;b: exact colours are not ours to show.
                38 | 48 if code.len() == 1 => match codes.next().and_then(|kind| kind.first()) {
                    Some(5) => {
                        codes.next();
                    }
                    Some(2) => {
                        codes.by_ref().take(3).for_each(drop);
                    }
                    Some(_) | None => {}
                },
                _ => {}
            }
        }
    }

    fn reset(&mut self) {
        (self.bold, self.faint, self.colour) = (false, false, None);
    }
}

impl Perform for Reader {
    fn print(&mut self, character: char) {
        // A progress bar writes over itself: what was written last counts.
        if std::mem::take(&mut self.rewind) {
            self.piece.clear();
            self.line = Line::new();
            self.column = 0;
        }
        self.piece.push(character);
        self.column += unicode_width::UnicodeWidthChar::width(character).unwrap_or(0);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\t' => {
                let gap = 8 - self.column % 8;
                self.piece.push_str(&" ".repeat(gap));
                self.column += gap;
            }
            b'\r' => self.rewind = true,
            _ => self.stripped += 1,
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        if action == 'm' && intermediates.is_empty() {
            self.end_piece();
            self.rendition(params);
        } else {
            self.stripped += 1;
        }
    }

    fn osc_dispatch(&mut self, _params: &[&[u8]], _bell_terminated: bool) {
        self.stripped += 1;
    }

    fn esc_dispatch(&mut self, _intermediates: &[u8], _ignore: bool, _byte: u8) {
        self.stripped += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::line::Piece;

    #[track_caller]
    fn check(raw: &[u8], expected: &str) {
        assert_eq!(read(raw).line.flat(), expected);
    }

    #[test]
    fn colours_become_parts_and_nothing_else_survives() {
        let readable = read(b"\x1b[31merror\x1b[0m plain \x1b[1;32mok\x1b[m");
        assert_eq!(
            readable.line.0,
            [
                Piece::Text("error".into(), Role::Bad),
                Piece::Text(" plain ".into(), Role::Plain),
                Piece::Text("ok".into(), Role::Good),
            ]
        );
    }

    #[test]
    fn hostile_sequences_leave_no_byte_behind() {
        check(b"a\x1b]52;c;ZXZpbA==\x07b\x1b[2Jc\x1b[?1049hd", "abcd");
        check(b"a\x1bPq#0;1\x1b\\b", "ab");
        check("a\u{9b}2Jb\u{202e}c".as_bytes(), "abc");
        check(b"\xff\xfeok", "\u{fffd}\u{fffd}ok");
        let readable = read(b"\x1b]0;title never ends");
        assert_eq!(readable.line.flat(), "");
    }

    #[test]
    fn exact_colours_are_skipped_with_their_numbers() {
        check(b"\x1b[38;5;196mred\x1b[38;2;1;2;3m rgb\x1b[0m", "red rgb");
    }

    #[test]
    fn a_progress_bar_shows_its_last_state() {
        check(b"10 %\r50 %\r100 %\r", "100 %");
        check(b"windows line\r", "windows line");
    }

    #[test]
    fn tabs_go_to_the_next_eighth_column() {
        check(b"ab\tc", "ab      c");
    }

    #[test]
    fn a_time_in_front_is_taken_apart() {
        let readable = read(b"2026-08-21T14:01:12.0180000Z hello");
        assert_eq!(readable.stamp.as_deref(), Some("14:01:12.018"));
        assert_eq!(readable.line.flat(), "hello");
        assert_eq!(read(b"2026 was a year").stamp, None);
        let first = read(b"\xef\xbb\xbf2026-08-21T14:01:12.0180000Z hello");
        assert_eq!(first, readable, "a byte order mark is not part of the time");
    }
}
