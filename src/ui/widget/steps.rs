//! The steps of a canary in one line: `10 ✓ ── 30 ‖ 4m ── 60 ○ ── 100 ○`.

use std::{ops::Range, time::Duration};

use crate::{
    domain::{
        Timestamp,
        rollout::{Cutover, Rollout, RolloutStep, Substate, short_duration},
    },
    ui::{line::Line, sign::Sign, text, theme::Role},
};

/// One station on the way to 100 %.
#[derive(Clone, Debug, PartialEq)]
pub struct Station {
    /// Share of traffic.
    pub label: String,
    /// Where it stands.
    pub sign: Sign,
    /// What happens at it: pauses and analyses after its weight was set.
    pub note: String,
    /// Whether the rollout stands here.
    pub here: bool,
}

impl Station {
    fn ahead(label: String) -> Self {
        Self {
            label,
            sign: Sign::Waiting,
            note: String::new(),
            here: false,
        }
    }
}

/// The stations of a rollout: each weight with what follows it.
pub fn stations(rollout: &Rollout, now: Timestamp) -> Vec<Station> {
    let at = rollout.step.and_then(|step| usize::try_from(step).ok());
    let done = rollout.is_fully_promoted();
    let mut stations = grouped(&rollout.steps);
    for (station, range) in &mut stations {
        station.here = !done && at.is_some_and(|at| range.contains(&at));
        if done || at.is_some_and(|at| range.end <= at) {
            station.sign = Sign::Good;
        } else if station.here {
            station.sign = standing(rollout);
            if let Some(left) = left(rollout, now) {
                let gap = if station.note.is_empty() { "" } else { " " };
                station.note = format!("{}{gap}{left}", station.note);
            }
        }
    }
    stations.into_iter().map(|(station, _)| station).collect()
}

fn grouped(steps: &[RolloutStep]) -> Vec<(Station, Range<usize>)> {
    let mut stations: Vec<(Station, Range<usize>)> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        if let RolloutStep::SetWeight(weight) = step {
            stations.push((Station::ahead(weight.get().to_string()), index..index));
        } else if stations.is_empty() {
            stations.push((Station::ahead("0".to_owned()), index..index));
        }
        if let Some((station, range)) = stations.last_mut() {
            range.end = index + 1;
            let note = note(step);
            if !note.is_empty() && !station.note.is_empty() {
                station.note.push(' ');
            }
            station.note.push_str(&note);
        }
    }
    let count = steps.len();
    stations.push((Station::ahead("100".to_owned()), count..count + 1));
    stations
}

fn note(step: &RolloutStep) -> String {
    match step {
        RolloutStep::Pause(Some(duration)) => short_duration(*duration),
        RolloutStep::Pause(None) => "until continued".to_owned(),
        RolloutStep::Analysis(_) => "analysis".to_owned(),
        RolloutStep::Experiment => "experiment".to_owned(),
        RolloutStep::Plugin(_) => "plugin".to_owned(),
        RolloutStep::Unknown(name) => format!("? {name}"),
        RolloutStep::SetWeight(_) | RolloutStep::Other(_) => String::new(),
    }
}

/// How the rollout stands where it stands.
pub fn standing(rollout: &Rollout) -> Sign {
    match &rollout.substate {
        Substate::Held => Sign::Held,
        Substate::PausedAtStep(Some(_)) => Sign::Waiting,
        Substate::PausedAtStep(None) | Substate::PausedInconclusive => Sign::Person,
        Substate::Aborted => Sign::Back,
        Substate::DeadlineExceeded | Substate::InvalidSpec => Sign::Bad,
        Substate::FullyPromoted => Sign::Good,
        Substate::Unobserved
        | Substate::Unpausing
        | Substate::Analysing
        | Substate::Experimenting
        | Substate::RunningPlugin
        | Substate::ScalingUp
        | Substate::Restarting
        | Substate::Moving => Sign::Running,
    }
}

/// The exact state in words.
pub fn standing_word(rollout: &Rollout) -> &'static str {
    if let Some(word) = rollout.cutover().and_then(|it| switch_word(rollout, it)) {
        return word;
    }
    match &rollout.substate {
        Substate::Held => "held",
        Substate::PausedAtStep(Some(_)) => "at a pause with a timer",
        Substate::PausedAtStep(None) => "waits for you to continue",
        Substate::PausedInconclusive => "an analysis ended without a verdict: you decide",
        Substate::Aborted => "aborted",
        Substate::DeadlineExceeded => "no progress for too long",
        Substate::InvalidSpec => "its spec cannot be carried out",
        Substate::FullyPromoted => "live",
        Substate::Unobserved => "the controller has not looked yet",
        Substate::Unpausing => "going on",
        Substate::Analysing => "an analysis is running",
        Substate::Experimenting => "an experiment is running",
        Substate::RunningPlugin => "a plug-in step is running",
        Substate::ScalingUp => "pods are coming up",
        Substate::Restarting => "pods are being replaced",
        Substate::Moving => "moving",
    }
}

/// The state of a switch, where it has words of its own.
fn switch_word(rollout: &Rollout, cutover: Cutover) -> Option<&'static str> {
    Some(match (&rollout.substate, cutover) {
        (Substate::Held, _) => "held: no switch meanwhile",
        (Substate::PausedAtStep(Some(_)), _) => "counts down to the switch",
        (Substate::PausedAtStep(None), _) => "waits for you to switch",
        (Substate::Analysing, Cutover::Preview) => "an analysis decides about the switch",
        (Substate::Analysing, Cutover::Switched) => "an analysis decides whether users stay",
        (Substate::Unpausing, _) => "about to switch",
        (Substate::Moving, Cutover::Switched) => "users are switched, not stable yet",
        _ => return None,
    })
}

/// How long until it goes on by itself, in words.
pub fn left(rollout: &Rollout, now: Timestamp) -> Option<String> {
    let ends_at = rollout.pause.as_ref()?.ends_at?;
    let left = Duration::from_secs(text::between(now, ends_at).as_secs());
    Some(format!("{} left", short_duration(left)))
}

/// The stations in one line, with notes where `room` cells allow it.
pub fn line(stations: &[Station], room: usize) -> Line {
    let with_notes = joined(stations, Notes::All);
    if with_notes.width() <= room {
        return with_notes;
    }
    let here = joined(stations, Notes::Here);
    if here.width() <= room {
        return here;
    }
    joined(stations, Notes::None)
}

/// Which notes are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notes {
    All,
    Here,
    None,
}

fn joined(stations: &[Station], notes: Notes) -> Line {
    let mut line = Line::new();
    for (index, station) in stations.iter().enumerate() {
        if index > 0 {
            line = line.with(
                Role::Dim,
                if notes == Notes::All {
                    " ── "
                } else {
                    " ─ "
                },
            );
        }
        let role = if station.here {
            Role::Strong
        } else {
            Role::Plain
        };
        line = line
            .with(role, format!("{} ", station.label))
            .sign(station.sign);
        let noted = notes == Notes::All || (notes == Notes::Here && station.here);
        if noted && !station.note.is_empty() {
            line = line.with(Role::Dim, format!(" {}", station.note));
        }
    }
    line
}
