//! What of a proposed object an API server takes over.
//!
//! The status split, the fields a client cannot set, stale versions and the
//! generation are all decided here.

use serde_json::{Value, json};

use crate::sim::kubernetes::defaults;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::store::Part;
use crate::sim::kubernetes::value::Fields;

/// What remains of a proposed object after the rules of the API.
pub(crate) fn admit(
    resource: &Resource,
    key: &Key,
    before: &Value,
    proposed: Value,
    part: Part,
) -> Result<Value, Problem> {
    let stale = |field: &str| {
        let asked = proposed.text(field);
        !asked.is_empty() && asked != before.text(field)
    };
    if stale("/metadata/resourceVersion") {
        return Err(Problem::stale(resource, &key.name));
    }
    if stale("/metadata/uid") {
        let why = format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: {}",
            proposed.text("/metadata/uid"),
            before.text("/metadata/uid")
        );
        return Err(Problem::conflict(resource, &key.name, &why));
    }
    if part == Part::Status {
        let mut after = before.clone();
        set_or_drop(&mut after, "/status", proposed.at("/status"));
        return Ok(after);
    }
    let mut after = proposed;
    defaults::fill(resource, &mut after);
    for fixed in ["apiVersion", "kind"] {
        set_or_drop(
            &mut after,
            &format!("/{fixed}"),
            before.at(&format!("/{fixed}")),
        );
    }
    let server_owned = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
    ];
    for field in server_owned
        .into_iter()
        .chain(["resourceVersion", "managedFields"])
    {
        let pointer = format!("/metadata/{field}");
        set_or_drop(&mut after, &pointer, before.at(&pointer));
    }
    if part == Part::Main && resource.has_status() {
        set_or_drop(&mut after, "/status", before.at("/status"));
    }
    if resource.custom {
        drop_nulls(&mut after);
    }
    if (resource.has_status() || resource.custom) && meaning_differs(resource, before, &after) {
        after.put(
            "/metadata/generation",
            json!(before.count("/metadata/generation") + 1),
        );
    }
    Ok(after)
}

/// What is null in a custom resource is taken for left out.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => (),
    }
}

/// Whether something the generation counts has changed.
fn meaning_differs(resource: &Resource, before: &Value, after: &Value) -> bool {
    let meaning = |object: &Value| {
        let mut rest = object.clone();
        rest.drop_field("/metadata");
        if resource.has_status() {
            rest.drop_field("/status");
        }
        rest
    };
    meaning(before) != meaning(after)
}

fn set_or_drop(object: &mut Value, pointer: &str, value: &Value) {
    if value.is_null() {
        object.drop_field(pointer);
    } else {
        object.put(pointer, value.clone());
    }
}
