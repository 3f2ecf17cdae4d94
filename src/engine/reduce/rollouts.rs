//! What is heard of a rollout, and what is remembered of it beyond its present state.

use std::{cmp::Ordering, sync::Arc};

use crate::{
    domain::{
        Timestamp,
        observation::{Batch, Key},
        rollout::Rollout,
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
    if is_older {
        named_again(world, rollout, last_at);
        return key;
    }
    let changes_mind = known.is_some_and(|known| known.current_hash != rollout.current_hash);
    if let (true, Some(hash)) = (changes_mind, &rollout.current_hash) {
        let since = (hash.clone(), last_at);
        world.wanted_since.insert(rollout.id.clone(), since);
    }
    let answer = Answer {
        at: last_at,
        ..Answer::of(batch)
    };
    let tables = (&mut world.rollouts, &mut world.told);
    let changed = tell(tables, &rollout.id, &key, rollout, answer);
    let concerns = Arc::clone(&world.concerns);
    touch(world, changed, concerns.target(&rollout.id));
    if let (true, Some(hash)) = (rollout.is_fully_promoted(), &rollout.current_hash) {
        remember_full(world, rollout, hash, last_at);
    }
    key
}

/// An older word about it: it tells nothing new but that it was there.
fn named_again(world: &mut World, rollout: &Rollout, at: Timestamp) {
    let known = world.rollouts.get(&rollout.id);
    if let Some(known) = known.filter(|known| known.at < at) {
        let known = Known {
            at,
            ..known.clone()
        };
        world.rollouts.insert(rollout.id.clone(), known);
    }
}

/// Remembers which revision held all traffic, and from when until when: the best
/// target for a roll back. What is heard late goes to its place in time.
fn remember_full(world: &mut World, rollout: &Rollout, hash: &Clean, at: Timestamp) {
    let history = world.held_full.entry(&rollout.id);
    let place = history.partition_point(|full| full.from <= at);
    let (before, after) = history.split_at_mut(place);
    let stretch = |from, until, hash: &Clean| HeldFull {
        hash: hash.clone(),
        from,
        until,
    };
    let mut new = vec![stretch(at, at, hash)];
    match (before.last_mut(), after.first_mut()) {
        (Some(before), _) if before.hash == *hash => {
            before.until = before.until.max(at);
            return;
        }
        (_, Some(after)) if after.hash == *hash => {
            after.from = at;
            return;
        }
        // In the middle of another's time, which came back then.
        (Some(before), _) if at < before.until => {
            new.push(stretch(before.until, before.until, &before.hash));
            before.until = at;
        }
        (_, _) => {}
    }
    history.splice(place..place, new);
    let oldest = history.len().saturating_sub(HELD);
    history.drain(..oldest);
}
