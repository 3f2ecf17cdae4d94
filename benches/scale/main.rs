//! What the engine and the cockpit cost with ten releases and with ten thousand.
//!
//! ```text
//! cargo bench --bench scale
//! ```
//!
//! Each figure is the median and the range of its repeats; ten and ten thousand
//! stand beside each other with their ratio. Everything goes through the same
//! functions as in the running program: observations are folded and settled, each
//! new world is published while the last one is still held by a reader, and
//! frames are drawn by the whole terminal stack into memory. Nothing here passes
//! or fails; machines differ, ratios less so.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints, and a panic is how it says that it is broken"
)]

#[path = "../../tests/it/support/build.rs"]
#[expect(dead_code, reason = "the tests of the engine use the rest of it")]
mod build;
mod fleet;

use std::{
    hint::black_box,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use gonogo::{
    domain::{Timestamp, observation::Observation},
    engine::{
        reduce::{reduce, settle},
        world::World,
    },
    ui::{
        screen,
        state::{Event, Setup, UiState},
        update::{order_fleet, update},
    },
};
use ratatui::{Terminal, backend::TestBackend};
use tokio::time::Instant;

const FEW: usize = 10;
const MANY: usize = 10_000;
/// How many observations the keeper takes at once.
const BATCH: usize = 256;
const SMALL: (u16, u16) = (120, 40);
const LARGE: (u16, u16) = (200, 60);

fn main() {
    println!("{:<42} {:>30} {:>34}", "", "10 releases", "10 000 releases");
    let (few, folded_few) = folded(FEW);
    let (many, folded_many) = folded(MANY);
    println!(
        "{:<42} {folded_few:>27.2} ms {folded_many:>31.2} ms  ratio {:.1} per release",
        "every fact folded from nothing",
        folded_many / folded_few / (MANY / FEW) as f64,
    );
    beside(
        "a rollout moves: folded, settled, published",
        &few,
        &many,
        rollout_moves,
    );
    beside(
        "a metric is read: folded, settled, published",
        &few,
        &many,
        metric_is_read,
    );
    beside("nothing new, settled again", &few, &many, settled_again);
    for (size, name) in [(SMALL, "120x40"), (LARGE, "200x60")] {
        let frame = |world: &World| frames(world, size);
        beside(
            &format!("frame, {name}, nothing changed"),
            &few,
            &many,
            frame,
        );
        let frame = |world: &World| frames_of_news(world, size);
        beside(
            &format!("frame, {name}, a rollout moved"),
            &few,
            &many,
            frame,
        );
    }
    beside(
        "key to frame under 200 updates a second",
        &few,
        &many,
        keys_under_load,
    );
}

/// What was measured, in milliseconds, sorted.
struct Times(Vec<f64>);

impl Times {
    fn of(repeats: usize, mut once: impl FnMut(usize) -> Duration) -> Self {
        let mut times: Vec<f64> = (0..repeats)
            .map(|index| once(index).as_secs_f64() * 1e3)
            .collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    fn text(&self) -> String {
        let (least, most) = (self.0[0], self.0[self.0.len() - 1]);
        format!("{:.3} ms ({least:.3} … {most:.3})", self.median())
    }
}

fn beside(what: &str, few: &World, many: &World, measure: impl Fn(&World) -> Times) {
    let (few, many) = (measure(few), measure(many));
    println!(
        "{what:<42} {:>30} {:>34}  ratio {:.1}",
        few.text(),
        many.text(),
        many.median() / few.median()
    );
}

fn now() -> Timestamp {
    build::at(fleet::TOLD + 1)
}

/// The single writer of the world and its newest reader, without the channel.
struct Keeper {
    world: World,
    published: Arc<World>,
}

impl Keeper {
    fn new(world: &World) -> Self {
        let (world, published) = (world.clone(), Arc::new(world.clone()));
        Self { world, published }
    }

    fn take(&mut self, observations: &[Observation]) {
        for observation in observations {
            reduce(&mut self.world, observation);
        }
        settle(&mut self.world, now());
        self.world.revision += 1;
        self.published = Arc::new(self.world.clone());
    }

    /// Takes one observation after another, each a world of its own.
    fn each(mut self, repeats: usize, observation: impl Fn(usize) -> Observation) -> Times {
        Times::of(repeats, |index| {
            let told = [observation(index)];
            let began = Instant::now();
            self.take(&told);
            began.elapsed()
        })
    }
}

/// A world of that many services, and how long it took to fold in milliseconds.
fn folded(services: usize) -> (World, f64) {
    let told = fleet::told(services);
    let began = Instant::now();
    let mut keeper = Keeper::new(&World::default());
    for batch in told.chunks(BATCH) {
        keeper.take(batch);
    }
    let took = began.elapsed().as_secs_f64() * 1e3;
    assert_eq!(keeper.world.lanes.len(), services);
    (keeper.world, took)
}

/// The next service to change: canaries only, all over the fleet.
fn service(world: &World, index: usize) -> usize {
    index * 7_130 % world.lanes.len() / 10 * 10
}

/// The event that changes it, never the same twice.
fn moved(world: &World, index: usize) -> Observation {
    let version = 101 + index as u64;
    let percent = u8::try_from(30 + index % 60).unwrap();
    fleet::moved(service(world, index), percent, version)
}

fn rollout_moves(world: &World) -> Times {
    Keeper::new(world).each(1000, |index| moved(world, index))
}

fn metric_is_read(world: &World) -> Times {
    Keeper::new(world).each(1000, |index| {
        let value = 200.0 + index as f64 / 100.0;
        fleet::measured(service(world, index), value, fleet::TOLD + 1)
    })
}

fn settled_again(world: &World) -> Times {
    let mut world = world.clone();
    Times::of(200, |_| {
        let began = Instant::now();
        black_box(settle(&mut world, now()));
        began.elapsed()
    })
}

/// A cockpit whose terminal is memory.
struct Cockpit {
    state: UiState,
    terminal: Terminal<TestBackend>,
}

impl Cockpit {
    fn new(world: &World, size: (u16, u16)) -> Self {
        let terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        let state = UiState::new(Setup::default(), size, 42);
        let mut cockpit = Self { state, terminal };
        cockpit.draw(world);
        cockpit.state.view.lane = Some(fleet::lane(world.lanes.len() / 2));
        cockpit.state.fleet.chosen = true;
        cockpit
    }

    fn draw(&mut self, world: &World) {
        order_fleet(&mut self.state, world, now());
        let state = &self.state;
        self.terminal
            .draw(|frame| screen::draw(frame.buffer_mut(), state, world, now()))
            .unwrap();
    }

    fn tell(&mut self, event: Event, world: &World) {
        black_box(update(&mut self.state, event, world, now()));
    }
}

fn frames(world: &World, size: (u16, u16)) -> Times {
    let mut cockpit = Cockpit::new(world, size);
    Times::of(200, |_| {
        let began = Instant::now();
        cockpit.draw(world);
        began.elapsed()
    })
}

fn frames_of_news(world: &World, size: (u16, u16)) -> Times {
    let (mut cockpit, mut keeper) = (Cockpit::new(world, size), Keeper::new(world));
    Times::of(200, |index| {
        keeper.take(&[moved(world, index)]);
        let began = Instant::now();
        cockpit.tell(Event::World, &keeper.published);
        cockpit.draw(&keeper.published);
        began.elapsed()
    })
}

/// A key is pressed sixty times while another thread changes the fleet.
fn keys_under_load(world: &World) -> Times {
    let mut cockpit = Cockpit::new(world, SMALL);
    let (newest, ended) = (Mutex::new(Arc::new(world.clone())), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut keeper = Keeper::new(world);
            for index in 0.. {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                keeper.take(&[moved(world, index)]);
                *newest.lock().unwrap() = Arc::clone(&keeper.published);
                thread::sleep(Duration::from_millis(5));
            }
        });
        let key = |index: usize| {
            let code = if index % 20 < 10 { 'j' } else { 'k' };
            Event::Key(KeyEvent::new(KeyCode::Char(code), KeyModifiers::NONE))
        };
        let times = Times::of(60, |index| {
            thread::sleep(Duration::from_millis(30));
            let began = Instant::now();
            let shown = Arc::clone(&newest.lock().unwrap());
            cockpit.tell(Event::World, &shown);
            cockpit.tell(key(index), &shown);
            cockpit.draw(&shown);
            began.elapsed()
        });
        ended.store(true, Ordering::Relaxed);
        times
    })
}
