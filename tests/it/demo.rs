//! The demo's worlds and the rest of the program: what a scenario writes, the
//! configuration must take; what it tells, the engine must conclude.

use std::{sync::Arc, time::Duration};

use gonogo::{
    app::{self, Assembly, Handle, Person},
    config::{Surroundings, read},
    domain::{
        Timestamp,
        id::{EnvironmentName, ServiceName},
        verdict::{Decision, Verdict, Word},
    },
    engine::{lane::Place, world::World},
    sim::{Sim, clock::Clock, scenario},
    store::{Ledger, Paths, Writer},
};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::support::setup;

/// A demo and the program on it.
struct Show {
    sim: Sim,
    handle: Handle,
    folder: TempDir,
}

async fn show(name: &str, speed: f64) -> Show {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (begins, started) = (setup::start(), Instant::now());
    let now: Arc<dyn Fn() -> Timestamp + Send + Sync> =
        Arc::new(move || begins + chrono::TimeDelta::from_std(started.elapsed()).unwrap());
    let scenario = scenario::load(name).unwrap();
    let sim = Sim::start(&scenario, Clock::new(now.clone(), speed))
        .await
        .unwrap();
    println!("{name}: an hour of history in {:?}", started.elapsed());
    let folder = tempfile::tempdir().unwrap();
    sim.write(folder.path()).unwrap();
    let surroundings = Surroundings {
        now: now.clone(),
        env: Arc::new(|_| None),
    };
    let config = read(&folder.path().join("config.toml"), &surroundings)
        .unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
    assert!(config.remarks.is_empty(), "{name}: {:?}", config.remarks);
    let handle = app::start(Assembly {
        catalog: config.catalog,
        backends: config.backends,
        ledger: Ledger::new(
            Paths::with_ledger(folder.path().join("ledger.jsonl")),
            Writer::this_process(),
        ),
        person: Person {
            os_user: "mk".into(),
        },
        now,
        kill: None,
    });
    Show {
        sim,
        handle,
        folder,
    }
}

/// A lane's place and the decision about its release, as text for failures too.
fn told(world: &World, service: &str, environment: &str) -> Option<(Place, Arc<Decision>)> {
    let id = (ServiceName::new(service), EnvironmentName::new(environment));
    let lane = world.lanes.get(&id)?;
    let decision = world.decision(lane.release()?, &lane.environment)?;
    Some((lane.place.clone(), Arc::clone(decision)))
}

fn account(world: &World) -> String {
    let mut text = String::new();
    for ((service, environment), lane) in world.lanes.iter() {
        text.push_str(&format!(
            "{service} {environment}: {:?} release {:?} waits {:?}\n",
            lane.place,
            lane.release().map(|id| id.text().to_string()),
            lane.waits_for
        ));
        let decision = lane
            .release()
            .and_then(|id| world.decision(id, &lane.environment));
        for finding in decision.iter().flat_map(|decision| &decision.findings) {
            text.push_str(&format!(
                "| {} {:?} {}\n",
                finding.gate, finding.verdict, finding.reason
            ));
        }
        text.push_str(&format!(
            "|→ {:?}\n",
            decision.map(|decision| decision.word)
        ));
    }
    text
}

impl Show {
    /// Waits until `seen` holds for a lane; what was seen last is in the panic.
    async fn until(
        &self,
        service: &str,
        environment: &str,
        seen: impl Fn(&Place, &Decision) -> bool,
    ) {
        let mut worlds = self.handle.worlds();
        let wanted = worlds.wait_for(|world| {
            told(world, service, environment)
                .is_some_and(|(place, decision)| seen(&place, &decision))
        });
        let seen = timeout(Duration::from_secs(25), wanted).await.is_ok();
        assert!(seen, "never seen\n{}", account(&self.handle.world()));
    }

    async fn end(self) {
        self.handle.shutdown().await;
        self.sim.stop().await;
        drop(self.folder);
    }
}

fn verdict(decision: &Decision, gate: &str) -> Option<Verdict> {
    let finding = decision
        .findings
        .iter()
        .find(|finding| finding.gate.as_str() == gate);
    finding.map(|finding| finding.verdict)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canary_is_a_go_that_waits_for_two_people() {
    let show = show("canary", 4.0).await;
    show.until("recsys-ranker", "prod-eu", |place, decision| {
        let asked = matches!(place, Place::Canary { weight, pause: Some(pause), .. }
            if weight.get() == 30 && pause.ends_at.is_none());
        asked && decision.word == Word::Go
    })
    .await;
    show.until("recsys-ranker", "prod-us", |place, decision| {
        matches!(place, Place::Approval { .. }) && decision.word == Word::Go
    })
    .await;
    show.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_ends_as_a_no_go_of_one_gate() {
    let show = show("latency", 4.0).await;
    show.until("fraud-score", "prod-eu", |place, decision| {
        matches!(place, Place::Canary { .. })
            && decision.word == Word::NoGo
            && verdict(decision, "latency") == Some(Verdict::Fail)
            && verdict(decision, "errors") == Some(Verdict::Pass)
    })
    .await;
    show.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fairness_is_a_no_go_before_the_approval() {
    let show = show("fairness", 4.0).await;
    show.until("med-imaging", "prod-eu", |place, decision| {
        matches!(place, Place::Approval { .. })
            && decision.word == Word::NoGo
            && verdict(decision, "fairness") == Some(Verdict::Fail)
            && verdict(decision, "accuracy") == Some(Verdict::Pass)
    })
    .await;
    show.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incident_is_a_no_go_of_what_is_live() {
    let show = show("incident", 4.0).await;
    show.until("price-elastic", "prod-eu", |place, decision| {
        matches!(place, Place::Live)
            && decision.word == Word::NoGo
            && verdict(decision, "errors") == Some(Verdict::Fail)
    })
    .await;
    show.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stuck_and_hostile_and_faults_are_seen_through() {
    let stuck = show("stuck", 1.0).await;
    for environment in ["prod-us", "prod-eu"] {
        let asked = |place: &Place, decision: &Decision| {
            matches!(place, Place::Approval { .. }) && decision.word == Word::Go
        };
        stuck.until("search-embed", environment, asked).await;
    }
    stuck.end().await;
    for (name, service) in [("hostile", "hostile"), ("faults", "recsys-ranker")] {
        let show = show(name, 1.0).await;
        show.until(service, "prod-eu", |_, decision| decision.word == Word::Go)
            .await;
        show.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_holds_every_kind_of_row() {
    let show = show("fleet", 2.0).await;
    let place = async |service: &str, environment: &str, wanted: fn(&Place) -> bool| {
        show.until(service, environment, |place, _| wanted(place))
            .await;
    };
    place("recsys-ranker", "prod-eu", |place| {
        matches!(place, Place::Canary { held: true, .. })
    })
    .await;
    place("fraud-score", "prod-us", |place| {
        matches!(place, Place::Approval { .. })
    })
    .await;
    place("energy-forecast", "prod-eu", |place| {
        matches!(place, Place::Pipeline { .. })
    })
    .await;
    place("nlp-intent", "prod-eu", |place| {
        matches!(place, Place::RunFailed)
    })
    .await;
    place("geo-eta", "prod-eu", |place| {
        matches!(place, Place::Aborted)
    })
    .await;
    place("search-embed", "prod-eu", |place| {
        matches!(place, Place::Live)
    })
    .await;
    place("ocr-invoice", "prod-eu", |place| {
        matches!(place, Place::Live)
    })
    .await;
    show.until("med-imaging", "prod-us", |_, decision| {
        decision.word == Word::NoGo
    })
    .await;
    show.until("churn", "prod-us", |_, decision| {
        decision.word == Word::HoldNotProven
    })
    .await;
    let world = show.handle.world();
    assert!(
        world.lanes.values().any(|lane| lane.critical),
        "BRAKE is seen"
    );
    assert_eq!(world.lanes.len(), 13);
    show.end().await;
}
