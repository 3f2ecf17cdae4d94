//! Registered models, their versions, and the run that trained each.

use std::collections::BTreeMap;

use crate::domain::{
    Timestamp,
    id::{ModelId, Version},
    text::Clean,
};

/// A registered model and where its aliases point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredModel {
    /// Which.
    pub id: ModelId,
    /// Alias → version (`champion` → 41). The only place where aliases are truth.
    pub aliases: BTreeMap<Clean, Version>,
    /// Where people see it.
    pub url: Option<Clean>,
}

/// One version of a registered model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelVersion {
    /// The model.
    pub model: ModelId,
    /// Its number.
    pub version: Version,
    /// Whether it can be used.
    pub status: VersionStatus,
    /// The run that made it; absent when it was registered from a bare location.
    pub run_id: Option<Clean>,
    /// Where its files are.
    pub source: Clean,
    /// When it was registered.
    pub created_at: Option<Timestamp>,
    /// Its tags.
    pub tags: BTreeMap<Clean, Clean>,
}

/// Whether a version can be used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VersionStatus {
    /// Being registered.
    Pending,
    /// Usable.
    Ready,
    /// Registration failed.
    Failed,
    /// A word this version does not know.
    Unknown(Clean),
}

/// The training or evaluation run behind a version.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRun {
    /// The registry.
    pub model: ModelId,
    /// The version it belongs to.
    pub version: Version,
    /// The registry's run id.
    pub run_id: Clean,
    /// Where it stands.
    pub status: ModelRunStatus,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The last value of each metric. Non-finite values stay visible as such.
    pub metrics: BTreeMap<Clean, f64>,
    /// When each metric was logged.
    pub metric_times: BTreeMap<Clean, Timestamp>,
    /// Its tags.
    pub tags: BTreeMap<Clean, Clean>,
    /// The data it was trained and scored on.
    pub datasets: Vec<Dataset>,
}

/// Where a training run stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModelRunStatus {
    /// At work or about to be.
    Running,
    /// Ended well.
    Finished,
    /// Ended badly.
    Failed,
    /// Stopped by a person.
    Killed,
    /// A word this version does not know.
    Unknown(Clean),
}

/// A data set as the registry fingerprints it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dataset {
    /// Its name.
    pub name: Clean,
    /// The registry's own short fingerprint; not a DVC or lakeFS hash.
    pub digest: Clean,
    /// What it was used for (`training`, `eval`).
    pub context: Option<Clean>,
}
