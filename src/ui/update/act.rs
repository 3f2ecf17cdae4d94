//! Acting keys: from a key to a sheet, from a sheet to a submission.

use chrono::TimeDelta;
use ratatui::layout::Rect;

use crate::{
    domain::{Timestamp, id::PlanId, text::Clean},
    engine::{
        clear::{Consent, Mode, Refusal},
        plan::{Ask, Verb},
        propose::propose,
        world::{LaneId, World},
    },
    ui::{
        command::Command,
        keymap::Key,
        refusal::{objection, with_keys},
        screen::{Scene, Screen},
        sheet::{Reply, Sheet, draw},
        sign::Sign,
        state::{Effect, Overlay, PendingHold, Submission, UiState},
        update::mark_is_fresh,
    },
};

/// `H` is sent when no other key came for this long.
pub const HOLD_SILENCE: TimeDelta = TimeDelta::milliseconds(200);

/// How a command was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// By its own key.
    Key,
    /// By its name and Enter, which never acts alone: also a hold gets a sheet.
    Name,
}

/// Runs a command that acts.
pub(super) fn run(
    state: &mut UiState,
    command: Command,
    (via, argument): (Via, Option<String>),
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    if let Some(why) = state.accidents.acting_off(now) {
        state.say(
            Sign::Warn,
            format!("keys do not act for a moment: {why}"),
            now,
        );
        return;
    }
    if matches!(state.view.screen, Screen::Help | Screen::Messages) {
        state.say(
            Sign::Off,
            "keys act on the screens of a release: go back first",
            now,
        );
        return;
    }
    if mark_is_fresh(state, now) {
        state.say(
            Sign::Off,
            "the mark has only just moved there: look again, then press again",
            now,
        );
        return;
    }
    state.fleet.chosen = true;
    // Acting ends standing still: what is agreed to must be what is.
    state.still = None;
    let Some(lane) = state
        .view
        .lane
        .clone()
        .filter(|lane| world.lanes.contains_key(lane))
    else {
        state.say(Sign::Off, "no release is marked: choose one first", now);
        return;
    };
    let verb = match command {
        Command::Act(verb) => verb,
        _ => again(world, &lane),
    };
    let mut ask = Ask::new(verb, lane);
    let argument = argument.map(|text| Clean::name(&text));
    match verb {
        Verb::RollBack => ask.to = argument,
        Verb::Approve | Verb::Reject => ask.environment = argument,
        Verb::Dispatch => ask.dispatch = argument.map(|reference| (reference, Vec::new())),
        _ => {}
    }
    if verb == Verb::Hold && via == Via::Key {
        begin_hold(state, ask, world, now);
    } else {
        open_sheet(state, &ask, world, now, out);
    }
}

/// What `T` means here: an aborted rollout is retried, else the run is rerun.
pub fn again(world: &World, lane: &LaneId) -> Verb {
    let rollout = world
        .lanes
        .get(lane)
        .and_then(|lane| world.rollouts.get(&lane.target));
    if rollout.is_some_and(|rollout| rollout.aborted.is_some()) {
        Verb::Retry
    } else {
        Verb::RerunFailed
    }
}

/// The mode for a lane.
fn mode_of(state: &UiState, world: &World, lane: &LaneId, now: Timestamp) -> Mode {
    let critical = world.lanes.get(lane).is_some_and(|lane| lane.critical);
    state.modes.of(critical, now)
}

fn refuse(state: &mut UiState, verb: Verb, refusal: &Refusal, now: Timestamp) {
    let key = verb
        .key()
        .map_or_else(|| format!(":{}", verb.word()), |key| key.to_string());
    let refusal = with_keys(&refusal.to_string());
    let text = format!("{key} {}: {refusal}", verb.word());
    state.say(Sign::Warn, text, now);
}

fn begin_hold(state: &mut UiState, mut ask: Ask, world: &World, now: Timestamp) {
    ask.reason = Some("held from the keyboard".into());
    let mode = mode_of(state, world, &ask.lane, now);
    let plan = propose(world, &ask, now)
        .and_then(|plan| objection(world, &plan, mode, now).map_or(Ok(plan), Err));
    match plan {
        Ok(plan) => {
            let ticket = state.ticket();
            state.toast = None;
            state.hold = Some(Box::new(PendingHold {
                ticket,
                plan,
                since: now,
            }));
        }
        Err(refusal) => refuse(state, Verb::Hold, &refusal, now),
    }
}

/// Sends a hold whose silence is over.
pub(super) fn send_hold(state: &mut UiState, now: Timestamp, out: &mut Vec<Effect>) {
    let due = state
        .hold
        .as_ref()
        .is_some_and(|hold| hold.since + HOLD_SILENCE <= now);
    if !due {
        return;
    }
    let Some(hold) = state.hold.take() else {
        return;
    };
    let (ticket, plan) = (hold.ticket, hold.plan);
    state.say(
        Sign::Running,
        format!("hold {}: sent; C undoes it", plan.release_label),
        now,
    );
    state.submissions.push(Submission {
        ticket,
        ask: plan.ask.clone(),
    });
    // A hold is a brake: whether it may pass was asked when the key came, and
    // clearing asks again.
    out.push(Effect::Submit {
        ticket,
        plan: Box::new(plan),
        mode: Mode::Brake,
        consent: Consent::default(),
    });
}

fn open_sheet(
    state: &mut UiState,
    ask: &Ask,
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    if !state.has_sheet_room() {
        let text = "this window is too small to show what would be sent: enlarge it to act";
        state.say(Sign::Warn, text, now);
        return;
    }
    let mode = mode_of(state, world, &ask.lane, now);
    let ticket = state.ticket();
    match Sheet::open(ticket, ask, world, mode, now, &mut state.letters) {
        Ok(sheet) => {
            out.push(previews(&sheet));
            state.toast = None;
            state.overlay = Some(Overlay::Sheet(Box::new(sheet)));
        }
        Err(refusal) => refuse(state, ask.verb, &refusal, now),
    }
}

fn previews(sheet: &Sheet) -> Effect {
    let orders = sheet
        .plan
        .steps
        .iter()
        .map(|step| step.order.clone())
        .collect();
    Effect::Preview(sheet.ticket, orders)
}

/// Compares the open sheet with the world. Returns whether it asks anew.
pub(super) fn follow_sheet(
    state: &mut UiState,
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) -> bool {
    let Some(lane) = state.sheet().map(|sheet| sheet.plan.ask.lane.clone()) else {
        return false;
    };
    let mode = mode_of(state, world, &lane, now);
    let rules = state.rules;
    let Some(Overlay::Sheet(sheet)) = &mut state.overlay else {
        return false;
    };
    let letter = sheet.letter;
    if sheet.follow(world, mode, now, &mut state.letters, rules) {
        out.push(previews(sheet));
    }
    let anew = sheet.letter != letter;
    fit_sheet(state, world, now);
    anew
}

/// Lays the open sheet out, so that it knows what of it the window can show.
fn fit_sheet(state: &mut UiState, world: &World, now: Timestamp) {
    let Some(sheet) = state.sheet() else {
        return;
    };
    let area = Rect::new(0, 0, state.size.0, state.size.1);
    let (parts, pages) = draw::measure(area, sheet, &Scene::new(state, world, now));
    if let Some(Overlay::Sheet(sheet)) = &mut state.overlay {
        sheet.fit(parts, pages);
    }
}

/// Takes a key of the open sheet.
pub(super) fn sheet_key(
    state: &mut UiState,
    key: Key,
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let rules = state.rules;
    let Some(Overlay::Sheet(sheet)) = &mut state.overlay else {
        return;
    };
    match sheet.key(key, now, &mut state.letters, rules) {
        Reply::Stay => {}
        Reply::Close(why) => {
            let verb = sheet.plan.ask.verb.word();
            let text = why.map_or_else(
                || format!("{verb}: closed, nothing was sent"),
                str::to_owned,
            );
            state.overlay = None;
            state.say(Sign::Off, text, now);
        }
        Reply::Send(consent) => send(state, consent, world, now, out),
        Reply::Reasoned => {
            sheet.plan.ask.reason = sheet.reason_text();
            follow_sheet(state, world, now, out);
        }
        Reply::Retarget => {
            if let Some(ask) = sheet.next_target() {
                retarget(state, &ask, world, now, out);
            } else {
                state.say(Sign::Off, "t: there is no other target", now);
            }
        }
        Reply::Switch(verb) => {
            let ask = Ask {
                verb,
                ..sheet.plan.ask.clone()
            };
            retarget(state, &ask, world, now, out);
        }
    }
}

/// Opens the sheet anew for another target; the reason stays.
fn retarget(state: &mut UiState, ask: &Ask, world: &World, now: Timestamp, out: &mut Vec<Effect>) {
    let chosen = state.sheet().map(|sheet| {
        (
            sheet.reason,
            sheet.typed_reason.clone(),
            sheet.targets.clone(),
        )
    });
    open_sheet(state, ask, world, now, out);
    if let (Some((reason, typed, targets)), Some(Overlay::Sheet(sheet))) =
        (chosen, &mut state.overlay)
    {
        sheet.reason = reason;
        sheet.typed_reason = typed;
        sheet.targets = targets;
    }
}

fn send(
    state: &mut UiState,
    consent: Consent,
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let Some(Overlay::Sheet(sheet)) = state.overlay.take() else {
        return;
    };
    let mode = mode_of(state, world, &sheet.plan.ask.lane, now);
    let mut plan = sheet.plan.clone();
    plan.ask.reason = sheet.reason_text().or(plan.ask.reason);
    state.say(
        Sign::Running,
        format!("{} {}: sent", plan.ask.verb.word(), plan.release_label),
        now,
    );
    state.submissions.push(Submission {
        ticket: sheet.ticket,
        ask: plan.ask.clone(),
    });
    out.push(Effect::Submit {
        ticket: sheet.ticket,
        plan: Box::new(plan),
        mode,
        consent,
    });
}

/// Takes the answer to a submission.
pub(super) fn submitted(
    state: &mut UiState,
    ticket: u64,
    result: Result<PlanId, Refusal>,
    world: &World,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let known = state
        .submissions
        .iter()
        .position(|submission| submission.ticket == ticket);
    let Some(submission) = known.map(|index| state.submissions.remove(index)) else {
        return;
    };
    let verb = submission.ask.verb;
    match result {
        // From here on the plan is part of the world and shown from there.
        Ok(_) => {
            if state
                .toast
                .as_ref()
                .is_some_and(|toast| toast.sign == Sign::Running)
            {
                state.toast = None;
            }
        }
        Err(Refusal::Moved(what)) => {
            if state.overlay.is_none() && verb != Verb::Hold {
                open_sheet(state, &submission.ask, world, now, out);
            }
            if let Some(Overlay::Sheet(sheet)) = &mut state.overlay {
                sheet.moved = vec![what.clone()];
            }
            state.say(
                Sign::Warn,
                format!("{}: nothing was sent: {what}", verb.word()),
                now,
            );
        }
        Err(refusal) => {
            let text = format!("{}: nothing was sent: {refusal}", verb.word());
            state.say(Sign::Bad, text, now);
        }
    }
}
