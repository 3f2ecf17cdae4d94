//! Which context counts, what errors say, and credential plugins that misbehave.

use std::{io::Write, os::unix::fs::PermissionsExt, sync::Arc};

use super::*;

const PLAIN: &str = "
apiVersion: v1
kind: Config
current-context: one
clusters:
- {name: a, cluster: {server: 'https://a.example:6443'}}
- {name: b, cluster: {server: 'http://127.0.0.1:8001'}}
contexts:
- {name: one, context: {cluster: a, user: u, namespace: recsys}}
- {name: two, context: {cluster: b}}
users:
- {name: u, user: {token: planted-kube-token-1}}
";

fn env(pairs: &[(&str, String)]) -> Env {
    let pairs: Vec<(String, String)> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    Arc::new(move |wanted| {
        pairs
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.clone())
    })
}

async fn load(text: &str, context: Option<&str>) -> Result<Access, BackendError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config"), text).unwrap();
    let settings = Settings {
        kubeconfig: Some("config".into()),
        context: context.map(str::to_owned),
        ..Settings::default()
    };
    access(&settings, folder.path(), &env(&[])).await
}

#[tokio::test]
async fn the_current_context_counts_unless_another_is_named() {
    let access = load(PLAIN, None).await.unwrap();
    assert_eq!(access.config.cluster_url, "https://a.example:6443");
    assert_eq!(access.config.default_namespace, "recsys");
    let other = load(PLAIN, Some("two")).await.unwrap();
    assert_eq!(other.config.cluster_url, "http://127.0.0.1:8001");
}

#[tokio::test]
async fn the_end_of_a_client_certificate_is_known_and_of_a_token_is_not() {
    use crate::backend::{kubernetes::encode, tls::tests::CERTIFICATE};

    let certificate = format!("client-certificate-data: {}", encode::base64(CERTIFICATE));
    let text = PLAIN.replace("token: planted-kube-token-1", &certificate);
    let end = load(&text, None).await.unwrap().certificate_end;
    assert_eq!(end.unwrap().to_rfc3339(), "2026-06-07T08:09:10+00:00");
    let garbled = PLAIN.replace(
        "token: planted-kube-token-1",
        "client-certificate-data: '%'",
    );
    assert_eq!(load(&garbled, None).await.unwrap().certificate_end, None);
    assert_eq!(load(PLAIN, None).await.unwrap().certificate_end, None);
}

#[tokio::test]
async fn crates_trap_1_the_client_never_retries_by_itself() {
    assert!(!load(PLAIN, None).await.unwrap().config.default_retry);
}

#[tokio::test]
async fn a_wrong_context_names_those_there_are() {
    let error = load(PLAIN, Some("three")).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Configuration);
    assert_eq!(
        error.message,
        "the kubeconfig has no context `three`; it has `one`, `two`"
    );
}

#[tokio::test]
async fn a_malformed_file_is_named_with_its_line_and_without_its_content() {
    let broken = PLAIN.replace("planted-kube-token-1}", "[planted-kube-token-1");
    let error = load(&broken, None).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Configuration);
    assert!(error.message.contains("config`, line 1"), "{error}");
    assert!(!error.message.contains("planted"), "{error}");
}

#[tokio::test]
async fn files_of_kubeconfig_are_merged_and_the_first_wins() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    std::fs::write(&first, "current-context: two\n").unwrap();
    let second = folder.path().join("second");
    std::fs::write(&second, PLAIN).unwrap();
    let listed = format!("{}:{}:/nowhere/at/all", first.display(), second.display());
    let access = access(
        &Settings::default(),
        folder.path(),
        &env(&[("KUBECONFIG", listed)]),
    )
    .await
    .unwrap();
    assert_eq!(access.config.cluster_url, "http://127.0.0.1:8001");
}

#[tokio::test]
async fn a_missing_file_says_where_it_was_looked_for() {
    let error = access(
        &Settings::default(),
        Path::new("/"),
        &env(&[("HOME", "/nobody".into())]),
    )
    .await
    .err()
    .unwrap();
    assert_eq!(error.message, "no kubeconfig at `/nobody/.kube/config`");
}

async fn with_plugin(script: &str, mode: &str) -> Result<Access, BackendError> {
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(folder.path().join("plugin")).unwrap();
    writeln!(file, "#!/bin/sh\n{script}").unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o755))
        .unwrap();
    drop(file);
    let users = format!(
        "{{token: null, exec: {{apiVersion: client.authentication.k8s.io/v1, command: ./plugin, \
             interactiveMode: {mode}, env: [{{name: PLUGIN_SAYS, value: hello}}]}}}}"
    );
    let text = PLAIN.replace("{token: planted-kube-token-1}", &users);
    std::fs::write(folder.path().join("config"), text).unwrap();
    let settings = Settings {
        kubeconfig: Some("config".into()),
        timeout: std::time::Duration::from_millis(1500),
        ..Settings::default()
    };
    access(&settings, folder.path(), &env(&[])).await
}

#[tokio::test]
async fn a_credential_plugin_gives_a_token_and_its_end() {
    let access = with_plugin(
            "read line && exit 9\ncase \"$KUBERNETES_EXEC_INFO\" in *'\"interactive\":false'*) ;; *) exit 8;; esac\n\
             echo '{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"'plugin-token-$PLUGIN_SAYS'\",\"expirationTimestamp\":\"2030-01-01T00:00:00Z\"}}'",
            "IfAvailable",
        )
        .await
        .unwrap();
    let token = access.config.auth_info.token.unwrap();
    assert_eq!(token.expose_secret(), "plugin-token-hello");
    assert_eq!(access.expires.unwrap().timestamp(), 1_893_456_000);
}

#[tokio::test]
async fn a_failing_plugin_is_named_and_its_output_is_not_shown() {
    let failed = with_plugin("echo planted-2; echo planted-3 >&2; exit 3", "Never");
    let error = failed.await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(
        error
            .message
            .contains("plugin`: it ended with exit status: 3"),
        "{error}"
    );
    assert!(!error.message.contains("planted"), "{error}");
    let flood = with_plugin("exec yes planted-4", "Never")
        .await
        .err()
        .unwrap();
    assert!(flood.message.contains("it prints too much"), "{flood}");
    let garbage = with_plugin("echo '{}'", "Never").await.err().unwrap();
    assert!(garbage.message.contains("no status"), "{garbage}");
    let asks = with_plugin("true", "Always").await.err().unwrap();
    assert!(asks.message.contains("insists on a terminal"), "{asks}");
}
