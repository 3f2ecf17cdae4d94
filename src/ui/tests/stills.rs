//! Still pictures for the README, drawn from the fixture's world by the code
//! that draws the terminal, so that they cannot show what the program does not.
//!
//! `cargo test --lib stills -- --ignored` draws them anew.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use ratatui::{
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};

use crate::ui::{
    fixture::{Cockpit, Shot, now, shots},
    paint::Look,
    text::Charset,
    theme::{Depth, Theme},
};

const FOLDER: &str = "docs/pictures";

/// File, shot, size, theme, characters.
type Still = (&'static str, &'static str, (u16, u16), Theme, Charset);

const STILLS: [Still; 7] = [
    ("fleet", "fleet", (120, 36), Theme::Dark, Charset::Unicode),
    (
        "rollout",
        "rollout",
        (120, 36),
        Theme::Dark,
        Charset::Unicode,
    ),
    (
        "sheet",
        "sheet-promote",
        (100, 30),
        Theme::Dark,
        Charset::Unicode,
    ),
    (
        "gates",
        "gates-no-go",
        (100, 30),
        Theme::Dark,
        Charset::Unicode,
    ),
    ("cockpit", "fleet", (180, 50), Theme::Dark, Charset::Unicode),
    (
        "light",
        "release",
        (120, 36),
        Theme::Light,
        Charset::Unicode,
    ),
    (
        "ascii",
        "fleet",
        (80, 24),
        Theme::ColourBlind,
        Charset::Ascii,
    ),
];

fn stills() -> Vec<(PathBuf, String)> {
    STILLS
        .into_iter()
        .map(|(file, name, size, theme, charset)| {
            let shot = shots().into_iter().find(|shot| shot.name == name).unwrap();
            let look = Look {
                theme,
                depth: Depth::Many,
                charset,
            };
            let path = Path::new(FOLDER).join(format!("{file}.svg"));
            (path, svg(&picture(&shot, size, look), theme))
        })
        .collect()
}

#[test]
fn stills_show_what_the_program_draws() {
    for (path, drawn) in stills() {
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == drawn, "{} is not what is drawn now", path.display());
    }
}

#[test]
#[ignore = "draws the stills anew"]
fn draw_them_anew() {
    fs::create_dir_all(FOLDER).unwrap();
    for (path, drawn) in stills() {
        fs::write(path, drawn).unwrap();
    }
    let (before, _, behind) = readme();
    let text = format!("{before}```text\n{}\n```{behind}", sample());
    fs::write("README.md", text).unwrap();
}

/// The screen in the README, as text.
fn sample() -> String {
    let shot = shots().into_iter().find(|shot| shot.name == "fleet");
    let look = Look {
        charset: Charset::Unicode,
        ..Look::default()
    };
    let buffer = picture(&shot.unwrap(), (80, 24), look);
    let mut lines: Vec<String> = Vec::new();
    for y in 0..buffer.area.height {
        let row: String = (0..buffer.area.width)
            .map(|x| buffer[(x, y)].symbol())
            .collect();
        lines.push(row.trim_end().to_owned());
    }
    // What is empty between table and foot says nothing on paper.
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

/// The README's text before, in and behind its screen.
fn readme() -> (String, String, String) {
    let text = fs::read_to_string("README.md").unwrap();
    let (before, rest) = text.split_once("```text\n").unwrap();
    let (sample, behind) = rest.split_once("\n```").unwrap();
    (before.to_owned(), sample.to_owned(), behind.to_owned())
}

#[test]
fn the_screen_in_the_readme_is_what_the_program_draws() {
    assert_eq!(readme().1, sample());
}

fn picture(shot: &Shot, size: (u16, u16), look: Look) -> Buffer {
    let mut cockpit = Cockpit::new((shot.world)(), size)
        .at(shot.lane.0, shot.lane.1)
        .looking(look);
    (shot.before)(&mut cockpit);
    cockpit.keys(shot.keys);
    // A person has had time to read it.
    cockpit.wait(1000);
    cockpit.state.toast = None;
    if cockpit.state.sheet().is_none() {
        cockpit.now = now();
    }
    cockpit.buffer()
}

const WIDTH: f32 = 8.4;
const HEIGHT: f32 = 18.0;

/// A buffer as a picture: a rectangle per run of one background, a text per run
/// of one style, each forced to the width of its cells.
fn svg(buffer: &Buffer, theme: Theme) -> String {
    let area = buffer.area;
    let (paper, ink) = match theme {
        Theme::Light => ("#fafafa", "#1e1e1e"),
        Theme::Dark | Theme::Contrast | Theme::ColourBlind | Theme::Mono => ("#16181c", "#d2d4d6"),
    };
    let (width, height) = (
        f32::from(area.width) * WIDTH + 16.0,
        f32::from(area.height) * HEIGHT + 16.0,
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"'DejaVu Sans Mono','JetBrains Mono',Menlo,Consolas,monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{paper}\"/>\n"
    );
    for y in 0..area.height {
        let mut x = 0;
        while x < area.width {
            let style = look_of(&buffer[(x, y)], paper, ink);
            let mut end = x + 1;
            while end < area.width && look_of(&buffer[(end, y)], paper, ink) == style {
                end += 1;
            }
            paint(&mut out, (x, end, y), &style, paper);
            for column in x..end {
                if let Some(bits) = braille(buffer[(column, y)].symbol()) {
                    dots(&mut out, (column, y), bits, &style.ink);
                }
            }
            for (from, to) in words(buffer, y, x, end) {
                let text: String = (from..to)
                    .map(|column| buffer[(column, y)].symbol())
                    .collect();
                word(&mut out, (from, to, y), &text, &style);
            }
            x = end;
        }
    }
    out.push_str("</svg>\n");
    out
}

#[derive(PartialEq)]
struct Drawn {
    ink: String,
    paper: String,
    bold: bool,
    underlined: bool,
    faint: bool,
}

fn look_of(cell: &Cell, paper: &str, ink: &str) -> Drawn {
    let (mut front, mut back) = (hex(cell.fg, ink), hex(cell.bg, paper));
    if cell.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut front, &mut back);
    }
    Drawn {
        ink: front,
        paper: back,
        bold: cell.modifier.contains(Modifier::BOLD),
        underlined: cell.modifier.contains(Modifier::UNDERLINED),
        faint: cell.modifier.contains(Modifier::DIM),
    }
}

/// The dots of a braille character.
fn braille(symbol: &str) -> Option<u32> {
    let bits = u32::from(symbol.chars().next()?).checked_sub(0x2800)?;
    (bits < 256).then_some(bits)
}

/// Words of a run: placed one by one, they stay in their columns also where a
/// viewer takes a font of another width.
fn words(buffer: &Buffer, y: u16, from: u16, to: u16) -> Vec<(u16, u16)> {
    let mut words = Vec::new();
    let mut begun = None;
    for x in from..to {
        let symbol = buffer[(x, y)].symbol();
        let blank = symbol.trim().is_empty() || braille(symbol).is_some();
        match (blank, begun) {
            (true, Some(start)) => {
                words.push((start, x));
                begun = None;
            }
            (false, None) => begun = Some(x),
            _ => {}
        }
    }
    words.extend(begun.map(|start| (start, to)));
    words
}

fn paint(out: &mut String, (from, to, y): (u16, u16, u16), style: &Drawn, paper: &str) {
    let (left, top) = (8.0 + f32::from(from) * WIDTH, 8.0 + f32::from(y) * HEIGHT);
    let width = f32::from(to - from) * WIDTH;
    if style.paper != paper {
        writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" fill=\"{}\"/>",
            style.paper
        )
        .unwrap();
    }
}

/// The dots of a braille cell, because few fonts have them.
fn dots(out: &mut String, (x, y): (u16, u16), bits: u32, ink: &str) {
    const PLACES: [(f32, f32); 8] = [
        (0.0, 0.0),
        (0.0, 1.0),
        (0.0, 2.0),
        (1.0, 0.0),
        (1.0, 1.0),
        (1.0, 2.0),
        (0.0, 3.0),
        (1.0, 3.0),
    ];
    let (left, top) = (8.0 + f32::from(x) * WIDTH, 8.0 + f32::from(y) * HEIGHT);
    let path: String = PLACES
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, (column, row))| {
            let (x, y) = (left + 1.0 + column * 4.2, top + 1.5 + row * 4.5);
            format!("M{x:.1} {y:.1}h2v2h-2z")
        })
        .collect();
    writeln!(out, "<path d=\"{path}\" fill=\"{ink}\"/>").unwrap();
}

fn word(out: &mut String, (from, to, y): (u16, u16, u16), text: &str, style: &Drawn) {
    let (left, top) = (8.0 + f32::from(from) * WIDTH, 8.0 + f32::from(y) * HEIGHT);
    let width = f32::from(to - from) * WIDTH;
    let marks = [
        (style.bold, " font-weight=\"bold\""),
        (style.underlined, " text-decoration=\"underline\""),
        (style.faint, " opacity=\"0.6\""),
    ];
    let marks: String = marks
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, mark)| *mark)
        .collect();
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    writeln!(
        out,
        "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
         xml:space=\"preserve\" fill=\"{}\"{marks}>{escaped}</text>",
        top + 13.5,
        style.ink
    )
    .unwrap();
}

/// A colour of the usual 256 as a web colour.
fn hex(colour: Color, otherwise: &str) -> String {
    let Color::Indexed(index) = colour else {
        return otherwise.to_owned();
    };
    let (red, green, blue) = match index {
        0..16 => return if index == 0 { "#000000" } else { "#eeeeee" }.to_owned(),
        16..232 => {
            let levels = [0, 95, 135, 175, 215, 255];
            let cube = usize::from(index - 16);
            (levels[cube / 36], levels[cube / 6 % 6], levels[cube % 6])
        }
        232.. => {
            let grey = 8 + 10 * (index - 232);
            (grey, grey, grey)
        }
    };
    format!("#{red:02x}{green:02x}{blue:02x}")
}
