//! What an MLflow server writes, as far as it is read here.
//!
//! REST API 2.0 (`/api/2.0/mlflow/…`), user permissions from 3.0; described at
//! <https://mlflow.org/docs/latest/api_reference/rest-api.html>. The server
//! leaves out whatever is empty (no `aliases`, no `tags`, no `end_time` while a
//! run is at work, `{}` for a search without rows), so nearly every field has a
//! default. Version numbers are strings, instants are epoch milliseconds. What
//! the fields mean is decided in [`super::map`].

use serde::Deserialize;

/// Answer of `registered-models/get`.
#[derive(Debug, Deserialize)]
pub(super) struct ModelAnswer {
    pub(super) registered_model: Model,
}

/// A registered model. The only place where aliases are listed: version
/// searches leave them out.
#[derive(Debug, Deserialize)]
pub(super) struct Model {
    pub(super) name: String,
    /// The newest version of each legacy stage, not "the newest versions".
    #[serde(default)]
    pub(super) latest_versions: Vec<ModelVersion>,
    #[serde(default)]
    pub(super) aliases: Vec<Alias>,
}

/// An alias of a registered model.
#[derive(Debug, Deserialize)]
pub(super) struct Alias {
    pub(super) alias: String,
    pub(super) version: String,
}

/// Answer of `model-versions/search`; `{}` when nothing matched.
#[derive(Debug, Default, Deserialize)]
pub(super) struct VersionsAnswer {
    #[serde(default)]
    pub(super) model_versions: Vec<ModelVersion>,
}

/// Answer of `model-versions/get`.
#[derive(Debug, Deserialize)]
pub(super) struct VersionAnswer {
    pub(super) model_version: ModelVersion,
}

/// One version of a registered model.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ModelVersion {
    pub(super) version: String,
    #[serde(default)]
    pub(super) creation_timestamp: Option<i64>,
    #[serde(default)]
    pub(super) source: String,
    /// Empty when it was registered from a bare location.
    #[serde(default)]
    pub(super) run_id: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) status_message: String,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
}

/// A key with a text.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Tag {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
}

/// Answer of `runs/get`.
#[derive(Debug, Deserialize)]
pub(super) struct RunAnswer {
    pub(super) run: Run,
}

/// A training or evaluation run.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub(super) info: RunInfo,
    #[serde(default)]
    pub(super) data: RunData,
    #[serde(default)]
    pub(super) inputs: RunInputs,
}

/// The head of a run.
#[derive(Debug, Deserialize)]
pub(super) struct RunInfo {
    pub(super) run_id: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) lifecycle_stage: String,
    #[serde(default)]
    pub(super) start_time: Option<i64>,
    #[serde(default)]
    pub(super) end_time: Option<i64>,
}

/// What a run logged.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RunData {
    #[serde(default)]
    pub(super) metrics: Vec<Metric>,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
}

/// The last value of one metric.
#[derive(Debug, Deserialize)]
pub(super) struct Metric {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: Option<Number>,
    #[serde(default)]
    pub(super) timestamp: Option<i64>,
}

/// A number as the server spells it: `NaN` is a string.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Finite(f64),
    Text(String),
}

/// The data a run read.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RunInputs {
    #[serde(default)]
    pub(super) dataset_inputs: Vec<DatasetInput>,
}

/// One data set and what it was used for.
#[derive(Debug, Deserialize)]
pub(super) struct DatasetInput {
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
    pub(super) dataset: Dataset,
}

/// A data set. Its `schema` and `profile` (kilobytes each) are skipped.
#[derive(Debug, Deserialize)]
pub(super) struct Dataset {
    pub(super) name: String,
    #[serde(default)]
    pub(super) digest: String,
}

/// Answer of `users/current` (servers with the basic-auth app).
#[derive(Debug, Deserialize)]
pub(super) struct UserAnswer {
    pub(super) user: User,
}

/// A user of the basic-auth app.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) username: String,
    #[serde(default)]
    pub(super) is_admin: bool,
}

/// Answer of `users/current/permissions` (API 3.0).
#[derive(Debug, Default, Deserialize)]
pub(super) struct GrantsAnswer {
    #[serde(default)]
    pub(super) is_admin: bool,
    #[serde(default)]
    pub(super) permissions: Vec<Grant>,
}

/// One grant of one role of the user.
#[derive(Debug, Deserialize)]
pub(super) struct Grant {
    #[serde(default)]
    pub(super) permission: String,
    #[serde(default)]
    pub(super) resource_type: String,
    #[serde(default)]
    pub(super) resource_pattern: String,
}
