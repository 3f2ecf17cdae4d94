//! More of the HTTP API: pages, selectors, faults, the record of changes.

use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};

use super::demo;
use super::http::{DEMO, MERGE, ROLLOUTS, demo_api, fixture};
use crate::sim::kubernetes::value::Fields;
use crate::sim::kubernetes::{Fault, Persona};

#[tokio::test]
async fn limited_lists_go_on_where_they_ended_until_they_are_too_old() {
    let (lab, api) = demo_api().await;
    let pods = "/api/v1/namespaces/default/pods";
    let (_, first) = api.get(&format!("{pods}?limit=4")).await;
    assert_eq!(first.items("/items").len(), 4);
    assert_eq!(first.count("/metadata/remainingItemCount"), 6);
    let token = first.text("/metadata/continue").to_owned();
    let next = format!("{pods}?limit=4&continue={token}");
    let (_, second) = api.get(&next).await;
    assert_eq!(second.items("/items").len(), 4);
    assert_eq!(
        second.at("/metadata/resourceVersion"),
        first.at("/metadata/resourceVersion")
    );
    assert!(
        second
            .items("/items")
            .iter()
            .all(|pod| !first.items("/items").contains(pod))
    );
    // Built-in kinds leave out in the items what the list says.
    assert!(!first.has("/items/0/kind"));
    lab.set_image("v2");
    lab.cluster.compact();
    let (code, body) = api.get(&next).await;
    let real = fixture("error-410-expired-continue.json");
    assert_eq!(code, 410);
    assert_eq!(body.at("/message"), real.at("/message"));
    assert!(!body.text("/metadata/continue").is_empty());
}

#[tokio::test]
async fn labels_and_fields_select() {
    let (lab, api) = demo_api().await;
    let hash = lab.status().text("/stableRS").to_owned();
    let pods = "/api/v1/pods?labelSelector=rollouts-pod-template-hash";
    let (_, all) = api.get(&format!("{pods}%20in%20({hash},x)")).await;
    assert_eq!(all.items("/items").len(), 10);
    let (_, none) = api.get(&format!("{pods}%3Dx")).await;
    assert!(none.items("/items").is_empty());
    let (_, one) = api
        .get(&format!("{ROLLOUTS}?fieldSelector=metadata.name%3Ddemo"))
        .await;
    assert_eq!(one.items("/items").len(), 1);
    let (code, _) = api
        .get(&format!("{ROLLOUTS}?fieldSelector=status.phase%3DPaused"))
        .await;
    assert_eq!(code, 400);
}

#[tokio::test]
async fn while_a_fault_is_set_nothing_is_answered_well_and_then_all_is_well_again() {
    let (lab, api) = demo_api().await;
    lab.cluster.set_fault(Some(Fault::Status(503)));
    let (code, body) = api.get(DEMO).await;
    assert_eq!((code, body.text("/reason")), (503, "ServiceUnavailable"));
    lab.cluster.set_fault(Some(Fault::Html));
    let (code, body) = api.get(DEMO).await;
    assert_eq!(code, 200);
    assert!(body.as_str().unwrap().starts_with("<!DOCTYPE html>"));
    lab.cluster.set_fault(Some(Fault::Reset));
    let request = || Request::get(DEMO).body(Vec::new()).unwrap();
    assert!(api.client().request::<Value>(request()).await.is_err());
    lab.cluster.set_fault(Some(Fault::Hang));
    let client = api.client();
    let hung = tokio::spawn(async move { client.request::<Value>(request()).await });
    lab.cluster.set_fault(None);
    assert!(hung.await.unwrap().is_ok());
    assert_eq!(api.get(DEMO).await.0, 200);
}

#[tokio::test]
async fn a_lost_answer_is_carried_out_and_remembered_without_a_code() {
    let (lab, api) = demo_api().await;
    lab.cluster.set_fault(Some(Fault::LostAnswer));
    let request = Request::patch(format!("{DEMO}/status"))
        .header("content-type", MERGE)
        .body(json!({"status": {"abort": true}}).to_string().into_bytes())
        .unwrap();
    assert!(api.client().request::<Value>(request).await.is_err());
    assert!(lab.rollout().flag("/status/abort"));
    let mutations = lab.cluster.mutations();
    let last = mutations.last().unwrap();
    assert_eq!((last.verb.as_str(), last.status), ("PATCH", None));
    assert_eq!(last.user, "release-manager");
}

#[tokio::test]
async fn every_mutating_request_is_remembered_as_it_came() {
    let (lab, api) = demo_api().await;
    let body = json!({"spec": {"paused": true}});
    api.patch(&format!("{DEMO}?fieldManager=gonogo"), MERGE, body.clone())
        .await;
    api.by("viewer-token")
        .patch(DEMO, MERGE, body.clone())
        .await;
    let seen = lab.cluster.mutations();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].path, format!("{DEMO}?fieldManager=gonogo"));
    assert_eq!(
        (seen[0].body.as_str(), seen[0].status),
        (body.to_string().as_str(), Some(200))
    );
    assert_eq!(
        (seen[1].user.as_str(), seen[1].status),
        ("viewer", Some(403))
    );
    let (code, served) = api.get("/sim/mutations").await;
    assert_eq!((code, served.as_array().map(Vec::len)), (200, Some(2)));
}

#[tokio::test]
async fn put_create_scale_and_delete_work_and_owned_objects_go_too() {
    let (lab, api) = demo_api().await;
    let admin = api.by("admin-token");
    let mut rollout = lab.rollout();
    rollout.put(
        "/spec/template/spec/containers/0/image",
        json!("registry.local/demo:v9"),
    );
    let (code, _) = admin
        .ask(Method::PUT, DEMO, "application/json", rollout.clone())
        .await;
    assert_eq!(code, 200);
    let (code, _) = admin
        .ask(Method::PUT, DEMO, "application/json", rollout)
        .await;
    assert_eq!(code, 409);
    let scale = format!("{DEMO}/scale");
    let (code, body) = admin
        .patch(&scale, MERGE, json!({"spec": {"replicas": 3}}))
        .await;
    assert_eq!(
        (code, body.text("/kind"), body.count("/spec/replicas")),
        (200, "Scale", 3)
    );
    assert_eq!(lab.rollout().count("/spec/replicas"), 3);
    let (code, body) = admin
        .ask(Method::DELETE, DEMO, "application/json", Value::Null)
        .await;
    assert_eq!((code, body.text("/status")), (200, "Success"));
    lab.seconds(2);
    assert!(lab.sets().is_empty());
    assert!(lab.cluster.list("Pod").is_empty());
    let (code, body) = admin
        .ask(Method::POST, ROLLOUTS, "application/json", demo())
        .await;
    assert_eq!((code, body.count("/metadata/generation")), (201, 1));
    lab.until_phase("Healthy");
}

#[tokio::test]
async fn kubectl_may_come_without_a_token_if_it_is_let_in() {
    let (lab, api) = demo_api().await;
    let mut config = kube::Config::new(api.address.parse().unwrap());
    config.default_retry = false;
    let client = Client::try_from(config).unwrap();
    let request = || Request::get(DEMO).body(Vec::new()).unwrap();
    assert!(client.request::<Value>(request()).await.is_err());
    lab.cluster
        .set_anonymous(Some(Persona::viewer("", "visitor")));
    assert!(client.request::<Value>(request()).await.is_ok());
    assert_eq!(api.by("wrong").get(DEMO).await.0, 401);
}
