//! Keys and commands, made from the same table that dispatches them.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::ui::{
    command::ENTRIES,
    keymap::{BINDINGS, Binding},
    line::Line,
    paint::Painter,
    screen::{Scene, acts, panel},
    sign::Sign,
    text,
    theme::Role,
    widget::table,
};

/// Parts that `Tab` turns to where there is no room for all, what acts first.
pub const PANES: usize = 4;

/// The part that lists all keys.
const KEYS: usize = 1;

/// From this width on all parts are beside each other.
const WIDE: u16 = 100;

/// Whether the list of keys is on screen, so that a row of it can be marked.
fn lists_keys(scene: &Scene<'_>) -> bool {
    WIDE <= scene.state.size.0 || scene.state.pane() == KEYS
}

/// The marked key.
pub fn marked(scene: &Scene<'_>) -> Option<&'static Binding> {
    let label = scene.state.mark().filter(|_| lists_keys(scene))?;
    BINDINGS.iter().find(|binding| binding.label == label)
}

/// Bindings by how they are written.
pub fn ids(scene: &Scene<'_>) -> Vec<String> {
    if !lists_keys(scene) {
        return Vec::new();
    }
    BINDINGS
        .iter()
        .map(|binding| binding.label.to_owned())
        .collect()
}

/// Keys of an open sheet, which the sheet itself understands.
pub const SHEET_KEYS: &[(&str, &str)] = &[
    (
        "letter",
        "the random one on the sheet: sends, or asks for Enter",
    ),
    ("1-4", "reason; 4 is typed, then the letter is another one"),
    ("t", "other target"),
    ("d", "requests in full"),
    ("other", "every other key closes the sheet"),
];

/// Draws the screen.
pub fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let rule = Line::new()
        .with(
            Role::Strong,
            "lower case looks · UPPER CASE acts · Enter alone never acts",
        )
        .with(Role::Dim, "   Enter here runs a key that looks");
    painter.line(area.x + 1, area.y, area.width - 1, &rule);
    let body = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    let marked =
        marked(scene).and_then(|marked| BINDINGS.iter().position(|row| row.label == marked.label));
    if area.width < WIDE {
        narrow(painter, body, scene, marked);
        return;
    }
    let [keys, middle, last] = Layout::horizontal([
        Constraint::Percentage(38),
        Constraint::Percentage(32),
        Constraint::Percentage(30),
    ])
    .areas(body);
    draw_keys(painter, keys, marked, &Line::new());
    let [why, sheet] = Layout::vertical([Constraint::Fill(2), Constraint::Fill(1)]).areas(middle);
    panel::lines(
        painter,
        why,
        "on this release",
        &Line::new(),
        &grey(scene, why.width),
    );
    let mut said = sheet_keys();
    said.push(Line::new());
    said.extend(signs());
    panel::lines(painter, sheet, "on a sheet, and signs", &Line::new(), &said);
    panel::lines(painter, last, ": commands", &Line::new(), &commands());
}

/// One part at a time; `Tab` turns.
fn narrow(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>, marked: Option<usize>) {
    let remark = Line::dim("Tab turns");
    match scene.state.pane() {
        KEYS => draw_keys(painter, area, marked, &remark),
        2 => {
            let mut said = sheet_keys();
            said.push(Line::new());
            said.extend(signs());
            panel::lines(painter, area, "on a sheet, and signs", &remark, &said);
        }
        3 => panel::lines(painter, area, ": commands", &remark, &commands()),
        _ => panel::lines(
            painter,
            area,
            "on this release",
            &Line::dim("Tab: all keys"),
            &grey(scene, area.width),
        ),
    }
}

fn draw_keys(painter: &mut Painter<'_>, area: Rect, marked: Option<usize>, remark: &Line) {
    let inside = painter.frame(area, &Line::new().with(Role::Strong, "keys"), remark);
    let window = table::window(BINDINGS.len(), marked, usize::from(inside.height));
    for (index, y) in window.zip(inside.top()..) {
        let Some(binding) = BINDINGS.get(index) else {
            continue;
        };
        painter.line(
            inside.x,
            y,
            inside.width,
            &key_line(binding, marked == Some(index)),
        );
    }
}

fn key_line(binding: &Binding, marked: bool) -> Line {
    let role = if binding.command.acts() {
        Role::Person
    } else {
        Role::Key
    };
    Line::plain(if marked { "▶" } else { " " })
        .with(role, text::left(binding.label, 6))
        .text(binding.help)
}

/// What acts here and why the rest is grey.
fn grey(scene: &Scene<'_>, width: u16) -> Vec<Line> {
    let acts = acts(scene);
    if acts.is_empty() {
        return vec![Line::dim("no release is marked: keys that act need one")];
    }
    let width = usize::from(width.saturating_sub(4));
    acts.iter().flat_map(|act| act.lines(width)).collect()
}

fn sheet_keys() -> Vec<Line> {
    SHEET_KEYS
        .iter()
        .map(|(key, what)| Line::new().with(Role::Key, format!("{key:<7}")).text(*what))
        .collect()
}

fn signs() -> Vec<Line> {
    Sign::ALL
        .chunks(3)
        .map(|part| {
            let mut line = Line::new();
            for sign in part {
                line = line
                    .sign(*sign)
                    .text(format!(" {} ", text::left(sign.word(), 11)));
            }
            line
        })
        .collect()
}

fn commands() -> Vec<Line> {
    ENTRIES
        .iter()
        .map(|entry| {
            let name = format!(":{} {}", entry.name, entry.argument);
            Line::new()
                .with(Role::Key, text::left(name.trim_end(), 17))
                .with(Role::Dim, entry.help)
        })
        .collect()
}
