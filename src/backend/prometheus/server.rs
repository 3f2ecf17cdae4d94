//! Reads what the server says about itself.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    backend::{BackendError, Focus, Now, Poll, answered, prometheus::api::Api},
    domain::{
        backend::Server,
        id::BackendId,
        observation::{Fact, Observation, Scope},
    },
};

/// The feed about the server itself.
pub(super) struct ServerPoll {
    pub(super) id: BackendId,
    pub(super) api: Arc<Api>,
    pub(super) now: Now,
    pub(super) cadence: Duration,
}

#[async_trait]
impl Poll for ServerPoll {
    fn scope(&self) -> Scope {
        Scope::new(&self.id, "server")
    }

    fn cadence(&self, _focus: &Focus) -> Duration {
        self.cadence
    }

    async fn poll(&mut self, _focus: &Focus) -> Result<Vec<Observation>, BackendError> {
        let asked = (self.now)();
        let (version, answer) = self.api.version().await?;
        let facts = version.map(|version| {
            Fact::Server(Server {
                version,
                skew_ms: answer.skew_ms(),
            })
        });
        let facts = facts.into_iter().collect();
        let batch = answered(self.scope(), asked, (self.now)(), facts);
        Ok(vec![Observation::Batch(batch)])
    }
}
