//! Everything believed, with the age and the proof of each belief.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Deref,
    sync::Arc,
    time::Duration,
};

use crate::{
    domain::{
        Timestamp,
        action::{ActionKind, Order, Receipt, Subject},
        approval::{PendingApproval, Review},
        backend::{Budget, ErrorKind, Server},
        catalog::Catalog,
        id::{
            ApprovalId, BackendId, EnvironmentName, JobId, ModelId, PipelineId, PlanId, ReleaseId,
            RunId, ServiceName, TargetId, Version,
        },
        measure::{Arm, Measure, MetricId, Series, Windows},
        model::{ModelRun, ModelVersion, RegisteredModel},
        observation::{ActionOutcome, Basis, Key, PlanStart, Scope},
        permit::{Identity, Permit},
        pipeline::{Job, Run},
        rollout::Rollout,
        text::Clean,
        verdict::Decision,
    },
    engine::{
        concern::Concerns,
        lane::Lane,
        release::{Anchor, Release},
        shared::SharedMap,
    },
};

/// How many revisions that held all traffic are remembered per rollout.
pub const HELD: usize = 64;
/// How many ended plans and messages are kept for the screens; the ledger keeps all.
pub const KEPT: usize = 500;

/// A table of beliefs.
pub type Table<K, V> = SharedMap<K, Known<V>>;
/// Service and environment: one row of the fleet.
pub type LaneId = (ServiceName, EnvironmentName);

/// What each scope told and has not taken back: the tables by scope.
pub type Told = SharedMap<(Scope, Key), ()>;
/// What one decision is about.
pub type DecisionId = (ReleaseId, EnvironmentName);

/// Everything believed. Cloning copies pointers; only what a batch touches is
/// copied for real, and nothing that happens to one release costs more because
/// there are others.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Counts published worlds.
    pub revision: u64,
    /// The configuration in force.
    pub catalog: Arc<Catalog>,
    /// Which services a fact concerns, by that configuration.
    pub concerns: Arc<Concerns>,
    /// How each backend is doing.
    pub backends: BTreeMap<BackendId, BackendState>,
    /// Last proof and last failure of each scope.
    pub scopes: SharedMap<Scope, ScopeState>,
    /// Scopes whose last failure no later answer has healed.
    pub troubled: SharedMap<Scope, ()>,
    /// What each scope told and has not taken back.
    pub told: Told,
    /// When a watch said of a thing that it is gone, last.
    pub gone: SharedMap<Key, Option<Timestamp>>,
    /// Since when runs are gone whose parts are still kept.
    pub forgotten: SharedMap<RunId, Timestamp>,
    /// Runs.
    pub runs: Table<RunId, Run>,
    /// Jobs.
    pub jobs: Table<JobId, Job>,
    /// Gates that wait for people.
    pub approvals: Table<ApprovalId, PendingApproval>,
    /// Answers people gave.
    pub reviews: Table<ApprovalId, Review>,
    /// Registered models.
    pub models: Table<ModelId, RegisteredModel>,
    /// Versions.
    pub versions: Table<(ModelId, Version), ModelVersion>,
    /// The runs behind versions.
    pub model_runs: Table<(ModelId, Version), ModelRun>,
    /// Rollouts.
    pub rollouts: Table<TargetId, Rollout>,
    /// Newest instant values.
    pub measures: Table<(MetricId, Arm), Measure>,
    /// Metrics in windows that do not overlap, for N-of-M rules.
    pub windows: Table<MetricId, Windows>,
    /// Values over time.
    pub series: Table<(MetricId, Arm), Series>,
    /// What may be done.
    pub permits: SharedMap<(Subject, ActionKind), Permit>,
    /// Who we are, per backend.
    pub identities: BTreeMap<BackendId, Identity>,
    /// Since when a rollout has wanted the revision it wants now, where it was
    /// seen to change its mind or to try it again after an abort.
    pub wanted_since: SharedMap<TargetId, (Clean, Timestamp)>,
    /// The newest abort that was seen: of which revision, and when, by the clock
    /// of its analyses.
    pub last_abort: SharedMap<TargetId, (Clean, Timestamp)>,
    /// Revisions seen holding all traffic, oldest first, per rollout.
    pub held_full: SharedMap<TargetId, Vec<HeldFull>>,
    /// Releases.
    pub releases: SharedMap<ReleaseId, Arc<Release>>,
    /// Which release each anchor belongs to; ids stay for ever.
    pub minted: SharedMap<(ServiceName, Anchor), ReleaseId>,
    /// In which order ids were minted; none is ever taken back.
    pub ranks: SharedMap<ReleaseId, u64>,
    /// Ids that turned out to name a release already known by another.
    pub merged: SharedMap<ReleaseId, ReleaseId>,
    /// One row per service and environment.
    pub lanes: SharedMap<LaneId, Lane>,
    /// Decisions.
    pub decisions: SharedMap<DecisionId, Arc<Decision>>,
    /// Which of them each service was judged by last; there are no others.
    pub judged: SharedMap<ServiceName, BTreeSet<DecisionId>>,
    /// When age alone changes a decision's findings, soonest first.
    pub falls_due: SharedMap<(Timestamp, DecisionId), ()>,
    /// Plans of ours, running and ended.
    pub plans: Arc<BTreeMap<PlanId, PlanRecord>>,
    /// What people should know, oldest first.
    pub messages: Arc<VecDeque<Message>>,
    /// Services whose facts changed since they were last judged.
    pub dirty: BTreeSet<ServiceName>,
}

/// One belief.
#[derive(Debug)]
pub struct Known<V> {
    /// What is believed.
    pub value: Arc<V>,
    /// Which scope told it; that scope's proof is this belief's age.
    pub scope: Scope,
    /// How the last answer that contained it came.
    pub basis: Basis,
    /// When the newest answer that named it arrived. That one's value is this
    /// one, unless its version counter says that it is older.
    pub at: Timestamp,
    /// When the value last differed from the one before.
    pub changed_at: Timestamp,
}

// By hand, because a derive would ask for `V: Clone`.
impl<V> Clone for Known<V> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            scope: self.scope.clone(),
            basis: self.basis,
            at: self.at,
            changed_at: self.changed_at,
        }
    }
}

impl<V> Deref for Known<V> {
    type Target = V;
    fn deref(&self) -> &V {
        &self.value
    }
}

/// Last proof and last failure of a scope.
#[derive(Clone, Debug, Default)]
pub struct ScopeState {
    /// When the newest answer about it arrived.
    pub proved_at: Option<Timestamp>,
    /// When the request behind the newest *asked* answer began.
    pub asked_at: Option<Timestamp>,
    /// When the newest *complete* answer arrived: what was heard in this scope
    /// before it and is not in it is over.
    pub complete_at: Option<Timestamp>,
    /// The failure since then, if any.
    pub trouble: Option<Trouble>,
}

/// A failure that no later answer has healed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind.
    pub kind: ErrorKind,
    /// The backend's words.
    pub message: Clean,
    /// Since when it has been failing, as far as is known: no answer came since.
    pub since: Timestamp,
    /// When it last failed.
    pub last: Timestamp,
    /// When it will be asked again.
    pub retry_at: Option<Timestamp>,
}

/// How a backend is doing.
#[derive(Clone, Debug, Default)]
pub struct BackendState {
    /// Newest answer about anything.
    pub answered_at: Option<Timestamp>,
    /// The newest failure that no later answer has healed.
    pub trouble: Option<Trouble>,
    /// What is left of its request budget.
    pub budget: Option<Budget>,
    /// What it says about itself.
    pub server: Option<Server>,
    /// When it told what it tells about itself and us.
    pub told_at: OwnStamps,
}

/// When the newest answers arrived that told what a backend says about itself and us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnStamps {
    /// Who we are there.
    pub identity: Option<Timestamp>,
    /// What is left of the budget.
    pub budget: Option<Timestamp>,
    /// Its version and clock.
    pub server: Option<Timestamp>,
}

/// Whether a backend's word can be relied on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Liveness {
    /// Answered within its limit.
    Live,
    /// Past its limit.
    Late,
    /// Failing, or past three limits.
    Silent,
    /// Not heard from yet.
    Awaited,
    /// Not configured.
    Off,
}

impl Liveness {
    /// The word on screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Late => "late",
            Self::Silent => "silent",
            Self::Awaited => "awaited",
            Self::Off => "off",
        }
    }
}

/// A revision that was seen holding all traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFull {
    /// Its pod-template hash.
    pub hash: Clean,
    /// Its name then, for when the cluster does not keep it any more.
    pub name: Clean,
    /// First seen so.
    pub from: Timestamp,
    /// Last seen so.
    pub until: Timestamp,
}

/// A plan as it is remembered.
#[derive(Clone, Debug)]
pub struct PlanRecord {
    /// Which.
    pub id: PlanId,
    /// Its head.
    pub start: Arc<PlanStart>,
    /// When it began.
    pub started_at: Timestamp,
    /// Its steps.
    pub steps: Vec<StepRecord>,
    /// How it ended, if it has.
    pub ended: Option<(Timestamp, ActionOutcome, Clean)>,
}

/// A step of a plan as it is remembered.
#[derive(Clone, Debug)]
pub struct StepRecord {
    /// What was ordered.
    pub order: Order,
    /// How far it has come.
    pub state: StepState,
    /// When it was nudged, if it was.
    pub nudged_at: Option<Timestamp>,
}

/// How far a step has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Going out; the intent is on disk.
    Sending {
        /// Since when.
        at: Timestamp,
    },
    /// Answered, effect not seen yet.
    Answered {
        /// What the backend said; `Err` = not known whether it took it.
        receipt: Result<Receipt, Clean>,
        /// When the send returned.
        returned_at: Timestamp,
    },
    /// Effect seen.
    Seen {
        /// When.
        at: Timestamp,
    },
    /// It did not come about, and the plan went on without it.
    PassedOver,
}

impl StepState {
    /// Whether the plan has left it behind.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Seen { .. } | Self::PassedOver => true,
            Self::Waiting | Self::Sending { .. } | Self::Answered { .. } => false,
        }
    }
}

/// Something people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub weight: MessageWeight,
    /// About whom (a backend, a service, a plan).
    pub about: Clean,
    /// What.
    pub text: Clean,
}

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageWeight {
    /// Good to know.
    Note,
    /// Worth a look.
    Warning,
    /// Something failed.
    Trouble,
}

impl World {
    /// When an earlier attempt at this revision was aborted, if it is tried again
    /// or came through since.
    pub fn aborted_before(&self, rollout: &Rollout, hash: &Clean) -> Option<Timestamp> {
        let (of, at) = self.last_abort.get(&rollout.id)?;
        (of == hash && rollout.aborted.is_none()).then_some(*at)
    }

    /// When the scope of a belief was last proved: its age, for a calm object
    /// as for a busy one.
    pub fn proved_at<V>(&self, known: &Known<V>) -> Timestamp {
        self.scopes
            .get(&known.scope)
            .and_then(|scope| scope.proved_at)
            .map_or(known.at, |proved| proved.max(known.at))
    }

    /// How long ago a belief was last proved.
    pub fn age<V>(&self, known: &Known<V>, now: Timestamp) -> Duration {
        (now - self.proved_at(known)).to_std().unwrap_or_default()
    }

    /// Whether a backend's word can be relied on.
    pub fn liveness(&self, backend: &BackendId, now: Timestamp) -> Liveness {
        let Some(spec) = self.catalog.backends.get(backend) else {
            return Liveness::Off;
        };
        let Some(state) = self.backends.get(backend) else {
            return Liveness::Awaited;
        };
        let limit = spec.limit();
        let Some(answered_at) = state.answered_at else {
            return if state.trouble.is_some() {
                Liveness::Silent
            } else {
                Liveness::Awaited
            };
        };
        let age = (now - answered_at).to_std().unwrap_or_default();
        // One refused question beside good answers is trouble, not silence; and a
        // look may come a little after its cadence. Where nothing is reached at
        // all, the next question would fare no better.
        let failing = state.trouble.as_ref().is_some_and(|trouble| {
            let cut_off = trouble.kind == ErrorKind::Unreachable && answered_at < trouble.since;
            cut_off || age > spec.cadence * 2
        });
        if age > limit * 3 || failing {
            Liveness::Silent
        } else if age > limit {
            Liveness::Late
        } else {
            Liveness::Live
        }
    }

    /// What a scope told and has not taken back.
    pub fn told_by<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a Key> {
        self.told
            .from_where(&|(of, _)| of < scope)
            .map(|((of, key), ())| (of, key))
            .take_while(move |(of, _)| *of == scope)
            .map(|(_, key)| key)
    }

    /// The scopes of a backend that are in trouble.
    pub fn troubled_of<'a>(&'a self, backend: &'a BackendId) -> impl Iterator<Item = &'a Scope> {
        self.troubled
            .from_where(&|scope| scope.backend < *backend)
            .map(|(scope, ())| scope)
            .take_while(move |scope| scope.backend == *backend)
    }

    /// The release an id names, also under an id it once had.
    pub fn release(&self, id: &ReleaseId) -> Option<&Arc<Release>> {
        self.releases.get(self.merged.get(id).unwrap_or(id))
    }

    /// The decision about a release in an environment.
    pub fn decision(
        &self,
        id: &ReleaseId,
        environment: &EnvironmentName,
    ) -> Option<&Arc<Decision>> {
        let id = self.merged.get(id).unwrap_or(id);
        self.decisions.get(&(id.clone(), environment.clone()))
    }

    /// The permit for an action, while it counts.
    pub fn permit(&self, subject: &Subject, kind: ActionKind, now: Timestamp) -> Option<&Permit> {
        self.permits
            .get(&(subject.clone(), kind))
            .filter(|permit| now < permit.until)
    }

    /// The releases of a service.
    pub fn releases_of<'a>(
        &'a self,
        service: &'a ServiceName,
    ) -> impl Iterator<Item = &'a Arc<Release>> {
        // Ids begin with the service they were minted for.
        let begins = format!("{service}@");
        self.releases
            .from_where(&|id| id.as_str() < begins.as_str())
            .take_while(move |(id, _)| id.as_str().starts_with(&begins))
            .map(|(_, release)| release)
            // `a@b` may be a service too, beside `a`.
            .filter(move |release| release.service == *service)
    }

    /// The runs of a pipeline, in the order of their ids.
    pub fn runs_of<'a>(&'a self, pipeline: &'a PipelineId) -> impl Iterator<Item = &'a Known<Run>> {
        self.runs
            .from_where(&|id| (&id.backend, &id.repo) < (&pipeline.backend, &pipeline.repo))
            .take_while(|(id, _)| (&id.backend, &id.repo) == (&pipeline.backend, &pipeline.repo))
            .map(|(_, run)| run)
            .filter(|run| run.pipeline == *pipeline)
    }

    /// Jobs of a run, its newest attempt only, in the order they were listed.
    pub fn jobs_of(&self, run: &RunId) -> Vec<&Known<Job>> {
        let all: Vec<&Known<Job>> = self
            .jobs
            .from_where(&|id| id.run < *run)
            .take_while(|(id, _)| id.run == *run)
            .map(|(_, job)| job)
            .collect();
        let newest = all.iter().map(|job| job.attempt).max().unwrap_or(0);
        all.into_iter()
            .filter(|job| job.attempt == newest)
            .collect()
    }

    /// Gates of a run that wait for a person.
    pub fn approvals_of(&self, run: &RunId) -> Vec<&Known<PendingApproval>> {
        self.approvals
            .from_where(&|id| id.run < *run)
            .take_while(|(id, _)| id.run == *run)
            .map(|(_, approval)| approval)
            .collect()
    }

    /// The plan that is acting on a subject now, if any.
    pub fn running_plan(&self, subject: &Subject) -> Option<&PlanRecord> {
        self.plans
            .values()
            .find(|plan| plan.ended.is_none() && plan.start.subject == *subject)
    }

    /// Adds a message, forgetting the oldest beyond what is kept.
    pub fn say(&mut self, message: Message) {
        let messages = Arc::make_mut(&mut self.messages);
        if messages.len() >= KEPT {
            messages.pop_front();
        }
        messages.push_back(message);
    }
}
