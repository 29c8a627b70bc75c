//! The commands that speak to a server over its API.

use crate::client::{Address, Edition};
use callboard_core::id::RunId;
use clap::{Args, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;
use std::path::PathBuf;

/// Which server, and how it is told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct Remote {
    /// The server's URL [env: CALLBOARD_SERVER] [default: that of the context in use, else http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<Address>,
    /// One of the servers you have logged in to, by its name
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "server")]
    pub context: Option<String>,
    /// Prints JSON: one document, or of lists and streams one object a line
    #[arg(long, global = true)]
    pub json: bool,
}

/// How much of a list.
#[derive(Debug, Clone, Args)]
pub struct Much {
    /// How many, the newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = value_parser!(u64).range(1..))]
    pub limit: u64,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

/// What a run is given.
#[derive(Debug, Clone, Args)]
pub struct Given {
    /// The run's input: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub input: Option<String>,
    /// Waits for the end and prints the output; exits as the run ended
    #[arg(long)]
    pub wait: bool,
    /// The same, and shows the steps while they run
    #[arg(long)]
    pub follow: bool,
}

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Workflows {
    #[command(flatten)]
    pub remote: Remote,
    #[command(subcommand)]
    pub command: WorkflowsCommand,
}

#[derive(Debug, Subcommand)]
pub enum WorkflowsCommand {
    /// Lists workflows, newest first
    List(Much),
    /// Shows a workflow: its nodes, edges, problems; with --json all of it
    Show {
        /// Name or id
        #[arg(value_name = "WORKFLOW")]
        which: String,
    },
    /// Saves a definition as a new workflow and prints its id
    Create {
        /// YAML or JSON; - is standard input
        file: PathBuf,
        /// Saves it as the draft, whatever is wrong with it; nothing is published
        #[arg(long)]
        draft: bool,
    },
    /// Saves a definition as the next version of a workflow; runs keep theirs
    Replace {
        /// Name or id
        #[arg(value_name = "WORKFLOW")]
        which: String,
        /// YAML or JSON; - is standard input
        file: PathBuf,
        /// Only if this is still the latest version
        #[arg(long, value_name = "N")]
        version: Option<u32>,
        /// Saves it as the draft, whatever is wrong with it; nothing is published
        #[arg(long)]
        draft: bool,
    },
    /// Deletes workflows; their runs go on
    Delete {
        /// Names or ids
        #[arg(value_name = "WORKFLOW", required = true)]
        which: Vec<String>,
    },
    /// Says everything that is wrong with a definition on this server; saves nothing
    Check {
        /// YAML or JSON; - is standard input
        file: PathBuf,
    },
    /// Prints the definition in a stable form, without what the server knows about it
    Export {
        /// Name or id
        #[arg(value_name = "WORKFLOW")]
        which: String,
        /// How it is written
        #[arg(long, value_enum, default_value_t = Form::Yaml)]
        format: Form,
        /// A version, or `draft` [default: the latest version]
        #[arg(long, value_name = "N|draft", value_parser = edition)]
        version: Option<Edition>,
    },
    /// Saves the text of an export as a new workflow and prints its id
    Import {
        /// YAML or JSON; - is standard input
        file: PathBuf,
    },
    /// Lists the published versions of a workflow, newest first
    Versions {
        /// Name or id
        #[arg(value_name = "WORKFLOW")]
        which: String,
        #[command(flatten)]
        much: Much,
    },
    /// Makes the next version of the draft
    Publish {
        /// Name or id
        #[arg(value_name = "WORKFLOW")]
        which: String,
        /// What is new in it
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Writes an old version into the draft
    Restore {
        /// Name or id
        #[arg(value_name = "WORKFLOW")]
        which: String,
        /// The version
        #[arg(value_name = "N")]
        version: u32,
        /// Also over a draft that is there
        #[arg(long)]
        force: bool,
    },
    /// Shows how versions differ, or the draft from one; exits 1 if they do
    Diff {
        /// Name or id
        #[arg(value_name = "WORKFLOW")]
        which: String,
        /// A version, or `draft` [default: the latest version]
        #[arg(value_name = "FROM", value_parser = edition)]
        from: Option<Edition>,
        /// A version, or `draft` [default: the draft]
        #[arg(value_name = "TO", value_parser = edition)]
        to: Option<Edition>,
    },
    /// Starts a run and prints its id
    Start {
        /// Name or id
        #[arg(value_name = "WORKFLOW")]
        which: String,
        #[command(flatten)]
        given: Given,
    },
}

/// Reads which text of a workflow is meant.
fn edition(text: &str) -> Result<Edition, String> {
    match text {
        "draft" => Ok(Edition::Draft),
        number => {
            number.parse().map(Edition::Version).map_err(|_| "a version is a number, or `draft`".to_owned())
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Yaml,
    Json,
}

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Runs {
    #[command(flatten)]
    pub remote: Remote,
    #[command(subcommand)]
    pub command: RunsCommand,
}

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Lists runs, newest first
    List {
        /// Those of a workflow, by its name or id
        #[arg(long = "workflow", value_name = "WORKFLOW")]
        which: Option<String>,
        /// Those of a status
        #[arg(long, value_enum)]
        status: Option<RunStatus>,
        #[command(flatten)]
        much: Much,
    },
    /// Starts a run of a definition that is not stored, and prints its id
    Start {
        /// YAML or JSON; - is standard input
        file: PathBuf,
        #[command(flatten)]
        given: Given,
    },
    /// Shows a run and its steps as a timeline, and what it waits for
    Show(OfRun),
    /// Prints a run's steps
    Steps(OfRun),
    /// Follows a run to its end, over restarts of the server; exits as the run ended
    Follow {
        #[command(flatten)]
        of: OfRun,
        /// Only what came after this place in the history
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: u64,
    },
    /// Prints a run's output as JSON; exits as the run ended
    Result {
        #[command(flatten)]
        of: OfRun,
        /// Waits for the end
        #[arg(long)]
        wait: bool,
    },
    /// Lists the events of a run
    History {
        #[command(flatten)]
        of: OfRun,
        /// Only what came after this place in the history
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: u64,
    },
    /// Ends runs; wins over everything
    Cancel(OfRuns),
    /// Lets nothing new start; what runs ends and is recorded
    Pause(OfRuns),
    /// Lets paused runs go on
    Resume(OfRuns),
    /// Sends a signal to a run
    Signal {
        #[command(flatten)]
        of: OfRun,
        /// The signal's name
        name: String,
        /// What goes with it: JSON, @FILE, or - for standard input [default: null]
        #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
        data: Option<String>,
    },
    /// Runs an ended run again from one of its nodes, as its next generation
    Rerun {
        #[command(flatten)]
        of: OfRun,
        /// The node; what lies before it is kept [default: the node where the run failed]
        #[arg(long, value_name = "NODE")]
        from: Option<String>,
        #[command(flatten)]
        given: Given,
    },
}

#[derive(Debug, Clone, Args)]
pub struct OfRun {
    /// The run's id
    #[arg(value_name = "RUN", value_parser = str::parse::<RunId>)]
    pub run: RunId,
}

#[derive(Debug, Clone, Args)]
pub struct OfRuns {
    /// The runs' ids
    #[arg(value_name = "RUN", required = true, value_parser = str::parse::<RunId>)]
    pub runs: Vec<RunId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunStatus {
    Pending,
    Running,
    Waiting,
    Paused,
    Completed,
    Failed,
    Cancelled,
}

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Approvals {
    #[command(flatten)]
    pub remote: Remote,
    #[command(subcommand)]
    pub command: ApprovalsCommand,
}

#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// Lists what waits for a person, over all runs that have not ended
    List,
    /// Shows in full what a run asks a person
    Show {
        #[command(flatten)]
        of: OfRun,
        /// The step: its node, with the iteration in a body: each[3] [default: all that wait]
        step: Option<String>,
    },
    /// Approves a step; of a step that may have been performed, says that it was
    Approve(Verdict),
    /// Rejects a step; of a step that may have been performed, says that it was not
    Reject(Verdict),
}

#[derive(Debug, Clone, Args)]
pub struct Verdict {
    #[command(flatten)]
    pub of: OfRun,
    /// The step: its node, with the iteration in a body: each[3]
    pub step: String,
    /// Why; it is recorded
    #[arg(long)]
    pub comment: Option<String>,
    /// What was shown when you decided: another one is refused [default: that of the step as it is now]
    #[arg(long, value_name = "HASH")]
    pub args_hash: Option<String>,
    /// Asks nothing
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Usage {
    #[command(flatten)]
    pub remote: Remote,
    /// The first day, of UTC: 2027-01-01 [default: 30 days]
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,
    /// The last day, of UTC [default: today]
    #[arg(long, value_name = "DAY")]
    pub to: Option<String>,
    /// What sums are divided by; several, with commas between [default: day]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub by: Vec<Dimension>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dimension {
    Day,
    Workflow,
    Agent,
    Model,
}

#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    pub remote: Remote,
    /// Folders and files of definitions; - is standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Says what would be done, and does nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Deletes every workflow of the server that none of the files defines
    #[arg(long)]
    pub prune: bool,
}

#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    pub remote: Remote,
    /// Definitions; - is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Diff {
    #[command(flatten)]
    pub remote: Remote,
    /// Folders and files of definitions; - is standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    pub remote: Remote,
    /// Names or ids [default: all workflows]
    #[arg(value_name = "WORKFLOW")]
    pub which: Vec<String>,
    /// The folder to write to, made if it is missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// How new files are written
    #[arg(long, value_enum, default_value_t = Form::Yaml)]
    pub format: Form,
}

#[derive(Debug, Args)]
pub struct Login {
    /// The server's URL
    #[arg(value_name = "URL")]
    pub server: Address,
    /// Reads the key from standard input; without it the key is asked for, where there is a terminal
    #[arg(long, value_name = "-", allow_hyphen_values = true)]
    pub key: Option<String>,
    /// What to call it [default: host and port]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Contexts {
    /// Prints JSON, one object a line; keys are not shown
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Use {
    /// The context's name
    pub name: String,
}

#[derive(Debug, Args)]
pub struct Logout {
    /// The context's name [default: the one in use]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

// === impl RunStatus ===

impl RunStatus {
    /// Returns the status as the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

// === impl Dimension ===

impl Dimension {
    /// Returns the dimension as the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Workflow => "workflow",
            Self::Agent => "agent",
            Self::Model => "model",
        }
    }

    /// Returns the head of its column.
    pub fn head(self) -> &'static str {
        match self {
            Self::Day => "DAY",
            Self::Workflow => "<WORKFLOW",
            Self::Agent => "<AGENT",
            Self::Model => "<MODEL",
        }
    }
}
