//! `gonogo doctor`: every backend looked at once, and what each key may do.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::{
    backend::{Check, CheckResult},
    cli::{
        Stop,
        exit::Exit,
        output::Out,
        session::{self, Session},
    },
    config::Config,
    domain::{id::BackendId, quantity::counted},
    engine::{
        clear::{self, Refusal},
        plan::{Ask, Verb},
        propose::propose,
        world::LaneId,
    },
    report::{SCHEMA, words},
    store::{Report, Seal, verify},
};

/// How long the first answers may take.
const FIRST: Duration = Duration::from_secs(20);

pub(super) async fn doctor(config: Config, as_json: bool, out: &mut Out) -> Result<Exit, Stop> {
    let remarks = config.remarks.clone();
    let ledger = session::paths(&config)?.ledger;
    let mut session = Session::start(config)?;
    let lanes = session::lanes(&session.catalog, None, None)?;
    let backends = session.backends_of(&lanes);
    let handle = session.handle.clone();
    let (looks, _) = tokio::join!(handle.doctor(), session.wait_for(&backends, FIRST));
    let exit = looks
        .values()
        .flatten()
        .fold(Exit::Ok, |worst, check| worst.worse(exit_of(check.result)));
    let keys: Vec<(LaneId, Vec<Key>)> = lanes
        .into_iter()
        .map(|lane| (lane.clone(), keys(&session, &lane)))
        .collect();
    let seal = verify(&ledger, None);
    let exit = match seal.as_ref().map(Report::seal) {
        Ok(Seal::Broken) => exit.worse(Exit::NoGo),
        Ok(Seal::Intact | Seal::CannotTell) => exit,
        Err(_) => exit.worse(Exit::Failed),
    };
    let sealed = match seal {
        Ok(report) if report.lines == 0 && report.problems.is_empty() => {
            "nothing in it yet".to_owned()
        }
        Ok(report) => match report.seal() {
            Seal::Intact => format!("intact, {}", counted(report.lines, "line", "lines")),
            Seal::Broken => "broken: run `gonogo audit verify`".to_owned(),
            Seal::CannotTell => {
                "in order as far as can be told: run `gonogo audit verify`".to_owned()
            }
        },
        Err(error) => error.to_string(),
    };
    if as_json {
        out.json(&document(&session, exit, &looks, &keys, &sealed));
    } else {
        print(&session, &looks, &keys, out);
        out.line(format!("ledger  {sealed}  ({})", ledger.display()));
        out.lines(
            remarks
                .iter()
                .map(|remark| format!("configuration  – {remark}")),
        );
    }
    session.end().await;
    Ok(exit)
}

fn exit_of(result: CheckResult) -> Exit {
    match result {
        CheckResult::Good | CheckResult::Remark => Exit::Ok,
        CheckResult::Denied => Exit::Refused,
        CheckResult::Out => Exit::Failed,
    }
}

/// What one verb may do to one lane now.
struct Key {
    verb: Verb,
    /// Why not, if not.
    why: Option<Refusal>,
}

fn keys(session: &Session, lane: &LaneId) -> Vec<Key> {
    let (world, now) = (session.handle.world(), session.handle.now());
    Verb::ALL
        .into_iter()
        .filter(|verb| verb.key().is_some())
        .map(|verb| {
            let plan = propose(&world, &Ask::new(verb, lane.clone()), now);
            let why = match plan {
                Ok(plan) => clear::objection(&world, &plan, session.mode, now),
                Err(refusal) => Some(refusal),
            };
            Key { verb, why }
        })
        .collect()
}

fn print(
    session: &Session,
    looks: &BTreeMap<BackendId, Vec<Check>>,
    keys: &[(LaneId, Vec<Key>)],
    out: &mut Out,
) {
    let (world, now) = (session.handle.world(), session.handle.now());
    for (backend, checks) in looks {
        let kind = session
            .catalog
            .backends
            .get(backend)
            .map_or("", |spec| spec.kind);
        let state = words::backend(
            world.liveness(backend, now),
            world.backends.get(backend),
            now,
        );
        out.line(format!("{backend}  {kind}  {state}"));
        let rows: Vec<Vec<String>> = checks
            .iter()
            .map(|check| {
                let sign = match check.result {
                    CheckResult::Good => "✓",
                    CheckResult::Remark => "▲",
                    CheckResult::Denied | CheckResult::Out => "✗",
                };
                vec![
                    format!("  {sign} {}", check.what),
                    check.seen.to_string(),
                    check.remedy.to_string(),
                ]
            })
            .collect();
        out.table(&[], &rows);
    }
    for ((service, environment), keys) in keys {
        out.line(format!("keys for {service} in {environment}"));
        let rows: Vec<Vec<String>> = keys
            .iter()
            .map(|key| {
                let sign = if key.why.is_none() { "✓" } else { "–" };
                let letter = key.verb.key().map(String::from).unwrap_or_default();
                let why = key
                    .why
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                vec![
                    format!("  {sign} {letter}"),
                    key.verb.word().to_owned(),
                    why,
                ]
            })
            .collect();
        out.table(&[], &rows);
    }
}

fn document(
    session: &Session,
    exit: Exit,
    looks: &BTreeMap<BackendId, Vec<Check>>,
    keys: &[(LaneId, Vec<Key>)],
    ledger: &str,
) -> Value {
    let checks: Vec<Value> = looks
        .iter()
        .flat_map(|(backend, checks)| checks.iter().map(move |check| (backend, check)))
        .map(|(backend, check)| {
            let result = match check.result {
                CheckResult::Good => "good",
                CheckResult::Remark => "remark",
                CheckResult::Denied => "denied",
                CheckResult::Out => "out",
            };
            json!({
                "backend": backend.as_str(),
                "what": check.what.as_str(),
                "result": result,
                "seen": check.seen.as_str(),
                "remedy": check.remedy.as_str(),
            })
        })
        .collect();
    let keys: Vec<Value> = keys
        .iter()
        .flat_map(|(lane, keys)| keys.iter().map(move |key| (lane, key)))
        .map(|((service, environment), key)| {
            json!({
                "service": service.as_str(),
                "environment": environment.as_str(),
                "key": key.verb.key().map(String::from),
                "verb": key.verb.word(),
                "may": key.why.is_none(),
                "why": key.why.as_ref().map(ToString::to_string),
            })
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "code": exit.code(),
        "word": exit.word(),
        "checks": checks,
        "keys": keys,
        "backends": crate::report::json::backends(&session.handle.world(), session.handle.now()),
        "ledger": ledger,
    })
}
