//! As written → as meant: parts put in, causes told apart, manifests parsed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sim::{
    cause::{Cause, Effect, Patch, Push},
    digest,
    kubernetes::Fault,
    scenario::{
        Moment, Scenario, ScenarioError, Told, check,
        embedded::PARTS,
        expand,
        file::{self, At, FaultKind, File, Hint, HintWhile},
    },
};

/// Where in which text something is wrong, while it is being resolved.
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// An error about `needle`, placed at the first line that holds it in quotes.
    pub(crate) fn error(&self, needle: &str, why: String, remedy: &str) -> ScenarioError {
        let quoted = format!("\"{}\"", expand::escaped(needle));
        let line = (!needle.is_empty())
            .then(|| self.text.lines().position(|line| line.contains(&quoted)))
            .flatten();
        ScenarioError {
            file: self.file.to_owned(),
            line: line.map(|index| index + 1),
            why,
            remedy: remedy.to_owned(),
        }
    }

    /// An error of the TOML reader.
    fn syntax(&self, error: &toml::de::Error) -> ScenarioError {
        let line = error.span().map(|span| {
            self.text
                .bytes()
                .take(span.start)
                .filter(|byte| *byte == b'\n')
                .count()
                + 1
        });
        ScenarioError {
            file: self.file.to_owned(),
            line,
            why: error.message().to_owned(),
            remedy: "compare with a scenario that ships; keys are strict so that a typo is seen"
                .to_owned(),
        }
    }
}

/// The title alone, for lists.
pub(crate) fn title(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    table.get("title")?.as_str().map(str::to_owned)
}

fn told(hint: Hint) -> Told {
    match hint {
        Hint::Always(say) => Told { say, holds: None },
        Hint::While(HintWhile { say, holds }) => Told {
            say,
            holds: Some(holds),
        },
    }
}

/// Reads and checks one scenario.
pub(crate) fn scenario(name: &str, file: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let source = Source { file, text };
    let mut whole: File = toml::from_str(text).map_err(|error| source.syntax(&error))?;
    for part in std::mem::take(&mut whole.parts) {
        let filled = filled_part(&source, &part)?;
        absorb(&mut whole, filled);
    }
    let mut manifests = documents(&source, "manifests", &whole.manifests)?;
    let mut script = Vec::with_capacity(whole.at.len());
    for at in &whole.at {
        script.push(moment(&source, at.clone())?);
    }
    check::check(&source, &whole)?;
    let focus = whole.focus.ok_or_else(|| {
        source.error(
            "",
            "has no `[focus]`".to_owned(),
            "say which repository, model and rollout",
        )
    })?;
    manifests.extend(whole.object);
    // Stable: what is written first happens first.
    script.sort_by(|one, other| one.s.total_cmp(&other.s));
    Ok(Scenario {
        name: name.to_owned(),
        title: whole.title.unwrap_or_default(),
        about: whole.about.unwrap_or_default().trim().to_owned(),
        guide: whole.guide.into_iter().map(told).collect(),
        focus,
        config: whole.config,
        personas: whole.persona,
        people: whole
            .person
            .into_iter()
            .map(|person| (person.login, person.name))
            .collect(),
        repos: whole.repo,
        models: whole.model,
        traffic: whole.traffic,
        manifests,
        script,
    })
}

fn filled_part(source: &Source<'_>, part: &file::Use) -> Result<File, ScenarioError> {
    let remedy = "use one of the parts that ship";
    let Some((_, text)) = PARTS.iter().find(|(name, _)| *name == part.part) else {
        return Err(source.error(
            &part.part,
            format!("no part is called `{}`", part.part),
            remedy,
        ));
    };
    let mut whole: Value = toml::from_str(text).map_err(|error| {
        Source {
            file: &part.part,
            text,
        }
        .syntax(&error)
    })?;
    // Not a field of a scenario: only a part has parameters.
    let defaults = whole
        .as_object_mut()
        .and_then(|whole| whole.remove("params"));
    let mut params: BTreeMap<String, Value> = match defaults {
        Some(Value::Object(defaults)) => defaults.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    for (key, value) in &part.with {
        if !params.contains_key(key) {
            let known: Vec<&str> = params.keys().map(String::as_str).collect();
            let why = format!("part `{}` has no parameter `{key}`", part.part);
            return Err(source.error(&part.part, why, &format!("it has {}", known.join(", "))));
        }
        params.insert(key.clone(), value.clone());
    }
    // A default may be made from other parameters.
    let given = params.clone();
    for value in params.values_mut() {
        *value = expand::fill(value.clone(), &given);
    }
    serde_json::from_value(expand::fill(whole, &params)).map_err(|error| {
        let why = format!("part `{}` with these parameters: {error}", part.part);
        source.error(
            &part.part,
            why,
            "give the parameter a value of the right type",
        )
    })
}

fn absorb(whole: &mut File, part: File) {
    let join = |into: &mut String, more: &str, between: &str| {
        if !into.is_empty() && !more.is_empty() {
            into.push_str(between);
        }
        into.push_str(more);
    };
    join(&mut whole.config, &part.config, "\n");
    join(&mut whole.manifests, &part.manifests, "\n---\n");
    whole.object.extend(part.object);
    whole.persona.extend(part.persona);
    whole.person.extend(part.person);
    for repo in part.repo {
        match whole.repo.iter_mut().find(|known| known.name == repo.name) {
            Some(known) => absorb_repo(known, repo),
            None => whole.repo.push(repo),
        }
    }
    whole.model.extend(part.model);
    whole.traffic.extend(part.traffic);
    whole.at.extend(part.at);
    if whole.focus.is_none() {
        whole.focus = part.focus;
    }
}

/// Adds what another part says about a repository that is there already.
fn absorb_repo(known: &mut file::Repo, more: file::Repo) {
    known.team.extend(more.team);
    for environment in more.environment {
        if !known
            .environment
            .iter()
            .any(|other| other.name == environment.name)
        {
            known.environment.push(environment);
        }
    }
    for workflow in more.workflow {
        match known
            .workflow
            .iter_mut()
            .find(|other| other.file == workflow.file)
        {
            Some(other) => {
                other.job.extend(workflow.job);
                other.numbered = other.numbered.max(workflow.numbered);
                if other.name.is_empty() {
                    other.name = workflow.name;
                }
                if other.on.is_empty() {
                    other.on = workflow.on;
                }
            }
            None => known.workflow.push(workflow),
        }
    }
}

/// The objects of a text with several YAML documents.
fn documents(source: &Source<'_>, field: &str, text: &str) -> Result<Vec<Value>, ScenarioError> {
    let options = serde_saphyr::options! { strict_booleans: true };
    let remedy = "it must be Kubernetes objects as YAML, with `kind` and `metadata.name`";
    let objects: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| source.error("", format!("`{field}`: {error}"), remedy))?;
    let named = |object: &Value| {
        object.get("kind").is_some_and(Value::is_string)
            && object
                .pointer("/metadata/name")
                .is_some_and(Value::is_string)
    };
    let objects: Vec<Value> = objects
        .into_iter()
        .filter(|object| !object.is_null())
        .collect();
    match objects.iter().position(|object| !named(object)) {
        Some(index) => {
            let why = format!("`{field}`: document {} has no kind or no name", index + 1);
            Err(source.error("", why, remedy))
        }
        None => Ok(objects),
    }
}

/// One cause as a moment of a scenario holds it, written as JSON without a time.
pub(crate) fn cause(mut written: Value) -> Result<Cause, String> {
    if let Some(fields) = written.as_object_mut() {
        fields.insert("s".to_owned(), 0.into());
    }
    let at: At = serde_json::from_value(written).map_err(|error| error.to_string())?;
    let source = Source {
        file: "request",
        text: "",
    };
    moment(&source, at)
        .map(|moment| moment.cause)
        .map_err(|error| error.why)
}

fn moment(source: &Source<'_>, at: At) -> Result<Moment, ScenarioError> {
    let (s, every) = (at.s, at.every);
    let mut causes = Vec::new();
    causes.extend(at.push.map(|push| Cause::Push(pushed(push))));
    causes.extend(at.approve.map(|answer| reviewed(answer, true)));
    causes.extend(at.reject.map(|answer| reviewed(answer, false)));
    causes.extend(at.rerun.map(|rerun| Cause::Rerun {
        repo: rerun.repo,
        by: rerun.by,
    }));
    causes.extend(
        at.patch
            .map(|patch: Patch| Cause::Effect(Effect::Patch(patch))),
    );
    if let Some(text) = at.apply {
        causes.push(Cause::Apply(documents(source, "apply", &text)?));
    }
    causes.extend(at.delete.map(|target| Cause::Delete {
        kind: target.kind,
        namespace: target.namespace,
        name: target.name,
    }));
    causes.extend(at.register.map(|version| Cause::Register {
        training: version.training,
        sha: version.sha,
        branch: version.branch,
        author: version.author,
    }));
    causes.extend(at.alias.map(|alias| {
        Cause::Effect(Effect::Alias {
            model: alias.model,
            alias: alias.name,
            version: alias.version,
        })
    }));
    causes.extend(at.shape.map(Cause::Shape));
    causes.extend(at.silence.map(|silence| Cause::Silence {
        traffic: silence.traffic,
        on: silence.on,
    }));
    if let Some(line) = at.fault {
        let fault = match (line.kind, line.code) {
            (FaultKind::Status, Some(code)) => Some(Fault::Status(code)),
            (FaultKind::Status, None) => {
                let why = "a fault of kind `status` has no `code`".to_owned();
                return Err(source.error("status", why, "add `code = 503`"));
            }
            (FaultKind::Html, _) => Some(Fault::Html),
            (FaultKind::Hang, _) => Some(Fault::Hang),
            (FaultKind::Reset, _) => Some(Fault::Reset),
            (FaultKind::Lost, _) => Some(Fault::LostAnswer),
            (FaultKind::Off, _) => None,
        };
        causes.push(Cause::Fault {
            backend: line.backend,
            fault,
        });
    }
    causes.extend(at.swallow.map(|patches| Cause::Swallow { patches }));
    match (causes.pop(), causes.is_empty()) {
        (Some(cause), true) => Ok(Moment { s, every, cause }),
        _ => {
            let why = format!("the moment at s = {s} must hold exactly one cause");
            Err(source.error("", why, "write one `[[at]]` for each thing that happens"))
        }
    }
}

fn pushed(push: file::Push) -> Push {
    let sha = push.sha.unwrap_or_else(|| {
        digest::short(
            &format!("{} {} {}", push.repo, push.branch, push.message),
            40,
        )
    });
    Push {
        repo: push.repo,
        branch: push.branch,
        sha,
        message: push.message,
        author: push.author,
        training: push.training,
        failures: push.failure,
    }
}

fn reviewed(answer: file::Answer, approve: bool) -> Cause {
    Cause::Review {
        repo: answer.repo,
        environment: answer.environment,
        by: answer.by,
        approve,
        comment: answer.comment,
    }
}
