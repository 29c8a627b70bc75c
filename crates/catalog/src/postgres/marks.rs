//! Which installation this is, and how far it has come.

use super::{
    PostgresCatalog,
    link::{Role, within},
};
use crate::{Error, Mark, Marks, sql::signed};
use async_trait::async_trait;

const READ: &str = "select name, generation from installation where one = 1 and name is not null";

const COUNT: &str = "
    update installation set name = coalesce(name, $1), generation = greatest(generation, $2) + 1 where one = 1
    returning name, generation";

#[async_trait]
impl Marks for PostgresCatalog {
    async fn mark(&self) -> Result<Option<Mark>, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let rows: Vec<(String, i64)> = tx.all(sqlx::query_as(READ)).await?;
            tx.commit().await?;
            Ok(rows.into_iter().next().map(mark))
        })
        .await
    }

    async fn count_on(&self, installation: &str, beyond: u64) -> Result<Mark, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let rows: Vec<(String, i64)> =
                tx.all(sqlx::query_as(COUNT).bind(installation).bind(signed(beyond))).await?;
            tx.commit().await?;
            let none = || Error::Corrupt { what: "installation", message: "its row is gone".to_owned() };
            rows.into_iter().next().map(mark).ok_or_else(none)
        })
        .await
    }
}

fn mark((installation, generation): (String, i64)) -> Mark {
    Mark { installation, generation: generation.unsigned_abs() }
}
