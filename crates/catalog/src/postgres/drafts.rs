//! Drafts, what is said about versions, and what people call a workflow.

use super::{
    PostgresCatalog,
    append::unsigned,
    definitions::{self, current, known, number, source},
    link::{AsConnection, Role, Tx, within},
    moment::Moment,
    uuid_of,
    written::{json, parse, text},
};
use crate::{
    Draft, Drafts, Error, Expected, NewDraft, NewWorkflow, Provenance, Renaming, Version, Workflow,
    sql::LIMIT,
};
use async_trait::async_trait;
use callboard_core::{
    Hash,
    id::{ProjectId, WorkflowId},
    workflow::content,
};
use serde_json::Value;
use sqlx::{FromRow, Row as _, postgres::PgRow};
use std::collections::BTreeMap;

const READ: &str = "
    select d.revision, d.base, d.name, d.description, d.definition, d.problems, d.metadata, d.author, d.source, d.updated_at
    from workflows w
    join workflow_drafts d on d.workflow_id = w.id
    where w.project = $1 and w.id = $2 and not w.hidden";

/// The first revision of a draft says on which version it was begun.
const SAVE: &str = "
    insert into workflow_drafts
        (project, workflow_id, revision, base, name, description, definition, problems, metadata, author, source, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    on conflict (workflow_id) do update set revision = excluded.revision, name = excluded.name,
        description = excluded.description, definition = excluded.definition, problems = excluded.problems,
        metadata = excluded.metadata, author = excluded.author, source = excluded.source, updated_at = excluded.updated_at";

const COUNT: &str = "update workflows set drafts = $2 where id = $1";

const DISCARD: &str = "delete from workflow_drafts where workflow_id = $1";

/// The document is read where its hash was not kept.
const VERSIONS: &str = "
    select v.version, v.name, v.note, v.author, v.hash, case when v.hash is null then v.definition end as definition, v.problems,
        v.created_at
    from workflows w
    join workflow_versions v on v.workflow_id = w.id
    where w.project = $1 and w.id = $2 and not w.hidden and v.version < $3
    order by v.version desc limit $4";

const NOTE: &str = "update workflow_versions set note = $3 where workflow_id = $1 and version = $2";

const RENAME: &str =
    "update workflows set name = left($2, 255), description = $3, renamed = $4 where id = $1";

const RUNS: &str = "
    select r.version, count(*) from runs r
    where r.project = $1 and r.workflow_id = $2 and r.version is not null and r.status = any($3)
    group by r.version";

struct DraftRow(Draft);

struct VersionRow(Version);

#[async_trait]
impl Drafts for PostgresCatalog {
    async fn create_draft(&self, new: NewWorkflow) -> Result<Workflow, Error> {
        let project = new.project.clone();
        within(async {
            let mut tx = self.connections.begin(Role::Api(&project)).await?;
            let created = create(&mut tx, new).await;
            tx.end(created).await
        })
        .await
    }

    async fn draft(&self, project: &ProjectId, id: &WorkflowId) -> Result<Option<Draft>, Error> {
        let Some(uuid) = uuid_of(id) else { return Ok(None) };
        let query = sqlx::query_as(READ).bind(project.as_str()).bind(uuid);
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let row: Option<DraftRow> = tx.first(query).await?;
            tx.commit().await?;
            Ok(row.map(|row| row.0))
        })
        .await
    }

    async fn save_draft(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        change: NewDraft,
    ) -> Result<Workflow, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let saved = save(&mut tx, project, id, change).await;
            tx.end(saved).await
        })
        .await
    }

    async fn discard_draft(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        expected: Expected,
    ) -> Result<(), Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let discarded = discard(&mut tx, project, id, expected).await;
            tx.end(discarded).await
        })
        .await
    }

    async fn versions(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        before: Option<u32>,
        limit: u32,
    ) -> Result<Vec<Version>, Error> {
        let Some(uuid) = uuid_of(id) else { return Ok(Vec::new()) };
        let query = sqlx::query_as(VERSIONS).bind(project.as_str()).bind(uuid);
        let query = query.bind(before.map_or(i64::MAX, i64::from)).bind(i64::from(limit.min(LIMIT)));
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let rows: Vec<VersionRow> = tx.all(query).await?;
            tx.commit().await?;
            Ok(rows.into_iter().map(|row| row.0).collect())
        })
        .await
    }

    async fn note_version(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        version: u32,
        note: Option<String>,
    ) -> Result<(), Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let noted = annotate(&mut tx, project, id, version, note).await;
            tx.end(noted).await
        })
        .await
    }

    async fn rename_workflow(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        renaming: Renaming,
    ) -> Result<Workflow, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let renamed = rename(&mut tx, project, id, renaming).await;
            tx.end(renamed).await
        })
        .await
    }

    async fn runs_by_version(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        statuses: &[&str],
    ) -> Result<BTreeMap<u32, u64>, Error> {
        let Some(uuid) = uuid_of(id) else { return Ok(BTreeMap::new()) };
        let query = sqlx::query_as(RUNS).bind(project.as_str()).bind(uuid).bind(statuses);
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let rows: Vec<(i32, i64)> = tx.all(query).await?;
            tx.commit().await?;
            let counted = |(version, runs): (i32, i64)| {
                Ok((unsigned(version.into())?, u64::try_from(runs).unwrap_or_default()))
            };
            rows.into_iter().map(counted).collect()
        })
        .await
    }
}

/// Creates a workflow with a draft within a transaction of its project.
pub(super) async fn create<C: AsConnection>(tx: &mut Tx<C>, new: NewWorkflow) -> Result<Workflow, Error> {
    definitions::insert(tx, &new, 0).await?;
    let NewWorkflow { project, id, name, description, definition, problems, metadata, at, from } = new;
    let expected = Expected::NoDraft;
    let change = NewDraft { expected, name, description, definition, problems, metadata, from, at };
    save(tx, &project, &id, change).await
}

/// Saves a draft within a transaction of its project.
pub(super) async fn save<C: AsConnection>(
    tx: &mut Tx<C>,
    project: &ProjectId,
    id: &WorkflowId,
    change: NewDraft,
) -> Result<Workflow, Error> {
    let (uuid, current) = current(tx, project, id).await?;
    current.check(id, change.expected)?;
    let revision = number(current.drafts.saturating_add(1));
    let save = sqlx::query(SAVE)
        .bind(project.as_str())
        .bind(uuid)
        .bind(revision)
        .bind(number(current.version))
        .bind(text(&change.name))
        .bind(change.description.as_deref().map(text))
        .bind(json(&change.definition)?)
        .bind(json(&change.problems)?)
        .bind(json(&change.metadata)?)
        .bind(change.from.author.as_deref().map(text))
        .bind(change.from.source.as_deref().map(str::as_bytes))
        .bind(Moment(change.at));
    tx.execute(save).await?;
    tx.execute(sqlx::query(COUNT).bind(uuid).bind(revision)).await?;
    known(tx, project, id).await
}

async fn discard<C: AsConnection>(
    tx: &mut Tx<C>,
    project: &ProjectId,
    id: &WorkflowId,
    expected: Expected,
) -> Result<(), Error> {
    let (uuid, current) = current(tx, project, id).await?;
    current.may_be_discarded(id, expected)?;
    tx.execute(sqlx::query(DISCARD).bind(uuid)).await?;
    Ok(())
}

async fn annotate<C: AsConnection>(
    tx: &mut Tx<C>,
    project: &ProjectId,
    id: &WorkflowId,
    version: u32,
    note: Option<String>,
) -> Result<(), Error> {
    let (uuid, _) = current(tx, project, id).await?;
    let query = sqlx::query(NOTE).bind(uuid).bind(number(version)).bind(note.as_deref().map(text));
    match tx.execute(query).await?.rows_affected() {
        0 => Err(Error::NotFound { what: "version", id: version.to_string() }),
        _ => Ok(()),
    }
}

async fn rename<C: AsConnection>(
    tx: &mut Tx<C>,
    project: &ProjectId,
    id: &WorkflowId,
    renaming: Renaming,
) -> Result<Workflow, Error> {
    let (uuid, current) = current(tx, project, id).await?;
    let before = known(tx, project, id).await?;
    let (name, description) = renaming.clone().applied(before.name, before.description);
    let rename = sqlx::query(RENAME)
        .bind(uuid)
        .bind(text(&name))
        .bind(description.as_deref().map(text))
        .bind(json(&current.renamed.and(renaming))?);
    tx.execute(rename).await?;
    known(tx, project, id).await
}

impl FromRow<'_, PgRow> for DraftRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let [revision, base] = [row.try_get::<i32, _>("revision")?, row.try_get("base")?];
        let updated_at: Moment = row.try_get("updated_at")?;
        Ok(Self(Draft {
            revision: unsigned(revision.into())?,
            base: unsigned(base.into())?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            definition: parse::<Value>(row.try_get("definition")?)?,
            problems: parse(row.try_get("problems")?)?,
            metadata: parse(row.try_get("metadata")?)?,
            from: Provenance { author: row.try_get("author")?, note: None, source: source(row)? },
            updated_at: updated_at.0,
        }))
    }
}

impl FromRow<'_, PgRow> for VersionRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let version: i32 = row.try_get("version")?;
        let created_at: Moment = row.try_get("created_at")?;
        let hash: Option<Vec<u8>> = row.try_get("hash")?;
        let hash = match hash {
            Some(bytes) => {
                Hash(bytes.try_into().map_err(|_| sqlx::Error::Decode("a hash has 16 bytes".into()))?)
            }
            None => content::hash(&parse::<Value>(row.try_get("definition")?)?),
        };
        Ok(Self(Version {
            version: unsigned(version.into())?,
            name: row.try_get("name")?,
            note: row.try_get("note")?,
            author: row.try_get("author")?,
            hash,
            problems: parse(row.try_get("problems")?)?,
            created_at: created_at.0,
        }))
    }
}
