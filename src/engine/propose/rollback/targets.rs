//! Which revisions one can go back to, the best of them, and how that is known.

use chrono::TimeDelta;

use crate::{
    domain::{
        id::Version,
        rollout::{Revision, Role, Rollout},
        text::Clean,
        verdict::{Decision, Word},
    },
    engine::{
        back::{Back, decision_of},
        clear::Refusal,
        correlate::release_of_revision,
        propose::{Scene, previous_alias},
        release::Release,
        world::HeldFull,
    },
};

/// What took over less than this ago is not called bad by what may still be the
/// number of the one before.
const SETTLED: TimeDelta = TimeDelta::minutes(2);

/// Revisions one can go back to, the best first: the one that a way back leads
/// to; while an update is under way the stable one; else the one that last held
/// all traffic, as far as it was seen; else the champion, where that is another;
/// else the champion before this one; else by number. The present one never, unless users are not on it yet.
pub(super) fn targets<'a>(
    scene: &Scene<'_>,
    rollout: &'a Rollout,
    back: Option<Back<'_>>,
) -> Vec<&'a Revision> {
    let under_way = !rollout.is_fully_promoted();
    let mut targets: Vec<&Revision> = rollout
        .revisions
        .iter()
        .filter(|revision| {
            if under_way && revision.role == Role::Stable {
                return true;
            }
            back.is_some() || rollout.current_hash.as_ref() != Some(&revision.hash)
        })
        .collect();
    targets.sort_by_key(|revision| {
        let last_full = last_full(scene, rollout, revision).map(|full| full.until);
        let first = match back {
            Some(back) => revision.hash == back.to.hash,
            None => under_way && revision.role == Role::Stable,
        };
        (
            std::cmp::Reverse(first),
            std::cmp::Reverse(last_full),
            std::cmp::Reverse(is_champion(scene, revision)),
            std::cmp::Reverse(was_champion(scene, revision)),
            std::cmp::Reverse(revision.number),
        )
    });
    targets
}

/// The stretches of 100 % that are remembered, oldest first.
fn held<'a>(scene: &Scene<'a>, rollout: &Rollout) -> &'a [HeldFull] {
    let held = scene.world.held_full.get(&rollout.id);
    held.map(Vec::as_slice).unwrap_or_default()
}

/// When a revision was last seen at 100 %.
fn last_full<'a>(
    scene: &Scene<'a>,
    rollout: &Rollout,
    revision: &Revision,
) -> Option<&'a HeldFull> {
    let mut held = held(scene, rollout).iter().rev();
    held.find(|full| full.hash == revision.hash)
}

/// What users were on before the present revision, where the cluster does not
/// keep it any more: a controller keeps a number of old revisions, and canaries
/// that were undone push out the one that was live.
pub(super) fn gone<'a>(scene: &Scene<'a>, rollout: &Rollout) -> Option<&'a HeldFull> {
    if !rollout.is_fully_promoted() {
        return None;
    }
    let mut held = held(scene, rollout).iter().rev();
    let before = held.find(|full| rollout.current_hash.as_ref() != Some(&full.hash))?;
    rollout.revision(&before.hash).is_none().then_some(before)
}

/// What is gone, for the sheet.
pub(super) fn gone_words(gone: &HeldFull) -> Clean {
    Clean::from(format!(
        "users were on {} before (seen at 100 % {}), and the cluster does not keep it any more",
        gone.name,
        instant(gone)
    ))
}

fn instant(full: &HeldFull) -> impl std::fmt::Display {
    full.until.format("%Y-%m-%d %H:%MZ")
}

/// The best target that users were not taken away from to get here. One that
/// nobody is known to have been on stands in for none that is: it has to be named.
pub(super) fn default_target<'a>(
    scene: &Scene<'_>,
    rollout: &Rollout,
    targets: &[&'a Revision],
    back: Option<Back<'_>>,
) -> Result<&'a Revision, Refusal> {
    if let Some(back) = back {
        return began(scene, rollout, targets, back);
    }
    let best = targets.iter().find(|one| !was_left(rollout, one)).copied();
    match (best, targets.first()) {
        (Some(best), _) if is_known(scene, rollout, best) || !remembers(scene, rollout) => Ok(best),
        (Some(best), _) => Err(unnamed(scene, rollout, targets, best)),
        (None, Some(left)) => Err(only_left(scene, rollout, targets, left)),
        (None, None) => Err(Refusal::NothingToDo(
            "no earlier revision is left to go back to".into(),
        )),
    }
}

/// Whether anything but the present revision is remembered.
fn remembers(scene: &Scene<'_>, rollout: &Rollout) -> bool {
    let held = held(scene, rollout).iter();
    held.map(|full| Some(&full.hash))
        .any(|hash| hash != rollout.current_hash.as_ref())
}

/// Whether users are known to have been on a revision.
fn is_known(scene: &Scene<'_>, rollout: &Rollout, revision: &Revision) -> bool {
    last_full(scene, rollout, revision).is_some()
        || is_champion(scene, revision)
        || was_champion(scene, revision)
}

/// Whether what users are on is measured to be bad, and has been there for long
/// enough that it is what was measured: whoever presses the key of a roll back
/// twice is not to be taken back to what they just left.
fn is_refuted(scene: &Scene<'_>, rollout: &Rollout) -> bool {
    let last = held(scene, rollout).last();
    let stands = last.filter(|last| rollout.current_hash.as_ref() == Some(&last.hash));
    if stands.is_none_or(|last| scene.now < last.from + SETTLED) {
        return false;
    }
    let current = rollout.current();
    let decision = current
        .and_then(|current| decision_of(scene.world, scene.service, scene.place, rollout, current));
    decision.is_some_and(Decision::hurts)
}

/// That users were taken from a revision to the present one, which nothing says
/// is worse: whoever goes there all the same says so by its name.
pub(super) fn against(scene: &Scene<'_>, rollout: &Rollout, chosen: &Revision) -> Option<Clean> {
    (was_left(rollout, chosen) && !is_refuted(scene, rollout)).then(|| {
        Clean::from(format!(
            "users were taken from {} back to {}",
            name_of(scene, chosen),
            name_of_current(scene, rollout)
        ))
    })
}

/// That a person has to say where to, and where one can go.
fn unnamed(
    scene: &Scene<'_>,
    rollout: &Rollout,
    targets: &[&Revision],
    next: &Revision,
) -> Refusal {
    let name = name_of(scene, next);
    let why = gone(scene, rollout).map_or_else(
        || "no other revision is known to have been live".into(),
        gone_words,
    );
    Refusal::NeedsTarget {
        why: Clean::from(format!(
            "{why}; {name} is next by its number and was never seen at 100 % from here: name it \
             to go there (`rollback --to {name}`)"
        )),
        choices: targets
            .iter()
            .filter(|one| !was_left(rollout, one))
            .map(|one| one.hash.clone())
            .collect(),
    }
}

/// The same where users were taken from all there is.
fn only_left(
    scene: &Scene<'_>,
    rollout: &Rollout,
    targets: &[&Revision],
    left: &Revision,
) -> Refusal {
    let name = name_of(scene, left);
    Refusal::NeedsTarget {
        why: Clean::from(format!(
            "users were taken from {name} back to {}, and nothing else is left: name it to go \
             there all the same (`rollback --to {name}`)",
            name_of_current(scene, rollout)
        )),
        choices: targets.iter().map(|one| one.hash.clone()).collect(),
    }
}

/// Revisions made after the chosen one that nobody is known to have been on: a
/// canary that was undone, or an update nobody here has seen.
pub(super) fn passed_over(
    scene: &Scene<'_>,
    rollout: &Rollout,
    targets: &[&Revision],
    chosen: &Revision,
) -> Option<Clean> {
    if !rollout.is_fully_promoted() {
        return None;
    }
    let names: Vec<String> = targets
        .iter()
        .filter(|one| chosen.number < one.number && !is_known(scene, rollout, one))
        .map(|one| name_of(scene, one).to_string())
        .collect();
    let all = names.join(", ");
    (!names.is_empty()).then(|| Clean::from(format!("{all}: never seen at 100 % from here")))
}

/// Where a way back that was begun leads. One that was aborted is not begun
/// again by itself while users are on something good.
fn began<'a>(
    scene: &Scene<'_>,
    rollout: &Rollout,
    targets: &[&'a Revision],
    back: Back<'_>,
) -> Result<&'a Revision, Refusal> {
    let (from, to) = (name_of(scene, back.from), name_of(scene, back.to));
    let judged = decision_of(scene.world, scene.service, scene.place, rollout, back.from);
    let good = judged
        .map(|decision| decision.word)
        .filter(|word| matches!(word, Word::Go | Word::GoWithWarnings));
    if let (true, Some(word)) = (back.aborted, good) {
        return Err(Refusal::NothingToDo(Clean::from(format!(
            "the way back to {to} was aborted, and {from}, which users are on, is {}: name {to} \
             to go there all the same (`rollback --to {to}`)",
            word.text()
        ))));
    }
    targets
        .iter()
        .find(|one| one.hash == back.to.hash)
        .copied()
        .ok_or(Refusal::NothingToDo(
            "no earlier revision is left to go back to".into(),
        ))
}

/// Whether users were taken from this revision to the wanted one. While a
/// canary still has steps to pass they are on stable, which is the way back.
pub(super) fn was_left(rollout: &Rollout, revision: &Revision) -> bool {
    let way_back = revision.role == Role::Stable && !rollout.moves_at_once();
    rollout.was_left(revision) && !way_back
}

pub(super) fn name_of_current(scene: &Scene<'_>, rollout: &Rollout) -> Clean {
    rollout
        .current()
        .map(|current| name_of(scene, current))
        .unwrap_or_default()
}

/// The release a revision carries, by its label, else its image.
pub(in crate::engine::propose) fn name_of(scene: &Scene<'_>, revision: &Revision) -> Clean {
    release_of(scene, revision).map_or_else(|| revision.name(), |release| release.label.clone())
}

pub(super) fn release_of<'a>(scene: &Scene<'a>, revision: &Revision) -> Option<&'a Release> {
    let rollout = scene.rollout().ok()?;
    release_of_revision(scene.world, scene.service, rollout, &revision.hash).map(AsRef::as_ref)
}

/// Whether the champion alias points to a revision's model.
fn is_champion(scene: &Scene<'_>, revision: &Revision) -> bool {
    is_version(scene, revision, scene.champion())
}

/// Whether the alias that remembers points to a revision's model.
fn was_champion(scene: &Scene<'_>, revision: &Revision) -> bool {
    is_version(scene, revision, remembered(scene))
}

fn is_version(scene: &Scene<'_>, revision: &Revision, version: Option<Version>) -> bool {
    let own = release_of(scene, revision).and_then(|release| release.version.value().copied());
    version.is_some() && version == own
}

/// The version the bookkeeping alias remembers.
pub(super) fn remembered(scene: &Scene<'_>) -> Option<Version> {
    let spec = scene.service.model.as_ref()?;
    let previous = previous_alias(&spec.champion);
    let model = scene.world.models.get(&spec.model)?;
    model.aliases.get(&previous).copied()
}

/// How it is known that the target is a good place to go back to.
pub(super) fn proof(scene: &Scene<'_>, rollout: &Rollout, revision: &Revision) -> Clean {
    if revision.role == Role::Stable && !rollout.is_fully_promoted() {
        return Clean::from(format!(
            "stable, {} of {} pods available",
            revision.pods.available, revision.pods.desired
        ));
    }
    let number = revision.number;
    Clean::from(match last_full(scene, rollout, revision) {
        Some(full) => format!("seen at 100 % {}", instant(full)),
        None if is_champion(scene, revision) => format!("revision {number}, the champion"),
        None if was_champion(scene, revision) => format!("revision {number}, the champion before"),
        None => format!("revision {number}, never seen at 100 % from here"),
    })
}
