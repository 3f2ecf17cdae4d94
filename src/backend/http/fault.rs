//! From statuses and broken connections to the kinds the program branches on.

use std::{error::Error, time::Duration};

use chrono::DateTime;
use http::{HeaderValue, StatusCode, header};

use crate::{
    backend::{
        BackendError, ErrorKind,
        http::{Answer, words},
        tls,
    },
    domain::{Timestamp, text::Clean},
};

/// Nobody is made to wait longer than this by a header.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 60 * 60);

/// What kind of request failed, which decides what a broken connection means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Read,
    Mutation,
}

fn error(kind: ErrorKind, endpoint: &str, words: &str) -> BackendError {
    BackendError::new(kind, Clean::line(&format!("`{endpoint}`: {words}")))
}

/// The error a status stands for. Only for statuses that are no success.
pub(super) fn status(answer: &Answer) -> BackendError {
    let said = words::of(&answer.headers, &answer.body);
    let wait = retry_after(answer);
    let spent = answer.header("x-ratelimit-remaining") == Some("0");
    let kind = match answer.status.as_u16() {
        401 => ErrorKind::Unauthenticated,
        403 if spent || wait.is_some() || said.to_ascii_lowercase().contains("rate limit") => {
            ErrorKind::RateLimited
        }
        403 => ErrorKind::Forbidden,
        404 | 410 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        409 | 412 => ErrorKind::Conflict,
        429 => ErrorKind::RateLimited,
        400..=499 => ErrorKind::Rejected,
        500..=599 => ErrorKind::Server,
        300..=399 => return redirect(&answer.endpoint, "where none is expected"),
        _ => ErrorKind::Malformed,
    };
    let wait = match kind {
        ErrorKind::RateLimited if spent => wait.or_else(|| until_reset(answer)),
        _ => wait,
    };
    let code = status_words(answer.status);
    let text = match (
        words::is_page(&answer.headers, &answer.body),
        said.is_empty(),
    ) {
        (_, true) => code,
        (true, false) => format!("{code}, a web page: {said}"),
        (false, false) => format!("{code}: {said}"),
    };
    error(kind, &answer.endpoint, &text).after(wait)
}

/// A web page came where JSON was expected.
pub(super) fn page(answer: &Answer, kind: ErrorKind) -> BackendError {
    let said = words::of(&answer.headers, &answer.body);
    let code = status_words(answer.status);
    error(
        kind,
        &answer.endpoint,
        &format!("a web page instead of JSON ({code}): {said}"),
    )
}

/// A connection that could not be made or broke.
pub(super) fn transport(source: reqwest::Error, endpoint: &str, sent: Sent) -> BackendError {
    // The address may hold a credential; the endpoint names the request.
    let source = source.without_url();
    let cause = tls::distrust(&source).unwrap_or_else(|| root_cause(&source));
    if source.is_builder() {
        return error(ErrorKind::Configuration, endpoint, &cause);
    }
    // Nothing was written before the connection stood.
    if source.is_connect() {
        let what = if source.is_timeout() {
            "no connection in time"
        } else {
            "no connection"
        };
        return error(
            ErrorKind::Unreachable,
            endpoint,
            &format!("{what}: {cause}"),
        );
    }
    let (kind, what) = if source.is_timeout() {
        (ErrorKind::Timeout, "no answer in time")
    } else if source.is_decode() || source.is_body() {
        (ErrorKind::Malformed, "the answer broke off")
    } else {
        (ErrorKind::Unreachable, "the connection broke")
    };
    let kind = match sent {
        Sent::Read => kind,
        Sent::Mutation => ErrorKind::Ambiguous,
    };
    error(kind, endpoint, &format!("{what}: {cause}"))
}

/// The head of a download did not come in time.
pub(super) fn too_slow(endpoint: &str, limit: Duration) -> BackendError {
    let words = format!("no answer in {} ms", limit.as_millis());
    error(ErrorKind::Timeout, endpoint, &words)
}

/// The answer is larger than we are willing to hold.
pub(super) fn too_large(endpoint: &str, limit: usize, sent: Sent) -> BackendError {
    let kind = match sent {
        Sent::Read => ErrorKind::Malformed,
        Sent::Mutation => ErrorKind::Ambiguous,
    };
    error(
        kind,
        endpoint,
        &format!("the answer is larger than {limit} bytes"),
    )
}

/// A redirect that is not followed. A mutation that is redirected was not
/// carried out.
pub(super) fn redirect(endpoint: &str, what: &str) -> BackendError {
    error(
        ErrorKind::Malformed,
        endpoint,
        &format!("redirected {what}; not followed"),
    )
}

/// "Nothing changed" to somebody who did not ask.
pub(super) fn unasked(endpoint: &str) -> BackendError {
    error(
        ErrorKind::Malformed,
        endpoint,
        "`not modified` without having been asked for changes",
    )
}

/// We hold ourselves back, as the backend asked.
pub(super) fn held_back(endpoint: &str, wait: Duration) -> BackendError {
    let words = format!(
        "not asked: the backend wants to be left alone for {} s",
        wait.as_secs()
    );
    error(ErrorKind::RateLimited, endpoint, &words).after(Some(wait))
}

/// What an error chain ends with, which is where the sense is.
pub(super) fn root_cause(source: &dyn Error) -> String {
    let mut cause = source;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// An HTTP date.
pub(super) fn date(value: &HeaderValue) -> Option<Timestamp> {
    DateTime::parse_from_rfc2822(value.to_str().ok()?)
        .ok()
        .map(|date| date.to_utc())
}

/// `Retry-After`, in seconds or as a date (held against the server's own clock
/// if it tells).
fn retry_after(answer: &Answer) -> Option<Duration> {
    let value = answer.headers.get(header::RETRY_AFTER)?;
    let text = value.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (date(value)? - server_time(answer))
            .to_std()
            .unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

fn until_reset(answer: &Answer) -> Option<Duration> {
    let epoch = answer.header("x-ratelimit-reset")?.parse().ok()?;
    let reset = DateTime::from_timestamp(epoch, 0)?;
    let wait = (reset - server_time(answer)).to_std().unwrap_or_default();
    // One second more: the header has no fractions.
    Some((wait + Duration::from_secs(1)).min(LONGEST_WAIT))
}

fn server_time(answer: &Answer) -> Timestamp {
    let told = answer.headers.get(header::DATE).and_then(date);
    told.unwrap_or(answer.at)
}

fn status_words(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("HTTP {} {reason}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    }
}
