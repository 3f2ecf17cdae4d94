//! What the verbs mean for a blue/green rollout: before the switch nobody is on
//! the preview, after it everybody is, and there is nothing in between.
//!
//! How the controller behaves was read in argo-rollouts 1.9 and seen on it:
//! it forgets the end of a pause whose preview is not all up; within the time
//! an aborted preview keeps its pods, a retry switches at once; and it takes
//! users back only while all pods of the revision they are to leave are up.

use crate::{
    domain::{
        Timestamp,
        action::RolloutAction,
        rollout::{BlueGreen, Cutover, PauseReason, Revision, Rollout, Substate, SwitchAnalysis},
        text::Clean,
    },
    engine::{
        clear::Refusal,
        plan::{Class, Plan, PlanStep, Verb},
        propose::{fact, rollout::nothing, rollout_step},
    },
};

/// Where users are, what is shown to whom, and what can be gone back to.
pub(super) fn standing(rollout: &Rollout) -> Vec<(Clean, Clean)> {
    let told = |name: &'static str, revision: &Revision| {
        fact(
            name,
            Clean::from(format!(
                "{}  pods {}/{} ready",
                named(Some(revision)),
                revision.pods.ready,
                revision.pods.desired
            )),
        )
    };
    let mut facts = Vec::new();
    facts.extend(rollout.users().map(|users| told("users", users)));
    let other = match rollout.cutover() {
        Some(Cutover::Preview) => rollout.current().map(|preview| told("preview", preview)),
        Some(Cutover::Switched) => rollout.stable().map(|before| told("before", before)),
        None => None,
    };
    facts.extend(other);
    facts
}

/// The share of users, as people say it of a switch.
pub(super) fn named(revision: Option<&Revision>) -> Clean {
    revision.map_or_else(|| "an unknown revision".into(), Revision::name)
}

/// Why a hold makes no sense: after the switch it would only keep the
/// controller from taking users back by itself.
pub(super) fn nothing_to_hold(rollout: &Rollout) -> Option<Refusal> {
    (rollout.cutover() == Some(Cutover::Switched)).then(|| {
        nothing(Clean::from(format!(
            "users are on {} already: nothing is left to stop; `abort` takes them back",
            named(rollout.current())
        )))
    })
}

pub(super) fn hold(rollout: &Rollout, plan: &mut Plan) -> Clean {
    if rollout
        .pause
        .as_ref()
        .is_some_and(|pause| pause.ends_at.is_some())
    {
        plan.warnings.push(
            "the countdown runs on while held: continued after its end, it switches at once".into(),
        );
    }
    Clean::from(format!(
        "users stay on {}: no switch while held",
        named(rollout.users())
    ))
}

/// Whether an abort brings users back: always, unless they are on a revision
/// whose pods are not all up. The controller looks at those first.
pub(super) fn abort_brings_back(rollout: &Rollout) -> bool {
    rollout.leaves_users_on_stable() || rollout.current().is_none_or(Revision::is_up)
}

/// Why an abort would only make things worse: users would stay where they are,
/// and the pods they are on would go.
pub(super) fn nothing_to_abort(rollout: &Rollout) -> Option<Refusal> {
    // Wanted again, it is no update any more that could be aborted.
    if rollout.current_hash == rollout.stable_hash && !rollout.leaves_users_on_stable() {
        return Some(nothing(Clean::from(format!(
            "{} is wanted again and users are not on it yet: `rollback` moves users to it now",
            named(rollout.stable())
        ))));
    }
    if abort_brings_back(rollout) {
        return None;
    }
    let pods = rollout.current().map(|current| current.pods)?;
    Some(nothing(Clean::from(format!(
        "{} of {} pods of {} are up, and the controller takes users back only when all are: `rollback` \
         does it now",
        pods.available,
        pods.desired,
        named(rollout.current())
    ))))
}

pub(super) fn abort(rollout: &Rollout, facts: &BlueGreen, plan: &mut Plan) -> Clean {
    let (current, stable) = (named(rollout.current()), named(rollout.stable()));
    let goes = facts.keeps_aborted.map_or_else(
        || "keeps its pods".to_owned(),
        |delay| {
            let delay = crate::domain::rollout::short_duration(delay);
            format!("keeps its pods for {delay}")
        },
    );
    plan.facts
        .push(fact("then", Clean::from(format!("{current} {goes}"))));
    Clean::from(match rollout.cutover() {
        Some(Cutover::Switched) => format!("all users go back from {current} to {stable} at once"),
        Some(Cutover::Preview) | None => {
            format!("users stay on {stable}: {current} is not switched to")
        }
    })
}

/// Ends the pause the rollout is at; the caller has dealt with holds and aborts.
pub(super) fn go_on(rollout: &Rollout, facts: &BlueGreen, plan: &mut Plan) -> Result<(), Refusal> {
    let Some(pause) = &rollout.pause else {
        return Err(nothing(not_paused(rollout, facts)));
    };
    if pause.reason != PauseReason::BlueGreen {
        let judge = due(rollout, facts).map_or_else(
            || "the analysis".to_owned(),
            |judge| format!("`{}`", judge.label()),
        );
        plan.steps.push(rollout_step(
            rollout,
            RolloutAction::Continue,
            format!("{judge} is run again, and decides"),
        ));
        plan.undo = Some(Verb::Abort);
        return Ok(());
    }
    if let Some(ends_at) = pause.ends_at {
        plan.facts.push(fact(
            "timer",
            Clean::from(format!(
                "it would switch by itself at {}",
                ends_at.format("%H:%M:%SZ")
            )),
        ));
    }
    plan.steps.push(switch(rollout, facts)?);
    plan.facts.extend(after_switch(rollout, facts));
    plan.undo = Some(Verb::RollBack);
    Ok(())
}

/// Why there is no pause to end.
fn not_paused(rollout: &Rollout, facts: &BlueGreen) -> Clean {
    let current = named(rollout.current());
    let judge = due(rollout, facts).map(SwitchAnalysis::label);
    match (rollout.cutover(), &rollout.substate, judge) {
        (None, ..) => Clean::from(format!("users are on {current}: nothing waits")),
        (Some(Cutover::Switched), _, Some(judge)) => Clean::from(format!(
            "users are on {current} already; `{judge}` decides whether it stays"
        )),
        (Some(Cutover::Switched), ..) => {
            Clean::from(format!("users are on {current} already: nothing waits"))
        }
        (Some(Cutover::Preview), Substate::Analysing, Some(judge)) => {
            Clean::from(format!("`{judge}` is running; the switch waits for it"))
        }
        (Some(Cutover::Preview), Substate::ScalingUp, _) => {
            Clean::from(format!("pods of {current} are coming up"))
        }
        (Some(Cutover::Preview), ..) => "not paused: it moves by itself".into(),
    }
}

/// The analysis that decides next.
fn due<'a>(rollout: &Rollout, facts: &'a BlueGreen) -> Option<&'a SwitchAnalysis> {
    match rollout.cutover() {
        Some(Cutover::Switched) => facts.after.as_ref(),
        Some(Cutover::Preview) | None => facts.before.as_ref(),
    }
}

/// The step that ends the pause before the switch.
fn switch(rollout: &Rollout, facts: &BlueGreen) -> Result<PlanStep, Refusal> {
    let Some(preview) = rollout.current().filter(|preview| preview.is_up()) else {
        let pods = rollout.current().map(|preview| preview.pods);
        let (available, desired) = pods.map_or((0, 0), |pods| (pods.available, pods.desired));
        return Err(nothing(Clean::from(format!(
            "{available} of {desired} pods of {} are up: the controller would forget the switch \
             and pause again",
            named(rollout.current())
        ))));
    };
    let grows = facts
        .preview_pods
        .filter(|_| preview.pods.desired < rollout.pods.desired)
        .map_or_else(String::new, |_| {
            format!(
                ", once it has {} pods instead of {}",
                rollout.pods.desired, preview.pods.desired
            )
        });
    let early = rollout
        .pause
        .as_ref()
        .is_some_and(|pause| pause.ends_at.is_some());
    Ok(rollout_step(
        rollout,
        RolloutAction::Switch { early },
        format!(
            "all users go from {} to {} at once{grows}",
            named(rollout.users()),
            named(Some(preview))
        ),
    ))
}

/// What follows a switch.
fn after_switch(rollout: &Rollout, facts: &BlueGreen) -> Vec<(Clean, Clean)> {
    let before = named(rollout.users());
    let mut told = Vec::new();
    if let Some(judge) = &facts.after {
        told.push(fact(
            "follows",
            Clean::from(format!(
                "`{}` judges it; if it fails, the controller takes users back to {before}",
                judge.label()
            )),
        ));
    }
    told.push(fact(
        "way back",
        Clean::from(format!(
            "{before} keeps its pods for {} after that: a roll back is immediate until then",
            crate::domain::rollout::short_duration(facts.keeps_old)
        )),
    ));
    told
}

/// What the alias waits for, if that is more than the switch.
pub(super) fn alias(facts: &BlueGreen) -> Option<(Clean, Clean)> {
    let judge = facts.after.as_ref()?.label();
    Some(fact(
        "alias",
        Clean::from(format!("moves once `{judge}` has passed")),
    ))
}

/// The steps of a promotion of what is not stable yet. An abort's bend is the
/// caller's.
pub(super) fn promote(
    rollout: &Rollout,
    facts: &BlueGreen,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let at_pause = rollout.aborted.is_none()
        && rollout
            .pause
            .as_ref()
            .is_some_and(|pause| pause.reason == PauseReason::BlueGreen);
    let counts = at_pause
        && rollout
            .pause
            .as_ref()
            .is_some_and(|pause| pause.ends_at.is_some());
    if rollout.held && counts {
        return Err(nothing(
            "held, and the countdown has run on: `continue` takes the hold off, then it switches by \
             itself",
        ));
    }
    let last = if at_pause {
        let step = switch(rollout, facts)?;
        plan.facts.extend(after_switch(rollout, facts));
        step
    } else {
        let skipped = unheard(rollout, facts);
        if let (Some(judges), None) = (&skipped, &plan.bends) {
            plan.class = Class::Bend;
            plan.bends = Some(Clean::from(format!(
                "promoting now goes on without {judges}"
            )));
        }
        rollout_step(
            rollout,
            RolloutAction::PromoteFull,
            full_effect(rollout, facts),
        )
    };
    if rollout.held {
        plan.steps.push(rollout_step(
            rollout,
            RolloutAction::Resume,
            "the hold is undone",
        ));
    }
    plan.steps.push(last);
    plan.undo = Some(Verb::RollBack);
    Ok(())
}

fn full_effect(rollout: &Rollout, facts: &BlueGreen) -> String {
    let current = named(rollout.current());
    match rollout.cutover() {
        Some(Cutover::Switched) => format!(
            "{current}, which users are on, is stable from now on; {} keeps its pods for {}",
            named(rollout.stable()),
            crate::domain::rollout::short_duration(facts.keeps_old)
        ),
        Some(Cutover::Preview) | None => format!(
            "all users go from {} to {current} as soon as its pods are up, without a pause",
            named(rollout.users())
        ),
    }
}

/// The analyses a full promotion would not wait for.
fn unheard(rollout: &Rollout, facts: &BlueGreen) -> Option<String> {
    let before = facts
        .before
        .as_ref()
        .filter(|_| rollout.cutover() != Some(Cutover::Switched));
    let names: Vec<String> = before
        .into_iter()
        .chain(&facts.after)
        .filter(|judge| !judge.is_passed())
        .map(|judge| format!("`{}`", judge.label()))
        .collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

/// The steps that try an aborted preview again. While it keeps its pods from
/// before the abort, the controller takes it for a revision gone back to and
/// switches at once, unjudged; a hold keeps it from that until it has taken the
/// preview in.
pub(super) fn retry(rollout: &Rollout) -> Vec<PlanStep> {
    let again = format!(
        "{} is a preview again; users stay on {}",
        named(rollout.current()),
        named(rollout.users())
    );
    let retry = rollout_step(rollout, RolloutAction::Retry { anew: true }, again);
    let kept = rollout
        .current()
        .is_some_and(|current| current.kept_until.is_some());
    if !kept {
        return vec![retry];
    }
    let mut steps = Vec::new();
    if !rollout.held {
        steps.push(rollout_step(
            rollout,
            RolloutAction::Hold,
            "held meanwhile: its pods still run, and the controller would switch to them at once",
        ));
    }
    steps.push(retry);
    steps.push(rollout_step(
        rollout,
        RolloutAction::Resume,
        "the hold is undone: pause and analyses apply",
    ));
    steps
}

/// How a revision is gone back to, in words.
pub(super) fn way_back(rollout: &Rollout, chosen: &Revision, now: Timestamp) -> Clean {
    let ready = chosen.is_up();
    match chosen.kept_until.filter(|until| now < *until) {
        Some(until) if ready => Clean::from(format!(
            "its pods run until {}: users move at once",
            until.format("%H:%M:%SZ")
        )),
        _ if ready => "its pods run: users move at once".into(),
        _ => Clean::from(format!(
            "its pods come up first; users stay on {} until then",
            named(rollout.users())
        )),
    }
}
