//! The GitHub Actions adapter against a scripted GitHub.

mod actions;
mod budget;
mod contract;
mod demo;
mod doctor;
mod faults;
mod reads;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use chrono::TimeDelta;
use gonogo::{
    backend::{Backend, BackendError, Feed, Focus, Poll, REGISTRY, Setup},
    domain::{
        Timestamp,
        catalog::{Catalog, ServiceSpec},
        id::{BackendId, PipelineId, PolicyName, RunId, ServiceName},
        observation::{Batch, Fact, Failure, Observation},
    },
};
use serde_json::{Value, json};

use crate::support::{
    script::{Reply, Script, Seen},
    setup::{setup, start},
};

const TOKEN: &str = "planted-github-token-1";
const RUN: u64 = 10_551_800_200;
const SHA: &str = "9f3c2ab0123456789abcdef0123456789abcdef0";

/// What is answered to `METHOD /path`; anything else is GitHub's 404.
#[derive(Clone, Default)]
struct Hub(Arc<Mutex<BTreeMap<String, Reply>>>);

impl Hub {
    fn set(&self, what: &str, reply: Reply) {
        self.0.lock().unwrap().insert(what.to_owned(), reply);
    }

    fn answer(&self, seen: &Seen) -> Reply {
        let key = format!("{} {}", seen.method, seen.path());
        let reply = self.0.lock().unwrap().get(&key).cloned();
        reply.unwrap_or_else(|| Reply::json(404, &json!({"message": "Not Found"})))
    }

    async fn serve(&self) -> Script {
        let hub = self.clone();
        Script::start(move |seen| hub.answer(seen)).await
    }
}

/// A path below the repository.
fn repo(rest: &str) -> String {
    format!("GET /repos/acme/recsys{rest}")
}

/// A path below the run.
fn run_path(rest: &str) -> String {
    repo(&format!("/actions/runs/{RUN}{rest}"))
}

const LIST: &str = "GET /repos/acme/recsys/actions/workflows/ml-cicd.yml/runs";

fn run_json(id: u64, status: &str, conclusion: Option<&str>) -> Value {
    json!({
        "id": id, "name": "ml-cicd", "display_title": "Retrain the ranker",
        "run_number": 214, "run_attempt": 1, "event": "push",
        "status": status, "conclusion": conclusion,
        "head_branch": "main", "head_sha": SHA, "path": ".github/workflows/ml-cicd.yml",
        "html_url": format!("https://github.com/acme/recsys/actions/runs/{id}"),
        "actor": {"login": "ada"}, "triggering_actor": {"login": "grace"},
        "created_at": "2026-03-10T11:50:00Z", "run_started_at": "2026-03-10T11:50:02Z",
        "updated_at": "2026-03-10T11:58:00Z"
    })
}

fn runs_json(runs: &[Value]) -> Reply {
    Reply::json(
        200,
        &json!({"total_count": runs.len(), "workflow_runs": runs}),
    )
}

fn job_json(id: u64, name: &str, status: &str, conclusion: Option<&str>) -> Value {
    json!({
        "id": id, "run_id": RUN, "run_attempt": 1, "name": name,
        "status": status, "conclusion": conclusion,
        "started_at": "2026-03-10T11:51:00Z",
        "completed_at": conclusion.map(|_| "2026-03-10T11:55:00Z"),
        "runner_name": "runner-7", "html_url": "https://github.com/acme/recsys/jobs/1",
        "steps": [{"number": 1, "name": "Set up job", "status": status, "conclusion": conclusion}]
    })
}

fn jobs_json(jobs: &[Value]) -> Reply {
    Reply::json(200, &json!({"total_count": jobs.len(), "jobs": jobs}))
}

fn pending_json(may: bool) -> Reply {
    Reply::json(
        200,
        &json!([{
            "environment": {"id": 161_088_068, "name": "production"},
            "wait_timer": 0, "current_user_can_approve": may,
            "reviewers": [
                {"type": "User", "reviewer": {"login": "ada"}},
                {"type": "Team", "reviewer": {"slug": "release-managers"}}
            ]
        }]),
    )
}

/// A hub with one run that waits for a person.
fn waiting_hub() -> Hub {
    let hub = Hub::default();
    hub.set("GET /user", Reply::json(200, &json!({"login": "grace"})));
    hub.set(
        &repo(""),
        Reply::json(
            200,
            &json!({"private": true, "permissions": {"push": true}}),
        ),
    );
    hub.set(LIST, runs_json(&[run_json(RUN, "waiting", None)]));
    hub.set(
        &run_path(""),
        Reply::json(200, &run_json(RUN, "waiting", None)),
    );
    hub.set(
        &run_path("/jobs"),
        jobs_json(&[
            job_json(71, "train", "completed", Some("success")),
            job_json(72, "deploy-production", "waiting", None),
        ]),
    );
    hub.set(&run_path("/pending_deployments"), pending_json(true));
    hub.set(&run_path("/approvals"), Reply::json(200, &json!([])));
    hub.set(&repo("/deployments"), Reply::json(200, &json!([])));
    hub
}

fn catalog() -> Catalog {
    let backend = BackendId::new("gh");
    let service = ServiceSpec {
        name: ServiceName::new("recsys"),
        run: Some(PipelineId {
            backend,
            repo: "acme/recsys".into(),
            workflow: "ml-cicd.yml".into(),
        }),
        branch: Some("main".into()),
        stages: Vec::new(),
        model: None,
        places: Vec::new(),
        policy: PolicyName::new("standard"),
        metrics: Vec::new(),
        model_from_alias: false,
        mappings: Vec::new(),
    };
    let mut catalog = Catalog::default();
    catalog.services.insert(service.name.clone(), service);
    catalog
}

fn run_id(id: u64) -> RunId {
    RunId {
        backend: BackendId::new("gh"),
        repo: "acme/recsys".into(),
        id,
    }
}

fn watching(id: u64) -> Focus {
    Focus {
        run: Some(run_id(id)),
        ..Focus::default()
    }
}

/// A clock that only moves when told.
#[derive(Clone)]
struct Clock(Arc<Mutex<Timestamp>>);

impl Clock {
    fn pass(&self, time: TimeDelta) {
        *self.0.lock().unwrap() += time;
    }

    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct Bench {
    backend: Backend,
    clock: Clock,
}

/// A backend for this address with small limits, on a clock of its own.
fn bench_at(url: &str) -> Bench {
    let clock = Clock(Arc::new(Mutex::new(start())));
    let mut setup: Setup = setup(catalog(), &[("GITHUB_TOKEN", TOKEN)]);
    let read = clock.clone();
    setup.now = Arc::new(move || read.now());
    let section = format!(
        "{{ url = '{url}', token = 'env:GITHUB_TOKEN', timeout = '300ms', max_body = 1000000 }}"
    );
    let backend = build(&section, &setup).unwrap();
    Bench { backend, clock }
}

fn bench(server: &Script) -> Bench {
    bench_at(&server.url())
}

fn build(section: &str, setup: &Setup) -> Result<Backend, toml::de::Error> {
    let factory = REGISTRY
        .iter()
        .find(|factory| factory.kind() == "github_actions")
        .unwrap();
    let section = toml::de::ValueDeserializer::parse(section)?;
    factory.build(BackendId::new("gh"), section, setup)
}

impl Bench {
    fn feed(&mut self, part: &str) -> &mut Box<dyn Poll> {
        let feeds = self.backend.feeds.iter_mut();
        let mut polls = feeds.filter_map(|feed| match feed {
            Feed::Poll(poll) => Some(poll),
            Feed::Stream(_) => None,
        });
        polls
            .find(|poll| poll.scope().part.starts_with(part))
            .unwrap()
    }

    /// One look at the pipeline.
    async fn look(&mut self, focus: &Focus) -> Result<Told, BackendError> {
        self.feed("runs ").poll(focus).await.map(Told)
    }

    /// One look some time later.
    async fn look_after(&mut self, seconds: i64, focus: &Focus) -> Result<Told, BackendError> {
        self.clock.pass(TimeDelta::seconds(seconds));
        self.look(focus).await
    }
}

/// What a look told.
struct Told(Vec<Observation>);

impl Told {
    fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.0.iter().filter_map(|told| match told {
            Observation::Batch(batch) => Some(batch),
            _ => None,
        })
    }

    fn batch(&self, part: &str) -> Option<&Batch> {
        self.batches().find(|batch| batch.scope.part == part)
    }

    fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.batches().flat_map(|batch| &batch.facts)
    }

    fn failures(&self) -> Vec<&Failure> {
        let told = self.0.iter().filter_map(|told| match told {
            Observation::Failure(failure) => Some(failure),
            _ => None,
        });
        told.collect()
    }

    fn runs(&self) -> Vec<&gonogo::domain::pipeline::Run> {
        let facts = self.facts().filter_map(|fact| match fact {
            Fact::Run(run) => Some(run),
            _ => None,
        });
        facts.collect()
    }

    fn jobs(&self) -> Vec<&gonogo::domain::pipeline::Job> {
        let facts = self.facts().filter_map(|fact| match fact {
            Fact::Job(job) => Some(job),
            _ => None,
        });
        facts.collect()
    }

    fn reviews(&self) -> Vec<&gonogo::domain::approval::Review> {
        let facts = self.facts().filter_map(|fact| match fact {
            Fact::Review(review) => Some(review),
            _ => None,
        });
        facts.collect()
    }
}
