//! The lines of a watch: one JSON document each, as they arrive.

use futures::StreamExt;
use http_body_util::BodyDataStream;
use kube::client::Body;

use crate::{
    backend::{BackendError, ErrorKind},
    domain::text::Clean,
};

/// Longest line that is read; objects cannot be larger than about 3 MiB.
const LINE_LIMIT: usize = 8 * 1024 * 1024;

/// An open watch.
pub(super) struct Lines {
    body: BodyDataStream<Body>,
    doing: String,
    buffer: Vec<u8>,
    /// Bytes of the buffer that hold no line end, so that none is looked at twice.
    scanned: usize,
}

impl Lines {
    pub(super) fn new(body: BodyDataStream<Body>, doing: String) -> Self {
        Self {
            body,
            doing,
            buffer: Vec::new(),
            scanned: 0,
        }
    }

    /// The next line; `None` when the watch has ended. A line cut off by the
    /// end is dropped: what it said is said again after the next look. May be
    /// cancelled at any time without losing anything.
    ///
    /// # Errors
    ///
    /// The connection broke, or a line is longer than any object can be.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, BackendError> {
        loop {
            let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let mut rest = self.buffer.split_off(self.scanned + at + 1);
                std::mem::swap(&mut rest, &mut self.buffer);
                self.scanned = 0;
                rest.pop();
                if rest.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(rest));
            }
            self.scanned = self.buffer.len();
            if LINE_LIMIT < self.scanned {
                return Err(self.trouble(ErrorKind::Malformed, "a line of the watch is too long"));
            }
            match self.body.next().await {
                None => return Ok(None),
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(_)) => {
                    return Err(self.trouble(ErrorKind::Unreachable, "the connection broke"));
                }
            }
        }
    }

    fn trouble(&self, kind: ErrorKind, words: &str) -> BackendError {
        BackendError::new(
            kind,
            Clean::line(&format!("could not {}: {words}", self.doing)),
        )
    }
}
