//! What drivers of plans share: the world, the ledger, the controls, the clock.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
};

use crate::{
    app::{
        entry::{Person, backend_of},
        kill::{Fuse, KillPoint},
    },
    backend::{BackendError, Controls, ErrorKind, Focus, Now},
    domain::{
        Timestamp,
        action::{Order, Preview, Receipt},
        id::{BackendId, PlanId},
        observation::{Observation, PlanEvent, PlanProgress},
        text::Clean,
    },
    engine::world::World,
    store::{Admission, Entry, First, Ledger, Place, Written},
};

/// What drivers share.
pub(super) struct Desk {
    pub(super) inbox: mpsc::Sender<Observation>,
    pub(super) worlds: watch::Receiver<Arc<World>>,
    pub(super) focus: watch::Sender<Focus>,
    pub(super) controls: BTreeMap<BackendId, Controls>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) person: Person,
    pub(super) clock: Now,
    pub(super) kill: Option<Fuse>,
}

impl Desk {
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn worlds(&self) -> watch::Receiver<Arc<World>> {
        self.worlds.clone()
    }

    pub(super) fn world(&self) -> Arc<World> {
        self.worlds.borrow().clone()
    }

    pub(super) fn person(&self) -> &Person {
        &self.person
    }

    fn pass(&self, point: KillPoint) {
        if let Some(fuse) = &self.kill {
            fuse.pass(point);
        }
    }

    /// What would be sent for an order.
    pub(super) fn preview(&self, order: &Order) -> Preview {
        let controls = self.controls.get(&backend_of(order));
        let preview = match order {
            Order::Rollout(order) => controls
                .and_then(|controls| controls.rollout.as_ref())
                .map(|to| to.preview(order)),
            Order::Approval(order) => controls
                .and_then(|controls| controls.approval.as_ref())
                .map(|to| to.preview(order)),
            Order::Run(order) => controls
                .and_then(|controls| controls.run.as_ref())
                .map(|to| to.preview(order)),
            Order::Model(order) => controls
                .and_then(|controls| controls.model.as_ref())
                .map(|to| to.preview(order)),
        };
        preview.unwrap_or_else(|| Preview {
            method: "",
            path: "".into(),
            content_type: "",
            body: "".into(),
            check: "".into(),
            command: Clean::from(format!(
                "backend `{}` has no control for this",
                backend_of(order)
            )),
        })
    }

    /// Sends an order, once.
    pub(super) async fn send(&self, order: &Order) -> Result<Receipt, BackendError> {
        let backend = backend_of(order);
        let Some(controls) = self.controls.get(&backend) else {
            return Err(no_control(&backend));
        };
        let none = || no_control(&backend);
        self.pass(KillPoint::BeforeSend);
        let answer = match order {
            Order::Rollout(order) => {
                controls
                    .rollout
                    .as_ref()
                    .ok_or_else(none)?
                    .send(order)
                    .await
            }
            Order::Approval(order) => {
                controls
                    .approval
                    .as_ref()
                    .ok_or_else(none)?
                    .send(order)
                    .await
            }
            Order::Run(order) => controls.run.as_ref().ok_or_else(none)?.send(order).await,
            Order::Model(order) => controls.model.as_ref().ok_or_else(none)?.send(order).await,
        };
        self.pass(KillPoint::AfterSend);
        self.look_closely(&backend);
        answer
    }

    /// Asks the supervisors to look at a backend at once and often.
    fn look_closely(&self, backend: &BackendId) {
        self.focus.send_modify(|focus| {
            focus.urgent.insert(backend.clone());
            focus.refresh += 1;
        });
    }

    /// Ends the close look at everything a plan touched, unless another plan still needs it.
    pub(super) fn finished(&self, plan: &PlanId) {
        let world = self.world();
        let needed: Vec<BackendId> = world
            .plans
            .values()
            .filter(|other| other.ended.is_none() && other.id != *plan)
            .flat_map(|other| other.steps.iter().map(|step| backend_of(&step.order)))
            .collect();
        self.focus
            .send_modify(|focus| focus.urgent.retain(|backend| needed.contains(backend)));
    }

    /// Tells the world what happened to a plan.
    pub(super) async fn tell(&self, plan: &PlanId, what: PlanProgress) {
        let event = PlanEvent {
            plan: plan.clone(),
            at: self.now(),
            what,
        };
        // The keeper outlives every driver but at shutdown, when nobody reads it any more.
        drop(self.inbox.send(Observation::Plan(event)).await);
    }

    /// Tells people something that has no better place.
    pub(super) async fn say(&self, text: Clean) {
        drop(
            self.inbox
                .send(Observation::Note {
                    at: self.now(),
                    text,
                })
                .await,
        );
    }

    /// Says what went wrong beside a line that was written.
    async fn mention(&self, written: &Written) {
        if let Some(why) = &written.unmarked {
            self.say(Clean::from(format!(
                "line {} is written, its checkpoint is not: {why}",
                written.seq
            )))
            .await;
        }
    }

    /// Writes a throttle's intent, unless another was first.
    pub(super) async fn admit(&self, entry: Entry) -> Result<Admission, Clean> {
        let (ledger, now) = (Arc::clone(&self.ledger), self.now());
        self.pass(KillPoint::BeforeWrite);
        let written = spawn_blocking(move || ledger.append_unless_busy(&entry, now)).await;
        self.pass(KillPoint::AfterWrite);
        match written {
            Ok(Ok(admission)) => {
                if let Admission::Written(written) = &admission {
                    self.mention(written).await;
                }
                Ok(admission)
            }
            Ok(Err(error)) => Err(Clean::from(format!(
                "nothing was sent, because it could not be written down first: {error}"
            ))),
            Err(panic) => Err(Clean::from(format!("the ledger writer stopped: {panic}"))),
        }
    }

    /// Who has pulled a brake on something this plan touches since it began.
    pub(super) async fn overtaken(&self, plan: &PlanId) -> Result<Option<First>, Clean> {
        let (ledger, now, plan) = (Arc::clone(&self.ledger), self.now(), plan.clone());
        match spawn_blocking(move || ledger.overtaken(&plan, now)).await {
            Ok(found) => found.map_err(|error| {
                Clean::from(format!(
                    "nothing was sent, because it could not be seen whether somebody pulled a brake: {error}"
                ))
            }),
            Err(panic) => Err(Clean::from(format!("the ledger reader stopped: {panic}"))),
        }
    }

    /// Writes an entry that nobody's unfinished action may stop; a brake's
    /// intent among them, through a spool when the ledger cannot be written.
    pub(super) async fn write_brake(&self, entry: Entry) -> Result<(), Clean> {
        let (ledger, now) = (Arc::clone(&self.ledger), self.now());
        let by_hand = entry
            .request
            .as_ref()
            .map(|request| request.command.clone());
        self.pass(KillPoint::BeforeWrite);
        let written = spawn_blocking(move || ledger.append_or_spool(&entry, now)).await;
        self.pass(KillPoint::AfterWrite);
        match written {
            Ok(Ok(Place::Ledger(written))) => {
                self.mention(&written).await;
                Ok(())
            }
            Ok(Ok(Place::Spool { path, why })) => {
                self.say(Clean::from(format!(
                    "written to the spool {} until the ledger can be written: {why}",
                    path.display()
                )))
                .await;
                Ok(())
            }
            Ok(Err(stranded)) => Err(Clean::from(by_hand.map_or_else(
                || stranded.to_string(),
                |command| format!("{stranded}; to do it by hand: {command}"),
            ))),
            Err(panic) => Err(Clean::from(format!("the ledger writer stopped: {panic}"))),
        }
    }
}

fn no_control(backend: &BackendId) -> BackendError {
    BackendError::new(
        ErrorKind::Configuration,
        format!("backend `{backend}` has no control for this"),
    )
}
