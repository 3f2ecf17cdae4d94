//! What lies over a screen, sheets apart: pages of text, the palette, lists.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::{
    domain::{
        id::BackendId, policy::GateSource, quantity::counted, rollout::short_duration, text::Clean,
    },
    engine::{
        clear::{Refusal, backends_of},
        plan::Ask,
        propose::propose,
        world::{Liveness, World},
    },
    report::{json, objects},
    ui::{
        command,
        field::Field,
        line::Line,
        paint::Painter,
        screen::{Scene, Screen, acts, audit, facts::metrics, fleet, frame, panel},
        sign::Sign,
        state::Page,
        text,
        theme::Role,
        widget::table,
    },
};

/// A window in the middle, as large as its content wants and the area allows.
fn window(area: Rect, width: u16, height: u16) -> Rect {
    let width = width.min(area.width.saturating_sub(2)).max(4);
    let height = height.min(area.height.saturating_sub(2)).max(3);
    let [row] = Layout::vertical([Constraint::Length(height)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    let [window] = Layout::horizontal([Constraint::Length(width)])
        .flex(ratatui::layout::Flex::Center)
        .areas(row);
    window
}

fn open(painter: &mut Painter<'_>, area: Rect, title: &str, remark: &Line) -> Rect {
    painter.clear(area);
    painter.frame_as(
        area,
        &Line::new().with(Role::Strong, title.to_owned()),
        remark,
        Role::Key,
    )
}

/// Draws a page, scrolled to a line.
pub fn page(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>, page: Page, at: usize) {
    let lines = lines(scene, page);
    let title = match page {
        Page::Backends => "backends",
        Page::Diff => "what differs from the champion",
        Page::Raw => "as JSON",
    };
    let widest = lines.iter().map(Line::width).max().unwrap_or(20).max(40);
    let window = window(area, text::cells(widest + 4), text::cells(lines.len() + 2));
    let inside = open(
        painter,
        window,
        title,
        &Line::dim(counted(lines.len(), "line", "lines")),
    );
    let padded = Rect {
        x: inside.x + 1,
        width: inside.width.saturating_sub(2),
        ..inside
    };
    painter.lines(padded, lines.get(at.min(lines.len())..).unwrap_or_default());
}

/// The lines of a page.
pub fn lines(scene: &Scene<'_>, page: Page) -> Vec<Line> {
    match page {
        Page::Backends => trouble(scene),
        Page::Diff => diff(scene),
        Page::Raw => raw(scene),
    }
}

/// One line per backend: how it is, since when, what is left.
pub fn backends(scene: &Scene<'_>) -> Vec<Line> {
    let world = scene.world;
    world
        .catalog
        .backends
        .iter()
        .map(|(id, spec)| {
            let liveness = world.liveness(id, scene.now);
            let sign = Sign::from(liveness);
            let state = world.backends.get(id);
            let age = state.and_then(|state| state.answered_at).map_or_else(
                || "never answered".to_owned(),
                |at| format!("answered {} ago", text::ago(at, scene.now)),
            );
            let mut line = Line::new()
                .sign(sign)
                .with(Role::Strong, format!(" {:<12}", id.as_str()))
                .with(sign.role(), format!(" {:<8}", liveness.word()))
                .text(format!(" {age:<20}"))
                .with(
                    Role::Dim,
                    format!(" limit {}", short_duration(spec.limit())),
                );
            if let Some(budget) = state.and_then(|state| state.budget.as_ref()) {
                line = line.with(
                    Role::Dim,
                    format!(
                        "  {} of {} requests left",
                        text::count(budget.left),
                        text::count(budget.limit)
                    ),
                );
            }
            if let Some(server) = state.and_then(|state| state.server.as_ref()) {
                line = line.with(Role::Dim, format!("  {}", server.version));
            }
            line
        })
        .collect()
}

/// The same with what the trouble is and what it takes with it.
fn trouble(scene: &Scene<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (line, id) in backends(scene)
        .into_iter()
        .zip(scene.world.catalog.backends.keys())
    {
        lines.push(line);
        if let Some(identity) = scene.world.identities.get(id) {
            let name = identity.name.as_deref().unwrap_or("it does not tell");
            lines.push(Line::dim(format!(
                "    we are {name} (by {})",
                identity.learnt_by
            )));
        }
        let state = scene.world.backends.get(id);
        if let Some(trouble) = state.and_then(|state| state.trouble.as_ref()) {
            let next = trouble.retry_at.map_or_else(String::new, |at| {
                format!(", next try in {}", text::age(text::between(scene.now, at)))
            });
            lines.push(
                Line::plain("    ")
                    .with(Role::Bad, trouble.kind.word())
                    .text(format!(
                        " since {} ago{next}: {}",
                        text::ago(trouble.since, scene.now),
                        trouble.message
                    )),
            );
            lines.push(Line::dim(format!("    {}", trouble.kind.remedy())));
        }
        let liveness = scene.world.liveness(id, scene.now);
        if !matches!(liveness, Liveness::Live | Liveness::Off) {
            lines.push(Line::plain("    takes with it: ").text(taken(scene, id)));
        }
    }
    if lines.is_empty() {
        lines.push(Line::dim("no backend is configured"));
    }
    lines
}

/// The gates and keys that depend on a backend.
fn taken(scene: &Scene<'_>, backend: &BackendId) -> String {
    let gates = gates_of(scene.world, backend);
    // The refusal names one backend; the plan says which ones it needs.
    let needs = |act: &&acts::Act| {
        let Some(lane) = scene.lane() else {
            return false;
        };
        let ask = Ask::new(act.verb, (lane.service.clone(), lane.environment.clone()));
        matches!(act.grey(), Some(Refusal::NotLive { .. }))
            && propose(scene.world, &ask, scene.now)
                .is_ok_and(|plan| backends_of(scene.world, &plan).contains(backend))
    };
    let keys: Vec<String> = acts(scene)
        .iter()
        .filter(needs)
        .map(|act| act.label.clone())
        .collect();
    let gates = if gates.is_empty() {
        "no gate".to_owned()
    } else {
        format!("gates {}", gates.join(", "))
    };
    let keys = if keys.is_empty() {
        "no key of the marked release".to_owned()
    } else {
        format!("keys {}", keys.join(" "))
    };
    format!("{gates}; {keys}; never H B R X")
}

/// The gates of all policies that read a backend.
fn gates_of(world: &World, backend: &BackendId) -> Vec<String> {
    let mut gates = Vec::new();
    for service in world.catalog.services.values() {
        let Some(policy) = world.catalog.policy(service) else {
            continue;
        };
        for rule in &policy.gates {
            let reads = match &rule.source {
                GateSource::Metric(metric) => service
                    .metrics
                    .iter()
                    .any(|spec| spec.id.metric == *metric && spec.backend == *backend),
                GateSource::ModelMetric(_) => service
                    .model
                    .as_ref()
                    .is_some_and(|model| model.model.backend == *backend),
                GateSource::Pipeline(_) => service
                    .run
                    .as_ref()
                    .is_some_and(|run| run.backend == *backend),
                GateSource::Rollout(_) => service
                    .places
                    .iter()
                    .any(|place| place.target.backend == *backend),
            };
            let name = rule.id.to_string();
            if reads && !gates.contains(&name) {
                gates.push(name);
            }
        }
    }
    gates
}

fn diff(scene: &Scene<'_>) -> Vec<Line> {
    let mut lines = panel::parts::lines(scene);
    let candidate = scene
        .release()
        .and_then(|release| release.version.value())
        .and_then(|version| panel::parts::trained(scene, *version));
    let champion =
        panel::parts::champion(scene).and_then(|version| panel::parts::trained(scene, version));
    if let Some(run) = candidate {
        lines.push(Line::new());
        lines.push(Line::dim(format!(
            "{:<24} {:>12} {:>12} {:>12}",
            "training metric", "this", "champion", "change"
        )));
        for (name, value) in &run.metrics {
            let old = champion.and_then(|run| run.metrics.get(name).copied());
            let change = old
                .map(|old| format!("{:+.4}", value - old))
                .unwrap_or_default();
            lines.push(
                Line::plain(text::left(name, 24))
                    .with(Role::Strong, format!(" {:>12}", text::number(*value)))
                    .text(format!(
                        " {:>12}",
                        old.map(text::number).unwrap_or_default()
                    ))
                    .with(Role::Dim, format!(" {change:>12}")),
            );
        }
    }
    if !metrics(scene).is_empty() {
        lines.push(Line::new());
        lines.extend(panel::metrics::lines(scene, 90));
    }
    lines
}

/// The marked thing in the form commands print it with `--json`; of the ledger,
/// the line as it was written.
fn raw(scene: &Scene<'_>) -> Vec<Line> {
    let held = match scene.state.view.screen {
        Screen::Fleet => scene
            .lane()
            .map(|lane| json::lane(scene.world, lane, scene.now)),
        Screen::Release => scene.release().map(objects::release),
        Screen::Run => scene
            .run()
            .map(|run| objects::run(run, &scene.world.jobs_of(&run.id))),
        Screen::Gates => scene.decision().map(json::decision),
        Screen::Rollout => scene.rollout().map(|rollout| objects::rollout(rollout)),
        Screen::Audit => audit::marked(scene).map(|record| record.raw.clone()),
        Screen::Help | Screen::Messages => None,
    };
    let held = held.map_or_else(
        || "nothing is marked".to_owned(),
        |value| format!("{value:#}"),
    );
    Clean::from(held).lines().map(Line::plain).collect()
}

/// Links, the marked one in full.
pub fn links(painter: &mut Painter<'_>, area: Rect, links: &[Clean], at: usize) {
    let widest = links
        .iter()
        .map(|link| text::width(link))
        .max()
        .unwrap_or(20)
        + 8;
    let window = window(
        area,
        text::cells(widest.max(50)),
        text::cells(links.len() + 2),
    );
    let inside = open(painter, window, "open in the browser?", &Line::new());
    for ((index, link), y) in links.iter().enumerate().zip(inside.top()..inside.bottom()) {
        let role = if index == at { Role::Strong } else { Role::Dim };
        let mark = if index == at { " ▶ " } else { "   " };
        painter.line(
            inside.x,
            y,
            inside.width,
            &Line::plain(mark).with(role, link.to_string()),
        );
    }
}

/// Columns of the fleet, shown or hidden.
pub fn columns(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>, at: usize) {
    let window = window(area, 34, text::cells(fleet::COLUMNS.len() + 2));
    let inside = open(painter, window, "columns", &Line::new());
    for ((index, column), y) in fleet::COLUMNS
        .iter()
        .enumerate()
        .zip(inside.top()..inside.bottom())
    {
        let hidden = scene.state.fleet.hidden.contains(column);
        let sign = if hidden { Sign::Off } else { Sign::Good };
        let mark = if index == at { " ▶ " } else { "   " };
        let line = Line::plain(mark).sign(sign).text(format!(" {column}"));
        painter.line(inside.x, y, inside.width, &line);
    }
}

/// Asks before leaving while an action is under way.
pub fn leaving(painter: &mut Painter<'_>, area: Rect) {
    let window = window(area, 66, 5);
    let inside = open(painter, window, "an action is under way", &Line::new());
    let lines = [
        Line::plain(" It is not stopped by leaving: its outcome is settled by looking,"),
        Line::plain(" by the next gonogo that starts."),
        Line::new()
            .with(Role::Key, " q")
            .text(" leaves   any other key stays"),
    ];
    painter.lines(inside, &lines);
}

/// The palette: what is typed, what it could become, what that would do.
pub fn palette(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>, field: &Field, at: usize) {
    let offered = command::completions(field.text());
    let rows = offered.len().clamp(1, 10);
    let width = area.width.saturating_sub(8).min(84);
    let window = window(area, width, text::cells(rows + 4));
    let inside = open(
        painter,
        window,
        "command",
        &Line::dim("what acts opens its sheet"),
    );
    let (before, after) = field.halves();
    painter.line(
        inside.x + 1,
        inside.y,
        inside.width - 1,
        &frame::prompt(":", before, after),
    );
    let shown = table::window(offered.len(), Some(at), rows);
    for (index, y) in shown.zip(inside.y + 1..inside.bottom().saturating_sub(1)) {
        let Some(entry) = offered.get(index) else {
            continue;
        };
        let mark = if index == at { "▶ " } else { "  " };
        let name = format!("{} {}", entry.name, entry.argument);
        let line = Line::plain(mark)
            .with(Role::Key, text::left(&name, 17))
            .with(Role::Dim, entry.help);
        painter.line(inside.x + 1, y, inside.width - 1, &line);
    }
    let preview = offered
        .get(at)
        .map(|entry| effect(scene, entry))
        .unwrap_or_default();
    painter.line(
        inside.x + 1,
        inside.bottom() - 1,
        inside.width - 1,
        &preview,
    );
}

/// What the marked command would do now.
fn effect(scene: &Scene<'_>, entry: &command::Entry) -> Line {
    let command::Command::Act(verb) = entry.command else {
        return Line::new();
    };
    let acts = acts(scene);
    match acts.iter().find(|act| act.verb == verb) {
        Some(act) if act.is_offered() => Line::new()
            .sign(Sign::Good)
            .text(format!(" {}", act.why_or_effect())),
        Some(act) => Line::new()
            .sign(Sign::Off)
            .with(Role::Dim, format!(" {}", act.why_or_effect())),
        None => Line::new(),
    }
}
