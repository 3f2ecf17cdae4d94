//! Opening, locking and mending the ledger's file.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::store::{LedgerError, chain, error::shown, paths, wire::Lost};

/// How long another process may keep the lock. It is kept for one write.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait between two tries.
const PAUSE: Duration = Duration::from_millis(2);

/// The exclusive lock on a ledger; given back when dropped, or by the system
/// when the process dies. It is a file of its own, so that moving the ledger
/// away does not move the lock with it.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

impl Lock {
    /// Waits for the lock beside `path`, for a few seconds at most.
    pub(super) fn take(path: &Path) -> Result<Self, LedgerError> {
        let path = paths::beside(path, "lock");
        let trouble = |error| LedgerError::io("lock", &path, &error);
        let file = private()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(trouble)?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(trouble(error)),
                Err(TryLockError::WouldBlock) if waited >= PATIENCE => {
                    return Err(LedgerError::Locked {
                        path: shown(&path),
                        seconds: PATIENCE.as_secs(),
                    });
                }
                Err(TryLockError::WouldBlock) => {
                    thread::sleep(PAUSE);
                    waited += PAUSE;
                }
            }
        }
    }
}

/// Options for files that only their owner may read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

/// Makes the folder of `path`, open to its owner only.
pub(super) fn make_folder(path: &Path) -> Result<(), LedgerError> {
    let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    else {
        return Ok(());
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder
        .create(folder)
        .map_err(|error| LedgerError::io("create", folder, &error))
}

/// Opens the ledger for reading and writing, making it if it is not there.
pub(super) fn open(path: &Path) -> Result<File, LedgerError> {
    let trouble = |error| LedgerError::io("open", path, &error);
    let there = path.exists();
    let file = private()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(trouble)?;
    if !there {
        sync_folder(path).map_err(trouble)?;
    }
    Ok(file)
}

/// Makes a new name in a folder outlive a power cut.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

/// Writes `text` at the end, which is at `end`, and returns once it is safe on
/// disk. A write that fails half-way is taken back as far as possible; what
/// cannot be taken back is a torn tail for the next append.
pub(super) fn append(
    file: &mut File,
    path: &Path,
    end: u64,
    text: &str,
) -> Result<(), LedgerError> {
    let written = file
        .seek(SeekFrom::Start(end))
        .and_then(|_| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_data());
    written.map_err(|error| {
        let error = LedgerError::io("write", path, &error);
        match file.set_len(end) {
            Ok(()) => error,
            Err(also) => LedgerError::io("take back a half-written line of", path, &also),
        }
    })
}

/// Moves the bytes from `start` to the end into a file of their own, so that
/// the next line starts on a fresh one. Nothing is thrown away.
pub(super) fn set_aside(
    file: &mut File,
    path: &Path,
    start: u64,
    seq: u64,
) -> Result<Lost, LedgerError> {
    let aside = torn_path(path, seq);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.read_to_end(&mut bytes))
        .map_err(|error| LedgerError::io("read", path, &error))?;
    private()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&aside)
        .and_then(|mut copy| copy.write_all(&bytes).and_then(|()| copy.sync_all()))
        .and_then(|()| sync_folder(&aside))
        .map_err(|error| LedgerError::io("write", &aside, &error))?;
    file.set_len(start)
        .and_then(|()| file.sync_all())
        .map_err(|error| LedgerError::io("shorten", path, &error))?;
    Ok(lost(&aside, &bytes))
}

/// A tail that was set aside by a process that died before it could say so.
pub(super) fn set_aside_before(path: &Path, seq: u64) -> Option<Lost> {
    let aside = torn_path(path, seq);
    let bytes = fs::read(&aside).ok()?;
    Some(lost(&aside, &bytes))
}

fn torn_path(path: &Path, seq: u64) -> PathBuf {
    paths::beside(path, &format!("torn-{seq}"))
}

fn lost(aside: &Path, bytes: &[u8]) -> Lost {
    Lost {
        hash: chain::sha256(bytes),
        file: aside
            .file_name()
            .map(|name| name.to_string_lossy().into_owned()),
        bytes: Some(bytes.len() as u64),
        ..Lost::default()
    }
}

/// Which file this is, whatever its name; `None` where the system has no such notion.
pub(super) fn identity(file: &File) -> std::io::Result<(u64, Option<(u64, u64)>)> {
    let about = file.metadata()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Ok((about.len(), Some((about.dev(), about.ino()))))
    }
    #[cfg(not(unix))]
    {
        Ok((about.len(), None))
    }
}
