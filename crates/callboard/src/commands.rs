//! The subcommands: each decides what is asked of the parts that `assembly` makes, and how it ends.

mod approvals;
mod backup;
mod check;
mod completions;
mod contexts;
mod copies;
mod dev;
mod files;
mod follow;
mod installation;
mod keys;
mod migrate;
mod openapi;
mod progress;
mod projects;
mod remote;
mod restore;
mod run;
mod runs;
mod serve;
mod signals;
mod triggers;
mod trust;
mod usage;
mod verdict;
mod verify;
mod versions;
mod workflows;

use crate::{
    cli::{Cli, Command},
    client,
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
    /// No server answers, or it can't work now: nothing is known of what was asked.
    Unavailable,
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
            Exit::Unavailable => 69,
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
            Command::Workflows(asked) => workflows::perform(asked).await,
            Command::Runs(asked) => runs::perform(asked).await,
            Command::Triggers(asked) => triggers::perform(asked).await,
            Command::Projects(asked) => projects::perform(asked).await,
            Command::Approvals(asked) => approvals::perform(asked).await,
            Command::Usage(asked) => usage::perform(asked).await,
            Command::Apply(asked) => files::apply(asked).await,
            Command::Diff(asked) => files::diff(asked).await,
            Command::Export(asked) => files::export(asked).await,
            Command::Import(asked) => files::import(asked).await,
            Command::Login(asked) => contexts::login(asked).await,
            Command::Logout(asked) => contexts::logout(asked),
            Command::Contexts(asked) => contexts::list(&asked),
            Command::Use(asked) => contexts::choose(&asked),
            Command::Status(asked) => contexts::status(asked).await,
            Command::Completions(asked) => completions::perform(&asked),
            Command::Trust(trust) => trust::perform(&trust),
            Command::Migrate(migrate) => migrate::perform(migrate).await,
            Command::Backup(asked) => backup::perform(asked).await,
            Command::Restore(asked) => restore::perform(asked).await,
            Command::Verify(asked) => verify::perform(asked).await,
            Command::Keys(keys) => keys::perform(keys).await,
            Command::Openapi => openapi::perform(),
        }
    });
    // What still runs was given its time by the command itself.
    runtime.shutdown_background();
    ended.unwrap_or_else(|error| {
        say!("callboard: {error:#}");
        let misused = error.is::<Misuse>() || error.is::<Mistakes>();
        let refused = error.downcast_ref::<client::Error>().map(of);
        if misused { Exit::Usage } else { refused.unwrap_or(Exit::Failed) }
    })
}

/// How a command ends that a server did not do.
fn of(error: &client::Error) -> Exit {
    match error.status() {
        _ if error.may_pass() => Exit::Unavailable,
        // What was given is wrong.
        Some(400 | 413 | 415 | 422) => Exit::Usage,
        Some(_) | None => Exit::Failed,
    }
}
