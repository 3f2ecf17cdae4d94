//! From MLflow's spelling to the domain's words.
//!
//! Everything a person can write on the server (names, tags, sources) is
//! cleaned here. Numbers that are none stay visible as `NaN` or an infinity,
//! so that a gate can say *error* instead of comparing them.

use std::collections::BTreeMap;

use chrono::DateTime;

use crate::{
    backend::mlflow::wire,
    domain::{
        Timestamp,
        id::{ModelId, Version},
        model::{Dataset, ModelRun, ModelRunStatus, ModelVersion, RegisteredModel, VersionStatus},
        text::Clean,
    },
};

/// The tag of a data set that says what it was used for.
const CONTEXT_TAG: &str = "mlflow.data.context";

/// A model and where its aliases point. An alias whose version is no number is
/// left out: it cannot be compared with anything.
pub(super) fn model(id: &ModelId, model: &wire::Model, url: Option<Clean>) -> RegisteredModel {
    RegisteredModel {
        id: id.clone(),
        aliases: model
            .aliases
            .iter()
            .filter_map(|alias| Some((Clean::name(&alias.alias), number(&alias.version)?)))
            .collect(),
        url,
    }
}

/// One version; `None` when its number is none.
pub(super) fn version(id: &ModelId, version: &wire::ModelVersion) -> Option<ModelVersion> {
    Some(ModelVersion {
        model: id.clone(),
        version: number(&version.version)?,
        status: match version.status.as_str() {
            "READY" => VersionStatus::Ready,
            "PENDING_REGISTRATION" => VersionStatus::Pending,
            "FAILED_REGISTRATION" => VersionStatus::Failed,
            other => VersionStatus::Unknown(Clean::name(other)),
        },
        run_id: (!version.run_id.is_empty()).then(|| Clean::name(&version.run_id)),
        source: Clean::line(&version.source),
        created_at: version.creation_timestamp.and_then(instant),
        tags: tags(&version.tags),
    })
}

/// The run behind a version.
pub(super) fn run(id: &ModelId, version: Version, run: &wire::Run) -> ModelRun {
    let metrics = &run.data.metrics;
    ModelRun {
        model: id.clone(),
        version,
        run_id: Clean::name(&run.info.run_id),
        status: run_status(&run.info),
        started_at: run.info.start_time.and_then(instant),
        ended_at: run.info.end_time.and_then(instant),
        metrics: metrics
            .iter()
            .map(|metric| (Clean::name(&metric.key), value(metric.value.as_ref())))
            .collect(),
        metric_times: metrics
            .iter()
            .filter_map(|metric| Some((Clean::name(&metric.key), instant(metric.timestamp?)?)))
            .collect(),
        tags: tags(&run.data.tags),
        datasets: run.inputs.dataset_inputs.iter().map(dataset).collect(),
    }
}

/// Whether grants allow moving an alias of `model`.
///
/// Follows the server's own rules: an administrator may everything, a manager
/// of the workspace comes before a denial, a denial before grants, and `EDIT`
/// is enough. Less than that decides nothing, because the server raises every
/// grant to a default that it does not tell: `None`.
pub(super) fn may_set_alias(model: &str, grants: &wire::GrantsAnswer) -> Option<bool> {
    if grants.is_admin {
        return Some(true);
    }
    let held = |permission: &str, on: &dyn Fn(&wire::Grant) -> bool| {
        grants
            .permissions
            .iter()
            .any(|grant| grant.permission == permission && on(grant))
    };
    let on_workspace =
        |grant: &wire::Grant| grant.resource_type == "workspace" && grant.resource_pattern == "*";
    let on_model = |grant: &wire::Grant| {
        grant.resource_type == "registered_model"
            && (grant.resource_pattern == "*" || grant.resource_pattern == model)
    };
    if held("MANAGE", &on_workspace) {
        return Some(true);
    }
    if held("DENY", &on_model) {
        return Some(false);
    }
    (held("EDIT", &on_model) || held("MANAGE", &on_model)).then_some(true)
}

/// A version number.
pub(super) fn number(text: &str) -> Option<Version> {
    text.parse().ok().map(Version)
}

/// A deleted run still answers with its old status; what it logged is no
/// evidence any more, so the deletion is what is told.
fn run_status(info: &wire::RunInfo) -> ModelRunStatus {
    if info.lifecycle_stage == "deleted" {
        return ModelRunStatus::Unknown("deleted".into());
    }
    match info.status.as_str() {
        "RUNNING" | "SCHEDULED" => ModelRunStatus::Running,
        "FINISHED" => ModelRunStatus::Finished,
        "FAILED" => ModelRunStatus::Failed,
        "KILLED" => ModelRunStatus::Killed,
        other => ModelRunStatus::Unknown(Clean::name(other)),
    }
}

/// The server stores an infinity as the largest finite number and spells `NaN`
/// as a string. A value that is absent or unreadable is no number either.
fn value(number: Option<&wire::Number>) -> f64 {
    match number {
        Some(wire::Number::Finite(number)) if *number >= f64::MAX => f64::INFINITY,
        Some(wire::Number::Finite(number)) if *number <= f64::MIN => f64::NEG_INFINITY,
        Some(wire::Number::Finite(number)) => *number,
        Some(wire::Number::Text(text)) => text.parse().unwrap_or(f64::NAN),
        None => f64::NAN,
    }
}

fn dataset(input: &wire::DatasetInput) -> Dataset {
    Dataset {
        name: Clean::name(&input.dataset.name),
        digest: Clean::name(&input.dataset.digest),
        context: input
            .tags
            .iter()
            .find(|tag| tag.key == CONTEXT_TAG)
            .map(|tag| Clean::name(&tag.value)),
    }
}

fn tags(tags: &[wire::Tag]) -> BTreeMap<Clean, Clean> {
    tags.iter()
        .map(|tag| (Clean::name(&tag.key), Clean::line(&tag.value)))
        .collect()
}

fn instant(milliseconds: i64) -> Option<Timestamp> {
    DateTime::from_timestamp_millis(milliseconds)
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::domain::id::BackendId;

    fn fixture<T: DeserializeOwned>(name: &str) -> T {
        let path = format!(
            "{}/tests/fixtures/mlflow/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn id() -> ModelId {
        ModelId {
            backend: BackendId::new("mlflow"),
            name: "wdbc-screening".into(),
        }
    }

    fn aliases_of(name: &str) -> Vec<(String, u64)> {
        let answer: wire::ModelAnswer = fixture(name);
        model(&id(), &answer.registered_model, None)
            .aliases
            .iter()
            .map(|(alias, version)| (alias.to_string(), version.0))
            .collect()
    }

    fn run_of(name: &str) -> ModelRun {
        let answer: wire::RunAnswer = fixture(name);
        run(&id(), Version(2), &answer.run)
    }

    #[test]
    fn registry_trap_4_aliases_come_from_the_model_and_are_in_no_list_of_versions() {
        assert_eq!(
            aliases_of("registered_models_get.json"),
            [("challenger".to_owned(), 2), ("champion".to_owned(), 1)]
        );
        assert_eq!(
            aliases_of("registered_models_get_final.json"),
            [
                ("champion".to_owned(), 2),
                ("previous-champion".to_owned(), 1)
            ]
        );
        let raw: serde_json::Value = fixture("model_versions_search.json");
        assert!(
            raw["model_versions"][1].get("aliases").is_none(),
            "the server lists v2 without its alias `challenger`"
        );
    }

    #[test]
    fn registry_trap_5_an_alias_whose_version_was_deleted_is_simply_gone() {
        assert!(aliases_of("auth/rm_get_after_alias_version_deleted.json").is_empty());
        assert!(aliases_of("auth/reader_get.json").is_empty());
    }

    #[test]
    fn registry_trap_7_what_is_empty_is_absent_and_versions_are_strings() {
        let none: wire::VersionsAnswer = fixture("runs_search_empty.json");
        assert!(none.model_versions.is_empty());

        let answer: wire::VersionAnswer = fixture("auth/mv_create2.json");
        let bare = version(&id(), &answer.model_version).unwrap();
        assert_eq!(bare.run_id, None, "registered from a bare location");
        assert_eq!(bare.version, Version(1));
        assert_eq!(bare.source, "s3://bucket/m");

        let running = run_of("runs_get_nan_inf_metrics.json");
        assert_eq!(running.ended_at, None);
        assert_eq!(running.status, ModelRunStatus::Running);
        assert!(running.datasets.is_empty());
    }

    #[test]
    fn registry_trap_7_nan_is_a_string_and_infinity_the_largest_number() {
        let run = run_of("runs_get_nan_inf_metrics.json");
        assert!(run.metrics["nan_metric"].is_nan());
        assert!(run.metrics["inf_metric"] == f64::INFINITY);
        assert!(run.metrics["neginf_metric"] == f64::NEG_INFINITY);
    }

    #[test]
    fn registry_trap_2_no_value_that_is_not_finite_becomes_a_finite_one() {
        let text = |text: &str| value(Some(&wire::Number::Text(text.into())));
        for odd in ["NaN", "Infinity", "-Infinity", "inf", "", "n/a", "1e999"] {
            assert!(!text(odd).is_finite(), "{odd:?}");
        }
        assert!(value(None).is_nan());
    }

    #[test]
    fn a_finished_run_is_read_with_its_metrics_tags_and_data() {
        let run = run_of("runs_get.json");
        assert_eq!(run.run_id, "f2ca71401e8f49ddb307f59e2da67259");
        assert_eq!(run.status, ModelRunStatus::Finished);
        assert_eq!(
            run.ended_at.unwrap().to_rfc3339(),
            "2026-11-23T02:46:42.476+00:00"
        );
        assert_eq!(run.metrics.len(), 19);
        assert!((run.metrics["accuracy"] - 0.982_456_140_350_877_1).abs() < 1e-15);
        assert!(
            (run.metrics["accuracy.texture.high"] - 1.0).abs() < f64::EPSILON,
            "written as 1 or 1.0"
        );
        assert_eq!(
            run.metric_times["accuracy"].timestamp_millis(),
            1_795_402_001_249
        );
        assert_eq!(
            run.tags["mlflow.source.git.commit"],
            "9b1de0aa77c34f0e8d2a6c5b4f3e2d1c0b9a8877"
        );
        let data: Vec<_> = run
            .datasets
            .iter()
            .map(|data| {
                (
                    data.name.as_str(),
                    data.digest.as_str(),
                    data.context.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            data,
            [
                ("wdbc-train", "a8651205", Some("training")),
                ("wdbc-eval", "4f4f793b", Some("eval"))
            ]
        );
    }

    #[test]
    fn versions_keep_their_tags_and_their_run() {
        let answer: wire::VersionsAnswer = fixture("model_versions_search.json");
        let versions: Vec<_> = answer
            .model_versions
            .iter()
            .filter_map(|one| version(&id(), one))
            .collect();
        assert_eq!(
            versions.iter().map(|one| one.version.0).collect::<Vec<_>>(),
            [3, 2, 1]
        );
        assert_eq!(versions[1].tags["git_sha"], "9b1de0a");
        assert_eq!(
            versions[1].run_id.as_deref(),
            Some("f2ca71401e8f49ddb307f59e2da67259")
        );
        assert_eq!(versions[1].status, VersionStatus::Ready);
        assert_eq!(
            versions[1].created_at.unwrap().timestamp_millis(),
            1_795_402_008_946
        );
    }

    #[test]
    fn an_archived_version_can_still_be_read() {
        let answer: wire::VersionAnswer = fixture("model_versions_get_archived.json");
        let archived = version(&id(), &answer.model_version).unwrap();
        assert_eq!(archived.version, Version(1));
        assert_eq!(archived.status, VersionStatus::Ready);
    }

    #[test]
    fn unknown_words_survive_and_a_version_that_is_no_number_is_left_out() {
        let odd = |version: &str, status: &str| wire::ModelVersion {
            version: version.into(),
            creation_timestamp: None,
            source: String::new(),
            run_id: String::new(),
            status: status.into(),
            status_message: String::new(),
            tags: Vec::new(),
        };
        assert_eq!(
            version(&id(), &odd("7", "ARCHIVING")).unwrap().status,
            VersionStatus::Unknown("ARCHIVING".into())
        );
        assert!(version(&id(), &odd("seven", "READY")).is_none());
    }

    #[test]
    fn a_failed_run_without_metrics_and_a_deleted_run_are_told_apart() {
        let found: serde_json::Value = fixture("runs_get_failed_run.json");
        let mut first: wire::Run = serde_json::from_value(found["runs"][0].clone()).unwrap();
        let failed = run(&id(), Version(1), &first);
        assert_eq!(failed.status, ModelRunStatus::Failed);
        assert!(failed.metrics.is_empty());

        first.info.lifecycle_stage = "deleted".into();
        assert_eq!(
            run(&id(), Version(1), &first).status,
            ModelRunStatus::Unknown("deleted".into())
        );
    }

    #[test]
    fn hostile_names_and_tags_arrive_clean() {
        let raw = r#"{"run":{"info":{"run_id":"r\u001b[2J"},"data":{"tags":[
            {"key":"note\u202e","value":"\u001b]52;c;ZXZpbA==\u0007hi"}]}}}"#;
        let answer: wire::RunAnswer = serde_json::from_str(raw).unwrap();
        let run = run(&id(), Version(1), &answer.run);
        assert_eq!(run.run_id, "r");
        assert_eq!(run.tags["note⟦202E⟧"], "hi");
    }

    #[test]
    fn grants_decide_only_what_the_server_would_decide_the_same_way() {
        let granted: wire::GrantsAnswer = fixture("auth/users_current_permissions_3_after.json");
        assert_eq!(may_set_alias("wdbc-screening", &granted), Some(true));
        assert_eq!(may_set_alias("another", &granted), None);
        let bare: wire::GrantsAnswer = fixture("auth/users_current_permissions_3.json");
        assert_eq!(may_set_alias("wdbc-screening", &bare), None);

        let grants = |list: &[(&str, &str, &str)]| wire::GrantsAnswer {
            is_admin: false,
            permissions: list
                .iter()
                .map(|(permission, kind, pattern)| wire::Grant {
                    permission: (*permission).into(),
                    resource_type: (*kind).into(),
                    resource_pattern: (*pattern).into(),
                })
                .collect(),
        };
        let edit = ("EDIT", "registered_model", "*");
        let deny = ("DENY", "registered_model", "m");
        let manage = ("MANAGE", "workspace", "*");
        let read = ("READ", "registered_model", "m");
        let experiment = ("EDIT", "experiment", "*");
        assert_eq!(may_set_alias("m", &grants(&[edit, deny])), Some(false));
        assert_eq!(may_set_alias("m", &grants(&[deny, manage])), Some(true));
        assert_eq!(may_set_alias("m", &grants(&[read, experiment])), None);
    }
}
