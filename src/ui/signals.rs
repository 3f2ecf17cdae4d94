//! Signals from outside. In raw mode the keyboard sends none: `^C` is a key.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// End, and exit with this code (128 + the signal's number).
    End(u8),
    /// Give the terminal back and stop until continued.
    Suspend,
    /// Continued: take the terminal again.
    Continue,
}

/// All signals the cockpit listens to.
pub struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    stop: Signal,
    carry_on: Signal,
}

/// Numbers that are the same on every Unix we build for.
const HANG_UP: u8 = 1;
const INTERRUPT: u8 = 2;
const QUIT: u8 = 3;
const TERMINATE: u8 = 15;

impl Signals {
    /// Starts listening. To be done before the terminal is taken, so that no
    /// signal can fall between the two.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            stop: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            carry_on: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.hang_up.recv() => Request::End(128 + HANG_UP),
            _ = self.terminate.recv() => Request::End(128 + TERMINATE),
            _ = self.interrupt.recv() => Request::End(128 + INTERRUPT),
            _ = self.quit.recv() => Request::End(128 + QUIT),
            _ = self.stop.recv() => Request::Suspend,
            _ = self.carry_on.recv() => Request::Continue,
        }
    }
}

/// Stops this process and those started with it, as `^Z` on a shell does.
/// Returns when somebody continues it.
///
/// # Errors
///
/// The system refuses.
pub fn stop_here() -> io::Result<()> {
    rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?;
    Ok(())
}
