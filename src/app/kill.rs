//! Where a test may ask the process to die, so that what is left behind can be looked at.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

/// Where a process may be asked to die: before and after everything durable,
/// which is each line of the ledger and each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillPoint {
    /// Before a line is written.
    BeforeWrite,
    /// After it is on disk.
    AfterWrite,
    /// Before a request goes out.
    BeforeSend,
    /// After it was answered.
    AfterSend,
}

impl KillPoint {
    /// All of them, in the order an action passes them.
    pub const ALL: [Self; 4] = [
        Self::BeforeWrite,
        Self::AfterWrite,
        Self::BeforeSend,
        Self::AfterSend,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeWrite => "before-write",
            Self::AfterWrite => "after-write",
            Self::BeforeSend => "before-send",
            Self::AfterSend => "after-send",
        }
    }
}

impl fmt::Display for KillPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which passing of which point is the last one.
#[derive(Debug)]
pub struct Fuse {
    point: KillPoint,
    left: AtomicU32,
}

impl Fuse {
    /// Dies here, as if the machine did, if this is the passing it is set to.
    pub(super) fn pass(&self, point: KillPoint) {
        if self.point != point || self.left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        // Runs no destructor, flushes nothing, and cannot be caught.
        let this = rustix::process::getpid();
        if rustix::process::kill_process(this, rustix::process::Signal::KILL).is_err() {
            std::process::abort();
        }
    }
}

impl FromStr for Fuse {
    type Err = String;

    /// `before-send:2` is the second time a request is about to go out.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let point = KillPoint::ALL
            .into_iter()
            .find(|point| point.name() == name)
            .ok_or_else(|| format!("no kill point `{name}`"))?;
        let left = count
            .parse()
            .map_err(|error| format!("`{count}` counts no passings: {error}"))?;
        Ok(Self {
            point,
            left: AtomicU32::new(left),
        })
    }
}
