//! Reading and writing fields of loose JSON objects.
//!
//! Objects are kept as the JSON they arrived in, because an API server must
//! give back fields it knows nothing about. The one idea: a field that is
//! absent reads as its zero value, as it does for the controllers this world
//! imitates.

use serde_json::{Map, Value, json};

static NULL: Value = Value::Null;

/// Field access by JSON pointer (RFC 6901).
pub(crate) trait Fields {
    /// The field, or null.
    fn at(&self, pointer: &str) -> &Value;
    /// The field as text, or the empty text.
    fn text(&self, pointer: &str) -> &str;
    /// The field as a whole number, if it is one.
    fn number(&self, pointer: &str) -> Option<i64>;
    /// The field as a whole number, or zero.
    fn count(&self, pointer: &str) -> i64;
    /// Whether the field is `true`.
    fn flag(&self, pointer: &str) -> bool;
    /// The field as a list, or the empty list.
    fn items(&self, pointer: &str) -> &[Value];
    /// Whether the field is there and not null.
    fn has(&self, pointer: &str) -> bool;
    /// Sets the field, making the objects on the way. A list on the way is
    /// entered, but an item it does not have is not made.
    fn put(&mut self, pointer: &str, value: Value);
    /// Takes the field away.
    fn drop_field(&mut self, pointer: &str);
}

impl Fields for Value {
    fn at(&self, pointer: &str) -> &Value {
        self.pointer(pointer).unwrap_or(&NULL)
    }

    fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    fn number(&self, pointer: &str) -> Option<i64> {
        let field = self.at(pointer);
        // Counts of an AnalysisTemplate may be written as text.
        field
            .as_i64()
            .or_else(|| field.as_str()?.trim().parse().ok())
    }

    fn count(&self, pointer: &str) -> i64 {
        self.number(pointer).unwrap_or(0)
    }

    fn flag(&self, pointer: &str) -> bool {
        self.at(pointer).as_bool().unwrap_or(false)
    }

    fn items(&self, pointer: &str) -> &[Value] {
        self.at(pointer).as_array().map_or(&[], Vec::as_slice)
    }

    fn has(&self, pointer: &str) -> bool {
        !self.at(pointer).is_null()
    }

    fn put(&mut self, pointer: &str, value: Value) {
        let mut place = self;
        for token in pointer.split('/').skip(1) {
            if !place.is_object() && !place.is_array() {
                *place = json!({});
            }
            place = match place {
                Value::Object(map) => map.entry(unescape(token)).or_insert(Value::Null),
                Value::Array(list) => {
                    // A list is never made longer by this.
                    let item = token.parse().ok().and_then(|at: usize| list.get_mut(at));
                    let Some(item) = item else { return };
                    item
                }
                _ => return,
            };
        }
        *place = value;
    }

    fn drop_field(&mut self, pointer: &str) {
        let Some((parent, token)) = pointer.rsplit_once('/') else {
            return;
        };
        if let Some(Value::Object(map)) = self.pointer_mut(parent) {
            map.shift_remove(&unescape(token));
        }
    }
}

/// One token of a JSON pointer as the key it stands for.
pub(crate) fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// A key as one token of a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The value of an annotation, or the empty text.
pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> &'a str {
    member(object.at("/metadata/annotations"), key)
}

/// The value of a label, or the empty text.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    member(object.at("/metadata/labels"), key)
}

fn member<'a>(map: &'a Value, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Sets an annotation.
pub(crate) fn annotate(object: &mut Value, key: &str, value: &str) {
    object.put(
        &format!("/metadata/annotations/{}", escape(key)),
        json!(value),
    );
}

/// The members of an object, or none.
pub(crate) fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// The smallest merge patch (RFC 7386) that turns `before` into `after`, or
/// `None` when they are the same.
pub(crate) fn merge_diff(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            None => drop(patch.insert(key.clone(), value.clone())),
            Some(was) => {
                if let Some(change) = merge_diff(was, value) {
                    patch.insert(key.clone(), change);
                }
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_fields_read_as_zero_values() {
        let object = json!({"spec": {"replicas": 3, "paused": true, "count": "4"}});
        assert_eq!(object.count("/spec/replicas"), 3);
        assert_eq!(object.count("/spec/count"), 4);
        assert!(object.flag("/spec/paused"));
        assert_eq!(object.text("/status/phase"), "");
        assert!(object.items("/status/conditions").is_empty());
    }

    #[test]
    fn put_makes_the_objects_on_the_way_and_unescapes_keys() {
        let mut object = json!({});
        annotate(&mut object, "rollout.argoproj.io/revision", "2");
        assert_eq!(
            object,
            json!({"metadata": {"annotations": {"rollout.argoproj.io/revision": "2"}}})
        );
        object.drop_field("/metadata/annotations/rollout.argoproj.io~1revision");
        assert_eq!(object, json!({"metadata": {"annotations": {}}}));
    }

    #[test]
    fn put_enters_lists_and_leaves_them_whole() {
        let mut object = json!({"steps": [{"pause": {}}, {"setWeight": 10}]});
        object.put("/steps/0/pause/duration", json!("5s"));
        object.put("/steps/7/pause", json!({}));
        let expected = json!({"steps": [{"pause": {"duration": "5s"}}, {"setWeight": 10}]});
        assert_eq!(object, expected);
    }

    #[test]
    fn a_merge_diff_names_only_what_changed() {
        let before = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]});
        let after = json!({"a": 1, "b": {"c": 5}, "e": [1, 2], "f": true});
        let expected = json!({"b": {"c": 5, "d": null}, "e": [1, 2], "f": true});
        assert_eq!(merge_diff(&before, &after), Some(expected));
        assert_eq!(merge_diff(&after, &after), None);
    }
}
