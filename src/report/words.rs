//! Short sentences about things, the same on every surface.

use std::time::Duration;

use crate::{
    domain::{
        Timestamp,
        id::ReleaseId,
        rollout::{Cutover, short_duration},
        verdict::{Decision, Finding, Verdict},
    },
    engine::{
        lane::{Lane, Place, WaitsFor},
        release::Release,
        world::{BackendState, Liveness, World},
    },
};

/// How long ago something was; nothing that lies ahead counts.
pub fn since(at: Timestamp, now: Timestamp) -> Duration {
    (now - at).to_std().unwrap_or_default()
}

/// `2m10 ago`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", short_duration(since(at, now)))
}

/// `2026-03-10 12:00:00Z`.
pub fn instant(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A number with at most four digits after the point, without idle zeros.
pub fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The same with its unit, if it has one.
pub fn amount(value: f64, unit: &str) -> String {
    let number = number(value);
    if unit.is_empty() {
        number
    } else {
        format!("{number} {unit}")
    }
}

/// What people call the release a lane shows; a dash when it shows none.
pub fn label<'a>(world: &'a World, lane: &Lane) -> &'a str {
    lane.release()
        .and_then(|id| world.release(id))
        .map_or("–", |release| release.label.as_str())
}

/// Where the release a lane shows stands, and which other one that concerns.
pub fn standing(world: &World, lane: &Lane) -> String {
    let standing = place(&lane.place);
    let other = |id: Option<&ReleaseId>| Some(world.release(id?)?.label.clone());
    let said = match &lane.place {
        Place::Aborted => other(lane.live.as_ref()).map(|live| format!("{live} live")),
        Place::Live => match &lane.back_aborted {
            Some(to) => Some(format!("the roll back to {to} was aborted")),
            None => other(lane.rolled_back.as_ref()).map(|back| format!("{back} rolled back")),
        },
        Place::Aborting { weight, .. } => Some(format!("{weight} still on {}", label(world, lane))),
        _ => None,
    };
    said.map_or_else(|| standing.clone(), |said| format!("{standing}, {said}"))
}

/// Where a release stands, with the fact that matters there.
fn place(place: &Place) -> String {
    match place {
        Place::Canary {
            weight,
            wanted,
            held,
            cutover,
            ..
        } => {
            let held = if *held { ", held" } else { "" };
            match cutover {
                Some(Cutover::Preview) => return format!("preview, nobody on it yet{held}"),
                Some(Cutover::Switched) => return format!("switched, not stable yet{held}"),
                None => {}
            }
            let wanted = if weight == wanted {
                String::new()
            } else {
                format!(", wanted {wanted}")
            };
            format!("{} at {weight}{wanted}{held}", place.word())
        }
        Place::RollingBack { to, done, held } => {
            let held = if *held { ", held" } else { "" };
            format!("{} to {to}, {done}{held}", place.word())
        }
        Place::Aborting { held: true, .. } => format!("{}, held", place.word()),
        Place::Approval { environment } => format!("approve {environment}"),
        Place::Unknown { why } => format!("unknown: {why}"),
        Place::Rejected { by, .. } => format!("rejected by {by}"),
        Place::Pipeline { .. }
        | Place::RunFailed
        | Place::Built
        | Place::Live
        | Place::Aborting { held: false, .. }
        | Place::Aborted
        | Place::Degraded => place.word(),
    }
}

/// Who or what is waited for; `None` when nothing is.
pub fn waits_for(waits: &WaitsFor, now: Timestamp) -> Option<String> {
    match waits {
        WaitsFor::Person {
            what,
            you: Some(false),
        } => Some(format!("someone else: {what}")),
        WaitsFor::Person {
            what,
            you: Some(true),
        } => Some(format!("you: {what}")),
        WaitsFor::Person { what, you: None } => Some(format!("a person: {what}")),
        WaitsFor::Machine { what } => Some(match what.as_str() {
            "rollout" | "roll back" | "abort" => format!("the {what}"),
            // Its run waits or moves for another reason than a step of its own.
            "waiting" | "running" | "failing" => "its run".to_owned(),
            "queued" => "a runner".to_owned(),
            stage => format!("its run: {stage}"),
        }),
        WaitsFor::Timer { until } => {
            let left = (*until - now).to_std().unwrap_or_default();
            Some(format!("a timer, {} left", short_duration(left)))
        }
        WaitsFor::Nothing => None,
    }
}

/// One finding in one line: `latency fail: 410 > 250 ms`.
pub fn finding(finding: &Finding) -> String {
    let optional = if finding.required { "" } else { " (optional)" };
    format!(
        "{} {}{optional}: {}",
        finding.gate,
        finding.verdict.word(),
        if finding.reason.is_empty() {
            &finding.rule
        } else {
            &finding.reason
        }
    )
}

/// The decision in one line with its reasons, worst first.
pub fn decision(decision: &Decision) -> String {
    let reasons: Vec<String> = decision.reasons().map(finding).collect();
    if !reasons.is_empty() {
        return format!("{}: {}", decision.word.text(), reasons.join("; "));
    }
    let asked = decision
        .findings
        .iter()
        .any(|finding| finding.required && finding.verdict != Verdict::NotApplicable);
    if asked {
        decision.word.text().to_owned()
    } else {
        format!(
            "{}: nothing was asked, so nothing was proven",
            decision.word.text()
        )
    }
}

/// How a backend is doing, in one line.
pub fn backend(liveness: Liveness, state: Option<&BackendState>, now: Timestamp) -> String {
    let mut text = liveness.word().to_owned();
    let Some(state) = state else {
        return text;
    };
    if let Some(trouble) = &state.trouble {
        text.push_str(&format!(
            ": {} since {}: {}",
            trouble.kind,
            trouble.since.format("%H:%M:%SZ"),
            trouble.message
        ));
        if let Some(retry_at) = trouble.retry_at.filter(|retry_at| now < *retry_at) {
            let wait = (retry_at - now).num_seconds();
            let wait = short_duration(Duration::from_secs(wait.unsigned_abs().max(1)));
            text.push_str(&format!("; asked again in {wait}"));
        }
    } else if let Some(answered_at) = state.answered_at {
        text.push_str(&format!(", answered {}", ago(answered_at, now)));
    }
    text
}

/// What a release is made of, as far as is known: `code 9f3c2ab, model v42, image …`.
pub fn parts(release: &Release) -> String {
    let mut parts = Vec::new();
    if let Some(commit) = release.commit.value() {
        parts.push(format!("code {commit}"));
    }
    if let Some(version) = release.version.value() {
        parts.push(format!("model {version}"));
    }
    if let Some(image) = release.image.value() {
        parts.push(format!("image {image}"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        for (value, text) in [
            (204.642_857_142, "204.6429"),
            (0.95, "0.95"),
            (250.0, "250"),
            (0.0, "0"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(amount(204.5, "ms"), "204.5 ms");
        assert_eq!(amount(0.95, ""), "0.95");
    }
}
