//! `[policy.NAME]` as meant.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use toml::Spanned;

use crate::{
    config::{
        file::{self, Number},
        problem::Collector,
    },
    domain::{
        id::{GateId, MetricName, PolicyName},
        policy::{
            BaselineSource, Better, Binding, Breaches, Change, GateRule, GateSource, Limit,
            OnMissing, Policy, RolloutQuestion, Versus, WINDOWS,
        },
        text::Clean,
    },
};

/// The columns of the gate strip.
const CLASSES: [&str; 8] = ["A", "L", "F", "X", "D", "Q", "S", "I"];

/// A policy before it is known where it is used.
pub(super) struct Drafted {
    pub(super) policy: Policy,
    /// Whether the file says anything about overriding.
    pub(super) overriding_is_written: bool,
    /// Metrics its gates read, with where they are named.
    pub(super) metrics: Vec<(MetricName, Range<usize>)>,
    /// Where each gate stands.
    pub(super) spans: BTreeMap<GateId, Range<usize>>,
}

/// One choice among words of the file.
fn choose<T: Copy>(
    written: &Spanned<String>,
    what: &str,
    choices: &[(&str, T)],
    problems: &mut Collector<'_>,
) -> Option<T> {
    let word = written.get_ref().as_str();
    let found = choices.iter().find(|(name, _)| *name == word);
    if found.is_none() {
        let names = choices.iter().map(|(name, _)| *name);
        problems.unknown(&written.span(), what, word, names);
    }
    found.map(|(_, choice)| *choice)
}

/// Reads one policy. `digest` names its canonical text.
pub(super) fn draft(
    name: &str,
    written: &file::Policy,
    digest: Clean,
    problems: &mut Collector<'_>,
) -> Drafted {
    let overriding = written.overriding.as_ref().and_then(|written| {
        let choices = [("never", false), ("allowed", true)];
        choose(written, "value of `override`", &choices, problems)
    });
    let mut gates: Vec<GateRule> = Vec::new();
    let mut metrics = Vec::new();
    let mut spans = BTreeMap::new();
    for gate in &written.gates {
        let span = gate.span();
        let gate = gate.get_ref();
        let Some(rule) = read_gate(gate, &span, problems) else {
            continue;
        };
        if gates.iter().any(|known| known.id == rule.id) {
            problems.at(
                &gate.id.span(),
                format!("there are two gates `{}`", rule.id),
            );
        }
        if let (GateSource::Metric(metric), Some(named)) =
            (&rule.source, &gate.source.get_ref().metric)
        {
            metrics.push((metric.clone(), named.span()));
        }
        spans.insert(rule.id.clone(), gate.id.span());
        gates.push(rule);
    }
    Drafted {
        policy: Policy {
            name: PolicyName::new(name),
            digest,
            override_allowed: overriding.unwrap_or(true),
            gates,
        },
        overriding_is_written: written.overriding.is_some(),
        metrics,
        spans,
    }
}

/// The policy in force. What the file leaves open about overriding is decided
/// by where the policy is used: never where it is critical.
pub(super) fn settle(drafted: Drafted, used_where_critical: bool) -> Arc<Policy> {
    let mut policy = drafted.policy;
    if !drafted.overriding_is_written && used_where_critical {
        policy.override_allowed = false;
    }
    Arc::new(policy)
}

fn read_gate(
    gate: &file::Gate,
    span: &Range<usize>,
    problems: &mut Collector<'_>,
) -> Option<GateRule> {
    let kinds = [
        ("metric", "metric"),
        ("pipeline", "pipeline"),
        ("rollout", "rollout"),
    ];
    let kind = choose(&gate.kind, "kind of gate", &kinds, problems);
    let classes = CLASSES.map(|name| (name, name));
    let class = choose(&gate.class, "class", &classes, problems);
    let source = read_source(&gate.source, problems);
    let bind = gate
        .bind
        .iter()
        .filter_map(|written| {
            let choices = [
                ("commit", Binding::Commit),
                ("model_version", Binding::ModelVersion),
                ("image", Binding::Image),
            ];
            choose(written, "binding", &choices, problems)
        })
        .collect();
    let better = gate.better.as_ref().and_then(|written| {
        let choices = [("higher", Better::Higher), ("lower", Better::Lower)];
        choose(written, "value of `better`", &choices, problems)
    });
    match kind {
        Some("metric") => check_metric(gate, span, problems),
        Some(kind) => check_other(gate, kind, problems),
        None => {}
    }
    let fail = limit(gate.fail.as_ref(), problems);
    let warn = limit(gate.warn.as_ref(), problems);
    let versus = gate
        .versus
        .as_ref()
        .and_then(|versus| read_versus(versus, problems));
    let breaches = gate
        .breaches
        .as_ref()
        .and_then(|breaches| read_breaches(breaches, problems));
    let (kind, source) = (kind?, source?);
    if source.kind() != kind {
        problems.at(
            &gate.source.span(),
            format!(
                "this source belongs to kind `{}`, not `{kind}`",
                source.kind()
            ),
        );
    }
    Some(GateRule {
        id: GateId::new(gate.id.get_ref()),
        class: class?.chars().next()?,
        required: gate.required.unwrap_or(true),
        source,
        better: better.unwrap_or(Better::Higher),
        fail,
        warn,
        versus,
        unit: gate
            .unit
            .as_ref()
            .map(|unit| Clean::name(unit.get_ref()))
            .unwrap_or_default(),
        breaches,
        min_traffic: gate.min_traffic.as_ref().map(|number| number.get_ref().0),
        max_age: gate.max_age,
        bind,
    })
}

/// Kind `metric` says which direction is good and asks at least one thing.
fn check_metric(gate: &file::Gate, span: &Range<usize>, problems: &mut Collector<'_>) {
    if gate.better.is_none() {
        problems.at_with(
            span,
            format!(
                "gate `{}` does not say which direction is better",
                Clean::name(gate.id.get_ref())
            ),
            "write `better = \"higher\"` or `better = \"lower\"`; it is never guessed from a name",
        );
    }
    if gate.source.get_ref().model_metric.is_some() {
        let once = [
            ("breaches", gate.breaches.as_ref().map(Spanned::span)),
            ("min_traffic", gate.min_traffic.as_ref().map(Spanned::span)),
        ];
        for (key, span) in once {
            if let Some(span) = span {
                problems.at(
                    &span,
                    format!("`{key}` means nothing for a model's metric: it was measured once"),
                );
            }
        }
        let class = gate.class.get_ref().as_str();
        if class == "L" && gate.unit.is_none() {
            problems.at_with(
                span,
                format!(
                    "gate `{}` is about latency and has no unit",
                    Clean::name(gate.id.get_ref())
                ),
                "write `unit = \"ms\"`",
            );
        }
    }
    if gate.fail.is_none() && gate.versus.is_none() {
        problems.at_with(
            span,
            format!("gate `{}` asks nothing", Clean::name(gate.id.get_ref())),
            "write a limit (`fail = { above = 250 }`) or a comparison (`versus = { … }`)",
        );
    }
}

/// The other kinds have no numbers of their own to hold against anything.
fn check_other(gate: &file::Gate, kind: &str, problems: &mut Collector<'_>) {
    let meaningless = [
        ("better", gate.better.as_ref().map(Spanned::span)),
        ("fail", gate.fail.as_ref().map(Spanned::span)),
        ("warn", gate.warn.as_ref().map(Spanned::span)),
        ("versus", gate.versus.as_ref().map(Spanned::span)),
        ("unit", gate.unit.as_ref().map(Spanned::span)),
        ("breaches", gate.breaches.as_ref().map(Spanned::span)),
        ("min_traffic", gate.min_traffic.as_ref().map(Spanned::span)),
    ];
    for (key, span) in meaningless {
        if let Some(span) = span {
            problems.at(
                &span,
                format!("`{key}` means nothing for a gate of kind `{kind}`"),
            );
        }
    }
}

fn read_source(
    written: &Spanned<file::Source>,
    problems: &mut Collector<'_>,
) -> Option<GateSource> {
    let source = written.get_ref();
    let given: Vec<GateSource> = [
        source
            .metric
            .as_ref()
            .map(|name| GateSource::Metric(MetricName::new(name.get_ref()))),
        source
            .model_metric
            .as_ref()
            .map(|name| GateSource::ModelMetric(Clean::name(name))),
        source
            .run
            .as_ref()
            .map(|text| GateSource::Pipeline(Clean::name(text))),
        source.rollout.as_ref().and_then(|written| {
            let choices = [
                ("analysis", RolloutQuestion::Analysis),
                ("health", RolloutQuestion::Health),
            ];
            choose(written, "question to a rollout", &choices, problems).map(GateSource::Rollout)
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    let asked = usize::from(source.metric.is_some())
        + usize::from(source.model_metric.is_some())
        + usize::from(source.run.is_some())
        + usize::from(source.rollout.is_some());
    if asked != 1 {
        problems.at_with(
            &written.span(),
            format!("a source is one thing, here are {asked}"),
            "write one of `metric`, `model_metric`, `run`, `rollout`",
        );
        return None;
    }
    given.into_iter().next()
}

fn limit(written: Option<&Spanned<file::Limit>>, problems: &mut Collector<'_>) -> Limit {
    let Some(written) = written else {
        return Limit::default();
    };
    let number = |number: Option<Number>| number.map(|number| number.0);
    let limit = Limit {
        below: number(written.get_ref().below),
        above: number(written.get_ref().above),
    };
    match (limit.below, limit.above) {
        (None, None) => problems.at(&written.span(), "a limit needs `below`, `above` or both"),
        (Some(below), Some(above)) if above < below => {
            problems.at(
                &written.span(),
                "nothing is both not below and not above these limits",
            );
        }
        (Some(_), _) | (_, Some(_)) => {}
    }
    limit
}

fn read_versus(written: &Spanned<file::Versus>, problems: &mut Collector<'_>) -> Option<Versus> {
    let versus = written.get_ref();
    let on_missing_baseline = match &versus.on_missing_baseline {
        Some(written) => {
            let choices = [
                ("warn", OnMissing::Warn),
                ("missing", OnMissing::Missing),
                ("pass", OnMissing::Pass),
            ];
            choose(
                written,
                "value of `on_missing_baseline`",
                &choices,
                problems,
            )?
        }
        None => OnMissing::Missing,
    };
    let max_regression = change(versus.max_regression, &written.span(), problems);
    let min_improvement = change(versus.min_improvement, &written.span(), problems);
    if versus.max_regression.is_none() && versus.min_improvement.is_none() {
        problems.at(
            &written.span(),
            "a comparison needs `max_regression`, `min_improvement` or both",
        );
    }
    let baseline = versus.baseline.get_ref().as_str();
    if baseline.trim().is_empty() {
        problems.at(
            &versus.baseline.span(),
            "the baseline is `stable` or the name of an alias",
        );
    }
    Some(Versus {
        baseline: if baseline == "stable" {
            BaselineSource::Stable
        } else {
            BaselineSource::Alias(Clean::name(baseline))
        },
        max_regression,
        min_improvement,
        same_data: versus.same_data,
        on_missing_baseline,
    })
}

fn change(
    written: Option<file::Change>,
    span: &Range<usize>,
    problems: &mut Collector<'_>,
) -> Option<Change> {
    let written = written?;
    let change = Change {
        absolute: written.absolute.map(|number| number.0),
        relative: written.relative.map(|number| number.0),
    };
    if change.absolute.is_none() && change.relative.is_none() {
        problems.at(span, "a change needs `absolute`, `relative` or both");
    }
    if [change.absolute, change.relative]
        .into_iter()
        .flatten()
        .any(|number| number < 0.0)
    {
        problems.at(
            span,
            "a change is written without sign: it is the size of the loss or gain",
        );
    }
    Some(change)
}

fn read_breaches(
    written: &Spanned<file::Breaches>,
    problems: &mut Collector<'_>,
) -> Option<Breaches> {
    let file::Breaches { of, at_least } = *written.get_ref();
    if at_least == 0 || of < at_least || WINDOWS < of {
        problems.at(
            &written.span(),
            format!("`at_least` is 1 or more and no more than `of`, which is at most {WINDOWS}"),
        );
        return None;
    }
    Some(Breaches { of, at_least })
}
