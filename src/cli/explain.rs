//! `gonogo config`: is it right, and where does each value come from?

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    cli::{Stop, args::Config as Args, exit::Exit, output::Out, session},
    config::{self, Config, Found, Origin, env},
    domain::quantity::counted,
    report::SCHEMA,
};

pub(super) async fn config(flag: Option<&Path>, args: Args, out: &mut Out) -> Result<Exit, Stop> {
    let file = match config::locate(flag, env::config()) {
        Found::File { path, because } => Some((path, because)),
        Found::Nothing { .. } => None,
    };
    let config = session::load(flag, out)?;
    match args {
        Args::Check(json) => {
            files(&config).await?;
            Ok(check(&config, file, json.json, out))
        }
        Args::Explain(json) => explain(&config, file, json.json, out),
    }
}

/// Files the configuration leads to and that backends cannot work without.
async fn files(config: &Config) -> Result<(), Stop> {
    let looks = config
        .backends
        .iter()
        .map(|backend| async move { (&backend.id, backend.probe.read_files().await) });
    let wrong: Vec<String> = futures::future::join_all(looks)
        .await
        .into_iter()
        .filter_map(|(id, read)| Some(format!("backend `{id}`: {}", read.err()?.message)))
        .collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Stop::new(Exit::Usage, wrong.join("\n")))
    }
}

fn check(config: &Config, file: Option<(PathBuf, &str)>, as_json: bool, out: &mut Out) -> Exit {
    let path = file
        .map(|(path, _)| path.display().to_string())
        .unwrap_or_default();
    let catalog = &config.catalog;
    if as_json {
        out.json(&json!({
            "schema": SCHEMA,
            "code": Exit::Ok.code(),
            "word": Exit::Ok.word(),
            "file": path,
            "digest": catalog.digest.as_str(),
            "services": catalog.services.len(),
            "environments": catalog.environments.len(),
            "policies": catalog.policies.len(),
            "backends": catalog.backends.len(),
            "remarks": config.remarks.iter().map(super::super::domain::text::Clean::as_str).collect::<Vec<_>>(),
        }));
        return Exit::Ok;
    }
    out.line(format!(
        "{path} is right: {}, {}, {}, {}",
        counted(catalog.services.len(), "service", "services"),
        counted(catalog.environments.len(), "environment", "environments"),
        counted(catalog.policies.len(), "policy", "policies"),
        counted(catalog.backends.len(), "backend", "backends")
    ));
    out.lines(config.remarks.iter().map(|remark| format!("  – {remark}")));
    Exit::Ok
}

fn explain(
    config: &Config,
    file: Option<(PathBuf, &str)>,
    as_json: bool,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let (path, because) = file
        .map(|(path, because)| (path.display().to_string(), because))
        .unwrap_or_default();
    let ledger = session::paths(config)?.ledger;
    let ledger_is_written = config.ledger.is_some();
    if as_json {
        let settings: Vec<_> = config
            .settings
            .iter()
            .map(|setting| {
                let (origin, line) = match &setting.origin {
                    Origin::Default => ("default", None),
                    Origin::File { line } => ("file", Some(*line)),
                    Origin::Env(name) => (*name, None),
                };
                json!({
                    "key": setting.key.as_str(),
                    "value": setting.value.as_str(),
                    "origin": origin,
                    "line": line,
                })
            })
            .collect();
        out.json(&json!({
            "schema": SCHEMA,
            "code": Exit::Ok.code(),
            "word": Exit::Ok.word(),
            "file": path,
            "because": because,
            "ledger": ledger.to_string_lossy(),
            "settings": settings,
        }));
        return Ok(Exit::Ok);
    }
    out.line(format!("{path} ({because})"));
    let mut rows: Vec<Vec<String>> = config
        .settings
        .iter()
        .map(|setting| {
            vec![
                setting.origin.to_string(),
                setting.key.to_string(),
                setting.value.to_string(),
            ]
        })
        .collect();
    if !ledger_is_written {
        rows.push(vec![
            "default".to_owned(),
            "ledger".to_owned(),
            ledger.display().to_string(),
        ]);
    }
    out.table(&["FROM", "KEY", "VALUE"], &rows);
    Ok(Exit::Ok)
}
