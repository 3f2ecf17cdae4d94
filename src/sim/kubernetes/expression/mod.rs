//! The conditions of analysis metrics: `result[0] <= 0.5`, and what goes with it.
//!
//! A small part of the language Argo Rollouts uses: comparison, arithmetic,
//! `&&`, `||`, `!`, indexing, and the helpers for empty and odd results. Types
//! are strict as they are there: a vector is not a number, and an index past
//! the end is an error, not false.

mod evaluate;

use std::iter::Peekable;
use std::str::Chars;

use crate::sim::kubernetes::expression::evaluate::evaluate;

/// What a metric measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Number(f64),
    Vector(Vec<f64>),
}

/// Whether the condition holds for the result.
///
/// # Errors
/// A sentence when the condition cannot be read, or makes no sense for this
/// result.
pub(crate) fn holds(condition: &str, result: &Outcome) -> Result<bool, String> {
    let tokens = tokens(condition)?;
    let mut parser = Parser { tokens, at: 0 };
    let expression = parser.any_of()?;
    if parser.at < parser.tokens.len() {
        return Err(format!("unexpected token in `{condition}`"));
    }
    match evaluate(&expression, result)? {
        Value::Bool(truth) => Ok(truth),
        other => Err(format!("expected bool, but got {}", other.kind())),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(f64),
    Bool(bool),
    Vector(Vec<f64>),
    Nil,
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Number(_) => "float64",
            Self::Bool(_) => "bool",
            Self::Vector(_) => "[]float64",
            Self::Nil => "nil",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Word(String),
    Sign(&'static str),
}

#[derive(Debug)]
enum Expression {
    Constant(Value),
    Result,
    Index(Box<Expression>, Box<Expression>),
    Call(String, Vec<Expression>),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Both(&'static str, Box<Expression>, Box<Expression>),
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: &[&str] = &[
    "<=", ">=", "==", "!=", "&&", "||", "<", ">", "!", "(", ")", "[", "]", ",", "+", "-", "*", "/",
    "%",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&next) = chars.peek() {
        if next.is_whitespace() {
            chars.next();
        } else if next.is_ascii_digit() || next == '.' {
            let mut number = take(&mut chars, |c| c.is_ascii_alphanumeric() || c == '.');
            if number.ends_with(['e', 'E'])
                && let Some(sign) = chars.next_if(|c| matches!(c, '+' | '-'))
            {
                number.push(sign);
                number.push_str(&take(&mut chars, |c| c.is_ascii_digit()));
            }
            let value = number
                .parse()
                .map_err(|_| format!("bad number `{number}`"))?;
            tokens.push(Token::Number(value));
        } else if next.is_alphabetic() || next == '_' {
            let word = take(&mut chars, |c| c.is_alphanumeric() || c == '_');
            tokens.push(match word.as_str() {
                "and" => Token::Sign("&&"),
                "or" => Token::Sign("||"),
                "not" => Token::Sign("!"),
                _ => Token::Word(word),
            });
        } else {
            let rest: String = chars.clone().take(2).collect();
            let sign = SIGNS
                .iter()
                .find(|sign| rest.starts_with(**sign))
                .ok_or_else(|| format!("unexpected character `{next}`"))?;
            for _ in 0..sign.len() {
                chars.next();
            }
            tokens.push(Token::Sign(sign));
        }
    }
    Ok(tokens)
}

fn take(chars: &mut Peekable<Chars<'_>>, fits: impl Fn(char) -> bool) -> String {
    let mut text = String::new();
    while let Some(next) = chars.next_if(|c| fits(*c)) {
        text.push(next);
    }
    text
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn sign(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        match self.tokens.get(self.at) {
            Some(Token::Sign(sign)) if wanted.contains(sign) => {
                self.at += 1;
                Some(sign)
            }
            _ => None,
        }
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), String> {
        self.sign(&[sign])
            .map(|_| ())
            .ok_or_else(|| format!("expected `{sign}`"))
    }

    /// A chain of operators of one rank, joined from the left.
    fn chain(
        &mut self,
        signs: &[&'static str],
        part: fn(&mut Self) -> Result<Expression, String>,
    ) -> Result<Expression, String> {
        let mut left = part(self)?;
        while let Some(sign) = self.sign(signs) {
            let right = part(self)?;
            left = Expression::Both(sign, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn any_of(&mut self) -> Result<Expression, String> {
        self.chain(&["||"], Self::all_of)
    }

    fn all_of(&mut self) -> Result<Expression, String> {
        self.chain(&["&&"], Self::comparison)
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        self.chain(&["<=", ">=", "==", "!=", "<", ">"], Self::sum)
    }

    fn sum(&mut self) -> Result<Expression, String> {
        self.chain(&["+", "-"], Self::product)
    }

    fn product(&mut self) -> Result<Expression, String> {
        self.chain(&["*", "/", "%"], Self::single)
    }

    fn single(&mut self) -> Result<Expression, String> {
        match self.sign(&["!", "-", "("]) {
            Some("!") => Ok(Expression::Not(Box::new(self.single()?))),
            Some("-") => Ok(Expression::Negative(Box::new(self.single()?))),
            Some(_) => {
                let inner = self.any_of()?;
                self.expect(")")?;
                self.indexed(inner)
            }
            None => {
                let inner = self.atom()?;
                self.indexed(inner)
            }
        }
    }

    fn indexed(&mut self, mut inner: Expression) -> Result<Expression, String> {
        while self.sign(&["["]).is_some() {
            let index = self.any_of()?;
            self.expect("]")?;
            inner = Expression::Index(Box::new(inner), Box::new(index));
        }
        Ok(inner)
    }

    fn atom(&mut self) -> Result<Expression, String> {
        let token = self
            .tokens
            .get(self.at)
            .cloned()
            .ok_or("unexpected end of the condition")?;
        self.at += 1;
        let word = match token {
            Token::Number(number) => return Ok(Expression::Constant(Value::Number(number))),
            Token::Sign(sign) => return Err(format!("unexpected `{sign}`")),
            Token::Word(word) => word,
        };
        match word.as_str() {
            "true" => return Ok(Expression::Constant(Value::Bool(true))),
            "false" => return Ok(Expression::Constant(Value::Bool(false))),
            "nil" => return Ok(Expression::Constant(Value::Nil)),
            "result" => return Ok(Expression::Result),
            _ => (),
        }
        if self.sign(&["("]).is_none() {
            return Err(format!("unknown name {word}"));
        }
        let mut arguments = Vec::new();
        while self.sign(&[")"]).is_none() {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            arguments.push(self.any_of()?);
        }
        Ok(Expression::Call(word, arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(condition: &str, vector: &[f64], expected: bool) {
        assert_eq!(
            holds(condition, &Outcome::Vector(vector.to_vec())),
            Ok(expected),
            "{condition}"
        );
    }

    #[test]
    fn conditions_on_vectors_are_evaluated() {
        check("result[0] <= 0.5", &[0.5], true);
        check("result[0] < 0.5", &[0.5], false);
        check("len(result) == 0 || result[0] < 0.5", &[], true);
        check("len(result) > 0 && result[0] >= 1 - 0.1", &[0.95], true);
        check("!(result[0] > 3) and result[1] == 2", &[1.0, 2.0], true);
        check("isNaN(result[0]) || result[0] < 1e-3", &[f64::NAN], true);
        check("result[0] * 100 / 4 > -1", &[1.0], true);
        check("default(result, 0) != nil", &[1.0], true);
    }

    #[test]
    fn a_plain_number_is_compared_as_it_is() {
        assert_eq!(holds("result < 0.05", &Outcome::Number(0.01)), Ok(true));
        assert_eq!(holds("asInt(result) == 2", &Outcome::Number(2.9)), Ok(true));
    }

    #[test]
    fn what_makes_no_sense_is_an_error_and_not_false() {
        for condition in [
            "result[0] < 0.5",
            "result < 0.5",
            "result[0]",
            "resul[0] < 1",
            "1 <",
            "(1 < 2",
            "1 < 2 3",
            "result[0] < 'a'",
        ] {
            let outcome = holds(condition, &Outcome::Vector(Vec::new()));
            assert!(outcome.is_err(), "{condition}: {outcome:?}");
        }
    }
}
