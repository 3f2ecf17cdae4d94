//! The frame around every screen: where one is, how the backends are, what was
//! just said, and which keys work here.
//!
//! ```text
//!  gonogo  prod-eu  fleet › recsys 2026.08.21-3        LIVE 14:32:07Z  BRAKE
//!  gh ✓ 2s  prod ✓ 1s  mlflow ✓ 9s  prom ▲ 48s late
//!  … the screen …
//!  ▲ P is off: backend `prom` is late
//!  ⏎ open  H hold  B abort  R roll back  / filter  : more  ? help
//! ```

use ratatui::layout::Rect;

use crate::{
    domain::{Timestamp, id::BackendId, observation::ActionOutcome},
    engine::{
        clear::{Mode, Refusal},
        world::{BackendState, Liveness, PlanRecord, StepState},
    },
    ui::{
        command::Command,
        keymap,
        line::Line,
        paint::Painter,
        screen::{Scene, Screen, acts::Act},
        sheet::Stage,
        sign::Sign,
        state::Overlay,
        text,
        theme::Role,
    },
};

/// How long the end of an action is shown.
const JUST_ENDED: chrono::TimeDelta = chrono::TimeDelta::seconds(20);

/// Draws the frame; returns what is left for the screen.
pub fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) -> Rect {
    top(painter, area, scene);
    painter.line(
        area.x + 1,
        area.y + 1,
        area.width - 2,
        &backends(scene, usize::from(area.width - 2)),
    );
    let acts = crate::ui::screen::acts(scene);
    let status = status(scene, &acts);
    painter.line(area.x + 1, area.bottom() - 2, area.width - 2, &status);
    bottom(painter, area, scene, &acts);
    Rect {
        y: area.y + 2,
        height: area.height - 4,
        ..area
    }
}

fn top(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let right = badges(scene, area.width >= 100);
    let room = usize::from(area.width).saturating_sub(painter.measure(&right) + 3);
    painter.line(area.x + 1, area.y, text::cells(room), &place(scene, room));
    painter.line_right(
        Rect {
            width: area.width - 1,
            ..area
        },
        area.y,
        &right,
    );
}

/// Where one is: environment in words, then the way here.
fn place(scene: &Scene<'_>, room: usize) -> Line {
    let line = Line::new().with(Role::Strong, "gonogo").text("  ");
    let screen = scene.state.view.screen;
    let Some(lane) = scene.lane().filter(|_| screen != Screen::Fleet) else {
        let line = environments(scene, line);
        return line.text("  ").with(Role::Strong, screen.name());
    };
    let role = if lane.critical {
        Role::Critical
    } else {
        Role::Info
    };
    let line = line.with(role, lane.environment.to_string());
    let mut tail = Line::new().with(
        Role::Strong,
        format!("{} {}", lane.service, scene.label_of(lane)),
    );
    if screen != Screen::Release {
        tail = tail
            .with(Role::Dim, " › ")
            .with(Role::Strong, screen.name());
    }
    // Where one is matters more than the way there.
    let way = Line::new().with(Role::Dim, "fleet › ");
    let line = line.text("  ");
    if line.width() + way.width() + tail.width() <= room {
        line.join(way).join(tail)
    } else {
        line.join(tail)
    }
}

fn environments(scene: &Scene<'_>, mut line: Line) -> Line {
    let names = &scene.world.catalog.environments;
    for (index, (name, spec)) in names.iter().take(3).enumerate() {
        if index > 0 {
            line = line.with(Role::Dim, " + ");
        }
        line = line.with(
            if spec.critical {
                Role::Critical
            } else {
                Role::Info
            },
            name.to_string(),
        );
    }
    if names.len() > 3 {
        line = line.with(Role::Dim, format!(" + {} more", names.len() - 3));
    }
    line
}

fn badges(scene: &Scene<'_>, wide: bool) -> Line {
    let state = scene.state;
    let mut line = match &state.still {
        Some(_) => Line::new().with(Role::Badge, " STILL "),
        None => Line::new().with(Role::Good, "LIVE"),
    };
    line = line.text(format!(" {}", text::clock(scene.now)));
    if let Some(badge) = state.setup.badge {
        line = line.text("  ").with(Role::Badge, format!(" {badge} "));
    }
    let critical = scene.lane().is_some_and(|lane| lane.critical);
    let mode = state.modes.of(critical, scene.now);
    let role = match mode {
        Mode::ReadOnly => Role::Dim,
        Mode::Brake => Role::Warn,
        Mode::ReadWrite => Role::Strong,
    };
    line = line.text("  ").with(role, mode.badge());
    if critical
        && mode == Mode::ReadWrite
        && let Some(until) = state.modes.open_until(scene.now)
    {
        line = line.with(
            Role::Warn,
            format!(" {}", text::age(text::between(scene.now, until))),
        );
    }
    if wide && !state.setup.person.is_empty() {
        line = line
            .text("  ")
            .with(Role::Dim, text::fit(&state.setup.person, 20));
    }
    line
}

/// How the backends are, as long as there is room for it.
fn backends(scene: &Scene<'_>, room: usize) -> Line {
    let full = all_backends(scene, Detail::Full);
    if full.width() <= room {
        return full;
    }
    let short = all_backends(scene, Detail::Ages);
    if short.width() <= room {
        short
    } else {
        all_backends(scene, Detail::Signs)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Full,
    Ages,
    Signs,
}

fn all_backends(scene: &Scene<'_>, detail: Detail) -> Line {
    let mut line = Line::new();
    for (index, id) in scene.world.catalog.backends.keys().enumerate() {
        if index > 0 {
            line = line.text("  ");
        }
        line = line.join(one_backend(scene, id, detail));
    }
    if line.0.is_empty() {
        return Line::dim("no backend is configured");
    }
    line
}

fn one_backend(scene: &Scene<'_>, id: &BackendId, detail: Detail) -> Line {
    let liveness = scene.world.liveness(id, scene.now);
    let state = scene.world.backends.get(id);
    let mut line = Line::new()
        .text(format!("{id} "))
        .sign(Sign::from(liveness));
    let role = match liveness {
        Liveness::Live | Liveness::Awaited | Liveness::Off => Role::Dim,
        Liveness::Late => Role::Warn,
        Liveness::Silent => Role::Bad,
    };
    if detail == Detail::Signs {
        return line;
    }
    if let Some(at) = state.and_then(|state| state.answered_at) {
        line = line.with(role, format!(" {}", text::ago(at, scene.now)));
    }
    match liveness {
        Liveness::Live | Liveness::Off => {}
        Liveness::Awaited | Liveness::Late | Liveness::Silent => {
            line = line.with(role, format!(" {}", trouble_word(state, liveness)));
        }
    }
    if detail == Detail::Full
        && let Some(budget) = state.and_then(|state| state.budget.as_ref())
    {
        line = line.with(Role::Dim, format!(" {} left", text::count(budget.left)));
    }
    line
}

fn trouble_word(state: Option<&BackendState>, liveness: Liveness) -> &'static str {
    match state.and_then(|state| state.trouble.as_ref()) {
        Some(trouble) => trouble.kind.word(),
        None => liveness.word(),
    }
}

/// The line above the hints: what was just said, else what is under way, else
/// the warning that matters most.
fn status(scene: &Scene<'_>, acts: &[Act]) -> Line {
    let state = scene.state;
    match &state.overlay {
        Some(Overlay::Filter(field, _)) => {
            let (before, after) = field.halves();
            let line = prompt("filter", before, after);
            return match &state.fleet.trouble {
                Some(trouble) => line
                    .text("   ")
                    .sign(Sign::Warn)
                    .with(Role::Warn, format!(" {trouble}")),
                None => line,
            };
        }
        Some(Overlay::Search(field)) => {
            let (before, after) = field.halves();
            return prompt("search", before, after);
        }
        _ => {}
    }
    if let Some(hold) = &state.hold {
        let text = format!(
            " hold {}: goes out unless another key comes",
            hold.plan.release_label
        );
        return Line::new().sign(Sign::Running).with(Role::Strong, text);
    }
    if let Some(toast) = &state.toast {
        return Line::new()
            .sign(toast.sign)
            .text(format!(" {}", toast.text));
    }
    under_way(scene).unwrap_or_else(|| warning(scene, acts))
}

/// A prompt with what has been typed and where the cursor is.
pub fn prompt(label: &str, before: &str, after: &str) -> Line {
    let mut rest = after.chars();
    let under = rest.next().map_or_else(|| " ".to_owned(), String::from);
    Line::new()
        .with(Role::Dim, format!("{label} "))
        .with(Role::Strong, before.to_owned())
        .with(Role::Badge, under)
        .with(Role::Strong, rest.collect::<String>())
}

fn under_way(scene: &Scene<'_>) -> Option<Line> {
    let running = scene
        .world
        .plans
        .values()
        .filter(|plan| plan.ended.is_none())
        .max_by_key(|plan| plan.started_at);
    if let Some(plan) = running {
        return Some(progress(plan, scene.now));
    }
    let ended = |plan: &&PlanRecord| {
        plan.ended
            .as_ref()
            .is_some_and(|(at, ..)| scene.now < *at + JUST_ENDED)
    };
    let latest = scene
        .world
        .plans
        .values()
        .filter(ended)
        .max_by_key(|plan| plan.ended.as_ref().map(|(at, ..)| *at))?;
    Some(progress(latest, scene.now))
}

/// How far a plan has come: sent, accepted, seen.
pub fn progress(plan: &PlanRecord, now: Timestamp) -> Line {
    let name = format!(" {} {}", plan.start.verb, plan.start.service);
    if let Some((at, outcome, note)) = &plan.ended {
        let took = text::age(text::between(plan.started_at, *at));
        let line = Line::new()
            .sign(outcome_sign(*outcome))
            .with(Role::Strong, name)
            .text(format!(": {} after {took}", outcome.word()));
        return if note.is_empty() {
            line
        } else {
            line.with(Role::Dim, format!("  {note}"))
        };
    }
    let count = plan.steps.len();
    let at = plan
        .steps
        .iter()
        .position(|step| !matches!(step.state, StepState::Seen { .. }));
    let step = at.and_then(|at| plan.steps.get(at));
    let said = match step.map(|step| (&step.state, step.nudged_at)) {
        None => "every effect was seen".to_owned(),
        Some((StepState::Waiting, _)) => "waits for the object to be quiet".to_owned(),
        Some((StepState::Sending { at }, _)) => format!("going out for {}", text::ago(*at, now)),
        Some((
            StepState::Answered {
                receipt,
                returned_at,
            },
            nudged,
        )) => {
            let answer = receipt.as_ref().map_or_else(
                |why| format!("not known whether it was taken ({why})"),
                |receipt| format!("accepted with {}", receipt.status),
            );
            let nudge = if nudged.is_some() { ", nudged" } else { "" };
            format!(
                "{answer}{nudge}, looking for the effect for {}",
                text::ago(*returned_at, now)
            )
        }
        Some((StepState::Seen { .. }, _)) => "seen".to_owned(),
    };
    Line::new()
        .sign(Sign::Running)
        .with(Role::Strong, name)
        .text(format!(
            ": step {} of {count}, {said}",
            at.map_or(count, |at| at + 1)
        ))
}

/// The sign of an outcome.
pub fn outcome_sign(outcome: ActionOutcome) -> Sign {
    match outcome {
        ActionOutcome::Confirmed => Sign::Good,
        ActionOutcome::Refused => Sign::Off,
        ActionOutcome::Failed => Sign::Bad,
        ActionOutcome::Unknown => Sign::Missing,
        ActionOutcome::Partial => Sign::Warn,
    }
}

/// The one warning that matters: a key that is off and why, else a backend in
/// trouble, else what a first-time user is told.
fn warning(scene: &Scene<'_>, acts: &[Act]) -> Line {
    let grey: Vec<&Act> = acts.iter().filter(|act| act.grey().is_some()).collect();
    if let Some(first) = grey.first() {
        let reason = first.why_or_effect();
        let keys: Vec<&str> = grey
            .iter()
            .filter(|act| act.why_or_effect() == reason)
            .map(|act| act.label.as_str())
            .collect();
        let on: Vec<&str> = acts
            .iter()
            .filter(|act| act.is_offered())
            .map(|act| act.label.as_str())
            .collect();
        let verb = if keys.len() == 1 { "is" } else { "are" };
        let said = match first.grey() {
            Some(Refusal::Mode(Mode::Brake)) => {
                format!(" {} {verb} off in BRAKE: `:rw` opens them", keys.join(" "))
            }
            _ => format!(" {} {verb} off: {reason}", keys.join(" ")),
        };
        let line = Line::new().sign(Sign::Warn).text(said);
        return if on.is_empty() {
            line
        } else {
            line.with(Role::Dim, format!("; {} stay on", on.join(" ")))
        };
    }
    let silent = scene
        .world
        .catalog
        .backends
        .keys()
        .find(|id| scene.world.liveness(id, scene.now) == Liveness::Silent);
    if let Some(id) = silent {
        let word = trouble_word(scene.world.backends.get(id), Liveness::Silent);
        return Line::new().sign(Sign::Bad).text(format!(
            " backend `{id}`: {word}; i says what it takes with it"
        ));
    }
    match scene.state.setup.coach.first() {
        Some(told) if !scene.state.coached => Line::dim(told.to_string()),
        Some(_) | None => Line::new(),
    }
}

/// The keys that work here; whole items are dropped from the right, `?` never.
fn bottom(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>, acts: &[Act]) {
    let y = area.bottom() - 1;
    let end = Line::new()
        .with(Role::Key, ":")
        .text(" more  ")
        .with(Role::Key, "?")
        .text(" help");
    let mut room = usize::from(area.width).saturating_sub(painter.measure(&end) + 4);
    let mut x = area.x + 1;
    for hint in hints(scene, acts) {
        let width = painter.measure(&hint);
        if room < width {
            break;
        }
        painter.line(x, y, text::cells(width), &hint);
        x += text::cells(width) + 2;
        room = room.saturating_sub(width + 2);
    }
    painter.line(x, y, area.right().saturating_sub(x), &end);
}

fn hints(scene: &Scene<'_>, acts: &[Act]) -> Vec<Line> {
    let in_log = scene.state.log.is_some() && scene.state.view.screen == Screen::Run;
    let look = |command: Command| {
        keymap::binding(command).map(|binding| {
            let hint = match (command, in_log) {
                (Command::Follow, true) => "follow",
                (Command::Wrap, false) => "window",
                (Command::Filter, true) => "search",
                _ => binding.hint,
            };
            Line::new()
                .with(Role::Key, binding.label)
                .text(format!(" {hint}"))
        })
    };
    if let Some(overlay) = &scene.state.overlay {
        return overlay_hints(overlay);
    }
    let own: &[Command] = match scene.state.view.screen {
        Screen::Fleet => &[
            Command::Filter,
            Command::Sort,
            Command::Columns,
            Command::Info,
            Command::Copy,
        ],
        Screen::Release => &[
            Command::Diff,
            Command::Logs,
            Command::Info,
            Command::Browse,
            Command::LastView,
        ],
        Screen::Run if scene.state.log.is_some() => &[
            Command::Follow,
            Command::Wrap,
            Command::Stamps,
            Command::Filter,
            Command::NextMatch,
            Command::Close,
        ],
        Screen::Run => &[
            Command::Logs,
            Command::PreviousAttempt,
            Command::NextAttempt,
            Command::Browse,
        ],
        Screen::Gates => &[Command::Browse, Command::Copy, Command::Sort, Command::Diff],
        Screen::Rollout => &[Command::Wrap, Command::Zoom, Command::Follow, Command::Info],
        Screen::Audit => &[Command::Raw, Command::Copy, Command::Refresh],
        Screen::Help | Screen::Messages => &[Command::Close],
    };
    let mut hints: Vec<Line> = look(Command::Open).into_iter().collect();
    if !matches!(scene.state.view.screen, Screen::Help | Screen::Messages) {
        hints.extend(acts.iter().filter(|act| act.is_offered()).map(Act::hint));
    }
    hints.extend(own.iter().filter_map(|command| look(*command)));
    // In brackets, so that what is off is told apart without colour.
    let grey = acts.iter().filter(|act| act.grey().is_some());
    hints.extend(grey.map(|act| Line::dim(format!("({} {})", act.label, act.word))));
    hints
}

fn overlay_hints(overlay: &Overlay) -> Vec<Line> {
    let said: &[(&str, &str)] = match overlay {
        Overlay::Sheet(sheet) if matches!(sheet.stage, Stage::Bend(_)) => {
            &[("Tab", "other field"), ("⏎", "go on"), ("Esc", "close")]
        }
        Overlay::Sheet(sheet) if sheet.is_typing() => {
            &[("Esc", "leaves the field"), ("⏎", "keeps it")]
        }
        Overlay::Sheet(_) => &[
            ("1-4", "reason"),
            ("t", "other target"),
            ("d", "requests"),
            ("Esc", "close"),
        ],
        Overlay::Filter(..) => &[("⏎", "keep"), ("Esc", "as before")],
        Overlay::Search(_) => &[("⏎", "find"), ("Esc", "close")],
        Overlay::Palette(..) => &[
            ("Tab", "complete"),
            ("↑↓", "choose"),
            ("⏎", "run; what acts opens its sheet"),
            ("Esc", "close"),
        ],
        Overlay::Columns(_) => &[("⏎", "show or hide"), ("Esc", "close")],
        Overlay::Page(..) => &[("j k", "scroll"), ("Esc", "close")],
        Overlay::Links(..) => &[
            ("⏎", "open in the browser"),
            ("c", "copy"),
            ("Esc", "close"),
        ],
        Overlay::Leaving => &[("q", "leave"), ("Esc", "stay")],
    };
    said.iter()
        .map(|(key, what)| Line::new().with(Role::Key, *key).text(format!(" {what}")))
        .collect()
}
