//! Rows of runs, as lists and single reads have them.

use super::{append::unsigned, moment::Moment};
use crate::{RunRow, sql::run_id};
use callboard_core::id::WorkflowId;
use sqlx::{FromRow, Row as _, postgres::PgRow};
use uuid::Uuid;

/// The columns that are read.
macro_rules! columns {
    () => {
        "r.project, r.run, r.workflow_id, r.version, r.status, r.summary, r.seq, r.created_at, r.ended_at, r.next_check_at,
        r.cleaned_seq, r.purged"
    };
}
pub(super) use columns;

/// A row of `runs`.
pub(super) struct Row(pub RunRow);

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let workflow: Option<Uuid> = row.try_get("workflow_id")?;
        let version: Option<i32> = row.try_get("version")?;
        let instant = |column| row.try_get(column).map(|at: Option<Moment>| at.map(|at| at.0));
        let created_at: Moment = row.try_get("created_at")?;
        Ok(Self(RunRow {
            id: run_id(row.try_get("project")?, row.try_get("run")?)?,
            workflow_id: workflow.map(|id| WorkflowId::new(id.to_string())),
            version: version.map(|version| unsigned(version.into())).transpose()?,
            status: row.try_get("status")?,
            summary: row.try_get("summary")?,
            seq: unsigned(row.try_get("seq")?)?,
            created_at: created_at.0,
            ended_at: instant("ended_at")?,
            next_check_at: instant("next_check_at")?,
            purged: row.try_get("purged")?,
            cleaned_seq: unsigned(row.try_get("cleaned_seq")?)?,
        }))
    }
}
