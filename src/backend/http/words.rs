//! One line of sense out of whatever body an error came with.

use http::{HeaderMap, header};
use serde_json::Value;

use crate::{
    backend::secret::{redact, redactor::redact_head},
    domain::text::Clean,
};

/// How much of a body is looked at, in characters.
const LOOK: usize = 64 * 1024;
/// How much is shown, in characters.
const SHOW: usize = 240;

/// Whether a web page stands where JSON was expected: what proxies, sign-in
/// gateways and captive portals answer, with success statuses too.
pub(super) fn is_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("html"));
    declared || body.trim_ascii_start().first() == Some(&b'<')
}

/// The body's message in one clean line without credentials; empty if it has
/// none.
pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Clean {
    let raw = if is_page(headers, body) {
        page_title(&head(body))
    } else if let Ok(value) = serde_json::from_slice::<Value>(body) {
        message(&value).unwrap_or_default()
    } else {
        head(body)
    };
    redact_head(&raw, SHOW)
}

/// The beginning of a body. Credentials are taken out before it is cut: what a
/// cut leaves of one is recognised no more.
fn head(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    redact(&text).chars().take(LOOK).collect()
}

/// The message inside an error document of the usual shapes: `message`,
/// `error`, `detail` …, with what `errors` adds.
fn message(value: &Value) -> Option<String> {
    let mut parts = Vec::new();
    for key in ["error_code", "message", "error", "detail", "title"] {
        match value.get(key) {
            Some(Value::String(text)) => parts.push(text.clone()),
            Some(inner @ Value::Object(_)) => parts.extend(message(inner)),
            _ => {}
        }
    }
    let errors = value.get("errors").and_then(Value::as_array);
    for error in errors.into_iter().flatten().take(5) {
        match error {
            Value::String(text) => parts.push(text.clone()),
            Value::Object(fields) => {
                let words: Vec<&str> = ["resource", "field", "code", "message"]
                    .iter()
                    .filter_map(|key| fields.get(*key)?.as_str())
                    .collect();
                parts.push(words.join(" "));
            }
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    (!parts.is_empty()).then(|| parts.join(": "))
}

/// The title of a page, or its text without tags.
fn page_title(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|start| {
        let open = start + lower.get(start..)?.find('>')? + 1;
        let close = open + lower.get(open..)?.find("</title")?;
        page.get(open..close)
    });
    if let Some(title) = title {
        return title.trim().to_owned();
    }
    let mut text = String::new();
    let mut inside = false;
    for character in page.chars() {
        match character {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(character),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(of(&HeaderMap::new(), body.as_bytes()).as_str(), expected);
    }

    #[test]
    fn messages_are_found_where_backends_put_them() {
        check(
            r#"{"message":"Not Found","documentation_url":"x"}"#,
            "Not Found",
        );
        check(
            r#"{"message":"Validation Failed","errors":[{"resource":"Run","field":"ref","code":"invalid"},"plain"]}"#,
            "Validation Failed: Run ref invalid: plain",
        );
        check(
            r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No model"}"#,
            "RESOURCE_DOES_NOT_EXIST: No model",
        );
        check(r#"{"status":"error","error":"parse error"}"#, "parse error");
        check(r#"{"error":{"title":"a","detail":"b"}}"#, "b: a");
        check("Retry later\n", "Retry later ");
        check("[1,2]", "");
    }

    #[test]
    fn a_page_is_told_by_its_title_or_its_text() {
        check("<html><head><TITLE> Sign in </TITLE></head>", "Sign in");
        check(
            "<html><body><h1>502</h1> Bad <b>Gateway</b>",
            "502 Bad Gateway",
        );
    }

    #[test]
    fn a_credential_across_the_end_of_what_is_looked_at_is_taken_out() {
        crate::backend::secret::redactor::remember("planted-87-0123456789");
        let body = format!("<p>{}planted-87-0123456789", " ".repeat(LOOK - 20));
        let said = of(&HeaderMap::new(), body.as_bytes());
        assert!(!said.contains("planted"), "{said}");
    }

    #[test]
    fn long_words_are_cut_and_hostile_ones_cleaned() {
        let long = of(&HeaderMap::new(), "é".repeat(100_000).as_bytes());
        assert_eq!(long.chars().count(), SHOW + 1);
        check("{\"message\":\"a\\u001b]52;c;eA==\\u0007b\"}", "ab");
    }
}
