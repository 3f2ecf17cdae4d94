//! A run: its jobs by stage with timings, the steps of the marked one, its log.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::{
    domain::{
        Timestamp,
        id::JobId,
        pipeline::{Job, Run},
        rollout::short_duration,
        text::Clean,
    },
    engine::world::Known,
    ui::{
        line::Line,
        log::view::{Arrival, LogView},
        paint::Painter,
        screen::Scene,
        sign::Sign,
        state::UiState,
        text,
        theme::Role,
        widget::table::{self, column, number},
    },
};

/// The attempts of the marked run that jobs are known of, oldest first.
pub fn attempts(scene: &Scene<'_>) -> Vec<u32> {
    let mut attempts: Vec<u32> = all_jobs(scene).iter().map(|job| job.attempt).collect();
    attempts.sort_unstable();
    attempts.dedup();
    attempts
}

fn all_jobs<'a>(scene: &Scene<'a>) -> Vec<&'a Known<Job>> {
    let Some(run) = scene.run() else {
        return Vec::new();
    };
    let first = JobId {
        run: run.id.clone(),
        id: 0,
    };
    let of_run = scene
        .world
        .jobs
        .from_where(&|id| *id < first)
        .take_while(|(id, _)| id.run == run.id);
    of_run.map(|(_, job)| job).collect()
}

/// The jobs of the attempt that is shown, by stage or by length.
pub fn jobs<'a>(scene: &Scene<'a>) -> Vec<&'a Known<Job>> {
    let shown = scene
        .state
        .attempt
        .or_else(|| attempts(scene).last().copied());
    let mut jobs: Vec<&Known<Job>> = all_jobs(scene)
        .into_iter()
        .filter(|job| Some(job.attempt) == shown)
        .collect();
    let longest_first = scene.state.sorted.get(&super::Screen::Run) == Some(&1);
    if longest_first {
        jobs.sort_by_key(|job| std::cmp::Reverse(took(job.started_at, job.ended_at, scene.now)));
    } else {
        jobs.sort_by_key(|job| (job.stage, job.id.id));
    }
    jobs
}

fn took(
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    now: Timestamp,
) -> Option<std::time::Duration> {
    from.map(|from| {
        std::time::Duration::from_secs(text::between(from, to.unwrap_or(now)).as_secs())
    })
}

fn marked_job<'a>(scene: &Scene<'a>) -> Option<&'a Known<Job>> {
    let jobs = jobs(scene);
    let mark = scene.state.mark_of(0);
    let chosen = jobs
        .iter()
        .find(|job| mark == Some(job.id.id.to_string().as_str()));
    let failed = || jobs.iter().find(|job| Sign::from(&job.status) == Sign::Bad);
    let running = || {
        jobs.iter()
            .find(|job| Sign::from(&job.status) == Sign::Running)
    };
    chosen
        .or_else(failed)
        .or_else(running)
        .or_else(|| jobs.last())
        .copied()
}

/// The marked job, for its log.
pub fn job_for_log(scene: &Scene<'_>) -> Option<(JobId, Clean)> {
    marked_job(scene).map(|job| (job.id.clone(), job.name.clone()))
}

/// Jobs in the first pane, steps of the marked one in the second.
pub fn ids(scene: &Scene<'_>, pane: usize) -> Vec<String> {
    match pane {
        0 => jobs(scene)
            .iter()
            .map(|job| job.id.id.to_string())
            .collect(),
        1 => marked_job(scene)
            .map(|job| {
                job.steps
                    .iter()
                    .map(|step| step.number.to_string())
                    .collect()
            })
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The marked job in one line.
pub fn copied(scene: &Scene<'_>) -> Option<Clean> {
    let run = scene.run()?;
    let job = marked_job(scene);
    let job = job.map_or_else(String::new, |job| {
        format!(" {} {}", job.name, job.status.word())
    });
    Some(Clean::from(format!(
        "{} attempt {}{job} {}",
        run.id, run.attempt, run.url
    )))
}

/// The marked job's page.
pub fn links(scene: &Scene<'_>) -> Vec<Clean> {
    marked_job(scene)
        .map(|job| job.url.clone())
        .into_iter()
        .collect()
}

/// Lines of the log pane in a window of this size.
pub fn log_height(state: &UiState) -> usize {
    let content = usize::from(state.size.1.saturating_sub(4));
    if state.zoomed {
        content.saturating_sub(2)
    } else {
        (content * 3 / 5).saturating_sub(2)
    }
    .max(1)
}

/// Draws the screen.
pub fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let Some(run) = scene.run() else {
        let line = Line::dim("no run is linked to this release; 2 says why");
        painter.line(area.x + 1, area.y + 1, area.width - 1, &line);
        return;
    };
    let log = scene.state.log.as_deref();
    if let (true, Some(log)) = (scene.state.zoomed, log) {
        draw_log(painter, area, log);
        return;
    }
    let [head, rest] = Layout::vertical([Constraint::Length(2), Constraint::Min(4)]).areas(area);
    painter.lines(
        Rect {
            x: head.x + 1,
            width: head.width - 1,
            ..head
        },
        &header(scene, run),
    );
    match log {
        Some(log) => {
            let height = text::cells(log_height(scene.state) + 2);
            let [table, pane] =
                Layout::vertical([Constraint::Min(3), Constraint::Length(height)]).areas(rest);
            draw_jobs(painter, table, scene);
            draw_log(painter, pane, log);
        }
        None => {
            let [table, steps] = if area.width >= 110 {
                Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)])
                    .areas(rest)
            } else {
                let jobs = text::cells(jobs(scene).len() + 2).min(rest.height * 3 / 5);
                Layout::vertical([Constraint::Length(jobs), Constraint::Min(3)]).areas(rest)
            };
            draw_jobs(painter, table, scene);
            draw_steps(painter, steps, scene);
        }
    }
}

fn header(scene: &Scene<'_>, run: &Known<Run>) -> Vec<Line> {
    let newest = run.attempt;
    let shown = scene.state.attempt.unwrap_or(newest);
    let attempt = if shown == newest {
        format!("attempt {newest}")
    } else {
        format!("attempt {shown} of {newest}")
    };
    let length = took(
        run.started_at,
        run.updated_at.filter(|_| run.status.has_ended()),
        scene.now,
    );
    let commit: String = run.head_sha.chars().take(7).collect();
    let first = Line::new()
        .sign(Sign::from(&run.status))
        .with(
            Role::Strong,
            format!(" {} #{}", run.pipeline.workflow, run.number),
        )
        .text(format!("  {} {attempt}", run.status.word()))
        .with(
            Role::Dim,
            format!("  {} {commit} {} by {}", run.branch, run.event, run.actor),
        )
        .with(
            Role::Dim,
            length.map_or_else(String::new, |length| {
                format!("  {}", short_duration(length))
            }),
        );
    let mut second = Line::dim(format!("  “{}”", run.title));
    if let Some(reason) = &run.status.reason {
        second = second.with(Role::Warn, format!("  {reason}"));
    }
    for approval in scene.world.approvals_of(&run.id) {
        let who = match approval.may_approve {
            Some(true) => "you may answer".to_owned(),
            Some(false) | None => approval
                .reviewers
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        };
        second = second
            .text("  ")
            .sign(Sign::Person)
            .with(
                Role::Person,
                format!(" `{}` waits for approval", approval.environment),
            )
            .with(Role::Dim, format!(" {who}"));
    }
    vec![first, second]
}

fn draw_jobs(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let jobs = jobs(scene);
    let marked = marked_job(scene).map(|job| job.id.id);
    let wide = usize::from(area.width);
    let name = wide.saturating_sub(52).clamp(12, 34);
    let columns = [
        column("JOB", name),
        column("STAGE", 9),
        column("STATE", 12),
        number("TOOK", 7),
        number("STEPS", 6),
        column("RUNNER", wide.saturating_sub(name + 42).min(24)),
    ];
    table::heading(painter, area, &columns);
    if jobs.is_empty() {
        painter.line(
            area.x + 2,
            area.y + 1,
            area.width - 2,
            &Line::dim("its jobs are not known yet"),
        );
        return;
    }
    let at = jobs.iter().position(|job| Some(job.id.id) == marked);
    let window = table::window(jobs.len(), at, usize::from(area.height.saturating_sub(1)));
    for (index, y) in window.zip(area.y + 1..area.bottom()) {
        let Some(job) = jobs.get(index) else { continue };
        let done = job
            .steps
            .iter()
            .filter(|step| step.status.has_ended())
            .count();
        let steps = if job.steps.is_empty() {
            String::new()
        } else {
            format!("{done}/{}", job.steps.len())
        };
        let cells = [
            Line::new().with(Role::Strong, job.name.to_string()),
            Line::dim(job.stage.name()),
            Line::new()
                .sign(Sign::from(&job.status))
                .text(format!(" {}", job.status.word())),
            Line::plain(
                took(job.started_at, job.ended_at, scene.now)
                    .map_or_else(String::new, short_duration),
            ),
            Line::dim(steps),
            Line::dim(job.runner.as_deref().unwrap_or_default()),
        ];
        table::row(painter, area, y, &columns, &cells, at == Some(index));
    }
}

fn draw_steps(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let Some(job) = marked_job(scene) else { return };
    let title = Line::new().with(Role::Strong, format!("steps of {}", job.name));
    let border = if scene.state.pane() == 1 {
        Role::Key
    } else {
        Role::Border
    };
    let inside = painter.frame_as(area, &title, &Line::dim("l log"), border);
    if job.steps.is_empty() {
        painter.line(
            inside.x + 1,
            inside.y,
            inside.width,
            &Line::dim("no steps are told yet"),
        );
        return;
    }
    let running = job.steps.iter().position(|step| !step.status.has_ended());
    let chosen = scene.state.mark_of(1);
    let marked = job
        .steps
        .iter()
        .position(|step| chosen == Some(step.number.to_string().as_str()));
    let window = table::window(
        job.steps.len(),
        marked.or(running),
        usize::from(inside.height),
    );
    for (index, y) in window.zip(inside.top()..) {
        let Some(step) = job.steps.get(index) else {
            continue;
        };
        let length = took(step.started_at, step.ended_at, scene.now)
            .map_or_else(String::new, short_duration);
        let line = Line::new()
            .text(if marked == Some(index) { "▶" } else { " " })
            .sign(Sign::from(&step.status))
            .with(Role::Dim, format!(" {:>2} ", step.number))
            .text(step.name.to_string());
        painter.line(inside.x, y, inside.width.saturating_sub(9), &line);
        painter.line_right(
            Rect {
                width: inside.width - 1,
                ..inside
            },
            y,
            &Line::dim(length),
        );
    }
}

fn draw_log(painter: &mut Painter<'_>, area: Rect, log: &LogView) {
    let title = Line::new().with(Role::Strong, format!("log of {}", log.title));
    let inside = painter.frame_as(area, &title, &log.remark(), Role::Key);
    let said = match &log.arrival {
        Arrival::Asked => Some(Line::dim("asked for the log")),
        Arrival::Failed(why) => Some(Line::new().sign(Sign::Off).text(format!(" {why}"))),
        Arrival::Whole if log.ring.is_empty() => Some(Line::dim("the log is empty")),
        Arrival::Coming | Arrival::Whole => None,
    };
    if let Some(said) = said.filter(|_| log.ring.is_empty()) {
        painter.line(
            inside.x + 1,
            inside.y,
            inside.width.saturating_sub(1),
            &said,
        );
        return;
    }
    let lines = log.window(usize::from(inside.width), usize::from(inside.height));
    painter.lines(inside, &lines);
}
