//! What can be made to happen in the demo's world.
//!
//! A scenario holds nothing but these, each at a time. What follows from them
//! is worked out by the four backends; the same effects hang on jobs of a
//! workflow, so that approving a deployment really deploys.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::kubernetes::Fault;

/// What a training run of a commit leaves in the model registry.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Training {
    /// Registered model.
    pub(crate) model: String,
    /// Fixed version number; the next free one if absent.
    pub(crate) version: Option<u32>,
    pub(crate) run_name: Option<String>,
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) metrics: BTreeMap<String, f64>,
    #[serde(default)]
    pub(crate) params: BTreeMap<String, String>,
    /// Tags of the run, beside those every run gets.
    #[serde(default)]
    pub(crate) run_tags: BTreeMap<String, String>,
    /// Tags of the version.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) datasets: Vec<Dataset>,
    /// Leaves the commit out of the run's tags: a version nobody can place.
    #[serde(default)]
    pub(crate) without_commit: bool,
    /// Registers from a bare location, without a run.
    #[serde(default)]
    pub(crate) without_run: bool,
}

/// A dataset a run read.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dataset {
    pub(crate) name: String,
    /// Eight hex digits.
    pub(crate) digest: String,
    /// `training`, `eval`, …
    pub(crate) context: String,
    #[serde(default)]
    pub(crate) rows: u64,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// What a finished job, or the script, changes in another system.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Records the commit's training of this model in the registry.
    Register { model: String },
    /// Sends a merge patch to the cluster.
    Patch(Patch),
    /// Points an alias at a version.
    Alias {
        model: String,
        alias: String,
        version: u32,
    },
}

/// A merge patch for one object.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patch {
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) merge: Value,
}

/// One cause of the script.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cause {
    Push(Push),
    /// Someone else answers a waiting environment.
    Review {
        repo: String,
        environment: String,
        by: String,
        approve: bool,
        comment: String,
    },
    /// Someone else runs failed jobs again.
    Rerun {
        repo: String,
        by: String,
    },
    Effect(Effect),
    /// A version appears in the registry by someone else's hand.
    Register {
        training: Training,
        sha: String,
        branch: String,
        author: String,
    },
    /// Creates or replaces objects.
    Apply(Vec<Value>),
    Delete {
        kind: String,
        namespace: String,
        name: String,
    },
    Shape(Shape),
    /// Measurements of a target stop, or come back.
    Silence {
        traffic: String,
        on: bool,
    },
    /// A backend breaks in some way, or is mended.
    Fault {
        backend: BackendName,
        fault: Option<Fault>,
    },
    /// The rollout controller overwrites the next accepted patches.
    Swallow {
        patches: usize,
    },
}

/// A commit arrives.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Push {
    pub(crate) repo: String,
    pub(crate) branch: String,
    pub(crate) sha: String,
    pub(crate) message: String,
    pub(crate) author: String,
    pub(crate) training: Vec<Training>,
    pub(crate) failures: Vec<Failure>,
}

/// A job that will fail.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    pub(crate) job: String,
    pub(crate) step: Option<String>,
    /// Attempts it fails in; empty: all.
    #[serde(default)]
    pub(crate) attempts: Vec<u32>,
    #[serde(default)]
    pub(crate) log: Vec<String>,
}

/// How a version behaves from now on; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    pub(crate) traffic: String,
    /// Start of the image tag; absent: every version.
    pub(crate) tag: Option<String>,
    /// Factor on the requests per second of the target.
    pub(crate) load: Option<f64>,
    pub(crate) latency_factor: Option<f64>,
    pub(crate) error_ratio: Option<f64>,
    #[serde(default)]
    pub(crate) gauges: BTreeMap<String, f64>,
}

/// The four systems of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BackendName {
    Github,
    Mlflow,
    Prometheus,
    Kubernetes,
}
