//! Downloads that may be large and slow: the logs of jobs.

use http::{Method, header};
use reqwest::{RequestBuilder, Response};
use url::Url;

use crate::{
    backend::{
        BackendError,
        http::{
            Body, Http, endpoint,
            fault::{self, Sent},
        },
    },
    domain::Timestamp,
};

/// A download under way.
pub struct Download {
    response: Response,
    endpoint: String,
}

impl Download {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// The connection broke or fell silent.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, BackendError> {
        match self.response.chunk().await {
            Ok(chunk) => Ok(chunk.map(Vec::from)),
            Err(error) => Err(fault::transport(error, &self.endpoint, Sent::Read)),
        }
    }
}

impl Http {
    /// Opens a download that may be large and slow: no total time, no size cap.
    /// One redirect is followed, to another origin without the token.
    ///
    /// # Errors
    ///
    /// As [`Http::get`].
    pub async fn open(&self, url: &Url) -> Result<Download, BackendError> {
        let endpoint = endpoint(&Method::GET, url);
        self.own_origin(url, &endpoint)?;
        let ready = self.ready().await?;
        let asked = (self.0.setup.now)();
        let first = self.request(Method::GET, url, &Body::Empty, &ready);
        let response = self.start(first, &endpoint).await?;
        if !response.status().is_redirection() {
            return self.download(response, url, endpoint, asked).await;
        }
        let Some(target) = target_of(&response, url) else {
            return Err(fault::redirect(&endpoint, "without an address"));
        };
        let second = if self.is_own(&target) {
            self.request(Method::GET, &target, &Body::Empty, &ready)
        } else if target.scheme() == "https" || self.0.base.scheme() == "http" {
            self.0.client.get(target.clone())
        } else {
            return Err(fault::redirect(&endpoint, "away from https"));
        };
        let response = self.start(second, &endpoint).await?;
        self.download(response, &target, endpoint, asked).await
    }

    async fn start(
        &self,
        request: RequestBuilder,
        endpoint: &str,
    ) -> Result<Response, BackendError> {
        // The head has to come in time; the body may take as long as it moves.
        let error = match tokio::time::timeout(self.0.limits.total, request.send()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => fault::transport(error, endpoint, Sent::Read),
            Err(_) => fault::too_slow(endpoint, self.0.limits.total),
        };
        Err(error)
    }

    async fn download(
        &self,
        response: Response,
        url: &Url,
        endpoint: String,
        asked: Timestamp,
    ) -> Result<Download, BackendError> {
        if response.status().is_success() {
            return Ok(Download { response, endpoint });
        }
        let answer = self.take(response, url, endpoint.clone(), asked, Sent::Read);
        Err(match answer.await?.ok() {
            Err(error) => error,
            Ok(_) => fault::redirect(&endpoint, "more than once"),
        })
    }
}

/// Where a redirect leads.
fn target_of(response: &Response, from: &Url) -> Option<Url> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    from.join(location).ok()
}
