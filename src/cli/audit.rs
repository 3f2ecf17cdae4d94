//! `gonogo audit`: reading and checking the ledger.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    cli::{Stop, args::Audit, exit::Exit, output::Out},
    domain::{quantity::counted, text::Clean},
    report::{SCHEMA, words},
    store::{
        Ledger, LedgerError, Paths, Reader, Record, RecordKind, Report, Seal, Writer,
        checkpoint::Checkpoint, verify,
    },
};

pub(super) fn audit(paths: Paths, args: &Audit, out: &mut Out) -> Result<Exit, Stop> {
    let ledger = paths.ledger.clone();
    let exit = answer(&ledger, args, out)?;
    // What waits in a spool is in no line above.
    match Ledger::new(paths, Writer::this_process()).spooled() {
        Ok(waiting) => {
            for (spool, lines) in waiting {
                out.remark(format!(
                    "gonogo: {} in {} until the ledger can be written",
                    counted(lines, "more line waits", "more lines wait"),
                    spool.display()
                ));
            }
        }
        Err(error) => out.remark(format!("gonogo: {error}")),
    }
    Ok(exit)
}

fn answer(ledger: &Path, args: &Audit, out: &mut Out) -> Result<Exit, Stop> {
    match args {
        Audit::Log {
            service,
            limit,
            json,
        } => {
            let Book {
                records,
                unreadable,
                damage,
            } = read(ledger)?;
            let mut chosen: Vec<&Record> = records
                .iter()
                .filter(|record| {
                    let of = record
                        .service
                        .as_ref()
                        .map(crate::domain::id::ServiceName::as_str);
                    service.is_none() || of == service.as_deref()
                })
                .collect();
            chosen.drain(..chosen.len().saturating_sub(*limit));
            if let Some(damage) = damage.as_ref().filter(|_| records.is_empty()) {
                return Err(Stop::new(Exit::Failed, damage.to_string()));
            }
            let seal =
                verify(ledger, None).map_err(|error| Stop::new(Exit::Failed, error.to_string()))?;
            let nothing = match (records.is_empty(), seal.seal()) {
                (true, Seal::Intact | Seal::CannotTell) => "nothing has been done yet",
                (true, Seal::Broken) => "there is no line",
                (false, _) => "no line is about that",
            };
            let exit = log(&chosen, (&unreadable, seal.seal()), nothing, json.json, out);
            if let Some(damage) = damage {
                out.remark(format!("gonogo: {damage}"));
            }
            // Who reads a forged line must not take it for what was done.
            if seal.seal() == Seal::Broken {
                let first = seal.problems.first().map(Clean::as_str);
                out.remark(format!(
                    "gonogo: the ledger is broken: {}; `gonogo audit verify` says all",
                    first.unwrap_or_default()
                ));
            }
            Ok(exit)
        }
        Audit::Show { what, json } => {
            let Book {
                records, damage, ..
            } = read(ledger)?;
            let number = what.parse::<u64>().ok();
            let chosen: Vec<&Record> = records
                .iter()
                .filter(|record| {
                    Some(record.seq) == number
                        || record
                            .plan
                            .as_ref()
                            .is_some_and(|plan| plan.as_str() == what)
                })
                .collect();
            if let Some(why) = damage.filter(|_| chosen.is_empty()) {
                return Err(Stop::new(
                    Exit::Failed,
                    format!("`{what}` is in no line that can be read; {why}"),
                ));
            }
            show(&chosen, what, json.json, out)
        }
        Audit::Verify { checkpoint, json } => {
            let kept = checkpoint
                .clone()
                .map(|(seq, hash)| Checkpoint { seq, hash });
            let report = match verify(ledger, kept.as_ref()) {
                Ok(report) => report,
                // What cannot be read cannot be judged either way.
                Err(error) => return Err(Stop::new(Exit::NotProven, error.to_string())),
            };
            Ok(verdict(&report, ledger, json.json, out))
        }
    }
}

/// A ledger as far as it can be read.
struct Book {
    records: Vec<Record>,
    /// Lines that are none of a ledger, counted from 1.
    unreadable: Vec<u64>,
    /// The same in words, with what else is wrong.
    damage: Option<Clean>,
}

fn read(ledger: &Path) -> Result<Book, Stop> {
    let trouble = |error: LedgerError| Stop::new(Exit::Failed, error.to_string());
    let mut reader = Reader::new(ledger.to_owned());
    let records = reader.read_new().map_err(trouble)?;
    Ok(Book {
        records,
        unreadable: reader.unreadable().to_vec(),
        damage: reader.damage(),
    })
}

fn log(
    records: &[&Record],
    (unreadable, seal): (&[u64], Seal),
    nothing: &str,
    as_json: bool,
    out: &mut Out,
) -> Exit {
    if as_json {
        out.json(&json!({
            "schema": SCHEMA,
            "code": Exit::Ok.code(),
            "word": Exit::Ok.word(),
            "lines": records.iter().map(|record| &record.raw).collect::<Vec<&Value>>(),
            "unreadable": unreadable,
            "seal": word(seal),
        }));
        return Exit::Ok;
    }
    if records.is_empty() {
        out.line(nothing);
        return Exit::Ok;
    }
    let rows: Vec<Vec<String>> = records.iter().map(|record| row(record)).collect();
    let heading = [
        "LINE", "WHEN", "WHO", "WHAT", "VERB", "WHERE", "OUTCOME", "NOTE",
    ];
    out.table(&heading, &rows);
    Exit::Ok
}

fn row(record: &Record) -> Vec<String> {
    let dash = || "–".to_owned();
    let place = match (&record.service, &record.environment) {
        (Some(service), Some(environment)) => format!("{service} {environment}"),
        (Some(service), None) => service.to_string(),
        (None, _) => dash(),
    };
    let said = record
        .reason
        .as_ref()
        .filter(|_| record.note.is_empty())
        .unwrap_or(&record.note);
    let said = said.lines().next().unwrap_or_default();
    // Who went past a rule must stand out from who did not have to.
    let (mark, note) = match &record.overridden {
        Some(rule) if said.is_empty() => (" (override)", format!("past {rule}")),
        Some(rule) => (" (override)", format!("past {rule}: {said}")),
        None => ("", said.to_owned()),
    };
    vec![
        record.seq.to_string(),
        record.at.map_or_else(dash, words::instant),
        if record.actor.is_empty() {
            dash()
        } else {
            record.actor.to_string()
        },
        record.kind.word().to_owned(),
        act(record).map_or_else(dash, |act| act + mark),
        place,
        record
            .outcome
            .map_or_else(dash, |outcome| outcome.word().to_owned()),
        note,
    ]
}

/// The verb, and of a plan with several steps what this one was.
fn act(record: &Record) -> Option<String> {
    if record.verb.is_empty() {
        return None;
    }
    let of_several = record.step.is_some() && record.steps.is_some_and(|steps| 1 < steps);
    Some(match &record.action {
        Some(action) if of_several || record.kind == RecordKind::Nudge => {
            let alias = record
                .raw
                .pointer("/arguments/alias")
                .and_then(Value::as_str);
            let alias = alias.map_or_else(String::new, |alias| format!(" {}", Clean::name(alias)));
            format!("{}: {action}{alias}", record.verb)
        }
        _ => record.verb.to_string(),
    })
}

fn show(records: &[&Record], what: &str, as_json: bool, out: &mut Out) -> Result<Exit, Stop> {
    if records.is_empty() {
        return Err(Stop::new(
            Exit::Usage,
            format!("the ledger has no line and no plan `{what}`; `gonogo audit log` lists them"),
        ));
    }
    if as_json {
        out.json(&json!({
            "schema": SCHEMA,
            "code": Exit::Ok.code(),
            "word": Exit::Ok.word(),
            "lines": records.iter().map(|record| &record.raw).collect::<Vec<&Value>>(),
        }));
        return Ok(Exit::Ok);
    }
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            out.line("");
        }
        let mut lines = Vec::new();
        flat("", &record.raw, &mut lines);
        let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        out.lines(
            lines
                .iter()
                .map(|(key, value)| format!("{key:<width$}  {value}")),
        );
    }
    Ok(Exit::Ok)
}

/// A JSON value as `key  value` lines, members below members joined by dots.
fn flat(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                flat(&below(key), value, lines);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                flat(&below(&index.to_string()), value, lines);
            }
        }
        Value::String(text) => lines.push((path.to_owned(), text.clone())),
        Value::Null => lines.push((path.to_owned(), "not known".to_owned())),
        Value::Bool(_) | Value::Number(_) => lines.push((path.to_owned(), value.to_string())),
    }
}

fn word(seal: Seal) -> &'static str {
    match seal {
        Seal::Intact => "intact",
        Seal::Broken => "broken",
        Seal::CannotTell => "cannot tell",
    }
}

fn texts(texts: &[Clean]) -> Vec<&str> {
    texts.iter().map(Clean::as_str).collect()
}

fn verdict(report: &Report, ledger: &Path, as_json: bool, out: &mut Out) -> Exit {
    let exit = match report.seal() {
        Seal::Intact => Exit::Ok,
        Seal::Broken => Exit::NoGo,
        Seal::CannotTell => Exit::NotProven,
    };
    let word = word(report.seal());
    // What is broken is nothing to compare with later.
    let kept = report.last.as_ref().filter(|_| exit != Exit::NoGo);
    let last = kept.map(|last| format!("{}:{}", last.seq, last.hash));
    if as_json {
        out.json(&json!({
            "schema": SCHEMA,
            "code": exit.code(),
            "word": exit.word(),
            "seal": word,
            "ledger": ledger.to_string_lossy(),
            "lines": report.lines,
            "checkpoint": last,
            "problems": texts(&report.problems),
            "doubts": texts(&report.doubts),
            "remarks": texts(&report.remarks),
        }));
        return exit;
    }
    out.line(format!(
        "{word}: {} in {}",
        counted(report.lines, "line", "lines"),
        ledger.display()
    ));
    out.lines(
        report
            .problems
            .iter()
            .map(|problem| format!("  ✗ {problem}")),
    );
    out.lines(report.doubts.iter().map(|doubt| format!("  ? {doubt}")));
    out.lines(report.remarks.iter().map(|remark| format!("  – {remark}")));
    if let Some(last) = last {
        out.line(format!("  checkpoint to keep elsewhere: {last}"));
    }
    exit
}
