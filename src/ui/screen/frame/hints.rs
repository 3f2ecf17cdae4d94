//! The last line: which keys work here.

use ratatui::layout::Rect;

use crate::ui::{
    command::Command,
    keymap,
    line::Line,
    paint::Painter,
    screen::{Scene, Screen, acts::Act, fleet},
    sheet::{Sheet, Stage, reasons},
    state::Overlay,
    text,
    theme::Role,
};

/// The keys that work here; whole items are dropped from the right, `?` never.
pub(super) fn bottom(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>, acts: &[Act]) {
    let y = area.bottom() - 1;
    // Where keys are text or close what is open, these two mean nothing.
    let end = if scene.state.overlay.is_some() {
        Line::new()
    } else {
        Line::new()
            .with(Role::Key, ":")
            .text(" more  ")
            .with(Role::Key, "?")
            .text(" help")
    };
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
            self::hint(binding.label, hint)
        })
    };
    if let Some(overlay) = &scene.state.overlay {
        let mut hints = overlay_hints(overlay);
        if matches!(overlay, Overlay::Filter(..)) {
            let columns = Line::dim(format!("columns: {}", fleet::view::TERMS.join(" ")));
            // Who named a column that does not exist needs them most.
            let at = if scene.state.fleet.trouble.is_some() {
                0
            } else {
                hints.len()
            };
            hints.insert(at, columns);
        }
        return hints;
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
        Overlay::Sheet(sheet) if matches!(sheet.stage, Stage::Bend(_)) => &[
            ("Tab", "other field"),
            ("PgDn", "requests"),
            ("⏎", "go on"),
            ("Esc", "close"),
        ],
        Overlay::Sheet(sheet) if sheet.is_typing() => {
            &[("Esc", "leaves the field"), ("⏎", "keeps it")]
        }
        Overlay::Sheet(sheet) => return sheet_hints(sheet),
        Overlay::Filter(..) => &[("⏎", "keep"), ("^u", "clear"), ("Esc", "as before")],
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
    said.iter().map(|(key, what)| hint(key, what)).collect()
}

fn hint(key: &str, what: &str) -> Line {
    Line::new().with(Role::Key, key).text(format!(" {what}"))
}

/// Keys of a sheet that do something on this one.
fn sheet_hints(sheet: &Sheet) -> Vec<Line> {
    let mut hints = vec![if reasons(sheet.plan.ask.verb).is_some() {
        hint("1-4", "reason")
    } else {
        hint("1 2", "which jobs")
    }];
    if sheet.targets.len() > 1 {
        hints.push(hint("t", "other target"));
    }
    if sheet.turned + 1 < sheet.parts {
        hints.push(hint("d", "read on"));
    } else if sheet.pages > 1 {
        hints.push(hint("d", "requests"));
    }
    hints.push(hint("Esc", "close"));
    hints
}
