//! A rollout: traffic, steps, charts of canary against stable, analyses with
//! their measurements, revisions.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::{
    domain::{
        rollout::{
            Analysis, AnalysisMetric, AnalysisPhase, AnalysisStage, Cutover, Revision,
            Role as RevisionRole, Rollout,
        },
        text::Clean,
    },
    ui::{
        line::Line,
        paint::Painter,
        screen::{SIDEWAYS, Scene, facts::metrics, panel},
        sign::Sign,
        text::{self, Charset},
        theme::Role,
    },
};

/// Charts, analyses, revisions.
pub const PANES: usize = 3;

/// Draws the screen.
pub fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let width = usize::from(area.width.saturating_sub(2));
    let head = panel::canary::lines(scene, width);
    let [top, rest] = Layout::vertical([
        Constraint::Length(text::cells(head.len())),
        Constraint::Min(3),
    ])
    .areas(area);
    painter.lines(
        Rect {
            x: top.x + 1,
            width: top.width - 1,
            ..top
        },
        &head,
    );
    if scene.rollout().is_none() {
        return;
    }
    if scene.state.zoomed {
        zoomed(painter, rest, scene);
        return;
    }
    let analyses = analyses(scene);
    let wanted = analyses.len().max(revisions(scene, true).len()).max(3) + 2;
    let tables = text::cells(wanted)
        .min(rest.height * 2 / 5)
        .max(5)
        .min(rest.height);
    let [graphs, legend, lower] = Layout::vertical([
        Constraint::Min(3),
        Constraint::Length(1),
        Constraint::Length(tables),
    ])
    .areas(rest);
    if metrics(scene).is_empty() {
        let [_, lower] = Layout::vertical([Constraint::Length(1), Constraint::Min(3)]).areas(rest);
        lower_tables(painter, lower, scene, &analyses);
        return;
    }
    panel::charts::draw(painter, graphs, scene);
    painter.line(
        legend.x + 1,
        legend.y,
        legend.width - 1,
        &chart_legend(scene, legend.width),
    );
    lower_tables(painter, lower, scene, &analyses);
}

/// Cells the table of analyses needs at least.
const ANALYSES: u16 = 75;
/// Cells a table of revisions needs for their hashes.
const HASHES: u16 = 50;

fn lower_tables(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>, analyses: &[Line]) {
    // Beside each other where a measurement still has the room of a small window.
    let beside = (area.width * 42 / 100).min(area.width.saturating_sub(ANALYSES));
    let revisions = revisions(scene, area.width < 120 || HASHES <= beside);
    if area.width >= 120 {
        let [left, right] =
            Layout::horizontal([Constraint::Min(ANALYSES), Constraint::Length(beside)]).areas(area);
        panel::lines(painter, left, "analyses", &counts(scene), analyses);
        panel::lines(painter, right, "revisions", &Line::new(), &revisions);
    } else if scene.state.pane() == 2 {
        panel::lines(
            painter,
            area,
            "revisions",
            &Line::dim("Tab analyses"),
            &revisions,
        );
    } else {
        panel::lines(painter, area, "analyses", &counts(scene), analyses);
    }
}

fn zoomed(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    match scene.state.pane() {
        1 => panel::lines(painter, area, "analyses", &counts(scene), &analyses(scene)),
        2 => panel::lines(
            painter,
            area,
            "revisions",
            &Line::new(),
            &revisions(scene, true),
        ),
        _ => panel::charts::draw(painter, area, scene),
    }
}

/// What the lines of the charts are. A rollout without a canary has one arm; a
/// canary that was in the time shown is then one of the past.
fn chart_legend(scene: &Scene<'_>, width: u16) -> Line {
    let (canary, stable, limit) = match scene.state.look.charset {
        Charset::Unicode => ("──", "··", "┄┄"),
        Charset::Ascii => ("*", ".", "-"),
    };
    let mut line = Line::new();
    if let Some(rollout) = scene.rollout() {
        let name = |revision: Option<&Revision>| revision.map(Revision::name).unwrap_or_default();
        let (tried, users) = (name(rollout.current()), name(rollout.stable()));
        line = if rollout.cutover() == Some(Cutover::Switched) {
            line.with(Role::Canary, format!("{canary} users {tried}"))
                .with(Role::Stable, format!("   {stable} before {users}"))
        } else if rollout.cutover().is_some() {
            line.with(Role::Canary, format!("{canary} preview {tried}"))
                .with(Role::Stable, format!("   {stable} users {users}"))
        } else if rollout.is_fully_promoted() {
            let line = line.with(Role::Stable, format!("{stable} live {users}"));
            if had_canary(scene) {
                line.with(Role::Canary, format!("   {canary} canary before"))
            } else {
                line
            }
        } else {
            line.with(Role::Canary, format!("{canary} canary {tried}"))
                .with(Role::Stable, format!("   {stable} stable {users}"))
        };
    }
    let window = text::age(scene.state.window);
    let line = line
        .with(Role::Limit, format!("   {limit} limit"))
        .with(Role::Dim, format!("   last {window} (w)"));
    if width < 100 {
        return line;
    }
    line.with(Role::Dim, "   a gap is no data")
}

/// Whether some metric has values of a canary in the time shown.
fn had_canary(scene: &Scene<'_>) -> bool {
    metrics(scene)
        .iter()
        .filter_map(|facts| facts.canary_series)
        .any(|series| {
            let from = series.to - scene.state.window;
            series.points.iter().any(|(at, _)| from <= *at)
        })
}

/// Measurements over all analyses, for the frame's corner.
fn counts(scene: &Scene<'_>) -> Line {
    let mut sums = (0, 0, 0, 0);
    let analyses = scene
        .rollout()
        .map(|rollout| rollout.analyses.as_slice())
        .unwrap_or_default();
    for metric in analyses.iter().flat_map(|analysis| &analysis.metrics) {
        sums.0 += metric.counts.successful;
        sums.1 += metric.counts.failed;
        sums.2 += metric.counts.inconclusive;
        sums.3 += metric.counts.error;
    }
    let mut line = Line::new();
    for (count, sign) in [
        (sums.0, Sign::Good),
        (sums.1, Sign::Bad),
        (sums.2, Sign::Missing),
        (sums.3, Sign::Error),
    ] {
        if count > 0 {
            line = line.sign(sign).text(format!(" {count} "));
        }
    }
    line
}

/// One line per analysis and per metric of it, newest first.
fn analyses(scene: &Scene<'_>) -> Vec<Line> {
    let Some(rollout) = scene.rollout() else {
        return Vec::new();
    };
    if rollout.analyses.is_empty() {
        return vec![Line::dim("no analysis has run for this revision")];
    }
    rollout
        .analyses
        .iter()
        .flat_map(|analysis| analysis_lines(scene, analysis))
        .collect()
}

fn analysis_lines(scene: &Scene<'_>, analysis: &Analysis) -> Vec<Line> {
    let sign = Sign::from(&analysis.phase);
    let age = analysis.started_at.map_or_else(String::new, |at| {
        format!("  {} ago", text::ago(at, scene.now))
    });
    let mut lines = vec![
        Line::new()
            .sign(sign)
            .with(
                Role::Strong,
                format!(" {}", text::fit_middle(&analysis.name, 34)),
            )
            .with(sign.role(), format!(" {}", phase(&analysis.phase)))
            .with(Role::Dim, stage(&analysis.stage))
            .with(Role::Dim, age)
            .with(
                Role::Dim,
                if analysis.message.is_empty() {
                    String::new()
                } else {
                    format!("  {}", analysis.message)
                },
            ),
    ];
    lines.extend(analysis.metrics.iter().map(metric_line));
    lines
}

fn metric_line(metric: &AnalysisMetric) -> Line {
    let of = metric
        .count
        .map_or_else(String::new, |count| format!(" of {count}"));
    let mut line = Line::plain("  ")
        .sign(Sign::from(&metric.phase))
        .text(format!(" {} ", text::left(&metric.name, 16)))
        .with(Role::Dim, format!("{}{of} ", metric.counts.total()));
    for measurement in metric.measurements.iter().rev().take(4).rev() {
        line = line
            .text(" ")
            .sign(Sign::from(&measurement.phase))
            .text(measured(&measurement.value));
    }
    let condition = metric
        .success_condition
        .as_ref()
        .or(metric.failure_condition.as_ref());
    if let Some(condition) = condition {
        line = line.with(Role::Dim, format!("  {condition}"));
    }
    if metric.dry_run {
        line = line.with(Role::Dim, "  dry run");
    }
    line
}

/// A measured value as the controller wrote it (`[0.9952606]`), as a number.
fn measured(value: &str) -> String {
    let bare = value.trim_matches(['[', ']']);
    bare.parse()
        .map_or_else(|_| text::fit(bare, 9), text::number)
}

/// What an analysis decides about, where its step does not say.
fn stage(stage: &AnalysisStage) -> &'static str {
    match stage {
        AnalysisStage::BeforeSwitch => " before the switch",
        AnalysisStage::AfterSwitch => " after the switch",
        AnalysisStage::Step(_) | AnalysisStage::Background | AnalysisStage::Unknown(_) => "",
    }
}

fn phase(phase: &AnalysisPhase) -> &str {
    match phase {
        AnalysisPhase::Pending => "pending",
        AnalysisPhase::Running => "running",
        AnalysisPhase::Successful => "successful",
        AnalysisPhase::Failed => "failed",
        AnalysisPhase::Error => "error",
        AnalysisPhase::Inconclusive => "inconclusive",
        AnalysisPhase::Unknown(word) => word,
    }
}

/// One line per revision, newest first.
fn revisions(scene: &Scene<'_>, hashes: bool) -> Vec<Line> {
    let Some(rollout) = scene.rollout() else {
        return Vec::new();
    };
    let widest = if rollout.blue_green.is_some() {
        "preview".len()
    } else {
        "stable".len()
    };
    rollout
        .revisions
        .iter()
        .map(|revision| {
            let (word, role) = role(rollout, revision);
            let kept = panel::blue_green::left(revision, scene.now);
            let kept = kept.map_or_else(String::new, |left| format!(" kept {left}"));
            let age = revision
                .created_at
                .map_or_else(String::new, |at| text::ago(at, scene.now));
            let hash = if hashes { revision.hash.as_str() } else { "" };
            Line::dim(format!("{:>4} ", revision.number))
                .with(Role::Strong, text::left(&revision.name(), 16))
                .with(role, format!(" {word:<widest$}"))
                .text(format!(
                    " {}/{}",
                    revision.pods.ready, revision.pods.desired
                ))
                .with(Role::Good, kept)
                .with(Role::Dim, format!(" {age:>4} {hash}"))
        })
        .collect()
}

/// What a revision is to users, in one word.
fn role(rollout: &Rollout, revision: &Revision) -> (&'static str, Role) {
    let active = rollout
        .blue_green
        .as_ref()
        .and_then(|it| it.active.as_ref());
    match (revision.role, active) {
        (_, Some(active)) if *active == revision.hash => ("users", Role::Good),
        (RevisionRole::Stable, Some(_)) => ("before", Role::Stable),
        (RevisionRole::Canary, Some(_)) => ("preview", Role::Canary),
        (RevisionRole::Stable, None) => ("stable", Role::Stable),
        (RevisionRole::Canary, None) => ("canary", Role::Canary),
        (RevisionRole::Old, _) => ("", Role::Dim),
    }
}

/// The metrics, for `←` and `→`.
pub fn ids(scene: &Scene<'_>, pane: usize) -> Vec<String> {
    if pane != SIDEWAYS {
        return Vec::new();
    }
    metrics(scene)
        .iter()
        .map(|facts| facts.spec.id.metric.to_string())
        .collect()
}

/// The marked revision's name, for copying.
pub fn revision_name(scene: &Scene<'_>) -> Option<Clean> {
    scene.rollout()?.current().map(Revision::name)
}
