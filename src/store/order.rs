//! An order as members of a line, and back.
//!
//! The way back is what lets a later process look whether an order had its
//! effect when the process that sent it died.

use crate::{
    domain::{
        action::{
            ApprovalOrder, ApprovalSeen, ModelOrder, Order, RolloutAction, RolloutOrder,
            RolloutSeen, RunAction, RunOrder, Say, Subject,
        },
        id::{ApprovalId, BackendId, ModelId, PipelineId, RunId, TargetId, TargetKind, Version},
        text::Clean,
    },
    store::wire::{self, Arguments, Line, Seen, SubjectName},
};

fn text(clean: &Clean) -> String {
    clean.to_string()
}

/// Writes an order into the members of a line.
pub(super) fn write(order: &Order, line: &mut Line) {
    line.action = Some(order.kind().word().to_owned());
    let (subject, arguments, seen) = match order {
        Order::Rollout(order) => rollout(order),
        Order::Approval(order) => approval(order),
        Order::Run(order) => run(order),
        Order::Model(order) => model(order),
    };
    line.subject = Some(subject);
    line.arguments = (arguments != Arguments::default()).then_some(arguments);
    line.seen = (seen != Seen::default()).then_some(seen);
}

fn rollout(order: &RolloutOrder) -> (SubjectName, Arguments, Seen) {
    let mut arguments = Arguments::default();
    match &order.action {
        RolloutAction::Skip { to } => arguments.to = Some(*to),
        RolloutAction::Switch { early } => arguments.early = Some(*early),
        RolloutAction::Retry { anew } => arguments.anew = anew.then_some(true),
        RolloutAction::Undo { hash } => arguments.hash = Some(text(hash)),
        RolloutAction::Restart { at } | RolloutAction::Nudge { at } => {
            arguments.at = Some(wire::stamp(*at));
        }
        RolloutAction::Hold
        | RolloutAction::Resume
        | RolloutAction::Continue
        | RolloutAction::PromoteFull
        | RolloutAction::Abort => {}
    }
    let subject = target(&order.target);
    let seen = Seen {
        uid: Some(text(&order.seen.uid)),
        pod_hash: order.seen.pod_hash.as_ref().map(text),
        step: order.seen.step,
        ..Seen::default()
    };
    (subject, arguments, seen)
}

fn approval(order: &ApprovalOrder) -> (SubjectName, Arguments, Seen) {
    let subject = SubjectName {
        family: "approval".to_owned(),
        environment: Some(order.approval.environment.to_string()),
        ..run_name(&order.approval.run)
    };
    let arguments = Arguments {
        comment: (!order.comment.is_empty()).then(|| text(&order.comment)),
        ..Arguments::default()
    };
    let seen = Seen {
        attempt: Some(order.seen.attempt),
        head_sha: Some(text(&order.seen.head_sha)),
        environment: Some(text(&order.seen.environment)),
        ..Seen::default()
    };
    (subject, arguments, seen)
}

fn run(order: &RunOrder) -> (SubjectName, Arguments, Seen) {
    let subject = SubjectName {
        family: "run".to_owned(),
        backend: order.pipeline.backend.to_string(),
        repo: Some(text(&order.pipeline.repo)),
        workflow: Some(text(&order.pipeline.workflow)),
        run: order.run.as_ref().map(|run| run.id.to_string()),
        ..SubjectName::default()
    };
    let mut arguments = Arguments::default();
    if let RunAction::Dispatch { reference, inputs } = &order.action {
        arguments.reference = Some(text(reference));
        arguments.inputs = inputs
            .iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect();
    }
    let seen = Seen {
        attempt: Some(order.seen_attempt),
        ..Seen::default()
    };
    (subject, arguments, seen)
}

fn model(order: &ModelOrder) -> (SubjectName, Arguments, Seen) {
    let subject = SubjectName {
        family: "model".to_owned(),
        backend: order.model.backend.to_string(),
        name: Some(text(&order.model.name)),
        ..SubjectName::default()
    };
    let arguments = Arguments {
        alias: Some(text(&order.alias)),
        version: Some(order.to.0.to_string()),
        ..Arguments::default()
    };
    let seen = Seen {
        version: order.expected.map(|version| version.0.to_string()),
        ..Seen::default()
    };
    (subject, arguments, seen)
}

fn run_name(run: &RunId) -> SubjectName {
    SubjectName {
        family: "run".to_owned(),
        backend: run.backend.to_string(),
        repo: Some(text(&run.repo)),
        run: Some(run.id.to_string()),
        ..SubjectName::default()
    }
}

/// A rollout or deployment as a subject.
pub(super) fn target(target: &TargetId) -> SubjectName {
    SubjectName {
        family: "rollout".to_owned(),
        backend: target.backend.to_string(),
        kind: Some(kind_word(target.kind).to_owned()),
        namespace: Some(text(&target.namespace)),
        name: Some(text(&target.name)),
        ..SubjectName::default()
    }
}

fn kind_word(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Rollout => "rollout",
        TargetKind::Deployment => "deployment",
    }
}

/// Reads the order back; `None` when there is none, or it was written by a
/// version that knew more.
pub(super) fn read(line: &Line) -> Option<Order> {
    let subject = line.subject.as_ref()?;
    let action = line.action.as_deref()?;
    let arguments = line.arguments.clone().unwrap_or_default();
    let seen = line.seen.clone().unwrap_or_default();
    match subject.family.as_str() {
        "rollout" => read_rollout(subject, action, &arguments, &seen).map(Order::Rollout),
        "approval" => read_approval(subject, action, &arguments, &seen).map(Order::Approval),
        "run" => read_run(subject, action, &arguments, &seen).map(Order::Run),
        "model" => read_model(subject, action, &arguments, &seen).map(Order::Model),
        _ => None,
    }
}

/// What a line's order acts on, also when its action is one we do not know.
pub(super) fn read_subject(line: &Line) -> Option<Subject> {
    let subject = line.subject.as_ref()?;
    Some(match subject.family.as_str() {
        "rollout" => Subject::Rollout(read_target(subject)?),
        "approval" => Subject::Approval(read_approval_id(subject)?),
        "run" if subject.run.is_some() => Subject::Run(read_run_id(subject)?),
        "run" => Subject::Pipeline(read_pipeline(subject)?),
        "model" => Subject::Model(read_model_id(subject)?),
        _ => return None,
    })
}

fn clean(text: Option<&String>) -> Option<Clean> {
    text.map(|text| Clean::name(text))
}

fn read_rollout(
    subject: &SubjectName,
    action: &str,
    arguments: &Arguments,
    seen: &Seen,
) -> Option<RolloutOrder> {
    let at = || wire::instant(arguments.at.as_deref()?);
    let action = match action {
        "hold" => RolloutAction::Hold,
        "resume" => RolloutAction::Resume,
        "continue" => RolloutAction::Continue,
        "switch" => RolloutAction::Switch {
            early: arguments.early?,
        },
        "skip" => RolloutAction::Skip { to: arguments.to? },
        "promote-full" => RolloutAction::PromoteFull,
        "abort" => RolloutAction::Abort,
        "retry" => RolloutAction::Retry {
            anew: arguments.anew == Some(true),
        },
        "undo" => RolloutAction::Undo {
            hash: clean(arguments.hash.as_ref())?,
        },
        "restart" => RolloutAction::Restart { at: at()? },
        "nudge" => RolloutAction::Nudge { at: at()? },
        _ => return None,
    };
    Some(RolloutOrder {
        target: read_target(subject)?,
        action,
        seen: RolloutSeen {
            uid: clean(seen.uid.as_ref())?,
            pod_hash: clean(seen.pod_hash.as_ref()),
            step: seen.step,
            paused_since: None,
        },
    })
}

pub(super) fn read_target(subject: &SubjectName) -> Option<TargetId> {
    Some(TargetId {
        backend: BackendId::new(&subject.backend),
        kind: match subject.kind.as_deref()? {
            "rollout" => TargetKind::Rollout,
            "deployment" => TargetKind::Deployment,
            _ => return None,
        },
        namespace: clean(subject.namespace.as_ref())?,
        name: clean(subject.name.as_ref())?,
    })
}

fn read_approval_id(subject: &SubjectName) -> Option<ApprovalId> {
    Some(ApprovalId {
        run: read_run_id(subject)?,
        environment: subject.environment.as_deref()?.parse().ok()?,
    })
}

fn read_pipeline(subject: &SubjectName) -> Option<PipelineId> {
    Some(PipelineId {
        backend: BackendId::new(&subject.backend),
        repo: clean(subject.repo.as_ref())?,
        workflow: clean(subject.workflow.as_ref())?,
    })
}

fn read_model_id(subject: &SubjectName) -> Option<ModelId> {
    Some(ModelId {
        backend: BackendId::new(&subject.backend),
        name: clean(subject.name.as_ref())?,
    })
}

fn read_run_id(subject: &SubjectName) -> Option<RunId> {
    Some(RunId {
        backend: BackendId::new(&subject.backend),
        repo: clean(subject.repo.as_ref())?,
        id: subject.run.as_deref()?.parse().ok()?,
    })
}

fn read_approval(
    subject: &SubjectName,
    action: &str,
    arguments: &Arguments,
    seen: &Seen,
) -> Option<ApprovalOrder> {
    Some(ApprovalOrder {
        approval: read_approval_id(subject)?,
        answer: match action {
            "approve" => Say::Yes,
            "reject" => Say::No,
            _ => return None,
        },
        comment: arguments
            .comment
            .as_deref()
            .map(Clean::block)
            .unwrap_or_default(),
        seen: ApprovalSeen {
            attempt: seen.attempt?,
            head_sha: clean(seen.head_sha.as_ref())?,
            environment: clean(seen.environment.as_ref())?,
        },
    })
}

fn read_run(
    subject: &SubjectName,
    action: &str,
    arguments: &Arguments,
    seen: &Seen,
) -> Option<RunOrder> {
    let action = match action {
        "rerun-all" => RunAction::RerunAll,
        "rerun-failed" => RunAction::RerunFailed,
        "cancel" => RunAction::Cancel,
        "dispatch" => RunAction::Dispatch {
            reference: clean(arguments.reference.as_ref())?,
            inputs: arguments
                .inputs
                .iter()
                .map(|(name, value)| (Clean::name(name), Clean::block(value)))
                .collect(),
        },
        _ => return None,
    };
    let run = match &subject.run {
        Some(_) => Some(read_run_id(subject)?),
        None => None,
    };
    Some(RunOrder {
        pipeline: read_pipeline(subject)?,
        run,
        action,
        seen_attempt: seen.attempt?,
    })
}

fn read_model(
    subject: &SubjectName,
    action: &str,
    arguments: &Arguments,
    seen: &Seen,
) -> Option<ModelOrder> {
    if action != "set-alias" {
        return None;
    }
    let expected = match &seen.version {
        Some(version) => Some(Version(version.parse().ok()?)),
        None => None,
    };
    Some(ModelOrder {
        model: read_model_id(subject)?,
        alias: clean(arguments.alias.as_ref())?,
        to: Version(arguments.version.as_deref()?.parse().ok()?),
        expected,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::Timestamp;

    /// One order of each shape.
    pub(in crate::store) fn samples() -> Vec<Order> {
        let target = TargetId {
            backend: BackendId::new("prod"),
            kind: TargetKind::Rollout,
            namespace: "recsys".into(),
            name: "ranker".into(),
        };
        let run = RunId {
            backend: BackendId::new("gh"),
            repo: "acme/recsys".into(),
            id: 10_551_800_200,
        };
        let pipeline = PipelineId {
            backend: BackendId::new("gh"),
            repo: "acme/recsys".into(),
            workflow: "ml-cicd.yml".into(),
        };
        let at = Timestamp::from_timestamp(1_760_000_000, 0).unwrap();
        let rollouts = [
            RolloutAction::Hold,
            RolloutAction::Resume,
            RolloutAction::Continue,
            RolloutAction::Switch { early: false },
            RolloutAction::Switch { early: true },
            RolloutAction::Retry { anew: true },
            RolloutAction::Skip { to: 3 },
            RolloutAction::PromoteFull,
            RolloutAction::Abort,
            RolloutAction::Retry { anew: false },
            RolloutAction::Undo {
                hash: "6d5f".into(),
            },
            RolloutAction::Restart { at },
            RolloutAction::Nudge { at },
        ]
        .map(|action| {
            Order::Rollout(RolloutOrder {
                target: target.clone(),
                action,
                seen: RolloutSeen {
                    uid: "0b6c-1".into(),
                    pod_hash: Some("7c9d".into()),
                    step: Some(2),
                    paused_since: None,
                },
            })
        });
        let approvals = [Say::Yes, Say::No].map(|answer| {
            Order::Approval(ApprovalOrder {
                approval: ApprovalId {
                    run: run.clone(),
                    environment: 161_088_068,
                },
                answer,
                comment: "looks good".into(),
                seen: ApprovalSeen {
                    attempt: 2,
                    head_sha: "9f3c2ab0123456789abcdef0123456789abcdef0".into(),
                    environment: "production".into(),
                },
            })
        });
        let dispatch = RunAction::Dispatch {
            reference: "main".into(),
            inputs: vec![("full".into(), "true".into())],
        };
        let runs = [
            (RunAction::RerunAll, Some(run.clone())),
            (RunAction::RerunFailed, Some(run.clone())),
            (RunAction::Cancel, Some(run)),
            (dispatch, None),
        ]
        .map(|(action, run)| {
            Order::Run(RunOrder {
                pipeline: pipeline.clone(),
                run,
                action,
                seen_attempt: 1,
            })
        });
        let models = [Some(Version(41)), None].map(|expected| {
            Order::Model(ModelOrder {
                model: ModelId {
                    backend: BackendId::new("mlflow"),
                    name: "ranker".into(),
                },
                alias: "champion".into(),
                to: Version(42),
                expected,
            })
        });
        rollouts
            .into_iter()
            .chain(approvals)
            .chain(runs)
            .chain(models)
            .collect()
    }

    #[test]
    fn every_order_comes_back_as_it_was_written() {
        for order in samples() {
            let mut line = Line::default();
            write(&order, &mut line);
            let text = serde_json::to_string(&line).unwrap();
            let line: Line = serde_json::from_str(&text).unwrap();
            assert_eq!(read(&line).as_ref(), Some(&order), "{text}");
            assert_eq!(read_subject(&line), Some(order.subject()), "{text}");
        }
    }

    #[test]
    fn an_action_of_a_later_version_is_no_order() {
        let mut line = Line::default();
        write(&samples()[0], &mut line);
        line.action = Some("teleport".to_owned());
        assert_eq!(read(&line), None);
        assert_eq!(read_subject(&line), Some(samples()[0].subject()));
    }
}
