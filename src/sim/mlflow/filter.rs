//! MLflow's search language: `key op value` joined by `AND`.

use std::{cmp::Ordering, collections::BTreeMap};

/// Tag by which MLflow tells prompts from models; its clients ask for it unasked.
const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Clause {
    /// `metrics`, `tags`, `params`, `attributes`, `dataset`, or empty.
    pub(crate) family: String,
    pub(crate) key: String,
    pub(crate) op: Op,
    pub(crate) value: Operand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Equal,
    Differs,
    Above,
    AtLeast,
    Below,
    AtMost,
    Like,
    ILike,
    In,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Text(String),
    Number(f64),
    List(Vec<String>),
}

/// Reads a filter.
///
/// # Errors
/// The sentence MLflow answers, for a comparison it does not know or a clause
/// that is none.
pub(crate) fn parse(filter: &str) -> Result<Vec<Clause>, String> {
    let tokens = tokens(filter)?;
    let mut clauses = Vec::new();
    for clause in
        tokens.split(|token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("and")))
    {
        if clause.is_empty() && tokens.is_empty() {
            continue;
        }
        clauses.push(parse_clause(clause)?);
    }
    Ok(clauses)
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// Identifier, keyword or number.
    Word(String),
    /// Quoted with `'` or `"`.
    Quoted(String),
    Sign(String),
    Open,
    Close,
    Comma,
}

fn tokens(filter: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = filter.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            blank if blank.is_whitespace() => (),
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            ',' => tokens.push(Token::Comma),
            '\'' | '"' => {
                let mut text = String::new();
                loop {
                    match rest.next() {
                        Some(end) if end == first => break,
                        Some(other) => text.push(other),
                        None => return Err("Invalid filter string: unclosed quote".to_owned()),
                    }
                }
                tokens.push(Token::Quoted(text));
            }
            '<' | '>' | '=' | '!' => {
                let mut sign = String::from(first);
                while let Some(next) = rest.next_if(|next| "<>=!".contains(*next)) {
                    sign.push(next);
                }
                tokens.push(Token::Sign(sign));
            }
            other => {
                let mut word = String::from(other);
                let mut quoted = other == '`';
                while let Some(next) = rest.next_if(|next| {
                    quoted || !(next.is_whitespace() || "<>=!(),'\"".contains(*next))
                }) {
                    if next == '`' {
                        quoted = !quoted;
                    }
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

fn parse_clause(tokens: &[Token]) -> Result<Clause, String> {
    let shown = || {
        let words: Vec<String> = tokens
            .iter()
            .map(|token| match token {
                Token::Word(word) | Token::Sign(word) => word.clone(),
                Token::Quoted(text) => format!("'{text}'"),
                Token::Open => "(".to_owned(),
                Token::Close => ")".to_owned(),
                Token::Comma => ",".to_owned(),
            })
            .collect();
        format!("Invalid clause(s) in filter string: {}", words.join(", "))
    };
    let [Token::Word(name), sign, value @ ..] = tokens else {
        return Err(shown());
    };
    let op = match sign {
        Token::Sign(sign) => compared(sign)?,
        Token::Word(word) if word.eq_ignore_ascii_case("like") => Op::Like,
        Token::Word(word) if word.eq_ignore_ascii_case("ilike") => Op::ILike,
        Token::Word(word) if word.eq_ignore_ascii_case("in") => Op::In,
        _ => return Err(shown()),
    };
    let value = match (op, value) {
        (Op::In, [Token::Open, items @ .., Token::Close]) => {
            let texts = items.iter().filter_map(|token| match token {
                Token::Quoted(text) => Some(text.clone()),
                _ => None,
            });
            Operand::List(texts.collect())
        }
        (_, [Token::Quoted(text)]) => Operand::Text(text.clone()),
        (_, [Token::Word(word)]) => Operand::Number(word.parse().map_err(|_| shown())?),
        _ => return Err(shown()),
    };
    let (family, key) = split_name(name);
    Ok(Clause {
        family,
        key,
        op,
        value,
    })
}

fn compared(sign: &str) -> Result<Op, String> {
    match sign {
        "=" => Ok(Op::Equal),
        "!=" => Ok(Op::Differs),
        ">" => Ok(Op::Above),
        ">=" => Ok(Op::AtLeast),
        "<" => Ok(Op::Below),
        "<=" => Ok(Op::AtMost),
        other => Err(format!(
            "Invalid comparator '{other}' not one of '{{'>', '<', '>=', '<=', '!=', '='}}"
        )),
    }
}

/// Family and key of a name, whose key may stand in backquotes; a name without a
/// dot has no family.
fn split_name(name: &str) -> (String, String) {
    let (family, key) = name.split_once('.').unwrap_or(("", name));
    let family = match family {
        "metric" => "metrics",
        "param" | "parameters" => "params",
        "tag" => "tags",
        "attribute" | "attr" | "run" => "attributes",
        "datasets" => "dataset",
        other => other,
    };
    (family.to_owned(), key.trim_matches('`').to_owned())
}

impl Clause {
    /// Whether a text meets the condition.
    pub(crate) fn holds_text(&self, found: Option<&str>) -> bool {
        let Some(found) = found else { return false };
        match (&self.value, self.op) {
            (Operand::List(texts), _) => texts.iter().any(|text| text == found),
            (Operand::Text(text), Op::Like) => like(found, text),
            (Operand::Text(text), Op::ILike) => like(&found.to_lowercase(), &text.to_lowercase()),
            (Operand::Text(text), op) => ordered(found.cmp(text), op),
            (Operand::Number(number), _) => found
                .parse::<f64>()
                .is_ok_and(|found| self.compare(found, *number)),
        }
    }

    /// Whether the tags of a registered model or version meet the condition.
    ///
    /// Nothing here is a prompt. A real server takes questions about that apart
    /// from other tags, because models lack the tag altogether.
    pub(crate) fn holds_tag(&self, tags: &BTreeMap<String, String>) -> bool {
        if self.key == PROMPT_TAG {
            let says = |wanted: &str| matches!(&self.value, Operand::Text(text) if text == wanted);
            let asks_for_prompts =
                (self.op == Op::Equal && says("true")) || (self.op == Op::Differs && says("false"));
            return !asks_for_prompts;
        }
        self.holds_text(tags.get(&self.key).map(String::as_str))
    }

    /// Whether a number meets the condition.
    pub(crate) fn holds_number(&self, found: Option<f64>) -> bool {
        let Some(found) = found else { return false };
        match &self.value {
            Operand::Number(number) => self.compare(found, *number),
            Operand::Text(text) => text
                .parse()
                .is_ok_and(|number: f64| self.compare(found, number)),
            Operand::List(_) => false,
        }
    }

    fn compare(&self, found: f64, wanted: f64) -> bool {
        found
            .partial_cmp(&wanted)
            .is_some_and(|order| ordered(order, self.op))
    }
}

fn ordered(order: Ordering, op: Op) -> bool {
    match op {
        Op::Equal => order.is_eq(),
        Op::Differs => order.is_ne(),
        Op::Above => order.is_gt(),
        Op::AtLeast => order.is_ge(),
        Op::Below => order.is_lt(),
        Op::AtMost => order.is_le(),
        Op::Like | Op::ILike | Op::In => false,
    }
}

/// SQL's LIKE: `%` is any text, `_` any character.
fn like(text: &str, pattern: &str) -> bool {
    let mut pattern_chars = pattern.chars();
    match pattern_chars.next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = pattern_chars.as_str();
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.any(|at| text.get(at..).is_some_and(|tail| like(tail, rest)))
        }
        Some(wanted) => {
            let mut text_chars = text.chars();
            text_chars
                .next()
                .is_some_and(|found| wanted == '_' || wanted == found)
                && like(text_chars.as_str(), pattern_chars.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{like, parse};

    #[test]
    fn names_in_backquotes_may_hold_dots() {
        let clauses = parse("metrics.accuracy > 0.9 and tags.`mlflow.source.git.commit` = 'ab'");
        let clauses = clauses.unwrap();
        assert_eq!(clauses.len(), 2);
        assert_eq!(clauses[1].key, "mlflow.source.git.commit");
        assert!(clauses[0].holds_number(Some(0.95)) && !clauses[0].holds_number(Some(0.9)));
    }

    #[test]
    fn models_are_found_by_clients_that_leave_prompts_out() {
        let clause = |text: &str| parse(text).unwrap().remove(0);
        let none = std::collections::BTreeMap::new();
        assert!(clause("tag.`mlflow.prompt.is_prompt` != 'true'").holds_tag(&none));
        assert!(!clause("tag.`mlflow.prompt.is_prompt` = 'true'").holds_tag(&none));
        assert!(!clause("tags.team != 'risk'").holds_tag(&none));
    }

    #[test]
    fn like_follows_sql() {
        assert!(like("wdbc-screening", "wdbc%"));
        assert!(like("abc", "a_c") && !like("abc", "a_"));
    }
}
