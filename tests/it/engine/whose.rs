//! Whose approval, whose rollout: what acts in one environment acts on that one.

use gonogo::{
    domain::{
        action::{Order, RolloutAction},
        catalog::{Catalog, EnvironmentSpec, PlaceSpec},
        id::{ApprovalId, EnvironmentName, TargetId},
        observation::Fact,
        pipeline::{Phase, RunStatus},
        rollout::Rollout,
    },
    engine::{
        clear::Refusal,
        flow::{FlowState, flow},
        lane::Place,
        plan::{Ask, Plan, Verb},
        propose::propose,
        world::{LaneId, World},
    },
};

use crate::support::build::{
    accuracy_gate, aliases, answer, approval, at, backend, canary, catalog, lane, live, model_run,
    registry, run, runs, target, version, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn us() -> LaneId {
    (lane().0, EnvironmentName::new("prod-us"))
}

fn us_target() -> TargetId {
    TargetId {
        name: "ranker-us".into(),
        ..target()
    }
}

/// The service in two environments.
fn two_places() -> Catalog {
    let mut catalog = catalog(vec![accuracy_gate(0.9)]);
    let (service, environment) = us();
    catalog.environments.insert(
        environment.clone(),
        EnvironmentSpec {
            backend: backend("prod"),
            critical: false,
            read_only: false,
        },
    );
    let spec = catalog.services.get_mut(&service).unwrap();
    spec.places.push(PlaceSpec {
        environment,
        target: us_target(),
        container: None,
    });
    catalog
}

/// Commit B rolls out in prod-eu while its run waits for `environments`; A is
/// live in prod-us.
fn scene(environments: &[&str]) -> World {
    let mut waiting = run(2, B, 50);
    waiting.status = RunStatus::at(Phase::Waiting);
    let approvals = environments.iter().zip(7..).map(|(name, number)| {
        let mut one = approval(&waiting, name);
        one.id = ApprovalId {
            environment: number,
            ..one.id
        };
        Fact::Approval(one)
    });
    let there = Rollout {
        id: us_target(),
        ..live("r/ranker:9f3c2ab")
    };
    let told = [
        runs(100, &[&run(1, A, 0), &waiting]),
        answer("gh", "approvals 2", 100, approvals.collect()),
        registry(
            100,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![
                model_run(1, &[("accuracy", 0.95)]),
                model_run(2, &[("accuracy", 0.96)]),
            ],
        ),
        answer(
            "prod",
            "rollouts",
            100,
            vec![
                Fact::Rollout(Box::new(canary("r/ranker:1111111", "r/ranker:9f3c2ab"))),
                Fact::Rollout(Box::new(there)),
            ],
        ),
    ];
    world(two_places(), &told, 100)
}

fn ask(world: &World, verb: Verb, lane: LaneId) -> Result<Plan, Refusal> {
    propose(world, &Ask::new(verb, lane), at(100))
}

fn answered(plan: &Plan) -> &str {
    match &plan.steps[0].order {
        Order::Approval(order) => &order.seen.environment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_goes_to_the_environment_it_is_given_for_and_to_no_other() {
    let world = scene(&["prod-us"]);
    assert_eq!(
        answered(&ask(&world, Verb::Approve, us()).unwrap()),
        "prod-us"
    );
    for verb in [Verb::Approve, Verb::Reject] {
        let refusal = ask(&world, verb, lane()).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "nothing waits for approval before prod-eu; `prod-us` does",
            "{verb:?}"
        );
    }
    assert!(matches!(world.lanes[&us()].place, Place::Approval { .. }));
    assert!(matches!(world.lanes[&lane()].place, Place::Canary { .. }));
}

#[test]
fn an_environment_named_like_none_of_ours_stands_before_all_of_them() {
    let world = scene(&["staging"]);
    for lane in [lane(), us()] {
        assert_eq!(
            answered(&ask(&world, Verb::Approve, lane).unwrap()),
            "staging"
        );
    }
    let both = scene(&["staging", "prod-us"]);
    assert_eq!(
        answered(&ask(&both, Verb::Approve, us()).unwrap()),
        "prod-us"
    );
    assert_eq!(
        answered(&ask(&both, Verb::Approve, lane()).unwrap()),
        "staging"
    );
}

#[test]
fn the_flow_shows_the_approval_of_its_own_environment() {
    let world = scene(&["prod-us"]);
    let approve = |lane: &LaneId| {
        flow(&world, &world.lanes[lane], at(100))
            .into_iter()
            .find(|stage| stage.name == "approve")
            .map(|stage| stage.state)
    };
    assert_eq!(approve(&us()), Some(FlowState::AsksPerson));
    assert_eq!(approve(&lane()), None);
}

/// Its alias must not move while no user has it.
#[test]
fn a_release_that_is_not_in_the_environment_cannot_be_promoted_there() {
    let world = scene(&["prod-us"]);
    let refusal = ask(&world, Verb::Promote, us()).unwrap_err().to_string();
    assert_eq!(refusal, "v2 is not in prod-us yet; there is v1");
    let plan = ask(&world, Verb::Promote, lane()).unwrap();
    assert_eq!(plan.release_label, "v2");
}

/// What acts on a rollout is about what is in it, not about what is coming.
#[test]
fn restarting_names_the_release_whose_pods_restart() {
    let world = scene(&["prod-us"]);
    let plan = ask(&world, Verb::Restart, us()).unwrap();
    assert_eq!(plan.release_label, "v1");
    let Order::Rollout(order) = &plan.steps[0].order else {
        panic!("{:?}", plan.steps)
    };
    assert!(matches!(order.action, RolloutAction::Restart { .. }));
    assert_eq!(order.target, us_target());
}
