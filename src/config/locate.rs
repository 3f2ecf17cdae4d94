//! Which configuration file counts.
//!
//! A file in the current folder is not picked up by itself: a configuration
//! can name programs to run, and a folder may be someone else's repository.

use std::path::{Path, PathBuf};

use crate::store::paths;

/// Which configuration file counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This one.
    File {
        /// Where it is.
        path: PathBuf,
        /// Who said so, in words.
        because: &'static str,
    },
    /// None.
    Nothing {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
        /// A file in the current folder that counts only when it is named.
        nearby: Option<PathBuf>,
    },
}

/// The usual place, whether or not a file is there.
pub fn usual() -> Option<PathBuf> {
    paths::config_dir().map(|folder| folder.join("config.toml"))
}

/// Finds the configuration: the `--config` flag, else what `GONOGO_CONFIG`
/// names ([`crate::config::env::config`]), else the usual place. A file that was
/// named counts even if it is not there, so that the error is about it.
pub fn locate(flag: Option<&Path>, named: Option<PathBuf>) -> Found {
    if let Some(path) = flag {
        return Found::File {
            path: path.to_owned(),
            because: "named by --config",
        };
    }
    if let Some(path) = named {
        return Found::File {
            path,
            because: "named by GONOGO_CONFIG",
        };
    }
    let usual = usual();
    match &usual {
        Some(path) if path.exists() => Found::File {
            path: path.clone(),
            because: "the usual place",
        },
        Some(_) | None => Found::Nothing {
            looked: usual.into_iter().collect(),
            nearby: Some(PathBuf::from("gonogo.toml")).filter(|path| path.exists()),
        },
    }
}
