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
    if area.height < 26 {
        narrow(painter, rest, scene);
        return;
    }
    let said: Vec<usize> = (0..PANES)
        .map(|index| text_of(scene, index, usize::from(rest.width / 2)).len() + 2)
        .collect();
    let wanted = |a: usize, b: usize| {
        let most = said.get(a).max(said.get(b)).copied().unwrap_or_default();
        text::cells(most)
    };
    // What is said decides the heights; what is left over is the timeline's.
    let first = wanted(0, 1);
    let second = wanted(2, 3).min(rest.height.saturating_sub(first + 8));
    let timeline = rest.height.saturating_sub(first + second).max(6);
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Max(first),
        Constraint::Max(second),
        Constraint::Length(timeline),
    ])
    .areas(rest);
    let halves = [Constraint::Percentage(50), Constraint::Percentage(50)];
    let [top_left, top_right] = Layout::horizontal(halves).areas(top);
    let [middle_left, middle_right] = Layout::horizontal(halves).areas(middle);
    for (index, area) in [top_left, top_right, middle_left, middle_right, bottom]
        .into_iter()
        .enumerate()
    {
        pane(painter, area, scene, index);
    }
}

/// Where there is no room for all, `Tab` brings the others to where the gates are.
fn narrow(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let [top, bottom] = Layout::vertical([Constraint::Fill(5), Constraint::Fill(4)]).areas(area);
    let halves = [Constraint::Percentage(50), Constraint::Percentage(50)];
    let [top_left, top_right] = Layout::horizontal(halves).areas(top);
    pane(painter, top_left, scene, 0);
    pane(painter, top_right, scene, 1);
    let chosen = match scene.state.pane() {
        3 => 3,
        4 => 4,
        _ => 2,
    };
    pane(painter, bottom, scene, chosen);
}

/// What a pane says in a frame of this width.
fn text_of(scene: &Scene<'_>, index: usize, width: usize) -> Vec<Line> {
    let width = width.saturating_sub(4);
    match index {
        0 => panel::parts::lines(scene),
        1 => {
            let mut said = panel::canary::lines(scene, width);
            said.extend(panel::metrics::short(scene, width));
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
