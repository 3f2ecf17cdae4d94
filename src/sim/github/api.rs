//! What stands before every GitHub endpoint: who asks, how much they may still
//! ask, and whether they already have the answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::sim::{
    github::{act, budget::Budgets, logs::LogStore, model::Hub, read, shape::Shaper},
    http::{Reply, Request, Site},
};

/// REST versions this server knows.
const VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];

/// The server.
#[derive(Clone)]
pub(crate) struct GitHub {
    hub: Arc<Mutex<Hub>>,
    budgets: Arc<Mutex<Budgets>>,
    logs: LogStore,
    /// Rung when an act changed when things next happen.
    changed: Arc<Notify>,
}

/// The caller and the request, for endpoints.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    pub(crate) login: &'a str,
    pub(crate) api: String,
    pub(crate) web: String,
    pub(crate) logs: &'a LogStore,
}

impl Call<'_> {
    /// A shaper over the given state.
    pub(crate) fn shaper<'a>(&'a self, hub: &'a Hub) -> Shaper<'a> {
        Shaper {
            hub,
            api: &self.api,
            web: &self.web,
            now: self.request.now,
        }
    }
}

impl GitHub {
    /// A server over a state; `changed` is rung when an act needs the script's attention.
    pub(crate) fn new(hub: Arc<Mutex<Hub>>, logs: LogStore, changed: Arc<Notify>) -> Self {
        Self {
            hub,
            budgets: Arc::default(),
            logs,
            changed,
        }
    }

    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn budgets(&self) -> MutexGuard<'_, Budgets> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The login behind the request's token.
    fn caller(&self, request: &Request) -> Option<String> {
        let token = request.credential()?;
        let hub = self.hub();
        hub.people
            .iter()
            .find(|person| person.token.as_deref() == Some(token.as_str()))
            .map(|person| person.login.clone())
    }

    fn routed(&self, request: &Request, login: &str) -> Reply {
        let mut segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let mut api = request.origin();
        if let ["api", "v3", ..] = segments.as_slice() {
            segments.drain(..2);
            api.push_str("/api/v3");
        }
        let call = Call {
            request,
            login,
            api,
            web: request.origin(),
            logs: &self.logs,
        };
        let mut hub = self.hub();
        match request.method.as_str() {
            "GET" | "HEAD" if segments.as_slice() == ["rate_limit"] => {
                Reply::json(200, &self.budgets().overview(login, request.now))
            }
            "GET" | "HEAD" => read::answer(&hub, &call, &segments),
            _ => {
                let reply = act::answer(&mut hub, &call, &segments);
                self.changed.notify_one();
                reply
            }
        }
    }
}

impl Site for GitHub {
    fn answer(&self, request: &Request) -> Reply {
        if request.header("user-agent").is_none() {
            let text = "Request forbidden by administrative rules. Please make sure your request \
                        has a User-Agent header";
            return Reply::typed(403, "text/html; charset=utf-8", text);
        }
        if let Some(page) = web_page(request) {
            return page;
        }
        if let Some(version) = request.header("x-github-api-version")
            && !VERSIONS.contains(&version)
        {
            return problem(410, &format!("API version {version} is not supported"));
        }
        let Some(login) = self.caller(request) else {
            let named = request.header("authorization").is_some();
            return problem(
                401,
                if named {
                    "Bad credentials"
                } else {
                    "Requires authentication"
                },
            );
        };
        let free = request.segments.last().map(String::as_str) == Some("rate_limit");
        if !free && self.budgets().exhausted(&login, request.now) {
            let reply = problem(403, &format!("API rate limit exceeded for user {login}."));
            return self.budgets().stamp(reply, &login, request.now);
        }
        let reply = with_etag(self.routed(request, &login));
        let unchanged = reply.status == 200 && has_already(request, &reply);
        if !unchanged && !free {
            self.budgets().spend(&login, request.now);
        }
        let reply = if unchanged {
            Reply {
                status: 304,
                body: Bytes::new(),
                ..reply
            }
        } else {
            reply
        };
        let version = request
            .header("x-github-api-version")
            .unwrap_or("2022-11-28")
            .to_owned();
        self.budgets()
            .stamp(reply, &login, request.now)
            .with("x-github-api-version-selected", version)
            .with("x-github-media-type", "github.v3; format=json")
            .with(
                "x-github-request-id",
                crate::sim::digest::short(&request.path, 24),
            )
            .with(
                "vary",
                "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding",
            )
    }
}

/// An error as GitHub writes it.
pub(crate) fn problem(status: u16, message: &str) -> Reply {
    let body = json!({
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.to_string(),
    });
    Reply::json(status, &body)
}

/// What GitHub says to whoever may not know whether a thing exists.
pub(crate) fn not_found() -> Reply {
    problem(404, "Not Found")
}

/// A page of a list, with its links.
///
/// `wrap` names the field a list is wrapped in beside `total_count`; without it
/// the answer is the bare array.
pub(crate) fn page(call: &Call<'_>, items: Vec<Value>, wrap: Option<&str>) -> Reply {
    let number = |name: &str, usual: usize| {
        call.request
            .param(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(usual)
    };
    let per_page = number("per_page", 30).clamp(1, 100);
    let page = number("page", 1).max(1);
    let total = items.len();
    let pages = total.div_ceil(per_page).max(1);
    let shown: Vec<Value> = items
        .into_iter()
        .skip((page - 1) * per_page)
        .take(per_page)
        .collect();
    let body = match wrap {
        Some(name) => json!({"total_count": total, name: shown}),
        None => Value::Array(shown),
    };
    let link = |target: usize, relation: &str| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in call.request.query.iter().filter(|(key, _)| key != "page") {
            query.append_pair(key, value);
        }
        query.append_pair("page", &target.to_string());
        format!(
            "<{}{}?{}>; rel=\"{relation}\"",
            call.web,
            call.request.path,
            query.finish()
        )
    };
    let mut links = Vec::new();
    if page > 1 {
        links.push(link(page - 1, "prev"));
    }
    if page < pages {
        links.push(link(page + 1, "next"));
        links.push(link(pages, "last"));
    }
    if page > 1 {
        links.push(link(1, "first"));
    }
    let reply = Reply::json(200, &body);
    if links.is_empty() {
        reply
    } else {
        reply.with("link", links.join(", "))
    }
}

fn with_etag(reply: Reply) -> Reply {
    if reply.status != 200 {
        return reply;
    }
    let etag = format!(
        "W/\"{}\"",
        crate::sim::digest::hex(&String::from_utf8_lossy(&reply.body))
    );
    reply
        .with("etag", etag)
        .with("cache-control", "private, max-age=60, s-maxage=60")
}

fn has_already(request: &Request, reply: &Reply) -> bool {
    let etag = reply
        .headers
        .iter()
        .find(|(name, _)| *name == "etag")
        .map(|(_, value)| value);
    let strip = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    request
        .header("if-none-match")
        .zip(etag)
        .is_some_and(|(asked, etag)| asked.split(',').any(|tag| strip(tag) == strip(etag)))
}

/// Where a browser lands that follows `html_url`.
fn web_page(request: &Request) -> Option<Reply> {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let [owner, repo, rest @ ..] = segments.as_slice() else {
        return None;
    };
    let of_api = ["repos", "api", "users", "organizations", "user"].contains(owner);
    if of_api || request.header("authorization").is_some() || request.method != "GET" {
        return None;
    }
    let text = format!("{owner}/{repo} · {}", rest.join(" / "));
    let shown = text.replace('&', "&amp;").replace('<', "&lt;");
    let page = format!(
        "<!doctype html><meta charset=utf-8><title>demo</title><h1>{shown}</h1>\
         <p>This page belongs to a demo world. There is nothing more behind it."
    );
    Some(Reply::typed(200, "text/html; charset=utf-8", page))
}
