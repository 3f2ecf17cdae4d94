//! N of M: which windows count, and what so many bad ones among them mean.
//!
//! A window counts when it lies within the life of the revision that is asked
//! about and saw enough traffic. Windows stand on a grid and do not overlap, so
//! each is evidence of its own, whoever asked and however often.

use std::time::Duration;

use crate::{
    domain::{
        Timestamp,
        catalog::MetricSpec,
        measure::{Arm, MetricId},
        policy::{Breaches, GateRule},
    },
    engine::gate::View,
};

/// One window that counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Its end.
    pub ends_at: Timestamp,
    /// What was measured.
    pub value: f64,
    /// What the revision users are on measured in the same window.
    pub stable: Option<f64>,
}

/// Windows that count, and how wide they are.
#[derive(Clone, Debug)]
pub struct Windowed {
    /// How much time each covers.
    pub width: Duration,
    /// Those that count, oldest first.
    pub windows: Vec<Measured>,
}

/// The windows that count among the last `breaches.of`.
pub(super) fn measured(
    rule: &GateRule,
    breaches: Breaches,
    spec: &MetricSpec,
    arm: Arm,
    view: &View<'_>,
) -> Windowed {
    Windowed {
        width: spec.window,
        windows: counting(rule, breaches, &spec.id, arm, view),
    }
}

fn counting(
    rule: &GateRule,
    breaches: Breaches,
    id: &MetricId,
    arm: Arm,
    view: &View<'_>,
) -> Vec<Measured> {
    let Some(known) = view.world.windows.get(id) else {
        return Vec::new();
    };
    let (Some(since), Ok(width)) = (since(arm, view), chrono::TimeDelta::from_std(known.width))
    else {
        return Vec::new();
    };
    let most = usize::try_from(breaches.of).unwrap_or(usize::MAX);
    let last = known.windows.len().saturating_sub(most);
    let counts = known.windows.iter().skip(last).filter_map(|window| {
        let value = match arm {
            Arm::Stable => window.stable?,
            Arm::Canary | Arm::Traffic => window.canary?,
        };
        let busy = rule
            .min_traffic
            .is_none_or(|needed| window.traffic.is_some_and(|requests| needed <= requests));
        let own = since <= window.ends_at - width;
        (busy && own).then_some(Measured {
            ends_at: window.ends_at,
            value,
            stable: window.stable.filter(|_| arm == Arm::Canary),
        })
    });
    counts.collect()
}

/// Since when what an arm measures is the revision asked about.
fn since(arm: Arm, view: &View<'_>) -> Option<Timestamp> {
    let target = &view.place.target;
    let rollout = &view.world.rollouts.get(target)?.value;
    let hash = view.shown_hash(rollout)?;
    let own = rollout
        .revisions
        .iter()
        .find(|revision| revision.hash == *hash)?
        .created_at?;
    if arm == Arm::Stable && view.lane.place.is_of_stable() {
        if !rollout.is_fully_promoted() {
            // What users are taken from: the status changes with every pod that
            // goes, and what was measured before counts on.
            let held = view.world.held_full.get(target);
            let full = held
                .into_iter()
                .flatten()
                .rev()
                .find(|full| full.hash == *hash);
            return full.map(|full| full.from.max(own)).or(Some(own));
        }
        return Some(rollout.changed_at.map_or(own, |changed| changed.max(own)));
    }
    // A revision that came back is younger than those made since it was first tried.
    let others = rollout
        .revisions
        .iter()
        .filter(|revision| revision.hash != *hash)
        .filter_map(|revision| revision.created_at);
    let seen = view
        .world
        .wanted_since
        .get(target)
        .filter(|(wanted, _)| wanted == hash)
        .map(|(_, at)| *at);
    others.chain(seen).chain([own]).max()
}

/// What the windows say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Bad in as many as it takes.
    Bad(usize),
    /// Those not measured yet may still make it bad.
    Open,
    /// It cannot become bad any more; so many are.
    Good(usize),
}

/// Counts the bad ones, in whatever order they came.
pub(super) fn count<W>(breaches: Breaches, windows: &[W], is_bad: impl Fn(&W) -> bool) -> Count {
    let bad = windows.iter().filter(|window| is_bad(window)).count();
    let all = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let open = all(breaches.of).saturating_sub(windows.len());
    if all(breaches.at_least) <= bad {
        Count::Bad(bad)
    } else if all(breaches.at_least) <= bad + open {
        Count::Open
    } else {
        Count::Good(bad)
    }
}
