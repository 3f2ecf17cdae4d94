//! Folds one observation into the world.
//!
//! Old answers never overwrite newer ones nor bring back what those left out, a
//! complete answer removes what it omits in its own scope, and folding the same
//! observation twice changes nothing: in which order answers are folded is of no
//! account, only when they arrived. What follows from the facts (releases, lanes,
//! decisions) is not made here but in [`settle`].

mod gone;
mod plans;
mod rollouts;
mod trouble;

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    domain::{
        Timestamp,
        catalog::Catalog,
        id::ServiceName,
        measure::{Arm, Measure, MetricId},
        observation::{Basis, Batch, Fact, Key, Observation, Scope},
        permit::Permit,
    },
    engine::{
        concern::Concerns,
        correlate, decision, lane,
        reduce::{
            gone::{forget_runs, omitted, remove, take_back},
            plans::take_plan,
            rollouts::take_rollout,
            trouble::{heal, take_failure, touch_backend},
        },
        world::{DecisionId, Known, Message, MessageWeight, Table, Told, World},
    },
};

/// Folds `observation` into `world`. Call [`settle`] after a batch of them.
pub fn reduce(world: &mut World, observation: &Observation) {
    match observation {
        Observation::Catalog(catalog) => take_catalog(world, catalog),
        Observation::Batch(batch) => take_batch(world, batch),
        Observation::Failure(failure) => take_failure(world, failure),
        Observation::Plan(event) => take_plan(world, event),
        Observation::Note { at, text } => world.say(Message {
            at: *at,
            weight: MessageWeight::Warning,
            about: "gonogo".into(),
            text: text.clone(),
        }),
    }
}

/// Draws conclusions for every service whose facts changed: releases, lanes,
/// decisions. Returns the next instant at which age alone changes a verdict.
pub fn settle(world: &mut World, now: Timestamp) -> Option<Timestamp> {
    forget_runs(world, now);
    let due: Vec<DecisionId> = world
        .falls_due
        .keys()
        .take_while(|(at, _)| *at <= now)
        .map(|(_, decision)| decision.clone())
        .collect();
    for id in due {
        // Judged anew, it says itself when it falls due next.
        decision::forget_due(world, &id);
        let service = world.release(&id.0).map(|release| release.service.clone());
        world.dirty.extend(service);
    }
    for service in std::mem::take(&mut world.dirty) {
        let Some(spec) = world.catalog.services.get(&service).cloned() else {
            continue;
        };
        correlate::correlate(world, &spec);
        lane::place(world, &spec, now);
        decision::judge_service(world, &spec, now);
    }
    let mut to_come = world.falls_due.keys().map(|(at, _)| *at);
    to_come.find(|at| now < *at)
}

fn take_catalog(world: &mut World, catalog: &Arc<Catalog>) {
    world.dirty.extend(catalog.services.keys().cloned());
    world.concerns = Arc::new(Concerns::of(catalog));
    world.catalog = Arc::clone(catalog);
}

fn take_batch(world: &mut World, batch: &Batch) {
    let answered_since = world
        .scopes
        .get(&batch.scope)
        .and_then(|scope| scope.complete_at);
    let is_first = heal(world, &batch.scope, batch.basis, batch.at);
    let backend = &batch.scope.backend;
    let mut present = BTreeSet::new();
    for fact in &batch.facts {
        if let Some(key) = take_fact(world, batch, fact) {
            present.insert(key);
        }
    }
    // Facts bring their own services up. What a first answer does not name is
    // news as well: until now it was only not known.
    if is_first && present.is_empty() {
        touch_backend(world, backend, true);
    }
    let concerns = Arc::clone(&world.concerns);
    touch(world, is_first, concerns.around(&batch.scope));
    for key in &batch.gone {
        let gone_at = world.gone.entry(key);
        *gone_at = (*gone_at).max(Some(batch.at));
        remove(world, key, batch.at);
    }
    if batch.complete {
        for key in omitted(world, &batch.scope, &present) {
            remove(world, &key, batch.at);
        }
        let scope = world.scopes.entry(&batch.scope);
        scope.complete_at = scope.complete_at.max(Some(batch.at));
    }
    for key in present {
        let gone_at = world.gone.get(&key).copied().flatten();
        take_back(world, batch, &key, answered_since.max(gone_at));
    }
}

/// Where a belief comes from.
#[derive(Clone, Copy)]
struct Answer<'a> {
    scope: &'a Scope,
    basis: Basis,
    at: Timestamp,
}

impl<'a> Answer<'a> {
    fn of(batch: &'a Batch) -> Self {
        Self {
            scope: &batch.scope,
            basis: batch.basis,
            at: batch.at,
        }
    }
}

/// Puts a belief into a table unless a newer one is there; says whether its value changed.
fn put<K: Clone + Ord, V: PartialEq + Clone>(
    table: &mut Table<K, V>,
    key: K,
    value: &V,
    answer: Answer<'_>,
) -> bool {
    let old = table.get(&key);
    if old.is_some_and(|old| answer.at < old.at) {
        return false;
    }
    let same = old
        .filter(|old| *old.value == *value)
        .map(|old| (Arc::clone(&old.value), old.changed_at));
    let changed = same.is_none();
    let (value, changed_at) = same.unwrap_or_else(|| (Arc::new(value.clone()), answer.at));
    let known = Known {
        value,
        scope: answer.scope.clone(),
        basis: answer.basis,
        at: answer.at,
        changed_at,
    };
    table.insert(key, known);
    changed
}

/// The same, and remembers that this scope told it.
fn tell<K: Clone + Ord, V: PartialEq + Clone>(
    (table, told): (&mut Table<K, V>, &mut Told),
    key: &K,
    name: &Key,
    value: &V,
    answer: Answer<'_>,
) -> bool {
    let before = table.get(key).map(|known| known.scope.clone());
    let changed = put(table, key.clone(), value, answer);
    let after = table.get(key).map(|known| &known.scope);
    if before.as_ref() != after {
        if let Some(before) = before {
            told.remove(&(before, name.clone()));
        }
        told.extend(after.map(|after| ((after.clone(), name.clone()), ())));
    }
    changed
}

/// These are to be concluded about anew, if something changed.
fn touch(world: &mut World, changed: bool, concerned: &[ServiceName]) {
    if changed {
        world.dirty.extend(concerned.iter().cloned());
    }
}

fn take_fact(world: &mut World, batch: &Batch, fact: &Fact) -> Option<Key> {
    let concerns = Arc::clone(&world.concerns);
    let told = &mut world.told;
    let answer = Answer::of(batch);
    match fact {
        Fact::Run(run) => {
            let key = Key::Run(run.id.clone());
            let changed = tell((&mut world.runs, told), &run.id, &key, run, answer);
            touch(world, changed, concerns.pipeline(&run.pipeline));
            Some(key)
        }
        Fact::Job(job) => {
            let key = Key::Job(job.id.clone());
            let changed = tell((&mut world.jobs, told), &job.id, &key, job, answer);
            touch(world, changed, concerns.run(&job.id.run));
            Some(key)
        }
        Fact::Approval(approval) => {
            let key = Key::Approval(approval.id.clone());
            let changed = tell(
                (&mut world.approvals, told),
                &approval.id,
                &key,
                approval,
                answer,
            );
            touch(world, changed, concerns.run(&approval.id.run));
            Some(key)
        }
        Fact::Review(review) => {
            let changed = put(&mut world.reviews, review.id.clone(), review, answer);
            touch(world, changed, concerns.run(&review.id.run));
            None
        }
        Fact::Model(model) => {
            let key = Key::Model(model.id.clone());
            let changed = tell((&mut world.models, told), &model.id, &key, model, answer);
            touch(world, changed, concerns.model(&model.id));
            Some(key)
        }
        Fact::Version(version) => {
            let id = (version.model.clone(), version.version);
            let key = Key::Version(version.model.clone(), version.version);
            let changed = tell((&mut world.versions, told), &id, &key, version, answer);
            touch(world, changed, concerns.model(&version.model));
            Some(key)
        }
        Fact::ModelRun(run) => {
            let id = (run.model.clone(), run.version);
            let key = Key::ModelRun(run.model.clone(), run.version);
            let changed = tell((&mut world.model_runs, told), &id, &key, run, answer);
            touch(world, changed, concerns.model(&run.model));
            Some(key)
        }
        Fact::Rollout(rollout) => Some(take_rollout(world, batch, rollout)),
        Fact::Measure(measure) => Some(take_measure(world, batch, measure)),
        Fact::Series(series) => {
            let id = (series.metric.clone(), series.arm);
            let key = Key::Series(series.metric.clone(), series.arm);
            tell((&mut world.series, told), &id, &key, series, answer);
            Some(key)
        }
        Fact::Windows(windows) => {
            let id = windows.metric.clone();
            let key = Key::Windows(id.clone());
            let changed = tell((&mut world.windows, told), &id, &key, windows, answer);
            touch_measured(world, changed, &id);
            Some(key)
        }
        Fact::Permit(permit) => {
            take_permit(world, permit);
            None
        }
        // What a backend tells about itself and us may come with any scope.
        Fact::Identity(identity) => {
            let id = &batch.scope.backend;
            let backend = world.backends.entry(id.clone()).or_default();
            if is_newest(&mut backend.told_at.identity, batch.at) {
                world.identities.insert(id.clone(), identity.clone());
            }
            None
        }
        Fact::Budget(budget) => {
            let id = batch.scope.backend.clone();
            let backend = world.backends.entry(id).or_default();
            if is_newest(&mut backend.told_at.budget, batch.at) {
                backend.budget = Some(budget.clone());
            }
            None
        }
        Fact::Server(server) => {
            let id = batch.scope.backend.clone();
            let backend = world.backends.entry(id).or_default();
            if is_newest(&mut backend.told_at.server, batch.at) {
                backend.server = Some(server.clone());
            }
            None
        }
    }
}

/// Whether nothing newer has been told, and remembers this.
fn is_newest(told_at: &mut Option<Timestamp>, at: Timestamp) -> bool {
    let is_newest = *told_at <= Some(at);
    *told_at = (*told_at).max(Some(at));
    is_newest
}

fn take_measure(world: &mut World, batch: &Batch, measure: &Measure) -> Key {
    let id: (MetricId, Arm) = (measure.metric.clone(), measure.arm);
    let key = Key::Measure(measure.metric.clone(), measure.arm);
    let tables = (&mut world.measures, &mut world.told);
    let changed = tell(tables, &id, &key, measure, Answer::of(batch));
    touch_measured(world, changed, &measure.metric);
    key
}

fn touch_measured(world: &mut World, changed: bool, metric: &MetricId) {
    if world.catalog.services.contains_key(&metric.service) {
        touch(world, changed, std::slice::from_ref(&metric.service));
    }
}

fn take_permit(world: &mut World, permit: &Permit) {
    let key = (permit.subject.clone(), permit.kind);
    let newer = world
        .permits
        .get(&key)
        .is_none_or(|old| old.seen_at <= permit.seen_at);
    if newer {
        world.permits.insert(key, permit.clone());
    }
}
