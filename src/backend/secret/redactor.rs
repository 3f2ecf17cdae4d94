//! Takes every credential of ours out of text that comes from outside.
//!
//! Process-wide on purpose: a proxy may echo the token of one backend in the
//! answer of another. Every [`crate::backend::BackendError`] passes through
//! here, so no adapter has to remember to.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use secrecy::{ExposeSecret, SecretString};

use crate::domain::text::Clean;

/// What stands where a credential stood.
const MASK: &str = "[secret]";
/// Shorter credentials are not searched for: they would mask ordinary words.
const SHORTEST: usize = 4;
/// Shorter encoded forms are not searched for either.
const SHORTEST_FORM: usize = 6;
/// Less of the beginning of a credential than this gives nothing away.
const SHORTEST_HALF: usize = 8;

static KNOWN: Mutex<Known> = Mutex::new(Known {
    forms: Vec::new(),
    variables: BTreeSet::new(),
});

struct Known {
    /// Every form a credential can take in text, longest first.
    forms: Vec<SecretString>,
    /// Names of environment variables that hold credentials.
    variables: BTreeSet<String>,
}

fn known() -> MutexGuard<'static, Known> {
    // A panic while the lock was held leaves at worst one form out.
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has this credential, in clear and in the usual encodings, taken out of
/// text from now on.
pub fn remember(secret: &str) {
    if secret.len() < SHORTEST {
        return;
    }
    let mut known = known();
    for form in forms(secret) {
        let new = known.forms.iter().all(|old| old.expose_secret() != form);
        if new {
            known.forms.push(form.into());
        }
    }
    known
        .forms
        .sort_by_key(|form| std::cmp::Reverse(form.expose_secret().len()));
}

/// Notes that this environment variable holds a credential.
pub fn remember_variable(name: &str) {
    known().variables.insert(name.to_owned());
}

/// Environment variables that hold credentials; programs we start do without.
pub fn variables() -> Vec<String> {
    known().variables.iter().cloned().collect()
}

/// The text with every remembered credential replaced by `[secret]`, and with
/// it whatever a cut (`…`) left of one.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    let known = known();
    for form in &known.forms {
        let form = form.expose_secret();
        if text.contains(form) {
            text = Cow::Owned(text.replace(form, MASK));
        }
    }
    match without_halves(&text, &known.forms) {
        Some(whole) => Cow::Owned(whole),
        None => text,
    }
}

/// The text without beginnings of credentials that end at a cut; `None` when
/// it has none.
fn without_halves(text: &str, forms: &[SecretString]) -> Option<String> {
    let mut pieces: Vec<&str> = text.split('…').collect();
    let rest = pieces.pop()?;
    let mut whole = String::with_capacity(text.len());
    let mut is_found = false;
    for piece in pieces {
        let halves = forms.iter().map(|form| half(piece, form.expose_secret()));
        let kept = piece.len() - halves.max().unwrap_or(0);
        whole.push_str(piece.get(..kept).unwrap_or_default());
        if kept < piece.len() {
            is_found = true;
            whole.push_str(MASK);
        }
        whole.push('…');
    }
    whole.push_str(rest);
    is_found.then_some(whole)
}

/// How many bytes at the end of the text are the beginning of a credential.
fn half(text: &str, form: &str) -> usize {
    (SHORTEST_HALF..form.len())
        .rev()
        .filter_map(|end| form.get(..end))
        .find(|half| text.ends_with(*half))
        .map_or(0, str::len)
}

/// One clean line of foreign text without credentials. Redacted before and
/// after cleaning: cleaning can join what an escape sequence kept apart.
pub fn redact_line(text: &str) -> Clean {
    redact_clean(Clean::line(&redact(text)))
}

/// As [`redact_line`], and of that no more than `most` characters. Cut last: a
/// credential cut in half is recognised no more.
pub(in crate::backend) fn redact_head(text: &str, most: usize) -> Clean {
    let line = redact_line(text);
    match line.char_indices().nth(most) {
        Some((end, _)) => Clean::line(&format!("{}…", line.get(..end).unwrap_or_default())),
        None => line,
    }
}

/// Clean text without credentials.
pub(in crate::backend) fn redact_clean(text: Clean) -> Clean {
    match redact(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(redacted) => Clean::from(redacted),
    }
}

/// In clear, quoted as JSON, percent-encoded and in both base64 alphabets.
fn forms(secret: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(secret).to_string();
    let mut forms = vec![
        secret.to_owned(),
        quoted.trim_matches('"').to_owned(),
        percent(secret, false),
        percent(secret, true),
    ];
    // Inside a longer text (`user:token` of basic authentication) a credential
    // starts at any of three places of a base64 group.
    for lead in 0..3 {
        let encoded = inner_base64(secret.as_bytes(), lead);
        if encoded.len() >= SHORTEST_FORM {
            forms.push(encoded.replace('+', "-").replace('/', "_"));
            forms.push(encoded);
        }
    }
    forms
}

fn percent(text: &str, lower: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else if lower {
            encoded.extend(format!("%{byte:02x}").chars());
        } else {
            encoded.extend(format!("%{byte:02X}").chars());
        }
    }
    encoded
}

/// The base64 characters that depend on `bytes` alone when `lead` bytes of
/// something else stand before them.
fn inner_base64(bytes: &[u8], lead: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<bool> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1 == 1))
        .collect();
    // The first character that holds none of the leading bytes' bits.
    let skip = (6 - lead * 8 % 6) % 6;
    bits.get(skip..)
        .unwrap_or_default()
        .chunks_exact(6)
        .map(|group| {
            let index = group
                .iter()
                .fold(0, |index, bit| index << 1 | usize::from(*bit));
            ALPHABET.get(index).map_or('A', |byte| char::from(*byte))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_taken_out_in_every_usual_encoding() {
        // Expected encodings made with coreutils `base64` and Python's `urllib.parse.quote`.
        remember("p/4nted+t0ken?=81");
        for text in [
            "bad credentials: p/4nted+t0ken?=81",
            "Basic cC80bnRlZCt0MGtlbj89ODE=",
            "Basic bWU6cC80bnRlZCt0MGtlbj89ODE=",
            "Basic eDpwLzRudGVkK3Qwa2VuPz04MQ==",
            "https://host/?token=p%2F4nted%2Bt0ken%3F%3D81",
            "https://host/?token=p%2f4nted%2bt0ken%3f%3d81",
        ] {
            let redacted = redact(text);
            assert!(redacted.contains(MASK), "{redacted}");
            for part in ["nted", "RlZC", "50ZW", "dGVk"] {
                assert!(!redacted.contains(part), "{redacted}");
            }
        }
    }

    #[test]
    fn an_escape_sequence_inside_a_credential_does_not_save_it() {
        remember("planted-token-82");
        let line = redact_line("echo plan\u{1b}[0mted-to\u{200b}ken-82.");
        assert_eq!(line.as_str(), "echo [secret].");
    }

    #[test]
    fn a_longer_credential_is_taken_out_whole() {
        remember("planted-83");
        remember("planted-83-and-more");
        assert_eq!(redact("x planted-83-and-more y"), "x [secret] y");
    }

    #[test]
    fn what_a_cut_leaves_of_a_credential_is_taken_out() {
        let token = format!("planted-84-{}", "0123456789".repeat(2_000));
        remember(&token);
        // Longer than a clean line may be, so that the token is cut inside.
        let line = redact_clean(Clean::line(&format!("not allowed: {token} tail")));
        assert_eq!(line.as_str(), "not allowed: [secret]…");
        assert_eq!(redact("see planted-84-01… and …"), "see [secret]… and …");
        assert_eq!(redact("planted…"), "planted…", "too little to tell");
    }

    #[test]
    fn a_head_is_cut_after_credentials_were_taken_out() {
        remember("planted-85-0123456789");
        let text = format!("{} planted-85-0123456789 tail", "y".repeat(20));
        assert_eq!(
            redact_head(&text, 30).as_str(),
            format!("{} [secret] …", "y".repeat(20))
        );
        assert_eq!(
            redact_head(&text, 24).as_str(),
            format!("{} [se…", "y".repeat(20))
        );
    }

    #[test]
    fn ordinary_text_is_untouched_even_if_a_credential_is_a_letter() {
        remember("e");
        assert_eq!(redact("every sentence"), "every sentence");
    }
}
