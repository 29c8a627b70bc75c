//! Appending to a history inside an open transaction: what is there must agree, what is new must continue it.

use super::{signed, unsigned};
use crate::{Append, AppendError, Entry, NO_HASH};
use callboard_core::Hash;
use sqlx::SqliteConnection;
use std::collections::HashMap;

/// The ends of histories written lately, so that the common append needs no read.
///
/// It may be wrong if another process writes: then the unique key refuses the insert, and the writer asks again
/// with nothing remembered. Histories only grow, so it is never wrong in another way.
#[derive(Default)]
pub(super) struct Ends(HashMap<String, End>);

#[derive(Clone, Copy, PartialEq)]
struct End {
    seq: u64,
    hash: Hash,
}

/// Ends to remember; then all are forgotten, which costs each run one read.
const ENDS: usize = 16 << 10;

const LAST: &str =
    "select r.seq, h.hash from runs r join history h on h.run = r.id and h.seq = r.seq where r.id = $1";

const HASHES: &str = "select seq, hash from history where run = $1 and seq between $2 and $3 order by seq";

const ENTRY: &str = "insert into history (run, seq, created_at, hash, event) values ($1, $2, $3, $4, $5)";

const VALUE: &str =
    "insert into run_values (run, key, value) values ($1, $2, $3) on conflict (run, key) do nothing";

const RUN: &str = "
    insert into runs
        (id, workflow_id, version, status, summary, seq, created_at, ended_at, retain_until, next_check_at, purging)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, $7), $11)
    on conflict (id) do update set
        workflow_id = excluded.workflow_id, version = excluded.version, status = excluded.status,
        summary = excluded.summary, seq = excluded.seq, ended_at = excluded.ended_at,
        retain_until = excluded.retain_until, next_check_at = coalesce($10, next_check_at),
        purging = excluded.purging
    where excluded.seq >= seq and not purged";

const CLEANED: &str =
    "update runs set cleaned_seq = seq, next_check_at = retain_until where id = $1 and seq = $2";

/// Appends; the inner error is the caller's to handle and leaves the transaction as it was.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    ends: &mut Ends,
    append: &Append,
) -> Result<Result<(), AppendError>, sqlx::Error> {
    let base = End { seq: append.first_seq - 1, hash: append.prev_hash };
    let end = match ends.get(&append.run) {
        Some(end) if end == base => end,
        // Not the common case, or nothing remembered: ask.
        _ => last(connection, &append.run).await?.unwrap_or(End { seq: 0, hash: NO_HASH }),
    };
    let new = match compare(connection, append, base, end).await? {
        Ok(new) => new,
        Err(e) => return Ok(Err(e)),
    };
    if append.last_seq() == 0 {
        // Neither a history nor entries: there is no run to project.
        return Ok(Ok(()));
    }
    for entry in new {
        sqlx::query(ENTRY)
            .bind(&append.run)
            .bind(signed(entry.seq))
            .bind(entry.at.0)
            .bind(entry.hash.0.to_vec())
            .bind(&entry.event)
            .execute(&mut *connection)
            .await?;
    }
    for (key, value) in &append.values {
        sqlx::query(VALUE).bind(&append.run).bind(key).bind(value.to_vec()).execute(&mut *connection).await?;
    }
    project(connection, append).await?;
    let end = new.last().map_or(end, |entry| End { seq: entry.seq, hash: entry.hash });
    ends.insert(&append.run, end);
    Ok(Ok(()))
}

/// Returns the entries that are new, or why they can't follow.
async fn compare<'a>(
    connection: &mut SqliteConnection,
    append: &'a Append,
    base: End,
    end: End,
) -> Result<Result<&'a [Entry], AppendError>, sqlx::Error> {
    if base == end {
        return Ok(Ok(&append.entries));
    }
    if base.seq > end.seq {
        return Ok(Err(AppendError::Gap { last: end.seq }));
    }
    let mut expected: Vec<(u64, Hash)> = append.entries.iter().map(|e| (e.seq, e.hash)).collect();
    if base.seq > 0 {
        expected.insert(0, (base.seq, base.hash));
    } else if base.hash != NO_HASH {
        return Ok(Err(AppendError::Conflict));
    }
    let recorded: Vec<(i64, Vec<u8>)> = sqlx::query_as(HASHES)
        .bind(&append.run)
        .bind(signed(base.seq))
        .bind(signed(append.last_seq()))
        .fetch_all(connection)
        .await?;
    let agrees = recorded
        .iter()
        .zip(&expected)
        .all(|((seq, hash), (want, wanted))| unsigned(*seq) == *want && hash[..] == wanted.0);
    if !agrees {
        return Ok(Err(AppendError::Conflict));
    }
    let old = usize::try_from(end.seq - base.seq).unwrap_or(usize::MAX);
    Ok(Ok(append.entries.get(old..).unwrap_or_default()))
}

async fn last(connection: &mut SqliteConnection, run: &str) -> Result<Option<End>, sqlx::Error> {
    let row: Option<(i64, Vec<u8>)> = sqlx::query_as(LAST).bind(run).fetch_optional(connection).await?;
    row.map(|(seq, bytes)| Ok(End { seq: unsigned(seq), hash: hash(bytes)? })).transpose()
}

async fn project(connection: &mut SqliteConnection, append: &Append) -> Result<(), sqlx::Error> {
    let row = &append.row;
    sqlx::query(RUN)
        .bind(&append.run)
        .bind(&row.workflow_id)
        .bind(row.version)
        .bind(&row.status)
        .bind(&row.summary)
        .bind(signed(append.last_seq()))
        .bind(row.created_at.0)
        .bind(row.ended_at.map(|t| t.0))
        .bind(row.retain_until.map(|t| t.0))
        .bind(append.next_check_at.map(|t| t.0))
        .bind(row.purging)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn mark_cleaned(
    connection: &mut SqliteConnection,
    run: &str,
    seq: u64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(CLEANED).bind(run).bind(signed(seq)).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

pub(super) fn hash(bytes: Vec<u8>) -> Result<Hash, sqlx::Error> {
    bytes.try_into().map(Hash).map_err(|_| sqlx::Error::Decode("a hash has another length".into()))
}

// === impl Ends ===

impl Ends {
    fn get(&self, run: &str) -> Option<End> {
        self.0.get(run).copied()
    }

    fn insert(&mut self, run: &str, end: End) {
        if let Some(known) = self.0.get_mut(run) {
            *known = end;
            return;
        }
        if self.0.len() >= ENDS {
            self.0.clear();
        }
        self.0.insert(run.to_owned(), end);
    }
}
