//! What stands against an act, told so that a person knows what to do about it.
//!
//! The engine names the first rule that refuses. Here the mode steps back behind
//! a reason that opening it would not remove, and "not permitted" to answer an
//! approval becomes the names of those who may.

use crate::{
    domain::{Timestamp, action::Order, text::Clean},
    engine::{
        clear::{self, Mode, Refusal},
        plan::{Plan, Verb},
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

/// A text that names commands, naming the keys for them instead: who sits at the
/// cockpit presses `T` and types no `retry`.
pub fn with_keys(text: &str) -> String {
    let keys = Verb::ALL.iter().filter_map(|verb| {
        let command = verb.word().replace(' ', "");
        Some((format!("`{command}`"), verb.key()?.to_string()))
    });
    keys.fold(text.to_owned(), |text, (command, key)| {
        text.replace(&command, &key)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_named_by_their_keys_and_names_stay() {
        let said = "aborted: `retry` starts it again, `rollback` goes on in `prod-us`";
        let keyed = "aborted: T starts it again, R goes on in `prod-us`";
        assert_eq!(with_keys(said), keyed);
        // Cancel has no key: it is typed as `:cancel`.
        assert_eq!(with_keys("`cancel` it"), "`cancel` it");
    }
}
