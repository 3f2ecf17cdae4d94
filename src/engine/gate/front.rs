//! Before any kind judges: is there evidence, is it about this release, is it
//! fresh, does it cover enough? Asked in one place, so that no kind can forget.

use std::time::Duration;

use crate::{
    domain::{
        Timestamp,
        id::BackendId,
        measure::Sample,
        pipeline::{Phase, RunStatus},
        policy::{Binding, GateRule},
        quantity::counted,
        rollout::{Analysis, Rollout},
        text::Clean,
        verdict::Verdict,
    },
    engine::{
        gate::{View, windows::Windowed},
        lane::Place,
        release::Link,
        standing::{self, Asks, Standing, standing},
    },
};

/// What a gate found when it looked for its evidence.
#[derive(Clone, Debug)]
pub enum Gathered {
    /// The question does not arise.
    NotAsked(Clean),
    /// Nothing came; whether it still can depends on its producer.
    Nothing {
        /// Why.
        why: Clean,
        /// Who makes it.
        producer: Producer,
        /// Who would have told.
        backend: Option<BackendId>,
    },
    /// The question could not be asked, or the answer is no answer.
    Broken {
        /// Why.
        why: Clean,
        /// Who was asked.
        backend: Option<BackendId>,
    },
    /// Evidence.
    Found(Box<Evidence>),
}

/// Whether the producer of evidence can still make some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Producer {
    /// Not ended.
    AtWork,
    /// Ended.
    Ended,
    /// None is known.
    None,
}

/// Evidence, not yet admitted.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// What was measured.
    pub value: Value,
    /// Values it is compared with.
    pub baseline: Option<BaselineEvidence>,
    /// What it is about, as far as it says.
    pub about: Vec<(Binding, Clean)>,
    /// When it was made.
    pub made_at: Option<Timestamp>,
    /// When we fetched it.
    pub fetched_at: Timestamp,
    /// How old it may be when the rule does not say.
    pub default_max_age: Option<Duration>,
    /// When time alone changes what it is worth: it becomes stale, or the
    /// trouble of who told it counts. Filled in by [`admit`].
    pub changes_at: Option<Timestamp>,
    /// Measurements or requests behind it.
    pub samples: Option<u64>,
    /// How much of what was expected is there.
    pub covered: Option<Covered>,
    /// Whether more will come by itself.
    pub producer: Producer,
    /// Who told.
    pub backend: BackendId,
    /// Where a person can see it.
    pub url: Option<Clean>,
}

/// How much of what was expected is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// What is there.
    pub done: u64,
    /// What was expected.
    pub of: u64,
    /// What is counted, one and many (`job ran`, `jobs ran`).
    pub what: [Clean; 2],
    /// More about what is not there, for when nothing is.
    pub detail: Clean,
}

impl Covered {
    /// As a share from 0 to 1; `None` when nothing was expected.
    pub fn share(&self) -> Option<f64> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts of jobs and windows stay far below 2^53"
        )]
        let share = |done: u64, of: u64| done as f64 / of as f64;
        (self.of > 0).then(|| share(self.done.min(self.of), self.of))
    }

    /// That nothing is there, of how many that were expected.
    fn none(&self) -> Clean {
        let [one, many] = &self.what;
        let count = match self.of {
            0 => counted(0, one, many),
            of => format!("0 of {}", counted(of, one, many)),
        };
        if self.detail.is_empty() {
            Clean::from(count)
        } else {
            Clean::from(format!("{count}: {}", self.detail))
        }
    }
}

/// What was measured.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number.
    Number {
        /// The newest.
        value: f64,
        /// How much time it covers; nothing for one that reads an instant.
        over: Option<Duration>,
        /// The windows that count, where the rule is N of M.
        windows: Option<Windowed>,
    },
    /// Jobs by name, with their status.
    Jobs(Vec<(Clean, RunStatus)>),
    /// Analyses of a revision.
    Analyses(Vec<Analysis>),
    /// A rollout.
    Rollout(Box<Rollout>),
}

impl Value {
    /// The value as text, for the digest.
    pub fn text(&self) -> String {
        match self {
            Self::Number {
                value,
                over: _,
                windows,
            } => {
                let windows = windows.iter().flat_map(|windowed| &windowed.windows);
                let windows: String = windows
                    .map(|window| {
                        format!(
                            "\n{}={:?}:{:?}",
                            window.ends_at, window.value, window.stable
                        )
                    })
                    .collect();
                format!("{value:?}{windows}")
            }
            Self::Jobs(jobs) => jobs
                .iter()
                .map(|(name, status)| format!("{name}={}\n", status.word()))
                .collect(),
            Self::Analyses(analyses) => analyses
                .iter()
                .map(|analysis| {
                    format!(
                        "{}={:?}:{}\n",
                        analysis.name, analysis.phase, analysis.message
                    )
                })
                .collect(),
            Self::Rollout(rollout) => {
                format!(
                    "{:?}:{}:{:?}:{:?}",
                    rollout.phase, rollout.message, rollout.pods, rollout.aborted
                )
            }
        }
    }
}

/// A value to compare with.
#[derive(Clone, Debug)]
pub enum BaselineEvidence {
    /// There is one.
    Value {
        /// What it is (`champion v41`).
        name: Clean,
        /// The value.
        value: f64,
        /// Whether both were measured on the same data; `None` = cannot be told.
        same_data: Option<bool>,
    },
    /// There is none, and why.
    None(Clean),
    /// There is an answer that is no number.
    Broken(Clean),
    /// The release is its own baseline: nothing to compare.
    Itself(Clean),
}

/// A verdict that fell before any kind was asked.
#[derive(Clone, Debug)]
pub struct Early {
    /// Missing, stale, error, pending or not applicable.
    pub verdict: Verdict,
    /// Why.
    pub reason: Clean,
    /// The evidence that was not admitted, if there was some.
    pub evidence: Option<Evidence>,
    /// Who was asked.
    pub backend: Option<BackendId>,
    /// When time alone changes it.
    pub changes_at: Option<Timestamp>,
}

/// Lets evidence through to its kind, or says why not. First of all it asks
/// whether those who should have told (`asks`) are able to.
///
/// # Errors
///
/// The verdict that follows from there being no evidence, or not the right one.
pub fn admit(
    rule: &GateRule,
    gathered: Gathered,
    asks: &Asks,
    view: &View<'_>,
) -> Result<Evidence, Early> {
    let early = |verdict, reason, backend| {
        Err(Early {
            verdict,
            reason,
            evidence: None,
            backend,
            changes_at: None,
        })
    };
    let patiently = !matches!(gathered, Gathered::Nothing { .. });
    let stands = standing(view.world, asks, patiently, view.now);
    let mut evidence = match gathered {
        Gathered::Broken { why, backend } => return early(Verdict::Error, why, backend),
        Gathered::NotAsked(reason) => {
            return match stands {
                Standing::Troubled { why, backend, .. } => {
                    early(Verdict::Error, why, Some(backend))
                }
                Standing::Awaited { why, backend } => early(Verdict::Pending, why, Some(backend)),
                Standing::Answered { doubted_at } => Err(Early {
                    verdict: Verdict::NotApplicable,
                    reason,
                    evidence: None,
                    backend: None,
                    changes_at: doubted_at,
                }),
            };
        }
        Gathered::Nothing {
            why,
            producer,
            backend,
        } => {
            let verdict = match producer {
                Producer::AtWork => Verdict::Pending,
                Producer::Ended | Producer::None => Verdict::Missing,
            };
            return match stands {
                // "There is none" is an answer.
                Standing::Troubled {
                    why,
                    backend,
                    says_none: true,
                } => early(verdict, why, Some(backend)),
                Standing::Troubled { why, backend, .. } => {
                    early(Verdict::Error, why, Some(backend))
                }
                Standing::Awaited { why, backend } => early(Verdict::Pending, why, Some(backend)),
                Standing::Answered { .. } => match torn_subject(rule, view) {
                    Some(torn) => early(Verdict::Stale, torn, backend),
                    None => early(verdict, why, backend),
                },
            };
        }
        Gathered::Found(evidence) => *evidence,
    };
    let refuse = |verdict, reason: Clean, evidence: Evidence| {
        let backend = Some(evidence.backend.clone());
        let changes_at = evidence.changes_at.filter(|at| view.now < *at);
        Err(Early {
            verdict,
            reason,
            evidence: Some(evidence),
            backend,
            changes_at,
        })
    };
    match stands {
        Standing::Troubled { why, .. } => return refuse(Verdict::Error, why, evidence),
        Standing::Answered { doubted_at } => evidence.changes_at = doubted_at,
        // What was found was told by somebody: another one is slow.
        Standing::Awaited { .. } => {}
    }
    if let Some(reason) = other_subject(rule, &evidence, view) {
        return refuse(Verdict::Stale, reason, evidence);
    }
    let max_age = rule.max_age.or(evidence.default_max_age);
    let stale_at = evidence
        .made_at
        .zip(max_age.and_then(|age| chrono::TimeDelta::from_std(age).ok()))
        .map(|(made, age)| made + age);
    if stale_at.is_some_and(|at| at <= view.now) {
        // Somebody who should have brought newer evidence and could not is the news.
        return match standing(view.world, asks, false, view.now) {
            Standing::Troubled { why, .. } => refuse(Verdict::Error, why, evidence),
            Standing::Answered { .. } | Standing::Awaited { .. } => {
                let reason = too_old(&evidence, max_age, view.now);
                refuse(Verdict::Stale, reason, evidence)
            }
        };
    }
    evidence.changes_at = evidence.changes_at.into_iter().chain(stale_at).min();
    let nothing = evidence.covered.as_ref();
    if let Some(none) = nothing.filter(|covered| covered.done == 0) {
        let reason = none.none();
        return refuse(not_enough(&evidence), reason, evidence);
    }
    match (rule.min_traffic, evidence.samples) {
        (Some(needed), Some(samples)) => {
            #[expect(
                clippy::cast_precision_loss,
                reason = "request counts stay far below 2^53"
            )]
            let short = (samples as f64) < needed;
            if short {
                let requests = counted(samples, "request", "requests");
                let reason = format!("{requests}, at least {needed} needed");
                return refuse(not_enough(&evidence), reason.into(), evidence);
            }
        }
        // A guard that does not know is no guard.
        (Some(_), None) => {
            let reason = "how many requests are behind it is not known".into();
            return refuse(Verdict::Error, reason, evidence);
        }
        (None, _) => {}
    }
    Ok(evidence)
}

/// Too little evidence: more may come, or never will.
fn not_enough(evidence: &Evidence) -> Verdict {
    match evidence.producer {
        Producer::AtWork => Verdict::Pending,
        Producer::Ended | Producer::None => Verdict::Missing,
    }
}

/// Names the first thing the evidence is about that is not this release.
fn other_subject(rule: &GateRule, evidence: &Evidence, view: &View<'_>) -> Option<Clean> {
    let release = view.release;
    rule.bind.iter().find_map(|binding| {
        let ours = match binding {
            Binding::Commit => release
                .commit
                .value()
                .map(|commit| Clean::from(commit.as_str().to_owned())),
            Binding::ModelVersion => release
                .version
                .value()
                .map(|version| Clean::from(version.to_string())),
            Binding::Image => release
                .image
                .value()
                .map(|image| Clean::from(image.to_string())),
        };
        let theirs = evidence
            .about
            .iter()
            .find(|(what, _)| what == binding)
            .map(|(_, subject)| subject);
        let what = match binding {
            Binding::Commit => "commit",
            Binding::ModelVersion => "model version",
            Binding::Image => "image",
        };
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if same_subject(&ours, theirs) => None,
            (Some(ours), Some(theirs)) => Some(Clean::from(format!(
                "evidence is for {what} {}, not {}",
                brief(theirs),
                brief(&ours)
            ))),
            (Some(ours), None) => Some(Clean::from(format!(
                "evidence does not say for which {what}; the release is {}",
                brief(&ours)
            ))),
            (None, _) => Some(Clean::from(format!("the release's {what} is not known"))),
        }
    })
}

/// Names the rivals where something the rule binds to is ambiguous: evidence
/// for one of them is none for the release.
fn torn_subject(rule: &GateRule, view: &View<'_>) -> Option<Clean> {
    let release = view.release;
    rule.bind.iter().find_map(|binding| match binding {
        Binding::Commit => rivals("commit", &release.commit, |one| {
            brief(one.as_str()).to_owned()
        }),
        Binding::ModelVersion => rivals("model version", &release.version, ToString::to_string),
        Binding::Image => rivals("image", &release.image, ToString::to_string),
    })
}

fn rivals<T>(what: &str, link: &Link<T>, name: impl Fn(&T) -> String) -> Option<Clean> {
    let Link::Ambiguous { rivals, .. } = link else {
        return None;
    };
    let names: Vec<String> = rivals.iter().map(name).collect();
    Some(Clean::from(format!(
        "evidence for one {what} is not for another, and the release may be {}",
        names.join(" or ")
    )))
}

/// Short commit ids name the same commit when one begins with the other.
fn same_subject(ours: &str, theirs: &str) -> bool {
    ours == theirs || (theirs.len() >= 7 && ours.starts_with(theirs))
}

fn brief(subject: &str) -> &str {
    if subject.len() >= 40 {
        subject.get(..7).unwrap_or(subject)
    } else {
        subject
    }
}

fn too_old(evidence: &Evidence, max_age: Option<Duration>, now: Timestamp) -> Clean {
    let age = evidence
        .made_at
        .and_then(|made| (now - made).to_std().ok())
        .unwrap_or_default();
    Clean::from(format!(
        "{} old, limit {}",
        crate::domain::rollout::short_duration(Duration::from_secs(age.as_secs())),
        crate::domain::rollout::short_duration(max_age.unwrap_or_default())
    ))
}

/// Whether what a rollout produces is asked for yet, and whether it can still
/// come; else what is to be said instead.
pub(super) fn rollout_producer(view: &View<'_>) -> Result<Producer, Gathered> {
    let target = &view.place.target;
    if !view.world.rollouts.contains_key(target) {
        return Err(Gathered::Nothing {
            why: standing::absent(target),
            producer: Producer::None,
            backend: Some(target.backend.clone()),
        });
    }
    match &view.lane.place {
        Place::Pipeline { .. }
        | Place::RunFailed
        | Place::Rejected { .. }
        | Place::Built
        | Place::Approval { .. } => Err(Gathered::NotAsked("asked once the rollout begins".into())),
        Place::Canary { .. } => Ok(Producer::AtWork),
        Place::Live
        | Place::RollingBack { .. }
        | Place::Aborting { .. }
        | Place::Aborted
        | Place::Degraded => Ok(Producer::Ended),
        Place::Unknown { .. } => Ok(Producer::None),
    }
}

/// Whether the run can still make evidence at the stages before deployment.
pub(super) fn run_producer(view: &View<'_>) -> Producer {
    let Some(run) = view
        .release
        .run
        .value()
        .and_then(|run| view.world.runs.get(run))
    else {
        return Producer::None;
    };
    let at_work =
        view.world.jobs_of(&run.id).iter().any(|job| {
            job.stage < crate::domain::pipeline::Stage::Package && !job.status.has_ended()
        });
    match run.status.phase {
        Phase::Ended => Producer::Ended,
        Phase::Queued => Producer::AtWork,
        Phase::Waiting | Phase::Running | Phase::Unknown(_)
            if at_work || view.world.jobs_of(&run.id).is_empty() =>
        {
            Producer::AtWork
        }
        Phase::Waiting | Phase::Running | Phase::Unknown(_) => Producer::Ended,
    }
}

/// Why a sample is no number.
pub(super) fn no_number(sample: &Sample) -> Option<Clean> {
    match sample {
        Sample::Value(_) | Sample::Empty => None,
        Sample::NotFinite(text) => Some(Clean::from(format!("value is {text}"))),
        Sample::Several(count) => Some(Clean::from(format!(
            "{count} series and no `aggregate` that says which counts"
        ))),
        Sample::NotNumeric(kind) => Some(Clean::from(format!("answer is {kind}, not a number"))),
    }
}
