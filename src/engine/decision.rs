//! From findings to GO, HOLD or NO-GO, with the reasons worst first.

use std::{collections::BTreeSet, sync::Arc};

use sha2::{Digest, Sha256};

use crate::{
    domain::{
        Timestamp,
        catalog::{PlaceSpec, ServiceSpec},
        policy::Policy,
        text::Clean,
        verdict::{Decision, Finding, LastBad, Verdict, Word},
    },
    engine::{
        gate,
        lane::{self, Lane},
        release::Release,
        world::{DecisionId, World},
    },
};

/// Judges what can be acted on in each lane of a service: the release it shows
/// and, where these are others, the one in its rollout and the one a way back
/// leads from. Nobody is to act on a decision that is not kept true, so decisions
/// about any other are dropped.
pub fn judge_service(world: &mut World, service: &ServiceSpec, now: Timestamp) {
    let Some(policy) = world.catalog.policy(service).cloned() else {
        return;
    };
    let mut made = Vec::new();
    for place in &service.places {
        let id = (service.name.clone(), place.environment.clone());
        let Some(shown) = world.lanes.get(&id) else {
            continue;
        };
        let beside = lane::beside(world, service, place, shown);
        for lane in [shown].into_iter().chain(&beside) {
            made.extend(judge(world, service, place, lane, &policy, now));
        }
    }
    let kept: BTreeSet<DecisionId> = made.iter().map(id_of).collect();
    let before = world.judged.insert(service.name.clone(), kept.clone());
    for id in before.unwrap_or_default().difference(&kept) {
        forget_due(world, id);
        world.decisions.remove(id);
    }
    for decision in made {
        keep(world, decision);
    }
}

fn id_of(decision: &Decision) -> DecisionId {
    (decision.release.clone(), decision.environment.clone())
}

fn keep(world: &mut World, decision: Decision) {
    let id = id_of(&decision);
    forget_due(world, &id);
    for at in due(&decision) {
        world.falls_due.insert((at, id.clone()), ());
    }
    world.decisions.insert(id, Arc::new(decision));
}

/// Takes a decision out of what falls due.
pub(super) fn forget_due(world: &mut World, id: &DecisionId) {
    let Some(decision) = world.decisions.get(id).cloned() else {
        return;
    };
    for at in due(&decision) {
        world.falls_due.remove(&(at, id.clone()));
    }
}

/// The instants at which age alone changes a finding.
fn due(decision: &Decision) -> impl Iterator<Item = Timestamp> {
    let findings = decision.findings.iter();
    findings.filter_map(|finding| finding.changes_at)
}

/// Judges what one lane shows; `None` when it shows no release.
fn judge(
    world: &World,
    service: &ServiceSpec,
    place: &PlaceSpec,
    lane: &Lane,
    policy: &Policy,
    now: Timestamp,
) -> Option<Decision> {
    let release = world.release(lane.release()?)?;
    let view = gate::View {
        world,
        service,
        place,
        lane,
        release,
        now,
    };
    let mut findings: Vec<Finding> = policy
        .gates
        .iter()
        .map(|rule| gate::judge(rule, &view))
        .collect();
    // Stable: within one verdict the policy's order stays.
    findings.sort_by_key(|finding| (!finding.required, finding.verdict));
    Some(Decision {
        release: release.id.clone(),
        environment: place.environment.clone(),
        policy: policy.name.clone(),
        policy_digest: policy.digest.clone(),
        word: roll_up(&findings),
        report_digest: digest(&findings),
        last_bad: last_bad(world, release, place, &findings),
        findings,
        at: now,
    })
}

/// What the decision before this one, or an earlier one it remembers, found bad
/// with a gate that cannot be asked now.
fn last_bad(
    world: &World,
    release: &Release,
    place: &PlaceSpec,
    findings: &[Finding],
) -> Option<LastBad> {
    if roll_up(findings) == Word::NoGo {
        return None;
    }
    let before = world.decision(&release.id, &place.environment)?.bad()?;
    let now = findings.iter().find(|now| now.gate == before.gate)?;
    let is_mute = matches!(now.verdict, Verdict::Error | Verdict::Stale);
    is_mute.then_some(before)
}

/// The roll-up: the worst required verdict decides; an optional gate counts as
/// a warning at worst; nothing asked is NO-GO, because nothing was proven.
pub fn roll_up(findings: &[Finding]) -> Word {
    let required = findings
        .iter()
        .filter(|finding| finding.required && finding.verdict != Verdict::NotApplicable);
    let Some(worst) = required.map(|finding| finding.verdict).min() else {
        return Word::NoGo;
    };
    let optional = findings
        .iter()
        .filter(|finding| !finding.required)
        .any(|finding| finding.verdict < Verdict::Pass);
    match worst {
        Verdict::Fail => Word::NoGo,
        Verdict::Error | Verdict::Missing | Verdict::Stale => Word::HoldNotProven,
        Verdict::Pending => Word::HoldWaiting,
        Verdict::Warn => Word::GoWithWarnings,
        Verdict::Pass | Verdict::NotApplicable if optional => Word::GoWithWarnings,
        Verdict::Pass | Verdict::NotApplicable => Word::Go,
    }
}

/// Names a report by what it says. Fetch times are left out: the same facts
/// looked at twice are the same report.
fn digest(findings: &[Finding]) -> Clean {
    let mut hash = Sha256::new();
    for finding in findings {
        for part in [
            finding.gate.as_str(),
            finding.verdict.word(),
            &finding.rule,
            &finding.reason,
            finding.digest.as_deref().unwrap_or(""),
        ] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
    }
    sha256_text(hash)
}

/// `sha256:` and the digest in hexadecimal.
pub fn sha256_text(hash: Sha256) -> Clean {
    let hex: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Clean::from(format!("sha256:{hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::GateId;

    fn finding(verdict: Verdict, required: bool) -> Finding {
        Finding {
            gate: GateId::new("g"),
            class: 'A',
            required,
            verdict,
            rule: "".into(),
            reason: "".into(),
            observed: None,
            limit: None,
            unit: "".into(),
            baseline: None,
            margin: None,
            samples: None,
            coverage: None,
            backend: None,
            evidence_at: None,
            fetched_at: None,
            digest: None,
            url: None,
            changes_at: None,
        }
    }

    /// The table of the roll-up as it is agreed: each verdict of a required gate
    /// beside a passing one.
    #[test]
    fn each_verdict_of_a_required_gate_makes_its_decision() {
        for (verdict, word) in [
            (Verdict::Fail, Word::NoGo),
            (Verdict::Error, Word::HoldNotProven),
            (Verdict::Missing, Word::HoldNotProven),
            (Verdict::Stale, Word::HoldNotProven),
            (Verdict::Pending, Word::HoldWaiting),
            (Verdict::Warn, Word::GoWithWarnings),
            (Verdict::Pass, Word::Go),
            (Verdict::NotApplicable, Word::Go),
        ] {
            let findings = [finding(verdict, true), finding(Verdict::Pass, true)];
            assert_eq!(roll_up(&findings), word, "{verdict:?}");
        }
    }

    #[test]
    fn fail_beats_not_proven_beats_waiting_beats_warning() {
        let ladder = [
            Verdict::Fail,
            Verdict::Missing,
            Verdict::Pending,
            Verdict::Warn,
            Verdict::Pass,
        ];
        let words = [
            Word::NoGo,
            Word::HoldNotProven,
            Word::HoldWaiting,
            Word::GoWithWarnings,
            Word::Go,
        ];
        for (at, word) in words.iter().enumerate() {
            let findings: Vec<Finding> = ladder[at..]
                .iter()
                .map(|verdict| finding(*verdict, true))
                .collect();
            assert_eq!(roll_up(&findings), *word);
        }
    }

    #[test]
    fn nothing_asked_is_no_go() {
        assert_eq!(roll_up(&[]), Word::NoGo);
        assert_eq!(
            roll_up(&[
                finding(Verdict::NotApplicable, true),
                finding(Verdict::Pass, false)
            ]),
            Word::NoGo
        );
    }

    #[test]
    fn an_optional_gate_is_a_warning_at_worst() {
        for verdict in [
            Verdict::Fail,
            Verdict::Error,
            Verdict::Missing,
            Verdict::Stale,
            Verdict::Pending,
            Verdict::Warn,
        ] {
            assert_eq!(
                roll_up(&[finding(Verdict::Pass, true), finding(verdict, false)]),
                Word::GoWithWarnings
            );
        }
    }
}
