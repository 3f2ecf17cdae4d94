//! Habits of the repository that no compiler checks.

use std::{fs, path::Path};

use crate::layers::rust_files;

fn sources() -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for folder in ["src", "tests"] {
        for file in rust_files(Path::new(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            sources.push((file.display().to_string(), text));
        }
    }
    sources
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(file, _)| file)
        .collect();
    assert!(silent.is_empty(), "no `//!` header: {silent:#?}");
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        "TO".to_owned() + "DO",
        "FIX".to_owned() + "ME",
        "XX".to_owned() + "X",
    ];
    let mut left = Vec::new();
    for (file, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                left.push(format!("{file}:{}: {line}", number + 1));
            }
        }
    }
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn every_factory_has_its_row_in_the_registry() {
    let registry = fs::read_to_string("src/backend/mod.rs").unwrap();
    let table = registry.split("static REGISTRY").nth(1).unwrap();
    let table = table.split("];").next().unwrap();
    for file in rust_files(Path::new("src/backend")) {
        let text = fs::read_to_string(&file).unwrap();
        for rest in text.split("impl Factory for ").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
            assert!(
                table.contains(&name),
                "{}: `{name}` has no row",
                file.display()
            );
        }
    }
    let kinds: Vec<&str> = gonogo::backend::REGISTRY
        .iter()
        .map(|factory| factory.kind())
        .collect();
    assert!(kinds.is_sorted(), "rows are sorted by kind: {kinds:?}");
}

#[test]
fn only_one_place_reads_the_environment_and_one_the_clock() {
    for (file, text) in sources() {
        if file.starts_with("src") {
            for (word, place) in [
                ("std::env::var", "src/config/env.rs"),
                ("Utc::now", "src/app/clock.rs"),
            ] {
                assert!(
                    file == place || file.starts_with("src/sim") || !text.contains(word),
                    "{file} says `{word}`"
                );
            }
        }
    }
}
