//! What is not there any more: left out of a complete answer, or said to be gone.

use std::{collections::BTreeSet, sync::Arc};

use chrono::TimeDelta;

use crate::{
    domain::{
        Timestamp,
        action::Subject,
        id::RunId,
        observation::{Batch, Key, Scope},
    },
    engine::{
        reduce::{touch, touch_measured},
        shared::SharedMap,
        world::{Table, Told, World},
    },
};

/// How long the parts of a run are kept after it. No answer is on its way for so
/// long, so by then it makes no difference any more in which order they came; and
/// a run that one list left out may be in the next.
const PARTS_KEPT: TimeDelta = TimeDelta::minutes(10);

/// What a complete answer left out of its scope.
pub(super) fn omitted(world: &World, scope: &Scope, present: &BTreeSet<Key>) -> Vec<Key> {
    world
        .told_by(scope)
        .filter(|key| !present.contains(key))
        .cloned()
        .collect()
}

/// Takes back what is known to be gone `at` an instant, unless something newer is known.
pub(super) fn remove(world: &mut World, key: &Key, at: Timestamp) {
    fn take<K: Clone + Ord, V>(
        (table, told): (&mut Table<K, V>, &mut Told),
        id: &K,
        key: &Key,
        at: Timestamp,
    ) -> bool {
        let scope = match table.get(id) {
            Some(known) if known.at <= at => known.scope.clone(),
            Some(_) | None => return false,
        };
        told.remove(&(scope, key.clone()));
        table.remove(id).is_some()
    }
    let concerns = Arc::clone(&world.concerns);
    let told = &mut world.told;
    match key {
        Key::Run(id) => {
            let gone = take((&mut world.runs, told), id, key, at);
            if gone {
                world.forgotten.insert(id.clone(), at);
            }
            touch(world, gone, concerns.run(id));
        }
        Key::Job(id) => {
            let gone = take((&mut world.jobs, told), id, key, at);
            touch(world, gone, concerns.run(&id.run));
        }
        Key::Approval(id) => {
            let gone = take((&mut world.approvals, told), id, key, at);
            touch(world, gone, concerns.run(&id.run));
        }
        Key::Model(id) => {
            let gone = take((&mut world.models, told), id, key, at);
            touch(world, gone, concerns.model(id));
        }
        Key::Version(model, version) => {
            let id = (model.clone(), *version);
            let gone = take((&mut world.versions, told), &id, key, at);
            touch(world, gone, concerns.model(model));
        }
        Key::ModelRun(model, version) => {
            let id = (model.clone(), *version);
            let gone = take((&mut world.model_runs, told), &id, key, at);
            touch(world, gone, concerns.model(model));
        }
        Key::Rollout(id) => {
            let gone = take((&mut world.rollouts, told), id, key, at);
            touch(world, gone, concerns.target(id));
        }
        Key::Measure(metric, arm) => {
            let id = (metric.clone(), *arm);
            let gone = take((&mut world.measures, told), &id, key, at);
            touch_measured(world, gone, metric);
        }
        Key::Series(metric, arm) => {
            let id = (metric.clone(), *arm);
            take((&mut world.series, told), &id, key, at);
        }
        Key::Windows(metric) => {
            let gone = take((&mut world.windows, told), metric, key, at);
            touch_measured(world, gone, metric);
        }
    }
}

/// Takes back what a late answer has brought up once more, if by then (`since`)
/// it was known to be gone. What an answer of that very instant named has stayed.
pub(super) fn take_back(world: &mut World, batch: &Batch, key: &Key, since: Option<Timestamp>) {
    let Some(since) = since.filter(|since| batch.at < *since) else {
        return;
    };
    let brought = (batch.scope.clone(), key.clone());
    if world.told.contains_key(&brought) {
        remove(world, key, since - TimeDelta::nanoseconds(1));
    }
}

/// Lets go of the parts of runs that have been gone for long.
pub(super) fn forget_runs(world: &mut World, now: Timestamp) {
    let gone = world.forgotten.iter();
    let over: Vec<RunId> = gone
        .filter(|(_, since)| PARTS_KEPT <= now - **since)
        .map(|(run, _)| run.clone())
        .collect();
    for run in over {
        world.forgotten.remove(&run);
        if !world.runs.contains_key(&run) {
            forget_parts(world, &run, now);
        }
    }
}

fn forget_parts(world: &mut World, run: &RunId, now: Timestamp) {
    let jobs = world.jobs.from_where(&|id| id.run < *run);
    let jobs = jobs.map(|(id, _)| id).take_while(|id| id.run == *run);
    let waiting = world.approvals.from_where(&|id| id.run < *run);
    let waiting = waiting.map(|(id, _)| id).take_while(|id| id.run == *run);
    let keys: Vec<Key> = jobs
        .cloned()
        .map(Key::Job)
        .chain(waiting.cloned().map(Key::Approval))
        .collect();
    for key in keys {
        remove(world, &key, now);
    }
    retain(&mut world.reviews, |id| id.run != *run);
    retain(&mut world.permits, |(subject, _)| match subject {
        Subject::Run(id) => id != run,
        Subject::Approval(id) => id.run != *run,
        Subject::Rollout(_) | Subject::Pipeline(_) | Subject::Model(_) => true,
    });
    // Trouble ends by an answer, which whoever asks sees to.
    let troubled = &world.troubled;
    retain(&mut world.scopes, |scope| {
        !scope.is_of_run(run) || troubled.contains_key(scope)
    });
    world.gone.remove(&Key::Run(run.clone()));
}

fn retain<K: Clone + Ord, V: Clone>(of: &mut SharedMap<K, V>, stays: impl Fn(&K) -> bool) {
    let over: Vec<K> = of.keys().filter(|key| !stays(key)).cloned().collect();
    for key in over {
        of.remove(&key);
    }
}
