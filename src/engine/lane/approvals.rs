//! Which of the gates a backend holds a run at stand before an environment.

use crate::{
    domain::{
        approval::PendingApproval,
        catalog::{PlaceSpec, ServiceSpec},
        id::EnvironmentName,
    },
    engine::{
        release::Release,
        world::{Known, World},
    },
};

/// The waiting gates that stand before this environment: those named like it,
/// else those named like no environment of the service, which stand before all.
pub fn approvals_for<'a>(
    world: &'a World,
    service: &ServiceSpec,
    release: &Release,
    environment: &EnvironmentName,
) -> Vec<&'a Known<PendingApproval>> {
    let waiting = release
        .run
        .value()
        .map(|run| world.approvals_of(run))
        .unwrap_or_default();
    let of = |approval: &PendingApproval| place_named(service, &approval.environment);
    let own: Vec<_> = waiting
        .iter()
        .copied()
        .filter(|approval| of(approval) == Some(environment))
        .collect();
    if !own.is_empty() {
        return own;
    }
    waiting
        .into_iter()
        .filter(|approval| of(approval).is_none())
        .collect()
}

/// Whether a gate of this name stands before an environment.
pub fn stands_before(service: &ServiceSpec, name: &str, environment: &EnvironmentName) -> bool {
    place_named(service, name).is_none_or(|place| place == environment)
}

/// The service's environment that a backend's name means: the one that is
/// called so, else the only one that has the name in it or is part of it.
fn place_named<'a>(service: &'a ServiceSpec, name: &str) -> Option<&'a EnvironmentName> {
    let mut places = service.places.iter().map(|place| &place.environment);
    if let Some(exact) = places.clone().find(|place| place.as_str() == name) {
        return Some(exact);
    }
    let mut like = places
        .by_ref()
        .filter(|place| name.contains(place.as_str()) || place.as_str().contains(name));
    let first = like.next()?;
    like.next().is_none().then_some(first)
}

pub(super) fn approval_for<'a>(
    world: &'a World,
    service: &ServiceSpec,
    release: &Release,
    spec: &PlaceSpec,
) -> Option<&'a Known<PendingApproval>> {
    approvals_for(world, service, release, &spec.environment)
        .first()
        .copied()
}
