//! Label and field selectors.

use serde_json::Value;

use crate::sim::kubernetes::resource::Resource;
use crate::sim::kubernetes::value::{Fields, members};

/// Which objects of a list or watch are meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    /// Pointer, wanted text, and whether equality is wanted.
    fields: Vec<(String, String, bool)>,
}

#[derive(Debug, Clone)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Selector {
    /// Reads both selectors of a query.
    ///
    /// # Errors
    /// A sentence for a 400 when one cannot be read, or names a field this
    /// kind cannot be selected by.
    pub(crate) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, String> {
        Ok(Self {
            labels: parse_labels(labels)?,
            fields: parse_fields(resource, fields)?,
        })
    }

    /// The `spec.selector` of a workload.
    pub(crate) fn of_workload(selector: &Value) -> Self {
        let mut labels: Vec<Requirement> = members(selector.at("/matchLabels"))
            .map(|(key, value)| Requirement::In(key.clone(), vec![text_of(value)]))
            .collect();
        for expression in selector.items("/matchExpressions") {
            let key = expression.text("/key").to_owned();
            let values = expression.items("/values").iter().map(text_of).collect();
            labels.push(match expression.text("/operator") {
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                "DoesNotExist" => Requirement::Absent(key),
                _ => Requirement::In(key, values),
            });
        }
        Self {
            labels,
            fields: Vec::new(),
        }
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.at("/metadata/labels");
        self.labels
            .iter()
            .all(|requirement| requirement.holds(labels))
            && self
                .fields
                .iter()
                .all(|(pointer, wanted, equal)| (text_of(object.at(pointer)) == *wanted) == *equal)
    }
}

impl Requirement {
    fn holds(&self, labels: &Value) -> bool {
        let value = |key: &str| labels.get(key).and_then(Value::as_str);
        match self {
            Self::In(key, values) => {
                value(key).is_some_and(|found| values.iter().any(|wanted| wanted == found))
            }
            Self::NotIn(key, values) => {
                value(key).is_none_or(|found| values.iter().all(|wanted| wanted != found))
            }
            Self::Exists(key) => value(key).is_some(),
            Self::Absent(key) => value(key).is_none(),
        }
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, String> {
    split_outside_brackets(text)
        .into_iter()
        .map(parse_label)
        .collect()
}

/// Commas separate requirements, but not inside `in (a,b)`.
fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|c| {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            _ => (),
        }
        c == ',' && !inside
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

fn parse_label(part: &str) -> Result<Requirement, String> {
    if let Some((head, list)) = part.split_once('(') {
        let values = list
            .strip_suffix(')')
            .ok_or_else(|| format!("unable to parse requirement: {part}: missing `)`"))?
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        let words: Vec<_> = head.split_whitespace().collect();
        return match words.as_slice() {
            [key, "in"] => Ok(Requirement::In((*key).to_owned(), values)),
            [key, "notin"] => Ok(Requirement::NotIn((*key).to_owned(), values)),
            _ => Err(format!("unable to parse requirement: {part}")),
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(
            key.trim().to_owned(),
            vec![value.trim().to_owned()],
        ));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(
            key.trim().to_owned(),
            vec![value.trim().to_owned()],
        ));
    }
    match part.strip_prefix('!') {
        Some(key) => Ok(Requirement::Absent(key.trim().to_owned())),
        None if part.contains(char::is_whitespace) => {
            Err(format!("unable to parse requirement: {part}"))
        }
        None => Ok(Requirement::Exists(part.to_owned())),
    }
}

fn parse_fields(resource: &Resource, text: &str) -> Result<Vec<(String, String, bool)>, String> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (field, value, equal) = if let Some((field, value)) = part.split_once("!=") {
                (field, value, false)
            } else {
                let (field, value) = part
                    .split_once("==")
                    .or_else(|| part.split_once('='))
                    .ok_or_else(|| format!("invalid selector: '{part}'"))?;
                (field, value, true)
            };
            if !selectable(resource, field) {
                return Err(format!("field label not supported: {field}"));
            }
            Ok((
                format!("/{}", field.replace('.', "/")),
                value.to_owned(),
                equal,
            ))
        })
        .collect()
}

fn selectable(resource: &Resource, field: &str) -> bool {
    let extra: &[&str] = match resource.kind {
        "Pod" => &[
            "spec.nodeName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ],
        "Event" => &[
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "type",
            "reportingComponent",
        ],
        "Namespace" => &["status.phase"],
        _ => &[],
    };
    ["metadata.name", "metadata.namespace"].contains(&field) || extra.contains(&field)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods() -> &'static Resource {
        Resource::by_kind("Pod").unwrap()
    }

    #[track_caller]
    fn check(labels: &str, fields: &str, expected: bool) {
        let pod = json!({
            "metadata": {"name": "p", "labels": {"app": "shop", "hash": "abc"}},
            "status": {"phase": "Running"},
        });
        let selector = Selector::parse(pods(), labels, fields).unwrap();
        assert_eq!(selector.matches(&pod), expected, "{labels} {fields}");
    }

    #[test]
    fn labels_are_selected_by_every_operator() {
        check("app=shop", "", true);
        check("app==shop,hash", "", true);
        check("hash in (abc, def),app!=x", "", true);
        check("hash notin (abc)", "", false);
        check("!missing,app", "", true);
        check("missing", "", false);
    }

    #[test]
    fn fields_are_selected_where_the_kind_allows_it() {
        check("", "metadata.name=p,status.phase=Running", true);
        check("", "status.phase!=Running", false);
        let rollouts = Resource::by_kind("Rollout").unwrap();
        assert!(Selector::parse(rollouts, "", "status.phase=Paused").is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Selector::parse(pods(), "a in (b", "").is_err());
        assert!(Selector::parse(pods(), "a b", "").is_err());
        assert!(Selector::parse(pods(), "", "metadata.name").is_err());
    }
}
