//! Credentials: named in the configuration, fetched when first needed, shown never.
//!
//! The configuration holds a [`SecretRef`] (`env:GITHUB_TOKEN`), not a value. A
//! [`Secret`] is what it resolves to: no `Display`, masked `Debug`, wiped from
//! memory when dropped. Whatever is resolved is remembered by the process-wide
//! [`redactor`], so that a backend that echoes our token in an error
//! body cannot carry it to a screen. When a token expires and is fetched anew
//! is decided in [`crate::backend::http`].

pub(in crate::backend) mod command;
pub mod redactor;

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};
use tokio::process::Command;

pub use crate::backend::secret::redactor::{redact, redact_line};
use crate::{
    backend::{BackendError, ErrorKind, Setup},
    domain::text::Clean,
};

/// Longest credential that is accepted, in bytes.
const LIMIT: u64 = 64 * 1024;
/// How long a command may take to print a credential.
const COMMAND_TIME: Duration = Duration::from_secs(10);
/// What is accepted, for error messages that must not repeat what was written.
const EXPECTED: &str = "a reference to a secret: `env:NAME`, `file:PATH` or `cmd:PROGRAM ARGS`, \
                        never the secret itself";

/// A credential. Shown as a mask, wiped when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a credential and has the [`redactor`] remember it.
    pub fn new(raw: String) -> Self {
        redactor::remember(&raw);
        Self(raw.into())
    }

    /// The credential itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(masked)")
    }
}

/// Where a credential is found.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRef(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    /// The environment variable of this name.
    Env(String),
    /// The content of this file; relative paths start at the configuration's folder.
    File(PathBuf),
    /// What this program prints; run without a shell.
    Command { program: String, args: Vec<String> },
}

impl SecretRef {
    /// Fetches the credential: reads the variable or the file, or runs the
    /// command (at most ten seconds, without input, without the variables that
    /// hold other credentials of ours). White space around it is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthenticated`] when nothing usable is there. The message
    /// names the reference and never holds what was found.
    pub async fn resolve(&self, setup: &Setup) -> Result<Secret, BackendError> {
        let found = match &self.0 {
            Source::Env(name) => (setup.env)(name)
                .ok_or_else(|| self.trouble("the variable is not set"))?
                .into_bytes(),
            Source::File(path) => self.read_file(path, setup).await?,
            Source::Command { program, args } => {
                let mut command = Command::new(program);
                command.args(args);
                command::without_our_secrets(&mut command);
                command::output(command, COMMAND_TIME, LIMIT)
                    .await
                    .map_err(|why| self.trouble(&why))?
            }
        };
        let text = String::from_utf8(found).map_err(|_| self.trouble("it is not text"))?;
        // What stands for bytes that are none, in an environment variable.
        if text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(self.trouble("it is not text"));
        }
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(self.trouble("it is empty"));
        }
        if trimmed.chars().any(char::is_control) {
            return Err(self.trouble("it has several lines or control characters"));
        }
        Ok(Secret::new(trimmed.to_owned()))
    }

    /// Looks whether a file that is named holds a credential, and forgets it.
    /// Variables and commands are asked when a backend needs them: they may be
    /// there only then.
    ///
    /// # Errors
    ///
    /// As [`Self::resolve`].
    pub async fn check_file(&self, setup: &Setup) -> Result<(), BackendError> {
        match &self.0 {
            Source::File(_) => self.resolve(setup).await.map(drop),
            Source::Env(_) | Source::Command { .. } => Ok(()),
        }
    }

    async fn read_file(&self, path: &PathBuf, setup: &Setup) -> Result<Vec<u8>, BackendError> {
        let path = match path.strip_prefix("~") {
            Ok(rest) => {
                PathBuf::from((setup.env)("HOME").ok_or_else(|| self.trouble("`HOME` is not set"))?)
                    .join(rest)
            }
            Err(_) => setup.base.join(path),
        };
        let unread = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                self.trouble(&format!("there is no file `{}`", path.display()))
            }
            kind => self.trouble(&format!("`{}`: {kind}", path.display())),
        };
        let about = tokio::fs::metadata(&path).await.map_err(unread)?;
        if !about.is_file() || about.len() > LIMIT {
            return Err(self.trouble("it is no file, or too large for a credential"));
        }
        tokio::fs::read(&path).await.map_err(unread)
    }

    fn trouble(&self, why: &str) -> BackendError {
        BackendError::new(
            ErrorKind::Unauthenticated,
            Clean::line(&format!("no credential from `{self}`: {why}")),
        )
    }
}

/// The reference as far as it can be shown: of a command only the program,
/// because arguments can hold anything.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Env(name) => write!(f, "env:{name}"),
            Source::File(path) => write!(f, "file:{}", path.display()),
            Source::Command { program, args } if args.is_empty() => write!(f, "cmd:{program}"),
            Source::Command { program, .. } => write!(f, "cmd:{program} …"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

/// What was written is no reference. Its text says what is expected and never
/// what was written, because that may well be the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {EXPECTED}")]
pub struct NotAReference;

impl FromStr for SecretRef {
    type Err = NotAReference;

    fn from_str(written: &str) -> Result<Self, NotAReference> {
        let (kind, rest) = written.split_once(':').ok_or(NotAReference)?;
        let rest = rest.trim();
        if rest.is_empty() {
            return Err(NotAReference);
        }
        match kind {
            "env" => {
                let is_name = rest
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                    && !rest.starts_with(|first: char| first.is_ascii_digit());
                if !is_name {
                    return Err(NotAReference);
                }
                redactor::remember_variable(rest);
                Ok(Self(Source::Env(rest.to_owned())))
            }
            "file" => Ok(Self(Source::File(PathBuf::from(rest)))),
            "cmd" => {
                let mut words = command::words(rest).ok_or(NotAReference)?.into_iter();
                let program = words.next().ok_or(NotAReference)?;
                Ok(Self(Source::Command {
                    program,
                    args: words.collect(),
                }))
            }
            _ => Err(NotAReference),
        }
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        // A visitor of its own: serde's own message for a wrong type repeats
        // the value.
        impl de::Visitor<'_> for Written {
            type Value = SecretRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: de::Error>(self, written: &str) -> Result<SecretRef, E> {
                written.parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretRef, E> {
                Err(E::custom(NotAReference))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
                Err(E::custom(NotAReference))
            }
        }

        deserializer.deserialize_str(Written)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Arc};

    use super::*;

    fn setup(base: &std::path::Path) -> Setup {
        Setup {
            catalog: Arc::default(),
            now: Arc::new(|| chrono::DateTime::UNIX_EPOCH),
            base: base.to_owned(),
            env: Arc::new(|name| match name {
                "GONOGO_TEST_SET" => Some("from-env-71\n".to_owned()),
                "GONOGO_TEST_BYTES" => Some("from\u{fffd}env-71".to_owned()),
                _ => None,
            }),
        }
    }

    async fn resolved(reference: &str) -> Result<String, String> {
        reference
            .parse::<SecretRef>()
            .unwrap()
            .resolve(&setup(std::path::Path::new("/")))
            .await
            .map(|secret| secret.expose().to_owned())
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_variable_is_read_and_trimmed() {
        assert_eq!(
            resolved("env:GONOGO_TEST_SET").await.unwrap(),
            "from-env-71"
        );
        let missing = resolved("env:GONOGO_TEST_UNSET").await.unwrap_err();
        assert_eq!(
            missing,
            "credentials refused: no credential from `env:GONOGO_TEST_UNSET`: \
             the variable is not set"
        );
        let bytes = resolved("env:GONOGO_TEST_BYTES").await.unwrap_err();
        assert!(bytes.ends_with("it is not text"), "{bytes}");
    }

    #[tokio::test]
    async fn a_file_is_read_from_the_configurations_folder_and_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = std::fs::File::create(folder.path().join("token")).unwrap();
        file.write_all(b"  from-file-72 \r\n").unwrap();
        let reference: SecretRef = "file:token".parse().unwrap();
        let secret = reference.resolve(&setup(folder.path())).await.unwrap();
        assert_eq!(secret.expose(), "from-file-72");
        let missing: SecretRef = "file:nothing".parse().unwrap();
        let error = missing.resolve(&setup(folder.path())).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unauthenticated);
        assert!(error.message.contains("`file:nothing`"), "{error}");
    }

    #[tokio::test]
    async fn a_command_runs_without_a_shell_and_its_output_is_the_secret() {
        assert_eq!(
            resolved("cmd:printf '%s\\n' \"$HOME from-cmd-73\"")
                .await
                .unwrap(),
            "$HOME from-cmd-73"
        );
    }

    #[tokio::test]
    async fn a_failing_command_says_how_it_ended_and_nothing_it_printed() {
        let error = resolved("cmd:sh -c 'echo leaked-74; echo leaked-75 >&2; exit 3'")
            .await
            .unwrap_err();
        assert!(
            error.contains("`cmd:sh …`") && error.contains('3'),
            "{error}"
        );
        assert!(!error.contains("leaked"), "{error}");
        let absent = resolved("cmd:no-such-program-76 x").await.unwrap_err();
        assert!(absent.contains("`cmd:no-such-program-76 …`"), "{absent}");
    }

    #[tokio::test]
    async fn a_command_does_not_see_variables_that_hold_credentials() {
        // `CARGO_MANIFEST_DIR` stands for a credential: it is set in every test.
        drop("env:CARGO_MANIFEST_DIR".parse::<SecretRef>().unwrap());
        let seen = resolved("cmd:sh -c 'echo \"<${CARGO_MANIFEST_DIR-absent}>\"'").await;
        assert_eq!(seen.unwrap(), "<absent>");
    }

    #[tokio::test]
    async fn nothing_empty_and_nothing_of_several_lines_is_a_credential() {
        assert!(
            resolved("cmd:printf ''")
                .await
                .unwrap_err()
                .contains("empty")
        );
        let lines = resolved("cmd:printf 'a77\\nb77'").await.unwrap_err();
        assert!(
            lines.contains("several lines") && !lines.contains("77"),
            "{lines}"
        );
    }

    #[test]
    fn what_is_no_reference_is_refused_without_repeating_it() {
        #[derive(Debug, Deserialize)]
        struct Section {
            #[expect(dead_code, reason = "only whether it can be read matters")]
            token: SecretRef,
        }
        for written in [
            "\"ghp_planted78\"",
            "\"env:planted-78\"",
            "\"env:\"",
            "\"vault:planted78\"",
            "\"cmd:sh -c 'planted78\"",
            "78787878",
            "78.78",
            "[\"planted78\"]",
        ] {
            let error = toml::from_str::<Section>(&format!("token = {written}")).unwrap_err();
            assert!(error.message().contains("secret"), "{}", error.message());
            assert!(!error.message().contains("78"), "{}", error.message());
        }
    }

    #[test]
    fn neither_secrets_nor_arguments_are_shown() {
        let secret = Secret::new("planted-79".into());
        assert_eq!(format!("{secret:?}"), "Secret(masked)");
        let reference: SecretRef = "cmd:curl -u me:planted-79 host".parse().unwrap();
        assert_eq!(
            format!("{reference:?} {reference}"),
            "SecretRef(cmd:curl …) cmd:curl …"
        );
    }
}
