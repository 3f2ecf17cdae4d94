//! Intents whose writer died: settled by looking, never by sending again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::{
    app::desk::Desk,
    domain::{action::Order, id::PlanId, observation::ActionOutcome, text::Clean},
    engine::{
        verify::{self, Effect},
        world::World,
    },
    store::{Actor, Entry, EntryKind, Record, RecordKind},
};

/// How long the effect of a dead writer's action is looked for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settles every intent whose writer is no longer alive. Those of living
/// writers are theirs and left alone.
pub(super) async fn settle(desk: Arc<Desk>) {
    let (ledger, now) = (Arc::clone(&desk.ledger), desk.now());
    let found = tokio::task::spawn_blocking(move || {
        let absorbed = ledger.absorb_spools(now);
        (absorbed, ledger.unsettled(now))
    })
    .await;
    let unsettled = match found {
        Ok((absorbed, Ok(unsettled))) => {
            if let Err(error) = absorbed {
                desk.say(Clean::from(format!(
                    "a spool could not be taken over: {error}"
                )))
                .await;
            }
            unsettled
        }
        Ok((_, Err(error))) => {
            desk.say(Clean::from(format!(
                "unfinished actions could not be looked up: {error}"
            )))
            .await;
            return;
        }
        Err(panic) => {
            desk.say(Clean::from(format!(
                "unfinished actions could not be looked up: {panic}"
            )))
            .await;
            return;
        }
    };
    let mut plans: BTreeMap<Option<PlanId>, Vec<Record>> = BTreeMap::new();
    for record in unsettled {
        plans.entry(record.plan.clone()).or_default().push(record);
    }
    join_all(plans.values().map(|open| plan(&desk, open))).await;
}

/// Settles what is open of one plan: its steps by looking, then all of it by
/// what its steps came to.
async fn plan(desk: &Desk, open: &[Record]) {
    for record in open.iter().filter(|record| record.step.is_some()) {
        let Some((outcome, note)) = look(desk, record).await else {
            return;
        };
        close(desk, record, outcome, &note).await;
    }
    for record in open.iter().filter(|record| record.step.is_none()) {
        match of_its_steps(desk, record).await {
            Ok((outcome, note)) => close(desk, record, outcome, &note).await,
            Err(why) => {
                desk.say(Clean::from(format!(
                    "what `{}` came to could not be looked up: {why}",
                    record.verb
                )))
                .await;
            }
        }
    }
}

/// What the world shows of one step. `None` when we are shutting down.
async fn look(desk: &Desk, record: &Record) -> Option<(ActionOutcome, String)> {
    let Some(order) = &record.order else {
        let why = "what was ordered cannot be read by this version";
        return Some((ActionOutcome::Unknown, why.to_owned()));
    };
    let since = record.at.unwrap_or_else(|| desk.now());
    // The writer was dead before we looked at anything, so whatever we see is
    // younger than its request.
    let effect = |world: &World| verify::effect(world, order, since, Some(0));
    // At the start nothing is known yet, which is no sign that it is gone.
    let shows = |world: &Arc<World>| match effect(world) {
        Effect::Seen | Effect::TakenBack(_) => true,
        Effect::Moved(_) => verify::knows(world, order),
        Effect::UnderWay | Effect::NotYet => false,
    };
    let mut worlds = desk.worlds();
    let deadline = Instant::now() + PATIENCE;
    let waited = timeout_at(deadline, worlds.wait_for(shows))
        .await
        .map(|world| world.is_ok());
    if waited == Ok(false) {
        return None;
    }
    let world = desk.world();
    let (outcome, note) = match effect(&world) {
        Effect::Seen => (ActionOutcome::Confirmed, "the effect is there".to_owned()),
        Effect::UnderWay => (
            ActionOutcome::Unknown,
            "it was taken up and is not through yet".to_owned(),
        ),
        Effect::TakenBack(why) => (ActionOutcome::Partial, why.to_string()),
        Effect::NotYet if verify::shows_absence(&world, order) => {
            (ActionOutcome::Failed, "the effect is not there".to_owned())
        }
        Effect::NotYet if verify::knows(&world, order) => (
            ActionOutcome::Unknown,
            "the effect is not to be seen, nor that it failed".to_owned(),
        ),
        Effect::NotYet => (ActionOutcome::Unknown, not_reached(order)),
        Effect::Moved(why) if verify::knows(&world, order) => {
            (ActionOutcome::Unknown, why.to_string())
        }
        Effect::Moved(_) => (ActionOutcome::Unknown, not_reached(order)),
    };
    Some((outcome, note))
}

fn not_reached(order: &Order) -> String {
    format!(
        "{} was not seen within {} s: its backend was not reached, or it is gone",
        order.subject(),
        PATIENCE.as_secs()
    )
}

/// What a plan of several steps came to, from the lines of its steps.
async fn of_its_steps(desk: &Desk, whole: &Record) -> Result<(ActionOutcome, String), Clean> {
    let ledger = Arc::clone(&desk.ledger);
    let lines = match tokio::task::spawn_blocking(move || ledger.reader().read_new()).await {
        Ok(lines) => lines.map_err(|error| Clean::from(error.to_string()))?,
        Err(panic) => return Err(Clean::from(panic.to_string())),
    };
    let steps = lines
        .iter()
        .filter(|line| line.plan == whole.plan && line.step.is_some());
    let (mut begun, mut ended) = (BTreeSet::new(), BTreeMap::new());
    for line in steps {
        if line.kind == RecordKind::Intent {
            begun.insert(line.step);
        }
        if let Some(outcome) = line.outcome {
            ended.insert(line.step, outcome);
        }
    }
    let count = |wanted| ended.values().filter(|outcome| **outcome == wanted).count();
    let done = count(ActionOutcome::Confirmed);
    let all = whole.steps.map_or(0, |steps| steps as usize);
    if begun.is_empty() {
        return Ok((ActionOutcome::Failed, "nothing of it was sent".to_owned()));
    }
    if 0 < all && all <= done {
        return Ok((ActionOutcome::Confirmed, "every step is done".to_owned()));
    }
    let outcome = if 0 < count(ActionOutcome::Unknown) {
        ActionOutcome::Unknown
    } else if done == 0 && count(ActionOutcome::Partial) == 0 {
        ActionOutcome::Failed
    } else {
        ActionOutcome::Partial
    };
    Ok((
        outcome,
        format!(
            "{done} of {all} steps done; `{}` again proposes what is left",
            whole.verb
        ),
    ))
}

async fn close(desk: &Desk, record: &Record, outcome: ActionOutcome, note: &str) {
    let mut entry = Entry::new(
        EntryKind::Outcome,
        record.verb.clone(),
        Actor {
            os_user: desk.person().os_user.clone(),
            backends: Vec::new(),
        },
    );
    entry.plan.clone_from(&record.plan);
    entry.step = record.step;
    entry.steps = record.steps;
    entry.brake = record.brake;
    if record.step.is_some() {
        entry.order.clone_from(&record.order);
    }
    entry.service.clone_from(&record.service);
    entry.environment.clone_from(&record.environment);
    entry.release.clone_from(&record.release);
    entry.outcome = Some(outcome);
    entry.note = Clean::from(format!(
        "settled by looking, the process that began it has ended: {note}"
    ));
    if let Err(why) = desk.write_brake(entry).await {
        desk.say(Clean::from(format!(
            "the outcome of `{}` could not be written down: {why}",
            record.verb
        )))
        .await;
        return;
    }
    desk.say(Clean::from(format!(
        "`{}` of {} was left unfinished: {} ({note})",
        record.verb,
        record.actor,
        outcome.word()
    )))
    .await;
}
