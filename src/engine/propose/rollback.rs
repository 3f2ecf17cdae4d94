//! Roll back: users onto a named earlier version, by the cheapest safe plan.
//!
//! While an update is under way, stable is what users go back to: an abort does
//! it, is a change of status only, and no GitOps tool undoes it. Once the
//! update is through, the earlier revision goes back into the spec.

use crate::{
    domain::{
        action::{Order, RolloutAction, Subject},
        id::Version,
        rollout::{Revision, Role, Rollout},
        text::Clean,
    },
    engine::{
        clear::Refusal,
        plan::{Class, Plan, PlanStep},
        propose::{
            Scene, blue_green, fact, previous_alias,
            rollout::{abort_steps, standing},
            rollout_step, version_of, without_index,
        },
        release::Release,
    },
};

pub(super) fn roll_back(scene: &Scene<'_>) -> Result<Plan, Refusal> {
    let rollout = scene.rollout()?;
    let mut plan = scene.plan(Class::Brake, Subject::Rollout(rollout.id.clone()));
    plan.facts.extend(standing(rollout));
    let targets = targets(scene, rollout);
    plan.alternatives = targets
        .iter()
        .map(|revision| (revision.hash.clone(), name_of(scene, revision)))
        .collect();
    let chosen = match &scene.ask.to {
        Some(wanted) => {
            let matches = |revision: &&&Revision| {
                revision.hash == *wanted
                    || name_of(scene, revision) == *wanted
                    || revision.images.iter().any(|image| image.label() == *wanted)
            };
            let Some(found) = targets.iter().find(matches) else {
                let known: Vec<String> = targets
                    .iter()
                    .map(|revision| name_of(scene, revision).to_string())
                    .collect();
                return Err(Refusal::NoTarget(Clean::from(format!(
                    "no earlier revision `{wanted}`; there are: {}",
                    known.join(", ")
                ))));
            };
            *found
        }
        None => default_target(scene, rollout, &targets)?,
    };
    let left = if was_left(rollout, chosen) {
        format!("; left for {} before", name_of_current(scene, rollout))
    } else {
        String::new()
    };
    let traffic = traffic_steps(scene, rollout, chosen, &mut plan);
    let alias = alias_steps(scene, chosen, &mut plan);
    plan.facts.push(fact(
        "to",
        Clean::from(format!(
            "{}  {}{left}",
            name_of(scene, chosen),
            proof(scene, rollout, chosen)
        )),
    ));
    plan.steps = if scene.service.model_from_alias {
        alias.into_iter().chain(traffic).collect()
    } else {
        traffic.into_iter().chain(alias).collect()
    };
    if plan.steps.is_empty() {
        return Err(Refusal::AlreadySo(Clean::from(format!(
            "users are on {} already",
            name_of(scene, chosen)
        ))));
    }
    Ok(plan)
}

/// Revisions one can go back to, the best first: while an update is under way
/// the stable one; else the one that last held all traffic, as far as it was
/// seen; else the champion before this one; else by number. The present one
/// never.
fn targets<'a>(scene: &Scene<'_>, rollout: &'a Rollout) -> Vec<&'a Revision> {
    let under_way = !rollout.is_fully_promoted();
    let held = scene
        .world
        .held_full
        .get(&rollout.id)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut targets: Vec<&Revision> = rollout
        .revisions
        .iter()
        .filter(|revision| {
            if under_way && revision.role == Role::Stable {
                return true;
            }
            rollout.current_hash.as_ref() != Some(&revision.hash)
        })
        .collect();
    targets.sort_by_key(|revision| {
        let last_full = held
            .iter()
            .filter(|full| full.hash == revision.hash)
            .map(|full| full.until)
            .max();
        let stable_first = under_way && revision.role == Role::Stable;
        (
            std::cmp::Reverse(stable_first),
            std::cmp::Reverse(last_full),
            std::cmp::Reverse(was_champion(scene, revision)),
            std::cmp::Reverse(revision.number),
        )
    });
    targets
}

/// The best target that users were not taken away from to get here.
fn default_target<'a>(
    scene: &Scene<'_>,
    rollout: &Rollout,
    targets: &[&'a Revision],
) -> Result<&'a Revision, Refusal> {
    if let Some(best) = targets.iter().find(|one| !was_left(rollout, one)) {
        return Ok(best);
    }
    let Some(left) = targets.first() else {
        return Err(Refusal::NothingToDo(
            "no earlier revision is left to go back to".into(),
        ));
    };
    let name = name_of(scene, left);
    Err(Refusal::NothingToDo(Clean::from(format!(
        "users were taken from {name} back to {}, and nothing earlier is left: name it to go \
         there all the same (`rollback --to {name}`)",
        name_of_current(scene, rollout)
    ))))
}

/// Whether users were taken from this revision to the wanted one. While a
/// canary still has steps to pass they are on stable, which is the way back.
fn was_left(rollout: &Rollout, revision: &Revision) -> bool {
    let way_back = revision.role == Role::Stable && !rollout.moves_at_once();
    rollout.was_left(revision) && !way_back
}

fn name_of_current(scene: &Scene<'_>, rollout: &Rollout) -> Clean {
    rollout
        .current()
        .map(|current| name_of(scene, current))
        .unwrap_or_default()
}

/// The release a revision carries, by its label, else its image.
fn name_of(scene: &Scene<'_>, revision: &Revision) -> Clean {
    release_of(scene, revision).map_or_else(
        || {
            revision.images.first().map_or_else(
                || revision.hash.clone(),
                crate::domain::rollout::Image::label,
            )
        },
        |release| release.label.clone(),
    )
}

fn release_of<'a>(scene: &Scene<'a>, revision: &Revision) -> Option<&'a Release> {
    scene
        .world
        .releases_of(&scene.service.name)
        .map(AsRef::as_ref)
        .find(|release| {
            release.image.value().is_some_and(|image| {
                revision.images.iter().any(|of| {
                    of.repository == image.repository
                        && of.tag == image.tag
                        && of.digest == image.digest
                })
            })
        })
}

/// Whether the alias that remembers points to a revision's model.
fn was_champion(scene: &Scene<'_>, revision: &Revision) -> bool {
    let remembered = scene.service.model.as_ref().and_then(|spec| {
        let previous = previous_alias(&spec.champion);
        let model = scene.world.models.get(&spec.model)?;
        model.aliases.get(&previous).copied()
    });
    let version = release_of(scene, revision).and_then(|release| release.version.value().copied());
    remembered.is_some() && remembered == version
}

/// How it is known that the target is a good place to go back to.
fn proof(scene: &Scene<'_>, rollout: &Rollout, revision: &Revision) -> Clean {
    if revision.role == Role::Stable && !rollout.is_fully_promoted() {
        return Clean::from(format!(
            "stable, {} of {} pods available",
            revision.pods.available, revision.pods.desired
        ));
    }
    let held = scene
        .world
        .held_full
        .get(&rollout.id)
        .map(Vec::as_slice)
        .unwrap_or_default();
    held.iter()
        .rev()
        .find(|full| full.hash == revision.hash)
        .map_or_else(
            || {
                if was_champion(scene, revision) {
                    return Clean::from(format!(
                        "revision {}, the champion before",
                        revision.number
                    ));
                }
                Clean::from(format!(
                    "revision {}, never seen at 100 % from here",
                    revision.number
                ))
            },
            |full| {
                Clean::from(format!(
                    "seen at 100 % {}",
                    full.until.format("%Y-%m-%d %H:%MZ")
                ))
            },
        )
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
            return Vec::new();
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
        steps.push(rollout_step(
            rollout,
            RolloutAction::Resume,
            "the hold is undone, so that pods can move",
        ));
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
            "the hold is undone, so that pods can move",
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
fn alias_steps(scene: &Scene<'_>, chosen: &Revision, plan: &mut Plan) -> Vec<PlanStep> {
    let (Some(spec), Some(champion)) = (&scene.service.model, scene.champion()) else {
        return Vec::new();
    };
    let bad = version_of(scene.world, scene.carried.map(|release| &release.id));
    if bad != Some(champion) {
        plan.facts.push(fact(
            "alias",
            Clean::from(format!("`{}` stays at {champion}", spec.champion)),
        ));
        return Vec::new();
    }
    let good = release_of(scene, chosen)
        .and_then(|release| release.version.value().copied())
        .or_else(|| remembered(scene));
    match good {
        Some(good) => scene.alias_steps(good),
        None => {
            plan.warnings.push(Clean::from(format!(
                "the model version of the target is not known: alias `{}` stays at {champion}",
                spec.champion
            )));
            Vec::new()
        }
    }
}

/// The version the bookkeeping alias remembers.
fn remembered(scene: &Scene<'_>) -> Option<Version> {
    let spec = scene.service.model.as_ref()?;
    let previous = format!("previous-{}", spec.champion);
    scene
        .world
        .models
        .get(&spec.model)?
        .aliases
        .get(previous.as_str())
        .copied()
}
