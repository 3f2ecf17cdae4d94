//! The calls of MLflow's REST API that are made, one function each.

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::json;
use url::Url;

use crate::{
    backend::{
        BackendError, ErrorKind,
        http::{Answer, Body, Http},
        mlflow::wire,
    },
    domain::{id::Version, text::Clean},
};

/// One MLflow server.
#[derive(Clone)]
pub(super) struct Api {
    http: Http,
}

impl Api {
    /// Looks whether the file of the credential can be read.
    pub(super) async fn check_files(&self) -> Result<(), BackendError> {
        self.http.check_files().await
    }

    pub(super) fn new(http: Http) -> Self {
        Self { http }
    }

    /// The configured address, with its base path if it has one.
    pub(super) fn base(&self) -> &Url {
        self.http.base()
    }

    /// A registered model with its aliases.
    pub(super) async fn model(&self, name: &str) -> Result<wire::Model, BackendError> {
        let mut url = self.endpoint("2.0", &["registered-models", "get"]);
        url.query_pairs_mut().append_pair("name", name);
        let answer: wire::ModelAnswer = self.read(&url).await?;
        Ok(answer.registered_model)
    }

    /// The newest versions of a model, newest first.
    pub(super) async fn newest_versions(
        &self,
        name: &str,
        limit: usize,
    ) -> Result<Vec<wire::ModelVersion>, BackendError> {
        // The filter's language has no escape; it has two kinds of quotes.
        let quote = if name.contains('\'') { '"' } else { '\'' };
        let mut url = self.endpoint("2.0", &["model-versions", "search"]);
        url.query_pairs_mut()
            .append_pair("filter", &format!("name={quote}{name}{quote}"))
            .append_pair("max_results", &limit.to_string())
            .append_pair("order_by", "version_number DESC");
        let answer: wire::VersionsAnswer = self.read(&url).await?;
        Ok(answer.model_versions)
    }

    /// One version of a model.
    pub(super) async fn version(
        &self,
        name: &str,
        version: Version,
    ) -> Result<wire::ModelVersion, BackendError> {
        let mut url = self.endpoint("2.0", &["model-versions", "get"]);
        url.query_pairs_mut()
            .append_pair("name", name)
            .append_pair("version", &version.0.to_string());
        let answer: wire::VersionAnswer = self.read(&url).await?;
        Ok(answer.model_version)
    }

    /// A training or evaluation run.
    pub(super) async fn run(&self, id: &str) -> Result<wire::Run, BackendError> {
        let mut url = self.endpoint("2.0", &["runs", "get"]);
        url.query_pairs_mut().append_pair("run_id", id);
        let answer: wire::RunAnswer = self.read(&url).await?;
        Ok(answer.run)
    }

    /// The server's version in its own words, and the answer that told it;
    /// `None` where there is no such page (hosted servers).
    pub(super) async fn server_version(&self) -> Result<(Option<Clean>, Answer), BackendError> {
        let answer = self.http.get_any(&self.http.url(["version"])).await?;
        match answer.error() {
            Some(error) if error.kind == ErrorKind::NotFound => return Ok((None, answer)),
            Some(error) => return Err(error),
            None => {}
        }
        // The page is declared as HTML and holds a bare number; a sign-in page
        // is declared the same.
        let text = String::from_utf8_lossy(&answer.body);
        let text = text.trim();
        let is_version = text.len() <= 64 && text.starts_with(|first: char| first.is_ascii_digit());
        if !is_version {
            return Err(BackendError::new(
                ErrorKind::Malformed,
                Clean::line(&format!(
                    "`{}`: no version number; something answers instead of MLflow",
                    answer.endpoint
                )),
            ));
        }
        Ok((Some(Clean::name(text)), answer))
    }

    /// Whether the server itself says it is up; needs no credentials.
    pub(super) async fn health(&self) -> Result<Answer, BackendError> {
        self.http.get(&self.http.url(["health"])).await
    }

    /// The user our credentials belong to; `None` where the server has no users.
    pub(super) async fn user(&self) -> Result<Option<wire::User>, BackendError> {
        let url = self.endpoint("2.0", &["users", "current"]);
        let answer: Option<wire::UserAnswer> = self.read_if_there(&url).await?;
        Ok(answer.map(|answer| answer.user))
    }

    /// What the user was granted; `None` where the server does not tell.
    pub(super) async fn grants(&self) -> Result<Option<wire::GrantsAnswer>, BackendError> {
        let url = self.endpoint("3.0", &["users", "current", "permissions"]);
        self.read_if_there(&url).await
    }

    /// Where aliases are set.
    pub(super) fn alias_url(&self) -> Url {
        self.endpoint("2.0", &["registered-models", "alias"])
    }

    /// What is sent to set an alias. The version is text: the server refuses
    /// a number.
    pub(super) fn alias_body(name: &str, alias: &str, version: Version) -> serde_json::Value {
        json!({ "name": name, "alias": alias, "version": version.0.to_string() })
    }

    /// Points an alias at a version: the one request here that changes anything.
    pub(super) async fn set_alias(
        &self,
        name: &str,
        alias: &str,
        version: Version,
    ) -> Result<Answer, BackendError> {
        let body = Body::Json(Self::alias_body(name, alias, version));
        self.http
            .send_once(Method::POST, &self.alias_url(), &body)
            .await
    }

    /// Where people see a model in a browser.
    pub(super) fn page_of(&self, name: &str) -> Clean {
        let encoded = self.http.url([name]);
        let encoded = encoded
            .path_segments()
            .and_then(Iterator::last)
            .unwrap_or_default();
        let mut page = self.http.url([""]);
        page.set_fragment(Some(&format!("/models/{encoded}")));
        Clean::line(page.as_str())
    }

    fn endpoint(&self, version: &str, path: &[&str]) -> Url {
        let head = ["api", version, "mlflow"];
        self.http.url(head.iter().chain(path))
    }

    async fn read<T: DeserializeOwned>(&self, url: &Url) -> Result<T, BackendError> {
        self.http.get(url).await?.json()
    }

    async fn read_if_there<T: DeserializeOwned>(
        &self,
        url: &Url,
    ) -> Result<Option<T>, BackendError> {
        let answer = self.http.get_any(url).await?;
        match answer.error() {
            Some(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Some(error) => Err(error),
            None => answer.json().map(Some),
        }
    }
}
