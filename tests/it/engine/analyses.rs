//! What the gate on the controller's analyses says, by which there are and how
//! they ended.

use gonogo::{
    domain::{
        observation::Observation,
        policy::{GateRule, GateSource, RolloutQuestion},
        quantity::Weight,
        rollout::{
            Analysis, AnalysisMetric, AnalysisPhase, AnalysisStage, MeasurementCounts, Rollout,
            RolloutPhase, RolloutStep,
        },
        verdict::Verdict,
    },
    engine::world::World,
};

use super::pipelines::pipeline_gate;
use crate::support::build::{at, canary, catalog, lane, live, rollout, run, runs, world};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

pub(super) fn analyses_gate() -> GateRule {
    GateRule {
        source: GateSource::Rollout(RolloutQuestion::Analysis),
        ..pipeline_gate("")
    }
}

/// An analysis of the canary's second step, with so many good measurements.
pub(super) fn analysis(phase: AnalysisPhase, successful: u32) -> Analysis {
    Analysis {
        name: "ranker-new-2-1".into(),
        hash: Some("new".into()),
        revision: Some(2),
        stage: AnalysisStage::Step(1),
        phase: phase.clone(),
        message: "because".into(),
        started_at: Some(at(90)),
        metrics: vec![AnalysisMetric {
            name: "error-rate".into(),
            phase,
            message: "".into(),
            success_condition: None,
            failure_condition: None,
            counts: MeasurementCounts {
                successful,
                ..MeasurementCounts::default()
            },
            count: None,
            good_in_a_row: None,
            failure_limit: 0,
            interval: None,
            dry_run: false,
            measurements: Vec::new(),
        }],
    }
}

fn said(world: &World) -> (Verdict, String) {
    let release = world.lanes[&lane()].release().expect("a release").clone();
    let decision = world.decision(&release, &lane().1).expect("a decision");
    let found = &decision.findings[0];
    (found.verdict, found.reason.to_string())
}

/// A canary whose second of three steps is an analysis, and what judged it.
fn canary_at(step: u32, analyses: Vec<Analysis>) -> Rollout {
    Rollout {
        phase: RolloutPhase::Progressing,
        pause: None,
        step: Some(step),
        steps: vec![
            RolloutStep::SetWeight(Weight::percent(30)),
            RolloutStep::Analysis(vec!["error-rate".into()]),
            RolloutStep::Pause(None),
        ],
        analyses,
        ..canary("r/ranker:1111111", "r/ranker:9f3c2ab")
    }
}

/// The same after it was taken back at 500 s, which puts it to its first step.
fn aborted(analyses: Vec<Analysis>) -> Rollout {
    Rollout {
        aborted: Some(Some(at(500))),
        phase: RolloutPhase::Degraded,
        weight_wanted: Weight::ZERO,
        weight_actual: Weight::ZERO,
        ..canary_at(0, analyses)
    }
}

/// What a process says that sees these one after the other, from 600 s on.
fn told(rollouts: Vec<Rollout>) -> (Verdict, String) {
    let seen = (600_i64..).zip(rollouts).map(|(when, of)| {
        let version = Some(when.unsigned_abs());
        rollout(when, Rollout { version, ..of })
    });
    let mut all: Vec<Observation> = vec![runs(600, &[&run(1, A, 0), &run(2, B, 50)])];
    all.extend(seen);
    said(&world(catalog(vec![analyses_gate()]), &all, 610))
}

#[test]
fn cluster_trap_15_an_analysis_that_measured_nothing_proves_nothing() {
    for (of, verdict) in [
        (analysis(AnalysisPhase::Successful, 3), Verdict::Pass),
        (analysis(AnalysisPhase::Successful, 0), Verdict::Missing),
        (analysis(AnalysisPhase::Failed, 1), Verdict::Fail),
        (analysis(AnalysisPhase::Error, 0), Verdict::Error),
        (analysis(AnalysisPhase::Inconclusive, 2), Verdict::Missing),
        (analysis(AnalysisPhase::Running, 2), Verdict::Pending),
        (
            analysis(AnalysisPhase::Unknown("Odd".into()), 2),
            Verdict::Error,
        ),
    ] {
        assert_eq!(
            told(vec![canary_at(1, vec![of.clone()])]).0,
            verdict,
            "{of:?}"
        );
    }
}

/// `of` with this many measurements: good, bad, undecided and broken.
fn counting(of: Analysis, counts: [u32; 4], count: Option<u32>) -> Analysis {
    let [successful, failed, inconclusive, error] = counts;
    let counts = MeasurementCounts {
        successful,
        failed,
        inconclusive,
        error,
    };
    let metric = AnalysisMetric {
        counts,
        count,
        ..of.metrics[0].clone()
    };
    Analysis {
        metrics: vec![metric],
        ..of
    }
}

/// Stopped by a person, or skipped with its step, it calls itself successful
/// unless it measured something bad before.
#[test]
fn a_step_analysis_that_was_stopped_early_proves_nothing() {
    let good = || analysis(AnalysisPhase::Successful, 1);
    let verdict = |of: Analysis| told(vec![canary_at(2, vec![of])]);
    assert_eq!(
        verdict(counting(good(), [1, 0, 0, 0], Some(10))),
        (
            Verdict::Missing,
            "ranker-new-2-1: ended after 1 of 10 measurements of error-rate".to_owned()
        )
    );
    // Bad ones within its limit count; broken ones measured nothing.
    for (counts, expected) in [
        ([10, 0, 0, 0], Verdict::Pass),
        ([8, 1, 1, 3], Verdict::Pass),
        ([9, 0, 0, 1], Verdict::Missing),
        ([0, 0, 0, 2], Verdict::Missing),
    ] {
        let of = counting(good(), counts, Some(10));
        assert_eq!(verdict(of).0, expected, "{counts:?}");
    }
    // Each of its metrics is to be measured to its end.
    let mut two = counting(good(), [10, 0, 0, 0], Some(10));
    two.metrics.push(AnalysisMetric {
        name: "latency".into(),
        ..counting(good(), [3, 0, 0, 0], Some(5)).metrics.remove(0)
    });
    assert_eq!(
        verdict(two).1,
        "ranker-new-2-1: ended after 3 of 5 measurements of latency"
    );
    // One without a count ends only when it is stopped.
    assert_eq!(
        verdict(counting(good(), [4, 0, 0, 0], None)).0,
        Verdict::Pass
    );
}

/// Where so many good ones in a row are asked for, they alone make it good, and
/// they may come before its count is reached.
#[test]
fn enough_good_measurements_in_a_row_end_an_analysis_early() {
    for (good_in_a_row, count, verdict) in [
        (Some(true), Some(10), Verdict::Pass),
        (Some(true), None, Verdict::Pass),
        (Some(false), Some(10), Verdict::Missing),
        (Some(false), None, Verdict::Missing),
    ] {
        let mut of = counting(analysis(AnalysisPhase::Successful, 0), [3, 0, 0, 0], count);
        of.metrics[0].good_in_a_row = good_in_a_row;
        assert_eq!(
            told(vec![canary_at(2, vec![of])]).0,
            verdict,
            "{good_in_a_row:?} {count:?}"
        );
    }
}

/// It is stopped when the rollout is through, and has done its work.
#[test]
fn a_background_analysis_ends_with_the_rollout_and_not_by_its_count() {
    let of = Analysis {
        stage: AnalysisStage::Background,
        ..counting(
            analysis(AnalysisPhase::Successful, 0),
            [3, 0, 0, 0],
            Some(10),
        )
    };
    assert_eq!(told(vec![canary_at(2, vec![of])]).0, Verdict::Pass);
}

#[test]
fn a_dry_run_is_no_evidence_however_much_it_measured() {
    let mut dry = counting(
        analysis(AnalysisPhase::Successful, 0),
        [5, 0, 0, 0],
        Some(5),
    );
    dry.metrics[0].dry_run = true;
    dry.metrics[0].name = "shadow".into();
    let only_dry = (
        Verdict::Missing,
        "only dry runs, which decide nothing".to_owned(),
    );
    assert_eq!(told(vec![canary_at(2, vec![dry.clone()])]), only_dry);
    // Beside a metric that was stopped before it measured anything.
    let mut beside = dry.clone();
    let stopped = counting(
        analysis(AnalysisPhase::Successful, 0),
        [0, 0, 0, 0],
        Some(5),
    );
    beside.metrics.extend(stopped.metrics);
    assert_eq!(told(vec![canary_at(2, vec![beside])]).0, Verdict::Missing);
    // It holds up nothing that is proven without it, and does not end what is ahead.
    let background = Analysis {
        stage: AnalysisStage::Background,
        phase: AnalysisPhase::Running,
        ..dry.clone()
    };
    let proven = counting(
        analysis(AnalysisPhase::Successful, 0),
        [5, 0, 0, 0],
        Some(5),
    );
    assert_eq!(
        told(vec![canary_at(2, vec![background.clone(), proven])]).0,
        Verdict::Pass
    );
    assert_eq!(
        told(vec![canary_at(0, vec![background])]).1,
        "an analysis step is still ahead"
    );
}

/// One that began so many seconds after the start.
fn begun(when: i64, stage: AnalysisStage, phase: AnalysisPhase) -> Analysis {
    Analysis {
        name: format!("ranker-new-2.{when}").into(),
        stage,
        started_at: Some(at(when)),
        ..analysis(phase, 3)
    }
}

/// Good or bad, it judged what was taken back: the next attempt is judged anew,
/// also by a process that has seen nothing of the one before.
#[test]
fn the_analysis_of_a_step_that_is_still_ahead_is_of_an_earlier_attempt() {
    for phase in [AnalysisPhase::Successful, AnalysisPhase::Failed] {
        let old = || vec![begun(400, AnalysisStage::Step(1), phase.clone())];
        let ahead = (
            Verdict::Pending,
            "an analysis step is still ahead".to_owned(),
        );
        assert_eq!(told(vec![aborted(old()), canary_at(0, old())]), ahead);
        assert_eq!(told(vec![canary_at(0, old())]), ahead);
    }
}

#[test]
fn a_step_that_is_judged_again_is_judged_by_the_newest_analysis() {
    let step = || AnalysisStage::Step(1);
    for (new, verdict) in [
        (AnalysisPhase::Successful, Verdict::Pass),
        (AnalysisPhase::Running, Verdict::Pending),
        (AnalysisPhase::Failed, Verdict::Fail),
    ] {
        for old in [
            AnalysisPhase::Successful,
            AnalysisPhase::Failed,
            AnalysisPhase::Inconclusive,
        ] {
            let both = vec![begun(605, step(), new.clone()), begun(400, step(), old)];
            assert_eq!(told(vec![canary_at(1, both)]).0, verdict, "{new:?}");
        }
    }
}

/// A background analysis begins with the attempt, so there is a moment in which
/// the newest is the one of the attempt before.
#[test]
fn a_background_analysis_from_before_the_abort_judges_no_new_attempt() {
    let background = |when, phase| begun(when, AnalysisStage::Background, phase);
    for phase in [AnalysisPhase::Successful, AnalysisPhase::Failed] {
        let old = || background(400, phase.clone());
        let none = (
            Verdict::Missing,
            "no analysis of this revision exists".to_owned(),
        );
        let again = canary_at(2, vec![old()]);
        assert_eq!(told(vec![aborted(vec![old()]), again]), none);
        // Its own counts from its first second on, whenever that was heard of.
        let own = background(501, AnalysisPhase::Running);
        let again = canary_at(2, vec![own, old()]);
        assert_eq!(told(vec![aborted(vec![old()]), again]).0, Verdict::Pending);
    }
}

#[test]
fn an_aborted_canary_keeps_the_verdict_it_was_aborted_for() {
    let bad = begun(400, AnalysisStage::Step(1), AnalysisPhase::Failed);
    assert_eq!(told(vec![aborted(vec![bad])]).0, Verdict::Fail);
}

/// Each time a revision comes back it has a new number, and its analyses carry
/// the one it had when they were made.
#[test]
fn an_analysis_from_before_another_revision_was_tried_is_not_about_this_time() {
    let back = |number, revision| {
        let mut of = canary_at(
            2,
            vec![Analysis {
                revision,
                ..begun(400, AnalysisStage::Background, AnalysisPhase::Successful)
            }],
        );
        of.revisions[0].number = number;
        told(vec![of]).0
    };
    assert_eq!(back(4, Some(2)), Verdict::Missing);
    assert_eq!(back(4, Some(4)), Verdict::Pass);
    // Where nothing is said of it, it is taken for what it seems.
    assert_eq!(back(4, None), Verdict::Pass);
}

/// Users stayed on it; what proved it when it came still does.
#[test]
fn what_is_live_keeps_its_analyses_when_it_gets_a_new_number() {
    let mut of = live("r/ranker:9f3c2ab");
    of.revisions[0].number = 4;
    of.analyses = vec![Analysis {
        hash: Some("old".into()),
        revision: Some(1),
        ..analysis(AnalysisPhase::Successful, 3)
    }];
    let told = [runs(600, &[&run(1, A, 0)]), rollout(600, of)];
    let world = world(catalog(vec![analyses_gate()]), &told, 610);
    assert_eq!(said(&world).0, Verdict::Pass);
}
