//! Two plans on one target, in one process and in two.

use std::{fs, sync::Arc};

use gonogo::{
    domain::{action::ActionKind, observation::ActionOutcome},
    engine::{clear::Refusal, plan::Verb},
};
use tempfile::TempDir;

use super::{Scene, Temper};

#[tokio::test(start_paused = true)]
async fn of_two_throttles_one_goes_and_the_other_is_told_who_was_first() {
    let scene = Scene::new(Temper::Deaf).await;
    scene.submit(Verb::Promote).await.unwrap();
    let refusal = scene.submit(Verb::Continue).await.unwrap_err();
    assert!(
        matches!(&refusal, Refusal::Busy(who) if who.contains("mk was first")),
        "{refusal}"
    );
    assert!(
        scene.lines().contains(&"refused continue".to_owned()),
        "{:?}",
        scene.lines()
    );
}

#[tokio::test(start_paused = true)]
async fn a_brake_goes_out_during_a_promotion_and_the_promotion_stops() {
    let scene = Scene::at(Temper::Dreamy, TempDir::new().unwrap(), |rollout| {
        rollout.held = true;
    })
    .await;
    let promotion = scene.submit(Verb::Promote).await.unwrap();
    let mut worlds = scene.handle.worlds();
    // The promotion has sent its first step (it undoes the hold) and waits.
    worlds
        .wait_for(|_| scene.sent().contains(&ActionKind::Resume))
        .await
        .unwrap();
    let brake = scene
        .submit(Verb::Abort)
        .await
        .expect("a brake is never refused for another's action");
    let done = |world: &Arc<gonogo::engine::world::World>| {
        [&promotion, &brake]
            .iter()
            .all(|id| world.plans.get(id).is_some_and(|plan| plan.ended.is_some()))
    };
    let world = worlds.wait_for(done).await.unwrap().clone();
    let outcome = |id| world.plans[id].ended.as_ref().unwrap().1;
    assert_eq!(outcome(&brake), ActionOutcome::Confirmed);
    // Its first step was sent; whether it was seen before the brake came is a race.
    assert!(
        matches!(
            outcome(&promotion),
            ActionOutcome::Unknown | ActionOutcome::Partial
        ),
        "{:?}",
        outcome(&promotion)
    );
    assert!(
        !scene.sent().contains(&ActionKind::PromoteFull),
        "{:?}",
        scene.sent()
    );
    assert!(
        !scene.sent().contains(&ActionKind::SetAlias),
        "{:?}",
        scene.sent()
    );
}

#[tokio::test(start_paused = true)]
async fn a_throttle_that_waits_for_quiet_is_not_sent_once_another_process_pulled_a_brake() {
    let scene = Scene::new(Temper::Obedient).await;
    let beside = scene.beside().await;
    // The rollout was first seen this instant, so that the throttle waits.
    let skip = scene.submit(Verb::Skip).await.unwrap();
    assert_eq!(beside.outcome(Verb::Hold).await.0, ActionOutcome::Confirmed);
    let (outcome, note) = scene.end_of(&skip).await;
    assert_eq!(outcome, ActionOutcome::Refused, "{note}");
    assert!(note.contains("`hold`"), "{note}");
    assert_eq!(scene.sent(), [ActionKind::Hold]);
}

#[tokio::test(start_paused = true)]
async fn a_throttle_that_waits_for_quiet_is_not_sent_once_a_brake_went_to_the_spool() {
    let scene = Scene::new(Temper::Obedient).await;
    let beside = scene.beside().await;
    let skip = scene.submit(Verb::Skip).await.unwrap();
    // From here on the ledger can be read and not written.
    let lock = scene.folder.path().join("state/ledger.jsonl.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    assert_eq!(beside.outcome(Verb::Hold).await.0, ActionOutcome::Confirmed);
    let (outcome, note) = scene.end_of(&skip).await;
    assert_eq!(outcome, ActionOutcome::Refused, "{note}");
    assert!(note.contains("`hold`"), "{note}");
    assert_eq!(scene.sent(), [ActionKind::Hold]);
}
