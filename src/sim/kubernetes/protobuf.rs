//! Just enough protobuf to read the reviews kubectl sends.
//!
//! `kubectl auth` speaks the binary encoding of Kubernetes and offers no other.
//! Reviews are small and flat, so their few fields are read by number; every
//! other kind in this encoding is refused. Answers are JSON, which every
//! client takes.
//!
//! The layout is that of `generated.proto` in `k8s.io/api/authorization/v1`,
//! inside the envelope of `k8s.io/apimachinery/pkg/runtime`.

use serde_json::{Value, json};

use crate::sim::kubernetes::value::Fields;

/// The content type of the encoding.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";

/// A review in the binary encoding as JSON; `None` when it is none.
pub(crate) fn review(bytes: &[u8]) -> Option<Value> {
    let envelope = bytes.strip_prefix(MAGIC)?;
    let kind = text(field(field(envelope, 1)?, 2)?)?;
    let spec = field(field(envelope, 2)?, 2).unwrap_or_default();
    let mut review = json!({"kind": kind, "spec": {}});
    match kind {
        "SelfSubjectAccessReview" => {
            let resource = [
                (1, "namespace"),
                (2, "verb"),
                (3, "group"),
                (4, "version"),
                (5, "resource"),
                (6, "subresource"),
                (7, "name"),
            ];
            let path = [(1, "path"), (2, "verb")];
            copy(&mut review, "resourceAttributes", field(spec, 1), &resource);
            copy(&mut review, "nonResourceAttributes", field(spec, 2), &path);
        }
        "SelfSubjectRulesReview" => {
            if let Some(namespace) = field(spec, 1).and_then(text) {
                review.put("/spec/namespace", json!(namespace));
            }
        }
        "SelfSubjectReview" => (),
        _ => return None,
    }
    Some(review)
}

fn copy(review: &mut Value, name: &str, message: Option<&[u8]>, fields: &[(u64, &str)]) {
    let Some(message) = message else { return };
    review.put(&format!("/spec/{name}"), json!({}));
    for (number, member) in fields {
        if let Some(value) = field(message, *number)
            .and_then(text)
            .filter(|it| !it.is_empty())
        {
            review.put(&format!("/spec/{name}/{member}"), json!(value));
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The first length-delimited field with this number.
fn field(message: &[u8], wanted: u64) -> Option<&[u8]> {
    let mut rest = message;
    while !rest.is_empty() {
        let (tag, after) = varint(rest)?;
        let (number, wire_type) = (tag >> 3, tag & 7);
        rest = match wire_type {
            0 => varint(after)?.1,
            1 => after.get(8..)?,
            2 => {
                let (length, after) = varint(after)?;
                let (content, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
                if number == wanted {
                    return Some(content);
                }
                after
            }
            5 => after.get(4..)?,
            _ => return None,
        };
    }
    None
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(at).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimited(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        bytes.extend_from_slice(content);
        bytes
    }

    /// As `kubectl auth can-i patch rollouts.argoproj.io --subresource=status`
    /// sends it.
    fn can_i() -> Vec<u8> {
        let attributes = [
            delimited(1, b"default"),
            delimited(2, b"patch"),
            delimited(3, b"argoproj.io"),
            delimited(4, b"*"),
            delimited(5, b"rollouts"),
            delimited(6, b"status"),
            delimited(7, b""),
        ]
        .concat();
        let spec = delimited(1, &attributes);
        let review = [
            delimited(1, b"\x0a\x00"),
            delimited(2, &spec),
            delimited(3, &[0x08, 0]),
        ];
        let kind = [
            delimited(1, b"authorization.k8s.io/v1"),
            delimited(2, b"SelfSubjectAccessReview"),
        ];
        let envelope = [delimited(1, &kind.concat()), delimited(2, &review.concat())];
        [MAGIC, &envelope.concat()].concat()
    }

    #[test]
    fn an_access_review_is_read_field_by_field() {
        assert_eq!(
            review(&can_i()),
            Some(
                json!({"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": {
                    "namespace": "default", "verb": "patch", "group": "argoproj.io", "version": "*",
                    "resource": "rollouts", "subresource": "status",
                }}})
            )
        );
    }

    #[test]
    fn what_is_cut_short_or_no_review_is_refused() {
        let whole = can_i();
        assert_eq!(review(&whole[..whole.len() - 20]), None);
        assert_eq!(review(b"k8s\0"), None);
        assert_eq!(review(b"{}"), None);
        let pod = delimited(1, &[delimited(1, b"v1"), delimited(2, b"Pod")].concat());
        assert_eq!(review(&[MAGIC, &pod].concat()), None);
    }
}
