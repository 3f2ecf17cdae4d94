//! The way to one cluster: two clients, limits, and the shape of failures.
//!
//! One client reads, the other writes; neither repeats anything. Both are made
//! at the first use and again when credentials expire or are refused, so that
//! building a backend opens no connection. Every wait has an end here, because
//! the client library has none of its own.

use std::{path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyDataStream;
use kube::client::Body;
use serde_json::Value;
use tokio::{
    runtime,
    sync::{Mutex, Notify, watch},
    time::{self, Instant},
};

use crate::{
    backend::{
        BackendError, Env, ErrorKind, Now, Setup,
        kubernetes::{
            fault::{self, Asked},
            kubeconfig,
            lines::Lines,
            settings::Settings,
            trouble::{Trouble, ambiguous, collect, expired, lost, unreadable, unusable},
        },
        tls,
    },
    domain::{Timestamp, id::BackendId, text::Clean},
};

/// How long a slow thing waits before it is asked again.
pub(super) const SLOW: Duration = Duration::from_secs(30);
/// An idle connection is kept a little longer than this.
const KEPT: Duration = Duration::from_secs(60);
/// Credentials are renewed this long before they expire.
const RENEW_EARLY: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// One context of one cluster.
pub(super) struct Connection {
    /// The backend's name in the configuration.
    pub(super) backend: BackendId,
    /// Its section.
    pub(super) settings: Settings,
    /// The clock.
    pub(super) now: Now,
    /// Called when a write was not permitted, so that permissions are asked anew.
    pub(super) denied: Notify,
    /// Whether the Rollout definition has a `/status`; `None` = not asked yet.
    has_status: watch::Sender<Option<bool>>,
    /// When the way for changes was last opened ahead of one.
    opened: watch::Sender<Option<Instant>>,
    base: PathBuf,
    env: Env,
    clients: Mutex<Option<Arc<Clients>>>,
}

struct Clients {
    read: kube::Client,
    write: kube::Client,
    expires: Option<Timestamp>,
    certificate_end: Option<Timestamp>,
}

/// A complete answer of kind success.
#[derive(Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The server's clock, when it told.
    pub(super) date: Option<Timestamp>,
    /// When the request began.
    pub(super) asked: Timestamp,
    /// When the answer was complete.
    pub(super) at: Timestamp,
    /// What it says.
    pub(super) body: Value,
}

/// A change to send.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Patch {
    /// Path and query.
    pub(super) path: String,
    /// `application/json-patch+json` or `application/merge-patch+json`.
    pub(super) content_type: &'static str,
    /// The body.
    pub(super) body: Value,
    /// Completes "could not …".
    pub(super) doing: String,
}

impl Connection {
    pub(super) fn new(backend: BackendId, settings: Settings, setup: &Setup) -> Self {
        Self {
            backend,
            settings,
            now: setup.now.clone(),
            denied: Notify::new(),
            has_status: watch::Sender::new(None),
            opened: watch::Sender::new(None),
            base: setup.base.clone(),
            env: setup.env.clone(),
            clients: Mutex::new(None),
        }
    }

    /// Reads `path`; `doing` completes "could not …".
    ///
    /// # Errors
    ///
    /// No connection, no answer in time, a refusal, or an answer that is no JSON.
    pub(super) async fn get(&self, path: &str, doing: &str) -> Result<Answer, BackendError> {
        self.ask(Method::GET, path, Vec::new(), doing).await
    }

    /// Asks an access review: a POST that changes nothing.
    ///
    /// # Errors
    ///
    /// As [`Connection::get`].
    pub(super) async fn review(
        &self,
        path: &str,
        body: &Value,
        doing: &str,
    ) -> Result<Answer, BackendError> {
        self.ask(Method::POST, path, body.to_string().into_bytes(), doing)
            .await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        doing: &str,
    ) -> Result<Answer, BackendError> {
        let asked = (self.now)();
        let clients = self.clients(doing).await?;
        let request = self.request(method, path, "application/json", body)?;
        let exchange = self.exchange(&clients, &clients.read, request, doing);
        let (code, headers, body) = self
            .within(exchange)
            .await
            .ok_or_else(|| self.silent(doing))?
            .map_err(Trouble::into_error)?;
        if !code.is_success() {
            return Err(self
                .refused(&clients, code, &headers, &body, Asked::Read, doing)
                .await);
        }
        self.answer(asked, code, &headers, &body)
            .ok_or_else(|| unreadable(doing, code, &headers, &body))
    }

    /// Sends a change, once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ambiguous`] when it may have been carried out all the same;
    /// any other kind promises that it was not.
    pub(super) async fn patch(&self, patch: &Patch) -> Result<Answer, BackendError> {
        let doing = patch.doing.as_str();
        let asked = (self.now)();
        let clients = self.clients(doing).await?;
        let body = patch.body.to_string().into_bytes();
        let request = self.request(Method::PATCH, &patch.path, patch.content_type, body)?;
        let exchange = self.exchange(&clients, &clients.write, request, doing);
        let (code, headers, body) = match self.within(exchange).await {
            Some(Ok(answer)) => answer,
            Some(Err(Trouble::Before(error))) => return Err(error),
            Some(Err(Trouble::After(error))) => return Err(ambiguous(&error.message)),
            None => return Err(ambiguous(&self.silent(doing).message)),
        };
        let asked_as = if patch.content_type == super::patch::JSON_PATCH {
            Asked::TestedPatch
        } else {
            Asked::Patch
        };
        if !code.is_success() {
            let error = self
                .refused(&clients, code, &headers, &body, asked_as, doing)
                .await;
            if error.kind == ErrorKind::Forbidden {
                self.denied.notify_one();
            }
            // A gateway may say 5xx for a request that the server carried out.
            let may_be_done = code.is_server_error() || code == StatusCode::REQUEST_TIMEOUT;
            return Err(if may_be_done {
                ambiguous(&error.message)
            } else {
                error
            });
        }
        self.answer(asked, code, &headers, &body)
            .ok_or_else(|| ambiguous(&unreadable(doing, code, &headers, &body).message))
    }

    /// Opens the way for changes while a person still reads what will be sent,
    /// so that the change does not wait for it. The question is of no interest;
    /// what is wrong shows when something is sent.
    pub(super) fn open_ahead(self: &Arc<Self>) {
        let Ok(runtime) = runtime::Handle::try_current() else {
            return;
        };
        let is_due = self.opened.send_if_modified(|at| {
            let is_due = at.is_none_or(|at| KEPT <= at.elapsed());
            if is_due {
                *at = Some(Instant::now());
            }
            is_due
        });
        if !is_due {
            return;
        }
        let link = Arc::clone(self);
        runtime.spawn(async move {
            let doing = "open a connection";
            let (clients, request) = (
                link.clients(doing).await,
                link.request(Method::GET, "/version", "application/json", Vec::new()),
            );
            if let (Ok(clients), Ok(request)) = (clients, request) {
                let exchange = link.exchange(&clients, &clients.write, request, doing);
                drop(link.within(exchange).await);
            }
        });
    }

    /// Opens a watch. Only the opening has a limit; see [`Lines`] for the rest.
    ///
    /// # Errors
    ///
    /// As [`Connection::get`].
    pub(super) async fn watch(&self, path: &str, doing: &str) -> Result<Lines, BackendError> {
        let clients = self.clients(doing).await?;
        let request = self.request(Method::GET, path, "application/json", Vec::new())?;
        let opening = async {
            let response = match clients.read.send(request).await {
                Ok(response) => response,
                Err(error) => return Err(self.lost(&clients, &error, doing).await),
            };
            if response.status().is_success() {
                return Ok(Ok(response.into_body()));
            }
            collect(response, doing).await.map(Err)
        };
        let opened = self
            .within(opening)
            .await
            .ok_or_else(|| self.silent(doing))?
            .map_err(Trouble::into_error)?;
        match opened {
            Ok(body) => Ok(Lines::new(BodyDataStream::new(body), doing.to_owned())),
            Err((code, headers, body)) => Err(self
                .refused(&clients, code, &headers, &body, Asked::Read, doing)
                .await),
        }
    }

    /// Whether Rollouts have a `/status`, asked once; `None` = not known yet.
    pub(super) fn known_status(&self) -> Option<bool> {
        *self.has_status.borrow()
    }

    /// Whether Rollouts have a `/status`. Discovery is asked, and only when it
    /// does not answer is it taken for granted, as in every release since 1.0.
    pub(super) async fn has_status(&self) -> bool {
        if let Some(known) = self.known_status() {
            return known;
        }
        let asked = self
            .get(
                "/apis/argoproj.io/v1alpha1",
                "ask what Argo Rollouts serves",
            )
            .await;
        let Ok(answer) = asked else { return true };
        let has = answer
            .body
            .pointer("/resources")
            .and_then(Value::as_array)
            .is_none_or(|resources| {
                resources.iter().any(|resource| {
                    resource.pointer("/name").and_then(Value::as_str) == Some("rollouts/status")
                })
            });
        self.has_status.send_replace(Some(has));
        has
    }

    async fn clients(&self, doing: &str) -> Result<Arc<Clients>, BackendError> {
        let mut slot = self.clients.lock().await;
        if let Some(clients) = slot.as_ref() {
            let fresh = clients
                .expires
                .is_none_or(|end| (self.now)() + RENEW_EARLY < end);
            if fresh {
                return Ok(clients.clone());
            }
        }
        let clients = Arc::new(self.connect(doing).await?);
        *slot = Some(clients.clone());
        Ok(clients)
    }

    /// Reads the kubeconfig as a client would, and makes none.
    pub(super) async fn read_files(&self) -> Result<(), BackendError> {
        kubeconfig::check(&self.settings, &self.base, &self.env).await
    }

    async fn connect(&self, doing: &str) -> Result<Clients, BackendError> {
        tls::install();
        let access = kubeconfig::access(&self.settings, &self.base, &self.env).await?;
        let (expires, certificate_end) = (access.expires, access.certificate_end);
        let limit = self.settings.timeout;
        // Reads certificates, and runs the command of some old auth providers.
        let build = tokio::task::spawn_blocking(move || {
            let mut config = access.config;
            let read = kube::Client::try_from(config.clone())?;
            config.read_timeout = Some(limit);
            config.reset_reader_on_write = true;
            let write = kube::Client::try_from(config)?;
            Ok::<_, kube::Error>((read, write))
        });
        match time::timeout(limit * 3, build).await {
            Ok(Ok(Ok((read, write)))) => Ok(Clients {
                read,
                write,
                expires,
                certificate_end,
            }),
            Ok(Ok(Err(error))) => Err(unusable(&error, doing)),
            Ok(Err(_)) | Err(_) => Err(BackendError::new(
                ErrorKind::Configuration,
                Clean::line(&format!(
                    "could not {doing}: the kubeconfig gave no client in time"
                )),
            )),
        }
    }

    /// Forgets these clients, so that the next request fetches credentials anew.
    async fn forget(&self, clients: &Arc<Clients>) {
        let mut slot = self.clients.lock().await;
        if slot
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, clients))
        {
            *slot = None;
        }
    }

    async fn refused(
        &self,
        clients: &Arc<Clients>,
        code: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        asked: Asked,
        doing: &str,
    ) -> BackendError {
        let now = (self.now)();
        if code == StatusCode::UNAUTHORIZED {
            self.forget(clients).await;
            // The server says no more than "Unauthorized".
            if let Some(end) = clients.certificate_end.filter(|end| *end < now) {
                return expired(end, doing);
            }
        }
        fault::refused(code, headers, body, asked, doing, now)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<Request<Body>, BackendError> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::ACCEPT, "application/json")
            .body(Body::from(body))
            .map_err(|_| {
                BackendError::new(
                    ErrorKind::Configuration,
                    Clean::from(format!(
                        "a name of backend `{}` makes no request path",
                        self.backend
                    )),
                )
            })
    }

    async fn exchange(
        &self,
        clients: &Arc<Clients>,
        client: &kube::Client,
        request: Request<Body>,
        doing: &str,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), Trouble> {
        match client.send(request).await {
            Ok(response) => collect(response, doing).await,
            Err(error) => Err(self.lost(clients, &error, doing).await),
        }
    }

    async fn lost(&self, clients: &Arc<Clients>, error: &kube::Error, doing: &str) -> Trouble {
        // Whom to trust is written in the kubeconfig, and put right there.
        if tls::distrust(error).is_some() {
            self.forget(clients).await;
        }
        lost(error, doing)
    }

    async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        time::timeout(self.settings.timeout, work).await.ok()
    }

    fn silent(&self, doing: &str) -> BackendError {
        let limit = humantime::format_duration(self.settings.timeout);
        BackendError::new(
            ErrorKind::Timeout,
            Clean::line(&format!("could not {doing}: no answer in {limit}")),
        )
    }

    fn answer(
        &self,
        asked: Timestamp,
        code: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Answer> {
        let body: Value = serde_json::from_slice(body).ok()?;
        if !body.is_object() {
            return None;
        }
        let date = headers
            .get(header::DATE)
            .and_then(|value| value.to_str().ok())
            .and_then(|written| chrono::DateTime::parse_from_rfc2822(written).ok())
            .map(|date| date.to_utc());
        Some(Answer {
            status: code.as_u16(),
            date,
            asked,
            at: (self.now)(),
            body,
        })
    }
}
