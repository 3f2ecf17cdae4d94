//! Input comes first.

use std::{thread, time::Duration};

use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use super::terminal::{Served, Terminal};
use crate::support::world;

/// What the fleet says it is sorted by; every `s` changes it, the world never does.
fn sorted_by(screen: &str) -> Option<String> {
    let after = screen.split("· by ").nth(1)?;
    Some(after.split_whitespace().next()?.to_owned())
}

/// How long a key takes to be answered, the middle of several tries.
#[track_caller]
fn answered_in(terminal: &mut Terminal) -> Duration {
    let mut took: Vec<Duration> = (0..15)
        .map(|_| {
            let before = sorted_by(&terminal.screen());
            // Away from the second's tick, wherever that is.
            thread::sleep(Duration::from_millis(130));
            let pressed = Instant::now();
            terminal.press("s");
            terminal.wait_until("another order", |screen| sorted_by(screen) != before);
            pressed.elapsed()
        })
        .collect();
    took.sort_unstable();
    took[took.len() / 2]
}

/// Looked at every 25 ms on a machine that does other things as well; a key
/// that waits for the tick takes half a second on average, one that waits for a
/// hung backend the ten seconds of its limit.
const AT_ONCE: Duration = Duration::from_millis(250);

#[test]
fn a_key_is_answered_at_once_and_not_with_the_next_tick() {
    let served = Served::start("canary", "1");
    let mut terminal = Terminal::cockpit(&served.config());
    terminal.wait_for("· by ");
    let took = answered_in(&mut terminal);
    assert!(took < AT_ONCE, "{took:?}");
}

#[test]
fn a_key_is_answered_at_once_while_every_backend_hangs() {
    let served = Served::start("canary", "1");
    let mut before = Terminal::cockpit(&served.config());
    before.wait_for("waits for a person 2");
    served.freeze(true);
    // Every backend is asked, and none will answer.
    before.press("u");
    let took = answered_in(&mut before);
    assert!(took < AT_ONCE, "{took:?}");
    // What was known stays, and every screen opens on it.
    for (key, shown) in [
        ("2", "made of"),
        ("4", "decision"),
        ("5", "traffic"),
        ("6", "ledger"),
    ] {
        let pressed = Instant::now();
        before.press(key);
        before.wait_for(shown);
        assert!(pressed.elapsed() < Duration::from_secs(5), "{key}");
    }
    // One that is opened on them knows nothing yet, and still listens.
    let mut after = Terminal::cockpit(&served.config());
    after.wait_for("· by ");
    let took = answered_in(&mut after);
    assert!(took < AT_ONCE, "{took:?}");
    for terminal in [&mut before, &mut after] {
        terminal.write(b"\x1c");
        assert_eq!(terminal.exit_code(), 0);
    }
}

#[test]
fn the_first_change_after_quiet_is_drawn_at_once_and_not_with_the_next_tick() {
    let served = Served::start("canary", "1");
    let mut terminal = Terminal::cockpit(&served.config());
    terminal.wait_for("waits for a person 2");
    terminal.press("/env:prod-eu\r");
    terminal.wait_for("1 of 2 releases shown");
    let mut took: Vec<Duration> = (0..9)
        .map(|turn| {
            let hold = turn % 2 == 0;
            thread::sleep(Duration::from_millis(130));
            let changed = Instant::now();
            world::tell(
                served.dir.path(),
                "kubernetes",
                Method::PATCH,
                "/apis/argoproj.io/v1alpha1/namespaces/recsys-eu/rollouts/ranker",
                Some(&json!({ "spec": { "paused": hold } })),
            );
            terminal.wait_until("the change on screen", |screen| {
                screen.contains("held at 30 %") == hold
            });
            changed.elapsed()
        })
        .collect();
    took.sort_unstable();
    // A frame that waits for the tick comes half a second later on average.
    assert!(
        took[took.len() / 2] < Duration::from_millis(400),
        "{took:?}"
    );
}
