//! Whether an order's target is still the one that was seen.

use crate::{
    domain::{
        action::{ApprovalOrder, Order, RolloutOrder},
        id::Version,
        text::Clean,
    },
    engine::world::World,
};

/// Why an order's target is not the thing the person saw, brakes included: it
/// is gone, or another object bears its name.
pub fn replaced(world: &World, order: &Order) -> Option<Clean> {
    let Order::Rollout(order) = order else {
        return None;
    };
    match world.rollouts.get(&order.target) {
        None => Some(Clean::from(format!("rollout {} is gone", order.target))),
        Some(known) if known.uid != order.seen.uid => Some(Clean::from(format!(
            "rollout {} was deleted and made anew",
            order.target
        ))),
        Some(_) => None,
    }
}

/// Whether the thing an order acts on is known at all.
pub fn knows(world: &World, order: &Order) -> bool {
    match order {
        Order::Rollout(order) => world.rollouts.contains_key(&order.target),
        Order::Approval(order) => world.runs.contains_key(&order.approval.run),
        Order::Run(order) => order
            .run
            .as_ref()
            .is_none_or(|run| world.runs.contains_key(run)),
        Order::Model(order) => world.models.contains_key(&order.model),
    }
}

/// A later step's order with the precondition the world shows now: the step
/// index an earlier step of the same plan has moved on. The revision stays what
/// was agreed to. An order without an index, as a brake's, gets none: the
/// controller moves on within a tenth of a second, and a brake must not fail
/// for that.
pub fn refreshed(world: &World, order: &Order) -> Order {
    let mut fresh = order.clone();
    if let Order::Rollout(rollout) = &mut fresh
        && rollout.seen.step.is_some()
        && let Some(known) = world.rollouts.get(&rollout.target)
    {
        rollout.seen.step = known.step;
    }
    fresh
}

/// Why a later step must not be sent any more: the object or the revision it
/// was agreed for is another one now.
pub fn overtaken(world: &World, order: &Order) -> Option<Clean> {
    replaced(world, order).or_else(|| {
        let Order::Rollout(order) = order else {
            return None;
        };
        let known = world.rollouts.get(&order.target)?;
        (known.current_hash != order.seen.pod_hash).then(|| {
            Clean::from(format!(
                "rollout {} is on another revision now",
                order.target
            ))
        })
    })
}

/// What moved since the person looked, for orders that must act on what was seen.
pub fn moved(world: &World, order: &Order) -> Option<Clean> {
    match order {
        Order::Rollout(order) => rollout_moved(world, order),
        Order::Approval(order) => approval_moved(world, order),
        Order::Run(order) => {
            let run = world.runs.get(order.run.as_ref()?)?;
            (run.attempt != order.seen_attempt).then(|| {
                Clean::from(format!(
                    "attempt {} is under way now, you saw {}",
                    run.attempt, order.seen_attempt
                ))
            })
        }
        Order::Model(order) => {
            let now = world
                .models
                .get(&order.model)?
                .aliases
                .get(&order.alias)
                .copied();
            (now != order.expected).then(|| {
                let named = |version: Option<Version>| {
                    version.map_or_else(|| "nothing".to_owned(), |v| v.to_string())
                };
                Clean::from(format!(
                    "alias `{}` points to {} now, you saw {}",
                    order.alias,
                    named(now),
                    named(order.expected)
                ))
            })
        }
    }
}

fn rollout_moved(world: &World, order: &RolloutOrder) -> Option<Clean> {
    let known = world.rollouts.get(&order.target)?;
    if known.current_hash != order.seen.pod_hash {
        return Some(Clean::from(format!(
            "rollout {} is on another revision now",
            order.target
        )));
    }
    if known.step != order.seen.step {
        let at = |step: Option<u32>| {
            // Counted from 1, as everywhere where people read.
            step.map_or_else(
                || "no step".to_owned(),
                |step| format!("step {}", step.saturating_add(1)),
            )
        };
        return Some(Clean::from(format!(
            "rollout {} is at {} now, you saw {}",
            order.target,
            at(known.step),
            at(order.seen.step)
        )));
    }
    None
}

fn approval_moved(world: &World, order: &ApprovalOrder) -> Option<Clean> {
    let Some(known) = world.approvals.get(&order.approval) else {
        return Some(Clean::from(format!(
            "`{}` no longer waits for approval",
            order.seen.environment
        )));
    };
    if known.attempt != order.seen.attempt || known.head_sha != order.seen.head_sha {
        return Some("the run was started again meanwhile".into());
    }
    None
}
