//! What is known, as JSON.
//!
//! Absent facts are `null`, never a made-up number. Ids that may exceed 2⁵³ are
//! text.

use serde_json::{Value, json};

use crate::{
    domain::{
        Timestamp,
        action::Preview,
        catalog::ServiceSpec,
        id::BackendId,
        observation::ActionOutcome,
        verdict::{Decision, Finding},
    },
    engine::{
        lane::{Lane, Place, WaitsFor},
        plan::{Class, Plan},
        queue,
        release::Release,
        world::World,
    },
    report::words,
};

pub(super) fn stamp(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn seconds(at: Timestamp, now: Timestamp) -> f64 {
    let millis = (now - at).num_milliseconds().max(0);
    #[expect(clippy::cast_precision_loss, reason = "ages are far below 2⁵³ ms")]
    let millis = millis as f64;
    millis / 1000.0
}

/// One row of `status`.
pub fn lane(world: &World, lane: &Lane, now: Timestamp) -> Value {
    let release = lane.release().and_then(|id| world.release(id));
    let decision = lane
        .release()
        .and_then(|id| world.decision(id, &lane.environment));
    let live = lane.live.as_ref().and_then(|id| world.release(id));
    let back = lane.rolled_back.as_ref().and_then(|id| world.release(id));
    // The share of the shown release, as far as it is in the environment at all.
    let rollout = world
        .rollouts
        .get(&lane.target)
        .filter(|_| lane.place.is_in_environment());
    json!({
        "service": lane.service.as_str(),
        "environment": lane.environment.as_str(),
        "critical": lane.critical,
        "release": lane.release().map(super::super::domain::id::ReleaseId::as_str),
        "version": release.map(|release| release.label.as_str()),
        "parts": release.map(|release| parts(release)),
        "stage": lane.place.word(),
        "weight": rollout.map(|rollout| lane.share(rollout.weight_actual).get()),
        "weight_wanted": rollout.map(|rollout| lane.share(rollout.weight_wanted).get()),
        "weight_by": rollout.map(|rollout| if rollout.weight_is_pod_ratio { "pods" } else { "requests" }),
        "held": matches!(
            lane.place,
            Place::Canary { held: true, .. }
                | Place::RollingBack { held: true, .. }
                | Place::Aborting { held: true, .. }
        ),
        "decision": decision.map(|decision| decision.word.text()),
        "reasons": decision.map(|decision| decision.reasons().map(words::finding).collect::<Vec<_>>()),
        "waits_for": waits_for(&queue::waits_for(world, lane)),
        "live": live.map(|live| live.label.as_str()),
        "rolling_back_to": match &lane.place {
            Place::RollingBack { to, .. } => Some(to.as_str()),
            _ => None,
        },
        "back_aborted": lane.back_aborted.as_deref(),
        "rolled_back": back.map(|back| back.label.as_str()),
        "since": lane.since.map(stamp),
        "ages": ages(world, lane, now),
    })
}

/// What a release is made of, each part with the rule that tied it.
pub(super) fn parts(release: &Release) -> Value {
    use crate::engine::release::Link;
    fn link<T>(link: &Link<T>, show: impl Fn(&T) -> String) -> Value {
        match link {
            Link::Found { value, rule } => json!({ "value": show(value), "by": rule.word() }),
            Link::Ambiguous { rivals, rule } => json!({
                "ambiguous": rivals.iter().map(show).collect::<Vec<_>>(),
                "by": rule.word(),
            }),
            Link::Unlinked => Value::Null,
        }
    }
    json!({
        "commit": link(&release.commit, |commit| commit.as_str().to_owned()),
        "run": link(&release.run, |run| run.id.to_string()),
        "model_version": link(&release.version, |version| version.0.to_string()),
        "image": link(&release.image, |image| {
            let name = image.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = image.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
            format!("{}{name}{digest}", image.repository)
        }),
    })
}

fn waits_for(waits: &WaitsFor) -> Value {
    match waits {
        WaitsFor::Person { what, you } => {
            let you = match you {
                Some(true) => "yes",
                Some(false) => "no",
                None => "unknown",
            };
            json!({ "kind": "person", "what": what.as_str(), "you": you })
        }
        WaitsFor::Machine { what } => json!({ "kind": "machine", "what": what.as_str() }),
        WaitsFor::Timer { until } => json!({ "kind": "timer", "until": stamp(*until) }),
        WaitsFor::Nothing => Value::Null,
    }
}

/// Seconds since each backend of the lane's service last answered.
fn ages(world: &World, lane: &Lane, now: Timestamp) -> Value {
    let Some(service) = world.catalog.services.get(&lane.service) else {
        return json!({});
    };
    let mut backends: Vec<&BackendId> = vec![&lane.target.backend];
    backends.extend(backends_of(service));
    backends
        .into_iter()
        .map(|backend| {
            let answered = world
                .backends
                .get(backend)
                .and_then(|state| state.answered_at);
            let age = answered.map(|at| seconds(at, now));
            (backend.to_string(), json!(age))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn backends_of(service: &ServiceSpec) -> impl Iterator<Item = &BackendId> {
    let run = service.run.iter().map(|run| &run.backend);
    let model = service.model.iter().map(|model| &model.model.backend);
    let metrics = service.metrics.iter().map(|metric| &metric.backend);
    run.chain(model).chain(metrics)
}

/// Every backend and how it is doing.
pub fn backends(world: &World, now: Timestamp) -> Value {
    world
        .catalog
        .backends
        .iter()
        .map(|(id, spec)| {
            let state = world.backends.get(id);
            let trouble = state.and_then(|state| state.trouble.as_ref());
            let budget = state.and_then(|state| state.budget.as_ref());
            let answered = state.and_then(|state| state.answered_at);
            let server = state.and_then(|state| state.server.as_ref());
            json!({
                "backend": id.as_str(),
                "kind": spec.kind,
                "state": world.liveness(id, now).word(),
                "version": server.map(|server| server.version.as_str()),
                "answered_at": answered.map(stamp),
                "age": answered.map(|at| seconds(at, now)),
                "trouble": trouble.map(|trouble| json!({
                    "kind": trouble.kind.word(),
                    "message": trouble.message.as_str(),
                    "since": stamp(trouble.since),
                    "retry_at": trouble.retry_at.map(stamp),
                    "remedy": trouble.kind.remedy(),
                })),
                "budget": budget.map(|budget| json!({
                    "left": budget.left,
                    "limit": budget.limit,
                    "resets_at": stamp(budget.resets_at),
                })),
            })
        })
        .collect()
}

/// A decision with all its findings.
pub fn decision(decision: &Decision) -> Value {
    json!({
        "release": decision.release.as_str(),
        "environment": decision.environment.as_str(),
        "policy": decision.policy.as_str(),
        "policy_digest": decision.policy_digest.as_str(),
        "report_digest": decision.report_digest.as_str(),
        "decision": decision.word.text(),
        "at": stamp(decision.at),
        "findings": decision.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "gate": finding.gate.as_str(),
        "class": finding.class.to_string(),
        "required": finding.required,
        "verdict": finding.verdict.word(),
        "rule": finding.rule.as_str(),
        "reason": finding.reason.as_str(),
        "observed": finding.observed,
        "limit": finding.limit,
        "unit": finding.unit.as_str(),
        "baseline": finding.baseline.as_ref().map(|baseline| json!({
            "name": baseline.name.as_str(),
            "value": baseline.value,
        })),
        "margin": finding.margin,
        "samples": finding.samples,
        "coverage": finding.coverage,
        "backend": finding.backend.as_ref().map(BackendId::as_str),
        "evidence_at": finding.evidence_at.map(stamp),
        "fetched_at": finding.fetched_at.map(stamp),
        "digest": finding.digest.as_deref(),
        "url": finding.url.as_deref(),
        "changes_at": finding.changes_at.map(stamp),
    })
}

/// A plan as it will run, each step with what would be sent.
pub fn plan(plan: &Plan, previews: &[Preview]) -> Value {
    let steps: Vec<Value> = plan
        .steps
        .iter()
        .zip(previews)
        .map(|(step, preview)| {
            json!({
                "action": step.order.kind().word(),
                "subject": step.order.subject().to_string(),
                "effect": step.effect.as_str(),
                "request": {
                    "method": preview.method,
                    "path": preview.path.as_str(),
                    "content_type": preview.content_type,
                    "body": preview.body.as_str(),
                    "check": preview.check.as_str(),
                },
                "command": preview.command.as_str(),
            })
        })
        .collect();
    json!({
        "verb": plan.ask.verb.word(),
        "class": class(plan.class),
        "service": plan.ask.lane.0.as_str(),
        "environment": plan.ask.lane.1.as_str(),
        "release": plan.release.as_ref().map(super::super::domain::id::ReleaseId::as_str),
        "version": plan.release_label.as_str(),
        "bends": plan.bends.as_deref(),
        "facts": plan
            .facts
            .iter()
            .map(|(label, text)| json!({ "label": label.as_str(), "text": text.as_str() }))
            .collect::<Vec<_>>(),
        "warnings": plan.warnings.iter().map(super::super::domain::text::Clean::as_str).collect::<Vec<_>>(),
        "steps": steps,
    })
}

/// The word for how much a plan is guarded.
pub fn class(class: Class) -> &'static str {
    match class {
        Class::Brake => "brake",
        Class::Neutral => "neutral",
        Class::Throttle => "throttle",
        Class::Bend => "bend",
    }
}

/// How a plan ended.
pub fn outcome(outcome: ActionOutcome, note: &str) -> Value {
    json!({ "outcome": outcome.word(), "note": note })
}
