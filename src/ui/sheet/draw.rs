//! What a sheet says. It prints the plan that will be sent, not a story about it.
//!
//! The foot (what to press) is never left out; what does not fit above it goes
//! to further pages.

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
        refusal::with_keys,
        screen::Scene,
        sheet::{
            Sheet,
            ask::decision,
            foot::{foot, turning_key},
            head::{cramped, place, title, whose},
        },
        sign::Sign,
        text,
        theme::Role,
    },
};

/// The widest a sheet gets.
const WIDEST: u16 = 100;

/// Draws the sheet over what is there.
pub fn draw(painter: &mut Painter<'_>, area: Rect, sheet: &Sheet, scene: &Scene<'_>) {
    let (width, inner) = widths(area);
    let foot = foot(sheet, scene, inner);
    let mut body = body(sheet, scene, inner, room(area, foot.len()));
    let at = sheet.turned.min(body.pages.len().saturating_sub(1));
    let page = if body.pages.is_empty() {
        Vec::new()
    } else {
        body.pages.swap_remove(at)
    };
    let wanted = text::cells(page.len() + foot.len() + 3);
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
    painter.lines(padded, &page);
    let y = padded.bottom().saturating_sub(text::cells(foot.len()));
    let below = Rect {
        y,
        height: text::cells(foot.len()),
        ..padded
    };
    painter.clear(below);
    painter.lines(below, &foot);
}

/// Cells of the window and of a line in it.
fn widths(area: Rect) -> (u16, usize) {
    let margin = if area.width < 80 { 0 } else { 4 };
    let width = WIDEST.min(area.width.saturating_sub(margin));
    (width, usize::from(width.saturating_sub(4)))
}

/// Lines above a foot of this many lines.
fn room(area: Rect, foot: usize) -> usize {
    usize::from(area.height.saturating_sub(4))
        .saturating_sub(foot + 1)
        .max(2)
}

/// How many pages the plan takes in a window of this size, and all together.
pub fn measure(area: Rect, sheet: &Sheet, scene: &Scene<'_>) -> (usize, usize) {
    let (_, inner) = widths(area);
    let foot = foot(sheet, scene, inner);
    let body = body(sheet, scene, inner, room(area, foot.len()));
    (body.parts, body.pages.len())
}

/// What is above the foot.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Pages, first those of the plan.
    pub pages: Vec<Vec<Line>>,
    /// How many of them are the plan's.
    pub parts: usize,
}

/// What is above the foot, in pages of at most `room` lines: the plan with its
/// requests in short, if need be without them, if need be in parts; then the
/// requests in full. Each of several pages says whose it is.
pub fn body(sheet: &Sheet, scene: &Scene<'_>, width: usize, room: usize) -> Body {
    let fits = |lines: &Vec<Line>| lines.len() <= room;
    let whole = Some(summary(sheet, scene, width, true)).filter(fits);
    let whole = whole.or_else(|| Some(summary(sheet, scene, width, false)).filter(fits));
    let whose = whose(sheet, scene, width);
    let key = turning_key(sheet);
    let mut pages = match whole {
        Some(page) => vec![page],
        None => paged(
            "the plan",
            &in_parts(sheet, scene, width),
            &whose,
            key,
            room,
        ),
    };
    let parts = pages.len();
    let requests: Vec<Line> = sheet
        .previews
        .iter()
        .enumerate()
        .flat_map(|(index, preview)| request(index, preview, width))
        .collect();
    pages.extend(paged("requests in full", &requests, &whose, key, room));
    Body { pages, parts }
}

/// Lines broken into pages, each headed by whose it is and which page it is.
fn paged(
    what: &str,
    lines: &[Line],
    whose: &[Line],
    key: Option<&str>,
    room: usize,
) -> Vec<Vec<Line>> {
    let per_page = room.saturating_sub(whose.len() + 1).max(1);
    let count = lines.len().div_ceil(per_page);
    let turns = key.map_or_else(String::new, |key| format!("; {key} turns"));
    lines
        .chunks(per_page)
        .enumerate()
        .map(|(index, part)| {
            let head = format!("{what}, page {} of {count}{turns}", index + 1);
            let heads = whose.iter().cloned().chain([Line::dim(head)]);
            heads.chain(part.iter().cloned()).collect()
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
    add("  check", &preview.check);
    add("  by hand", &preview.command);
    lines
}

/// The plan in words: what is about to happen to what, why it may, what is sent.
fn summary(sheet: &Sheet, scene: &Scene<'_>, width: usize, requests: bool) -> Vec<Line> {
    let mut lines = if cramped(sheet, scene, width) {
        whose(sheet, scene, width)
    } else {
        Vec::new()
    };
    lines.extend(troubles(sheet, width));
    lines.extend(about(sheet, width));
    lines.extend(judged(sheet, scene, width));
    lines.push(Line::new());
    lines.extend(sent(sheet, width, requests));
    lines.extend(targets(sheet, width));
    lines
}

/// The same where it takes several pages: what is sent comes first.
fn in_parts(sheet: &Sheet, scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let mut lines = troubles(sheet, width);
    lines.extend(sent(sheet, width, false));
    lines.extend(about(sheet, width));
    lines.extend(judged(sheet, scene, width));
    lines.extend(targets(sheet, width));
    lines
}

/// What moved, and why it cannot be sent now.
fn troubles(sheet: &Sheet, width: usize) -> Vec<Line> {
    let moved = sheet
        .moved
        .iter()
        .map(|moved| (Sign::Warn, format!("moved while you read: {moved}")));
    let off = sheet
        .off
        .iter()
        .map(|off| (Sign::Bad, format!("cannot be sent now: {off}")));
    let mut lines = Vec::new();
    for (sign, said) in moved.chain(off) {
        for part in text::wrap(&said, width.saturating_sub(2)) {
            let line = Line::new().sign(sign);
            lines.push(line.with(sign.role(), format!(" {part}")));
        }
    }
    lines
}

/// The release and the facts a person decides on.
fn about(sheet: &Sheet, width: usize) -> Vec<Line> {
    let column = labels(sheet);
    let mut lines = labelled("release", &sheet.plan.release_label, column, width);
    for (label, fact) in &sheet.plan.facts {
        lines.extend(labelled(label, &with_keys(fact), column, width));
    }
    lines
}

/// The decision, what is agreed to despite it, and how old all of it is.
fn judged(sheet: &Sheet, scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let (plan, column) = (&sheet.plan, labels(sheet));
    let mut lines = Vec::new();
    if let Some(decision) = decision(plan, scene.world).filter(|_| plan.class != Class::Neutral) {
        let sign = Sign::from(decision.word);
        let mut line = Line::dim(text::left("decision", column))
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
        for (index, part) in text::wrap(warning, width.saturating_sub(column + 2))
            .into_iter()
            .enumerate()
        {
            let head = if index == 0 {
                Line::plain(" ".repeat(column)).sign(sign)
            } else {
                Line::plain(" ".repeat(column + 1))
            };
            lines.push(head.with(sign.role(), format!(" {part}")));
        }
    }
    lines.extend(ages(sheet, scene.world, scene.now, (column, width)));
    lines
}

/// The steps in their order.
fn sent(sheet: &Sheet, width: usize, requests: bool) -> Vec<Line> {
    let steps = &sheet.plan.steps;
    let heading = match steps.len() {
        1 => "what will be sent".to_owned(),
        count => format!("what will be sent, {count} steps in this order"),
    };
    let mut lines = vec![Line::dim(heading)];
    for (index, step) in steps.iter().enumerate() {
        let preview = sheet.previews.get(index).filter(|_| requests);
        lines.extend(step_lines(index, step, preview, width));
    }
    lines
}

/// Cells for labels: no label is cut.
fn labels(sheet: &Sheet) -> usize {
    let longest = sheet.plan.facts.iter().map(|(label, _)| text::width(label));
    longest.max().unwrap_or(0).max("decision  ".len()) + 1
}

fn labelled(label: &str, fact: &str, column: usize, width: usize) -> Vec<Line> {
    let room = width.saturating_sub(column);
    let parts = if text::width(fact) <= room {
        vec![fact.to_owned()]
    } else {
        text::wrap(fact, room)
    };
    parts
        .into_iter()
        .enumerate()
        .map(|(index, part)| {
            let label = if index == 0 { label } else { "" };
            Line::dim(text::left(label, column)).text(part)
        })
        .collect()
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
        lines.push(Line::dim(format!("  check: {}", preview.check)));
    }
    lines
}

/// How old the word of each backend is that this depends on; none is cut off.
fn ages(
    sheet: &Sheet,
    world: &World,
    now: Timestamp,
    (column, width): (usize, usize),
) -> Vec<Line> {
    let mut lines = vec![Line::dim(text::left("ages", column))];
    for backend in backends_of(world, &sheet.plan) {
        let liveness = world.liveness(&backend, now);
        let age = world
            .backends
            .get(&backend)
            .and_then(|state| state.answered_at)
            .map_or_else(|| "no answer yet".to_owned(), |at| text::ago(at, now));
        let mut said = Line::plain(format!("{backend} "))
            .sign(Sign::from(liveness))
            .text(format!(" {age}"));
        if sheet.plan.class == Class::Brake && liveness != Liveness::Live {
            said = said.with(Role::Dim, "  (does not stop a brake)");
        }
        let line = lines.pop().unwrap_or_default();
        let is_first = line.width() <= column;
        if is_first || line.width() + 2 + said.width() <= width {
            let gap = if is_first { "" } else { "  " };
            lines.push(line.text(gap).join(said));
        } else {
            lines.extend([line, Line::plain(" ".repeat(column)).join(said)]);
        }
    }
    lines
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
