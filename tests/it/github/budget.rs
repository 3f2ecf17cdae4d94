//! How many requests a minute it takes, counted at the server.

use chrono::TimeDelta;
use gonogo::backend::Focus;
use serde_json::json;

use super::{
    Bench, Hub, LIST, RUN, bench, job_json, jobs_json, repo, run_json, run_path, runs_json,
    waiting_hub, watching,
};
use crate::support::script::{Reply, Script};

/// Requests a minute over ten minutes, after the first look; every answer
/// counts, one without news too. Answers take no time, which is the dearest case.
async fn per_minute(bench: &mut Bench, server: &Script, focus: &Focus) -> f64 {
    for part in ["account", "runs "] {
        bench.feed(part).poll(focus).await.unwrap();
    }
    let before = server.seen().len();
    let start = bench.clock.now();
    let end = start + TimeDelta::minutes(10);
    let mut due = [start, start];
    for (part, due) in ["account", "runs "].iter().zip(&mut due) {
        *due = start + TimeDelta::from_std(bench.feed(part).cadence(focus)).unwrap();
    }
    loop {
        let next = due[0].min(due[1]);
        if next > end {
            break;
        }
        let wait = next - bench.clock.now();
        bench.clock.pass(wait);
        let index = usize::from(due[1] <= due[0]);
        let part = ["account", "runs "][index];
        bench.feed(part).poll(focus).await.unwrap();
        let cadence = bench.feed(part).cadence(focus);
        due[index] = next + TimeDelta::from_std(cadence).unwrap();
    }
    let asked = u32::try_from(server.seen().len() - before).unwrap();
    f64::from(asked) / 10.0
}

fn running_hub() -> Hub {
    let hub = waiting_hub();
    hub.set(LIST, runs_json(&[run_json(RUN, "in_progress", None)]));
    let jobs = [job_json(71, "train", "in_progress", None)];
    hub.set(&run_path("/jobs"), jobs_json(&jobs));
    hub
}

#[tokio::test]
async fn one_active_run_takes_at_most_twelve_requests_a_minute() {
    for (name, hub, focus) in [
        ("running, on screen", running_hub(), watching(RUN)),
        ("waiting, on screen", waiting_hub(), watching(RUN)),
        ("running, aside", running_hub(), Focus::default()),
        ("waiting, aside", waiting_hub(), Focus::default()),
        (
            "running, away",
            running_hub(),
            Focus {
                away: true,
                ..watching(RUN)
            },
        ),
    ] {
        let server = hub.serve().await;
        let rate = per_minute(&mut bench(&server), &server, &focus).await;
        println!("{name}: {rate} requests a minute; `gh run watch` with 8 jobs: 200");
        assert!(rate <= 12.0, "{name}: {rate}");
        assert!(rate >= 1.0, "{name}: {rate}");
    }
}

#[tokio::test]
async fn nothing_under_way_takes_two_requests_a_minute() {
    let hub = running_hub();
    hub.set(
        LIST,
        runs_json(&[run_json(RUN, "completed", Some("success"))]),
    );
    hub.set(
        &run_path("/jobs"),
        jobs_json(&[job_json(71, "train", "completed", Some("success"))]),
    );
    let server = hub.serve().await;
    let rate = per_minute(&mut bench(&server), &server, &Focus::default()).await;
    println!("nothing under way: {rate} requests a minute");
    assert!(rate <= 2.3, "{rate}");
}

#[tokio::test]
async fn a_budget_that_runs_low_slows_everything_down() {
    let hub = running_hub();
    // 30 left for the next hour: 21 of them are ours.
    let stamped = |reply: Reply| {
        reply
            .with("x-ratelimit-limit", "5000")
            .with("x-ratelimit-remaining", "30")
            .with("x-ratelimit-reset", "1773147600")
    };
    hub.set(
        LIST,
        stamped(runs_json(&[run_json(RUN, "in_progress", None)])),
    );
    let jobs = [job_json(71, "train", "in_progress", None)];
    hub.set(&run_path("/jobs"), stamped(jobs_json(&jobs)));
    hub.set(
        "GET /user",
        stamped(Reply::json(200, &json!({"login": "grace"}))),
    );
    hub.set(&repo(""), stamped(Reply::json(200, &json!({}))));
    let server = hub.serve().await;
    let rate = per_minute(&mut bench(&server), &server, &watching(RUN)).await;
    assert!(rate <= 21.0 / 60.0 + 0.2, "{rate}");
}
