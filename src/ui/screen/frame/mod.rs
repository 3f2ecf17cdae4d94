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

mod hints;
mod status;

use ratatui::layout::Rect;

use crate::{
    domain::id::BackendId,
    engine::{
        clear::Mode,
        world::{BackendState, Liveness},
    },
    ui::{
        line::Line,
        paint::Painter,
        screen::{Scene, Screen},
        sign::Sign,
        text,
        theme::Role,
    },
};

pub use crate::ui::screen::frame::status::{outcome_sign, progress, prompt};

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
    let status = status::status(scene, &acts);
    painter.line(area.x + 1, area.bottom() - 2, area.width - 2, &status);
    hints::bottom(painter, area, scene, &acts);
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

/// Whether every backend answers what it is asked.
fn is_well(scene: &Scene<'_>) -> bool {
    scene.world.catalog.backends.keys().all(|id| {
        let state = scene.world.backends.get(id);
        let liveness = scene.world.liveness(id, scene.now);
        matches!(liveness, Liveness::Live | Liveness::Off | Liveness::Awaited)
            && state.is_none_or(|state| state.trouble.is_none())
    })
}

fn badges(scene: &Scene<'_>, wide: bool) -> Line {
    let state = scene.state;
    let mut line = match &state.still {
        Some(_) => Line::new().with(Role::Badge, " STILL "),
        None if is_well(scene) => Line::new().with(Role::Good, "LIVE"),
        None => Line::new().with(Role::Warn, "LIVE"),
    };
    line = line.text(format!(" {}", text::clock(scene.now)));
    if let Some(badge) = state.setup.badge {
        line = line.text("  ").with(Role::Badge, format!(" {badge} "));
    }
    // With nothing marked (a filter may hide all rows) the strictest holds.
    let environments = &scene.world.catalog.environments;
    let critical = scene.lane().map_or_else(
        || environments.values().any(|spec| spec.critical),
        |lane| lane.critical,
    );
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
    let shorter = [Detail::Words, Detail::Ages]
        .map(|detail| all_backends(scene, detail))
        .into_iter()
        .find(|line| line.width() <= room);
    shorter.unwrap_or_else(|| all_backends(scene, Detail::Signs))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// Sign, age, what is wrong, what is left of the budget.
    Full,
    /// Without the budget.
    Words,
    /// Sign and age.
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
    // Some of it fails while the rest answers: no silence yet, and not well either.
    let ailing = liveness == Liveness::Live && state.is_some_and(|state| state.trouble.is_some());
    let (sign, role) = match liveness {
        Liveness::Live if ailing => (Sign::Warn, Role::Warn),
        Liveness::Live | Liveness::Awaited | Liveness::Off => (Sign::from(liveness), Role::Dim),
        Liveness::Late => (Sign::from(liveness), Role::Warn),
        Liveness::Silent => (Sign::from(liveness), Role::Bad),
    };
    let mut line = Line::new().text(format!("{id} ")).sign(sign);
    if detail == Detail::Signs {
        return line;
    }
    if let Some(at) = state.and_then(|state| state.answered_at) {
        line = line.with(role, format!(" {}", text::ago(at, scene.now)));
    }
    match liveness {
        Liveness::Live if !ailing => {}
        Liveness::Off => {}
        _ if detail == Detail::Ages => {}
        Liveness::Live | Liveness::Awaited | Liveness::Late | Liveness::Silent => {
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

pub(super) fn trouble_word(state: Option<&BackendState>, liveness: Liveness) -> &'static str {
    match state.and_then(|state| state.trouble.as_ref()) {
        Some(trouble) => trouble.kind.word(),
        None => liveness.word(),
    }
}
