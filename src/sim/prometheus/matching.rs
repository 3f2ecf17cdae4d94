//! Label matchers and the patterns in them.

use crate::sim::prometheus::ast::{MatchKind, Matcher};

/// Whether a label's value meets a matcher; an absent label is the empty text.
pub(crate) fn matches(matcher: &Matcher, value: Option<&str>) -> bool {
    let value = value.unwrap_or_default();
    match matcher.kind {
        MatchKind::Equal => value == matcher.value,
        MatchKind::Differs => value != matcher.value,
        MatchKind::Like => pattern(&matcher.value, value),
        MatchKind::Unlike => !pattern(&matcher.value, value),
    }
}

/// Anchored patterns with `|`, `.`, `.*`, `.+`, `?` and `[…]`: what label matchers use.
fn pattern(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    alternatives(pattern)
        .iter()
        .any(|branch| here(&branch.chars().collect::<Vec<_>>(), &text))
}

/// Splits at `|` outside parentheses, and opens a group that is the whole pattern.
fn alternatives(pattern: &str) -> Vec<String> {
    let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
    let mut branches = vec![String::new()];
    let mut depth = 0_u32;
    for character in pattern.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => (),
        }
        if character == '|' && depth == 0 {
            branches.push(String::new());
        } else if let Some(branch) = branches.last_mut() {
            branch.push(character);
        }
    }
    branches
        .into_iter()
        .flat_map(|branch| match (branch.find('('), branch.find(')')) {
            (Some(open), Some(close)) if open < close => {
                let part = |range: std::ops::Range<usize>| branch.get(range).unwrap_or_default();
                let (head, tail) = (part(0..open), part(close + 1..branch.len()));
                let inner = part(open + 1..close).trim_start_matches("?:");
                inner
                    .split('|')
                    .map(|choice| format!("{head}{choice}{tail}"))
                    .collect()
            }
            _ => vec![branch],
        })
        .collect()
}

fn here(pattern: &[char], text: &[char]) -> bool {
    let Some((first, mut rest)) = pattern.split_first() else {
        return text.is_empty();
    };
    let mut set: Vec<char> = Vec::new();
    let mut any = false;
    match first {
        '.' => any = true,
        '\\' => {
            if let Some((escaped, behind)) = rest.split_first() {
                set.extend(if *escaped == 'd' {
                    "0123456789".chars().collect()
                } else {
                    vec![*escaped]
                });
                rest = behind;
            }
        }
        '[' => {
            let close = rest.iter().position(|c| *c == ']').unwrap_or(rest.len());
            set = ranges(rest.get(..close).unwrap_or_default());
            rest = rest.get(close + 1..).unwrap_or_default();
        }
        plain => set.push(*plain),
    }
    let fits = |c: &char| any || set.contains(c);
    let (least, most) = match rest.first() {
        Some('*') => (0, usize::MAX),
        Some('+') => (1, usize::MAX),
        Some('?') => (0, 1),
        _ => (1, 1),
    };
    let behind = if (least, most) == (1, 1) {
        rest
    } else {
        rest.get(1..).unwrap_or_default()
    };
    let run = text.iter().take_while(|c| fits(c)).count().min(most);
    (least..=run)
        .rev()
        .any(|taken| here(behind, text.get(taken..).unwrap_or_default()))
}

fn ranges(inside: &[char]) -> Vec<char> {
    let mut set = Vec::new();
    let mut place = 0;
    while let Some(first) = inside.get(place) {
        match (inside.get(place + 1), inside.get(place + 2)) {
            (Some('-'), Some(last)) => {
                set.extend(*first..=*last);
                place += 3;
            }
            _ => {
                set.push(*first);
                place += 1;
            }
        }
    }
    set
}
