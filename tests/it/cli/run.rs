//! Starting the binary, with nothing of the surrounding machine in it.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(
            self.out.contains(words) || self.err.contains(words),
            "`{words}` is not in {self:#?}"
        );
        self
    }
}

/// A command of the binary with a home of its own.
pub(crate) fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

pub(crate) fn run(home: &Path, arguments: &[&str]) -> Ran {
    finish(command(home, arguments))
}

pub(crate) fn finish(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A demo world that is only served; ends when dropped.
pub(crate) struct Demo {
    child: Child,
    folder: TempDir,
}

impl Demo {
    /// Starts a story, ten times as fast.
    pub(crate) fn start(story: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let serve = folder.path().to_str().unwrap().to_owned();
        let mut command = command(
            folder.path(),
            &["demo", story, "--speed", "10", "--serve", &serve],
        );
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        assert!(ready.starts_with("ready: "), "{ready}");
        Self { child, folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// Runs the binary on this world.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = command(self.folder.path(), arguments);
        command.env("GONOGO_CONFIG", self.config());
        finish(command)
    }

    /// The row of `status` for an environment.
    pub(crate) fn lane(&self, environment: &str) -> Value {
        let status = self.run(&["status", "--json"]).expect(0).json();
        let rows = status["releases"].as_array().unwrap().clone();
        rows.into_iter()
            .find(|row| row["environment"] == environment)
            .unwrap()
    }

    /// Asks until the answer is as wanted; the time is that of a busy machine.
    #[track_caller]
    pub(crate) fn until(&self, arguments: &[&str], code: i32) -> Ran {
        for _ in 0..120 {
            let ran = self.run(arguments);
            if ran.code == code {
                return ran;
            }
        }
        panic!(
            "`{arguments:?}` never ended with {code}: {:#?}",
            self.run(arguments)
        );
    }

    /// Sends SIGTERM and waits; the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have been stopped already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
