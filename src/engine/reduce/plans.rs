//! How far our own plans have come.

use std::sync::Arc;

use crate::{
    domain::observation::{ActionOutcome, PlanEvent, PlanProgress},
    engine::world::{KEPT, PlanRecord, StepRecord, StepState, World},
};

pub(super) fn take_plan(world: &mut World, event: &PlanEvent) {
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
    match &event.what {
        PlanProgress::Started(_) => {}
        PlanProgress::Sending { step } => {
            advance(plan, *step, StepState::Sending { at: event.at });
        }
        PlanProgress::Answered {
            step,
            receipt,
            returned_at,
        } => {
            let answered = StepState::Answered {
                receipt: receipt.clone(),
                returned_at: *returned_at,
            };
            advance(plan, *step, answered);
        }
        PlanProgress::Nudged { step } => {
            if let Some(record) = plan.steps.get_mut(*step) {
                record.nudged_at = Some(event.at);
            }
        }
        PlanProgress::Seen { step } => {
            advance(plan, *step, StepState::Seen { at: event.at });
        }
        PlanProgress::PassedOver { step } => advance(plan, *step, StepState::PassedOver),
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

/// A step goes forward only: what was sent is never unsent by an older word.
fn advance(plan: &mut PlanRecord, step: usize, to: StepState) {
    let far = |state: &StepState| match state {
        StepState::Waiting => 0,
        StepState::Sending { .. } => 1,
        StepState::Answered { .. } => 2,
        StepState::Seen { .. } | StepState::PassedOver => 3,
    };
    if let Some(record) = plan.steps.get_mut(step)
        && far(&record.state) <= far(&to)
    {
        record.state = to;
    }
}
