//! Analysis templates put together: what a run is made of.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::store::Store;
use crate::sim::kubernetes::value::Fields;

/// The template a reference names, if it exists.
pub(crate) fn find(store: &Store, namespace: &str, reference: &Value) -> Option<Arc<Value>> {
    let kind = if reference.flag("/clusterScope") {
        "ClusterAnalysisTemplate"
    } else {
        "AnalysisTemplate"
    };
    let resource = Resource::by_kind(kind)?;
    let key = Key::new(resource, namespace, reference.text("/templateName"));
    store.get(&key)
}

/// One spec from all templates that are named, templates of templates included.
pub(crate) fn gather(store: &Store, namespace: &str, references: &[Value]) -> Value {
    let mut spec = json!({"metrics": [], "args": []});
    let mut open: Vec<Value> = references.to_vec();
    let mut seen = Vec::new();
    while let Some(reference) = open.pop() {
        if seen.contains(&reference) {
            continue;
        }
        if let Some(template) = find(store, namespace, &reference) {
            open.extend(template.items("/spec/templates").iter().cloned());
            for field in ["metrics", "args"] {
                let more = template.items(&format!("/spec/{field}"));
                if let Some(Value::Array(list)) = spec.get_mut(field) {
                    list.extend(more.iter().cloned().map(with_authentication));
                }
            }
        }
        seen.push(reference);
    }
    spec
}

/// Arguments with their values: those given, else the template's own; absent
/// where there are none.
pub(crate) fn put_arguments(spec: &mut Value, arguments: Vec<Value>) {
    if arguments.is_empty() {
        spec.drop_field("/args");
    } else {
        spec.put("/args", Value::Array(arguments));
    }
}

/// The empty structs that a controller writing through Go types leaves in
/// metrics of these providers.
fn with_authentication(mut metric: Value) -> Value {
    for provider in ["prometheus", "web"] {
        let field = format!("/provider/{provider}");
        if metric.has(&field) && !metric.has(&format!("{field}/authentication")) {
            let empty = json!({"oauth2": {}, "sigv4": {}});
            metric.put(&format!("{field}/authentication"), empty);
        }
    }
    metric
}
