//! What waits for a person, worst first, above the table.
//!
//! Each line names the keys that help. A key that would be refused now stands in
//! brackets, as on the hint line: what looks like a key acts.

use ratatui::layout::Rect;

use crate::{
    domain::{Timestamp, id::BackendId},
    engine::{
        queue::{Urgency, Waiting},
        world::{Liveness, World},
    },
    ui::{
        line::Line,
        paint::Painter,
        screen::{
            Scene,
            acts::{Standing, standing},
        },
        sign::Sign,
        text,
        theme::Role,
        widget::table,
    },
};

/// Cells of one key: ` A ` or `(A)`.
const KEY: usize = 3;

/// Cells of each part of a line, as wide as the lines shown need them. In a small
/// window the word takes no column of its own: the reason needs the room.
#[derive(Clone, Copy, Debug)]
struct Widths {
    service: usize,
    release: usize,
    environment: usize,
    what: usize,
    age: usize,
    keys: usize,
}

impl Widths {
    fn of(shown: &[&Waiting], area: Rect, now: Timestamp) -> Self {
        let wide = area.width >= 100;
        let most = |of: &dyn Fn(&Waiting) -> usize| {
            shown
                .iter()
                .map(|waiting| of(waiting))
                .max()
                .unwrap_or_default()
        };
        let capped = |cells: usize, narrow: usize, roomy: usize| {
            cells.min(if wide { roomy } else { narrow })
        };
        Self {
            service: capped(most(&|w| text::width(w.lane.0.as_str())), 15, 24),
            release: capped(most(&|w| text::width(&w.release)), 12, 18),
            environment: capped(most(&|w| text::width(w.lane.1.as_str())), 9, 14),
            what: if wide { most(&|w| w.what.len()) } else { 0 },
            age: most(&|w| age(w, now).len()),
            keys: most(&|w| w.verbs.iter().filter(|verb| verb.key().is_some()).count()) * KEY,
        }
    }
}

/// Draws the queue, or in one line that it is empty and how sure that is.
pub(super) fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>, waiting: &[Waiting]) {
    if waiting.is_empty() {
        let said = nothing(scene);
        painter.line(area.x + 1, area.y, area.width - 1, &said);
        return;
    }
    let marked = waiting
        .iter()
        .position(|waiting| Some(&waiting.lane) == scene.state.view.lane.as_ref());
    let window = table::window(
        waiting.len(),
        marked,
        usize::from(area.height.saturating_sub(2)),
    );
    let shown: Vec<&Waiting> = waiting.iter().take(window.end).skip(window.start).collect();
    let mut remark = Line::new();
    let hidden = waiting.len() - shown.len();
    if hidden > 0 {
        remark = remark.with(Role::Person, format!("… {hidden} more   "));
    }
    if let Some(since) = waiting.iter().filter_map(|waiting| waiting.since).min() {
        let oldest = format!("oldest {}", text::ago(since, scene.now));
        remark = remark.with(Role::Dim, oldest);
    }
    let title = Line::new()
        .with(Role::Strong, "waits for a person ")
        .with(Role::Person, waiting.len().to_string());
    let border = if scene.state.pane() == 1 {
        Role::Key
    } else {
        Role::Border
    };
    let inside = painter.frame_as(area, &title, &remark, border);
    let widths = Widths::of(&shown, inside, scene.now);
    for (waiting, y) in shown.into_iter().zip(inside.top()..) {
        let at = Rect {
            y,
            height: 1,
            ..inside
        };
        row(painter, at, scene, waiting, widths);
    }
}

/// That nothing waits, as far as that is known.
fn nothing(scene: &Scene<'_>) -> Line {
    let (sign, said) = emptiness(scene.world, scene);
    Line::new().sign(sign).with(Role::Dim, format!(" {said}"))
}

fn emptiness(world: &World, scene: &Scene<'_>) -> (Sign, String) {
    let unheard = |id: &&BackendId| {
        let state = world.backends.get(*id);
        state.is_none_or(|state| state.answered_at.is_none())
    };
    let all = world.catalog.backends.keys();
    let never: Vec<&str> = all.clone().filter(unheard).map(BackendId::as_str).collect();
    if !never.is_empty() && never.len() == all.len() {
        let said = "what waits is not known yet: no backend has answered";
        return (Sign::Missing, said.to_owned());
    }
    if world.lanes.is_empty() {
        let said = "no release is known yet: the backends are being asked";
        return (Sign::NotYet, said.to_owned());
    }
    if !never.is_empty() {
        let said = format!(
            "nothing waits as far as is known; not heard yet: {}",
            never.join(", ")
        );
        return (Sign::Missing, said);
    }
    let silent: Vec<&str> = all
        .filter(|id| world.liveness(id, scene.now) == Liveness::Silent)
        .map(BackendId::as_str)
        .collect();
    if silent.is_empty() {
        return (Sign::Good, "nothing waits for a person".to_owned());
    }
    let said = format!(
        "nothing waited when last heard; silent: {}",
        silent.join(", ")
    );
    (Sign::Stale, said)
}

fn row(
    painter: &mut Painter<'_>,
    area: Rect,
    scene: &Scene<'_>,
    waiting: &Waiting,
    widths: Widths,
) {
    let marked = scene.state.view.lane.as_ref() == Some(&waiting.lane);
    let (keys, taken) = keys(scene, waiting);
    let tail = Line::dim(text::right(&age(waiting, scene.now), widths.age))
        .text(" ")
        .join(keys)
        .text(" ".repeat(widths.keys.saturating_sub(taken)));
    let tail_width = text::cells(painter.measure(&tail));
    let sign = urgency_sign(waiting.urgency);
    // The environment has its own column.
    let own = format!("`{}` ", waiting.lane.1);
    let reason = waiting.reason.as_str();
    let reason = reason.strip_prefix(own.as_str()).unwrap_or(reason);
    let line = Line::new()
        .text(if marked { "▶" } else { " " })
        .sign(sign)
        .text(" ")
        .with(
            Role::Strong,
            text::left(waiting.lane.0.as_str(), widths.service),
        )
        .text(format!(
            " {} ",
            text::left(&waiting.release, widths.release)
        ))
        .with(
            Role::Dim,
            text::left(waiting.lane.1.as_str(), widths.environment),
        )
        .text(" ")
        .with(sign.role(), format!("{:<1$}", waiting.what, widths.what))
        .text(format!(" {reason}"));
    painter.line(
        area.x,
        area.y,
        area.width.saturating_sub(tail_width + 1),
        &line,
    );
    painter.line_right(area, area.y, &tail);
    if marked {
        painter.wash(area, painter.look.theme.cursor(painter.look.depth));
    }
}

fn age(waiting: &Waiting, now: Timestamp) -> String {
    waiting
        .since
        .map_or_else(String::new, |since| text::ago(since, now))
}

/// The keys that help, those that would be refused in brackets, and their cells.
fn keys(scene: &Scene<'_>, waiting: &Waiting) -> (Line, usize) {
    let mut line = Line::new();
    let mut taken = 0;
    let Some(lane) = scene.world.lanes.get(&waiting.lane) else {
        return (line, taken);
    };
    for verb in &waiting.verbs {
        let Some(key) = verb.key() else { continue };
        taken += KEY;
        line = match standing(scene, lane, *verb) {
            Standing::Offered(_) => line.with(Role::Key, format!(" {key} ")),
            Standing::Grey(_) | Standing::Absent(_) => line.with(Role::Dim, format!("({key})")),
        };
    }
    (line, taken)
}

fn urgency_sign(urgency: Urgency) -> Sign {
    match urgency {
        Urgency::Hurting | Urgency::Blocked => Sign::Bad,
        Urgency::Asked => Sign::Person,
        Urgency::Held => Sign::Held,
        Urgency::Unproven => Sign::Missing,
    }
}
