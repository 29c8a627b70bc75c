//! Changes under a key, each with its answer in one transaction. Its row comes first: whoever asks for the same meanwhile waits
//! there until that transaction ends, and then finds the answer, or nothing.

use super::{
    PostgresCatalog, definitions, drafts,
    link::{AsConnection, Role, Tx, within},
    moment::Moment,
};
use crate::{Answer, Answering, Change, Error, Idempotency, Once, Request, once::REMEMBERED};
use async_trait::async_trait;
use callboard_core::Timestamp;

/// A row that is too old counts for nothing, whether it was forgotten or not. One that counts is locked and left.
const CLAIM: &str = "
    insert into answers (project, route, key, body, status, headers, answer, at)
    values ($1, $2, $3, $4, 0, '', '', $5)
    on conflict (project, route, key)
        do update set body = excluded.body, status = 0, headers = '', answer = '', at = excluded.at
        where answers.at <= $6";

const KEEP: &str = "
    update answers set status = $4, headers = $5, answer = $6 where project = $1 and route = $2 and key = $3";

const READ: &str = "
    select body, status, headers, answer from answers where project = $1 and route = $2 and key = $3 and at > $4";

/// What another process is about to forget, or to replace, is left to it.
const FORGET: &str = "
    delete from answers where (project, route, key) in
        (select project, route, key from answers where at < $1 order by at limit $2 for update skip locked)";

#[async_trait]
impl Idempotency for PostgresCatalog {
    async fn answered(&self, request: &Request) -> Result<Option<Once>, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Api(&request.project)).await?;
            let found = read(&mut tx, request).await;
            tx.end(found).await
        })
        .await
    }

    async fn once(&self, request: Request, change: Change, answer: Answering) -> Result<Once, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Api(&request.project)).await?;
            let done = once(&mut tx, &request, change, answer).await;
            tx.end(done).await
        })
        .await
    }

    async fn forget_answers(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let forgotten =
                tx.execute(sqlx::query(FORGET).bind(Moment(before)).bind(i64::from(limit))).await?;
            tx.commit().await?;
            Ok(forgotten.rows_affected())
        })
        .await
    }
}

async fn once<C: AsConnection>(
    tx: &mut Tx<C>,
    request: &Request,
    change: Change,
    answer: Answering,
) -> Result<Once, Error> {
    let claim = sqlx::query(CLAIM)
        .bind(request.project.as_str())
        .bind(request.route)
        .bind(&request.key)
        .bind(&request.body.0[..])
        .bind(Moment(request.at))
        .bind(since(request));
    if tx.execute(claim).await?.rows_affected() == 0 {
        let gone = || Error::Corrupt { what: "answer", message: "it is there and can't be read".to_owned() };
        return read(tx, request).await?.ok_or_else(gone);
    }
    let changed = match change {
        Change::CreateWorkflow(new) => Some(definitions::create(tx, new).await?),
        Change::CreateDraft(new) => Some(drafts::create(tx, new).await?),
        Change::SaveDraft { project, id, change } => Some(drafts::save(tx, &project, &id, change).await?),
        Change::UpdateWorkflow { project, id, change } => {
            Some(definitions::update(tx, &project, &id, change).await?)
        }
        Change::HideWorkflow { project, id } => {
            if !definitions::hide(tx, &project, &id).await? {
                return Err(Error::NotFound { what: "workflow", id: id.to_string() });
            }
            None
        }
    };
    let answer = answer(changed.as_ref());
    let headers = serde_json::to_string(&answer.headers)
        .map_err(|e| Error::Corrupt { what: "answer", message: e.to_string() })?;
    let keep = sqlx::query(KEEP)
        .bind(request.project.as_str())
        .bind(request.route)
        .bind(&request.key)
        .bind(i32::from(answer.status))
        .bind(headers)
        .bind(&answer.body[..]);
    tx.execute(keep).await?;
    Ok(Once::Made(answer))
}

async fn read<C: AsConnection>(tx: &mut Tx<C>, request: &Request) -> Result<Option<Once>, Error> {
    let query = sqlx::query_as(READ).bind(request.project.as_str()).bind(request.route).bind(&request.key);
    let row: Option<(Vec<u8>, i32, String, Vec<u8>)> = tx.first(query.bind(since(request))).await?;
    let Some((body, status, headers, answer)) = row else { return Ok(None) };
    if body != request.body.0 {
        return Ok(Some(Once::Reused));
    }
    let corrupt = |message: String| Error::Corrupt { what: "answer", message };
    let headers = serde_json::from_str(&headers).map_err(|e| corrupt(e.to_string()))?;
    let status = u16::try_from(status).map_err(|e| corrupt(e.to_string()))?;
    Ok(Some(Once::Known(Answer { status, headers, body: answer.into() })))
}

/// Answers that are older are not remembered.
fn since(request: &Request) -> Moment {
    Moment(Timestamp(request.at.0.saturating_sub(i64::try_from(REMEMBERED.0).unwrap_or(i64::MAX))))
}
