//! A line as it is written.
//!
//! Reading is lenient (unknown members stay in the JSON and are covered by the
//! hash), writing is exact. A change that older readers would misunderstand
//! raises [`VERSION`].

use serde::{Deserialize, Serialize};

use crate::{
    domain::{Timestamp, action::Preview, text::Clean},
    store::{chain, entry::Entry, order, writer::Writer},
};

/// The version of the line format.
pub(super) const VERSION: u32 = 1;
/// A request body up to this many bytes is kept; of a longer one, its digest.
const BODY_LIMIT: usize = 4096;

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    pub(super) v: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) seq: u64,
    pub(super) time: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) prev: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) hash: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) steps: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) verb: String,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) brake: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<Arguments>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<SubjectName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seen: Option<Seen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) release: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject_digest: Option<Digests>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) report_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<ActorName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<Request>,
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub(super) overridden: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) note: String,
    pub(super) writer: Process,
    /// The hash of the spooled line this was taken over from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spooled: Option<String>,
    /// For `torn` and `gap`: what is not here, and where it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<Lost>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What an order acts on. Ids are text, because JSON numbers end at 2⁵³.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SubjectName {
    pub(super) family: String,
    pub(super) backend: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) workflow: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment: Option<String>,
}

/// What an action needs to be told beyond its word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Arguments {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) early: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) anew: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) inputs: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alias: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
}

/// What the giver of an order saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) head_sha: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
}

/// What a release is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Digests {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<String>,
}

/// Who asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ActorName {
    pub(super) os_user: String,
    pub(super) backends: Vec<Known>,
}

/// Who a backend says we are; `name` is written as `null` when it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    pub(super) backend: String,
    pub(super) name: Option<String>,
    pub(super) learnt_by: String,
}

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) content_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body_sha256: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) check: String,
}

/// Which process wrote the line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) start: Option<String>,
    pub(super) host: String,
}

/// What is not here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Lost {
    /// First missing number, of a gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<u64>,
    /// Last missing number, of a gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<u64>,
    /// Hash of the last missing line, or of the torn bytes.
    pub(super) hash: String,
    /// The file that holds the torn bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    /// How many bytes were torn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
}

/// An instant as it is written: UTC, milliseconds.
pub(super) fn stamp(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// An instant as it was written.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    Some(Timestamp::from(
        chrono::DateTime::parse_from_rfc3339(text).ok()?,
    ))
}

fn owned(text: &Clean) -> String {
    text.to_string()
}

impl Line {
    /// A line of this kind, not yet part of a chain.
    pub(super) fn bare(kind: &str, writer: &Writer, now: Timestamp) -> Self {
        Self {
            v: VERSION,
            time: stamp(now),
            kind: kind.to_owned(),
            writer: Process {
                pid: writer.pid,
                start: writer.start.as_ref().map(owned),
                host: owned(&writer.host),
            },
            ..Self::default()
        }
    }

    /// An entry as a line, not yet part of a chain.
    pub(super) fn of(entry: &Entry, writer: &Writer, now: Timestamp) -> Self {
        let mut line = Self::bare(entry.kind.word(), writer, now);
        if let Some(order) = &entry.order {
            order::write(order, &mut line);
        }
        let digests = Digests {
            commit: entry.subject_digest.commit.as_ref().map(owned),
            data: entry.subject_digest.data.as_ref().map(owned),
            model: entry.subject_digest.model.as_ref().map(owned),
            image: entry.subject_digest.image.as_ref().map(owned),
            config: entry.subject_digest.config.as_ref().map(owned),
        };
        Self {
            plan: entry.plan.as_ref().map(ToString::to_string),
            step: entry.step,
            steps: entry.steps,
            verb: owned(&entry.verb),
            brake: entry.brake,
            service: entry.service.as_ref().map(ToString::to_string),
            environment: entry.environment.as_ref().map(ToString::to_string),
            release: entry.release.as_ref().map(ToString::to_string),
            subject_digest: (digests != Digests::default()).then_some(digests),
            policy_digest: entry.policy_digest.as_ref().map(owned),
            report_digest: entry.report_digest.as_ref().map(owned),
            actor: Some(ActorName {
                os_user: owned(&entry.actor.os_user),
                backends: entry
                    .actor
                    .backends
                    .iter()
                    .map(|identity| Known {
                        backend: identity.backend.to_string(),
                        name: identity.name.as_ref().map(owned),
                        learnt_by: owned(&identity.learnt_by),
                    })
                    .collect(),
            }),
            request: entry.request.as_ref().map(Request::of),
            overridden: entry.overridden.as_ref().map(owned),
            reason: entry.reason.as_ref().map(owned),
            outcome: entry.outcome.map(|outcome| outcome.word().to_owned()),
            note: owned(&entry.note),
            ..line
        }
    }

    /// Puts the line into the chain: its number, the hash before it, its own.
    pub(super) fn chained(mut self, seq: u64, prev: &str) -> (String, String) {
        self.seq = seq;
        prev.clone_into(&mut self.prev);
        self.sealed()
    }

    /// The line's text with its hash, and that hash.
    pub(super) fn sealed(mut self) -> (String, String) {
        const FORM: &str = "numbers, strings and lists have a JSON form";
        self.hash.clear();
        // Without a hash the member is left out, which is what the hash covers.
        self.hash = chain::sha256(chain::canonical(&self).expect(FORM).as_bytes());
        let mut text = chain::canonical(&self).expect(FORM);
        text.push('\n');
        (text, self.hash)
    }
}

impl Request {
    fn of(preview: &Preview) -> Self {
        let kept = preview.body.len() <= BODY_LIMIT;
        Self {
            method: preview.method.to_owned(),
            path: owned(&preview.path),
            content_type: preview.content_type.to_owned(),
            body: kept.then(|| owned(&preview.body)),
            body_sha256: (!kept).then(|| chain::sha256(preview.body.as_bytes())),
            check: owned(&preview.check),
        }
    }
}
