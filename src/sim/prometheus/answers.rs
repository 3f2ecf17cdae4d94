//! The forms of the API's answers, its parameters, and what it says about itself.

use chrono::DateTime;
use serde_json::{Value as Json, json};

use crate::sim::{
    http::Reply,
    prometheus::{
        api::{Params, Prometheus},
        ast::Expr,
        exposition,
        lex::ParseError,
        parse::parse,
        value::{Labels, Problem, millis, number, seconds},
    },
};

impl Prometheus {
    pub(crate) fn metadata(&self, params: &Params, now: i64) -> Json {
        let text = exposition::text(&self.database(), now);
        let mut families = serde_json::Map::new();
        for line in text.lines() {
            let mut words = line.strip_prefix("# TYPE ").unwrap_or_default().split(' ');
            if let (Some(name), Some(kind)) = (words.next(), words.next())
                && params.get("metric").is_none_or(|wanted| wanted == name)
            {
                families.insert(
                    name.to_owned(),
                    json!([{"type": kind, "help": "", "unit": ""}]),
                );
            }
        }
        Json::Object(families)
    }

    pub(crate) fn targets(&self, origin: &str) -> Json {
        let database = self.database();
        let interval = format!("{}ms", database.interval);
        let active: Vec<Json> = database
            .scrapes
            .iter()
            .map(|scrapes| {
                let (at, up) = scrapes.up.back().copied().unwrap_or((self.started, false));
                let url = format!("{origin}/metrics");
                json!({
                    "discoveredLabels": {"__address__": self.instance, "__metrics_path__": "/metrics",
                                         "__scheme__": "http", "job": "models"},
                    "labels": {"instance": self.instance, "job": "models",
                               "target": scrapes.target},
                    "scrapePool": "models",
                    "scrapeUrl": url,
                    "globalUrl": url,
                    "lastError": if up { "" } else { "connection refused" },
                    "lastScrape": rfc3339(at),
                    "lastScrapeDuration": 0.004,
                    "health": if up { "up" } else { "down" },
                    "scrapeInterval": interval,
                    "scrapeTimeout": interval,
                })
            })
            .collect();
        json!({"activeTargets": active, "droppedTargets": []})
    }
}

pub(crate) fn plain(status: u16, text: &'static str) -> Reply {
    Reply::typed(status, "text/plain; charset=utf-8", text)
}

pub(crate) fn reply(status: u16, body: &Json) -> Reply {
    Reply::typed(status, "application/json", body.to_string())
}

pub(crate) fn refused(status: u16, kind: &str, why: &str) -> Reply {
    reply(
        status,
        &json!({"status": "error", "errorType": kind, "error": why}),
    )
}

pub(crate) fn bad_param(name: &str, why: &str) -> Problem {
    Problem::BadData(format!("invalid parameter \"{name}\": {why}"))
}

pub(crate) fn parsed(query: &str) -> Result<Expr, Problem> {
    parse(query).map_err(|error| bad_param("query", &located(query, &error)))
}

/// A parse error with line and column, as the real server writes it.
pub(crate) fn located(query: &str, error: &ParseError) -> String {
    let before = query.get(..error.at).unwrap_or(query);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().len() + 1;
    format!("{line}:{column}: parse error: {}", error.why)
}

pub(crate) fn what(name: &str) -> &'static str {
    if name == "step" {
        "duration"
    } else {
        "timestamp"
    }
}

/// A moment given as seconds or RFC 3339.
pub(crate) fn time(params: &Params, name: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = params.get(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if let Ok(number) = text.parse::<f64>() {
        return Ok(Some(millis(number)));
    }
    DateTime::parse_from_rfc3339(text)
        .map(|at| Some(at.timestamp_millis()))
        .map_err(|_| {
            let why = if name == "time" {
                format!(
                    "Invalid time value for 'time': cannot parse \"{text}\" to a valid timestamp"
                )
            } else {
                format!("cannot parse \"{text}\" to a valid timestamp")
            };
            bad_param(name, &why)
        })
}

pub(crate) fn matrix_entry(labels: &Labels, points: &[(i64, f64)]) -> Json {
    let values: Vec<Json> = points
        .iter()
        .map(|(at, value)| json!([seconds(*at), number(*value)]))
        .collect();
    json!({"metric": labels, "values": values})
}

pub(crate) fn names(all: &[Labels]) -> Json {
    let mut names: Vec<&String> = all.iter().flat_map(|labels| labels.keys()).collect();
    names.sort();
    names.dedup();
    json!(names)
}

pub(crate) fn values_of(all: &[Labels], name: &str) -> Json {
    let mut values: Vec<&String> = all.iter().filter_map(|labels| labels.get(name)).collect();
    values.sort();
    values.dedup();
    json!(values)
}

pub(crate) fn rfc3339(at: i64) -> String {
    DateTime::from_timestamp_millis(at)
        .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
        .unwrap_or_default()
}
