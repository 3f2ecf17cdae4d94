//! The head of a sheet: the verb, and on whose release in which environment.
//!
//! It stays whatever page is turned to, because the letter does: nobody should
//! have to remember from another page what a letter is about.

use crate::{
    engine::plan::Class,
    ui::{line::Line, screen::Scene, sheet::Sheet, text, theme::Role},
};

/// Lines for whose it is, at most: a name of any length leaves the plan its room.
const LONGEST: usize = 2;

/// In the frame, left: the verb and the service.
pub(super) fn title(sheet: &Sheet) -> Line {
    let verb = sheet.plan.ask.verb.word().to_uppercase();
    let role = match sheet.plan.class {
        Class::Brake => Role::Strong,
        Class::Neutral => Role::Info,
        Class::Throttle => Role::Warn,
        Class::Bend => Role::Bad,
    };
    Line::new()
        .with(role, verb)
        .with(Role::Strong, format!("  {}", sheet.plan.ask.lane.0))
}

/// In the frame, right: the environment. Left out where it does not fit, see [`cramped`].
pub(super) fn place(sheet: &Sheet, scene: &Scene<'_>) -> Line {
    let (_, environment) = &sheet.plan.ask.lane;
    let critical = scene
        .world
        .catalog
        .environments
        .get(environment)
        .is_some_and(|spec| spec.critical);
    let role = if critical { Role::Critical } else { Role::Info };
    let line = Line::new().with(role, environment.to_string());
    if critical {
        line.with(Role::Critical, " critical")
    } else {
        line
    }
}

/// Whether the frame of a window with lines of `width` cells has no room for
/// both names, so that [`whose`] has to say them.
pub(super) fn cramped(sheet: &Sheet, scene: &Scene<'_>, width: usize) -> bool {
    width <= in_frame(&title(sheet), scene) + in_frame(&place(sheet, scene), scene)
}

/// Cells a line takes in a frame, with a space on either side.
fn in_frame(line: &Line, scene: &Scene<'_>) -> usize {
    text::width(&scene.state.look.text(&line.flat())) + 2
}

/// Where and whose, for a page that does not say it anyway: the environment
/// first, which is short and matters most if a long name has to be cut.
pub(super) fn whose(sheet: &Sheet, scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let mut line = place(sheet, scene);
    if width < in_frame(&title(sheet), scene) {
        line = line.with(Role::Strong, format!("  {}", sheet.plan.ask.lane.0));
    }
    let line = line.with(Role::Strong, format!("  {}", sheet.plan.release_label));
    if text::width(&scene.state.look.text(&line.flat())) <= width {
        return vec![line];
    }
    let mut parts = text::wrap(&line.flat(), width);
    if LONGEST < parts.len() {
        let rest = parts.split_off(LONGEST - 1).join(" ");
        parts.push(text::fit(&rest, width));
    }
    parts
        .into_iter()
        .map(|part| Line::new().with(Role::Strong, part))
        .collect()
}
