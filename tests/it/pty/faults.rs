//! The demo's bad day: every backend fails once in its own way and comes back.

use super::terminal::{Served, Terminal};

#[test]
fn each_backend_is_live_then_named_then_live_and_the_release_stays_on_screen() {
    let served = Served::start("faults", "12");
    // A hang lasts four seconds at this speed, the usual patience ten.
    let config = std::fs::read_to_string(served.config()).unwrap();
    let hasty = config.replace("[backend.prom]\n", "[backend.prom]\ntimeout = \"1s\"\n");
    assert_ne!(config, hasty);
    std::fs::write(served.config(), hasty).unwrap();
    let terminal = Terminal::cockpit(&served.config());
    terminal.wait_for("waits for a person 1");
    let head = |screen: &str| screen.lines().nth(1).unwrap_or_default().to_owned();
    let stands = |screen: &str| {
        screen.contains("recsys-ranker") && screen.contains("v42") && screen.contains("canary 5/7")
    };
    // The words of each trouble are those of `doctor` for its kind.
    for (backend, trouble) in [
        ("gh", "server error"),
        ("mlflow", "unreadable answer"),
        ("prom", "no answer in time"),
        ("prod", "not reached"),
    ] {
        let named = format!("{backend} ✗");
        terminal.wait_until(&named, |screen| {
            let head = head(screen);
            let after = head.split(&named).nth(1).unwrap_or_default();
            after
                .split('✓')
                .next()
                .unwrap_or_default()
                .contains(trouble)
        });
        assert!(stands(&terminal.screen()), "{}", terminal.screen());
        let live = format!("{backend} ✓");
        terminal.wait_until(&live, |screen| head(screen).contains(&live));
        assert!(stands(&terminal.screen()), "{}", terminal.screen());
    }
}
