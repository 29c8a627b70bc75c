//! Appending to histories, many in one round trip. What may be appended, `crate::append` says.

use super::{BEGIN, COMMIT, places, run_id, signed};
use crate::{
    Append, AppendError, Entry,
    append::{self, End, Place},
    survey, words,
    writer::Count,
};
use callboard_core::{
    Hash,
    id::{RunId, WorkflowId},
};
use serde::Serialize;
use sqlx::{Row as _, SqliteConnection};
use std::collections::{HashMap, HashSet};

/// The ends of histories written lately, so that the common append needs no read.
///
/// It may be wrong if another process writes: then the unique key refuses the insert, and the writer asks again
/// with nothing remembered. Histories only grow, so it is never wrong in another way.
#[derive(Default)]
pub(super) struct Ends(HashMap<RunId, End>);

/// Ends to remember; then all are forgotten, which costs each run one read.
const ENDS: usize = 16 << 10;

/// A run is found by project and name, its history by the text that is made of them.
const LAST: &str = "
    select r.seq, h.hash from runs r join history h on h.run = $3 and h.seq = r.seq
    where r.project = $1 and r.id = $2";

const HASHES: &str = "select seq, hash from history where run = $1 and seq between $2 and $3 order by seq";

const VALUE: &str =
    "insert into run_values (run, key, value) values ($1, $2, $3) on conflict (run, key) do nothing";

/// A group's entries, rows, counts and marks: constant texts, so that they stay prepared, and one round trip for all.
///
/// `$1` is a list of `[run, seq, created_at, hash, event]`, `$2` of the columns of `runs` as named below, `$3` of
/// `[project, id, seq]`, `$4` of `[project, id, from, to]`, `$5` of `[project, id, from]` and a sum of `usage_by_day`. The runs that
/// were counted, and those marked as cleaned up, are returned, and which it was.
macro_rules! group {
    () => {
        "insert into history (run, seq, created_at, hash, event)
        select value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3), value ->> 4 from json_each($1);
    insert into runs
        (project, id, workflow_id, version, status, summary, seq, last_at, created_at, ended_at, retain_until,
        next_check_at, purging, words, place, asks)
    select
        value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
        value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15
    from json_each($2) where true
    on conflict (project, id) do update set
        workflow_id = excluded.workflow_id, version = excluded.version, status = excluded.status,
        summary = excluded.summary, seq = excluded.seq, last_at = max(last_at, excluded.last_at),
        ended_at = excluded.ended_at, retain_until = excluded.retain_until,
        next_check_at = iif(purged, next_check_at, coalesce(excluded.next_check_at, next_check_at)),
        purging = excluded.purging, asks = excluded.asks,
        words = iif(excluded.ended_at is null, words, excluded.words)
    where excluded.seq > seq or excluded.seq = seq and not purged;
    insert into usage_by_day (
        project, day, workflow_id, agent, model, calls, prompt_tokens, completion_tokens, priced_calls, cost
    )
    select
        p.value ->> 0, p.value ->> 3, p.value ->> 4, p.value ->> 5, p.value ->> 6, p.value ->> 7, p.value ->> 8,
        p.value ->> 9, p.value ->> 10, p.value ->> 11
    from json_each($5) as p
    join runs as r on r.project = p.value ->> 0 and r.id = p.value ->> 1 and r.counted_seq = p.value ->> 2
    where true
    on conflict do update set calls = calls + excluded.calls, prompt_tokens = prompt_tokens + excluded.prompt_tokens,
        completion_tokens = completion_tokens + excluded.completion_tokens,
        priced_calls = priced_calls + excluded.priced_calls, cost = cost + excluded.cost;
    update runs set counted_seq = count.value ->> 3
    from (select value from json_each($4)) as count
    where project = count.value ->> 0 and id = count.value ->> 1 and counted_seq = count.value ->> 2
    returning project, id, 1;
    update runs set cleaned_seq = seq, next_check_at = retain_until
    from (select value from json_each($3)) as mark
    where project = mark.value ->> 0 and id = mark.value ->> 1 and seq = mark.value ->> 2
    returning project, id, 0"
    };
}

const GROUP: &str = group!();

/// The same in a transaction of its own.
const WHOLE: &str = concat!("begin immediate; ", group!(), "; commit");

/// What a group writes.
#[derive(Default)]
pub(super) struct Batch<'a> {
    entries: Vec<(&'a str, u64, i64, String, &'a str)>,
    values: Vec<(&'a str, &'a str, &'a [u8])>,
    rows: Vec<Row<'a>>,
    marks: Vec<(&'a str, &'a str, u64)>,
    counts: Vec<(&'a str, &'a str, u64, u64)>,
    sums: Vec<Sum<'a>>,
    ends: HashMap<&'a RunId, End>,
}

/// In the order of the columns above.
#[derive(Serialize)]
struct Row<'a>(
    &'a str,
    &'a str,
    Option<&'a str>,
    Option<u32>,
    &'a str,
    &'a str,
    u64,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    u8,
    String,
    i64,
    String,
);

/// A part of a count: project, run, from where; then day, workflow, agent, model; then calls, tokens and money.
type Sum<'a> = (&'a str, &'a str, u64, &'a str, &'a str, &'a str, &'a str, u64, u64, u64, u64, u64);

/// The runs that were counted, and those that were marked as cleaned up.
#[derive(Default)]
pub(super) struct Written {
    pub counted: HashSet<RunId>,
    pub marked: HashSet<RunId>,
}

// === impl Batch ===

impl<'a> Batch<'a> {
    /// Adds an append if it plainly continues what is known. Otherwise the database has to be asked.
    pub fn add(&mut self, ends: &Ends, append: &'a Append) -> bool {
        let known = self.ends.get(&append.run).copied().or_else(|| ends.get(&append.run));
        append::continues(known, append) && self.take(append, End::expected_by(append), &[]).is_ok()
    }

    /// Adds an append after asking, to an empty batch; the inner error is the caller's to handle.
    pub async fn add_asking(
        &mut self,
        connection: &mut SqliteConnection,
        ends: &Ends,
        append: &'a Append,
    ) -> Result<Result<(), AppendError>, sqlx::Error> {
        let end = match ends.get(&append.run) {
            Some(end) if end == End::expected_by(append) => end,
            _ => last(connection, &append.run).await?.unwrap_or(End::START),
        };
        let recorded = match append::overlap(end, append) {
            Some(seqs) => hashes(connection, &append.run, *seqs.start(), *seqs.end()).await?,
            None => Vec::new(),
        };
        Ok(self.take(append, end, &recorded))
    }

    pub fn mark(&mut self, run: &'a RunId, seq: u64) {
        self.marks.push((run.project().as_str(), run.name(), seq));
    }

    /// Adds what a run used; false if something of it is added already, and the one must be seen by the other.
    pub fn count(&mut self, count: &'a Count) -> bool {
        let (project, run) = (count.run.project().as_str(), count.run.name());
        if self.counts.iter().any(|known| (known.0, known.1) == (project, run)) {
            return false;
        }
        self.counts.push((project, run, count.from, count.to));
        self.sums.extend(count.used.iter().map(|part| {
            let (names, used) = ((&*part.day, part.workflow(), &*part.agent, &*part.model), &part.usage);
            let (prompt, completion) = (used.prompt_tokens, used.completion_tokens);
            let (day, workflow, agent, model) = names;
            let (calls, priced, cost) = (used.calls, used.priced, used.cost);
            (project, run, count.from, day, workflow, agent, model, calls, prompt, completion, priced, cost)
        }));
        true
    }

    /// Writes it all, in a transaction of its own or in the one that is open.
    pub async fn write(
        &self,
        connection: &mut SqliteConnection,
        whole: bool,
    ) -> Result<Written, sqlx::Error> {
        let (text, inner) = if whole && self.values.is_empty() { (WHOLE, false) } else { (GROUP, whole) };
        if inner {
            sqlx::query(BEGIN).execute(&mut *connection).await?;
        }
        for (run, key, value) in &self.values {
            sqlx::query(VALUE).bind(*run).bind(*key).bind(*value).execute(&mut *connection).await?;
        }
        let query = sqlx::query(text)
            .bind(json(&self.entries)?)
            .bind(json(&self.rows)?)
            .bind(json(&self.marks)?)
            .bind(json(&self.counts)?)
            .bind(json(&self.sums)?);
        let rows = query.fetch_all(&mut *connection).await?;
        if inner {
            sqlx::query(COMMIT).execute(&mut *connection).await?;
        }
        let mut written = Written::default();
        for row in &rows {
            let is_counted: bool = row.try_get(2)?;
            let runs = if is_counted { &mut written.counted } else { &mut written.marked };
            runs.insert(run_id(row.try_get(0)?, row.try_get(1)?)?);
        }
        Ok(written)
    }

    /// Remembers the ends, once they are on disk.
    pub fn remember(self, ends: &mut Ends) {
        self.ends.into_iter().for_each(|(run, end)| ends.insert(run, end));
    }

    /// Takes what of an append is to be written to a history that ends at `end`.
    fn take(&mut self, append: &'a Append, end: End, recorded: &[(u64, Hash)]) -> Result<(), AppendError> {
        let (new, is_last): (&[Entry], bool) = match append::place(end, recorded, append) {
            Place::New(new) => (new, true),
            Place::Known => (&[], true),
            Place::Behind => (&[], false),
            Place::Nothing => return Ok(()),
            Place::Conflict => return Err(AppendError::Conflict),
            Place::Gap { last } => return Err(AppendError::Gap { last }),
        };
        let run = append.run.as_str();
        self.entries.extend(new.iter().map(|e| (run, e.seq, e.at.0, e.hash.to_string(), &*e.event)));
        self.values.extend(append.values.iter().map(|(key, value)| (run, &**key, &**value)));
        if is_last {
            self.rows.push(row(append, end));
        }
        self.ends.insert(&append.run, new.last().map_or(end, End::after));
        Ok(())
    }
}

/// Returns the row of a run whose history ended at `end`. Without a time for the next look a new run is looked at at
/// once; null leaves the time as it is.
fn row(append: &Append, end: End) -> Row<'_> {
    let row = &append.row;
    let is_first = end == End::START;
    let at_once = is_first.then_some(row.created_at);
    // In between they stay as they are.
    let words = if is_first || row.ended_at.is_some() { words::of(append) } else { String::new() };
    Row(
        append.run.project().as_str(),
        append.run.name(),
        row.workflow_id.as_ref().map(WorkflowId::as_str),
        row.version,
        &row.status,
        &row.summary,
        append.last_seq(),
        append.entries.last().map_or(row.created_at.0, |entry| entry.at.0),
        row.created_at.0,
        row.ended_at.map(|t| t.0),
        row.retain_until.map(|t| t.0),
        append.next_check_at.or(at_once).map(|t| t.0),
        row.purging.into(),
        words,
        places::of(append),
        survey::written(&row.asks),
    )
}

fn json<T: Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

async fn last(connection: &mut SqliteConnection, run: &RunId) -> Result<Option<End>, sqlx::Error> {
    let (project, name) = (run.project().as_str(), run.name());
    let query = sqlx::query_as(LAST).bind(project).bind(name).bind(run.as_str());
    let row: Option<(u64, Vec<u8>)> = query.fetch_optional(connection).await?;
    row.map(|(seq, bytes)| Ok(End { seq, hash: hash(bytes)? })).transpose()
}

async fn hashes(
    connection: &mut SqliteConnection,
    run: &RunId,
    first: u64,
    last: u64,
) -> Result<Vec<(u64, Hash)>, sqlx::Error> {
    let query = sqlx::query_as(HASHES).bind(run.as_str()).bind(signed(first)).bind(signed(last));
    let rows: Vec<(u64, Vec<u8>)> = query.fetch_all(connection).await?;
    rows.into_iter().map(|(seq, bytes)| Ok((seq, hash(bytes)?))).collect()
}

pub(super) fn hash(bytes: Vec<u8>) -> Result<Hash, sqlx::Error> {
    bytes.try_into().map(Hash).map_err(|_| sqlx::Error::Decode("a hash has another length".into()))
}

// === impl Ends ===

impl Ends {
    fn get(&self, run: &RunId) -> Option<End> {
        self.0.get(run).copied()
    }

    fn insert(&mut self, run: &RunId, end: End) {
        if let Some(known) = self.0.get_mut(run) {
            *known = end;
            return;
        }
        if self.0.len() >= ENDS {
            self.0.clear();
        }
        self.0.insert(run.clone(), end);
    }
}
