//! Permissions, identity, the server's own words, and `doctor`.

use gonogo::{
    backend::{CheckResult, ErrorKind},
    domain::{
        action::{ActionKind, RolloutAction, RolloutSeen, Subject},
        id::{TargetId, TargetKind},
        observation::{Batch, Fact},
        permit::Permit,
    },
};
use serde_json::{Value, json};

use super::{Plane, TOKEN, build, factory, order, target};
use crate::support::{
    script::{Reply, Script},
    setup::setup,
};

fn permits(batch: &Batch) -> Vec<Permit> {
    batch
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Permit(permit) => Some(permit.clone()),
            _ => None,
        })
        .collect()
}

fn allowed(permits: &[Permit], kind: ActionKind) -> (bool, String) {
    let permit = permits.iter().find(|permit| permit.kind == kind).unwrap();
    (permit.allowed, permit.why.to_string())
}

#[tokio::test]
async fn a_release_manager_may_and_a_viewer_may_not() {
    let ranker = target(TargetKind::Rollout, "ranker");
    let (plane, _) = Plane::paused().await;
    let mut manager = plane.bench().run("permits");
    let server = manager.next_batch().await;
    assert_eq!(server.scope.part, "server");
    let told = permits(&manager.next_batch().await);
    assert_eq!(told.len(), 11);
    assert!(
        told.iter()
            .all(|permit| permit.allowed && permit.subject == Subject::Rollout(ranker.clone()))
    );
    let age = told[0].until - (plane.setup.now)();
    assert!(200 < age.num_seconds() && age.num_seconds() <= 300, "{age}");
    let mut viewer = plane.bench_as("planted-viewer-token").run("permits");
    viewer.next_batch().await;
    let told = permits(&viewer.next_batch().await);
    let (may, why) = allowed(&told, ActionKind::Abort);
    assert!(
        !may && why.starts_with("may not patch rollouts/status in `recsys`"),
        "{why}"
    );
    assert!(!allowed(&told, ActionKind::Hold).0);
}

#[tokio::test]
async fn who_we_are_and_what_the_server_is_are_told() {
    let (plane, _) = Plane::paused().await;
    let mut running = plane.bench().run("permits");
    let batch = running.next_batch().await;
    let identity = batch.facts.iter().find_map(|fact| match fact {
        Fact::Identity(identity) => Some(identity.clone()),
        _ => None,
    });
    let identity = identity.unwrap();
    assert_eq!(identity.name.as_deref(), Some("jane"));
    assert_eq!(identity.learnt_by, "SelfSubjectReview");
    let server = batch.facts.iter().find_map(|fact| match fact {
        Fact::Server(server) => Some(server.clone()),
        _ => None,
    });
    assert!(server.unwrap().version.starts_with("v1."));
}

#[tokio::test]
async fn in_focus_permissions_count_for_a_minute() {
    let (plane, _) = Plane::paused().await;
    let mut running = plane.bench().run("permits");
    running
        .focus
        .send_modify(|focus| focus.target = Some(target(TargetKind::Rollout, "ranker")));
    loop {
        let told = permits(&running.next_batch().await);
        let short = told
            .first()
            .is_some_and(|permit| (permit.until - (plane.setup.now)()).num_seconds() <= 60);
        if short {
            break;
        }
    }
}

#[tokio::test]
async fn after_a_refused_order_permissions_are_asked_at_once() {
    let (plane, seen) = Plane::paused().await;
    let mut bench = plane.bench_as("planted-viewer-token");
    let mut running = bench.run("permits");
    running.next_batch().await;
    running.next_batch().await;
    let abort = order(
        &target(TargetKind::Rollout, "ranker"),
        RolloutAction::Abort,
        seen,
    );
    let error = bench.send(&abort).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert!(
        error
            .message
            .contains("cannot patch resource \"rollouts/status\""),
        "{error}"
    );
    let told = permits(&running.next_batch().await);
    assert!(!allowed(&told, ActionKind::Abort).0);
}

#[tokio::test]
async fn a_server_that_does_not_tell_who_we_are_leaves_it_unknown() {
    let server = Script::start(|seen| {
        if seen.path().contains("selfsubjectreviews") {
            return Reply::text(404, "text/plain", "404 page not found\n");
        }
        Reply::json(
            200,
            &json!({"gitVersion": "v1.25.0", "status": {"allowed": false, "reason": "no rule"}}),
        )
    })
    .await;
    let mut bench = super::bench(
        &server.url(),
        TOKEN,
        &[target(TargetKind::Deployment, "gateway")],
    );
    let mut running = bench.run("permits");
    let batch = running.next_batch().await;
    assert!(
        batch
            .facts
            .iter()
            .any(|fact| matches!(fact, Fact::Identity(identity) if identity.name.is_none()))
    );
    let told = permits(&running.next_batch().await);
    assert_eq!(
        allowed(&told, ActionKind::Hold),
        (
            false,
            "may not patch deployments in `recsys`: no rule".to_owned()
        )
    );
    assert_eq!(
        allowed(&told, ActionKind::Abort),
        (false, "a Deployment has no canary".to_owned())
    );
}

/// A server where `may` decides by the resource, part of it and name asked for.
async fn reviewer(may: fn(&str, Option<&str>) -> bool) -> Script {
    Script::start(move |seen| {
        let asked: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let attributes = &asked["spec"]["resourceAttributes"];
        let text = |key: &str| attributes[key].as_str();
        let part = text("subresource").or(text("resource")).unwrap_or_default();
        let status = json!({"allowed": may(part, text("name"))});
        Reply::json(200, &json!({"gitVersion": "v1.34.0", "status": status}))
    })
    .await
}

async fn permits_of(server: &Script, names: &[&str]) -> (Vec<Permit>, usize) {
    let targets: Vec<TargetId> = names
        .iter()
        .map(|name| target(TargetKind::Rollout, name))
        .collect();
    let mut running = super::bench(&server.url(), TOKEN, &targets).run("permits");
    running.next_batch().await;
    let told = permits(&running.next_batch().await);
    let seen = server.seen();
    let reviews = seen
        .iter()
        .filter(|seen| seen.path().contains("selfsubjectaccessreviews"));
    (told, reviews.count())
}

#[tokio::test]
async fn what_is_allowed_for_all_is_asked_once_for_all() {
    let server = reviewer(|_, name| name.is_none()).await;
    let names: Vec<String> = (0..100).map(|index| format!("ranker-{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (told, reviews) = permits_of(&server, &names).await;
    assert_eq!(told.len(), 1100);
    assert!(told.iter().all(|permit| permit.allowed));
    // Patch, patch the status, list the ReplicaSets.
    assert_eq!(reviews, 3);
}

#[tokio::test]
async fn what_is_not_allowed_for_all_may_be_for_one() {
    let server = reviewer(|part, name| part == "replicasets" || name == Some("ranker")).await;
    let (told, reviews) = permits_of(&server, &["ranker", "ranker-2"]).await;
    for permit in &told {
        let Subject::Rollout(id) = &permit.subject else {
            panic!("{permit:?}");
        };
        assert_eq!(permit.allowed, id.name == "ranker", "{permit:?}");
    }
    // Three for all, and two for each name: whose ReplicaSets they are is no matter.
    assert_eq!((told.len(), reviews), (22, 7));
}

#[tokio::test]
async fn doctor_says_what_each_key_may_do() {
    let (plane, _) = Plane::paused().await;
    let checks = plane.bench().backend.probe.probe().await;
    let result = |what: &str| {
        checks
            .iter()
            .find(|check| check.what == what)
            .map(|check| check.result)
    };
    for good in [
        "reach",
        "version",
        "clock",
        "identity",
        "argo rollouts",
        "list rollouts in recsys",
    ] {
        assert_eq!(result(good), Some(CheckResult::Good), "{good}: {checks:?}");
    }
    assert_eq!(
        result("permission abort on recsys/ranker"),
        Some(CheckResult::Good)
    );
    let checks = plane
        .bench_as("planted-viewer-token")
        .backend
        .probe
        .probe()
        .await;
    let denied = checks
        .iter()
        .find(|check| check.what == "permission abort on recsys/ranker")
        .unwrap();
    assert_eq!(denied.result, CheckResult::Denied);
    let unknown = plane.bench_as("planted-unknown-token");
    let checks = unknown.backend.probe.probe().await;
    let identity = checks
        .iter()
        .find(|check| check.what == "identity")
        .unwrap();
    assert_eq!(identity.result, CheckResult::Out);
    assert!(
        identity.seen.starts_with("credentials refused"),
        "{identity:?}"
    );
}

#[tokio::test]
async fn building_a_backend_opens_nothing_and_a_typo_is_found() {
    let setup = setup(super::catalog(&[]), &[]);
    let section = "{ kubeconfig = '/nowhere', context = 'x', namespaces = ['recsys'] }";
    let backend = build(section, &setup).unwrap();
    assert_eq!(backend.feeds.len(), 2);
    assert_eq!(
        backend.probe.probe().await[0].seen,
        "configuration: no kubeconfig at `/nowhere`"
    );
    let Err(error) = build("{ contxt = 'x' }", &setup) else {
        panic!("a typo was accepted");
    };
    assert!(error.message().contains("contxt"), "{error}");
    assert_eq!(factory().kind(), "kubernetes");
    let missing = order(
        &target(TargetKind::Rollout, "ranker"),
        RolloutAction::Hold,
        RolloutSeen {
            uid: "u".into(),
            pod_hash: None,
            step: None,
            paused_since: None,
        },
    );
    let controls = backend.controls.rollout.unwrap();
    assert_eq!(
        controls.send(&missing).await.unwrap_err().kind,
        ErrorKind::Configuration
    );
}

#[tokio::test]
async fn the_example_section_can_be_built() {
    let text: String = factory()
        .example()
        .lines()
        .map(|line| format!("{}\n", line.trim_start_matches("# ")))
        .collect();
    let mut table: toml::Table = text.parse().unwrap();
    let section = table["backend"]["prod"].as_table_mut().unwrap();
    section.remove("kind");
    let inline: Vec<String> = section.to_string().lines().map(str::to_owned).collect();
    let section = format!("{{ {} }}", inline.join(", "));
    build(&section, &setup(super::catalog(&[]), &[])).unwrap();
}
