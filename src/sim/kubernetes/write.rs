//! Changing objects over HTTP: create, replace, and the four kinds of patch.
//!
//! A body is read as what its content type says, turned into the object it
//! proposes, and handed to the store, which decides what of it is admitted.

use axum::response::Response;
use serde_json::{Value, json};

use crate::sim::kubernetes::access::Persona;
use crate::sim::kubernetes::api::Asked;
use crate::sim::kubernetes::managed::Author;
use crate::sim::kubernetes::patch::{Refused, json_patch, merge_patch};
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::request::Address;
use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::store::{Part, Write};
use crate::sim::kubernetes::strategic::strategic_merge;
use crate::sim::kubernetes::value::Fields;
use crate::sim::kubernetes::{Shared, answer, delete, protobuf, strict};

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Carries out a permitted change.
///
/// # Errors
/// Whatever the API says no to.
pub(crate) fn change(
    shared: &Shared,
    persona: &Persona,
    verb: &str,
    address: &Address,
    asked: &Asked,
) -> Result<Response, Problem> {
    match verb {
        "create" if address.subresource == "eviction" => delete::evict(shared, address),
        "create" => create(shared, address, asked),
        "update" => update(shared, address, asked),
        "patch" => patch(shared, persona, address, asked),
        "delete" => delete::delete(shared, address, asked),
        "deletecollection" => delete::delete_collection(shared, address, asked),
        _ => Err(Problem::method_not_allowed()),
    }
}

/// The body as one JSON object.
///
/// # Errors
/// A 400 when it is none.
pub(crate) fn object_body(asked: &Asked) -> Result<Value, Problem> {
    let body = match asked
        .content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
    {
        "application/yaml" | APPLY => yaml(&asked.body)?,
        protobuf::CONTENT_TYPE => protobuf::review(&asked.body)
            .ok_or_else(|| Problem::unsupported_media("application/json, application/yaml"))?,
        _ => serde_json::from_slice(&asked.body)
            .map_err(|error| Problem::bad_request(format!("error decoding body: {error}")))?,
    };
    if body.is_object() {
        Ok(body)
    } else {
        Err(Problem::bad_request("the body is no object"))
    }
}

fn yaml(bytes: &[u8]) -> Result<Value, Problem> {
    let bad = |why: String| Problem::bad_request(format!("error decoding YAML: {why}"));
    let text = std::str::from_utf8(bytes).map_err(|error| bad(error.to_string()))?;
    serde_saphyr::from_str(text).map_err(|error| bad(error.to_string()))
}

/// An object as `autoscaling/v1` sees its size.
pub(crate) fn scale_of(object: &Value) -> Value {
    let meta = |field: &str| object.at(&format!("/metadata/{field}")).clone();
    let selector = object
        .at("/spec/selector/matchLabels")
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(",");
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": meta("name"),
            "namespace": meta("namespace"),
            "uid": meta("uid"),
            "resourceVersion": meta("resourceVersion"),
            "creationTimestamp": meta("creationTimestamp"),
        },
        "spec": {"replicas": object.number("/spec/replicas").unwrap_or(1)},
        "status": {"replicas": object.count("/status/replicas"), "selector": selector},
    })
}

fn terms<'a>(address: &'a Address, asked: &'a Asked, operation: &'a str) -> Write<'a> {
    let manager = match asked.query.text("fieldManager") {
        // Without a name the real server takes the program's, up to the slash.
        "" => asked
            .agent
            .split('/')
            .next()
            .filter(|name| !name.is_empty())
            .unwrap_or("unknown"),
        named => named,
    };
    let subresource = address.subresource.as_str();
    Write {
        part: if subresource == "status" {
            Part::Status
        } else {
            Part::Main
        },
        author: Some(Author {
            manager,
            operation,
            subresource,
        }),
        dry_run: asked.query.text("dryRun") == "All",
        swallowable: asked.method == axum::http::Method::PATCH,
    }
}

fn create(shared: &Shared, address: &Address, asked: &Asked) -> Result<Response, Problem> {
    let object = object_body(asked)?;
    let resource = address.resource;
    is_of(resource, &object)?;
    let namespace = match object.text("/metadata/namespace") {
        named if named != address.namespace && !named.is_empty() && resource.namespaced => {
            let why = format!(
                "the namespace of the provided object does not match the namespace sent on the request: {named} != {}",
                address.namespace
            );
            return Err(Problem::bad_request(why));
        }
        _ => address.namespace.as_str(),
    };
    if resource.namespaced {
        if namespace.is_empty() {
            return Err(Problem::method_not_allowed());
        }
        let place = Resource::by_kind("Namespace").map(|row| Key::new(row, "", namespace));
        if let Some(place) = place.filter(|place| shared.store.get(place).is_none()) {
            return Err(Problem::not_found(place.resource(), namespace));
        }
    }
    strict::check(resource, &object, asked.query.text("fieldValidation"))?;
    let stored =
        shared
            .store
            .create(resource, namespace, object, terms(address, asked, "Update"))?;
    Ok(answer::json(201, &stored))
}

fn is_of(resource: &Resource, object: &Value) -> Result<(), Problem> {
    let (kind, version) = (object.text("/kind"), object.text("/apiVersion"));
    if kind == resource.kind && version == resource.api_version() {
        return Ok(());
    }
    let why = format!(
        "{kind} in version \"{version}\" cannot be handled as a {}: expected {}, {}",
        resource.kind,
        resource.kind,
        resource.api_version()
    );
    Err(Problem::bad_request(why))
}

fn update(shared: &Shared, address: &Address, asked: &Asked) -> Result<Response, Problem> {
    let object = object_body(asked)?;
    let resource = address.resource;
    let scaling = address.subresource == "scale";
    if !scaling {
        is_of(resource, &object)?;
        strict::check(resource, &object, asked.query.text("fieldValidation"))?;
    }
    if object.text("/metadata/name") != address.name {
        let why = format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            object.text("/metadata/name"),
            address.name
        );
        return Err(Problem::bad_request(why));
    }
    let stored =
        shared
            .store
            .update(&address.key(), terms(address, asked, "Update"), |before| {
                Ok(if scaling {
                    with_scale(before, &object)
                } else {
                    object
                })
            })?;
    Ok(answer::json(
        200,
        &if scaling {
            scale_of(&stored)
        } else {
            (*stored).clone()
        },
    ))
}

fn with_scale(before: &Value, scale: &Value) -> Value {
    let mut after = before.clone();
    after.put("/spec/replicas", scale.at("/spec/replicas").clone());
    if scale.has("/metadata/resourceVersion") {
        after.put(
            "/metadata/resourceVersion",
            scale.at("/metadata/resourceVersion").clone(),
        );
    }
    after
}

fn patch(
    shared: &Shared,
    persona: &Persona,
    address: &Address,
    asked: &Asked,
) -> Result<Response, Problem> {
    let resource = address.resource;
    let kind = asked
        .content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let accepted = [JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY];
    let known = accepted.contains(&kind) && !(resource.custom && kind == STRATEGIC);
    if !known {
        let offered: Vec<_> = accepted
            .into_iter()
            .filter(|name| !(resource.custom && *name == STRATEGIC))
            .collect();
        return Err(Problem::unsupported_media(&offered.join(", ")));
    }
    if kind == APPLY {
        return apply(shared, persona, address, asked);
    }
    let patch: Value = serde_json::from_slice(&asked.body)
        .map_err(|error| Problem::bad_request(format!("error decoding patch: {error}")))?;
    if kind != JSON_PATCH && !patch.is_object() {
        return Err(Problem::bad_request(
            "error decoding patch: the patch is no object",
        ));
    }
    let strictness = asked.query.text("fieldValidation");
    let scaling = address.subresource == "scale";
    let terms = terms(address, asked, "Update");
    let stored = shared.store.update(&address.key(), terms, |before| {
        let seen = if scaling {
            scale_of(before)
        } else {
            before.clone()
        };
        let after = patched(&seen, kind, &patch)?;
        if scaling {
            return Ok(with_scale(before, &after));
        }
        strict::check_patched(resource, &after, strictness)?;
        Ok(after)
    })?;
    Ok(answer::json(
        200,
        &if scaling {
            scale_of(&stored)
        } else {
            (*stored).clone()
        },
    ))
}

fn patched(before: &Value, kind: &str, patch: &Value) -> Result<Value, Problem> {
    let mut after = before.clone();
    match kind {
        JSON_PATCH => {
            return json_patch(before, patch).map_err(|refused| match refused {
                Refused::Malformed(why) => Problem::bad_request(why),
                Refused::DoesNotFit(_) => Problem::patch_failed(),
            });
        }
        STRATEGIC => strategic_merge(&mut after, patch),
        _ => merge_patch(&mut after, patch),
    }
    Ok(after)
}

/// Server-side apply, as an upsert by strategic merge: what the applied object
/// names is set, nothing is taken away.
fn apply(
    shared: &Shared,
    persona: &Persona,
    address: &Address,
    asked: &Asked,
) -> Result<Response, Problem> {
    let resource = address.resource;
    if asked.query.text("fieldManager").is_empty() {
        let why = "Required value: is required for apply patch";
        return Err(Problem::invalid(
            resource,
            &address.name,
            "fieldManager",
            why,
        ));
    }
    let mut object = yaml(&asked.body)?;
    if !object.is_object() {
        return Err(Problem::bad_request("the body is no object"));
    }
    is_of(resource, &object)?;
    strict::check(resource, &object, asked.query.text("fieldValidation"))?;
    let terms = terms(address, asked, "Apply");
    if shared.store.get(&address.key()).is_none() && address.subresource.is_empty() {
        persona.check("create", address)?;
        object.put("/metadata/name", json!(address.name));
        let stored = shared
            .store
            .create(resource, &address.namespace, object, terms)?;
        return Ok(answer::json(201, &stored));
    }
    let stored = shared.store.update(&address.key(), terms, |before| {
        let mut after = before.clone();
        strategic_merge(&mut after, &object);
        Ok(after)
    })?;
    Ok(answer::json(200, &stored))
}
