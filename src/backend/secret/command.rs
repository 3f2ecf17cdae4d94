//! Runs the program that prints a credential, without a shell.

use std::{process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time,
};

use crate::backend::secret::redactor;

/// Splits a command line at white space; single and double quotes group, a
/// backslash takes the next character as it is (not inside single quotes).
/// Nothing is expanded. `None` when a quote is not closed.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some('"'), '\\') => {
                let next = rest.next()?;
                let word = word.get_or_insert_default();
                // As in a shell, a backslash between double quotes only takes
                // the meaning from these.
                if !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().push(rest.next()?),
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (Some(_) | None, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// What a program prints that gives credentials. It runs without input, its
/// error output is dropped (it may hold what we are after), it gets none of
/// our own credentials, and it is killed with everything it started when it
/// takes longer than `limit` or prints more than `most` bytes.
///
/// # Errors
///
/// Why there is no output, in words without anything it printed.
pub(in crate::backend) async fn output(
    mut command: Command,
    limit: Duration,
    most: u64,
) -> Result<Vec<u8>, String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let mut group = Group(
        command
            .spawn()
            .map_err(|error| format!("it did not start: {}", error.kind()))?,
    );
    let stdout = group.0.stdout.take().ok_or("it has no output")?;
    let run = async {
        let mut printed = Vec::new();
        stdout
            .take(most + 1)
            .read_to_end(&mut printed)
            .await
            .map_err(|error| format!("its output cannot be read: {}", error.kind()))?;
        if printed.len() as u64 > most {
            return Err("it prints too much for a credential".to_owned());
        }
        let status = group
            .0
            .wait()
            .await
            .map_err(|error| format!("its end is not known: {}", error.kind()))?;
        if status.success() {
            Ok(printed)
        } else {
            Err(format!("it ended with {status}"))
        }
    };
    time::timeout(limit, run)
        .await
        .map_err(|_| format!("it gave nothing in {}", humantime::format_duration(limit)))?
}

/// Takes variables that hold credentials of ours out of what a program gets.
pub(in crate::backend) fn without_our_secrets(command: &mut Command) {
    for name in redactor::variables() {
        command.env_remove(name);
    }
}

/// A program that leads a process group of its own. Dropped before its end is
/// known, it is killed with everything it started: a shell script that hangs
/// hangs in one of its children.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // None once its end is known; then the number may be somebody else's.
        let leader = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(leader) = leader.and_then(Pid::from_raw) {
            // It may just have ended by itself.
            kill_process_group(leader, Signal::KILL).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_group_and_nothing_is_expanded() {
        let line = r#"a 'b  c' "d $e \" \n" f\ g "" h'i'j"#;
        let expected = ["a", "b  c", r#"d $e " \n"#, "f g", "", "hij"];
        assert_eq!(words(line).unwrap(), expected);
        assert!(words("a 'b").is_none());
        assert!(words("a \"b").is_none());
        assert!(words("a \\").is_none());
    }

    fn program(words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        let error = output(program(&["sleep", "60"]), Duration::from_millis(50), 10).await;
        assert_eq!(error.unwrap_err(), "it gave nothing in 50ms");
    }

    #[tokio::test]
    async fn a_flood_is_refused() {
        let error = output(program(&["yes", "flood"]), Duration::from_secs(60), 100).await;
        assert!(error.unwrap_err().contains("too much"));
    }

    #[tokio::test]
    async fn a_program_given_up_takes_with_it_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = program(&["mkfifo", pipe.to_str().unwrap()]).status().await;
        assert!(made.unwrap().success());
        // The child of the shell holds the pipe; its end is read when nobody does.
        let script = format!("sleep 60 > '{}' & wait", pipe.display());
        let (opened, is_open) = tokio::sync::oneshot::channel();
        let (ended, has_ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut pipe = std::fs::File::open(pipe).unwrap();
            opened.send(()).unwrap();
            std::io::Read::read_to_end(&mut pipe, &mut Vec::new()).unwrap();
            // Nobody listens any more when it took too long.
            ended.send(()).ok();
        });
        tokio::select! {
            early = output(program(&["sh", "-c", &script]), Duration::from_secs(60), 10) => {
                panic!("{early:?}")
            }
            is_open = is_open => is_open.unwrap(),
        }
        time::timeout(Duration::from_secs(20), has_ended)
            .await
            .expect("the child is gone")
            .unwrap();
    }
}
