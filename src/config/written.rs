//! The file sorted into its sections, each read on its own.

use std::{collections::BTreeSet, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use crate::{
    backend::{Factory, REGISTRY},
    config::{file, problem::Collector},
    domain::text::Clean,
};

/// The sections and keys at the top of a file.
const TOP: [&str; 7] = [
    "mode",
    "ledger",
    "ui",
    "backend",
    "environment",
    "service",
    "policy",
];

/// A section with its name and where it stands.
pub(super) struct Section<T> {
    pub(super) name: String,
    pub(super) span: Range<usize>,
    pub(super) content: T,
}

/// A backend that waits for its catalog.
pub(super) struct Waiting<'t> {
    pub(super) factory: &'static dyn Factory,
    pub(super) section: Spanned<DeValue<'t>>,
}

/// The file, sorted into its sections.
#[derive(Default)]
pub(super) struct Written {
    pub(super) mode: Option<Spanned<String>>,
    pub(super) ledger: Option<String>,
    pub(super) ui: file::Ui,
    /// Names of all sections of a kind, also of those that are wrong inside:
    /// a mistake there does not make every mention of them one.
    pub(super) known_backends: BTreeSet<String>,
    pub(super) known_environments: BTreeSet<String>,
    pub(super) known_policies: BTreeSet<String>,
    pub(super) environments: Vec<Section<file::Environment>>,
    pub(super) services: Vec<Section<file::Service>>,
    pub(super) policies: Vec<Section<file::Policy>>,
}

/// Sorts a document into its sections; backends wait for what the rest means.
pub(super) fn sort<'t>(
    document: DeTable<'t>,
    problems: &mut Collector<'_>,
) -> (Written, Vec<Section<Waiting<'t>>>) {
    let mut written = Written::default();
    let mut waiting = Vec::new();
    for (key, value) in document {
        let (span, name) = (key.span(), key.into_inner());
        match name.as_ref() {
            "mode" => written.mode = one(value, problems),
            "ledger" => written.ledger = one(value, problems),
            "ui" => written.ui = one(value, problems).unwrap_or_default(),
            "backend" => {
                for (name, span, section) in sections(value, "backend", problems) {
                    written.known_backends.insert(name.clone());
                    if let Some(content) = kind_of(section, problems) {
                        waiting.push(Section {
                            name,
                            span,
                            content,
                        });
                    }
                }
            }
            "environment" => {
                for (name, span, section) in sections(value, "environment", problems) {
                    written.known_environments.insert(name.clone());
                    if let Some(content) = one(section, problems) {
                        written.environments.push(Section {
                            name,
                            span,
                            content,
                        });
                    }
                }
            }
            "service" => {
                for (name, span, section) in sections(value, "service", problems) {
                    if let Some(content) = one(section, problems) {
                        written.services.push(Section {
                            name,
                            span,
                            content,
                        });
                    }
                }
            }
            "policy" => {
                for (name, span, section) in sections(value, "policy", problems) {
                    written.known_policies.insert(name.clone());
                    if let Some(content) = policy(section, problems) {
                        written.policies.push(Section {
                            name,
                            span,
                            content,
                        });
                    }
                }
            }
            other => problems.unknown(&span, "section or key", other, TOP),
        }
    }
    (written, waiting)
}

/// One value of a known type.
fn one<T: DeserializeOwned>(
    value: Spanned<DeValue<'_>>,
    problems: &mut Collector<'_>,
) -> Option<T> {
    let span = value.span();
    match T::deserialize(ValueDeserializer::from(value)) {
        Ok(value) => Some(value),
        Err(error) => {
            problems.toml(&error, &span);
            None
        }
    }
}

/// A policy: its head, then each gate, so that one wrong gate does not hide
/// what is wrong with the others.
fn policy(section: Spanned<DeValue<'_>>, problems: &mut Collector<'_>) -> Option<file::Policy> {
    let span = section.span();
    let DeValue::Table(mut table) = section.into_inner() else {
        return None;
    };
    let mut gates = Vec::new();
    if let Some(list) = table.remove("gate") {
        let span = list.span();
        match list.into_inner() {
            DeValue::Array(list) => {
                for gate in list {
                    gates.extend(one(gate, problems));
                }
            }
            DeValue::Table(_)
            | DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {
                problems.at(
                    &span,
                    "expected gates as `[[policy.NAME.gate]]`, with two brackets",
                );
            }
        }
    }
    let head: file::PolicyHead = one(Spanned::new(span, DeValue::Table(table)), problems)?;
    Some(file::Policy {
        overriding: head.overriding,
        gates,
    })
}

/// The sections below `[what.NAME]`.
type Raw<'t> = (String, Range<usize>, Spanned<DeValue<'t>>);

fn sections<'t>(
    value: Spanned<DeValue<'t>>,
    what: &str,
    problems: &mut Collector<'_>,
) -> Vec<Raw<'t>> {
    let span = value.span();
    let DeValue::Table(table) = value.into_inner() else {
        problems.at(&span, format!("expected sections `[{what}.NAME]`"));
        return Vec::new();
    };
    let mut found = Vec::new();
    for (key, section) in table {
        let (span, name) = (key.span(), key.into_inner().into_owned());
        if name.trim().is_empty() || Clean::name(&name).as_str() != name {
            problems.at(&span, format!("this cannot be the name of a {what}"));
        } else if section.get_ref().is_table() {
            found.push((name, span, section));
        } else {
            problems.at(&span, format!("expected a section `[{what}.{name}]`"));
        }
    }
    found
}

/// Takes `kind` out of a backend's section and finds its factory.
fn kind_of<'t>(section: Spanned<DeValue<'t>>, problems: &mut Collector<'_>) -> Option<Waiting<'t>> {
    let span = section.span();
    let DeValue::Table(mut table) = section.into_inner() else {
        return None;
    };
    let Some(kind) = table.remove("kind") else {
        let kinds: Vec<&str> = REGISTRY.iter().map(|factory| factory.kind()).collect();
        let hint = format!("one of {}", kinds.join(", "));
        problems.at_with(&span, "key `kind` is missing", hint);
        return None;
    };
    let Kind(factory) = one(kind, problems)?;
    Some(Waiting {
        factory,
        section: Spanned::new(span, DeValue::Table(table)),
    })
}

/// A `kind = "…"` that names a row of the registry. Looked up while the
/// deserializer still knows where it stands, so that an error points at the word.
struct Kind(&'static dyn Factory);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl de::Visitor<'_> for Written {
            type Value = Kind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the kind of a backend")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Kind, E> {
                let known = REGISTRY.iter().find(|factory| factory.kind() == name);
                known.map(|factory| Kind(*factory)).ok_or_else(|| {
                    let kinds: Vec<String> = REGISTRY
                        .iter()
                        .map(|factory| format!("`{}`", factory.kind()))
                        .collect();
                    let name = Clean::name(name);
                    E::custom(format!(
                        "unknown variant `{name}`, expected one of {}",
                        kinds.join(", ")
                    ))
                })
            }
        }

        deserializer.deserialize_str(Written)
    }
}
