//! Credentials are planted everywhere and looked for everywhere.
//!
//! The first world has a token in each of the places a configuration can name
//! (variable, file, command, credential plugin); whoever is started by gonogo
//! writes down the environment it was given. In the second world every backend
//! repeats what it was sent, in bodies and headers.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use serde_json::Value;

use super::terminal::{Terminal, binary};
use crate::{
    cli::run::{Demo, Ran, command, finish},
    support::script::{Reply, Script, Seen},
};

fn endpoints(demo: &Demo) -> Value {
    let text = fs::read_to_string(demo.folder().join("endpoints.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The part all tokens of a demo share: 32 characters nobody else writes.
fn needle(endpoints: &Value) -> String {
    let of = |system: &str| {
        let token = endpoints[system]["token"].as_str().unwrap();
        token.rsplit('-').next().unwrap().to_owned()
    };
    let needle = of("github");
    assert_eq!(needle.len(), 32);
    for system in ["mlflow", "prometheus", "kubernetes"] {
        assert_eq!(of(system), needle);
    }
    // Half of it is enough to be a leak, and is found in a line that was cut.
    needle.chars().take(16).collect()
}

fn program(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The demo's world with its credentials in a variable, a file, a command and a
/// plugin. Returns the variable.
fn plant(demo: &Demo, endpoints: &Value) -> (String, String) {
    let folder = demo.folder();
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).unwrap();
    let token = |system: &str| endpoints[system]["token"].as_str().unwrap().to_owned();
    let dump = |name: &str| format!("env > '{}'", folder.join(format!("env-{name}")).display());
    fs::write(folder.join("prom.secret"), token("prometheus")).unwrap();
    let print = bin.join("print-token");
    let read = format!("cat '{}'", folder.join("prom.secret").display());
    program(&print, &format!("{}\n{read}", dump("command")));
    program(
        &bin.join("plugin"),
        &format!(
            "{}\necho '{{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", \
             \"status\": {{\"token\": \"{}\"}}}}'",
            dump("plugin"),
            token("kubernetes")
        ),
    );
    program(&bin.join("xdg-open"), &dump("browser"));
    program(&bin.join("git"), "echo git@localhost:acme/recsys.git");
    program(&bin.join("gh"), &format!("echo {}", token("github")));
    let mut config = fs::read_to_string(demo.config()).unwrap();
    for (file, reference) in [
        ("github", "env:PLANTED".to_owned()),
        ("prometheus", format!("cmd:{}", print.display())),
    ] {
        let old = format!("file:{}/{file}.token", folder.display());
        assert!(config.contains(&old), "{config}");
        config = config.replace(&old, &reference);
    }
    fs::write(demo.config(), config).unwrap();
    let kubeconfig = fs::read_to_string(folder.join("kubeconfig")).unwrap();
    let held = format!("token: {}", token("kubernetes"));
    assert!(kubeconfig.contains(&held));
    let plugin = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: '{}'}}",
        bin.join("plugin").display()
    );
    fs::write(
        folder.join("kubeconfig"),
        kubeconfig.replace(&held, &plugin),
    )
    .unwrap();
    ("PLANTED".to_owned(), token("github"))
}

/// Everything a program of ours left behind, except for the files that hold
/// credentials on purpose.
fn files(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let holds = ["endpoints.json", "prom.secret", "gh", "plugin"].contains(&name.as_str());
        let is_token = path.extension().is_some_and(|kind| kind == "token");
        if path.is_dir() {
            files(&path, found);
        } else if !holds && !is_token {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            found.push((path.display().to_string(), text));
        }
    }
}

/// A command on this world, with the planted variable and our programs first.
fn planted(demo: &Demo, variable: &(String, String), arguments: &[&str]) -> Command {
    let mut run = command(demo.folder(), arguments);
    run.env("GONOGO_CONFIG", demo.config())
        .env("PATH", path(demo))
        .env(&variable.0, &variable.1);
    run
}

fn path(demo: &Demo) -> String {
    format!("{}:/usr/bin:/bin", demo.folder().join("bin").display())
}

#[test]
fn no_credential_is_shown_written_or_handed_on() {
    let demo = Demo::start("canary");
    let endpoints = endpoints(&demo);
    let needle = needle(&endpoints);
    let variable = plant(&demo, &endpoints);
    let clean = |what: &str, text: &str| {
        assert!(!text.contains(&needle), "{what} holds a credential: {text}");
    };
    let lane = ["recsys-ranker", "--env", "prod-eu"];
    let with =
        |verb, more: &[&'static str]| -> Vec<&'static str> { [&[verb], &lane[..], more].concat() };
    let commands: Vec<(Vec<&str>, i32)> = vec![
        (vec!["status"], 0),
        (vec!["status", "--json"], 0),
        (vec!["check"], 0),
        (vec!["check", "--json"], 0),
        (vec!["doctor"], 0),
        (vec!["doctor", "--json"], 0),
        (vec!["config", "explain"], 0),
        (vec!["config", "explain", "--json"], 0),
        (vec!["config", "check", "--json"], 0),
        (with("watch", &["--timeout", "1s"]), 2),
        (with("hold", &["--dry-run"]), 0),
        (with("hold", &["--yes", "--json"]), 0),
        (with("promote", &["--full", "--dry-run"]), 0),
        (with("rollback", &["--dry-run", "--json"]), 0),
        (vec!["audit", "log"], 0),
        (vec!["audit", "log", "--json"], 0),
        (vec!["audit", "show", "1"], 0),
        (vec!["audit", "verify"], 0),
        (vec!["logs", "recsys-ranker", "--job", "tests"], 0),
    ];
    for (arguments, code) in &commands {
        let ran = finish(planted(&demo, &variable, arguments)).expect(*code);
        clean(&format!("{arguments:?}"), &format!("{ran:?}"));
    }

    // A first configuration, made where a registry's address holds a credential.
    let mut init = planted(&demo, &variable, &["--config", "first.toml", "init"]);
    let token = endpoints["mlflow"]["token"].as_str().unwrap();
    init.env(
        "MLFLOW_TRACKING_URI",
        format!("http://mk:{token}@127.0.0.1:9"),
    )
    .env("KUBECONFIG", demo.folder().join("kubeconfig"));
    let ran = finish(init).expect(5);
    clean("init", &format!("{ran:?}"));
    assert!(demo.folder().join("first.toml").exists());

    // A crash that quotes what it choked on.
    let mut crash = planted(&demo, &variable, &["check"]);
    let token = endpoints["kubernetes"]["token"].as_str().unwrap();
    crash.env(
        "GONOGO_PANIC_AT",
        format!("task:choked on `Bearer {token}`"),
    );
    let ran = finish(crash)
        .expect(101)
        .says("choked on `Bearer [secret]`");
    clean("the panic report", &format!("{ran:?}"));

    screens(&demo, &variable, &clean);

    let mut left = Vec::new();
    files(demo.folder(), &mut left);
    for (file, text) in &left {
        clean(file, text);
    }
    // Nothing of this was proven by programs that never ran.
    for child in ["env-command", "env-plugin", "env-browser"] {
        let ran = left
            .iter()
            .any(|(file, text)| file.ends_with(child) && text.contains("PATH="));
        assert!(ran, "{child} was not written");
    }
}

/// Every screen, sheet and page of the cockpit, and the browser it opens.
fn screens(demo: &Demo, variable: &(String, String), clean: &dyn Fn(&str, &str)) {
    let (config, path) = (demo.config(), path(demo));
    let mut terminal = Terminal::with(
        binary(),
        &["--config", config.to_str().unwrap()],
        (160, 50),
        &[("PATH", &path), (&variable.0, &variable.1)],
    );
    terminal.wait_for("waits for a person");
    for (keys, shown) in [
        ("2", "made of"),
        ("3", "JOB"),
        ("l", "log of"),
        ("q4", "decision"),
        ("5", "pods"),
        ("6", "the newest "),
        ("y", "as JSON"),
        ("q1d", "differs from the champion"),
        ("qi", "backends"),
        ("q?", "lower case looks"),
        ("q:mess\r", "limit"),
    ] {
        terminal.press(keys);
        terminal.wait_for(shown);
        clean(keys, &terminal.screen());
    }
    terminal.press("1");
    terminal.wait_for("⏎ open  ");
    terminal.open_sheet("A");
    clean("a sheet", &terminal.screen());
    terminal.write(b"\x1b");
    terminal.wait_for("⏎ open  ");
    terminal.press("2o");
    terminal.wait_for("browser");
    terminal.press("\r");
    terminal.wait_for("the browser was asked");
    terminal.write(b"\x1c");
    assert_eq!(terminal.exit_code(), 0);
    clean(
        "the stream of the terminal",
        &String::from_utf8_lossy(&terminal.raw()),
    );
}

/// Repeats what it was sent, each time with another kind of trouble.
fn echo(seen: &Seen, turn: usize) -> Reply {
    let sent = seen.header("authorization").unwrap_or("nothing");
    let bare = sent.split(' ').next_back().unwrap();
    let html = format!("<html><body>bad credentials: {sent} for {bare}</body></html>");
    let json = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500, "reason": bare,
        "message": format!("bad credentials: {sent}"), "error_code": bare, "errorType": bare,
        "error": format!("token {bare} is unknown; see http://x/?access_token={bare}"),
        "documentation_url": format!("http://mk:{bare}@127.0.0.1/"),
    });
    let reply = match turn % 7 {
        0 => Reply::json(500, &json),
        1 => Reply::json(401, &json),
        2 => Reply::json(403, &json),
        3 => Reply::json(404, &json),
        4 => Reply::json(400, &json),
        5 => Reply::text(200, "text/html", &html),
        _ => Reply::text(503, "text/html", &html),
    };
    reply
        .with("www-authenticate", &format!("Bearer realm=\"{bare}\""))
        .with("x-request-id", bare)
        .with("warning", &format!("199 - \"{sent}\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backend_repeats_of_our_credentials_reaches_nobody() {
    let demo = Demo::start("canary");
    let endpoints = endpoints(&demo);
    let needle = needle(&endpoints);
    let mut config = fs::read_to_string(demo.config()).unwrap();
    let kubeconfig = demo.folder().join("kubeconfig");
    let mut cluster = fs::read_to_string(&kubeconfig).unwrap();
    let mut servers = Vec::new();
    for system in ["github", "mlflow", "prometheus", "kubernetes"] {
        let turn = std::sync::atomic::AtomicUsize::new(0);
        let server = Script::start(move |seen| {
            echo(seen, turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
        })
        .await;
        let url = endpoints[system]["url"].as_str().unwrap();
        config = config.replace(url, &server.url());
        cluster = cluster.replace(url, &server.url());
        servers.push((system, server));
    }
    fs::write(demo.config(), config).unwrap();
    fs::write(&kubeconfig, cluster).unwrap();

    let mut said = String::new();
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["check", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &[
            "hold",
            "recsys-ranker",
            "--env",
            "prod-eu",
            "--yes",
            "--timeout",
            "2s",
        ],
        &[
            "watch",
            "recsys-ranker",
            "--env",
            "prod-eu",
            "--timeout",
            "1s",
        ],
        &["logs", "recsys-ranker", "--job", "tests"],
        &["--plain", "status"],
        &["audit", "log"],
    ] {
        let ran: Ran = demo.run(arguments);
        let all = format!("{}{}", ran.out, ran.err);
        assert!(!all.contains(&needle), "{arguments:?}: {all}");
        said.push_str(&all);
    }
    let config = demo.config();
    let mut terminal = Terminal::run(&["--config", config.to_str().unwrap()], (160, 50));
    terminal.wait_until("a backend in trouble", |screen| screen.contains("gh ✗"));
    // Whether anything is known to judge depends on who was asked in which order.
    for (keys, shown) in [
        ("i", ["backends", "backends"]),
        ("q:mess\r", ["limit", "limit"]),
        ("1", ["⏎ open  ", "⏎ open  "]),
        ("4", ["decision", "nothing was judged"]),
    ] {
        terminal.press(keys);
        terminal.wait_until(keys, |screen| {
            shown.iter().any(|text| screen.contains(text))
        });
        assert!(!terminal.screen().contains(&needle), "{keys}");
    }
    terminal.write(b"\x1c");
    terminal.exit_code();
    let stream = String::from_utf8_lossy(&terminal.raw()).into_owned();
    assert!(!stream.contains(&needle), "{stream}");

    // Each was shown a credential, and words of theirs did arrive, masked.
    for (system, server) in &servers {
        let told = server.credentials();
        assert!(told.iter().any(|told| told.contains(&needle)), "{system}");
    }
    assert!(said.contains("[secret]"), "{said}");
}
