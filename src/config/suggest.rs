//! The name somebody probably meant.

/// The known name nearest to what was written, if one is near enough to be
/// what was meant.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Of a letter or two any other is near, and none is meant.
    let limit = written.chars().count() / 3;
    known
        .into_iter()
        .map(|name| (distance(written, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// The fewest insertions, deletions, replacements and swaps of neighbours that
/// turn one into the other (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut previous = None;
    for (row, letter) in one.chars().enumerate() {
        let mut next = vec![row + 1];
        for (column, across) in other.iter().enumerate() {
            let at = |line: &Vec<usize>, index: usize| {
                line.get(index).copied().unwrap_or(usize::MAX / 2)
            };
            let replaced = at(&last, column) + usize::from(letter != *across);
            let mut best = replaced
                .min(at(&last, column + 1) + 1)
                .min(at(&next, column) + 1);
            let swapped =
                column > 0 && previous == Some(*across) && other.get(column - 1) == Some(&letter);
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_textbook() {
        for (one, other, expected) in [
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("timeuot", "timeout", 1),
            ("poll", "poll", 0),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn only_a_near_name_is_offered() {
        let known = ["timeout", "token", "url"];
        assert_eq!(nearest("timeuot", known), Some("timeout"));
        assert_eq!(nearest("tokens", known), Some("token"));
        assert_eq!(nearest("colour", known), None);
    }
}
