//! Documents that many runs share, by their hash, and when they go.

use super::{
    PostgresCatalog,
    link::{Role, within},
    moment::Moment,
};
use crate::{Error, PIN_LEAD, Pins};
use async_trait::async_trait;
use bytes::Bytes;
use callboard_core::{Hash, Timestamp, id::ProjectId};

const KEEP: &str = "
    insert into pins (project, hash, document, used_at) values ($1, $2, $3, $4)
    on conflict (project, hash) do update set used_at = greatest(pins.used_at, excluded.used_at)";

const READ: &str = "select document from pins where project = $1 and hash = $2";

const UNUSED: &str = "select exists (select 1 from pins where project = $1 and used_at < $2)";

/// In the order of the index, so that it ends at the first.
const OLDEST: &str = "
    select created_at from runs where project = $1 and not purged order by created_at, run limit 1";

const FORGET: &str = "delete from pins where project = $1 and used_at < $2";

#[async_trait]
impl Pins for PostgresCatalog {
    async fn keep_pin(
        &self,
        project: &ProjectId,
        hash: Hash,
        document: Bytes,
        at: Timestamp,
    ) -> Result<(), Error> {
        let query = sqlx::query(KEEP).bind(project.as_str()).bind(&hash.0[..]);
        let query = query.bind(&document[..]).bind(Moment(at));
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            tx.execute(query).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    async fn pin(&self, project: &ProjectId, hash: Hash) -> Result<Option<Bytes>, Error> {
        let query = sqlx::query_as(READ).bind(project.as_str()).bind(&hash.0[..]);
        let document: Option<(Vec<u8>,)> = within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let document = tx.first(query).await?;
            tx.commit().await?;
            Ok(document)
        })
        .await?;
        Ok(document.map(|(document,)| Bytes::from(document)))
    }

    async fn forget_pins(&self, project: &ProjectId, now: Timestamp) -> Result<u64, Error> {
        let lead = i64::try_from(PIN_LEAD.0).unwrap_or(i64::MAX);
        let before = now.0.saturating_sub(lead);
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let unused = sqlx::query_scalar(UNUSED).bind(project.as_str()).bind(Moment(Timestamp(before)));
            let mut gone = 0;
            if tx.scalar(unused).await? {
                let oldest = sqlx::query_as(OLDEST).bind(project.as_str());
                let oldest: Option<(Moment,)> = tx.first(oldest).await?;
                let needed = oldest.map_or(before, |(at,)| before.min(at.0.0.saturating_sub(lead)));
                let forget = sqlx::query(FORGET).bind(project.as_str()).bind(Moment(Timestamp(needed)));
                gone = tx.execute(forget).await?.rows_affected();
            }
            tx.commit().await?;
            Ok(gone)
        })
        .await
    }
}
