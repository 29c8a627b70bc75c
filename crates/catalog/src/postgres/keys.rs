//! The actors' keys, and whether they have to be used.

use super::{
    PostgresCatalog,
    link::{Role, within},
    moment::Moment,
};
use crate::{
    Error, Keys, Signing,
    keys::{InternalKey, VALID},
};
use async_trait::async_trait;
use callboard_core::Timestamp;

/// Whoever makes a key makes it alone.
const LOCK: &str = "select 1 from pg_advisory_xact_lock(7203, 2)";

const READ: &str = "select id, secret from internal_keys order by id desc limit $1";

const REQUIRED: &str = "select signed_only from installation where one = 1";

const FIRST: &str = "
    insert into internal_keys (id, secret, created_at)
    select 1, $1, $2 where not exists (select 1 from internal_keys)";

const NEXT: &str = "
    insert into internal_keys (id, secret, created_at)
    select coalesce(max(id), 0) + 1, $1, $2 from internal_keys
    returning id";

const FORGET: &str = "delete from internal_keys where id <= $1 - $2";

const REQUIRE: &str = "update installation set signed_only = true where not signed_only";

#[async_trait]
impl Keys for PostgresCatalog {
    async fn signing(&self) -> Result<Signing, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let rows: Vec<(i32, Vec<u8>)> = tx.all(sqlx::query_as(READ).bind(i64::from(VALID))).await?;
            let required = tx.scalar(sqlx::query_scalar(REQUIRED)).await?;
            tx.commit().await?;
            let key = |(id, secret): (i32, Vec<u8>)| match (u32::try_from(id), secret.try_into()) {
                (Ok(id), Ok(secret)) => Ok(InternalKey { id, secret }),
                _ => Err(Error::Corrupt { what: "internal key", message: format!("key {id} is none") }),
            };
            let keys = rows.into_iter().map(key).collect::<Result<_, Error>>()?;
            Ok(Signing { keys, required })
        })
        .await
    }

    async fn first_key(&self, secret: [u8; 32], at: Timestamp) -> Result<(), Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            tx.execute(sqlx::query(LOCK)).await?;
            tx.execute(sqlx::query(FIRST).bind(&secret[..]).bind(Moment(at))).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    async fn rotate_key(&self, secret: [u8; 32], at: Timestamp) -> Result<u32, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            tx.execute(sqlx::query(LOCK)).await?;
            let id: i32 = tx.scalar(sqlx::query_scalar(NEXT).bind(&secret[..]).bind(Moment(at))).await?;
            let valid = i32::try_from(VALID).unwrap_or(i32::MAX);
            tx.execute(sqlx::query(FORGET).bind(id).bind(valid)).await?;
            tx.commit().await?;
            let corrupt = |_| Error::Corrupt { what: "internal key", message: format!("key {id} is none") };
            u32::try_from(id).map_err(corrupt)
        })
        .await
    }

    async fn require_signatures(&self) -> Result<bool, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let changed = tx.execute(sqlx::query(REQUIRE)).await?;
            tx.commit().await?;
            Ok(changed.rows_affected() > 0)
        })
        .await
    }
}
