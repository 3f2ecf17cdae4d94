//! Every value with where it comes from, credentials as references.

use std::{fmt, str::FromStr as _};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::{
    backend::secret::SecretRef,
    config::{Ui, problem::Collector},
    domain::{catalog::Catalog, text::Clean},
    engine::clear::Mode,
};

/// One value in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key with the sections it is in (`service.recsys.policy`).
    pub key: Clean,
    /// Its value as it would be written; a credential as its reference.
    pub value: Clean,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was not said, so this holds.
    Default,
    /// This line of the file.
    File {
        /// From 1.
        line: usize,
    },
    /// This environment variable.
    Env(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::File { line } => f.pad(&format!("line {line}")),
            Self::Env(name) => f.pad(name),
        }
    }
}

/// The file's own values with the line each stands on.
pub(super) fn written(
    document: &DeTable<'_>,
    places: &Collector<'_>,
) -> Vec<(String, Clean, usize)> {
    let mut found = Vec::new();
    for (key, value) in document {
        walk(
            key.get_ref(),
            key.get_ref(),
            key.span().start,
            value.get_ref(),
            &mut found,
        );
    }
    found
        .into_iter()
        .map(|(key, value, start)| (key, value, places.line(start)))
        .collect()
}

fn walk(
    path: &str,
    key: &str,
    start: usize,
    value: &DeValue<'_>,
    found: &mut Vec<(String, Clean, usize)>,
) {
    match value {
        DeValue::Table(table) if !table.is_empty() => {
            for (key, value) in table {
                let path = format!("{path}.{}", key.get_ref());
                walk(
                    &path,
                    key.get_ref(),
                    key.span().start,
                    value.get_ref(),
                    found,
                );
            }
        }
        DeValue::Array(list) if list.iter().any(|item| item.get_ref().is_table()) => {
            for (index, item) in list.iter().enumerate() {
                let path = format!("{path}[{index}]");
                walk(&path, key, item.span().start, item.get_ref(), found);
            }
        }
        leaf @ (DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_)) => {
            let text = json(key, leaf).to_string();
            found.push((path.to_owned(), Clean::line(&text), start));
        }
    }
}

/// A value as JSON, with what could be a credential masked. Digests are made
/// from this, so they say nothing about credentials either.
pub(super) fn json(key: &str, value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(mask(key, text)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.as_str().to_owned()), Value::from),
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map_or_else(|| Value::String(number.as_str().to_owned()), Value::Number),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(at) => Value::String(at.to_string()),
        DeValue::Array(list) => list.iter().map(|item| json(key, item.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, value)| {
                    let key = key.get_ref().to_string();
                    let value = json(&key, value.get_ref());
                    (key, value)
                })
                .collect(),
        ),
    }
}

/// A text as it may be shown: references stay, user names in addresses and
/// anything under a key that speaks of credentials do not.
fn mask(key: &str, text: &str) -> String {
    let key = key.to_ascii_lowercase();
    let secret = [
        "token",
        "password",
        "passwd",
        "secret",
        "credential",
        "authorization",
    ]
    .iter()
    .any(|word| key.contains(word));
    if secret || text.starts_with("cmd:") {
        return SecretRef::from_str(text)
            .map_or_else(|_| "(masked)".to_owned(), |reference| reference.to_string());
    }
    without_user(text)
}

/// An address without the user name and password in it.
pub fn without_user(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let end = after
            .find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace())
            .unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        if let Some((_, host)) = authority.rsplit_once('@') {
            clean.push_str("…@");
            clean.push_str(host);
        } else {
            clean.push_str(authority);
        }
        rest = path;
    }
    clean.push_str(rest);
    clean
}

/// What holds where the file says nothing.
pub(super) fn defaults(mode: Mode, ui: Ui, catalog: &Catalog) -> Vec<(String, String)> {
    let text = |text: &str| Value::from(text).to_string();
    let mut known = vec![
        ("mode".to_owned(), text(mode_name(mode))),
        ("ui.theme".to_owned(), text(ui.theme.name())),
        ("ui.ascii".to_owned(), ui.ascii.to_string()),
    ];
    for (name, environment) in &catalog.environments {
        known.push((
            format!("environment.{name}.critical"),
            environment.critical.to_string(),
        ));
        let mode = if environment.read_only { "ro" } else { "rw" };
        known.push((format!("environment.{name}.mode"), text(mode)));
    }
    for (name, service) in &catalog.services {
        if let Some(model) = &service.model {
            known.push((format!("service.{name}.model.alias"), text(&model.champion)));
        }
        let from = if service.model_from_alias {
            "alias"
        } else {
            "image"
        };
        known.push((format!("service.{name}.model_from"), text(from)));
        for metric in &service.metrics {
            for (word, duration) in [("range", metric.range), ("window", metric.window)] {
                let key = format!("service.{name}.metric.{}.{word}", metric.id.metric);
                let duration = humantime::format_duration(duration).to_string();
                if !known.iter().any(|(other, _)| *other == key) {
                    known.push((key, text(&duration)));
                }
            }
        }
    }
    for (name, policy) in &catalog.policies {
        let overriding = if policy.override_allowed {
            "allowed"
        } else {
            "never"
        };
        known.push((format!("policy.{name}.override"), text(overriding)));
        for (index, gate) in policy.gates.iter().enumerate() {
            let key = format!("policy.{name}.gate[{index}].required");
            known.push((key, gate.required.to_string()));
        }
    }
    known
}

/// The mode's name in the configuration.
pub(super) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::ReadOnly => "ro",
        Mode::Brake => "brake",
        Mode::ReadWrite => "rw",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_shown_as_references_only() {
        for (key, written, shown) in [
            ("token", "env:GITHUB_TOKEN", "env:GITHUB_TOKEN"),
            ("token", "ghp_abcdef", "(masked)"),
            (
                "url",
                "https://user:pass@host/path?a=b@c",
                "https://…@host/path?a=b@c",
            ),
            ("url", "https://host/a@b", "https://host/a@b"),
            ("password", "cmd:pass show mlflow", "cmd:pass …"),
        ] {
            assert_eq!(mask(key, written), shown, "{key} = {written}");
        }
    }
}
