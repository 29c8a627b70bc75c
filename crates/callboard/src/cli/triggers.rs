//! `callboard triggers …`: what starts runs by itself, on a server.

use super::{
    remote::{Much, Remote},
    span,
};
use callboard_core::Span;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Triggers {
    #[command(flatten)]
    pub remote: Remote,
    #[command(subcommand)]
    pub command: TriggersCommand,
}

#[derive(Debug, Subcommand)]
pub enum TriggersCommand {
    /// Lists triggers, with the next time each fires
    List {
        /// Those of a workflow, by its name or id
        #[arg(long = "workflow", value_name = "WORKFLOW")]
        which: Option<String>,
        #[command(flatten)]
        much: Much,
    },
    /// Shows a trigger: its settings, when it fires next, and what came of its last occasions
    Show(OfTrigger),
    /// Makes a trigger and prints its id; a webhook's address and secret, too, this once
    Create(Box<Create>),
    /// Deletes triggers; what they started goes on
    Delete {
        /// Names or ids
        #[arg(value_name = "TRIGGER", required = true)]
        which: Vec<String>,
    },
    /// Lets a trigger fire, from now on
    Enable(OfTrigger),
    /// Lets a trigger fire no more
    Disable(OfTrigger),
    /// Starts its run now, whether it is enabled or not, and prints the run's id
    Fire {
        #[command(flatten)]
        of: OfTrigger,
        /// The run's input: JSON, @FILE, or - for standard input [default: what its settings say]
        #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
        input: Option<String>,
    },
}

#[derive(Debug, Clone, Args)]
pub struct OfTrigger {
    /// Name or id
    #[arg(value_name = "TRIGGER")]
    pub which: String,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("when").required(true).args(["cron", "every", "webhook"]))]
pub struct Create {
    /// Whose runs it starts: name or id
    #[arg(value_name = "WORKFLOW")]
    pub which: String,
    /// What to call it
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// A schedule: 5 fields, or 6 that begin with the seconds
    #[arg(long, value_name = "CRON")]
    pub cron: Option<String>,
    /// The zone of the cron, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "cron")]
    pub zone: Option<String>,
    /// A schedule: so often, such as 15m
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub every: Option<Span>,
    /// What becomes of occasions that nobody was there for [default: skip]
    #[arg(long, value_enum, conflicts_with = "webhook")]
    pub missed: Option<Missed>,
    /// What happens while the run before goes on [default: allow]
    #[arg(long, value_enum, conflicts_with = "webhook")]
    pub overlap: Option<Overlap>,
    /// A webhook, and how its sender says who it is
    #[arg(long, value_enum, value_name = "SCHEME")]
    pub webhook: Option<Scheme>,
    /// The webhook's secret, secret://NAME [default: one is made, and shown this once]
    #[arg(long, value_name = "REFERENCE", requires = "webhook")]
    pub secret: Option<String>,
    /// An expression over `body` and `headers`: where it is false nothing is started
    #[arg(long = "if", value_name = "EXPRESSION", requires = "webhook")]
    pub condition: Option<String>,
    /// How long a sender waits for the run's end, at most 30s
    #[arg(long, value_name = "TIME", value_parser = span, requires = "webhook")]
    pub wait: Option<Span>,
    /// Deliveries a minute [default: 600]
    #[arg(long, value_name = "N", requires = "webhook")]
    pub rate: Option<u32>,
    /// The run's input, a template: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub input: Option<String>,
    /// The version that runs [default: the latest]
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
    /// It does not fire until it is enabled
    #[arg(long)]
    pub disabled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Missed {
    /// Nothing
    Skip,
    /// The last of them starts one run
    Last,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Overlap {
    /// Another one begins beside it
    Allow,
    /// The occasion is left out
    Skip,
    /// One occasion waits for its end
    QueueOne,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheme {
    /// X-Hub-Signature-256
    Github,
    /// Standard Webhooks
    Standard,
    /// The secret itself, in Authorization: Bearer
    Bearer,
}

/// Returns a word of the command line as the API writes it: both say the same.
pub fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
