//! The defaults an API server fills in on built-in kinds.
//!
//! They matter in one place above all: a rolled-back rollout carries the
//! defaults its old ReplicaSet got, and must still be found to be the same
//! template.

use serde_json::{Value, json};

use crate::sim::kubernetes::resource::Resource;
use crate::sim::kubernetes::value::Fields;

/// Fills in what a new or changed object leaves open.
pub(crate) fn fill(resource: &Resource, object: &mut Value) {
    match resource.kind {
        "Pod" => fill_pod(object, "/spec"),
        "ReplicaSet" => fill_pod(object, "/spec/template/spec"),
        "Deployment" => {
            fill_pod(object, "/spec/template/spec");
            let open = [
                ("/spec/replicas", json!(1)),
                ("/spec/strategy/type", json!("RollingUpdate")),
                ("/spec/revisionHistoryLimit", json!(10)),
                ("/spec/progressDeadlineSeconds", json!(600)),
            ];
            fill_in(object, "", open);
            // The server keeps built-in kinds in typed structs, which leave this out.
            if object.at("/spec/paused") == &json!(false) {
                object.drop_field("/spec/paused");
            }
            if object.text("/spec/strategy/type") == "RollingUpdate" {
                let open = [
                    ("/maxUnavailable", json!("25%")),
                    ("/maxSurge", json!("25%")),
                ];
                fill_in(object, "/spec/strategy/rollingUpdate", open);
            }
        }
        "Service" => fill_service(object),
        _ => (),
    }
}

/// Fills in the pod spec of a template.
pub(crate) fn fill_template(template: &mut Value) {
    fill_pod(template, "/spec");
}

fn fill_in<const N: usize>(object: &mut Value, at: &str, open: [(&str, Value); N]) {
    for (field, value) in open {
        let pointer = format!("{at}{field}");
        if !object.has(&pointer) {
            object.put(&pointer, value);
        }
    }
}

fn fill_service(object: &mut Value) {
    let place = format!(
        "{}/{}",
        object.text("/metadata/namespace"),
        object.text("/metadata/name")
    );
    // Made from the name, so that a replaced service keeps its address.
    let last = place
        .bytes()
        .fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 253);
    let address = format!("10.0.0.{}", last + 2);
    let open = [
        ("/spec/type", json!("ClusterIP")),
        ("/spec/sessionAffinity", json!("None")),
        ("/spec/internalTrafficPolicy", json!("Cluster")),
        ("/spec/ipFamilies", json!(["IPv4"])),
        ("/spec/ipFamilyPolicy", json!("SingleStack")),
        ("/spec/clusterIPs", json!([address])),
        ("/spec/clusterIP", json!(address)),
        ("/status/loadBalancer", json!({})),
    ];
    fill_in(object, "", open);
    for at in 0..object.items("/spec/ports").len() {
        let port = object.at(&format!("/spec/ports/{at}/port")).clone();
        let open = [("/protocol", json!("TCP")), ("/targetPort", port)];
        fill_in(object, &format!("/spec/ports/{at}"), open);
    }
}

fn fill_pod(object: &mut Value, at: &str) {
    if !object.at(at).is_object() {
        return;
    }
    let open = [
        ("/restartPolicy", json!("Always")),
        ("/terminationGracePeriodSeconds", json!(30)),
        ("/dnsPolicy", json!("ClusterFirst")),
        ("/securityContext", json!({})),
        ("/schedulerName", json!("default-scheduler")),
    ];
    fill_in(object, at, open);
    for kind in ["containers", "initContainers"] {
        let containers = object.items(&format!("{at}/{kind}")).len();
        for number in 0..containers {
            fill_container(object, &format!("{at}/{kind}/{number}"));
        }
    }
}

fn fill_container(object: &mut Value, at: &str) {
    let image = object.text(&format!("{at}/image"));
    let tag = image.rsplit('/').next().unwrap_or_default().split_once(':');
    let newest = tag.is_none_or(|(_, tag)| tag == "latest") && !image.contains('@');
    let open = [
        ("/resources", json!({})),
        ("/terminationMessagePath", json!("/dev/termination-log")),
        ("/terminationMessagePolicy", json!("File")),
        (
            "/imagePullPolicy",
            json!(if newest { "Always" } else { "IfNotPresent" }),
        ),
    ];
    fill_in(object, at, open);
    let ports = object.items(&format!("{at}/ports")).len();
    for port in 0..ports {
        fill_in(
            object,
            &format!("{at}/ports/{port}"),
            [("/protocol", json!("TCP"))],
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_gets_the_defaults_a_real_server_gives_it() {
        let mut pod = json!({"spec": {"containers": [
            {"name": "app", "image": "registry.test/demo:v1", "ports": [{"containerPort": 8080}]},
        ]}});
        fill(Resource::by_kind("Pod").unwrap(), &mut pod);
        assert_eq!(
            pod,
            json!({"spec": {
                "containers": [{
                    "name": "app",
                    "image": "registry.test/demo:v1",
                    "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                    "resources": {},
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "imagePullPolicy": "IfNotPresent",
                }],
                "restartPolicy": "Always",
                "terminationGracePeriodSeconds": 30,
                "dnsPolicy": "ClusterFirst",
                "securityContext": {},
                "schedulerName": "default-scheduler",
            }})
        );
    }
}
