//! Kind `metric`: a number within limits, and against a baseline.
//!
//! The number comes from a configured query (canary, else what is live) or from
//! the training run of the candidate's model version. Here it is looked for;
//! [`judge`] holds it against what the rule asks, [`words`] says so.

mod judge;
mod nobody;
mod registry;
mod words;

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    domain::{
        Timestamp,
        id::MetricName,
        measure::{Arm, Measure, Sample},
        observation::Scope,
        policy::{BaselineSource, Binding, Breaches, GateRule, GateSource, Versus},
        rollout::{Cutover, short_duration},
        text::Clean,
        verdict::Verdict,
    },
    engine::{
        gate::{
            Gate, Judgement, View,
            front::{
                BaselineEvidence, Covered, Evidence, Gathered, Producer, Value, no_number,
                rollout_producer,
            },
            metric::{
                judge::Measurement,
                registry::{asks_of_registry, from_registry},
            },
            windows::{self, Windowed, measured},
        },
        lane::Place,
        standing::Asks,
        world::Known,
    },
};

pub(super) static GATE: Metric = Metric;

pub(super) struct Metric;

impl Gate for Metric {
    fn kind(&self) -> &'static str {
        "metric"
    }

    fn rule(&self, rule: &GateRule) -> Clean {
        let name = match &rule.source {
            GateSource::Metric(metric) => metric.to_string(),
            GateSource::ModelMetric(metric) => format!("model {metric}"),
            GateSource::Pipeline(_) | GateSource::Rollout(_) => String::new(),
        };
        let mut text = name;
        if rule.fail.is_set() {
            text.push(' ');
            text.push_str(&words::limit_rule(rule.fail, &rule.unit));
        }
        if let Some(versus) = &rule.versus {
            text.push_str(&words::versus_rule(rule.better, versus, &rule.unit));
        }
        Clean::from(text)
    }

    fn gather(&self, rule: &GateRule, view: &View<'_>) -> Gathered {
        match &rule.source {
            GateSource::Metric(metric) => from_query(rule, metric, view),
            GateSource::ModelMetric(metric) => from_registry(rule, metric, view),
            GateSource::Pipeline(_) | GateSource::Rollout(_) => {
                Gathered::NotAsked("not a metric".into())
            }
        }
    }

    fn asks(&self, rule: &GateRule, view: &View<'_>) -> Asks {
        match &rule.source {
            GateSource::Metric(metric) => asks_of_query(metric, view),
            GateSource::ModelMetric(_) => asks_of_registry(rule, view),
            GateSource::Pipeline(_) | GateSource::Rollout(_) => Asks::default(),
        }
    }

    fn judge(&self, rule: &GateRule, evidence: &Evidence) -> Judgement {
        let Value::Number {
            value,
            over,
            windows,
        } = &evidence.value
        else {
            return Judgement::plain(Verdict::Error, "not a number");
        };
        if !value.is_finite() {
            return Judgement::plain(Verdict::Error, format!("value is {value}"));
        }
        let measured = Measurement {
            value: *value,
            over: *over,
            windows: rule.breaches.zip(windows.as_ref()),
        };
        let by_limit = judge::against_limits(rule, &measured);
        let Some(versus) = &rule.versus else {
            return by_limit;
        };
        let by_baseline =
            judge::against_baseline(rule, versus, &measured, evidence.baseline.as_ref());
        // The worse one speaks; equal verdicts let the limit speak and keep the baseline in view.
        if by_baseline.verdict < by_limit.verdict || !rule.fail.is_set() {
            by_baseline
        } else {
            Judgement {
                baseline: by_baseline.baseline,
                ..by_limit
            }
        }
    }
}

fn from_query(rule: &GateRule, metric: &MetricName, view: &View<'_>) -> Gathered {
    let Some(spec) = view
        .world
        .catalog
        .metric(&view.service.name, &view.place.environment, metric)
    else {
        return Gathered::Broken {
            why: Clean::from(format!("metric `{metric}` is not configured")),
            backend: None,
        };
    };
    let backend = Some(spec.backend.clone());
    let producer = match rollout_producer(view) {
        Ok(producer) => producer,
        Err(instead) => return instead,
    };
    if let Some(instead) = nobody::instead(rule, spec, view) {
        return instead;
    }
    let arm = view.lane.place.arm(spec);
    let at = |arm: Arm| view.world.measures.get(&(spec.id.clone(), arm));
    let Some(known) = at(arm) else {
        return Gathered::Nothing {
            why: "not measured yet".into(),
            producer,
            backend,
        };
    };
    if let Some(why) = nobody_on_preview(view, &known.sample) {
        return Gathered::NotAsked(why);
    }
    if let Some(why) = no_number(&known.sample) {
        return Gathered::Broken { why, backend };
    }
    let made_at = known.at.min(known.value.at);
    if let Some(why) = of_another(rule, arm, view, made_at, spec.looks_back) {
        return Gathered::Nothing {
            why,
            producer: Producer::AtWork,
            backend,
        };
    }
    let Sample::Value(value) = known.sample else {
        let weight = view
            .world
            .rollouts
            .get(&view.place.target)
            .map(|rollout| rollout.weight_actual.get())
            .unwrap_or_default();
        // A canary that has traffic and no series is not on its way to having some.
        let producer = if arm == Arm::Canary && weight > 0 {
            Producer::Ended
        } else {
            producer
        };
        return Gathered::Nothing {
            why: Clean::from(format!(
                "no series for {} at {weight} % of traffic",
                arm.name()
            )),
            producer,
            backend,
        };
    };
    let samples = match traffic(at(Arm::Traffic)) {
        Ok(samples) => samples,
        Err(why) => return Gathered::Broken { why, backend },
    };
    let windows = rule
        .breaches
        .map(|breaches| measured(rule, breaches, spec, arm, view));
    let evidence = Evidence {
        covered: rule
            .breaches
            .zip(windows.as_ref())
            .map(|(breaches, windows)| covered(breaches, windows)),
        value: Value::Number {
            value,
            over: Some(spec.looks_back).filter(|back| !back.is_zero()),
            windows,
        },
        baseline: rule
            .versus
            .as_ref()
            .map(|versus| live_baseline(versus, at(Arm::Stable), arm)),
        about: canary_subject(view),
        made_at: Some(made_at),
        fetched_at: known.at,
        default_max_age: view
            .world
            .catalog
            .backends
            .get(&spec.backend)
            .map(crate::domain::catalog::BackendSpec::limit),
        changes_at: None,
        samples,
        // Where something is served, more will be measured.
        producer: match view.lane.place {
            Place::Live | Place::RollingBack { .. } => Producer::AtWork,
            _ => producer,
        },
        backend: spec.backend.clone(),
        url: None,
    };
    Gathered::Found(Box::new(evidence))
}

/// How many of the windows a rule looks at are there.
fn covered(breaches: Breaches, windowed: &Windowed) -> Covered {
    let what = |what: &str| format!("{what}{} measured", words::width(windowed.width));
    Covered {
        done: windowed.windows.len() as u64,
        of: u64::from(breaches.of),
        what: ["window", "windows"].map(|one| Clean::from(what(one))),
        detail: Clean::default(),
    }
}

/// Why a preview has no number: nobody is on it before the switch, and the
/// switch is what would change that. A number it has all the same (somebody
/// tries it out) counts.
fn nobody_on_preview(view: &View<'_>, sample: &Sample) -> Option<Clean> {
    let rollout = view.world.rollouts.get(&view.place.target)?;
    let silent = matches!(sample, Sample::Empty | Sample::NotFinite(_));
    (silent && rollout.cutover() == Some(Cutover::Preview))
        .then(|| "nobody is on the preview: asked once users are switched to it".into())
}

/// Why a number says nothing about the revision asked about yet: some of the time
/// that was looked at lies before it took over, or before it was tried. No query
/// can tell one canary from the next; windows are told apart one by one.
fn of_another(
    rule: &GateRule,
    arm: Arm,
    view: &View<'_>,
    made_at: Timestamp,
    looks_back: Duration,
) -> Option<Clean> {
    let took_over = windows::took_over(view);
    let since = match took_over {
        None if arm == Arm::Canary && rule.breaches.is_none() => windows::began(view),
        since => since,
    }?;
    let ago = (view.now - since).to_std().unwrap_or_default();
    let ago = short_duration(Duration::from_secs(ago.as_secs()));
    let begun = took_over.map_or_else(String::new, |_| format!("took over {ago} ago: "));
    let why = if looks_back.is_zero() {
        format!("{begun}what was measured is from before")
    } else {
        format!(
            "{begun}the {} looked back on are not all its own yet",
            short_duration(looks_back)
        )
    };
    let begins = made_at - TimeDelta::from_std(looks_back).ok()?;
    (begins < since).then(|| Clean::from(why))
}

/// A number of the canary is asked for by where the rollout stands.
fn asks_of_query(metric: &MetricName, view: &View<'_>) -> Asks {
    let rollout = Asks::rollout(&view.place.target);
    let spec = view
        .world
        .catalog
        .metric(&view.service.name, &view.place.environment, metric);
    let Some(spec) = spec else {
        return rollout;
    };
    let numbers = Scope::metric(&spec.backend, &spec.id);
    Asks {
        first: vec![numbers.clone()],
        more: Vec::new(),
        feeds: vec![(Scope::metrics(&spec.backend), numbers)],
    }
    .and(rollout)
}

/// Requests behind the number, where a query says; no series is no request.
fn traffic(measure: Option<&Known<Measure>>) -> Result<Option<u64>, Clean> {
    let Some(known) = measure else {
        return Ok(None);
    };
    match &known.sample {
        Sample::Value(value) => Ok(Some(requests(*value))),
        Sample::Empty => Ok(Some(0)),
        other => Err(Clean::from(format!(
            "traffic: {}",
            no_number(other).unwrap_or_default()
        ))),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded, not negative, saturating"
)]
fn requests(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

fn live_baseline(versus: &Versus, stable: Option<&Known<Measure>>, arm: Arm) -> BaselineEvidence {
    if versus.baseline != BaselineSource::Stable {
        return BaselineEvidence::None("a query is compared with `stable`".into());
    }
    if arm == Arm::Stable {
        return BaselineEvidence::Itself(
            "everything is on it: there is no other revision to compare with".into(),
        );
    }
    match stable.map(|known| &known.sample) {
        Some(Sample::Value(value)) => BaselineEvidence::Value {
            name: "stable".into(),
            value: *value,
            same_data: Some(true),
        },
        Some(other) => no_number(other).map_or_else(
            || BaselineEvidence::None("no series for stable".into()),
            |why| BaselineEvidence::Broken(Clean::from(format!("stable: {why}"))),
        ),
        None => BaselineEvidence::None("stable is not measured".into()),
    }
}

/// What the canary is, by what the rollout runs.
fn canary_subject(view: &View<'_>) -> Vec<(Binding, Clean)> {
    let mut about = Vec::new();
    if let Some(commit) = view.release.commit.value() {
        about.push((Binding::Commit, Clean::from(commit.as_str().to_owned())));
    }
    if let Some(version) = view.release.version.value() {
        about.push((Binding::ModelVersion, Clean::from(version.to_string())));
    }
    if let Some(image) = view.release.image.value() {
        about.push((Binding::Image, Clean::from(image.to_string())));
    }
    about
}
