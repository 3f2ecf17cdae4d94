//! Canary steps, read leniently: a step of a kind this version does not know is
//! shown by its key and never makes the rollout unreadable.

use std::time::Duration;

use serde_json::Value;

use crate::{
    backend::kubernetes::wire::int_or_string,
    domain::{quantity::Weight, rollout::RolloutStep, text::Clean},
};

/// One step as written; `most` is the weight that stands for all traffic.
pub(super) fn step(written: &Value, most: u64) -> RolloutStep {
    let Some((key, payload)) = written.as_object().and_then(|step| step.iter().next()) else {
        return RolloutStep::Unknown("empty".into());
    };
    let known = match key.as_str() {
        "setWeight" => int_or_string(payload)
            .and_then(|weight| u64::try_from(weight).ok())
            .map(|weight| RolloutStep::SetWeight(Weight::share(weight, most))),
        "pause" => pause(payload),
        "analysis" => Some(RolloutStep::Analysis(templates(payload))),
        "experiment" => Some(RolloutStep::Experiment),
        "plugin" => Some(RolloutStep::Plugin(named(payload, "plugin"))),
        "setCanaryScale" => Some(RolloutStep::Other(scale(payload))),
        "setHeaderRoute" => Some(RolloutStep::Other(route("set header route", payload))),
        "setMirrorRoute" => Some(RolloutStep::Other(route("set mirror route", payload))),
        _ => None,
    };
    known.unwrap_or_else(|| RolloutStep::Unknown(Clean::name(key)))
}

/// `{}` and `null` wait for a person; a duration is a number of seconds, as a
/// number or a string, or a text with units.
fn pause(payload: &Value) -> Option<RolloutStep> {
    match payload.get("duration") {
        None | Some(Value::Null) => Some(RolloutStep::Pause(None)),
        Some(written) => duration(written).map(|length| RolloutStep::Pause(Some(length))),
    }
}

/// A duration as Argo takes it: seconds as a number or a string, or Go's text
/// form (`1h30m`, `1.5s`, `300ms`). Negative and unreadable ones are `None`.
pub(super) fn duration(written: &Value) -> Option<Duration> {
    if let Some(seconds) = int_or_string(written) {
        return u64::try_from(seconds).ok().map(Duration::from_secs);
    }
    go_duration(written.as_str()?)
}

/// Go's text form of a duration.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = tail;
    }
    Duration::try_from_secs_f64(total).ok()
}

fn templates(payload: &Value) -> Vec<Clean> {
    let listed = payload.get("templates").and_then(Value::as_array);
    listed
        .into_iter()
        .flatten()
        .map(|template| {
            template
                .get("templateName")
                .and_then(Value::as_str)
                .map_or_else(|| "unnamed".into(), Clean::name)
        })
        .collect()
}

fn named(payload: &Value, otherwise: &'static str) -> Clean {
    payload
        .get("name")
        .and_then(Value::as_str)
        .map_or_else(|| otherwise.into(), Clean::name)
}

fn scale(payload: &Value) -> Clean {
    let to = if payload.get("matchTrafficWeight").and_then(Value::as_bool) == Some(true) {
        "to the traffic weight".to_owned()
    } else if let Some(weight) = payload.get("weight").and_then(int_or_string) {
        format!("to {weight} %")
    } else if let Some(replicas) = payload.get("replicas").and_then(int_or_string) {
        format!("to {replicas} pods")
    } else {
        return "set canary scale".into();
    };
    Clean::from(format!("set canary scale {to}"))
}

fn route(what: &str, payload: &Value) -> Clean {
    Clean::line(&format!("{what} {}", named(payload, "unnamed")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(written: &Value, expected: &RolloutStep) {
        assert_eq!(&step(written, 100), expected);
    }

    #[test]
    fn steps_are_read_as_the_controller_reads_them() {
        check(
            &json!({"setWeight": 20}),
            &RolloutStep::SetWeight(Weight::percent(20)),
        );
        check(&json!({"pause": {}}), &RolloutStep::Pause(None));
        check(&json!({"pause": null}), &RolloutStep::Pause(None));
        for (written, seconds) in [
            (json!(5), 5),
            (json!("90"), 90),
            (json!("5m"), 300),
            (json!("1h30m"), 5400),
        ] {
            check(
                &json!({"pause": {"duration": written}}),
                &RolloutStep::Pause(Some(Duration::from_secs(seconds))),
            );
        }
        check(
            &json!({"analysis": {"templates": [{"templateName": "latency"}, {"templateName": "errors", "clusterScope": true}]}}),
            &RolloutStep::Analysis(vec!["latency".into(), "errors".into()]),
        );
        check(
            &json!({"experiment": {"templates": []}}),
            &RolloutStep::Experiment,
        );
        check(
            &json!({"plugin": {"name": "acme/step", "config": [1, {"a": null}]}}),
            &RolloutStep::Plugin("acme/step".into()),
        );
        check(
            &json!({"setCanaryScale": {"replicas": 3}}),
            &RolloutStep::Other("set canary scale to 3 pods".into()),
        );
        check(
            &json!({"setHeaderRoute": {"name": "beta", "match": []}}),
            &RolloutStep::Other("set header route beta".into()),
        );
    }

    #[test]
    fn an_unknown_step_is_shown_by_its_key() {
        check(
            &json!({"teleport": {"to": "mars"}}),
            &RolloutStep::Unknown("teleport".into()),
        );
        check(
            &json!({"setWeight": "a lot"}),
            &RolloutStep::Unknown("setWeight".into()),
        );
        check(
            &json!({"pause": {"duration": "soon"}}),
            &RolloutStep::Unknown("pause".into()),
        );
        for odd in [json!({}), json!(null), json!("pause"), json!([1])] {
            check(&odd, &RolloutStep::Unknown("empty".into()));
        }
    }

    #[test]
    fn weights_are_shares_of_the_largest() {
        assert_eq!(
            step(&json!({"setWeight": 250}), 1000),
            RolloutStep::SetWeight(Weight::percent(25))
        );
    }

    #[test]
    fn go_durations_have_units_and_fractions() {
        for (text, millis) in [("1.5s", 1500), ("300ms", 300), ("2h45m0.5s", 9_900_500)] {
            assert_eq!(go_duration(text), Some(Duration::from_millis(millis)));
        }
        for text in ["", "5", "m", "-5m", "5 m", "1d"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }
}
