//! What the cockpit remembers between two keys. Truth is in the world; here is
//! only where a person looks and what they have begun.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    app::Book,
    domain::{
        Timestamp,
        action::{Order, Preview},
        id::{JobId, PlanId, RunId, TargetId},
        text::Clean,
    },
    engine::{
        clear::{Consent, Mode, Refusal},
        plan::{Ask, Plan},
        world::{LaneId, World},
    },
    store::Record,
    ui::{
        accident::Accidents,
        field::Field,
        letters::Letters,
        log::view::LogView,
        mode::Modes,
        paint::Look,
        screen::{Screen, fleet::FleetView},
        sheet::{Rules, Sheet},
        sign::Sign,
    },
};

/// What comes in.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key, as the terminal tells it.
    Key(crossterm::event::KeyEvent),
    /// Pasted text.
    Paste(String),
    /// The terminal has another size: columns, rows.
    Resize(u16, u16),
    /// The terminal got (or lost) the focus.
    Focus(bool),
    /// The world is another one.
    World,
    /// Time has passed.
    Tick,
    /// The frame that shows the present state has been written.
    Flushed,
    /// Something about the open log.
    Log(JobId, LogNews),
    /// Requests as they would go out, for the sheet of this ticket.
    Previews(u64, Vec<Preview>),
    /// What became of a submission.
    Submitted(u64, Result<PlanId, Refusal>),
    /// The newest ledger lines.
    Ledger(Result<Book, Clean>),
    /// Something outside the engine went wrong or well, in words.
    Said(Sign, Clean),
}

/// News of a log.
#[derive(Clone, Debug)]
pub enum LogNews {
    /// More of it.
    Chunk(Vec<u8>),
    /// That was all.
    End,
    /// It does not come.
    Failed(Clean),
}

/// What shall be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Clear and carry out a plan.
    Submit {
        /// Names the sheet it comes from.
        ticket: u64,
        /// The plan the sheet showed.
        plan: Box<Plan>,
        /// The mode it was agreed to in.
        mode: Mode,
        /// What was given.
        consent: Consent,
    },
    /// Say how these orders would go out.
    Preview(u64, Vec<Order>),
    /// Copy through the terminal.
    Copy(Clean),
    /// Open in the browser.
    Browse(Clean),
    /// People look at this now.
    Look(Option<RunId>, Option<TargetId>),
    /// Ask all backends now.
    Refresh,
    /// Nobody looks (or somebody does again).
    Away(bool),
    /// Read this log.
    OpenLog(JobId),
    /// Stop reading it.
    CloseLog,
    /// Read the ledger.
    ReadLedger,
    /// Draw every cell anew.
    Redraw,
    /// Give the terminal back and stop.
    Suspend,
    /// End.
    Quit,
}

/// What the cockpit is started with.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// How things look.
    pub look: Look,
    /// A badge beside the mode (`DEMO`).
    pub badge: Option<&'static str>,
    /// What a first-time user is told: where to look, which keys to try.
    pub coach: Vec<Hint>,
    /// The configuration binds to read-only.
    pub read_only: bool,
    /// Who sits here.
    pub person: Clean,
}

/// What a first-time user is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// A sentence.
    pub text: Clean,
    /// A filter of the fleet: it is told while that finds something, so that
    /// nobody is told to do what is done. `None`: always.
    pub holds: Option<String>,
}

/// Where one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The screen.
    pub screen: Screen,
    /// The marked service and environment.
    pub lane: Option<LaneId>,
}

/// What lies over the screen.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// A sheet.
    Sheet(Box<Sheet>),
    /// The filter is being typed; what it was before.
    Filter(Field, String),
    /// A search in the log is being typed.
    Search(Field),
    /// A command is being typed; which completion is marked.
    Palette(Field, usize),
    /// Columns are being chosen; which is marked.
    Columns(usize),
    /// A page of text, scrolled to a line.
    Page(Page, usize),
    /// Links to open; which is marked.
    Links(Vec<Clean>, usize),
    /// Leaving although an action is under way.
    Leaving,
}

/// Pages of text over a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Backends and what their trouble takes with it.
    Backends,
    /// What differs from the champion.
    Diff,
    /// The marked thing as gonogo holds it.
    Raw,
}

/// Words on the line above the hints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// How it went.
    pub sign: Sign,
    /// What.
    pub text: String,
    /// Since when.
    pub at: Timestamp,
}

impl Toast {
    /// How long a toast stays; what went wrong stays until it is closed.
    pub fn lasts(&self) -> Option<Duration> {
        match self.sign {
            Sign::Bad | Sign::Error => None,
            _ => Some(Duration::from_secs(6)),
        }
    }
}

/// A hold that is sent if no other key comes.
#[derive(Clone, Debug)]
pub struct PendingHold {
    /// Names it.
    pub ticket: u64,
    /// What will be sent.
    pub plan: Plan,
    /// Since when.
    pub since: Timestamp,
}

/// What was submitted and not answered yet.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Names it.
    pub ticket: u64,
    /// What was asked.
    pub ask: Ask,
}

/// The ledger as last read.
#[derive(Clone, Debug, Default)]
pub struct LedgerView {
    /// Its newest lines, oldest first.
    pub records: Vec<Record>,
    /// What is wrong with lines of it.
    pub problems: Vec<Clean>,
    /// Why it could not be read.
    pub trouble: Option<Clean>,
    /// Whether it was read at all.
    pub read: bool,
    /// How far all plans had come then.
    pub as_of: usize,
}

/// Everything the cockpit remembers.
#[derive(Clone, Debug)]
pub struct UiState {
    /// What it was started with.
    pub setup: Setup,
    /// How things look.
    pub look: Look,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Where one is.
    pub view: View,
    /// The way there.
    pub trail: Vec<View>,
    /// The view before this one.
    pub last: Option<View>,
    /// The fleet's order, filter and columns.
    pub fleet: FleetView,
    /// The marked row of each pane, by its id.
    pub marks: BTreeMap<(Screen, usize), String>,
    /// The pane in use on each screen.
    pub panes: BTreeMap<Screen, usize>,
    /// How tables other than the fleet are sorted.
    pub sorted: BTreeMap<Screen, usize>,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// The open log.
    pub log: Option<Box<LogView>>,
    /// What is let through.
    pub modes: Modes,
    /// Words for the person.
    pub toast: Option<Toast>,
    /// Warnings and errors that were said, oldest first.
    pub said: VecDeque<Toast>,
    /// Since when the terminal has not had the focus.
    pub unfocused_at: Option<Timestamp>,
    /// When the mark last moved by itself.
    pub marked_at: Option<Timestamp>,
    /// Whether backends were told that nobody looks.
    pub away: bool,
    /// A hold about to be sent.
    pub hold: Option<Box<PendingHold>>,
    /// Accidents at the keyboard.
    pub accidents: Accidents,
    /// Where letters come from.
    pub letters: Letters,
    /// The world at which the display stands still.
    pub still: Option<Box<World>>,
    /// One pane over the whole screen.
    pub zoomed: bool,
    /// How much time charts show.
    pub window: Duration,
    /// Which attempt of the run is shown, if not the newest.
    pub attempt: Option<u32>,
    /// The ledger.
    pub ledger: LedgerView,
    /// When `^c` was last pressed.
    pub interrupted_at: Option<Timestamp>,
    /// Submissions without an answer.
    pub submissions: Vec<Submission>,
    /// The last ticket given out.
    pub tickets: u64,
    /// What was last told about where people look.
    pub looking: (Option<RunId>, Option<TargetId>),
    /// Whether the coach was sent away.
    pub coached: bool,
    /// Rules of sheets.
    pub rules: Rules,
}

/// The smallest window with regions; below it there is one line per release.
pub const SMALLEST: (u16, u16) = (60, 20);
/// The smallest window that can show a whole sheet.
pub const SHEET_ROOM: (u16, u16) = (44, 14);
/// How many warnings and errors are remembered.
const SAID: usize = 200;
/// Windows of time for charts, in the order `w` walks through them.
pub const WINDOWS: [u64; 3] = [15 * 60, 60 * 60, 5 * 60];

impl UiState {
    /// The state at the start, for a terminal of this size.
    pub fn new(setup: Setup, size: (u16, u16), seed: u64) -> Self {
        Self {
            look: setup.look,
            modes: Modes::new(setup.read_only),
            coached: setup.coach.is_empty(),
            setup,
            size,
            view: View {
                screen: Screen::Fleet,
                lane: None,
            },
            trail: Vec::new(),
            last: None,
            fleet: FleetView::default(),
            marks: BTreeMap::new(),
            panes: BTreeMap::new(),
            sorted: BTreeMap::new(),
            overlay: None,
            log: None,
            toast: None,
            said: VecDeque::new(),
            unfocused_at: None,
            away: false,
            marked_at: None,
            hold: None,
            accidents: Accidents::default(),
            letters: Letters::seeded(seed),
            still: None,
            zoomed: false,
            window: Duration::from_secs(WINDOWS[0]),
            attempt: None,
            ledger: LedgerView::default(),
            interrupted_at: None,
            submissions: Vec::new(),
            tickets: 0,
            looking: (None, None),
            rules: Rules::default(),
        }
    }

    /// The world that is shown: the newest, or the one held still.
    pub fn shown<'a>(&'a self, world: &'a World) -> &'a World {
        self.still.as_deref().unwrap_or(world)
    }

    /// The pane in use.
    pub fn pane(&self) -> usize {
        self.panes.get(&self.view.screen).copied().unwrap_or(0)
    }

    /// The id of the marked row in the pane in use.
    pub fn mark(&self) -> Option<&str> {
        self.mark_of(self.pane())
    }

    /// The id of the marked row in a pane.
    pub fn mark_of(&self, pane: usize) -> Option<&str> {
        self.marks
            .get(&(self.view.screen, pane))
            .map(String::as_str)
    }

    /// Says something on the line above the hints.
    pub fn say(&mut self, sign: Sign, text: impl Into<String>, now: Timestamp) {
        let toast = Toast {
            sign,
            text: text.into(),
            at: now,
        };
        if matches!(sign, Sign::Warn | Sign::Bad | Sign::Error) {
            if self.said.len() >= SAID {
                self.said.pop_front();
            }
            self.said.push_back(toast.clone());
        }
        self.toast = Some(toast);
    }

    /// A new ticket.
    pub fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// The open sheet.
    pub fn sheet(&self) -> Option<&Sheet> {
        match &self.overlay {
            Some(Overlay::Sheet(sheet)) => Some(sheet),
            _ => None,
        }
    }

    /// Whether the window is large enough for regions.
    pub fn has_room(&self) -> bool {
        SMALLEST.0 <= self.size.0 && SMALLEST.1 <= self.size.1
    }

    /// Whether the window is large enough to show a sheet, and so to act.
    pub fn has_sheet_room(&self) -> bool {
        SHEET_ROOM.0 <= self.size.0 && SHEET_ROOM.1 <= self.size.1
    }
}
