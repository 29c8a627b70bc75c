//! The contents of values that a run names: from the store, else from the catalog, which then saves them again.

use super::{Workflows, actor::Mem, reason::Turn};
use crate::{
    mutant::rule,
    stored_values::{self, NewValue},
};
use bytes::Bytes;
use callboard_core::{
    Datum, Hash, ValueRef,
    id::RunId,
    workflow::{
        Event, Input, Outcome, Run,
        run::{Ending, StepState},
    },
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The store or the catalog does not answer, or not yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Store(#[from] callboard_sidecar::client::Error),
    #[error(transparent)]
    Catalog(#[from] callboard_catalog::Error),
    /// It is in neither of them, or damaged there.
    #[error("{0}")]
    Lost(String),
    /// Another process may go on with it; this one must not write over it.
    #[error("{0}")]
    Newer(String),
}

/// An answer's value as the store has it, by its name: the turn that records the answer journals it.
pub(super) type Adopted = (String, Bytes);

/// Why an answer's value can't be had.
pub(super) enum Unadopted {
    /// The store does not have it.
    Lost,
    /// The store does not answer.
    Unknown,
}

impl Workflows {
    /// Returns a datum's value, nothing if it can't be read now.
    pub(super) async fn content(&self, run: &RunId, datum: &Datum) -> Option<Arc<Value>> {
        match datum {
            Datum::Inline(value) => Some(value.clone()),
            Datum::Stored(reference) => {
                self.fetch(run, std::slice::from_ref(reference)).await.ok()?.remove(&reference.key)
            }
        }
    }

    /// Returns values by name; absent ones are in neither store nor catalog.
    pub(super) async fn fetch(
        &self,
        run: &RunId,
        refs: &[ValueRef],
    ) -> Result<BTreeMap<String, Arc<Value>>, Unread> {
        let mut out = BTreeMap::new();
        if refs.is_empty() {
            return Ok(out);
        }
        let wanted: Vec<(String, u64)> = refs.iter().map(|r| (r.key.clone(), r.size)).collect();
        let found = stored_values::load(&self.services, run, &wanted).await?;
        let mut lost = Vec::new();
        for r in refs {
            // What does not match its hash counts as missing: the catalog has it as it was.
            match found.get(&r.key).filter(|data| Hash::of(data) == r.hash) {
                Some(data) => insert(&mut out, &r.key, data)?,
                None => lost.push(r.clone()),
            }
        }
        if lost.is_empty() {
            return Ok(out);
        }
        let keys: Vec<String> = lost.iter().map(|r| r.key.clone()).collect();
        let kept = self.services.catalog.values(run, &keys).await?;
        let mut again = Vec::new();
        for r in lost {
            if let Some(data) = kept.get(&r.key).filter(|data| Hash::of(data) == r.hash) {
                insert(&mut out, &r.key, data)?;
                again.push(NewValue { key: r.key, data: data.clone(), value: None });
            }
        }
        // The store gets back what it lost, for the next reader.
        stored_values::save(&self.services, run, &again).await?;
        Ok(out)
    }

    /// Reads the value of an answer that somebody else saved under this run, before anything names it: the store may
    /// have lost it since.
    pub(super) async fn adopt(
        &self,
        run: &RunId,
        mem: &mut Mem,
        turn: &Turn,
    ) -> Result<Option<Adopted>, Unadopted> {
        let Turn::Input(Input::AgentAnswer {
            step, attempt, outcome: Outcome::Done(Datum::Stored(r)), ..
        }) = turn
        else {
            return Ok(None);
        };
        // A late answer yields nothing, so its value is not read.
        if mem.run.ended.is_some()
            || mem.run.steps.get(step).is_none_or(|s| s.attempt != *attempt || !s.is_open())
        {
            return Ok(None);
        }
        let found = stored_values::load(&self.services, run, &[(r.key.clone(), r.size)]).await;
        let found =
            found.map_err(|_| Unadopted::Unknown)?.remove(&r.key).filter(|data| Hash::of(data) == r.hash);
        let Some(data) = found else {
            return if rule!(AnswerValue, true) { Err(Unadopted::Lost) } else { Ok(None) };
        };
        if let Ok(value) = serde_json::from_slice(&data) {
            mem.values.insert(r.key.clone(), Arc::new(value));
        }
        Ok(Some((r.key.clone(), data)))
    }
}

/// Parses a value into `out`.
fn insert(out: &mut BTreeMap<String, Arc<Value>>, key: &str, data: &[u8]) -> Result<(), Unread> {
    let value =
        serde_json::from_slice(data).map_err(|e| Unread::Lost(format!("value {key} is not JSON: {e}")))?;
    out.insert(key.to_owned(), Arc::new(value));
    Ok(())
}

/// Returns the stored values an event names.
pub(super) fn references(event: &Event) -> Vec<ValueRef> {
    event.what.data().into_iter().filter_map(|d| d.reference().cloned()).collect()
}

/// Returns every stored value a state names.
pub(super) fn state_references(run: &Run) -> Vec<ValueRef> {
    let mut data = Vec::new();
    if let Some(created) = &run.created {
        data.extend([&created.plan, &created.input]);
    }
    data.extend(run.generations.iter().filter_map(|g| g.input.as_ref()));
    data.extend(run.signals.values().flatten());
    for step in run.steps.values() {
        data.extend(&step.input);
        if let StepState::Completed { output, .. } = &step.state {
            data.push(output);
        }
        data.extend(step.error.as_ref().and_then(|error| error.details.as_ref()));
        data.extend(step.iterations.iter().flat_map(|i| i.outputs.values()));
    }
    if let Some(Ending::Completed(output)) = run.ended.as_ref().map(|e| &e.how) {
        data.push(output);
    }
    let mut refs: Vec<ValueRef> = data.into_iter().filter_map(|d| d.reference().cloned()).collect();
    refs.sort();
    refs.dedup();
    refs
}
