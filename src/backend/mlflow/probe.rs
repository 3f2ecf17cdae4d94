//! Answers `doctor` about an MLflow server.

use async_trait::async_trait;

use crate::{
    backend::{
        BackendError, Check, ErrorKind, Probe,
        mlflow::{access, api::Api, map},
    },
    domain::{
        id::{BackendId, ModelId},
        text::Clean,
    },
};

/// What to do about a clock that is wrong.
const WRONG_CLOCK: &str = "set the clocks by NTP; ages are wrong by as much";

/// Looks once at everything.
pub(super) struct MlflowProbe {
    pub(super) id: BackendId,
    pub(super) api: Api,
    /// Configured models with the alias that names what serves now.
    pub(super) models: Vec<(ModelId, Clean)>,
}

#[async_trait]
impl Probe for MlflowProbe {
    async fn read_files(&self) -> Result<(), BackendError> {
        self.api.check_files().await
    }

    async fn probe(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        match self.api.health().await {
            Ok(_) => checks.push(Check::good("reach", self.api.base().as_str())),
            // Hosted servers have no such page; the next check tells.
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return vec![Check::failed("reach", &error)],
        }
        match self.api.server_version().await {
            Ok((version, answer)) => {
                checks.push(Check::good(
                    "version",
                    version.as_deref().unwrap_or("not told"),
                ));
                checks.extend(answer.skew_ms().map(|skew| Check::clock(skew, WRONG_CLOCK)));
            }
            Err(error) => {
                checks.push(Check::failed("version", &error));
                return checks;
            }
        }
        let access = match access::access(&self.api, &self.id).await {
            Ok(access) => access,
            Err(error) => {
                checks.push(Check::failed("identity", &error));
                return checks;
            }
        };
        checks.push(match &access.identity.name {
            Some(name) => Check::good("identity", name),
            None => Check::remark(
                "identity",
                "the server has no users; its records name nobody",
                "",
            ),
        });
        for (model, champion) in &self.models {
            checks.push(self.model(model, champion).await);
            let what = format!("permission set-alias {}", model.name);
            let grants = access.grants.as_ref();
            checks.push(
                match grants.and_then(|grants| map::may_set_alias(&model.name, grants)) {
                    Some(true) => Check::good(&what, "allowed"),
                    Some(false) => {
                        Check::denied(&what, "denied by a grant", "ask for EDIT on the model")
                    }
                    None => Check::remark(
                        &what,
                        "the server does not tell; it shows when an alias is moved",
                        "",
                    ),
                },
            );
        }
        checks
    }
}

impl MlflowProbe {
    async fn model(&self, model: &ModelId, champion: &Clean) -> Check {
        let what = format!("model {}", model.name);
        let found = match self.api.model(&model.name).await {
            Ok(found) => map::model(model, &found, None),
            Err(error) => return Check::failed(&what, &error),
        };
        match found.aliases.get(champion) {
            Some(version) => Check::good(&what, &format!("{champion} is {version}")),
            None => Check::remark(
                &what,
                &format!("no alias `{champion}`"),
                "a first release sets it; else check `champion` in the configuration",
            ),
        }
    }
}
