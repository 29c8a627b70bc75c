//! Whether the database can be written: tried, for a file or a disk may have become one that can only be read.

use super::BEGIN;
use crate::Error;
use sqlx::{Connection, SqliteConnection};

/// A row of no project, which the same transaction takes out again. What stays is a page of the log, which was written.
const WRITE: &str = "
    insert or replace into answers (project, route, key, body, status, headers, answer, at)
    values ('', '', '', x'', 0, '', x'', 0)";

const TAKE_OUT: &str = "delete from answers where project = ''";

/// Writes, commits, and leaves nothing.
pub(super) async fn write(connection: &mut SqliteConnection) -> Result<(), Error> {
    let tried = async {
        let mut tx = connection.begin_with(BEGIN).await?;
        sqlx::query(WRITE).execute(&mut *tx).await?;
        sqlx::query(TAKE_OUT).execute(&mut *tx).await?;
        tx.commit().await
    };
    tried.await.map_err(|error| Error::Unavailable(said(&error).into()))
}

/// Says what is wrong so that an operator knows where to look.
fn said(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    // The lower byte of an extended code is the code.
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => "can't be written: another process holds it".to_owned(),
        Some(8) => "can't be written: it is read-only".to_owned(),
        Some(10) => "can't be written: the disk refuses it".to_owned(),
        Some(11 | 26) => "is damaged".to_owned(),
        Some(13) => "can't be written: the disk is full".to_owned(),
        Some(14) => "can't be opened".to_owned(),
        _ => format!("can't be written: {error}"),
    }
}
