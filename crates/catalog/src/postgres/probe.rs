//! Whether the database can be written: tried, for a server may have become one that is only read, or its disk full.

use super::link::{Connections, Role, is_broken};
use crate::Error;

/// A row of no project, which the same transaction takes out again. No two transactions have the same one, so processes do not wait
/// for each other.
const WRITE: &str = "
    insert into answers (project, route, key, body, status, headers, answer, at)
    values ('', '', pg_current_xact_id()::text, '', 0, '', '', now())";

const TAKE_OUT: &str =
    "delete from answers where project = '' and route = '' and key = pg_current_xact_id()::text";

/// Writes, commits, and leaves nothing.
pub(super) async fn write(connections: &Connections) -> Result<(), Error> {
    let tried = async {
        let mut tx = connections.begin(Role::Engine).await?;
        tx.execute(sqlx::query(WRITE)).await?;
        tx.execute(sqlx::query(TAKE_OUT)).await?;
        tx.commit().await.map(drop)
    };
    tried.await.map_err(|error| Error::Unavailable(said(&error).into()))
}

/// Says what is wrong so that an operator knows where to look.
pub(super) fn said(error: &sqlx::Error) -> String {
    if is_broken(error) || matches!(error, sqlx::Error::PoolTimedOut) {
        return format!("does not answer: {error}");
    }
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some("25006") => "can't be written: it is read-only".to_owned(),
        Some("53100") => "can't be written: the disk is full".to_owned(),
        Some("58030") => "can't be written: the disk refuses it".to_owned(),
        Some("XX001" | "XX002") => "is damaged".to_owned(),
        _ => format!("can't be written: {error}"),
    }
}
