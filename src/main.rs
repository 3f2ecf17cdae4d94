//! Entry point: the runtime around [`gonogo::cli`], and its exit code.

use std::{process::ExitCode, time::Duration};

use gonogo::{
    backend::tls,
    cli::{self, exit::Exit},
};

/// How long a blocked read may hold up the end.
const GRACE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    tls::install();
    let panics = cli::report_panics();
    let line = match cli::parse(std::env::args_os()) {
        Ok(line) => line,
        Err(exit) => return exit.into(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return cli::not_started(&error).into(),
    };
    let exit = runtime.block_on(cli::run(line, &panics));
    runtime.shutdown_timeout(GRACE);
    if panics.happened() {
        Exit::Panic.into()
    } else {
        exit.into()
    }
}
