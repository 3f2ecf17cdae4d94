//! `fieldValidation=Strict`: refusing fields the schema does not know.
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

/// Refuses unknown fields of a whole object sent with `Strict`.
///
/// # Errors
/// A 400, as for any body that cannot be decoded.
pub(crate) fn check(resource: &Resource, object: &Value, mode: &str) -> Result<(), Problem> {
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

/// Refuses unknown fields of a patched object sent with `Strict`.
///
/// # Errors
/// A 422 that names the field, as the real server gives for patches.
pub(crate) fn check_patched(
    resource: &Resource,
    object: &Value,
    mode: &str,
) -> Result<(), Problem> {
    match unknown_field(resource, object, mode) {
        None => Ok(()),
        Some(field) => {
            let why = format!("Invalid value: strict decoding error: unknown field \"{field}\"");
            let name = object.text("/metadata/name");
            Err(Problem::invalid(resource, name, "patch", &why))
        }
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
