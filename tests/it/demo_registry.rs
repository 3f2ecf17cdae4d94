//! The registry and metric adapters on the demo's world.

use gonogo::{
    app::clock::wall,
    backend::{Backend, ErrorKind},
    domain::{
        action::ModelOrder,
        catalog::{Aggregate, MetricSpec},
        id::{ModelId, Version},
        measure::Sample,
        model::RegisteredModel,
        observation::Fact,
        text::Clean,
    },
    sim::{Sim, clock::Clock, scenario},
};

use crate::support::{
    backend::{Told, build, feed, look},
    release::{catalog, metric, model},
    setup::setup,
};

async fn demo(name: &str) -> Sim {
    let scenario = scenario::load(name).unwrap();
    Sim::start(&scenario, Clock::new(wall(), 1.0))
        .await
        .unwrap()
}

/// The demo's registry as a backend, and the model in it.
fn registry(sim: &Sim) -> (Backend, ModelId) {
    let at = &sim.endpoints().mlflow;
    let id = ModelId {
        name: Clean::name(&at.model),
        ..model()
    };
    let mut catalog = catalog(Vec::new());
    for service in catalog.services.values_mut() {
        service.model.as_mut().unwrap().model = id.clone();
    }
    let mut setup = setup(catalog, &[("TOKEN", &at.token)]);
    setup.now = wall();
    let section = format!("{{ url = '{}', token = 'env:TOKEN' }}", at.url);
    (build("mlflow", &section, &setup).unwrap(), id)
}

async fn told(sim: &Sim) -> Told {
    let (backend, id) = registry(sim);
    let part = format!("model {}", id.name);
    look(&mut *feed(backend, &part)).await.unwrap()
}

fn registered(told: &Told) -> RegisteredModel {
    let mut models = told.facts().filter_map(|fact| match fact {
        Fact::Model(model) => Some(model.clone()),
        _ => None,
    });
    models.next().unwrap()
}

fn newest(told: &Told) -> Version {
    let versions = told.facts().filter_map(|fact| match fact {
        Fact::Version(version) => Some(version.version),
        _ => None,
    });
    versions.max().unwrap()
}

#[tokio::test]
async fn the_demos_champion_is_moved_and_read_back() {
    let sim = demo("canary").await;
    let (backend, id) = registry(&sim);
    let controls = backend.controls.model.clone().unwrap();
    let access = look(&mut *feed(backend, "access")).await.unwrap();
    let named = access
        .facts()
        .any(|fact| matches!(fact, Fact::Identity(who) if who.name.is_some()));
    assert!(named, "the demo's registry has users");

    let before = told(&sim).await;
    assert!(before.failures.is_empty(), "{:#?}", before.failures);
    let champion = registered(&before).aliases["champion"];
    let candidate = newest(&before);
    assert!(champion < candidate, "a candidate is on its way");
    let run = before.facts().find_map(|fact| match fact {
        Fact::ModelRun(run) if run.version == candidate => Some(run),
        _ => None,
    });
    let run = run.expect("the candidate's run is told");
    assert!(run.metrics.values().all(|value| value.is_finite()));
    assert_eq!(run.tags["mlflow.source.git.commit"].len(), 40);

    let order = ModelOrder {
        model: id,
        alias: "champion".into(),
        to: candidate,
        expected: Some(champion),
    };
    let receipt = controls.send(&order).await.unwrap();
    let expected = format!("read back: champion is {candidate}");
    assert_eq!(receipt.note.as_str(), expected);
    assert_eq!(registered(&told(&sim).await).aliases["champion"], candidate);
    let acts = sim.acts();
    assert_eq!(
        acts.iter().filter(|act| act.starts_with("mlflow")).count(),
        1
    );
    sim.stop().await;
}

#[tokio::test]
async fn every_scenarios_registry_and_metrics_are_read_without_trouble() {
    for summary in scenario::list() {
        let name = &summary.name;
        let sim = demo(name).await;
        let (backend, id) = registry(&sim);
        if id.name == *sim.endpoints().mlflow.model {
            let checks = backend.probe.probe().await;
            assert!(
                checks.iter().all(|check| check.remedy.is_empty()),
                "{name}: {checks:#?}"
            );
            let read = told(&sim).await;
            assert!(read.failures.is_empty(), "{name}: {:#?}", read.failures);
        } else {
            // A name that had to be cleaned names nothing any more.
            let part = format!("model {}", id.name);
            let error = look(&mut *feed(backend, &part)).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }

        let at = &sim.endpoints().prometheus;
        let spec = MetricSpec {
            canary: at.query.clone().into(),
            aggregate: Some(Aggregate::Max),
            ..metric("demo")
        };
        let mut setup = setup(catalog(vec![spec]), &[("TOKEN", &at.token)]);
        setup.now = wall();
        let section = format!("{{ url = '{}', token = 'env:TOKEN' }}", at.url);
        let backend = build("prometheus", &section, &setup).unwrap();
        let read = look(&mut *feed(backend, "metrics")).await.unwrap();
        assert!(read.failures.is_empty(), "{name}: {:#?}", read.failures);
        let measured = read.facts().any(
            |fact| matches!(fact, Fact::Measure(one) if matches!(one.sample, Sample::Value(_))),
        );
        assert!(measured, "{name}: {read:#?}");
        let drawn = read
            .facts()
            .any(|fact| matches!(fact, Fact::Series(series) if series.points.len() > 100));
        assert!(drawn, "{name}: half an hour of the past");
        sim.stop().await;
    }
}
