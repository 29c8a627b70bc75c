//! Whether a run can be read, from what a catalog and a state store have of it: its history folded, its values looked up, its
//! document held against it. Starts nothing, changes nothing.

use super::{
    contents::{references as named_by, state_references},
    reconcile::{Next, Seen, Stored, reconcile},
};
use crate::{
    document::{self, Document, Unreadable},
    stored_values,
};
use bytes::Bytes;
use callboard_catalog::{Error, Journal, Tip};
use callboard_core::{
    Datum, Hash, ValueRef,
    id::RunId,
    workflow::{Definition, Event, Plan, Run, What},
};
use std::{collections::BTreeMap, sync::Arc};

/// Entries of a history in one read.
const PAGE: u32 = 1000;

/// What there is to read from.
pub struct Kept<'a> {
    pub catalog: &'a dyn Journal,
    /// What stands under a key of the state store.
    pub stored: &'a dyn Fn(&str) -> Option<Bytes>,
}

/// Returns what is wrong with a run that the catalog knows, in words for an operator; nothing if it can go on as it is.
pub async fn run(kept: &Kept<'_>, id: &RunId) -> Result<Vec<String>, Error> {
    // Before the history: what happens meanwhile is no difference between the two.
    let document = (kept.stored)(&id.document_key());
    let mut wrong = Vec::new();
    let Some(tip) = kept.catalog.tip(id, None).await? else {
        return Ok(vec!["its history has no end".to_owned()]);
    };
    let mut references = match kept.folded(id, &tip, &mut wrong).await? {
        Some(state) => state_references(&state),
        None => Vec::new(),
    };
    if let Some(found) = held_against(document.as_deref(), &tip, &mut wrong) {
        references.extend(found.after(tip.seq).flat_map(|(_, kept)| named_by(&kept.event)));
    }
    references.sort();
    references.dedup();
    let found = kept.values(id, &references).await?;
    let lost = references.iter().filter(|reference| !found.contains_key(&reference.key));
    wrong.extend(lost.map(|lost| format!("its value {} is in neither file", lost.key)));
    Ok(wrong)
}

/// Returns what is wrong with a document of whose run the catalog knows nothing.
pub fn without_history(document: &[u8]) -> Option<String> {
    match Document::decode(document) {
        Ok(doc) if doc.tail_from == 1 => None,
        Ok(doc) => Some(format!(
            "history_gap: the catalog has nothing of it, and its document begins with event {}",
            doc.tail_from
        )),
        Err(error) => Some(format!("the catalog has nothing of it, and its document can't be read: {error}")),
    }
}

impl Kept<'_> {
    /// Folds the whole history; nothing where it ends too soon to be folded.
    async fn folded(&self, id: &RunId, tip: &Tip, wrong: &mut Vec<String>) -> Result<Option<Run>, Error> {
        let mut state = Run::new(id);
        let (mut seq, mut hash) = (0, Hash::default());
        loop {
            let page = self.catalog.history(id, seq, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for entry in page {
                let next = document::next_hash(hash, &entry.event);
                if entry.seq != seq + 1 || entry.hash != next {
                    wrong.push(format!("its history does not go on from event {seq}"));
                    return Ok(None);
                }
                let event = match document::decode_event(entry.seq, &entry.event) {
                    Ok(event) => event,
                    Err(error) => {
                        wrong.push(format!("its history can't be read: {error}"));
                        return Ok(None);
                    }
                };
                if seq == 0
                    && let Err(why) = self.attach(id, &mut state, &event).await?
                {
                    wrong.push(why);
                    return Ok(None);
                }
                state.apply(&event);
                (seq, hash) = (entry.seq, entry.hash);
            }
        }
        // A run that works on meanwhile may have more.
        if seq < tip.seq {
            wrong.push(format!("its history ends with event {seq} of {}", tip.seq));
            return Ok(None);
        }
        Ok(Some(state))
    }

    /// Compiles the definition that the run's first event pins.
    async fn attach(&self, id: &RunId, state: &mut Run, first: &Event) -> Result<Result<(), String>, Error> {
        let What::RunCreated { plan, .. } = &first.what else {
            return Ok(Err("its history does not begin with its creation".to_owned()));
        };
        let value = match plan {
            Datum::Inline(value) => Some((**value).clone()),
            Datum::Stored(reference) => {
                let found = self.values(id, std::slice::from_ref(reference)).await?;
                found.get(&reference.key).and_then(|data| serde_json::from_slice(data).ok())
            }
        };
        let Some(value) = value else { return Ok(Err("its definition is in neither file".to_owned())) };
        let definition = serde_json::from_value::<Definition>(value);
        let plan = definition.map_err(|error| error.to_string()).and_then(|definition| {
            Plan::pinned(definition).map_err(|_| "this version does not run it".to_owned())
        });
        Ok(match plan {
            Ok(plan) => {
                state.attach(Arc::new(plan));
                Ok(())
            }
            Err(why) => Err(format!("its definition can't be read: {why}")),
        })
    }

    /// Returns those of the values that are in one of the two as they were.
    async fn values(&self, id: &RunId, wanted: &[ValueRef]) -> Result<BTreeMap<String, Bytes>, Error> {
        let keys: Vec<String> = wanted.iter().map(|reference| reference.key.clone()).collect();
        let mut found = self.catalog.values(id, &keys).await?;
        for reference in wanted {
            let as_it_was = |data: &Bytes| Hash::of(data) == reference.hash;
            if found.get(&reference.key).is_some_and(as_it_was) {
                continue;
            }
            found.remove(&reference.key);
            let stored = stored_values::joined(id, &reference.key, reference.size, self.stored);
            if let Some(data) = stored.filter(as_it_was) {
                found.insert(reference.key.clone(), data);
            }
        }
        Ok(found)
    }
}

/// Says where a document and a history can't be brought together. Returns the document, if it goes on from the history.
fn held_against(document: Option<&[u8]>, tip: &Tip, wrong: &mut Vec<String>) -> Option<Document> {
    let decoded = document.map(Document::decode);
    let stored = match &decoded {
        None => Stored::Nothing,
        Some(Ok(doc)) => Stored::Document(doc),
        Some(Err(Unreadable::Newer(version))) => {
            wrong.push(format!("its document was written by a newer version ({version})"));
            return None;
        }
        // The history has it all.
        Some(Err(Unreadable::Damaged(_))) => Stored::Damaged,
    };
    match reconcile(stored, Seen::History(tip)) {
        Next::Gap { history, document } => {
            wrong.push(format!(
                "history_gap: its history ends with event {history}, and its document begins with event {document}"
            ));
            None
        }
        Next::Use => decoded.and_then(Result::ok),
        Next::Unknown | Next::Rebuild | Next::Purging | Next::Purged { .. } | Next::Lost => None,
    }
}
