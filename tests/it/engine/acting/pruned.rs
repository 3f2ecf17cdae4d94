//! Going back where what was live before is not kept, was not seen, or was left.

use gonogo::domain::rollout::{Revision, Role};

use super::*;

/// v1 was live; then v2 is, and of the others `kept` are still there. Every test
/// names what held 100 % before v2, as it was seen.
fn promoted(before: &[(&'static str, &'static str)], kept: Vec<Revision>) -> World {
    let mut world = scene(200.0, live("r/ranker:9f3c2ab"));
    for (index, (hash, image)) in before.iter().enumerate() {
        let mut seen = live(image);
        seen.version = Some(101 + u64::try_from(index).unwrap());
        seen.current_hash = Some((*hash).into());
        seen.stable_hash = Some((*hash).into());
        seen.revisions = vec![revision(2, hash, image, Role::Stable)];
        reduce(
            &mut world,
            &rollout(100 + 1 + i64::try_from(index).unwrap(), seen),
        );
    }
    let mut now = live("r/ranker:1111111");
    now.version = Some(200);
    (now.current_hash, now.stable_hash) = (Some("new".into()), Some("new".into()));
    now.revisions = vec![revision(10, "new", "r/ranker:1111111", Role::Stable)];
    now.revisions.extend(kept);
    reduce(&mut world, &rollout(110, now));
    gonogo::engine::reduce::settle(&mut world, at(110));
    world
}

fn never_live() -> Revision {
    revision(9, "nine", "r/ranker:9999999", Role::Old)
}

#[test]
fn what_was_never_live_does_not_stand_in_for_what_was() {
    let world = promoted(&[], vec![never_live()]);
    let Refusal::NeedsTarget { why, choices } = ask(&world, Verb::RollBack).unwrap_err() else {
        panic!("another refusal");
    };
    for part in [
        "users were on 9f3c2ab before",
        "never seen at 100 %",
        "--to 9999999",
    ] {
        assert!(why.contains(part), "no `{part}` in: {why}");
    }
    assert_eq!(choices, ["nine"]);

    let mut named = Ask::new(Verb::RollBack, lane());
    named.to = Some("9999999".into());
    let plan = propose(&world, &named, at(110)).unwrap();
    assert_eq!(kinds(&plan)[0], ActionKind::Undo);
    assert!(
        plan.warnings[0].contains("users were on 9f3c2ab before"),
        "{plan:?}"
    );
}

#[test]
fn what_was_live_earlier_is_gone_to_and_what_is_gone_is_named() {
    // 9f3c2ab, 5555555 and then 1111111; of the first two only the first is kept.
    let kept = vec![
        never_live(),
        revision(1, "old", "r/ranker:9f3c2ab", Role::Old),
    ];
    let world = promoted(&[("five", "r/ranker:5555555")], kept);
    let plan = yes(&world, Verb::RollBack);
    let to = plan.facts.iter().find(|(label, _)| *label == "to").unwrap();
    assert!(
        to.1.starts_with("v1 ") && to.1.contains("seen at 100 %"),
        "{plan:?}"
    );
    assert!(
        plan.warnings[0].contains("users were on 5555555 before"),
        "{plan:?}"
    );
}

#[test]
fn what_was_live_before_and_is_kept_needs_no_word() {
    let kept = vec![
        never_live(),
        revision(1, "old", "r/ranker:9f3c2ab", Role::Old),
    ];
    let plan = yes(&promoted(&[], kept), Verb::RollBack);
    let to = plan.facts.iter().find(|(label, _)| *label == "to").unwrap();
    assert!(to.1.starts_with("v1 "), "{plan:?}");
    assert_eq!(plan.warnings, Vec::<gonogo::domain::text::Clean>::new());
}

/// The first canary is looked at while v1 is stable; it and two more are undone,
/// a fourth is promoted, and nobody was there to see v1 at 100 %.
#[test]
fn what_canaries_were_tried_against_is_gone_back_to_and_no_canary_is() {
    let mut world = scene(200.0, at_pause());
    let mut now = live("r/ranker:4444444");
    now.version = Some(200);
    (now.current_hash, now.stable_hash) = (Some("four".into()), Some("four".into()));
    now.revisions = vec![
        revision(5, "four", "r/ranker:4444444", Role::Stable),
        revision(4, "three", "r/ranker:3333333", Role::Old),
        revision(3, "two", "r/ranker:2222222", Role::Old),
        revision(2, "new", "r/ranker:1111111", Role::Old),
        revision(1, "old", "r/ranker:9f3c2ab", Role::Old),
    ];
    reduce(&mut world, &rollout(110, now));
    gonogo::engine::reduce::settle(&mut world, at(110));
    let plan = yes(&world, Verb::RollBack);
    let said = |of: &str| plan.facts.iter().find(|(label, _)| *label == *of).unwrap();
    assert!(said("to").1.starts_with("v1 "), "{plan:?}");
    assert_eq!(
        said("past").1,
        "3333333, 2222222, v2: never seen at 100 % from here"
    );
}

/// Nothing was seen from here; the registry knows what users were on.
#[test]
fn the_champion_that_does_not_run_is_gone_back_to() {
    let mut now = live("r/ranker:4444444");
    now.revisions = vec![
        revision(5, "old", "r/ranker:4444444", Role::Stable),
        revision(4, "three", "r/ranker:3333333", Role::Old),
        revision(1, "one", "r/ranker:9f3c2ab", Role::Old),
    ];
    let plan = yes(&scene(200.0, now), Verb::RollBack);
    let to = plan.facts.iter().find(|(label, _)| *label == "to").unwrap();
    assert!(
        to.1.starts_with("v1 ") && to.1.contains("the champion"),
        "{plan:?}"
    );
}

/// v1 was left for v2, which was left for v1 again.
fn left_behind() -> Rollout {
    let mut back = revision(3, "old", "r/ranker:9f3c2ab", Role::Stable);
    back.earlier = vec![1];
    let left = revision(2, "new", "r/ranker:1111111", Role::Old);
    Rollout {
        revisions: vec![back, left],
        ..live("r/ranker:9f3c2ab")
    }
}

#[test]
fn going_to_what_users_were_taken_from_takes_its_name() {
    let world = scene(200.0, left_behind());
    let mut named = Ask::new(Verb::RollBack, lane());
    // As the registry says it, without the letter.
    named.to = Some("2".into());
    assert!(propose(&world, &named, at(100)).is_ok());
    named.to = Some("v2".into());
    let plan = propose(&world, &named, at(100)).unwrap();
    assert_eq!(plan.class, Class::Brake);
    assert_eq!(plan.release_label, "v2");
    let refused = clear(&world, &plan, Mode::Brake, &Consent::default(), at(101)).unwrap_err();
    let Refusal::NeedsBend { rule, name } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        (rule.as_str(), name.as_str()),
        ("users were taken from v2 back to v1", "v2")
    );
    let bend = |name: &str| Consent {
        warnings: true,
        bend: Some((name.to_owned().into(), "v1 loses carts".into())),
    };
    assert!(clear(&world, &plan, Mode::Brake, &bend("v1"), at(101)).is_err());
    let cleared = clear(&world, &plan, Mode::Brake, &bend("v2"), at(101)).unwrap();
    assert_eq!(cleared.reason().unwrap(), "v1 loses carts");
}

#[test]
fn what_was_left_is_the_way_back_from_what_is_measured_to_be_bad() {
    // 400 ms where 250 are allowed, and nothing else is left.
    let mut world = scene(400.0, left_behind());
    let mut measured = measure(Arm::Stable, Sample::Value(400.0), 100);
    measured.at = at(100);
    reduce(
        &mut world,
        &answer(
            "prom",
            "metric",
            100,
            vec![gonogo::domain::observation::Fact::Measure(measured)],
        ),
    );
    gonogo::engine::reduce::settle(&mut world, at(100));
    let decision = world.decisions.values().next().unwrap();
    assert_eq!(decision.word, Word::NoGo, "{decision:?}");
    // No command repeated by a script leads there, and one letter of a person does.
    let Refusal::NeedsTarget { choices, .. } = ask(&world, Verb::RollBack).unwrap_err() else {
        panic!("another refusal");
    };
    let mut named = Ask::new(Verb::RollBack, lane());
    named.to = choices.into_iter().next();
    let plan = propose(&world, &named, at(119)).unwrap();
    assert!(plan.bends.is_some(), "v1 has just taken over: {plan:?}");
    let plan = propose(&world, &named, at(400)).unwrap();
    assert_eq!((plan.class, &plan.bends), (Class::Brake, &None));
    assert!(
        plan.steps
            .iter()
            .any(|step| step.order.kind() == ActionKind::Undo)
    );
}

#[test]
fn a_roll_back_that_left_the_alias_behind_is_ended_by_the_same_key() {
    let mut world = scene(200.0, left_behind());
    let told = registry(
        101,
        aliases(&[("champion", 2)]),
        vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
        vec![
            model_run(1, &[("accuracy", 0.95)]),
            model_run(2, &[("accuracy", 0.96)]),
        ],
    );
    reduce(&mut world, &told);
    gonogo::engine::reduce::settle(&mut world, at(101));
    let plan = yes(&world, Verb::RollBack);
    assert_eq!(plan.class, Class::Brake);
    let kinds = kinds(&plan);
    assert!(
        !kinds.is_empty() && kinds.iter().all(|kind| *kind == ActionKind::SetAlias),
        "{plan:?}"
    );
    assert_eq!(cleared(&world, &plan, Mode::Brake), Ok(()));
}
