//! Which key gives which command: one table for dispatch, help, hints and docs.
//!
//! Lower case looks, UPPER CASE acts (`G` and `N` look, as everywhere). A key
//! means the same on every screen; a screen may have no use for it. Keys of a
//! sheet are the sheet's own business, see [`crate::ui::sheet`].

mod table;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::ui::{command::Command, screen::Screen};

pub use crate::ui::keymap::table::{BINDINGS, RESERVED};

/// One key with what matters of its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Which key; letters carry their case.
    pub code: KeyCode,
    /// With Control.
    pub control: bool,
}

impl Key {
    /// A character key.
    pub const fn char(character: char) -> Self {
        Self {
            code: KeyCode::Char(character),
            control: false,
        }
    }

    /// A character key with Control.
    pub const fn control(character: char) -> Self {
        Self {
            code: KeyCode::Char(character),
            control: true,
        }
    }

    /// Any other key.
    pub const fn code(code: KeyCode) -> Self {
        Self {
            code,
            control: false,
        }
    }

    /// Reads a terminal's event. Keys with Alt or Super mean nothing here:
    /// over slow links Alt cannot be told from Esc.
    pub fn read(event: &KeyEvent) -> Option<Self> {
        let foreign =
            KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::HYPER | KeyModifiers::META;
        if event.modifiers.intersects(foreign) {
            return None;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let code = match event.code {
            KeyCode::Char(character) if control => KeyCode::Char(character.to_ascii_lowercase()),
            // Some terminals say `g` with SHIFT for `G`.
            KeyCode::Char(character) if event.modifiers.contains(KeyModifiers::SHIFT) => {
                KeyCode::Char(character.to_ascii_uppercase())
            }
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
            other => other,
        };
        Some(Self { code, control })
    }

    /// The capital letter it is, if it is one.
    pub fn capital(self) -> Option<char> {
        match self.code {
            KeyCode::Char(character) if !self.control && character.is_ascii_uppercase() => {
                Some(character)
            }
            _ => None,
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The keys.
    pub keys: &'static [Key],
    /// How they are written.
    pub label: &'static str,
    /// What they give.
    pub command: Command,
    /// One or two words for the hint line.
    pub hint: &'static str,
    /// A sentence for help.
    pub help: &'static str,
    /// Where it is of use; empty = everywhere.
    pub screens: &'static [Screen],
}

/// What a key gives.
pub fn lookup(key: Key) -> Option<&'static Binding> {
    BINDINGS.iter().find(|binding| binding.keys.contains(&key))
}

/// The row of a command.
pub fn binding(command: Command) -> Option<&'static Binding> {
    BINDINGS.iter().find(|binding| binding.command == command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::plan::Verb;

    #[test]
    fn no_key_is_bound_twice() {
        let mut seen = Vec::new();
        for binding in BINDINGS {
            for key in binding.keys {
                assert!(!seen.contains(key), "{key:?}");
                seen.push(*key);
            }
        }
    }

    #[test]
    fn only_upper_case_letters_act() {
        for binding in BINDINGS.iter().filter(|binding| binding.command.acts()) {
            for key in binding.keys {
                assert!(key.capital().is_some(), "{} acts", binding.label);
            }
        }
    }

    #[test]
    fn g_and_n_are_the_only_capitals_that_look() {
        let looking: Vec<char> = BINDINGS
            .iter()
            .filter(|binding| !binding.command.acts())
            .flat_map(|binding| binding.keys)
            .filter_map(|key| key.capital())
            .collect();
        assert_eq!(looking, ['G', 'N']);
    }

    #[test]
    fn reserved_keys_are_free() {
        for key in RESERVED {
            assert!(lookup(*key).is_none(), "{key:?}");
        }
    }

    #[test]
    fn every_verb_has_the_key_its_definition_names() {
        for verb in Verb::ALL {
            let Some(key) = verb.key() else { continue };
            let command = lookup(Key::char(key)).map(|binding| binding.command);
            let expected = if key == 'T' {
                Command::Again
            } else {
                Command::Act(verb)
            };
            assert_eq!(command, Some(expected), "{verb:?}");
        }
    }

    /// The key table of the design, row by row; `c`, `t` and so on are written
    /// as people write them.
    #[test]
    fn every_looking_key_of_the_design_is_bound() {
        let characters = "jkgG/nNsxlfwtdiycou-[]:?,.123456qz";
        for character in characters.chars() {
            assert!(lookup(Key::char(character)).is_some(), "{character}");
        }
        for code in [
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Enter,
            KeyCode::Esc,
        ] {
            assert!(lookup(Key::code(code)).is_some(), "{code:?}");
        }
        for character in ['u', 'd', 'l', 'z', '\\', 'c'] {
            assert!(lookup(Key::control(character)).is_some(), "^{character}");
        }
        assert!(lookup(Key::char('h')).is_none(), "h does not move");
    }

    #[test]
    fn alt_means_nothing_and_shift_is_folded_into_the_letter() {
        let alt = KeyEvent::new(KeyCode::Char('R'), KeyModifiers::ALT);
        assert_eq!(Key::read(&alt), None);
        let shifted = KeyEvent::new(KeyCode::Char('g'), KeyModifiers::SHIFT);
        assert_eq!(Key::read(&shifted), Some(Key::char('G')));
    }
}
