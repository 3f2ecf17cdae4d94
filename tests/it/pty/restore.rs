//! However the cockpit ends, the terminal is as it was.

use rustix::process::Signal;

use super::terminal::{Served, Terminal, binary, until};

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

#[test]
fn after_a_panic_in_its_own_loop() {
    let served = Served::start("canary", "1");
    let config = served.config();
    let mut terminal = Terminal::with(
        binary(),
        &["--config", config.to_str().unwrap()],
        (100, 30),
        &[
            ("GONOGO_PANIC_AT", "loop:the sky fell"),
            ("RUST_BACKTRACE", "0"),
        ],
    );
    assert_eq!(terminal.exit_code(), 101);
    terminal.wait_for("the sky fell");
    is_given_back(&terminal);
}

#[test]
fn crates_trap_7_a_panic_in_a_task_ends_the_cockpit_and_is_no_success() {
    let served = Served::start("canary", "1");
    let config = served.config();
    let mut terminal = Terminal::with(
        binary(),
        &["--config", config.to_str().unwrap()],
        (100, 30),
        &[
            ("GONOGO_PANIC_AT", "task:a task fell"),
            ("RUST_BACKTRACE", "0"),
        ],
    );
    assert_eq!(terminal.exit_code(), 101);
    terminal.wait_for("a task fell");
    is_given_back(&terminal);
}

/// Run by [`crates_trap_6_…`](crates_trap_6_a_dead_terminal_found_by_drawing_does_not_abort):
/// leads the terminal's session, and starts itself again, which then starts the
/// cockpit in a session without a terminal, where no hang-up signal reaches it.
#[test]
#[ignore = "a child of another test"]
fn child_in_another_session() {
    let folder = std::env::var_os("GONOGO_TEST_FOLDER").unwrap();
    let folder = std::path::Path::new(&folder);
    if std::env::var_os("GONOGO_TEST_INNER").is_none() {
        let this = std::env::current_exe().unwrap();
        let mut inner = std::process::Command::new(this);
        inner.args(CHILD).env("GONOGO_TEST_INNER", "1");
        inner.status().unwrap();
        return;
    }
    rustix::process::setsid().unwrap();
    let config = folder.join("config.toml");
    let mut cockpit = std::process::Command::new(binary());
    let ended = cockpit.arg("--config").arg(config).status().unwrap();
    std::fs::write(folder.join("ended.new"), format!("{:?}", ended.code())).unwrap();
    std::fs::rename(folder.join("ended.new"), folder.join("ended")).unwrap();
}

const CHILD: [&str; 4] = [
    "--exact",
    "pty::restore::child_in_another_session",
    "--ignored",
    "--nocapture",
];

#[test]
fn crates_trap_6_a_dead_terminal_found_by_drawing_does_not_abort() {
    let served = Served::start("canary", "1");
    let this = std::env::current_exe().unwrap();
    let folder = served.dir.path().to_str().unwrap();
    let terminal = Terminal::with(
        this.to_str().unwrap(),
        &CHILD,
        (100, 30),
        &[("GONOGO_TEST_FOLDER", folder)],
    );
    terminal.wait_for("waits for a person");
    // Ends the session's leader; the cockpit has only its drawing to notice by,
    // and its standard error is the dead terminal. An abort would have no code.
    terminal.hang_up();
    let ended = until("the cockpit has ended", || {
        std::fs::read_to_string(served.file("ended")).ok()
    });
    assert_eq!(ended, "Some(129)");
}

#[test]
fn a_terminal_that_only_prints_is_told_where_the_lines_are_and_gets_no_sequences() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "").unwrap();
    let run = |more: &[&str]| {
        let mut arguments = vec!["--config", config.to_str().unwrap()];
        arguments.extend(more);
        Terminal::with(binary(), &arguments, (80, 24), &[("TERM", "dumb")])
    };
    let mut terminal = run(&[]);
    assert_eq!(terminal.exit_code(), 64);
    terminal.wait_for("gonogo --plain");
    assert!(terminal.screen().contains("gonogo status"));
    assert!(!terminal.raw().contains(&0x1b), "{:?}", terminal.screen());
    let mut lines = run(&["status"]);
    assert_eq!(lines.exit_code(), 0);
}
