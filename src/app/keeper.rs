//! The single writer of the world.

use std::{sync::Arc, time::Duration};

use tokio::{
    select,
    sync::{mpsc, watch},
    time::sleep,
};

use crate::{
    backend::Now,
    domain::{Timestamp, observation::Observation},
    engine::{
        reduce::{reduce, settle},
        world::World,
    },
};

/// How many observations become one new world at most.
const BATCH: usize = 256;
/// How long the keeper sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// Folds observations into the world and publishes it, until the inbox closes.
///
/// Takes everything that has arrived before it publishes, so a burst of a
/// hundred facts is one new world and one redraw. Wakes by itself when age
/// alone would change a verdict. The new world is built beside the published
/// one, so readers never wait for it.
pub(super) async fn keep(
    mut inbox: mpsc::Receiver<Observation>,
    worlds: watch::Sender<Arc<World>>,
    now: Now,
) {
    let mut world = World::clone(&worlds.borrow());
    let mut batch = Vec::with_capacity(BATCH);
    let mut due = None;
    loop {
        let wait = due.map_or(IDLE, |at: Timestamp| {
            (at - now()).to_std().unwrap_or_default()
        });
        select! {
            taken = inbox.recv_many(&mut batch, BATCH) => {
                if taken == 0 {
                    return;
                }
            }
            () = sleep(wait) => {}
        }
        for observation in batch.drain(..) {
            reduce(&mut world, &observation);
        }
        due = settle(&mut world, now());
        world.revision += 1;
        worlds.send_replace(Arc::new(world.clone()));
    }
}
