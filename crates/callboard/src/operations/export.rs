//! A run as one file: the run, and its whole history with the data that it names. It is read page by page, so that its size is
//! nobody's memory.

use super::{Operations, Refusal, RunItem, Trace, history::Batch};
use crate::access::Principal;
use bytes::Bytes;
use callboard_core::{id::RunId, workflow::view::EventView};
use futures::{Stream, stream};
use schemars::JsonSchema;

/// What the file is; another form of it gets another name.
const FORMAT: &str = "callboard.run.1";
/// Events read at once.
const ENTRIES: u32 = 200;

/// The file.
#[derive(Debug, JsonSchema)]
pub struct ExportedRun {
    /// `callboard.run.1`.
    pub format: String,
    pub run: RunItem,
    pub events: Vec<EventView>,
}

/// Where an export stands.
struct Export {
    operations: Operations,
    run: RunId,
    /// The last event that is told, and the last one of all.
    after: u64,
    end: u64,
    /// What is said before the next events; nothing once all is said.
    open: Option<String>,
}

// === impl Operations ===

impl Operations {
    /// Returns the pieces of the file, as far as the run was when it was asked for. A piece that is an error cuts the file.
    pub async fn export_run(
        &self,
        principal: &Principal,
        trace: &Trace,
        run: &RunId,
    ) -> Result<impl Stream<Item = Result<Bytes, Refusal>> + Send + use<>, Refusal> {
        principal.owns(run)?;
        self.runs.caught_up(trace, run).await?;
        let row = self.runs.row(run).await?;
        let shown = text(&self.runs.recorded(&row).await?)?;
        let open = Some(format!("{{\"format\":\"{FORMAT}\",\"run\":{shown},\"events\":["));
        let export = Export { operations: self.clone(), run: run.clone(), after: 0, end: row.seq, open };
        Ok(stream::try_unfold(export, Export::next))
    }
}

fn text(value: &impl serde::Serialize) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "an export can't be written");
        Refusal::internal()
    })
}

// === impl Export ===

impl Export {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Refusal> {
        let Some(mut piece) = self.open.take() else { return Ok(None) };
        let Operations { catalog, heavy, .. } = &self.operations;
        let mut entries = catalog.history(&self.run, self.after, ENTRIES).await?;
        entries.retain(|entry| entry.seq <= self.end);
        if entries.is_empty() {
            return Ok(Some((Bytes::from(piece + "]}\n"), self)));
        }
        let batch = Batch::of(&self.run, &entries, super::feed::BATCH_BYTES);
        let _room = heavy.data(batch.bytes).await?;
        let (items, _) = batch.show(&**catalog, &self.run).await?;
        for item in &items {
            if self.after > 0 {
                piece.push_str(",\n");
            }
            piece.push_str(&text(item)?);
            self.after = item.seq;
        }
        self.open = Some(String::new());
        Ok(Some((Bytes::from(piece), self)))
    }
}
