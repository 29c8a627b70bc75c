//! What starts runs by itself, and what came of it.

use super::{BEGIN, SqliteCatalog};
use crate::{
    Error,
    sql::{
        LIMIT, project_id, run_id, signed,
        triggers::{CHANGE, DELETE, FIRE, FORGET, IS_THERE, LAST, MAKE, MOVE, READ, REVISION},
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
use sqlx::{Connection, Row as _, SqliteConnection, sqlite::SqliteRow};

const LIST: &str = "
    select * from triggers
    where project = $1 and ($2 is null or workflow_id = $2) and ($3 is null or id < $3) order by id desc limit $4";

const ANY: &str = "select exists (select 1 from triggers where look_at <= $1)";

const DUE: &str = "
    update triggers set look_at = $2
    where rowid in (select rowid from triggers where look_at <= $1 order by look_at, project, id limit $3)
    returning *";

#[async_trait]
impl Triggers for SqliteCatalog {
    async fn make_trigger(&self, new: NewTrigger) -> Result<Trigger, Error> {
        self.writer.job(move |c| Box::pin(make(c, new))).await
    }

    async fn trigger(&self, project: &ProjectId, id: &TriggerId) -> Result<Option<Trigger>, Error> {
        let read_it = sqlx::query(READ).bind(project.as_str()).bind(id.as_str());
        read_it.fetch_optional(&self.readers).await?.as_ref().map(read).transpose()
    }

    async fn triggers(
        &self,
        project: &ProjectId,
        of: Option<&WorkflowId>,
        after: Option<&TriggerId>,
        limit: u32,
    ) -> Result<Vec<Trigger>, Error> {
        let list = sqlx::query(LIST).bind(project.as_str()).bind(of.map(WorkflowId::as_str));
        let list = list.bind(after.map(TriggerId::as_str)).bind(limit.min(LIMIT));
        list.fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    async fn change_trigger(
        &self,
        project: &ProjectId,
        id: &TriggerId,
        expected: u64,
        change: TriggerChange,
    ) -> Result<Trigger, Error> {
        let (project, id) = (project.clone(), id.clone());
        self.writer.job(move |c| Box::pin(alter(c, project, id, expected, change))).await
    }

    async fn delete_trigger(&self, project: &ProjectId, id: &TriggerId) -> Result<bool, Error> {
        let (project, id) = (project.clone(), id.clone());
        self.writer
            .job(move |c| {
                Box::pin(async move {
                    let delete = sqlx::query(DELETE).bind(project.as_str()).bind(id.as_str());
                    Ok(delete.execute(c).await?.rows_affected() > 0)
                })
            })
            .await
    }

    async fn due_triggers(&self, now: Timestamp, then: Timestamp, limit: u32) -> Result<Vec<Trigger>, Error> {
        // Most of the time there is none, and nothing is written.
        let any: bool = sqlx::query_scalar(ANY).bind(now.0).fetch_one(&self.readers).await?;
        if !any {
            return Ok(Vec::new());
        }
        let limit = limit.min(LIMIT);
        self.writer
            .job(move |c| {
                Box::pin(async move {
                    let due = sqlx::query(DUE).bind(now.0).bind(then.0).bind(limit);
                    due.fetch_all(c).await?.iter().map(read).collect()
                })
            })
            .await
    }

    async fn move_triggers(&self, moves: Vec<Move>) -> Result<Vec<bool>, Error> {
        self.writer.job(move |c| Box::pin(move_on(c, moves))).await
    }

    async fn record_fire(&self, fire: Fire) -> Result<(), Error> {
        self.writer
            .job(move |c| {
                Box::pin(async move {
                    let mut tx = c.begin_with(BEGIN).await?;
                    record(&mut tx, &fire).await?;
                    tx.commit().await?;
                    Ok(())
                })
            })
            .await
    }

    async fn fires(&self, project: &ProjectId, id: &TriggerId, limit: u32) -> Result<Vec<Fire>, Error> {
        let last = sqlx::query(LAST).bind(project.as_str()).bind(id.as_str()).bind(limit.min(LIMIT));
        last.fetch_all(&self.readers).await?.iter().map(read_fire).collect()
    }
}

async fn make(connection: &mut SqliteConnection, new: NewTrigger) -> Result<Trigger, Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    let made = sqlx::query(MAKE)
        .bind(new.project.as_str())
        .bind(new.id.as_str())
        .bind(new.workflow_id.as_str())
        .bind(new.kind.as_str())
        .bind(&new.name)
        .bind(new.settings.to_string())
        .bind(new.enabled)
        .bind(new.at.0)
        .bind(new.secret.as_ref().map(|secret| &secret.0[..]))
        .bind(new.made_of.as_ref().map(|hash| &hash.0[..]))
        .bind(&new.by)
        .bind(new.next_at.map(|at| at.0))
        .execute(&mut *tx)
        .await?;
    if made.rows_affected() == 0 {
        let is_there = sqlx::query_scalar(IS_THERE).bind(new.project.as_str()).bind(new.id.as_str());
        return Err(match is_there.fetch_one(&mut *tx).await? {
            true => Error::Conflict { what: "trigger", id: new.id.to_string(), current: None },
            false => Error::NotFound { what: "workflow", id: new.workflow_id.to_string() },
        });
    }
    tx.commit().await?;
    Ok(new.made())
}

async fn alter(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: TriggerId,
    expected: u64,
    change: TriggerChange,
) -> Result<Trigger, Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    let (is_anew, next_at) = match change.next {
        Next::Kept => (false, None),
        Next::Anew(next_at) => (true, next_at),
    };
    let alter = sqlx::query(CHANGE)
        .bind(project.as_str())
        .bind(id.as_str())
        .bind(signed(expected))
        .bind(&change.name)
        .bind(change.settings.to_string())
        .bind(change.enabled)
        .bind(change.since.0)
        .bind(change.secret.as_ref().map(|secret| &secret.0[..]))
        .bind(change.at.0)
        .bind(is_anew)
        .bind(next_at.map(|at| at.0));
    if let Some(row) = alter.fetch_optional(&mut *tx).await? {
        let changed = read(&row)?;
        tx.commit().await?;
        return Ok(changed);
    }
    let revision = sqlx::query_scalar(REVISION).bind(project.as_str()).bind(id.as_str());
    let revision: Option<i64> = revision.fetch_optional(&mut *tx).await?;
    Err(match revision {
        Some(revision) => {
            let current = u32::try_from(revision).ok();
            Error::Conflict { what: "trigger", id: id.to_string(), current }
        }
        None => Error::NotFound { what: "trigger", id: id.to_string() },
    })
}

async fn move_on(connection: &mut SqliteConnection, moves: Vec<Move>) -> Result<Vec<bool>, Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    let mut moved = Vec::with_capacity(moves.len());
    for step in &moves {
        let at = |at: Option<Timestamp>| at.map(|at| at.0);
        let done = sqlx::query(MOVE)
            .bind(step.project.as_str())
            .bind(step.id.as_str())
            .bind(signed(step.revision))
            .bind(at(step.from.next_at))
            .bind(at(step.from.queued))
            .bind(at(step.to.next_at))
            .bind(at(step.to.queued))
            .bind(at(step.to.last_at))
            .bind(step.to.current_run.as_ref().map(RunId::name))
            .bind(at(step.look_at))
            .execute(&mut *tx)
            .await?;
        let is_moved = done.rows_affected() > 0;
        for fire in step.fires.iter().filter(|fire| is_moved || fire.outcome == Outcome::Started) {
            record(&mut tx, fire).await?;
        }
        moved.push(is_moved);
    }
    tx.commit().await?;
    Ok(moved)
}

async fn record(tx: &mut SqliteConnection, fire: &Fire) -> Result<(), Error> {
    sqlx::query(FIRE)
        .bind(fire.project.as_str())
        .bind(fire.trigger.as_str())
        .bind(&fire.occasion)
        .bind(fire.at.0)
        .bind(fire.run.as_ref().map(RunId::name))
        .bind(fire.outcome.as_str())
        .bind(&fire.code)
        .bind(&fire.detail)
        .bind(fire.missed)
        .execute(&mut *tx)
        .await?;
    let forget = sqlx::query(FORGET).bind(fire.project.as_str()).bind(fire.trigger.as_str());
    forget.bind(FIRES - 1).execute(&mut *tx).await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Result<Trigger, Error> {
    let corrupt = |message: String| Error::Corrupt { what: "trigger", message };
    let instant = |name: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(name)?.map(Timestamp));
    let kind: String = row.try_get("kind")?;
    let settings: String = row.try_get("settings")?;
    let current: Option<String> = row.try_get("current_run")?;
    let project = project_id(row.try_get("project")?)?;
    Ok(Trigger {
        id: TriggerId::new(row.try_get::<String, _>("id")?),
        workflow_id: WorkflowId::new(row.try_get::<String, _>("workflow_id")?),
        kind: TriggerKind::parse(&kind).ok_or_else(|| corrupt(format!("it is of the kind {kind:?}")))?,
        name: row.try_get("name")?,
        settings: serde_json::from_str(&settings).map_err(|error| corrupt(error.to_string()))?,
        enabled: row.try_get("enabled")?,
        since: Timestamp(row.try_get("since")?),
        revision: u64::try_from(row.try_get::<i64, _>("revision")?).unwrap_or(0),
        secret: row.try_get::<Option<Vec<u8>>, _>("secret")?.map(|bytes| Sealed(bytes.into())),
        made_of: row.try_get::<Option<Vec<u8>>, _>("made_of")?.and_then(hash),
        created_at: Timestamp(row.try_get("created_at")?),
        created_by: row.try_get("created_by")?,
        updated_at: Timestamp(row.try_get("updated_at")?),
        course: Course {
            next_at: instant("next_at")?,
            queued: instant("queued")?,
            last_at: instant("last_at")?,
            current_run: current.map(|name| run_id(project.as_str(), &name)).transpose()?,
        },
        project,
    })
}

fn read_fire(row: &SqliteRow) -> Result<Fire, Error> {
    let project = project_id(row.try_get("project")?)?;
    let started: Option<String> = row.try_get("run")?;
    let outcome: String = row.try_get("outcome")?;
    let corrupt = || Error::Corrupt { what: "fire", message: format!("its outcome is {outcome:?}") };
    Ok(Fire {
        trigger: TriggerId::new(row.try_get::<String, _>("trigger_id")?),
        occasion: row.try_get("occasion")?,
        at: Timestamp(row.try_get("at")?),
        run: started.map(|name| run_id(project.as_str(), &name)).transpose()?,
        outcome: Outcome::parse(&outcome).ok_or_else(corrupt)?,
        code: row.try_get("code")?,
        detail: row.try_get("detail")?,
        missed: row.try_get("missed")?,
        project,
    })
}

fn hash(bytes: Vec<u8>) -> Option<Hash> {
    bytes.try_into().ok().map(Hash)
}
