//! The `callboard` command.

use callboard::{cli::Cli, commands};
use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, everything else is bad usage.
            let _ = error.print();
            return if error.use_stderr() { commands::Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    commands::perform(cli).into()
}
