//! What gates say while a backend they need is out, or has not spoken yet.

use gonogo::{
    domain::{
        backend::ErrorKind,
        id::GateId,
        measure::{Arm, Sample},
        observation::{Fact, Failure, Observation, Scope},
        policy::{
            BaselineSource, Change, GateRule, GateSource, Limit, OnMissing, RolloutQuestion, Versus,
        },
        verdict::{Decision, Finding, Verdict, Word},
    },
    engine::{
        lane::Place,
        plan::Verb,
        queue::{Urgency, waiting},
        reduce::{reduce, settle},
        world::World,
    },
};

use crate::support::build::{
    accuracy_gate, aliases, answer, at, backend, canary, catalog, lane, latency_gate, measure,
    metric, model, model_run, pipeline, registry, rollout, run, runs, target, version, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const METRIC: &str = "metric recsys-ranker/prod-eu/latency_p95";

/// One gate on each of the four backends.
fn gates() -> Vec<GateRule> {
    let named = |id: &str, source| GateRule {
        id: GateId::new(id),
        source,
        fail: Limit::default(),
        ..latency_gate(0.0)
    };
    vec![
        named("tests", GateSource::Pipeline("".into())),
        accuracy_gate(0.9),
        latency_gate(250.0),
        named("health", GateSource::Rollout(RolloutQuestion::Health)),
    ]
}

/// What each backend says when all is well: a canary of B (v2) over A (v1).
fn healthy(when: i64) -> [(&'static str, Observation); 4] {
    let tags = [vec![("git_sha", A)], vec![("git_sha", B)]];
    [
        ("gh", runs(when, &[&run(1, A, 0), &run(2, B, 50)])),
        (
            "mlflow",
            registry(
                when,
                aliases(&[("champion", 1)]),
                vec![version(1, &tags[0]), version(2, &tags[1])],
                vec![
                    model_run(1, &[("accuracy", 0.96)]),
                    model_run(2, &[("accuracy", 0.97)]),
                ],
            ),
        ),
        (
            "prod",
            rollout(when, canary("r/ranker:1111111", "r/ranker:9f3c2ab")),
        ),
        (
            "prom",
            answer(
                "prom",
                METRIC,
                when,
                vec![Fact::Measure(measure(
                    Arm::Canary,
                    Sample::Value(200.0),
                    when,
                ))],
            ),
        ),
    ]
}

/// The scope a feed's own trouble is told under.
fn feed(of: &str) -> Scope {
    match of {
        "gh" => Scope::runs(&pipeline()),
        "mlflow" => Scope::model(&model()),
        "prod" => Scope::rollouts(&target()),
        _ => Scope::metrics(&backend("prom")),
    }
}

fn failure(scope: Scope, when: i64, kind: ErrorKind) -> Observation {
    Observation::Failure(Failure {
        scope,
        at: at(when),
        kind,
        message: "these were its words".into(),
        retry_at: None,
    })
}

/// The gates whose evidence each backend tells or is needed for.
fn concerned(of: &str) -> &'static [&'static str] {
    match of {
        "gh" => &["tests"],
        "mlflow" => &["accuracy"],
        // Whether there is a canary to ask about is the cluster's word.
        "prod" => &["latency", "health"],
        _ => &["latency"],
    }
}

fn decision(world: &World) -> &Decision {
    let release = world.lanes[&lane()].release().expect("a release").clone();
    world.decision(&release, &lane().1).expect("a decision")
}

fn finding<'a>(world: &'a World, gate: &str) -> &'a Finding {
    let findings = &decision(world).findings;
    let mut found = findings.iter().filter(|one| one.gate.as_str() == gate);
    found.next().expect("the gate")
}

const ALL: [&str; 4] = ["gh", "mlflow", "prod", "prom"];

#[test]
fn all_four_well_is_go() {
    let told = healthy(100).map(|(_, said)| said);
    assert_eq!(
        decision(&world(catalog(gates()), &told, 101)).word,
        Word::Go
    );
}

#[test]
fn a_backend_that_never_answered_but_failed_is_an_error_and_the_decision_is_hold() {
    for out in ALL {
        for kind in [
            ErrorKind::Unauthenticated,
            ErrorKind::Unreachable,
            ErrorKind::Timeout,
            ErrorKind::Malformed,
            ErrorKind::Server,
        ] {
            let others = healthy(100).into_iter().filter(|(of, _)| *of != out);
            let mut told: Vec<Observation> = others.map(|(_, said)| said).collect();
            told.push(failure(feed(out), 100, kind));
            let world = world(catalog(gates()), &told, 101);
            for gate in concerned(out) {
                let found = finding(&world, gate);
                assert_eq!(found.verdict, Verdict::Error, "{out} {kind}: {found:?}");
                assert!(found.reason.contains("these were its words"), "{found:?}");
                assert!(found.reason.contains(kind.word()), "{found:?}");
                assert_eq!(found.backend, Some(backend(out)));
            }
            assert_eq!(decision(&world).word, Word::HoldNotProven, "{out} {kind}");
        }
    }
}

#[test]
fn a_backend_that_has_not_answered_yet_makes_one_wait() {
    for out in ALL {
        let others = healthy(100).into_iter().filter(|(of, _)| *of != out);
        let told: Vec<Observation> = others.map(|(_, said)| said).collect();
        let world = world(catalog(gates()), &told, 101);
        for gate in concerned(out) {
            let found = finding(&world, gate);
            assert_eq!(
                (found.verdict, &*found.reason),
                (Verdict::Pending, &*format!("`{out}` has not answered yet")),
                "{gate}"
            );
        }
        assert_eq!(decision(&world).word, Word::HoldWaiting, "{out}");
    }
}

#[test]
fn an_empty_first_answer_ends_the_waiting() {
    let empty = |of: &str| {
        let part = match of {
            "prom" => METRIC.to_owned(),
            other => feed(other).part.to_string(),
        };
        answer(of, &part, 102, vec![])
    };
    for (out, reason) in [
        ("gh", "no run is linked to this release"),
        ("mlflow", "no model version is linked to this release"),
        ("prod", "`prod` has no rollout recsys/ranker"),
    ] {
        let others = healthy(100).into_iter().filter(|(of, _)| *of != out);
        let mut told: Vec<Observation> = others.map(|(_, said)| said).collect();
        told.push(empty(out));
        let world = world(catalog(gates()), &told, 103);
        for gate in concerned(out) {
            let found = finding(&world, gate);
            assert_eq!((found.verdict, &*found.reason), (Verdict::Missing, reason));
        }
        assert_eq!(decision(&world).word, Word::HoldNotProven);
    }
    let others = healthy(100).into_iter().filter(|(of, _)| *of != "prom");
    let mut told: Vec<Observation> = others.map(|(_, said)| said).collect();
    told.push(empty("prom"));
    let world = world(catalog(gates()), &told, 103);
    assert_eq!(&*finding(&world, "latency").reason, "not measured yet");
}

#[test]
fn a_cluster_that_has_other_rollouts_has_not_this_one() {
    let mut other = canary("r/other:1", "r/other:2");
    other.id.name = "other".into();
    let others = healthy(100).into_iter().filter(|(of, _)| *of != "prod");
    let mut told: Vec<Observation> = others.map(|(_, said)| said).collect();
    told.push(rollout(100, other));
    let world = world(catalog(gates()), &told, 101);
    assert_eq!(finding(&world, "health").verdict, Verdict::Missing);
    assert!(
        matches!(&world.lanes[&lane()].place, Place::Unknown { why } if *why == "`prod` has no rollout recsys/ranker"),
        "{:?}",
        world.lanes[&lane()].place
    );
}

#[test]
fn a_release_that_may_be_rolling_out_is_not_called_built() {
    let others = healthy(100).into_iter().filter(|(of, _)| *of != "prod");
    let mut told: Vec<Observation> = others.map(|(_, said)| said).collect();
    told.push(failure(feed("prod"), 100, ErrorKind::Unreachable));
    let world = world(catalog(gates()), &told, 101);
    assert!(
        matches!(&world.lanes[&lane()].place, Place::Unknown { why } if why.contains("these were its words")),
        "{:?}",
        world.lanes[&lane()].place
    );
}

/// Cadence 10 s: one look that fails is borne with, two are not.
#[test]
fn one_failed_look_does_not_unsay_what_was_seen_and_trouble_that_lasts_does() {
    for out in ALL {
        let mut world = world(catalog(gates()), &healthy(100).map(|(_, said)| said), 101);
        reduce(&mut world, &failure(feed(out), 110, ErrorKind::Unreachable));
        let due = settle(&mut world, at(111));
        assert_eq!(decision(&world).word, Word::Go, "{out}");
        assert_eq!(due, Some(at(120)), "{out}: the trouble counts from then on");
        settle(&mut world, at(120));
        assert_eq!(decision(&world).word, Word::HoldNotProven, "{out}");
        let worst = &decision(&world).findings[0];
        assert_eq!(worst.verdict, Verdict::Error, "{out}: {worst:?}");
        // It answers again, and everything is as before.
        let again = healthy(130).into_iter().filter(|(of, _)| *of == out);
        for (_, said) in again {
            reduce(&mut world, &said);
        }
        if out == "prom" {
            reduce(&mut world, &answer("prom", "metrics", 130, vec![]));
        }
        settle(&mut world, at(130));
        let findings = &decision(&world).findings;
        assert!(
            concerned(out)
                .iter()
                .all(|gate| finding(&world, gate).verdict != Verdict::Error),
            "{out}: {findings:?}"
        );
    }
}

/// Between two failures it answered, which is heard last: then it is out since
/// the second one, and not since the first.
#[test]
fn an_answer_heard_late_says_that_the_failing_began_anew() {
    let since = |told: &[Observation]| {
        let world = world(catalog(gates()), told, 131);
        let trouble = world.backends[&backend("gh")].trouble.clone();
        trouble.map(|trouble| trouble.since)
    };
    let out = |when| failure(feed("gh"), when, ErrorKind::Unreachable);
    let answered = |when| healthy(when).map(|(_, said)| said)[0].clone();
    let (first, second) = (out(110), out(130));
    let before = [first.clone(), second.clone()];
    assert_eq!(since(&before), Some(at(110)));
    for [a, b, c] in [
        [first.clone(), answered(120), second.clone()],
        [first.clone(), second.clone(), answered(120)],
        [second.clone(), first, answered(120)],
    ] {
        assert_eq!(since(&[a, b, c]), Some(at(130)));
    }
    let [first, second] = before;
    assert_eq!(since(&[first, second, answered(105)]), Some(at(110)));
}

#[test]
fn a_refusal_counts_at_once() {
    for out in ALL {
        let scope = if out == "prom" {
            Scope::metric(&backend("prom"), &metric())
        } else {
            feed(out)
        };
        let mut told = healthy(100).map(|(_, said)| said).to_vec();
        told.push(failure(scope, 105, ErrorKind::Unauthenticated));
        let world = world(catalog(gates()), &told, 106);
        assert_eq!(decision(&world).word, Word::HoldNotProven, "{out}");
    }
}

#[test]
fn what_cannot_be_read_of_a_part_is_an_error_of_that_part() {
    let run_of_two = Scope::model_run(&model(), gonogo::domain::id::Version(2));
    let unreadable = |scope| failure(scope, 101, ErrorKind::Malformed);
    let jobs = Scope::jobs(&run(2, B, 50).id);
    let tests = GateRule {
        source: GateSource::Pipeline("unit".into()),
        ..gates()[0].clone()
    };
    let analysis = GateRule {
        source: GateSource::Rollout(RolloutQuestion::Analysis),
        ..gates()[3].clone()
    };
    for (scope, gate) in [
        (jobs, tests),
        (Scope::rollout(&target()), gates()[3].clone()),
        (Scope::analyses(&target()), analysis),
    ] {
        let mut told = healthy(100).map(|(_, said)| said).to_vec();
        told.push(unreadable(scope));
        let world = world(catalog(vec![gate]), &told, 102);
        assert_eq!(decision(&world).findings[0].verdict, Verdict::Error);
    }
    let mut told = healthy(100).map(|(_, said)| said).to_vec();
    told[1] = registry(
        100,
        aliases(&[("champion", 1)]),
        vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
        vec![],
    );
    told.push(unreadable(run_of_two));
    let world = world(catalog(vec![accuracy_gate(0.9)]), &told, 102);
    assert_eq!(decision(&world).findings[0].verdict, Verdict::Error);
}

/// A champion whose run cannot be read is no missing champion.
#[test]
fn a_baseline_that_cannot_be_read_is_an_error_whatever_a_missing_one_means() {
    let versus = |baseline| {
        Some(Versus {
            baseline,
            max_regression: Some(Change {
                absolute: Some(0.01),
                relative: None,
            }),
            min_improvement: None,
            same_data: false,
            on_missing_baseline: OnMissing::Pass,
        })
    };
    let against_champion = GateRule {
        versus: versus(BaselineSource::Alias("champion".into())),
        ..accuracy_gate(0.9)
    };
    let mut told = healthy(100).map(|(_, said)| said).to_vec();
    told[1] = registry(
        100,
        aliases(&[("champion", 1)]),
        vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
        vec![model_run(2, &[("accuracy", 0.97)])],
    );
    let run_of_one = Scope::model_run(&model(), gonogo::domain::id::Version(1));
    told.push(failure(run_of_one, 101, ErrorKind::Server));
    let champion = world(catalog(vec![against_champion]), &told, 102);
    assert_eq!(decision(&champion).findings[0].verdict, Verdict::Error);

    let against_stable = GateRule {
        versus: versus(BaselineSource::Stable),
        ..latency_gate(250.0)
    };
    for stable in [Sample::Several(2), Sample::NotFinite("NaN".into())] {
        let mut told = healthy(100).map(|(_, said)| said).to_vec();
        let facts = [
            (Arm::Canary, Sample::Value(200.0)),
            (Arm::Stable, stable.clone()),
        ];
        let facts = facts.map(|(arm, sample)| Fact::Measure(measure(arm, sample, 100)));
        told[3] = answer("prom", METRIC, 100, facts.to_vec());
        let world = world(catalog(vec![against_stable.clone()]), &told, 101);
        let found = &decision(&world).findings[0];
        assert_eq!(found.verdict, Verdict::Error, "{stable:?}: {found:?}");
    }
}

#[test]
fn what_was_bad_when_its_monitoring_went_silent_stays_bad_until_it_is_measured_again() {
    let told = healthy(100).map(|(_, said)| said);
    let mut world = world(catalog(gates()), &told, 101);
    let measured = |value: f64, when: i64| {
        let measure = measure(Arm::Canary, Sample::Value(value), when);
        answer("prom", METRIC, when, vec![Fact::Measure(measure)])
    };
    reduce(&mut world, &measured(400.0, 110));
    settle(&mut world, at(110));
    assert_eq!(decision(&world).word, Word::NoGo);

    for scope in [feed("prom"), Scope::metric(&backend("prom"), &metric())] {
        let unreachable = failure(scope, 115, ErrorKind::Unreachable);
        reduce(&mut world, &unreachable);
    }
    for later in [150, 400] {
        settle(&mut world, at(later));
        assert_eq!(decision(&world).word, Word::HoldNotProven);
        let waits = waiting(&world);
        let item = waits.first().expect("what hurt is still in the queue");
        assert_eq!(item.urgency, Urgency::Hurting);
        for part in ["400", "last heard 20:28:30Z"] {
            assert!(item.reason.contains(part), "no `{part}`: {item:?}");
        }
        assert_eq!(item.verbs.first(), Some(&Verb::RollBack));
    }
    reduce(&mut world, &measured(200.0, 410));
    settle(&mut world, at(410));
    assert_eq!(finding(&world, "latency").verdict, Verdict::Pass);
    let hurting = |world: &World| {
        waiting(world)
            .iter()
            .any(|item| item.urgency == Urgency::Hurting)
    };
    assert!(!hurting(&world), "{:?}", waiting(&world));
}
