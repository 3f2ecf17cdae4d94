//! Makes a manifest play faster: divides the durations written in it.
//!
//! The division happens once, to what a scenario hands in, so that everything
//! downstream agrees: a client that counts down a pause sees it end when it
//! says. What a person applies over HTTP is taken as written.

use serde_json::Value;

use crate::sim::kubernetes::duration::{divided, divided_seconds};
use crate::sim::kubernetes::value::Fields;

/// Whole-second fields, by pointer.
const SECONDS: &[&str] = &[
    "/spec/progressDeadlineSeconds",
    "/spec/minReadySeconds",
    "/spec/strategy/canary/scaleDownDelaySeconds",
    "/spec/strategy/canary/abortScaleDownDelaySeconds",
    "/spec/strategy/blueGreen/scaleDownDelaySeconds",
    "/spec/strategy/blueGreen/abortScaleDownDelaySeconds",
    "/spec/strategy/blueGreen/autoPromotionSeconds",
];

/// Divides every duration of a manifest, or of a patch to one.
pub(crate) fn quicken(object: &mut Value, speed: f64) {
    if (speed - 1.0).abs() < f64::EPSILON {
        return;
    }
    for pointer in SECONDS {
        change(object, pointer, |value| divided_seconds(value, speed));
    }
    let steps = object.items("/spec/strategy/canary/steps").len();
    for at in 0..steps {
        let pause = format!("/spec/strategy/canary/steps/{at}/pause/duration");
        change(object, &pause, |value| divided(value, speed));
    }
    let metrics = object.items("/spec/metrics").len();
    for at in 0..metrics {
        for field in ["interval", "initialDelay"] {
            let pointer = format!("/spec/metrics/{at}/{field}");
            change(object, &pointer, |value| divided(value, speed));
        }
    }
}

fn change(object: &mut Value, pointer: &str, with: impl FnOnce(&Value) -> Option<Value>) {
    if let Some(place) = object.pointer_mut(pointer)
        && let Some(new) = with(place)
    {
        *place = new;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pauses_intervals_and_deadlines_are_divided_and_nothing_else() {
        let mut rollout = json!({"spec": {
            "replicas": 10,
            "progressDeadlineSeconds": 600,
            "strategy": {"canary": {"steps": [
                {"setWeight": 20}, {"pause": {"duration": "5m"}}, {"pause": {}},
            ]}},
        }});
        quicken(&mut rollout, 10.0);
        assert_eq!(
            rollout,
            json!({"spec": {
                "replicas": 10,
                "progressDeadlineSeconds": 60,
                "strategy": {"canary": {"steps": [
                    {"setWeight": 20}, {"pause": {"duration": "30s"}}, {"pause": {}},
                ]}},
            }})
        );
        let mut template = json!({"spec": {"metrics": [{"name": "p95", "interval": "30s"}]}});
        quicken(&mut template, 2.0);
        assert_eq!(template.at("/spec/metrics/0/interval"), &json!("15s"));
    }
}
