//! Takes the terminal over, and gives it back whatever happens.
//!
//! What was switched on is switched off in reverse, once, from whichever of
//! these comes first: the guard's end, a panic, a signal, a suspension. ratatui's
//! own `Terminal` is never dropped: its `Drop` prints when the cursor cannot be
//! shown, and on a dead terminal that print panics inside the panic hook.

use std::{
    cell::Cell,
    io::{self, BufWriter, IsTerminal, Stdout, Write},
    mem::ManuallyDrop,
    panic,
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crossterm::{
    cursor::Show,
    event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange},
    execute, queue,
    terminal::{
        BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
    },
};
use ratatui::{Frame, Terminal, backend::CrosstermBackend};

/// Whether the terminal is ours at the moment.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// Held while something of ours is being written: a panic in another thread must
/// not give the terminal back in the middle of a frame, whose rest would then
/// land on the shell's own screen.
static WRITING: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this thread is the one that writes.
    static WRITER: Cell<bool> = const { Cell::new(false) };
}

/// How often and how long whoever gives the terminal back waits for the end of
/// a frame. A terminal that takes nothing any more is given back regardless.
const LOOKS: u32 = 250;
const LOOK: Duration = Duration::from_millis(1);

/// Room for a whole frame, so that it goes out in one write.
const FRAME_BYTES: usize = 64 * 1024;

type Backend = CrosstermBackend<BufWriter<Stdout>>;

/// The terminal while it is ours.
pub struct Guard {
    terminal: ManuallyDrop<Terminal<Backend>>,
    /// Whether frames are announced, so that a terminal shows them whole.
    announced: bool,
}

impl Guard {
    /// Takes the terminal. `announced` frames are wrapped in synchronized-update
    /// marks; leave it off for terminals that print unknown sequences.
    ///
    /// # Errors
    ///
    /// There is no terminal, or it does not obey.
    pub fn enter(announced: bool) -> io::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the cockpit needs a terminal on standard input and output",
            ));
        }
        take()?;
        let terminal = match fresh() {
            Ok(terminal) => terminal,
            Err(error) => {
                restore();
                return Err(error);
            }
        };
        Ok(Self {
            terminal: ManuallyDrop::new(terminal),
            announced,
        })
    }

    /// Draws a frame; when this returns, its bytes have been written.
    ///
    /// # Errors
    ///
    /// The terminal is gone: that is the end.
    pub fn draw(&mut self, frame: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        exclusively(|| {
            if self.announced {
                queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
            }
            self.terminal.draw(frame)?;
            if self.announced {
                execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
            }
            Ok(())
        })
    }

    /// Writes something of ours beside the frames.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn write(
        &mut self,
        write: impl FnOnce(&mut CrosstermBackend<BufWriter<Stdout>>) -> io::Result<()>,
    ) -> io::Result<()> {
        exclusively(|| {
            // The backend passes bytes on to its own buffer.
            let out = self.terminal.backend_mut();
            write(out)?;
            Write::flush(out)
        })
    }

    /// Forgets what is on screen, so that the next frame draws every cell.
    /// Not by `Terminal::clear`: that asks the terminal a question and waits.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn redraw(&mut self) -> io::Result<()> {
        exclusively(|| {
            execute!(self.terminal.backend_mut(), Clear(ClearType::All))?;
            self.terminal = ManuallyDrop::new(fresh()?);
            Ok(())
        })
    }

    /// Takes the terminal again after a suspension.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn resume(&mut self) -> io::Result<()> {
        take()?;
        self.redraw()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

fn fresh() -> io::Result<Terminal<Backend>> {
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(
        FRAME_BYTES,
        io::stdout(),
    )))
}

fn take() -> io::Result<()> {
    // Before the first sequence: if anything below fails, there is something to undo.
    ACTIVE.store(true, Ordering::SeqCst);
    let taken = enable_raw_mode().and_then(|()| {
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            EnableFocusChange
        )
    });
    if taken.is_err() {
        restore();
    }
    taken
}

/// Writes while nobody gives the terminal back, and not after somebody has:
/// that would write over the shell's own screen.
fn exclusively(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            WRITER.set(false);
        }
    }
    let _lock = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    if !is_taken() {
        return Err(io::Error::other("something went wrong elsewhere"));
    }
    WRITER.set(true);
    let _done = Done;
    write()
}

/// Waits for the end of what another thread is writing.
fn written_out() -> Option<MutexGuard<'static, ()>> {
    // A panic in the middle of a frame of its own waits for nobody.
    if WRITER.get() {
        return None;
    }
    for _ in 0..LOOKS {
        match WRITING.try_lock() {
            Ok(lock) => return Some(lock),
            Err(TryLockError::Poisoned(lock)) => return Some(lock.into_inner()),
            Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
        }
    }
    None
}

/// Whether the terminal is ours: taken and not given back.
pub fn is_taken() -> bool {
    ACTIVE.load(Ordering::SeqCst)
}

/// Gives the terminal back; does nothing if it is not ours. Safe to call from
/// a panic hook: ignores every error, because nothing better can be done.
pub fn restore() {
    if !is_taken() {
        return;
    }
    let _quiet = written_out();
    if !ACTIVE.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let undone = [
        queue!(out, DisableFocusChange, DisableBracketedPaste),
        disable_raw_mode(),
        queue!(out, LeaveAlternateScreen, Show),
        out.flush(),
    ];
    drop(undone);
}

/// Makes every panic give the terminal back before it is reported by the hook
/// that is installed now.
pub fn restore_on_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        restore();
        report(info);
    }));
}
