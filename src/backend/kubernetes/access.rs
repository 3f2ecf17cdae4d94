//! What each action needs to be allowed, asked by access review.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    backend::{
        BackendError,
        kubernetes::{
            client::Connection,
            kind::{Family, Kind},
        },
    },
    domain::{
        Timestamp,
        action::{ActionKind, Subject},
        id::{TargetId, TargetKind},
        observation::Fact,
        permit::Permit,
        text::Clean,
    },
};

/// Why a Deployment cannot do what only a canary can.
pub(super) const NO_CANARY: &str = "a Deployment has no canary";

/// What is asked about one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Patch the object.
    Main,
    /// Patch its `/status`.
    Status,
    /// List the ReplicaSets beside it.
    Sets,
}

/// Answers by need: allowed, and the server's reason.
pub(super) type Answers = BTreeMap<Need, (bool, Clean)>;

/// What has to be asked about a target.
fn needs(kind: TargetKind) -> &'static [Need] {
    match kind {
        TargetKind::Rollout => &[Need::Main, Need::Status, Need::Sets],
        TargetKind::Deployment => &[Need::Main, Need::Sets],
    }
}

/// Asks the server what we may do to every object of this target's kind in its
/// namespace. Who may patch all of them may patch each (a review without a name,
/// `ResourceAttributes.name` of `authorization.k8s.io/v1`).
pub(super) async fn of_all(link: &Connection, like: &TargetId) -> Result<Answers, BackendError> {
    ask(link, like, None, &Answers::new()).await
}

/// Asks the server what we may do to one target, leaving out what is allowed for
/// all of its kind. What is not may still be allowed for this name.
pub(super) async fn answers(
    link: &Connection,
    target: &TargetId,
    of_all: &Answers,
) -> Result<Answers, BackendError> {
    ask(link, target, Some(&target.name), of_all).await
}

async fn ask(
    link: &Connection,
    target: &TargetId,
    name: Option<&Clean>,
    known: &Answers,
) -> Result<Answers, BackendError> {
    let mut answers = Answers::new();
    for need in needs(target.kind) {
        let settled = known
            .get(need)
            .filter(|(allowed, _)| *allowed || *need == Need::Sets);
        if let Some(answer) = settled {
            answers.insert(*need, answer.clone());
            continue;
        }
        let doing = format!("ask for permissions in `{}`", target.namespace);
        let answer = link
            .review(
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                &review(target, name, *need),
                &doing,
            )
            .await?;
        let status = |field| answer.body.pointer(field);
        let allowed = status("/status/allowed").and_then(Value::as_bool);
        let reason = status("/status/reason").and_then(Value::as_str);
        let reason = Clean::line(reason.unwrap_or_default());
        answers.insert(*need, (allowed == Some(true), reason));
    }
    Ok(answers)
}

/// The access review for one need: of the object of this name, or of all.
fn review(target: &TargetId, name: Option<&Clean>, need: Need) -> Value {
    let kind = match need {
        Need::Main | Need::Status => Family::from(target.kind).primary(),
        Need::Sets => Kind::RolloutSets,
    };
    let mut attributes = json!({
        "namespace": target.namespace.as_str(),
        "verb": if need == Need::Sets { "list" } else { "patch" },
        "group": kind.group(),
        "resource": kind.plural(),
    });
    let name = name.filter(|_| need != Need::Sets);
    let more = [
        ("name", name.map(Clean::as_str)),
        ("subresource", (need == Need::Status).then_some("status")),
    ];
    if let Some(attributes) = attributes.as_object_mut() {
        for (key, value) in more {
            attributes.extend(value.map(|value| (key.to_owned(), value.into())));
        }
    }
    json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": attributes },
    })
}

/// What an action needs; `None` when this kind of object does not know it.
pub(super) fn needed(kind: TargetKind, action: ActionKind) -> Option<&'static [Need]> {
    match (kind, action) {
        (_, ActionKind::Hold | ActionKind::Resume | ActionKind::Restart | ActionKind::Nudge) => {
            Some(&[Need::Main])
        }
        (_, ActionKind::Undo) => Some(&[Need::Main, Need::Sets]),
        (
            TargetKind::Rollout,
            ActionKind::Continue
            | ActionKind::Switch
            | ActionKind::Skip
            | ActionKind::PromoteFull
            | ActionKind::Abort
            | ActionKind::Retry,
        ) => Some(&[Need::Status]),
        _ => None,
    }
}

/// All actions a rollout can be told.
pub(super) const ACTIONS: [ActionKind; 11] = [
    ActionKind::Hold,
    ActionKind::Resume,
    ActionKind::Continue,
    ActionKind::Switch,
    ActionKind::Skip,
    ActionKind::PromoteFull,
    ActionKind::Abort,
    ActionKind::Retry,
    ActionKind::Undo,
    ActionKind::Restart,
    ActionKind::Nudge,
];

/// Whether an action is allowed, and why not.
pub(super) fn verdict(target: &TargetId, action: ActionKind, answers: &Answers) -> (bool, Clean) {
    let Some(needed) = needed(target.kind, action) else {
        return (false, NO_CANARY.into());
    };
    for need in needed {
        match answers.get(need) {
            Some((true, _)) => {}
            Some((false, reason)) => {
                let what = match need {
                    Need::Main => format!("patch {}", Family::from(target.kind).primary().plural()),
                    Need::Status => "patch rollouts/status".to_owned(),
                    Need::Sets => "list replicasets".to_owned(),
                };
                let mut why = format!("may not {what} in `{}`", target.namespace);
                if !reason.is_empty() {
                    why = format!("{why}: {reason}");
                }
                return (false, Clean::line(&why));
            }
            None => return (false, "not answered".into()),
        }
    }
    (true, Clean::default())
}

/// The permits that follow from the answers, given at `seen_at`; they count until `until`.
pub(super) fn facts(
    target: &TargetId,
    answers: &Answers,
    seen_at: Timestamp,
    until: Timestamp,
) -> Vec<Fact> {
    ACTIONS
        .into_iter()
        .map(|kind| {
            let (allowed, why) = verdict(target, kind, answers);
            Fact::Permit(Permit {
                subject: Subject::Rollout(target.clone()),
                kind,
                allowed,
                why,
                seen_at,
                until,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::BackendId;

    fn target(kind: TargetKind) -> TargetId {
        TargetId {
            backend: BackendId::new("prod"),
            kind,
            namespace: "recsys".into(),
            name: "ranker".into(),
        }
    }

    #[track_caller]
    fn check(
        kind: TargetKind,
        answers: &[(Need, bool)],
        action: ActionKind,
        allowed: bool,
        why: &str,
    ) {
        let answers = answers
            .iter()
            .map(|(need, allowed)| (*need, (*allowed, Clean::default())))
            .collect();
        assert_eq!(
            verdict(&target(kind), action, &answers),
            (allowed, Clean::line(why)),
            "{action:?}"
        );
    }

    #[test]
    fn every_action_needs_its_part_of_the_object() {
        let rollout = TargetKind::Rollout;
        let only_status = [
            (Need::Main, false),
            (Need::Status, true),
            (Need::Sets, true),
        ];
        for action in [
            ActionKind::Continue,
            ActionKind::Switch,
            ActionKind::Skip,
            ActionKind::PromoteFull,
            ActionKind::Abort,
            ActionKind::Retry,
        ] {
            check(rollout, &only_status, action, true, "");
        }
        for action in [
            ActionKind::Hold,
            ActionKind::Resume,
            ActionKind::Undo,
            ActionKind::Restart,
            ActionKind::Nudge,
        ] {
            check(
                rollout,
                &only_status,
                action,
                false,
                "may not patch rollouts in `recsys`",
            );
        }
        let no_sets = [
            (Need::Main, true),
            (Need::Status, false),
            (Need::Sets, false),
        ];
        check(rollout, &no_sets, ActionKind::Hold, true, "");
        check(
            rollout,
            &no_sets,
            ActionKind::Undo,
            false,
            "may not list replicasets in `recsys`",
        );
        check(
            rollout,
            &no_sets,
            ActionKind::Abort,
            false,
            "may not patch rollouts/status in `recsys`",
        );
    }

    #[test]
    fn a_deployment_has_no_canary() {
        let all = [(Need::Main, true), (Need::Sets, true)];
        check(
            TargetKind::Deployment,
            &all,
            ActionKind::Abort,
            false,
            NO_CANARY,
        );
        check(TargetKind::Deployment, &all, ActionKind::Undo, true, "");
        let none = [(Need::Main, false), (Need::Sets, true)];
        check(
            TargetKind::Deployment,
            &none,
            ActionKind::Restart,
            false,
            "may not patch deployments in `recsys`",
        );
    }

    #[test]
    fn reviews_name_verb_resource_part_and_object() {
        let target = target(TargetKind::Rollout);
        let asked = |name: Option<&Clean>, need| {
            let review = review(&target, name, need);
            assert_eq!(review["apiVersion"], "authorization.k8s.io/v1");
            assert_eq!(review["kind"], "SelfSubjectAccessReview");
            review["spec"]["resourceAttributes"].clone()
        };
        assert_eq!(
            asked(Some(&target.name), Need::Status),
            json!({
                "namespace": "recsys", "verb": "patch", "group": "argoproj.io",
                "resource": "rollouts", "name": "ranker", "subresource": "status",
            })
        );
        assert_eq!(
            asked(None, Need::Main),
            json!({
                "namespace": "recsys", "verb": "patch", "group": "argoproj.io",
                "resource": "rollouts",
            })
        );
        assert_eq!(
            asked(Some(&target.name), Need::Sets),
            json!({
                "namespace": "recsys", "verb": "list", "group": "apps",
                "resource": "replicasets",
            })
        );
    }
}
