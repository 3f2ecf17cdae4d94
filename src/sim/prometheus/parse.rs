//! Tokens → expression, by precedence climbing.

use crate::sim::prometheus::{
    ast::{Aggregate, Binary, Expr, Grouping, Many, MatchKind, Matcher, Matching, Op, Selector},
    functions::FUNCTIONS,
    lex::{Kind, ParseError, Token, tokens},
};

const AGGREGATES: [&str; 11] = [
    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile", "topk", "bottomk",
];
/// Nesting beyond this is refused rather than risked.
const DEEPEST: usize = 64;

/// Reads a query.
///
/// # Errors
/// Where and why it is none, or which part of the language is not spoken here.
pub(crate) fn parse(query: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser {
        tokens: tokens(query)?,
        next: 0,
        depth: 0,
        open: 0,
    };
    if parser.peek() == &Kind::End {
        return Err(ParseError {
            at: 0,
            why: "no expression found in input".to_owned(),
        });
    }
    let expr = parser.expression(0)?;
    match parser.peek() {
        Kind::End => Ok(expr),
        Kind::Sign("[") => Err(parser.error("subqueries are not spoken here")),
        _ => Err(parser.unexpected("")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    /// Parentheses not yet closed.
    open: usize,
}

type Parsed<T> = Result<T, ParseError>;

impl Parser {
    fn peek(&self) -> &Kind {
        self.tokens
            .get(self.next)
            .map_or(&Kind::End, |token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens
            .get(self.next)
            .or_else(|| self.tokens.last())
            .map_or(0, |token| token.at)
    }

    fn advance(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.next += 1;
        kind
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Kind::Sign(found) if *found == sign);
        if found {
            self.next += 1;
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Kind::Name(name) if name.eq_ignore_ascii_case(word));
        if found {
            self.next += 1;
        }
        found
    }

    fn expect(&mut self, sign: &'static str) -> Parsed<()> {
        if self.take(sign) {
            return Ok(());
        }
        if self.peek() == &Kind::End {
            let why = match sign {
                ")" => "unclosed left parenthesis",
                "}" => "unexpected end of input inside braces",
                "]" => "missing unit character in duration or unclosed bracket",
                _ => "unexpected end of input",
            };
            return Err(self.error(why));
        }
        Err(self.unexpected(sign))
    }

    fn error(&self, why: &str) -> ParseError {
        ParseError {
            at: self.at(),
            why: why.to_owned(),
        }
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        if self.open > 0 && self.peek() == &Kind::End {
            return self.error("unclosed left parenthesis");
        }
        let found = match self.peek() {
            Kind::Name(name) => format!("identifier \"{name}\""),
            Kind::Number(number) => format!("number \"{number}\""),
            Kind::Duration(_) => "duration".to_owned(),
            Kind::Text(text) => format!("string {text:?}"),
            Kind::Sign(sign) => format!("\"{sign}\""),
            Kind::End => "end of input".to_owned(),
        };
        let wanted = if wanted.is_empty() {
            String::new()
        } else {
            format!(", expected \"{wanted}\"")
        };
        self.error(&format!("unexpected {found}{wanted}"))
    }

    fn expression(&mut self, least: u8) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.error("the expression is nested too deeply"));
        }
        let mut left = self.unary()?;
        while let Some((op, strength, right_first)) = self.operator() {
            if strength < least {
                break;
            }
            self.next += 1;
            let as_bool = self.take_word("bool");
            if as_bool && !op.is_comparison() {
                return Err(self.error("bool modifier can only be used on comparison operators"));
            }
            let matching = self.matching()?;
            let right = self.expression(if right_first { strength } else { strength + 1 })?;
            let scalars = is_scalar(&left) && is_scalar(&right);
            if op.is_comparison() && scalars && !as_bool {
                return Err(self.error("comparisons between scalars must use BOOL modifier"));
            }
            left = Expr::Binary(Box::new(Binary {
                op,
                as_bool,
                matching,
                left,
                right,
            }));
        }
        self.depth -= 1;
        Ok(left)
    }

    /// The operator that comes next, how strongly it binds, and whether from the right.
    fn operator(&self) -> Option<(Op, u8, bool)> {
        let op = match self.peek() {
            Kind::Sign("^") => return Some((Op::Power, 6, true)),
            Kind::Sign("*") => (Op::Multiply, 5),
            Kind::Sign("/") => (Op::Divide, 5),
            Kind::Sign("%") => (Op::Modulo, 5),
            Kind::Sign("+") => (Op::Add, 4),
            Kind::Sign("-") => (Op::Subtract, 4),
            Kind::Sign("==") => (Op::Equal, 3),
            Kind::Sign("!=") => (Op::Differs, 3),
            Kind::Sign(">") => (Op::Above, 3),
            Kind::Sign("<") => (Op::Below, 3),
            Kind::Sign(">=") => (Op::AtLeast, 3),
            Kind::Sign("<=") => (Op::AtMost, 3),
            Kind::Name(name) => match name.to_ascii_lowercase().as_str() {
                "and" => (Op::And, 2),
                "unless" => (Op::Unless, 2),
                "or" => (Op::Or, 1),
                _ => return None,
            },
            _ => return None,
        };
        Some((op.0, op.1, false))
    }

    fn matching(&mut self) -> Parsed<Matching> {
        let mut matching = Matching::default();
        if self.take_word("on") {
            matching.by = Grouping::Only(self.labels()?);
        } else if self.take_word("ignoring") {
            matching.by = Grouping::Without(self.labels()?);
        }
        let left = self.take_word("group_left");
        if left || self.take_word("group_right") {
            matching.many = if left { Many::Left } else { Many::Right };
            if self.peek() == &Kind::Sign("(") {
                matching.include = self.labels()?;
            }
        }
        Ok(matching)
    }

    fn labels(&mut self) -> Parsed<Vec<String>> {
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.take(")") {
            match self.advance() {
                Kind::Name(name) => labels.push(name),
                _ => {
                    self.next -= 1;
                    return Err(self.unexpected(")"));
                }
            }
            if !self.take(",") && self.peek() != &Kind::Sign(")") {
                self.expect(")")?;
                break;
            }
        }
        Ok(labels)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        if self.take("-") {
            // A power binds more strongly than a sign before it.
            return Ok(Expr::Negate(Box::new(self.expression(6)?)));
        }
        if self.take("+") {
            return self.expression(6);
        }
        self.primary()
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let expr = match self.peek().clone() {
            Kind::Number(number) => {
                self.next += 1;
                return Ok(Expr::Number(number));
            }
            Kind::Text(text) => {
                self.next += 1;
                return Ok(Expr::Text(text));
            }
            Kind::Sign("(") => {
                self.next += 1;
                self.open += 1;
                let inner = self.expression(0)?;
                self.expect(")")?;
                self.open -= 1;
                return Ok(inner);
            }
            Kind::Sign("{") => self.selector(None)?,
            Kind::Name(name) => {
                self.next += 1;
                let lower = name.to_ascii_lowercase();
                if let Some(aggregate) = AGGREGATES.into_iter().find(|known| *known == lower) {
                    return self.aggregate(aggregate);
                }
                match lower.as_str() {
                    "nan" => return Ok(Expr::Number(f64::NAN)),
                    "inf" => return Ok(Expr::Number(f64::INFINITY)),
                    _ => (),
                }
                if self.peek() == &Kind::Sign("(") {
                    return self.call(&name);
                }
                self.selector(Some(name))?
            }
            Kind::Duration(_) | Kind::Sign(_) | Kind::End => return Err(self.unexpected("")),
        };
        Ok(expr)
    }

    fn selector(&mut self, name: Option<String>) -> Parsed<Expr> {
        let mut matchers: Vec<Matcher> = Vec::new();
        if let Some(value) = name {
            let label = "__name__".to_owned();
            matchers.push(Matcher {
                label,
                kind: MatchKind::Equal,
                value,
            });
        }
        if self.take("{") {
            while !self.take("}") {
                matchers.push(self.matcher()?);
                if !self.take(",") {
                    self.expect("}")?;
                    break;
                }
            }
        }
        let selects = matchers
            .iter()
            .any(|matcher| !crate::sim::prometheus::matching::matches(matcher, Some("")));
        if !selects {
            let why = "vector selector must contain at least one non-empty matcher";
            return Err(self.error(why));
        }
        let mut range = None;
        if self.take("[") {
            match self.advance() {
                Kind::Duration(millis) => range = Some(millis),
                _ => {
                    self.next -= 1;
                    return Err(self.error("bad duration in range selector"));
                }
            }
            self.expect("]")?;
        }
        let mut offset = 0;
        if self.take_word("offset") {
            let back = self.take("-");
            match self.advance() {
                Kind::Duration(millis) => offset = if back { -millis } else { millis },
                _ => return Err(self.error("bad duration in offset")),
            }
        }
        let selector = Selector { matchers, offset };
        Ok(match range {
            Some(range) => Expr::Range(selector, range),
            None => Expr::Selector(selector),
        })
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let Kind::Name(label) = self.advance() else {
            self.next -= 1;
            return Err(self.unexpected("}"));
        };
        let kind = match self.advance() {
            Kind::Sign("=") => MatchKind::Equal,
            Kind::Sign("!=") => MatchKind::Differs,
            Kind::Sign("=~") => MatchKind::Like,
            Kind::Sign("!~") => MatchKind::Unlike,
            _ => {
                self.next -= 1;
                return Err(self.unexpected("="));
            }
        };
        let Kind::Text(value) = self.advance() else {
            self.next -= 1;
            return Err(self.unexpected(""));
        };
        Ok(Matcher { label, kind, value })
    }

    fn aggregate(&mut self, name: &'static str) -> Parsed<Expr> {
        let mut by = self.grouping()?;
        let mut args = self.arguments()?;
        if by.is_none() {
            by = self.grouping()?;
        }
        let with_param = matches!(name, "quantile" | "topk" | "bottomk");
        let wanted = if with_param { 2 } else { 1 };
        let of = args.pop().filter(|_| args.len() + 1 == wanted);
        let Some(of) = of else {
            let why =
                format!("wrong number of arguments for aggregate expression, expected {wanted}");
            return Err(self.error(&why));
        };
        let by = by.unwrap_or(Grouping::Only(Vec::new()));
        Ok(Expr::Aggregate(Box::new(Aggregate {
            name,
            by,
            param: args.pop(),
            of,
        })))
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        if self.take_word("by") {
            return Ok(Some(Grouping::Only(self.labels()?)));
        }
        if self.take_word("without") {
            return Ok(Some(Grouping::Without(self.labels()?)));
        }
        Ok(None)
    }

    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.expect("(")?;
        self.open += 1;
        let mut args = Vec::new();
        while !self.take(")") {
            args.push(self.expression(0)?);
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        self.open -= 1;
        Ok(args)
    }

    fn call(&mut self, name: &str) -> Parsed<Expr> {
        let Some((known, least, most)) = FUNCTIONS
            .iter()
            .copied()
            .find(|(known, _, _)| *known == name)
        else {
            self.next -= 1;
            return Err(self.error(&format!("unknown function with name \"{name}\"")));
        };
        let args = self.arguments()?;
        if !(least..=most).contains(&args.len()) {
            let why = format!(
                "expected {least} argument(s) in call to \"{name}\", got {}",
                args.len()
            );
            return Err(self.error(&why));
        }
        Ok(Expr::Call { name: known, args })
    }
}

fn is_scalar(expr: &Expr) -> bool {
    match expr {
        Expr::Number(_) => true,
        Expr::Negate(of) => is_scalar(of),
        Expr::Binary(binary) => is_scalar(&binary.left) && is_scalar(&binary.right),
        Expr::Call { name, .. } => matches!(*name, "scalar" | "time" | "pi"),
        Expr::Text(_) | Expr::Selector(_) | Expr::Range(..) | Expr::Aggregate(_) => false,
    }
}
