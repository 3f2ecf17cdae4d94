//! Screens: first what they say, then how it looks.
//!
//! A screen is drawn from the world, the state and the instant, and changes
//! none of them. What no backend of this configuration tells is absent: no
//! dash, no invented number.

pub mod acts;
pub mod audit;
pub mod facts;
pub mod fleet;
pub mod frame;
pub mod gates;
pub mod help;
pub mod messages;
pub mod page;
pub mod panel;
pub mod release;
pub mod rollout;
pub mod run;
pub mod tiny;

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    domain::{Timestamp, text::Clean},
    engine::world::World,
    ui::{
        line::Line,
        paint::Painter,
        sheet,
        state::{Overlay, Page, UiState},
    },
};

pub use crate::ui::screen::{acts::acts, facts::Scene};

/// One of the screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the screen of that name")]
pub enum Screen {
    Fleet,
    Release,
    Run,
    Gates,
    Rollout,
    Audit,
    Help,
    Messages,
}

impl Screen {
    /// All screens, in the order of their digits.
    pub const ALL: [Self; 8] = [
        Self::Fleet,
        Self::Release,
        Self::Run,
        Self::Gates,
        Self::Rollout,
        Self::Audit,
        Self::Help,
        Self::Messages,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Release => "release",
            Self::Run => "run",
            Self::Gates => "gates",
            Self::Rollout => "rollout",
            Self::Audit => "audit",
            Self::Help => "help",
            Self::Messages => "messages",
        }
    }
}

/// The pane whose marks `←` and `→` move: a stage of the flow, a chart.
pub const SIDEWAYS: usize = 9;

/// Draws everything.
pub fn draw(buffer: &mut Buffer, state: &UiState, world: &World, now: Timestamp) {
    let mut painter = Painter::new(buffer, state.look);
    let area = painter.area();
    if area.width < 20 || area.height < 5 {
        tiny::too_small(&mut painter, area);
        return;
    }
    let scene = Scene::new(state, world, now);
    if state.has_room() {
        let content = frame::draw(&mut painter, area, &scene);
        self::content(&mut painter, content, &scene);
    } else {
        tiny::draw(&mut painter, area, &scene);
    }
    overlay(&mut painter, area, &scene);
}

fn content(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    match scene.state.view.screen {
        Screen::Fleet => fleet::draw(painter, area, scene),
        Screen::Release => release::draw(painter, area, scene),
        Screen::Run => run::draw(painter, area, scene),
        Screen::Gates => gates::draw(painter, area, scene),
        Screen::Rollout => rollout::draw(painter, area, scene),
        Screen::Audit => audit::draw(painter, area, scene),
        Screen::Help => help::draw(painter, area, scene),
        Screen::Messages => messages::draw(painter, area, scene),
    }
}

fn overlay(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    match &scene.state.overlay {
        None | Some(Overlay::Filter(..) | Overlay::Search(_)) => {}
        Some(Overlay::Sheet(sheet)) if scene.state.has_sheet_room() => {
            sheet::draw::draw(painter, area, sheet, scene);
        }
        Some(Overlay::Sheet(_)) => {}
        Some(Overlay::Palette(field, at)) => page::palette(painter, area, scene, field, *at),
        Some(Overlay::Columns(at)) => page::columns(painter, area, scene, *at),
        Some(Overlay::Page(page, at)) => page::page(painter, area, scene, *page, *at),
        Some(Overlay::Links(links, at)) => page::links(painter, area, links, *at),
        Some(Overlay::Leaving) => page::leaving(painter, area),
    }
}

/// How many panes `Tab` walks through.
pub fn panes(scene: &Scene<'_>) -> usize {
    match scene.state.view.screen {
        Screen::Fleet => 2,
        Screen::Rollout => rollout::PANES,
        Screen::Release => release::PANES,
        Screen::Run => 2,
        Screen::Help => help::PANES,
        Screen::Gates | Screen::Audit | Screen::Messages => 1,
    }
}

/// The rows of a pane by their ids, in order.
pub fn ids(scene: &Scene<'_>, pane: usize) -> Vec<String> {
    match scene.state.view.screen {
        Screen::Fleet => Vec::new(),
        Screen::Release => release::ids(scene, pane),
        Screen::Run => run::ids(scene, pane),
        Screen::Gates => gates::ids(scene),
        Screen::Rollout => rollout::ids(scene, pane),
        Screen::Audit => audit::ids(scene),
        Screen::Help => help::ids(scene),
        Screen::Messages => messages::ids(scene),
    }
}

/// Where `←` and `→` start from when nothing was marked yet.
pub fn here(scene: &Scene<'_>) -> Option<String> {
    match scene.state.view.screen {
        Screen::Release => release::here(scene),
        _ => None,
    }
}

/// How a screen's table can be sorted; the first is where it starts.
pub fn sorts(screen: Screen) -> &'static [&'static str] {
    match screen {
        Screen::Gates => &["worst first", "policy order"],
        Screen::Run => &["as listed", "longest first"],
        Screen::Fleet
        | Screen::Release
        | Screen::Rollout
        | Screen::Audit
        | Screen::Help
        | Screen::Messages => &[],
    }
}

/// What `c` copies: the marked thing in one line.
pub fn copied(scene: &Scene<'_>) -> Option<Clean> {
    match scene.state.view.screen {
        Screen::Fleet | Screen::Release | Screen::Rollout => facts::one_line(scene),
        Screen::Run => run::copied(scene),
        Screen::Gates => gates::copied(scene),
        Screen::Audit => audit::copied(scene),
        Screen::Messages => messages::copied(scene),
        Screen::Help => None,
    }
}

/// Links for what is marked, nearest first.
pub fn links(scene: &Scene<'_>) -> Vec<Clean> {
    let mut links = match scene.state.view.screen {
        Screen::Run => run::links(scene),
        Screen::Gates => gates::links(scene),
        Screen::Fleet
        | Screen::Release
        | Screen::Rollout
        | Screen::Audit
        | Screen::Help
        | Screen::Messages => Vec::new(),
    };
    for link in facts::links(scene) {
        if !links.contains(&link) {
            links.push(link);
        }
    }
    links
}

/// The lines of a page.
pub fn page_lines(scene: &Scene<'_>, page: Page) -> Vec<Line> {
    page::lines(scene, page)
}
