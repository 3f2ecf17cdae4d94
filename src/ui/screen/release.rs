//! One release as one flow, with what it is made of, its rollout, its gates and
//! what happened.
//!
//! ```text
//! commit   tests    train    gates    build    approve  rollout  live
//! ✓━━━━━━━ ✓━━━━━━━ ✓━━━━━━━ ▲━━━━━━━ ✓━━━━━━━ ✓━━━━━━━ ‖╌╌╌╌╌╌╌ ·
//! ┌ made of ─────────────────┐┌ rollout ──────────────────── 30 % ┐
//! ┌ gates ── GO WITH WARNINGS ┐┌ if you act now ─────────────────┐
//! ┌ timeline ───────────────────────────────────────────────────┐
//! ```

use ratatui::layout::{Constraint, Layout, Rect};

use crate::ui::{
    line::Line,
    paint::Painter,
    screen::{SIDEWAYS, Scene, Screen, panel},
    text,
    theme::Role,
};

/// Panes `Tab` walks through; one of them fills the screen when zoomed.
pub const PANES: usize = 5;

/// Draws the screen.
pub fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    if scene.lane().is_none() {
        let hint = Line::dim("no release is marked: 1 goes to the fleet");
        painter.line(area.x + 1, area.y + 1, area.width - 1, &hint);
        return;
    }
    if scene.state.zoomed {
        pane(painter, area, scene, scene.state.pane());
        return;
    }
    let [flow, rest] = Layout::vertical([Constraint::Length(5), Constraint::Min(6)]).areas(area);
    let inside = Rect {
        x: flow.x + 1,
        y: flow.y,
        width: flow.width - 2,
        height: flow.height,
    };
    painter.lines(
        inside,
        &panel::flow::lines(scene, usize::from(inside.width)),
    );
    if area.width < HALVES || rest.height < 21 {
        stacked(painter, rest, scene);
        return;
    }
    let wanted = |index: usize| wanted(scene, index, rest.width / 2);
    let timeline = if rest.height < 25 { 4 } else { 6 };
    let rows = [
        (TOP, wanted(0).max(wanted(1))),
        (LOWER, wanted(2)),
        (timeline, timeline),
    ];
    let [top, middle, bottom] =
        Layout::vertical(heights(rest.height, &rows, wanted(3))).areas(rest);
    for (area, panes) in [(top, [0, 1]), (middle, [2, 3])] {
        let [left, right] = Layout::horizontal([Constraint::Percentage(50); 2]).areas(area);
        pane(painter, left, scene, panes[0]);
        pane(painter, right, scene, panes[1]);
    }
    pane(painter, bottom, scene, 4);
}

/// From this width on gates and keys stand beside each other: half of it says of
/// a gate what the whole of a small window says.
const HALVES: u16 = 120;
/// Rows that what a release is made of and its rollout have in the smallest usual window.
const TOP: u16 = 8;
/// Rows that its gates have there.
const LOWER: u16 = 7;

/// Gates, keys and timeline below each other as far as there is room. `Tab`
/// brings those that have none to where the last one is.
fn stacked(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let chosen = scene.state.pane();
    let below: Vec<usize> = match area.height {
        32.. => vec![2, 3, 4],
        26.. => vec![2, if chosen == 4 { 4 } else { 3 }],
        _ => vec![if chosen < 3 { 2 } else { chosen }],
    };
    let half = area.width / 2;
    let top = TOP.min(area.height * 5 / 9);
    let mut rows = vec![(top, wanted(scene, 0, half).max(wanted(scene, 1, half)))];
    for index in &below {
        let least = if *index == 2 { LOWER } else { 6 };
        rows.push((least, wanted(scene, *index, area.width)));
    }
    let areas = Layout::vertical(heights(area.height, &rows, 0)).split(area);
    let [first, rest @ ..] = &*areas else {
        return;
    };
    let [left, right] = Layout::horizontal([Constraint::Percentage(50); 2]).areas(*first);
    pane(painter, left, scene, 0);
    pane(painter, right, scene, 1);
    for (area, index) in rest.iter().zip(below) {
        pane(painter, *area, scene, index);
    }
}

/// Rows a pane would fill.
fn wanted(scene: &Scene<'_>, index: usize, width: u16) -> u16 {
    text::cells(text_of(scene, index, usize::from(width)).len() + 2)
}

/// Heights of rows of panes, each given as (at least, wanted): every one gets
/// its least, then the second (the gates), the first and the others what they
/// want, then the second what the keys beside it want. What is left over is the
/// last one's.
fn heights(total: u16, rows: &[(u16, u16)], keys: u16) -> Vec<Constraint> {
    let mut over = total;
    let mut heights: Vec<u16> = Vec::new();
    for (least, _) in rows {
        let given = over.min(*least);
        over -= given;
        heights.push(given);
    }
    let order = [1, 0].into_iter().chain(2..rows.len());
    for index in order {
        if let (Some(height), Some((_, wanted))) = (heights.get_mut(index), rows.get(index)) {
            let more = over.min(wanted.saturating_sub(*height));
            *height += more;
            over -= more;
        }
    }
    if let Some(second) = heights.get_mut(1) {
        let more = over.min(keys.saturating_sub(*second));
        *second += more;
        over -= more;
    }
    if let Some(last) = heights.last_mut() {
        *last += over;
    }
    heights.into_iter().map(Constraint::Length).collect()
}

/// What a pane says in a frame of this width.
fn text_of(scene: &Scene<'_>, index: usize, width: usize) -> Vec<Line> {
    let width = width.saturating_sub(4);
    match index {
        0 => panel::parts::lines(scene),
        1 => {
            // What users feel matters more than what the controller says of itself.
            let (mut said, more) = panel::canary::parts(scene, width);
            said.extend(panel::metrics::short(scene, width));
            said.extend(more);
            said
        }
        2 => panel::findings::lines(scene, width),
        3 => panel::acts_lines(scene, width),
        _ => panel::timeline::lines(scene),
    }
}

fn pane(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>, index: usize) {
    let (title, remark) = match index {
        0 => ("made of", Line::new()),
        1 => (panel::canary::title(scene), panel::canary::weight(scene)),
        2 => ("gates", panel::decision_line(scene)),
        3 => ("if you act now", Line::dim("nothing is sent yet")),
        _ => ("timeline", Line::new()),
    };
    let border = if scene.state.pane() == index {
        Role::Key
    } else {
        Role::Border
    };
    let said = text_of(scene, index, usize::from(area.width));
    panel::framed(painter, area, title, &remark, &said, border);
}

/// The stages, for `←` and `→`.
pub fn ids(scene: &Scene<'_>, pane: usize) -> Vec<String> {
    if pane != SIDEWAYS {
        return Vec::new();
    }
    panel::flow::stages(scene)
        .iter()
        .map(|stage| stage.name.to_owned())
        .collect()
}

/// The stage the release stands at.
pub fn here(scene: &Scene<'_>) -> Option<String> {
    panel::flow::stages(scene)
        .iter()
        .find(|stage| stage.here)
        .map(|stage| stage.name.to_owned())
}

/// The screen that says more about the chosen stage.
pub fn leads_to(scene: &Scene<'_>) -> Screen {
    let chosen = scene
        .state
        .mark_of(SIDEWAYS)
        .map(str::to_owned)
        .or_else(|| here(scene));
    match chosen.as_deref() {
        Some("gates") => Screen::Gates,
        Some("rollout" | "live") | None => Screen::Rollout,
        Some(_) => Screen::Run,
    }
}
