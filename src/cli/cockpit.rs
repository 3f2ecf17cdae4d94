//! Opens the cockpit on a terminal; where there is none, or none is wanted, a
//! stream of lines says the same.

use std::{
    ffi::OsString,
    hash::{BuildHasher, RandomState},
    io::IsTerminal,
};

use crate::{
    backend::Env,
    cli::{
        Stop,
        args::Global,
        exit::Exit,
        output::Out,
        panics,
        session::{self, Session},
        stream,
    },
    config::Config,
    engine::clear::Mode,
    ui::{
        drive::{self, Options},
        paint::Look,
        state::{Hint, Setup},
        text::Charset,
        theme::{Depth, Theme},
    },
};

/// What a browser needs to be found and shown; nothing else is handed to it.
const BROWSER_NEEDS: [&str; 7] = [
    "PATH",
    "HOME",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "BROWSER",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// What a demo adds: its badge and what it tells a first-time user.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) badge: Option<&'static str>,
    pub(super) coach: Vec<Hint>,
}

/// Opens the cockpit and stays until it is left.
pub(super) async fn open(
    config: Config,
    global: &Global,
    stage: Stage,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if global.plain || !on_terminal {
        let mut session = Session::start(config)?;
        let exit = stream::stream(&mut session, out).await;
        session.end().await;
        return Ok(exit);
    }
    if is_dumb(&session::surroundings().env) {
        return Err(Stop::new(
            Exit::Usage,
            "this terminal (TERM=dumb) cannot show a screen; the same in lines:\n  \
             gonogo status             where every release stands\n  \
             gonogo check [SERVICE]    may it go on, and why\n  \
             gonogo --plain            every change as a sentence",
        ));
    }
    let options = options(&config, stage);
    let session = Session::start(config)?;
    let left = tokio::select! {
        left = drive::run(session.handle.clone(), options) => left,
        never = panics::on_request("loop", session.handle.clone()) => match never {},
    };
    session.end().await;
    match left {
        Ok(0) => Ok(Exit::Ok),
        // 128 and the number of the signal that ended it.
        Ok(code) => Ok(Exit::Signal(code.saturating_sub(128))),
        Err(error) => Err(Stop::new(
            Exit::Internal,
            format!("the terminal went away: {error}"),
        )),
    }
}

fn options(config: &Config, stage: Stage) -> Options {
    let env = session::surroundings().env;
    let setup = Setup {
        look: Look {
            // The same names in the configuration and for `:theme`, tested there.
            theme: Theme::named(config.ui.theme.name()).unwrap_or_default(),
            depth: depth(&env),
            charset: if config.ui.ascii {
                Charset::Ascii
            } else {
                Charset::Unicode
            },
        },
        badge: stage.badge,
        coach: stage.coach,
        read_only: config.mode == Mode::ReadOnly,
        person: session::person(),
    };
    let terminal = env("TERM").unwrap_or_default();
    let browser_environment = BROWSER_NEEDS
        .into_iter()
        .filter_map(|name| Some((OsString::from(name), OsString::from(env(name)?))))
        .collect();
    Options {
        setup,
        seed: RandomState::new().hash_one(std::process::id()),
        // The Linux console and GNU screen print what they do not know.
        announced: !terminal.starts_with("screen") && terminal != "linux",
        browser_environment,
    }
}

/// Whether the terminal says that it can do nothing but print: an editor's
/// shell, a log. Control sequences would be garbage there.
fn is_dumb(env: &Env) -> bool {
    env("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// How many colours the terminal says it shows.
fn depth(env: &Env) -> Depth {
    let terminal = env("TERM").unwrap_or_default();
    let many =
        env("COLORTERM").is_some() || terminal.contains("256") || terminal.contains("direct");
    if many { Depth::Many } else { Depth::Sixteen }
}
