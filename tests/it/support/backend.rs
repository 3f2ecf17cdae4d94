//! Builds one backend as the configuration would, and looks through its feeds.

use gonogo::{
    backend::{Backend, BackendError, Feed, Focus, Poll, REGISTRY, Setup},
    domain::{
        id::BackendId,
        observation::{Batch, Fact, Failure, Observation},
    },
};
use serde_json::Value;

use crate::support::script::Seen;

/// A backend named after its kind, from a section written as an inline table.
pub(crate) fn build(kind: &str, section: &str, setup: &Setup) -> Result<Backend, toml::de::Error> {
    let factory = REGISTRY
        .iter()
        .find(|factory| factory.kind() == kind)
        .unwrap();
    let section = toml::de::ValueDeserializer::parse(section).unwrap();
    factory.build(BackendId::new(kind), section, setup)
}

/// A backend from the section its kind shows as an example, taken out of its
/// comment.
pub(crate) fn example(kind: &str, setup: &Setup) -> Backend {
    let factory = REGISTRY
        .iter()
        .find(|factory| factory.kind() == kind)
        .unwrap();
    let text: String = factory
        .example()
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap().to_owned() + "\n")
        .collect();
    let mut document: toml::Table = text.parse().unwrap();
    let mut backends = document.remove("backend").unwrap();
    let backends = backends.as_table_mut().unwrap();
    let mut section = backends.remove(kind).unwrap();
    let written = section.as_table_mut().unwrap().remove("kind").unwrap();
    assert_eq!(written.as_str(), Some(kind));
    build(kind, &section.to_string(), setup).unwrap()
}

/// The feed that speaks for this scope.
pub(crate) fn feed(backend: Backend, part: &str) -> Box<dyn Poll> {
    let polls = backend.feeds.into_iter().filter_map(|feed| match feed {
        Feed::Poll(poll) => Some(poll),
        Feed::Stream(_) => None,
    });
    let mut polls = polls.filter(|poll| poll.scope().part == *part);
    polls.next().unwrap()
}

/// A captured answer of Prometheus as if it had been evaluated `offset` seconds
/// after the instant asked for.
pub(crate) fn evaluated(mut answer: Value, seen: &Seen, offset: f64) -> Value {
    let time = seen.parameters()["time"].parse::<f64>().unwrap() + offset;
    let is_vector = answer["data"]["resultType"] == "vector";
    let Some(result) = answer.pointer_mut("/data/result") else {
        return answer;
    };
    if is_vector {
        for point in result.as_array_mut().unwrap() {
            point["value"][0] = time.into();
        }
    } else if result[1].is_string() {
        result[0] = time.into();
    }
    answer
}

/// What one look brought.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) batches: Vec<Batch>,
    pub(crate) failures: Vec<Failure>,
}

impl Told {
    /// The batch about this scope.
    pub(crate) fn batch(&self, part: &str) -> &Batch {
        let mut found = self
            .batches
            .iter()
            .filter(|batch| batch.scope.part == *part);
        found.next().unwrap()
    }

    /// The failure of this scope.
    pub(crate) fn failure(&self, part: &str) -> &Failure {
        let mut found = self.failures.iter().filter(|one| one.scope.part == *part);
        found.next().unwrap()
    }

    /// All facts.
    pub(crate) fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.batches.iter().flat_map(|batch| &batch.facts)
    }
}

/// Looks once.
pub(crate) async fn look(poll: &mut dyn Poll) -> Result<Told, BackendError> {
    look_with(poll, &Focus::default()).await
}

/// Looks once while people look at something.
pub(crate) async fn look_with(poll: &mut dyn Poll, focus: &Focus) -> Result<Told, BackendError> {
    let mut told = Told::default();
    for observation in poll.poll(focus).await? {
        match observation {
            Observation::Batch(batch) => told.batches.push(batch),
            Observation::Failure(failure) => told.failures.push(failure),
            other => panic!("adapters tell facts: {other:?}"),
        }
    }
    Ok(told)
}

/// A captured answer.
pub(crate) fn fixture(path: &str) -> String {
    let path = format!("{}/tests/fixtures/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// A captured answer as JSON.
pub(crate) fn fixture_json(path: &str) -> Value {
    serde_json::from_str(&fixture(path)).unwrap()
}
