//! A scenario as it is written.
//!
//! Strict: an unknown key is an error with its place. Times are seconds from
//! the start of the demo, negative before it; durations are seconds. Both are
//! divided by the demo's speed, which is why a story that is half over at the
//! start is half over at every speed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::sim::cause::{Failure, Patch, Shape, Training};

/// A whole scenario, or a part that one or more scenarios use.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) title: Option<String>,
    pub(crate) about: Option<String>,
    #[serde(default)]
    pub(crate) guide: Vec<Hint>,
    pub(crate) focus: Option<Focus>,
    /// Text of the configuration gonogo gets, with `${…}` for addresses, tokens and durations.
    #[serde(default)]
    pub(crate) config: String,
    /// Kubernetes objects as YAML documents.
    #[serde(default)]
    pub(crate) manifests: String,
    /// Kubernetes objects as tables.
    #[serde(default)]
    pub(crate) object: Vec<Value>,
    #[serde(default, rename = "use")]
    pub(crate) parts: Vec<Use>,
    #[serde(default)]
    pub(crate) persona: Vec<Persona>,
    #[serde(default)]
    pub(crate) person: Vec<Person>,
    #[serde(default)]
    pub(crate) repo: Vec<Repo>,
    #[serde(default)]
    pub(crate) model: Vec<Model>,
    #[serde(default)]
    pub(crate) traffic: Vec<Traffic>,
    #[serde(default)]
    pub(crate) at: Vec<At>,
}

/// A line of the guide: always told, or only while a filter of the fleet finds
/// something (`env:prod-us stage:approve`), so that it follows what was done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Hint {
    Always(String),
    While(HintWhile),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HintWhile {
    pub(crate) say: String,
    #[serde(rename = "while")]
    pub(crate) holds: String,
}

/// What `endpoints.json` names beside addresses and tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Focus {
    pub(crate) repo: String,
    pub(crate) workflow: String,
    pub(crate) model: String,
    pub(crate) query: String,
    pub(crate) namespace: String,
    pub(crate) rollout: String,
}

/// Puts a part in, with its parameters.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Use {
    pub(crate) part: String,
    #[serde(default)]
    pub(crate) with: BTreeMap<String, Value>,
}

/// Someone with credentials. The first one is who the demo is opened as.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Persona {
    pub(crate) login: String,
    pub(crate) name: String,
    #[serde(default = "yes")]
    pub(crate) may_write: bool,
    /// What they may do in the cluster.
    pub(crate) role: Role,
}

/// What someone may do in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    Admin,
    ReleaseManager,
    Viewer,
}

/// Someone who is only named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    pub(crate) login: String,
    pub(crate) name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repo {
    /// `owner/name`.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default = "main")]
    pub(crate) default_branch: String,
    #[serde(default)]
    pub(crate) team: Vec<Team>,
    #[serde(default)]
    pub(crate) environment: Vec<Environment>,
    #[serde(default)]
    pub(crate) workflow: Vec<Workflow>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Team {
    pub(crate) slug: String,
    pub(crate) members: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Environment {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) reviewers: Vec<String>,
    #[serde(default)]
    pub(crate) teams: Vec<String>,
    #[serde(default)]
    pub(crate) wait_minutes: u32,
    #[serde(default)]
    pub(crate) prevent_self_review: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workflow {
    pub(crate) file: String,
    /// May be left out where jobs are added to a workflow defined elsewhere.
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) on: Vec<String>,
    /// Number of the run before the first one here.
    #[serde(default)]
    pub(crate) numbered: u64,
    #[serde(default)]
    pub(crate) job: Vec<Job>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Job {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    pub(crate) environment: Option<String>,
    #[serde(default = "runner")]
    pub(crate) labels: Vec<String>,
    /// Seconds until a runner takes it.
    #[serde(default = "two")]
    pub(crate) queue: f64,
    #[serde(default)]
    pub(crate) step: Vec<Step>,
    /// Model whose training is recorded when this job ends well.
    pub(crate) registers: Option<String>,
    /// Sent when this job ends well.
    #[serde(default)]
    pub(crate) patch: Vec<Patch>,
    #[serde(default)]
    pub(crate) artifact: Vec<Artifact>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    #[serde(default)]
    pub(crate) log: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Artifact {
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    /// Experiment its runs belong to; its own name if absent.
    pub(crate) experiment: Option<String>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) aliases: BTreeMap<String, u32>,
    #[serde(default)]
    pub(crate) version: Vec<Version>,
}

/// A version that was there before the story begins.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Version {
    pub(crate) s: f64,
    #[serde(default)]
    pub(crate) sha: String,
    #[serde(default)]
    pub(crate) branch: String,
    #[serde(default)]
    pub(crate) author: String,
    pub(crate) training: Training,
}

/// Requests that reach a rollout or a deployment, and how its versions answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Traffic {
    pub(crate) name: String,
    #[serde(default = "rollout")]
    pub(crate) kind: String,
    pub(crate) namespace: String,
    /// Name of the rollout or deployment.
    pub(crate) target: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) requests_per_second: f64,
    pub(crate) latency_p95_ms: f64,
    #[serde(default)]
    pub(crate) error_ratio: f64,
    #[serde(default)]
    pub(crate) gauge: Vec<Gauge>,
    #[serde(default)]
    pub(crate) version: Vec<Behaviour>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gauge {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
    /// Share of the value it wobbles by.
    #[serde(default)]
    pub(crate) wobble: f64,
}

/// How one version differs from the rest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Behaviour {
    /// Start of the image tag.
    pub(crate) tag: String,
    /// Only from this weight on.
    #[serde(default)]
    pub(crate) from_weight: f64,
    pub(crate) latency_factor: Option<f64>,
    pub(crate) error_ratio: Option<f64>,
    #[serde(default)]
    pub(crate) gauges: BTreeMap<String, f64>,
}

/// One moment of the script: exactly one cause.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct At {
    pub(crate) s: f64,
    /// Happens again after this many seconds, for ever.
    pub(crate) every: Option<f64>,
    pub(crate) push: Option<Push>,
    pub(crate) approve: Option<Answer>,
    pub(crate) reject: Option<Answer>,
    pub(crate) rerun: Option<Rerun>,
    pub(crate) patch: Option<Patch>,
    pub(crate) apply: Option<String>,
    pub(crate) delete: Option<Target>,
    pub(crate) register: Option<Version>,
    pub(crate) alias: Option<Alias>,
    pub(crate) shape: Option<Shape>,
    pub(crate) silence: Option<Silence>,
    pub(crate) fault: Option<FaultLine>,
    pub(crate) swallow: Option<usize>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Push {
    pub(crate) repo: String,
    #[serde(default = "main")]
    pub(crate) branch: String,
    /// Forty hex digits; made from the message if absent.
    pub(crate) sha: Option<String>,
    pub(crate) message: String,
    pub(crate) author: String,
    #[serde(default)]
    pub(crate) training: Vec<Training>,
    #[serde(default)]
    pub(crate) failure: Vec<Failure>,
}

/// Someone else's answer to a waiting environment, in the newest run that waits for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) repo: String,
    pub(crate) environment: String,
    pub(crate) by: String,
    #[serde(default)]
    pub(crate) comment: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rerun {
    pub(crate) repo: String,
    pub(crate) by: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alias {
    pub(crate) model: String,
    pub(crate) name: String,
    pub(crate) version: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Silence {
    pub(crate) traffic: String,
    pub(crate) on: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultLine {
    pub(crate) backend: crate::sim::cause::BackendName,
    pub(crate) kind: FaultKind,
    /// For `status`.
    pub(crate) code: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FaultKind {
    Status,
    Html,
    Hang,
    Reset,
    /// Carried out, and the answer lost.
    Lost,
    Off,
}

fn yes() -> bool {
    true
}

fn main() -> String {
    "main".to_owned()
}

fn rollout() -> String {
    "Rollout".to_owned()
}

fn runner() -> Vec<String> {
    vec!["ubuntu-latest".to_owned()]
}

fn two() -> f64 {
    2.0
}
