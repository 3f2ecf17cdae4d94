//! The stream of a namespace on the demo's cluster.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use gonogo::{
    backend::{ErrorKind, Focus, supervise::supervise},
    domain::{
        id::{BackendId, TargetKind},
        observation::{Basis, Key, Observation},
        rollout::{RolloutPhase, Substate},
    },
    sim::kubernetes::Fault,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{DEADLINE, Plane, TOKEN, bench_with, catalog, ranker, rollouts, target};
use crate::support::{
    script::{Reply, Script},
    setup::setup,
};

#[tokio::test]
async fn a_canary_is_followed_from_list_to_pause() {
    let plane = Plane::start(&[target(TargetKind::Rollout, "ranker")]).await;
    plane.cluster.apply(ranker()).unwrap();
    plane.until("Healthy").await;
    let mut running = plane.bench().run("rollouts");
    let first = running.next_batch().await;
    assert!(first.complete);
    assert!(matches!(first.basis, Basis::Asked(_)));
    let known = &rollouts(&first)[0];
    assert!(known.is_fully_promoted());
    assert_eq!(known.weight_actual.get(), 100);
    plane.set_image("v2");
    let (paused, batch) = running
        .until(|rollout| {
            matches!(rollout.substate, Substate::PausedAtStep(None))
                && rollout.weight_actual.get() == 25
        })
        .await;
    assert_eq!((batch.complete, batch.basis), (false, Basis::Told));
    assert_eq!(paused.phase, RolloutPhase::Paused);
    assert_eq!((paused.step, paused.weight_wanted.get()), (Some(1), 25));
    assert_eq!(
        paused.current().unwrap().images[0].tag.as_deref(),
        Some("v2")
    );
    assert_eq!(
        paused.stable().unwrap().images[0].tag.as_deref(),
        Some("v1")
    );
    assert!(known.version < paused.version);
    plane.cluster.delete("Rollout", "recsys", "ranker");
    loop {
        let batch = running.next_batch().await;
        if let [Key::Rollout(gone)] = &batch.gone[..] {
            assert_eq!(*gone, target(TargetKind::Rollout, "ranker"));
            break;
        }
    }
}

#[tokio::test]
async fn an_event_is_told_at_once() {
    let (plane, _) = Plane::paused().await;
    let mut running = plane.bench().run("rollouts");
    running.next_batch().await;
    let mut took = Vec::new();
    for round in 0..20 {
        // Quiet first: only bursts are held together.
        let quiet = Duration::from_millis(20);
        while timeout(quiet, running.told.recv()).await.is_ok() {}
        let mark = format!("m{round}");
        let patch = serde_json::json!({"metadata": {"annotations": {"mark": mark}}});
        let started = Instant::now();
        plane
            .cluster
            .patch("Rollout", "recsys", "ranker", patch)
            .unwrap();
        running
            .until(|rollout| {
                rollout
                    .annotations
                    .iter()
                    .any(|(key, value)| *key == "mark" && *value == mark.as_str())
            })
            .await;
        took.push(started.elapsed());
    }
    took.sort();
    let median = took[took.len() / 2];
    assert!(median < Duration::from_millis(50), "{took:?}");
}

#[tokio::test]
async fn a_forgotten_history_is_listed_anew() {
    let (plane, _) = Plane::paused().await;
    let mut running = plane.bench().run("rollouts");
    assert!(running.next_batch().await.complete);
    plane.cluster.compact();
    // The watch goes on; only its next opening finds the history gone.
    plane.cluster.set_fault(Some(Fault::Reset));
    plane
        .cluster
        .patch(
            "Rollout",
            "recsys",
            "ranker",
            serde_json::json!({"metadata": {"annotations": {"a": "b"}}}),
        )
        .unwrap();
    plane.cluster.compact();
    plane.cluster.set_fault(None);
    let (_, batch) = running
        .until(|rollout| rollout.annotations.iter().any(|(key, _)| *key == "a"))
        .await;
    assert!(batch.complete || batch.basis == Basis::Told);
}

#[tokio::test]
async fn under_action_the_target_is_asked_for_directly() {
    let (plane, _) = Plane::paused().await;
    let mut running = plane.bench().run("rollouts");
    running.next_batch().await;
    let urgent = BTreeSet::from([BackendId::new("prod")]);
    let before = (plane.setup.now)();
    running.focus.send_modify(|focus| {
        focus.urgent = urgent;
        focus.target = Some(target(TargetKind::Rollout, "ranker"));
    });
    let asked = |batch: &gonogo::domain::observation::Batch| match batch.basis {
        Basis::Asked(asked) => before <= asked,
        Basis::Told => false,
    };
    let mut looks = 0;
    while looks < 2 {
        let batch = running.next_batch().await;
        if asked(&batch) {
            assert!(!batch.complete);
            assert_eq!(rollouts(&batch).len(), 1);
            looks += 1;
        }
    }
}

#[tokio::test]
async fn a_refresh_lists_everything_again() {
    let (plane, _) = Plane::paused().await;
    let mut running = plane.bench().run("rollouts");
    let first = running.next_batch().await;
    running.focus.send_modify(|focus| focus.refresh += 1);
    loop {
        let batch = running.next_batch().await;
        if batch.complete {
            assert!(first.at <= batch.at);
            break;
        }
    }
}

#[tokio::test]
async fn a_key_that_repeats_lists_once_a_second_and_its_last_press_counts() {
    let server = Script::start(|seen| {
        if seen.target.contains("watch=1") {
            return Reply::Open;
        }
        Reply::json(
            200,
            &serde_json::json!({"metadata": {"resourceVersion": "5"}, "items": []}),
        )
    })
    .await;
    let targets = [target(TargetKind::Rollout, "ranker")];
    let setup = setup(catalog(&targets), &[]);
    let mut running = bench_with(&server.url(), TOKEN, &setup, "timeout = '20s'").run("rollouts");
    assert!(running.next_batch().await.complete);
    let lists = || {
        let seen = server.seen();
        let lists = seen
            .iter()
            .filter(|seen| seen.path().ends_with("/rollouts") && !seen.target.contains("watch=1"));
        lists.count()
    };
    assert_eq!(lists(), 1);
    // A key is repeated about thirty times a second.
    let press = Duration::from_millis(30);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        running.focus.send_modify(|focus| focus.refresh += 1);
        sleep(press).await;
    }
    let last = (setup.now)();
    let held = usize::try_from(began.elapsed().as_secs()).unwrap();
    let while_held = lists() - 1;
    assert!((1..=held + 1).contains(&while_held), "{while_held}");
    let after = async {
        loop {
            let batch = running.next_batch().await;
            if matches!(batch.basis, Basis::Asked(asked) if last <= asked) && batch.complete {
                break;
            }
        }
    };
    timeout(Duration::from_secs(3), after).await.unwrap();
}

#[tokio::test]
async fn cluster_trap_12_a_watch_that_went_silent_is_noticed() {
    let (plane, _) = Plane::paused().await;
    let mut bench = bench_with(
        &plane.url,
        TOKEN,
        &plane.setup,
        "timeout = '300ms', watch_timeout = '700ms'",
    );
    let mut running = bench.run("rollouts");
    running.next_batch().await;
    plane.cluster.set_fault(Some(Fault::Hang));
    let error = running.end().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn trouble_is_told_and_its_end_is_noticed() {
    let (plane, _) = Plane::paused().await;
    let mut bench = plane.bench();
    let feeds = std::mem::take(&mut bench.backend.feeds);
    let (outlet, mut told) = mpsc::channel(1024);
    let (focus, looks) = watch::channel(Focus::default());
    let cancel = CancellationToken::new();
    let now = Arc::clone(&plane.setup.now);
    let task = tokio::spawn(supervise(
        BackendId::new("prod"),
        feeds,
        outlet,
        looks,
        cancel.clone(),
        now,
    ));
    let scope = "rollouts recsys";
    let mut next = async |wanted: &dyn Fn(&Observation) -> bool| {
        timeout(DEADLINE, async {
            loop {
                let observation = told.recv().await.unwrap();
                if wanted(&observation) {
                    return observation;
                }
            }
        })
        .await
        .unwrap()
    };
    let complete = |observation: &Observation| matches!(observation, Observation::Batch(batch) if batch.complete && batch.scope.part == scope);
    next(&complete).await;
    plane.cluster.set_fault(Some(Fault::Status(500)));
    let failure = next(&|observation| {
        matches!(observation, Observation::Failure(failure) if failure.scope.part == scope)
    })
    .await;
    let Observation::Failure(failure) = failure else {
        unreachable!("it is a failure");
    };
    assert_eq!(failure.kind, ErrorKind::Server, "{}", failure.message);
    assert!(failure.retry_at.is_some());
    plane.cluster.set_fault(None);
    next(&complete).await;
    cancel.cancel();
    task.await.unwrap();
    drop(focus);
}
