//! Histories, values and rows of runs: read under the run's project.
//!
//! A run is found by its `run_ids` row, which says in which month everything of it is.

use super::{
    PostgresCatalog,
    append::{hash, unsigned},
    link::{Role, within},
    lists,
    moment::Moment,
    rows::{Row, columns},
};
use crate::{
    Append, AppendError, Entry, Error, Journal, NO_HASH, RunFilter, RunRow, Tip,
    sql::{LIMIT, signed},
};
use async_trait::async_trait;
use bytes::Bytes;
use callboard_core::id::{ProjectId, RunId};
use sqlx::QueryBuilder;
use std::collections::BTreeMap;

const TIP: &str = "
    select i.seq, i.hash, a.hash, r.purged, r.purging, r.cleaned_seq
    from run_ids i
    join runs r on r.run_created_at = i.created_at and r.project = i.project and r.run = i.run
    left join history a on a.run_created_at = i.created_at and a.project = i.project and a.run = i.run and a.seq = $3
    where i.project = $1 and i.run = $2";

const HISTORY: &str = "
    select h.seq, h.at, h.hash, h.event from run_ids i
    join history h on h.run_created_at = i.created_at and h.project = i.project and h.run = i.run
    where i.project = $1 and i.run = $2 and h.seq > $3
    order by h.seq limit $4";

const VALUES: &str = "
    select v.key, v.value from run_ids i
    join run_values v on v.run_created_at = i.created_at and v.project = i.project and v.run = i.run
    where i.project = $1 and i.run = $2 and v.key = any($3)";

const RUN: &str = concat!(
    "select ",
    columns!(),
    " from run_ids i
    join runs r on r.run_created_at = i.created_at and r.project = i.project and r.run = i.run
    where i.project = $1 and i.run = $2"
);

/// Seq, its hash, the hash asked for, purged, purging, cleaned_seq.
type TipRow = (i64, Vec<u8>, Option<Vec<u8>>, bool, bool, i64);

#[async_trait]
impl Journal for PostgresCatalog {
    async fn append(&self, batch: Append) -> Result<(), AppendError> {
        self.writer.append(batch).await
    }

    async fn tip(&self, run: &RunId, at: Option<u64>) -> Result<Option<Tip>, Error> {
        let query = sqlx::query_as(TIP).bind(run.project().as_str()).bind(run.name()).bind(at.map(signed));
        let row: Option<TipRow> = within(async {
            let mut tx = self.connections.begin(Role::Api(run.project())).await?;
            let row = tx.first(query).await?;
            tx.commit().await?;
            Ok(row)
        })
        .await?;
        let Some((seq, last, recorded_at, purged, purging, cleaned_seq)) = row else { return Ok(None) };
        let hash_at = match at {
            Some(0) => Some(NO_HASH),
            _ => recorded_at.map(hash).transpose()?,
        };
        let (seq, cleaned_seq) = (unsigned(seq)?, unsigned(cleaned_seq)?);
        Ok(Some(Tip { seq, hash: hash(last)?, hash_at, purged, purging, cleaned_seq }))
    }

    async fn history(&self, run: &RunId, after: u64, limit: u32) -> Result<Vec<Entry>, Error> {
        let query = sqlx::query_as(HISTORY)
            .bind(run.project().as_str())
            .bind(run.name())
            .bind(signed(after))
            .bind(i64::from(limit.min(LIMIT)));
        let rows: Vec<(i64, Moment, Vec<u8>, String)> = within(async {
            let mut tx = self.connections.begin(Role::Api(run.project())).await?;
            let rows = tx.all(query).await?;
            tx.commit().await?;
            Ok(rows)
        })
        .await?;
        let entry = |(seq, at, bytes, event): (i64, Moment, Vec<u8>, String)| {
            Ok(Entry { seq: unsigned(seq)?, at: at.0, hash: hash(bytes)?, event })
        };
        rows.into_iter().map(entry).collect()
    }

    async fn values(&self, run: &RunId, keys: &[String]) -> Result<BTreeMap<String, Bytes>, Error> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let query = sqlx::query_as(VALUES).bind(run.project().as_str()).bind(run.name()).bind(keys);
        let rows: Vec<(String, Vec<u8>)> = within(async {
            let mut tx = self.connections.begin(Role::Api(run.project())).await?;
            let rows = tx.all(query).await?;
            tx.commit().await?;
            Ok(rows)
        })
        .await?;
        Ok(rows.into_iter().map(|(key, value)| (key, Bytes::from(value))).collect())
    }

    async fn run(&self, id: &RunId) -> Result<Option<RunRow>, Error> {
        let query = sqlx::query_as(RUN).bind(id.project().as_str()).bind(id.name());
        let row: Option<Row> = within(async {
            let mut tx = self.connections.begin(Role::Api(id.project())).await?;
            let row = tx.first(query).await?;
            tx.commit().await?;
            Ok(row)
        })
        .await?;
        Ok(row.map(|row| row.0))
    }

    async fn runs(
        &self,
        project: &ProjectId,
        filter: RunFilter,
        after: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<RunRow>, Error> {
        if after.is_some_and(|after| after.project() != project) {
            return Ok(Vec::new());
        }
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let Some(place) = lists::place(&mut tx, after).await? else {
                tx.commit().await?;
                return Ok(Vec::new());
            };
            let mut query = QueryBuilder::default();
            let rows: Vec<Row> =
                match lists::runs(&mut query, project, &filter, place.as_ref(), limit.min(LIMIT)) {
                    true => tx.all(query.build_query_as()).await?,
                    false => Vec::new(),
                };
            tx.commit().await?;
            Ok(rows.into_iter().map(|row| row.0).collect())
        })
        .await
    }
}
