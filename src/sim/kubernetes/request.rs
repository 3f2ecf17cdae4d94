//! What a request asks for: its path and its query, read once.

use std::collections::HashMap;

use crate::sim::kubernetes::resource::{Key, RESOURCES, Resource};

/// An object, a collection, or a subresource.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) resource: &'static Resource,
    /// Empty for the whole cluster.
    pub(crate) namespace: String,
    /// Empty for the collection.
    pub(crate) name: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
}

impl Address {
    pub(crate) fn key(&self) -> Key {
        Key::new(self.resource, &self.namespace, &self.name)
    }
}

/// What a path stands for.
#[derive(Debug)]
pub(crate) enum Target {
    Version,
    /// `/healthz`, `/livez`, `/readyz` and what is below them.
    Health,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/<group>`.
    Group(String),
    /// `/api/v1` or `/apis/<group>/<version>`.
    Resources {
        group: String,
        version: String,
    },
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3`, with what follows.
    OpenApiV3(String),
    Objects(Address),
    /// A review of the asking user: group and plural.
    Review(&'static str),
    /// The record of what was asked, for tests and curious people.
    Mutations,
    Unknown,
}

const REVIEWS: &[(&str, &str)] = &[
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
];

/// What `path` stands for.
pub(crate) fn target(path: &str) -> Target {
    let segments: Vec<String> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(decode)
        .collect();
    let texts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match texts.as_slice() {
        ["version"] => Target::Version,
        ["healthz" | "livez" | "readyz", ..] => Target::Health,
        ["sim", "mutations"] => Target::Mutations,
        ["openapi", "v2"] => Target::OpenApiV2,
        ["openapi", "v3", rest @ ..] => Target::OpenApiV3(rest.join("/")),
        ["api"] => Target::CoreVersions,
        ["apis"] => Target::Groups,
        ["apis", group] => Target::Group((*group).to_owned()),
        ["api", version] => Target::Resources {
            group: String::new(),
            version: (*version).to_owned(),
        },
        ["apis", group, version] => Target::Resources {
            group: (*group).to_owned(),
            version: (*version).to_owned(),
        },
        ["api", version, rest @ ..] => objects("", version, rest),
        ["apis", group, version, rest @ ..] => objects(group, version, rest),
        _ => Target::Unknown,
    }
}

fn objects(group: &str, version: &str, rest: &[&str]) -> Target {
    if let [plural] = rest
        && version == "v1"
        && let Some((_, found)) = REVIEWS
            .iter()
            .find(|(of, name)| *of == group && name == plural)
    {
        return Target::Review(found);
    }
    let (namespace, rest) = match rest {
        // Below a namespace is either one of its objects or its own part.
        ["namespaces", _, "status" | "finalize"] => ("", rest),
        ["namespaces", namespace, more @ ..] if !more.is_empty() => (*namespace, more),
        _ => ("", rest),
    };
    let Some((plural, rest)) = rest.split_first() else {
        return Target::Unknown;
    };
    let Some(resource) = Resource::by_plural(group, version, plural) else {
        return Target::Unknown;
    };
    let (name, subresource) = match rest {
        [] => ("", ""),
        [name] => (*name, ""),
        [name, subresource] => (*name, *subresource),
        _ => return Target::Unknown,
    };
    // One object of a namespaced kind cannot be reached without its namespace,
    // nor can an object of the whole cluster be reached through one.
    let fits = if resource.namespaced {
        !namespace.is_empty() || name.is_empty()
    } else {
        namespace.is_empty()
    };
    if !fits {
        return Target::Unknown;
    }
    Target::Objects(Address {
        resource,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
    })
}

/// The groups that are served, each with its one version.
pub(crate) fn groups() -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<_> = RESOURCES
        .iter()
        .filter(|row| !row.group.is_empty())
        .map(|row| (row.group, row.version))
        .collect();
    groups.extend(REVIEWS.iter().map(|(group, _)| (*group, "v1")));
    groups.dedup();
    groups
}

/// The reviews a group offers.
pub(crate) fn reviews(group: &str) -> impl Iterator<Item = &'static str> {
    REVIEWS
        .iter()
        .filter(move |(of, _)| *of == group)
        .map(|(_, plural)| *plural)
}

fn decode(segment: &str) -> String {
    if !segment.contains('%') {
        return segment.to_owned();
    }
    let escaped = format!("x={}", segment.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(escaped.as_bytes())
        .next()
        .map_or_else(|| segment.to_owned(), |(_, value)| value.into_owned())
}

/// The query of a request.
#[derive(Debug, Default)]
pub(crate) struct Query(HashMap<String, String>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        Self(
            url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The value of a parameter, or the empty text.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1" | "True" | "TRUE")
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn address(path: &str) -> (String, String, String, String) {
        let Target::Objects(found) = target(path) else {
            panic!("{path} is no object")
        };
        (
            found.resource.plural.into(),
            found.namespace,
            found.name,
            found.subresource,
        )
    }

    fn owned(a: &str, b: &str, c: &str, d: &str) -> (String, String, String, String) {
        (a.into(), b.into(), c.into(), d.into())
    }

    #[test]
    fn paths_name_objects_collections_and_parts() {
        for (path, expected) in [
            (
                "/api/v1/namespaces/a/pods/p/log",
                owned("pods", "a", "p", "log"),
            ),
            ("/api/v1/namespaces/a", owned("namespaces", "", "a", "")),
            (
                "/api/v1/namespaces/a/status",
                owned("namespaces", "", "a", "status"),
            ),
            ("/api/v1/pods", owned("pods", "", "", "")),
            (
                "/apis/argoproj.io/v1alpha1/namespaces/n/rollouts/r/status",
                owned("rollouts", "n", "r", "status"),
            ),
            (
                "/apis/argoproj.io/v1alpha1/rollouts",
                owned("rollouts", "", "", ""),
            ),
            ("/api/v1/nodes/kwok%2D0", owned("nodes", "", "kwok-0", "")),
        ] {
            assert_eq!(address(path), expected);
        }
    }

    #[test]
    fn what_is_not_served_is_unknown() {
        for path in [
            "/apis/argoproj.io/v1alpha1/rollouts/r",
            "/api/v1/namespaces/a/nodes/n",
            "/apis/argoproj.io/v1/rollouts",
            "/api/v1/namespaces/a/pods/p/log/x",
            "/nothing",
        ] {
            assert!(matches!(target(path), Target::Unknown), "{path}");
        }
    }
}
