//! `gonogo init` in a home where `git` and `gh` are ours.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::run::{Ran, command, finish};

fn program(folder: &Path, name: &str, body: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(home.path().join(".github/workflows")).unwrap();
    for name in ["lint.yml", "ml-cicd.yml", "notes.txt"] {
        fs::write(
            home.path().join(".github/workflows").join(name),
            "name: x\n",
        )
        .unwrap();
    }
    program(&bin, "git", "echo git@localhost:acme/recsys.git");
    program(&bin, "gh", "echo gho_planted_token");
    home
}

fn init(home: &Path, arguments: &[&str]) -> Ran {
    let mut all = vec!["init"];
    all.extend(arguments);
    let mut command = command(home, &all);
    command
        .env("PATH", home.join("bin"))
        .env("MLFLOW_TRACKING_URI", "http://user:planted@127.0.0.1:9")
        .env("MLFLOW_TRACKING_TOKEN", "planted");
    finish(command)
}

#[test]
fn what_is_around_is_shown_and_becomes_a_file_that_gonogo_reads() {
    let home = home();
    let preview = init(home.path(), &["--dry-run"]).expect(0);
    for words in [
        "acme/recsys on localhost",
        "ml-cicd.yml, lint.yml",
        "gh is signed in",
        "http://…@127.0.0.1:9",
    ] {
        assert!(preview.out.contains(words), "{words}: {}", preview.out);
    }
    let place = home.path().join(".config/gonogo/config.toml");
    assert!(!place.exists());
    // Nothing listens at these addresses, so the doctor finds backends out: 5.
    let ran = init(home.path(), &[]).expect(5);
    let text = fs::read_to_string(&place).unwrap();
    for line in [
        "token = \"cmd:gh auth token --hostname localhost\"",
        // No rollout was found: the sample keeps the run that was.
        "# run = { backend = \"gh\", repo = \"acme/recsys\", workflow = \"ml-cicd.yml\" }",
        "\ntoken = \"env:MLFLOW_TRACKING_TOKEN\"",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("[backend.mlflow]"), "{text}");
    for secret in ["gho_planted_token", "user:planted"] {
        assert!(!text.contains(secret) && !ran.out.contains(secret) && !ran.err.contains(secret));
    }
}

#[test]
fn a_file_that_is_there_is_never_written_over() {
    let home = home();
    let place = home.path().join("mine.toml");
    fs::write(&place, "# mine\n").unwrap();
    init(home.path(), &["--config", "mine.toml"])
        .expect(4)
        .says("stays as it is");
    assert_eq!(fs::read_to_string(&place).unwrap(), "# mine\n");
}

#[test]
fn every_rollout_of_the_current_context_becomes_a_service() {
    let home = home();
    let demo = super::run::Demo::start("canary");
    let kubeconfig = demo.folder().join("kubeconfig");
    let mut command = command(home.path(), &["init", "--config", "mine.toml"]);
    command
        .env("PATH", home.path().join("bin"))
        .env("KUBECONFIG", &kubeconfig);
    let ran = finish(command);
    assert!(
        ran.out.contains("current demo") && ran.out.contains("/ranker"),
        "{ran:#?}"
    );
    let text = fs::read_to_string(home.path().join("mine.toml")).unwrap();
    assert!(
        text.contains("context = \"demo\"") && text.contains("[service."),
        "{text}"
    );
    let mut status =
        super::run::command(home.path(), &["--config", "mine.toml", "status", "--json"]);
    status.env("KUBECONFIG", &kubeconfig);
    let status = finish(status).expect(0).json();
    let stages: Vec<&str> = status["releases"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["stage"].as_str())
        .collect();
    assert!(stages.contains(&"canary 5/7"), "{status:#}");
}
