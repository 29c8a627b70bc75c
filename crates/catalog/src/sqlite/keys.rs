//! The actors' keys, and whether they have to be used.

use super::BEGIN;
use crate::{
    Error, Signing,
    keys::{InternalKey, VALID},
};
use callboard_core::Timestamp;
use sqlx::{Connection, SqliteConnection, SqlitePool};

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

const REQUIRE: &str = "update installation set signed_only = 1 where signed_only = 0";

pub(super) async fn signing(readers: &SqlitePool) -> Result<Signing, Error> {
    let rows: Vec<(u32, Vec<u8>)> = sqlx::query_as(READ).bind(VALID).fetch_all(readers).await?;
    let key = |(id, secret): (u32, Vec<u8>)| {
        let secret = secret.try_into();
        let corrupt = |_| Error::Corrupt { what: "internal key", message: format!("key {id} is too short") };
        Ok(InternalKey { id, secret: secret.map_err(corrupt)? })
    };
    let keys = rows.into_iter().map(key).collect::<Result<_, Error>>()?;
    Ok(Signing { keys, required: sqlx::query_scalar(REQUIRED).fetch_one(readers).await? })
}

pub(super) async fn first(
    connection: &mut SqliteConnection,
    secret: [u8; 32],
    at: Timestamp,
) -> Result<(), Error> {
    sqlx::query(FIRST).bind(&secret[..]).bind(at.0).execute(connection).await?;
    Ok(())
}

pub(super) async fn rotate(
    connection: &mut SqliteConnection,
    secret: [u8; 32],
    at: Timestamp,
) -> Result<u32, Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    let id: u32 = sqlx::query_scalar(NEXT).bind(&secret[..]).bind(at.0).fetch_one(&mut *tx).await?;
    sqlx::query(FORGET).bind(id).bind(VALID).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(id)
}

pub(super) async fn require(connection: &mut SqliteConnection) -> Result<bool, Error> {
    Ok(sqlx::query(REQUIRE).execute(connection).await?.rows_affected() > 0)
}
