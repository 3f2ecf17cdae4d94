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
            ActionOutcome, Basis, Batch, Fact, Failure, Key, Observation, PlanEvent, PlanProgress,
            Scope,
        },
        permit::Permit,
        rollout::Rollout,
        text::Clean,
    },
    engine::{
        concern::Concerns,
        correlate, decision, lane,
        world::{
            DecisionId, HELD, HeldFull, KEPT, Known, Message, MessageWeight, PlanRecord,
            StepRecord, StepState, Table, Told, Trouble, World,
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
    let concerns = Arc::clone(&world.concerns);
    touch(world, is_first, concerns.around(&batch.scope));
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
    let state = world.scopes.entry(scope);
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
        world.troubled.remove(scope);
    }
    let still = world
        .troubled_of(&scope.backend)
        .find_map(|scope| world.scopes.get(scope)?.trouble.clone());
    let backend = world.backends.entry(scope.backend.clone()).or_default();
    backend.answered_at = backend.answered_at.max(Some(at));
    let before = backend.trouble.as_ref().map(|trouble| trouble.kind);
    let after = still.as_ref().map(|trouble| trouble.kind);
    backend.trouble = still;
    if before.is_some() && after.is_none() {
        world.say(Message {
            at,
            weight: MessageWeight::Note,
            about: scope.backend.text().clone(),
            text: "answers again".into(),
        });
    }
    touch_backend(world, &scope.backend, healed || before != after);
    is_first
}

/// Services that depend on a backend are judged anew when it fails or heals.
fn touch_backend(world: &mut World, backend: &BackendId, changed: bool) {
    let concerns = Arc::clone(&world.concerns);
    touch(world, changed, concerns.backend(backend));
}

fn take_failure(world: &mut World, failure: &Failure) {
    let scope = world.scopes.entry(&failure.scope);
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
    world.troubled.insert(failure.scope.clone(), ());
    let backend = world
        .backends
        .entry(failure.scope.backend.clone())
        .or_default();
    let before = backend.trouble.replace(trouble).map(|before| before.kind);
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
    let is_another = fresh || before != Some(failure.kind);
    touch_backend(world, &failure.scope.backend, is_another);
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
    table.insert(key, known);
    changed
}

/// The same, and remembers that this scope told it.
fn tell<K: Clone + Ord, V: PartialEq + Clone>(
    (table, told): (&mut Table<K, V>, &mut Told),
    key: &K,
    name: &Key,
    value: &V,
    batch: &Batch,
) -> bool {
    let before = table.get(key).map(|known| known.scope.clone());
    let changed = put(table, key.clone(), value, batch);
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

fn take_fact(world: &mut World, batch: &Batch, backend: &BackendId, fact: &Fact) -> Option<Key> {
    let concerns = Arc::clone(&world.concerns);
    let told = &mut world.told;
    match fact {
        Fact::Run(run) => {
            let key = Key::Run(run.id.clone());
            let changed = tell((&mut world.runs, told), &run.id, &key, run, batch);
            touch(world, changed, concerns.pipeline(&run.pipeline));
            Some(key)
        }
        Fact::Job(job) => {
            let key = Key::Job(job.id.clone());
            let changed = tell((&mut world.jobs, told), &job.id, &key, job, batch);
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
                batch,
            );
            touch(world, changed, concerns.run(&approval.id.run));
            Some(key)
        }
        Fact::Review(review) => {
            let changed = put(&mut world.reviews, review.id.clone(), review, batch);
            touch(world, changed, concerns.run(&review.id.run));
            None
        }
        Fact::Model(model) => {
            let key = Key::Model(model.id.clone());
            let changed = tell((&mut world.models, told), &model.id, &key, model, batch);
            touch(world, changed, concerns.model(&model.id));
            Some(key)
        }
        Fact::Version(version) => {
            let id = (version.model.clone(), version.version);
            let key = Key::Version(version.model.clone(), version.version);
            let changed = tell((&mut world.versions, told), &id, &key, version, batch);
            touch(world, changed, concerns.model(&version.model));
            Some(key)
        }
        Fact::ModelRun(run) => {
            let id = (run.model.clone(), run.version);
            let key = Key::ModelRun(run.model.clone(), run.version);
            let changed = tell((&mut world.model_runs, told), &id, &key, run, batch);
            touch(world, changed, concerns.model(&run.model));
            Some(key)
        }
        Fact::Rollout(rollout) => Some(take_rollout(world, batch, rollout)),
        Fact::Measure(measure) => Some(take_measure(world, batch, measure)),
        Fact::Series(series) => {
            let id = (series.metric.clone(), series.arm);
            let key = Key::Series(series.metric.clone(), series.arm);
            tell((&mut world.series, told), &id, &key, series, batch);
            Some(key)
        }
        Fact::Windows(windows) => {
            let id = windows.metric.clone();
            let key = Key::Windows(id.clone());
            let changed = tell((&mut world.windows, told), &id, &key, windows, batch);
            touch_measured(world, changed, &id);
            Some(key)
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

fn take_rollout(world: &mut World, batch: &Batch, rollout: &Rollout) -> Key {
    let key = Key::Rollout(rollout.id.clone());
    // A watch event may overtake the answer to an older question.
    let older = world.rollouts.get(&rollout.id).is_some_and(|known| {
        known.uid == rollout.uid
            && known
                .version
                .zip(rollout.version)
                .is_some_and(|(known, told)| told < known)
    });
    if older {
        return key;
    }
    // An attempt that begins anew after an abort has nothing to do with the
    // measurements of the one before.
    let changes_mind = world.rollouts.get(&rollout.id).is_some_and(|known| {
        let is_another = known.current_hash != rollout.current_hash;
        let is_retried = known.aborted.is_some() && rollout.aborted.is_none();
        known.at <= batch.at && (is_another || is_retried)
    });
    if let (true, Some(hash)) = (changes_mind, &rollout.current_hash) {
        let since = (hash.clone(), batch.at);
        world.wanted_since.insert(rollout.id.clone(), since);
    }
    let tables = (&mut world.rollouts, &mut world.told);
    let changed = tell(tables, &rollout.id, &key, rollout, batch);
    let concerns = Arc::clone(&world.concerns);
    touch(world, changed, concerns.target(&rollout.id));
    if let (true, Some(hash)) = (rollout.is_fully_promoted(), &rollout.current_hash) {
        remember_full(world, rollout, hash, batch.at);
    }
    key
}

/// Remembers which revision held all traffic, and until when: the best target
/// for a roll back.
fn remember_full(world: &mut World, rollout: &Rollout, hash: &Clean, at: Timestamp) {
    let history = world.held_full.entry(&rollout.id);
    match history.last_mut() {
        Some(last) if last.hash == *hash => last.until = last.until.max(at),
        Some(_) | None => {
            if history.len() >= HELD {
                history.remove(0);
            }
            // What is found at the first look took over before it.
            let changed = rollout.completed_at.or(rollout.changed_at);
            let changed = changed.filter(|_| history.is_empty());
            history.push(HeldFull {
                hash: hash.clone(),
                from: changed.map_or(at, |changed| changed.min(at)),
                until: at,
            });
        }
    }
}

fn take_measure(world: &mut World, batch: &Batch, measure: &Measure) -> Key {
    let id: (MetricId, Arm) = (measure.metric.clone(), measure.arm);
    let key = Key::Measure(measure.metric.clone(), measure.arm);
    let tables = (&mut world.measures, &mut world.told);
    let changed = tell(tables, &id, &key, measure, batch);
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

/// What a complete answer left out of its scope.
fn omitted(world: &World, scope: &Scope, present: &BTreeSet<Key>) -> Vec<Key> {
    world
        .told_by(scope)
        .filter(|key| !present.contains(key))
        .cloned()
        .collect()
}

/// Takes back what a batch knows to be gone, unless something newer is known.
fn remove(world: &mut World, key: &Key, batch: &Batch) {
    fn take<K: Clone + Ord, V>(
        (table, told): (&mut Table<K, V>, &mut Told),
        id: &K,
        key: &Key,
        batch: &Batch,
    ) -> bool {
        let scope = match table.get(id) {
            Some(known) if known.at <= batch.at => known.scope.clone(),
            Some(_) | None => return false,
        };
        told.remove(&(scope, key.clone()));
        table.remove(id).is_some()
    }
    let concerns = Arc::clone(&world.concerns);
    let told = &mut world.told;
    match key {
        Key::Run(id) => {
            let gone = take((&mut world.runs, told), id, key, batch);
            touch(world, gone, concerns.run(id));
        }
        Key::Job(id) => {
            let gone = take((&mut world.jobs, told), id, key, batch);
            touch(world, gone, concerns.run(&id.run));
        }
        Key::Approval(id) => {
            let gone = take((&mut world.approvals, told), id, key, batch);
            touch(world, gone, concerns.run(&id.run));
        }
        Key::Model(id) => {
            let gone = take((&mut world.models, told), id, key, batch);
            touch(world, gone, concerns.model(id));
        }
        Key::Version(model, version) => {
            let id = (model.clone(), *version);
            let gone = take((&mut world.versions, told), &id, key, batch);
            touch(world, gone, concerns.model(model));
        }
        Key::ModelRun(model, version) => {
            let id = (model.clone(), *version);
            let gone = take((&mut world.model_runs, told), &id, key, batch);
            touch(world, gone, concerns.model(model));
        }
        Key::Rollout(id) => {
            let gone = take((&mut world.rollouts, told), id, key, batch);
            touch(world, gone, concerns.target(id));
        }
        Key::Measure(metric, arm) => {
            let id = (metric.clone(), *arm);
            let gone = take((&mut world.measures, told), &id, key, batch);
            touch_measured(world, gone, metric);
        }
        Key::Series(metric, arm) => {
            let id = (metric.clone(), *arm);
            take((&mut world.series, told), &id, key, batch);
        }
        Key::Windows(metric) => {
            let gone = take((&mut world.windows, told), metric, key, batch);
            touch_measured(world, gone, metric);
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
            // Only what was unknown may still turn out.
            let open = plan
                .ended
                .as_ref()
                .is_none_or(|(_, outcome, _)| *outcome == ActionOutcome::Unknown);
            if open {
                plan.ended = Some((event.at, *outcome, note.clone()));
            }
        }
    }
}
