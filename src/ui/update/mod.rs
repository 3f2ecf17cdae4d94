//! From what comes in to what shall be done. No clock, no terminal, no task:
//! the same events at the same instants give the same effects.

mod act;
mod keys;
mod look;
mod overlay;

use chrono::TimeDelta;

use crate::{
    domain::{Timestamp, id::JobId},
    engine::world::{StepState, World},
    ui::{
        log::view::Arrival,
        screen::{Screen, fleet},
        sign::Sign,
        state::{Effect, Event, LedgerView, LogNews, Overlay, UiState},
    },
};

pub use crate::ui::update::act::{HOLD_SILENCE, again};

/// A window without the focus may still be watched: only after this long do
/// backends hear that nobody looks.
const LEFT_ALONE: TimeDelta = TimeDelta::minutes(10);

/// A mark that moved by itself must have rested this long before a key acts on it.
const MARK_RESTS: TimeDelta = TimeDelta::seconds(1);

/// Takes an event; returns what shall be done outside.
pub fn update(state: &mut UiState, event: Event, world: &World, now: Timestamp) -> Vec<Effect> {
    let mut effects = Vec::new();
    let out = &mut effects;
    // A hold whose silence is over goes out before the next key is looked at.
    act::send_hold(state, now, out);
    match event {
        Event::Key(key) => keys::key(state, &key, world, now, out),
        Event::Paste(text) => keys::paste(state, &text, now),
        Event::Resize(width, height) => {
            state.size = (width, height);
            if !state.has_sheet_room() && state.sheet().is_some() {
                state.overlay = None;
                state.say(
                    Sign::Warn,
                    "the window is too small for a sheet; nothing was sent",
                    now,
                );
            }
            // What was read was read in another window.
            if let Some(Overlay::Sheet(sheet)) = &mut state.overlay {
                sheet.reread();
            }
        }
        Event::Focus(gained) => keys::focus(state, gained, now, out),
        Event::Flushed => {
            if let Some(Overlay::Sheet(sheet)) = &mut state.overlay {
                sheet.flushed(now);
            }
        }
        Event::World | Event::Tick => {}
        Event::Log(job, news) => log(state, &job, news),
        Event::Previews(ticket, previews) => {
            if let Some(Overlay::Sheet(sheet)) = &mut state.overlay
                && sheet.ticket == ticket
            {
                sheet.previews = previews;
            }
        }
        Event::Submitted(ticket, result) => act::submitted(state, ticket, result, world, now, out),
        Event::Ledger(read) => {
            state.ledger = match read {
                Ok(book) => LedgerView {
                    records: book.records,
                    problems: book.problems,
                    trouble: None,
                    read: true,
                    as_of: written(world),
                },
                Err(trouble) => LedgerView {
                    trouble: Some(trouble),
                    read: true,
                    ..std::mem::take(&mut state.ledger)
                },
            };
        }
        Event::Said(sign, text) => state.say(sign, text.to_string(), now),
    }
    prepare(state, world, now, out);
    effects
}

/// Brings what is derived from the world up to date: the fleet's order, the
/// open sheet, the toast. Called after every event; cheap when nothing changed.
fn prepare(state: &mut UiState, world: &World, now: Timestamp, out: &mut Vec<Effect>) {
    act::follow_sheet(state, world, now, out);
    let gone = state
        .toast
        .as_ref()
        .and_then(|toast| Some(toast.at + toast.lasts()?))
        .is_some_and(|ends| ends <= now);
    if gone {
        state.toast = None;
    }
    let left = state.unfocused_at.is_some_and(|at| at + LEFT_ALONE <= now);
    if left && !state.away {
        state.away = true;
        out.push(Effect::Away(true));
    }
    // Whatever a plan does is written down first, so a plan that went on means
    // lines that are not shown yet.
    let written = written(world);
    if state.view.screen == Screen::Audit && state.ledger.read && state.ledger.as_of != written {
        state.ledger.as_of = written;
        out.push(Effect::ReadLedger);
    }
    let looking = look::looking(state, world);
    if looking != state.looking {
        state.looking.clone_from(&looking);
        out.push(Effect::Look(looking.0, looking.1));
    }
}

/// How far all plans have come, as one number that only grows.
fn written(world: &World) -> usize {
    let plans = world.plans.values();
    plans
        .map(|plan| {
            let steps = plan.steps.iter().map(|step| match step.state {
                StepState::Waiting => 0,
                StepState::Sending { .. } => 1,
                StepState::Answered { .. } => 2 + usize::from(step.nudged_at.is_some()),
                StepState::Seen { .. } | StepState::PassedOver => 4,
            });
            1 + steps.sum::<usize>() + usize::from(plan.ended.is_some())
        })
        .sum()
}

/// Brings the fleet's order up to date. Costs a sort when the world is another
/// one, so it is done before drawing and before keys, not for every event.
pub fn order_fleet(state: &mut UiState, world: &World, now: Timestamp) {
    let shown = state.still.as_deref().unwrap_or(world);
    fleet::refresh(&mut state.fleet, shown);
    if state.view.screen != Screen::Fleet {
        return;
    }
    let lane = &state.view.lane;
    let shown = lane.as_ref().is_some_and(|lane| state.fleet.contains(lane));
    let next = match (shown, state.fleet.chosen) {
        (true, true) => return,
        // A row that left the filter takes the mark with it: no key may act on
        // what cannot be seen, and none on a row that slid under the cursor.
        (false, true) if lane.is_some() => None,
        // Until somebody has chosen, what is worst is marked, also while the
        // world is still being told.
        (_, _) => state.fleet.first_choice(),
    };
    if next != state.view.lane {
        state.view.lane = next;
        state.marked_at = Some(now);
    }
}

/// Whether the mark has moved by itself so lately that nobody can have meant a
/// key for where it is now.
pub(crate) fn mark_is_fresh(state: &UiState, now: Timestamp) -> bool {
    !state.fleet.chosen && state.marked_at.is_some_and(|at| now < at + MARK_RESTS)
}

/// The next instant at which something happens by itself.
pub fn wakes_at(state: &UiState, now: Timestamp) -> Option<Timestamp> {
    let hold = state.hold.as_ref().map(|hold| hold.since + HOLD_SILENCE);
    let sheet = state
        .sheet()
        .and_then(|sheet| sheet.wakes_at(now, state.rules));
    let toast = state
        .toast
        .as_ref()
        .and_then(|toast| Some(toast.at + toast.lasts()?));
    [hold, sheet, toast].into_iter().flatten().min()
}

fn log(state: &mut UiState, job: &JobId, news: LogNews) {
    let Some(log) = state.log.as_mut().filter(|log| log.job == *job) else {
        return;
    };
    match news {
        LogNews::Chunk(chunk) => log.push(&chunk),
        LogNews::End if matches!(log.arrival, Arrival::Failed(_)) => {}
        LogNews::End => log.arrival = Arrival::Whole,
        LogNews::Failed(why) => log.arrival = Arrival::Failed(why),
    }
}
