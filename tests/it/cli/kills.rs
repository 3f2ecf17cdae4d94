//! Killed before and after every line and every request of an action: what is
//! left must be whole, sent at most once, and settled by looking.

use std::{
    os::unix::process::ExitStatusExt as _, path::Path, process::Stdio, sync::Arc, time::Duration,
};

use futures::StreamExt as _;
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

/// The requests that changed something, a nudge apart.
fn sends(sim: &Sim) -> Vec<String> {
    sim.cluster()
        .mutations()
        .into_iter()
        .filter(|request| !request.body.contains("gonogo.dev/nudge"))
        .map(|request| format!("{} {} {}", request.verb, request.path, request.body))
        .collect()
}

fn count(records: &[Record], kind: &RecordKind) -> usize {
    records.iter().filter(|record| record.kind == *kind).count()
}

/// What a killed action came to.
#[derive(Debug)]
struct Left {
    /// What had been sent when it died.
    sent: Vec<String>,
    records: Vec<Record>,
}

impl Left {
    /// How all of it ended.
    fn outcome(&self) -> Option<ActionOutcome> {
        self.records.iter().rev().find_map(|record| record.outcome)
    }
}

/// Runs a command, dies the `time`th time it comes to `point`, lets a later
/// process settle what is left. `None`: it never came there so often.
async fn killed(arguments: &[&str], point: KillPoint, time: u32) -> Option<Left> {
    let folder = tempfile::tempdir().unwrap();
    let sim = world(folder.path()).await;
    let at = format!("{point}:{time}");
    let died = gonogo(folder.path(), arguments)
        .env("GONOGO_KILL_AT", &at)
        .status()
        .await
        .unwrap();
    let sent = sends(&sim);
    let ledger = folder.path().join("ledger.jsonl");
    let read = || Reader::new(ledger.clone()).read_new().unwrap();
    let open = |records: &[Record]| {
        count(records, &RecordKind::Outcome) < count(records, &RecordKind::Intent)
    };
    if died.signal() != Some(9) {
        assert!(died.success(), "{at}: {died}");
        sim.stop().await;
        return None;
    }
    if open(&read()) {
        // Of a release that stays where it is, so that it does not end by itself.
        let mut later = gonogo(
            folder.path(),
            &["watch", "recsys-ranker", "--env", "prod-us"],
        )
        .kill_on_drop(true)
        .spawn()
        .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while open(&read()) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        later.kill().await.unwrap();
    }
    let records = read();
    let report = verify(&ledger, None).unwrap();
    assert!(
        report.seal() == Seal::Intact || records.is_empty(),
        "{at}: {report:?}"
    );
    assert!(!open(&records), "{at}: unsettled in {records:#?}");
    assert_eq!(sends(&sim), sent, "{at}: sent again");
    let mut once = sent.clone();
    once.dedup();
    assert_eq!(once, sent, "{at}: sent twice");
    sim.stop().await;
    Some(Left { sent, records })
}

/// Every place where the command can die, and what was left there.
async fn everywhere(arguments: &'static [&'static str]) -> Vec<(KillPoint, u32, Left)> {
    let at = |point| {
        futures::stream::iter(1..)
            .then(move |time| async move {
                let left = killed(arguments, point, time).await?;
                Some((point, time, left))
            })
            .take_while(|left| std::future::ready(left.is_some()))
            .filter_map(std::future::ready)
            .collect::<Vec<_>>()
    };
    let found = futures::future::join_all(KillPoint::ALL.map(at)).await;
    found.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_killed_anywhere_is_sent_at_most_once_and_settled_by_looking() {
    let all = everywhere(&["hold", "recsys-ranker", "--env", "prod-eu", "--yes"]).await;
    let found: Vec<_> = all
        .iter()
        .map(|(point, time, left)| (*point, *time, left.sent.len(), left.outcome()))
        .collect();
    let (failed, confirmed) = (Some(ActionOutcome::Failed), Some(ActionOutcome::Confirmed));
    for expected in [
        // The intent, then the outcome.
        (KillPoint::BeforeWrite, 1, 0, None),
        (KillPoint::AfterWrite, 1, 0, failed),
        (KillPoint::AfterWrite, 2, 1, confirmed),
        (KillPoint::BeforeSend, 1, 0, failed),
        (KillPoint::AfterSend, 1, 1, confirmed),
        (KillPoint::BeforeWrite, 2, 1, confirmed),
    ] {
        assert!(
            found.contains(&expected),
            "{expected:?} is not in {found:#?}"
        );
    }
    // A slow machine nudges, which is one more line and one more request.
    for (point, time, sent, outcome) in &found {
        assert!(
            *time <= 2 || (*sent, *outcome) == (1, confirmed),
            "{point}:{time}: {found:#?}"
        );
    }
}

/// Traffic, the alias that remembers, the champion: three requests, eight lines.
#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_killed_anywhere_is_told_as_far_as_it_went() {
    let all = everywhere(&[
        "promote",
        "recsys-ranker",
        "--env",
        "prod-eu",
        "--full",
        "--yes",
    ])
    .await;
    let of = |wanted| all.iter().filter(|(point, ..)| *point == wanted).count();
    // A slow machine may nudge, which is one more of each.
    assert!(
        [8, 8, 3, 3]
            .iter()
            .zip(KillPoint::ALL.map(of))
            .all(|(least, found)| *least <= found),
        "{:#?}",
        all.iter()
            .map(|(point, time, left)| (point, time, left.outcome()))
            .collect::<Vec<_>>()
    );
    for (point, time, left) in &all {
        let confirmed = left
            .records
            .iter()
            .filter(|record| record.step.is_some())
            .filter(|record| record.outcome == Some(ActionOutcome::Confirmed))
            .count();
        let expected = match (left.records.is_empty(), confirmed) {
            (true, _) => None,
            (false, 0) => Some(ActionOutcome::Failed),
            (false, 1 | 2) => Some(ActionOutcome::Partial),
            (false, _) => Some(ActionOutcome::Confirmed),
        };
        assert_eq!(left.outcome(), expected, "{point}:{time}: {left:#?}");
        // Nothing is called done that was never asked for.
        assert!(
            usize::from(0 < confirmed) <= left.sent.len(),
            "{point}:{time}: {left:#?}"
        );
    }
}
