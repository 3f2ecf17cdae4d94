//! `gonogo watch`: a line per change, until the release has ended.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant, timeout_at};

use crate::{
    cli::{
        Stop,
        args::Watch,
        exit::Exit,
        output::Out,
        session::{self, Session},
    },
    domain::{Timestamp, id::ReleaseId},
    engine::{
        lane::{Lane, Place, WaitsFor},
        queue,
        world::{LaneId, Liveness, World},
    },
    report::{self, SCHEMA},
};

/// How long the first answers may take.
const FIRST: Duration = Duration::from_secs(20);
/// A target that was not heard from for this long is lost from sight.
const LOST: Duration = Duration::from_secs(60);
/// How often silence is noticed.
const TICK: Duration = Duration::from_secs(1);

pub(super) async fn watch(
    session: &mut Session,
    args: &Watch,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let lane = session::lane(&session.catalog, &args.service, args.env.as_deref())?;
    let until = args.timeout.map(|most| Instant::now() + most);
    let first = args.timeout.map_or(FIRST, |most| most.min(FIRST));
    let backends = session.backends_of(std::slice::from_ref(&lane));
    session.wait_for(&backends, first).await;
    let mut follow = Follow {
        lane,
        release: None,
        said: None,
        unseen_since: None,
        was_rolled_out: false,
    };
    loop {
        let (world, now) = (session.handle.world(), session.handle.now());
        let ended = follow.look(&world, now);
        if let Some(row) = world.lanes.get(&follow.lane) {
            follow.tell(&world, row, now, args.json.json, out);
        }
        let over = until.is_some_and(|until| until <= Instant::now());
        let exit = match ended {
            Some(exit) => exit,
            None if over && follow.unseen_since.is_some() => Exit::NotProven,
            None if over => Exit::Waiting,
            // Nobody reads any more; what was found so far is the answer.
            None if out.is_closed() => Exit::Waiting,
            None => {
                let tick = Instant::now() + TICK;
                let wake = until.map_or(tick, |until| until.min(tick));
                let changed = timeout_at(wake, session.handle.changed()).await;
                if matches!(changed, Ok(false)) {
                    return Err(Stop::new(Exit::Internal, "the world stopped"));
                }
                continue;
            }
        };
        follow.last(exit, args.json.json, out);
        return Ok(exit);
    }
}

/// What of a row is worth a line when it changes: neither a timer that runs
/// down nor the numbers of a gate that goes on saying the same.
fn gist(world: &World, row: &Lane) -> String {
    let own = match &row.waits_for {
        WaitsFor::Timer { .. } => None,
        own => Some(own),
    };
    let decision = row
        .release()
        .and_then(|id| world.decision(id, &row.environment));
    format!(
        "{} {} {:?} {own:?} {:?} {:?}",
        report::words::label(world, row),
        report::words::standing(world, row),
        decision.map(|decision| decision.word),
        queue::item(world, row).map(|item| item.urgency),
        queue::refuted_by(world, row).map(|gate| &gate.gate),
    )
}

/// One release on its way.
struct Follow {
    lane: LaneId,
    release: Option<ReleaseId>,
    said: Option<String>,
    unseen_since: Option<Timestamp>,
    /// Whether its rollout was ever there: then its absence is no beginning.
    was_rolled_out: bool,
}

impl Follow {
    /// Looks once; says how it ended, if it has.
    fn look(&mut self, world: &World, now: Timestamp) -> Option<Exit> {
        let row = world.lanes.get(&self.lane);
        let seen = row.is_some_and(|row| {
            let silent = world.liveness(&row.target.backend, now) == Liveness::Silent;
            let is_there = world.rollouts.contains_key(&row.target);
            self.was_rolled_out |= is_there;
            let gone = self.was_rolled_out && !is_there;
            !silent && !gone && !matches!(row.place, Place::Unknown { .. })
        });
        if !seen {
            let since = *self.unseen_since.get_or_insert(now);
            let unseen = (now - since).to_std().unwrap_or_default();
            return (LOST <= unseen).then_some(Exit::NotProven);
        }
        self.unseen_since = None;
        let row = row?;
        let shown = row.release()?;
        let shown = world.merged.get(shown).unwrap_or(shown);
        let followed = self.release.get_or_insert_with(|| shown.clone());
        let live = row
            .live
            .as_ref()
            .map(|id| world.merged.get(id).unwrap_or(id));
        if followed != shown {
            // Another release took its place: it ended where it is live, else not.
            return Some(if live == Some(followed) {
                Exit::Ok
            } else {
                Exit::NoGo
            });
        }
        match row.place {
            Place::Live if row.candidate.is_none() && row.back_aborted.is_none() => Some(Exit::Ok),
            Place::RunFailed | Place::Rejected { .. } | Place::Aborted => Some(Exit::NoGo),
            Place::Live
            | Place::Pipeline { .. }
            | Place::Built
            | Place::Approval { .. }
            | Place::Canary { .. }
            | Place::RollingBack { .. }
            | Place::Aborting { .. }
            | Place::Degraded
            | Place::Unknown { .. } => None,
        }
    }

    /// Prints what changed; ages alone are no change.
    fn tell(&mut self, world: &World, row: &Lane, now: Timestamp, as_json: bool, out: &mut Out) {
        let mut still = row.clone();
        still.since = None;
        let text = report::plain::sentence(world, &still, now);
        let key = gist(world, row);
        if self.said.as_ref() == Some(&key) {
            return;
        }
        self.said = Some(key);
        if as_json {
            let mut value = report::json::lane(world, row, now);
            if let Value::Object(members) = &mut value {
                members.insert("schema".to_owned(), SCHEMA.into());
                let at = now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
                members.insert("at".to_owned(), at.into());
            }
            out.json_line(&value);
        } else {
            out.line(format!("{} {text}", now.format("%H:%M:%SZ")));
        }
    }

    fn last(&self, exit: Exit, as_json: bool, out: &mut Out) {
        let outcome = match exit {
            Exit::Ok => "live at 100 %",
            Exit::NoGo => "ended without going live",
            Exit::Waiting => "still moving",
            _ => "lost from sight",
        };
        if as_json {
            out.json_line(&json!({
                "schema": SCHEMA,
                "code": exit.code(),
                "word": exit.word(),
                "outcome": outcome,
            }));
        } else {
            out.line(format!("{} in {}: {outcome}", self.lane.0, self.lane.1));
        }
    }
}
