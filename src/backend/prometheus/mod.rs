//! Prometheus: what the canary and the stable revision measure.
//!
//! HTTP API v1, <https://prometheus.io/docs/prometheus/latest/querying/api/>;
//! read from servers since 2.42 and from what answers like them. Queries and
//! their meaning come from the configuration; nothing is judged here. Alerts
//! and rules are not read.
//!
//! A value is as old as its stamp says, and one stamped with a time to come is
//! refused. An instant query is stamped with the moment of its evaluation, not of
//! the samples behind it: a server that stopped collecting answers with old values
//! for up to five minutes. Where that matters, `fresh` names a query per
//! service that comes to the stamp of the newest sample in Unix seconds, such
//! as `max(timestamp(up{job="ranker"}))`; every value of that service is then
//! as old as its samples are.

mod api;
mod ask;
mod map;
mod poll;
mod probe;
mod server;
mod wire;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, de::Error as _};

use crate::{
    backend::{
        Backend, Controls, Factory, Feed, Setup,
        http::{Http, Limits},
        prometheus::{api::Api, poll::MetricPoll, probe::PrometheusProbe, server::ServerPoll},
        secret::SecretRef,
        settings,
    },
    domain::{
        catalog::Catalog,
        id::{BackendId, ServiceName},
        text::Clean,
    },
};

/// The value of `kind`.
const KIND: &str = "prometheus";
/// A server's version changes rarely.
const SERVER_CADENCE: Duration = Duration::from_secs(60);

/// Builds Prometheus backends.
pub struct Prometheus;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
    token: Option<SecretRef>,
    username: Option<String>,
    password: Option<SecretRef>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    fresh: BTreeMap<String, String>,
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

impl Factory for Prometheus {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn example(&self) -> &'static str {
        r#"# [backend.prometheus]
# kind = "prometheus"
# url = "https://prometheus.example.com"   # with the base path if the server has one
# token = "env:PROMETHEUS_TOKEN"           # or `username` and `password`, or nothing
# # username = "release-cockpit"
# # password = "file:~/.config/gonogo/prometheus-password"
# # headers = { X-Scope-OrgID = "tenant-1" }       # sent along; not for secrets
# # fresh = { recsys = 'max(timestamp(up{job="ranker"}))' }   # per service: newest sample
# poll = "15s"                             # time between two looks at a metric
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
        let fresh = Arc::new(fresh(&written.fresh, &setup.catalog)?);
        let limits = Limits {
            body: written.max_body,
            ..Limits::default().within(written.timeout)
        };
        let http = Http::new(&written.url, auth, headers, limits, setup)
            .map_err(|error| toml::de::Error::custom(error.message))?;
        let api = Arc::new(Api::new(http));

        let mut feeds = vec![Feed::Poll(Box::new(ServerPoll {
            id: id.clone(),
            api: api.clone(),
            now: setup.now.clone(),
            cadence: SERVER_CADENCE.min(written.poll * 2),
        }))];
        if poll::specs(&setup.catalog, &id).next().is_some() {
            feeds.push(Feed::Poll(Box::new(MetricPoll::new(
                id.clone(),
                api.clone(),
                setup.catalog.clone(),
                fresh.clone(),
                setup.now.clone(),
                written.poll,
            ))));
        }
        let probe = PrometheusProbe {
            id: id.clone(),
            api,
            catalog: setup.catalog.clone(),
            fresh,
            now: setup.now.clone(),
        };
        Ok(Backend {
            id,
            kind: KIND,
            cadence: written.poll,
            feeds,
            controls: Controls::default(),
            logs: None,
            probe: Arc::new(probe),
        })
    }
}

/// The queries for newest samples, each for a service that exists.
fn fresh(
    written: &BTreeMap<String, String>,
    catalog: &Catalog,
) -> Result<BTreeMap<ServiceName, Clean>, toml::de::Error> {
    written
        .iter()
        .map(|(service, query)| {
            let name = ServiceName::new(service);
            if !catalog.services.contains_key(&name) {
                let known: Vec<_> = catalog.services.keys().map(ServiceName::as_str).collect();
                return Err(toml::de::Error::custom(format!(
                    "`fresh` names `{name}`, expected a service: {}",
                    known.join(", ")
                )));
            }
            Ok((name, Clean::line(query)))
        })
        .collect()
}
