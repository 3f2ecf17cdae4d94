//! Runs the program that prints a credential, without a shell.

use std::{process::Stdio, time::Duration};

use tokio::{io::AsyncReadExt, process::Command, time};

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

/// What the program prints. Its error output is dropped: it is not ours to
/// show, since it may hold what we are after.
///
/// # Errors
///
/// Why there is no output, in words without anything it printed.
pub(super) async fn output(
    program: &str,
    args: &[String],
    limit: Duration,
    most: u64,
) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for name in redactor::variables() {
        command.env_remove(name);
    }
    let mut child = command
        .spawn()
        .map_err(|error| format!("the program did not start: {}", error.kind()))?;
    let stdout = child.stdout.take().ok_or("it has no output")?;
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
        let status = child
            .wait()
            .await
            .map_err(|error| format!("its end is not known: {}", error.kind()))?;
        if status.success() {
            Ok(printed)
        } else {
            Err(format!("the program ended with {status}"))
        }
    };
    time::timeout(limit, run)
        .await
        .map_err(|_| format!("the program printed nothing in {} s", limit.as_secs()))?
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

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        let args = ["60".to_owned()];
        let error = output("sleep", &args, Duration::from_millis(50), 10).await;
        assert!(error.unwrap_err().contains("printed nothing"));
    }

    #[tokio::test]
    async fn a_flood_is_refused() {
        let args = ["flood".to_owned()];
        let error = output("yes", &args, Duration::from_secs(5), 100).await;
        assert!(error.unwrap_err().contains("too much"));
    }
}
