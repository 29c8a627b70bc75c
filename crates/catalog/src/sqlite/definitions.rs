//! Workflows and their published versions. A version, its node rows and its edge rows are one transaction. Drafts stand in
//! `drafts`; of a workflow that has no version, its draft is read as if it were one.

use super::{BEGIN, lists};
use crate::{
    DraftMark, Error, NewVersion, NewWorkflow, Provenance, Renaming, Workflow, definition, draft::Current,
};
use callboard_core::{
    Timestamp,
    id::{ProjectId, WorkflowId},
    workflow::content,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{
    Connection, FromRow, QueryBuilder, Row as _, SqliteConnection, SqliteExecutor, SqlitePool,
    sqlite::SqliteRow,
};

const CREATE: &str = "
    insert into workflows (project, id, name, description, created_at, updated_at, metadata, version)
    values ($1, $2, $3, $4, $5, $5, $6, $7)
    on conflict (id) do nothing";

const CURRENT: &str = "
    select w.version, w.drafts, w.renamed, d.revision, v.name, v.description,
        (select coalesce(max(o.version), 0) from workflow_versions o where o.workflow_id = w.id) as last
    from workflows w
    left join workflow_versions v on v.workflow_id = w.id and v.version = w.version
    left join workflow_drafts d on d.workflow_id = w.id
    where w.project = $1 and w.id = $2 and w.hidden = 0";

const UPDATE: &str = "
    update workflows set name = $3, description = $4, updated_at = $5, metadata = $6, version = $7, renamed = $8
    where project = $1 and id = $2";

const VERSION: &str = "
    insert into workflow_versions
        (workflow_id, version, name, description, definition, problems, metadata, created_at, note, author, source, hash)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

const NODE: &str = "
    insert into workflow_nodes (id, workflow_id, type, config, position, version, node, parent_id)
    values ($1, $2, $3, $4, $5, $6, $7, $8)";

const EDGE: &str = "
    insert into workflow_edges (id, workflow_id, source_id, target_id, config, version)
    values ($1, $2, $3, $4, $5, $6)";

const NO_DRAFT: &str = "delete from workflow_drafts where workflow_id = $1";

const HIDE: &str = "update workflows set hidden = 1 where project = $1 and id = $2 and hidden = 0";

/// The columns of `Row`, of workflows `w` with a version `v` or else a draft `d`; lists leave the documents out.
macro_rules! select {
    ($definition:literal, $source:literal, $renamed:literal, $version:literal) => {
        concat!(
            "select w.id, coalesce(v.version, 0) as version, coalesce(v.name, d.name) as name,
                iif(v.version is null, d.description, v.description) as description, ",
            $definition,
            " as definition, coalesce(v.problems, d.problems) as problems, coalesce(v.metadata, d.metadata) as metadata,
                v.note, iif(v.version is null, d.author, v.author) as author, ",
            $source,
            " as source, ",
            $renamed,
            " as renamed, d.revision as draft, d.problems as draft_problems,
                w.created_at, coalesce(v.created_at, d.updated_at) as updated_at, w.hidden,
                (select r.status from runs r where r.project = w.project and r.workflow_id = w.id
                    order by r.created_at desc, r.id desc limit 1) as status
            from workflows w
            left join workflow_versions v on v.workflow_id = w.id and v.version = ",
            $version,
            "
            left join workflow_drafts d on d.workflow_id = w.id
            where "
        )
    };
}

const READ: &str = concat!(
    select!(
        "coalesce(v.definition, d.definition)",
        "iif(v.version is null, d.source, v.source)",
        "iif($3 is null, w.renamed, '{}')",
        "coalesce($3, w.version)"
    ),
    "w.project = $1 and w.id = $2
        and iif($3 is null, w.hidden = 0 and coalesce(v.version, d.revision) is not null, v.version is not null)"
);

/// What a list takes of each workflow; `lists` says of which.
pub(super) const LISTED: &str = concat!(
    select!("'null'", "null", "w.renamed", "w.version"),
    "coalesce(v.version, d.revision) is not null and"
);

struct Row {
    id: String,
    version: u32,
    name: String,
    description: Option<String>,
    definition: String,
    problems: String,
    metadata: String,
    from: Provenance,
    renamed: String,
    draft: Option<u32>,
    draft_problems: Option<String>,
    created_at: i64,
    updated_at: i64,
    hidden: bool,
    status: Option<String>,
}

impl FromRow<'_, SqliteRow> for Row {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            version: row.try_get("version")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            definition: row.try_get("definition")?,
            problems: row.try_get("problems")?,
            metadata: row.try_get("metadata")?,
            from: Provenance {
                author: row.try_get("author")?,
                note: row.try_get("note")?,
                source: row.try_get("source")?,
            },
            renamed: row.try_get("renamed")?,
            draft: row.try_get("draft")?,
            draft_problems: row.try_get("draft_problems")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            hidden: row.try_get("hidden")?,
            status: row.try_get("status")?,
        })
    }
}

pub(super) async fn create(connection: &mut SqliteConnection, new: NewWorkflow) -> Result<Workflow, Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    let workflow = create_within(&mut tx, new).await?;
    tx.commit().await?;
    Ok(workflow)
}

/// The same, within somebody's transaction.
pub(super) async fn create_within(tx: &mut SqliteConnection, new: NewWorkflow) -> Result<Workflow, Error> {
    insert(tx, &new, 1).await?;
    let NewWorkflow { project, id, name, description, definition, problems, metadata, at, from } = new;
    let change = NewVersion {
        expected: None,
        name,
        description,
        definition,
        problems,
        metadata,
        at,
        from,
        publishes: None,
    };
    insert_version(tx, &id, 1, &change).await?;
    known(tx, &project, &id).await
}

/// Inserts a workflow whose latest version has this number. `Conflict` where there is one of this id.
pub(super) async fn insert(tx: &mut SqliteConnection, new: &NewWorkflow, version: u32) -> Result<(), Error> {
    let inserted = sqlx::query(CREATE)
        .bind(new.project.as_str())
        .bind(new.id.as_str())
        .bind(&new.name)
        .bind(&new.description)
        .bind(new.at.0)
        .bind(json(&new.metadata)?)
        .bind(version)
        .execute(&mut *tx)
        .await?;
    match inserted.rows_affected() {
        0 => Err(Error::Conflict { what: "workflow", id: new.id.to_string(), current: None }),
        _ => Ok(()),
    }
}

pub(super) async fn update(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: WorkflowId,
    change: NewVersion,
) -> Result<Workflow, Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    let workflow = update_within(&mut tx, project, id, change).await?;
    tx.commit().await?;
    Ok(workflow)
}

/// The same, within somebody's transaction.
pub(super) async fn update_within(
    tx: &mut SqliteConnection,
    project: ProjectId,
    id: WorkflowId,
    change: NewVersion,
) -> Result<Workflow, Error> {
    let current = current(tx, &project, &id).await?;
    let (version, renamed) = current.next(&id, &change)?;
    let called = renamed.clone().applied(change.name.clone(), change.description.clone());
    sqlx::query(UPDATE)
        .bind(project.as_str())
        .bind(id.as_str())
        .bind(called.0)
        .bind(called.1)
        .bind(change.at.0)
        .bind(json(&change.metadata)?)
        .bind(version)
        .bind(json(&renamed)?)
        .execute(&mut *tx)
        .await?;
    insert_version(tx, &id, version, &change).await?;
    if current.loses_draft(&change) {
        sqlx::query(NO_DRAFT).bind(id.as_str()).execute(&mut *tx).await?;
    }
    known(tx, &project, &id).await
}

/// Returns what a change of a workflow is made on. `NotFound` where there is none, or it is hidden.
pub(super) async fn current(
    tx: &mut SqliteConnection,
    project: &ProjectId,
    id: &WorkflowId,
) -> Result<Current, Error> {
    let query = sqlx::query(CURRENT).bind(project.as_str()).bind(id.as_str());
    let Some(row) = query.fetch_optional(&mut *tx).await? else { return Err(missing(id)) };
    let renamed: String = row.try_get("renamed")?;
    Ok(Current {
        version: row.try_get("version")?,
        last: row.try_get("last")?,
        drafts: row.try_get("drafts")?,
        draft: row.try_get("revision")?,
        renamed: parse(&renamed)?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
    })
}

pub(super) fn missing(id: &WorkflowId) -> Error {
    Error::NotFound { what: "workflow", id: id.to_string() }
}

async fn insert_version(
    connection: &mut SqliteConnection,
    id: &WorkflowId,
    version: u32,
    change: &NewVersion,
) -> Result<(), Error> {
    sqlx::query(VERSION)
        .bind(id.as_str())
        .bind(version)
        .bind(&change.name)
        .bind(&change.description)
        .bind(json(&change.definition)?)
        .bind(json(&change.problems)?)
        .bind(json(&change.metadata)?)
        .bind(change.at.0)
        .bind(&change.from.note)
        .bind(&change.from.author)
        .bind(&change.from.source)
        .bind(content::hash(&change.definition).0.to_vec())
        .execute(&mut *connection)
        .await?;
    let (nodes, edges) = definition::rows(id, version, &change.definition);
    for node in nodes {
        sqlx::query(NODE)
            .bind(node.id)
            .bind(id.as_str())
            .bind(node.kind)
            .bind(node.config)
            .bind(node.position)
            .bind(version)
            .bind(node.node)
            .bind(node.parent_id)
            .execute(&mut *connection)
            .await?;
    }
    for edge in edges {
        sqlx::query(EDGE)
            .bind(edge.id)
            .bind(id.as_str())
            .bind(edge.source_id)
            .bind(edge.target_id)
            .bind(edge.config)
            .bind(version)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn read(
    from: impl SqliteExecutor<'_>,
    project: &ProjectId,
    id: &WorkflowId,
    version: Option<u32>,
) -> Result<Option<Workflow>, Error> {
    let query = sqlx::query_as(READ).bind(project.as_str()).bind(id.as_str()).bind(version);
    let row: Option<Row> = query.fetch_optional(from).await?;
    row.map(Workflow::try_from).transpose()
}

/// Returns a workflow that is there, as a change has left it.
pub(super) async fn known(
    tx: &mut SqliteConnection,
    project: &ProjectId,
    id: &WorkflowId,
) -> Result<Workflow, Error> {
    read(tx, project, id, None).await?.ok_or_else(|| missing(id))
}

pub(super) async fn list(
    readers: &SqlitePool,
    project: &ProjectId,
    after: Option<&WorkflowId>,
    limit: u32,
) -> Result<Vec<Workflow>, Error> {
    let mut query = QueryBuilder::default();
    lists::workflows(&mut query, LISTED, project, after, limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(readers).await?;
    rows.into_iter().map(Workflow::try_from).collect()
}

pub(super) async fn hide(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: WorkflowId,
) -> Result<bool, Error> {
    let query = sqlx::query(HIDE).bind(project.as_str()).bind(id.as_str());
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

impl TryFrom<Row> for Workflow {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let renamed: Renaming = parse(&row.renamed)?;
        let (name, description) = renamed.applied(row.name, row.description);
        let draft = match (row.draft, row.draft_problems) {
            (Some(revision), Some(problems)) => Some(DraftMark { revision, problems: parse(&problems)? }),
            (Some(_) | None, _) => None,
        };
        Ok(Self {
            id: WorkflowId::new(row.id),
            version: row.version,
            name,
            description,
            definition: parse::<Value>(&row.definition)?,
            problems: parse(&row.problems)?,
            metadata: parse(&row.metadata)?,
            from: row.from,
            draft,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            hidden: row.hidden,
            status: row.status,
        })
    }
}

pub(super) fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::Corrupt { what: "workflow", message: e.to_string() })
}

pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|e| Error::Corrupt { what: "workflow", message: e.to_string() })
}
