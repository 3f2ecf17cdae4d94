//! Folds one observation into the world.
//!
//! Old answers never overwrite newer ones, a complete answer removes what it
//! omits in its own scope, and folding the same observation twice changes
//! nothing. What follows from the facts (releases, lanes, decisions) is not
//! made here but in [`settle`].

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    domain::{
        Timestamp,
        catalog::Catalog,
        id::{BackendId, ServiceName},
        measure::{Arm, Measure, MetricId},
        observation::{
            Basis, Batch, Fact, Failure, Key, Observation, PlanEvent, PlanProgress, Scope,
        },
        permit::Permit,
        rollout::Rollout,
        text::Clean,
    },
    engine::{
        correlate, decision, lane,
        world::{
            HeldFull, KEPT, Known, Message, MessageWeight, PlanRecord, RECENT, StepRecord,
            StepState, Table, Trouble, World,
        },
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
    let due: Vec<ServiceName> = world
        .decisions
        .values()
        .filter(|decision| {
            decision
                .findings
                .iter()
                .any(|finding| finding.changes_at.is_some_and(|at| at <= now))
        })
        .filter_map(|decision| {
            world
                .release(&decision.release)
                .map(|release| release.service.clone())
        })
        .collect();
    world.dirty.extend(due);
    for service in std::mem::take(&mut world.dirty) {
        let Some(spec) = world.catalog.services.get(&service).cloned() else {
            continue;
        };
        correlate::correlate(world, &spec);
        lane::place(world, &spec, now);
        decision::judge_service(world, &spec, now);
    }
    world
        .decisions
        .values()
        .flat_map(|decision| &decision.findings)
        .filter_map(|finding| finding.changes_at)
        .filter(|at| now < *at)
        .min()
}

fn take_catalog(world: &mut World, catalog: &Arc<Catalog>) {
    world.dirty.extend(catalog.services.keys().cloned());
    world.catalog = Arc::clone(catalog);
}

fn take_batch(world: &mut World, batch: &Batch) {
    let is_first = heal(world, &batch.scope, batch.basis, batch.at);
    let backend = &batch.scope.backend;
    let mut present = BTreeSet::new();
    for fact in &batch.facts {
        if let Some(key) = take_fact(world, batch, backend, fact) {
            present.insert(key);
        }
    }
    // Facts bring their own services up. What a first answer does not name is
    // news as well: until now it was only not known.
    if is_first && present.is_empty() {
        touch_backend(world, backend, true);
    }
    touch(world, is_first, |service| {
        let places = &service.places;
        places
            .iter()
            .any(|place| batch.scope.is_around(&place.target))
    });
    for key in &batch.gone {
        remove(world, key, batch);
    }
    if batch.complete {
        for key in omitted(world, &batch.scope, &present) {
            remove(world, &key, batch);
        }
    }
}

/// An answer is a sign of life, and heals the trouble its scope was in. Says
/// whether it is the first of its scope.
fn heal(world: &mut World, scope: &Scope, basis: Basis, at: Timestamp) -> bool {
    let state = world.scopes.entry(scope.clone()).or_default();
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
    }
    let still = world
        .scopes
        .range(Scope::new(&scope.backend, "")..)
        .take_while(|(other, _)| other.backend == scope.backend)
        .find_map(|(_, state)| state.trouble.clone());
    let backend = world.backends.entry(scope.backend.clone()).or_default();
    backend.answered_at = backend.answered_at.max(Some(at));
    let was_troubled = backend.trouble.is_some();
    backend.trouble = still;
    if was_troubled && backend.trouble.is_none() {
        world.say(Message {
            at,
            weight: MessageWeight::Note,
            about: scope.backend.text().clone(),
            text: "answers again".into(),
        });
    }
    touch_backend(world, &scope.backend, healed);
    is_first
}

/// Services that depend on a backend are judged anew when it fails or heals.
fn touch_backend(world: &mut World, backend: &BackendId, changed: bool) {
    if !changed {
        return;
    }
    let touched: Vec<ServiceName> = world
        .catalog
        .services
        .values()
        .filter(|service| {
            service
                .run
                .as_ref()
                .is_some_and(|run| run.backend == *backend)
                || service
                    .model
                    .as_ref()
                    .is_some_and(|model| model.model.backend == *backend)
                || service
                    .places
                    .iter()
                    .any(|place| place.target.backend == *backend)
                || service
                    .metrics
                    .iter()
                    .any(|metric| metric.backend == *backend)
        })
        .map(|service| service.name.clone())
        .collect();
    world.dirty.extend(touched);
}

fn take_failure(world: &mut World, failure: &Failure) {
    let scope = world.scopes.entry(failure.scope.clone()).or_default();
    if scope.proved_at.is_some_and(|proved| failure.at < proved) {
        return;
    }
    let since = scope
        .trouble
        .as_ref()
        .map_or(failure.at, |trouble| trouble.since.min(failure.at));
    let newer = scope
        .trouble
        .as_ref()
        .is_none_or(|trouble| trouble.last <= failure.at);
    if !newer {
        return;
    }
    let fresh = scope
        .trouble
        .as_ref()
        .is_none_or(|trouble| trouble.kind != failure.kind);
    let trouble = Trouble {
        kind: failure.kind,
        message: failure.message.clone(),
        since,
        last: failure.at,
        retry_at: failure.retry_at,
    };
    scope.trouble = Some(trouble.clone());
    let backend = world
        .backends
        .entry(failure.scope.backend.clone())
        .or_default();
    backend.trouble = Some(trouble);
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
    touch_backend(world, &failure.scope.backend, fresh);
}

/// Puts a belief into a table unless a newer one is there; says whether its value changed.
fn put<K: Clone + Ord, V: PartialEq + Clone>(
    table: &mut Table<K, V>,
    key: K,
    value: &V,
    batch: &Batch,
) -> bool {
    let old = table.get(&key);
    if old.is_some_and(|old| batch.at < old.at) {
        return false;
    }
    let same = old
        .filter(|old| *old.value == *value)
        .map(|old| (Arc::clone(&old.value), old.changed_at));
    let changed = same.is_none();
    let (value, changed_at) = same.unwrap_or_else(|| (Arc::new(value.clone()), batch.at));
    let known = Known {
        value,
        scope: batch.scope.clone(),
        basis: batch.basis,
        at: batch.at,
        changed_at,
    };
    table.edit().insert(key, known);
    changed
}

fn touch(
    world: &mut World,
    changed: bool,
    concerned: impl Fn(&crate::domain::catalog::ServiceSpec) -> bool,
) {
    if !changed {
        return;
    }
    let touched: Vec<ServiceName> = world
        .catalog
        .services
        .values()
        .filter(|service| concerned(service))
        .map(|service| service.name.clone())
        .collect();
    world.dirty.extend(touched);
}

fn take_fact(world: &mut World, batch: &Batch, backend: &BackendId, fact: &Fact) -> Option<Key> {
    match fact {
        Fact::Run(run) => {
            let changed = put(&mut world.runs, run.id.clone(), run, batch);
            touch(world, changed, |service| {
                service.run.as_ref() == Some(&run.pipeline)
            });
            Some(Key::Run(run.id.clone()))
        }
        Fact::Job(job) => {
            let changed = put(&mut world.jobs, job.id.clone(), job, batch);
            touch_run(world, changed, &job.id.run);
            Some(Key::Job(job.id.clone()))
        }
        Fact::Approval(approval) => {
            let changed = put(&mut world.approvals, approval.id.clone(), approval, batch);
            touch_run(world, changed, &approval.id.run);
            Some(Key::Approval(approval.id.clone()))
        }
        Fact::Review(review) => {
            let changed = put(&mut world.reviews, review.id.clone(), review, batch);
            touch_run(world, changed, &review.id.run);
            None
        }
        Fact::Model(model) => {
            let changed = put(&mut world.models, model.id.clone(), model, batch);
            touch_model(world, changed, &model.id);
            Some(Key::Model(model.id.clone()))
        }
        Fact::Version(version) => {
            let key = (version.model.clone(), version.version);
            let changed = put(&mut world.versions, key, version, batch);
            touch_model(world, changed, &version.model);
            Some(Key::Version(version.model.clone(), version.version))
        }
        Fact::ModelRun(run) => {
            let key = (run.model.clone(), run.version);
            let changed = put(&mut world.model_runs, key, run, batch);
            touch_model(world, changed, &run.model);
            Some(Key::ModelRun(run.model.clone(), run.version))
        }
        Fact::Rollout(rollout) => Some(take_rollout(world, batch, rollout)),
        Fact::Measure(measure) => Some(take_measure(world, batch, measure)),
        Fact::Series(series) => {
            put(
                &mut world.series,
                (series.metric.clone(), series.arm),
                series,
                batch,
            );
            Some(Key::Series(series.metric.clone(), series.arm))
        }
        Fact::Permit(permit) => {
            take_permit(world, permit);
            None
        }
        Fact::Identity(identity) => {
            world.identities.insert(backend.clone(), identity.clone());
            None
        }
        Fact::Budget(budget) => {
            world.backends.entry(backend.clone()).or_default().budget = Some(budget.clone());
            None
        }
        Fact::Server(server) => {
            world.backends.entry(backend.clone()).or_default().server = Some(server.clone());
            None
        }
    }
}

fn touch_run(world: &mut World, changed: bool, run: &crate::domain::id::RunId) {
    touch(world, changed, |service| {
        service
            .run
            .as_ref()
            .is_some_and(|pipeline| pipeline.backend == run.backend && pipeline.repo == run.repo)
    });
}

fn touch_model(world: &mut World, changed: bool, model: &crate::domain::id::ModelId) {
    touch(world, changed, |service| {
        service
            .model
            .as_ref()
            .is_some_and(|spec| spec.model == *model)
    });
}

fn take_rollout(world: &mut World, batch: &Batch, rollout: &Rollout) -> Key {
    // A watch event may overtake the answer to an older question.
    let older = world.rollouts.get(&rollout.id).is_some_and(|known| {
        known.uid == rollout.uid
            && known
                .version
                .zip(rollout.version)
                .is_some_and(|(known, told)| told < known)
    });
    if older {
        return Key::Rollout(rollout.id.clone());
    }
    let changed = put(&mut world.rollouts, rollout.id.clone(), rollout, batch);
    touch(world, changed, |service| {
        service
            .places
            .iter()
            .any(|place| place.target == rollout.id)
    });
    if let (true, Some(hash)) = (rollout.is_fully_promoted(), &rollout.current_hash) {
        remember_full(world, rollout, hash, batch.at);
    }
    Key::Rollout(rollout.id.clone())
}

/// Remembers which revision held all traffic, and until when: the best target
/// for a roll back.
fn remember_full(world: &mut World, rollout: &Rollout, hash: &Clean, at: Timestamp) {
    let history = Arc::make_mut(&mut world.held_full)
        .entry(rollout.id.clone())
        .or_default();
    match history.last_mut() {
        Some(last) if last.hash == *hash => last.until = last.until.max(at),
        Some(_) | None => {
            if history.len() >= RECENT {
                history.remove(0);
            }
            history.push(HeldFull {
                hash: hash.clone(),
                from: at,
                until: at,
            });
        }
    }
}

fn take_measure(world: &mut World, batch: &Batch, measure: &Measure) -> Key {
    let key: (MetricId, Arm) = (measure.metric.clone(), measure.arm);
    let changed = put(&mut world.measures, key.clone(), measure, batch);
    touch(world, changed, |service| {
        service.name == measure.metric.service
    });
    let recent = Arc::make_mut(&mut world.recent).entry(key).or_default();
    // One value per instant: asking more often adds no evidence.
    let place = recent.partition_point(|older| older.at < measure.at);
    if recent.get(place).is_none_or(|same| same.at != measure.at) {
        recent.insert(place, Arc::new(measure.clone()));
    }
    while recent.len() > RECENT {
        recent.pop_front();
    }
    Key::Measure(measure.metric.clone(), measure.arm)
}

fn take_permit(world: &mut World, permit: &Permit) {
    let key = (permit.subject.clone(), permit.kind);
    let newer = world
        .permits
        .get(&key)
        .is_none_or(|old| old.seen_at <= permit.seen_at);
    if newer {
        Arc::make_mut(&mut world.permits).insert(key, permit.clone());
    }
}

/// What a complete answer left out of its scope.
fn omitted(world: &World, scope: &Scope, present: &BTreeSet<Key>) -> Vec<Key> {
    fn of<K, V>(table: &Table<K, V>, scope: &Scope, key: impl Fn(&K) -> Key) -> Vec<Key> {
        table
            .iter()
            .filter(|(_, known)| known.scope == *scope)
            .map(|(id, _)| key(id))
            .collect()
    }
    let mut keys = of(&world.runs, scope, |id| Key::Run(id.clone()));
    keys.extend(of(&world.jobs, scope, |id| Key::Job(id.clone())));
    keys.extend(of(&world.approvals, scope, |id| Key::Approval(id.clone())));
    keys.extend(of(&world.models, scope, |id| Key::Model(id.clone())));
    keys.extend(of(&world.versions, scope, |(model, version)| {
        Key::Version(model.clone(), *version)
    }));
    keys.extend(of(&world.model_runs, scope, |(model, version)| {
        Key::ModelRun(model.clone(), *version)
    }));
    keys.extend(of(&world.rollouts, scope, |id| Key::Rollout(id.clone())));
    keys.extend(of(&world.measures, scope, |(metric, arm)| {
        Key::Measure(metric.clone(), *arm)
    }));
    keys.extend(of(&world.series, scope, |(metric, arm)| {
        Key::Series(metric.clone(), *arm)
    }));
    keys.retain(|key| !present.contains(key));
    keys
}

fn remove(world: &mut World, key: &Key, batch: &Batch) {
    fn take<K: Clone + Ord, V>(table: &mut Table<K, V>, key: &K, batch: &Batch) -> bool {
        let stale = table.get(key).is_some_and(|known| known.at <= batch.at);
        stale && table.edit().remove(key).is_some()
    }
    match key {
        Key::Run(id) => {
            let gone = take(&mut world.runs, id, batch);
            touch_run(world, gone, id);
        }
        Key::Job(id) => {
            let gone = take(&mut world.jobs, id, batch);
            touch_run(world, gone, &id.run);
        }
        Key::Approval(id) => {
            let gone = take(&mut world.approvals, id, batch);
            touch_run(world, gone, &id.run);
        }
        Key::Model(id) => {
            let gone = take(&mut world.models, id, batch);
            touch_model(world, gone, id);
        }
        Key::Version(model, version) => {
            let gone = take(&mut world.versions, &(model.clone(), *version), batch);
            touch_model(world, gone, model);
        }
        Key::ModelRun(model, version) => {
            let gone = take(&mut world.model_runs, &(model.clone(), *version), batch);
            touch_model(world, gone, model);
        }
        Key::Rollout(id) => {
            let gone = take(&mut world.rollouts, id, batch);
            touch(world, gone, |service| {
                service.places.iter().any(|place| place.target == *id)
            });
        }
        Key::Measure(metric, arm) => {
            let gone = take(&mut world.measures, &(metric.clone(), *arm), batch);
            touch(world, gone, |service| service.name == metric.service);
        }
        Key::Series(metric, arm) => {
            take(&mut world.series, &(metric.clone(), *arm), batch);
        }
    }
}

fn take_plan(world: &mut World, event: &PlanEvent) {
    let plans = Arc::make_mut(&mut world.plans);
    if let PlanProgress::Started(start) = &event.what {
        let steps = start
            .orders
            .iter()
            .map(|order| StepRecord {
                order: order.clone(),
                state: StepState::Waiting,
                nudged_at: None,
            })
            .collect();
        let record = PlanRecord {
            id: event.plan.clone(),
            start: Arc::new((**start).clone()),
            started_at: event.at,
            steps,
            ended: None,
        };
        plans.entry(event.plan.clone()).or_insert(record);
        while plans.len() > KEPT {
            let oldest = plans
                .values()
                .filter(|plan| plan.ended.is_some())
                .min_by_key(|plan| plan.started_at)
                .map(|plan| plan.id.clone());
            let Some(oldest) = oldest else { break };
            plans.remove(&oldest);
        }
        return;
    }
    let Some(plan) = plans.get_mut(&event.plan) else {
        return;
    };
    let step_of = |step: &usize| *step;
    match &event.what {
        PlanProgress::Started(_) => {}
        PlanProgress::Sending { step } => {
            if let Some(record) = plan.steps.get_mut(step_of(step)) {
                record.state = StepState::Sending { at: event.at };
            }
        }
        PlanProgress::Answered {
            step,
            receipt,
            returned_at,
        } => {
            if let Some(record) = plan.steps.get_mut(step_of(step)) {
                record.state = StepState::Answered {
                    receipt: receipt.clone(),
                    returned_at: *returned_at,
                };
            }
        }
        PlanProgress::Nudged { step } => {
            if let Some(record) = plan.steps.get_mut(step_of(step)) {
                record.nudged_at = Some(event.at);
            }
        }
        PlanProgress::Seen { step } => {
            if let Some(record) = plan.steps.get_mut(step_of(step)) {
                record.state = StepState::Seen { at: event.at };
            }
        }
        PlanProgress::Ended { outcome, note } => {
            plan.ended.get_or_insert((event.at, *outcome, note.clone()));
        }
    }
}
