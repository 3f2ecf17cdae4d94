//! Metrics of a canary that nobody is on: it was taken back, or nobody was sent
//! to it yet.
//!
//! What a number says at this moment is then about nobody. One that was taken
//! back keeps the verdict of its last windows, so that bad evidence is not gone
//! with the traffic; an attempt that has not begun has none.

use crate::{
    domain::{
        catalog::MetricSpec,
        measure::Arm,
        policy::{BaselineSource, GateRule, Versus},
        rollout::{Rollout, RolloutStep, Strategy},
        text::Clean,
    },
    engine::{
        gate::{
            View,
            front::{BaselineEvidence, Evidence, Gathered, Producer, Value},
            metric::{canary_subject, covered, requests},
            windows::{Measured, of_its_life},
        },
        lane::Place,
    },
};

/// What stands for the numbers of a canary without traffic; `None` where
/// somebody is on it.
pub(super) fn instead(rule: &GateRule, spec: &MetricSpec, view: &View<'_>) -> Option<Gathered> {
    let rollout = &view.world.rollouts.get(&view.place.target)?.value;
    if rollout.weight_actual.get() > 0 {
        return None;
    }
    match view.lane.place {
        Place::Aborted => Some(of_the_past(rule, spec, view)),
        Place::Canary { .. } if is_untried(rollout) => {
            let why = "no traffic is on it yet";
            Some(nothing(spec, why, Producer::AtWork))
        }
        _ => None,
    }
}

fn nothing(spec: &MetricSpec, why: impl Into<Clean>, producer: Producer) -> Gathered {
    Gathered::Nothing {
        why: why.into(),
        producer,
        backend: Some(spec.backend.clone()),
    }
}

/// Whether no request can have come to a canary whose share is 0: headers and
/// mirrors bring some past the share.
fn is_untried(rollout: &Rollout) -> bool {
    let done = rollout.step.and_then(|step| usize::try_from(step).ok());
    let routes =
        |step: &RolloutStep| matches!(step, RolloutStep::Other(name) if name.contains("Route"));
    let routed = rollout.steps.iter().take(done.unwrap_or(0)).any(routes);
    rollout.strategy == Strategy::Canary && !routed
}

fn of_the_past(rule: &GateRule, spec: &MetricSpec, view: &View<'_>) -> Gathered {
    let Some(breaches) = rule.breaches else {
        let why = "aborted: no traffic is on it, and what it came to before is not kept";
        return nothing(spec, why, Producer::Ended);
    };
    let Some(known) = view.world.windows.get(&spec.id) else {
        return nothing(spec, "not measured yet", Producer::AtWork);
    };
    let windows = of_its_life(rule, breaches, spec, view);
    let Some(last) = windows.windows.last().copied() else {
        let why = "aborted: no traffic is on it, and no window of its life is known";
        return nothing(spec, why, Producer::Ended);
    };
    Gathered::Found(Box::new(Evidence {
        covered: Some(covered(breaches, &windows)),
        value: Value::Number {
            value: last.value,
            over: Some(spec.looks_back).filter(|back| !back.is_zero()),
            windows: Some(windows),
        },
        baseline: rule.versus.as_ref().map(|versus| baseline(versus, last)),
        about: canary_subject(view),
        made_at: Some(last.ends_at),
        fetched_at: known.at,
        // Only a new attempt brings something newer.
        default_max_age: None,
        changes_at: None,
        samples: last.requests.map(requests),
        producer: Producer::Ended,
        backend: spec.backend.clone(),
        url: None,
    }))
}

fn baseline(versus: &Versus, last: Measured) -> BaselineEvidence {
    if versus.baseline != BaselineSource::Stable {
        return BaselineEvidence::None("a query is compared with `stable`".into());
    }
    last.stable.map_or_else(
        || BaselineEvidence::None(Clean::from(format!("no series for {}", Arm::Stable.name()))),
        |value| BaselineEvidence::Value {
            name: Arm::Stable.name().into(),
            value,
            same_data: Some(true),
        },
    )
}
