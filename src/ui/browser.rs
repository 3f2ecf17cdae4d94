//! Opens a page in the person's browser, after they saw where it leads.

use std::{
    ffi::OsString,
    io,
    process::{Command, Stdio},
};

use crate::domain::text::Clean;

/// Whether a link may be opened at all: plain web pages only, and nothing a
/// shell or a desktop could read as something else.
pub fn may_open(link: &str) -> bool {
    let Ok(parsed) = url::Url::parse(link) else {
        return false;
    };
    matches!(parsed.scheme(), "http" | "https")
        && parsed.host_str().is_some()
        && parsed.username().is_empty()
        && parsed.password().is_none()
        && !link.contains(|character: char| character.is_whitespace() || character.is_control())
}

/// Starts the desktop's opener with this link and no other environment than
/// `environment`, so that no secret of ours is inherited.
///
/// # Errors
///
/// The link may not be opened, or there is no opener.
pub fn open(link: &Clean, environment: &[(OsString, OsString)]) -> io::Result<()> {
    if !may_open(link) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "only http and https links are opened",
        ));
    }
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let mut child = Command::new(opener)
        .arg(link.as_str())
        .env_clear()
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("`{opener}` could not open it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_links_are_opened() {
        for good in [
            "https://github.com/acme/recsys/actions/runs/1",
            "http://127.0.0.1:8080/x?y=1#z",
        ] {
            assert!(may_open(good), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://user:pass@host/",
            "https://host/ --new-window",
            "-https://x",
            "",
            "https://",
        ] {
            assert!(!may_open(bad), "{bad}");
        }
    }
}
