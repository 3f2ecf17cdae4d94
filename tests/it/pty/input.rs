//! Input comes first.

use std::{thread, time::Duration};

use tokio::time::Instant;

use super::terminal::{Served, Terminal};

/// The row the mark stands in.
fn marked(screen: &str) -> Option<usize> {
    screen
        .lines()
        .skip(8)
        .position(|line| line.starts_with('▶'))
}

#[test]
fn a_key_is_answered_at_once_and_not_with_the_next_tick() {
    let served = Served::start("fleet", "1");
    let mut terminal = Terminal::cockpit(&served.config());
    terminal.wait_for("13 releases");
    terminal.press("G");
    terminal.wait_until("a mark", |screen| marked(screen).is_some());
    let mut took: Vec<Duration> = (0..15)
        .map(|turn| {
            let before = marked(&terminal.screen());
            // Away from the second's tick, wherever that is.
            thread::sleep(Duration::from_millis(130));
            let pressed = Instant::now();
            terminal.press(if turn % 2 == 0 { "k" } else { "j" });
            terminal.wait_until("the mark moves", |screen| marked(screen) != before);
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
