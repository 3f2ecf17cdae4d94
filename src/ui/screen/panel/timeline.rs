//! What happened to the marked release, newest first.

use crate::{
    domain::Timestamp,
    engine::world::PlanRecord,
    ui::{
        line::Line,
        screen::{Scene, frame::outcome_sign},
        sign::Sign,
        text,
        theme::Role,
    },
};

/// Something that happened.
struct Event {
    at: Timestamp,
    sign: Sign,
    what: String,
    more: String,
}

/// Names of jobs may be longer; what came of them must still be on screen.
const LONGEST_NAME: usize = 22;

/// One line per event.
pub fn lines(scene: &Scene<'_>) -> Vec<Line> {
    let mut events = events(scene);
    events.sort_by_key(|event| std::cmp::Reverse(event.at));
    if events.is_empty() {
        return vec![Line::dim(
            "nothing has happened yet that a backend tells about",
        )];
    }
    let names = events.iter().map(|event| text::width(&event.what));
    let column = names.max().unwrap_or(0).clamp(9, LONGEST_NAME);
    events
        .iter()
        .map(|event| {
            Line::dim(format!("{:<11} ", text::stamp(event.at, scene.now)))
                .sign(event.sign)
                .with(
                    Role::Strong,
                    format!(" {}", text::left(&event.what, column)),
                )
                .text(format!(" {}", event.more))
        })
        .collect()
}

fn events(scene: &Scene<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    let Some(lane) = scene.lane() else {
        return events;
    };
    let mut add = |at: Option<Timestamp>, sign, what: &str, more: String| {
        if let Some(at) = at {
            events.push(Event {
                at,
                sign,
                what: what.to_owned(),
                more,
            });
        }
    };
    if let Some(run) = scene.run() {
        let more = format!(
            "{} #{} by {}: {}",
            run.id.backend, run.number, run.actor, run.title
        );
        add(run.created_at, Sign::Good, "push", more);
        for job in scene.world.jobs_of(&run.id) {
            if job.status.has_ended() {
                let took = job
                    .started_at
                    .zip(job.ended_at)
                    .map(|(from, to)| text::age(text::between(from, to)));
                let more = format!("{} {}", job.status.word(), took.unwrap_or_default());
                add(job.ended_at, Sign::from(&job.status), &job.name, more);
            }
        }
    }
    if let Some(rollout) = scene.rollout() {
        for revision in &rollout.revisions {
            let name = revision.name();
            add(
                revision.created_at,
                Sign::Running,
                "rollout",
                format!("revision {} {name}", revision.number),
            );
        }
        for analysis in &rollout.analyses {
            let more = format!("{} {}", analysis.name, analysis.message);
            add(
                analysis.started_at,
                Sign::from(&analysis.phase),
                "analysis",
                more,
            );
        }
        let aborted = rollout.aborted.flatten();
        add(aborted, Sign::Back, "aborted", rollout.message.to_string());
    }
    let plans = scene.world.plans.values().filter(|plan| {
        plan.start.service == lane.service
            && plan
                .start
                .environment
                .as_ref()
                .is_none_or(|environment| *environment == lane.environment)
    });
    for plan in plans {
        let (sign, more) = told(plan);
        add(Some(plan.started_at), sign, &plan.start.verb, more);
    }
    events
}

fn told(plan: &PlanRecord) -> (Sign, String) {
    match &plan.ended {
        Some((at, outcome, note)) => {
            let took = text::age(text::between(plan.started_at, *at));
            (
                outcome_sign(*outcome),
                format!(
                    "{} by {} after {took} {note}",
                    outcome.word(),
                    plan.start.actor
                ),
            )
        }
        None => (Sign::Running, format!("under way by {}", plan.start.actor)),
    }
}
