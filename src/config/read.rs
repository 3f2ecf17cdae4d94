//! From the text of a file to the configuration in force.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use toml::de::DeTable;

use crate::{
    config::{
        Config, Surroundings, Ui,
        explain::{self, Origin, Setting},
        problem::{Collector, Problem, Problems},
        resolve,
        written::sort,
    },
    domain::{
        catalog::{BackendSpec, Catalog},
        id::BackendId,
        text::Clean,
    },
    engine::clear::Mode,
    store::chain,
};

/// Largest file that is read.
const LIMIT: u64 = 4 * 1024 * 1024;

/// Reads the file at `path` and builds what it names. Opens no connection.
///
/// # Errors
///
/// Everything that is wrong with it, as far as can be told in one go.
pub fn read(path: &Path, surroundings: &Surroundings) -> Result<Config, Problems> {
    let trouble = |error: std::io::Error| {
        let hint = (error.kind() == std::io::ErrorKind::NotFound)
            .then(|| Clean::from("`gonogo init` writes a first one"));
        Problems::whole(path, format!("cannot be read: {error}"), hint)
    };
    let about = fs::metadata(path).map_err(trouble)?;
    if about.len() > LIMIT {
        return Err(Problems::whole(
            path,
            "is too large for a configuration",
            None,
        ));
    }
    let bytes = fs::read(path).map_err(trouble)?;
    match str::from_utf8(&bytes) {
        Ok(text) => read_text(text, path, surroundings),
        Err(error) => Err(not_text(path, &bytes, error.valid_up_to())),
    }
}

/// Where the first byte stands that is no UTF-8, and which it is.
fn not_text(path: &Path, bytes: &[u8], at: usize) -> Problems {
    let (before, rest) = bytes.split_at(at.min(bytes.len()));
    let before = String::from_utf8_lossy(before);
    let line = before.rsplit('\n').next().unwrap_or_default();
    let byte = rest.first().copied().unwrap_or_default();
    Problems {
        file: Clean::line(&path.to_string_lossy()),
        list: vec![Problem {
            line: Some(before.matches('\n').count() + 1),
            column: line.chars().count() + 1,
            message: Clean::from(format!("byte 0x{byte:02x} is not UTF-8 text")),
            hint: Some("save the file as UTF-8".into()),
        }],
    }
}

/// As [`read`], for a text that is already there; `path` is where it would be.
///
/// # Errors
///
/// As [`read`].
pub fn read_text(text: &str, path: &Path, surroundings: &Surroundings) -> Result<Config, Problems> {
    let mut problems = Collector::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        problems.toml(error, &(0..0));
    }
    if !problems.is_empty() {
        return Err(problems.into_problems(path));
    }
    let document = document.into_inner();
    let digests = Digests::of(&document);
    let mut lines = explain::written(&document, &problems);
    lines.sort_by_key(|(_, _, line)| *line);
    let base = path.parent().unwrap_or(Path::new(".")).to_owned();
    let (written, waiting) = sort(document, &mut problems);
    let mode = resolve::mode(&written, &mut problems);
    let (ui, by_variable) = resolve::looks(&written, surroundings, &mut problems);
    let mut catalog = resolve::catalog(&written, &digests, &mut problems);
    let backends = resolve::backends(waiting, &catalog, &base, surroundings, &mut problems);
    if problems.is_empty() {
        resolve::check_families(&written, &backends, &mut problems);
    }
    if !problems.is_empty() {
        return Err(problems.into_problems(path));
    }
    for backend in &backends {
        let spec = BackendSpec {
            kind: backend.kind,
            cadence: backend.cadence,
        };
        catalog.backends.insert(backend.id.clone(), spec);
    }
    Ok(Config {
        settings: settings(lines, mode, ui, &by_variable, &catalog),
        remarks: remarks(&catalog),
        catalog: Arc::new(catalog),
        backends,
        mode,
        ledger: written.ledger.map(|ledger| base.join(ledger)),
        ui,
    })
}

/// Digests of the text without credentials: of all of it and of each policy.
pub(super) struct Digests {
    pub(super) all: Clean,
    pub(super) policies: BTreeMap<String, Clean>,
}

impl Digests {
    fn of(document: &DeTable<'_>) -> Self {
        let mut all = serde_json::Map::new();
        for (key, value) in document {
            all.insert(
                key.get_ref().to_string(),
                explain::json(key.get_ref(), value.get_ref()),
            );
        }
        let digest = |value: &serde_json::Value| {
            let text = chain::canonical(value).expect("a JSON value has a JSON form");
            Clean::from(chain::sha256(text.as_bytes()))
        };
        let policies = all
            .get("policy")
            .and_then(serde_json::Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, policy)| (name.clone(), digest(policy)))
            .collect();
        Self {
            all: digest(&serde_json::Value::Object(all)),
            policies,
        }
    }
}

/// Every value in force: those of the file in its order, then the rest.
fn settings(
    lines: Vec<(String, Clean, usize)>,
    mode: Mode,
    ui: Ui,
    by_variable: &[(&'static str, &'static str)],
    catalog: &Catalog,
) -> Vec<Setting> {
    let mut settings: Vec<Setting> = lines
        .into_iter()
        .map(|(key, value, line)| Setting {
            key: Clean::line(&key),
            value,
            origin: Origin::File { line },
        })
        .collect();
    for (key, value) in explain::defaults(mode, ui, catalog) {
        if settings.iter().any(|setting| setting.key == *key) {
            continue;
        }
        let variable = by_variable.iter().find(|(name, _)| *name == key);
        settings.push(Setting {
            key: Clean::line(&key),
            value: Clean::line(&value),
            origin: variable.map_or(Origin::Default, |(_, variable)| Origin::Env(variable)),
        });
    }
    settings
}

/// What works and is worth a look.
fn remarks(catalog: &Catalog) -> Vec<Clean> {
    let mut remarks = Vec::new();
    if catalog.services.is_empty() {
        remarks.push("no service is configured, so there is nothing to show".into());
    }
    let services = || catalog.services.values();
    let used = |backend: &BackendId| {
        catalog
            .environments
            .values()
            .any(|environment| environment.backend == *backend)
            || services().any(|service| {
                service
                    .run
                    .as_ref()
                    .is_some_and(|run| run.backend == *backend)
                    || service
                        .model
                        .as_ref()
                        .is_some_and(|model| model.model.backend == *backend)
                    || service
                        .metrics
                        .iter()
                        .any(|metric| metric.backend == *backend)
            })
    };
    for backend in catalog.backends.keys().filter(|backend| !used(backend)) {
        remarks.push(Clean::from(format!(
            "backend `{backend}` is used by nothing"
        )));
    }
    for (name, policy) in &catalog.policies {
        if !services().any(|service| service.policy == *name) {
            remarks.push(Clean::from(format!(
                "policy `{name}` is used by no service"
            )));
        }
        if !policy.gates.iter().any(|gate| gate.required) {
            remarks.push(Clean::from(format!(
                "policy `{name}` requires no gate: its answer is always NO-GO"
            )));
        }
    }
    remarks
}
