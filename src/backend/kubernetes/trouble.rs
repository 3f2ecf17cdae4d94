//! Exchanges that brought no usable answer: what is known of them, in words.
//!
//! The client library's own words are not repeated: they can hold addresses
//! with passwords, or the output of a credential command.

use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;

use crate::{
    backend::{BackendError, ErrorKind, kubernetes::fault, tls},
    domain::{Timestamp, text::Clean},
};

/// Largest answer that is read; a page of 500 large objects stays below.
const BODY_LIMIT: usize = 32 * 1024 * 1024;

/// Why an exchange brought no answer.
pub(super) enum Trouble {
    /// The request never left: no connection, no credentials.
    Before(BackendError),
    /// It left, or may have.
    After(BackendError),
}

impl Trouble {
    pub(super) fn into_error(self) -> BackendError {
        match self {
            Self::Before(error) | Self::After(error) => error,
        }
    }
}

/// Reads an answer to its end.
pub(super) async fn collect(
    response: http::Response<Body>,
    doing: &str,
) -> Result<(StatusCode, HeaderMap, Vec<u8>), Trouble> {
    let (parts, body) = response.into_parts();
    let collected = Limited::new(body, BODY_LIMIT).collect().await;
    let body = collected.map_err(|error| {
        let words = if error.is::<http_body_util::LengthLimitError>() {
            format!("the answer is larger than {} MiB", BODY_LIMIT / 1024 / 1024)
        } else {
            "the answer was cut off".to_owned()
        };
        Trouble::After(BackendError::new(
            ErrorKind::Malformed,
            Clean::line(&format!("could not {doing}: {words}")),
        ))
    })?;
    Ok((parts.status, parts.headers, body.to_bytes().to_vec()))
}

/// No response at all. Only while the connection was being made is it certain
/// that nothing was sent.
pub(super) fn lost(error: &kube::Error, doing: &str) -> Trouble {
    if let kube::Error::Auth(_) = error {
        return Trouble::Before(unusable(error, doing));
    }
    let mut chain = Vec::new();
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        chain.push(error.to_string());
        next = error.source();
    }
    let connecting = chain.iter().any(|words| words == "client error (Connect)");
    let cause = tls::distrust(error)
        .or_else(|| chain.pop())
        .unwrap_or_default();
    let error = BackendError::new(
        ErrorKind::Unreachable,
        Clean::line(&format!("could not {doing}: {cause}")),
    );
    if connecting {
        Trouble::Before(error)
    } else {
        Trouble::After(error)
    }
}

/// Refused, with a client certificate that had ended.
pub(super) fn expired(end: Timestamp, doing: &str) -> BackendError {
    let end = tls::written(end);
    BackendError::new(
        ErrorKind::Unauthenticated,
        Clean::line(&format!(
            "could not {doing}: the kubeconfig's client certificate expired on {end}"
        )),
    )
}

/// No client can be made, or no credentials can be had.
pub(super) fn unusable(error: &kube::Error, doing: &str) -> BackendError {
    // The library's own words can hold the output of a credential command.
    let (kind, words) = match error {
        kube::Error::Auth(_) => (
            ErrorKind::Unauthenticated,
            "the kubeconfig's credentials cannot be used",
        ),
        kube::Error::RustlsTls(_) => (
            ErrorKind::Configuration,
            "a certificate or key of the kubeconfig cannot be used",
        ),
        kube::Error::InferKubeconfig(_) => (
            ErrorKind::Configuration,
            "a certificate or key of the kubeconfig cannot be read",
        ),
        _ => (ErrorKind::Configuration, "the kubeconfig makes no client"),
    };
    BackendError::new(kind, Clean::line(&format!("could not {doing}: {words}")))
}

/// A success that cannot be read.
pub(super) fn unreadable(
    doing: &str,
    code: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> BackendError {
    BackendError::new(
        ErrorKind::Malformed,
        Clean::line(&format!(
            "could not {doing}: HTTP {} with {} instead of an API server's answer",
            code.as_u16(),
            fault::looks_like(headers, body)
        )),
    )
}

/// It may have happened all the same.
pub(super) fn ambiguous(words: &Clean) -> BackendError {
    BackendError::new(ErrorKind::Ambiguous, words.clone())
}
