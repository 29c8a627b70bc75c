//! What waits for a person, over all runs of the project.

use super::{Operations, Page, Refusal, Turn, data::Data, page::page};
use crate::access::Principal;
use callboard_catalog::{AskedPlace, AskedRow};
use callboard_core::{
    Datum, Timestamp,
    id::RunId,
    workflow::view::{Asked, AskedView},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A page of what waits for a person.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PageOfApproval")]
pub struct ApprovalsPage {
    pub items: Vec<AskedView>,
    /// Where the next page begins; null on the last.
    pub next: Option<String>,
    /// How many wait, on all pages.
    pub total: u64,
}

// === impl Operations ===

impl Operations {
    /// Returns what waits for a person, the longest first, and the room that its data takes.
    pub async fn approvals(
        &self,
        principal: &Principal,
        of: &Page,
    ) -> Result<(ApprovalsPage, Option<Turn>), Refusal> {
        let (limit, project) = (of.limit()?, &principal.project);
        let after = of.cursor.as_deref().map(|cursor| place(principal, cursor)).transpose()?;
        let rows = self.catalog.asked(project, after.as_ref(), limit + 1).await?;
        let total = self.catalog.count_asked(project).await?;
        let (rows, mut next) = page(rows, limit, |row| cursor(&row.place));
        let mut data: BTreeMap<&RunId, Data> = BTreeMap::new();
        let mut picked: Vec<(&AskedRow, Asked)> = Vec::new();
        let mut size = 0_u64;
        for row in &rows {
            // What a later version wrote is shown by it.
            let Some(asked) = read(row) else { continue };
            size = size.saturating_add(stored(&asked.input));
            if size > super::data::AT_MOST && !picked.is_empty() {
                next = picked.last().map(|(row, _)| cursor(&row.place));
                break;
            }
            data.entry(&row.place.run).or_default().want(&asked.input);
            picked.push((row, asked));
        }
        let room = self.heavy.data(size).await?;
        for (run, data) in &mut data {
            data.load(&*self.catalog, run).await?;
        }
        let shown = |(row, asked): &(&AskedRow, Asked)| {
            asked.view(&row.place.run, |reference| data.get(&row.place.run)?.content(reference))
        };
        Ok((ApprovalsPage { items: picked.iter().map(shown).collect(), next, total }, room))
    }
}

fn read(row: &AskedRow) -> Option<Asked> {
    let read = serde_json::from_str(&row.asked);
    read.inspect_err(|error| tracing::error!(run = %row.place.run, %error, "a question can't be read")).ok()
}

fn stored(datum: &Datum) -> u64 {
    match datum {
        Datum::Inline(_) => 0,
        Datum::Stored(reference) => reference.size,
    }
}

fn cursor(place: &AskedPlace) -> String {
    format!("{}.{}.{}", place.since.0, place.run.name(), place.step)
}

fn place(principal: &Principal, cursor: &str) -> Result<AskedPlace, Refusal> {
    let mut parts = cursor.splitn(3, '.');
    let place = (|| {
        let since = parts.next()?.parse().ok()?;
        let run = RunId::new(&principal.project, parts.next()?).ok()?;
        Some(AskedPlace { since: Timestamp(since), run, step: parts.next()?.to_owned() })
    })();
    place.ok_or_else(super::page::no_cursor)
}
