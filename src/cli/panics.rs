//! Panics are told readably, and are never a success.
//!
//! A panic in a task of its own ends that task only; the process would exit as
//! if nothing had been. So every panic leaves a mark that `main` looks at.

use std::{
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::backend::secret::redact;

/// Whether anything panicked.
#[derive(Clone, Debug, Default)]
pub struct Panics(Arc<AtomicBool>);

impl Panics {
    /// Whether anything panicked since installation.
    pub fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Installs the hooks that print panics and errors.
pub(super) fn install() -> Panics {
    let panics = Panics::default();
    // Escape sequences in a log or a pipe help nobody.
    let plain = color_eyre::config::Theme::new();
    let hooks = color_eyre::config::HookBuilder::blank()
        .theme(plain)
        .try_into_hooks();
    let report = match hooks {
        Ok((panic_hook, _)) => Some(panic_hook),
        // Somebody was faster; the hook that is there stays beneath ours.
        Err(_) => None,
    };
    let before = std::panic::take_hook();
    let mark = panics.clone();
    std::panic::set_hook(Box::new(move |info| {
        mark.0.store(true, Ordering::Relaxed);
        match &report {
            // A message may quote what it choked on, and that may be a credential.
            Some(report) => {
                let text = report.panic_report(info).to_string();
                let shown = redact(&text);
                // With standard error gone there is nobody to tell.
                drop(writeln!(io::stderr(), "{shown}"));
            }
            None => before(info),
        }
    }));
    panics
}
