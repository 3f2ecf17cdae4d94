//! The Kubernetes backend on a real API server with real controllers.
//!
//! Orders are given as a person would give them: after the object was quiet for
//! a second, because the controller may swallow what lands right after a write
//! of its own.

use std::time::Duration;

use gonogo::{
    app::clock::wall,
    backend::{CheckResult, ErrorKind},
    domain::{
        action::{RolloutAction, RolloutSeen},
        id::{TargetId, TargetKind},
        observation::{Fact, Observation},
        rollout::{AnalysisPhase, AnalysisStage, Cutover, Rollout, RolloutPhase, Substate},
    },
};
use http::Method;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::plane::Plane;
use crate::{
    kubernetes::{Bench, Running, order, rollouts},
    support::script::{Reply, Script},
};

fn seen(rollout: &Rollout) -> RolloutSeen {
    RolloutSeen {
        uid: rollout.uid.clone(),
        pod_hash: rollout.current_hash.clone(),
        step: rollout.step,
        paused_since: None,
    }
}

/// One object steered and watched.
struct Steered {
    target: TargetId,
    bench: Bench,
    running: Running,
    now: Rollout,
}

impl Steered {
    async fn new(plane: &Plane, kind: TargetKind, name: &str) -> Self {
        let target = plane.target(kind, name);
        let mut bench = plane.bench("release-manager", std::slice::from_ref(&target));
        let mut running = bench.run("rollouts");
        let (now, _) = running
            .until(|rollout| rollout.id.name == name && rollout.phase == RolloutPhase::Healthy)
            .await;
        Self {
            target,
            bench,
            running,
            now,
        }
    }

    /// Reads on until it is so and nothing happened for a second.
    async fn reach(&mut self, wanted: impl Fn(&Rollout) -> bool) {
        let id = self.target.clone();
        if !wanted(&self.now) {
            let (now, _) = self
                .running
                .until(|rollout| rollout.id == id && wanted(rollout))
                .await;
            self.now = now;
        }
        let quiet = Duration::from_millis(1100);
        while let Ok(Some(observation)) = timeout(quiet, self.running.told.recv()).await {
            if let Observation::Batch(batch) = observation {
                let told = rollouts(&batch);
                if let Some(now) = told.into_iter().find(|rollout| rollout.id == id) {
                    self.now = now;
                }
            }
        }
        assert!(wanted(&self.now), "{:#?}", self.now);
    }

    async fn give(&mut self, action: RolloutAction) {
        let given = order(&self.target, action, seen(&self.now));
        let receipt = self.bench.send(&given).await.unwrap();
        assert!(self.now.version < receipt.version);
    }

    async fn refused(&self, action: RolloutAction, seen: RolloutSeen) {
        let given = order(&self.target, action.clone(), seen);
        let error = self.bench.send(&given).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict, "{action:?}: {error}");
    }
}

fn paused_at(step: u32) -> impl Fn(&Rollout) -> bool {
    move |rollout| {
        rollout.observed
            && rollout.step == Some(step)
            && matches!(rollout.substate, Substate::PausedAtStep(_))
    }
}

fn live(rollout: &Rollout) -> bool {
    rollout.is_fully_promoted() && rollout.phase == RolloutPhase::Healthy
}

#[tokio::test]
async fn cluster_orders_have_their_effect_on_the_real_controller() {
    let Some(plane) = Plane::named("orders").await else {
        return;
    };
    let kind = TargetKind::Rollout;
    let steps = json!({"canary": {"maxSurge": 1, "maxUnavailable": 0, "steps": [
        {"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}, {"pause": {}},
    ]}});
    plane.create(kind, "ranker", steps).await;
    let mut ranker = Steered::new(&plane, kind, "ranker").await;
    ranker.reach(live).await;
    let first = ranker.now.current_hash.clone().unwrap();

    plane.set_image(kind, "ranker", "v2").await;
    ranker.reach(paused_at(1)).await;
    assert_eq!(
        (
            ranker.now.weight_wanted.get(),
            ranker.now.weight_actual.get()
        ),
        (25, 25)
    );

    let now = seen(&ranker.now);
    for stale in [
        RolloutSeen {
            uid: "another".into(),
            ..now.clone()
        },
        RolloutSeen {
            pod_hash: Some("another".into()),
            ..now.clone()
        },
    ] {
        for action in [
            RolloutAction::Abort,
            RolloutAction::Hold,
            RolloutAction::PromoteFull,
            RolloutAction::Continue,
        ] {
            ranker.refused(action, stale.clone()).await;
        }
    }
    ranker
        .refused(
            RolloutAction::Continue,
            RolloutSeen {
                step: Some(3),
                ..now.clone()
            },
        )
        .await;
    let nudge = RolloutAction::Nudge { at: wall()() };
    ranker
        .refused(
            nudge.clone(),
            RolloutSeen {
                uid: "another".into(),
                ..now.clone()
            },
        )
        .await;
    ranker.give(nudge).await;
    ranker.reach(paused_at(1)).await;

    ranker.give(RolloutAction::Hold).await;
    ranker
        .reach(|rollout| rollout.held && rollout.observed && rollout.substate == Substate::Held)
        .await;
    ranker.give(RolloutAction::Resume).await;
    ranker
        .reach(|rollout| !rollout.held && paused_at(1)(rollout))
        .await;
    ranker.give(RolloutAction::Continue).await;
    ranker.reach(paused_at(3)).await;
    assert_eq!(ranker.now.weight_actual.get(), 50);
    // The step gone to is a pause itself: it must not count as ended.
    ranker.give(RolloutAction::Skip { to: 4 }).await;
    ranker.reach(paused_at(4)).await;
    ranker.give(RolloutAction::Continue).await;
    ranker.reach(live).await;
    ranker
        .refused(RolloutAction::PromoteFull, seen(&ranker.now))
        .await;

    plane.set_image(kind, "ranker", "v3").await;
    ranker.reach(paused_at(1)).await;
    // A brake does not care which step was seen.
    ranker.now.step = Some(9);
    ranker.give(RolloutAction::Abort).await;
    ranker
        .reach(|rollout| rollout.substate == Substate::Aborted && rollout.weight_actual.get() == 0)
        .await;
    assert_eq!(ranker.now.phase, RolloutPhase::Degraded);
    ranker
        .refused(RolloutAction::Continue, seen(&ranker.now))
        .await;
    ranker.give(RolloutAction::Retry { anew: false }).await;
    ranker
        .reach(|rollout| rollout.aborted.is_none() && paused_at(1)(rollout))
        .await;
    ranker.give(RolloutAction::PromoteFull).await;
    ranker.reach(live).await;

    let sets = ranker.now.revisions.len();
    ranker
        .give(RolloutAction::Undo {
            hash: first.clone(),
        })
        .await;
    ranker
        .reach(|rollout| rollout.current_hash.as_ref() == Some(&first) && paused_at(1)(rollout))
        .await;
    assert_eq!(
        ranker.now.revisions.len(),
        sets,
        "the old ReplicaSet is taken up again"
    );
    ranker
        .refused(RolloutAction::Undo { hash: first }, seen(&ranker.now))
        .await;
    ranker.give(RolloutAction::PromoteFull).await;
    ranker.reach(live).await;

    ranker.give(RolloutAction::Restart { at: wall()() }).await;
    ranker
        .reach(|rollout| rollout.substate == Substate::Restarting || live(rollout))
        .await;
    ranker.reach(live).await;
}

#[tokio::test]
async fn cluster_an_abort_stops_a_full_promotion_in_the_midst_of_it() {
    let Some(plane) = Plane::named("braked").await else {
        return;
    };
    let kind = TargetKind::Rollout;
    let steps = json!({"canary": {"maxSurge": 1, "maxUnavailable": 0, "steps": [
        {"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}},
    ]}});
    plane.create(kind, "ranker", steps).await;
    let mut ranker = Steered::new(&plane, kind, "ranker").await;
    ranker.reach(live).await;
    let stable = ranker.now.stable_hash.clone();
    plane.set_image(kind, "ranker", "v2").await;
    ranker.reach(paused_at(1)).await;
    ranker.give(RolloutAction::PromoteFull).await;
    let (now, _) = ranker
        .running
        .until(|rollout| rollout.promoting_full && (50..100).contains(&rollout.weight_actual.get()))
        .await;
    assert_eq!(now.weight_wanted.get(), 100);
    ranker.now = now;
    ranker.give(RolloutAction::Abort).await;
    ranker
        .reach(|rollout| rollout.substate == Substate::Aborted && rollout.weight_actual.get() == 0)
        .await;
    assert_eq!(ranker.now.stable_hash, stable);
    assert!(!ranker.now.promoting_full);
}

#[tokio::test]
async fn cluster_an_inconclusive_analysis_is_passed_by_a_skip_and_measured_again_by_continue() {
    let Some(plane) = Plane::named("analysis").await else {
        return;
    };
    let source = Script::always(Reply::json(200, &json!({"errorRate": 0.2}))).await;
    let metric = json!({
        "name": "error-rate", "count": 1,
        "successCondition": "result < 0.05", "failureCondition": "result > 0.5",
        "provider": {"web": {"url": source.url(), "jsonPath": "{$.errorRate}"}},
    });
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "errors"}, "spec": {"metrics": [metric]},
    });
    let path = format!(
        "/apis/argoproj.io/v1alpha1/namespaces/{}/analysistemplates",
        plane.namespace
    );
    plane.ask(Method::POST, &path, &template).await;
    let steps = json!({"canary": {"steps": [
        {"setWeight": 25}, {"analysis": {"templates": [{"templateName": "errors"}]}}, {"pause": {}},
    ]}});
    let kind = TargetKind::Rollout;
    plane.create(kind, "judged", steps).await;
    let mut judged = Steered::new(&plane, kind, "judged").await;
    judged.reach(live).await;
    plane.set_image(kind, "judged", "v2").await;
    let undecided = |runs: usize| {
        move |rollout: &Rollout| {
            rollout.substate == Substate::PausedInconclusive && rollout.analyses.len() == runs
        }
    };
    judged.reach(undecided(1)).await;
    let analysis = &judged.now.analyses[0];
    assert_eq!(
        (&analysis.phase, &analysis.stage),
        (&AnalysisPhase::Inconclusive, &AnalysisStage::Step(1))
    );
    assert_eq!(analysis.metrics[0].measurements[0].value, "0.2");
    judged.give(RolloutAction::Continue).await;
    judged.reach(undecided(2)).await;
    judged.give(RolloutAction::Skip { to: 2 }).await;
    judged.reach(paused_at(2)).await;
}

#[tokio::test]
async fn cluster_a_real_deployment_is_held_continued_rolled_back_and_restarted() {
    let Some(plane) = Plane::named("deployment").await else {
        return;
    };
    let kind = TargetKind::Deployment;
    plane
        .create(kind, "gateway", json!({"type": "RollingUpdate"}))
        .await;
    let mut gateway = Steered::new(&plane, kind, "gateway").await;
    gateway.reach(live).await;
    let first = gateway.now.current_hash.clone().unwrap();
    plane.set_image(kind, "gateway", "v2").await;
    gateway
        .reach(|rollout| live(rollout) && rollout.current_hash.as_ref() != Some(&first))
        .await;
    gateway.give(RolloutAction::Hold).await;
    gateway
        .reach(|rollout| rollout.held && rollout.observed)
        .await;
    gateway
        .refused(
            RolloutAction::Undo {
                hash: first.clone(),
            },
            seen(&gateway.now),
        )
        .await;
    gateway.give(RolloutAction::Resume).await;
    gateway
        .reach(|rollout| !rollout.held && live(rollout))
        .await;
    let sets = gateway.now.revisions.len();
    gateway
        .give(RolloutAction::Undo {
            hash: first.clone(),
        })
        .await;
    gateway
        .reach(|rollout| live(rollout) && rollout.current_hash.as_ref() == Some(&first))
        .await;
    assert_eq!(gateway.now.revisions.len(), sets);
    gateway
        .refused(
            RolloutAction::Undo {
                hash: first.clone(),
            },
            seen(&gateway.now),
        )
        .await;
    gateway.give(RolloutAction::Restart { at: wall()() }).await;
    gateway
        .reach(|rollout| live(rollout) && rollout.current_hash.as_ref() != Some(&first))
        .await;
}

#[tokio::test]
async fn cluster_personas_identity_and_doctor_on_a_real_server() {
    let Some(plane) = Plane::named("personas").await else {
        return;
    };
    let target = plane.target(TargetKind::Rollout, "ranker");
    for (persona, may) in [
        ("release-manager", true),
        ("viewer", false),
        ("stranger", false),
    ] {
        let mut bench = plane.bench(persona, std::slice::from_ref(&target));
        let mut running = bench.run("permits");
        let server = running.next_batch().await;
        assert!(server.facts.iter().any(|fact| {
            matches!(fact, Fact::Identity(identity) if identity.name.as_deref() == Some(persona))
        }));
        assert!(server.facts.iter().any(|fact| {
            matches!(fact, Fact::Server(server) if server.version.starts_with("v1.") && server.skew_ms == Some(0))
        }));
        let permits = running.next_batch().await;
        for fact in &permits.facts {
            let Fact::Permit(permit) = fact else {
                panic!("{fact:?}")
            };
            assert_eq!(permit.allowed, may, "{persona} {:?}", permit.kind);
        }
        let checks = bench.backend.probe.probe().await;
        let worst = |result| checks.iter().any(|check| check.result == result);
        assert!(!worst(CheckResult::Out), "{checks:#?}");
        assert_eq!(worst(CheckResult::Denied), !may, "{checks:#?}");
    }
}

#[tokio::test]
async fn cluster_a_credential_plugin_opens_a_real_server() {
    let Some(plane) = Plane::named("plugin").await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let token = plane.env["tokens"]["release-manager"].as_str().unwrap();
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": token, "expirationTimestamp": "2099-01-01T00:00:00Z"},
    });
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": plane.env["server"], "certificate-authority": plane.env["ca"]}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "printf",
            "args": ["%s", credential.to_string()], "interactiveMode": "IfAvailable",
        }}}],
    });
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let target = plane.target(TargetKind::Rollout, "ranker");
    let mut bench = Plane::bench_by(path.to_str().unwrap(), &[target]);
    let batch = bench.run("rollouts").next_batch().await;
    assert!(batch.complete && batch.facts.is_empty());
    let checks = bench.backend.probe.probe().await;
    let identity = checks
        .iter()
        .find(|check| check.what == "identity")
        .unwrap();
    assert_eq!(identity.seen, "release-manager");
}

#[tokio::test]
async fn cluster_an_event_of_a_real_server_is_told_at_once() {
    let Some(plane) = Plane::named("events").await else {
        return;
    };
    let kind = TargetKind::Rollout;
    plane.create(kind, "ranker", json!({"canary": {}})).await;
    let mut ranker = Steered::new(&plane, kind, "ranker").await;
    ranker.reach(live).await;
    let mut took = Vec::new();
    for round in 0..20 {
        let quiet = Duration::from_millis(200);
        while timeout(quiet, ranker.running.told.recv()).await.is_ok() {}
        let mark = format!("m{round}");
        let patch = json!({"metadata": {"annotations": {"mark": mark}}});
        let path = format!("{}?fieldManager=test", plane.path(kind, "/ranker"));
        let started = Instant::now();
        let patched = plane.ask(Method::PATCH, &path, &patch);
        let told = ranker.running.until(|rollout| {
            rollout
                .annotations
                .iter()
                .any(|(key, value)| *key == "mark" && *value == mark.as_str())
        });
        let ((), _) = tokio::join!(async { drop(patched.await) }, told);
        took.push(started.elapsed());
    }
    took.sort();
    println!(
        "patch to fact on a real server: median {:?}, longest {:?}",
        took[took.len() / 2],
        took.last()
    );
    assert!(
        took[took.len() / 2] < Duration::from_millis(200),
        "{took:?}"
    );
}

/// Everything a switch is told, in the order a release manager would.
#[tokio::test]
async fn cluster_a_switch_is_told_as_the_real_controller_takes_it() {
    let Some(plane) = Plane::named("switched").await else {
        return;
    };
    let kind = TargetKind::Rollout;
    for service in ["green-active", "green-preview"] {
        plane.service(service, "green").await;
    }
    let strategy = json!({"blueGreen": {
        "activeService": "green-active", "previewService": "green-preview",
        "autoPromotionEnabled": false,
        "scaleDownDelaySeconds": 600, "abortScaleDownDelaySeconds": 600,
    }});
    plane.create(kind, "green", strategy).await;
    let mut green = Steered::new(&plane, kind, "green").await;
    green.reach(live).await;
    let first = green.now.current_hash.clone().unwrap();

    plane.set_image(kind, "green", "v2").await;
    let waits = |rollout: &Rollout| {
        rollout.substate == Substate::PausedAtStep(None)
            && rollout.cutover() == Some(Cutover::Preview)
    };
    green.reach(waits).await;
    assert_eq!(green.now.users().unwrap().hash, first);
    green.give(RolloutAction::Switch { early: false }).await;
    green.reach(live).await;
    let before = green.now.revision(&first).unwrap();
    assert!(before.kept_until.is_some() && before.is_up());
    green
        .refused(RolloutAction::Switch { early: false }, seen(&green.now))
        .await;
    green
        .give(RolloutAction::Undo {
            hash: first.clone(),
        })
        .await;
    green
        .reach(|rollout| live(rollout) && rollout.current_hash.as_ref() == Some(&first))
        .await;

    plane.set_image(kind, "green", "v3").await;
    green.reach(waits).await;
    green.give(RolloutAction::Abort).await;
    green
        .reach(|rollout| {
            let kept = rollout.current().is_some_and(|it| it.kept_until.is_some());
            rollout.substate == Substate::Aborted && kept
        })
        .await;
    assert!(green.now.leaves_users_on_stable());
    green.give(RolloutAction::Hold).await;
    green
        .reach(|rollout| rollout.held && rollout.observed)
        .await;
    green.give(RolloutAction::Retry { anew: true }).await;
    green
        .reach(|rollout| {
            let kept = rollout.current().is_some_and(|it| it.kept_until.is_some());
            rollout.aborted.is_none() && !kept
        })
        .await;
    green.give(RolloutAction::Resume).await;
    green.reach(waits).await;
    assert_eq!(green.now.users().unwrap().hash, first);
    green.give(RolloutAction::PromoteFull).await;
    green.reach(live).await;
}
