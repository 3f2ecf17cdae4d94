//! A ring of lines bounded by bytes.

use std::collections::VecDeque;

/// Bytes kept of one log, the index included.
pub const LIMIT: usize = 16 * 1024 * 1024;
/// A longer line is broken here, so that one line cannot push out all others.
const LINE_LIMIT: usize = 64 * 1024;
/// What a line costs beside its bytes.
const INDEX_COST: usize = 16;

/// The newest lines of a log.
#[derive(Clone, Debug)]
pub struct Ring {
    bytes: VecDeque<u8>,
    /// Lengths of the lines in `bytes`, without their ends.
    lines: VecDeque<u32>,
    /// Where each line begins, counted from the log's first byte.
    starts: VecDeque<u64>,
    /// Offset of `bytes`' first byte in the log.
    base: u64,
    /// Whether the last line has not ended yet.
    open: bool,
    dropped: u64,
    limit: usize,
}

impl Default for Ring {
    fn default() -> Self {
        Self::with_limit(LIMIT)
    }
}

impl Ring {
    /// An empty ring that keeps at most `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            lines: VecDeque::new(),
            starts: VecDeque::new(),
            base: 0,
            open: false,
            dropped: 0,
            limit,
        }
    }

    /// Adds what came.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, ends) = match end {
                Some(at) => (rest.get(..at).unwrap_or_default(), true),
                None => (rest, false),
            };
            self.add(line);
            if ends {
                self.open_line();
                self.open = false;
            }
            rest = rest
                .get(line.len() + usize::from(ends)..)
                .unwrap_or_default();
        }
        self.forget();
    }

    fn add(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            self.open_line();
            let room = LINE_LIMIT - self.lines.back().map_or(0, |len| *len as usize);
            let (now, later) = text.split_at(room.min(text.len()));
            self.bytes.extend(now);
            if let Some(len) = self.lines.back_mut() {
                *len += u32::try_from(now.len()).unwrap_or(u32::MAX);
            }
            if !later.is_empty() {
                self.open = false;
            }
            text = later;
        }
    }

    fn open_line(&mut self) {
        if !self.open {
            self.starts.push_back(self.base + self.bytes.len() as u64);
            self.lines.push_back(0);
            self.open = true;
        }
    }

    fn forget(&mut self) {
        while self.limit < self.bytes.len() + self.lines.len() * INDEX_COST {
            let Some(len) = self.lines.pop_front() else {
                break;
            };
            self.starts.pop_front();
            self.bytes.drain(..len as usize);
            self.base += u64::from(len);
            self.dropped += 1;
            self.open = self.open && !self.lines.is_empty();
        }
    }

    /// How many lines were forgotten.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The numbers of the lines that are kept, from 0 for the log's first.
    pub fn numbers(&self) -> std::ops::Range<u64> {
        self.dropped..self.dropped + self.lines.len() as u64
    }

    /// Whether nothing came yet.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }

    /// The bytes of a line by its number.
    pub fn line(&self, number: u64) -> Option<Vec<u8>> {
        let index = usize::try_from(number.checked_sub(self.dropped)?).ok()?;
        let start = usize::try_from(self.starts.get(index)? - self.base).ok()?;
        let len = *self.lines.get(index)? as usize;
        Some(self.bytes.range(start..start + len).copied().collect())
    }

    /// The next line after `from` (or before it) that contains `needle`, case
    /// aside, going round at the end.
    pub fn find(&self, needle: &str, from: u64, forward: bool) -> Option<u64> {
        let needle = needle.to_lowercase().into_bytes();
        if needle.is_empty() || self.lines.is_empty() {
            return None;
        }
        let numbers = self.numbers();
        let count = numbers.end - numbers.start;
        let at = from.clamp(numbers.start, numbers.end - 1) - numbers.start;
        (1..=count)
            .map(|step| {
                let shift = if forward { step } else { count - step };
                numbers.start + (at + shift) % count
            })
            .find(|number| self.contains(*number, &needle))
    }

    fn contains(&self, number: u64, needle: &[u8]) -> bool {
        let Some(line) = self.line(number) else {
            return false;
        };
        line.windows(needle.len())
            .any(|window| window.eq_ignore_ascii_case(needle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ring: &Ring) -> Vec<String> {
        ring.numbers()
            .filter_map(|number| ring.line(number))
            .map(|line| String::from_utf8_lossy(&line).into_owned())
            .collect()
    }

    #[test]
    fn lines_come_together_from_any_chunks() {
        let mut ring = Ring::default();
        for chunk in ["on", "e\ntw", "o\n", "\nthr", "ee"] {
            ring.push(chunk.as_bytes());
        }
        assert_eq!(text(&ring), ["one", "two", "", "three"]);
    }

    #[test]
    fn the_oldest_lines_are_forgotten_and_counted() {
        let mut ring = Ring::with_limit(200);
        for number in 0..100 {
            ring.push(format!("line {number:04}\n").as_bytes());
        }
        // each costs 9 + 16 bytes: 8 fit into 200
        assert_eq!(ring.numbers(), 92..100);
        assert_eq!(ring.dropped(), 92);
        assert_eq!(text(&ring).last().unwrap(), "line 0099");
    }

    #[test]
    fn a_line_without_end_cannot_grow_for_ever() {
        let mut ring = Ring::with_limit(1 << 20);
        for _ in 0..100 {
            ring.push(&vec![b'x'; 50_000]);
        }
        assert!(ring.bytes.len() <= 1 << 20);
        assert!(ring.dropped() > 0);
    }

    #[test]
    fn search_goes_both_ways_and_round() {
        let mut ring = Ring::default();
        ring.push(b"ok\nERROR one\nok\nerror two\n");
        assert_eq!(ring.find("error", 0, true), Some(1));
        assert_eq!(ring.find("error", 1, true), Some(3));
        assert_eq!(ring.find("error", 3, true), Some(1));
        assert_eq!(ring.find("error", 1, false), Some(3));
        assert_eq!(ring.find("absent", 0, true), None);
    }
}
