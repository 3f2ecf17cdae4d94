//! `gonogo status`: where every release stands.

use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

use crate::{
    cli::{
        Stop,
        args::Look,
        exit::Exit,
        output::Out,
        session::{self, Session},
    },
    engine::world::Liveness,
    report::{self, SCHEMA, words},
};

pub(super) async fn status(
    session: &mut Session,
    args: &Look,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let which = &args.which;
    let lanes = session::lanes(
        &session.catalog,
        which.service.as_deref(),
        which.env.as_deref(),
    )?;
    let backends = session.backends_of(&lanes);
    session.wait_for(&backends, args.timeout).await;
    let (world, now) = (session.handle.world(), session.handle.now());
    let rows: Vec<_> = lanes
        .iter()
        .filter_map(|lane| world.lanes.get(lane))
        .collect();
    let answered = |backend| {
        let state = world.backends.get(backend);
        state.is_some_and(|state| state.answered_at.is_some())
    };
    let exit = if backends.is_empty() || backends.iter().any(answered) {
        Exit::Ok
    } else {
        Exit::Failed
    };
    if args.json.json {
        out.json(&json!({
            "schema": SCHEMA,
            "code": exit.code(),
            "word": exit.word(),
            "at": now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "releases": rows.iter().map(|lane| report::json::lane(&world, lane, now)).collect::<Vec<_>>(),
            "backends": report::json::backends(&world, now),
        }));
        return Ok(exit);
    }
    if rows.is_empty() {
        out.line(session::NO_SERVICE);
    } else if out.plain {
        out.lines(
            rows.iter()
                .map(|lane| report::plain::sentence(&world, lane, now)),
        );
    } else {
        let table = report::plain::status(&world, rows.iter().copied(), now);
        match out.width {
            Some(width) if table.iter().any(|line| width < line.width()) => {
                let said = rows
                    .iter()
                    .map(|lane| report::plain::sentence(&world, lane, now));
                out.lines(report::plain::broken(said, width));
            }
            _ => out.lines(table),
        }
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
