//! Commands that look: moving, opening, going back, sorting, copying.

mod logs;
mod moving;
mod way;

use crate::{
    domain::{
        Timestamp,
        id::{RunId, TargetId},
        text::Clean,
    },
    engine::{clear::Mode, world::World},
    ui::{
        browser, clipboard,
        command::Command,
        field::Field,
        screen::{self, Scene, Screen},
        sign::Sign,
        state::{Effect, Overlay, Page, UiState},
        theme::Theme,
        update::look::{
            logs::{follow, matching, open_log, stamps, wrap},
            moving::{move_by, move_to_end, sideways, turn_attempt, turn_pane, turn_release},
            way::{back, close, go, open, quit, show},
        },
    },
};

pub(super) use crate::ui::update::look::way::close_log;

pub(super) fn run(
    state: &mut UiState,
    command: Command,
    argument: Option<String>,
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    match command {
        Command::Up => move_by(state, -1, world, now),
        Command::Down => move_by(state, 1, world, now),
        Command::PageUp => move_by(state, -page(state), world, now),
        Command::PageDown => move_by(state, page(state), world, now),
        Command::First => move_to_end(state, false, world, now),
        Command::Last => move_to_end(state, true, world, now),
        Command::Left => sideways(state, false, world, now),
        Command::Right => sideways(state, true, world, now),
        Command::NextPane => turn_pane(state, true, world, now),
        Command::PreviousPane => turn_pane(state, false, world, now),
        Command::Open => open(state, world, now, out),
        Command::Close => close(state, out),
        Command::Back => back(state, world, out),
        Command::LastView => {
            if let Some(last) = state.last.clone() {
                go(state, last, out);
            }
        }
        Command::PreviousRelease => turn_release(state, false),
        Command::NextRelease => turn_release(state, true),
        Command::PreviousAttempt => turn_attempt(state, false, world, now),
        Command::NextAttempt => turn_attempt(state, true, world, now),
        Command::Show(screen) => show(state, screen, out),
        Command::Help => show(state, Screen::Help, out),
        Command::Filter => filter(state, argument, now),
        Command::NextMatch => matching(state, true, now),
        Command::PreviousMatch => matching(state, false, now),
        Command::Sort => sort(state, now),
        Command::Columns => columns(state, now),
        Command::Logs => open_log(state, world, now, out),
        Command::Follow => follow(state, world, now),
        Command::Wrap => wrap(state, now),
        Command::Stamps => stamps(state, now),
        Command::Diff => state.overlay = Some(Overlay::Page(Page::Diff, 0)),
        Command::Info => state.overlay = Some(Overlay::Page(Page::Backends, 0)),
        Command::Raw => state.overlay = Some(Overlay::Page(Page::Raw, 0)),
        Command::Copy => copy(state, world, now, out),
        Command::Browse => browse(state, world, now),
        Command::Refresh => {
            out.push(Effect::Refresh);
            if state.view.screen == Screen::Audit {
                out.push(Effect::ReadLedger);
            }
            state.say(Sign::Running, "asking all backends now", now);
        }
        Command::Zoom => state.zoomed = !state.zoomed,
        Command::Palette => state.overlay = Some(Overlay::Palette(Field::default(), 0)),
        Command::Theme(theme) => choose_theme(state, theme, argument.as_deref(), now),
        Command::Mode(mode) => choose_mode(state, mode, now),
        Command::Why => why(state, argument.as_deref(), world, now),
        Command::Quit => quit(state, world, out),
        // These are taken before overlays are asked; named for the compiler.
        Command::QuitNow => out.push(Effect::Quit),
        Command::Suspend => out.push(Effect::Suspend),
        Command::Redraw => out.push(Effect::Redraw),
        Command::Interrupt | Command::Act(_) | Command::Again => {}
    }
}

fn scene<'a>(state: &'a UiState, world: &'a World, now: Timestamp) -> Scene<'a> {
    Scene::new(state, world, now)
}

/// Rows a page moves by: about half of what is on screen.
fn page(state: &UiState) -> i64 {
    i64::from(state.size.1 / 2).max(1)
}

/// Lines of the log pane.
pub(super) fn log_height(state: &UiState) -> usize {
    screen::run::log_height(state)
}

fn filter(state: &mut UiState, argument: Option<String>, now: Timestamp) {
    if let Some(log) = state
        .log
        .as_ref()
        .filter(|_| state.view.screen == Screen::Run)
    {
        let before = log.needle.clone().unwrap_or_default();
        state.overlay = Some(Overlay::Search(Field::with(&before)));
        return;
    }
    if state.view.screen != Screen::Fleet {
        state.say(Sign::Off, "filters are for the fleet and for logs", now);
        return;
    }
    match argument {
        Some(text) => state.fleet.filter = text,
        None => {
            let before = state.fleet.filter.clone();
            // Behind a gap, so that what is typed is a term of its own.
            let gap = if before.is_empty() { "" } else { " " };
            let field = Field::with(&format!("{before}{gap}"));
            state.overlay = Some(Overlay::Filter(field, before));
        }
    }
}

fn sort(state: &mut UiState, now: Timestamp) {
    let said = if state.view.screen == Screen::Fleet {
        state.fleet.sort = state.fleet.sort.next();
        state.fleet.sort.name()
    } else {
        let names = screen::sorts(state.view.screen);
        if names.is_empty() {
            return;
        }
        let at = state.sorted.entry(state.view.screen).or_default();
        *at = (*at + 1) % names.len();
        names.get(*at).copied().unwrap_or_default()
    };
    state.say(Sign::Off, format!("sorted by {said}"), now);
}

fn columns(state: &mut UiState, now: Timestamp) {
    if state.view.screen == Screen::Fleet {
        state.overlay = Some(Overlay::Columns(0));
    } else {
        state.say(Sign::Off, "columns are chosen on the fleet", now);
    }
}

fn copy(state: &mut UiState, world: &World, now: Timestamp, out: &mut Vec<Effect>) {
    let Some(text) = screen::copied(&scene(state, world, now)) else {
        state.say(Sign::Off, "nothing is marked that could be copied", now);
        return;
    };
    state.say(Sign::Good, clipboard::said(&text), now);
    out.push(Effect::Copy(text));
}

fn browse(state: &mut UiState, world: &World, now: Timestamp) {
    let links: Vec<Clean> = screen::links(&scene(state, world, now))
        .into_iter()
        .filter(|link| browser::may_open(link))
        .collect();
    if links.is_empty() {
        state.say(Sign::Off, "no backend gave a link for what is marked", now);
    } else {
        state.overlay = Some(Overlay::Links(links, 0));
    }
}

fn choose_theme(state: &mut UiState, theme: Option<Theme>, named: Option<&str>, now: Timestamp) {
    let next = || {
        let at = Theme::ALL
            .iter()
            .position(|theme| *theme == state.look.theme)
            .unwrap_or(0);
        Theme::ALL.get((at + 1) % Theme::ALL.len()).copied()
    };
    let chosen = match named {
        Some(name) => Theme::named(name.trim()),
        None => theme.or_else(next),
    };
    match chosen {
        Some(theme) => {
            state.look.theme = theme;
            state.say(Sign::Good, format!("theme {}", theme.name()), now);
        }
        None => {
            let names: Vec<&str> = Theme::ALL.iter().map(|theme| theme.name()).collect();
            state.say(Sign::Off, format!("themes: {}", names.join(", ")), now);
        }
    }
}

fn choose_mode(state: &mut UiState, mode: Mode, now: Timestamp) {
    match state.modes.choose(mode, now) {
        Ok(()) => {
            let text = match mode {
                Mode::ReadWrite => "RW: everything acts; critical environments for 60 minutes",
                Mode::Brake => "BRAKE: only hold, abort, roll back and reject act",
                Mode::ReadOnly => "RO: nothing acts",
            };
            state.say(Sign::Good, text, now);
        }
        Err(why) => state.say(Sign::Warn, why, now),
    }
}

/// `:why P` – why a key is grey.
fn why(state: &mut UiState, key: Option<&str>, world: &World, now: Timestamp) {
    let scene = scene(state, world, now);
    let acts = screen::acts(&scene);
    let wanted = key.and_then(|key| key.trim().chars().next());
    let said = acts
        .iter()
        .filter(|act| wanted.is_none() || act.key == wanted)
        .map(|act| format!("{} {}: {}", act.label, act.word, act.why_or_effect()))
        .collect::<Vec<String>>()
        .join("  ");
    let said = if said.is_empty() {
        "no release is marked".to_owned()
    } else {
        said
    };
    state.say(Sign::Off, said, now);
}

/// What people look at, for backends to look there more often.
pub(super) fn looking(state: &UiState, world: &World) -> (Option<RunId>, Option<TargetId>) {
    let Some(lane) = state
        .view
        .lane
        .as_ref()
        .and_then(|lane| world.lanes.get(lane))
    else {
        return (None, None);
    };
    let run = lane
        .release()
        .and_then(|release| world.release(release))
        .and_then(|release| release.run.value().cloned());
    (run, Some(lane.target.clone()))
}
