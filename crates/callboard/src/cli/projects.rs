//! `callboard projects …`: which projects there are, and what may begin in them.

use super::remote::{Much, Remote};
use callboard_core::{id::ProjectId, price};
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Projects {
    #[command(flatten)]
    pub remote: Remote,
    #[command(subcommand)]
    pub command: ProjectsCommand,
}

#[derive(Debug, Subcommand)]
pub enum ProjectsCommand {
    /// Lists projects, with their limits
    List {
        #[command(flatten)]
        much: Much,
    },
    /// Lets nothing new begin in a project; what is under way goes on
    Pause(OfProject),
    /// Lets runs begin in a project again
    Resume(OfProject),
    /// Sets all limits of a project; what is not said has none
    Limit {
        #[command(flatten)]
        of: OfProject,
        /// Runs that have not ended, at once
        #[arg(long, value_name = "N")]
        runs: Option<u64>,
        /// Tokens of a day of UTC
        #[arg(long, value_name = "N")]
        tokens_per_day: Option<u64>,
        /// Money of a day of UTC, such as 2.50
        #[arg(long, value_name = "AMOUNT", value_parser = amount)]
        cost_per_day: Option<u64>,
        /// The same of a month
        #[arg(long, value_name = "AMOUNT", value_parser = amount)]
        cost_per_month: Option<u64>,
    },
}

#[derive(Debug, Clone, Args)]
pub struct OfProject {
    /// Its id
    #[arg(value_name = "PROJECT")]
    pub id: ProjectId,
}

fn amount(text: &str) -> Result<u64, String> {
    price::amount(text)
        .ok_or_else(|| "this is no amount like 2.50, with at most six digits behind its point".into())
}
