//! Commands that look, on the demo's world.

use super::run::Demo;

#[test]
fn status_and_check_say_where_a_release_stands_and_whether_it_may_go_on() {
    let demo = Demo::start("canary");
    let status = demo.run(&["status", "--json"]).expect(0).json();
    assert_eq!(
        (&status["schema"], &status["code"], &status["word"]),
        (&1.into(), &0.into(), &"ok".into())
    );
    let row = &status["releases"][0];
    for (key, value) in [
        ("service", "recsys-ranker"),
        ("environment", "prod-eu"),
        ("version", "v42"),
        ("stage", "canary 5/7"),
        ("decision", "GO"),
    ] {
        assert_eq!(row[key], value, "{row:#}");
    }
    assert_eq!(row["weight"], 30);
    assert_eq!(row["waits_for"]["kind"], "person");
    // Nobody has said whether we are one who may go on.
    assert_eq!(row["waits_for"]["you"], "unknown");
    for backend in ["gh", "mlflow", "prod", "prom"] {
        assert!(row["ages"][backend].as_f64().unwrap() < 30.0, "{row:#}");
    }
    let check = demo.run(&["check", "--json"]).expect(0).json();
    let findings = check["checks"][0]["findings"].as_array().unwrap();
    assert!(findings.len() >= 5);
    for finding in findings {
        assert_eq!(finding["verdict"], "pass", "{finding:#}");
        for key in [
            "gate",
            "class",
            "rule",
            "evidence_at",
            "fetched_at",
            "digest",
        ] {
            assert!(!finding[key].is_null(), "{key}: {finding:#}");
        }
    }
    demo.run(&["config", "check"])
        .expect(0)
        .says("is right: 1 service, 2 environments, 1 policy, 4 backends");
    let words = demo.run(&["--plain", "status"]).expect(0).out;
    assert!(
        words.starts_with("recsys-ranker in prod-eu: v42, canary 5/7 at 30 %, GO, waits for"),
        "{words}"
    );
    demo.run(&["check", "--wait", "--env", "prod-eu", "--timeout", "60s"])
        .expect(0);
    demo.run(&["check", "recsys-rankr"])
        .expect(64)
        .says("did you mean `recsys-ranker`?");
    demo.run(&["check", "--env", "prod-eo"])
        .expect(64)
        .says("did you mean `prod-eu`?");
    demo.run(&[
        "watch",
        "recsys-ranker",
        "--env",
        "prod-eu",
        "--timeout",
        "2s",
    ])
    .expect(2)
    .says("canary 5/7 at 30 %")
    .says("still moving");
}

#[test]
fn a_bad_release_is_1_and_the_worst_of_several_counts() {
    let demo = Demo::start("fairness");
    let check = demo
        .run(&["check", "med-imaging", "--json"])
        .expect(1)
        .json();
    assert_eq!(check["word"], "no-go");
    let worst = &check["checks"][0]["findings"][0];
    assert_eq!(
        (&worst["verdict"], &worst["class"]),
        (&"fail".into(), &"F".into())
    );
    assert!(worst["observed"].as_f64().unwrap() > worst["limit"].as_f64().unwrap());
}

#[test]
fn doctor_looks_at_everything_and_says_what_each_key_may_do() {
    let demo = Demo::start("canary");
    let doctor = demo.run(&["doctor", "--json"]).expect(0).json();
    let checks = doctor["checks"].as_array().unwrap();
    for backend in ["gh", "mlflow", "prod", "prom"] {
        for what in ["reach", "version", "clock"] {
            let found = checks
                .iter()
                .any(|check| check["backend"] == backend && check["what"] == what);
            assert!(found, "{backend} {what}");
        }
    }
    let keys = doctor["keys"].as_array().unwrap();
    let hold = keys
        .iter()
        .find(|key| key["key"] == "H" && key["environment"] == "prod-eu")
        .unwrap();
    assert_eq!(hold["may"], true);
    let retry = keys.iter().find(|key| key["verb"] == "retry").unwrap();
    assert_eq!(
        (&retry["may"], &retry["why"]),
        (&false.into(), &"not aborted".into())
    );
    demo.run(&["doctor"])
        .expect(0)
        .says("keys for recsys-ranker in prod-eu");
}

#[test]
fn a_world_that_is_gone_is_5_to_look_at_and_3_to_judge() {
    let mut demo = Demo::start("canary");
    assert_eq!(
        demo.stop(),
        Some(0),
        "a demo that is told to end has not failed"
    );
    demo.run(&["status", "--timeout", "5s"])
        .expect(5)
        .says("not reached");
    // The judgement names who is silent, and blames no release for it.
    let judged = demo
        .run(&["check", "--timeout", "5s"])
        .expect(3)
        .says("no backend has answered, so nothing is proven");
    for backend in ["gh", "mlflow", "prod", "prom"] {
        let said = format!("backend {backend} is silent");
        assert!(judged.err.contains(&said), "{judged:#?}");
    }
    demo.run(&["doctor"]).expect(5);
    demo.run(&[
        "hold",
        "recsys-ranker",
        "--env",
        "prod-eu",
        "--yes",
        "--timeout",
        "5s",
    ])
    .expect(5)
    .says("check the address");
    demo.run(&["audit", "log"])
        .expect(0)
        .says("nothing has been done yet");
}

#[test]
fn a_served_demo_leaves_what_every_client_needs() {
    let demo = Demo::start("canary");
    let text = std::fs::read_to_string(demo.folder().join("endpoints.json")).unwrap();
    let endpoints: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (system, keys) in [
        (
            "github",
            &["url", "token", "repo", "workflow", "run_id"][..],
        ),
        ("mlflow", &["url", "token", "model"]),
        ("prometheus", &["url", "token", "query"]),
        ("kubernetes", &["url", "token", "namespace", "rollout"]),
    ] {
        for key in keys {
            assert!(
                !endpoints[system][key].is_null(),
                "{system}.{key}: {endpoints:#}"
            );
        }
    }
    demo.run(&["config", "check"]).expect(0);
    demo.run(&["demo", "no-such-story"]).expect(64);
    demo.run(&["demo", "--list"]).expect(0).says("canary");
}

#[test]
fn logs_are_printed_clean_and_name_the_jobs_there_are() {
    let demo = Demo::start("canary");
    demo.run(&["logs", "recsys-ranker"])
        .expect(64)
        .says("no job")
        .says("tests");
    let log = demo
        .run(&["logs", "recsys-ranker", "--job", "tests"])
        .expect(0)
        .out;
    assert!(log.contains("142 passed"), "{log}");
    let hostile = Demo::start("hostile");
    for arguments in [
        &["status"][..],
        &["check"],
        &["doctor"],
        &["status", "--json"],
    ] {
        let ran = hostile.run(arguments);
        let all = format!("{}{}", ran.out, ran.err);
        let bad = all
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
        assert_eq!(bad, None, "{arguments:?}: {all}");
    }
}

#[test]
fn no_command_prints_or_writes_a_credential() {
    let demo = Demo::start("canary");
    let text = std::fs::read_to_string(demo.folder().join("endpoints.json")).unwrap();
    let endpoints: serde_json::Value = serde_json::from_str(&text).unwrap();
    let tokens: Vec<&str> = ["github", "mlflow", "prometheus", "kubernetes"]
        .iter()
        .filter_map(|system| endpoints[system]["token"].as_str())
        .collect();
    assert_eq!(tokens.len(), 4);
    let lane = ["recsys-ranker", "--env", "prod-eu"];
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["check", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["config", "explain"],
        &["config", "check", "--json"],
        &["hold", lane[0], lane[1], lane[2], "--yes", "--json"],
        &["promote", lane[0], lane[1], lane[2], "--full", "--dry-run"],
        &["rollback", lane[0], lane[1], lane[2], "--dry-run", "--json"],
        &["audit", "log", "--json"],
    ] {
        let ran = demo.run(arguments);
        for token in &tokens {
            assert!(
                !ran.out.contains(token) && !ran.err.contains(token),
                "{arguments:?} prints {token}"
            );
        }
    }
    let ledger = std::fs::read_to_string(demo.folder().join("ledger.jsonl")).unwrap();
    assert!(
        tokens.iter().all(|token| !ledger.contains(token)),
        "{ledger}"
    );
}
