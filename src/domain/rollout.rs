//! Moving an environment from the stable revision to the next.
//!
//! Argo Rollouts and plain Deployments share these words; what a Deployment
//! does not have (steps, weights, abort) is simply absent.

mod analysis;
mod blue_green;

use std::time::Duration;

pub use self::{
    analysis::{
        Analysis, AnalysisMeasurement, AnalysisMetric, AnalysisPhase, AnalysisStage,
        MeasurementCounts,
    },
    blue_green::{BlueGreen, Cutover, Promotion, SwitchAnalysis},
};
use crate::domain::{
    Timestamp,
    id::{Commit, TargetId},
    quantity::Weight,
    text::Clean,
};

/// How the controller says it is doing, with a client's corrections applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RolloutPhase {
    /// Fully on the wanted revision.
    Healthy,
    /// On the way.
    Progressing,
    /// Stopped until a person or a timer lets it go.
    Paused,
    /// Stopped by trouble or by an abort.
    Degraded,
    /// A word this version does not know.
    Unknown(Clean),
}

/// Which strategy moves the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Step by step, a growing share.
    Canary,
    /// All at once, after a preview.
    BlueGreen,
    /// A Deployment's rolling update.
    RollingUpdate,
    /// A Deployment that stops everything first.
    Recreate,
    /// A word this version does not know.
    Unknown(Clean),
}

/// One step of a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloutStep {
    /// Move this share of traffic.
    SetWeight(Weight),
    /// Wait for a person (`None`) or for a time.
    Pause(Option<Duration>),
    /// Run these analysis templates and wait for them.
    Analysis(Vec<Clean>),
    /// Run an experiment and wait for it.
    Experiment,
    /// A step kind without effect on traffic share (`setCanaryScale`, header and mirror routes), by name.
    Other(Clean),
    /// A plug-in step.
    Plugin(Clean),
    /// A step this version does not know, by its key.
    Unknown(Clean),
}

impl RolloutStep {
    /// The step in few words.
    pub fn label(&self) -> String {
        match self {
            Self::SetWeight(weight) => format!("set weight {}", weight.get()),
            Self::Pause(None) => "pause until continued".to_owned(),
            Self::Pause(Some(duration)) => format!("pause {}", short_duration(*duration)),
            Self::Analysis(templates) => {
                let names: Vec<&str> = templates.iter().map(Clean::as_str).collect();
                format!("analysis {}", names.join(", "))
            }
            Self::Experiment => "experiment".to_owned(),
            Self::Other(name) => name.to_string(),
            Self::Plugin(name) => format!("plugin {name}"),
            Self::Unknown(name) => format!("unknown step `{name}`"),
        }
    }

    /// Whether leaving this step early means going on without its judgement.
    pub fn judges(&self) -> bool {
        match self {
            Self::Analysis(_) | Self::Experiment | Self::Plugin(_) | Self::Unknown(_) => true,
            Self::SetWeight(_) | Self::Pause(_) | Self::Other(_) => false,
        }
    }
}

/// `90 s` → `1m30`, as short as people write it.
pub fn short_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.subsec_millis() > 0 => format!("{} ms", duration.subsec_millis()),
        0..60 => format!("{seconds}s"),
        60..3600 if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        60..3600 => format!("{}m{:02}", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{}", seconds / 86400, seconds % 86400 / 3600),
    }
}

/// Why the controller stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Why.
    pub reason: PauseReason,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When it goes on by itself; `None` = it waits for a person.
    pub ends_at: Option<Timestamp>,
}

/// Why the controller stands still.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PauseReason {
    /// A pause step.
    Step,
    /// A blue/green rollout before its switch.
    BlueGreen,
    /// An analysis ended without a verdict: a person must decide.
    InconclusiveAnalysis,
    /// An experiment ended without a verdict.
    InconclusiveExperiment,
    /// A reason this version does not know.
    Unknown(Clean),
}

/// What exactly is going on inside a phase, in the order it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Substate {
    /// The controller has not seen the newest spec yet.
    Unobserved,
    /// Held by a person (`spec.paused`).
    Held,
    /// At a pause step; ends by itself at the time given, if any.
    PausedAtStep(Option<Timestamp>),
    /// An analysis or experiment ended without verdict; a person decides.
    PausedInconclusive,
    /// A pause was ended and the controller has not moved yet.
    Unpausing,
    /// An analysis is running and decides how it goes on.
    Analysing,
    /// An experiment step is running.
    Experimenting,
    /// A plug-in step is running.
    RunningPlugin,
    /// Pods are coming up.
    ScalingUp,
    /// Aborted; may be retried.
    Aborted,
    /// No progress for longer than allowed.
    DeadlineExceeded,
    /// The spec cannot be carried out.
    InvalidSpec,
    /// Pods are being replaced on request.
    Restarting,
    /// The wanted revision has everything.
    FullyPromoted,
    /// None of the above.
    Moving,
}

/// One version of the deployed spec, as its ReplicaSet shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The controller's number. Moves on every undo: identify by `hash`.
    pub number: u64,
    /// Lower numbers it had before, ascending: each time it was gone back to,
    /// it got a new one.
    pub earlier: Vec<u64>,
    /// The pod-template hash.
    pub hash: Clean,
    /// The ReplicaSet's name.
    pub name: Clean,
    /// Its container images.
    pub images: Vec<Image>,
    /// What it is now.
    pub role: Role,
    /// Pods wanted, ready, available.
    pub pods: PodCounts,
    /// Until when the controller keeps its pods although nobody needs them; it
    /// may be over. Going back to it meanwhile takes no new pods.
    pub kept_until: Option<Timestamp>,
    /// When it was first made.
    pub created_at: Option<Timestamp>,
}

impl Revision {
    /// What people call it: its first image, else its hash.
    pub fn name(&self) -> Clean {
        self.images
            .first()
            .map_or_else(|| self.hash.clone(), Image::label)
    }

    /// Whether it has all the pods it is to have, and some.
    pub fn is_up(&self) -> bool {
        0 < self.pods.desired && self.pods.desired <= self.pods.available
    }
}

/// What a revision is at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Users were last given it for good.
    Stable,
    /// It is being tried.
    Canary,
    /// Kept for going back.
    Old,
}

/// Pods of one revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodCounts {
    /// Wanted.
    pub desired: u32,
    /// Passing their readiness checks.
    pub ready: u32,
    /// Ready for long enough.
    pub available: u32,
}

/// A container image reference in parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Image {
    /// The container it belongs to.
    pub container: Clean,
    /// Registry and repository.
    pub repository: Clean,
    /// The tag, if named.
    pub tag: Option<Clean>,
    /// The digest (`sha256:…`), if named.
    pub digest: Option<Clean>,
}

impl Image {
    /// Takes a reference apart: `host:5000/a/b:tag@sha256:…`.
    pub fn parse(container: &str, reference: &str) -> Self {
        let (name, digest) = match reference.split_once('@') {
            Some((name, digest)) => (name, Some(Clean::name(digest))),
            None => (reference, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let slash = name.rfind('/').map_or(0, |at| at + 1);
        let (repository, tag) = match name.get(slash..).and_then(|last| last.rfind(':')) {
            Some(at) => {
                let (repository, tag) = name.split_at(slash + at);
                (repository, tag.strip_prefix(':').map(Clean::name))
            }
            None => (name, None),
        };
        Self {
            container: Clean::name(container),
            repository: Clean::name(repository),
            tag,
            digest,
        }
    }

    /// What a person calls it: the tag (a full commit id cut to seven digits),
    /// else the short digest.
    pub fn label(&self) -> Clean {
        image_label(self.tag.as_ref(), self.digest.as_ref())
    }
}

/// What a person calls an image with this tag and digest.
pub fn image_label(tag: Option<&Clean>, digest: Option<&Clean>) -> Clean {
    let short = |text: &Clean, length: usize| {
        text.get(..length)
            .map_or_else(|| text.clone(), |start| Clean::from(start.to_owned()))
    };
    match (tag, digest) {
        (Some(tag), _) if Commit::parse(tag).is_some() => short(tag, 7),
        (Some(tag), _) => tag.clone(),
        (None, Some(digest)) => short(digest, "sha256:".len() + 12),
        (None, None) => "untagged".into(),
    }
}

/// Who writes the spec from outside the cluster, and would undo a change to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitOps {
    /// The tool (`Argo CD`, `Flux`, `Helm`).
    pub tool: Clean,
    /// Its object (`recsys-prod`).
    pub owner: Clean,
    /// How that was learnt.
    pub evidence: Clean,
}

/// One rollout object as last seen.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one object, each as the controller reports it"
)]
pub struct Rollout {
    /// Which.
    pub id: TargetId,
    /// The object's uid; changes when it is deleted and made anew.
    pub uid: Clean,
    /// The object's version counter, when it is a number.
    pub version: Option<u64>,
    /// Whether the controller has seen the newest spec.
    pub observed: bool,
    /// How traffic moves.
    pub strategy: Strategy,
    /// Services and switch of a blue/green rollout; absent from all others.
    pub blue_green: Option<BlueGreen>,
    /// Phase as people are used to it.
    pub phase: RolloutPhase,
    /// What exactly is going on.
    pub substate: Substate,
    /// The controller's words.
    pub message: Clean,
    /// Held by a person (`spec.paused`).
    pub held: bool,
    /// Why the controller stands still, if it does.
    pub pause: Option<Pause>,
    /// The controller itself holds the pause.
    pub controller_paused: bool,
    /// Aborted, and since when.
    pub aborted: Option<Option<Timestamp>>,
    /// A promotion to full was asked for and is under way.
    pub promoting_full: bool,
    /// The current step; equal to the number of steps when all are done.
    pub step: Option<u32>,
    /// All steps.
    pub steps: Vec<RolloutStep>,
    /// Hash of the wanted revision.
    pub current_hash: Option<Clean>,
    /// Hash of the revision users were last given for good.
    pub stable_hash: Option<Clean>,
    /// The share the steps ask for.
    pub weight_wanted: Weight,
    /// The share the canary has.
    pub weight_actual: Weight,
    /// Whether the share is a ratio of pods and not of requests.
    pub weight_is_pod_ratio: bool,
    /// Whether the traffic provider confirmed it; `None` = does not say.
    pub weight_verified: Option<bool>,
    /// Pods wanted, ready, available over all revisions.
    pub pods: PodCounts,
    /// Images in the wanted template.
    pub images: Vec<Image>,
    /// Its revisions, newest first.
    pub revisions: Vec<Revision>,
    /// Its analyses, newest first.
    pub analyses: Vec<Analysis>,
    /// A roll-back within this many revisions skips the steps.
    pub rollback_window: Option<u32>,
    /// Who else writes its spec.
    pub gitops: Option<GitOps>,
    /// Annotations and labels that correlation and people use.
    pub annotations: Vec<(Clean, Clean)>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When its status last changed, as far as the object says.
    pub changed_at: Option<Timestamp>,
    /// Since when users are fully on the wanted revision, in whole seconds;
    /// `None` while they are not, or when the object does not say.
    pub completed_at: Option<Timestamp>,
}

impl Rollout {
    /// Whether users are fully on the wanted revision, for good.
    pub fn is_fully_promoted(&self) -> bool {
        let stable = self.current_hash.is_some() && self.current_hash == self.stable_hash;
        // Wanting the stable revision back does not yet bring users back from
        // the one they were switched to.
        self.observed && stable && self.cutover_to_current() != Some(Cutover::Preview)
    }

    /// How far a blue/green update is; `None` for everything else.
    pub fn cutover(&self) -> Option<Cutover> {
        self.cutover_to_current()
            .filter(|_| !self.is_fully_promoted())
    }

    fn cutover_to_current(&self) -> Option<Cutover> {
        let active = self.blue_green.as_ref()?.active.as_ref()?;
        Some(if Some(active) == self.current_hash.as_ref() {
            Cutover::Switched
        } else {
            Cutover::Preview
        })
    }

    /// The revision users are on: of a blue/green rollout the one behind the
    /// active service, else the stable one.
    pub fn users(&self) -> Option<&Revision> {
        let active = self.blue_green.as_ref().and_then(|it| it.active.as_deref());
        match active {
            Some(active) => self.revision(active),
            None => self.stable(),
        }
    }

    /// Whether this is a canary with steps or a blue-green switch, so that
    /// there is something to abort, continue, skip or promote.
    pub fn has_canary(&self) -> bool {
        match self.strategy {
            Strategy::Canary | Strategy::BlueGreen => true,
            Strategy::RollingUpdate | Strategy::Recreate | Strategy::Unknown(_) => false,
        }
    }

    /// The revision with this hash.
    pub fn revision(&self, hash: &str) -> Option<&Revision> {
        self.revisions
            .iter()
            .find(|revision| revision.hash == *hash)
    }

    /// Whether users are where an abort leaves them. Only a blue/green switch
    /// takes all of them elsewhere before it is for good.
    pub fn leaves_users_on_stable(&self) -> bool {
        let active = self.blue_green.as_ref().and_then(|it| it.active.as_ref());
        active.is_none() || active == self.stable_hash.as_ref()
    }

    /// The revision users were last given for good.
    pub fn stable(&self) -> Option<&Revision> {
        self.stable_hash
            .as_deref()
            .and_then(|hash| self.revision(hash))
    }

    /// The wanted revision.
    pub fn current(&self) -> Option<&Revision> {
        self.current_hash
            .as_deref()
            .and_then(|hash| self.revision(hash))
    }

    /// Whether a revision was left for the wanted one: that one had a number
    /// before it, and has one after it.
    pub fn was_left(&self, revision: &Revision) -> bool {
        self.current().is_some_and(|current| {
            let before = current
                .earlier
                .iter()
                .any(|number| *number < revision.number);
            before && revision.number < current.number
        })
    }

    /// The newest revision that was left for the wanted one.
    pub fn left(&self) -> Option<&Revision> {
        let left = self.revisions.iter().filter(|one| self.was_left(one));
        left.max_by_key(|revision| revision.number)
    }

    /// Whether all traffic is on its way to the wanted revision, with no step
    /// left that could stop it.
    pub fn moves_at_once(&self) -> bool {
        let stepless = self.promoting_full
            || match self.strategy {
                Strategy::BlueGreen => self.cutover() == Some(Cutover::Switched),
                _ => self.current_step().is_none(),
            };
        stepless && self.aborted.is_none() && !self.is_fully_promoted()
    }

    /// The step it stands at, unless all are done.
    pub fn current_step(&self) -> Option<&RolloutStep> {
        self.step
            .and_then(|index| self.steps.get(usize::try_from(index).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_references_come_apart_at_the_right_colon() {
        let image = Image::parse("app", "registry.local:5000/ml/ranker:9f3c2ab@sha256:0011");
        assert_eq!(image.repository, "registry.local:5000/ml/ranker");
        assert_eq!(image.tag.as_deref(), Some("9f3c2ab"));
        assert_eq!(image.digest.as_deref(), Some("sha256:0011"));
        let bare = Image::parse("app", "registry.local:5000/ml/ranker");
        assert_eq!((bare.tag, bare.digest), (None, None));
    }

    #[test]
    fn a_full_commit_as_tag_is_called_by_its_first_digits() {
        let tag = "c41d7e90b2a85f6634d1e07f9b3c28a5d6e4f012";
        assert_eq!(
            Image::parse("app", &format!("r/ranker:{tag}")).label(),
            "c41d7e9"
        );
        assert_eq!(
            Image::parse("app", "r/ranker:2026.08.21-3").label(),
            "2026.08.21-3"
        );
        assert_eq!(Image::parse("app", "r/ranker").label(), "untagged");
    }

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [
            (5, "5s"),
            (60, "1m"),
            (90, "1m30"),
            (4140, "1h09"),
            (180_000, "2d2"),
        ] {
            assert_eq!(short_duration(Duration::from_secs(seconds)), text);
        }
    }
}
