//! Kind `rollout`: the controller's own judgement and the rollout's health.

use crate::{
    domain::{
        observation::Scope,
        policy::{GateRule, GateSource, RolloutQuestion},
        rollout::{Analysis, AnalysisPhase, Rollout, RolloutPhase, RolloutStep, Substate},
        text::Clean,
        verdict::Verdict,
    },
    engine::{
        gate::{
            Gate, Judgement, View,
            front::{Covered, Evidence, Gathered, Producer, Value, rollout_producer},
        },
        standing::{Asks, absent},
    },
};

pub(super) static GATE: RolloutGate = RolloutGate;

pub(super) struct RolloutGate;

impl Gate for RolloutGate {
    fn kind(&self) -> &'static str {
        "rollout"
    }

    fn rule(&self, rule: &GateRule) -> Clean {
        match rule.source {
            GateSource::Rollout(RolloutQuestion::Analysis) => {
                "the controller's analyses succeed".into()
            }
            _ => "the rollout is healthy".into(),
        }
    }

    fn gather(&self, rule: &GateRule, view: &View<'_>) -> Gathered {
        let GateSource::Rollout(question) = rule.source else {
            return Gathered::NotAsked("not a rollout".into());
        };
        let backend = Some(view.place.target.backend.clone());
        let producer = match rollout_producer(view) {
            Ok(producer) => producer,
            Err(instead) => return instead,
        };
        let Some(known) = view.world.rollouts.get(&view.place.target) else {
            return Gathered::Nothing {
                why: absent(&view.place.target),
                producer: Producer::None,
                backend,
            };
        };
        let value = match question {
            RolloutQuestion::Health => Value::Rollout(Box::new((*known.value).clone())),
            RolloutQuestion::Analysis => match analyses(known, view.shown_hash(known)) {
                Ok(analyses) => Value::Analyses(analyses),
                Err((why, to_come)) => {
                    let producer = if to_come { producer } else { Producer::None };
                    return Gathered::Nothing {
                        why,
                        producer,
                        backend,
                    };
                }
            },
        };
        let samples = match &value {
            Value::Analyses(analyses) => {
                let total: u32 = analyses
                    .iter()
                    .flat_map(|analysis| &analysis.metrics)
                    .map(|metric| metric.counts.total())
                    .sum();
                Some(u64::from(total))
            }
            Value::Number { .. } | Value::Jobs(_) | Value::Rollout(_) => None,
        };
        // Analyses that have ended measure no more, whatever the rollout does.
        let producer = match &value {
            Value::Analyses(analyses) if analyses.iter().any(goes_on) => Producer::AtWork,
            Value::Analyses(_) => Producer::Ended,
            Value::Number { .. } | Value::Jobs(_) | Value::Rollout(_) => producer,
        };
        let covered = match &value {
            Value::Analyses(analyses) => coverage(analyses),
            Value::Number { .. } | Value::Jobs(_) | Value::Rollout(_) => None,
        };
        let proved_at = view.world.proved_at(known);
        Gathered::Found(Box::new(Evidence {
            value,
            baseline: None,
            about: Vec::new(),
            made_at: Some(proved_at),
            fetched_at: proved_at,
            default_max_age: view
                .world
                .catalog
                .backends
                .get(&view.place.target.backend)
                .map(|spec| spec.limit() * 3),
            changes_at: None,
            samples,
            covered,
            producer,
            backend: view.place.target.backend.clone(),
            url: None,
        }))
    }

    fn asks(&self, rule: &GateRule, view: &View<'_>) -> Asks {
        let mut asks = Asks::rollout(&view.place.target);
        if rule.source == GateSource::Rollout(RolloutQuestion::Analysis) {
            asks.more.push(Scope::analyses(&view.place.target));
        }
        asks
    }

    fn judge(&self, _rule: &GateRule, evidence: &Evidence) -> Judgement {
        match &evidence.value {
            Value::Rollout(rollout) => health(rollout),
            Value::Analyses(analyses) => worst(analyses),
            Value::Number { .. } | Value::Jobs(_) => {
                Judgement::plain(Verdict::Error, "not a rollout")
            }
        }
    }
}

/// Analyses of a revision; else why there are none and whether some are to come.
fn analyses(rollout: &Rollout, hash: Option<&Clean>) -> Result<Vec<Analysis>, (Clean, bool)> {
    let own: Vec<Analysis> = rollout
        .analyses
        .iter()
        .filter(|analysis| analysis.hash.as_ref() == hash)
        .cloned()
        .collect();
    if !own.is_empty() {
        return Ok(own);
    }
    let index = rollout
        .step
        .and_then(|step| usize::try_from(step).ok())
        .unwrap_or(0);
    let is_wanted = rollout.current_hash.as_ref() == hash;
    let ahead = is_wanted
        && rollout
            .steps
            .iter()
            .skip(index)
            .any(|step| matches!(step, RolloutStep::Analysis(_)));
    if ahead {
        Err(("an analysis step is still ahead".into(), true))
    } else {
        Err(("no analysis of this revision exists".into(), false))
    }
}

fn goes_on(analysis: &Analysis) -> bool {
    matches!(
        analysis.phase,
        AnalysisPhase::Pending | AnalysisPhase::Running
    )
}

/// Measurements taken of those expected. Analyses that say themselves that they
/// failed need none.
fn coverage(analyses: &[Analysis]) -> Option<Covered> {
    let speaks = |analysis: &Analysis| {
        matches!(
            analysis.phase,
            AnalysisPhase::Failed | AnalysisPhase::Error | AnalysisPhase::Unknown(_)
        )
    };
    if analyses.iter().any(speaks) {
        return None;
    }
    let metrics = analyses.iter().flat_map(|analysis| &analysis.metrics);
    let (done, of) = metrics.fold((0_u64, 0_u64), |(done, of), metric| {
        let taken = u64::from(metric.counts.total());
        let expected = metric.count.map_or(taken, u64::from).max(taken);
        (done + taken, of + expected)
    });
    Some(Covered {
        done,
        of,
        what: ["measurement".into(), "measurements".into()],
        detail: Clean::default(),
    })
}

fn worst(analyses: &[Analysis]) -> Judgement {
    let judged = analyses.iter().map(|analysis| {
        let measured = analysis
            .metrics
            .iter()
            .any(|metric| metric.counts.total() > 0);
        let (verdict, why) = match &analysis.phase {
            AnalysisPhase::Failed => (Verdict::Fail, analysis.message.to_string()),
            AnalysisPhase::Error => (Verdict::Error, analysis.message.to_string()),
            AnalysisPhase::Unknown(word) => (Verdict::Error, format!("phase `{word}`")),
            AnalysisPhase::Inconclusive => (
                Verdict::Missing,
                "inconclusive: a person must decide".to_owned(),
            ),
            AnalysisPhase::Successful if !measured => (
                Verdict::Missing,
                "ended without a single measurement".to_owned(),
            ),
            AnalysisPhase::Pending | AnalysisPhase::Running => {
                (Verdict::Pending, "running".to_owned())
            }
            AnalysisPhase::Successful => (Verdict::Pass, "successful".to_owned()),
        };
        (verdict, format!("{}: {why}", analysis.name))
    });
    judged.min_by_key(|(verdict, _)| *verdict).map_or_else(
        || Judgement::plain(Verdict::Missing, "no analysis"),
        |(verdict, why)| Judgement::plain(verdict, why),
    )
}

fn health(rollout: &Rollout) -> Judgement {
    let make = |verdict, why: &str| Judgement::plain(verdict, why.to_owned());
    if rollout.aborted.is_some() {
        return make(Verdict::Fail, &format!("aborted: {}", rollout.message));
    }
    match (&rollout.phase, &rollout.substate) {
        (RolloutPhase::Unknown(word), _) => make(Verdict::Error, &format!("phase `{word}`")),
        (RolloutPhase::Degraded, _) | (_, Substate::DeadlineExceeded | Substate::InvalidSpec) => {
            make(Verdict::Fail, &rollout.message)
        }
        (_, Substate::ScalingUp | Substate::Unobserved | Substate::Restarting) => make(
            Verdict::Pending,
            &format!(
                "pods {}/{} available",
                rollout.pods.available, rollout.pods.desired
            ),
        ),
        (RolloutPhase::Healthy | RolloutPhase::Progressing | RolloutPhase::Paused, _) => {
            if rollout.weight_verified == Some(false) {
                return make(Verdict::Pending, "the traffic share is not confirmed yet");
            }
            make(
                Verdict::Pass,
                &format!(
                    "pods {}/{} available",
                    rollout.pods.available, rollout.pods.desired
                ),
            )
        }
    }
}
