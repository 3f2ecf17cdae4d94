//! A terminal with a program in it.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::world;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(25);

pub(super) fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_gonogo")
}

/// A demo's world in a process of its own.
pub(super) struct Served {
    child: Child,
    pub(super) dir: TempDir,
}

impl Served {
    pub(super) fn start(scenario: &str, speed: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let child = Command::new(binary())
            .args(["demo", scenario, "--speed", speed, "--serve"])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let served = Self { child, dir };
        until("the demo's world is up", || {
            served.file("endpoints.json").exists().then_some(())
        });
        served
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn config(&self) -> PathBuf {
        self.file("config.toml")
    }

    /// Asks one of the world's systems, as any client would.
    pub(super) fn ask(&self, system: &str, path: &str) -> serde_json::Value {
        world::ask(self.dir.path(), system, path)
    }

    /// The world stands still, its connections with it: nothing is answered any
    /// more, as when a network swallows packets. `false` lets it go on.
    pub(super) fn freeze(&self, still: bool) {
        use rustix::process::{Pid, Signal, kill_process};
        let id = i32::try_from(self.child.id()).unwrap();
        let signal = if still { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits until `look` finds what it looks for.
#[track_caller]
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let ends = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < ends, "waited in vain: {what}");
        thread::sleep(STEP);
    }
}

/// A terminal, what was written to it, and the program in it.
pub(super) struct Terminal {
    pub(super) master: Box<dyn MasterPty + Send>,
    pub(super) child: Box<dyn portable_pty::Child + Send + Sync>,
    input: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    leave: Arc<AtomicBool>,
    reader: Option<thread::JoinHandle<()>>,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
    /// What came when, for recordings.
    pieces: Vec<(Duration, Vec<u8>)>,
}

impl Terminal {
    /// Starts gonogo with a configuration in a terminal of 120×40.
    pub(super) fn cockpit(config: &Path) -> Self {
        Self::run(&["--config", config.to_str().unwrap()], (120, 40))
    }

    pub(super) fn run(arguments: &[&str], size: (u16, u16)) -> Self {
        Self::program(binary(), arguments, size)
    }

    pub(super) fn program(program: &str, arguments: &[&str], size: (u16, u16)) -> Self {
        Self::with(program, arguments, size, &[])
    }

    /// The same with more variables in its environment.
    pub(super) fn with(
        program: &str,
        arguments: &[&str],
        (columns, rows): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        for (name, value) in [
            ("TERM", "xterm-256color"),
            ("LANG", "C.UTF-8"),
            ("LC_ALL", "C.UTF-8"),
        ] {
            command.env(name, value);
        }
        command.env_remove("NO_COLOR");
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        // Or the reader below would never end.
        drop(pair.slave);
        let mut output = pair.master.try_clone_reader().unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(rows, columns, 0),
            raw: Vec::new(),
            pieces: Vec::new(),
        }));
        let (sink, leave) = (Arc::clone(&seen), Arc::new(AtomicBool::new(false)));
        let left = Arc::clone(&leave);
        let began = Instant::now();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if left.load(Ordering::SeqCst) {
                    return;
                }
                let mut seen = sink.lock().unwrap();
                seen.raw.extend_from_slice(&buffer[..count]);
                seen.pieces
                    .push((began.elapsed(), buffer[..count].to_vec()));
                seen.parser.process(&buffer[..count]);
            }
        });
        let input = pair.master.take_writer().unwrap();
        Self {
            master: pair.master,
            child,
            input,
            seen,
            leave,
            reader: Some(reader),
        }
    }

    pub(super) fn screen(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    pub(super) fn with_screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen.lock().unwrap().parser.screen())
    }

    /// Everything that was ever written.
    pub(super) fn raw(&self) -> Vec<u8> {
        self.seen.lock().unwrap().raw.clone()
    }

    /// What was written, with the time since the start.
    pub(super) fn pieces(&self) -> Vec<(Duration, Vec<u8>)> {
        self.seen.lock().unwrap().pieces.clone()
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.input.write_all(bytes).unwrap();
        self.input.flush().unwrap();
    }

    pub(super) fn press(&mut self, keys: &str) {
        self.write(keys.as_bytes());
    }

    /// Waits until the screen shows a text.
    #[track_caller]
    pub(super) fn wait_for(&self, text: &str) {
        self.wait_until(&format!("`{text}` on screen"), |screen| {
            screen.contains(text)
        });
    }

    #[track_caller]
    pub(super) fn wait_until(&self, what: &str, shown: impl Fn(&str) -> bool) {
        let ends = Instant::now() + PATIENCE;
        while !shown(&self.screen()) {
            assert!(
                Instant::now() < ends,
                "waited in vain: {what}\n{}",
                self.screen()
            );
            thread::sleep(STEP);
        }
    }

    /// Presses a verb until its sheet is open: a key that comes too soon after
    /// another, or after the mark moved by itself, is not taken for meant.
    #[track_caller]
    pub(super) fn open_sheet(&mut self, verb: &str) -> char {
        let ends = Instant::now() + PATIENCE;
        loop {
            self.press(verb);
            let again = Instant::now() + Duration::from_secs(1);
            while Instant::now() < again {
                if letter_of(&self.screen()).is_some() {
                    return self.letter();
                }
                thread::sleep(STEP);
            }
            assert!(Instant::now() < ends, "no sheet\n{}", self.screen());
        }
    }

    /// The letter of the open sheet, once it is awake.
    #[track_caller]
    pub(super) fn letter(&self) -> char {
        self.wait_until("an awake sheet with a letter", |screen| {
            letter_of(screen).is_some() && !screen.contains("keys wake in a moment")
        });
        letter_of(&self.screen()).unwrap()
    }

    /// Presses Enter if the sheet asks for it, until it has closed. An Enter in
    /// the same breath as the letter does not count, so it may take two.
    #[track_caller]
    pub(super) fn confirm(&mut self) {
        self.wait_until("the letter was taken", |screen| !screen.contains("press  "));
        let ends = Instant::now() + PATIENCE;
        while self.screen().contains("any other key closes this sheet") {
            assert!(Instant::now() < ends, "the sheet stays\n{}", self.screen());
            self.press("\r");
            thread::sleep(STEP * 4);
        }
    }

    /// Waits for the end of the program; its exit code.
    #[track_caller]
    pub(super) fn exit_code(&mut self) -> u32 {
        let child = &mut self.child;
        until("the program has ended", || child.try_wait().unwrap()).exit_code()
    }

    /// Whether keys come one by one and unseen.
    pub(super) fn is_raw(&self) -> bool {
        let settings = self.master.get_termios().unwrap();
        // The library's own types are of another version than any we have.
        !format!("{:?}", settings.local_flags).contains("ICANON")
    }

    /// Takes the terminal away, as a closed window does; the program's exit code.
    #[track_caller]
    pub(super) fn hang_up(mut self) -> u32 {
        // The reader holds the terminal open; the next frame lets it go.
        self.leave.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        let (nothing, nowhere) = (native_pty_system(), std::io::sink());
        let spare = nothing.openpty(PtySize::default()).unwrap();
        self.master = spare.master;
        self.input = Box::new(nowhere);
        self.exit_code()
    }

    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.process_id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), signal).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `press  m  to abort now`: the letter stands between spaces.
fn letter_of(screen: &str) -> Option<char> {
    let after = screen.split("press  ").nth(1)?;
    let mut characters = after.chars();
    let letter = characters.next()?;
    (letter.is_ascii_lowercase() && characters.next() == Some(' ')).then_some(letter)
}
