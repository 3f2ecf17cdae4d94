//! The fleet as a person has arranged it: order, filter, sort, and what is
//! counted over all of it.
//!
//! A frame takes the rows it shows from here. When the world is another one,
//! only the rows that changed are looked at again; everything is, when the
//! filter or the sort is another one.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    domain::{Timestamp, id::ReleaseId, verdict::Decision},
    engine::{
        lane::{Lane, Place, WaitsFor},
        queue::{self, Urgency, Waiting},
        release::Release,
        shared::SharedMap,
        world::{DecisionId, LaneId, World},
    },
    ui::{filter::Filter, screen::facts::lane_sign, sign::Sign},
};

/// Names a filter knows beside the shown columns.
pub const TERMS: &[&str] = &[
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
    /// The rows that are shown, in order.
    pub order: Vec<LaneId>,
    /// What is known of every row.
    rows: BTreeMap<LaneId, Row>,
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
    made_from: Option<Source>,
}

/// What the view was made from.
#[derive(Clone, Debug)]
struct Source {
    lanes: SharedMap<LaneId, Lane>,
    decisions: SharedMap<DecisionId, Arc<Decision>>,
    releases: SharedMap<ReleaseId, Arc<Release>>,
    filter: String,
    sort: Sort,
}

/// What is known of one row.
#[derive(Clone, Debug)]
struct Row {
    rank: Rank,
    shown: bool,
    sign: Sign,
    canary: bool,
}

impl FleetView {
    /// Whether a row is shown.
    pub fn contains(&self, lane: &LaneId) -> bool {
        self.rows.get(lane).is_some_and(|row| row.shown)
    }

    /// Where a row is.
    pub fn place_of(&self, lane: &LaneId) -> Option<usize> {
        let row = self.rows.get(lane).filter(|row| row.shown)?;
        Some(self.place_for(&row.rank, lane))
    }

    /// Where a row of this rank is or would be.
    fn place_for(&self, rank: &Rank, lane: &LaneId) -> usize {
        self.order.partition_point(|other| {
            let other_rank = self.rows.get(other).map(|row| &row.rank);
            (other_rank, other) < (Some(rank), lane)
        })
    }

    /// Looks at every row.
    fn make(&mut self, world: &World, filter: &Filter) {
        self.queue = queue::waiting(world);
        let waiting: BTreeMap<&LaneId, &Waiting> = self
            .queue
            .iter()
            .map(|waiting| (&waiting.lane, waiting))
            .collect();
        let lanes = world.lanes.iter();
        self.rows = lanes
            .map(|(id, lane)| {
                let row = Row::new(world, lane, waiting.get(id).copied(), self.sort, filter);
                (id.clone(), row)
            })
            .collect();
        let shown = self.rows.iter().filter(|(_, row)| row.shown);
        let mut order: Vec<(&Rank, &LaneId)> = shown.map(|(id, row)| (&row.rank, id)).collect();
        order.sort_unstable();
        self.order = order.into_iter().map(|(_, id)| id.clone()).collect();
        self.totals = Totals::default();
        for row in self.rows.values() {
            self.totals.count(row, 1);
        }
    }

    /// Looks at one row again.
    fn make_again(&mut self, world: &World, filter: &Filter, id: &LaneId) {
        if let Some(old) = self.rows.get(id) {
            if old.shown {
                let at = self.place_for(&old.rank, id);
                self.order.remove(at);
            }
            self.totals.count(old, -1);
            self.rows.remove(id);
            self.queue.retain(|waiting| waiting.lane != *id);
        }
        let Some(lane) = world.lanes.get(id) else {
            return;
        };
        let waiting = queue::item(world, lane);
        let row = Row::new(world, lane, waiting.as_ref(), self.sort, filter);
        if row.shown {
            let at = self.place_for(&row.rank, id);
            self.order.insert(at, id.clone());
        }
        self.totals.count(&row, 1);
        self.rows.insert(id.clone(), row);
        if let Some(waiting) = waiting {
            let at = self
                .queue
                .partition_point(|other| other.worst_first(&waiting).is_lt());
            self.queue.insert(at, waiting);
        }
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

/// Brings the view up to date with the world, the filter and the sort.
pub fn refresh(view: &mut FleetView, world: &World) {
    let before = view.made_from.take();
    let before = before.filter(|from| from.filter == view.filter && from.sort == view.sort);
    let changed = before.map(|from| from.rows_changed(world));
    if changed.as_ref().is_none_or(|changed| !changed.is_empty()) {
        let (filter, trouble) = Filter::parse(&view.filter, TERMS);
        view.trouble = trouble;
        match changed {
            Some(changed) if changed.len() <= AT_ONCE => {
                for id in &changed {
                    view.make_again(world, &filter, id);
                }
            }
            Some(_) | None => view.make(world, &filter),
        }
    }
    view.made_from = Some(Source {
        lanes: world.lanes.clone(),
        decisions: world.decisions.clone(),
        releases: world.releases.clone(),
        filter: view.filter.clone(),
        sort: view.sort,
    });
}

/// With more changed rows than this, all are looked at in one go.
const AT_ONCE: usize = 256;

impl Source {
    /// The rows about which a world says something else. Whatever concerns a
    /// service is judged anew, so a new decision stands for any change behind it.
    fn rows_changed(&self, world: &World) -> BTreeSet<LaneId> {
        let lanes = world.lanes.changed_since(&self.lanes, PartialEq::eq);
        let mut changed: BTreeSet<LaneId> = lanes.into_iter().cloned().collect();
        let decisions = world.decisions.changed_since(&self.decisions, Arc::ptr_eq);
        for (release, environment) in decisions {
            let service = world.release(release).map(|release| &release.service);
            changed.extend(service.map(|service| (service.clone(), environment.clone())));
        }
        for id in world.releases.changed_since(&self.releases, PartialEq::eq) {
            let Some(release) = world.release(id) else {
                continue;
            };
            let from = world.lanes.from_where(&|(of, _)| *of < release.service);
            let own = from.take_while(|((of, _), _)| *of == release.service);
            changed.extend(own.map(|(id, _)| id.clone()));
        }
        changed
    }
}

impl Row {
    fn new(
        world: &World,
        lane: &Lane,
        waiting: Option<&Waiting>,
        sort: Sort,
        filter: &Filter,
    ) -> Self {
        let decision = lane
            .release()
            .and_then(|id| world.decision(id, &lane.environment));
        Self {
            rank: Rank::of(sort, lane, waiting),
            shown: filter.is_empty() || passes(filter, world, lane),
            sign: lane_sign(lane, decision.map(AsRef::as_ref)),
            canary: matches!(lane.place, Place::Canary { .. } | Place::Aborting { .. }),
        }
    }
}

/// Sorts before the id decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    group: usize,
    ageless: bool,
    text: String,
    since: Option<Timestamp>,
}

impl Rank {
    fn of(sort: Sort, lane: &Lane, waiting: Option<&Waiting>) -> Self {
        let group = |group, since| Self {
            group,
            since,
            ..Self::default()
        };
        let text = |text| Self {
            text,
            ..Self::default()
        };
        match sort {
            Sort::NeedsYou => match waiting {
                // As in the queue.
                Some(waiting) => Self {
                    ageless: waiting.since.is_none(),
                    ..group(waiting.urgency as usize, waiting.since)
                },
                None => group(
                    Urgency::Unproven as usize + 1 + motion(&lane.place),
                    lane.since,
                ),
            },
            Sort::Service => text(lane.service.to_string()),
            Sort::Environment => text(lane.environment.to_string()),
            Sort::Stage => Self {
                text: lane.place.word(),
                ..group(motion(&lane.place), lane.since)
            },
            Sort::Age => group(usize::from(lane.since.is_none()), lane.since),
        }
    }
}

/// What moves comes before what stands.
fn motion(place: &Place) -> usize {
    match place {
        Place::Degraded | Place::RunFailed | Place::RollingBack { .. } | Place::Aborting { .. } => {
            0
        }
        Place::Canary { .. } => 1,
        Place::Approval { .. } => 2,
        Place::Pipeline { .. } => 3,
        Place::Built => 4,
        Place::Unknown { .. } => 5,
        Place::Aborted | Place::Rejected { .. } => 6,
        Place::Live => 7,
    }
}

/// Whether a filter finds anything in the fleet.
pub fn finds(world: &World, filter: &str) -> bool {
    let (filter, _) = Filter::parse(filter, TERMS);
    world
        .lanes
        .values()
        .any(|lane| passes(&filter, world, lane))
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
            "waits" => match queue::waits_for(world, lane) {
                WaitsFor::Person { what, you } => {
                    let who = match you {
                        Some(true) => "you",
                        Some(false) => "others",
                        None => "person",
                    };
                    format!("{who} {what}").into()
                }
                WaitsFor::Machine { what } => what.to_string().into(),
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
    /// Counts a row, or with -1 takes it out again.
    fn count(&mut self, row: &Row, by: isize) {
        let mut add = |count: fn(&mut Self) -> &mut usize| {
            let count = count(self);
            *count = count.saturating_add_signed(by);
        };
        add(|totals| &mut totals.all);
        if row.canary {
            add(|totals| &mut totals.canaries);
        }
        match row.sign {
            Sign::Held => add(|totals| &mut totals.held),
            Sign::Person => add(|totals| &mut totals.asked),
            Sign::Bad => add(|totals| &mut totals.bad),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::fixture::{change_rollout, empty_world, paused, step_on, troubled_world, world};

    /// The same, looked for among all rows.
    fn check(view: &FleetView, world: &World) {
        assert_eq!(view.queue, queue::waiting(world));
        let (filter, _) = Filter::parse(&view.filter, TERMS);
        let lanes = world.lanes.iter();
        let mut rows: Vec<(Rank, &LaneId)> = lanes
            .filter(|(_, lane)| passes(&filter, world, lane))
            .map(|(id, lane)| {
                let waiting = view.queue.iter().find(|waiting| waiting.lane == *id);
                (Rank::of(view.sort, lane, waiting), id)
            })
            .collect();
        rows.sort();
        assert!(view.order.iter().eq(rows.iter().map(|(_, id)| *id)));
        for id in world.lanes.keys() {
            let at = rows.iter().position(|(_, other)| *other == id);
            assert_eq!((view.place_of(id), view.contains(id)), (at, at.is_some()));
        }
        let mut totals = Totals::default();
        for lane in world.lanes.values() {
            let shown = lane.release();
            let decision = shown.and_then(|id| world.decision(id, &lane.environment));
            let sign = lane_sign(lane, decision.map(AsRef::as_ref));
            totals.all += 1;
            totals.canaries += usize::from(matches!(lane.place, Place::Canary { .. }));
            totals.held += usize::from(sign == Sign::Held);
            totals.asked += usize::from(sign == Sign::Person);
            totals.bad += usize::from(sign == Sign::Bad);
        }
        assert_eq!(view.totals, totals);
    }

    #[test]
    fn a_view_that_followed_the_world_is_as_one_made_anew() {
        for filter in ["", "stage:canary", "!env:prod-eu"] {
            let mut view = FleetView {
                filter: filter.to_owned(),
                ..FleetView::default()
            };
            for _ in 0..5 {
                view.sort = view.sort.next();
                let mut world = world();
                refresh(&mut view, &world);
                check(&view, &world);
                change_rollout(&mut world, "recsys-ranker", |rollout| rollout.held = true);
                refresh(&mut view, &world);
                check(&view, &world);
                change_rollout(&mut world, "recsys-ranker", paused);
                change_rollout(&mut world, "geo-eta", step_on);
                refresh(&mut view, &world);
                check(&view, &world);
                for another in [troubled_world(), empty_world()] {
                    refresh(&mut view, &another);
                    check(&view, &another);
                }
            }
        }
    }
}
