//! Going back where the controller has not kept what was live before.

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
