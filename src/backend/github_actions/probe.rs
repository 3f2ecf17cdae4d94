//! Answers `doctor` about one GitHub.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    backend::{
        BackendError, Check, CheckResult, ErrorKind, Probe,
        github_actions::{account, api::Api, permits::Access, wire},
    },
    domain::{id::PipelineId, text::Clean},
};

/// Clocks further apart than this make ages and waits wrong.
const SKEW_MS: i64 = 5_000;

/// Looks at one GitHub and at what the configuration names there.
pub(super) struct Doctor {
    pub(super) api: Arc<Api>,
    pub(super) pipelines: Vec<PipelineId>,
}

#[async_trait]
impl Probe for Doctor {
    async fn read_files(&self) -> Result<(), BackendError> {
        self.api.http.check_files().await
    }

    async fn probe(&self) -> Vec<Check> {
        let identity = match account::identify(&self.api).await {
            Ok(identity) => identity,
            Err(error) => return vec![failed("reach".into(), &error)],
        };
        let host = self.api.http.base().host_str().unwrap_or_default();
        let mut checks = vec![good("reach", Clean::line(&format!("{host} answers")))];
        checks.push(self.version());
        checks.push(self.clock());
        checks.push(match identity.name {
            Some(name) => good("identity", name),
            None => check(
                "identity".into(),
                CheckResult::Remark,
                identity.learnt_by,
                "approving needs the token of a person",
            ),
        });
        checks.push(self.scopes());
        for pipeline in &self.pipelines {
            checks.extend(self.pipeline(pipeline).await);
        }
        checks
    }
}

impl Doctor {
    fn version(&self) -> Check {
        let learnt = self.api.learnt();
        let version = match learnt.enterprise {
            Some(version) => Clean::line(&format!("GitHub Enterprise Server {version}")),
            None => "GitHub".into(),
        };
        match learnt.sunset {
            Some(sunset) => check(
                "version".into(),
                CheckResult::Remark,
                Clean::line(&format!("{version}; this API version ends {sunset}")),
                "look for a newer gonogo",
            ),
            None => good("version", version),
        }
    }

    fn clock(&self) -> Check {
        match self.api.learnt().skew_ms {
            Some(skew) if skew.abs() > SKEW_MS => check(
                "clock".into(),
                CheckResult::Remark,
                Clean::line(&format!("GitHub is {} s off from here", skew / 1000)),
                "set this machine's clock",
            ),
            Some(_) => good("clock", "agrees with ours".into()),
            None => check(
                "clock".into(),
                CheckResult::Remark,
                "GitHub did not tell the time".into(),
                "",
            ),
        }
    }

    fn scopes(&self) -> Check {
        match self.api.learnt().scopes {
            None => good(
                "token",
                "no classic scopes; GitHub decides case by case".into(),
            ),
            Some(scopes) if scopes.is_empty() => check(
                "token".into(),
                CheckResult::Denied,
                "has no scopes".into(),
                "give the token the scope `repo`",
            ),
            Some(scopes) => good(
                "token",
                Clean::line(&format!("scopes {}", scopes.join(", "))),
            ),
        }
    }

    async fn pipeline(&self, pipeline: &PipelineId) -> Vec<Check> {
        let PipelineId { repo, workflow, .. } = pipeline;
        let what = Clean::line(&format!("workflow {repo} {workflow}"));
        let workflow: Result<wire::Workflow, _> =
            match self.api.get(&self.api.in_workflow(pipeline, &[])).await {
                Ok(answer) => answer.json(),
                Err(error) => Err(error),
            };
        let mut checks = Vec::new();
        checks.push(match workflow {
            Ok(found) if found.state.as_deref() == Some("active") => {
                let name = found.name.as_deref().map(Clean::line);
                check(what, CheckResult::Good, name.unwrap_or_default(), "")
            }
            Ok(found) => check(
                what,
                CheckResult::Remark,
                Clean::line(&found.state.unwrap_or_else(|| "no state".to_owned())),
                "enable the workflow on GitHub",
            ),
            Err(error) => failed(what, &error),
        });
        let what = Clean::line(&format!("permission rerun, cancel, dispatch on {repo}"));
        let repository: Result<wire::Repository, _> =
            match self.api.get(&self.api.in_repo(repo, &[])).await {
                Ok(answer) => answer.json(),
                Err(error) => Err(error),
            };
        checks.push(match repository {
            Ok(repository) => {
                let scopes = self.api.learnt().scopes;
                let now = (self.api.now)();
                let access = Access::read(&repository, scopes.as_deref(), repo, now);
                match access.may_write {
                    Some(true) => check(what, CheckResult::Good, "yes".into(), ""),
                    Some(false) => check(
                        what,
                        CheckResult::Denied,
                        access.why,
                        "ask for write access; reading works without",
                    ),
                    None => check(
                        what,
                        CheckResult::Remark,
                        "GitHub does not tell beforehand for this token".into(),
                        "",
                    ),
                }
            }
            Err(error) => failed(what, &error),
        });
        checks
    }
}

fn check(what: Clean, result: CheckResult, seen: Clean, remedy: &'static str) -> Check {
    Check {
        what,
        result,
        seen,
        remedy: remedy.into(),
    }
}

fn good(what: &'static str, seen: Clean) -> Check {
    check(what.into(), CheckResult::Good, seen, "")
}

fn failed(what: Clean, error: &BackendError) -> Check {
    let result = match error.kind {
        ErrorKind::Forbidden | ErrorKind::Unauthenticated | ErrorKind::NotFound => {
            CheckResult::Denied
        }
        ErrorKind::Unreachable
        | ErrorKind::Timeout
        | ErrorKind::Conflict
        | ErrorKind::Rejected
        | ErrorKind::RateLimited
        | ErrorKind::Server
        | ErrorKind::Malformed
        | ErrorKind::Ambiguous
        | ErrorKind::Configuration => CheckResult::Out,
    };
    let seen = Clean::line(&error.to_string());
    check(what, result, seen, error.kind.remedy())
}
