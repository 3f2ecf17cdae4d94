//! Intents whose writer died: settled by looking, never by sending again.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use crate::{
    app::desk::Desk,
    domain::{observation::ActionOutcome, text::Clean},
    engine::{
        verify::{self, Effect},
        world::World,
    },
    store::{Actor, Entry, EntryKind, Record},
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
    for record in unsettled {
        one(&desk, &record).await;
    }
}

async fn one(desk: &Desk, record: &Record) {
    let (outcome, note) = match &record.order {
        Some(order) => {
            let since = record.at.unwrap_or_else(|| desk.now());
            let mut worlds = desk.worlds();
            // At the start nothing is known yet, which is no sign that it is gone.
            let shows = |world: &Arc<World>| match verify::effect(world, order, since, None) {
                Effect::Seen | Effect::TakenBack(_) => true,
                Effect::Moved(_) => verify::knows(world, order),
                Effect::NotYet => false,
            };
            let deadline = Instant::now() + PATIENCE;
            let waited = timeout_at(deadline, worlds.wait_for(shows))
                .await
                .map(|world| world.is_ok());
            if waited == Ok(false) {
                return;
            }
            let seen = verify::effect(&desk.world(), order, since, None);
            match seen {
                Effect::Seen => (ActionOutcome::Confirmed, "the effect is there".to_owned()),
                Effect::NotYet => (ActionOutcome::Failed, "the effect is not there".to_owned()),
                Effect::Moved(why) => (ActionOutcome::Unknown, why.to_string()),
                Effect::TakenBack(why) => (ActionOutcome::Partial, why.to_string()),
            }
        }
        None => (
            ActionOutcome::Unknown,
            "what was ordered cannot be read by this version".to_owned(),
        ),
    };
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
    entry.order.clone_from(&record.order);
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
