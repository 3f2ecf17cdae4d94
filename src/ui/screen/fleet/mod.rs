//! All releases: first what waits for a person, then one row per service and
//! environment.
//!
//! ```text
//! ┌ waits for a person 3 ─────────────────────────── oldest 34m ┐
//! │ ✗ fraud    418          GATE    fairness 0.071 > 0.05  34m  X │
//! └───────────────────────────────────────────────────────────────┘
//!    RELEASE  VERSION       ENV   STAGE       ALFXDQSI CANARY  AGE
//! ▶‖ recsys   2026.08.21-3  eu    canary 2/4  ✓✓✓✓▲✓✓✓ 30 ███░ 41m
//! ```
//!
//! From 115 columns on there is a preview of the marked row, from 170 on the
//! marked release in full. Only rows on screen are laid out.

mod queue;
pub mod view;

use std::{collections::BTreeSet, ops::Range};

use ratatui::layout::{Constraint, Layout, Rect};

use crate::{
    domain::{id::ReleaseId, quantity::counted, text::Clean},
    engine::{
        self,
        lane::{Lane, Place, WaitsFor},
    },
    ui::{
        line::Line,
        paint::Painter,
        screen::{
            Scene,
            facts::{lane_sign, waits},
            panel,
        },
        sign::Sign,
        text,
        theme::Role,
        widget::{
            bar, strip,
            table::{self, Column, column},
        },
    },
};

pub use crate::ui::screen::fleet::view::{FleetView, Totals, refresh};

/// Columns by their names in filters, in the order shown.
pub const COLUMNS: &[&str] = &[
    "service", "version", "env", "stage", "gates", "canary", "waits", "owner", "age",
];

/// Draws the fleet.
pub fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let waiting = &scene.state.fleet.queue;
    let most = usize::from(area.height / 5).max(3);
    let queue_rows = text::cells(waiting.len().min(most));
    let queue_height = if waiting.is_empty() {
        1
    } else {
        queue_rows + 2
    };
    let taken = queue_height + text::cells(scene.state.fleet.order.len() + 3);
    let coach = coach_height(area, area.height.saturating_sub(taken), scene);
    let [top, middle, told, foot] = Layout::vertical([
        Constraint::Length(queue_height),
        Constraint::Min(4),
        Constraint::Length(coach),
        Constraint::Length(2),
    ])
    .areas(area);
    queue::draw(painter, top, scene, waiting);
    draw_middle(painter, middle, scene);
    if coach > 0 {
        draw_coach(painter, told, scene);
    }
    let rows = rows(scene, middle);
    let width = usize::from(foot.width);
    painter.lines(foot, &[totals(scene, &rows), legend(width)]);
}

/// The rows of the table that an area shows, without its heading.
fn rows(scene: &Scene<'_>, area: Rect) -> Range<usize> {
    let view = &scene.state.fleet;
    let marked = scene.state.view.lane.as_ref();
    let marked = marked.and_then(|lane| view.place_of(lane));
    let height = usize::from(area.height.saturating_sub(1));
    table::window(view.order.len(), marked, height)
}

fn draw_middle(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let side = match area.width {
        // Narrower than this, the names of the stages would be cut.
        170.. if area.height >= 24 => area.width - 86,
        // Beside it the table still has all it has in a window of 80.
        115.. if area.height >= 12 => 34,
        _ => 0,
    };
    let [rows, preview] =
        Layout::horizontal([Constraint::Min(40), Constraint::Length(side)]).areas(area);
    draw_table(painter, rows, scene);
    if side > 40 {
        panel::cockpit(painter, preview, scene);
    } else if side > 0 {
        panel::preview(painter, preview, scene);
    }
}

/// The columns for a width: the fixed ones, then what is over goes to those
/// whose text is cut most often.
fn columns(width: usize, hidden: &BTreeSet<&'static str>) -> Vec<(&'static str, Column)> {
    let mut columns: Vec<(&'static str, Column)> = [
        ("service", column("RELEASE", 14)),
        ("version", column("VERSION", 12)),
        ("env", column("ENV", 8)),
        ("stage", column("STAGE", 11)),
        ("gates", column(strip::CLASSES, 8)),
        ("canary", column("CANARY", 7)),
        ("waits", column("WAITS", 6)),
        ("owner", column("OWNER", 8)),
        ("age", table::number("AGE", 4)),
    ]
    .into_iter()
    .filter(|(name, _)| !hidden.contains(name) && (*name != "owner" || width >= 92))
    .collect();
    let taken: usize = 3 + columns
        .iter()
        .map(|(_, column)| column.width + 1)
        .sum::<usize>();
    let mut over = width.saturating_sub(taken);
    for (wanted, most) in [
        ("version", 6),
        ("service", 10),
        ("waits", 14),
        ("env", 6),
        ("stage", 5),
        ("canary", 8),
        ("owner", 8),
    ] {
        if let Some((_, column)) = columns.iter_mut().find(|(name, _)| *name == wanted) {
            let given = over.min(most);
            column.width += given;
            over -= given;
        }
    }
    columns
}

fn draw_table(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let view = &scene.state.fleet;
    let columns = columns(usize::from(area.width), &view.hidden);
    let shapes: Vec<Column> = columns.iter().map(|(_, column)| *column).collect();
    let shifted = Rect {
        x: area.x + 1,
        width: area.width - 1,
        ..area
    };
    table::heading(painter, shifted, &shapes);
    if view.order.is_empty() {
        let text = if view.filter.is_empty() {
            "no service is configured: `gonogo init` writes a configuration"
        } else {
            "nothing passes the filter; Esc clears it"
        };
        painter.line(
            area.x + 3,
            area.y + 2,
            area.width.saturating_sub(3),
            &Line::dim(text),
        );
        return;
    }
    let marked = scene
        .state
        .view
        .lane
        .as_ref()
        .and_then(|lane| view.place_of(lane));
    let window = rows(scene, area);
    table::marks(painter, area, &window, view.order.len());
    for (index, y) in window.zip(area.y + 1..area.bottom()) {
        let Some(lane) = view
            .order
            .get(index)
            .and_then(|id| scene.world.lanes.get(id))
        else {
            continue;
        };
        let decision = scene.decision_of(lane);
        let cells: Vec<Line> = columns
            .iter()
            .map(|(name, column)| cell(scene, lane, name, column.width))
            .collect();
        table::row(painter, shifted, y, &shapes, &cells, false);
        painter.line(
            area.x + 1,
            y,
            1,
            &Line::new().sign(lane_sign(lane, decision)),
        );
        if marked == Some(index) {
            painter.text(area.x, y, 1, "▶", Role::Key);
            painter.wash(
                Rect {
                    y,
                    height: 1,
                    ..area
                },
                painter.look.theme.cursor(painter.look.depth),
            );
        }
    }
}

fn cell(scene: &Scene<'_>, lane: &Lane, name: &str, width: usize) -> Line {
    match name {
        "service" => Line::new().with(Role::Strong, lane.service.to_string()),
        "version" => Line::plain(scene.label_of(lane).to_string()),
        "env" => {
            let role = if lane.critical {
                Role::Critical
            } else {
                Role::Dim
            };
            Line::new().with(role, lane.environment.to_string())
        }
        "stage" => match &lane.place {
            Place::Canary {
                held: true, weight, ..
            } => Line::new().with(Role::Hold, format!("held {weight}")),
            // The longer word does not fit; where to is in the queue.
            Place::RollingBack { .. } | Place::Aborting { .. } => {
                Line::new().with(Role::Bad, "going back")
            }
            place => Line::plain(place.word()),
        },
        "gates" => strip::strip(scene.decision_of(lane)),
        "canary" => canary(scene, lane, width),
        "waits" if matches!(lane.place, Place::RollingBack { held: false, .. }) => {
            others(scene, lane, width)
        }
        "waits" if lane.back_aborted.is_some() => others(scene, lane, width),
        "waits" => match engine::queue::waits_for(scene.world, lane) {
            WaitsFor::Nothing => others(scene, lane, width),
            somebody => waits(&somebody, &lane.place, scene.now),
        },
        "owner" => {
            let actor = scene
                .release_of(lane)
                .map(|release| release.actor.to_string());
            Line::dim(actor.unwrap_or_default())
        }
        "age" => Line::dim(
            lane.since
                .map_or_else(String::new, |since| text::ago(since, scene.now)),
        ),
        _ => Line::new(),
    }
}

/// Where nothing is waited for: what else there is to know about the place.
fn others(scene: &Scene<'_>, lane: &Lane, width: usize) -> Line {
    let label = |id: Option<&ReleaseId>| Some(scene.world.release(id?)?.label.to_string());
    match &lane.place {
        Place::RollingBack { to, .. } => Line::new()
            .sign(Sign::Back)
            .with(Role::Bad, format!(" {to}")),
        Place::Live if lane.back_aborted.is_some() => {
            let to = lane.back_aborted.as_deref().unwrap_or_default();
            Line::new()
                .sign(Sign::Person)
                .with(Role::Person, format!(" to {to}?"))
        }
        Place::Live => match label(lane.rolled_back.as_ref()) {
            Some(back) => Line::new()
                .sign(Sign::Back)
                .with(Role::Dim, format!(" {back}")),
            None => Line::new(),
        },
        Place::Aborted => {
            let live = label(lane.live.as_ref()).unwrap_or_default();
            let said = format!("live {live}");
            Line::dim(if text::width(&said) <= width {
                said
            } else {
                live
            })
        }
        Place::Rejected { by, .. } => Line::dim(format!("by {by}")),
        Place::Pipeline { .. }
        | Place::RunFailed
        | Place::Built
        | Place::Approval { .. }
        | Place::Canary { .. }
        | Place::Aborting { .. }
        | Place::Degraded
        | Place::Unknown { .. } => Line::new(),
    }
}

/// The share the shown release has, by pods or requests as the controller moves them.
fn canary(scene: &Scene<'_>, lane: &Lane, width: usize) -> Line {
    let role = match &lane.place {
        Place::Canary { .. } => Role::Canary,
        Place::RollingBack { .. } | Place::Aborting { .. } => Role::Bad,
        Place::Live => Role::Good,
        Place::Aborted => Role::Dim,
        Place::Pipeline { .. }
        | Place::RunFailed
        | Place::Rejected { .. }
        | Place::Built
        | Place::Approval { .. }
        | Place::Degraded
        | Place::Unknown { .. } => return Line::new(),
    };
    let rollout = scene.world.rollouts.get(&lane.target);
    let percent = rollout.map_or(0, |rollout| lane.share(rollout.weight_actual).get());
    let bar = bar::share(percent, width.saturating_sub(4), role);
    Line::plain(format!("{percent:>3} ")).join(bar)
}

/// Numbers of the whole fleet, and which of its rows are on screen.
fn totals(scene: &Scene<'_>, rows: &Range<usize>) -> Line {
    let shown = scene.state.fleet.order.len();
    let Totals {
        all,
        bad,
        asked,
        held,
        canaries,
    } = scene.state.fleet.totals;
    let mut line = Line::plain(" ");
    line = if rows.len() < shown {
        let filtered = if shown < all {
            format!(", {all} in all")
        } else {
            String::new()
        };
        line.text(format!(
            "rows {}–{} of {shown}{filtered}",
            rows.start + 1,
            rows.end
        ))
    } else if shown == all {
        line.text(counted(all, "release", "releases"))
    } else {
        line.text(format!(
            "{shown} of {} shown",
            counted(all, "release", "releases")
        ))
    };
    // What hides rows matters more than what is counted over all of them.
    if !scene.state.fleet.filter.is_empty() {
        line = line
            .with(Role::Dim, " · ")
            .with(Role::Key, format!("/ {}", scene.state.fleet.filter));
    }
    if let Some(trouble) = &scene.state.fleet.trouble {
        line = line
            .text(" ")
            .sign(Sign::Warn)
            .with(Role::Warn, format!(" {trouble}"));
    }
    for (count, sign, one, many) in [
        (bad, Sign::Bad, "bad", "bad"),
        (asked, Sign::Person, "to answer", "to answer"),
        (held, Sign::Held, "held", "held"),
        (canaries, Sign::Running, "under way", "under way"),
    ] {
        if count > 0 {
            line = line
                .with(Role::Dim, " · ")
                .sign(sign)
                .text(format!(" {}", counted(count, one, many)));
        }
    }
    line.with(
        Role::Dim,
        format!(" · by {}", scene.state.fleet.sort.name()),
    )
}

/// Classes and signs of the strip; abbreviated where they would not fit. What is
/// normal may be left out, what is wrong may not.
fn legend(width: usize) -> Line {
    let (whole, left_out) = legend_of(strip::LEGEND, &SIGNS, "  ", width);
    if left_out <= 1 {
        return whole;
    }
    legend_of(strip::SHORT_LEGEND, &SHORT_SIGNS, " ", width).0
}

/// Signs of the strip and what they say.
const SIGNS: [(Sign, &str); 8] = [
    (Sign::Good, "pass"),
    (Sign::Warn, "warn"),
    (Sign::Bad, "fail"),
    (Sign::Missing, "missing"),
    (Sign::Stale, "stale"),
    (Sign::Error, "error"),
    (Sign::NotYet, "not yet"),
    (Sign::Off, "n/a"),
];

/// Where there is little room: what does not speak for itself first.
const SHORT_SIGNS: [(Sign, &str); 8] = [
    (Sign::Missing, "missing"),
    (Sign::Stale, "stale"),
    (Sign::Error, "error"),
    (Sign::NotYet, "later"),
    (Sign::Off, "n/a"),
    (Sign::Bad, "fail"),
    (Sign::Warn, "warn"),
    (Sign::Good, "pass"),
];

/// As many signs as fit, and how many do not.
fn legend_of(classes: &str, signs: &[(Sign, &str)], gap: &str, width: usize) -> (Line, usize) {
    let mut line = Line::dim(format!(" {classes}"));
    for (index, (sign, word)) in signs.iter().copied().enumerate() {
        let longer = line
            .clone()
            .with(Role::Dim, gap)
            .sign(sign)
            .with(Role::Dim, format!(" {word}"));
        if width < longer.width() {
            return (line, signs.len() - index);
        }
        line = longer;
    }
    (line, 0)
}

/// What a first-time user is told now: hints whose moment is over, or has not
/// come, are left out.
pub fn hints<'a>(scene: &Scene<'a>) -> Vec<&'a Clean> {
    scene
        .state
        .setup
        .coach
        .iter()
        .filter(|hint| {
            let holds = |filter: &String| view::finds(scene.world, filter);
            hint.holds.as_ref().is_none_or(holds)
        })
        .map(|hint| &hint.text)
        .collect()
}

/// As high as what is told, as far as the table leaves room, and a third of the
/// screen in any case.
fn coach_height(area: Rect, free: u16, scene: &Scene<'_>) -> u16 {
    if scene.state.coached {
        return 0;
    }
    let told = hints(scene);
    if told.is_empty() || area.height < 18 {
        return 0;
    }
    let lines: usize = told
        .iter()
        .map(|line| text::wrap(line, usize::from(area.width) - 4).len())
        .sum();
    (text::cells(lines) + 2).min(free.max(area.height / 3))
}

fn draw_coach(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let (width, height) = (area.width.saturating_sub(4), area.height.saturating_sub(2));
    let told = hints(scene);
    let mut lines = Vec::new();
    let mut shown = 0;
    for hint in &told {
        let wrapped = text::wrap(hint, usize::from(width));
        // Half a hint leads nowhere.
        if usize::from(height) < lines.len() + wrapped.len() {
            break;
        }
        lines.extend(
            wrapped
                .into_iter()
                .map(|line| Line::plain(format!(" {line}"))),
        );
        shown += 1;
    }
    let more = match told.len() - shown {
        0 => String::new(),
        more => format!("{more} more in a larger window   "),
    };
    let title = Line::new().with(Role::Strong, "first time here?");
    let remark = Line::dim(format!("{more}Esc closes this"));
    let inside = painter.frame_as(area, &title, &remark, Role::Info);
    painter.lines(inside, &lines);
}
