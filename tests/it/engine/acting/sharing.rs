//! One champion alias for several environments.

use super::{propose::gone_back, *};

/// A canary of v2 in `prod-eu`, and another rollout in `prod-us`; the alias of
/// both points to `champion`.
fn beside(there: Rollout, champion: u64) -> World {
    let elsewhere = TargetId {
        name: "recsys-ranker-us".into(),
        ..target()
    };
    let mut two = catalog(gates());
    let places = &mut two.services.get_mut(&lane().0).unwrap().places;
    places.push(PlaceSpec {
        environment: EnvironmentName::new("prod-us"),
        target: elsewhere.clone(),
        container: None,
    });
    let there = Rollout {
        id: elsewhere,
        ..there
    };
    let told = [
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(
            100,
            aliases(&[("champion", champion)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![],
        ),
        rollout(100, at_pause()),
        answer(
            "prod",
            "elsewhere",
            100,
            vec![Fact::Rollout(Box::new(there))],
        ),
    ];
    world(two, &told, 100)
}

#[test]
fn who_stays_on_what_a_shared_alias_leaves_is_named() {
    let warned = |image: &str| yes(&beside(live(image), 2), Verb::RollBack).warnings;
    let said = "recsys-ranker prod-us stays on v2 while `champion`, which it shares, names v1";
    assert_eq!(warned("r/ranker:1111111"), [said]);
    assert!(warned("r/ranker:9f3c2ab").is_empty());
}

#[test]
fn a_promotion_says_where_users_were_taken_back_from_what_it_promotes() {
    let warned = |there: Rollout| yes(&beside(there, 1), Verb::Promote).warnings;
    assert_eq!(
        warned(gone_back(vec![])),
        ["recsys-ranker prod-us was taken back from v2 to v1"]
    );
    assert!(warned(live("r/ranker:9f3c2ab")).is_empty());
}
