//! Signs of life, and their absence: how a scope and its backend are doing.

use std::sync::Arc;

use crate::{
    domain::{
        Timestamp,
        id::BackendId,
        observation::{Basis, Failure, Scope},
        text::Clean,
    },
    engine::{
        reduce::touch,
        world::{Message, MessageWeight, Trouble, World},
    },
};

/// An answer is a sign of life, and heals the trouble its scope was in. Says
/// whether it is the first of its scope.
pub(super) fn heal(world: &mut World, scope: &Scope, basis: Basis, at: Timestamp) -> bool {
    let state = world.scopes.entry(scope);
    let is_first = state.proved_at.is_none();
    state.proved_at = state.proved_at.max(Some(at));
    if let Basis::Asked(asked) = basis {
        state.asked_at = state.asked_at.max(Some(asked));
    }
    let healed = state
        .trouble
        .as_ref()
        .is_some_and(|trouble| trouble.last < at);
    if healed {
        state.trouble = None;
        world.troubled.remove(scope);
    } else if let Some(trouble) = &mut state.trouble {
        // It failed before this answer and after it: the failing began anew.
        if trouble.since <= at {
            trouble.since = trouble.last;
        }
    }
    let still = newest_trouble(world, &scope.backend);
    let backend = world.backends.entry(scope.backend.clone()).or_default();
    backend.answered_at = backend.answered_at.max(Some(at));
    let before = backend.trouble.as_ref().map(|trouble| trouble.kind);
    let after = still.as_ref().map(|trouble| trouble.kind);
    backend.trouble = still;
    if before.is_some() && after.is_none() {
        world.say(Message {
            at,
            weight: MessageWeight::Note,
            about: scope.backend.text().clone(),
            text: "answers again".into(),
        });
    }
    touch_backend(world, &scope.backend, healed || before != after);
    is_first
}

/// The newest of the troubles a backend's scopes are in, whichever was heard of last.
fn newest_trouble(world: &World, backend: &BackendId) -> Option<Trouble> {
    let troubles = world
        .troubled_of(backend)
        .filter_map(|scope| world.scopes.get(scope)?.trouble.as_ref());
    troubles.max_by_key(|trouble| trouble.last).cloned()
}

/// Services that depend on a backend are judged anew when it fails or heals.
pub(super) fn touch_backend(world: &mut World, backend: &BackendId, changed: bool) {
    let concerns = Arc::clone(&world.concerns);
    touch(world, changed, concerns.backend(backend));
}

pub(super) fn take_failure(world: &mut World, failure: &Failure) {
    let scope = world.scopes.entry(&failure.scope);
    if scope.proved_at.is_some_and(|proved| failure.at < proved) {
        return;
    }
    let (fresh, reworded) = match &mut scope.trouble {
        // It comes late: the trouble is older than it seemed.
        Some(trouble) if failure.at < trouble.last => {
            trouble.since = trouble.since.min(failure.at);
            (false, false)
        }
        known => {
            let before = known.replace(Trouble {
                kind: failure.kind,
                message: failure.message.clone(),
                since: known.as_ref().map_or(failure.at, |known| known.since),
                last: failure.at,
                retry_at: failure.retry_at,
            });
            let was = before.as_ref();
            (
                was.is_none_or(|before| before.kind != failure.kind),
                was.is_none_or(|before| before.message != failure.message),
            )
        }
    };
    world.troubled.insert(failure.scope.clone(), ());
    let newest = newest_trouble(world, &failure.scope.backend);
    let backend = world
        .backends
        .entry(failure.scope.backend.clone())
        .or_default();
    let before = backend.trouble.as_ref().map(|trouble| trouble.kind);
    let after = newest.as_ref().map(|trouble| trouble.kind);
    backend.trouble = newest;
    if fresh {
        world.say(Message {
            at: failure.at,
            weight: MessageWeight::Trouble,
            about: failure.scope.backend.text().clone(),
            text: Clean::from(format!(
                "{}: {} ({})",
                failure.scope.part, failure.message, failure.kind
            )),
        });
    }
    // Findings repeat the backend's words, so other words are news as well.
    let changed = fresh || reworded || before != after;
    touch_backend(world, &failure.scope.backend, changed);
}
