//! Keys of what lies over a screen, sheets apart.

use crossterm::event::KeyCode;

use crate::{
    domain::{Timestamp, text::Clean},
    engine::world::World,
    ui::{
        command::Command,
        command::{self, Typed},
        field::Field,
        keymap::{self, Key},
        screen::{self, Scene, fleet},
        sign::Sign,
        state::{Effect, Overlay, UiState},
        update::{keys, look},
    },
};

pub(super) fn key(
    state: &mut UiState,
    key: Key,
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let Some(overlay) = state.overlay.take() else {
        return;
    };
    state.overlay = match overlay {
        Overlay::Filter(field, before) => filter_key(state, key, field, before),
        Overlay::Search(field) => search_key(state, key, field, now),
        Overlay::Palette(field, at) => {
            return palette_key(state, key, (field, at), world, now, out);
        }
        Overlay::Columns(at) => columns_key(state, key, at),
        Overlay::Page(page, at) => {
            let last = screen::page_lines(&Scene::new(state, world, now), page).len();
            page_key(key, at, last, usize::from(state.size.1)).map(|at| Overlay::Page(page, at))
        }
        Overlay::Links(links, at) => links_key(state, key, (links, at), now, out),
        Overlay::Leaving => {
            if key == Key::char('q') {
                out.push(Effect::Quit);
            }
            None
        }
        Overlay::Sheet(sheet) => Some(Overlay::Sheet(sheet)),
    };
}

/// The filter works while it is typed; Esc brings the old one back.
fn filter_key(state: &mut UiState, key: Key, mut field: Field, before: String) -> Option<Overlay> {
    match key.code {
        KeyCode::Enter => {
            // What was filtered is the table, so that is where the keys go.
            if !state.fleet.filter.is_empty() {
                state.panes.insert(screen::Screen::Fleet, 0);
            }
            return None;
        }
        KeyCode::Esc => {
            state.fleet.filter = before;
            return None;
        }
        _ => {
            field.key(key);
        }
    }
    field.text().trim().clone_into(&mut state.fleet.filter);
    Some(Overlay::Filter(field, before))
}

fn search_key(state: &mut UiState, key: Key, mut field: Field, now: Timestamp) -> Option<Overlay> {
    match key.code {
        KeyCode::Esc => None,
        KeyCode::Enter => {
            let height = look::log_height(state);
            let needle = field.text().trim().to_owned();
            if let Some(log) = &mut state.log {
                log.needle = (!needle.is_empty()).then_some(needle);
                log.hit = None;
                if log.needle.is_some()
                    && let Err(why) = log.search(true, height)
                {
                    state.say(Sign::Off, why, now);
                }
            }
            None
        }
        _ => {
            field.key(key);
            Some(Overlay::Search(field))
        }
    }
}

fn palette_key(
    state: &mut UiState,
    key: Key,
    (mut field, at): (Field, usize),
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let offered = command::completions(field.text());
    let last = offered.len().saturating_sub(1);
    let next = match key.code {
        KeyCode::Esc => return,
        KeyCode::Down => (at + 1).min(last),
        KeyCode::Up => at.saturating_sub(1),
        KeyCode::Tab => {
            if let Some(entry) = offered.get(at) {
                let space = if entry.argument.is_empty() { "" } else { " " };
                field.set(&format!("{}{space}", entry.name));
            }
            0
        }
        KeyCode::Enter => {
            let marked = offered
                .get(at)
                .filter(|_| at > 0 || field.text().is_empty());
            let read = match marked {
                Some(entry) => Ok(Typed {
                    command: entry.command,
                    argument: None,
                }),
                None => command::parse(field.text()),
            };
            match read {
                Ok(typed) => keys::typed(state, typed.command, typed.argument, world, now, out),
                Err(why) => state.say(Sign::Warn, why, now),
            }
            return;
        }
        KeyCode::Backspace if field.text().is_empty() => return,
        _ => {
            field.key(key);
            0
        }
    };
    state.overlay = Some(Overlay::Palette(field, next));
}

fn columns_key(state: &mut UiState, key: Key, at: usize) -> Option<Overlay> {
    let last = fleet::COLUMNS.len().saturating_sub(1);
    let at = match command_of(key) {
        Some(Command::Down) => (at + 1).min(last),
        Some(Command::Up) => at.saturating_sub(1),
        Some(Command::Open) => {
            if let Some(column) = fleet::COLUMNS.get(at) {
                state.fleet.turn_column(column);
            }
            at
        }
        _ => return None,
    };
    Some(Overlay::Columns(at))
}

fn page_key(key: Key, at: usize, lines: usize, height: usize) -> Option<usize> {
    let page = (height / 2).max(1);
    let last = lines.saturating_sub(page);
    match command_of(key) {
        Some(Command::Down) => Some((at + 1).min(last)),
        Some(Command::Up) => Some(at.saturating_sub(1)),
        Some(Command::PageDown) => Some((at + page).min(last)),
        Some(Command::PageUp) => Some(at.saturating_sub(page)),
        Some(Command::First) => Some(0),
        Some(Command::Last) => Some(last),
        _ => None,
    }
}

fn links_key(
    state: &mut UiState,
    key: Key,
    (links, at): (Vec<Clean>, usize),
    now: Timestamp,
    out: &mut Vec<Effect>,
) -> Option<Overlay> {
    let last = links.len().saturating_sub(1);
    let at = match command_of(key) {
        Some(Command::Down) => (at + 1).min(last),
        Some(Command::Up) => at.saturating_sub(1),
        Some(Command::Open) => {
            if let Some(link) = links.get(at) {
                out.push(Effect::Browse(link.clone()));
                state.say(
                    Sign::Running,
                    format!("asked the desktop to open {link}"),
                    now,
                );
            }
            return None;
        }
        Some(Command::Copy) => {
            out.extend(links.get(at).cloned().map(Effect::Copy));
            return None;
        }
        _ => return None,
    };
    Some(Overlay::Links(links, at))
}

fn command_of(key: Key) -> Option<Command> {
    keymap::lookup(key).map(|binding| binding.command)
}
