//! What plans and refusals say: the same words for keys and for scripts.

use gonogo::{
    domain::rollout::{Rollout, RolloutPhase},
    engine::{
        clear::{Consent, Mode, Refusal, clear},
        plan::{Ask, Verb},
        propose::propose,
        world::World,
    },
};

use crate::support::build::{
    at, canary, catalog, lane, latency_gate, live, revision, rollout, run, runs, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn at_pause() -> Rollout {
    canary("r/ranker:1111111", "r/ranker:9f3c2ab")
}

fn aborted() -> Rollout {
    Rollout {
        aborted: Some(Some(at(90))),
        phase: RolloutPhase::Degraded,
        ..at_pause()
    }
}

fn scene(of: Rollout) -> World {
    let told = [
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        rollout(100, of),
    ];
    world(catalog(vec![latency_gate(250.0)]), &told, 100)
}

fn refused(of: Rollout, verb: Verb) -> String {
    propose(&scene(of), &Ask::new(verb, lane()), at(100))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_finished_rollout_says_that_it_is_finished() {
    let done = "nothing is rolling out: users are fully on the wanted revision";
    for verb in [Verb::Continue, Verb::Skip, Verb::Hold] {
        assert_eq!(refused(live("r/ranker:1111111"), verb), done, "{verb:?}");
    }
    let moving = Rollout {
        pause: None,
        ..at_pause()
    };
    assert_eq!(
        refused(moving, Verb::Continue),
        "not paused: it moves by itself"
    );
}

/// Whether a text names a key of the cockpit: one letter between backquotes.
fn names_a_key(text: &str) -> bool {
    text.split('`').skip(1).step_by(2).any(|quoted| {
        let mut letters = quoted.chars();
        matches!(
            (letters.next(), letters.next()),
            (Some(letter), None) if letter.is_ascii_alphabetic()
        )
    })
}

#[test]
fn no_plan_and_no_refusal_names_a_key_a_script_does_not_have() {
    assert!(names_a_key("aborted: `T` starts it again"));
    let mut left = live("r/ranker:9f3c2ab");
    left.revisions[0].number = 3;
    left.revisions[0].earlier = vec![1];
    left.revisions.push(revision(
        2,
        "new",
        "r/ranker:1111111",
        gonogo::domain::rollout::Role::Old,
    ));
    let held = Rollout {
        held: true,
        ..at_pause()
    };
    for of in [at_pause(), aborted(), held, left] {
        let world = scene(of);
        for verb in Verb::ALL {
            let mut said = Vec::new();
            match propose(&world, &Ask::new(verb, lane()), at(100)) {
                Err(refusal) => said.push(refusal.to_string()),
                Ok(plan) => {
                    said.extend(plan.facts.iter().map(|(_, text)| text.to_string()));
                    said.extend(plan.warnings.iter().map(ToString::to_string));
                    said.extend(plan.steps.iter().map(|step| step.effect.to_string()));
                    let cleared =
                        clear(&world, &plan, Mode::ReadWrite, &Consent::default(), at(100));
                    said.extend(cleared.err().map(|refusal| refusal.to_string()));
                }
            }
            for text in said {
                assert!(!names_a_key(&text), "{verb:?}: {text}");
            }
        }
    }
}

#[test]
fn one_warning_is_not_several() {
    let of = |count: usize| Refusal::Warnings(vec!["drift warn: high".into(); count]).to_string();
    assert_eq!(of(1), "1 warning not accepted; drift warn: high");
    assert!(of(2).starts_with("2 warnings not accepted; "));
}
