//! Placeholders in queries: one query in the file, one per place in the catalog.

use std::{ops::Range, time::Duration};

use crate::{
    config::problem::Collector,
    domain::{catalog::PlaceSpec, id::ServiceName, text::Clean},
};

/// What may stand between braces.
const KNOWN: [&str; 4] = ["environment", "namespace", "rollout", "service"];

/// Notes placeholders that mean nothing. Braces hold a bare word nowhere in
/// `PromQL`, so such a word is meant as a placeholder.
pub(super) fn check(query: &str, span: &Range<usize>, problems: &mut Collector<'_>) {
    for word in bare_words(query) {
        if !KNOWN.contains(&word) {
            problems.unknown(span, "placeholder", word, KNOWN);
        }
    }
}

/// The query for one place.
pub(super) fn fill(query: &str, service: &ServiceName, place: &PlaceSpec) -> Clean {
    let mut filled = query.to_owned();
    for (word, value) in [
        ("{environment}", place.environment.as_str()),
        ("{namespace}", &*place.target.namespace),
        ("{rollout}", &*place.target.name),
        ("{service}", service.as_str()),
    ] {
        filled = filled.replace(word, value);
    }
    Clean::block(&filled)
}

/// How far a query looks back: its widest range, and its widest subquery on top.
pub(super) fn look_back(query: &str) -> Duration {
    let (mut plain, mut sub) = (Duration::ZERO, Duration::ZERO);
    for range in ranges(query) {
        let (written, widest) = match range.split_once(':') {
            Some((range, _step)) => (range, &mut sub),
            None => (range.as_str(), &mut plain),
        };
        *widest = (*widest).max(duration(written.trim()).unwrap_or_default());
    }
    plain + sub
}

/// What stands between brackets, outside of texts and comments.
fn ranges(query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    let mut rest = query.chars();
    while let Some(character) = rest.next() {
        match (character, &mut open) {
            ('"' | '\'' | '`', _) => {
                let mut escaped = false;
                for inner in rest.by_ref() {
                    if inner == character && !escaped {
                        break;
                    }
                    escaped = inner == '\\' && !escaped && character != '`';
                }
            }
            ('#', _) => {
                rest.by_ref().find(|inner| *inner == '\n');
            }
            ('[', _) => open = Some(String::new()),
            (']', _) => found.extend(open.take()),
            (other, Some(text)) => text.push(other),
            (_, None) => {}
        }
    }
    found
}

/// A duration as `PromQL` writes it: `1h30m`, or seconds as a bare number.
fn duration(written: &str) -> Option<Duration> {
    if let Ok(seconds) = written.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut whole = Duration::ZERO;
    let mut rest = written;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let unit = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit)?;
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        whole += Duration::from_millis(number.checked_mul(millis)?);
        rest = tail;
    }
    Some(whole)
}

fn bare_words(query: &str) -> impl Iterator<Item = &str> {
    query.split('{').skip(1).filter_map(|rest| {
        let (word, _) = rest.split_once('}')?;
        let bare = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        bare.then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{BackendId, EnvironmentName, TargetId, TargetKind};

    #[test]
    fn placeholders_are_filled_and_label_selectors_stay() {
        let place = PlaceSpec {
            environment: EnvironmentName::new("prod-eu"),
            target: TargetId {
                backend: BackendId::new("prod"),
                kind: TargetKind::Rollout,
                namespace: "recsys".into(),
                name: "ranker".into(),
            },
            container: None,
        };
        let query =
            r#"sum(rate(x{app="{rollout}",ns="{namespace}",env="{environment}"}[1m])) # {service}"#;
        assert_eq!(
            fill(query, &ServiceName::new("recsys"), &place).as_str(),
            r#"sum(rate(x{app="ranker",ns="recsys",env="prod-eu"}[1m])) # recsys"#
        );
    }

    #[test]
    fn how_far_a_query_looks_back_is_read_from_its_ranges() {
        let seconds = |query: &str| look_back(query).as_secs_f64();
        for (query, expected) in [
            ("up", 0.0),
            ("rate(x[1m])", 60.0),
            ("sum(rate(x[90s])) / sum(rate(y[5m]))", 300.0),
            ("rate(x[1h30m])", 5400.0),
            ("rate(x[ 6000ms ])", 6.0),
            ("rate(x[300])", 300.0),
            ("max_over_time(rate(x[1m])[5m:30s])", 360.0),
            (r#"rate(x{path=~"/[0-9]{2}[5h]"}[2m])"#, 120.0),
            (r#"rate(x{path="\"[1d]"}[2m])"#, 120.0),
            ("rate(x[1m]) # not [1d]", 60.0),
        ] {
            assert!((seconds(query) - expected).abs() < 1e-9, "{query}");
        }
    }

    #[test]
    fn only_bare_words_are_placeholders() {
        let found: Vec<&str> = bare_words(r#"a{b="c"} by {hash} {} {x=~"{rollout}"}"#).collect();
        assert_eq!(found, ["hash", "rollout"]);
    }
}
