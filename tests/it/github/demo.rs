//! The adapter, supervised as in the program, on the demo's GitHub: written by
//! other hands from the same description.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use gonogo::{
    backend::{Backend, Controls, Feed, Focus, Logs, Setup, supervise::supervise},
    domain::{
        Timestamp,
        action::{ApprovalOrder, ApprovalSeen, RunAction, RunOrder, Say},
        approval::{Answer, PendingApproval},
        id::{JobId, PipelineId},
        observation::{Basis, Batch, Fact, Observation},
    },
    sim::{Sim, clock::Clock, scenario},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{build, catalog};
use crate::support::setup::setup;

/// A demo and a supervised backend on it.
struct Stage {
    sim: Sim,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    told: mpsc::Receiver<Observation>,
    focus: watch::Sender<Focus>,
    controls: Controls,
    logs: Arc<dyn Logs>,
    backend: gonogo::domain::id::BackendId,
    cancel: CancellationToken,
}

async fn stage(name: &str) -> Stage {
    let begin: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
    let start = Instant::now();
    let now: Arc<dyn Fn() -> Timestamp + Send + Sync> =
        Arc::new(move || begin + TimeDelta::from_std(start.elapsed()).unwrap());
    let scenario = scenario::load(name).unwrap();
    let clock = Clock::new(now.clone(), 10.0);
    let sim = Sim::start(&scenario, clock).await.unwrap();
    let github = sim.endpoints().github.clone();
    let mut catalog = catalog();
    let service = catalog.services.values_mut().next().unwrap();
    let pipeline = service.run.as_mut().unwrap();
    pipeline.repo = gonogo::domain::text::Clean::name(&github.repo);
    pipeline.workflow = gonogo::domain::text::Clean::name(&github.workflow);
    let mut setup: Setup = setup(catalog, &[("GITHUB_TOKEN", &github.token)]);
    setup.now = now.clone();
    let section = format!(
        "{{ url = '{}', token = 'env:GITHUB_TOKEN', poll = '300ms' }}",
        github.url
    );
    let Backend {
        id,
        feeds,
        controls,
        logs,
        ..
    } = build(&section, &setup).unwrap();
    let (outlet, told) = mpsc::channel(1000);
    let (focus, focused) = watch::channel(Focus::default());
    let cancel = CancellationToken::new();
    let feeds: Vec<Feed> = feeds;
    tokio::spawn(supervise(
        id.clone(),
        feeds,
        outlet,
        focused,
        cancel.clone(),
        now.clone(),
    ));
    Stage {
        sim,
        now,
        told,
        focus,
        controls,
        logs: logs.unwrap(),
        backend: id,
        cancel,
    }
}

impl Stage {
    /// Reads what is told until `seen` finds what it looks for.
    async fn until<T>(
        &mut self,
        what: &str,
        mut seen: impl FnMut(&Batch, &Fact) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let told = timeout_at(deadline, self.told.recv()).await;
            let told = told
                .unwrap_or_else(|_| panic!("never told: {what}"))
                .unwrap();
            match told {
                Observation::Batch(batch) => {
                    if let Some(found) = batch.facts.iter().find_map(|fact| seen(&batch, fact)) {
                        return found;
                    }
                }
                Observation::Failure(failure) => panic!("{failure:?}"),
                Observation::Catalog(_) | Observation::Plan(_) | Observation::Note { .. } => {}
            }
        }
    }

    async fn waiting(&mut self) -> PendingApproval {
        self.until("a waiting environment", |_, fact| match fact {
            Fact::Approval(pending) => Some(pending.clone()),
            _ => None,
        })
        .await
    }

    fn hurry(&self) {
        let backend = self.backend.clone();
        self.focus.send_modify(|focus| {
            focus.urgent.insert(backend);
            focus.refresh += 1;
        });
    }

    async fn answer(&mut self, pending: &PendingApproval, say: Say) -> Answer {
        let order = ApprovalOrder {
            approval: pending.id.clone(),
            answer: say,
            comment: "seen in a test".into(),
            seen: ApprovalSeen {
                attempt: pending.attempt,
                head_sha: pending.head_sha.clone(),
                environment: pending.environment.clone(),
            },
        };
        let approvals = self.controls.approval.clone().unwrap();
        let receipt = approvals.send(&order).await.unwrap();
        assert_eq!(receipt.status, 200);
        let returned = (self.now)();
        self.hurry();
        let id = pending.id.clone();
        let answer = self
            .until("the answer", |batch, fact| match (fact, batch.basis) {
                (Fact::Review(review), Basis::Asked(asked))
                    if review.id == id && returned < asked =>
                {
                    Some(review.answer.clone())
                }
                _ => None,
            })
            .await;
        // It is an answer no more to what waits no more.
        let again = approvals.send(&order).await.unwrap_err();
        assert_eq!(again.kind, gonogo::backend::ErrorKind::Conflict, "{again}");
        answer
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_given_and_its_effect_seen_on_the_demo() {
    let mut stage = stage("canary").await;
    let pending = stage.waiting().await;
    assert_eq!(pending.environment, "prod-us");
    assert_eq!(pending.may_approve, Some(true));
    assert_eq!(stage.answer(&pending, Say::Yes).await, Answer::Approved);
    let acts = stage.sim.acts();
    assert_eq!(acts.len(), 1, "{acts:?}");
    assert!(acts[0].contains("\"approved\""), "{acts:?}");
    stage.cancel.cancel();
    stage.sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_fails_the_run_and_a_rerun_is_a_new_attempt_on_the_demo() {
    let mut stage = stage("canary").await;
    let pending = stage.waiting().await;
    assert_eq!(stage.answer(&pending, Say::No).await, Answer::Rejected);
    let run = pending.id.run.clone();
    let wanted = run.clone();
    stage.hurry();
    stage
        .until("the run's end", |_, fact| match fact {
            Fact::Run(run) if run.id == wanted && run.status.has_ended() => Some(()),
            _ => None,
        })
        .await;
    let order = RunOrder {
        pipeline: PipelineId {
            backend: run.backend.clone(),
            repo: run.repo.clone(),
            workflow: "ml-cicd.yml".into(),
        },
        run: Some(run.clone()),
        action: RunAction::RerunFailed,
        seen_attempt: 1,
    };
    let runs = stage.controls.run.clone().unwrap();
    runs.send(&order).await.unwrap();
    stage.hurry();
    let attempt = stage
        .until("the next attempt", |_, fact| match fact {
            Fact::Run(told) if told.id == run && told.attempt > 1 => Some(told.attempt),
            _ => None,
        })
        .await;
    assert_eq!(attempt, 2);
    assert_eq!(stage.sim.acts().len(), 2);
    stage.cancel.cancel();
    stage.sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_an_ended_job_is_read_from_the_demos_storage() {
    let mut stage = stage("canary").await;
    let job: JobId = stage
        .until("an ended job", |_, fact| match fact {
            Fact::Job(job) if job.status.has_succeeded() => Some(job.id.clone()),
            _ => None,
        })
        .await;
    let (chunks, mut read) = mpsc::channel(4);
    let logs = stage.logs.clone();
    let reading = tokio::spawn(async move { logs.job_log(&job, chunks).await });
    let mut text = Vec::new();
    while let Some(chunk) = read.recv().await {
        text.extend(chunk);
    }
    reading.await.unwrap().unwrap();
    assert!(!text.is_empty());
    stage.cancel.cancel();
    stage.sim.stop().await;
}
