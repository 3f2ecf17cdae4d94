//! Input comes first.

use std::{thread, time::Duration};

use tokio::time::Instant;

use super::terminal::{Served, Terminal};

/// What the fleet says it is sorted by; every `s` changes it, the world never does.
fn sorted_by(screen: &str) -> Option<String> {
    let after = screen.split("· by ").nth(1)?;
    Some(after.split_whitespace().next()?.to_owned())
}

#[test]
fn a_key_is_answered_at_once_and_not_with_the_next_tick() {
    let served = Served::start("canary", "1");
    let mut terminal = Terminal::cockpit(&served.config());
    terminal.wait_for("· by ");
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
    // Looked at every 25 ms on a machine that does other things as well; a key
    // that waits for the tick takes half a second on average.
    assert!(
        took[took.len() / 2] < Duration::from_millis(250),
        "{took:?}"
    );
}
