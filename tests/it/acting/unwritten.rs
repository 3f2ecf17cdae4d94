//! When lines cannot be written.

use std::fs;

use gonogo::{
    domain::observation::ActionOutcome,
    engine::{clear::Refusal, plan::Verb},
};
use tempfile::TempDir;

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
