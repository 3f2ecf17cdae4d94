//! The fleet as a person has arranged it: order, filter, sort, and what is
//! counted over all of it.
//!
//! Made anew only when the world, the filter or the sort is another one; a
//! frame then takes the rows it shows from here.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    domain::Timestamp,
    engine::{
        lane::{Lane, Place, WaitsFor},
        queue::{self, Waiting},
        world::{LaneId, World},
    },
    ui::{filter::Filter, screen::facts::lane_sign, sign::Sign},
};

/// Names a filter knows beside the shown columns.
const TERMS: &[&str] = &[
    "service", "version", "env", "stage", "state", "gates", "waits", "owner", "branch", "commit",
];

/// How the fleet is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// What needs a person first, then what moves, then the rest.
    #[default]
    NeedsYou,
    /// By service.
    Service,
    /// By environment.
    Environment,
    /// By stage.
    Stage,
    /// The longest standing first.
    Age,
}

impl Sort {
    /// The next one.
    pub fn next(self) -> Self {
        match self {
            Self::NeedsYou => Self::Service,
            Self::Service => Self::Environment,
            Self::Environment => Self::Stage,
            Self::Stage => Self::Age,
            Self::Age => Self::NeedsYou,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NeedsYou => "need",
            Self::Service => "service",
            Self::Environment => "environment",
            Self::Stage => "stage",
            Self::Age => "age",
        }
    }
}

/// The fleet as a person has arranged it.
#[derive(Clone, Debug, Default)]
pub struct FleetView {
    /// The rows in order.
    pub order: Vec<LaneId>,
    /// Where each row is in that order.
    places: BTreeMap<LaneId, usize>,
    /// What waits for a person, worst first, whatever the filter.
    pub queue: Vec<Waiting>,
    /// Counts over all rows, whatever the filter.
    pub totals: Totals,
    /// The filter as typed.
    pub filter: String,
    /// What of it was not understood.
    pub trouble: Option<String>,
    /// The order.
    pub sort: Sort,
    /// Columns that are hidden.
    pub hidden: BTreeSet<&'static str>,
    /// Whether a person has chosen a row.
    pub chosen: bool,
    /// What the order was made from.
    made_from: Option<(u64, usize, String, Sort)>,
}

impl FleetView {
    /// Whether a row is shown.
    pub fn contains(&self, lane: &LaneId) -> bool {
        self.places.contains_key(lane)
    }

    /// Where a row is.
    pub fn place_of(&self, lane: &LaneId) -> Option<usize> {
        self.places.get(lane).copied()
    }

    /// What is marked before anybody chose: the worst that waits, else the first row.
    pub fn first_choice(&self) -> Option<LaneId> {
        let worst = self
            .queue
            .iter()
            .map(|waiting| &waiting.lane)
            .find(|lane| self.contains(lane));
        worst.or_else(|| self.order.first()).cloned()
    }

    /// The lanes of the queue, worst first.
    pub fn queue_lanes(&self) -> Vec<LaneId> {
        self.queue
            .iter()
            .map(|waiting| waiting.lane.clone())
            .collect()
    }

    /// Shows or hides a column; the service is always shown.
    pub fn turn_column(&mut self, column: &'static str) {
        if column != "service" && !self.hidden.remove(column) {
            self.hidden.insert(column);
        }
    }
}

/// Makes the order anew if the world, the filter or the sort is another one.
pub fn refresh(view: &mut FleetView, world: &World) {
    let from = (
        world.revision,
        world.lanes.len(),
        view.filter.clone(),
        view.sort,
    );
    if view.made_from.as_ref() == Some(&from) {
        return;
    }
    let (filter, trouble) = Filter::parse(&view.filter, TERMS);
    view.trouble = trouble;
    view.queue = queue::waiting(world);
    let queue: BTreeMap<&LaneId, usize> = view
        .queue
        .iter()
        .map(|waiting| &waiting.lane)
        .zip(0..)
        .collect();
    let mut rows: Vec<(Rank, &LaneId)> = world
        .lanes
        .iter()
        .filter(|(_, lane)| filter.is_empty() || passes(&filter, world, lane))
        .map(|(id, lane)| (rank(view.sort, id, lane, &queue), id))
        .collect();
    rows.sort_unstable();
    view.order = rows.iter().map(|(_, id)| (*id).clone()).collect();
    view.places = view.order.iter().cloned().zip(0..).collect();
    view.totals = Totals::of(world);
    view.made_from = Some(from);
}

/// Sorts before the id decides: numbers, then text, then the instant.
type Rank = (usize, String, Option<Timestamp>);

fn rank(sort: Sort, id: &LaneId, lane: &Lane, queue: &BTreeMap<&LaneId, usize>) -> Rank {
    match sort {
        Sort::NeedsYou => match queue.get(id) {
            Some(rank) => (*rank, String::new(), None),
            None => (queue.len() + motion(&lane.place), String::new(), lane.since),
        },
        Sort::Service => (0, lane.service.to_string(), None),
        Sort::Environment => (0, lane.environment.to_string(), None),
        Sort::Stage => (motion(&lane.place), lane.place.word(), lane.since),
        Sort::Age => (usize::from(lane.since.is_none()), String::new(), lane.since),
    }
}

/// What moves comes before what stands.
fn motion(place: &Place) -> usize {
    match place {
        Place::Degraded | Place::RunFailed => 0,
        Place::Canary { .. } => 1,
        Place::Approval { .. } => 2,
        Place::Pipeline { .. } => 3,
        Place::Built => 4,
        Place::Unknown { .. } => 5,
        Place::Aborted => 6,
        Place::Live => 7,
    }
}

fn passes(filter: &Filter, world: &World, lane: &Lane) -> bool {
    let release = lane.release().and_then(|id| world.release(id));
    let decision = lane
        .release()
        .and_then(|id| world.decision(id, &lane.environment));
    let cell = |column: &str| -> Option<Cow<'_, str>> {
        Some(match column {
            "service" => lane.service.as_str().into(),
            "version" => release?.label.as_str().into(),
            "env" => lane.environment.as_str().into(),
            "stage" => lane.place.word().into(),
            "state" => lane_sign(lane, decision.map(AsRef::as_ref)).word().into(),
            "gates" => decision?.word.text().into(),
            "waits" => match &lane.waits_for {
                WaitsFor::Person { what, .. } | WaitsFor::Machine { what } => what.as_str().into(),
                WaitsFor::Timer { .. } => "timer".into(),
                WaitsFor::Nothing => return None,
            },
            "owner" => release?.actor.as_str().into(),
            "branch" => release?.branch.as_str().into(),
            "commit" => release?.commit.value()?.as_str().into(),
            _ => return None,
        })
    };
    filter.passes(cell, TERMS)
}

/// Counts over all rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows.
    pub all: usize,
    /// With something bad about them.
    pub bad: usize,
    /// Waiting for a person.
    pub asked: usize,
    /// Held.
    pub held: usize,
    /// On their way through a canary.
    pub canaries: usize,
}

impl Totals {
    fn of(world: &World) -> Self {
        let mut totals = Self {
            all: world.lanes.len(),
            ..Self::default()
        };
        for lane in world.lanes.values() {
            let decision = lane
                .release()
                .and_then(|id| world.decision(id, &lane.environment));
            totals.canaries += usize::from(matches!(lane.place, Place::Canary { .. }));
            match lane_sign(lane, decision.map(AsRef::as_ref)) {
                Sign::Held => totals.held += 1,
                Sign::Person => totals.asked += 1,
                Sign::Bad => totals.bad += 1,
                _ => {}
            }
        }
        totals
    }
}
