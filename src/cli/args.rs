//! What can be said on the command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueHint};

/// The release cockpit for machine-learning releases: one release, one screen,
/// GO / HOLD / NO-GO with reasons.
///
/// Without a command the cockpit opens.
#[derive(Debug, Parser)]
#[command(name = "gonogo", version, max_term_width = 100, after_help = AFTER)]
pub struct Line {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const AFTER: &str = "\
Exit codes: 0 ok · 1 no-go · 2 waiting · 3 not proven · 4 refused · 5 failed · 6 unsettled ·
64 usage · 70 internal · 101 crashed · 128+n ended by signal n. `gonogo man` explains them.

First time here?  gonogo demo    a release to steer, nothing to set up
                  gonogo init    a configuration from what is around you";

/// What holds for every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Use this configuration and no other
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Sentences line by line: no tables, no full screen
    #[arg(long, global = true)]
    pub plain: bool,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Where every release stands
    Status(Look),
    /// May this release go on? The exit code is the answer
    Check(Check),
    /// Tell every change of a release until it has ended
    Watch(Watch),
    /// Say yes to the environment that waits for approval
    Approve(Answer),
    /// Say no to the environment that waits for approval
    Reject(Answer),
    /// Stop the canary where it is
    Hold(Act),
    /// Undo a hold, else end the pause step
    Continue(Act),
    /// Leave the running step
    Skip(Act),
    /// To 100 % of the environment and the champion alias, as one plan
    Promote(Promote),
    /// Traffic back to the stable revision; the spec stays
    Abort(Act),
    /// Users back on an earlier version
    Rollback(Rollback),
    /// Start an aborted rollout again from its first step
    Retry(Act),
    /// Run the failed jobs of the release's run again
    Rerun(Rerun),
    /// Stop the release's run
    Cancel(Act),
    /// Start a new run
    Dispatch(Dispatch),
    /// Replace all pods
    Restart(Act),
    /// The log of a job of the release's run
    Logs(Logs),
    /// Read and check the ledger of everything that was done
    #[command(subcommand)]
    Audit(Audit),
    /// Look at every backend: reach, version, clock, identity, permissions
    Doctor(Json),
    /// Write a first configuration from what is around
    Init(Init),
    /// Check or explain the configuration
    #[command(subcommand)]
    Config(Config),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write all of them
    Man {
        /// Write one page per command into this folder
        #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
    /// A whole outside world on this machine, to try everything on
    Demo(Demo),
}

/// Prints JSON.
#[derive(Clone, Copy, Debug, Args)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which release.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// The service; without it, all
    pub service: Option<String>,
    /// The environment; without it, all of the service
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
}

/// `status`
#[derive(Clone, Debug, Args)]
pub struct Look {
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// Output.
    #[command(flatten)]
    pub json: Json,
    /// How long to wait for the first answers
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    pub timeout: Duration,
}

/// `check`
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// Output.
    #[command(flatten)]
    pub json: Json,
    /// Wait until the answer is no longer HOLD (waiting)
    #[arg(long)]
    pub wait: bool,
    /// How long to wait for the first answers, and with --wait for the decision
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub timeout: Option<Duration>,
}

/// `watch`
#[derive(Clone, Debug, Args)]
pub struct Watch {
    /// The service
    pub service: String,
    /// The environment, if the service has several
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Output.
    #[command(flatten)]
    pub json: Json,
    /// Stop watching after this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub timeout: Option<Duration>,
}

/// What every command that acts takes.
#[derive(Clone, Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub struct Act {
    /// The service
    pub service: String,
    /// The environment, if the service has several
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Do it without asking; needed without a terminal
    #[arg(long)]
    pub yes: bool,
    /// Print what would be done, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Output.
    #[command(flatten)]
    pub json: Json,
    /// Why; kept in the ledger and by backends that keep comments
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Go ahead on GO WITH WARNINGS
    #[arg(long)]
    pub accept_warnings: bool,
    /// Go past a rule or a decision, where the policy allows it
    #[arg(long = "override", requires = "reason")]
    pub overriding: bool,
    /// How long to wait for the backends' first answers
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    pub timeout: Duration,
}

/// `approve`, `reject`
#[derive(Clone, Debug, Args)]
pub struct Answer {
    /// What every act takes.
    #[command(flatten)]
    pub act: Act,
    /// The waiting environment by the name the backend has for it, if several wait
    #[arg(long, value_name = "NAME")]
    pub gate: Option<String>,
}

/// `promote`
#[derive(Clone, Debug, Args)]
pub struct Promote {
    /// What every act takes.
    #[command(flatten)]
    pub act: Act,
    /// Skip the remaining steps of a running canary
    #[arg(long)]
    pub full: bool,
}

/// `rollback`
#[derive(Clone, Debug, Args)]
pub struct Rollback {
    /// What every act takes.
    #[command(flatten)]
    pub act: Act,
    /// Where to, by version or pod hash; without it, what last held 100 %
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
}

/// `rerun`
#[derive(Clone, Debug, Args)]
pub struct Rerun {
    /// What every act takes.
    #[command(flatten)]
    pub act: Act,
    /// All jobs, not only the failed ones
    #[arg(long)]
    pub all: bool,
}

/// `dispatch`
#[derive(Clone, Debug, Args)]
pub struct Dispatch {
    /// What every act takes.
    #[command(flatten)]
    pub act: Act,
    /// The branch or tag to run on
    #[arg(long = "ref", value_name = "NAME")]
    pub reference: String,
    /// An input of the pipeline; may be given several times
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = input)]
    pub inputs: Vec<(String, String)>,
}

/// `logs`
#[derive(Clone, Debug, Args)]
pub struct Logs {
    /// The service
    pub service: String,
    /// The environment, if the service has several
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Jobs whose name contains this; without it, the failed ones
    #[arg(long, value_name = "TEXT")]
    pub job: Option<String>,
    /// How long to wait for the first answers
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    pub timeout: Duration,
}

/// `audit …`
#[derive(Clone, Debug, Subcommand)]
pub enum Audit {
    /// What was done, newest last
    Log {
        /// Only of this service
        service: Option<String>,
        /// At most this many lines
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// Output.
        #[command(flatten)]
        json: Json,
    },
    /// One line, or all lines of one plan, with everything in them
    Show {
        /// The number of a line, or the name of a plan
        what: String,
        /// Output.
        #[command(flatten)]
        json: Json,
    },
    /// Is the ledger what was written? Names every line that is not
    Verify {
        /// A checkpoint kept elsewhere, as this command prints it
        #[arg(long, value_name = "NUMBER:HASH", value_parser = checkpoint)]
        checkpoint: Option<(u64, String)>,
        /// Output.
        #[command(flatten)]
        json: Json,
    },
}

/// `init`
#[derive(Clone, Debug, Args)]
pub struct Init {
    /// Only print what would be written
    #[arg(long)]
    pub dry_run: bool,
}

/// `config …`
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Config {
    /// Read it and say everything that is wrong
    Check(Json),
    /// Every value in force and where it comes from
    Explain(Json),
}

/// `demo`
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// The story to play; `--list` names them
    #[arg(default_value = "canary")]
    pub scenario: String,
    /// List the stories
    #[arg(long)]
    pub list: bool,
    /// Waits, pauses and intervals take this fraction of their time
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Only serve: write config.toml, kubeconfig and endpoints.json into this folder
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub serve: Option<PathBuf>,
}

fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "expected a time such as 30s or 5m".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=1000.0).contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err("expected a number from 0.1 to 1000".to_owned()),
    }
}

fn input(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("expected NAME=VALUE".to_owned()),
    }
}

fn checkpoint(text: &str) -> Result<(u64, String), String> {
    let parts = text
        .split_once(':')
        .and_then(|(seq, hash)| Some((seq.parse().ok()?, hash.to_owned())));
    parts
        .filter(|(_, hash): &(u64, String)| hash.starts_with("sha256:"))
        .ok_or_else(|| "expected NUMBER:sha256:… as `gonogo audit verify` prints it".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Line::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_canon_is_there() {
        let command = Line::command();
        let names: Vec<&str> = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        assert_eq!(
            names.join(" "),
            "status check watch approve reject hold continue skip promote abort rollback retry \
             rerun cancel dispatch restart logs audit doctor init config completions man demo"
        );
    }
}
