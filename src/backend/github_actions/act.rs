//! Approves, rejects, reruns, cancels and dispatches.
//!
//! GitHub's mutations carry no precondition, so what the giver saw is read
//! again right before: attempt, commit, and that the environment still waits.
//! Reads may be repeated, the one mutating request is not. Accepted is not
//! done: every answer here comes long before the effect.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    backend::{
        ApprovalControls, BackendError, ErrorKind, RunControls,
        github_actions::{
            api::{self, Api},
            map, wire,
        },
        http::{Answer, Body},
    },
    domain::{
        action::{ApprovalOrder, Preview, Receipt, RunAction, RunOrder, Say},
        id::RunId,
        text::Clean,
    },
};

/// Carries out orders to one GitHub.
pub(super) struct Act {
    pub(super) api: Arc<Api>,
}

/// One request that changes something.
struct Request {
    url: Url,
    body: Body,
}

impl Act {
    fn answer(&self, order: &ApprovalOrder) -> Request {
        let state = match order.answer {
            Say::Yes => "approved",
            Say::No => "rejected",
        };
        // The field must be there; whether it may be empty is not said.
        let comment = match order.comment.as_str() {
            "" => "answered from gonogo",
            comment => comment,
        };
        let run = &order.approval.run;
        Request {
            url: self.api.in_run(run, &["pending_deployments"]),
            body: Body::Json(json!({
                "environment_ids": [order.approval.environment],
                "state": state,
                "comment": comment,
            })),
        }
    }

    fn run(&self, order: &RunOrder) -> Result<Request, BackendError> {
        let on_run = |verb: &str| match &order.run {
            Some(run) => Ok(Request {
                url: self.api.in_run(run, &[verb]),
                body: Body::Empty,
            }),
            None => Err(BackendError::new(
                ErrorKind::Rejected,
                "the order names no run",
            )),
        };
        match &order.action {
            RunAction::RerunAll => on_run("rerun"),
            RunAction::RerunFailed => on_run("rerun-failed-jobs"),
            RunAction::Cancel => on_run("cancel"),
            RunAction::Dispatch { reference, inputs } => {
                let mut body = Map::new();
                body.insert("ref".to_owned(), reference.as_str().into());
                if !inputs.is_empty() {
                    let inputs: Map<String, Value> = inputs
                        .iter()
                        .map(|(name, value)| (name.to_string(), value.as_str().into()))
                        .collect();
                    body.insert("inputs".to_owned(), inputs.into());
                }
                // Servers of an enterprise's own refuse fields they do not know.
                if !self.api.is_enterprise() {
                    body.insert("return_run_details".to_owned(), true.into());
                }
                Ok(Request {
                    url: self.api.in_workflow(&order.pipeline, &["dispatches"]),
                    body: Body::Json(body.into()),
                })
            }
        }
    }

    async fn send(&self, request: Request) -> Result<Answer, BackendError> {
        let Request { url, body } = request;
        self.api.http.send_once(Method::POST, &url, &body).await
    }

    /// The run as it is now.
    async fn look(&self, run: &RunId) -> Result<wire::Run, BackendError> {
        self.api.get(&self.api.in_run(run, &[])).await?.json()
    }

    /// The environment still waits, for the attempt and commit the giver saw,
    /// and our user may answer.
    async fn check_approval(&self, order: &ApprovalOrder) -> Result<(), BackendError> {
        let run = &order.approval.run;
        let now = self.look(run).await?;
        if now.attempt() != order.seen.attempt {
            return Err(moved(&format!(
                "run {run} is at attempt {} now, you saw {}",
                now.attempt(),
                order.seen.attempt
            )));
        }
        if !now.head_sha.eq_ignore_ascii_case(&order.seen.head_sha) {
            return Err(moved(&format!("run {run} is about another commit now")));
        }
        let url = self.api.in_run(run, &["pending_deployments"]);
        let waiting = self.api.list(url, usize::MAX, api::bare).await?;
        let waiting: Vec<wire::Pending> = waiting.items;
        let wanted = waiting
            .iter()
            .find(|pending| pending.environment.id == order.approval.environment);
        let name = |pending: &wire::Pending| pending.environment.name.clone().unwrap_or_default();
        let Some(pending) = wanted.filter(|pending| name(pending) == *order.seen.environment)
        else {
            return Err(moved(&format!(
                "`{}` does not wait for an answer any more",
                order.seen.environment
            )));
        };
        if pending.current_user_can_approve == Some(false) {
            return Err(BackendError::new(
                ErrorKind::Forbidden,
                Clean::line(&format!(
                    "nothing was sent: this user may not answer for `{}`; reviewers: {}",
                    order.seen.environment,
                    map::reviewers(pending)
                        .iter()
                        .map(Clean::as_str)
                        .collect::<Vec<_>>()
                        .join(", ")
                )),
            ));
        }
        Ok(())
    }

    /// The run is at the attempt the giver saw, and there is something to do.
    async fn check_run(&self, order: &RunOrder) -> Result<(), BackendError> {
        let (Some(run), ends) = (&order.run, order.action == RunAction::Cancel) else {
            return Ok(());
        };
        let now = self.look(run).await?;
        if now.attempt() != order.seen_attempt {
            return Err(moved(&format!(
                "run {run} is at attempt {} now, you saw {}",
                now.attempt(),
                order.seen_attempt
            )));
        }
        match (ends, now.is_completed()) {
            (true, true) => Err(moved(&format!("run {run} has ended already"))),
            (false, false) => Err(moved(&format!("run {run} has not ended yet"))),
            (true, false) | (false, true) => Ok(()),
        }
    }

    /// A command that does the same by hand: `gh`, or `curl` where the server
    /// speaks plain HTTP, which `gh` does not.
    fn command(&self, request: &Request) -> Clean {
        let base = self.api.http.base();
        let body = match &request.body {
            Body::Json(body) => body.to_string(),
            Body::Empty | Body::Form(_) => String::new(),
        };
        let data = |flags: &str| match body.as_str() {
            "" => String::new(),
            body => format!("{flags} {}", quoted(body)),
        };
        if base.scheme() == "http" {
            return Clean::block(&format!(
                "curl -X POST -H \"Authorization: Bearer $GITHUB_TOKEN\"{} {}",
                data(" -d"),
                quoted(request.url.as_str())
            ));
        }
        let host = base.host_str().unwrap_or_default();
        let host = match host.strip_prefix("api.") {
            Some("github.com") => String::new(),
            Some(tenant) => format!(" --hostname {tenant}"),
            None => format!(" --hostname {host}"),
        };
        let prefix = base.path().trim_end_matches('/');
        let path = request.url.path();
        let path = path.strip_prefix(prefix).unwrap_or(path);
        let path = path.trim_start_matches('/');
        let pipe = match body.as_str() {
            "" => String::new(),
            body => format!("printf %s {} | ", quoted(body)),
        };
        let input = if pipe.is_empty() { "" } else { " --input -" };
        Clean::block(&format!(
            "{pipe}gh api{host} --method POST {}{input}",
            quoted(path)
        ))
    }

    fn preview(&self, request: &Request, check: Clean) -> Preview {
        Preview {
            method: "POST",
            path: Clean::line(request.url.path()),
            content_type: "application/json",
            body: match &request.body {
                Body::Json(body) => Clean::block(&body.to_string()),
                Body::Empty | Body::Form(_) => Clean::default(),
            },
            check,
            command: self.command(request),
        }
    }
}

#[async_trait]
impl ApprovalControls for Act {
    fn preview(&self, order: &ApprovalOrder) -> Preview {
        let seen = &order.seen;
        let check = format!(
            "read right before: attempt {}, commit {}, `{}` still waits",
            seen.attempt, seen.head_sha, seen.environment
        );
        self.preview(&self.answer(order), Clean::line(&check))
    }

    async fn send(&self, order: &ApprovalOrder) -> Result<Receipt, BackendError> {
        self.check_approval(order).await?;
        let answer = Act::send(self, self.answer(order)).await?;
        Ok(receipt(&answer, Clean::default()))
    }
}

#[async_trait]
impl RunControls for Act {
    fn preview(&self, order: &RunOrder) -> Preview {
        let check = match order.action {
            RunAction::Dispatch { .. } => "none: GitHub starts what it is told".to_owned(),
            RunAction::RerunAll | RunAction::RerunFailed => {
                format!("read right before: attempt {}, ended", order.seen_attempt)
            }
            RunAction::Cancel => {
                format!(
                    "read right before: attempt {}, not ended",
                    order.seen_attempt
                )
            }
        };
        match self.run(order) {
            Ok(request) => self.preview(&request, Clean::line(&check)),
            // The order will be refused; the sheet says why instead of what.
            Err(error) => Preview {
                method: "POST",
                path: Clean::default(),
                content_type: "application/json",
                body: Clean::default(),
                check: error.message,
                command: Clean::default(),
            },
        }
    }

    async fn send(&self, order: &RunOrder) -> Result<Receipt, BackendError> {
        let request = self.run(order)?;
        self.check_run(order).await?;
        let answer = Act::send(self, request).await?;
        // Reruns and cancels answer `{}`, `null` or nothing: not worth reading.
        let note = match (&order.action, answer.json::<wire::Dispatched>()) {
            (RunAction::Dispatch { .. }, Ok(made)) => {
                self.api.note_started(&order.pipeline, made.workflow_run_id);
                Clean::line(&format!("run {}", made.workflow_run_id))
            }
            _ => Clean::default(),
        };
        Ok(receipt(&answer, note))
    }
}

fn receipt(answer: &Answer, note: Clean) -> Receipt {
    Receipt {
        status: answer.status.as_u16(),
        version: None,
        note,
    }
}

fn moved(why: &str) -> BackendError {
    let words = format!("nothing was sent: {why}");
    BackendError::new(ErrorKind::Conflict, Clean::line(&words))
}

/// As one word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
