//! `callboard completions SHELL`: what a shell needs to complete these commands.

use super::Exit;
use crate::{
    cli::{Cli, remote::Completions},
    say,
};
use clap::CommandFactory;

pub fn perform(asked: &Completions) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut Cli::command(), "callboard", &mut script);
    say::result(String::from_utf8(script)?.trim_end())?;
    Ok(Exit::Done)
}
