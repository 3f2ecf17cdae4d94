//! Verbs on runs, and what consent lets through, read back from the world.

use serde_json::Value;

use super::run::Demo;
use crate::support::world;

/// The newest run of a repository's workflow, as GitHub tells it.
fn newest_run(demo: &Demo, repo: &str) -> Value {
    let path = format!("/repos/acme/{repo}/actions/runs?per_page=1");
    world::ask(demo.folder(), "github", &path)["workflow_runs"][0].clone()
}

#[test]
fn runs_are_cancelled_dispatched_and_run_again() {
    let demo = Demo::start("fleet");
    let before = newest_run(&demo, "energy-forecast");
    assert_eq!(before["status"], "in_progress");
    demo.run(&["cancel", "energy-forecast", "--yes"])
        .expect(0)
        .says("confirmed");
    let after = newest_run(&demo, "energy-forecast");
    assert_eq!(
        (&after["id"], &after["conclusion"]),
        (&before["id"], &"cancelled".into())
    );
    demo.run(&["cancel", "energy-forecast", "--yes"]).expect(4);

    demo.run(&["dispatch", "energy-forecast", "--ref", "main", "--yes"])
        .expect(0)
        .says("confirmed");
    let dispatched = newest_run(&demo, "energy-forecast");
    assert_ne!(dispatched["id"], before["id"]);
    assert_eq!(
        (&dispatched["event"], &dispatched["head_branch"]),
        (&"workflow_dispatch".into(), &"main".into())
    );

    let run = newest_run(&demo, "geo-eta");
    assert_eq!(
        (&run["run_attempt"], &run["conclusion"]),
        (&1.into(), &"success".into())
    );
    demo.run(&["rerun", "geo-eta", "--yes"])
        .expect(4)
        .says("no job of run");
    demo.run(&["rerun", "geo-eta", "--all", "--yes"])
        .expect(0)
        .says("confirmed");
    let again = newest_run(&demo, "geo-eta");
    assert_eq!(
        (&again["id"], &again["run_attempt"]),
        (&run["id"], &2.into())
    );
}

#[test]
fn the_failed_jobs_of_a_rejected_run_are_run_again_and_the_others_are_not() {
    let demo = Demo::start("fairness");
    demo.run(&["reject", "med-imaging", "--yes"]).expect(0);
    let failed = newest_run(&demo, "med-imaging");
    let rerun = demo
        .run(&["rerun", "med-imaging", "--yes", "--json"])
        .expect(0)
        .json();
    assert_eq!(
        (&rerun["outcome"], &rerun["plan"]["steps"][0]["action"]),
        (&"confirmed".into(), &"rerun-failed".into()),
        "{rerun:#}"
    );
    let again = newest_run(&demo, "med-imaging");
    assert_eq!(
        (&again["id"], &again["run_attempt"]),
        (&failed["id"], &2.into())
    );
}

#[test]
fn a_restart_replaces_the_pods_and_nothing_else() {
    let demo = Demo::start("fleet");
    let path = "/apis/argoproj.io/v1alpha1/namespaces/recsys/rollouts/ranker";
    let before = world::ask(demo.folder(), "kubernetes", path);
    assert_eq!(before["spec"]["restartAt"], Value::Null);
    demo.run(&["restart", "recsys-ranker", "--yes"])
        .expect(0)
        .says("confirmed");
    let after = world::ask(demo.folder(), "kubernetes", path);
    assert!(after["spec"]["restartAt"].is_string(), "{after:#}");
    for same in ["/spec/template", "/spec/paused", "/status/currentPodHash"] {
        assert_eq!(after.pointer(same), before.pointer(same), "{same}");
    }
    // Where it is critical a restart is a throttle: nothing proves `churn`.
    demo.run(&["restart", "churn", "--yes"]).expect(3);
}

#[test]
fn warnings_are_accepted_by_a_flag_and_by_nothing_else() {
    let demo = Demo::start("fleet");
    let release = || demo.run(&["status", "recsys-ranker", "--json"]).json()["releases"][0].clone();
    assert_eq!(release()["held"], true);
    let go_on = ["continue", "recsys-ranker", "--yes"];
    demo.until(&go_on, 4)
        .says("drift warn")
        .says("1 warning not accepted")
        .says("--accept-warnings accepts them");
    demo.run(&[&go_on[..], &["--override", "--reason", "seen it"]].concat())
        .expect(4)
        .says("warning");
    assert_eq!(release()["held"], true);
    demo.run(&[&go_on[..], &["--accept-warnings"]].concat())
        .expect(0)
        .says("confirmed");
    assert_eq!(release()["held"], false);
}

#[test]
fn an_override_needs_a_policy_that_allows_it_a_flag_and_a_reason_and_is_written_down() {
    // The same verdict under a policy that says never.
    let strict = Demo::start("fleet");
    let skip = [
        "skip",
        "churn",
        "--yes",
        "--override",
        "--reason",
        "no traffic yet",
    ];
    strict
        .run(&skip)
        .expect(3)
        .says("the policy allows no override");

    let demo = Demo::start("latency");
    demo.until(&["check", "fraud-score"], 1);
    let step =
        || demo.run(&["status", "fraud-score", "--json"]).json()["releases"][0]["stage"].clone();
    let before = step();
    demo.run(&["skip", "fraud-score", "--yes"])
        .expect(1)
        .says("--override --reason TEXT goes past it");
    demo.run(&["skip", "fraud-score", "--yes", "--override"])
        .expect(64);
    assert_eq!(step(), before);
    demo.run(&[
        "skip",
        "fraud-score",
        "--yes",
        "--override",
        "--reason",
        "known slow store",
    ])
    .expect(0)
    .says("confirmed");
    assert_ne!(step(), before);
    let log = demo.run(&["audit", "log", "--json"]).expect(0).json();
    let lines = log["lines"].as_array().unwrap();
    let sent = lines.iter().find(|line| line["type"] == "intent").unwrap();
    assert_eq!(sent["reason"], "known slow store", "{sent:#}");
    assert!(
        sent["override"]
            .as_str()
            .is_some_and(|rule| rule.contains("NO-GO")),
        "{sent:#}"
    );
}
