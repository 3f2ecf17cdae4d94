//! The layer picture of `src/lib.rs`, as a test.
//!
//! In one crate nothing else stops a lower layer from naming a higher one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Who may name whom. A module may always name itself.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("sim", &[]),
    ("engine", &["domain"]),
    ("backend", &["domain"]),
    ("store", &["domain"]),
    ("report", &["domain", "engine"]),
    ("config", &["domain", "engine", "backend", "store"]),
    (
        "app",
        &["domain", "engine", "backend", "store", "report", "config"],
    ),
    (
        "ui",
        &[
            "domain", "engine", "backend", "store", "report", "config", "app",
        ],
    ),
    (
        "cli",
        &[
            "domain", "engine", "backend", "store", "report", "config", "app", "ui", "sim",
        ],
    ),
];

#[test]
fn modules_only_look_down_the_stack() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut broken = Vec::new();
    for file in rust_files(Path::new("src")) {
        let Some(layer) = layer_of(&file) else {
            continue;
        };
        let Some(allowed) = allowed.get(layer.as_str()) else {
            broken.push(format!(
                "{}: `{layer}` is in no row of the table",
                file.display()
            ));
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        for target in named_layers(&text) {
            if target != layer && !allowed.contains(&target.as_str()) {
                broken.push(format!(
                    "{}: `{layer}` must not use `{target}`",
                    file.display()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn a_planted_mistake_is_found() {
    let named = named_layers(
        "use crate::{domain::{id::X, text}, engine, ui::screen};\n// crate::sim is only a remark\nlet x = crate::app::now();",
    );
    assert_eq!(
        named,
        ["app", "domain", "engine", "ui"].map(str::to_owned).into()
    );
}

/// The module of the first level a file belongs to: `src/ui/text.rs` and
/// `src/ui.rs` both to `ui`; `lib.rs` and `main.rs` to none.
fn layer_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix("src").unwrap();
    let first = inside.components().next()?;
    let name = Path::new(first.as_os_str())
        .file_stem()?
        .to_str()?
        .to_owned();
    (!["lib", "main"].contains(&name.as_str())).then_some(name)
}

/// Every `x` in `crate::x` and in the first level of `crate::{x::…, y::…}`.
fn named_layers(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut named = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => named.extend(first_level(group)),
            None => {
                named.insert(first_segment(rest));
            }
        }
    }
    named.retain(|name| ALLOWED.iter().any(|(layer, _)| layer == name));
    named
}

fn first_level(group: &str) -> Vec<String> {
    let mut depth = 0_u32;
    let mut word = String::new();
    let mut words = Vec::new();
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => words.push(first_segment(&std::mem::take(&mut word))),
            other if depth == 0 => word.push(other),
            _ => {}
        }
    }
    words.push(first_segment(&word));
    words
}

fn first_segment(path: &str) -> String {
    path.trim()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
