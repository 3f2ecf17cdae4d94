//! `gonogo logs`: what the jobs of the release's run wrote.

use crate::{
    cli::{
        Stop,
        args::Logs,
        exit::Exit,
        output::Out,
        session::{self, Session},
    },
    domain::{
        pipeline::{Job, Outcome},
        text::Clean,
    },
    engine::world::Known,
};

/// A line longer than this is cut in two.
const LINE: usize = 64 * 1024;

pub(super) async fn logs(session: &mut Session, args: &Logs, out: &mut Out) -> Result<Exit, Stop> {
    let lane = match args.env.as_deref() {
        Some(_) => session::lane(&session.catalog, &args.service, args.env.as_deref())?,
        // The run is the same for all environments of a service.
        None => session::lanes(&session.catalog, Some(&args.service), None)?
            .into_iter()
            .next()
            .ok_or_else(|| Stop::new(Exit::Usage, "the service is rolled out nowhere"))?,
    };
    let backends = session.backends_of(std::slice::from_ref(&lane));
    session.wait_for(&backends, args.timeout).await;
    let world = session.handle.world();
    let run = world
        .lanes
        .get(&lane)
        .and_then(|row| row.release())
        .and_then(|release| world.release(release))
        .and_then(|release| release.run.value())
        .ok_or_else(|| {
            Stop::new(
                Exit::Failed,
                format!("no run is known of the release of `{}`", lane.0),
            )
        })?;
    let jobs = world.jobs_of(run);
    let chosen: Vec<&Known<Job>> = match &args.job {
        Some(text) => jobs
            .iter()
            .copied()
            .filter(|job| job.name.contains(text.as_str()))
            .collect(),
        None => {
            let failed = |job: &&Known<Job>| job.status.outcome == Some(Outcome::Failed);
            jobs.iter().copied().filter(failed).collect()
        }
    };
    if chosen.is_empty() {
        let names: Vec<String> = jobs
            .iter()
            .map(|job| format!("{} ({})", job.name, job.status.word()))
            .collect();
        let what = match &args.job {
            Some(text) => format!("no job of run {run} contains `{}`", Clean::name(text)),
            None => format!("no job of run {run} failed; name one by --job"),
        };
        return Err(Stop::new(
            Exit::Usage,
            format!("{what}: {}", names.join(", ")),
        ));
    }
    let several = chosen.len() > 1;
    let mut exit = Exit::Ok;
    for job in chosen {
        if several {
            out.line(format!("── {} ({})", job.name, job.status.word()));
        }
        let mut log = session.handle.log(&job.id);
        let mut rest = Vec::new();
        while let Some(chunk) = log.recv().await {
            match chunk {
                Ok(bytes) => {
                    rest.extend_from_slice(&bytes);
                    print_whole_lines(&mut rest, out);
                }
                Err(error) => {
                    out.remark(format!("gonogo: {}: {error}", job.name));
                    exit = exit.worse(Exit::Failed);
                }
            }
            if out.is_closed() {
                return Ok(exit);
            }
        }
        if !rest.is_empty() {
            out.line(Clean::bytes(&rest));
        }
    }
    Ok(exit)
}

/// Prints every whole line and keeps what is not one yet.
fn print_whole_lines(rest: &mut Vec<u8>, out: &mut Out) {
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let cut = match end {
            Some(end) => end + 1,
            None if rest.len() > LINE => LINE,
            None => return,
        };
        let line: Vec<u8> = rest.drain(..cut).collect();
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        out.line(Clean::bytes(text.strip_suffix(b"\r").unwrap_or(text)));
    }
}
