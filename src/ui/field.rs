//! A one-line text field.

use crossterm::event::KeyCode;

use crate::{domain::text::Clean, ui::keymap::Key};

/// Longest text a person may type, in bytes.
const LIMIT: usize = 240;

/// What a person is typing. The cursor is always at the end, except when
/// moved by the arrow keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    text: String,
    /// Characters before the cursor.
    cursor: usize,
}

impl Field {
    /// A field that holds `text`.
    pub fn with(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            cursor: text.chars().count(),
        }
    }

    /// What it holds.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it holds, clean and trimmed.
    pub fn clean(&self) -> Clean {
        Clean::line(self.text.trim())
    }

    /// Replaces what it holds.
    pub fn set(&mut self, text: &str) {
        *self = Self::with(text);
    }

    /// Takes a key if it is one for editing; says whether it was.
    pub fn key(&mut self, key: Key) -> bool {
        match (key.code, key.control) {
            (KeyCode::Char('u'), true) => {
                let rest: String = self.text.chars().skip(self.cursor).collect();
                self.text = rest;
                self.cursor = 0;
            }
            (KeyCode::Char('w'), true) => self.erase_word(),
            (KeyCode::Char(character), false) => self.insert(character),
            (KeyCode::Backspace, _) if self.cursor > 0 => {
                self.cursor -= 1;
                self.remove_at_cursor();
            }
            (KeyCode::Backspace, _) => {}
            (KeyCode::Delete, _) => self.remove_at_cursor(),
            (KeyCode::Left, _) => self.cursor = self.cursor.saturating_sub(1),
            (KeyCode::Right, _) => self.cursor = (self.cursor + 1).min(self.text.chars().count()),
            (KeyCode::Home, _) => self.cursor = 0,
            (KeyCode::End, _) => self.cursor = self.text.chars().count(),
            _ => return false,
        }
        true
    }

    /// Takes pasted text, cleaned: never a line end, so it can submit nothing.
    pub fn paste(&mut self, raw: &str) {
        for character in Clean::line(raw).chars() {
            self.insert(character);
        }
    }

    fn insert(&mut self, character: char) {
        if character.is_control() || LIMIT < self.text.len() + character.len_utf8() {
            return;
        }
        let at = self.byte_of(self.cursor);
        self.text.insert(at, character);
        self.cursor += 1;
    }

    fn remove_at_cursor(&mut self) {
        if self.cursor < self.text.chars().count() {
            let at = self.byte_of(self.cursor);
            self.text.remove(at);
        }
    }

    fn erase_word(&mut self) {
        let before: Vec<char> = self.text.chars().take(self.cursor).collect();
        let after: String = self.text.chars().skip(self.cursor).collect();
        let mut end = before.len();
        while end > 0
            && before
                .get(end - 1)
                .is_some_and(|character| character.is_whitespace())
        {
            end -= 1;
        }
        while end > 0
            && before
                .get(end - 1)
                .is_some_and(|character| !character.is_whitespace())
        {
            end -= 1;
        }
        let kept: String = before.into_iter().take(end).collect();
        self.cursor = end;
        self.text = kept + &after;
    }

    fn byte_of(&self, characters: usize) -> usize {
        self.text
            .char_indices()
            .nth(characters)
            .map_or(self.text.len(), |(at, _)| at)
    }

    /// Text before and after the cursor, for drawing.
    pub fn halves(&self) -> (&str, &str) {
        self.text.split_at(self.byte_of(self.cursor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[Key]) -> Field {
        let mut field = Field::default();
        for key in keys {
            field.key(*key);
        }
        field
    }

    #[test]
    fn editing_keys_do_what_shells_taught_people() {
        let mut field = Field::with("roll back now");
        field.key(Key::control('w'));
        assert_eq!(field.text(), "roll back ");
        field.key(Key::control('u'));
        assert_eq!(field.text(), "");
        let field = typed(&[
            Key::char('a'),
            Key::char('c'),
            Key::code(KeyCode::Left),
            Key::char('b'),
        ]);
        assert_eq!(field.text(), "abc");
        assert_eq!(field.halves(), ("ab", "c"));
    }

    #[test]
    fn a_paste_is_cleaned_and_cannot_submit() {
        let mut field = Field::default();
        field.paste("psi\u{1b}[31m creeping\nup\r");
        assert_eq!(field.text(), "psi creeping up ");
    }

    #[test]
    fn a_field_has_an_end() {
        let mut field = Field::default();
        field.paste(&"x".repeat(100_000));
        assert!(field.text().len() <= LIMIT);
    }
}
