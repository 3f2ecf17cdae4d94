//! Regions that several screens are put together from. Each says its lines
//! first; only charts draw by themselves.

pub mod blue_green;
pub mod canary;
pub mod charts;
pub mod findings;
pub mod flow;
pub mod metrics;
pub mod parts;
pub mod timeline;

use ratatui::layout::{Constraint, Layout, Rect};

use crate::ui::{
    line::Line,
    paint::Painter,
    screen::{Scene, acts},
    sign::Sign,
    theme::Role,
};

/// A framed panel of lines.
pub fn lines(painter: &mut Painter<'_>, area: Rect, title: &str, remark: &Line, lines: &[Line]) {
    framed(painter, area, title, remark, lines, Role::Border);
}

/// As [`lines`], with the border in a part's look: the pane in use has another.
pub fn framed(
    painter: &mut Painter<'_>,
    area: Rect,
    title: &str,
    remark: &Line,
    lines: &[Line],
    border: Role,
) {
    if area.height < 3 {
        return;
    }
    let title = Line::new().with(Role::Strong, title.to_owned());
    let inside = painter.frame_as(area, &title, remark, border);
    let room = usize::from(inside.height);
    let padded = Rect {
        x: inside.x + 1,
        width: inside.width.saturating_sub(2),
        ..inside
    };
    if lines.len() <= room {
        painter.lines(padded, lines);
        return;
    }
    let shown = lines.get(..room.saturating_sub(1)).unwrap_or_default();
    painter.lines(padded, shown);
    let more = Line::dim(format!("… {} more", lines.len() - shown.len()));
    painter.line(padded.x, padded.bottom() - 1, padded.width, &more);
}

/// What each key would do, and why it would not, broken at `width`.
pub fn acts_lines(scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let mut acts = acts(scene);
    acts.sort_by_key(|act| match act.standing {
        acts::Standing::Offered(_) => 0,
        acts::Standing::Grey(_) => 1,
        acts::Standing::Absent(_) => 2,
    });
    acts.iter().flat_map(|act| act.lines(width)).collect()
}

/// The decision in words with its sign.
pub fn decision_line(scene: &Scene<'_>) -> Line {
    match scene.decision() {
        Some(decision) => {
            let sign = Sign::from(decision.word);
            Line::new()
                .sign(sign)
                .with(sign.role(), format!(" {}", decision.word.text()))
        }
        None => Line::dim("no decision yet"),
    }
}

/// The marked release beside the fleet's table, from 115 columns on.
pub fn preview(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let Some(lane) = scene.lane() else {
        lines(painter, area, "nothing marked", &Line::new(), &[]);
        return;
    };
    let width = usize::from(area.width.saturating_sub(4));
    let mut said = flow::small(scene);
    said.extend(canary::back(scene));
    said.push(Line::new());
    said.push(decision_line(scene));
    said.extend(findings::open(scene, width).into_iter().take(3));
    let metrics = metrics::short(scene, width);
    if !metrics.is_empty() {
        said.push(Line::new());
        said.extend(metrics);
    }
    let parts = parts::short(scene);
    if !parts.is_empty() {
        said.push(Line::new());
        said.extend(parts);
    }
    said.push(Line::new());
    let mut keys = Line::new();
    for act in acts(scene).iter().filter(|act| act.is_offered()) {
        let next = act.hint().text("  ");
        if width < keys.width() + next.width() {
            said.push(std::mem::take(&mut keys));
        }
        keys = keys.join(next);
    }
    said.push(keys);
    let remark = canary::weight(scene);
    lines(painter, area, lane.service.as_str(), &remark, &said);
}

/// The marked release in full beside the fleet's table, from 170 columns on.
pub fn cockpit(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let Some(lane) = scene.lane() else {
        lines(painter, area, "nothing marked", &Line::new(), &[]);
        return;
    };
    let name = format!("{} {}", lane.service, scene.label_of(lane));
    let flow_height = 6;
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(flow_height),
        Constraint::Min(12),
        Constraint::Length(11),
    ])
    .areas(area);
    let flow = flow::lines(scene, usize::from(top.width.saturating_sub(4)));
    lines(painter, top, &name, &decision_line(scene), &flow);
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(56), Constraint::Percentage(44)]).areas(middle);
    let width = usize::from(left.width.saturating_sub(4));
    let canary = canary::lines(scene, width);
    let canary_height = u16::try_from(canary.len()).unwrap_or(6) + 2;
    let [traffic, graphs] =
        Layout::vertical([Constraint::Length(canary_height), Constraint::Min(5)]).areas(left);
    let title = canary::title(scene);
    lines(painter, traffic, title, &canary::weight(scene), &canary);
    charts::draw(painter, graphs, scene);
    let width = usize::from(right.width.saturating_sub(4));
    let gates = findings::lines(scene, width);
    let gates_height = u16::try_from(gates.len()).unwrap_or(8) + 2;
    let [verdicts, made_of] = Layout::vertical([
        Constraint::Length(gates_height.min(right.height / 2 + 2)),
        Constraint::Min(5),
    ])
    .areas(right);
    lines(painter, verdicts, "gates", &Line::new(), &gates);
    lines(
        painter,
        made_of,
        "made of",
        &Line::new(),
        &parts::lines(scene),
    );
    let [history, keys] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(bottom);
    lines(
        painter,
        history,
        "timeline",
        &Line::new(),
        &timeline::lines(scene),
    );
    lines(
        painter,
        keys,
        "if you act now",
        &Line::dim("nothing is sent yet"),
        &acts_lines(scene, usize::from(keys.width.saturating_sub(4))),
    );
}
