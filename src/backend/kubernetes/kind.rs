//! The kinds of objects that are looked at, and where the API keeps them.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    backend::kubernetes::{encode::segment, wire},
    domain::{id::TargetKind, text::Clean},
};

/// One list that is looked at and followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Rollouts.
    Rollouts,
    /// ReplicaSets of Rollouts.
    RolloutSets,
    /// AnalysisRuns.
    AnalysisRuns,
    /// Deployments.
    Deployments,
    /// ReplicaSets of Deployments.
    DeploymentSets,
}

/// What an outsider would call the answer to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    /// Rollouts with what they own.
    Rollouts,
    /// Deployments with what they own.
    Deployments,
}

impl Family {
    /// The kinds that are joined to its facts, the one that carries them first.
    pub(super) fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Rollouts => &[Kind::Rollouts, Kind::RolloutSets, Kind::AnalysisRuns],
            Self::Deployments => &[Kind::Deployments, Kind::DeploymentSets],
        }
    }

    /// The kind that carries its facts.
    pub(super) fn primary(self) -> Kind {
        match self {
            Self::Rollouts => Kind::Rollouts,
            Self::Deployments => Kind::Deployments,
        }
    }
}

impl From<TargetKind> for Family {
    fn from(kind: TargetKind) -> Self {
        match kind {
            TargetKind::Rollout => Self::Rollouts,
            TargetKind::Deployment => Self::Deployments,
        }
    }
}

impl Kind {
    /// The family it is joined into.
    pub(super) fn family(self) -> Family {
        match self {
            Self::Rollouts | Self::RolloutSets | Self::AnalysisRuns => Family::Rollouts,
            Self::Deployments | Self::DeploymentSets => Family::Deployments,
        }
    }

    /// The kind of the objects that own these.
    pub(super) fn owner(self) -> &'static str {
        match self.family() {
            Family::Rollouts => "Rollout",
            Family::Deployments => "Deployment",
        }
    }

    /// The API's plural.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Rollouts => "rollouts",
            Self::RolloutSets | Self::DeploymentSets => "replicasets",
            Self::AnalysisRuns => "analysisruns",
            Self::Deployments => "deployments",
        }
    }

    /// The API group.
    pub(super) fn group(self) -> &'static str {
        match self {
            Self::Rollouts | Self::AnalysisRuns => "argoproj.io",
            Self::RolloutSets | Self::Deployments | Self::DeploymentSets => "apps",
        }
    }

    /// Whether a cluster may do without it: its definition is an add-on.
    pub(super) fn may_be_absent(self) -> bool {
        self.group() == "argoproj.io"
    }

    /// The path of the whole list in a namespace.
    pub(super) fn collection(self, namespace: &str) -> String {
        let version = match self.group() {
            "apps" => "apps/v1",
            _ => "argoproj.io/v1alpha1",
        };
        format!(
            "/apis/{version}/namespaces/{}/{}",
            segment(namespace),
            self.plural()
        )
    }

    /// The query that leaves out what is not looked at, if any.
    pub(super) fn selector(self) -> Option<String> {
        match self {
            Self::RolloutSets => Some(format!("labelSelector={}", super::rollouts::HASH)),
            Self::DeploymentSets => Some(format!("labelSelector={}", super::deployments::HASH)),
            Self::Rollouts | Self::AnalysisRuns | Self::Deployments => None,
        }
    }

    /// The scope's name (`rollouts recsys`).
    pub(super) fn part(self, namespace: &str) -> Clean {
        let word = match self {
            Self::DeploymentSets => "deployment replicasets",
            other => other.plural(),
        };
        Clean::line(&format!("{word} {namespace}"))
    }
}

/// One object that could be read.
#[derive(Clone, Debug)]
pub(super) enum Object {
    /// A Rollout.
    Rollout(Box<wire::Rollout>),
    /// A ReplicaSet.
    Set(Box<wire::ReplicaSet>),
    /// An AnalysisRun.
    Run(Box<wire::AnalysisRun>),
    /// A Deployment.
    Deployment(Box<wire::Deployment>),
}

/// One object that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Its name, as far as it has one.
    pub(super) name: Clean,
    /// What is wrong with it.
    pub(super) why: Clean,
}

/// A line of a watch that tells of an object.
#[derive(Deserialize)]
struct Told<T> {
    #[serde(rename = "type")]
    word: String,
    object: T,
}

fn told<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let told: Told<T> = serde_json::from_slice(line).ok()?;
    matches!(told.word.as_str(), "ADDED" | "MODIFIED").then_some(told.object)
}

impl Object {
    /// Reads a line of a watch that tells of an object as it is now, without
    /// making anything of the parts nobody uses. `None` where it tells of
    /// something else or cannot be read: whoever reads it in full knows what.
    pub(super) fn told(kind: Kind, line: &[u8]) -> Option<Self> {
        let mut object = match kind {
            Kind::Rollouts => Self::Rollout(told(line)?),
            Kind::RolloutSets | Kind::DeploymentSets => Self::Set(told(line)?),
            Kind::AnalysisRuns => Self::Run(told(line)?),
            Kind::Deployments => Self::Deployment(told(line)?),
        };
        object.meta_mut().slim();
        let meta = object.meta();
        let is_whole = !meta.uid.is_empty() && !meta.resource_version.is_empty();
        is_whole.then_some(object)
    }

    /// Reads one object of a list or an event.
    ///
    /// # Errors
    ///
    /// Something in it has a type that the API does not allow.
    pub(super) fn read(kind: Kind, value: Value) -> Result<Self, Broken> {
        let name = value
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .map_or_else(|| "without a name".into(), Clean::name);
        let read = match kind {
            Kind::Rollouts => serde_json::from_value(value).map(Self::Rollout),
            Kind::RolloutSets | Kind::DeploymentSets => {
                serde_json::from_value(value).map(Self::Set)
            }
            Kind::AnalysisRuns => serde_json::from_value(value).map(Self::Run),
            Kind::Deployments => serde_json::from_value(value).map(Self::Deployment),
        };
        let mut object = read.map_err(|error| Broken {
            name: name.clone(),
            why: Clean::line(&error.to_string()),
        })?;
        object.meta_mut().slim();
        if object.meta().uid.is_empty() {
            return Err(Broken {
                name,
                why: "it has no uid".into(),
            });
        }
        Ok(object)
    }

    /// Its metadata.
    pub(super) fn meta(&self) -> &wire::Meta {
        match self {
            Self::Rollout(object) => &object.metadata,
            Self::Set(object) => &object.metadata,
            Self::Run(object) => &object.metadata,
            Self::Deployment(object) => &object.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut wire::Meta {
        match self {
            Self::Rollout(object) => &mut object.metadata,
            Self::Set(object) => &mut object.metadata,
            Self::Run(object) => &mut object.metadata,
            Self::Deployment(object) => &mut object.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        id::{BackendId, TargetId},
        observation::Scope,
    };

    /// The engine looks for these scopes by the names of `domain`.
    #[test]
    fn scopes_have_the_names_that_the_engine_looks_for() {
        let backend = BackendId::new("prod");
        let target = |kind| TargetId {
            backend: backend.clone(),
            kind,
            namespace: "recsys".into(),
            name: "ranker".into(),
        };
        let of = |kind: Kind| Scope::new(&backend, kind.part("recsys"));
        let rollout = target(TargetKind::Rollout);
        assert_eq!(Scope::rollouts(&rollout), of(Kind::Rollouts));
        assert_eq!(Scope::namespace(&rollout), of(Kind::Rollouts));
        assert_eq!(Scope::revisions(&rollout), of(Kind::RolloutSets));
        assert_eq!(Scope::analyses(&rollout), of(Kind::AnalysisRuns));
        let deployment = target(TargetKind::Deployment);
        assert_eq!(Scope::rollouts(&deployment), of(Kind::Deployments));
        assert_eq!(Scope::namespace(&deployment), of(Kind::Rollouts));
        assert_eq!(Scope::revisions(&deployment), of(Kind::DeploymentSets));
    }
}
