//! Who changed what, and who was refused, in a project.

use super::{Items, Operations, Page, Refusal, page::page};
use crate::access::Principal;
use callboard_catalog::AuditRow;
use schemars::JsonSchema;
use serde::Serialize;

/// A row of the audit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub struct AuditLine {
    pub seq: u64,
    /// Of a refusal its minute: of one kind one is written down in each.
    pub at: String,
    /// Who it was.
    pub subject: String,
    /// `none`, `key`, `token` or `own`.
    pub via: String,
    /// Method and path, as in this description.
    pub route: String,
    /// The id of what was changed.
    pub object: Option<String>,
    /// The content before and after a change, by its hash.
    pub before: Option<String>,
    pub after: Option<String>,
    /// Of a refusal: why.
    pub code: Option<String>,
    /// Of a refusal: whence it came, an address or who it was.
    pub source: Option<String>,
}

// === impl Operations ===

impl Operations {
    /// Returns a page of the project's audit, newest first.
    pub async fn audit(&self, principal: &Principal, of: &Page) -> Result<Items<AuditLine>, Refusal> {
        let limit = of.limit()?;
        let before = of.cursor.is_some().then(|| of.place()).transpose()?;
        // What was done before this was asked is in it.
        self.access.trail().flushed().await;
        let rows = self.access.store().audit(&principal.project, before, limit + 1).await?;
        let (rows, next) = page(rows, limit, |row| row.seq.to_string());
        Ok(Items { items: rows.into_iter().map(AuditLine::from).collect(), next })
    }
}

impl From<AuditRow> for AuditLine {
    fn from(AuditRow { seq, entry }: AuditRow) -> Self {
        let (code, source) = entry.refused.map(|refused| (refused.code, refused.source)).unzip();
        Self {
            seq,
            at: entry.at.to_string(),
            subject: entry.subject,
            via: entry.via,
            route: entry.route,
            object: entry.object,
            before: entry.before.map(|hash| hash.to_string()),
            after: entry.after.map(|hash| hash.to_string()),
            code,
            source,
        }
    }
}
