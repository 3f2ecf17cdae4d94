//! Adapters: one folder per kind of outside system.
//!
//! An adapter tells facts and carries out orders; it decides nothing, keeps no
//! history and knows no policy. It speaks for scopes and says when an answer is
//! the whole truth of one. Asking *again* is not its business either: see
//! `supervise`.

pub mod error;
pub mod github_actions;
pub mod http;
pub mod kubernetes;
pub mod mlflow;
pub mod prometheus;
pub mod secret;
pub mod settings;
pub mod supervise;
pub mod tls;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

pub use crate::backend::error::{BackendError, ErrorKind};
use crate::domain::{
    Timestamp,
    action::{ApprovalOrder, ModelOrder, Preview, Receipt, RolloutOrder, RunOrder},
    catalog::Catalog,
    id::{BackendId, JobId, RunId, TargetId},
    observation::{Batch, Observation},
    text::Clean,
};

/// Reads the wall clock. Handed in, so that tests and recorded sessions own time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Reads one environment variable. Handed in, so that only `config::env` touches
/// the process's own.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Every adapter, sorted by kind. A new one is a `mod` line and a row here.
pub static REGISTRY: &[&dyn Factory] = &[
    &github_actions::GithubActions,
    &kubernetes::Kubernetes,
    &mlflow::Mlflow,
    &prometheus::Prometheus,
];

/// Builds backends of one kind from their section of the configuration.
pub trait Factory: Sync {
    /// The value of `kind` in the configuration.
    fn kind(&self) -> &'static str;

    /// A commented section for `config.example.toml`; a test builds it.
    fn example(&self) -> &'static str;

    /// Builds a backend from its section (without `kind`). Opens no connection.
    ///
    /// # Errors
    ///
    /// A [`toml::de::Error`] that carries the span of the offending key; for
    /// what is wrong beyond single keys, an error at the section.
    fn build(
        &self,
        id: BackendId,
        section: toml::de::ValueDeserializer<'_>,
        setup: &Setup,
    ) -> Result<Backend, toml::de::Error>;
}

/// What every factory gets.
#[derive(Clone)]
pub struct Setup {
    /// Services, environments, queries: what there is to watch.
    pub catalog: Arc<Catalog>,
    /// The clock.
    pub now: Now,
    /// Where relative paths in the configuration start.
    pub base: std::path::PathBuf,
    /// Reads one environment variable.
    pub env: Env,
}

/// One configured backend: what it tells and what it can do.
pub struct Backend {
    /// Its name in the configuration.
    pub id: BackendId,
    /// Its kind.
    pub kind: &'static str,
    /// Its usual cadence, from which liveness follows.
    pub cadence: Duration,
    /// Where its facts come from; each is supervised on its own.
    pub feeds: Vec<Feed>,
    /// Its controls, by family.
    pub controls: Controls,
    /// Its logs, if it has any.
    pub logs: Option<Arc<dyn Logs>>,
    /// Answers `doctor`.
    pub probe: Arc<dyn Probe>,
}

/// A source of facts.
pub enum Feed {
    /// Asked again and again.
    Poll(Box<dyn Poll>),
    /// Tells by itself once started.
    Stream(Box<dyn Stream>),
}

/// A source that is asked again and again.
#[async_trait]
pub trait Poll: Send {
    /// The scope to blame when [`Poll::poll`] fails as a whole.
    fn scope(&self) -> crate::domain::observation::Scope;

    /// How long to wait before the next look, given what people look at and
    /// what was last answered. Called after every poll.
    fn cadence(&self, focus: &Focus) -> Duration;

    /// Reads the outside system once and returns what it said, scope by scope.
    ///
    /// A part that failed while others answered is a
    /// [`Observation::Failure`] beside their batches; only when nothing could
    /// be read is it an error. May be called again before the world has seen
    /// the last answer.
    ///
    /// # Errors
    ///
    /// Nothing could be read.
    async fn poll(&mut self, focus: &Focus) -> Result<Vec<Observation>, BackendError>;
}

/// A source that tells by itself.
#[async_trait]
pub trait Stream: Send {
    /// The scope to blame when the stream breaks.
    fn scope(&self) -> crate::domain::observation::Scope;

    /// Lists once, then tells every change through `outlet`, until it breaks.
    /// The supervisor starts it anew with back-off. Heartbeats (bookmarks) are
    /// told as empty, incomplete batches, so that calm is not mistaken for
    /// silence. A closed outlet means shutdown: return `Ok`.
    ///
    /// # Errors
    ///
    /// Why it broke.
    async fn stream(
        &mut self,
        outlet: &Outlet,
        focus: watch::Receiver<Focus>,
    ) -> Result<(), BackendError>;
}

/// Where adapters put what they learn. Bounded: a flood is felt at its source.
pub type Outlet = mpsc::Sender<Observation>;

/// What people look at, so that adapters look there more often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Focus {
    /// The run on screen or behind the release on screen.
    pub run: Option<RunId>,
    /// The rollout on screen or behind the release on screen.
    pub target: Option<TargetId>,
    /// Subjects with an action under way: looked at at once and often.
    pub urgent: BTreeSet<BackendId>,
    /// Bumped to ask for a look right now (the refresh key, a return from sleep).
    pub refresh: u64,
    /// Nobody looks: the terminal lost focus or the process is suspended.
    pub away: bool,
}

/// Controls by family; a backend fills in those it owns.
#[derive(Clone, Default)]
pub struct Controls {
    /// Rollouts.
    pub rollout: Option<Arc<dyn RolloutControls>>,
    /// Gates that wait for people.
    pub approval: Option<Arc<dyn ApprovalControls>>,
    /// Runs.
    pub run: Option<Arc<dyn RunControls>>,
    /// Registered models.
    pub model: Option<Arc<dyn ModelControls>>,
}

/// Carries out orders to rollouts.
///
/// Shared rules of all four traits. `preview` does no I/O and says what `send`
/// would send. `send` sends at most one mutating request and never repeats it:
/// an error of kind [`ErrorKind::Ambiguous`] means it may have been carried out
/// all the same, any other kind promises that it was not. What the giver saw is
/// turned into the strongest check the API has; when that check fails the kind
/// is [`ErrorKind::Conflict`].
#[async_trait]
pub trait RolloutControls: Send + Sync {
    /// What would be sent.
    fn preview(&self, order: &RolloutOrder) -> Preview;
    /// Sends it.
    ///
    /// # Errors
    ///
    /// See the trait.
    async fn send(&self, order: &RolloutOrder) -> Result<Receipt, BackendError>;
}

/// Answers gates that wait for people. Rules as for [`RolloutControls`].
#[async_trait]
pub trait ApprovalControls: Send + Sync {
    /// What would be sent.
    fn preview(&self, order: &ApprovalOrder) -> Preview;
    /// Sends it.
    ///
    /// # Errors
    ///
    /// See [`RolloutControls`].
    async fn send(&self, order: &ApprovalOrder) -> Result<Receipt, BackendError>;
}

/// Reruns, cancels and dispatches. Rules as for [`RolloutControls`].
#[async_trait]
pub trait RunControls: Send + Sync {
    /// What would be sent.
    fn preview(&self, order: &RunOrder) -> Preview;
    /// Sends it.
    ///
    /// # Errors
    ///
    /// See [`RolloutControls`].
    async fn send(&self, order: &RunOrder) -> Result<Receipt, BackendError>;
}

/// Moves aliases. Rules as for [`RolloutControls`].
#[async_trait]
pub trait ModelControls: Send + Sync {
    /// What would be sent.
    fn preview(&self, order: &ModelOrder) -> Preview;
    /// Sends it.
    ///
    /// # Errors
    ///
    /// See [`RolloutControls`].
    async fn send(&self, order: &ModelOrder) -> Result<Receipt, BackendError>;
}

/// Reads logs. They never enter the world.
#[async_trait]
pub trait Logs: Send + Sync {
    /// Sends the log of a job through `lines` in chunks of raw bytes, from the
    /// beginning, until it ends or the receiver is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] with words a person understands when there is no
    /// log yet (and why).
    async fn job_log(&self, job: &JobId, chunks: mpsc::Sender<Vec<u8>>)
    -> Result<(), BackendError>;
}

/// Answers `gonogo doctor` about one backend.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Looks once at reachability, version, clock, identity and permissions.
    async fn probe(&self) -> Vec<Check>;

    /// Reads the files the section leads to, asks nobody and runs nothing: what
    /// `gonogo config check` can find wrong beyond the configuration itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] with file and place of what is wrong.
    async fn read_files(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

/// One line of `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at (`reach`, `version`, `clock`, `identity`, `permission hold`).
    pub what: Clean,
    /// How it came out.
    pub result: CheckResult,
    /// What was seen.
    pub seen: Clean,
    /// What to do about it; empty when nothing.
    pub remedy: Clean,
}

impl Check {
    /// All is well.
    pub fn good(what: &str, seen: &str) -> Self {
        Self::new(what, CheckResult::Good, seen, "")
    }

    /// It works, but.
    pub fn remark(what: &str, seen: &str, remedy: &str) -> Self {
        Self::new(what, CheckResult::Remark, seen, remedy)
    }

    /// A permission lacks.
    pub fn denied(what: &str, seen: &str, remedy: &str) -> Self {
        Self::new(what, CheckResult::Denied, seen, remedy)
    }

    /// There was no answer, or a refusal.
    pub fn failed(what: &str, error: &BackendError) -> Self {
        let result = match error.kind {
            ErrorKind::Forbidden => CheckResult::Denied,
            _ => CheckResult::Out,
        };
        Self::new(what, result, &error.to_string(), error.kind.remedy())
    }

    /// How a server's clock compares with ours; two seconds are forgiven,
    /// because the header that tells it has whole seconds.
    pub fn clock(skew_ms: i64, remedy: &str) -> Self {
        let seconds = (skew_ms.abs() + 500) / 1000;
        if skew_ms.abs() <= 2_000 {
            return Self::good("clock", "agrees with ours");
        }
        let side = if skew_ms > 0 { "ahead of" } else { "behind" };
        Self::remark("clock", &format!("{seconds} s {side} ours"), remedy)
    }

    fn new(what: &str, result: CheckResult, seen: &str, remedy: &str) -> Self {
        Self {
            what: Clean::line(what),
            result,
            seen: Clean::line(seen),
            remedy: Clean::line(remedy),
        }
    }
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// Fine.
    Good,
    /// Works, with a remark.
    Remark,
    /// A permission lacks.
    Denied,
    /// The backend is out.
    Out,
}

/// A batch that answers a request which began at `asked`.
pub fn answered(
    scope: crate::domain::observation::Scope,
    asked: Timestamp,
    at: Timestamp,
    facts: Vec<crate::domain::observation::Fact>,
) -> Batch {
    Batch {
        scope,
        complete: true,
        basis: crate::domain::observation::Basis::Asked(asked),
        at,
        facts,
        gone: Vec::new(),
    }
}
