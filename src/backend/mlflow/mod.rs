//! MLflow's model registry: which versions there are, which one serves, and
//! what the runs behind them measured.
//!
//! REST API 2.0 with the permissions of 3.0, read from servers 2.9 to 3.x;
//! <https://mlflow.org/docs/latest/api_reference/rest-api.html>. Polling is the
//! only truth here: the server's webhooks are best effort and say nothing about
//! moved stages or deleted aliases. Legacy stages are not read.

mod access;
mod act;
mod api;
mod denials;
mod map;
mod poll;
mod probe;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, de::Error as _};

use crate::{
    backend::{
        Backend, Controls, Factory, Feed, Setup,
        http::{Http, Limits},
        mlflow::{
            access::AccessPoll, act::AliasControls, api::Api, denials::Denials, poll::ModelPoll,
            probe::MlflowProbe,
        },
        secret::SecretRef,
        settings,
    },
    domain::{
        catalog::Catalog,
        id::{BackendId, ModelId},
        text::Clean,
    },
};

/// The value of `kind`.
const KIND: &str = "mlflow";
/// The alias a promotion leaves behind, for the way back.
const PREVIOUS: &str = "previous-champion";
/// Who we are and what we may changes rarely, and has to be known anew within
/// a minute.
const ACCESS_CADENCE: Duration = Duration::from_secs(45);

/// The longest a moved alias is waited for.
const READ_BACK: Duration = Duration::from_secs(3);

/// Builds MLflow backends.
pub struct Mlflow;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
    token: Option<SecretRef>,
    username: Option<String>,
    password: Option<SecretRef>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default = "poll_default", deserialize_with = "settings::duration")]
    poll: Duration,
    #[serde(default = "timeout_default", deserialize_with = "settings::duration")]
    timeout: Duration,
    #[serde(default = "body_default", deserialize_with = "settings::size")]
    max_body: usize,
}

fn poll_default() -> Duration {
    Duration::from_secs(15)
}

fn timeout_default() -> Duration {
    Duration::from_secs(10)
}

fn body_default() -> usize {
    8 * 1024 * 1024
}

impl Factory for Mlflow {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn example(&self) -> &'static str {
        r#"# [backend.mlflow]
# kind = "mlflow"
# url = "https://mlflow.example.com"       # with the base path if the server has one
# token = "env:MLFLOW_TRACKING_TOKEN"      # or `username` and `password`
# # username = "release-cockpit"
# # password = "file:~/.config/gonogo/mlflow-password"
# # headers = { X-MLFLOW-WORKSPACE = "default" }   # sent along; not for secrets
# poll = "15s"                             # time between two looks
# timeout = "10s"                          # longest wait for one answer
# max_body = "8 MiB"                       # largest answer that is read
"#
    }

    fn build(
        &self,
        id: BackendId,
        section: toml::de::ValueDeserializer<'_>,
        setup: &Setup,
    ) -> Result<Backend, toml::de::Error> {
        let written = Settings::deserialize(section)?;
        let auth = settings::auth(written.token, written.username, written.password)
            .map_err(toml::de::Error::custom)?;
        let headers = settings::headers(&written.headers).map_err(toml::de::Error::custom)?;
        let limits = Limits {
            body: written.max_body,
            ..Limits::default().within(written.timeout)
        };
        let http = Http::new(&written.url, auth.clone(), headers, limits, setup)
            .map_err(|error| toml::de::Error::custom(error.message))?;
        let api = Api::new(http);
        let denials = Arc::new(Denials::default());
        let models = models(&setup.catalog, &id);

        let mut feeds = vec![Feed::Poll(Box::new(AccessPoll {
            id: id.clone(),
            api: api.clone(),
            models: models.keys().cloned().collect(),
            denials: denials.clone(),
            now: setup.now.clone(),
            cadence: ACCESS_CADENCE.min(written.poll * 2),
        }))];
        feeds.extend(models.iter().map(|(model, champions)| {
            let mut aliases = champions.clone();
            aliases.insert(PREVIOUS.into());
            Feed::Poll(Box::new(ModelPoll::new(
                api.clone(),
                model.clone(),
                aliases,
                denials.clone(),
                setup.now.clone(),
                written.poll,
            )))
        }));
        let probe = MlflowProbe {
            id: id.clone(),
            api: api.clone(),
            models: models
                .into_iter()
                .flat_map(|(model, champions)| {
                    champions
                        .into_iter()
                        .map(move |champion| (model.clone(), champion))
                })
                .collect(),
        };
        let controls = Controls {
            model: Some(Arc::new(AliasControls {
                api,
                auth,
                denials,
                now: setup.now.clone(),
                read_back: READ_BACK.min(written.timeout * 3),
            })),
            ..Controls::default()
        };
        Ok(Backend {
            id,
            kind: KIND,
            cadence: written.poll,
            feeds,
            controls,
            logs: None,
            probe: Arc::new(probe),
        })
    }
}

/// The models of this registry that services use, with the aliases that name
/// what serves.
fn models(catalog: &Catalog, id: &BackendId) -> BTreeMap<ModelId, BTreeSet<Clean>> {
    let mut models = BTreeMap::<ModelId, BTreeSet<Clean>>::new();
    let used = catalog
        .services
        .values()
        .filter_map(|service| service.model.as_ref());
    for spec in used.filter(|spec| spec.model.backend == *id) {
        models
            .entry(spec.model.clone())
            .or_default()
            .insert(spec.champion.clone());
    }
    models
}
