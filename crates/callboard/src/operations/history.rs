//! A run's recorded events, in pages; and the batches of which feeds are made as well.

use super::{Items, Operations, Refusal, Trace, Turn, data::Data, page::limit};
use crate::access::Principal;
use callboard_catalog::{Catalog, Entry};
use callboard_core::{
    Datum,
    id::RunId,
    workflow::{
        Event,
        view::{EventView, Telling, unavailable},
    },
};

// === impl Operations ===

impl Operations {
    /// Returns the events after the seq `after`, and the room that their data takes.
    pub async fn history(
        &self,
        principal: &Principal,
        trace: &Trace,
        run: &RunId,
        after: u64,
        most: Option<u32>,
    ) -> Result<(Items<EventView>, Option<Turn>), Refusal> {
        principal.owns(run)?;
        let limit = limit(most)?;
        self.runs.caught_up(trace, run).await?;
        let entries = self.catalog.history(run, after, limit + 1).await?;
        let more = entries.len() > limit as usize;
        let batch = Batch::of(run, &entries[..entries.len().min(limit as usize)], u64::MAX);
        let room = self.heavy.data(batch.data.size()).await?;
        let (items, cut) = batch.show(&*self.catalog, run).await?;
        let next = items.last().filter(|_| more || cut).map(|item| item.seq.to_string());
        Ok((Items { items, next }, room))
    }
}

/// Reads a recorded event, if it can be read: it may be damaged, or written by a later version.
pub(super) fn event(run: &RunId, entry: &Entry) -> Option<Event> {
    let read = serde_json::from_str(&entry.event);
    read.inspect_err(|error| tracing::error!(%run, seq = entry.seq, %error, "a recorded event can't be read"))
        .ok()
}

/// Entries that are shown together, with the data that they show.
pub(super) struct Batch<'a> {
    entries: &'a [Entry],
    /// Nothing where one can't be read.
    events: Vec<Option<Event>>,
    data: Data,
    /// Of events and data together.
    pub bytes: u64,
}

// === impl Batch ===

impl<'a> Batch<'a> {
    /// Takes as many entries as fill an answer, or so many bytes; always the first.
    pub fn of(run: &RunId, entries: &'a [Entry], most: u64) -> Self {
        let mut batch = Self { entries, events: Vec::new(), data: Data::default(), bytes: 0 };
        for entry in entries {
            let event = event(run, entry);
            let data: Vec<&Datum> = event.iter().flat_map(|event| event.what.data()).collect();
            let stored = data.iter().map(|datum| match datum {
                Datum::Inline(_) => 0,
                Datum::Stored(reference) => reference.size,
            });
            let bytes = batch.bytes.saturating_add(stored.sum::<u64>() + entry.event.len() as u64);
            let fits = data.into_iter().all(|datum| batch.data.want(datum)) && bytes <= most;
            if !fits && !batch.events.is_empty() {
                break;
            }
            batch.bytes = bytes;
            batch.events.push(event);
        }
        batch
    }

    /// Loads the data; fewer items than entries, and true, if those fill an answer.
    pub async fn show(
        mut self,
        catalog: &dyn Catalog,
        run: &RunId,
    ) -> Result<(Vec<EventView>, bool), Refusal> {
        self.data.load(catalog, run).await?;
        let value = |reference: &_| self.data.content(reference).unwrap_or_else(|| unavailable(reference));
        let shown = |(entry, event): (&Entry, &Option<Event>)| match event {
            Some(event) => {
                let hash = Some(entry.hash);
                let telling = Telling { run: None, hash, nothing_reserved: true, value: &value };
                EventView::of(entry.seq, event, &telling)
            }
            None => EventView::unreadable(entry.seq, entry.at, entry.hash),
        };
        let items: Vec<_> = self.entries.iter().zip(&self.events).map(shown).collect();
        let cut = items.len() < self.entries.len();
        Ok((items, cut))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_core::{Hash, Timestamp, ValueRef, workflow::What};

    #[test]
    fn a_feed_reads_ahead_by_bytes_not_only_by_events() {
        let entry = |seq: u64, size: u64| {
            let stored = ValueRef { key: format!("t.{seq}"), hash: Hash::of(b"v"), size };
            let event =
                Event { at: Timestamp(1), what: What::RunCompleted { output: Datum::Stored(stored) } };
            let event = serde_json::to_string(&event).expect("JSON");
            Entry { seq, at: Timestamp(1), hash: Hash::of(b"h"), event }
        };
        let taken = |sizes: &[u64], most: u64| {
            let entries: Vec<_> = (1..).zip(sizes).map(|(seq, size)| entry(seq, *size)).collect();
            Batch::of(&"r".parse().expect("an id"), &entries, most).events.len()
        };
        let most = super::super::feed::BATCH_BYTES;
        assert_eq!(taken(&[100 << 10, 100 << 10, 100 << 10], most), 2);
        assert_eq!(taken(&[16 << 20, 1], most), 1);
        assert_eq!(taken(&[100 << 10, 100 << 10, 100 << 10], u64::MAX), 3);
    }
}
