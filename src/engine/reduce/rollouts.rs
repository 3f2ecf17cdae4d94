//! What is heard of a rollout, and what is remembered of it beyond its present state.

use std::{cmp::Ordering, sync::Arc};

use crate::{
    domain::{
        Timestamp,
        id::TargetId,
        observation::{Batch, Key},
        rollout::{Revision, Rollout},
        text::Clean,
    },
    engine::{
        reduce::{Answer, tell, touch},
        world::{HELD, HeldFull, Known, World},
    },
};

pub(super) fn take_rollout(world: &mut World, batch: &Batch, rollout: &Rollout) -> Key {
    let key = Key::Rollout(rollout.id.clone());
    let known = world.rollouts.get(&rollout.id);
    // A watch event may overtake the answer to an older question: of two words
    // about one object its version counter says which is the newer.
    let by_version = known
        .filter(|known| known.uid == rollout.uid)
        .and_then(|known| Some(rollout.version?.cmp(&known.version?)))
        .filter(|order| order.is_ne());
    let by_arrival = known.map(|known| batch.at.cmp(&known.at));
    let is_older = by_version.or(by_arrival).is_some_and(Ordering::is_lt);
    let last_at = known.map_or(batch.at, |known| known.at.max(batch.at));
    let concerns = Arc::clone(&world.concerns);
    if is_older {
        let other = known.filter(|known| changes_mind(rollout, known));
        let wanted = other.and_then(|known| Some((known.current_hash.clone()?, known.at)));
        let is_news = remember_abort(world, rollout) || wanted.is_some();
        touch(world, is_news, concerns.target(&rollout.id));
        wants_since(world, &rollout.id, wanted);
        named_again(world, &rollout.id, last_at);
        return key;
    }
    if known.is_some_and(|known| changes_mind(known, rollout)) {
        let wanted = rollout.current_hash.clone().map(|hash| (hash, last_at));
        wants_since(world, &rollout.id, wanted);
    }
    remember_abort(world, rollout);
    let answer = Answer {
        at: last_at,
        ..Answer::of(batch)
    };
    let tables = (&mut world.rollouts, &mut world.told);
    let changed = tell(tables, &rollout.id, &key, rollout, answer);
    touch(world, changed, concerns.target(&rollout.id));
    match (&rollout.current_hash, &rollout.stable_hash) {
        (Some(hash), _) if rollout.is_fully_promoted() => {
            remember_full(world, rollout, hash, last_at);
        }
        // What a canary is tried against held everything before it.
        (_, Some(stable)) if rollout.has_canary() && rollout.revision(stable).is_some() => {
            remember_stable(world, rollout, stable, last_at);
        }
        _ => {}
    }
    key
}

/// Whether measurements made up to `before` say nothing about `after`: another
/// revision is wanted, or the same one is tried again after an abort.
fn changes_mind(before: &Rollout, after: &Rollout) -> bool {
    let is_another = before.current_hash != after.current_hash;
    let is_retried = before.aborted.is_some() && after.aborted.is_none();
    is_another || is_retried
}

/// Remembers the newest abort, in whatever order they are heard of. Whether there
/// was a newer one.
fn remember_abort(world: &mut World, rollout: &Rollout) -> bool {
    let (Some(Some(at)), Some(hash)) = (rollout.aborted, &rollout.current_hash) else {
        return false;
    };
    let known = world.last_abort.get(&rollout.id);
    let is_news = known.is_none_or(|(_, known)| *known < at);
    if is_news {
        world
            .last_abort
            .insert(rollout.id.clone(), (hash.clone(), at));
    }
    is_news
}

/// Remembers since when it wants what it wants. Where the word from before comes
/// late, that is when the newest one arrived: too late rather than too early, so
/// that no measurement from before the change counts.
fn wants_since(world: &mut World, id: &TargetId, wanted: Option<(Clean, Timestamp)>) {
    if let Some(wanted) = wanted {
        world.wanted_since.insert(id.clone(), wanted);
    }
}

/// An older word about it: it tells nothing new but that it was there.
fn named_again(world: &mut World, id: &TargetId, at: Timestamp) {
    let known = world.rollouts.get(id);
    if let Some(known) = known.filter(|known| known.at < at) {
        let known = Known {
            at,
            ..known.clone()
        };
        world.rollouts.insert(id.clone(), known);
    }
}

/// Remembers what the controller calls stable, where it was not seen to hold all
/// traffic: it did until the update began, and that is nearer to a good way back
/// than any number.
fn remember_stable(world: &mut World, rollout: &Rollout, stable: &Clean, at: Timestamp) {
    let known = world.held_full.get(&rollout.id);
    let last = known.and_then(|held| held.last());
    if last.is_none_or(|last| last.hash != *stable) {
        remember_full(world, rollout, stable, at);
    }
}

/// Remembers which revision held all traffic, and from when until when: the best
/// target for a roll back. Only the newest word about a rollout comes here, so a
/// stretch of time goes on or the next one begins.
fn remember_full(world: &mut World, rollout: &Rollout, hash: &Clean, at: Timestamp) {
    let history = world.held_full.entry(&rollout.id);
    let from = match history.last_mut() {
        Some(last) if last.hash == *hash => {
            last.until = last.until.max(at);
            return;
        }
        Some(last) => last.until.max(at),
        // What is found at the first look took over before it.
        None => {
            let changed = rollout.completed_at.or(rollout.changed_at);
            changed.map_or(at, |changed| changed.min(at))
        }
    };
    history.push(HeldFull {
        hash: hash.clone(),
        name: rollout
            .revision(hash)
            .map_or_else(|| hash.clone(), Revision::name),
        from,
        until: from.max(at),
    });
    let oldest = history.len().saturating_sub(HELD);
    history.drain(..oldest);
}
