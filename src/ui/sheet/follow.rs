//! Opens sheets and keeps them true to the world.

use crate::{
    domain::{Timestamp, action::Order, text::Clean},
    engine::{
        clear::{Mode, Refusal},
        plan::{Ask, Class, Plan, Verb},
        propose::propose,
        verify,
        world::World,
    },
    ui::{
        letters::Letters,
        refusal::objection,
        sheet::{
            Rules, Sheet, Stage,
            ask::{Asks, agreed, first_reason, warnings},
            reasons,
        },
    },
};

/// As many moves are shown; older ones are forgotten.
const MOVES: usize = 3;

impl Sheet {
    /// A sheet for `ask`, made from the world as it is.
    ///
    /// # Errors
    ///
    /// Why there is nothing to agree to: it cannot be proposed, or it would be
    /// refused whatever the person answers.
    pub fn open(
        ticket: u64,
        ask: &Ask,
        world: &World,
        mode: Mode,
        now: Timestamp,
        letters: &mut Letters,
    ) -> Result<Self, Refusal> {
        let (plan, targets) = first_plan(ask, world, now)?;
        if let Some(refusal) = objection(world, &plan, mode, now) {
            return Err(refusal);
        }
        let mut sheet = Self {
            ticket,
            asks: Asks::of(&plan, world),
            warnings: warnings(&plan, world),
            agreed: agreed(&plan, world),
            off: None,
            moved: Vec::new(),
            targets,
            letter: letters.another(),
            shown_at: None,
            early: 0,
            stage: Stage::Letter,
            reason: first_reason(&plan, world),
            typed_reason: None,
            previews: Vec::new(),
            turned: 0,
            parts: 1,
            pages: 1,
            read: 0,
            plan,
        };
        sheet.stage = sheet.first_stage();
        Ok(sheet)
    }

    /// Compares the sheet with the world. What it shows is brought up to date;
    /// if what it would do is no longer what it did, it says what moved and
    /// asks anew. Returns whether its requests have to be shown anew.
    pub fn follow(
        &mut self,
        world: &World,
        mode: Mode,
        now: Timestamp,
        letters: &mut Letters,
        rules: Rules,
    ) -> bool {
        let plan = match propose(world, &self.plan.ask, now) {
            Ok(plan) => plan,
            Err(refusal) => {
                self.switch_off(Some(&refusal), letters);
                return false;
            }
        };
        let (asks, agreed) = (Asks::of(&plan, world), agreed(&plan, world));
        let same = asks == self.asks && agreed == self.agreed && same_target(&self.plan, &plan);
        if !same {
            self.has_moved(moves(&self.plan, &plan, world));
        }
        let differs = plan.steps != self.plan.steps;
        let off = objection(world, &plan, mode, now);
        self.warnings = warnings(&plan, world);
        (self.asks, self.agreed, self.plan) = (asks, agreed, plan);
        if !same && rules.follows_target {
            self.reread();
            self.renew(letters);
        }
        self.switch_off(off.as_ref(), letters);
        differs
    }

    /// Takes note of what moved. What moved before is still worth saying: it may
    /// not have been read yet.
    fn has_moved(&mut self, moves: Vec<Clean>) {
        let before = std::mem::replace(&mut self.moved, moves);
        for earlier in before {
            if self.moved.len() < MOVES && !self.moved.contains(&earlier) {
                self.moved.push(earlier);
            }
        }
    }

    /// Switches the letter off or, when the reason has gone, on again: with
    /// another letter, because this one was read under other conditions.
    fn switch_off(&mut self, refusal: Option<&Refusal>, letters: &mut Letters) {
        let off = refusal.map(|refusal| Clean::from(refusal.to_string()));
        let turned = self.off.is_some() != off.is_some();
        self.off = off;
        if turned {
            self.renew(letters);
        }
    }

    /// What to ask for to point the sheet at the next of its targets.
    pub fn next_target(&self) -> Option<Ask> {
        if self.targets.len() < 2 {
            return None;
        }
        let mut ask = self.plan.ask.clone();
        let named = named(&mut ask);
        let at = named
            .as_ref()
            .and_then(|current| self.targets.iter().position(|(key, _)| key == current))
            .unwrap_or(0);
        let (next, _) = self.targets.get((at + 1) % self.targets.len())?;
        *named = Some(next.clone());
        Some(ask)
    }
}

/// The plan a sheet opens with, and its other targets.
fn first_plan(
    ask: &Ask,
    world: &World,
    now: Timestamp,
) -> Result<(Plan, Vec<(Clean, Clean)>), Refusal> {
    let mut ask = ask.clone();
    if ask.reason.is_none() {
        let preset = reasons(ask.verb).and_then(|reasons| reasons.first().copied());
        ask.reason = preset.map(Clean::from);
    }
    let environments = environments(&ask, world);
    let plan = match propose(world, &ask, now) {
        // Here a person reads before they agree: show the likeliest, offer the others.
        Err(Refusal::NeedsTarget { why, choices }) => {
            let Some(likeliest) = choices.into_iter().next() else {
                return Err(Refusal::NoTarget(why));
            };
            *named(&mut ask) = Some(likeliest);
            propose(world, &ask, now)?
        }
        other => other?,
    };
    let targets = if environments.is_empty() {
        plan.alternatives.clone()
    } else {
        environments
    };
    Ok((plan, targets))
}

/// Where an ask names its target: what is answered or gone to.
fn named(ask: &mut Ask) -> &mut Option<Clean> {
    if matches!(ask.verb, Verb::Approve | Verb::Reject) {
        &mut ask.environment
    } else {
        &mut ask.to
    }
}

/// The waiting environments of the run an approval is about.
fn environments(ask: &Ask, world: &World) -> Vec<(Clean, Clean)> {
    if !matches!(ask.verb, Verb::Approve | Verb::Reject) {
        return Vec::new();
    }
    let run = world
        .lanes
        .get(&ask.lane)
        .and_then(|lane| world.release(lane.release()?))
        .and_then(|release| release.run.value());
    let waiting = run.map(|run| world.approvals_of(run)).unwrap_or_default();
    waiting
        .iter()
        .map(|approval| (approval.environment.clone(), approval.environment.clone()))
        .collect()
}

/// Whether two plans do the same to the same thing. For a brake the step the
/// rollout stands at does not matter; for an approval the comment does not.
fn same_target(old: &Plan, new: &Plan) -> bool {
    let brake = new.class == Class::Brake;
    let orders = || old.steps.iter().zip(&new.steps);
    old.class == new.class
        && old.bends == new.bends
        && old.subject == new.subject
        && old.release == new.release
        && old.release_label == new.release_label
        && old.steps.len() == new.steps.len()
        && orders().all(|(old, new)| essence(&old.order, brake) == essence(&new.order, brake))
}

/// An order without what does not bind it.
fn essence(order: &Order, brake: bool) -> Order {
    let mut order = order.clone();
    match &mut order {
        Order::Rollout(order) if brake => order.seen.step = None,
        Order::Approval(order) => order.comment = Clean::default(),
        Order::Rollout(_) | Order::Run(_) | Order::Model(_) => {}
    }
    order
}

/// What moved between two plans, in words.
fn moves(old: &Plan, new: &Plan, world: &World) -> Vec<Clean> {
    let moved =
        |order: &Order| verify::replaced(world, order).or_else(|| verify::moved(world, order));
    let mut moves: Vec<Clean> = old
        .steps
        .iter()
        .filter_map(|step| moved(&step.order))
        .collect();
    moves.dedup();
    if old.release_label != new.release_label {
        moves.push(Clean::from(format!(
            "the release is {} now, you saw {}",
            new.release_label, old.release_label
        )));
    }
    if moves.is_empty() {
        moves.push("this is not what you read a moment ago; read it again".into());
    }
    moves
}
