//! What the gate kind `pipeline` says, by how jobs and runs ended.

use gonogo::{
    domain::{
        id::GateId,
        observation::{Fact, Observation},
        pipeline::{Outcome, Phase, RunStatus, StatusFlags},
        policy::{Better, GateRule, GateSource, Limit},
        verdict::{Finding, Verdict, Word},
    },
    engine::world::World,
};

use crate::support::build::{
    answer, approval, canary, catalog, job, latency_gate, live, rollout, run, runs, world,
};

const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

pub(super) fn pipeline_gate(pattern: &str) -> GateRule {
    GateRule {
        id: GateId::new("tests"),
        class: 'Q',
        source: GateSource::Pipeline(pattern.to_owned().into()),
        better: Better::Higher,
        fail: Limit::default(),
        ..latency_gate(0.0)
    }
}

/// Run 2 with these jobs, not rolled out: version 1 is live.
fn told(jobs: &[(&str, RunStatus)], run_status: RunStatus) -> Vec<Observation> {
    let mut of = run(2, B, 50);
    of.status = run_status;
    let facts = jobs
        .iter()
        .zip(1..)
        .map(|((name, status), id)| Fact::Job(job(&of, id, name, status.clone())))
        .collect();
    vec![
        runs(100, &[&of]),
        answer("gh", "jobs acme/recsys#2", 100, facts),
        rollout(100, live("r/ranker:9f3c2ab")),
    ]
}

fn only(world: &World) -> &Finding {
    let decision = world.decisions.values().next().expect("a decision");
    assert_eq!(decision.findings.len(), 1);
    &decision.findings[0]
}

#[track_caller]
fn check(gate: &str, jobs: &[(&str, RunStatus)], run: RunStatus, verdict: Verdict, reason: &str) {
    let world = world(catalog(vec![pipeline_gate(gate)]), &told(jobs, run), 101);
    let found = only(&world);
    assert_eq!(
        (found.verdict, &*found.reason),
        (verdict, reason),
        "{jobs:?}"
    );
}

fn good() -> RunStatus {
    RunStatus::ended(Outcome::Succeeded)
}

/// A failure that says nothing about the work.
fn broken(reason: &'static str, flags: StatusFlags) -> RunStatus {
    RunStatus {
        flags,
        ..RunStatus::ended(Outcome::Failed).because(reason)
    }
}

fn timed_out() -> RunStatus {
    let flags = StatusFlags {
        timed: true,
        ..StatusFlags::default()
    };
    broken("timed out", flags)
}

/// Each end a job can come to, beside one that did well. Only what was measured
/// and bad is a fail; what ended without an answer is no evidence; what broke
/// down is an error.
#[test]
fn each_end_of_a_job_has_its_verdict() {
    let infra = StatusFlags {
        infra: true,
        ..StatusFlags::default()
    };
    let config = StatusFlags {
        config: true,
        ..StatusFlags::default()
    };
    let warned = RunStatus {
        flags: StatusFlags {
            warn: true,
            ..StatusFlags::default()
        },
        ..good()
    };
    let ended = RunStatus::ended;
    for (status, verdict, reason) in [
        (good(), Verdict::Pass, "2 jobs succeeded"),
        (warned, Verdict::Warn, "data tests succeeded"),
        (ended(Outcome::Skipped), Verdict::Pass, "1 job succeeded"),
        (ended(Outcome::Failed), Verdict::Fail, "data tests failed"),
        (timed_out(), Verdict::Error, "data tests failed (timed out)"),
        (
            broken("the runner was lost", infra),
            Verdict::Error,
            "data tests failed (the runner was lost)",
        ),
        (
            broken("the workflow file is invalid", config),
            Verdict::Error,
            "data tests failed (the workflow file is invalid)",
        ),
        (
            ended(Outcome::Unknown("odd".into())),
            Verdict::Error,
            "data tests odd",
        ),
        (
            ended(Outcome::Cancelled),
            Verdict::Missing,
            "data tests cancelled",
        ),
        (
            ended(Outcome::Neutral),
            Verdict::Missing,
            "data tests neutral",
        ),
        (
            ended(Outcome::Neutral).because("given up by GitHub"),
            Verdict::Missing,
            "data tests neutral (given up by GitHub)",
        ),
        (
            RunStatus::at(Phase::Waiting).because("a maintainer must let it start"),
            Verdict::Pending,
            "data tests waiting (a maintainer must let it start)",
        ),
        (
            RunStatus::at(Phase::Running),
            Verdict::Pending,
            "data tests running",
        ),
    ] {
        let jobs = [("unit tests", good()), ("data tests", status.clone())];
        check("test", &jobs, good(), verdict, reason);
        // The same asked about the run as a whole.
        check("", &jobs, good(), verdict, reason);
    }
}

#[test]
fn what_waiting_cannot_help_speaks_before_what_goes_on() {
    check(
        "test",
        &[
            ("unit tests", RunStatus::ended(Outcome::Cancelled)),
            ("data tests", RunStatus::at(Phase::Running)),
        ],
        RunStatus::at(Phase::Running),
        Verdict::Missing,
        "unit tests cancelled",
    );
}

#[test]
fn no_such_job_is_missing_once_the_run_has_ended() {
    let jobs = [("train", good())];
    check(
        "test",
        &jobs,
        good(),
        Verdict::Missing,
        "no job `test` in run gh#2",
    );
    check(
        "test",
        &jobs,
        RunStatus::at(Phase::Running),
        Verdict::Pending,
        "no job `test` in run gh#2",
    );
}

/// A run that ended otherwise than well brings the release nowhere, whatever
/// the jobs that were asked about said.
#[test]
fn a_run_that_did_not_end_well_is_never_go() {
    let ended = RunStatus::ended;
    for (status, verdict, reason) in [
        (
            ended(Outcome::Cancelled),
            Verdict::Missing,
            "run 2 cancelled",
        ),
        (ended(Outcome::Neutral), Verdict::Missing, "run 2 neutral"),
        (
            ended(Outcome::Neutral).because("given up by GitHub"),
            Verdict::Missing,
            "run 2 neutral (given up by GitHub)",
        ),
        (timed_out(), Verdict::Error, "run 2 failed (timed out)"),
        (
            ended(Outcome::Unknown("odd".into())),
            Verdict::Error,
            "run 2 odd",
        ),
        (ended(Outcome::Failed), Verdict::Fail, "run 2 failed"),
    ] {
        // A gate named like its jobs does not say that they failed.
        let kept = format!("unit tests succeeded; {reason}");
        for (gate, reason) in [("test", kept.as_str()), ("", reason)] {
            check(
                gate,
                &[("unit tests", good())],
                status.clone(),
                verdict,
                reason,
            );
        }
    }
    check(
        "test",
        &[("unit tests", good()), ("data tests", good())],
        ended(Outcome::Failed),
        Verdict::Fail,
        "all 2 jobs succeeded; run 2 failed",
    );
    check(
        "test",
        &[
            ("unit tests", good()),
            ("build", RunStatus::ended(Outcome::Failed)),
        ],
        RunStatus::ended(Outcome::Failed),
        Verdict::Fail,
        "unit tests succeeded; run 2 failed (build failed)",
    );
}

/// What was proven before users came to it stays proven, whatever becomes of
/// the rest of its run.
#[test]
fn a_release_that_is_in_the_environment_keeps_what_its_jobs_proved() {
    let mut told = told(
        &[("unit tests", good())],
        RunStatus::ended(Outcome::Cancelled),
    );
    told[2] = rollout(100, canary("r/ranker:1111111", "r/ranker:9f3c2ab"));
    let of = |gate: &str| world(catalog(vec![pipeline_gate(gate)]), &told, 101);
    let named = of("test");
    assert_eq!(only(&named).verdict, Verdict::Pass);
    // Asked about the run as a whole, it did not end well.
    let whole = of("");
    assert_eq!(
        (only(&whole).verdict, &*only(&whole).reason),
        (Verdict::Missing, "run 2 cancelled")
    );
}

#[test]
fn a_run_that_must_be_let_start_waits_and_says_for_what() {
    check(
        "",
        &[],
        RunStatus::at(Phase::Waiting).because("a maintainer must let this fork's run start"),
        Verdict::Pending,
        "run gh#2 waiting: a maintainer must let this fork's run start",
    );
}

/// What an approval lets go is not asked about before it; else no first
/// approval could ever be GO.
#[test]
fn a_job_behind_an_approval_is_not_asked_about_before_it() {
    let jobs = [
        ("unit tests", good()),
        ("deploy", RunStatus::at(Phase::Waiting)),
        ("smoke", RunStatus::at(Phase::Queued)),
    ];
    let mut told = told(&jobs, RunStatus::at(Phase::Waiting));
    told.push(answer(
        "gh",
        "approvals 2",
        100,
        vec![Fact::Approval(approval(&run(2, B, 50), "prod-eu"))],
    ));
    let world = world(catalog(vec![pipeline_gate("")]), &told, 101);
    assert_eq!(only(&world).verdict, Verdict::Pass);
    let decision = world.decisions.values().next().unwrap();
    assert_eq!(decision.word, Word::Go);
}

/// GitHub lists a job when those it needs have ended: what is listed may all be
/// green, and the tests still to come.
#[test]
fn a_run_that_goes_on_has_not_succeeded() {
    let running = || RunStatus::at(Phase::Running);
    let green = [("lint", good()), ("build", good())];
    check("", &green, running(), Verdict::Pending, "run 2 running");
    check(
        "",
        &green,
        RunStatus::at(Phase::Queued),
        Verdict::Pending,
        "run 2 queued",
    );
    check("", &green, good(), Verdict::Pass, "2 jobs succeeded");
    // The jobs that were asked for by name have said all they can.
    check("lint", &green, running(), Verdict::Pass, "1 job succeeded");
    // Which of them is still at work says more, and what is bad more yet.
    let jobs = [("lint", good()), ("build", running())];
    check("", &jobs, running(), Verdict::Pending, "build running");
    let jobs = [("lint", RunStatus::ended(Outcome::Failed))];
    check("", &jobs, running(), Verdict::Fail, "lint failed");
}

/// The job behind an approval may not be listed yet: what the answer lets go is
/// not waited for all the same.
#[test]
fn a_run_that_waits_for_an_approval_is_not_waited_for() {
    let mut told = told(&[("lint", good())], RunStatus::at(Phase::Waiting));
    let asked = Fact::Approval(approval(&run(2, B, 50), "prod-eu"));
    told.push(answer("gh", "approvals 2", 100, vec![asked]));
    let world = world(catalog(vec![pipeline_gate("")]), &told, 101);
    assert_eq!(only(&world).verdict, Verdict::Pass);
}

#[test]
fn what_covers_nothing_is_missing_before_its_kind_is_asked() {
    let mut of = run(2, B, 50);
    of.status = RunStatus::ended(Outcome::Succeeded);
    let skipped = Fact::Job(job(
        &of,
        1,
        "unit tests",
        RunStatus::ended(Outcome::Skipped),
    ));
    let told = [
        runs(100, &[&of]),
        answer("gh", "jobs acme/recsys#2", 100, vec![skipped]),
        rollout(100, live("r/ranker:9f3c2ab")),
    ];
    let world = world(catalog(vec![pipeline_gate("test")]), &told, 101);
    let found = only(&world);
    assert_eq!(
        (found.verdict, &*found.reason, found.coverage),
        (
            Verdict::Missing,
            "0 of 1 job ran: unit tests skipped",
            Some(0.0)
        )
    );
}
