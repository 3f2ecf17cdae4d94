//! The decision in words, one row per gate, and the marked one in full.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::{
    domain::{
        policy::{Binding, GateRule},
        rollout::short_duration,
        text::Clean,
        verdict::{Decision, Finding, Verdict},
    },
    ui::{
        line::Line,
        paint::Painter,
        screen::{
            Scene, Screen,
            panel::{
                self,
                findings::{baseline, needs, observed},
            },
        },
        sign::Sign,
        text,
        theme::Role,
        widget::table::{self, Column, column, number},
    },
};

/// The findings in the order shown: worst first, or as the policy lists them.
pub fn findings<'a>(scene: &Scene<'a>) -> Vec<&'a Finding> {
    let mut findings: Vec<&Finding> = scene
        .decision()
        .map(|decision| decision.findings.iter().collect())
        .unwrap_or_default();
    if scene.state.sorted.get(&Screen::Gates) == Some(&1)
        && let Some(policy) = scene.policy()
    {
        let place =
            |finding: &Finding| policy.gates.iter().position(|rule| rule.id == finding.gate);
        findings.sort_by_key(|finding| place(finding));
    }
    findings
}

/// The gates by their names.
pub fn ids(scene: &Scene<'_>) -> Vec<String> {
    findings(scene)
        .iter()
        .map(|finding| finding.gate.to_string())
        .collect()
}

fn marked<'a>(scene: &Scene<'a>) -> Option<&'a Finding> {
    let findings = findings(scene);
    let chosen = findings
        .iter()
        .find(|finding| scene.state.mark_of(0) == Some(finding.gate.as_str()));
    chosen.or_else(|| findings.first()).copied()
}

/// The marked gate in one line.
pub fn copied(scene: &Scene<'_>) -> Option<Clean> {
    let finding = marked(scene)?;
    Some(Clean::from(format!(
        "{} {}: {} ({})",
        finding.gate,
        finding.verdict.word(),
        finding.reason,
        finding.rule
    )))
}

/// Where the marked gate's evidence can be seen.
pub fn links(scene: &Scene<'_>) -> Vec<Clean> {
    marked(scene)
        .and_then(|finding| finding.url.clone())
        .into_iter()
        .collect()
}

/// Draws the screen.
pub fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let Some(decision) = scene.decision() else {
        let why = if scene.lane().is_none() {
            "no release is marked: 1 goes to the fleet"
        } else {
            "nothing was judged yet: no release is known here, or its policy asks nothing"
        };
        painter.line(area.x + 1, area.y + 1, area.width - 1, &Line::dim(why));
        return;
    };
    let findings = findings(scene);
    let rows = text::cells(findings.len() + 1);
    let room = area.height.saturating_sub(2);
    let table_height = rows.min(room.saturating_sub(9)).max(4);
    let [head, table_area, detail] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(table_height),
        Constraint::Min(3),
    ])
    .areas(area);
    painter.line(head.x + 1, head.y, head.width - 1, &verdict(decision));
    let at = marked(scene).and_then(|marked| {
        findings
            .iter()
            .position(|finding| finding.gate == marked.gate)
    });
    draw_table(painter, table_area, scene, &findings, at);
    let Some(finding) = marked(scene) else { return };
    let title = format!("{} {}", finding.gate, finding.verdict.word());
    let remark = Line::dim(if finding.required {
        "required"
    } else {
        "optional"
    });
    let [detail, rule] = if area.width >= 110 {
        Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(detail)
    } else {
        Layout::horizontal([Constraint::Percentage(100), Constraint::Length(0)]).areas(detail)
    };
    let mut said = explained(scene, finding);
    let asks = scene.rule(finding).map(asks).unwrap_or_default();
    if rule.width == 0 {
        said.extend(asks);
    } else {
        panel::lines(painter, rule, "what it asks", &Line::new(), &asks);
    }
    panel::lines(painter, detail, &title, &remark, &said);
}

fn verdict(decision: &Decision) -> Line {
    let sign = Sign::from(decision.word);
    let digest: String = decision
        .policy_digest
        .trim_start_matches("sha256:")
        .chars()
        .take(8)
        .collect();
    let required = decision
        .findings
        .iter()
        .filter(|finding| finding.required)
        .count();
    let mut line = Line::dim("decision  ")
        .sign(sign)
        .with(sign.role(), format!(" {} ", decision.word.text()));
    for verdict in [
        Verdict::Fail,
        Verdict::Error,
        Verdict::Missing,
        Verdict::Stale,
        Verdict::Pending,
        Verdict::Warn,
        Verdict::Pass,
        Verdict::NotApplicable,
    ] {
        let count = decision.count(verdict);
        if count > 0 {
            line = line
                .text("  ")
                .sign(Sign::from(verdict))
                .text(format!(" {count} {}", short(verdict)));
        }
    }
    line.with(Role::Dim, format!("   {required} required"))
        .with(Role::Dim, format!("   policy {}@{digest}", decision.policy))
        .with(Role::Dim, format!("   {}", text::clock(decision.at)))
}

/// A verdict in the one word there is room for.
fn short(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotApplicable => "n/a",
        other => other.word(),
    }
}

/// Columns as wide as what they hold; what a rule asks gives way where that is
/// too much, and is read in full below the table.
fn columns(width: usize, scene: &Scene<'_>, findings: &[&Finding]) -> Vec<Column> {
    let most = |title: &str, least: usize| {
        let cells = findings
            .iter()
            .map(|finding| cell(scene, finding, title).width());
        cells.max().unwrap_or(0).max(least)
    };
    let mut columns = vec![
        column("GATE", most("GATE", 8).min(28)),
        number("OBSERVED", most("OBSERVED", 8).min(12)),
        column("NEEDS", most("NEEDS", 12)),
        column("COMPARED", most("COMPARED", 8).min(18)),
        number("AGE", 5),
        column("VERDICT", 9),
    ];
    if width >= 100 {
        columns.insert(5, number("N", 7));
        columns.insert(6, column("BACKEND", 9));
    }
    let taken: usize = 3 + columns.iter().map(|column| column.width + 1).sum::<usize>();
    if let Some(needs) = columns.iter_mut().find(|column| column.title == "NEEDS") {
        needs.width -= taken.saturating_sub(width).min(needs.width - 12);
    }
    columns
}

fn draw_table(
    painter: &mut Painter<'_>,
    area: Rect,
    scene: &Scene<'_>,
    findings: &[&Finding],
    marked: Option<usize>,
) {
    let columns = columns(usize::from(area.width), scene, findings);
    table::heading(painter, area, &columns);
    let window = table::window(
        findings.len(),
        marked,
        usize::from(area.height.saturating_sub(1)),
    );
    for (index, y) in window.zip(area.y + 1..area.bottom()) {
        let Some(finding) = findings.get(index) else {
            continue;
        };
        let cells: Vec<Line> = columns
            .iter()
            .map(|column| cell(scene, finding, column.title))
            .collect();
        table::row(painter, area, y, &columns, &cells, marked == Some(index));
    }
}

fn cell(scene: &Scene<'_>, finding: &Finding, title: &str) -> Line {
    let sign = Sign::from(finding.verdict);
    match title {
        "GATE" => {
            Line::dim(format!("{} ", finding.class)).with(Role::Strong, finding.gate.to_string())
        }
        "OBSERVED" => Line::plain(observed(finding)),
        "NEEDS" => Line::plain(needs(scene, finding)),
        "COMPARED" => Line::dim(baseline(finding)),
        "AGE" => Line::dim(
            finding
                .evidence_at
                .map_or_else(String::new, |at| text::ago(at, scene.now)),
        ),
        "N" => Line::dim(finding.samples.map_or_else(String::new, text::count)),
        "BACKEND" => Line::dim(
            finding
                .backend
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
        ),
        "VERDICT" => {
            let word = short(finding.verdict);
            Line::new().sign(sign).with(sign.role(), format!(" {word}"))
        }
        _ => Line::new(),
    }
}

/// Everything about one finding that is known, in words.
fn explained(scene: &Scene<'_>, finding: &Finding) -> Vec<Line> {
    let sign = Sign::from(finding.verdict);
    let mut lines = vec![Line::dim("why      ").with(sign.role(), finding.reason.to_string())];
    let mut add = |label: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            lines.push(Line::dim(format!("{label:<9}")).text(text));
        }
    };
    add("rule", Some(finding.rule.to_string()));
    let unit = &finding.unit;
    add(
        "observed",
        finding.observed.map(|value| text::with_unit(value, unit)),
    );
    add(
        "limit",
        finding.limit.map(|value| text::with_unit(value, unit)),
    );
    add(
        "margin",
        finding.margin.map(|value| {
            format!(
                "{} {}",
                text::with_unit(value, unit),
                if value < 0.0 { "outside" } else { "inside" }
            )
        }),
    );
    add("compared", Some(baseline(finding)));
    add("samples", finding.samples.map(text::count));
    add(
        "coverage",
        finding
            .coverage
            .map(|share| format!("{} %", text::number(share * 100.0))),
    );
    let source = finding.backend.as_ref().map(|backend| {
        let live = scene.world.liveness(backend, scene.now).word();
        format!("{backend}, {live}")
    });
    add("backend", source);
    add(
        "made",
        finding
            .evidence_at
            .map(|at| format!("{} ago ({})", text::ago(at, scene.now), text::clock(at))),
    );
    add(
        "fetched",
        finding
            .fetched_at
            .map(|at| format!("{} ago", text::ago(at, scene.now))),
    );
    add(
        "changes",
        finding.changes_at.map(|at| {
            format!(
                "by age alone in {}",
                text::age(text::between(scene.now, at))
            )
        }),
    );
    add(
        "digest",
        finding
            .digest
            .as_ref()
            .map(|digest| text::fit_middle(digest, 30)),
    );
    lines
}

/// What a rule asks, clause by clause.
fn asks(rule: &GateRule) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |label: &str, text: Option<String>| {
        if let Some(text) = text {
            lines.push(Line::dim(format!("{label:<9}")).text(text));
        }
    };
    let limit = |limit| super::facts::limit(limit, &rule.unit);
    add(
        "kind",
        Some(format!("{}, class {}", rule.source.kind(), rule.class)),
    );
    add("passes", limit(rule.fail));
    add(
        "warns",
        limit(rule.warn).map(|text| format!("unless {text}")),
    );
    add(
        "fails",
        rule.breaches.map(|breaches| {
            format!(
                "when {} of {} windows are outside",
                breaches.at_least, breaches.of
            )
        }),
    );
    add(
        "traffic",
        rule.min_traffic
            .map(|traffic| format!("at least {} requests", text::number(traffic))),
    );
    add(
        "fresh",
        rule.max_age
            .map(|age| format!("not older than {}", short_duration(age))),
    );
    let bound: Vec<&str> = rule
        .bind
        .iter()
        .map(|binding| match binding {
            Binding::Commit => "commit",
            Binding::ModelVersion => "model version",
            Binding::Image => "image",
        })
        .collect();
    add("bound to", (!bound.is_empty()).then(|| bound.join(", ")));
    lines
}
