//! Panics are told readably, and are never a success.
//!
//! A panic in a task of its own ends that task only; the process would exit as
//! if nothing had been. So every panic leaves a mark that `main` looks at.

use std::{
    convert::Infallible,
    future,
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use crate::{app::Handle, backend::secret::redact, config::env};

/// Whether anything panicked.
#[derive(Clone, Debug, Default)]
pub struct Panics(Arc<Mark>);

#[derive(Debug, Default)]
struct Mark {
    happened: AtomicBool,
    told: Notify,
}

impl Panics {
    /// Whether anything panicked since installation.
    pub fn happened(&self) -> bool {
        self.0.happened.load(Ordering::Relaxed)
    }

    /// Waits until something panics, or returns at once if something has. For
    /// one who waits.
    pub(super) async fn wait(&self) {
        // A panic before the wait left word, so none is overlooked.
        while !self.happened() {
            self.0.told.notified().await;
        }
    }

    fn note(&self) {
        self.0.happened.store(true, Ordering::Relaxed);
        self.0.told.notify_one();
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
        mark.note();
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

/// Panics in a task of its own if a test asks for one; see [`on_request`].
pub(super) fn task_on_request(handle: &Handle) {
    if env::panic_at().is_some() {
        drop(tokio::spawn(on_request("task", handle.clone())));
    }
}

/// Panics if a test asks for it at this place, with the words it gives, once
/// the world holds a rollout; so what happens then can be looked at in the
/// program itself. Otherwise it never ends.
pub(super) async fn on_request(place: &str, mut handle: Handle) -> Infallible {
    let asked = env::panic_at();
    let words = asked
        .as_deref()
        .and_then(|asked| asked.split_once(':'))
        .filter(|(asked, _)| *asked == place);
    let Some((_, words)) = words else {
        return future::pending().await;
    };
    while handle.world().rollouts.is_empty() {
        if !handle.changed().await {
            return future::pending().await;
        }
    }
    panic!("{words}")
}
