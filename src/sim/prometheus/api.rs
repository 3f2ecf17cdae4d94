//! The HTTP API, version 1, as Prometheus 2.42 answers it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value as Json, json};

use crate::sim::{
    http::{Reply, Request, Site, form_pairs},
    prometheus::{
        answers::{
            bad_param, located, matrix_entry, names, parsed, plain, refused, reply, rfc3339, time,
            values_of, what,
        },
        ast::{Expr, Selector},
        database::Database,
        eval::evaluate,
        exposition,
        lex::duration,
        parse::parse,
        select::Context,
        value::{Labels, Problem, Sample, Value, millis, number, seconds},
    },
};

/// Most points of one series in a range query.
const MOST_POINTS: i64 = 11_000;

/// The server.
#[derive(Clone)]
pub(crate) struct Prometheus {
    database: Arc<Mutex<Database>>,
    /// What the `instance` label says.
    pub(crate) instance: String,
    /// Credentials that are good; a request without any is let in, as a bare
    /// Prometheus lets everyone in.
    tokens: Vec<String>,
    pub(crate) started: i64,
}

impl Prometheus {
    /// A server over a database.
    pub(crate) fn new(
        database: Arc<Mutex<Database>>,
        instance: String,
        tokens: Vec<String>,
        started: i64,
    ) -> Self {
        Self {
            database,
            instance,
            tokens,
            started,
        }
    }

    pub(crate) fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evaluates a query for an analysis, with ranges divided by `speed`.
    ///
    /// # Errors
    /// The sentence the API would answer.
    pub(crate) fn values(&self, query: &str, speed: f64, at: i64) -> Result<Vec<f64>, String> {
        let expr = parse(query)
            .map_err(|error| located(query, &error))?
            .quickened(speed);
        let database = self.database();
        let context = Context::new(&database, &self.instance);
        match evaluate(&context, &expr, at) {
            Ok(Value::Scalar(number)) => Ok(vec![number]),
            Ok(Value::Vector(samples)) => Ok(samples.iter().map(|sample| sample.value).collect()),
            Ok(Value::Text(_) | Value::Matrix(_)) => Err("the query gives no number".to_owned()),
            Err(Problem::BadData(why) | Problem::Execution(why)) => Err(why),
        }
    }
}

/// Parameters of the query and of a form body.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    fn of(request: &Request) -> Self {
        let mut pairs = request.query.clone();
        if request.method == "POST" {
            pairs.extend(form_pairs(&request.body));
        }
        Self(pairs)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

impl Site for Prometheus {
    fn answer(&self, request: &Request) -> Reply {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let now = request.now.timestamp_millis();
        match segments.as_slice() {
            ["-", "ready"] => return plain(200, "Prometheus Server is Ready.\n"),
            ["-", "healthy"] => return plain(200, "Prometheus Server is Healthy.\n"),
            ["metrics"] => {
                let text = exposition::text(&self.database(), now);
                return Reply::typed(200, "text/plain; version=0.0.4; charset=utf-8", text);
            }
            _ => (),
        }
        if request.header("authorization").is_some() {
            let known = request
                .credential()
                .is_some_and(|token| self.tokens.contains(&token));
            if !known {
                return plain(401, "Unauthorized\n")
                    .with("www-authenticate", "Bearer realm=\"prometheus\"");
            }
        }
        let params = Params::of(request);
        let result = match segments.as_slice() {
            ["api", "v1", "query"] => self.query(&params, now),
            ["api", "v1", "query_range"] => self.query_range(&params),
            ["api", "v1", "labels"] => self.series(&params, now).map(|all| names(&all)),
            ["api", "v1", "label", name, "values"] => {
                self.series(&params, now).map(|all| values_of(&all, name))
            }
            ["api", "v1", "series"] if params.get("match[]").is_none() => {
                Err(Problem::BadData("no match[] parameter provided".to_owned()))
            }
            ["api", "v1", "series"] => self.series(&params, now).map(|all| json!(all)),
            ["api", "v1", "metadata"] => Ok(self.metadata(&params, now)),
            ["api", "v1", "targets"] => Ok(self.targets(&request.origin())),
            ["api", "v1", "rules"] => Ok(json!({"groups": []})),
            ["api", "v1", "alerts"] => Ok(json!({"alerts": []})),
            ["api", "v1", "alertmanagers"] => {
                Ok(json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}))
            }
            ["api", "v1", "query_exemplars"] => Ok(json!([])),
            ["api", "v1", "status", "buildinfo"] => Ok(json!({
                "version": "2.42.0", "revision": "demo", "branch": "demo",
                "buildUser": "demo", "buildDate": "20230201-00:00:00", "goVersion": "go1.19.5",
            })),
            ["api", "v1", "status", "runtimeinfo"] => Ok(json!({
                "startTime": rfc3339(self.started), "CWD": "/", "reloadConfigSuccess": true,
                "lastConfigTime": rfc3339(self.started), "corruptionCount": 0,
                "goroutineCount": 1, "GOMAXPROCS": 1, "GOGC": "", "GODEBUG": "",
                "storageRetention": "15d",
            })),
            _ => {
                return plain(404, "404 page not found\n")
                    .with("x-content-type-options", "nosniff");
            }
        };
        match result {
            Ok(data) => reply(200, &json!({"status": "success", "data": data})),
            Err(Problem::BadData(why)) => refused(400, "bad_data", &why),
            Err(Problem::Execution(why)) => refused(422, "execution", &why),
        }
    }
}

impl Prometheus {
    fn query(&self, params: &Params, now: i64) -> Result<Json, Problem> {
        let at = time(params, "time")?.unwrap_or(now);
        let text = params.get("query").unwrap_or_default();
        let expr = parsed(text)?;
        let database = self.database();
        let context = Context::new(&database, &self.instance);
        let stamp = seconds(at);
        Ok(match evaluate(&context, &expr, at)? {
            Value::Scalar(value) => {
                json!({"resultType": "scalar", "result": [stamp, number(value)]})
            }
            Value::Text(text) => json!({"resultType": "string", "result": [stamp, text]}),
            Value::Vector(samples) => {
                let result: Vec<Json> = samples
                    .iter()
                    .map(|sample| {
                        json!({"metric": sample.labels, "value": [stamp, number(sample.value)]})
                    })
                    .collect();
                json!({"resultType": "vector", "result": result})
            }
            Value::Matrix(series) => {
                let result: Vec<Json> = series
                    .iter()
                    .map(|series| matrix_entry(&series.labels, &series.points))
                    .collect();
                json!({"resultType": "matrix", "result": result})
            }
        })
    }

    fn query_range(&self, params: &Params) -> Result<Json, Problem> {
        let needed = |name: &str| {
            let missing = || {
                bad_param(
                    name,
                    &format!("cannot parse \"\" to a valid {}", what(name)),
                )
            };
            time(params, name)?.ok_or_else(missing)
        };
        let (start, end) = (needed("start")?, needed("end")?);
        if end < start {
            return Err(bad_param(
                "end",
                "end timestamp must not be before start time",
            ));
        }
        let written = params.get("step").unwrap_or_default();
        let step = written
            .parse::<f64>()
            .ok()
            .map(millis)
            .or_else(|| duration(written))
            .ok_or_else(|| {
                bad_param(
                    "step",
                    &format!("cannot parse \"{written}\" to a valid duration"),
                )
            })?;
        if step <= 0 {
            let why = "zero or negative query resolution step widths are not accepted. Try a \
                       positive integer";
            return Err(bad_param("step", why));
        }
        if (end - start) / step > MOST_POINTS {
            return Err(Problem::BadData(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the \
                 query resolution (?step=XX)"
                    .to_owned(),
            ));
        }
        let expr = parsed(params.get("query").unwrap_or_default())?;
        if matches!(expr, Expr::Range(..) | Expr::Text(_)) {
            let kind = if matches!(expr, Expr::Text(_)) {
                "string"
            } else {
                "range vector"
            };
            return Err(bad_param(
                "query",
                &format!(
                    "invalid expression type \"{kind}\" for range query, must be Scalar or \
                     instant Vector"
                ),
            ));
        }
        let database = self.database();
        let context = Context::new(&database, &self.instance);
        let mut rows: Vec<(Labels, Vec<(i64, f64)>)> = Vec::new();
        let mut at = start;
        while at <= end {
            let samples = match evaluate(&context, &expr, at)? {
                Value::Scalar(value) => {
                    vec![Sample {
                        labels: Labels::new(),
                        value,
                        scraped: at,
                    }]
                }
                Value::Vector(samples) => samples,
                Value::Text(_) | Value::Matrix(_) => Vec::new(),
            };
            for sample in samples {
                match rows.iter_mut().find(|(labels, _)| *labels == sample.labels) {
                    Some((_, points)) => points.push((at, sample.value)),
                    None => rows.push((sample.labels, vec![(at, sample.value)])),
                }
            }
            at += step;
        }
        rows.sort_by(|one, other| one.0.cmp(&other.0));
        let result: Vec<Json> = rows
            .iter()
            .map(|(labels, points)| matrix_entry(labels, points))
            .collect();
        Ok(json!({"resultType": "matrix", "result": result}))
    }

    fn series(&self, params: &Params, now: i64) -> Result<Vec<Labels>, Problem> {
        let mut selectors: Vec<Selector> = Vec::new();
        for text in params.all("match[]") {
            match parse(text) {
                Ok(Expr::Selector(selector)) => selectors.push(selector),
                Ok(_) => return Err(bad_param("match[]", "is not a series selector")),
                Err(error) => return Err(bad_param("match[]", &located(text, &error))),
            }
        }
        let since = time(params, "start")?.unwrap_or(now - 3_600_000 * 12);
        let database = self.database();
        let context = Context::new(&database, &self.instance);
        Ok(context.labels(&selectors, since))
    }
}
