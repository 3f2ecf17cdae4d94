//! GitHub Actions, on github.com, a tenant's host or an Enterprise Server.
//!
//! Speaks the REST API, version 2022-11-28
//! (<https://docs.github.com/en/rest/actions>). Reads runs, jobs, steps, waiting
//! environments and the answers people gave; approves, rejects, reruns, cancels
//! and dispatches. Left out: GraphQL (no `ETag`, no attempts), webhooks (a
//! terminal has no address), live logs (GitHub has none).

mod account;
mod act;
mod api;
mod ask;
mod logs;
mod map;
mod permits;
mod poll;
mod probe;
mod take;
mod tempo;
mod watched;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, de::Error};

use crate::{
    backend::{
        Backend, Controls, Factory, Feed, Setup,
        github_actions::{
            account::Account, act::Act, api::Api, ask::Asker, logs::JobLogs, poll::Pipeline,
            probe::Doctor, tempo::Tempo,
        },
        http::{Auth, Http, Limits},
        secret::{NotAReference, SecretRef},
        settings,
    },
    domain::{
        catalog::Catalog,
        id::{BackendId, PipelineId},
        pipeline::Stage,
        text::Clean,
    },
};

/// The kind in the configuration.
const KIND: &str = "github_actions";
/// Where github.com's API is.
const GITHUB: &str = "https://api.github.com";

/// Builds backends of this kind.
pub struct GithubActions;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "github")]
    url: String,
    token: Option<SecretRef>,
    #[serde(default = "base", deserialize_with = "settings::duration")]
    poll: Duration,
    #[serde(default = "timeout", deserialize_with = "settings::duration")]
    timeout: Duration,
    #[serde(default = "max_body", deserialize_with = "settings::size")]
    max_body: usize,
}

fn github() -> String {
    GITHUB.to_owned()
}

fn base() -> Duration {
    tempo::BASE
}

fn timeout() -> Duration {
    Limits::default().total
}

fn max_body() -> usize {
    Limits::default().body
}

impl Factory for GithubActions {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn example(&self) -> &'static str {
        r#"# [backend.gh]
# kind = "github_actions"
# url = "https://api.github.com"           # an Enterprise Server: "https://HOST/api/v3"
# token = "cmd:gh auth token"              # or "env:GITHUB_TOKEN", "file:PATH"
# poll = "6s"                              # time between two looks at the run on screen
# timeout = "15s"                          # longest wait for one answer
# max_body = "8 MiB"                       # largest answer that is read; logs are exempt
"#
    }

    fn build(
        &self,
        id: BackendId,
        section: toml::de::ValueDeserializer<'_>,
        setup: &Setup,
    ) -> Result<Backend, toml::de::Error> {
        let settings = Settings::deserialize(section)?;
        let http = connect(&settings, setup)?;
        let tempo = Tempo(settings.poll);
        let api = Arc::new(Api::new(http, id.clone(), setup.now.clone()));
        let pipelines = pipelines_of(&setup.catalog, &id);
        let mut feeds: Vec<Feed> = vec![Feed::Poll(Box::new(Account { api: api.clone() }))];
        for (pipeline, wanted) in &pipelines {
            let asker = Asker {
                api: api.clone(),
                pipeline: pipeline.clone(),
                branch: wanted.branch(),
            };
            let rules = wanted.rules.clone();
            feeds.push(Feed::Poll(Box::new(Pipeline::new(asker, rules, tempo))));
        }
        let act = Arc::new(Act { api: api.clone() });
        Ok(Backend {
            id,
            kind: KIND,
            cadence: tempo.usual(),
            feeds,
            controls: Controls {
                approval: Some(act.clone()),
                run: Some(act),
                ..Controls::default()
            },
            logs: Some(Arc::new(JobLogs { api: api.clone() })),
            probe: Arc::new(Doctor {
                api,
                pipelines: pipelines.into_keys().collect(),
            }),
        })
    }
}

fn connect(settings: &Settings, setup: &Setup) -> Result<Http, toml::de::Error> {
    let host = url::Url::parse(&settings.url).ok();
    let host = host
        .as_ref()
        .and_then(url::Url::host_str)
        .unwrap_or_default();
    if matches!(host, "github.com" | "www.github.com") {
        let words = format!("`url` is GitHub's web site; its API is at {GITHUB}");
        return Err(toml::de::Error::custom(words));
    }
    let token = match &settings.token {
        Some(token) => token.clone(),
        None => gh_login(host).map_err(toml::de::Error::custom)?,
    };
    let mut headers = HeaderMap::new();
    let accept = HeaderValue::from_static("application/vnd.github+json");
    headers.insert(header::ACCEPT, accept);
    headers.insert(
        HeaderName::from_static("x-github-api-version"),
        HeaderValue::from_static("2022-11-28"),
    );
    let limits = Limits {
        body: settings.max_body,
        ..Limits::default().within(settings.timeout)
    };
    Http::new(&settings.url, Auth::Bearer(token), headers, limits, setup)
        .map_err(|error| toml::de::Error::custom(format!("`url`: {}", error.message)))
}

/// Without a token of its own the section uses the login of GitHub's command
/// line for the same host.
fn gh_login(host: &str) -> Result<SecretRef, NotAReference> {
    let tenant = host.strip_prefix("api.").unwrap_or(host);
    format!("cmd:gh auth token --hostname {tenant}").parse()
}

/// What the services want of one pipeline.
#[derive(Default)]
struct Wanted {
    branches: BTreeSet<Option<Clean>>,
    rules: Vec<(Clean, Stage)>,
}

impl Wanted {
    /// The branch to ask for, if every service wants the same one.
    fn branch(&self) -> Option<Clean> {
        let mut branches = self.branches.iter();
        match (branches.next(), branches.next()) {
            (Some(only), None) => only.clone(),
            _ => None,
        }
    }
}

fn pipelines_of(catalog: &Catalog, backend: &BackendId) -> BTreeMap<PipelineId, Wanted> {
    let mut pipelines: BTreeMap<PipelineId, Wanted> = BTreeMap::new();
    for service in catalog.services.values() {
        let Some(pipeline) = service.run.as_ref().filter(|run| run.backend == *backend) else {
            continue;
        };
        let wanted = pipelines.entry(pipeline.clone()).or_default();
        wanted.branches.insert(service.branch.clone());
        wanted.rules.extend(service.stages.iter().cloned());
    }
    pipelines
}
