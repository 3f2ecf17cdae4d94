//! Objects as the API spells them, slimmed to what is used.
//!
//! Ten thousand whole objects take hundreds of megabytes; these take a few.
//! Every field may be absent. What people may write in several ways (steps,
//! numbers that are strings) stays a [`Value`] here and is read leniently by
//! the modules that map it; anything else of a wrong type makes this one object
//! unreadable, and only this one. Versions: `argoproj.io/v1alpha1`, `apps/v1`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::domain::Timestamp;

/// Absent and `null` are both the default.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A time as the API writes it.
pub(super) fn time(written: Option<&String>) -> Option<Timestamp> {
    let parsed = chrono::DateTime::parse_from_rfc3339(written?).ok()?;
    Some(parsed.to_utc())
}

/// A count; negative ones do not exist.
pub(super) fn count(written: Option<i64>) -> u32 {
    u32::try_from(written.unwrap_or(0)).unwrap_or(0)
}

/// A number, or a string that holds one.
pub(super) fn int_or_string(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) generation: Option<i64>,
    pub(super) creation_timestamp: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) owner_references: Vec<Owner>,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) managed_fields: Vec<Manager>,
}

impl Meta {
    /// The version counter, when it is a number.
    pub(super) fn version(&self) -> Option<u64> {
        self.resource_version.parse().ok()
    }

    /// The uid of the owner of this kind.
    pub(super) fn owner(&self, kind: &str) -> Option<&str> {
        self.owner_references
            .iter()
            .find(|owner| owner.kind == kind)
            .map(|owner| owner.uid.as_str())
    }

    /// Drops what is large and never used.
    pub(super) fn slim(&mut self) {
        self.annotations
            .remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owner {
    pub(super) kind: String,
    pub(super) uid: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Manager {
    pub(super) manager: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Template {
    #[serde(deserialize_with = "or_default")]
    pub(super) metadata: TemplateMeta,
    #[serde(deserialize_with = "or_default")]
    pub(super) spec: PodSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TemplateMeta {
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodSpec {
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rollout {
    pub(super) metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub(super) spec: RolloutSpec,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: RolloutStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RolloutSpec {
    pub(super) replicas: Option<i64>,
    pub(super) paused: Option<bool>,
    pub(super) restart_at: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) template: Template,
    #[serde(deserialize_with = "or_default")]
    pub(super) strategy: Strategy,
    pub(super) rollback_window: Option<RollbackWindow>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RollbackWindow {
    pub(super) revisions: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Strategy {
    pub(super) canary: Option<Canary>,
    pub(super) blue_green: Option<BlueGreen>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Canary {
    #[serde(deserialize_with = "or_default")]
    pub(super) steps: Vec<Value>,
    pub(super) traffic_routing: Option<TrafficRouting>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct TrafficRouting {
    pub(super) max_traffic_weight: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct BlueGreen {
    pub(super) active_service: String,
    pub(super) preview_service: Option<String>,
    pub(super) preview_replica_count: Option<i64>,
    pub(super) auto_promotion_enabled: Option<bool>,
    pub(super) auto_promotion_seconds: Option<i64>,
    pub(super) scale_down_delay_seconds: Option<i64>,
    pub(super) abort_scale_down_delay_seconds: Option<i64>,
    pub(super) pre_promotion_analysis: Option<RolloutAnalysis>,
    pub(super) post_promotion_analysis: Option<RolloutAnalysis>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RolloutAnalysis {
    #[serde(deserialize_with = "or_default")]
    pub(super) templates: Vec<TemplateRef>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct TemplateRef {
    pub(super) template_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RolloutStatus {
    /// A string in this API; old controllers wrote a hash into it.
    pub(super) observed_generation: Value,
    pub(super) workload_observed_generation: Value,
    pub(super) current_pod_hash: Option<String>,
    #[serde(rename = "stableRS")]
    pub(super) stable_rs: Option<String>,
    pub(super) current_step_index: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub(super) pause_conditions: Vec<PauseCondition>,
    pub(super) controller_pause: Option<bool>,
    pub(super) abort: Option<bool>,
    pub(super) aborted_at: Option<String>,
    pub(super) promote_full: Option<bool>,
    pub(super) phase: Option<String>,
    pub(super) message: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
    pub(super) replicas: Option<i64>,
    pub(super) updated_replicas: Option<i64>,
    pub(super) ready_replicas: Option<i64>,
    pub(super) available_replicas: Option<i64>,
    pub(super) restarted_at: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) canary: CanaryStatus,
    #[serde(deserialize_with = "or_default")]
    pub(super) blue_green: BlueGreenStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PauseCondition {
    pub(super) reason: String,
    pub(super) start_time: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) last_update_time: Option<String>,
    pub(super) last_transition_time: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CanaryStatus {
    pub(super) weights: Option<Weights>,
    pub(super) current_step_analysis_run_status: Option<AnalysisRunRef>,
    pub(super) current_experiment: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Weights {
    #[serde(deserialize_with = "or_default")]
    pub(super) canary: WeightDestination,
    pub(super) verified: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WeightDestination {
    pub(super) weight: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnalysisRunRef {
    pub(super) status: String,
    pub(super) message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct BlueGreenStatus {
    pub(super) active_selector: Option<String>,
    pub(super) preview_selector: Option<String>,
    pub(super) pre_promotion_analysis_run_status: Option<AnalysisRunRef>,
    pub(super) post_promotion_analysis_run_status: Option<AnalysisRunRef>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReplicaSet {
    pub(super) metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub(super) spec: ReplicaSetSpec,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: ReplicaSetStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReplicaSetSpec {
    pub(super) replicas: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub(super) template: Template,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ReplicaSetStatus {
    pub(super) ready_replicas: Option<i64>,
    pub(super) available_replicas: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Deployment {
    pub(super) metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub(super) spec: DeploymentSpec,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: DeploymentStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DeploymentSpec {
    pub(super) replicas: Option<i64>,
    pub(super) paused: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    pub(super) template: Template,
    #[serde(deserialize_with = "or_default")]
    pub(super) strategy: DeploymentStrategy,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DeploymentStrategy {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct DeploymentStatus {
    pub(super) observed_generation: Option<i64>,
    pub(super) replicas: Option<i64>,
    pub(super) updated_replicas: Option<i64>,
    pub(super) ready_replicas: Option<i64>,
    pub(super) available_replicas: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnalysisRun {
    pub(super) metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub(super) spec: AnalysisSpec,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: AnalysisStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AnalysisSpec {
    #[serde(deserialize_with = "or_default")]
    pub(super) metrics: Vec<MetricSpec>,
    #[serde(deserialize_with = "or_default")]
    pub(super) dry_run: Vec<DryRun>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct DryRun {
    pub(super) metric_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct MetricSpec {
    pub(super) name: String,
    pub(super) interval: Option<String>,
    pub(super) count: Value,
    pub(super) success_condition: Option<String>,
    pub(super) failure_condition: Option<String>,
    pub(super) failure_limit: Value,
    pub(super) consecutive_success_limit: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AnalysisStatus {
    pub(super) phase: String,
    pub(super) message: String,
    pub(super) started_at: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) metric_results: Vec<MetricResult>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct MetricResult {
    pub(super) name: String,
    pub(super) phase: String,
    pub(super) message: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) measurements: Vec<Measurement>,
    pub(super) successful: Option<i64>,
    pub(super) failed: Option<i64>,
    pub(super) inconclusive: Option<i64>,
    pub(super) error: Option<i64>,
    pub(super) consecutive_success: Option<i64>,
    pub(super) dry_run: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Measurement {
    pub(super) phase: String,
    pub(super) message: String,
    pub(super) started_at: Option<String>,
    pub(super) finished_at: Option<String>,
    pub(super) value: String,
}
