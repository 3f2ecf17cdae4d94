//! Deleting objects over HTTP.
//!
//! What a deleted object owned is collected by the controllers.

use axum::response::Response;
use serde_json::{Value, json};

use crate::sim::kubernetes::api::Asked;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::request::Address;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::selector::Selector;
use crate::sim::kubernetes::store::Precondition;
use crate::sim::kubernetes::value::Fields;
use crate::sim::kubernetes::{Shared, answer};

fn options(asked: &Asked) -> (Precondition, bool) {
    let options: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let text = |pointer: &str| {
        let found = options.text(pointer);
        (!found.is_empty()).then(|| found.to_owned())
    };
    let precondition = Precondition {
        uid: text("/preconditions/uid"),
        version: text("/preconditions/resourceVersion"),
    };
    let asked_dry = options.items("/dryRun").iter().any(|mode| mode == "All");
    (
        precondition,
        asked_dry || asked.query.text("dryRun") == "All",
    )
}

/// Deletes one object.
///
/// # Errors
/// A 404, or a 409 when a precondition does not hold.
pub(crate) fn delete(
    shared: &Shared,
    address: &Address,
    asked: &Asked,
) -> Result<Response, Problem> {
    let (precondition, dry_run) = options(asked);
    let gone = shared
        .store
        .remove(&address.key(), &precondition, dry_run)?;
    Ok(answer::json(200, &deleted(address.resource, &gone)))
}

fn deleted(resource: &Resource, gone: &Value) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {
            "name": gone.text("/metadata/name"),
            "group": resource.group,
            "kind": resource.plural,
            "uid": gone.text("/metadata/uid"),
        },
    })
}

/// Deletes what a selector names.
///
/// # Errors
/// A 400 for a selector that cannot be read.
pub(crate) fn delete_collection(
    shared: &Shared,
    address: &Address,
    asked: &Asked,
) -> Result<Response, Problem> {
    let resource = address.resource;
    let (labels, fields) = (
        asked.query.text("labelSelector"),
        asked.query.text("fieldSelector"),
    );
    let selector = Selector::parse(resource, labels, fields).map_err(Problem::bad_request)?;
    let namespace = (!address.namespace.is_empty()).then_some(address.namespace.as_str());
    let (_, dry_run) = options(asked);
    let (objects, version) = shared.store.list(resource.kind, namespace);
    let mut gone = Vec::new();
    for object in objects.iter().filter(|object| selector.matches(object)) {
        if let Some(key) = Key::of(object) {
            // Somebody else may have been quicker; gone is gone.
            if shared
                .store
                .remove(&key, &Precondition::default(), dry_run)
                .is_ok()
            {
                gone.push((**object).clone());
            }
        }
    }
    Ok(answer::json(
        200,
        &json!({
            "kind": format!("{}List", resource.kind),
            "apiVersion": resource.api_version(),
            "metadata": {"resourceVersion": version.to_string()},
            "items": gone,
        }),
    ))
}

/// Evicts a pod, that is: deletes it.
///
/// # Errors
/// A 404.
pub(crate) fn evict(shared: &Shared, address: &Address) -> Result<Response, Problem> {
    shared
        .store
        .remove(&address.key(), &Precondition::default(), false)?;
    let done = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(answer::json(201, &done))
}
