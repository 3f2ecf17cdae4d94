//! Panics are told readably, and are never a success.
//!
//! A panic in a task of its own ends that task only; the process would exit as
//! if nothing had been. So every panic leaves a mark that `main` looks at.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

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
        Ok((panic_hook, _)) => Some(panic_hook.into_panic_hook()),
        // Somebody was faster; the hook that is there stays beneath ours.
        Err(_) => None,
    };
    let before = std::panic::take_hook();
    let mark = panics.clone();
    std::panic::set_hook(Box::new(move |info| {
        mark.0.store(true, Ordering::Relaxed);
        match &report {
            Some(report) => report(info),
            None => before(info),
        }
    }));
    panics
}
