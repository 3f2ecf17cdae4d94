//! N of M: which windows count, and what so many bad ones among them mean.
//!
//! A window counts when it lies within the life of the revision that is asked
//! about and saw enough traffic. Windows stand on a grid and do not overlap, so
//! each is evidence of its own, whoever asked and however often.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    domain::{
        Timestamp,
        catalog::MetricSpec,
        measure::{Arm, MetricId, Window},
        policy::{Breaches, GateRule},
        rollout::Rollout,
    },
    engine::{gate::View, lane::Place},
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
    /// Requests to the canary in it, where a query says.
    pub requests: Option<f64>,
}

/// Windows that count, and how wide they are.
#[derive(Clone, Debug)]
pub struct Windowed {
    /// How much time each covers.
    pub width: Duration,
    /// Those that count, oldest first.
    pub windows: Vec<Measured>,
    /// The revision was taken back: no more will come.
    pub is_past: bool,
}

/// The windows that count among the last `breaches.of`.
pub(super) fn measured(
    rule: &GateRule,
    breaches: Breaches,
    spec: &MetricSpec,
    arm: Arm,
    view: &View<'_>,
) -> Windowed {
    let last = last(breaches);
    let known = known(&spec.id, view);
    let newest = known
        .get(known.len().saturating_sub(last)..)
        .unwrap_or_default();
    Windowed {
        width: spec.window,
        windows: counting(rule, newest, spec, arm, view),
        is_past: false,
    }
}

/// The last windows that counted of a canary that was taken back: those in
/// which nobody was on it any more say nothing.
pub(super) fn of_its_life(
    rule: &GateRule,
    breaches: Breaches,
    spec: &MetricSpec,
    view: &View<'_>,
) -> Windowed {
    let all = known(&spec.id, view);
    let mut windows = counting(rule, all, spec, Arm::Canary, view);
    windows.drain(..windows.len().saturating_sub(last(breaches)));
    Windowed {
        width: spec.window,
        windows,
        is_past: true,
    }
}

fn last(breaches: Breaches) -> usize {
    usize::try_from(breaches.of).unwrap_or(usize::MAX)
}

fn known<'a>(id: &MetricId, view: &View<'a>) -> &'a [Window] {
    let known = view.world.windows.get(id);
    known.map_or(&[], |known| &known.value.windows)
}

fn counting(
    rule: &GateRule,
    windows: &[Window],
    spec: &MetricSpec,
    arm: Arm,
    view: &View<'_>,
) -> Vec<Measured> {
    let width = view.world.windows.get(&spec.id).map(|known| known.width);
    let width = width.and_then(|width| chrono::TimeDelta::from_std(width).ok());
    let (Some(since), Some(width)) = (since(arm, view), width) else {
        return Vec::new();
    };
    let counts = windows.iter().filter_map(|window| {
        let value = window.value(arm)?;
        let busy = rule
            .min_traffic
            .is_none_or(|needed| window.traffic.is_some_and(|requests| needed <= requests));
        let own = since <= window.ends_at - width;
        (busy && own).then_some(Measured {
            ends_at: window.ends_at,
            value,
            stable: window.stable.filter(|_| arm == Arm::Canary),
            requests: window.traffic,
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
        let since = completed(rollout).or(rollout.changed_at);
        return Some(since.map_or(own, |since| since.max(own)));
    }
    let seen = view
        .world
        .wanted_since
        .get(target)
        .filter(|(wanted, _)| wanted == hash)
        .map(|(_, at)| *at);
    began(view).max(seen)
}

/// Since when the revision asked about is tried, as the object says: not before
/// it was made, nor before an earlier attempt at it was aborted.
pub(super) fn began(view: &View<'_>) -> Option<Timestamp> {
    let rollout = &view.world.rollouts.get(&view.place.target)?.value;
    let hash = view.shown_hash(rollout)?;
    let own = rollout.revision(hash)?.created_at?;
    // One that came back is younger than those made since it was first tried.
    let others = rollout
        .revisions
        .iter()
        .filter(|revision| revision.hash != *hash)
        .filter_map(|revision| revision.created_at);
    // Cut to whole seconds, as all its stamps.
    let aborted = view
        .world
        .aborted_before(rollout, hash)
        .map(|at| at + TimeDelta::seconds(1));
    others.chain(aborted).chain([own]).max()
}

/// Since when users are on the live revision: as the object says, else as it
/// was seen here to take over from another.
pub(super) fn took_over(view: &View<'_>) -> Option<Timestamp> {
    let target = &view.place.target;
    let rollout = &view.world.rollouts.get(target)?.value;
    if view.lane.place != Place::Live {
        return None;
    }
    let seen = || {
        let [.., _, last] = view.world.held_full.get(target)?.as_slice() else {
            return None;
        };
        (view.shown_hash(rollout) == Some(&last.hash)).then_some(last.from)
    };
    completed(rollout).or_else(seen)
}

/// When an update was through, for certain: its stamp is cut to whole seconds.
fn completed(rollout: &Rollout) -> Option<Timestamp> {
    Some(rollout.completed_at? + TimeDelta::seconds(1))
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
