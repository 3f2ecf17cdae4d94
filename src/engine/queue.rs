//! What waits for a person, worst first: the top of the fleet.

use std::cmp::Ordering;

use crate::{
    domain::{
        Timestamp,
        text::Clean,
        verdict::{Verdict, Word},
    },
    engine::{
        lane::{Lane, Place, WaitsFor},
        plan::Verb,
        world::{LaneId, World},
    },
};

/// How much a waiting item matters; the order is the queue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Users are on something bad.
    Hurting,
    /// A gate says no to something on its way.
    Blocked,
    /// A person's word is asked for.
    Asked,
    /// Held by a person; somebody should end it.
    Held,
    /// Something could not be proven.
    Unproven,
}

/// One item of the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Where.
    pub lane: LaneId,
    /// What people call the release.
    pub release: Clean,
    /// How much it matters.
    pub urgency: Urgency,
    /// What it is about, in one word (`GATE`, `APPROVE`, `CANARY`, `RUN`).
    pub what: &'static str,
    /// Why, with the fact that decides.
    pub reason: Clean,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The verbs that help, most likely first.
    pub verbs: Vec<Verb>,
}

/// Everything that waits for a person, worst first, then the oldest.
pub fn waiting(world: &World) -> Vec<Waiting> {
    let mut items: Vec<Waiting> = world
        .lanes
        .values()
        .filter_map(|lane| item(world, lane))
        .collect();
    items.sort_by(Waiting::worst_first);
    items
}

impl Waiting {
    /// The order of the queue: worst first, then the oldest.
    pub fn worst_first(&self, other: &Self) -> Ordering {
        (self.urgency, self.since.is_none(), self.since)
            .cmp(&(other.urgency, other.since.is_none(), other.since))
            .then_with(|| self.lane.cmp(&other.lane))
    }
}

/// What one row waits for, if a person is what it waits for.
pub fn item(world: &World, lane: &Lane) -> Option<Waiting> {
    let release = lane.release()?;
    let label = world
        .release(release)
        .map_or_else(|| release.text().clone(), |release| release.label.clone());
    let decision = world.decision(release, &lane.environment);
    let worst = decision.and_then(|decision| decision.reasons().next());
    let reason = worst.map(|finding| Clean::from(format!("{} {}", finding.gate, finding.reason)));
    let no_go = decision.is_some_and(|decision| decision.word == Word::NoGo)
        && worst.is_some_and(|finding| finding.verdict == Verdict::Fail);
    let make = |urgency, what, reason: Clean, verbs: Vec<Verb>| {
        Some(Waiting {
            lane: (lane.service.clone(), lane.environment.clone()),
            release: label.clone(),
            urgency,
            what,
            reason,
            since: lane.since,
            verbs,
        })
    };
    if let Some((urgency, what, reason, verbs)) = of_users(lane, &label, reason.clone(), no_go) {
        return make(urgency, what, reason, verbs);
    }
    match &lane.place {
        Place::Canary { weight, held, .. } if no_go && weight.get() > 0 => {
            let stands = if *held { "held at" } else { "at" };
            let mut verbs = vec![Verb::RollBack, Verb::Abort];
            if !held {
                verbs.push(Verb::Hold);
            }
            make(
                Urgency::Hurting,
                "CANARY",
                Clean::from(format!("{stands} {weight}{}", because(reason))),
                verbs,
            )
        }
        Place::Degraded => make(
            Urgency::Hurting,
            "ROLLOUT",
            degraded(world, lane),
            vec![Verb::RollBack, Verb::Retry],
        ),
        Place::Approval { environment } if no_go => make(
            Urgency::Blocked,
            "GATE",
            reason.unwrap_or_else(|| environment.clone()),
            vec![Verb::Reject],
        ),
        Place::Approval { environment } => {
            let you = matches!(
                &lane.waits_for,
                WaitsFor::Person {
                    you: Some(false),
                    ..
                }
            );
            let verbs = if you {
                Vec::new()
            } else {
                vec![Verb::Approve, Verb::Reject]
            };
            let whose = if you { ", not yours to give" } else { "" };
            make(
                Urgency::Asked,
                "APPROVE",
                Clean::from(format!("`{environment}` waits for approval{whose}")),
                verbs,
            )
        }
        Place::Canary {
            held: true, weight, ..
        } => make(
            Urgency::Held,
            "CANARY",
            Clean::from(format!(
                "held at {weight}{}",
                reason
                    .map(|reason| format!(", {reason}"))
                    .unwrap_or_default()
            )),
            vec![Verb::Continue, Verb::Abort],
        ),
        Place::Canary {
            weight,
            pause: Some(pause),
            ..
        } if pause.ends_at.is_none() => make(
            Urgency::Asked,
            "CANARY",
            Clean::from(format!(
                "stands at {weight}{}",
                reason
                    .map(|reason| format!(", {reason}"))
                    .unwrap_or_default()
            )),
            vec![Verb::Continue, Verb::Promote, Verb::Abort],
        ),
        Place::RunFailed => make(
            Urgency::Blocked,
            "RUN",
            failed_job(world, lane),
            vec![Verb::RerunFailed],
        ),
        Place::Built if no_go => make(
            Urgency::Blocked,
            "GATE",
            reason.unwrap_or_default(),
            Vec::new(),
        ),
        Place::Pipeline { .. }
        | Place::Built
        | Place::Canary { .. }
        | Place::Live
        | Place::RollingBack { .. }
        | Place::Aborting { .. }
        | Place::Aborted
        | Place::Rejected { .. }
        | Place::Unknown { .. } => None,
    }
}

/// What is to be said of the release users are on or are being taken from: how
/// urgent, in which word, why, and what helps.
fn of_users(
    lane: &Lane,
    label: &Clean,
    reason: Option<Clean>,
    no_go: bool,
) -> Option<(Urgency, &'static str, Clean, Vec<Verb>)> {
    let on_hold = |held: bool| {
        if held {
            (", held", vec![Verb::RollBack, Verb::Continue])
        } else {
            ("", Vec::new())
        }
    };
    let (urgency, what, text, verbs) = match (&lane.place, &lane.back_aborted) {
        (Place::Live, Some(to)) if no_go => {
            let reason = reason.unwrap_or_default();
            let text = format!("{reason}; the roll back to {to} was aborted");
            (Urgency::Hurting, "LIVE", text, vec![Verb::RollBack])
        }
        (Place::Live, None) if no_go => {
            let text = reason.unwrap_or_default().to_string();
            (Urgency::Hurting, "LIVE", text, vec![Verb::RollBack])
        }
        // Half done: the spec wants one release, and users are on another.
        (Place::Live, Some(to)) => {
            let text = format!("the roll back to {to} was aborted{}", because(reason));
            (Urgency::Asked, "LIVE", text, vec![Verb::RollBack])
        }
        // Until users are off it, whatever there is left to press.
        (Place::RollingBack { to, done, held }, _) => {
            let (held, verbs) = on_hold(*held);
            let why = because(reason);
            let text = format!("rolling back {label} → {to}, {done}{held}{why}");
            (Urgency::Hurting, "LIVE", text, verbs)
        }
        (Place::Aborting { weight, held }, _) => {
            let (held, verbs) = on_hold(*held);
            let why = because(reason);
            let text = format!("going back, {weight} still on {label}{held}{why}");
            (Urgency::Hurting, "CANARY", text, verbs)
        }
        _ => return None,
    };
    Some((urgency, what, Clean::from(text), verbs))
}

/// The worst finding, as what follows a colon.
fn because(reason: Option<Clean>) -> String {
    reason.map_or_else(String::new, |why| format!(": {why}"))
}

fn degraded(world: &World, lane: &Lane) -> Clean {
    world
        .rollouts
        .get(&lane.target)
        .map_or_else(Clean::default, |rollout| rollout.message.clone())
}

fn failed_job(world: &World, lane: &Lane) -> Clean {
    let run = lane
        .release()
        .and_then(|id| world.release(id))
        .and_then(|release| release.run.value());
    let Some(run) = run else {
        return "the run failed".into();
    };
    let failed: Vec<String> = world
        .jobs_of(run)
        .iter()
        .filter(|job| job.status.has_ended() && job.status.word() == "failed")
        .map(|job| job.name.to_string())
        .collect();
    if failed.is_empty() {
        return world.runs.get(run).map_or_else(
            || "the run failed".into(),
            |known| Clean::from(format!("run {} {}", known.id, known.status.word())),
        );
    }
    Clean::from(format!("failed: {}", failed.join(", ")))
}
