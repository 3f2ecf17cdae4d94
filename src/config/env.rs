//! The only place that reads environment variables.

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use crate::backend::Env;

/// Reads one variable; one that is empty counts as not set. Bytes that are no
/// text become [`char::REPLACEMENT_CHARACTER`]: what somebody named and cannot
/// be read is then not found, where taken for not set a default would step in.
pub fn var(name: &str) -> Option<String> {
    raw(name).map(|value| value.to_string_lossy().into_owned())
}

/// The configuration that `GONOGO_CONFIG` names, whatever bytes its name has.
pub fn config() -> Option<PathBuf> {
    raw("GONOGO_CONFIG").map(PathBuf::from)
}

fn raw(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The process's environment, to hand in.
pub fn process() -> Env {
    Arc::new(var)
}

/// Whether colours are unwanted (<https://no-color.org>).
pub fn no_color(env: &Env) -> bool {
    env("NO_COLOR").is_some()
}

/// Whether the terminal's locale says that it shows more than ASCII. The first
/// of the three variables that is set decides, as POSIX has it.
pub fn is_utf8(env: &Env) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| env(name));
    // Without any of them most systems of today still show UTF-8.
    locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// How wide lines may be, where somebody says so.
pub fn columns() -> Option<usize> {
    var("COLUMNS")?.parse().ok().filter(|columns| 0 < *columns)
}

/// Where a test asks the process to die. Builds without debug assertions have
/// no such place.
pub fn kill_at() -> Option<String> {
    if cfg!(debug_assertions) {
        var("GONOGO_KILL_AT")
    } else {
        None
    }
}

/// Where a test asks the process to panic, and with which words (`PLACE:WORDS`).
/// Builds without debug assertions have no such place.
pub fn panic_at() -> Option<String> {
    if cfg!(debug_assertions) {
        var("GONOGO_PANIC_AT")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &'static [(&'static str, &'static str)]) -> Env {
        Arc::new(move |name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_first_locale_variable_decides() {
        assert!(is_utf8(&with(&[])));
        assert!(is_utf8(&with(&[("LANG", "de_DE.UTF-8")])));
        assert!(!is_utf8(&with(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")])));
        assert!(is_utf8(&with(&[("LC_CTYPE", "C.utf8"), ("LANG", "C")])));
    }
}
