//! Commands that look: moving, opening, going back, sorting, copying.

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
        keymap,
        log::view::LogView,
        screen::{self, Scene, Screen},
        sign::Sign,
        state::{Effect, Overlay, Page, UiState, View, WINDOWS},
        text,
        theme::Theme,
    },
};

/// How far back the way is remembered.
const TRAIL: usize = 50;

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

fn move_by(state: &mut UiState, by: i64, world: &World, now: Timestamp) {
    let height = log_height(state);
    if let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        log.scroll(by, height);
        return;
    }
    if state.view.screen == Screen::Fleet {
        let queue = (state.pane() == 1).then(|| state.fleet.queue_lanes());
        let order = queue.as_ref().unwrap_or(&state.fleet.order);
        let next = stepped(order, state.view.lane.as_ref(), by);
        if let Some(lane) = next.cloned() {
            state.view.lane = Some(lane);
            state.fleet.chosen = true;
        }
        return;
    }
    let ids = screen::ids(&scene(state, world, now), state.pane());
    let mark = state.mark().map(str::to_owned);
    if let Some(next) = stepped(&ids, mark.as_ref(), by) {
        set_mark(state, next.clone());
    }
}

/// The item `by` places from the marked one; the first if none is marked.
fn stepped<'a, T: PartialEq>(items: &'a [T], marked: Option<&T>, by: i64) -> Option<&'a T> {
    let at = marked.and_then(|marked| items.iter().position(|item| item == marked));
    let Some(at) = at else {
        return if matches!(by, -1 | i64::MAX) {
            items.last()
        } else {
            items.first()
        };
    };
    let last = items.len().saturating_sub(1);
    let target = i64::try_from(at).unwrap_or(0).saturating_add(by).max(0);
    items.get(usize::try_from(target).unwrap_or(0).min(last))
}

fn move_to_end(state: &mut UiState, end: bool, world: &World, now: Timestamp) {
    if let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        log.jump(end);
        return;
    }
    let by = if end { i64::MAX } else { i64::MIN / 2 };
    move_by(state, by, world, now);
}

fn set_mark(state: &mut UiState, id: String) {
    let pane = state.pane();
    state.marks.insert((state.view.screen, pane), id);
}

fn sideways(state: &mut UiState, right: bool, world: &World, now: Timestamp) {
    if let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        log.left = if right {
            log.left + 16
        } else {
            log.left.saturating_sub(16)
        };
        return;
    }
    let pane = screen::SIDEWAYS;
    let ids = screen::ids(&scene(state, world, now), pane);
    let mark = state.mark_of(pane).map(str::to_owned);
    let by = if right { 1 } else { -1 };
    let next = match &mark {
        Some(_) => stepped(&ids, mark.as_ref(), by).cloned(),
        None => screen::here(&scene(state, world, now))
            .and_then(|here| stepped(&ids, Some(&here), by).cloned())
            .or_else(|| ids.first().cloned()),
    };
    if let Some(next) = next {
        state.marks.insert((state.view.screen, pane), next);
    }
}

fn turn_pane(state: &mut UiState, forward: bool, world: &World, now: Timestamp) {
    let panes = screen::panes(&scene(state, world, now));
    let at = state.pane();
    let next = if forward { at + 1 } else { at + panes - 1 } % panes.max(1);
    state.panes.insert(state.view.screen, next);
}

/// Opens what is marked.
fn open(state: &mut UiState, world: &World, now: Timestamp, out: &mut Vec<Effect>) {
    match state.view.screen {
        Screen::Fleet => show(state, Screen::Release, out),
        Screen::Release => {
            let target = screen::release::leads_to(&scene(state, world, now));
            show(state, target, out);
        }
        Screen::Run => open_log(state, world, now, out),
        Screen::Gates => browse(state, world, now),
        Screen::Rollout | Screen::Audit | Screen::Messages => {
            state.overlay = Some(Overlay::Page(Page::Raw, 0));
        }
        Screen::Help => {
            let marked = state.mark().and_then(|label| {
                keymap::BINDINGS
                    .iter()
                    .find(|binding| binding.label == label)
            });
            let Some(binding) = marked else { return };
            if binding.command.acts() {
                state.say(
                    Sign::Off,
                    "Enter never acts: press the key on its own screen",
                    now,
                );
                return;
            }
            if matches!(binding.command, Command::Open | Command::Help) {
                return;
            }
            let command = binding.command;
            close(state, out);
            run(state, command, None, world, now, out);
        }
    }
}

/// Esc: close, then clear the filter, then go back.
fn close(state: &mut UiState, out: &mut Vec<Effect>) {
    if state
        .toast
        .as_ref()
        .is_some_and(|toast| toast.lasts().is_none())
    {
        state.toast = None;
        return;
    }
    if state.log.is_some() && state.view.screen == Screen::Run {
        close_log(state, out);
        return;
    }
    if state.zoomed {
        state.zoomed = false;
        return;
    }
    if state.view.screen == Screen::Fleet {
        if !state.coached {
            state.coached = true;
        } else if !state.fleet.filter.is_empty() {
            state.fleet.filter.clear();
        } else {
            state.still = None;
        }
        return;
    }
    step_back(state, out);
}

pub(super) fn close_log(state: &mut UiState, out: &mut Vec<Effect>) {
    if state.log.take().is_some() {
        out.push(Effect::CloseLog);
    }
}

/// `q`: back; at the fleet, quit.
fn back(state: &mut UiState, world: &World, out: &mut Vec<Effect>) {
    if state.log.is_some() && state.view.screen == Screen::Run {
        close_log(state, out);
    } else if state.view.screen == Screen::Fleet {
        quit(state, world, out);
    } else {
        step_back(state, out);
    }
}

fn quit(state: &mut UiState, world: &World, out: &mut Vec<Effect>) {
    let acting = world.plans.values().any(|plan| plan.ended.is_none());
    if acting || !state.submissions.is_empty() {
        state.overlay = Some(Overlay::Leaving);
    } else {
        out.push(Effect::Quit);
    }
}

fn step_back(state: &mut UiState, out: &mut Vec<Effect>) {
    let to = state.trail.pop().unwrap_or(View {
        screen: Screen::Fleet,
        lane: state.view.lane.clone(),
    });
    let before = std::mem::replace(&mut state.view, to);
    arrive(state, before, out);
}

fn show(state: &mut UiState, screen: Screen, out: &mut Vec<Effect>) {
    if screen == state.view.screen {
        return;
    }
    let view = View {
        screen,
        lane: state.view.lane.clone(),
    };
    if screen == Screen::Fleet {
        state.trail.clear();
        let before = std::mem::replace(&mut state.view, view);
        arrive(state, before, out);
    } else {
        go(state, view, out);
    }
}

fn go(state: &mut UiState, view: View, out: &mut Vec<Effect>) {
    let before = std::mem::replace(&mut state.view, view);
    if state.trail.len() >= TRAIL {
        state.trail.remove(0);
    }
    state.trail.push(before.clone());
    arrive(state, before, out);
}

fn arrive(state: &mut UiState, before: View, out: &mut Vec<Effect>) {
    state.fleet.chosen |= state.view.lane.is_some();
    state.zoomed = false;
    if state.view.screen != Screen::Run || before.lane != state.view.lane {
        close_log(state, out);
        state.attempt = None;
    }
    if state.view.screen == Screen::Audit {
        out.push(Effect::ReadLedger);
    }
    state.last = Some(before);
}

fn turn_release(state: &mut UiState, forward: bool) {
    let by = if forward { 1 } else { -1 };
    let Some(next) = stepped(&state.fleet.order, state.view.lane.as_ref(), by).cloned() else {
        return;
    };
    if Some(&next) == state.view.lane.as_ref() {
        return;
    }
    state.view.lane = Some(next);
    state.fleet.chosen = true;
    state.attempt = None;
    let screen = state.view.screen;
    state.marks.retain(|(of, _), _| *of != screen);
}

fn turn_attempt(state: &mut UiState, forward: bool, world: &World, now: Timestamp) {
    let attempts = screen::run::attempts(&scene(state, world, now));
    let Some(newest) = attempts.last().copied() else {
        return;
    };
    let by = if forward { 1 } else { -1 };
    let shown = state.attempt.unwrap_or(newest);
    let next = stepped(&attempts, Some(&shown), by)
        .copied()
        .unwrap_or(newest);
    state.attempt = (next != newest).then_some(next);
    state.say(Sign::Off, format!("attempt {next} of {newest}"), now);
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
            state.overlay = Some(Overlay::Filter(Field::with(&before), before));
        }
    }
}

fn matching(state: &mut UiState, forward: bool, now: Timestamp) {
    let height = log_height(state);
    let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    else {
        turn_release(state, forward);
        return;
    };
    if let Err(why) = log.search(forward, height) {
        state.say(Sign::Off, why, now);
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

fn open_log(state: &mut UiState, world: &World, now: Timestamp, out: &mut Vec<Effect>) {
    if state.view.screen != Screen::Run {
        show(state, Screen::Run, out);
    }
    let Some((job, name)) = screen::run::job_for_log(&scene(state, world, now)) else {
        state.say(Sign::Off, "no job is marked whose log could be shown", now);
        return;
    };
    if state.log.as_ref().is_some_and(|log| log.job == job) {
        return;
    }
    state.log = Some(Box::new(LogView::new(job.clone(), name)));
    out.push(Effect::OpenLog(job));
}

fn follow(state: &mut UiState, world: &World, now: Timestamp) {
    if let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        let following = !log.follow;
        log.jump(following);
        if !following {
            log.top = u64::MAX;
        }
        return;
    }
    if state.still.take().is_none() {
        state.still = Some(Box::new(world.clone()));
        state.say(
            Sign::Held,
            "the display stands still; f lets it go, acting lets it go too",
            now,
        );
    } else {
        state.say(Sign::Good, "the display follows again", now);
    }
}

fn wrap(state: &mut UiState, now: Timestamp) {
    if let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        log.wrap = !log.wrap;
        log.left = 0;
        return;
    }
    let at = WINDOWS
        .iter()
        .position(|window| *window == state.window.as_secs())
        .unwrap_or(0);
    let next = WINDOWS
        .get((at + 1) % WINDOWS.len())
        .copied()
        .unwrap_or(WINDOWS[0]);
    state.window = std::time::Duration::from_secs(next);
    state.say(
        Sign::Off,
        format!("charts show the last {}", text::age(state.window)),
        now,
    );
}

fn stamps(state: &mut UiState, now: Timestamp) {
    match state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        Some(log) => log.stamps = !log.stamps,
        None => state.say(Sign::Off, "time stamps are for logs: `l` opens one", now),
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
