//! What a look tells, by scope.

use std::time::Duration;

use gonogo::{
    backend::{ErrorKind, Focus},
    domain::{
        action::{ActionKind, Subject},
        approval::Answer,
        id::{ApprovalId, BackendId, Version},
        observation::{Basis, Fact, Key, Observation},
        pipeline::{Phase, Stage},
    },
};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    Hub, LIST, RUN, SHA, TOKEN, bench, job_json, jobs_json, pending_json, repo, run_id, run_json,
    run_path, runs_json, waiting_hub, watching,
};
use crate::support::{
    script::{Reply, Script},
    setup::start,
};

#[tokio::test]
async fn a_waiting_run_is_told_with_its_jobs_its_gate_and_who_may_answer() {
    let hub = waiting_hub();
    let server = hub.serve().await;
    let mut bench = bench(&server);
    let told = bench.look(&Focus::default()).await.unwrap();
    assert!(told.failures().is_empty());
    let runs = told.batch("runs acme/recsys ml-cicd.yml").unwrap();
    assert!(runs.complete);
    assert_eq!(runs.basis, Basis::Asked(start()));
    let run = told.runs()[0];
    assert_eq!((run.id.id, run.attempt, run.number), (RUN, 1, 214));
    assert_eq!(run.title, "Retrain the ranker");
    assert_eq!(run.actor, "grace", "who started this attempt");
    assert_eq!(
        (run.head_sha.as_str(), run.status.phase.clone()),
        (SHA, Phase::Waiting)
    );
    let jobs = told.batch(&format!("jobs acme/recsys#{RUN}")).unwrap();
    assert!(jobs.complete);
    assert_eq!(told.jobs()[0].stage, Stage::Train);
    assert_eq!(told.jobs()[1].status.phase, Phase::Waiting);
    assert_eq!(told.jobs()[1].started_at, None);
    let approvals = told.batch(&format!("approvals acme/recsys#{RUN}")).unwrap();
    assert!(approvals.complete);
    let pending = approvals.facts.iter().find_map(|fact| match fact {
        Fact::Approval(pending) => Some(pending),
        _ => None,
    });
    let pending = pending.unwrap();
    assert_eq!((pending.attempt, pending.head_sha.as_str()), (1, SHA));
    assert_eq!(pending.environment, "production");
    assert_eq!(pending.reviewers, ["ada", "release-managers"]);
    let asked: Vec<String> = server
        .seen()
        .iter()
        .map(|seen| seen.target.clone())
        .collect();
    assert_eq!(
        asked[0],
        "/repos/acme/recsys/actions/workflows/ml-cicd.yml/runs\
         ?per_page=20&exclude_pull_requests=true&branch=main"
    );
    let seen = &server.seen()[0];
    assert_eq!(seen.header("accept"), Some("application/vnd.github+json"));
    assert_eq!(seen.header("x-github-api-version"), Some("2022-11-28"));
    assert!(seen.header("user-agent").unwrap().starts_with("gonogo/"));
    assert!(server.mutations().is_empty());
}

#[tokio::test]
async fn who_may_not_answer_is_told_with_the_names_of_those_who_may() {
    for may in [true, false] {
        let hub = waiting_hub();
        hub.set(&run_path("/pending_deployments"), pending_json(may));
        let server = hub.serve().await;
        let told = bench(&server).look(&Focus::default()).await.unwrap();
        let subject = Subject::Approval(ApprovalId {
            run: run_id(RUN),
            environment: 161_088_068,
        });
        let permits: Vec<_> = told
            .facts()
            .filter_map(|fact| match fact {
                Fact::Permit(permit) if permit.subject == subject => Some(permit),
                _ => None,
            })
            .collect();
        let kinds: Vec<_> = permits.iter().map(|permit| permit.kind).collect();
        assert_eq!(kinds, [ActionKind::Approve, ActionKind::Reject]);
        assert!(permits.iter().all(|permit| permit.allowed == may));
        if !may {
            assert_eq!(permits[0].why, "reviewers: ada, release-managers");
        }
    }
}

#[tokio::test]
async fn what_deployments_say_of_models_is_told_with_the_runs_of_their_commit() {
    // The forms people write; GitHub keeps the payload as it was given.
    for said in [
        json!({"sha": SHA, "payload": {"model": "ranker:42"}}),
        json!({"sha": SHA, "payload": {"model": "ranker", "model_version": 42}}),
        json!({"sha": SHA, "payload": {"model": "ranker", "model_version": "42"}}),
        json!({"sha": SHA, "payload": "{\"model\": \"ranker:v42\"}"}),
        json!({"sha": SHA, "payload": "by=mk model=ranker:42"}),
        json!({"sha": SHA, "payload": {}, "description": "model=ranker:42"}),
    ] {
        let hub = waiting_hub();
        let of_another = json!({"sha": "0".repeat(40), "payload": {"model": "ranker:7"}});
        let silent = json!({"sha": SHA, "payload": "", "description": null});
        let answer = Reply::json(200, &json!([silent, of_another, said]));
        hub.set(&repo("/deployments"), answer);
        let server = hub.serve().await;
        let told = bench(&server).look(&Focus::default()).await.unwrap();
        assert!(told.failures().is_empty(), "{said}");
        let newest = told.runs().last().unwrap().models.clone();
        assert_eq!(newest, [("ranker".into(), Version(42))], "{said}");
    }
}

#[tokio::test]
async fn deployments_that_may_not_be_seen_tie_nothing_and_hide_nothing() {
    let hub = waiting_hub();
    let no = json!({"message": "Resource not accessible by personal access token"});
    hub.set(&repo("/deployments"), Reply::json(403, &no));
    let server = hub.serve().await;
    let told = bench(&server).look(&Focus::default()).await.unwrap();
    assert!(told.failures().is_empty());
    assert!(told.runs()[0].models.is_empty());
    assert_eq!(told.jobs().len(), 2);
}

#[tokio::test]
async fn a_classic_token_without_scope_is_told_before_a_key_is_pressed() {
    let hub = waiting_hub();
    let answer = json!({"private": true, "permissions": {"push": true}});
    hub.set(
        &repo(""),
        Reply::json(200, &answer).with("x-oauth-scopes", "gist, read:org"),
    );
    let server = hub.serve().await;
    let told = bench(&server).look(&Focus::default()).await.unwrap();
    let denied: Vec<_> = told
        .facts()
        .filter_map(|fact| match fact {
            Fact::Permit(permit) if !permit.allowed => Some((permit.kind, permit.why.as_str())),
            _ => None,
        })
        .collect();
    let why = "the token lacks the scope `repo`";
    for kind in [
        ActionKind::RerunAll,
        ActionKind::RerunFailed,
        ActionKind::Cancel,
        ActionKind::Dispatch,
    ] {
        assert!(denied.contains(&(kind, why)), "{denied:?}");
    }
}

#[tokio::test]
async fn an_answer_to_an_earlier_attempt_is_no_answer_to_this_one() {
    let hub = waiting_hub();
    let reviews = json!([{
        "state": "approved", "comment": "for attempt 1", "user": {"login": "ada"},
        "environments": [{"id": 161_088_068, "name": "production"}]
    }]);
    hub.set(&run_path("/approvals"), Reply::json(200, &reviews));
    let server = hub.serve().await;
    let mut bench = bench(&server);
    let told = bench.look(&Focus::default()).await.unwrap();
    assert!(told.reviews().is_empty(), "the environment still waits");
    // It is let go.
    hub.set(
        &run_path("/pending_deployments"),
        Reply::json(200, &json!([])),
    );
    hub.set(
        &run_path("/jobs"),
        jobs_json(&[job_json(72, "deploy-production", "in_progress", None)]),
    );
    hub.set(LIST, runs_json(&[run_json(RUN, "in_progress", None)]));
    let told = bench.look_after(60, &Focus::default()).await.unwrap();
    let reviews = told.reviews();
    assert_eq!(reviews.len(), 1);
    assert_eq!(
        (&reviews[0].answer, reviews[0].user.as_str()),
        (&Answer::Approved, "ada")
    );
    let approvals = told.batch(&format!("approvals acme/recsys#{RUN}")).unwrap();
    assert!(approvals.complete && approvals.facts.is_empty());
}

#[tokio::test]
async fn hosted_trap_10_after_an_action_everything_about_it_is_read_again_at_once() {
    let hub = waiting_hub();
    let server = hub.serve().await;
    let mut bench = bench(&server);
    bench.look(&Focus::default()).await.unwrap();
    let before = server.seen().len();
    let mut focus = Focus::default();
    focus.urgent.insert(BackendId::new("gh"));
    let told = bench.look_after(1, &focus).await.unwrap();
    let asked: Vec<String> = server.seen()[before..]
        .iter()
        .map(|seen| seen.path().to_owned())
        .collect();
    for part in ["ml-cicd.yml/runs", "/pending_deployments", "/approvals"] {
        assert!(
            asked.iter().any(|path| path.ends_with(part)),
            "{part}: {asked:?}"
        );
    }
    // What it proves, it proves for a time after the request began.
    for batch in told.batches() {
        assert_eq!(batch.basis, Basis::Asked(bench.clock.now()));
    }
}

#[tokio::test]
async fn an_ended_run_is_looked_into_once_and_again_when_someone_opens_it() {
    let hub = waiting_hub();
    let runs: Vec<_> = (0..8)
        .map(|age| run_json(RUN - age, "completed", Some("success")))
        .collect();
    hub.set(LIST, runs_json(&runs));
    for age in 0..8 {
        let path = repo(&format!("/actions/runs/{}/jobs", RUN - age));
        hub.set(
            &path,
            jobs_json(&[job_json(age, "train", "completed", Some("success"))]),
        );
        let path = repo(&format!("/actions/runs/{}/approvals", RUN - age));
        hub.set(&path, Reply::json(200, &json!([])));
    }
    let server = hub.serve().await;
    let mut bench = bench(&server);
    let told = bench.look(&Focus::default()).await.unwrap();
    assert_eq!(told.jobs().len(), 5, "of the newest five");
    let told = bench.look_after(31, &Focus::default()).await.unwrap();
    assert_eq!((told.runs().len(), told.jobs().len()), (8, 0));
    // The oldest is opened: due at once.
    let focus = watching(RUN - 7);
    assert!(bench.feed("runs ").cadence(&focus) <= Duration::from_secs(1));
    let told = bench.look(&focus).await.unwrap();
    assert_eq!(told.jobs().len(), 1);
    assert_eq!(told.jobs()[0].id.run, run_id(RUN - 7));
    let told = bench.look_after(1, &focus).await.unwrap();
    assert!(told.jobs().is_empty(), "it has ended: once is enough");
}

#[tokio::test]
async fn hosted_trap_7_a_rerun_keeps_its_id_and_earlier_attempts_stay_readable() {
    let hub = waiting_hub();
    let mut run = run_json(RUN, "in_progress", None);
    run["run_attempt"] = json!(2);
    hub.set(LIST, runs_json(&[run]));
    let mut second = job_json(82, "train", "in_progress", None);
    second["run_attempt"] = json!(2);
    hub.set(&run_path("/jobs"), jobs_json(&[second]));
    hub.set(
        &run_path("/attempts/1/jobs"),
        jobs_json(&[job_json(71, "train", "completed", Some("failure"))]),
    );
    let server = hub.serve().await;
    let mut bench = bench(&server);
    let told = bench.look(&Focus::default()).await.unwrap();
    assert_eq!(told.runs()[0].attempt, 2);
    assert_eq!(told.jobs().len(), 1);
    let told = bench.look_after(6, &watching(RUN)).await.unwrap();
    let attempts: Vec<_> = told
        .jobs()
        .iter()
        .map(|job| (job.id.id, job.attempt))
        .collect();
    assert_eq!(attempts, [(82, 2), (71, 1)]);
    assert!(
        told.batch(&format!("jobs acme/recsys#{RUN} attempt 1"))
            .is_some()
    );
}

#[tokio::test]
async fn jobs_are_read_to_the_last_page() {
    let hub = waiting_hub();
    let jobs = run_path("/jobs");
    let first = jobs_json(&[job_json(1, "train", "in_progress", None)]);
    let address = format!("/repos/acme/recsys/actions/runs/{RUN}/more");
    hub.set(
        &jobs,
        first.with("link", &format!("<{address}>; rel=\"next\"")),
    );
    hub.set(
        &format!("GET {address}"),
        jobs_json(&[job_json(2, "evaluate", "queued", None)]),
    );
    let server = hub.serve().await;
    let told = bench(&server).look(&Focus::default()).await.unwrap();
    assert_eq!(told.jobs().len(), 2);
    assert!(
        told.batch(&format!("jobs acme/recsys#{RUN}"))
            .unwrap()
            .complete
    );
}

#[tokio::test]
async fn a_list_with_more_pages_does_not_claim_to_be_all() {
    let hub = waiting_hub();
    let list = runs_json(&[run_json(RUN, "completed", Some("success"))]);
    hub.set(
        LIST,
        list.with("link", "</repos/acme/recsys/x?page=2>; rel=\"next\""),
    );
    let server = hub.serve().await;
    let told = bench(&server).look(&Focus::default()).await.unwrap();
    assert!(!told.batch("runs acme/recsys ml-cicd.yml").unwrap().complete);
}

#[tokio::test]
async fn an_active_run_that_leaves_the_list_is_followed_until_it_is_deleted() {
    let hub = waiting_hub();
    hub.set(LIST, runs_json(&[run_json(RUN, "in_progress", None)]));
    let server = hub.serve().await;
    let mut bench = bench(&server);
    bench.look(&Focus::default()).await.unwrap();
    hub.set(LIST, runs_json(&[]));
    hub.set(
        &run_path(""),
        Reply::json(200, &run_json(RUN, "in_progress", None)),
    );
    let told = bench.look_after(31, &Focus::default()).await.unwrap();
    assert_eq!(told.runs().len(), 1, "asked about on its own");
    hub.set(
        &run_path(""),
        Reply::json(404, &json!({"message": "Not Found"})),
    );
    hub.set(
        &run_path("/jobs"),
        Reply::json(404, &json!({"message": "Not Found"})),
    );
    let told = bench.look_after(31, &Focus::default()).await.unwrap();
    let gone: Vec<_> = told.batches().flat_map(|batch| &batch.gone).collect();
    assert_eq!(gone, [&Key::Run(run_id(RUN))]);
}

#[tokio::test]
async fn unchanged_answers_cost_no_bytes_and_prove_as_much() {
    let server = Script::start(|seen| match (seen.path(), seen.header("if-none-match")) {
        (_, Some(_)) => Reply::status(304),
        (path, None) if path.ends_with("/runs") => {
            runs_json(&[run_json(RUN, "in_progress", None)]).with("etag", "W/\"r1\"")
        }
        (path, None) if path.ends_with("/jobs") => {
            jobs_json(&[job_json(71, "train", "in_progress", None)]).with("etag", "W/\"j1\"")
        }
        _ => Reply::json(200, &json!({})),
    })
    .await;
    let mut bench = bench(&server);
    bench.look(&watching(RUN)).await.unwrap();
    let told = bench.look_after(60, &watching(RUN)).await.unwrap();
    assert_eq!((told.runs().len(), told.jobs().len()), (1, 1));
    let asked = server.seen();
    let conditional = asked
        .iter()
        .filter(|seen| seen.header("if-none-match").is_some());
    assert_eq!(conditional.count(), 2);
    for batch in told.batches() {
        assert_eq!(batch.basis, Basis::Asked(bench.clock.now()));
    }
}

#[tokio::test]
async fn who_we_are_is_learnt_and_tokens_of_apps_are_nobody() {
    let hub = Hub::default();
    hub.set("GET /user", Reply::json(200, &json!({"login": "grace"})));
    let server = hub.serve().await;
    let mut bench = bench(&server);
    for (reply, name) in [
        (Reply::json(200, &json!({"login": "grace"})), Some("grace")),
        (
            Reply::json(
                403,
                &json!({"message": "Resource not accessible by integration"}),
            ),
            None,
        ),
    ] {
        hub.set("GET /user", reply);
        let told = bench.feed("account").poll(&Focus::default()).await.unwrap();
        let identity = told.iter().find_map(|told| match told {
            Observation::Batch(batch) => batch.facts.iter().find_map(|fact| match fact {
                Fact::Identity(identity) => Some(identity),
                _ => None,
            }),
            _ => None,
        });
        let identity = identity.unwrap();
        assert_eq!(identity.name.as_deref(), name);
        assert!(identity.learnt_by.starts_with("GET /user"));
    }
}

#[tokio::test]
async fn the_budget_and_the_server_are_told_from_headers() {
    let hub = waiting_hub();
    let list = runs_json(&[])
        .with("x-ratelimit-limit", "5000")
        .with("x-ratelimit-remaining", "4321")
        .with("x-ratelimit-reset", "1773147600")
        .with("x-ratelimit-resource", "core")
        .with("x-github-enterprise-version", "3.19.2")
        .with("date", "Tue, 10 Mar 2026 12:00:30 GMT");
    hub.set(LIST, list);
    let server = hub.serve().await;
    let told = bench(&server).look(&Focus::default()).await.unwrap();
    let budget = told.facts().find_map(|fact| match fact {
        Fact::Budget(budget) => Some(budget),
        _ => None,
    });
    let budget = budget.unwrap();
    assert_eq!((budget.left, budget.limit), (4321, 5000));
    assert_eq!(budget.resets_at.to_rfc3339(), "2026-03-10T13:00:00+00:00");
    let server = told.facts().find_map(|fact| match fact {
        Fact::Server(server) => Some(server),
        _ => None,
    });
    let server = server.unwrap();
    assert_eq!(server.version, "GitHub Enterprise Server 3.19.2");
    // 30 s ahead, and half a second for the fraction the header drops.
    assert_eq!(server.skew_ms, Some(30_500));
}

async fn log_of(server: &Script) -> Result<Vec<u8>, gonogo::backend::BackendError> {
    let bench = bench(server);
    let logs = bench.backend.logs.clone().unwrap();
    let (chunks, mut read) = mpsc::channel(4);
    let job = gonogo::domain::id::JobId {
        run: run_id(RUN),
        id: 71,
    };
    let reading = tokio::spawn(async move {
        let mut text = Vec::new();
        while let Some(chunk) = read.recv().await {
            text.extend(chunk);
        }
        text
    });
    logs.job_log(&job, chunks).await?;
    Ok(reading.await.unwrap())
}

#[tokio::test]
async fn a_log_comes_from_another_host_which_never_sees_the_token() {
    let store = Script::always(Reply::text(200, "text/plain", "line 1\nline 2\n")).await;
    let hub = Hub::default();
    let signed = format!("{}/blob?sig=x", store.url());
    hub.set(
        &repo("/actions/jobs/71/logs"),
        Reply::status(302).with("location", &signed),
    );
    let server = hub.serve().await;
    assert_eq!(log_of(&server).await.unwrap(), b"line 1\nline 2\n");
    assert_eq!(server.credentials(), [format!("Bearer {TOKEN}")]);
    assert!(store.credentials().is_empty());
    let foreign = &store.seen()[0];
    assert!(
        foreign
            .headers
            .iter()
            .all(|(_, value)| !value.contains(TOKEN))
    );
}

#[tokio::test]
async fn a_job_without_a_log_says_why() {
    let blob = Reply::text(404, "application/xml", "<?xml?><Code>BlobNotFound</Code>");
    let plain = Reply::json(404, &json!({"message": "Not Found"}));
    let running = job_json(71, "train", "in_progress", None);
    let skipped = job_json(71, "train", "completed", Some("skipped"));
    let done = job_json(71, "train", "completed", Some("success"));
    let live = "GitHub keeps no live log: steps are shown, the log comes when the job ends";
    for (reply, job, words) in [
        (blob, Some(&running), live),
        (plain.clone(), Some(&running), live),
        (Reply::status(500), Some(&running), live),
        (plain.clone(), Some(&skipped), "may never have had a log"),
        (Reply::status(410), Some(&done), "no longer has the log"),
        (plain, None, "the job is gone"),
    ] {
        let hub = Hub::default();
        hub.set(&repo("/actions/jobs/71/logs"), reply);
        if let Some(job) = job {
            hub.set(&repo("/actions/jobs/71"), Reply::json(200, job));
        }
        let server = hub.serve().await;
        let error = log_of(&server).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.message.contains(words), "{error}");
    }
}
