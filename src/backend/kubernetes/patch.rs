//! The request behind each order: path, body, and the check it carries.
//!
//! Every order names one effect of the controller's own vocabulary; upstream's
//! "promote" is three of them. Sent as a JSON patch whose `test` operations hold
//! what the giver saw: an object that has moved refuses it as a whole. A brake
//! tests the object and the revision, never the step and never the version
//! counter, which moves every second during an update. Pure.

use serde_json::{Value, json};

use crate::{
    backend::kubernetes::{client::Patch, encode::segment, kind::Family},
    domain::{
        Timestamp,
        action::{RolloutAction, RolloutOrder},
        id::{TargetId, TargetKind},
        text::Clean,
    },
};

/// RFC 6902.
pub(super) const JSON_PATCH: &str = "application/json-patch+json";
/// RFC 7386.
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";
/// The annotation a nudge touches.
const NUDGE: &str = "gonogo.dev/nudge";

/// What an order becomes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Draft {
    /// A request that needs nothing else.
    Ready(Patch),
    /// The object has to be read first; in words, what for.
    AfterReading(&'static str),
    /// This kind of object knows no such thing.
    Impossible(&'static str),
}

/// The request for an order. `has_status`: whether Rollouts have a `/status`.
pub(super) fn draft(order: &RolloutOrder, has_status: bool) -> Draft {
    match order.target.kind {
        TargetKind::Rollout => rollout(order, has_status),
        TargetKind::Deployment => deployment(order),
    }
}

fn rollout(order: &RolloutOrder, has_status: bool) -> Draft {
    let status = |operations: Vec<Value>, merged: Value| {
        Draft::Ready(if has_status {
            tested(order, Part::Status, operations)
        } else {
            merge(order, json!({ "status": merged }))
        })
    };
    match &order.action {
        RolloutAction::Hold => main(order, vec![set("/spec/paused", true)]),
        RolloutAction::Resume => main(order, vec![set("/spec/paused", false)]),
        RolloutAction::Switch { early: true } => {
            let (operations, merged) = end_countdown();
            status(operations, merged)
        }
        // `remove` fails where there is no pause: a check of its own.
        RolloutAction::Continue | RolloutAction::Switch { early: false } => status(
            vec![json!({"op": "remove", "path": "/status/pauseConditions"})],
            json!({ "pauseConditions": null }),
        ),
        // Going on from an inconclusive analysis takes all three; left behind,
        // a pause would stop the step gone to, or be taken for one just ended.
        RolloutAction::Skip { to } => status(
            vec![
                set("/status/currentStepIndex", *to),
                set("/status/pauseConditions", json!([])),
                set("/status/controllerPause", false),
            ],
            json!({ "currentStepIndex": to, "pauseConditions": null, "controllerPause": false }),
        ),
        RolloutAction::PromoteFull if has_status => Draft::AfterReading(PROMOTE_READS),
        RolloutAction::PromoteFull => status(Vec::new(), json!({ "promoteFull": true })),
        // A full promotion under way clears an abort, within a quarter of a
        // second: it is taken back by the same request.
        RolloutAction::Abort => status(
            vec![
                set("/status/abort", true),
                set("/status/promoteFull", false),
            ],
            json!({ "abort": true, "promoteFull": false }),
        ),
        RolloutAction::Retry { anew: false } => {
            status(vec![set("/status/abort", false)], json!({ "abort": false }))
        }
        RolloutAction::Retry { anew: true } => status(
            vec![
                set("/status/abort", false),
                set(JUDGED_BEFORE, Value::Null),
                set(JUDGED_AFTER, Value::Null),
            ],
            json!({
                "abort": false,
                "blueGreen": {
                    "prePromotionAnalysisRunStatus": null,
                    "postPromotionAnalysisRunStatus": null,
                },
            }),
        ),
        RolloutAction::Undo { .. } => Draft::AfterReading(
            "the template of the ReplicaSet with this hash, read when sent, without the hash \
             label, ephemeral metadata and injected anti-affinity",
        ),
        RolloutAction::Restart { at } => main(order, vec![set("/spec/restartAt", stamp(*at))]),
        RolloutAction::Nudge { at } => Draft::Ready(nudge(order, *at)),
    }
}

/// Ends the countdown before a blue/green switch. Without its condition the
/// controller takes it for one that never ran, and starts it anew: a countdown
/// is ended by letting it have begun long ago.
fn end_countdown() -> (Vec<Value>, Value) {
    let begun = json!("1970-01-01T00:00:00Z");
    let operations = vec![
        json!({"op": "test", "path": "/status/pauseConditions/0/reason", "value": COUNTDOWN}),
        json!({"op": "replace", "path": "/status/pauseConditions/0/startTime", "value": begun}),
    ];
    let merged = json!({ "pauseConditions": [{"reason": COUNTDOWN, "startTime": begun}] });
    (operations, merged)
}

/// Where the controller remembers what was judged around a switch.
const JUDGED_BEFORE: &str = "/status/blueGreen/prePromotionAnalysisRunStatus";
const JUDGED_AFTER: &str = "/status/blueGreen/postPromotionAnalysisRunStatus";

/// The reason of the pause before a switch.
const COUNTDOWN: &str = "BlueGreenPause";

const PROMOTE_READS: &str =
    "the rollout, read when sent: it must have been observed and not be fully promoted yet";

/// The request that promotes to full, once the rollout was read.
pub(super) fn promote_full(order: &RolloutOrder) -> Patch {
    tested(order, Part::Status, vec![set("/status/promoteFull", true)])
}

fn deployment(order: &RolloutOrder) -> Draft {
    match &order.action {
        RolloutAction::Hold => main(order, vec![set("/spec/paused", true)]),
        RolloutAction::Resume => Draft::AfterReading(
            "{\"spec\":{\"paused\":false}}, tested against the template of the shown revision, \
             read when sent",
        ),
        RolloutAction::Undo { .. } => Draft::AfterReading(
            "the template of the ReplicaSet with this hash, read when sent, without the hash label",
        ),
        RolloutAction::Restart { at } => Draft::Ready(merge(
            order,
            json!({"spec": {"template": {"metadata": {"annotations": {
                "kubectl.kubernetes.io/restartedAt": stamp(*at),
            }}}}}),
        )),
        RolloutAction::Nudge { at } => Draft::Ready(nudge(order, *at)),
        RolloutAction::Continue
        | RolloutAction::Switch { .. }
        | RolloutAction::Skip { .. }
        | RolloutAction::PromoteFull
        | RolloutAction::Abort
        | RolloutAction::Retry { .. } => Draft::Impossible(super::access::NO_CANARY),
    }
}

fn main(order: &RolloutOrder, operations: Vec<Value>) -> Draft {
    Draft::Ready(tested(order, Part::Main, operations))
}

/// An annotation on the object itself: it changes nothing and makes the
/// controller look. A merge patch, because the annotations may not exist yet.
fn nudge(order: &RolloutOrder, at: Timestamp) -> Patch {
    merge(
        order,
        json!({"metadata": {"annotations": {NUDGE: stamp(at)}}}),
    )
}

/// Which part of the object a patch is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The object.
    Main,
    /// Its `/status`.
    Status,
}

/// `operations` behind tests for everything the giver saw.
pub(super) fn tested(order: &RolloutOrder, part: Part, operations: Vec<Value>) -> Patch {
    let mut body = tests(order);
    body.extend(operations);
    patch(&order.target, part, JSON_PATCH, Value::Array(body))
}

/// A test that fails when the object is not the one seen.
pub(super) fn same_object(uid: &str) -> Value {
    json!({"op": "test", "path": "/metadata/uid", "value": uid})
}

fn tests(order: &RolloutOrder) -> Vec<Value> {
    let seen = &order.seen;
    let mut tests = vec![same_object(&seen.uid)];
    if order.target.kind == TargetKind::Deployment {
        // The object does not carry the hash of its revision.
        return tests;
    }
    if let Some(hash) = &seen.pod_hash {
        tests.push(json!({"op": "test", "path": "/status/currentPodHash", "value": hash.as_str()}));
    }
    if let Some(step) = seen.step.filter(|_| tests_step(&order.action)) {
        tests.push(json!({"op": "test", "path": "/status/currentStepIndex", "value": step}));
    }
    tests
}

/// Throttles act on the step the giver saw; brakes and neutral orders do not care.
pub(super) fn tests_step(action: &RolloutAction) -> bool {
    match action {
        RolloutAction::Resume
        | RolloutAction::Continue
        | RolloutAction::Switch { .. }
        | RolloutAction::Skip { .. }
        | RolloutAction::PromoteFull
        | RolloutAction::Retry { .. } => true,
        RolloutAction::Hold
        | RolloutAction::Abort
        | RolloutAction::Undo { .. }
        | RolloutAction::Restart { .. }
        | RolloutAction::Nudge { .. } => false,
    }
}

/// `add` sets a member whether or not it is there; `replace` would fail.
pub(super) fn set(path: &str, value: impl Into<Value>) -> Value {
    let value: Value = value.into();
    json!({"op": "add", "path": path, "value": value})
}

/// A merge patch that names the uid: another object of this name refuses it.
fn merge(order: &RolloutOrder, mut body: Value) -> Patch {
    let uid = json!(order.seen.uid.as_str());
    match body.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        Some(metadata) => {
            metadata.insert("uid".into(), uid);
        }
        None => {
            if let Some(body) = body.as_object_mut() {
                body.insert("metadata".into(), json!({ "uid": uid }));
            }
        }
    }
    patch(&order.target, Part::Main, MERGE_PATCH, body)
}

fn patch(target: &TargetId, part: Part, content_type: &'static str, body: Value) -> Patch {
    let kind = Family::from(target.kind).primary();
    let (below, resource) = match part {
        Part::Main => ("", kind.plural().to_owned()),
        Part::Status => ("/status", format!("{}/status", kind.plural())),
    };
    Patch {
        path: format!(
            "{}/{}{below}?fieldManager=gonogo",
            kind.collection(&target.namespace),
            segment(&target.name)
        ),
        content_type,
        body,
        doing: format!(
            "patch {resource} `{}` in `{}`",
            target.name, target.namespace
        ),
    }
}

fn stamp(at: Timestamp) -> Value {
    Value::from(at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

/// The check a request carries, in words.
pub(super) fn check(order: &RolloutOrder, has_status: bool) -> Clean {
    let is_status = matches!(
        order.action,
        RolloutAction::Continue
            | RolloutAction::Switch { .. }
            | RolloutAction::Skip { .. }
            | RolloutAction::PromoteFull
            | RolloutAction::Abort
            | RolloutAction::Retry { .. }
    );
    let merges = matches!(order.action, RolloutAction::Nudge { .. }) || (is_status && !has_status);
    match order.target.kind {
        _ if merges => "same object (uid), else 409 or 422".into(),
        TargetKind::Rollout if tests_step(&order.action) && order.seen.step.is_some() => {
            "same object (uid), revision (pod hash) and step, else 422".into()
        }
        TargetKind::Rollout => "same object (uid) and revision (pod hash), else 422".into(),
        TargetKind::Deployment => match order.action {
            RolloutAction::Resume => {
                "same object (uid) and template of the shown revision, else 422".into()
            }
            RolloutAction::Restart { .. } => "same object (uid), else 409 or 422".into(),
            _ => "same object (uid), else 422".into(),
        },
    }
}

#[cfg(test)]
mod tests;
