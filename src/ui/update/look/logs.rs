//! Logs: opening, following, wrapping, searching; and what the same keys do
//! where there is no log.

use crate::{
    domain::Timestamp,
    engine::world::World,
    ui::{
        log::view::LogView,
        screen::{self, Screen},
        sign::Sign,
        state::{Effect, UiState, WINDOWS},
        text,
        update::look::{log_height, moving::turn_release, scene, way::show},
    },
};

pub(super) fn matching(state: &mut UiState, forward: bool, now: Timestamp) {
    let height = log_height(state);
    let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    else {
        turn_release(state, forward);
        return;
    };
    if let Err(why) = log.search(forward, height) {
        state.say(Sign::Off, why, now);
    }
}

pub(super) fn open_log(state: &mut UiState, world: &World, now: Timestamp, out: &mut Vec<Effect>) {
    if state.view.screen != Screen::Run {
        show(state, Screen::Run, out);
    }
    let Some((job, name)) = screen::run::job_for_log(&scene(state, world, now)) else {
        state.say(Sign::Off, "no job is marked whose log could be shown", now);
        return;
    };
    if state.log.as_ref().is_some_and(|log| log.job == job) {
        return;
    }
    state.log = Some(Box::new(LogView::new(job.clone(), name)));
    out.push(Effect::OpenLog(job));
}

pub(super) fn follow(state: &mut UiState, world: &World, now: Timestamp) {
    if let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        let following = !log.follow;
        log.jump(following);
        if !following {
            log.top = u64::MAX;
        }
        return;
    }
    if state.still.take().is_none() {
        state.still = Some(Box::new(world.clone()));
        state.say(
            Sign::Held,
            "the display stands still; f lets it go, acting lets it go too",
            now,
        );
    } else {
        state.say(Sign::Good, "the display follows again", now);
    }
}

pub(super) fn wrap(state: &mut UiState, now: Timestamp) {
    if let Some(log) = state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        log.wrap = !log.wrap;
        log.left = 0;
        return;
    }
    let at = WINDOWS
        .iter()
        .position(|window| *window == state.window.as_secs())
        .unwrap_or(0);
    let next = WINDOWS
        .get((at + 1) % WINDOWS.len())
        .copied()
        .unwrap_or(WINDOWS[0]);
    state.window = std::time::Duration::from_secs(next);
    state.say(
        Sign::Off,
        format!("charts show the last {}", text::age(state.window)),
        now,
    );
}

pub(super) fn stamps(state: &mut UiState, now: Timestamp) {
    match state
        .log
        .as_mut()
        .filter(|_| state.view.screen == Screen::Run)
    {
        Some(log) => log.stamps = !log.stamps,
        None => state.say(Sign::Off, "time stamps are for logs: `l` opens one", now),
    }
}
