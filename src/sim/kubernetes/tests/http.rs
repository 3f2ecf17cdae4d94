//! The HTTP API, asked over a real socket, compared with captured answers.
//!
//! The client is kube's, which knows nothing of this server. Where a captured
//! answer of a real API server exists, the answer here must be the same but
//! for what is particular to one cluster.

use http::{Method, Request};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::{Lab, demo};
use crate::sim::kubernetes::value::Fields;
use crate::sim::kubernetes::{Cluster, Persona};

pub(super) const DEMO: &str = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts/demo";
pub(super) const ROLLOUTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts";
pub(super) const MERGE: &str = "application/merge-patch+json";
pub(super) const JSON: &str = "application/json-patch+json";

/// A served cluster, asked as one of its users.
pub(super) struct Api {
    pub(super) address: String,
    pub(super) token: &'static str,
}

/// Serves a cluster on a free port; asks as its release manager.
pub(super) async fn serve(cluster: &Cluster) -> Api {
    cluster.add_user(Persona::admin("admin-token", "admin"));
    cluster.add_user(Persona::release_manager("manager-token", "release-manager"));
    cluster.add_user(Persona::viewer("viewer-token", "viewer"));
    let stranger = Persona {
        rules: Vec::new(),
        ..Persona::viewer("stranger-token", "stranger")
    };
    cluster.add_user(stranger);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = cluster.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Api {
        address,
        token: "manager-token",
    }
}

impl Api {
    pub(super) fn client(&self) -> Client {
        let mut config = kube::Config::new(self.address.parse().unwrap());
        config.auth_info.token = Some(self.token.to_owned().into());
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    pub(super) fn by(&self, token: &'static str) -> Self {
        Self {
            address: self.address.clone(),
            token,
        }
    }

    /// The code and body of any request.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Value,
    ) -> (u16, Value) {
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .body(Body::from(bytes))
            .unwrap();
        let response = self.client().send(request).await.unwrap();
        let code = response.status().as_u16();
        let bytes = response.into_body().collect_bytes().await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        (
            code,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// The body of an answer in another representation.
    pub(super) async fn get_as(&self, path: &str, accept: &str) -> Value {
        let request = Request::get(path).header("accept", accept);
        let request = request.body(Vec::new()).unwrap();
        self.client().request(request).await.unwrap()
    }

    /// A header of an answer.
    pub(super) async fn header(&self, path: &str, name: &str) -> String {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.client().send(request).await.unwrap();
        response.headers()[name].to_str().unwrap().to_owned()
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, "", Value::Null).await
    }

    pub(super) async fn patch(&self, path: &str, kind: &str, body: Value) -> (u16, Value) {
        self.ask(Method::PATCH, path, kind, body).await
    }
}

pub(super) fn fixture(name: &str) -> Value {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

pub(super) async fn demo_api() -> (Lab, Api) {
    let lab = Lab::with_demo(demo());
    let api = serve(&lab.cluster).await;
    (lab, api)
}

#[tokio::test]
async fn refusals_read_as_those_of_a_real_server() {
    let (_lab, api) = demo_api().await;
    let status = format!("{DEMO}/status");
    let (viewer, stranger) = (api.by("viewer-token"), api.by("stranger-token"));
    let rollouts = "/apis/argoproj.io/v1alpha1/rollouts";
    let abort = json!({"status": {"abort": true}});
    let missing = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts/absent";
    let tests = [
        json!([{"op": "test", "path": "/status/currentStepIndex", "value": 77}]),
        json!([{"op": "test", "path": "/status/nowhere", "value": 1}]),
        json!([{"op": "remove", "path": "/status/nowhere"}]),
    ];
    let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"paused": true}});
    let mut again = demo();
    again.drop_field("/status");
    let many = json!({"spec": {"replicas": "many"}});
    for (answer, name) in [
        (
            api.by("wrong").get(DEMO).await,
            "error-401-wrong-token.json",
        ),
        (
            viewer.patch(&status, MERGE, abort).await,
            "error-403-viewer-patches-status.json",
        ),
        (
            stranger.get(ROLLOUTS).await,
            "error-403-stranger-lists.json",
        ),
        (
            stranger.get(rollouts).await,
            "error-403-all-namespaces-stranger.json",
        ),
        (api.get(missing).await, "error-404-no-such-rollout.json"),
        (
            api.get("/apis/argoproj.io/v1alpha1/namespaces/default/applications")
                .await,
            "error-404-no-such-resource.txt",
        ),
        (
            api.get("/apis/flagger.app/v1beta1/canaries").await,
            "error-404-no-such-group.txt",
        ),
        (
            api.patch(DEMO, MERGE, stale).await,
            "error-409-stale-resource-version.json",
        ),
        (
            api.by("admin-token")
                .ask(Method::POST, ROLLOUTS, "application/json", again)
                .await,
            "error-409-already-exists.json",
        ),
        (
            api.patch(DEMO, "application/json", json!({"spec": {}}))
                .await,
            "error-415-patch-type.json",
        ),
        (
            api.patch(&status, JSON, tests[0].clone()).await,
            "error-422-json-patch-test.json",
        ),
        (
            api.patch(&status, JSON, tests[1].clone()).await,
            "error-422-json-patch-test-missing-path.json",
        ),
        (
            api.patch(&status, JSON, tests[2].clone()).await,
            "error-422-json-patch-remove-missing.json",
        ),
        (
            api.patch(&status, JSON, json!({"op": "add"})).await,
            "error-400-json-patch-malformed.json",
        ),
    ] {
        let (code, body) = answer;
        let expected = fixture(name);
        assert_eq!(body, expected, "{name}");
        assert!(name.contains(&code.to_string()), "{name} was {code}");
    }
    let (code, body) = api.patch(DEMO, MERGE, many).await;
    let real = fixture("error-422-invalid-object.json");
    assert_eq!(code, 422);
    assert_eq!(body.at("/details/causes/0"), real.at("/details/causes/0"));
    assert_eq!(body.text("/reason"), real.text("/reason"));
}

#[tokio::test]
async fn an_unknown_status_field_is_refused_when_strict() {
    let (_lab, api) = demo_api().await;
    let path = format!("{DEMO}/status?fieldValidation=Strict&dryRun=All");
    let (code, body) = api
        .patch(&path, MERGE, json!({"status": {"aborted": true}}))
        .await;
    let real = fixture("error-422-strict-unknown-field.json");
    assert_eq!(code, 422);
    let end = "strict decoding error: unknown field \"status.aborted\"";
    for answer in [&body, &real] {
        assert!(
            answer
                .text("/message")
                .starts_with(" \"\" is invalid: patch: Invalid value: ")
        );
        assert!(answer.text("/message").ends_with(end));
        assert_eq!(answer.text("/details/causes/0/field"), "patch");
    }
    let path = format!("{DEMO}/status?dryRun=All");
    let (code, _) = api
        .patch(&path, MERGE, json!({"status": {"aborted": true}}))
        .await;
    assert_eq!(code, 200);
}

#[tokio::test]
async fn cluster_trap_7_a_status_in_a_main_patch_is_dropped_silently() {
    let (lab, api) = demo_api().await;
    let before = lab.rollout();
    let (code, body) = api
        .patch(DEMO, MERGE, json!({"status": {"abort": true}}))
        .await;
    assert_eq!(code, 200);
    assert!(!body.has("/status/abort"));
    // Nothing changed, so there is not even a new version.
    assert_eq!(
        body.text("/metadata/resourceVersion"),
        before.text("/metadata/resourceVersion")
    );
}

#[tokio::test]
async fn cluster_trap_8_no_subresource_and_no_object_are_the_same_404() {
    let (lab, api) = demo_api().await;
    let run = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": "run"},
        "spec": {"metrics": []},
    });
    lab.cluster.apply(run).unwrap();
    let admin = api.by("admin-token");
    let runs = "/apis/argoproj.io/v1alpha1/namespaces/default/analysisruns";
    let abort = json!({"status": {"phase": "Failed"}});
    let (code, none) = admin
        .patch(&format!("{runs}/run/status"), MERGE, abort.clone())
        .await;
    assert_eq!(code, 404);
    let (_, gone) = admin
        .patch(&format!("{runs}/run2"), MERGE, abort.clone())
        .await;
    assert_eq!(none.text("/reason"), gone.text("/reason"));
    // Without the subresource the main patch takes the status.
    let (code, body) = admin
        .patch(&format!("{runs}/run"), MERGE, abort.clone())
        .await;
    assert_eq!((code, body.text("/status/phase")), (200, "Failed"));
    // As a role without that rule it is a 403 before any 404.
    let (code, _) = api.patch(&format!("{runs}/run/status"), MERGE, abort).await;
    assert_eq!(code, 403);
}

#[tokio::test]
async fn a_status_patch_touches_nothing_else_and_keeps_the_generation() {
    let (lab, api) = demo_api().await;
    let before = lab.rollout();
    let body = json!([
        {"op": "test", "path": "/metadata/uid", "value": before.at("/metadata/uid")},
        {"op": "add", "path": "/status/abort", "value": true},
        {"op": "add", "path": "/spec/paused", "value": true},
    ]);
    let path = format!("{DEMO}/status?fieldManager=gonogo");
    let (code, after) = api.patch(&path, JSON, body).await;
    assert_eq!(code, 200);
    assert!(after.flag("/status/abort"));
    assert!(!after.flag("/spec/paused"));
    assert_eq!(
        after.at("/metadata/generation"),
        before.at("/metadata/generation")
    );
    let mine = after
        .items("/metadata/managedFields")
        .iter()
        .find(|entry| entry.text("/manager") == "gonogo")
        .unwrap();
    assert_eq!(mine.text("/subresource"), "status");
    assert_eq!(mine.at("/fieldsV1"), &json!({"f:status": {"f:abort": {}}}));
}

#[tokio::test]
async fn a_dry_run_answers_and_keeps_nothing() {
    let (lab, api) = demo_api().await;
    let path = format!("{DEMO}/status?dryRun=All");
    let body = json!([{"op": "add", "path": "/status/abort", "value": true}]);
    let (code, after) = api.patch(&path, JSON, body).await;
    assert_eq!(code, 200);
    assert!(after.flag("/status/abort"));
    assert!(!lab.rollout().flag("/status/abort"));
}

#[tokio::test]
async fn access_reviews_answer_by_persona() {
    let (_lab, api) = demo_api().await;
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let ask = |verb: &str, subresource: Option<&str>| {
        let mut review = json!({"kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"resourceAttributes": {
            "namespace": "default", "verb": verb, "group": "argoproj.io", "resource": "rollouts",
        }}});
        if let Some(subresource) = subresource {
            review.put("/spec/resourceAttributes/subresource", json!(subresource));
        }
        review
    };
    for (token, review, name) in [
        (
            "manager-token",
            ask("patch", Some("status")),
            "review-allowed.json",
        ),
        (
            "viewer-token",
            ask("patch", Some("status")),
            "review-denied-viewer.json",
        ),
        (
            "stranger-token",
            ask("list", None),
            "review-denied-stranger.json",
        ),
        ("admin-token", ask("delete", None), "review-admin.json"),
    ] {
        let asked = api
            .by(token)
            .ask(Method::POST, path, "application/json", review)
            .await;
        assert_eq!(asked, (201, fixture(name)), "{name}");
    }
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let (_, me) = api
        .ask(Method::POST, path, "application/json", json!({}))
        .await;
    assert_eq!(
        me.at("/status"),
        fixture("review-who-am-i.json").at("/status")
    );
}

#[tokio::test]
async fn discovery_lists_the_argo_kinds_as_the_real_server_does() {
    let (_lab, api) = demo_api().await;
    let (_, ours) = api.get("/apis/argoproj.io/v1alpha1").await;
    let real = fixture("apis-argoproj-v1alpha1.json");
    for entry in real.items("/resources") {
        let mut entry = entry.clone();
        entry.drop_field("/storageVersionHash");
        assert!(
            ours.items("/resources").contains(&entry),
            "{entry} is missing in {ours}"
        );
    }
    assert_eq!(
        ours.items("/resources").len(),
        real.items("/resources").len()
    );
    let (_, ours) = api.get("/apis/apps/v1").await;
    let real = fixture("apis-apps-v1.json");
    for entry in ours.items("/resources") {
        let wanted = real
            .items("/resources")
            .iter()
            .find(|it| it.at("/name") == entry.at("/name"));
        let mut wanted = wanted.unwrap().clone();
        wanted.drop_field("/storageVersionHash");
        assert_eq!(entry, &wanted);
    }
    let (code, version) = api.get("/version").await;
    assert_eq!((code, version.text("/gitVersion")), (200, "v1.34.4"));
}
