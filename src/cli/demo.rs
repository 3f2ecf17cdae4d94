//! `gonogo demo`: a whole outside world on this machine.
//!
//! The only place that knows [`crate::sim`]. It starts the world, writes a
//! configuration for it, and from there on everything is as with a real one.

use std::path::{Path, PathBuf};

use crate::{
    app::clock,
    cli::{Stop, args::Demo, cockpit, exit::Exit, output::Out, session},
    config,
    domain::text::Clean,
    sim::{Sim, clock::Clock, scenario},
    ui::state::Hint,
};

/// A demo under way: the world and the folder of its configuration.
pub(super) struct Stage {
    sim: Sim,
    folder: PathBuf,
    temporary: bool,
    guide: Vec<scenario::Told>,
}

/// Lists the stories.
pub(super) fn list(out: &mut Out) -> Exit {
    let rows: Vec<Vec<String>> = scenario::list()
        .into_iter()
        .map(|summary| vec![summary.name, summary.title])
        .collect();
    out.table(&["STORY", "WHAT HAPPENS"], &rows);
    Exit::Ok
}

/// Starts the world and writes what clients need into a folder.
pub(super) async fn start(args: &Demo) -> Result<Stage, Stop> {
    let story = scenario::load(&args.scenario)
        .map_err(|error| Stop::new(Exit::Usage, error.to_string()))?;
    let (folder, temporary) = match &args.serve {
        Some(folder) => (folder.clone(), false),
        None => (own_folder(), true),
    };
    let trouble = |error: std::io::Error| {
        Stop::new(
            Exit::Failed,
            format!("could not use folder `{}`: {error}", folder.display()),
        )
    };
    std::fs::create_dir_all(&folder).map_err(trouble)?;
    let folder = std::path::absolute(&folder).map_err(trouble)?;
    let internal = |error: crate::sim::SimError| Stop::new(Exit::Failed, error.to_string());
    let sim = Sim::start(&story, Clock::new(clock::wall(), args.speed))
        .await
        .map_err(internal)?;
    sim.write(&folder).map_err(internal)?;
    keep_ledger_here(&folder).map_err(trouble)?;
    Ok(Stage {
        sim,
        folder,
        temporary,
        guide: story.guide,
    })
}

/// A folder that no other process has.
fn own_folder() -> PathBuf {
    std::env::temp_dir().join(format!("gonogo-demo-{}", uuid::Uuid::now_v7()))
}

/// What is done to the demo's world is written down beside it, not among what
/// was done to real ones.
fn keep_ledger_here(folder: &Path) -> std::io::Result<()> {
    let path = folder.join("config.toml");
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&path, format!("ledger = \"ledger.jsonl\"\n{text}"))
}

fn hint(told: &scenario::Told) -> Hint {
    Hint {
        text: Clean::line(&told.say),
        holds: told.holds.clone(),
    }
}

impl Stage {
    /// The configuration of the demo's world.
    pub(super) fn config(&self, out: &mut Out) -> Result<config::Config, Stop> {
        session::load(Some(&self.folder.join("config.toml")), out)
    }

    /// What the demo adds to the cockpit.
    pub(super) fn cockpit(&self) -> cockpit::Stage {
        cockpit::Stage {
            badge: Some("DEMO"),
            coach: self.guide.iter().map(hint).collect(),
        }
    }

    /// Says that it is ready, and serves until a signal comes.
    pub(super) async fn serve(self, out: &mut Out) -> Exit {
        // Before anybody is told that it is ready to be ended.
        let mut ends = super::Ends::listen();
        out.line(format!(
            "ready: gonogo --config {}",
            self.folder.join("config.toml").display()
        ));
        let number = ends.next().await;
        self.end().await;
        // Ending it is what the signal is for.
        match number {
            2 | 15 => Exit::Ok,
            other => Exit::Signal(other),
        }
    }

    /// Ends the world and removes a folder that was made for it.
    pub(super) async fn end(self) {
        self.sim.stop().await;
        if self.temporary {
            // What is left in the temporary folder is the system's to clear.
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::{filter::Filter, screen::fleet::view::TERMS};

    #[test]
    fn every_hint_waits_for_something_that_can_be_asked() {
        for story in scenario::list() {
            for told in scenario::load(&story.name).unwrap().guide {
                let Some(holds) = told.holds else { continue };
                let (filter, trouble) = Filter::parse(&holds, TERMS);
                assert_eq!(trouble, None, "{}: {holds}", story.name);
                assert!(!filter.is_empty(), "{}: {holds}", story.name);
            }
        }
    }
}
