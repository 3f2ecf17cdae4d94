//! The adapters against servers other people wrote, where one is named.
//!
//! `tests/real/run mlflow prometheus` starts them and names them in
//! `GONOGO_REAL_MLFLOW` (with a model in `GONOGO_REAL_MODEL`, versions 1 to 3,
//! champion 1) and `GONOGO_REAL_PROMETHEUS` (scraping two tracks); the plane's
//! lane names its `env.json` in `GONOGO_REAL_PLANE` and the source of its
//! controller in `GONOGO_REAL_ARGO_SOURCE`. Without them these tests say that
//! they did not run.

mod argo;
mod cluster;
mod plane;

use std::sync::Arc;

use gonogo::{
    app::clock::wall,
    backend::{CheckResult, ErrorKind, ModelControls, Setup},
    domain::{
        action::ModelOrder,
        catalog::{Aggregate, MetricSpec},
        id::{ModelId, Version},
        measure::{Arm, Sample},
        model::{ModelRunStatus, RegisteredModel},
        observation::Fact,
        text::Clean,
    },
};

use crate::support::{
    backend::{Told, build, feed, look},
    release::{catalog, metric, model},
    setup::setup,
};

fn named(variable: &str) -> Option<String> {
    let value = std::env::var_os(variable).and_then(|value| value.into_string().ok());
    if value.is_none() {
        println!("did not run: `{variable}` names no server; see tests/real");
    }
    value
}

/// Rounds of a race, and writers in each.
const ROUNDS: u64 = 6;
const WRITERS: u64 = 6;

struct Registry {
    url: String,
    setup: Setup,
    id: ModelId,
}

impl Registry {
    fn named() -> Option<Self> {
        let url = named("GONOGO_REAL_MLFLOW")?;
        let name = named("GONOGO_REAL_MODEL")?;
        let mut catalog = catalog(Vec::new());
        let id = ModelId {
            name: Clean::name(&name),
            ..model()
        };
        for service in catalog.services.values_mut() {
            service.model.as_mut().unwrap().model = id.clone();
        }
        let setup = setup(catalog, &[]);
        Some(Self { url, setup, id })
    }

    fn backend(&self) -> gonogo::backend::Backend {
        build(
            "mlflow",
            &format!("{{ url = '{}' }}", self.url),
            &self.setup,
        )
        .unwrap()
    }

    fn controls(&self) -> Arc<dyn ModelControls> {
        self.backend().controls.model.unwrap()
    }

    async fn look(&self) -> Told {
        let part = format!("model {}", self.id.name);
        look(&mut *feed(self.backend(), &part)).await.unwrap()
    }

    async fn aliases(&self) -> RegisteredModel {
        let told = self.look().await;
        let mut models = told.facts().filter_map(|fact| match fact {
            Fact::Model(model) => Some(model.clone()),
            _ => None,
        });
        models.next().unwrap()
    }

    fn order(&self, alias: &str, to: u64, expected: Option<u64>) -> ModelOrder {
        ModelOrder {
            model: self.id.clone(),
            alias: Clean::name(alias),
            to: Version(to),
            expected: expected.map(Version),
        }
    }
}

#[tokio::test]
async fn a_real_registry_is_read_and_its_champion_moved_and_moved_back() {
    let Some(registry) = Registry::named() else {
        return;
    };
    let told = registry.look().await;
    assert!(told.failures.is_empty(), "{told:?}");
    let runs: Vec<_> = told
        .facts()
        .filter_map(|fact| match fact {
            Fact::ModelRun(run) => Some(run),
            _ => None,
        })
        .collect();
    assert_eq!(runs.len(), 3);
    for run in runs {
        assert_eq!(run.status, ModelRunStatus::Finished);
        let accuracy = run.metrics["accuracy"];
        assert!((0.0..=1.0).contains(&accuracy), "{accuracy}");
        assert_eq!(run.tags["mlflow.source.git.commit"].len(), 40);
        let contexts = run.datasets.iter().map(|data| data.context.as_deref());
        assert!(contexts.eq([Some("training"), Some("eval")]) || run.datasets.len() == 2);
    }

    let controls = registry.controls();
    let there = registry.order("champion", 2, Some(1));
    let receipt = controls.send(&there).await.unwrap();
    assert_eq!(receipt.note, "read back: champion is v2");
    assert_eq!(
        registry.aliases().await.aliases["champion"],
        Version(2),
        "seen by a look that began later"
    );
    let stale = registry.order("champion", 3, Some(1));
    let error = controls.send(&stale).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    let absent = registry.order("champion", 99, Some(2));
    let error = controls.send(&absent).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    let reserved = registry.order("latest", 2, None);
    let error = controls.send(&reserved).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
    let back = registry.order("champion", 1, Some(2));
    controls.send(&back).await.unwrap();
    assert_eq!(registry.aliases().await.aliases["champion"], Version(1));

    let checks = registry.backend().probe.probe().await;
    let bad = checks.iter().any(|check| check.result == CheckResult::Out);
    assert!(!bad, "{checks:#?}");
}

#[tokio::test]
async fn first_writers_that_race_on_a_real_registry_each_learn_where_it_ended() {
    let Some(registry) = Registry::named() else {
        return;
    };
    for round in 0..ROUNDS {
        let alias = format!("race-{round}-{}", std::process::id());
        let sends = (0..WRITERS).map(|writer| {
            let order = registry.order(&alias, writer % 3 + 1, None);
            let controls = registry.controls();
            async move { (order.to, controls.send(&order).await) }
        });
        let ended = futures::future::join_all(sends).await;
        let winner = registry.aliases().await.aliases[alias.as_str()];
        for (to, result) in ended {
            match result {
                // Read back as its own: it was so for a while at least.
                Ok(receipt) => println!("{alias} {to}: {}", receipt.note),
                Err(error) => {
                    println!("{alias} {to}: {error}");
                    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
                }
            }
        }
        println!("{alias} ended at {winner}");
    }
}

#[tokio::test]
async fn a_real_prometheus_measures_two_arms_and_draws_their_charts() {
    let Some(url) = named("GONOGO_REAL_PROMETHEUS") else {
        return;
    };
    let rate = |track: &str| format!("sum(rate(requests_total{{track=\"{track}\"}}[5s]))").into();
    let metrics = vec![
        MetricSpec {
            canary: rate("canary"),
            stable: Some(rate("stable")),
            traffic: Some("sum(request_seconds_count{track=\"canary\"})".into()),
            range: std::time::Duration::from_secs(60),
            ..metric("rate")
        },
        MetricSpec {
            canary: "request_seconds_count".into(),
            ..metric("several")
        },
        MetricSpec {
            canary: "request_seconds_count".into(),
            aggregate: Some(Aggregate::Max),
            ..metric("largest")
        },
        metric("nothing_here"),
        MetricSpec {
            canary: "vector(0) / 0".into(),
            ..metric("ratio")
        },
        MetricSpec {
            canary: "sum(".into(),
            ..metric("slip")
        },
    ];
    let mut setup = setup(catalog(metrics), &[]);
    // A real server wants real time.
    setup.now = wall();
    let section = format!(
        "{{ url = '{url}', fresh = {{ ranker = 'max(timestamp(request_seconds_count))' }} }}"
    );
    let mut poll = feed(build("prometheus", &section, &setup).unwrap(), "metrics");
    let told = look(&mut *poll).await.unwrap();
    let sample = |name: &str, arm: Arm| {
        let mut found = told.facts().filter_map(|fact| match fact {
            Fact::Measure(measure)
                if measure.metric.metric.as_str() == name && measure.arm == arm =>
            {
                Some(measure)
            }
            _ => None,
        });
        found.next().unwrap()
    };
    for arm in [Arm::Canary, Arm::Stable, Arm::Traffic] {
        let measure = sample("rate", arm);
        assert!(
            matches!(measure.sample, Sample::Value(value) if value > 1.0),
            "{measure:?}"
        );
        let age = (setup.now)() - measure.at;
        assert!(age.num_seconds() < 10, "{age}");
    }
    assert_eq!(sample("several", Arm::Canary).sample, Sample::Several(2));
    assert!(matches!(
        sample("largest", Arm::Canary).sample,
        Sample::Value(_)
    ));
    assert_eq!(sample("nothing_here", Arm::Canary).sample, Sample::Empty);
    assert_eq!(
        sample("ratio", Arm::Canary).sample,
        Sample::NotFinite("NaN".into())
    );
    let slip = told.failure("metric ranker/prod/slip");
    assert_eq!(slip.kind, ErrorKind::Rejected);
    assert!(slip.message.contains("parse error"), "{slip:?}");
    let chart = told.batch("chart ranker/prod/rate");
    assert_eq!(chart.facts.len(), 2, "canary and stable");
    for fact in &chart.facts {
        let Fact::Series(series) = fact else {
            panic!("{fact:?}");
        };
        assert!(!series.points.is_empty(), "{series:?}");
        assert!(series.points.is_sorted_by_key(|point| point.0));
    }
}
