//! A blue/green rollout in a few lines: who has the users, what is shown beside
//! them, and how far the switch is.
//!
//! ```text
//! users    ██████████ 100 %  9f3c2ab  4/4 ready  ranker
//! preview  ░░░░░░░░░░   0 %  c41d7e9  4/4 ready  ranker-preview
//! switch   pods ✓ ── smoke ✓ ── you ◆ ── users ○ ── soak ○ ── stable ○
//! ```

use std::time::Duration;

use crate::{
    domain::{
        Timestamp,
        rollout::{
            BlueGreen, Cutover, Promotion, Revision, Rollout, SwitchAnalysis, short_duration,
        },
    },
    ui::{
        line::Line,
        screen::panel::canary::NARROW,
        sign::Sign,
        text,
        theme::Role,
        widget::{
            bar,
            steps::{self, Station},
        },
    },
};

/// Users, preview or what was before, and the way of the switch.
pub fn lines(rollout: &Rollout, facts: &BlueGreen, width: usize, now: Timestamp) -> Vec<Line> {
    let mut lines = Vec::new();
    let tried = match rollout.cutover() {
        None => Role::Good,
        Some(Cutover::Preview) => Role::Stable,
        Some(Cutover::Switched) => Role::Canary,
    };
    let behind = |service: &str| Line::dim(format!("  {service}"));
    if let Some(users) = rollout.users() {
        let remark = behind(&facts.active_service);
        lines.push(row("users", users, true, tried, remark, width));
    }
    match rollout.cutover() {
        Some(Cutover::Preview) => {
            if let Some(preview) = rollout.current() {
                let remark = match left(preview, now) {
                    Some(left) => Line::dim(format!("  its pods go in {left}")),
                    None => facts
                        .preview_service
                        .as_ref()
                        .map_or_else(Line::new, |service| behind(service)),
                };
                lines.push(row("preview", preview, false, Role::Canary, remark, width));
            }
        }
        Some(Cutover::Switched) => {
            if let Some(before) = rollout.stable() {
                let remark = if before.is_up() {
                    Line::new().with(Role::Good, "  back at once (B)")
                } else {
                    Line::new()
                };
                lines.push(row("before", before, false, Role::Stable, remark, width));
            }
        }
        None => lines.extend(kept(rollout, width, now)),
    }
    if NARROW <= width && rollout.cutover().is_some() {
        let way = steps::line(&stations(rollout, facts, now), width.saturating_sub(9));
        lines.push(Line::dim("switch   ").join(way));
    }
    lines
}

/// One revision: its share, its name, its pods.
fn row(word: &str, revision: &Revision, all: bool, role: Role, remark: Line, width: usize) -> Line {
    let pods = format!("{}/{}", revision.pods.ready, revision.pods.desired);
    let short = revision.pods.ready < revision.pods.desired;
    let line = Line::dim(text::left(word, 9));
    let share = if all { 100 } else { 0 };
    let line = if width < NARROW {
        line.with(
            role,
            format!("{share:>3} % {} ", text::fit(&revision.name(), 12)),
        )
        .text(pods)
    } else {
        let cells = width.saturating_sub(62).clamp(6, 40);
        line.join(bar::share(share, cells, role))
            .with(role, format!(" {share:>3} %  "))
            .with(Role::Strong, text::left(&revision.name(), 14))
            .text(format!(" {pods} ready"))
    };
    let line = if short {
        line.text(" ").sign(Sign::Warn)
    } else {
        line
    };
    if width < NARROW {
        line
    } else {
        line.join(remark)
    }
}

/// What can be gone back to at once, because its pods still run.
fn kept(rollout: &Rollout, width: usize, now: Timestamp) -> Option<Line> {
    let is_current = |revision: &Revision| Some(&revision.hash) == rollout.current_hash.as_ref();
    let (revision, left) = rollout
        .revisions
        .iter()
        .filter(|revision| !is_current(revision) && revision.is_up())
        .find_map(|revision| Some((revision, left(revision, now)?)))?;
    let line = Line::dim("kept     ").with(Role::Stable, revision.name().to_string());
    let pods = revision.pods;
    Some(if width < NARROW {
        line.with(Role::Dim, format!(" {left} more (R)"))
    } else {
        line.text(format!("  {}/{} ready", pods.ready, pods.desired))
            .with(Role::Good, format!("  for {left} more: back at once (R)"))
    })
}

/// How long a revision still keeps its pods.
pub fn left(revision: &Revision, now: Timestamp) -> Option<String> {
    let until = revision.kept_until.filter(|until| now < *until)?;
    let left = Duration::from_secs(text::between(now, until).as_secs());
    Some(short_duration(left))
}

/// What a blue/green update passes, in order.
fn stations(rollout: &Rollout, facts: &BlueGreen, now: Timestamp) -> Vec<Station> {
    let switched = rollout.cutover() != Some(Cutover::Preview);
    let mut stations = Vec::new();
    let mut add = |label: String, done: bool| {
        stations.push(Station {
            label,
            sign: if done { Sign::Good } else { Sign::Waiting },
            note: String::new(),
            here: false,
        });
    };
    add(
        "pods".to_owned(),
        switched || rollout.current().is_some_and(Revision::is_up),
    );
    if let Some(before) = &facts.before {
        add(before.label(), before.is_passed());
    }
    match facts.promotion {
        Promotion::ByHand => add("you".to_owned(), switched),
        Promotion::After(_) => add("timer".to_owned(), switched),
        Promotion::AtOnce => {}
    }
    add("users".to_owned(), switched);
    if let Some(after) = &facts.after {
        add(after.label(), after.is_passed() && switched);
    }
    add("stable".to_owned(), rollout.is_fully_promoted());
    if let Some(here) = stations
        .iter_mut()
        .find(|station| station.sign == Sign::Waiting)
    {
        here.here = true;
        here.sign = steps::standing(rollout);
        let due = if switched {
            &facts.after
        } else {
            &facts.before
        };
        if let Some(judge) = due.as_ref().filter(|judge| judge.label() == here.label) {
            here.sign = judged(judge, here.sign);
        }
        here.note = note(rollout, here, now);
    }
    stations
}

/// The sign of an analysis it stands at: its own, once it has one.
fn judged(judge: &SwitchAnalysis, standing: Sign) -> Sign {
    judge.phase.as_ref().map_or(standing, Sign::from)
}

fn note(rollout: &Rollout, here: &Station, now: Timestamp) -> String {
    if here.label == "pods" {
        let pods = rollout.current().map(|current| current.pods);
        return pods.map_or_else(String::new, |pods| {
            format!("{}/{}", pods.available, pods.desired)
        });
    }
    steps::left(rollout, now).unwrap_or_default()
}
