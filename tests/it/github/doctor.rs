//! The section of the configuration, and what `doctor` says.

use gonogo::{
    backend::{Check, CheckResult, REGISTRY},
    domain::catalog::Catalog,
};
use serde_json::json;

use super::{TOKEN, bench, bench_at, build, repo, waiting_hub};
use crate::support::{script::Reply, setup::setup};

fn results(checks: &[Check]) -> Vec<(&str, CheckResult)> {
    checks
        .iter()
        .map(|check| (check.what.as_str(), check.result))
        .collect()
}

#[tokio::test]
async fn doctor_names_what_works_and_what_is_missing() {
    let hub = waiting_hub();
    let user = Reply::json(200, &json!({"login": "grace"}))
        .with("x-oauth-scopes", "repo, workflow")
        .with("date", "Tue, 10 Mar 2026 12:01:00 GMT");
    hub.set("GET /user", user);
    let workflow = include_str!("../../fixtures/github/openapi-workflow.json");
    hub.set(
        &repo("/actions/workflows/ml-cicd.yml"),
        Reply::text(200, "application/json", workflow),
    );
    let server = hub.serve().await;
    let checks = bench(&server).backend.probe.probe().await;
    assert_eq!(
        results(&checks),
        [
            ("reach", CheckResult::Good),
            ("version", CheckResult::Good),
            ("clock", CheckResult::Remark),
            ("identity", CheckResult::Good),
            ("token", CheckResult::Good),
            ("workflow acme/recsys ml-cicd.yml", CheckResult::Good),
            (
                "permission rerun, cancel, dispatch on acme/recsys",
                CheckResult::Good
            ),
        ]
    );
    assert_eq!(checks[2].seen, "GitHub is 60 s off from here");
    assert_eq!(checks[3].seen, "grace");
    assert!(server.mutations().is_empty());
}

#[tokio::test]
async fn doctor_tells_a_refused_token_from_a_server_that_is_out() {
    let hub = waiting_hub();
    let refused = json!({"message": format!("Bad credentials {TOKEN}")});
    hub.set("GET /user", Reply::json(401, &refused));
    let server = hub.serve().await;
    let checks = bench(&server).backend.probe.probe().await;
    assert_eq!(results(&checks), [("reach", CheckResult::Denied)]);
    assert!(!format!("{checks:?}").contains(TOKEN));
    let checks = bench_at("http://127.0.0.1:9").backend.probe.probe().await;
    assert_eq!(results(&checks), [("reach", CheckResult::Out)]);
    assert!(!checks[0].remedy.is_empty());
}

#[tokio::test]
async fn doctor_names_a_workflow_that_does_not_exist() {
    let hub = waiting_hub();
    hub.set(
        &repo(""),
        Reply::json(200, &json!({"permissions": {"push": false}})),
    );
    let server = hub.serve().await;
    let checks = bench(&server).backend.probe.probe().await;
    let found = results(&checks);
    assert!(found.contains(&("workflow acme/recsys ml-cicd.yml", CheckResult::Denied)));
    let what = "permission rerun, cancel, dispatch on acme/recsys";
    assert!(found.contains(&(what, CheckResult::Denied)));
}

#[test]
fn the_example_is_a_section_that_builds() {
    let factory = REGISTRY
        .iter()
        .find(|factory| factory.kind() == "github_actions")
        .unwrap();
    let section: String = factory
        .example()
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap().to_owned() + "\n")
        .collect();
    let mut section: toml::Table = toml::from_str(&section).unwrap();
    let mut section = section.remove("backend").unwrap();
    let section = section.as_table_mut().unwrap();
    let gh = section["gh"].as_table_mut().unwrap();
    assert_eq!(gh.remove("kind").unwrap().as_str(), Some("github_actions"));
    let values: Vec<String> = gh
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    let inline = format!("{{ {} }}", values.join(", "));
    let backend = build(&inline, &setup(Catalog::default(), &[])).unwrap();
    // What the example spells out is what holds without it.
    let plain = build("{}", &setup(Catalog::default(), &[])).unwrap();
    assert_eq!(backend.cadence, plain.cadence);
    assert_eq!(
        backend.feeds.len(),
        1,
        "nothing is configured to be watched"
    );
}

#[test]
fn a_section_that_is_wrong_says_what_was_expected() {
    let setup = setup(Catalog::default(), &[]);
    for (section, words) in [
        (
            "{ tokn = 'env:X' }",
            "unknown field `tokn`, expected one of `url`, `token`",
        ),
        ("{ token = 'ghp_planted9' }", "a reference to a secret"),
        ("{ poll = 'often' }", "a time such as"),
        (
            "{ url = 'https://github.com/acme' }",
            "its API is at https://api.github.com",
        ),
        (
            "{ url = 'https://me:planted9@ghe.example.com/api/v3' }",
            "must not hold credentials",
        ),
    ] {
        let error = build(section, &setup).err().unwrap();
        assert!(error.message().contains(words), "{}", error.message());
        assert!(!error.message().contains("planted9"), "{}", error.message());
    }
}
