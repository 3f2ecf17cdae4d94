//! The addresses of one GitHub, and what its answers say about it.

use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::{
    backend::{
        BackendError, ErrorKind, Now,
        github_actions::wire,
        http::{Answer, Http},
    },
    domain::{
        Timestamp,
        backend::Server,
        id::{BackendId, PipelineId, RunId},
        observation::{Fact, Scope},
        text::Clean,
    },
};

/// Most pages that are followed for one list.
const PAGES: usize = 10;

/// How long a run we started is looked for.
const LATELY: TimeDelta = TimeDelta::minutes(2);

/// One GitHub as one token sees it.
pub(super) struct Api {
    pub(super) http: Http,
    pub(super) backend: BackendId,
    pub(super) now: Now,
    learnt: Mutex<Learnt>,
    /// Runs that dispatches of ours made, and when.
    started: Mutex<Vec<(PipelineId, u64, Timestamp)>>,
}

/// What answers say about the server and the token, in passing.
#[derive(Clone, Default)]
pub(super) struct Learnt {
    /// Version of a GitHub Enterprise Server; `None` on github.com or not yet known.
    pub(super) enterprise: Option<Clean>,
    /// Scopes of a classic token; `None` for other kinds or not yet known.
    pub(super) scopes: Option<Vec<String>>,
    /// The server's clock minus ours.
    pub(super) skew_ms: Option<i64>,
    /// When the API version we speak ends, if it was announced.
    pub(super) sunset: Option<Clean>,
}

/// A list read to its end, or as far as it could be.
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    /// Everything there is was listed and could be read.
    pub(super) complete: bool,
    /// Why an item could not be read.
    pub(super) trouble: Option<BackendError>,
    pub(super) asked: Timestamp,
    pub(super) at: Timestamp,
}

impl Api {
    pub(super) fn new(http: Http, backend: BackendId, now: Now) -> Self {
        Self {
            http,
            backend,
            now,
            learnt: Mutex::default(),
            started: Mutex::default(),
        }
    }

    pub(super) fn learnt(&self) -> Learnt {
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.clone()
    }

    /// Notes that a dispatch of ours made this run.
    pub(super) fn note_started(&self, pipeline: &PipelineId, run: u64) {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.push((pipeline.clone(), run, (self.now)()));
    }

    /// Runs of this pipeline that dispatches of ours made lately. GitHub lists
    /// a new run a moment after it named it.
    pub(super) fn started(&self, pipeline: &PipelineId, now: Timestamp) -> Vec<u64> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.retain(|(_, _, at)| now - *at < LATELY);
        let ours = started.iter().filter(|(of, _, _)| of == pipeline);
        ours.map(|(_, run, _)| *run).collect()
    }

    /// A scope of this backend.
    pub(super) fn scope(&self, part: &str) -> Scope {
        Scope::new(&self.backend, Clean::line(part))
    }

    /// An address below the repository.
    pub(super) fn in_repo(&self, repo: &str, rest: &[&str]) -> Url {
        let path = ["repos"].into_iter().chain(repo.split('/'));
        self.http.url(path.chain(rest.iter().copied()))
    }

    /// An address below a run.
    pub(super) fn in_run(&self, run: &RunId, rest: &[&str]) -> Url {
        let id = run.id.to_string();
        let mut path = vec!["actions", "runs", &id];
        path.extend(rest);
        self.in_repo(&run.repo, &path)
    }

    /// An address below a workflow.
    pub(super) fn in_workflow(&self, pipeline: &PipelineId, rest: &[&str]) -> Url {
        let mut path = vec!["actions", "workflows", pipeline.workflow.as_str()];
        path.extend(rest);
        self.in_repo(&pipeline.repo, &path)
    }

    /// Reads one thing.
    pub(super) async fn get(&self, url: &Url) -> Result<Answer, BackendError> {
        let answer = self.http.get_any(url).await?;
        self.learn(&answer);
        answer.ok()
    }

    /// Reads a list over all its pages; `items` takes it out of its envelope.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        url: Url,
        pages: usize,
        items: fn(&Answer) -> Result<Vec<Value>, BackendError>,
    ) -> Result<List<T>, BackendError> {
        let mut answer = self.get(&url).await?;
        let mut list = List {
            items: Vec::new(),
            complete: true,
            trouble: None,
            asked: answer.asked,
            at: answer.at,
        };
        for page in 1.. {
            let (read, trouble) = wire::each(items(&answer)?);
            list.items.extend(read);
            list.at = answer.at;
            if let Some(trouble) = trouble {
                list.complete = false;
                let words = format!("`{}`: an item cannot be read: {trouble}", answer.endpoint);
                let error = BackendError::new(ErrorKind::Malformed, Clean::line(&words));
                list.trouble.get_or_insert(error);
            }
            let Some(next) = answer.next_page() else {
                break;
            };
            if page >= pages.min(PAGES) {
                list.complete = false;
                break;
            }
            answer = self.get(&next).await?;
        }
        Ok(list)
    }

    fn learn(&self, answer: &Answer) {
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = answer.header("x-github-enterprise-version") {
            learnt.enterprise = Some(Clean::name(version));
        }
        if let Some(scopes) = answer.header("x-oauth-scopes") {
            let scopes = scopes.split(',').map(str::trim);
            learnt.scopes = Some(
                scopes
                    .filter(|scope| !scope.is_empty())
                    .map(str::to_owned)
                    .collect(),
            );
        }
        if let Some(skew) = answer.skew_ms() {
            learnt.skew_ms = Some(skew);
        }
        if let Some(sunset) = answer.header("sunset") {
            learnt.sunset = Some(Clean::name(sunset));
        }
    }

    /// Whether this is a server of an enterprise's own, which lags behind
    /// github.com in what it can do. Told by its answers; before the first,
    /// by its address.
    pub(super) fn is_enterprise(&self) -> bool {
        self.learnt().enterprise.is_some()
            || self
                .http
                .base()
                .path()
                .trim_end_matches('/')
                .ends_with("/api/v3")
    }

    /// What every answer says besides: the budget and the server.
    pub(super) fn remarks(&self) -> Vec<Fact> {
        let learnt = self.learnt();
        let version = match learnt.enterprise {
            Some(version) => Clean::line(&format!("GitHub Enterprise Server {version}")),
            None => "GitHub".into(),
        };
        let server = Fact::Server(Server {
            version,
            skew_ms: learnt.skew_ms,
        });
        let budget = self.http.budget().map(Fact::Budget);
        budget.into_iter().chain([server]).collect()
    }
}

/// The runs in an answer.
pub(super) fn runs(answer: &Answer) -> Result<Vec<Value>, BackendError> {
    Ok(answer.json::<wire::Runs>()?.items)
}

/// The jobs in an answer.
pub(super) fn jobs(answer: &Answer) -> Result<Vec<Value>, BackendError> {
    Ok(answer.json::<wire::Jobs>()?.items)
}

/// The items of an answer that is a bare list.
pub(super) fn bare(answer: &Answer) -> Result<Vec<Value>, BackendError> {
    answer.json()
}
