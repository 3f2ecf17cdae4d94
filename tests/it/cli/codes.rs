//! Exit codes that need a world in a certain state.

use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use gonogo::{
    app::clock,
    sim::{Sim, clock::Clock, scenario},
};
use reqwest::Method;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::run::{Demo, command, finish};
use crate::support::world;

#[test]
fn check_is_2_while_the_evidence_is_still_being_made() {
    let demo = Demo::start("fleet");
    // Its training takes minutes even at this speed.
    let check = demo
        .run(&["check", "energy-forecast", "--json"])
        .expect(2)
        .json();
    assert_eq!(check["word"], "waiting");
    let findings = check["checks"][0]["findings"].as_array().unwrap();
    assert_eq!(findings[0]["verdict"], "pending", "{check:#}");
    // One service waits, another is proven bad: the worse one is the answer.
    let all = demo.run(&["check", "--json"]).expect(1).json();
    let codes: Vec<&Value> = all["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| &check["code"])
        .collect();
    for code in [0, 1, 2, 3] {
        assert!(codes.contains(&&Value::from(code)), "{code}: {codes:?}");
    }
}

#[test]
fn watch_is_3_when_what_it_follows_is_gone() {
    let demo = Demo::start("canary");
    let mut watch = command(
        demo.folder(),
        &[
            "watch",
            "recsys-ranker",
            "--env",
            "prod-eu",
            "--timeout",
            "10s",
        ],
    );
    let mut watch = watch
        .env("GONOGO_CONFIG", demo.config())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It has seen the release once it has said the first line.
    let mut lines = std::io::BufReader::new(watch.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut lines, &mut first).unwrap();
    assert!(first.contains("canary 5/7"), "{first}");
    let mine = world::endpoints(demo.folder())["kubernetes"]["token"].clone();
    let admin = mine.as_str().unwrap().replace("-mk-", "-root-");
    world::tell_as(
        demo.folder(),
        &admin,
        "kubernetes",
        Method::DELETE,
        "/apis/argoproj.io/v1alpha1/namespaces/recsys-eu/rollouts/ranker",
        None,
    );
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut lines, &mut rest).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(3), "{first}{rest}");
    assert!(rest.contains("lost from sight"), "{rest}");
}

#[test]
fn doctor_is_4_when_a_permission_lacks_and_names_it() {
    let demo = Demo::start("canary");
    let path = demo.folder().join("kubeconfig");
    let mine = std::fs::read_to_string(&path).unwrap();
    // Vera may look and nothing else.
    std::fs::write(&path, mine.replace("-kubernetes-mk-", "-kubernetes-vera-")).unwrap();
    let doctor = demo.run(&["doctor", "--json"]).expect(4).json();
    assert_eq!(doctor["word"], "refused");
    let checks = doctor["checks"].as_array().unwrap();
    let denied: Vec<&str> = checks
        .iter()
        .filter(|check| check["result"] == "denied")
        .filter_map(|check| check["seen"].as_str())
        .collect();
    assert!(
        denied.iter().any(|seen| seen.contains("patch rollouts")),
        "{doctor:#}"
    );
    // The verb says the same. A brake does not wait to hear of permissions: on a
    // slow machine it is the server that refuses.
    let held = demo
        .run(&["hold", "recsys-ranker", "--env", "prod-eu", "--yes"])
        .says("not permitted");
    assert!(matches!(held.code, 4 | 5), "{held:?}");
    assert_eq!(demo.lane("prod-eu")["held"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effect_that_nobody_sees_is_6_and_not_called_failed() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    let story = scenario::load("canary").unwrap();
    let sim = Sim::start(&story, Clock::new(Arc::new(clock::now), 10.0))
        .await
        .unwrap();
    sim.write(folder.path()).unwrap();
    let config = folder.path().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("ledger = \"ledger.jsonl\"\n{text}")).unwrap();
    // The controller overlooks this change and the nudge after it.
    sim.cluster().swallow(1000);
    let arguments = [
        "hold",
        "recsys-ranker",
        "--env",
        "prod-eu",
        "--yes",
        "--json",
    ];
    let mut hold = command(folder.path(), &arguments);
    hold.env("GONOGO_CONFIG", &config);
    let ran = finish(hold).expect(6);
    let answer = ran.json();
    assert_eq!(
        (&answer["word"], &answer["outcome"]),
        (&"unsettled".into(), &"unknown".into()),
        "{answer:#}"
    );
    let sent = sim.cluster().mutations();
    let holds = sent.iter().filter(|told| told.body.contains("paused"));
    assert_eq!(holds.count(), 1, "{sent:?}");
    sim.stop().await;
}

#[test]
fn what_is_nobody_elses_fault_is_70_and_says_what_it_was() {
    let home = tempfile::tempdir().unwrap();
    // Without room for a single file of its own there is no runtime.
    let mut starved = Command::new("sh");
    starved
        .args(["-c", "ulimit -n 4; exec \"$0\" status"])
        .arg(env!("CARGO_BIN_EXE_gonogo"))
        .env_clear()
        .env("HOME", home.path());
    finish(starved).expect(70).says("could not start");
}

#[test]
fn a_panic_anywhere_is_101_whatever_the_answer_was() {
    let demo = Demo::start("canary");
    let mut check = command(demo.folder(), &["check"]);
    check
        .env("GONOGO_CONFIG", demo.config())
        .env("GONOGO_PANIC_AT", "task:crates_trap_7");
    finish(check).expect(101).says("crates_trap_7").says("GO");
}

#[test]
fn watching_ends_with_101_and_words_once_something_panicked() {
    let demo = Demo::start("canary");
    let crash = |arguments: &[&str]| {
        let mut watch = command(demo.folder(), arguments);
        watch
            .env("GONOGO_CONFIG", demo.config())
            .env("GONOGO_PANIC_AT", "task:a feed fell");
        finish(watch).expect(101).says("a feed fell")
    };
    crash(&["watch", "recsys-ranker", "--env", "prod-eu"]).says("a part of gonogo crashed");
    let told = crash(&["watch", "recsys-ranker", "--env", "prod-eu", "--json"]);
    let last: Value = serde_json::from_str(told.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["code"], 101, "{last}");
    assert_eq!(last["word"], "panic", "{last}");
}

/// A door before a server that shuts in the face of the first `refused`.
async fn late(server: String, refused: usize) -> (String, Arc<AtomicUsize>) {
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", door.local_addr().unwrap());
    let knocked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&knocked);
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = door.accept().await {
            if count.fetch_add(1, Ordering::SeqCst) < refused {
                continue;
            }
            let server = server.clone();
            tokio::spawn(async move {
                let mut outside = TcpStream::connect(server).await.unwrap();
                // Whoever hangs up first ends it.
                drop(tokio::io::copy_bidirectional(&mut inside, &mut outside).await);
            });
        }
    });
    (address, knocked)
}

#[tokio::test(flavor = "multi_thread")]
async fn check_with_wait_ends_when_the_answer_is_no_longer_hold() {
    let demo = Demo::start("canary");
    let url = world::endpoints(demo.folder())["mlflow"]["url"].clone();
    let url = url.as_str().unwrap();
    let server = url.strip_prefix("http://").unwrap().to_owned();
    let check = ["check", "recsys-ranker", "--env", "prod-eu"];
    let (door, _) = late(server.clone(), usize::MAX).await;
    let text = std::fs::read_to_string(demo.config()).unwrap();
    std::fs::write(demo.config(), text.replace(url, &door)).unwrap();
    // While the registry is out nothing is proven, and waiting has an end.
    demo.run(&check).expect(3).says("HOLD (not proven)");
    demo.run(&[&check[..], &["--wait", "--timeout", "2s"]].concat())
        .expect(3);
    let (door, knocked) = late(server, 4).await;
    std::fs::write(demo.config(), text.replace(url, &door)).unwrap();
    demo.run(&[&check[..], &["--wait", "--timeout", "60s"]].concat())
        .expect(0);
    assert!(4 < knocked.load(Ordering::SeqCst));
}
