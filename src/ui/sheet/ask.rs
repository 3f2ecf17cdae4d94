//! What a sheet asks for, by verb and by what stands in the way.

use crate::{
    domain::{
        text::Clean,
        verdict::{Decision, Finding, Verdict},
    },
    engine::{
        plan::{Class, Plan, Verb},
        world::World,
    },
};

/// What must be given before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// The letter.
    Letter,
    /// The letter, then Enter.
    LetterThenEnter,
    /// The release's name typed, and a reason, then Enter.
    Bend {
        /// The rule that is gone past.
        rule: Clean,
    },
}

impl Asks {
    /// What this plan asks for in this world.
    pub fn of(plan: &Plan, world: &World) -> Self {
        if let Some(rule) = bend_rule(plan, world) {
            return Self::Bend { rule };
        }
        match (plan.ask.verb, plan.class) {
            (Verb::Reject, _) | (_, Class::Throttle | Class::Bend) => Self::LetterThenEnter,
            (_, Class::Brake | Class::Neutral) => Self::Letter,
        }
    }
}

/// The rule a plan goes past, if it goes past one.
fn bend_rule(plan: &Plan, world: &World) -> Option<Clean> {
    if !needs_decision(plan) {
        return plan.bends.clone();
    }
    let refused = || {
        let decision = decision(plan, world)?;
        (!decision.word.lets_go()).then(|| Clean::from(decision.word.text()))
    };
    plan.bends.clone().or_else(refused)
}

fn needs_decision(plan: &Plan) -> bool {
    match plan.class {
        Class::Brake | Class::Neutral => false,
        Class::Throttle | Class::Bend => true,
    }
}

/// The decision a plan rests on.
pub fn decision<'a>(plan: &Plan, world: &'a World) -> Option<&'a Decision> {
    world
        .decision(plan.release.as_ref()?, &plan.ask.lane.1)
        .map(AsRef::as_ref)
}

fn open_findings<'a>(plan: &Plan, world: &'a World) -> impl Iterator<Item = &'a Finding> {
    let decision = decision(plan, world).filter(|_| needs_decision(plan));
    decision.into_iter().flat_map(Decision::reasons)
}

/// The findings a person agrees to by going on, for those acts that need a decision.
pub fn warnings(plan: &Plan, world: &World) -> Vec<Clean> {
    open_findings(plan, world)
        .map(|finding| {
            let verdict = finding.verdict.word();
            Clean::from(format!("{} {verdict}: {}", finding.gate, finding.reason))
        })
        .collect()
}

/// The same by gate and verdict.
pub fn agreed(plan: &Plan, world: &World) -> Vec<(Clean, Verdict)> {
    open_findings(plan, world)
        .map(|finding| (finding.gate.text().clone(), finding.verdict))
        .collect()
}

/// Index of the reason that is typed.
pub const TYPED_REASON: usize = 3;

/// Reasons that cost one key; `None` where the digits mean something else.
pub fn reasons(verb: Verb) -> Option<[&'static str; 3]> {
    match verb {
        Verb::Hold | Verb::Abort | Verb::RollBack => {
            Some(["metric regression", "user report", "bad data"])
        }
        Verb::Reject => Some(["a gate says no", "not now", "wrong release"]),
        Verb::Continue | Verb::Skip | Verb::Promote | Verb::Approve | Verb::Retry => {
            Some(["as planned", "checked by hand", "mends an incident"])
        }
        Verb::Cancel | Verb::Restart | Verb::Dispatch => {
            Some(["not needed any more", "stuck", "new input"])
        }
        Verb::RerunFailed | Verb::RerunAll => None,
    }
}

/// The reason a sheet opens with. What stops a release is called bad only where
/// it was measured so: nobody is to sign what they did not choose.
pub fn first_reason(plan: &Plan, world: &World) -> usize {
    let stops = matches!(
        plan.ask.verb,
        Verb::Hold | Verb::Abort | Verb::RollBack | Verb::Reject
    );
    let release = plan.release.as_ref();
    let decision = release.and_then(|release| world.decision(release, &plan.ask.lane.1));
    if stops && !decision.is_some_and(|decision| decision.refutes()) {
        TYPED_REASON
    } else {
        0
    }
}
