//! Remembers across processes which revision each rollout was seen fully on.

use std::{collections::BTreeMap, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    app::desk::Desk,
    domain::{id::TargetId, text::Clean},
    engine::world::{HELD, HeldFull, World},
    store::{Full, History, LedgerError},
};

/// What earlier processes saw, as the world to begin with.
pub(super) fn recall(history: &History) -> Result<World, LedgerError> {
    let mut held: BTreeMap<TargetId, Vec<HeldFull>> = BTreeMap::new();
    for full in history.read()? {
        let of = held.entry(full.target).or_default();
        if of.last().is_some_and(|last| last.hash == full.hash) {
            continue;
        }
        if HELD <= of.len() {
            of.remove(0);
        }
        of.push(HeldFull {
            hash: full.hash,
            name: full.name,
            from: full.at,
            until: full.at,
        });
    }
    Ok(World {
        held_full: held.into_iter().collect(),
        ..World::default()
    })
}

/// Writes down what is new, until we shut down.
pub(super) async fn remember(desk: Arc<Desk>, history: History, cancel: CancellationToken) {
    let mut worlds = desk.worlds();
    let mut known = newest(&worlds.borrow_and_update());
    let mut able = true;
    loop {
        let last = tokio::select! {
            changed = worlds.changed() => changed.is_err(),
            () = cancel.cancelled() => true,
        };
        let world = worlds.borrow_and_update().clone();
        let new: Vec<Full> = newest(&world)
            .into_iter()
            .filter(|(target, new)| known.get(target).is_none_or(|old| old.hash != new.hash))
            .map(|(_, new)| new)
            .collect();
        if able && !new.is_empty() {
            known = newest(&world);
            let history = history.clone();
            let written = tokio::task::spawn_blocking(move || {
                new.iter().try_for_each(|full| history.add(full))
            })
            .await;
            if let Ok(Err(error)) = written {
                able = false;
                desk.say(Clean::from(format!(
                    "what was seen at 100 % is not remembered: {error}"
                )))
                .await;
            }
        }
        if last {
            return;
        }
    }
}

/// Per rollout the revision that was last seen at 100 %, and since when.
fn newest(world: &World) -> BTreeMap<TargetId, Full> {
    let last = |(target, held): (&TargetId, &Vec<HeldFull>)| {
        let last = held.last()?.clone();
        let full = Full {
            target: target.clone(),
            hash: last.hash,
            name: last.name,
            at: last.from,
        };
        Some((target.clone(), full))
    };
    world.held_full.iter().filter_map(last).collect()
}
