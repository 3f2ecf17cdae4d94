//! From a person's yes to the last ledger line, against a controller that
//! behaves as scripted. Time is tokio's own, so nothing is waited for.

mod leftovers;
mod sending;
mod together;
mod unwritten;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use gonogo::{
    app::{self, Assembly, Handle, Person},
    backend::{
        Backend, BackendError, Check, Controls, ErrorKind, Feed, Focus, ModelControls, Outlet,
        Probe, RolloutControls, Stream,
    },
    domain::{
        Timestamp,
        action::{ActionKind, ModelOrder, Preview, Receipt, RolloutAction, RolloutOrder},
        id::PlanId,
        measure::{Arm, Sample},
        observation::{ActionOutcome, Basis, Batch, Fact, Observation, Scope},
        quantity::Weight,
        rollout::{Rollout, RolloutPhase},
        text::Clean,
    },
    engine::{
        clear::{Consent, Mode, Refusal},
        plan::{Ask, Verb},
        propose::propose,
    },
    store::{Ledger, Paths, Writer},
};
use tempfile::TempDir;
use tokio::{sync::watch, time::Instant};

use crate::support::build::{
    accuracy_gate, aliases, backend, canary, catalog, lane, latency_gate, measure, model_run,
    target, version,
};

/// What the controller does with what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Temper {
    /// Takes it and acts.
    Obedient,
    /// Takes it and does not look until it is nudged.
    Dreamy,
    /// Takes it and never acts.
    Deaf,
    /// Acts, but its answer is lost.
    Mumbling,
    /// Says no.
    Refusing,
    /// Goes to the end of the steps at once; the pods follow after a while.
    Slow,
    /// Acts long after anybody expects it.
    Late,
}

/// A cluster with one rollout, and the registry beside it.
struct Outside {
    temper: Temper,
    rollout: Mutex<Rollout>,
    pending: Mutex<Option<RolloutAction>>,
    champion: Mutex<u64>,
    /// Whether the registry says no.
    frozen: Mutex<bool>,
    sent: Mutex<Vec<ActionKind>>,
    changed: watch::Sender<u64>,
}

impl Outside {
    fn act(&self, action: &RolloutAction) {
        let mut rollout = self.rollout.lock().unwrap();
        match action {
            RolloutAction::Hold => rollout.held = true,
            RolloutAction::Resume => rollout.held = false,
            RolloutAction::Abort => {
                rollout.aborted = Some(None);
                rollout.phase = RolloutPhase::Degraded;
                rollout.step = Some(0);
                rollout.weight_actual = Weight::ZERO;
            }
            RolloutAction::PromoteFull => rollout.stable_hash = rollout.current_hash.clone(),
            other => panic!("not scripted: {other:?}"),
        }
        rollout.version = rollout.version.map(|version| version + 1);
        drop(rollout);
        self.changed.send_modify(|count| *count += 1);
    }

    fn store(&self) -> Receipt {
        let mut rollout = self.rollout.lock().unwrap();
        rollout.version = rollout.version.map(|version| version + 1);
        Receipt {
            status: 200,
            version: rollout.version,
            note: "".into(),
        }
    }
}

struct Hands(Arc<Outside>);

#[async_trait]
impl RolloutControls for Hands {
    fn preview(&self, order: &RolloutOrder) -> Preview {
        Preview {
            method: "PATCH",
            path: "/rollouts/ranker".into(),
            content_type: "application/json-patch+json",
            body: Clean::from(format!("{:?}", order.action)),
            check: "uid".into(),
            command: "kubectl patch rollout ranker".into(),
        }
    }

    async fn send(&self, order: &RolloutOrder) -> Result<Receipt, BackendError> {
        let Self(outside) = self;
        outside.sent.lock().unwrap().push(order.action.kind());
        if outside.temper == Temper::Refusing {
            return Err(BackendError::new(
                ErrorKind::Forbidden,
                "rollouts/status: not for you",
            ));
        }
        let receipt = outside.store();
        if let RolloutAction::Nudge { .. } = order.action {
            let pending = outside.pending.lock().unwrap().take();
            if let Some(action) = pending.filter(|_| outside.temper == Temper::Dreamy) {
                outside.act(&action);
            }
            return Ok(receipt);
        }
        match outside.temper {
            Temper::Obedient => outside.act(&order.action),
            Temper::Late => {
                let (outside, action) = (Arc::clone(outside), order.action.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(90)).await;
                    outside.act(&action);
                });
            }
            Temper::Slow => {
                {
                    let mut rollout = outside.rollout.lock().unwrap();
                    rollout.step = u32::try_from(rollout.steps.len()).ok();
                    rollout.version = rollout.version.map(|version| version + 1);
                }
                let (outside, action) = (Arc::clone(outside), order.action.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    outside.act(&action);
                });
            }
            Temper::Mumbling => {
                outside.act(&order.action);
                return Err(BackendError::new(ErrorKind::Ambiguous, "connection reset"));
            }
            Temper::Dreamy | Temper::Deaf => {
                *outside.pending.lock().unwrap() = Some(order.action.clone());
            }
            Temper::Refusing => unreachable!("answered above"),
        }
        Ok(receipt)
    }
}

#[async_trait]
impl ModelControls for Hands {
    fn preview(&self, order: &ModelOrder) -> Preview {
        Preview {
            method: "POST",
            path: "/alias".into(),
            content_type: "application/json",
            body: Clean::from(format!("{} {}", order.alias, order.to)),
            check: "champion".into(),
            command: "curl".into(),
        }
    }

    async fn send(&self, order: &ModelOrder) -> Result<Receipt, BackendError> {
        self.0.sent.lock().unwrap().push(ActionKind::SetAlias);
        if *self.0.frozen.lock().unwrap() {
            return Err(BackendError::new(
                ErrorKind::Forbidden,
                "registry is frozen",
            ));
        }
        if order.alias == "champion" {
            *self.0.champion.lock().unwrap() = order.to.0;
        }
        self.0.changed.send_modify(|count| *count += 1);
        Ok(Receipt {
            status: 200,
            version: None,
            note: "".into(),
        })
    }
}

/// Asks about everything each second, as a supervisor does while an action is
/// under way.
struct Eyes {
    outside: Arc<Outside>,
    now: gonogo::backend::Now,
    changed: watch::Receiver<u64>,
}

impl Eyes {
    fn facts(&self) -> Vec<Fact> {
        let measured = [Arm::Canary, Arm::Stable].map(|arm| {
            let mut measured = measure(arm, Sample::Value(200.0), 0);
            measured.at = (self.now)();
            Fact::Measure(measured)
        });
        let champion = *self.outside.champion.lock().unwrap();
        let mut facts = vec![
            Fact::Rollout(Box::new(self.outside.rollout.lock().unwrap().clone())),
            Fact::Model(aliases(&[("champion", champion), ("previous-champion", 1)])),
            Fact::Version(version(1, &[("image", "r/ranker:1.0")])),
            Fact::Version(version(2, &[("image", "r/ranker:2.0")])),
            Fact::ModelRun(model_run(2, &[("accuracy", 0.97)])),
        ];
        facts.extend(measured);
        facts
    }
}

#[async_trait]
impl Stream for Eyes {
    fn scope(&self) -> Scope {
        Scope::new(&backend("prod"), "all")
    }

    async fn stream(
        &mut self,
        outlet: &Outlet,
        _focus: watch::Receiver<Focus>,
    ) -> Result<(), BackendError> {
        loop {
            let asked = (self.now)();
            // An answer takes its time, so that the question began before it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            for of in ["prod", "mlflow", "prom"] {
                let facts = if of == "prod" {
                    self.facts()
                } else {
                    Vec::new()
                };
                let batch = Batch {
                    scope: Scope::new(&backend(of), "all"),
                    complete: true,
                    basis: Basis::Asked(asked),
                    at: (self.now)(),
                    facts,
                    gone: Vec::new(),
                };
                if outlet.send(Observation::Batch(batch)).await.is_err() {
                    return Ok(());
                }
            }
            tokio::select! {
                _ = self.changed.changed() => {
                    // A watch tells of it at once.
                    let told = Batch {
                        scope: self.scope(),
                        complete: false,
                        basis: Basis::Told,
                        at: (self.now)(),
                        facts: self.facts(),
                        gone: Vec::new(),
                    };
                    if outlet.send(Observation::Batch(told)).await.is_err() {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }
}

struct NoProbe;

#[async_trait]
impl Probe for NoProbe {
    async fn probe(&self) -> Vec<Check> {
        Vec::new()
    }
}

struct Scene {
    handle: Handle,
    outside: Arc<Outside>,
    folder: Arc<TempDir>,
    now: gonogo::backend::Now,
}

fn clock() -> gonogo::backend::Now {
    let (wall, steady) = (crate::support::build::at(1000), Instant::now());
    Arc::new(move || -> Timestamp { wall + chrono::TimeDelta::from_std(steady.elapsed()).unwrap() })
}

fn paths(folder: &Path) -> Paths {
    Paths {
        ledger: folder.join("state/ledger.jsonl"),
        spools: vec![folder.join("spool/spool.jsonl")],
    }
}

impl Scene {
    async fn new(temper: Temper) -> Self {
        Self::at(temper, TempDir::new().unwrap(), |_| {}).await
    }

    async fn at(temper: Temper, folder: TempDir, change: impl FnOnce(&mut Rollout)) -> Self {
        let folder = Arc::new(folder);
        let mut rollout = canary("r/ranker:2.0", "r/ranker:1.0");
        change(&mut rollout);
        let (changed, _) = watch::channel(0);
        let outside = Arc::new(Outside {
            temper,
            rollout: Mutex::new(rollout),
            pending: Mutex::default(),
            champion: Mutex::new(1),
            frozen: Mutex::new(false),
            sent: Mutex::default(),
            changed,
        });
        Self::open(outside, folder, clock()).await
    }

    /// Another process on the same world and ledger, as far as can be told.
    async fn beside(&self) -> Self {
        let folder = Arc::clone(&self.folder);
        Self::open(Arc::clone(&self.outside), folder, self.now.clone()).await
    }

    async fn open(outside: Arc<Outside>, folder: Arc<TempDir>, now: gonogo::backend::Now) -> Self {
        let told = outside.changed.subscribe();
        let eyes = Eyes {
            outside: Arc::clone(&outside),
            now: now.clone(),
            changed: told,
        };
        let hands = Arc::new(Hands(Arc::clone(&outside)));
        let make = |id: &str, feeds, controls| Backend {
            id: backend(id),
            kind: "scripted",
            cadence: Duration::from_secs(10),
            feeds,
            controls,
            logs: None,
            probe: Arc::new(NoProbe),
        };
        let backends = vec![
            make(
                "prod",
                vec![Feed::Stream(Box::new(eyes))],
                Controls {
                    rollout: Some(hands.clone()),
                    ..Controls::default()
                },
            ),
            make(
                "mlflow",
                vec![],
                Controls {
                    model: Some(hands),
                    ..Controls::default()
                },
            ),
        ];
        let handle = app::start(Assembly {
            catalog: Arc::new(catalog(vec![latency_gate(250.0), accuracy_gate(0.9)])),
            backends,
            ledger: Ledger::new(paths(folder.path()), Writer::this_process()),
            person: Person {
                os_user: "mk".into(),
            },
            now: now.clone(),
            kill: None,
        });
        let mut worlds = handle.worlds();
        worlds
            .wait_for(|world| world.rollouts.contains_key(&target()) && !world.decisions.is_empty())
            .await
            .unwrap();
        Self {
            handle,
            outside,
            folder,
            now,
        }
    }

    async fn submit(&self, verb: Verb) -> Result<PlanId, Refusal> {
        let world = self.handle.world();
        let plan = propose(&world, &Ask::new(verb, lane()), self.handle.now())?;
        self.handle
            .submit(&plan, Mode::ReadWrite, &Consent::default())
            .await
    }

    /// Submits and waits for the end.
    async fn outcome(&self, verb: Verb) -> (ActionOutcome, String) {
        let id = self.submit(verb).await.unwrap();
        self.end_of(&id).await
    }

    async fn end_of(&self, id: &PlanId) -> (ActionOutcome, String) {
        let mut worlds = self.handle.worlds();
        let world = worlds
            .wait_for(|world| world.plans.get(id).is_some_and(|plan| plan.ended.is_some()))
            .await
            .unwrap();
        let (_, outcome, note) = world.plans[id].ended.clone().unwrap();
        (outcome, note.to_string())
    }

    fn sent(&self) -> Vec<ActionKind> {
        self.outside.sent.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        let read = Ledger::new(paths(self.folder.path()), Writer::this_process())
            .reader()
            .read_new()
            .unwrap();
        read.iter()
            .map(|record| {
                let outcome = record.outcome.map_or("", ActionOutcome::word);
                format!(
                    "{} {} {outcome}",
                    record.kind.word(),
                    record.action.as_deref().unwrap_or("-")
                )
                .trim()
                .to_owned()
            })
            .collect()
    }
}
