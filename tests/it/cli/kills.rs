//! Killed at every point of an action: what is left must be whole, sent at most
//! once, and settled by looking.

use std::{
    os::unix::process::ExitStatusExt as _, path::Path, process::Stdio, sync::Arc, time::Duration,
};

use gonogo::{
    app::{KillPoint, clock},
    domain::observation::ActionOutcome,
    sim::{Sim, clock::Clock, scenario},
    store::{Reader, Record, RecordKind, Seal, verify},
};
use tokio::{process::Command, time::Instant};

use super::run::command;

/// Longer than an action of the dead is looked for, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

async fn world(folder: &Path) -> Sim {
    drop(rustls::crypto::ring::default_provider().install_default());
    let story = scenario::load("canary").unwrap();
    let sim = Sim::start(&story, Clock::new(Arc::new(clock::now), 10.0))
        .await
        .unwrap();
    sim.write(folder).unwrap();
    let config = folder.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(config, format!("ledger = \"ledger.jsonl\"\n{text}")).unwrap();
    sim
}

fn gonogo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, arguments);
    command.env("GONOGO_CONFIG", folder.join("config.toml"));
    let mut command = Command::from(command);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How often the world was told to hold.
fn sends(sim: &Sim) -> usize {
    let told = sim.cluster().mutations();
    told.iter()
        .filter(|request| request.body.contains("\"/spec/paused\""))
        .count()
}

/// Runs `hold`, dies at `point`, lets a later process settle what is left.
async fn killed_at(point: KillPoint) -> (usize, Vec<Record>) {
    let folder = tempfile::tempdir().unwrap();
    let sim = world(folder.path()).await;
    let lane = ["recsys-ranker", "--env", "prod-eu"];
    let mut hold = gonogo(folder.path(), &["hold", lane[0], lane[1], lane[2], "--yes"]);
    let died = hold
        .env("GONOGO_KILL_AT", point.name())
        .status()
        .await
        .unwrap();
    assert_eq!(died.signal(), Some(9), "{point}: {died}");
    let ledger = folder.path().join("ledger.jsonl");
    let open = |records: &[Record]| {
        let count = |kind| records.iter().filter(|record| record.kind == kind).count();
        count(RecordKind::Intent) > count(RecordKind::Outcome)
    };
    let read = || Reader::new(ledger.clone()).read_new().unwrap();
    if open(&read()) {
        let mut later = gonogo(folder.path(), &["watch", lane[0], lane[1], lane[2]])
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while open(&read()) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        later.kill().await.unwrap();
    }
    let report = verify(&ledger, None).unwrap();
    let nothing = point == KillPoint::BeforeIntent;
    assert!(
        report.seal() == Seal::Intact || nothing,
        "{point}: {report:?}"
    );
    let records = read();
    let sent = sends(&sim);
    sim.stop().await;
    (sent, records)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_killed_anywhere_is_sent_at_most_once_and_settled_by_looking() {
    let ended = futures::future::join_all(KillPoint::ALL.map(killed_at)).await;
    for (point, (sent, records)) in KillPoint::ALL.into_iter().zip(ended) {
        let outcome = records.iter().rev().find_map(|record| record.outcome);
        let (expected_sent, expected) = match point {
            KillPoint::BeforeIntent => (0, None),
            KillPoint::AfterIntent | KillPoint::BeforeSend => (0, Some(ActionOutcome::Failed)),
            KillPoint::AfterSend | KillPoint::BeforeOutcome | KillPoint::AfterOutcome => {
                (1, Some(ActionOutcome::Confirmed))
            }
        };
        assert_eq!(
            (sent, outcome),
            (expected_sent, expected),
            "{point}: {records:#?}"
        );
    }
}
