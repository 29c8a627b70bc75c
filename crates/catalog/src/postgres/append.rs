//! Appending to the histories of many runs in one statement. What may be appended, `crate::append` says.
//!
//! Where a history ends is a row of `run_ids`, and the statement moves it on by compare-and-swap: an update waits for one
//! that is under way and then looks at the row again, so it needs no lock before and no look after. A run that does not
//! continue its history is missing in the answer; nothing of it is written, and its neighbours are in. The missing ones
//! are asked about, one by one.

use super::{
    link::{AsConnection, Tx},
    moment::Moment,
    uuid_of,
};
use crate::{
    Append, AppendError, Entry,
    append::{self, End, Place},
    sql::{run_id, signed},
    survey, words,
};
use callboard_core::{Hash, id::RunId};
use std::collections::HashSet;
use uuid::Uuid;

/// How often a run is asked about that others append to meanwhile.
const TRIES: u32 = 8;

/// `$1` to `$16` have an element for each run: whose it is, where its history ended and ends, its row. `$17` to `$21` are
/// entries, `$22` to `$24` values, each with its run's place among those.
/// `$25` and `$26` are of runs again: words, and what waits for a person. The places of runs that continued are returned.
///
/// A run's first append makes its `run_ids` row, whose `created_at` is the month of everything of it. The row of a purged run
/// follows its history; when to look at it again stays.
const APPEND: &str = "
    with batch as materialized (
        select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $25, $26) with ordinality
            as b(project, run, base_seq, base_hash, seq, hash, created_at, workflow_id, version, status, summary, last_at,
                ended_at, retain_until, next_check_at, purging, words, asks, n)
        order by project, run
    ), begun as (
        insert into run_ids (project, run, seq, hash)
        select project, run, seq, hash from batch where base_seq = 0
        on conflict do nothing
        returning project, run, created_at
    ), moved as (
        update run_ids t set seq = b.seq, hash = b.hash
        from (select * from batch where base_seq > 0) b
        where t.project = b.project and t.run = b.run and t.seq = b.base_seq and t.hash = b.base_hash
        returning t.project, t.run, t.created_at
    ), ok as materialized (
        select b.*, o.created_at as run_created_at
        from batch b join (select * from begun union all select * from moved) o using (project, run)
    ), h as (
        insert into history (run_created_at, project, run, seq, at, hash, event)
        select o.run_created_at, o.project, o.run, e.seq, e.at, e.hash, e.event
        from unnest($17, $18, $19, $20, $21) as e(n, seq, at, hash, event) join ok o using (n)
    ), v as (
        insert into run_values (run_created_at, project, run, key, value)
        select o.run_created_at, o.project, o.run, v.key, v.value
        from unnest($22, $23, $24) as v(n, key, value) join ok o using (n)
        on conflict do nothing
    ), r as (
        insert into runs (run_created_at, project, run, created_at, workflow_id, version, status, summary, seq, last_at,
            ended_at, retain_until, next_check_at, purging, asks)
        select run_created_at, project, run, created_at, workflow_id, version, status, summary, seq, last_at, ended_at,
            retain_until, case when base_seq = 0 then coalesce(next_check_at, created_at) else next_check_at end, purging,
            asks
        from ok
        on conflict (run_created_at, project, run) do update set
            workflow_id = excluded.workflow_id, version = excluded.version, status = excluded.status,
            summary = excluded.summary, seq = excluded.seq, last_at = greatest(runs.last_at, excluded.last_at),
            ended_at = excluded.ended_at, retain_until = excluded.retain_until, purging = excluded.purging,
            asks = excluded.asks,
            next_check_at = case when runs.purged then runs.next_check_at
                else coalesce(excluded.next_check_at, runs.next_check_at) end
        where not runs.purged or excluded.seq > runs.seq
        returning run_created_at, project, run, created_at
    ), w as (
        insert into run_words (run_created_at, project, run, created_at, words)
        select run_created_at, project, run, r.created_at, array_to_tsvector(string_to_array(o.words, ' '))
        from r join ok o using (run_created_at, project, run)
        where o.base_seq = 0 or o.ended_at is not null
        on conflict (run_created_at, project, run) do update set words = excluded.words
        where run_words.words <> excluded.words
    )
    select n from ok";

/// Values alone: of an append that the history has left behind.
const VALUES: &str = "
    insert into run_values (run_created_at, project, run, key, value)
    select i.created_at, i.project, i.run, v.key, v.value
    from run_ids i cross join unnest($3, $4) as v(key, value)
    where i.project = $1 and i.run = $2
    on conflict do nothing";

const LAST: &str = "select seq, hash from run_ids where project = $1 and run = $2";

const HASHES: &str = "
    select h.seq, h.hash from run_ids i
    join history h on h.run_created_at = i.created_at and h.project = i.project and h.run = i.run
    where i.project = $1 and i.run = $2 and h.seq between $3 and $4
    order by h.seq";

const CLEANED: &str = "
    update runs r set cleaned_seq = r.seq, next_check_at = r.retain_until
    from unnest($1, $2, $3) as m(project, run, seq) join run_ids i using (project, run)
    where r.run_created_at = i.created_at and r.project = i.project and r.run = i.run and r.seq = m.seq
    returning r.project, r.run";

/// What a statement writes: one list for each of its columns.
#[derive(Default)]
pub(super) struct Batch<'a> {
    project: Vec<&'a str>,
    run: Vec<&'a str>,
    base_seq: Vec<i64>,
    base_hash: Vec<&'a [u8]>,
    seq: Vec<i64>,
    hash: Vec<&'a [u8]>,
    created_at: Vec<Moment>,
    workflow: Vec<Option<Uuid>>,
    version: Vec<Option<i32>>,
    status: Vec<&'a str>,
    summary: Vec<&'a str>,
    last_at: Vec<Moment>,
    ended_at: Vec<Option<Moment>>,
    retain_until: Vec<Option<Moment>>,
    next_check_at: Vec<Option<Moment>>,
    purging: Vec<bool>,
    words: Vec<String>,
    asks: Vec<String>,
    entries: Entries<'a>,
    values: Values<'a>,
}

#[derive(Default)]
struct Entries<'a> {
    n: Vec<i64>,
    seq: Vec<i64>,
    at: Vec<Moment>,
    hash: Vec<&'a [u8]>,
    event: Vec<&'a str>,
}

#[derive(Default)]
struct Values<'a> {
    n: Vec<i64>,
    key: Vec<&'a str>,
    value: Vec<&'a [u8]>,
}

/// Whether an append says itself where its history ends, so that it can be tried without asking.
pub(super) fn is_plain(append: &Append) -> bool {
    append.first_seq > 1 || append::continues(None, append)
}

// === impl Batch ===

impl<'a> Batch<'a> {
    /// Adds entries to a history that ends where `append` says.
    pub fn add(&mut self, append: &'a Append) {
        let base = (signed(append.first_seq.saturating_sub(1)), &append.prev_hash);
        self.take(append, base, &append.entries);
    }

    /// Adds those entries that follow a history's end.
    fn take(&mut self, append: &'a Append, (base_seq, base_hash): (i64, &'a Hash), new: &'a [Entry]) {
        let row = &append.row;
        self.project.push(append.run.project().as_str());
        self.run.push(append.run.name());
        self.base_seq.push(base_seq);
        self.base_hash.push(&base_hash.0);
        self.seq.push(new.last().map_or(base_seq, |entry| signed(entry.seq)));
        self.hash.push(new.last().map_or(&base_hash.0, |entry| &entry.hash.0));
        self.created_at.push(Moment(row.created_at));
        self.workflow.push(row.workflow_id.as_ref().and_then(uuid_of));
        self.version.push(row.version.map(|version| i32::try_from(version).unwrap_or(i32::MAX)));
        self.status.push(&row.status);
        self.summary.push(&row.summary);
        self.last_at.push(Moment(append.entries.last().map_or(row.created_at, |entry| entry.at)));
        self.ended_at.push(Moment::of(row.ended_at));
        self.retain_until.push(Moment::of(row.retain_until));
        self.next_check_at.push(Moment::of(append.next_check_at));
        self.purging.push(row.purging);
        self.words.push(words::of(append));
        self.asks.push(survey::written(&row.asks));
        let n = signed(self.run.len() as u64);
        for entry in new {
            self.entries.n.push(n);
            self.entries.seq.push(signed(entry.seq));
            self.entries.at.push(Moment(entry.at));
            self.entries.hash.push(&entry.hash.0);
            self.entries.event.push(&entry.event);
        }
        for (key, value) in &append.values {
            self.values.n.push(n);
            self.values.key.push(key);
            self.values.value.push(value);
        }
    }

    /// Writes it all. Returns the places, from 1, of those runs that continued their history.
    pub async fn write<C: AsConnection>(self, tx: &mut Tx<C>) -> Result<HashSet<i64>, sqlx::Error> {
        if self.run.is_empty() {
            return Ok(HashSet::new());
        }
        let query = sqlx::query_scalar(APPEND)
            .bind(self.project)
            .bind(self.run)
            .bind(self.base_seq)
            .bind(self.base_hash)
            .bind(self.seq)
            .bind(self.hash)
            .bind(self.created_at)
            .bind(self.workflow)
            .bind(self.version)
            .bind(self.status)
            .bind(self.summary)
            .bind(self.last_at)
            .bind(self.ended_at)
            .bind(self.retain_until)
            .bind(self.next_check_at)
            .bind(self.purging)
            .bind(self.entries.n)
            .bind(self.entries.seq)
            .bind(self.entries.at)
            .bind(self.entries.hash)
            .bind(self.entries.event)
            .bind(self.values.n)
            .bind(self.values.key)
            .bind(self.values.value)
            .bind(self.words)
            .bind(self.asks);
        Ok(tx.scalars(query).await?.into_iter().collect())
    }
}

/// Appends to one history after asking where it ends; the inner error is the caller's to handle.
pub(super) async fn ask<C: AsConnection>(
    tx: &mut Tx<C>,
    append: &Append,
) -> Result<Result<(), AppendError>, sqlx::Error> {
    for _ in 0..TRIES {
        let end = last(tx, &append.run).await?.unwrap_or(End::START);
        let recorded = match append::overlap(end, append) {
            Some(seqs) => hashes(tx, &append.run, *seqs.start(), *seqs.end()).await?,
            None => Vec::new(),
        };
        let new = match append::place(end, &recorded, append) {
            Place::New(new) => new,
            Place::Known => &[],
            Place::Behind => return Ok(Ok(values(tx, append).await?)),
            Place::Nothing => return Ok(Ok(())),
            Place::Conflict => return Ok(Err(AppendError::Conflict)),
            Place::Gap { last } => return Ok(Err(AppendError::Gap { last })),
        };
        let mut batch = Batch::default();
        batch.take(append, (signed(end.seq), &end.hash), new);
        if !batch.write(tx).await?.is_empty() {
            return Ok(Ok(()));
        }
        // Somebody appended in between.
    }
    Ok(Err(AppendError::Unavailable("others append to the same history".into())))
}

/// Marks runs as cleaned up whose history still ends there, and returns them.
pub(super) async fn cleaned<C: AsConnection>(
    tx: &mut Tx<C>,
    marks: &[(&RunId, u64)],
) -> Result<HashSet<RunId>, sqlx::Error> {
    if marks.is_empty() {
        return Ok(HashSet::new());
    }
    let projects: Vec<&str> = marks.iter().map(|(run, _)| run.project().as_str()).collect();
    let names: Vec<&str> = marks.iter().map(|(run, _)| run.name()).collect();
    let seqs: Vec<i64> = marks.iter().map(|(_, seq)| signed(*seq)).collect();
    let query = sqlx::query_as(CLEANED).bind(projects).bind(names).bind(seqs);
    let rows: Vec<(String, String)> = tx.all(query).await?;
    rows.iter().map(|(project, name)| run_id(project, name)).collect()
}

async fn last<C: AsConnection>(tx: &mut Tx<C>, run: &RunId) -> Result<Option<End>, sqlx::Error> {
    let query = sqlx::query_as(LAST).bind(run.project().as_str()).bind(run.name());
    let row: Option<(i64, Vec<u8>)> = tx.first(query).await?;
    row.map(|(seq, bytes)| Ok(End { seq: unsigned(seq)?, hash: hash(bytes)? })).transpose()
}

async fn hashes<C: AsConnection>(
    tx: &mut Tx<C>,
    run: &RunId,
    first: u64,
    last: u64,
) -> Result<Vec<(u64, Hash)>, sqlx::Error> {
    let query = sqlx::query_as(HASHES).bind(run.project().as_str()).bind(run.name());
    let rows: Vec<(i64, Vec<u8>)> = tx.all(query.bind(signed(first)).bind(signed(last))).await?;
    rows.into_iter().map(|(seq, bytes)| Ok((unsigned(seq)?, hash(bytes)?))).collect()
}

async fn values<C: AsConnection>(tx: &mut Tx<C>, append: &Append) -> Result<(), sqlx::Error> {
    let (keys, values): (Vec<&str>, Vec<&[u8]>) =
        append.values.iter().map(|(key, value)| (key.as_str(), value.as_ref())).unzip();
    let (project, name) = (append.run.project().as_str(), append.run.name());
    tx.execute(sqlx::query(VALUES).bind(project).bind(name).bind(keys).bind(values)).await?;
    Ok(())
}

pub(super) fn hash(bytes: Vec<u8>) -> Result<Hash, sqlx::Error> {
    bytes.try_into().map(Hash).map_err(|_| sqlx::Error::Decode("a hash has another length".into()))
}

/// No number of ours is negative.
pub(super) fn unsigned<T: TryFrom<i64>>(n: i64) -> Result<T, sqlx::Error> {
    T::try_from(n).map_err(|_| sqlx::Error::Decode(format!("{n} can't be one of these numbers").into()))
}
