//! What the server says about itself: version, groups, resources, OpenAPI.
//!
//! The OpenAPI documents are only as large as kubectl needs: that a kind
//! exists, and that its writes take `fieldValidation`, which tells kubectl to
//! leave validation to the server.

use serde_json::{Map, Value, json};

use crate::sim::kubernetes::request::{groups, reviews};
use crate::sim::kubernetes::resource::{RESOURCES, Resource};
use crate::sim::kubernetes::value::Fields;

/// `/version`.
pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "34",
        "gitVersion": "v1.34.4",
        "gitCommit": "demo",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.24.9",
        "compiler": "gc",
        "platform": "linux/amd64",
    })
}

/// `/api`.
pub(crate) fn core_versions(host: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}],
    })
}

/// `/apis`.
pub(crate) fn group_list() -> Value {
    let groups: Vec<Value> = groups()
        .into_iter()
        .map(|(name, version)| group(name, version))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`, if there is such a group.
pub(crate) fn one_group(name: &str) -> Option<Value> {
    let (_, version) = groups().into_iter().find(|(group, _)| *group == name)?;
    let mut body = json!({"kind": "APIGroup", "apiVersion": "v1"});
    if let (Value::Object(body), Value::Object(group)) = (&mut body, group(name, version)) {
        body.extend(group);
    }
    Some(body)
}

fn group(name: &str, version: &str) -> Value {
    let entry = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [entry], "preferredVersion": entry})
}

/// `/api/v1` or `/apis/<group>/<version>`, if it is served.
pub(crate) fn resource_list(group: &str, version: &str) -> Option<Value> {
    let mut resources: Vec<Value> = RESOURCES
        .iter()
        .filter(|row| row.group == group && row.version == version)
        .flat_map(entries)
        .collect();
    if version == "v1" {
        resources.extend(reviews(group).map(review_entry));
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    (!resources.is_empty()).then(|| {
        json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": group_version,
            "resources": resources,
        })
    })
}

fn entries(row: &Resource) -> Vec<Value> {
    // The order in which the two kinds of server list them.
    let verbs = if row.custom {
        "delete deletecollection get list patch create update watch"
    } else {
        "create delete deletecollection get list patch update watch"
    };
    let verbs: Vec<&str> = verbs.split(' ').collect();
    let mut entries = vec![json!({
        "name": row.plural,
        "singularName": row.singular,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": verbs,
        "shortNames": row.short,
    })];
    if let (true, Some(entry)) = (row.is_in_all(), entries.first_mut()) {
        entry.put("/categories", json!(["all"]));
    }
    let mut part = |name: &str, kind: &str, verbs: &[&str], group: Option<(&str, &str)>| {
        let mut entry = json!({
            "name": format!("{}/{name}", row.plural),
            "singularName": "",
            "namespaced": row.namespaced,
            "kind": kind,
            "verbs": verbs,
        });
        if let (Value::Object(entry), Some((group, version))) = (&mut entry, group) {
            entry.insert("group".into(), json!(group));
            entry.insert("version".into(), json!(version));
        }
        entries.push(entry);
    };
    if row.has_status() {
        part("status", row.kind, &["get", "patch", "update"], None);
    }
    if row.has_scale() {
        part(
            "scale",
            "Scale",
            &["get", "patch", "update"],
            Some(("autoscaling", "v1")),
        );
    }
    if row.kind == "Pod" {
        part("log", "Pod", &["get"], None);
        part("eviction", "Eviction", &["create"], Some(("policy", "v1")));
    }
    entries
}

fn review_entry(plural: &str) -> Value {
    json!({
        "name": plural,
        "singularName": plural.trim_end_matches('s'),
        "namespaced": false,
        "kind": review_kind(plural),
        "verbs": ["create"],
    })
}

fn review_kind(plural: &str) -> &'static str {
    match plural {
        "selfsubjectaccessreviews" => "SelfSubjectAccessReview",
        "selfsubjectrulesreviews" => "SelfSubjectRulesReview",
        _ => "SelfSubjectReview",
    }
}

/// `/openapi/v3`.
pub(crate) fn openapi_index() -> Value {
    let mut paths = Map::new();
    let core = ("", "v1");
    for (group, version) in std::iter::once(core).chain(groups()) {
        let path = openapi_path(group, version);
        let url = format!("/openapi/v3/{path}");
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

fn openapi_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

/// `/openapi/v3/<path>`, if there is such a document.
pub(crate) fn openapi_document(path: &str) -> Option<Value> {
    let all = std::iter::once(("", "v1")).chain(groups());
    let (group, version) = all.into_iter().find(|(g, v)| openapi_path(g, v) == path)?;
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for row in RESOURCES
        .iter()
        .filter(|row| row.group == group && row.version == version)
    {
        let collection = if row.namespaced {
            format!("/{path}/namespaces/{{namespace}}/{}", row.plural)
        } else {
            format!("/{path}/{}", row.plural)
        };
        let kind = json!({"group": group, "version": version, "kind": row.kind});
        let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
            .iter()
            .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}))
            .collect();
        let write = |action: &str| {
            json!({
                "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": kind,
            })
        };
        paths.insert(collection.clone(), json!({"post": write("post")}));
        paths.insert(
            format!("{collection}/{{name}}"),
            json!({"put": write("put"), "patch": write("patch")}),
        );
        schemas.insert(
            format!("{}.{version}.{}", row.group, row.kind),
            json!({
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "x-kubernetes-group-version-kind": [kind],
            }),
        );
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.34.4"},
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}

/// `/openapi/v2`, as JSON.
pub(crate) fn openapi_v2() -> Value {
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.34.4"},
        "paths": {},
        "definitions": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_trap_8_discovery_tells_which_kinds_have_a_status_subresource() {
        let list = resource_list("argoproj.io", "v1alpha1").unwrap();
        let names: Vec<_> = list
            .items("/resources")
            .iter()
            .map(|row| row.text("/name"))
            .collect();
        assert!(names.contains(&"rollouts/status"));
        assert!(names.contains(&"rollouts/scale"));
        assert!(!names.contains(&"analysisruns/status"));
    }

    #[test]
    fn groups_that_are_not_served_are_not_there() {
        assert!(one_group("flagger.app").is_none());
        assert!(resource_list("apps", "v1beta1").is_none());
        assert!(openapi_document("apis/flagger.app/v1beta1").is_none());
        assert!(openapi_document("apis/argoproj.io/v1alpha1").is_some());
    }
}
