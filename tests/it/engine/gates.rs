//! What gates say, by what was measured.

use std::time::Duration;

use gonogo::{
    domain::{
        backend::ErrorKind,
        measure::{Arm, Sample},
        model::Dataset,
        observation::{Fact, Failure, Observation, Scope},
        pipeline::{Outcome, Phase, RunStatus},
        policy::{
            BaselineSource, Binding, Change, GateRule, GateSource, Limit, OnMissing,
            RolloutQuestion, Versus,
        },
        quantity::Weight,
        rollout::{AnalysisPhase, Rollout, RolloutPhase},
        verdict::{Finding, Verdict, Word},
    },
    engine::world::World,
};

use super::{
    analyses::{analyses_gate, analysis},
    pipelines::pipeline_gate,
};
use crate::support::build::{
    accuracy_gate, aliases, answer, approval, at, backend, canary, catalog, job, lane,
    latency_gate, live, measure, metric, model_run, registry, revision, rollout, run, runs,
    version, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const METRIC: &str = "metric recsys-ranker/prod-eu/latency_p95";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A canary of commit B (model v2) over commit A (model v1), measured as given.
fn during_canary(gates: Vec<GateRule>, samples: &[(Arm, Sample)]) -> World {
    let measures = samples
        .iter()
        .map(|(arm, sample)| Fact::Measure(measure(*arm, sample.clone(), 100)))
        .collect();
    world(
        catalog(gates),
        &[&setting()[..], &[answer("prom", METRIC, 100, measures)]].concat(),
        101,
    )
}

fn setting() -> Vec<Observation> {
    vec![
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(
            100,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![
                model_run(1, &[("accuracy", 0.96)]),
                model_run(2, &[("accuracy", 0.97)]),
            ],
        ),
        rollout(100, canary("r/ranker:1111111", "r/ranker:9f3c2ab")),
    ]
}

fn only(world: &World) -> &Finding {
    let decision = world.decisions.values().next().expect("a decision");
    assert_eq!(decision.findings.len(), 1);
    &decision.findings[0]
}

fn word(world: &World) -> Word {
    world.decisions.values().next().expect("a decision").word
}

#[track_caller]
fn check(gates: Vec<GateRule>, samples: &[(Arm, Sample)], verdict: Verdict, reason: &str) {
    let world = during_canary(gates, samples);
    let finding = only(&world);
    assert_eq!((finding.verdict, &*finding.reason), (verdict, reason));
}

#[test]
fn the_limit_itself_is_inside() {
    check(
        vec![latency_gate(250.0)],
        &[(Arm::Canary, Sample::Value(250.0))],
        Verdict::Pass,
        "250 ms ≤ 250 ms over 1m",
    );
    check(
        vec![latency_gate(250.0)],
        &[(Arm::Canary, Sample::Value(250.5))],
        Verdict::Fail,
        "250.5 ms > 250 ms over 1m",
    );
}

#[test]
fn empty_zero_and_nan_are_three_different_things() {
    let gate = || vec![latency_gate(250.0)];
    check(
        gate(),
        &[(Arm::Canary, Sample::Value(0.0))],
        Verdict::Pass,
        "0 ms ≤ 250 ms over 1m",
    );
    check(
        gate(),
        &[(Arm::Canary, Sample::Empty)],
        Verdict::Missing,
        "no series for canary at 30 % of traffic",
    );
    check(
        gate(),
        &[(Arm::Canary, Sample::NotFinite("NaN".into()))],
        Verdict::Error,
        "value is NaN",
    );
    check(
        gate(),
        &[(Arm::Canary, Sample::Several(3))],
        Verdict::Error,
        "3 series and no `aggregate` that says which counts",
    );
}

#[test]
fn warning_lies_between_the_two_limits() {
    let gate = || {
        vec![GateRule {
            warn: Limit {
                below: None,
                above: Some(200.0),
            },
            ..latency_gate(250.0)
        }]
    };
    check(
        gate(),
        &[(Arm::Canary, Sample::Value(200.0))],
        Verdict::Pass,
        "200 ms ≤ 250 ms over 1m",
    );
    check(
        gate(),
        &[(Arm::Canary, Sample::Value(212.0))],
        Verdict::Warn,
        "212 ms > 200 ms (warning limit) over 1m",
    );
    check(
        gate(),
        &[(Arm::Canary, Sample::Value(260.0))],
        Verdict::Fail,
        "260 ms > 250 ms over 1m",
    );
}

fn versus_stable(change: Change) -> Vec<GateRule> {
    let versus = Versus {
        baseline: BaselineSource::Stable,
        max_regression: Some(change),
        min_improvement: None,
        same_data: false,
        on_missing_baseline: OnMissing::Missing,
    };
    vec![GateRule {
        versus: Some(versus),
        ..latency_gate(1000.0)
    }]
}

#[test]
fn a_regression_is_measured_against_the_baseline() {
    let tenth = || {
        versus_stable(Change {
            absolute: None,
            relative: Some(0.1),
        })
    };
    let pair = |canary, stable| {
        vec![
            (Arm::Canary, Sample::Value(canary)),
            (Arm::Stable, Sample::Value(stable)),
        ]
    };
    // 200 ms and ten per cent make 220 ms; that value is still inside.
    for (canary, verdict) in [
        (190.0, Verdict::Pass),
        (220.0, Verdict::Pass),
        (221.0, Verdict::Fail),
    ] {
        let world = during_canary(tenth(), &pair(canary, 200.0));
        assert_eq!(only(&world).verdict, verdict, "{canary}");
        let base = only(&world).baseline.as_ref().unwrap().value;
        assert!((base - 200.0).abs() < f64::EPSILON);
    }
    let world = during_canary(tenth(), &pair(5.0, 0.0));
    assert_eq!(
        only(&world).verdict,
        Verdict::Error,
        "a share of nothing says nothing"
    );
    let absolute = versus_stable(Change {
        absolute: Some(10.0),
        relative: Some(0.1),
    });
    assert_eq!(
        only(&during_canary(absolute, &pair(5.0, 0.0))).verdict,
        Verdict::Pass
    );
}

/// What a person needs to check it by hand: the value, the limit in the same
/// unit, which share of what it is, and the time that was looked at.
#[test]
fn a_reason_names_value_limit_and_what_the_limit_follows_from() {
    let of = |absolute, relative| versus_stable(Change { absolute, relative });
    let pair = |canary, stable| {
        vec![
            (Arm::Canary, Sample::Value(canary)),
            (Arm::Stable, Sample::Value(stable)),
        ]
    };
    // A tenth of 200 ms is 20 ms; the limit is 220 ms, or 212 ms where 12 ms are
    // tolerated. Both together tolerate the larger one.
    for (gate, canary, reason, limit) in [
        (
            of(None, Some(0.1)),
            221.0,
            "221 ms > 220 ms (10 % above stable's 200 ms) over 1m",
            220.0,
        ),
        (
            of(Some(12.0), None),
            221.0,
            "221 ms > 212 ms (12 ms above stable's 200 ms) over 1m",
            212.0,
        ),
        (
            of(Some(12.0), Some(0.1)),
            300.0,
            "300 ms > 220 ms (10 % above stable's 200 ms) over 1m",
            220.0,
        ),
    ] {
        let world = during_canary(gate, &pair(canary, 200.0));
        let found = only(&world);
        assert_eq!((&*found.reason, found.limit), (reason, Some(limit)));
    }
    let world = during_canary(of(None, Some(0.1)), &pair(5.0, 0.0));
    assert_eq!(
        &*only(&world).reason,
        "stable is 0 ms: a relative rule needs an absolute one beside it"
    );
    assert_eq!(
        &*only(&world).rule,
        "latency_p95 ≤ 1000 ms · at most 10 % above stable"
    );
}

#[test]
fn a_missing_baseline_is_what_the_policy_says() {
    let tenth = versus_stable(Change {
        absolute: None,
        relative: Some(0.1),
    });
    let world = during_canary(
        tenth,
        &[
            (Arm::Canary, Sample::Value(190.0)),
            (Arm::Stable, Sample::Empty),
        ],
    );
    assert_eq!(only(&world).verdict, Verdict::Missing);
}

#[test]
fn too_little_traffic_is_no_evidence_yet() {
    let gate = || {
        vec![GateRule {
            min_traffic: Some(200.0),
            ..latency_gate(250.0)
        }]
    };
    let with = |requests| {
        vec![
            (Arm::Canary, Sample::Value(900.0)),
            (Arm::Traffic, Sample::Value(requests)),
        ]
    };
    check(
        gate(),
        &with(82.0),
        Verdict::Pending,
        "82 requests, at least 200 needed",
    );
    check(
        gate(),
        &with(200.0),
        Verdict::Fail,
        "900 ms > 250 ms over 1m",
    );
}

#[test]
fn old_evidence_is_stale_and_says_when_it_becomes_so() {
    // The backend's limit is three cadences of 10 s: 30 s after the measurement at 100 s.
    let fresh = during_canary(
        vec![latency_gate(250.0)],
        &[(Arm::Canary, Sample::Value(200.0))],
    );
    assert_eq!(only(&fresh).changes_at, Some(at(130)));
    let mut later = fresh.clone();
    gonogo::engine::reduce::settle(&mut later, at(130));
    assert_eq!(only(&later).verdict, Verdict::Stale);
    assert_eq!(&*only(&later).reason, "30s old, limit 30s");
    assert_eq!(word(&later), Word::HoldNotProven);
}

#[test]
fn a_query_the_backend_refuses_is_an_error_at_once() {
    let refused = Observation::Failure(Failure {
        scope: Scope::metric(&backend("prom"), &metric()),
        at: at(100),
        kind: ErrorKind::Rejected,
        message: "parse error".into(),
        retry_at: None,
    });
    let world = world(
        catalog(vec![latency_gate(250.0)]),
        &[&setting()[..], &[refused]].concat(),
        101,
    );
    assert_eq!(only(&world).verdict, Verdict::Error);
    assert!(only(&world).reason.contains("parse error"));
}

#[test]
fn a_canary_metric_is_not_asked_before_the_canary() {
    let mut waiting = run(2, B, 50);
    waiting.status = RunStatus::at(Phase::Waiting);
    let told = [
        runs(100, &[&waiting]),
        answer(
            "gh",
            "approvals 2",
            100,
            vec![Fact::Approval(approval(&waiting, "prod-eu"))],
        ),
        rollout(100, live("r/ranker:9f3c2ab")),
        answer("prom", METRIC, 100, vec![]),
    ];
    let world = world(catalog(vec![latency_gate(250.0)]), &told, 101);
    assert_eq!(only(&world).verdict, Verdict::NotApplicable);
    assert_eq!(
        word(&world),
        Word::NoGo,
        "nothing else was asked, so nothing was proven"
    );
}

#[test]
fn an_aborted_canary_that_nobody_is_on_has_nothing_to_show_for_itself() {
    let aborted = |percent: u8, p95: f64| {
        let told = [
            runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
            rollout(
                100,
                Rollout {
                    aborted: Some(Some(at(90))),
                    phase: RolloutPhase::Degraded,
                    pause: None,
                    weight_wanted: Weight::ZERO,
                    weight_actual: Weight::percent(percent),
                    ..canary("r/ranker:1111111", "r/ranker:9f3c2ab")
                },
            ),
            answer(
                "prom",
                METRIC,
                100,
                vec![Fact::Measure(measure(Arm::Canary, Sample::Value(p95), 100))],
            ),
        ];
        only(&world(catalog(vec![latency_gate(250.0)]), &told, 101)).verdict
    };
    // What is measured while nobody is on it says nothing, good or bad.
    assert_eq!(aborted(0, 300.0), Verdict::Missing);
    assert_eq!(aborted(0, 200.0), Verdict::Missing);
    assert_eq!(aborted(10, 300.0), Verdict::Fail);
}

#[test]
fn what_users_felt_before_a_revision_took_over_is_not_held_against_it() {
    use gonogo::domain::rollout::Role;
    let bad = Rollout {
        current_hash: Some("new".into()),
        stable_hash: Some("new".into()),
        revisions: vec![revision(2, "new", "r/ranker:1111111", Role::Stable)],
        ..live("r/ranker:1111111")
    };
    let back = Rollout {
        version: Some(101),
        revisions: vec![
            revision(1, "old", "r/ranker:9f3c2ab", Role::Stable),
            revision(2, "new", "r/ranker:1111111", Role::Old),
        ],
        ..live("r/ranker:9f3c2ab")
    };
    // The queries look back 60 s; the earlier revision took over at 110.
    let judged = |now: i64| {
        let felt = measure(Arm::Stable, Sample::Value(300.0), now - 1);
        let told = [
            runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
            rollout(100, bad.clone()),
            rollout(110, back.clone()),
            answer("prom", METRIC, now - 1, vec![Fact::Measure(felt)]),
        ];
        // The revision before has a decision too, as it was then.
        let world = world(catalog(vec![latency_gate(250.0)]), &told, now);
        let row = &world.lanes[&lane()];
        let decision = world.decision(row.release().unwrap(), &row.environment);
        decision.unwrap().findings[0].clone()
    };
    let early = judged(130);
    assert_eq!(
        (early.verdict, early.reason.as_str()),
        (
            Verdict::Pending,
            "took over 20s ago: the 1m looked back on are not all its own yet"
        )
    );
    assert_eq!(judged(171).verdict, Verdict::Fail);
}

/// A process that has just begun has seen nothing take over: the object says it.
#[test]
fn a_fresh_look_after_a_roll_back_reads_nothing_from_before_it() {
    let back = Rollout {
        completed_at: Some(at(110)),
        // A pod that came and went is no new beginning.
        changed_at: Some(at(160)),
        ..live("r/ranker:9f3c2ab")
    };
    let looking_back = |seconds: u64, measured: i64, now: i64| {
        let felt = measure(Arm::Stable, Sample::Value(300.0), measured);
        let told = [
            runs(now, &[&run(1, A, 0)]),
            rollout(now, back.clone()),
            answer("prom", METRIC, now, vec![Fact::Measure(felt)]),
        ];
        let mut catalog = catalog(vec![latency_gate(250.0)]);
        for metric in catalog.services.values_mut().flat_map(|of| &mut of.metrics) {
            metric.looks_back = Duration::from_secs(seconds);
        }
        let world = world(catalog, &told, now);
        only(&world).clone()
    };
    let judged = |measured: i64, now: i64| looking_back(60, measured, now);
    let early = judged(130, 130);
    assert_eq!(
        (early.verdict, early.reason.as_str()),
        (
            Verdict::Pending,
            "took over 19s ago: the 1m looked back on are not all its own yet"
        )
    );
    // The stamp is cut to whole seconds: it may have been at 110.9.
    assert_eq!(judged(170, 170).verdict, Verdict::Pending);
    // What was measured then stays what it was, however long it is looked at.
    assert_eq!(judged(165, 175).verdict, Verdict::Pending);
    assert_eq!(judged(171, 175).verdict, Verdict::Fail);
    // One that reads an instant is its own from the first instant on.
    let before = looking_back(0, 110, 115);
    assert_eq!(
        (before.verdict, before.reason.as_str()),
        (
            Verdict::Pending,
            "took over 4s ago: what was measured is from before"
        )
    );
    assert_eq!(looking_back(0, 111, 115).verdict, Verdict::Fail);
}

#[test]
fn registry_trap_2_a_nan_metric_never_passes() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut told = setting();
        told[1] = registry(
            100,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![
                model_run(1, &[("accuracy", 0.96)]),
                model_run(2, &[("accuracy", value)]),
            ],
        );
        let versus = Versus {
            baseline: BaselineSource::Alias("champion".into()),
            max_regression: Some(Change {
                absolute: None,
                relative: Some(0.01),
            }),
            min_improvement: None,
            same_data: false,
            on_missing_baseline: OnMissing::Warn,
        };
        let gate = GateRule {
            fail: Limit::default(),
            versus: Some(versus),
            ..accuracy_gate(0.0)
        };
        let world = world(catalog(vec![gate]), &told, 101);
        assert_eq!(only(&world).verdict, Verdict::Error, "{value}");
    }
}

#[test]
fn a_model_metric_is_held_against_limit_and_champion() {
    let gate = |below, improvement: Option<f64>| {
        let versus = improvement.map(|gain| Versus {
            baseline: BaselineSource::Alias("champion".into()),
            max_regression: None,
            min_improvement: Some(Change {
                absolute: Some(gain),
                relative: None,
            }),
            same_data: true,
            on_missing_baseline: OnMissing::Warn,
        });
        vec![GateRule {
            versus,
            ..accuracy_gate(below)
        }]
    };
    // The candidate has 0.97, the champion 0.96, both scored on the same data.
    for (below, gain, verdict, reason) in [
        (0.97, None, Verdict::Pass, "0.97 ≥ 0.97"),
        (0.98, None, Verdict::Fail, "0.97 < 0.98"),
        (0.9, Some(0.01), Verdict::Pass, "0.97 ≥ 0.9"),
        (
            0.9,
            Some(0.02),
            Verdict::Fail,
            "0.97 < 0.98 (0.02 above champion v1's 0.96)",
        ),
    ] {
        let world = world(catalog(gate(below, gain)), &setting(), 101);
        let found = only(&world);
        assert_eq!((found.verdict, &*found.reason), (verdict, reason));
    }
}

#[test]
fn other_data_than_the_champions_is_worth_a_look() {
    let mut told = setting();
    let mut other = model_run(2, &[("accuracy", 0.97)]);
    other.datasets = vec![Dataset {
        name: "new".into(),
        digest: "ffffffff".into(),
        context: Some("eval".into()),
    }];
    told[1] = registry(
        100,
        aliases(&[("champion", 1)]),
        vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
        vec![model_run(1, &[("accuracy", 0.96)]), other],
    );
    let versus = Versus {
        baseline: BaselineSource::Alias("champion".into()),
        max_regression: Some(Change {
            absolute: Some(0.0),
            relative: None,
        }),
        min_improvement: None,
        same_data: true,
        on_missing_baseline: OnMissing::Warn,
    };
    let world = world(
        catalog(vec![GateRule {
            versus: Some(versus),
            ..accuracy_gate(0.9)
        }]),
        &told,
        101,
    );
    assert_eq!(only(&world).verdict, Verdict::Warn);
}

#[test]
fn evidence_for_another_commit_is_stale_and_says_which() {
    let mut told = setting();
    let mut strange = model_run(2, &[("accuracy", 0.99)]);
    strange
        .tags
        .insert("git_sha".into(), gonogo::domain::text::Clean::name(A));
    told[1] = registry(
        100,
        aliases(&[]),
        vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
        vec![strange],
    );
    let gate = GateRule {
        bind: vec![Binding::Commit],
        ..accuracy_gate(0.9)
    };
    let world = world(catalog(vec![gate]), &told, 101);
    assert_eq!(only(&world).verdict, Verdict::Stale);
    assert_eq!(
        &*only(&world).reason,
        "evidence is for commit 9f3c2ab, not 1111111"
    );
}

#[test]
fn a_degraded_rollout_is_bad_and_an_unknown_phase_is_never_green() {
    let gate = || GateRule {
        source: GateSource::Rollout(RolloutQuestion::Health),
        ..pipeline_gate("")
    };
    for (phase, verdict) in [
        (RolloutPhase::Paused, Verdict::Pass),
        (RolloutPhase::Degraded, Verdict::Fail),
    ] {
        let mut told = setting();
        let mut with = canary("r/ranker:1111111", "r/ranker:9f3c2ab");
        with.phase = phase;
        told[2] = rollout(100, with);
        assert_eq!(
            only(&world(catalog(vec![gate()]), &told, 101)).verdict,
            verdict
        );
    }
    let mut told = setting();
    let mut odd = canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    odd.phase = RolloutPhase::Unknown("Levitating".into());
    told[2] = rollout(100, odd);
    let world = world(catalog(vec![gate()]), &told, 101);
    assert_ne!(word(&world), Word::Go);
    assert_eq!(only(&world).verdict, Verdict::Error);
}

#[test]
fn findings_carry_what_a_person_needs_to_check_them() {
    let world = during_canary(
        vec![latency_gate(250.0)],
        &[(Arm::Canary, Sample::Value(300.0))],
    );
    let finding = only(&world);
    assert_eq!(&*finding.rule, "latency_p95 ≤ 250 ms");
    assert_eq!(
        (finding.observed, finding.limit, finding.margin),
        (Some(300.0), Some(250.0), Some(-50.0))
    );
    assert_eq!(finding.backend, Some(backend("prom")));
    assert_eq!(
        (finding.evidence_at, finding.fetched_at),
        (Some(at(100)), Some(at(100)))
    );
    assert!(finding.digest.as_ref().unwrap().starts_with("sha256:"));
    let decision = world
        .decision(&world.lanes[&lane()].candidate.clone().unwrap(), &lane().1)
        .unwrap();
    assert_eq!(decision.policy_digest, "sha256:policy");
}

#[test]
fn coverage_is_told_by_every_kind_that_counts() {
    let share = |world: &World| only(world).coverage;
    let mut of = run(2, B, 50);
    of.status = RunStatus::ended(Outcome::Succeeded);
    let jobs = [
        ("unit tests", Outcome::Succeeded),
        ("data tests", Outcome::Skipped),
        ("load tests", Outcome::Cancelled),
        ("smoke tests", Outcome::Succeeded),
    ];
    let facts = jobs
        .into_iter()
        .zip(1..)
        .map(|((name, outcome), id)| Fact::Job(job(&of, id, name, RunStatus::ended(outcome))));
    let told = [
        runs(100, &[&of]),
        answer("gh", "jobs acme/recsys#2", 100, facts.collect()),
        rollout(100, live("r/ranker:9f3c2ab")),
    ];
    let ran = world(catalog(vec![pipeline_gate("test")]), &told, 101);
    assert_eq!(share(&ran), Some(0.5), "two of four jobs ran");

    let mut running = analysis(AnalysisPhase::Running, 3);
    running.metrics[0].count = Some(4);
    let mut told = setting();
    let mut with = canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    with.analyses = vec![running];
    told[2] = rollout(100, with);
    let measuring = world(catalog(vec![analyses_gate()]), &told, 101);
    assert_eq!(share(&measuring), Some(0.75), "three of four measurements");
    assert_eq!(only(&measuring).verdict, Verdict::Pending);
}
