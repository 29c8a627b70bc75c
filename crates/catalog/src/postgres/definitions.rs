//! Workflows and their versions, under the project they belong to. A version, and the rows of its nodes and edges, which
//! replace those of the version before, are one transaction.
//!
//! `workflow_versions` has what was saved as it was. The columns that other programs read hold it as far as they can: a name
//! of 255 characters, JSON without the character 0, which Postgres has no place for; in a text it becomes `U+FFFD`.

use super::{
    PostgresCatalog,
    append::unsigned,
    link::{AsConnection, Role, Tx, within},
    moment::Moment,
    uuid_of,
};
use crate::{
    Definitions, Error, NewVersion, NewWorkflow, Workflow,
    definition::{self, EdgeRow, NodeRow},
    sql::LIMIT,
};
use async_trait::async_trait;
use callboard_core::id::{ProjectId, WorkflowId};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use sqlx::{FromRow, Row as _, postgres::PgRow};
use std::borrow::Cow;
use uuid::Uuid;

const CREATE: &str = "
    insert into workflows (project, id, name, description, created_at, updated_at, metadata, version)
    values ($1, $2, left($3, 255), $4, $5, $5, $6::jsonb, 1)
    on conflict do nothing";

const CURRENT: &str =
    "select version, created_at from workflows where project = $1 and id = $2 and not hidden for update";

const UPDATE: &str = "
    update workflows set name = left($3, 255), description = $4, updated_at = $5, metadata = $6::jsonb, version = $7
    where project = $1 and id = $2";

const VERSION: &str = "
    insert into workflow_versions (project, workflow_id, version, name, description, definition, problems, metadata, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Edges of others between our nodes go with these.
const NO_EDGES: &str = "
    delete from workflow_edges e using workflow_nodes n
    where n.workflow_id = $1 and n.node is not null and (e.source_id = n.id or e.target_id = n.id)";

const NO_NODES: &str = "delete from workflow_nodes where workflow_id = $1 and node is not null";

const NODES: &str = "
    insert into workflow_nodes (project, workflow_id, version, id, parent_id, node, type, config, position)
    select $1, $2, $3, n.id, n.parent_id, n.node, left(n.type, 50), n.config::jsonb, n.position::jsonb
    from unnest($4, $5, $6, $7, $8, $9) as n(id, parent_id, node, type, config, position)";

const EDGES: &str = "
    insert into workflow_edges (project, workflow_id, version, id, source_id, target_id, config)
    select $1, $2, $3, e.id, e.source_id, e.target_id, e.config::jsonb
    from unnest($4, $5, $6, $7) as e(id, source_id, target_id, config)";

const HIDE: &str = "update workflows set hidden = true where project = $1 and id = $2 and not hidden";

/// The columns of `Row`, of workflows `w` with a version `v`; lists leave the definition out.
macro_rules! select {
    ($definition:literal, $version:literal) => {
        concat!(
            "select w.id, v.version, v.name, v.description, ",
            $definition,
            " as definition, v.problems, v.metadata, w.created_at, v.created_at as updated_at, w.hidden,
                (select r.status from runs r where r.project = w.project and r.workflow_id = w.id
                    order by r.created_at desc, r.run desc limit 1) as status
            from workflows w
            join workflow_versions v on v.workflow_id = w.id and v.version = ",
            $version,
            " where w.project = $1 and "
        )
    };
}

const READ: &str = concat!(
    select!("v.definition", "coalesce($3, w.version)"),
    "w.id = $2 and ($3 is not null or not w.hidden)"
);

const LIST: &str = concat!(select!("'null'", "w.version"), "not w.hidden order by w.id desc limit $2");

const LIST_AFTER: &str =
    concat!(select!("'null'", "w.version"), "not w.hidden and w.id < $3 order by w.id desc limit $2");

struct Row(Workflow);

/// What is saved as a version of a workflow.
struct Saved<'a> {
    project: &'a ProjectId,
    id: Uuid,
    workflow: &'a Workflow,
}

#[async_trait]
impl Definitions for PostgresCatalog {
    async fn create_workflow(&self, new: NewWorkflow) -> Result<Workflow, Error> {
        let project = new.project.clone();
        within(async {
            let mut tx = self.connections.begin(Role::Api(&project)).await?;
            let created = create(&mut tx, new).await;
            tx.end(created).await
        })
        .await
    }

    async fn update_workflow(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        change: NewVersion,
    ) -> Result<Workflow, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let updated = update(&mut tx, project, id, change).await;
            tx.end(updated).await
        })
        .await
    }

    async fn workflow(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        version: Option<u32>,
    ) -> Result<Option<Workflow>, Error> {
        let Some(uuid) = uuid_of(id) else { return Ok(None) };
        let query = sqlx::query_as(READ).bind(project.as_str()).bind(uuid).bind(version.map(number));
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let row: Option<Row> = tx.first(query).await?;
            tx.commit().await?;
            Ok(row.map(|row| row.0))
        })
        .await
    }

    async fn hide_workflow(&self, project: &ProjectId, id: &WorkflowId) -> Result<bool, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let hidden = hide(&mut tx, project, id).await;
            tx.end(hidden).await
        })
        .await
    }

    async fn workflows(
        &self,
        project: &ProjectId,
        after: Option<&WorkflowId>,
        limit: u32,
    ) -> Result<Vec<Workflow>, Error> {
        let limit = i64::from(limit.min(LIMIT));
        let query = match after {
            None => sqlx::query_as(LIST).bind(project.as_str()).bind(limit),
            Some(after) => sqlx::query_as(LIST_AFTER).bind(project.as_str()).bind(limit).bind(bound(after)),
        };
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let rows: Vec<Row> = tx.all(query).await?;
            tx.commit().await?;
            Ok(rows.into_iter().map(|row| row.0).collect())
        })
        .await
    }
}

/// Creates a workflow within a transaction of its project.
pub(super) async fn create<C: AsConnection>(tx: &mut Tx<C>, new: NewWorkflow) -> Result<Workflow, Error> {
    let NewWorkflow { project, id, name, description, definition, problems, metadata, at } = new;
    let uuid = uuid_of(&id).ok_or_else(|| no_uuid(&id))?;
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
    let create = sqlx::query(CREATE)
        .bind(project.as_str())
        .bind(uuid)
        .bind(text(&workflow.name))
        .bind(workflow.description.as_deref().map(text))
        .bind(Moment(at))
        .bind(looked_into(&workflow.metadata)?);
    if tx.execute(create).await?.rows_affected() == 0 {
        return Err(Error::Conflict { what: "workflow", id: workflow.id.to_string(), current: None });
    }
    Saved { project: &project, id: uuid, workflow: &workflow }.insert(tx).await?;
    Ok(workflow)
}

/// Saves the next version within a transaction of its project.
pub(super) async fn update<C: AsConnection>(
    tx: &mut Tx<C>,
    project: &ProjectId,
    id: &WorkflowId,
    change: NewVersion,
) -> Result<Workflow, Error> {
    let none = || Error::NotFound { what: "workflow", id: id.to_string() };
    let uuid = uuid_of(id).ok_or_else(none)?;
    let current = sqlx::query_as(CURRENT).bind(project.as_str()).bind(uuid);
    let current: Option<(i32, Moment)> = tx.first(current).await?;
    let (version, created_at) = current.ok_or_else(none)?;
    let version: u32 = unsigned(version.into())?;
    if change.expected.is_some_and(|expected| expected != version) {
        return Err(Error::Conflict { what: "workflow", id: id.to_string(), current: Some(version) });
    }
    let workflow = Workflow {
        id: id.clone(),
        version: version.saturating_add(1),
        name: change.name,
        description: change.description,
        definition: change.definition,
        problems: change.problems,
        metadata: change.metadata,
        created_at: created_at.0,
        updated_at: change.at,
        hidden: false,
        status: None,
    };
    let update = sqlx::query(UPDATE)
        .bind(project.as_str())
        .bind(uuid)
        .bind(text(&workflow.name))
        .bind(workflow.description.as_deref().map(text))
        .bind(Moment(workflow.updated_at))
        .bind(looked_into(&workflow.metadata)?)
        .bind(number(workflow.version));
    tx.execute(update).await?;
    Saved { project, id: uuid, workflow: &workflow }.insert(tx).await?;
    let read = sqlx::query_as(READ).bind(project.as_str()).bind(uuid).bind(number(workflow.version));
    let saved: Option<Row> = tx.first(read).await?;
    Ok(Workflow { status: saved.and_then(|row| row.0.status), ..workflow })
}

/// Hides a workflow within a transaction of its project. False if there was none to hide.
pub(super) async fn hide<C: AsConnection>(
    tx: &mut Tx<C>,
    project: &ProjectId,
    id: &WorkflowId,
) -> Result<bool, Error> {
    let hide = sqlx::query(HIDE).bind(project.as_str()).bind(uuid_of(id));
    Ok(tx.execute(hide).await?.rows_affected() == 1)
}

// === impl Saved ===

impl Saved<'_> {
    async fn insert<C: AsConnection>(&self, tx: &mut Tx<C>) -> Result<(), Error> {
        let workflow = self.workflow;
        let version = sqlx::query(VERSION)
            .bind(self.project.as_str())
            .bind(self.id)
            .bind(number(workflow.version))
            .bind(text(&workflow.name))
            .bind(workflow.description.as_deref().map(text))
            .bind(json(&workflow.definition)?)
            .bind(json(&workflow.problems)?)
            .bind(json(&workflow.metadata)?)
            .bind(Moment(workflow.updated_at));
        tx.execute(version).await?;
        if workflow.version > 1 {
            tx.execute(sqlx::query(NO_EDGES).bind(self.id)).await?;
            tx.execute(sqlx::query(NO_NODES).bind(self.id)).await?;
        }
        let (nodes, edges) = definition::rows(&workflow.id, workflow.version, &workflow.definition);
        if !nodes.is_empty() {
            self.insert_nodes(tx, nodes).await?;
        }
        if !edges.is_empty() {
            self.insert_edges(tx, edges).await?;
        }
        Ok(())
    }

    async fn insert_nodes<C: AsConnection>(&self, tx: &mut Tx<C>, nodes: Vec<NodeRow>) -> Result<(), Error> {
        let ids: Vec<Option<Uuid>> = nodes.iter().map(|node| row_id(&node.id)).collect();
        let parents: Vec<Option<Uuid>> =
            nodes.iter().map(|node| node.parent_id.as_deref().and_then(row_id)).collect();
        let names: Vec<_> = nodes.iter().map(|node| text(&node.node)).collect();
        let kinds: Vec<_> = nodes.iter().map(|node| text(&node.kind)).collect();
        let configs: Vec<_> = nodes.iter().map(|node| node.config.as_deref().map(without_zero)).collect();
        let positions: Vec<_> = nodes.iter().map(|node| node.position.as_deref().map(without_zero)).collect();
        let query = self.query(NODES).bind(ids).bind(parents).bind(names).bind(kinds);
        tx.execute(query.bind(configs).bind(positions)).await?;
        Ok(())
    }

    async fn insert_edges<C: AsConnection>(&self, tx: &mut Tx<C>, edges: Vec<EdgeRow>) -> Result<(), Error> {
        let ids: Vec<Option<Uuid>> = edges.iter().map(|edge| row_id(&edge.id)).collect();
        let sources: Vec<Option<Uuid>> = edges.iter().map(|edge| row_id(&edge.source_id)).collect();
        let targets: Vec<Option<Uuid>> = edges.iter().map(|edge| row_id(&edge.target_id)).collect();
        let configs: Vec<_> = edges.iter().map(|edge| edge.config.as_deref().map(without_zero)).collect();
        tx.execute(self.query(EDGES).bind(ids).bind(sources).bind(targets).bind(configs)).await?;
        Ok(())
    }

    /// A statement whose first three parameters are whose row it is.
    fn query(
        &self,
        sql: &'static str,
    ) -> sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments> {
        sqlx::query(sql).bind(self.project.as_str()).bind(self.id).bind(number(self.workflow.version))
    }
}

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let id: Uuid = row.try_get("id")?;
        let version: i32 = row.try_get("version")?;
        let created_at: Moment = row.try_get("created_at")?;
        let updated_at: Moment = row.try_get("updated_at")?;
        Ok(Self(Workflow {
            id: WorkflowId::new(id.to_string()),
            version: unsigned(version.into())?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            definition: parse::<Value>(row.try_get("definition")?)?,
            problems: parse(row.try_get("problems")?)?,
            metadata: parse(row.try_get("metadata")?)?,
            created_at: created_at.0,
            updated_at: updated_at.0,
            hidden: row.try_get("hidden")?,
            status: row.try_get("status")?,
        }))
    }
}

fn no_uuid(id: &WorkflowId) -> Error {
    Error::Corrupt { what: "workflow", message: format!("its id `{id}` is no UUID") }
}

/// A place in the order of ids. One that is no UUID stands where its text does.
fn bound(id: &WorkflowId) -> Uuid {
    uuid_of(id).unwrap_or_else(|| {
        let smaller = |hex: &u128| Uuid::from_u128(*hex).to_string().as_str() < id.as_str();
        let mut at: u128 = 0;
        for bit in (0..128).rev().map(|n| 1_u128 << n) {
            if smaller(&(at | bit)) {
                at |= bit;
            }
        }
        Uuid::from_u128(at.saturating_add(1))
    })
}

fn row_id(id: &str) -> Option<Uuid> {
    Uuid::try_parse(id).ok()
}

fn number(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}

/// A text that Postgres can hold.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// JSON that comes back as it is.
fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::Corrupt { what: "workflow", message: e.to_string() })
}

fn looked_into(metadata: &Map<String, Value>) -> Result<String, Error> {
    Ok(without_zero(&json(metadata)?).into_owned())
}

/// The same JSON without the character 0, which `jsonb` refuses. Where the text of its escape is none, nothing is lost either.
fn without_zero(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u0000") {
        return json.into();
    }
    match serde_json::from_str::<Value>(json) {
        Ok(value) => Value::to_string(&replaced(value)).into(),
        Err(_) => "null".into(),
    }
}

fn replaced(value: Value) -> Value {
    match value {
        Value::String(string) => text(&string).into(),
        Value::Array(items) => items.into_iter().map(replaced).collect(),
        Value::Object(fields) => {
            let field = |(key, value): (String, Value)| (text(&key).into_owned(), replaced(value));
            Value::Object(fields.into_iter().map(field).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_others_look_into_has_no_character_zero() {
        assert_eq!(without_zero(r#"{"a":"b"}"#), r#"{"a":"b"}"#);
        assert_eq!(
            without_zero(r#"{"a\u0000":["\u0000", 1, null]}"#),
            "{\"a\u{fffd}\":[\"\u{fffd}\",1,null]}"
        );
        assert_eq!(without_zero(r#"{"a":"\\u0000"}"#), r#"{"a":"\\u0000"}"#, "a text about it is not it");
    }

    #[test]
    fn a_cursor_that_is_no_uuid_stands_where_its_text_does() {
        let (first, second) = (Uuid::from_u128(0x1234 << 112), Uuid::from_u128(0x1235 << 112));
        let between = bound(&WorkflowId::new("12345"));
        assert!(first < between && between <= second, "{between}");
        assert!(bound(&WorkflowId::new("zzz")) > Uuid::from_u128(u128::MAX - 1));
        assert_eq!(bound(&WorkflowId::new(first.to_string())), first);
    }
}
