//! The only place that prints.
//!
//! Lines go out clean, whatever is in them. A reader that has gone (`| head`)
//! ends the output quietly and changes nothing else: the exit code still says
//! what was found.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write},
};

use serde_json::Value;

use unicode_width::UnicodeWidthStr as _;

use crate::{backend::secret::redact, config::env, domain::text::Clean, report::plain};

/// Where a command's words go.
pub(super) struct Out {
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    /// Sentences instead of tables, for screen readers and logs.
    pub(super) plain: bool,
    ascii: bool,
    closed: bool,
    /// Columns of the terminal, where somebody reads on one.
    pub(super) width: Option<usize>,
}

impl Out {
    /// Standard output and error.
    pub(super) fn new(plain: bool) -> Self {
        Self {
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            plain,
            ascii: false,
            closed: false,
            width: width(),
        }
    }

    /// Signs become their ASCII twins from here on.
    pub(super) fn only_ascii(&mut self, ascii: bool) {
        self.ascii = ascii;
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// One line, or several, of the answer.
    pub(super) fn line(&mut self, text: impl Display) {
        let text = self.shown(&text.to_string());
        self.write(text.as_bytes());
    }

    /// Lines of the answer.
    pub(super) fn lines(&mut self, lines: impl IntoIterator<Item = impl Display>) {
        for line in lines {
            self.line(line);
        }
    }

    /// Rows under a heading, which may be empty: a table, where it fits the
    /// terminal and tables are wanted, else a sentence a row.
    pub(super) fn table(&mut self, heading: &[&str], rows: &[Vec<String>]) {
        if self.plain {
            self.lines(plain::sentences(heading, rows));
            return;
        }
        let hidden = usize::from(heading.is_empty());
        let lines: Vec<String> = plain::table(heading, rows).split_off(hidden);
        match self.width {
            Some(width) if lines.iter().any(|line| width < line.width()) => {
                self.lines(plain::broken(plain::sentences(heading, rows), width));
            }
            _ => self.lines(lines),
        }
    }

    /// The answer as JSON: all of it, readable.
    pub(super) fn json(&mut self, value: &Value) {
        let text =
            serde_json::to_string_pretty(&cleaned(value)).expect("a JSON value has a JSON form");
        self.write(text.as_bytes());
        self.write(b"\n");
    }

    /// One JSON document on one line, where several follow each other.
    pub(super) fn json_line(&mut self, value: &Value) {
        let text = cleaned(value).to_string();
        self.write(text.as_bytes());
        self.write(b"\n");
    }

    /// Bytes of ours that are no lines of text: completions, manual pages.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }

    /// A remark beside the answer, to standard error.
    pub(super) fn remark(&mut self, text: impl Display) {
        let text = self.shown(&text.to_string());
        // Nobody may be listening there, and there is nowhere else to say so.
        drop(
            self.stderr
                .write_all(text.as_bytes())
                .and_then(|()| self.stderr.flush()),
        );
    }

    /// A question to the person at the terminal, without a line end.
    pub(super) fn ask(&mut self, text: impl Display) {
        let text = self.shown(&text.to_string());
        let text = text.trim_end_matches('\n');
        drop(
            self.stderr
                .write_all(text.as_bytes())
                .and_then(|()| self.stderr.flush()),
        );
    }

    fn shown(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len() + 1);
        // The last door: whatever got this far with a credential in it.
        for line in redact(text).lines() {
            let line = Clean::line(line);
            if self.ascii {
                shown.extend(line.chars().map(twin));
            } else {
                shown.push_str(&line);
            }
            shown.push('\n');
        }
        if shown.is_empty() {
            shown.push('\n');
        }
        shown
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        if self
            .stdout
            .write_all(bytes)
            .and_then(|()| self.stdout.flush())
            .is_err()
        {
            self.closed = true;
        }
    }
}

/// How wide lines may be: as `COLUMNS` says, else as the terminal is.
fn width() -> Option<usize> {
    if let Some(width) = env::columns() {
        return Some(width);
    }
    let size = io::stdout().is_terminal().then(crossterm::terminal::size);
    let (columns, _) = size?.ok()?;
    (0 < columns).then(|| usize::from(columns))
}

/// Whether a person sits at both ends.
pub(super) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// One line from the person at the terminal; `None` when there is no more.
pub(super) fn read_answer() -> Option<String> {
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(answer.trim().to_owned()),
    }
}

/// The ASCII twin of one of our signs; anything else stays.
fn twin(sign: char) -> char {
    match sign {
        '✓' => '+',
        '▲' => '!',
        '✗' => 'x',
        '◐' => '*',
        '○' => 'o',
        '◆' => '@',
        '‖' => '=',
        '↺' => '<',
        '↻' => 'r',
        '–' | '─' | '—' => '-',
        '·' => '.',
        '…' => '~',
        '≤' => '<',
        '≥' => '>',
        other => other,
    }
}

/// Texts in a JSON document, cleaned like lines: escapes in JSON keep control
/// bytes out, but not characters that hide or turn text.
fn cleaned(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(Clean::block(&redact(text)).to_string()),
        Value::Array(list) => list.iter().map(cleaned).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (Clean::name(name).to_string(), cleaned(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
