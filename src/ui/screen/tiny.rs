//! Small windows: one line per release, the worst first; below that, a sentence.

use ratatui::layout::Rect;

use crate::ui::{
    line::Line,
    paint::Painter,
    screen::{Scene, facts::lane_sign},
    state::SMALLEST,
    text,
    theme::Role,
    widget::table,
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
            )
            .text(lane.place.word());
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
    let critical = scene.lane().is_some_and(|lane| lane.critical);
    let mode = scene.state.modes.of(critical, scene.now).badge();
    let foot = Line::dim(format!(
        "{} {mode}  j k  H hold  q quit",
        text::clock(scene.now)
    ));
    painter.line(area.x, area.bottom() - 1, area.width, &foot);
}
