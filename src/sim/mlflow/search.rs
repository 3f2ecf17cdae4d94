//! Searching: filters, orders and pages.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use crate::sim::{
    http::{Reply, base64_decoded, base64_encoded},
    mlflow::{
        api::Args,
        filter::{self, Clause},
        problem::invalid,
        shape,
        store::{Model, Registry, Run, Version},
    },
};

/// A body, or the refusal to send instead.
pub(crate) type Answer = Result<Value, Reply>;

pub(crate) fn experiments(registry: &Registry, args: &Args) -> Answer {
    let most = args.count("max_results", 50_000)?;
    if most == 0 {
        return Err(invalid(
            "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer",
        ));
    }
    let clauses = clauses(args, "filter")?;
    let mut found: Vec<_> = registry
        .experiments
        .iter()
        .filter(|experiment| {
            clauses.iter().all(|clause| match clause.key.as_str() {
                "name" => clause.holds_text(Some(&experiment.name)),
                _ => true,
            })
        })
        .collect();
    found.reverse();
    let shapes = found.into_iter().map(shape::experiment).collect();
    paged("experiments", shapes, args, most)
}

pub(crate) fn runs(registry: &Registry, args: &Args) -> Answer {
    let experiments = args.texts("experiment_ids")?;
    let most = args.count("max_results", 50_000)?;
    let clauses = clauses(args, "filter")?;
    let mut found: Vec<&Run> = registry
        .runs
        .iter()
        .rev()
        .filter(|run| experiments.contains(&run.experiment))
        .filter(|run| clauses.iter().all(|clause| run_meets(run, clause)))
        .collect();
    for order in args.texts("order_by")?.iter().rev() {
        let (key, descending) = order_of(order);
        found.sort_by(|one, other| {
            let order = compare_runs(one, other, &key);
            if descending { order.reverse() } else { order }
        });
    }
    let shapes = found.into_iter().map(shape::run).collect();
    paged("runs", shapes, args, if most == 0 { 1000 } else { most })
}

fn run_meets(run: &Run, clause: &Clause) -> bool {
    let metric = |key: &str| {
        run.metrics
            .iter()
            .rev()
            .find(|metric| metric.key == key)
            .map(|metric| metric.value)
    };
    match clause.family.as_str() {
        "metrics" => clause.holds_number(metric(&clause.key)),
        "params" => clause.holds_text(run.params.get(&clause.key).map(String::as_str)),
        "tags" => clause.holds_text(run.tags.get(&clause.key).map(String::as_str)),
        "dataset" => run.datasets.iter().any(|dataset| {
            clause.holds_text(match clause.key.as_str() {
                "name" => Some(&dataset.name),
                "digest" => Some(&dataset.digest),
                "context" => Some(&dataset.context),
                _ => None,
            })
        }),
        _ => match clause.key.as_str() {
            "status" => clause.holds_text(Some(run.status)),
            "run_id" => clause.holds_text(Some(&run.id)),
            "run_name" => clause.holds_text(Some(&run.name)),
            "user_id" => clause.holds_text(Some(&run.user)),
            "start_time" => clause.holds_number(Some(millis(run.start))),
            "end_time" => clause.holds_number(run.end.map(millis)),
            _ => false,
        },
    }
}

fn millis(stamp: i64) -> f64 {
    std::time::Duration::from_millis(stamp.unsigned_abs()).as_secs_f64() * 1000.0
}

fn order_of(order: &str) -> (String, bool) {
    let mut words = order.split_whitespace();
    let key = words.next().unwrap_or_default().to_owned();
    (
        key,
        words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("desc")),
    )
}

fn compare_runs(one: &Run, other: &Run, key: &str) -> Ordering {
    if let Some(metric) = key.strip_prefix("metrics.") {
        let value = |run: &Run| {
            let metric = metric.trim_matches('`');
            run.metrics
                .iter()
                .find(|logged| logged.key == metric)
                .map(|logged| logged.value)
        };
        return value(one)
            .partial_cmp(&value(other))
            .unwrap_or(Ordering::Equal);
    }
    match key.rsplit('.').next().unwrap_or(key) {
        "end_time" => one.end.cmp(&other.end),
        "run_name" => one.name.cmp(&other.name),
        _ => one.start.cmp(&other.start),
    }
}

pub(crate) fn models(registry: &Registry, args: &Args) -> Answer {
    let clauses = clauses(args, "filter")?;
    let shapes = registry
        .models
        .iter()
        .filter(|model| {
            clauses.iter().all(|clause| match clause.family.as_str() {
                "tags" => clause.holds_tag(&model.tags),
                _ => clause.key == "name" && clause.holds_text(Some(&model.name)),
            })
        })
        .map(shape::model)
        .collect();
    let most = args.count("max_results", 1000)?;
    paged(
        "registered_models",
        shapes,
        args,
        if most == 0 { 100 } else { most },
    )
}

pub(crate) fn versions(registry: &Registry, args: &Args) -> Answer {
    let clauses = clauses(args, "filter")?;
    for clause in &clauses {
        let known = clause.family == "tags"
            || ["name", "version_number", "run_id", "source_path"].contains(&clause.key.as_str());
        if !known {
            let written = args.text("filter")?.unwrap_or_default();
            return Err(invalid(format!(
                "Invalid clause(s) in filter string: {}",
                spaced(&written)
            )));
        }
    }
    let mut found: Vec<(&Model, &Version)> = registry
        .models
        .iter()
        .flat_map(|model| {
            model
                .versions
                .iter()
                .rev()
                .map(move |version| (model, version))
        })
        .filter(|(model, version)| {
            clauses
                .iter()
                .all(|clause| version_meets(model, version, clause))
        })
        .collect();
    for order in args.texts("order_by")? {
        let (key, descending) = order_of(&order);
        found.sort_by(|(_, one), (_, other)| {
            let order = match key.as_str() {
                "creation_timestamp" => one.created.cmp(&other.created),
                "last_updated_timestamp" => one.updated.cmp(&other.updated),
                _ => one.number.cmp(&other.number),
            };
            if descending { order.reverse() } else { order }
        });
    }
    let shapes = found
        .into_iter()
        .map(|(model, version)| shape::version(model, version, false))
        .collect();
    let most = args.count("max_results", 200_000)?;
    paged(
        "model_versions",
        shapes,
        args,
        if most == 0 { 10_000 } else { most },
    )
}

/// A clause as the error shows it: its words with commas between.
fn spaced(clause: &str) -> String {
    let words = ["!=", ">=", "<=", "=", ">", "<"].iter().find_map(|sign| {
        clause
            .split_once(sign)
            .map(|(key, value)| (key, *sign, value))
    });
    words.map_or_else(
        || clause.to_owned(),
        |(key, sign, value)| format!("{}, {sign}, {}", key.trim(), value.trim()),
    )
}

fn version_meets(model: &Model, version: &Version, clause: &Clause) -> bool {
    if clause.family == "tags" {
        return clause.holds_tag(&version.tags);
    }
    match clause.key.as_str() {
        "name" => clause.holds_text(Some(&model.name)),
        "version_number" => clause.holds_number(Some(f64::from(version.number))),
        "run_id" => clause.holds_text(Some(&version.run)),
        _ => clause.holds_text(Some(&version.source)),
    }
}

pub(crate) fn logged_models(registry: &Registry, args: &Args) -> Answer {
    let experiments = args.texts("experiment_ids")?;
    let clauses = clauses(args, "filter")?;
    // A dataset counts only with name and digest; the name alone matches nothing.
    let datasets: Vec<(Option<&str>, Option<&str>)> = args
        .raw("datasets")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|wanted| {
            let field = |name| wanted.get(name).and_then(Value::as_str);
            (field("dataset_name"), field("dataset_digest"))
        })
        .collect();
    let evaluated_on = |run: &&Run| {
        datasets.is_empty()
            || run.datasets.iter().any(|dataset| {
                datasets
                    .iter()
                    .any(|(n, d)| *n == Some(&dataset.name) && *d == Some(&dataset.digest))
            })
    };
    let shapes = registry
        .runs
        .iter()
        .rev()
        .filter(|run| experiments.contains(&run.experiment))
        .filter(|run| clauses.iter().all(|clause| run_meets(run, clause)))
        .filter(evaluated_on)
        .filter_map(|run| shape::logged_model(registry, run))
        .collect();
    let most = args.count("max_results", 1000)?;
    paged("models", shapes, args, if most == 0 { 100 } else { most })
}

fn clauses(args: &Args, name: &str) -> Result<Vec<Clause>, Reply> {
    let written = match args.text(name)? {
        Some(written) => written,
        None => args.text("filter_string")?.unwrap_or_default(),
    };
    filter::parse(&written).map_err(invalid)
}

/// One page of a list; the token of the next is opaque to clients.
pub(crate) fn paged(name: &str, shapes: Vec<Value>, args: &Args, most: usize) -> Answer {
    let offset = match args.text("page_token")? {
        None => 0,
        Some(token) => base64_decoded(&token)
            .and_then(|text| serde_json::from_str::<Value>(&text).ok())
            .and_then(|token| token.get("offset")?.as_u64())
            .and_then(|offset| usize::try_from(offset).ok())
            .ok_or_else(|| invalid("Invalid page token, could not base64-decode"))?,
    };
    let more = shapes.len() > offset + most;
    let token =
        more.then(|| base64_encoded(format!("{{\"offset\": {}}}", offset + most).as_bytes()));
    Ok(list(
        name,
        shapes.into_iter().skip(offset).take(most).collect(),
        token,
    ))
}

pub(crate) fn list(name: &str, shapes: Vec<Value>, token: Option<String>) -> Value {
    let mut body = Map::new();
    if !shapes.is_empty() {
        body.insert(name.to_owned(), Value::Array(shapes));
    }
    if let Some(token) = token {
        body.insert("next_page_token".to_owned(), json!(token));
    }
    Value::Object(body)
}
