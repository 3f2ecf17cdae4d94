//! The Argo Rollouts project's own examples and expected displays, as an oracle.
//!
//! Read from its source, which the plane's lane names in
//! `GONOGO_REAL_ARGO_SOURCE`; nothing of it is kept here.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use gonogo::domain::{
    observation::{Batch, Observation},
    rollout::{Rollout, RolloutPhase, RolloutStep, Strategy},
};
use serde_json::{Value, json};

use super::named;
use crate::{
    kubernetes::{bench, rollouts, target},
    support::script::{Reply, Script},
};

/// All YAML files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All documents of a file; those that are templates of something are left out.
fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_multiple::<Value>(&text).unwrap_or_default()
}

/// What the adapter makes of a namespace with these objects.
async fn told(objects: &[Value]) -> (Batch, Vec<Observation>) {
    let of = |kind: &str| -> Vec<Value> {
        let found = objects.iter().filter(|object| object["kind"] == kind);
        found.cloned().collect()
    };
    let lists: BTreeMap<&str, Vec<Value>> = [
        ("rollouts", of("Rollout")),
        ("replicasets", of("ReplicaSet")),
        ("analysisruns", of("AnalysisRun")),
    ]
    .into();
    let server = Script::start(move |seen| {
        let kind = seen.path().rsplit('/').next().unwrap();
        match lists.get(kind) {
            Some(items) if !seen.target.contains("watch=1") => Reply::json(
                200,
                &json!({"metadata": {"resourceVersion": "1"}, "items": items}),
            ),
            _ => Reply::Hang,
        }
    })
    .await;
    let target = target(gonogo::domain::id::TargetKind::Rollout, "any");
    let mut running = bench(&server.url(), "token-of-no-use", &[target]).run("rollouts");
    let mut before = Vec::new();
    loop {
        match running.next().await {
            Observation::Batch(batch) if batch.scope.part == "rollouts recsys" => {
                return (batch, before);
            }
            other => before.push(other),
        }
    }
}

/// One expected display, by its labels.
type Display = BTreeMap<String, String>;

/// The expected displays in the tests of `kubectl argo rollouts get`.
fn displays(source: &Path) -> Vec<Display> {
    let text =
        fs::read_to_string(source.join("pkg/kubectl-argo-rollouts/cmd/get/get_test.go")).unwrap();
    text.split("strings.TrimPrefix(`")
        .skip(1)
        .filter_map(|rest| rest.split('`').next())
        .map(|display| {
            let lines = display.lines().filter_map(|line| line.split_once(':'));
            lines
                .map(|(label, value)| (label.trim().to_owned(), value.trim().to_owned()))
                .collect()
        })
        .collect()
}

fn fits(display: &Display, rollout: &Rollout) -> bool {
    let label = |label: &str| display.get(label).map(String::as_str).unwrap_or_default();
    let phase = match &rollout.phase {
        RolloutPhase::Healthy => "Healthy",
        RolloutPhase::Progressing => "Progressing",
        RolloutPhase::Paused => "Paused",
        RolloutPhase::Degraded => "Degraded",
        RolloutPhase::Unknown(word) => word,
    };
    let step = rollout.step.map_or_else(String::new, |step| {
        format!("{step}/{}", rollout.steps.len())
    });
    label("Name") == rollout.id.name.as_str()
        && label("Status").ends_with(phase)
        // A display that quotes a word in backquotes is cut off there in Go.
        && rollout.message.starts_with(label("Message"))
        && (rollout.strategy != Strategy::Canary
            || !display.contains_key("SetWeight")
            || (label("Step") == step
                && label("SetWeight") == rollout.weight_wanted.get().to_string()
                && label("ActualWeight") == rollout.weight_actual.get().to_string()))
}

#[tokio::test]
async fn argo_own_displays_are_agreed_with() {
    let Some(source) = named("GONOGO_REAL_ARGO_SOURCE").map(PathBuf::from) else {
        return;
    };
    let displays = displays(&source);
    let testdata = source.join("pkg/kubectl-argo-rollouts/info/testdata");
    let mut agreed = 0;
    for folder in fs::read_dir(testdata).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let objects: Vec<Value> = files(&folder)
            .iter()
            .flat_map(|path| documents(path))
            .collect();
        let (rolling, owned): (Vec<Value>, Vec<Value>) = objects
            .into_iter()
            .partition(|object| object["kind"] == "Rollout");
        for rollout in rolling {
            let mut objects = owned.clone();
            objects.push(rollout);
            let (batch, _) = told(&objects).await;
            let fact = &rollouts(&batch)[0];
            let named: Vec<&Display> = displays
                .iter()
                .filter(|display| {
                    display
                        .get("Name")
                        .is_some_and(|name| *fact.id.name == **name)
                })
                .collect();
            if named.is_empty() {
                continue;
            }
            assert!(
                named.iter().any(|display| fits(display, fact)),
                "{}: {named:#?}\n{:?} {} step {:?} of {} weights {} {}",
                fact.id,
                fact.phase,
                fact.message,
                fact.step,
                fact.steps.len(),
                fact.weight_wanted,
                fact.weight_actual
            );
            agreed += 1;
        }
    }
    println!("{agreed} displays agreed with");
    assert!(6 <= agreed);
}

#[tokio::test]
async fn argo_own_manifests_can_all_be_read() {
    let Some(source) = named("GONOGO_REAL_ARGO_SOURCE").map(PathBuf::from) else {
        return;
    };
    let mut objects = Vec::new();
    for path in [
        files(&source.join("examples")),
        files(&source.join("test/e2e")),
    ]
    .concat()
    {
        for mut object in documents(&path) {
            if object["kind"] == "Rollout" {
                let number = objects.len();
                object["metadata"]["uid"] = json!(format!("u{number}"));
                object["metadata"]["namespace"] = json!("recsys");
                object["metadata"]["name"] =
                    json!(format!("{}-{number}", path.file_stem().unwrap().display()));
                objects.push(object);
            }
        }
    }
    let (batch, before) = told(&objects).await;
    let facts = rollouts(&batch);
    let unread: Vec<String> = before
        .iter()
        .filter_map(|observation| match observation {
            Observation::Failure(failure) => Some(failure.message.to_string()),
            _ => None,
        })
        .collect();
    println!(
        "{} of {} manifests read; not: {unread:#?}",
        facts.len(),
        objects.len()
    );
    assert_eq!(facts.len() + unread.len(), objects.len());
    // The project has one that is malformed on purpose.
    assert!(unread.len() <= 1, "{unread:#?}");
    for fact in facts {
        let unknown = |step: &&RolloutStep| matches!(step, RolloutStep::Unknown(_));
        assert_eq!(fact.steps.iter().find(unknown), None, "{}", fact.id);
    }
}
