//! What a process that died has left in the ledger.

use std::path::Path;

use gonogo::{
    domain::{
        action::{ModelOrder, Order, RolloutAction, RolloutOrder, RolloutSeen},
        id::{PlanId, TargetId, Version},
        observation::ActionOutcome,
    },
    engine::plan::Verb,
    store::{Actor, Entry, EntryKind, Ledger, Writer},
};
use tempfile::TempDir;

use super::{Scene, Temper, paths};
use crate::support::build::{at, model, target};

/// Lines of a plan whose process is no more.
struct Left<'a> {
    folder: &'a Path,
    verb: &'static str,
    steps: u32,
}

impl Left<'_> {
    fn line(&self, step: Option<u32>, order: &Order, outcome: Option<ActionOutcome>) {
        let kind = if outcome.is_some() {
            EntryKind::Outcome
        } else {
            EntryKind::Intent
        };
        let actor = Actor {
            os_user: "ana".into(),
            backends: Vec::new(),
        };
        let mut entry = Entry::new(kind, self.verb, actor);
        entry.plan = Some(PlanId::new("left-behind"));
        entry.step = step;
        entry.steps = Some(self.steps);
        entry.brake = self.verb == "hold";
        entry.order = Some(order.clone());
        entry.outcome = outcome;
        let dead = Writer {
            start: Some("another boot".into()),
            ..Writer::this_process()
        };
        Ledger::new(paths(self.folder), dead)
            .append(&entry, at(900))
            .unwrap();
    }
}

fn order(target: TargetId, action: RolloutAction) -> Order {
    Order::Rollout(RolloutOrder {
        target,
        action,
        seen: RolloutSeen {
            uid: "uid-1".into(),
            pod_hash: Some("new".into()),
            step: Some(1),
            paused_since: None,
        },
    })
}

/// The line that settles what was left behind, and its note.
async fn settled(scene: &Scene) -> Vec<(Option<u32>, ActionOutcome, String)> {
    let mut worlds = scene.handle.worlds();
    let read = || {
        let ledger = Ledger::new(paths(scene.folder.path()), Writer::this_process());
        let lines = ledger.reader().read_new().unwrap();
        (ledger.unsettled(at(2000)).unwrap().is_empty(), lines)
    };
    worlds.wait_for(|_| read().0).await.unwrap();
    read()
        .1
        .iter()
        .filter(|line| line.note.contains("settled by looking"))
        .map(|line| (line.step, line.outcome.unwrap(), line.note.to_string()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_action_of_a_dead_process_is_settled_by_looking() {
    for (is_held, outcome) in [
        (true, ActionOutcome::Confirmed),
        (false, ActionOutcome::Failed),
    ] {
        let folder = TempDir::new().unwrap();
        let left = Left {
            folder: folder.path(),
            verb: "hold",
            steps: 1,
        };
        left.line(Some(0), &order(target(), RolloutAction::Hold), None);
        let scene = Scene::at(Temper::Obedient, folder, |rollout| rollout.held = is_held).await;
        let lines = settled(&scene).await;
        assert_eq!((lines.len(), lines[0].1), (1, outcome), "{lines:?}");
        assert_eq!(
            scene.sent(),
            [],
            "settled by looking, never by sending again"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_reached_is_unknown_and_not_called_gone() {
    let folder = TempDir::new().unwrap();
    let left = Left {
        folder: folder.path(),
        verb: "hold",
        steps: 1,
    };
    let elsewhere = TargetId {
        name: "elsewhere".into(),
        ..target()
    };
    left.line(Some(0), &order(elsewhere, RolloutAction::Hold), None);
    let scene = Scene::at(Temper::Obedient, folder, |_| {}).await;
    let lines = settled(&scene).await;
    assert_eq!(lines[0].1, ActionOutcome::Unknown);
    assert!(lines[0].2.contains("was not reached"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_arrived_and_has_no_effect_yet_did_not_fail() {
    let folder = TempDir::new().unwrap();
    let left = Left {
        folder: folder.path(),
        verb: "promote",
        steps: 1,
    };
    left.line(Some(0), &order(target(), RolloutAction::PromoteFull), None);
    let scene = Scene::at(Temper::Obedient, folder, |rollout| {
        rollout.promoting_full = true;
    })
    .await;
    assert_eq!(settled(&scene).await[0].1, ActionOutcome::Unknown);
}

/// The traffic had moved when the process died; the alias had not.
#[tokio::test(start_paused = true)]
async fn a_plan_that_was_left_half_way_is_partial_and_the_next_does_the_rest() {
    let folder = TempDir::new().unwrap();
    let left = Left {
        folder: folder.path(),
        verb: "promote",
        steps: 2,
    };
    let first = order(target(), RolloutAction::PromoteFull);
    left.line(None, &first, None);
    left.line(Some(0), &first, None);
    left.line(Some(0), &first, Some(ActionOutcome::Confirmed));
    let scene = Scene::at(Temper::Obedient, folder, |rollout| {
        rollout.stable_hash = rollout.current_hash.clone();
    })
    .await;
    let lines = settled(&scene).await;
    assert_eq!(
        (lines.len(), lines[0].0, lines[0].1),
        (1, None, ActionOutcome::Partial)
    );
    assert!(lines[0].2.contains("1 of 2 steps done"), "{lines:?}");
    assert_eq!(
        scene.outcome(Verb::Promote).await.0,
        ActionOutcome::Confirmed
    );
    assert_eq!(*scene.outside.champion.lock().unwrap(), 2);
}

/// The alias was under way when the process died.
#[tokio::test(start_paused = true)]
async fn a_step_left_open_is_looked_at_before_its_plan_is_closed() {
    let folder = TempDir::new().unwrap();
    let left = Left {
        folder: folder.path(),
        verb: "promote",
        steps: 2,
    };
    let first = order(target(), RolloutAction::PromoteFull);
    let champion = Order::Model(ModelOrder {
        model: model(),
        alias: "champion".into(),
        expected: Some(Version(0)),
        to: Version(1),
    });
    left.line(None, &first, None);
    left.line(Some(0), &first, None);
    left.line(Some(0), &first, Some(ActionOutcome::Confirmed));
    left.line(Some(1), &champion, None);
    let scene = Scene::at(Temper::Obedient, folder, |_| {}).await;
    let lines: Vec<_> = settled(&scene)
        .await
        .into_iter()
        .map(|(step, outcome, _)| (step, outcome))
        .collect();
    assert_eq!(
        lines,
        [
            (Some(1), ActionOutcome::Confirmed),
            (None, ActionOutcome::Confirmed)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_which_nothing_was_sent_has_failed() {
    let folder = TempDir::new().unwrap();
    let left = Left {
        folder: folder.path(),
        verb: "promote",
        steps: 2,
    };
    left.line(None, &order(target(), RolloutAction::PromoteFull), None);
    let scene = Scene::at(Temper::Obedient, folder, |_| {}).await;
    let lines = settled(&scene).await;
    assert_eq!((lines[0].0, lines[0].1), (None, ActionOutcome::Failed));
    assert!(lines[0].2.contains("nothing of it was sent"), "{lines:?}");
}
