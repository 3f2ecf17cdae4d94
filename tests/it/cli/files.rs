//! Commands that need files only: configuration and ledger.

use std::{fs, path::PathBuf, process::Stdio};

use gonogo::{
    domain::{Timestamp, id::PlanId, observation::ActionOutcome},
    store::{Actor, Entry, EntryKind, Ledger, Paths, Writer},
};
use tempfile::TempDir;

use super::run::{command, finish, run};

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
fn who_went_past_a_rule_stands_out_in_the_log() {
    let (home, path) = home();
    let paths = Paths {
        ledger: path,
        spools: Vec::new(),
    };
    let actor = Actor {
        os_user: "mara".into(),
        backends: Vec::new(),
    };
    let entry = Entry {
        reason: Some("known slow store".into()),
        overridden: Some("decision NO-GO".into()),
        ..Entry::new(EntryKind::Intent, "skip", actor)
    };
    let at = Timestamp::from_timestamp(1_760_000_100, 0).unwrap();
    Ledger::new(paths, Writer::this_process())
        .append(&entry, at)
        .unwrap();
    let log = run(home.path(), &[WITH[0], WITH[1], "audit", "log"]).expect(0);
    let line = |of: &str| log.out.lines().find(|line| line.contains(of)).unwrap();
    assert!(line("skip").contains("skip (override)"), "{log:?}");
    assert!(
        line("skip").contains("past decision NO-GO: known slow store"),
        "{log:?}"
    );
    assert!(!line("hold").contains("override"), "{log:?}");
}

#[test]
fn plain_and_narrow_lists_are_sentences_and_no_tables() {
    let (home, _) = home();
    let log = ["--config", "config.toml", "audit", "log"];
    let table = run(home.path(), &log).expect(0).out;
    assert!(table.starts_with("LINE  WHEN"), "{table}");
    let plain = run(home.path(), &[&log[..], &["--plain"]].concat());
    let first = plain.out.lines().next().unwrap();
    assert_eq!(
        first,
        "line 1, when 2025-10-09 08:53:20Z, who mara, what intent, verb hold, note p95 above the limit"
    );
    let mut narrow = command(home.path(), &log);
    narrow.env("COLUMNS", "40");
    let narrow = finish(narrow).expect(0).out;
    assert!(narrow.starts_with("line 1, when"), "{narrow}");
    for line in narrow.lines() {
        assert!(line.chars().count() <= 40, "{line:?} in {narrow}");
    }
}

#[test]
fn a_secret_file_is_opened_by_the_check_and_never_shown() {
    let home = tempfile::tempdir().unwrap();
    let config = "[backend.gh]\nkind = \"github_actions\"\ntoken = \"file:token\"\n";
    fs::write(home.path().join("config.toml"), config).unwrap();
    let check = [WITH[0], WITH[1], "config", "check"];
    run(home.path(), &check)
        .expect(64)
        .says("backend `gh`: no credential from `file:token`: there is no file");
    fs::write(home.path().join("token"), "ghp_first\nghp_second\n").unwrap();
    let several = run(home.path(), &check).expect(64).says("several lines");
    assert!(!format!("{several:?}").contains("ghp_"), "{several:?}");
    fs::write(home.path().join("token"), "ghp_only\n").unwrap();
    let right = run(home.path(), &check).expect(0);
    assert!(!format!("{right:?}").contains("ghp_"), "{right:?}");
}

#[test]
fn a_configuration_that_is_no_text_says_where() {
    let home = tempfile::tempdir().unwrap();
    fs::write(
        home.path().join("config.toml"),
        b"mode = \"rw\"\n# caf\xe9\n",
    )
    .unwrap();
    run(home.path(), &[WITH[0], WITH[1], "config", "check"])
        .expect(64)
        .says("config.toml:2:6: byte 0xe9 is not UTF-8 text");
}

#[test]
fn an_empty_configuration_says_what_to_write_into_it() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("config.toml"), "").unwrap();
    for (command, code) in [("status", 0), ("check", 64)] {
        run(home.path(), &[WITH[0], WITH[1], command])
            .expect(code)
            .says("no service is configured: add a `[service.NAME]` section")
            .says("gonogo init --dry-run");
    }
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
    assert!(broken["checkpoint"].is_null(), "{broken:#}");

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

#[test]
fn whoever_lists_a_ledger_that_was_tampered_with_is_told() {
    let (home, path) = home();
    let sound = fs::read_to_string(&path).unwrap();
    let log = |more: &[&str]| {
        let arguments: Vec<&str> = [&WITH[..], &["audit", "log"], more].concat();
        run(home.path(), &arguments)
    };
    let told = log(&[]).expect(0);
    assert!(!told.err.contains("broken"), "{told:?}");
    log(&["--limit", "0"])
        .expect(0)
        .says("no line is about that");
    log(&["nosuch"]).expect(0).says("no line is about that");

    fs::write(&path, sound.replace("mara", "mira")).unwrap();
    log(&[]).expect(0).says("the ledger is broken");
    assert_eq!(log(&["--json"]).json()["seal"], "broken");

    // The checkpoint beside it knows that there were lines.
    fs::remove_file(&path).unwrap();
    let gone = log(&[])
        .expect(0)
        .says("there is no line")
        .says("the ledger is broken");
    assert!(!gone.out.contains("nothing has been done"), "{gone:?}");
}

#[test]
fn a_ledger_of_garbage_is_not_a_ledger_without_lines() {
    let (home, path) = home();
    let sound = fs::read_to_string(&path).unwrap();
    let audit = |what: &[&str]| {
        let arguments: Vec<&str> = [&WITH[..], &["audit"], what].concat();
        run(home.path(), &arguments)
    };

    // Nothing can be read: no table, and no success.
    fs::write(&path, "not a ledger\n\u{0}\u{1}\n").unwrap();
    fs::remove_file(path.with_file_name("ledger.jsonl.checkpoint")).unwrap();
    let log = audit(&["log"]).expect(5).says("2 lines cannot be read");
    assert!(!format!("{}{}", log.out, log.err).contains("nothing has been done"));
    let json = audit(&["log", "--json"]).expect(5).json();
    assert_eq!(
        (&json["code"], &json["word"]),
        (&5.into(), &"failed".into())
    );
    audit(&["show", "1"]).expect(5).says("the first is line 1");
    let verify = audit(&["verify"]).expect(1).says("line 1 was changed");
    assert!(!verify.out.contains("there is no ledger yet"), "{verify:?}");

    // No line end at all: a torn first line is damage as well.
    fs::write(&path, "{\"seq\": 1").unwrap();
    audit(&["log"])
        .expect(5)
        .says("9 bytes at the end are no whole line");
    let verify = audit(&["verify"]).expect(3);
    assert!(!verify.out.contains("there is no ledger yet"), "{verify:?}");

    // One line among sound ones: the rest is listed, and the gap is said.
    let mut lines: Vec<&str> = sound.lines().collect();
    lines.insert(1, "garbage");
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let log = audit(&["log"]).expect(0).says("line 2 cannot be read");
    assert!(log.out.contains("mara"), "{log:?}");
    let json = audit(&["log", "--json"]).expect(0).json();
    assert_eq!(json["unreadable"], serde_json::json!([2]));
    assert_eq!(json["lines"].as_array().unwrap().len(), 2);

    fs::remove_file(&path).unwrap();
    audit(&["log"]).expect(0).says("nothing has been done yet");
    audit(&["verify"]).expect(3).says("there is no ledger yet");
}

#[test]
fn config_check_finds_what_is_wrong_with_a_kubeconfig() {
    let home = tempfile::tempdir().unwrap();
    let written =
        "[backend.prod]\nkind = \"kubernetes\"\nkubeconfig = \"kube\"\ncontext = \"prod\"\n";
    fs::write(home.path().join("config.toml"), written).unwrap();
    let check = |kubeconfig: Option<&str>| {
        if let Some(text) = kubeconfig {
            fs::write(home.path().join("kube"), text).unwrap();
        }
        run(home.path(), &[WITH[0], WITH[1], "config", "check"])
    };
    check(None)
        .expect(64)
        .says("backend `prod`: no kubeconfig at");
    let broken = check(Some(
        "apiVersion: v1\nusers:\n- name: u\n  user: {token: planted-kube-token\nclusters: 7\n",
    ))
    .expect(64)
    .says("kube`, line ");
    assert!(!format!("{broken:?}").contains("planted-kube-token"));
    let sound = |context: &str, server: &str| {
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- {{name: c, cluster: {{server: '{server}'}}}}\n\
             contexts:\n- {{name: {context}, context: {{cluster: c, user: u}}}}\n\
             users:\n- {{name: u, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: ./never-run, interactiveMode: Never}}}}}}\n"
        )
    };
    check(Some(&sound("test", "https://127.0.0.1:1")))
        .expect(64)
        .says("no context `prod`; it has `test`");
    check(Some(&sound("prod", "ftp://127.0.0.1:1")))
        .expect(64)
        .says("must start with https://");
    // The plugin is not there and is not missed: nothing is run and nobody asked.
    check(Some(&sound("prod", "https://127.0.0.1:1")))
        .expect(0)
        .says("is right");
    // `doctor` meets the same trouble and sends people to the command above.
    check(Some("contexts: {"));
    run(home.path(), &[WITH[0], WITH[1], "doctor"])
        .expect(5)
        .says("gonogo config check");
}
