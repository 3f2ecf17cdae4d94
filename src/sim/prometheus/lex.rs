//! Query text → tokens.

/// A token and where it begins, as a byte offset.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Name(String),
    Number(f64),
    /// Milliseconds.
    Duration(i64),
    Text(String),
    Sign(&'static str),
    End,
}

/// What a query cannot be, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParseError {
    pub(crate) at: usize,
    pub(crate) why: String,
}

const SIGNS: [&str; 22] = [
    "=~", "!~", "==", "!=", ">=", "<=", "=", ">", "<", "+", "-", "*", "/", "%", "^", "(", ")", "{",
    "}", "[", "]", ",",
];

/// Takes a query apart.
pub(crate) fn tokens(query: &str) -> Result<Vec<Token>, ParseError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = query.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = query.get(at..).unwrap_or_default();
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (kind, length) = token(rest, first).map_err(|why| ParseError { at, why })?;
        tokens.push(Token { at, kind });
        at += length;
    }
    tokens.push(Token {
        at: query.len(),
        kind: Kind::End,
    });
    Ok(tokens)
}

fn token(rest: &str, first: char) -> Result<(Kind, usize), String> {
    if first.is_ascii_digit() || (first == '.' && second_is_digit(rest)) {
        return number(rest);
    }
    if first.is_ascii_alphabetic() || first == '_' || first == ':' {
        let length = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(rest.len());
        return Ok((
            Kind::Name(rest.get(..length).unwrap_or_default().to_owned()),
            length,
        ));
    }
    if matches!(first, '"' | '\'' | '`') {
        return text(rest, first);
    }
    SIGNS
        .iter()
        .find(|sign| rest.starts_with(**sign))
        .map(|sign| (Kind::Sign(sign), sign.len()))
        .ok_or_else(|| format!("unexpected character: '{first}'"))
}

fn second_is_digit(rest: &str) -> bool {
    rest.chars()
        .nth(1)
        .is_some_and(|second| second.is_ascii_digit())
}

fn number(rest: &str) -> Result<(Kind, usize), String> {
    let length = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
        .unwrap_or(rest.len());
    let mut word = rest.get(..length).unwrap_or_default().to_owned();
    // `1e-3`: the sign belongs to the number.
    let exponent = word.ends_with(['e', 'E']) && !word.starts_with("0x");
    if exponent
        && rest
            .get(length..)
            .is_some_and(|tail| tail.starts_with(['+', '-']))
    {
        let tail = rest.get(length + 1..).unwrap_or_default();
        let digits = tail
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(tail.len());
        rest.get(..length + 1 + digits)
            .unwrap_or_default()
            .clone_into(&mut word);
    }
    if let Ok(number) = word.parse() {
        return Ok((Kind::Number(number), word.len()));
    }
    duration(&word)
        .map(|millis| (Kind::Duration(millis), word.len()))
        .ok_or_else(|| format!("bad number or duration syntax: \"{word}\""))
}

/// `1h30m` in milliseconds.
pub(crate) fn duration(word: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut rest = word;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit: i64 = match rest.get(..letters)? {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        total = total.checked_add(count.checked_mul(unit)?)?;
        rest = rest.get(letters..)?;
    }
    (total > 0).then_some(total)
}

fn text(rest: &str, quote: char) -> Result<(Kind, usize), String> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, character)) = chars.next() {
        match character {
            end if end == quote => return Ok((Kind::Text(out), at + 1)),
            '\\' if quote != '`' => match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).map(|(_, digit)| digit).collect();
                    let code = u32::from_str_radix(&digits, 16)
                        .ok()
                        .and_then(char::from_u32);
                    out.push(code.ok_or_else(|| "invalid escape sequence".to_owned())?);
                }
                Some(other) => out.push(other),
                None => break,
            },
            other => out.push(other),
        }
    }
    Err("unterminated quoted string".to_owned())
}
