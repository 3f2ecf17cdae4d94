//! From kubeconfig files to a client configuration.
//!
//! Read anew for every fresh client, so that a renewed file is noticed. Nothing
//! of a file's content gets into an error: it may hold credentials anywhere.

use std::path::{Path, PathBuf};

use k8s_openapi::ByteString;
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig, KubeconfigError};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use secrecy::ExposeSecret;

use crate::{
    backend::{
        BackendError, Env, ErrorKind,
        kubernetes::{exec, proxy, settings::Settings},
        secret::redactor,
        tls,
    },
    domain::{Timestamp, text::Clean},
};

/// What one context of a kubeconfig says.
pub(super) struct Access {
    /// For the client, with credentials.
    pub(super) config: kube::Config,
    /// When the credentials are to be fetched anew, if that is known.
    pub(super) expires: Option<Timestamp>,
    /// When the client certificate, if there is one, is no longer believed.
    pub(super) certificate_end: Option<Timestamp>,
}

/// Loads the configured context and runs its credential plugin, if it has one.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] with file and line when a file cannot be read,
/// [`ErrorKind::Unauthenticated`] when there are no credentials.
pub(super) async fn access(
    settings: &Settings,
    base: &Path,
    env: &Env,
) -> Result<Access, BackendError> {
    let (context, cluster, mut auth) = chosen(settings, base, env).await?;
    let expires = match auth.exec.take() {
        Some(exec) => {
            // A browser or a hardware key takes longer than a request.
            exec::authenticate(&mut auth, &exec, &cluster, settings.timeout * 3).await?
        }
        None => None,
    };
    let certificate_end = certificate_end(&auth);
    let mut config = client_config(&cluster, auth, settings, env)?;
    if let Some(namespace) = context.namespace {
        config.default_namespace = namespace;
    }
    Ok(Access {
        config,
        expires,
        certificate_end,
    })
}

/// Whether [`access`] would find a usable context, without running its plugin.
///
/// # Errors
///
/// As [`access`], except for credentials.
pub(super) async fn check(settings: &Settings, base: &Path, env: &Env) -> Result<(), BackendError> {
    let (_, cluster, auth) = chosen(settings, base, env).await?;
    client_config(&cluster, auth, settings, env).map(drop)
}

/// The configured context with its cluster and user; their secrets are masked
/// from here on.
async fn chosen(
    settings: &Settings,
    base: &Path,
    env: &Env,
) -> Result<(Context, Cluster, AuthInfo), BackendError> {
    let paths = paths(settings, base, env)?;
    let kubeconfig = tokio::task::spawn_blocking(move || read(&paths))
        .await
        .map_err(|_| trouble("reading the kubeconfig was interrupted"))??;
    let (context, cluster, auth) = choose(kubeconfig, settings.context.as_deref())?;
    remember(&auth);
    Ok((context, cluster, auth))
}

/// The names of all contexts, and which one is the current.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] when there is no kubeconfig or it cannot be read.
pub(super) async fn contexts(
    settings: &Settings,
    base: &Path,
    env: &Env,
) -> Result<(Vec<Clean>, Option<Clean>), BackendError> {
    let paths = paths(settings, base, env)?;
    let kubeconfig = tokio::task::spawn_blocking(move || read(&paths))
        .await
        .map_err(|_| trouble("reading the kubeconfig was interrupted"))??;
    let names = kubeconfig
        .contexts
        .iter()
        .map(|context| Clean::name(&context.name))
        .collect();
    let current = kubeconfig.current_context.as_deref().map(Clean::name);
    Ok((names, current))
}

fn trouble(words: &str) -> BackendError {
    BackendError::new(ErrorKind::Configuration, Clean::line(words))
}

/// The files to read, the first of several wins: the configured one, else those
/// of `KUBECONFIG`, else the one in the home folder.
fn paths(settings: &Settings, base: &Path, env: &Env) -> Result<Vec<PathBuf>, BackendError> {
    if let Some(path) = &settings.kubeconfig {
        let Ok(rest) = path.strip_prefix("~") else {
            return Ok(vec![base.join(path)]);
        };
        let home = env("HOME")
            .ok_or_else(|| trouble("`kubeconfig` starts with `~` but `HOME` is not set"))?;
        return Ok(vec![PathBuf::from(home).join(rest)]);
    }
    let listed: Vec<PathBuf> = env("KUBECONFIG")
        .iter()
        .flat_map(std::env::split_paths)
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    if !listed.is_empty() {
        return Ok(listed);
    }
    let home = env("HOME").ok_or_else(|| {
        trouble("no kubeconfig: neither `kubeconfig`, `KUBECONFIG` nor `HOME` is set")
    })?;
    Ok(vec![PathBuf::from(home).join(".kube").join("config")])
}

fn read(paths: &[PathBuf]) -> Result<Kubeconfig, BackendError> {
    let mut merged = Kubeconfig::default();
    let mut missing = Vec::new();
    for path in paths {
        // As kubectl does, a file of a list that is not there is passed over.
        if !path.exists() {
            missing.push(format!("`{}`", path.display()));
            continue;
        }
        let next = Kubeconfig::read_from(path).map_err(|error| unreadable(path, &error))?;
        merged = merged
            .merge(next)
            .map_err(|error| unreadable(path, &error))?;
    }
    if missing.len() == paths.len() {
        return Err(trouble(&format!(
            "no kubeconfig at {}",
            missing.join(" or ")
        )));
    }
    Ok(merged)
}

fn unreadable(path: &Path, error: &KubeconfigError) -> BackendError {
    let path = path.display();
    match error {
        KubeconfigError::Parse(error) => match error.location() {
            Some(place) => trouble(&format!(
                "kubeconfig `{path}`, line {}, column {}: it cannot be read as a kubeconfig",
                place.line(),
                place.column()
            )),
            None => trouble(&format!(
                "kubeconfig `{path}` cannot be read as a kubeconfig"
            )),
        },
        KubeconfigError::ReadConfig(error, _) => trouble(&format!(
            "kubeconfig `{path}` cannot be read: {}",
            error.kind()
        )),
        _ => trouble(&format!(
            "kubeconfig `{path}` does not fit the others of `KUBECONFIG`"
        )),
    }
}

/// The context of this name (or the current one) with its cluster and user.
fn choose(
    kubeconfig: Kubeconfig,
    wanted: Option<&str>,
) -> Result<(Context, Cluster, AuthInfo), BackendError> {
    let names: Vec<String> = kubeconfig
        .contexts
        .iter()
        .map(|context| format!("`{}`", context.name))
        .collect();
    let Some(name) = wanted.or(kubeconfig.current_context.as_deref()) else {
        return Err(trouble(&format!(
            "the kubeconfig has no current context; set `context` to one of {}",
            names.join(", ")
        )));
    };
    let name = name.to_owned();
    let context = kubeconfig
        .contexts
        .into_iter()
        .find(|context| context.name == name)
        .and_then(|context| context.context)
        .ok_or_else(|| {
            trouble(&format!(
                "the kubeconfig has no context `{name}`; it has {}",
                names.join(", ")
            ))
        })?;
    let cluster = kubeconfig
        .clusters
        .into_iter()
        .find(|cluster| cluster.name == context.cluster)
        .and_then(|cluster| cluster.cluster)
        .ok_or_else(|| {
            trouble(&format!(
                "context `{name}` names cluster `{}`, which the kubeconfig does not have",
                context.cluster
            ))
        })?;
    // A user that is not there is no error, as in kubectl: the cluster may not ask.
    let auth = kubeconfig
        .auth_infos
        .into_iter()
        .find(|auth| Some(&auth.name) == context.user.as_ref())
        .and_then(|auth| auth.auth_info)
        .unwrap_or_default();
    Ok((context, cluster, auth))
}

/// Has every credential of the file masked wherever text is shown.
fn remember(auth: &AuthInfo) {
    for secret in [&auth.token, &auth.password, &auth.client_key_data]
        .into_iter()
        .flatten()
    {
        redactor::remember(secret.expose_secret());
    }
    if let Some(file) = &auth.token_file
        && let Ok(token) = std::fs::read_to_string(file)
    {
        redactor::remember(token.trim());
    }
    for entry in auth.exec.iter().flat_map(|exec| exec.env.iter().flatten()) {
        let name = entry.get("name").map(|name| name.to_ascii_uppercase());
        let is_secret = name.is_some_and(|name| {
            ["TOKEN", "SECRET", "PASSWORD", "KEY"]
                .iter()
                .any(|word| name.contains(word))
        });
        if let Some(value) = entry
            .get("value")
            .filter(|value| is_secret && 8 <= value.len())
        {
            redactor::remember(value);
        }
    }
    let provider = auth
        .auth_provider
        .iter()
        .flat_map(|provider| &provider.config);
    for (name, value) in provider {
        if name.ends_with("token") || name.ends_with("secret") {
            redactor::remember(value);
        }
    }
}

fn client_config(
    cluster: &Cluster,
    auth: AuthInfo,
    settings: &Settings,
    env: &Env,
) -> Result<kube::Config, BackendError> {
    let server: http::Uri = cluster
        .server
        .as_deref()
        .ok_or_else(|| trouble("the kubeconfig's cluster has no `server`"))?
        .parse()
        .map_err(|_| trouble("the `server` of the kubeconfig's cluster is no URL"))?;
    if !matches!(server.scheme_str(), Some("http" | "https")) || server.host().is_none() {
        return Err(trouble(
            "the `server` of the kubeconfig's cluster must start with https://",
        ));
    }
    let proxy = proxy::proxy_for(&server, cluster.proxy_url.as_deref(), env)
        .map_err(|why| trouble(&why))?;
    let mut config = kube::Config::new(server);
    config.proxy_url = proxy;
    config.root_cert = authority(cluster)?;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name.clone_from(&cluster.tls_server_name);
    config.disable_compression = cluster.disable_compression.unwrap_or(false);
    config.auth_info = auth;
    // Without this a 503 would be repeated for five minutes, a command as well.
    config.default_retry = false;
    // Half of the whole limit, so that "not reached" is told from "no answer".
    config.connect_timeout = Some(settings.timeout / 2);
    config.headers.push((
        http::header::USER_AGENT,
        http::HeaderValue::from_static(concat!("gonogo/", env!("CARGO_PKG_VERSION"))),
    ));
    Ok(config)
}

/// The end of the client certificate; whether it can be used is for the client to say.
fn certificate_end(auth: &AuthInfo) -> Option<Timestamp> {
    let pem = match (&auth.client_certificate_data, &auth.client_certificate) {
        (Some(data), _) => {
            serde_json::from_value::<ByteString>(data.trim().into())
                .ok()?
                .0
        }
        (None, Some(path)) => std::fs::read(path).ok()?,
        (None, None) => return None,
    };
    tls::end(&CertificateDer::from_pem_slice(&pem).ok()?)
}

/// The certificates that vouch for the cluster.
fn authority(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>, BackendError> {
    let pem = if let Some(data) = &cluster.certificate_authority_data {
        serde_json::from_value::<ByteString>(data.trim().into())
            .map_err(|_| trouble("`certificate-authority-data` of the kubeconfig is no base64"))?
            .0
    } else if let Some(path) = &cluster.certificate_authority {
        std::fs::read(path).map_err(|error| {
            trouble(&format!(
                "certificate authority `{path}` cannot be read: {}",
                error.kind()
            ))
        })?
    } else {
        return Ok(None);
    };
    let certificates: Result<Vec<Vec<u8>>, _> = CertificateDer::pem_slice_iter(&pem)
        .map(|certificate| certificate.map(|der| der.as_ref().to_vec()))
        .collect();
    let certificates = certificates
        .map_err(|_| trouble("the kubeconfig's certificate authority is no PEM certificate"))?;
    if certificates.is_empty() {
        return Err(trouble(
            "the kubeconfig's certificate authority holds no certificate",
        ));
    }
    Ok(Some(certificates))
}

#[cfg(test)]
mod tests;
