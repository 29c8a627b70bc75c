//! Drafts, what is said about versions, and what people call a workflow.

use super::{
    BEGIN, SqliteCatalog,
    definitions::{self, current, json, known, parse},
};
use crate::{
    Draft, Drafts, Error, Expected, NewDraft, NewWorkflow, Provenance, Renaming, Version, Workflow,
    sql::LIMIT,
};
use async_trait::async_trait;
use callboard_core::{
    Hash, Timestamp,
    id::{ProjectId, WorkflowId},
    workflow::content,
};
use serde_json::Value;
use sqlx::{
    Connection, FromRow, QueryBuilder, Row as _, Sqlite, SqliteConnection, SqlitePool, sqlite::SqliteRow,
};
use std::collections::BTreeMap;

const READ: &str = "
    select d.revision, d.base, d.name, d.description, d.definition, d.problems, d.metadata, d.author, d.source, d.updated_at
    from workflows w
    join workflow_drafts d on d.workflow_id = w.id
    where w.project = $1 and w.id = $2 and w.hidden = 0";

/// The first revision of a draft says on which version it was begun.
const SAVE: &str = "
    insert into workflow_drafts
        (workflow_id, revision, base, name, description, definition, problems, metadata, author, source, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    on conflict (workflow_id) do update set revision = excluded.revision, name = excluded.name,
        description = excluded.description, definition = excluded.definition, problems = excluded.problems,
        metadata = excluded.metadata, author = excluded.author, source = excluded.source, updated_at = excluded.updated_at";

const COUNT: &str = "update workflows set drafts = $2 where id = $1";

const DISCARD: &str = "delete from workflow_drafts where workflow_id = $1";

/// The document is read where its hash was not kept.
const VERSIONS: &str = "
    select v.version, v.name, v.note, v.author, v.hash, iif(v.hash is null, v.definition, null) as definition, v.problems,
        v.created_at
    from workflows w
    join workflow_versions v on v.workflow_id = w.id
    where w.project = $1 and w.id = $2 and w.hidden = 0 and v.version < $3
    order by v.version desc limit $4";

const NOTE: &str = "update workflow_versions set note = $3 where workflow_id = $1 and version = $2";

const RENAME: &str = "update workflows set name = $2, description = $3, renamed = $4 where id = $1";

const RUNS: &str = "select r.version, count(*) as runs from runs r where r.workflow_id = ";

struct DraftRow(Draft);

struct VersionRow(Version);

#[async_trait]
impl Drafts for SqliteCatalog {
    async fn create_draft(&self, new: NewWorkflow) -> Result<Workflow, Error> {
        self.writer.job(move |c| Box::pin(create(c, new))).await
    }

    async fn draft(&self, project: &ProjectId, id: &WorkflowId) -> Result<Option<Draft>, Error> {
        read(&self.readers, project, id).await
    }

    async fn save_draft(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        change: NewDraft,
    ) -> Result<Workflow, Error> {
        let (project, id) = (project.clone(), id.clone());
        self.writer.job(move |c| Box::pin(save(c, project, id, change))).await
    }

    async fn discard_draft(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        expected: Expected,
    ) -> Result<(), Error> {
        let (project, id) = (project.clone(), id.clone());
        self.writer.job(move |c| Box::pin(discard(c, project, id, expected))).await
    }

    async fn versions(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        before: Option<u32>,
        limit: u32,
    ) -> Result<Vec<Version>, Error> {
        versions(&self.readers, project, id, before, limit.min(LIMIT)).await
    }

    async fn note_version(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        version: u32,
        note: Option<String>,
    ) -> Result<(), Error> {
        let (project, id) = (project.clone(), id.clone());
        self.writer.job(move |c| Box::pin(annotate(c, project, id, version, note))).await
    }

    async fn rename_workflow(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        renaming: Renaming,
    ) -> Result<Workflow, Error> {
        let (project, id) = (project.clone(), id.clone());
        self.writer.job(move |c| Box::pin(rename(c, project, id, renaming))).await
    }

    async fn runs_by_version(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        statuses: &[&str],
    ) -> Result<BTreeMap<u32, u64>, Error> {
        runs(&self.readers, project, id, statuses).await
    }
}

async fn create(connection: &mut SqliteConnection, new: NewWorkflow) -> Result<Workflow, Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    let workflow = create_within(&mut tx, new).await?;
    tx.commit().await?;
    Ok(workflow)
}

/// The same, within somebody's transaction.
pub(super) async fn create_within(tx: &mut SqliteConnection, new: NewWorkflow) -> Result<Workflow, Error> {
    definitions::insert(tx, &new, 0).await?;
    let NewWorkflow { project, id, name, description, definition, problems, metadata, at, from } = new;
    let expected = Expected::NoDraft;
    let change = NewDraft { expected, name, description, definition, problems, metadata, from, at };
    save_within(tx, project, id, change).await
}

async fn read(readers: &SqlitePool, project: &ProjectId, id: &WorkflowId) -> Result<Option<Draft>, Error> {
    let query = sqlx::query_as(READ).bind(project.as_str()).bind(id.as_str());
    let row: Option<DraftRow> = query.fetch_optional(readers).await?;
    Ok(row.map(|row| row.0))
}

async fn save(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: WorkflowId,
    change: NewDraft,
) -> Result<Workflow, Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    let workflow = save_within(&mut tx, project, id, change).await?;
    tx.commit().await?;
    Ok(workflow)
}

/// The same, within somebody's transaction.
pub(super) async fn save_within(
    tx: &mut SqliteConnection,
    project: ProjectId,
    id: WorkflowId,
    change: NewDraft,
) -> Result<Workflow, Error> {
    let current = current(tx, &project, &id).await?;
    current.check(&id, change.expected)?;
    let revision = current.drafts.saturating_add(1);
    sqlx::query(SAVE)
        .bind(id.as_str())
        .bind(revision)
        .bind(current.version)
        .bind(&change.name)
        .bind(&change.description)
        .bind(json(&change.definition)?)
        .bind(json(&change.problems)?)
        .bind(json(&change.metadata)?)
        .bind(&change.from.author)
        .bind(&change.from.source)
        .bind(change.at.0)
        .execute(&mut *tx)
        .await?;
    sqlx::query(COUNT).bind(id.as_str()).bind(revision).execute(&mut *tx).await?;
    known(tx, &project, &id).await
}

async fn discard(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: WorkflowId,
    expected: Expected,
) -> Result<(), Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    let current = current(&mut tx, &project, &id).await?;
    current.may_be_discarded(&id, expected)?;
    sqlx::query(DISCARD).bind(id.as_str()).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

async fn versions(
    readers: &SqlitePool,
    project: &ProjectId,
    id: &WorkflowId,
    before: Option<u32>,
    limit: u32,
) -> Result<Vec<Version>, Error> {
    let before = before.map_or(i64::MAX, i64::from);
    let query = sqlx::query_as(VERSIONS).bind(project.as_str()).bind(id.as_str()).bind(before).bind(limit);
    let rows: Vec<VersionRow> = query.fetch_all(readers).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

async fn annotate(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: WorkflowId,
    version: u32,
    note: Option<String>,
) -> Result<(), Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    current(&mut tx, &project, &id).await?;
    let noted = sqlx::query(NOTE).bind(id.as_str()).bind(version).bind(note).execute(&mut *tx).await?;
    if noted.rows_affected() == 0 {
        return Err(Error::NotFound { what: "version", id: version.to_string() });
    }
    tx.commit().await?;
    Ok(())
}

async fn rename(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: WorkflowId,
    renaming: Renaming,
) -> Result<Workflow, Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    let current = current(&mut tx, &project, &id).await?;
    let before = known(&mut tx, &project, &id).await?;
    let called = renaming.clone().applied(before.name, before.description);
    sqlx::query(RENAME)
        .bind(id.as_str())
        .bind(called.0)
        .bind(called.1)
        .bind(json(&current.renamed.and(renaming))?)
        .execute(&mut *tx)
        .await?;
    let workflow = known(&mut tx, &project, &id).await?;
    tx.commit().await?;
    Ok(workflow)
}

async fn runs(
    readers: &SqlitePool,
    project: &ProjectId,
    id: &WorkflowId,
    statuses: &[&str],
) -> Result<BTreeMap<u32, u64>, Error> {
    let mut query = QueryBuilder::<Sqlite>::new(RUNS);
    query.push_bind(id.as_str()).push(" and r.project = ").push_bind(project.as_str());
    let mut list = query.push(" and r.version is not null and r.status in (").separated(", ");
    for status in statuses {
        list.push_bind(*status);
    }
    query.push(") group by r.version");
    let rows: Vec<(u32, i64)> = query.build_query_as().fetch_all(readers).await?;
    Ok(rows.into_iter().map(|(version, runs)| (version, u64::try_from(runs).unwrap_or(0))).collect())
}

impl FromRow<'_, SqliteRow> for DraftRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self(Draft {
            revision: row.try_get("revision")?,
            base: row.try_get("base")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            definition: parsed(row, "definition")?,
            problems: parsed(row, "problems")?,
            metadata: parsed(row, "metadata")?,
            from: Provenance { author: row.try_get("author")?, note: None, source: row.try_get("source")? },
            updated_at: Timestamp(row.try_get("updated_at")?),
        }))
    }
}

impl FromRow<'_, SqliteRow> for VersionRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let hash: Option<Vec<u8>> = row.try_get("hash")?;
        let hash = match hash {
            Some(bytes) => {
                Hash(bytes.try_into().map_err(|_| sqlx::Error::Decode("a hash has 16 bytes".into()))?)
            }
            None => content::hash(&parsed::<Value>(row, "definition")?),
        };
        Ok(Self(Version {
            version: row.try_get("version")?,
            name: row.try_get("name")?,
            note: row.try_get("note")?,
            author: row.try_get("author")?,
            hash,
            problems: parsed(row, "problems")?,
            created_at: Timestamp(row.try_get("created_at")?),
        }))
    }
}

fn parsed<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    parse(&text).map_err(|error| sqlx::Error::Decode(error.into()))
}
