//! The MLflow adapter against a small registry.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use gonogo::{
    backend::{CheckResult, ErrorKind, Focus, ModelControls, Setup},
    domain::{
        action::{ActionKind, ModelOrder, Subject},
        id::Version,
        observation::{Basis, Fact},
        permit::Permit,
    },
};
use serde_json::json;

use crate::support::{
    backend::{Told, build, example, feed, fixture_json, look, look_with},
    registry::Registry,
    release::{catalog, model},
    script::{Reply, Script},
    setup::setup,
};

const PASSWORD: &str = "planted-mlflow-password-1";

struct Bench {
    server: Script,
    registry: Arc<Mutex<Registry>>,
    setup: Setup,
}

impl Bench {
    async fn new(registry: Registry) -> Self {
        let registry = Arc::new(Mutex::new(registry));
        let state = registry.clone();
        let server = Script::start(move |seen| state.lock().unwrap().answer(seen)).await;
        Self {
            server,
            registry,
            setup: setup(catalog(Vec::new()), &[("PASSWORD", PASSWORD)]),
        }
    }

    fn backend(&self) -> gonogo::backend::Backend {
        let section = format!(
            "{{ url = '{}', username = 'oncall', password = 'env:PASSWORD', timeout = '300ms' }}",
            self.server.url()
        );
        build("mlflow", &section, &self.setup).unwrap()
    }

    fn controls(&self) -> Arc<dyn ModelControls> {
        self.backend().controls.model.unwrap()
    }

    async fn look(&self, part: &str) -> Told {
        look(&mut *feed(self.backend(), part)).await.unwrap()
    }
}

fn order(expected: Option<u64>) -> ModelOrder {
    ModelOrder {
        model: model(),
        alias: "champion".into(),
        to: Version(2),
        expected: expected.map(Version),
    }
}

fn permits(told: &Told) -> Vec<&Permit> {
    let permits = told.facts().filter_map(|fact| match fact {
        Fact::Permit(permit) => Some(permit),
        _ => None,
    });
    permits.collect()
}

#[tokio::test]
async fn a_look_tells_the_model_its_versions_and_the_runs_behind_them() {
    let bench = Bench::new(Registry::with_champion(1)).await;
    let told = bench.look("model wdbc-screening").await;

    let batch = told.batch("model wdbc-screening");
    assert!(batch.complete);
    assert!(matches!(batch.basis, Basis::Asked(asked) if asked <= batch.at));
    let Fact::Model(registered) = &batch.facts[0] else {
        panic!("the model comes first: {:?}", batch.facts[0]);
    };
    assert_eq!(registered.aliases["champion"], Version(1));
    let page = format!("{}/#/models/wdbc-screening", bench.server.url());
    assert_eq!(registered.url.as_deref(), Some(page.as_str()));
    let versions: Vec<_> = batch
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Version(version) => Some(version.version.0),
            _ => None,
        })
        .collect();
    assert_eq!(versions, [1, 2, 3]);

    let runs = told
        .batches
        .iter()
        .filter(|batch| batch.scope.part.contains(" run v"));
    assert_eq!(runs.count(), 3);
    let second = told.batch("model wdbc-screening run v2");
    assert!(second.complete);
    let [Fact::ModelRun(run)] = &second.facts[..] else {
        panic!("{second:?}");
    };
    assert_eq!(run.version, Version(2));
    assert_eq!(
        run.tags["mlflow.source.git.commit"],
        "9b1de0aa77c34f0e8d2a6c5b4f3e2d1c0b9a8877"
    );
}

#[tokio::test]
async fn versions_with_an_alias_are_read_even_when_they_are_too_old_for_the_list() {
    let bench = Bench::new(Registry {
        aliases: [("champion", 2), ("old", 40), ("gone", 99)]
            .map(|(alias, version)| (alias.to_owned(), version))
            .into(),
        ..Registry::default()
    })
    .await;
    let told = bench.look("model wdbc-screening").await;
    let asked: Vec<String> = bench
        .server
        .seen()
        .iter()
        .filter(|seen| seen.path().ends_with("model-versions/get"))
        .map(|seen| seen.target.clone())
        .collect();
    assert_eq!(asked.len(), 2, "v40 and v99, not v2: {asked:?}");
    assert!(
        told.batch("model wdbc-screening").complete,
        "a version that vanished in between is no failure"
    );
}

#[tokio::test]
async fn registry_trap_6_an_empty_search_is_no_proof_that_there_are_no_versions() {
    let server = Script::start(|seen| match seen.path() {
        "/api/2.0/mlflow/registered-models/get" => {
            Reply::json(200, &fixture_json("mlflow/registered_models_get.json"))
        }
        // What the server also says to a request that it did not understand.
        "/api/2.0/mlflow/model-versions/search" => {
            Reply::json(200, &fixture_json("mlflow/error_bad_json.json"))
        }
        "/api/2.0/mlflow/runs/get" => Reply::json(200, &fixture_json("mlflow/runs_get.json")),
        _ => Reply::json(200, &fixture_json("mlflow/model_versions_get.json")),
    })
    .await;
    let setup = setup(catalog(Vec::new()), &[]);
    let section = format!("{{ url = '{}' }}", server.url());
    let backend = build("mlflow", &section, &setup).unwrap();
    let told = look(&mut *feed(backend, "model wdbc-screening"))
        .await
        .unwrap();
    let batch = told.batch("model wdbc-screening");
    assert!(
        !batch.complete,
        "nothing that is known may be removed by it"
    );
    let named = batch
        .facts
        .iter()
        .any(|fact| matches!(fact, Fact::Version(version) if version.version == Version(3)));
    assert!(named, "the model itself names v3");
}

#[tokio::test]
async fn registry_trap_8_a_run_that_has_ended_is_read_every_second_time_only() {
    let bench = Bench::new(Registry::with_champion(1)).await;
    let mut poll = feed(bench.backend(), "model wdbc-screening");
    let reads = || bench.registry.lock().unwrap().run_reads;
    look(&mut *poll).await.unwrap();
    assert_eq!(reads(), 3);
    let told = look(&mut *poll).await.unwrap();
    assert_eq!(reads(), 3);
    assert_eq!(
        told.batches.len(),
        1,
        "what was not read is not told, so that its age stays true"
    );
    look(&mut *poll).await.unwrap();
    assert_eq!(reads(), 6);
    let refresh = Focus {
        refresh: 1,
        ..Focus::default()
    };
    look_with(&mut *poll, &refresh).await.unwrap();
    assert_eq!(reads(), 9, "somebody asked for everything");
}

#[tokio::test]
async fn a_run_we_may_not_read_takes_neither_model_nor_other_runs_with_it() {
    let bench = Bench::new(Registry {
        run_status: Some(403),
        ..Registry::with_champion(1)
    })
    .await;
    let mut poll = feed(bench.backend(), "model wdbc-screening");
    let told = look(&mut *poll).await.unwrap();
    assert!(told.batch("model wdbc-screening").complete);
    let failure = told.failure("model wdbc-screening run v2");
    assert_eq!(failure.kind, ErrorKind::Forbidden);
    assert!(failure.message.contains("Permission denied"), "{failure:?}");

    // A deleted run is no trouble, and ends the trouble there was.
    bench.registry.lock().unwrap().run_status = Some(404);
    let told = look(&mut *poll).await.unwrap();
    assert!(told.failures.is_empty());
    assert!(told.batch("model wdbc-screening run v2").facts.is_empty());
}

#[tokio::test]
async fn a_run_of_no_more_interest_leaves_neither_facts_nor_trouble() {
    let bench = Bench::new(Registry {
        aliases: BTreeMap::from([("champion".to_owned(), 1), ("trial".to_owned(), 40)]),
        ..Registry::default()
    })
    .await;
    bench.registry.lock().unwrap().run_status = Some(500);
    let mut poll = feed(bench.backend(), "model wdbc-screening");
    let told = look(&mut *poll).await.unwrap();
    told.failure("model wdbc-screening run v40");
    bench.registry.lock().unwrap().aliases.remove("trial");
    let told = look(&mut *poll).await.unwrap();
    let last = told.batch("model wdbc-screening run v40");
    assert!(last.complete && last.facts.is_empty());
    let told = look(&mut *poll).await.unwrap();
    let again = told
        .batches
        .iter()
        .any(|batch| batch.scope.part.contains("v40"));
    assert!(!again);
}

#[tokio::test]
async fn who_we_are_is_told_where_the_server_has_users() {
    let bench = Bench::new(Registry {
        granted: Some("mlflow/auth/users_current_permissions_3_after.json"),
        ..Registry::default()
    })
    .await;
    let told = bench.look("access").await;
    let named = told
        .facts()
        .any(|fact| matches!(fact, Fact::Identity(who) if who.name.as_deref() == Some("oncall")));
    assert!(named, "{told:?}");
    let version = told
        .facts()
        .any(|fact| matches!(fact, Fact::Server(server) if server.version == "3.17.2"));
    assert!(version, "declared as HTML, and a version all the same");
    let permits = permits(&told);
    assert!(permits[0].allowed);
    assert_eq!(permits[0].kind, ActionKind::SetAlias);
    assert_eq!(permits[0].subject, Subject::Model(model()));
}

#[tokio::test]
async fn a_server_without_users_names_nobody_and_permits_nothing_for_certain() {
    let bench = Bench::new(Registry::default()).await;
    let told = bench.look("access").await;
    let unnamed = told
        .facts()
        .any(|fact| matches!(fact, Fact::Identity(who) if who.name.is_none()));
    assert!(unnamed);
    assert!(permits(&told).is_empty());
}

#[tokio::test]
async fn an_alias_is_moved_by_one_request_and_read_back() {
    let bench = Bench::new(Registry::with_champion(1)).await;
    let receipt = bench.controls().send(&order(Some(1))).await.unwrap();
    assert_eq!(receipt.note, "read back: champion is v2");
    let sent = bench.server.mutations();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        sent[0].json(),
        json!({"name": "wdbc-screening", "alias": "champion", "version": "2"})
    );
    assert_eq!(bench.registry.lock().unwrap().aliases["champion"], 2);
}

#[tokio::test]
async fn registry_trap_3_a_champion_that_moved_is_a_conflict_and_nothing_is_written() {
    let bench = Bench::new(Registry::with_champion(3)).await;
    let error = bench.controls().send(&order(Some(1))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(
        error
            .message
            .contains("registry moved: champion is v3, you saw v1"),
        "{error}"
    );
    assert!(bench.server.mutations().is_empty());

    let unset = bench.controls().send(&order(None)).await.unwrap_err();
    assert_eq!(unset.kind, ErrorKind::Conflict);
    assert!(unset.message.contains("you saw unset"), "{unset}");
    assert!(bench.server.mutations().is_empty());
}

#[tokio::test]
async fn registry_trap_3_a_writer_that_comes_right_after_is_told_and_not_fought() {
    let bench = Bench::new(Registry {
        // Read 1 is the check; read 2 reads back; the rival is seen by then.
        rival: Some((2, 3)),
        lag: 1,
        ..Registry::with_champion(1)
    })
    .await;
    let receipt = bench.controls().send(&order(Some(1))).await.unwrap();
    assert!(
        receipt
            .note
            .starts_with("conflict: champion reads v3 after it was set to v2"),
        "{}",
        receipt.note
    );
    assert_eq!(bench.server.mutations().len(), 1);
    assert_eq!(bench.registry.lock().unwrap().aliases["champion"], 3);
}

#[tokio::test]
async fn a_replica_that_lags_is_read_again_and_never_written_to_again() {
    let bench = Bench::new(Registry {
        lag: 2,
        ..Registry::with_champion(1)
    })
    .await;
    let receipt = bench.controls().send(&order(Some(1))).await.unwrap();
    assert_eq!(receipt.note, "read back: champion is v2");
    assert_eq!(bench.server.mutations().len(), 1);

    let bench = Bench::new(Registry {
        lag: usize::MAX,
        ..Registry::with_champion(1)
    })
    .await;
    let receipt = bench.controls().send(&order(Some(1))).await.unwrap();
    assert_eq!(
        receipt.note,
        "accepted, not read back in 900 ms: champion still reads v1"
    );
    assert_eq!(bench.server.mutations().len(), 1);
}

#[tokio::test]
async fn registry_trap_3_two_first_writers_meet_in_the_database_and_the_loser_looks() {
    let bench = Bench::new(Registry {
        collision: Some(3),
        ..Registry::default()
    })
    .await;
    let error = bench.controls().send(&order(None)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("champion is v3, you saw unset"));
    assert_eq!(bench.server.mutations().len(), 1, "and does not repeat");

    let bench = Bench::new(Registry {
        collision: Some(2),
        ..Registry::default()
    })
    .await;
    let receipt = bench.controls().send(&order(None)).await.unwrap();
    assert!(receipt.note.contains("another writer set champion to v2"));
}

#[tokio::test]
async fn registry_trap_5_an_alias_that_does_not_exist_yet_can_be_set() {
    let bench = Bench::new(Registry::default()).await;
    let receipt = bench.controls().send(&order(None)).await.unwrap();
    assert_eq!(receipt.note, "read back: champion is v2");
    let by_name = bench
        .server
        .seen()
        .iter()
        .any(|seen| seen.method == "GET" && seen.path().ends_with("/alias"));
    assert!(!by_name, "asking for it by name would be answered 400");
}

#[tokio::test]
async fn what_is_so_already_is_not_sent() {
    let bench = Bench::new(Registry::with_champion(2)).await;
    let receipt = bench.controls().send(&order(Some(1))).await.unwrap();
    assert_eq!(receipt.note, "nothing sent: champion is v2 already");
    assert!(bench.server.mutations().is_empty());
}

#[tokio::test]
async fn a_version_that_does_not_exist_or_is_not_ready_is_not_promoted() {
    let bench = Bench::new(Registry::with_champion(1)).await;
    let absent = ModelOrder {
        to: Version(99),
        ..order(Some(1))
    };
    let error = bench.controls().send(&absent).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("version=99"), "{error}");
    assert!(bench.server.mutations().is_empty());

    let server = Script::start(|seen| {
        if seen.path().ends_with("model-versions/get") {
            let mut answer = fixture_json("mlflow/model_versions_get.json");
            answer["model_version"]["status"] = "PENDING_REGISTRATION".into();
            return Reply::json(200, &answer);
        }
        Reply::json(200, &fixture_json("mlflow/registered_models_get.json"))
    })
    .await;
    let setup = setup(catalog(Vec::new()), &[]);
    let section = format!("{{ url = '{}' }}", server.url());
    let controls = build("mlflow", &section, &setup).unwrap().controls;
    let error = controls
        .model
        .unwrap()
        .send(&order(Some(1)))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected);
    assert!(error.message.contains("PENDING_REGISTRATION"), "{error}");
    assert!(server.mutations().is_empty());
}

#[tokio::test]
async fn a_refusal_is_remembered_and_told_at_the_next_look() {
    let bench = Bench::new(Registry {
        read_only: true,
        granted: Some("mlflow/auth/users_current_permissions_3_after.json"),
        ..Registry::with_champion(1)
    })
    .await;
    let mut backend = bench.backend();
    let controls = backend.controls.model.take().unwrap();
    let error = controls.send(&order(Some(1))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden);
    let told = look(&mut *feed(backend, "model wdbc-screening"))
        .await
        .unwrap();
    let permits = permits(&told);
    assert!(!permits[0].allowed);
    assert!(permits[0].why.contains("Permission denied"), "{permits:?}");
}

#[tokio::test]
async fn a_preview_shows_the_request_the_check_and_a_command_without_the_secret() {
    let bench = Bench::new(Registry::default()).await;
    let mut quoted = order(Some(1));
    quoted.model.name = "it's; rm -rf $HOME".into();
    let preview = bench.controls().preview(&quoted);
    assert_eq!(preview.method, "POST");
    assert_eq!(preview.path, "/api/2.0/mlflow/registered-models/alias");
    assert!(preview.check.contains("champion must be v1"));
    let url = bench.server.url();
    assert_eq!(
        preview.command.as_str(),
        format!(
            "curl -fsS -u \"$MLFLOW_TRACKING_USERNAME:$MLFLOW_TRACKING_PASSWORD\" \
             -H 'Content-Type: application/json' \
             -d '{{\"name\":\"it'\\''s; rm -rf $HOME\",\"alias\":\"champion\",\"version\":\"2\"}}' \
             '{url}/api/2.0/mlflow/registered-models/alias'"
        )
    );
    assert!(bench.server.seen().is_empty(), "a preview asks nobody");
}

#[tokio::test]
async fn a_base_path_is_kept_in_every_request() {
    let bench = Bench::new(Registry::default()).await;
    let section = format!("{{ url = '{}/ml flow/' }}", bench.server.url());
    let backend = build("mlflow", &section, &bench.setup).unwrap();
    let controls = backend.controls.model.clone().unwrap();
    assert_eq!(
        controls.preview(&order(None)).path,
        "/ml%20flow/api/2.0/mlflow/registered-models/alias"
    );
    let error = look(&mut *feed(backend, "model wdbc-screening"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(
        bench
            .server
            .seen()
            .iter()
            .all(|seen| seen.path().starts_with("/ml%20flow/"))
    );
}

#[tokio::test]
async fn doctor_says_what_works_and_what_does_not() {
    let bench = Bench::new(Registry {
        granted: Some("mlflow/auth/users_current_permissions_3_after.json"),
        ..Registry::with_champion(1)
    })
    .await;
    let checks = bench.backend().probe.probe().await;
    let said: Vec<_> = checks
        .iter()
        .map(|check| (check.what.as_str(), check.result, check.seen.as_str()))
        .collect();
    let url = format!("{}/", bench.server.url());
    assert_eq!(
        said,
        [
            ("reach", CheckResult::Good, url.as_str()),
            ("version", CheckResult::Good, "3.17.2"),
            ("identity", CheckResult::Good, "oncall"),
            ("model wdbc-screening", CheckResult::Good, "champion is v1"),
            (
                "permission set-alias wdbc-screening",
                CheckResult::Good,
                "allowed"
            ),
        ]
    );
}

#[test]
fn a_section_with_a_slip_is_refused_with_its_place() {
    let setup = setup(catalog(Vec::new()), &[]);
    let refused = |section: &str| match build("mlflow", section, &setup) {
        Ok(_) => panic!("built from {section}"),
        Err(error) => error,
    };
    let unknown = refused("{ url = 'http://x', tokn = 'env:A' }");
    assert!(unknown.message().contains("tokn"), "{unknown}");
    assert_eq!(unknown.span(), Some(20..24));
    let plain = refused("{ url = 'http://x', token = 'planted-plain-82' }");
    assert!(!plain.message().contains("planted"), "{plain}");
    assert!(plain.span().is_some());
    refused("{ url = 'http://x', username = 'u' }");
    refused("{ url = 'http://u:p@x' }");
    refused("{ url = 'http://x', poll = '0s' }");
    refused("{ }");
}

#[test]
fn the_example_is_a_section_that_builds() {
    let setup = setup(catalog(Vec::new()), &[]);
    let backend = example("mlflow", &setup);
    assert_eq!(backend.kind, "mlflow");
    assert_eq!(backend.cadence.as_secs(), 15);
}
