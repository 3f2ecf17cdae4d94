//! The way through the screens: in, back, out.

use crate::{
    domain::Timestamp,
    engine::world::World,
    ui::{
        command::Command,
        screen::{self, Screen},
        sign::Sign,
        state::{Effect, Overlay, Page, UiState, View},
        update::look::{browse, logs::open_log, run, scene},
    },
};

/// How far back the way is remembered.
const TRAIL: usize = 50;

/// Opens what is marked.
pub(super) fn open(state: &mut UiState, world: &World, now: Timestamp, out: &mut Vec<Effect>) {
    match state.view.screen {
        Screen::Fleet => show(state, Screen::Release, out),
        Screen::Release => {
            let target = screen::release::leads_to(&scene(state, world, now));
            show(state, target, out);
        }
        Screen::Run => open_log(state, world, now, out),
        Screen::Gates => browse(state, world, now),
        Screen::Rollout | Screen::Audit | Screen::Messages => {
            state.overlay = Some(Overlay::Page(Page::Raw, 0));
        }
        Screen::Help => {
            let marked = screen::help::marked(&scene(state, world, now));
            let Some(binding) = marked else { return };
            if binding.command.acts() {
                state.say(
                    Sign::Off,
                    "Enter never acts: press the key on its own screen",
                    now,
                );
                return;
            }
            if matches!(binding.command, Command::Open | Command::Help) {
                return;
            }
            let command = binding.command;
            close(state, out);
            run(state, command, None, world, now, out);
        }
    }
}

/// Esc: close, then clear the filter, then go back.
pub(super) fn close(state: &mut UiState, out: &mut Vec<Effect>) {
    if state
        .toast
        .as_ref()
        .is_some_and(|toast| toast.lasts().is_none())
    {
        state.toast = None;
        return;
    }
    if state.log.is_some() && state.view.screen == Screen::Run {
        close_log(state, out);
        return;
    }
    if state.zoomed {
        state.zoomed = false;
        return;
    }
    if state.view.screen == Screen::Fleet {
        if !state.coached {
            state.coached = true;
        } else if !state.fleet.filter.is_empty() {
            state.fleet.filter.clear();
        } else {
            state.still = None;
        }
        return;
    }
    step_back(state, out);
}

pub(in crate::ui::update) fn close_log(state: &mut UiState, out: &mut Vec<Effect>) {
    if state.log.take().is_some() {
        out.push(Effect::CloseLog);
    }
}

/// `q`: back; at the fleet, quit.
pub(super) fn back(state: &mut UiState, world: &World, out: &mut Vec<Effect>) {
    if state.log.is_some() && state.view.screen == Screen::Run {
        close_log(state, out);
    } else if state.view.screen == Screen::Fleet {
        quit(state, world, out);
    } else {
        step_back(state, out);
    }
}

pub(super) fn quit(state: &mut UiState, world: &World, out: &mut Vec<Effect>) {
    let acting = world.plans.values().any(|plan| plan.ended.is_none());
    if acting || !state.submissions.is_empty() {
        state.overlay = Some(Overlay::Leaving);
    } else {
        out.push(Effect::Quit);
    }
}

pub(super) fn step_back(state: &mut UiState, out: &mut Vec<Effect>) {
    let to = state.trail.pop().unwrap_or(View {
        screen: Screen::Fleet,
        lane: state.view.lane.clone(),
    });
    let before = std::mem::replace(&mut state.view, to);
    arrive(state, before, out);
}

pub(super) fn show(state: &mut UiState, screen: Screen, out: &mut Vec<Effect>) {
    if screen == state.view.screen {
        return;
    }
    let view = View {
        screen,
        lane: state.view.lane.clone(),
    };
    if screen == Screen::Fleet {
        state.trail.clear();
        let before = std::mem::replace(&mut state.view, view);
        arrive(state, before, out);
    } else {
        go(state, view, out);
    }
}

pub(super) fn go(state: &mut UiState, view: View, out: &mut Vec<Effect>) {
    let before = std::mem::replace(&mut state.view, view);
    if state.trail.len() >= TRAIL {
        state.trail.remove(0);
    }
    state.trail.push(before.clone());
    arrive(state, before, out);
}

pub(super) fn arrive(state: &mut UiState, before: View, out: &mut Vec<Effect>) {
    state.fleet.chosen |= state.view.lane.is_some();
    state.zoomed = false;
    if state.view.screen != Screen::Run || before.lane != state.view.lane {
        close_log(state, out);
        state.attempt = None;
    }
    if state.view.screen == Screen::Audit {
        out.push(Effect::ReadLedger);
    }
    state.last = Some(before);
}
