//! Configurations, right and wrong, as files.

use std::{fs, path::Path, sync::Arc};

use gonogo::{
    backend::Env,
    config::{Config, Origin, Problems, Surroundings, example, read, read_text},
    engine::clear::Mode,
};

use crate::support::setup;

fn surroundings(set: &'static [(&'static str, &'static str)]) -> Surroundings {
    let env: Env = Arc::new(move |name| {
        let found = set.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    Surroundings {
        now: Arc::new(setup::start),
        env,
    }
}

fn parse(text: &str) -> Result<Config, Problems> {
    read_text(text, Path::new("gonogo.toml"), &surroundings(&[]))
}

/// Every file under `invalid` ends with what is wrong with it, one line each.
#[test]
fn every_mistake_is_named_with_its_line_and_column() {
    let folder = Path::new("tests/fixtures/config/invalid");
    let mut wrong = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let expected: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# expect: "))
            .collect();
        let problems = read(&path, &surroundings(&[])).err().unwrap();
        let found: Vec<String> = problems
            .list
            .iter()
            .map(|it| format!("{}:{}: {}", it.line.unwrap(), it.column, it.message))
            .collect();
        if found != expected {
            wrong.push_str(&format!("{}:\n", path.display()));
            for line in &found {
                wrong.push_str(&format!("# expect: {line}\n"));
            }
        }
        assert!(!problems.to_string().contains("topsecret"), "{problems}");
    }
    assert!(wrong.is_empty(), "found instead:\n{wrong}");
}

#[test]
fn a_file_that_says_nothing_is_everything_at_its_default() {
    let config = parse("").unwrap();
    assert_eq!(config.mode, Mode::ReadWrite);
    assert_eq!(config.ui, gonogo::config::Ui::default());
    assert!(
        config
            .settings
            .iter()
            .all(|setting| setting.origin == Origin::Default)
    );
    assert_eq!(config.remarks.len(), 1);
}

#[test]
fn the_example_is_the_one_the_code_writes_and_its_global_keys_are_the_defaults() {
    let path = Path::new("config.example.toml");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, example::text()).unwrap();
    }
    let text = fs::read_to_string(path).unwrap();
    assert!(
        text == example::text(),
        "out of date: run with UPDATE_DOCS=1"
    );
    let (written, default) = (parse(&text).unwrap(), parse("").unwrap());
    assert_eq!(written.mode, default.mode);
    assert_eq!(written.ui, default.ui);
    assert_eq!(written.ledger, default.ledger);
    // What holds by default is what is written, key by key.
    for setting in &default.settings {
        let same = written
            .settings
            .iter()
            .find(|it| it.key == setting.key)
            .unwrap();
        assert_eq!(same.value, setting.value, "{}", setting.key);
        assert!(
            matches!(same.origin, Origin::File { .. }),
            "{} is not in the example",
            setting.key
        );
    }
}

#[test]
fn the_environment_decides_looks_only_where_the_file_says_nothing() {
    let plain = surroundings(&[("NO_COLOR", "1"), ("LANG", "C")]);
    let config = read_text("", Path::new("gonogo.toml"), &plain).unwrap();
    assert_eq!(config.ui.theme, gonogo::config::Theme::Mono);
    assert!(config.ui.ascii);
    let theme = config
        .settings
        .iter()
        .find(|it| it.key == "ui.theme")
        .unwrap();
    assert_eq!(
        (theme.value.as_str(), &theme.origin),
        ("\"mono\"", &Origin::Env("NO_COLOR"))
    );
    let config = read_text("[ui]\ntheme = \"light\"", Path::new("gonogo.toml"), &plain).unwrap();
    assert_eq!(config.ui.theme, gonogo::config::Theme::Light);
}

#[test]
fn a_file_that_is_not_there_says_how_to_make_one() {
    let problems = read(Path::new("/nonexistent/gonogo.toml"), &surroundings(&[]))
        .err()
        .unwrap();
    let text = problems.to_string();
    assert!(
        text.contains("/nonexistent/gonogo.toml: cannot be read"),
        "{text}"
    );
    assert!(text.contains("gonogo init"), "{text}");
}

/// The example as it would be with nothing commented out.
fn everything() -> String {
    let text = example::text();
    let (head, rest) = text.split_once("## ── backends").unwrap();
    let rest = example::uncommented(&format!("## ── backends{rest}"));
    format!("{head}{rest}")
}

#[test]
fn every_section_of_the_example_is_built_once_and_all_fit_together() {
    let config = parse(&everything()).unwrap_or_else(|problems| panic!("{problems}"));
    let built: Vec<&str> = config.backends.iter().map(|backend| backend.kind).collect();
    for factory in gonogo::backend::REGISTRY {
        assert!(
            built.contains(&factory.kind()),
            "{} is not built",
            factory.kind()
        );
    }
    let service = config.catalog.services.values().next().unwrap();
    assert_eq!(service.places.len(), 2);
    assert_eq!(service.metrics.len(), 2, "one per metric and place");
    assert!(
        service.metrics[0].canary.contains("ns=\"recsys"),
        "{}",
        service.metrics[0].canary
    );
    assert_eq!(
        config.catalog.policies.values().next().unwrap().gates.len(),
        4
    );
    assert_eq!(config.remarks, Vec::<gonogo::domain::text::Clean>::new());
}

#[test]
fn a_policy_may_be_gone_past_unless_it_or_a_critical_environment_says_never() {
    let text = everything();
    let allowed = |text: &str| {
        let config = parse(text).unwrap_or_else(|problems| panic!("{problems}"));
        config
            .catalog
            .policies
            .values()
            .next()
            .unwrap()
            .override_allowed
    };
    let silent: String = text
        .lines()
        .filter(|line| !line.starts_with("override"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(!allowed(&text));
    assert!(!allowed(&silent), "prod-eu is critical");
    assert!(allowed(
        &silent.replace("critical = true", "critical = false")
    ));
    assert!(allowed(
        &text.replace("override = \"never\"", "override = \"allowed\"")
    ));
}

#[test]
fn the_digest_speaks_of_what_is_meant_and_not_of_credentials() {
    let text = everything();
    let digest = |text: &str| {
        parse(text)
            .unwrap_or_else(|problems| panic!("{problems}"))
            .catalog
            .digest
            .clone()
    };
    assert_eq!(
        digest(&text),
        digest(&text.replace("# What releases", "# Which releases"))
    );
    assert_ne!(
        digest(&text),
        digest(&text.replace("above = 250", "above = 251"))
    );
    assert!(digest(&text).starts_with("sha256:"));
}

#[test]
fn explain_shows_every_value_with_its_line_and_no_credential() {
    let text = everything();
    let config = parse(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let of = |key: &str| config.settings.iter().find(|it| it.key == *key).unwrap();
    let policy = of("service.recsys.policy");
    let line = text
        .lines()
        .position(|line| line.starts_with("policy = "))
        .unwrap()
        + 1;
    assert_eq!(
        (policy.value.as_str(), &policy.origin),
        ("\"prod-high\"", &Origin::File { line })
    );
    assert_eq!(of("backend.gh.token").value, "\"cmd:gh …\"");
    assert_eq!(of("environment.staging.critical").origin, Origin::Default);
}

#[test]
fn a_family_a_backend_does_not_have_is_named() {
    let text = everything().replace(
        "model = { backend = \"mlflow\"",
        "model = { backend = \"gh\"",
    );
    let problems = parse(&text).err().unwrap().to_string();
    assert!(
        problems.contains("backend `gh` (github_actions) has no registered models"),
        "{problems}"
    );
}

/// The example with one of its texts replaced, and what is wrong with it then.
fn problem(from: &str, to: &str) -> String {
    let text = everything();
    assert!(text.contains(from), "the example does not hold `{from}`");
    let problems = parse(&text.replacen(from, to, 1)).err();
    problems.map_or_else(String::new, |problems| problems.to_string())
}

#[test]
fn limits_are_in_the_unit_of_what_they_limit() {
    // The metric's own line is followed by one about aggregates.
    let metric = "unit = \"ms\"\n# aggregate";
    let seconds = problem(metric, "unit = \"s\"\n# aggregate");
    assert!(
        seconds.contains(
            "gate `latency` is in `ms`, and metric `latency_p95` of service `recsys` in `s`"
        ),
        "{seconds}"
    );
    let none = problem(metric, "# aggregate");
    assert!(none.contains("in `ms`, and metric `latency_p95` of service `recsys` in no unit"));
    // A gate that names none is in the metric's.
    let adopted = everything().replacen("above = 250 }\nunit = \"ms\"", "above = 250 }", 1);
    let config = parse(&adopted).unwrap_or_else(|problems| panic!("{problems}"));
    let policy = config.catalog.policies.values().next().unwrap();
    let latency = policy.gates.iter().find(|gate| gate.class == 'L').unwrap();
    assert_eq!(latency.unit, "ms");
    // A latency without any unit is a guess.
    let unitless = adopted.replacen(metric, "# aggregate", 1);
    let problems = parse(&unitless).err().unwrap().to_string();
    assert!(
        problems.contains("is about latency, and metric `latency_p95`"),
        "{problems}"
    );
}

#[test]
fn a_guard_needs_a_query_that_counts() {
    let text = everything();
    let traffic = text
        .lines()
        .find(|line| line.starts_with("traffic = "))
        .unwrap();
    let problems = problem(traffic, "");
    assert!(
        problems.contains("gate `latency` asks for traffic, and metric `latency_p95` of service `recsys` has no `traffic` query"),
        "{problems}"
    );
    let once = problem(
        "fail = { below = 0.90 }",
        "fail = { below = 0.90 }\nmin_traffic = 3",
    );
    assert!(
        once.contains("means nothing for a model's metric"),
        "{once}"
    );
}

#[test]
fn windows_are_as_wide_as_the_queries_look_back_and_never_narrower() {
    let config = parse(&everything()).unwrap_or_else(|problems| panic!("{problems}"));
    let service = config.catalog.services.values().next().unwrap();
    assert_eq!(
        service.metrics[0].window,
        std::time::Duration::from_secs(120)
    );
    let range = "range = \"30m\"";
    let overlap = problem(range, "range = \"30m\"\nwindow = \"90s\"");
    assert!(
        overlap.contains("windows of 1m 30s would overlap: this query looks back 2m"),
        "{overlap}"
    );
    assert_eq!(problem(range, "range = \"30m\"\nwindow = \"5m\""), "");
}
