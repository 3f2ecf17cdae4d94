//! The hash that ties a line to the one before it.
//!
//! A line's hash is SHA-256 over its canonical JSON (RFC 8785) without the
//! member `hash`. It is computed from the JSON that is there, not from our
//! types, so a line written by a later version can still be checked.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// What the first line names as the hash of the line before it.
pub const GENESIS: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// SHA-256 of some bytes, as it is written everywhere: `sha256:…` in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(GENESIS.len());
    text.push_str("sha256:");
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

/// The canonical form of a value: sorted members, no white space.
///
/// # Errors
///
/// Only what has no JSON form, such as a map whose keys are no strings.
pub fn canonical(value: &impl serde::Serialize) -> serde_json::Result<String> {
    serde_json_canonicalizer::to_string(value)
}

/// The hash a line should carry: over everything but its member `hash`.
///
/// # Errors
///
/// As [`canonical`].
pub fn hash_of(line: &Value) -> serde_json::Result<String> {
    let mut bare = line.clone();
    if let Value::Object(members) = &mut bare {
        members.shift_remove("hash");
    }
    Ok(sha256(canonical(&bare)?.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_digest_is_the_standards_own() {
        // FIPS 180-2, appendix B.1: the message "abc".
        assert_eq!(
            sha256(b"abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn order_of_members_and_the_hash_itself_do_not_count() {
        let one = json!({"b": 1, "a": "x", "hash": "whatever"});
        let other = json!({"a": "x", "b": 1});
        assert_eq!(hash_of(&one).unwrap(), hash_of(&other).unwrap());
        assert_eq!(canonical(&other).unwrap(), r#"{"a":"x","b":1}"#);
    }
}
