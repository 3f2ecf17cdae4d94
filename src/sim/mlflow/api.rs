//! Who asks MLflow for what: host check, credentials, routes, parameters.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::sim::{
    http::{Reply, Request, Site},
    mlflow::{
        problem::{json_reply, no_route, required, wrong_method, wrong_type},
        read,
        store::{Account, Registry},
        write,
    },
};

/// Version this server says it is.
const VERSION: &str = "3.17.2";

/// The server.
#[derive(Clone)]
pub(crate) struct MlFlow {
    registry: Arc<Mutex<Registry>>,
}

impl MlFlow {
    /// A server over a registry.
    pub(crate) fn new(registry: Arc<Mutex<Registry>>) -> Self {
        Self { registry }
    }
}

/// The parameters of a call: the query of a GET, the JSON body of anything else.
pub(crate) struct Args {
    fields: Value,
    from_query: bool,
}

impl Args {
    fn of(request: &Request) -> Self {
        if request.method == "GET" {
            let fields = request
                .query
                .iter()
                .map(|(key, value)| (key.clone(), json!(value)))
                .collect();
            return Self {
                fields: Value::Object(fields),
                from_query: true,
            };
        }
        // A body that is no JSON counts as no parameters.
        Self {
            fields: request.json(),
            from_query: false,
        }
    }

    /// A text; `Err` when it has another type.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Reply> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(wrong_type(name, &other.to_string(), python_type(other))),
        }
    }

    /// A text that must be given.
    pub(crate) fn needed(&self, name: &str) -> Result<String, Reply> {
        self.text(name)?.ok_or_else(|| required(name))
    }

    /// A count, 0 if it is absent.
    pub(crate) fn count(&self, name: &str, most: usize) -> Result<usize, Reply> {
        let value = match self.fields.get(name) {
            None | Some(Value::Null) => return Ok(0),
            Some(Value::String(text)) if self.from_query => text.parse().ok(),
            Some(value) => value.as_u64(),
        };
        value
            .and_then(|number: u64| usize::try_from(number).ok())
            .filter(|number| *number <= most)
            .ok_or_else(|| {
                let value = self.fields.get(name).cloned().unwrap_or_default();
                wrong_type(name, &value.to_string(), python_type(&value))
            })
    }

    /// A list of texts, empty if it is absent.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, Reply> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect()),
            Some(Value::String(text)) if self.from_query => Ok(vec![text.clone()]),
            Some(other) => Err(wrong_type(name, &other.to_string(), python_type(other))),
        }
    }

    /// Any value.
    pub(crate) fn raw(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }
}

/// What Python calls a JSON value's type.
fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

impl Site for MlFlow {
    fn answer(&self, request: &Request) -> Reply {
        self.routed(request)
            .with("x-content-type-options", "nosniff")
            .with("x-frame-options", "SAMEORIGIN")
            .with("vary", "Origin")
    }
}

impl MlFlow {
    fn routed(&self, request: &Request) -> Reply {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        if segments.as_slice() == ["health"] {
            return Reply::typed(200, "text/plain; charset=utf-8", "OK");
        }
        if !local_host(request.header("host").unwrap_or_default()) {
            let text = "Invalid Host header - possible DNS rebinding attack detected";
            return Reply::typed(403, "text/plain", text);
        }
        let changes = request.method != "GET";
        if changes
            && request
                .header("origin")
                .is_some_and(|origin| origin != request.origin())
        {
            return Reply::typed(403, "text/plain", "Cross-origin request blocked");
        }
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(account) = caller(&registry, request) else {
            let text = "You are not authenticated. Please see \
                        https://www.mlflow.org/docs/latest/auth/index.html#authenticating-to-mlflow \
                        on how to authenticate.";
            return Reply::typed(401, "text/html; charset=utf-8", text)
                .with("www-authenticate", "Basic realm=\"mlflow\"");
        };
        if segments.as_slice() == ["version"] {
            return Reply::typed(200, "text/html; charset=utf-8", VERSION);
        }
        let args = Args::of(request);
        let (version, path) = match segments.as_slice() {
            ["api" | "ajax-api", version, "mlflow", rest @ ..] => (*version, rest),
            _ => return no_route(),
        };
        match (version, path) {
            ("3.0", ["server-info"]) => json_reply(
                200,
                &json!({
                    "store_type": "SqlStore", "workspaces_enabled": false,
                    "trace_archival_enabled": false, "multipart_uploads_enabled": false,
                    "multipart_downloads_enabled": false, "presigned_upload_run_id_supported": true,
                    "presigned_upload_model_id_supported": true,
                    "features_enabled": {"gateway": true},
                }),
            ),
            ("3.0", ["users", "current", "permissions"]) => json_reply(
                200,
                &json!({"is_admin": account.may_write, "permissions": []}),
            ),
            ("2.0", ["users", "current"]) => json_reply(
                200,
                &json!({
                    "is_basic_auth": true,
                    "user": {"id": 1, "is_admin": account.may_write, "username": account.login},
                }),
            ),
            ("2.0", path) => method_routed(&mut registry, &account, request, path, &args),
            _ => no_route(),
        }
    }
}

fn method_routed(
    registry: &mut Registry,
    account: &Account,
    request: &Request,
    path: &[&str],
    args: &Args,
) -> Reply {
    let path = path.join("/");
    let method = request.method.as_str();
    let Some(allowed) = methods(&path) else {
        return no_route();
    };
    if !allowed.contains(&method) {
        return wrong_method(&allowed.join(", "));
    }
    let looks = method == "GET"
        || path.ends_with("/search")
        || path.ends_with("-latest-versions")
        || path == "experiments/search-datasets";
    let answer = if looks {
        read::answer(registry, &path, args)
    } else if account.may_write {
        let answer = write::answer(registry, &path, method, args, request.now);
        if answer.is_ok() {
            let body = String::from_utf8_lossy(&request.body);
            registry
                .acts
                .push(format!("{} {method} {path} {body}", account.login));
        }
        answer
    } else {
        return Reply::typed(403, "text/html; charset=utf-8", "Permission denied");
    };
    match answer {
        Ok(body) => json_reply(200, &body),
        Err(reply) => reply,
    }
}

/// The methods a path is served for.
fn methods(path: &str) -> Option<&'static [&'static str]> {
    let methods: &[&str] = match path {
        "experiments/search"
        | "runs/search"
        | "runs/set-tag"
        | "model-versions/set-tag"
        | "registered-models/set-tag"
        | "logged-models/search"
        | "experiments/search-datasets" => &["POST"],
        "experiments/get"
        | "experiments/get-by-name"
        | "runs/get"
        | "metrics/get-history"
        | "registered-models/get"
        | "registered-models/search"
        | "model-versions/get"
        | "model-versions/search"
        | "model-versions/get-download-uri"
        | "artifacts/list" => &["GET"],
        "registered-models/get-latest-versions" => &["GET", "POST"],
        "registered-models/alias" => &["GET", "POST", "DELETE"],
        "model-versions/delete-tag" => &["DELETE"],
        "model-versions/update" | "registered-models/update" => &["PATCH"],
        other if other.starts_with("logged-models/") => &["GET"],
        _ => return None,
    };
    Some(methods)
}

fn caller(registry: &Registry, request: &Request) -> Option<Account> {
    let token = request.credential()?;
    registry
        .accounts
        .iter()
        .find(|account| account.token == token)
        .cloned()
}

/// Whether a Host header names this machine or a private network.
fn local_host(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let private = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
        std::net::IpAddr::V6(v6) => v6.is_loopback(),
    };
    name == "localhost" || name.trim_matches(['[', ']']).parse().is_ok_and(private)
}
