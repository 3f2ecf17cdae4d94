//! Looks at who we are on GitHub.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    backend::{
        BackendError, ErrorKind, Focus, Poll, answered,
        github_actions::{api::Api, tempo::RARELY, wire},
    },
    domain::{
        observation::{Fact, Observation, Scope},
        permit::Identity,
        text::Clean,
    },
};

/// How our name is learnt.
const BY: &str = "GET /user";

/// Asks who the token belongs to, once in a while.
pub(super) struct Account {
    pub(super) api: Arc<Api>,
}

#[async_trait]
impl Poll for Account {
    fn scope(&self) -> Scope {
        self.api.scope("account")
    }

    fn cadence(&self, _: &Focus) -> Duration {
        RARELY
    }

    async fn poll(&mut self, _: &Focus) -> Result<Vec<Observation>, BackendError> {
        let asked = (self.api.now)();
        let identity = identify(&self.api).await?;
        let mut facts = vec![Fact::Identity(identity)];
        facts.extend(self.api.remarks());
        let now = (self.api.now)();
        Ok(vec![Observation::Batch(answered(
            self.scope(),
            asked,
            now,
            facts,
        ))])
    }
}

/// The name GitHub gives for our token. Tokens of apps and workflows are
/// nobody: they are told "no" here and work elsewhere.
pub(super) async fn identify(api: &Api) -> Result<Identity, BackendError> {
    let identity = |name, learnt_by| Identity {
        backend: api.backend.clone(),
        name,
        learnt_by,
    };
    match api.get(&api.http.url(["user"])).await {
        Ok(answer) => {
            let user: wire::User = answer.json()?;
            Ok(identity(user.login.as_deref().map(Clean::name), BY.into()))
        }
        Err(error) if error.kind == ErrorKind::Forbidden => Ok(identity(
            None,
            "GET /user: refused, as to the token of an app".into(),
        )),
        Err(error) => Err(error),
    }
}
