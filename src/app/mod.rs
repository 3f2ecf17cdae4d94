//! Tasks and channels: the one place where things run.
//!
//! [`start`] brings up a supervisor per backend, the keeper of the world and
//! the desk that drives plans, and gives out a [`Handle`]. Cockpit and command
//! line use the same handle, so they see the same world and act the same way.

pub mod clock;
mod desk;
mod driver;
pub mod entry;
mod history;
mod keeper;
pub mod kill;
mod settle;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use crate::app::{
    entry::Person,
    kill::{Fuse, KillPoint},
};
use crate::{
    app::desk::Desk,
    backend::{
        Backend, BackendError, Check, ErrorKind, Focus, Logs, Now, Probe, supervise::supervise,
    },
    domain::{
        Timestamp,
        action::{Order, Preview},
        catalog::Catalog,
        id::{BackendId, JobId, PlanId},
        observation::{Observation, PlanProgress, PlanStart},
        rollout::short_duration,
        text::Clean,
    },
    engine::{
        clear::{self, Cleared, Consent, Mode, Refusal},
        plan::{Class, Plan},
        world::World,
    },
    store::{Admission, EntryKind, History, Ledger, LedgerError, Record, verify},
};

/// How many observations may wait for the keeper before feeds are held up.
const INBOX: usize = 1024;
/// How long tasks may take to end at shutdown.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether the machine's clock was set back.
const CLOCK_LOOK: Duration = Duration::from_secs(10);
/// By how much it may be without a word.
const NOTABLE: TimeDelta = TimeDelta::seconds(5);

/// Everything needed to start.
pub struct Assembly {
    /// What the configuration says exists.
    pub catalog: Arc<Catalog>,
    /// The backends it names.
    pub backends: Vec<Backend>,
    /// The ledger.
    pub ledger: Ledger,
    /// Who acts.
    pub person: Person,
    /// The clock.
    pub now: Now,
    /// Where to die, in tests.
    pub kill: Option<Fuse>,
}

/// A running gonogo. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    desk: Arc<Desk>,
    worlds: watch::Receiver<Arc<World>>,
    logs: Arc<BTreeMap<BackendId, Arc<dyn Logs>>>,
    probes: Arc<BTreeMap<BackendId, Arc<dyn Probe>>>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

/// The ledger as last read.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Its newest lines, oldest first.
    pub records: Vec<Record>,
    /// What is wrong with lines of it, in the order of the file.
    pub problems: Vec<Clean>,
}

/// What `audit verify` names. A line that is being written while it looks is
/// seen half; a problem that is one is still there at a second look.
fn problems(ledger: &Path) -> Result<Vec<Clean>, LedgerError> {
    let first = verify(ledger, None)?.problems;
    if first.is_empty() {
        return Ok(first);
    }
    let mut again = verify(ledger, None)?.problems;
    again.retain(|problem| first.contains(problem));
    Ok(again)
}

/// Brings everything up. Opens no connection before it returns.
pub fn start(assembly: Assembly) -> Handle {
    let (inbox, observations) = mpsc::channel(INBOX);
    let history = History::of(assembly.ledger.path());
    let recalled = history::recall(&history);
    let forgotten = recalled.as_ref().err().map(ToString::to_string);
    let (world_out, worlds) = watch::channel(Arc::new(recalled.unwrap_or_default()));
    let (focus, focused) = watch::channel(Focus::default());
    let (cancel, tasks) = (CancellationToken::new(), TaskTracker::new());
    let now = assembly.now;
    let mut controls = BTreeMap::new();
    let mut logs = BTreeMap::new();
    let mut probes = BTreeMap::new();
    // The catalog goes first, so that every fact finds the service it is about.
    // The inbox is empty and has room.
    let first = Observation::Catalog(assembly.catalog);
    let room = inbox.try_send(first).is_ok();
    debug_assert!(room, "a new inbox has room for the catalog");
    // Not tracked: it ends when nobody can tell it anything any more.
    tokio::spawn(keeper::keep(observations, world_out, now.clone()));
    for backend in assembly.backends {
        controls.insert(backend.id.clone(), backend.controls);
        logs.extend(backend.logs.map(|logs| (backend.id.clone(), logs)));
        probes.insert(backend.id.clone(), backend.probe);
        tasks.spawn(supervise(
            backend.id,
            backend.feeds,
            inbox.clone(),
            focused.clone(),
            cancel.clone(),
            now.clone(),
        ));
    }
    let desk = Arc::new(Desk {
        inbox,
        worlds: worlds.clone(),
        focus,
        controls,
        ledger: Arc::new(assembly.ledger),
        person: assembly.person,
        clock: now,
        kill: assembly.kill,
    });
    tasks.spawn(history::remember(
        Arc::clone(&desk),
        history,
        cancel.clone(),
    ));
    let settling = {
        let (desk, cancel) = (Arc::clone(&desk), cancel.clone());
        async move {
            if let Some(why) = forgotten {
                desk.say(Clean::from(format!(
                    "what earlier processes saw at 100 % is not known: {why}"
                )))
                .await;
            }
            tokio::select! {
                () = settle::settle(desk) => {}
                () = cancel.cancelled() => {}
            }
        }
    };
    tasks.spawn(settling);
    tasks.spawn(mind_the_clock(Arc::clone(&desk), cancel.clone()));
    Handle {
        desk,
        worlds,
        logs: Arc::new(logs),
        probes: Arc::new(probes),
        cancel,
        tasks,
    }
}

/// Says once that the machine's clock was set back.
async fn mind_the_clock(desk: Arc<Desk>, cancel: CancellationToken) {
    let set_back = async {
        loop {
            tokio::time::sleep(CLOCK_LOOK).await;
            let ahead = clock::ahead();
            if NOTABLE < ahead {
                break ahead;
            }
        }
    };
    tokio::select! {
        ahead = set_back => {
            let ahead = short_duration(ahead.to_std().unwrap_or_default());
            desk.say(Clean::from(format!(
                "this machine's clock was set back by {ahead}: times here run ahead by that until \
                 gonogo is started again, and evidence is called stale rather than fresh"
            )))
            .await;
        }
        () = cancel.cancelled() => {}
    }
}

impl Handle {
    /// The newest world.
    pub fn world(&self) -> Arc<World> {
        self.worlds.borrow().clone()
    }

    /// A receiver of worlds, for those who wait for a certain one.
    pub fn worlds(&self) -> watch::Receiver<Arc<World>> {
        self.worlds.clone()
    }

    /// Waits for a world newer than the last one this handle waited for.
    /// Returns `false` once there will be none.
    pub async fn changed(&mut self) -> bool {
        self.worlds.changed().await.is_ok()
    }

    /// The clock.
    pub fn now(&self) -> Timestamp {
        self.desk.now()
    }

    /// Says what people look at.
    pub fn look_at(&self, change: impl FnOnce(&mut Focus)) {
        self.desk.focus.send_modify(change);
    }

    /// What would be sent for an order.
    pub fn preview(&self, order: &Order) -> Preview {
        self.desk.preview(order)
    }

    /// Clears a plan against the newest world and sets it in motion. The
    /// outcome appears in `world.plans` under the id returned.
    ///
    /// # Errors
    ///
    /// Why not; nothing was sent. The refusal is in the ledger.
    pub async fn submit(
        &self,
        plan: &Plan,
        mode: Mode,
        consent: &Consent,
    ) -> Result<PlanId, Refusal> {
        let world = self.world();
        let cleared = match clear::clear(&world, plan, mode, consent, self.now()) {
            Ok(cleared) => cleared,
            Err(refusal) => {
                self.write_refusal(&world, plan, &refusal).await;
                return Err(refusal);
            }
        };
        let id = PlanId::new(uuid::Uuid::now_v7().to_string());
        if let Err(refusal) = self.admit(&world, &id, &cleared).await {
            if matches!(refusal, Refusal::NotWritten(_)) {
                // Whoever is to do it by hand does not wait for a disk that
                // hangs once more.
                let (this, plan, told) = (self.clone(), plan.clone(), refusal.clone());
                self.tasks
                    .spawn(async move { this.write_refusal(&world, &plan, &told).await });
            } else {
                self.write_refusal(&world, plan, &refusal).await;
            }
            return Err(refusal);
        }
        let start = PlanStart {
            verb: plan.ask.verb.word().into(),
            service: plan.ask.lane.0.clone(),
            environment: Some(plan.ask.lane.1.clone()),
            release: plan.release.clone(),
            actor: self.desk.person().os_user.clone(),
            subject: plan.subject.clone(),
            brake: plan.class == Class::Brake,
            orders: plan.steps.iter().map(|step| step.order.clone()).collect(),
        };
        self.desk
            .tell(&id, PlanProgress::Started(Box::new(start)))
            .await;
        self.tasks
            .spawn(driver::drive(Arc::clone(&self.desk), id.clone(), cleared));
        Ok(id)
    }

    /// Writes the intent that admits a plan: of two throttles on one target,
    /// over all processes, exactly one gets through.
    async fn admit(&self, world: &World, id: &PlanId, cleared: &Cleared) -> Result<(), Refusal> {
        let plan = cleared.plan();
        let Some(first) = plan.steps.first() else {
            return Err(Refusal::NothingToDo("the plan has no steps".into()));
        };
        let entry = entry::of_cleared(EntryKind::Intent, id, cleared, world, self.desk.person());
        let step = (plan.steps.len() == 1).then_some(0);
        let entry = entry::with_step(entry, step, &first.order, self.desk.preview(&first.order));
        if entry.brake {
            self.desk
                .write_brake(entry)
                .await
                .map_err(Refusal::NotWritten)?;
        } else {
            match self.desk.admit(entry).await.map_err(Refusal::NotWritten)? {
                Admission::Written(_) => {}
                Admission::Busy(first) | Admission::Overtaken(first) => {
                    return Err(Refusal::Busy(Clean::from(first.to_string())));
                }
            }
        }
        Ok(())
    }

    async fn write_refusal(&self, world: &World, plan: &Plan, refusal: &Refusal) {
        let mut entry = entry::of_plan(EntryKind::Refused, None, plan, world, self.desk.person());
        entry.order = plan.steps.first().map(|step| step.order.clone());
        entry.note = Clean::from(refusal.to_string());
        if let Err(why) = self.desk.write_brake(entry).await {
            self.desk
                .say(Clean::from(format!(
                    "the refusal could not be written down: {why}"
                )))
                .await;
        }
    }

    /// The log of a job, in chunks of raw bytes; the last item may be an error.
    pub fn log(&self, job: &JobId) -> mpsc::Receiver<Result<Vec<u8>, BackendError>> {
        let (out, log) = mpsc::channel(64);
        let Some(logs) = self.logs.get(&job.run.backend).cloned() else {
            let none = BackendError::new(
                ErrorKind::Configuration,
                format!("backend `{}` has no logs", job.run.backend),
            );
            let told = out.try_send(Err(none)).is_ok();
            debug_assert!(told, "a new channel has room");
            return log;
        };
        let job = job.clone();
        self.tasks.spawn(async move {
            let (chunks_out, mut chunks) = mpsc::channel::<Vec<u8>>(64);
            let pass_on = async {
                while let Some(chunk) = chunks.recv().await {
                    if out.send(Ok(chunk)).await.is_err() {
                        return;
                    }
                }
            };
            let (ended, ()) = tokio::join!(logs.job_log(&job, chunks_out), pass_on);
            if let Err(error) = ended {
                // A reader that has gone does not need to hear why.
                drop(out.send(Err(error)).await);
            }
        });
        log
    }

    /// Looks at every backend for `doctor`, all at once.
    pub async fn doctor(&self) -> BTreeMap<BackendId, Vec<Check>> {
        let looks = self
            .probes
            .iter()
            .map(|(id, probe)| async move { (id.clone(), probe.probe().await) });
        futures::future::join_all(looks).await.into_iter().collect()
    }

    /// The newest `limit` ledger lines, oldest first, and what is wrong with
    /// any line of it.
    ///
    /// # Errors
    ///
    /// The ledger could not be read, in words.
    pub async fn ledger(&self, limit: usize) -> Result<Book, Clean> {
        let ledger = Arc::clone(&self.desk.ledger);
        let read = tokio::task::spawn_blocking(move || {
            let mut reader = ledger.reader();
            let records = reader.read_new()?;
            Ok::<_, LedgerError>((records, reader.damage(), problems(ledger.path())?))
        });
        match read.await {
            // Garbage is not the same as nothing done yet.
            Ok(Ok((records, Some(damage), _))) if records.is_empty() => Err(damage),
            Ok(Ok((mut records, _, problems))) => Ok(Book {
                records: records.split_off(records.len().saturating_sub(limit)),
                problems,
            }),
            Ok(Err(error)) => Err(Clean::from(error.to_string())),
            Err(panic) => Err(Clean::from(format!("the ledger reader stopped: {panic}"))),
        }
    }

    /// Ends every task, waiting a little for those that write.
    pub async fn shutdown(self) {
        self.cancel.cancel();
        self.tasks.close();
        // What does not end in time is ended with the runtime; an action under
        // way is settled by looking at the next start.
        drop(tokio::time::timeout(GRACE, self.tasks.wait()).await);
    }
}
