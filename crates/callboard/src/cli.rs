//! The command line.

pub mod projects;
pub mod remote;
pub mod triggers;

use crate::config::address;
use callboard_core::{
    Span,
    id::{KeyId, ProjectId},
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{net::SocketAddr, path::PathBuf};

/// Runs workflows of AI agents so that they survive.
#[derive(Debug, Parser)]
#[command(name = "callboard", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves everything in one process: API, engine, Dapr-compatible sidecar, SQLite
    Dev(Dev),
    /// Serves beside a Dapr sidecar
    Serve(Serve),
    /// Runs a workflow from a file, shows its progress and prints its output as JSON
    Run(Run),
    /// Checks workflows, agents and settings
    Check(Check),
    /// Workflows on a server: list, show, create, replace, delete, start …
    Workflows(remote::Workflows),
    /// Runs on a server: list, show, follow, cancel, signal, rerun …
    Runs(remote::Runs),
    /// Triggers on a server, which start runs by themselves: list, show, create, delete, enable, disable, fire
    Triggers(triggers::Triggers),
    /// Projects on a server, and what may begin in them: list, pause, resume, limit
    Projects(projects::Projects),
    /// What waits for a person: list, show, approve, reject
    Approvals(remote::Approvals),
    /// What runs used, by day, workflow, agent or model
    Usage(remote::Usage),
    /// Makes the workflows of a server as the files of a folder say
    Apply(remote::Apply),
    /// Shows how files differ from the workflows of a server; exits 1 if they do
    Diff(remote::Diff),
    /// Writes the workflows of a server to a folder
    Export(remote::Export),
    /// Saves definitions on a server: new workflows, or the next versions of those of the same names
    Import(remote::Import),
    /// Keeps the address of a server and your key for it
    Login(remote::Login),
    /// Forgets a server and its key
    Logout(remote::Logout),
    /// Lists the servers you have logged in to
    Contexts(remote::Contexts),
    /// Chooses the server that commands speak to
    Use(remote::Use),
    /// Says whether the server answers and is ready
    Status(remote::Status),
    /// Trusts what the files of a folder say when a command is given there
    Trust(Trust),
    /// Brings the catalog up to date, and finishes an update
    Migrate(Migrate),
    /// Copies the databases of a data folder, also while a server works on it
    Backup(Backup),
    /// Puts a backup into a data folder on which no server works
    Restore(Restore),
    /// Folds every run of a backup or a data folder, and says what can't be read
    Verify(Verify),
    /// Changes keys of the installation
    Keys(Keys),
    /// Prints what a shell needs to complete these commands
    Completions(remote::Completions),
    /// Prints the description of the API, as docs/openapi.json has it
    #[command(hide = true)]
    Openapi,
}

#[derive(Debug, Args)]
pub struct Dev {
    /// Address of the API; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = address::read)]
    pub listen: Option<SocketAddr>,
    /// Folder of the databases, made if it is missing [default: data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Port of the sidecar's HTTP API; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 3500)]
    pub dapr_http_port: u16,
    /// Port of the sidecar's gRPC API; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 50001)]
    pub dapr_grpc_port: u16,
    /// Folder of Dapr component files [default: components/local if it exists, else built in]
    #[arg(long, value_name = "DIR")]
    pub components: Option<PathBuf>,
    /// Agents [default: config/agents.yaml if it exists, else built in]
    #[arg(long, value_name = "FILE")]
    pub agents: Option<PathBuf>,
    /// Starts on databases that are not of one time: runs whose histories lack events can only be read and cancelled
    #[arg(long)]
    pub accept_loss: bool,
    /// Settings: a TOML file or a folder of them, instead of config/*.toml
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// What this process does
    #[arg(long, value_enum)]
    pub role: Role,
    /// Address of the API, health and metrics [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = address::read)]
    pub listen: Option<SocketAddr>,
    /// Loopback port where the sidecar calls back [env: APP_PORT] [default: 8081]
    #[arg(long, value_name = "PORT")]
    pub app_port: Option<u16>,
    /// Agents [default: config/agents.yaml if it exists, else built in]
    #[arg(long, value_name = "FILE")]
    pub agents: Option<PathBuf>,
    /// Settings: a TOML file or a folder of them, instead of config/*.toml
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Runs workflows and serves the API
    Workflow,
    /// Runs agents
    Ai,
    /// Both
    All,
}

#[derive(Debug, Args)]
pub struct Run {
    /// A workflow, YAML or JSON; - is standard input
    pub file: PathBuf,
    /// The run's input: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub input: Option<String>,
    /// Agents [default: config/agents.yaml if it exists, else built in]
    #[arg(long, value_name = "FILE")]
    pub agents: Option<PathBuf>,
    /// Folder of the databases [default: data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder of Dapr component files [default: components/local if it exists, else built in]
    #[arg(long, value_name = "DIR")]
    pub components: Option<PathBuf>,
    /// Settings: a TOML file or a folder of them, instead of config/*.toml
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Workflows or agents (YAML or JSON), settings (TOML); - is standard input
    #[arg(required_unless_present = "schema")]
    pub files: Vec<PathBuf>,
    /// Prints the JSON Schema of a workflow
    #[arg(long)]
    pub schema: bool,
    /// Agents that workflows may name [default: config/agents.yaml if it exists, else built in]
    #[arg(long, value_name = "FILE")]
    pub agents: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Trust {
    /// The folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Trusts it no longer
    #[arg(long)]
    pub remove: bool,
    /// Lists the trusted folders
    #[arg(long, conflicts_with_all = ["remove", "folder"])]
    pub list: bool,
}

/// Where an installation is.
#[derive(Debug, Args)]
pub struct Place {
    /// Folder of the databases, where catalog.url names none [default: data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Settings: a TOML file or a folder of them, instead of config/*.toml
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Migrate {
    /// No process of the release before is left: from now on what is not signed is refused
    #[arg(long)]
    pub finish: bool,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct Backup {
    /// The folder to make; one that is there has to be empty
    #[arg(value_name = "DIR")]
    pub into: PathBuf,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct Restore {
    /// A folder that `callboard backup` made
    #[arg(value_name = "DIR")]
    pub from: PathBuf,
    /// Also over databases that are there: they are lost
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// A backup, or a data folder
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
pub struct Keys {
    #[command(subcommand)]
    pub command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Makes a key of the API, and prints it this once
    Create(CreateKey),
    /// Lists keys, without their secrets
    List(ListKeys),
    /// Ends a key for good
    Revoke(RevokeKey),
    /// Gives a key another secret, and prints it this once
    Rotate(RotateKey),
    /// Makes a new key that messages between our own processes are signed with
    RotateInternal(Place),
}

#[derive(Debug, Args)]
pub struct CreateKey {
    /// A key that may everything in its project
    #[arg(long, conflicts_with = "role", required_unless_present = "role")]
    pub admin: bool,
    /// What it may
    #[arg(long, value_enum)]
    pub role: Option<KeyRole>,
    /// Its project
    #[arg(long, value_name = "ID", default_value = "default")]
    pub project: ProjectId,
    /// How long it is good, such as 90d [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub expires: Option<Span>,
    /// What it is for, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub name: String,
    /// Requests that it may send in a second, to each process [default: any number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub per_second: Option<u32>,
    /// The same in an hour
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub per_hour: Option<u32>,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyRole {
    /// Reads
    Viewer,
    /// Starts stored workflows, operates runs, approves
    Operator,
    /// Changes definitions, and starts any
    Editor,
    /// Keys and the audit, too
    Admin,
}

#[derive(Debug, Args)]
pub struct ListKeys {
    /// Their project
    #[arg(long, value_name = "ID", default_value = "default")]
    pub project: ProjectId,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct RevokeKey {
    /// The key's id: what stands between `cb_` and the next `_`
    pub id: KeyId,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct RotateKey {
    /// The key's id: what stands between `cb_` and the next `_`
    pub id: KeyId,
    /// How long the secret before stays good
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "24h")]
    pub keep: Span,
    #[command(flatten)]
    pub place: Place,
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).ok_or_else(|| format!("`{text}` is no length of time, such as {}", Span::FORMS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
