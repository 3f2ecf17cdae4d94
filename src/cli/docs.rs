//! Completions and manual pages, made from the command line itself.

use std::{fs, path::Path};

use clap::CommandFactory as _;

use crate::cli::{
    Stop,
    args::Line,
    exit::{Exit, TABLE},
    output::Out,
};

/// Prints completions. Made in memory first: a reader that goes away early is
/// no reason to fail.
pub(super) fn completions(shell: clap_complete::Shell, out: &mut Out) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Line::command(), "gonogo", &mut text);
    out.raw(&text);
    Exit::Ok
}

/// Prints the main page, or writes a page for every command into a folder.
pub(super) fn man(folder: Option<&Path>, out: &mut Out) -> Result<Exit, Stop> {
    let mut command = Line::command();
    command.build();
    let Some(folder) = folder else {
        out.raw(&page(command, "gonogo")?);
        return Ok(Exit::Ok);
    };
    let trouble = |error: std::io::Error| {
        Stop::new(
            Exit::Failed,
            format!(
                "could not write manual pages to `{}`: {error}",
                folder.display()
            ),
        )
    };
    fs::create_dir_all(folder).map_err(trouble)?;
    let mut pages = vec![("gonogo".to_owned(), command.clone())];
    collect(&command, "gonogo", &mut pages);
    for (name, command) in pages {
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page(command, &name)?).map_err(trouble)?;
        out.line(path.display());
    }
    Ok(Exit::Ok)
}

fn collect(command: &clap::Command, name: &str, pages: &mut Vec<(String, clap::Command)>) {
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        let name = format!("{name}-{}", sub.get_name());
        pages.push((name.clone(), sub.clone()));
        collect(sub, &name, pages);
    }
}

fn page(command: clap::Command, name: &str) -> Result<Vec<u8>, Stop> {
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command).title(name);
    page.render(&mut text).map_err(|error| {
        Stop::new(
            Exit::Internal,
            format!("could not make the manual page: {error}"),
        )
    })?;
    if name == "gonogo" {
        text.extend_from_slice(exit_codes().as_bytes());
    }
    Ok(text)
}

/// The section on exit codes, from the one table.
fn exit_codes() -> String {
    let mut text = ".SH \"EXIT STATUS\"\n".to_owned();
    for (exit, meaning) in TABLE {
        text.push_str(&format!(
            ".TP\n\\fB{}\\fR {}\n{}\n",
            exit.code(),
            exit.word(),
            meaning.replace('-', "\\-")
        ));
    }
    text.push_str(".TP\n\\fB128+n\\fR\nended by signal n\n");
    text
}
