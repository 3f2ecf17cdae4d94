//! What can be done in the cockpit, whichever way it is asked: key or `:` name.

use crate::{
    engine::{clear::Mode, plan::Verb},
    ui::{screen::Screen, theme::Theme},
};

/// One thing the cockpit can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "the tables that list them carry a sentence for each"
)]
pub enum Command {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Left,
    Right,
    NextPane,
    PreviousPane,
    Open,
    Close,
    Back,
    LastView,
    PreviousRelease,
    NextRelease,
    PreviousAttempt,
    NextAttempt,
    Show(Screen),
    Filter,
    NextMatch,
    PreviousMatch,
    Sort,
    Columns,
    Logs,
    Follow,
    Wrap,
    Stamps,
    Diff,
    Info,
    Raw,
    Copy,
    Browse,
    Refresh,
    Zoom,
    Palette,
    Help,
    Redraw,
    Suspend,
    Quit,
    QuitNow,
    Interrupt,
    Theme(Option<Theme>),
    Mode(Mode),
    Why,
    /// Opens the verb's sheet; hold is sent after its silence.
    Act(Verb),
    /// Rerun or retry, whichever applies.
    Again,
}

impl Command {
    /// Whether it can change something outside.
    pub fn acts(self) -> bool {
        matches!(self, Self::Act(_) | Self::Again)
    }
}

/// A command by its name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What is typed after `:`.
    pub name: &'static str,
    /// What else may be typed, for people to see: `[REF]`.
    pub argument: &'static str,
    /// What it does.
    pub command: Command,
    /// A sentence about it.
    pub help: &'static str,
}

const fn entry(
    name: &'static str,
    argument: &'static str,
    command: Command,
    help: &'static str,
) -> Entry {
    Entry {
        name,
        argument,
        command,
        help,
    }
}

/// All names, in the order the palette lists them.
pub static ENTRIES: &[Entry] = &[
    entry(
        "hold",
        "",
        Command::Act(Verb::Hold),
        "stop the canary where it is",
    ),
    entry(
        "abort",
        "",
        Command::Act(Verb::Abort),
        "traffic to stable, the spec stays",
    ),
    entry(
        "rollback",
        "[TO]",
        Command::Act(Verb::RollBack),
        "users on a named earlier version",
    ),
    entry(
        "reject",
        "[ENV]",
        Command::Act(Verb::Reject),
        "no to what waits for approval",
    ),
    entry(
        "continue",
        "",
        Command::Act(Verb::Continue),
        "undo a hold, else end the pause step",
    ),
    entry(
        "skip",
        "",
        Command::Act(Verb::Skip),
        "leave the running step",
    ),
    entry(
        "promote",
        "",
        Command::Act(Verb::Promote),
        "to 100 % and the champion alias",
    ),
    entry(
        "approve",
        "[ENV]",
        Command::Act(Verb::Approve),
        "yes to the waiting environment",
    ),
    entry(
        "retry",
        "",
        Command::Act(Verb::Retry),
        "start an aborted rollout again",
    ),
    entry(
        "rerun",
        "",
        Command::Act(Verb::RerunFailed),
        "run the failed jobs again",
    ),
    entry(
        "rerun all",
        "",
        Command::Act(Verb::RerunAll),
        "run all jobs again",
    ),
    entry("cancel", "", Command::Act(Verb::Cancel), "stop the run"),
    entry(
        "restart",
        "",
        Command::Act(Verb::Restart),
        "replace all pods",
    ),
    entry(
        "dispatch",
        "[REF]",
        Command::Act(Verb::Dispatch),
        "start a new run",
    ),
    entry(
        "rw",
        "",
        Command::Mode(Mode::ReadWrite),
        "everything acts, for 60 minutes where critical",
    ),
    entry(
        "brake",
        "",
        Command::Mode(Mode::Brake),
        "only hold, abort, roll back and reject act",
    ),
    entry("ro", "", Command::Mode(Mode::ReadOnly), "nothing acts"),
    entry("fleet", "", Command::Show(Screen::Fleet), "all releases"),
    entry(
        "release",
        "",
        Command::Show(Screen::Release),
        "one release as one flow",
    ),
    entry("run", "", Command::Show(Screen::Run), "its run"),
    entry("gates", "", Command::Show(Screen::Gates), "its gates"),
    entry("rollout", "", Command::Show(Screen::Rollout), "its rollout"),
    entry("audit", "", Command::Show(Screen::Audit), "what was done"),
    entry(
        "messages",
        "",
        Command::Show(Screen::Messages),
        "all messages, and how the backends are",
    ),
    entry("help", "", Command::Help, "keys and commands"),
    entry("why", "[KEY]", Command::Why, "why a key is grey"),
    entry(
        "filter",
        "[TERMS]",
        Command::Filter,
        "filter the fleet: env:prod !stage:live text",
    ),
    entry(
        "theme",
        "[NAME]",
        Command::Theme(None),
        "dark, light, contrast, colour-blind, mono",
    ),
    entry("refresh", "", Command::Refresh, "ask all backends now"),
    entry(
        "quit",
        "",
        Command::Quit,
        "leave the cockpit; nothing remote stops",
    ),
];

/// What a person has typed after `:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// The command.
    pub command: Command,
    /// The rest of the line.
    pub argument: Option<String>,
}

/// Reads a line: the longest name that it begins with, or the only one that
/// begins with it.
///
/// # Errors
///
/// A sentence that names what was not understood.
pub fn parse(line: &str) -> Result<Typed, String> {
    let line = line.trim();
    let typed = |entry: &Entry, rest: &str| {
        // What the command line takes is taken here too.
        let rest = rest.trim();
        let rest = rest.strip_prefix("--to ").map_or(rest, str::trim_start);
        if !rest.is_empty() && entry.argument.is_empty() {
            return Err(format!("`:{}` takes nothing after it", entry.name));
        }
        let argument = (!rest.is_empty()).then(|| rest.to_owned());
        Ok(Typed {
            command: entry.command,
            argument,
        })
    };
    let exact = ENTRIES
        .iter()
        .filter_map(|entry| {
            let rest = line.strip_prefix(entry.name)?;
            (rest.is_empty() || rest.starts_with(' ')).then_some((entry, rest))
        })
        .max_by_key(|(entry, _)| entry.name.len());
    if let Some((entry, rest)) = exact {
        return typed(entry, rest);
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let begin: Vec<&Entry> = ENTRIES
        .iter()
        .filter(|entry| entry.name.starts_with(word))
        .collect();
    match begin.as_slice() {
        [] => Err(format!("no command `:{word}`; `?` lists them")),
        [only] => typed(only, rest),
        several => {
            let names: Vec<&str> = several.iter().map(|entry| entry.name).collect();
            Err(format!("`:{word}` could be {}", names.join(", ")))
        }
    }
}

/// Names that fit what has been typed so far, best first.
pub fn completions(line: &str) -> Vec<&'static Entry> {
    let word = line.trim_start();
    let mut fitting: Vec<&Entry> = ENTRIES
        .iter()
        .filter(|entry| entry.name.starts_with(word) || word.starts_with(entry.name))
        .collect();
    let elsewhere = ENTRIES.iter().filter(|entry| {
        !word.is_empty() && entry.name.contains(word) && !entry.name.starts_with(word)
    });
    fitting.extend(elsewhere);
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, command: Command, argument: Option<&str>) {
        let expected = Typed {
            command,
            argument: argument.map(str::to_owned),
        };
        assert_eq!(parse(line), Ok(expected));
    }

    #[test]
    fn commands_are_found_by_name_or_by_a_clear_beginning() {
        check("promote", Command::Act(Verb::Promote), None);
        check("prom", Command::Act(Verb::Promote), None);
        check("rerun all", Command::Act(Verb::RerunAll), None);
        check("rerun", Command::Act(Verb::RerunFailed), None);
        check(
            "rollback 2026.08.14-1",
            Command::Act(Verb::RollBack),
            Some("2026.08.14-1"),
        );
        check(
            "dispatch release/9",
            Command::Act(Verb::Dispatch),
            Some("release/9"),
        );
        check(
            "rollback --to v41",
            Command::Act(Verb::RollBack),
            Some("v41"),
        );
        check("q", Command::Quit, None);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(
            parse("explode")
                .unwrap_err()
                .contains("no command `:explode`")
        );
        assert!(parse("r").unwrap_err().contains("could be"));
        assert!(parse("quit now").unwrap_err().contains("takes nothing"));
    }

    #[test]
    fn completion_offers_what_begins_so_first() {
        let names: Vec<&str> = completions("ro").iter().map(|entry| entry.name).collect();
        assert_eq!(names[..3], ["rollback", "ro", "rollout"]);
        assert!(names.contains(&"promote"));
        assert_eq!(completions("").len(), ENTRIES.len());
    }

    #[test]
    fn every_verb_has_a_name() {
        for verb in Verb::ALL {
            assert!(
                ENTRIES
                    .iter()
                    .any(|entry| entry.command == Command::Act(verb)),
                "{verb:?}"
            );
        }
    }
}
