//! Gates: one file per kind, one front for all.
//!
//! [`front`] looks for the evidence, and it alone can say that there is none
//! yet, none at all, or the wrong one. A kind only ever sees evidence that is
//! there, about this release, fresh and complete enough, and says what it means.

pub mod front;
mod metric;
mod pipeline;
mod rollout;
pub mod windows;

use sha2::{Digest, Sha256};

use crate::{
    domain::{
        Timestamp,
        catalog::{PlaceSpec, ServiceSpec},
        id::BackendId,
        policy::GateRule,
        rollout::Rollout,
        text::Clean,
        verdict::{Baseline, Finding, Verdict},
    },
    engine::{
        decision::sha256_text,
        gate::front::{Evidence, Gathered},
        lane::Lane,
        release::Release,
        standing::Asks,
        world::World,
    },
};

/// One kind of gate.
pub trait Gate: Sync {
    /// The value of `kind` in the configuration.
    fn kind(&self) -> &'static str;

    /// The rule in one line, as people read it.
    fn rule(&self, rule: &GateRule) -> Clean;

    /// Looks for the evidence. Says what was found or why there is none; the
    /// front turns that into missing, stale, error or pending.
    fn gather(&self, rule: &GateRule, view: &View<'_>) -> Gathered;

    /// Who is to tell the evidence.
    fn asks(&self, rule: &GateRule, view: &View<'_>) -> Asks;

    /// What evidence that is there means.
    fn judge(&self, rule: &GateRule, evidence: &Evidence) -> Judgement;
}

/// Every kind, sorted. A new one is a `mod` line and a row here.
pub static GATES: &[&dyn Gate] = &[&metric::GATE, &pipeline::GATE, &rollout::GATE];

/// What a gate looks at.
pub struct View<'a> {
    /// Everything believed.
    pub world: &'a World,
    /// The service.
    pub service: &'a ServiceSpec,
    /// The place it would go to.
    pub place: &'a PlaceSpec,
    /// Where it stands.
    pub lane: &'a Lane,
    /// The release asked about.
    pub release: &'a Release,
    /// Now.
    pub now: Timestamp,
}

impl View<'_> {
    /// Hash of the revision that carries the release asked about: the stable one
    /// where users are being taken off it, else the wanted one.
    pub(super) fn shown_hash<'a>(&self, rollout: &'a Rollout) -> Option<&'a Clean> {
        if self.lane.place.is_of_stable() {
            rollout.stable_hash.as_ref()
        } else {
            rollout.current_hash.as_ref()
        }
    }
}

/// What a kind says about evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Pass, warn, fail, or error when the numbers make no sense.
    pub verdict: Verdict,
    /// Why, in the fewest words that name the fact.
    pub reason: Clean,
    /// The value judged.
    pub observed: Option<f64>,
    /// The limit it was held against.
    pub limit: Option<f64>,
    /// What it was compared with.
    pub baseline: Option<Baseline>,
    /// Distance to the limit, positive inside.
    pub margin: Option<f64>,
}

impl Judgement {
    /// A verdict with its reason and no numbers.
    pub fn plain(verdict: Verdict, reason: impl Into<Clean>) -> Self {
        Self {
            verdict,
            reason: reason.into(),
            observed: None,
            limit: None,
            baseline: None,
            margin: None,
        }
    }
}

/// Judges one rule.
pub fn judge(rule: &GateRule, view: &View<'_>) -> Finding {
    let Some(gate) = GATES.iter().find(|gate| gate.kind() == rule.source.kind()) else {
        let none = Judgement::plain(Verdict::Error, "no such kind of gate");
        return finding(rule, Clean::default(), none, None);
    };
    let text = gate.rule(rule);
    let (gathered, asks) = (gate.gather(rule, view), gate.asks(rule, view));
    match front::admit(rule, gathered, &asks, view) {
        Ok(evidence) => {
            let judgement = gate.judge(rule, &evidence);
            finding(rule, text, judgement, Some(&evidence))
        }
        Err(early) => {
            let mut found = finding(
                rule,
                text,
                Judgement::plain(early.verdict, early.reason),
                early.evidence.as_ref(),
            );
            found.changes_at = early.changes_at;
            found.backend = found.backend.or(early.backend);
            found
        }
    }
}

fn finding(
    rule: &GateRule,
    text: Clean,
    judgement: Judgement,
    evidence: Option<&Evidence>,
) -> Finding {
    Finding {
        gate: rule.id.clone(),
        class: rule.class,
        required: rule.required,
        verdict: judgement.verdict,
        rule: text,
        reason: judgement.reason,
        observed: judgement.observed,
        limit: judgement.limit,
        unit: rule.unit.clone(),
        baseline: judgement.baseline,
        margin: judgement.margin,
        samples: evidence.and_then(|evidence| evidence.samples),
        coverage: evidence.and_then(|evidence| evidence.covered.as_ref()?.share()),
        backend: evidence.map(|evidence| evidence.backend.clone()),
        evidence_at: evidence.and_then(|evidence| evidence.made_at),
        fetched_at: evidence.map(|evidence| evidence.fetched_at),
        digest: evidence.map(digest),
        url: evidence.and_then(|evidence| evidence.url.clone()),
        changes_at: evidence.and_then(|evidence| evidence.changes_at),
    }
}

/// Names the evidence by what it says: value, subject and time of making.
fn digest(evidence: &Evidence) -> Clean {
    let mut hash = Sha256::new();
    let backend: &BackendId = &evidence.backend;
    hash.update(backend.as_str().as_bytes());
    hash.update([0]);
    hash.update(evidence.value.text().as_bytes());
    hash.update([0]);
    hash.update(format!("{:?}", evidence.made_at).as_bytes());
    for (what, subject) in &evidence.about {
        hash.update(format!("\0{what:?}={subject}").as_bytes());
    }
    sha256_text(hash)
}
