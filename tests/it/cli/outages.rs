//! `check` while a backend is out: it says so, and never GO.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener},
    path::Path,
    thread,
};

use serde_json::Value;

use super::run::{Demo, command, finish};

/// The ways in which a server can be out.
#[derive(Clone, Copy, Debug)]
enum Out {
    /// Our credentials are refused.
    Refuses,
    /// Nobody listens.
    Dead,
    /// Connections are taken and nothing is said.
    Hangs,
}

/// The address of a server that is out. The listener lives as long as the test.
fn address(out: Out) -> (String, Option<TcpListener>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    match out {
        Out::Dead => (address, None),
        Out::Hangs => (address, Some(listener)),
        Out::Refuses => {
            let accepting = listener.try_clone().unwrap();
            thread::spawn(move || {
                for stream in accepting.incoming() {
                    let Ok(mut stream) = stream else { return };
                    let mut request = [0; 4096];
                    drop(stream.read(&mut request));
                    let body = r#"{"kind":"Status","status":"Failure","message":"Unauthorized","code":401}"#;
                    let reply = format!(
                        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\n\
                         content-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    drop(stream.write_all(reply.as_bytes()));
                    drop(stream.shutdown(Shutdown::Write));
                }
            });
            (address, Some(listener))
        }
    }
}

/// The demo's configuration with one backend somewhere else, and less patience.
fn without(demo: &Demo, backend: &str, url: &str, into: &Path) {
    let text = std::fs::read_to_string(demo.config()).unwrap();
    let section = format!("[backend.{backend}]\n");
    let (before, rest) = text.split_once(&section).unwrap();
    let (own, after) = rest.split_once("\n[").unwrap();
    let mut own: String = own
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some(("url", _)) => format!("url = \"{url}\"\n"),
            Some(("kubeconfig", _)) => format!("kubeconfig = {:?}\n", into.join("kubeconfig")),
            _ => format!("{line}\n"),
        })
        .collect();
    own.push_str("timeout = \"300ms\"\n");
    let ledger = format!("ledger = {:?}", into.join("ledger.jsonl"));
    let text = format!("{before}{section}{own}\n[{after}").replacen(
        "ledger = \"ledger.jsonl\"",
        &ledger,
        1,
    );
    std::fs::write(into.join("config.toml"), text).unwrap();
    let kubeconfig = std::fs::read_to_string(demo.folder().join("kubeconfig")).unwrap();
    let kubeconfig: String = kubeconfig
        .lines()
        .map(|line| match line.split_once("server: ") {
            Some((indent, _)) => format!("{indent}server: {url}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    std::fs::write(into.join("kubeconfig"), kubeconfig).unwrap();
}

#[test]
fn a_backend_that_is_out_is_named_and_nothing_is_proven() {
    let demo = Demo::start("canary");
    let backends = [
        ("gh", "tests"),
        ("mlflow", "accuracy"),
        ("prod", "latency"),
        ("prom", "latency"),
    ];
    for out in [Out::Refuses, Out::Dead, Out::Hangs] {
        let folders = backends.map(|(backend, _)| {
            let folder = tempfile::tempdir().unwrap();
            let (url, listener) = address(out);
            without(&demo, backend, &url, folder.path());
            (folder, listener)
        });
        thread::scope(|scope| {
            for ((backend, gate), (folder, _)) in backends.iter().zip(&folders) {
                scope.spawn(move || {
                    let config = folder.path().join("config.toml");
                    let lane = ["check", "recsys-ranker", "--env", "prod-eu", "--json"];
                    let mut check = command(folder.path(), &lane);
                    check.env("GONOGO_CONFIG", config);
                    let ran = finish(check).expect(3);
                    let answer = ran.json();
                    let one = &answer["checks"][0];
                    assert_eq!(
                        one["decision"], "HOLD (not proven)",
                        "{backend} {out:?}: {answer:#}"
                    );
                    let findings = one["findings"].as_array().unwrap();
                    let of = |id: &str| {
                        let found = findings.iter().find(|finding| finding["gate"] == id);
                        found.unwrap_or(&Value::Null)
                    };
                    assert_eq!(
                        of(gate)["verdict"],
                        "error",
                        "{backend} {out:?}: {answer:#}"
                    );
                    let reason = of(gate)["reason"].as_str().unwrap();
                    let said = format!("`{backend}`: ");
                    assert!(reason.starts_with(&said), "{out:?}: {reason}");
                });
            }
        });
    }
}

#[test]
fn a_brake_on_a_cluster_that_says_nothing_fails_with_the_command_to_paste() {
    let demo = Demo::start("canary");
    let folder = tempfile::tempdir().unwrap();
    let (url, _listener) = address(Out::Hangs);
    without(&demo, "prod", &url, folder.path());
    // Longer than a brake waits: nothing has answered and nothing has failed.
    let config = folder.path().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let patient = text.replace("timeout = \"300ms\"", "timeout = \"60s\"");
    assert_ne!(text, patient);
    std::fs::write(&config, patient).unwrap();
    let brake = |verb: &str| {
        let mut hold = command(
            folder.path(),
            &[
                verb,
                "recsys-ranker",
                "--env",
                "prod-eu",
                "--yes",
                "--timeout",
                "1s",
            ],
        );
        hold.env("GONOGO_CONFIG", &config);
        finish(hold).expect(5).says("`prod` did not answer in time")
    };
    brake("hold").says("kubectl -n recsys-eu patch rollout ranker --type merge");
    brake("abort").says("--subresource status");
    brake("rollback");
}
