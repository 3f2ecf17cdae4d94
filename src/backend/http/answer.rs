//! What came back: when it was asked for, what it says, where it goes on.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    backend::{
        BackendError, ErrorKind,
        http::{cache::Entry, fault, words},
    },
    domain::{Timestamp, text::Clean},
};

/// One answer with its whole body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Method and path, for error messages.
    pub endpoint: String,
    /// What was asked.
    pub url: Url,
    /// How it was answered. After a conditional read that found nothing new it
    /// is the status of the answer kept from before.
    pub status: StatusCode,
    /// Its headers, those of the last exchange.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Arc<[u8]>,
    /// When the request began.
    pub asked: Timestamp,
    /// When the answer had arrived.
    pub at: Timestamp,
    /// The backend said that nothing changed; the body is the one kept from before.
    pub unchanged: bool,
}

impl Answer {
    /// The answer to a read if it is a success.
    ///
    /// # Errors
    ///
    /// The kind its status stands for, with the backend's words.
    pub fn ok(self) -> Result<Self, BackendError> {
        match self.error() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// The answer to a mutation if it is a success.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ambiguous`] where something between us and the backend may
    /// have answered instead of it; else the kind its status stands for, and
    /// nothing was carried out.
    pub fn accepted(self) -> Result<Self, BackendError> {
        if self.status.is_success() && words::is_page(&self.headers, &self.body) {
            return Err(fault::page(&self, ErrorKind::Ambiguous));
        }
        match self.error() {
            Some(mut error) => {
                if matches!(error.kind, ErrorKind::Server | ErrorKind::Timeout) {
                    error.kind = ErrorKind::Ambiguous;
                }
                Err(error)
            }
            None => Ok(self),
        }
    }

    /// What the status stands for when it is no success.
    pub fn error(&self) -> Option<BackendError> {
        (!self.status.is_success()).then(|| fault::status(self))
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`]: a web page, cut off, or of other types than
    /// expected; the message names the request.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, BackendError> {
        if words::is_page(&self.headers, &self.body) {
            return Err(fault::page(self, ErrorKind::Malformed));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            BackendError::new(
                ErrorKind::Malformed,
                Clean::line(&format!("`{}`: no usable JSON: {error}", self.endpoint)),
            )
        })
    }

    /// The next page, as the `Link` header names it. Whether it may be asked
    /// for is checked when it is asked for.
    pub fn next_page(&self) -> Option<Url> {
        let links = self.headers.get_all(header::LINK);
        let address = links
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .find_map(|link| {
                let (address, attributes) = link.split_once(';')?;
                let is_next = attributes
                    .split(';')
                    .any(|attribute| matches!(attribute.trim(), "rel=\"next\"" | "rel=next"));
                let inner = address.trim().strip_prefix('<')?.strip_suffix('>')?;
                is_next.then(|| inner.to_owned())
            })?;
        self.url.join(&address).ok()
    }

    /// The server's clock minus ours in milliseconds, as far as a header of
    /// whole seconds can tell; `None` if it does not say.
    pub fn skew_ms(&self) -> Option<i64> {
        let server = fault::date(self.headers.get(header::DATE)?)?;
        let middle = self.asked + (self.at - self.asked) / 2;
        // The header drops the fraction: half a second in the middle.
        Some((server - middle).num_milliseconds() + 500)
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn redirected_to(&self) -> Option<Url> {
        if !matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let location = self.headers.get(header::LOCATION)?.to_str().ok()?;
        self.url.join(location).ok()
    }

    /// Takes over what was kept when the backend says that nothing changed.
    pub(super) fn refresh(&mut self, kept: Entry) {
        self.status = StatusCode::OK;
        self.body = kept.body;
        self.unchanged = true;
        for (name, value) in [
            (header::LINK, kept.link),
            (header::CONTENT_TYPE, kept.content_type),
        ] {
            if let Some(value) = value {
                self.headers.entry(name).or_insert(value);
            }
        }
    }
}
