//! The audit: only added to, and forgotten when it is old enough. Triggers and rights hold both.

use super::{
    PostgresCatalog,
    append::unsigned,
    link::{Role, within},
    moment::Moment,
    written::text,
};
use crate::{
    Error,
    access::{AUDIT_KEPT, AuditEntry, AuditRow, Refused},
    sql::{project_id, signed},
};
use callboard_core::{Hash, Timestamp, id::ProjectId};
use sqlx::{FromRow, Row as _, postgres::PgRow};

/// Rows forgotten at once.
const FORGOTTEN: i64 = 5000;

/// In the order given, which their numbers keep.
const RECORD: &str = "
    insert into audit (at, project, subject, via, route, object, before, after, code, source)
    select e.at, e.project, e.subject, e.via, e.route, e.object, e.before, e.after, e.code, e.source
    from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) with ordinality
        as e(at, project, subject, via, route, object, before, after, code, source, n)
    order by e.n
    on conflict (source, code, at) where code is not null do nothing";

const LIST: &str = "
    select seq, at, project, subject, via, route, object, before, after, code, source from audit
    where project = $1 and ($2::bigint is null or seq < $2) order by seq desc limit $3";

/// By the server's clock, too: a host whose own is ahead forgets nothing early.
const FORGET: &str = "
    delete from audit where seq in
        (select seq from audit where at < least($1, now() - interval '400 days') order by at limit $2)";

struct Row(AuditRow);

impl PostgresCatalog {
    pub(super) async fn record_audit(&self, entries: Vec<AuditEntry>) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let texts = |of: fn(&AuditEntry) -> &str| -> Vec<String> {
            entries.iter().map(|entry| text(of(entry)).into_owned()).collect()
        };
        let some = |of: fn(&AuditEntry) -> Option<&str>| -> Vec<Option<String>> {
            entries.iter().map(|entry| of(entry).map(|of| text(of).into_owned())).collect()
        };
        let hashes = |of: fn(&AuditEntry) -> Option<Hash>| -> Vec<Option<Vec<u8>>> {
            entries.iter().map(|entry| of(entry).map(|hash| hash.0.to_vec())).collect()
        };
        let at: Vec<Moment> = entries.iter().map(|entry| Moment(entry.recorded_at())).collect();
        let record = sqlx::query(RECORD)
            .bind(at)
            .bind(texts(|entry| entry.project.as_str()))
            .bind(texts(|entry| &entry.subject))
            .bind(texts(|entry| &entry.via))
            .bind(texts(|entry| &entry.route))
            .bind(some(|entry| entry.object.as_deref()))
            .bind(hashes(|entry| entry.before))
            .bind(hashes(|entry| entry.after))
            .bind(some(|entry| entry.refused.as_ref().map(|refused| refused.code.as_str())))
            .bind(some(|entry| entry.refused.as_ref().map(|refused| refused.source.as_str())));
        within(async {
            let mut tx = self.connections.begin(Role::Access).await?;
            tx.execute(record).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    pub(super) async fn list_audit(
        &self,
        project: &ProjectId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, Error> {
        let list =
            sqlx::query_as(LIST).bind(project.as_str()).bind(before.map(signed)).bind(i64::from(limit));
        within(async {
            let mut tx = self.connections.begin(Role::Access).await?;
            let rows: Vec<Row> = tx.all(list).await?;
            tx.commit().await?;
            Ok(rows.into_iter().map(|row| row.0).collect())
        })
        .await
    }

    pub(super) async fn forget_old_audit(&self, now: Timestamp) -> Result<u64, Error> {
        let before = now.0.saturating_sub(i64::try_from(AUDIT_KEPT.0).unwrap_or(i64::MAX));
        let forget = sqlx::query(FORGET).bind(Moment(Timestamp(before))).bind(FORGOTTEN);
        within(async {
            let mut tx = self.connections.begin(Role::Access).await?;
            let forgotten = tx.execute(forget).await?.rows_affected();
            tx.commit().await?;
            Ok(forgotten)
        })
        .await
    }
}

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let hash = |name: &str| {
            let bytes = row.try_get::<Option<Vec<u8>>, _>(name)?;
            Ok::<_, sqlx::Error>(bytes.and_then(|bytes| bytes.try_into().ok()).map(Hash))
        };
        let (code, source): (Option<String>, Option<String>) = (row.try_get("code")?, row.try_get("source")?);
        let at: Moment = row.try_get("at")?;
        Ok(Self(AuditRow {
            seq: unsigned(row.try_get("seq")?)?,
            entry: AuditEntry {
                at: at.0,
                project: project_id(row.try_get("project")?)?,
                subject: row.try_get("subject")?,
                via: row.try_get("via")?,
                route: row.try_get("route")?,
                object: row.try_get("object")?,
                before: hash("before")?,
                after: hash("after")?,
                refused: code.zip(source).map(|(code, source)| Refused { code, source }),
            },
        }))
    }
}
