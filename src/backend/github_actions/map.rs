//! From GitHub's words to ours.

use chrono::TimeDelta;
use serde_json::Value;

use crate::{
    backend::github_actions::wire,
    domain::{
        approval::{Answer, PendingApproval, Review},
        id::{ApprovalId, JobId, PipelineId, RunId, Version},
        pipeline::{Job, Outcome, Phase, Run, RunStatus, Stage, Step},
        text::Clean,
    },
};

/// A status and a conclusion as our two axes. A conclusion counts only once the
/// status is `completed`; words that are not known stay visible.
pub(super) fn status(status: Option<&str>, conclusion: Option<&str>) -> RunStatus {
    match status {
        // Accepted, created, held by a concurrency group: no person is asked.
        Some("queued" | "requested") => RunStatus::at(Phase::Queued),
        Some("pending") => RunStatus::at(Phase::Queued).because("waits for its concurrency group"),
        // Held by a rule of an environment: a reviewer, a timer, an app.
        Some("waiting") => RunStatus::at(Phase::Waiting),
        Some("in_progress") => RunStatus::at(Phase::Running),
        Some("completed") => ended(conclusion),
        Some(word) => RunStatus::at(Phase::Unknown(Clean::line(word))),
        None => RunStatus::at(Phase::Unknown("no status".into())),
    }
}

fn ended(conclusion: Option<&str>) -> RunStatus {
    match conclusion {
        Some("success") => RunStatus::ended(Outcome::Succeeded),
        Some("failure") => RunStatus::ended(Outcome::Failed),
        Some("timed_out") => {
            let mut status = RunStatus::ended(Outcome::Failed).because("timed out");
            status.flags.timed = true;
            status
        }
        Some("startup_failure") => {
            let mut status =
                RunStatus::ended(Outcome::Failed).because("the workflow file is invalid");
            status.flags.config = true;
            status
        }
        // GitHub writes two l.
        Some("cancelled") => RunStatus::ended(Outcome::Cancelled),
        Some("skipped") => RunStatus::ended(Outcome::Skipped),
        Some("neutral") => RunStatus::ended(Outcome::Neutral),
        Some("stale") => RunStatus::ended(Outcome::Neutral).because("given up by GitHub"),
        // "Completed", yet nothing ran: a maintainer has to let it start.
        Some("action_required") => {
            RunStatus::at(Phase::Waiting).because("a maintainer must let this fork's run start")
        }
        Some(word) => RunStatus::ended(Outcome::Unknown(Clean::line(word))),
        None => RunStatus::ended(Outcome::Unknown("no conclusion".into())),
    }
}

/// A run.
pub(super) fn run(run: &wire::Run, pipeline: &PipelineId) -> Run {
    let login = |user: &Option<wire::User>| user.as_ref().and_then(|user| user.login.clone());
    let actor = login(&run.triggering_actor).or_else(|| login(&run.actor));
    let title = run.display_title.as_deref().or(run.name.as_deref());
    Run {
        id: run_id(pipeline, run.id),
        pipeline: pipeline.clone(),
        number: run.number,
        attempt: run.attempt(),
        title: Clean::line(title.unwrap_or_default()),
        branch: name(run.head_branch.as_deref()),
        head_sha: Clean::name(&run.head_sha),
        event: name(run.event.as_deref()),
        actor: name(actor.as_deref()),
        status: status(run.status.as_deref(), run.conclusion.as_deref()),
        url: address(run.html_url.as_deref()),
        created_at: run.created_at,
        started_at: run.started_at.or(run.created_at),
        updated_at: run.updated_at,
        models: Vec::new(),
    }
}

/// The model version a deployment says it brings: `model=NAME:VERSION` in its
/// payload or description, or a payload with `model` (and `model_version`).
pub(super) fn deployed(deployment: &wire::Deployment) -> Option<(Clean, Version)> {
    let text = match &deployment.payload {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => return in_fields(&fields),
            _ => Some(text.as_str()),
        },
        Value::Object(fields) => match in_fields(fields) {
            None => None,
            found => return found,
        },
        _ => None,
    };
    [text, deployment.description.as_deref()]
        .into_iter()
        .flatten()
        .flat_map(|text| text.split([' ', ',', ';', '\n']))
        .filter_map(|word| word.strip_prefix("model="))
        .find_map(named)
}

fn in_fields(fields: &serde_json::Map<String, Value>) -> Option<(Clean, Version)> {
    let model = fields.get("model")?.as_str()?;
    match fields.get("model_version") {
        None => named(model),
        Some(Value::String(version)) => named(&format!("{model}:{version}")),
        Some(version) => named(&format!("{model}:{version}")),
    }
}

/// `NAME:VERSION`.
fn named(text: &str) -> Option<(Clean, Version)> {
    let (name, version) = text.rsplit_once(':')?;
    let version = version.trim_start_matches('v').parse().ok()?;
    let name = Clean::name(name);
    (!name.is_empty()).then_some((name, Version(version)))
}

/// A job with its steps. `rules` are the service's own (text in the job's
/// name, stage), tried before guessing.
pub(super) fn job(job: &wire::Job, run: &RunId, attempt: u32, rules: &[(Clean, Stage)]) -> Job {
    let title = job.name.as_deref().unwrap_or("unnamed job");
    let status = status(job.status.as_deref(), job.conclusion.as_deref());
    let has_started = !matches!(status.phase, Phase::Queued | Phase::Waiting);
    let rule = rules.iter().find(|(text, _)| title.contains(text.as_str()));
    Job {
        id: JobId {
            run: run.clone(),
            id: job.id,
        },
        attempt: job.run_attempt.unwrap_or(attempt),
        name: Clean::line(title),
        stage: rule.map_or_else(|| Stage::guess(title), |(_, stage)| *stage),
        runner: job
            .runner_name
            .as_deref()
            .filter(|runner| !runner.is_empty())
            .map(Clean::name),
        // A queued job says it started when it was created.
        started_at: job.started_at.filter(|_| has_started),
        ended_at: job.completed_at.filter(|_| status.has_ended()),
        url: address(job.html_url.as_deref()),
        steps: job.steps.iter().map(step).collect(),
        status,
    }
}

fn step(step: &wire::Step) -> Step {
    let status = status(step.status.as_deref(), step.conclusion.as_deref());
    Step {
        number: step.number,
        name: Clean::line(step.name.as_deref().unwrap_or("unnamed step")),
        started_at: step.started_at,
        ended_at: step.completed_at.filter(|_| status.has_ended()),
        status,
    }
}

/// An environment that waits.
pub(super) fn pending(pending: &wire::Pending, run: &Run) -> PendingApproval {
    let reviewers = reviewers(pending);
    // With reviewers it does not go on by itself, however long the timer ran.
    let timer_ends_at = pending
        .wait_timer_started_at
        .filter(|_| reviewers.is_empty() && pending.wait_timer > 0)
        .map(|start| start + TimeDelta::minutes(pending.wait_timer.into()));
    PendingApproval {
        id: ApprovalId {
            run: run.id.clone(),
            environment: pending.environment.id,
        },
        attempt: run.attempt,
        head_sha: run.head_sha.clone(),
        environment: name(pending.environment.name.as_deref()),
        may_approve: pending.current_user_can_approve,
        reviewers,
        timer_ends_at,
        url: run.url.clone(),
    }
}

/// Who may answer.
pub(super) fn reviewers(pending: &wire::Pending) -> Vec<Clean> {
    pending
        .reviewers
        .iter()
        .filter_map(|reviewer| reviewer.who.as_ref())
        .filter_map(|who| {
            let team = who.slug.as_deref().or(who.name.as_deref());
            who.login.as_deref().or(team).map(Clean::name)
        })
        .collect()
}

/// The answers in one entry of the review history, one per environment.
/// `pending` entries are no answers.
pub(super) fn reviews(review: &wire::Review, run: &RunId) -> Vec<Review> {
    let answer = match review.state.as_str() {
        "approved" => Answer::Approved,
        "rejected" => Answer::Rejected,
        "pending" => return Vec::new(),
        word => Answer::Unknown(Clean::line(word)),
    };
    let login = review.user.as_ref().and_then(|user| user.login.as_deref());
    review
        .environments
        .iter()
        .map(|environment| Review {
            id: ApprovalId {
                run: run.clone(),
                environment: environment.id,
            },
            environment: name(environment.name.as_deref()),
            answer: answer.clone(),
            user: name(login),
            comment: Clean::block(review.comment.as_deref().unwrap_or_default()),
        })
        .collect()
}

/// The id of a run of this pipeline.
pub(super) fn run_id(pipeline: &PipelineId, id: u64) -> RunId {
    RunId {
        backend: pipeline.backend.clone(),
        repo: pipeline.repo.clone(),
        id,
    }
}

fn name(text: Option<&str>) -> Clean {
    Clean::name(text.unwrap_or_default())
}

/// An address for people; anything that is no web address is none.
fn address(text: Option<&str>) -> Clean {
    text.filter(|text| text.starts_with("https://") || text.starts_with("http://"))
        .map(Clean::line)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
