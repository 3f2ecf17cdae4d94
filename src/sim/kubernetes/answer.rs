//! HTTP answers: JSON, plain text, and the headers every answer has.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, DATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::sim::kubernetes::problem::Problem;

/// A JSON answer.
pub(crate) fn json(code: u16, body: &Value) -> Response {
    with_type(code, "application/json", Body::from(body.to_string()))
}

/// A plain text answer.
pub(crate) fn text(code: u16, body: impl Into<Body>) -> Response {
    with_type(code, "text/plain; charset=utf-8", body.into())
}

/// An answer of any type.
pub(crate) fn with_type(code: u16, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// A refusal.
pub(crate) fn refusal(problem: &Problem) -> Response {
    let mut response = json(problem.code, &problem.status());
    let headers = response.headers_mut();
    match problem.code {
        401 => drop(headers.insert("www-authenticate", HeaderValue::from_static("Bearer"))),
        429 => drop(headers.insert("retry-after", HeaderValue::from_static("1"))),
        _ => (),
    }
    response
}

/// Stamps an answer with the world's time.
pub(crate) fn dated(mut response: Response, now: DateTime<Utc>) -> Response {
    let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(value) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(DATE, value);
    }
    response
}
