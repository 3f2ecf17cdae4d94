//! The world as a whole, over its sockets.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::sim::{Sim, clock::Clock, scenario};

/// A clock that begins at a fixed moment and then keeps time.
fn clock(speed: f64) -> Clock {
    let begins: DateTime<Utc> = "2026-08-21T14:32:07Z".parse().unwrap();
    let started = Instant::now();
    Clock::new(
        Arc::new(move || begins + TimeDelta::from_std(started.elapsed()).unwrap()),
        speed,
    )
}

pub(crate) async fn world(name: &str, speed: f64) -> Sim {
    Sim::start(&scenario::load(name).unwrap(), clock(speed))
        .await
        .unwrap()
}

pub(crate) struct Client(pub(crate) reqwest::Client);

impl Client {
    pub(crate) fn new() -> Self {
        // Whoever comes second finds it installed already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .user_agent("sim-tests")
            .no_proxy()
            .build();
        Self(client.unwrap())
    }

    pub(crate) async fn get(&self, base: &str, token: &str, path: &str) -> Value {
        let answer = self
            .0
            .get(format!("{base}{path}"))
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }

    pub(crate) async fn github(&self, sim: &Sim, path: &str) -> Value {
        let at = &sim.endpoints().github;
        self.get(&at.url, &at.token, &format!("/repos/{}{path}", at.repo))
            .await
    }

    pub(crate) async fn query(&self, sim: &Sim, query: &str) -> Value {
        let at = &sim.endpoints().prometheus;
        let query = crate::sim::http::percent_encoded(query);
        self.get(&at.url, &at.token, &format!("/api/v1/query?query={query}"))
            .await
    }

    pub(crate) async fn rollout(&self, sim: &Sim) -> Value {
        let at = &sim.endpoints().kubernetes;
        let path = format!(
            "/apis/argoproj.io/v1alpha1/namespaces/{}/rollouts/{}",
            at.namespace, at.rollout
        );
        self.get(&at.url, &at.token, &path).await
    }
}

/// Looks again until `seen` is true or ten seconds are over.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut seen: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !seen().await {
        assert!(Instant::now() < deadline, "never seen: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_canary_is_found_half_way_and_waiting_for_two_decisions() {
    let sim = world("canary", 1.0).await;
    let client = Client::new();

    let run = client
        .github(
            &sim,
            &format!("/actions/runs/{}", sim.endpoints().github.run_id),
        )
        .await;
    assert_eq!(run["status"], "waiting");
    let pending = client
        .github(
            &sim,
            &format!("/actions/runs/{}/pending_deployments", run["id"]),
        )
        .await;
    assert_eq!(pending[0]["environment"]["name"], "prod-us");
    assert_eq!(pending[0]["current_user_can_approve"], true);

    let rollout = client.rollout(&sim).await;
    assert_eq!(rollout["status"]["phase"], "Paused", "{rollout:#}");
    assert_eq!(rollout["status"]["currentStepIndex"], 4);
    let image = rollout["spec"]["template"]["spec"]["containers"][0]["image"]
        .as_str()
        .unwrap();
    assert!(
        image.ends_with(run["head_sha"].as_str().unwrap()),
        "{image}"
    );

    let at = &sim.endpoints().mlflow;
    let model = client
        .get(
            &at.url,
            &at.token,
            "/api/2.0/mlflow/registered-models/get?name=ranker",
        )
        .await;
    assert_eq!(
        model["registered_model"]["aliases"][0],
        json!({"alias": "champion", "version": "41"})
    );
    assert_eq!(
        model["registered_model"]["latest_versions"][0]["version"],
        "42"
    );
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_story_has_an_hour_behind_it_too() {
    let sim = world("canary", 20.0).await;
    let client = Client::new();
    let hour_ago = "sum(rate(http_requests_total{environment=\"prod-eu\"}[5m] offset 54m))";
    let answer = client.query(&sim, hour_ago).await;
    let value: f64 = answer["data"]["result"][0]["value"][1]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((126.0..154.0).contains(&value), "{value}");
    let rollout = client.rollout(&sim).await;
    assert_eq!(
        rollout["metadata"]["creationTimestamp"],
        "2026-08-21T13:32:07Z"
    );
    assert_eq!(rollout["status"]["currentStepIndex"], 4);
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_of_measurements_is_there_at_the_start() {
    let sim = world("canary", 1.0).await;
    let client = Client::new();
    let hour_ago = "sum(increase(http_requests_total{environment=\"prod-eu\"}[5m] offset 54m))";
    let answer = client.query(&sim, hour_ago).await;
    let value: f64 = answer["data"]["result"][0]["value"][1]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        (140.0 * 300.0 * 0.9..140.0 * 300.0 * 1.1).contains(&value),
        "{value}"
    );
    let shares = "sum by (role) (rate(http_requests_total{environment=\"prod-eu\"}[1m]))";
    let answer = client.query(&sim, shares).await;
    let rate = |index: usize| -> f64 {
        answer["data"]["result"][index]["value"][1]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    assert_eq!(answer["data"]["result"][0]["metric"]["role"], "canary");
    let share = rate(0) / (rate(0) + rate(1));
    assert!((share - 0.3).abs() < 0.03, "{share}");
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approving_runs_the_job_and_the_cluster_learns_of_it() {
    let sim = world("canary", 20.0).await;
    let client = Client::new();
    let at = sim.endpoints().github.clone();
    let target = format!("/actions/runs/{}/pending_deployments", at.run_id);
    let environment = client.github(&sim, &target).await[0]["environment"]["id"].clone();
    let body = json!({"environment_ids": [environment], "state": "approved", "comment": "go"});
    let answer = client
        .0
        .post(format!("{}/repos/{}{target}", at.url, at.repo))
        .bearer_auth(&at.token)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let image = "/spec/template/spec/containers/0/image";
    let here = &sim.endpoints().kubernetes;
    let path = "/apis/argoproj.io/v1alpha1/namespaces/recsys-us/rollouts/ranker";
    until("the commit in the other region", async || {
        let rollout = client.get(&here.url, &here.token, path).await;
        let image = rollout.pointer(image).and_then(Value::as_str).unwrap();
        image.ends_with("9f3c2ab07e5d4c61b8a2f90e3d7c5b1a6e8f4d20")
    })
    .await;
    assert_eq!(sim.acts().len(), 1);
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promoting_the_rollout_moves_the_traffic() {
    let sim = world("canary", 20.0).await;
    let client = Client::new();
    let at = sim.endpoints().kubernetes.clone();
    let answer = client
        .0
        .patch(format!(
            "{}/apis/argoproj.io/v1alpha1/namespaces/{}/rollouts/{}/status",
            at.url, at.namespace, at.rollout
        ))
        .bearer_auth(&at.token)
        .header("content-type", "application/merge-patch+json")
        .body(json!({"status": {"promoteFull": true}}).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let share =
        "sum by (role, version) (rate(http_requests_total{environment=\"prod-eu\"}[500ms]))";
    until("all traffic on the new version", async || {
        let answer = client.query(&sim, share).await;
        let result = answer["data"]["result"].as_array().unwrap().clone();
        result.len() == 1
            && result[0]["metric"]["role"] == "stable"
            && result[0]["metric"]["version"]
                .as_str()
                .unwrap()
                .starts_with("9f3c2ab")
    })
    .await;
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_for_clients_are_whole_and_private() {
    let sim = world("canary", 4.0).await;
    let dir = tempfile::tempdir().unwrap();
    sim.write(dir.path()).unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let config: toml::Table = read("config.toml").parse().unwrap();
    let token = config["backend"]["gh"]["token"].as_str().unwrap();
    let file = token.strip_prefix("file:").unwrap();
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        sim.endpoints().github.token
    );
    // 6 s at speed 4, and half a minute.
    assert_eq!(config["backend"]["gh"]["poll"].as_str(), Some("1500ms"));
    let metric = &config["service"]["recsys-ranker"]["metric"]["latency_p95"];
    assert_eq!(metric["range"].as_str(), Some("225s"));
    assert!(metric["canary"].as_str().unwrap().contains("[7500ms]"));
    assert!(
        !read("config.toml").contains("${"),
        "{}",
        read("config.toml")
    );
    let kubeconfig: Value = serde_saphyr::from_str(&read("kubeconfig")).unwrap();
    assert_eq!(
        kubeconfig["users"][0]["user"]["token"],
        sim.endpoints().kubernetes.token.as_str()
    );
    let endpoints: Value = serde_json::from_str(&read("endpoints.json")).unwrap();
    for (server, names) in [
        ("github", ["repo", "workflow", "run_id"].as_slice()),
        ("mlflow", &["model"]),
        ("prometheus", &["query"]),
        ("kubernetes", &["namespace", "rollout"]),
    ] {
        for name in ["url", "token"].iter().chain(names) {
            assert!(!endpoints[server][*name].is_null(), "{server}.{name}");
        }
    }
    #[cfg(unix)]
    for name in [
        "config.toml",
        "kubeconfig",
        "endpoints.json",
        "github.token",
    ] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_world_answers_nobody() {
    let sim = world("canary", 20.0).await;
    let url = sim.endpoints().prometheus.url.clone();
    let client = Client::new();
    assert!(client.0.get(format!("{url}/-/ready")).send().await.is_ok());
    sim.stop().await;
    assert!(client.0.get(format!("{url}/-/ready")).send().await.is_err());
}

#[tokio::test]
async fn a_cause_can_be_asked_for_and_happens_at_once() {
    let sim = world("canary", 4.0).await;
    let client = Client::new();
    let url = format!("{}/sim/causes", sim.endpoints().kubernetes.url);
    let ask = async |cause: Value| {
        let answer = client.0.post(&url).json(&cause).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let shape =
        json!({"shape": {"traffic": "recsys-ranker prod-eu", "gauges": {"feature_psi": 7.5}}});
    assert_eq!(ask(shape).await.0, StatusCode::ACCEPTED);
    until("the new value", async || {
        let answer = client.query(&sim, "max(feature_psi)").await;
        let value = answer.pointer("/data/result/0/value/1");
        let value = value.and_then(Value::as_str).unwrap_or_default();
        // The gauge wobbles by a twentieth around it.
        value.parse::<f64>().is_ok_and(|value| value > 7.0)
    })
    .await;
    let (code, why) = ask(json!({"shake": {}})).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    assert!(why.contains("shake"), "{why}");
    let (code, why) = ask(json!({})).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    assert!(why.contains("exactly one"), "{why}");
    sim.stop().await;
}
