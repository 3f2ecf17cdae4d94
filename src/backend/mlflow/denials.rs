//! What the server refused us lately.
//!
//! MLflow has no way to ask "may I?" that holds for every way of signing in,
//! so a refusal of the act itself is the surest answer there is. It counts for
//! a minute; afterwards somebody may have granted what was missing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::domain::{
    Timestamp,
    action::{ActionKind, Subject},
    id::ModelId,
    permit::Permit,
    text::Clean,
};

/// How long a refusal counts.
const COUNTS: Duration = Duration::from_secs(60);

/// Refusals by model, shared by whoever acts and whoever tells facts.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<BTreeMap<Clean, (Timestamp, Clean)>>);

impl Denials {
    /// The server refused to move an alias of this model.
    pub(super) fn note(&self, model: &ModelId, at: Timestamp, why: Clean) {
        let mut denied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        denied.insert(model.name.clone(), (at, why));
    }

    /// The server let us move one.
    pub(super) fn forget(&self, model: &ModelId) {
        let mut denied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        denied.remove(&model.name);
    }

    /// The refusal that still counts, as a fact.
    pub(super) fn permit(&self, model: &ModelId, now: Timestamp) -> Option<Permit> {
        let denied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, why) = denied.get(&model.name)?;
        let until = *at + COUNTS;
        (now < until).then(|| Permit {
            subject: Subject::Model(model.clone()),
            kind: ActionKind::SetAlias,
            allowed: false,
            why: why.clone(),
            seen_at: *at,
            until,
        })
    }
}
