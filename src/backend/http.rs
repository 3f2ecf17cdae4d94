//! The transport of every HTTP backend: asks once, within limits, and never
//! tells our token to anybody but the configured origin.
//!
//! A read fails with the kind of trouble it met; whether and when to read again
//! is the supervisor's business. A mutation goes out at most once, and its
//! error says whether it may have happened: [`ErrorKind::Ambiguous`], or any
//! other kind for "it did not". Redirects are not left to the client library:
//! a read follows them inside its own origin only, a mutation never, a download
//! ([`Http::open`]) once and without the token when it leaves.

mod answer;
mod base;
mod budget;
mod cache;
mod download;
mod fault;
mod terms;
mod words;

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, Method, StatusCode, header};
use reqwest::{Client, RequestBuilder, Response, redirect, retry};
use tokio::sync::Semaphore;
use url::Url;

pub use crate::backend::http::{
    answer::Answer,
    budget::Meter,
    download::Download,
    terms::{Auth, Body, Limits},
};
use crate::{
    backend::{
        BackendError, ErrorKind, Setup,
        http::{cache::Cache, fault::Sent},
        secret::Secret,
        tls,
    },
    domain::{Timestamp, backend::Budget, text::Clean},
};

/// Requests of one backend that may be under way at the same time; more wait.
const AT_ONCE: usize = 8;
/// Redirects inside the own origin that a read follows.
const HOPS: usize = 3;

/// One backend's HTTP client. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    client: Client,
    base: Url,
    auth: Auth,
    headers: HeaderMap,
    limits: Limits,
    setup: Setup,
    permits: Semaphore,
    cache: Mutex<Cache>,
    /// The resolved credential; forgotten when it is refused.
    ready: Mutex<Option<Ready>>,
    /// Held while a credential is fetched, so that it is fetched once.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Ready {
    secret: Option<Secret>,
    meter: Arc<Meter>,
}

impl Http {
    /// A client for the API below `base`. Opens no connection and fetches no
    /// credential. `headers` go with every request to the own origin.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] when `base` is no plain `http` or `https`
    /// address, or the client cannot be built.
    pub fn new(
        base: &str,
        auth: Auth,
        headers: HeaderMap,
        limits: Limits,
        setup: &Setup,
    ) -> Result<Self, BackendError> {
        tls::install();
        let base = base::parse(base)?;
        let mut client = Client::builder()
            .user_agent(concat!("gonogo/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(limits.connect)
            .read_timeout(limits.silence);
        if base::is_loopback(&base) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| {
            BackendError::new(
                ErrorKind::Configuration,
                Clean::line(&fault::root_cause(&error.without_url())),
            )
        })?;
        Ok(Self(Arc::new(Inner {
            client,
            base,
            auth,
            headers,
            limits,
            setup: setup.clone(),
            permits: Semaphore::new(AT_ONCE),
            cache: Mutex::default(),
            ready: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })))
    }

    /// Looks whether the file of the credential, if it comes from one, can be read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthenticated`] with the file and what is wrong with it.
    pub async fn check_files(&self) -> Result<(), BackendError> {
        match &self.0.auth {
            Auth::None => Ok(()),
            Auth::Bearer(secret)
            | Auth::Basic {
                password: secret, ..
            } => secret.check_file(&self.0.setup).await,
        }
    }

    /// The configured address.
    pub fn base(&self) -> &Url {
        &self.0.base
    }

    /// The address of something below the base; each segment is encoded, so a
    /// name with a slash stays one segment.
    pub fn url<S: AsRef<str>>(&self, segments: impl IntoIterator<Item = S>) -> Url {
        let mut url = self.0.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            for segment in segments {
                path.push(segment.as_ref());
            }
        }
        url
    }

    /// What is known of the request budget, once a request was made.
    pub fn budget(&self) -> Option<Budget> {
        self.meter()?.budget()
    }

    /// The meter shared by everybody who uses this origin with this token;
    /// `None` until the credential was first needed.
    pub fn meter(&self) -> Option<Arc<Meter>> {
        let ready = self.0.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.as_ref().map(|ready| ready.meter.clone())
    }

    /// Reads; a status that is no success is an error.
    ///
    /// # Errors
    ///
    /// What went wrong, by kind, with `retry_after` if the backend said so.
    pub async fn get(&self, url: &Url) -> Result<Answer, BackendError> {
        self.get_any(url).await?.ok()
    }

    /// Reads and returns the answer whatever its status.
    ///
    /// # Errors
    ///
    /// There was no answer, or the own rate limit forbids to ask.
    pub async fn get_any(&self, url: &Url) -> Result<Answer, BackendError> {
        self.read(Method::GET, url, &Body::Empty).await
    }

    /// Reads by POST (a search), whatever the status.
    ///
    /// # Errors
    ///
    /// As [`Http::get_any`].
    pub async fn ask_any(&self, url: &Url, body: &Body) -> Result<Answer, BackendError> {
        self.read(Method::POST, url, body).await
    }

    /// Sends one mutating request, once; only a success is `Ok`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ambiguous`] when it may have been carried out; every other
    /// kind promises that it was not.
    pub async fn send_once(
        &self,
        method: Method,
        url: &Url,
        body: &Body,
    ) -> Result<Answer, BackendError> {
        self.send_once_any(method, url, body).await?.accepted()
    }

    /// As [`Http::send_once`], but an answer is returned whatever its status,
    /// for backends whose error bodies say more than their status. Give it to
    /// [`Answer::accepted`] to have the rest judged.
    ///
    /// # Errors
    ///
    /// As [`Http::send_once`], for requests that got no answer.
    pub async fn send_once_any(
        &self,
        method: Method,
        url: &Url,
        body: &Body,
    ) -> Result<Answer, BackendError> {
        let endpoint = endpoint(&method, url);
        self.own_origin(url, &endpoint)?;
        let ready = self.ready().await?;
        let asked = (self.0.setup.now)();
        let request = self.request(method, url, body, &ready);
        let response = request
            .timeout(self.0.limits.total)
            .send()
            .await
            .map_err(|error| fault::transport(error, &endpoint, Sent::Mutation))?;
        let answer = self
            .take(response, url, endpoint, asked, Sent::Mutation)
            .await?;
        self.learn(&answer, &ready);
        Ok(answer)
    }

    async fn read(&self, method: Method, url: &Url, body: &Body) -> Result<Answer, BackendError> {
        let mut url = url.clone();
        let endpoint = endpoint(&method, &url);
        for _ in 0..=HOPS {
            self.own_origin(&url, &endpoint)?;
            let answer = self
                .read_here(method.clone(), &url, body, &endpoint)
                .await?;
            let Some(target) = answer.redirected_to() else {
                return Ok(answer);
            };
            if !self.is_own(&target) {
                let host = target.host_str().unwrap_or("nowhere");
                return Err(fault::redirect(
                    &endpoint,
                    &format!("to another host ({host})"),
                ));
            }
            url = target;
        }
        Err(fault::redirect(&endpoint, "in a circle"))
    }

    async fn read_here(
        &self,
        method: Method,
        url: &Url,
        body: &Body,
        endpoint: &str,
    ) -> Result<Answer, BackendError> {
        let _permit = self.0.permits.acquire().await.map_err(|_| {
            BackendError::new(ErrorKind::Unreachable, "the client is shutting down")
        })?;
        let ready = self.ready().await?;
        let asked = (self.0.setup.now)();
        if let Some(wait) = ready.meter.stopped_for(asked) {
            return Err(fault::held_back(endpoint, wait));
        }
        let mut request = self.request(method.clone(), url, body, &ready);
        let cached = if method == Method::GET {
            self.cache().find(url)
        } else {
            None
        };
        if let Some(entry) = &cached {
            request = request.header(header::IF_NONE_MATCH, entry.etag.clone());
        }
        let response = request
            .timeout(self.0.limits.total)
            .send()
            .await
            .map_err(|error| fault::transport(error, endpoint, Sent::Read))?;
        let mut answer = self
            .take(response, url, endpoint.to_owned(), asked, Sent::Read)
            .await?;
        self.learn(&answer, &ready);
        if answer.status == StatusCode::NOT_MODIFIED {
            let Some(entry) = cached else {
                return Err(fault::unasked(endpoint));
            };
            answer.refresh(entry);
        } else if method == Method::GET && answer.status == StatusCode::OK {
            self.cache().keep(url, &answer);
        }
        Ok(answer)
    }

    fn request(&self, method: Method, url: &Url, body: &Body, ready: &Ready) -> RequestBuilder {
        let request = self
            .0
            .client
            .request(method, url.clone())
            .headers(self.0.headers.clone());
        let request = match (&self.0.auth, &ready.secret) {
            (Auth::Basic { user, .. }, Some(secret)) => {
                request.basic_auth(user, Some(secret.expose()))
            }
            (_, Some(secret)) => request.bearer_auth(secret.expose()),
            (_, None) => request,
        };
        match body {
            Body::Empty => request,
            Body::Json(value) => request.json(value),
            Body::Form(pairs) => request.form(pairs),
        }
    }

    /// The answer with its whole body, within the size limit.
    async fn take(
        &self,
        mut response: Response,
        url: &Url,
        endpoint: String,
        asked: Timestamp,
        sent: Sent,
    ) -> Result<Answer, BackendError> {
        let status = response.status();
        let headers = response.headers().clone();
        let limit = self.0.limits.body;
        let mut body = Vec::new();
        let trouble = loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                    break Some(fault::too_large(&endpoint, limit, sent));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break None,
                Err(error) => break Some(fault::transport(error, &endpoint, sent)),
            }
        };
        // An error status is clear without its words.
        if let Some(error) = trouble
            && !(status.is_client_error() || status.is_server_error())
        {
            return Err(error);
        }
        Ok(Answer {
            endpoint,
            url: url.clone(),
            status,
            headers,
            body: body.into(),
            asked,
            at: (self.0.setup.now)(),
            unchanged: false,
        })
    }

    /// Takes from an answer what concerns the next request.
    fn learn(&self, answer: &Answer, ready: &Ready) {
        ready.meter.note(&answer.headers, answer.at);
        let error = answer.error();
        if let Some(error) = error
            && error.kind == ErrorKind::RateLimited
        {
            let wait = error.retry_after.unwrap_or(budget::LONG_WAIT);
            ready.meter.stop(answer.at, wait);
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            // It may have been renewed where it comes from.
            *self.0.ready.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    async fn ready(&self) -> Result<Ready, BackendError> {
        let known = || {
            let ready = self.0.ready.lock().unwrap_or_else(PoisonError::into_inner);
            ready.clone()
        };
        if let Some(ready) = known() {
            return Ok(ready);
        }
        let _fetching = self.0.fetching.lock().await;
        if let Some(ready) = known() {
            return Ok(ready);
        }
        let secret = match &self.0.auth {
            Auth::None => None,
            Auth::Bearer(reference)
            | Auth::Basic {
                password: reference,
                ..
            } => Some(reference.resolve(&self.0.setup).await?),
        };
        let meter = Meter::shared(&self.0.base, secret.as_ref());
        let ready = Ready { secret, meter };
        *self.0.ready.lock().unwrap_or_else(PoisonError::into_inner) = Some(ready.clone());
        Ok(ready)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.0.base.origin()
    }

    fn own_origin(&self, url: &Url, endpoint: &str) -> Result<(), BackendError> {
        if self.is_own(url) && url.username().is_empty() && url.password().is_none() {
            return Ok(());
        }
        let host = url.host_str().unwrap_or("nowhere");
        Err(fault::redirect(
            endpoint,
            &format!("to another host ({host})"),
        ))
    }
}

/// Method and path: enough to name a request, without host, query or fragment.
fn endpoint(method: &Method, url: &Url) -> String {
    format!("{method} {}", url.path())
}
