//! Keys, pastes and focus: first what looks like an accident, then what lies on
//! top, then the table of keys.

use std::time::Duration;

use crossterm::event::{KeyEvent, KeyEventKind};

use crate::{
    domain::Timestamp,
    engine::world::World,
    ui::{
        accident::Looks,
        command::Command,
        keymap::{self, Key},
        sign::Sign,
        state::{Effect, Overlay, UiState},
        text::between,
        update::{
            act::{self, Via},
            look, order_fleet, overlay,
        },
    },
};

/// Twice within this time, `^c` quits.
const TWICE: Duration = Duration::from_secs(1);

pub(super) fn key(
    state: &mut UiState,
    event: &KeyEvent,
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    // Terminals that tell repeats and releases apart: only a press is a word.
    if event.kind != KeyEventKind::Press {
        return;
    }
    let Some(key) = Key::read(event) else {
        return;
    };
    let looks = if in_field(state) {
        state.accidents.in_field(key, now);
        Looks::Deliberate
    } else {
        state.accidents.key(key, now)
    };
    if state.hold.take().is_some() {
        state.say(Sign::Off, "hold was not sent: another key came", now);
    }
    if keymap::lookup(key).is_some_and(|binding| binding.command == Command::QuitNow) {
        out.push(Effect::Quit);
        return;
    }
    if key == Key::control('c') {
        interrupt(state, now, out);
        return;
    }
    if key == Key::control('z') {
        out.push(Effect::Suspend);
        return;
    }
    if key == Key::control('l') {
        out.push(Effect::Redraw);
        return;
    }
    order_fleet(state, world, now);
    if let Some(Overlay::Sheet(_)) = &state.overlay {
        sheet_key(state, key, looks, world, now, out);
    } else if state.overlay.is_some() {
        overlay::key(state, key, world, now, out);
    } else {
        bound_key(state, key, looks, world, now, out);
    }
}

/// Whether keys are text at the moment.
fn in_field(state: &UiState) -> bool {
    match &state.overlay {
        Some(Overlay::Sheet(sheet)) => sheet.is_typing(),
        Some(Overlay::Filter(..) | Overlay::Search(_) | Overlay::Palette(..)) => true,
        Some(Overlay::Columns(_) | Overlay::Page(..) | Overlay::Links(..) | Overlay::Leaving)
        | None => false,
    }
}

fn bound_key(
    state: &mut UiState,
    key: Key,
    looks: Looks,
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let Some(binding) = keymap::lookup(key) else {
        if key.capital().is_some() && state.accidents.idle_capital(now) {
            state.say(
                Sign::Warn,
                "is Caps Lock on? keys do not act for two seconds",
                now,
            );
        } else if key.is_printable() {
            state.say(
                Sign::Off,
                format!("`{}` does nothing; `?` lists the keys", shown(key)),
                now,
            );
        }
        return;
    };
    if !binding.command.acts() {
        look::run(state, binding.command, None, world, now, out);
        return;
    }
    match looks {
        Looks::HeldDown => {}
        Looks::Typing => state.say(
            Sign::Warn,
            "typing detected: nothing was opened or sent",
            now,
        ),
        Looks::Deliberate => {
            act::run(state, binding.command, (Via::Key, None), world, now, out);
        }
    }
}

fn shown(key: Key) -> char {
    match key.code {
        crossterm::event::KeyCode::Char(character) => character,
        _ => '?',
    }
}

fn sheet_key(
    state: &mut UiState,
    key: Key,
    looks: Looks,
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let typing = in_field(state);
    if looks == Looks::Typing {
        state.overlay = None;
        state.say(
            Sign::Warn,
            "typing detected: the sheet was closed, nothing was sent",
            now,
        );
        return;
    }
    // What the person read must be what is sent: if the world has moved since
    // the frame, this key was for another sheet.
    if act::follow_sheet(state, world, now, out) {
        return;
    }
    if !typing && let Some(why) = state.accidents.acting_off(now) {
        state.overlay = None;
        state.say(
            Sign::Warn,
            format!("{why}: the sheet was closed, nothing was sent"),
            now,
        );
        return;
    }
    act::sheet_key(state, key, world, now, out);
}

/// Closes the top thing; twice in a second quits. Nothing remote is touched.
fn interrupt(state: &mut UiState, now: Timestamp, out: &mut Vec<Effect>) {
    let again = state
        .interrupted_at
        .is_some_and(|at| between(at, now) < TWICE);
    if again {
        out.push(Effect::Quit);
        return;
    }
    state.interrupted_at = Some(now);
    if state.overlay.take().is_none() && state.log.is_some() {
        look::close_log(state, out);
    }
    state.say(
        Sign::Off,
        "^c again within a second quits; nothing remote is touched",
        now,
    );
}

/// Pasted text goes into a text field or nowhere.
pub(super) fn paste(state: &mut UiState, text: &str, now: Timestamp) {
    state.accidents.paste(now);
    if state.hold.take().is_some() {
        state.say(Sign::Warn, "hold was not sent: something was pasted", now);
        return;
    }
    match &mut state.overlay {
        Some(Overlay::Sheet(sheet)) => {
            if !sheet.paste(text) {
                let was_typing = sheet.is_typing();
                if !was_typing {
                    state.overlay = None;
                }
                state.say(
                    Sign::Warn,
                    "a paste does nothing here; nothing was sent",
                    now,
                );
            }
        }
        Some(Overlay::Filter(field, _)) => {
            field.paste(text);
            field.text().trim().clone_into(&mut state.fleet.filter);
        }
        Some(Overlay::Search(field) | Overlay::Palette(field, _)) => field.paste(text),
        Some(Overlay::Columns(_) | Overlay::Page(..) | Overlay::Links(..) | Overlay::Leaving)
        | None => state.say(
            Sign::Warn,
            "pasted text was dropped: no text field is open",
            now,
        ),
    }
}

pub(super) fn focus(state: &mut UiState, gained: bool, now: Timestamp, out: &mut Vec<Effect>) {
    if !gained {
        state.unfocused_at.get_or_insert(now);
        return;
    }
    state.unfocused_at = None;
    if std::mem::take(&mut state.away) {
        out.push(Effect::Away(false));
        out.push(Effect::Refresh);
    }
    state.accidents.focus(now);
    // What was read before the window was left has to be read again.
    if let Some(Overlay::Sheet(sheet)) = &mut state.overlay {
        sheet.reread();
        sheet.renew(&mut state.letters);
    }
}

pub(super) fn typed(
    state: &mut UiState,
    command: Command,
    argument: Option<String>,
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    if command.acts() {
        act::run(state, command, (Via::Name, argument), world, now, out);
    } else {
        look::run(state, command, argument, world, now, out);
    }
}
