//! Where things are kept: the XDG folders, on every system.

use std::path::{Path, PathBuf};

use etcetera::base_strategy::{BaseStrategy, Xdg};

/// The folder of ours inside each of the system's.
const OURS: &str = "gonogo";

/// Where the ledger and the spools are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The ledger.
    pub ledger: PathBuf,
    /// Spools, in the order they are tried. None is in the ledger's folder:
    /// what keeps the ledger from being written may hold for its whole folder.
    pub spools: Vec<PathBuf>,
}

impl Paths {
    /// The usual places: the ledger in the state folder; spools in the cache,
    /// runtime and temporary folders.
    ///
    /// `None` when there is no home folder.
    pub fn usual() -> Option<Self> {
        let folders = Xdg::new().ok()?;
        let state = folders.state_dir()?;
        let mut spools = vec![folders.cache_dir().join(OURS).join("spool.jsonl")];
        spools.extend(
            folders
                .runtime_dir()
                .map(|runtime| runtime.join(OURS).join("spool.jsonl")),
        );
        // Shared with everybody on the machine, so the name must be ours alone.
        let shared = format!("{OURS}-{}", whoami::username());
        spools.push(std::env::temp_dir().join(shared).join("spool.jsonl"));
        Some(Self {
            ledger: state.join(OURS).join("ledger.jsonl"),
            spools,
        })
    }

    /// The ledger at `ledger`, spools at the usual places named after it.
    pub fn with_ledger(ledger: PathBuf) -> Self {
        let mark = crate::store::chain::sha256(ledger.to_string_lossy().as_bytes());
        let mark = mark
            .get("sha256:".len()..)
            .and_then(|hex| hex.get(..12))
            .unwrap_or_default();
        let spools = Self::usual().map_or_else(Vec::new, |usual| {
            usual
                .spools
                .iter()
                .map(|spool| spool.with_file_name(format!("spool-{mark}.jsonl")))
                .collect()
        });
        Self { ledger, spools }
    }
}

/// The folder where the configuration is looked for.
pub fn config_dir() -> Option<PathBuf> {
    Some(Xdg::new().ok()?.config_dir().join(OURS))
}

/// A file beside another, its name extended: `ledger.jsonl` → `ledger.jsonl.lock`.
pub(super) fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(extension);
    path.with_file_name(name)
}
