//! Keys of the API, and projects, in the name of a role that sees nothing else.

use super::{
    PostgresCatalog,
    link::{self, within},
    moment::Moment,
    written::text,
};
use crate::{
    Error, ProjectLimits,
    access::{
        Access, ApiKey, AuditEntry, AuditRow, Deleted, KeyLimits, NewKey, ProjectChange, ProjectRow, Role,
        Rotation, SECRET_HASH, SecretHash,
    },
    sql::{
        LIMIT,
        access::{
            ANY, DELETE_PROJECT, LIMIT_PROJECT, LIST, MAKE, MAKE_PROJECT, PAUSE_PROJECT, PROJECT, PROJECTS,
            READ, RENEW, RESUME_PROJECT, REVOKE, REVOKE_ALL, USED,
        },
        project_id,
    },
};
use async_trait::async_trait;
use callboard_core::{
    Timestamp,
    id::{KeyId, ProjectId},
};
use sqlx::{FromRow, Row as _, postgres::PgRow};

const IS_IN_USE: &str = "
    select exists (select from runs where project = $1)
        or exists (select from workflows where project = $1 and not hidden)";

struct Key(ApiKey);

struct Project(ProjectRow);

#[async_trait]
impl Access for PostgresCatalog {
    async fn has_keys(&self) -> Result<bool, Error> {
        within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            let any = tx.scalar(sqlx::query_scalar(ANY)).await?;
            tx.commit().await?;
            Ok(any)
        })
        .await
    }

    async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>, Error> {
        within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            let key: Option<Key> = tx.first(sqlx::query_as(READ).bind(id.as_str())).await?;
            tx.commit().await?;
            Ok(key.map(|key| key.0))
        })
        .await
    }

    async fn keys(
        &self,
        project: &ProjectId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, Error> {
        let list = sqlx::query_as(LIST).bind(project.as_str()).bind(after.map(KeyId::as_str));
        let list = list.bind(i64::from(limit.min(LIMIT)));
        within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            let keys: Vec<Key> = tx.all(list).await?;
            tx.commit().await?;
            Ok(keys.into_iter().map(|key| key.0).collect())
        })
        .await
    }

    async fn make_key(&self, new: NewKey) -> Result<ApiKey, Error> {
        let NewKey { id, project, role, name, hash, at, by, expires_at, limits } = new;
        let (name, by) = (text(&name).into_owned(), text(&by).into_owned());
        let make = sqlx::query(MAKE)
            .bind(id.as_str())
            .bind(project.as_str())
            .bind(role.as_str())
            .bind(&name)
            .bind(&hash.0[..])
            .bind(Moment(at))
            .bind(&by)
            .bind(Moment::of(expires_at))
            .bind(limits.written());
        let made = within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            let made = tx.execute(make).await?.rows_affected();
            tx.commit().await?;
            Ok(made)
        })
        .await?;
        if made == 0 {
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

    async fn renew_key(
        &self,
        project: &ProjectId,
        id: &KeyId,
        rotation: Rotation,
    ) -> Result<Option<ApiKey>, Error> {
        let renew = sqlx::query(RENEW)
            .bind(project.as_str())
            .bind(id.as_str())
            .bind(&rotation.hash.0[..])
            .bind(Moment(rotation.previous_until))
            .bind(Moment(rotation.at));
        within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            let mut key: Option<Key> = None;
            if tx.execute(renew).await?.rows_affected() > 0 {
                key = tx.first(sqlx::query_as(READ).bind(id.as_str())).await?;
            }
            tx.commit().await?;
            Ok(key.map(|key| key.0))
        })
        .await
    }

    async fn revoke_key(&self, project: &ProjectId, id: &KeyId, at: Timestamp) -> Result<bool, Error> {
        let revoke = sqlx::query(REVOKE).bind(project.as_str()).bind(id.as_str()).bind(Moment(at));
        within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            let revoked = tx.execute(revoke).await?.rows_affected() > 0;
            tx.commit().await?;
            Ok(revoked)
        })
        .await
    }

    async fn key_used(&self, id: &KeyId, at: Timestamp) -> Result<(), Error> {
        within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            tx.execute(sqlx::query(USED).bind(id.as_str()).bind(Moment(at))).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    async fn project(&self, id: &ProjectId) -> Result<Option<ProjectRow>, Error> {
        within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            let row: Option<Project> = tx.first(sqlx::query_as(PROJECT).bind(id.as_str())).await?;
            tx.commit().await?;
            Ok(row.map(|row| row.0))
        })
        .await
    }

    async fn all_projects(&self, after: Option<&ProjectId>, limit: u32) -> Result<Vec<ProjectRow>, Error> {
        let list = sqlx::query_as(PROJECTS).bind(after.map(ProjectId::as_str));
        let list = list.bind(i64::from(limit.min(LIMIT)));
        within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            let rows: Vec<Project> = tx.all(list).await?;
            tx.commit().await?;
            Ok(rows.into_iter().map(|row| row.0).collect())
        })
        .await
    }

    async fn make_project(&self, row: ProjectRow) -> Result<(), Error> {
        let make = sqlx::query(MAKE_PROJECT).bind(row.id.as_str()).bind(text(&row.name));
        let make = make.bind(Moment(row.created_at));
        let made = within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            let made = tx.execute(make).await?.rows_affected();
            tx.commit().await?;
            Ok(made)
        })
        .await?;
        match made {
            0 => Err(Error::Conflict { what: "project", id: row.id.to_string(), current: None }),
            _ => Ok(()),
        }
    }

    async fn change_project(
        &self,
        id: &ProjectId,
        change: ProjectChange,
    ) -> Result<Option<ProjectRow>, Error> {
        let change = match change {
            ProjectChange::Pause(at) => sqlx::query(PAUSE_PROJECT).bind(id.as_str()).bind(Moment(at)),
            ProjectChange::Resume => sqlx::query(RESUME_PROJECT).bind(id.as_str()),
            ProjectChange::Limit(limits) => {
                sqlx::query(LIMIT_PROJECT).bind(id.as_str()).bind(limits.written())
            }
        };
        within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            tx.execute(change).await?;
            let row: Option<Project> = tx.first(sqlx::query_as(PROJECT).bind(id.as_str())).await?;
            tx.commit().await?;
            Ok(row.map(|row| row.0))
        })
        .await
    }

    async fn delete_project(&self, id: &ProjectId, at: Timestamp) -> Result<Deleted, Error> {
        within(async {
            let mut tx = self.connections.begin(link::Role::Access).await?;
            if tx.scalar(sqlx::query_scalar(IS_IN_USE).bind(id.as_str())).await? {
                tx.commit().await?;
                return Ok(Deleted::NotEmpty);
            }
            let deleted = tx.execute(sqlx::query(DELETE_PROJECT).bind(id.as_str()).bind(Moment(at))).await?;
            let deleted = match deleted.rows_affected() {
                0 => Deleted::Unknown,
                _ => {
                    tx.execute(sqlx::query(REVOKE_ALL).bind(id.as_str()).bind(Moment(at))).await?;
                    Deleted::Done
                }
            };
            tx.commit().await?;
            Ok(deleted)
        })
        .await
    }

    async fn record(&self, entries: Vec<AuditEntry>) -> Result<(), Error> {
        self.record_audit(entries).await
    }

    async fn audit(
        &self,
        project: &ProjectId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, Error> {
        self.list_audit(project, before, limit.min(LIMIT)).await
    }

    async fn forget_audit(&self, now: Timestamp) -> Result<u64, Error> {
        self.forget_old_audit(now).await
    }
}

impl FromRow<'_, PgRow> for Key {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let instant = |column| row.try_get(column).map(|at: Option<Moment>| at.map(|at| at.0));
        let hash = |bytes: Vec<u8>| match <[u8; SECRET_HASH]>::try_from(bytes) {
            Ok(bytes) => Ok(SecretHash(bytes)),
            Err(_) => Err(sqlx::Error::Decode("the hash of a key has another length".into())),
        };
        let role: String = row.try_get("role")?;
        let no_role = || sqlx::Error::Decode(format!("a key has the role {role:?}").into());
        let previous = row.try_get::<Option<Vec<u8>>, _>("previous_hash")?.map(hash).transpose()?;
        let created_at: Moment = row.try_get("created_at")?;
        Ok(Self(ApiKey {
            id: KeyId::new(row.try_get::<String, _>("id")?),
            project: project_id(row.try_get("project")?)?,
            role: Role::parse(&role).ok_or_else(no_role)?,
            name: row.try_get("name")?,
            hash: hash(row.try_get("hash")?)?,
            previous: previous.zip(instant("previous_until")?),
            created_at: created_at.0,
            created_by: row.try_get("created_by")?,
            rotated_at: instant("rotated_at")?,
            expires_at: instant("expires_at")?,
            revoked_at: instant("revoked_at")?,
            last_used_at: instant("last_used_at")?,
            limits: KeyLimits::read(row.try_get("limits")?).map_err(undecoded)?,
        }))
    }
}

impl FromRow<'_, PgRow> for Project {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let created_at: Moment = row.try_get("created_at")?;
        let id = project_id(row.try_get("id")?)?;
        let paused_at = row.try_get::<Option<Moment>, _>("paused_at")?.map(|at| at.0);
        let limits = ProjectLimits::read(row.try_get("limits")?).map_err(undecoded)?;
        Ok(Self(ProjectRow { id, name: row.try_get("name")?, created_at: created_at.0, paused_at, limits }))
    }
}

fn undecoded(error: Error) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}
