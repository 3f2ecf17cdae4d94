//! Drives one cleared plan to its end: look, write down, send once, look again.
//!
//! What to do next is decided by [`crate::engine::plan::next`] from the world;
//! this file only does it. Every send has its intent on disk before it, and
//! nothing is called done because a backend said "accepted".

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    app::{desk::Desk, entry},
    backend::{BackendError, ErrorKind},
    domain::{
        action::{Order, Receipt, RolloutAction, RolloutOrder},
        id::PlanId,
        observation::{ActionOutcome, PlanProgress},
        text::Clean,
    },
    engine::{
        clear::Cleared,
        plan::{self, Class, Next, Stuck},
        verify::{self, Effect},
        world::{PlanRecord, StepRecord, StepState, World},
    },
    store::{Admission, EntryKind},
};

/// Drives `cleared` under the name `id`. Its first intent is on disk already,
/// and the world has been told that it started.
pub(super) async fn drive(desk: Arc<Desk>, id: PlanId, cleared: Cleared) {
    let driver = Driver { desk, id, cleared };
    let (outcome, note) = driver.run().await;
    driver.close(outcome, note).await;
    if outcome == ActionOutcome::Unknown {
        driver.look_on().await;
    }
}

/// How long the effect of something unknown is still looked for.
const LATE: Duration = Duration::from_secs(30 * 60);
/// How long it takes at most until a watch tells what an answer told.
const TELLING: Duration = Duration::from_secs(2);

struct Driver {
    desk: Arc<Desk>,
    id: PlanId,
    cleared: Cleared,
}

/// Why a step was not carried through.
enum Halt {
    /// It did not happen, and nothing of it can have.
    Failed(Clean),
    /// It may have happened and was not seen in time.
    Unknown(Clean),
    /// Another's brake, or a target that is no longer the same.
    Stopped(Clean),
    /// It had begun, and another's brake took it back.
    TakenBack(Clean),
}

impl Driver {
    async fn run(&self) -> (ActionOutcome, Clean) {
        let mut worlds = self.desk.worlds();
        let mut done = 0;
        let mut sent = false;
        let mut missing = None;
        let halt = loop {
            let world = worlds.borrow_and_update().clone();
            let Some(record) = world.plans.get(&self.id) else {
                if worlds.changed().await.is_err() {
                    break Halt::Unknown("gonogo is shutting down".into());
                }
                continue;
            };
            match plan::next(record, &world, self.desk.now()) {
                Next::Done => match missing {
                    Some(why) => return (ActionOutcome::Partial, self.so_far(done, &why)),
                    None => return (ActionOutcome::Confirmed, Clean::default()),
                },
                Next::Record(step) => {
                    done += 1;
                    self.seen(step, record.steps.len() > 1).await;
                }
                Next::Send(step) => match self.send(step, &world).await {
                    Ok(()) => sent = true,
                    Err(Halt::Failed(why)) if plan::may_be_passed_over(record, step) => {
                        self.pass_over(step).await;
                        missing = Some(why);
                    }
                    Err(halt) => break halt,
                },
                Next::Nudge(step) => {
                    if let Err(halt) = self.nudge(step, record, &world).await {
                        break halt;
                    }
                }
                Next::PassOver(step, why) => {
                    let outcome = ActionOutcome::Unknown;
                    self.write_outcome(Some(step), outcome, why.clone()).await;
                    self.pass_over(step).await;
                    missing = Some(why);
                }
                Next::Stuck(Stuck::NotSeen(why)) => {
                    break Halt::Unknown(why);
                }
                Next::Stuck(Stuck::Moved(why)) => break Halt::Stopped(why),
                Next::Stuck(Stuck::TakenBack(why)) => break Halt::TakenBack(why),
                Next::Wait(until) => {
                    let pause = (until - self.desk.now()).to_std().unwrap_or_default();
                    tokio::select! {
                        changed = worlds.changed() => if changed.is_err() {
                            break Halt::Unknown("gonogo is shutting down".into());
                        },
                        () = sleep(pause) => {}
                    }
                }
            }
        };
        let partial = done > 0;
        match halt {
            Halt::TakenBack(why) => (ActionOutcome::Partial, self.so_far(done, &why)),
            Halt::Failed(why) if partial => (ActionOutcome::Partial, self.so_far(done, &why)),
            Halt::Failed(why) => (ActionOutcome::Failed, why),
            Halt::Unknown(why) => (ActionOutcome::Unknown, why),
            Halt::Stopped(why) if partial => (ActionOutcome::Partial, self.so_far(done, &why)),
            Halt::Stopped(why) if sent => (ActionOutcome::Unknown, why),
            Halt::Stopped(why) => (ActionOutcome::Refused, why),
        }
    }

    /// Whether each step has ledger lines of its own beside the plan's.
    fn is_long(&self) -> bool {
        self.cleared.plan().steps.len() > 1
    }

    fn so_far(&self, done: usize, why: &Clean) -> Clean {
        let all = self.cleared.plan().steps.len();
        Clean::from(format!("{done} of {all} steps done, then: {why}"))
    }

    /// Tells of a step and waits until the keeper has taken it in, so that the
    /// next look does not decide on the world before it.
    async fn tell_and_wait(
        &self,
        step: usize,
        what: PlanProgress,
        folded: fn(&StepRecord) -> bool,
    ) {
        self.tell(what).await;
        let mut worlds = self.desk.worlds();
        let is_in = |world: &Arc<World>| {
            world
                .plans
                .get(&self.id)
                .and_then(|plan| plan.steps.get(step))
                .is_none_or(folded)
        };
        // An error means the keeper has gone: the next look notices it.
        drop(worlds.wait_for(is_in).await);
    }

    /// Writes the intent, sends once, tells the answer.
    async fn send(&self, step: usize, world: &World) -> Result<(), Halt> {
        let Some(planned) = self.cleared.plan().steps.get(step) else {
            return Ok(());
        };
        let order = if step == 0 {
            planned.order.clone()
        } else {
            verify::refreshed(world, &planned.order)
        };
        // The only step of a plan has its intent already: that is how it was admitted.
        if self.is_long() {
            self.intend(step, &order, world).await?;
        } else if self.cleared.plan().class != Class::Brake {
            self.heed_brakes().await?;
        }
        self.tell(PlanProgress::Sending { step }).await;
        let answer = self.desk.send(&order).await;
        let receipt = match answer {
            Ok(receipt) => Ok(receipt),
            Err(error) if error.kind == ErrorKind::Ambiguous => Err(error.message),
            // An earlier step may have brought it about between our look and
            // the adapter's: then nothing was left to send.
            Err(error)
                if error.kind == ErrorKind::Conflict && self.came_about(step, &order).await =>
            {
                self.seen(step, true).await;
                return Ok(());
            }
            Err(error) => {
                let why = explain(&error);
                if self.is_long() {
                    self.write_outcome(Some(step), ActionOutcome::Failed, why.clone())
                        .await;
                }
                return Err(Halt::Failed(why));
            }
        };
        self.answered(step, receipt).await;
        Ok(())
    }

    async fn answered(&self, step: usize, receipt: Result<Receipt, Clean>) {
        let returned_at = self.desk.now();
        let answered = PlanProgress::Answered {
            step,
            receipt,
            returned_at,
        };
        self.tell_and_wait(step, answered, |step| {
            matches!(step.state, StepState::Answered { .. }) || step.state.is_settled()
        })
        .await;
    }

    /// The intent of one step of several. A throttle stops here when somebody
    /// has pulled a brake meanwhile or is at work on the same thing.
    async fn intend(&self, step: usize, order: &Order, world: &World) -> Result<(), Halt> {
        let entry = entry::of_cleared(
            EntryKind::Intent,
            &self.id,
            &self.cleared,
            world,
            self.desk.person(),
        );
        let entry = entry::with_step(entry, Some(step), order, self.desk.preview(order));
        if entry.brake {
            self.desk.write_brake(entry).await.map_err(Halt::Failed)?;
            Ok(())
        } else {
            match self.desk.admit(entry).await.map_err(Halt::Failed)? {
                Admission::Written(_) => Ok(()),
                Admission::Busy(first) | Admission::Overtaken(first) => {
                    Err(Halt::Stopped(Clean::from(first.to_string())))
                }
            }
        }
    }

    /// A throttle with one step may have waited for quiet since it was written
    /// down; who pulled a brake meanwhile, in whatever process, is obeyed.
    async fn heed_brakes(&self) -> Result<(), Halt> {
        match self.desk.overtaken(&self.id).await.map_err(Halt::Failed)? {
            Some(first) => Err(Halt::Stopped(Clean::from(first.to_string()))),
            None => Ok(()),
        }
    }

    /// Whether what a later step asks for shows to be so already, within the
    /// time a watch takes to tell of it.
    async fn came_about(&self, step: usize, order: &Order) -> bool {
        let mut worlds = self.desk.worlds();
        let is_so = |world: &Arc<World>| verify::is_so_already(world, order);
        let shows = timeout_at(Instant::now() + TELLING, worlds.wait_for(is_so));
        step > 0 && matches!(shows.await, Ok(Ok(_)))
    }

    async fn seen(&self, step: usize, long: bool) {
        self.tell_and_wait(step, PlanProgress::Seen { step }, |step| {
            matches!(step.state, StepState::Seen { .. })
        })
        .await;
        if long {
            self.write_outcome(Some(step), ActionOutcome::Confirmed, Clean::default())
                .await;
        }
    }

    async fn pass_over(&self, step: usize) {
        self.tell_and_wait(step, PlanProgress::PassedOver { step }, |step| {
            step.state.is_settled()
        })
        .await;
    }

    /// Makes the controller look again, once, with a line of its own. Where a
    /// brake was pulled meanwhile it is not overlooked: it was told to stand still.
    async fn nudge(&self, step: usize, record: &PlanRecord, world: &World) -> Result<(), Halt> {
        let Some(Order::Rollout(order)) = record.steps.get(step).map(|step| &step.order) else {
            return Ok(());
        };
        if self.cleared.plan().class != Class::Brake {
            self.heed_brakes().await?;
        }
        let nudge = Order::Rollout(RolloutOrder {
            action: RolloutAction::Nudge {
                at: self.desk.now(),
            },
            ..order.clone()
        });
        let entry = entry::of_cleared(
            EntryKind::Nudge,
            &self.id,
            &self.cleared,
            world,
            self.desk.person(),
        );
        let mut entry = entry::with_step(entry, Some(step), &nudge, self.desk.preview(&nudge));
        entry.note = "accepted, and the controller has not acted on it".into();
        let written = self.desk.write_brake(entry).await;
        self.tell_and_wait(step, PlanProgress::Nudged { step }, |step| {
            step.nudged_at.is_some()
        })
        .await;
        if written.is_err() {
            return Ok(());
        }
        // What was ordered may still take effect without it; the deadline decides.
        if let Err(error) = self.desk.send(&nudge).await {
            self.desk
                .say(Clean::from(format!("nudge: {}", explain(&error))))
                .await;
        }
        Ok(())
    }

    /// Looks for the effect of a step that was not seen in time, as long as it
    /// is worth knowing, and writes it down when it shows after all.
    async fn look_on(&self) {
        let (mut worlds, until) = (self.desk.worlds(), Instant::now() + LATE);
        let late = |world: &Arc<World>| {
            let record = world.plans.get(&self.id)?;
            let (index, step) = record
                .steps
                .iter()
                .enumerate()
                .find(|(_, step)| !step.state.is_settled())?;
            let StepState::Answered {
                receipt,
                returned_at,
            } = &step.state
            else {
                return None;
            };
            let version = receipt.as_ref().ok().and_then(|receipt| receipt.version);
            let effect = verify::effect(world, &step.order, *returned_at, version);
            (effect == Effect::Seen).then_some((index, *returned_at))
        };
        let found = timeout_at(until, worlds.wait_for(|world| late(world).is_some())).await;
        let Ok(Ok(Some((index, sent_at)))) = found.map(|world| world.map(|world| late(&world)))
        else {
            return;
        };
        let after = (self.desk.now() - sent_at).num_seconds();
        let note = Clean::from(format!("seen {after} s after it was sent"));
        let steps = self.cleared.plan().steps.len();
        self.tell(PlanProgress::Seen { step: index }).await;
        if self.is_long() {
            self.write_outcome(Some(index), ActionOutcome::Confirmed, note.clone())
                .await;
        }
        if index + 1 == steps {
            self.close(ActionOutcome::Confirmed, note).await;
        } else {
            let note = self.so_far(index + 1, &note);
            self.close(ActionOutcome::Partial, note).await;
        }
    }

    async fn tell(&self, what: PlanProgress) {
        self.desk.tell(&self.id, what).await;
    }

    async fn write_outcome(&self, step: Option<usize>, outcome: ActionOutcome, note: Clean) {
        let world = self.desk.world();
        let entry = entry::of_cleared(
            EntryKind::Outcome,
            &self.id,
            &self.cleared,
            &world,
            self.desk.person(),
        );
        let order = step.and_then(|step| Some((step, &self.cleared.plan().steps.get(step)?.order)));
        let entry = entry::outcome(entry, order, outcome, note);
        if let Err(why) = self.desk.write_brake(entry).await {
            self.desk
                .say(Clean::from(format!(
                    "the outcome could not be written down: {why}"
                )))
                .await;
        }
    }

    async fn close(&self, outcome: ActionOutcome, note: Clean) {
        let step = (!self.is_long()).then_some(0);
        self.write_outcome(step, outcome, note.clone()).await;
        self.tell(PlanProgress::Ended { outcome, note }).await;
        self.desk.finished(&self.id);
    }
}

/// The error in the words of a sheet.
fn explain(error: &BackendError) -> Clean {
    Clean::from(format!("{error}; {}", error.kind.remedy()))
}
