//! One service in one environment: what is live there and what is on its way.

mod approvals;
mod place;
mod waits;

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    domain::{
        Timestamp,
        catalog::{PlaceSpec, ServiceSpec},
        id::{EnvironmentName, ReleaseId, ServiceName, TargetId},
        quantity::Weight,
        rollout::Rollout,
        text::Clean,
    },
    engine::{
        back,
        correlate::release_of_revision,
        release::Release,
        standing::unseen,
        world::{LaneId, World},
    },
};

use approvals::approval_for;
use place::{in_environment, in_pipeline, is_under_way};
use waits::{since, waits_for};

pub use approvals::{approvals_for, stands_before};
pub use place::Place;
pub use waits::WaitsFor;

/// One row of the fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// Whether a mistake here hurts users.
    pub critical: bool,
    /// The object that moves it.
    pub target: TargetId,
    /// The release users are on, if it could be told.
    pub live: Option<ReleaseId>,
    /// The release on its way; `None` when nothing is.
    pub candidate: Option<ReleaseId>,
    /// The release users were taken back from to the live one.
    pub rolled_back: Option<ReleaseId>,
    /// What people call the release a roll back from the live one was to lead
    /// to, before it was aborted.
    pub back_aborted: Option<Clean>,
    /// Where the shown release stands.
    pub place: Place,
    /// Who or what it waits for.
    pub waits_for: WaitsFor,
    /// Since when it has stood there, as far as is known.
    pub since: Option<Timestamp>,
}

impl Lane {
    /// The release a person means when pointing at this row.
    pub fn release(&self) -> Option<&ReleaseId> {
        self.candidate.as_ref().or(self.live.as_ref())
    }

    /// The share of users on the shown release, given that of the revision that
    /// is wanted: they are different ones where users are taken from stable.
    pub fn share(&self, of_wanted: Weight) -> Weight {
        let leaves_stable = matches!(self.place, Place::RollingBack { .. })
            || (self.place == Place::Live && self.back_aborted.is_some());
        if leaves_stable {
            of_wanted.rest()
        } else {
            of_wanted
        }
    }
}

/// Recomputes the rows of one service.
pub fn place(world: &mut World, service: &ServiceSpec, now: Timestamp) {
    for spec in &service.places {
        let id: LaneId = (service.name.clone(), spec.environment.clone());
        let lane = row(world, service, spec, now);
        if world.lanes.get(&id) != Some(&lane) {
            world.lanes.insert(id, lane);
        }
    }
}

fn row(world: &World, service: &ServiceSpec, spec: &PlaceSpec, now: Timestamp) -> Lane {
    let rollout = world.rollouts.get(&spec.target);
    let of = |hash: Option<&Clean>| {
        rollout
            .zip(hash)
            .and_then(|(rollout, hash)| release_of_revision(world, service, rollout, hash))
            .map(Arc::clone)
    };
    let live = of(rollout.and_then(|rollout| rollout.stable_hash.as_ref()));
    let wanted = of(rollout.and_then(|rollout| rollout.current_hash.as_ref()));
    let back = rollout.and_then(|rollout| back::under_way(world, service, spec, rollout));
    // On the way back the row is about what users are taken from.
    let under_way = rollout.is_some_and(is_under_way) && back.is_none();
    let rolling = wanted.clone().filter(|_| under_way);
    let taken_back = rollout.is_some_and(|rollout| rollout.aborted.is_some());
    let left = of(rollout
        .and_then(|rollout| rollout.left())
        .map(|left| &left.hash));
    // What users were taken back from was newer, and so is what comes after it.
    let newest_known = rolling
        .as_ref()
        .or(live.as_ref())
        .and_then(|release| release.created_at)
        .max(left.as_ref().and_then(|release| release.created_at));
    let tried = rollout.map_or_else(BTreeSet::new, |rollout| tried(world, service, rollout));
    let coming = coming(world, service, newest_known, |release| {
        !tried.contains(&release.id) || approval_for(world, service, release, spec).is_some()
    });
    let candidate = match (&rolling, coming) {
        (Some(rolling), None) => Some(Arc::clone(rolling)),
        // What is rolling out is what people must watch; only once it was
        // taken back does the next one matter more.
        (Some(rolling), Some(_)) if !taken_back => Some(Arc::clone(rolling)),
        (None, _) if back.is_some_and(|back| !back.aborted) => None,
        (_, coming) => coming,
    };
    let in_rollout = candidate.as_ref().map(|release| &release.id)
        == rolling.as_ref().map(|release| &release.id);
    let nowhere = || Place::Unknown {
        why: unseen(world, &spec.target, now),
    };
    let place = match (&candidate, rollout) {
        (Some(release), seen) if !in_rollout => {
            match in_pipeline(world, service, release, spec) {
                // Whether it is only built cannot be told without the rollout.
                Place::Built if seen.is_none() => nowhere(),
                place => place,
            }
        }
        (_, Some(rollout)) => match back {
            Some(back) if !back.aborted => Place::RollingBack {
                to: back::name_of(world, service, rollout, back.to),
                done: back.done,
                held: rollout.held,
            },
            Some(_) => Place::Live,
            None => in_environment(rollout, under_way),
        },
        (_, None) => nowhere(),
    };
    let since = since(
        world,
        candidate.as_deref(),
        rollout.map(|known| &*known.value),
        &place,
    );
    let back_aborted = rollout
        .zip(back.filter(|back| back.aborted))
        .map(|(rollout, back)| back::name_of(world, service, rollout, back.to));
    let waits_for = match (&place, &back_aborted) {
        // Half done: the spec wants one release, and users are on another.
        (Place::Live, Some(to)) => WaitsFor::Person {
            what: Clean::from(format!("roll back to {to}, or change the spec")),
            you: None,
        },
        _ => waits_for(world, candidate.as_deref(), &place),
    };
    Lane {
        service: service.name.clone(),
        environment: spec.environment.clone(),
        critical: world
            .catalog
            .environments
            .get(&spec.environment)
            .is_some_and(|environment| environment.critical),
        target: spec.target.clone(),
        live: live.map(|release| release.id.clone()),
        waits_for,
        candidate: candidate.map(|release| release.id.clone()),
        rolled_back: left
            .filter(|_| !under_way && back.is_none())
            .map(|release| release.id.clone()),
        back_aborted,
        place,
        since,
    }
}

/// The lane as it would be if it showed what else can be acted on: the release
/// in its rollout, and on a way back the one users are taken from.
pub(super) fn beside(
    world: &World,
    service: &ServiceSpec,
    spec: &PlaceSpec,
    shown: &Lane,
) -> Vec<Lane> {
    let Some(rollout) = world.rollouts.get(&spec.target) else {
        return Vec::new();
    };
    let of = |hash: &Clean| release_of_revision(world, service, rollout, hash);
    let carried = rollout.current_hash.as_ref().and_then(of);
    let carried = carried.map(|release| Lane {
        candidate: Some(release.id.clone()),
        place: in_environment(rollout, is_under_way(rollout)),
        ..shown.clone()
    });
    let back = back::under_way(world, service, spec, rollout);
    let left = back.and_then(|back| of(&back.from.hash));
    let left = left.map(|release| Lane {
        candidate: None,
        live: Some(release.id.clone()),
        place: Place::Live,
        ..shown.clone()
    });
    let lanes = carried.into_iter().chain(left);
    lanes
        .filter(|lane| lane.release() != shown.release())
        .collect()
}

/// Releases this rollout has had: live, rolling out, or left behind. One that
/// was rolled back is not on its way any more.
fn tried(world: &World, service: &ServiceSpec, rollout: &Rollout) -> BTreeSet<ReleaseId> {
    rollout
        .revisions
        .iter()
        .filter_map(|revision| release_of_revision(world, service, rollout, &revision.hash))
        .map(|release| release.id.clone())
        .collect()
}

/// The newest release with a run that is `eligible`, if it is newer than what is
/// known of the environment.
fn coming(
    world: &World,
    service: &ServiceSpec,
    newest_known: Option<Timestamp>,
    eligible: impl Fn(&Release) -> bool,
) -> Option<Arc<Release>> {
    world
        .releases_of(&service.name)
        .filter(|release| release.run.value().is_some())
        .filter(|release| {
            newest_known.is_none_or(|known| release.created_at.is_some_and(|at| known < at))
        })
        .filter(|release| eligible(release))
        .max_by_key(|release| release.created_at)
        .cloned()
}
