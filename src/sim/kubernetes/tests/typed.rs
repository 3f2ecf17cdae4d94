//! What a server or a controller leaves out because it writes typed structs,
//! as the real plane showed.

use serde_json::{Value, json};

use super::{Lab, demo};
use crate::sim::kubernetes::value::Fields;

#[test]
fn a_new_set_makes_explicit_zeros_of_the_status_vanish() {
    let lab = Lab::with_demo(demo());
    lab.set_image("v2");
    lab.until_phase("Paused");
    lab.seconds(1);
    lab.patch_status(&json!({"abort": true, "promoteFull": false}));
    lab.until_phase("Degraded");
    lab.seconds(2);
    assert_eq!(lab.status().at("/promoteFull"), &json!(false));
    lab.set_image("v3");
    let rollout = lab.until_phase("Paused");
    assert!(!rollout.has("/status/promoteFull"), "{rollout:#}");
}

#[test]
fn a_deployment_that_is_not_held_does_not_say_so() {
    let lab = Lab::new();
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}},
        },
    });
    lab.cluster.apply(deployment).unwrap();
    let paused = |paused: bool| {
        let merge = json!({"spec": {"paused": paused}});
        lab.cluster
            .patch("Deployment", "default", "web", merge)
            .unwrap()
    };
    assert!(paused(true).flag("/spec/paused"));
    assert!(!paused(false).has("/spec/paused"));
}

#[test]
fn a_service_has_its_defaults_and_an_address() {
    let lab = Lab::new();
    let service = |name: &str| {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        });
        lab.cluster.apply(object).unwrap()
    };
    let one = service("one");
    assert_eq!(
        one.at("/spec/ports/0"),
        &json!({"port": 80, "protocol": "TCP", "targetPort": 80})
    );
    assert_eq!(one.text("/spec/ipFamilyPolicy"), "SingleStack");
    assert_eq!(one.at("/status"), &json!({"loadBalancer": {}}));
    let address = |service: &Value| service.text("/spec/clusterIP").to_owned();
    assert!(address(&one).starts_with("10.0.0."), "{one:#}");
    assert_ne!(address(&one), address(&service("two")));
    assert_eq!(address(&one), address(&service("one")));
}
