//! Short stable hashes, in the alphabet Kubernetes uses for names.
//!
//! The letters leave out vowels and look-alikes. The numbers are our own: real
//! hashes depend on Go's memory layout of a pod template and cannot be had
//! from JSON.

use serde_json::Value;

use crate::sim::kubernetes::defaults;
use crate::sim::kubernetes::value::Fields;

const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The label that carries a rollout's pod template hash.
pub(crate) const ROLLOUT_HASH: &str = "rollouts-pod-template-hash";
/// The label that carries a deployment's pod template hash.
pub(crate) const DEPLOYMENT_HASH: &str = "pod-template-hash";

/// `number` as `length` letters.
pub(crate) fn safe_text(number: u64, length: usize) -> String {
    let mut rest = number;
    let mut text = String::with_capacity(length);
    for _ in 0..length {
        let at = usize::try_from(rest % 27).unwrap_or(0);
        text.push(char::from(ALPHABET.get(at).copied().unwrap_or(b'b')));
        rest /= 27;
    }
    text
}

/// The hash of a pod template: equal for templates that mean the same.
///
/// Nulls, empty members and the server's defaults do not count, because they
/// come and go as an object is rewritten; nor do the labels that carry the
/// hash.
pub(crate) fn template_hash(template: &Value) -> String {
    let mut template = template.clone();
    defaults::fill_template(&mut template);
    for label in [ROLLOUT_HASH, DEPLOYMENT_HASH] {
        template.drop_field(&format!("/metadata/labels/{label}"));
    }
    text_hash(&template)
}

/// The hash of any JSON value, in ten letters.
pub(crate) fn text_hash(value: &Value) -> String {
    let mut state = 0xcbf2_9ce4_8422_2325;
    feed(&mut state, value);
    safe_text(state, 10)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// FNV-1a over the value, members in order of their names.
fn feed(state: &mut u64, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().filter(|(_, member)| !is_empty(member)).collect();
            keys.sort_by_key(|(key, _)| *key);
            bytes(state, b"{");
            for (key, member) in keys {
                bytes(state, key.as_bytes());
                bytes(state, b":");
                feed(state, member);
            }
            bytes(state, b"}");
        }
        Value::Array(list) => {
            bytes(state, b"[");
            for item in list {
                feed(state, item);
                bytes(state, b",");
            }
            bytes(state, b"]");
        }
        other => bytes(state, other.to_string().as_bytes()),
    }
}

fn bytes(state: &mut u64, bytes: &[u8]) {
    for byte in bytes {
        *state = (*state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hash_ignores_order_empties_and_its_own_label() {
        let written = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"x": 1, "y": 2}});
        let rewritten = json!({
            "spec": {"y": 2, "x": 1, "resources": {}},
            "metadata": {
                "creationTimestamp": null,
                "labels": {"rollouts-pod-template-hash": "zzz", "app": "a"},
            },
        });
        assert_eq!(template_hash(&written), template_hash(&rewritten));
    }

    #[test]
    fn another_image_is_another_hash() {
        let one = json!({"spec": {"containers": [{"name": "app", "image": "app:1"}]}});
        let two = json!({"spec": {"containers": [{"name": "app", "image": "app:2"}]}});
        assert_ne!(template_hash(&one), template_hash(&two));
        assert!(
            template_hash(&one)
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        );
    }
}
