//! What waits for a person, worst first: the top of the fleet.

use std::cmp::Ordering;

use crate::{
    domain::{
        Timestamp,
        action::Subject,
        id::ReleaseId,
        rollout::{Cutover, PauseReason},
        text::Clean,
        verdict::{Finding, Verdict, Word},
    },
    engine::{
        hurting,
        lane::{Lane, Place, WaitsFor, beside},
        plan::Verb,
        propose::previous_alias,
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
    /// What it is about, in one word (`GATE`, `APPROVE`, `CANARY`, `PREVIEW`, `RUN`).
    pub what: &'static str,
    /// Why, with the fact that decides.
    pub reason: Clean,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The verbs that help, most likely first.
    pub verbs: Vec<Verb>,
}

/// What a move that is half done is about.
const ALIAS: &str = "ALIAS";

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
    /// Why, and what helps, in one line.
    fn in_words(&self) -> Clean {
        let verbs: Vec<&str> = self.verbs.iter().map(|verb| verb.word()).collect();
        if verbs.is_empty() {
            return self.reason.clone();
        }
        Clean::from(format!("{} ({})", self.reason, verbs.join(", ")))
    }

    /// The order of the queue: worst first, then the oldest.
    pub fn worst_first(&self, other: &Self) -> Ordering {
        (self.urgency, self.since.is_none(), self.since)
            .cmp(&(other.urgency, other.since.is_none(), other.since))
            .then_with(|| self.lane.cmp(&other.lane))
    }
}

/// Who or what a row waits for, as every surface says it: a person where it
/// stands in the queue, with the fact that decides and the verbs that help; else
/// what moves it by itself.
pub fn waits_for(world: &World, lane: &Lane) -> WaitsFor {
    let own = &lane.waits_for;
    let Some(item) = item(world, lane) else {
        return own.clone();
    };
    let you = match own {
        WaitsFor::Person { you, .. } => *you,
        WaitsFor::Machine { .. } | WaitsFor::Timer { .. } | WaitsFor::Nothing => None,
    };
    match (own, item.urgency) {
        // What the row itself asks, or the timer that answers it.
        (WaitsFor::Person { .. }, Urgency::Asked | Urgency::Held | Urgency::Unproven)
        | (WaitsFor::Timer { .. }, Urgency::Asked) => own.clone(),
        // It hurts, and there is nothing left to press.
        (WaitsFor::Machine { .. }, _) if item.verbs.is_empty() => own.clone(),
        _ => WaitsFor::Person {
            what: item.in_words(),
            you,
        },
    }
}

/// The gate that says no to what a row shows, measured and bad.
pub fn refuted_by<'a>(world: &'a World, lane: &Lane) -> Option<&'a Finding> {
    let decision = world.decision(lane.release()?, &lane.environment)?;
    let worst = decision.reasons().next()?;
    (decision.word == Word::NoGo && worst.verdict == Verdict::Fail).then_some(worst)
}

/// What one row waits for, if a person is what it waits for. What users are on
/// is not forgotten because something newer is on its way through a run.
pub fn item(world: &World, lane: &Lane) -> Option<Waiting> {
    let behind = behind(world, lane).and_then(|lane| item_of(world, &lane));
    // Whatever else is said of it, no key on this row does.
    let acts = |item: &Waiting| item.verbs.first() == Some(&Verb::RollBack) || item.what == ALIAS;
    let behind = behind.filter(acts);
    let own = item_of(world, lane);
    own.into_iter().chain(behind).min_by(Waiting::worst_first)
}

/// The row as it would be without the release that is not in its rollout yet.
fn behind(world: &World, lane: &Lane) -> Option<Lane> {
    lane.candidate.as_ref()?;
    let service = world.catalog.services.get(&lane.service)?;
    let mut places = service.places.iter();
    let place = places.find(|place| place.environment == lane.environment)?;
    let carried = beside(world, service, place, lane).into_iter().next()?;
    // Since when the other one stands where it does says nothing of this one.
    Some(Lane {
        since: None,
        ..carried
    })
}

fn item_of(world: &World, lane: &Lane) -> Option<Waiting> {
    let release = lane.release()?;
    let label = world
        .release(release)
        .map_or_else(|| release.text().clone(), |release| release.label.clone());
    let decision = world.decision(release, &lane.environment);
    let worst = decision.and_then(|decision| decision.reasons().next());
    let last = decision.and_then(|decision| decision.last_bad.as_ref());
    let reason = match (last, worst) {
        (Some(last), _) => {
            let at = last.at.format("%H:%M:%SZ");
            Some(Clean::from(format!(
                "{} {}, last heard {at}",
                last.gate, last.reason
            )))
        }
        (None, worst) => {
            worst.map(|finding| Clean::from(format!("{} {}", finding.gate, finding.reason)))
        }
    };
    let no_go = refuted_by(world, lane).is_some() || last.is_some();
    let make = |urgency, what, reason: Clean, verbs: Vec<Verb>| {
        Some(Waiting {
            lane: (lane.service.clone(), lane.environment.clone()),
            release: label.clone(),
            urgency,
            what,
            reason,
            since: (no_go && urgency == Urgency::Hurting)
                .then(|| hurting::since(world, lane))
                .flatten()
                .or(lane.since),
            verbs,
        })
    };
    let of_users = of_users(world, lane, &label, reason.clone(), no_go);
    if let Some((urgency, what, reason, verbs)) = of_users {
        return make(urgency, what, reason, verbs);
    }
    match &lane.place {
        Place::Live => {
            let (reason, verbs) = half_done(world, lane)?;
            make(Urgency::Asked, ALIAS, reason, verbs)
        }
        Place::Canary { cutover, .. } => {
            let (urgency, reason, verbs) = trial(&lane.place, no_go, reason)?;
            make(urgency, tried(*cutover), reason, verbs)
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
    world: &World,
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
            let rollout = world.rollouts.get(&lane.target);
            let by_itself = rollout.is_some_and(|rollout| rollout.moves_at_once());
            let (held, verbs) = match on_hold(*held) {
                // Steps, pauses or a switch lie ahead, which a roll back ends.
                (held, none) if none.is_empty() && !by_itself => (held, vec![Verb::RollBack]),
                as_held => as_held,
            };
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

/// What is left of a move where users are on one version and the champion alias
/// names another, and no plan of ours is about to move it. An environment that is
/// only behind the champion lacks nothing.
pub(super) fn half_done(world: &World, lane: &Lane) -> Option<(Clean, Vec<Verb>)> {
    let spec = world.catalog.services.get(&lane.service)?.model.as_ref()?;
    let aliases = &world.models.get(&spec.model)?.aliases;
    let champion = *aliases.get(&spec.champion)?;
    let version = |id: Option<&ReleaseId>| world.release(id?)?.version.value().copied();
    let live = version(lane.live.as_ref())?;
    let moving = Subject::Rollout(lane.target.clone());
    if live == champion || world.running_plan(&moving).is_some() {
        return None;
    }
    let name = &spec.champion;
    let before = aliases.get(&previous_alias(name)).copied();
    if version(lane.rolled_back.as_ref()) == Some(champion) {
        let said = format!("half rolled back: {name} still {champion}");
        Some((said.into(), vec![Verb::RollBack, Verb::Promote]))
    } else if before == Some(live) {
        // Taken back for all, as after a roll back in another environment.
        let said = format!("{name} went back to {champion}, users here are on {live}");
        Some((said.into(), vec![Verb::RollBack, Verb::Promote]))
    } else if champion < live {
        let said = format!("half promoted: {name} still {champion}");
        Some((said.into(), vec![Verb::Promote]))
    } else {
        None
    }
}

/// What a person is asked about something that is being tried: how much it
/// matters, why, and what helps.
fn trial(place: &Place, no_go: bool, reason: Option<Clean>) -> Option<(Urgency, Clean, Vec<Verb>)> {
    let Place::Canary {
        weight,
        held,
        pause,
        cutover,
        ..
    } = place
    else {
        return None;
    };
    if no_go && weight.get() > 0 {
        let stands = if *held { "held at" } else { "at" };
        let why = Clean::from(format!("{stands} {weight}{}", because(reason)));
        let mut verbs = vec![Verb::RollBack, Verb::Abort];
        if cutover.is_none() && !held {
            verbs.push(Verb::Hold);
        }
        return Some((Urgency::Hurting, why, verbs));
    }
    let and = reason.map_or_else(String::new, |reason| format!(", {reason}"));
    if *held {
        let why = Clean::from(format!("held at {weight}{and}"));
        return Some((Urgency::Held, why, vec![Verb::Continue, Verb::Abort]));
    }
    let pause = pause.as_ref().filter(|pause| pause.ends_at.is_none())?;
    let stands = match cutover {
        Some(Cutover::Preview) if pause.reason == PauseReason::BlueGreen => {
            "waits for the switch".to_owned()
        }
        Some(_) => "an analysis has no verdict".to_owned(),
        None => format!("stands at {weight}"),
    };
    Some((
        Urgency::Asked,
        Clean::from(format!("{stands}{and}")),
        vec![Verb::Continue, Verb::Promote, Verb::Abort],
    ))
}

/// What is being tried, in one word.
fn tried(cutover: Option<Cutover>) -> &'static str {
    match cutover {
        None => "CANARY",
        Some(Cutover::Preview) => "PREVIEW",
        Some(Cutover::Switched) => "SWITCHED",
    }
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
