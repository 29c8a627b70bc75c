//! Workflows and their published versions, under the project they belong to. A version, and the rows of its nodes and edges,
//! which replace those of the version before, are one transaction. Drafts stand in `drafts`; of a workflow that has no version,
//! its draft is read as if it were one.
//!
//! `workflow_versions` has what was saved as it was. The columns that other programs read hold it as far as they can: a name
//! of 255 characters, JSON without the character 0, which Postgres has no place for; in a text it becomes `U+FFFD`.

use super::{
    PostgresCatalog,
    append::unsigned,
    link::{AsConnection, Role, Tx, within},
    moment::Moment,
    uuid_of,
    written::{json, looked_into, parse, text, without_zero},
};
use crate::{
    Definitions, DraftMark, Error, NewVersion, NewWorkflow, Provenance, Renaming, Workflow,
    definition::{self, EdgeRow, NodeRow},
    draft::Current,
    sql::LIMIT,
};
use async_trait::async_trait;
use callboard_core::{
    id::{ProjectId, WorkflowId},
    workflow::content,
};
use serde_json::Value;
use sqlx::{FromRow, Row as _, postgres::PgRow};
use uuid::Uuid;

const CREATE: &str = "
    insert into workflows (project, id, name, description, created_at, updated_at, metadata, version)
    values ($1, $2, left($3, 255), $4, $5, $5, $6::jsonb, $7)
    on conflict do nothing";

/// Whoever changes a workflow has its row to themselves.
const CURRENT: &str = "
    select w.version, w.drafts, w.renamed, d.revision, v.name, v.description,
        (select coalesce(max(o.version), 0) from workflow_versions o where o.workflow_id = w.id) as last
    from workflows w
    left join workflow_versions v on v.workflow_id = w.id and v.version = w.version
    left join workflow_drafts d on d.workflow_id = w.id
    where w.project = $1 and w.id = $2 and not w.hidden";

const LOCK: &str = "select id from workflows where project = $1 and id = $2 and not hidden for update";

const UPDATE: &str = "
    update workflows set name = left($3, 255), description = $4, updated_at = $5, metadata = $6::jsonb, version = $7, renamed = $8
    where project = $1 and id = $2";

const VERSION: &str = "
    insert into workflow_versions
        (project, workflow_id, version, name, description, definition, problems, metadata, created_at, note, author, source, hash)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

const NO_DRAFT: &str = "delete from workflow_drafts where workflow_id = $1";

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

/// The columns of `Row`, of workflows `w` with a version `v` or else a draft `d`; lists leave the documents out.
macro_rules! select {
    ($definition:literal, $source:literal, $renamed:literal, $version:literal) => {
        concat!(
            "select w.id, coalesce(v.version, 0) as version, coalesce(v.name, d.name) as name,
                case when v.version is null then d.description else v.description end as description, ",
            $definition,
            " as definition, coalesce(v.problems, d.problems) as problems, coalesce(v.metadata, d.metadata) as metadata,
                v.note, case when v.version is null then d.author else v.author end as author, ",
            $source,
            " as source, ",
            $renamed,
            " as renamed, d.revision as draft, d.problems as draft_problems,
                w.created_at, coalesce(v.created_at, d.updated_at) as updated_at, w.hidden,
                (select r.status from runs r where r.project = w.project and r.workflow_id = w.id
                    order by r.created_at desc, r.run desc limit 1) as status
            from workflows w
            left join workflow_versions v on v.workflow_id = w.id and v.version = ",
            $version,
            " left join workflow_drafts d on d.workflow_id = w.id
            where coalesce(v.version, d.revision) is not null and w.project = $1 and "
        )
    };
}

const READ: &str = concat!(
    select!(
        "coalesce(v.definition, d.definition)",
        "case when v.version is null then d.source else v.source end",
        "case when $3::integer is null then w.renamed else '{}' end",
        "coalesce($3, w.version)"
    ),
    "w.id = $2 and case when $3::integer is null then not w.hidden else v.version is not null end"
);

const LIST: &str = concat!(
    select!("'null'", "null::bytea", "w.renamed", "w.version"),
    "not w.hidden order by w.id desc limit $2"
);

const LIST_AFTER: &str = concat!(
    select!("'null'", "null::bytea", "w.renamed", "w.version"),
    "not w.hidden and w.id < $3 order by w.id desc limit $2"
);

struct Row(Workflow);

/// What is saved as a version of a workflow.
struct Saved<'a> {
    project: &'a ProjectId,
    id: Uuid,
    workflow: &'a WorkflowId,
    version: u32,
    change: &'a NewVersion,
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
    let uuid = insert(tx, &new, 1).await?;
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
    let saved = Saved { project: &project, id: uuid, workflow: &id, version: 1, change: &change };
    saved.insert(tx).await?;
    known(tx, &project, &id).await
}

/// Inserts a workflow whose latest version has this number. `Conflict` where there is one of this id.
pub(super) async fn insert<C: AsConnection>(
    tx: &mut Tx<C>,
    new: &NewWorkflow,
    version: u32,
) -> Result<Uuid, Error> {
    let uuid = uuid_of(&new.id).ok_or_else(|| no_uuid(&new.id))?;
    let create = sqlx::query(CREATE)
        .bind(new.project.as_str())
        .bind(uuid)
        .bind(text(&new.name))
        .bind(new.description.as_deref().map(text))
        .bind(Moment(new.at))
        .bind(looked_into(&new.metadata)?)
        .bind(number(version));
    match tx.execute(create).await?.rows_affected() {
        0 => Err(Error::Conflict { what: "workflow", id: new.id.to_string(), current: None }),
        _ => Ok(uuid),
    }
}

/// Saves the next version within a transaction of its project.
pub(super) async fn update<C: AsConnection>(
    tx: &mut Tx<C>,
    project: &ProjectId,
    id: &WorkflowId,
    change: NewVersion,
) -> Result<Workflow, Error> {
    let (uuid, current) = current(tx, project, id).await?;
    let (version, renamed) = current.next(id, &change)?;
    let (name, description) = renamed.clone().applied(change.name.clone(), change.description.clone());
    let update = sqlx::query(UPDATE)
        .bind(project.as_str())
        .bind(uuid)
        .bind(text(&name))
        .bind(description.as_deref().map(text))
        .bind(Moment(change.at))
        .bind(looked_into(&change.metadata)?)
        .bind(number(version))
        .bind(json(&renamed)?);
    tx.execute(update).await?;
    Saved { project, id: uuid, workflow: id, version, change: &change }.insert(tx).await?;
    if current.loses_draft(&change) {
        tx.execute(sqlx::query(NO_DRAFT).bind(uuid)).await?;
    }
    known(tx, project, id).await
}

/// Returns what a change of a workflow is made on, and keeps others from changing it. `NotFound` where there is none, or it is
/// hidden.
pub(super) async fn current<C: AsConnection>(
    tx: &mut Tx<C>,
    project: &ProjectId,
    id: &WorkflowId,
) -> Result<(Uuid, Current), Error> {
    let uuid = uuid_of(id).ok_or_else(|| missing(id))?;
    // What is joined is as it was when a statement began, so what was waited for is read by the next one.
    tx.execute(sqlx::query(LOCK).bind(project.as_str()).bind(uuid)).await?;
    let query = sqlx::query_as(CURRENT).bind(project.as_str()).bind(uuid);
    type Found = (i32, i32, String, Option<i32>, Option<String>, Option<String>, i32);
    let found: Option<Found> = tx.first(query).await?;
    let (version, drafts, renamed, draft, name, description, last) = found.ok_or_else(|| missing(id))?;
    let current = Current {
        version: unsigned(version.into())?,
        last: unsigned(last.into())?,
        drafts: unsigned(drafts.into())?,
        draft: draft.map(|draft| unsigned(draft.into())).transpose()?,
        renamed: parse(&renamed)?,
        name,
        description,
    };
    Ok((uuid, current))
}

pub(super) fn missing(id: &WorkflowId) -> Error {
    Error::NotFound { what: "workflow", id: id.to_string() }
}

/// Returns a workflow that is there, as a change has left it.
pub(super) async fn known<C: AsConnection>(
    tx: &mut Tx<C>,
    project: &ProjectId,
    id: &WorkflowId,
) -> Result<Workflow, Error> {
    let read = sqlx::query_as(READ).bind(project.as_str()).bind(uuid_of(id)).bind(None::<i32>);
    let row: Option<Row> = tx.first(read).await?;
    row.map(|row| row.0).ok_or_else(|| missing(id))
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
        let NewVersion { name, description, definition, problems, metadata, at, from, .. } = self.change;
        let version = sqlx::query(VERSION)
            .bind(self.project.as_str())
            .bind(self.id)
            .bind(number(self.version))
            .bind(text(name))
            .bind(description.as_deref().map(text))
            .bind(json(definition)?)
            .bind(json(problems)?)
            .bind(json(metadata)?)
            .bind(Moment(*at))
            .bind(from.note.as_deref().map(text))
            .bind(from.author.as_deref().map(text))
            .bind(from.source.as_deref().map(str::as_bytes))
            .bind(content::hash(definition).0.to_vec());
        tx.execute(version).await?;
        if self.version > 1 {
            tx.execute(sqlx::query(NO_EDGES).bind(self.id)).await?;
            tx.execute(sqlx::query(NO_NODES).bind(self.id)).await?;
        }
        let (nodes, edges) = definition::rows(self.workflow, self.version, definition);
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
        sqlx::query(sql).bind(self.project.as_str()).bind(self.id).bind(number(self.version))
    }
}

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let id: Uuid = row.try_get("id")?;
        let version: i32 = row.try_get("version")?;
        let created_at: Moment = row.try_get("created_at")?;
        let updated_at: Moment = row.try_get("updated_at")?;
        let renamed: Renaming = parse(row.try_get("renamed")?)?;
        let (name, description) = renamed.applied(row.try_get("name")?, row.try_get("description")?);
        let draft: (Option<i32>, Option<String>) = (row.try_get("draft")?, row.try_get("draft_problems")?);
        let draft = match draft {
            (Some(revision), Some(problems)) => {
                Some(DraftMark { revision: unsigned(revision.into())?, problems: parse(&problems)? })
            }
            (Some(_) | None, _) => None,
        };
        Ok(Self(Workflow {
            id: WorkflowId::new(id.to_string()),
            version: unsigned(version.into())?,
            name,
            description,
            definition: parse::<Value>(row.try_get("definition")?)?,
            problems: parse(row.try_get("problems")?)?,
            metadata: parse(row.try_get("metadata")?)?,
            from: Provenance {
                note: row.try_get("note")?,
                author: row.try_get("author")?,
                source: source(row)?,
            },
            draft,
            created_at: created_at.0,
            updated_at: updated_at.0,
            hidden: row.try_get("hidden")?,
            status: row.try_get("status")?,
        }))
    }
}

/// Reads the text that a definition came as.
pub(super) fn source(row: &PgRow) -> Result<Option<String>, sqlx::Error> {
    let bytes: Option<Vec<u8>> = row.try_get("source")?;
    bytes.map(String::from_utf8).transpose().map_err(|error| sqlx::Error::Decode(error.into()))
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

pub(super) fn number(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_is_no_uuid_stands_where_its_text_does() {
        let (first, second) = (Uuid::from_u128(0x1234 << 112), Uuid::from_u128(0x1235 << 112));
        let between = bound(&WorkflowId::new("12345"));
        assert!(first < between && between <= second, "{between}");
        assert!(bound(&WorkflowId::new("zzz")) > Uuid::from_u128(u128::MAX - 1));
        assert_eq!(bound(&WorkflowId::new(first.to_string())), first);
    }
}
