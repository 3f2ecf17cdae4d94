//! Reads who we are on the server, what we may, and what it is.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    backend::{
        BackendError, Focus, Now, Poll, answered,
        mlflow::{api::Api, denials::Denials, map, wire},
    },
    domain::{
        Timestamp,
        action::{ActionKind, Subject},
        backend::Server,
        id::{BackendId, ModelId},
        observation::{Fact, Observation, Scope},
        permit::{Identity, Permit},
        text::Clean,
    },
};

/// How long a permission counts, as long as a refusal: what is learnt later
/// then always counts longer.
const COUNTS: Duration = Duration::from_secs(60);
/// The request that tells who we are.
const LEARNT_BY: &str = "GET users/current";

/// The feed about ourselves.
pub(super) struct AccessPoll {
    pub(super) id: BackendId,
    pub(super) api: Api,
    pub(super) models: Vec<ModelId>,
    pub(super) denials: Arc<Denials>,
    pub(super) now: Now,
    pub(super) cadence: Duration,
}

/// What the server says about our credentials.
pub(super) struct Access {
    pub(super) identity: Identity,
    /// What we were granted; `None` where the server does not tell.
    pub(super) grants: Option<wire::GrantsAnswer>,
}

/// Asks who we are and what we were granted.
///
/// # Errors
///
/// Our credentials are refused, or the server did not answer.
pub(super) async fn access(api: &Api, id: &BackendId) -> Result<Access, BackendError> {
    let user = api.user().await?;
    let grants = match &user {
        // A server without users says nothing about anybody.
        None => None,
        Some(user) if user.is_admin => Some(wire::GrantsAnswer {
            is_admin: true,
            permissions: Vec::new(),
        }),
        Some(_) => api.grants().await?,
    };
    let identity = Identity {
        backend: id.clone(),
        name: user.map(|user| Clean::name(&user.username)),
        learnt_by: LEARNT_BY.into(),
    };
    Ok(Access { identity, grants })
}

impl AccessPoll {
    fn permit(&self, model: &ModelId, access: &Access, now: Timestamp) -> Option<Permit> {
        // What the server did weighs more than what it says.
        if let Some(denied) = self.denials.permit(model, now) {
            return Some(denied);
        }
        let allowed = map::may_set_alias(&model.name, access.grants.as_ref()?)?;
        let why = if allowed {
            Clean::default()
        } else {
            Clean::line(&format!("denied on model {} by a grant", model.name))
        };
        Some(Permit {
            subject: Subject::Model(model.clone()),
            kind: ActionKind::SetAlias,
            allowed,
            why,
            seen_at: now,
            until: now + COUNTS,
        })
    }
}

#[async_trait]
impl Poll for AccessPoll {
    fn scope(&self) -> Scope {
        Scope::new(&self.id, "access")
    }

    fn cadence(&self, _focus: &Focus) -> Duration {
        self.cadence
    }

    async fn poll(&mut self, _focus: &Focus) -> Result<Vec<Observation>, BackendError> {
        let asked = (self.now)();
        let (version, answer) = self.api.server_version().await?;
        let access = access(&self.api, &self.id).await?;
        let at = (self.now)();
        let mut facts = vec![Fact::Identity(access.identity.clone())];
        facts.extend(version.map(|version| {
            Fact::Server(Server {
                version,
                skew_ms: answer.skew_ms(),
            })
        }));
        let permits = self
            .models
            .iter()
            .filter_map(|model| self.permit(model, &access, at));
        facts.extend(permits.map(Fact::Permit));
        Ok(vec![Observation::Batch(answered(
            self.scope(),
            asked,
            at,
            facts,
        ))])
    }
}
