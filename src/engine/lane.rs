//! One service in one environment: what is live there and what is on its way.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    domain::{
        Timestamp,
        approval::{Answer, PendingApproval, Review},
        catalog::{PlaceSpec, ServiceSpec},
        id::{EnvironmentName, ReleaseId, ServiceName, TargetId},
        pipeline::{Outcome, Phase, Run, Stage},
        quantity::Weight,
        rollout::{Cutover, Pause, PauseReason, Rollout, RolloutPhase},
        text::Clean,
    },
    engine::{
        back,
        correlate::release_of_revision,
        release::Release,
        standing::unseen,
        world::{Known, LaneId, World},
    },
};

/// One row of the fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// Whether a mistake here hurts users.
    pub critical: bool,
    /// The object that moves it.
    pub target: TargetId,
    /// The release users are on, if it could be told.
    pub live: Option<ReleaseId>,
    /// The release on its way; `None` when nothing is.
    pub candidate: Option<ReleaseId>,
    /// The release users were taken back from to the live one.
    pub rolled_back: Option<ReleaseId>,
    /// What people call the release a roll back from the live one was to lead
    /// to, before it was aborted.
    pub back_aborted: Option<Clean>,
    /// Where the shown release stands.
    pub place: Place,
    /// Who or what it waits for.
    pub waits_for: WaitsFor,
    /// Since when it has stood there, as far as is known.
    pub since: Option<Timestamp>,
}

impl Lane {
    /// The release a person means when pointing at this row.
    pub fn release(&self) -> Option<&ReleaseId> {
        self.candidate.as_ref().or(self.live.as_ref())
    }

    /// Whether the shown release is stable and another revision is wanted.
    pub fn leaves_stable(&self) -> bool {
        matches!(self.place, Place::RollingBack { .. })
            || (self.place == Place::Live && self.back_aborted.is_some())
    }
}

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

/// Who or what a release waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// A person; what they are asked.
    Person {
        /// What is asked (`approve production`, `continue past 30 %`).
        what: Clean,
        /// Whether this person may answer; `None` = not known.
        you: Option<bool>,
    },
    /// A machine, until it is done.
    Machine {
        /// What it does.
        what: Clean,
    },
    /// A timer.
    Timer {
        /// When it ends.
        until: Timestamp,
    },
    /// Nothing.
    Nothing,
}

/// Recomputes the rows of one service.
pub fn place(world: &mut World, service: &ServiceSpec, now: Timestamp) {
    for spec in &service.places {
        let id: LaneId = (service.name.clone(), spec.environment.clone());
        let lane = row(world, service, spec, now);
        if world.lanes.get(&id) != Some(&lane) {
            world.lanes.insert(id, lane);
        }
    }
}

fn row(world: &World, service: &ServiceSpec, spec: &PlaceSpec, now: Timestamp) -> Lane {
    let rollout = world.rollouts.get(&spec.target);
    let of = |hash: Option<&Clean>| {
        rollout
            .zip(hash)
            .and_then(|(rollout, hash)| release_of_revision(world, service, rollout, hash))
            .map(Arc::clone)
    };
    let live = of(rollout.and_then(|rollout| rollout.stable_hash.as_ref()));
    let wanted = of(rollout.and_then(|rollout| rollout.current_hash.as_ref()));
    let back = rollout.and_then(|rollout| back::under_way(world, service, spec, rollout));
    // On the way back the row is about what users are taken from.
    let under_way = rollout.is_some_and(is_under_way) && back.is_none();
    let rolling = wanted.clone().filter(|_| under_way);
    let taken_back = rollout.is_some_and(|rollout| rollout.aborted.is_some());
    let left = of(rollout
        .and_then(|rollout| rollout.left())
        .map(|left| &left.hash));
    // What users were taken back from was newer, and so is what comes after it.
    let newest_known = rolling
        .as_ref()
        .or(live.as_ref())
        .and_then(|release| release.created_at)
        .max(left.as_ref().and_then(|release| release.created_at));
    let tried = rollout.map_or_else(BTreeSet::new, |rollout| tried(world, service, rollout));
    let coming = coming(world, service, newest_known, |release| {
        !tried.contains(&release.id) || approval_for(world, service, release, spec).is_some()
    });
    let candidate = match (&rolling, coming) {
        (Some(rolling), None) => Some(Arc::clone(rolling)),
        // What is rolling out is what people must watch; only once it was
        // taken back does the next one matter more.
        (Some(rolling), Some(_)) if !taken_back => Some(Arc::clone(rolling)),
        (None, _) if back.is_some_and(|back| !back.aborted) => None,
        (_, coming) => coming,
    };
    let in_rollout = candidate.as_ref().map(|release| &release.id)
        == rolling.as_ref().map(|release| &release.id);
    let nowhere = || Place::Unknown {
        why: unseen(world, &spec.target, now),
    };
    let place = match (&candidate, rollout) {
        (Some(release), seen) if !in_rollout => {
            match in_pipeline(world, service, release, spec) {
                // Whether it is only built cannot be told without the rollout.
                Place::Built if seen.is_none() => nowhere(),
                place => place,
            }
        }
        (_, Some(rollout)) => match back {
            Some(back) if !back.aborted => Place::RollingBack {
                to: back::name_of(world, service, rollout, back.to),
                done: back.done,
                held: rollout.held,
            },
            Some(_) => Place::Live,
            None => in_environment(rollout, under_way),
        },
        (_, None) => nowhere(),
    };
    let since = since(
        world,
        candidate.as_deref(),
        rollout.map(|known| &*known.value),
        &place,
    );
    let back_aborted = rollout
        .zip(back.filter(|back| back.aborted))
        .map(|(rollout, back)| back::name_of(world, service, rollout, back.to));
    let waits_for = match (&place, &back_aborted) {
        // Half done: the spec wants one release, and users are on another.
        (Place::Live, Some(to)) => WaitsFor::Person {
            what: Clean::from(format!("roll back to {to}, or change the spec")),
            you: None,
        },
        _ => waits_for(world, candidate.as_deref(), &place),
    };
    Lane {
        service: service.name.clone(),
        environment: spec.environment.clone(),
        critical: world
            .catalog
            .environments
            .get(&spec.environment)
            .is_some_and(|environment| environment.critical),
        target: spec.target.clone(),
        live: live.map(|release| release.id.clone()),
        waits_for,
        candidate: candidate.map(|release| release.id.clone()),
        rolled_back: left
            .filter(|_| !under_way && back.is_none())
            .map(|release| release.id.clone()),
        back_aborted,
        place,
        since,
    }
}

/// The lane as it would be if it showed what else can be acted on: the release
/// in its rollout, and on a way back the one users are taken from.
pub(super) fn beside(
    world: &World,
    service: &ServiceSpec,
    spec: &PlaceSpec,
    shown: &Lane,
) -> Vec<Lane> {
    let Some(rollout) = world.rollouts.get(&spec.target) else {
        return Vec::new();
    };
    let of = |hash: &Clean| release_of_revision(world, service, rollout, hash);
    let carried = rollout.current_hash.as_ref().and_then(of);
    let carried = carried.map(|release| Lane {
        candidate: Some(release.id.clone()),
        place: in_environment(rollout, is_under_way(rollout)),
        ..shown.clone()
    });
    let back = back::under_way(world, service, spec, rollout);
    let left = back.and_then(|back| of(&back.from.hash));
    let left = left.map(|release| Lane {
        candidate: None,
        live: Some(release.id.clone()),
        place: Place::Live,
        ..shown.clone()
    });
    let lanes = carried.into_iter().chain(left);
    lanes
        .filter(|lane| lane.release() != shown.release())
        .collect()
}

/// Releases this rollout has had: live, rolling out, or left behind. One that
/// was rolled back is not on its way any more.
fn tried(world: &World, service: &ServiceSpec, rollout: &Rollout) -> BTreeSet<ReleaseId> {
    rollout
        .revisions
        .iter()
        .filter_map(|revision| release_of_revision(world, service, rollout, &revision.hash))
        .map(|release| release.id.clone())
        .collect()
}

/// The newest release with a run that is `eligible`, if it is newer than what is
/// known of the environment.
fn coming(
    world: &World,
    service: &ServiceSpec,
    newest_known: Option<Timestamp>,
    eligible: impl Fn(&Release) -> bool,
) -> Option<Arc<Release>> {
    world
        .releases_of(&service.name)
        .filter(|release| release.run.value().is_some())
        .filter(|release| {
            newest_known.is_none_or(|known| release.created_at.is_some_and(|at| known < at))
        })
        .filter(|release| eligible(release))
        .max_by_key(|release| release.created_at)
        .cloned()
}

/// Whether something is on its way. Until the controller has seen a new spec,
/// its status still tells where users are: all on what they were on.
fn is_under_way(rollout: &Known<Rollout>) -> bool {
    let unseen = !rollout.observed && rollout.current_hash == rollout.stable_hash;
    !rollout.is_fully_promoted() && !unseen
}

fn in_environment(rollout: &Rollout, under_way: bool) -> Place {
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

fn in_pipeline(world: &World, service: &ServiceSpec, release: &Release, spec: &PlaceSpec) -> Place {
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

/// The waiting gates that stand before this environment: those named like it,
/// else those named like no environment of the service, which stand before all.
pub fn approvals_for<'a>(
    world: &'a World,
    service: &ServiceSpec,
    release: &Release,
    environment: &EnvironmentName,
) -> Vec<&'a Known<PendingApproval>> {
    let waiting = release
        .run
        .value()
        .map(|run| world.approvals_of(run))
        .unwrap_or_default();
    let of = |approval: &PendingApproval| place_named(service, &approval.environment);
    let own: Vec<_> = waiting
        .iter()
        .copied()
        .filter(|approval| of(approval) == Some(environment))
        .collect();
    if !own.is_empty() {
        return own;
    }
    waiting
        .into_iter()
        .filter(|approval| of(approval).is_none())
        .collect()
}

/// Whether a gate of this name stands before an environment.
pub fn stands_before(service: &ServiceSpec, name: &str, environment: &EnvironmentName) -> bool {
    place_named(service, name).is_none_or(|place| place == environment)
}

/// The service's environment that a backend's name means: the one that is
/// called so, else the only one that has the name in it or is part of it.
fn place_named<'a>(service: &'a ServiceSpec, name: &str) -> Option<&'a EnvironmentName> {
    let mut places = service.places.iter().map(|place| &place.environment);
    if let Some(exact) = places.clone().find(|place| place.as_str() == name) {
        return Some(exact);
    }
    let mut like = places
        .by_ref()
        .filter(|place| name.contains(place.as_str()) || place.as_str().contains(name));
    let first = like.next()?;
    like.next().is_none().then_some(first)
}

fn approval_for<'a>(
    world: &'a World,
    service: &ServiceSpec,
    release: &Release,
    spec: &PlaceSpec,
) -> Option<&'a Known<PendingApproval>> {
    approvals_for(world, service, release, &spec.environment)
        .first()
        .copied()
}

fn waits_for(world: &World, candidate: Option<&Release>, place: &Place) -> WaitsFor {
    let person = |what: String, you: Option<bool>| WaitsFor::Person {
        what: what.into(),
        you,
    };
    match place {
        Place::Approval { environment } => {
            let waiting = candidate
                .and_then(|release| release.run.value())
                .map(|run| world.approvals_of(run))
                .unwrap_or_default();
            let approval = waiting
                .iter()
                .find(|approval| approval.environment == *environment);
            match approval.and_then(|approval| approval.timer_ends_at) {
                Some(until) => WaitsFor::Timer { until },
                None => person(
                    format!("approve {environment}"),
                    approval.and_then(|approval| approval.may_approve),
                ),
            }
        }
        Place::Canary {
            held: true,
            cutover: Some(_),
            ..
        } => person("continue what is held".to_owned(), None),
        Place::Canary {
            held: true, weight, ..
        } => person(format!("continue from {weight}"), None),
        Place::Canary {
            pause: Some(pause),
            weight,
            cutover,
            ..
        } => match (pause.ends_at, cutover) {
            (Some(until), _) => WaitsFor::Timer { until },
            (None, Some(_)) if pause.reason == PauseReason::BlueGreen => {
                person("switch users to it".to_owned(), None)
            }
            (None, Some(_)) => person("judge it: an analysis could not".to_owned(), None),
            (None, None) => person(format!("continue past {weight}"), None),
        },
        Place::Canary { .. } => WaitsFor::Machine {
            what: "rollout".into(),
        },
        Place::RollingBack { held: true, .. } => {
            person("go on with the roll back, which is held".to_owned(), None)
        }
        Place::Aborting { held: true, .. } => {
            person("end the hold, so that users can go back".to_owned(), None)
        }
        Place::RollingBack { .. } => WaitsFor::Machine {
            what: "roll back".into(),
        },
        Place::Aborting { .. } => WaitsFor::Machine {
            what: "abort".into(),
        },
        Place::Pipeline { stage } => WaitsFor::Machine {
            what: stage.clone(),
        },
        Place::RunFailed => person("rerun or fix".to_owned(), None),
        Place::Degraded => person("roll back or retry".to_owned(), None),
        Place::Built
        | Place::Rejected { .. }
        | Place::Live
        | Place::Aborted
        | Place::Unknown { .. } => WaitsFor::Nothing,
    }
}

fn since(
    world: &World,
    candidate: Option<&Release>,
    rollout: Option<&Rollout>,
    place: &Place,
) -> Option<Timestamp> {
    match place {
        Place::Canary {
            pause: Some(pause), ..
        } => pause.since,
        Place::Live => rollout.and_then(|rollout| rollout.completed_at.or(rollout.changed_at)),
        Place::Canary { .. } | Place::Degraded => rollout.and_then(|rollout| rollout.changed_at),
        // Its status changes with every pod that moves.
        Place::RollingBack { .. } => {
            let target = rollout.map(|rollout| &rollout.id);
            let wanted = target.and_then(|target| world.wanted_since.get(target));
            let since = wanted.map(|(_, at)| *at);
            since.or(rollout.and_then(|rollout| rollout.changed_at))
        }
        Place::Aborting { .. } | Place::Aborted => {
            rollout.and_then(|rollout| rollout.aborted.flatten().or(rollout.changed_at))
        }
        Place::Pipeline { .. }
        | Place::RunFailed
        | Place::Rejected { .. }
        | Place::Built
        | Place::Approval { .. } => {
            let run = candidate
                .and_then(|release| release.run.value())
                .and_then(|run| world.runs.get(run));
            run.and_then(|run| {
                if run.status.has_ended() {
                    run.updated_at
                } else {
                    run.started_at.or(run.created_at)
                }
            })
        }
        Place::Unknown { .. } => None,
    }
}
