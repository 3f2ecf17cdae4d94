//! Roll back: users onto a named earlier version, by the cheapest safe plan.
//!
//! While an update is under way, stable is what users go back to: an abort does
//! it, is a change of status only, and no GitOps tool undoes it. Once the
//! update is through, the earlier revision goes back into the spec. Where that
//! was begun and not ended, it is gone on with.

mod targets;

use crate::{
    domain::{
        action::{Order, RolloutAction, Subject},
        rollout::{Revision, Rollout},
        text::Clean,
    },
    engine::{
        back::Back,
        clear::Refusal,
        plan::{Class, Plan, PlanStep},
        propose::{
            Scene, blue_green, fact,
            rollout::{abort_steps, standing},
            rollout_step, version_of, without_index,
        },
    },
};

use targets::{
    against, default_target, gone, gone_words, name_of_current, passed_over, proof, release_of,
    targets, was_left,
};

pub(super) use targets::name_of;

/// A controller told to hold moves no pods, so no way back ends under a hold.
const HOLD_UNDONE: &str = "the hold is undone, so that pods can move";

pub(super) fn roll_back(scene: &Scene<'_>) -> Result<Plan, Refusal> {
    let rollout = scene.rollout()?;
    let mut plan = scene.plan(Class::Brake, Subject::Rollout(rollout.id.clone()));
    plan.facts.extend(standing(rollout));
    let back = scene.back(rollout);
    if let Some(left) = back.and_then(|back| release_of(scene, back.from)) {
        // It is about what users are to get off.
        plan.release = Some(left.id.clone());
        plan.release_label = left.label.clone();
    }
    if let Some(rest) = alias_left_behind(scene, rollout) {
        plan.facts.push(fact(
            "to",
            format!(
                "{}  users are on it, the alias is not",
                name_of_current(scene, rollout)
            ),
        ));
        plan.steps = rest;
        return Ok(plan);
    }
    let targets = targets(scene, rollout, back);
    // An abort left users on this one.
    let there = back.filter(|back| back.aborted).map(|back| &back.from.hash);
    plan.alternatives = targets
        .iter()
        .filter(|revision| there != Some(&revision.hash))
        .map(|revision| (revision.hash.clone(), name_of(scene, revision)))
        .collect();
    let chosen = match &scene.ask.to {
        Some(wanted) => {
            let matches = |revision: &&&Revision| {
                let name = name_of(scene, revision);
                revision.hash == *wanted
                    || name == *wanted
                    || name.strip_prefix('v') == Some(wanted.as_str())
                    || revision.images.iter().any(|image| image.label() == *wanted)
            };
            let Some(found) = targets.iter().find(matches) else {
                let known: Vec<String> = targets
                    .iter()
                    .map(|revision| name_of(scene, revision).to_string())
                    .collect();
                let there = if known.is_empty() {
                    "none is left to go back to".to_owned()
                } else {
                    format!("there are: {}", known.join(", "))
                };
                return Err(Refusal::NoTarget(Clean::from(format!(
                    "no earlier revision `{wanted}`; {there}"
                ))));
            };
            *found
        }
        None => default_target(scene, rollout, &targets, back)?,
    };
    plan.warnings.extend(gone(scene, rollout).map(gone_words));
    if back.is_none()
        && let Some(rule) = against(scene, rollout, chosen)
    {
        // What is to be typed is the name of what users are brought back to.
        plan.release = release_of(scene, chosen).map(|release| release.id.clone());
        plan.release_label = name_of(scene, chosen);
        plan.bends = Some(rule);
    }
    let left = if was_left(rollout, chosen) {
        format!("; left for {} before", name_of_current(scene, rollout))
    } else {
        String::new()
    };
    let traffic = match back {
        Some(back) if back.to.hash == chosen.hash => go_on(scene, rollout, back, &mut plan)?,
        Some(_) | None => traffic_steps(scene, rollout, chosen, &mut plan),
    };
    let alias = alias_steps(scene, chosen, back, &mut plan);
    plan.facts.push(fact(
        "to",
        Clean::from(format!(
            "{}  {}{left}",
            name_of(scene, chosen),
            proof(scene, rollout, chosen)
        )),
    ));
    let over = passed_over(scene, rollout, &targets, chosen);
    plan.facts.extend(over.map(|names| fact("past", names)));
    // Pods that load the alias when they start must find the earlier one there.
    // An abort brings users to pods that run.
    let starts_pods = !traffic.first().is_some_and(is_abort);
    plan.steps = if scene.service.model_from_alias && starts_pods {
        alias.into_iter().chain(traffic).collect()
    } else {
        traffic.into_iter().chain(alias).collect()
    };
    let still = rollout.weight_actual;
    if plan.steps.is_empty() && !rollout.is_fully_promoted() && 0 < still.get() {
        return Err(Refusal::NothingToDo(Clean::from(format!(
            "going back to {} already: {still} still on {}",
            name_of(scene, chosen),
            name_of_current(scene, rollout)
        ))));
    }
    if plan.steps.is_empty() {
        return Err(Refusal::AlreadySo(Clean::from(format!(
            "users are on {} already",
            name_of(scene, chosen)
        ))));
    }
    Ok(plan)
}

/// What is left of a roll back that moved users and not the champion alias: it
/// names what users were taken from. Where somebody else is on that, it may name
/// it for them.
fn alias_left_behind(scene: &Scene<'_>, rollout: &Rollout) -> Option<Vec<PlanStep>> {
    if scene.ask.to.is_some() || !rollout.is_fully_promoted() {
        return None;
    }
    let version = |revision| release_of(scene, revision)?.version.value().copied();
    let (left, now) = (version(rollout.left()?)?, version(rollout.current()?)?);
    let spec = scene.service.model.as_ref()?;
    let behind = scene.champion()? == left && left != now;
    let for_others = !scene.stranded(spec, left, now).is_empty();
    (behind && !for_others).then(|| scene.alias_steps(now))
}

/// The steps that end a way back which was begun: what is wanted is so already,
/// and an abort and the steps are what keeps users from it.
fn go_on(
    scene: &Scene<'_>,
    rollout: &Rollout,
    back: Back<'_>,
    plan: &mut Plan,
) -> Result<Vec<PlanStep>, Refusal> {
    let (from, to) = (name_of(scene, back.from), name_of(scene, back.to));
    if rollout.moves_at_once() && !rollout.held {
        return Err(Refusal::NothingToDo(Clean::from(format!(
            "users are on their way to {to} already: {} still on {from}",
            back.left()
        ))));
    }
    plan.facts.push(fact(
        "how",
        format!("{to} is in the spec already, and users are moved to it"),
    ));
    if rollout.blue_green.is_some() {
        let way = blue_green::way_back(rollout, back.to, scene.now);
        plan.facts.push(fact("pods", way));
    }
    let mut steps = Vec::new();
    if rollout.held {
        steps.push(afterwards(
            rollout,
            back.to,
            RolloutAction::Resume,
            HOLD_UNDONE,
        ));
    }
    if rollout.has_canary() && !rollout.moves_at_once() {
        let effect = match (rollout.blue_green.is_some(), back.aborted) {
            (true, true) => "the abort is cleared; all users move to it at once, without a pause",
            (true, false) => "all users move to it at once, without a pause",
            (false, true) => "the abort is cleared; all traffic moves at once, without steps",
            (false, false) => "all traffic moves at once, without steps",
        };
        steps.push(afterwards(
            rollout,
            back.to,
            RolloutAction::PromoteFull,
            effect,
        ));
    }
    Ok(steps)
}

fn traffic_steps(
    scene: &Scene<'_>,
    rollout: &Rollout,
    chosen: &Revision,
    plan: &mut Plan,
) -> Vec<PlanStep> {
    let under_way = !rollout.is_fully_promoted();
    let to_stable = rollout.stable_hash.as_ref() == Some(&chosen.hash);
    let is_wanted =
        rollout.blue_green.is_some() && rollout.current_hash.as_ref() == Some(&chosen.hash);
    if under_way && to_stable && !is_wanted {
        let there = rollout.leaves_users_on_stable();
        if rollout.aborted.is_some() && there {
            // While held the controller moves no pods, so the abort is not through.
            let stuck = rollout.held && 0 < rollout.weight_actual.get();
            let resume =
                || without_index(rollout_step(rollout, RolloutAction::Resume, HOLD_UNDONE));
            return stuck.then(resume).into_iter().collect();
        }
        let abortable = rollout.has_canary() && rollout.aborted.is_none();
        if abortable && blue_green::abort_brings_back(rollout) {
            plan.facts.push(fact(
                "how",
                "abort: the spec stays, so nothing outside the cluster undoes it",
            ));
            abort_steps(scene, rollout, plan);
            return std::mem::take(&mut plan.steps);
        }
    }
    let how = if is_wanted {
        "it is wanted already, and users are moved to it"
    } else {
        "the earlier revision's template goes back into the spec"
    };
    plan.facts.push(fact("how", how));
    if rollout.blue_green.is_some() {
        let way = blue_green::way_back(rollout, chosen, scene.now);
        plan.facts.push(fact("pods", way));
    }
    if let Some(gitops) = &rollout.gitops {
        plan.warnings.push(Clean::from(format!(
            "{} `{}` writes this spec ({}) and will bring the bad version back: stop its sync or revert in Git as well",
            gitops.tool, gitops.owner, gitops.evidence
        )));
    }
    let mut steps = Vec::new();
    if !rollout.has_canary() && rollout.held {
        steps.push(rollout_step(rollout, RolloutAction::Resume, HOLD_UNDONE));
    }
    if !is_wanted {
        steps.push(rollout_step(
            rollout,
            RolloutAction::Undo {
                hash: chosen.hash.clone(),
            },
            format!(
                "revision {} ({}) is wanted again",
                chosen.number,
                name_of(scene, chosen)
            ),
        ));
    }
    if rollout.has_canary() && rollout.held {
        // Not before: what is on its way must not go on meanwhile.
        steps.push(afterwards(
            rollout,
            chosen,
            RolloutAction::Resume,
            HOLD_UNDONE,
        ));
    }
    // After a hold too: only then is it seen that users are on it.
    // A blue/green switch does not heed the window.
    let blue_green = rollout.blue_green.is_some();
    let by_itself = is_within_window(rollout, chosen) && !rollout.held && !blue_green;
    let stays_put = to_stable && !blue_green;
    if rollout.has_canary() && !stays_put && !by_itself {
        let effect = if blue_green {
            "all users move to it at once, without a pause"
        } else {
            "all traffic moves at once, without steps"
        };
        steps.push(afterwards(
            rollout,
            chosen,
            RolloutAction::PromoteFull,
            effect,
        ));
    }
    steps
}

/// A step for when the wanted revision is the one undone to.
fn afterwards(
    rollout: &Rollout,
    chosen: &Revision,
    action: RolloutAction,
    effect: &'static str,
) -> PlanStep {
    let mut step = without_index(rollout_step(rollout, action, effect));
    if let Order::Rollout(order) = &mut step.order {
        order.seen.pod_hash = Some(chosen.hash.clone());
    }
    step
}

/// Whether the controller goes back to a revision without steps: fewer than
/// `revisions` others were made between it and the stable one
/// (`isRollbackWithinWindow`, argo-rollouts).
fn is_within_window(rollout: &Rollout, chosen: &Revision) -> bool {
    let (Some(window), Some(stable)) = (rollout.rollback_window, rollout.stable()) else {
        return false;
    };
    let (Some(first), Some(last)) = (chosen.created_at, stable.created_at) else {
        return false;
    };
    let between = rollout
        .revisions
        .iter()
        .filter(|other| other.hash != chosen.hash && other.hash != stable.hash)
        .filter(|other| other.created_at.is_some_and(|at| first < at && at < last))
        .count();
    first < last && between < window as usize
}

/// The champion alias goes back only if it points to what users are leaving.
fn alias_steps(
    scene: &Scene<'_>,
    chosen: &Revision,
    back: Option<Back<'_>>,
    plan: &mut Plan,
) -> Vec<PlanStep> {
    let Some(spec) = &scene.service.model else {
        return Vec::new();
    };
    let Some(champion) = scene.champion() else {
        plan.warnings.extend(scene.registry_is_silent(spec));
        return Vec::new();
    };
    let left = match back {
        Some(back) => release_of(scene, back.from),
        None => scene.carried,
    };
    let bad = version_of(scene.world, left.map(|release| &release.id));
    if bad != Some(champion) {
        plan.facts.push(fact(
            "alias",
            Clean::from(format!("`{}` stays at {champion}", spec.champion)),
        ));
        return Vec::new();
    }
    let good = release_of(scene, chosen).and_then(|release| release.version.value().copied());
    match good {
        Some(good) => {
            plan.warnings.extend(scene.stranded(spec, champion, good));
            scene.alias_steps(good)
        }
        None => {
            plan.warnings.push(Clean::from(format!(
                "the model version of the target is not known: alias `{}` stays at {champion}",
                spec.champion
            )));
            Vec::new()
        }
    }
}

fn is_abort(step: &PlanStep) -> bool {
    matches!(&step.order, Order::Rollout(order) if order.action == RolloutAction::Abort)
}
