//! Approvals over all runs of a project, as both databases are asked for them.

use super::known_run;
use crate::{AskedPlace, AskedRow};
use callboard_core::{Timestamp, id::ProjectId};

pub(crate) const COUNT_ASKED: &str = "select count(*) from approvals where project = $1";

/// The name of a run, the step, since when it waits, and what it asks.
pub(crate) type Asked = (String, String, i64, String);

pub(crate) fn asked_row(project: &ProjectId, (run, step, since, asked): Asked) -> Option<AskedRow> {
    let run = known_run(project.as_str(), &run)?;
    Some(AskedRow { place: AskedPlace { since: Timestamp(since), run, step }, asked })
}
