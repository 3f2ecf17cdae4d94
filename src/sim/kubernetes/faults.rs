//! Trouble on demand, and the record of what was asked to be changed.
//!
//! A fault sits in front of everything: while it is set no request is
//! answered well, and open watches end (or fall silent, for a hang).

use axum::body::{Body, Bytes};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::sim::kubernetes::answer;
use crate::sim::kubernetes::managed::stamp;
use crate::sim::kubernetes::problem::Problem;

/// What is wrong with the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Every request is answered with this code and a `Status` body.
    Status(u16),
    /// Every request is answered 200 with a login page, as proxies do.
    Html,
    /// No request is answered until the fault is taken away.
    Hang,
    /// The connection breaks instead of an answer.
    Reset,
    /// The request is carried out, then the connection breaks.
    LostAnswer,
}

/// A mutating request as it was received.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// When it arrived.
    pub time: DateTime<Utc>,
    /// Whose token it carried; empty when unknown.
    pub user: String,
    /// The HTTP method.
    pub verb: String,
    /// Path and query.
    pub path: String,
    /// The content type as sent.
    pub content_type: String,
    /// The body as sent; bytes that are no UTF-8 are replaced.
    pub body: String,
    /// The code it was answered with; `None` while it is unanswered or was cut.
    pub status: Option<u16>,
}

impl Recorded {
    pub(crate) fn json(&self) -> Value {
        json!({
            "time": stamp(self.time),
            "user": self.user,
            "verb": self.verb,
            "path": self.path,
            "contentType": self.content_type,
            "body": self.body,
            "status": self.status,
        })
    }
}

const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\
    <body><h1>Sign in to continue</h1></body></html>\n";

/// Waits out a hang, then gives the answer of the fault if one is set.
///
/// When the client goes away meanwhile the wait is dropped with its request,
/// so a request that hung is carried out only for a client still there.
pub(crate) async fn gate(faults: &mut watch::Receiver<Option<Fault>>) -> Option<Response> {
    loop {
        let fault = *faults.borrow_and_update();
        match fault {
            None | Some(Fault::LostAnswer) => return None,
            Some(Fault::Status(code)) => return Some(answer::refusal(&Problem::trouble(code))),
            Some(Fault::Html) => {
                let page = Body::from(LOGIN_PAGE);
                return Some(answer::with_type(200, "text/html; charset=utf-8", page));
            }
            Some(Fault::Reset) => return Some(broken()),
            Some(Fault::Hang) => {
                if faults.changed().await.is_err() {
                    return None;
                }
            }
        }
    }
}

/// An answer whose connection breaks before it is whole.
pub(crate) fn broken() -> Response {
    let cut = stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
    answer::with_type(200, "application/json", Body::from_stream(cut))
}
