//! The subcommands: each decides what is asked of the parts that `assembly` makes, and how it ends.

mod api;
mod check;
mod dev;
mod installation;
mod keys;
mod migrate;
mod openapi;
mod progress;
mod run;
mod serve;
mod signals;
mod trust;

use crate::{
    cli::{Cli, Command},
    config::Mistakes,
    private,
    say::say,
};
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    Cancelled,
    /// Bad usage, or a definition with problems.
    Usage,
}

/// What is wrong with what the user gave, in words for the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

// === impl Exit ===

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Cancelled => 2,
            Exit::Usage => 64,
        })
    }
}

/// Performs a command and says on stderr why it failed, if it did.
pub fn perform(cli: Cli) -> Exit {
    // Before there is a second thread: whatever a command makes is its user's alone.
    private::umask();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say!("callboard: {error}");
            return Exit::Failed;
        }
    };
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Dev(dev) => dev::perform(dev).await,
            Command::Serve(serve) => serve::perform(serve).await,
            Command::Run(run) => run::perform(run).await,
            Command::Check(check) => check::perform(check),
            Command::Trust(trust) => trust::perform(&trust),
            Command::Migrate(migrate) => migrate::perform(migrate).await,
            Command::Keys(keys) => keys::perform(keys).await,
            Command::Openapi => openapi::perform(),
        }
    });
    // What still runs was given its time by the command itself.
    runtime.shutdown_background();
    ended.unwrap_or_else(|error| {
        say!("callboard: {error:#}");
        let misused = error.is::<Misuse>() || error.is::<Mistakes>();
        if misused { Exit::Usage } else { Exit::Failed }
    })
}
