//! The line above the hints: what was just said, what is under way, or the one
//! warning that matters.

use crate::{
    domain::{Timestamp, action::ActionKind, id::BackendId, observation::ActionOutcome},
    engine::{
        clear::{Mode, Refusal},
        world::{Liveness, PlanRecord, StepState},
    },
    ui::{
        line::Line,
        screen::{Scene, Screen, acts::Act, fleet, frame::trouble_word},
        sign::Sign,
        state::Overlay,
        text,
        theme::Role,
    },
};

/// How long the end of an action is shown.
const JUST_ENDED: chrono::TimeDelta = chrono::TimeDelta::seconds(20);

/// The line above the hints: what was just said, else what is under way, else
/// the warning that matters most.
pub(super) fn status(scene: &Scene<'_>, acts: &[Act]) -> Line {
    let state = scene.state;
    match &state.overlay {
        Some(Overlay::Filter(field, _)) => {
            let (before, after) = field.halves();
            let shown = state.fleet.order.len();
            let all = state.fleet.totals.all;
            let line = prompt("filter", before, after)
                .with(Role::Dim, format!("  {shown} of {all} shown"));
            return match &state.fleet.trouble {
                Some(trouble) => line
                    .text("   ")
                    .sign(Sign::Warn)
                    .with(Role::Warn, format!(" {trouble}")),
                None => line,
            };
        }
        Some(Overlay::Search(field)) => {
            let (before, after) = field.halves();
            return prompt("search", before, after);
        }
        _ => {}
    }
    if let Some(hold) = &state.hold {
        let text = format!(
            " hold {}: goes out unless another key comes",
            hold.plan.release_label
        );
        return Line::new().sign(Sign::Running).with(Role::Strong, text);
    }
    if let Some(toast) = &state.toast {
        return Line::new()
            .sign(toast.sign)
            .text(format!(" {}", toast.text));
    }
    under_way(scene).unwrap_or_else(|| warning(scene, acts))
}

/// A prompt with what has been typed and where the cursor is.
pub fn prompt(label: &str, before: &str, after: &str) -> Line {
    let mut rest = after.chars();
    let under = rest.next().map_or_else(|| " ".to_owned(), String::from);
    Line::new()
        .with(Role::Dim, format!("{label} "))
        .with(Role::Strong, before.to_owned())
        .with(Role::Badge, under)
        .with(Role::Strong, rest.collect::<String>())
}

fn under_way(scene: &Scene<'_>) -> Option<Line> {
    let running = scene
        .world
        .plans
        .values()
        .filter(|plan| plan.ended.is_none())
        .max_by_key(|plan| plan.started_at);
    if let Some(plan) = running {
        return Some(progress(plan, scene.now));
    }
    let ended = |plan: &&PlanRecord| {
        plan.ended
            .as_ref()
            .is_some_and(|(at, ..)| scene.now < *at + JUST_ENDED)
    };
    let latest = scene
        .world
        .plans
        .values()
        .filter(ended)
        .max_by_key(|plan| plan.ended.as_ref().map(|(at, ..)| *at))?;
    Some(progress(latest, scene.now))
}

/// What a step that was not sent yet waits for: an alias that follows a switch
/// until that is for good, anything else until the object is left alone.
fn waits_for(plan: &PlanRecord, at: usize) -> &'static str {
    let kind = |index: usize| plan.steps.get(index).map(|step| step.order.kind());
    let switched = (0..at).any(|index| kind(index) == Some(ActionKind::Switch));
    if switched && kind(at) == Some(ActionKind::SetAlias) {
        "waits until what users are on is stable"
    } else {
        "waits for the object to be quiet"
    }
}

/// How far a plan has come: sent, accepted, seen.
pub fn progress(plan: &PlanRecord, now: Timestamp) -> Line {
    let name = format!(" {} {}", plan.start.verb, plan.start.service);
    if let Some((at, outcome, note)) = &plan.ended {
        let took = text::age(text::between(plan.started_at, *at));
        let line = Line::new()
            .sign(outcome_sign(*outcome))
            .with(Role::Strong, name)
            .text(format!(": {} after {took}", outcome.word()));
        return if note.is_empty() {
            line
        } else {
            line.with(Role::Dim, format!("  {note}"))
        };
    }
    let count = plan.steps.len();
    let at = plan.steps.iter().position(|step| !step.state.is_settled());
    let step = at.and_then(|at| plan.steps.get(at));
    let said = match step.map(|step| (&step.state, step.nudged_at)) {
        None => "every effect was seen".to_owned(),
        Some((StepState::Waiting, _)) => waits_for(plan, at.unwrap_or_default()).to_owned(),
        Some((StepState::Sending { at }, _)) => format!("going out for {}", text::ago(*at, now)),
        Some((
            StepState::Answered {
                receipt,
                returned_at,
            },
            nudged,
        )) => {
            let answer = receipt.as_ref().map_or_else(
                |why| format!("not known whether it was taken ({why})"),
                |receipt| format!("accepted with {}", receipt.status),
            );
            let nudge = if nudged.is_some() { ", nudged" } else { "" };
            format!(
                "{answer}{nudge}, looking for the effect for {}",
                text::ago(*returned_at, now)
            )
        }
        Some((StepState::Seen { .. } | StepState::PassedOver, _)) => "seen".to_owned(),
    };
    Line::new()
        .sign(Sign::Running)
        .with(Role::Strong, name)
        .text(format!(
            ": step {} of {count}, {said}",
            at.map_or(count, |at| at + 1)
        ))
}

/// The sign of an outcome.
pub fn outcome_sign(outcome: ActionOutcome) -> Sign {
    match outcome {
        ActionOutcome::Confirmed => Sign::Good,
        ActionOutcome::Refused => Sign::Off,
        ActionOutcome::Failed => Sign::Bad,
        ActionOutcome::Unknown => Sign::Missing,
        ActionOutcome::Partial => Sign::Warn,
    }
}

/// The one warning that matters: a key that is off and why, else a backend in
/// trouble, else what a first-time user is told.
fn warning(scene: &Scene<'_>, acts: &[Act]) -> Line {
    let grey: Vec<&Act> = acts.iter().filter(|act| act.grey().is_some()).collect();
    if let Some(first) = grey.first() {
        let reason = first.why_or_effect();
        let keys: Vec<&str> = grey
            .iter()
            .filter(|act| act.why_or_effect() == reason)
            .map(|act| act.label.as_str())
            .collect();
        let on: Vec<&str> = acts
            .iter()
            .filter(|act| act.is_offered())
            .map(|act| act.label.as_str())
            .collect();
        let (verb, them) = if keys.len() == 1 {
            ("is", "it")
        } else {
            ("are", "them")
        };
        let said = match first.grey() {
            Some(Refusal::Mode(Mode::Brake)) => {
                let keys = keys.join(" ");
                format!(" {keys} {verb} off in BRAKE: `:rw` opens {them}")
            }
            _ => format!(" {} {verb} off: {reason}", keys.join(" ")),
        };
        let line = Line::new().sign(Sign::Warn);
        if on.is_empty() {
            return line.text(said);
        }
        let stay = if on.len() == 1 { "stays" } else { "stay" };
        // A long reason is cut; what still acts is not.
        return line
            .text(format!(" {} {stay} on;", on.join(" ")))
            .with(Role::Dim, said);
    }
    let of = |id: &BackendId| scene.world.backends.get(id);
    let mut all = scene.world.catalog.backends.keys();
    let silent = all
        .clone()
        .find(|id| scene.world.liveness(id, scene.now) == Liveness::Silent)
        .map(|id| (id, Sign::Bad));
    let ailing = all
        .find(|id| of(id).is_some_and(|state| state.trouble.is_some()))
        .map(|id| (id, Sign::Warn));
    if let Some((id, sign)) = silent.or(ailing) {
        let word = trouble_word(of(id), Liveness::Silent);
        return Line::new().sign(sign).text(format!(
            " backend `{id}`: {word}; i says what it takes with it"
        ));
    }
    let at_fleet = scene.state.view.screen == Screen::Fleet;
    match fleet::hints(scene).first() {
        Some(told) if at_fleet && !scene.state.coached => Line::dim(told.to_string()),
        Some(_) | None => Line::new(),
    }
}
