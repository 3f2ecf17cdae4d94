//! Every action from its key to the world, in at most three keys.

use super::terminal::{Served, Terminal, until};

/// The rollout in `prod-eu` as its API server tells it.
fn rollout(served: &Served, namespace: &str) -> serde_json::Value {
    let path = format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/ranker");
    served.ask("kubernetes", &path)
}

const EU: &str = "recsys-eu";

/// The version the champion alias points to.
fn champion(served: &Served) -> String {
    let model = served.ask(
        "mlflow",
        "/api/2.0/mlflow/registered-models/get?name=ranker",
    );
    let aliases = model["registered_model"]["aliases"].as_array().unwrap();
    let champion = aliases
        .iter()
        .find(|alias| alias["alias"] == "champion")
        .unwrap();
    champion["version"].as_str().unwrap().to_owned()
}

/// A cockpit on the canary demo, the release of an environment marked and its
/// keys on: every fact that decides is there.
fn cockpit(served: &Served, environment: &str, key: &str) -> Terminal {
    let mut terminal = Terminal::cockpit(&served.config());
    terminal.wait_for("waits for a person 2");
    terminal.press(&format!("/env:{environment}\r"));
    terminal.wait_for("1 of 2 releases shown");
    terminal.press("j");
    // What is off stands in brackets.
    let (on, off) = (format!(" {key}"), format!("({key}"));
    terminal.wait_until(key, |screen| {
        let hints = screen.lines().last().unwrap_or_default();
        hints.contains(&on) && !hints.contains(&off)
    });
    terminal
}

/// Presses a verb, then its letter, and Enter where it is asked for.
#[track_caller]
fn act(terminal: &mut Terminal, verb: &str) {
    terminal.press(verb);
    let letter = terminal.letter();
    terminal.press(&letter.to_string());
    terminal.confirm();
}

#[test]
fn hold_takes_one_key_and_continue_takes_it_back() {
    let served = Served::start("canary", "4");
    let mut terminal = cockpit(&served, "prod-eu", "C continue");
    terminal.press("H");
    until("the rollout is held", || {
        (rollout(&served, EU)["spec"]["paused"] == true).then_some(())
    });
    terminal.wait_for("hold recsys-ranker: confirmed");
    act(&mut terminal, "C");
    until("the hold is taken back", || {
        (rollout(&served, EU)["spec"]["paused"] != true).then_some(())
    });
    terminal.wait_for("continue recsys-ranker: confirmed");
}

#[test]
fn abort_sends_the_traffic_back() {
    let served = Served::start("canary", "4");
    let mut terminal = cockpit(&served, "prod-eu", "C continue");
    act(&mut terminal, "B");
    until("the rollout is aborted", || {
        (rollout(&served, EU)["status"]["abort"] == true).then_some(())
    });
    terminal.wait_for("abort recsys-ranker: confirmed");
    terminal.wait_for("rolled back");
}

#[test]
fn abort_stops_a_promotion_in_the_midst_of_it() {
    let served = Served::start("canary", "1");
    let mut terminal = cockpit(&served, "prod-eu", "C continue");
    let status = |served: &Served| rollout(served, EU)["status"].clone();
    let stable = status(&served)["stableRS"].clone();
    act(&mut terminal, "P");
    until("the promotion is under way", || {
        (status(&served)["promoteFull"] == true).then_some(())
    });
    act(&mut terminal, "B");
    until("everyone is on stable", || {
        let status = status(&served);
        let canary = status["updatedReplicas"].as_u64().unwrap_or(0);
        (status["phase"] == "Degraded" && canary == 0).then_some(())
    });
    let after = status(&served);
    assert_eq!(after["stableRS"], stable);
    assert_eq!(
        (&after["abort"], &after["promoteFull"] == true),
        (&true.into(), false)
    );
    terminal.press("6");
    terminal.wait_for("partial");
}

#[test]
fn continue_ends_the_pause_and_skip_leaves_the_next_step() {
    let served = Served::start("canary", "4");
    let mut terminal = cockpit(&served, "prod-eu", "C continue");
    let index = |served: &Served| {
        rollout(served, EU)["status"]["currentStepIndex"]
            .as_i64()
            .unwrap_or(0)
    };
    let before = index(&served);
    act(&mut terminal, "C");
    let paused = until("a later step", || {
        Some(index(&served)).filter(|now| before < *now)
    });
    terminal.wait_for("continue recsys-ranker: confirmed");
    terminal.wait_for("S skip");
    act(&mut terminal, "S");
    until("a step further", || (paused < index(&served)).then_some(()));
}

#[test]
fn promote_ends_at_100_percent_with_the_alias_moved() {
    let served = Served::start("canary", "4");
    let mut terminal = cockpit(&served, "prod-eu", "C continue");
    act(&mut terminal, "P");
    terminal.wait_for("promote recsys-ranker: confirmed");
    let after = rollout(&served, EU);
    assert_eq!(
        after["status"]["stableRS"],
        after["status"]["currentPodHash"]
    );
    assert_eq!(champion(&served), "42");
}

#[test]
fn roll_back_brings_the_earlier_version_to_everyone() {
    let served = Served::start("canary", "4");
    let mut terminal = cockpit(&served, "prod-eu", "C continue");
    let stable = rollout(&served, EU)["status"]["stableRS"].clone();
    act(&mut terminal, "R");
    terminal.wait_for("roll back recsys-ranker: confirmed");
    let after = rollout(&served, EU);
    assert_eq!(after["status"]["stableRS"], stable);
    assert_eq!(after["status"]["abort"], true);
}

#[test]
fn approve_lets_the_pipeline_go_on() {
    let served = Served::start("canary", "4");
    let mut terminal = cockpit(&served, "prod-us", "A approve");
    act(&mut terminal, "A");
    terminal.wait_for("approve recsys-ranker: confirmed");
    let text = std::fs::read_to_string(served.file("endpoints.json")).unwrap();
    let endpoints: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (repo, run) = (
        endpoints["github"]["repo"].as_str().unwrap(),
        &endpoints["github"]["run_id"],
    );
    let waiting = served.ask(
        "github",
        &format!("/repos/{repo}/actions/runs/{run}/pending_deployments"),
    );
    assert_eq!(waiting, serde_json::json!([]));
}

#[test]
fn what_was_done_is_on_the_audit_screen() {
    let served = Served::start("canary", "4");
    let mut terminal = cockpit(&served, "prod-eu", "C continue");
    terminal.press("H");
    terminal.wait_for("hold recsys-ranker: confirmed");
    terminal.press("6");
    terminal.wait_for("confirmed");
    terminal.wait_for("the newest ");
}

/// The hash behind the service users are on.
fn users(served: &Served) -> serde_json::Value {
    let path = format!("/api/v1/namespaces/{EU}/services/ranker");
    served.ask("kubernetes", &path)["spec"]["selector"]["rollouts-pod-template-hash"].clone()
}

#[test]
fn a_preview_is_looked_at_promoted_and_taken_back() {
    let served = Served::start("bluegreen", "4");
    let mut terminal = Terminal::cockpit(&served.config());
    terminal.wait_for("waits for the switch");
    terminal.press("/env:prod-eu\r");
    terminal.wait_for("1 of 3 releases shown");
    terminal.press("j5");
    terminal.wait_for("waits for you to switch");
    terminal.wait_until("C and P are on, S is off", |screen| {
        let hints = screen.lines().last().unwrap_or_default();
        hints.contains(" C continue") && hints.contains(" P promote") && !hints.contains("S skip")
    });
    let status = rollout(&served, EU)["status"].clone();
    let (old, new) = (status["stableRS"].clone(), status["currentPodHash"].clone());
    assert_eq!(users(&served), old);
    act(&mut terminal, "P");
    until("everybody is on it", || {
        (users(&served) == new).then_some(())
    });
    // It proves itself, and only then the champion is another.
    terminal.wait_for("promote recsys-ranker: confirmed");
    assert_eq!(rollout(&served, EU)["status"]["stableRS"], new);
    assert_eq!(champion(&served), "42");
    terminal.wait_for("back at once");
    act(&mut terminal, "R");
    terminal.wait_for("roll back recsys-ranker: confirmed");
    assert_eq!(users(&served), old);
    assert_eq!(rollout(&served, EU)["status"]["stableRS"], old);
    assert_eq!(champion(&served), "41");
}
