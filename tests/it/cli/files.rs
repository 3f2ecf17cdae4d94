//! Commands that need files only: configuration and ledger.

use std::{fs, path::PathBuf, process::Stdio};

use gonogo::{
    domain::{Timestamp, id::PlanId, observation::ActionOutcome},
    store::{Actor, Entry, EntryKind, Ledger, Paths, Writer},
};
use tempfile::TempDir;

use super::run::{command, run};

/// A home with a configuration whose ledger holds one plan.
fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    fs::write(
        home.path().join("config.toml"),
        "ledger = \"ledger.jsonl\"\n",
    )
    .unwrap();
    let path = home.path().join("ledger.jsonl");
    let paths = Paths {
        ledger: path.clone(),
        spools: Vec::new(),
    };
    let ledger = Ledger::new(paths, Writer::this_process());
    let at = Timestamp::from_timestamp(1_760_000_000, 0).unwrap();
    let actor = Actor {
        os_user: "mara".into(),
        backends: Vec::new(),
    };
    for (kind, outcome) in [
        (EntryKind::Intent, None),
        (EntryKind::Outcome, Some(ActionOutcome::Confirmed)),
    ] {
        let entry = Entry {
            plan: Some(PlanId::new("plan-1")),
            outcome,
            reason: Some("p95 above the limit".into()),
            ..Entry::new(kind, "hold", actor.clone())
        };
        ledger.append(&entry, at).unwrap();
    }
    (home, path)
}

const WITH: [&str; 2] = ["--config", "config.toml"];

#[test]
fn the_ledger_is_listed_shown_and_verified() {
    let (home, _) = home();
    let log = run(home.path(), &[WITH[0], WITH[1], "audit", "log"])
        .expect(0)
        .out;
    assert!(log.contains("2025-10-09 08:53:20Z"), "{log}");
    assert!(
        log.contains("mara") && log.contains("confirmed") && log.contains("p95 above"),
        "{log}"
    );
    let json = run(
        home.path(),
        &[WITH[0], WITH[1], "audit", "show", "plan-1", "--json"],
    )
    .expect(0)
    .json();
    assert_eq!(json["lines"].as_array().unwrap().len(), 2);
    run(home.path(), &[WITH[0], WITH[1], "audit", "show", "2"])
        .expect(0)
        .says("actor.os_user  mara");
    run(home.path(), &[WITH[0], WITH[1], "audit", "show", "nothing"]).expect(64);
    run(home.path(), &[WITH[0], WITH[1], "audit", "verify"])
        .expect(0)
        .says("intact: 2 lines")
        .says("2:sha256:");
}

#[test]
fn verify_says_0_intact_1_broken_3_cannot_tell() {
    let (home, path) = home();
    let verify = [WITH[0], WITH[1], "audit", "verify", "--json"];
    let intact = run(home.path(), &verify).expect(0).json();
    let checkpoint = intact["checkpoint"].as_str().unwrap().to_owned();
    let text = fs::read_to_string(&path).unwrap();

    fs::write(&path, text.replace("mara", "mira")).unwrap();
    let broken = run(home.path(), &verify).expect(1).json();
    assert_eq!(
        (&broken["seal"], &broken["word"]),
        (&"broken".into(), &"no-go".into())
    );
    assert_eq!(broken["problems"].as_array().unwrap().len(), 2);

    fs::write(&path, text.lines().next().unwrap().to_owned() + "\n").unwrap();
    run(home.path(), &[WITH[0], WITH[1], "audit", "verify"])
        .expect(1)
        .says("the end was cut off");
    fs::remove_file(path.with_file_name("ledger.jsonl.checkpoint")).unwrap();
    run(home.path(), &verify).expect(3);
    run(
        home.path(),
        &[
            WITH[0],
            WITH[1],
            "audit",
            "verify",
            "--checkpoint",
            &checkpoint,
        ],
    )
    .expect(1)
    .says("the checkpoint given knows number 2");
    fs::remove_file(&path).unwrap();
    run(home.path(), &verify).expect(3);
}

#[test]
fn a_closed_pipe_does_not_turn_broken_into_intact() {
    let (home, path) = home();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("mara", "mira")).unwrap();
    let mut child = command(home.path(), &[WITH[0], WITH[1], "audit", "verify"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn configuration_errors_are_64_with_file_line_and_column() {
    let home = tempfile::tempdir().unwrap();
    fs::write(
        home.path().join("config.toml"),
        "mode = \"rw\"\n[service.x]\npolcy = \"p\"\n",
    )
    .unwrap();
    for arguments in [["config", "check"], ["audit", "log"]] {
        run(home.path(), &[WITH[0], WITH[1], arguments[0], arguments[1]])
            .expect(64)
            .says("config.toml:3:1: unknown key `polcy`; did you mean `policy`?");
    }
    run(home.path(), &["--config", "nowhere.toml", "status"])
        .expect(64)
        .says("nowhere.toml: cannot be read");
}

#[test]
fn explain_tells_each_value_and_its_origin() {
    let home = tempfile::tempdir().unwrap();
    let text = "[ui]\ntheme = \"light\"\n[backend.gh]\nkind = \"github_actions\"\ntoken = \"env:PLANTED\"\n";
    fs::write(home.path().join("config.toml"), text).unwrap();
    let mut explain = command(
        home.path(),
        &[WITH[0], WITH[1], "config", "explain", "--json"],
    );
    explain.env("PLANTED", "hunter2-hunter2").env("LANG", "C");
    let ran = super::run::finish(explain).expect(0);
    assert!(!ran.out.contains("hunter2"), "{}", ran.out);
    let json = ran.json();
    let of = |key: &str| {
        let settings = json["settings"].as_array().unwrap();
        settings
            .iter()
            .find(|setting| setting["key"] == key)
            .unwrap()
            .clone()
    };
    assert_eq!(of("ui.theme")["line"], 2);
    assert_eq!(of("backend.gh.token")["value"], "\"env:PLANTED\"");
    assert_eq!(of("ui.ascii")["origin"], "LANG");
    assert_eq!(of("mode")["origin"], "default");
}
