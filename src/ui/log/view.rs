//! What a person looks at in a log: place, search, wrapping.

use crate::{
    domain::{id::JobId, text::Clean},
    ui::{
        line::{Line, Piece},
        log::{ansi, ring::Ring},
        sign::Sign,
        text,
        theme::Role,
    },
};

/// How the log is arriving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Asked for, nothing came yet.
    Asked,
    /// Arriving.
    Coming,
    /// All there.
    Whole,
    /// It did not come; why, in words.
    Failed(Clean),
}

/// An open log.
#[derive(Clone, Debug)]
pub struct LogView {
    /// Of which job.
    pub job: JobId,
    /// Its name.
    pub title: Clean,
    /// Its lines.
    pub ring: Ring,
    /// How it is arriving.
    pub arrival: Arrival,
    /// Stay at the end.
    pub follow: bool,
    /// The number of the line at the top, when not following.
    pub top: u64,
    /// Columns scrolled to the right.
    pub left: usize,
    /// Break long lines.
    pub wrap: bool,
    /// Show the time in front.
    pub stamps: bool,
    /// What is searched.
    pub needle: Option<String>,
    /// The line of the last match.
    pub hit: Option<u64>,
    /// How many escape sequences came with it.
    sequences: usize,
}

impl LogView {
    /// A log that was just asked for.
    pub fn new(job: JobId, title: Clean) -> Self {
        Self {
            job,
            title,
            ring: Ring::default(),
            arrival: Arrival::Asked,
            follow: true,
            top: 0,
            left: 0,
            wrap: false,
            stamps: true,
            needle: None,
            hit: None,
            sequences: 0,
        }
    }

    /// Adds what came.
    pub fn push(&mut self, chunk: &[u8]) {
        self.arrival = Arrival::Coming;
        self.sequences += chunk.split(|byte| *byte == 0x1b).count() - 1;
        self.ring.push(chunk);
    }

    /// The number of the line at the top of a window of `height` lines.
    pub fn first_shown(&self, height: usize) -> u64 {
        let numbers = self.ring.numbers();
        let last_top = numbers.end.saturating_sub(height as u64).max(numbers.start);
        if self.follow {
            last_top
        } else {
            self.top.clamp(numbers.start, last_top)
        }
    }

    /// Moves by lines; a move up stops following, reaching the end does not
    /// start it again.
    pub fn scroll(&mut self, by: i64, height: usize) {
        let top = self.first_shown(height);
        self.follow = false;
        self.top = top.saturating_add_signed(by);
        self.top = self.first_shown(height);
    }

    /// Goes to the beginning or the end.
    pub fn jump(&mut self, to_end: bool) {
        self.follow = to_end;
        if !to_end {
            self.top = 0;
        }
    }

    /// Goes to the next match.
    ///
    /// # Errors
    ///
    /// There is none, or nothing is searched, in words.
    pub fn search(&mut self, forward: bool, height: usize) -> Result<(), String> {
        let Some(needle) = self.needle.clone() else {
            return Err("nothing to search for: `/` first".to_owned());
        };
        let from = self.hit.unwrap_or_else(|| {
            let top = self.first_shown(height);
            if forward { top.saturating_sub(1) } else { top }
        });
        let Some(hit) = self.ring.find(&needle, from, forward) else {
            return Err(format!("`{needle}` is not in this log"));
        };
        self.hit = Some(hit);
        self.follow = false;
        self.top = hit.saturating_sub(height as u64 / 3);
        Ok(())
    }

    /// The lines of a window, and how many sequences were dropped from them.
    pub fn window(&self, width: usize, height: usize) -> Vec<Line> {
        let first = self.first_shown(height);
        let mut lines: Vec<Line> = Vec::new();
        for number in (first..self.ring.numbers().end).take(height) {
            let Some(raw) = self.ring.line(number) else {
                break;
            };
            let readable = ansi::read(&raw);
            lines.extend(self.laid_out(&readable, number, width));
            if !self.follow && height <= lines.len() {
                break;
            }
        }
        // Following shows the end, also when wrapping makes more lines of them.
        let surplus = if self.follow {
            lines.len().saturating_sub(height)
        } else {
            0
        };
        lines.drain(..surplus);
        lines.truncate(height);
        lines
    }

    fn laid_out(&self, readable: &ansi::Readable, number: u64, width: usize) -> Vec<Line> {
        let mut gutter = if self.hit == Some(number) {
            Line::new().with(Role::Key, "▶ ")
        } else {
            Line::plain("  ")
        };
        if self.stamps
            && let Some(stamp) = &readable.stamp
        {
            gutter = gutter.with(Role::Dim, format!("{stamp:<12} "));
        }
        let room = width.saturating_sub(gutter.width()).max(1);
        let body = if self.wrap {
            readable.line.clone()
        } else {
            skip(&readable.line, self.left)
        };
        if !self.wrap || body.width() <= room {
            return vec![gutter.join(body)];
        }
        let indent = Line::plain(" ".repeat(gutter.width()));
        broken(&body, room)
            .into_iter()
            .enumerate()
            .map(|(index, part)| {
                if index == 0 {
                    gutter.clone().join(part)
                } else {
                    indent.clone().join(part)
                }
            })
            .collect()
    }

    /// What is said in the frame: lines, follow, wrap, what was forgotten.
    pub fn remark(&self) -> Line {
        let numbers = self.ring.numbers();
        let mut line = Line::dim(match numbers.end {
            1 => "1 line".to_owned(),
            many => format!("{} lines", text::count(many)),
        });
        if self.ring.dropped() > 0 {
            let dropped = text::count(self.ring.dropped());
            line = line
                .text("  ")
                .sign(Sign::Warn)
                .with(Role::Warn, format!(" first {dropped} dropped"));
        }
        line = line.with(
            Role::Dim,
            if self.follow {
                "  follow on"
            } else {
                "  follow off"
            },
        );
        line = line.with(
            Role::Dim,
            if self.wrap { "  wrap on" } else { "  wrap off" },
        );
        if self.sequences > 0 {
            let taken = text::count(self.sequences as u64);
            line = line.with(Role::Dim, format!("  {taken} sequences taken out"));
        }
        if let Some(needle) = &self.needle {
            line = line.with(Role::Dim, format!("  / {needle}"));
        }
        line
    }
}

/// A line without its first cells.
fn skip(line: &Line, cells: usize) -> Line {
    if cells == 0 {
        return line.clone();
    }
    let mut left = cells;
    let mut kept = Line::new();
    for piece in &line.0 {
        match piece {
            Piece::Text(text, role) => {
                let taken = text::width(text);
                if left < taken {
                    let mut gone = 0;
                    let rest: String = text
                        .chars()
                        .skip_while(|character| {
                            let before = gone;
                            gone += unicode_width::UnicodeWidthChar::width(*character).unwrap_or(0);
                            before < left
                        })
                        .collect();
                    kept = kept.with(*role, rest);
                }
                left = left.saturating_sub(taken);
            }
            Piece::Sign(sign) => {
                if left == 0 {
                    kept = kept.sign(*sign);
                }
                left = left.saturating_sub(1);
            }
        }
    }
    kept
}

/// A line broken into lines of `room` cells, parts kept.
fn broken(line: &Line, room: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut current = Line::new();
    let mut taken = 0;
    for piece in &line.0 {
        let Piece::Text(text, role) = piece else {
            continue;
        };
        let mut chunk = String::new();
        for character in text.chars() {
            let cells = unicode_width::UnicodeWidthChar::width(character).unwrap_or(0);
            if room < taken + cells {
                current = current.with(*role, std::mem::take(&mut chunk));
                lines.push(std::mem::take(&mut current));
                taken = 0;
            }
            chunk.push(character);
            taken += cells;
        }
        current = current.with(*role, chunk);
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{BackendId, RunId};

    fn log(lines: usize) -> LogView {
        let run = RunId {
            backend: BackendId::new("gh"),
            repo: "acme/x".into(),
            id: 1,
        };
        let mut view = LogView::new(JobId { run, id: 7 }, "train".into());
        for number in 0..lines {
            view.push(format!("line {number}\n").as_bytes());
        }
        view
    }

    fn shown(view: &LogView, height: usize) -> Vec<String> {
        view.window(40, height)
            .iter()
            .map(|line| line.flat().trim_start().to_owned())
            .collect()
    }

    #[test]
    fn following_shows_the_end_and_a_move_up_stops_it() {
        let mut view = log(100);
        assert_eq!(shown(&view, 3), ["line 97", "line 98", "line 99"]);
        view.scroll(-10, 3);
        assert_eq!(shown(&view, 2)[0], "line 87");
        view.push(b"line 100\n");
        assert_eq!(shown(&view, 2)[0], "line 87");
    }

    #[test]
    fn a_match_is_brought_into_view() {
        let mut view = log(100);
        view.needle = Some("LINE 42".to_owned());
        view.search(true, 9).unwrap();
        assert!(shown(&view, 9).iter().any(|line| line.contains("line 42")));
        view.needle = Some("absent".to_owned());
        assert!(
            view.search(true, 9)
                .unwrap_err()
                .contains("not in this log")
        );
    }

    #[test]
    fn wrapping_breaks_without_losing_anything() {
        let mut view = log(0);
        view.push(b"0123456789abcdef\n");
        view.wrap = true;
        let lines: Vec<String> = view.window(10, 5).iter().map(Line::flat).collect();
        assert_eq!(lines, ["  01234567", "  89abcdef"]);
    }

    #[test]
    fn scrolling_right_skips_cells() {
        let mut view = log(0);
        view.push(b"0123456789\n");
        view.left = 4;
        assert_eq!(shown(&view, 1), ["456789"]);
    }
}
