//! Asks and tells a served demo's systems what any client could.

use std::{fs, path::Path};

use reqwest::Method;
use serde_json::Value;

/// What clients need, as `endpoints.json` in the demo's folder says it.
pub(crate) fn endpoints(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("endpoints.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Reads something.
pub(crate) fn ask(folder: &Path, system: &str, path: &str) -> Value {
    tell(folder, system, Method::GET, path, None)
}

/// Sends a request as the demo's person, with a merge patch if there is a body.
pub(crate) fn tell(
    folder: &Path,
    system: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Value {
    let token = endpoints(folder)[system]["token"]
        .as_str()
        .unwrap()
        .to_owned();
    tell_as(folder, &token, system, method, path, body)
}

/// The same with another token.
pub(crate) fn tell_as(
    folder: &Path,
    token: &str,
    system: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Value {
    let url = endpoints(folder)[system]["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let request = async {
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            // GitHub, and so its demo, answers nobody without a name.
            .user_agent("gonogo-tests")
            .build()
            .unwrap();
        let mut request = client
            .request(method, format!("{url}{path}"))
            .bearer_auth(token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/merge-patch+json")
                .body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(request)
}
