//! When lines cannot be written.

use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use gonogo::{
    domain::{action::ActionKind, observation::ActionOutcome},
    engine::{clear::Refusal, plan::Verb},
};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{Scene, Temper};

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_a_throttle_cannot_be_written_down_and_a_brake_goes_through_the_spool()
{
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("state"),
        "a file where a folder should be",
    )
    .unwrap();
    let scene = Scene::at(Temper::Obedient, folder, |_| {}).await;
    assert!(matches!(
        scene.submit(Verb::Promote).await,
        Err(Refusal::NotWritten(_))
    ));
    assert_eq!(scene.sent(), []);
    assert_eq!(scene.outcome(Verb::Hold).await.0, ActionOutcome::Confirmed);
    let spool = fs::read_to_string(scene.folder.path().join("spool/spool.jsonl")).unwrap();
    assert!(
        spool.contains("\"intent\"") && spool.contains("\"hold\""),
        "{spool}"
    );
}

/// The audit screen says what `audit verify` says, and shows what can be read.
#[tokio::test(start_paused = true)]
async fn lines_somebody_changed_are_named_beside_those_that_can_be_read() {
    let scene = Scene::new(Temper::Obedient).await;
    assert_eq!(scene.outcome(Verb::Hold).await.0, ActionOutcome::Confirmed);
    let sound = scene.handle.ledger(100).await.unwrap();
    assert!(sound.problems.is_empty(), "{sound:?}");
    let path = scene.folder.path().join("state/ledger.jsonl");
    let written = fs::read_to_string(&path).unwrap();
    let flipped = written.replacen("\"hold\"", "\"gold\"", 1);
    assert_ne!(written, flipped);
    fs::write(&path, flipped).unwrap();
    let book = scene.handle.ledger(100).await.unwrap();
    assert_eq!(book.records.len(), sound.records.len());
    assert!(
        book.problems[0].starts_with("line 1 (number 1) was changed"),
        "{book:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn when_nothing_can_be_written_the_command_to_paste_is_shown() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("state"), "").unwrap();
    fs::write(folder.path().join("spool"), "").unwrap();
    let scene = Scene::at(Temper::Obedient, folder, |_| {}).await;
    let refusal = scene.submit(Verb::Abort).await.unwrap_err();
    assert!(
        matches!(&refusal, Refusal::NotWritten(why) if why.contains("kubectl patch rollout ranker")),
        "{refusal}"
    );
    assert_eq!(scene.sent(), []);
}

/// Somebody who holds a file and does not let go, as a disk that hangs does.
fn keep(path: &Path) -> File {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::create(path).unwrap();
    file.lock().unwrap();
    file
}

#[tokio::test]
async fn a_brake_goes_out_though_the_ledger_hangs() {
    let scene = Scene::new(Temper::Obedient).await;
    let _kept = keep(&scene.folder.path().join("state/ledger.jsonl.lock"));
    timeout(Duration::from_secs(4), scene.submit(Verb::Hold))
        .await
        .expect("the ledger's own patience is longer")
        .unwrap();
    let mut worlds = scene.handle.worlds();
    let held = worlds.wait_for(|_| scene.sent().contains(&ActionKind::Hold));
    timeout(Duration::from_secs(4), held)
        .await
        .unwrap()
        .unwrap();
    let spool = fs::read_to_string(scene.folder.path().join("spool/spool.jsonl")).unwrap();
    assert!(spool.contains("\"hold\""), "{spool}");
}

#[tokio::test]
async fn when_every_disk_hangs_the_command_to_paste_is_shown_soon() {
    let scene = Scene::new(Temper::Obedient).await;
    let _kept = ["state/ledger.jsonl.lock", "spool/spool.jsonl"]
        .map(|path| keep(&scene.folder.path().join(path)));
    let refusal = timeout(Duration::from_secs(3), scene.submit(Verb::Abort))
        .await
        .expect("a person waits for the command")
        .unwrap_err();
    assert!(
        matches!(&refusal, Refusal::NotWritten(why) if why.contains("kubectl patch rollout ranker")),
        "{refusal}"
    );
    assert_eq!(scene.sent(), []);
}
