//! JSON patch (RFC 6902) and merge patch (RFC 7386), on any JSON.
//!
//! Both work on a copy: a patch is applied whole or not at all. Strategic
//! merge, which needs to know lists by name, is in [`super::strategic`].

use serde_json::Value;

use crate::sim::kubernetes::value::{Fields, unescape};

/// Why a JSON patch was not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The patch itself makes no sense.
    Malformed(String),
    /// The patch makes sense but not for this object.
    DoesNotFit(String),
}

/// Most operations one patch may hold, as in the real server.
const LIMIT: usize = 10_000;

/// `document` with the operations of `patch` done in order.
///
/// # Errors
/// [`Refused::Malformed`] when the patch is not a list of operations,
/// [`Refused::DoesNotFit`] when a `test` fails or a path is not there.
pub(crate) fn json_patch(document: &Value, patch: &Value) -> Result<Value, Refused> {
    let operations = patch
        .as_array()
        .filter(|list| list.len() <= LIMIT)
        .ok_or_else(|| {
            let why = "error decoding patch: json: cannot unmarshal object into Go value of type \
                       []handlers.jsonPatchOp";
            Refused::Malformed(why.into())
        })?;
    let mut patched = document.clone();
    for operation in operations {
        apply(&mut patched, operation)?;
    }
    Ok(patched)
}

fn apply(document: &mut Value, operation: &Value) -> Result<(), Refused> {
    let path = pointer(operation, "path")?;
    match operation.text("/op") {
        "add" => add(document, path, value(operation)?),
        "remove" => remove(document, path).map(drop),
        "replace" => {
            let new = value(operation)?;
            let place = document.pointer_mut(path).ok_or_else(|| missing(path))?;
            *place = new;
            Ok(())
        }
        "move" => {
            let from = pointer(operation, "from")?;
            if path
                .strip_prefix(from)
                .is_some_and(|rest| rest.starts_with('/'))
            {
                return Err(Refused::DoesNotFit(format!(
                    "cannot move {from} into itself"
                )));
            }
            let moved = remove(document, from)?;
            add(document, path, moved)
        }
        "copy" => {
            let from = pointer(operation, "from")?;
            let copied = document
                .pointer(from)
                .cloned()
                .ok_or_else(|| missing(from))?;
            add(document, path, copied)
        }
        "test" => test(document, path, &value(operation)?),
        other => Err(Refused::Malformed(format!("unknown operation `{other}`"))),
    }
}

fn pointer<'a>(operation: &'a Value, member: &str) -> Result<&'a str, Refused> {
    operation
        .get(member)
        .and_then(Value::as_str)
        .filter(|path| path.is_empty() || path.starts_with('/'))
        .ok_or_else(|| Refused::Malformed(format!("an operation needs a pointer as `{member}`")))
}

fn value(operation: &Value) -> Result<Value, Refused> {
    operation
        .get("value")
        .cloned()
        .ok_or_else(|| Refused::Malformed("an operation needs a `value`".into()))
}

fn missing(path: &str) -> Refused {
    Refused::DoesNotFit(format!("there is nothing at `{path}`"))
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), Refused> {
    let Some((parent, token)) = path.rsplit_once('/') else {
        *document = value;
        return Ok(());
    };
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.insert(unescape(token), value);
            Ok(())
        }
        Some(Value::Array(list)) => {
            let at = if token == "-" {
                Some(list.len())
            } else {
                index(token)
            };
            match at.filter(|at| *at <= list.len()) {
                Some(at) => {
                    list.insert(at, value);
                    Ok(())
                }
                None => Err(missing(path)),
            }
        }
        _ => Err(missing(parent)),
    }
}

fn remove(document: &mut Value, path: &str) -> Result<Value, Refused> {
    let (parent, token) = path.rsplit_once('/').ok_or_else(|| missing(path))?;
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => map.shift_remove(&unescape(token)),
        Some(Value::Array(list)) => index(token)
            .filter(|at| *at < list.len())
            .map(|at| list.remove(at)),
        _ => None,
    }
    .ok_or_else(|| missing(path))
}

/// An array index: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with('0');
    let digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
    if plain && digits {
        token.parse().ok()
    } else {
        None
    }
}

fn test(document: &Value, path: &str, expected: &Value) -> Result<(), Refused> {
    // The API server's library takes an absent member as null here, and only
    // here; clients rely on it to say "not set yet".
    let equal = match document.pointer(path) {
        Some(found) => same(found, expected),
        None => expected.is_null(),
    };
    if equal {
        Ok(())
    } else {
        Err(Refused::DoesNotFit(format!("test of `{path}` failed")))
    }
}

/// Equality of RFC 6902 §4.6: numbers by value, objects without order.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, l)| right.get(key).is_some_and(|r| same(l, r)))
        }
        _ => left == right,
    }
}

/// Applies a merge patch to `target` in place.
pub(crate) fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, change) in changes {
        if change.is_null() {
            map.shift_remove(key);
        } else {
            merge_patch(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn patched(document: &Value, patch: &Value, expected: &Value) {
        assert_eq!(json_patch(document, patch).as_ref(), Ok(expected));
    }

    #[track_caller]
    fn refused(document: &Value, patch: &Value) {
        assert!(matches!(
            json_patch(document, patch),
            Err(Refused::DoesNotFit(_))
        ));
    }

    #[test]
    fn adding_as_in_rfc_6902_a1_a2_a10_a16() {
        patched(
            &json!({"foo": "bar"}),
            &json!([{"op": "add", "path": "/baz", "value": "qux"}]),
            &json!({"baz": "qux", "foo": "bar"}),
        );
        patched(
            &json!({"foo": ["bar", "baz"]}),
            &json!([{"op": "add", "path": "/foo/1", "value": "qux"}]),
            &json!({"foo": ["bar", "qux", "baz"]}),
        );
        patched(
            &json!({"foo": "bar"}),
            &json!([{"op": "add", "path": "/child", "value": {"grandchild": {}}}]),
            &json!({"foo": "bar", "child": {"grandchild": {}}}),
        );
        patched(
            &json!({"foo": ["bar"]}),
            &json!([{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]),
            &json!({"foo": ["bar", ["abc", "def"]]}),
        );
    }

    #[test]
    fn removing_and_replacing_as_in_rfc_6902_a3_a4_a5() {
        patched(
            &json!({"baz": "qux", "foo": "bar"}),
            &json!([{"op": "remove", "path": "/baz"}]),
            &json!({"foo": "bar"}),
        );
        patched(
            &json!({"foo": ["bar", "qux", "baz"]}),
            &json!([{"op": "remove", "path": "/foo/1"}]),
            &json!({"foo": ["bar", "baz"]}),
        );
        patched(
            &json!({"baz": "qux", "foo": "bar"}),
            &json!([{"op": "replace", "path": "/baz", "value": "boo"}]),
            &json!({"baz": "boo", "foo": "bar"}),
        );
    }

    #[test]
    fn moving_as_in_rfc_6902_a6_a7() {
        patched(
            &json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}),
            &json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]),
            &json!({"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
        );
        patched(
            &json!({"foo": ["all", "grass", "cows", "eat"]}),
            &json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
            &json!({"foo": ["all", "cows", "eat", "grass"]}),
        );
    }

    #[test]
    fn testing_as_in_rfc_6902_a8_a9_a14_a15() {
        let document = json!({"baz": "qux", "foo": ["a", 2, "c"]});
        let good = json!([
            {"op": "test", "path": "/baz", "value": "qux"},
            {"op": "test", "path": "/foo/1", "value": 2},
        ]);
        patched(&document, &good, &document);
        refused(
            &json!({"baz": "qux"}),
            &json!([{"op": "test", "path": "/baz", "value": "bar"}]),
        );
        let slashes = json!({"/": 9, "~1": 10});
        patched(
            &slashes,
            &json!([{"op": "test", "path": "/~01", "value": 10}]),
            &slashes,
        );
        refused(
            &slashes,
            &json!([{"op": "test", "path": "/~01", "value": "10"}]),
        );
    }

    #[test]
    fn unknown_members_and_missing_parents_as_in_rfc_6902_a11_a12() {
        patched(
            &json!({"foo": "bar"}),
            &json!([{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}]),
            &json!({"foo": "bar", "baz": "qux"}),
        );
        refused(
            &json!({"foo": "bar"}),
            &json!([{"op": "add", "path": "/baz/bat", "value": "qux"}]),
        );
    }

    #[test]
    fn a_failed_test_leaves_nothing_half_done() {
        let document = json!({"a": 1});
        let patch = json!([
            {"op": "add", "path": "/b", "value": 2},
            {"op": "test", "path": "/a", "value": 9},
        ]);
        refused(&document, &patch);
    }

    #[test]
    fn replace_and_remove_need_something_there_and_test_null_means_absent() {
        refused(
            &json!({}),
            &json!([{"op": "replace", "path": "/a", "value": 1}]),
        );
        refused(&json!({}), &json!([{"op": "remove", "path": "/a"}]));
        refused(
            &json!({"a": [1]}),
            &json!([{"op": "add", "path": "/a/2", "value": 1}]),
        );
        refused(
            &json!({"a": [1, 2]}),
            &json!([{"op": "remove", "path": "/a/01"}]),
        );
        patched(
            &json!({}),
            &json!([{"op": "test", "path": "/a", "value": null}]),
            &json!({}),
        );
    }

    #[test]
    fn numbers_are_tested_by_value() {
        let document = json!({"a": 1});
        patched(
            &document,
            &json!([{"op": "test", "path": "/a", "value": 1.0}]),
            &document,
        );
    }

    #[test]
    fn what_is_no_patch_is_malformed() {
        for patch in [
            json!({}),
            json!([{"op": "add", "path": "a", "value": 1}]),
            json!([{"op": "add", "path": "/a"}]),
            json!([{"op": "frob", "path": "/a"}]),
        ] {
            assert!(matches!(
                json_patch(&json!({}), &patch),
                Err(Refused::Malformed(_))
            ));
        }
    }

    #[test]
    fn merging_as_in_the_table_of_rfc_7386_appendix_a() {
        for (original, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let mut target = original;
            merge_patch(&mut target, &patch);
            assert_eq!(target, expected);
        }
    }
}
