//! That each scenario is what it says, read over its sockets.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::sim::{
    Sim,
    cause::Cause,
    scenario,
    tests::{Client, until, world},
};

async fn weight(client: &Client, sim: &Sim) -> f64 {
    let at = &sim.endpoints().kubernetes;
    let query = format!(
        "100 * sum(rate(http_requests_total{{namespace=\"{0}\",role=\"canary\"}}[10s])) \
         / sum(rate(http_requests_total{{namespace=\"{0}\"}}[10s]))",
        at.namespace
    );
    number(&client.query(sim, &query).await).unwrap_or(0.0)
}

/// The only number of a query's answer.
fn number(answer: &Value) -> Option<f64> {
    answer
        .pointer("/data/result/0/value/1")?
        .as_str()?
        .parse()
        .ok()
}

async fn pending(client: &Client, sim: &Sim) -> Vec<Value> {
    let run = sim.endpoints().github.run_id;
    let answer = client
        .github(sim, &format!("/actions/runs/{run}/pending_deployments"))
        .await;
    answer.as_array().unwrap().clone()
}

async fn mlflow(client: &Client, sim: &Sim, path: &str) -> Value {
    let at = &sim.endpoints().mlflow;
    client
        .get(&at.url, &at.token, &format!("/api/2.0/mlflow/{path}"))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_is_past_its_limit_from_the_start_with_a_third_of_the_traffic() {
    let sim = world("latency", 4.0).await;
    let client = Client::new();
    let rollout = client.rollout(&sim).await;
    assert_eq!(rollout["status"]["currentStepIndex"], 3, "it is at 30 %");
    let began = Instant::now();
    let p95 = "histogram_quantile(0.95, sum by (le) (rate(predict_latency_seconds_bucket{role=\"canary\"}[5s])))";
    until("a latency past the limit of 250 ms", async || {
        number(&client.query(&sim, p95).await).is_some_and(|p95| p95 > 0.25)
    })
    .await;
    // Eight seconds of the story at this speed.
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    until("a third of the traffic", async || {
        (weight(&client, &sim).await - 30.0).abs() < 5.0
    })
    .await;
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fairness_waits_with_a_model_past_its_limit() {
    let sim = world("fairness", 20.0).await;
    let client = Client::new();
    assert_eq!(
        pending(&client, &sim).await[0]["current_user_can_approve"],
        true
    );
    let version = mlflow(
        &client,
        &sim,
        "model-versions/get?name=lesion-screen&version=72",
    )
    .await;
    let run = version["model_version"]["run_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let run = mlflow(&client, &sim, &format!("runs/get?run_id={run}")).await;
    let metrics = run["run"]["data"]["metrics"].as_array().unwrap();
    let parity = metrics
        .iter()
        .find(|metric| metric["key"] == "fairness.demographic_parity_difference")
        .unwrap();
    assert_eq!(parity["value"], 0.071);
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stuck_waits_for_one_yes_of_ours_and_one_of_others() {
    let sim = world("stuck", 1.0).await;
    let client = Client::new();
    let waiting = pending(&client, &sim).await;
    let mine: Vec<_> = waiting
        .iter()
        .map(|one| {
            let name = one["environment"]["name"].as_str().unwrap().to_owned();
            (name, one["current_user_can_approve"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(
        mine,
        [("prod-us".to_owned(), true), ("prod-eu".to_owned(), false)]
    );
    assert_eq!(waiting[1]["reviewers"][1]["reviewer"]["slug"], "sre-oncall");
    assert_eq!(client.rollout(&sim).await["status"]["phase"], "Healthy");
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incident_is_a_release_that_everybody_has_and_that_fails() {
    let sim = world("incident", 1.0).await;
    let client = Client::new();
    let rollout = client.rollout(&sim).await;
    assert_eq!(rollout["status"]["phase"], "Healthy");
    assert_eq!(
        rollout["status"]["stableRS"],
        rollout["status"]["currentPodHash"]
    );
    let model = mlflow(&client, &sim, "registered-models/get?name=price-elastic").await;
    assert_eq!(
        model["registered_model"]["aliases"],
        json!([{"alias": "champion", "version": "121"},
               {"alias": "previous-champion", "version": "120"}])
    );
    let failing = number(
        &client
            .query(&sim, &sim.endpoints().prometheus.query.clone())
            .await,
    );
    assert!(failing.is_some_and(|percent| percent > 10.0), "{failing:?}");
    let before = "100 * sum(rate(http_requests_total{code=\"500\"}[5m] offset 10m)) \
                  / sum(rate(http_requests_total[5m] offset 10m))";
    let before = number(&client.query(&sim, before).await).unwrap();
    assert!(before < 0.5, "{before} %");
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_has_twelve_services_each_in_its_own_state() {
    let sim = world("fleet", 1.0).await;
    let client = Client::new();
    let at = sim.endpoints().kubernetes.clone();
    let listed = client
        .get(&at.url, &at.token, "/apis/argoproj.io/v1alpha1/rollouts")
        .await;
    let state = |namespace: &str| {
        let rollout = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["metadata"]["namespace"] == namespace)
            .unwrap();
        let status = &rollout["status"];
        (
            status["phase"].as_str().unwrap().to_owned(),
            status["currentPodHash"] == status["stableRS"],
            status["abort"] == true,
        )
    };
    let seen = |namespace: &str, phase: &str, live: bool, aborted: bool| {
        assert_eq!(
            state(namespace),
            (phase.to_owned(), live, aborted),
            "{namespace}"
        );
    };
    seen("recsys", "Paused", false, false);
    seen("fraud", "Healthy", true, false);
    seen("ads", "Paused", false, false);
    seen("search", "Healthy", true, false);
    seen("pricing", "Healthy", true, false);
    seen("geo", "Degraded", false, true);
    seen("churn", "Paused", false, false);
    let deployments = client
        .get(&at.url, &at.token, "/apis/apps/v1/deployments")
        .await;
    assert_eq!(deployments["items"].as_array().unwrap().len(), 2);
    let github = &sim.endpoints().github;
    let state_of = async |repo: &str| {
        let path = format!("/repos/acme/{repo}/actions/runs");
        let runs = client.get(&github.url, &github.token, &path).await;
        let run = &runs["workflow_runs"][0];
        (run["status"].clone(), run["conclusion"].clone())
    };
    assert_eq!(state_of("fraud-score").await.0, "waiting");
    assert_eq!(state_of("energy-forecast").await.0, "in_progress");
    assert_eq!(state_of("chat-tox").await.0, "in_progress");
    assert_eq!(state_of("nlp-intent").await.1, "failure");
    let repos = client
        .get(&github.url, &github.token, "/user/repos?per_page=100")
        .await;
    assert_eq!(repos.as_array().unwrap().len(), 12);
    let silent = client.query(&sim, "feature_psi{service=\"churn\"}").await;
    assert_eq!(silent["data"]["result"], json!([]));
    sim.stop().await;
}

/// A person must see each trouble come, stay and go, and nothing else with it.
/// GitHub is asked every 30 s while nothing runs and is called silent after a
/// minute, so its first trouble takes longest.
#[test]
fn each_fault_lasts_long_enough_to_be_seen_and_is_announced() {
    let story = scenario::load("faults").unwrap();
    let mut troubles: Vec<(f64, f64)> = Vec::new();
    for moment in &story.script {
        let begins = match &moment.cause {
            Cause::Fault { fault, .. } => fault.is_some(),
            Cause::Silence { on, .. } => *on,
            _ => continue,
        };
        assert_eq!(moment.every, Some(600.0));
        if begins {
            troubles.push((moment.s, moment.s));
        } else {
            troubles.last_mut().unwrap().1 = moment.s;
        }
    }
    assert_eq!(troubles.len(), 6);
    let first = troubles[0];
    assert!(first.1 - first.0 >= 75.0, "{first:?}");
    let round = [&troubles[..], &[(first.0 + 600.0, first.1 + 600.0)]].concat();
    for pair in round.windows(2) {
        let ((from, to), (next, _)) = (pair[0], pair[1]);
        assert!(to - from >= 45.0, "{from} to {to} is too short");
        assert!(next - to >= 25.0, "no calm between {to} and {next}");
        let announced = format!(
            "{}:{:02} for {} s",
            (from / 60.0).floor(),
            from % 60.0,
            to - from
        );
        let said: Vec<&str> = story.guide.iter().map(|told| told.say.as_str()).collect();
        let guide = said.join(" ");
        assert!(guide.contains(&announced), "{announced} is not in {guide}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_come_and_go_in_turn() {
    let sim = world("faults", 20.0).await;
    let client = Client::new();
    let ends = sim.endpoints().clone();
    let status = async |url: String, token: &str| {
        let asked = client
            .0
            .get(url)
            .bearer_auth(token)
            .timeout(Duration::from_millis(150));
        asked
            .send()
            .await
            .map(|answer| answer.status().as_u16())
            .ok()
    };
    let github = || status(format!("{}/user", ends.github.url), &ends.github.token);
    let kubernetes = || {
        status(
            format!("{}/version", ends.kubernetes.url),
            &ends.kubernetes.token,
        )
    };
    let prometheus = || {
        status(
            format!("{}/api/v1/query?query=up", ends.prometheus.url),
            &ends.prometheus.token,
        )
    };
    until("503 from GitHub", async || github().await == Some(503)).await;
    until("GitHub well again", async || github().await == Some(200)).await;
    until("Prometheus hanging", async || prometheus().await.is_none()).await;
    until("Prometheus well again", async || {
        prometheus().await == Some(200)
    })
    .await;
    until("the cluster cutting connections", async || {
        kubernetes().await.is_none()
    })
    .await;
    until("the cluster well again", async || {
        kubernetes().await == Some(200)
    })
    .await;
    until("429 from GitHub", async || github().await == Some(429)).await;
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_text_comes_out_as_it_was_put_in() {
    let sim = world("hostile", 1.0).await;
    let client = Client::new();
    let run = client
        .github(
            &sim,
            &format!("/actions/runs/{}", sim.endpoints().github.run_id),
        )
        .await;
    let title = run["display_title"].as_str().unwrap();
    for payload in [
        "\u{1b}]52;c;",
        "\u{202e}",
        "\u{9b}5m",
        "\u{0}",
        "\u{2028}",
        "\u{e0041}",
    ] {
        assert!(title.contains(payload), "{payload:?} is not in {title:?}");
    }
    let name = "other \u{9d}0;model\u{9c}";
    let query = crate::sim::http::percent_encoded(name);
    let model = mlflow(
        &client,
        &sim,
        &format!("registered-models/get?name={query}"),
    )
    .await;
    let version = &model["registered_model"]["latest_versions"][0];
    assert_eq!(version["tags"][0]["value"], "v\u{200b}alue");
    let rollout = client.rollout(&sim).await;
    let note = rollout["metadata"]["annotations"]["evil.example/note"]
        .as_str()
        .unwrap();
    assert!(note.contains("\u{1b}[2J"));
    assert_eq!(rollout["status"]["phase"], "Paused");
    let at = &sim.endpoints().github;
    let jobs = client
        .github(&sim, &format!("/actions/runs/{}/jobs", at.run_id))
        .await;
    let name = jobs["jobs"][0]["name"].as_str().unwrap();
    assert!(name.contains("\u{1b}[31;1m"), "{name:?}");
    let waiting = pending(&client, &sim).await;
    let environment = waiting[0]["environment"]["name"].as_str().unwrap();
    assert!(environment.contains("\u{9b}31m"), "{environment:?}");
    let log = client
        .0
        .get(format!(
            "{}/repos/acme/hostile/actions/jobs/{}/logs",
            at.url, jobs["jobs"][0]["id"]
        ))
        .bearer_auth(&at.token)
        .send()
        .await
        .unwrap();
    assert_eq!(
        log.status(),
        200,
        "the client does not carry its token to the storage"
    );
    assert!(log.text().await.unwrap().contains("\u{1b}[6n\u{1b}[c"));
    sim.stop().await;
}
