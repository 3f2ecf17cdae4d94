//! The sections as they are written.
//!
//! Plain structures with every key, strict about unknown ones. What refers to
//! something else, or may be wrong in a way the parser cannot see, carries its
//! place in the text.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::backend::settings;

/// `[ui]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ui {
    pub(super) theme: Option<Spanned<String>>,
    pub(super) ascii: Option<bool>,
}

/// `[environment.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Environment {
    pub(super) backend: Spanned<String>,
    #[serde(default)]
    pub(super) critical: bool,
    pub(super) mode: Option<Spanned<String>>,
}

/// `[service.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) run: Option<Run>,
    pub(super) model: Option<Model>,
    pub(super) rollout: Spanned<Vec<Place>>,
    pub(super) policy: Spanned<String>,
    pub(super) model_from: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) stages: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    pub(super) mapping: Vec<Mapping>,
    #[serde(default)]
    pub(super) metric: BTreeMap<String, Metric>,
}

/// `run = { … }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    pub(super) backend: Spanned<String>,
    pub(super) repo: String,
    pub(super) workflow: String,
    pub(super) branch: Option<String>,
}

/// `model = { … }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub(super) backend: Spanned<String>,
    pub(super) name: String,
    pub(super) alias: Option<String>,
}

/// One of `rollout = [{ … }]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pub(super) environment: Spanned<String>,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) kind: Option<Spanned<String>>,
    pub(super) container: Option<String>,
}

/// One of `mapping = [{ … }]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mapping {
    pub(super) commit: Spanned<String>,
    pub(super) version: Option<u64>,
    pub(super) image: Option<String>,
}

/// `[service.NAME.metric.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metric {
    pub(super) backend: Spanned<String>,
    pub(super) canary: Spanned<String>,
    pub(super) stable: Option<Spanned<String>>,
    pub(super) traffic: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) unit: String,
    pub(super) aggregate: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) range: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) window: Option<Duration>,
}

/// `[policy.NAME]` without its gates, which are read one by one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyHead {
    #[serde(rename = "override")]
    pub(super) overriding: Option<Spanned<String>>,
    /// Taken out before this is read; named so that errors list it.
    #[serde(rename = "gate")]
    _gates: Option<serde::de::IgnoredAny>,
}

/// `[policy.NAME]`
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) overriding: Option<Spanned<String>>,
    pub(super) gates: Vec<Spanned<Gate>>,
}

/// `[[policy.NAME.gate]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gate {
    pub(super) id: Spanned<String>,
    pub(super) kind: Spanned<String>,
    pub(super) class: Spanned<String>,
    pub(super) required: Option<bool>,
    pub(super) source: Spanned<Source>,
    pub(super) better: Option<Spanned<String>>,
    pub(super) fail: Option<Spanned<Limit>>,
    pub(super) warn: Option<Spanned<Limit>>,
    pub(super) versus: Option<Spanned<Versus>>,
    pub(super) unit: Option<Spanned<String>>,
    pub(super) breaches: Option<Spanned<Breaches>>,
    pub(super) min_traffic: Option<Spanned<Number>>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) max_age: Option<Duration>,
    #[serde(default)]
    pub(super) bind: Vec<Spanned<String>>,
}

/// `source = { … }`: exactly one of these.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) metric: Option<Spanned<String>>,
    pub(super) model_metric: Option<String>,
    pub(super) run: Option<String>,
    pub(super) rollout: Option<Spanned<String>>,
}

/// `fail = { … }`, `warn = { … }`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limit {
    pub(super) below: Option<Number>,
    pub(super) above: Option<Number>,
}

/// `versus = { … }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Versus {
    pub(super) baseline: Spanned<String>,
    pub(super) max_regression: Option<Change>,
    pub(super) min_improvement: Option<Change>,
    #[serde(default)]
    pub(super) same_data: bool,
    pub(super) on_missing_baseline: Option<Spanned<String>>,
}

/// `max_regression = { … }`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    pub(super) absolute: Option<Number>,
    pub(super) relative: Option<Number>,
}

/// `breaches = { … }`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Breaches {
    pub(super) of: u32,
    pub(super) at_least: u32,
}

/// A finite number, with or without a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl serde::de::Visitor<'_> for Written {
            type Value = Number;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a finite number")
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Number, E> {
                if number.is_finite() {
                    Ok(Number(number))
                } else {
                    Err(E::invalid_value(
                        serde::de::Unexpected::Float(number),
                        &self,
                    ))
                }
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Number, E> {
                #[expect(clippy::cast_precision_loss, reason = "limits are far below 2⁵³")]
                Ok(Number(number as f64))
            }
        }

        deserializer.deserialize_any(Written)
    }
}

/// A time that may be left out.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    settings::duration(deserializer).map(Some)
}
