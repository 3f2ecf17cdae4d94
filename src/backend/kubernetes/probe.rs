//! Answers `gonogo doctor` about one cluster.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    backend::{
        BackendError, Check, CheckResult, ErrorKind, Probe,
        kubernetes::{
            access::{self, Answers},
            client::Connection,
            kind::Kind,
            permits,
        },
    },
    domain::{id::TargetId, text::Clean},
};

/// A clock that is off by more makes ages misleading.
const SKEW_LIMIT_MS: i64 = 5_000;

/// Looks at one cluster.
pub(super) struct Doctor {
    link: Arc<Connection>,
    targets: BTreeSet<TargetId>,
    /// Namespaces, and whether Deployments are looked at there.
    namespaces: Vec<(Clean, bool)>,
}

impl Doctor {
    pub(super) fn new(
        link: Arc<Connection>,
        targets: BTreeSet<TargetId>,
        namespaces: Vec<(Clean, bool)>,
    ) -> Self {
        Self {
            link,
            targets,
            namespaces,
        }
    }
}

fn check(what: &str, result: CheckResult, seen: &str, remedy: &str) -> Check {
    Check {
        what: Clean::line(what),
        result,
        seen: Clean::line(seen),
        remedy: Clean::line(remedy),
    }
}

fn failed(what: &str, error: &BackendError) -> Check {
    let result = if error.kind == ErrorKind::Forbidden {
        CheckResult::Denied
    } else {
        CheckResult::Out
    };
    check(what, result, &error.to_string(), error.kind.remedy())
}

#[async_trait]
impl Probe for Doctor {
    async fn read_files(&self) -> Result<(), BackendError> {
        self.link.read_files().await
    }

    async fn probe(&self) -> Vec<Check> {
        let answer = match self
            .link
            .get("/version", "ask for the server's version")
            .await
        {
            Ok(answer) => answer,
            Err(error) => return vec![failed("reach", &error)],
        };
        let server = permits::server(&answer);
        let mut checks = vec![
            check("reach", CheckResult::Good, "the API server answers", ""),
            check(
                "version",
                CheckResult::Good,
                &format!("Kubernetes {}", server.version),
                "",
            ),
            clock(server.skew_ms),
        ];
        checks.push(match permits::identity(&self.link).await {
            Ok(identity) => match identity.name {
                Some(name) => check("identity", CheckResult::Good, &name, ""),
                None => check(
                    "identity",
                    CheckResult::Remark,
                    "the server does not tell",
                    "the ledger will name only the user of this machine",
                ),
            },
            Err(error) => failed("identity", &error),
        });
        checks.push(self.definitions().await);
        for (namespace, has_deployments) in &self.namespaces {
            let mut kinds = vec![Kind::Rollouts, Kind::RolloutSets, Kind::AnalysisRuns];
            if *has_deployments {
                kinds.extend([Kind::Deployments]);
            }
            for kind in kinds {
                checks.push(self.readable(kind, namespace).await);
            }
        }
        for target in &self.targets {
            checks.extend(self.permissions(target).await);
        }
        checks
    }
}

impl Doctor {
    /// Whether Argo Rollouts is installed, and in which shape.
    async fn definitions(&self) -> Check {
        let asked = self
            .link
            .get(
                "/apis/argoproj.io/v1alpha1",
                "ask what Argo Rollouts serves",
            )
            .await;
        match asked {
            Ok(answer) => {
                let serves = |wanted: &str| {
                    let resources = answer.body.pointer("/resources").and_then(Value::as_array);
                    resources.into_iter().flatten().any(|resource| {
                        resource.get("name").and_then(Value::as_str) == Some(wanted)
                    })
                };
                match (serves("rollouts"), serves("rollouts/status")) {
                    (true, true) => check("argo rollouts", CheckResult::Good, "installed", ""),
                    (true, false) => check(
                        "argo rollouts",
                        CheckResult::Remark,
                        "installed without /status: orders cannot test the revision",
                        "bring Argo Rollouts up to date",
                    ),
                    (false, _) => absent(),
                }
            }
            Err(error) if error.kind == ErrorKind::NotFound => absent(),
            Err(error) => failed("argo rollouts", &error),
        }
    }

    async fn readable(&self, kind: Kind, namespace: &Clean) -> Check {
        let what = format!("list {} in {namespace}", kind.plural());
        let path = format!("{}?limit=1", kind.collection(namespace));
        let doing = format!("list {} in `{namespace}`", kind.plural());
        match self.link.get(&path, &doing).await {
            Ok(_) => check(&what, CheckResult::Good, "allowed", ""),
            Err(error) if error.kind == ErrorKind::NotFound && kind.may_be_absent() => {
                check(&what, CheckResult::Remark, "not served here", "")
            }
            Err(error) => failed(&what, &error),
        }
    }

    async fn permissions(&self, target: &TargetId) -> Vec<Check> {
        let answers = match access::answers(&self.link, target, &Answers::new()).await {
            Ok(answers) => answers,
            Err(error) => return vec![failed(&format!("permissions on {target}"), &error)],
        };
        access::ACTIONS
            .into_iter()
            .filter(|action| access::needed(target.kind, *action).is_some())
            .map(|action| {
                let what = format!("permission {} on {target}", action.word());
                match access::verdict(target, action, &answers) {
                    (true, _) => check(&what, CheckResult::Good, "allowed", ""),
                    (false, why) => check(
                        &what,
                        CheckResult::Denied,
                        &why,
                        "ask for the permission it names",
                    ),
                }
            })
            .collect()
    }
}

fn absent() -> Check {
    check(
        "argo rollouts",
        CheckResult::Remark,
        "not installed here: only Deployments can be seen",
        "",
    )
}

fn clock(skew: Option<i64>) -> Check {
    match skew {
        None => check(
            "clock",
            CheckResult::Remark,
            "the server does not tell the time",
            "",
        ),
        Some(skew) if skew.abs() <= SKEW_LIMIT_MS => {
            check("clock", CheckResult::Good, "agrees with ours", "")
        }
        Some(skew) => check(
            "clock",
            CheckResult::Remark,
            &format!("the server's clock is {:+} s from ours", skew / 1000),
            "ages on screen are off by as much; set the clocks",
        ),
    }
}
