//! Whatever order the same answers are heard in, and however often, the same is
//! believed in the end: what arrived last in truth is what counts, and not what
//! was folded last.
//!
//! The network is one in which anything may happen to a release within the time
//! of a dozen answers: runs come and go from their list, an alias moves, a
//! rollout goes on, is deleted and made anew, questions fail and are answered,
//! lists repeat an older truth than a watch has told. What is expected is the
//! world of the same answers in the order of their stamps.
//!
//! Some things may differ. A release keeps the name it was first known by, so
//! names are compared only where nothing was concluded before everything was
//! heard. Since when a value is the same, since when a question fails, since when
//! a revision is wanted, and what was at 100 % for how long is known less exactly
//! where answers came late; of the third it is asked that it is never too early.

mod network;

use std::sync::Arc;

use gonogo::{
    domain::{observation::Observation, verdict::Finding},
    engine::{
        reduce::{reduce, settle},
        release::{Anchor, Release},
        world::{Known, Table, World},
    },
};
use proptest::prelude::*;

use self::network::{Heard, NOW, Past, arrives, session, stamped};
use crate::support::build::{accuracy_gate, at, catalog, latency_gate, target};

/// The world after these, concluded after each or only once.
fn folded<'a>(heard: impl Iterator<Item = &'a Observation>, each: bool) -> World {
    let mut world = World::default();
    let gates = catalog(vec![latency_gate(250.0), accuracy_gate(0.9)]);
    reduce(&mut world, &Observation::Catalog(Arc::new(gates)));
    for observation in heard {
        reduce(&mut world, observation);
        if each {
            settle(&mut world, at(NOW));
        }
    }
    settle(&mut world, at(NOW));
    world
}

/// What is believed of the things in a table, how fresh it is and who told it.
/// Of a thing with a version counter any of several equal words may be kept.
fn table<K: std::fmt::Debug, V: std::fmt::Debug>(of: &Table<K, V>, counted: bool) -> String {
    let row = |(key, known): (&K, &Known<V>)| {
        let Known {
            value,
            scope,
            basis,
            at,
            ..
        } = known;
        let basis = (!counted).then_some(basis);
        format!("{key:?} {at} {basis:?} {scope:?} {value:?}\n")
    };
    of.iter().map(row).collect()
}

/// Everything that is believed, line by line; with the names of releases or
/// with what they stand for.
fn believed(world: &World, named: bool) -> Vec<String> {
    let World {
        runs,
        jobs,
        approvals,
        models,
        versions,
        model_runs,
        rollouts,
        measures,
        ..
    } = world;
    let mut lines = vec![
        table(runs, false),
        table(jobs, false),
        table(approvals, false),
        table(models, false),
        table(versions, false),
        table(model_runs, false),
        table(rollouts, true),
        table(measures, false),
        format!("{:?}", world.permits),
        format!("{:?}", world.identities),
    ];
    for (scope, state) in world.scopes.iter() {
        let trouble = state.trouble.as_ref();
        let trouble = trouble.map(|trouble| (trouble.kind, &trouble.message, trouble.last));
        let (proved, asked) = (state.proved_at, state.asked_at);
        lines.push(format!("{scope:?} {proved:?} {asked:?} {trouble:?}"));
    }
    for (id, state) in &world.backends {
        let trouble = state.trouble.as_ref();
        let trouble = trouble.map(|trouble| (trouble.kind, &trouble.message, trouble.last));
        let (budget, server) = (&state.budget, &state.server);
        let liveness = [NOW - 50, NOW, NOW + 40].map(|when| world.liveness(id, at(when)));
        lines.push(format!(
            "{id} {:?} {trouble:?} {budget:?} {server:?} {liveness:?}",
            state.answered_at
        ));
    }
    let mut releases: Vec<String> = world
        .releases
        .values()
        .map(|release| {
            let mut release = Release::clone(release);
            if !named {
                release.id = gonogo::domain::id::ReleaseId::new("");
            }
            format!("{release:?}")
        })
        .collect();
    releases.sort();
    lines.extend(releases);
    for lane in world.lanes.values() {
        let release = lane.release().and_then(|id| world.release(id));
        let label = release.map(|release| &release.label);
        lines.push(format!("{label:?} {:?} {:?}", lane.place, lane.waits_for));
    }
    let mut decisions: Vec<String> = world
        .decisions
        .iter()
        .map(|((release, environment), decision)| {
            let label = world.release(release).map(|release| &release.label);
            // Calm facts are not judged again each time they are fetched.
            let findings = decision.findings.iter().cloned().map(|finding| Finding {
                fetched_at: None,
                ..finding
            });
            let findings: Vec<Finding> = findings.collect();
            format!("{label:?} {environment} {:?} {findings:?}", decision.word)
        })
        .collect();
    decisions.sort();
    lines.extend(decisions);
    lines
}

/// What was seen at 100 % is in its order, and ends with what is so now.
fn history_is_in_order(world: &World) -> Result<(), TestCaseError> {
    let held = world.held_full.get(&target()).cloned().unwrap_or_default();
    for full in &held {
        prop_assert!(full.from <= full.until, "{:?}", held);
    }
    for pair in held.windows(2) {
        prop_assert!(pair[0].until <= pair[1].from, "{:?}", held);
    }
    if let Some(now) = world.rollouts.get(&target())
        && now.is_fully_promoted()
    {
        prop_assert_eq!(
            held.last().map(|full| &full.hash),
            now.current_hash.as_ref()
        );
    }
    Ok(())
}

/// What was measured while the rollout wanted something else, or before it was
/// tried again, is no evidence about what it wants now: since when it has wanted
/// that is later than the last word that told otherwise, whenever that was heard.
fn no_older_evidence_counts(
    world: &World,
    heard: &[Heard],
    past: &Past,
) -> Result<(), TestCaseError> {
    let told = heard.iter().enumerate();
    let shown: Vec<usize> = told
        .filter_map(|(index, heard)| past.shown(heard, index))
        .collect();
    let Some(newest) = shown.iter().max().filter(|_| past.remade.is_empty()) else {
        return Ok(());
    };
    let now = past.rollout(*newest);
    let differs = |index: &&usize| {
        let then = past.rollout(**index);
        let was_aborted = then.aborted.is_some() && now.aborted.is_none();
        then.current_hash != now.current_hash || was_aborted
    };
    if let Some(last) = shown.iter().filter(differs).max() {
        let since = world.wanted_since.get(&target());
        prop_assert_eq!(since.map(|(hash, _)| hash), now.current_hash.as_ref());
        let at_last = at(arrives(*last));
        prop_assert!(
            since.is_some_and(|(_, since)| at_last < *since),
            "{:?}",
            since
        );
    }
    Ok(())
}

/// Every part of a release leads to it, under whatever name.
fn parts_lead_home(world: &World) -> Result<(), TestCaseError> {
    for release in world.releases.values() {
        let commit = release.commit.value().cloned().map(Anchor::Commit);
        let image = release.image.value().cloned().map(Anchor::Image);
        let version = release.version.value().copied().map(Anchor::Version);
        for part in [commit, image, version].into_iter().flatten() {
            let id = world.minted.get(&(release.service.clone(), part.clone()));
            let home = id.and_then(|id| world.release(id));
            prop_assert_eq!(home, Some(release), "{:?}", part);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_answers_and_their_repetition_do_not_matter((heard, turns, order) in session(), each in any::<bool>()) {
        let past = Past::of(&heard, turns);
        let told: Vec<Observation> = heard
            .iter()
            .enumerate()
            .map(|(index, heard)| stamped(heard, index, &past))
            .collect();
        let straight = folded(told.iter(), each);
        let shuffled = folded(order.iter().map(|index| &told[*index]), each);
        let expected = believed(&straight, !each);
        for (is, should) in believed(&shuffled, !each).iter().zip(&expected) {
            prop_assert_eq!(is, should);
        }
        prop_assert_eq!(believed(&shuffled, !each).len(), expected.len());
        parts_lead_home(&shuffled)?;
        history_is_in_order(&shuffled)?;
        no_older_evidence_counts(&shuffled, &heard, &past)?;
    }
}
