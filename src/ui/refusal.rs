//! What stands against an act, told so that a person knows what to do about it.
//!
//! The engine names the first rule that refuses. Here the mode steps back behind
//! a reason that opening it would not remove, and "not permitted" to answer an
//! approval becomes the names of those who may.

use crate::{
    domain::{Timestamp, action::Order, text::Clean},
    engine::{
        clear::{self, Mode, Refusal},
        plan::Plan,
        world::World,
    },
};

/// Why a plan cannot be agreed to at the moment, if so.
pub fn objection(world: &World, plan: &Plan, mode: Mode, now: Timestamp) -> Option<Refusal> {
    let first = clear::objection(world, plan, mode, now)?;
    let refusal = if first == Refusal::Mode(Mode::Brake) {
        clear::objection(world, plan, Mode::ReadWrite, now).unwrap_or(first)
    } else {
        first
    };
    Some(match refusal {
        Refusal::Denied(why) => Refusal::Denied(others(world, plan).unwrap_or(why)),
        other => other,
    })
}

/// Who may answer the approval a plan is about, when it is not this person.
fn others(world: &World, plan: &Plan) -> Option<Clean> {
    let Order::Approval(order) = &plan.steps.first()?.order else {
        return None;
    };
    let approval = world.approvals.get(&order.approval)?;
    if approval.may_approve != Some(false) {
        return None;
    }
    let names: Vec<&str> = approval.reviewers.iter().map(Clean::as_str).collect();
    let (last, before) = names.split_last()?;
    let who = if before.is_empty() {
        (*last).to_owned()
    } else {
        format!("{} or {last}", before.join(", "))
    };
    Some(Clean::from(format!("not yours: {who} may answer")))
}
