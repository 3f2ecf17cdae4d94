//! Moving the mark: rows, panes, stages, releases, attempts.

use crate::{
    domain::Timestamp,
    engine::world::World,
    ui::{
        screen::{self, Screen},
        sign::Sign,
        state::UiState,
        update::look::{log_height, scene},
    },
};

pub(super) fn move_by(state: &mut UiState, by: i64, world: &World, now: Timestamp) {
    let height = log_height(state);
    if let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        log.scroll(by, height);
        return;
    }
    if state.view.screen == Screen::Fleet {
        let queue = (state.pane() == 1).then(|| state.fleet.queue_lanes());
        let order = queue.as_ref().unwrap_or(&state.fleet.order);
        let next = stepped(order, state.view.lane.as_ref(), by);
        if let Some(lane) = next.cloned() {
            state.view.lane = Some(lane);
            state.fleet.chosen = true;
        }
        return;
    }
    let ids = screen::ids(&scene(state, world, now), state.pane());
    let mark = state.mark().map(str::to_owned);
    if let Some(next) = stepped(&ids, mark.as_ref(), by) {
        set_mark(state, next.clone());
    }
}

/// The item `by` places from the marked one; the first if none is marked.
pub(super) fn stepped<'a, T: PartialEq>(
    items: &'a [T],
    marked: Option<&T>,
    by: i64,
) -> Option<&'a T> {
    let at = marked.and_then(|marked| items.iter().position(|item| item == marked));
    let Some(at) = at else {
        return if matches!(by, -1 | i64::MAX) {
            items.last()
        } else {
            items.first()
        };
    };
    let last = items.len().saturating_sub(1);
    let target = i64::try_from(at).unwrap_or(0).saturating_add(by).max(0);
    items.get(usize::try_from(target).unwrap_or(0).min(last))
}

pub(super) fn move_to_end(state: &mut UiState, end: bool, world: &World, now: Timestamp) {
    if let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        log.jump(end);
        return;
    }
    let by = if end { i64::MAX } else { i64::MIN / 2 };
    move_by(state, by, world, now);
}

pub(super) fn set_mark(state: &mut UiState, id: String) {
    let pane = state.pane();
    state.marks.insert((state.view.screen, pane), id);
}

pub(super) fn sideways(state: &mut UiState, right: bool, world: &World, now: Timestamp) {
    if let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        log.left = if right {
            log.left + 16
        } else {
            log.left.saturating_sub(16)
        };
        return;
    }
    let pane = screen::SIDEWAYS;
    let ids = screen::ids(&scene(state, world, now), pane);
    let mark = state.mark_of(pane).map(str::to_owned);
    let by = if right { 1 } else { -1 };
    let next = match &mark {
        Some(_) => stepped(&ids, mark.as_ref(), by).cloned(),
        None => screen::here(&scene(state, world, now))
            .and_then(|here| stepped(&ids, Some(&here), by).cloned())
            .or_else(|| ids.first().cloned()),
    };
    if let Some(next) = next {
        state.marks.insert((state.view.screen, pane), next);
    }
}

pub(super) fn turn_pane(state: &mut UiState, forward: bool, world: &World, now: Timestamp) {
    let panes = screen::panes(&scene(state, world, now));
    let at = state.pane();
    let next = if forward { at + 1 } else { at + panes - 1 } % panes.max(1);
    state.panes.insert(state.view.screen, next);
}

pub(super) fn turn_release(state: &mut UiState, forward: bool) {
    let by = if forward { 1 } else { -1 };
    let Some(next) = stepped(&state.fleet.order, state.view.lane.as_ref(), by).cloned() else {
        return;
    };
    if Some(&next) == state.view.lane.as_ref() {
        return;
    }
    state.view.lane = Some(next);
    state.fleet.chosen = true;
    state.attempt = None;
    let screen = state.view.screen;
    state.marks.retain(|(of, _), _| *of != screen);
}

pub(super) fn turn_attempt(state: &mut UiState, forward: bool, world: &World, now: Timestamp) {
    let attempts = screen::run::attempts(&scene(state, world, now));
    let Some(newest) = attempts.last().copied() else {
        return;
    };
    let by = if forward { 1 } else { -1 };
    let shown = state.attempt.unwrap_or(newest);
    let next = stepped(&attempts, Some(&shown), by)
        .copied()
        .unwrap_or(newest);
    state.attempt = (next != newest).then_some(next);
    state.say(Sign::Off, format!("attempt {next} of {newest}"), now);
}
