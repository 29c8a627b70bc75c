//! What both databases have in common: bounds, numbers, ids, and what an error of theirs is to us.

pub(crate) mod access;
pub(crate) mod survey;
pub(crate) mod triggers;

use crate::Error;
use callboard_core::id::{NoId, ProjectId, RunId};

/// No list is longer.
pub(crate) const LIMIT: u32 = 10_000;

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Error::Corrupt { what: "row", message: error.to_string() }
            }
            _ => Error::Unavailable(error.into()),
        }
    }
}

/// Numbers of a database are signed. Ours never reach its limit; a caller's may, and then no row has one larger.
pub(crate) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Puts a run's id together again of its two columns.
pub(crate) fn run_id(project: &str, name: &str) -> Result<RunId, sqlx::Error> {
    let id = project.parse().and_then(|project| RunId::new(&project, name));
    id.map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Reads a project's id.
pub(crate) fn project_id(text: &str) -> Result<ProjectId, sqlx::Error> {
    text.parse().map_err(|error: NoId| sqlx::Error::Decode(error.into()))
}

/// Returns a run's id. A row without one, which nobody of ours has written, does not hide the others.
pub(crate) fn known_run(project: &str, name: &str) -> Option<RunId> {
    run_id(project, name)
        .inspect_err(|error| tracing::error!(project, name, %error, "a row is of no run"))
        .ok()
}
