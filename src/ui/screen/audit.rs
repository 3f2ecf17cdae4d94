//! What was done: the ledger's newest lines, and the marked one in full.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::{
    domain::{quantity::counted, text::Clean},
    store::{Record, RecordKind},
    ui::{
        line::Line,
        paint::Painter,
        screen::{Scene, frame::outcome_sign, panel},
        sign::Sign,
        state::LedgerView,
        text,
        theme::Role,
        widget::table::{self, Column, column, number},
    },
};

/// How many problems of the ledger are named.
const NAMED: usize = 2;

/// The lines shown, newest first.
fn records<'a>(scene: &Scene<'a>) -> Vec<&'a Record> {
    scene.state.ledger.records.iter().rev().collect()
}

/// The lines by their numbers.
pub fn ids(scene: &Scene<'_>) -> Vec<String> {
    records(scene)
        .iter()
        .map(|record| record.seq.to_string())
        .collect()
}

/// The marked line.
pub fn marked<'a>(scene: &Scene<'a>) -> Option<&'a Record> {
    let records = records(scene);
    let mark = scene.state.mark_of(0);
    let chosen = records
        .iter()
        .find(|record| mark == Some(record.seq.to_string().as_str()));
    chosen.or_else(|| records.first()).copied()
}

/// The marked line, for copying.
pub fn copied(scene: &Scene<'_>) -> Option<Clean> {
    let record = marked(scene)?;
    Some(Clean::from(format!(
        "#{} {} {} {} {}",
        record.seq,
        record.verb,
        record
            .service
            .as_ref()
            .map_or("", |service| service.as_str()),
        said(record),
        record.hash
    )))
}

fn sign(record: &Record) -> Sign {
    match (&record.kind, record.outcome) {
        (_, Some(outcome)) => outcome_sign(outcome),
        (RecordKind::Intent, None) => Sign::Running,
        (_, None) => Sign::Off,
    }
}

fn said(record: &Record) -> String {
    match record.outcome {
        Some(outcome) => outcome.word().to_owned(),
        None => record.kind.word().to_owned(),
    }
}

/// Draws the screen.
pub fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let ledger = &scene.state.ledger;
    let mut head = Line::dim("ledger  ");
    let damaged = ledger.problems.len();
    head = match (&ledger.trouble, ledger.read) {
        (None, true) if 0 < damaged => head.sign(Sign::Bad).with(
            Role::Bad,
            format!(" broken: {}", counted(damaged, "problem", "problems")),
        ),
        (Some(trouble), _) => head.sign(Sign::Bad).with(Role::Bad, format!(" {trouble}")),
        (None, false) => head.text("being read"),
        (None, true) => head.text(format!(
            "the newest {}",
            counted(ledger.records.len(), "line", "lines")
        )),
    };
    head = head.with(Role::Dim, "   `gonogo audit verify` checks the chain");
    painter.line(area.x + 1, area.y, area.width - 1, &head);
    let named = damage(ledger);
    painter.lines(
        Rect {
            x: area.x + 1,
            y: area.y + 1,
            width: area.width - 1,
            height: area.height.saturating_sub(1),
        },
        &named,
    );
    let records = records(scene);
    if records.is_empty() {
        if ledger.read && damaged == 0 {
            let line =
                Line::dim("nothing was done yet: every action and its outcome is written here");
            painter.line(area.x + 1, area.y + 2, area.width - 1, &line);
        }
        return;
    }
    let above = text::cells(named.len() + 2);
    let body = Rect {
        y: area.y + above,
        height: area.height.saturating_sub(above),
        ..area
    };
    let [rows, detail] = Layout::vertical([
        Constraint::Min(4),
        Constraint::Length(9.min(body.height / 2)),
    ])
    .areas(body);
    draw_rows(painter, rows, scene, &records);
    if let Some(record) = marked(scene) {
        let title = format!("line {}", record.seq);
        panel::lines(
            painter,
            detail,
            &title,
            &Line::dim("y all of it"),
            &explained(scene, record),
        );
    }
}

/// The first lines that are not as they were written, and how many more.
fn damage(ledger: &LedgerView) -> Vec<Line> {
    let mut lines: Vec<Line> = ledger
        .problems
        .iter()
        .take(NAMED)
        .map(|problem| {
            Line::new()
                .sign(Sign::Bad)
                .with(Role::Bad, format!(" {problem}"))
        })
        .collect();
    let more = ledger.problems.len() - lines.len();
    if 0 < more {
        lines.push(Line::dim(format!("… {more} more")));
    }
    lines
}

fn draw_rows(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>, records: &[&Record]) {
    let columns = columns(usize::from(area.width), scene, records);
    table::heading(painter, area, &columns);
    let at =
        marked(scene).and_then(|marked| records.iter().position(|record| record.seq == marked.seq));
    let window = table::window(
        records.len(),
        at,
        usize::from(area.height.saturating_sub(1)),
    );
    for (index, y) in window.zip(area.y + 1..area.bottom()) {
        let Some(record) = records.get(index) else {
            continue;
        };
        let sign = sign(record);
        let cells = [
            Line::dim(record.seq.to_string()),
            Line::dim(time(record, scene)),
            Line::plain(record.actor.to_string()),
            action(record),
            Line::plain(target(record)),
            Line::new()
                .sign(sign)
                .with(sign.role(), format!(" {}", said(record))),
            reason(record),
        ];
        table::row(painter, area, y, &columns, &cells, at == Some(index));
    }
}

/// Columns as wide as what they hold; what is over is the reason's.
fn columns(width: usize, scene: &Scene<'_>, records: &[&Record]) -> [Column; 7] {
    let most = |of: &dyn Fn(&Record) -> usize, least: usize, most: usize| {
        let longest = records.iter().map(|record| of(record)).max();
        longest.unwrap_or(0).clamp(least, most)
    };
    let roomy = width >= 100;
    let mut columns = [
        number("#", most(&|record| record.seq.to_string().len(), 4, 9)),
        column("TIME", most(&|record| time(record, scene).len(), 8, 11)),
        column(
            "WHO",
            most(
                &|record| text::width(&record.actor),
                3,
                if roomy { 16 } else { 9 },
            ),
        ),
        column(
            "ACTION",
            most(
                &|record| action(record).width(),
                6,
                if roomy { 28 } else { 17 },
            ),
        ),
        column(
            "TARGET",
            most(
                &|record| text::width(&target(record)),
                6,
                if roomy { 40 } else { 24 },
            ),
        ),
        column("RESULT", most(&|record| said(record).len() + 2, 6, 12)),
        column("REASON", 0),
    ];
    let taken: usize = 2 + columns.iter().map(|column| column.width + 1).sum::<usize>();
    if let Some(reason) = columns.last_mut() {
        reason.width = width.saturating_sub(taken);
    }
    columns
}

fn time(record: &Record, scene: &Scene<'_>) -> String {
    record
        .at
        .map_or_else(|| "?".to_owned(), |at| text::stamp(at, scene.now))
}

/// Service and environment; where it is long the service gives way.
fn target(record: &Record) -> String {
    let service = record
        .service
        .as_ref()
        .map_or("", |service| service.as_str());
    let Some(environment) = &record.environment else {
        return service.to_owned();
    };
    let room = 23_usize.saturating_sub(text::width(environment.as_str()));
    format!("{} {environment}", text::fit(service, room.max(8)))
}

/// What was done. A plan of several steps is one line; each of its steps is
/// another, set in and with its place: `2/3 set alias`.
fn action(record: &Record) -> Line {
    match (&record.action, record.step, record.steps) {
        (Some(action), Some(step), Some(steps)) if steps > 1 => {
            Line::dim(format!("{}/{steps} ", step + 1)).text(action.to_string())
        }
        _ => Line::new().with(Role::Strong, record.verb.to_string()),
    }
}

/// Why, as the person said it. Who went past a rule stands out from who did not have to.
fn reason(record: &Record) -> Line {
    let said = record.reason.as_ref().unwrap_or(&record.note);
    match &record.overridden {
        Some(rule) => Line::new()
            .with(Role::Warn, format!("past {rule}: "))
            .with(Role::Dim, said.to_string()),
        None => Line::dim(said.to_string()),
    }
}

/// One line of the ledger in words.
fn explained(scene: &Scene<'_>, record: &Record) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |label: &str, text: String| {
        if !text.is_empty() {
            lines.push(Line::dim(format!("{label:<9}")).text(text));
        }
    };
    add("who", record.actor.to_string());
    let what = record
        .subject
        .as_ref()
        .map_or_else(String::new, ToString::to_string);
    add("what", format!("{} {what}", record.verb));
    let step = record
        .step
        .zip(record.steps)
        .map(|(step, steps)| format!("{} of {steps}", step + 1));
    add("step", step.unwrap_or_default());
    add(
        "why",
        record.reason.as_deref().unwrap_or_default().to_owned(),
    );
    add(
        "past rule",
        record.overridden.as_deref().unwrap_or_default().to_owned(),
    );
    add("result", format!("{} {}", said(record), record.note));
    let release = record
        .release
        .as_ref()
        .and_then(|id| scene.world.release(id));
    add(
        "release",
        release.map_or_else(String::new, |release| release.label.to_string()),
    );
    add("hash", text::fit_middle(&record.hash, 40));
    lines
}
