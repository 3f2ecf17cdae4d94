//! Filters with column terms: `env:prod stage:canary !state:live ranker`.
//!
//! All terms must hold. A term is `column:text`, or bare text that may be in any
//! column; `!` in front turns it round. A column that does not exist is an error
//! shown beside the filter; it hides nothing.

/// A parsed filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Term {
    column: Option<&'static str>,
    needle: String,
    wanted: bool,
}

impl Filter {
    /// Reads a filter for a table with these columns.
    ///
    /// # Errors
    ///
    /// Every term that names no column, in words; the rest of the filter is in
    /// the other half.
    pub fn parse(text: &str, columns: &[&'static str]) -> (Self, Option<String>) {
        let mut terms = Vec::new();
        let mut trouble: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let (wanted, word) = match word.strip_prefix('!') {
                Some(rest) => (false, rest),
                None => (true, word),
            };
            let (column, needle) = match word.split_once(':') {
                Some((name, needle)) => match column_named(name, columns) {
                    Ok(column) => (Some(column), needle),
                    Err(why) => {
                        trouble.push(why);
                        continue;
                    }
                },
                None => (None, word),
            };
            if !needle.is_empty() {
                terms.push(Term {
                    column,
                    needle: needle.to_lowercase(),
                    wanted,
                });
            }
        }
        let trouble = (!trouble.is_empty()).then(|| trouble.join("; "));
        (Self { terms }, trouble)
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a row passes, given its cells by column.
    pub fn passes<'a>(
        &self,
        cells: impl Fn(&str) -> Option<std::borrow::Cow<'a, str>>,
        columns: &[&'static str],
    ) -> bool {
        self.terms.iter().all(|term| {
            let holds =
                |column: &str| cells(column).is_some_and(|cell| contains(&cell, &term.needle));
            let found = match term.column {
                Some(column) => holds(column),
                None => columns.iter().any(|column| holds(column)),
            };
            found == term.wanted
        })
    }
}

/// The column a word names: exactly, or by a unique beginning.
fn column_named(name: &str, columns: &[&'static str]) -> Result<&'static str, String> {
    if let Some(exact) = columns.iter().find(|column| **column == name) {
        return Ok(exact);
    }
    let begin: Vec<&'static str> = columns
        .iter()
        .copied()
        .filter(|column| !name.is_empty() && column.starts_with(name))
        .collect();
    match begin.as_slice() {
        [only] => Ok(only),
        [] => Err(format!("no column `{name}`")),
        several => Err(format!("`{name}:` could be {}", several.join(" or "))),
    }
}

/// Whether `cell` contains `needle`, which is in lower case already.
fn contains(cell: &str, needle: &str) -> bool {
    if cell.is_ascii() && needle.is_ascii() {
        let (cell, needle) = (cell.as_bytes(), needle.as_bytes());
        return cell
            .windows(needle.len())
            .any(|window| window.eq_ignore_ascii_case(needle));
    }
    cell.to_lowercase().contains(needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[&str] = &["service", "version", "env", "stage", "state"];

    #[track_caller]
    fn check(filter: &str, expected: bool) {
        let row = |column: &str| {
            Some(std::borrow::Cow::Borrowed(match column {
                "service" => "recsys-ranker",
                "env" => "prod-eu",
                "stage" => "canary 2/4",
                "state" => "held",
                _ => return None,
            }))
        };
        let (filter, trouble) = Filter::parse(filter, COLUMNS);
        assert_eq!(trouble, None);
        assert_eq!(filter.passes(row, COLUMNS), expected);
    }

    #[test]
    fn terms_are_joined_by_and() {
        check("env:prod stage:canary", true);
        check("env:prod stage:train", false);
        check("ranker env:EU", true);
        check("", true);
    }

    #[test]
    fn a_mark_in_front_turns_a_term_round() {
        check("!state:live", true);
        check("!state:held", false);
        check("!ranker", false);
    }

    #[test]
    fn a_column_may_be_shortened_while_it_is_clear() {
        check("ver:x", false);
        let (filter, trouble) = Filter::parse("st:held", COLUMNS);
        assert!(filter.is_empty());
        assert_eq!(trouble.unwrap(), "`st:` could be stage or state");
    }

    #[test]
    fn every_term_without_a_column_is_named_and_hides_nothing() {
        let (filter, trouble) = Filter::parse("foo:bar held !ba:z", COLUMNS);
        assert_eq!(trouble.unwrap(), "no column `foo`; no column `ba`");
        assert_eq!(filter, Filter::parse("held", COLUMNS).0);
    }
}
