//! The first configuration as text.
//!
//! What was found stands there; what was not is a comment that says what is
//! missing. Every value is quoted, so a strange name cannot become a key.

use crate::{cli::init::around::Found, domain::text::Clean};

const HEAD: &str = "\
# gonogo: a first configuration, made by `gonogo init` from what was around.
# Look through it: names of services and models are guesses.
# `gonogo config check` reads it, `gonogo doctor` tries it. No credential stands
# here, only where it is found: env:NAME, file:PATH or cmd:PROGRAM ARGS.

mode = \"rw\"        # \"ro\": nothing acts, here and on the command line
";

const POLICY: &str = "
# What a release must answer. See config.example.toml for metric gates.
[policy.default]
# override = \"never\"     # or \"allowed\": past HOLD or NO-GO with name and reason
";

const HEALTH: &str = "
[[policy.default.gate]]
id = \"health\"
kind = \"rollout\"
class = \"I\"
source = { rollout = \"health\" }

[[policy.default.gate]]
id = \"analysis\"
kind = \"rollout\"
class = \"Q\"
required = false
source = { rollout = \"analysis\" }
";

const PIPELINE: &str = "
[[policy.default.gate]]
id = \"pipeline\"
kind = \"pipeline\"
class = \"Q\"
source = { run = \"\" }        # the whole run; \"test\" = jobs whose name contains it
bind = [\"commit\"]
";

/// A text in quotes. A JSON string is a TOML string too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A name as a key: bare where that is allowed.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// The text of the file.
pub(super) fn text(found: &Found) -> String {
    let mut text = HEAD.to_owned();
    let run = github(found, &mut text);
    mlflow(found, &mut text);
    let placed = cluster(found, run.as_deref(), &mut text);
    if placed {
        text.push_str(POLICY);
        text.push_str(HEALTH);
        if run.is_some() {
            // A gate needs its evidence on every service, and only one has a run.
            let several = found.rollouts().len() > 1;
            text.push_str(&if several {
                commented(PIPELINE)
            } else {
                PIPELINE.to_owned()
            });
        }
    } else {
        text.push_str(&sample(run.as_deref()));
    }
    text.push_str("\n# Metrics for gates and charts:\n# [backend.prometheus]\n# kind = \"prometheus\"\n# url = \"https://prometheus.example.com\"\n");
    text
}

/// A service as it would stand here had a rollout been found: with the run that
/// was, and a policy to name.
fn sample(run: Option<&str>) -> String {
    let run = run.map_or_else(String::new, |run| format!("# {run}\n"));
    format!(
        "\n# No rollout was found, so no service stands here yet. One looks like this:\n\
         # [environment.prod]\n# backend = \"prod\"\n# critical = true\n#\n\
         # [service.NAME]\n{run}\
         # rollout = [{{ environment = \"prod\", namespace = \"NAMESPACE\", name = \"ROLLOUT\" }}]\n\
         # policy = \"default\"\n#\n\
         # [policy.default]\n\
         # [[policy.default.gate]]\n# id = \"health\"\n# kind = \"rollout\"\n# class = \"I\"\n\
         # source = {{ rollout = \"health\" }}\n"
    )
}

fn commented(section: &str) -> String {
    let lines = section.trim().lines().map(|line| format!("# {line}\n"));
    format!(
        "\n# Once every service has its run:\n{}",
        lines.collect::<String>()
    )
}

/// The GitHub backend; returns the `run = …` line of a service.
fn github(found: &Found, text: &mut String) -> Option<String> {
    let Some((host, repo)) = &found.repository else {
        text.push_str("\n# No GitHub remote was found here:\n# [backend.gh]\n# kind = \"github_actions\"\n# token = \"cmd:gh auth token\"\n");
        return None;
    };
    let enterprise = host.as_str() != "github.com";
    text.push_str("\n[backend.gh]\nkind = \"github_actions\"\n");
    if enterprise {
        text.push_str(&format!(
            "url = {}\n",
            quoted(&format!("https://{host}/api/v3"))
        ));
    }
    let token = match (found.gh, enterprise) {
        (true, false) => "cmd:gh auth token".to_owned(),
        (true, true) => format!("cmd:gh auth token --hostname {host}"),
        (false, _) => "env:GITHUB_TOKEN".to_owned(),
    };
    text.push_str(&format!("token = {}\n", quoted(&token)));
    let workflow = found.workflows.first()?;
    let others: Vec<&str> = found.workflows.iter().skip(1).map(Clean::as_str).collect();
    let mut line = format!(
        "run = {{ backend = \"gh\", repo = {}, workflow = {} }}",
        quoted(repo),
        quoted(workflow)
    );
    if !others.is_empty() {
        line.push_str(&format!("   # also here: {}", others.join(", ")));
    }
    Some(line)
}

fn mlflow(found: &Found, text: &mut String) {
    match &found.mlflow {
        Some(uri) if uri.starts_with("http") => {
            // A user name in the address is a credential; it goes where those go.
            let uri = crate::config::explain::without_user(uri).replace("…@", "");
            text.push_str(&format!(
                "\n[backend.mlflow]\nkind = \"mlflow\"\nurl = {}\n{}token = \"env:MLFLOW_TRACKING_TOKEN\"\n",
                quoted(&uri),
                if found.mlflow_token { "" } else { "# " }
            ));
        }
        Some(_) | None => text.push_str(
            "\n# No registry was found (MLFLOW_TRACKING_URI):\n# [backend.mlflow]\n# kind = \"mlflow\"\n# url = \"https://mlflow.example.com\"\n",
        ),
    }
}

/// Cluster, environment and a service per rollout; says whether there is any.
fn cluster(found: &Found, run: Option<&str>, text: &mut String) -> bool {
    let Ok(around) = &found.cluster else {
        text.push_str("\n# No kubeconfig was found:\n# [backend.prod]\n# kind = \"kubernetes\"\n# context = \"CONTEXT\"\n");
        return false;
    };
    for context in around
        .contexts
        .iter()
        .filter(|context| Some(*context) != around.current.as_ref())
    {
        text.push_str(&format!(
            "\n# Another context of the kubeconfig:\n# [backend.{}]\n# kind = \"kubernetes\"\n# context = {}\n",
            key(context),
            quoted(context)
        ));
    }
    let Some(current) = &around.current else {
        return false;
    };
    text.push_str(&format!(
        "\n[backend.{0}]\nkind = \"kubernetes\"\ncontext = {1}\n\n[environment.{0}]\nbackend = {1}\ncritical = {2}\n",
        key(current),
        quoted(current),
        current.contains("prod") || current.contains("live"),
    ));
    let rollouts = found.rollouts();
    for (index, (namespace, name)) in rollouts.iter().enumerate() {
        let twice = rollouts.iter().filter(|(_, other)| other == name).count() > 1;
        let service = if twice {
            format!("{namespace}-{name}")
        } else {
            name.to_string()
        };
        text.push_str(&format!("\n[service.{}]\n", key(&service)));
        if let Some(run) = run {
            // One repository makes one of them; which, a person knows.
            let comment = if index == 0 { "" } else { "# " };
            text.push_str(&format!("{comment}{run}\n"));
        }
        let registry = found
            .mlflow
            .as_ref()
            .is_some_and(|uri| uri.starts_with("http"));
        let comment = if registry { "" } else { "# " };
        text.push_str(&format!(
            "# model = {{ backend = \"mlflow\", name = {} }}{}\n",
            quoted(name),
            if comment.is_empty() {
                "   # if the registry calls it that"
            } else {
                ""
            }
        ));
        text.push_str(&format!(
            "rollout = [{{ environment = {}, namespace = {}, name = {} }}]\npolicy = \"default\"\n",
            quoted(current),
            quoted(namespace),
            quoted(name)
        ));
    }
    !rollouts.is_empty()
}
