//! A release candidate: code, model and image that go out together.

use std::fmt;

use crate::domain::{
    Timestamp,
    id::{Commit, ReleaseId, RunId, ServiceName, Version},
    rollout::image_label,
    text::Clean,
};

/// One release candidate of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its unchanging name.
    pub id: ReleaseId,
    /// Of which service.
    pub service: ServiceName,
    /// What people call it: the image's tag unless that is a commit, else the
    /// model version, else the short commit.
    pub label: Clean,
    /// The code.
    pub commit: Link<Commit>,
    /// The run that makes it; the newest when a commit ran more than once.
    pub run: Link<RunId>,
    /// The model version.
    pub version: Link<Version>,
    /// The image.
    pub image: Link<ImageRef>,
    /// What it is about, in the author's words.
    pub title: Clean,
    /// The branch.
    pub branch: Clean,
    /// Who started it.
    pub actor: Clean,
    /// The earliest stamp any of its parts carries.
    pub created_at: Option<Timestamp>,
}

/// An image as a release knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    /// Registry and repository.
    pub repository: Clean,
    /// Tag, if named.
    pub tag: Option<Clean>,
    /// Digest, if named.
    pub digest: Option<Clean>,
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&image_label(self.tag.as_ref(), self.digest.as_ref()))
    }
}

/// Whether a part of a release was found, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link<T> {
    /// Found by this rule.
    Found {
        /// The part.
        value: T,
        /// Which rule matched.
        rule: Rule,
    },
    /// More than one thing matches; guessing would be worse than saying so.
    Ambiguous {
        /// All that match.
        rivals: Vec<T>,
        /// Which rule matched them.
        rule: Rule,
    },
    /// Nothing matches.
    Unlinked,
}

impl<T> Link<T> {
    /// The part, if it is certain.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Found { value, .. } => Some(value),
            Self::Ambiguous { .. } | Self::Unlinked => None,
        }
    }
}

/// Which rule tied a part to a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Stated in the configuration.
    Mapping,
    /// It is what the release was first known by.
    Anchor,
    /// A deployment of the commit names the model version.
    Deployment,
    /// The run builds this commit.
    RunOfCommit,
    /// The image's tag is, or ends in, the commit.
    ImageTag,
    /// The image's digest is named by the model version or another image.
    ImageDigest,
    /// A tag of the model version or its run names the commit.
    RegistryTag,
    /// A tag of the model version or its run names the pipeline run.
    RegistryRun,
    /// An annotation of the rollout names it.
    Annotation,
}

impl Rule {
    /// The rule in words, shown beside what it tied.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mapping => "configuration",
            Self::Anchor => "first seen",
            Self::Deployment => "deployment",
            Self::RunOfCommit => "run of this commit",
            Self::ImageTag => "image tag",
            Self::ImageDigest => "image digest",
            Self::RegistryTag => "registry tag",
            Self::RegistryRun => "registry run link",
            Self::Annotation => "annotation",
        }
    }
}

/// What a release can be first known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anchor {
    /// A commit.
    Commit(Commit),
    /// A model version.
    Version(Version),
    /// An image.
    Image(ImageRef),
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit) => f.pad(commit.as_str().get(..12).unwrap_or(commit.as_str())),
            Self::Version(version) => write!(f, "{version}"),
            Self::Image(image) => write!(f, "{image}"),
        }
    }
}
