//! Objects and tables have the fields of captured ones, no more and no fewer.
//!
//! Compared are the paths of all fields, list items taken together. What only
//! one side can have is named where it is left out.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::http::{DEMO, demo_api, fixture, serve};
use super::timeline::at_once;
use super::{Lab, demo};
use crate::sim::kubernetes::value::Fields;

/// The paths of all fields of a value.
fn paths(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(value, "", &mut found);
    found
}

fn collect(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, member) in map {
                collect(member, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for item in list {
                collect(item, &format!("{at}/*"), found);
            }
        }
        _ => {
            found.insert(at.to_owned());
        }
    }
}

/// Compares the fields of two objects but for those that begin with one of
/// `apart`.
#[track_caller]
fn check(ours: &Value, name: &str, apart: &[&str]) {
    let real = fixture(name);
    let mut keep = paths(ours);
    let mut wanted = paths(&real);
    for set in [&mut keep, &mut wanted] {
        set.retain(|path| !apart.iter().any(|start| path.starts_with(start)));
    }
    let extra: Vec<_> = keep.difference(&wanted).collect();
    let missing: Vec<_> = wanted.difference(&keep).collect();
    assert!(
        extra.is_empty() && missing.is_empty(),
        "{name}: only here {extra:?}, only there {missing:?}"
    );
}

/// The plane's pods were put on a node by name; ports were declared.
fn planned() -> Value {
    let mut rollout = at_once(demo());
    rollout.drop_field("/spec/template/metadata/annotations");
    rollout.drop_field("/spec/progressDeadlineSeconds");
    rollout.put("/spec/template/spec/nodeName", json!("node-1"));
    let container = "/spec/template/spec/containers/0";
    rollout.put(
        &format!("{container}/ports"),
        json!([{"containerPort": 8080, "protocol": "TCP"}]),
    );
    rollout
}

/// Ownership is noted for every write here, and was left out of the captures.
const OWNERSHIP: &str = "/metadata/managedFields";

fn paused() -> Lab {
    let lab = Lab::with_demo(planned());
    lab.cluster
        .patch(
            "Rollout",
            "default",
            "demo",
            json!({"spec": {"template": {"spec": {"containers": [{
                "name": "app", "image": "registry.test/demo:v2", "resources": {},
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
            }]}}}}),
        )
        .unwrap();
    lab.until_phase("Paused");
    lab.seconds(5);
    lab
}

#[test]
fn rollouts_at_rest_have_the_fields_of_captured_ones() {
    let lab = Lab::with_demo(planned());
    lab.seconds(3);
    // The capture holds a nudge, and steps and a paused flag of an earlier act.
    let apart = [OWNERSHIP, "/metadata/annotations/nudge"];
    check(
        &lab.rollout(),
        "rollout-promoted-full.json",
        &[&apart[..], &["/status/conditions", "/status/abort"]].concat(),
    );
    let lab = paused();
    check(&lab.rollout(), "rollout-paused-at-step.json", &apart);
    lab.patch_status(&json!({"abort": true}));
    lab.until_phase("Degraded");
    lab.seconds(5);
    check(&lab.rollout(), "rollout-aborted.json", &apart);
}

#[test]
fn sets_and_pods_have_the_fields_of_captured_ones() {
    let lab = paused();
    let list = |kind: &str| {
        let mut items = lab.cluster.list(kind);
        for item in &mut items {
            item.drop_field("/kind");
            item.drop_field("/apiVersion");
        }
        json!({"items": items})
    };
    let apart = ["/kind", "/apiVersion", "/metadata"];
    check(
        &list("ReplicaSet"),
        "replicasets-paused-at-step.json",
        &apart,
    );
    // Without admission no tolerations; a kubelet says `started`, KWOK does not.
    let kubelet = [
        "/items/*/status/containerStatuses/*/started",
        "/items/*/spec/tolerations",
        "/items/*/spec/priority",
        "/items/*/spec/enableServiceLinks",
        "/items/*/spec/preemptionPolicy",
    ];
    check(
        &list("Pod"),
        "pods-canary.json",
        &[&apart[..], &kubelet].concat(),
    );
}

#[tokio::test]
async fn tables_have_the_columns_of_captured_ones() {
    let lab = paused();
    let web = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "web:1"}]},
            },
        },
    });
    lab.cluster.apply(web).unwrap();
    lab.seconds(5);
    let api = serve(&lab.cluster).await;
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    for (path, name) in [
        (DEMO, "table-rollout.json"),
        (
            "/apis/apps/v1/namespaces/default/deployments/web",
            "table-deployment.json",
        ),
        (
            "/apis/apps/v1/namespaces/default/replicasets",
            "table-replicasets.json",
        ),
        ("/api/v1/namespaces/default/pods", "table-pods.json"),
    ] {
        let table = api.get_as(path, accept).await;
        let real = fixture(name);
        let columns = |table: &Value| -> Vec<(String, String, i64)> {
            let all = table.items("/columnDefinitions").iter();
            all.map(|column| {
                let kind = column.text("/type").to_owned();
                (
                    column.text("/name").to_owned(),
                    kind,
                    column.count("/priority"),
                )
            })
            .collect()
        };
        assert_eq!(columns(&table), columns(&real), "{name}");
        let cells = |table: &Value| table.items("/rows/0/cells").len();
        assert_eq!(cells(&table), cells(&real), "{name}");
    }
}

#[tokio::test]
async fn answers_carry_the_time_of_the_world() {
    let (lab, api) = demo_api().await;
    let date = api.header(DEMO, "date").await;
    let stamp = super::locked(&lab.now).format("%a, %d %b %Y %H:%M:%S GMT");
    assert_eq!(date, stamp.to_string());
}

#[tokio::test]
async fn pods_have_logs_that_can_be_cut_to_their_end() {
    let (lab, api) = demo_api().await;
    lab.seconds(20);
    let pods = lab.cluster.list("Pod");
    let name = pods[0].text("/metadata/name");
    let log = format!("/api/v1/namespaces/default/pods/{name}/log");
    let (code, text) = api.get(&log).await;
    let all: Vec<_> = text.as_str().unwrap().lines().map(str::to_owned).collect();
    assert_eq!(code, 200);
    assert!(all[0].contains("loading model from registry.local/demo:v1"));
    let (_, end) = api.get(&format!("{log}?tailLines=3")).await;
    let end: Vec<_> = end.as_str().unwrap().lines().map(str::to_owned).collect();
    assert_eq!(end, all[all.len() - 3..]);
    lab.set_image("bad");
    lab.seconds(2);
    let stuck = lab
        .cluster
        .list("Pod")
        .into_iter()
        .find(|pod| pod.text("/spec/containers/0/image").ends_with(":bad"));
    let stuck = stuck.unwrap().text("/metadata/name").to_owned();
    let (code, body) = api
        .get(&format!("/api/v1/namespaces/default/pods/{stuck}/log"))
        .await;
    assert_eq!((code, body.text("/reason")), (400, "BadRequest"));
    assert!(
        body.text("/message")
            .ends_with("trying and failing to pull image")
    );
}
