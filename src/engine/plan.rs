//! A plan is data: what one confirmed key press sets in motion, step by step.
//!
//! It is built by [`crate::engine::propose`], cleared by [`crate::engine::clear`],
//! written to the ledger, and driven by [`next`], which looks at the world and
//! says what to do now. Whoever drives it keeps no state of its own, so a plan
//! can be taken up after a crash.

use std::time::Duration;

use crate::{
    domain::{
        Timestamp,
        action::{ActionKind, Order, RolloutAction, Subject},
        id::ReleaseId,
        rollout::short_duration,
        text::Clean,
    },
    engine::{
        verify::{self, Effect, Ripeness},
        world::{LaneId, PlanRecord, StepState, World},
    },
};

/// What a person can ask for, in the words of keys and commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Stop the canary where it is.
    Hold,
    /// Traffic to stable; the spec stays.
    Abort,
    /// Users onto a named earlier version.
    RollBack,
    /// Say no to what waits for approval.
    Reject,
    /// Undo a hold, else end the pause step.
    Continue,
    /// Leave the running step.
    Skip,
    /// To 100 % and the champion alias with it.
    Promote,
    /// Say yes to the named waiting environment.
    Approve,
    /// Start an aborted rollout again.
    Retry,
    /// Run the failed jobs of the run again.
    RerunFailed,
    /// Run all jobs of the run again.
    RerunAll,
    /// Stop the run.
    Cancel,
    /// Replace all pods, a few at a time.
    Restart,
    /// Start a new run.
    Dispatch,
}

/// How much an act is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Makes things safer: never disabled by decision, staleness or movement.
    Brake,
    /// Neither.
    Neutral,
    /// Exposes more users.
    Throttle,
    /// Goes past a rule; needs the release's name typed and a reason.
    Bend,
}

impl Verb {
    /// All verbs, in the order help lists them.
    pub const ALL: [Self; 14] = [
        Self::Hold,
        Self::Abort,
        Self::RollBack,
        Self::Reject,
        Self::Continue,
        Self::Skip,
        Self::Promote,
        Self::Approve,
        Self::Retry,
        Self::RerunFailed,
        Self::RerunAll,
        Self::Cancel,
        Self::Restart,
        Self::Dispatch,
    ];

    /// The word in the ledger, on sheets and (with few exceptions) on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Abort => "abort",
            Self::RollBack => "roll back",
            Self::Reject => "reject",
            Self::Continue => "continue",
            Self::Skip => "skip",
            Self::Promote => "promote",
            Self::Approve => "approve",
            Self::Retry => "retry",
            Self::RerunFailed => "rerun failed jobs",
            Self::RerunAll => "rerun all jobs",
            Self::Cancel => "cancel",
            Self::Restart => "restart",
            Self::Dispatch => "dispatch",
        }
    }

    /// The key that opens its sheet; `None` = a `:` command only.
    pub fn key(self) -> Option<char> {
        match self {
            Self::Hold => Some('H'),
            Self::Abort => Some('B'),
            Self::RollBack => Some('R'),
            Self::Reject => Some('X'),
            Self::Continue => Some('C'),
            Self::Skip => Some('S'),
            Self::Promote => Some('P'),
            Self::Approve => Some('A'),
            Self::Retry | Self::RerunFailed => Some('T'),
            Self::RerunAll | Self::Cancel | Self::Restart | Self::Dispatch => None,
        }
    }

    /// How much it is guarded when no rule stands in its way.
    pub fn class(self) -> Class {
        match self {
            Self::Hold | Self::Abort | Self::RollBack | Self::Reject => Class::Brake,
            Self::Continue | Self::Skip | Self::Promote | Self::Approve | Self::Retry => {
                Class::Throttle
            }
            Self::RerunFailed | Self::RerunAll | Self::Cancel | Self::Restart | Self::Dispatch => {
                Class::Neutral
            }
        }
    }
}

/// What is asked for, before anything is known about whether it can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What.
    pub verb: Verb,
    /// For which service, where.
    pub lane: LaneId,
    /// Roll back: to which pod-template hash, if not the proposed one.
    pub to: Option<Clean>,
    /// Approve, reject: which waiting environment (the backend's name), if there are several.
    pub environment: Option<Clean>,
    /// Dispatch: branch or tag, and inputs.
    pub dispatch: Option<(Clean, Vec<(Clean, Clean)>)>,
    /// Why; kept by backends that keep comments.
    pub reason: Option<Clean>,
}

impl Ask {
    /// The plain form: just the verb and where.
    pub fn new(verb: Verb, lane: LaneId) -> Self {
        Self {
            verb,
            lane,
            to: None,
            environment: None,
            dispatch: None,
            reason: None,
        }
    }
}

/// What would be done. A sheet prints it, `--dry-run` prints it, clearing checks it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What was asked.
    pub ask: Ask,
    /// How much it is guarded, after looking at what it would skip.
    pub class: Class,
    /// Which rule makes it a bend, if it is one.
    pub bends: Option<Clean>,
    /// The release it is about.
    pub release: Option<ReleaseId>,
    /// What people call that release; typed by hand for a bend.
    pub release_label: Clean,
    /// The subject that decides "one throttle at a time".
    pub subject: Subject,
    /// The steps, in order.
    pub steps: Vec<PlanStep>,
    /// What a person should know before agreeing: `(label, text)` lines.
    pub facts: Vec<(Clean, Clean)>,
    /// What may go wrong or stays behind.
    pub warnings: Vec<Clean>,
    /// Other roll-back targets, newest first: hash and label.
    pub alternatives: Vec<(Clean, Clean)>,
    /// The inverse verb, offered once it is done.
    pub undo: Option<Verb>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanStep {
    /// The order.
    pub order: Order,
    /// Its effect, in one sentence.
    pub effect: Clean,
}

/// What to do now about a running plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this step.
    Send(usize),
    /// This step's effect is seen: record it, then ask again.
    Record(usize),
    /// Make the controller look again at this step's target, once.
    Nudge(usize),
    /// Nothing to do before the world changes or this instant comes.
    Wait(Timestamp),
    /// This step did not come about in time: go on without it.
    PassOver(usize, Clean),
    /// Every effect was seen.
    Done,
    /// It cannot go on.
    Stuck(Stuck),
}

/// Why a plan cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// The effect was not seen by its deadline.
    NotSeen(Clean),
    /// The target is not what it was; what is left would act on something else.
    Moved(Clean),
    /// What a step had begun was taken back by somebody.
    TakenBack(Clean),
}

/// How long a brake waits for its effect before it makes the controller look again.
pub const BRAKE_NUDGE: Duration = Duration::from_millis(700);
/// As [`BRAKE_NUDGE`], for everything else.
pub const THROTTLE_NUDGE: Duration = Duration::from_secs(3);
/// How long an object must have been left alone before a throttle is sent to
/// it: a controller that has just written may overlook what arrives meanwhile.
pub const QUIET: Duration = Duration::from_secs(1);
/// How long a controller that finishes an undo alone is left to do so. It takes
/// a quarter of a second.
const BY_ITSELF: Duration = Duration::from_secs(2);
/// How long a throttle waits for that quiet before it goes ahead anyway.
pub const QUIET_PATIENCE: Duration = Duration::from_secs(10);

/// How long an order's effect may take before its outcome is called unknown.
pub fn deadline(order: &Order) -> Duration {
    match order.kind() {
        // Pods have to come up.
        ActionKind::Switch
        | ActionKind::PromoteFull
        | ActionKind::Undo
        | ActionKind::Abort
        | ActionKind::Restart => Duration::from_secs(600),
        ActionKind::Dispatch => Duration::from_secs(60),
        ActionKind::Hold
        | ActionKind::Resume
        | ActionKind::Continue
        | ActionKind::Skip
        | ActionKind::Retry
        | ActionKind::Nudge
        | ActionKind::Approve
        | ActionKind::Reject
        | ActionKind::RerunAll
        | ActionKind::RerunFailed
        | ActionKind::Cancel
        | ActionKind::SetAlias => Duration::from_secs(30),
    }
}

/// What to do now about a running plan. Looks at the first step whose effect is
/// not recorded; everything before it is settled.
pub fn next(plan: &PlanRecord, world: &World, now: Timestamp) -> Next {
    let open = plan.steps.iter().position(|step| !step.state.is_settled());
    match (next_of_open(plan, world, now), open) {
        (Next::Stuck(Stuck::NotSeen(why) | Stuck::Moved(why)), Some(index))
            if may_be_passed_over(plan, index) =>
        {
            Next::PassOver(index, why)
        }
        (next, _) => next,
    }
}

fn next_of_open(plan: &PlanRecord, world: &World, now: Timestamp) -> Next {
    for (index, step) in plan.steps.iter().enumerate() {
        match &step.state {
            StepState::Seen { .. } | StepState::PassedOver => {}
            StepState::Waiting => return before_send(plan, index, world, now),
            StepState::Sending { at } => return Next::Wait(*at + deadline(&step.order)),
            StepState::Answered {
                receipt,
                returned_at,
            } => {
                let version = receipt.as_ref().ok().and_then(|receipt| receipt.version);
                return match verify::effect(world, &step.order, *returned_at, version) {
                    Effect::Seen => Next::Record(index),
                    Effect::Moved(why) => Next::Stuck(Stuck::Moved(why)),
                    Effect::TakenBack(why) => Next::Stuck(Stuck::TakenBack(why)),
                    Effect::UnderWay if leads_on(plan, index) => {
                        let alone_until = *returned_at + BY_ITSELF;
                        if now < alone_until && verify::finishes_by_itself(world, &step.order) {
                            Next::Wait(alone_until)
                        } else {
                            Next::Record(index)
                        }
                    }
                    Effect::UnderWay => after_send(plan, index, false, *returned_at, now),
                    Effect::NotYet => after_send(plan, index, receipt.is_ok(), *returned_at, now),
                };
            }
        }
    }
    Next::Done
}

/// Whether a plan goes on when this step fails: a brake is not stopped by the
/// registry while users have still to be moved.
pub fn may_be_passed_over(plan: &PlanRecord, index: usize) -> bool {
    let mut ahead = plan.steps.iter().skip(index).map(|step| &step.order);
    plan.start.brake
        && matches!(ahead.next(), Some(Order::Model(_)))
        && ahead.any(|order| matches!(order, Order::Rollout(_)))
}

/// Whether what is under way is finished by the steps after it: an undo outside
/// the roll-back window goes through the steps unless it is promoted, and one
/// of a held rollout stands still. Held, users are not brought back either.
fn leads_on(plan: &PlanRecord, index: usize) -> bool {
    let action = |index: usize| match plan.steps.get(index).map(|step| &step.order) {
        Some(Order::Rollout(order)) => Some(&order.action),
        _ => None,
    };
    matches!(
        (action(index), action(index + 1)),
        (
            Some(RolloutAction::Undo { .. }),
            Some(RolloutAction::PromoteFull | RolloutAction::Resume)
        ) | (Some(RolloutAction::Abort), Some(RolloutAction::Resume))
    )
}

fn before_send(plan: &PlanRecord, index: usize, world: &World, now: Timestamp) -> Next {
    let Some(step) = plan.steps.get(index) else {
        return Next::Done;
    };
    // A later step acts on what the earlier ones brought about, so only the
    // object and the revision must still be those that were agreed to.
    if index > 0
        && let Some(why) = verify::overtaken(world, &step.order)
    {
        return Next::Stuck(Stuck::Moved(why));
    }
    // What an earlier step set going may be through by now, which leaves nothing
    // to ask for: a promotion would be told so.
    if index > 0 && verify::is_so_already(world, &step.order) {
        return Next::Record(index);
    }
    if let Some(waits) = unripe(plan, index, world, now) {
        return waits;
    }
    if plan.start.brake {
        return Next::Send(index);
    }
    let Order::Rollout(order) = &step.order else {
        return Next::Send(index);
    };
    let Some(known) = world.rollouts.get(&order.target) else {
        return Next::Send(index);
    };
    let quiet_at = known.changed_at + QUIET;
    let patience_ends = plan.started_at + QUIET_PATIENCE;
    if quiet_at <= now || patience_ends <= now {
        Next::Send(index)
    } else {
        Next::Wait(quiet_at.min(patience_ends))
    }
}

/// What a later step waits for, if its time has not come.
fn unripe(plan: &PlanRecord, index: usize, world: &World, now: Timestamp) -> Option<Next> {
    let (before, step) = (plan.steps.get(..index)?, plan.steps.get(index)?);
    let earlier: Vec<&Order> = before.iter().map(|step| &step.order).collect();
    match verify::ripeness(world, &earlier, &step.order) {
        Ripeness::Ripe => None,
        Ripeness::Never(why) => Some(Next::Stuck(Stuck::TakenBack(why))),
        Ripeness::NotYet(patience) => {
            let since = before.last().and_then(|step| match step.state {
                StepState::Seen { at } => Some(at),
                _ => None,
            });
            let ends_at = since.unwrap_or(plan.started_at) + patience;
            Some(if now < ends_at {
                Next::Wait(ends_at)
            } else {
                let what = format!(
                    "what `{}` waits for was not seen within {}",
                    step.order.kind().word(),
                    short_duration(patience)
                );
                Next::Stuck(Stuck::NotSeen(Clean::from(what)))
            })
        }
    }
}

fn after_send(
    plan: &PlanRecord,
    index: usize,
    overlooked: bool,
    returned_at: Timestamp,
    now: Timestamp,
) -> Next {
    let Some(step) = plan.steps.get(index) else {
        return Next::Done;
    };
    let ends_at = returned_at + deadline(&step.order);
    if ends_at <= now {
        let what = Clean::from(format!(
            "the effect of `{}` was not seen within {} s",
            step.order.kind().word(),
            deadline(&step.order).as_secs()
        ));
        return Next::Stuck(Stuck::NotSeen(what));
    }
    let patience = if plan.start.brake {
        BRAKE_NUDGE
    } else {
        THROTTLE_NUDGE
    };
    let nudge_at = returned_at + patience;
    // What may never have arrived is looked for first; only an accepted change
    // that nothing shows can have been overlooked.
    if overlooked && step.nudged_at.is_none() && can_be_nudged(&step.order) {
        return if nudge_at <= now {
            Next::Nudge(index)
        } else {
            Next::Wait(nudge_at.min(ends_at))
        };
    }
    Next::Wait(ends_at)
}

/// Whether an order goes to a controller that may overlook it.
fn can_be_nudged(order: &Order) -> bool {
    match order {
        Order::Rollout(order) => !matches!(order.action, RolloutAction::Nudge { .. }),
        Order::Approval(_) | Order::Run(_) | Order::Model(_) => false,
    }
}
