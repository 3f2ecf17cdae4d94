//! What gates say, and what follows from it.

use crate::domain::{
    Timestamp,
    id::{BackendId, EnvironmentName, GateId, PolicyName, ReleaseId},
    text::Clean,
};

/// What one gate says about one release. The order is the roll-up's: worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Measured, bound to this release, and bad.
    Fail,
    /// The question could not be asked, or the answer is no number.
    Error,
    /// The producer of the evidence has ended, or none is known, and nothing came.
    Missing,
    /// Evidence for another subject, or too old.
    Stale,
    /// The producer has not ended.
    Pending,
    /// Passes the limit, not the warning limit.
    Warn,
    /// Present, for the right subject, fresh, covered, true.
    Pass,
    /// The question does not arise.
    NotApplicable,
}

impl Verdict {
    /// The verdict in words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Missing => "missing",
            Self::Stale => "stale",
            Self::Pending => "pending",
            Self::Warn => "warn",
            Self::Pass => "pass",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// What one gate found, with everything needed to check it by hand.
/// Sentences are made from it by `report`, never stored in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which gate.
    pub gate: GateId,
    /// Its column in the strip (`A`ccuracy, `L`atency …).
    pub class: char,
    /// Whether the decision needs it.
    pub required: bool,
    /// What it says.
    pub verdict: Verdict,
    /// The rule as configured (`latency_p95 canary ≤ 250 ms`).
    pub rule: Clean,
    /// Why, in the fewest words that name the fact (`0.071 > 0.050`, `no data`).
    pub reason: Clean,
    /// The value it judged.
    pub observed: Option<f64>,
    /// The limit it was held against.
    pub limit: Option<f64>,
    /// Unit of both.
    pub unit: Clean,
    /// What it was compared with.
    pub baseline: Option<Baseline>,
    /// Distance to the limit, positive when inside, in `unit`.
    pub margin: Option<f64>,
    /// How many measurements or requests stand behind it.
    pub samples: Option<u64>,
    /// Share of the expected evidence that was there, 0 to 1.
    pub coverage: Option<f64>,
    /// Who gave the evidence.
    pub backend: Option<BackendId>,
    /// When the evidence was made.
    pub evidence_at: Option<Timestamp>,
    /// When we fetched it.
    pub fetched_at: Option<Timestamp>,
    /// SHA-256 over the canonical form of the evidence, `sha256:…`.
    pub digest: Option<Clean>,
    /// Where a person can see the evidence.
    pub url: Option<Clean>,
    /// When age alone would change the verdict.
    pub changes_at: Option<Timestamp>,
}

/// What a value was compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// Its name (`champion v41`, `stable`).
    pub name: Clean,
    /// Its value.
    pub value: f64,
}

/// The answer about one release in one environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// Every required gate passes.
    Go,
    /// Every required gate passes or warns.
    GoWithWarnings,
    /// Not decided yet; waiting helps.
    HoldWaiting,
    /// Evidence is missing, stale or broken; waiting alone does not help.
    HoldNotProven,
    /// Measured and bad, or nothing was asked.
    NoGo,
}

impl Word {
    /// The decision in the words people read.
    pub fn text(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::GoWithWarnings => "GO WITH WARNINGS",
            Self::HoldWaiting => "HOLD (waiting)",
            Self::HoldNotProven => "HOLD (not proven)",
            Self::NoGo => "NO-GO",
        }
    }

    /// Whether a throttle may go ahead on it.
    pub fn lets_go(self) -> bool {
        match self {
            Self::Go | Self::GoWithWarnings => true,
            Self::HoldWaiting | Self::HoldNotProven | Self::NoGo => false,
        }
    }
}

/// The decision for (release, environment, policy, time).
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// About which release.
    pub release: ReleaseId,
    /// In which environment.
    pub environment: EnvironmentName,
    /// By which policy.
    pub policy: PolicyName,
    /// That policy's digest, `sha256:…`.
    pub policy_digest: Clean,
    /// The answer.
    pub word: Word,
    /// What each gate found, worst first, then in policy order.
    pub findings: Vec<Finding>,
    /// SHA-256 over the canonical form of the findings: names this report.
    pub report_digest: Clean,
    /// What was measured to be bad before, and cannot be measured any more: what
    /// goes silent has not become good.
    pub last_bad: Option<LastBad>,
    /// When it was judged.
    pub at: Timestamp,
}

/// The last word of a gate that cannot be asked any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastBad {
    /// Which gate.
    pub gate: GateId,
    /// What it found.
    pub reason: Clean,
    /// When that was judged last.
    pub at: Timestamp,
}

impl Decision {
    /// Findings that stand in the way or need a look, worst first.
    pub fn reasons(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.verdict < Verdict::Pass)
    }

    /// Whether what it is about was measured and is bad; a NO-GO because nothing
    /// is asked is none.
    pub fn refutes(&self) -> bool {
        self.refuting().is_some()
    }

    /// The worst of what was measured and is bad.
    fn refuting(&self) -> Option<&Finding> {
        let failed = |finding: &&Finding| finding.required && finding.verdict == Verdict::Fail;
        let mut findings = self.findings.iter();
        findings.find(failed).filter(|_| self.word == Word::NoGo)
    }

    /// Whether it refutes, or did before nobody could tell any more.
    pub fn hurts(&self) -> bool {
        self.refutes() || self.last_bad.is_some()
    }

    /// What stands against it that was measured, now or last.
    pub fn bad(&self) -> Option<LastBad> {
        let now = self.refuting().map(|finding| LastBad {
            gate: finding.gate.clone(),
            reason: finding.reason.clone(),
            at: self.at,
        });
        now.or_else(|| self.last_bad.clone())
    }

    /// Counts of required findings with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count()
    }
}
