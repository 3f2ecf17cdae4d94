//! A person at a terminal: the plan is printed, the letter is asked for.

use std::io::{Read as _, Write as _};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use super::run::Demo;

/// Runs the binary on a terminal and answers its question; what it printed and its code.
fn answered(demo: &Demo, arguments: &[&str], answer: impl Fn(&str) -> String) -> (String, u32) {
    let size = PtySize {
        rows: 40,
        cols: 200,
        pixel_width: 0,
        pixel_height: 0,
    };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_gonogo"));
    command.env_clear();
    command.args(arguments);
    command.cwd(demo.folder());
    command.env("HOME", demo.folder());
    command.env("GONOGO_CONFIG", demo.config());
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut writer = pair.master.take_writer().unwrap();
    let mut shown = Vec::new();
    let mut asked = false;
    let mut buffer = [0; 4096];
    // The terminal says so with an error when the other side is gone.
    while let Ok(read @ 1..) = reader.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&shown);
        if !asked && (text.ends_with("not: ") || text.ends_with("and Enter: ")) {
            asked = true;
            writer.write_all(answer(&text).as_bytes()).unwrap();
        }
    }
    let text = String::from_utf8_lossy(&shown).into_owned();
    assert!(asked, "nothing was asked: {text}");
    (text, child.wait().unwrap().exit_code())
}

fn letter(shown: &str) -> String {
    let rest = shown.rsplit("type ").next().unwrap();
    format!("{}\n", rest.chars().next().unwrap())
}

#[test]
fn the_letter_that_is_shown_sends_and_any_other_answer_does_not() {
    let demo = Demo::start("canary");
    let hold = ["hold", "recsys-ranker", "--env", "prod-eu"];
    let (shown, code) = answered(&demo, &hold, |_| "q\n".to_owned());
    assert_eq!(code, 4, "{shown}");
    assert!(shown.contains("nothing was sent"), "{shown}");
    assert_eq!(demo.lane("prod-eu")["held"], false);
    let (shown, code) = answered(&demo, &hold, letter);
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("the canary stays at 30 %") && shown.contains("confirmed"),
        "{shown}"
    );
    assert_eq!(demo.lane("prod-eu")["held"], true);
}
