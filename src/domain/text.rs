//! Text that is safe to show on a terminal.
//!
//! Commit messages, branch names, logs, annotations and labels are written by
//! anyone who can push a branch. They become [`Clean`] once, where they enter,
//! and only `Clean` reaches a widget, a ledger line or standard output. Nothing
//! downstream has to remember to be careful.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    ops::Deref,
    sync::Arc,
};

use unicode_segmentation::UnicodeSegmentation;

/// Longest cleaned line, in bytes.
pub const LINE_LIMIT: usize = 8 * 1024;
/// Longest cleaned name (ids, refs, users), in bytes.
pub const NAME_LIMIT: usize = 256;
/// Longest cleaned block of several lines, in bytes.
pub const BLOCK_LIMIT: usize = 64 * 1024;
/// Most code points one grapheme may carry; stacks of combining marks above it are cut.
const GRAPHEME_LIMIT: usize = 8;

/// Text without control bytes, escape sequences, bidi overrides or invisible
/// characters.
///
/// Cheap to clone. Made by [`Clean::line`], [`Clean::name`] or [`Clean::block`];
/// a `&'static str` of ours converts without work.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clean(Arc<str>);

impl Clean {
    /// One line of prose: escape sequences and control characters are dropped,
    /// tabs and line ends become one space, invisible characters vanish.
    pub fn line(raw: &str) -> Self {
        Self(scrub(raw, LINE_LIMIT, Mode::Line).into())
    }

    /// A name people compare (branch, user, tag, object): as a line, but a bidi
    /// control is shown as `⟦202E⟧` instead of vanishing, so that two names
    /// that differ never look the same.
    pub fn name(raw: &str) -> Self {
        Self(scrub(raw, NAME_LIMIT, Mode::Name).into())
    }

    /// Several lines: line ends stay, everything else as in [`Clean::line`].
    pub fn block(raw: &str) -> Self {
        Self(scrub(raw, BLOCK_LIMIT, Mode::Block).into())
    }

    /// As [`Clean::line`], for bytes that may not be UTF-8.
    pub fn bytes(raw: &[u8]) -> Self {
        Self::line(&String::from_utf8_lossy(raw))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Clean {
    fn default() -> Self {
        Self("".into())
    }
}

impl Deref for Clean {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Clean {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Clean {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Clean {
    fn from(ours: &'static str) -> Self {
        Self(ours.into())
    }
}

/// For texts built by `format!` from parts that are already clean or numbers;
/// they are cleaned again, so a slip cannot leak.
impl From<String> for Clean {
    fn from(built: String) -> Self {
        Self(scrub(&built, BLOCK_LIMIT, Mode::Block).into())
    }
}

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl PartialEq<str> for Clean {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Clean {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Line,
    Name,
    Block,
}

fn scrub(raw: &str, limit: usize, mode: Mode) -> Cow<'_, str> {
    // Nearly everything there is, and nothing of it can be dropped or combined.
    if raw.len() <= limit && raw.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return raw.into();
    }
    walk(raw, limit, mode).into()
}

fn walk(raw: &str, limit: usize, mode: Mode) -> String {
    // A hostile megabyte is not walked to its end: four times the limit leaves
    // room for whatever is dropped.
    let looked_at = head(raw, limit.saturating_mul(4));
    let mut is_cut = looked_at.len() < raw.len();
    let visible = strip_sequences(looked_at);
    let mut clean = String::with_capacity(visible.len().min(limit));
    for grapheme in visible.graphemes(true) {
        let mut kept = 0;
        for character in grapheme.chars() {
            if kept < GRAPHEME_LIMIT && push(&mut clean, character, mode) {
                kept += 1;
            }
        }
        if clean.len() > limit {
            is_cut = true;
            break;
        }
    }
    // Always marked: a credential cut in half is looked for at the mark.
    if is_cut {
        let cut = head(&clean, limit.saturating_sub('…'.len_utf8())).len();
        clean.truncate(cut);
        clean.push('…');
    }
    clean
}

/// The longest prefix of at most `limit` bytes that ends between characters.
fn head(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// Appends what may be shown of `character`; says whether anything was.
fn push(clean: &mut String, character: char, mode: Mode) -> bool {
    match character {
        '\n' | '\u{2028}' | '\u{2029}' | '\u{85}' if mode == Mode::Block => clean.push('\n'),
        '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{a0}' => {
            if character == '\r' && mode == Mode::Block {
                return false;
            }
            clean.push(' ');
        }
        _ if is_bidi(character) && mode == Mode::Name => {
            clean.extend(format!("⟦{:04X}⟧", u32::from(character)).chars());
        }
        _ if character.is_control() || is_invisible(character) => return false,
        _ => clean.push(character),
    }
    true
}

fn is_bidi(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that take no room or change how others are read: format
/// characters, tags, variation selectors, noncharacters, private use.
fn is_invisible(character: char) -> bool {
    is_bidi(character)
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200d}'
                | '\u{2060}'..='\u{2065}'
                | '\u{206a}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{fffe}'
                | '\u{ffff}'
                | '\u{600}'..='\u{605}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{8e2}'
                | '\u{110bd}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{e0000}'..='\u{10ffff}'
        )
}

/// Drops whole escape sequences (CSI, OSC, DCS, APC, PM, SOS; 7-bit and C1
/// forms; unterminated ones to the end of the line), so that `ESC[31m` leaves
/// no `[31m` behind.
fn strip_sequences(raw: &str) -> String {
    let mut kept = String::with_capacity(raw.len());
    let mut rest = raw.chars().peekable();
    while let Some(character) = rest.next() {
        let introducer = match character {
            '\u{1b}' => match rest.next() {
                Some('[') => '[',
                Some(']' | 'P' | 'X' | '^' | '_') => ']',
                Some(intermediate @ '\u{20}'..='\u{2f}') => {
                    let mut last = intermediate;
                    while matches!(last, '\u{20}'..='\u{2f}') {
                        let Some(next) = rest.next() else { break };
                        last = next;
                    }
                    continue;
                }
                _ => continue,
            },
            '\u{9b}' => '[',
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => ']',
            _ => {
                kept.push(character);
                continue;
            }
        };
        if introducer == '[' {
            while let Some(next) = rest.peek() {
                if !matches!(next, '\u{20}'..='\u{3f}') {
                    break;
                }
                rest.next();
            }
            // The final byte belongs to the sequence; anything else (a line
            // end, a letter beyond ASCII) was never part of it.
            if matches!(rest.peek(), Some('\u{40}'..='\u{7e}')) {
                rest.next();
            }
        } else {
            while let Some(next) = rest.peek().copied() {
                if next == '\n' {
                    break;
                }
                rest.next();
                if next == '\u{7}' || next == '\u{9c}' {
                    break;
                }
                if next == '\u{1b}' {
                    if rest.peek() == Some(&'\\') {
                        rest.next();
                    }
                    break;
                }
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: &str) {
        assert_eq!(Clean::line(raw).as_str(), expected);
    }

    #[test]
    fn escape_sequences_leave_nothing_behind() {
        check("\u{1b}[31mred\u{1b}[0m", "red");
        check("a\u{1b}]52;c;ZXZpbA==\u{7}b", "ab");
        check(
            "a\u{1b}]8;;http://evil\u{1b}\\link\u{1b}]8;;\u{1b}\\b",
            "alinkb",
        );
        check("a\u{9b}2Jb\u{9d}0;title\u{9c}c", "abc");
        check("a\u{1b}Pq#0;1\u{1b}\\b", "ab");
        check("a\u{1b}(Bb", "ab");
    }

    #[test]
    fn an_unterminated_sequence_swallows_only_its_own_line() {
        assert_eq!(
            Clean::block("a\u{1b}]0;never ends\nnext").as_str(),
            "a\nnext"
        );
    }

    #[test]
    fn control_bytes_vanish_and_white_space_stays_apart() {
        check("a\u{8}b\u{7}c\0d\u{7f}", "abcd");
        check("left\tright\nbelow", "left right below");
    }

    #[test]
    fn bidi_and_invisible_characters_cannot_hide_text() {
        check("ab\u{202e}cd\u{200b}e\u{feff}\u{e0041}", "abcde");
        assert_eq!(Clean::name("main\u{202e}x").as_str(), "main⟦202E⟧x");
    }

    #[test]
    fn plain_text_takes_a_shorter_way_to_the_same() {
        for mode in [Mode::Line, Mode::Name, Mode::Block] {
            for byte in 0..=0x7f_u8 {
                let raw = format!("a{0}b{0}", char::from(byte));
                assert_eq!(scrub(&raw, 8, mode), walk(&raw, 8, mode), "{raw:?}");
            }
            for raw in ["", "12345678", "123456789"] {
                assert_eq!(scrub(raw, 8, mode), walk(raw, 8, mode), "{raw:?}");
            }
        }
    }

    #[test]
    fn stacked_marks_are_cut() {
        let zalgo = format!("a{}b", "\u{301}".repeat(10_000));
        assert!(Clean::line(&zalgo).chars().count() < 12);
    }

    #[test]
    fn a_megabyte_line_is_cut_with_a_mark() {
        let long = Clean::line(&"x".repeat(1 << 20));
        assert!(long.len() <= LINE_LIMIT);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_cut_is_marked_even_where_little_is_left_to_see() {
        let hidden = format!("{}end of it", "\u{200b}".repeat(LINE_LIMIT * 2));
        assert_eq!(Clean::line(&hidden).as_str(), "…");
    }

    #[test]
    fn ordinary_text_in_any_script_is_untouched() {
        check(
            "Grüße, 東京, naïve ✓ – 0.31 %",
            "Grüße, 東京, naïve ✓ – 0.31 %",
        );
    }
}
