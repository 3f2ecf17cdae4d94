//! Watches over a real socket, with kube's client on the other end.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use super::http::{DEMO, serve};
use super::{Lab, demo};
use crate::sim::kubernetes::Fault;
use crate::sim::kubernetes::value::Fields;

fn rollouts(api: &super::http::Api) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Rollout");
    Api::namespaced_with(api.client(), "default", &ApiResource::from_gvk(&kind))
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .unwrap()
}

#[tokio::test]
async fn list_then_watch_misses_nothing() {
    let lab = Lab::with_demo(demo());
    let api = serve(&lab.cluster).await;
    let rollouts = rollouts(&api);
    let list = in_time(rollouts.list(&ListParams::default()))
        .await
        .unwrap();
    let version = list.metadata.resource_version.unwrap();
    assert_eq!(list.items.len(), 1);
    // Between the list and the watch.
    lab.set_image("v2");
    let stream = in_time(rollouts.watch(&WatchParams::default(), &version))
        .await
        .unwrap();
    let mut stream = stream.boxed();
    lab.seconds(3);
    let mut phases = Vec::new();
    while phases.last().is_none_or(|phase| phase != "Paused") {
        match in_time(stream.try_next()).await.unwrap().unwrap() {
            WatchEvent::Modified(object) => {
                phases.push(object.data.text("/status/phase").to_owned());
            }
            other => panic!("{other:?}"),
        }
    }
    phases.dedup();
    assert_eq!(phases, ["Healthy", "Progressing", "Paused"]);
    lab.cluster.delete("Rollout", "default", "demo");
    loop {
        match in_time(stream.try_next()).await.unwrap().unwrap() {
            WatchEvent::Deleted(object) => {
                assert_eq!(object.metadata.name.as_deref(), Some("demo"));
                break;
            }
            WatchEvent::Modified(_) => (),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_version_the_log_forgot_is_one_error_410_and_the_end() {
    let lab = Lab::with_demo(demo());
    let api = serve(&lab.cluster).await;
    lab.cluster.compact();
    let stream = in_time(rollouts(&api).watch(&WatchParams::default(), "1"))
        .await
        .unwrap();
    let events: Vec<_> = in_time(stream.try_collect()).await.unwrap();
    match events.as_slice() {
        [WatchEvent::Error(status)] => {
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
            assert!(status.message.starts_with("too old resource version: 1 ("));
        }
        other => panic!("{other:?}"),
    }
    // The version of a list made now is good.
    let list = in_time(rollouts(&api).list(&ListParams::default()))
        .await
        .unwrap();
    let version = list.metadata.resource_version.unwrap();
    let params = WatchParams::default().timeout(1);
    let stream = in_time(rollouts(&api).watch(&params, &version))
        .await
        .unwrap();
    let events: Vec<_> = in_time(stream.try_collect()).await.unwrap();
    assert!(
        matches!(events.as_slice(), [WatchEvent::Bookmark(_)]),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_watch_ends_after_its_timeout_with_a_bookmark_of_where_it_is() {
    let lab = Lab::with_demo(demo());
    let api = serve(&lab.cluster).await;
    let params = WatchParams::default().timeout(1);
    let stream = in_time(rollouts(&api).watch(&params, "0")).await.unwrap();
    // Something else moves the version on.
    let namespace = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    lab.cluster.apply(namespace).unwrap();
    let events: Vec<_> = in_time(stream.try_collect()).await.unwrap();
    let [WatchEvent::Added(first), WatchEvent::Bookmark(mark)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(first.metadata.name.as_deref(), Some("demo"));
    let own: u64 = first
        .metadata
        .resource_version
        .as_deref()
        .unwrap()
        .parse()
        .unwrap();
    let end: u64 = mark.metadata.resource_version.parse().unwrap();
    assert!(own < end);
    assert_eq!(end, lab.cluster.shared.store.version());
}

#[tokio::test]
async fn an_object_that_no_longer_matches_leaves_the_watch() {
    let lab = Lab::with_demo(demo());
    let api = serve(&lab.cluster).await;
    let params = WatchParams::default().labels("team=red");
    let label = |team: &str| {
        let merge = json!({"metadata": {"labels": {"team": team}}});
        lab.cluster
            .patch("Rollout", "default", "demo", merge)
            .unwrap();
    };
    let version = lab.cluster.shared.store.version().to_string();
    let stream = in_time(rollouts(&api).watch(&params, &version))
        .await
        .unwrap();
    let mut stream = stream.boxed();
    for team in ["blue", "red", "red", "blue"] {
        label(team);
    }
    let first = in_time(stream.try_next()).await.unwrap().unwrap();
    assert!(matches!(first, WatchEvent::Added(_)), "{first:?}");
    let second = in_time(stream.try_next()).await.unwrap().unwrap();
    assert!(matches!(second, WatchEvent::Deleted(_)), "{second:?}");
}

#[tokio::test]
async fn a_streaming_list_says_when_it_has_said_all() {
    let lab = Lab::with_demo(demo());
    let api = serve(&lab.cluster).await;
    let params = WatchParams::default().timeout(1).initial_events();
    let stream = in_time(rollouts(&api).watch(&params, "0")).await.unwrap();
    let events: Vec<_> = in_time(stream.try_collect()).await.unwrap();
    let [WatchEvent::Added(_), WatchEvent::Bookmark(mark), ..] = events.as_slice() else {
        panic!("{events:?}");
    };
    let end = mark.metadata.annotations.get("k8s.io/initial-events-end");
    assert_eq!(end.map(String::as_str), Some("true"));
}

#[tokio::test]
async fn a_fault_ends_open_watches() {
    let lab = Lab::with_demo(demo());
    let api = serve(&lab.cluster).await;
    let version = lab.cluster.shared.store.version().to_string();
    for fault in [Fault::Status(503), Fault::Reset] {
        lab.cluster.set_fault(None);
        let stream = in_time(rollouts(&api).watch(&WatchParams::default(), &version))
            .await
            .unwrap();
        lab.cluster.set_fault(Some(fault));
        let rest: Vec<_> = in_time(stream.collect()).await;
        assert!(rest.iter().all(Result::is_err), "{rest:?}");
    }
    lab.cluster.set_fault(None);
    assert_eq!(api.get(DEMO).await.0, 200);
}
