//! On the way back: an earlier revision is wanted again, and users are not
//! fully on it yet. Whoever undid the spec, by whatever tool, it looks the same.

use crate::{
    domain::{
        catalog::{PlaceSpec, ServiceSpec},
        quantity::Weight,
        rollout::{Revision, Rollout},
        text::Clean,
        verdict::Decision,
    },
    engine::{correlate::release_of_revision, world::World},
};

/// A way back that is not through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Back<'a> {
    /// The revision users are taken from; it stays stable until all are off.
    pub from: &'a Revision,
    /// The earlier one they are taken to.
    pub to: &'a Revision,
    /// The share that is on the earlier one by now.
    pub done: Weight,
    /// It was aborted: users stay, or go back, where they were taken from.
    pub aborted: bool,
}

impl Back<'_> {
    /// The share that is still where it is to be taken from.
    pub fn left(&self) -> Weight {
        self.done.rest()
    }
}

/// The way back a rollout is on. A canary of an earlier revision that takes its
/// steps is one only where users are known to be on something bad: else stable
/// is the good one, and what is tried is tried like anything new.
pub fn under_way<'a>(
    world: &World,
    service: &ServiceSpec,
    place: &PlaceSpec,
    rollout: &'a Rollout,
) -> Option<Back<'a>> {
    let (from, to) = (rollout.stable()?, rollout.current()?);
    let aborted = rollout.aborted.is_some();
    if from.hash == to.hash || !is_earlier(to, from) {
        return None;
    }
    let meant = aborted || rollout.moves_at_once() || {
        let decision = decision_of(world, service, place, rollout, from);
        decision.is_some_and(Decision::refutes)
    };
    meant.then_some(Back {
        from,
        to,
        done: rollout.weight_actual,
        aborted,
    })
}

/// Whether a revision was first made before another. Its number moves when it
/// is gone back to, its first number does not.
fn is_earlier(one: &Revision, other: &Revision) -> bool {
    let first = |of: &Revision| of.earlier.first().copied().unwrap_or(of.number);
    first(one) < first(other)
}

/// The last decision about what a revision carries, in the place.
pub fn decision_of<'a>(
    world: &'a World,
    service: &ServiceSpec,
    place: &PlaceSpec,
    rollout: &Rollout,
    revision: &Revision,
) -> Option<&'a Decision> {
    let release = release_of_revision(world, service, rollout, &revision.hash)?;
    world
        .decision(&release.id, &place.environment)
        .map(AsRef::as_ref)
}

/// What people call what a revision carries: the release, else its image.
pub fn name_of(
    world: &World,
    service: &ServiceSpec,
    rollout: &Rollout,
    revision: &Revision,
) -> Clean {
    release_of_revision(world, service, rollout, &revision.hash)
        .map_or_else(|| revision.name(), |release| release.label.clone())
}
