//! GitHub's words, held against its own description of them.

use proptest::prelude::*;
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
        "../../../../tests/fixtures/github/openapi-enums.json"
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
        "../../../../tests/fixtures/github/openapi-workflow-runs.json"
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
        "../../../../tests/fixtures/github/openapi-jobs.json"
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
        "../../../../tests/fixtures/github/openapi-pending-deployments.json"
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
    let example: wire::Run = serde_json::from_value(json!({"id": 7, "head_sha": "aa"})).unwrap();
    let pending = pending(&waiting, &run(&example, &pipeline()));
    let ends = pending.timer_ends_at.unwrap();
    assert_eq!(ends.to_rfc3339(), "2020-11-23T22:30:40+00:00");
    assert_eq!(pending.may_approve, None);
}

#[test]
fn the_official_example_of_a_review_names_answer_and_person() {
    let answer = fixture(include_str!(
        "../../../../tests/fixtures/github/openapi-approvals.json"
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

/// Any JSON, small.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from("9999-12-31T23:59:59Z")),
        Just(Value::from("0001-01-01T00:00:00Z")),
        Just(Value::from("completed")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "id", "name", "login", "slug", "status", "number", "reviewer",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    /// The official examples with one field replaced by anything at all: read
    /// or refused, never a panic.
    #[test]
    fn no_answer_makes_it_panic(place in any::<prop::sample::Index>(), value in any_json()) {
        let mut examples = vec![
            fixture(include_str!("../../../../tests/fixtures/github/openapi-workflow-runs.json"))
                ["workflow_runs"][0].clone(),
            fixture(include_str!("../../../../tests/fixtures/github/openapi-jobs.json"))
                ["jobs"][0].clone(),
            fixture(include_str!("../../../../tests/fixtures/github/openapi-pending-deployments.json"))
                [0].clone(),
            fixture(include_str!("../../../../tests/fixtures/github/openapi-approvals.json"))
                [0].clone(),
        ];
        for example in &mut examples {
            let fields = example.as_object_mut().unwrap();
            let name = place.get(&fields.keys().cloned().collect::<Vec<_>>()).clone();
            fields.insert(name, value.clone());
        }
        let example: wire::Run =
            serde_json::from_value(json!({"id": 7, "head_sha": "aa"})).unwrap();
        let known = run(&example, &pipeline());
        for told in wire::each::<wire::Run>(examples.clone()).0 {
            run(&told, &pipeline());
        }
        for told in wire::each::<wire::Job>(examples.clone()).0 {
            job(&told, &known.id, 1, &[]);
        }
        for told in wire::each::<wire::Pending>(examples.clone()).0 {
            pending(&told, &known);
        }
        for told in wire::each::<wire::Review>(examples).0 {
            reviews(&told, &known.id);
        }
    }
}

#[test]
fn a_deployment_that_speaks_of_no_model_ties_nothing() {
    let answer = fixture(include_str!(
        "../../../../tests/fixtures/github/openapi-deployments.json"
    ));
    let (listed, trouble) = wire::each::<wire::Deployment>(answer.as_array().unwrap().clone());
    assert_eq!(trouble, None);
    assert_eq!(listed[0].sha, "a84d88e7554fc1fa21bcbc4efae3c782a70d2b9d");
    assert_eq!(deployed(&listed[0]), None);
    let odd = |payload: serde_json::Value| {
        let told = serde_json::json!({"sha": "a", "payload": payload});
        deployed(&serde_json::from_value(told).unwrap())
    };
    for payload in [
        serde_json::json!(null),
        serde_json::json!([1]),
        serde_json::json!({"model": 42}),
        serde_json::json!({"model": "ranker"}),
        serde_json::json!({"model": ":42"}),
        serde_json::json!({"model": "ranker:latest"}),
        serde_json::json!("model=ranker model=:"),
    ] {
        assert_eq!(odd(payload.clone()), None, "{payload}");
    }
}
