//! `docs/reference.md`: every key, command and exit code, written by the program.

use std::{fmt::Write as _, fs, path::Path};

use gonogo::{cli::exit, ui::keymap::BINDINGS};

use super::run::run;

const FILE: &str = "docs/reference.md";

/// Commands below `path`, as its help lists them.
fn below(help: &str) -> Vec<String> {
    let listed = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "));
    listed
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn commands(home: &Path, path: &[String], out: &mut String) {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = run(home, &arguments).expect(0).out;
    let name = ["gonogo".to_owned()].into_iter().chain(path.to_vec());
    let name = name.collect::<Vec<_>>().join(" ");
    write!(out, "\n### {name}\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
    for sub in below(&help) {
        commands(home, &[path, &[sub]].concat(), out);
    }
}

fn reference(home: &Path) -> String {
    let mut out = "# Reference\n\nWritten by the program: `UPDATE_DOCS=1 cargo test --test it cli::reference`.\n\n## Keys\n\n| key | screens | what it does |\n|---|---|---|\n".to_owned();
    for binding in BINDINGS {
        let screens: Vec<&str> = binding.screens.iter().map(|screen| screen.name()).collect();
        let screens = if screens.is_empty() {
            "all".to_owned()
        } else {
            screens.join(", ")
        };
        let label = binding.label.replace('|', "\\|");
        writeln!(out, "| `{label}` | {screens} | {} |", binding.help).unwrap();
    }
    out.push_str("\n## Exit codes\n\n| exit | word | means |\n|--:|---|---|\n");
    for (exit, meaning) in exit::TABLE {
        writeln!(out, "| {} | {} | {meaning} |", exit.code(), exit.word()).unwrap();
    }
    out.push_str("| 128+n | signal | ended by signal n |\n\n## Commands\n");
    commands(home, &[], &mut out);
    out
}

#[test]
fn the_reference_is_what_the_program_says() {
    let home = tempfile::tempdir().unwrap();
    let now = reference(home.path());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(FILE, &now).unwrap();
    }
    let kept = fs::read_to_string(FILE).unwrap_or_default();
    assert!(kept == now, "{FILE} is out of date: run with UPDATE_DOCS=1");
}

#[test]
fn the_readme_names_the_keys_that_act_and_the_exit_codes_as_they_are() {
    let readme = fs::read_to_string("README.md").unwrap();
    let rows: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    for binding in BINDINGS {
        let Some(letter) = binding.keys.iter().find_map(|key| key.capital()) else {
            continue;
        };
        if !binding.command.acts() {
            continue;
        }
        let start = format!("| `{letter}` {}", binding.hint);
        assert!(rows.iter().any(|row| row.starts_with(&start)), "{start}");
    }
    for (exit, _) in exit::TABLE {
        let start = format!("| {} | {} |", exit.code(), exit.word());
        let together = ["| 70, 101, 128+n |"];
        assert!(
            exit.code() >= 70 && rows.iter().any(|row| row.starts_with(together[0]))
                || rows.iter().any(|row| row.starts_with(&start)),
            "{start}"
        );
    }
}
