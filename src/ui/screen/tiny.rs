//! Small windows: one line per release, the worst first; below that, a sentence.

use ratatui::layout::Rect;

use crate::{
    engine::{lane::Lane, plan::Verb},
    ui::{
        line::Line,
        paint::Painter,
        screen::{Scene, acts::acts, facts::lane_sign},
        state::{SHEET_ROOM, SMALLEST},
        text,
        theme::Role,
        widget::table,
    },
};

/// Says that there is no room at all.
pub fn too_small(painter: &mut Painter<'_>, area: Rect) {
    let text = format!("gonogo: window too small ({}×{})", area.width, area.height);
    painter.text(area.x, area.y, area.width, &text, Role::Plain);
}

/// One line per release, as many as fit.
pub fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let order = &scene.state.fleet.order;
    let marked = scene
        .state
        .view
        .lane
        .as_ref()
        .and_then(|lane| scene.state.fleet.place_of(lane));
    let rows = usize::from(area.height - 2);
    let window = table::window(order.len(), marked, rows);
    for (index, y) in window.zip(area.top()..) {
        let Some(lane) = order.get(index).and_then(|id| scene.world.lanes.get(id)) else {
            continue;
        };
        let line = Line::plain(if marked == Some(index) { "▶" } else { " " })
            .sign(lane_sign(lane, scene.decision_of(lane)))
            .with(
                Role::Strong,
                format!(" {}", text::left(lane.service.as_str(), 14)),
            )
            .with(
                Role::Dim,
                format!(" {} ", text::fit(lane.environment.as_str(), 8)),
            );
        let line = if area.width < WITH_REASONS {
            line.text(lane.place.word())
        } else {
            line.to(27)
                .text(text::left(&scene.label_of(lane), 14))
                .text(format!(" {}", text::left(&lane.place.word(), 12)))
                .join(reason(scene, lane))
        };
        painter.line(area.x, y, area.width, &line);
    }
    let status = match (&scene.state.toast, &scene.state.hold) {
        (_, Some(_)) => Line::plain("hold: goes out unless another key comes"),
        (Some(toast), None) => Line::new()
            .sign(toast.sign)
            .text(format!(" {}", toast.text)),
        (None, None) => Line::dim(format!(
            "screens need {}×{}, this is {}×{}",
            SMALLEST.0, SMALLEST.1, area.width, area.height
        )),
    };
    painter.line(area.x, area.bottom() - 2, area.width, &status);
    painter.line(area.x, area.bottom() - 1, area.width, &foot(scene));
}

/// From this width on there is room to say why.
const WITH_REASONS: u16 = 60;

/// Why a row waits for a person, as the queue would say it.
fn reason(scene: &Scene<'_>, lane: &Lane) -> Line {
    let waiting = scene
        .state
        .fleet
        .queue
        .iter()
        .find(|waiting| waiting.lane.0 == lane.service && waiting.lane.1 == lane.environment);
    waiting.map_or_else(Line::new, |waiting| {
        Line::plain(format!(" {}", waiting.reason))
    })
}

/// The mode and the keys that act here. What needs a sheet needs room for it.
fn foot(scene: &Scene<'_>) -> Line {
    let critical = scene.lane().is_some_and(|lane| lane.critical);
    let mode = scene.state.modes.of(critical, scene.now).badge();
    let mut line = Line::dim(format!("{} {mode}  j k  ", text::clock(scene.now)));
    let mut off = String::new();
    for act in acts(scene).iter().filter(|act| act.is_offered()) {
        if scene.state.has_sheet_room() || act.verb == Verb::Hold {
            line = line.join(act.hint()).text("  ");
        } else {
            off.push_str(&act.label);
            off.push(' ');
        }
    }
    if !off.is_empty() {
        let (width, height) = SHEET_ROOM;
        line = line.with(Role::Dim, format!("({off}from {width}×{height} on)  "));
    }
    line.with(Role::Dim, "q quit")
}
