//! Who or what a release waits for, and since when it has stood where it stands.

use crate::{
    domain::{
        Timestamp,
        rollout::{PauseReason, Rollout},
        text::Clean,
    },
    engine::{lane::Place, release::Release, world::World},
};

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

pub(super) fn waits_for(world: &World, candidate: Option<&Release>, place: &Place) -> WaitsFor {
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

pub(super) fn since(
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
