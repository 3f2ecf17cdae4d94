//! What the holder of the token may do, as far as GitHub tells beforehand.
//!
//! Only what is known is said. A permission that cannot be read from outside
//! (of a fine-grained token, say) is left open: the key stays live, and GitHub
//! has the last word.

use chrono::TimeDelta;

use crate::{
    backend::github_actions::wire,
    domain::{
        Timestamp,
        action::{ActionKind, Subject},
        approval::PendingApproval,
        id::{PipelineId, RunId},
        permit::Permit,
        text::Clean,
    },
};

/// How long an answer about an approval counts: a denial must not outlive the
/// minute for which brakes heed it.
const APPROVAL: TimeDelta = TimeDelta::seconds(60);
/// How long an answer about a repository counts; longer than the time between
/// two looks at it.
const REPOSITORY: TimeDelta = TimeDelta::minutes(20);

/// Whether our user may answer a waiting environment.
pub(super) fn of_approval(pending: &PendingApproval, at: Timestamp) -> Vec<Permit> {
    let Some(allowed) = pending.may_approve else {
        return Vec::new();
    };
    let why = if allowed {
        Clean::default()
    } else {
        let names: Vec<&str> = pending.reviewers.iter().map(Clean::as_str).collect();
        Clean::line(&match names.as_slice() {
            [] => "no reviewers: a timer or a rule lets it go".to_owned(),
            names => format!("reviewers: {}", names.join(", ")),
        })
    };
    let permit = |kind| Permit {
        subject: Subject::Approval(pending.id.clone()),
        kind,
        allowed,
        why: why.clone(),
        seen_at: at,
        until: at + APPROVAL,
    };
    vec![permit(ActionKind::Approve), permit(ActionKind::Reject)]
}

/// What is known about writing to a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// Yes or no; `None` = it does not tell.
    pub(super) may_write: Option<bool>,
    /// Why not.
    pub(super) why: Clean,
    /// When that was read.
    pub(super) at: Timestamp,
}

impl Access {
    /// From a repository's answer and the token's scopes. `push` is a right of
    /// the person, not of the token: it denies for sure, but allows only with
    /// scopes that are known to carry it.
    pub(super) fn read(
        repository: &wire::Repository,
        scopes: Option<&[String]>,
        repo: &str,
        at: Timestamp,
    ) -> Self {
        let has = |wanted: &str| scopes.map(|scopes| scopes.iter().any(|scope| scope == wanted));
        let covered =
            has("repo").map(|all| all || (!repository.private && has("public_repo") == Some(true)));
        let push = repository.permissions.as_ref().map(|rights| rights.push);
        let (may_write, why) = if repository.archived {
            (Some(false), "the repository is archived".to_owned())
        } else if push == Some(false) {
            (Some(false), format!("no write access to {repo}"))
        } else if covered == Some(false) {
            (Some(false), "the token lacks the scope `repo`".to_owned())
        } else {
            let known = push == Some(true) && covered == Some(true);
            (known.then_some(true), String::new())
        };
        Self {
            may_write,
            why: Clean::line(&why),
            at,
        }
    }

    /// The permits that follow for a run.
    pub(super) fn of_run(&self, run: &RunId) -> Vec<Permit> {
        let kinds = [
            ActionKind::RerunAll,
            ActionKind::RerunFailed,
            ActionKind::Cancel,
        ];
        self.permits(&Subject::Run(run.clone()), &kinds)
    }

    /// The permits that follow for a pipeline.
    pub(super) fn of_pipeline(&self, pipeline: &PipelineId) -> Vec<Permit> {
        self.permits(
            &Subject::Pipeline(pipeline.clone()),
            &[ActionKind::Dispatch],
        )
    }

    fn permits(&self, subject: &Subject, kinds: &[ActionKind]) -> Vec<Permit> {
        let Some(allowed) = self.may_write else {
            return Vec::new();
        };
        kinds
            .iter()
            .map(|kind| Permit {
                subject: subject.clone(),
                kind: *kind,
                allowed,
                why: self.why.clone(),
                seen_at: self.at,
                until: self.at + REPOSITORY,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn access(repository: &serde_json::Value, scopes: Option<&[&str]>) -> Access {
        let repository = serde_json::from_value(repository.clone()).unwrap();
        let scopes: Option<Vec<String>> =
            scopes.map(|scopes| scopes.iter().map(ToString::to_string).collect());
        let at = chrono::DateTime::UNIX_EPOCH;
        Access::read(&repository, scopes.as_deref(), "acme/recsys", at)
    }

    #[test]
    fn the_official_example_may_read_and_not_write() {
        let text = include_str!("../../../tests/fixtures/github/openapi-repository.json");
        let access = access(&serde_json::from_str(text).unwrap(), None);
        assert_eq!(access.may_write, Some(false));
        assert_eq!(access.why, "no write access to acme/recsys");
    }

    #[test]
    fn only_what_is_known_is_said() {
        let private = json!({"private": true, "permissions": {"push": true}});
        let public = json!({"private": false, "permissions": {"push": true}});
        let told = |repository: &serde_json::Value, scopes: Option<&[&str]>| {
            access(repository, scopes).may_write
        };
        assert_eq!(told(&private, None), None, "a fine-grained token");
        assert_eq!(told(&private, Some(&["repo"][..])), Some(true));
        assert_eq!(told(&private, Some(&["public_repo"][..])), Some(false));
        assert_eq!(told(&public, Some(&["public_repo"][..])), Some(true));
        assert_eq!(told(&private, Some(&[][..])), Some(false));
        assert_eq!(told(&json!({}), None), None);
        let archived = json!({"archived": true, "permissions": {"push": true}});
        assert_eq!(told(&archived, Some(&["repo"][..])), Some(false));
    }
}
