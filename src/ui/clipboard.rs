//! Copies text through the terminal itself (OSC 52), so that it works over ssh.
//!
//! The terminal never answers: what is said is "sent to the terminal", not
//! "copied". tmux needs `set-clipboard on`.

use std::io::{self, Write};

use crossterm::{clipboard::CopyToClipboard, execute};

use crate::{domain::text::Clean, ui::text};

/// Terminals cut longer sequences; this leaves room for base64.
const LIMIT: usize = 50 * 1024;

/// Writes the sequence that asks the terminal to copy `text`.
///
/// # Errors
///
/// The terminal is gone.
pub fn copy(out: &mut impl Write, text: &Clean) -> io::Result<()> {
    let mut end = text.len().min(LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    execute!(
        out,
        CopyToClipboard::to_clipboard_from(text.get(..end).unwrap_or_default())
    )
}

/// What to say about it.
pub fn said(what: &Clean) -> String {
    format!("sent to the terminal's clipboard: {}", text::fit(what, 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_clean_and_bounded() {
        let mut out = Vec::new();
        copy(&mut out, &Clean::line("9f3c2ab")).unwrap();
        // base64 of "9f3c2ab", by hand with `printf 9f3c2ab | base64`
        assert_eq!(out, b"\x1b]52;c;OWYzYzJhYg==\x1b\\");
        let mut out = Vec::new();
        copy(&mut out, &Clean::block(&"x".repeat(1 << 20))).unwrap();
        assert!(out.len() < 74_994);
    }
}
