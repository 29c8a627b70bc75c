//! Which installation this is, and how far it has come.

use crate::{Error, Mark, sql::signed};
use sqlx::{SqliteConnection, SqlitePool};

const READ: &str = "select name, generation from installation where one = 1 and name is not null";

const COUNT: &str = "
    update installation set name = coalesce(name, $1), generation = max(generation, $2) + 1 where one = 1
    returning name, generation";

pub(super) async fn read(readers: &SqlitePool) -> Result<Option<Mark>, Error> {
    let row: Option<(String, u64)> = sqlx::query_as(READ).fetch_optional(readers).await?;
    Ok(row.map(|(installation, generation)| Mark { installation, generation }))
}

pub(super) async fn count(
    connection: &mut SqliteConnection,
    installation: String,
    beyond: u64,
) -> Result<Mark, Error> {
    let query = sqlx::query_as(COUNT).bind(installation).bind(signed(beyond));
    let (installation, generation): (String, u64) = query.fetch_one(connection).await?;
    Ok(Mark { installation, generation })
}
