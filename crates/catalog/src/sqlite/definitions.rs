//! Workflows and their versions. A version, its node rows and its edge rows are one transaction.

use super::{BEGIN, lists};
use crate::{Error, NewVersion, NewWorkflow, Workflow, definition};
use callboard_core::{
    Timestamp,
    id::{ProjectId, WorkflowId},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{Connection, FromRow, QueryBuilder, Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};

const CREATE: &str = "
    insert into workflows (project, id, name, description, created_at, updated_at, metadata, version)
    values ($1, $2, $3, $4, $5, $5, $6, 1)
    on conflict (id) do nothing";

const CURRENT: &str =
    "select version, created_at from workflows where project = $1 and id = $2 and hidden = 0";

const UPDATE: &str = "
    update workflows set name = $3, description = $4, updated_at = $5, metadata = $6, version = $7
    where project = $1 and id = $2";

const VERSION: &str = "
    insert into workflow_versions (workflow_id, version, name, description, definition, problems, metadata, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)";

const NODE: &str = "
    insert into workflow_nodes (id, workflow_id, type, config, position, version, node, parent_id)
    values ($1, $2, $3, $4, $5, $6, $7, $8)";

const EDGE: &str = "
    insert into workflow_edges (id, workflow_id, source_id, target_id, config, version)
    values ($1, $2, $3, $4, $5, $6)";

const HIDE: &str = "update workflows set hidden = 1 where project = $1 and id = $2 and hidden = 0";

/// The columns of `Row`, of workflows `w` with a version `v`; lists leave the definition out.
macro_rules! select {
    ($definition:literal, $version:literal) => {
        concat!(
            "select w.id, v.version, v.name, v.description, ",
            $definition,
            " as definition, v.problems, v.metadata,
                w.created_at, v.created_at as updated_at, w.hidden,
                (select r.status from runs r where r.project = w.project and r.workflow_id = w.id
                    order by r.created_at desc, r.id desc limit 1) as status
            from workflows w
            join workflow_versions v on v.workflow_id = w.id and v.version = ",
            $version,
            "
            where "
        )
    };
}

const READ: &str = concat!(
    select!("v.definition", "coalesce($3, w.version)"),
    "w.project = $1 and w.id = $2 and ($3 is not null or w.hidden = 0)"
);

/// What a list takes of each workflow; `lists` says of which.
pub(super) const LISTED: &str = select!("'null'", "w.version");

struct Row {
    id: String,
    version: u32,
    name: String,
    description: Option<String>,
    definition: String,
    problems: String,
    metadata: String,
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
    let NewWorkflow { project, id, name, description, definition, problems, metadata, at } = new;
    let workflow = Workflow {
        id,
        version: 1,
        name,
        description,
        definition,
        problems,
        metadata,
        created_at: at,
        updated_at: at,
        hidden: false,
        status: None,
    };
    let inserted = sqlx::query(CREATE)
        .bind(project.as_str())
        .bind(workflow.id.as_str())
        .bind(&workflow.name)
        .bind(&workflow.description)
        .bind(at.0)
        .bind(json(&workflow.metadata)?)
        .execute(&mut *tx)
        .await?;
    if inserted.rows_affected() == 0 {
        return Err(Error::Conflict { what: "workflow", id: workflow.id.to_string(), current: None });
    }
    insert_version(tx, &workflow).await?;
    Ok(workflow)
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
    let query = sqlx::query_as(CURRENT).bind(project.as_str()).bind(id.as_str());
    let current: Option<(u32, i64)> = query.fetch_optional(&mut *tx).await?;
    let Some((version, created_at)) = current else {
        return Err(Error::NotFound { what: "workflow", id: id.to_string() });
    };
    if change.expected.is_some_and(|expected| expected != version) {
        return Err(Error::Conflict { what: "workflow", id: id.to_string(), current: Some(version) });
    }
    let version = version.saturating_add(1);
    sqlx::query(UPDATE)
        .bind(project.as_str())
        .bind(id.as_str())
        .bind(&change.name)
        .bind(&change.description)
        .bind(change.at.0)
        .bind(json(&change.metadata)?)
        .bind(version)
        .execute(&mut *tx)
        .await?;
    let workflow = Workflow {
        id,
        version,
        name: change.name,
        description: change.description,
        definition: change.definition,
        problems: change.problems,
        metadata: change.metadata,
        created_at: Timestamp(created_at),
        updated_at: change.at,
        hidden: false,
        status: None,
    };
    insert_version(tx, &workflow).await?;
    let query = sqlx::query_as(READ).bind(project.as_str()).bind(workflow.id.as_str()).bind(version);
    let row: Row = query.fetch_one(&mut *tx).await?;
    Ok(Workflow { status: row.status, ..workflow })
}

async fn insert_version(connection: &mut SqliteConnection, workflow: &Workflow) -> Result<(), Error> {
    sqlx::query(VERSION)
        .bind(workflow.id.as_str())
        .bind(workflow.version)
        .bind(&workflow.name)
        .bind(&workflow.description)
        .bind(json(&workflow.definition)?)
        .bind(json(&workflow.problems)?)
        .bind(json(&workflow.metadata)?)
        .bind(workflow.updated_at.0)
        .execute(&mut *connection)
        .await?;
    let (nodes, edges) = definition::rows(&workflow.id, workflow.version, &workflow.definition);
    for node in nodes {
        sqlx::query(NODE)
            .bind(node.id)
            .bind(workflow.id.as_str())
            .bind(node.kind)
            .bind(node.config)
            .bind(node.position)
            .bind(workflow.version)
            .bind(node.node)
            .bind(node.parent_id)
            .execute(&mut *connection)
            .await?;
    }
    for edge in edges {
        sqlx::query(EDGE)
            .bind(edge.id)
            .bind(workflow.id.as_str())
            .bind(edge.source_id)
            .bind(edge.target_id)
            .bind(edge.config)
            .bind(workflow.version)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn read(
    readers: &SqlitePool,
    project: &ProjectId,
    id: &WorkflowId,
    version: Option<u32>,
) -> Result<Option<Workflow>, Error> {
    let query = sqlx::query_as(READ).bind(project.as_str()).bind(id.as_str()).bind(version);
    let row: Option<Row> = query.fetch_optional(readers).await?;
    row.map(Workflow::try_from).transpose()
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
        Ok(Self {
            id: WorkflowId::new(row.id),
            version: row.version,
            name: row.name,
            description: row.description,
            definition: parse::<Value>(&row.definition)?,
            problems: parse(&row.problems)?,
            metadata: parse(&row.metadata)?,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            hidden: row.hidden,
            status: row.status,
        })
    }
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::Corrupt { what: "workflow", message: e.to_string() })
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|e| Error::Corrupt { what: "workflow", message: e.to_string() })
}
