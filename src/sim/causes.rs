//! `POST /sim/causes`: what a script can make happen, made to happen at once.
//!
//! The body is one moment of a scenario without its time, as JSON. For drivers
//! that play a case step by step and wait for what follows; the same cause in a
//! scenario comes at a time that was fixed beforehand.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use serde_json::Value;
use tokio::sync::Notify;

use crate::sim::{cause::Cause, scenario};

/// Causes that were asked for and have not happened yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inbox {
    waiting: Arc<Mutex<Vec<Cause>>>,
}

impl Inbox {
    /// What has come in since the last time, oldest first.
    pub(crate) fn take(&self) -> Vec<Cause> {
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, cause: Cause) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(cause);
    }
}

/// The one path, for a server to serve beside its own. `bell` wakes who reads the inbox.
pub(crate) fn router(inbox: Inbox, bell: Arc<Notify>) -> Router {
    Router::new()
        .route("/sim/causes", post(ask))
        .with_state((inbox, bell))
}

async fn ask(
    State((inbox, bell)): State<(Inbox, Arc<Notify>)>,
    body: String,
) -> (StatusCode, String) {
    let parsed = serde_json::from_str::<Value>(&body).map_err(|error| error.to_string());
    match parsed.and_then(scenario::cause) {
        Ok(cause) => {
            inbox.put(cause);
            bell.notify_one();
            (StatusCode::ACCEPTED, String::new())
        }
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")),
    }
}
