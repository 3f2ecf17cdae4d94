//! Puts parameters into a part.
//!
//! A part is parsed first and filled afterwards, so no value can break out of
//! its string. A string that is nothing but `${name}` becomes the value itself,
//! number or not; elsewhere the value is put in as text. In the two fields that
//! hold another language (`config`, `manifests`) it is escaped as inside double
//! quotes. Names that no parameter has are left for later.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Fields whose text is TOML or YAML.
const FOREIGN: [&str; 3] = ["config", "manifests", "apply"];

/// Fills every string of a value.
pub(crate) fn fill(value: Value, params: &BTreeMap<String, Value>) -> Value {
    fill_under("", value, params)
}

fn fill_under(key: &str, value: Value, params: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::String(text) => {
            let whole = text
                .strip_prefix("${")
                .and_then(|rest| rest.strip_suffix('}'));
            match whole.and_then(|name| params.get(name)) {
                Some(value) => value.clone(),
                None => Value::String(fill_text(&text, FOREIGN.contains(&key), &|name| {
                    params.get(name).map(plain)
                })),
            }
        }
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| fill_under(key, item, params))
                .collect(),
        ),
        Value::Object(fields) => {
            let filled = fields.into_iter().map(|(name, value)| {
                let name_filled = fill_text(&name, false, &|name| params.get(name).map(plain));
                let value = fill_under(&name, value, params);
                (name_filled, value)
            });
            Value::Object(filled.collect::<Map<_, _>>())
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

/// Fills the strings of a patch with what is known about a run.
pub(crate) fn fill_facts(value: Value, facts: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => {
            Value::String(fill_text(&text, false, &|name| facts.get(name).cloned()))
        }
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| fill_facts(item, facts))
                .collect(),
        ),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| (key, fill_facts(value, facts)))
                .collect(),
        ),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

/// Replaces each `${name}` that `lookup` knows.
pub(crate) fn fill_text(
    text: &str,
    escape: bool,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            filled.push_str("${");
            rest = after;
            continue;
        };
        match lookup(name) {
            Some(value) if escape => filled.push_str(&escaped(&value)),
            Some(value) => filled.push_str(&value),
            None => {
                filled.push_str("${");
                filled.push_str(name);
                filled.push('}');
            }
        }
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

/// A value as text without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text as it stands between double quotes, in TOML and in YAML alike.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // Both languages know this form; neither takes the bare character everywhere.
            control if control.is_control() || ('\u{2028}'..='\u{2029}').contains(&control) => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{escaped, fill};

    #[test]
    fn a_whole_string_becomes_the_value_and_a_part_of_one_becomes_text() {
        let params = [
            ("rps".to_owned(), json!(140)),
            ("name".to_owned(), json!("ranker")),
        ]
        .into();
        let filled = fill(
            json!({"a": "${rps}", "b": "at ${rps}/s", "${name}": "${later}"}),
            &params,
        );
        assert_eq!(
            filled,
            json!({"a": 140, "b": "at 140/s", "ranker": "${later}"})
        );
    }

    #[test]
    fn hostile_text_survives_toml_and_yaml_between_double_quotes() {
        let hostile = "a\u{1b}[31m\"\\\u{9b}2J\u{7f}\u{202e}b\u{85}\u{2028}";
        let line = format!("x = \"{}\"", escaped(hostile));
        let table: toml::Table = line.parse().unwrap();
        assert_eq!(table["x"].as_str(), Some(hostile));
        let yaml = format!("x: \"{}\"", escaped(hostile));
        let value: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(value["x"].as_str(), Some(hostile));
    }
}
