//! `/metrics`: the text a real Prometheus scrapes.

use std::collections::BTreeMap;

use crate::sim::prometheus::{
    database::Database,
    histogram::BOUNDS,
    value::{Labels, number},
};

/// Every exposed number at `now` (milliseconds), in the text format 0.0.4.
pub(crate) fn text(database: &Database, now: i64) -> String {
    let exposed = database.exposed(now);
    let mut families: BTreeMap<String, (&str, Vec<String>)> = BTreeMap::new();
    let mut add = |family: &str, kind: &'static str, name: &str, labels: &Labels, value: f64| {
        let line = format!("{name}{} {}", pairs(labels), number(value));
        families
            .entry(family.to_owned())
            .or_insert((kind, Vec::new()))
            .1
            .push(line);
    };
    for (track, counters, gauges) in &exposed {
        let with = |key: &str, value: &str| {
            let mut labels = track.labels.clone();
            labels.insert(key.to_owned(), value.to_owned());
            labels
        };
        let requests = "http_requests_total";
        add(
            requests,
            "counter",
            requests,
            &with("code", "200"),
            counters.good.floor(),
        );
        add(
            requests,
            "counter",
            requests,
            &with("code", "500"),
            counters.bad.floor(),
        );
        let (family, total) = ("predict_latency_seconds", counters.good + counters.bad);
        let bucket = format!("{family}_bucket");
        for (bound, count) in BOUNDS.iter().zip(counters.buckets) {
            add(
                family,
                "histogram",
                &bucket,
                &with("le", &number(*bound)),
                count.floor(),
            );
        }
        add(
            family,
            "histogram",
            &bucket,
            &with("le", "+Inf"),
            total.floor(),
        );
        add(
            family,
            "histogram",
            &format!("{family}_sum"),
            &track.labels,
            counters.sum,
        );
        add(
            family,
            "histogram",
            &format!("{family}_count"),
            &track.labels,
            total.floor(),
        );
        let named = track
            .behaviour
            .iter()
            .flat_map(|behaviour| &behaviour.gauges);
        for ((name, extra, _, _), value) in named.zip(gauges) {
            let mut labels = track.labels.clone();
            labels.extend(
                extra
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone())),
            );
            add(name, "gauge", name, &labels, *value);
        }
    }
    let mut out = String::new();
    for (family, (kind, lines)) in families {
        out.push_str(&format!("# TYPE {family} {kind}\n"));
        for line in lines {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

fn pairs(labels: &Labels) -> String {
    let escaped = |value: &str| {
        value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    };
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}
