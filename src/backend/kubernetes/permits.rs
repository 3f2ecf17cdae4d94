//! What we may do, who we are, and what the server says about itself.
//!
//! Permissions are asked by access review, once for all objects of a kind in a
//! namespace and by name where that is refused, and told as facts with an end:
//! soon for what people look at, later for the rest, at once after the server
//! refused a change.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use crate::{
    backend::{
        BackendError, ErrorKind, Focus, Outlet, Stream,
        kubernetes::{
            access::{self, Answers},
            client::{Answer, Connection},
        },
    },
    domain::{
        Timestamp,
        backend::Server,
        id::TargetId,
        observation::{Basis, Batch, Fact, Observation, Scope},
        permit::Identity,
        text::Clean,
    },
};

/// How long an answer counts, and how long before its end it is asked again.
const IN_FOCUS: Duration = Duration::from_secs(60);
const ELSEWHERE: Duration = Duration::from_secs(300);
const EARLY: Duration = Duration::from_secs(10);
/// Reviews under way at once.
const AT_ONCE: usize = 4;

/// Asks about every target of one backend.
pub(super) struct Standing {
    link: Arc<Connection>,
    targets: BTreeSet<TargetId>,
}

impl Standing {
    pub(super) fn new(link: Arc<Connection>, targets: BTreeSet<TargetId>) -> Self {
        Self { link, targets }
    }

    async fn tell(
        &self,
        outlet: &Outlet,
        part: &'static str,
        asked: Timestamp,
        facts: Vec<Fact>,
    ) -> bool {
        let batch = Batch {
            scope: Scope::new(&self.link.backend, part),
            complete: true,
            basis: Basis::Asked(asked),
            at: (self.link.now)(),
            facts,
            gone: Vec::new(),
        };
        outlet.send(Observation::Batch(batch)).await.is_ok()
    }

    /// Asks for these targets' permissions; each answer counts for `valid`.
    async fn permits(&self, targets: Vec<(TargetId, Duration)>) -> Result<Vec<Fact>, BackendError> {
        let mut alike: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for due in targets {
            let kind = (due.0.namespace.clone(), due.0.kind);
            alike.entry(kind).or_default().push(due);
        }
        let mut all = Vec::new();
        for due in alike.into_values() {
            all.extend(self.permits_alike(due).await?);
        }
        Ok(all)
    }

    /// The same for targets of one kind in one namespace.
    async fn permits_alike(
        &self,
        targets: Vec<(TargetId, Duration)>,
    ) -> Result<Vec<Fact>, BackendError> {
        let of_all = match targets.as_slice() {
            [(first, _), _, ..] => access::of_all(&self.link, first).await?,
            _ => Answers::new(),
        };
        let (of_all, seen_at) = (&of_all, (self.link.now)());
        let reviews = stream::iter(targets).map(|(target, valid)| async move {
            let answers = access::answers(&self.link, &target, of_all).await?;
            let until = chrono::TimeDelta::from_std(valid)
                .ok()
                .and_then(|valid| seen_at.checked_add_signed(valid))
                .unwrap_or(Timestamp::MAX_UTC);
            Ok::<_, BackendError>(access::facts(&target, &answers, seen_at, until))
        });
        let mut all = Vec::new();
        let mut reviews = std::pin::pin!(reviews.buffer_unordered(AT_ONCE));
        while let Some(facts) = reviews.next().await {
            all.extend(facts?);
        }
        Ok(all)
    }
}

#[async_trait]
impl Stream for Standing {
    fn scope(&self) -> Scope {
        Scope::new(&self.link.backend, "permits")
    }

    async fn stream(
        &mut self,
        outlet: &Outlet,
        mut focus: watch::Receiver<Focus>,
    ) -> Result<(), BackendError> {
        let link = self.link.clone();
        // Asked early, so that no command has to wait for it.
        link.has_status().await;
        let mut asked_at: BTreeMap<TargetId, Instant> = BTreeMap::new();
        let mut introduced: Option<Instant> = None;
        loop {
            if introduced.is_none_or(|at| at + ELSEWHERE <= Instant::now()) {
                introduced = Some(Instant::now());
                let (asked, facts) = introduction(&link).await?;
                if !self.tell(outlet, "server", asked, facts).await {
                    return Ok(());
                }
            }
            let wanted = focus.borrow_and_update().clone();
            let due: Vec<(TargetId, Duration)> = self
                .targets
                .iter()
                .map(|target| (target.clone(), validity(&wanted, target)))
                .filter(|(target, valid)| {
                    let asked = asked_at.get(target);
                    asked.is_none_or(|at| *at + *valid - EARLY <= Instant::now())
                })
                .collect();
            if !due.is_empty() {
                let asked = (link.now)();
                asked_at.extend(
                    due.iter()
                        .map(|(target, _)| (target.clone(), Instant::now())),
                );
                let facts = self.permits(due).await?;
                if !self.tell(outlet, "permits", asked, facts).await {
                    return Ok(());
                }
            }
            let next = self.next_due(&wanted, &asked_at, introduced);
            tokio::select! {
                () = outlet.closed() => return Ok(()),
                () = link.denied.notified() => asked_at.clear(),
                changed = focus.changed() => if changed.is_err() {
                    return Ok(());
                },
                () = time::sleep_until(next) => {}
            }
        }
    }
}

impl Standing {
    fn next_due(
        &self,
        focus: &Focus,
        asked_at: &BTreeMap<TargetId, Instant>,
        introduced: Option<Instant>,
    ) -> Instant {
        let now = Instant::now();
        let targets = self.targets.iter().map(|target| {
            let asked = asked_at.get(target).copied().unwrap_or(now);
            asked + validity(focus, target) - EARLY
        });
        targets
            .chain(introduced.map(|at| at + ELSEWHERE))
            .min()
            .unwrap_or(now + ELSEWHERE)
    }
}

fn validity(focus: &Focus, target: &TargetId) -> Duration {
    let looked_at = focus.target.as_ref() == Some(target) || focus.urgent.contains(&target.backend);
    if looked_at && !focus.away {
        IN_FOCUS
    } else {
        ELSEWHERE
    }
}

/// Who we are there and what the server is.
pub(super) async fn introduction(
    link: &Connection,
) -> Result<(Timestamp, Vec<Fact>), BackendError> {
    let version = link.get("/version", "ask for the server's version").await?;
    let server = Fact::Server(server(&version));
    let identity = Fact::Identity(identity(link).await?);
    Ok((version.asked, vec![server, identity]))
}

/// What the server says about itself.
pub(super) fn server(answer: &Answer) -> Server {
    let version = answer.body.get("gitVersion").and_then(Value::as_str);
    Server {
        version: version.map_or_else(|| "unknown".into(), Clean::name),
        skew_ms: answer.date.map(|date| skew(date, answer.asked, answer.at)),
    }
}

/// The server's clock minus ours, as far as one answer can tell. Its date has
/// whole seconds, so anything below one second is nothing.
fn skew(date: Timestamp, asked: Timestamp, at: Timestamp) -> i64 {
    let middle = asked + (at - asked) / 2;
    let apart = (date - middle).num_milliseconds() + 500;
    let unsure = 500 + (at - asked).num_milliseconds() / 2;
    if apart.abs() <= unsure { 0 } else { apart }
}

/// The name the server gives for our credentials.
pub(super) async fn identity(link: &Connection) -> Result<Identity, BackendError> {
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let asked = link
        .review(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            &body,
            "ask who we are",
        )
        .await;
    let (name, learnt_by) = match asked {
        Ok(answer) => {
            let name = answer
                .body
                .pointer("/status/userInfo/username")
                .and_then(Value::as_str);
            (name.map(Clean::name), "SelfSubjectReview")
        }
        // Older than 1.28, or closed: the name stays unknown.
        Err(error)
            if matches!(
                error.kind,
                ErrorKind::NotFound | ErrorKind::Forbidden | ErrorKind::Rejected
            ) =>
        {
            (None, "SelfSubjectReview is not served")
        }
        Err(error) => return Err(error),
    };
    Ok(Identity {
        backend: link.backend.clone(),
        name,
        learnt_by: learnt_by.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_apart_only_beyond_what_a_date_can_tell() {
        let at = |millis| chrono::DateTime::from_timestamp_millis(millis).unwrap();
        // Asked at 10.2 s, answered at 10.4 s, dated 10 s: as good as equal.
        assert_eq!(skew(at(10_000), at(10_200), at(10_400)), 0);
        assert_eq!(skew(at(70_000), at(10_200), at(10_400)), 60_200);
        assert_eq!(skew(at(5_000), at(10_200), at(10_400)), -4_800);
    }
}
