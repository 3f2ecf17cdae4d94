//! What a sheet says. It prints the plan that will be sent, not a story about it.
//!
//! The foot (what to press) is never left out; what does not fit above it is
//! counted.

use ratatui::layout::{Constraint, Flex, Layout, Rect};

use crate::{
    domain::{Timestamp, action::Preview},
    engine::{
        clear::backends_of,
        plan::{Class, PlanStep},
        world::{Liveness, World},
    },
    ui::{
        line::Line,
        paint::Painter,
        screen::Scene,
        sheet::{Sheet, ask::decision, foot::foot},
        sign::Sign,
        text,
        theme::Role,
    },
};

/// The widest a sheet gets.
const WIDEST: u16 = 100;

/// Draws the sheet over what is there.
pub fn draw(painter: &mut Painter<'_>, area: Rect, sheet: &Sheet, scene: &Scene<'_>) {
    let width = WIDEST.min(
        area.width
            .saturating_sub(if area.width < 80 { 0 } else { 4 }),
    );
    let inner = usize::from(width.saturating_sub(4));
    let foot = foot(sheet, scene, inner);
    let most = usize::from(area.height.saturating_sub(4)).saturating_sub(foot.len() + 1);
    let body = body(sheet, scene, inner, most);
    let wanted = text::cells(body.len() + foot.len() + 3);
    let height = wanted.min(area.height.saturating_sub(2));
    let [row] = Layout::vertical([Constraint::Length(height)])
        .flex(Flex::Center)
        .areas(area);
    let [window] = Layout::horizontal([Constraint::Length(width)])
        .flex(Flex::Center)
        .areas(row);
    painter.clear(window);
    let inside = painter.frame_as(window, &title(sheet), &place(sheet, scene), Role::Key);
    let padded = Rect {
        x: inside.x + 1,
        width: inside.width.saturating_sub(2),
        ..inside
    };
    painter.lines(padded, &body);
    let y = padded.bottom().saturating_sub(text::cells(foot.len()));
    let below = Rect {
        y,
        height: text::cells(foot.len()),
        ..padded
    };
    painter.clear(below);
    painter.lines(below, &foot);
}

/// What is above the foot, in at most `room` lines: what will be sent with its
/// requests in short, if need be without them; or a page of the requests in full.
pub fn body(sheet: &Sheet, scene: &Scene<'_>, width: usize, room: usize) -> Vec<Line> {
    let pages = pages(sheet, width, room);
    let turned = sheet.turned % (pages.len() + 1);
    if let Some(page) = turned.checked_sub(1).and_then(|index| pages.get(index)) {
        return page.clone();
    }
    let whole = summary(sheet, scene, width, true);
    if whole.len() <= room {
        return whole;
    }
    let mut short = summary(sheet, scene, width, false);
    if short.len() <= room {
        return short;
    }
    let kept = room.saturating_sub(1);
    let missing = short.len() - kept;
    short.truncate(kept);
    short.push(Line::new().sign(Sign::Warn).with(
        Role::Warn,
        format!(" {missing} more lines: enlarge the window to read them"),
    ));
    short
}

/// The requests in full, page by page.
fn pages(sheet: &Sheet, width: usize, room: usize) -> Vec<Vec<Line>> {
    let lines: Vec<Line> = sheet
        .previews
        .iter()
        .enumerate()
        .flat_map(|(index, preview)| request(index, preview, width))
        .collect();
    let per_page = room.saturating_sub(1).max(1);
    let count = lines.len().div_ceil(per_page);
    lines
        .chunks(per_page)
        .enumerate()
        .map(|(index, part)| {
            let head = format!("requests in full, page {} of {count}; d turns", index + 1);
            std::iter::once(Line::dim(head))
                .chain(part.iter().cloned())
                .collect()
        })
        .collect()
}

fn request(index: usize, preview: &Preview, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |label: &str, text: &str| {
        for (part, said) in text::wrap(text, width.saturating_sub(11))
            .into_iter()
            .enumerate()
        {
            let head = if part == 0 { label } else { "" };
            lines.push(Line::dim(format!("{head:<10} ")).text(said));
        }
    };
    add(
        &format!("{} request", index + 1),
        &format!("{} {}", preview.method, preview.path),
    );
    add("  type", preview.content_type);
    add("  body", &preview.body);
    add("  only if", &preview.check);
    add("  by hand", &preview.command);
    lines
}

fn title(sheet: &Sheet) -> Line {
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

fn place(sheet: &Sheet, scene: &Scene<'_>) -> Line {
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

/// The plan in words.
fn summary(sheet: &Sheet, scene: &Scene<'_>, width: usize, requests: bool) -> Vec<Line> {
    let plan = &sheet.plan;
    let mut lines = Vec::new();
    for moved in &sheet.moved {
        lines.push(
            Line::new()
                .sign(Sign::Warn)
                .with(Role::Warn, format!(" moved while you read: {moved}")),
        );
    }
    if let Some(off) = &sheet.off {
        for part in text::wrap(
            &format!("cannot be sent now: {off}"),
            width.saturating_sub(2),
        ) {
            lines.push(
                Line::new()
                    .sign(Sign::Bad)
                    .with(Role::Bad, format!(" {part}")),
            );
        }
    }
    lines.push(labelled("release", plan.release_label.as_str()));
    for (label, fact) in &plan.facts {
        lines.push(labelled(label, fact));
    }
    if let Some(decision) = decision(plan, scene.world).filter(|_| plan.class != Class::Neutral) {
        let sign = Sign::from(decision.word);
        let mut line = Line::dim(format!("{:<10} ", "decision"))
            .sign(sign)
            .with(sign.role(), format!(" {}", decision.word.text()));
        if plan.class == Class::Brake {
            line = line.with(Role::Dim, "  (not asked by a brake)");
        }
        lines.push(line);
    }
    let judged = sheet
        .warnings
        .iter()
        .zip(sheet.agreed.iter().map(|(_, verdict)| Sign::from(*verdict)));
    let own = plan.warnings.iter().map(|warning| (warning, Sign::Warn));
    for (warning, sign) in judged.chain(own) {
        for (index, part) in text::wrap(warning, width.saturating_sub(13))
            .into_iter()
            .enumerate()
        {
            let head = if index == 0 {
                Line::plain(" ".repeat(11)).sign(sign)
            } else {
                Line::plain(" ".repeat(12))
            };
            lines.push(head.with(sign.role(), format!(" {part}")));
        }
    }
    lines.push(ages(sheet, scene.world, scene.now));
    lines.push(Line::new());
    let count = plan.steps.len();
    lines.push(Line::dim(if count == 1 {
        "what will be sent".to_owned()
    } else {
        format!("what will be sent, {count} steps in this order")
    }));
    for (index, step) in plan.steps.iter().enumerate() {
        let preview = sheet.previews.get(index).filter(|_| requests);
        lines.extend(step_lines(index, step, preview, width));
    }
    lines.extend(targets(sheet, width));
    lines
}

fn labelled(label: &str, fact: &str) -> Line {
    Line::dim(format!("{} ", text::left(label, 10))).text(fact.to_owned())
}

fn step_lines(index: usize, step: &PlanStep, preview: Option<&Preview>, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for (part, said) in text::wrap(&step.effect, width.saturating_sub(3))
        .into_iter()
        .enumerate()
    {
        let head = if part == 0 {
            format!("{} ", index + 1)
        } else {
            "  ".to_owned()
        };
        lines.push(Line::new().with(Role::Key, head).with(Role::Strong, said));
    }
    let Some(preview) = preview else {
        return lines;
    };
    if preview.method.is_empty() {
        let line = Line::plain("  ").sign(Sign::Warn);
        lines.push(line.with(Role::Warn, format!(" {}", preview.command)));
        return lines;
    }
    let request = format!("{} {}", preview.method, preview.path);
    lines.push(Line::dim(format!(
        "  {}",
        text::fit_middle(&request, width.saturating_sub(2))
    )));
    if !preview.check.is_empty() {
        lines.push(Line::dim(format!("  only if {}", preview.check)));
    }
    lines
}

/// How old the word of each backend is that this depends on.
fn ages(sheet: &Sheet, world: &World, now: Timestamp) -> Line {
    let mut line = Line::dim(format!("{:<10} ", "ages"));
    for backend in backends_of(world, &sheet.plan) {
        let liveness = world.liveness(&backend, now);
        let age = world
            .backends
            .get(&backend)
            .and_then(|state| state.answered_at)
            .map_or_else(|| "no answer yet".to_owned(), |at| text::ago(at, now));
        line = line
            .text(format!("{backend} "))
            .sign(Sign::from(liveness))
            .text(format!(" {age}  "));
        if sheet.plan.class == Class::Brake && liveness != Liveness::Live {
            line = line.with(Role::Dim, "(does not stop a brake)  ");
        }
    }
    line
}

fn targets(sheet: &Sheet, width: usize) -> Vec<Line> {
    if sheet.targets.len() < 2 {
        return Vec::new();
    }
    let names: Vec<&str> = sheet
        .targets
        .iter()
        .map(|(_, name)| name.as_str())
        .collect();
    let listed = text::fit(&names.join(", "), width.saturating_sub(18));
    vec![
        Line::new(),
        Line::new()
            .with(Role::Key, "t")
            .with(Role::Dim, " other targets: ")
            .text(listed),
    ]
}
