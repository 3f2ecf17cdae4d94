//! The command line: arguments in, lines and an exit code out.
//!
//! Commands and cockpit share one [`crate::app::Handle`]: they see the same
//! world, build the same plans and clear them the same way. A command decides
//! nothing of its own; it waits for facts, asks, prints and maps what it gets
//! to one row of [`exit::TABLE`].

mod act;
pub mod args;
mod audit;
mod check;
mod cockpit;
mod demo;
mod docs;
mod doctor;
pub mod exit;
mod explain;
mod init;
mod logs;
mod output;
mod panics;
mod session;
mod status;
mod stream;
mod watch;

use std::ffi::OsString;

use clap::Parser as _;
pub use panics::Panics;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    cli::{
        args::{Command, Global, Line},
        exit::Exit,
        output::Out,
        session::Session,
    },
    report::SCHEMA,
};

/// Why a command ended before its answer.
#[derive(Debug)]
struct Stop {
    exit: Exit,
    message: String,
}

impl Stop {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }
}

/// Reads the command line.
///
/// # Errors
///
/// How to exit: with 0 after help or version were printed, with 64 when it makes
/// no sense.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Line, Exit> {
    Line::try_parse_from(arguments).map_err(|error| {
        if error.exit_code() == 0 {
            // A reader that has gone does not need the help any more.
            drop(error.print());
            Exit::Ok
        } else {
            // It repeats what was typed, which may have been pasted.
            Out::new(false).remark(error.render());
            Exit::Usage
        }
    })
}

/// Runs a command, or the cockpit when there is none, until it ends or a
/// signal ends it. One that only waits for news ends when something panicked:
/// the news might never come.
pub async fn run(line: Line, panics: &Panics) -> Exit {
    let mut out = Out::new(line.global.plain);
    let wants_json = line.command.as_ref().is_some_and(wants_json);
    let in_lines = matches!(line.command, Some(Command::Watch(_)));
    // The cockpit and the demo end in their own way: there is a terminal to give
    // back, or a world to stop.
    let ends_itself = matches!(line.command, None | Some(Command::Demo(_)));
    let ended = if ends_itself {
        dispatch(line, &mut out).await
    } else {
        let mut ends = Ends::listen();
        let waits = line.command.as_ref().is_some_and(waits_for_news);
        let ended = tokio::select! {
            ended = dispatch(line, &mut out) => Ok(ended),
            number = ends.next() => Err(number),
            () = panics.wait(), if waits => Ok(Err(Stop::new(
                Exit::Panic,
                "a part of gonogo crashed, as told above: what it says from here on may be wrong",
            ))),
        };
        match ended {
            Ok(ended) => ended,
            Err(number) => {
                out.remark("gonogo: ended by a signal; whatever was sent is settled by looking at the next start");
                return Exit::Signal(number);
            }
        }
    };
    match ended {
        Ok(exit) => exit,
        Err(stop) => {
            let Stop { exit, message } = stop;
            let document = json!({
                "schema": SCHEMA,
                "code": exit.code(),
                "word": exit.word(),
                "error": message,
            });
            if wants_json && in_lines {
                out.json_line(&document);
            } else if wants_json {
                out.json(&document);
            } else if !message.is_empty() {
                out.remark(format!("gonogo: {message}"));
            }
            exit
        }
    }
}

/// The signals that ask a command to end. The cockpit has its own.
struct Ends([Option<Signal>; 3]);

impl Ends {
    /// Hang-up, interrupt and terminate, by their numbers.
    const NUMBERS: [u8; 3] = [1, 2, 15];

    /// Listens from here on. A signal that cannot be listened to ends the
    /// process by itself.
    fn listen() -> Self {
        Self([
            signal(SignalKind::hangup()).ok(),
            signal(SignalKind::interrupt()).ok(),
            signal(SignalKind::terminate()).ok(),
        ])
    }

    /// The number of the next one.
    async fn next(&mut self) -> u8 {
        let waits = self
            .0
            .iter_mut()
            .zip(Self::NUMBERS)
            .map(|(listener, number)| {
                Box::pin(async move {
                    let told = match listener {
                        Some(listener) => listener.recv().await,
                        None => None,
                    };
                    match told {
                        Some(()) => number,
                        None => std::future::pending().await,
                    }
                })
            });
        futures::future::select_all(waits).await.0
    }
}

async fn dispatch(line: Line, out: &mut Out) -> Result<Exit, Stop> {
    let Line { global, command } = line;
    let Some(command) = command else {
        let config = session::load(global.config.as_deref(), out)?;
        return cockpit::open(config, &global, cockpit::Stage::default(), out).await;
    };
    match command {
        Command::Status(args) => status::status(&mut open(&global, out)?, &args, out).await,
        Command::Check(args) => check::check(&mut open(&global, out)?, &args, out).await,
        Command::Watch(args) => watch::watch(&mut open(&global, out)?, &args, out).await,
        Command::Logs(args) => logs::logs(&mut open(&global, out)?, &args, out).await,
        Command::Doctor(json) => {
            let config = session::load(global.config.as_deref(), out)?;
            doctor::doctor(config, json.json, out).await
        }
        Command::Audit(args) => {
            let config = session::load(global.config.as_deref(), out)?;
            audit::audit(session::paths(&config)?, &args, out)
        }
        Command::Init(args) => init::init(&global, &args, out).await,
        Command::Config(args) => explain::config(global.config.as_deref(), args, out).await,
        Command::Completions { shell } => Ok(docs::completions(shell, out)),
        Command::Man { dir } => docs::man(dir.as_deref(), out),
        Command::Demo(args) => demo(&global, &args, out).await,
        acting => match act::wanted(acting) {
            Some(wanted) => act::act(&mut open(&global, out)?, &wanted, out).await,
            None => Ok(Exit::Ok),
        },
    }
}

/// Installs the hooks that print panics, and gives out what remembers them.
pub fn report_panics() -> Panics {
    panics::install()
}

/// Says that there is not even a runtime to run anything in, and how to exit.
pub fn not_started(why: &std::io::Error) -> Exit {
    Out::new(false).remark(format!("gonogo: could not start: {why}"));
    Exit::Internal
}

/// Reads the configuration and brings everything up.
fn open(global: &Global, out: &mut Out) -> Result<Session, Stop> {
    Session::start(session::load(global.config.as_deref(), out)?)
}

async fn demo(global: &Global, args: &args::Demo, out: &mut Out) -> Result<Exit, Stop> {
    if args.list {
        return Ok(demo::list(out));
    }
    let stage = demo::start(args).await?;
    if args.serve.is_some() {
        return Ok(stage.serve(out).await);
    }
    let ended = match stage.config(out) {
        Ok(config) => cockpit::open(config, global, stage.cockpit(), out).await,
        Err(stop) => Err(stop),
    };
    stage.end().await;
    ended
}

fn waits_for_news(command: &Command) -> bool {
    match command {
        Command::Watch(_) => true,
        Command::Check(check) => check.wait,
        _ => false,
    }
}

fn wants_json(command: &Command) -> bool {
    use args::{Audit, Config};
    match command {
        Command::Status(look) => look.json.json,
        Command::Check(check) => check.json.json,
        Command::Watch(watch) => watch.json.json,
        Command::Approve(answer) | Command::Reject(answer) => answer.act.json.json,
        Command::Hold(act)
        | Command::Continue(act)
        | Command::Skip(act)
        | Command::Abort(act)
        | Command::Retry(act)
        | Command::Cancel(act)
        | Command::Restart(act) => act.json.json,
        Command::Promote(promote) => promote.act.json.json,
        Command::Rollback(rollback) => rollback.act.json.json,
        Command::Rerun(rerun) => rerun.act.json.json,
        Command::Dispatch(dispatch) => dispatch.act.json.json,
        Command::Audit(
            Audit::Log { json, .. } | Audit::Show { json, .. } | Audit::Verify { json, .. },
        )
        | Command::Config(Config::Check(json) | Config::Explain(json))
        | Command::Doctor(json) => json.json,
        Command::Logs(_)
        | Command::Init(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Demo(_) => false,
    }
}
