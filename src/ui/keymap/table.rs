//! The table of keys.

use crossterm::event::KeyCode;

use crate::{
    engine::plan::Verb,
    ui::{
        command::Command,
        keymap::{Binding, Key},
        screen::Screen,
    },
};

const fn row(
    keys: &'static [Key],
    label: &'static str,
    command: Command,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding {
        keys,
        label,
        command,
        hint,
        help,
        screens: &[],
    }
}

const fn on(screens: &'static [Screen], binding: Binding) -> Binding {
    Binding { screens, ..binding }
}

const fn c(character: char) -> Key {
    Key::char(character)
}

const fn ctrl(character: char) -> Key {
    Key::control(character)
}

const fn k(code: KeyCode) -> Key {
    Key::code(code)
}

const RELEASES: &[Screen] = &[
    Screen::Fleet,
    Screen::Release,
    Screen::Run,
    Screen::Gates,
    Screen::Rollout,
    Screen::Audit,
];

/// All bindings, in the order help lists them.
pub static BINDINGS: &[Binding] = &[
    row(
        &[c('j'), k(KeyCode::Down)],
        "j ↓",
        Command::Down,
        "down",
        "next row",
    ),
    row(
        &[c('k'), k(KeyCode::Up)],
        "k ↑",
        Command::Up,
        "up",
        "previous row",
    ),
    row(
        &[c('g'), k(KeyCode::Home)],
        "g",
        Command::First,
        "first",
        "first row",
    ),
    row(
        &[c('G'), k(KeyCode::End)],
        "G",
        Command::Last,
        "last",
        "last row",
    ),
    row(
        &[ctrl('u'), k(KeyCode::PageUp)],
        "^u",
        Command::PageUp,
        "page up",
        "a page up",
    ),
    row(
        &[ctrl('d'), k(KeyCode::PageDown)],
        "^d",
        Command::PageDown,
        "page down",
        "a page down",
    ),
    row(
        &[k(KeyCode::Left)],
        "←",
        Command::Left,
        "left",
        "previous stage or metric; scrolls a log left",
    ),
    row(
        &[k(KeyCode::Right)],
        "→",
        Command::Right,
        "right",
        "next stage or metric; scrolls a log right",
    ),
    row(
        &[k(KeyCode::Tab)],
        "Tab",
        Command::NextPane,
        "pane",
        "next pane",
    ),
    row(
        &[k(KeyCode::BackTab)],
        "⇧Tab",
        Command::PreviousPane,
        "pane back",
        "previous pane",
    ),
    row(
        &[k(KeyCode::Enter)],
        "⏎",
        Command::Open,
        "open",
        "open what is marked; never acts",
    ),
    row(
        &[k(KeyCode::Esc)],
        "Esc",
        Command::Close,
        "back",
        "close, then clear the filter, then go back",
    ),
    row(
        &[c('q')],
        "q",
        Command::Back,
        "back",
        "back; at the fleet, quit",
    ),
    row(
        &[c('-')],
        "-",
        Command::LastView,
        "last view",
        "the view before this one",
    ),
    row(
        &[c('[')],
        "[",
        Command::PreviousRelease,
        "previous",
        "previous release",
    ),
    row(&[c(']')], "]", Command::NextRelease, "next", "next release"),
    on(
        &[Screen::Run],
        row(
            &[c(',')],
            ",",
            Command::PreviousAttempt,
            "attempt",
            "previous attempt of the run",
        ),
    ),
    on(
        &[Screen::Run],
        row(
            &[c('.')],
            ".",
            Command::NextAttempt,
            "attempt",
            "next attempt of the run",
        ),
    ),
    row(
        &[c('1')],
        "1",
        Command::Show(Screen::Fleet),
        "fleet",
        "all releases, and what waits for a person",
    ),
    row(
        &[c('2')],
        "2",
        Command::Show(Screen::Release),
        "release",
        "one release as one flow",
    ),
    row(
        &[c('3')],
        "3",
        Command::Show(Screen::Run),
        "run",
        "its run: jobs, steps, logs",
    ),
    row(
        &[c('4')],
        "4",
        Command::Show(Screen::Gates),
        "gates",
        "its gates and the decision",
    ),
    row(
        &[c('5')],
        "5",
        Command::Show(Screen::Rollout),
        "rollout",
        "its rollout with charts",
    ),
    row(
        &[c('6')],
        "6",
        Command::Show(Screen::Audit),
        "audit",
        "what was done, by whom, with what outcome",
    ),
    row(
        &[c('/')],
        "/",
        Command::Filter,
        "filter",
        "filter rows: `env:prod !stage:live text`; in a log, search",
    ),
    row(&[c('n')], "n", Command::NextMatch, "match", "next match"),
    row(
        &[c('N')],
        "N",
        Command::PreviousMatch,
        "match back",
        "previous match",
    ),
    on(
        &[Screen::Fleet, Screen::Gates, Screen::Run],
        row(
            &[c('s')],
            "s",
            Command::Sort,
            "sort",
            "sort by the next column",
        ),
    ),
    on(
        &[Screen::Fleet],
        row(
            &[c('x')],
            "x",
            Command::Columns,
            "columns",
            "choose columns",
        ),
    ),
    row(
        &[c('l')],
        "l",
        Command::Logs,
        "logs",
        "the log of the marked job",
    ),
    row(
        &[c('f')],
        "f",
        Command::Follow,
        "still",
        "in a log, follow its end; else hold the display still",
    ),
    row(
        &[c('w')],
        "w",
        Command::Wrap,
        "wrap",
        "in a log, wrap lines; on charts, the time shown",
    ),
    row(
        &[c('t')],
        "t",
        Command::Stamps,
        "stamps",
        "time stamps in a log",
    ),
    row(
        &[c('d')],
        "d",
        Command::Diff,
        "diff",
        "what differs from the champion",
    ),
    row(
        &[c('i')],
        "i",
        Command::Info,
        "info",
        "backends: trouble, since when, what it takes with it",
    ),
    row(
        &[c('y')],
        "y",
        Command::Raw,
        "raw",
        "the marked thing as JSON; of the audit, the line as written",
    ),
    row(
        &[c('c')],
        "c",
        Command::Copy,
        "copy",
        "copy through the terminal (OSC 52)",
    ),
    row(
        &[c('o')],
        "o",
        Command::Browse,
        "browser",
        "open in the browser, after showing where",
    ),
    row(
        &[c('u')],
        "u",
        Command::Refresh,
        "refresh",
        "ask all backends now",
    ),
    row(
        &[c('z')],
        "z",
        Command::Zoom,
        "zoom",
        "the pane over the whole screen",
    ),
    row(&[c(':')], ":", Command::Palette, "more", "commands by name"),
    row(&[c('?')], "?", Command::Help, "help", "this page"),
    row(
        &[ctrl('l')],
        "^l",
        Command::Redraw,
        "redraw",
        "draw everything anew",
    ),
    row(
        &[ctrl('z')],
        "^z",
        Command::Suspend,
        "suspend",
        "suspend; `fg` comes back",
    ),
    row(
        // Terminals without the newer protocol send `^\` as the byte that is
        // also Control and 4.
        &[ctrl('\\'), ctrl('4')],
        "^\\",
        Command::QuitNow,
        "quit",
        "quit at once",
    ),
    row(
        &[ctrl('c')],
        "^c",
        Command::Interrupt,
        "close",
        "close the top thing; twice in a second quits; nothing remote",
    ),
    on(
        RELEASES,
        row(
            &[c('H')],
            "H",
            Command::Act(Verb::Hold),
            "hold",
            "hold: the canary stops where it is",
        ),
    ),
    on(
        RELEASES,
        row(
            &[c('B')],
            "B",
            Command::Act(Verb::Abort),
            "abort",
            "abort: traffic to stable, the spec stays",
        ),
    ),
    on(
        RELEASES,
        row(
            &[c('R')],
            "R",
            Command::Act(Verb::RollBack),
            "roll back",
            "roll back: users on a named earlier version",
        ),
    ),
    on(
        RELEASES,
        row(
            &[c('X')],
            "X",
            Command::Act(Verb::Reject),
            "reject",
            "reject: no to what waits for approval",
        ),
    ),
    on(
        RELEASES,
        row(
            &[c('C')],
            "C",
            Command::Act(Verb::Continue),
            "continue",
            "continue: undo a hold, else end the pause step",
        ),
    ),
    on(
        RELEASES,
        row(
            &[c('S')],
            "S",
            Command::Act(Verb::Skip),
            "skip",
            "skip: leave the running step",
        ),
    ),
    on(
        RELEASES,
        row(
            &[c('P')],
            "P",
            Command::Act(Verb::Promote),
            "promote",
            "promote: to 100 % and the champion alias",
        ),
    ),
    on(
        RELEASES,
        row(
            &[c('A')],
            "A",
            Command::Act(Verb::Approve),
            "approve",
            "approve: yes to the waiting environment",
        ),
    ),
    on(
        RELEASES,
        row(
            &[c('T')],
            "T",
            Command::Again,
            "again",
            "again: rerun failed jobs, or retry an aborted rollout",
        ),
    ),
];

/// Keys kept free for what is to come; binding one of them breaks a promise.
pub static RESERVED: &[Key] = &[
    c(' '),
    c('*'),
    c('v'),
    c('e'),
    c('m'),
    c('\''),
    c('<'),
    c('>'),
    c('{'),
    c('}'),
    c('@'),
    c('='),
    c('7'),
    c('8'),
    c('9'),
    c('0'),
    c('!'),
    c('W'),
    c('K'),
];
