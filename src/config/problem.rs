//! What is wrong with a configuration, and where.
//!
//! The parser's own messages repeat what was written. Here only names of keys
//! are repeated: a value may be a credential that ended up in the wrong place.

use std::{fmt, ops::Range, path::Path};

use crate::{
    config::{explain::without_user, suggest::nearest},
    domain::text::Clean,
};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its line, from 1; `None` when it is about the file as a whole.
    pub line: Option<usize>,
    /// Its column, from 1, counted in characters.
    pub column: usize,
    /// What is wrong.
    pub message: Clean,
    /// What was expected, or what to do.
    pub hint: Option<Clean>,
}

/// Everything that is wrong with one file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The file.
    pub file: Clean,
    /// What is wrong; never empty.
    pub list: Vec<Problem>,
}

impl Problems {
    /// One problem with the file as a whole.
    pub fn whole(file: &Path, message: impl Into<Clean>, hint: Option<Clean>) -> Self {
        Self {
            file: Clean::line(&file.to_string_lossy()),
            list: vec![Problem {
                line: None,
                column: 0,
                message: message.into(),
                hint,
            }],
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file)?;
            if let Some(line) = problem.line {
                write!(f, ":{line}:{}", problem.column)?;
            }
            write!(f, ": {}", problem.message)?;
            if let Some(hint) = &problem.hint {
                write!(f, "\n  {hint}")?;
            }
        }
        Ok(())
    }
}

/// Collects problems while a text is read.
pub(super) struct Collector<'t> {
    text: &'t str,
    list: Vec<(usize, Problem)>,
}

impl<'t> Collector<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            list: Vec::new(),
        }
    }

    /// Notes what is wrong at `span`.
    pub(super) fn at(&mut self, span: &Range<usize>, message: impl Into<Clean>) {
        self.push(span.start, message.into(), None);
    }

    /// Notes what is wrong at `span`, with a hint.
    pub(super) fn at_with(
        &mut self,
        span: &Range<usize>,
        message: impl Into<Clean>,
        hint: impl Into<Clean>,
    ) {
        self.push(span.start, message.into(), Some(hint.into()));
    }

    /// Notes that `written` at `span` names no `what`, with the nearest that exists.
    pub(super) fn unknown<'a>(
        &mut self,
        span: &Range<usize>,
        what: &str,
        written: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let message = Clean::from(format!(
            "unknown {what} `{}`{}",
            Clean::name(written),
            meant(written, &known)
        ));
        let hint = if known.is_empty() {
            format!("there is no {what} yet")
        } else {
            format!("expected {}", one_of(&known))
        };
        self.push(span.start, message, Some(Clean::from(hint)));
    }

    /// Notes an error of the parser or of a section's own reader; `section` is
    /// where it stands when it does not say.
    pub(super) fn toml(&mut self, error: &toml::de::Error, section: &Range<usize>) {
        let start = error.span().map_or(section.start, |span| span.start);
        let (message, hint) = reword(error.message());
        self.push(start, message, hint);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The line of an offset, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        position(self.text, offset).0
    }

    fn push(&mut self, offset: usize, message: Clean, hint: Option<Clean>) {
        let (line, column) = position(self.text, offset);
        let problem = Problem {
            line: Some(line),
            column,
            message,
            hint,
        };
        if !self.list.iter().any(|(_, known)| *known == problem) {
            self.list.push((offset, problem));
        }
    }

    /// What was noted, in the order of the text.
    pub(super) fn into_problems(mut self, file: &Path) -> Problems {
        self.list.sort_by_key(|(offset, _)| *offset);
        Problems {
            file: Clean::line(&file.to_string_lossy()),
            list: self.list.into_iter().map(|(_, problem)| problem).collect(),
        }
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

fn meant(written: &str, known: &[&str]) -> String {
    nearest(written, known.iter().copied())
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

fn one_of(known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [only] => only.clone(),
        all => format!("one of {}", all.join(", ")),
    }
}

/// A parser's message in our words, without the values it repeats.
fn reword(message: &str) -> (Clean, Option<Clean>) {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    for (start, what) in [("unknown field", "key"), ("unknown variant", "value")] {
        let Some((written, known)) = quoted.split_first() else {
            continue;
        };
        if !message.starts_with(start) {
            continue;
        }
        let hint = if known.is_empty() {
            "expected no key here".to_owned()
        } else {
            format!("expected {}", one_of(known))
        };
        let message = format!("unknown {what} `{written}`{}", meant(written, known));
        return (Clean::from(message), Some(Clean::from(hint)));
    }
    if let (true, Some(field)) = (message.starts_with("missing field"), quoted.first()) {
        return (Clean::from(format!("key `{field}` is missing")), None);
    }
    for start in ["invalid type: ", "invalid value: "] {
        let expected = message
            .strip_prefix(start)
            .and_then(|rest| rest.rsplit_once(", expected "));
        if let Some((found, expected)) = expected {
            // "string "hunter2"" → "string": the kind is enough.
            let kind = found.split(['"', '`']).next().unwrap_or_default().trim();
            let found = if start == "invalid type: " && !kind.is_empty() {
                format!("expected {expected}, found {kind}")
            } else {
                format!("expected {expected}")
            };
            return (Clean::from(found), None);
        }
    }
    (Clean::line(&without_user(message)), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: &str, hint: Option<&str>) {
        let (reworded, hinted) = reword(message);
        assert_eq!(reworded.as_str(), expected);
        assert_eq!(hinted.as_deref(), hint);
    }

    #[test]
    fn values_are_not_repeated() {
        check(
            "invalid type: string \"ghp_secret\", expected u64",
            "expected u64, found string",
            None,
        );
        check(
            "invalid value: string \"s3cr3t, expected\", expected a time such as \"5s\" or \"1m 30s\"",
            "expected a time such as \"5s\" or \"1m 30s\"",
            None,
        );
    }

    #[test]
    fn an_unknown_key_comes_with_the_nearest_one() {
        check(
            "unknown field `timeuot`, expected one of `url`, `timeout`",
            "unknown key `timeuot`; did you mean `timeout`?",
            Some("expected one of `url`, `timeout`"),
        );
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(position("ä = 1\nüb = 2", "ä = 1\nüb".len()), (2, 3));
    }
}
