//! The loop: events in, effects out, frames when something changed.
//!
//! Input comes first, then signals, then the world: a flood of updates never
//! delays a key. The first change after quiet is drawn at once, a burst at most
//! thirty times a second, and ten times where it goes on. Once a second there is
//! a frame for the clock; it is also how a terminal that has gone is noticed,
//! since nothing else tells.

use std::{ffi::OsString, future, io, sync::Arc, time::Duration};

use crossterm::event::Event as TerminalEvent;
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{self, Instant},
};

use crate::{
    app::Handle,
    domain::{id::JobId, text::Clean},
    engine::world::World,
    ui::{
        browser, clipboard,
        keys::Keys,
        pace::Pace,
        screen,
        sign::Sign,
        signals::{self, Request, Signals},
        state::{Effect, Event, LogNews, Setup, UiState},
        terminal::{self, Guard},
        update::{order_fleet, update, wakes_at},
    },
};

/// The exit code when the terminal has gone: 128 and the number of SIGHUP.
const HUNG_UP: u8 = 129;
/// How many ledger lines the audit screen holds.
const LEDGER_LINES: usize = 1000;
/// How many events may be taken before a frame.
const AT_ONCE: usize = 256;

/// What the cockpit is started with beside what screens need.
pub struct Options {
    /// What screens need.
    pub setup: Setup,
    /// Where letters begin; anything unpredictable.
    pub seed: u64,
    /// Whether the terminal understands synchronized updates.
    pub announced: bool,
    /// The environment a browser is started with.
    pub browser_environment: Vec<(OsString, OsString)>,
}

/// Runs the cockpit until it is left. Returns the exit code: 0, or 128 and the
/// number of the signal that ended it.
///
/// # Errors
///
/// There is no terminal, or it went away.
pub async fn run(handle: Handle, options: Options) -> io::Result<u8> {
    // Before the terminal is taken, so that no signal falls between the two.
    let signals = Signals::listen()?;
    terminal::restore_on_panic();
    let guard = Guard::enter(options.announced)?;
    let (notes, inbox) = mpsc::channel(256);
    let size = crossterm::terminal::size()?;
    let state = UiState::new(options.setup, size, options.seed);
    let mut cockpit = Cockpit {
        world: handle.world(),
        handle,
        guard,
        state,
        notes,
        inbox,
        keys: Some(Keys::read()),
        signals,
        log: None,
        browser_environment: options.browser_environment,
        pace: Pace::default(),
        dirty: true,
        for_clock: false,
        ended: None,
    };
    let ended = cockpit.run().await;
    match ended {
        // The terminal is gone. The kernel says so with a signal as well, but
        // which of the two comes first is chance: the code is the signal's.
        Err(_) if terminal::is_taken() => Ok(HUNG_UP),
        ended => ended,
    }
}

struct Cockpit {
    handle: Handle,
    world: Arc<World>,
    guard: Guard,
    state: UiState,
    /// Where tasks tell what became of what they were given.
    notes: mpsc::Sender<Event>,
    inbox: mpsc::Receiver<Event>,
    /// The one reader of the terminal; absent while somebody else reads it.
    keys: Option<Keys>,
    signals: Signals,
    log: Option<(JobId, mpsc::Receiver<LogChunk>)>,
    browser_environment: Vec<(OsString, OsString)>,
    pace: Pace,
    dirty: bool,
    /// Whether it is the clock alone that wants the next frame.
    for_clock: bool,
    ended: Option<u8>,
}

type LogChunk = Result<Vec<u8>, crate::backend::BackendError>;

/// What woke the loop.
enum Woken {
    Terminal(Option<io::Result<TerminalEvent>>),
    Signal(Request),
    World(bool),
    Note(Event),
    Log(Option<LogChunk>),
    Second,
    Due,
}

impl Cockpit {
    async fn run(&mut self) -> io::Result<u8> {
        let mut seconds = time::interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(time::MissedTickBehavior::Skip);
        loop {
            if self.dirty && self.pace.may_draw(Instant::now()) {
                self.draw()?;
            }
            let woken = self.wait(&mut seconds).await;
            self.take(woken)?;
            self.drain()?;
            if let Some(code) = self.ended {
                return Ok(code);
            }
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let now = self.handle.now();
        order_fleet(&mut self.state, &self.world, now);
        let (state, world) = (&self.state, &self.world);
        self.guard
            .draw(|frame| screen::draw(frame.buffer_mut(), state, world, now))?;
        self.pace.drawn(Instant::now(), self.for_clock);
        (self.dirty, self.for_clock) = (false, false);
        // The dead time of a sheet begins when its frame has been written.
        let asleep = self
            .state
            .sheet()
            .is_some_and(|sheet| sheet.shown_at.is_none());
        if asleep {
            self.tell(Event::Flushed)?;
        }
        Ok(())
    }

    /// Waits for whatever comes first; input is asked first.
    async fn wait(&mut self, seconds: &mut time::Interval) -> Woken {
        let due = self.due();
        tokio::select! {
            biased;
            event = next_key(&mut self.keys) => Woken::Terminal(event),
            request = self.signals.next() => Woken::Signal(request),
            note = self.inbox.recv() => note.map_or(Woken::Second, Woken::Note),
            chunk = next_chunk(&mut self.log) => Woken::Log(chunk),
            alive = self.handle.changed() => Woken::World(alive),
            () = sleep_until(due) => Woken::Due,
            _ = seconds.tick() => Woken::Second,
        }
    }

    /// When the loop has to wake by itself: a frame that was put off, a hold
    /// whose silence ends, a sheet that wakes.
    fn due(&self) -> Option<Instant> {
        let now = self.handle.now();
        let by_state = wakes_at(&self.state, now)
            .map(|at| Instant::now() + (at - now).to_std().unwrap_or_default());
        let by_frame = self.dirty.then(|| self.pace.next(Instant::now()));
        match (by_state, by_frame) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    fn take(&mut self, woken: Woken) -> io::Result<()> {
        match woken {
            Woken::Terminal(Some(event)) => self.terminal_event(event?)?,
            Woken::Terminal(None) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the terminal is gone",
                ));
            }
            Woken::Signal(request) => self.signal(request)?,
            Woken::World(alive) => {
                if alive {
                    self.world = self.handle.world();
                    (self.dirty, self.for_clock) = (true, false);
                    self.tell(Event::World)?;
                } else {
                    self.ended = Some(0);
                }
            }
            Woken::Note(event) => {
                self.dirty = true;
                self.tell(event)?;
            }
            Woken::Log(chunk) => self.log_chunk(chunk)?,
            Woken::Second => {
                self.for_clock = !self.dirty;
                self.dirty = true;
                self.tell(Event::Tick)?;
            }
            Woken::Due => {
                // A frame that was put off is drawn as it is; anything else is
                // the passing of time.
                self.dirty = true;
                self.tell(Event::Tick)?;
            }
        }
        Ok(())
    }

    /// Takes what else is there already, so that a burst costs one frame. Keys
    /// that came in one go were typed without seeing what the first of them did;
    /// a sheet that one of them opened has had no frame yet and takes no letter.
    fn drain(&mut self) -> io::Result<()> {
        for _ in 0..AT_ONCE {
            let Some(keys) = &mut self.keys else { break };
            let Some(event) = keys.ready() else { break };
            self.take(Woken::Terminal(Some(event)))?;
            if self.ended.is_some() {
                return Ok(());
            }
        }
        for _ in 0..AT_ONCE {
            let Some((job, chunks)) = &mut self.log else {
                break;
            };
            let Ok(chunk) = chunks.try_recv() else { break };
            let (job, news) = (job.clone(), news(chunk));
            self.dirty = true;
            self.tell(Event::Log(job, news))?;
        }
        Ok(())
    }

    fn terminal_event(&mut self, event: TerminalEvent) -> io::Result<()> {
        let event = match event {
            TerminalEvent::Key(key) => Event::Key(key),
            TerminalEvent::Paste(text) => Event::Paste(text),
            TerminalEvent::Resize(width, height) => Event::Resize(width, height),
            TerminalEvent::FocusGained => Event::Focus(true),
            TerminalEvent::FocusLost => Event::Focus(false),
            TerminalEvent::Mouse(_) => return Ok(()),
        };
        // What a key does is shown at once, whatever was drawn just before.
        if matches!(event, Event::Key(_)) {
            self.pace.hurry();
        }
        self.dirty = true;
        self.tell(event)
    }

    fn log_chunk(&mut self, chunk: Option<LogChunk>) -> io::Result<()> {
        let Some((job, _)) = &self.log else {
            return Ok(());
        };
        let job = job.clone();
        let news = match chunk {
            Some(chunk) => news(chunk),
            None => {
                self.log = None;
                LogNews::End
            }
        };
        self.dirty = true;
        self.tell(Event::Log(job, news))
    }

    fn signal(&mut self, request: Request) -> io::Result<()> {
        match request {
            Request::End(code) => self.ended = Some(code),
            Request::Suspend => self.suspend()?,
            Request::Continue => self.come_back()?,
        }
        Ok(())
    }

    fn tell(&mut self, event: Event) -> io::Result<()> {
        let now = self.handle.now();
        let effects = update(&mut self.state, event, &self.world, now);
        for effect in effects {
            self.carry_out(effect)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::Submit {
                ticket,
                plan,
                mode,
                consent,
            } => {
                let handle = self.handle.clone();
                self.spawn(async move {
                    Event::Submitted(ticket, handle.submit(&plan, mode, &consent).await)
                });
            }
            Effect::Preview(ticket, orders) => {
                let previews = orders
                    .iter()
                    .map(|order| self.handle.preview(order))
                    .collect();
                self.tell(Event::Previews(ticket, previews))?;
            }
            Effect::Copy(text) => self.guard.write(|out| clipboard::copy(out, &text))?,
            Effect::Browse(link) => self.browse(link),
            Effect::Look(run, target) => self.handle.look_at(|focus| {
                (focus.run, focus.target) = (run, target);
            }),
            Effect::Refresh => self.handle.look_at(|focus| focus.refresh += 1),
            Effect::Away(away) => self.handle.look_at(|focus| focus.away = away),
            Effect::OpenLog(job) => {
                let chunks = self.handle.log(&job);
                self.log = Some((job, chunks));
            }
            Effect::CloseLog => self.log = None,
            Effect::ReadLedger => {
                let handle = self.handle.clone();
                self.spawn(async move { Event::Ledger(handle.ledger(LEDGER_LINES).await) });
            }
            Effect::Redraw => {
                self.guard.redraw()?;
                self.pace.hurry();
            }
            Effect::Suspend => self.suspend()?,
            Effect::Quit => self.ended = Some(0),
        }
        Ok(())
    }

    /// Starts something whose end becomes an event.
    fn spawn(&self, task: impl Future<Output = Event> + Send + 'static) {
        let notes = self.notes.clone();
        tokio::spawn(async move {
            // The loop has ended when nobody listens; then nobody needs to know.
            drop(notes.send(task.await).await);
        });
    }

    fn browse(&self, link: Clean) {
        let environment = self.browser_environment.clone();
        self.spawn(async move {
            let opened = spawn_blocking(move || browser::open(&link, &environment)).await;
            match opened {
                Ok(Ok(())) => Event::Said(Sign::Good, "the browser was asked".into()),
                Ok(Err(error)) => {
                    Event::Said(Sign::Bad, Clean::from(format!("no browser: {error}")))
                }
                Err(panic) => Event::Said(Sign::Bad, Clean::from(format!("no browser: {panic}"))),
            }
        });
    }

    /// Gives the terminal back and stops, until somebody continues us.
    fn suspend(&mut self) -> io::Result<()> {
        self.handle.look_at(|focus| focus.away = true);
        // Two readers of one terminal would share the keys between them.
        self.keys = None;
        terminal::restore();
        signals::stop_here()?;
        self.come_back()
    }

    fn come_back(&mut self) -> io::Result<()> {
        if self.keys.is_some() {
            // Continued without having been suspended by us: only draw anew.
            self.guard.redraw()?;
        } else {
            self.guard.resume()?;
            self.keys = Some(Keys::read());
        }
        self.handle.look_at(|focus| {
            focus.away = false;
            focus.refresh += 1;
        });
        self.pace.hurry();
        self.dirty = true;
        let (width, height) = crossterm::terminal::size()?;
        self.tell(Event::Resize(width, height))?;
        self.tell(Event::Focus(true))
    }
}

fn news(chunk: LogChunk) -> LogNews {
    match chunk {
        Ok(bytes) => LogNews::Chunk(bytes),
        Err(error) => LogNews::Failed(Clean::from(error.to_string())),
    }
}

async fn next_key(keys: &mut Option<Keys>) -> Option<io::Result<TerminalEvent>> {
    match keys {
        Some(keys) => keys.next().await,
        None => future::pending().await,
    }
}

async fn next_chunk(log: &mut Option<(JobId, mpsc::Receiver<LogChunk>)>) -> Option<LogChunk> {
    match log {
        Some((_, chunks)) => chunks.recv().await,
        None => future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => time::sleep_until(due).await,
        None => future::pending().await,
    }
}
