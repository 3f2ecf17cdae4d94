//! Answers kept for conditional reads: a 304 costs no budget and no bytes.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderValue, header};
use url::Url;

use crate::backend::http::Answer;

/// Most bytes of bodies kept per backend.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Most answers kept per backend.
const MOST_ENTRIES: usize = 512;

/// Answers by address. Belongs to one client and thus to one credential.
#[derive(Default)]
pub(super) struct Cache {
    entries: BTreeMap<String, (u64, Entry)>,
    bytes: usize,
    clock: u64,
}

/// One kept answer.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) etag: HeaderValue,
    pub(super) body: Arc<[u8]>,
    pub(super) link: Option<HeaderValue>,
    pub(super) content_type: Option<HeaderValue>,
}

impl Cache {
    pub(super) fn find(&mut self, url: &Url) -> Option<Entry> {
        self.clock += 1;
        let (used, entry) = self.entries.get_mut(url.as_str())?;
        *used = self.clock;
        Some(entry.clone())
    }

    /// Keeps an answer that carries an `ETag`, and lets go of what was not used
    /// for longest.
    pub(super) fn keep(&mut self, url: &Url, answer: &Answer) {
        self.forget(url.as_str());
        let Some(etag) = answer.headers.get(header::ETAG) else {
            return;
        };
        self.clock += 1;
        self.bytes += answer.body.len();
        let entry = Entry {
            etag: etag.clone(),
            body: answer.body.clone(),
            link: answer.headers.get(header::LINK).cloned(),
            content_type: answer.headers.get(header::CONTENT_TYPE).cloned(),
        };
        self.entries.insert(url.to_string(), (self.clock, entry));
        while self.bytes > MOST_BYTES || self.entries.len() > MOST_ENTRIES {
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used);
            let Some((url, _)) = oldest else { break };
            let url = url.clone();
            self.forget(&url);
        }
    }

    fn forget(&mut self, url: &str) {
        if let Some((_, entry)) = self.entries.remove(url) {
            self.bytes -= entry.body.len();
        }
    }
}
