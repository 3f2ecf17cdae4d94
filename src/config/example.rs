//! `config.example.toml`, made from the code so that it cannot lie.
//!
//! Global keys stand at their defaults. Everything below is commented out: a
//! whole little set-up whose names fit together, with one section per kind of
//! backend as its adapter documents it.

use crate::{
    backend::REGISTRY,
    config::{Ui, explain::mode_name},
    engine::clear::Mode,
};

const HEAD: &str = "\
# Every key of gonogo's configuration. Global keys stand at their defaults.
# `gonogo config check` reads a file without doing anything with it;
# `gonogo config explain` shows every value in force and where it comes from.
#
# Credentials are never written here, only where they are found:
#   env:NAME           this environment variable
#   file:PATH          the content of this file (relative to this one)
#   cmd:PROGRAM ARGS   what this program prints, run without a shell
";

const REST: &str = r#"
## ── environments ──────────────────────────────────────────────────────────────
## Where releases go. `critical` starts the cockpit in BRAKE and forbids going
## past HOLD or NO-GO unless the policy allows it.

# [environment.staging]
# backend = "prod"
#
# [environment.prod-eu]
# backend = "prod"
# critical = true
# mode = "rw"                               # "ro": nothing acts here

## ── services ──────────────────────────────────────────────────────────────────
## What has releases. The names of backends, environments and policies are those
## of the sections around.

# [service.recsys]
# run = { backend = "gh", repo = "acme/recsys", workflow = "ml-cicd.yml", branch = "main" }
# model = { backend = "mlflow", name = "ranker", alias = "champion" }
# rollout = [
#   { environment = "staging", namespace = "recsys-staging", name = "ranker", kind = "deployment" },
#   { environment = "prod-eu", namespace = "recsys", name = "ranker", kind = "rollout" },
# ]
# policy = "prod-high"
# model_from = "image"                      # "alias": pods load the alias when they start
# stages = { train = "fit", deploy = "ship" }   # jobs whose name contains the text
# mapping = [                               # links that no rule can find
#   { commit = "9f3c2ab0123456789abcdef0123456789abcdef0", version = 42 },
# ]
#
# # Placeholders: {environment} {namespace} {rollout} {service}
# [service.recsys.metric.latency_p95]
# backend = "prometheus"
# canary = '''
# histogram_quantile(0.95, sum by (le) (rate(http_seconds_bucket{ns="{namespace}",role="canary"}[2m]))) * 1000
# '''
# stable = '''
# histogram_quantile(0.95, sum by (le) (rate(http_seconds_bucket{ns="{namespace}",role="stable"}[2m]))) * 1000
# '''
# traffic = 'sum(increase(http_requests_total{ns="{namespace}",role="canary"}[2m]))'
# unit = "ms"
# # aggregate = "max"                       # max, min, sum or mean, when a query gives several series
# range = "30m"                             # how much time the chart shows
# # window = "2m"                           # of `breaches`; by itself as far as the queries look back

## ── policies ──────────────────────────────────────────────────────────────────
## What a release must answer. `class` is a column of the strip: A L F X D Q S I.

# [policy.prod-high]
# override = "never"                        # or "allowed": past HOLD or NO-GO with name and reason
#
# [[policy.prod-high.gate]]
# id = "tests"
# kind = "pipeline"
# class = "Q"
# source = { run = "test" }                 # jobs whose name contains this; "" = the whole run
# bind = ["commit"]
#
# [[policy.prod-high.gate]]
# id = "accuracy"
# kind = "metric"
# class = "A"
# source = { model_metric = "accuracy" }
# better = "higher"
# fail = { below = 0.90 }
# warn = { below = 0.92 }
# bind = ["model_version"]
#
# [policy.prod-high.gate.versus]
# baseline = "champion"                     # an alias, or "stable" for the revision users are on
# max_regression = { relative = 0.01 }
# same_data = true
# on_missing_baseline = "warn"              # or "missing", "pass"
#
# [[policy.prod-high.gate]]
# id = "latency"
# kind = "metric"
# class = "L"
# required = true
# source = { metric = "latency_p95" }
# better = "lower"
# fail = { above = 250 }
# unit = "ms"                               # that of the metric
# breaches = { of = 5, at_least = 3 }       # bad in 3 of the last 5 windows, in whatever order
# min_traffic = 100                         # in a window; needs the metric's `traffic`
# max_age = "5m"
#
# [[policy.prod-high.gate]]
# id = "health"
# kind = "rollout"
# class = "I"
# source = { rollout = "health" }           # or "analysis": the controller's own analyses
"#;

/// The text of `config.example.toml`.
pub fn text() -> String {
    use std::fmt::Write as _;
    let ui = Ui::default();
    let mut text = HEAD.to_owned();
    write!(
        text,
        "\nmode = \"{}\"        # \"ro\": nothing acts, here and on the command line\n\
         # ledger = \"PATH\"  # default: ledger.jsonl in the state folder ($XDG_STATE_HOME/gonogo)\n\
         \n[ui]\n\
         theme = \"{}\"     # dark, light, contrast, colour-blind, mono\n\
         ascii = {}      # only ASCII signs\n\
         \n## ── backends ──────────────────────────────────────────────────────────────────\n",
        mode_name(Mode::ReadWrite),
        ui.theme.name(),
        ui.ascii,
    )
    .expect("writing to a string cannot fail");
    for factory in REGISTRY {
        text.push('\n');
        text.push_str(&commented(factory.example()));
    }
    text.push_str(REST);
    text
}

/// A section with every line commented out; one that is so already stays.
fn commented(section: &str) -> String {
    let section = section.trim();
    let already = section.starts_with('#');
    let mut text = String::with_capacity(section.len());
    for line in section.lines() {
        if !already {
            text.push_str(if line.is_empty() { "#" } else { "# " });
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// A commented section as it would be without its comment signs: one `# ` less
/// on every line.
pub fn uncommented(section: &str) -> String {
    let mut text = String::with_capacity(section.len());
    for line in section.lines() {
        let bare = line.strip_prefix("# ").or_else(|| line.strip_prefix('#'));
        text.push_str(bare.unwrap_or(line));
        text.push('\n');
    }
    text
}
