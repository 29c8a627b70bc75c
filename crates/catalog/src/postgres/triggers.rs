//! What starts runs by itself, and what came of it. Schedules of all projects are looked at in the engine's name; everything
//! else is asked for by a project.

use super::{
    PostgresCatalog,
    link::{AsConnection, Role, Tx, within},
    moment::Moment,
    uuid_of,
    written::text,
};
use crate::{
    Error,
    sql::{
        LIMIT, project_id, run_id, signed,
        triggers::{CHANGE, DELETE, FIRE, FORGET, IS_THERE, LAST, MAKE, MOVE, READ, REVISION, triggers},
    },
    trigger::{
        Course, FIRES, Fire, Move, NewTrigger, Next, Outcome, Sealed, Trigger, TriggerChange, TriggerKind,
        Triggers,
    },
};
use async_trait::async_trait;
use callboard_core::{
    Hash, Timestamp,
    id::{ProjectId, RunId, TriggerId, WorkflowId},
};
use sqlx::{FromRow, Row as _, postgres::PgRow};
use uuid::Uuid;

const LIST: &str = triggers!(
    "select",
    "from triggers where project = $1 and (not $2 or workflow_id = $3) and ($4::text is null or id < $4)
    order by id desc limit $5"
);

/// What another process takes at this moment is left to it.
const DUE: &str = triggers!(
    "with due as materialized (
        select project, id from triggers where look_at <= $1 order by look_at, project, id limit $3 for update skip locked
    )
    update triggers set look_at = $2 where (project, id) in (select project, id from due)
    returning",
    ""
);

struct Row(Trigger);

struct FireRow(Fire);

#[async_trait]
impl Triggers for PostgresCatalog {
    async fn make_trigger(&self, new: NewTrigger) -> Result<Trigger, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Api(&new.project)).await?;
            let made = make(&mut tx, &new).await;
            tx.end(made).await
        })
        .await?;
        Ok(NewTrigger { name: text(&new.name).into_owned(), ..new }.made())
    }

    async fn trigger(&self, project: &ProjectId, id: &TriggerId) -> Result<Option<Trigger>, Error> {
        let read = sqlx::query_as(READ).bind(project.as_str()).bind(id.as_str());
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let row: Option<Row> = tx.first(read).await?;
            tx.commit().await?;
            Ok(row.map(|row| row.0))
        })
        .await
    }

    async fn triggers(
        &self,
        project: &ProjectId,
        of: Option<&WorkflowId>,
        after: Option<&TriggerId>,
        limit: u32,
    ) -> Result<Vec<Trigger>, Error> {
        let list = sqlx::query_as(LIST)
            .bind(project.as_str())
            .bind(of.is_some())
            .bind(of.and_then(uuid_of))
            .bind(after.map(TriggerId::as_str))
            .bind(i64::from(limit.min(LIMIT)));
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let rows: Vec<Row> = tx.all(list).await?;
            tx.commit().await?;
            Ok(rows.into_iter().map(|row| row.0).collect())
        })
        .await
    }

    async fn change_trigger(
        &self,
        project: &ProjectId,
        id: &TriggerId,
        expected: u64,
        change: TriggerChange,
    ) -> Result<Trigger, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let changed = alter(&mut tx, project, id, expected, &change).await;
            tx.end(changed).await
        })
        .await
    }

    async fn delete_trigger(&self, project: &ProjectId, id: &TriggerId) -> Result<bool, Error> {
        let delete = sqlx::query(DELETE).bind(project.as_str()).bind(id.as_str());
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let deleted = tx.execute(delete).await?.rows_affected() > 0;
            tx.commit().await?;
            Ok(deleted)
        })
        .await
    }

    async fn due_triggers(&self, now: Timestamp, then: Timestamp, limit: u32) -> Result<Vec<Trigger>, Error> {
        let due = sqlx::query_as(DUE).bind(Moment(now)).bind(Moment(then)).bind(i64::from(limit.min(LIMIT)));
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let rows: Vec<Row> = tx.all(due).await?;
            tx.commit().await?;
            Ok(rows.into_iter().map(|row| row.0).collect())
        })
        .await
    }

    async fn move_triggers(&self, moves: Vec<Move>) -> Result<Vec<bool>, Error> {
        // Rows are taken in one order by whoever moves them, so that nobody waits in a circle; what is answered has the caller's.
        let mut order: Vec<usize> = (0..moves.len()).collect();
        order.sort_by(|a, b| (&moves[*a].project, &moves[*a].id).cmp(&(&moves[*b].project, &moves[*b].id)));
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let mut moved = vec![false; moves.len()];
            for n in order {
                moved[n] = move_on(&mut tx, &moves[n]).await?;
            }
            tx.commit().await?;
            Ok(moved)
        })
        .await
    }

    async fn record_fire(&self, fire: Fire) -> Result<(), Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Api(&fire.project)).await?;
            record(&mut tx, &fire).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    async fn fires(&self, project: &ProjectId, id: &TriggerId, limit: u32) -> Result<Vec<Fire>, Error> {
        let last = sqlx::query_as(LAST).bind(project.as_str()).bind(id.as_str());
        let last = last.bind(i64::from(limit.min(LIMIT)));
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let rows: Vec<FireRow> = tx.all(last).await?;
            tx.commit().await?;
            Ok(rows.into_iter().map(|row| row.0).collect())
        })
        .await
    }
}

async fn make<C: AsConnection>(tx: &mut Tx<C>, new: &NewTrigger) -> Result<(), Error> {
    let make = sqlx::query(MAKE)
        .bind(new.project.as_str())
        .bind(new.id.as_str())
        .bind(uuid_of(&new.workflow_id))
        .bind(new.kind.as_str())
        .bind(text(&new.name))
        .bind(new.settings.to_string())
        .bind(new.enabled)
        .bind(Moment(new.at))
        .bind(new.secret.as_ref().map(|secret| &secret.0[..]))
        .bind(new.made_of.as_ref().map(|hash| &hash.0[..]))
        .bind(text(&new.by))
        .bind(Moment::of(new.next_at));
    if tx.execute(make).await?.rows_affected() > 0 {
        return Ok(());
    }
    let is_there = sqlx::query_scalar(IS_THERE).bind(new.project.as_str()).bind(new.id.as_str());
    Err(match tx.scalar(is_there).await? {
        true => Error::Conflict { what: "trigger", id: new.id.to_string(), current: None },
        false => Error::NotFound { what: "workflow", id: new.workflow_id.to_string() },
    })
}

async fn alter<C: AsConnection>(
    tx: &mut Tx<C>,
    project: &ProjectId,
    id: &TriggerId,
    expected: u64,
    change: &TriggerChange,
) -> Result<Trigger, Error> {
    let (is_anew, next_at) = match change.next {
        Next::Kept => (false, None),
        Next::Anew(next_at) => (true, next_at),
    };
    let alter = sqlx::query_as(CHANGE)
        .bind(project.as_str())
        .bind(id.as_str())
        .bind(signed(expected))
        .bind(text(&change.name))
        .bind(change.settings.to_string())
        .bind(change.enabled)
        .bind(Moment(change.since))
        .bind(change.secret.as_ref().map(|secret| &secret.0[..]))
        .bind(Moment(change.at))
        .bind(is_anew)
        .bind(Moment::of(next_at));
    let changed: Option<Row> = tx.first(alter).await?;
    if let Some(Row(changed)) = changed {
        return Ok(changed);
    }
    let revision = sqlx::query_scalar(REVISION).bind(project.as_str()).bind(id.as_str());
    let revisions: Vec<i64> = tx.scalars(revision).await?;
    Err(match revisions.first() {
        Some(revision) => {
            let current = u32::try_from(*revision).ok();
            Error::Conflict { what: "trigger", id: id.to_string(), current }
        }
        None => Error::NotFound { what: "trigger", id: id.to_string() },
    })
}

async fn move_on<C: AsConnection>(tx: &mut Tx<C>, step: &Move) -> Result<bool, Error> {
    let moving = sqlx::query(MOVE)
        .bind(step.project.as_str())
        .bind(step.id.as_str())
        .bind(signed(step.revision))
        .bind(Moment::of(step.from.next_at))
        .bind(Moment::of(step.from.queued))
        .bind(Moment::of(step.to.next_at))
        .bind(Moment::of(step.to.queued))
        .bind(Moment::of(step.to.last_at))
        .bind(step.to.current_run.as_ref().map(RunId::name))
        .bind(Moment::of(step.look_at));
    let is_moved = tx.execute(moving).await?.rows_affected() > 0;
    for fire in step.fires.iter().filter(|fire| is_moved || fire.outcome == Outcome::Started) {
        record(tx, fire).await?;
    }
    Ok(is_moved)
}

async fn record<C: AsConnection>(tx: &mut Tx<C>, fire: &Fire) -> Result<(), Error> {
    let record = sqlx::query(FIRE)
        .bind(fire.project.as_str())
        .bind(fire.trigger.as_str())
        .bind(text(&fire.occasion))
        .bind(Moment(fire.at))
        .bind(fire.run.as_ref().map(RunId::name))
        .bind(fire.outcome.as_str())
        .bind(fire.code.as_deref().map(text))
        .bind(fire.detail.as_deref().map(text))
        .bind(i64::from(fire.missed));
    tx.execute(record).await?;
    let forget = sqlx::query(FORGET).bind(fire.project.as_str()).bind(fire.trigger.as_str());
    tx.execute(forget.bind(i64::from(FIRES) - 1)).await?;
    Ok(())
}

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let instant = |column| row.try_get(column).map(|at: Option<Moment>| at.map(|at| at.0));
        let always = |column| row.try_get(column).map(|at: Moment| at.0);
        let bytes = |column| row.try_get::<Option<Vec<u8>>, _>(column);
        let kind: String = row.try_get("kind")?;
        let unknown = || sqlx::Error::Decode(format!("a trigger is of the kind {kind:?}").into());
        let settings: String = row.try_get("settings")?;
        let settings = serde_json::from_str(&settings).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let project = project_id(row.try_get("project")?)?;
        let current: Option<String> = row.try_get("current_run")?;
        Ok(Self(Trigger {
            id: TriggerId::new(row.try_get::<String, _>("id")?),
            workflow_id: WorkflowId::new(row.try_get::<Uuid, _>("workflow_id")?.to_string()),
            kind: TriggerKind::parse(&kind).ok_or_else(unknown)?,
            name: row.try_get("name")?,
            settings,
            enabled: row.try_get("enabled")?,
            since: always("since")?,
            revision: u64::try_from(row.try_get::<i64, _>("revision")?).unwrap_or(0),
            secret: bytes("secret")?.map(|bytes| Sealed(bytes.into())),
            made_of: bytes("made_of")?.and_then(|bytes| bytes.try_into().ok()).map(Hash),
            created_at: always("created_at")?,
            created_by: row.try_get("created_by")?,
            updated_at: always("updated_at")?,
            course: Course {
                next_at: instant("next_at")?,
                queued: instant("queued")?,
                last_at: instant("last_at")?,
                current_run: current.map(|name| run_id(project.as_str(), &name)).transpose()?,
            },
            project,
        }))
    }
}

impl FromRow<'_, PgRow> for FireRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let outcome: String = row.try_get("outcome")?;
        let unknown = || sqlx::Error::Decode(format!("a fire has the outcome {outcome:?}").into());
        let project = project_id(row.try_get("project")?)?;
        let started: Option<String> = row.try_get("run")?;
        Ok(Self(Fire {
            trigger: TriggerId::new(row.try_get::<String, _>("trigger_id")?),
            occasion: row.try_get("occasion")?,
            at: row.try_get::<Moment, _>("at")?.0,
            run: started.map(|name| run_id(project.as_str(), &name)).transpose()?,
            outcome: Outcome::parse(&outcome).ok_or_else(unknown)?,
            code: row.try_get("code")?,
            detail: row.try_get("detail")?,
            missed: u32::try_from(row.try_get::<i64, _>("missed")?).unwrap_or(u32::MAX),
            project,
        }))
    }
}
