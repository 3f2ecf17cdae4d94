//! Hold, continue, skip, promote, abort, retry, restart.

use crate::{
    domain::{
        action::{ActionKind, RolloutAction, Subject},
        quantity::{Weight, counted},
        rollout::{Pause, PauseReason, Rollout, RolloutStep, Strategy, short_duration},
        text::Clean,
    },
    engine::{
        back::{Back, decision_of},
        clear::Refusal,
        plan::{Class, Plan, Verb},
        propose::{
            Scene, blue_green, fact, rollback::name_of, rollout_step, version_of, without_index,
        },
        queue,
    },
};

/// Why nothing can be stepped through.
const DONE: &str = "nothing is rolling out: users are fully on the wanted revision";

pub(super) fn nothing(why: impl Into<Clean>) -> Refusal {
    Refusal::NothingToDo(why.into())
}

pub(super) fn hold(scene: &Scene<'_>) -> Result<Plan, Refusal> {
    let rollout = scene.rollout()?;
    if rollout.held {
        return Err(Refusal::AlreadySo("already held".into()));
    }
    if rollout.is_fully_promoted() {
        return Err(nothing(DONE));
    }
    if rollout.aborted.is_some() {
        return Err(nothing(already_aborted(rollout)));
    }
    if let Some(refusal) = blue_green::nothing_to_hold(rollout) {
        return Err(refusal);
    }
    let mut plan = scene.plan(Class::Brake, Subject::Rollout(rollout.id.clone()));
    plan.facts.extend(standing(rollout));
    let effect = if rollout.blue_green.is_some() {
        blue_green::hold(rollout, &mut plan)
    } else {
        if rollout
            .pause
            .as_ref()
            .is_some_and(|pause| pause.ends_at.is_some())
        {
            plan.warnings
                .push("the step's timer runs on while held".into());
        }
        Clean::from(format!("the canary stays at {}", rollout.weight_actual))
    };
    plan.steps
        .push(rollout_step(rollout, RolloutAction::Hold, effect));
    plan.undo = Some(Verb::Continue);
    Ok(plan)
}

pub(super) fn abort(scene: &Scene<'_>) -> Result<Plan, Refusal> {
    let rollout = scene.canary()?;
    if rollout.is_fully_promoted() {
        return Err(nothing(
            "users are fully on this revision: there is no canary to abort; `rollback` takes them back",
        ));
    }
    if rollout.aborted.is_some() {
        let why = already_aborted(rollout);
        return Err(match rollout.weight_actual {
            Weight::ZERO => Refusal::AlreadySo(why),
            _ => nothing(why),
        });
    }
    if let Some(refusal) = blue_green::nothing_to_abort(rollout) {
        return Err(refusal);
    }
    let mut plan = scene.plan(Class::Brake, Subject::Rollout(rollout.id.clone()));
    plan.facts.extend(standing(rollout));
    if let Some(back) = scene.back(rollout) {
        plan.warnings.push(undone(scene, rollout, back));
        plan.facts.push(fact(
            "stays",
            "the spec is unchanged: `rollback` goes on with it",
        ));
        plan.undo = Some(Verb::RollBack);
    } else {
        plan.facts.push(fact(
            "stays",
            "the spec is unchanged: `retry` starts it again",
        ));
        plan.undo = Some(Verb::Retry);
    }
    abort_steps(scene, rollout, &mut plan);
    Ok(plan)
}

/// That there is nothing left to abort, and where users are.
fn already_aborted(rollout: &Rollout) -> Clean {
    match rollout.weight_actual {
        Weight::ZERO => "already aborted: users are on the stable revision".into(),
        left => Clean::from(format!(
            "already aborted: users are going back, {left} left"
        )),
    }
}

/// What an abort of a way back does to users: they are put back where they were
/// taken from, which is said with what is known of that.
fn undone(scene: &Scene<'_>, rollout: &Rollout, back: Back<'_>) -> Clean {
    let (from, to) = (name_of(scene, back.from), name_of(scene, back.to));
    let image = back.from.name();
    let image = if from == image {
        String::new()
    } else {
        format!(" ({image})")
    };
    let judged = decision_of(scene.world, scene.service, scene.place, rollout, back.from);
    let state = judged.map_or_else(
        || "which nothing is known about".to_owned(),
        |decision| {
            let worst = decision.reasons().next();
            let why = worst.map_or_else(String::new, |finding| {
                format!(": {} {}", finding.gate, finding.reason)
            });
            format!("which is {}{why}", decision.word.text())
        },
    );
    Clean::from(format!(
        "this undoes the roll back to {to}: everyone returns to {from}{image}, {state}"
    ))
}

/// The steps of an abort. The controller moves no pods while held, so a hold
/// ends right after: without that the canary's pods would go on serving.
pub(super) fn abort_steps(scene: &Scene<'_>, rollout: &Rollout, plan: &mut Plan) {
    let effect = match &rollout.blue_green {
        Some(facts) => blue_green::abort(rollout, facts, plan),
        None => abort_effect(rollout),
    };
    plan.steps
        .push(rollout_step(rollout, RolloutAction::Abort, effect));
    if !rollout.held {
        return;
    }
    let resume = without_index(rollout_step(
        rollout,
        RolloutAction::Resume,
        "the hold is undone, so that pods can move",
    ));
    // A brake that may not do all of it still does what it may.
    let permit = scene
        .world
        .permit(&plan.subject, ActionKind::Resume, scene.now);
    if permit.is_some_and(|permit| !permit.allowed) {
        plan.warnings.push(
            "held, and the hold may not be undone by you: pods stay as they are until somebody \
             does"
                .into(),
        );
    } else {
        plan.steps.push(resume);
    }
}

fn abort_effect(rollout: &Rollout) -> Clean {
    let stable = rollout.stable().map_or_else(
        || "the stable revision".into(),
        crate::domain::rollout::Revision::name,
    );
    let instead = if rollout.promoting_full {
        "the full promotion is taken back; "
    } else {
        ""
    };
    Clean::from(format!(
        "{instead}traffic goes from {} to 0: everyone on {stable}",
        rollout.weight_actual
    ))
}

pub(super) fn go_on(scene: &Scene<'_>) -> Result<Plan, Refusal> {
    let rollout = scene.rollout()?;
    let mut plan = scene.plan(Class::Throttle, Subject::Rollout(rollout.id.clone()));
    plan.facts.extend(standing(rollout));
    if rollout.held {
        let follows = match &rollout.pause {
            Some(pause) if pause.ends_at.is_none() => {
                "then it stands at its pause until continued again"
            }
            Some(_) => "then the timer, which ran on meanwhile, decides",
            None if rollout.blue_green.is_some() => "then the controller goes on by itself",
            None => "then it goes on with the step it was at",
        };
        plan.facts.push(fact("follows", follows));
        plan.steps.push(rollout_step(
            rollout,
            RolloutAction::Resume,
            "the hold is undone",
        ));
        plan.undo = Some(Verb::Hold);
        return Ok(plan);
    }
    if !rollout.has_canary() {
        return Err(nothing(
            "not held, and a Deployment has no canary step to continue past",
        ));
    }
    if rollout.aborted.is_some() {
        return Err(nothing(
            "aborted: `retry` starts it again from the first step",
        ));
    }
    if rollout.is_fully_promoted() {
        return Err(nothing(DONE));
    }
    if let Some(facts) = &rollout.blue_green {
        blue_green::go_on(rollout, facts, &mut plan)?;
        return Ok(plan);
    }
    let Some(pause) = &rollout.pause else {
        return Err(nothing("not paused: it moves by itself"));
    };
    let effect = measured_again(rollout, pause).unwrap_or_else(|| {
        next_weight(rollout).map_or_else(
            || "the pause ends and the rollout goes on to the end".to_owned(),
            |(weight, after)| format!("the pause ends; traffic goes to {weight}{after}"),
        )
    });
    if let Some(ends_at) = pause.ends_at {
        plan.facts.push(fact(
            "timer",
            Clean::from(format!(
                "it would go on by itself at {}",
                ends_at.format("%H:%M:%SZ")
            )),
        ));
    }
    plan.steps
        .push(rollout_step(rollout, RolloutAction::Continue, effect));
    plan.undo = Some(Verb::Abort);
    Ok(plan)
}

/// Where an analysis or experiment has no verdict, the controller asks it anew
/// instead of going on.
fn measured_again(rollout: &Rollout, pause: &Pause) -> Option<String> {
    let what = match pause.reason {
        PauseReason::InconclusiveAnalysis => "analysis",
        PauseReason::InconclusiveExperiment => "experiment",
        PauseReason::Step | PauseReason::BlueGreen | PauseReason::Unknown(_) => return None,
    };
    Some(match rollout.current_step().filter(|step| step.judges()) {
        Some(step) => format!(
            "the pause ends and `{}` measures again; traffic stays at {} until it succeeds",
            step.label(),
            rollout.weight_actual
        ),
        None => format!("the pause ends and the {what} measures again, beside the steps"),
    })
}

/// The share the next `setWeight` asks for, and the pause after it.
fn next_weight(rollout: &Rollout) -> Option<(crate::domain::quantity::Weight, String)> {
    let index = usize::try_from(rollout.step?).ok()?;
    let rest = rollout.steps.get(index + 1..)?;
    let at = rest
        .iter()
        .position(|step| matches!(step, RolloutStep::SetWeight(_)))?;
    let RolloutStep::SetWeight(weight) = rest.get(at)? else {
        return None;
    };
    let after = match rest.get(at + 1) {
        Some(RolloutStep::Pause(Some(duration))) => format!(" for {}", short_duration(*duration)),
        Some(RolloutStep::Pause(None)) => ", then it waits for you again".to_owned(),
        Some(step) => format!(", then {}", step.label()),
        None => String::new(),
    };
    Some((*weight, after))
}

pub(super) fn skip(scene: &Scene<'_>) -> Result<Plan, Refusal> {
    let rollout = scene.canary()?;
    if rollout.strategy == Strategy::BlueGreen {
        return Err(nothing(
            "a blue/green rollout has no steps and no weights: `promote` moves all users at once",
        ));
    }
    if rollout.aborted.is_some() {
        return Err(nothing(
            "aborted: `retry` starts it again from the first step",
        ));
    }
    let (Some(index), Some(step)) = (rollout.step, rollout.current_step()) else {
        return Err(nothing(if rollout.is_fully_promoted() {
            DONE
        } else {
            "all steps are done: it moves to the end by itself"
        }));
    };
    let judges = step.judges();
    let mut plan = scene.plan(
        if judges { Class::Bend } else { Class::Throttle },
        Subject::Rollout(rollout.id.clone()),
    );
    if judges {
        plan.bends = Some(Clean::from(format!(
            "skipping `{}` goes on without its judgement",
            step.label()
        )));
    } else if scene.is_critical() {
        plan.class = Class::Bend;
        plan.bends = Some(Clean::from(format!(
            "skipping a step in critical `{}`",
            scene.place.environment
        )));
    }
    plan.facts.extend(standing(rollout));
    plan.steps.push(rollout_step(
        rollout,
        RolloutAction::Skip { to: index + 1 },
        format!(
            "step {}/{} (`{}`) is left without finishing",
            index + 1,
            rollout.steps.len(),
            step.label()
        ),
    ));
    plan.undo = Some(Verb::Abort);
    Ok(plan)
}

pub(super) fn retry(scene: &Scene<'_>) -> Result<Plan, Refusal> {
    let rollout = scene.canary()?;
    if rollout.aborted.is_none() {
        return Err(nothing("not aborted"));
    }
    if rollout.is_fully_promoted() {
        return Err(nothing(DONE));
    }
    let mut plan = scene.plan(Class::Throttle, Subject::Rollout(rollout.id.clone()));
    plan.facts.extend(standing(rollout));
    plan.warnings
        .push("the revision that was aborted is tried again, with new analyses".into());
    if rollout.blue_green.is_some() {
        plan.steps = blue_green::retry(rollout);
    } else {
        plan.steps.push(rollout_step(
            rollout,
            RolloutAction::Retry { anew: false },
            "the canary starts again from its first step",
        ));
    }
    plan.undo = Some(Verb::Abort);
    Ok(plan)
}

pub(super) fn restart(scene: &Scene<'_>) -> Result<Plan, Refusal> {
    let rollout = scene.rollout()?;
    let class = if scene.is_critical() {
        Class::Throttle
    } else {
        Class::Neutral
    };
    let mut plan = scene.plan(class, Subject::Rollout(rollout.id.clone()));
    plan.facts.extend(standing(rollout));
    if !rollout.has_canary() && rollout.held {
        return Err(nothing("held: a Deployment cannot restart while held"));
    }
    if let (Some(gitops), false) = (&rollout.gitops, rollout.has_canary()) {
        plan.warnings.push(Clean::from(format!(
            "{} `{}` may undo this change of the spec",
            gitops.tool, gitops.owner
        )));
    }
    plan.steps.push(rollout_step(
        rollout,
        RolloutAction::Restart { at: scene.now },
        format!(
            "all {} replaced, a few at a time",
            counted(rollout.pods.desired, "pod is", "pods are")
        ),
    ));
    Ok(plan)
}

pub(super) fn promote(scene: &Scene<'_>) -> Result<Plan, Refusal> {
    let rollout = scene.rollout()?;
    if !rollout.is_fully_promoted() && !rollout.has_canary() {
        return Err(nothing("a Deployment has no canary"));
    }
    if let Some(pointed) = scene.release
        && scene.carried.map(|carried| &carried.id) != Some(&pointed.id)
        && !is_half_promoted(scene, rollout)
    {
        return Err(nothing(Clean::from(format!(
            "{} is not in {} yet; there is {}",
            pointed.label,
            scene.place.environment,
            scene.carried.map_or_else(
                || "a revision that no release is linked to".to_owned(),
                |carried| carried.label.to_string()
            )
        ))));
    }
    let candidate = scene.carried.map(|release| release.id.clone());
    let version = version_of(scene.world, candidate.as_ref());
    let mut plan = scene.plan(Class::Throttle, Subject::Rollout(rollout.id.clone()));
    plan.facts.extend(standing(rollout));
    if !rollout.is_fully_promoted() {
        if !rollout.observed {
            return Err(nothing(
                "the controller has not seen the newest spec yet: promoting now would be lost",
            ));
        }
        if rollout.aborted.is_some() {
            plan.class = Class::Bend;
            plan.bends = Some(
                "promoting an aborted revision ships what was rejected, with no analysis".into(),
            );
        } else if let Some(step) = remaining_judges(rollout) {
            plan.class = Class::Bend;
            plan.bends = Some(Clean::from(format!("promoting now skips `{step}`")));
        }
        match &rollout.blue_green {
            Some(facts) => blue_green::promote(rollout, facts, &mut plan)?,
            None => promote_canary(rollout, &mut plan),
        }
    }
    let model = scene.service.model.as_ref();
    let silent = model.and_then(|spec| scene.registry_is_silent(spec));
    match version {
        Some(_) if silent.is_some() => {}
        Some(version) => {
            let alias = scene.alias_steps(version);
            plan.warnings.extend(scene.taken_back_elsewhere(version));
            plan.warnings.extend(scene.drawn_along(version));
            if !alias.is_empty() && !plan.steps.is_empty() {
                let facts = rollout.blue_green.as_ref();
                plan.facts.extend(facts.and_then(blue_green::alias));
            }
            plan.steps.extend(alias);
        }
        None if model.is_some() => {
            plan.warnings.push(
                "no model version is linked to this release: the alias stays where it is".into(),
            );
        }
        None => {}
    }
    if !plan.steps.is_empty() {
        plan.warnings.extend(silent);
        return Ok(plan);
    }
    Err(match (model, version, silent) {
        (None, _, _) => Refusal::AlreadySo("already at 100 %".into()),
        (Some(_), Some(_), None) => {
            Refusal::AlreadySo("already at 100 %, and the alias points to it".into())
        }
        (Some(_), _, Some(why)) => {
            Refusal::NothingToDo(Clean::from(format!("already at 100 %, and {why}")))
        }
        (Some(_), None, None) => nothing(
            "already at 100 %, and no model version is linked to this release: whether the alias \
             points to it is not known",
        ),
    })
}

/// Whether what is live lacks the alias: that is finished, whatever is on its way
/// meanwhile.
fn is_half_promoted(scene: &Scene<'_>, rollout: &Rollout) -> bool {
    let lane = scene.world.lanes.get(&scene.ask.lane);
    let half_done = lane.and_then(|lane| queue::half_done(scene.world, lane));
    rollout.is_fully_promoted()
        && half_done.is_some_and(|(_, verbs)| verbs.contains(&Verb::Promote))
}

fn promote_canary(rollout: &Rollout, plan: &mut Plan) {
    if rollout.held {
        plan.steps.push(rollout_step(
            rollout,
            RolloutAction::Resume,
            "the hold is undone",
        ));
    }
    plan.steps.push(rollout_step(
        rollout,
        RolloutAction::PromoteFull,
        format!(
            "traffic goes from {} to 100 %, remaining steps are skipped",
            rollout.weight_actual
        ),
    ));
    plan.undo = Some(Verb::RollBack);
}

/// The first step ahead whose judgement a full promotion would skip.
fn remaining_judges(rollout: &Rollout) -> Option<String> {
    let index = usize::try_from(rollout.step?).ok()?;
    let ahead = rollout.steps.get(index..)?;
    ahead
        .iter()
        .find(|step| step.judges())
        .map(RolloutStep::label)
}

/// The share it has and, where that is another one, the share it is to have.
fn share(rollout: &Rollout) -> String {
    let (actual, wanted) = (rollout.weight_actual, rollout.weight_wanted);
    let by = if rollout.weight_is_pod_ratio {
        " by pods"
    } else {
        ""
    };
    if actual == wanted {
        format!("{actual} of traffic{by}")
    } else {
        format!("{actual} of traffic{by} (wanted: {wanted})")
    }
}

/// Where it stands, for the sheet.
pub(super) fn standing(rollout: &Rollout) -> Vec<(Clean, Clean)> {
    if rollout.blue_green.is_some() {
        return blue_green::standing(rollout);
    }
    let mut facts = Vec::new();
    if let Some(current) = rollout.current() {
        facts.push(fact(
            "from",
            Clean::from(format!(
                "{}  {}, pods {}/{} ready",
                current.name(),
                share(rollout),
                current.pods.ready,
                current.pods.desired
            )),
        ));
    }
    if let Some(stable) = rollout.stable().filter(|_| !rollout.is_fully_promoted()) {
        facts.push(fact(
            "stable",
            Clean::from(format!(
                "{}  pods {}/{} ready",
                stable.name(),
                stable.pods.ready,
                stable.pods.desired
            )),
        ));
    }
    facts
}
