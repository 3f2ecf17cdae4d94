//! The release as one flow: commit to live.

use crate::{
    domain::rollout::short_duration,
    engine::flow::{FlowStage, FlowState, flow},
    ui::{line::Line, screen::Scene, sign::Sign, text, theme::Role},
};

/// The sign of a stage.
pub fn sign(state: FlowState) -> Sign {
    match state {
        FlowState::Done => Sign::Good,
        FlowState::Warned => Sign::Warn,
        FlowState::Failed => Sign::Bad,
        FlowState::Running => Sign::Running,
        FlowState::Queued => Sign::Waiting,
        FlowState::AsksPerson => Sign::Person,
        FlowState::Held => Sign::Held,
        FlowState::RolledBack => Sign::Back,
        FlowState::Skipped => Sign::Off,
        FlowState::NotYet => Sign::NotYet,
        FlowState::Unknown => Sign::Missing,
    }
}

/// The stages of the marked release.
pub fn stages(scene: &Scene<'_>) -> Vec<FlowStage> {
    scene
        .lane()
        .map(|lane| flow(scene.world, lane, scene.now))
        .unwrap_or_default()
}

/// Whether the way behind a stage is done.
fn is_behind(state: FlowState) -> bool {
    matches!(
        state,
        FlowState::Done | FlowState::Warned | FlowState::Skipped
    )
}

/// Names, signs on the way, details; the place marked, a chosen stage strong.
pub fn lines(scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let stages = stages(scene);
    if stages.is_empty() {
        return vec![Line::dim("nothing is known about this release yet")];
    }
    let step = step(&stages, width);
    let chosen = scene.state.mark_of(crate::ui::screen::SIDEWAYS);
    let (mut names, mut way, mut details, mut place) =
        (Line::new(), Line::new(), Line::new(), Line::new());
    for (index, stage) in stages.iter().enumerate() {
        let role = match (chosen == Some(stage.name), stage.here) {
            (true, _) => Role::Badge,
            (false, true) => Role::Strong,
            (false, false) => Role::Dim,
        };
        let name = text::fit(stage.name, step - 1);
        let last = index + 1 == stages.len();
        let cell = if last { 0 } else { step };
        let padded = |text: &str| text::left(text, cell.max(text::width(text)));
        let gap = " ".repeat(cell.saturating_sub(text::width(&name)));
        names = names.with(role, name).text(gap);
        way = way.sign(sign(stage.state));
        if index + 1 < stages.len() {
            let bar = if is_behind(stage.state) { "━" } else { "╌" };
            let role = if is_behind(stage.state) {
                Role::Good
            } else {
                Role::Dim
            };
            way = way.with(role, bar.repeat(step - 1));
        }
        let said = text::fit(&detail(stage, step - 1), step - 1);
        details = details.text(padded(&said));
        place = place.with(Role::Strong, padded(if stage.here { "^ here" } else { "" }));
    }
    vec![names, way, details, place]
}

/// Cells from one stage to the next. The last one needs only its own words.
fn step(stages: &[FlowStage], width: usize) -> usize {
    let last = stages.last().map_or(0, |stage| {
        let here = if stage.here { "^ here".len() } else { 0 };
        let words = text::width(stage.name).max(text::width(&stage.detail));
        words.max(here)
    });
    let gaps = stages.len().saturating_sub(1).max(1);
    (width.saturating_sub(last) / gaps).clamp(5, 20)
}

fn detail(stage: &FlowStage, room: usize) -> String {
    // `8 of 10 pass` is `8/10` where there is no room.
    let said = if text::width(&stage.detail) <= room {
        stage.detail.to_string()
    } else {
        stage.detail.replace(" of ", "/").replace(" pass", "")
    };
    let took = stage
        .took
        .map(|took| short_duration(std::time::Duration::from_secs(took.as_secs())));
    match took {
        Some(took) if said.is_empty() || said.len() + took.len() + 1 > room => took,
        Some(took) => format!("{said} {took}"),
        None => said,
    }
}

/// All signs in one line and the place in words, for narrow places.
pub fn small(scene: &Scene<'_>) -> Vec<Line> {
    let stages = stages(scene);
    let mut way = Line::new();
    for (index, stage) in stages.iter().enumerate() {
        way = way.sign(sign(stage.state));
        if index + 1 < stages.len() {
            let bar = if is_behind(stage.state) {
                "──"
            } else {
                "  "
            };
            way = way.with(Role::Dim, bar);
        }
    }
    let mut lines = vec![way];
    for stage in &stages {
        let bad = matches!(stage.state, FlowState::Failed | FlowState::Unknown);
        if stage.here || bad {
            let name = Line::new()
                .sign(sign(stage.state))
                .with(Role::Strong, format!(" {} ", stage.name));
            lines.push(name.with(Role::Dim, stage.detail.to_string()));
        }
    }
    lines
}
