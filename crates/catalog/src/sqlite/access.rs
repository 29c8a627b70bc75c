//! Keys of the API, and projects.

use super::BEGIN;
use crate::{
    Error, ProjectLimits,
    access::{
        ApiKey, Deleted, KeyLimits, NewKey, ProjectChange, ProjectRow, Role, Rotation, SECRET_HASH,
        SecretHash,
    },
    sql::{
        access::{
            ANY, DELETE_PROJECT, LIMIT_PROJECT, LIST, MAKE, MAKE_PROJECT, PAUSE_PROJECT, PROJECT, PROJECTS,
            READ, RENEW, RESUME_PROJECT, REVOKE, REVOKE_ALL, USED,
        },
        project_id,
    },
};
use callboard_core::{
    Timestamp,
    id::{KeyId, ProjectId},
};
use sqlx::{Connection, Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};

const IS_IN_USE: &str = "
    select exists (select 1 from runs where project = $1)
        or exists (select 1 from workflows where project = $1 and hidden = 0)";

pub(super) async fn any(readers: &SqlitePool) -> Result<bool, Error> {
    Ok(sqlx::query_scalar(ANY).fetch_one(readers).await?)
}

pub(super) async fn key(readers: &SqlitePool, id: &KeyId) -> Result<Option<ApiKey>, Error> {
    let row = sqlx::query(READ).bind(id.as_str()).fetch_optional(readers).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn list(
    readers: &SqlitePool,
    project: &ProjectId,
    after: Option<&KeyId>,
    limit: u32,
) -> Result<Vec<ApiKey>, Error> {
    let list = sqlx::query(LIST).bind(project.as_str()).bind(after.map(KeyId::as_str)).bind(limit);
    list.fetch_all(readers).await?.iter().map(read).collect()
}

pub(super) async fn make(connection: &mut SqliteConnection, new: NewKey) -> Result<ApiKey, Error> {
    let NewKey { id, project, role, name, hash, at, by, expires_at, limits } = new;
    let make = sqlx::query(MAKE).bind(id.as_str()).bind(project.as_str()).bind(role.as_str()).bind(&name);
    let make =
        make.bind(&hash.0[..]).bind(at.0).bind(&by).bind(expires_at.map(|at| at.0)).bind(limits.written());
    if make.execute(connection).await?.rows_affected() == 0 {
        return Err(Error::NotFound { what: "project", id: project.to_string() });
    }
    Ok(ApiKey {
        id,
        project,
        role,
        name,
        hash,
        previous: None,
        created_at: at,
        created_by: by,
        rotated_at: None,
        expires_at,
        revoked_at: None,
        last_used_at: None,
        limits,
    })
}

pub(super) async fn renew(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: KeyId,
    rotation: Rotation,
) -> Result<Option<ApiKey>, Error> {
    let renew = sqlx::query(RENEW).bind(project.as_str()).bind(id.as_str()).bind(&rotation.hash.0[..]);
    let renew = renew.bind(rotation.previous_until.0).bind(rotation.at.0);
    if renew.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let row = sqlx::query(READ).bind(id.as_str()).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn revoke(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: KeyId,
    at: Timestamp,
) -> Result<bool, Error> {
    let revoke = sqlx::query(REVOKE).bind(project.as_str()).bind(id.as_str()).bind(at.0);
    Ok(revoke.execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn used(connection: &mut SqliteConnection, id: KeyId, at: Timestamp) -> Result<(), Error> {
    sqlx::query(USED).bind(id.as_str()).bind(at.0).execute(connection).await?;
    Ok(())
}

pub(super) async fn project(readers: &SqlitePool, id: &ProjectId) -> Result<Option<ProjectRow>, Error> {
    let row = sqlx::query(PROJECT).bind(id.as_str()).fetch_optional(readers).await?;
    row.as_ref().map(read_project).transpose()
}

pub(super) async fn projects(
    readers: &SqlitePool,
    after: Option<&ProjectId>,
    limit: u32,
) -> Result<Vec<ProjectRow>, Error> {
    let list = sqlx::query(PROJECTS).bind(after.map(ProjectId::as_str)).bind(limit);
    list.fetch_all(readers).await?.iter().map(read_project).collect()
}

pub(super) async fn make_project(connection: &mut SqliteConnection, row: ProjectRow) -> Result<(), Error> {
    let make = sqlx::query(MAKE_PROJECT).bind(row.id.as_str()).bind(&row.name).bind(row.created_at.0);
    match make.execute(connection).await?.rows_affected() {
        0 => Err(Error::Conflict { what: "project", id: row.id.to_string(), current: None }),
        _ => Ok(()),
    }
}

pub(super) async fn change_project(
    connection: &mut SqliteConnection,
    id: ProjectId,
    change: ProjectChange,
) -> Result<Option<ProjectRow>, Error> {
    let change = match change {
        ProjectChange::Pause(at) => sqlx::query(PAUSE_PROJECT).bind(id.as_str()).bind(at.0),
        ProjectChange::Resume => sqlx::query(RESUME_PROJECT).bind(id.as_str()),
        ProjectChange::Limit(limits) => sqlx::query(LIMIT_PROJECT).bind(id.as_str()).bind(limits.written()),
    };
    change.execute(&mut *connection).await?;
    let row = sqlx::query(PROJECT).bind(id.as_str()).fetch_optional(connection).await?;
    row.as_ref().map(read_project).transpose()
}

pub(super) async fn delete_project(
    connection: &mut SqliteConnection,
    id: ProjectId,
    at: Timestamp,
) -> Result<Deleted, Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    if sqlx::query_scalar(IS_IN_USE).bind(id.as_str()).fetch_one(&mut *tx).await? {
        return Ok(Deleted::NotEmpty);
    }
    let deleted = sqlx::query(DELETE_PROJECT).bind(id.as_str()).bind(at.0).execute(&mut *tx).await?;
    if deleted.rows_affected() == 0 {
        return Ok(Deleted::Unknown);
    }
    sqlx::query(REVOKE_ALL).bind(id.as_str()).bind(at.0).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(Deleted::Done)
}

fn read(row: &SqliteRow) -> Result<ApiKey, Error> {
    let corrupt = |message: String| Error::Corrupt { what: "key", message };
    let instant = |name: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(name)?.map(Timestamp));
    let hash = |bytes: Vec<u8>| {
        let bytes = <[u8; SECRET_HASH]>::try_from(bytes);
        bytes.map(SecretHash).map_err(|_| corrupt("its hash is too short".into()))
    };
    let role: String = row.try_get("role")?;
    let previous = row.try_get::<Option<Vec<u8>>, _>("previous_hash")?.map(hash).transpose()?;
    Ok(ApiKey {
        id: KeyId::new(row.try_get::<String, _>("id")?),
        project: project_id(row.try_get("project")?)?,
        role: Role::parse(&role).ok_or_else(|| corrupt(format!("it has the role {role:?}")))?,
        name: row.try_get("name")?,
        hash: hash(row.try_get("hash")?)?,
        previous: previous.zip(instant("previous_until")?),
        created_at: Timestamp(row.try_get("created_at")?),
        created_by: row.try_get("created_by")?,
        rotated_at: instant("rotated_at")?,
        expires_at: instant("expires_at")?,
        revoked_at: instant("revoked_at")?,
        last_used_at: instant("last_used_at")?,
        limits: KeyLimits::read(row.try_get("limits")?)?,
    })
}

fn read_project(row: &SqliteRow) -> Result<ProjectRow, Error> {
    Ok(ProjectRow {
        id: project_id(row.try_get("id")?)?,
        name: row.try_get("name")?,
        created_at: Timestamp(row.try_get("created_at")?),
        paused_at: row.try_get::<Option<i64>, _>("paused_at")?.map(Timestamp),
        limits: ProjectLimits::read(row.try_get("limits")?)?,
    })
}
