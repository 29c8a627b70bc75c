//! A run as it is drawn over its definition: one answer for all its steps.

use super::{Fields, Operations, Query, Refusal, Trace, data::Data, history::event};
use crate::access::Principal;
use callboard_core::{
    Problem,
    id::RunId,
    workflow::{
        What,
        view::{Overlay, OverlayView},
    },
};
use schemars::JsonSchema;
use serde::Serialize;

/// Entries of a history read at once. More than that to fold takes a place.
const ENTRIES: u32 = 1000;
/// Unreadable events that are named.
const NAMED: usize = 100;

/// Which of a run's generations is shown.
#[derive(Debug, Default, JsonSchema)]
pub struct OfGeneration {
    /// Counts from 1; the latest unless it is given.
    pub generation: Option<u32>,
}

/// An overlay, as far as the history can be read.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OverlayAnswer")]
pub struct OverlayAnswer {
    #[serde(flatten)]
    pub overlay: OverlayView,
    /// Seqs of events that can't be read: what they say of these nodes is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<u64>,
}

// === impl OfGeneration ===

impl Query for OfGeneration {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self { generation: fields.number("generation") }
    }
}

// === impl Operations ===

impl Operations {
    /// Returns what became of each node, as far as the run is when it is asked.
    pub async fn overlay(
        &self,
        principal: &Principal,
        trace: &Trace,
        run: &RunId,
        of: &OfGeneration,
    ) -> Result<OverlayAnswer, Refusal> {
        principal.owns(run)?;
        self.runs.caught_up(trace, run).await?;
        let end = self.runs.row(run).await?.seq;
        let _turn = if end > u64::from(ENTRIES) { Some(self.heavy.fold().await?) } else { None };
        let (mut overlay, mut unreadable, mut seq) = (Overlay::new(of.generation), Vec::new(), 0);
        while seq < end && !overlay.is_settled() {
            let entries = self.catalog.history(run, seq, ENTRIES).await?;
            let Some(last) = entries.last() else { break };
            seq = last.seq;
            for entry in entries.iter().take_while(|entry| entry.seq <= end) {
                let Some(event) = event(run, entry) else {
                    unreadable.push(entry.seq);
                    continue;
                };
                if let What::RunCreated { plan, .. } = &event.what {
                    let mut data = Data::default();
                    data.want(plan);
                    data.load(&*self.catalog, run).await?;
                    overlay.of(&data.show(plan));
                }
                overlay.apply(&event);
                if overlay.is_settled() {
                    break;
                }
            }
        }
        if of.generation.is_some_and(|wanted| wanted == 0 || wanted > overlay.generation()) {
            let said = format!("run {} has the generations 1 to {}", run.name(), overlay.generation());
            return Err(Refusal::malformed_query(vec![Problem::new("generation", "out_of_range", said)]));
        }
        unreadable.truncate(NAMED);
        // Of a generation that is over nothing more can come.
        Ok(OverlayAnswer { overlay: overlay.view(end), unreadable })
    }
}
