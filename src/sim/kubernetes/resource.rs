//! The kinds of object this API server knows, as one table.
//!
//! Everything else in the server is generic over a row of it: discovery,
//! paths, the status split, tables.

use serde_json::Value;

use crate::sim::kubernetes::value::Fields;

/// One kind of object and how it is served.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) short: &'static [&'static str],
    pub(crate) namespaced: bool,
    /// Subresources that are written to; with `status` it is split off.
    pub(crate) parts: &'static [&'static str],
    /// Whether it comes from a custom resource definition.
    pub(crate) custom: bool,
}

impl Resource {
    /// `rollouts.argoproj.io`, or `pods` for the core group.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// `argoproj.io/v1alpha1`, or `v1` for the core group.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether `/status` exists, and so whether status is split off.
    pub(crate) fn has_status(&self) -> bool {
        self.parts.contains(&"status")
    }

    /// Whether `/scale` exists.
    pub(crate) fn has_scale(&self) -> bool {
        self.parts.contains(&"scale")
    }

    /// Whether `kubectl get all` lists it.
    pub(crate) fn is_in_all(&self) -> bool {
        matches!(self.kind, "Pod" | "Service" | "Deployment" | "ReplicaSet")
    }

    /// The row with this group, version and plural.
    pub(crate) fn by_plural(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        RESOURCES
            .iter()
            .find(|row| row.group == group && row.version == version && row.plural == plural)
    }

    /// The row of this kind.
    pub(crate) fn by_kind(kind: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|row| row.kind == kind)
    }

    /// The row an object says it belongs to.
    pub(crate) fn of(object: &Value) -> Option<&'static Self> {
        let row = Self::by_kind(object.text("/kind"))?;
        (row.api_version() == object.text("/apiVersion")).then_some(row)
    }
}

/// Where an object is kept. Kind names are unique in the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(resource: &Resource, namespace: &str, name: &str) -> Self {
        let namespace = if resource.namespaced { namespace } else { "" };
        Self {
            kind: resource.kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The key under which a stored object is kept.
    pub(crate) fn of(object: &Value) -> Option<Self> {
        let resource = Resource::of(object)?;
        let name = object.text("/metadata/name");
        Some(Self::new(
            resource,
            object.text("/metadata/namespace"),
            name,
        ))
    }

    /// The table's row of this key.
    pub(crate) fn resource(&self) -> &'static Resource {
        Resource::by_kind(self.kind).expect("keys are only made from rows of the table")
    }
}

const fn row(
    group: &'static str,
    version: &'static str,
    names: (&'static str, &'static str, &'static str),
    short: &'static [&'static str],
) -> Resource {
    let (plural, singular, kind) = names;
    Resource {
        group,
        version,
        plural,
        singular,
        kind,
        short,
        namespaced: true,
        parts: &[],
        custom: false,
    }
}

const ARGO: &str = "argoproj.io";
const ALPHA: &str = "v1alpha1";

/// All kinds, in the order discovery lists them.
pub(crate) static RESOURCES: &[Resource] = &[
    Resource {
        namespaced: false,
        parts: &["status"],
        ..row("", "v1", ("namespaces", "namespace", "Namespace"), &["ns"])
    },
    Resource {
        namespaced: false,
        parts: &["status"],
        ..row("", "v1", ("nodes", "node", "Node"), &["no"])
    },
    Resource {
        parts: &["status"],
        ..row("", "v1", ("pods", "pod", "Pod"), &["po"])
    },
    Resource {
        parts: &["status"],
        ..row("", "v1", ("services", "service", "Service"), &["svc"])
    },
    row("", "v1", ("events", "event", "Event"), &["ev"]),
    row("", "v1", ("configmaps", "configmap", "ConfigMap"), &["cm"]),
    Resource {
        parts: &["status", "scale"],
        ..row(
            "apps",
            "v1",
            ("deployments", "deployment", "Deployment"),
            &["deploy"],
        )
    },
    Resource {
        parts: &["status", "scale"],
        ..row(
            "apps",
            "v1",
            ("replicasets", "replicaset", "ReplicaSet"),
            &["rs"],
        )
    },
    // Kept for those who make them beside a rollout; no router reads them.
    Resource {
        custom: true,
        ..row(
            "networking.istio.io",
            "v1alpha3",
            ("virtualservices", "virtualservice", "VirtualService"),
            &["vs"],
        )
    },
    Resource {
        parts: &["status"],
        ..row(
            "networking.k8s.io",
            "v1",
            ("ingresses", "ingress", "Ingress"),
            &["ing"],
        )
    },
    Resource {
        parts: &["status", "scale"],
        custom: true,
        ..row(ARGO, ALPHA, ("rollouts", "rollout", "Rollout"), &["ro"])
    },
    Resource {
        custom: true,
        ..row(
            ARGO,
            ALPHA,
            ("analysisruns", "analysisrun", "AnalysisRun"),
            &["ar"],
        )
    },
    Resource {
        custom: true,
        ..row(
            ARGO,
            ALPHA,
            ("analysistemplates", "analysistemplate", "AnalysisTemplate"),
            &["at"],
        )
    },
    Resource {
        custom: true,
        namespaced: false,
        ..row(
            ARGO,
            ALPHA,
            (
                "clusteranalysistemplates",
                "clusteranalysistemplate",
                "ClusterAnalysisTemplate",
            ),
            &["cat"],
        )
    },
    Resource {
        custom: true,
        ..row(
            ARGO,
            ALPHA,
            ("experiments", "experiment", "Experiment"),
            &["exp"],
        )
    },
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_unique_so_that_a_kind_is_a_key() {
        for row in RESOURCES {
            assert_eq!(
                RESOURCES
                    .iter()
                    .filter(|other| other.kind == row.kind)
                    .count(),
                1
            );
        }
    }

    #[test]
    fn an_object_finds_its_row_only_with_the_right_version() {
        let rollout = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"});
        assert_eq!(
            Resource::of(&rollout).map(|row| row.plural),
            Some("rollouts")
        );
        let wrong = json!({"apiVersion": "apps/v1", "kind": "Rollout"});
        assert!(Resource::of(&wrong).is_none());
    }

    #[test]
    fn cluster_trap_7_only_rollouts_among_the_argo_kinds_split_status_off() {
        let split: Vec<_> = RESOURCES
            .iter()
            .filter(|row| row.group == "argoproj.io" && row.has_status())
            .map(|row| row.plural)
            .collect();
        assert_eq!(split, ["rollouts"]);
    }
}
