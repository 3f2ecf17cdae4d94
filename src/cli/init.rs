//! `gonogo init`: a first configuration from what is around.
//!
//! Looks, shows what it found, writes a commented file (never over one that is
//! there) and lets `doctor` try it. It asks for nothing and stores no
//! credential: tokens are named by where they are found.

mod around;
mod write;

use std::{io::Write as _, path::PathBuf};

use crate::{
    cli::{
        Stop,
        args::{Global, Init},
        doctor,
        exit::Exit,
        output::Out,
        session,
    },
    config::{self, env},
};

pub(super) async fn init(global: &Global, args: &Init, out: &mut Out) -> Result<Exit, Stop> {
    let path = place(global)?;
    if path.exists() && !args.dry_run {
        return Err(Stop::new(
            Exit::Refused,
            format!(
                "{} is there already and stays as it is; --config FILE names another place",
                path.display()
            ),
        ));
    }
    let found = around::look().await;
    out.lines(found.lines());
    let text = write::text(&found);
    // A file that gonogo cannot read itself is never written.
    let config = config::read_text(&text, &path, &session::surroundings()).map_err(|problems| {
        Stop::new(
            Exit::Internal,
            format!("the file would be wrong: {problems}"),
        )
    })?;
    if args.dry_run {
        out.line(format!("would write {}:", path.display()));
        out.lines(text.lines());
        return Ok(Exit::Ok);
    }
    save(&path, &text)?;
    out.line(format!("wrote {}", path.display()));
    let exit = doctor::doctor(config, false, out).await?;
    out.line(format!(
        "next: look through {}, then start `gonogo`",
        path.display()
    ));
    Ok(exit)
}

fn place(global: &Global) -> Result<PathBuf, Stop> {
    let named = global.config.clone().or_else(env::config);
    named.or_else(config::locate::usual).ok_or_else(|| {
        Stop::new(
            Exit::Usage,
            "there is no home folder to write to; name a place by --config FILE",
        )
    })
}

fn save(path: &PathBuf, text: &str) -> Result<(), Stop> {
    let trouble = |error: std::io::Error| {
        Stop::new(
            Exit::Failed,
            format!("could not write `{}`: {error}", path.display()),
        )
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(trouble)?;
    }
    // `create_new`: whoever made a file since we looked keeps it.
    let mut file = std::fs::File::create_new(path).map_err(trouble)?;
    file.write_all(text.as_bytes()).map_err(trouble)
}
