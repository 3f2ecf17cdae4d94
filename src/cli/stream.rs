//! The cockpit as lines: every lane once, then every change, until a signal.
//!
//! For screen readers, logs and pipes. Looks only; acting is what the commands
//! are for.

use std::collections::BTreeMap;

use crate::{
    cli::{exit::Exit, output::Out, session::Session},
    engine::{
        lane::{Lane, WaitsFor},
        queue::{self, Urgency},
        world::{LaneId, World},
    },
    report::plain,
};

/// Tells what there is and what changes.
pub(super) async fn stream(session: &mut Session, out: &mut Out) -> Exit {
    let mut ends = super::Ends::listen();
    let follow = async {
        let mut told = Told::default();
        loop {
            let (world, now) = (session.handle.world(), session.handle.now());
            for line in told.news(&world, now) {
                out.line(format!("{} {line}", now.format("%H:%M:%SZ")));
            }
            if out.is_closed() || !session.handle.changed().await {
                return Exit::Ok;
            }
        }
    };
    tokio::select! {
        exit = follow => exit,
        number = ends.next() => Exit::Signal(number),
    }
}

/// What was last said about each lane.
#[derive(Default)]
pub(super) struct Told(BTreeMap<LaneId, (Lane, Option<Urgency>)>);

impl Told {
    /// A sentence for every lane that is another than when it was last told.
    pub(super) fn news(&mut self, world: &World, now: crate::domain::Timestamp) -> Vec<String> {
        let mut news = Vec::new();
        for (id, lane) in world.lanes.iter() {
            let urgency = queue::item(world, lane).map(|item| item.urgency);
            let before = self.0.get(id);
            if before.is_some_and(|(told, was)| *was == urgency && same(told, lane)) {
                continue;
            }
            self.0.insert(id.clone(), (lane.clone(), urgency));
            news.push(plain::sentence(world, lane, now));
        }
        news
    }
}

/// Whether nothing worth a line lies between the two.
fn same(told: &Lane, lane: &Lane) -> bool {
    let timer = |waits: &WaitsFor| matches!(waits, WaitsFor::Timer { .. });
    told.place == lane.place
        && told.candidate == lane.candidate
        && told.live == lane.live
        && told.back_aborted == lane.back_aborted
        && (told.waits_for == lane.waits_for || (timer(&told.waits_for) && timer(&lane.waits_for)))
}
