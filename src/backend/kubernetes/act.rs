//! Sends orders: at most one change each, never repeated.
//!
//! What a request cannot test by itself (a Deployment does not carry its
//! revision's hash, promoting needs two hashes to differ) is read just before;
//! an order that no longer fits is refused without a request.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    backend::{
        BackendError, ErrorKind, RolloutControls,
        kubernetes::{
            client::{Connection, Patch},
            command,
            encode::segment,
            kind::{Family, Kind},
            patch::{self, Draft, Part, same_object, set},
            phase, undo, wire,
        },
    },
    domain::{
        action::{Preview, Receipt, RolloutAction, RolloutOrder},
        id::{TargetId, TargetKind},
        text::Clean,
    },
};

/// Rollouts and Deployments of one cluster.
pub(super) struct Rollouts {
    link: Arc<Connection>,
}

impl Rollouts {
    pub(super) fn new(link: Arc<Connection>) -> Self {
        Self { link }
    }
}

#[async_trait]
impl RolloutControls for Rollouts {
    fn preview(&self, order: &RolloutOrder) -> Preview {
        self.link.open_ahead();
        let has_status = self.link.known_status().unwrap_or(true);
        let (patch, words) = match patch::draft(order, has_status) {
            Draft::Ready(patch) => (patch, None),
            Draft::AfterReading(words) => match order.action {
                RolloutAction::PromoteFull => (patch::promote_full(order), None),
                RolloutAction::Resume => (
                    patch::tested(order, Part::Main, vec![set("/spec/paused", false)]),
                    Some(words),
                ),
                _ => (patch::tested(order, Part::Main, Vec::new()), Some(words)),
            },
            Draft::Impossible(words) => (patch::tested(order, Part::Main, Vec::new()), Some(words)),
        };
        Preview {
            method: "PATCH",
            path: Clean::line(&patch.path),
            content_type: patch.content_type,
            body: words.map_or_else(|| Clean::line(&patch.body.to_string()), Clean::from),
            check: patch::check(order, has_status),
            command: Clean::line(&command::by_hand(&self.link.settings, order, &patch)),
        }
    }

    async fn send(&self, order: &RolloutOrder) -> Result<Receipt, BackendError> {
        // Only what would go to `/status` depends on whether there is one.
        let has_status = match order.action {
            RolloutAction::Continue
            | RolloutAction::Switch { .. }
            | RolloutAction::Skip { .. }
            | RolloutAction::PromoteFull
            | RolloutAction::Abort
            | RolloutAction::Retry { .. } => self.link.has_status().await,
            RolloutAction::Hold
            | RolloutAction::Resume
            | RolloutAction::Undo { .. }
            | RolloutAction::Restart { .. }
            | RolloutAction::Nudge { .. } => true,
        };
        let patch = match patch::draft(order, has_status) {
            Draft::Ready(patch) => patch,
            Draft::AfterReading(_) => self.prepare(order).await?,
            Draft::Impossible(words) => {
                return Err(BackendError::new(ErrorKind::Rejected, Clean::from(words)));
            }
        };
        let answer = self.link.patch(&patch).await?;
        let version = answer
            .body
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
            .and_then(|version| version.parse().ok());
        Ok(Receipt {
            status: answer.status,
            version,
            note: Clean::default(),
        })
    }
}

impl Rollouts {
    /// Reads what the request is made of.
    async fn prepare(&self, order: &RolloutOrder) -> Result<Patch, BackendError> {
        let object = self.read(&order.target).await?;
        same(
            &order.target,
            "uid",
            object.pointer("/metadata/uid"),
            Some(&order.seen.uid),
        )?;
        match (order.target.kind, &order.action) {
            (TargetKind::Rollout, RolloutAction::Undo { hash }) => {
                self.undo_rollout(order, &object, hash).await
            }
            (TargetKind::Rollout, _) => promote_full(order, object),
            (TargetKind::Deployment, RolloutAction::Undo { hash }) => {
                self.undo_deployment(order, &object, hash).await
            }
            (TargetKind::Deployment, _) => {
                self.shown_template(order, &object).await?;
                let operations = vec![same_generation(&object), set("/spec/paused", false)];
                Ok(patch::tested(order, Part::Main, operations))
            }
        }
    }

    async fn read(&self, target: &TargetId) -> Result<Value, BackendError> {
        let kind = Family::from(target.kind).primary();
        let path = format!(
            "{}/{}",
            kind.collection(&target.namespace),
            segment(&target.name)
        );
        let doing = format!(
            "get {} `{}` in `{}`",
            kind.plural(),
            target.name,
            target.namespace
        );
        Ok(self.link.get(&path, &doing).await?.body)
    }

    /// The ReplicaSet of this hash that belongs to the object with this uid.
    async fn set_of(&self, order: &RolloutOrder, hash: &str) -> Result<Value, BackendError> {
        let namespace = &order.target.namespace;
        let (kind, label) = match order.target.kind {
            TargetKind::Rollout => (Kind::RolloutSets, super::rollouts::HASH),
            TargetKind::Deployment => (Kind::DeploymentSets, super::deployments::HASH),
        };
        let path = format!(
            "{}?labelSelector={label}%3D{}",
            kind.collection(namespace),
            segment(hash)
        );
        let doing = format!("list replicasets in `{namespace}`");
        let mut answer = self.link.get(&path, &doing).await?;
        let items = answer.body.get_mut("items").map(Value::take);
        let owned = |item: &Value| {
            let owners = item
                .pointer("/metadata/ownerReferences")
                .and_then(Value::as_array);
            owners.into_iter().flatten().any(|owner| {
                owner.get("uid").and_then(Value::as_str) == Some(order.seen.uid.as_str())
            })
        };
        let found = match items {
            Some(Value::Array(items)) => items.into_iter().find(owned),
            _ => None,
        };
        found.ok_or_else(|| {
            BackendError::new(
                ErrorKind::NotFound,
                Clean::line(&format!(
                    "revision {hash} of {} is not kept any more: no ReplicaSet has its hash",
                    order.target
                )),
            )
        })
    }

    async fn undo_rollout(
        &self,
        order: &RolloutOrder,
        object: &Value,
        hash: &str,
    ) -> Result<Patch, BackendError> {
        let current = object.pointer("/status/currentPodHash");
        same(
            &order.target,
            "revision",
            current,
            order.seen.pod_hash.as_ref(),
        )?;
        // The template in the spec lacks the defaults of the kept one, so only
        // the hash tells whether they are the same.
        let read = read_rollout(order, object.clone())?;
        if phase::is_observed(&read) && read.status.current_pod_hash.as_deref() == Some(hash) {
            return Err(already(&order.target));
        }
        let set = self.set_of(order, hash).await?;
        let template = undo::rollout_template(&set).ok_or_else(|| no_template(order, hash))?;
        let Some(reference) = object
            .pointer("/spec/workloadRef")
            .filter(|it| it.is_object())
        else {
            let replace = json!({"op": "replace", "path": "/spec/template", "value": template});
            return Ok(patch::tested(order, Part::Main, vec![replace]));
        };
        self.undo_workload(order, reference, &template).await
    }

    /// With a workload reference the template lives in another object.
    async fn undo_workload(
        &self,
        order: &RolloutOrder,
        reference: &Value,
        template: &Value,
    ) -> Result<Patch, BackendError> {
        let text = |key: &str| {
            reference
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (kind, name) = (text("kind"), text("name"));
        let namespace = segment(&order.target.namespace);
        let (collection, plural, place) = match kind {
            "Deployment" => ("/apis/apps/v1", "deployments", "/spec/template"),
            "ReplicaSet" => ("/apis/apps/v1", "replicasets", "/spec/template"),
            "PodTemplate" => ("/api/v1", "podtemplates", "/template"),
            _ => {
                return Err(BackendError::new(
                    ErrorKind::Rejected,
                    Clean::line(&format!(
                        "{} takes its template from {kind} `{name}`, which gonogo cannot change",
                        order.target
                    )),
                ));
            }
        };
        let path = format!(
            "{collection}/namespaces/{namespace}/{plural}/{}",
            segment(name)
        );
        let place_words = format!("{plural} `{name}` in `{}`", order.target.namespace);
        let workload = self
            .link
            .get(&path, &format!("get {place_words}"))
            .await?
            .body;
        let uid = workload.pointer("/metadata/uid").and_then(Value::as_str);
        let body = json!([
            same_object(uid.unwrap_or_default()),
            same_generation(&workload),
            {"op": "replace", "path": place, "value": template},
        ]);
        Ok(Patch {
            path: format!("{path}?fieldManager=gonogo"),
            content_type: patch::JSON_PATCH,
            body,
            doing: format!("patch {place_words}"),
        })
    }

    async fn undo_deployment(
        &self,
        order: &RolloutOrder,
        object: &Value,
        hash: &str,
    ) -> Result<Patch, BackendError> {
        if object.pointer("/spec/paused").and_then(Value::as_bool) == Some(true) {
            return Err(moved(
                &order.target,
                "it is held; continue it first, then roll back",
            ));
        }
        self.shown_template(order, object).await?;
        let set_to = self.set_of(order, hash).await?;
        let template =
            undo::deployment_template(&set_to).ok_or_else(|| no_template(order, hash))?;
        let now = object.pointer("/spec/template");
        if now.is_some_and(|now| undo::same_template(now, &template)) {
            return Err(already(&order.target));
        }
        let annotations = undo::deployment_annotations(object, &set_to);
        let operations = vec![
            same_generation(object),
            json!({"op": "replace", "path": "/spec/template", "value": template}),
            set("/metadata/annotations", annotations),
        ];
        Ok(patch::tested(order, Part::Main, operations))
    }

    /// Refuses a Deployment whose template is not that of the revision shown.
    async fn shown_template(
        &self,
        order: &RolloutOrder,
        object: &Value,
    ) -> Result<(), BackendError> {
        let Some(hash) = &order.seen.pod_hash else {
            return Ok(());
        };
        let shown = self.set_of(order, hash).await?;
        let same = object
            .pointer("/spec/template")
            .zip(shown.pointer("/spec/template"))
            .is_some_and(|(now, shown)| undo::same_template(now, shown));
        if same {
            Ok(())
        } else {
            Err(moved(
                &order.target,
                "its template is not that of the revision shown",
            ))
        }
    }
}

/// Promoting to full does nothing, silently, before the controller has seen a
/// new template: the hashes are still equal then.
fn promote_full(order: &RolloutOrder, object: Value) -> Result<Patch, BackendError> {
    let rollout = read_rollout(order, object)?;
    if !phase::is_observed(&rollout) {
        return Err(moved(
            &order.target,
            "its controller has not seen the newest spec yet; promoting now would be lost",
        ));
    }
    let status = &rollout.status;
    // Wanting the stable revision back leaves users on the one they were
    // switched to, until it is promoted.
    let has_users = rollout.spec.strategy.blue_green.is_none()
        || status.blue_green.active_selector == status.current_pod_hash;
    if status.current_pod_hash == status.stable_rs && has_users {
        return Err(moved(&order.target, "it is fully promoted already"));
    }
    Ok(patch::promote_full(order))
}

fn read_rollout(order: &RolloutOrder, object: Value) -> Result<wire::Rollout, BackendError> {
    serde_json::from_value(object).map_err(|error| {
        BackendError::new(
            ErrorKind::Malformed,
            Clean::line(&format!("{} cannot be read: {error}", order.target)),
        )
    })
}

fn moved(target: &TargetId, words: &str) -> BackendError {
    BackendError::new(
        ErrorKind::Conflict,
        Clean::line(&format!("{target} was left alone: {words}")),
    )
}

/// Refuses what is not what the giver saw.
fn same(
    target: &TargetId,
    what: &str,
    found: Option<&Value>,
    seen: Option<&Clean>,
) -> Result<(), BackendError> {
    let found = found.and_then(Value::as_str);
    match seen {
        Some(seen) if found != Some(seen.as_str()) => Err(moved(
            target,
            &format!("it has another {what} than was shown"),
        )),
        _ => Ok(()),
    }
}

/// Nothing is sent for what is there already.
fn already(target: &TargetId) -> BackendError {
    moved(target, "its spec holds this revision already")
}

/// A test that fails when the spec was changed after it was read.
fn same_generation(object: &Value) -> Value {
    let generation = object.pointer("/metadata/generation").cloned();
    json!({"op": "test", "path": "/metadata/generation", "value": generation})
}

fn no_template(order: &RolloutOrder, hash: &str) -> BackendError {
    BackendError::new(
        ErrorKind::Malformed,
        Clean::line(&format!(
            "revision {hash} of {} has no template",
            order.target
        )),
    )
}
