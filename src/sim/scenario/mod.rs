//! Scenarios: stories the demo's outside world plays.
//!
//! A scenario holds causes only (a push, a metric's shape, a backend that
//! breaks); what follows is worked out by the backends. Those that ship are
//! embedded; any file of the same form can be played too. Its cluster part is
//! plain manifests and timed patches, which a real API server takes as well:
//! [`Scenario::manifests`], [`Scenario::patches`].

mod check;
mod embedded;
mod expand;
mod file;
mod resolve;

use std::{fmt, fs, path::Path, time::Duration};

use serde_json::Value;

pub(crate) use expand::{fill_facts, fill_text};
pub(crate) use file::{Focus, Job, Model, Persona, Repo, Role, Traffic};
pub(crate) use resolve::cause;

use crate::sim::cause::{Cause, Effect};

/// A story, checked and ready to be played.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it is called on the command line.
    pub name: String,
    /// One line for lists.
    pub title: String,
    /// What happens in it, in a few sentences.
    pub about: String,
    /// What to look at and which keys to try, one hint a line.
    pub guide: Vec<Told>,
    pub(crate) focus: Focus,
    pub(crate) config: String,
    pub(crate) personas: Vec<Persona>,
    pub(crate) people: Vec<(String, String)>,
    pub(crate) repos: Vec<Repo>,
    pub(crate) models: Vec<Model>,
    pub(crate) traffic: Vec<Traffic>,
    pub(crate) manifests: Vec<Value>,
    /// In order of time.
    pub(crate) script: Vec<Moment>,
}

/// A hint of the guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What is said.
    pub say: String,
    /// A filter of the fleet; the hint stands while it finds something. `None`: always.
    pub holds: Option<String>,
}

/// A cause and when it comes.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    /// Seconds from the start; negative: before it.
    pub(crate) s: f64,
    pub(crate) every: Option<f64>,
    pub(crate) cause: Cause,
}

/// One line of `demo --list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Name to start it by.
    pub name: String,
    /// One line about it.
    pub title: String,
}

/// A patch of the cluster part, for a real API server.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedPatch {
    /// How long after the start; history is due at once.
    pub after: Duration,
    /// Kind, namespace and name of the object.
    pub target: (String, String, String),
    /// RFC 7386 merge patch.
    pub merge: Value,
}

/// Why a scenario cannot be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// File or name it was asked for by.
    pub file: String,
    /// Line in that file, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scenario `{}`", self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}\n  {}", self.why, self.remedy)
    }
}

impl std::error::Error for ScenarioError {}

/// The scenarios that ship, in the order to show them.
pub fn list() -> Vec<Summary> {
    embedded::SCENARIOS
        .iter()
        .map(|(name, text)| Summary {
            name: (*name).to_owned(),
            title: resolve::title(text).unwrap_or_default(),
        })
        .collect()
}

/// Reads a scenario by its name, or from a file.
///
/// Whatever contains a `/` or ends in `.toml` is a file.
///
/// # Errors
/// Names file, line and remedy: the name is unknown, the file cannot be read,
/// is not of the form of a scenario, or refers to something it does not define.
pub fn load(name_or_path: &str) -> Result<Scenario, ScenarioError> {
    if let Some((name, text)) = embedded::SCENARIOS
        .iter()
        .find(|(name, _)| *name == name_or_path)
    {
        return resolve::scenario(name, name, text);
    }
    let path = Path::new(name_or_path);
    let is_file = name_or_path.contains(std::path::MAIN_SEPARATOR)
        || path
            .extension()
            .is_some_and(|extension| extension == "toml");
    if !is_file {
        let names: Vec<&str> = embedded::SCENARIOS.iter().map(|(name, _)| *name).collect();
        return Err(ScenarioError {
            file: name_or_path.to_owned(),
            line: None,
            why: "no scenario has this name".to_owned(),
            remedy: format!(
                "choose one of {}, or give a file ending in .toml",
                names.join(", ")
            ),
        });
    }
    let text = fs::read_to_string(path).map_err(|error| ScenarioError {
        file: name_or_path.to_owned(),
        line: None,
        why: format!("cannot be read: {error}"),
        remedy: "check the path; `demo --list` shows what ships with the program".to_owned(),
    })?;
    let name = path
        .file_stem()
        .map_or_else(|| "scenario".into(), |stem| stem.to_string_lossy());
    resolve::scenario(&name, name_or_path, &text)
}

impl Scenario {
    /// The Kubernetes objects of the story, as they are before it begins, for
    /// analyses that ask the Prometheus at `prometheus_url`.
    pub fn manifests(&self, prometheus_url: &str) -> Vec<Value> {
        let facts = [("prometheus.url".to_owned(), prometheus_url.to_owned())].into();
        self.manifests
            .iter()
            .cloned()
            .map(|object| fill_facts(object, &facts))
            .collect()
    }

    /// The patches the script sends to the cluster, in order.
    pub fn patches(&self) -> Vec<TimedPatch> {
        self.script
            .iter()
            .filter_map(|moment| match &moment.cause {
                Cause::Effect(Effect::Patch(patch)) => Some(TimedPatch {
                    after: Duration::try_from_secs_f64(moment.s).unwrap_or_default(),
                    target: (
                        patch.kind.clone(),
                        patch.namespace.clone(),
                        patch.name.clone(),
                    ),
                    merge: patch.merge.clone(),
                }),
                _ => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{list, load, resolve::scenario};

    #[test]
    fn every_scenario_that_ships_loads_and_leads_a_newcomer() {
        let listed = list();
        assert!(listed.iter().any(|summary| summary.name == "canary"));
        for summary in listed {
            let loaded = load(&summary.name).unwrap();
            assert!(
                !loaded.title.is_empty() && !loaded.about.is_empty(),
                "{}",
                summary.name
            );
            assert!(loaded.guide.len() >= 3, "{} leads nobody", summary.name);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = load("canari").unwrap_err().to_string();
        assert!(
            error.contains("no scenario has this name") && error.contains("canary"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = scenario("x", "x.toml", "title = \"t\"\nabuot = \"typo\"\n").unwrap_err();
        assert_eq!(error.line, Some(2));
        assert!(error.why.contains("abuot"), "{error}");
        assert!(error.to_string().contains("x.toml"), "{error}");
    }

    #[test]
    fn a_reference_to_nothing_is_named_with_its_line() {
        let text = "title = \"t\"\nabout = \"a\"\n[focus]\nrepo = \"o/r\"\nworkflow = \"w.yml\"\n\
                    model = \"m\"\nquery = \"up\"\nnamespace = \"n\"\nrollout = \"r\"\n\
                    [[persona]]\nlogin = \"mk\"\nname = \"Mira\"\nrole = \"viewer\"\n\
                    [[repo]]\nname = \"o/r\"\n[[repo.workflow]]\nfile = \"w.yml\"\nname = \"W\"\n\
                    on = [\"push\"]\n[[repo.workflow.job]]\nname = \"build\"\nneeds = [\"tests\"]\n\
                    [[model]]\nname = \"m\"\n";
        let error = scenario("x", "x.toml", text).unwrap_err();
        assert_eq!(error.line, Some(22), "{error}");
        assert!(
            error.why.contains("tests") && error.why.contains("build"),
            "{error}"
        );
    }

    #[test]
    fn a_moment_with_two_causes_is_refused() {
        let text =
            "title = \"t\"\n[[at]]\ns = 1\nswallow = 1\n[at.silence]\ntraffic = \"x\"\non = true\n";
        let error = scenario("x", "x.toml", text).unwrap_err();
        assert!(error.why.contains("exactly one"), "{error}");
    }

    #[test]
    fn broken_yaml_in_the_manifests_is_refused() {
        let text = "title = \"t\"\nmanifests = \"\"\"\nkind: [\n\"\"\"\n";
        let error = scenario("x", "x.toml", text).unwrap_err();
        assert!(error.why.contains("manifests"), "{error}");
    }
}
