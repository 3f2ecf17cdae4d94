//! The one reader of the terminal, in a task of its own.
//!
//! Reading a terminal that has gone never ends: crossterm 0.29 asks again and
//! again for what can no longer come, inside one call. Here that takes a task
//! with it and not the loop, which learns of the end by a signal or by a frame
//! that cannot be written.

use std::io;

use crossterm::event::{Event, EventStream};
use futures::StreamExt as _;
use tokio::{sync::mpsc, task::AbortHandle};

/// How many events may wait for the loop.
const WAITING: usize = 1024;

/// What comes from the terminal, while somebody reads it.
pub struct Keys {
    events: mpsc::Receiver<io::Result<Event>>,
    reader: AbortHandle,
}

impl Keys {
    /// Begins to read.
    pub fn read() -> Self {
        let (out, events) = mpsc::channel(WAITING);
        let reader = tokio::spawn(async move {
            let mut stream = EventStream::new();
            while let Some(event) = stream.next().await {
                if out.send(event).await.is_err() {
                    return;
                }
            }
        });
        Self {
            events,
            reader: reader.abort_handle(),
        }
    }

    /// The next event; `None` when there will be none.
    pub async fn next(&mut self) -> Option<io::Result<Event>> {
        self.events.recv().await
    }

    /// An event that is there already.
    pub fn ready(&mut self) -> Option<io::Result<Event>> {
        self.events.try_recv().ok()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
