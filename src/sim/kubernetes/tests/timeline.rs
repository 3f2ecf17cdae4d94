//! The states a watcher sees, compared with what a real control plane showed.
//!
//! Each captured timeline is the watch of one Rollout from a change until it
//! came to rest. The same change is made here, and the same states must be
//! seen in the same order. Counts of pods on the way depend on timing and are
//! compared only at rest.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Lab, container, demo, demo_with};
use crate::sim::kubernetes::value::Fields;

/// What is compared of a state; names of sets and numbers of revisions differ
/// from run to run.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    phase: String,
    message: String,
    step: Option<i64>,
    abort: Value,
    promote_full: Value,
    controller_pause: bool,
    pauses: Vec<String>,
    held: Value,
    promoted: bool,
    /// Of a blue/green rollout: whether users are on the wanted revision.
    switched: Option<bool>,
}

impl Seen {
    /// `active`: the hash behind the active service, if there is one.
    fn new(held: &Value, active: &Value, status: &Value) -> Self {
        let pauses = status.items("/pauseConditions").iter();
        Self {
            phase: status.text("/phase").to_owned(),
            message: general(status.text("/message")),
            step: status.number("/currentStepIndex"),
            abort: status.at("/abort").clone(),
            promote_full: status.at("/promoteFull").clone(),
            controller_pause: status.flag("/controllerPause"),
            pauses: pauses
                .map(|pause| pause.text("/reason").to_owned())
                .collect(),
            held: held.clone(),
            promoted: status.at("/stableRS") == status.at("/currentPodHash"),
            switched: (!active.is_null()).then(|| active == status.at("/currentPodHash")),
        }
    }
}

/// A message without what is particular to one run.
fn general(message: &str) -> String {
    let words = message.split(' ').map(|word| {
        let number = word.trim_end_matches(':').parse::<u64>().is_ok();
        let set = word.starts_with('"') && word.contains('-') && !word.contains("rate");
        if number || set { "…" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn without_repeats(states: impl Iterator<Item = Seen>) -> Vec<Seen> {
    let mut kept: Vec<Seen> = states.collect();
    kept.dedup();
    kept
}

fn captured(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes");
    let text = std::fs::read_to_string(folder.join(format!("timeline-{name}.jsonl"))).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Makes a change and compares what follows with the captured timeline.
#[track_caller]
pub(super) fn check(lab: &Lab, name: &str, change: impl FnOnce(&Lab)) {
    let rows = captured(name);
    let expected = without_repeats(
        rows.iter()
            .map(|row| Seen::new(row.at("/spec_paused"), row.at("/activeSelector"), row)),
    );
    let store = &lab.cluster.shared.store;
    let before = store.version();
    change(lab);
    lab.seconds(25);
    let events = store.since(before).unwrap();
    let own = events.iter().filter(|event| event.key.kind == "Rollout");
    let seen = without_repeats(own.map(|event| {
        let (spec, status) = (event.object.at("/spec"), event.object.at("/status"));
        Seen::new(
            spec.at("/paused"),
            status.at("/blueGreen/activeSelector"),
            status,
        )
    }));
    let mut left = expected.iter().peekable();
    for state in &seen {
        if left.next_if(|wanted| *wanted == state).is_none() {
            // How many states of progress are caught depends on timing.
            assert_eq!(
                state.phase,
                "Progressing",
                "{name}: {state:?}, not {:?}",
                left.peek()
            );
        }
    }
    assert_eq!(left.next(), None, "{name}: never seen in {seen:#?}");
    let (rest, last) = (lab.status(), rows.last().unwrap());
    if last.text("/phase") != "Degraded" {
        // Sets of a blue/green rollout's past keep their pods for a while.
        let blue_green = lab.rollout().has("/spec/strategy/blueGreen");
        for count in [
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
        ]
        .into_iter()
        .filter(|count| !blue_green || *count != "replicas")
        {
            let pointer = format!("/{count}");
            assert_eq!(
                rest.at(&pointer),
                last.at(&pointer),
                "{name}: {count} at rest"
            );
        }
    }
}

/// As on the real plane there is no time between a pod and its readiness.
pub(super) fn at_once(mut rollout: Value) -> Value {
    rollout.put(
        "/spec/template/metadata/annotations",
        json!({"sim.gonogo.dev/ready-after": "0s"}),
    );
    rollout
}

fn lab() -> Lab {
    Lab::with_demo(at_once(demo()))
}

/// The steps the captured rollout had from its fourth revision on.
fn steps_from_20() -> Value {
    json!([
        {"setWeight": 20}, {"pause": {}}, {"setWeight": 30},
        {"pause": {"duration": "5s"}}, {"setWeight": 100},
    ])
}

fn image(lab: &Lab, tag: &str) {
    let mut container = container(tag);
    container.put("/resources", json!({}));
    lab.patch_spec(&json!({"template": {"spec": {"containers": [container]}}}));
}

fn to_the_pause(lab: &Lab, tag: &str) {
    image(lab, tag);
    lab.until_phase("Paused");
    lab.seconds(2);
}

#[test]
fn a_new_image_until_the_first_pause() {
    check(&lab(), "a-new-image-to-first-pause", |lab| image(lab, "v2"));
}

#[test]
fn holding_at_the_pause_and_continuing_to_the_end() {
    let lab = lab();
    to_the_pause(&lab, "v2");
    check(&lab, "hold-at-pause-and-resume", |lab| {
        lab.patch_spec(&json!({"paused": true}));
        lab.seconds(3);
        lab.patch_spec(&json!({"paused": false}));
    });
    check(&lab, "b-continue-to-healthy", |lab| {
        lab.patch_status(&json!({"pauseConditions": null}));
    });
}

#[test]
fn aborting_retrying_and_promoting_in_full() {
    let lab = lab();
    to_the_pause(&lab, "v2");
    check(&lab, "d-abort", |lab| {
        lab.patch_spec(&json!({"template": {"metadata": {"labels": {"app": "demo"}}}}));
        // The captured watch began with a touch of the object.
        lab.cluster
            .patch(
                "Rollout",
                "default",
                "demo",
                json!({"metadata": {"annotations": {"n": "1"}}}),
            )
            .unwrap();
        lab.patch_status(&json!({"abort": true}));
    });
    check(&lab, "e-retry", |lab| {
        lab.patch_status(&json!({"abort": false}));
    });
    check(&lab, "f-promote-full", |lab| {
        lab.patch_status(&json!({"promoteFull": true}));
    });
    check(&lab, "abort-when-fully-promoted", |lab| {
        lab.patch_status(&json!({"abort": true}));
    });
}

#[test]
fn skipping_a_step() {
    let lab = lab();
    to_the_pause(&lab, "v2");
    check(&lab, "p-skip-a-step", |lab| {
        lab.patch_status(&json!({"pauseConditions": null, "currentStepIndex": 2}));
    });
}

#[test]
fn promoting_in_full_right_after_a_new_image() {
    check(&lab(), "m-promote-full-right-after-new-image", |lab| {
        image(lab, "v2");
        lab.patch_status(&json!({"promoteFull": true}));
    });
}

#[test]
fn changing_the_steps_while_paused() {
    let lab = lab();
    to_the_pause(&lab, "v2");
    check(&lab, "steps-change-while-paused", |lab| {
        lab.patch_spec(&json!({"strategy": {"canary": {"steps": [
            {"setWeight": 20}, {"pause": {}}, {"setWeight": 30},
            {"pause": {"duration": "5s"}}, {"setWeight": 100},
        ]}}}));
    });
}

#[test]
fn promoting_with_the_plugin_while_held_only_restarts_the_pause() {
    let lab = Lab::with_demo(at_once(demo_with(steps_from_20())));
    to_the_pause(&lab, "v2");
    check(&lab, "plugin-promote-while-held", |lab| {
        lab.patch_spec(&json!({"paused": true}));
        lab.seconds(3);
        // Status first, spec right behind it.
        lab.patch_status(&json!({"pauseConditions": null}));
        lab.pass(Duration::from_millis(19));
        lab.patch_spec(&json!({"paused": false}));
    });
}

#[test]
fn going_back_to_stable_and_shipping_what_was_aborted() {
    let lab = lab();
    to_the_pause(&lab, "v2");
    check(&lab, "l-back-to-stable-in-mid-update", |lab| {
        image(lab, "v1");
    });
    to_the_pause(&lab, "v3");
    lab.patch_status(&json!({"abort": true}));
    lab.seconds(5);
    check(&lab, "n-promote-full-while-aborted", |lab| {
        lab.cluster
            .patch(
                "Rollout",
                "default",
                "demo",
                json!({"metadata": {"annotations": {"n": "1"}}}),
            )
            .unwrap();
        lab.patch_status(&json!({"promoteFull": true}));
    });
}

#[test]
fn a_missed_deadline_that_aborts() {
    let mut rollout = at_once(demo_with(json!([{"setWeight": 50}, {"pause": {}}])));
    rollout.put("/spec/replicas", json!(4));
    rollout.put("/spec/progressDeadlineSeconds", json!(6));
    rollout.put("/spec/progressDeadlineAbort", json!(true));
    check(&Lab::with_demo(rollout), "deadline-aborts", |lab| {
        image(lab, "bad");
    });
}

#[test]
fn a_single_replica() {
    let mut rollout = at_once(demo_with(json!([
        {"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"pause": {}},
    ])));
    rollout.put("/spec/replicas", json!(1));
    check(
        &Lab::with_demo(rollout),
        "one-replica-to-first-pause",
        |lab| image(lab, "v2"),
    );
}

#[test]
fn undoing_to_an_older_image_runs_the_steps_again() {
    let lab = Lab::with_demo(at_once(demo_with(steps_from_20())));
    for tag in ["v2", "v3"] {
        to_the_pause(&lab, tag);
        lab.patch_status(&json!({"promoteFull": true}));
        lab.until_phase("Healthy");
        lab.seconds(3);
    }
    lab.patch_spec(&json!({"paused": false}));
    lab.seconds(2);
    let old = lab.sets().into_iter().find(|set| {
        set.text("/spec/template/spec/containers/0/image")
            .ends_with(":v2")
    });
    let mut template = old.unwrap().at("/spec/template").clone();
    template.drop_field("/metadata/labels/rollouts-pod-template-hash");
    check(&lab, "k-undo-runs-the-steps-again", |lab| {
        lab.patch_spec(&json!({"template": template}));
    });
}
