//! Names of things, each its own type, so that a model cannot be passed for a run.

use std::fmt;

use crate::domain::text::Clean;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Clean);

        impl $name {
            /// Wraps a name, cleaned as [`Clean::name`] does.
            pub fn new(raw: impl AsRef<str>) -> Self {
                Self(Clean::name(raw.as_ref()))
            }

            /// The name as people read it.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The name as clean text.
            pub fn text(&self) -> &Clean {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.0.as_str())
            }
        }
    };
}

id!(
    /// One configured backend, as named in the configuration (`gh`, `prod`).
    BackendId
);
id!(
    /// What has releases, as named in the configuration.
    ServiceName
);
id!(
    /// Where releases go (`prod-eu`, `staging`), as named in the configuration.
    EnvironmentName
);
id!(
    /// A set of gates with its rules, as named in the configuration.
    PolicyName
);
id!(
    /// One gate of a policy.
    GateId
);
id!(
    /// One configured metric of a service (`latency_p95`).
    MetricName
);
id!(
    /// A release's unchanging name: minted once from its service and the first
    /// anchor seen. What people read is [`crate::domain::catalog`]'s label, not this.
    ReleaseId
);
id!(
    /// One plan: everything one confirmed key press or command sets in motion.
    PlanId
);

/// A git commit, 40 lower-case hex digits (64 for SHA-256 repositories).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit(Clean);

impl Commit {
    /// Reads a full commit id; `None` for a short one or anything else.
    pub fn parse(raw: &str) -> Option<Self> {
        let full = matches!(raw.len(), 40 | 64) && raw.bytes().all(|b| b.is_ascii_hexdigit());
        full.then(|| Self(Clean::name(&raw.to_ascii_lowercase())))
    }

    /// All digits.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The first seven digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(self.0.as_str())
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.short())
    }
}

/// One pipeline definition on one backend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipelineId {
    /// The backend that runs it.
    pub backend: BackendId,
    /// The repository (`owner/name`).
    pub repo: Clean,
    /// The definition inside it (a workflow file name).
    pub workflow: Clean,
}

/// One execution of a pipeline. Stays the same over its attempts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId {
    /// The backend that runs it.
    pub backend: BackendId,
    /// The repository (`owner/name`).
    pub repo: Clean,
    /// The backend's own id; larger than 32 bits on real services.
    pub id: u64,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}#{}", self.backend, self.id))
    }
}

/// One job of one attempt of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId {
    /// The run it belongs to.
    pub run: RunId,
    /// The backend's own id, new in every attempt.
    pub id: u64,
}

/// One registered model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId {
    /// The registry.
    pub backend: BackendId,
    /// The model's name there.
    pub name: Clean,
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// The number of one version of a registered model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("v{}", self.0))
    }
}

/// What kind of object moves an environment from one revision to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    /// An Argo Rollouts `Rollout`.
    Rollout,
    /// A plain `apps/v1` Deployment.
    Deployment,
}

/// One rollout object: (context, kind, namespace, name). Its uid travels in
/// [`crate::domain::action::RolloutSeen`], because a deleted and re-made object
/// has the same name and is another thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId {
    /// The backend, which is one context of one cluster.
    pub backend: BackendId,
    /// Which kind of object.
    pub kind: TargetKind,
    /// Its namespace.
    pub namespace: Clean,
    /// Its name.
    pub name: Clean,
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.namespace, self.name))
    }
}

/// One deployment environment of a run's repository, by the backend's own id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApprovalId {
    /// The run that waits.
    pub run: RunId,
    /// The environment's id on the backend.
    pub environment: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_commit_id_is_a_commit() {
        assert!(Commit::parse("9f3c2ab").is_none());
        assert!(Commit::parse(&"g".repeat(40)).is_none());
        let commit = Commit::parse("9F3C2AB0123456789abcdef0123456789abcdef0").unwrap();
        assert_eq!(commit.short(), "9f3c2ab");
    }

    #[test]
    fn hosted_trap_6_run_ids_are_wider_than_32_bits() {
        let id = RunId {
            backend: BackendId::new("gh"),
            repo: "acme/recsys".into(),
            id: 10_551_800_200,
        };
        assert_eq!(id.to_string(), "gh#10551800200");
    }
}
