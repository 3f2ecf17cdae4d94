//! Kind `rollout`: the controller's own judgement and the rollout's health.

use crate::{
    domain::{
        observation::Scope,
        policy::{GateRule, GateSource, RolloutQuestion},
        rollout::{
            Analysis, AnalysisMetric, AnalysisPhase, AnalysisStage, Cutover, Rollout, RolloutPhase,
            RolloutStep, Substate,
        },
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
            RolloutQuestion::Analysis => match analyses(known, view) {
                Analyses::Own(analyses) => Value::Analyses(analyses),
                Analyses::NotAsked(why) => return Gathered::NotAsked(why),
                Analyses::Ahead(why) => {
                    return Gathered::Nothing {
                        why,
                        producer,
                        backend,
                    };
                }
                Analyses::DryRuns => {
                    return Gathered::Nothing {
                        why: "only dry runs, which decide nothing".into(),
                        producer: Producer::None,
                        backend,
                    };
                }
                Analyses::None => {
                    return Gathered::Nothing {
                        why: "no analysis of this revision exists".into(),
                        producer: Producer::None,
                        backend,
                    };
                }
            },
        };
        let samples = match &value {
            Value::Analyses(analyses) => {
                let total: u32 = analyses
                    .iter()
                    .flat_map(deciding)
                    .map(|metric| metric.counts.measured())
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

/// What there is to say about analyses of a revision.
enum Analyses {
    /// These are its own.
    Own(Vec<Analysis>),
    /// One is still to come; which.
    Ahead(Clean),
    /// None was made and none is asked for.
    NotAsked(Clean),
    /// None of those made decides anything.
    DryRuns,
    /// None was made.
    None,
}

fn analyses(rollout: &Rollout, view: &View<'_>) -> Analyses {
    let hash = view.shown_hash(rollout);
    let is_wanted = rollout.current_hash.as_ref() == hash;
    let own = of_this_attempt(rollout, hash, view);
    if let Some(to_come) = around_switch(rollout, &own).filter(|_| is_wanted) {
        return to_come;
    }
    let (own, dry): (Vec<_>, Vec<_>) = own.into_iter().partition(decides);
    if !own.is_empty() {
        return Analyses::Own(own);
    }
    let index = rollout
        .step
        .and_then(|step| usize::try_from(step).ok())
        .unwrap_or(0);
    let passes_steps = is_wanted && !rollout.moves_at_once() && !rollout.is_fully_promoted();
    let ahead = rollout
        .steps
        .iter()
        .skip(index)
        .any(|step| matches!(step, RolloutStep::Analysis(_)));
    if ahead && passes_steps {
        return Analyses::Ahead("an analysis step is still ahead".into());
    }
    if !dry.is_empty() {
        return Analyses::DryRuns;
    }
    // Nothing will ever make that evidence, and users have been on it before:
    // what they feel now is asked by other gates.
    match rollout.left() {
        Some(_) if is_wanted && !passes_steps => {
            Analyses::NotAsked("users were taken back to it, which runs no analysis".into())
        }
        Some(_) | None => Analyses::None,
    }
}

/// The analyses of a revision's present attempt, newest first. What judged an
/// earlier one is neither for nor against it.
fn of_this_attempt(rollout: &Rollout, hash: Option<&Clean>, view: &View<'_>) -> Vec<Analysis> {
    let is_tried = rollout.current_hash.as_ref() == hash && !rollout.is_fully_promoted();
    let number = hash
        .and_then(|hash| rollout.revision(hash))
        .map(|revision| revision.number);
    let aborted = hash.and_then(|hash| view.world.aborted_before(rollout, hash));
    let is_earlier = |analysis: &Analysis| {
        // Both are cut to whole seconds: one of the same second may be of either.
        let began_before =
            aborted.is_some_and(|at| analysis.started_at.is_some_and(|begun| begun < at));
        // Another revision was tried in between.
        let had_less = is_tried && analysis.revision.is_some_and(|of| Some(of) < number);
        // An abort puts the step back to the first, and ends the attempt.
        let is_ahead = match analysis.stage {
            AnalysisStage::Step(step) if is_tried && rollout.aborted.is_none() => {
                rollout.step.is_some_and(|current| current < step)
            }
            _ => false,
        };
        began_before || had_less || is_ahead
    };
    let mut own: Vec<Analysis> = Vec::new();
    for analysis in &rollout.analyses {
        // A step that is judged again is judged by the newest run.
        let is_replaced = own.iter().any(|newer| newer.stage == analysis.stage)
            && !matches!(analysis.stage, AnalysisStage::Unknown(_));
        if analysis.hash.as_ref() == hash && !is_earlier(analysis) && !is_replaced {
            own.push(analysis.clone());
        }
    }
    own
}

/// What is to come around a switch, before anybody is asked to act on it. What
/// judges only after it is no reason not to switch.
fn around_switch(rollout: &Rollout, own: &[Analysis]) -> Option<Analyses> {
    let facts = rollout.blue_green.as_ref()?;
    let has = |stage: &AnalysisStage| own.iter().any(|analysis| analysis.stage == *stage);
    match rollout.cutover()? {
        Cutover::Preview if facts.before.is_some() && !has(&AnalysisStage::BeforeSwitch) => Some(
            Analyses::Ahead("the analysis before the switch is still ahead".into()),
        ),
        Cutover::Preview if facts.before.is_none() && facts.after.is_some() => Some(
            Analyses::NotAsked("the controller judges after the switch only".into()),
        ),
        Cutover::Switched if facts.after.is_some() && !has(&AnalysisStage::AfterSwitch) => Some(
            Analyses::Ahead("the analysis after the switch is still ahead".into()),
        ),
        Cutover::Preview | Cutover::Switched => None,
    }
}

fn goes_on(analysis: &Analysis) -> bool {
    matches!(
        analysis.phase,
        AnalysisPhase::Pending | AnalysisPhase::Running
    )
}

/// The metrics an analysis is decided by: a dry run only looks on.
fn deciding(analysis: &Analysis) -> impl Iterator<Item = &AnalysisMetric> {
    analysis.metrics.iter().filter(|metric| !metric.dry_run)
}

/// Whether an analysis can be for or against anything.
fn decides(analysis: &Analysis) -> bool {
    analysis.metrics.is_empty() || deciding(analysis).next().is_some() || failed(analysis)
}

/// Whether it says itself that it came to no good end.
fn failed(analysis: &Analysis) -> bool {
    matches!(
        analysis.phase,
        AnalysisPhase::Failed | AnalysisPhase::Error | AnalysisPhase::Unknown(_)
    )
}

/// Measurements taken of those expected. Analyses that say themselves that they
/// failed need none.
fn coverage(analyses: &[Analysis]) -> Option<Covered> {
    if analyses.iter().any(failed) {
        return None;
    }
    let metrics = analyses.iter().flat_map(deciding);
    let (done, of) = metrics.fold((0_u64, 0_u64), |(done, of), metric| {
        let taken = u64::from(metric.counts.measured());
        let count = metric.count.filter(|_| !metric.is_complete());
        let expected = count.map_or(taken, u64::from).max(taken);
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
        let (verdict, why) = match &analysis.phase {
            AnalysisPhase::Failed => (Verdict::Fail, analysis.message.to_string()),
            AnalysisPhase::Error => (Verdict::Error, analysis.message.to_string()),
            AnalysisPhase::Unknown(word) => (Verdict::Error, format!("phase `{word}`")),
            AnalysisPhase::Inconclusive => (
                Verdict::Missing,
                "inconclusive: a person must decide".to_owned(),
            ),
            AnalysisPhase::Pending | AnalysisPhase::Running => {
                (Verdict::Pending, "running".to_owned())
            }
            AnalysisPhase::Successful => match cut_short(analysis) {
                Some(why) => (Verdict::Missing, why),
                None => (Verdict::Pass, "successful".to_owned()),
            },
        };
        (verdict, format!("{}: {why}", analysis.name))
    });
    judged.min_by_key(|(verdict, _)| *verdict).map_or_else(
        || Judgement::plain(Verdict::Missing, "no analysis"),
        |(verdict, why)| Judgement::plain(verdict, why),
    )
}

/// Why an analysis that calls itself successful proves nothing: one that is
/// stopped or skipped before it measured anything bad does so too.
fn cut_short(analysis: &Analysis) -> Option<String> {
    if deciding(analysis).all(|metric| metric.counts.measured() == 0) {
        return Some("ended without a single measurement".to_owned());
    }
    // One beside the steps ends with them, however many it was to take.
    if analysis.stage == AnalysisStage::Background {
        return None;
    }
    let metric = deciding(analysis).find(|metric| !metric.is_complete())?;
    let (name, taken) = (&metric.name, metric.counts.measured());
    Some(match (metric.good_in_a_row, metric.count) {
        (None, Some(of)) => format!("ended after {taken} of {of} measurements of {name}"),
        _ => format!("ended after {taken} measurements of {name}, too few of them good in a row"),
    })
}

fn health(rollout: &Rollout) -> Judgement {
    let make = |verdict, why: &str| Judgement::plain(verdict, why.to_owned());
    // The controller counts the pods users are on; a preview has its own.
    let preview = rollout
        .current()
        .filter(|_| rollout.cutover() == Some(Cutover::Preview));
    let pods = preview.map_or(rollout.pods, |preview| preview.pods);
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
            &format!("pods {}/{} available", pods.available, pods.desired),
        ),
        (RolloutPhase::Healthy | RolloutPhase::Progressing | RolloutPhase::Paused, _) => {
            if rollout.weight_verified == Some(false) {
                return make(Verdict::Pending, "the traffic share is not confirmed yet");
            }
            make(
                Verdict::Pass,
                &format!("pods {}/{} available", pods.available, pods.desired),
            )
        }
    }
}
