//! Whether those who should have told something are able to.
//!
//! That nothing is known of a thing can mean three things: there is none, who
//! would know has not answered yet, or is in trouble. Only the first is a fact
//! about the thing. The gates and the rows of the fleet ask here before they
//! say "missing" or "not applicable".

use crate::{
    domain::{
        Timestamp,
        backend::ErrorKind,
        id::{BackendId, TargetId, TargetKind},
        observation::Scope,
        text::Clean,
    },
    engine::world::{Trouble, World},
};

/// The scopes a piece of evidence comes from.
#[derive(Clone, Debug, Default)]
pub struct Asks {
    /// Those that must have answered before silence means anything.
    pub first: Vec<Scope>,
    /// Those that are asked only where there is something to ask; their trouble counts.
    pub more: Vec<Scope>,
    /// Feeds that fail as a whole, each with one of the first that it carries:
    /// its trouble counts until that one has answered since.
    pub feeds: Vec<(Scope, Scope)>,
}

impl Asks {
    /// What is known of a rollout, and how its revisions were found.
    pub fn rollout(target: &TargetId) -> Self {
        Self {
            first: vec![Scope::rollouts(target)],
            more: vec![Scope::rollout(target), Scope::revisions(target)],
            feeds: vec![(Scope::namespace(target), Scope::rollouts(target))],
        }
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.first.extend(other.first);
        self.more.extend(other.more);
        self.feeds.extend(other.feeds);
        self
    }
}

/// What can be said about those asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Every one has answered.
    Answered {
        /// When a failure that is borne with now will count, if there is one.
        doubted_at: Option<Timestamp>,
    },
    /// One has neither answered nor failed yet.
    Awaited {
        /// Which, in words.
        why: Clean,
        /// Whose it is.
        backend: BackendId,
    },
    /// One is in trouble.
    Troubled {
        /// What the backend said.
        why: Clean,
        /// Whose it is.
        backend: BackendId,
        /// Whether its word is that there is no such thing.
        says_none: bool,
    },
}

/// How those asked stand. `patiently`: there is an older answer, and one look
/// that failed does not unsay it; a refusal, or trouble for longer than two
/// looks, does.
pub fn standing(world: &World, asks: &Asks, patiently: bool, now: Timestamp) -> Standing {
    let mut doubted_at: Option<Timestamp> = None;
    let of = |scope: &Scope| world.scopes.get(scope);
    let own = asks.first.iter().chain(&asks.more);
    let own = own.filter_map(|scope| {
        let state = of(scope)?;
        let trouble = state.trouble.as_ref()?;
        Some((
            scope,
            trouble,
            state.proved_at,
            heals_by_waiting(trouble.kind),
        ))
    });
    let carriers = asks.feeds.iter().filter_map(|(scope, carried)| {
        let trouble = of(scope)?.trouble.as_ref()?;
        let proved_at = of(carried).and_then(|state| state.proved_at);
        let counts = proved_at.is_none_or(|proved| proved < trouble.last);
        counts.then_some((scope, trouble, proved_at, true))
    });
    for (scope, trouble, proved_at, heals) in own.chain(carriers) {
        let borne_until = proved_at
            .zip(patience(world, &scope.backend))
            .map(|(proved, patience)| proved + patience)
            .filter(|until| patiently && heals && now < *until);
        let Some(until) = borne_until else {
            return Standing::Troubled {
                why: words(&scope.backend, trouble),
                backend: scope.backend.clone(),
                says_none: trouble.kind == ErrorKind::NotFound,
            };
        };
        doubted_at = Some(doubted_at.map_or(until, |known| known.min(until)));
    }
    let silent = asks
        .first
        .iter()
        .find(|scope| of(scope).is_none_or(|state| state.proved_at.is_none()));
    silent.map_or(Standing::Answered { doubted_at }, |scope| {
        Standing::Awaited {
            why: Clean::from(format!("`{}` has not answered yet", scope.backend)),
            backend: scope.backend.clone(),
        }
    })
}

/// Why a rollout that is not in the world is not in it.
pub fn unseen(world: &World, target: &TargetId, now: Timestamp) -> Clean {
    match standing(world, &Asks::rollout(target), false, now) {
        Standing::Awaited { why, .. } | Standing::Troubled { why, .. } => why,
        Standing::Answered { .. } => absent(target),
    }
}

/// The cluster has answered, and there is no such rollout.
pub fn absent(target: &TargetId) -> Clean {
    let kind = match target.kind {
        TargetKind::Rollout => "rollout",
        TargetKind::Deployment => "Deployment",
    };
    Clean::from(format!("`{}` has no {kind} {target}", target.backend))
}

fn words(backend: &BackendId, trouble: &Trouble) -> Clean {
    Clean::from(format!(
        "`{backend}`: {}: {}",
        trouble.kind, trouble.message
    ))
}

/// For how long after its last proof a failing scope is borne with: the time
/// of two looks, as for the backend itself.
fn patience(world: &World, backend: &BackendId) -> Option<chrono::TimeDelta> {
    let spec = world.catalog.backends.get(backend)?;
    chrono::TimeDelta::from_std(spec.cadence * 2).ok()
}

/// Whether the same question may be answered next time: not when it was
/// understood and refused.
fn heals_by_waiting(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Rejected
        | ErrorKind::Configuration
        | ErrorKind::Forbidden
        | ErrorKind::Unauthenticated => false,
        ErrorKind::Unreachable
        | ErrorKind::Timeout
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::RateLimited
        | ErrorKind::Server
        | ErrorKind::Malformed
        | ErrorKind::Ambiguous => true,
    }
}
