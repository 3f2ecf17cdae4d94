//! Has it happened? Settled by looking, never by an "accepted".
//!
//! Only two kinds of sight prove anything about a request: an answer to a
//! question that was asked *after* the request had returned, or a watch event
//! whose version is newer than the one in the request's answer. An older sight
//! that happens to show the wanted state proves nothing.

mod moved;

use std::time::Duration;

use crate::{
    domain::{
        Timestamp,
        action::{
            ActionKind, ApprovalOrder, ModelOrder, Order, RolloutAction, RolloutOrder, RolloutSeen,
            RunAction, RunOrder, Say,
        },
        approval::Answer,
        observation::Basis,
        quantity::Weight,
        rollout::{Cutover, PauseReason, Revision, Rollout, RolloutPhase},
        text::Clean,
    },
    engine::world::{Known, World},
};

pub use moved::{knows, moved, overtaken, refreshed, replaced};

/// What a look shows about an order that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It has happened.
    Seen,
    /// It was taken up and is not through.
    UnderWay,
    /// It is not to be seen, or what is seen proves nothing.
    NotYet,
    /// The target is gone, replaced, or someone else's word came in between.
    Moved(Clean),
    /// It began, and somebody took it back before it was through.
    TakenBack(Clean),
}

/// What the newest world shows about `order`, sent in a request that returned
/// at `returned_at` with the object at `version`.
pub fn effect(
    world: &World,
    order: &Order,
    returned_at: Timestamp,
    version: Option<u64>,
) -> Effect {
    match order {
        Order::Rollout(order) => rollout_effect(world, order, returned_at, version),
        Order::Approval(order) => approval_effect(world, order, returned_at),
        Order::Run(order) => run_effect(world, order, returned_at),
        Order::Model(order) => model_effect(world, order, returned_at),
    }
}

/// Whether a belief was formed after the send returned.
fn proves<V>(known: &Known<V>, returned_at: Timestamp, newer: impl FnOnce(&V) -> bool) -> bool {
    match known.basis {
        Basis::Asked(asked_at) => returned_at < asked_at,
        Basis::Told => newer(&known.value),
    }
}

fn rollout_effect(
    world: &World,
    order: &RolloutOrder,
    returned_at: Timestamp,
    version: Option<u64>,
) -> Effect {
    let Some(known) = world.rollouts.get(&order.target) else {
        return Effect::Moved(Clean::from(format!("rollout {} is gone", order.target)));
    };
    if known.uid != order.seen.uid {
        return Effect::Moved(Clean::from(format!(
            "rollout {} was deleted and made anew",
            order.target
        )));
    }
    let newer = |rollout: &Rollout| match (rollout.version, version) {
        (Some(now), Some(then)) => then < now,
        (None, _) | (_, None) => false,
    };
    // What a skip writes is what it is seen by, so only a later write is the
    // controller's word.
    let own = matches!(order.action, RolloutAction::Skip { .. }) && known.version == version;
    if !proves(known, returned_at, newer) || own {
        return Effect::NotYet;
    }
    if shows(known, &order.action, &order.seen) {
        Effect::Seen
    } else if order.action == RolloutAction::PromoteFull
        && known.aborted.is_some()
        && !known.promoting_full
    {
        // An abort that was there before is cleared by the promotion itself.
        Effect::TakenBack("an abort took the full promotion back".into())
    } else if matches!(order.action, RolloutAction::Switch { .. }) && known.aborted.is_some() {
        Effect::TakenBack(taken_back(known))
    } else if is_under_way(known, &order.action) {
        Effect::UnderWay
    } else {
        Effect::NotYet
    }
}

/// Whether the controller has taken up what takes its time. Of a full
/// promotion: it is at the end of the steps at once, and the pods follow
/// (`syncRolloutStatusCanary`, argo-rollouts). Of an undo: the earlier revision
/// is the wanted one.
fn is_under_way(rollout: &Rollout, action: &RolloutAction) -> bool {
    match action {
        RolloutAction::PromoteFull => {
            let steps = rollout.steps.len();
            rollout.observed && 0 < steps && rollout.step.is_some_and(|step| steps <= step as usize)
        }
        RolloutAction::Undo { hash } => {
            rollout.observed && rollout.current_hash.as_ref() == Some(hash)
        }
        // Users come back in the pass after the one that takes note of it.
        RolloutAction::Abort => is_aborted(rollout),
        // The pause is over, and the pods that are missing come up first.
        RolloutAction::Switch { .. } => is_unpaused(rollout),
        RolloutAction::Hold
        | RolloutAction::Resume
        | RolloutAction::Continue
        | RolloutAction::Skip { .. }
        | RolloutAction::Retry { .. }
        | RolloutAction::Restart { .. }
        | RolloutAction::Nudge { .. } => false,
    }
}

fn is_aborted(rollout: &Rollout) -> bool {
    rollout.aborted.is_some() && rollout.phase == RolloutPhase::Degraded
}

fn is_unpaused(rollout: &Rollout) -> bool {
    rollout.pause.is_none() && !rollout.controller_paused
}

/// Whether what an undo has set going is finished by the controller alone, as
/// far as can be seen: it switches at once to a revision whose pods it has kept.
/// That they were kept is told no more by then, so it is asked what else would
/// keep it from that.
pub fn finishes_by_itself(world: &World, order: &Order) -> bool {
    let Order::Rollout(RolloutOrder {
        target,
        action: RolloutAction::Undo { hash },
        ..
    }) = order
    else {
        return false;
    };
    world.rollouts.get(target).is_some_and(|rollout| {
        let up = rollout.revision(hash).is_some_and(Revision::is_up);
        let was_left = rollout.stable_hash.as_ref() != Some(hash);
        rollout.blue_green.is_some() && was_left && up && rollout.pause.is_none() && !rollout.held
    })
}

/// Whether the time for a later step has come, though everything before it had
/// its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ripeness {
    /// It has.
    Ripe,
    /// Not yet, and this long is waited for it.
    NotYet(Duration),
    /// It will not come.
    Never(Clean),
}

/// How long an alias waits for what is judged after a switch.
const PROOF: Duration = Duration::from_secs(6 * 3600);
/// How long a hold that guards a retry waits for the controller.
const TAKEN_IN: Duration = Duration::from_secs(30);

/// Whether `order` may be sent after `earlier`. The champion is who stays: an
/// alias waits until what users were switched to is stable. And the hold that
/// guards a retried preview ends only when the controller has taken it in.
pub fn ripeness(world: &World, earlier: &[&Order], order: &Order) -> Ripeness {
    let rollouts = earlier.iter().filter_map(|order| match order {
        Order::Rollout(order) => Some(order),
        _ => None,
    });
    let of = |kind: ActionKind| {
        let mut orders = rollouts.clone();
        orders.find(|order| order.action.kind() == kind)
    };
    match order {
        Order::Model(_) => of(ActionKind::Switch).map_or(Ripeness::Ripe, |switch| {
            let Some(known) = world.rollouts.get(&switch.target) else {
                return Ripeness::NotYet(PROOF);
            };
            if known.is_fully_promoted() && known.current_hash == switch.seen.pod_hash {
                Ripeness::Ripe
            } else if known.aborted.is_some() {
                Ripeness::Never(taken_back(known))
            } else {
                let order = Order::Rollout(switch.clone());
                overtaken(world, &order).map_or(Ripeness::NotYet(PROOF), Ripeness::Never)
            }
        }),
        Order::Rollout(order) if order.action == RolloutAction::Resume => {
            let kept = world.rollouts.get(&order.target).is_some_and(|rollout| {
                let current = rollout.current();
                current.is_some_and(|current| current.kept_until.is_some())
            });
            match of(ActionKind::Retry) {
                Some(_) if kept => Ripeness::NotYet(TAKEN_IN),
                Some(_) | None => Ripeness::Ripe,
            }
        }
        Order::Rollout(_) | Order::Approval(_) | Order::Run(_) => Ripeness::Ripe,
    }
}

/// That a switch was taken back, in the controller's words where it has some.
fn taken_back(rollout: &Rollout) -> Clean {
    if rollout.message.is_empty() {
        return "an abort took the switch back".into();
    }
    Clean::from(format!("the switch was taken back: {}", rollout.message))
}

/// Whether a rollout shows the effect of an action: not that the request was
/// stored, but that the controller did what it asks.
fn shows(rollout: &Rollout, action: &RolloutAction, seen: &RolloutSeen) -> bool {
    match action {
        RolloutAction::Hold => rollout.held && rollout.observed,
        RolloutAction::Resume => !rollout.held && rollout.observed,
        RolloutAction::Continue => {
            let stepped = seen
                .step
                .zip(rollout.step)
                .is_some_and(|(before, now)| before < now);
            stepped
                || is_judged_anew(rollout, seen)
                || rollout.is_fully_promoted()
                || is_unpaused(rollout)
        }
        RolloutAction::Switch { .. } => {
            rollout.is_fully_promoted() || rollout.cutover() == Some(Cutover::Switched)
        }
        RolloutAction::Skip { to } => {
            rollout.step.is_some_and(|step| *to <= step) || rollout.is_fully_promoted()
        }
        RolloutAction::PromoteFull => rollout.is_fully_promoted(),
        RolloutAction::Abort => {
            let all_back = rollout.blue_green.is_some() || rollout.weight_actual == Weight::ZERO;
            is_aborted(rollout) && rollout.leaves_users_on_stable() && all_back
        }
        RolloutAction::Retry { .. } => {
            rollout.aborted.is_none() && rollout.phase != RolloutPhase::Degraded
        }
        RolloutAction::Undo { hash } => {
            rollout.is_fully_promoted() && rollout.current_hash.as_ref() == Some(hash)
        }
        RolloutAction::Restart { .. } | RolloutAction::Nudge { .. } => rollout.observed,
    }
}

/// Whether the pause that was ended is followed by another one already, because
/// what was measured anew came out unclear again. A pause step that starts
/// afresh is no such thing: there the continue was lost.
fn is_judged_anew(rollout: &Rollout, seen: &RolloutSeen) -> bool {
    rollout.pause.as_ref().is_some_and(|pause| {
        let unclear = matches!(
            pause.reason,
            PauseReason::InconclusiveAnalysis | PauseReason::InconclusiveExperiment
        );
        unclear
            && seen
                .paused_since
                .zip(pause.since)
                .is_some_and(|(before, now)| before < now)
    })
}

/// Whether the world shows that an order has *not* come about, which is more
/// than not showing that it has.
pub fn shows_absence(world: &World, order: &Order) -> bool {
    match order {
        Order::Rollout(_) => knows(world, order) && !may_be_stored(world, order),
        // It still waits for an answer.
        Order::Approval(order) => world
            .approvals
            .get(&order.approval)
            .is_some_and(|known| known.attempt == order.seen.attempt),
        Order::Run(order) => order
            .run
            .as_ref()
            .is_some_and(|run| world.runs.contains_key(run)),
        Order::Model(order) => world.models.contains_key(&order.model),
    }
}

/// Whether everything is on the revision a full promotion is for.
pub fn is_so_already(world: &World, order: &Order) -> bool {
    let Order::Rollout(order) = order else {
        return false;
    };
    order.action == RolloutAction::PromoteFull
        && world.rollouts.get(&order.target).is_some_and(|known| {
            known.is_fully_promoted() && known.current_hash == order.seen.pod_hash
        })
}

/// Whether the target may carry what was asked for though nothing came of it yet:
/// a controller that overlooked it may still act on it.
fn may_be_stored(world: &World, order: &Order) -> bool {
    let Order::Rollout(order) = order else {
        return false;
    };
    let Some(rollout) = world.rollouts.get(&order.target) else {
        return false;
    };
    match order.action {
        RolloutAction::Hold => rollout.held,
        RolloutAction::PromoteFull => rollout.promoting_full,
        RolloutAction::Abort => rollout.aborted.is_some(),
        RolloutAction::Resume => !rollout.held,
        RolloutAction::Continue | RolloutAction::Switch { .. } => rollout.pause.is_none(),
        RolloutAction::Skip { to } => rollout.step.is_some_and(|step| to <= step),
        RolloutAction::Retry { .. } => rollout.aborted.is_none(),
        RolloutAction::Undo { ref hash } => {
            !rollout.observed || rollout.current_hash.as_ref() == Some(hash)
        }
        // Of a restart nothing is known here but that the controller has seen the spec.
        RolloutAction::Restart { .. } => true,
        RolloutAction::Nudge { .. } => false,
    }
}

fn approval_effect(world: &World, order: &ApprovalOrder, returned_at: Timestamp) -> Effect {
    let reviewed = world
        .reviews
        .get(&order.approval)
        .filter(|review| proves(review, returned_at, |_| false));
    if let Some(review) = reviewed {
        let wanted = match order.answer {
            Say::Yes => Answer::Approved,
            Say::No => Answer::Rejected,
        };
        if review.answer == wanted {
            return Effect::Seen;
        }
    }
    if let Some(run) = world.runs.get(&order.approval.run)
        && run.attempt != order.seen.attempt
    {
        return Effect::Moved(Clean::from(format!(
            "run {} is at attempt {} now",
            order.approval.run, run.attempt
        )));
    }
    Effect::NotYet
}

fn run_effect(world: &World, order: &RunOrder, returned_at: Timestamp) -> Effect {
    let Some(id) = &order.run else {
        // A dispatch: any run of the pipeline that was made after the send.
        let started = world.runs_of(&order.pipeline).any(|run| {
            run.event == "workflow_dispatch"
                && proves(run, returned_at, |_| false)
                && run
                    .created_at
                    .is_some_and(|at| returned_at - chrono::TimeDelta::seconds(30) < at)
        });
        return if started {
            Effect::Seen
        } else {
            Effect::NotYet
        };
    };
    let Some(run) = world.runs.get(id) else {
        return Effect::Moved(Clean::from(format!("run {id} is gone")));
    };
    if !proves(run, returned_at, |_| false) {
        return Effect::NotYet;
    }
    let seen = match order.action {
        RunAction::RerunAll | RunAction::RerunFailed => order.seen_attempt < run.attempt,
        RunAction::Cancel => run.status.has_ended() || run.status.flags.stopping,
        RunAction::Dispatch { .. } => false,
    };
    if seen { Effect::Seen } else { Effect::NotYet }
}

fn model_effect(world: &World, order: &ModelOrder, returned_at: Timestamp) -> Effect {
    let Some(model) = world.models.get(&order.model) else {
        return Effect::Moved(Clean::from(format!("model {} is gone", order.model)));
    };
    if !proves(model, returned_at, |_| false) {
        return Effect::NotYet;
    }
    match model.aliases.get(&order.alias) {
        Some(version) if *version == order.to => Effect::Seen,
        Some(version) if Some(*version) == order.expected => Effect::NotYet,
        Some(version) => Effect::Moved(Clean::from(format!(
            "alias `{}` of {} points to {version}: someone else moved it",
            order.alias, order.model
        ))),
        None => Effect::NotYet,
    }
}
