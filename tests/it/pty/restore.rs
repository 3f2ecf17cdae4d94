//! However the cockpit ends, the terminal is as it was.

use rustix::process::Signal;

use super::terminal::{Served, Terminal, until};

fn cockpit(served: &Served) -> Terminal {
    let terminal = Terminal::cockpit(&served.config());
    terminal.wait_for("waits for a person");
    assert!(terminal.with_screen(vt100::Screen::alternate_screen));
    assert!(terminal.with_screen(vt100::Screen::bracketed_paste));
    assert!(terminal.is_raw());
    terminal
}

#[track_caller]
fn is_given_back(terminal: &Terminal) {
    until("the terminal is given back", || {
        terminal
            .with_screen(|screen| {
                !screen.alternate_screen() && !screen.bracketed_paste() && !screen.hide_cursor()
            })
            .then_some(())
    });
    let raw = terminal.raw();
    let last = |needle: &[u8]| {
        raw.windows(needle.len())
            .rposition(|window| window == needle)
    };
    assert!(
        last(b"\x1b[?1004l") > last(b"\x1b[?1004h"),
        "focus reports stay on"
    );
    assert!(!terminal.is_raw(), "still raw");
}

#[test]
fn after_q() {
    let served = Served::start("canary", "1");
    let mut terminal = cockpit(&served);
    terminal.press("q");
    assert_eq!(terminal.exit_code(), 0);
    is_given_back(&terminal);
}

#[test]
fn after_signals_with_their_own_exit_codes() {
    let served = Served::start("canary", "1");
    for (signal, code) in [
        (Signal::TERM, 143),
        (Signal::HUP, 129),
        (Signal::INT, 130),
        (Signal::QUIT, 131),
    ] {
        let mut terminal = cockpit(&served);
        terminal.signal(signal);
        assert_eq!(terminal.exit_code(), code, "{signal:?}");
        is_given_back(&terminal);
    }
}

#[test]
fn while_suspended_and_back_again() {
    let served = Served::start("canary", "1");
    let mut terminal = cockpit(&served);
    terminal.write(b"\x1a");
    is_given_back(&terminal);
    terminal.signal(Signal::CONT);
    until("the cockpit is back", || {
        terminal
            .with_screen(vt100::Screen::alternate_screen)
            .then_some(())
    });
    terminal.wait_for("waits for a person");
    assert!(terminal.is_raw());
    terminal.press("2");
    terminal.wait_for("made of");
}

#[test]
fn a_stop_from_outside_is_like_one_from_the_keyboard() {
    let served = Served::start("canary", "1");
    let terminal = cockpit(&served);
    terminal.signal(Signal::TSTP);
    is_given_back(&terminal);
    terminal.signal(Signal::CONT);
    until("the cockpit is back", || {
        terminal
            .with_screen(vt100::Screen::alternate_screen)
            .then_some(())
    });
}

#[test]
fn crates_trap_5_a_terminal_that_is_gone_ends_the_cockpit() {
    let served = Served::start("canary", "1");
    // Not 134: crates_trap_6, ratatui's own drop would abort here.
    assert_eq!(cockpit(&served).hang_up(), 129);
}

#[test]
fn crates_trap_8_and_12_the_terminal_is_never_asked_anything() {
    let served = Served::start("canary", "1");
    let mut terminal = cockpit(&served);
    terminal.write(b"\x1a");
    is_given_back(&terminal);
    terminal.signal(Signal::CONT);
    terminal.wait_for("waits for a person");
    terminal.write(b"\x0c");
    terminal.press("q");
    assert_eq!(terminal.exit_code(), 0);
    let raw = terminal.raw();
    for question in [&b"\x1b[6n"[..], b"\x1b[c", b"\x1b[?u", b"\x1b]11;?"] {
        assert!(
            !raw.windows(question.len()).any(|window| window == question),
            "{question:?}"
        );
    }
}

/// Run by [`after_a_panic`] in a terminal of its own.
#[test]
#[ignore = "a child of another test"]
fn child_that_panics() {
    gonogo::ui::terminal::restore_on_panic();
    let _guard = gonogo::ui::terminal::Guard::enter(true).unwrap();
    panic!("the sky fell");
}

#[test]
fn after_a_panic() {
    let this = std::env::current_exe().unwrap();
    let child = [
        "--exact",
        "pty::restore::child_that_panics",
        "--ignored",
        "--nocapture",
    ];
    let mut terminal = Terminal::program(this.to_str().unwrap(), &child, (100, 30));
    assert_eq!(terminal.exit_code(), 101);
    terminal.wait_for("the sky fell");
    is_given_back(&terminal);
}
