//! What lies in the embedded sidecar's file: counted from outside, because the program promises it to nobody.

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::Path;

/// Rows of the sidecar's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Keys of the state store that are runs'.
    pub keys: u64,
    /// Those that all runs with the same agents share.
    pub pins: u64,
    /// Those of them that are no values, or do not expire.
    pub lasting: u64,
    /// Messages of the bus.
    pub messages: u64,
    pub reminders: u64,
}

/// Counts the rows of a data folder's sidecar. Read-only, beside the process that owns it.
pub async fn counts(data: &Path) -> Counts {
    let file = SqliteConnectOptions::new().filename(data.join("sidecar.db")).read_only(true);
    let mut connection = SqliteConnection::connect_with(&file).await.expect("the sidecar's file opens");
    let sql = "select (select count(*) from state where key not like '%||pin.%'), (select count(*) from message),
        (select count(*) from reminder),
        (select count(*) from state where key not like '%||pin.%' and key not like '%.v.%' or expires is null),
        (select count(*) from state where key like '%||pin.%')";
    let row: (i64, i64, i64, i64, i64) =
        sqlx::query_as(sql).fetch_one(&mut connection).await.expect("rows are counted");
    connection.close().await.expect("a connection closes");
    let n = |n: i64| n as u64;
    Counts { keys: n(row.0), pins: n(row.4), lasting: n(row.3), messages: n(row.1), reminders: n(row.2) }
}

/// Counts the catalog's runs that the sweeper will look at and that are still in the state store.
pub async fn waiting(data: &Path) -> u64 {
    let file = SqliteConnectOptions::new().filename(data.join("catalog.db")).read_only(true);
    let mut connection = SqliteConnection::connect_with(&file).await.expect("the catalog's file opens");
    let sql = "select count(*) from runs where next_check_at is not null and not purged";
    let (n,): (i64,) = sqlx::query_as(sql).fetch_one(&mut connection).await.expect("rows are counted");
    connection.close().await.expect("a connection closes");
    n as u64
}
