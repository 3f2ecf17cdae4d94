//! One plan: written, sent once, seen, nudged where it was overlooked.

use std::{sync::Arc, time::Duration};

use gonogo::{
    domain::{action::ActionKind, observation::ActionOutcome},
    engine::{plan::Verb, world::World},
};
use tokio::time::Instant;

use super::{Scene, Temper};
use crate::support::build::target;

#[tokio::test(start_paused = true)]
async fn a_hold_is_written_sent_once_seen_and_written_again() {
    let scene = Scene::new(Temper::Obedient).await;
    assert_eq!(
        scene.outcome(Verb::Hold).await,
        (ActionOutcome::Confirmed, String::new())
    );
    assert_eq!(scene.sent(), [ActionKind::Hold]);
    assert_eq!(scene.lines(), ["intent hold", "outcome hold confirmed"]);
}

#[tokio::test(start_paused = true)]
async fn a_swallowed_abort_is_nudged_once_and_then_happens() {
    let scene = Scene::new(Temper::Dreamy).await;
    let before = Instant::now();
    assert_eq!(scene.outcome(Verb::Abort).await.0, ActionOutcome::Confirmed);
    assert!(
        before.elapsed() < Duration::from_secs(2),
        "took {:?}",
        before.elapsed()
    );
    assert_eq!(scene.sent(), [ActionKind::Abort, ActionKind::Nudge]);
    assert_eq!(
        scene.lines(),
        ["intent abort", "nudge nudge", "outcome abort confirmed"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_never_seen_is_unknown_and_sent_once() {
    let scene = Scene::new(Temper::Deaf).await;
    let (outcome, note) = scene.outcome(Verb::Hold).await;
    assert_eq!(outcome, ActionOutcome::Unknown);
    assert!(note.contains("not seen within 30 s"), "{note}");
    assert_eq!(scene.sent(), [ActionKind::Hold, ActionKind::Nudge]);
    assert_eq!(scene.lines().last().unwrap(), "outcome hold unknown");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_settled_by_looking_and_not_sent_again() {
    let scene = Scene::new(Temper::Mumbling).await;
    assert_eq!(scene.outcome(Verb::Hold).await.0, ActionOutcome::Confirmed);
    assert_eq!(scene.sent(), [ActionKind::Hold]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_has_failed_and_says_why() {
    let scene = Scene::new(Temper::Refusing).await;
    let (outcome, note) = scene.outcome(Verb::Hold).await;
    assert_eq!(outcome, ActionOutcome::Failed);
    assert!(
        note.contains("not permitted") && note.contains("rollouts/status"),
        "{note}"
    );
    assert_eq!(scene.lines(), ["intent hold", "outcome hold failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_promotion_moves_traffic_then_the_alias_each_with_lines_of_its_own() {
    let scene = Scene::new(Temper::Obedient).await;
    assert_eq!(
        scene.outcome(Verb::Promote).await,
        (ActionOutcome::Confirmed, String::new())
    );
    assert_eq!(
        scene.sent(),
        [ActionKind::PromoteFull, ActionKind::SetAlias]
    );
    assert_eq!(*scene.outside.champion.lock().unwrap(), 2);
    assert_eq!(
        scene.lines(),
        [
            "intent promote-full",
            "intent promote-full",
            "outcome promote-full confirmed",
            "intent set-alias",
            "outcome set-alias confirmed",
            "outcome - confirmed",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_promotion_that_is_under_way_is_not_nudged() {
    let scene = Scene::new(Temper::Slow).await;
    let before = Instant::now();
    assert_eq!(
        scene.outcome(Verb::Promote).await.0,
        ActionOutcome::Confirmed
    );
    assert!(Duration::from_secs(60) <= before.elapsed());
    assert_eq!(
        scene.sent(),
        [ActionKind::PromoteFull, ActionKind::SetAlias]
    );
}

#[tokio::test(start_paused = true)]
async fn a_promotion_that_stops_half_way_is_partial_and_the_next_does_the_rest() {
    let scene = Scene::new(Temper::Obedient).await;
    *scene.outside.frozen.lock().unwrap() = true;
    let (outcome, note) = scene.outcome(Verb::Promote).await;
    assert_eq!(outcome, ActionOutcome::Partial);
    assert!(
        note.starts_with("1 of 2 steps done") && note.contains("registry is frozen"),
        "{note}"
    );
    assert_eq!(
        scene.lines()[3..],
        [
            "intent set-alias",
            "outcome set-alias failed",
            "outcome - partial",
        ]
    );
    *scene.outside.frozen.lock().unwrap() = false;
    // What is live now is measured as such first.
    let judged = |world: &Arc<World>| {
        let mut words = world.decisions.values().map(|decision| decision.word);
        words.all(|word| word == gonogo::domain::verdict::Word::Go)
    };
    scene.handle.worlds().wait_for(judged).await.unwrap();
    assert_eq!(
        scene.outcome(Verb::Promote).await.0,
        ActionOutcome::Confirmed
    );
    assert_eq!(
        scene.sent()[2..],
        [ActionKind::SetAlias],
        "only what was left"
    );
    assert_eq!(*scene.outside.champion.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_unknown_is_still_looked_for_and_written_down_when_it_shows() {
    let scene = Scene::new(Temper::Late).await;
    assert_eq!(scene.outcome(Verb::Hold).await.0, ActionOutcome::Unknown);
    let mut worlds = scene.handle.worlds();
    let confirmed = |world: &Arc<World>| {
        world.plans.values().any(|plan| {
            plan.ended
                .as_ref()
                .is_some_and(|(_, outcome, _)| *outcome == ActionOutcome::Confirmed)
        })
    };
    worlds.wait_for(confirmed).await.unwrap();
    assert_eq!(
        scene.lines(),
        [
            "intent hold",
            "nudge nudge",
            "outcome hold unknown",
            "outcome hold confirmed",
        ]
    );
    assert_eq!(scene.sent(), [ActionKind::Hold, ActionKind::Nudge]);
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_at_100_percent_is_known_to_the_next_process() {
    let scene = Scene::new(Temper::Obedient).await;
    assert_eq!(
        scene.outcome(Verb::Promote).await.0,
        ActionOutcome::Confirmed
    );
    let (outside, folder) = (Arc::clone(&scene.outside), Arc::clone(&scene.folder));
    scene.handle.clone().shutdown().await;
    // Another update has begun when the next process starts.
    outside.rollout.lock().unwrap().current_hash = Some("newer".into());
    let next = Scene::open(outside, folder, scene.now.clone()).await;
    let held = next.handle.world().held_full[&target()].clone();
    assert_eq!(held.last().unwrap().hash, "new");
}
