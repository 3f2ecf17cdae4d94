//! The endpoints that change something.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::sim::{
    http::Reply,
    mlflow::{
        api::Args,
        problem::{invalid, missing, no_route},
        read::version_of,
        store::{Registry, Version},
    },
};

/// Carries a change out.
pub(crate) fn answer(
    registry: &mut Registry,
    path: &str,
    method: &str,
    args: &Args,
    now: DateTime<Utc>,
) -> Result<Value, Reply> {
    match (path, method) {
        ("registered-models/alias", "POST") => set_alias(registry, args),
        ("registered-models/alias", _) => {
            let name = args.needed("name")?;
            let alias = args.needed("alias")?;
            let model = registry.models.iter_mut().find(|model| model.name == name);
            let model = model
                .ok_or_else(|| missing(format!("Registered Model with name={name} not found")))?;
            model.aliases.remove(&alias);
            Ok(json!({}))
        }
        ("registered-models/set-tag", _) => {
            let name = args.needed("name")?;
            let (key, value) = (args.needed("key")?, args.text("value")?.unwrap_or_default());
            let model = registry.models.iter_mut().find(|model| model.name == name);
            let model = model
                .ok_or_else(|| missing(format!("Registered Model with name={name} not found")))?;
            model.tags.insert(key, value);
            Ok(json!({}))
        }
        ("model-versions/set-tag", _) => {
            let (key, value) = (args.needed("key")?, args.text("value")?.unwrap_or_default());
            change(registry, args, |version| {
                version.tags.insert(key, value);
            })?;
            Ok(json!({}))
        }
        ("model-versions/delete-tag", _) => {
            let key = args.needed("key")?;
            change(registry, args, |version| {
                version.tags.remove(&key);
            })?;
            Ok(json!({}))
        }
        ("model-versions/update", _) => {
            let description = args.text("description")?.unwrap_or_default();
            change(registry, args, |version| {
                version.description = description;
                version.updated = now.timestamp_millis();
            })?;
            let (model, version) = version_of(registry, args)?;
            Ok(json!({"model_version": crate::sim::mlflow::shape::version(model, version, true)}))
        }
        ("runs/set-tag", _) => {
            let id = args.needed("run_id")?;
            let (key, value) = (args.needed("key")?, args.text("value")?.unwrap_or_default());
            let run = registry.runs.iter_mut().find(|run| run.id == id);
            let run = run.ok_or_else(|| missing(format!("Run with id={id} not found")))?;
            run.tags.insert(key, value);
            Ok(json!({}))
        }
        _ => Err(no_route()),
    }
}

fn set_alias(registry: &mut Registry, args: &Args) -> Result<Value, Reply> {
    let name = args.needed("name")?;
    let alias = args.needed("alias")?;
    if alias.eq_ignore_ascii_case("latest") {
        return Err(invalid(
            "'latest' alias name (case insensitive) is reserved.",
        ));
    }
    let numbered = alias.strip_prefix(['v', 'V']).is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if numbered {
        return Err(invalid(format!(
            "Version alias name '{alias}' is reserved."
        )));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !alias.chars().all(plain) {
        return Err(invalid(format!(
            "Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores \
             (_), and dashes (-)."
        )));
    }
    let number = version_of(registry, args)?.1.number;
    registry.set_alias(&name, &alias, number);
    Ok(json!({}))
}

fn change(
    registry: &mut Registry,
    args: &Args,
    how: impl FnOnce(&mut Version),
) -> Result<(), Reply> {
    let (name, number) = {
        let (model, version) = version_of(registry, args)?;
        (model.name.clone(), version.number)
    };
    let version = registry
        .models
        .iter_mut()
        .find(|model| model.name == name)
        .and_then(|model| {
            model
                .versions
                .iter_mut()
                .find(|version| version.number == number)
        });
    if let Some(version) = version {
        how(version);
    }
    Ok(())
}
