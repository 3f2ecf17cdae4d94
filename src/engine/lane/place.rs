//! Where a release stands on its way to one environment.

use crate::{
    domain::{
        approval::{Answer, Review},
        catalog::{MetricSpec, PlaceSpec, ServiceSpec},
        measure::Arm,
        pipeline::{Outcome, Phase, Run, Stage},
        quantity::Weight,
        rollout::{Cutover, Pause, Rollout, RolloutPhase},
        text::Clean,
    },
    engine::{
        lane::approvals::approval_for,
        release::Release,
        world::{Known, World},
    },
};

/// Where a release stands on its way to one environment.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// In its run, at the stage named.
    Pipeline {
        /// The stage's name, or `waiting` / `queued`.
        stage: Clean,
    },
    /// Its run ended badly.
    RunFailed,
    /// Somebody said no to it: it goes nowhere.
    Rejected {
        /// The backend's environment name.
        environment: Clean,
        /// Who said so.
        by: Clean,
    },
    /// Its run ended well and nothing has rolled out yet.
    Built,
    /// Waits for a person's yes.
    Approval {
        /// The backend's environment name.
        environment: Clean,
    },
    /// Rolling out.
    Canary {
        /// Share of traffic it has.
        weight: Weight,
        /// Share of traffic it is to have now.
        wanted: Weight,
        /// The step it is at, counted from 1, and the number of steps, if it
        /// has any; the last one when all are done.
        step: Option<(u32, u32)>,
        /// Held by a person.
        held: bool,
        /// Why the controller stands still.
        pause: Option<Pause>,
        /// How far the switch is, if all users move at once.
        cutover: Option<Cutover>,
    },
    /// Everything is on it.
    Live,
    /// Users are being taken from it to an earlier one.
    RollingBack {
        /// What people call the earlier one.
        to: Clean,
        /// Share of traffic that is on the earlier one by now.
        done: Weight,
        /// Held by a person on the way.
        held: bool,
    },
    /// It was tried and is being taken back; it still has a share.
    Aborting {
        /// Share of traffic it has.
        weight: Weight,
        /// Held by a person: no pods move.
        held: bool,
    },
    /// It was tried and taken back; users are on the stable revision.
    Aborted,
    /// The controller is in trouble with it.
    Degraded,
    /// Nothing is known (yet).
    Unknown {
        /// Why.
        why: Clean,
    },
}

impl Place {
    /// Whether the shown release is in the environment, and has a share there.
    pub fn is_in_environment(&self) -> bool {
        match self {
            Self::Canary { .. }
            | Self::Live
            | Self::RollingBack { .. }
            | Self::Aborting { .. }
            | Self::Aborted
            | Self::Degraded => true,
            Self::Pipeline { .. }
            | Self::RunFailed
            | Self::Rejected { .. }
            | Self::Built
            | Self::Approval { .. }
            | Self::Unknown { .. } => false,
        }
    }

    /// Whether the shown release is the stable one, and what users feel is to be
    /// read there.
    pub fn is_of_stable(&self) -> bool {
        matches!(self, Self::Live | Self::RollingBack { .. })
    }

    /// The side of a metric that says what users of the shown release feel:
    /// once all are on it there is no canary to measure.
    pub fn arm(&self, spec: &MetricSpec) -> Arm {
        if self.is_of_stable() && spec.stable.is_some() {
            Arm::Stable
        } else {
            Arm::Canary
        }
    }

    /// The stage in one or two words.
    pub fn word(&self) -> String {
        match self {
            Self::Pipeline { stage } => stage.to_string(),
            Self::RunFailed => "run failed".to_owned(),
            Self::Rejected { .. } => "rejected".to_owned(),
            Self::Built => "built".to_owned(),
            Self::Approval { .. } => "approve".to_owned(),
            Self::Canary {
                cutover: Some(cutover),
                ..
            } => match cutover {
                Cutover::Preview => "preview".to_owned(),
                Cutover::Switched => "switched".to_owned(),
            },
            Self::Canary {
                step: Some((step, steps)),
                ..
            } => format!("canary {step}/{steps}"),
            Self::Canary { step: None, .. } => "rollout".to_owned(),
            Self::Live => "live".to_owned(),
            Self::RollingBack { .. } => "rolling back".to_owned(),
            Self::Aborting { .. } => "going back".to_owned(),
            Self::Aborted => "rolled back".to_owned(),
            Self::Degraded => "degraded".to_owned(),
            Self::Unknown { .. } => "unknown".to_owned(),
        }
    }
}

/// Whether something is on its way. Until the controller has seen a new spec,
/// its status still tells where users are: all on what they were on.
pub(super) fn is_under_way(rollout: &Known<Rollout>) -> bool {
    let unseen = !rollout.observed && rollout.current_hash == rollout.stable_hash;
    !rollout.is_fully_promoted() && !unseen
}

pub(super) fn in_environment(rollout: &Rollout, under_way: bool) -> Place {
    // No revision is known to be there, so nobody is known to be on one.
    if !rollout.observed && rollout.current_hash.is_none() && rollout.stable_hash.is_none() {
        return Place::Unknown {
            why: "the controller has not looked yet".into(),
        };
    }
    if rollout.aborted.is_some() && under_way {
        return match rollout.weight_actual {
            weight if weight.get() == 0 => Place::Aborted,
            weight => Place::Aborting {
                weight,
                held: rollout.held,
            },
        };
    }
    match (&rollout.phase, under_way) {
        (RolloutPhase::Degraded, _) => Place::Degraded,
        (RolloutPhase::Unknown(word), _) => Place::Unknown { why: word.clone() },
        (RolloutPhase::Healthy | RolloutPhase::Progressing | RolloutPhase::Paused, false) => {
            Place::Live
        }
        (RolloutPhase::Healthy | RolloutPhase::Progressing | RolloutPhase::Paused, true) => {
            Place::Canary {
                weight: rollout.weight_actual,
                wanted: rollout.weight_wanted,
                step: rollout
                    .step
                    .zip(u32::try_from(rollout.steps.len()).ok())
                    .filter(|(_, steps)| *steps > 0)
                    .map(|(index, steps)| (steps.min(index.saturating_add(1)), steps)),
                held: rollout.held,
                pause: rollout.pause.clone(),
                cutover: rollout.cutover(),
            }
        }
    }
}

pub(super) fn in_pipeline(
    world: &World,
    service: &ServiceSpec,
    release: &Release,
    spec: &PlaceSpec,
) -> Place {
    let Some(run) = release.run.value().and_then(|id| world.runs.get(id)) else {
        return Place::Built;
    };
    if let Some(approval) = approval_for(world, service, release, spec) {
        return Place::Approval {
            environment: approval.environment.clone(),
        };
    }
    match (&run.status.phase, &run.status.outcome) {
        (Phase::Ended, Some(Outcome::Succeeded)) => Place::Built,
        (Phase::Ended, _) => match rejection(world, run, spec) {
            Some(review) => Place::Rejected {
                environment: review.environment.clone(),
                by: review.user.clone(),
            },
            None => Place::RunFailed,
        },
        (Phase::Unknown(word), _) => Place::Unknown { why: word.clone() },
        (Phase::Queued, _) => Place::Pipeline {
            stage: "queued".into(),
        },
        (Phase::Waiting | Phase::Running, _) => {
            let jobs = world.jobs_of(&run.id);
            let busy = jobs
                .iter()
                .rev()
                .find(|job| job.status.phase == Phase::Running);
            let failed = jobs
                .iter()
                .any(|job| job.status.outcome == Some(Outcome::Failed));
            let stage = match busy {
                Some(job) => job.stage.name(),
                None if failed => "failing",
                None => run_word(run),
            };
            Place::Pipeline {
                stage: stage.into(),
            }
        }
    }
}

/// The no that ended a run, if that and nothing else did: the one to this
/// environment, else any.
fn rejection<'a>(world: &'a World, run: &Run, spec: &PlaceSpec) -> Option<&'a Review> {
    let broke = world
        .jobs_of(&run.id)
        .iter()
        .any(|job| job.stage < Stage::Deploy && job.status.outcome == Some(Outcome::Failed));
    let noes = world
        .reviews
        .iter()
        .filter(|(id, review)| !broke && id.run == run.id && review.answer == Answer::Rejected);
    let (_, review) =
        noes.max_by_key(|(_, review)| review.environment == spec.environment.as_str())?;
    Some(review)
}

fn run_word(run: &Run) -> &'static str {
    match run.status.phase {
        Phase::Waiting => "waiting",
        Phase::Queued | Phase::Running | Phase::Ended | Phase::Unknown(_) => "running",
    }
}
