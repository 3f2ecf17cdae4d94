//! From a person's yes to the last ledger line, against a controller that
//! behaves as scripted. Time is tokio's own, so nothing is waited for.

use std::{
    fs,
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
        action::{ActionKind, ModelOrder, Order, Preview, Receipt, RolloutAction, RolloutOrder},
        measure::{Arm, Sample},
        observation::{ActionOutcome, Basis, Batch, Fact, Observation, Scope},
        rollout::{Rollout, RolloutPhase},
        text::Clean,
    },
    engine::{
        clear::{Consent, Mode, Refusal},
        plan::{Ask, Verb},
        propose::propose,
    },
    store::{Actor, Entry, EntryKind, Ledger, Paths, RecordKind, Writer},
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
}

/// A cluster with one rollout, and the registry beside it.
struct Outside {
    temper: Temper,
    rollout: Mutex<Rollout>,
    pending: Mutex<Option<RolloutAction>>,
    champion: Mutex<u64>,
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
        let mut measured = measure(Arm::Canary, Sample::Value(200.0), 0);
        measured.at = (self.now)();
        let champion = *self.outside.champion.lock().unwrap();
        vec![
            Fact::Rollout(Box::new(self.outside.rollout.lock().unwrap().clone())),
            Fact::Model(aliases(&[("champion", champion), ("previous-champion", 1)])),
            Fact::Version(version(1, &[("image", "r/ranker:1.0")])),
            Fact::Version(version(2, &[("image", "r/ranker:2.0")])),
            Fact::ModelRun(model_run(2, &[("accuracy", 0.97)])),
            Fact::Measure(measured),
        ]
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
    folder: TempDir,
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
        let mut rollout = canary("r/ranker:2.0", "r/ranker:1.0");
        change(&mut rollout);
        let (changed, told) = watch::channel(0);
        let outside = Arc::new(Outside {
            temper,
            rollout: Mutex::new(rollout),
            pending: Mutex::default(),
            champion: Mutex::new(1),
            sent: Mutex::default(),
            changed,
        });
        let now = clock();
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
            now,
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
        }
    }

    async fn submit(&self, verb: Verb) -> Result<gonogo::domain::id::PlanId, Refusal> {
        let world = self.handle.world();
        let plan = propose(&world, &Ask::new(verb, lane()), self.handle.now())?;
        self.handle
            .submit(&plan, Mode::ReadWrite, &Consent::default())
            .await
    }

    /// Submits and waits for the end.
    async fn outcome(&self, verb: Verb) -> (ActionOutcome, String) {
        let id = self.submit(verb).await.unwrap();
        let mut worlds = self.handle.worlds();
        let world = worlds
            .wait_for(|world| {
                world
                    .plans
                    .get(&id)
                    .is_some_and(|plan| plan.ended.is_some())
            })
            .await
            .unwrap();
        let (_, outcome, note) = world.plans[&id].ended.clone().unwrap();
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

#[tokio::test(start_paused = true)]
async fn a_hold_is_written_sent_once_seen_and_written_again() {
    let scene = Scene::new(Temper::Obedient).await;
    assert_eq!(
        scene.outcome(Verb::Hold).await,
        (ActionOutcome::Confirmed, String::new())
    );
    assert_eq!(scene.sent(), [ActionKind::Hold]);
    assert_eq!(scene.lines(), ["intent hold", "outcome hold confirmed"]);
}

#[tokio::test(start_paused = true)]
async fn a_swallowed_abort_is_nudged_once_and_then_happens() {
    let scene = Scene::new(Temper::Dreamy).await;
    let before = Instant::now();
    assert_eq!(scene.outcome(Verb::Abort).await.0, ActionOutcome::Confirmed);
    assert!(
        before.elapsed() < Duration::from_secs(2),
        "took {:?}",
        before.elapsed()
    );
    assert_eq!(scene.sent(), [ActionKind::Abort, ActionKind::Nudge]);
    assert_eq!(
        scene.lines(),
        ["intent abort", "nudge nudge", "outcome abort confirmed"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_never_seen_is_unknown_and_sent_once() {
    let scene = Scene::new(Temper::Deaf).await;
    let (outcome, note) = scene.outcome(Verb::Hold).await;
    assert_eq!(outcome, ActionOutcome::Unknown);
    assert!(note.contains("not seen within 30 s"), "{note}");
    assert_eq!(scene.sent(), [ActionKind::Hold, ActionKind::Nudge]);
    assert_eq!(scene.lines().last().unwrap(), "outcome hold unknown");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_settled_by_looking_and_not_sent_again() {
    let scene = Scene::new(Temper::Mumbling).await;
    assert_eq!(scene.outcome(Verb::Hold).await.0, ActionOutcome::Confirmed);
    assert_eq!(scene.sent(), [ActionKind::Hold]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_has_failed_and_says_why() {
    let scene = Scene::new(Temper::Refusing).await;
    let (outcome, note) = scene.outcome(Verb::Hold).await;
    assert_eq!(outcome, ActionOutcome::Failed);
    assert!(
        note.contains("not permitted") && note.contains("rollouts/status"),
        "{note}"
    );
    assert_eq!(scene.lines(), ["intent hold", "outcome hold failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_promotion_moves_traffic_then_the_alias_each_with_lines_of_its_own() {
    let scene = Scene::new(Temper::Obedient).await;
    assert_eq!(
        scene.outcome(Verb::Promote).await,
        (ActionOutcome::Confirmed, String::new())
    );
    assert_eq!(
        scene.sent(),
        [ActionKind::PromoteFull, ActionKind::SetAlias]
    );
    assert_eq!(*scene.outside.champion.lock().unwrap(), 2);
    assert_eq!(
        scene.lines(),
        [
            "intent promote-full",
            "intent promote-full",
            "outcome promote-full confirmed",
            "intent set-alias",
            "outcome set-alias confirmed",
            "outcome - confirmed",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn of_two_throttles_one_goes_and_the_other_is_told_who_was_first() {
    let scene = Scene::new(Temper::Deaf).await;
    scene.submit(Verb::Promote).await.unwrap();
    let refusal = scene.submit(Verb::Continue).await.unwrap_err();
    assert!(
        matches!(&refusal, Refusal::Busy(who) if who.contains("mk was first")),
        "{refusal}"
    );
    assert!(
        scene.lines().contains(&"refused continue".to_owned()),
        "{:?}",
        scene.lines()
    );
}

#[tokio::test(start_paused = true)]
async fn a_brake_goes_out_during_a_promotion_and_the_promotion_stops() {
    let scene = Scene::at(Temper::Dreamy, TempDir::new().unwrap(), |rollout| {
        rollout.held = true;
    })
    .await;
    let promotion = scene.submit(Verb::Promote).await.unwrap();
    let mut worlds = scene.handle.worlds();
    // The promotion has sent its first step (it undoes the hold) and waits.
    worlds
        .wait_for(|_| scene.sent().contains(&ActionKind::Resume))
        .await
        .unwrap();
    let brake = scene
        .submit(Verb::Abort)
        .await
        .expect("a brake is never refused for another's action");
    let done = |world: &Arc<gonogo::engine::world::World>| {
        [&promotion, &brake]
            .iter()
            .all(|id| world.plans.get(id).is_some_and(|plan| plan.ended.is_some()))
    };
    let world = worlds.wait_for(done).await.unwrap().clone();
    let outcome = |id| world.plans[id].ended.as_ref().unwrap().1;
    assert_eq!(outcome(&brake), ActionOutcome::Confirmed);
    assert_ne!(outcome(&promotion), ActionOutcome::Confirmed);
    assert!(
        !scene.sent().contains(&ActionKind::PromoteFull),
        "{:?}",
        scene.sent()
    );
    assert!(
        !scene.sent().contains(&ActionKind::SetAlias),
        "{:?}",
        scene.sent()
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_a_throttle_cannot_be_written_down_and_a_brake_goes_through_the_spool()
{
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("state"),
        "a file where a folder should be",
    )
    .unwrap();
    let scene = Scene::at(Temper::Obedient, folder, |_| {}).await;
    assert!(matches!(
        scene.submit(Verb::Promote).await,
        Err(Refusal::NotWritten(_))
    ));
    assert_eq!(scene.sent(), []);
    assert_eq!(scene.outcome(Verb::Hold).await.0, ActionOutcome::Confirmed);
    let spool = fs::read_to_string(scene.folder.path().join("spool/spool.jsonl")).unwrap();
    assert!(
        spool.contains("\"intent\"") && spool.contains("\"hold\""),
        "{spool}"
    );
}

#[tokio::test(start_paused = true)]
async fn when_nothing_can_be_written_the_command_to_paste_is_shown() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("state"), "").unwrap();
    fs::write(folder.path().join("spool"), "").unwrap();
    let scene = Scene::at(Temper::Obedient, folder, |_| {}).await;
    let refusal = scene.submit(Verb::Abort).await.unwrap_err();
    assert!(
        matches!(&refusal, Refusal::NotWritten(why) if why.contains("kubectl patch rollout ranker")),
        "{refusal}"
    );
    assert_eq!(scene.sent(), []);
}

/// An intent somebody left behind.
fn leave_behind(folder: &Path, writer: Writer) {
    let mut entry = Entry::new(
        EntryKind::Intent,
        "hold",
        Actor {
            os_user: "ana".into(),
            backends: Vec::new(),
        },
    );
    entry.plan = Some(gonogo::domain::id::PlanId::new("left-behind"));
    entry.step = Some(0);
    entry.steps = Some(1);
    entry.brake = true;
    entry.order = Some(Order::Rollout(RolloutOrder {
        target: target(),
        action: RolloutAction::Hold,
        seen: gonogo::domain::action::RolloutSeen {
            uid: "uid-1".into(),
            pod_hash: Some("new".into()),
            step: Some(1),
        },
    }));
    Ledger::new(paths(folder), writer)
        .append(&entry, crate::support::build::at(900))
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_action_of_a_dead_process_is_settled_by_looking() {
    for (is_held, outcome) in [(true, "confirmed"), (false, "failed")] {
        let folder = TempDir::new().unwrap();
        let dead = Writer {
            start: Some("another boot".into()),
            ..Writer::this_process()
        };
        leave_behind(folder.path(), dead);
        let scene = Scene::at(Temper::Obedient, folder, |rollout| rollout.held = is_held).await;
        let settled = format!("outcome hold {outcome}");
        let mut worlds = scene.handle.worlds();
        worlds
            .wait_for(|_| scene.lines().contains(&settled))
            .await
            .unwrap();
        assert_eq!(
            scene.sent(),
            [],
            "settled by looking, never by sending again"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_action_of_a_living_process_is_left_alone() {
    let folder = TempDir::new().unwrap();
    leave_behind(folder.path(), Writer::this_process());
    let scene = Scene::at(Temper::Obedient, folder, |rollout| rollout.held = true).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let read = Ledger::new(paths(scene.folder.path()), Writer::this_process())
        .reader()
        .read_new()
        .unwrap();
    assert!(
        read.iter().all(|record| record.kind == RecordKind::Intent),
        "{:?}",
        scene.lines()
    );
}
