//! What a schema refuses: fields of a wrong type, and with
//! `fieldValidation=Strict` fields it does not know.
//!
//! Only the first level of a Rollout's spec and status is known here; that is
//! where a mistyped action would land. Other kinds are taken as they are.

use serde_json::Value;

use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::Resource;
use crate::sim::kubernetes::value::{Fields, members};

const SPEC: &[&str] = &[
    "analysis",
    "minReadySeconds",
    "paused",
    "progressDeadlineAbort",
    "progressDeadlineSeconds",
    "replicas",
    "restartAt",
    "revisionHistoryLimit",
    "rollbackWindow",
    "selector",
    "strategy",
    "template",
    "workloadRef",
];

const STATUS: &[&str] = &[
    "HPAReplicas",
    "abort",
    "abortedAt",
    "alb",
    "albs",
    "availableReplicas",
    "blueGreen",
    "canary",
    "collisionCount",
    "conditions",
    "controllerPause",
    "currentPodHash",
    "currentStepHash",
    "currentStepIndex",
    "message",
    "observedGeneration",
    "pauseConditions",
    "phase",
    "promoteFull",
    "readyReplicas",
    "replicas",
    "restartedAt",
    "selector",
    "stableRS",
    "updatedReplicas",
    "workloadObservedGeneration",
];

/// Refuses a whole object that does not decode, or, with `Strict`, has fields
/// nobody knows.
///
/// # Errors
/// A 422 for a wrong type, a 400 for an unknown field.
pub(crate) fn check(resource: &Resource, object: &Value, mode: &str) -> Result<(), Problem> {
    check_types(resource, object)?;
    match unknown_field(resource, object, mode) {
        None => Ok(()),
        Some(field) => {
            let why = format!(
                "{} in version \"{}\" cannot be handled as a {}: strict decoding error: unknown field \"{field}\"",
                resource.kind, resource.version, resource.kind
            );
            Err(Problem::bad_request(why))
        }
    }
}

/// Refuses a patched object that does not decode, or, with `Strict`, has
/// fields nobody knows.
///
/// # Errors
/// A 422 that names the field, as the real server gives for patches.
pub(crate) fn check_patched(
    resource: &Resource,
    object: &Value,
    mode: &str,
) -> Result<(), Problem> {
    check_types(resource, object)?;
    match unknown_field(resource, object, mode) {
        None => Ok(()),
        Some(field) => {
            let why = format!("strict decoding error: unknown field \"{field}\"");
            Err(Problem::undecodable(object, &why))
        }
    }
}

/// Fields of a rollout whose type the schema checks, where it matters here.
const TYPES: &[(&str, &str)] = &[
    ("spec.replicas", "integer"),
    ("spec.paused", "boolean"),
    ("spec.progressDeadlineSeconds", "integer"),
    ("spec.revisionHistoryLimit", "integer"),
    ("spec.restartAt", "string"),
    ("spec.strategy", "object"),
    ("status.abort", "boolean"),
    ("status.currentStepIndex", "integer"),
    ("status.pauseConditions", "array"),
    ("status.promoteFull", "boolean"),
];

/// Refuses a rollout with a field of the wrong type.
///
/// # Errors
/// A 422 that names the field.
pub(crate) fn check_types(resource: &Resource, object: &Value) -> Result<(), Problem> {
    if resource.kind != "Rollout" {
        return Ok(());
    }
    for (field, wanted) in TYPES {
        let found = type_of(object.at(&format!("/{}", field.replace('.', "/"))));
        if found != "null" && found != *wanted {
            let name = object.text("/metadata/name");
            return Err(Problem::wrong_type(resource, name, field, found, wanted));
        }
    }
    Ok(())
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn unknown_field(resource: &Resource, object: &Value, mode: &str) -> Option<String> {
    if mode != "Strict" || resource.kind != "Rollout" {
        return None;
    }
    [("spec", SPEC), ("status", STATUS)]
        .into_iter()
        .find_map(|(part, known)| {
            members(object.at(&format!("/{part}")))
                .find(|(field, _)| !known.contains(&field.as_str()))
                .map(|(field, _)| format!("{part}.{field}"))
        })
}
