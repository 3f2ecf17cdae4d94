//! Ledger lines of a plan: what every line of it says, in one place.

use crate::{
    domain::{
        action::{Order, Preview, Subject},
        id::{BackendId, PlanId},
        observation::ActionOutcome,
        text::Clean,
    },
    engine::{
        clear::Cleared,
        plan::{Class, Plan},
        world::World,
    },
    store::{Actor, Entry, EntryKind, SubjectDigest},
};

/// Who acts, before any backend was asked who that is.
#[derive(Clone, Debug)]
pub struct Person {
    /// The operating system's name for the user.
    pub os_user: Clean,
}

/// The actor of a plan: the operating system's user, and per backend touched
/// the name it gives for our credentials.
pub(super) fn actor(world: &World, plan: &Plan, person: &Person) -> Actor {
    let mut touched: Vec<&BackendId> = Vec::new();
    let backends: Vec<BackendId> = plan
        .steps
        .iter()
        .map(|step| backend_of(&step.order))
        .collect();
    for backend in &backends {
        if !touched.contains(&backend) {
            touched.push(backend);
        }
    }
    let identity =
        |backend: &BackendId| {
            world.identities.get(backend).cloned().unwrap_or_else(|| {
                crate::domain::permit::Identity {
                    backend: backend.clone(),
                    name: None,
                    learnt_by: "not told".into(),
                }
            })
        };
    Actor {
        os_user: person.os_user.clone(),
        backends: touched.into_iter().map(identity).collect(),
    }
}

/// The backend an order goes to.
pub fn backend_of(order: &Order) -> BackendId {
    match order.subject() {
        Subject::Rollout(target) => target.backend,
        Subject::Approval(approval) => approval.run.backend,
        Subject::Run(run) => run.backend,
        Subject::Pipeline(pipeline) => pipeline.backend,
        Subject::Model(model) => model.backend,
    }
}

/// An entry of `plan`, with everything that is the same on all its lines.
pub(super) fn of_plan(
    kind: EntryKind,
    id: Option<&PlanId>,
    plan: &Plan,
    world: &World,
    person: &Person,
) -> Entry {
    let mut entry = Entry::new(kind, plan.ask.verb.word(), actor(world, plan, person));
    entry.plan = id.cloned();
    entry.steps = u32::try_from(plan.steps.len()).ok();
    entry.brake = plan.class == Class::Brake;
    entry.service = Some(plan.ask.lane.0.clone());
    entry.environment = Some(plan.ask.lane.1.clone());
    entry.release.clone_from(&plan.release);
    entry.reason.clone_from(&plan.ask.reason);
    entry.subject_digest = subject(world, plan);
    entry
}

/// The same for a cleared plan: with the decision it rests on.
pub(super) fn of_cleared(
    kind: EntryKind,
    id: &PlanId,
    cleared: &Cleared,
    world: &World,
    person: &Person,
) -> Entry {
    let plan = cleared.plan();
    let mut entry = of_plan(kind, Some(id), plan, world, person);
    entry.policy_digest = cleared
        .decision()
        .map(|decision| decision.policy_digest.clone());
    entry.report_digest = cleared
        .decision()
        .map(|decision| decision.report_digest.clone());
    entry.overridden = cleared.overridden().cloned();
    if let Some(reason) = cleared.reason() {
        entry.reason = Some(reason.clone());
    }
    entry
}

/// A step's intent: the order and what is sent for it.
pub(super) fn with_step(
    mut entry: Entry,
    step: Option<usize>,
    order: &Order,
    request: Preview,
) -> Entry {
    entry.step = step.and_then(|step| u32::try_from(step).ok());
    entry.order = Some(order.clone());
    entry.request = Some(request);
    entry
}

/// How a step (with its order), or the plan as a whole, ended.
pub(super) fn outcome(
    mut entry: Entry,
    step: Option<(usize, &Order)>,
    outcome: ActionOutcome,
    note: Clean,
) -> Entry {
    entry.kind = EntryKind::Outcome;
    entry.step = step.and_then(|(step, _)| u32::try_from(step).ok());
    entry.order = step.map(|(_, order)| order.clone());
    entry.outcome = Some(outcome);
    entry.note = note;
    entry
}

/// What the release is made of, as far as is known.
fn subject(world: &World, plan: &Plan) -> SubjectDigest {
    let Some(release) = plan.release.as_ref().and_then(|id| world.release(id)) else {
        return SubjectDigest {
            config: Some(world.catalog.digest.clone()),
            ..SubjectDigest::default()
        };
    };
    let service = world.catalog.services.get(&release.service);
    let model = service.and_then(|service| service.model.as_ref());
    let version = release.version.value();
    let data = model
        .zip(version)
        .and_then(|(spec, version)| world.model_runs.get(&(spec.model.clone(), *version)))
        .map(|run| {
            let digests: Vec<String> = run
                .datasets
                .iter()
                .map(|dataset| format!("{}@{}", dataset.name, dataset.digest))
                .collect();
            Clean::from(digests.join(", "))
        });
    SubjectDigest {
        commit: release
            .commit
            .value()
            .map(|commit| Clean::from(commit.as_str().to_owned())),
        data: data.filter(|data| !data.is_empty()),
        model: model
            .zip(version)
            .map(|(spec, version)| Clean::from(format!("{} {version}", spec.model))),
        image: release.image.value().map(|image| {
            let tag = || image.tag.as_ref().map(|tag| format!(":{tag}"));
            let digest = image.digest.as_ref().map(|digest| format!("@{digest}"));
            Clean::from(format!(
                "{}{}",
                image.repository,
                digest.or_else(tag).unwrap_or_default()
            ))
        }),
        config: Some(world.catalog.digest.clone()),
    }
}
