//! Commands that act, on the demo's world, with the state read back from it.

use std::fs;

use super::run::Demo;

const EU: [&str; 3] = ["recsys-ranker", "--env", "prod-eu"];

fn act<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec![verb, EU[0], EU[1], EU[2]];
    all.extend(more);
    all
}

#[test]
fn hold_and_continue_are_seen_before_they_are_called_confirmed() {
    let demo = Demo::start("canary");
    demo.run(&act("hold", &[])).expect(4).says("say --yes");
    demo.run(&act("hold", &["--dry-run"]))
        .expect(0)
        .says("/spec/paused")
        .says("by hand: kubectl");
    assert_eq!(demo.lane("prod-eu")["held"], false, "nothing was sent");
    let held = demo
        .run(&act("hold", &["--yes", "--json", "--reason", "paging"]))
        .expect(0)
        .json();
    assert_eq!(
        (&held["outcome"], &held["plan"]["class"]),
        (&"confirmed".into(), &"brake".into())
    );
    assert_eq!(demo.lane("prod-eu")["held"], true);
    demo.run(&act("hold", &["--yes"]))
        .expect(0)
        .says("already held");
    demo.run(&act("continue", &["--yes"]))
        .expect(0)
        .says("confirmed");
    assert_eq!(demo.lane("prod-eu")["held"], false);
    let log = demo.run(&["audit", "log", "--json"]).expect(0).json();
    let kinds: Vec<&str> = log["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|line| line["type"].as_str())
        .filter(|kind| *kind != "nudge")
        .collect();
    assert_eq!(kinds, ["intent", "outcome", "intent", "outcome"]);
    assert_eq!(log["lines"][0]["reason"], "paging");
    assert_eq!(log["lines"][2]["actor"]["backends"][0]["name"], "mk");
    demo.run(&["audit", "verify"]).expect(0);
}

#[test]
fn promote_needs_full_on_a_running_canary_and_moves_traffic_then_the_alias() {
    let demo = Demo::start("canary");
    demo.run(&["hold", "recsys-ranker", "--yes"])
        .expect(64)
        .says("name one by --env");
    demo.run(&act("promote", &["--yes"]))
        .expect(64)
        .says("gonogo promote recsys-ranker --env prod-eu --full --yes");
    let done = demo
        .run(&act("promote", &["--full", "--yes", "--json"]))
        .expect(0)
        .json();
    let steps = done["plan"]["steps"].as_array().unwrap();
    let actions: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["action"].as_str())
        .collect();
    // Traffic first; then the alias, after where it pointed was remembered.
    assert_eq!(actions, ["promote-full", "set-alias", "set-alias"]);
    assert_eq!(demo.lane("prod-eu")["stage"], "live");
    demo.run(&["watch", "recsys-ranker", "--env", "prod-eu"])
        .expect(0)
        .says("live at 100 %");
    let back = demo
        .run(&act("rollback", &["--yes", "--json"]))
        .expect(0)
        .json();
    assert_eq!(back["plan"]["class"], "brake");
    demo.run(&act("rollback", &["--to", "no-such", "--yes"]))
        .expect(4)
        .says("no earlier revision");
}

#[test]
fn a_no_go_lets_no_approval_through_and_a_reject_always() {
    let demo = Demo::start("fairness");
    demo.run(&["approve", "med-imaging", "--yes"])
        .expect(1)
        .says("NO-GO")
        .says("fairness");
    demo.run(&["approve", "med-imaging", "--dry-run"])
        .expect(1)
        .says("would be refused");
    let log = demo.run(&["audit", "log", "--json"]).expect(0).json();
    assert_eq!(log["lines"][0]["type"], "refused", "{log:#}");
    demo.run(&["reject", "med-imaging", "--yes", "--reason", "slice age<25"])
        .expect(0)
        .says("confirmed");
    demo.run(&["reject", "med-imaging", "--yes"])
        .expect(4)
        .says("nothing waits for approval");
    // The run ends a moment after the no.
    demo.until(&["watch", "med-imaging"], 1)
        .says("rejected by mk");
    let row = demo.lane("prod-eu");
    assert_eq!(
        (&row["stage"], &row["waits_for"]),
        (&"rejected".into(), &serde_json::Value::Null)
    );
}

#[test]
fn after_a_roll_back_the_row_names_both_and_nothing_leads_back_by_itself() {
    let demo = Demo::start("incident");
    demo.run(&["rollback", "price-elastic", "--yes"])
        .expect(0)
        .says("confirmed");
    let row = demo.lane("prod-eu");
    assert_eq!(
        [
            &row["stage"],
            &row["live"],
            &row["version"],
            &row["rolled_back"]
        ],
        ["live", "v120", "v120", "v121"],
        "{row:#}"
    );
    demo.run(&["status", "price-elastic"])
        .expect(0)
        .says("live, v121 rolled back");
    demo.run(&["rollback", "price-elastic", "--dry-run"])
        .expect(4)
        .says("users were taken from v121 back to v120")
        .says("--to v121");
    let there = ["rollback", "price-elastic", "--to", "v121", "--dry-run"];
    demo.run(&there)
        .expect(4)
        .says("left for v120 before")
        .says("users were taken from v121 back to v120: it takes --override");
    let because = ["--override", "--reason", "v120 loses carts"];
    demo.run(&[&there[..], &because[..]].concat()).expect(0);
}

#[test]
fn read_only_binds_commands_too() {
    let demo = Demo::start("canary");
    let text = fs::read_to_string(demo.config()).unwrap();
    fs::write(demo.config(), format!("mode = \"ro\"\n{text}")).unwrap();
    demo.run(&act("hold", &["--yes"]))
        .expect(4)
        .says("read-only");
    assert_eq!(demo.lane("prod-eu")["held"], false);
}

#[test]
fn a_ledger_that_cannot_be_written_stops_a_throttle_and_not_a_brake() {
    let demo = Demo::start("canary");
    let text = fs::read_to_string(demo.config()).unwrap();
    let blocked = demo.folder().join("blocked");
    fs::write(&blocked, "").unwrap();
    let text = text.replacen(
        "ledger = \"ledger.jsonl\"",
        "ledger = \"blocked/ledger.jsonl\"",
        1,
    );
    fs::write(demo.config(), &text).unwrap();
    demo.run(&act("hold", &["--yes"]))
        .expect(0)
        .says("confirmed");
    assert_eq!(demo.lane("prod-eu")["held"], true);
    demo.run(&act("continue", &["--yes"]))
        .expect(4)
        .says("blocked");
    assert_eq!(demo.lane("prod-eu")["held"], true);
}

#[test]
fn a_canary_that_gets_slow_is_taken_back() {
    let demo = Demo::start("latency");
    demo.until(&["check", "fraud-score"], 1).says("latency");
    // One look is enough, and the limit alone: what the windows before it came
    // to is asked for.
    let config = fs::read_to_string(demo.config()).unwrap();
    let alone: String = config
        .lines()
        .filter(|line| !line.starts_with("versus = { baseline = \"stable\""))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_ne!(alone, config);
    let other = demo.folder().join("alone.toml");
    fs::write(&other, alone).unwrap();
    let config = ["--config", other.to_str().unwrap()];
    demo.until(&[&config[..], &["check", "fraud-score"]].concat(), 1)
        .says("of 3 windows");
    demo.run(&["skip", "fraud-score", "--yes"]).expect(1);
    demo.run(&["abort", "fraud-score", "--yes"])
        .expect(0)
        .says("confirmed");
    demo.run(&["watch", "fraud-score"])
        .expect(1)
        .says("ended without going live");
}

#[test]
fn when_a_brake_can_be_written_down_nowhere_the_command_to_paste_is_shown() {
    let demo = Demo::start("canary");
    let go_ahead = act("continue", &["--yes", "--timeout", "60s"]);
    demo.until(&act("check", &[]), 0);
    let blocked = demo.folder().join("blocked");
    fs::write(&blocked, "").unwrap();
    let text = fs::read_to_string(demo.config()).unwrap();
    let text = text.replacen(
        "ledger = \"ledger.jsonl\"",
        "ledger = \"blocked/ledger.jsonl\"",
        1,
    );
    fs::write(demo.config(), text).unwrap();
    let unwritten = |arguments: &[&str]| {
        let mut command = super::run::command(demo.folder(), arguments);
        command
            .env("GONOGO_CONFIG", demo.config())
            .env("XDG_CACHE_HOME", &blocked)
            .env("TMPDIR", &blocked);
        super::run::finish(command).expect(4)
    };
    let ran = unwritten(&act("hold", &["--yes"]));
    assert!(
        ran.out.lines().last().unwrap().contains("by hand: kubectl"),
        "{ran:#?}"
    );
    // Nobody is hurt by a throttle that waits until it can be written down.
    let ran = unwritten(&go_ahead);
    let last = ran.out.lines().last().unwrap();
    assert!(
        last.starts_with("refused: nothing was sent, because it could not be written down first"),
        "{ran:#?}"
    );
    assert_eq!(demo.lane("prod-eu")["held"], false, "nothing was sent");
}

#[test]
fn a_signal_ends_a_command_with_128_and_its_number() {
    let demo = Demo::start("canary");
    let mut watch = super::run::command(demo.folder(), &act("watch", &[]));
    let mut child = watch
        .env("GONOGO_CONFIG", demo.config())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let out = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut first).unwrap();
    let pid = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{first}");
}
