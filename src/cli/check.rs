//! `gonogo check`: may this release go on? The exit code is the answer.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::{
    cli::{
        Stop,
        args::Check,
        exit::Exit,
        output::Out,
        session::{self, Session},
    },
    domain::{Timestamp, id::BackendId, rollout::short_duration, verdict::Decision},
    engine::world::{LaneId, Liveness, World},
    report::{self, SCHEMA, words},
};

/// How long the first answers may take, unless told otherwise.
const FIRST: Duration = Duration::from_secs(20);

pub(super) async fn check(
    session: &mut Session,
    args: &Check,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let which = &args.which;
    let lanes = session::lanes(
        &session.catalog,
        which.service.as_deref(),
        which.env.as_deref(),
    )?;
    if lanes.is_empty() {
        return Err(Stop::new(
            Exit::Usage,
            format!("{}, so nothing can be proven", session::NO_SERVICE),
        ));
    }
    let started = Instant::now();
    let backends = session.backends_of(&lanes);
    session
        .wait_for(&backends, args.timeout.unwrap_or(FIRST))
        .await;
    if args.wait {
        wait_for_decision(session, &lanes, args.timeout.map(|most| started + most)).await;
    }
    let (world, now) = (session.handle.world(), session.handle.now());
    let unread = |lane: &LaneId| {
        let backends = session.backends_of(std::slice::from_ref(lane));
        !backends.is_empty() && !backends.iter().any(|backend| has_answered(&world, backend))
    };
    let answers: Vec<Answer<'_>> = lanes
        .iter()
        .map(|lane| {
            let answer = answer(&world, lane);
            // Nothing was read: that is nothing about the release.
            let unread = answer.decision.is_none() && unread(lane);
            Answer { unread, ..answer }
        })
        .collect();
    let exit = answers
        .iter()
        .fold(Exit::Ok, |worst, answer| worst.worse(answer.exit));
    if args.json.json {
        out.json(&json!({
            "schema": SCHEMA,
            "code": exit.code(),
            "word": exit.word(),
            "at": now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "checks": answers.iter().map(|answer| json_of(answer, &world)).collect::<Vec<_>>(),
            "backends": report::json::backends(&world, now),
        }));
        return Ok(exit);
    }
    for answer in &answers {
        print(answer, &world, now, out);
    }
    for backend in &backends {
        let liveness = world.liveness(backend, now);
        if liveness != Liveness::Live {
            let words = words::backend(liveness, world.backends.get(backend), now);
            out.remark(format!("backend {backend} is {words}"));
        }
    }
    Ok(exit)
}

fn has_answered(world: &World, backend: &BackendId) -> bool {
    let state = world.backends.get(backend);
    state.is_some_and(|state| state.answered_at.is_some())
}

/// Waits until no lane says HOLD any more, or until `until`.
async fn wait_for_decision(session: &Session, lanes: &[LaneId], until: Option<Instant>) {
    let decided = |world: &World| {
        lanes
            .iter()
            .all(|lane| !matches!(answer(world, lane).exit, Exit::Waiting | Exit::NotProven))
    };
    let mut worlds = session.handle.worlds();
    let wait = worlds.wait_for(|world| decided(world));
    match until {
        // At the deadline the answer is what it is then.
        Some(until) => drop(timeout_at(until, wait).await),
        None => drop(wait.await),
    }
}

/// The answer about one lane.
struct Answer<'a> {
    lane: &'a LaneId,
    decision: Option<&'a Decision>,
    exit: Exit,
    /// Whether no backend has answered at all.
    unread: bool,
}

fn answer<'a>(world: &'a World, lane: &'a LaneId) -> Answer<'a> {
    let release = world.lanes.get(lane).and_then(|row| row.release());
    let decision = release
        .and_then(|release| world.decision(release, &lane.1))
        .map(AsRef::as_ref);
    Answer {
        lane,
        decision,
        unread: false,
        exit: decision.map_or(Exit::NotProven, |decision| Exit::from(decision.word)),
    }
}

fn json_of(answer: &Answer<'_>, world: &World) -> Value {
    let row = world.lanes.get(answer.lane);
    let mut value = answer
        .decision
        .map_or_else(|| json!({ "findings": [] }), report::json::decision);
    if let Value::Object(members) = &mut value {
        members.insert("service".to_owned(), answer.lane.0.as_str().into());
        members.insert("environment".to_owned(), answer.lane.1.as_str().into());
        members.insert(
            "version".to_owned(),
            row.map(|row| words::label(world, row)).into(),
        );
        members.insert("code".to_owned(), answer.exit.code().into());
        members.insert("word".to_owned(), answer.exit.word().into());
        if answer.decision.is_none() {
            members.insert("error".to_owned(), nothing_found(answer).into());
        }
    }
    value
}

/// Why there is no decision.
fn nothing_found(answer: &Answer<'_>) -> &'static str {
    if answer.unread {
        "no backend has answered"
    } else {
        "no release found"
    }
}

fn print(answer: &Answer<'_>, world: &World, now: Timestamp, out: &mut Out) {
    let (service, environment) = answer.lane;
    let Some((row, decision)) = world.lanes.get(answer.lane).zip(answer.decision) else {
        out.line(format!(
            "{service} in {environment}: {}, so nothing is proven",
            nothing_found(answer)
        ));
        return;
    };
    let label = words::label(world, row);
    if out.plain {
        out.line(format!(
            "{service} in {environment}, {label}: {}",
            words::decision(decision)
        ));
        return;
    }
    let mut lines = report::plain::decision(decision).into_iter();
    if let Some(word) = lines.next() {
        out.line(format!("{service} in {environment}, {label}: {word}"));
    }
    out.lines(lines);
    if let Some(age) = row.since {
        out.line(format!(
            "  {} for {}",
            words::standing(world, row),
            short_duration(words::since(age, now))
        ));
    }
}
