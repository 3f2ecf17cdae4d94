//! Since when something hurts: that it is live for an hour says little about a
//! number that went bad five minutes ago.

use chrono::TimeDelta;

use crate::{
    domain::{
        Timestamp,
        measure::Window,
        policy::{GateRule, GateSource, Limit},
        verdict::Verdict,
    },
    engine::{
        lane::{Lane, Place},
        world::World,
    },
};

/// Since when the gates that fail have been outside their limits without a
/// break, as far as the windows known reach back; the earliest of them. What is
/// live did not hurt before it was. `None` where no window tells.
pub fn since(world: &World, lane: &Lane) -> Option<Timestamp> {
    let decision = world.decision(lane.release()?, &lane.environment)?;
    let service = world.catalog.services.get(&lane.service)?;
    let rules = &world.catalog.policies.get(&service.policy)?.gates;
    let live = lane.since.filter(|_| lane.place == Place::Live);
    let failing = decision
        .findings
        .iter()
        .filter(|finding| finding.required && finding.verdict == Verdict::Fail)
        .map(|finding| &finding.gate);
    failing
        .chain(decision.last_bad.as_ref().map(|last| &last.gate))
        .filter_map(|gate| rules.iter().find(|rule| rule.id == *gate))
        .filter_map(|rule| outside_since(world, lane, rule))
        .min()
        .map(|since| live.map_or(since, |live| live.max(since)))
}

fn outside_since(world: &World, lane: &Lane, rule: &GateRule) -> Option<Timestamp> {
    let GateSource::Metric(metric) = &rule.source else {
        return None;
    };
    let spec = world
        .catalog
        .metric(&lane.service, &lane.environment, metric)?;
    let known = &world.windows.get(&spec.id)?.value;
    let arm = lane.place.arm(spec);
    let bad = |window: &&Window| {
        let value = window.value(arm);
        value.is_some_and(|value| is_outside(rule.fail, value))
    };
    let first = known.windows.iter().rev().take_while(bad).last()?;
    Some(first.ends_at - TimeDelta::from_std(known.width).ok()?)
}

fn is_outside(limit: Limit, value: f64) -> bool {
    limit.below.is_some_and(|low| value < low) || limit.above.is_some_and(|high| high < value)
}
