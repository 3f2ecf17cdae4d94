//! From GitHub's words to ours.

use chrono::TimeDelta;

use crate::{
    backend::github_actions::wire,
    domain::{
        approval::{Answer, PendingApproval, Review},
        id::{ApprovalId, JobId, PipelineId, RunId},
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
        Some("timed_out") => RunStatus::ended(Outcome::Failed).because("timed out"),
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
    }
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
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::id::BackendId;

    fn pipeline() -> PipelineId {
        PipelineId {
            backend: BackendId::new("gh"),
            repo: "acme/recsys".into(),
            workflow: "ml-cicd.yml".into(),
        }
    }

    fn fixture(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// The words of GitHub's own description, mapped by the table of the reference.
    #[test]
    fn every_documented_status_has_its_phase() {
        for (word, phase) in [
            ("queued", Phase::Queued),
            ("requested", Phase::Queued),
            ("pending", Phase::Queued),
            ("waiting", Phase::Waiting),
            ("in_progress", Phase::Running),
        ] {
            assert_eq!(status(Some(word), None).phase, phase, "{word}");
        }
    }

    #[test]
    fn every_documented_conclusion_has_its_outcome() {
        for (word, outcome, config) in [
            ("success", Outcome::Succeeded, false),
            ("failure", Outcome::Failed, false),
            ("timed_out", Outcome::Failed, false),
            ("startup_failure", Outcome::Failed, true),
            ("cancelled", Outcome::Cancelled, false),
            ("skipped", Outcome::Skipped, false),
            ("neutral", Outcome::Neutral, false),
            ("stale", Outcome::Neutral, false),
        ] {
            let status = status(Some("completed"), Some(word));
            assert_eq!(status.outcome, Some(outcome), "{word}");
            assert_eq!(status.flags.config, config, "{word}");
        }
        let fork = status(Some("completed"), Some("action_required"));
        assert_eq!((fork.phase, fork.outcome), (Phase::Waiting, None));
    }

    #[test]
    fn hosted_trap_3_no_documented_word_is_unknown_and_unknown_words_are_no_error() {
        let enums = fixture(include_str!(
            "../../../tests/fixtures/github/openapi-enums.json"
        ));
        let words = |key: &str| -> Vec<String> {
            let list = enums[key].as_array().unwrap();
            list.iter()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect()
        };
        for key in ["job.status", "check-suite.status", "step.status"] {
            for word in words(key) {
                let phase = status(Some(&word), Some("success")).phase;
                assert!(!matches!(phase, Phase::Unknown(_)), "{word}");
            }
        }
        for key in ["job.conclusion", "check-suite.conclusion"] {
            for word in words(key) {
                let outcome = status(Some("completed"), Some(&word)).outcome;
                assert!(!matches!(outcome, Some(Outcome::Unknown(_))), "{word}");
            }
        }
        let new = status(Some("defrosting"), None);
        assert_eq!(new.phase, Phase::Unknown("defrosting".into()));
        let new = status(Some("completed"), Some("exploded\u{1b}[31m"));
        assert_eq!(new.outcome, Some(Outcome::Unknown("exploded".into())));
        let none = status(Some("completed"), None);
        assert_eq!(none.word(), "no conclusion");
    }

    #[test]
    fn hosted_trap_4_cancelled_is_spelt_as_github_spells_it() {
        let status_of = |word| status(Some("completed"), Some(word)).outcome;
        assert_eq!(status_of("cancelled"), Some(Outcome::Cancelled));
        // The other spelling is another service's; it is shown, not guessed at.
        assert_eq!(
            status_of("canceled"),
            Some(Outcome::Unknown("canceled".into()))
        );
    }

    #[test]
    fn a_conclusion_before_the_end_does_not_count() {
        let odd = status(Some("in_progress"), Some("success"));
        assert_eq!((odd.phase, odd.outcome), (Phase::Running, None));
    }

    #[test]
    fn the_official_example_of_a_run_is_read_in_full() {
        let answer = fixture(include_str!(
            "../../../tests/fixtures/github/openapi-workflow-runs.json"
        ));
        let answer: wire::Runs = serde_json::from_value(answer).unwrap();
        let (runs, trouble) = wire::each::<wire::Run>(answer.items);
        assert_eq!((runs.len(), trouble), (1, None));
        let run = run(&runs[0], &pipeline());
        assert_eq!(run.id.id, 30_433_642);
        assert_eq!((run.number, run.attempt), (562, 1));
        assert_eq!(run.branch, "master");
        assert_eq!(run.head_sha, "acb5820ced9479c074f688cc328bf03f341a511d");
        assert_eq!(run.title, "Update README.md");
        assert_eq!(
            (run.event.as_str(), run.actor.as_str()),
            ("push", "octocat")
        );
        assert_eq!(run.status.phase, Phase::Queued);
        assert_eq!(
            run.created_at.unwrap().to_rfc3339(),
            "2020-01-22T19:33:08+00:00"
        );
    }

    #[test]
    fn the_official_example_of_a_job_is_read_with_its_steps() {
        let answer = fixture(include_str!(
            "../../../tests/fixtures/github/openapi-jobs.json"
        ));
        let answer: wire::Jobs = serde_json::from_value(answer).unwrap();
        let (jobs, trouble) = wire::each::<wire::Job>(answer.items);
        assert_eq!(trouble, None);
        let run = run_id(&pipeline(), 29_679_449);
        let job = job(&jobs[0], &run, 1, &[("build".into(), Stage::Train)]);
        assert_eq!((job.id.id, job.name.as_str()), (399_444_496, "build"));
        assert_eq!(job.stage, Stage::Train, "the service's own rule wins");
        assert!(job.status.has_succeeded());
        assert_eq!(job.steps.len(), 10);
        assert_eq!(job.steps[1].name, "Run actions/checkout@v2");
        assert_eq!(job.runner.as_deref(), Some("my runner"));
        assert_eq!(
            job.ended_at.unwrap().to_rfc3339(),
            "2020-01-20T17:44:39+00:00"
        );
    }

    #[test]
    fn the_official_example_of_a_waiting_environment_names_who_may_answer() {
        let answer = fixture(include_str!(
            "../../../tests/fixtures/github/openapi-pending-deployments.json"
        ));
        let (waiting, trouble) = wire::each::<wire::Pending>(answer.as_array().unwrap().clone());
        assert_eq!(trouble, None);
        let example: wire::Run = serde_json::from_value(json!({
            "id": 7, "run_attempt": 2, "head_sha": "aa", "status": "waiting"
        }))
        .unwrap();
        let run = run(&example, &pipeline());
        let pending = pending(&waiting[0], &run);
        assert_eq!(pending.id.environment, 161_088_068);
        assert_eq!(
            (pending.attempt, pending.environment.as_str()),
            (2, "staging")
        );
        assert_eq!(pending.may_approve, Some(true));
        assert_eq!(pending.reviewers, ["octocat", "justice-league"]);
        assert_eq!(
            pending.timer_ends_at, None,
            "reviewers are asked, timer or not"
        );
    }

    #[test]
    fn an_environment_with_a_timer_alone_says_when_it_goes_on() {
        let waiting: wire::Pending = serde_json::from_value(json!({
            "environment": {"id": 1, "name": "prod"},
            "wait_timer": 30, "wait_timer_started_at": "2020-11-23T22:00:40Z",
            "reviewers": []
        }))
        .unwrap();
        let example: wire::Run =
            serde_json::from_value(json!({"id": 7, "head_sha": "aa"})).unwrap();
        let pending = pending(&waiting, &run(&example, &pipeline()));
        let ends = pending.timer_ends_at.unwrap();
        assert_eq!(ends.to_rfc3339(), "2020-11-23T22:30:40+00:00");
        assert_eq!(pending.may_approve, None);
    }

    #[test]
    fn the_official_example_of_a_review_names_answer_and_person() {
        let answer = fixture(include_str!(
            "../../../tests/fixtures/github/openapi-approvals.json"
        ));
        let (entries, trouble) = wire::each::<wire::Review>(answer.as_array().unwrap().clone());
        assert_eq!(trouble, None);
        let reviews = reviews(&entries[0], &run_id(&pipeline(), 7));
        assert_eq!(reviews.len(), 1);
        assert_eq!(reviews[0].answer, Answer::Approved);
        assert_eq!(reviews[0].user, "octocat");
        assert_eq!(reviews[0].comment, "Ship it!");
        assert_eq!(reviews[0].environment, "staging");
    }

    #[test]
    fn hosted_trap_6_ids_wider_than_32_bits_are_read() {
        let example: wire::Run = serde_json::from_value(json!({
            "id": 10_551_800_200_u64, "head_sha": "aa", "status": "waiting"
        }))
        .unwrap();
        assert_eq!(run(&example, &pipeline()).id.id, 10_551_800_200);
    }

    #[test]
    fn a_queued_job_has_not_started_whatever_it_says() {
        let queued: wire::Job = serde_json::from_value(json!({
            "id": 1, "name": "train", "status": "queued",
            "started_at": "2026-03-10T12:00:00Z", "steps": null
        }))
        .unwrap();
        let job = job(&queued, &run_id(&pipeline(), 7), 3, &[]);
        assert_eq!((job.started_at, job.attempt), (None, 3));
    }

    #[test]
    fn one_unreadable_object_leaves_its_neighbours_readable() {
        let items = vec![
            json!({"id": 1, "head_sha": "aa"}),
            json!({"id": "two", "head_sha": "bb"}),
            json!({"id": 3, "head_sha": "cc", "created_at": 17, "updated_at": "yesterday"}),
        ];
        let (runs, trouble) = wire::each::<wire::Run>(items);
        assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [1, 3]);
        assert!(trouble.unwrap().contains("two"));
    }

    #[test]
    fn an_address_that_is_no_web_address_is_dropped() {
        assert_eq!(address(Some("javascript:alert(1)")), "");
        assert_eq!(
            address(Some("https://github.com/x")),
            "https://github.com/x"
        );
    }
}
