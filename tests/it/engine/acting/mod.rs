//! What may be done, what would be done, and when it counts as done.

mod clear;
mod plans;
mod propose;
mod pruned;
mod sharing;
mod verify;

use gonogo::{
    domain::{
        action::{ActionKind, Order, Receipt, RolloutAction, Subject},
        approval::{Answer, Review},
        catalog::PlaceSpec,
        id::{EnvironmentName, PlanId, ServiceName, TargetId},
        measure::{Arm, Sample},
        observation::{ActionOutcome, Fact, Observation, PlanEvent, PlanProgress, PlanStart},
        permit::Permit,
        pipeline::{Outcome, Phase, RunStatus},
        policy::GateRule,
        quantity::Weight,
        rollout::{GitOps, Pause, PauseReason, Rollout, RolloutPhase, RolloutStep},
        verdict::Word,
    },
    engine::{
        clear::{Consent, Mode, Refusal, clear},
        plan::{Ask, Class, Next, Plan, Stuck, Verb, next},
        propose::propose,
        reduce::reduce,
        verify::{Effect, effect, refreshed, shows_absence},
        world::World,
    },
};

use crate::support::build::{
    accuracy_gate, aliases, answer, approval, at, canary, catalog, event, lane, latency_gate, live,
    measure, model_run, registry, revision, rollout, run, runs, target, version, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn gates() -> Vec<GateRule> {
    vec![latency_gate(250.0), accuracy_gate(0.9)]
}

/// A canary of commit B (v2) over A (v1, champion); everything answers at 100 s;
/// p95 as given.
fn scene(p95: f64, of: Rollout) -> World {
    scene_with(catalog(gates()), p95, of)
}

fn scene_with(catalog: gonogo::domain::catalog::Catalog, p95: f64, of: Rollout) -> World {
    let told = [
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(
            100,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![
                model_run(1, &[("accuracy", 0.95)]),
                model_run(2, &[("accuracy", 0.96)]),
            ],
        ),
        rollout(100, of),
        answer(
            "prom",
            "metric",
            100,
            vec![Fact::Measure(measure(Arm::Canary, Sample::Value(p95), 100))],
        ),
    ];
    world(catalog, &told, 100)
}

fn at_pause() -> Rollout {
    canary("r/ranker:1111111", "r/ranker:9f3c2ab")
}

fn ask(world: &World, verb: Verb) -> Result<Plan, Refusal> {
    propose(world, &Ask::new(verb, lane()), at(100))
}

fn yes(world: &World, verb: Verb) -> Plan {
    ask(world, verb).unwrap_or_else(|refusal| panic!("{verb:?}: {refusal}"))
}

fn kinds(plan: &Plan) -> Vec<ActionKind> {
    plan.steps.iter().map(|step| step.order.kind()).collect()
}

fn cleared(world: &World, plan: &Plan, mode: Mode) -> Result<(), Refusal> {
    clear(world, plan, mode, &Consent::default(), at(101)).map(drop)
}

// What would be done.

fn waiting_run() -> World {
    let mut waiting = run(2, B, 50);
    waiting.status = RunStatus::at(Phase::Waiting);
    let told = [
        runs(100, &[&waiting]),
        answer(
            "gh",
            "approvals 2",
            100,
            vec![Fact::Approval(approval(&waiting, "prod-eu"))],
        ),
        registry(
            100,
            aliases(&[]),
            vec![version(2, &[("git_sha", B)])],
            vec![model_run(2, &[("accuracy", 0.96)])],
        ),
        rollout(100, live("r/ranker:9f3c2ab")),
        answer(
            "prom",
            "metric recsys-ranker/prod-eu/latency_p95",
            100,
            vec![],
        ),
    ];
    world(catalog(gates()), &told, 100)
}

fn held(version: u64) -> Rollout {
    Rollout {
        held: true,
        version: Some(version),
        ..at_pause()
    }
}
