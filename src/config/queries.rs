//! Placeholders in queries: one query in the file, one per place in the catalog.

use std::ops::Range;

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
    fn only_bare_words_are_placeholders() {
        let found: Vec<&str> = bare_words(r#"a{b="c"} by {hash} {} {x=~"{rollout}"}"#).collect();
        assert_eq!(found, ["hash", "rollout"]);
    }
}
