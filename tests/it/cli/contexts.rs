//! One service over two clusters: two contexts of one kubeconfig, each with its
//! own namespaces, and objects of the same names in all of them.

use std::fs;

use serde_json::Value;

use super::run::Demo;
use crate::support::world;

/// The first demo's configuration with `prod-us` in the second demo's cluster.
fn join(first: &Demo, second: &Demo) {
    let of = |demo: &Demo, key: &str| {
        let endpoint = &world::endpoints(demo.folder())["kubernetes"];
        endpoint[key].as_str().unwrap().to_owned()
    };
    let mut kubeconfig = "apiVersion: v1\nkind: Config\ncurrent-context: none\n".to_owned();
    for (list, row) in [
        ("clusters", "cluster: {server: 'URL'}"),
        ("users", "user: {token: TOKEN}"),
        ("contexts", "context: {cluster: NAME, user: NAME}"),
    ] {
        kubeconfig.push_str(&format!("{list}:\n"));
        for (name, demo) in [("one", first), ("two", second)] {
            let row = row
                .replace("URL", &of(demo, "url"))
                .replace("TOKEN", &of(demo, "token"))
                .replace("NAME", name);
            kubeconfig.push_str(&format!("- {{name: {name}, {row}}}\n"));
        }
    }
    fs::write(first.folder().join("contexts"), kubeconfig).unwrap();
    let config = fs::read_to_string(first.config()).unwrap();
    let kept = format!(
        "kubeconfig = \"{}\"\ncontext = \"demo\"\n",
        first.folder().join("kubeconfig").display()
    );
    assert!(config.contains(&kept), "{config}");
    let config = config
        .replace(
            &kept,
            "kubeconfig = \"contexts\"\ncontext = \"one\"\nnamespaces = [\"recsys-us\"]\n\n\
             [backend.over-there]\nkind = \"kubernetes\"\nkubeconfig = \"contexts\"\n\
             context = \"two\"\nnamespaces = [\"recsys-eu\"]\n",
        )
        .replace(
            "[environment.prod-us]\nbackend = \"prod\"",
            "[environment.prod-us]\nbackend = \"over-there\"",
        );
    assert!(config.contains("backend = \"over-there\""), "{config}");
    fs::write(first.config(), config).unwrap();
}

fn rollout(demo: &Demo, namespace: &str) -> Value {
    let path = format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/ranker");
    world::ask(demo.folder(), "kubernetes", &path)
}

#[test]
fn each_environment_is_read_and_changed_in_its_own_cluster() {
    let (here, there) = (Demo::start("canary"), Demo::start("canary"));
    join(&here, &there);
    here.run(&["config", "check"]).expect(0).says("5 backends");
    let eu = here.lane("prod-eu");
    assert_eq!(
        (&eu["stage"], &eu["weight"]),
        (&"canary 5/7".into(), &30.into())
    );
    assert!(eu["ages"]["prod"].as_f64().is_some(), "{eu:#}");
    let us = here.lane("prod-us");
    assert!(us["ages"]["over-there"].as_f64().is_some(), "{us:#}");

    // Same namespace and name in both clusters: only the named one is touched.
    here.run(&["hold", "recsys-ranker", "--env", "prod-eu", "--yes"])
        .expect(0)
        .says("confirmed");
    assert_eq!(rollout(&here, "recsys-eu")["spec"]["paused"], true);
    assert_ne!(rollout(&there, "recsys-eu")["spec"]["paused"], true);
    here.run(&["restart", "recsys-ranker", "--env", "prod-us", "--yes"])
        .expect(0)
        .says("confirmed");
    assert!(rollout(&there, "recsys-us")["spec"]["restartAt"].is_string());
    assert_eq!(
        rollout(&here, "recsys-us")["spec"]["restartAt"],
        Value::Null
    );

    // One cluster away: it is named, and the other goes on as if nothing were.
    drop(there);
    let doctor = here.run(&["doctor", "--json"]).expect(5).json();
    let out: Vec<&Value> = doctor["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["result"] == "out")
        .map(|check| &check["backend"])
        .collect();
    assert!(
        !out.is_empty() && out.iter().all(|id| **id == "over-there"),
        "{doctor:#}"
    );
    here.run(&["check", "--env", "prod-us"]).expect(3);
    here.run(&["continue", "recsys-ranker", "--env", "prod-eu", "--yes"])
        .expect(0)
        .says("confirmed");
    assert_ne!(rollout(&here, "recsys-eu")["spec"]["paused"], true);
}
