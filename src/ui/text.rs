//! Text that fits: widths, cuts, ages, numbers, and the way into ASCII.
//!
//! Widths are terminal cells. What comes from outside is already clean (see
//! [`crate::domain::text`]); here it is only measured and cut.

use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::domain::Timestamp;

/// Which characters the terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Charset {
    /// Box drawing, braille, signs.
    #[default]
    Unicode,
    /// ASCII only.
    Ascii,
}

/// How many cells a text takes.
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.graphemes(true).map(UnicodeWidthStr::width).sum()
    }
}

/// A number of cells as ratatui counts them.
pub fn cells(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// The text, cut to at most `room` cells; what is cut away leaves `…`.
pub fn fit(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    if room == 0 {
        return String::new();
    }
    let mut kept = head(text, room - 1);
    kept.push('…');
    kept
}

/// The longest beginning of a text that takes at most `room` cells.
fn head(text: &str, room: usize) -> String {
    let mut kept = String::new();
    let mut taken = 0;
    for grapheme in text.graphemes(true) {
        taken += UnicodeWidthStr::width(grapheme);
        if room < taken {
            break;
        }
        kept.push_str(grapheme);
    }
    kept
}

/// The text, cut in its middle, for ids that differ at their ends.
pub fn fit_middle(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    if room < 5 {
        return fit(text, room);
    }
    let tail_room = (room - 1) / 2;
    let mut tail: Vec<&str> = Vec::new();
    let mut taken = 0;
    for grapheme in text.graphemes(true).rev() {
        taken += UnicodeWidthStr::width(grapheme);
        if tail_room < taken {
            break;
        }
        tail.push(grapheme);
    }
    let front = head(text, room - 1 - tail_room);
    front + "…" + &tail.into_iter().rev().collect::<String>()
}

/// Cut and filled with spaces to exactly `room` cells.
pub fn left(text: &str, room: usize) -> String {
    let mut fitted = fit(text, room);
    let missing = room.saturating_sub(width(&fitted));
    fitted.extend(std::iter::repeat_n(' ', missing));
    fitted
}

/// As [`left`], filled from the left, for numbers.
pub fn right(text: &str, room: usize) -> String {
    let fitted = fit(text, room);
    " ".repeat(room.saturating_sub(width(&fitted))) + &fitted
}

/// Breaks a text into lines of at most `room` cells, at spaces where possible.
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let gap = usize::from(!line.is_empty());
            if !line.is_empty() && room < width(&line) + gap + width(word) {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            while room < width(&line) {
                let front = head(&line, room);
                if front.is_empty() {
                    line.clear();
                    break;
                }
                line.drain(..front.len());
                lines.push(front);
            }
        }
        lines.push(line);
    }
    lines
}

/// An age in at most four cells: `4s`, `34m`, `1h09`, `12h`, `9d`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..36_000 => format!("{}h{:02}", seconds / 3600, seconds % 3600 / 60),
        36_000..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long before `now` something was, as [`age`]; nothing for the future.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    age((now - then).to_std().unwrap_or_default())
}

/// How long from `from` to `to`.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

/// `14:32:07Z`.
pub fn clock(at: Timestamp) -> String {
    at.format("%H:%M:%SZ").to_string()
}

/// `14:32:07`, and the date in front when it was another day.
pub fn stamp(at: Timestamp, now: Timestamp) -> String {
    if at.date_naive() == now.date_naive() {
        at.format("%H:%M:%S").to_string()
    } else {
        at.format("%m-%d %H:%M").to_string()
    }
}

/// A measured value with four significant digits and no useless zeros.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let size = value.abs();
    if 100_000.0 <= size {
        return grouped(value);
    }
    let decimals = if !(f64::EPSILON..1000.0).contains(&size) {
        0
    } else if 100.0 <= size {
        1
    } else if 10.0 <= size {
        2
    } else if 1.0 <= size {
        3
    } else if 0.001 <= size {
        4
    } else {
        6
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut out = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// A value with its unit, as people write it: `212 ms`, `0.31 %`.
pub fn with_unit(value: f64, unit: &str) -> String {
    if unit.is_empty() {
        number(value)
    } else {
        format!("{} {unit}", number(value))
    }
}

/// A count with thin grouping: `4 812`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// The same text in ASCII: our own drawing by its twin, foreign script as `?`.
pub fn ascii(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\0'..='\x7f' => out.push(character),
            '≤' => out.push_str("<="),
            '≥' => out.push_str(">="),
            '→' => out.push_str("->"),
            '←' => out.push_str("<-"),
            '…' => out.push_str(".."),
            '±' => out.push_str("+-"),
            'µ' | 'μ' => out.push('u'),
            '–' | '—' | '−' | '─' | '━' | '╌' | '┄' => out.push('-'),
            '│' | '┃' => out.push('|'),
            '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' | '┏' | '┓' | '┗' | '┛' =>
            {
                out.push('+');
            }
            '█' | '▓' => out.push('#'),
            '░' => out.push('.'),
            '▶' | '›' => out.push('>'),
            '⏎' => out.push_str("Enter"),
            '⇧' => out.push_str("S-"),
            '↑' => out.push('^'),
            '↓' => out.push('v'),
            '×' => out.push('x'),
            '·' | '•' => out.push('.'),
            '“' | '”' => out.push('"'),
            '‘' | '’' => out.push('\''),
            '✓' => out.push('+'),
            '▲' => out.push('!'),
            '✗' => out.push('x'),
            '◐' => out.push('*'),
            '○' => out.push('o'),
            '◆' => out.push('@'),
            '‖' => out.push('='),
            '↺' => out.push('<'),
            '↻' => out.push('r'),
            '▁' | '▂' => out.push('_'),
            '▃' | '▄' => out.push('-'),
            '▅' | '▆' => out.push('='),
            '▇' => out.push('#'),
            _ => {
                let cells = unicode_width::UnicodeWidthChar::width(character).unwrap_or(0);
                out.extend(std::iter::repeat_n('?', cells));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_leave_a_mark_and_fit() {
        assert_eq!(fit("recsys-ranker", 20), "recsys-ranker");
        assert_eq!(fit("recsys-ranker", 7), "recsys…");
        assert_eq!(fit("recsys", 0), "");
        assert_eq!(fit_middle("recsys-ranker-7d9f-x2k", 11), "recsy…f-x2k");
    }

    #[test]
    fn wide_characters_count_double_and_are_never_halved() {
        assert_eq!(width("東京"), 4);
        assert_eq!(fit("東京都", 4), "東…");
        assert_eq!(left("東京都", 4), "東… ");
    }

    #[test]
    fn ages_take_at_most_four_cells() {
        for (seconds, expected) in [
            (4, "4s"),
            (59, "59s"),
            (2040, "34m"),
            (4140, "1h09"),
            (43_200, "12h"),
            (777_600, "9d"),
        ] {
            let text = age(Duration::from_secs(seconds));
            assert_eq!(text, expected);
            assert!(text.len() <= 4);
        }
    }

    #[test]
    fn numbers_keep_what_matters() {
        for (value, expected) in [
            (0.8312, "0.8312"),
            (212.0, "212"),
            (212.44, "212.4"),
            (4.81, "4.81"),
            (0.31, "0.31"),
            (0.0, "0"),
            (-0.004, "-0.004"),
            (1_240_000.0, "1 240 000"),
            (0.000_12, "0.00012"),
        ] {
            assert_eq!(number(value), expected);
        }
        assert_eq!(number(f64::NAN), "NaN");
    }

    #[test]
    fn long_words_break_and_short_lines_stay() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 5), Vec::<String>::new());
    }

    #[test]
    fn ascii_is_ascii_whatever_comes_in() {
        let text = ascii("Grüße 東京 ✓ ≤ 250 ms → 60 % ▁▂▃█ “x”");
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("<= 250 ms -> 60 %"));
    }
}
