//! From an HTTP answer that is no success to an error a person understands.

use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::{
    backend::{BackendError, ErrorKind, secret::redactor},
    domain::{Timestamp, text::Clean},
};

/// The API server's `Status` object, as far as it is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    message: String,
    reason: String,
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    causes: Option<Vec<serde_json::Value>>,
    #[serde(rename = "retryAfterSeconds")]
    retry_after_seconds: Option<u64>,
}

/// Longest explanation that is passed on, in characters.
const WORDS: usize = 600;

/// What was asked for, which decides how a refusal reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A read, or an access review.
    Read,
    /// A JSON patch with tests: a 422 without causes means that one failed.
    TestedPatch,
    /// Another patch.
    Patch,
}

/// The error for an answer with `code`; `doing` completes "could not …".
pub(super) fn refused(
    code: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    asked: Asked,
    doing: &str,
    now: Timestamp,
) -> BackendError {
    let status: Option<Status> = serde_json::from_slice(body)
        .ok()
        .filter(|status: &Status| status.kind == "Status");
    let moved = code == StatusCode::UNPROCESSABLE_ENTITY && has_moved(status.as_ref(), asked);
    let kind = if moved {
        ErrorKind::Conflict
    } else {
        kind(code)
    };
    let words = match &status {
        _ if moved => {
            "it is no longer what was shown (its uid, revision or step changed)".to_owned()
        }
        Some(status) if status.message.is_empty() => status.reason.clone(),
        Some(status) => status.message.clone(),
        None if code.is_redirection() => {
            format!(
                "a redirect (HTTP {}) came instead, which is not followed",
                code.as_u16()
            )
        }
        None => format!(
            "HTTP {} with {} instead of an API server's answer",
            code.as_u16(),
            looks_like(headers, body)
        ),
    };
    let told = status
        .and_then(|status| status.details)
        .and_then(|details| details.retry_after_seconds)
        .map(std::time::Duration::from_secs);
    // Some refusals repeat the whole object.
    let words = redactor::redact_head(&words, WORDS);
    BackendError::new(kind, Clean::line(&format!("could not {doing}: {words}")))
        .after(retry_after(headers, now).or(told))
}

/// Whether a 422 says that the object is not the one seen.
///
/// The server does not say which operation of a JSON patch did not apply, and
/// ours can only fail at a test; a schema violation comes with causes. A merge
/// patch that names another uid violates one: uids never change.
fn has_moved(status: Option<&Status>, asked: Asked) -> bool {
    let causes = status
        .and_then(|status| status.details.as_ref())
        .and_then(|details| details.causes.as_deref())
        .unwrap_or_default();
    let is_uid = |cause: &serde_json::Value| {
        cause.get("field").and_then(serde_json::Value::as_str) == Some("metadata.uid")
    };
    match asked {
        Asked::TestedPatch => causes.is_empty(),
        Asked::Patch => causes.iter().any(is_uid),
        Asked::Read => false,
    }
}

fn kind(code: StatusCode) -> ErrorKind {
    match code.as_u16() {
        401 => ErrorKind::Unauthenticated,
        408 => ErrorKind::Timeout,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 | 410 | 412 => ErrorKind::Conflict,
        429 => ErrorKind::RateLimited,
        400..500 => ErrorKind::Rejected,
        500.. => ErrorKind::Server,
        _ => ErrorKind::Malformed,
    }
}

/// What a body is, for people, without repeating any of it.
pub(super) fn looks_like(headers: &HeaderMap, body: &[u8]) -> &'static str {
    let start = body.trim_ascii_start();
    let declared = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if start.is_empty() {
        "an empty body"
    } else if declared.contains("html") || start.starts_with(b"<") {
        "an HTML page"
    } else if declared.contains("json") || start.starts_with(b"{") {
        "broken JSON"
    } else {
        "other text"
    }
}

/// How long the server wants us to stay away: seconds or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<std::time::Duration> {
    let written = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = written.parse() {
        return Some(std::time::Duration::from_secs(seconds));
    }
    let at = chrono::DateTime::parse_from_rfc2822(written).ok()?;
    (at.to_utc() - now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: u16, body: &str, asked: Asked, kind: ErrorKind, words: &str) {
        let error = refused(
            StatusCode::from_u16(code).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
            asked,
            "patch rollout `ranker` in `recsys`",
            chrono::DateTime::UNIX_EPOCH,
        );
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(
            error.message.as_str(),
            format!("could not patch rollout `ranker` in `recsys`: {words}")
        );
    }

    /// As Kubernetes 1.34 answers a JSON patch whose `test` fails.
    const TEST_FAILED: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server rejected our request due to an error in our request","reason":"Invalid","details":{},"code":422}"#;
    const SCHEMA: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Rollout.argoproj.io \"ranker\" is invalid: spec.paused: Invalid value: \"string\"","reason":"Invalid","details":{"name":"ranker","group":"argoproj.io","kind":"Rollout","causes":[{"reason":"FieldValueTypeInvalid","message":"Invalid value","field":"spec.paused"}]},"code":422}"#;

    #[test]
    fn a_failed_test_is_told_from_a_schema_violation() {
        check(
            422,
            TEST_FAILED,
            Asked::TestedPatch,
            ErrorKind::Conflict,
            "it is no longer what was shown (its uid, revision or step changed)",
        );
        check(
            422,
            SCHEMA,
            Asked::TestedPatch,
            ErrorKind::Rejected,
            "Rollout.argoproj.io \"ranker\" is invalid: spec.paused: Invalid value: \"string\"",
        );
        // As Kubernetes 1.34 answers a merge patch that names another uid.
        check(
            422,
            r#"{"kind":"Status","message":"metadata.uid: field is immutable","reason":"Invalid","details":{"causes":[{"reason":"FieldValueInvalid","field":"metadata.uid"}]}}"#,
            Asked::Patch,
            ErrorKind::Conflict,
            "it is no longer what was shown (its uid, revision or step changed)",
        );
        check(
            422,
            TEST_FAILED,
            Asked::Patch,
            ErrorKind::Rejected,
            "the server rejected our request due to an error in our request",
        );
    }

    #[test]
    fn every_code_has_its_kind() {
        for (code, kind) in [
            (400, ErrorKind::Rejected),
            (401, ErrorKind::Unauthenticated),
            (403, ErrorKind::Forbidden),
            (404, ErrorKind::NotFound),
            (409, ErrorKind::Conflict),
            (410, ErrorKind::Conflict),
            (413, ErrorKind::Rejected),
            (429, ErrorKind::RateLimited),
            (500, ErrorKind::Server),
            (503, ErrorKind::Server),
        ] {
            check(
                code,
                r#"{"kind":"Status","message":"as said"}"#,
                Asked::Read,
                kind,
                "as said",
            );
        }
    }

    #[test]
    fn a_token_that_is_repeated_at_any_place_is_not_passed_on() {
        let token = format!("planted-86-{}", "0123456789".repeat(100));
        redactor::remember(&token);
        for before in [0, 30, WORDS - 20, WORDS - 5, WORDS] {
            let told = "y".repeat(before);
            let body =
                serde_json::json!({"kind": "Status", "message": format!("{told}{token} tail")});
            let error = refused(
                StatusCode::FORBIDDEN,
                &HeaderMap::new(),
                body.to_string().as_bytes(),
                Asked::Read,
                "list rollouts",
                chrono::DateTime::UNIX_EPOCH,
            );
            let said = error.message.as_str();
            assert!(!said.contains("planted"), "after {before}: {said}");
            assert!(
                said.starts_with(&format!("could not list rollouts: {told}")),
                "{said}"
            );
        }
    }

    #[test]
    fn a_page_of_a_proxy_is_named_and_not_repeated() {
        check(
            403,
            "<html><title>planted</title></html>",
            Asked::Patch,
            ErrorKind::Forbidden,
            "HTTP 403 with an HTML page instead of an API server's answer",
        );
        check(
            302,
            "",
            Asked::Patch,
            ErrorKind::Malformed,
            "a redirect (HTTP 302) came instead, which is not followed",
        );
    }

    #[test]
    fn the_time_to_stay_away_is_seconds_or_a_date() {
        for (written, seconds) in [("7", 7), ("Thu, 01 Jan 1970 00:00:09 GMT", 9)] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, written.parse().unwrap());
            let error = refused(
                StatusCode::TOO_MANY_REQUESTS,
                &headers,
                b"",
                Asked::Read,
                "list rollouts",
                chrono::DateTime::UNIX_EPOCH,
            );
            assert_eq!(
                error.retry_after,
                Some(std::time::Duration::from_secs(seconds))
            );
        }
    }
}
