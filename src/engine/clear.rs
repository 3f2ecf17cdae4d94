//! May this be done now?
//!
//! The last look before anything is written or sent. It compares what the
//! person saw with the newest world; it never trusts the sheet. Brakes pass on
//! almost nothing; throttles need a decision, live backends, an unmoved target,
//! permission and a mode; a bend needs the release's name and a reason as well.

mod refusal;

use chrono::TimeDelta;

use crate::{
    domain::{
        Timestamp,
        action::{ActionKind, Order, Subject},
        id::BackendId,
        policy::{GateSource, Policy},
        text::Clean,
        verdict::{Decision, Word},
    },
    engine::{
        plan::{Class, Plan, PlanStep, Verb},
        verify,
        world::{Liveness, World},
    },
};

pub use refusal::Refusal;

/// How long a denial stops a brake, however long it counts otherwise.
const FRESH_NO: TimeDelta = TimeDelta::seconds(60);

/// What the cockpit or the command line lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Nothing acts.
    ReadOnly,
    /// Only brakes act.
    Brake,
    /// Everything acts.
    ReadWrite,
}

impl Mode {
    /// The badge on screen.
    pub fn badge(self) -> &'static str {
        match self {
            Self::ReadOnly => "RO",
            Self::Brake => "BRAKE",
            Self::ReadWrite => "RW",
        }
    }
}

/// What the person gave with their yes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// They were shown the warnings and agreed (or `--accept-warnings`).
    pub warnings: bool,
    /// For a bend: the release's name as they typed it, and why.
    pub bend: Option<(Clean, Clean)>,
}

/// A plan that passed. Only this module makes one, so nothing unchecked can be executed.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleared {
    plan: Plan,
    decision: Option<std::sync::Arc<Decision>>,
    overridden: Option<Clean>,
    reason: Option<Clean>,
}

impl Cleared {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The decision it was cleared on, for the ledger.
    pub fn decision(&self) -> Option<&Decision> {
        self.decision.as_deref()
    }

    /// The rule that was gone past on purpose, if one was.
    pub fn overridden(&self) -> Option<&Clean> {
        self.overridden.as_ref()
    }

    /// Why it was gone past, in the person's words.
    pub fn reason(&self) -> Option<&Clean> {
        self.reason.as_ref()
    }

    fn plain(world: &World, plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            decision: decision_of(world, plan),
            overridden: None,
            reason: None,
        }
    }
}

/// Decides whether `plan` may run against the newest `world`, with the `mode`
/// and `consent` given, at `now`.
///
/// # Errors
///
/// The first rule that stands against it, in the order a person would check:
/// mode, permission, target, others' actions, backends, decision, consent.
pub fn clear(
    world: &World,
    plan: &Plan,
    mode: Mode,
    consent: &Consent,
    now: Timestamp,
) -> Result<Cleared, Refusal> {
    let (_, environment) = &plan.ask.lane;
    let spec = world.catalog.environments.get(environment);
    if mode == Mode::ReadOnly {
        return Err(Refusal::Mode(mode));
    }
    if spec.is_some_and(|spec| spec.read_only) {
        return Err(Refusal::ReadOnlyEnvironment(environment.clone()));
    }
    if mode == Mode::Brake && plan.class != Class::Brake {
        return Err(Refusal::Mode(mode));
    }
    permitted(world, plan, now)?;
    unmoved(world, plan)?;
    if plan.class == Class::Brake {
        let plain = Cleared::plain(world, plan);
        let Some(rule) = &plan.bends else {
            return Ok(plain);
        };
        bent(plan, consent, rule)?;
        return Ok(Cleared {
            overridden: Some(rule.clone()),
            reason: consent.bend.as_ref().map(|(_, reason)| reason.clone()),
            ..plain
        });
    }
    if let Some(other) = world.running_plan(&plan.subject) {
        return Err(Refusal::Busy(Clean::from(format!(
            "{} was first: `{}` on {} is under way since {}",
            other.start.actor,
            other.start.verb,
            other.start.subject,
            other.started_at.format("%H:%M:%SZ")
        ))));
    }
    let careful = plan.class != Class::Neutral || spec.is_some_and(|spec| spec.critical);
    if careful {
        backends_live(world, plan, now)?;
    }
    if plan.class == Class::Neutral {
        return Ok(Cleared::plain(world, plan));
    }
    decided(world, plan, consent)
}

/// The reason a verb is grey right now, or `None` when its sheet would open
/// and a plain yes would do. A bend is not grey: its sheet asks for more.
pub fn objection(world: &World, plan: &Plan, mode: Mode, now: Timestamp) -> Option<Refusal> {
    let consent = Consent {
        warnings: true,
        bend: Some((plan.release_label.clone(), "asked".into())),
    };
    clear(world, plan, mode, &consent, now).err()
}

/// A brake is stopped by a no to the first step that moves users, and by no
/// other: they are brought to safety even where the alias has to stay behind.
fn permitted(world: &World, plan: &Plan, now: Timestamp) -> Result<(), Refusal> {
    let moves_users = |step: &&PlanStep| !matches!(step.order, Order::Model(_));
    let asked: Vec<&PlanStep> = match plan.class {
        Class::Brake => plan.steps.iter().find(moves_users).into_iter().collect(),
        Class::Neutral | Class::Throttle | Class::Bend => plan.steps.iter().collect(),
    };
    for step in asked {
        let Some(permit) = world.permit(&step.order.subject(), step.order.kind(), now) else {
            continue;
        };
        // An older no may have been lifted since, and trying a brake costs nothing.
        let counts = plan.class != Class::Brake || now < permit.seen_at + FRESH_NO;
        if !permit.allowed && counts {
            return Err(Refusal::Denied(Clean::from(format!(
                "not permitted to {} {}: {}",
                step.order.kind().word(),
                step.order.subject(),
                permit.why
            ))));
        }
    }
    Ok(())
}

fn unmoved(world: &World, plan: &Plan) -> Result<(), Refusal> {
    for step in &plan.steps {
        if let Some(why) = verify::replaced(world, &step.order) {
            return Err(Refusal::Moved(why));
        }
    }
    // Only the first step acts on what the person saw; the later ones act on
    // what the first brings about.
    let first = plan.steps.first();
    if plan.class != Class::Brake
        && let Some(why) = first.and_then(|step| verify::moved(world, &step.order))
    {
        return Err(Refusal::Moved(why));
    }
    Ok(())
}

/// Every backend the plan acts on or the policy's gates read must be live.
fn backends_live(world: &World, plan: &Plan, now: Timestamp) -> Result<(), Refusal> {
    for backend in backends_of(world, plan) {
        let liveness = world.liveness(&backend, now);
        if liveness != Liveness::Live {
            return Err(Refusal::NotLive { backend, liveness });
        }
    }
    Ok(())
}

/// The backends a plan depends on: those it acts on, then those its policy's gates read.
pub fn backends_of(world: &World, plan: &Plan) -> Vec<BackendId> {
    let mut backends: Vec<BackendId> = Vec::new();
    let mut add = |backend: &BackendId| {
        if !backends.contains(backend) {
            backends.push(backend.clone());
        }
    };
    for step in &plan.steps {
        match step.order.subject() {
            Subject::Rollout(target) => add(&target.backend),
            Subject::Approval(approval) => add(&approval.run.backend),
            Subject::Run(run) => add(&run.backend),
            Subject::Pipeline(pipeline) => add(&pipeline.backend),
            Subject::Model(model) => add(&model.backend),
        }
    }
    if plan.class == Class::Neutral {
        return backends;
    }
    let (service, environment) = &plan.ask.lane;
    let Some(service) = world.catalog.services.get(service) else {
        return backends;
    };
    let Some(policy) = world.catalog.policy(service) else {
        return backends;
    };
    for gate in &policy.gates {
        match &gate.source {
            GateSource::Metric(metric) => {
                if let Some(spec) = world.catalog.metric(&service.name, environment, metric) {
                    add(&spec.backend);
                }
            }
            GateSource::ModelMetric(_) => {
                if let Some(model) = &service.model {
                    add(&model.model.backend);
                }
            }
            GateSource::Pipeline(_) => {
                if let Some(run) = &service.run {
                    add(&run.backend);
                }
            }
            GateSource::Rollout(_) => {
                if let Some(place) = service
                    .places
                    .iter()
                    .find(|place| place.environment == *environment)
                {
                    add(&place.target.backend);
                }
            }
        }
    }
    backends
}

fn decision_of(world: &World, plan: &Plan) -> Option<std::sync::Arc<Decision>> {
    let release = plan.release.as_ref()?;
    world.decision(release, &plan.ask.lane.1).cloned()
}

fn decided(world: &World, plan: &Plan, consent: &Consent) -> Result<Cleared, Refusal> {
    let decision = decision_of(world, plan);
    let (service, _) = &plan.ask.lane;
    let policy = world
        .catalog
        .services
        .get(service)
        .and_then(|service| world.catalog.policy(service));
    let word = decision
        .as_ref()
        .map_or(Word::HoldNotProven, |decision| decision.word);
    let past_decision = !word.lets_go();
    if past_decision {
        may_override(
            policy.map(AsRef::as_ref),
            word,
            decision.as_deref(),
            consent,
        )?;
    }
    let rule = plan
        .bends
        .clone()
        .or_else(|| past_decision.then(|| Clean::from(word.text())));
    if let Some(rule) = &rule {
        bent(plan, consent, rule)?;
    }
    let warnings: Vec<Clean> = decision
        .iter()
        .flat_map(|decision| decision.reasons())
        .map(|finding| {
            Clean::from(format!(
                "{} {}: {}",
                finding.gate,
                finding.verdict.word(),
                finding.reason
            ))
        })
        .collect();
    if word == Word::GoWithWarnings && !consent.warnings {
        return Err(Refusal::Warnings(warnings));
    }
    let reason = consent
        .bend
        .as_ref()
        .filter(|_| rule.is_some())
        .map(|(_, reason)| reason.clone());
    Ok(Cleared {
        plan: plan.clone(),
        decision,
        overridden: rule,
        reason,
    })
}

/// Past HOLD or NO-GO only where the policy allows it, and only on purpose.
fn may_override(
    policy: Option<&Policy>,
    word: Word,
    decision: Option<&Decision>,
    consent: &Consent,
) -> Result<(), Refusal> {
    let reasons = decision.map_or_else(
        || vec!["no decision has been made about this release yet".into()],
        |decision| {
            decision
                .reasons()
                .map(|finding| {
                    Clean::from(format!(
                        "{} {}: {}",
                        finding.gate,
                        finding.verdict.word(),
                        finding.reason
                    ))
                })
                .collect()
        },
    );
    let allowed = policy.is_some_and(|policy| policy.override_allowed);
    if allowed && consent.bend.is_some() {
        return Ok(());
    }
    Err(Refusal::Decision {
        word,
        reasons,
        overridable: allowed,
    })
}

fn bent(plan: &Plan, consent: &Consent, rule: &Clean) -> Result<(), Refusal> {
    let needs = Refusal::NeedsBend {
        rule: rule.clone(),
        name: plan.release_label.clone(),
    };
    match &consent.bend {
        Some((name, reason)) if *name == plan.release_label && !reason.trim().is_empty() => Ok(()),
        Some(_) | None => Err(needs),
    }
}

/// Whether an order's kind is a brake by itself, whatever plan it is part of.
pub fn is_brake(order: &Order) -> bool {
    match order.kind() {
        ActionKind::Hold | ActionKind::Abort | ActionKind::Reject => true,
        ActionKind::Undo
        | ActionKind::Resume
        | ActionKind::Continue
        | ActionKind::Switch
        | ActionKind::Skip
        | ActionKind::PromoteFull
        | ActionKind::Retry
        | ActionKind::Restart
        | ActionKind::Nudge
        | ActionKind::Approve
        | ActionKind::RerunAll
        | ActionKind::RerunFailed
        | ActionKind::Cancel
        | ActionKind::Dispatch
        | ActionKind::SetAlias => false,
    }
}

/// Whether a verb is offered in a mode at all, before looking at anything else.
pub fn mode_allows(mode: Mode, verb: Verb) -> bool {
    match mode {
        Mode::ReadOnly => false,
        Mode::Brake => verb.class() == Class::Brake,
        Mode::ReadWrite => true,
    }
}
